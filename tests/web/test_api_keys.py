"""Keys by API: making, changing and stopping them, and what a key may hand out."""

from typing import Any

import httpx
import pytest

from onrecord.domain import keys, organisations
from onrecord.model import times
from onrecord.model.access import PERMISSIONS, Kind
from tests.cast import ApiKey, make_key, set_member_state
from tests.faults.records import check_everything
from tests.world import CHAT, ENTITY, World, accepted, refused

KEYS = f"{ENTITY}/api-keys"
EVENTS = f"{ENTITY}/events"
CHATS = f"{CHAT}/chats"
STRANGER = "00000000-0000-4000-8000-000000000001"
GRANTABLE = ["can_export", "can_read_admin", "can_write_admin", "can_review_data",
             "can_create_sdk_tokens"]  # fmt: skip


def call(world: World, act: str, key: Any = None, **body: Any) -> httpx.Response:
    return world.post(f"{KEYS}/{act}", key=key or world.cast.system, json=body)


def made(world: World, key: Any = None, **body: Any) -> ApiKey:
    """Make a key by API."""
    given = {"kind": "system", "name": "CRM", "permissions": ["can_export"], **body}
    answer = accepted(call(world, "create", key, **given))
    assert set(answer) == {"api_key_uuid", "api_key", "secret"}
    kind = Kind(given["kind"])
    return ApiKey(kind, answer["api_key_uuid"], answer["api_key"], answer["secret"], given["name"])


def listed(world: World) -> dict[str, dict[str, Any]]:
    found = accepted(world.get(f"{KEYS}/list", key=world.cast.system))["api_keys"]
    return {row["api_key_uuid"]: row for row in found}


def writer(world: World, *more: str) -> ApiKey:
    """A system key that may write, and little else."""
    held = ["can_write_admin", *more]
    return world.run(make_key(world.app, world.cast.firm, Kind.SYSTEM, permissions=held))


# -- making ---------------------------------------------------------------------------------------


def test_a_key_made_by_api_works_at_once_and_its_secret_is_shown_once(world: World) -> None:
    key = made(world, cidr_blocks=["127.0.0.1/8", "::1"], rate_limit="007/10")
    accepted(world.get(EVENTS, key=key))
    refused(world.get(EVENTS, key=key, client="10.0.0.1"), "RU004", 401)
    row = listed(world)[key.uuid]
    created = row.pop("created_at")
    assert created.endswith("Z")
    assert row == {
        "api_key_uuid": key.uuid,
        "api_key": key.api_key,
        "kind": "system",
        "name": "CRM",
        "permissions": ["can_export"],
        "cidr_blocks": ["127.0.0.0/8", "::1/128"],
        "state": "active",
        "entity_user_xref_uuid": None,
        "expires_at": None,
        "last_used_at": None,
        "rate_limit": "7/10",
    }
    assert key.secret not in str(world.rows("SELECT * FROM api_key"))
    assert key.secret not in str(world.entries(world.cast.firm))


@pytest.mark.parametrize(
    ("kind", "permission"),
    [("master_user", "can_read_chat"), ("user", "can_read_chat")],
)
def test_keys_of_chats_are_made_too(world: World, kind: str, permission: str) -> None:
    cast = world.cast
    owner = {"entity_user_xref_uuid": cast.ingrid.uuid} if kind == "user" else {}
    key = made(world, kind=kind, permissions=[permission], **owner)
    acting = None if kind == "user" else cast.ingrid
    accepted(world.get(CHATS, key=key, on_behalf_of=acting))
    assert listed(world)[key.uuid]["entity_user_xref_uuid"] == owner.get("entity_user_xref_uuid")


def test_a_retry_makes_no_second_key_and_withholds_the_secret(world: World) -> None:
    body = {"kind": "system", "name": "CRM", "permissions": ["can_export"]}
    how: dict[str, Any] = {
        "key": world.cast.system, "json": body, "headers": {"Idempotency-Key": "once"}
    }  # fmt: skip
    before = len(listed(world))
    first = accepted(world.post(f"{KEYS}/create", **how))
    again = world.post(f"{KEYS}/create", **how)
    assert accepted(again) == {**first, "secret": None}
    assert again.headers["idempotent-replay"] == "true; secrets-withheld"
    assert len(listed(world)) == before + 1
    assert first["secret"] not in str(world.rows("SELECT answer FROM idempotency"))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "golden"}, "RB003"),
    ({"kind": "session"}, "RB003"),
    ({"kind": "super", "cidr_blocks": ["127.0.0.1"]}, "RB019"),
    ({"name": ""}, "RB003"),
    ({"name": "x" * 501}, "RB003"),
    ({"permissions": ["can_fly"]}, "RB003"),
    ({"permissions": ["can_read_chat"]}, "RB003"),
    ({"permissions": ["can_provision", "can_export"]}, "RB003"),
    ({"cidr_blocks": ["10.0.0.0/33"]}, "RB003"),
    ({"cidr_blocks": ["10.0.0.1"] * 101}, "RB003"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "RB003"),
    ({"expires_at": "2100-01-01T00:00:00"}, "RB003"),
    ({"expires_at": "tomorrow"}, "RB003"),
    ({"expires_at": "9999-12-31T23:59:59-14:00"}, "RB003"),
    ({"rate_limit": "0/10"}, "RB003"),
    ({"rate_limit": "fast"}, "RB003"),
    ({"rate_limit": f"{'9' * 5000}/1"}, "RB003"),
    ({"entity_user_xref_uuid": STRANGER}, "RB003"),
    ({"kind": "user", "permissions": ["can_read_chat"]}, "RB785"),
    ({"kind": "user", "permissions": [], "entity_user_xref_uuid": "nobody"}, "RB003"),
    ({"kind": "user", "permissions": [], "entity_user_xref_uuid": STRANGER}, "RN006"),
]


@pytest.mark.parametrize(("changes", "code"), BAD, ids=lambda one: str(one)[:50])
def test_a_key_that_cannot_be_is_refused(
    sqlite_world: World, changes: dict[str, Any], code: str
) -> None:
    world = sqlite_world
    before, head = len(listed(world)), world.head(world.cast.firm)
    body = {"kind": "system", "name": "CRM", "permissions": ["can_export"], **changes}
    refused(call(world, "create", **body), code)
    assert (len(listed(world)), world.head(world.cast.firm)) == (before, head)


def test_only_active_staff_own_keys_and_only_where_that_is_allowed(world: World) -> None:
    cast = world.cast
    body = {"kind": "user", "name": "Notes", "permissions": ["can_read_chat"]}
    for member in (cast.priya, cast.petra):
        answer = call(world, "create", **body, entity_user_xref_uuid=member.uuid)
        refused(answer, "RB019", 400)
    refused(call(world, "create", **body, entity_user_xref_uuid=cast.karl.uuid), "RN006", 404)
    set_member_state(world, cast.olga, "suspended")
    refused(call(world, "create", **body, entity_user_xref_uuid=cast.olga.uuid), "RB019", 400)
    world.work(
        cast.firm, lambda work: organisations.set_setting(work, "allow_user_api_keys", value=False)
    )
    refused(call(world, "create", **body, entity_user_xref_uuid=cast.tomas.uuid), "RF888", 403)


# -- what a key may hand out ----------------------------------------------------------------------


@pytest.mark.parametrize("permission", GRANTABLE)
def test_a_key_hands_out_no_permission_it_lacks(world: World, permission: str) -> None:
    held = ["can_write_admin", permission] if permission != "can_write_admin" else GRANTABLE
    having = world.run(make_key(world.app, world.cast.firm, Kind.SYSTEM, permissions=held))
    made(world, having, permissions=[permission])
    if permission == "can_write_admin":
        return  # whoever makes keys has it
    before = world.head(world.cast.firm)
    body = {"kind": "system", "name": "CRM", "permissions": [permission]}
    answer = call(world, "create", writer(world), **body)
    refused(answer, PERMISSIONS[permission].refusal, 403)
    assert [e["type"] for e in world.entries(world.cast.firm, before)] == ["key.created"]


@pytest.mark.parametrize("kind", ["master_user", "user"])
def test_a_key_of_chats_gets_export_only_from_a_key_that_has_it(world: World, kind: str) -> None:
    cast = world.cast
    owner = {"entity_user_xref_uuid": cast.tomas.uuid} if kind == "user" else {}
    chat = [name for name, row in PERMISSIONS.items() if "chat" in name or "contacts" in name]
    made(world, writer(world), kind=kind, permissions=chat, **owner)
    both = {"kind": kind, "name": "CRM", "permissions": [*chat, "can_export"], **owner}
    refused(call(world, "create", writer(world), **both), "RF732", 403)
    made(world, writer(world, "can_export"), **both)


def test_a_key_for_provisioning_is_made_by_whoever_may_write(world: World) -> None:
    made(world, writer(world), permissions=["can_provision"])


def test_a_super_key_hands_out_what_it_holds_itself(world: World) -> None:
    cast = world.cast
    alone = cast.alone[Kind.SUPER, "can_write_admin"]
    body = {"kind": "system", "name": "CRM", "permissions": ["can_review_data"]}
    refused(call(world, "create", alone, **body), "RF735", 403)
    key = made(world, cast.superkey, permissions=["can_review_data"])
    assert listed(world)[key.uuid]["permissions"] == ["can_review_data"]


def test_a_key_may_keep_what_it_has_and_gets_nothing_the_other_lacks(world: World) -> None:
    key = made(world, permissions=["can_export", "can_review_data"])
    weak = writer(world)
    accepted(call(world, "update", weak, api_key_uuid=key.uuid, permissions=["can_export"]))
    accepted(call(world, "update", weak, api_key_uuid=key.uuid, name="Other"))
    answer = call(
        world, "update", weak, api_key_uuid=key.uuid,
        permissions=["can_export", "can_create_sdk_tokens"],
    )  # fmt: skip
    refused(answer, "RF731", 403)
    more = {"permissions": ["can_export", "can_review_data"]}  # which it had before
    refused(call(world, "update", weak, api_key_uuid=key.uuid, **more), "RF735", 403)
    own = {"permissions": ["can_write_admin", "can_export"]}
    refused(call(world, "update", weak, api_key_uuid=weak.uuid, **own), "RF732", 403)
    assert listed(world)[key.uuid]["permissions"] == ["can_export"]


def test_a_key_that_can_do_more_is_not_rotated_by_one_that_can_do_less(world: World) -> None:
    """Whoever gets the secret can do what the key can."""
    key = made(world, permissions=["can_export"])
    weak = writer(world)
    refused(call(world, "rotate", weak, api_key_uuid=key.uuid), "RF732", 403)
    accepted(world.get(EVENTS, key=key))
    accepted(call(world, "rotate", writer(world, "can_export"), api_key_uuid=key.uuid))
    refused(world.get(EVENTS, key=key), "RU001", 401)


def test_an_expired_key_is_revived_only_by_one_that_could_make_it(world: World) -> None:
    key = made(world, permissions=["can_export"], expires_at="2100-01-01T00:00:00Z")
    world.change(world.cast.firm, "UPDATE api_key SET expires_at = 1 WHERE uuid = $1", key.uuid)
    assert listed(world)[key.uuid]["state"] == "expired"
    refused(world.get(EVENTS, key=key), "RU002", 401)
    revive = {"api_key_uuid": key.uuid, "expires_at": None}
    refused(call(world, "update", writer(world), **revive), "RF732", 403)
    accepted(call(world, "update", writer(world), api_key_uuid=key.uuid, name="Old"))
    accepted(call(world, "update", **revive))
    accepted(world.get(EVENTS, key=key))


# -- changing -------------------------------------------------------------------------------------


def test_what_is_absent_stays_and_null_clears(world: World) -> None:
    key = made(world, expires_at="2100-01-01T01:00:00+01:00", rate_limit="5/60")
    before = listed(world)[key.uuid]
    assert before["expires_at"] == "2100-01-01T00:00:00.000000Z"
    shown = accepted(call(world, "update", api_key_uuid=key.uuid.upper(), name="Diary"))
    assert shown == {**before, "name": "Diary"}
    shown = accepted(call(world, "update", api_key_uuid=key.uuid, expires_at=None, rate_limit=None))
    assert shown == {**before, "name": "Diary", "expires_at": None, "rate_limit": None}
    assert listed(world)[key.uuid] == shown


def test_a_change_is_an_entry_and_the_same_again_is_none(world: World) -> None:
    key = made(world)
    before = world.head(world.cast.firm)
    change = {
        "api_key_uuid": key.uuid,
        "name": "Diary",
        "permissions": ["can_read_admin", "can_export"],
        "cidr_blocks": ["10.1.2.3/8"],
        "expires_at": "2100-01-01T00:00:00Z",
        "rate_limit": "5/60",
    }
    accepted(call(world, "update", **change))
    accepted(call(world, "update", **change))
    accepted(call(world, "update", api_key_uuid=key.uuid))
    accepted(call(world, "update", api_key_uuid=key.uuid, expires_at=None))
    first, second = world.entries(world.cast.firm, before)
    assert first["type"] == "key.updated"
    assert first["api_key_uuid"] == key.uuid
    assert first["data"] == {
        "permissions": ["can_export", "can_read_admin"],
        "cidr_blocks": ["10.0.0.0/8"],
        "expires_at": "2100-01-01T00:00:00.000000Z",
        "rate_limit": "5/60",
    }
    assert "name" in first["content"]
    assert "Diary" not in str(first)
    assert "expires_at" not in second["data"]
    assert "name" not in second["content"]


def test_changes_hold_from_the_next_request_on(world: World) -> None:
    key = made(world, permissions=["can_export"])
    accepted(world.get(EVENTS, key=key))
    accepted(call(world, "update", api_key_uuid=key.uuid, permissions=["can_read_admin"]))
    refused(world.get(EVENTS, key=key), "RF732", 403)
    accepted(world.get(f"{KEYS}/list", key=key))
    accepted(call(world, "update", api_key_uuid=key.uuid, cidr_blocks=["10.0.0.0/8"]))
    refused(world.get(f"{KEYS}/list", key=key), "RU004", 401)


def test_the_new_name_stands_under_messages_sent_before(world: World) -> None:
    cast = world.cast
    created = accepted(
        world.post(
            f"{CHATS}/create", key=cast.master, on_behalf_of=cast.tomas,
            json={"entity_user_xref_uuids": [cast.ingrid.uuid], "text": "hello"},
        )
    )  # fmt: skip
    read = {"params": {"chat_uuid": created["chat_uuid"]}, "key": cast.master}

    def name() -> str:
        body = accepted(world.get(f"{CHATS}/messages/range", on_behalf_of=cast.tomas, **read))
        return str(body["messages"][0]["via"]["name"])

    assert name() == "master_user key"
    accepted(call(world, "update", api_key_uuid=cast.master.uuid, name="Robot"))
    assert name() == "Robot"


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""},
        {"name": None},
        {"permissions": ["can_read_chat"]},
        {"permissions": None},
        {"cidr_blocks": ["x"]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"rate_limit": "1"},
        {"api_key_uuid": "ork-1"},
    ],
    ids=str,
)
def test_a_change_that_cannot_be_changes_nothing(sqlite_world: World, bad: dict[str, Any]) -> None:
    key = made(sqlite_world)
    before = listed(sqlite_world)
    refused(call(sqlite_world, "update", **{"api_key_uuid": key.uuid, **bad}), "RB003", 400)
    assert listed(sqlite_world) == before


# -- the end of a key -----------------------------------------------------------------------------


def test_a_deactivated_key_stops_at_once_and_is_neither_changed_nor_rotated(world: World) -> None:
    key = made(world)
    accepted(world.get(EVENTS, key=key))
    before = world.head(world.cast.firm)
    for _ in range(2):
        shown = accepted(call(world, "deactivate", api_key_uuid=key.uuid))
        assert shown["state"] == "deactivated"
    assert [e["type"] for e in world.entries(world.cast.firm, before)] == ["key.deactivated"]
    refused(world.get(EVENTS, key=key), "RU002", 401)
    refused(call(world, "update", api_key_uuid=key.uuid, name="x"), "RB019", 400)
    refused(call(world, "rotate", api_key_uuid=key.uuid), "RB019", 400)
    assert listed(world)[key.uuid]["state"] == "deactivated"


def test_a_destroyed_key_stops_at_once_and_is_gone_from_the_list(world: World) -> None:
    key = made(world)
    accepted(world.get(EVENTS, key=key))
    before = world.head(world.cast.firm)
    assert accepted(call(world, "destroy", api_key_uuid=key.uuid)) == {}
    (entry,) = world.entries(world.cast.firm, before)
    assert (entry["type"], entry["api_key_uuid"]) == ("key.destroyed", key.uuid)
    refused(world.get(EVENTS, key=key), "RU002", 401)
    assert key.uuid not in listed(world)
    for act in ("destroy", "deactivate", "update", "rotate"):
        refused(call(world, act, api_key_uuid=key.uuid), "RN008", 404)
    assert world.work(world.cast.firm, keys.listed) == list(listed(world).values())


def test_a_deactivated_key_can_be_destroyed(world: World) -> None:
    key = made(world)
    accepted(call(world, "deactivate", api_key_uuid=key.uuid))
    accepted(call(world, "destroy", api_key_uuid=key.uuid))
    assert key.uuid not in listed(world)


@pytest.mark.parametrize("act", ["deactivate", "destroy"])
def test_a_key_may_end_itself(world: World, act: str) -> None:
    key = writer(world)
    accepted(call(world, act, key, api_key_uuid=key.uuid))
    refused(call(world, act, key, api_key_uuid=key.uuid), "RU002", 401)


def test_a_rotated_key_has_another_secret_and_the_old_one_its_overlap(world: World) -> None:
    key = made(world)
    answer = accepted(call(world, "rotate", api_key_uuid=key.uuid, overlap_seconds=3600))
    assert set(answer) == {"api_key_uuid", "api_key", "secret"}
    fresh = ApiKey(Kind.SYSTEM, key.uuid, key.api_key, answer["secret"], "")
    accepted(world.get(EVENTS, key=fresh))
    accepted(world.get(EVENTS, key=key))
    last = accepted(call(world, "rotate", api_key_uuid=key.uuid))
    for old in (key, fresh):
        refused(world.get(EVENTS, key=old), "RU001", 401)
    accepted(world.get(EVENTS, key=ApiKey(Kind.SYSTEM, "", key.api_key, last["secret"], "")))
    for seconds in (-1, 30 * 86_400 + 1):
        wrong = {"api_key_uuid": key.uuid, "overlap_seconds": seconds}
        refused(call(world, "rotate", None, **wrong), "RB003", 400)


def test_a_key_may_rotate_itself_and_a_retry_withholds_the_secret(world: World) -> None:
    key = writer(world)
    how: dict[str, Any] = {"json": {"api_key_uuid": key.uuid, "overlap_seconds": 60},
                           "headers": {"Idempotency-Key": "turn"}}  # fmt: skip
    first = accepted(world.post(f"{KEYS}/rotate", key=key, **how))
    fresh = ApiKey(Kind.SYSTEM, key.uuid, key.api_key, first["secret"], "")
    again = world.post(f"{KEYS}/rotate", key=fresh, **how)
    assert accepted(again)["secret"] is None
    assert again.headers["idempotent-replay"] == "true; secrets-withheld"


@pytest.mark.parametrize("act", ["update", "deactivate", "rotate", "destroy"])
def test_keys_of_others_are_not_found(world: World, act: str) -> None:
    cast = world.cast
    for uuid in (cast.other_system.uuid, cast.superkey.uuid, STRANGER):
        for key in (cast.system, cast.superkey):
            refused(call(world, act, key, api_key_uuid=uuid), "RN008", 404)
    accepted(world.get(EVENTS, key=cast.other_system))


# -- lists ----------------------------------------------------------------------------------------


def test_keys_are_listed_in_pages_oldest_first(world: World) -> None:
    everything = list(listed(world).values())
    assert len(everything) > 10
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": 4, **({"cursor": cursor} if cursor else {})}
        page = accepted(world.get(f"{KEYS}/list", key=world.cast.system, params=params))
        found += page["api_keys"]
        cursor = page["next_cursor"]
        assert len(page["api_keys"]) <= 4
        if cursor is None:
            break
    assert found == everything
    assert [row["created_at"] for row in found] == sorted(row["created_at"] for row in found)
    theirs = accepted(world.get(f"{KEYS}/list", key=world.cast.other_system))["api_keys"]
    assert {row["api_key_uuid"] for row in theirs} == {
        world.cast.other_system.uuid,
        world.cast.other_master.uuid,
        world.cast.other_user.uuid,
    }
    bad = {"limit": 1, "cursor": "bm9uZQ=="}
    refused(world.get(f"{KEYS}/list", key=world.cast.system, params=bad), "RB003", 400)


def test_last_use_is_listed(world: World) -> None:
    accepted(world.get(EVENTS, key=world.cast.system))
    world.run(world.app.note_counts())
    used = listed(world)[world.cast.system.uuid]["last_used_at"]
    assert times.read(used) <= times.now()


def test_the_record_tells_what_the_keys_are(world: World) -> None:
    end = "2100-01-01T00:00:00Z"
    first, second, third = (made(world, expires_at=end, rate_limit="5/60") for _ in range(3))
    accepted(call(world, "update", api_key_uuid=first.uuid, name="Diary", expires_at=None))
    accepted(call(world, "update", api_key_uuid=second.uuid, permissions=[], cidr_blocks=["::1"]))
    accepted(call(world, "rotate", api_key_uuid=second.uuid, overlap_seconds=60))
    accepted(call(world, "deactivate", api_key_uuid=second.uuid))
    accepted(call(world, "destroy", api_key_uuid=second.uuid))
    accepted(call(world, "destroy", api_key_uuid=third.uuid))
    told = check_everything(world)[world.cast.firm].keys
    assert told[first.uuid]["name"] == "Diary"
    assert (told[second.uuid]["state"], told[third.uuid]["state"]) == ("destroyed", "destroyed")
