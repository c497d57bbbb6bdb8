"""uvicorn's connection, with a limit on how long and how large the head of a request may be.

The parser would gather header bytes without end, and wait for them as long as a client likes.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 30
"""How long a client may take for the head of a request, from connecting or its first byte on."""
HEAD_BYTES: Final = 64 * 1024
"""How large the head of a request may be when it comes in more than one piece."""


class Connection(HttpToolsProtocol):
    """One connection. A head that comes in one piece, as nearly all do, costs no timer."""

    def __init__(self, *args: Any, **more: Any) -> None:
        """Start with nothing received."""
        super().__init__(*args, **more)
        self._head: int | None = None
        """Bytes of a head that has begun and is not complete."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Give the client some time to say something."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, self._cut)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Let the parser have it; then see whether a head is still incomplete."""
        super().data_received(data)
        if self._head is None:
            if self._timer is not None:
                self._stop_timer()
            return
        self._head += len(data)
        if self._head > HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._cut)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._head = None
        super().on_headers_complete()

    def _cut(self) -> None:
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
