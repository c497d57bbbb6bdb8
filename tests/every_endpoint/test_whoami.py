"""whoami as a dry run: for every endpoint and key it says what the call itself is answered."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from onrecord.domain import keys, organisations
from onrecord.model import times
from onrecord.model.access import INSTALLATION_UUID, PERMISSIONS, STAFF, Kind
from onrecord.web.endpoint import OF_KEYS, OF_SYSTEM_KEYS, Endpoint
from tests.cast import ApiKey, Person, butler_of, join, make_key, set_member_state
from tests.every_endpoint.calls import ROWS, Good, acting_for, good
from tests.every_endpoint.next_door import NOBODY
from tests.every_endpoint.untouched import counts
from tests.world import CHAT, ENTITY, World, accepted

GUARDED = [row for row in ROWS if row.kinds]
OF_ACTING = {"RF004", "RF024", "RN006", "RB035"}
"""What naming a member may be refused with; whoami refuses it as well, and judges no further."""
OF_VERDICTS = {*OF_KEYS, *OF_SYSTEM_KEYS, *(row.refusal for row in PERMISSIONS.values())}


def name(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


@dataclass(frozen=True, slots=True)
class Showing:
    """What a request shows of itself: a key, whom it acts for, and headers besides."""

    what: str
    key: ApiKey
    acting: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    at_home: bool = True
    """Whether a good request of the firm is good for this key and member."""

    def ask(self, world: World, row: Endpoint) -> httpx.Response:
        """Ask whoami about a call."""
        of_chats = self.key.kind in {Kind.MASTER_USER, Kind.USER}
        path = f"{CHAT if of_chats else ENTITY}/whoami"
        return self._send(world, "GET", path, Good(params={"method": row.method, "path": row.path}))

    def call(self, world: World, row: Endpoint, request: Good) -> httpx.Response:
        """Make the call itself."""
        return self._send(world, row.method, row.path, request)

    def _send(self, world: World, method: str, path: str, request: Good) -> httpx.Response:
        how = request.how
        return world.run(
            world.request(
                method, path, key=self.key, on_behalf_of=self.acting, headers=self.headers, **how
            )
        )


def told(response: httpx.Response) -> tuple[int, str | None]:
    """Give the status and the code of an answer."""
    code = None if response.is_success else response.json()["error_code"]
    return response.status_code, code


def compare(world: World, row: Endpoint, showing: Showing, number: int) -> bool:
    """Ask and call, and hold the one against the other; whether the call was made."""
    request = good(world, row, number)
    before, denied = counts(world), dict(world.app.denied)
    asked = showing.ask(world, row)
    assert counts(world) == before, showing
    if asked.status_code != 200:
        # The key or the member named is refused everywhere; only a call that looks at neither
        # the kind's member nor the kind itself may see it otherwise.
        looks = row.acting != "none" and showing.key.kind in row.kinds
        if looks or told(asked)[1] not in OF_ACTING:
            assert told(showing.call(world, row, request)) == told(asked), showing
        return False
    assert world.app.denied == denied, "asking counted as a denied use"
    verdict = accepted(asked)["verdict"]
    real = told(showing.call(world, row, request))
    if not verdict["allowed"]:
        assert (verdict["status"], verdict["error_code"]) == real, showing
        assert counts(world) == before, showing
        return False
    assert (verdict["status"], verdict["error_code"]) == (row.status, None)
    if showing.at_home:
        assert real == (row.status, None), showing
    else:  # the verdict is on who calls; what is called for may be next door
        assert real[1] not in OF_VERDICTS, (showing, real)
    return real == (200, None)


def of_firm(world: World, row: Endpoint) -> Iterator[Showing]:
    """Every key of the firm, with whom it usually acts for."""
    cast = world.cast
    for (kind, permission), key in cast.alone.items():
        acting = acting_for(row, cast, kind)
        yield Showing(f"{kind} with {permission}", key, acting.uuid if acting else None)
    for kind, key in cast.keys_of_firm().items():
        acting = acting_for(row, cast, kind)
        yield Showing(f"{kind} with everything", key, acting.uuid if acting else None)
        yield Showing(f"{kind} for nobody", key, at_home=row.acting == "optional")
        yield Showing(
            f"{kind} with an organisation named",
            replace(key, entity_uuid=cast.firm),
            acting.uuid if acting else None,
        )


def of_strangers(world: World, _: Endpoint) -> Iterator[Showing]:
    """Keys next door, and super keys that name another organisation, none or what is none."""
    cast = world.cast
    for key, own in (
        (cast.other_system, None),
        (cast.other_master, cast.karl),
        (cast.other_user, None),
    ):
        yield Showing("next door's", key, own.uuid if own else None, at_home=False)
        yield Showing("next door's for one of ours", key, cast.tomas.uuid, at_home=False)
    for entity in (None, cast.other, INSTALLATION_UUID, NOBODY, "no uuid", ""):
        key = replace(cast.superkey, entity_uuid=entity)
        yield Showing(f"super for {entity!r}", key, at_home=False)


def of_the_stopped(world: World, row: Endpoint) -> Iterator[Showing]:
    """Keys that were stopped, have expired, are used from elsewhere or with a wrong secret."""
    cast = world.cast
    for kind, key in cast.keys_of_firm().items():
        acting = acting_for(row, cast, kind)
        who = acting.uuid if acting else None
        yield Showing("wrong secret", replace(key, secret="wrong"), who)
        yield Showing("elsewhere", new_key(world, kind, cidr_blocks=["192.0.2.0/24"]), who)
        expired = new_key(world, kind, expires_at=times.now() + times.SECOND)
        world.change(cast.firm, "UPDATE api_key SET expires_at = 1 WHERE uuid = $1", expired.uuid)
        yield Showing("expired", expired, who)
        stopped = new_key(world, kind)
        entity = None if kind is Kind.SUPER else cast.firm
        world.work(entity, lambda work, key=stopped: keys.deactivate(work, key.api_key))  # type: ignore[misc]  # a default binds the key of this turn
        yield Showing("stopped", stopped, who)


def new_key(world: World, kind: Kind, **more: Any) -> ApiKey:
    cast = world.cast
    if kind is Kind.USER:
        more["member_uuid"] = cast.tomas.uuid
    if kind is Kind.SUPER:
        more = {"cidr_blocks": ["127.0.0.0/8"], "for_entity": cast.firm, **more}
    entity = None if kind is Kind.SUPER else cast.firm
    return world.run(make_key(world.app, entity, kind, **more))


def of_members(world: World, _: Endpoint) -> Iterator[Showing]:
    """The keys of chats, for everybody whom one could name."""
    cast = world.cast
    suspended = newcomer(world, "Sven", "suspended")
    inactive = newcomer(world, "Ina", "inactive")
    named = [
        *(person.uuid for person in (*cast.people, cast.petra, cast.karl, suspended, inactive)),
        butler_of(world, cast.firm),
        butler_of(world, cast.other),
        cast.tomas.uuid.upper(),
        NOBODY,
        "no uuid",
    ]
    for key in (cast.master, cast.user):
        for member in named:
            yield Showing(f"{key.kind} for {member}", key, member, at_home=False)
    for in_query in (cast.tomas.uuid, cast.ingrid.uuid, NOBODY):
        yield InQuery("named twice", cast.master, cast.tomas.uuid, query=in_query, at_home=False)
        yield InQuery("named in the query", cast.master, query=in_query, at_home=False)


@dataclass(frozen=True, slots=True)
class InQuery(Showing):
    """The member is named in the query, too or alone."""

    query: str = ""

    def _send(self, world: World, method: str, path: str, request: Good) -> httpx.Response:
        named = replace(request, params={**request.params, "on-behalf-of": self.query})
        return Showing._send(self, world, method, path, named)


def newcomer(world: World, first_name: str, state: str) -> Person:
    """Make a member of staff in a state."""
    person = world.run(join(world.app, world.cast.firm, STAFF, first_name, "Newcome"))
    set_member_state(world, person, state)
    return person


@pytest.mark.parametrize("row", GUARDED, ids=name)
def test_whoami_says_what_the_call_is_answered(sqlite_world: World, row: Endpoint) -> None:
    number = 0
    for showings in (of_firm, of_strangers, of_the_stopped, of_members):
        for showing in showings(sqlite_world, row):
            number += compare(sqlite_world, row, showing, number)


def freeze(world: World) -> None:
    world.work(world.cast.firm, lambda work: organisations.set_state(work, "frozen"))


def deactivate(world: World) -> None:
    world.work(world.cast.firm, lambda work: organisations.set_state(work, "inactive"))


def switch_user_keys_off(world: World) -> None:
    world.work(
        world.cast.firm,
        lambda work: organisations.set_setting(work, "allow_user_api_keys", value=False),
    )


def suspend_the_owner(world: World) -> None:
    set_member_state(world, world.cast.tomas, "suspended")


@pytest.mark.parametrize("change", [freeze, deactivate, switch_user_keys_off, suspend_the_owner])
def test_whoami_knows_the_states_that_hold_everywhere(sqlite_world: World, change: Any) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    requests = [(row, good(world, row, 1)) for row in GUARDED]
    change(world)
    before = counts(world)
    for row, request in requests:
        for kind, key in cast.keys_of_firm().items():
            acting = acting_for(row, cast, kind)
            showing = Showing(f"{kind} {row.path}", key, acting.uuid if acting else None)
            asked = showing.ask(world, row)
            assert counts(world) == before
            if asked.status_code == 200:
                verdict = accepted(asked)["verdict"]
                said = verdict["status"], verdict["error_code"]
            else:
                said = told(asked)
                if said[1] in OF_ACTING and kind not in row.kinds:
                    continue
            if said[0] != row.status or row.method == "GET":
                assert told(showing.call(world, row, request)) == said, showing
                if said[0] == 200 and row.writes:  # what is taken out is on record
                    before = counts(world)
                assert counts(world) == before, showing


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", f"{CHAT}/chats", 405), ("PUT", f"{CHAT}/chats", 405)],
)
def test_whoami_knows_what_is_not_there(
    sqlite_world: World, method: str, path: str, status: int
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    params = {"method": method, "path": path}
    verdict = accepted(world.get(f"{CHAT}/whoami", key=cast.master, params=params))["verdict"]
    assert (verdict["status"], verdict["error_code"]) == (status, "RN005")
    assert told(world.run(world.request(method, path, key=cast.master))) == (status, "RN005")
