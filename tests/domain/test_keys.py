"""Keys: the order of the checks, what each kind may do, and how a key ends."""

import time
from typing import Any

import pytest

from onrecord.domain import credentials, keys, organisations
from onrecord.model import times
from onrecord.model.access import PERMISSIONS, Kind, operator
from onrecord.model.errors import Refusal
from onrecord.store.work import Work
from tests.cast import LOOPBACK, ApiKey, Cast, butler_of, make_key, set_member_state
from tests.conftest import MakeWorld
from tests.world import CHAT, ENTITY, World, accepted, refused

CHATS = f"{CHAT}/chats"
SEND = f"{CHAT}/chats/messages/send-text"
CREATE = f"{ENTITY}/entity-memberships/create"
MEMBER = f"{ENTITY}/entity-memberships"
EVENTS = f"{ENTITY}/events"
STRANGER = "00000000-0000-4000-8000-000000000001"


def set_state(world: World, entity: str, state: str) -> None:
    world.work(entity, lambda work: organisations.set_state(work, state))


def stop(world: World, key: ApiKey, entity: str | None) -> None:
    world.work(entity, lambda work: keys.deactivate(work, key.api_key))


def new_key(world: World, kind: Kind = Kind.SYSTEM, **more: Any) -> ApiKey:
    entity = None if kind is Kind.SUPER else world.cast.firm
    return world.run(make_key(world.app, entity, kind, **more))


def wrong(key: ApiKey) -> ApiKey:
    return ApiKey(key.kind, key.uuid, key.api_key, "wrong", key.name, key.entity_uuid)


# -- the order of the checks (contract, section 1) ------------------------------------------------


def test_no_credential_at_all_is_told_before_anything_of_the_body(world: World) -> None:
    refused(world.post(SEND, content=b"no json"), "RU003", 401)
    refused(world.get(CHATS), "RU003", 401)


@pytest.mark.parametrize("half", ["id", "secret", "empty secret", "empty id"])
def test_half_a_credential_is_none(sqlite_world: World, half: str) -> None:
    names = list(sqlite_world.cast.system.headers.items())
    headers = {
        "id": dict(names[:1]),
        "secret": dict(names[1:2]),
        "empty secret": {**dict(names), names[1][0]: ""},
        "empty id": {**dict(names), names[0][0]: ""},
    }[half]
    refused(sqlite_world.get(EVENTS, headers=headers), "RU003", 401)


def test_a_wrong_path_or_method_is_told_before_any_credential(world: World) -> None:
    refused(world.get("/nowhere"), "RN005", 404)
    refused(world.get(SEND, key=wrong(world.cast.master)), "RN005", 405)


def test_an_unknown_id_and_a_wrong_secret_get_the_same_answer(world: World) -> None:
    key = world.cast.system
    unknown = ApiKey(Kind.SYSTEM, "", "ork-unknown", key.secret, "")
    answers = []
    for shown in (unknown, wrong(key)):
        body = refused(world.get(EVENTS, key=shown), "RU001", 401)
        body.pop("instance")
        answers.append(body)
    assert answers[0] == answers[1]


def test_a_key_in_the_headers_of_another_kind_is_unknown(world: World) -> None:
    cast = world.cast
    stems = {
        Kind.SYSTEM: "X-SYS-API-KEY",
        Kind.MASTER_USER: "X-MASTER-USER-API-KEY",
        Kind.USER: "X-USER-API-KEY",
    }
    for kind, key in cast.keys_of_firm().items():
        for stem_kind, stem in stems.items():
            own = stem_kind == (Kind.SYSTEM if kind is Kind.SUPER else kind)
            headers = {stem: key.api_key, f"{stem}-SECRET": key.secret}
            if kind is Kind.SUPER:
                headers["on-behalf-of-entity-uuid"] = cast.firm
            path = EVENTS if stem_kind is Kind.SYSTEM else f"{CHAT}/whoami"
            response = world.get(path, headers=headers)
            if own:
                accepted(response)
            else:
                refused(response, "RU001", 401)


def test_of_two_faults_the_earlier_one_is_told(world: World) -> None:
    """Each request has all the faults from its own on; step by step they are mended."""
    cast = world.cast
    key = new_key(world, permissions=["can_read_admin"], cidr_blocks=["10.0.0.0/8"])
    stop(world, key, cast.firm)
    set_state(world, cast.firm, "inactive")
    named = {"on-behalf-of-entity-uuid": cast.other}
    refused(world.post(CREATE, key=wrong(key), headers=named, content=b"-"), "RU001", 401)
    everything = {"headers": named, "content": b"no json"}
    refused(world.post(CREATE, key=key, **everything), "RU004", 401)
    inside = {"client": "10.1.2.3", **everything}
    refused(world.post(CREATE, key=key, **inside), "RU002", 401)
    set_state(world, cast.firm, "active")
    key = new_key(world, permissions=["can_read_admin"], cidr_blocks=["10.0.0.0/8"])
    set_state(world, cast.firm, "inactive")
    refused(world.post(CREATE, key=key, **inside), "RN900", 404)
    set_state(world, cast.firm, "active")
    set_state(world, cast.firm, "frozen")
    refused(world.post(CREATE, key=key, **inside), "RN902", 404)
    set_state(world, cast.firm, "active")
    refused(world.post(CREATE, key=key, **inside), "RF841", 403)
    bad = {"client": "10.1.2.3", "content": b"no json"}
    refused(world.post(CREATE, key=key, **bad), "RF734", 403)
    refused(world.post(CREATE, key=cast.system, **bad), "RB001", 400)
    refused(world.post(CREATE, key=cast.system, json={}), "RB002", 400)
    refused(world.post(CREATE, key=cast.system, json=_member(enum_profile_id="1")), "RB003", 400)
    refused(world.post(CREATE, key=cast.system, json=_member(group_uuids=[STRANGER])), "RN002")


def _member(**changes: Any) -> dict[str, Any]:
    return {
        "enum_profile_id": 4,
        "first_name": "Nell",
        "primary_email": "nell@example.com",
        **changes,
    }


def test_the_faults_of_a_chat_key_are_told_in_order(world: World) -> None:
    cast = world.cast
    key = cast.alone[Kind.MASTER_USER, "can_read_contacts"]
    suspended = cast.olga
    set_member_state(world, suspended, "suspended")
    two = {"on-behalf-of": cast.olga.uuid}
    query = {"on-behalf-of": cast.tomas.uuid}

    entity = {"on-behalf-of-entity-uuid": cast.firm}
    refused(world.post(SEND, key=key, headers=entity, content=b"-"), "RF841", 403)
    refused(world.post(SEND, key=key, headers=two, params=query, content=b"-"), "RF004", 403)
    refused(world.post(SEND, key=key, content=b"-"), "RF004", 403)
    refused(world.post(SEND, key=key, on_behalf_of="nobody", content=b"-"), "RF004", 403)
    refused(world.post(SEND, key=key, on_behalf_of=STRANGER, content=b"-"), "RN006", 404)
    refused(world.post(SEND, key=key, on_behalf_of=cast.karl, content=b"-"), "RN006", 404)
    butler = butler_of(world, cast.firm)
    refused(world.post(SEND, key=key, on_behalf_of=butler, content=b"-"), "RB035", 400)
    refused(world.post(SEND, key=key, on_behalf_of=suspended, content=b"-"), "RF024", 403)
    refused(world.post(SEND, key=key, on_behalf_of=cast.tomas, content=b"-"), "RF742", 403)
    refused(world.post(SEND, key=cast.master, on_behalf_of=cast.tomas, content=b"-"), "RB001", 400)


def test_a_system_key_on_a_chat_call_is_unknown_or_of_the_wrong_kind(world: World) -> None:
    cast = world.cast
    refused(world.get(CHATS, key=cast.system), "RF008", 403)
    refused(world.get(CHATS, key=cast.superkey), "RF008", 403)
    refused(world.get(EVENTS, key=cast.master), "RF008", 403)
    refused(world.get(EVENTS, key=cast.user), "RF008", 403)


# -- permissions ----------------------------------------------------------------------------------

CALLS: list[tuple[str, str, str, frozenset[Kind]]] = [
    ("GET", EVENTS, "can_export", frozenset({Kind.SYSTEM, Kind.SUPER})),
    ("GET", f"{MEMBER}?identifier=ADV-1", "can_read_admin", frozenset({Kind.SYSTEM, Kind.SUPER})),
    ("POST", CREATE, "can_write_admin", frozenset({Kind.SYSTEM, Kind.SUPER})),
    ("GET", CHATS, "can_read_chat", frozenset({Kind.MASTER_USER, Kind.USER})),
    (
        "POST",
        f"{CHAT}/chats/create",
        "can_write_chat",
        frozenset({Kind.MASTER_USER, Kind.USER}),
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "needed", "kinds"),
    CALLS,
    ids=["export", "read admin", "write admin", "read chat", "write chat"],
)
def test_each_permission_opens_its_calls_and_no_other(
    sqlite_world: World, method: str, path: str, needed: str, kinds: frozenset[Kind]
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    bodies = {
        CREATE: _member(),
        f"{CHAT}/chats/create": {"entity_user_xref_uuids": [cast.priya.uuid]},
    }
    for (kind, permission), key in cast.alone.items():
        if kind not in kinds:
            continue
        body = dict(bodies.get(path, {}))
        if path == CREATE:
            body["primary_email"] = f"{kind}@example.com"
        acting = cast.tomas if kind is Kind.MASTER_USER else None
        response = world.run(
            world.request(
                method,
                path,
                key=key,
                on_behalf_of=acting,
                json=body if method == "POST" else None,
            )
        )
        if permission == needed:
            accepted(response)
        else:
            refused(response, PERMISSIONS[needed].refusal, 403)


# -- on behalf of ---------------------------------------------------------------------------------


def test_the_acting_member_may_stand_in_the_header_or_in_the_query(world: World) -> None:
    cast = world.cast
    uuid = cast.priya.uuid
    whoami = f"{CHAT}/whoami"
    for how in (
        {"headers": {"on-behalf-of": uuid}},
        {"headers": {"On-Behalf-Of": f" {uuid.upper()} "}},
        {"params": {"on-behalf-of": uuid}},
        {"params": {"on-behalf-of": uuid.upper()}, "headers": {"on-behalf-of": uuid}},
    ):
        body = accepted(world.get(whoami, key=cast.master, **how))
        assert body["entity_user_xref_uuid"] == uuid


def test_a_user_key_acts_as_its_owner_and_as_nobody_else(world: World) -> None:
    cast = world.cast
    whoami = f"{CHAT}/whoami"
    for acting in (None, cast.tomas):
        body = accepted(world.get(whoami, key=cast.user, on_behalf_of=acting))
        assert body["entity_user_xref_uuid"] == cast.tomas.uuid
    upper = world.get(whoami, key=cast.user, on_behalf_of=cast.tomas.uuid.upper())
    accepted(upper)
    refused(world.get(whoami, key=cast.user, on_behalf_of=cast.ingrid), "RF004", 403)
    refused(world.get(CHATS, key=cast.user, params={"on-behalf-of": STRANGER}), "RF004", 403)


@pytest.mark.parametrize("state", ["suspended", "inactive", "pending"])
def test_a_member_who_is_not_active_cannot_be_acted_for(world: World, state: str) -> None:
    cast = world.cast
    accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.olga))
    set_member_state(world, cast.olga, state)
    refused(world.get(CHATS, key=cast.master, on_behalf_of=cast.olga), "RF024", 403)
    set_member_state(world, cast.olga, "active")
    accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.olga))


# -- super keys -----------------------------------------------------------------------------------


def test_a_super_key_names_the_organisation(world: World) -> None:
    cast = world.cast
    bare = ApiKey(Kind.SUPER, "", cast.superkey.api_key, cast.superkey.secret, "")
    refused(world.get(EVENTS, key=bare), "RF736", 403)
    for entity, person in ((cast.firm, cast.miriam), (cast.other, cast.nadia)):
        headers = {**bare.headers, "on-behalf-of-entity-uuid": entity.upper()}
        member = {"entity_user_xref_uuid": person.uuid}
        body = accepted(world.get(MEMBER, headers=headers, params=member))
        assert body["entity_membership"]["entity_uuid"] == entity
    for nobody in (STRANGER, "no uuid", "", "00000000-0000-0000-0000-000000000000"):
        headers = {**bare.headers, "on-behalf-of-entity-uuid": nobody}
        refused(world.get(EVENTS, headers=headers), "RN007", 404)
    accepted(world.get(f"{ENTITY}/whoami", key=bare))  # the one call that needs no organisation


def test_other_keys_name_no_organisation(world: World) -> None:
    cast = world.cast
    named = {"on-behalf-of-entity-uuid": cast.firm}
    refused(world.get(EVENTS, key=cast.system, headers=named), "RF841", 403)
    refused(world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas, headers=named), "RF841", 403)
    refused(world.get(CHATS, key=cast.user, headers=named), "RF841", 403)


def test_a_super_key_meets_the_state_of_the_organisation_it_names(world: World) -> None:
    cast = world.cast
    set_state(world, cast.firm, "frozen")
    accepted(world.get(EVENTS, key=cast.superkey))
    refused(world.post(CREATE, key=cast.superkey, json=_member()), "RN902", 404)
    set_state(world, cast.firm, "active")
    set_state(world, cast.firm, "inactive")
    refused(world.get(EVENTS, key=cast.superkey), "RN900", 404)


def test_a_stopped_super_key_is_refused_at_the_next_request(world: World) -> None:
    cast = world.cast
    accepted(world.get(EVENTS, key=cast.superkey))
    stop(world, cast.superkey, None)
    refused(world.get(EVENTS, key=cast.superkey), "RU002", 401)
    refused(world.post(CREATE, key=cast.superkey, json=_member()), "RU002", 401)


# -- states of organisations ----------------------------------------------------------------------


def test_a_frozen_organisation_is_read_by_system_keys_and_refuses_the_rest(world: World) -> None:
    cast = world.cast
    set_state(world, cast.firm, "frozen")
    for path in (EVENTS, f"{ENTITY}/whoami", f"{ENTITY}/record/checkpoint"):
        assert world.get(path, key=cast.system).status_code == 200
    refused(world.post(CREATE, key=cast.system, json=_member()), "RN902", 404)
    refused(world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas), "RN902", 404)
    refused(world.get(CHATS, key=cast.user), "RN902", 404)
    refused(world.get(f"{CHAT}/whoami", key=cast.user), "RN902", 404)
    accepted(world.get(EVENTS, key=cast.other_system))
    set_state(world, cast.firm, "active")
    accepted(world.post(CREATE, key=cast.system, json=_member()))


def test_an_inactive_organisation_refuses_everyone(world: World) -> None:
    cast = world.cast
    set_state(world, cast.firm, "inactive")
    refused(world.get(EVENTS, key=cast.system), "RN900", 404)
    refused(world.get(f"{ENTITY}/whoami", key=cast.system), "RN900", 404)
    refused(world.get(CHATS, key=cast.user), "RN900", 404)


# -- user keys ------------------------------------------------------------------------------------


def allow(world: World, *, allowed: bool) -> None:
    world.work(
        world.cast.firm,
        lambda work: organisations.set_setting(work, "allow_user_api_keys", allowed),
    )


def test_user_keys_stop_when_the_organisation_switches_them_off(world: World) -> None:
    cast = world.cast
    accepted(world.get(CHATS, key=cast.user))
    allow(world, allowed=False)
    refused(world.get(CHATS, key=cast.user), "RU002", 401)
    accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas))


def test_switching_user_keys_on_again_does_not_revive_them(world: World) -> None:
    cast = world.cast
    allow(world, allowed=False)
    allow(world, allowed=True)
    refused(world.get(CHATS, key=cast.user), "RU002", 401)
    fresh = new_key(world, Kind.USER, member_uuid=cast.tomas.uuid)
    accepted(world.get(CHATS, key=fresh))
    stopped = [e for e in world.entries(cast.firm) if e["type"] == "key.deactivated"]
    assert cast.user.uuid in {entry["api_key_uuid"] for entry in stopped}


@pytest.mark.parametrize("state", ["suspended", "inactive"])
def test_a_user_key_rests_on_an_active_owner(world: World, state: str) -> None:
    cast = world.cast
    accepted(world.get(CHATS, key=cast.user))
    set_member_state(world, cast.tomas, state)
    refused(world.get(CHATS, key=cast.user), "RU002", 401)
    set_member_state(world, cast.tomas, "active")
    accepted(world.get(CHATS, key=cast.user))


def test_a_user_key_rests_on_an_owner_of_the_staff_side(world: World) -> None:
    cast = world.cast
    world.change(cast.firm, "UPDATE member SET profile = 4 WHERE uuid = $1", cast.tomas.uuid)
    refused(world.get(CHATS, key=cast.user), "RU002", 401)


def test_switching_user_keys_off_stops_those_of_all_owners_and_no_other_key(world: World) -> None:
    cast = world.cast
    theirs = [
        new_key(world, Kind.USER, member_uuid=owner.uuid)
        for owner in (cast.tomas, cast.ingrid, cast.miriam)
    ]
    for key in theirs:
        accepted(world.get(CHATS, key=key))
    before = world.head(cast.firm)
    allow(world, allowed=False)
    for key in theirs:
        refused(world.get(CHATS, key=key), "RU002", 401)
    accepted(world.get(EVENTS, key=cast.system))
    accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.ingrid))
    accepted(world.get(CHATS, key=cast.other_user))
    states = {row["api_key"]: row["state"] for row in world.work(cast.firm, keys.listed)}
    assert {states[key.api_key] for key in theirs} == {"deactivated"}
    entries = world.entries(cast.firm, before)
    stopped = [entry["api_key_uuid"] for entry in entries if entry["type"] == "key.deactivated"]
    assert {key.uuid for key in theirs} <= set(stopped)
    assert len(set(stopped)) == len(stopped)


# -- making keys ----------------------------------------------------------------------------------

BAD_KEYS: list[tuple[Kind, dict[str, Any], str]] = [
    (Kind.SUPER, {"cidr_blocks": []}, "RB002"),
    (Kind.SYSTEM, {"permissions": ["can_fly"]}, "RB003"),
    (Kind.SYSTEM, {"permissions": ["can_read_chat"]}, "RB003"),
    (Kind.USER, {"permissions": ["can_read_admin"]}, "RB003"),
    (Kind.SYSTEM, {"permissions": ["can_provision", "can_export"]}, "RB003"),
    (Kind.SYSTEM, {"cidr_blocks": ["300.0.0.0/8"]}, "RB003"),
    (Kind.SYSTEM, {"expires_at": 1}, "RB003"),
    (Kind.SYSTEM, {"rate_limit": "many"}, "RB003"),
    (Kind.SYSTEM, {"rate_limit": "0/10"}, "RB003"),
    (Kind.SYSTEM, {"rate_limit": "10/0"}, "RB003"),
    (Kind.SYSTEM, {"rate_limit": "10"}, "RB003"),
    (Kind.SYSTEM, {"name": " "}, "RB003"),
    (Kind.SYSTEM, {"name": "x" * 501}, "RB003"),
    (Kind.USER, {}, "RB785"),
    (Kind.USER, {"member_uuid": "no uuid"}, "RB003"),
    (Kind.USER, {"member_uuid": STRANGER}, "RN006"),
    (Kind.SYSTEM, {"member_uuid": STRANGER}, "RB003"),
]


@pytest.mark.parametrize(("kind", "changes", "code"), BAD_KEYS, ids=str)
def test_a_key_that_cannot_be_is_refused(
    sqlite_world: World, kind: Kind, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        new_key(sqlite_world, kind, **changes)
    assert caught.value.code == code


@pytest.mark.parametrize("who", ["priya", "petra", "karl"])
def test_only_active_staff_of_the_organisation_own_keys(sqlite_world: World, who: str) -> None:
    person = getattr(sqlite_world.cast, who)
    with pytest.raises(Refusal) as caught:
        new_key(sqlite_world, Kind.USER, member_uuid=person.uuid)
    assert caught.value.code == ("RN006" if who == "karl" else "RB019")


def test_a_key_may_hold_can_provision_alone(sqlite_world: World) -> None:
    key = new_key(sqlite_world, permissions=["can_provision"])
    refused(sqlite_world.get(EVENTS, key=key), "RF008", 403)


def test_a_key_is_listed_without_its_secret(world: World) -> None:
    cast = world.cast
    expires = times.now() + 3600 * times.SECOND
    key = new_key(
        world,
        Kind.USER,
        name="Notes",
        permissions=["can_read_chat", "can_export", "can_export"],
        member_uuid=cast.tomas.uuid.upper(),
        cidr_blocks=[" 10.1.2.3/8 ", "::1", "::ffff:10.4.5.6/104"],
        expires_at=expires,
        rate_limit="007/10",
    )
    listed = {row["api_key_uuid"]: row for row in world.work(cast.firm, keys.listed)}
    row = listed[key.uuid]
    assert row.pop("created_at") < times.wire(expires)
    assert row == {
        "api_key_uuid": key.uuid,
        "api_key": key.api_key,
        "kind": "user",
        "name": "Notes",
        "permissions": ["can_export", "can_read_chat"],
        "cidr_blocks": ["10.0.0.0/8", "::1/128"],
        "state": "active",
        "entity_user_xref_uuid": cast.tomas.uuid,
        "expires_at": times.wire(expires),
        "last_used_at": None,
        "rate_limit": "7/10",
    }
    assert key.secret not in str(listed)
    entry = next(e for e in world.entries(cast.firm) if e.get("api_key_uuid") == key.uuid)
    assert entry["data"]["cidr_blocks"] == ["10.0.0.0/8", "::1/128"]
    assert key.secret not in str(world.entries(cast.firm))


def test_super_keys_belong_to_the_installation_and_others_do_not(sqlite_world: World) -> None:
    for entity, kind in ((sqlite_world.cast.firm, Kind.SUPER), (None, Kind.SYSTEM)):
        with pytest.raises(Refusal) as caught:
            sqlite_world.run(make_key(sqlite_world.app, entity, kind, cidr_blocks=LOOPBACK))
        assert caught.value.code == "RB019"


def test_an_actor_is_held_against_a_demand(sqlite_world: World) -> None:
    """What a session will be asked: kind, acting member, permission, in this order."""
    actor = operator(2, sqlite_world.cast.firm)
    kinds = frozenset({Kind.OPERATOR})
    credentials.admit(actor, credentials.Demand(kinds, ("can_export",), "optional"))
    for demand, code in (
        (credentials.Demand(frozenset({Kind.USER}), (), "required"), "RF008"),
        (credentials.Demand(kinds, ("can_export",), "required"), "RF004"),
    ):
        with pytest.raises(Refusal) as caught:
            credentials.admit(actor, demand)
        assert caught.value.code == code


# -- how a key ends -------------------------------------------------------------------------------


def test_a_deactivated_key_is_refused_at_the_next_request(world: World) -> None:
    cast = world.cast
    accepted(world.get(EVENTS, key=cast.system))
    stop(world, cast.system, cast.firm)
    stop(world, cast.system, cast.firm)  # a second time changes nothing
    refused(world.get(EVENTS, key=cast.system), "RU002", 401)
    refused(world.get(EVENTS, key=wrong(cast.system)), "RU001", 401)
    types = [e["type"] for e in world.entries(cast.firm)]
    assert types.count("key.deactivated") == 1
    states = {row["api_key"]: row["state"] for row in world.work(cast.firm, keys.listed)}
    assert states[cast.system.api_key] == "deactivated"


def test_an_expired_key_is_refused_from_that_moment(world: World) -> None:
    cast = world.cast
    soon = times.now() + times.SECOND * 4 // 10
    key = new_key(world, expires_at=soon)
    accepted(world.get(EVENTS, key=key))
    while times.now() <= soon:
        time.sleep(0.05)
    refused(world.get(EVENTS, key=key), "RU002", 401)
    states = {row["api_key"]: row["state"] for row in world.work(cast.firm, keys.listed)}
    assert states[key.api_key] == "expired"


def test_rotating_without_overlap_ends_the_old_secret_at_once(world: World) -> None:
    cast = world.cast
    accepted(world.get(EVENTS, key=cast.system))
    made = world.work(cast.firm, lambda work: keys.rotate(work, cast.system.api_key))
    fresh = ApiKey(Kind.SYSTEM, "", made.api_key, made.secret, "")
    assert made.secret != cast.system.secret
    accepted(world.get(EVENTS, key=fresh))
    refused(world.get(EVENTS, key=cast.system), "RU001", 401)


def test_rotating_with_overlap_lets_both_secrets_work_until_it_ends(world: World) -> None:
    cast = world.cast
    made = world.work(cast.firm, lambda work: keys.rotate(work, cast.system.api_key, 1))
    until = times.now() + times.SECOND
    fresh = ApiKey(Kind.SYSTEM, "", made.api_key, made.secret, "")
    accepted(world.get(EVENTS, key=fresh))
    accepted(world.get(EVENTS, key=cast.system))
    while times.now() <= until:
        time.sleep(0.05)
    refused(world.get(EVENTS, key=cast.system), "RU001", 401)
    accepted(world.get(EVENTS, key=fresh))
    entry = next(e for e in world.entries(cast.firm) if e["type"] == "key.rotated")
    assert set(entry["data"]) == {"overlap_until"}


def test_a_rotated_key_is_the_same_key(world: World) -> None:
    """Its id, name, permissions, addresses and limits stay."""
    cast = world.cast
    key = new_key(
        world,
        name="Notes",
        permissions=["can_write_admin"],
        cidr_blocks=["127.0.0.0/8"],
        rate_limit="100/60",
    )
    before = {row["api_key"]: row for row in world.work(cast.firm, keys.listed)}
    made = world.work(cast.firm, lambda work: keys.rotate(work, key.api_key))
    assert (made.api_key_uuid, made.api_key) == (key.uuid, key.api_key)
    assert {row["api_key"]: row for row in world.work(cast.firm, keys.listed)} == before
    fresh = ApiKey(Kind.SYSTEM, key.uuid, made.api_key, made.secret, "Notes")
    accepted(world.post(CREATE, key=fresh, json=_member()))
    refused(world.get(EVENTS, key=fresh), "RF732", 403)
    refused(world.get(EVENTS, key=fresh, client="10.0.0.1"), "RU004", 401)


def test_each_key_counts_its_requests_for_itself(make_world: MakeWorld) -> None:
    world = make_world(rate_limit=(2, 60))
    cast = world.cast
    for left in (1, 0):
        response = world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas)
        accepted(response)
        assert response.headers["ratelimit-policy"] == '"key";q=2;w=60'
        assert response.headers["ratelimit"].startswith(f'"key";r={left};')
    # Another acting member is no other key, and another key of the same person is.
    response = world.get(CHATS, key=cast.master, on_behalf_of=cast.priya)
    refused(response, "RU029", 429)
    assert 1 <= int(response.headers["retry-after"]) <= 61
    accepted(world.get(CHATS, key=cast.user))


def rotate(world: World, api_key: str, overlap: int) -> None:
    world.work(world.cast.firm, lambda work: keys.rotate(work, api_key, overlap))


def test_a_key_that_ended_is_not_rotated(world: World) -> None:
    cast = world.cast
    stop(world, cast.system, cast.firm)
    for api_key, overlap, code in (
        (cast.system.api_key, 0, "RB019"),
        (cast.other_system.api_key, 0, "RN008"),
        ("ork-nothing", 0, "RN008"),
        (cast.master.api_key, -1, "RB003"),
        (cast.master.api_key, 30 * 86_400 + 1, "RB003"),
    ):
        with pytest.raises(Refusal) as caught:
            rotate(world, api_key, overlap)
        assert caught.value.code == code


def test_deactivating_ends_the_overlap_as_well(world: World) -> None:
    cast = world.cast
    world.work(cast.firm, lambda work: keys.rotate(work, cast.system.api_key, 3600))
    stop(world, cast.system, cast.firm)
    refused(world.get(EVENTS, key=cast.system), "RU001", 401)


def test_a_key_stopped_by_another_process_is_refused_at_the_next_request(world: World) -> None:
    cast = world.cast
    accepted(world.get(EVENTS, key=cast.system))
    accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas))
    chat = accepted(
        world.post(
            f"{CHAT}/chats/create",
            key=cast.master,
            on_behalf_of=cast.tomas,
            json={"entity_user_xref_uuids": [cast.priya.uuid]},
        )
    )["chat_uuid"]
    text = {"chat_uuid": chat, "text": "hello"}
    accepted(world.post(SEND, key=cast.master, on_behalf_of=cast.tomas, json=text))
    neighbour = world.beside()
    try:
        stop(neighbour, cast.system, cast.firm)
        stop(neighbour, cast.master, cast.firm)
    finally:
        neighbour.close()
    refused(world.get(EVENTS, key=cast.system), "RU002", 401)
    refused(world.post(CREATE, key=cast.system, json=_member()), "RU002", 401)
    before = world.head(cast.firm)
    refused(world.post(SEND, key=cast.master, on_behalf_of=cast.tomas, json=text), "RU002", 401)
    assert world.head(cast.firm) == before


@pytest.mark.parametrize(
    "bad",
    [
        {"content": b"no json"},
        {"json": {}},
        {"json": {"text": 1}},
        {"content": b"x" * (1024 * 1024 + 1)},
        {"content": b"a=1", "headers": {"content-type": "application/x-www-form-urlencoded"}},
    ],
    ids=["no json", "missing", "wrong type", "too large", "form"],
)
def test_a_stopped_key_learns_of_that_before_its_spelling(
    world: World, bad: dict[str, Any]
) -> None:
    cast = world.cast
    accepted(world.get(CHATS, key=cast.user))
    world.post(SEND, key=cast.user, json={})  # the verdict is remembered
    stop(world, cast.user, cast.firm)
    refused(world.post(SEND, key=cast.user, **bad), "RU002", 401)


def test_a_stopped_key_learns_of_that_before_its_query_is_judged(world: World) -> None:
    cast = world.cast
    accepted(world.get(CHATS, key=cast.user))
    stop(world, cast.user, cast.firm)
    refused(world.get(CHATS, key=cast.user, params={"limit": "many"}), "RU002", 401)


# -- refused uses are on record -------------------------------------------------------------------


def test_refused_uses_of_a_known_key_are_counted_and_put_on_record_once(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    for _ in range(3):
        refused(world.post(CREATE, key=cast.alone[Kind.SYSTEM, "can_export"], json={}), "RF734")
    for _ in range(2):
        refused(world.get(EVENTS, key=wrong(cast.system)), "RU001")
    refused(world.get(EVENTS, key=ApiKey(Kind.SYSTEM, "", "ork-stranger", "-", "")), "RU001")
    assert world.head(cast.firm) == before
    world.run(world.app.note_counts())
    world.run(world.app.note_counts())
    denied = [e for e in world.entries(cast.firm, before) if e["type"] == "key.used_denied"]
    told = {(e["api_key_uuid"], e["data"]["error_code"]): e["data"]["count"] for e in denied}
    assert told == {
        (cast.alone[Kind.SYSTEM, "can_export"].uuid, "RF734"): 3,
        (cast.system.uuid, "RU001"): 2,
    }
    assert len(denied) == 2
    assert all(entry["actor"]["kind"] == "service" for entry in denied)


def test_refused_uses_of_a_super_key_stand_in_the_installations_record(world: World) -> None:
    cast = world.cast
    installation = "00000000-0000-0000-0000-000000000000"
    before = world.head(installation)
    refused(world.get(EVENTS, key=cast.superkey, client="203.0.113.9"), "RU004", 401)
    world.run(world.app.note_counts())
    (entry,) = world.entries(installation, before)
    assert entry["type"] == "key.used_denied"
    assert entry["data"] == {"error_code": "RU004", "count": 1}


def test_an_orderly_stop_loses_no_count(world: World) -> None:
    cast = world.cast
    refused(world.get(EVENTS, key=wrong(cast.system)), "RU001")
    world.restart()
    assert [e for e in world.entries(cast.firm) if e["type"] == "key.used_denied"]


def test_when_a_key_was_last_used_is_noted_without_an_entry(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    start = times.now()
    accepted(world.get(EVENTS, key=cast.system))
    world.run(world.app.note_counts())
    assert world.head(cast.firm) == before
    used = {row["api_key"]: row["last_used_at"] for row in world.work(cast.firm, keys.listed)}
    assert times.read(used[cast.system.api_key]) >= start
    assert used[cast.master.api_key] is None


def test_a_refused_use_is_no_use(world: World) -> None:
    cast = world.cast
    refused(world.get(EVENTS, key=wrong(cast.system)), "RU001", 401)
    far = new_key(world, cidr_blocks=["10.0.0.0/8"])
    refused(world.get(EVENTS, key=far), "RU004", 401)
    world.run(world.app.note_counts())
    used = {row["api_key"]: row["last_used_at"] for row in world.work(cast.firm, keys.listed)}
    assert (used[cast.system.api_key], used[far.api_key]) == (None, None)


# -- addresses ------------------------------------------------------------------------------------

BLOCKS: list[tuple[str, str, bool]] = [
    ("10.0.0.0/8", "10.255.255.255", True),
    ("10.0.0.0/8", "11.0.0.0", False),
    ("10.0.0.1", "10.0.0.1", True),
    ("10.0.0.1", "10.0.0.2", False),
    ("10.0.0.0/8", "::ffff:10.1.2.3", True),
    ("10.0.0.0/8", "::ffff:11.1.2.3", False),
    ("2001:db8::/32", "2001:db8::1", True),
    ("2001:db8::/32", "2001:db9::1", False),
    ("2001:db8::/32", "10.0.0.1", False),
    ("0.0.0.0/0", "203.0.113.5", True),
    ("0.0.0.0/0", "2001:db8::1", False),
    ("::/0", "2001:db8::1", True),
    ("::ffff:10.1.2.3", "10.1.2.3", True),
    ("::ffff:10.1.2.3", "10.1.2.4", False),
    ("::ffff:a00:0/104", "10.255.0.1", True),
    ("::ffff:0:0/96", "203.0.113.5", True),
    ("::ffff:0:0/95", "203.0.113.5", False),
]


@pytest.mark.parametrize(("block", "address", "inside"), BLOCKS)
def test_a_key_with_blocks_works_from_inside_them_only(
    sqlite_world: World, block: str, address: str, *, inside: bool
) -> None:
    key = new_key(sqlite_world, cidr_blocks=["192.0.2.0/24", block])
    response = sqlite_world.get(EVENTS, key=key, client=address)
    if inside:
        accepted(response)
    else:
        refused(response, "RU004", 401)


def test_a_key_with_blocks_needs_an_address(sqlite_world: World) -> None:
    key = new_key(sqlite_world, cidr_blocks=["0.0.0.0/0", "::/0"])
    refused(sqlite_world.get(EVENTS, key=key, client=None), "RU004", 401)
    accepted(sqlite_world.get(EVENTS, key=sqlite_world.cast.system, client=None))


def test_super_keys_need_blocks(sqlite_world: World) -> None:
    with pytest.raises(Refusal) as caught:
        new_key(sqlite_world, Kind.SUPER)
    assert caught.value.code == "RB002"
    new_key(sqlite_world, Kind.SUPER, cidr_blocks=LOOPBACK)


def test_a_verdict_is_remembered_for_one_address_only(make_world: MakeWorld) -> None:
    world = make_world()
    key = new_key(world, cidr_blocks=["10.0.0.0/8"])
    accepted(world.get(EVENTS, key=key, client="10.0.0.1"))
    refused(world.get(EVENTS, key=key, client="11.0.0.1"), "RU004", 401)
    accepted(world.get(EVENTS, key=key, client="10.0.0.1"))


def test_keys_of_two_organisations_see_their_own_alone(world: World) -> None:
    cast: Cast = world.cast
    for key, mine, theirs in (
        (cast.system, cast.miriam, cast.nadia),
        (cast.other_system, cast.nadia, cast.miriam),
    ):
        accepted(world.get(MEMBER, key=key, params={"entity_user_xref_uuid": mine.uuid}))
        stranger = {"entity_user_xref_uuid": theirs.uuid}
        refused(world.get(MEMBER, key=key, params=stranger), "RN006", 404)


def test_no_user_key_is_made_while_the_organisation_does_not_allow_them(world: World) -> None:
    cast = world.cast

    async def make(work: Work) -> keys.NewKey:
        return await keys.create(
            work,
            kind=Kind.USER,
            name="Mine",
            permissions=["can_read_chat"],
            member_uuid=cast.tomas.uuid,
        )

    world.work(cast.firm, make)
    world.work(
        cast.firm,
        lambda work: organisations.set_setting(work, "allow_user_api_keys", value=False),
    )
    with pytest.raises(Refusal) as caught:
        world.work(cast.firm, make)
    assert caught.value.code == "RF888"
