"""Messages: sending a text, and reading a window of them."""

import json
from itertools import pairwise
from typing import Any

import pytest

from tests.cast import ApiKey, Person, set_group_state, set_member_state
from tests.talk import done
from tests.world import CHAT, World, accepted, refused

CREATE = f"{CHAT}/chats/create"
SEND = f"{CHAT}/chats/messages/send-text"
RANGE = f"{CHAT}/chats/messages/range"
STRANGER = "00000000-0000-4000-8000-000000000001"


def start(world: World, *, text: str | None = None) -> str:
    """A chat of tomas with priya and ingrid."""
    cast = world.cast
    body: dict[str, Any] = {"entity_user_xref_uuids": [cast.priya.uuid, cast.ingrid.uuid]}
    if text is not None:
        body["text"] = text
    response = world.post(CREATE, key=cast.master, on_behalf_of=cast.tomas, json=body)
    return str(accepted(response)["chat_uuid"])


def send(
    world: World,
    by: Person,
    chat_uuid: str,
    text: Any = "hello",
    *,
    key: ApiKey | None = None,
    **more: Any,
) -> Any:
    body = {"chat_uuid": chat_uuid, "text": text, **more}
    return world.post(SEND, key=key or world.cast.master, on_behalf_of=by, json=body)


def window(world: World, by: Person, chat_uuid: str, **params: Any) -> list[int]:
    response = world.get(
        RANGE, key=world.cast.master, on_behalf_of=by, params={"chat_uuid": chat_uuid, **params}
    )
    body = accepted(response)
    seqs = [message["seq"] for message in body["messages"]]
    assert body["first_seq"] == (seqs[0] if seqs else None)
    assert body["last_seq"] == (seqs[-1] if seqs else None)
    return seqs


# -- sending --------------------------------------------------------------------------------------


def test_a_text_finds_its_place_and_is_read_back_as_answered(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    first = accepted(send(world, cast.tomas, chat_uuid, "one"))
    second = accepted(send(world, cast.priya, chat_uuid.upper(), "two", reply_to_seq=0))
    assert (first["seq"], second["seq"]) == (0, 1)
    assert first["chat_uuid"] == second["chat_uuid"] == chat_uuid
    message = first["message"]
    assert {name: value for name, value in message.items() if name != "sent_at"} == {
        "chat_uuid": chat_uuid,
        "seq": 0,
        "kind": "text",
        "entity_user_xref_uuid": cast.tomas.uuid,
        "first_name": "Tomas",
        "last_name": "Hartley",
        "text": "one",
        "reply_to_seq": None,
        "attachments": [],
        "event": None,
        "via": {
            "kind": "master_user_key",
            "api_key_uuid": cast.master.uuid,
            "name": cast.master.name,
        },
    }
    params = {"chat_uuid": chat_uuid}
    read = accepted(world.get(RANGE, key=cast.master, on_behalf_of=cast.tomas, params=params))
    assert read["messages"][0] == message
    assert read["messages"][1]["reply_to_seq"] == 0
    for_client = accepted(
        world.get(RANGE, key=cast.master, on_behalf_of=cast.priya, params=params)
    )["messages"]
    assert for_client[1] == second["message"]
    for shown in (*for_client, second["message"]):
        assert shown["via"] == {"kind": "master_user_key", "api_key_uuid": None, "name": None}


def test_a_user_key_says_so(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    body = {"chat_uuid": chat_uuid, "text": "mine"}
    message = accepted(world.post(SEND, key=cast.user, json=body))["message"]
    assert message["via"]["kind"] == "user_key"
    assert message["via"]["name"] == cast.user.name


KEPT = [
    "x",
    "x" * 5000,
    "😀" * 5000,
    " padded \n",
    "tab\tline\nreturn\r\n",
    "e\u0301 is not \u00e9",
    "مرحبا \u202e reversed \u202c",
    "👩‍👩‍👧‍👦 🏳️‍🌈",
    "\u200b zero width \ufeff",
    '"quotes" \\ back \\u0041 </script>',
    "\u2028 line \u2029 paragraph",
    "\uffff \U0010ffff",
]


@pytest.mark.parametrize("text", KEPT, ids=lambda one: ascii(one)[:24])
def test_a_text_is_kept_exactly_as_sent(world: World, text: str) -> None:
    cast = world.cast
    chat_uuid = start(world)
    answered = send(world, cast.tomas, chat_uuid, text)
    assert accepted(answered)["message"]["text"] == text
    params = {"chat_uuid": chat_uuid}
    read = world.get(RANGE, key=cast.master, on_behalf_of=cast.priya, params=params)
    assert accepted(read)["messages"][0]["text"] == text
    chat = world.get(f"{CHAT}/chats", key=cast.master, on_behalf_of=cast.priya, params=params)
    assert accepted(chat)["chat"]["last_message"]["text"] == text


REFUSED = [
    "",
    " ",
    "\t\r\n",
    "\u2003\u00a0",
    "x" * 5001,
    "😀" * 5001,
    *(f"a{chr(code)}b" for code in (0, 1, 8, 11, 12, 14, 27, 31, 0x7F, 0x80, 0x85, 0x9F)),
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda one: ascii(one)[:24])
def test_a_text_that_no_text_can_be_is_refused(sqlite_world: World, text: str) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    chat_uuid = start(world)
    before = world.head(cast.firm)
    body = refused(send(world, cast.tomas, chat_uuid, text), "RB003", 400)
    assert body["errors"][0]["pointer"] == "/text"
    assert world.head(cast.firm) == before


@pytest.mark.parametrize(
    "raw", [rb'"\ud800"', rb'"a\udfffb"', rb'"\ud83d\ud83d"', rb'"\ude00\ud83d"']
)
def test_a_lone_surrogate_is_refused(world: World, raw: bytes) -> None:
    cast = world.cast
    chat_uuid = start(world)
    content = b'{"chat_uuid": "' + chat_uuid.encode() + b'", "text": ' + raw + b"}"
    response = world.post(SEND, key=cast.master, on_behalf_of=cast.tomas, content=content)
    refused(response, "RB003", 400)
    pair = content.replace(raw, rb'"\ud83d\ude00"')
    response = world.post(SEND, key=cast.master, on_behalf_of=cast.tomas, content=pair)
    assert accepted(response)["message"]["text"] == "😀"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chat_uuid": None}, "RB003"),
        ({"chat_uuid": ""}, "RB003"),
        ({"chat_uuid": "no uuid"}, "RB003"),
        ({"chat_uuid": "a\x00b"}, "RB003"),
        ({"chat_uuid": STRANGER}, "RN001"),
        ({"chat_uuid": 7}, "RB003"),
        ({"text": 7}, "RB003"),
        ({"text": None}, "RB003"),
        ({"text": ["a"]}, "RB003"),
        ({"reply_to_seq": 0}, "RB017"),
        ({"reply_to_seq": 2**53 - 1}, "RB017"),
        ({"reply_to_seq": 2**53}, "RB003"),
        ({"reply_to_seq": 10**30}, "RB003"),
        ({"reply_to_seq": -1}, "RB003"),
        ({"reply_to_seq": "0"}, "RB003"),
        ({"reply_to_seq": 0.5}, "RB003"),
        ({"reply_to_seq": True}, "RB003"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    cast = world.cast
    body = {"chat_uuid": start(world), "text": "hello", **changes}
    refused(world.post(SEND, key=cast.master, on_behalf_of=cast.tomas, json=body), code)


@pytest.mark.parametrize("field", ["chat_uuid", "text"])
def test_what_is_required_to_send_is_required(sqlite_world: World, field: str) -> None:
    cast = sqlite_world.cast
    body = {"chat_uuid": STRANGER, "text": "hello"}
    del body[field]
    response = sqlite_world.post(SEND, key=cast.master, on_behalf_of=cast.tomas, json=body)
    refused(response, "RB002", 400)


def test_one_bad_message_does_not_disturb_the_others_of_its_group(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    bodies = [
        {"chat_uuid": chat_uuid, "text": "good"},
        {"chat_uuid": "a\x00b", "text": "bad"},
        {"chat_uuid": chat_uuid, "text": "a\x00b"},
        {"chat_uuid": chat_uuid, "text": "good", "reply_to_seq": 99},
        {"chat_uuid": STRANGER, "text": "bad"},
        {"chat_uuid": chat_uuid, "text": "good"},
    ]
    responses = world.together(
        *(
            world.request("POST", SEND, key=cast.master, on_behalf_of=cast.tomas, json=body)
            for body in bodies
        )
    )
    assert [one.status_code for one in responses] == [200, 400, 400, 400, 404, 200]
    assert window(world, cast.tomas, chat_uuid) == [0, 1]


def test_many_at_once_stand_in_one_gapless_order(world: World) -> None:
    cast = world.cast
    chats = [start(world), start(world)]
    people = [cast.tomas, cast.tomas, cast.ingrid]
    for chat_uuid in chats:
        accepted(send(world, cast.tomas, chat_uuid, "first"))
    before = world.head(cast.firm)
    responses = world.together(
        *(
            world.request(
                "POST",
                SEND,
                key=cast.master,
                on_behalf_of=people[number % 3],
                json={"chat_uuid": chats[number % 2], "text": f"text {number}"},
            )
            for number in range(60)
        )
    )
    for chat_uuid in chats:
        seqs = sorted(
            one.json()["seq"] for one in responses if one.json()["chat_uuid"] == chat_uuid
        )
        assert seqs == list(range(1, 31))
        assert window(world, cast.priya, chat_uuid) == list(range(31))
    entries = world.entries(cast.firm, before)
    assert [entry["position"] for entry in entries] == list(range(before + 1, before + 61))
    assert all(a["at"] <= b["at"] for a, b in pairwise(entries))


# -- who may send ---------------------------------------------------------------------------------


def test_a_former_participant_sends_nothing(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, text="one")
    done(world, "leave", cast.priya, chat_uuid)
    refused(send(world, cast.priya, chat_uuid), "RF001", 403)
    accepted(send(world, cast.tomas, chat_uuid))


def test_a_chat_goes_on_when_the_group_is_gone(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, text="one")
    set_group_state(world, cast.team, "inactive")
    accepted(send(world, cast.priya, chat_uuid))


def test_a_suspended_member_sends_and_reads_nothing(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, text="one")
    accepted(send(world, cast.priya, chat_uuid))
    set_member_state(world, cast.priya, "suspended")
    refused(send(world, cast.priya, chat_uuid), "RF024", 403)
    accepted(send(world, cast.tomas, chat_uuid, "meanwhile"))
    set_member_state(world, cast.priya, "active")
    assert window(world, cast.priya, chat_uuid) == [0, 1, 2]


def test_a_reply_may_point_at_any_earlier_message(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, text="zero")
    accepted(send(world, cast.tomas, chat_uuid, "one", reply_to_seq=0))
    refused(send(world, cast.tomas, chat_uuid, "self", reply_to_seq=2), "RB017", 400)
    accepted(send(world, cast.tomas, chat_uuid, "two", reply_to_seq=1))
    entries = [e for e in world.entries(cast.firm) if e["type"] == "message.sent"]
    assert [entry["data"] for entry in entries] == [{}, {"reply_to_seq": 0}, {"reply_to_seq": 1}]


# -- reading --------------------------------------------------------------------------------------

WINDOWS: list[tuple[dict[str, int], list[int]]] = [
    ({}, list(range(12))),
    ({"limit": 3}, [9, 10, 11]),
    ({"from_seq": 4}, list(range(4, 12))),
    ({"from_seq": 4, "limit": 2}, [4, 5]),
    ({"from_seq": 4, "to_seq": 6}, [4, 5, 6]),
    ({"from_seq": 4, "to_seq": 4}, [4]),
    ({"from_seq": 4, "to_seq": 9, "limit": 2}, [4, 5]),
    ({"to_seq": 6}, list(range(7))),
    ({"to_seq": 6, "limit": 2}, [5, 6]),
    ({"to_seq": 0}, [0]),
    ({"start_seq": 4, "end_seq": 6}, [4, 5, 6]),
    ({"from_seq": 4, "start_seq": 4, "end_seq": 6}, [4, 5, 6]),
    ({"from_seq": 0}, list(range(12))),
    ({"from_seq": 11}, [11]),
    ({"from_seq": 12}, []),
    ({"from_seq": 2**53 - 1}, []),
    ({"to_seq": 2**53 - 1, "limit": 1}, [11]),
    ({"from_seq": 10, "to_seq": 2**53 - 1, "limit": 1000}, [10, 11]),
]


def test_each_form_of_a_window_gives_what_it_says(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    assert window(world, cast.tomas, chat_uuid) == []
    for number in range(12):
        accepted(send(world, cast.tomas, chat_uuid, f"text {number}"))
    for params, seqs in WINDOWS:
        assert window(world, cast.priya, chat_uuid, **params) == seqs, params


def test_fifty_are_given_unless_asked_otherwise(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    world.together(
        *(
            world.request(
                "POST",
                SEND,
                key=cast.master,
                on_behalf_of=cast.tomas,
                json={"chat_uuid": chat_uuid, "text": "x"},
            )
            for _ in range(60)
        )
    )
    assert window(world, cast.priya, chat_uuid) == list(range(10, 60))
    assert window(world, cast.priya, chat_uuid, limit=1000) == list(range(60))
    assert window(world, cast.priya, chat_uuid, from_seq=0) == list(range(50))


@pytest.mark.parametrize(
    "params",
    [
        {"from_seq": 5, "to_seq": 4},
        {"from_seq": 5, "end_seq": 4},
        {"from_seq": 1, "start_seq": 2},
        {"to_seq": 1, "end_seq": 2},
        {"from_seq": -1},
        {"from_seq": 2**53},
        {"from_seq": "x"},
        {"from_seq": 1.5},
        {"to_seq": ""},
        {"limit": 0},
        {"limit": 1001},
        {"chat_uuid": "no uuid"},
        {"chat_uuid": "a\x00"},
    ],
    ids=str,
)
def test_a_window_that_cannot_be_is_refused(world: World, params: dict[str, Any]) -> None:
    cast = world.cast
    chat_uuid = start(world, text="one")
    response = world.get(
        RANGE,
        key=cast.master,
        on_behalf_of=cast.tomas,
        params={"chat_uuid": chat_uuid, **params},
    )
    refused(response, "RB003", 400)


def test_a_window_needs_its_chat(world: World) -> None:
    cast = world.cast
    refused(world.get(RANGE, key=cast.master, on_behalf_of=cast.tomas), "RB002", 400)
    params = {"chat_uuid": STRANGER}
    response = world.get(RANGE, key=cast.master, on_behalf_of=cast.tomas, params=params)
    refused(response, "RN001", 404)


def test_a_former_participants_view_is_frozen(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, text="zero")
    for text in ("one", "two"):
        accepted(send(world, cast.tomas, chat_uuid, text))
    done(world, "leave", cast.priya, chat_uuid)
    for text in ("three", "four"):
        accepted(send(world, cast.tomas, chat_uuid, text))
    for params, seqs in (
        ({}, [0, 1, 2, 3]),  # the last one says that she left
        ({"limit": 2}, [2, 3]),
        ({"from_seq": 1}, [1, 2, 3]),
        ({"from_seq": 4}, []),
        ({"to_seq": 5}, [0, 1, 2, 3]),
        ({"from_seq": 3, "to_seq": 5}, [3]),
    ):
        assert window(world, cast.priya, chat_uuid, **params) == seqs
    assert window(world, cast.ingrid, chat_uuid) == [0, 1, 2, 3, 4, 5]


def test_a_text_that_was_lawfully_erased_is_null(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, text="to be erased")
    position = world.head(cast.firm)
    world.change(cast.firm, "DELETE FROM part WHERE position = $1 AND name = 'text'", position)
    params = {"chat_uuid": chat_uuid}
    read = world.get(RANGE, key=cast.master, on_behalf_of=cast.priya, params=params)
    (message,) = accepted(read)["messages"]
    assert message["text"] is None
    assert message["entity_user_xref_uuid"] == cast.tomas.uuid
    assert json.dumps(message)
