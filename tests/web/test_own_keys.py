"""Keys in person: administrators look after everybody's, everyone has the own ones."""

from typing import Any

import pytest

from onrecord.domain import organisations
from onrecord.model.access import Kind
from tests.cast import ApiKey, Browser, Person
from tests.web.test_administration import ursula
from tests.world import CHAT, World, accepted, refused

KEYS = "/app-service/api/api-keys"
NEW: dict[str, Any] = {"kind": "user", "name": "Spreadsheet", "permissions": ["can_read_chat"]}


def make(world: World, browser: Browser, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = accepted(world.post(f"{KEYS}/create", key=browser, json=NEW | more))
    return made


def as_key(made: dict[str, Any]) -> ApiKey:
    return ApiKey(Kind.USER, made["api_key_uuid"], made["api_key"], made["secret"], "")


def names(world: World, browser: Browser, **params: Any) -> list[str]:
    return [
        one["name"]
        for one in accepted(world.get(f"{KEYS}/list", key=browser, params=params))["api_keys"]
    ]


@pytest.fixture
def firm(world: World) -> World:
    """The firm, where staff may have keys of their own."""
    world.work(
        world.cast.firm,
        lambda work: organisations.set_setting(work, "allow_user_api_keys", value=True),
    )
    return world


def test_staff_make_and_stop_their_own_keys_and_see_nobody_elses(firm: World) -> None:
    cast = firm.cast
    tomas, ingrid = firm.session(cast.tomas), firm.session(cast.ingrid)
    already = names(firm, tomas)
    made = make(firm, tomas, name="Tomas's")
    make(firm, ingrid, name="Ingrid's")
    assert names(firm, tomas) == [*already, "Tomas's"]
    key = as_key(made)
    accepted(firm.get(f"{CHAT}/chats", key=key))
    about = {"api_key_uuid": made["api_key_uuid"]}
    for act in ("update", "rotate", "deactivate", "destroy"):
        refused(firm.post(f"{KEYS}/{act}", key=ingrid, json=about), "RN008", 404)
    accepted(firm.post(f"{KEYS}/update", key=tomas, json=about | {"name": "Mine"}))
    rotated = accepted(firm.post(f"{KEYS}/rotate", key=tomas, json=about))
    accepted(firm.get(f"{CHAT}/chats", key=as_key(rotated)))
    accepted(firm.post(f"{KEYS}/destroy", key=tomas, json=about))
    assert names(firm, tomas) == already


def test_staff_make_no_key_of_another_kind_or_for_somebody_else(firm: World) -> None:
    cast = firm.cast
    tomas = firm.session(cast.tomas)
    before = firm.head(cast.firm)
    for more in (
        {"kind": "system", "permissions": ["can_read_admin"]},
        {"kind": "master_user"},
        {"entity_user_xref_uuid": cast.ingrid.uuid},
    ):
        refused(firm.post(f"{KEYS}/create", key=tomas, json=NEW | more), "RF006", 403)
    assert firm.head(cast.firm) == before


def test_a_user_administrator_looks_after_keys_of_staff_but_not_of_system_administrators(
    firm: World,
) -> None:
    cast = firm.cast
    mine, theirs = firm.session(ursula(firm)), firm.session(cast.miriam)
    of_tomas = make(firm, firm.session(cast.tomas), name="Tomas's")
    of_miriam = make(firm, theirs, name="Miriam's")
    seen = names(firm, mine)
    assert "Tomas's" in seen
    assert "Miriam's" not in seen
    assert {"Tomas's", "Miriam's"} <= set(names(firm, theirs))
    paged = [*names(firm, mine, limit=1), *names(firm, mine, limit=1000)[1:]]
    assert paged == seen
    about = {"api_key_uuid": of_tomas["api_key_uuid"]}
    accepted(firm.post(f"{KEYS}/deactivate", key=mine, json=about))
    system = {**NEW, "kind": "system", "permissions": ["can_read_admin"]}
    refused(firm.post(f"{KEYS}/create", key=mine, json=system), "RF006", 403)
    make(firm, mine, entity_user_xref_uuid=cast.ingrid.uuid, name="For Ingrid")
    for other in (of_miriam["api_key_uuid"], uuid_of(firm, cast.miriam, firm.cast.system)):
        about = {"api_key_uuid": other}
        refused(firm.post(f"{KEYS}/deactivate", key=mine, json=about), "RN008", 404)


def uuid_of(world: World, admin: Person, key: ApiKey) -> str:
    """Give the uuid of a key, as the system administrator sees it."""
    listed = accepted(world.get(f"{KEYS}/list", key=world.session(admin)))["api_keys"]
    return str(next(one["api_key_uuid"] for one in listed if one["api_key"] == key.api_key))
