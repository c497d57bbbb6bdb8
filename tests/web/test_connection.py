"""Slow, endless and odd heads: the client is cut off or answered, and nobody else notices."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from onrecord.web import connection

WHOLE = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def answer(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the method, the path, the names of the headers and the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    names = [name.decode() for name, _ in scope["headers"]]
    seen = [scope["method"], scope["path"], names, body.decode()]
    text = json.dumps(seen).encode()
    length = (b"content-length", b"%d" % len(text))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": text})


def talk(
    act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]],
    app: Any = answer,
) -> bytes:
    """Open one connection to a server of such connections, and give what the act read."""

    async def main() -> bytes:
        config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
        config.load()
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: connection.Connection(config=config, server_state=state, app_state={}),
            "127.0.0.1",
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                async with asyncio.timeout(10):
                    return await act(reader, writer)
            finally:
                writer.close()

    return asyncio.run(main())


def test_a_head_in_pieces_is_answered() -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for piece in (WHOLE[:9], WHOLE[9:20], WHOLE[20:]):
            writer.write(piece)
            await asyncio.sleep(0.02)
        return await reader.readuntil(b"\r\n")

    assert talk(act).startswith(b"HTTP/1.1 204")


def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    assert talk(lambda reader, _: reader.read()) == b""


def test_who_stops_within_a_head_is_cut_off_also_after_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(WHOLE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE[:12])
        return await reader.read()

    assert talk(act) == b""


def test_dripping_bytes_does_not_buy_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(WHOLE[:-2])
        for _ in range(100):
            writer.write(b"x")
            await asyncio.sleep(0.02)
            if reader.at_eof():
                break
        return await reader.read()

    assert talk(act) == b""


def test_an_endless_head_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_BYTES", 2000)

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(WHOLE[:-2] + b"X-Long: ")
        await asyncio.sleep(0.05)
        writer.write(b"x" * 3000)
        return await reader.read()

    assert talk(act).startswith(b"HTTP/1.1 400")


async def echoed(reader: asyncio.StreamReader) -> Any:
    """Read one answer of `echo`."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return json.loads(await reader.readexactly(int(length)))


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
NAMES = ["host", "connection", "http2-settings"]
INNER = b"GET /inner HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("chunked", [False, True])
def test_who_offers_another_protocol_is_answered_in_this_one(pieces: int, *, chunked: bool) -> None:
    """Also a body that looks like a request is the body, and the next request the next."""
    post = b"POST /outer HTTP/1.1\r\nHost: here\r\n" + OFFER
    if chunked:
        post += b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)
    else:
        post += b"Content-Length: %d\r\n\r\n" % len(INNER)
        body = INNER
    get = b"GET /next HTTP/1.1\r\nHost: here\r\n" + OFFER + b"\r\n"

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for piece in [post + body + get] if pieces == 1 else [post, body, get]:
            writer.write(piece)
            await asyncio.sleep(0.02)
        method, path, names, seen = await echoed(reader)
        length = "transfer-encoding" if chunked else "content-length"
        assert (method, path, seen) == ("POST", "/outer", INNER.decode())
        assert names == [*NAMES, length]
        assert await echoed(reader) == ["GET", "/next", NAMES, ""]
        return b"done"

    assert talk(act, echo) == b"done"


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"CONNECT here:1 HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : here\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: here\r\n\r\n".encode(),
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_like_anything_else(sent: bytes) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(sent)
        return await reader.read()

    head, _, body = talk(act).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    problem = json.loads(body)
    assert first == "HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/problem+json"
    assert headers["content-length"] == str(len(body))
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == problem["instance"]
    assert (problem["error_code"], problem["status"]) == ("RB003", 400)
