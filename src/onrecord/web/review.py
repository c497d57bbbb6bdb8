"""Rows of data reviewers: keys that may review, and persons who give a reason."""

from typing import Any, Final

import msgspec

from onrecord.domain import reviewers, search
from onrecord.domain.reviewers import Search, Wanted
from onrecord.model.chats import Chat
from onrecord.store.attachments import Stored
from onrecord.store.work import Work
from onrecord.web import downloads, lists
from onrecord.web.call import Call
from onrecord.web.chat_service import GetRange, MessageRange, range_asked, range_of
from onrecord.web.endpoint import SESSIONS, SYSTEM_KEYS, Answer, Endpoint, Takes
from onrecord.web.search import Text, bring_up_to_date, doing, span_of

SYSTEM: Final = "/entity-service/sys-api"
REVIEW: Final = "/app-service/api/review"


class GetAnyChats(lists.Listed):
    """Which chats of the organisation; all that is given must hold."""

    entity_user_xref_uuid: list[str] | None = None
    title: lists.Search | None = None
    text: Text | None = None
    begin: str | None = msgspec.field(name="from", default=None)
    end: str | None = msgspec.field(name="to", default=None)
    has_clients: bool | None = None


class ReviewChats(GetAnyChats, kw_only=True):
    """The same, and why it is read."""

    reason: str


class ReviewedChats(msgspec.Struct):
    """A page of chats, the one made last first."""

    chats: list[Chat]
    next_cursor: str | None
    indexed_to: int | msgspec.UnsetType = msgspec.UNSET


async def list_any(call: Call, taken: GetAnyChats) -> Answer:
    """List chats of the organisation by a key; the looking is on record."""
    return await _listed(call, taken, None)


async def list_reviewed(call: Call, taken: ReviewChats) -> Answer:
    """List chats that the reviewer may read; the looking is on record, with its reason."""
    return await _listed(call, taken, reviewers.check_reason(taken.reason))


async def _listed(call: Call, taken: GetAnyChats, reason: str | None) -> Answer:
    """Put the search on record, then give a page with `limit`, else everything."""
    wanted = Wanted(
        member_uuids=taken.entity_user_xref_uuid or (),
        title=taken.title,
        query=None if taken.text is None else search.asked(taken.text),
        span=span_of(taken.begin, taken.end),
        has_clients=taken.has_clients,
    )
    reviewers.check_cursor(taken.cursor)

    async def begin(work: Work) -> Search:
        this = await reviewers.begin(work, wanted)
        reviewers.note(work, "list", reason=reason, filters=_filters(taken))
        return this

    this = await call.app.store.write(call.caller, begin)
    actor = call.caller.actor
    call.app.bell.ring(actor.entity_id if actor is not None else 0)
    beside = {}
    if wanted.query is not None:
        beside["indexed_to"] = await bring_up_to_date(call)
        this = await reviewers.look(doing(call), this)
    limit = taken.limit or reviewers.PAGE_STREAMED

    async def read_page(cursor: str | None) -> tuple[list[Chat], str | None]:
        return await reviewers.page(doing(call), this, cursor=cursor, limit=limit)

    return await lists.answer(
        call, "chats", read_page, cursor=taken.cursor, whole=taken.limit is None, beside=beside
    )


def _filters(taken: GetAnyChats) -> dict[str, Any] | None:
    """Give what was looked for, as the record keeps it; None for nothing in particular."""
    given = {
        "entity_user_xref_uuid": taken.entity_user_xref_uuid,
        "title": taken.title,
        "text": taken.text,
        "from": taken.begin,
        "to": taken.end,
        "has_clients": taken.has_clients,
    }
    return {name: value for name, value in given.items() if value is not None} or None


class ReviewRange(GetRange, kw_only=True):
    """Which messages of which chat, and why they are read."""

    reason: str


async def range_of_any(work: Work, taken: GetRange) -> MessageRange:
    """Give a window of any chat's messages to a key; the reading is on record."""
    window = range_asked(taken)
    return range_of(await reviewers.read(work, taken.chat_uuid, window, taken.limit))


async def range_reviewed(work: Work, taken: ReviewRange) -> MessageRange:
    """Give a window of a chat that the reviewer may read; the reading is on record."""
    reason = reviewers.check_reason(taken.reason)
    window = range_asked(taken)
    return range_of(await reviewers.read(work, taken.chat_uuid, window, taken.limit, reason))


class GetAnyFile(Takes):
    """Which file."""

    attachment_uuid: str


class ReviewFile(GetAnyFile, kw_only=True):
    """Which file, and why it is read."""

    reason: str


async def fetch_any(call: Call, taken: GetAnyFile) -> Answer:
    """Give a file of any chat to a key; the fetching is on record."""
    return await _fetched(call, taken, None)


async def fetch_reviewed(call: Call, taken: ReviewFile) -> Answer:
    """Give a file of a chat that the reviewer may read; the fetching is on record."""
    return await _fetched(call, taken, reviewers.check_reason(taken.reason))


async def _fetched(call: Call, taken: GetAnyFile, reason: str | None) -> Answer:
    async def note(work: Work) -> Stored:
        return await reviewers.fetch(work, taken.attachment_uuid, reason)

    stored = await call.app.store.write(call.caller, note)
    actor = call.caller.actor
    call.app.bell.ring(actor.entity_id if actor is not None else 0)
    return await downloads.file_answer(call, stored, call.who)


_BY_KEY: Final[dict[str, Any]] = {
    "method": "GET",
    "kinds": SYSTEM_KEYS,
    "permissions": ("can_review_data",),
    "writes": ("record.read",),
    "tags": ("Review",),
}
_IN_PERSON: Final[dict[str, Any]] = {
    "method": "GET",
    "kinds": SESSIONS,
    "acting": "required",
    "writes": ("record.read",),
    "tags": ("Review",),
}

ROWS: Final = (
    Endpoint(
        path=f"{SYSTEM}/chats/list",
        summary="Find chats of the organisation, the one made last first",
        takes=GetAnyChats,
        gives=ReviewedChats,
        refusals=("RN006",),
        handler=list_any,
        mode="script",
        **_BY_KEY,
    ),
    Endpoint(
        path=f"{SYSTEM}/chats/messages/range",
        summary="Read a window of the messages of any chat",
        takes=GetRange,
        gives=MessageRange,
        refusals=("RN001",),
        handler=range_of_any,
        mode="write",
        **_BY_KEY,
    ),
    Endpoint(
        path=f"{SYSTEM}/chats/attachments",
        summary="Download a file of any chat",
        takes=GetAnyFile,
        produces="*/*",
        refusals=("RB025", "RN004", "RU029"),
        handler=fetch_any,
        mode="script",
        **_BY_KEY,
    ),
    Endpoint(
        path=f"{REVIEW}/chats/list",
        summary="Find chats that one may review, the one made last first",
        takes=ReviewChats,
        gives=ReviewedChats,
        refusals=("RF006", "RN006"),
        handler=list_reviewed,
        mode="script",
        **_IN_PERSON,
    ),
    Endpoint(
        path=f"{REVIEW}/messages/range",
        summary="Read a window of the messages of a chat that one may review",
        takes=ReviewRange,
        gives=MessageRange,
        refusals=("RF006", "RN001"),
        handler=range_reviewed,
        mode="write",
        **_IN_PERSON,
    ),
    Endpoint(
        path=f"{REVIEW}/attachments",
        summary="Download a file of a chat that one may review",
        takes=ReviewFile,
        produces="*/*",
        refusals=("RB025", "RF006", "RN004", "RU029"),
        handler=fetch_reviewed,
        mode="script",
        **_IN_PERSON,
    ),
)
