"""The source address: the peer, or what a trusted proxy says of it."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from onrecord.model.access import Kind
from onrecord.web.credentials import address_of
from tests.cast import make_key
from tests.conftest import MakeWorld
from tests.world import ENTITY, World, accepted, refused

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
WHOAMI = f"{ENTITY}/whoami"


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # no proxy of ours: not believed
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # the left is the client's own word
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1 ,10.0.0.2,  10.0.0.3", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "unknown", None),
        ("10.0.0.1", "198.51.100.1, nonsense", None),
        ("10.0.0.1", "nonsense, 198.51.100.1", None),
        ("10.0.0.1", "198.51.100.1:4711", None),
        ("10.0.0.1", "198.51.100.1,", None),
        (None, "198.51.100.1", None),
    ],
)
def test_the_source_address_is_told_from_peer_and_header(
    peer: str | None, forwarded: str | None, seen: str | None
) -> None:
    assert address_of(peer, forwarded, PROXIES) == (ip_address(seen) if seen else None)


def seen_by(world: World, **how: Any) -> str | None:
    body = accepted(world.get(WHOAMI, key=world.cast.system, **how))
    address: str | None = body["address"]["address"]
    return address


def test_without_trusted_proxies_the_header_means_nothing(sqlite_world: World) -> None:
    spoofed = {"X-Forwarded-For": "198.51.100.1", "Forwarded": "for=198.51.100.1"}
    assert seen_by(sqlite_world, client="203.0.113.9", headers=spoofed) == "203.0.113.9"


def test_with_trusted_proxies_their_word_counts_for_blocks(sqlite_world: World) -> None:
    world = sqlite_world
    world.restart(trusted_proxies=PROXIES)
    inside = {"X-Forwarded-For": "198.51.100.1"}
    assert seen_by(world, client="10.0.0.1", headers=inside) == "198.51.100.1"
    assert seen_by(world, client="10.0.0.1", headers={"Forwarded": "for=1.2.3.4"}) == "10.0.0.1"
    key = world.run(
        make_key(world.app, world.cast.firm, Kind.SYSTEM, cidr_blocks=["198.51.100.0/24"])
    )
    accepted(world.get(WHOAMI, key=key, client="10.0.0.1", headers=inside))
    spoofed = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    refused(world.get(WHOAMI, key=key, client="10.0.0.1", headers=spoofed), "RU004", 401)
    refused(world.get(WHOAMI, key=key, client="203.0.113.9", headers=inside), "RU004", 401)


def test_a_malformed_header_of_a_trusted_proxy_is_refused_for_keys_with_blocks(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    world.restart(trusted_proxies=PROXIES)
    broken = {"X-Forwarded-For": b"198.51.100.1, \xff\xfe"}
    assert seen_by(world, client="10.0.0.1", headers=broken) is None
    key = world.run(
        make_key(world.app, world.cast.firm, Kind.SYSTEM, cidr_blocks=["0.0.0.0/0", "::/0"])
    )
    refused(world.get(WHOAMI, key=key, client="10.0.0.1", headers=broken), "RU004", 401)


def test_several_lines_of_the_header_are_one_list(sqlite_world: World) -> None:
    world = sqlite_world
    world.restart(trusted_proxies=PROXIES)
    lines = [
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-For", "198.51.100.1"),
        ("X-Forwarded-For", "10.0.0.2"),
    ]
    assert seen_by(world, client="10.0.0.1", headers=lines) == "198.51.100.1"


def test_the_address_of_a_change_is_a_part_of_its_entry_and_never_in_the_leaf(
    make_world: MakeWorld,
) -> None:
    world = make_world(trusted_proxies=PROXIES)
    cast = world.cast
    before = world.head(cast.firm)
    made = world.post(
        f"{ENTITY}/entity-memberships/create",
        key=cast.system,
        json={"enum_profile_id": 3, "first_name": "Nell", "primary_email": "nell@example.com"},
        client="10.0.0.1",
        headers={"X-Forwarded-For": "::ffff:198.51.100.77"},
    )
    accepted(made)
    entries = world.entries(cast.firm, before)
    assert entries
    for entry in entries:
        assert "address" in entry["content"]
        assert "198.51.100.77" not in str(entry)
    parts = world.rows(
        "SELECT data FROM part WHERE name = 'address' AND position > $1"
        " AND entity_id = (SELECT id FROM entity WHERE uuid = $2)",
        before,
        cast.firm,
    )
    assert {bytes(row[0]) for row in parts} == {b'"198.51.100.77"'}


def test_an_address_with_a_zone_breaks_nothing(sqlite_world: World) -> None:
    world = sqlite_world
    world.restart(trusted_proxies=PROXIES)
    zoned = {"X-Forwarded-For": "fe80::1%eth0"}
    seen_by(world, client="10.0.0.1", headers=zoned)
    wrong = {**world.cast.system.headers, "X-SYS-API-KEY-SECRET": "wrong", **zoned}
    refused(world.get(WHOAMI, headers=wrong, client="10.0.0.1"), "RU001", 401)
    key = world.run(make_key(world.app, world.cast.firm, Kind.SYSTEM, cidr_blocks=["fe80::/10"]))
    response = world.get(WHOAMI, key=key, client="10.0.0.1", headers=zoned)
    assert response.status_code in {200, 401}
