"""Idempotency-Key: the same request once more has no second effect and the same answer."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from onrecord.domain import keys
from onrecord.model import times
from onrecord.store import access
from onrecord.web.rows import ROWS
from onrecord.web.server import Server
from tests.cast import ApiKey, Person
from tests.world import CHAT, ENTITY, World, accepted, refused

CREATE = f"{ENTITY}/entity-memberships/create"
CHATS = f"{CHAT}/chats/create"
SEND = f"{CHAT}/chats/messages/send-text"


def person(number: int = 0) -> dict[str, Any]:
    return {
        "enum_profile_id": 4,
        "first_name": "Nell",
        "primary_email": f"nell{number}@example.com",
    }


def named(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


def start(world: World) -> str:
    body = {"entity_user_xref_uuids": [world.cast.priya.uuid], "text": "zero"}
    response = world.post(CHATS, key=world.cast.master, on_behalf_of=world.cast.tomas, json=body)
    return str(accepted(response)["chat_uuid"])


def calls(world: World) -> list[tuple[str, ApiKey, Person | None, dict[str, Any]]]:
    """One call of each way a POST is run."""
    cast = world.cast
    return [
        (CREATE, cast.system, None, person()),
        (CHATS, cast.master, cast.tomas, {"entity_user_xref_uuids": [cast.priya.uuid]}),
        (SEND, cast.master, cast.tomas, {"chat_uuid": start(world), "text": "once"}),
    ]


def test_a_repeated_request_gets_the_stored_answer_byte_for_byte(world: World) -> None:
    for path, key, acting, body in calls(world):
        how = {"key": key, "on_behalf_of": acting, "json": body, "headers": named(path)}
        first = world.post(path, **how)
        accepted(first)
        assert "idempotent-replay" not in first.headers
        head = world.head(world.cast.firm)
        for _ in range(2):
            again = world.post(path, **how)
            assert again.content == first.content
            assert again.status_code == 200
            assert again.headers["content-type"] == first.headers["content-type"]
            assert again.headers["idempotent-replay"] == "true"
            assert again.headers["x-request-id"] != first.headers["x-request-id"]
        assert world.head(world.cast.firm) == head


def test_the_stored_answer_outlives_a_restart(world: World) -> None:
    cast = world.cast
    first = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    world.restart()
    again = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    assert again.content == first.content
    accepted(again)
    assert again.headers["idempotent-replay"] == "true"


def test_another_request_under_the_same_key_is_refused(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    body = {"chat_uuid": chat_uuid, "text": "once"}
    how: dict[str, Any] = {
        "key": cast.master,
        "on_behalf_of": cast.tomas,
        "headers": named("once"),
    }
    accepted(world.post(SEND, json=body, **how))
    before = world.head(cast.firm)
    refused(world.post(SEND, json={**body, "text": "twice"}, **how), "RB022", 422)
    refused(world.post(SEND, json=body, params={"a": 1}, **how), "RB022", 422)
    spaced = b'{"chat_uuid":  "%s", "text": "once"}' % chat_uuid.encode()
    refused(world.post(SEND, content=spaced, **how), "RB022", 422)
    other = {"entity_user_xref_uuids": [cast.priya.uuid]}
    refused(world.post(CHATS, json=other, **how), "RB022", 422)
    assert world.head(cast.firm) == before


def test_another_key_or_acting_member_has_keys_of_its_own(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    body = {"chat_uuid": chat_uuid, "text": "once"}
    seqs = []
    for key, acting in (
        (cast.master, cast.tomas),
        (cast.master, cast.priya),
        (cast.user, cast.tomas),
    ):
        response = world.post(SEND, key=key, on_behalf_of=acting, json=body, headers=named("once"))
        assert "idempotent-replay" not in response.headers
        seqs.append(accepted(response)["seq"])
    assert seqs == [1, 2, 3]
    first = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    accepted(first)
    second = world.post(CREATE, key=cast.other_system, json=person(), headers=named("once"))
    accepted(second)
    assert first.json()["entity_user_xref_uuid"] != second.json()["entity_user_xref_uuid"]


def test_a_super_key_has_keys_of_its_own_in_each_organisation(world: World) -> None:
    cast = world.cast
    there = replace(cast.superkey, entity_uuid=cast.other)
    for key in (cast.superkey, there):
        response = world.post(CREATE, key=key, json=person(), headers=named("once"))
        accepted(response)
        assert "idempotent-replay" not in response.headers


def test_a_refusal_is_not_stored_and_may_be_retried(world: World) -> None:
    cast = world.cast
    taken = {**person(), "identifier": "CL-1"}
    for _ in range(2):
        response = world.post(CREATE, key=cast.system, json=taken, headers=named("once"))
        refused(response, "RB013", 400)
    world.change(cast.firm, "UPDATE member SET identifier = NULL WHERE uuid = $1", cast.priya.uuid)
    accepted(world.post(CREATE, key=cast.system, json=taken, headers=named("once")))
    chat_uuid = start(world)
    how: dict[str, Any] = {
        "key": cast.master,
        "on_behalf_of": cast.tomas,
        "headers": named("reply"),
    }
    reply = {"chat_uuid": chat_uuid, "text": "reply", "reply_to_seq": 1}
    refused(world.post(SEND, json=reply, **how), "RB017", 400)
    body = {"chat_uuid": chat_uuid, "text": "one"}
    accepted(world.post(SEND, key=cast.master, on_behalf_of=cast.priya, json=body))
    accepted(world.post(SEND, json=reply, **how))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_two_at_once_have_one_effect(world: World, number: int) -> None:
    path, key, acting, body = calls(world)[number]
    before = len(world.entries(world.cast.firm))

    def once() -> Any:
        return world.request(
            "POST", path, key=key, on_behalf_of=acting, json=body, headers=named("once")
        )

    responses = world.together(*(once() for _ in range(6)))
    one_effect(responses)
    alone = world.post(path, key=key, on_behalf_of=acting, json=body, headers=named("once"))
    assert alone.headers["idempotent-replay"] == "true"
    made = world.entries(world.cast.firm)[before:]
    assert len(made) == {0: 3, 1: 3, 2: 1}[number]


def one_effect(responses: list[httpx.Response]) -> None:
    """One did it; the others got its answer, or were told to wait (RB023)."""
    fresh = [
        one
        for one in responses
        if one.status_code == 200 and "idempotent-replay" not in one.headers
    ]
    assert len(fresh) == 1, [(one.status_code, one.text) for one in responses]
    for one in responses:
        if one.status_code == 200:
            assert one.content == fresh[0].content
        else:
            refused(one, "RB023", 409)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_two_processes_at_once_have_one_effect(world: World, number: int) -> None:
    path, key, acting, body = calls(world)[number]
    neighbour = world.beside()
    before = len(world.entries(world.cast.firm))
    try:
        responses = world.together(
            *(
                (world, neighbour)[turn % 2].request(
                    "POST", path, key=key, on_behalf_of=acting, json=body, headers=named("once")
                )
                for turn in range(6)
            )
        )
    finally:
        neighbour.close()
    one_effect(responses)
    made = world.entries(world.cast.firm)[before:]
    assert len(made) == {0: 3, 1: 3, 2: 1}[number]


def test_a_different_request_at_the_same_time_is_refused_or_waits(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world)
    responses = world.together(
        *(
            world.request(
                "POST",
                SEND,
                key=cast.master,
                on_behalf_of=cast.tomas,
                json={"chat_uuid": chat_uuid, "text": text},
                headers=named("once"),
            )
            for text in ("one", "two")
        )
    )
    codes = sorted(one.status_code for one in responses)
    assert codes in ([200, 409], [200, 422])


@pytest.mark.parametrize("name", ["k", "k" * 255, "two words ~!"])
def test_a_key_of_1_to_255_printable_characters_is_taken(sqlite_world: World, name: str) -> None:
    cast = sqlite_world.cast
    for replayed in (False, True):
        response = sqlite_world.post(CREATE, key=cast.system, json=person(), headers=named(name))
        accepted(response)
        assert ("idempotent-replay" in response.headers) is replayed


@pytest.mark.parametrize("name", [b"", b"k" * 256, b"\xe9", b"a\tb", b"\x7f"])
def test_any_other_key_is_refused(sqlite_world: World, name: bytes) -> None:
    cast = sqlite_world.cast
    for path, key, body in (
        (CREATE, cast.system, person()),
        (SEND, cast.user, {"chat_uuid": start(sqlite_world), "text": "x"}),
    ):
        response = sqlite_world.post(path, key=key, json=body, headers=[("Idempotency-Key", name)])
        refused(response, "RB003", 400)


def test_on_reads_the_header_means_nothing(sqlite_world: World) -> None:
    cast = sqlite_world.cast
    for _ in range(2):
        response = sqlite_world.get(f"{ENTITY}/whoami", key=cast.system, headers=named("k" * 300))
        accepted(response)
        assert "idempotent-replay" not in response.headers


def test_after_a_day_the_answer_is_forgotten(world: World) -> None:
    cast = world.cast
    first = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    accepted(first)
    world.change(cast.firm, "UPDATE idempotency SET until = $1", times.now())
    refused(world.post(CREATE, key=cast.system, json=person(), headers=named("once")), "RB014", 400)
    accepted(world.post(CREATE, key=cast.system, json=person(1), headers=named("once")))
    world.change(cast.firm, "UPDATE idempotency SET until = $1", times.now())
    world.run(world.app.as_service(lambda work: access.forget_answers(work.db, times.now())))
    assert world.rows("SELECT * FROM idempotency") == []


def test_answers_are_kept_for_a_day_and_those_to_persons_for_a_week(world: World) -> None:
    cast = world.cast
    chat = {"chat_uuid": start(world), "text": "kept"}
    browser = world.session(cast.tomas)
    sdk = world.embedded(cast.tomas)
    for days, how in (
        (1, {"key": cast.master, "on_behalf_of": cast.tomas}),
        (7, {"key": browser}),
        (7, {"key": sdk}),
    ):
        for path, body in ((SEND, chat), (CHATS, {"entity_user_xref_uuids": [cast.priya.uuid]})):
            world.change(cast.firm, "DELETE FROM idempotency")
            accepted(world.post(path, json=body, headers=named("kept"), **how))
            ((until,),) = world.rows("SELECT until FROM idempotency")
            left = until - times.now()
            assert 0 <= days * 86_400 * times.SECOND - left < 60 * times.SECOND


def test_a_replay_needs_a_key_that_still_works(world: World) -> None:
    cast = world.cast
    accepted(world.post(CREATE, key=cast.system, json=person(), headers=named("once")))
    world.work(cast.firm, lambda work: keys.deactivate(work, cast.system.api_key))
    again = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    refused(again, "RU002", 401)


def test_the_scope_is_the_key_whatever_its_secret(world: World) -> None:
    cast = world.cast
    first = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    made = world.work(cast.firm, lambda work: keys.rotate(work, cast.system.api_key))
    rotated = replace(cast.system, secret=made.secret)
    again = world.post(CREATE, key=rotated, json=person(), headers=named("once"))
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"


def test_a_secret_is_withheld_from_the_stored_answer(world: World) -> None:
    cast = world.cast
    rows = [
        replace(row, secrets=("entity_user_xref_uuid",)) if row.path == CREATE else row
        for row in ROWS
    ]
    world.server = Server(world.app, rows)
    world._clients.clear()
    first = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    assert accepted(first)["entity_user_xref_uuid"]
    again = world.post(CREATE, key=cast.system, json=person(), headers=named("once"))
    assert again.headers["idempotent-replay"] == "true; secrets-withheld"
    assert again.json() == {**first.json(), "entity_user_xref_uuid": None}
    stored = world.rows("SELECT answer FROM idempotency")
    answers = b"".join(bytes(row[0]) for row in stored)
    assert answers.count(first.json()["entity_user_xref_uuid"].encode()) == 1  # in the object
