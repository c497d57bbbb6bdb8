"""The Butler: whom it speaks to, what it says, and its chat that nobody writes into."""

from typing import Any

import httpx
import pytest

from onrecord.domain import butler, chats, inbox, messages
from onrecord.model.access import Kind
from onrecord.model.chats import Recipient
from tests.cast import ApiKey, Person, butler_of, join, set_member_state
from tests.talk import (
    BUTLER_TEXT,
    STRANGER,
    act,
    chat_of,
    code_by_hand,
    done,
    feed_of,
    listed,
    messages_of,
    say,
    start,
    uuids,
)
from tests.world import World, accepted, refused


def speak(world: World, text: Any = "Hello", *, key: ApiKey | None = None, **to: Any) -> Any:
    body = {"text": text, **to}
    return world.post(BUTLER_TEXT, key=key or world.cast.master, json=body)


def said(world: World, text: str = "Hello", **to: Any) -> dict[str, Any]:
    return accepted(speak(world, text, **to))


def heard_by(answer: dict[str, Any]) -> set[str]:
    return {one["entity_user_xref_uuid"] for one in answer["results"] if "seq" in one}


def butler_chat(world: World, person: Person) -> str:
    """The uuid of the Butler chat that a person has, after a word of the Butler."""
    (result,) = said(world, entity_user_xref_uuid=person.uuid)["results"]
    return str(result["chat_uuid"])


def nothing_said(world: World, response: httpx.Response, code: str, status: int) -> None:
    refused(response, code, status)
    types = [entry["type"] for entry in world.entries(world.cast.firm)]
    assert "message.sent" not in types
    assert "chat.created" not in types


# -- whom it speaks to ----------------------------------------------------------------------------


def test_one_member_is_named_by_uuid_or_by_identifier(world: World) -> None:
    cast = world.cast
    first = said(world, "one", entity_user_xref_uuid=cast.priya.uuid)
    assert first == {
        "sent": 1,
        "failed": 0,
        "results": [
            {
                "entity_user_xref_uuid": cast.priya.uuid,
                "chat_uuid": first["results"][0]["chat_uuid"],
                "seq": 0,
            }
        ],
    }
    second = said(world, "two", identifier="CL-1")
    third = said(world, "three", entity_user_xref_uuid=cast.priya.uuid.upper(), identifier="CL-1")
    assert [one["results"][0]["seq"] for one in (second, third)] == [1, 2]
    assert third["results"][0]["chat_uuid"] == first["results"][0]["chat_uuid"]


def test_a_uuid_and_the_identifier_of_another_name_nobody(world: World) -> None:
    cast = world.cast
    both = speak(world, entity_user_xref_uuid=cast.priya.uuid, identifier="CL-2")
    nothing_said(world, both, "RB003", 400)


def test_many_are_named_each_hears_once_and_results_stand_in_the_order_named(
    world: World,
) -> None:
    cast = world.cast
    named = uuids(cast.george, cast.priya, cast.tomas, cast.priya)
    answer = said(
        world,
        entity_user_xref_uuids=named,
        identifiers=["ADV-2", "CL-1"],
        entity_user_xref_uuid=cast.tomas.uuid,
    )
    order = [one["entity_user_xref_uuid"] for one in answer["results"]]
    assert order == uuids(cast.tomas, cast.george, cast.priya, cast.ingrid)
    assert (answer["sent"], answer["failed"]) == (4, 0)
    assert {one["seq"] for one in answer["results"]} == {0}


def test_an_audience_is_the_union_of_roles_groups_and_those_named(world: World) -> None:
    cast = world.cast
    team = {cast.tomas.uuid, cast.ingrid.uuid, cast.priya.uuid, cast.george.uuid}
    for to, expected in (
        ({"audience": {"group_uuids": [cast.team]}}, team),
        ({"audience": {"enum_profile_ids": [4]}}, {cast.priya.uuid}),
        ({"audience": {"enum_profile_ids": [4, 5]}}, {cast.priya.uuid, cast.george.uuid}),
        (
            {"audience": {"enum_profile_ids": [1], "group_uuids": [cast.team]}},
            team | {cast.miriam.uuid},
        ),
        (
            {"audience": {"enum_profile_ids": [5]}, "entity_user_xref_uuids": [cast.olga.uuid]},
            {cast.george.uuid, cast.olga.uuid},
        ),
        ({"audience": {"everyone": True}}, set(uuids(*cast.people))),
        (
            {"audience": {"everyone": True, "enum_profile_ids": [4], "group_uuids": [cast.team]}},
            set(uuids(*cast.people)),
        ),
    ):
        answer = said(world, **to)
        assert heard_by(answer) == expected
        assert len(answer["results"]) == answer["sent"] == len(expected)
    for person in cast.people:  # each has one Butler chat, whatever they were reached by
        assert len(listed(world, person)) == 1


def test_an_audience_holds_the_active_and_the_suspended_and_no_others(world: World) -> None:
    cast = world.cast
    set_member_state(world, cast.olga, "suspended")
    set_member_state(world, cast.ingrid, "inactive")  # petra is pending
    expected = set(uuids(cast.miriam, cast.tomas, cast.olga, cast.priya, cast.george))
    for audience in (
        {"everyone": True},
        {"enum_profile_ids": [1, 2, 3, 4, 5]},
    ):
        answer = said(world, "You will read this when you are back", audience=audience)
        assert heard_by(answer) == expected
        assert answer["failed"] == 0
    in_team = said(world, audience={"group_uuids": [cast.team]})
    assert heard_by(in_team) == set(uuids(cast.tomas, cast.priya, cast.george))
    set_member_state(world, cast.olga, "active")
    (chat_uuid,) = listed(world, cast.olga)
    assert len(messages_of(world, cast.olga, chat_uuid)) == 2


def test_what_became_of_each_is_told_by_recipient(world: World) -> None:
    cast = world.cast
    set_member_state(world, cast.olga, "inactive")
    voice = butler_of(world, cast.firm)
    named = [
        *uuids(cast.priya, cast.petra, cast.olga, cast.karl),
        voice,
        STRANGER,
        cast.tomas.uuid,
    ]
    answer = said(world, entity_user_xref_uuids=named, identifiers=["nobody"])
    assert (answer["sent"], answer["failed"]) == (2, 6)
    told = {
        one.get("entity_user_xref_uuid") or one["identifier"]: one.get("error_code")
        for one in answer["results"]
    }
    assert told == {
        cast.priya.uuid: None,
        cast.petra.uuid: "RF024",  # pending
        cast.olga.uuid: "RF024",  # inactive
        cast.karl.uuid: "RN006",  # next door
        voice: "RB035",
        STRANGER: "RN006",
        cast.tomas.uuid: None,
        "nobody": "RN006",
    }
    for one in answer["results"]:
        assert set(one) in (
            {"entity_user_xref_uuid", "chat_uuid", "seq"},
            {"entity_user_xref_uuid", "error_code"},
            {"identifier", "error_code"},  # nobody's: there is no uuid to be told
        )


@pytest.mark.parametrize(
    "to",
    [
        {},
        {"entity_user_xref_uuids": []},
        {"identifiers": []},
        {"audience": {}},
        {"audience": {"everyone": False}},
        {"audience": {"enum_profile_ids": [2]}},  # the firm has none
        {"audience": {"enum_profile_ids": [], "group_uuids": []}},
        {"entity_user_xref_uuid": None, "audience": None},
    ],
    ids=str,
)
def test_nobody_to_speak_to_is_refused(world: World, to: dict[str, Any]) -> None:
    nothing_said(world, speak(world, **to), "RB002", 400)


@pytest.mark.parametrize(
    ("to", "code", "status"),
    [
        ({"audience": {"group_uuids": [STRANGER]}}, "RN002", 404),
        ({"audience": {"group_uuids": ["no uuid"]}}, "RB003", 400),
        ({"audience": {"enum_profile_ids": [0]}}, "RB003", 400),
        ({"audience": {"enum_profile_ids": [6]}}, "RB003", 400),
        ({"audience": {"enum_profile_ids": [7]}}, "RB003", 400),
        ({"audience": {"enum_profile_ids": ["4"]}}, "RB003", 400),
        ({"audience": {"everyone": "yes"}}, "RB003", 400),
        ({"audience": []}, "RB003", 400),
        ({"entity_user_xref_uuid": "no uuid"}, "RB003", 400),
        ({"entity_user_xref_uuids": ["CL-1"]}, "RB003", 400),
        ({"entity_user_xref_uuids": [None]}, "RB003", 400),
        ({"identifiers": ["a\x00b"]}, "RB003", 400),
        ({"identifiers": ["x" * 501]}, "RB003", 400),
        ({"identifiers": [""]}, "RB003", 400),
        ({"identifier": "a\x00b"}, "RB003", 400),
    ],
    ids=lambda one: str(one)[:70],
)
def test_an_audience_that_cannot_be_is_refused(
    world: World, to: dict[str, Any], code: str, status: int
) -> None:
    nothing_said(world, speak(world, **to), code, status)


@pytest.mark.parametrize(
    ("audience", "place"),
    [
        ({"group_uuids": ["no uuid"]}, "/audience/group_uuids/0"),
        ({"enum_profile_ids": [4, 6]}, "/audience/enum_profile_ids/1"),
        ({"enum_profile_ids": ["4"]}, "/audience/enum_profile_ids/0"),
    ],
)
def test_what_is_wrong_with_an_audience_is_pointed_at(
    world: World, audience: dict[str, Any], place: str
) -> None:
    body = refused(speak(world, audience=audience), "RB003", 400)
    assert [error["pointer"] for error in body["errors"]] == [place]


def test_a_group_next_door_is_no_group(world: World) -> None:
    rows = world.rows(
        "SELECT g.uuid FROM client_group g JOIN entity e ON e.id = g.entity_id WHERE e.uuid = $1",
        world.cast.other,
    )
    both = [world.cast.team, rows[0][0]]
    nothing_said(world, speak(world, audience={"group_uuids": both}), "RN002", 404)


def test_only_master_user_keys_let_the_butler_speak(world: World) -> None:
    cast = world.cast
    to: dict[str, Any] = {"entity_user_xref_uuid": cast.priya.uuid}
    refused(speak(world, key=cast.user, **to), "RF008", 403)
    refused(speak(world, key=cast.system, **to), "RF008", 403)
    for permission in ("can_read_chat", "can_read_contacts", "can_export"):
        refused(speak(world, key=cast.alone[Kind.MASTER_USER, permission], **to), "RF742", 403)
    accepted(speak(world, key=cast.alone[Kind.MASTER_USER, "can_write_chat"], **to))


def test_an_acting_member_may_be_named_and_the_butler_speaks_all_the_same(world: World) -> None:
    cast = world.cast
    body = {"entity_user_xref_uuid": cast.priya.uuid, "text": "Hello"}
    response = world.post(BUTLER_TEXT, key=cast.master, on_behalf_of=cast.tomas, json=body)
    (result,) = accepted(response)["results"]
    (message,) = messages_of(world, cast.priya, result["chat_uuid"])
    assert message["entity_user_xref_uuid"] == butler_of(world, cast.firm)


# -- what it says ---------------------------------------------------------------------------------


def test_the_placeholders_become_each_recipients_name(world: World) -> None:
    cast = world.cast
    text = "Dear <First Name> <Last Name>, <First Name>! <first name> <Middle Name> <First  Name>"
    answer = said(world, text, audience={"everyone": True})
    for result in answer["results"]:
        (person,) = [one for one in cast.people if one.uuid == result["entity_user_xref_uuid"]]
        (message,) = messages_of(world, person, result["chat_uuid"])
        first, last = person.first_name, person.last_name
        assert message["text"] == (
            f"Dear {first} {last}, {first}! <first name> <Middle Name> <First  Name>"
        )


def test_a_name_that_holds_a_placeholder_is_said_as_it_is(world: World) -> None:
    cast = world.cast
    world.change(
        cast.firm,
        "UPDATE member SET first_name = $2, last_name = $3 WHERE uuid = $1",
        cast.olga.uuid,
        "<Last Name>",
        "\\1 <First Name>",
    )
    text = "<First Name>, <Last Name>"
    (result,) = said(world, text, entity_user_xref_uuid=cast.olga.uuid)["results"]
    (message,) = messages_of(world, cast.olga, result["chat_uuid"])
    assert message["text"] == "<Last Name>, \\1 <First Name>"


def test_a_text_that_cannot_be_once_the_names_are_in_it_is_refused_for_that_recipient(
    world: World,
) -> None:
    cast = world.cast
    long = world.run(join(world.app, cast.firm, 3, "Maximiliana-Josephine", "Q"))
    bare = world.run(join(world.app, cast.firm, 3, "Nameless", ""))
    both = uuids(cast.priya, long, bare)
    answer = said(world, "x" * 4988 + "<First Name>", entity_user_xref_uuids=both)
    assert [one.get("error_code") for one in answer["results"]] == [None, "RB003", None]
    assert (answer["sent"], answer["failed"]) == (2, 1)
    answer = said(world, " <Last Name>", entity_user_xref_uuids=both)
    assert [one.get("error_code") for one in answer["results"]] == [None, None, "RB003"]


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 5001, "x" * 4989 + "<First Name>", "a\x00b", "a\x85b", 7, None, ["x"]]
)
def test_a_text_that_no_text_can_be_is_refused_for_all(world: World, text: Any) -> None:
    response = speak(world, text, entity_user_xref_uuid=world.cast.priya.uuid)
    nothing_said(world, response, "RB003", 400)


# -- the Butler chat ------------------------------------------------------------------------------


def test_every_member_has_one_butler_chat(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    first = said(world, "one", audience={"everyone": True})
    places = {one["entity_user_xref_uuid"]: one["chat_uuid"] for one in first["results"]}
    assert len(set(places.values())) == len(cast.people)
    entries = world.entries(cast.firm, before)
    made = [entry for entry in entries if entry["type"] == "chat.created"]
    assert {entry["chat_uuid"] for entry in made} == set(places.values())
    assert all(entry["data"] == {"is_staff_only": False, "is_butler": True} for entry in made)
    assert {entry["entity_user_xref_uuid"]: entry["chat_uuid"] for entry in made} == places
    assert {entry["type"] for entry in entries} == {"chat.created", "message.sent"}
    before = world.head(cast.firm)
    second = said(world, "two", audience={"everyone": True})
    assert {one["entity_user_xref_uuid"]: one["chat_uuid"] for one in second["results"]} == places
    assert {entry["type"] for entry in world.entries(cast.firm, before)} == {"message.sent"}
    chat = chat_of(world, cast.priya, places[cast.priya.uuid])
    assert (chat["is_butler"], chat["state"], chat["last_seq"]) == (True, "active", 1)
    assert (chat["is_staff_only"], chat["has_clients"]) == (False, True)
    assert [one["entity_user_xref_uuid"] for one in chat["participants"]] == [cast.priya.uuid]
    assert [entry["type"] for entry in feed_of(world, cast.priya, chat["chat_uuid"])] == [
        "chat.created",
        "message.sent",
        "message.sent",
    ]


def test_two_words_at_once_make_one_butler_chat(world: World) -> None:
    cast = world.cast
    responses = world.together(
        *(
            world.request(
                "POST",
                BUTLER_TEXT,
                key=cast.master,
                json={"text": f"{number}", "audience": {"everyone": True}},
            )
            for number in range(4)
        )
    )
    assert all(accepted(one)["sent"] == len(cast.people) for one in responses)
    for person in cast.people:
        (chat_uuid,) = listed(world, person)
        texts = [one["text"] for one in messages_of(world, person, chat_uuid)]
        assert sorted(texts) == ["0", "1", "2", "3"]


def test_the_butler_chat_of_another_is_nobodys_business(world: World) -> None:
    cast = world.cast
    chat_uuid = butler_chat(world, cast.priya)
    for other in (cast.tomas, cast.miriam, cast.george, cast.karl):
        for what, body in BUTLER_TAKES_NONE:
            refused(act(world, what, other, chat_uuid, **body), "RN001", 404)
        refused(act(world, "read", other, chat_uuid, seq=0), "RN001", 404)


BUTLER_TAKES_NONE: list[tuple[str, dict[str, Any]]] = [
    ("messages/send-text", {"text": "Thank you"}),
    ("rename", {"title": "Mine"}),
    ("invite", {"identifiers": ["ADV-2"]}),
    ("remove", {"identifiers": ["ADV-1"]}),
    ("leave", {}),
    ("discard", {}),
    ("archive", {"archived": True}),
    ("archive", {"archived": False}),
    ("mute", {"muted": True}),
    ("mute", {"muted": False}),
]


@pytest.mark.parametrize(
    ("what", "body"), BUTLER_TAKES_NONE, ids=[str(one) for one in BUTLER_TAKES_NONE]
)
def test_nobody_acts_in_the_butler_chat(world: World, what: str, body: dict[str, Any]) -> None:
    cast = world.cast
    for person in (cast.tomas, cast.priya, cast.miriam):
        chat_uuid = butler_chat(world, person)
        before = world.head(cast.firm), chat_of(world, person, chat_uuid)
        refused(act(world, what, person, chat_uuid, **body), "RF005", 403)
        assert (world.head(cast.firm), chat_of(world, person, chat_uuid)) == before
    refused(
        act(world, what, cast.tomas, butler_chat(world, cast.tomas), key=cast.user, **body), "RF005"
    )


def test_nobody_acts_in_the_butler_chat_by_hand_either(world: World) -> None:
    cast = world.cast
    chat_uuid = butler_chat(world, cast.tomas)
    for deed in (
        lambda work: messages.send_text(work, chat_uuid, "Thank you"),
        lambda work: chats.rename(work, chat_uuid, "Mine"),
        lambda work: chats.invite(work, chat_uuid, uuids(cast.ingrid), None),
        lambda work: chats.remove(work, chat_uuid, uuids(cast.tomas), None),
        lambda work: chats.leave(work, chat_uuid),
        lambda work: chats.discard(work, chat_uuid),
        lambda work: inbox.archive(work, chat_uuid, archived=True),
        lambda work: inbox.mute(work, chat_uuid, muted=True),
    ):
        assert code_by_hand(world, cast.tomas, deed) == "RF005"


def test_what_the_butler_said_is_read_counted_and_marked_as_read(world: World) -> None:
    cast = world.cast
    chat_uuid = butler_chat(world, cast.priya)
    assert chat_of(world, cast.priya, chat_uuid)["unread_count"] == 1
    said(world, "again", identifier="CL-1")
    chat = chat_of(world, cast.priya, chat_uuid)
    assert (chat["unread_count"], chat["read_seq"]) == (2, None)
    chat = done(world, "read", cast.priya, chat_uuid, seq=1)
    assert (chat["unread_count"], chat["read_seq"]) == (0, 1)
    assert chat["participants"][0]["read_seq"] == 1


def test_the_latest_word_brings_the_butler_chat_to_the_top(world: World) -> None:
    cast = world.cast
    chat_uuid = butler_chat(world, cast.priya)
    other = start(world, cast.tomas, cast.priya, text="zero")
    assert listed(world, cast.priya) == [other, chat_uuid]
    said(world, "again", identifier="CL-1")
    assert listed(world, cast.priya) == [chat_uuid, other]


# -- who is shown, and which key acted ------------------------------------------------------------


def test_the_butler_is_shown_as_author_and_the_record_says_which_key_acted(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    (result,) = said(world, "Hello", entity_user_xref_uuid=cast.tomas.uuid)["results"]
    voice = butler_of(world, cast.firm)
    (message,) = messages_of(world, cast.tomas, result["chat_uuid"])
    assert (message["kind"], message["entity_user_xref_uuid"]) == ("text", voice)
    assert message["first_name"] == "Butler"
    assert message["via"] == {
        "kind": "master_user_key",
        "api_key_uuid": cast.master.uuid,
        "name": cast.master.name,
    }
    for entry in world.entries(cast.firm, before):
        assert entry["actor"]["kind"] == "master_user"
        assert entry["actor"]["entity_user_xref_uuid"] == voice
        assert entry["actor"]["api_key_uuid"] == cast.master.uuid
        assert "address" in entry["content"]
    assert "Hello" not in str(world.entries(cast.firm, before))


def test_the_client_side_is_not_told_the_key(world: World) -> None:
    cast = world.cast
    for person in (cast.priya, cast.george):
        chat_uuid = butler_chat(world, person)
        nameless = {"kind": "master_user_key", "api_key_uuid": None, "name": None}
        (message,) = messages_of(world, person, chat_uuid)
        assert message["via"] == nameless
        chat = chat_of(world, person, chat_uuid)
        assert chat["last_message"]["via"] == nameless
        assert cast.master.name not in str(chat)


def test_nobody_starts_or_joins_a_chat_with_the_butler(world: World) -> None:
    cast = world.cast
    voice = [butler_of(world, cast.firm)]
    refused(act(world, "create", cast.tomas, "", entity_user_xref_uuids=voice), "RN006", 404)
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    for what in ("invite", "remove"):
        response = act(world, what, cast.tomas, chat_uuid, entity_user_xref_uuids=voice)
        refused(response, "RN006", 404)
    say(world, cast.priya, chat_uuid)


def test_acting_on_behalf_of_the_butler_is_refused(world: World) -> None:
    cast = world.cast
    chat_uuid = butler_chat(world, cast.priya)
    response = world.post(
        BUTLER_TEXT,
        key=cast.master,
        on_behalf_of=butler_of(world, cast.firm),
        json={"text": "x", "entity_user_xref_uuid": cast.priya.uuid},
    )
    refused(response, "RB035", 400)
    assert chat_of(world, cast.priya, chat_uuid)["last_seq"] == 0


def test_a_work_of_the_butler_is_bounded(sqlite_world: World) -> None:
    """A caller that forgot the slices would hold the record's end for too long."""
    cast = sqlite_world.cast

    async def everybody_at_once(work: Any) -> None:
        await butler.say(work, [Recipient(0, STRANGER)] * 501, "Hello")

    with pytest.raises(ValueError, match="500"):
        sqlite_world.work(cast.firm, everybody_at_once)
