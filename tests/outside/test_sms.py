"""Texts, handed to a provider that is a server of the test."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from onrecord.model.ports import Undeliverable
from onrecord.outside.sms import texter_of
from onrecord.settings import Settings


def with_provider(answer: str, act: Callable[[int], Any]) -> tuple[str, str]:
    """Run an act against a provider that answers so; head and body of what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        asked.extend([head, await reader.readexactly(length)])
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            await act(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await server.wait_closed()

    asyncio.run(main())
    return asked[0].decode(), asked[1].decode()


async def send(port: int) -> None:
    settings = Settings(sms_url=f"http://AC123:secret@127.0.0.1:{port}", sms_from="+15550100")
    texter = texter_of(settings)
    assert texter is not None
    await texter.send("+442079460001", "Your code: 042117")


def test_a_text_is_posted_in_the_providers_form() -> None:
    head, body = with_provider("201 Created", send)
    assert head.startswith("POST /2010-04-01/Accounts/AC123/Messages.json HTTP/1.1")
    credentials = base64.b64encode(b"AC123:secret").decode()
    assert f"authorization: basic {credentials}".lower() in head.lower()
    assert parse_qs(body) == {
        "To": ["+442079460001"],
        "From": ["+15550100"],
        "Body": ["Your code: 042117"],
    }


@pytest.mark.parametrize("answer", ["400 Bad Request", "404 Not Found"])
def test_a_text_refused_for_good_says_so(answer: str) -> None:
    with pytest.raises(Undeliverable, match=answer[:3]):
        with_provider(answer, send)


@pytest.mark.parametrize(
    "answer",
    [
        "401 Unauthorized",
        "429 Too Many Requests",
        "500 Oops",
        "302 Found\r\nLocation: http://[::1]/",
    ],
)
def test_what_may_pass_is_tried_again_and_no_redirect_is_followed(answer: str) -> None:
    with pytest.raises(Exception, match=answer[:3]) as caught:
        with_provider(answer, send)
    assert not isinstance(caught.value, Undeliverable)


def test_without_a_provider_there_is_none() -> None:
    assert texter_of(Settings()) is None
