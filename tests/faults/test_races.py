"""Two acts at once, of which each would be right alone: only what is right together happens.

The two come by two Apps, so that on PostgreSQL nothing in memory can keep them apart.
"""

import itertools
from collections.abc import Coroutine, Iterator
from typing import Any

import httpx
import pytest

from tests import cast as casting
from tests.cast import Person
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.processes import BARRIERS, CREATE_CHAT, GROUPS, INVITE, LONG, REMOVE, SAY, SEND
from tests.faults.told import Told
from tests.world import World, accepted

ROUNDS = 20 if LONG else 3

pytestmark = [pytest.mark.long, pytest.mark.timeout(600 if LONG else 120)]

Answers = list[httpx.Response]
Json = dict[str, Any]
Asked = Coroutine[Any, Any, httpx.Response]


class Two:
    """A world with a second App beside it; requests go to each in turn."""

    def __init__(self, world: World, second: World) -> None:
        self.world, self.cast = world, world.cast
        self._each = itertools.cycle([world, second])

    def asks(self, path: str, by: Person | None = None, **json: Any) -> Asked:
        """Make a request that waits to be sent."""
        key = self.cast.system if path.startswith("/entity-service") else self.cast.master
        return next(self._each).request("POST", path, key=key, on_behalf_of=by, json=json)

    def does(self, path: str, by: Person | None = None, **json: Any) -> dict[str, Any]:
        """Do something that must succeed."""
        return accepted(self.world.run(self.asks(path, by, **json)))

    def at_once(self, *asked: Asked) -> Answers:
        """Send requests at the same time; none of them may meet a 5xx."""
        answers = self.world.together(*asked)
        for answer in answers:
            assert answer.status_code < 500, answer.text
        return answers

    def told(self) -> Told:
        """Check the record and give what it tells."""
        return records.check_everything(self.world)[self.cast.firm]


@pytest.fixture
def two(make_world: MakeWorld) -> Iterator[Two]:
    world = make_world()
    second = world.beside()
    yield Two(world, second)
    second.close()


def codes(answers: Answers) -> list[str]:
    """Give the refusals' codes, and `fine` for successes, in order."""
    return sorted(one.json().get("error_code", "fine") for one in answers)


def newcomers(two: Two, count: int, *, profile: int = 3) -> list[Person]:
    """Let active members join the firm."""
    world, cast = two.world, two.cast
    names = [f"New{len(world.entries(cast.firm))}-{number}" for number in range(count)]
    return [world.run(casting.join(world.app, cast.firm, profile, name, "One")) for name in names]


# -- chats ----------------------------------------------------------------------------------------


def test_invitations_at_once_never_fill_a_chat_beyond_its_limit(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onrecord.domain.chats.MOST_PARTICIPANTS", 5)
    cast = two.cast
    people = newcomers(two, 6)
    for _ in range(ROUNDS):
        made = two.does(
            CREATE_CHAT, cast.miriam, entity_user_xref_uuids=[cast.olga.uuid], title="x", text="x"
        )
        chat_uuid = made["chat_uuid"]
        answers = two.at_once(
            *(
                two.asks(INVITE, by, chat_uuid=chat_uuid, entity_user_xref_uuids=[one.uuid])
                for one, by in zip(people, itertools.cycle([cast.miriam, cast.olga]))
            )
        )
        assert codes(answers) == ["RB015"] * 3 + ["fine"] * 3
    told = two.told()
    assert {len(chat.inside) for chat in told.chats.values()} == {5}


def test_two_who_remove_each_other_at_once_do_not_both_go(two: Two) -> None:
    cast = two.cast
    for _ in range(ROUNDS):
        made = two.does(
            CREATE_CHAT, cast.miriam, entity_user_xref_uuids=[cast.olga.uuid], title="x", text="x"
        )
        chat_uuid = made["chat_uuid"]
        answers = two.at_once(
            two.asks(
                REMOVE, cast.miriam, chat_uuid=chat_uuid, entity_user_xref_uuids=[cast.olga.uuid]
            ),
            two.asks(
                REMOVE, cast.olga, chat_uuid=chat_uuid, entity_user_xref_uuids=[cast.miriam.uuid]
            ),
        )
        assert codes(answers) == ["RF001", "fine"]
    told = two.told()
    assert {len(chat.inside) for chat in told.chats.values()} == {1}


def test_nothing_is_said_by_somebody_whose_removal_was_acknowledged(two: Two) -> None:
    cast = two.cast
    made = two.does(
        CREATE_CHAT, cast.miriam, entity_user_xref_uuids=[cast.olga.uuid], title="x", text="x"
    )
    chat_uuid = made["chat_uuid"]
    olga: Json = {"entity_user_xref_uuids": [cast.olga.uuid]}
    for _ in range(ROUNDS):
        two.does(INVITE, cast.miriam, chat_uuid=chat_uuid, **olga)
        texts = [
            two.asks(SEND, cast.olga, chat_uuid=chat_uuid, text=f"at once {number}")
            for number in range(8)
        ]
        removal = two.asks(REMOVE, cast.miriam, chat_uuid=chat_uuid, **olga)
        answers = two.at_once(*texts[:4], removal, *texts[4:])
        assert set(codes(answers)) <= {"fine", "RF001"}
        late = two.at_once(two.asks(SEND, cast.olga, chat_uuid=chat_uuid, text="too late"))
        assert codes(late) == ["RF001"]
    told = two.told()  # which holds every message against who was in the chat
    assert not any(message[-1] == "too late" for message in told.messages[chat_uuid])


# -- groups and barriers --------------------------------------------------------------------------


def test_the_last_two_staff_of_clients_do_not_both_go_at_once(two: Two) -> None:
    cast = two.cast
    path = f"{GROUPS}/group-members"
    group: Json = {"group_uuid": cast.team}
    for _ in range(ROUNDS):
        answers = two.at_once(
            two.asks(f"{path}/destroy", **group, entity_user_xref_uuids=[cast.tomas.uuid]),
            two.asks(f"{path}/destroy", **group, entity_user_xref_uuids=[cast.ingrid.uuid]),
        )
        assert codes(answers) == ["RB011", "fine"]
        both = [cast.tomas.uuid, cast.ingrid.uuid]
        two.does(f"{path}/create", **group, entity_user_xref_uuids=both)
    two.told()


def test_a_client_does_not_join_a_group_while_its_only_staff_goes(two: Two) -> None:
    cast = two.cast
    path = f"{GROUPS}/group-members"
    for _ in range(ROUNDS):
        olga: Json = {"entity_user_xref_uuids": [cast.olga.uuid]}
        made = two.does(f"{GROUPS}/create", name="Desk", **olga)
        group: Json = {"group_uuid": made["group_uuid"]}
        answers = two.at_once(
            two.asks(f"{path}/destroy", **group, **olga),
            two.asks(f"{path}/create", **group, entity_user_xref_uuids=[cast.priya.uuid]),
        )
        assert codes(answers) in (["RB011", "fine"], ["RB020", "fine"])
    two.told()


def test_a_group_is_not_closed_while_somebody_joins_it(two: Two) -> None:
    for _ in range(ROUNDS):
        made = two.does(f"{GROUPS}/create", name="Desk")
        group: Json = {"group_uuid": made["group_uuid"]}
        olga: Json = {"entity_user_xref_uuids": [two.cast.olga.uuid]}
        answers = two.at_once(
            two.asks(f"{GROUPS}/destroy", **group),
            two.asks(f"{GROUPS}/group-members/create", **group, **olga),
        )
        assert codes(answers) in (["RB012", "fine"], ["RB019", "fine"])
    two.told()


def test_nothing_slips_through_while_a_barrier_is_made(two: Two) -> None:
    cast = two.cast
    one, other = (
        two.does(f"{GROUPS}/create", name="Desk", entity_user_xref_uuids=[person.uuid])
        for person in (cast.olga, cast.ingrid)
    )
    between: Json = {"group_uuid": one["group_uuid"], "other_group_uuid": other["group_uuid"]}
    ingrid: Json = {"entity_user_xref_uuids": [cast.ingrid.uuid]}
    for number in range(ROUNDS):
        chats = [
            two.does(CREATE_CHAT, cast.olga, **ingrid, title="Matter", text="first")["chat_uuid"]
            for _ in range(6)
        ]
        apart = two.does(
            CREATE_CHAT, cast.olga, entity_user_xref_uuids=[cast.miriam.uuid], text="first"
        )["chat_uuid"]
        two.at_once(
            *(
                two.asks(SEND, by, chat_uuid=chat_uuid, text=f"{number} at once")
                for by in (cast.olga, cast.ingrid)
                for chat_uuid in chats
            ),
            two.asks(f"{BARRIERS}/create", **between),
            *(two.asks(CREATE_CHAT, cast.olga, **ingrid, text="at once") for _ in range(3)),
            *(two.asks(INVITE, cast.miriam, chat_uuid=apart, **ingrid) for _ in range(2)),
            *(two.asks(SEND, cast.ingrid, chat_uuid=chats[0], text="at once") for _ in range(6)),
        )
        late = two.at_once(
            *(
                two.asks(SEND, cast.olga, chat_uuid=chat_uuid, text="too late")
                for chat_uuid in chats
            ),
            two.asks(CREATE_CHAT, cast.olga, **ingrid, text="too late"),
            two.asks(INVITE, cast.olga, chat_uuid=apart, **ingrid),
        )
        assert codes(late)[:7] == ["RF007"] * 7
        assert codes(late)[7] in {"RF007", "fine"}  # fine: Ingrid was in it before the barrier
        two.does(f"{BARRIERS}/destroy", **between)
    told = two.told()  # which holds every entry against the barriers of its moment
    texts = [message[-1] for said in told.messages.values() for message in said]
    assert "too late" not in texts


def test_staff_do_not_come_to_both_sides_while_a_barrier_is_made(two: Two) -> None:
    olga: Json = {"entity_user_xref_uuids": [two.cast.olga.uuid]}
    for _ in range(ROUNDS):
        one = two.does(f"{GROUPS}/create", name="Desk", **olga)["group_uuid"]
        other = two.does(f"{GROUPS}/create", name="Desk")["group_uuid"]
        answers = two.at_once(
            two.asks(f"{BARRIERS}/create", group_uuid=one, other_group_uuid=other),
            two.asks(f"{GROUPS}/group-members/create", group_uuid=other, **olga),
        )
        assert codes(answers) in (["RB019", "fine"], ["RF007", "fine"])
    two.told()


def test_a_draft_that_a_barrier_ran_through_is_free_when_the_other_side_was_taken_out(
    two: Two,
) -> None:
    cast = two.cast
    one, other = (
        two.does(f"{GROUPS}/create", name="Desk", entity_user_xref_uuids=[person.uuid])
        for person in (cast.olga, cast.ingrid)
    )
    uuids = [cast.ingrid.uuid, cast.miriam.uuid]
    chat: Json = {
        "chat_uuid": two.does(CREATE_CHAT, cast.olga, entity_user_xref_uuids=uuids)["chat_uuid"]
    }
    two.does(
        f"{BARRIERS}/create",
        group_uuid=one["group_uuid"],
        other_group_uuid=other["group_uuid"],
    )

    two.does(REMOVE, cast.olga, **chat, entity_user_xref_uuids=[cast.ingrid.uuid])

    two.does(SEND, cast.olga, **chat, text="between the two of us")
    two.told()


# -- the Butler -----------------------------------------------------------------------------------


def test_two_butler_calls_at_once_make_one_butler_chat_for_each_member(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onrecord.domain.butler.SLICE", 4)
    due: dict[str, list[str]] = {}
    for number in range(ROUNDS):
        uuids = [person.uuid for person in newcomers(two, 10)]
        texts = [f"{number} one", f"{number} other"]
        answers = two.at_once(
            two.asks(SAY, text=texts[0], entity_user_xref_uuids=uuids),
            two.asks(SAY, text=texts[1], entity_user_xref_uuids=uuids[::-1]),
        )
        assert [accepted(answer)["sent"] for answer in answers] == [10, 10]
        due |= dict.fromkeys(uuids, texts)
    told = two.told()
    heard = {
        chat.butler_of: sorted(message[-1] for message in told.messages[chat_uuid])
        for chat_uuid, chat in told.chats.items()
    }
    assert heard == due
