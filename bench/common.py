"""What the benchmarks share: a furnished installation, the server as a process, and wrk."""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import chats, keys, members, messages, organisations
from onrecord.model.access import STAFF, Kind, MemberRef, Origin, operator
from onrecord.settings import Settings
from onrecord.store import access, people
from onrecord.store.db import Caller
from onrecord.store.work import Work

HERE: Final = Path(__file__).resolve().parent
PASSWORD: Final = "a benchmark opens nothing"  # noqa: S105 - it guards a throw-away installation
CHATS: Final = 200
TEXT: Final = "The transfer value has arrived; I will send the comparison this afternoon."


@dataclass(frozen=True, slots=True)
class Firm:
    """A furnished organisation: its chats, and a master-user key with one member to act for."""

    entity_uuid: str
    member_uuid: str
    api_key: str
    secret: str
    chat_uuids: Sequence[str]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request by the key on behalf of the member."""
        return {
            "Content-Type": "application/json",
            "X-MASTER-USER-API-KEY": self.api_key,
            "X-MASTER-USER-API-KEY-SECRET": self.secret,
            "on-behalf-of": self.member_uuid,
        }


# -- furnishing ----------------------------------------------------------------------------------


def furnish(settings: Settings, *, chat_count: int = CHATS, texts: int = 0) -> Firm:
    """Make an organisation with so many chats of two people and so many texts in each."""

    async def main() -> Firm:
        async with composition.running(settings, purpose="furnish a benchmark") as app:
            return await _furnish(app, chat_count, texts)

    return asyncio.run(main())


async def _furnish(app: App, chat_count: int, texts: int) -> Firm:
    founded = await composition.acting(app, None, found)
    entity = await app.store.ask(lambda session: access.entity_of(session, founded.entity_uuid))
    if entity is None:
        raise LookupError(founded.entity_uuid)
    other = await composition.acting(app, entity.uuid, _colleague)
    admin = await app.store.ask(
        lambda session: people.member_of(session, entity.id, founded.entity_user_xref_uuid)
    )
    if admin is None:
        raise LookupError(founded.entity_user_xref_uuid)

    async def by_admin(run: Callable[..., Awaitable[Any]]) -> Any:
        actor = replace(operator(entity.id, entity.uuid), member=admin.ref)
        return await app.store.write(Caller(actor, Origin(keys.request_id(), None, "::1")), run)

    async def chat(number: int) -> str:
        made: str = await by_admin(
            lambda work: chats.create(
                work, uuids=[other.uuid], identifiers=None, title=f"Matter {number}"
            )
        )
        for start in range(0, texts, 100):
            count = min(100, texts - start)
            await by_admin(lambda work, count=count: _talk(work, made, count))
        return made

    chat_uuids = await asyncio.gather(*map(chat, range(chat_count)))
    key = await composition.acting(
        app,
        entity.uuid,
        lambda work: keys.create(
            work,
            kind=Kind.MASTER_USER,
            name="Benchmark",
            permissions=["can_read_chat", "can_write_chat"],
        ),
    )
    return Firm(entity.uuid, founded.entity_user_xref_uuid, key.api_key, key.secret, chat_uuids)


async def found(work: Work) -> organisations.Founded:
    """Make the organisation and its administrator, in a work of the installation."""
    new = organisations.NewOrganisation(
        name="Benchmark & Partners",
        admin_email="ada@example.com",
        admin_username="benchmark.ada",
        admin_password=PASSWORD,
    )
    return await organisations.create(work, new, "bench")


async def _colleague(work: Work) -> MemberRef:
    new = members.NewMember(
        enum_profile_id=STAFF, first_name="Ben", primary_email="ben@example.com"
    )
    member, _ = await members.create(work, new)
    await members.activate(work, member.uuid, "benchmark.ben", PASSWORD)
    return member.ref


async def _talk(work: Work, chat_uuid: str, count: int) -> None:
    caller = Caller(work.actor, work.origin)
    said = [messages.Outgoing(caller, work.actor, chat_uuid, TEXT) for _ in range(count)]
    await messages.append(work, said)


# -- where it lies -------------------------------------------------------------------------------


@contextlib.contextmanager
def installation(postgres: str | None) -> Iterator[Settings]:
    """Give settings of a fresh data directory, with a throw-away database on that server."""
    folder = Path(tempfile.mkdtemp(prefix="onrecord-bench-"))
    try:
        if postgres is None:
            yield Settings(data_dir=folder / "data", port=0)
        else:
            with database(postgres) as url:
                yield Settings(data_dir=folder / "data", database_url=url, port=0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def database(server: str, template: str = "/template1") -> Iterator[str]:
    """Make a database beside the one named, as a copy of another; give its address; drop it."""
    name = f"onrecord_bench_{uuid.uuid4().hex[:12]}"
    parts = urlsplit(server)

    like = urlsplit(template).path.lstrip("/")
    execute(server, f"CREATE DATABASE {name} TEMPLATE {like}")
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: str, statement: str) -> None:
    """Run one statement on a PostgreSQL database."""

    async def main() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(main())


# -- the server as a process ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Running:
    """A server process that answers at an address."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    seconds: float
    """From starting the process to the first 200 of /readyz."""

    def last_words(self) -> str:
        """Give the end of what the server logged."""
        return self.log.read_text("utf-8")[-2000:]

    def memory(self) -> int:
        """Give the resident memory in bytes (Linux)."""
        return self._status("VmRSS")

    def memory_of_its_own(self) -> int:
        """Give the resident memory in bytes without that of mapped files (Linux).

        What is mapped of a database is the system's cache, which it takes back when it likes.
        """
        return self._status("RssAnon")

    def cpu(self) -> float:
        """Give the seconds of processor time used so far (Linux)."""
        fields = (
            Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        match = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        return int(match[1]) * 1024 if match else 0


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[Running]:
    """Start the server on a free port, without rate limits, and stop it in the end."""
    log = settings.data_dir / "bench.log"
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "onrecord", "serve", "--port", str(port)],
            env=environment(settings),
            stderr=output,
        )
    try:
        while not _is_ready(address):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {log.read_text('utf-8')}")
            time.sleep(0.005)
        yield Running(process, address, log, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def environment(settings: Settings) -> dict[str, str]:
    """Give the environment of a process of ours that works on the installation."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ONRECORD_")},
        "ONRECORD_DATA_DIR": str(settings.data_dir),
        "ONRECORD_DATABASE_URL": settings.database_url,
        "ONRECORD_RATE_LIMIT": "off",
        "ONRECORD_MAIL_URL": settings.mail_url,
        "ONRECORD_MAIL_FROM": settings.mail_from,
    }


def free_port() -> int:
    """Give a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(address: str) -> bool:
    try:
        request = f"{address}/readyz"
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - http of our own
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextlib.contextmanager
def answering(
    address: str, path: str, headers: dict[str, str], *, method: str = "GET", body: bytes = b""
) -> Iterator[http.client.HTTPResponse]:
    """Make one call and give its answer to be read; SystemExit unless it is 200."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            raise SystemExit(f"{path}: {answer.status} {answer.read()[:500]!r}")
        yield answer


def fetched(
    address: str, path: str, headers: dict[str, str], *, method: str = "GET", body: bytes = b""
) -> bytes:
    """Make one call and give the body of its answer."""
    with answering(address, path, headers, method=method, body=body) as answer:
        return answer.read()


# -- wrk -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of wrk measured: requests a second, milliseconds, requests, errors."""

    rate: float
    p50: float
    p99: float
    requests: int
    errors: int

    def __str__(self) -> str:
        return (
            f"{self.rate:9,.0f}/s  p50 {self.p50:6.2f} ms  p99 {self.p99:6.2f} ms"
            f"  errors {self.errors}"
        )


_RESULT: Final = re.compile(r"RES (\S+)/s p50=(\S+)ms p99=(\S+)ms n=(\d+) err=(\d+)")


def wrk(address: str, targets: Path, connections: int, seconds: float) -> Result:
    """Drive the address with the request lines of a file."""
    found = subprocess.run(
        [
            program("wrk"),
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "-s",
            str(HERE / "load.lua"),
            address,
        ],
        env={**os.environ, "TARGETS": str(targets)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    match = _RESULT.search(found)
    if match is None:
        raise RuntimeError(f"wrk said: {found}")
    rate, p50, p99, requests, errors = match.groups()
    return Result(float(rate), float(p50), float(p99), int(requests), int(errors))


def program(name: str, *folders: Path) -> str:
    """Find a program on the PATH or in one of the folders."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, folders)]))
    if found is None:
        raise SystemExit(f"{name} is not installed")
    return found


def request_line(method: str, path: str, headers: dict[str, str], body: str = "") -> str:
    """Write a line of a file of targets for load.lua."""
    written = "|".join(f"{name}: {value}" for name, value in headers.items())
    return f"{method}\t{path}\t{written}\t{body}\n"


def texts_to_send(firm: Firm, path: Path) -> None:
    """Write the targets that send one text to each of the firm's chats in turn."""
    lines = [
        request_line(
            "POST",
            "/chat-service/api/chats/messages/send-text",
            firm.headers,
            json.dumps({"chat_uuid": chat, "text": TEXT}),
        )
        for chat in firm.chat_uuids
    ]
    path.write_text("".join(lines), "utf-8")


def median_of(results: Sequence[Result]) -> Result:
    """Give the run of the median rate."""
    rate = statistics.median_low(result.rate for result in results)
    return next(result for result in results if result.rate == rate)


# -- the command line ----------------------------------------------------------------------------


def options(about: str) -> argparse.ArgumentParser:
    """Make the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="append the figures to FILE, one JSON line each"
    )
    return parser


def say(text: str = "") -> None:
    """Print a line at once, so that whoever watches sees how far it is."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def keep(given: argparse.Namespace, what: str, **figures: float) -> None:
    """Append a row of figures to the file asked for with --json."""
    if given.json is not None:
        with given.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **figures}) + "\n")
