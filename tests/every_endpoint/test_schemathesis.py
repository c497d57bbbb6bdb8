"""The server against its own specification, as somebody else reads it: schemathesis.

Values are generated from the served specification, good ones and bad ones, then mixed with ids
that exist, so that calls get past their first lookup. Every answer must be declared.
"""

import json
import random
from dataclasses import dataclass, field
from functools import cache
from itertools import count, product
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from onrecord.model.access import Kind
from onrecord.web.endpoint import Endpoint, Nothing
from tests.every_endpoint.calls import ROWS, Good, good
from tests.every_endpoint.next_door import NOBODY, NextDoor, furnish_next_door
from tests.faults.processes import LONG
from tests.world import World, accepted

CASES = 20_000 if LONG else 1_000
ROUNDS = 4 if LONG else 1
"""Each round begins with a fresh firm: calls that destroy leave less and less to meet."""
KINDS = (Kind.SYSTEM, Kind.SUPER, Kind.MASTER_USER, Kind.USER, Kind.SESSION, Kind.SDK)
SHARE = CASES // (ROUNDS * len(KINDS) * 2) + 1
"""Cases of one test: each round and kind is played on both engines."""
AT_ONCE = 3
"""Cases in a row for one endpoint. With eight parts for each of the kinds, which play every call
both with good values and with bad ones, this alone comes to more than 20,000."""

AnyCase = Case[Any]
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ROW_OF = {f"{row.method} {row.path}": row for row in ROWS}


@dataclass(slots=True)
class Playing:
    """A firm, the credential it is played with, and the ids that exist."""

    world: World
    kind: Kind
    next_door: NextDoor
    ids: dict[str, list[str]]
    request: Good = field(default_factory=Good)
    """A good request of the endpoint whose turn it is."""
    made: int = 0

    def members(self) -> st.SearchStrategy[str | None]:
        """Draw whom to act for: mostly somebody who may."""
        cast = self.world.cast
        if self.kind is Kind.USER:
            return st.sampled_from([*[None] * 6, cast.tomas.uuid, cast.priya.uuid])
        if self.kind is Kind.MASTER_USER:
            people = [cast.tomas] * 9 + [cast.ingrid, cast.miriam, cast.priya, cast.petra]
            return st.sampled_from([*(person.uuid for person in people), NOBODY, None])
        return st.none()


def known_ids(world: World, next_door: NextDoor) -> dict[str, list[str]]:
    """Give ids by the word in a field's name; a few lead next door or nowhere."""
    asked = {"group": "client_group", "chat": "chat", "": "member"}
    return {
        word: [
            *(row[0] for row in world.rows(f"SELECT uuid FROM {table} ORDER BY id LIMIT 20")),  # noqa: S608 - the names are those of our own tables
            next_door.ids.get(word or "staff", NOBODY),
            NOBODY,
        ]
        for word, table in asked.items()
    }


def values_for(playing: Playing, name: str) -> st.SearchStrategy[Any] | None:
    """Draw values that mean something in a field; None when any value is as good as another."""
    if name.endswith(("seq", "size", "position", "after")):
        return st.integers(0, 6)
    if "identifier" in name:
        one = st.sampled_from(["ADV-1", "ADV-2", "CL-1", "CL-3", "NEXT-DOOR-7"])
    elif "uuid" in name:
        about_members = "entity_user" in name
        word = next(w for w in playing.ids if not w or (w in name and not about_members))
        one = st.sampled_from(playing.ids[word])
    else:
        return None
    return st.lists(one, max_size=3) if name.endswith("s") else one


def mixed(draw: st.DrawFn, playing: Playing, row: Endpoint, made: dict[str, Any]) -> dict[str, Any]:
    """Give a good request in which a few fields are as generated, or name what exists."""
    good = playing.request
    files = {name: content for name, (_, content, _) in (good.files or {}).items()}
    result = {**(good.json or {}), **(good.data or {}), **files, **good.params}
    names = [*row.takes.__struct_encode_fields__, *made]
    for name in draw(st.lists(st.sampled_from(names), max_size=2)):
        values = values_for(playing, name)
        if values is not None and (name not in made or draw(st.booleans())):
            result[name] = draw(values)
        elif name in made:
            result[name] = made[name]
    if "wait" in result:
        result["wait"] = draw(st.sampled_from([0, 0.01, -1, "long"]))
    return result


@st.composite
def cases(
    draw: st.DrawFn, playing: Playing, row: Endpoint, made: st.SearchStrategy[AnyCase]
) -> tuple[AnyCase, str | None]:
    """Draw a case, a third of them as the specification alone suggests, and whom to act for."""
    case = draw(made)
    alone = draw(st.integers(0, 2)) == 0 or not row.takes.__struct_encode_fields__
    if isinstance(case.body, dict) and not alone:
        case.body = mixed(draw, playing, row, case.body)
    if row.method == "GET" and ("wait" in case.query or not alone):
        case.query = mixed(draw, playing, row, case.query)
    return case, draw(playing.members())


def send(playing: Playing, case: AnyCase, member: str | None) -> httpx.Response:
    """Send a case with the credential, as it would go over the wire."""
    made = case.as_transport_kwargs(base_url="http://onrecord")
    ours = {"on-behalf-of", "on-behalf-of-entity-uuid", "x-entity-user-xref-uuid", "cookie"}
    headers = {name: text for name, text in made["headers"].items() if name.lower() not in ours}
    content = made.get("data")
    if made.get("files") is not None or isinstance(content, dict):  # a form: requests writes it
        prepared = requests.Request(
            "POST", made["url"], data=content, files=made.get("files")
        ).prepare()
        content = prepared.body if isinstance(prepared.body, (bytes, str)) else b""
        headers |= {"content-type": prepared.headers.get("content-type", "")}
    if "json" in made:
        content = json.dumps(made["json"])
        headers["content-type"] = "application/json"
    return playing.world.run(
        playing.world.request(
            made["method"],
            case.path,
            key=playing.world.cast.shown_at_firm()[playing.kind],
            on_behalf_of=member,
            headers=headers,
            content=content.encode() if isinstance(content, str) else content,
            params=made.get("params") or None,
        )
    )


def play(
    playing: Playing, row: Endpoint, made: st.SearchStrategy[AnyCase], number: int
) -> list[str]:
    """Make some cases of one endpoint; what was wrong with their answers."""
    playing.request = good(playing.world, row, playing.made % 100)
    wrong: list[str] = []

    @seed(number)
    @settings(
        max_examples=AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(playing, row, made))
    def run(drawn: tuple[AnyCase, str | None]) -> None:
        # Nothing is raised in here: the firm goes on, so the same case would not fail again.
        case, member = drawn
        playing.made += 1
        try:
            response = send(playing, case, member)
            asked = str(response.request.url) + response.request.content.decode("utf-8", "replace")
            playing.next_door.check(response.text, asked)
            case.validate_response(response, checks=CHECKS)
        except (AssertionError, FailureGroup) as failure:
            wrong.append(
                f"{row.method} {row.path} {case.query!r} {case.body!r} {member}: {failure!r}"
            )

    try:
        run()
    except Unsatisfiable:
        assert row.takes is Nothing, "only what takes nothing can be given nothing bad"
    return wrong


@cache
def strategies(specification: str) -> list[tuple[str, st.SearchStrategy[AnyCase]]]:
    """Give the calls of a specification, each with what makes good cases of it, then bad ones.

    It is the same for every test, and what hypothesis has worked out about a strategy stays.
    """
    schema = schemathesis.openapi.from_dict(json.loads(specification))
    schema.config.generation.update(with_security_parameters=False)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == len(list(schema.get_all_operations())), "some cannot be read"
    return [
        (operation.label, operation.as_strategy(mode))
        for operation, mode in product(operations, GenerationMode)
    ]


@pytest.mark.long
@pytest.mark.timeout(1800 if LONG else 120)
@pytest.mark.parametrize("round_number", range(ROUNDS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_is_one_that_the_specification_declares(
    world: World, kind: Kind, round_number: int
) -> None:
    turns = [
        (ROW_OF[label], strategy)
        for label, strategy in strategies(json.dumps(accepted(world.get("/openapi.json"))))
        if label in ROW_OF and (kind in ROW_OF[label].kinds or not ROW_OF[label].kinds)
    ]
    next_door = furnish_next_door(world)
    playing = Playing(world, kind, next_door, known_ids(world, next_door))
    on_postgresql = bool(world.settings.database_url)
    if not LONG:  # of two kinds with the same calls, one is played with good values, one with bad
        turns = turns[(KINDS.index(kind) + on_postgresql) % 2 :: 2]
    chance = random.Random(f"{kind} {round_number} {on_postgresql}")  # noqa: S311 - a game, no secret
    for lap in count():
        chance.shuffle(turns)
        for row, made in turns:
            if lap and playing.made >= SHARE:  # everything was played once at least
                return
            assert play(playing, row, made, chance.randrange(2**32)) == []
