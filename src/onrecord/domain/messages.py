"""Messages: what is said, and reading it back (product.md, section 5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from onrecord.model import text, times
from onrecord.model.access import BY_HAND, FOR_THE_ORGANISATION, VIA, Actor, MemberRef
from onrecord.model.chats import Attachment, Event, Message, Via
from onrecord.model.errors import Refusal, malformed
from onrecord.store import attachments
from onrecord.store import chats as rows
from onrecord.store.chats import ChatRow, WritingFacts
from onrecord.store.db import Caller, Row
from onrecord.store.record import Pending
from onrecord.store.work import Work

EVENT: Final = "event"
"""The kind of a message that tells what happened to the chat instead of what was said."""
ATTACHMENT: Final = "attachment"
"""The kind of a message that brings files, with a text or without."""
RANGE_DEFAULT: Final = 50
RANGE_MOST: Final = 1000


@dataclass(slots=True)
class Outgoing:
    """A text on its way into a chat, or files with a text or without."""

    caller: Caller
    actor: Actor
    chat_uuid: str
    text: str | None
    reply_to_seq: int | None = None
    files: tuple[Attachment, ...] = ()
    """What `attachments.to_send` has found to be the actor's to send into this chat."""


@dataclass(slots=True)
class Sent:
    """A message that has found its place; its time is known once the work is settled."""

    chat_uuid: str
    seq: int
    text: str | None
    reply_to_seq: int | None
    author: MemberRef
    actor: Actor
    entry: Pending
    files: tuple[Attachment, ...] = ()

    @property
    def chat_id(self) -> int:
        """The internal id of the chat."""
        chat = self.entry.chat
        return chat.id if chat else 0


async def append(work: Work, items: Sequence[Outgoing]) -> list[Sent | Refusal]:
    """Send many messages in one work, each by its own actor, and say what became of each.

    RB003: the text is empty, too long or holds what no text may. RN001: no such chat, or not the
    actor's. RF001: the actor has left it. RF005: the Butler chat. RF007: a barrier runs through
    it. RB017: no such message to reply to. The first message of a draft activates it.
    """
    wanted = [
        (item.actor.entity_id, item.chat_uuid, item.actor.member.id)
        for item in items
        if item.actor.member is not None and text.is_uuid(item.chat_uuid)
    ]
    facts = await rows.writing_facts(work.db, list(dict.fromkeys(wanted)))
    outcomes: list[Sent | Refusal] = []
    for item in items:
        try:
            outcomes.append(_append_one(work, item, facts))
        except Refusal as refusal:
            outcomes.append(refusal)
    sent = [outcome for outcome in outcomes if isinstance(outcome, Sent)]
    await _bring_back(work, sent)
    first = [one for one in sent if one.seq == 0]
    if first:
        work.on_settled.append(lambda: rows.show_from(work.db, [_activated(one) for one in first]))
    return outcomes


def _activated(sent: Sent) -> tuple[int, int, int]:
    return sent.chat_id, sent.author.id, sent.entry.position


def _append_one(work: Work, item: Outgoing, facts: dict[tuple[str, int], WritingFacts]) -> Sent:
    author = item.actor.member
    if author is None:
        raise Refusal("RF004")
    check_text(item.text)
    fact = facts.get((item.chat_uuid, author.id))
    if fact is None:
        text.check_uuid("chat_uuid", item.chat_uuid)
        raise Refusal("RN001")
    check_takes_part(fact, author)
    check_not_barred(fact)
    tip = fact.tip
    if item.reply_to_seq is not None and item.reply_to_seq > tip.last_seq:
        raise Refusal("RB017")
    tip.last_seq += 1
    tip.state = rows.ACTIVE
    entry = work.record(
        "message.sent",
        chat=tip,
        seq=tip.last_seq,
        data={} if item.reply_to_seq is None else {"reply_to_seq": item.reply_to_seq},
        parts=parts_of(item.text, item.files) if item.files else {"text": item.text},
        actor=item.actor,
        origin=item.caller.origin,
    )
    return Sent(
        tip.uuid,
        tip.last_seq,
        item.text,
        item.reply_to_seq,
        author,
        item.actor,
        entry,
        item.files,
    )


def parts_of(body: str | None, files: tuple[Attachment, ...]) -> dict[str, Any]:
    """Give the parts of a message's entry: what was said, and which files it brings."""
    return ({} if body is None else {"text": body}) | ({"file": files} if files else {})


def check_takes_part(fact: WritingFacts, member: MemberRef) -> None:
    """Refuse unless the member takes part in a chat and may act there; RN001, RF005, RF001."""
    if fact.participant is None or not is_seen(fact.tip.state, fact.created_by_id, member.id):
        raise Refusal("RN001")
    if fact.is_butler:
        raise Refusal("RF005")
    if fact.participant != rows.ACTIVE:
        raise Refusal("RF001")


def check_text(body: str | None) -> None:
    """Refuse (RB003) what no message may hold; None is no text."""
    if body is not None:
        text.check("text", body, least=1, most=text.TEXT_MAX)


async def check_may_write(work: Work, chat_uuid: str) -> WritingFacts:
    """Give the facts of a chat into which the acting member may write; refusals as `append`."""
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    uuid = text.check_uuid("chat_uuid", chat_uuid)
    facts = await rows.writing_facts(work.db, [(work.actor.entity_id, uuid, member.id)])
    if not facts:
        raise Refusal("RN001")
    fact = facts[uuid, member.id]
    check_takes_part(fact, member)
    check_not_barred(fact)
    return fact


def check_not_barred(fact: WritingFacts) -> None:
    """Refuse what adds to a chat through which a barrier runs (RF007)."""
    if fact.is_barred:
        raise Refusal("RF007", "A barrier runs through the chat")


def is_seen(state: str, created_by_id: int | None, member_id: int) -> bool:
    """Whether a participant sees a chat: a draft is its creator's, a discarded one nobody's."""
    return state == rows.ACTIVE or (state == rows.DRAFT and created_by_id == member_id)


async def _bring_back(work: Work, sent: Sequence[Sent]) -> None:
    """Take chats out of archives: everybody else's, and the author's own when sent by hand."""
    if not sent:
        return
    pairs = {(one.chat_id, one.author.id) for one in sent}
    await rows.bring_back(work.db, sorted(pairs))
    by_hand = {(one.chat_id, one.author.id): one.seq for one in sent if one.actor.kind in BY_HAND}
    if by_hand:
        marks = [(chat, member, seq) for (chat, member), seq in sorted(by_hand.items())]
        await rows.note_sent_by_hand(work.db, marks)


async def send_text(work: Work, chat_uuid: str, body: str, reply_to_seq: int | None = None) -> Sent:
    """Send one text as the work's actor; refusals as in `append`."""
    caller = Caller(work.actor, work.origin)
    item = Outgoing(caller, work.actor, chat_uuid, body, reply_to_seq)
    (outcome,) = await append(work, [item])
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def shown(sent: Sent) -> Message:
    """Give a message just sent, as its author sees it. The work must be settled."""
    key = sent.actor.key
    staff = sent.author.is_staff
    return Message(
        chat_uuid=sent.chat_uuid,
        seq=sent.seq,
        kind=ATTACHMENT if sent.files else "text",
        entity_user_xref_uuid=sent.author.uuid,
        first_name=sent.author.first_name,
        last_name=sent.author.last_name,
        text=sent.text,
        reply_to_seq=sent.reply_to_seq,
        attachments=sent.files,
        event=None,
        sent_at=times.wire(sent.entry.at),
        via=Via(
            VIA[sent.actor.kind],
            key.uuid if key and staff else None,
            key.name if key and staff else None,
        ),
    )


# -- reading -------------------------------------------------------------------------------------


async def window(
    work: Work,
    chat_uuid: str,
    *,
    first: int | None,
    last: int | None,
    limit: int = RANGE_DEFAULT,
) -> list[Message]:
    """Give messages of a chat in ascending order: from `first`, or the newest up to `last`.

    Both ends are included; at most `limit` (1 to 1,000) are given. A former participant sees
    nothing newer than the moment of leaving. RB003: `first` above `last`. RN001: no such chat.
    """
    check_order(first, last)
    return await window_of(work, await seen_chat(work, chat_uuid), first, last, limit)


def check_order(first: int | None, last: int | None) -> None:
    """Refuse (RB003) a window that ends before it begins."""
    if first is not None and last is not None and first > last:
        raise malformed("from_seq", "is above to_seq")


async def window_of(
    work: Work, chat: ChatRow, first: int | None, last: int | None, limit: int
) -> list[Message]:
    """Give messages of a chat that whoever asks may see, as `window` does."""
    newest = chat.last_seq if chat.until_seq is None else min(chat.last_seq, chat.until_seq)
    end = newest if last is None else min(last, newest)
    if first is None:
        start = max(0, end - limit + 1)
    else:
        start, end = first, min(end, first + limit - 1)
    if end < start:
        return []
    found = await rows.messages_between(work.db, work.actor.entity_id, chat.id, start, end)
    return await render(work, {chat.id: chat.uuid}, found)


async def one(work: Work, chat_uuid: str, seq: int) -> Message:
    """Give one message; without an acting member, any of the organisation's (RN001, RN003)."""
    found = await window(work, chat_uuid, first=seq, last=seq)
    if not found:
        raise Refusal("RN003")
    return found[0]


async def _any_chat(work: Work, chat_uuid: str) -> ChatRow:
    chat = await rows.chat_seen_by(work.db, work.actor.entity_id, 0, chat_uuid)
    if chat is None or chat.state == rows.DISCARDED:
        raise Refusal("RN001")
    return chat


async def seen_chat(work: Work, chat_uuid: str) -> ChatRow:
    """Give a chat the acting member is or was in (RB003, RN001).

    For system keys, which act for the organisation, any of its chats.
    """
    member = work.actor.member
    if member is None and work.actor.kind in FOR_THE_ORGANISATION:
        return await _any_chat(work, text.check_uuid("chat_uuid", chat_uuid))
    if member is None:
        raise Refusal("RF004")
    chat = await rows.chat_seen_by(
        work.db, work.actor.entity_id, member.id, text.check_uuid("chat_uuid", chat_uuid)
    )
    if chat is None or chat.participant is None:
        raise Refusal("RN001")
    if not is_seen(chat.state, chat.created_by_id, member.id):
        raise Refusal("RN001")
    return chat


async def render(work: Work, chat_uuids: dict[int, str], found: Iterable[Row]) -> list[Message]:
    """Turn stored messages into the wire's, as the acting member may see them."""
    found = list(found)
    member = work.actor.member
    names_keys = member is None or member.is_staff
    authors, keys = await _names(work, found)
    events = await _events(work, [row[2] for row in found if row[3] == EVENT])
    files = await _files(work, [row[2] for row in found if row[3] == ATTACHMENT])
    vias: dict[tuple[str, int | None], Via] = {}
    messages = []
    nobody: Row = (None, None, None)
    for chat_id, seq, position, kind, member_id, at, reply_to_seq, via, key_id, data in found:
        how = vias.get((via, key_id))
        if how is None:
            key = keys.get(key_id) if names_keys and key_id else None
            how = vias[via, key_id] = Via(via, *(key or (None, None)))
        uuid, first_name, last_name = authors.get(member_id, nobody)
        messages.append(
            Message(
                chat_uuids[chat_id],
                seq,
                kind,
                uuid,
                first_name,
                last_name,
                # The part's bytes are canonical JSON of the text: what goes out is what was hashed.
                None if data is None else msgspec.Raw(data),
                reply_to_seq,
                files.get(position, ()),
                events.get(position),
                times.wire(at),
                how,
            )
        )
    return messages


async def _names(work: Work, found: Sequence[Row]) -> tuple[Mapping[int, Row], Mapping[int, Row]]:
    """Give the names of authors and keys, from memory where it may be trusted."""
    authors, keys = work.names.known_to(work.actor)
    new_authors = {row[4] for row in found if row[4]} - authors.keys()
    new_keys = {row[8] for row in found if row[8]} - keys.keys()
    if new_authors or new_keys:
        found_authors, found_keys = await rows.names_of(
            work.db, sorted(new_authors), sorted(new_keys)
        )
        authors.update(found_authors)
        keys.update(found_keys)
    return authors, keys


async def _files(work: Work, positions: Sequence[int]) -> dict[int, tuple[Attachment, ...]]:
    """Give the files of the messages at these positions, as their entries tell them."""
    if not positions:
        return {}
    stored = await attachments.files_at(work.db, work.actor.entity_id, positions)
    return {position: files_told(data) for position, data in stored.items()}


files_told: Final = msgspec.json.Decoder(tuple[Attachment, ...]).decode
"""Reads the part `file` of a message."""


class _EventEntry(msgspec.Struct):
    type: str
    entity_user_xref_uuid: str | msgspec.UnsetType = msgspec.UNSET


async def _events(work: Work, positions: Sequence[int]) -> dict[int, Event]:
    """Give what happened at these positions of the record, as messages tell it."""
    if not positions:
        return {}
    stored = [
        (position, msgspec.json.decode(leaf, type=_EventEntry), title)
        for position, leaf, title in await rows.events_at(work.db, work.actor.entity_id, positions)
    ]
    uuids = {entry.entity_user_xref_uuid for _, entry, _ in stored}
    known = [uuid for uuid in uuids if uuid is not msgspec.UNSET]
    names = await rows.names_by_uuid(work.db, known) if known else {}
    return {position: _event(entry, title, names) for position, entry, title in stored}


def _event(entry: _EventEntry, title: bytes | None, names: Mapping[str, tuple[str, str]]) -> Event:
    uuid = entry.entity_user_xref_uuid
    if uuid is msgspec.UNSET:
        return Event(type=entry.type, title=None if title is None else msgspec.Raw(title))
    first_name, last_name = names[uuid]
    return Event(
        type=entry.type, entity_user_xref_uuid=uuid, first_name=first_name, last_name=last_name
    )


def last_of(chat: ChatRow) -> int | None:
    """Give the number of the last message the acting member may see, None for none."""
    seq = chat.last_seq if chat.until_seq is None else min(chat.last_seq, chat.until_seq)
    return seq if seq >= 0 else None
