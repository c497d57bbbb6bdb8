"""uvicorn's connection, with a limit on how long and how large the head of a request may be.

The parser would gather header bytes without end, and wait for them as long as a client likes.

It would also take a request that offers another protocol (`Upgrade`) for one without a body, and
the body for the next request: some clients offer HTTP/2 with every first request, and a proxy may
pass on what a stranger sends. We speak no other protocol, so the offer is left out (RFC 9110,
section 7.8, allows that) and the request read once more.
"""

import asyncio
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onrecord.domain import keys
from onrecord.model.errors import Refusal
from onrecord.web.server import problem

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
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("The request is not valid HTTP")
            return
        if self._head is None:
            if self._timer is not None:
                self._stop_timer()
            return
        self._head += len(data)
        if self._head > HEAD_BYTES:
            self.send_400_response("The head of the request is too large")
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._cut)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        """Give the head that was read as it would be if it offered no other protocol."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s\r\n" % (method, self.url, version)]
        lines += [b"%s: %s\r\n" % line for line in self.headers if line[0] != b"upgrade"]
        return b"".join([*lines, b"\r\n"])

    def _should_upgrade(self) -> bool:
        """Have uvicorn begin nothing with a request that offers another protocol."""
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request in the form of any refusal, and hang up."""
        request_id = keys.request_id()
        answer = problem(Refusal("RB003", msg), request_id)
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {answer.content_type}\r\n"
            f"x-request-id: {request_id}\r\n"
            "cache-control: no-store\r\n"
            "x-content-type-options: nosniff\r\n"
            f"content-length: {len(answer.body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + answer.body)
        self.transport.close()

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
