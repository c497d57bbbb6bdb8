"""The sealed record of a chat, written from the tables and verified by its file alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from onrecord.domain import chat_record, record
from onrecord.domain.chat_record import EVERYTHING, TO_PERSONS, ChatRecordPlan
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.record import TYPES, EntryType
from onrecord.proof import note
from onrecord.proof.verify import Report, verify
from onrecord.store import record as ledger
from onrecord.store.chat_entries import ChatEntry, last_place
from onrecord.store.db import Session
from onrecord.store.work import Work
from tests.talk import CREATE, SEND, act, done, uuids
from tests.world import World, accepted


@dataclass
class Made:
    """A record of a chat, written to a file, and what verifying it found."""

    plan: ChatRecordPlan
    data: bytes
    report: Report
    shown: list[ChatEntry] = field(default_factory=list)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines between header and seal."""
        return [json.loads(line) for line in self.data.splitlines()[1:-1]]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What the entries say."""
        return [json.loads(line["entry"]) for line in self.lines if "entry" in line]


def chat_id_of(world: World, chat_uuid: str) -> int:
    ((number,),) = world.rows("SELECT id FROM chat WHERE uuid = $1", chat_uuid)
    return int(number)


def made(world: World, folder: Path, chat_uuid: str, **how: Any) -> Made:
    """Write the record of a chat of the firm and verify it with the firm's key."""

    async def plan_it(work: Work) -> ChatRecordPlan:
        chat_id = chat_id_of_work
        between = how.pop("between", None)
        if between is not None:
            head, _, _ = await ledger.head_of(work.db, work.actor.entity_id)
            how["window"] = await chat_record.moments(work, how.get("as_of") or head, *between)
        signer = world.app.signer
        return await chat_record.plan(work, signer, chat_id, chat_uuid=chat_uuid, **how)

    chat_id_of_work = chat_id_of(world, chat_uuid)
    plan = world.work(world.cast.firm, plan_it)
    data, shown = written(world, plan)
    file = folder / "chat.jsonl"
    file.write_bytes(data)
    keys = [note.VerifierKey.parse(one) for one in world.ask(record.verifier_keys)]
    return Made(plan, data, verify(file, keys), shown)


def written(world: World, plan: ChatRecordPlan) -> tuple[bytes, list[ChatEntry]]:
    shown: list[ChatEntry] = []

    async def keep(options: str, text: str) -> None:
        await world.app.as_service(
            lambda work: ledger.keep_seal(work.db, plan.entity.id, options, text)
        )

    async def write() -> bytes:
        pieces = chat_record.write(
            world.app.store.ask, keep, world.app.signer, plan, look=shown.extend
        )
        return b"".join([piece async for piece in pieces])

    return world.run(write()), shown


def talk(world: World, count: int = 3, title: str = "Pension") -> str:
    """A chat of Tomas and Priya, with so many messages after its first."""
    cast = world.cast
    body = {"entity_user_xref_uuids": uuids(cast.priya), "text": "zero", "title": title}
    answer = world.post(CREATE, key=cast.master, on_behalf_of=cast.tomas, json=body)
    chat_uuid = str(accepted(answer)["chat_uuid"])
    say(world, chat_uuid, count)
    return chat_uuid


def say(world: World, chat_uuid: str, count: int) -> None:
    for number in range(count):
        accepted(
            world.post(
                SEND,
                key=world.cast.master,
                on_behalf_of=world.cast.tomas,
                json={"chat_uuid": chat_uuid, "text": f"text {number}"},
                headers={"x-request-id": f"my-{number}"},
            )
        )


def firm_entries(world: World, chat_uuid: str) -> list[dict[str, Any]]:
    return [one for one in world.entries(world.cast.firm) if one.get("chat_uuid") == chat_uuid]


def test_the_record_of_a_chat_holds_every_entry_of_it_and_is_verified(
    world: World, tmp_path: Path
) -> None:
    chat_uuid, other = talk(world), talk(world, 2)
    done(world, "rename", world.cast.tomas, chat_uuid, title="Papers")
    say(world, other, 2)
    say(world, chat_uuid, 2)
    found = made(world, tmp_path, chat_uuid)
    assert found.report.ok, found.report.problem
    assert found.report.trusted is True
    assert found.entries == firm_entries(world, chat_uuid)
    assert [one.position for one in found.shown] == [one["position"] for one in found.entries]
    assert found.plan.as_of == world.head(world.cast.firm)
    assert found.plan.entries == len(found.entries) == found.plan.last_index_of_chat
    # The same plan gives the same bytes, though the record goes on meanwhile.
    say(world, chat_uuid, 3)
    assert written(world, found.plan)[0] == found.data


def test_persons_are_not_told_from_where_others_wrote(world: World, tmp_path: Path) -> None:
    chat_uuid = talk(world)
    persons = made(world, tmp_path, chat_uuid, withheld=TO_PERSONS)
    keys = made(world, tmp_path, chat_uuid, withheld=EVERYTHING)
    for found, names in ((persons, {"text", "title"}), (keys, {"text", "title", "address"})):
        assert found.report.ok, found.report.problem
        parts = {name for line in found.lines for name in line.get("parts", ())}
        assert names <= parts
        assert ("address" in parts) == ("address" in names)
    assert b"127.0.0.1" not in persons.data
    assert b"my-1" not in persons.data
    assert b"my-1" in keys.data
    assert "address, request_id: they are withheld" in "\n".join(persons.report.not_checked)


def test_an_earlier_position_gives_what_there_was_then(world: World, tmp_path: Path) -> None:
    chat_uuid = talk(world)
    then = world.head(world.cast.firm)
    first = made(world, tmp_path, chat_uuid)
    say(world, chat_uuid, 4)
    again = made(world, tmp_path, chat_uuid, as_of=then)
    assert again.data == first.data
    for as_of in (0, world.head(world.cast.firm) + 1, 1):  # 1: the chat had not begun
        with pytest.raises(Refusal) as refused:
            made(world, tmp_path, chat_uuid, as_of=as_of)
        assert refused.value.code == "RN008"


def test_windows_by_position_and_by_time(world: World, tmp_path: Path) -> None:
    chat_uuid, other = talk(world, 3), talk(world, 3)
    say(world, chat_uuid, 2)
    say(world, other, 1)
    whole = firm_entries(world, chat_uuid)
    ends = [0, *(one["position"] for one in whole), world.head(world.cast.firm)]
    for after in ends:
        for until in ends:
            if until == 0:
                continue
            due = [one for one in whole if after < one["position"] <= until]
            found = made(world, tmp_path, chat_uuid, window=(after, until))
            assert found.report.ok, found.report.problem
            assert found.entries == due
            assert found.plan.entries == len(due)
    moments = [times.read(one["at"]) for one in whole]
    begin, end = moments[1], moments[-2]
    due = [one for one in whole if begin <= times.read(one["at"]) <= end]
    for between, expected in (
        ((begin, end), due),
        ((None, None), whole),
        ((None, moments[0] - 1), []),
        ((moments[-1] + 1, None), []),
        ((begin, None), [one for one in whole if times.read(one["at"]) >= begin]),
    ):
        found = made(world, tmp_path, chat_uuid, between=between)
        assert found.report.ok, found.report.problem
        assert found.entries == expected


def test_a_long_chat_is_read_page_by_page(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_uuid, other = talk(world, 150), talk(world, 2)
    act(world, "rename", world.cast.tomas, chat_uuid, title="Papers")
    say(world, chat_uuid, 140)
    say(world, other, 2)
    due = made(world, tmp_path, chat_uuid).data
    monkeypatch.setattr(chat_record, "PAGE", 7)
    found = made(world, tmp_path, chat_uuid)
    assert found.report.ok, found.report.problem
    assert found.data == due
    positions = [one["position"] for one in found.entries]
    number = chat_id_of(world, chat_uuid)

    async def last_places(session: Session) -> Sequence[int]:
        head = positions[-1] + 3
        return [await last_place(session, number, until) for until in range(head)]

    places = world.ask(last_places)
    for until, place in enumerate(places):
        assert place == max((one for one in positions if one <= until), default=0)


def test_what_was_erased_is_null_and_the_file_says_where_that_stands(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased = EntryType("content.erased", "Erased.", data=frozenset({"position", "parts"}))
    monkeypatch.setitem(TYPES, "content.erased", erased)
    monkeypatch.setattr(chat_record, "PAGE", 3)
    chat_uuid = talk(world, 4)
    texts = [one for one in firm_entries(world, chat_uuid) if one["type"] == "message.sent"]

    def erase(position: int) -> None:
        async def act(work: Work) -> None:
            await work.db.run(
                "DELETE FROM part WHERE entity_id = $1 AND position = $2 AND name = 'text'",
                work.actor.entity_id,
                position,
            )
            work.record("content.erased", data={"position": position, "parts": ["text"]})

        world.work(world.cast.firm, act)

    before = made(world, tmp_path, chat_uuid)
    erase(texts[1]["position"])
    say(world, chat_uuid, 1)
    as_of = world.head(world.cast.firm)
    erase(texts[3]["position"])
    found = made(world, tmp_path, chat_uuid, as_of=as_of)
    assert found.report.ok, found.report.problem
    assert found.report.counts["erased_parts_explained"] == 2
    erasures = [json.loads(line["erasure"]) for line in found.lines if "erasure" in line]
    assert [one["position"] for one in erasures] == [before.plan.as_of + 1, as_of + 1]
    assert any("1 of the erasures" in line for line in found.report.not_checked)
    # As of a position before both, the file says of both that they came later.
    again = made(world, tmp_path, chat_uuid, as_of=before.plan.as_of)
    assert again.report.ok, again.report.problem
    assert any("2 of the erasures" in line for line in again.report.not_checked)
    assert [one["position"] for one in again.entries] == [one["position"] for one in before.entries]
