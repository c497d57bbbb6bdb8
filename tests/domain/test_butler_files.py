"""The Butler brings files: one upload to many, each in a chat of its own."""

from typing import Any

import pytest

from onrecord.domain import attachments, butler
from onrecord.model.access import Kind
from tests.cast import Person, Shown, make_key
from tests.sending import (
    BUTLER_FILES,
    LETTER,
    UPLOAD,
    fetch,
    stored_names,
    try_send,
    uploaded,
)
from tests.talk import STRANGER, messages_of, start
from tests.world import World, accepted, refused


def bring(world: World, *uuids: str, key: Shown | None = None, **body: Any) -> Any:
    how = {"on_behalf_of": body.pop("by"), **body.pop("how", {})} if "by" in body else {}
    body = {"attachment_uuids": list(uuids), **body}
    return world.post(BUTLER_FILES, key=key or world.cast.master, json=body, **how)


def to(*people: Person) -> dict[str, Any]:
    return {"entity_user_xref_uuids": [one.uuid for one in people]}


def test_one_upload_reaches_many_each_in_the_own_chat(world: World) -> None:
    cast = world.cast
    uuids = [uploaded(world, cast.tomas, None), uploaded(world, cast.tomas, None, b"two")]
    before = world.head(cast.firm)
    text = "Dear <First Name>"
    body = accepted(bring(world, *uuids, by=cast.tomas, text=text, audience={"everyone": True}))
    assert (body["sent"], body["failed"]) == (6, 0)
    assert len(stored_names(world)) == 2
    for one in body["results"]:
        person = next(p for p in cast.people if p.uuid == one["entity_user_xref_uuid"])
        (message,) = messages_of(world, person, one["chat_uuid"])
        assert (message["kind"], message["text"]) == ("attachment", f"Dear {person.first_name}")
        assert [each["attachment_uuid"] for each in message["attachments"]] == uuids
        assert fetch(world, person, uuids[0]).content == LETTER
    entries = world.entries(cast.firm, before)
    sent = [entry for entry in entries if entry["type"] == "message.sent"]
    assert len(sent) == 6
    assert all({"text", "file"} <= entry["content"].keys() for entry in sent)


def test_a_file_needs_no_text_and_reaches_only_whom_it_was_brought_to(world: World) -> None:
    cast = world.cast
    uuid = uploaded(world, cast.tomas, None)
    body = accepted(bring(world, uuid, by=cast.tomas, **to(cast.priya)))
    (result,) = body["results"]
    (message,) = messages_of(world, cast.priya, result["chat_uuid"])
    assert message["text"] is None
    assert fetch(world, cast.priya, uuid).content == LETTER
    for other in (cast.george, cast.tomas):
        refused(fetch(world, other, uuid), "RN004", 404)


def test_what_was_brought_once_can_be_brought_to_others(world: World) -> None:
    cast = world.cast
    uuid = uploaded(world, cast.tomas, None)
    for person in (cast.priya, cast.george, cast.priya):
        body = accepted(bring(world, uuid, by=cast.tomas, **to(person)))
        assert body["sent"] == 1
    world.change(cast.firm, "UPDATE attachment SET created_at = 1")
    world.work(cast.firm, attachments.sweep)
    assert fetch(world, cast.george, uuid).content == LETTER


def test_the_uploader_or_the_same_key_lets_the_butler_bring_it(world: World) -> None:
    cast = world.cast
    uuid = uploaded(world, cast.tomas, None)
    other = world.run(make_key(world.app, cast.firm, Kind.MASTER_USER))
    here = to(cast.priya)
    refused(bring(world, uuid, key=other, **here), "RN004", 404)
    refused(bring(world, uuid, key=other, by=cast.ingrid, **here), "RN004", 404)
    assert accepted(bring(world, uuid, key=other, by=cast.tomas, **here))["sent"] == 1
    assert accepted(bring(world, uuid, **here))["sent"] == 1, "the key it was uploaded with"
    assert accepted(bring(world, uuid, by=cast.ingrid, **here))["sent"] == 1
    refused(bring(world, uuid, key=cast.other_master, **here), "RN004", 404)


def test_an_upload_for_a_chat_is_not_the_butlers(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    uuid = uploaded(world, cast.tomas, chat_uuid)
    before = world.head(cast.firm)
    refused(bring(world, uuid, by=cast.tomas, **to(cast.priya)), "RN004", 404)
    refused(bring(world, STRANGER, by=cast.tomas, **to(cast.priya)), "RN004", 404)
    ours = uploaded(world, cast.tomas, None)
    refused(bring(world, ours, STRANGER, by=cast.tomas, **to(cast.priya)), "RN004", 404)
    refused(bring(world, by=cast.tomas, **to(cast.priya)), "RB002", 400)
    refused(bring(world, ours, by=cast.tomas), "RB002", 400)
    refused(bring(world, ours, by=cast.tomas, text=" ", **to(cast.priya)), "RB003", 400)
    world.change(cast.firm, "UPDATE attachment SET waits_until = 1 WHERE uuid = $1", ours)
    refused(bring(world, ours, by=cast.tomas, **to(cast.priya)), "RN004", 404)
    assert [entry["type"] for entry in world.entries(cast.firm, before)] == ["setting.changed"]


def test_each_recipient_has_a_result_of_the_own(world: World) -> None:
    cast = world.cast
    uuid = uploaded(world, cast.tomas, None)
    named: dict[str, Any] = {"entity_user_xref_uuids": [cast.priya.uuid, cast.petra.uuid, STRANGER]}
    body = accepted(bring(world, uuid, by=cast.tomas, **named))
    assert (body["sent"], body["failed"]) == (1, 2)
    codes = [one.get("error_code") for one in body["results"]]
    assert codes == [None, "RF024", "RN006"]
    nobody = uploaded(world, cast.tomas, None)
    assert accepted(bring(world, nobody, by=cast.tomas, **to(cast.petra)))["sent"] == 0
    (waits,) = world.rows("SELECT waits_until FROM attachment WHERE uuid = $1", nobody)
    assert waits[0] is not None, "it was brought to nobody and still waits"


def test_a_long_round_goes_on_where_it_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    monkeypatch.setattr(butler, "SLICE", 2)
    uuid = uploaded(world, cast.tomas, None)
    once = {"headers": {"Idempotency-Key": "once"}}
    for_all: dict[str, Any] = {"by": cast.tomas, "audience": {"everyone": True}}
    say = butler.say
    calls = 0

    async def failing(*values: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError
        return await say(*values)

    monkeypatch.setattr(butler, "say", failing)
    refused(bring(world, uuid, how=once, **for_all), "RX500", 500)
    first = accepted(bring(world, uuid, how=once, **for_all))
    again = bring(world, uuid, how=once, **for_all)
    assert (first["sent"], again.json()) == (6, first)
    sent = [entry for entry in world.entries(cast.firm) if entry["type"] == "message.sent"]
    assert len(sent) == 6, "everybody heard it once"


def test_nobody_but_a_master_user_key_uploads_for_the_butler_or_lets_it_speak(world: World) -> None:
    cast = world.cast
    uuid = uploaded(world, cast.tomas, None)
    for key in (cast.user, cast.session, cast.sdk, cast.system):
        refused(bring(world, uuid, key=key, **to(cast.priya)), "RF008", 403)
    files = {"file": ("letter.txt", LETTER, "text/plain")}
    refused(world.post(UPLOAD, key=cast.master, files=files), "RF004", 403)
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    refused(try_send(world, cast.tomas, chat_uuid, uuid), "RN004", 404)
