"""Terms: versions, and who still has to accept one."""

from typing import Any

import pytest

from onrecord.domain import organisations, terms
from onrecord.model.access import INSTALLATION_UUID
from tests.world import ENTITY, World, accepted, refused

APP = "/app-service/api"
UPDATE = f"{ENTITY}/terms/update"
ACCEPT = f"{APP}/terms/accept"


def publish(world: World, text: str) -> dict[str, Any]:
    answer: dict[str, Any] = accepted(
        world.post(UPDATE, key=world.cast.system, json={"text": text})
    )["terms"]
    return answer


def due(world: World) -> list[tuple[str, int]]:
    """What tomas is still to accept."""
    account_id, member_id, entity_id = world.rows(
        "SELECT account_id, id, entity_id FROM member WHERE uuid = $1", world.cast.tomas.uuid
    )[0]
    found = world.ask(lambda session: terms.due(session, account_id, member_id, entity_id))
    return [(one.whose, one.version) for one in found]


def accept(world: World, version: int, *, as_member: bool = True) -> Any:
    browser = world.cast.session
    path = ACCEPT if as_member else f"{APP}/account/terms/accept"
    return world.post(path, key=browser, json={"version": version})


def test_every_new_text_is_a_version_and_the_same_text_is_none(world: World) -> None:
    before = world.head(world.cast.firm)
    first = publish(world, "Be kind.")
    assert (first["whose"], first["version"], first["text"]) == ("organisation", 1, "Be kind.")
    assert publish(world, "Be kind.") == first
    assert publish(world, "Be kinder.")["version"] == 2
    entries = [
        (entry["type"], entry["data"].get("version"))
        for entry in world.entries(world.cast.firm, before)
    ]
    assert [one for one in entries if one[0] == "terms.updated"] == [
        ("terms.updated", 1),
        ("terms.updated", 2),
    ]


def test_setting_the_terms_by_whatever_way_makes_a_version(world: World) -> None:
    world.work(world.cast.firm, lambda work: organisations.set_setting(work, "terms", "One."))
    accepted(
        world.post(f"{ENTITY}/organisation/update", key=world.cast.system, json={"terms": "Two."})
    )
    assert publish(world, "Two.")["version"] == 2
    shown = accepted(world.get(f"{ENTITY}/organisation", key=world.cast.system))["organisation"]
    assert shown["terms"] == "Two."


def test_a_new_version_asks_everyone_again(world: World) -> None:
    assert due(world) == []
    publish(world, "One.")
    assert due(world) == [("organisation", 1)]
    assert accepted(accept(world, 1))["terms"] == []
    assert due(world) == []
    publish(world, "Two.")
    assert due(world) == [("organisation", 2)]


def test_accepting_is_on_record_once(world: World) -> None:
    publish(world, "One.")
    before = world.head(world.cast.firm)
    for _ in range(2):
        accepted(accept(world, 1))
    (entry,) = world.entries(world.cast.firm, before)
    assert (entry["type"], entry["data"]) == ("terms.accepted", {"version": 1})
    assert entry["entity_user_xref_uuid"] == world.cast.tomas.uuid
    assert entry["actor"]["kind"] == "session"


def test_accepting_an_earlier_version_leaves_the_newest_due(world: World) -> None:
    publish(world, "One.")
    publish(world, "Two.")
    left = accepted(accept(world, 1))["terms"]
    assert [(one["whose"], one["version"]) for one in left] == [("organisation", 2)]


@pytest.mark.parametrize("version", [2, 0, -1])
def test_a_version_that_there_never_was_is_refused(world: World, version: int) -> None:
    publish(world, "One.")
    refused(accept(world, version), "RB003", 400)


def test_empty_terms_ask_nobody(world: World) -> None:
    publish(world, "One.")
    publish(world, " ")
    assert due(world) == []


def test_terms_that_are_too_long_are_refused(world: World) -> None:
    body = {"text": "x" * 100_001}
    refused(world.post(UPDATE, key=world.cast.system, json=body), "RB003", 400)


def test_the_operators_terms_are_accepted_by_the_account_once_for_all_memberships(
    world: World,
) -> None:
    world.work(None, lambda work: terms.publish(work, "The operator's."))
    assert due(world) == [("operator", 1)]
    before = world.head(INSTALLATION_UUID)
    assert accepted(accept(world, 1, as_member=False))["terms"] == []
    assert due(world) == []
    (entry,) = world.entries(INSTALLATION_UUID, before)
    assert entry["type"] == "terms.accepted"
    assert "account_uuid" in entry


def test_as_a_member_one_accepts_the_organisations_terms_and_not_the_operators(
    world: World,
) -> None:
    world.work(None, lambda work: terms.publish(work, "The operator's."))
    publish(world, "The firm's.")
    assert due(world) == [("operator", 1), ("organisation", 1)]
    left = accepted(accept(world, 1))["terms"]
    assert [one["whose"] for one in left] == ["operator"]


def test_the_session_says_what_the_account_and_each_membership_are_still_to_accept(
    world: World,
) -> None:
    world.work(None, lambda work: terms.publish(work, "The operator's."))
    publish(world, "The firm's.")

    def asked() -> list[tuple[str, int]]:
        shown = accepted(world.get(f"{APP}/session", key=world.cast.session))
        mine = shown["memberships"][0]
        assert mine["entity_user_xref_uuid"] == world.cast.tomas.uuid
        return [(one["whose"], one["version"]) for one in [*shown["terms"], *mine["terms"]]]

    assert asked() == [("operator", 1), ("organisation", 1)]
    accepted(accept(world, 1))
    assert asked() == [("operator", 1)]
    accepted(accept(world, 1, as_member=False))
    assert asked() == []
