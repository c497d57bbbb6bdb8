"""Every acting endpoint, on behalf of everybody: each role's outcome, and nothing of next door."""

import pytest

from onrecord.model.access import Kind
from onrecord.web.endpoint import OF_KEYS, OF_SYSTEM_KEYS, Endpoint
from tests.cast import ApiKey, Cast, Person, butler_of, make_key
from tests.every_endpoint.calls import ROWS, make
from tests.every_endpoint.next_door import NOBODY, NextDoor, furnish_next_door
from tests.every_endpoint.test_whoami import newcomer
from tests.every_endpoint.untouched import counts
from tests.world import World, refused

ACTING = [row for row in ROWS if row.acting != "none" and Kind.MASTER_USER in row.kinds]
OWNED = [row for row in ROWS if Kind.USER in row.kinds]


def name(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


def active(cast: Cast) -> dict[str, Person]:
    """Give one person of each role that may act."""
    return {
        "administrator": cast.miriam,
        "adviser of the team, as ever": cast.tomas,
        "adviser of the team": cast.ingrid,
        "adviser outside the team": cast.olga,
        "client": cast.priya,
        "partner": cast.george,
    }


def who_may_not(world: World, next_door: NextDoor) -> dict[str, tuple[str, str]]:
    """Give those nobody can act for, and the code that says so."""
    cast = world.cast
    return {
        "pending": (cast.petra.uuid, "RF024"),
        "suspended": (newcomer(world, "Sven", "suspended").uuid, "RF024"),
        "inactive": (newcomer(world, "Ina", "inactive").uuid, "RF024"),
        "Butler": (butler_of(world, cast.firm), "RB035"),
        "adviser next door": (next_door.ids["staff"], "RN006"),
        "client next door": (next_door.ids["client"], "RN006"),
        "administrator next door": (next_door.ids["administrator"], "RN006"),
        "Butler next door": (next_door.ids["butler"], "RN006"),
        "nobody": (NOBODY, "RN006"),
        "no uuid": ("ADV-1", "RF004"),
    }


@pytest.mark.parametrize("row", ACTING, ids=name)
def test_each_role_is_answered_as_declared(world: World, row: Endpoint) -> None:
    next_door = furnish_next_door(world)
    may_not = who_may_not(world, next_door)
    make(world, row, None)  # whatever a good request needs is there
    before = counts(world)
    for member, code in may_not.values():
        response = make(world, row, world.cast.master, acting=member)
        refused(response, code)
        next_door.check(response.text.replace(member, ""))
    assert counts(world) == before
    done = 0
    for role, person in active(world.cast).items():
        before = counts(world)
        response = make(world, row, world.cast.master, number=done, acting=person)
        next_door.check(response.text)
        if response.status_code == row.status:
            done += 1
        else:
            # Whoever is active was let in: what is refused now is refused by a rule of the call.
            code = response.json()["error_code"]
            assert code in row.codes, (role, response.text)
            assert code not in {*OF_KEYS, *OF_SYSTEM_KEYS}, (role, response.text)
            assert counts(world) == before, role
    assert done, "the good request is good for nobody"


@pytest.mark.parametrize("row", OWNED, ids=name)
def test_a_user_key_acts_for_its_owner_alone(sqlite_world: World, row: Endpoint) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    next_door = furnish_next_door(world)
    make(world, row, None)
    before = counts(world)
    for person in (*cast.people, cast.petra, cast.karl):
        if person is not cast.tomas and row.acting != "none":
            refused(make(world, row, cast.user, acting=person), "RF004", 403)
    assert counts(world) == before
    for number, key in enumerate([cast.user, *keys_of_others(world)]):
        response = make(world, row, key, number=number)
        next_door.check(response.text)
        assert response.status_code == row.status or response.json()["error_code"] in row.codes
    assert make(world, row, cast.user, number=9, acting=cast.tomas).status_code == row.status


def keys_of_others(world: World) -> list[ApiKey]:
    """Give user keys of the other active staff."""
    cast = world.cast
    return [
        world.run(make_key(world.app, cast.firm, Kind.USER, member_uuid=person.uuid))
        for person in (cast.miriam, cast.ingrid, cast.olga)
    ]
