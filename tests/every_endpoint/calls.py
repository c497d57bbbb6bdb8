"""A good request for every endpoint: what the table tests spoil in every way."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from onrecord.model.access import Kind
from onrecord.web.endpoint import Endpoint
from tests.cast import ApiKey, Cast, Person
from tests.world import CHAT, ENTITY, World, accepted


@dataclass(slots=True)
class Good:
    """What a request needs to be answered with success."""

    json: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)


def _person(number: int) -> dict[str, Any]:
    return {
        "enum_profile_id": 4,
        "first_name": "Nell",
        "primary_email": f"nell{number}@example.com",
    }


def good(world: World, row: Endpoint, number: int = 0) -> Good:
    """Give a good request for a row; with another number it is another request."""
    cast = world.cast
    if row.path.startswith(f"{ENTITY}/entity-memberships/create"):
        return Good(json=_person(number))
    known: dict[tuple[str, str], Good] = {
        ("GET", f"{ENTITY}/entity-memberships"): Good(params={"identifier": "ADV-1"}),
        ("GET", f"{ENTITY}/record/proof"): Good(params={"position": 1, "size": 2}),
        ("GET", f"{ENTITY}/record/consistency"): Good(params={"from_size": 1, "to_size": 2}),
        ("POST", f"{CHAT}/chats/create"): Good(
            json={"entity_user_xref_uuids": [cast.ingrid.uuid], "text": f"text {number}"}
        ),
        ("POST", f"{CHAT}/chats/messages/send-text"): Good(
            json={"chat_uuid": _chat(world), "text": f"text {number}"}
        ),
        ("GET", f"{CHAT}/chats/messages/range"): Good(params={"chat_uuid": _chat(world)}),
    }
    return known.get((row.method, row.path), Good())


def _chat(world: World) -> str:
    """A chat that tomas and priya are in."""
    cast = world.cast
    rows = world.rows(
        "SELECT c.uuid FROM chat c JOIN entity e ON e.id = c.entity_id"
        " WHERE e.uuid = $1 ORDER BY c.id LIMIT 1",
        cast.firm,
    )
    if rows:
        return str(rows[0][0])
    response = world.post(
        f"{CHAT}/chats/create",
        key=cast.master,
        on_behalf_of=cast.tomas,
        json={"entity_user_xref_uuids": [cast.priya.uuid], "text": "zero"},
    )
    return str(accepted(response)["chat_uuid"])


def acting_for(row: Endpoint, cast: Cast, kind: Kind) -> Person | None:
    """Give whom a master-user key acts for in a row."""
    return cast.tomas if kind is Kind.MASTER_USER and row.acting != "none" else None


def make(
    world: World,
    row: Endpoint,
    key: ApiKey | None,
    *,
    number: int = 0,
    acting: Person | None = None,
    **changes: Any,
) -> httpx.Response:
    """Make the good request of a row with a key, with some of it changed."""
    request = good(world, row, number)
    how: dict[str, Any] = {"json": request.json, "params": request.params, **changes}
    return world.run(world.request(row.method, row.path, key=key, on_behalf_of=acting, **how))
