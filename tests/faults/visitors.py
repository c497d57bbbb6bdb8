"""People at a server that is killed under their hands, and what they knew at that moment."""

import asyncio
import hmac
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import apsw
import asyncpg

from onrecord.domain import challenges
from onrecord.settings import Settings
from tests.cast import PASSWORD, Browser, Cast, Person
from tests.faults.processes import CREATE_MEMBER, GONE, Client, Reply, ServerProcess
from tests.signing import APP, username
from tests.world import ENTITY

MAIL_SECONDS = 20
ROWS = 60
"""Rows of a file: two slices."""


class Peek:
    """Looks into the outbox beside the server, in a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        """Connect."""
        self._runner: asyncio.Runner | None = None
        self._connection: Any
        if settings.database_url:
            self._runner = asyncio.Runner()
            self._connection = self._runner.run(asyncpg.connect(settings.database_url))
        else:
            file = str(settings.data_dir / "onrecord.db")
            self._connection = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READWRITE)
            self._connection.set_busy_timeout(5000)

    def rows(self, sql: str) -> Sequence[Sequence[Any]]:
        """Give the rows of a statement without values."""
        if self._runner is None:
            return list(self._connection.execute(sql))
        return list(self._runner.run(self._connection.fetch(sql)))

    def code_for(self, challenge: str) -> str | None:
        """Give the code of a challenge, once it is in the outbox."""
        known = {
            bytes(token): bytes(code)
            for token, code in self.rows(
                "SELECT token, code FROM challenge WHERE code IS NOT NULL ORDER BY id DESC LIMIT 60"
            )
        }
        token = challenges.digest(challenge)
        newest = "SELECT code FROM outbox WHERE code IS NOT NULL ORDER BY id DESC LIMIT 60"
        for (code,) in self.rows(newest) if token in known else ():
            if hmac.compare_digest(challenges._code_hash(token, code), known[token]):
                return str(code)
        return None

    def link_to(self, email: str) -> str | None:
        """Give the token of the link that was mailed to somebody."""
        found = self.rows(f"SELECT links FROM outbox WHERE recipient = '{email}'")  # noqa: S608 - an address of ours
        return found[0][0].partition("#token=")[2].partition('"')[0] if found else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._runner is None:
            self._connection.close()
        else:
            self._runner.run(self._connection.close())
            self._runner.close()


def wait_for(what: Callable[[], str | None], going: threading.Event) -> str:
    """Wait until there is what is looked for."""
    deadline = time.monotonic() + MAIL_SECONDS
    while going.is_set() and time.monotonic() < deadline:
        found = what()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("nothing came")


@dataclass(slots=True)
class Shared:
    """What all visitors of a server share, over all its lives."""

    server: ServerProcess
    cast: Cast
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    problems: list[str] = field(default_factory=list)
    going: threading.Event = field(default_factory=threading.Event)
    """Set while the server lives: nobody waits for mail of a dead one."""


@dataclass
class Visitor:
    """Somebody who does the same again and again until the server is gone."""

    shared: Shared
    chance: random.Random = field(default_factory=random.Random)
    acknowledged: int = 0
    """Flows that came to their end."""

    def run(self) -> None:
        """Go on until the server is gone."""
        with Client(self.shared.server) as client, Peek(self.shared.server.settings) as peek:
            try:
                while self.shared.going.is_set():
                    self.visit(client, peek)
                    self.acknowledged += 1
            except GONE:
                return
            except AssertionError as error:
                if self.shared.going.is_set():
                    self.shared.problems.append(repr(error))

    def visit(self, client: Client, peek: Peek, /) -> None:
        """Do it once; raises what `Client.request` raises when the server is gone."""
        raise NotImplementedError

    def code_for(self, peek: Peek, challenge: str) -> str:
        """Wait for the code of a challenge."""
        return wait_for(lambda: peek.code_for(challenge), self.shared.going)

    def says(self, client: Client, path: str, browser: Browser | None = None, **json: Any) -> Reply:
        """Send what a person says; a browser keeps the cookies it gets."""
        reply = client.request("POST", f"{APP}/{path}", browser, json_body=json)
        if browser is not None:
            for name, value in reply.cookies.items():
                browser.cookies[name] = value
                if not value:
                    del browser.cookies[name]
        return reply


def fine(reply: Reply, status: int = 200) -> Any:
    """Assert that a reply is a success and give its body."""
    assert reply.status == status, reply
    return reply.body


@dataclass
class Signer(Visitor):
    """Signs in, changes the password, signs out: one account that nobody else uses."""

    person: Person | None = None
    password: str = PASSWORD
    new_password: str | None = None
    """Asked for and not answered."""
    living: list[Browser] = field(default_factory=list)
    """Sessions of which somebody was told, and which nobody ended."""
    ended: list[dict[str, str]] = field(default_factory=list)
    """Cookies that were answered to open nothing any more."""
    leaving: Browser | None = None
    """Asked to sign out, and not answered."""
    used: list[dict[str, Any]] = field(default_factory=list)
    """Codes that were answered to be right."""
    open_code: dict[str, Any] | None = None
    """A code that was given and not answered."""

    def visit(self, client: Client, peek: Peek, /) -> None:
        browser = self.sign_in(client, peek)
        what = self.chance.random()
        if what < 0.5:
            self._change_password(client, browser)
        elif what < 0.8:
            self._sign_out(client, self.chance.choice(self.living))

    def sign_in(self, client: Client, peek: Peek) -> Browser:
        """Sign in, and give the browser."""
        assert self.person is not None
        name: dict[str, Any] = {"username": username(self.person), "password": self.password}
        begun = fine(self.says(client, "sign-in", **name))
        code = self.code_for(peek, begun["challenge"])
        browser = Browser(self.person)
        self.open_code = {"challenge": begun["challenge"], "code": code}
        fine(self.says(client, "sign-in/confirm", browser, **self.open_code))
        self.used.append(self.open_code)
        self.open_code = None
        self.living.append(browser)
        return browser

    def _change_password(self, client: Client, browser: Browser) -> None:
        self.new_password = f"{next(self.shared.numbers)} words of another kind"
        before = dict(browser.cookies)
        wanted: dict[str, Any] = {"password": self.password, "new_password": self.new_password}
        fine(self.says(client, "account/password/change", browser, **wanted))
        self.ended += [before, *(dict(one.cookies) for one in self.living if one is not browser)]
        self.password, self.new_password, self.living = self.new_password, None, [browser]

    def _sign_out(self, client: Client, browser: Browser) -> None:
        self.leaving, before = browser, dict(browser.cookies)
        fine(self.says(client, "sign-out", browser))
        self.living.remove(browser)
        self.ended.append(before)
        self.leaving = None

    def check(self, client: Client) -> None:
        """After the restart everything is as it was answered; then give up what is unsure."""
        for code in self.used[-3:]:
            again = self.says(client, "sign-in/confirm", **code)
            assert (again.status, again.code) == (401, "RU010"), "a used code works once"
        for cookies in self.ended[-3:]:
            assert self._is_in(client, Browser(self.person, cookies)) is False
        sure = [one for one in self.living if one is not self.leaving]
        if self.new_password is None:
            assert all(self._is_in(client, one) for one in sure), "what was handed out works"
        else:  # all of it happened or nothing
            changed = not self._opens(client, self.password)
            assert self._opens(client, self.new_password) is changed
            assert [self._is_in(client, one) for one in sure] == [not changed] * len(sure)
            self.password = self.new_password if changed else self.password
        assert self._opens(client, self.password)
        self._give_open_code(client)
        self.living = [one for one in self.living if self._is_in(client, one)]
        self.new_password, self.leaving = None, None

    def _give_open_code(self, client: Client) -> None:
        """Give a code again of which nobody said whether it was right: once it is, then no more."""
        if self.open_code is not None:
            browser = Browser(self.person)
            again = self.says(client, "sign-in/confirm", browser, **self.open_code)
            assert again.status == 200 or again.code == "RU010"
            if again.status == 200:
                self.living.append(browser)
            self.used.append(self.open_code)
            self.open_code = None

    def _is_in(self, client: Client, browser: Browser) -> bool:
        reply = client.request("GET", f"{APP}/session", browser)
        assert reply.status == 200 or (reply.status, reply.code) == (401, "RU010"), reply
        return reply.status == 200

    def _opens(self, client: Client, password: str) -> bool:
        assert self.person is not None
        name: dict[str, Any] = {"username": username(self.person), "password": password}
        reply = self.says(client, "sign-in", **name)
        assert reply.status == 200 or reply.code == "RU001", reply
        return reply.status == 200


@dataclass
class Joiner(Visitor):
    """Invites one after another, and joins as each of them."""

    joined: list[tuple[str, str, Browser]] = field(default_factory=list)
    """Member, token of the link, and where the member is signed in."""
    joining: tuple[str, str, dict[str, Any]] | None = None
    """Member, token and code that were given and not answered."""
    invited: list[str] = field(default_factory=list)
    """Members of whose making somebody was told."""

    def visit(self, client: Client, peek: Peek, /) -> None:
        number = next(self.shared.numbers)
        email = f"nell{number}@example.net"
        body = {
            "enum_profile_id": 4,
            "first_name": "Nell",
            "primary_email": email,
            "group_uuids": [self.shared.cast.team],
        }
        reply = client.request("POST", CREATE_MEMBER, self.shared.cast.system, json_body=body)
        uuid = str(fine(reply)["entity_user_xref_uuid"])
        self.invited.append(uuid)
        token = wait_for(lambda: peek.link_to(email), self.shared.going)
        own: dict[str, Any] = {"username": f"nell.{number}", "password": PASSWORD}
        begun = fine(self.says(client, "invitations/accept", token=token, accept_terms=True, **own))
        code = self.code_for(peek, begun["challenge"])
        browser = Browser(Person(uuid, self.shared.cast.firm, "Nell", "", email, None, 4))
        self.joining = uuid, token, {"challenge": begun["challenge"], "code": code}
        fine(self.says(client, "invitations/confirm", browser, **self.joining[2]))
        self.joined.append((uuid, token, browser))
        self.joining = None

    def check(self, client: Client) -> None:
        """After the restart whoever joined is in, once; who was joining is in or can join."""
        if self.joining is not None:
            uuid, token, right = self.joining
            person = Person(uuid, self.shared.cast.firm, "Nell", "", "", None, 4)
            browser = Browser(person)
            again = self.says(client, "invitations/confirm", browser, **right)
            assert again.status == 200 or again.code == "RU010"
            if again.status == 200:
                self.joined.append((uuid, token, browser))
            self.joining = None
        for _, token, browser in self.joined[-3:]:
            seen = client.request("GET", "/chat-service/api/chats", browser)
            assert seen.status == 200, seen
            own: dict[str, Any] = {
                "username": f"again.{next(self.shared.numbers)}",
                "password": PASSWORD,
            }
            late = self.says(client, "invitations/accept", token=token, accept_terms=True, **own)
            assert (late.status, late.code) == (401, "RU010"), "a used link leads nowhere"


@dataclass
class Importer(Visitor):
    """Imports one file after another."""

    jobs: list[tuple[str, list[str]]] = field(default_factory=list)
    """Job and identifiers of each file that was taken."""

    def visit(self, client: Client, _: Peek, /) -> None:
        self.wait_for(client, self.ask(client))

    def ask(self, client: Client) -> str:
        """Have a file imported, and give the job."""
        number = next(self.shared.numbers)
        names = [f"I-{number}-{row}" for row in range(ROWS)]
        text = "First Name,Email,Identifier\n"
        text += "".join(f"Nora,{name.lower()}@example.net,{name}\n" for name in names)
        reply = client.request(
            "POST",
            f"{ENTITY}/imports/create",
            self.shared.cast.system,
            form=form(text, kind="clients", send_invitations="true"),
        )
        job_uuid = str(fine(reply, 202)["job_uuid"])
        self.jobs.append((job_uuid, names))
        return job_uuid

    def wait_for(self, client: Client, job_uuid: str) -> None:
        """Wait until a file is done."""
        deadline = time.monotonic() + MAIL_SECONDS
        path = f"{ENTITY}/jobs?job_uuid={job_uuid}"
        while True:
            job = fine(client.request("GET", path, self.shared.cast.system))["job"]
            assert job["state"] != "failed", job
            if job["state"] == "done":
                assert job["result"] == {"created": ROWS, "existing": 0, "refused": 0}
                return
            assert time.monotonic() < deadline, job
            time.sleep(0.02)

    def check(self, client: Client) -> None:
        """After the restart every file that was taken comes to its end without being asked."""
        for job_uuid, _ in self.jobs[-3:]:
            self.wait_for(client, job_uuid)


def form(text: str, **fields: str) -> tuple[str, bytes]:
    """Give a form with a file, and its content type."""
    mark = "onrecord-form"
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{text}\r\n--{mark}--\r\n"
    )
    return f"multipart/form-data; boundary={mark}", "".join(parts).encode()


@dataclass
class Visitors:
    """Everybody at once."""

    shared: Shared
    seed: int
    signers: list[Signer] = field(default_factory=list)
    joiners: list[Joiner] = field(default_factory=list)
    importers: list[Importer] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Bring three who sign in, two who join and one who imports."""
        cast = self.shared.cast
        chances = (random.Random(f"{self.seed} {each}") for each in range(6))  # noqa: S311 - acts to be repeated
        self.signers = [
            Signer(self.shared, next(chances), person=person)
            for person in (cast.tomas, cast.ingrid, cast.olga)
        ]
        self.joiners = [Joiner(self.shared, next(chances)) for _ in range(2)]
        self.importers = [Importer(self.shared, next(chances))]

    def everybody(self) -> Iterator[Signer | Joiner | Importer]:
        """Give everybody."""
        yield from self.signers
        yield from self.joiners
        yield from self.importers

    def visit(self, seconds: float) -> None:
        """Let everybody do as they do; kill the server when each kind has come to an end once.

        And so many seconds later: others are in the middle then.
        """
        self.shared.going.set()
        threads = [threading.Thread(target=one.run) for one in self.everybody()]
        for thread in threads:
            thread.start()
        self._wait_for_one_of_each()
        time.sleep(seconds)
        self.shared.server.kill()
        self.shared.going.clear()
        for thread in threads:
            thread.join()
        assert self.shared.problems == []

    def _wait_for_one_of_each(self) -> None:
        kinds: list[Sequence[Visitor]] = [self.signers, self.joiners, self.importers]
        before = [sum(one.acknowledged for one in kind) for kind in kinds]
        deadline = time.monotonic() + 3 * MAIL_SECONDS
        for kind, count in zip(kinds, before, strict=True):
            while sum(one.acknowledged for one in kind) == count:
                assert not self.shared.problems, self.shared.problems
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def check(self) -> None:
        """Compare what the server says after its restart with what it had answered before."""
        with Client(self.shared.server) as client:
            for one in self.everybody():
                one.check(client)
