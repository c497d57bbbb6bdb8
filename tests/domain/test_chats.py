"""Chats: starting them, and each member's own view of them."""

import base64
import json
from typing import Any

import pytest

from onrecord.domain import chats, inbox, messages
from onrecord.model import times
from onrecord.model.access import STAFF
from onrecord.model.errors import Refusal
from onrecord.store.work import Work
from tests.cast import (
    ApiKey,
    Person,
    butler_of,
    join,
    set_group_state,
    set_member_state,
)
from tests.talk import done
from tests.world import CHAT, World, accepted, refused

CREATE = f"{CHAT}/chats/create"
CHATS = f"{CHAT}/chats"
SEND = f"{CHAT}/chats/messages/send-text"
STRANGER = "00000000-0000-4000-8000-000000000001"


def create(world: World, by: Person, *others: Person, **changes: Any) -> str:
    body = {"entity_user_xref_uuids": [one.uuid for one in others], **changes}
    key = world.cast.master if by.entity_uuid == world.cast.firm else world.cast.other_master
    response = world.post(CREATE, key=key, on_behalf_of=by, json=body)
    return str(accepted(response)["chat_uuid"])


def refuse(world: World, code: str, by: Person, **body: Any) -> None:
    before = world.head(world.cast.firm)
    response = world.post(CREATE, key=world.cast.master, on_behalf_of=by, json=body)
    refused(response, code)
    assert world.head(world.cast.firm) == before


def send(world: World, by: Person, chat_uuid: str, text: str = "hello") -> dict[str, Any]:
    body = {"chat_uuid": chat_uuid, "text": text}
    return accepted(world.post(SEND, key=world.cast.master, on_behalf_of=by, json=body))


def one(world: World, by: Person, chat_uuid: str, key: ApiKey | None = None) -> dict[str, Any]:
    key = key or world.cast.master
    response = world.get(CHATS, key=key, on_behalf_of=by, params={"chat_uuid": chat_uuid})
    chat: dict[str, Any] = accepted(response)["chat"]
    return chat


def listed(world: World, by: Person, **params: Any) -> list[str]:
    response = world.get(CHATS, key=world.cast.master, on_behalf_of=by, params=params)
    return [chat["chat_uuid"] for chat in accepted(response)["chats"]]


def invisible(world: World, by: Person, chat_uuid: str) -> None:
    params = {"chat_uuid": chat_uuid}
    refused(world.get(CHATS, key=world.cast.master, on_behalf_of=by, params=params), "RN001", 404)
    assert chat_uuid not in listed(world, by)
    body = {"chat_uuid": chat_uuid, "text": "let me in"}
    refused(world.post(SEND, key=world.cast.master, on_behalf_of=by, json=body), "RN001", 404)
    messages = world.get(
        f"{CHATS}/messages/range", key=world.cast.master, on_behalf_of=by, params=params
    )
    refused(messages, "RN001", 404)


# -- starting -------------------------------------------------------------------------------------


def test_a_chat_is_a_draft_of_its_creator_until_the_first_message(world: World) -> None:
    cast = world.cast
    response = world.post(
        CREATE,
        key=cast.master,
        on_behalf_of=cast.tomas,
        json={"entity_user_xref_uuids": [cast.priya.uuid, cast.ingrid.uuid], "title": "Pension"},
    )
    body = accepted(response)
    chat = body["chat"]
    assert chat.pop("created_at")
    assert chat == {
        "chat_uuid": body["chat_uuid"],
        "title": "Pension",
        "state": "draft",
        "is_staff_only": False,
        "is_butler": False,
        "has_clients": True,
        "created_by_entity_user_xref_uuid": cast.tomas.uuid,
        "last_seq": None,
        "last_message": None,
        "last_message_at": None,
        "participants": [
            {
                "entity_user_xref_uuid": person.uuid,
                "identifier": person.identifier,
                "first_name": person.first_name,
                "last_name": person.last_name,
                "enum_profile_id": person.profile,
                "state": "active",
                "read_seq": None,
            }
            for person in (cast.tomas, cast.ingrid, cast.priya)
        ],
        "archived": False,
        "muted": False,
        "read_seq": None,
        "unread_count": 0,
    }
    assert listed(world, cast.tomas) == [body["chat_uuid"]]
    for other in (cast.priya, cast.ingrid):
        invisible(world, other, body["chat_uuid"])
    send(world, cast.tomas, body["chat_uuid"])
    for other in (cast.priya, cast.ingrid):
        assert one(world, other, body["chat_uuid"])["state"] == "active"
        assert listed(world, other) == [body["chat_uuid"]]


def test_a_first_text_activates_the_chat_at_once(world: World) -> None:
    cast = world.cast
    chat_uuid = create(world, cast.priya, cast.tomas, text="Good morning")
    chat = one(world, cast.tomas, chat_uuid)
    assert chat["state"] == "active"
    assert chat["title"] == "New chat"
    assert chat["last_seq"] == 0
    assert chat["last_message"]["text"] == "Good morning"
    assert chat["last_message"]["entity_user_xref_uuid"] == cast.priya.uuid
    assert chat["last_message_at"] == chat["last_message"]["sent_at"]
    assert chat["unread_count"] == 1
    assert one(world, cast.priya, chat_uuid)["unread_count"] == 0


def test_a_chat_is_on_record_with_everybody_in_it(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    chat_uuid = create(world, cast.tomas, cast.priya, title="Secret plan", text="whisper")
    entries = world.entries(cast.firm, before)
    types = ["chat.created", "participant.joined", "participant.joined", "message.sent"]
    assert [entry["type"] for entry in entries] == types
    assert [entry["chat_index"] for entry in entries] == [1, 2, 3, 4]
    assert [entry["chat_prev"] for entry in entries] == [0, before + 1, before + 2, before + 3]
    assert {entry["chat_uuid"] for entry in entries} == {chat_uuid}
    joined = [entry["entity_user_xref_uuid"] for entry in entries[1:3]]
    assert joined == [cast.tomas.uuid, cast.priya.uuid]
    assert entries[3]["seq"] == 0
    assert entries[0]["data"] == {"is_staff_only": False, "is_butler": False}
    assert not {"Secret", "plan", "whisper"} & set(str(entries).split())
    for entry in entries:
        assert entry["actor"]["entity_user_xref_uuid"] == cast.tomas.uuid
        assert entry["actor"]["kind"] == "master_user"


def test_people_may_be_named_by_identifier_too(world: World) -> None:
    cast = world.cast
    response = world.post(
        CREATE,
        key=cast.master,
        on_behalf_of=cast.tomas,
        json={"identifiers": ["CL-1", "ADV-2"], "entity_user_xref_uuids": [cast.priya.uuid]},
    )
    shown = accepted(response)["chat"]["participants"]
    assert len(shown) == 3
    response = world.post(CREATE, key=cast.user, json={"identifiers": ["CL-2"], "title": ""})
    assert accepted(response)["chat"]["title"] == "New chat"


def test_white_space_is_no_title_and_any_other_is_kept(world: World) -> None:
    cast = world.cast
    assert (
        one(world, cast.tomas, create(world, cast.tomas, cast.priya, title=" \t "))["title"]
        == "New chat"
    )
    for title in (" padded ", "x" * 500, "e\u0301 😀 שלום"):
        chat = one(world, cast.tomas, create(world, cast.tomas, cast.priya, title=title))
        assert chat["title"] == title


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "RB785"),
        ({"title": "Alone"}, "RB785"),
        ({"entity_user_xref_uuids": []}, "RB003"),
        ({"identifiers": []}, "RB003"),
        ({"entity_user_xref_uuids": ["no uuid"]}, "RB003"),
        ({"entity_user_xref_uuids": ["CL-1"]}, "RB003"),
        ({"entity_user_xref_uuids": [STRANGER]}, "RN006"),
        ({"identifiers": ["nobody"]}, "RN006"),
        ({"identifiers": ["cl-1"]}, "RN006"),
        ({"identifiers": ["a\x00b"]}, "RB003"),
        ({"identifiers": [""]}, "RB003"),
        ({"identifiers": ["CL-1"], "title": "x" * 501}, "RB003"),
        ({"identifiers": ["CL-1"], "title": "a\x00b"}, "RB003"),
        ({"identifiers": ["CL-1"], "title": "a\x85b"}, "RB003"),
        ({"identifiers": ["CL-1"], "text": ""}, "RB003"),
        ({"identifiers": ["CL-1"], "text": " \n"}, "RB003"),
        ({"identifiers": ["CL-1"], "text": "x" * 5001}, "RB003"),
        ({"identifiers": ["CL-1"], "title": 1}, "RB003"),
        ({"identifiers": ["CL-1"], "is_staff_only": "no"}, "RB003"),
        ({"identifiers": ["CL-1"], "is_staff_only": True}, "RB021"),
    ],
    ids=lambda one: str(one)[:70],
)
def test_a_chat_that_cannot_be_is_refused(world: World, body: dict[str, Any], code: str) -> None:
    refuse(world, code, world.cast.tomas, **body)


def test_nobody_talks_to_themselves(world: World) -> None:
    cast = world.cast
    refuse(world, "RB003", cast.tomas, entity_user_xref_uuids=[cast.tomas.uuid])
    refuse(world, "RB003", cast.tomas, identifiers=["ADV-1"])
    chat_uuid = create(world, cast.tomas, cast.tomas, cast.priya)
    assert len(one(world, cast.tomas, chat_uuid)["participants"]) == 2


def test_clients_reach_the_active_staff_of_their_groups_and_nobody_else(world: World) -> None:
    cast = world.cast
    create(world, cast.priya, cast.tomas, cast.ingrid)
    for other in (cast.olga, cast.miriam, cast.george, cast.petra, cast.karl):
        refuse(world, "RN006", cast.priya, entity_user_xref_uuids=[other.uuid])
    butler = butler_of(world, cast.firm)
    refuse(world, "RN006", cast.priya, entity_user_xref_uuids=[butler])
    refuse(world, "RN006", cast.tomas, entity_user_xref_uuids=[butler])
    set_member_state(world, cast.tomas, "suspended")
    create(world, cast.priya, cast.tomas)
    set_member_state(world, cast.tomas, "inactive")
    refuse(world, "RN006", cast.priya, entity_user_xref_uuids=[cast.tomas.uuid])
    set_group_state(world, cast.team, "inactive")
    refuse(world, "RN006", cast.priya, entity_user_xref_uuids=[cast.ingrid.uuid])


def test_staff_reach_all_staff_and_the_clients_of_their_groups(world: World) -> None:
    cast = world.cast
    create(world, cast.tomas, cast.olga, cast.miriam, cast.priya, cast.george)
    for other in (cast.priya, cast.george):
        refuse(world, "RN006", cast.olga, entity_user_xref_uuids=[other.uuid])
    refuse(world, "RN006", cast.tomas, entity_user_xref_uuids=[cast.petra.uuid])
    refuse(world, "RN006", cast.tomas, entity_user_xref_uuids=[cast.karl.uuid])


def test_whom_one_sees_but_does_not_reach_is_told_apart_from_nobody(world: World) -> None:
    cast = world.cast
    create(world, cast.tomas, cast.priya, cast.olga, cast.george)  # a draft is seen by no other
    refuse(world, "RN006", cast.priya, entity_user_xref_uuids=[cast.olga.uuid])
    create(world, cast.tomas, cast.priya, cast.olga, cast.george, text="All together now")
    refuse(world, "RF003", cast.priya, entity_user_xref_uuids=[cast.olga.uuid])
    refuse(world, "RF003", cast.priya, entity_user_xref_uuids=[cast.george.uuid])
    refuse(world, "RF003", cast.olga, entity_user_xref_uuids=[cast.priya.uuid])
    both = [cast.olga.uuid, cast.miriam.uuid]
    refuse(world, "RN006", cast.priya, entity_user_xref_uuids=both)


def test_a_staff_only_chat_never_takes_a_client(world: World) -> None:
    cast = world.cast
    chat_uuid = create(world, cast.tomas, cast.olga, is_staff_only=True)
    chat = one(world, cast.tomas, chat_uuid)
    assert chat["is_staff_only"] is True
    assert chat["has_clients"] is False
    uuids = [cast.olga.uuid, cast.priya.uuid]
    refuse(world, "RB021", cast.tomas, entity_user_xref_uuids=uuids, is_staff_only=True)
    uuids = [cast.tomas.uuid]
    refuse(world, "RB021", cast.priya, entity_user_xref_uuids=uuids, is_staff_only=True)


def test_a_chat_holds_a_hundred(world: World) -> None:
    cast = world.cast

    async def crowd() -> list[Person]:
        return [await join(world.app, cast.firm, STAFF, f"Person{n}", "Q") for n in range(100)]

    people = world.run(crowd())
    uuids = [person.uuid for person in people]
    refuse(world, "RB015", cast.tomas, entity_user_xref_uuids=uuids)
    chat_uuid = create(world, cast.tomas, *people[:99])
    assert len(one(world, cast.tomas, chat_uuid)["participants"]) == 100


def test_without_an_acting_member_there_is_no_chat(world: World) -> None:
    """The front door sees to it; the domain does not rely on the front door."""

    async def every(work: Work) -> list[str]:
        told = []
        for act in (
            lambda: chats.create(work, uuids=[], identifiers=None, title=""),
            lambda: inbox.view(work, STRANGER),
            lambda: inbox.page(
                work, archived=None, search=None, updated_since=None, cursor=None, limit=1
            ),
            lambda: messages.send_text(work, STRANGER, "hello"),
            lambda: messages.window(work, STRANGER, first=None, last=None),
        ):
            try:
                await act()
            except Refusal as refusal:
                told.append(refusal.code)
        return told

    # The organisation itself may look into any of its chats, but takes part in none.
    assert world.work(world.cast.firm, every) == ["RF004", "RN001", "RF004", "RF004", "RN001"]


# -- seeing one -----------------------------------------------------------------------------------


def test_strangers_and_neighbours_find_no_chat(world: World) -> None:
    cast = world.cast
    chat_uuid = create(world, cast.tomas, cast.priya, text="between us")
    for stranger in (cast.ingrid, cast.george, cast.miriam):
        invisible(world, stranger, chat_uuid)
    params = {"chat_uuid": chat_uuid}
    refused(
        world.get(CHATS, key=cast.other_master, on_behalf_of=cast.karl, params=params),
        "RN001",
        404,
    )
    for unknown, code in ((STRANGER, "RN001"), ("no uuid", "RB003"), ("", "RB003")):
        response = world.get(
            CHATS, key=cast.master, on_behalf_of=cast.tomas, params={"chat_uuid": unknown}
        )
        refused(response, code)
    upper = one(world, cast.priya, chat_uuid.upper())
    assert upper["chat_uuid"] == chat_uuid


def test_a_former_participant_keeps_the_chat_up_to_leaving(world: World) -> None:
    cast = world.cast
    chat_uuid = create(world, cast.tomas, cast.priya, cast.ingrid, text="one")
    send(world, cast.tomas, chat_uuid, "two")
    done(world, "leave", cast.priya, chat_uuid)
    send(world, cast.tomas, chat_uuid, "three")
    chat = one(world, cast.priya, chat_uuid)
    assert chat["last_seq"] == 2
    assert chat["last_message"]["event"]["type"] == "participant.left"
    assert chat["unread_count"] == 2
    states = {p["entity_user_xref_uuid"]: p["state"] for p in chat["participants"]}
    assert states[cast.priya.uuid] == "former"
    assert chat["has_clients"] is False
    assert listed(world, cast.priya) == [chat_uuid]
    assert one(world, cast.tomas, chat_uuid)["last_seq"] == 3


def test_a_client_in_the_chat_is_told_no_key(world: World) -> None:
    cast = world.cast
    chat_uuid = create(world, cast.tomas, cast.priya, text="hello")
    staff = one(world, cast.tomas, chat_uuid)["last_message"]["via"]
    client = one(world, cast.priya, chat_uuid)["last_message"]["via"]
    assert staff == {
        "kind": "master_user_key",
        "api_key_uuid": cast.master.uuid,
        "name": cast.master.name,
    }
    assert client == {"kind": "master_user_key", "api_key_uuid": None, "name": None}


# -- the list -------------------------------------------------------------------------------------


def furnished_list(world: World, count: int = 5) -> list[str]:
    """Chats of tomas and priya, oldest first, each with a message."""
    cast = world.cast
    return [
        create(world, cast.tomas, cast.priya, title=f"Chat {n}", text=f"text {n}")
        for n in range(count)
    ]


def test_the_latest_message_is_first(world: World) -> None:
    cast = world.cast
    chats = furnished_list(world)
    assert listed(world, cast.priya) == chats[::-1]
    send(world, cast.tomas, chats[1])
    assert listed(world, cast.priya) == [chats[1], *[c for c in chats[::-1] if c != chats[1]]]


def test_a_list_without_chats_is_empty(world: World) -> None:
    response = world.get(CHATS, key=world.cast.master, on_behalf_of=world.cast.olga)
    assert accepted(response) == {"chats": [], "next_cursor": None}


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_pages_join_without_gap_or_repetition(world: World, limit: int) -> None:
    cast = world.cast
    chats = furnished_list(world)
    found: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        params: dict[str, Any] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        body = accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.priya, params=params))
        found += [chat["chat_uuid"] for chat in body["chats"]]
        assert len(body["chats"]) <= limit
        cursor = body["next_cursor"]
        if cursor is None:
            break
        assert len(body["chats"]) == limit
    assert found == chats[::-1]


def test_pages_join_though_chats_move_up_meanwhile(world: World) -> None:
    cast = world.cast
    chats = furnished_list(world, 7)
    draft = create(world, cast.priya, cast.tomas)
    found: list[str] = []
    cursor: str | None = None
    for moves in ("a message", "a draft begins", "one leaves", "a new chat", "nothing"):
        params: dict[str, Any] = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        body = accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.priya, params=params))
        found += [chat["chat_uuid"] for chat in body["chats"]]
        cursor = body["next_cursor"]
        if moves == "a message":
            send(world, cast.tomas, chats[2])  # not given yet
            send(world, cast.tomas, chats[2])
            send(world, cast.tomas, chats[6])  # given already
        elif moves == "a draft begins":
            send(world, cast.priya, draft)
        elif moves == "one leaves":
            done(world, "leave", cast.priya, chats[0])
        elif moves == "a new chat":
            create(world, cast.tomas, cast.priya, text="new")
        if cursor is None:
            break
    assert found == [draft, *chats[::-1]]


def test_without_a_limit_everything_is_listed(sqlite_world: World) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    count = 1005

    async def many() -> None:
        one_after_another = [
            world.request(
                "POST",
                CREATE,
                key=cast.master,
                on_behalf_of=cast.tomas,
                json={"entity_user_xref_uuids": [cast.priya.uuid]},
            )
            for _ in range(count)
        ]
        for number in range(0, count, 100):
            for request in one_after_another[number : number + 100]:
                assert (await request).status_code == 200

    world.run(many())
    body = accepted(world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas))
    assert len(body["chats"]) == count
    assert body["next_cursor"] is None


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        " ",
        "nonsense",
        "é",
        "AAAA",
        encoded(1),
        encoded([1]),
        encoded([1, 2]),
        encoded([1, 2, 3, 4]),
        encoded([True, 2, 3]),
        encoded(["1", 2, 3]),
        encoded([1.5, 2, 3]),
        encoded({"a": 1, "b": 2, "c": 3}),
        encoded([10**30, 1, 1]),
        encoded([1, 10**30, 1]),
        encoded([1, 1, 10**30]),
        encoded([-(10**30), 1, 1]),
        encoded([1, -(10**30), 1]),
        base64.urlsafe_b64encode(b"[" * 40_000).decode(),
        base64.urlsafe_b64encode(b"[1, 2, NaN]").decode(),
    ],
    ids=lambda one: one[:20],
)
def test_a_cursor_that_was_not_given_out_is_refused(world: World, cursor: str) -> None:
    cast = world.cast
    params = {"cursor": cursor}
    response = world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas, params=params)
    refused(response, "RB003", 400)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "-1"},
        {"limit": "many"},
        {"limit": "1.5"},
        {"limit": "9" * 30},
        {"archived": "perhaps"},
        {"updated_since": "yesterday"},
        {"updated_since": "2026-11-22T10:00:00"},
        {"updated_since": ""},
        {"search": "x" * 501},
        {"search": "a\x00b"},
    ],
    ids=str,
)
def test_a_parameter_that_cannot_be_is_refused(world: World, params: dict[str, str]) -> None:
    cast = world.cast
    response = world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas, params=params)
    refused(response, "RB003", 400)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("PENSION", ["Pension transfer"]),
        ("pens", ["Pension transfer"]),
        ("", ["Annual review", "100% sure_thing", "Pension transfer"]),
        ("%", ["100% sure_thing"]),
        ("_", ["100% sure_thing"]),
        ("\\", []),
        ("nothing", []),
        ("' OR 1=1 --", []),
    ],
)
def test_titles_are_searched_whatever_their_case(
    world: World, search: str, found: list[str]
) -> None:
    cast = world.cast
    for title in ("Pension transfer", "100% sure_thing", "Annual review"):
        create(world, cast.tomas, cast.priya, title=title)
    params = {"search": search}
    response = world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas, params=params)
    assert [chat["title"] for chat in accepted(response)["chats"]] == found


def test_titles_in_any_script_are_searched_whatever_their_case(world: World) -> None:
    cast = world.cast
    chat_uuid = create(world, cast.tomas, cast.priya, title="Überprüfung ΣΊΣΥΦΟΣ")
    assert listed(world, cast.tomas, search="überPRÜ") == [chat_uuid]


def test_only_what_is_newer_is_listed_when_asked(world: World) -> None:
    cast = world.cast
    chats = furnished_list(world, 3)
    moment = one(world, cast.tomas, chats[1])["last_message_at"]
    assert listed(world, cast.tomas, updated_since=moment) == [chats[2], chats[1]]
    later = times.wire(times.read(moment) + 1)
    assert listed(world, cast.tomas, updated_since=later) == [chats[2]]
    draft = create(world, cast.tomas, cast.priya)
    assert listed(world, cast.tomas, updated_since=later) == [draft, chats[2]]


@pytest.mark.parametrize("offset", ["+00:00", "Z", "z"])
def test_any_offset_names_the_moment(world: World, offset: str) -> None:
    chats = furnished_list(world, 1)
    long_ago = f"2001-01-01T00:00:00{offset}"
    assert listed(world, world.cast.tomas, updated_since=long_ago) == chats
    assert listed(world, world.cast.tomas, updated_since=f"2101-01-01T00:00:00{offset}") == []


# -- the archive ----------------------------------------------------------------------------------


def test_the_archive_is_personal_and_the_list_can_be_cut_by_it(world: World) -> None:
    cast = world.cast
    first, second = furnished_list(world, 2)
    done(world, "archive", cast.priya, first, archived=True)
    assert listed(world, cast.priya) == [second, first]
    assert listed(world, cast.priya, archived="true") == [first]
    assert listed(world, cast.priya, archived="false") == [second]
    assert listed(world, cast.tomas, archived="true") == []
    assert one(world, cast.priya, first)["archived"] is True
    assert one(world, cast.tomas, first)["archived"] is False
