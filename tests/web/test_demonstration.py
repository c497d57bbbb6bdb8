"""The example firm: whole, alive, and made only once."""

import json
import re
import unicodedata
from typing import Any

import pytest

from onrecord.jobs import worker
from onrecord.model.access import PROFILES, Kind
from onrecord.web import demonstration
from tests.cast import ApiKey
from tests.conftest import MakeWorld
from tests.world import CHAT, ENTITY, World, accepted

ADDRESS = "http://127.0.0.1:8080"


def furnish(world: World, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    world.run(demonstration.furnish(world.app, ADDRESS))
    facts = json.loads((world.settings.data_dir / "demo.json").read_text("utf-8"))
    return facts, capsys.readouterr().out


def keys_of(facts: dict[str, Any], printed: str) -> dict[str, ApiKey]:
    kinds = {"system": Kind.SYSTEM, "master": Kind.MASTER_USER, "user": Kind.USER}
    found = {}
    for name, api_key in facts["keys"].items():
        secret = printed.split(f"{api_key}  secret ")[1].split(maxsplit=1)[0]
        found[name] = ApiKey(kinds[name], "", api_key, secret, name)
    return found


def test_the_firm_is_there_and_alive(
    empty_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world = empty_world
    facts, printed = furnish(world, capsys)
    keys = keys_of(facts, printed)
    assert f"{ADDRESS}/docs" in printed
    assert printed.count("\ncurl ") == 4
    example = demonstration.firm()
    assert accepted(world.get(f"{ENTITY}/whoami", key=keys["system"]))["kind"] == "system"
    whoami = accepted(world.get(f"{CHAT}/whoami", key=keys["user"]))
    assert whoami["entity_user_xref_uuid"]

    chats = accepted(world.get(f"{CHAT}/chats", key=keys["master"], on_behalf_of=facts["adviser"]))[
        "chats"
    ]
    titles = {chat["title"]: chat for chat in chats}
    assert {"Pension transfer", "Holiday cover", "ISA top-up"} <= titles.keys()
    assert titles["ISA top-up"]["archived"]
    assert titles["Pension transfer"]["unread_count"] > 0
    assert sum(chat["is_butler"] for chat in chats) == 1

    written = {entry["type"] for entry in world.entries(facts["entity_uuid"])}
    assert written >= {"chat.renamed", "participant.left", "message.sent", "setting.changed"}
    sent = [e for e in world.entries(facts["entity_uuid"]) if e["type"] == "message.sent"]
    welcomed = sum(not person.pending for person in example.people)
    assert len(sent) == welcomed + sum(len(talk.lines) for talk in example.talks)


def test_everybody_signs_in_as_it_was_printed_once(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(empty=True, dev_outbox=True)
    facts, printed = furnish(world, capsys)
    found = re.findall(
        r"^  ([a-z]+\.(?:staff|client)) +(\S{22})  (.+), (.+)$", printed, re.MULTILINE
    )
    active = [one for one in demonstration.firm().people if not one.pending]
    assert [one[0] for one in found] == [one.username for one in active]
    for username, password, role, _ in (found[0], found[-1]):
        body = {"username": username, "password": password}
        asked = accepted(world.post("/app-service/api/sign-in", json=body))
        world.run(worker.run_due(world.app))
        mails = accepted(world.get("/app-service/api/dev/outbox", headers={"host": "localhost"}))[
            "messages"
        ]
        code = max((mail for mail in mails if mail["code"]), key=lambda mail: mail["at"])["code"]
        body = {"challenge": asked["challenge"], "code": code}
        answer = accepted(world.post("/app-service/api/sign-in/confirm", json=body))
        assert answer["memberships"][0]["entity"]["entity_uuid"] == facts["entity_uuid"]
        assert (
            role
            == {1: "System administrator", 5: "Partner"}[
                next(one.role for one in active if one.username == username)
            ]
        )
    password = found[0][1]
    assert password not in (world.settings.data_dir / "demo.json").read_text("utf-8")
    world.restart()
    _, again = furnish(world, capsys)
    assert password not in again
    assert "onrecord account set-password --username miriam.staff" in again


def test_it_is_made_once_and_only_its_secrets_are_new(
    empty_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world = empty_world
    first, printed = furnish(world, capsys)
    before = world.entries(first["entity_uuid"])
    world.restart()
    second, again = furnish(world, capsys)
    assert second == first
    new = world.entries(first["entity_uuid"], len(before))
    assert [entry["type"] for entry in new] == ["key.rotated"] * 3
    for name, key in keys_of(first, printed).items():
        assert keys_of(second, again)[name].secret != key.secret


def test_the_example_is_of_many_scripts_and_fits_together() -> None:
    example = demonstration.firm()
    people = {person.key: person for person in example.people}
    staff = [one for one in example.people if PROFILES[one.role].is_staff]
    assert (len(staff), len(example.people) - len(staff)) == (6, 14)
    assert sum(one.role == 5 for one in example.people) >= 3
    for talk in example.talks:
        assert {line.who for line in talk.lines} <= set(talk.who) <= people.keys()
        assert {*talk.leaves, *talk.read_by, *talk.archived_by} <= set(talk.who)
        assert not any(people[who].pending for who in talk.who)
        for number, line in enumerate(talk.lines):
            assert line.reply_to_seq is None or line.reply_to_seq < number
    letters = {
        unicodedata.name(letter).split()[0]
        for talk in example.talks
        for line in talk.lines
        for letter in line.text
        if letter.isalpha()
    }
    assert letters >= {"LATIN", "GREEK", "CYRILLIC", "ARABIC", "HIRAGANA", "CJK"}
