"""Barriers: staff who must not meet, and why two people do or do not reach each other."""

from typing import Any

import pytest

from onrecord.domain import explain, groups, members
from onrecord.model import times
from tests.cast import PASSWORD, Person, butler_of, set_member_state
from tests.domain.test_groups import ADD, GROUPS, REMOVE, STRANGER, make, post, refuse
from tests.world import CHAT, ENTITY, World, accepted, refused

BARRIERS = f"{ENTITY}/barriers"
EXPLAIN = f"{ENTITY}/contacts/explain"


def raise_barrier(world: World, one: str, other: str) -> dict[str, Any]:
    body = post(world, f"{BARRIERS}/create", group_uuid=one, other_group_uuid=other)
    return dict(body["barrier"])


def lift(world: World, one: str, other: str) -> None:
    post(world, f"{BARRIERS}/destroy", group_uuid=one, other_group_uuid=other)


def listed(world: World, **params: Any) -> list[dict[str, Any]]:
    found = accepted(world.get(f"{BARRIERS}/list", key=world.cast.system, params=params))
    return list(found["barriers"])


def divide(world: World) -> tuple[str, str]:
    """Put miriam and olga into a group of their own, behind a barrier from the team."""
    cast = world.cast
    desk = make(world, "Trading desk", cast.miriam, cast.olga)
    raise_barrier(world, desk, cast.team)
    return desk, cast.team


def chat(world: World, acting: Person, *others: Person, **more: Any) -> Any:
    uuids = [other.uuid for other in others]
    return world.post(
        f"{CHAT}/chats/create",
        key=world.cast.master,
        on_behalf_of=acting,
        json={"entity_user_xref_uuids": uuids, "text": "hello", **more},
    )


def say(world: World, acting: Person, chat_uuid: str) -> Any:
    return world.post(
        f"{CHAT}/chats/messages/send-text",
        key=world.cast.master,
        on_behalf_of=acting,
        json={"chat_uuid": chat_uuid, "text": "more"},
    )


# -- making and lifting ---------------------------------------------------------------------------


def test_a_barrier_is_made_listed_and_lifted(world: World) -> None:
    cast = world.cast
    desk = make(world, "Trading desk", cast.olga)
    before = world.head(cast.firm)
    made = raise_barrier(world, desk.upper(), cast.team)
    assert {made["group_uuid"], made["other_group_uuid"]} == {desk, cast.team}
    assert listed(world) == [made]
    # Either way round it is the same barrier, and it stands already.
    assert raise_barrier(world, cast.team, desk) == made
    (entry,) = world.entries(cast.firm, before)
    assert entry["type"] == "barrier.created"
    assert entry["at"] == made["created_at"]
    assert {entry["group_uuid"], entry["other_group_uuid"]} == {desk, cast.team}
    lift(world, cast.team, desk)
    assert listed(world) == []
    assert world.entries(cast.firm, before)[1]["type"] == "barrier.destroyed"
    refuse(world, "RN008", f"{BARRIERS}/destroy", group_uuid=desk, other_group_uuid=cast.team)


def test_nobody_from_beyond_a_barrier_comes_to_look_after_the_default_group(world: World) -> None:
    cast = world.cast
    default = {"group_uuid": cast.default_group}
    post(world, REMOVE, **default, entity_user_xref_uuids=[cast.miriam.uuid])
    desk = make(world, "Trading desk", cast.miriam)
    raise_barrier(world, desk, cast.default_group)
    person = {"enum_profile_id": 4, "first_name": "Ada", "primary_email": "ada@example.com"}
    refuse(world, "RB020", f"{ENTITY}/entity-memberships/create", **person)
    george = {"entity_user_xref_uuid": cast.george.uuid}
    post(world, f"{ENTITY}/entity-memberships/destroy", **george)
    refuse(world, "RB020", f"{ENTITY}/entity-memberships/restore", **george)
    post(world, ADD, **default, entity_user_xref_uuids=[cast.olga.uuid])
    post(world, f"{ENTITY}/entity-memberships/create", **person)
    post(world, f"{ENTITY}/entity-memberships/restore", **george)


def test_a_barrier_needs_two_groups_of_the_organisation(world: World) -> None:
    cast = world.cast
    for path in (f"{BARRIERS}/create", f"{BARRIERS}/destroy"):
        refuse(world, "RN002", path, group_uuid=cast.team, other_group_uuid=STRANGER)
        refuse(world, "RN002", path, group_uuid=STRANGER, other_group_uuid=cast.team)
        refuse(world, "RB003", path, group_uuid=cast.team, other_group_uuid="x")
        refuse(world, "RB002", path, group_uuid=cast.team)
    same = {"group_uuid": cast.team, "other_group_uuid": cast.team.upper()}
    refuse(world, "RB003", f"{BARRIERS}/create", **same)


def test_barriers_are_paged_and_streamed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = world.cast
    made = [make(world, f"Desk {number}") for number in range(4)]
    for number, one in enumerate(made):
        raise_barrier(world, one, cast.team)
        for other in made[number + 1 :]:
            raise_barrier(world, other, one)
    everything = listed(world)
    assert len(everything) == 10
    monkeypatch.setattr(groups, "PAGE_STREAMED", 3)
    assert listed(world) == everything
    pages: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 4}
    while True:
        page = accepted(world.get(f"{BARRIERS}/list", key=cast.system, params=params))
        pages += page["barriers"]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert pages == everything
    wrong = {"cursor": "WzFd"}  # of another list
    refused(world.get(f"{BARRIERS}/list", key=cast.system, params=wrong), "RB003")
    assert accepted(world.get(f"{BARRIERS}/list", key=cast.other_system))["barriers"] == []


def test_nobody_of_staff_stands_on_both_sides(world: World) -> None:
    cast = world.cast
    both = make(world, "Both", cast.tomas, cast.olga)
    body = {"group_uuid": both, "other_group_uuid": cast.team}
    refuse(world, "RB019", f"{BARRIERS}/create", **body)
    post(world, REMOVE, group_uuid=both, entity_user_xref_uuids=[cast.tomas.uuid])
    raise_barrier(world, both, cast.team)
    refuse(world, "RF007", ADD, group_uuid=both, entity_user_xref_uuids=[cast.tomas.uuid])
    refuse(world, "RF007", ADD, group_uuid=cast.team, entity_user_xref_uuids=[cast.olga.uuid])
    person = {
        "enum_profile_id": 3,
        "first_name": "New",
        "primary_email": "new@example.com",
        "group_uuids": [both, cast.team],
    }
    refuse(world, "RF007", f"{ENTITY}/entity-memberships/create", **person)
    # Pending and suspended staff count: they will be there one day.
    set_member_state(world, cast.tomas, "suspended")
    refuse(world, "RF007", ADD, group_uuid=both, entity_user_xref_uuids=[cast.tomas.uuid])


def test_clients_may_be_on_both_sides(world: World) -> None:
    cast = world.cast
    desk = make(world, "Trading desk", cast.olga, cast.priya)
    raise_barrier(world, desk, cast.team)
    post(world, ADD, group_uuid=desk, entity_user_xref_uuids=[cast.george.uuid])
    for adviser in (cast.olga, cast.tomas):
        accepted(chat(world, cast.george, adviser))
        accepted(chat(world, adviser, cast.priya))


# -- what it forbids ------------------------------------------------------------------------------


def test_staff_across_a_barrier_start_no_chat(world: World) -> None:
    cast = world.cast
    desk, team = divide(world)
    refused(chat(world, cast.tomas, cast.olga), "RF007", 403)
    refused(chat(world, cast.olga, cast.tomas), "RF007", 403)
    refused(chat(world, cast.olga, cast.miriam, cast.tomas), "RF007")
    accepted(chat(world, cast.olga, cast.miriam))
    lift(world, desk, team)
    accepted(chat(world, cast.tomas, cast.olga))


def test_a_barrier_wins_over_a_shared_group(world: World) -> None:
    cast = world.cast
    make(world, "Choir", cast.tomas, cast.olga)
    desk, team = divide(world)
    refused(chat(world, cast.tomas, cast.olga), "RF007")
    lift(world, desk, team)
    accepted(chat(world, cast.tomas, cast.olga))


def test_a_client_brings_no_two_sides_together(world: World) -> None:
    cast = world.cast
    desk, _ = divide(world)
    post(world, ADD, group_uuid=desk, entity_user_xref_uuids=[cast.priya.uuid])
    refused(chat(world, cast.priya, cast.tomas, cast.olga), "RF007")


def test_a_chat_that_a_barrier_now_runs_through_falls_silent_until_it_does_not(
    world: World,
) -> None:
    cast = world.cast
    shared = accepted(chat(world, cast.tomas, cast.olga))["chat_uuid"]
    apart = accepted(chat(world, cast.tomas, cast.ingrid))["chat_uuid"]
    desk, team = divide(world)
    for acting in (cast.tomas, cast.olga):
        refused(say(world, acting, shared), "RF007")
    accepted(say(world, cast.tomas, apart))
    # By leaving the group.
    post(world, REMOVE, group_uuid=desk, entity_user_xref_uuids=[cast.olga.uuid])
    accepted(say(world, cast.tomas, shared))
    # By coming into it.
    post(world, ADD, group_uuid=desk, entity_user_xref_uuids=[cast.olga.uuid])
    refused(say(world, cast.tomas, shared), "RF007")
    lift(world, desk, team)
    accepted(say(world, cast.olga, shared))


# -- why ------------------------------------------------------------------------------------------


def why(world: World, one: Person | str, other: Person | str, at: Any = None) -> dict[str, Any]:
    uuids = [who if isinstance(who, str) else who.uuid for who in (one, other)]
    params = {"entity_user_xref_uuid": uuids[0], "other_entity_user_xref_uuid": uuids[1]}
    if at is not None:
        params["at"] = str(at)
    return accepted(world.get(EXPLAIN, key=world.cast.system, params=params))


def test_every_rule_has_its_word(world: World) -> None:
    cast = world.cast
    divide(world)
    butler = butler_of(world, cast.firm)
    for one, other, allowed, rule in (
        (cast.tomas, cast.priya, True, "shared_group"),
        (cast.tomas, cast.ingrid, True, "shared_group"),
        (cast.olga, cast.priya, False, "no_shared_group"),
        (cast.priya, cast.george, False, "clients"),
        (cast.tomas, cast.olga, False, "barrier"),
        (cast.tomas, cast.petra, False, "state"),
        (cast.tomas, butler, False, "butler"),
    ):
        for pair in ((one, other), (other, one)):
            found = why(world, *pair)
            assert (found["allowed"], found["rule"]) == (allowed, rule), pair
            assert found["detail"].endswith(".")
            assert found["as_of"] == world.head(cast.firm)
    assert why(world, cast.tomas, cast.priya)["group_uuids"] == [cast.team]
    assert why(world, cast.tomas, cast.olga)["barriers"] == listed(world)
    make(world, "Solo", cast.ingrid)
    new = {"enum_profile_id": 3, "first_name": "New", "primary_email": "new@example.com"}
    new |= {"send_invitation": False}
    uuid = post(world, f"{ENTITY}/entity-memberships/create", **new)["entity_user_xref_uuid"]
    assert why(world, cast.olga, uuid)["rule"] == "state"
    earlier = why(world, cast.olga, uuid, at=world.head(cast.firm) - 1)
    assert (earlier["allowed"], earlier["rule"]) == (False, "no_member")
    world.work(cast.firm, lambda work: members.activate(work, uuid, "newcomer", PASSWORD))
    assert why(world, cast.olga, uuid)["rule"] == "colleagues"


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("active", "active", "shared_group"),
        ("active", "suspended", "shared_group"),
        ("suspended", "suspended", "state"),
        ("active", "inactive", "state"),
        ("inactive", "pending", "state"),
    ],
)
def test_one_must_be_active_and_the_other_not_gone(
    world: World, one: str, other: str, rule: str
) -> None:
    cast = world.cast
    set_member_state(world, cast.tomas, one)
    set_member_state(world, cast.priya, other)
    assert why(world, cast.tomas, cast.priya)["rule"] == rule


def test_bad_questions_are_refused(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    for changes, code in (
        ({"other_entity_user_xref_uuid": cast.tomas.uuid}, "RB003"),
        ({"other_entity_user_xref_uuid": STRANGER}, "RN006"),
        ({"other_entity_user_xref_uuid": cast.karl.uuid}, "RN006"),
        ({"entity_user_xref_uuid": "ADV-1"}, "RB003"),
        ({"at": head + 1}, "RN008"),
        ({"at": "9" * 400}, "RN008"),
        ({"at": "yesterday"}, "RB003"),
        ({"at": "2026-11-22T10:00:00"}, "RB003"),
        ({"at": "-1"}, "RB003"),
        ({"at": "²"}, "RB003"),
    ):
        params = {
            "entity_user_xref_uuid": cast.tomas.uuid,
            "other_entity_user_xref_uuid": cast.priya.uuid,
            **changes,
        }
        refused(world.get(EXPLAIN, key=cast.system, params=params), code)


def varied(world: World) -> list[tuple[Person, Person]]:
    """A history in which everything that explains anything happens; the pairs to ask about."""
    cast = world.cast
    desk = make(world, "Trading desk", cast.olga)
    spare = make(world, "Spare")
    accepted(chat(world, cast.tomas, cast.olga))
    raise_barrier(world, desk, cast.team)
    post(world, ADD, group_uuid=desk, entity_user_xref_uuids=[cast.priya.uuid, cast.miriam.uuid])
    raise_barrier(world, spare, desk)
    post(world, f"{GROUPS}/destroy", group_uuid=spare)
    lift(world, cast.team, desk)
    post(world, REMOVE, group_uuid=cast.team, entity_user_xref_uuids=[cast.tomas.uuid])
    post(world, f"{GROUPS}/update", group_uuid=spare, state="active", name="Used")
    lift(world, spare, desk)
    post(world, ADD, group_uuid=spare, identifiers=["ADV-1", "ADV-3", "CL-2"])
    post(world, REMOVE, group_uuid=spare, identifiers=["ADV-1", "ADV-3", "CL-2"])
    post(world, f"{GROUPS}/update", group_uuid=spare, state="inactive")
    raise_barrier(world, desk, cast.team)
    people = [cast.miriam, cast.tomas, cast.ingrid, cast.olga, cast.priya, cast.george, cast.petra]
    return [(one, other) for one in people for other in people if one is not other]


def test_the_record_tells_of_now_what_the_tables_tell(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = varied(world)
    monkeypatch.setattr(explain, "PAGE", 3)
    head = world.head(world.cast.firm)
    for one, other in pairs:
        assert why(world, one, other, at=head) == why(world, one, other)


def test_what_was_once_true_is_told_ever_after(world: World) -> None:
    cast = world.cast
    told = []
    for act in (
        lambda: divide(world),
        lambda: make(world, "Choir", cast.tomas, cast.olga),
        lambda: lift(world, *[group for one in listed(world) for group in list(one.values())[:2]]),
        lambda: post(
            world,
            REMOVE,
            group_uuid=why(world, cast.tomas, cast.olga)["group_uuids"][0],
            identifiers=["ADV-1"],
        ),
    ):
        told.append(why(world, cast.tomas, cast.olga))
        act()
    told.append(why(world, cast.tomas, cast.olga))
    assert [one["rule"] for one in told] == [
        "colleagues",
        "barrier",
        "barrier",
        "shared_group",
        "colleagues",
    ]
    for once in told:
        assert why(world, cast.tomas, cast.olga, at=once["as_of"]) == once


def test_a_time_means_the_last_entry_that_is_not_later(world: World) -> None:
    cast = world.cast
    divide(world)
    entries = world.entries(cast.firm)
    for entry in (entries[0], entries[len(entries) // 2], entries[-1]):
        same = [one["position"] for one in entries if one["at"] <= entry["at"]]
        assert why(world, cast.tomas, cast.olga, at=entry["at"])["as_of"] == same[-1]
    just_before = times.wire(times.read(entries[0]["at"]) - 1)
    assert why(world, cast.tomas, cast.olga, at=just_before)["as_of"] == 0
    assert why(world, cast.tomas, cast.olga, at=just_before)["rule"] == "no_member"
    assert why(world, cast.tomas, cast.olga, at=0)["as_of"] == 0
    future = why(world, cast.tomas, cast.olga, at="2999-01-01T00:00:00+01:00")
    assert future == why(world, cast.tomas, cast.olga)
