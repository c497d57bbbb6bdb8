"""Looking for malware: with a stand-in that says what a test wants, and with ClamAV itself."""

import asyncio
import hashlib
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from onrecord.model.errors import Refusal
from onrecord.outside import scanner
from onrecord.outside.scanner import Away, ClamScanner, scanner_of
from onrecord.settings import Settings, SettingsError, load
from tests import samples
from tests.scanning import running_clamd

DATA = os.urandom(700_000)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def taken(reader: asyncio.StreamReader) -> bytes:
    """Take a file as clamd does."""
    assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
    data = b""
    while length := int.from_bytes(await reader.readexactly(4), "big"):
        data += await reader.readexactly(length)
    return data


def answering(answer: bytes, heard: list[bytes] | None = None) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await taken(reader)
        if heard is not None:
            heard.append(data)
        writer.write(answer)

    return talk


def scanned(talk: Talk, data: bytes = DATA, path: Path | None = None) -> Refusal | None:
    """Have data scanned by a stand-in that talks like this; give what was refused."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    async def whole() -> Refusal | None:
        if path is None:
            server = await asyncio.start_server(closing, "127.0.0.1", 0)
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        else:
            server = await asyncio.start_unix_server(closing, path)
            address = f"unix:{path}"
        async with server:
            with tempfile.TemporaryFile() as file:
                file.write(data)
                try:
                    await ClamScanner(address).scan(file)
                except Refusal as refusal:
                    return refusal
        return None

    return asyncio.run(whole())


def test_a_clean_file_passes_and_arrives_whole(tmp_path: Path) -> None:
    heard: list[bytes] = []
    assert scanned(answering(b"stream: OK\0", heard)) is None
    assert scanned(answering(b"stream: OK\0", heard), path=tmp_path / "ctl") is None
    assert heard == [DATA, DATA]


def test_what_is_found_is_told_by_name(caplog: pytest.LogCaptureFixture) -> None:
    refusal = scanned(answering(b"stream: Win.Test.EICAR_HDB-1 FOUND\0"))
    assert refusal is not None
    assert refusal.code == "RB016"
    assert refusal.detail == "The scanner says that the file is malware: Win.Test.EICAR_HDB-1"
    assert "Win.Test.EICAR_HDB-1" in caplog.text


async def _too_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(100_000)
    writer.write(b"INSTREAM size limit exceeded. ERROR\0")
    await writer.drain()


def test_a_file_larger_than_the_scanner_takes_is_refused() -> None:
    refusal = scanned(_too_large, bytes(20 * 1024**2))
    assert refusal is not None
    assert (refusal.code, refusal.detail) == (
        "RB016",
        "The file is too large for the scanner for malware",
    )


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(10)
    writer.transport.abort()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await taken(reader)
    writer.write_eof()


@pytest.mark.parametrize(
    "talk",
    [
        _hang_up,
        _say_nothing,
        answering(b"stream: Can't allocate memory ERROR\0"),
        answering(b"stream: OK"),
        answering(b"OK\0"),
        answering(b"HTTP/1.1 200 OK\r\n\r\n\0"),
        answering(b"x" * 100_000),
        answering(b"stream: OK\nstream: OK\0"),
    ],
)
def test_whatever_is_no_clear_answer_is_a_refusal(talk: Talk) -> None:
    refusal = scanned(talk)
    assert refusal is not None
    assert refusal.code == "RX503"
    assert refusal.retry_after == scanner.RETRY_AFTER


def test_a_scanner_that_is_away_lets_nothing_pass(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
        for address in (nobody, f"unix:{tmp_path}/nothing"):
            with tempfile.TemporaryFile() as file, pytest.raises(Refusal) as refusal:
                asyncio.run(ClamScanner(address).scan(file))
            assert refusal.value.code == "RX503"


def test_a_scanner_that_does_not_come_to_an_end_lets_nothing_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await taken(reader)
        await asyncio.sleep(0.5)

    async def deaf(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)

    monkeypatch.setattr(scanner, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(scanner, "PIECE_SECONDS", 0.1)
    for talk in (never, deaf):
        refusal = scanned(talk, bytes(20 * 1024**2))
        assert refusal is not None
        assert refusal.code == "RX503"


def test_the_address_is_a_socket_of_this_machine_or_a_host_and_port() -> None:
    for given in ("unix:/run/clamav/clamd.ctl", "127.0.0.1:3310", "clamav:3310", "[::1]:3310"):
        settings = load({"clamav": given}, {})
        assert settings.clamav == given
        assert scanner_of(settings) is not None
    for wrong in ("clamav", "unix:relative", "host:", "host:99999", ":3310", "http://host:3310"):
        with pytest.raises(SettingsError, match="clamav"):
            load({"clamav": wrong}, {})
    assert scanner_of(Settings()) is None


# -- ClamAV itself -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamScanner]:
    with running_clamd(tmp_path_factory.mktemp("clamd")) as address:
        yield ClamScanner(address)


def verdict(clamd: ClamScanner, data: bytes) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        try:
            asyncio.run(clamd.scan(file))
        except Refusal as refusal:
            return f"{refusal.code} {refusal.detail}"
    return "clean"


def test_clamav_finds_what_is_hidden_and_lets_the_rest_pass(clamd: ClamScanner) -> None:
    found = "RB016 The scanner says that the file is malware: Eicar-Test-Signature"
    assert hashlib.sha256(samples.eicar()).hexdigest()[:8] == "275a021b"
    assert verdict(clamd, samples.eicar()).startswith(found)
    within = samples.zipped({"a.zip": samples.zipped({"a.txt": samples.eicar()})})
    assert verdict(clamd, within).startswith(found)
    assert verdict(clamd, samples.office("docx")) == "clean"
    assert verdict(clamd, b"hello") == "clean"
    assert verdict(clamd, os.urandom(3 * 1024**2)) == (
        "RB016 The file is too large for the scanner for malware"
    )


def test_clamav_tells_its_version(clamd: ClamScanner) -> None:
    assert asyncio.run(clamd.version()).startswith("ClamAV ")


def test_what_answers_without_being_clamd_is_away() -> None:
    async def whole() -> None:
        async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example.com ESMTP\0")
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(Away):
                await ClamScanner(f"127.0.0.1:{port}").version()

    asyncio.run(whole())
