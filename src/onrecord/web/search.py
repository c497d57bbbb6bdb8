"""Rows that find messages, and what other rows that search need."""

from functools import partial
from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import search
from onrecord.domain.search import Do, Span, Wanted
from onrecord.model.access import service
from onrecord.model.chats import Message
from onrecord.web import lists
from onrecord.web.call import Call
from onrecord.web.endpoint import CHATTING, Answer, Endpoint

BASE: Final = "/chat-service/api"
Text = Annotated[str, msgspec.Meta(max_length=search.TEXT_MOST)]


class SearchMessages(lists.Listed, kw_only=True):
    """What to look for in which of the own chats, and when it was sent; both ends included."""

    text: Text
    chat_uuid: str | None = None
    begin: str | None = msgspec.field(name="from", default=None)
    end: str | None = msgspec.field(name="to", default=None)


class FoundMessages(msgspec.Struct):
    """A page of messages, newest first, and up to where the record was searched."""

    messages: list[Message]
    next_cursor: str | None
    indexed_to: int


def doing(call: Call) -> Do:
    """Give what runs works of a call that change nothing, each judged for itself."""
    return partial(call.app.store.read, call.caller)


async def bring_up_to_date(call: Call) -> int:
    """Index what is missing if that is little; give the position up to which the index knows."""
    actor = call.caller.actor
    assert actor is not None  # noqa: S101 - the caller was judged
    indexer = service(actor.entity_id, actor.entity_uuid)

    async def write(run: Any) -> Any:
        return await call.app.as_service(run, indexer)

    return await search.bring_up_to_date(doing(call), write)


def span_of(begin: str | None, end: str | None) -> Span:
    """Read the parameters `from` and `to` (RB003)."""
    return search.check_span(lists.moment("from", begin), lists.moment("to", end))


async def search_messages(call: Call, taken: SearchMessages) -> Answer:
    """Give what the acting member may see of it: a page with `limit`, else everything."""
    span = span_of(taken.begin, taken.end)
    wanted = Wanted(search.asked(taken.text), taken.chat_uuid, span)
    indexed_to = await bring_up_to_date(call)
    limit = taken.limit or search.PAGE_STREAMED

    async def read_page(cursor: str | None) -> tuple[list[Message], str | None]:
        return await search.page(doing(call), wanted, cursor=cursor, limit=limit)

    return await lists.answer(
        call,
        "messages",
        read_page,
        cursor=taken.cursor,
        whole=taken.limit is None,
        beside={"indexed_to": indexed_to},
    )


ROWS: Final = (
    Endpoint(
        method="GET",
        path=f"{BASE}/chats/messages/search",
        summary="Find messages by their words, newest first",
        kinds=CHATTING,
        permissions=("can_read_chat",),
        acting="required",
        takes=SearchMessages,
        gives=FoundMessages,
        refusals=("RN001",),
        handler=search_messages,
        mode="script",
        tags=("Messages",),
    ),
)
