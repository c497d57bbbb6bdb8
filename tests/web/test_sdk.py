"""The embedded app: tokens made by a system key for a member, what they open, how they end."""

from dataclasses import replace

import pytest

from onrecord.domain import keys, organisations
from onrecord.model import times
from onrecord.model.access import CLIENT, STAFF, Kind
from tests.cast import ApiKey, SdkToken, butler_of, join, make_key, set_member_state
from tests.conftest import MakeWorld
from tests.world import CHAT, ENTITY, World, accepted, refused

CREATE = f"{ENTITY}/sdk/sessions/create"
FIND = f"{ENTITY}/sdk/entity-memberships"
SIGN_OUT = "/app-service/api/sign-out"


def bare(key: ApiKey) -> ApiKey:
    """Give a super key that names no organisation."""
    return replace(key, entity_uuid=None)


def token_for(world: World, identifier: str = "ADV-1", key: ApiKey | None = None) -> SdkToken:
    """Make a token."""
    body = {"identifier": identifier}
    answer = accepted(world.post(CREATE, key=key or world.cast.system, json=body))
    return SdkToken(answer["sdk_token"])


@pytest.mark.parametrize("who", ["tomas", "priya", "george"])
def test_a_system_key_makes_a_token_for_a_member_of_any_side(world: World, who: str) -> None:
    person = getattr(world.cast, who)
    for body in ({"identifier": person.identifier}, {"entity_user_xref_uuid": person.uuid.upper()}):
        for key in (world.cast.system, world.cast.superkey):
            answer = accepted(world.post(CREATE, key=key, json=body))
            assert answer.keys() == {
                "sdk_token",
                "api_base_url",
                "entity_uuid",
                "entity_user_xref_uuid",
                "expires_at",
            }
            assert answer["entity_uuid"] == world.cast.firm
            assert answer["entity_user_xref_uuid"] == person.uuid
            assert answer["api_base_url"] == "http://onrecord"
            accepted(world.get(f"{CHAT}/chats", key=SdkToken(answer["sdk_token"])))


def test_the_base_address_is_the_public_one_where_it_is_set(make_world: MakeWorld) -> None:
    world = make_world(public_url="https://chat.example.com/app")
    answer = accepted(world.post(CREATE, key=world.cast.system, json={"identifier": "ADV-1"}))
    assert answer["api_base_url"] == "https://chat.example.com/app"


def test_every_refusal_has_its_code(world: World) -> None:
    cast = world.cast
    lacking = cast.alone[Kind.SYSTEM, "can_write_admin"]
    named = replace(cast.system, entity_uuid=cast.firm)
    tomas = {"identifier": "ADV-1"}
    before = world.head(cast.firm)
    for key, body, code, status in (
        (cast.system, {}, "RB785", 400),
        (cast.system, {"identifier": ""}, "RB785", 400),
        (cast.system, {"entity_user_xref_uuid": butler_of(world, cast.firm)}, "RB035", 400),
        (cast.system, {"identifier": "NOBODY"}, "RN006", 404),
        (cast.system, {"entity_user_xref_uuid": cast.karl.uuid}, "RN006", 404),
        (cast.system, {"entity_user_xref_uuid": "ADV-1"}, "RB003", 400),
        (cast.system, {"entity_user_xref_uuid": cast.ingrid.uuid, **tomas}, "RB003", 400),
        (cast.system, {"identifier": "CL-3"}, "RF024", 403),
        (lacking, tomas, "RF731", 403),
        (bare(cast.superkey), tomas, "RF736", 403),
        (named, tomas, "RF841", 403),
        (replace(cast.system, secret="wrong"), tomas, "RU001", 401),
        (cast.master, tomas, "RF008", 403),
    ):
        refused(world.post(CREATE, key=key, json=body), code, status)
    assert world.head(cast.firm) == before


@pytest.mark.parametrize("state", ["suspended", "inactive"])
def test_nobody_who_is_not_active_gets_a_token_and_theirs_stop_at_once(
    world: World, state: str
) -> None:
    token = token_for(world)
    accepted(world.get(f"{CHAT}/chats", key=token))
    set_member_state(world, world.cast.tomas, state)
    body = {"identifier": "ADV-1"}
    refused(world.post(CREATE, key=world.cast.system, json=body), "RF024", 403)
    refused(world.get(f"{CHAT}/chats", key=token), "RF024", 403)


def test_where_the_embedded_app_is_switched_off_there_are_no_tokens(world: World) -> None:
    token = token_for(world)
    accepted(world.get(f"{CHAT}/chats", key=token))
    world.work(
        world.cast.firm, lambda work: organisations.set_setting(work, "sdk_enabled", value=False)
    )
    body = {"identifier": "ADV-1"}
    refused(world.post(CREATE, key=world.cast.system, json=body), "RF888", 403)
    refused(world.get(f"{CHAT}/chats", key=token), "RU010", 401)
    other = token_for(world, key=world.cast.other_system)
    accepted(world.get(f"{CHAT}/chats", key=other))


@pytest.mark.parametrize(("state", "code"), [("inactive", "RN900"), ("frozen", "RN902")])
def test_an_organisation_that_stands_still_makes_and_takes_no_tokens(
    world: World, state: str, code: str
) -> None:
    token = token_for(world)
    world.work(world.cast.firm, lambda work: organisations.set_state(work, state))
    refused(world.post(CREATE, key=world.cast.system, json={"identifier": "ADV-1"}), code, 404)
    refused(world.get(f"{CHAT}/chats", key=token), code, 404)


def test_a_token_lives_as_long_as_is_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.work(
        world.cast.firm, lambda work: organisations.set_setting(work, "sdk_token_seconds", value=60)
    )
    now = times.now()
    answer = accepted(world.post(CREATE, key=world.cast.system, json={"identifier": "ADV-1"}))
    assert 59 <= (times.read(answer["expires_at"]) - now) / times.SECOND <= 65
    token = SdkToken(answer["sdk_token"])
    accepted(world.get(f"{CHAT}/chats", key=token))
    real = times.now
    monkeypatch.setattr(times, "now", lambda: real() + 66 * times.SECOND)
    refused(world.get(f"{CHAT}/chats", key=token), "RU010", 401)


def test_a_token_is_given_back_by_signing_out(world: World) -> None:
    tomas, before = world.cast.tomas, world.head(world.cast.firm)
    token = token_for(world)
    assert accepted(world.post(SIGN_OUT, key=token, json={})) == {}
    refused(world.get(f"{CHAT}/chats", key=token), "RU010", 401)
    made, ended = world.entries(world.cast.firm, before)
    assert (made["type"], ended["type"]) == ("sdk.session_created", "sdk.session_ended")
    assert made["actor"]["kind"] == "system"
    assert ended["actor"]["kind"] == "sdk"
    assert ended["actor"]["entity_user_xref_uuid"] == tomas.uuid
    assert ended["data"]["session_uuid"] == made["data"]["session_uuid"]
    assert token.token not in repr(world.rows("SELECT * FROM session"))
    assert token.token not in repr(world.rows("SELECT * FROM part"))


def test_giving_a_token_back_leaves_the_session_of_the_web_app_beside_it(world: World) -> None:
    response = world.post(SIGN_OUT, key=token_for(world), json={})
    assert accepted(response) == {}
    assert "set-cookie" not in response.headers
    response = world.post(SIGN_OUT, key=world.session(world.cast.tomas), json={})
    assert "Max-Age=0" in response.headers["set-cookie"]


def test_a_token_lives_no_longer_than_the_key_that_made_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, end = times.now, times.now() + 60 * times.SECOND
    key = world.run(make_key(world.app, world.cast.firm, Kind.SYSTEM, expires_at=end))
    token = token_for(world, key=key)
    accepted(world.get(f"{CHAT}/chats", key=token))
    monkeypatch.setattr(times, "now", lambda: real() + 61 * times.SECOND)
    refused(world.get(f"{CHAT}/chats", key=token), "RU010", 401)


def test_tokens_end_with_the_key_that_made_them(world: World) -> None:
    key = world.run(make_key(world.app, world.cast.firm, Kind.SYSTEM))
    token = token_for(world, key=key)
    accepted(world.get(f"{CHAT}/chats", key=token))
    world.work(world.cast.firm, lambda work: keys.deactivate(work, key.api_key))
    refused(world.get(f"{CHAT}/chats", key=token), "RU010", 401)


def test_a_token_acts_for_its_member_alone_and_needs_no_csrf_token(world: World) -> None:
    cast = world.cast
    token = token_for(world)
    body = {"entity_user_xref_uuids": [cast.ingrid.uuid], "text": "Hello"}
    made = accepted(world.post(f"{CHAT}/chats/create", key=token, json=body))["chat"]
    assert made["last_message"]["via"]["kind"] == "sdk"
    assert made["created_by_entity_user_xref_uuid"] == cast.tomas.uuid
    assert made["read_seq"] == 0
    own = {"X-Entity-User-Xref-Uuid": cast.tomas.uuid}
    accepted(world.get(f"{CHAT}/chats", key=token, headers=own))
    other = {"X-Entity-User-Xref-Uuid": cast.ingrid.uuid}
    refused(world.get(f"{CHAT}/chats", key=token, headers=other), "RF004", 403)


def test_a_token_is_no_session_and_a_session_no_token(world: World) -> None:
    browser = world.session(world.cast.tomas)
    refused(world.get(f"{CHAT}/chats", key=SdkToken(browser.token or "")), "RU010", 401)
    token = token_for(world)
    cookie = {"Cookie": f"onrecord_session={token.token}"}
    refused(world.get("/app-service/api/session", headers=cookie), "RU010", 401)
    refused(world.get("/app-service/api/session", key=token), "RF008", 403)
    for header in ("Bearer", "Bearer ", "Basic eDp5", ""):
        headers = {"Authorization": header}
        refused(world.get(f"{CHAT}/chats", headers=headers), "RU003", 401)


def test_the_token_is_not_in_the_stored_answer(world: World) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"identifier": "ADV-1"}
    first = accepted(world.post(CREATE, key=world.cast.system, json=body, headers=headers))
    again = world.post(CREATE, key=world.cast.system, json=body, headers=headers)
    assert accepted(again) == {**first, "sdk_token": None}
    assert again.headers["idempotent-replay"] == "true; secrets-withheld"


# -- where somebody is a member ------------------------------------------------------------------


def test_a_super_key_finds_a_person_in_every_organisation(world: World) -> None:
    cast = world.cast
    in_firm = world.run(join(world.app, cast.firm, CLIENT, "Ada", "Vale", groups=[cast.team]))
    world.run(join(world.app, cast.other, STAFF, "Ben", "Vale"))
    email = in_firm.email
    world.change(
        cast.other,
        "UPDATE member SET primary_email = $1, email_key = $1 WHERE last_name = 'Vale'"
        " AND first_name = 'Ben'",
        email,
    )
    found = accepted(
        world.get(FIND, key=bare(cast.superkey), params={"primary_email": f" {email.upper()} "})
    )["entity_memberships"]
    assert found[0] == {
        "entity": {
            "entity_uuid": cast.firm,
            "name": "Alder & Finch",
            "avatar_url": None,
            "logo_url": None,
        },
        "user": {"entity_user_xref_uuid": in_firm.uuid},
    }
    assert [one["entity"]["entity_uuid"] for one in found] == [cast.firm, cast.other]
    for key, entity in ((cast.superkey, cast.firm), (cast.other_system, cast.other)):
        own = accepted(world.get(FIND, key=key, params={"primary_email": email}))
        assert [one["entity"]["entity_uuid"] for one in own["entity_memberships"]] == [entity]
    world.work(cast.other, lambda work: organisations.set_state(work, "frozen"))
    left = accepted(world.get(FIND, key=bare(cast.superkey), params={"primary_email": email}))
    assert [one["entity"]["entity_uuid"] for one in left["entity_memberships"]] == [cast.firm]


def test_only_active_members_are_found_and_an_unknown_email_finds_none(world: World) -> None:
    cast = world.cast
    for email in (cast.petra.email, "nobody@example.com", cast.karl.email):
        found = accepted(world.get(FIND, key=cast.system, params={"primary_email": email}))
        assert found == {"entity_memberships": []}
    set_member_state(world, cast.tomas, "suspended")
    params = {"primary_email": cast.tomas.email}
    assert accepted(world.get(FIND, key=cast.system, params=params))["entity_memberships"] == []
    refused(world.get(FIND, key=cast.system), "RB002", 400)
    refused(world.get(FIND, key=cast.system, params={"primary_email": "x"}), "RB003", 400)
    lacking = cast.alone[Kind.SYSTEM, "can_create_sdk_tokens"]
    refused(world.get(FIND, key=lacking, params=params), "RF733", 403)
