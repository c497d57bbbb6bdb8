"""The feeds of the record, and `whoami`."""

import asyncio
import hashlib
import json
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from onrecord import app as composition
from onrecord.domain import keys, organisations
from onrecord.model import times
from onrecord.model.access import Kind
from onrecord.model.record import TYPES
from onrecord.proof import canonical, merkle
from tests.cast import ApiKey, Person, make_key
from tests.talk import done
from tests.world import CHAT, ENTITY, World, accepted, refused

ALL = f"{ENTITY}/events"
MINE = f"{CHAT}/events"
CREATE = f"{CHAT}/chats/create"
SEND = f"{CHAT}/chats/messages/send-text"


def feed(world: World, **params: Any) -> dict[str, Any]:
    return accepted(world.get(ALL, key=world.cast.system, params=params))


def mine(world: World, person: Person, **params: Any) -> dict[str, Any]:
    return accepted(world.get(MINE, key=world.cast.master, on_behalf_of=person, params=params))


def start(world: World, *others: Person, text: str | None = "zero") -> str:
    body: dict[str, Any] = {"entity_user_xref_uuids": [one.uuid for one in others]}
    if text is not None:
        body["text"] = text
    cast = world.cast
    response = world.post(CREATE, key=cast.master, on_behalf_of=cast.tomas, json=body)
    return str(accepted(response)["chat_uuid"])


def send(world: World, by: Person, chat_uuid: str, text: str = "hello") -> None:
    body = {"chat_uuid": chat_uuid, "text": text}
    accepted(world.post(SEND, key=world.cast.master, on_behalf_of=by, json=body))


def types(page: dict[str, Any]) -> list[str]:
    return [entry["type"] for entry in page["events"]]


# -- the whole record -----------------------------------------------------------------------------


def test_the_feed_is_the_record_from_its_first_entry(world: World) -> None:
    cast = world.cast
    page = feed(world, limit=1000)
    assert [entry["position"] for entry in page["events"]] == list(range(1, page["head"] + 1))
    assert page["events"] == world.entries(cast.firm)
    assert page["next_after"] == page["head"] == world.head(cast.firm)
    assert types(page)[0] == "entity.created"
    assert {entry["entity_uuid"] for entry in page["events"]} == {cast.firm}
    assert all(entry["v"] == 1 and entry["type"] in TYPES for entry in page["events"])


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_of_the_feed_join(sqlite_world: World, limit: int) -> None:
    world = sqlite_world
    after, found = 0, []
    while True:
        page = feed(world, after=after, limit=limit)
        found += page["events"]
        assert page["head"] == world.head(world.cast.firm)
        if not page["events"]:
            break
        assert len(page["events"]) <= limit
        assert page["next_after"] == page["events"][-1]["position"]
        after = page["next_after"]
    assert found == world.entries(world.cast.firm)


def test_a_hundred_are_given_unless_asked_otherwise(world: World) -> None:
    chat_uuid = start(world, world.cast.priya)
    for _ in range(70):
        send(world, world.cast.tomas, chat_uuid)
    assert world.head(world.cast.firm) > 100
    page = feed(world)
    assert len(page["events"]) == 100
    assert page["next_after"] == 100


def test_beyond_the_end_there_is_nothing(world: World) -> None:
    head = world.head(world.cast.firm)
    assert feed(world, after=head) == {"events": [], "next_after": head, "head": head}
    page = feed(world, after=head + 5)
    assert (page["events"], page["head"]) == ([], head)


def test_the_feed_can_be_cut_by_type(world: World) -> None:
    page = feed(world, types="member.created,member.joined")
    assert set(types(page)) == {"member.created", "member.joined"}
    repeated = world.get(
        ALL, key=world.cast.system, params={"types": ["member.created", "member.joined"]}
    )
    assert accepted(repeated) == page
    assert page["next_after"] == page["head"]
    few = feed(world, types="key.created", limit=2)
    assert types(few) == ["key.created"] * 2
    assert few["next_after"] == few["events"][-1]["position"]


@pytest.mark.parametrize(
    "params",
    [
        {"after": -1},
        {"after": 2**53},
        {"after": "x"},
        {"limit": 0},
        {"limit": 1001},
        {"wait": 31},
        {"wait": -1},
        {"wait": "nan"},
        {"wait": "inf"},
        {"wait": "soon"},
        {"types": "message.sung"},
        {"expand": "perhaps"},
    ],
    ids=str,
)
def test_what_cannot_be_asked_of_the_feed_is_refused(
    sqlite_world: World, params: dict[str, Any]
) -> None:
    world = sqlite_world
    for path, key in ((ALL, world.cast.system), (MINE, world.cast.user)):
        refused(world.get(path, key=key, params=params), "RB003", 400)


def test_an_entry_of_the_feed_is_the_very_object_that_is_hashed(world: World) -> None:
    cast = world.cast
    start(world, cast.priya)
    page = feed(world, limit=1000)
    leaves = [canonical.encode(entry) for entry in page["events"]]
    stored = [
        bytes(row[0])
        for row in world.rows(
            "SELECT leaf FROM entry WHERE entity_id = (SELECT id FROM entity WHERE uuid = $1)"
            " ORDER BY position",
            cast.firm,
        )
    ]
    assert leaves == stored
    raw = world.get(ALL, key=cast.system, params={"limit": 1000}).content
    assert all(leaf in raw for leaf in leaves)
    assert merkle.leaf_hash(leaves[0]) == hashlib.sha256(b"\0" + leaves[0]).digest()


def test_an_organisation_sees_its_own_record_alone(world: World) -> None:
    cast = world.cast
    other = accepted(world.get(ALL, key=cast.other_system, params={"limit": 1000}))
    assert other["events"] == world.entries(cast.other)
    assert {entry["entity_uuid"] for entry in other["events"]} == {cast.other}


def test_expanded_entries_carry_the_object_as_it_is_now(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.priya, text="hello")
    page = feed(world, limit=1000, expand=True)
    for entry in page["events"]:
        shown = entry.pop("object")
        if entry["type"] == "message.sent":
            assert shown["text"] == "hello"
            assert shown["via"]["name"] == cast.master.name
        elif entry.get("chat_uuid"):
            assert shown["chat_uuid"] == chat_uuid
            assert shown["last_seq"] == 0
            assert "unread_count" not in shown
        elif entry["type"].startswith("member."):
            assert shown["entity_user_xref_uuid"] == entry["entity_user_xref_uuid"]
        elif entry["type"].startswith("group."):
            assert shown["group_uuid"] == entry["group_uuid"]
            assert (
                shown["member_count"] == {cast.team: 5, cast.default_group: 1}[entry["group_uuid"]]
            )
        else:
            assert shown is None
    assert page["events"] == world.entries(cast.firm)
    by_member = mine(world, cast.priya, expand="true")["events"]
    for entry in by_member:
        shown = entry["object"]
        if "seq" in entry:
            assert shown["via"]["name"] is None
        elif "chat_uuid" in entry:
            assert shown["unread_count"] == 1
        else:
            assert shown is None


# -- what a member may see ------------------------------------------------------------------------


def test_a_member_sees_the_own_chats_and_what_concerns_them(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    about = mine(world, cast.priya)
    assert about["next_after"] == about["head"] == head
    assert types(about) == [
        "member.created",
        "group.member_added",
        "invitation.made",
        "member.joined",
    ]
    ours = start(world, cast.priya)
    start(world, cast.ingrid)
    page = mine(world, cast.priya, after=head)
    assert types(page) == [
        "chat.created",
        "participant.joined",
        "participant.joined",
        "message.sent",
    ]
    assert {entry["chat_uuid"] for entry in page["events"]} == {ours}
    assert page["next_after"] == page["head"] == world.head(cast.firm)
    both = mine(world, cast.tomas, after=head)
    assert len(both["events"]) == 8
    assert mine(world, cast.george, after=head)["events"] == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_of_a_members_feed_join_in_order(world: World, limit: int) -> None:
    cast = world.cast
    chats = [start(world, cast.priya), start(world, cast.priya), start(world, cast.ingrid)]
    for turn in range(9):
        send(world, cast.tomas, chats[turn % 3])
    whole = mine(world, cast.priya, limit=1000)["events"]
    after, found = 0, []
    for _ in range(100):
        page = mine(world, cast.priya, after=after, limit=limit)
        if not page["events"]:
            break
        found += page["events"]
        after = page["next_after"]
    assert found == whole
    positions = [entry["position"] for entry in whole]
    assert positions == sorted(set(positions))
    assert {e["chat_uuid"] for e in whole if "chat_uuid" in e} == set(chats[:2])


def test_a_busy_chat_among_quiet_ones_is_told_in_its_order(world: World) -> None:
    # Looking at a few entries of each chat must not be all when one of them has said much more.
    cast = world.cast
    before = world.head(cast.firm)
    quiet = [start(world, cast.priya, text=None) for _ in range(6)]
    busy = start(world, cast.priya)
    for number in range(30):
        send(world, cast.tomas, busy, f"busy {number}")
    for chat_uuid in quiet:
        send(world, cast.tomas, chat_uuid, "at last")
    expected = [entry for entry in world.entries(cast.firm) if entry["position"] > before]
    for limit in (10, 20, 45, 1000):
        page = mine(world, cast.tomas, after=before, limit=limit)
        assert page["events"] == expected[:limit]


def test_a_members_feed_can_be_cut_by_type(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.priya)
    for _ in range(5):
        send(world, cast.tomas, chat_uuid)
    page = mine(world, cast.priya, types="message.sent", limit=4)
    assert types(page) == ["message.sent"] * 4
    rest = mine(world, cast.priya, types="message.sent", after=page["next_after"])
    assert types(rest) == ["message.sent"] * 2
    assert mine(world, cast.priya, types="key.created")["events"] == []


def test_a_draft_is_in_its_creators_feed_alone(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    chat_uuid = start(world, cast.priya, text=None)
    assert len(mine(world, cast.tomas, after=head)["events"]) == 3
    assert mine(world, cast.priya, after=head)["events"] == []
    passed = mine(world, cast.priya, after=head)["next_after"]
    send(world, cast.tomas, chat_uuid)
    # From its first message on, whether one has passed the draft's entries or not: nothing new
    # ever appears at or below a position that a reader has seen.
    assert types(mine(world, cast.priya, after=head)) == ["message.sent"]
    assert types(mine(world, cast.priya, after=passed)) == ["message.sent"]
    assert len(mine(world, cast.tomas, after=head)["events"]) == 4


def test_a_chat_made_with_a_first_text_is_in_every_feed_from_its_making(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    start(world, cast.priya)
    assert types(mine(world, cast.priya, after=head)) == [
        "chat.created",
        "participant.joined",
        "participant.joined",
        "message.sent",
    ]


def test_who_has_left_sees_nothing_newer(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    chat_uuid = start(world, cast.priya)
    send(world, cast.tomas, chat_uuid)
    done(world, "leave", cast.priya, chat_uuid)
    send(world, cast.tomas, chat_uuid)
    assert types(mine(world, cast.priya, after=head)).count("message.sent") == 2
    assert types(mine(world, cast.tomas, after=head)).count("message.sent") == 3


def test_who_joins_later_sees_the_feed_from_joining(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.priya)
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga])
    send(world, cast.tomas, chat_uuid)
    shown = [e for e in mine(world, cast.olga)["events"] if "chat_uuid" in e]
    assert [entry["type"] for entry in shown] == ["participant.joined", "message.sent"]


# -- waiting --------------------------------------------------------------------------------------


def waiting(world: World, path: str, key: ApiKey, **params: Any) -> Any:
    async def wait() -> tuple[httpx.Response, float]:
        start = time.monotonic()
        response = await world.request("GET", path, key=key, params=params)
        return response, time.monotonic() - start

    return wait()


def test_a_long_poll_answers_as_soon_as_something_happens(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.priya)
    head = world.head(cast.firm)

    async def later() -> None:
        await asyncio.sleep(0.15)
        body = {"chat_uuid": chat_uuid, "text": "wake up"}
        response = await world.request(
            "POST", SEND, key=cast.master, on_behalf_of=cast.tomas, json=body
        )
        assert response.status_code == 200

    whole, member, _ = world.together(
        waiting(world, ALL, cast.system, after=head, wait=20),
        waiting(world, MINE, cast.user, after=head, wait=20),
        later(),
    )
    for response, seconds in (whole, member):
        assert types(accepted(response)) == ["message.sent"]
        assert 0.1 < seconds < 5


def test_a_long_poll_with_something_to_tell_does_not_wait(sqlite_world: World) -> None:
    response, seconds = sqlite_world.run(
        waiting(sqlite_world, ALL, sqlite_world.cast.system, wait=20)
    )
    assert accepted(response)["events"]
    assert seconds < 5


def test_a_long_poll_ends_with_nothing_when_its_time_is_over(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    response, seconds = world.run(waiting(world, ALL, cast.system, after=head, wait=0.7))
    assert accepted(response) == {"events": [], "next_after": head, "head": head}
    assert 0.6 < seconds < 5


def test_a_long_poll_wakes_for_the_other_process(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    neighbour = world.beside()

    async def later() -> None:
        await asyncio.sleep(0.1)
        response = await neighbour.request(
            "POST",
            f"{ENTITY}/entity-memberships/create",
            key=cast.system,
            json={
                "enum_profile_id": 3,
                "first_name": "N",
                "primary_email": "n@example.com",
            },
        )
        assert response.status_code == 200

    try:
        (response, seconds), _ = world.together(
            waiting(world, ALL, cast.system, after=head, wait=20, types="member.created"), later()
        )
    finally:
        neighbour.close()
    assert types(accepted(response)) == ["member.created"]
    assert seconds < 5


def test_entries_of_other_types_do_not_end_the_waiting(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.priya)
    head = world.head(cast.firm)

    async def later() -> None:
        body = {"chat_uuid": chat_uuid, "text": "not what is waited for"}
        await world.request("POST", SEND, key=cast.master, on_behalf_of=cast.tomas, json=body)

    (response, seconds), _ = world.together(
        waiting(world, ALL, cast.system, after=head, wait=0.6, types="key.created"), later()
    )
    page = accepted(response)
    assert page["events"] == []
    assert page["next_after"] == page["head"] == head + 1
    assert seconds > 0.5


def test_a_stopping_server_lets_go_of_those_who_wait(sqlite_world: World) -> None:
    world = sqlite_world

    async def stop() -> None:
        await asyncio.sleep(0.1)
        world.app.stopping = True
        world.app.bell.ring_all()

    head = world.head(world.cast.firm)
    (response, seconds), _ = world.together(
        waiting(world, ALL, world.cast.system, after=head, wait=20), stop()
    )
    assert accepted(response)["events"] == []
    assert seconds < 5


def test_who_waits_with_a_key_that_is_stopped_meanwhile_is_refused(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    neighbour = world.beside()

    async def stop() -> None:
        await asyncio.sleep(0.1)
        await composition.acting(
            neighbour.app, cast.firm, lambda work: keys.deactivate(work, cast.system.api_key)
        )

    try:
        (response, _), _ = world.together(
            waiting(world, ALL, cast.system, after=head, wait=20), stop()
        )
    finally:
        neighbour.close()
    refused(response, "RU002", 401)


# -- whoami ---------------------------------------------------------------------------------------


def test_whoami_describes_each_kind_of_key(world: World) -> None:
    cast = world.cast
    for kind, key in cast.keys_of_firm().items():
        path = f"{CHAT}/whoami" if kind in {Kind.USER, Kind.MASTER_USER} else f"{ENTITY}/whoami"
        body = accepted(world.get(path, key=key))
        assert body["kind"] == kind
        assert body["api_key_uuid"] == key.uuid
        assert body["api_key"] == key.api_key
        assert body["name"] == key.name
        assert "can_export" in body["permissions"]
        assert body["entity_uuid"] == cast.firm
        assert body["entity_user_xref_uuid"] == (cast.tomas.uuid if kind == Kind.USER else None)
        assert body["address"]["address"] == "127.0.0.1"
        assert body["address"]["allowed"] is True
        assert (body["address"]["cidr_blocks"] != []) is (kind == Kind.SUPER)
        assert body["verdict"] is None
        assert body["expires_at"] is None
        assert key.secret not in json.dumps(body)


def test_whoami_tells_what_a_call_would_be_answered_without_doing_it(world: World) -> None:
    cast = world.cast
    key = cast.alone[Kind.SYSTEM, "can_export"]
    before = world.head(cast.firm)
    for method, path, code in (
        ("GET", ALL, None),
        ("get", ALL, None),
        ("HEAD", ALL, None),
        ("GET", "/livez", None),
        ("POST", f"{ENTITY}/entity-memberships/create", "RF734"),
        ("GET", f"{ENTITY}/entity-memberships", "RF733"),
        ("GET", f"{CHAT}/chats", "RF008"),
        ("POST", "/livez", "RN005"),
        ("GET", "/nowhere", "RN005"),
    ):
        params = {"method": method, "path": path}
        verdict = accepted(world.get(f"{ENTITY}/whoami", key=key, params=params))["verdict"]
        assert verdict["error_code"] == code, (method, path)
        assert verdict["allowed"] is (code is None)
        assert verdict["detail"]
    wrong_method = world.get(
        f"{ENTITY}/whoami", key=key, params={"method": "POST", "path": "/livez"}
    )
    assert accepted(wrong_method)["verdict"]["status"] == 405
    assert world.head(cast.firm) == before


def test_whoami_judges_a_call_on_behalf_of_somebody(world: World) -> None:
    cast = world.cast
    params = {"method": "GET", "path": f"{CHAT}/chats"}
    path = f"{CHAT}/whoami"
    assert accepted(world.get(path, key=cast.master, params=params))["verdict"] == {
        "allowed": False,
        "status": 403,
        "error_code": "RF004",
        "detail": "on-behalf-of must name the acting member",
    }
    body = accepted(world.get(path, key=cast.master, on_behalf_of=cast.priya, params=params))
    assert body["verdict"]["allowed"] is True
    assert body["entity_user_xref_uuid"] == cast.priya.uuid


@pytest.mark.parametrize("params", [{"method": "GET"}, {"path": "/livez"}])
def test_whoami_needs_method_and_path_together(sqlite_world: World, params: dict[str, str]) -> None:
    response = sqlite_world.get(f"{ENTITY}/whoami", key=sqlite_world.cast.system, params=params)
    refused(response, "RB003", 400)


def test_whoami_of_a_super_key_without_an_organisation(world: World) -> None:
    bare = replace(world.cast.superkey, entity_uuid=None)
    body = accepted(world.get(f"{ENTITY}/whoami", key=bare))
    assert body["entity_uuid"] == "00000000-0000-0000-0000-000000000000"
    params = {"method": "GET", "path": ALL}
    body = accepted(world.get(f"{ENTITY}/whoami", key=bare, params=params))
    assert body["verdict"]["error_code"] == "RF736"


def test_whoami_tells_expiry_and_last_use(world: World) -> None:
    expires = times.now() + 3600 * times.SECOND
    key = world.run(make_key(world.app, world.cast.firm, Kind.SYSTEM, expires_at=expires))
    accepted(world.get(f"{ENTITY}/whoami", key=key))
    world.run(world.app.note_counts())
    body = accepted(world.get(f"{ENTITY}/whoami", key=key))
    assert body["expires_at"] == times.wire(expires)
    assert body["last_used_at"] is not None


def test_the_feed_of_a_frozen_organisation_can_be_read(world: World) -> None:
    cast = world.cast
    world.work(cast.firm, lambda work: organisations.set_state(work, "frozen"))
    assert types(feed(world, limit=1000))[-1] == "entity.state_changed"
    refused(world.get(MINE, key=cast.user), "RN902", 404)


def test_a_rare_type_is_found_however_far_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    monkeypatch.setattr("onrecord.domain.record.FEED_MOST", 2)
    monkeypatch.setattr("onrecord.domain.record.SCAN_MOST", 4)
    head = world.head(cast.firm)
    chat_uuid = start(world, cast.priya)
    for _ in range(10):
        send(world, cast.tomas, chat_uuid)
    started = start(world, cast.priya)
    for page in (
        feed(world, after=head + 1, types="chat.created"),
        mine(world, cast.tomas, after=head + 1, types="chat.created"),
    ):
        assert [entry["chat_uuid"] for entry in page["events"]] == [started]


def test_a_search_that_takes_too_long_says_how_far_it_came(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    monkeypatch.setattr("onrecord.domain.record.FEED_MOST", 2)
    monkeypatch.setattr("onrecord.domain.record.SCAN_MOST", 4)
    monkeypatch.setattr("onrecord.web.feed.SCAN_SECONDS", 0)
    head = world.head(cast.firm)
    chat_uuid = start(world, cast.priya)
    for _ in range(6):
        send(world, cast.tomas, chat_uuid)
    page = feed(world, after=head + 1, types="chat.created")
    assert page["events"] == []
    assert head + 1 < page["next_after"] < page["head"]
    while page["next_after"] < page["head"]:
        before = page["next_after"]
        page = feed(world, after=before, types="chat.created")
        assert page["next_after"] > before
    assert page["events"] == []
