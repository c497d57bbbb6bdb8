"""Calls too long for one work: slices that are whole or nothing, and a retry that goes on."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from onrecord import app as composition
from onrecord.domain import butler, keys
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.store import access
from onrecord.web import idempotency
from tests.cast import Person, join
from tests.talk import BUTLER_TEXT, uuids
from tests.world import World, accepted, refused

TEXT = "Our office is closed on Friday"


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of two, so that six people are three slices."""
    monkeypatch.setattr(butler, "SLICE", 2)


def body_for(world: World, text: str = TEXT) -> dict[str, Any]:
    return {"entity_user_xref_uuids": uuids(*world.cast.people), "text": text}


def asked(world: World, body: dict[str, Any], key: str | None = "once") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return world.request("POST", BUTLER_TEXT, key=world.cast.master, json=body, headers=headers)


def say(world: World, body: dict[str, Any] | None = None, key: str | None = "once") -> Any:
    return world.run(asked(world, body or body_for(world), key))


def heard(world: World) -> Counter[str]:
    """How many messages each member's Butler chat holds, by uuid."""
    rows = world.rows(
        "SELECT m.uuid, c.last_seq + 1, (SELECT COUNT(*) FROM message g WHERE g.chat_id = c.id)"
        " FROM chat_now c JOIN member m ON m.id = c.butler_member_id"
    )
    assert all(last == count for _, last, count in rows)
    return Counter({row[0]: row[1] for row in rows})


def once_each(*people: Person) -> Counter[str]:
    return Counter(uuids(*people))


def kept(world: World, key: str = "once") -> list[int]:
    """The numbers of the slices kept under an Idempotency-Key; 0 is the plan."""
    rows = world.rows("SELECT number FROM slice WHERE key = $1 ORDER BY number", key)
    return [row[0] for row in rows]


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
    """Let a slice, counted from 1, be refused: before anything is done in it, or after all is."""
    real = butler.say
    count = 0

    async def failing(work: Any, *said: Any) -> Any:
        nonlocal count
        count += 1
        if count != number:
            return await real(work, *said)
        if after:
            await real(work, *said)
        raise Refusal("RX503")

    monkeypatch.setattr(butler, "say", failing)


def between_works(
    monkeypatch: pytest.MonkeyPatch, world: World, number: int, act: Callable[[], Awaitable[Any]]
) -> None:
    """Let something happen after the work of this number, before the next one begins."""
    real = world.app.store.write
    count = 0

    async def write(caller: Any, run: Any) -> Any:
        nonlocal count
        count += 1
        mine = count
        result = await real(caller, run)
        if mine == number:
            await act()
        return result

    monkeypatch.setattr(world.app.store, "write", write)


def whole(world: World, response: httpx.Response) -> dict[str, Any]:
    """A good answer for all the people, in the order named."""
    answer = accepted(response)
    assert (answer["sent"], answer["failed"]) == (6, 0)
    assert [one["entity_user_xref_uuid"] for one in answer["results"]] == uuids(*world.cast.people)
    return answer


# -- how long a slice is --------------------------------------------------------------------------


def test_up_to_five_hundred_are_one_work_and_one_more_is_a_second_slice(world: World) -> None:
    assert butler.SLICE == 500
    cast = world.cast
    strangers = [f"00000000-0000-4000-8000-{number:012}" for number in range(500)]
    named = [*strangers[:499], cast.miriam.uuid]
    answer = accepted(say(world, {"entity_user_xref_uuids": named, "text": TEXT}))
    assert (answer["sent"], answer["failed"]) == (1, 499)
    assert kept(world) == []  # it was done at once
    named = [*strangers, cast.miriam.uuid]
    answer = accepted(say(world, {"entity_user_xref_uuids": named, "text": TEXT}, "other"))
    assert (answer["sent"], answer["failed"]) == (1, 500)
    assert [one["entity_user_xref_uuid"] for one in answer["results"]] == named
    assert kept(world, "other") == [0, 1, 2]  # the plan and two slices
    assert heard(world) == Counter({cast.miriam.uuid: 2})


@pytest.mark.usefixtures("pairs")
def test_a_work_speaks_to_no_more_than_a_slice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    real = world.app.store.write

    async def write(caller: Any, run: Any) -> Any:
        result = await real(caller, run)
        rows = await world.app.store.ask(
            lambda session: session.all("SELECT id FROM chat WHERE butler_member_id > 0")
        )
        told.append(len(rows))
        return result

    monkeypatch.setattr(world.app.store, "write", write)
    whole(world, say(world, key=None))
    assert told == [0, 2, 4, 6]
    assert kept(world) == []  # without an Idempotency-Key nothing is kept


# -- failures in the middle -----------------------------------------------------------------------


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_retry_goes_on_after_the_last_slice_and_answers_for_all(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool
) -> None:
    cast = world.cast
    with monkeypatch.context() as patch:
        fail_at(patch, number, after=after)
        refused(say(world), "RX503", 503)
    done = cast.people[: 2 * (number - 1)]
    assert heard(world) == once_each(*done)  # a slice is whole or nothing
    spoken = [one["type"] for one in world.entries(cast.firm)].count("message.sent")
    assert spoken == len(done)
    response = say(world)
    whole(world, response)
    assert "idempotent-replay" not in response.headers
    assert heard(world) == once_each(*cast.people)
    head = world.head(cast.firm)
    for _ in range(2):
        again = say(world)
        assert again.content == response.content
        assert again.headers["idempotent-replay"] == "true"
    assert world.head(cast.firm) == head


@pytest.mark.usefixtures("pairs")
def test_what_was_done_outlives_a_restart_and_several_failures(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with monkeypatch.context() as patch:
            fail_at(patch, 2, after=True)
            refused(say(world), "RX503", 503)
        world.restart()
    whole(world, say(world))
    assert heard(world) == once_each(*world.cast.people)


@pytest.mark.usefixtures("pairs")
def test_a_retry_speaks_to_whom_the_call_was_for_in_the_first_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    body = {"audience": {"everyone": True}, "text": TEXT}
    with monkeypatch.context() as patch:
        fail_at(patch, 2, after=False)
        refused(say(world, body), "RX503", 503)
    newcomer = world.run(join(world.app, cast.firm, 3, "Nora", "Quist"))
    answer = accepted(say(world, body))
    assert answer["sent"] == 6
    assert newcomer.uuid not in str(answer)
    assert heard(world) == once_each(*cast.people)


@pytest.mark.usefixtures("pairs")
def test_another_request_under_the_key_of_a_half_done_call_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, 2, after=False)
        refused(say(world), "RX503", 503)
    before = world.head(world.cast.firm)
    refused(say(world, body_for(world, "Something else")), "RB022", 422)
    short = {"entity_user_xref_uuid": world.cast.miriam.uuid, "text": TEXT}
    refused(say(world, short), "RB022", 422)
    assert world.head(world.cast.firm) == before
    whole(world, say(world))
    refused(say(world, body_for(world, "Something else")), "RB022", 422)
    assert heard(world) == once_each(*world.cast.people)


@pytest.mark.usefixtures("pairs")
def test_without_a_key_what_was_done_stays_done_and_a_new_call_begins_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    with monkeypatch.context() as patch:
        fail_at(patch, 3, after=True)
        refused(say(world, key=None), "RX503", 503)
    assert heard(world) == once_each(*cast.people[:4])
    whole(world, say(world, key=None))
    assert heard(world) == once_each(*cast.people) + once_each(*cast.people[:4])


@pytest.mark.usefixtures("pairs")
def test_a_key_deactivated_in_the_middle_stops_the_call_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast

    async def stop() -> None:
        await composition.acting(
            world.app, cast.firm, lambda work: keys.deactivate(work, cast.master.api_key)
        )

    between_works(monkeypatch, world, 3, stop)  # the plan and two slices are done
    refused(say(world), "RU002", 401)
    assert heard(world) == once_each(*cast.people[:4])
    refused(say(world), "RU002", 401)
    types = [entry["type"] for entry in world.entries(cast.firm)]
    assert types.index("key.deactivated") > max(
        number for number, name in enumerate(types) if name == "message.sent"
    )


@pytest.mark.usefixtures("pairs")
def test_a_recipient_who_goes_in_the_middle_is_told_in_the_result(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast

    async def suspend_the_last() -> None:
        async def act(work: Any) -> None:
            await work.db.run(
                "UPDATE member SET state = 'inactive' WHERE uuid = $1", cast.george.uuid
            )

        await composition.acting(world.app, cast.firm, act)

    between_works(monkeypatch, world, 2, suspend_the_last)
    answer = accepted(say(world))
    assert (answer["sent"], answer["failed"]) == (5, 1)
    last = answer["results"][-1]
    assert last == {"entity_user_xref_uuid": cast.george.uuid, "error_code": "RF024"}


# -- two at once ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("pairs")
def test_the_same_call_while_it_is_under_way_is_told_to_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[httpx.Response] = []

    async def again() -> None:
        inside.append(await asked(world, body_for(world)))

    between_works(monkeypatch, world, 2, again)
    whole(world, say(world))
    refused(inside[0], "RB023", 409)
    assert heard(world) == once_each(*world.cast.people)


@pytest.mark.usefixtures("pairs")
def test_many_at_once_have_one_effect(world: World) -> None:
    neighbour = world.beside()
    try:
        responses = world.together(
            *(asked((world, neighbour)[turn % 2], body_for(world)) for turn in range(6))
        )
    finally:
        neighbour.close()
    good = [one for one in responses if one.status_code == 200]
    for one in responses:
        if one.status_code != 200:
            refused(one, "RB023", 409)
    assert len({one.content for one in good}) <= 1
    answer = say(world)
    whole(world, answer)
    assert all(one.content == answer.content for one in good)
    assert heard(world) == once_each(*world.cast.people)


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("works", [1, 2, 3], ids=["plan", "first slice", "second slice"])
def test_who_was_overtaken_by_another_process_speaks_to_nobody_again(
    world: World, monkeypatch: pytest.MonkeyPatch, works: int
) -> None:
    """The caller's first connection hangs; a retry reaches another process and is answered."""
    neighbour = world.beside()
    retried: list[httpx.Response] = []

    async def overtake() -> None:
        retried.append(await asked(neighbour, body_for(world)))

    try:
        between_works(monkeypatch, world, works, overtake)
        response = say(world)
    finally:
        neighbour.close()
    whole(world, retried[0])
    assert response.content == retried[0].content
    assert response.headers["idempotent-replay"] == "true"
    assert heard(world) == once_each(*world.cast.people)


# -- how long it is kept --------------------------------------------------------------------------


@pytest.mark.usefixtures("pairs")
def test_slices_are_kept_as_long_as_their_plan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, 2, after=False)
        patch.setattr(idempotency, "ANSWERS_KEPT", -1)  # its time is over at once
        refused(say(world), "RX503", 503)
    assert kept(world) == [0, 1]
    world.change(world.cast.firm, "UPDATE slice SET until = $1 WHERE number = 1", 2**60)
    refused(say(world), "RB023", 409)  # until the minute's chores have come by
    world.ask(lambda session: access.forget_answers(session, times.now()))
    assert kept(world) == []
    whole(world, say(world))
    people = world.cast.people
    assert heard(world) == once_each(*people) + once_each(*people[:2])
