"""Real processes: servers to be killed, the command line beside them, and plain HTTP clients."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from onrecord.settings import Settings
from tests.cast import Person, Shown, uuid_of

LONG = os.environ.get("ONRECORD_TEST_LONG") == "1"
START_SECONDS = 30
STOP_SECONDS = 20


def environment(settings: Settings) -> dict[str, str]:
    """Give the environment in which a process of ours finds this installation.

    It is not measured: what is killed tells nothing, and the rest of the tests does without it.
    """
    ours = {
        "ONRECORD_DATA_DIR": str(settings.data_dir),
        "ONRECORD_DATABASE_URL": settings.database_url,
        "ONRECORD_RATE_LIMIT": "off",
        "ONRECORD_SIGNING_KEY_FILE": str(settings.signing_key),
        "ONRECORD_MAIL_URL": settings.mail_url,
        "ONRECORD_MAIL_FROM": settings.mail_from,
        "ONRECORD_DEV_OUTBOX": "on" if settings.dev_outbox else "off",
    }
    not_meant = ("ONRECORD_", "COVERAGE_")
    others = {name: value for name, value in os.environ.items() if not name.startswith(not_meant)}
    return others | ours


def command_line(settings: Settings, *arguments: str) -> Any:
    """Run `onrecord … --json` as a process of its own and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "onrecord", *arguments, "--json"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(slots=True)
class ServerProcess:
    """`onrecord serve` on a free port."""

    settings: Settings
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    starts: int = 0

    def start(self) -> Self:
        """Start and wait until it answers."""
        self.starts += 1
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "onrecord", "serve", "--port", "0", *self.flags],
                env=environment(self.settings),
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.logged()
            self.port = self._announced() or 0
            if self.port:
                with Client(self) as client:
                    assert client.request("GET", "/readyz").status == 200
                return self
            time.sleep(0.01)
        raise AssertionError(self.logged())

    @property
    def log(self) -> Path:
        """Where this start's process logs to; each process of the directory has its own file."""
        return self.settings.data_dir.parent / f"server-{id(self)}-{self.starts}.log"

    def logged(self) -> str:
        """Give what the process has logged since it started."""
        return self.log.read_text("utf-8")

    def _announced(self) -> int | None:
        for line in self.logged().splitlines():
            _, found, address = line.partition("serving on http://127.0.0.1:")
            if found:
                return int(address.split('"')[0])
        return None

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to stop and give its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def memory(self) -> int:
        """Give the resident memory in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: Any
    cookies: Mapping[str, str]
    """What it sets; empty ones are taken away."""

    @property
    def code(self) -> str | None:
        """The refusal's code."""
        return self.body.get("error_code") if isinstance(self.body, dict) else None


@dataclass(slots=True)
class Client:
    """One keep-alive connection; raises OSError or HTTPException when the server is gone."""

    server: ServerProcess
    timeout: float = 30
    _connection: http.client.HTTPConnection | None = field(default=None)

    def request(
        self,
        method: str,
        path: str,
        key: Shown | None = None,
        *,
        on_behalf_of: Person | str | None = None,
        json_body: Any = None,
        form: tuple[str, bytes] | None = None,
        idempotency: str | None = None,
        request_id: str | None = None,
    ) -> Reply:
        """Make one request and read the whole answer; `form` is a content type and a body."""
        headers = dict(key.headers) if key else {}
        if on_behalf_of is not None:
            headers["on-behalf-of"] = uuid_of(on_behalf_of)
        if idempotency is not None:
            headers["Idempotency-Key"] = idempotency
        if request_id is not None:
            headers["X-Request-Id"] = request_id
        body = None
        if json_body is not None:
            form = "application/json", json.dumps(json_body).encode()
        if form is not None:
            headers["Content-Type"], body = form
        connection = self._connection
        if connection is None or connection.port != self.server.port:
            self.close()
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.server.port, timeout=self.timeout
            )
            self._connection = connection
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        kind = answer.headers.get("content-type", "")
        read = json.loads(data) if "json" in kind and data else data
        lines = answer.headers.get_all("set-cookie") or []
        cookies = dict(line.partition(";")[0].split("=", 1) for line in lines)
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, told, read, cookies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


GONE = (OSError, http.client.HTTPException)
"""What a client meets when the server is killed under its hands."""
SEND = "/chat-service/api/chats/messages/send-text"
CHATS = "/chat-service/api/chats"
CREATE_CHAT = f"{CHATS}/create"
RENAME = f"{CHATS}/rename"
INVITE = f"{CHATS}/invite"
REMOVE = f"{CHATS}/remove"
LEAVE = f"{CHATS}/leave"
DISCARD = f"{CHATS}/discard"
SAY = f"{CHATS}/butler-says/send-text"
GROUPS = "/entity-service/sys-api/groups"
BARRIERS = "/entity-service/sys-api/barriers"
MEMBERS = "/entity-service/sys-api/entity-memberships"
CREATE_MEMBER = "/entity-service/sys-api/entity-memberships/create"
CREATE_MEMBER_V2 = f"{CREATE_MEMBER}/v2"
EVENTS = "/entity-service/sys-api/events"
MY_EVENTS = "/chat-service/api/events"
