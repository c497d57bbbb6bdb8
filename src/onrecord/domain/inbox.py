"""One's own view of chats: the list, and what is personal about it (product.md, section 5).

Archive, mute and read state are views of one person: they are no part of the record.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Final

from onrecord.domain import messages
from onrecord.model import times
from onrecord.model.access import BUTLER, PROFILES, MemberRef
from onrecord.model.chats import Chat, Message, ParticipantView
from onrecord.model.errors import Refusal, malformed
from onrecord.store import chats as rows
from onrecord.store.chats import ChatRow
from onrecord.store.db import Row
from onrecord.store.work import Work

PAGE_STREAMED: Final = 100
"""Chats read in one go where all are asked for: others get their turn between pages."""


async def view(work: Work, chat_uuid: str) -> Chat:
    """Give one chat as the acting member sees it (RB003, RN001)."""
    chat = await messages.seen_chat(work, chat_uuid)
    (shown,) = await _shown(work, [chat])
    return shown


async def page(
    work: Work,
    *,
    archived: bool | None,
    search: str | None,
    updated_since: int | None,
    cursor: str | None,
    limit: int,
) -> tuple[list[Chat], str | None]:
    """Give a page of the acting member's chats, latest message first, and the next cursor.

    The cursor holds the position of the record at the first page: chats that move up afterwards
    are given where they were then, none twice and none not at all. `limit` counts chats, 1 to
    1,000. RB003: a cursor that is none of ours.
    """
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    found, as_of = await rows.chats_of(
        work.db,
        work.actor.entity_id,
        member.id,
        archived=archived,
        search=search,
        updated_since=updated_since,
        before=_read_cursor(cursor),
        limit=limit + 1,
    )
    more = len(found) > limit
    found = found[:limit]
    return await _shown(work, found), _cursor(found[-1], as_of) if more else None


def _cursor(chat: ChatRow, as_of: int) -> str:
    place = [chat.moment, chat.id, as_of]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[int, int, int] | None:
    """Give time and id of the last chat given, and the position at which the list began."""
    if cursor is None:
        return None
    try:
        moment, number, as_of = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, TypeError, RecursionError):
        raise malformed("cursor", "is not one that was given out") from None
    if not all(type(value) is int and 0 <= value < 2**62 for value in (moment, number, as_of)):
        raise malformed("cursor", "is not one that was given out")
    return moment, number, as_of


async def _shown(work: Work, found: Sequence[ChatRow]) -> list[Chat]:
    return await shown_to(work, found, work.actor.member.id if work.actor.member else 0)


async def shown_to(work: Work, found: Sequence[ChatRow], member_id: int) -> list[Chat]:
    """Give chats as a member sees them; 0: as they are, with nobody's own view of them."""
    if not found:
        return []
    ids = [chat.id for chat in found]
    participants = await _participants(work, found)
    stored = await rows.last_messages(work.db, work.actor.entity_id, member_id, ids)
    rendered = await messages.render(work, {chat.id: chat.uuid for chat in found}, stored)
    last = {row[0]: message for row, message in zip(stored, rendered, strict=True)}
    unread = await rows.unread_counts(work.db, member_id, ids)
    return [
        _as_chat(chat, participants[chat.id], last.get(chat.id), unread.get(chat.id, 0))
        for chat in found
    ]


async def _participants(work: Work, found: Sequence[ChatRow]) -> dict[int, list[ParticipantView]]:
    """Give who takes or took part; to a former participant, as it was at the moment of leaving."""
    present = await rows.participants_of(work.db, [chat.id for chat in found])
    left = [chat.id for chat in found if chat.until_position is not None]
    before: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for chat_id, member, since, until in await rows.earlier_stays(work.db, left) if left else ():
        before.setdefault((chat_id, member), []).append((since, until))
    shown: dict[int, list[ParticipantView]] = {}
    for chat in found:
        people = present[chat.id]
        if chat.until_position is not None:
            known = [_as_left(row, chat, before) for row in people]
            people = sorted(
                (row for row in known if row is not None), key=lambda row: (row[-3], row[-2])
            )
        shown[chat.id] = [_as_participant(row) for row in people]
    return shown


def _as_left(
    row: Row, chat: ChatRow, before: Mapping[tuple[int, int], Sequence[tuple[int, int]]]
) -> Row | None:
    """Give a participant as a former one left him or her; None for who came later."""
    left, last_seq = chat.until_position or 0, chat.until_seq or 0
    *who, _, read_seq, since, member, until = row
    stays = [*before.get((row[0], member), ()), (since, until)]
    begun = [stay for stay in stays if stay[0] <= left]
    if not begun:
        return None
    since, until = begun[-1]
    state = rows.ACTIVE if until is None or until > left else rows.FORMER
    return (*who, state, min(read_seq, last_seq), since, member, until)


def _as_chat(
    chat: ChatRow, people: list[ParticipantView], last: Message | None, unread: int
) -> Chat:
    shown = Chat(
        chat_uuid=chat.uuid,
        title=chat.title,
        state=chat.state,
        is_staff_only=bool(chat.is_staff_only),
        is_butler=chat.butler_member_id is not None,
        has_clients=any(
            PROFILES[one.enum_profile_id].is_client and one.state == rows.ACTIVE
            for one in people
            if one.enum_profile_id != BUTLER
        ),
        created_by_entity_user_xref_uuid=chat.created_by_uuid,
        created_at=times.wire(chat.created_at),
        last_seq=messages.last_of(chat),
        last_message=last,
        last_message_at=last.sent_at if last else None,
        participants=people,
    )
    if chat.participant is not None:
        shown.archived = bool(chat.archived)
        shown.muted = bool(chat.muted)
        shown.read_seq = None if chat.read_seq is None or chat.read_seq < 0 else chat.read_seq
        shown.unread_count = unread
    return shown


def _as_participant(row: Row) -> ParticipantView:
    _, uuid, identifier, first_name, last_name, profile, state, read_seq, *_ = row
    seen = None if read_seq < 0 else read_seq
    return ParticipantView(uuid, identifier, first_name, last_name, profile, state, seen)


# -- what is personal ----------------------------------------------------------------------------


async def archive(work: Work, chat_uuid: str, *, archived: bool) -> Chat:
    """Take a chat off the acting member's own list, or put it back (RN001, RF005)."""
    chat, member = await _own(work, chat_uuid)
    await rows.set_archived(work.db, chat.id, member.id, archived=archived)
    return await view(work, chat_uuid)


async def mute(work: Work, chat_uuid: str, *, muted: bool) -> Chat:
    """Silence a chat for the acting member, or let it be heard again (RN001, RF005)."""
    chat, member = await _own(work, chat_uuid)
    await rows.set_muted(work.db, chat.id, member.id, muted=muted)
    return await view(work, chat_uuid)


async def read(work: Work, chat_uuid: str, seq: int) -> Chat:
    """Note that the acting member has read up to `seq`; a mark never goes back.

    RN001: no such chat. RN003: no such message, or one sent after the member left.
    """
    chat = await messages.seen_chat(work, chat_uuid)
    last = messages.last_of(chat)
    if last is None or seq > last:
        raise Refusal("RN003")
    member = work.actor.member
    if member is not None:
        await rows.move_read_mark(work.db, chat.id, member.id, seq)
    return await view(work, chat_uuid)


async def _own(work: Work, chat_uuid: str) -> tuple[ChatRow, MemberRef]:
    """Give a chat whose place on the own list may be changed: any but the Butler's."""
    chat = await messages.seen_chat(work, chat_uuid)
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    if chat.butler_member_id is not None:
        raise Refusal("RF005")
    return chat, member
