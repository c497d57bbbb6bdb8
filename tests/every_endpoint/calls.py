"""A good request for every endpoint: what the table tests spoil in every way."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx

from onrecord.domain import groups, members
from onrecord.model.access import Kind
from onrecord.store import groups as store
from onrecord.store.work import Work
from onrecord.web.endpoint import Endpoint, Nothing
from tests.cast import ApiKey, Cast, Person
from tests.world import CHAT, ENTITY, Member, World, accepted


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
        group = {"new_group_name": f"Circle {number}"} if row.path.endswith("/v2") else {}
        return Good(json={**_person(number), **group})
    if row.path.startswith((f"{ENTITY}/groups/", f"{ENTITY}/barriers/")) and row.method == "POST":
        return Good(json=_about_groups(world, row.path, number))
    if row.path.startswith(f"{CHAT}/chats/") and row.path.rpartition("/")[2] in _CHAT_ACTS:
        return Good(json=_about_chats(world, row.path.rpartition("/")[2], number))
    known: dict[tuple[str, str], Good] = {
        ("POST", f"{CHAT}/chats/butler-says/send-text"): Good(
            json={"entity_user_xref_uuid": cast.priya.uuid, "text": f"text {number}"}
        ),
        ("GET", f"{CHAT}/chats"): Good(),
        ("GET", f"{ENTITY}/record/checkpoint"): Good(),
        ("GET", f"{ENTITY}/events"): Good(),
        ("GET", f"{CHAT}/events"): Good(),
        ("GET", f"{ENTITY}/whoami"): Good(),
        ("GET", f"{CHAT}/whoami"): Good(),
        ("GET", f"{ENTITY}/entity-memberships"): Good(params={"identifier": "ADV-1"}),
        ("GET", f"{ENTITY}/entity-memberships/list"): Good(),
        ("GET", f"{ENTITY}/entity-memberships/group-memberships/list"): Good(
            params={"identifier": "ADV-1"}
        ),
        ("GET", f"{ENTITY}/groups"): Good(params={"group_uuid": cast.team}),
        ("GET", f"{ENTITY}/groups/list"): Good(),
        ("GET", f"{ENTITY}/barriers/list"): Good(),
        ("GET", f"{ENTITY}/contacts/explain"): Good(
            params={
                "entity_user_xref_uuid": cast.tomas.uuid,
                "other_entity_user_xref_uuid": cast.priya.uuid,
            }
        ),
        ("GET", f"{CHAT}/contacts"): Good(params={"identifier": "CL-1"}),
        ("GET", f"{CHAT}/contacts/list"): Good(),
        ("GET", f"{CHAT}/entity-memberships"): Good(),
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
    if row.takes is Nothing:
        return Good()
    assert (row.method, row.path) in known, "a row that takes something has a good request here"
    return known[row.method, row.path]


_GROUPS = 128
"""Groups made beforehand: more than any test asks for, so that asking puts nothing on record."""


def _about_groups(world: World, path: str, number: int) -> dict[str, Any]:
    """A good body of a call about groups or barriers."""
    cast = world.cast
    _, _, act = path.partition("/sys-api/")
    if act == "groups/create":
        return {"name": f"Group {number}", "entity_user_xref_uuids": [cast.olga.uuid]}
    if act == "groups/update":
        return {"group_uuid": cast.team, "name": f"Name {number}"}
    group_uuid = _group(world, act, number)
    if act.startswith("groups/group-members/"):
        return {"group_uuid": group_uuid, "entity_user_xref_uuids": [cast.olga.uuid]}
    if act.startswith("barriers/"):
        return {"group_uuid": group_uuid, "other_group_uuid": cast.team}
    return {"group_uuid": group_uuid}


def _group(world: World, act: str, number: int) -> str:
    """A group that is made for one call: with olga in it, or a barrier, where that must be."""
    cast = world.cast
    named = "SELECT uuid FROM client_group WHERE name = $1"

    async def prepare(work: Work) -> None:
        olga = await members.pick(work, cast.olga.uuid, None)
        team = await groups.pick(work, cast.team)
        for each in range(_GROUPS):
            group = await groups.add_group(work, f"Made for {each}")
            if act == "groups/group-members/destroy":
                await groups.put_into_group(work, group, olga)
            if act == "barriers/destroy":
                await store.add_barrier(work.db, work.actor.entity_id, team.id, group.id)

    if not world.rows(named, "Made for 0"):
        world.work(cast.firm, prepare)
    return str(world.rows(named, f"Made for {number}")[0][0])


_CHAT_ACTS = frozenset(
    {"rename", "archive", "mute", "read", "invite", "remove", "leave", "discard"}
)


def _about_chats(world: World, act: str, number: int) -> dict[str, Any]:
    """A good body of an act in a chat."""
    cast = world.cast
    if act in {"invite", "remove"}:
        chat_uuid = _chat_for(world, act, number)
        return {"chat_uuid": chat_uuid, "entity_user_xref_uuids": [cast.olga.uuid]}
    if act in {"leave", "discard"}:
        return {"chat_uuid": _chat_for(world, act, number)}
    more: dict[str, dict[str, Any]] = {
        "rename": {"title": f"Title {number}"},
        "archive": {"archived": True},
        "mute": {"muted": True},
        "read": {"seq": 0},
    }
    return {"chat_uuid": _chat(world), **more[act]}


_CHATS = 128
"""Chats made beforehand, as `_GROUPS`."""


def _chat_for(world: World, act: str, number: int) -> str:
    """A chat of tomas, made for one call: with olga in it, or a draft, where that must be."""
    cast = world.cast
    named = "SELECT uuid FROM chat WHERE title = $1"
    if not world.rows(named, f"To {act} 0"):
        _chat(world)
        others = [cast.priya.uuid, *([cast.olga.uuid] if act == "remove" else [])]
        text = {} if act == "discard" else {"text": "zero"}

        def made(each: int) -> Coroutine[Any, Any, httpx.Response]:
            body = {"entity_user_xref_uuids": others, "title": f"To {act} {each}", **text}
            return world.request(
                "POST",
                f"{CHAT}/chats/create",
                key=cast.master,
                on_behalf_of=cast.tomas,
                json=body,
            )

        # At the same time, so that they wait for the disk together.
        for response in world.together(*map(made, range(_CHATS))):
            accepted(response)
    return str(world.rows(named, f"To {act} {number}")[0][0])


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
    acting: Member | None = None,
    **changes: Any,
) -> httpx.Response:
    """Make the good request of a row with a key, with some of it changed."""
    request = good(world, row, number)
    how: dict[str, Any] = {"json": request.json, "params": request.params, **changes}
    return world.run(world.request(row.method, row.path, key=key, on_behalf_of=acting, **how))
