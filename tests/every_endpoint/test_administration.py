"""The administrators' calls: with every credential, role and organisation.

Types, handlers and rules are those of the rows they are twins of, and are tried there with every
bad input. So here one world sees all of them, and one of each shape meets bad input once more.
"""

from typing import Any

import httpx
import msgspec
import pytest

from onrecord.domain import organisations
from onrecord.domain.sessions import token_hash
from onrecord.model.access import INSTALLATION_UUID, SYSTEM_ADMIN, USER_ADMIN, Kind
from onrecord.web.administration import ALL_STAFF, EITHER, KEYS, ROLES, SYSTEM, WITHOUT, roles_for
from onrecord.web.endpoint import Endpoint, Nothing
from tests.cast import Browser, Person, join, set_member_state
from tests.every_endpoint.calls import ROWS, TWINS, good, make
from tests.every_endpoint.next_door import furnish_next_door
from tests.every_endpoint.test_bodies import BODIES, STRANGE, documented
from tests.every_endpoint.untouched import counts, digests
from tests.world import World, refused

SHAPES = {(row.method, row.mode, row.consumes, row.takes.__mro__[1]): row for row in TWINS}
"""One call of each shape: how it is run, and what kind of thing it takes."""


def user_admin(world: World) -> Person:
    """Make a user administrator of the firm."""
    return world.run(join(world.app, world.cast.firm, USER_ADMIN, "Ursula", "Admin"))


def name(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


def test_every_call_of_the_system_api_has_a_twin_or_a_reason() -> None:
    behind = [row.path.removeprefix(KEYS) for row in ROWS if row.path.startswith(KEYS)]
    assert behind
    twins = {row.twin_of.removeprefix(KEYS) for row in TWINS}
    alone = {path for path in behind if path not in twins}
    assert [path for path in alone if path.split("/")[0] not in WITHOUT] == [], "say who may or why"
    assert [
        one for one in ROLES if not any(f"{path}/".startswith(f"{one}/") for path in twins)
    ] == []
    assert all(row.roles == roles_for(original(row)) for row in TWINS)
    assert {row.roles for row in TWINS} == {ALL_STAFF, EITHER, SYSTEM}


def original(twin: Endpoint) -> Endpoint:
    (row,) = [row for row in ROWS if (row.method, row.path) == (twin.method, twin.twin_of)]
    return row


def test_a_twin_takes_gives_and_does_what_its_original_does() -> None:
    same = ["method", "takes", "gives", "consumes", "files", "file_limit", "status", "produces"]
    same += ["writes", "writes_nothing", "secrets", "handler", "mode", "many", "body_limit"]
    for row in TWINS:
        assert row.kinds == {Kind.SESSION}
        assert row.acting == "required"
        for each in same:
            assert getattr(row, each) == getattr(original(row), each), (name(row), each)


# -- who may ------------------------------------------------------------------------------------


def test_whoever_is_no_administrator_is_refused_and_changes_nothing(
    sqlite_world: World,
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    suspended = user_admin(world)
    browsers = {person.uuid: world.session(person) for person in (*cast.people, suspended)}
    gone = world.session(cast.miriam)
    end(world, gone)
    set_member_state(world, suspended, "suspended")
    nobody, stranger = world.session(cast.miriam), world.session(cast.nadia)
    nobody.person, stranger.person = None, cast.miriam
    forged = world.session(cast.miriam)
    forged.csrf_token = "somebody else's"
    others = [person for person in cast.people if person is not cast.miriam]
    for row in TWINS:
        # What is left to all staff is refused by its rules: tests/web/test_own_keys.py.
        people = {person.uuid: "RF006" for person in others if person.profile not in row.roles}
        good(world, row)
        before = counts(world)
        refused(make(world, row, None), "RU003", 401)
        for kind, key in cast.shown_at_firm().items():
            if kind is not Kind.SESSION:
                refused(make(world, row, key), "RF008", 403)
        for uuid, code in {**people, suspended.uuid: "RF024"}.items():
            refused(make(world, row, browsers[uuid]), code, 403)
        refused(make(world, row, gone), "RU010", 401)
        refused(make(world, row, nobody), "RF004", 403)
        refused(make(world, row, stranger), "RN006", 404)
        if row.method == "POST":
            refused(make(world, row, forged), "RU003", 401)
        assert counts(world) == before, name(row)


def end(world: World, browser: Browser) -> None:
    sql = "UPDATE session SET ended_at = 1 WHERE token = $1"
    world.change(INSTALLATION_UUID, sql, token_hash(browser.token or ""))


def test_a_system_administrator_does_by_session_what_a_key_does(world: World) -> None:
    cast = world.cast
    browser = world.session(cast.miriam)
    for number, row in enumerate(TWINS):  # each request is another one
        good(world, row, number)
        before = world.head(cast.firm)
        response = make(world, row, browser, number=number)
        fits(row, response)
        written = world.entries(cast.firm, before)
        assert {entry["type"] for entry in written} <= set(row.writes), name(row)
        assert bool(written) == bool(row.writes), name(row)
        for entry in written:
            assert entry["actor"]["kind"] == "session"
            assert entry["actor"]["entity_user_xref_uuid"] == cast.miriam.uuid


def fits(row: Endpoint, response: httpx.Response) -> None:
    """A success, of one of the types declared."""
    assert response.status_code == row.status, (name(row), response.text)
    assert response.headers["content-type"].startswith(row.produces)
    for shape in row.answers:
        try:
            msgspec.json.decode(response.content, type=shape)
        except msgspec.ValidationError:
            continue
        return
    assert not row.answers, (name(row), response.text)


LEVELS = "/app-service/api/entity-memberships/profile/update"
"""Its good request also grants a reviewer's level, which is for system administrators."""


def test_a_user_administrator_looks_after_people_and_nothing_else(world: World) -> None:
    browser = world.session(user_admin(world))
    for number, row in enumerate(row for row in TWINS if row.roles != ALL_STAFF):
        good(world, row, number)
        before = counts(world)
        response = make(world, row, browser, number=number)
        if row.roles == EITHER and row.path != LEVELS:
            fits(row, response)
        else:
            detail = refused(response, "RF006", 403)["detail"]
            assert "system administrator" in detail.lower()
            assert counts(world) == before, name(row)


def test_an_administrator_next_door_reaches_nothing_here(
    sqlite_world: World,
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    browser = world.session(cast.nadia)
    for number, row in enumerate(TWINS):
        make(world, row, None, number=number)  # whatever a good request needs is there
    here = world.entries(cast.firm)
    for number, row in enumerate(TWINS):
        response = make(world, row, browser, number=number)
        if response.status_code == row.status:
            for secret in (cast.firm, cast.tomas.uuid, cast.priya.uuid, cast.team):
                assert secret not in response.text, name(row)
        else:
            codes = {"RN002", "RN006", "RN008"}
            assert response.json()["error_code"] in codes, (name(row), response.text)
    assert world.entries(cast.firm) == here


def test_an_administrator_sees_nothing_of_next_door(sqlite_world: World) -> None:
    world = sqlite_world
    next_door = furnish_next_door(world)
    browser = world.session(world.cast.miriam)
    for row in TWINS:
        next_door.check(make(world, row, browser).text)


@pytest.mark.parametrize(("state", "code"), [("frozen", "RN902"), ("inactive", "RN900")])
def test_in_a_frozen_organisation_system_administrators_read_and_nobody_else(
    sqlite_world: World, state: str, code: str
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    browsers = {1: world.session(cast.miriam), 2: world.session(user_admin(world))}
    for row in TWINS:
        good(world, row)
    world.work(cast.firm, lambda work: organisations.set_state(work, state))
    for row in TWINS:
        refused(make(world, row, browsers[USER_ADMIN]), code, 404)
        response = make(world, row, browsers[SYSTEM_ADMIN])
        if state == "frozen" and row.method == "GET":
            fits(row, response)
        else:
            refused(response, code, 404)


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("row", SHAPES.values(), ids=name)
def test_one_call_of_each_shape_refuses_bad_input_in_words(sqlite_world: World, row: Any) -> None:
    world = sqlite_world
    browser = world.session(world.cast.miriam)
    good(world, row)
    before = digests(world)
    if row.method == "POST":
        kind = {"content-type": row.consumes}
        for title, content in BODIES.items():
            if title in {"empty", "many names"} and row.takes is Nothing:
                continue  # neither says anything, and the call is made
            bare: dict[str, Any] = {"json": None, "data": None, "files": None, "headers": kind}
            documented(row, make(world, row, browser, content=content, **bare), success=False)
        assert digests(world) == before
    number = 0
    for field in row.takes.__struct_fields__:
        for value in STRANGE:
            request = good(world, row, number)
            where = "json" if request.json is not None else "params"
            if request.files is not None or (where == "params" and not is_text(value)):
                continue
            changed = {**request.how[where], field: value}
            changes: dict[str, Any] = {where: changed}
            response = make(world, row, browser, number=number, **changes)
            documented(row, response)
            number += response.status_code == row.status


def is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 5000 and "\ud800" not in value


def test_a_key_for_idempotency_is_the_administrators_own(world: World) -> None:
    cast = world.cast
    mine, theirs = world.session(cast.miriam), world.session(user_admin(world))
    body = {"name": "Once"}
    headers = {"Idempotency-Key": "once"}
    path = "/app-service/api/groups/create"
    first, again, other = (
        world.post(path, key=browser, json=body, headers=headers)
        for browser in (mine, mine, theirs)
    )
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"
    assert other.json()["group_uuid"] != first.json()["group_uuid"]
    by_key = world.post(f"{KEYS}groups/create", key=cast.system, json=body, headers=headers)
    assert by_key.json()["group_uuid"] != first.json()["group_uuid"]
