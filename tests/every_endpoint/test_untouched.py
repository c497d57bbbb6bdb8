"""What the table tests ask of refusals sees what it must see."""

from tests.every_endpoint.untouched import TABLES, counts, digests
from tests.world import World


def test_a_changed_value_and_a_new_row_are_seen_and_asking_is_not(world: World) -> None:
    before = digests(world)
    assert set(before) == set(TABLES)
    assert digests(world) == before
    world.change(
        world.cast.firm, "UPDATE member SET last_name = 'X' WHERE uuid = $1", person(world)
    )
    after = digests(world)
    assert {"member", "entry"} <= {table for table in TABLES if after[table] != before[table]}
    told = counts(world)
    assert counts(world) == told
    world.change(world.cast.firm, "DELETE FROM meta WHERE key = $1", "none")  # one entry more
    assert counts(world) != told


def person(world: World) -> str:
    return world.cast.olga.uuid
