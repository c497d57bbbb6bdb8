"""Lists: with `limit` one page and a cursor, without it everything, streamed page by page."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer

ReadPage = Callable[[str | None], Awaitable[tuple[Sequence[Any], str | None]]]
"""Reads the page after a cursor in a transaction of its own; gives it and the next cursor."""


async def answer(
    call: Call, name: str, read_page: ReadPage, *, cursor: str | None, whole: bool
) -> Answer:
    """Give one page, or with `whole` everything after the cursor.

    The first page is read before anything is sent, so that a refusal is still a refusal. RU029
    when the key has as many streams under way as it may have.
    """
    page, following = await read_page(cursor)
    if not whole or following is None:
        return Answer(encode({name: page, "next_cursor": following}))
    limits = call.limits
    limits.check_streams(call.key_id)
    # The place is taken when the stream begins: one that never does must not hold it.
    place = limits.streaming(call.key_id)
    return Answer(b"", stream=_everything(place, name, read_page, page, following))


async def _everything(
    place: AbstractContextManager[None],
    name: str,
    read_page: ReadPage,
    page: Sequence[Any],
    cursor: str | None,
) -> AsyncGenerator[bytes]:
    with place:
        yield b'{"%s":[' % name.encode() + _items(page)
        while cursor is not None:
            await asyncio.sleep(0)  # reading on SQLite never waits, and others have their turn
            page, cursor = await read_page(cursor)
            if page:
                yield b"," + _items(page)
        yield b'],"next_cursor":null}'


def _items(page: Sequence[Any]) -> bytes:
    return encode(page)[1:-1]
