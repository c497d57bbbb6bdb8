"""Contacts: whom a client and whom a staff member sees (product.md, section 3)."""

from typing import Any

import pytest

from onrecord.domain import contacts
from tests.cast import Person, butler_of, set_group_state, set_member_state
from tests.domain.test_barriers import chat, divide, lift
from tests.domain.test_groups import ADD, REMOVE, STRANGER, make, post
from tests.world import CHAT, World, accepted, refused

CONTACTS = f"{CHAT}/contacts"


def listed(world: World, acting: Person, **params: Any) -> list[dict[str, Any]]:
    how = {"key": world.cast.master, "on_behalf_of": acting, "params": params}
    return list(accepted(world.get(f"{CONTACTS}/list", **how))["contacts"])


def names(world: World, acting: Person, **params: Any) -> set[str]:
    return {one["first_name"] for one in listed(world, acting, **params)}


def one(world: World, acting: Person, other: Person | str, **params: Any) -> Any:
    uuid = other if isinstance(other, str) else other.uuid
    how = {"key": world.cast.master, "on_behalf_of": acting}
    return world.get(CONTACTS, params={"entity_user_xref_uuid": uuid, **params}, **how)


# -- clients --------------------------------------------------------------------------------------


def test_a_clients_contacts_are_the_staff_of_the_own_groups_and_nobody_else(world: World) -> None:
    cast = world.cast
    assert names(world, cast.priya) == {"Tomas", "Ingrid"}
    assert names(world, cast.priya, include_directory=True) == {"Tomas", "Ingrid"}
    refused(one(world, cast.priya, cast.olga), "RN006", 404)
    make(world, "Second", cast.olga, cast.priya, cast.tomas)
    assert names(world, cast.priya) == {"Tomas", "Ingrid", "Olga"}
    assert len(listed(world, cast.priya)) == 3
    assert names(world, cast.george) == {"Tomas", "Ingrid"}


def test_clients_in_one_group_never_see_each_other(world: World) -> None:
    cast = world.cast
    for acting, other in ((cast.priya, cast.george), (cast.george, cast.priya)):
        assert other.first_name not in names(world, acting)
        refused(one(world, acting, other), "RN006")
        refused(chat(world, acting, other), "RN006")


# -- staff ----------------------------------------------------------------------------------------


def test_a_staff_members_contacts_are_the_members_of_the_own_groups(world: World) -> None:
    cast = world.cast
    assert names(world, cast.tomas) == {"Ingrid", "Priya", "George"}
    assert names(world, cast.olga) == set()


def test_other_staff_are_found_by_the_directory_and_not_by_default(world: World) -> None:
    cast = world.cast
    assert names(world, cast.olga, include_directory=True) == {"Miriam", "Tomas", "Ingrid"}
    assert names(world, cast.tomas, include_directory=True) == {
        "Miriam",
        "Ingrid",
        "Olga",
        "Priya",
        "George",
    }
    assert accepted(one(world, cast.tomas, cast.olga))["contact"]["first_name"] == "Olga"


def test_staff_never_see_a_client_with_whom_they_share_no_group(world: World) -> None:
    cast = world.cast
    assert "Priya" not in names(world, cast.olga, include_directory=True)
    refused(one(world, cast.olga, cast.priya), "RN006")
    refused(one(world, cast.miriam, cast.priya), "RN006")


def test_an_inactive_group_makes_no_contacts(world: World) -> None:
    cast = world.cast
    set_group_state(world, cast.team, "inactive")
    assert names(world, cast.priya) == set()
    assert names(world, cast.tomas) == set()
    refused(one(world, cast.tomas, cast.priya), "RN006")
    set_group_state(world, cast.team, "active")
    assert names(world, cast.priya) == {"Tomas", "Ingrid"}


def test_contacts_follow_the_groups_at_once(world: World) -> None:
    cast = world.cast
    post(world, ADD, group_uuid=cast.team, entity_user_xref_uuids=[cast.olga.uuid])
    assert "Olga" in names(world, cast.priya)
    assert "Priya" in names(world, cast.olga)
    post(world, REMOVE, group_uuid=cast.team, entity_user_xref_uuids=[cast.olga.uuid])
    assert "Olga" not in names(world, cast.priya)
    assert names(world, cast.olga) == set()


# -- states ---------------------------------------------------------------------------------------


def test_the_suspended_are_contacts_who_are_unavailable(world: World) -> None:
    cast = world.cast
    assert accepted(one(world, cast.priya, cast.tomas))["contact"]["status"] == "available"
    set_member_state(world, cast.tomas, "suspended")
    assert accepted(one(world, cast.priya, cast.tomas))["contact"]["status"] == "unavailable"
    by_name = {found["first_name"]: found["status"] for found in listed(world, cast.priya)}
    assert by_name == {"Tomas": "unavailable", "Ingrid": "available"}


@pytest.mark.parametrize("state", ["pending", "inactive"])
def test_the_pending_and_the_inactive_are_no_contacts(world: World, state: str) -> None:
    cast = world.cast
    set_member_state(world, cast.ingrid, state)
    set_member_state(world, cast.george, state)
    assert names(world, cast.priya) == {"Tomas"}
    assert names(world, cast.tomas, include_directory=True) == {"Miriam", "Olga", "Priya"}
    refused(one(world, cast.priya, cast.ingrid), "RN006")
    refused(one(world, cast.tomas, cast.george), "RN006")


# -- one contact ----------------------------------------------------------------------------------


def test_a_contact_is_shown_with_the_public_layer_alone(world: World) -> None:
    cast = world.cast
    how = {"key": cast.user, "params": {"identifier": "CL-1"}}
    assert accepted(world.get(CONTACTS, **how)) == {
        "contact": {
            "entity_user_xref_uuid": cast.priya.uuid,
            "identifier": "CL-1",
            "enum_profile_id": 4,
            "profile": "client",
            "first_name": "Priya",
            "last_name": "Nair",
            "job_title": "",
            "emails": ["priya.nair@example.com"],
            "phone_numbers": [],
            "status": "available",
            "has_avatar": False,
            "is_me": False,
        }
    }
    (listed_one,) = [found for found in listed(world, cast.tomas) if found["identifier"] == "CL-1"]
    assert listed_one == accepted(world.get(CONTACTS, **how))["contact"]


def test_oneself_is_no_contact_but_can_be_looked_up(world: World) -> None:
    cast = world.cast
    for acting in (cast.tomas, cast.priya, cast.olga):
        assert acting.first_name not in names(world, acting, include_directory=True)
        assert accepted(one(world, acting, acting))["contact"]["is_me"] is True


def test_a_contact_must_be_named(world: World) -> None:
    cast = world.cast
    refused(world.get(CONTACTS, key=cast.user), "RB785")
    for params, code in (
        ({"entity_user_xref_uuid": STRANGER}, "RN006"),
        ({"entity_user_xref_uuid": "CL-1"}, "RB003"),
        ({"entity_user_xref_uuid": cast.karl.uuid}, "RN006"),
        ({"entity_user_xref_uuid": butler_of(world, cast.firm)}, "RN006"),
        ({"identifier": "nobody"}, "RN006"),
        ({"entity_user_xref_uuid": cast.priya.uuid, "identifier": "CL-2"}, "RB003"),
    ):
        refused(world.get(CONTACTS, key=cast.user, params=params), code)
    both = {"entity_user_xref_uuid": cast.priya.uuid.upper(), "identifier": "CL-1"}
    accepted(world.get(CONTACTS, key=cast.user, params=both))


def test_an_identifier_is_not_found_out_by_trying(world: World) -> None:
    cast = world.cast
    for identifier in ("CL-2", "CL-1", "no such"):
        refused(one(world, cast.priya, cast.george, identifier=identifier), "RN006")


def test_who_is_seen_only_in_a_chat_is_no_contact_of_mine(world: World) -> None:
    cast = world.cast
    accepted(chat(world, cast.tomas, cast.priya, cast.george, cast.olga))
    refused(one(world, cast.priya, cast.george), "RF003", 403)
    refused(one(world, cast.priya, cast.olga), "RF003")
    refused(one(world, cast.olga, cast.priya), "RF003")
    assert names(world, cast.priya) == {"Tomas", "Ingrid"}


# -- barriers -------------------------------------------------------------------------------------


def test_lists_leave_the_other_side_of_a_barrier_out(world: World) -> None:
    cast = world.cast
    make(world, "Choir", cast.tomas, cast.olga)
    assert "Olga" in names(world, cast.tomas)
    desk, team = divide(world)
    for directory in (False, True):
        assert not names(world, cast.tomas, include_directory=directory) & {"Olga", "Miriam"}
        assert not names(world, cast.olga, include_directory=directory) & {"Tomas", "Ingrid"}
    assert "Miriam" in names(world, cast.olga)
    for acting, other in ((cast.tomas, cast.olga), (cast.olga, cast.tomas)):
        refused(one(world, acting, other), "RF007", 403)
    lift(world, desk, team)
    assert "Olga" in names(world, cast.tomas)
    accepted(one(world, cast.olga, cast.tomas))


def test_a_barrier_comes_before_a_shared_chat(world: World) -> None:
    cast = world.cast
    accepted(chat(world, cast.tomas, cast.olga))
    divide(world)
    refused(one(world, cast.tomas, cast.olga), "RF007")
    set_member_state(world, cast.olga, "suspended")
    refused(one(world, cast.tomas, cast.olga), "RF007")


def test_a_barrier_changes_nothing_for_clients(world: World) -> None:
    cast = world.cast
    desk, _ = divide(world)
    post(world, ADD, group_uuid=desk, entity_user_xref_uuids=[cast.priya.uuid])
    assert names(world, cast.priya) == {"Tomas", "Ingrid", "Olga", "Miriam"}
    assert "Priya" in names(world, cast.olga)
    assert "Priya" in names(world, cast.tomas)


# -- searching and paging -------------------------------------------------------------------------


def test_contacts_are_searched_by_what_they_show(world: World) -> None:
    cast = world.cast
    for search, found in (
        ("priya", {"Priya"}),
        ("PRIYA  nair", {"Priya"}),
        ("cl-", {"Priya", "George"}),
        ("nair@example", {"Priya"}),
        ("hartley", set()),
        ("olga", set()),
        ("%", set()),
        ("", {"Ingrid", "Priya", "George"}),
    ):
        assert names(world, cast.tomas, search=search) == found, search
    assert names(world, cast.tomas, search="olga", include_directory=True) == {"Olga"}
    assert names(world, cast.priya, search="ADV-2") == {"Ingrid"}


def test_the_secure_layer_is_not_searched_by_contacts(world: World) -> None:
    cast = world.cast
    # As if the public email had been changed and the one codes go to had not.
    world.change(
        cast.firm,
        "UPDATE member SET search_key = $2 WHERE uuid = $1",
        cast.priya.uuid,
        "priya nair cl-1 office@example.com\nsecret@example.com",
    )
    assert names(world, cast.tomas, search="office@") == {"Priya"}
    assert names(world, cast.tomas, search="secret@") == set()
    assert names(world, cast.tomas, search="secret@", include_directory=True) == set()


@pytest.mark.parametrize("directory", [False, True])
def test_contacts_are_paged_and_streamed(
    world: World, monkeypatch: pytest.MonkeyPatch, *, directory: bool
) -> None:
    cast = world.cast
    make(world, "Choir", cast.tomas, cast.olga, cast.priya, cast.ingrid)
    for acting in (cast.tomas, cast.priya):
        everything = listed(world, acting, include_directory=directory)
        assert len(everything) >= 3
        with monkeypatch.context() as patch:
            patch.setattr(contacts, "PAGE_STREAMED", 1)
            assert listed(world, acting, include_directory=directory) == everything
        for limit in (1, 2, len(everything)):
            pages: list[dict[str, Any]] = []
            params: dict[str, Any] = {"limit": limit, "include_directory": directory}
            while True:
                how = {"key": cast.master, "on_behalf_of": acting, "params": params}
                page = accepted(world.get(f"{CONTACTS}/list", **how))
                pages += page["contacts"]
                assert len(page["contacts"]) <= limit
                if page["next_cursor"] is None:
                    break
                params["cursor"] = page["next_cursor"]
            assert pages == everything
    refused(world.get(f"{CONTACTS}/list", key=cast.user, params={"cursor": "x"}), "RB003")


def test_few_contacts_are_found_among_many_members_of_a_group(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    monkeypatch.setattr("onrecord.store.groups._STRETCH_LEAST", 1)
    found = accepted(
        world.get(f"{CONTACTS}/list", key=cast.user, params={"search": "george", "limit": 1})
    )
    assert [contact["first_name"] for contact in found["contacts"]] == ["George"]
    assert found["next_cursor"] is None
