"""Who is shown as the author and by which key it was said, wherever a message is shown."""

from collections.abc import Mapping
from typing import Any

import pytest

from onrecord.model.access import Kind
from tests.cast import ApiKey, Person, Shown, butler_of
from tests.domain.test_reviewers import LIST, READ, REVIEW, WHY, make_reviewer
from tests.domain.test_search import SEARCH
from tests.talk import BUTLER_TEXT, CHATS, EVENTS, RANGE, SEND, start
from tests.world import ENTITY, World, accepted

WORDS = "an unmistakable sentence"


def shown_to_member(world: World, by: Shown, acting: Person | None) -> dict[str, Any]:
    """Give the message as every call shows it that somebody reads chats with, by call."""

    def get(path: str, **params: Any) -> dict[str, Any]:
        return accepted(world.get(path, key=by, on_behalf_of=acting, params=params))

    (found,) = get(SEARCH, text="unmistakable")["messages"]
    chat_uuid, seq = found["chat_uuid"], found["seq"]
    events = get(EVENTS, expand="true", types="message.sent", limit=1000)["events"]
    return {
        "search": found,
        "range": get(RANGE, chat_uuid=chat_uuid, from_seq=seq, limit=1)["messages"][0],
        "chat": get(CHATS, chat_uuid=chat_uuid)["chat"]["last_message"],
        "chats": _of(get(CHATS)["chats"], chat_uuid)["last_message"],
        "events": next(
            one["object"] for one in events if (one["chat_uuid"], one["seq"]) == (chat_uuid, seq)
        ),
    }


def shown_to_reviewer(world: World, by: Shown, chat_uuid: str, seq: int) -> dict[str, Any]:
    """Give the message as it is shown to whoever reviews, by call."""
    in_person = by.kind is Kind.SESSION
    reason = WHY if in_person else {}

    def get(path: str, **params: Any) -> dict[str, Any]:
        return accepted(world.get(path, key=by, params={**reason, **params}))

    chats = get(f"{REVIEW}/chats/list" if in_person else LIST)["chats"]
    window = get(
        f"{REVIEW}/messages/range" if in_person else READ, chat_uuid=chat_uuid, from_seq=seq
    )
    return {
        "review list": _of(chats, chat_uuid)["last_message"],
        "review range": window["messages"][0],
    }


def _of(chats: list[dict[str, Any]], chat_uuid: str) -> dict[str, Any]:
    return next(chat for chat in chats if chat["chat_uuid"] == chat_uuid)


def told(shown: Mapping[str, Any], author: Person, via: dict[str, Any]) -> None:
    """Assert that every call shows the same author and the same credential."""
    for call, message in shown.items():
        of = (message["entity_user_xref_uuid"], message["first_name"], message["last_name"])
        assert of == (author.uuid, author.first_name, author.last_name), call
        assert message["via"] == via, call
        assert message["text"] == WORDS, call


def readers_of(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what staff and what clients read with: the credential, and for whom it acts."""
    cast = world.cast
    staff = {
        "master key": (cast.master, cast.ingrid),
        "session": (world.session(cast.ingrid), None),
        "embedded app": (world.embedded(cast.ingrid), None),
    }
    clients = {
        "master key": (cast.master, cast.priya),
        "session": (world.session(cast.priya), None),
        "embedded app": (world.embedded(cast.priya), None),
    }
    return staff, clients


@pytest.mark.parametrize("kind", [Kind.MASTER_USER, Kind.USER, Kind.SESSION, Kind.SDK])
def test_a_message_tells_who_is_shown_and_which_key_acted_wherever_it_is_shown(
    world: World, kind: Kind
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.ingrid, cast.priya, text="zero")
    by = cast.shown_at_firm()[kind]
    acting = cast.tomas if kind is Kind.MASTER_USER else None
    body = {"chat_uuid": chat_uuid, "text": WORDS}
    sent = accepted(world.post(SEND, key=by, on_behalf_of=acting, json=body))["message"]
    wire = {
        Kind.MASTER_USER: "master_user_key",
        Kind.USER: "user_key",
        Kind.SESSION: "session",
        Kind.SDK: "sdk",
    }[kind]
    hidden = {"kind": wire, "api_key_uuid": None, "name": None}
    full = hidden
    if isinstance(by, ApiKey):
        full = {"kind": wire, "api_key_uuid": by.uuid, "name": by.name}
    told({"send-text": sent}, cast.tomas, full)
    staff, clients = readers_of(world)
    for who, member in staff.values():
        told(shown_to_member(world, who, member), cast.tomas, full)
    for who, member in clients.values():
        told(shown_to_member(world, who, member), cast.tomas, hidden)
    reviewer = make_reviewer(world, cast.olga, 3)
    for whoever in (reviewer, cast.system, cast.superkey):
        told(shown_to_reviewer(world, whoever, chat_uuid, sent["seq"]), cast.tomas, full)
    _check_entry(world, chat_uuid, sent["seq"], by, cast.tomas)


def test_a_client_who_writes_by_a_key_is_not_told_its_name(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.ingrid, cast.priya, text="zero")
    body = {"chat_uuid": chat_uuid, "text": WORDS}
    sent = accepted(world.post(SEND, key=cast.master, on_behalf_of=cast.priya, json=body))
    hidden = {"kind": "master_user_key", "api_key_uuid": None, "name": None}
    told({"send-text": sent["message"]}, cast.priya, hidden)
    full = {**hidden, "api_key_uuid": cast.master.uuid, "name": cast.master.name}
    told(shown_to_member(world, cast.master, cast.ingrid), cast.priya, full)
    told(shown_to_member(world, cast.master, cast.priya), cast.priya, hidden)
    _check_entry(world, chat_uuid, 1, cast.master, cast.priya)


@pytest.mark.parametrize("on_behalf", [True, False], ids=["on behalf", "on its own"])
def test_what_the_butler_says_tells_which_key_made_it_speak(
    world: World,
    on_behalf: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    cast = world.cast
    acting = cast.tomas if on_behalf else None
    people = [cast.ingrid.uuid, cast.priya.uuid]
    body = {"entity_user_xref_uuids": people, "text": WORDS}
    results = accepted(world.post(BUTLER_TEXT, key=cast.master, on_behalf_of=acting, json=body))
    hidden = {"kind": "master_user_key", "api_key_uuid": None, "name": None}
    full = {**hidden, "api_key_uuid": cast.master.uuid, "name": cast.master.name}
    butler = Person(butler_of(world, cast.firm), cast.firm, "Butler", "", "", None, 6)
    staff, clients = readers_of(world)
    for who, member in staff.values():
        told(shown_to_member(world, who, member), butler, full)
    for who, member in clients.values():
        told(shown_to_member(world, who, member), butler, hidden)
    reviewer = make_reviewer(world, cast.olga, 3)
    for result in results["results"]:
        for whoever in (reviewer, cast.system):
            shown = shown_to_reviewer(world, whoever, result["chat_uuid"], result["seq"])
            told(shown, butler, full)
        _check_entry(world, result["chat_uuid"], result["seq"], cast.master, butler)


def _check_entry(world: World, chat_uuid: str, seq: int, by: Shown, author: Person) -> None:
    """Assert that the record tells both, the member and the key, with the name of the key."""
    (entry,) = [
        one
        for one in world.entries(world.cast.firm)
        if (one.get("chat_uuid"), one.get("seq")) == (chat_uuid, seq)
    ]
    actor = entry["actor"]
    assert actor["kind"] == by.kind.value
    assert actor["entity_user_xref_uuid"] == author.uuid
    assert actor.get("api_key_uuid") == by.uuid
    if isinstance(by, ApiKey):
        keys = accepted(world.get(f"{ENTITY}/api-keys/list", key=world.cast.system))["api_keys"]
        assert [key["name"] for key in keys if key["api_key_uuid"] == by.uuid] == [by.name]
