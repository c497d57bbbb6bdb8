"""A database that is away or full while people are signed in and jobs run."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from onrecord.jobs import worker
from tests.cast import PASSWORD, Browser
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.processes import CREATE_MEMBER, LONG, Client, Reply, ServerProcess
from tests.faults.proxies import Proxy
from tests.faults.visitors import ROWS, Importer, Peek, Shared, Signer, fine, form
from tests.signing import APP, username
from tests.world import CHAT, ENTITY, World

AWAY_SECONDS = 30 if LONG else 2
INVITED = 40
FILES = 4
BACK_SECONDS = 30
DONE_SECONDS = 60

pytestmark = [pytest.mark.long, pytest.mark.timeout(240 if LONG else 120)]


@dataclass
class Office:
    """Somebody who is signed in, and what was put in line before the database went away."""

    world: World
    server: ServerProcess
    browser: Browser
    signer: Signer
    importer: Importer

    @classmethod
    def open(cls, world: World, server: ServerProcess) -> "Office":
        """Sign somebody in."""
        shared = Shared(server, world.cast)
        shared.going.set()
        signer = Signer(shared, person=world.cast.tomas)
        with Client(server) as client, Peek(world.settings) as peek:
            browser = signer.sign_in(client, peek)
        return cls(world, server, browser, signer, Importer(shared))

    def put_in_line(self, client: Client) -> None:
        """Invite many, and have files imported."""
        for number in range(INVITED):
            body = {
                "enum_profile_id": 4,
                "first_name": "Nell",
                "primary_email": f"nell{number}@example.net",
            }
            reply = client.request("POST", CREATE_MEMBER, self.world.cast.system, json_body=body)
            assert reply.status == 200, reply
        for _ in range(FILES):
            self.importer.ask(client)

    def asks(self, client: Client) -> Iterator[Reply]:
        """Ask for everything that needs the database."""
        system = self.world.cast.system
        name = {"username": username(self.world.cast.tomas), "password": PASSWORD}
        yield client.request("GET", f"{APP}/session", self.browser)
        yield client.request("GET", f"{CHAT}/chats", self.browser)
        yield client.request("POST", f"{APP}/sign-in", json_body=name)
        wrong = {"challenge": "nonsense", "code": "123456"}
        yield client.request("POST", f"{APP}/sign-in/confirm", json_body=wrong)
        new = {"password": PASSWORD, "new_password": "another four words or so"}
        path = f"{APP}/account/password/change"
        yield client.request("POST", path, self.browser, json_body=new)
        body = {"enum_profile_id": 4, "first_name": "Ned", "primary_email": "ned@example.net"}
        yield client.request("POST", CREATE_MEMBER, system, json_body=body)
        text = "First Name,Email\nNed,ned@example.net\n"
        yield client.request(
            "POST", f"{ENTITY}/imports/create", system, form=form(text, kind="clients")
        )

    def check_away(self, client: Client, *, writes: bool = False) -> None:
        """Every answer says when to try again; reading may go on where only writing cannot."""
        memory = self.server.memory()
        until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < until:
            for reply in self.asks(client):
                if writes and (reply.status in {200, 401} or reply.code == "RU029"):
                    continue  # "RU029": no address may try many codes, however full the disk is
                assert (reply.status, reply.code) == (503, "RX503"), reply
                assert int(reply.headers["retry-after"]) > 0
        assert self.server.memory() - memory < 50 * 2**20

    def check_under_way(self) -> None:
        """Something that was put in line is still to be done."""
        with Peek(self.world.settings) as peek:
            assert peek.rows("SELECT 1 FROM job WHERE finished_at IS NULL")

    def check_back(self, client: Client) -> None:
        """Nobody has to sign in again, and what was put in line comes to its end by itself."""
        deadline = time.monotonic() + BACK_SECONDS
        while client.request("GET", f"{APP}/session", self.browser).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.importer.check(client)
        deadline = time.monotonic() + DONE_SECONDS
        with Peek(self.world.settings) as peek:
            while peek.rows("SELECT 1 FROM job WHERE finished_at IS NULL"):
                assert time.monotonic() < deadline, peek.rows("SELECT kind, state FROM job")
                time.sleep(0.05)
        fine(client.request("GET", f"{CHAT}/chats", self.browser))

    def check_record(self) -> None:
        """Nothing was lost on the way or done twice."""
        self.world.start()
        told = records.check_everything(self.world)[self.world.cast.firm]
        records.check_links(self.world, told)
        names = [one["identifier"] for one in told.members.values()]
        for job_uuid, made in self.importer.jobs:
            assert told.imports[job_uuid] == {"created": ROWS, "existing": 0, "refused": 0}
            assert all(names.count(name) == 1 for name in made)
        nells = [uuid for uuid, one in told.members.items() if one["first_name"] == "Nell"]
        assert len(nells) == INVITED
        assert {told.invitations[uuid] for uuid in nells} == {"sent"}
        assert self.world.run(worker.run_due(self.world.app)) == 0


@contextmanager
def away(world: World) -> Iterator[tuple[Office, Client, Callable[[], Any], Callable[[], Any]]]:
    """Give a signed-in office, and what takes the database away and gives it back."""
    world.stop()
    if not world.settings.database_url:
        with ServerProcess(world.settings) as server, Client(server) as client:
            _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)

            def limit(size: int) -> None:
                resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, most))

            def fill() -> None:
                files = [*world.settings.data_dir.iterdir(), server.log]
                limit(max(file.stat().st_size for file in files) + 20_000)

            yield Office.open(world, server), client, fill, lambda: limit(most)
            assert server.stop() == 0
        return
    with Proxy(world.settings.database_url) as proxy:
        settings = replace(world.settings, database_url=proxy.url)
        with ServerProcess(settings) as server, Client(server) as client:
            yield Office.open(world, server), client, proxy.cut, proxy.restore
            assert server.stop() == 0


def test_sessions_and_jobs_outlive_a_database_that_is_away_or_full(make_world: MakeWorld) -> None:
    world = make_world(dev_outbox=True)
    with away(world) as (office, client, take_away, give_back):
        office.put_in_line(client)
        take_away()
        office.check_under_way()
        office.check_away(client, writes=not world.settings.database_url)
        give_back()
        office.check_back(client)
    office.check_record()
