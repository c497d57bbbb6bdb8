"""Random histories of acts, with several actors and two Apps at once, on both engines."""

import random
from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.histories import History
from tests.faults.processes import LONG
from tests.faults.told import Told

HISTORIES = 40 if LONG else 3


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
    told = records.check_everything(world)[world.cast.firm]

    for positions in seen:
        assert positions == list(range(1, head + 1))
    assert len(history.said) > 3
    for said in history.said:
        assert told.messages[said.chat_uuid][said.seq][-1] == said.text
    _check_once(told, history)
    _check_butler(told, history)
    _check_acknowledged(told, history)
    assert set(told.members) >= history.members
    for member, entries in mine:
        _check_member_feed(told, member, entries)


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
            assert len(texts) == len(set(texts))


def _check_acknowledged(told: Told, history: History) -> None:
    """What was acknowledged is on record, and before whatever was asked for afterwards."""
    spans = []
    for done in history.done:
        written = told.requests.get(done.request_id, [])
        if done.writes is not None:
            assert [name for _, name in written].count(done.writes) == 1, done
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
