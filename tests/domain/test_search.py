"""Searching messages: what a member finds, in which order, and the index behind it."""

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest

from onrecord.domain import search
from onrecord.domain.search import Wanted
from onrecord.jobs import worker
from onrecord.model import words
from onrecord.model.access import Actor, Kind, Origin
from onrecord.store import access, people
from onrecord.store import search as rows
from onrecord.store.db import Caller, Session, Unavailable
from onrecord.store.work import Work
from tests.cast import Person, Shown, set_member_state
from tests.sending import send_file
from tests.talk import act, done, master_of, messages_of, say, start, told
from tests.world import CHAT, World, accepted, refused

SEARCH = f"{CHAT}/chats/messages/search"


def ask(world: World, by: Person, text: str, **params: Any) -> httpx.Response:
    """Look for something on behalf of a person."""
    params = {"text": text, **params}
    return world.get(SEARCH, key=master_of(world, by), on_behalf_of=by, params=params)


def found(world: World, by: Person, text: str, **params: Any) -> list[str]:
    """Give the texts of what a person finds."""
    return told(accepted(ask(world, by, text, **params))["messages"])


# -- what is found --------------------------------------------------------------------------------


def test_a_member_finds_what_was_said_in_the_own_chats_alone(world: World) -> None:
    cast = world.cast
    theirs = start(world, cast.tomas, cast.priya, text="Your pension is ready")
    start(world, cast.ingrid, cast.george, text="A pension for George")
    start(world, cast.karl, cast.nadia, text="A pension next door")
    say(world, cast.priya, theirs, "Thank you for the PENSIONS")
    assert found(world, cast.tomas, "pension") == [
        "Thank you for the PENSIONS",
        "Your pension is ready",
    ]
    assert found(world, cast.priya, "pension ready") == ["Your pension is ready"]
    assert found(world, cast.priya, "ready thank") == []
    assert found(world, cast.george, "pension") == ["A pension for George"]
    assert found(world, cast.olga, "pension") == []
    assert found(world, cast.nadia, "pension") == ["A pension next door"]


def test_messages_are_found_as_the_chat_shows_them(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="Guten Tag")
    say(world, cast.tomas, chat_uuid, "Die Übertragung ist fertig")
    for by in (cast.tomas, cast.priya):
        (shown,) = accepted(ask(world, by, "ubertragung"))["messages"]
        assert shown == messages_of(world, by, chat_uuid)[1]
    assert accepted(ask(world, cast.tomas, "tag"))["messages"][0]["via"]["name"] == cast.master.name
    assert accepted(ask(world, cast.priya, "tag"))["messages"][0]["via"]["name"] is None


@pytest.mark.parametrize("kind", [Kind.MASTER_USER, Kind.USER, Kind.SESSION, Kind.SDK])
def test_whatever_acts_for_a_member_searches_for_that_member(world: World, kind: Kind) -> None:
    cast = world.cast
    start(world, cast.tomas, cast.priya, text="one word")
    start(world, cast.ingrid, cast.priya, text="another word")
    by: Shown = cast.shown_at_firm()[kind]
    acting = cast.tomas if kind is Kind.MASTER_USER else None
    given = accepted(world.get(SEARCH, key=by, on_behalf_of=acting, params={"text": "word"}))
    assert told(given["messages"]) == ["one word"]
    assert given["next_cursor"] is None
    assert given["indexed_to"] == world.head(cast.firm)


def test_who_may_not_search_is_told_why(world: World) -> None:
    cast = world.cast
    given: dict[str, Any] = {"params": {"text": "word"}}
    refused(world.get(SEARCH, key=cast.system, **given), "RF008", 403)
    refused(world.get(SEARCH, key=cast.master, **given), "RF004", 403)
    refused(world.get(SEARCH, **given), "RU003", 401)
    writes = cast.alone[Kind.MASTER_USER, "can_write_chat"]
    refused(world.get(SEARCH, key=writes, on_behalf_of=cast.tomas, **given), "RF741", 403)
    reads = cast.alone[Kind.MASTER_USER, "can_read_chat"]
    accepted(world.get(SEARCH, key=reads, on_behalf_of=cast.tomas, **given))
    refused(ask(world, cast.petra, "word"), "RF024", 403)
    set_member_state(world, cast.priya, "suspended")
    refused(ask(world, cast.priya, "word"), "RF024", 403)


def test_what_cannot_be_looked_for_is_told_why(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="one")
    other = start(world, cast.ingrid, cast.george, text="two")
    path: dict[str, Any] = {"key": cast.master, "on_behalf_of": cast.tomas}
    refused(world.get(SEARCH, **path), "RB002", 400)
    for text in ("", "  ", "?!", '""', "x" * 501):
        refused(ask(world, cast.tomas, text), "RB003", 400)
    for params in (
        {"chat_uuid": "no uuid"},
        {"cursor": "none of ours"},
        {"from": "yesterday"},
        {"to": "2026-11-22"},
        {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T09:59:59Z"},
        {"limit": 0},
        {"limit": 1001},
    ):
        refused(ask(world, cast.tomas, "one", **params), "RB003", 400)
    refused(ask(world, cast.tomas, "two", chat_uuid=other), "RN001", 404)
    assert found(world, cast.tomas, "one", chat_uuid=chat_uuid.upper()) == ["one"]


def test_one_chat_can_be_searched_alone(world: World) -> None:
    cast = world.cast
    one = start(world, cast.tomas, cast.priya, text="first word")
    start(world, cast.tomas, cast.george, text="second word")
    assert found(world, cast.tomas, "word") == ["second word", "first word"]
    assert found(world, cast.tomas, "word", chat_uuid=one) == ["first word"]


def test_who_left_finds_what_was_said_until_then_and_all_of_it_when_back(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.ingrid, text="word zero")
    done(world, "leave", cast.ingrid, chat_uuid)
    say(world, cast.tomas, chat_uuid, "word while away")
    assert found(world, cast.ingrid, "word") == ["word zero"]
    assert found(world, cast.ingrid, "word", chat_uuid=chat_uuid) == ["word zero"]
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.ingrid, cast.olga])
    everything = ["word while away", "word zero"]
    assert found(world, cast.ingrid, "word") == everything
    assert found(world, cast.olga, "word") == everything


def test_a_draft_holds_nothing_and_what_happened_is_no_message(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, title="word")
    assert found(world, cast.tomas, "word") == []
    say(world, cast.tomas, chat_uuid, "hello")
    done(world, "rename", cast.tomas, chat_uuid, title="another word")
    assert found(world, cast.tomas, "word") == []
    assert found(world, cast.tomas, "hello") == ["hello"]


def test_files_are_found_by_their_names_and_texts(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    send_file(world, cast.tomas, chat_uuid, name="Ertragsgutachten-2026.txt")
    send_file(world, cast.tomas, chat_uuid, name="b.txt", text="The certificate")
    for text, count in {
        "ertragsg": 1,
        "2026": 1,
        "certificate": 1,
        "txt": 2,
        "certificate b": 1,
        '"certificate b"': 0,
        "ertragsgutachten certificate": 0,
    }.items():
        assert len(accepted(ask(world, cast.priya, text))["messages"]) == count, text
    (shown,) = accepted(ask(world, cast.priya, "2026"))["messages"]
    assert shown["attachments"][0]["filename"] == "Ertragsgutachten-2026.txt"


def test_what_the_butler_said_is_found(world: World) -> None:
    cast = world.cast
    body = {"audience": {"everyone": True}, "text": "Happy holidays, <First Name>"}
    accepted(world.post(f"{CHAT}/chats/butler-says/send-text", key=cast.master, json=body))
    assert found(world, cast.priya, "holidays priya") == ["Happy holidays, Priya"]
    assert found(world, cast.tomas, "holidays") == ["Happy holidays, Tomas"]


@pytest.mark.parametrize(
    "text",
    [
        "word OR nothing",
        "word NOT other",
        "word) OR (entity:*",
        "wor' | 'x' & !",
        'word"',
        "NEAR(word other)",
        "word*",
        "^word",
        "word:*",
        "-word",
        "other\\",
        "%",
        "wor_",
        "word'; DROP TABLE search_word; --",
    ],
)
def test_no_sign_has_a_meaning_for_an_engine(world: World, text: str) -> None:
    cast = world.cast
    said = ["a word and other things", "word not other", "DROP TABLE search_word"]
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    for one in said:
        say(world, cast.tomas, chat_uuid, one)
    query = words.parse(text)
    if not query.terms:
        refused(ask(world, cast.tomas, text), "RB003", 400)
        return
    expected = [one for one in reversed(said) if query.is_in([one])]
    assert found(world, cast.tomas, text) == expected


# -- pages and spans ------------------------------------------------------------------------------


def test_pages_follow_one_another_newest_first_and_without_a_limit_all_is_streamed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    one = start(world, cast.tomas, cast.priya, text="word 0")
    other = start(world, cast.tomas, cast.george, text="word 1")
    for number in range(2, 9):
        say(world, cast.tomas, (one, other)[number % 3 % 2], f"word {number}")
    newest_first = [f"word {number}" for number in range(8, -1, -1)]
    cursor, seen = None, []
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = accepted(ask(world, cast.tomas, "word", **params))
        seen += told(page["messages"])
        assert len(page["messages"]) == 2 or page["next_cursor"] is None
        say(world, cast.tomas, one, "word meanwhile")
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == newest_first
    monkeypatch.setattr(search, "PAGE_STREAMED", 3)
    whole = accepted(ask(world, cast.tomas, "word"))
    assert [one for one in told(whole["messages"]) if one != "word meanwhile"] == newest_first
    assert whole["next_cursor"] is None
    assert whole["indexed_to"] == world.head(cast.firm)


def test_a_span_of_time_includes_both_ends(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="word 0")
    times = [say(world, cast.tomas, chat_uuid, f"word {n}")["sent_at"] for n in range(1, 5)]
    params = {"from": times[1], "to": times[2]}
    assert found(world, cast.tomas, "word", **params) == ["word 3", "word 2"]
    assert found(world, cast.tomas, "word", to=times[0]) == ["word 1", "word 0"]
    assert found(world, cast.tomas, "word", **{"from": times[3]}) == ["word 4"]
    assert found(world, cast.tomas, "word", **{"from": "2999-01-01T00:00:00Z"}) == []
    assert found(world, cast.tomas, "word", to="1999-01-01T00:00:00Z") == []


# -- the index ------------------------------------------------------------------------------------


def test_a_search_brings_the_index_up_to_date_unless_much_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    monkeypatch.setattr(search, "BEHIND_MOST", 5)
    chat_uuid = start(world, cast.tomas, cast.priya, text="word 0")
    world.run(worker.do_chores(world.app))
    known = accepted(ask(world, cast.tomas, "word"))
    assert known["indexed_to"] == world.head(cast.firm)
    for number in range(1, 5):
        say(world, cast.tomas, chat_uuid, f"word {number}")
    assert len(found(world, cast.tomas, "word")) == 5
    for number in range(5, 10):
        say(world, cast.tomas, chat_uuid, f"word {number}")
    behind = accepted(ask(world, cast.tomas, "word"))
    assert behind["indexed_to"] == world.head(cast.firm) - 5
    assert len(behind["messages"]) == 5
    world.run(worker.do_chores(world.app))
    assert len(found(world, cast.tomas, "word")) == 10


def test_where_nothing_can_be_written_what_is_indexed_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="word 0")
    before = accepted(ask(world, cast.tomas, "word"))["indexed_to"]
    say(world, cast.tomas, chat_uuid, "word 1")

    async def full(_: Work) -> bool:
        raise Unavailable

    monkeypatch.setattr(search, "index_page", full)
    known = accepted(ask(world, cast.tomas, "word"))
    assert (told(known["messages"]), known["indexed_to"]) == (["word 0"], before)


def test_many_who_index_and_write_at_once_lose_nothing_and_double_nothing(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="word")
    body = {"chat_uuid": chat_uuid, "text": "word"}
    how: dict[str, Any] = {"key": cast.master, "on_behalf_of": cast.tomas}
    path = f"{CHAT}/chats/messages/send-text"
    for _ in range(4):
        world.together(
            *(world.request("POST", path, json=body, **how) for _ in range(5)),
            *(world.request("GET", SEARCH, params={"text": "word"}, **how) for _ in range(5)),
        )
    shown = accepted(ask(world, cast.tomas, "word"))["messages"]
    assert [one["seq"] for one in shown] == list(range(20, -1, -1))


def test_what_is_forgotten_is_found_no_more_by_any_word(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="common secret")
    position = world.head(cast.firm)
    say(world, cast.tomas, chat_uuid, "common other")
    assert len(found(world, cast.tomas, "common")) == 2
    world.work(cast.firm, lambda work: search.forget(work, [position]))
    assert found(world, cast.tomas, "common") == ["common other"]
    assert world.rows("SELECT 1 FROM search_word WHERE word = 'secret'") == []


def test_what_was_erased_before_it_was_indexed_never_comes_there(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="secret")
    position = world.head(cast.firm)

    async def erase(work: Work) -> None:
        await search.forget(work, [position])
        await work.db.run("DELETE FROM part WHERE position = $1 AND name = 'text'", position)

    world.work(cast.firm, erase)
    say(world, cast.tomas, chat_uuid, "other")
    assert found(world, cast.tomas, "secret") == []
    assert found(world, cast.tomas, "other") == ["other"]


def test_another_version_of_words_indexes_everything_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="word")
    start(world, cast.karl, cast.nadia, text="word next door")
    world.run(worker.do_chores(world.app))
    before = world.rows("SELECT * FROM search_word ORDER BY entity_id, block, word")
    monkeypatch.setattr(words, "VERSION", words.VERSION + 1)
    monkeypatch.setattr(words, "words", lambda text: [f"x{one}" for one in text.lower().split()])
    assert ask(world, cast.tomas, "word").status_code == 200
    world.run(worker.do_chores(world.app))
    after = world.rows("SELECT * FROM search_word ORDER BY entity_id, block, word")
    assert [row[2] for row in after] == [f"x{row[2]}" for row in before]
    say(world, cast.tomas, chat_uuid, "new word")
    assert found(world, cast.tomas, "word") == ["new word", "word"]


def test_nothing_is_lost_between_blocks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is looked for, the index finds what a scan of the chats finds, on both engines."""
    cast = world.cast
    monkeypatch.setattr(rows, "BLOCK_BITS", 4)
    monkeypatch.setattr(rows, "BLOCK", 16)
    monkeypatch.setattr(search, "PAGE", 8)
    monkeypatch.setattr(search, "BLOCKS_MOST", 2)
    monkeypatch.setattr(search, "LOOKED_AT", 3)
    chance = random.Random(4)  # noqa: S311 - it guards nothing
    vocabulary = ["alpha", "beta", "alphabet", "Äther", "東京", "京都", "東京都", "gamma", "Б", "2"]
    people_of = {"tomas": cast.tomas, "ingrid": cast.ingrid, "olga": cast.olga}
    pairs = [("tomas", "ingrid"), ("ingrid", "olga"), ("tomas", "olga")]
    chats = [start(world, people_of[a], people_of[b], text="zero") for a, b in pairs]
    for number in range(120):
        place = chance.randrange(3)
        text = " ".join(chance.choices(vocabulary, k=chance.randint(1, 4)))
        speaker = pairs[place][number % 2 if number <= 70 else 0]
        say(world, people_of[speaker], chats[place], text)
        if number == 70:
            done(world, "leave", cast.olga, chats[1])
        if number % 25 == 0:
            accepted(ask(world, cast.tomas, "zero"))
    accepted(ask(world, cast.tomas, "zero"))
    seen = {name: _everything(world, one, chats) for name, one in people_of.items()}
    for _ in range(60):
        text = " ".join(chance.choices(vocabulary, k=chance.randint(1, 3)))[: chance.randint(1, 9)]
        text = f'"{text}"' if chance.random() < 0.3 else text
        query = words.parse(text)
        for name, one in people_of.items():
            limit = chance.randint(1, 40)
            do = _doing(world, one)
            page = world.run(search.page(do, Wanted(query), cursor=None, limit=limit))
            expected = [message for message in seen[name] if query.is_in([message[2]])]
            given = [(shown.chat_uuid, shown.seq) for shown in page[0]]
            assert given == [message[:2] for message in expected[:limit]], text
            assert (page[1] is None) == (len(expected) <= limit), text


def _everything(world: World, by: Person, chats: list[str]) -> list[tuple[str, int, str]]:
    """Give every text a person sees as (chat, seq, text), newest first."""
    found: list[tuple[str, tuple[str, int, str]]] = []
    for chat_uuid in chats:
        if act(world, "archive", by, chat_uuid, archived=False).status_code != 200:
            continue
        found += [
            (one["sent_at"], (chat_uuid, one["seq"], one["text"]))
            for one in messages_of(world, by, chat_uuid)
            if one["text"] is not None
        ]
    return [row for _, row in sorted(found, reverse=True)]


def _doing(world: World, by: Person) -> Callable[[Any], Awaitable[Any]]:
    async def find(session: Session) -> Actor:
        entity = await access.entity_of(session, by.entity_uuid)
        assert entity is not None
        member = await people.member_of(session, entity.id, by.uuid)
        assert member is not None
        return Actor(Kind.OPERATOR, entity.id, entity.uuid, member.ref)

    return partial(world.app.store.read, Caller(world.ask(find), Origin("test")))
