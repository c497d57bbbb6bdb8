"""What people do in chats, through the front door with the master-user key, or by hand."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from onrecord.domain import members
from onrecord.model.access import INSTALLATION_ID, Actor, Judged, Kind, Origin, operator
from onrecord.model.errors import Refusal
from onrecord.store import record as ledger
from onrecord.store.db import Caller, Session
from onrecord.store.work import Work
from tests.cast import ApiKey, Person
from tests.world import CHAT, World, accepted

T = TypeVar("T")
CHATS = f"{CHAT}/chats"
CREATE = f"{CHATS}/create"
SEND = f"{CHATS}/messages/send-text"
RANGE = f"{CHATS}/messages/range"
EVENTS = f"{CHAT}/events"
BUTLER_TEXT = f"{CHATS}/butler-says/send-text"
STRANGER = "00000000-0000-4000-8000-000000000001"


def uuids(*people: Person) -> list[str]:
    """Give the uuids of people, as bodies name them."""
    return [one.uuid for one in people]


def master_of(world: World, person: Person) -> ApiKey:
    """Give the master-user key of a person's organisation."""
    cast = world.cast
    return cast.master if person.entity_uuid == cast.firm else cast.other_master


def act(
    world: World, what: str, by: Person, chat_uuid: str, *, key: ApiKey | None = None, **body: Any
) -> httpx.Response:
    """POST `chats/<what>` about a chat on behalf of a person; `others` become their uuids."""
    if "others" in body:
        body["entity_user_xref_uuids"] = uuids(*body.pop("others"))
    return world.post(
        f"{CHATS}/{what}",
        key=key or master_of(world, by),
        on_behalf_of=by,
        json={"chat_uuid": chat_uuid, **body},
    )


def done(
    world: World, what: str, by: Person, chat_uuid: str, *, key: ApiKey | None = None, **body: Any
) -> dict[str, Any]:
    """Do as `act` does, with success, and give the chat as answered."""
    answered: dict[str, Any] = accepted(act(world, what, by, chat_uuid, key=key, **body))["chat"]
    return answered


def start(world: World, by: Person, *others: Person, **body: Any) -> str:
    """Start a chat: a draft, unless a `text` is given."""
    body = {"entity_user_xref_uuids": uuids(*others), **body}
    response = world.post(CREATE, key=master_of(world, by), on_behalf_of=by, json=body)
    return str(accepted(response)["chat_uuid"])


def say(
    world: World, by: Person, chat_uuid: str, text: str = "hello", *, key: ApiKey | None = None
) -> dict[str, Any]:
    """Send a text and give the message."""
    response = act(world, "messages/send-text", by, chat_uuid, key=key, text=text)
    message: dict[str, Any] = accepted(response)["message"]
    return message


def chat_of(world: World, by: Person, chat_uuid: str) -> dict[str, Any]:
    """Give a chat as a person sees it."""
    params = {"chat_uuid": chat_uuid}
    response = world.get(CHATS, key=master_of(world, by), on_behalf_of=by, params=params)
    chat: dict[str, Any] = accepted(response)["chat"]
    return chat


def listed(world: World, by: Person, **params: Any) -> list[str]:
    """Give the uuids of a person's chats in the order of the list."""
    response = world.get(CHATS, key=master_of(world, by), on_behalf_of=by, params=params)
    return [chat["chat_uuid"] for chat in accepted(response)["chats"]]


def messages_of(world: World, by: Person, chat_uuid: str) -> list[dict[str, Any]]:
    """Give the messages of a chat that a person may read."""
    response = world.get(
        RANGE,
        key=master_of(world, by),
        on_behalf_of=by,
        params={"chat_uuid": chat_uuid, "limit": 1000},
    )
    found: list[dict[str, Any]] = accepted(response)["messages"]
    return found


def told(messages: Sequence[dict[str, Any]]) -> list[str]:
    """Give the text of each message, or the type of what happened."""
    return [
        one["event"]["type"] if one["kind"] == "event" else str(one["text"]) for one in messages
    ]


def feed_of(world: World, by: Person, chat_uuid: str, after: int = 0) -> list[dict[str, Any]]:
    """Give what a person's feed holds about a chat."""
    response = world.get(
        EVENTS,
        key=master_of(world, by),
        on_behalf_of=by,
        params={"after": after, "limit": 1000},
    )
    return [one for one in accepted(response)["events"] if one.get("chat_uuid") == chat_uuid]


def states(chat: dict[str, Any]) -> dict[str, str]:
    """Give the participants' states by first name."""
    return {one["first_name"]: one["state"] for one in chat["participants"]}


def by_hand(world: World, person: Person, deed: Callable[[Work], Awaitable[T]]) -> T:
    """Do a deed as a person who has signed in: there is no endpoint for sessions yet."""
    member = world.work(person.entity_uuid, lambda work: members.pick(work, person.uuid, None))
    actor = replace(
        operator(member.entity_id, person.entity_uuid), kind=Kind.SESSION, member=member.ref
    )

    async def judge(session: Session) -> Actor:
        here = await ledger.head_of(session, actor.entity_id)
        installation = await ledger.head_of(session, INSTALLATION_ID)
        return replace(actor, judged=Judged(here[2], installation[2]))

    return world.run(world.app.store.write(Caller(actor, Origin("by-hand"), judge), deed))


def code_by_hand(world: World, person: Person, deed: Callable[[Work], Awaitable[Any]]) -> str:
    """Give the code a deed by hand is refused with, nothing when it is done."""
    try:
        by_hand(world, person, deed)
    except Refusal as refusal:
        return refusal.code
    return ""
