"""Groups: who is in which, and what keeps clients from being left alone."""

from typing import Any

import pytest

from onrecord.domain import groups
from tests.cast import Person, butler_of, set_member_state
from tests.world import CHAT, ENTITY, World, accepted, refused

GROUPS = f"{ENTITY}/groups"
ADD = f"{GROUPS}/group-members/create"
REMOVE = f"{GROUPS}/group-members/destroy"
STRANGER = "00000000-0000-4000-8000-000000000001"


def post(world: World, path: str, **body: Any) -> dict[str, Any]:
    return accepted(world.post(path, key=world.cast.system, json=body))


def refuse(world: World, code: str, path: str, **body: Any) -> None:
    """Expect a refusal, and that it left nothing behind."""
    before = world.head(world.cast.firm)
    refused(world.post(path, key=world.cast.system, json=body), code)
    assert world.head(world.cast.firm) == before


def make(world: World, name: str = "Pensions", *people: Person, **more: Any) -> str:
    """Make a group of these people and give its uuid."""
    uuids = [person.uuid for person in people]
    body = {"name": name, "entity_user_xref_uuids": uuids, **more}
    return str(post(world, f"{GROUPS}/create", **body)["group_uuid"])


def group(world: World, uuid: str) -> dict[str, Any]:
    found = accepted(world.get(GROUPS, key=world.cast.system, params={"group_uuid": uuid}))
    return dict(found["group"])


def who(world: World, uuid: str) -> set[str]:
    return {one["first_name"] for one in group(world, uuid)["members"]}


def listed(world: World, **params: Any) -> list[dict[str, Any]]:
    return list(
        accepted(world.get(f"{GROUPS}/list", key=world.cast.system, params=params))["groups"]
    )


# -- making ---------------------------------------------------------------------------------------


def test_a_group_is_made_as_asked_and_read_back(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    made = post(
        world,
        f"{GROUPS}/create",
        name="Pensions",
        identifier="G-7",
        description="Old age",
        entity_user_xref_uuids=[cast.tomas.uuid.upper()],
        identifiers=["CL-1", "ADV-1"],
    )
    shown = group(world, made["group_uuid"])
    members = shown.pop("members")
    assert made["group"] == shown
    assert {name: shown[name] for name in shown if not name.endswith("_at")} == {
        "group_uuid": made["group_uuid"],
        "name": "Pensions",
        "identifier": "G-7",
        "description": "Old age",
        "state": "active",
        "is_default": False,
        "member_count": 2,
    }
    assert members[0] == {
        "entity_user_xref_uuid": cast.tomas.uuid,
        "identifier": "ADV-1",
        "enum_profile_id": 3,
        "profile": "staff",
        "first_name": "Tomas",
        "last_name": "Hartley",
        "state": "active",
    }
    assert [one["identifier"] for one in members] == ["ADV-1", "CL-1"]
    written = world.entries(cast.firm, before)
    assert [entry["type"] for entry in written] == [
        "group.created",
        "group.member_added",
        "group.member_added",
    ]
    assert written[0]["content"].keys() >= {"name", "details"}
    assert "Pensions" not in str(written)
    by_identifier = world.get(GROUPS, key=cast.system, params={"identifier": "G-7"})
    assert accepted(by_identifier)["group"]["group_uuid"] == made["group_uuid"]


def test_a_group_needs_nothing_but_a_name(world: World) -> None:
    uuid = str(post(world, f"{GROUPS}/create", name="Empty", description=None)["group_uuid"])
    assert group(world, uuid)["members"] == []
    for name in ("", "   ", "x" * 501, "a\x00b"):
        refuse(world, "RB003", f"{GROUPS}/create", name=name)
    refuse(world, "RB003", f"{GROUPS}/create", name="Fine", description="x" * 5001)
    refuse(world, "RB003", f"{GROUPS}/create", name="Fine", identifier=" x")


def test_an_identifier_is_taken_once(world: World) -> None:
    first = make(world, "One", identifier="G-1")
    refuse(world, "RB013", f"{GROUPS}/create", name="Two", identifier="G-1")
    second = make(world, "Two", identifier="g-1")
    refuse(world, "RB013", f"{GROUPS}/update", group_uuid=second, identifier="G-1")
    post(world, f"{GROUPS}/update", group_uuid=first, identifier="")
    assert group(world, first)["identifier"] is None
    post(world, f"{GROUPS}/update", group_uuid=second, identifier="G-1")


def test_a_new_group_of_clients_needs_active_staff(world: World) -> None:
    cast = world.cast
    clients = [cast.priya.uuid]
    refuse(world, "RB020", f"{GROUPS}/create", name="Alone", entity_user_xref_uuids=clients)
    set_member_state(world, cast.olga, "suspended")
    both = [*clients, cast.olga.uuid]
    refuse(world, "RB020", f"{GROUPS}/create", name="Alone", entity_user_xref_uuids=both)
    make(world, "Together", cast.priya, cast.tomas)


# -- changing -------------------------------------------------------------------------------------


def test_a_group_is_changed_field_by_field(world: World) -> None:
    cast = world.cast
    uuid = make(world)
    before = world.head(cast.firm)
    assert post(world, f"{GROUPS}/update", group_uuid=uuid, name="Annuities")["group"]["name"] == (
        "Annuities"
    )
    post(world, f"{GROUPS}/update", group_uuid=uuid, identifier="G-9", description="Monthly")
    post(world, f"{GROUPS}/update", group_uuid=uuid, state="inactive")
    shown = group(world, uuid)
    assert (shown["name"], shown["identifier"], shown["description"], shown["state"]) == (
        "Annuities",
        "G-9",
        "Monthly",
        "inactive",
    )
    assert shown["updated_at"] > shown["created_at"]
    named, detailed, closed = world.entries(cast.firm, before)
    assert named["content"].keys() & {"name", "details"} == {"name"}
    assert detailed["content"].keys() & {"name", "details"} == {"details"}
    assert closed["data"] == {"state": "inactive"}
    assert {entry["type"] for entry in (named, detailed, closed)} == {"group.updated"}


def test_what_a_group_is_already_changes_nothing(world: World) -> None:
    cast = world.cast
    uuid = make(world, "Same", identifier="G-1")
    before = world.head(cast.firm)
    post(world, f"{GROUPS}/update", group_uuid=uuid, name="Same", identifier="G-1", state="active")
    post(world, f"{GROUPS}/update", group_uuid=uuid)
    assert world.head(cast.firm) == before


def test_an_identifier_selects_where_no_uuid_is_given(world: World) -> None:
    uuid = make(world, identifier="G-1")
    post(world, f"{GROUPS}/update", identifier="G-1", new_identifier="G-2", name="Moved")
    assert group(world, uuid)["identifier"] == "G-2"
    assert group(world, uuid)["name"] == "Moved"
    refuse(world, "RN002", f"{GROUPS}/update", identifier="G-1", name="Gone")
    refuse(world, "RB002", f"{GROUPS}/update", name="Which")
    both = {"group_uuid": uuid, "identifier": "G-2", "new_identifier": "G-3"}
    refuse(world, "RB003", f"{GROUPS}/update", **{**both, "identifier": "G-1"})
    post(world, f"{GROUPS}/update", **both)
    assert group(world, uuid)["identifier"] == "G-3"
    post(world, f"{GROUPS}/update", identifier="G-3", new_identifier="")
    assert group(world, uuid)["identifier"] is None


def test_values_that_cannot_be_are_refused(world: World) -> None:
    uuid = make(world)
    for change in ({"name": ""}, {"description": "x" * 5001}, {"state": "gone"}):
        refuse(world, "RB003", f"{GROUPS}/update", group_uuid=uuid, **change)
    refuse(world, "RB003", f"{GROUPS}/update", group_uuid="x", name="New")
    refuse(world, "RN002", f"{GROUPS}/update", group_uuid=STRANGER, name="New")


# -- closing --------------------------------------------------------------------------------------


def test_an_empty_group_is_closed_kept_and_can_be_opened_again(world: World) -> None:
    cast = world.cast
    uuid = make(world)
    before = world.head(cast.firm)
    assert post(world, f"{GROUPS}/destroy", group_uuid=uuid) == {}
    assert post(world, f"{GROUPS}/destroy", group_uuid=uuid) == {}
    assert [entry["type"] for entry in world.entries(cast.firm, before)] == ["group.destroyed"]
    assert [one["group_uuid"] for one in listed(world, state="inactive")] == [uuid]
    refuse(world, "RB019", ADD, group_uuid=uuid, entity_user_xref_uuids=[cast.tomas.uuid])
    refuse(world, "RB019", REMOVE, group_uuid=uuid, entity_user_xref_uuids=[cast.tomas.uuid])
    post(world, f"{GROUPS}/update", group_uuid=uuid, state="active")
    post(world, ADD, group_uuid=uuid, entity_user_xref_uuids=[cast.tomas.uuid])


def test_a_group_with_anybody_in_it_is_not_closed(world: World) -> None:
    cast = world.cast
    uuid = make(world, "One adviser", cast.olga)
    refuse(world, "RB012", f"{GROUPS}/destroy", group_uuid=uuid)
    refuse(world, "RB012", f"{GROUPS}/update", group_uuid=uuid, state="inactive")
    refuse(world, "RB012", f"{GROUPS}/destroy", group_uuid=cast.team)


def test_the_default_group_is_never_closed(world: World) -> None:
    cast = world.cast
    refuse(world, "RB019", f"{GROUPS}/destroy", group_uuid=cast.default_group)
    refuse(world, "RB019", f"{GROUPS}/update", group_uuid=cast.default_group, state="inactive")
    post(world, f"{GROUPS}/update", group_uuid=cast.default_group, name="House")


# -- members --------------------------------------------------------------------------------------


def test_members_are_put_in_and_taken_out(world: World) -> None:
    cast = world.cast
    uuid = make(world)
    before = world.head(cast.firm)
    shown = post(
        world, ADD, group_uuid=uuid, entity_user_xref_uuids=[cast.priya.uuid], identifiers=["ADV-3"]
    )
    assert shown["group"]["member_count"] == 2
    assert who(world, uuid) == {"Olga", "Priya"}
    shown = post(world, REMOVE, group_uuid=uuid, identifiers=["ADV-3", "CL-1"])
    assert shown["group"]["member_count"] == 0
    written = world.entries(cast.firm, before)
    assert [(entry["type"], entry["entity_user_xref_uuid"]) for entry in written] == [
        ("group.member_added", cast.priya.uuid),
        ("group.member_added", cast.olga.uuid),
        ("group.member_removed", cast.olga.uuid),
        ("group.member_removed", cast.priya.uuid),
    ]
    assert {entry["group_uuid"] for entry in written} == {uuid}


def test_who_is_in_already_or_not_in_it_changes_nothing(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    post(world, ADD, group_uuid=cast.team, entity_user_xref_uuids=[cast.tomas.uuid])
    post(world, REMOVE, group_uuid=cast.team, entity_user_xref_uuids=[cast.olga.uuid])
    post(world, ADD, group_uuid=cast.team, entity_user_xref_uuids=[])
    assert world.head(cast.firm) == before


def test_all_members_named_are_moved_or_none(world: World) -> None:
    cast = world.cast
    for path in (ADD, REMOVE):
        for strangers, code in (
            ({"entity_user_xref_uuids": [cast.olga.uuid, STRANGER]}, "RN006"),
            ({"entity_user_xref_uuids": [cast.olga.uuid], "identifiers": ["no"]}, "RN006"),
            ({"entity_user_xref_uuids": [cast.karl.uuid]}, "RN006"),
            ({"entity_user_xref_uuids": ["ADV-1"]}, "RB003"),
            ({}, "RB785"),
        ):
            refuse(world, code, path, group_uuid=cast.team, **strangers)
        refuse(world, "RN002", path, group_uuid=STRANGER, identifiers=["ADV-3"])
        refuse(world, "RB002", path, identifiers=["ADV-3"])
    assert "Olga" not in who(world, cast.team)


def test_inactive_members_and_the_butler_are_in_no_group(world: World) -> None:
    cast = world.cast
    set_member_state(world, cast.olga, "inactive")
    refuse(world, "RB019", ADD, group_uuid=cast.team, entity_user_xref_uuids=[cast.olga.uuid])
    butler = butler_of(world, cast.firm)
    refuse(world, "RN006", ADD, group_uuid=cast.team, entity_user_xref_uuids=[butler])


def test_a_client_is_put_only_where_active_staff_is(world: World) -> None:
    cast = world.cast
    uuid = make(world)
    refuse(world, "RB020", ADD, group_uuid=uuid, entity_user_xref_uuids=[cast.priya.uuid])
    post(world, ADD, group_uuid=uuid, entity_user_xref_uuids=[cast.priya.uuid, cast.olga.uuid])
    post(world, ADD, group_uuid=uuid, entity_user_xref_uuids=[cast.george.uuid])
    set_member_state(world, cast.olga, "suspended")
    refuse(world, "RB020", ADD, group_uuid=uuid, entity_user_xref_uuids=[cast.petra.uuid])


@pytest.mark.parametrize("state", ["pending", "active", "suspended"])
def test_the_last_active_staff_member_stays_while_a_client_does(world: World, state: str) -> None:
    cast = world.cast
    uuid = make(world, "Small", cast.olga, cast.tomas, cast.priya)
    set_member_state(world, cast.priya, state)
    post(world, REMOVE, group_uuid=uuid, entity_user_xref_uuids=[cast.tomas.uuid])
    refuse(world, "RB011", REMOVE, group_uuid=uuid, entity_user_xref_uuids=[cast.olga.uuid])
    post(world, REMOVE, group_uuid=uuid, identifiers=["CL-1", "ADV-3"])
    assert who(world, uuid) == set()


def test_suspended_staff_do_not_keep_clients_company(world: World) -> None:
    cast = world.cast
    uuid = make(world, "Small", cast.olga, cast.tomas, cast.priya)
    set_member_state(world, cast.tomas, "suspended")
    refuse(world, "RB011", REMOVE, group_uuid=uuid, entity_user_xref_uuids=[cast.olga.uuid])
    post(world, REMOVE, group_uuid=uuid, entity_user_xref_uuids=[cast.tomas.uuid])


def test_of_two_calls_that_each_take_out_an_adviser_one_is_refused(world: World) -> None:
    cast = world.cast
    answers = world.together(
        *(
            world.request(
                "POST",
                REMOVE,
                key=cast.system,
                json={"group_uuid": cast.team, "entity_user_xref_uuids": [adviser.uuid]},
            )
            for adviser in (cast.tomas, cast.ingrid)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    refused(next(answer for answer in answers if answer.status_code == 400), "RB011")


def crowd(world: World, count: int) -> list[str]:
    """So many active staff, straight in the tables."""
    cast = world.cast
    uuids = [f"00000000-0000-4000-9000-{number:012d}" for number in range(count)]
    for uuid in uuids:
        world.work(cast.firm, lambda work, uuid=uuid: _add(work, cast.firm, uuid))  # type: ignore[misc]  # the default binds the loop's value
    return uuids


async def _add(work: Any, firm: str, uuid: str) -> None:
    await work.db.run(
        "INSERT INTO member (uuid, entity_id, profile, first_name, last_name, job_title, emails,"
        " phone_numbers, state, created_at, updated_at)"
        " SELECT $1, id, 3, 'One', 'Of many', '', '[]', '[]', 'active', 1, 1 FROM entity"
        " WHERE uuid = $2",
        uuid,
        firm,
    )


def test_a_call_moves_500_members_and_no_more(world: World) -> None:
    cast = world.cast
    many = crowd(world, 501)
    uuid = make(world)
    refuse(world, "RB003", ADD, group_uuid=uuid, entity_user_xref_uuids=many)
    refuse(world, "RB003", f"{GROUPS}/create", name="Big", entity_user_xref_uuids=many[:500])
    before = world.head(cast.firm)
    shown = post(world, ADD, group_uuid=uuid, entity_user_xref_uuids=many[:500])
    assert shown["group"]["member_count"] == 500
    assert world.head(cast.firm) == before + 500
    # Naming more is fine as long as no more than 500 are moved.
    assert post(world, ADD, group_uuid=uuid, entity_user_xref_uuids=many)["group"][
        "member_count"
    ] == len(many)
    refuse(world, "RB003", REMOVE, group_uuid=uuid, entity_user_xref_uuids=many)
    post(world, REMOVE, group_uuid=uuid, entity_user_xref_uuids=many[1:])
    assert group(world, uuid)["member_count"] == 1


# -- reading --------------------------------------------------------------------------------------


def test_a_group_is_found_by_uuid_or_identifier(world: World) -> None:
    cast = world.cast
    uuid = make(world, identifier="G-1")
    for params, code in (
        ({}, "RB002"),
        ({"group_uuid": STRANGER}, "RN002"),
        ({"group_uuid": "x"}, "RB003"),
        ({"identifier": "g-1"}, "RN002"),
        ({"group_uuid": cast.team, "identifier": "G-1"}, "RB003"),
    ):
        refused(world.get(GROUPS, key=cast.system, params=params), code)
    both = {"group_uuid": uuid.upper(), "identifier": "G-1"}
    assert accepted(world.get(GROUPS, key=cast.system, params=both))["group"]["name"] == "Pensions"
    refused(world.get(GROUPS, key=cast.other_system, params={"group_uuid": uuid}), "RN002")


def test_groups_are_listed_by_state_and_words(world: World) -> None:
    make(world, "Ärzte & Apotheker", identifier="MED_1")
    make(world, "100% Equity")
    closed = make(world, "Closed")
    post(world, f"{GROUPS}/destroy", group_uuid=closed)
    everything = [one["name"] for one in listed(world)]
    assert everything == [
        "Default Client Team",
        "Private clients",
        "Ärzte & Apotheker",
        "100% Equity",
        "Closed",
    ]
    assert "members" not in listed(world)[0]
    assert [one["member_count"] for one in listed(world)] == [1, 5, 0, 0, 0]
    for search, found in (
        ("ärzte &  apo", ["Ärzte & Apotheker"]),
        ("ÄRZTE", ["Ärzte & Apotheker"]),
        ("med_", ["Ärzte & Apotheker"]),
        ("100%", ["100% Equity"]),
        ("%", ["100% Equity"]),
        ("_", ["Ärzte & Apotheker"]),
        ("\\", []),
        (" ", everything),
    ):
        assert [one["name"] for one in listed(world, search=search)] == found, search
    assert [one["name"] for one in listed(world, state="inactive")] == ["Closed"]
    assert len(listed(world, state="active")) == 4
    refused(world.get(f"{GROUPS}/list", key=world.cast.system, params={"state": "x"}), "RB003")


def test_a_changed_name_is_found_and_the_old_one_is_not(world: World) -> None:
    uuid = make(world, "Before", identifier="G-1")
    post(world, f"{GROUPS}/update", group_uuid=uuid, name="Afterwards")
    assert listed(world, search="before") == []
    assert [one["group_uuid"] for one in listed(world, search="AFTERWARDS g-1")] == [uuid]


def test_groups_are_paged_and_streamed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        make(world, f"Group {number}")
    everything = listed(world)
    assert len(everything) == 7
    monkeypatch.setattr(groups, "PAGE_STREAMED", 2)
    assert listed(world) == everything
    pages: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = accepted(world.get(f"{GROUPS}/list", key=world.cast.system, params=params))
        pages += page["groups"]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert pages == everything
    for cursor in ("x", "!WzFd", "bnVsbA==", "WzEsMl0=", "Wy0xXQ==", "WzEuNV0=", "é"):
        refused(
            world.get(f"{GROUPS}/list", key=world.cast.system, params={"cursor": cursor}), "RB003"
        )


def test_the_groups_of_a_member_are_listed(world: World) -> None:
    cast = world.cast
    uuid = make(world, "Second", cast.tomas)
    path = f"{ENTITY}/entity-memberships/group-memberships/list"
    for params in ({"entity_user_xref_uuid": cast.tomas.uuid}, {"identifier": "ADV-1"}):
        found = accepted(world.get(path, key=cast.system, params=params))["groups"]
        assert [one["group_uuid"] for one in found] == [cast.team, uuid]
        assert [one["member_count"] for one in found] == [5, 1]
    refused(world.get(path, key=cast.system), "RB785")
    refused(world.get(path, key=cast.system, params={"identifier": "nobody"}), "RN006")


def test_a_change_of_groups_shows_in_what_has_changed_since(world: World) -> None:
    cast = world.cast
    since = group(world, cast.team)["updated_at"]
    post(world, ADD, group_uuid=cast.team, entity_user_xref_uuids=[cast.olga.uuid])
    assert group(world, cast.team)["updated_at"] > since
    moved = accepted(
        world.get(
            f"{ENTITY}/entity-memberships/list",
            key=cast.system,
            params={"updated_since": group(world, cast.team)["updated_at"]},
        )
    )["entity_memberships"]
    assert [one["first_name"] for one in moved] == ["Olga"]


def test_a_member_sees_no_group_in_the_own_feed(world: World) -> None:
    cast = world.cast
    uuid = make(world, "Second", cast.tomas)
    found = accepted(
        world.get(f"{CHAT}/events", key=cast.user, params={"expand": True, "limit": 1000})
    )["events"]
    (entry,) = [entry for entry in found if entry.get("group_uuid") == uuid]
    assert entry["type"] == "group.member_added"
    assert entry["object"] is None
