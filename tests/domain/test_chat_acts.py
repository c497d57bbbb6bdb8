"""Acts in a chat: renaming, adding, leaving, removing, discarding, and what each is shown of it."""

from collections.abc import Callable
from typing import Any

import pytest

from onrecord.domain import chats, messages, organisations
from onrecord.store.work import Work
from tests.cast import ApiKey, Person, butler_of, join, make_key, set_member_state
from tests.talk import (
    CHATS,
    RANGE,
    STRANGER,
    act,
    by_hand,
    chat_of,
    code_by_hand,
    done,
    feed_of,
    listed,
    messages_of,
    say,
    start,
    states,
    told,
    uuids,
)
from tests.world import CHAT, World, accepted, refused

ACTS: list[tuple[str, dict[str, Any]]] = [
    ("rename", {"title": "Another"}),
    ("invite", {"identifiers": ["ADV-3"]}),
    ("remove", {"identifiers": ["CL-1"]}),
    ("leave", {}),
    ("discard", {}),
    ("archive", {"archived": True}),
    ("mute", {"muted": True}),
    ("read", {"seq": 0}),
]


def types_after(world: World, head: int) -> list[str]:
    return [entry["type"] for entry in world.entries(world.cast.firm, head)]


def unmoved(world: World, code: str, what: str, by: Person, chat_uuid: str, **body: Any) -> None:
    """An act is refused and nothing is put on record."""
    before = world.head(world.cast.firm)
    refused(act(world, what, by, chat_uuid, **body), code)
    assert world.head(world.cast.firm) == before


def let_clients_add(world: World, *, allowed: bool = True) -> None:
    world.work(
        world.cast.firm,
        lambda work: organisations.set_setting(work, "clients_may_add_participants", allowed),
    )


# -- whose chat it is -----------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "body"), ACTS, ids=[what for what, _ in ACTS])
def test_who_never_took_part_finds_no_chat_to_act_in(
    world: World, what: str, body: dict[str, Any]
) -> None:
    cast = world.cast
    begun = start(world, cast.tomas, cast.priya, text="zero")
    draft = start(world, cast.tomas, cast.priya)
    for stranger, chat_uuid in (
        (cast.ingrid, begun),  # a colleague of the same team
        (cast.miriam, begun),  # the system administrator
        (cast.karl, begun),  # next door
        (cast.priya, draft),  # a draft is its creator's
        (cast.tomas, STRANGER),
    ):
        refused(act(world, what, stranger, chat_uuid, **body), "RN001", 404)
    refused(act(world, what, cast.tomas, "no uuid", **body), "RB003", 400)


@pytest.mark.parametrize(("what", "body"), ACTS[:5], ids=[what for what, _ in ACTS[:5]])
def test_who_has_left_acts_no_more(world: World, what: str, body: dict[str, Any]) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    done(world, "leave", cast.ingrid, chat_uuid)
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya])
    for gone in (cast.ingrid, cast.priya):
        unmoved(world, "RF001", what, gone, chat_uuid, **body)
        unmoved(world, "RF001", "messages/send-text", gone, chat_uuid, text="once more")


@pytest.mark.parametrize(("what", "body"), ACTS, ids=[what for what, _ in ACTS])
def test_an_act_needs_the_right_to_write(
    sqlite_world: World, what: str, body: dict[str, Any]
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    reader = cast.alone[cast.master.kind, "can_read_chat"]
    refused(act(world, what, cast.tomas, chat_uuid, key=reader, **body), "RF742", 403)
    assert chat_of(world, cast.tomas, chat_uuid)["last_seq"] == 0


def test_everything_done_by_key_follows_the_rule_of_the_same_act_by_hand(world: World) -> None:
    cast = world.cast
    begun = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    done(world, "leave", cast.ingrid, begun)
    draft = start(world, cast.priya, cast.tomas)
    secret = start(world, cast.tomas, cast.ingrid, is_staff_only=True, text="zero")
    olga, priya, george = ([one.uuid] for one in (cast.olga, cast.priya, cast.george))
    cases: list[tuple[Person, str, str, dict[str, Any], Callable[[Work], Any], str]] = [
        (
            cast.ingrid,
            "rename",
            begun,
            {"title": "x"},
            lambda work: chats.rename(work, begun, "x"),
            "RF001",
        ),
        (
            cast.olga,
            "rename",
            begun,
            {"title": "x"},
            lambda work: chats.rename(work, begun, "x"),
            "RN001",
        ),
        (
            cast.priya,
            "rename",
            begun,
            {"title": ""},
            lambda work: chats.rename(work, begun, ""),
            "RB003",
        ),
        (
            cast.priya,
            "invite",
            begun,
            {"entity_user_xref_uuids": olga},
            lambda work: chats.invite(work, begun, olga, None),
            "RF002",
        ),
        (
            cast.priya,
            "remove",
            begun,
            {"entity_user_xref_uuids": olga},
            lambda work: chats.remove(work, begun, olga, None),
            "RF002",
        ),
        (
            cast.tomas,
            "remove",
            begun,
            {"entity_user_xref_uuids": olga},
            lambda work: chats.remove(work, begun, olga, None),
            "RN006",
        ),
        (
            cast.tomas,
            "invite",
            secret,
            {"entity_user_xref_uuids": george},
            lambda work: chats.invite(work, secret, george, None),
            "RB021",
        ),
        (cast.priya, "leave", draft, {}, lambda work: chats.leave(work, draft), "RB019"),
        (cast.tomas, "discard", draft, {}, lambda work: chats.discard(work, draft), "RN001"),
        (cast.tomas, "discard", begun, {}, lambda work: chats.discard(work, begun), "RB019"),
        (
            cast.ingrid,
            "messages/send-text",
            begun,
            {"text": "x"},
            lambda work: messages.send_text(work, begun, "x"),
            "RF001",
        ),
        (
            cast.priya,
            "messages/send-text",
            begun,
            {"text": "x", "reply_to_seq": 9},
            lambda work: messages.send_text(work, begun, "x", 9),
            "RB017",
        ),
        (
            cast.tomas,
            "create",
            "",
            {"entity_user_xref_uuids": priya, "is_staff_only": True},
            lambda work: chats.create(
                work, uuids=priya, identifiers=None, title="", is_staff_only=True
            ),
            "RB021",
        ),
        (
            cast.olga,
            "create",
            "",
            {"entity_user_xref_uuids": priya},
            lambda work: chats.create(work, uuids=priya, identifiers=None, title=""),
            "RN006",
        ),
    ]
    before = world.head(cast.firm)
    for person, what, chat_uuid, body, deed, code in cases:
        refused(act(world, what, person, chat_uuid, **body), code)
        assert code_by_hand(world, person, deed) == code, what
    assert world.head(cast.firm) == before


def test_the_record_says_who_is_shown_and_which_key_acted(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    before = world.head(cast.firm)
    done(world, "rename", cast.priya, chat_uuid, title="Pension")
    done(world, "invite", cast.tomas, chat_uuid, key=cast.user, others=[cast.olga])
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.olga])
    by_hand(world, cast.ingrid, lambda work: chats.leave(work, chat_uuid))
    entries = world.entries(cast.firm, before)
    assert [
        (e["type"], e["actor"]["entity_user_xref_uuid"], e["actor"].get("api_key_uuid"))
        for e in entries
    ] == [
        ("chat.renamed", cast.priya.uuid, cast.master.uuid),
        ("participant.joined", cast.tomas.uuid, cast.user.uuid),
        ("participant.removed", cast.tomas.uuid, cast.master.uuid),
        ("participant.left", cast.ingrid.uuid, None),
    ]
    assert [e["seq"] for e in entries] == [1, 2, 3, 4]
    assert "Pension" not in str(entries)  # a title is erasable content
    for entry, key in zip(entries[:3], (cast.master, cast.user, cast.master), strict=True):
        assert "address" in entry["content"]  # the source, as erasable content
        (shown,) = [
            m for m in messages_of(world, cast.tomas, chat_uuid) if m["seq"] == entry["seq"]
        ]
        assert shown["entity_user_xref_uuid"] == entry["actor"]["entity_user_xref_uuid"]
        assert (shown["via"]["api_key_uuid"], shown["via"]["name"]) == (key.uuid, key.name)
    assert messages_of(world, cast.tomas, chat_uuid)[4]["via"]["kind"] == "session"
    for shown in messages_of(world, cast.priya, chat_uuid):
        assert (shown["via"]["api_key_uuid"], shown["via"]["name"]) == (None, None)


# -- renaming -------------------------------------------------------------------------------------


def test_any_participant_may_rename_at_any_time(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, title="First", text="zero")
    for seq, person in enumerate((cast.priya, cast.ingrid, cast.tomas), start=1):
        chat = done(world, "rename", person, chat_uuid, title=f"By {person.first_name}")
        assert chat["title"] == f"By {person.first_name}"
        assert chat["last_seq"] == seq
        assert chat["last_message"]["kind"] == "event"
        assert chat["last_message"]["text"] is None
        assert chat["last_message"]["event"] == {
            "type": "chat.renamed",
            "title": f"By {person.first_name}",
        }
        assert chat["last_message"]["entity_user_xref_uuid"] == person.uuid
    assert chat_of(world, cast.priya, chat_uuid)["title"] == "By Tomas"
    assert listed(world, cast.ingrid, search="by tom") == [chat_uuid]
    assert listed(world, cast.ingrid, search="first") == []


def test_the_same_title_again_changes_nothing(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, title="Pension", text="zero")
    before = world.head(cast.firm)
    assert done(world, "rename", cast.priya, chat_uuid, title="Pension")["last_seq"] == 0
    assert world.head(cast.firm) == before
    assert done(world, "rename", cast.priya, chat_uuid, title="PENSION")["last_seq"] == 1


@pytest.mark.parametrize("title", ["x", "x" * 500, " padded ", "e\u0301 😀 שלום"], ids=ascii)
def test_a_new_title_is_kept_as_given(world: World, title: str) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    assert done(world, "rename", cast.tomas, chat_uuid, title=title)["title"] == title
    shown = messages_of(world, cast.priya, chat_uuid)[-1]
    assert shown["event"]["title"] == title


@pytest.mark.parametrize("title", ["", "  ", "x" * 501, "a\x00b", "a\x85b", 7, None, ["x"]])
def test_a_title_that_cannot_be_is_refused(world: World, title: Any) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    unmoved(world, "RB003", "rename", cast.tomas, chat_uuid, title=title)


def test_acts_in_a_draft_are_on_record_but_no_messages(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    chat_uuid = start(world, cast.tomas, cast.priya)
    done(world, "rename", cast.tomas, chat_uuid, title="Once thought")
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.ingrid, cast.olga])
    chat = done(world, "remove", cast.tomas, chat_uuid, others=[cast.olga])
    assert (chat["last_seq"], chat["last_message"], chat["state"]) == (None, None, "draft")
    entries = world.entries(cast.firm, before)
    assert [(e["type"], e["chat_index"], e.get("seq")) for e in entries] == [
        ("chat.created", 1, None),
        ("participant.joined", 2, None),
        ("participant.joined", 3, None),
        ("chat.renamed", 4, None),
        ("participant.joined", 5, None),
        ("participant.joined", 6, None),
        ("participant.removed", 7, None),
    ]
    assert say(world, cast.tomas, chat_uuid, "hello")["seq"] == 0
    assert told(messages_of(world, cast.priya, chat_uuid)) == ["hello"]
    assert [e["type"] for e in feed_of(world, cast.ingrid, chat_uuid)] == ["message.sent"]
    assert len(feed_of(world, cast.tomas, chat_uuid)) == 8


# -- adding ---------------------------------------------------------------------------------------


def test_staff_add_their_contacts_and_any_staff(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    chat = done(
        world, "invite", cast.tomas, chat_uuid, others=[cast.george, cast.olga, cast.miriam]
    )
    assert states(chat) == dict.fromkeys(["Tomas", "Priya", "George", "Olga", "Miriam"], "active")
    assert told(messages_of(world, cast.priya, chat_uuid)) == ["zero", *["participant.joined"] * 3]
    event = messages_of(world, cast.priya, chat_uuid)[1]["event"]
    assert event == {
        "type": "participant.joined",
        "entity_user_xref_uuid": cast.george.uuid,
        "first_name": "George",
        "last_name": "Lind",
    }


def test_whom_staff_cannot_reach_they_cannot_add(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.olga, text="zero")
    for by, other, code in (
        (cast.olga, cast.george, "RN006"),  # no group in common, and never seen
        (cast.tomas, cast.petra, "RN006"),  # pending
        (cast.tomas, cast.karl, "RN006"),  # next door
    ):
        unmoved(world, code, "invite", by, chat_uuid, others=[other])
    start(world, cast.tomas, cast.george, cast.olga, text="now they see each other")
    unmoved(world, "RF003", "invite", cast.olga, chat_uuid, others=[cast.george])
    butler = [butler_of(world, cast.firm)]
    unmoved(world, "RN006", "invite", cast.tomas, chat_uuid, entity_user_xref_uuids=butler)
    both = uuids(cast.miriam, cast.petra)
    unmoved(world, "RN006", "invite", cast.tomas, chat_uuid, entity_user_xref_uuids=both)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "RB785"),
        ({"entity_user_xref_uuids": []}, "RB003"),
        ({"identifiers": []}, "RB003"),
        ({"entity_user_xref_uuids": ["no uuid"]}, "RB003"),
        ({"entity_user_xref_uuids": [STRANGER]}, "RN006"),
        ({"identifiers": ["nobody"]}, "RN006"),
        ({"identifiers": ["a\x00b"]}, "RB003"),
    ],
    ids=str,
)
@pytest.mark.parametrize("what", ["invite", "remove"])
def test_who_is_meant_must_be_named_well(
    world: World, what: str, body: dict[str, Any], code: str
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    unmoved(world, code, what, cast.tomas, chat_uuid, **body)


def test_who_takes_part_already_is_not_added_twice(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    before = world.head(cast.firm)
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.priya, cast.tomas])
    assert world.head(cast.firm) == before
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.priya, cast.ingrid, cast.ingrid])
    assert types_after(world, before) == ["participant.joined"]


def test_clients_add_nobody_unless_the_organisation_lets_them(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.george, text="zero")
    for client in (cast.priya, cast.george):
        unmoved(world, "RF002", "invite", client, chat_uuid, others=[cast.ingrid])
    let_clients_add(world)
    unmoved(world, "RN006", "invite", cast.priya, chat_uuid, others=[cast.olga])
    unmoved(world, "RN006", "invite", cast.priya, chat_uuid, others=[cast.miriam])
    assert "Ingrid" in states(done(world, "invite", cast.priya, chat_uuid, others=[cast.ingrid]))
    let_clients_add(world, allowed=False)
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.ingrid])
    unmoved(world, "RF002", "invite", cast.priya, chat_uuid, others=[cast.ingrid])


def test_a_client_never_adds_another_client(world: World) -> None:
    cast = world.cast
    let_clients_add(world)
    chat_uuid = start(world, cast.priya, cast.tomas, text="zero")
    unmoved(world, "RN006", "invite", cast.priya, chat_uuid, others=[cast.george])
    start(world, cast.tomas, cast.priya, cast.george, text="now they see each other")
    unmoved(world, "RF003", "invite", cast.priya, chat_uuid, others=[cast.george])


def test_newcomers_see_the_whole_history_and_their_feed_begins_with_joining(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    say(world, cast.priya, chat_uuid, "one")
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga])
    say(world, cast.priya, chat_uuid, "three")
    seen = messages_of(world, cast.olga, chat_uuid)
    assert told(seen) == ["zero", "one", "participant.joined", "three"]
    assert chat_of(world, cast.olga, chat_uuid)["unread_count"] == 3
    feed = feed_of(world, cast.olga, chat_uuid)
    assert [(e["type"], e["seq"]) for e in feed] == [
        ("participant.joined", 2),
        ("message.sent", 3),
    ]


def test_who_was_added_to_a_client_is_reached_in_that_chat_only(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga])
    say(world, cast.olga, chat_uuid, "I am new here")
    say(world, cast.priya, chat_uuid, "welcome")
    refused(
        act(world, "create", cast.olga, "", entity_user_xref_uuids=[cast.priya.uuid]), "RF003", 403
    )
    refused(
        act(world, "create", cast.priya, "", entity_user_xref_uuids=[cast.olga.uuid]), "RF003", 403
    )
    let_clients_add(world)
    other = start(world, cast.priya, cast.ingrid, text="zero")
    unmoved(world, "RF003", "invite", cast.priya, other, others=[cast.olga])


def test_a_suspended_member_is_added_and_removed_and_reads_it_when_back(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.ingrid, text="zero")
    set_member_state(world, cast.priya, "suspended")
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.priya])
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya])
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.priya])
    refused(act(world, "leave", cast.priya, chat_uuid), "RF024", 403)
    say(world, cast.tomas, chat_uuid, "meanwhile")
    set_member_state(world, cast.priya, "active")
    assert told(messages_of(world, cast.priya, chat_uuid))[-1] == "meanwhile"


def test_a_staff_only_chat_takes_no_client_later_either(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.ingrid, is_staff_only=True, text="zero")
    for client in (cast.priya, cast.george):
        unmoved(world, "RB021", "invite", cast.tomas, chat_uuid, others=[cast.olga, client])
    assert done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga])["has_clients"] is False


def test_a_chat_never_has_more_than_a_hundred_active_participants(world: World) -> None:
    cast = world.cast

    async def crowd() -> list[Person]:
        return [await join(world.app, cast.firm, 3, f"Person{n}", "Q") for n in range(98)]

    people = world.run(crowd())
    chat_uuid = start(world, cast.tomas, *people, text="zero")  # 99 with tomas
    unmoved(world, "RB015", "invite", cast.tomas, chat_uuid, others=[cast.olga, cast.ingrid])
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga, people[0]])
    unmoved(world, "RB015", "invite", cast.tomas, chat_uuid, others=[cast.ingrid])
    done(world, "leave", cast.olga, chat_uuid)  # former participants do not count
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.ingrid])
    unmoved(world, "RB015", "invite", cast.tomas, chat_uuid, others=[cast.olga])


# -- leaving and removing -------------------------------------------------------------------------


def test_any_participant_may_leave_and_so_may_the_creator(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    chat = done(world, "leave", cast.priya, chat_uuid)
    assert states(chat) == {"Tomas": "active", "Priya": "former", "Ingrid": "active"}
    assert chat["last_message"]["event"]["type"] == "participant.left"
    assert chat["last_message"]["event"]["entity_user_xref_uuid"] == cast.priya.uuid
    done(world, "leave", cast.tomas, chat_uuid)
    say(world, cast.ingrid, chat_uuid, "alone now")
    done(world, "leave", cast.ingrid, chat_uuid)  # a chat may stand empty: what was said stays
    assert told(messages_of(world, cast.priya, chat_uuid)) == ["zero", "participant.left"]
    assert len(messages_of(world, cast.ingrid, chat_uuid)) == 5
    assert chat_of(world, cast.ingrid, chat_uuid)["has_clients"] is False


def test_staff_participants_remove_others_and_clients_remove_nobody(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.priya, cast.tomas, cast.ingrid, text="zero")
    for client, other in ((cast.priya, cast.ingrid), (cast.priya, cast.priya)):
        unmoved(world, "RF002", "remove", client, chat_uuid, others=[other])
    let_clients_add(world)
    unmoved(world, "RF002", "remove", cast.priya, chat_uuid, others=[cast.ingrid])
    chat = done(world, "remove", cast.tomas, chat_uuid, identifiers=["ADV-2", "CL-1"])
    assert states(chat) == {"Priya": "former", "Tomas": "active", "Ingrid": "former"}
    events = [one["event"] for one in messages_of(world, cast.tomas, chat_uuid)[1:]]
    assert [(e["type"], e["first_name"]) for e in events] == [
        ("participant.removed", "Ingrid"),
        ("participant.removed", "Priya"),
    ]


def test_one_leaves_by_leaving_and_not_by_being_removed(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    unmoved(world, "RB003", "remove", cast.tomas, chat_uuid, others=[cast.priya, cast.tomas])


def test_only_who_took_part_is_removed_and_only_once(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    unmoved(world, "RN006", "remove", cast.tomas, chat_uuid, others=[cast.priya, cast.olga])
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya])
    before = world.head(cast.firm)
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya])
    assert world.head(cast.firm) == before
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya, cast.ingrid])
    assert types_after(world, before) == ["participant.removed"]


# -- the frozen view of a former participant ------------------------------------------------------


def frozen_view(world: World, person: Person, chat_uuid: str) -> tuple[Any, ...]:
    """Everything that a person can find out about a chat by reading."""
    return (
        chat_of(world, person, chat_uuid),
        messages_of(world, person, chat_uuid),
        feed_of(world, person, chat_uuid),
        listed(world, person),
        listed(world, person, search="Secret"),
        listed(world, person, archived="true"),
    )


@pytest.mark.parametrize("how", ["leave", "remove"])
def test_a_former_participant_sees_nothing_of_what_comes_after(world: World, how: str) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.george, title="Pension", text="zero")
    latest = start(world, cast.tomas, cast.priya, text="another chat")
    say(world, cast.priya, chat_uuid, "one")
    if how == "leave":
        done(world, "leave", cast.priya, chat_uuid)
    else:
        done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya])
    say(world, cast.tomas, latest, "and this one is the latest")
    done(world, "archive", cast.priya, chat_uuid, archived=True)
    before = frozen_view(world, cast.priya, chat_uuid)
    say(world, cast.tomas, chat_uuid, "two")
    done(world, "rename", cast.tomas, chat_uuid, title="Secret plan")
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga, cast.ingrid])
    done(world, "read", cast.george, chat_uuid, seq=5)
    done(world, "leave", cast.george, chat_uuid)
    say(world, cast.olga, chat_uuid, "three")
    after = frozen_view(world, cast.priya, chat_uuid)
    # Up to where others have read what was said before is no news of the chat.
    for chat in (before[0], after[0]):
        for one in chat["participants"]:
            assert one.pop("read_seq") in {None, 2}
    assert after == before
    chat = after[0]
    assert (chat["title"], chat["last_seq"], chat["archived"]) == ("Pension", 2, True)
    assert states(chat) == {"Tomas": "active", "Priya": "former", "George": "active"}
    assert told(after[1]) == [
        "zero",
        "one",
        f"participant.{'left' if how == 'leave' else 'removed'}",
    ]
    assert listed(world, cast.priya) == [latest, chat_uuid]
    params: dict[str, Any] = {"chat_uuid": chat_uuid, "from_seq": 3}
    body = accepted(world.get(RANGE, key=cast.master, on_behalf_of=cast.priya, params=params))
    assert body == {"messages": [], "first_seq": None, "last_seq": None}


def test_a_former_participants_pages_join_though_the_chat_goes_on(world: World) -> None:
    cast = world.cast
    chat_uuids = [start(world, cast.tomas, cast.priya, text=f"chat {n}") for n in range(4)]
    done(world, "leave", cast.priya, chat_uuids[1])
    expected = [chat_uuids[n] for n in (1, 3, 2, 0)]
    found: list[str] = []
    cursor = None
    while True:
        say(world, cast.tomas, chat_uuids[1], "without her")
        params = {"limit": 1, **({"cursor": cursor} if cursor else {})}
        response = world.get(CHATS, key=cast.master, on_behalf_of=cast.priya, params=params)
        body = accepted(response)
        found += [chat["chat_uuid"] for chat in body["chats"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert found == expected
    last = chat_of(world, cast.tomas, chat_uuids[1])["last_message_at"]
    assert listed(world, cast.priya, updated_since=last) == []
    assert listed(world, cast.tomas, updated_since=last) == [chat_uuids[1]]


def test_what_a_former_participant_is_shown_expanded_is_frozen_too(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, title="Pension", text="zero")
    done(world, "leave", cast.priya, chat_uuid)
    done(world, "rename", cast.tomas, chat_uuid, title="Secret plan")
    params = {"expand": "true", "limit": 1000}
    response = world.get(f"{CHAT}/events", key=cast.master, on_behalf_of=cast.priya, params=params)
    assert "Secret plan" not in response.text
    assert "Pension" in response.text


# -- coming back ----------------------------------------------------------------------------------


def test_who_comes_back_sees_all_by_range_and_by_feed_the_stays_without_the_gap(
    world: World,
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    say(world, cast.tomas, chat_uuid, "first stay")
    done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya])
    say(world, cast.tomas, chat_uuid, "in her absence")
    passed = world.head(cast.firm)
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.priya])
    say(world, cast.priya, chat_uuid, "second stay")
    everything = [
        "zero",
        "first stay",
        "participant.removed",
        "in her absence",
        "participant.joined",
        "second stay",
    ]
    assert told(messages_of(world, cast.priya, chat_uuid)) == everything
    seqs = [entry["seq"] for entry in feed_of(world, cast.priya, chat_uuid) if "seq" in entry]
    assert seqs == [0, 1, 2, 4, 5]
    newer = [entry["seq"] for entry in feed_of(world, cast.priya, chat_uuid, after=passed)]
    assert newer == [4, 5]
    done(world, "leave", cast.priya, chat_uuid)
    say(world, cast.tomas, chat_uuid, "again without her")
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.priya])
    seqs = [entry["seq"] for entry in feed_of(world, cast.priya, chat_uuid) if "seq" in entry]
    assert seqs == [0, 1, 2, 4, 5, 6, 8]
    chat = chat_of(world, cast.priya, chat_uuid)
    assert states(chat) == dict.fromkeys(["Tomas", "Priya", "Ingrid"], "active")
    assert (chat["last_seq"], chat["archived"]) == (8, False)


def test_whose_stay_ended_before_sees_who_was_there_then(world: World) -> None:
    """Others may come back after one has left: one goes on seeing them as one left them."""
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, cast.olga, text="zero")
    done(world, "leave", cast.olga, chat_uuid)
    done(world, "leave", cast.priya, chat_uuid)
    expected = {"Tomas": "active", "Priya": "former", "Ingrid": "active", "Olga": "former"}
    shown = chat_of(world, cast.priya, chat_uuid)["participants"]
    assert states({"participants": shown}) == expected
    done(world, "leave", cast.ingrid, chat_uuid)
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga, cast.ingrid])
    assert chat_of(world, cast.priya, chat_uuid)["participants"] == shown
    assert states(chat_of(world, cast.olga, chat_uuid)) == {**expected, "Olga": "active"}


# -- drafts ---------------------------------------------------------------------------------------


def test_a_draft_is_discarded_by_its_creator_and_gone_for_good(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    chat_uuid = start(world, cast.tomas, cast.priya)
    unmoved(world, "RN001", "discard", cast.priya, chat_uuid)
    assert accepted(act(world, "discard", cast.tomas, chat_uuid)) == {}
    assert types_after(world, before)[-1] == "chat.discarded"
    assert listed(world, cast.tomas) == []
    for what, body in (*ACTS, ("messages/send-text", {"text": "too late"})):
        unmoved(world, "RN001", what, cast.tomas, chat_uuid, **body)
    refused(
        world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas, params={"chat_uuid": chat_uuid}),
        "RN001",
        404,
    )
    assert feed_of(world, cast.priya, chat_uuid) == []
    assert feed_of(world, cast.tomas, chat_uuid)[-1]["type"] == "chat.discarded"


def test_what_has_begun_is_not_discarded(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya)
    say(world, cast.tomas, chat_uuid)
    for person in (cast.tomas, cast.priya):
        unmoved(world, "RB019", "discard", person, chat_uuid)


def test_a_draft_is_not_left_and_keeps_somebody_besides_its_creator(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid)
    unmoved(world, "RB019", "leave", cast.tomas, chat_uuid)
    unmoved(world, "RB019", "remove", cast.tomas, chat_uuid, others=[cast.priya, cast.ingrid])
    chat = done(world, "remove", cast.tomas, chat_uuid, others=[cast.priya])
    assert states(chat) == {"Tomas": "active", "Ingrid": "active"}
    unmoved(world, "RB019", "remove", cast.tomas, chat_uuid, others=[cast.ingrid])
    say(world, cast.tomas, chat_uuid)
    assert listed(world, cast.priya) == []  # taken out of a draft she never saw
    assert feed_of(world, cast.priya, chat_uuid) == []
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.priya])
    assert told(messages_of(world, cast.priya, chat_uuid)) == ["hello", "participant.joined"]


def test_two_who_act_at_once_stand_one_after_the_other(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    before = world.head(cast.firm)

    def request(what: str, by: Person, key: ApiKey, **body: Any) -> Any:
        return world.request(
            "POST",
            f"{CHATS}/{what}",
            key=key,
            on_behalf_of=by,
            json={"chat_uuid": chat_uuid, **body},
        )

    responses = world.together(
        request("leave", cast.priya, cast.master),
        request("remove", cast.tomas, cast.user, identifiers=["CL-1"]),
        request("invite", cast.ingrid, cast.master, identifiers=["ADV-3"]),
        request("invite", cast.tomas, cast.user, identifiers=["ADV-3"]),
        *(request("rename", cast.ingrid, cast.master, title=f"Title {n}") for n in range(4)),
        *(request("messages/send-text", cast.ingrid, cast.master, text=f"{n}") for n in range(4)),
    )
    left, *others = responses
    assert all(one.status_code == 200 for one in others), [one.text for one in others]
    entries = world.entries(cast.firm, before)
    counted = [entry["type"] for entry in entries]
    # Whoever was first took priya out; leaving a chat that one is out of is refused.
    assert counted.count("participant.left") == (left.status_code == 200)
    assert counted.count("participant.left") + counted.count("participant.removed") == 1
    assert counted.count("participant.joined") == 1
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert states(chat_of(world, cast.tomas, chat_uuid)) == {
        "Tomas": "active",
        "Priya": "former",
        "Ingrid": "active",
        "Olga": "active",
    }


def test_a_key_of_the_owner_acts_in_the_owners_chats_alone(world: World) -> None:
    cast = world.cast
    mine = start(world, cast.tomas, cast.priya, text="zero")
    theirs = start(world, cast.ingrid, cast.priya, text="zero")
    own = world.run(make_key(world.app, cast.firm, cast.user.kind, member_uuid=cast.olga.uuid))
    done(world, "rename", cast.tomas, mine, key=cast.user, title="Mine")
    refused(act(world, "rename", cast.tomas, theirs, key=cast.user, title="x"), "RN001", 404)
    refused(act(world, "rename", cast.olga, mine, key=own, title="x"), "RN001", 404)
    refused(act(world, "rename", cast.ingrid, theirs, key=cast.user, title="x"), "RF004", 403)
