"""How fast invitations go out: 10,000 in line, an SMTP server on this machine that only counts.

Meanwhile somebody signs in again and again: how long until the code is there, although thousands
of mails wait. The mail server says yes after a while that can be set, as those of the world do.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import common
import seeding
from aiosmtpd.smtp import SMTP, Envelope, Session

from onrecord import app as composition
from onrecord.domain import imports
from onrecord.jobs import importing
from onrecord.settings import Settings

ADMIN: Final = "ada@example.com"
SIGN_IN: Final = "/app-service/api/sign-in"
LOOK_EVERY: Final = 0.02
CODES_EVERY: Final = 0.5
STALLED: Final = 60
"""Seconds without a mail after which something is wrong."""


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--invitations", type=int, default=10_000, help="in line (10,000)")
    parser.add_argument(
        "--delay", type=float, default=0, help="seconds the mail server thinks about each mail (0)"
    )
    parser.add_argument("--sink", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sink:
        asyncio.run(_sink(given.sink, given.port, given.delay))
        return
    engine = "PostgreSQL" if given.postgres else "SQLite"
    common.say(
        f"{given.invitations:,} invitations on {engine}, {given.delay * 1e3:.0f} ms each to take"
    )
    with common.installation(given.postgres) as plain, _mail_server(given.delay) as mails:
        settings = replace(
            plain, mail_url=f"smtp://127.0.0.1:{mails.port}", mail_from="office@example.com"
        )
        crowd = seeding.gather(settings)
        asyncio.run(_put_in_line(settings, crowd.entity_uuid, given.invitations))
        with common.serving(settings) as server:
            _measure(given, server, mails)


# -- the mail server -----------------------------------------------------------------------------


class _Counting:
    """Takes every mail after a while, and writes down whom it was for."""

    def __init__(self, file: Path, delay: float) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND)
        self._delay = delay

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _: SMTP, __: Session, envelope: Envelope
    ) -> str:
        await asyncio.sleep(self._delay)
        os.write(self._file, f"{envelope.rcpt_tos[0]}\n".encode())
        return "250 OK"


async def _sink(file: Path, port: int, delay: float) -> None:
    handler = _Counting(file, delay)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler), "127.0.0.1", port, backlog=1000)
    await server.serve_forever()


@dataclass(frozen=True, slots=True)
class _Mails:
    """What the mail server has taken."""

    port: int
    file: Path

    def to(self, recipient: str) -> int:
        """How many mails somebody got."""
        return self.file.read_text("ascii").count(f"{recipient}\n")

    def count(self) -> int:
        """How many mails anybody got."""
        return self.file.read_bytes().count(b"\n")


@contextlib.contextmanager
def _mail_server(delay: float) -> Iterator[_Mails]:
    """Run the mail server as a process of its own: its work is not ours."""
    port = common.free_port()
    with tempfile.NamedTemporaryFile(prefix="onrecord-mails-") as file:
        arguments = ["--sink", file.name, "--port", str(port), "--delay", str(delay)]
        process = subprocess.Popen([sys.executable, __file__, *arguments])
        while process.poll() is None and not _listens(port):
            time.sleep(LOOK_EVERY)
        try:
            yield _Mails(port, Path(file.name))
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


# -- putting in line and delivering --------------------------------------------------------------


async def _put_in_line(settings: Settings, entity_uuid: str, count: int) -> None:
    """Import clients who are all invited; no worker runs, so nothing goes out yet."""
    lines = ["First Name,Email", *(f"Nell,nell{number}@example.com" for number in range(count))]
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("\n".join(lines))
        file.flush()
        async with composition.running(settings, purpose="seed a benchmark") as app:
            wanted = importing.Wanted(entity_uuid, "clients", imports.Options(), None)
            done = await importing.run(app, Path(file.name), wanted, lambda _: None)
            await app.as_service(lambda work: work.db.run("UPDATE job SET run_at = 1"))
    if done["created"] != count:
        raise SystemExit(f"not all were put in line: {done}")


def _measure(given: Any, server: common.Running, mails: _Mails) -> None:
    cpu, began = server.cpu(), time.perf_counter()
    codes = _codes(given.invitations, server, mails)
    seconds, cpu = time.perf_counter() - began, server.cpu() - cpu
    rate = given.invitations / seconds
    common.say(
        f"  {seconds:.1f} s, {rate:,.0f} a second; {cpu / given.invitations * 1e3:.1f} ms of the"
        f" server's processor time a mail. {len(codes)} codes beside them came after"
        f" {statistics.median(codes) * 1e3:.0f} ms in the middle, {max(codes) * 1e3:.0f} ms at the"
        " most"
    )
    common.keep(
        given,
        f"{given.invitations:,} invitations",
        seconds=seconds,
        rate=rate,
        code=statistics.median(codes),
    )


def _codes(count: int, server: common.Running, mails: _Mails) -> list[float]:
    """Wait until every invitation is out, signing in again and again; seconds to each code."""
    waits: list[float] = []
    seen, moved = 0, time.perf_counter()
    while (now := mails.count() - len(waits)) < count:
        if now != seen:
            seen, moved = now, time.perf_counter()
        if time.perf_counter() > moved + STALLED:
            raise SystemExit(f"{seen} mails, and no more: {server.last_words()}")
        waits.append(_sign_in(server, mails, len(waits)))
        time.sleep(CODES_EVERY)
    return waits


def _sign_in(server: common.Running, mails: _Mails, before: int) -> float:
    """Give the password, and wait for the mail with the code; how long that took together."""
    began = time.perf_counter()
    body = f'{{"username": "benchmark.ada", "password": "{common.PASSWORD}"}}'.encode()
    headers = {"Content-Type": "application/json"}
    try:
        common.fetched(server.address, SIGN_IN, headers, method="POST", body=body)
    except urllib.error.HTTPError as error:
        raise SystemExit(error.read().decode()) from error
    while mails.to(ADMIN) <= before:
        if time.perf_counter() > began + STALLED:
            raise SystemExit(f"no code came: {server.last_words()}")
        time.sleep(LOOK_EVERY)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
