"""Data reviewers: which chats each may find and read, and the trace that each reading leaves."""

from typing import Any

import httpx
import pytest

from onrecord.domain import organisations, reviewers
from onrecord.model import times
from onrecord.model.access import STAFF, Kind
from onrecord.model.errors import Refusal
from tests.cast import Browser, Person, Shown, join, set_member_state
from tests.sending import LETTER, send_file, uploaded
from tests.talk import (
    CHATS,
    RANGE,
    by_hand,
    chat_of,
    done,
    messages_of,
    say,
    start,
    told,
)
from tests.world import CHAT, ENTITY, World, accepted, refused

LIST = f"{ENTITY}/chats/list"
READ = f"{ENTITY}/chats/messages/range"
FETCH = f"{ENTITY}/chats/attachments"
REVIEW = "/app-service/api/review"
PROFILE = f"{ENTITY}/entity-memberships/profile/update"
WHY = {"reason": "Complaint 17"}


def make_reviewer(world: World, person: Person, level: int) -> Browser:
    """Give a member of staff a reviewer's level; they are signed in."""
    body = {"entity_user_xref_uuid": person.uuid, "data_reviewer_level": level}
    accepted(world.post(PROFILE, key=world.cast.system, json=body))
    return world.session(person)


def look(world: World, by: Shown, **params: Any) -> httpx.Response:
    """List chats, in person with a reason."""
    if isinstance(by, Browser):
        return world.get(f"{REVIEW}/chats/list", key=by, params={**WHY, **params})
    return world.get(LIST, key=by, params=params)


def listed(world: World, by: Shown, **params: Any) -> list[str]:
    """Give the titles of the chats that are listed."""
    return [chat["title"] for chat in accepted(look(world, by, **params))["chats"]]


def read(world: World, by: Shown, chat_uuid: str, **params: Any) -> httpx.Response:
    """Read messages of a chat, in person with a reason."""
    params = {"chat_uuid": chat_uuid, **params}
    if isinstance(by, Browser):
        return world.get(f"{REVIEW}/messages/range", key=by, params={**WHY, **params})
    return world.get(READ, key=by, params=params)


def fetch(world: World, by: Shown, file_uuid: str) -> httpx.Response:
    """Download a file, in person with a reason."""
    params = {"attachment_uuid": file_uuid}
    if isinstance(by, Browser):
        return world.get(f"{REVIEW}/attachments", key=by, params={**WHY, **params})
    return world.get(FETCH, key=by, params=params)


def readings(world: World, after: int) -> list[dict[str, Any]]:
    """Give the readings on record after a position."""
    entries = world.entries(world.cast.firm, after)
    return [entry for entry in entries if entry["type"] == "record.read"]


def part(world: World, entry: dict[str, Any], name: str) -> str:
    """Give the bytes of a part of an entry, as text."""
    found = world.rows(
        "SELECT p.data FROM part p JOIN entity e ON e.id = p.entity_id"
        " WHERE e.uuid = $1 AND p.position = $2 AND p.name = $3",
        entry["entity_uuid"],
        entry["position"],
        name,
    )
    return bytes(found[0][0]).decode()


def some_chats(world: World) -> dict[str, str]:
    """Start chats of every sort, by their titles."""
    cast = world.cast
    theirs = world.run(join(world.app, cast.firm, 4, "Otto", "Brand", identifier="CL-9"))
    chats = {
        "team": start(world, cast.tomas, cast.priya, title="team", text="one"),
        "desk": start(world, cast.miriam, theirs, title="desk", text="two"),
        "staff": start(world, cast.tomas, cast.olga, title="staff", text="three"),
        "left": start(world, cast.ingrid, cast.george, title="left", text="four"),
    }
    done(world, "leave", cast.george, chats["left"])
    start(world, cast.tomas, cast.priya, title="draft")
    start(world, cast.karl, cast.nadia, title="next door", text="five")
    return chats


# -- who may read what ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "titles"),
    [
        (1, ["left", "team"]),
        (2, ["left", "desk", "team"]),
        (3, ["left", "staff", "desk", "team"]),
    ],
)
def test_each_level_finds_and_reads_its_chats_and_no_other(
    world: World, level: int, titles: list[str]
) -> None:
    cast = world.cast
    chats = some_chats(world)
    by = make_reviewer(world, cast.ingrid, level)
    assert listed(world, by) == titles
    for title, chat_uuid in chats.items():
        response = read(world, by, chat_uuid)
        if title in titles:
            assert told(accepted(response)["messages"])[0] in {"one", "two", "three", "four"}
        else:
            refused(response, "RN001", 404)


def test_a_key_that_may_review_finds_and_reads_every_chat(world: World) -> None:
    cast = world.cast
    chats = some_chats(world)
    for key in (cast.system, cast.superkey, cast.alone[Kind.SYSTEM, "can_review_data"]):
        assert listed(world, key) == ["left", "staff", "desk", "team"]
        for chat_uuid in chats.values():
            accepted(read(world, key, chat_uuid))
    others = [chat["title"] for chat in accepted(look(world, cast.other_system))["chats"]]
    assert others == ["next door"]
    refused(read(world, cast.other_system, chats["team"]), "RN001", 404)


def test_a_draft_is_nobodys_to_review_before_its_first_message(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, title="draft")
    by = make_reviewer(world, cast.olga, 3)
    for who in (by, cast.system):
        assert listed(world, who) == []
        refused(read(world, who, chat_uuid), "RN001", 404)
    say(world, cast.tomas, chat_uuid)
    for who in (by, cast.system):
        assert listed(world, who) == ["draft"]
        accepted(read(world, who, chat_uuid))
    thrown_away = start(world, cast.tomas, cast.priya)
    accepted(
        world.post(
            f"{CHATS}/discard",
            key=cast.master,
            on_behalf_of=cast.tomas,
            json={"chat_uuid": thrown_away},
        )
    )
    refused(read(world, cast.system, thrown_away), "RN001", 404)


def test_the_butlers_chat_with_a_client_is_a_chat_with_a_client(world: World) -> None:
    cast = world.cast
    body = {"audience": {"everyone": True}, "text": "Happy holidays"}
    results = accepted(
        world.post(f"{CHAT}/chats/butler-says/send-text", key=cast.master, json=body)
    )
    chats = {one["entity_user_xref_uuid"]: one["chat_uuid"] for one in results["results"]}
    for level, count in ((1, 2), (2, 2), (3, 6)):
        by = make_reviewer(world, cast.ingrid, level)
        assert len(listed(world, by)) == count, level
        accepted(read(world, by, chats[cast.priya.uuid]))
        response = read(world, by, chats[cast.olga.uuid])
        assert response.status_code == (200 if level == 3 else 404)


def test_contacts_of_a_reviewer_of_level_1_are_those_of_this_moment(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    by = make_reviewer(world, cast.ingrid, 1)
    accepted(read(world, by, chat_uuid))
    member = {"group_uuid": cast.team, "entity_user_xref_uuids": [cast.ingrid.uuid]}
    members = f"{ENTITY}/groups/group-members"
    accepted(world.post(f"{members}/destroy", key=cast.system, json=member))
    refused(read(world, by, chat_uuid), "RN001", 404)
    assert listed(world, by) == []
    accepted(world.post(f"{members}/create", key=cast.system, json=member))
    accepted(read(world, by, chat_uuid))
    set_member_state(world, cast.priya, "suspended")
    accepted(read(world, by, chat_uuid))
    set_member_state(world, cast.priya, "inactive")
    refused(read(world, by, chat_uuid), "RN001", 404)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_barrier_wins_over_every_level(world: World, level: int) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    group = {"name": "Desk", "entity_user_xref_uuids": [cast.olga.uuid]}
    desk = accepted(world.post(f"{ENTITY}/groups/create", key=cast.system, json=group))
    otto = world.run(
        join(world.app, cast.firm, 4, "Otto", "Brand", groups=[desk["group_uuid"], cast.team])
    )
    own = start(world, cast.olga, otto, title="own", text="two")
    by = make_reviewer(world, cast.olga, level)
    assert read(world, by, chat_uuid).status_code == (404 if level == 1 else 200)
    barrier = {"group_uuid": desk["group_uuid"], "other_group_uuid": cast.team}
    accepted(world.post(f"{ENTITY}/barriers/create", key=cast.system, json=barrier))
    refused(read(world, by, chat_uuid), "RN001", 404)
    assert listed(world, by) == ["own"]
    accepted(read(world, by, own))
    accepted(read(world, cast.system, chat_uuid))


def test_who_is_no_reviewer_may_not_look(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    file_uuid = send_file(world, cast.tomas, chat_uuid)
    before = world.head(cast.firm)
    for person in (cast.tomas, cast.miriam, cast.priya):
        by = world.session(person)
        before = world.head(cast.firm) if person is not cast.tomas else before
        refused(look(world, by), "RF006", 403)
        refused(look(world, by, text="one"), "RF006", 403)
        refused(read(world, by, chat_uuid), "RF006", 403)
        refused(read(world, by, "0b5c3f5e-0000-4000-8000-00000000dead"), "RF006", 403)
        refused(fetch(world, by, file_uuid), "RF006", 403)
    assert readings(world, 0) == []
    ended = make_reviewer(world, cast.ingrid, 2)
    accepted(read(world, ended, chat_uuid))
    make_reviewer(world, cast.ingrid, 0)
    refused(read(world, ended, chat_uuid), "RF006", 403)


def test_only_a_session_reviews_in_person_and_only_a_key_by_itself(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    by = make_reviewer(world, cast.tomas, 3)
    for path in ("chats/list", "messages/range", "attachments"):
        place = f"{REVIEW}/{path}"
        params = {**WHY, "chat_uuid": chat_uuid, "attachment_uuid": chat_uuid}
        for key in (cast.system, cast.master, cast.user, cast.sdk):
            refused(world.get(place, key=key, params=params), "RF008", 403)
        refused(world.get(place, params=params), "RU003", 401)
    for path in (LIST, READ, FETCH):
        params = {"chat_uuid": chat_uuid, "attachment_uuid": chat_uuid}
        for person in (by, cast.sdk, cast.master, cast.user):
            refused(world.get(path, key=person, params=params), "RF008", 403)
        lacking = cast.alone[Kind.SYSTEM, "can_export"]
        refused(world.get(path, key=lacking, params=params), "RF735", 403)
    # Acting on behalf of a reviewer gives no reviewer's rights.
    other = start(world, cast.ingrid, cast.olga, text="two")
    params = {"chat_uuid": other}
    refused(world.get(RANGE, key=cast.master, on_behalf_of=cast.tomas, params=params), "RN001")


def test_a_reason_is_needed(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    by = make_reviewer(world, cast.olga, 3)
    before = world.head(cast.firm)
    for path in ("chats/list", "messages/range", "attachments"):
        params = {"chat_uuid": chat_uuid, "attachment_uuid": chat_uuid}
        refused(world.get(f"{REVIEW}/{path}", key=by, params=params), "RB002", 400)
        for reason in ("", "  ", "x" * 501, "a\x07b"):
            given = {**params, "reason": reason}
            refused(world.get(f"{REVIEW}/{path}", key=by, params=given), "RB003", 400)
    assert readings(world, before) == []


def test_a_frozen_organisation_is_reviewed_by_keys_and_its_system_administrators(
    world: World,
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    olga, miriam = make_reviewer(world, cast.olga, 3), make_reviewer(world, cast.miriam, 3)
    world.work(cast.firm, lambda work: organisations.set_state(work, "frozen"))
    before = world.head(cast.firm)
    refused(read(world, olga, chat_uuid), "RN902", 404)
    for by in (miriam, cast.system):
        accepted(read(world, by, chat_uuid))
        accepted(look(world, by, text="one"))
    assert len(readings(world, before)) == 4
    world.work(cast.firm, lambda work: organisations.set_state(work, "active"))
    world.work(cast.firm, lambda work: organisations.set_state(work, "inactive"))
    refused(read(world, cast.system, chat_uuid), "RN900", 404)


# -- what is on record ----------------------------------------------------------------------------


def test_each_reading_in_person_is_on_record_with_its_reason(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    say(world, cast.priya, chat_uuid, "two")
    by = make_reviewer(world, cast.olga, 2)
    before = world.head(cast.firm)
    accepted(look(world, by, title="new", has_clients="true"))
    accepted(read(world, by, chat_uuid, from_seq=1, reason="Why: “Größe” & more"))
    accepted(read(world, by, chat_uuid, from_seq=7))
    searched, seen, nothing = readings(world, before)
    assert searched["data"] == {"act": "list"}
    assert part(world, searched, "reason") == '"Complaint 17"'
    assert part(world, searched, "filters") == '{"has_clients":true,"title":"new"}'
    assert seen["data"] == {"act": "read", "chat": chat_uuid, "first_seq": 1, "last_seq": 1}
    assert part(world, seen, "reason") == '"Why: “Größe” & more"'
    assert nothing["data"] == {"act": "read", "chat": chat_uuid}
    for entry in (searched, seen, nothing):
        assert entry["actor"]["kind"] == "session"
        assert entry["actor"]["entity_user_xref_uuid"] == cast.olga.uuid
        assert "chat_uuid" not in entry, "reading changes nothing in the chat"
    assert len(messages_of(world, cast.tomas, chat_uuid)) == 2


def test_each_reading_by_a_key_is_on_record_with_the_key(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    before = world.head(cast.firm)
    accepted(look(world, cast.system))
    accepted(look(world, cast.superkey, text="one"))
    accepted(read(world, cast.system, chat_uuid))
    everything, searched, seen = readings(world, before)
    assert set(everything["content"]) == {"address"}
    assert part(world, searched, "filters") == '{"text":"one"}'
    assert seen["data"] == {"act": "read", "chat": chat_uuid, "first_seq": 0, "last_seq": 0}
    keys = [entry["actor"]["api_key_uuid"] for entry in (everything, searched, seen)]
    assert keys == [cast.system.uuid, cast.superkey.uuid, cast.system.uuid]


def test_what_is_refused_leaves_no_reading(world: World) -> None:
    cast = world.cast
    by = make_reviewer(world, cast.olga, 1)
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    before = world.head(cast.firm)
    refused(read(world, by, chat_uuid), "RN001")
    refused(read(world, by, chat_uuid, from_seq=3, to_seq=2), "RB003")
    refused(read(world, by, "no uuid"), "RB003")
    refused(look(world, by, entity_user_xref_uuid=cast.karl.uuid), "RN006", 404)
    refused(look(world, by, entity_user_xref_uuid="no uuid"), "RB003")
    refused(look(world, by, entity_user_xref_uuid=[cast.priya.uuid] * 101), "RB003")
    refused(look(world, by, text="?!"), "RB003")
    refused(look(world, by, cursor="none of ours"), "RB003")
    refused(look(world, by, **{"from": "2026-11-22"}), "RB003")
    span = {"from": "2026-11-22T10:00:00Z", "to": "2026-11-21T10:00:00Z"}
    refused(look(world, by, **span), "RB003")
    assert readings(world, before) == []


def test_reading_is_told_to_the_reader_alone_and_moves_no_mark(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.olga, text="one")
    by = make_reviewer(world, cast.olga, 3)
    shown = chat_of(world, cast.olga, chat_uuid)
    accepted(look(world, by))
    accepted(read(world, by, chat_uuid))
    assert chat_of(world, cast.olga, chat_uuid) == shown
    assert shown["unread_count"] == 1
    for person, count in ((cast.olga, 2), (cast.tomas, 0), (cast.priya, 0)):
        params = {"types": "record.read"}
        feed = world.get(f"{CHAT}/events", key=cast.master, on_behalf_of=person, params=params)
        assert len(accepted(feed)["events"]) == count


# -- the list -------------------------------------------------------------------------------------


def test_a_chat_is_listed_as_it_is_with_nobodys_own_view(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, cast.ingrid, title="matter", text="one")
    done(world, "leave", cast.ingrid, chat_uuid)
    done(world, "rename", cast.tomas, chat_uuid, title="later")
    by = make_reviewer(world, cast.ingrid, 2)
    for who in (by, cast.system):
        (shown,) = accepted(look(world, who))["chats"]
        own = chat_of(world, cast.tomas, chat_uuid)
        for name in ("archived", "muted", "read_seq", "unread_count"):
            del own[name]
        assert shown == own
        assert shown["title"] == "later"
        assert shown["last_message"]["event"]["type"] == "chat.renamed"


def test_what_is_asked_for_must_all_hold(world: World) -> None:
    cast = world.cast
    some_chats(world)
    key = cast.system
    assert listed(world, key, entity_user_xref_uuid=cast.tomas.uuid) == ["staff", "team"]
    both = [cast.tomas.uuid, cast.priya.uuid.upper()]
    assert listed(world, key, entity_user_xref_uuid=both) == ["team"]
    assert listed(world, key, entity_user_xref_uuid=",".join(both)) == ["team"]
    assert listed(world, key, entity_user_xref_uuid=both * 50) == ["team"]
    assert listed(world, key, entity_user_xref_uuid=cast.george.uuid) == ["left"]
    assert listed(world, key, title="EA") == ["team"]
    assert listed(world, key, title="%") == []
    assert listed(world, key, has_clients="true") == ["desk", "team"]
    assert listed(world, key, has_clients="false") == ["left", "staff"]
    assert listed(world, key, text="three") == ["staff"]
    assert listed(world, key, text="three", entity_user_xref_uuid=cast.priya.uuid) == []
    assert listed(world, key, text="thr", entity_user_xref_uuid=cast.olga.uuid) == ["staff"]
    assert listed(world, key, text="three", title="team") == []
    assert listed(world, key, text="five") == []
    assert listed(world, key, text="three", has_clients="true") == []


def test_a_text_is_searched_within_the_level(world: World) -> None:
    cast = world.cast
    some_chats(world)
    for level, found in ((1, []), (2, []), (3, ["staff"])):
        by = make_reviewer(world, cast.ingrid, level)
        given = accepted(look(world, by, text="three"))
        assert [chat["title"] for chat in given["chats"]] == found
        assert given["indexed_to"] == world.head(cast.firm)
        assert "indexed_to" not in accepted(look(world, by))


def test_a_phrase_is_found_in_whichever_message_has_it(world: World) -> None:
    cast = world.cast
    one = start(world, cast.tomas, cast.priya, title="one", text="the value has arrived")
    say(world, cast.tomas, one, "has the value arrived?")
    other = start(world, cast.tomas, cast.george, title="other", text="has it value")
    say(world, cast.tomas, other, "value it has")
    assert listed(world, cast.system, text='"value has"') == ["one"]
    assert listed(world, cast.system, text="value has") == ["other", "one"]
    assert listed(world, cast.system, text='"no value"') == []


def test_a_span_means_messages_sent_in_it_both_ends_included(world: World) -> None:
    cast = world.cast
    one = start(world, cast.tomas, cast.priya, title="one", text="word 0")
    other = start(world, cast.tomas, cast.george, title="other", text="word 1")
    for number in range(2, 150):  # past the marks that stand at every 64th message
        say(world, cast.tomas, one, f"filler {number}")
    sent = [say(world, cast.tomas, uuid, "word")["sent_at"] for uuid in (one, other, one)]
    done(world, "rename", cast.tomas, other, title="another")
    now = chat_of(world, cast.tomas, other)["last_message_at"]

    def within(begin: str | None, end: str | None, **more: Any) -> list[str]:
        span = {"from": begin, "to": end}
        given = {name: value for name, value in span.items() if value is not None}
        return listed(world, cast.system, **given, **more)

    assert within(None, None) == ["another", "one"]
    assert within(sent[0], sent[0]) == ["one"]
    assert within(sent[1], sent[1]) == ["another"]
    assert within(sent[0], sent[1]) == ["another", "one"]
    assert within(sent[2], None) == ["one"]
    assert within(now, None) == [], "a rename is no message that was sent"
    assert within(None, sent[0]) == ["another", "one"]
    assert within("2999-01-01T00:00:00Z", None) == []
    assert within(None, "1999-01-01T00:00:00Z") == []
    # With a text it is the message that holds it.
    assert within(sent[0], sent[0], text="word") == ["one"]
    assert within(sent[0], sent[0], text="filler") == []


def test_pages_follow_one_another_and_without_a_limit_all_is_streamed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    for number in range(7):
        start(world, cast.tomas, cast.priya, title=f"chat {number}", text="word")
        start(world, cast.tomas, cast.olga, title=f"staff {number}", text="word")
    monkeypatch.setattr(reviewers, "STRETCH", 3)
    monkeypatch.setattr(reviewers, "PAGE_STREAMED", 2)
    by = make_reviewer(world, cast.olga, 2)
    expected = [f"chat {number}" for number in range(6, -1, -1)]
    for params in ({}, {"text": "word"}):
        before = world.head(cast.firm)
        cursor, seen, pages = None, [], 0
        while cursor or not pages:
            more: dict[str, Any] = {"cursor": cursor} if cursor else {}
            page = accepted(look(world, by, limit=3, **params, **more))
            seen += [chat["title"] for chat in page["chats"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert (seen, pages) == (expected, 3)
        assert len(readings(world, before)) == pages
        whole = accepted(look(world, by, **params))
        assert [chat["title"] for chat in whole["chats"]] == expected
        assert len(readings(world, before)) == pages + 1


# -- files ----------------------------------------------------------------------------------------


def test_a_file_is_fetched_by_whoever_may_read_a_message_with_it(world: World) -> None:
    cast = world.cast
    one = start(world, cast.tomas, cast.priya, text="one")
    staff = start(world, cast.tomas, cast.olga, text="two")
    of_client, of_staff = send_file(world, cast.tomas, one), send_file(world, cast.tomas, staff)
    by = make_reviewer(world, cast.ingrid, 2)
    before = world.head(cast.firm)
    for who in (by, cast.system):
        response = fetch(world, who, of_client)
        assert response.content == LETTER
        assert response.headers["content-security-policy"] == "sandbox"
    data = {"act": "file", "chat": one, "first_seq": 1, "last_seq": 1, "attachment": of_client}
    assert [entry["data"] for entry in readings(world, before)] == [data, data]
    assert part(world, readings(world, before)[0], "reason") == '"Complaint 17"'
    refused(fetch(world, by, of_staff), "RN004", 404)
    refused(fetch(world, by, one), "RN004", 404)
    refused(fetch(world, by, "no uuid"), "RB003", 400)
    refused(fetch(world, cast.other_system, of_client), "RN004", 404)
    waiting = uploaded(world, cast.tomas, one)
    refused(fetch(world, cast.system, waiting), "RN004", 404)
    assert len(readings(world, before)) == 2
    accepted(read(world, cast.system, one))


def test_a_file_of_the_butler_is_fetched_through_any_chat_one_may_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    file_uuid = uploaded(world, cast.tomas, None)
    body = {"audience": {"everyone": True}, "attachment_uuid": file_uuid}
    path = f"{CHAT}/chats/butler-says/send-attachment"
    accepted(world.post(path, key=cast.master, on_behalf_of=cast.tomas, json=body))
    monkeypatch.setattr(reviewers, "STRETCH", 1)
    by = make_reviewer(world, cast.ingrid, 1)
    before = world.head(cast.firm)
    assert fetch(world, by, file_uuid).content == LETTER
    (entry,) = readings(world, before)
    owners = world.rows(
        "SELECT m.uuid FROM chat c JOIN member m ON m.id = c.butler_member_id WHERE c.uuid = $1",
        entry["data"]["chat"],
    )
    assert owners[0][0] in {cast.priya.uuid, cast.george.uuid}
    refused(fetch(world, make_reviewer(world, world.run(_loner(world)), 1), file_uuid), "RN004")


async def _loner(world: World) -> Person:
    return await join(world.app, world.cast.firm, STAFF, "Lars", "Alone")


# -- the cap --------------------------------------------------------------------------------------


def export(world: World, person: Person, times_over: int = 1) -> None:
    """Count exports of a reviewer."""
    for _ in range(times_over):
        by_hand(world, person, reviewers.count_export)


def export_in(world: World, person: Person) -> int:
    """Give in how many seconds a reviewer may export again who may not now."""
    with pytest.raises(Refusal) as caught:
        export(world, person)
    assert caught.value.code == "RU029"
    return caught.value.retry_after or 0


def set_cap(world: World, most: int) -> None:
    world.work(
        world.cast.firm,
        lambda work: organisations.set_setting(work, "reviewer_export_cap", value=most),
    )


def test_exports_of_levels_1_and_2_are_capped_within_24_hours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    for level, person in enumerate((cast.ingrid, cast.olga, cast.miriam), 1):
        make_reviewer(world, person, level)
    export(world, cast.ingrid, 3)
    set_cap(world, 4)
    export(world, cast.ingrid)
    assert 86_390 <= export_in(world, cast.ingrid) <= 86_401
    export(world, cast.olga, 4)
    assert export_in(world, cast.olga) > 0
    export(world, cast.miriam, 6)
    later = times.now() + reviewers.CAP_SECONDS * times.SECOND
    monkeypatch.setattr(times, "now", lambda: later)
    export(world, cast.ingrid)
    set_cap(world, 0)
    assert export_in(world, cast.ingrid) > 0


def test_of_exports_at_the_same_time_no_more_are_counted_than_the_cap(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    by = make_reviewer(world, cast.ingrid, 1)
    set_cap(world, 2)
    params = {**WHY, "chat_uuid": chat_uuid}
    answers = world.together(
        *(world.request("GET", f"{REVIEW}/export/zip", key=by, params=params) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    late = [answer for answer in answers if answer.status_code == 429]
    assert all(refused(answer, "RU029")["detail"] for answer in late)
    assert all(int(answer.headers["retry-after"]) > 80_000 for answer in late)
