"""Organisations: how one is made, its state and its settings."""

from typing import Any

import pytest

from onrecord.domain import keys, members, organisation_settings, organisations, record
from onrecord.model.access import Kind, Origin, operator
from onrecord.model.errors import Refusal
from onrecord.store import people
from onrecord.store.access import entities, entity_by_id
from onrecord.store.db import Caller
from onrecord.store.work import Work
from tests.cast import PASSWORD, make_key, set_member_state
from tests.world import ENTITY, World, accepted

INSTALLATION = "00000000-0000-0000-0000-000000000000"


def new(**changes: Any) -> organisations.NewOrganisation:
    return organisations.NewOrganisation(
        **{"name": "Cedar", "admin_email": "ada@example.com", **changes}
    )


def make(world: World, **changes: Any) -> organisations.Founded:
    return world.work(None, lambda work: organisations.create(work, new(**changes), "host"))


def test_an_organisation_begins_with_its_butler_team_and_administrator(
    empty_world: World,
) -> None:
    world = empty_world
    made = make(world)
    assert made.admin_state == "pending"
    record = world.entries(made.entity_uuid)
    assert [entry["type"] for entry in record] == [
        "entity.created",
        "member.created",
        "member.created",
        "group.created",
        "group.member_added",
        "invitation.made",
    ]
    assert record[0]["organisation_uuid"] == made.entity_uuid
    assert record[1]["data"] == {"enum_profile_id": 6, "state": "active"}
    assert record[2]["entity_user_xref_uuid"] == made.entity_user_xref_uuid
    assert record[3]["data"] == {"is_default": True}
    assert record[4]["entity_user_xref_uuid"] == made.entity_user_xref_uuid
    installation = world.entries(INSTALLATION)
    assert [entry["type"] for entry in installation] == ["signing_key.created", "entity.created"]
    assert {entry["actor"]["kind"] for entry in record} == {"operator"}
    assert "ada@" not in str(record)


def test_an_administrator_with_a_password_is_active_at_once(empty_world: World) -> None:
    world = empty_world
    made = make(world, admin_username="ada.lovelace", admin_password=PASSWORD)
    assert made.admin_state == "active"
    assert world.entries(made.entity_uuid)[-1]["type"] == "member.joined"
    key = world.run(make_key(world.app, made.entity_uuid, Kind.SYSTEM))
    params = {"primary_email": "ada@example.com"}
    body = accepted(world.get(f"{ENTITY}/entity-memberships", key=key, params=params))
    assert body["entity_membership"]["state"] == "active"
    assert body["entity_membership"]["profile"] == "system_admin"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "RB003"),
        ({"name": "x" * 501}, "RB003"),
        ({"name": "a\x00"}, "RB003"),
        ({"admin_email": "nobody"}, "RB003"),
        ({"admin_first_name": ""}, "RB003"),
        ({"admin_last_name": "x" * 501}, "RB003"),
        ({"admin_username": "ada.lovelace"}, "RB002"),
        ({"admin_password": PASSWORD}, "RB002"),
        ({"admin_username": "ada", "admin_password": PASSWORD}, "RB003"),
        ({"admin_username": "ada.lovelace", "admin_password": "short"}, "RB003"),
    ],
    ids=str,
)
def test_an_organisation_that_cannot_be_leaves_nothing_behind(
    empty_world: World, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        make(empty_world, **changes)
    assert caught.value.code == code
    assert empty_world.ask(entities) == []
    assert [e["type"] for e in empty_world.entries(INSTALLATION)] == ["signing_key.created"]


def test_two_organisations_may_share_a_name_and_an_email(empty_world: World) -> None:
    first, second = make(empty_world), make(empty_world)
    assert first.entity_uuid != second.entity_uuid
    assert [one.uuid for one in empty_world.ask(entities)] == [
        first.entity_uuid,
        second.entity_uuid,
    ]


# -- states ---------------------------------------------------------------------------------------


def set_state(world: World, state: str) -> None:
    world.work(world.cast.firm, lambda work: organisations.set_state(work, state))


def test_a_state_is_on_record_and_the_same_again_changes_nothing(world: World) -> None:
    before = world.head(world.cast.firm)
    for state in ("active", "frozen", "frozen", "active", "inactive", "inactive", "active"):
        set_state(world, state)
    entries = world.entries(world.cast.firm, before)
    assert [entry["data"]["state"] for entry in entries] == [
        "frozen",
        "active",
        "inactive",
        "active",
    ]


@pytest.mark.parametrize(("first", "second"), [("frozen", "inactive"), ("inactive", "frozen")])
def test_between_frozen_and_inactive_lies_active(
    sqlite_world: World, first: str, second: str
) -> None:
    set_state(sqlite_world, first)
    with pytest.raises(Refusal) as caught:
        set_state(sqlite_world, second)
    assert caught.value.code == "RB019"


def test_an_organisation_is_picked_by_its_uuid(world: World) -> None:
    firm = world.cast.firm
    found = world.work(firm, lambda work: organisations.pick(work, firm.upper()))
    assert found.uuid == firm
    for uuid, code in (("no uuid", "RB003"), ("00000000-0000-4000-8000-000000000001", "RN007")):

        async def pick(work: Work, uuid: str = uuid) -> None:
            await organisations.pick(work, uuid)

        with pytest.raises(Refusal) as caught:
            world.work(firm, pick)
        assert caught.value.code == code


def test_the_first_administrator_is_the_oldest_active_one(world: World) -> None:
    cast = world.cast

    def first() -> str | None:
        found = world.work(
            cast.firm,
            lambda work: people.first_system_admin(work.db, work.actor.entity_id),
        )
        return found.uuid if found else None

    assert first() == cast.miriam.uuid
    second = members.NewMember(
        enum_profile_id=1, first_name="Second", primary_email="second@example.com"
    )

    async def join(work: Work) -> str:
        member, _ = await members.create(work, second)
        await members.activate(work, member.uuid, "second.admin", PASSWORD)
        return member.uuid

    uuid = world.work(cast.firm, join)
    assert first() == cast.miriam.uuid
    set_member_state(world, cast.miriam, "suspended")
    assert first() == uuid
    set_member_state(world, cast.miriam, "inactive")
    world.change(cast.firm, "UPDATE member SET state = 'inactive' WHERE uuid = $1", uuid)
    assert first() is None


# -- settings -------------------------------------------------------------------------------------

GOOD: list[tuple[str, Any, Any]] = [
    ("allow_user_api_keys", "FALSE", False),
    ("allow_user_api_keys", True, True),
    ("sdk_enabled", "false", False),
    ("clients_may_add_participants", "true", True),
    ("staff_invitation_type", "optional_phone", "optional_phone"),
    ("sdk_token_seconds", "60", 60),
    ("sdk_token_seconds", 86_400, 86_400),
    ("reviewer_export_cap", "none", None),
    ("reviewer_export_cap", "", None),
    ("reviewer_export_cap", "7", 7),
    ("sdk_allowed_origins", "https://CRM.example.com, http://localhost:3000",
     ["https://crm.example.com", "http://localhost:3000"]),
    ("sdk_allowed_origins", [], []),
    ("sdk_allowed_origins", ["https://a.com:443", "http://a.com:80", "https://A.com", "https://a.com:0444"],
     ["https://a.com", "http://a.com", "https://a.com:444"]),
    ("sdk_allowed_origins", ["http://[::1]:3000", "https://a_b.c"], ["http://[::1]:3000", "https://a_b.c"]),
    ("attachment_types", ["pdf", ".PDF", "png"], ["pdf", "png"]),
    ("attachment_types", ".PDF, png", ["pdf", "png"]),
    ("attachment_max_bytes", str(2**40), 2**40),
    ("banner", "Hello\n😀", "Hello\n😀"),
    ("banner", "", ""),
    ("timezone", "Europe/London", "Europe/London"),
    ("locale", "de-CH", "de-CH"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "kept"), GOOD, ids=str)
def test_a_setting_takes_a_value_for_it(
    sqlite_world: World, key: str, value: Any, kept: Any
) -> None:
    world, firm = sqlite_world, sqlite_world.cast.firm
    before = world.head(firm)
    answer = world.work(firm, lambda work: organisations.set_setting(work, key, value))
    assert answer == kept

    async def stored(session: Any) -> Any:
        rows = await session.all("SELECT id FROM entity WHERE uuid = $1", firm)
        entity = await entity_by_id(session, rows[0][0])
        assert entity is not None
        return entity.settings.get(key, organisation_settings.SETTINGS[key].default)

    assert world.ask(stored) == kept
    changed = [e for e in world.entries(firm, before) if e["type"] == "setting.changed"]
    for entry in changed:
        assert entry["data"] == {"key": key}
        assert set(entry["content"]) == {"setting"}
    again = world.head(firm)
    world.work(firm, lambda work: organisations.set_setting(work, key, value))
    assert world.head(firm) == again


BAD: list[tuple[str, Any]] = [
    ("colour", "red"),
    ("allow_user_api_keys", "yes"),
    ("allow_user_api_keys", 1),
    ("staff_invitation_type", "carrier_pigeon"),
    ("sdk_token_seconds", "59"),
    ("sdk_token_seconds", "86401"),
    ("sdk_token_seconds", "many"),
    ("sdk_token_seconds", True),
    ("reviewer_export_cap", "-1"),
    ("sdk_allowed_origins", "ftp://example.com"),
    ("sdk_allowed_origins", "https://example.com/path"),
    ("sdk_allowed_origins", "https://example.com:65536"),
    ("sdk_allowed_origins", "https://example.com:0"),
    ("sdk_allowed_origins", "https://."),
    ("sdk_allowed_origins", "https://-.com"),
    ("sdk_allowed_origins", "https://*.example.com"),
    ("sdk_allowed_origins", [1]),
    ("sdk_allowed_origins", 7),
    ("attachment_types", "../x"),
    ("attachment_max_bytes", "0"),
    ("banner", "a\x00b"),
    ("banner", "x" * 5001),
    ("banner", 7),
    ("terms", "x" * 100_001),
    ("timezone", "Mars/Olympus"),
    ("timezone", "../../etc/passwd"),
]


@pytest.mark.parametrize(("key", "value"), BAD, ids=lambda one: str(one)[:30])
def test_a_value_that_a_setting_cannot_have_is_refused(
    sqlite_world: World, key: str, value: Any
) -> None:
    before = sqlite_world.head(sqlite_world.cast.firm)
    with pytest.raises(Refusal) as caught:
        sqlite_world.work(
            sqlite_world.cast.firm, lambda work: organisations.set_setting(work, key, value)
        )
    assert caught.value.code == "RB003"
    assert sqlite_world.head(sqlite_world.cast.firm) == before


def test_every_setting_says_what_it_means_and_takes_its_own_default() -> None:
    for name, row in organisation_settings.SETTINGS.items():
        assert row.name == name
        assert row.meaning.endswith(".")
        assert row.check(name, row.default) == row.default


def test_what_needs_an_organisation_refuses_without_one(sqlite_world: World) -> None:
    """An actor whose organisation is gone: a belt that the front door never reaches."""
    world = sqlite_world
    nobody = Caller(operator(999, "00000000-0000-4000-8000-000000000999"), Origin("r"))
    for act in (
        lambda work: organisations.set_state(work, "frozen"),
        lambda work: organisations.set_setting(work, "banner", "x"),
        lambda work: record.checkpoint_at(work, world.app.signer),
    ):

        async def run(act: Any = act) -> None:
            await world.app.store.write(nobody, act)

        with pytest.raises(Refusal) as caught:
            world.run(run())
        assert caught.value.code == "RN007"


def test_switching_user_keys_off_stops_each_of_them(world: World) -> None:
    cast = world.cast
    world.work(
        cast.firm, lambda work: organisations.set_setting(work, "allow_user_api_keys", "false")
    )
    listed = world.work(cast.firm, keys.listed)
    states = {
        row["kind"]: {r["state"] for r in listed if r["kind"] == row["kind"]} for row in listed
    }
    assert states["user"] == {"deactivated"}
    assert states["master_user"] == states["system"] == {"active"}
    other = world.work(cast.other, keys.listed)
    assert {row["state"] for row in other} == {"active"}
