"""Looking for malware with ClamAV: a file is streamed to clamd, which answers what it found.

clamd's protocol is words that end in a NUL, and pieces with their length in front (clamd(8)). It
has neither encryption nor authentication: the socket of this machine, or a network of one's own.
Whatever is no clear answer is a refusal: no file passes because nobody looked.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from typing import IO, Final

from onrecord.model.errors import Refusal
from onrecord.settings import Settings

CONNECT_SECONDS: Final = 5
PIECE_SECONDS: Final = 30
"""How long clamd may take to accept the next piece."""
ANSWER_SECONDS: Final = 150
"""How long it may look after the last piece: its own limit is 120 seconds by default."""
PIECE: Final = 256 * 1024
ANSWER_MOST: Final = 4096
AT_ONCE: Final = 4
"""clamd's own threads are ten by default, and others may use it."""
RETRY_AFTER: Final = 30

log = logging.getLogger(__name__)


class Away(Exception):  # noqa: N818 - told as RX503
    """clamd did not answer, or nothing that is an answer."""


class ClamScanner:
    """Asks one clamd; a connection a file."""

    def __init__(self, address: str) -> None:
        """Ask the clamd at `unix:/path` or `host:port` (`settings.clamav`)."""
        self._address = address
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def scan(self, file: IO[bytes]) -> None:
        """Have a file looked at from its beginning.

        RB016 with the name of what was found, or when the file is larger than clamd takes. RX503
        when clamd is away or cannot tell.
        """
        async with self._turns:
            try:
                answer = await self._asked(b"zINSTREAM\0", file)
            except Away as error:
                log.warning("no answer from clamd at %s: %s", self._address, error)
                raise _cannot_tell() from error
        if answer == "stream: OK":
            return
        found = re.fullmatch(r"stream: (.{1,200}) FOUND", answer)
        if found:
            log.warning("malware in an upload: %s", found[1])
            raise Refusal("RB016", f"The scanner says that the file is malware: {found[1]}")
        log.warning("clamd at %s answered: %s", self._address, answer)
        if "size limit exceeded" in answer:
            raise Refusal("RB016", "The file is too large for the scanner for malware")
        raise _cannot_tell()

    async def version(self) -> str:
        """Give clamd's version and that of its signatures, as it says them; raises Away."""
        answer = await self._asked(b"zVERSION\0")
        if not answer.startswith("ClamAV "):
            raise Away("something else than clamd answers there")
        return answer

    async def _asked(self, command: bytes, file: IO[bytes] | None = None) -> str:
        """Send a command, and a file, and give the answer in printable characters."""
        try:
            async with self._connected() as (reader, writer):
                writer.write(command)
                answer = asyncio.ensure_future(reader.readuntil(b"\0"))
                try:
                    if file is not None:
                        await _streamed(writer, file, answer)
                    async with asyncio.timeout(ANSWER_SECONDS):
                        said = await answer
                finally:
                    answer.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await answer
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
            raise Away(type(error).__name__) from error
        return re.sub(r"[^\x20-\x7e]", "?", said[:-1].decode("ascii", "replace"))

    @contextlib.asynccontextmanager
    async def _connected(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with asyncio.timeout(CONNECT_SECONDS):
            if self._address.startswith("unix:"):
                path = self._address.removeprefix("unix:")
                reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_MOST)
            else:
                host, _, port = self._address.rpartition(":")
                reader, writer = await asyncio.open_connection(
                    host.strip("[]"), int(port), limit=ANSWER_MOST
                )
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _streamed(
    writer: asyncio.StreamWriter, file: IO[bytes], answer: "asyncio.Future[bytes]"
) -> None:
    """Send a file in pieces, as long as there is no answer: a refusal of its size comes early."""
    file.seek(0)
    try:
        while not answer.done() and (piece := await asyncio.to_thread(file.read, PIECE)):
            writer.write(len(piece).to_bytes(4, "big") + piece)
            async with asyncio.timeout(PIECE_SECONDS):
                await writer.drain()
        writer.write(bytes(4))
        async with asyncio.timeout(PIECE_SECONDS):
            await writer.drain()
    except ConnectionError:
        if not answer.done():
            # It has hung up; what it said before that is still to be read.
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.wait([answer])


def _cannot_tell() -> Refusal:
    return Refusal(
        "RX503", "The scanner for malware is away, please try again", retry_after=RETRY_AFTER
    )


def scanner_of(settings: Settings) -> ClamScanner | None:
    """Make the scanner of the settings; None when none is set."""
    return ClamScanner(settings.clamav) if settings.clamav else None
