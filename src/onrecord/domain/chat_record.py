"""The sealed record of one chat, or of a window of it (`proof.chat`).

`plan` fixes what it will hold before its first byte is written; `write` gives it piece by piece.
The same plan gives the same bytes whenever it is written, but for what was erased in between.
"""

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec

from onrecord.domain import record as records
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.ports import Signer
from onrecord.model.record import TRACES
from onrecord.proof import archive, chat, entries, merkle
from onrecord.proof.seal import Sealer
from onrecord.store import access, chat_entries, tree
from onrecord.store import record as ledger
from onrecord.store.chat_entries import ChatEntry
from onrecord.store.db import Session
from onrecord.store.work import Work

PAGE: Final = 1000
"""Entries read in one transaction."""

NODES: Final = 512
"""Hashes of the proof made in one transaction: some ten milliseconds of hashing tiles."""

Read = Callable[[Callable[[Session], Awaitable[Any]]], Awaitable[Any]]
Keep = Callable[[str, str], Awaitable[None]]
"""Stores a seal under the options of its export, when it is first made."""

EVERYTHING: Final[frozenset[str]] = frozenset()
TO_PERSONS: Final = TRACES
"""What persons do not get: from where others wrote, and under which ids of their own. Exports by
a key of the organisation and by the command line withhold nothing."""


@dataclass(frozen=True, slots=True)
class ChatRecordPlan:
    """What the record of a chat will hold: the entries of `first_index` to `last_index`.

    `after` and `until` are the positions between which they stand.
    """

    entity: access.Entity
    chat_id: int
    chat_uuid: str
    as_of: int
    checkpoint: str
    keys: list[str]
    after: int
    until: int
    first_index: int
    last_index: int
    last_index_of_chat: int
    withheld: frozenset[str]

    @property
    def entries(self) -> int:
        """How many entries of the chat it holds."""
        return self.last_index - self.first_index + 1


async def plan(
    work: Work,
    signer: Signer,
    chat_id: int,
    *,
    chat_uuid: str,
    as_of: int | None = None,
    window: tuple[int, int | None] = (0, None),
    withheld: frozenset[str] = TO_PERSONS,
) -> ChatRecordPlan:
    """Fix what the record of a chat of the organisation will hold; writes no entry.

    `as_of`: a position of the record; None is its present end. `window`: the entries after the
    first position and up to the second, both also positions (None: up to `as_of`); `moments` tells
    which ones lie between two times. `withheld`: names of parts that are left out. RN008: a
    position that was not reached, or at which the chat had not begun.
    """
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is None:
        raise Refusal("RN007")
    head, _, _ = await ledger.head_of(work.db, entity.id)
    size = head if as_of is None else as_of
    if not 1 <= size <= head:
        raise Refusal("RN008", f"The record has {head} entries")
    last_of_chat = await _index_before(work.db, entity.id, chat_id, size)
    if not last_of_chat:
        raise Refusal("RN008", "The chat had not begun at this position")
    after, until = window
    until = size if until is None else min(until, size)
    after = min(after, until)
    return ChatRecordPlan(
        entity=entity,
        chat_id=chat_id,
        chat_uuid=chat_uuid,
        as_of=size,
        checkpoint=await records.checkpoint_at(work, signer, size),
        keys=await records.verifier_keys(work.db),
        after=after,
        until=until,
        first_index=await _index_before(work.db, entity.id, chat_id, after) + 1,
        last_index=await _index_before(work.db, entity.id, chat_id, until),
        last_index_of_chat=last_of_chat,
        withheld=withheld,
    )


async def moments(
    work: Work, as_of: int, begin: int | None, end: int | None
) -> tuple[int, int | None]:
    """Give the window of the entries from a moment to another, both included, up to `as_of`.

    Moments are microseconds since 1970; None is open.
    """
    entity_id = work.actor.entity_id
    after, until = 0, as_of
    if begin is not None:
        after = await chat_entries.position_at(work.db, entity_id, times.wire(begin), as_of) - 1
    if end is not None:
        until = await chat_entries.position_at(work.db, entity_id, times.wire(end + 1), as_of) - 1
    return after, max(after, until)


class _Place(msgspec.Struct):
    chat_index: int


async def _index_before(session: Session, entity_id: int, chat_id: int, until: int) -> int:
    """Give the index of the chat's last entry up to a position; 0 where there is none."""
    position = await chat_entries.last_place(session, chat_id, until)
    if not position:
        return 0
    ((_, leaf),) = await chat_entries.leaves(session, entity_id, [position])
    return msgspec.json.decode(leaf, type=_Place).chat_index


# -- writing -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Proven:
    """The entries to be proven, in order: where their leaves stand, 8 bytes each."""

    leaves: "array[int]" = field(default_factory=lambda: array("Q"))
    erased: set[tuple[int, str]] = field(default_factory=set)
    """What is missing of them, by position and name of the part."""


async def write(
    read: Read,
    keep: Keep,
    signer: Signer,
    plan: ChatRecordPlan,
    look: Callable[[Sequence[ChatEntry]], None] | None = None,
) -> AsyncIterator[bytes]:
    """Give the record of a chat piece by piece: header, entries, erasures, proof, seal.

    A piece may be empty: it says that the work goes on.
    `read` asks the tables, a page to a transaction; `keep` stores the seal when first made.
    `look` is shown each page of entries, for whoever wants to make something else of it too.
    Memory grows by 8 bytes for each entry and by what was erased.
    """
    sealer, proven = Sealer(), _Proven()
    yield sealer.update(_header(plan))
    async for page in pages(read, plan):
        yield sealer.update(b"".join(_lines(page, plan.withheld, proven)))
        if look is not None:
            look(page)
    if proven.erased:
        async for line in _erasures(read, plan, proven):
            yield sealer.update(line)
    async for line in _proof(read, plan, proven):
        yield sealer.update(line)
    yield chat.seal_line(await _seal(read, keep, signer, plan, sealer))


def _header(plan: ChatRecordPlan) -> bytes:
    return chat.header_line(
        origin=plan.entity.origin,
        entity_uuid=plan.entity.uuid,
        chat_uuid=plan.chat_uuid,
        as_of=plan.as_of,
        checkpoint=plan.checkpoint,
        keys=records.parse_keys(plan.keys),
        window=(plan.first_index, plan.last_index, plan.last_index_of_chat),
        withheld=plan.withheld,
    )


async def pages(read: Read, plan: ChatRecordPlan) -> AsyncIterator[list[ChatEntry]]:
    """Give the entries of the window page by page; no transaction outlives a page."""
    after = plan.after
    while True:

        async def one_page(session: Session, after: int = after) -> list[ChatEntry]:
            return await chat_entries.entries_of_chat(
                session, plan.entity.id, plan.chat_id, (after, plan.until), PAGE
            )

        page = await read(one_page)
        if page:
            yield page
            after = page[-1].position
        if len(page) < PAGE:
            return


class _Content(msgspec.Struct):
    content: dict[str, str] = {}


def _lines(page: Sequence[ChatEntry], withheld: frozenset[str], proven: _Proven) -> Iterator[bytes]:
    """Write the lines of entries; what an entry names and nobody has any more was erased."""
    for entry in page:
        content = msgspec.json.decode(entry.leaf, type=_Content).content
        names = content.keys() - withheld
        proven.leaves.append(entry.position - 1)
        proven.erased.update((entry.position, one) for one in names - entry.parts.keys())
        yield archive.entry_line(entry.leaf, {name: entry.parts.get(name) for name in names})


class _Told(msgspec.Struct):
    type: str
    chat_uuid: str | None = None
    chat_index: int = 0
    data: dict[str, Any] = {}


async def _erasures(read: Read, plan: ChatRecordPlan, proven: _Proven) -> AsyncIterator[bytes]:
    """Write the entries that say what was erased, up to today; those up to `as_of` are proven.

    They are looked for among the entries that are about nobody and no chat.
    """
    after = min(position for position, _ in proven.erased)
    found = array("Q")
    while True:

        async def one_page(session: Session, after: int = after) -> Any:
            return await chat_entries.general_after(session, plan.entity.id, after, PAGE)

        page = await read(one_page)
        for position, leaf in page:
            after = position
            told = msgspec.json.decode(leaf, type=_Told)
            if told.type != entries.ERASURE:
                continue
            parts = {(told.data["position"], part) for part in told.data["parts"]}
            if parts & proven.erased:
                proven.erased -= parts
                if position <= plan.as_of:
                    found.append(position - 1)
                yield chat.erasure_line(bytes(leaf))
        if len(page) < PAGE or not proven.erased:
            break
    proven.leaves = array("Q", sorted([*proven.leaves, *found]))


async def _proof(read: Read, plan: ChatRecordPlan, proven: _Proven) -> AsyncIterator[bytes]:
    """Write the lines of the proof; empty pieces between them let others have their turn."""
    elements = merkle.multiproof_elements(proven.leaves, plan.as_of)
    hashes: list[bytes] = []
    while some := list(islice(elements, NODES)):
        hashes += await _hashes(read, plan, some)
        if len(hashes) >= chat.PROOF_HASHES:
            yield chat.proof_line(hashes[: chat.PROOF_HASHES])
            del hashes[: chat.PROOF_HASHES]
        else:
            yield b""
    if hashes:
        yield chat.proof_line(hashes)


async def _hashes(
    read: Read, plan: ChatRecordPlan, elements: Sequence[merkle.Element]
) -> list[bytes]:
    nodes = [node for element in elements for node in element]
    hashes = await read(lambda session: tree.node_hashes(session, plan.entity.id, nodes))
    return [merkle.fold([hashes[node] for node in element]) for element in elements]


async def _seal(
    read: Read, keep: Keep, signer: Signer, plan: ChatRecordPlan, sealer: Sealer
) -> str:
    text = sealer.text(chat.KIND, plan.entity.origin, plan.as_of)
    options = f"{chat.KIND}/{plan.as_of}/{plan.chat_uuid}/{sealer.digest().hex()}"
    stored: str | None = await read(
        lambda session: ledger.seal_of(session, plan.entity.id, options)
    )
    if stored is None:
        stored = signer.sign_note(text)
        await keep(options, stored)
    return stored
