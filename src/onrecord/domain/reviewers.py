"""Data reviewers: who may read other people's chats, and the trace that each reading leaves.

A person reviews up to a level that a system administrator gave: 1 chats with a client among the
own contacts, 2 any chat with a client, 3 every chat. A key that may review does so at level 3 and
without a cap. A barrier keeps a person, at any level, from chats of those beyond it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from onrecord.domain import contacts, inbox, messages, organisation_settings, search
from onrecord.domain.search import Do, Look, Span
from onrecord.model import text, times
from onrecord.model.access import FOR_THE_ORGANISATION
from onrecord.model.chats import Chat, Message
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed
from onrecord.model.words import Query
from onrecord.store import attachments, people
from onrecord.store import chats as chat_rows
from onrecord.store import review as rows
from onrecord.store.attachments import Stored
from onrecord.store.chats import ChatRow
from onrecord.store.review import Filters, Reviewer
from onrecord.store.work import Work

EVERY_CHAT: Final = 3
REASON_MOST: Final = 500
PAGE_STREAMED: Final = 100
"""Chats listed in one go where all are asked for."""
MEMBERS_MOST: Final = 100
"""Members who may be asked for at once, all of whom are to be in a chat."""
STRETCH: Final = 500
"""Chats looked at in one go for those that fit: others have their turn between."""
CAP_SECONDS: Final = 24 * 3600
"""The span in which a reviewer's exports are counted against the cap."""


async def reviewer_of(work: Work) -> Reviewer:
    """Give who reviews; RF006 for a member who is no data reviewer."""
    member = work.actor.member
    if member is None:
        if work.actor.kind not in FOR_THE_ORGANISATION:
            raise Refusal("RF006")
        return Reviewer(EVERY_CHAT)
    level = await own_level(work)
    if level < 1:
        raise Refusal("RF006", "This call is for data reviewers")
    return Reviewer(level, member.id)


async def own_level(work: Work) -> int:
    """Give up to which level the acting member reviews; 0 for no reviewer."""
    member = work.actor.member
    if member is None or not member.is_staff:
        return 0
    return int((await people.details_of(work.db, member.id))["data_reviewer_level"])


async def check_may_read(work: Work, chat: ChatRow) -> None:
    """Refuse a chat that whoever acts may not review: RF006 for no reviewer, else RN001.

    A draft is nobody's to review before its first message.
    """
    reviewer = await reviewer_of(work)
    if not await rows.fitting(work.db, reviewer, Filters(), [chat.id]):
        raise Refusal("RN001")


async def chat_to_read(work: Work, chat_uuid: str) -> ChatRow:
    """Give a chat that whoever acts may review, as it is; RB003, RF006, RN001."""
    uuid = text.check_uuid("chat_uuid", chat_uuid)
    chat = await chat_rows.chat_seen_by(work.db, work.actor.entity_id, 0, uuid)
    if chat is None:
        await reviewer_of(work)
        raise Refusal("RN001")
    await check_may_read(work, chat)
    return chat


async def count_export(work: Work) -> None:
    """Count an export of a reviewer in person against the organisation's cap.

    RF006 for no reviewer. RU029 when a reviewer of level 1 or 2 has made as many in the last 24
    hours as the setting `reviewer_export_cap` allows; `retry_after` tells when there is room again.
    """
    reviewer = await reviewer_of(work)
    if reviewer.level >= EVERY_CHAT:
        return
    cap = await organisation_settings.value(work, "reviewer_export_cap")
    await people.lock_member(work.db, reviewer.member_id)
    now = times.now()
    since = now - CAP_SECONDS * times.SECOND
    count, oldest = await rows.exports_since(work.db, reviewer.member_id, since)
    if cap is not None and count >= cap:
        free = now if oldest is None else oldest
        wait = (free + CAP_SECONDS * times.SECOND - now) // times.SECOND + 1
        detail = f"A reviewer makes at most {cap} exports in 24 hours here"
        raise Refusal("RU029", detail, retry_after=wait)
    await rows.note_export(work.db, work.actor.entity_id, reviewer.member_id, now, since)


def check_reason(reason: str) -> str:
    """Give the reason for a reading, 1 to 500 characters; RB003."""
    return text.check("reason", reason, least=1, most=REASON_MOST)


def note(
    work: Work,
    act: str,
    *,
    reason: str | None = None,
    filters: dict[str, Any] | None = None,
    **data: Any,
) -> None:
    """Put a reading on record: `act` is list, read, file or export.

    `data`: `chat` is its uuid, `first_seq` and `last_seq` say which messages, `attachment` which
    file. The entry is about the reviewer; one of a key is about nobody, with the number 0, so that
    it does not stand among the few general entries that everybody's past is told from.
    """
    member = work.actor.member
    parts = {"reason": reason, "filters": filters}
    work.record(
        "record.read",
        data={"act": act, **data},
        parts={name: value for name, value in parts.items() if value is not None},
        subject=member.id if member is not None else 0,
    )


# -- reading a chat ------------------------------------------------------------------------------


async def read(
    work: Work,
    chat_uuid: str,
    window: tuple[int | None, int | None],
    limit: int,
    reason: str | None = None,
) -> list[Message]:
    """Give messages of any chat the reviewer may read, as `messages.window` does, on record.

    RB003, RF006, RN001.
    """
    first, last = window
    messages.check_order(first, last)
    chat = await chat_to_read(work, chat_uuid)
    found = await messages.window_of(work, chat, first, last, limit)
    data: dict[str, Any] = {"chat": chat.uuid}
    if found:
        data |= {"first_seq": found[0].seq, "last_seq": found[-1].seq}
    note(work, "read", reason=reason, **data)
    return found


async def fetch(work: Work, attachment_uuid: str, reason: str | None = None) -> Stored:
    """Give a file of any chat the reviewer may read, on record; RB003, RF006, RN004."""
    uuid = text.check_uuid("attachment_uuid", attachment_uuid)
    reviewer = await reviewer_of(work)
    stored = await attachments.attachment_of(work.db, work.actor.entity_id, uuid)
    before = 2**53
    while stored is not None:
        # What the Butler sends can stand in everybody's chat.
        uses = await rows.uses_of(work.db, stored.id, before, STRETCH)
        chats = [chat_id for chat_id, _, _ in uses]
        fits = await rows.fitting(work.db, reviewer, Filters(), chats) if uses else []
        if fits:
            chat_uuid, seq = next((uuid, seq) for number, uuid, seq in uses if number == fits[0])
            note(
                work,
                "file",
                reason=reason,
                chat=chat_uuid,
                first_seq=seq,
                last_seq=seq,
                attachment=stored.uuid,
            )
            return stored
        if len(uses) < STRETCH:
            break
        before = chats[-1]
    raise Refusal("RN004")


# -- the list ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which chats somebody looks for, as asked."""

    member_uuids: Sequence[str] = ()
    title: str | None = None
    query: Query | None = None
    span: Span = search.EVER
    has_clients: bool | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, as the tables know it."""

    filters: Filters
    query: Query | None
    between: tuple[int, int]
    among: Sequence[int] | None = None
    """The chats with the text, the highest id first; None: any chat."""


async def begin(work: Work, wanted: Wanted) -> Search:
    """Find out what is asked for; RF006 for no reviewer, RB003, RN006."""
    await reviewer_of(work)
    if len(wanted.member_uuids) > MEMBERS_MOST:
        raise malformed("entity_user_xref_uuid", f"names more than {MEMBERS_MOST}")
    members = await contacts.named(work, wanted.member_uuids)
    between = await search.stretch_of(work, wanted.span)
    filters = Filters(
        member_ids=[member.id for member in members],
        title_like=chat_rows.title_pattern(wanted.title) if wanted.title else None,
        has_clients=wanted.has_clients,
        # With a text, it is the message with the text that was sent between the two moments.
        between=between if wanted.span and wanted.query is None else None,
    )
    return Search(filters, wanted.query, between)


def check_cursor(cursor: str | None) -> None:
    """Refuse (RB003) a cursor that is none of ours, before anything is put on record."""
    read_cursor(cursor)


async def page(
    do: Do, this: Search, *, cursor: str | None, limit: int
) -> tuple[list[Chat], str | None]:
    """Give a page of the chats that fit, the one made last first, and the next cursor.

    `do` runs a work of the reviewer. RB003: a cursor that is none of ours.
    """
    before = 2**53 if cursor is None else read_cursor(cursor)[0]
    found: list[int] = []
    while len(found) <= limit:
        some, fits = await do(partial(_next, this=this, before=before))
        found += fits
        if not some:
            break
        before = some[-1]
    more = len(found) > limit
    found = found[:limit]

    async def show(work: Work) -> list[Chat]:
        await reviewer_of(work)
        chats = await chat_rows.chats_as_they_are(work.db, found)
        return await inbox.shown_to(work, [chats[one] for one in found], 0)

    return await do(show), cursor_after(found[-1]) if more else None


async def look(do: Do, this: Search) -> Search:
    """Find the chats with the text looked for, if one is; the rest of the search is among them."""
    if this.query is None:
        return this
    visible = None
    if this.filters.member_ids:

        async def theirs(work: Work) -> list[int]:
            return await rows.chats_of_member(work.db, this.filters.member_ids[0])

        visible = dict.fromkeys(await do(theirs), 2**53)
    found = await search.chats_with(do, Look(this.query, this.between, visible))
    return replace(this, among=sorted(found, reverse=True))


async def _next(work: Work, this: Search, before: int) -> tuple[Sequence[int], list[int]]:
    """Give the next chats to be looked at, and those of them that fit, the highest id first."""
    if this.among is not None:
        at = bisect_right(this.among, -before, key=lambda one: -one)
        some: Sequence[int] = this.among[at : at + STRETCH]
    else:
        some = await rows.next_chats(work.db, work.actor.entity_id, this.filters, before, STRETCH)
    reviewer = await reviewer_of(work)
    return some, await rows.fitting(work.db, reviewer, this.filters, some) if some else []
