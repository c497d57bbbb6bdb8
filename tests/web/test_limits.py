"""Rate limits: of keys, and of failed authentications from one address."""

import re

import pytest

from onrecord.model.access import Kind
from onrecord.model.errors import Refusal
from onrecord.web import limits
from onrecord.web.limits import Limits, Windows
from tests.cast import ApiKey, make_key
from tests.world import CHAT, ENTITY, World, accepted, refused

WHOAMI = f"{ENTITY}/whoami"
STRANGER = ApiKey(Kind.SYSTEM, "", "ork-stranger", "secret", "")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(limits, "time", made)
    return made


def test_a_window_counts_and_ends(clock: Clock) -> None:
    windows = Windows()
    assert windows.count("a", 2, 10) == (1, 10)
    clock.now += 4
    assert windows.count("a", 2, 10) == (0, 6)
    assert windows.count("a", 2, 10) == (-1, 6)
    assert windows.count("b", 2, 10) == (1, 10)
    clock.now += 6
    assert windows.count("a", 2, 10) == (1, 10)


def test_windows_forget_the_oldest_when_there_are_too_many(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 2)
    windows = Windows()
    for who in "abc":
        windows.count(who, 1, 10)
    assert windows.count("c", 1, 10)[0] == -1
    assert windows.count("a", 1, 10)[0] == 0
    assert clock.now == 1000


def test_no_limit_means_no_headers() -> None:
    assert Limits(None).count_request(1, None) == ()


def test_the_keys_own_limit_goes_before_the_installations(clock: Clock) -> None:
    counted = Limits((100, 10))
    assert counted.count_request(1, (1, 60)) == (
        ("RateLimit-Policy", '"key";q=1;w=60'),
        ("RateLimit", '"key";r=0;t=60'),
    )
    with pytest.raises(Refusal) as caught:
        counted.count_request(1, (1, 60))
    assert caught.value.code == "RU029"
    assert dict(caught.value.headers) == {
        "RateLimit-Policy": '"key";q=1;w=60',
        "RateLimit": '"key";r=0;t=60',
    }
    clock.now += 60
    counted.count_request(1, (1, 60))
    counted.count_request(2, None)


def test_each_answer_says_what_is_left_and_too_many_is_refused(sqlite_world: World) -> None:
    world = sqlite_world
    world.restart(rate_limit=(3, 60))
    key = world.cast.system
    for left in (2, 1, 0):
        response = world.get(WHOAMI, key=key)
        accepted(response)
        assert response.headers["ratelimit-policy"] == '"key";q=3;w=60'
        assert re.fullmatch(rf'"key";r={left};t=\d+', response.headers["ratelimit"])
    response = world.get(WHOAMI, key=key)
    refused(response, "RU029", 429)
    assert 1 <= int(response.headers["retry-after"]) <= 61
    assert response.headers["ratelimit-policy"] == '"key";q=3;w=60'
    assert response.headers["ratelimit"].startswith('"key";r=0;')
    accepted(world.get(WHOAMI, key=world.cast.other_system))


def test_a_refused_body_counts_as_a_request_too(sqlite_world: World) -> None:
    world = sqlite_world
    world.restart(rate_limit=(1, 60))
    key = world.cast.system
    response = world.post(f"{ENTITY}/entity-memberships/create", key=key, content=b"-")
    refused(response, "RB001", 400)
    assert "ratelimit" in response.headers
    refused(world.get(WHOAMI, key=key), "RU029", 429)


def test_what_a_key_may_not_do_counts_as_a_request_too(world: World) -> None:
    key = world.run(
        make_key(world.app, world.cast.firm, Kind.SYSTEM, permissions=[], rate_limit="2/60")
    )
    response = world.get(f"{ENTITY}/events", key=key)
    refused(response, "RF732", 403)
    assert response.headers["ratelimit"].startswith('"key";r=1;')
    refused(world.get(f"{CHAT}/chats", key=key), "RF008", 403)
    response = world.get(f"{ENTITY}/events", key=key)
    refused(response, "RU029", 429)
    assert int(response.headers["retry-after"]) >= 1
    refused(world.get(WHOAMI, key=key), "RU029", 429)


def test_who_has_a_key_and_may_not_use_it_does_not_use_up_its_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAILURES", (1, 60))
    blocks = ["127.0.0.1"]
    key = world.run(
        make_key(world.app, world.cast.firm, Kind.SYSTEM, cidr_blocks=blocks, rate_limit="1/60")
    )
    guessed = {**key.headers, "X-SYS-API-KEY-SECRET": "guessed"}
    for code, status in (("RU001", 401), ("RU029", 429), ("RU029", 429)):
        refused(world.get(WHOAMI, key=key, client="203.0.113.9"), "RU004", 401)
        response = world.get(WHOAMI, headers=guessed)
        refused(response, code, status)
        assert "key" not in response.headers.get("ratelimit", "")
    accepted(world.get(WHOAMI, key=key))


def test_a_key_with_a_limit_of_its_own_keeps_to_it(sqlite_world: World) -> None:
    world = sqlite_world
    key = world.run(make_key(world.app, world.cast.firm, Kind.SYSTEM, rate_limit="2/60"))
    assert accepted(world.get(WHOAMI, key=key))["rate_limit"] == "2/60"
    accepted(world.get(WHOAMI, key=key))
    refused(world.get(WHOAMI, key=key), "RU029", 429)


def test_whoami_tells_the_installations_limit(sqlite_world: World) -> None:
    world = sqlite_world
    assert accepted(world.get(WHOAMI, key=world.cast.system))["rate_limit"] is None
    world.restart(rate_limit=(1000, 10))
    assert accepted(world.get(WHOAMI, key=world.cast.system))["rate_limit"] == "1000/10"


def test_after_a_hundred_failures_an_address_is_told_to_wait_and_a_right_key_is_not(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    for _ in range(100):
        refused(world.get(WHOAMI, key=STRANGER), "RU001", 401)
    response = world.get(WHOAMI, key=STRANGER)
    refused(response, "RU029", 429)
    assert 1 <= int(response.headers["retry-after"]) <= 61
    assert response.headers["ratelimit-policy"] == '"address";q=100;w=60'
    accepted(world.get(WHOAMI, key=world.cast.system))
    refused(world.get(WHOAMI, key=STRANGER, client="127.0.0.2"), "RU001", 401)


def test_a_network_of_ipv6_counts_as_one_address(clock: Clock) -> None:
    counted = Limits(None)
    for number in range(100):
        counted.failed(f"2001:db8::{number:x}")
    for address, code in (("2001:db8::ffff:1", "RU029"), ("2001:db8:0:1::1", None)):
        if code is None:
            counted.failed(address)
            continue
        with pytest.raises(Refusal):
            counted.failed(address)
    for _ in range(100):
        counted.failed(None)
    with pytest.raises(Refusal):
        counted.failed(None)
    clock.now += 60
    counted.failed(None)
