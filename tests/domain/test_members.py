"""Members: how a person comes into an organisation, and finding one."""

import json
from typing import Any

import pytest

from onrecord.domain import members, organisations
from onrecord.domain.groups import put_into_group
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.people import Member
from onrecord.store import groups
from onrecord.store.work import Work
from tests.cast import PASSWORD, butler_of, set_group_state, set_member_state
from tests.world import ENTITY, World, accepted, refused

CREATE = f"{ENTITY}/entity-memberships/create"
V2 = f"{CREATE}/v2"
MEMBER = f"{ENTITY}/entity-memberships"
STRANGER = "00000000-0000-4000-8000-000000000001"


def person(**changes: Any) -> dict[str, Any]:
    return {
        "enum_profile_id": 4,
        "first_name": "Nell",
        "primary_email": "nell@example.com",
        **changes,
    }


def create(world: World, path: str = V2, **changes: Any) -> dict[str, Any]:
    return accepted(world.post(path, key=world.cast.system, json=person(**changes)))


def refuse(world: World, code: str, path: str = V2, **changes: Any) -> dict[str, Any]:
    """Expect a refusal, and that it left nothing behind."""
    before = world.head(world.cast.firm)
    response = world.post(path, key=world.cast.system, json=person(**changes))
    body = refused(response, code)
    assert world.head(world.cast.firm) == before
    return body


def setting(world: World, key: str, value: str) -> None:
    world.work(world.cast.firm, lambda work: organisations.set_setting(work, key, value))


def groups_of(world: World, uuid: str) -> list[str]:
    found = accepted(
        world.get(MEMBER, key=world.cast.system, params={"entity_user_xref_uuid": uuid})
    )
    return list(found["entity_membership"]["group_uuids"])


# -- what is made ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CREATE, V2])
def test_a_member_is_made_as_asked(world: World, path: str) -> None:
    cast = world.cast
    body = create(
        world,
        path,
        last_name="Quist",
        job_title="Engineer",
        identifier="CL-77",
        primary_email="  Nell@Example.com ",
        primary_phone_number="+44 (20) 7946-0000",
        group_uuids=[cast.team.upper(), cast.team],
        created_by_entity_user_xref_uuid=cast.tomas.uuid.upper(),
        send_invitation=True,
        invitation_message="Welcome!",
    )
    shown = body["entity_membership"]
    assert body["group_uuid"] is None
    assert body["entity_user_xref_uuid"] == shown["entity_user_xref_uuid"]
    assert shown["created_at"] == shown["updated_at"]
    expires_at = shown["invitation"]["expires_at"]
    assert {k: v for k, v in shown.items() if not k.endswith("_at")} == {
        "entity_uuid": cast.firm,
        "entity_user_xref_uuid": body["entity_user_xref_uuid"],
        "identifier": "CL-77",
        "enum_profile_id": 4,
        "profile": "client",
        "first_name": "Nell",
        "last_name": "Quist",
        "job_title": "Engineer",
        "primary_email": "Nell@Example.com",
        "primary_phone_number": "+442079460000",
        "emails": ["Nell@Example.com"],
        "phone_numbers": ["+442079460000"],
        "state": "pending",
        "data_reviewer_level": 0,
        "has_avatar": False,
        "group_uuids": [cast.team],
        "invitation": {
            "state": "not_sent",
            "sent_at": None,
            "reminders_sent": 0,
            "expires_at": expires_at,
        },
    }
    assert times.read(expires_at) > times.now()


def test_making_a_member_is_on_record_with_its_author_and_without_its_name(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    uuid = create(world, group_uuids=[cast.team], created_by_entity_user_xref_uuid=cast.tomas.uuid)[
        "entity_user_xref_uuid"
    ]
    made, joined, invited = world.entries(cast.firm, before)
    assert invited["type"] == "invitation.made"
    assert made["type"] == "member.created"
    assert made["entity_user_xref_uuid"] == uuid
    assert made["data"] == {"enum_profile_id": 4, "state": "pending"}
    assert made["actor"]["kind"] == "system"
    assert made["actor"]["api_key_uuid"] == cast.system.uuid
    assert made["actor"]["entity_user_xref_uuid"] == cast.tomas.uuid
    assert joined["type"] == "group.member_added"
    assert joined["group_uuid"] == cast.team
    assert "entity_user_xref_uuid" not in joined["actor"]
    assert "nell" not in str([made, joined, invited]).lower()


@pytest.mark.parametrize("profile", [1, 2, 3])
def test_staff_need_no_group(world: World, profile: int) -> None:
    body = create(world, enum_profile_id=profile)
    assert body["entity_membership"]["group_uuids"] == []


def test_no_invitation_when_none_is_to_be_sent(sqlite_world: World) -> None:
    body = create(sqlite_world, send_invitation=False)
    assert body["entity_membership"]["invitation"] is None


def test_empty_identifiers_and_phones_are_none(sqlite_world: World) -> None:
    for number in range(2):
        body = create(
            sqlite_world,
            identifier="",
            primary_phone_number="",
            primary_email=f"n{number}@example.com",
        )
        assert body["entity_membership"]["identifier"] is None
        assert body["entity_membership"]["primary_phone_number"] is None


def test_absent_and_null_are_the_same(sqlite_world: World) -> None:
    body = create(
        sqlite_world,
        last_name=None,
        job_title=None,
        identifier=None,
        primary_phone_number=None,
        group_uuids=None,
        created_by_entity_user_xref_uuid=None,
        send_invitation=None,
        invitation_message=None,
        new_group_name=None,
        new_group_entity_user_xref_uuids=None,
    )
    assert body["group_uuid"] is None
    made = body["entity_membership"]
    assert (made["last_name"], made["job_title"]) == ("", "")
    assert made["invitation"]["state"] == "not_sent"


def test_a_member_who_is_gone_is_not_shown(sqlite_world: World) -> None:
    gone = Member(
        id=999_999,
        uuid=STRANGER,
        entity_id=2,
        identifier=None,
        profile=4,
        first_name="Nobody",
        last_name="",
        state="active",
    )
    with pytest.raises(Refusal) as caught:
        sqlite_world.work(sqlite_world.cast.firm, lambda work: members.shown(work, gone))
    assert caught.value.code == "RN006"


def test_being_in_a_group_already_changes_nothing(world: World) -> None:
    cast = world.cast

    async def again(work: Work) -> None:
        (group,) = await groups.groups_of(work.db, work.actor.entity_id, [cast.team])
        member = await members.pick(work, cast.tomas.uuid, None)
        await put_into_group(work, group, member)

    before = world.head(cast.firm)
    world.work(cast.firm, again)
    assert world.head(cast.firm) == before


# -- groups ---------------------------------------------------------------------------------------


def test_a_client_without_a_group_lands_in_the_default_group(world: World) -> None:
    cast = world.cast
    uuid = create(world)["entity_user_xref_uuid"]
    assert groups_of(world, uuid) == [cast.default_group]
    assert cast.default_group in groups_of(world, cast.miriam.uuid)


def test_the_first_administrator_joins_a_default_group_without_staff(world: World) -> None:
    cast = world.cast
    world.change(
        cast.firm,
        "DELETE FROM group_member WHERE group_id = (SELECT id FROM client_group WHERE uuid = $1)",
        cast.default_group,
    )
    before = world.head(cast.firm)
    create(world)
    added = [e for e in world.entries(cast.firm, before) if e["type"] == "group.member_added"]
    assert added[0]["entity_user_xref_uuid"] == cast.miriam.uuid
    assert cast.default_group in groups_of(world, cast.miriam.uuid)


def test_groups_and_their_staff_have_changed_when_a_new_member_came(world: World) -> None:
    cast = world.cast

    def changed(path: str, names: str) -> set[str]:
        at = {"updated_since": times.wire(since)} if names == "entity_memberships" else {}
        found = accepted(world.get(f"{ENTITY}/{path}/list", key=cast.system, params=at))[names]
        return {
            one.get("group_uuid") or one["entity_user_xref_uuid"]
            for one in found
            if one["updated_at"] >= times.wire(since)
        }

    since = times.now()
    made = create(
        world,
        group_uuids=[cast.team],
        new_group_name="Team",
        new_group_entity_user_xref_uuids=[cast.olga.uuid],
    )
    newcomer = made["entity_user_xref_uuid"]
    assert changed("entity-memberships", "entity_memberships") == {newcomer, cast.olga.uuid}
    assert changed("groups", "groups") == {cast.team, made["group_uuid"]}
    out = {"group_uuid": cast.default_group, "entity_user_xref_uuids": [cast.miriam.uuid]}
    accepted(world.post(f"{ENTITY}/groups/group-members/destroy", key=cast.system, json=out))
    since = times.now()
    newcomer = create(world, primary_email="two@example.com")["entity_user_xref_uuid"]
    assert changed("entity-memberships", "entity_memberships") == {newcomer, cast.miriam.uuid}
    assert changed("groups", "groups") == {cast.default_group}


def test_without_an_active_administrator_the_default_group_takes_no_client(world: World) -> None:
    set_member_state(world, world.cast.miriam, "suspended")
    refuse(world, "RB020")


def test_without_a_default_group_a_client_needs_one(world: World) -> None:
    world.change(world.cast.firm, "UPDATE client_group SET is_default = 0")
    refuse(world, "RN002")


@pytest.mark.parametrize(("group", "code"), [(STRANGER, "RN002"), ("no uuid", "RB003")])
def test_an_unknown_group_is_refused(sqlite_world: World, group: str, code: str) -> None:
    refuse(sqlite_world, code, group_uuids=[sqlite_world.cast.team, group])


def test_a_group_next_door_is_unknown(world: World) -> None:
    rows = world.rows(
        "SELECT g.uuid FROM client_group g JOIN entity e ON e.id = g.entity_id WHERE e.uuid = $1",
        world.cast.other,
    )
    refuse(world, "RN002", group_uuids=[rows[0][0]])


def test_an_inactive_group_takes_nobody(world: World) -> None:
    set_group_state(world, world.cast.team, "inactive")
    refuse(world, "RB019", group_uuids=[world.cast.team])


def test_a_group_without_active_staff_takes_no_client_but_staff(world: World) -> None:
    cast = world.cast
    set_member_state(world, cast.tomas, "suspended")
    create(world, group_uuids=[cast.team], primary_email="one@example.com")
    set_member_state(world, cast.ingrid, "suspended")
    refuse(world, "RB020", group_uuids=[cast.team])
    create(world, group_uuids=[cast.team], enum_profile_id=3)


def test_v2_makes_a_group_with_the_people_named(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    body = create(
        world,
        new_group_name="Nell's team",
        new_group_entity_user_xref_uuids=[cast.tomas.uuid, cast.priya.uuid, cast.tomas.uuid],
    )
    group = body["group_uuid"]
    assert body["entity_membership"]["group_uuids"] == [group]
    assert group in groups_of(world, cast.tomas.uuid)
    assert group in groups_of(world, cast.priya.uuid)
    assert group not in groups_of(world, cast.miriam.uuid)
    types = [entry["type"] for entry in world.entries(cast.firm, before)]
    added = ["group.member_added"] * 3
    assert types == ["member.created", "group.created", *added, "invitation.made"]


def test_v2_adds_the_creator_where_no_staff_would_be(world: World) -> None:
    cast = world.cast
    body = create(world, new_group_name="Alone")
    assert body["group_uuid"] in groups_of(world, cast.miriam.uuid)
    body = create(
        world,
        new_group_name="With a friend",
        new_group_entity_user_xref_uuids=[cast.priya.uuid],
        created_by_entity_user_xref_uuid=cast.olga.uuid,
        primary_email="second@example.com",
    )
    assert body["group_uuid"] in groups_of(world, cast.olga.uuid)
    set_member_state(world, cast.miriam, "inactive")
    refuse(world, "RB020", new_group_name="Nobody", primary_email="third@example.com")


def test_v2_takes_groups_and_a_new_one_together(world: World) -> None:
    cast = world.cast
    body = create(world, new_group_name="Also", group_uuids=[cast.team])
    assert set(body["entity_membership"]["group_uuids"]) == {cast.team, body["group_uuid"]}


def test_v2_refuses_people_who_are_not_there(world: World) -> None:
    cast = world.cast
    butler = butler_of(world, cast.firm)
    set_member_state(world, cast.olga, "inactive")
    for uuid, code in (
        (STRANGER, "RN006"),
        (cast.karl.uuid, "RN006"),
        (butler, "RN006"),
        (cast.olga.uuid, "RN006"),
        ("no uuid", "RB003"),
    ):
        refuse(world, code, new_group_name="Team", new_group_entity_user_xref_uuids=[uuid])


def test_a_call_makes_no_more_than_500_changes(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = sqlite_world.cast
    monkeypatch.setattr("onrecord.domain.groups.ENTRIES_MOST", 4)
    team: dict[str, Any] = {
        "new_group_name": "Team",
        "new_group_entity_user_xref_uuids": [cast.tomas.uuid],
    }
    more = [cast.tomas.uuid, cast.olga.uuid]
    body = refuse(sqlite_world, "RB003", **{**team, "new_group_entity_user_xref_uuids": more})
    assert body["errors"][0]["pointer"] == "/new_group_entity_user_xref_uuids"
    body = refuse(
        sqlite_world, "RB003", group_uuids=[f"{number:08d}{STRANGER[8:]}" for number in range(4)]
    )
    assert body["errors"][0]["pointer"] == "/group_uuids"
    create(sqlite_world, **team)


def test_a_new_group_name_of_white_space_is_refused(sqlite_world: World) -> None:
    refuse(sqlite_world, "RB003", new_group_name="  ")
    refuse(sqlite_world, "RB003", new_group_name="x" * 501)
    create(sqlite_world, new_group_name="x" * 500)


# -- identifiers and emails -----------------------------------------------------------------------


def test_an_identifier_is_unique_in_its_organisation_and_case_sensitive(world: World) -> None:
    cast = world.cast
    refuse(world, "RB013", identifier="CL-1")
    create(world, identifier="cl-1", primary_email="one@example.com")
    body = person(identifier="ADV-2", primary_email=cast.ingrid.email)
    accepted(world.post(CREATE, key=cast.other_system, json=body))


@pytest.mark.parametrize(
    "email", ["priya.nair@example.com", " PRIYA.Nair@example.COM\n", "Priya.Nair@Example.com"]
)
def test_an_email_is_unique_in_its_organisation_however_it_is_written(
    world: World, email: str
) -> None:
    refuse(world, "RB014", primary_email=email)


def test_emails_are_compared_in_their_composed_form(world: World) -> None:
    create(world, primary_email="ren\u00e9@example.com")
    refuse(world, "RB014", primary_email="Rene\u0301@example.com")


def test_inactive_members_keep_their_email_and_identifier(world: World) -> None:
    set_member_state(world, world.cast.priya, "inactive")
    refuse(world, "RB014", primary_email=world.cast.priya.email)
    refuse(world, "RB013", identifier="CL-1")


def test_two_at_once_with_one_email_make_one_member(world: World) -> None:
    cast = world.cast
    for field, code in (("primary_email", "RB014"), ("identifier", "RB013")):
        bodies = [
            person(**{"primary_email": f"{field}{n}@example.com", field: "same@example.com"})
            for n in range(4)
        ]
        responses = world.together(
            *(world.request("POST", CREATE, key=cast.system, json=body) for body in bodies)
        )
        made = [one for one in responses if one.status_code == 200]
        assert len(made) == 1, [one.text for one in responses]
        for one in responses:
            if one not in made:
                refused(one, code, 400)


# -- wrong fields ---------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"enum_profile_id": 0}, "RB003"),
    ({"enum_profile_id": 6}, "RB003"),
    ({"enum_profile_id": 7}, "RB003"),
    ({"enum_profile_id": -1}, "RB003"),
    ({"enum_profile_id": 10**30}, "RB003"),
    ({"enum_profile_id": "4"}, "RB003"),
    ({"enum_profile_id": 4.5}, "RB003"),
    ({"enum_profile_id": None}, "RB003"),
    ({"first_name": ""}, "RB003"),
    ({"first_name": " \t"}, "RB003"),
    ({"first_name": "x" * 501}, "RB003"),
    ({"first_name": "a\x00b"}, "RB003"),
    ({"first_name": "a\x9fb"}, "RB003"),
    ({"last_name": "x" * 501}, "RB003"),
    ({"last_name": "\x1b"}, "RB003"),
    ({"job_title": "x" * 501}, "RB003"),
    ({"identifier": "x" * 501}, "RB003"),
    ({"identifier": " padded"}, "RB003"),
    ({"identifier": "a\x00"}, "RB003"),
    ({"identifier": 7}, "RB003"),
    ({"primary_email": ""}, "RB003"),
    ({"primary_email": "nobody"}, "RB003"),
    ({"primary_email": "a@b@c"}, "RB003"),
    ({"primary_email": "a b@c.com"}, "RB003"),
    ({"primary_email": "@example.com"}, "RB003"),
    ({"primary_email": "a@.com"}, "RB003"),
    ({"primary_email": "x" * 309 + "@example.com"}, "RB003"),
    ({"primary_phone_number": "0044"}, "RB003"),
    ({"primary_phone_number": "+44x"}, "RB003"),
    ({"primary_phone_number": "+1" * 300}, "RB003"),
    ({"invitation_message": "x" * 5001}, "RB003"),
    ({"invitation_message": "\x07"}, "RB003"),
    ({"send_invitation": "yes"}, "RB003"),
    ({"group_uuids": "one"}, "RB003"),
    ({"group_uuids": [1]}, "RB003"),
    ({"created_by_entity_user_xref_uuid": "no uuid"}, "RB003"),
    ({"created_by_entity_user_xref_uuid": STRANGER}, "RN006"),
]


@pytest.mark.parametrize(("changes", "code"), WRONG, ids=lambda one: str(one)[:60])
def test_a_field_that_cannot_be_is_refused(
    sqlite_world: World, changes: dict[str, Any], code: str
) -> None:
    refuse(sqlite_world, code, **changes)


def test_a_refusal_names_the_field(sqlite_world: World) -> None:
    body = refuse(sqlite_world, "RB003", first_name="")
    assert body["errors"] == [{"pointer": "/first_name", "detail": "needs at least 1 character"}]
    body = refuse(sqlite_world, "RB003", group_uuids=["x", 1])
    assert body["errors"][0]["pointer"] == "/group_uuids/1"
    body = refuse(sqlite_world, "RB003", new_group_name="  ")
    assert body["errors"][0]["pointer"] == "/new_group_name"
    body = refuse(
        sqlite_world, "RB003", new_group_name="Team", new_group_entity_user_xref_uuids=["x"]
    )
    assert body["errors"][0]["pointer"] == "/new_group_entity_user_xref_uuids/0"


@pytest.mark.parametrize("field", ["enum_profile_id", "first_name", "primary_email"])
def test_what_is_required_is_required(sqlite_world: World, field: str) -> None:
    body = person()
    del body[field]
    for path in (CREATE, V2):
        answer = refused(
            sqlite_world.post(path, key=sqlite_world.cast.system, json=body), "RB002", 400
        )
        assert answer["errors"] == [{"pointer": f"/{field}", "detail": "is required"}]


def test_the_longest_of_everything_fits(world: World) -> None:
    body = create(
        world,
        first_name="é" * 500,
        last_name="😀" * 500,
        job_title="x" * 500,
        identifier="i" * 500,
        primary_email="x" * 308 + "@example.com",
        invitation_message="m" * 5000,
    )
    assert body["entity_membership"]["last_name"] == "😀" * 500


def test_who_invites_is_active_staff_of_the_organisation(world: World) -> None:
    cast = world.cast
    refuse(world, "RF006", created_by_entity_user_xref_uuid=cast.priya.uuid)
    refuse(world, "RN006", created_by_entity_user_xref_uuid=cast.karl.uuid)
    refuse(world, "RF006", created_by_entity_user_xref_uuid=butler_of(world, cast.firm))
    set_member_state(world, cast.olga, "suspended")
    refuse(world, "RF024", created_by_entity_user_xref_uuid=cast.olga.uuid)


@pytest.mark.parametrize("kind", ["email_and_phone", "email_only", "optional_phone"])
def test_a_phone_is_required_where_the_organisation_asks_for_it(world: World, kind: str) -> None:
    setting(world, "client_invitation_type", kind)
    if kind == "email_and_phone":
        body = refuse(world, "RB002")
        assert body["errors"][0]["pointer"] == "/primary_phone_number"
        refuse(world, "RB002", primary_phone_number="")
    else:
        create(world, primary_email="without@example.com")
    create(world, primary_phone_number="+441234567890")
    create(world, enum_profile_id=3, primary_email="staff@example.com")
    setting(world, "staff_invitation_type", "email_and_phone")
    refuse(world, "RB002", enum_profile_id=3, primary_email="more@example.com")


# -- finding --------------------------------------------------------------------------------------


def test_a_member_is_found_by_uuid_identifier_or_email(world: World) -> None:
    cast = world.cast
    for params in (
        {"entity_user_xref_uuid": cast.priya.uuid},
        {"entity_user_xref_uuid": cast.priya.uuid.upper()},
        {"identifier": "CL-1"},
        {"entity_user_xref_uuid": cast.priya.uuid, "identifier": "CL-1"},
        {"primary_email": " PRIYA.nair@EXAMPLE.com "},
    ):
        body = accepted(world.get(MEMBER, key=cast.system, params=params))
        assert body["entity_membership"]["entity_user_xref_uuid"] == cast.priya.uuid
        assert body["entity_membership"]["state"] == "active"
        assert body["entity_membership"]["invitation"] == {
            "state": "accepted",
            "sent_at": None,
            "reminders_sent": 0,
            "expires_at": None,
        }


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "RB785"),
        ({"identifier": ""}, "RB785"),
        ({"entity_user_xref_uuid": ""}, "RB785"),
        ({"identifier": "cl-1"}, "RN006"),
        ({"identifier": "nobody"}, "RN006"),
        ({"identifier": "a\x00b"}, "RB003"),
        ({"entity_user_xref_uuid": "CL-1"}, "RB003"),
        ({"entity_user_xref_uuid": STRANGER}, "RN006"),
        ({"entity_user_xref_uuid": STRANGER, "identifier": "CL-1"}, "RN006"),
        ({"primary_email": "nobody@example.com"}, "RN006"),
        ({"primary_email": "a\x00b@example.com"}, "RB003"),
    ],
    ids=str,
)
def test_a_member_who_is_not_there_is_not_found(
    world: World, params: dict[str, str], code: str
) -> None:
    refused(world.get(MEMBER, key=world.cast.system, params=params), code)


def test_uuid_and_identifier_of_two_members_contradict(world: World) -> None:
    cast = world.cast
    for identifier in ("CL-2", "nobody"):
        params = {"entity_user_xref_uuid": cast.priya.uuid, "identifier": identifier}
        refused(world.get(MEMBER, key=cast.system, params=params), "RB003", 400)


def test_a_member_next_door_is_not_found(world: World) -> None:
    cast = world.cast
    for params in (
        {"entity_user_xref_uuid": cast.lena.uuid},
        {"primary_email": cast.lena.email},
    ):
        refused(world.get(MEMBER, key=cast.system, params=params), "RN006", 404)
    body = accepted(world.get(MEMBER, key=cast.other_system, params={"identifier": "CL-1"}))
    assert body["entity_membership"]["entity_user_xref_uuid"] == cast.lena.uuid


# -- joining by the operator's hand ---------------------------------------------------------------


def activate(
    world: World, uuid: str, username: str = "petra.wolf", password: str = PASSWORD
) -> None:
    world.work(world.cast.firm, lambda work: members.activate(work, uuid, username, password))


def test_a_pending_member_joins_with_an_account(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    activate(world, cast.petra.uuid)
    (entry,) = world.entries(cast.firm, before)
    assert entry["type"] == "member.joined"
    installation = world.entries("00000000-0000-0000-0000-000000000000")
    account = installation[-1]
    assert account["type"] == "account.created"
    assert account["account_uuid"] == entry["account_uuid"]
    assert "petra" not in str([entry, account])
    rows = world.rows("SELECT password FROM account WHERE uuid = $1", entry["account_uuid"])
    assert rows[0][0].startswith("$argon2id$")
    with pytest.raises(Refusal) as caught:
        activate(world, cast.petra.uuid, "another.name")
    assert caught.value.code == "RB019"


@pytest.mark.parametrize(
    ("who", "username", "password", "code"),
    [
        (STRANGER, "petra.wolf", PASSWORD, "RN006"),
        ("no uuid", "petra.wolf", PASSWORD, "RB003"),
        ("", "petra.wolf", PASSWORD, "RB785"),
        ("petra", "PRIYA.nair", PASSWORD, "RB013"),
        ("petra", "short", PASSWORD, "RB003"),
        ("petra", "has space", PASSWORD, "RB003"),
        ("petra", "12345678", PASSWORD, "RB003"),
        ("petra", "petra@wolf", PASSWORD, "RB003"),
        ("petra", "x" * 101, PASSWORD, "RB003"),
        ("petra", "petra.wolf", "too short", "RB003"),
        ("petra", "petra.wolf", "x" * 1001, "RB003"),
        ("karl", "petra.wolf", PASSWORD, "RN006"),
    ],
)
def test_joining_is_refused_in_words(
    sqlite_world: World, who: str, username: str, password: str, code: str
) -> None:
    cast = sqlite_world.cast
    uuid = {"petra": cast.petra.uuid, "karl": cast.karl.uuid}.get(who, who)
    with pytest.raises(Refusal) as caught:
        activate(sqlite_world, uuid, username, password)
    assert caught.value.code == code
    assert password not in str(caught.value)


def test_a_member_without_groups_or_email_is_shown(world: World) -> None:
    butler = butler_of(world, world.cast.firm)
    params = {"entity_user_xref_uuid": butler}
    shown = accepted(world.get(MEMBER, key=world.cast.system, params=params))["entity_membership"]
    assert shown["profile"] == "butler"
    assert shown["primary_email"] is None
    assert shown["emails"] == []
    assert json.dumps(shown)


def test_a_member_and_an_email_that_do_not_belong_together_are_refused(world: World) -> None:
    cast = world.cast
    path = f"{ENTITY}/entity-memberships"
    right = {"identifier": "CL-1", "primary_email": f" {cast.priya.email.upper()}"}
    found = accepted(world.get(path, key=cast.system, params=right))["entity_membership"]
    assert found["entity_user_xref_uuid"] == cast.priya.uuid
    wrong = {"identifier": "CL-1", "primary_email": cast.george.email}
    refused(world.get(path, key=cast.system, params=wrong), "RB003", 400)


def test_members_for_a_new_group_without_a_name_are_refused(world: World) -> None:
    cast = world.cast
    body = {
        "enum_profile_id": 4,
        "first_name": "Nell",
        "primary_email": "nell@example.com",
        "new_group_entity_user_xref_uuids": [cast.tomas.uuid],
    }
    path = f"{ENTITY}/entity-memberships/create/v2"
    fault = refused(world.post(path, key=cast.system, json=body), "RB002", 400)
    assert fault["errors"][0]["pointer"] == "/new_group_name"
