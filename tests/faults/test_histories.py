"""Random histories of acts, with several actors and two Apps at once, on both engines."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from onrecord import app as composition
from onrecord.model.access import INSTALLATION_UUID
from onrecord.proof.verify import verify
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.histories import History
from tests.faults.offices import Offices
from tests.faults.processes import LONG
from tests.faults.told import Told
from tests.world import World

HISTORIES = 40 if LONG else 3
OF_PERSONS = 40 if LONG else 2
"""Histories in which persons and offices act as well."""


@pytest.mark.long
@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_any_history_of_many_actors_leaves_a_record_that_tells_the_state(
    make_world: MakeWorld, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onrecord.domain.butler.SLICE", 3)  # six people are two slices
    monkeypatch.setattr("onrecord.domain.membership.SLICE", 3)
    world = make_world()
    second = world.beside()
    try:
        history = History([world, second], random.Random(seed))  # noqa: S311 - a history to repeat
        seen, mine = world.run(history.run())
        head = world.head(world.cast.firm)
    finally:
        second.close()
    tolds = records.check_everything(world)
    for positions in seen:
        assert positions == list(range(1, head + 1))
    _check_history(tolds, history)
    for member, entries in mine:
        _check_member_feed(tolds[world.cast.firm], member, entries)


@pytest.mark.long
@pytest.mark.timeout(900 if LONG else 240)
@pytest.mark.parametrize("seed", range(OF_PERSONS))
def test_any_history_of_persons_offices_and_workers_leaves_a_record_that_tells_the_state(
    make_world: MakeWorld, seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("onrecord.domain.butler.SLICE", 3)
    monkeypatch.setattr("onrecord.domain.membership.SLICE", 3)
    monkeypatch.setattr("onrecord.domain.imports.SLICE", 2)
    monkeypatch.setattr("onrecord.domain.joining.TOLD_MOST", 1)
    world = make_world(dev_outbox=True)
    second = world.beside()
    try:
        history = Offices([world, second], random.Random(f"persons {seed}"))  # noqa: S311 - a history to repeat
        seen, mine = world.run(history.at_work())
    finally:
        second.close()
    tolds = records.check_everything(world)
    told = tolds[world.cast.firm]

    for positions in seen:  # the workers went on when the readers had gone
        assert positions == list(range(1, len(positions) + 1))
    _check_history(tolds, history)
    for member, entries in mine:
        last = entries[-1]["position"] if entries else 0
        expected = [position for position in told.seen_by(member) if position <= last]
        assert [entry["position"] for entry in entries] == expected
    assert set(history.joined) <= set(told.joined)
    records.check_links(world, told)
    _check_jobs(world, history, told)
    _check_files(world, history, tmp_path)


def _check_history(tolds: dict[str, Told], history: History) -> None:
    """Whatever was acknowledged is there, once, and where it was said to be."""
    told = tolds[history.world.cast.firm]
    assert len(history.said) > 3
    for said in history.said:
        assert told.messages[said.chat_uuid][said.seq][-1] == said.text
    _check_once(told, history)
    _check_butler(told, history)
    _check_acknowledged([told, tolds[INSTALLATION_UUID]], history)
    assert set(told.members) >= history.members


def _check_jobs(world: World, history: Offices, told: Told) -> None:
    """Everything that was put in line has come to its end, and imports did what they said."""
    failed = world.rows("SELECT kind, result FROM job WHERE state <> 'done'")
    for kind, result in failed:  # the organisation was frozen at that moment
        assert (kind, json.loads(result or "{}").get("error_code")) == ("import", "RN902")
    for job_uuid, dry, rows in history.imports:
        assert (job_uuid in told.imports) is not dry
        ((state, result, done),) = world.rows(
            "SELECT state, result, done FROM job WHERE uuid = $1", job_uuid
        )
        if state == "done":
            assert done == rows
            counted = json.loads(result)
            assert sum(counted.values()) == rows
            assert dry or told.imports[job_uuid] == counted


def _check_files(world: World, history: Offices, folder: Path) -> None:
    """Exports made amid all this verify, and so do an archive and an export of the end."""
    files = []
    for number, content in enumerate(history.exports):
        files.append(folder / f"export-{number}.zip")
        files[-1].write_bytes(content)
    for entity in (world.cast.firm, INSTALLATION_UUID):
        files.append(folder / f"{entity}.jsonl")
        world.run(composition.write_archive(world.app, entity, files[-1], None))
    files.append(folder / "entities.zip")
    last, wanted = files[-1], ("zip", None)
    world.run(composition.write_entities(world.app, world.cast.firm, last, wanted, lambda _: None))
    for file in files:
        report = verify(file)
        assert report.ok, report.problem


def _check_once(told: Told, history: History) -> None:
    """A request with an idempotency key had one effect, and one answer."""
    texts = [message[-1] for chat in told.messages.values() for message in chat]
    for text, places in history.once.items():
        assert len(set(places)) <= 1
        assert texts.count(text) == len(set(places))
    for answers in history.said_once.values():
        assert all(answer == answers[0] for answer in answers)


def _check_butler(told: Told, history: History) -> None:
    """The Butler said what it was told to, to whom, and under an idempotency key only once."""
    for heard in history.heard:
        assert told.chats[heard.chat_uuid].butler_of == heard.member
        first_name = told.members[heard.member]["first_name"]
        filled = heard.text.replace("<First Name>", first_name)
        assert told.messages[heard.chat_uuid][heard.seq][-1] == filled
    for uuid, chat in told.chats.items():
        if chat.butler_of is not None:
            texts = [message[-1] for message in told.messages[uuid]]
            said = [text for text in texts if "has joined" not in text]  # two of the same name may
            assert len(said) == len(set(said))


def _check_acknowledged(tolds: list[Told], history: History) -> None:
    """What was acknowledged is on record, and before whatever was asked for afterwards."""
    for done in history.done:
        if done.writes is not None:
            written = [name for told in tolds for _, name in told.requests.get(done.request_id, [])]
            assert written.count(done.writes) == 1, done
    for told in tolds:
        _check_sequence(told, history)


def _check_sequence(told: Told, history: History) -> None:
    spans = []
    for done in history.done:
        written = told.requests.get(done.request_id, [])
        if done.writes == "import.started":  # what a worker does is under its request's id too
            written = written[:1]
        if written:
            spans.append((done.began, done.ended, written[0][0], written[-1][0]))
    moments = sorted(
        [(began, first, False) for began, _, first, _ in spans]
        + [(ended, last, True) for _, ended, _, last in spans]
    )
    furthest = 0
    for _, position, is_end in moments:
        if is_end:
            furthest = max(furthest, position)
        else:
            assert position > furthest


def _check_member_feed(told: Told, member: str, entries: list[dict[str, Any]]) -> None:
    """A member was told what the record says the member may see, each entry once."""
    assert [entry["position"] for entry in entries] == told.seen_by(member)
