"""Giving out files: entity tags, ranges, names, and streams that are cut when they go wrong."""

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from onrecord.model.errors import Refusal
from onrecord.model.filenames import disposition
from onrecord.store.attachments import Stored
from onrecord.web.call import Call
from onrecord.web.endpoint import Answer

SMALL: Final = 1024 * 1024
"""Bytes that are sent in one piece, and count as no stream."""
CACHED: Final = "private, no-cache"
"""Kept by the reader alone, and asked for anew each time: who may see it can change."""
PARTIAL: Final = 206
UNCHANGED: Final = 304

_ONE_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,40})-([0-9]{0,40})", re.IGNORECASE)

log = logging.getLogger(__name__)


async def file_answer(
    call: Call, stored: Stored, who: Hashable, caching: str | None = CACHED
) -> Answer:
    """Answer with a file or a part of it, always as a download and never as a page.

    `who` is whose stream it counts as. RB025: a range beyond the file. RU029: too many streams.
    RX500: the storage does not have it, or not whole; it is in the log. RX503: it is away.
    """
    etag = f'"{stored.sha256}"'
    headers = [
        ("ETag", etag),
        ("Accept-Ranges", "bytes"),
        ("Content-Disposition", disposition(stored.filename)),
        ("Content-Security-Policy", "sandbox"),
    ]
    if call.knows(etag):
        return Answer(b"", stored.content_type, UNCHANGED, headers, caching=caching)
    window = None if call.is_head else _window(call, stored.size, etag)
    there = await call.app.files.size(stored.name)
    if there != stored.size:
        raise _lost(stored, f"{there} bytes in place of {stored.size}")
    first, last = window or (0, stored.size - 1)
    status = 200
    if window is not None:
        status = PARTIAL
        headers.append(("Content-Range", f"bytes {first}-{last}/{stored.size}"))
    if call.is_head or last - first >= SMALL:
        place: AbstractContextManager[None] = nullcontext()
        if not call.is_head:
            call.limits.check_streams(who)
            place = call.limits.streaming(who)
        headers.append(("Content-Length", str(last - first + 1)))
        stream = _streamed(place, _checked(call, stored, window))
        return Answer(b"", stored.content_type, status, headers, stream, caching)
    body = b"".join([piece async for piece in _checked(call, stored, window)])
    return Answer(body, stored.content_type, status, headers, caching=caching)


def _window(call: Call, size: int, etag: str) -> tuple[int, int] | None:
    """Give the first and last byte asked for (RFC 9110, section 14), None for all of them.

    Several ranges at once, and what is no range, are answered with the whole file; so is a range
    of another version (If-Range). RB025: a range that begins behind the end.
    """
    asked = _ONE_RANGE.fullmatch(call.headers.get(b"range", b"").decode("latin-1").strip())
    condition = call.headers.get(b"if-range")
    if asked is None or (condition is not None and condition.strip() != etag.encode()):
        return None
    first, last = asked.groups()
    if not first and not last:
        return None
    if not first:  # so many bytes at the end
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
        if last and int(last) < start:
            return None
    if start >= size:
        unsatisfied = ("Content-Range", f"bytes */{size}")
        raise Refusal("RB025", f"The file has {size} bytes", headers=[unsatisfied])
    return start, end


async def _checked(
    call: Call, stored: Stored, window: tuple[int, int] | None
) -> AsyncIterator[bytes]:
    """Give the bytes; of a whole file the last ones only when all are what was uploaded."""
    first, last = window or (0, None)
    hashed, held = hashlib.sha256(), b""
    try:
        async for piece in call.app.files.pieces(stored.name, first, last):
            if held:
                yield held
            held = piece
            if window is None:
                hashed.update(piece)
    except FileNotFoundError:
        raise _lost(stored, "it is gone") from None
    if window is None and hashed.hexdigest() != stored.sha256:
        raise _lost(stored, "its bytes are not those that were uploaded")
    yield held


def _lost(stored: Stored, why: str) -> Refusal:
    log.error("attachment %s: %s", stored.uuid, why)
    return Refusal("RX500", "The file is damaged or missing; the operator is told in the log")


async def _streamed(
    place: AbstractContextManager[None], pieces: AsyncIterator[bytes]
) -> AsyncGenerator[bytes]:
    with place:
        async for piece in pieces:
            await asyncio.sleep(0)
            yield piece


async def picture_answer(call: Call, name: str, about: tuple[str, str]) -> Answer:
    """Answer with a small picture of ours from storage; `about` is its type and digest."""
    content_type, digest = about
    etag = f'"{digest}"'
    headers: Any = (("ETag", etag), ("Content-Security-Policy", "sandbox"))
    if call.knows(etag):
        return Answer(b"", content_type, UNCHANGED, headers, caching=CACHED)
    try:
        body = b"".join([piece async for piece in call.app.files.pieces(name)])
    except FileNotFoundError:
        raise Refusal("RN004", "The file has no preview") from None
    return Answer(body, content_type, headers=headers, caching=CACHED)
