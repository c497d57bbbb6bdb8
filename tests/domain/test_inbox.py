"""One's own view of chats: archive, mute, read marks and what is unread."""

from typing import Any

import pytest

from onrecord.domain import chats, inbox, messages
from onrecord.model.access import Kind
from tests.cast import Person
from tests.talk import (
    CREATE,
    SEND,
    act,
    by_hand,
    chat_of,
    code_by_hand,
    done,
    listed,
    say,
    start,
    uuids,
)
from tests.world import World, accepted, refused


def archived(world: World, person: Person, chat_uuid: str) -> bool:
    """Whether a chat is in a person's archive; the two lists say the same as the chat."""
    off = chat_uuid in listed(world, person, archived="true")
    shown = chat_of(world, person, chat_uuid)["archived"]
    kept = chat_uuid in listed(world, person, archived="false")
    assert (shown, kept) == (off, not off)
    return off


def marks(world: World, by: Person, chat_uuid: str) -> dict[str, int | None]:
    """How far each participant has read, as a person is shown it."""
    participants = chat_of(world, by, chat_uuid)["participants"]
    return {one["first_name"]: one["read_seq"] for one in participants}


# -- archive --------------------------------------------------------------------------------------


def test_archive_is_personal_and_off_the_record(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    before = world.head(cast.firm)
    assert done(world, "archive", cast.tomas, chat_uuid, archived=True)["archived"] is True
    assert archived(world, cast.tomas, chat_uuid)
    assert not archived(world, cast.priya, chat_uuid)
    done(world, "archive", cast.tomas, chat_uuid, archived=True)
    assert done(world, "archive", cast.tomas, chat_uuid, archived=False)["archived"] is False
    assert not archived(world, cast.tomas, chat_uuid)
    assert world.head(cast.firm) == before


def test_a_message_from_somebody_else_brings_an_archived_chat_back(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    everybody = (cast.tomas, cast.priya, cast.ingrid)
    for person in everybody:
        done(world, "archive", person, chat_uuid, archived=True)
    say(world, cast.priya, chat_uuid)
    # Priya's own was sent by a key.
    assert [archived(world, one, chat_uuid) for one in everybody] == [False, True, False]


def test_ones_own_message_brings_it_back_when_sent_by_hand_and_not_when_sent_by_key(
    world: World,
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    done(world, "archive", cast.tomas, chat_uuid, archived=True)
    for key in (cast.master, cast.user):
        say(world, cast.tomas, chat_uuid, key=key)
        assert archived(world, cast.tomas, chat_uuid)
    by_hand(world, cast.tomas, lambda work: messages.send_text(work, chat_uuid, "by hand"))
    assert not archived(world, cast.tomas, chat_uuid)


def test_events_bring_nothing_back_whoever_causes_them(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    for person in (cast.tomas, cast.priya):
        done(world, "archive", person, chat_uuid, archived=True)
    done(world, "rename", cast.ingrid, chat_uuid, title="Another")
    done(world, "invite", cast.ingrid, chat_uuid, others=[cast.olga, cast.george])
    done(world, "remove", cast.ingrid, chat_uuid, others=[cast.george])
    done(world, "leave", cast.olga, chat_uuid)
    by_hand(world, cast.tomas, lambda work: chats.rename(work, chat_uuid, "Renamed by hand"))
    for person in (cast.tomas, cast.priya):
        assert archived(world, person, chat_uuid)
        assert chat_of(world, person, chat_uuid)["title"] == "Renamed by hand"


def test_create_send_archive_stays_archived_until_the_client_replies(world: World) -> None:
    """The recipe of automations, with a key that may write and nothing else."""
    cast = world.cast
    key = cast.alone[Kind.MASTER_USER, "can_write_chat"]
    how: dict[str, Any] = {"key": key, "on_behalf_of": cast.tomas}
    body = {"entity_user_xref_uuids": uuids(cast.priya), "title": "Your statement"}
    chat_uuid = accepted(world.post(CREATE, json=body, **how))["chat_uuid"]
    for text in ("Your statement is ready.", "You find it in your files."):
        accepted(world.post(SEND, json={"chat_uuid": chat_uuid, "text": text}, **how))
        if text.startswith("Your"):
            done(world, "archive", cast.tomas, chat_uuid, key=key, archived=True)
    assert archived(world, cast.tomas, chat_uuid)
    assert not archived(world, cast.priya, chat_uuid)
    assert chat_of(world, cast.tomas, chat_uuid)["unread_count"] == 0
    say(world, cast.priya, chat_uuid, "Thank you")
    assert not archived(world, cast.tomas, chat_uuid)
    assert chat_of(world, cast.tomas, chat_uuid)["unread_count"] == 1


def test_a_draft_and_a_chat_one_has_left_can_be_archived(world: World) -> None:
    cast = world.cast
    draft = start(world, cast.tomas, cast.priya)
    done(world, "archive", cast.tomas, draft, archived=True)
    say(world, cast.tomas, draft)
    assert archived(world, cast.tomas, draft)
    done(world, "leave", cast.priya, draft)
    done(world, "archive", cast.priya, draft, archived=True)
    say(world, cast.tomas, draft)
    assert archived(world, cast.priya, draft)
    done(world, "invite", cast.tomas, draft, others=[cast.priya])
    assert not archived(world, cast.priya, draft)  # being taken back is no old matter


@pytest.mark.parametrize("value", [None, "true", 1, 0, "", []], ids=repr)
@pytest.mark.parametrize(("what", "field"), [("archive", "archived"), ("mute", "muted")])
def test_yes_or_no_is_a_boolean(sqlite_world: World, what: str, field: str, value: Any) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    refused(act(world, what, cast.tomas, chat_uuid, **{field: value}), "RB003", 400)
    refused(act(world, what, cast.tomas, chat_uuid), "RB002", 400)


# -- mute -----------------------------------------------------------------------------------------


def test_mute_is_personal_and_stays_whatever_is_sent(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    before = world.head(cast.firm)
    assert done(world, "mute", cast.tomas, chat_uuid, muted=True)["muted"] is True
    assert world.head(cast.firm) == before
    say(world, cast.priya, chat_uuid)
    assert chat_of(world, cast.tomas, chat_uuid)["muted"] is True
    assert chat_of(world, cast.priya, chat_uuid)["muted"] is False
    assert done(world, "mute", cast.tomas, chat_uuid, muted=False)["muted"] is False


# -- read marks -----------------------------------------------------------------------------------


def test_a_read_mark_never_goes_back(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    for text in ("one", "two"):
        say(world, cast.tomas, chat_uuid, text)
    before = world.head(cast.firm)
    seen = []
    for seq in (1, 0, 2, 1, 2):
        chat = done(world, "read", cast.priya, chat_uuid, seq=seq)
        seen.append((chat["read_seq"], chat["unread_count"]))
    assert seen == [(1, 1), (1, 1), (2, 0), (2, 0), (2, 0)]
    assert world.head(cast.firm) == before  # a personal view is no part of the record


def test_what_is_not_there_cannot_have_been_read(world: World) -> None:
    cast = world.cast
    draft = start(world, cast.tomas, cast.priya)
    refused(act(world, "read", cast.tomas, draft, seq=0), "RN003", 404)
    say(world, cast.tomas, draft)
    refused(act(world, "read", cast.priya, draft, seq=1), "RN003", 404)
    done(world, "leave", cast.priya, draft)  # the event has number 1
    say(world, cast.tomas, draft)
    refused(act(world, "read", cast.priya, draft, seq=2), "RN003", 404)
    assert done(world, "read", cast.priya, draft, seq=1)["read_seq"] == 1
    for seq, code in ((None, "RB003"), (-1, "RB003"), ("0", "RB003"), (2**53, "RB003")):
        refused(act(world, "read", cast.tomas, draft, seq=seq), code, 400)
    refused(act(world, "read", cast.tomas, draft), "RB002", 400)


def test_read_by_some_and_read_by_all_is_seen_by_everybody_in_the_chat(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    say(world, cast.tomas, chat_uuid, "one")
    nobody = {"Tomas": None, "Priya": None, "Ingrid": None}
    assert marks(world, cast.tomas, chat_uuid) == nobody
    done(world, "read", cast.priya, chat_uuid, seq=1)
    for person in (cast.tomas, cast.priya, cast.ingrid):
        assert marks(world, person, chat_uuid) == {**nobody, "Priya": 1}
    done(world, "read", cast.ingrid, chat_uuid, seq=0)
    done(world, "read", cast.tomas, chat_uuid, seq=1)
    assert marks(world, cast.priya, chat_uuid) == {"Tomas": 1, "Priya": 1, "Ingrid": 0}


def test_reading_by_hand_and_by_key_follow_the_same_rule(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    chat = by_hand(world, cast.priya, lambda work: inbox.read(work, chat_uuid, 0))
    assert (chat.read_seq, chat.unread_count) == (0, 0)
    assert code_by_hand(world, cast.priya, lambda w: inbox.read(w, chat_uuid, 1)) == "RN003"
    assert code_by_hand(world, cast.ingrid, lambda w: inbox.read(w, chat_uuid, 0)) == "RN001"
    shown = by_hand(world, cast.priya, lambda w: inbox.archive(w, chat_uuid, archived=True))
    assert shown.archived is True


# -- unread ---------------------------------------------------------------------------------------


def test_unread_counts_texts_of_others_and_no_events_and_nothing_of_ones_own(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    say(world, cast.priya, chat_uuid, "one")
    done(world, "rename", cast.tomas, chat_uuid, title="Another")
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.olga])
    say(world, cast.ingrid, chat_uuid, "four")

    def unread() -> dict[str, int]:
        return {
            one.first_name: chat_of(world, one, chat_uuid)["unread_count"]
            for one in (cast.tomas, cast.priya, cast.ingrid, cast.olga)
        }

    assert unread() == {"Tomas": 2, "Priya": 2, "Ingrid": 2, "Olga": 3}
    done(world, "read", cast.tomas, chat_uuid, seq=2)
    done(world, "read", cast.priya, chat_uuid, seq=4)
    assert unread() == {"Tomas": 1, "Priya": 0, "Ingrid": 2, "Olga": 3}


def test_sending_by_hand_moves_ones_own_read_mark_and_sending_by_key_does_not(
    world: World,
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    say(world, cast.priya, chat_uuid, "one")
    for key in (cast.master, cast.user):
        say(world, cast.tomas, chat_uuid, key=key)
    chat = chat_of(world, cast.tomas, chat_uuid)
    assert (chat["read_seq"], chat["unread_count"]) == (None, 1)
    by_hand(world, cast.tomas, lambda work: messages.send_text(work, chat_uuid, "by hand"))
    chat = chat_of(world, cast.tomas, chat_uuid)
    assert (chat["read_seq"], chat["unread_count"]) == (4, 0)
    assert chat["last_message"]["via"] == {"kind": "session", "api_key_uuid": None, "name": None}
    assert marks(world, cast.priya, chat_uuid) == {"Tomas": 4, "Priya": None}


def test_the_first_text_of_a_chat_started_by_hand_counts_as_read(world: World) -> None:
    cast = world.cast
    chat_uuid = by_hand(
        world,
        cast.tomas,
        lambda work: chats.create(
            work, uuids=uuids(cast.priya), identifiers=None, title="", first_text="hello"
        ),
    )
    assert marks(world, cast.priya, chat_uuid) == {"Tomas": 0, "Priya": None}
    by_key = start(world, cast.tomas, cast.priya, text="hello")
    assert marks(world, cast.priya, by_key) == {"Tomas": None, "Priya": None}
