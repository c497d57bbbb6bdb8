"""Lists of members: filters, pages, and what the master-user key sees of them."""

from typing import Any

import pytest

from onrecord.domain import members
from tests.cast import butler_of, set_member_state
from tests.domain.test_groups import STRANGER, make
from tests.world import CHAT, ENTITY, World, accepted, refused

LIST = f"{ENTITY}/entity-memberships/list"
MINE = f"{CHAT}/entity-memberships"
EVERYBODY = ["Miriam", "Tomas", "Ingrid", "Olga", "Priya", "George", "Petra"]


def listed(world: World, **params: Any) -> list[dict[str, Any]]:
    found = accepted(world.get(LIST, key=world.cast.system, params=params))
    return list(found["entity_memberships"])


def names(world: World, **params: Any) -> list[str]:
    return [one["first_name"] for one in listed(world, **params)]


def test_a_member_in_the_list_is_the_member_read_alone(world: World) -> None:
    cast = world.cast
    make(world, "Second", cast.tomas)
    found = listed(world)
    assert [one["first_name"] for one in found] == EVERYBODY
    for one in found:
        params = {"entity_user_xref_uuid": one["entity_user_xref_uuid"]}
        alone = world.get(f"{ENTITY}/entity-memberships", key=cast.system, params=params)
        assert accepted(alone)["entity_membership"] == one
    assert len(found[1]["group_uuids"]) == 2
    assert found[4]["emails"] == ["priya.nair@example.com"]
    assert found[6]["invitation"]["state"] == "not_sent"


def test_the_butler_is_listed_only_when_asked_for(world: World) -> None:
    cast = world.cast
    butler = butler_of(world, cast.firm)
    assert butler not in {one["entity_user_xref_uuid"] for one in listed(world)}
    for params in ({"enum_profile_id": 6}, {"profile": "butler"}):
        assert [one["entity_user_xref_uuid"] for one in listed(world, **params)] == [butler]


def test_members_are_listed_by_role_and_state(world: World) -> None:
    cast = world.cast
    set_member_state(world, cast.olga, "suspended")
    for params, found in (
        ({"enum_profile_id": 3}, ["Tomas", "Ingrid", "Olga"]),
        ({"profile": "partner"}, ["George"]),
        ({"profile": "staff", "enum_profile_id": 3, "state": "active"}, ["Tomas", "Ingrid"]),
        ({"state": "suspended"}, ["Olga"]),
        ({"state": "pending"}, ["Petra"]),
        ({"state": "inactive"}, []),
    ):
        assert names(world, **params) == found, params


def test_members_are_listed_by_group(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = world.cast
    assert names(world, group_uuid=cast.team.upper()) == [
        "Tomas",
        "Ingrid",
        "Priya",
        "George",
        "Petra",
    ]
    assert names(world, group_uuid=cast.team, profile="client") == ["Priya", "Petra"]
    assert names(world, group_uuid=make(world)) == []
    monkeypatch.setattr("onrecord.store.groups._STRETCH_LEAST", 1)
    monkeypatch.setattr(members, "PAGE_STREAMED", 1)
    assert names(world, group_uuid=cast.team, profile="client") == ["Priya", "Petra"]


def test_members_are_searched_by_name_identifier_and_email(world: World) -> None:
    for search, found in (
        ("olga", ["Olga"]),
        ("OLGA  BERG", ["Olga"]),
        ("adv-", ["Tomas", "Ingrid", "Olga"]),
        ("lind@example.com", ["George"]),
        ("a_", []),
        ("%", []),
        ("\\", []),
        ("", EVERYBODY),
    ):
        assert names(world, search=search) == found, search


def test_names_in_any_script_are_searched_without_case(world: World) -> None:
    cast = world.cast
    for number, (first, last) in enumerate(
        (("Łukasz", "Żak"), ("Ἀθηνᾶ", "Σοφός"), ("Zoe\u0308", "Straße"))
    ):
        person = {
            "enum_profile_id": 3,
            "first_name": first,
            "last_name": last,
            "primary_email": f"n{number}@example.com",
        }
        path = f"{ENTITY}/entity-memberships/create"
        accepted(world.post(path, key=cast.system, json=person))
    for search, found in (
        ("łUKASZ żak", "Łukasz"),
        ("ΣΟΦΌΣ", "Ἀθηνᾶ"),
        ("ZOË", "Zoe\u0308"),
        ("STRASSE", "Zoe\u0308"),
    ):
        assert names(world, search=search) == [found], search


def test_members_are_listed_since_they_changed(world: World) -> None:
    cast = world.cast
    since = max(one["updated_at"] for one in listed(world))
    world.change(
        cast.firm,
        "UPDATE member SET updated_at = updated_at + 1000000000 WHERE uuid = $1",
        cast.olga.uuid,
    )
    latest = listed(world, search="olga")[0]["updated_at"]
    assert since < latest
    assert names(world, updated_since=latest) == ["Olga"]
    assert names(world, updated_since="2999-01-01T00:00:00Z") == []


def test_filters_that_cannot_be_are_refused(world: World) -> None:
    for params, code in (
        ({"enum_profile_id": 7}, "RB003"),
        ({"enum_profile_id": "staff"}, "RB003"),
        ({"profile": "boss"}, "RB003"),
        ({"profile": "staff", "enum_profile_id": 4}, "RB003"),
        ({"state": "gone"}, "RB003"),
        ({"group_uuid": "x"}, "RB003"),
        ({"group_uuid": STRANGER}, "RN002"),
        ({"updated_since": "2026-11-22"}, "RB003"),
        ({"search": "x" * 501}, "RB003"),
        ({"limit": 0}, "RB003"),
        ({"limit": 1001}, "RB003"),
        ({"cursor": "x"}, "RB003"),
        ({"cursor": "W3RydWVd"}, "RB003"),
    ):
        refused(world.get(LIST, key=world.cast.system, params=params), code)


@pytest.mark.parametrize("path", [LIST, MINE])
def test_members_are_paged_and_streamed(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    cast = world.cast
    key = cast.system if path == LIST else cast.master
    everything = accepted(world.get(path, key=key))
    assert everything["next_cursor"] is None
    assert [one["first_name"] for one in everything["entity_memberships"]] == EVERYBODY
    monkeypatch.setattr(members, "PAGE_STREAMED", 2)
    assert accepted(world.get(path, key=key)) == everything
    pages: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = accepted(world.get(path, key=key, params=params))
        pages += page["entity_memberships"]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert pages == everything["entity_memberships"]


def test_another_organisation_has_other_members(world: World) -> None:
    cast = world.cast
    for path, key in ((LIST, cast.other_system), (MINE, cast.other_master)):
        found = accepted(world.get(path, key=key))["entity_memberships"]
        assert [one["first_name"] for one in found] == ["Nadia", "Karl", "Lena"]
    params = {"group_uuid": cast.team}
    refused(world.get(LIST, key=cast.other_system, params=params), "RN002")


def test_a_master_user_key_reads_one_member(world: World) -> None:
    cast = world.cast
    for params in ({"identifier": "CL-1"}, {"entity_user_xref_uuid": cast.priya.uuid}):
        for acting in (None, cast.olga):
            found = world.get(MINE, key=cast.master, on_behalf_of=acting, params=params)
            assert accepted(found)["entity_membership"]["first_name"] == "Priya"
    refused(world.get(MINE, key=cast.master, params={"identifier": "nobody"}), "RN006")
    both = {"identifier": "CL-1", "entity_user_xref_uuid": cast.george.uuid}
    refused(world.get(MINE, key=cast.master, params=both), "RB003")
    refused(world.get(MINE, key=cast.user), "RF008", 403)
