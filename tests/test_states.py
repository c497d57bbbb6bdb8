"""The states of an organisation: who is refused, and what the command line still does."""

from pathlib import Path

import pytest

from onrecord.model.access import Kind
from tests.test_cli import Line, beside
from tests.world import CHAT, ENTITY, World, accepted, refused

__all__ = ["beside"]
EVENTS = f"{ENTITY}/events"
CHATS = f"{CHAT}/chats"
LIST = f"{ENTITY}/entity-memberships/list"


def test_each_state_is_obeyed_from_the_next_request_on(world: World, beside: Line) -> None:
    cast = world.cast

    def told() -> tuple[int, int, int]:
        return (
            world.get(EVENTS, key=cast.system).status_code,
            world.get(EVENTS, key=cast.superkey).status_code,
            world.get(CHATS, key=cast.user).status_code,
        )

    assert told() == (200, 200, 200)
    for command, expected, code in (
        ("freeze", (200, 200, 404), "RN902"),
        ("unfreeze", (200, 200, 200), None),
        ("deactivate", (404, 404, 404), "RN900"),
        ("activate", (200, 200, 200), None),
    ):
        beside.facts("org", command, "--org", cast.firm)
        assert told() == expected
        if code is not None:
            refused(world.get(CHATS, key=cast.user), code, 404)
            refused(world.get(CHATS, key=cast.master, on_behalf_of=cast.miriam), code, 404)
        accepted(world.get(EVENTS, key=cast.other_system))


def test_a_frozen_organisation_is_read_with_the_permission_alone(
    world: World, beside: Line
) -> None:
    cast = world.cast
    beside.facts("org", "freeze", "--org", cast.firm)
    accepted(world.get(LIST, key=cast.alone[Kind.SYSTEM, "can_read_admin"]))
    refused(world.get(LIST, key=cast.alone[Kind.SYSTEM, "can_export"]), "RF733", 403)
    refused(world.get(EVENTS, key=cast.alone[Kind.SUPER, "can_read_admin"]), "RF732", 403)


@pytest.mark.parametrize("state", ["freeze", "deactivate"])
def test_the_command_line_goes_on_in_every_state(
    world: World, beside: Line, tmp_path: Path, state: str
) -> None:
    """The record still takes exports and what the operator does."""
    cast = world.cast
    beside.facts("org", state, "--org", cast.firm)
    before = world.head(cast.firm)
    output = str(tmp_path / "record.jsonl")
    beside.facts("export", "record", "--org", cast.firm, "--output", output)
    beside.run("verify", output)
    beside.facts("key", "deactivate", "--key", cast.system.api_key)
    beside.facts("org", "set", "--org", cast.firm, "banner", "We are closed")
    beside.facts("checkpoint", "--org", cast.firm)
    types = [entry["type"] for entry in world.entries(cast.firm, before)]
    assert types == ["export.made", "key.deactivated", "setting.changed"]


def test_refused_uses_are_on_record_in_every_state(world: World, beside: Line) -> None:
    cast = world.cast
    for command, code in (("freeze", "RN902"), ("deactivate", "RN900")):
        beside.facts("org", command, "--org", cast.firm)
        before = world.head(cast.firm)
        refused(world.get(CHATS, key=cast.user), code, 404)
        world.run(world.app.note_counts())
        (entry,) = world.entries(cast.firm, before)
        assert entry["data"] == {"error_code": code, "count": 1}
        beside.facts("org", "activate", "--org", cast.firm)


def test_between_frozen_and_inactive_lies_active_and_the_same_again_is_no_entry(
    world: World, beside: Line
) -> None:
    firm = world.cast.firm
    for first, other in (("freeze", "deactivate"), ("deactivate", "freeze")):
        beside.facts("org", first, "--org", firm)
        head = world.head(firm)
        beside.facts("org", first, "--org", firm)
        assert "RB019" in beside.refused("org", other, "--org", firm)
        assert world.head(firm) == head
        beside.facts("org", "activate", "--org", firm)
