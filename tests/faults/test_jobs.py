"""Mail and `kill -9`: what was put in line goes out, and what went out is not forgotten."""

import email
import email.policy
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from onrecord.model.access import CLIENT
from onrecord.settings import Settings
from tests.conftest import MakeWorld
from tests.faults.processes import (
    CREATE_MEMBER,
    GONE,
    START_SECONDS,
    STOP_SECONDS,
    Client,
    ServerProcess,
    environment,
)
from tests.world import World


class Postman:
    """A mail server that counts, and may do something between taking a mail and saying so."""

    def __init__(self) -> None:
        self.took: list[EmailMessage] = []
        self.meanwhile: Callable[[], None] | None = None

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _: SMTP, __: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.took.append(message)
        if self.meanwhile is not None:
            self.meanwhile()
        return "250 OK"

    def wait_for(self, count: int) -> None:
        """Wait until so many mails were taken."""
        deadline = time.monotonic() + START_SECONDS
        while len(self.took) < count:
            assert time.monotonic() < deadline, f"{len(self.took)} of {count} mails"
            time.sleep(0.01)


@pytest.fixture
def firm(make_world: MakeWorld) -> Iterator[tuple[World, Settings, Postman]]:
    """The firm, stopped and with nothing in line, on an installation whose mail we take."""
    postman = Postman()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(postman, hostname="127.0.0.1", port=port)
    controller.start()
    url = f"smtp://127.0.0.1:{port}"
    world = make_world(mail_url=url, mail_from="office@example.com")
    world.work(None, lambda work: work.db.run("DELETE FROM job"))
    world.stop()
    yield world, world.settings, postman
    controller.stop()


def invite(server: ServerProcess, world: World, count: int = 1) -> None:
    with Client(server) as client:
        for number in range(count):
            body = {
                "enum_profile_id": CLIENT,
                "first_name": "Nell",
                "primary_email": f"nell{number}@example.com",
            }
            reply = client.request("POST", CREATE_MEMBER, world.cast.system, json_body=body)
            assert reply.status == 200


def states(world: World) -> Counter[str]:
    """The states of invitations to nell, and of jobs, once nobody runs any more."""
    world.start()
    rows = world.rows("SELECT invitation FROM member WHERE first_name = 'Nell'")
    jobs = world.rows("SELECT state FROM job")
    world.stop()
    return Counter([*(json.loads(row[0])["state"] for row in rows), *(row[0] for row in jobs)])


def end_leases(world: World) -> None:
    """Let the minute go by after which another process takes a job over."""
    world.start()
    world.work(None, lambda work: work.db.run("UPDATE job SET run_at = 0 WHERE state = 'running'"))
    world.stop()


def test_a_mail_in_line_survives_kill_and_goes_out_once(
    firm: tuple[World, Settings, Postman],
) -> None:
    world, settings, postman = firm
    with ServerProcess(settings, ("--no-work",)) as server:
        invite(server, world)
        server.kill()
    assert postman.took == []
    with ServerProcess(settings) as server:
        postman.wait_for(1)
        assert server.stop() == 0
    assert len(postman.took) == 1
    assert states(world) == {"sent": 1, "done": 1}


def test_a_process_killed_while_it_delivers_leaves_a_mail_that_can_be_known_again(
    firm: tuple[World, Settings, Postman],
) -> None:
    world, settings, postman = firm
    with ServerProcess(settings) as server:
        postman.meanwhile = server.kill
        invite_and_be_killed(server, world)
        postman.wait_for(1)
        assert server.process is not None
        server.process.wait(STOP_SECONDS)
    assert states(world) == {"not_sent": 1, "running": 1}
    postman.meanwhile = None
    end_leases(world)
    with ServerProcess(settings) as server:
        postman.wait_for(2)
        assert server.stop() == 0
    ids = {message["Message-ID"] for message in postman.took}
    assert len(ids) == 1
    tokens = {str(message).partition("#token=")[2].split()[0] for message in postman.took}
    assert len(tokens) == 1, "the very same link"
    assert states(world) == {"sent": 1, "done": 1}


def invite_and_be_killed(server: ServerProcess, world: World) -> None:
    with suppress(*GONE):  # it may be killed before it has answered; the member is there
        invite(server, world)


@contextmanager
def worker(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`onrecord work`, until it has said that it runs."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "onrecord", "work"],
            env=environment(settings),
            stderr=out,
        )
    deadline = time.monotonic() + START_SECONDS
    while "running jobs" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0, log.read_text()


def test_two_workers_beside_a_server_deliver_each_mail_once(
    firm: tuple[World, Settings, Postman], tmp_path: Path
) -> None:
    world, settings, postman = firm
    with (
        ServerProcess(settings, ("--no-work",)) as server,
        worker(settings, tmp_path / "one.log"),
        worker(settings, tmp_path / "two.log"),
    ):
        invite(server, world, 20)
        postman.wait_for(20)
        assert server.stop() == 0
    assert len(postman.took) == 20
    assert len({message["To"] for message in postman.took}) == 20
    assert states(world) == {"sent": 20, "done": 20}


def test_a_server_that_is_told_to_stop_ends_the_delivery_it_has_begun(
    firm: tuple[World, Settings, Postman],
) -> None:
    world, settings, postman = firm
    stopping = threading.Event()

    def stop_in_the_middle() -> None:
        server.process.terminate()  # type: ignore[union-attr]  # it runs: it has just mailed
        stopping.set()
        time.sleep(0.3)

    with ServerProcess(settings) as server:
        postman.meanwhile = stop_in_the_middle
        invite_and_be_killed(server, world)
        assert stopping.wait(START_SECONDS)
        assert server.stop() == 0
    assert len(postman.took) == 1
    assert states(world) == {"sent": 1, "done": 1}


def test_a_mail_server_that_hangs_keeps_nobody_waiting(
    firm: tuple[World, Settings, Postman],
) -> None:
    world, settings, postman = firm
    go_on = threading.Event()
    postman.meanwhile = lambda: (go_on.wait(START_SECONDS), None)[1]
    with ServerProcess(settings) as server:
        try:
            invite(server, world, 20)
            postman.wait_for(1)
            begun = time.monotonic()
            invited: Any = None
            with Client(server) as client:
                invited = client.request("GET", "/readyz")
            assert invited.status == 200
            assert time.monotonic() - begun < 5
        finally:
            postman.meanwhile = None
            go_on.set()
        postman.wait_for(20)
        assert server.stop() == 0
    assert states(world) == {"sent": 20, "done": 20}
