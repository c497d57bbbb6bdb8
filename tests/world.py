"""A synchronous face over a running App and its Server, as a test sees the world."""

import asyncio
import json as jsons
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from onrecord import app as composition
from onrecord.app import App
from onrecord.model.errors import Refusal
from onrecord.model.record import TYPES
from onrecord.settings import Settings
from onrecord.store import record as ledger
from onrecord.store.access import entity_of
from onrecord.store.db import Session
from onrecord.store.work import Work
from onrecord.web.rows import ROWS
from onrecord.web.server import Server
from tests.cast import Browser, Cast, Person, SdkToken, Shown, embed, sign_in, uuid_of

# Before each request httpx asks for this module, which is not installed: looking for it in every
# folder of the path took a tenth of the time of the tests. This says at once that it is not there.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]  # None is how one says so

T = TypeVar("T")
Member = str | Person
ENTITY = "/entity-service/sys-api"
CHAT = "/chat-service/api"
HOME = "127.0.0.1"


class World:
    """One installation in the test's hands: requests in, works on the side, a restart."""

    def __init__(
        self, settings: Settings, cast: Cast | None = None, runner: asyncio.Runner | None = None
    ) -> None:
        """Start the App; with another world's runner both live on one event loop."""
        self.settings = settings
        # Browsers move on, each in its own world.
        self._cast = cast and replace(
            cast,
            session=replace(cast.session, cookies=dict(cast.session.cookies)),
            sdk=replace(cast.sdk),
        )
        self._own_runner = runner is None
        self.runner = runner or asyncio.Runner()
        self.prepared: dict[str, list[str]] = {}
        """Uuids of what was made beforehand for many calls, whatever these make of it."""
        self.app: App
        self.server: Server
        self._running = False
        self._clients: dict[str | None, httpx.AsyncClient] = {}
        try:
            self.start()
        except BaseException:
            if self._own_runner:
                self.runner.close()
            raise

    @property
    def cast(self) -> Cast:
        """The people and keys of a furnished world."""
        assert self._cast is not None
        return self._cast

    # -- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the App and a Server before it."""
        self.app = self.run(composition.start(self.settings))
        self.server = Server(self.app, ROWS)
        self._running = True

    def stop(self) -> None:
        """Stop the App in good order."""
        if self._running:
            self._running = False
            for client in self._clients.values():
                self.run(client.aclose())
            self._clients.clear()
            self.run(self.app.stop())

    def restart(self, **settings: Any) -> None:
        """Stop and start again, with some settings changed."""
        self.stop()
        self.settings = replace(self.settings, **settings)
        self.start()

    def beside(self, **settings: Any) -> "World":
        """Give a second App on the same data and the same event loop; close it before this one."""
        return World(replace(self.settings, **settings), self._cast, self.runner)

    def close(self) -> None:
        """Stop for good."""
        try:
            self.stop()
        finally:
            if self._own_runner:
                self.runner.close()

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on this world's event loop."""
        # Not `Runner.run`: each time it would put in a handler for interrupts, and describe the
        # whole task while doing so, which costs more than most of what tests run.
        return self.runner.get_loop().run_until_complete(act)

    # -- requests --------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        key: Shown | None = None,
        on_behalf_of: Member | None = None,
        json: Any = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]] | None = None,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        client: str | None = HOME,
    ) -> httpx.Response:
        """Make one request; `client` is the peer's address."""
        named = headers.items() if isinstance(headers, Mapping) else headers or ()
        all_headers = [
            (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
            for name, value in [
                *(key.headers.items() if key else ()),
                *([("on-behalf-of", uuid_of(on_behalf_of))] if on_behalf_of else ()),
                *named,
            ]
        ]
        if json is not None:
            content = jsons.dumps(json).encode()
            if not any(name.lower() == b"content-type" for name, _ in all_headers):
                all_headers.append((b"content-type", b"application/json"))
        response = await self._client(client).request(
            method,
            path,
            content=content,
            headers=all_headers,
            params=params,
            data=data,
            files=files,
        )
        self._client(client).cookies.clear()  # browsers are the tests' own
        if isinstance(key, Browser):
            key.follow(response)
        self._check_declared(response)
        return response

    def _check_declared(self, response: httpx.Response) -> None:
        """Hold every refusal that any test meets against the codes of its row."""
        if response.headers["content-type"] != "application/problem+json" or not response.content:
            return  # a success, or a HEAD without its body
        asked = response.request
        code = response.json()["error_code"]
        try:
            codes = self.server.routes.find(asked.method, asked.url.path).codes
        except Refusal as refusal:
            codes = (refusal.code,)
        assert code in codes, f"{asked.method} {asked.url.path} does not declare {code}"

    def _client(self, address: str | None) -> httpx.AsyncClient:
        if address not in self._clients:
            peer = (address, 40_000) if address is not None else None
            transport = httpx.ASGITransport(self.server, client=peer)  # type: ignore[arg-type]  # its type forgets that there may be no peer
            self._clients[address] = httpx.AsyncClient(
                transport=transport, base_url="http://onrecord", trust_env=False
            )
        return self._clients[address]

    def post(self, path: str, **how: Any) -> httpx.Response:
        """POST; see `request`."""
        return self.run(self.request("POST", path, **how))

    def get(self, path: str, **how: Any) -> httpx.Response:
        """GET; see `request`."""
        return self.run(self.request("GET", path, **how))

    def together(self, *requests: Coroutine[Any, Any, T]) -> list[T]:
        """Make requests at the same time."""

        async def all_of_them() -> list[T]:
            return list(await asyncio.gather(*requests))

        return self.run(all_of_them())

    # -- persons ---------------------------------------------------------------------------------

    def session(self, person: Person) -> Browser:
        """Give a browser in which somebody is signed in and has chosen the membership."""
        return self.run(sign_in(self.app, person))

    def embedded(self, person: Person) -> SdkToken:
        """Make a token of the embedded app for somebody."""
        return self.run(embed(self.app, person))

    def mailed(self, to: str, name: str = "code") -> str:
        """Give a value of the mail or text that was last put in line for somebody."""
        rows = self.rows("SELECT payload FROM job ORDER BY id DESC")
        payloads = [jsons.loads(row[0]) for row in rows if row[0]]
        found = [one for one in payloads if one.get("to") == to and name in one["values"]]
        return str(found[0]["values"][name])

    # -- beside the front door -------------------------------------------------------------------

    def work(self, entity: str | None, act: Callable[[Work], Awaitable[T]]) -> T:
        """Run a work as the operator in an organisation (None: the installation)."""
        return self.run(composition.acting(self.app, entity, act))

    def ask(self, act: Callable[[Session], Awaitable[T]]) -> T:
        """Ask the tables."""
        return self.run(self.app.store.ask(act))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Give the rows of a statement; `$1`, `$2` … stand for values."""

        async def act(session: Session) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await session.all(sql, *values)]

        return self.ask(act)

    def change(self, entity: str, sql: str, *values: Any) -> None:
        """Change the tables as an endpoint that does not exist yet would: with an entry.

        The entry is of a type that changes access, so every verdict is reached again.
        """

        async def act(work: Work) -> None:
            await work.db.run(sql, *values)
            work.record("setting.changed", data={"key": "banner"}, parts={"setting": "changed"})

        self.work(entity, act)

    def entries(self, entity: str, after: int = 0) -> list[dict[str, Any]]:
        """Give the record of an organisation after a position."""

        async def act(session: Session) -> list[dict[str, Any]]:
            found = await entity_of(session, entity)
            assert found is not None
            leaves = await ledger.entries_after(session, found.id, after, 1_000_000)
            return [jsons.loads(bytes(row[1])) for row in leaves]

        entries = self.ask(act)
        assert all(entry["type"] in TYPES for entry in entries)
        return entries

    def head(self, entity: str) -> int:
        """Give the position of the organisation's last entry."""
        return int(
            self.rows(
                "SELECT h.position FROM head h JOIN entity e ON e.id = h.entity_id"
                " WHERE e.uuid = $1",
                entity,
            )[0][0]
        )


def refused(response: httpx.Response, code: str, status: int | None = None) -> dict[str, Any]:
    """Assert that a response is this refusal in full dress, and give its body."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body: dict[str, Any] = response.json()
    assert body["error_code"] == code, body
    assert body["status"] == response.status_code
    assert body["instance"] == response.headers["x-request-id"]
    assert body["type"].endswith(f"/docs/errors#{code}")
    assert body["title"]
    assert body["detail"]
    if status is not None:
        assert response.status_code == status
    return body


def accepted(response: httpx.Response) -> dict[str, Any]:
    """Assert that a response is a success, and give its body."""
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body
