"""Chats: starting them, and one's own view of them (product.md, section 5)."""

import base64
import json
import uuid
from collections.abc import Sequence
from typing import Final

from onrecord.domain import contacts, messages
from onrecord.model import text, times
from onrecord.model.access import BUTLER, PROFILES, MemberRef
from onrecord.model.chats import MOST_PARTICIPANTS, Chat, Message, ParticipantView
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Member
from onrecord.store import chats as rows
from onrecord.store.chats import ChatRow
from onrecord.store.db import Row
from onrecord.store.record import ChatTip
from onrecord.store.work import Work

PAGE_STREAMED: Final = 100
"""Chats read in one go where all are asked for: others get their turn between pages."""


async def create(
    work: Work,
    *,
    uuids: Sequence[str] | None,
    identifiers: Sequence[str] | None,
    title: str,
    is_staff_only: bool = False,
    first_text: str | None = None,
) -> str:
    """Start a chat as the acting member and give its uuid.

    It is a draft that only its creator sees until the first message. RB785: nobody was named.
    RB003: nobody besides the creator, or a title or text that cannot be. RB015: more than 100.
    RB021: a client in a staff-only chat. RN006, RF003: somebody who cannot be reached.
    """
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    title = text.check("title", title, least=0, most=text.TITLE_MAX).strip() and title
    if first_text is not None:
        text.check("text", first_text, least=1, most=text.TEXT_MAX)
    named = await contacts.named(work, uuids, identifiers)
    others = [other for other in named if other.id != member.id]
    if not others:
        raise malformed("entity_user_xref_uuids", "needs one participant besides the creator")
    if len(others) + 1 > MOST_PARTICIPANTS:
        raise Refusal("RB015")
    await contacts.check_reachable(work, member, others)
    if is_staff_only and (member.is_client or any(other.is_client for other in others)):
        raise Refusal("RB021")
    chat = await _add(work, member, others, title or text.DEFAULT_TITLE, staff_only=is_staff_only)
    if first_text is not None:
        await _say_first(work, chat, first_text)
    await work.settle()
    return chat.uuid


async def _add(
    work: Work, creator: MemberRef, others: Sequence[Member], title: str, *, staff_only: bool
) -> ChatTip:
    chat_uuid = str(uuid.uuid4())
    number = await rows.add_chat(
        work.db,
        {
            "uuid": chat_uuid,
            "entity_id": work.actor.entity_id,
            "title": title,
            "title_key": text.search_key(title),
            "state": rows.DRAFT,
            "is_staff_only": int(staff_only),
            "created_by_id": creator.id,
            "created_at": times.now(),
        },
    )
    tip = ChatTip(number, chat_uuid, rows.DRAFT, -1, 0, 0, 0)
    created = work.record(
        "chat.created",
        chat=tip,
        data={"is_staff_only": staff_only, "is_butler": False},
        parts={"title": title},
    )
    ids = [creator.id, *(other.id for other in others)]
    for member_id, member_uuid in zip(
        ids, [creator.uuid, *(other.uuid for other in others)], strict=True
    ):
        work.record(
            "participant.joined",
            chat=tip,
            ids={"entity_user_xref_uuid": member_uuid},
            subject=member_id,
        )
    await rows.add_participants(work.db, number, ids)
    work.on_settled.append(
        lambda: rows.joined_at_positions(
            work.db, number, [(member_id, created.position) for member_id in ids]
        )
    )
    return tip


async def _say_first(work: Work, tip: ChatTip, body: str) -> None:
    """Send the first message of a chat that was made in this very work."""
    tip.last_seq, tip.state = 0, rows.ACTIVE
    work.record("message.sent", chat=tip, seq=0, parts={"text": body})


# -- one's own view ------------------------------------------------------------------------------


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

    `limit` counts chats, 1 to 1,000. RB003: a cursor that is none of ours.
    """
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    found = await rows.chats_of(
        work.db,
        member.id,
        archived=archived,
        search=search,
        updated_since=updated_since,
        before=_read_cursor(cursor),
        limit=limit + 1,
    )
    more = len(found) > limit
    found = found[:limit]
    return await _shown(work, found), _cursor(found[-1]) if more else None


def _moment(chat: ChatRow) -> int:
    return chat.created_at if chat.last_seq < 0 else chat.last_at


def _cursor(chat: ChatRow) -> str:
    return base64.urlsafe_b64encode(json.dumps([_moment(chat), chat.id]).encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    try:
        moment, number = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, TypeError, RecursionError):
        raise malformed("cursor", "is not one that was given out") from None
    if not all(isinstance(value, int) and 0 <= value < 2**62 for value in (moment, number)):
        raise malformed("cursor", "is not one that was given out")
    return moment, number


async def _shown(work: Work, found: Sequence[ChatRow]) -> list[Chat]:
    if not found:
        return []
    member_id = work.actor.member.id if work.actor.member else 0
    ids = [chat.id for chat in found]
    participants = await rows.participants_of(work.db, ids)
    stored = await rows.last_messages(work.db, work.actor.entity_id, member_id, ids)
    rendered = await messages.render(work, {chat.id: chat.uuid for chat in found}, stored)
    last = {row[0]: message for row, message in zip(stored, rendered, strict=True)}
    unread = await rows.unread_counts(work.db, member_id, ids)
    return [
        _as_chat(chat, participants[chat.id], last.get(chat.id), unread.get(chat.id, 0))
        for chat in found
    ]


def _as_chat(chat: ChatRow, participants: Sequence[Row], last: Message | None, unread: int) -> Chat:
    people = [_as_participant(row) for row in participants]
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
    _, uuid, identifier, first_name, last_name, profile, state, read_seq = row
    seen = None if read_seq < 0 else read_seq
    return ParticipantView(uuid, identifier, first_name, last_name, profile, state, seen)
