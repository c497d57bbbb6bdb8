"""Lists: with `limit` one page and a cursor, without it everything, streamed page by page."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Annotated, Any

import msgspec

from onrecord.model import times
from onrecord.model.errors import malformed
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer, Takes

Search = Annotated[str, msgspec.Meta(max_length=500)]


class Listed(Takes):
    """How much of a list, and from where on."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    cursor: str | None = None


Page = Callable[..., Awaitable[tuple[Sequence[Any], str | None]]]
"""Gives a page of a list and the cursor behind it: `page(work, cursor=…, limit=…)`."""
ReadPage = Callable[[str | None], Awaitable[tuple[Sequence[Any], str | None]]]
"""Reads the page after a cursor in a transaction of its own; gives it and the next cursor."""


def moment(name: str, value: str | None) -> int | None:
    """Read a parameter that is a time (RB003), in microseconds."""
    if value is None:
        return None
    try:
        return times.read(value)
    except (ValueError, OverflowError):
        why = "is not an RFC 3339 time with an offset such as Z or %2B01:00"
        raise malformed(name, why) from None


async def of_pages(call: Call, name: str, taken: Listed, page: Page, streamed: int) -> Answer:
    """Give a page with `limit`, else everything; each page is read in a work of its own.

    `streamed` is how much is read in one go where all are asked for.
    """
    limit = taken.limit or streamed

    async def read_page(cursor: str | None) -> tuple[Sequence[Any], str | None]:
        return await call.app.store.read(
            call.caller, lambda work: page(work, cursor=cursor, limit=limit)
        )

    return await answer(call, name, read_page, cursor=taken.cursor, whole=taken.limit is None)


async def answer(
    call: Call,
    name: str,
    read_page: ReadPage,
    *,
    cursor: str | None,
    whole: bool,
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> Answer:
    """Give one page, or with `whole` everything after the cursor; what is `beside` follows.

    The first page is read before anything is sent, so that a refusal is still a refusal. RU029
    when the key has as many streams under way as it may have.
    """
    page, following = await read_page(cursor)
    if not whole or following is None:
        return Answer(encode({name: page, "next_cursor": following, **beside}))
    limits = call.limits
    limits.check_streams(call.who)
    # The place is taken when the stream begins: one that never does must not hold it.
    place = limits.streaming(call.who)
    end = b"]," + encode({"next_cursor": None, **beside})[1:]
    begin = b'{"%s":[' % name.encode() + _items(page)
    return Answer(b"", stream=_everything(place, begin, read_page, following, end))


async def _everything(
    place: AbstractContextManager[None],
    begin: bytes,
    read_page: ReadPage,
    cursor: str | None,
    end: bytes,
) -> AsyncGenerator[bytes]:
    with place:
        yield begin
        while cursor is not None:
            await asyncio.sleep(0)  # reading on SQLite never waits, and others have their turn
            page, cursor = await read_page(cursor)
            if page:
                yield b"," + _items(page)
        yield end


def _items(page: Sequence[Any]) -> bytes:
    return encode(page)[1:-1]
