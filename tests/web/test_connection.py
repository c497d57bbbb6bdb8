"""Slow and endless heads: the client is cut off, and nobody else notices."""

import asyncio
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


def talk(act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]) -> bytes:
    """Open one connection to a server of such connections, and give what the act read."""

    async def main() -> bytes:
        config = uvicorn.Config(answer, ws="none", log_config=None, access_log=False)
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
