"""Files on their way into a chat: uploading, and sending what was uploaded."""

import asyncio
import hashlib
import io
import json
import zipfile
import zlib
from typing import Any

import pytest

from onrecord.domain import attachments
from onrecord.jobs import attachments as chores
from onrecord.jobs.handlers import CHORES
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.store import attachments as rows
from tests.cast import Person, Shown, set_member_state
from tests.domain.test_barriers import divide
from tests.every_endpoint.calls import picture
from tests.sending import (
    LETTER,
    PREVIEW,
    SEND_FILES,
    UPLOAD,
    fetch,
    send_file,
    sent,
    stored_names,
    try_send,
    try_upload,
    uploaded,
)
from tests.talk import STRANGER, chat_of, done, feed_of, listed, messages_of, say, start
from tests.world import ENTITY, World, accepted, refused


def chat(world: World) -> str:
    """A chat of tomas with priya and ingrid in which something was said."""
    cast = world.cast
    return start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")


def told(content: bytes = LETTER, name: str = "letter.txt") -> dict[str, Any]:
    """What is said of a file, but for its uuid."""
    return {
        "filename": name,
        "content_type": "text/plain",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


# -- uploading ------------------------------------------------------------------------------------


def test_an_upload_is_described_and_is_no_entry_of_the_record(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    before = world.head(cast.firm)
    body = accepted(try_upload(world, cast.tomas, chat_uuid))
    assert body == {"attachment_uuid": body["attachment_uuid"], **told()}
    assert world.head(cast.firm) == before
    assert stored_names(world) == {f"{cast.firm}/{body['attachment_uuid']}"}
    assert [one["kind"] for one in messages_of(world, cast.priya, chat_uuid)] == ["text"]
    (row,) = world.rows("SELECT crc32, size FROM attachment")
    assert row == (zlib.crc32(LETTER), len(LETTER))


def test_everybody_who_may_write_uploads_and_sends_with_any_credential(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    shown: list[tuple[Shown, Person | None]] = [
        (cast.master, cast.priya),
        (cast.user, None),
        (cast.session, None),
        (cast.sdk, None),
    ]
    for key, acting in shown:
        body = accepted(try_upload(world, acting, chat_uuid, key=key))
        answer = try_send(world, acting, chat_uuid, body["attachment_uuid"], key=key)
        message = accepted(answer)["message"]
        assert message["attachments"] == [body]
        assert message["kind"] == "attachment"
    kinds = [one["via"]["kind"] for one in messages_of(world, cast.ingrid, chat_uuid)]
    assert kinds == ["master_user_key", "master_user_key", "user_key", "session", "sdk"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\Tomas\\letter.txt", "letter.txt"),
        ("a\x00\x1b\x85b.txt", "ab.txt"),
        ("\u202egnp.txt", "gnp.txt"),
        ("con.txt", "con.txt"),
        ("l" * 300 + ".txt", "l" * 251 + ".txt"),
        ("Übergabe 図面 🧿.txt", "Übergabe 図面 🧿.txt"),
    ],
)
def test_a_hostile_name_is_made_harmless(sqlite_world: World, name: str, kept: str) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    quoted = name.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    chat_uuid = chat(world)
    content = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + quoted + b'"\r\n\r\n'
        b"hello\r\n--x\r\n"
        b'Content-Disposition: form-data; name="chat_uuid"\r\n\r\n'
        + chat_uuid.encode()
        + b"\r\n--x--\r\n"
    )
    response = world.post(
        UPLOAD,
        key=cast.master,
        on_behalf_of=cast.tomas,
        content=content,
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert accepted(response)["filename"] == kept


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("letter.exe", LETTER, ".exe"),
        ("letter", LETTER, "ending"),
        ("letter.html", LETTER, ".html"),
        ("..", LETTER, "no name"),
        ("letter.txt", b"", "empty"),
        ("letter.pdf", b"MZ this is no document", ".pdf"),
    ],
)
def test_a_file_that_is_not_taken_is_refused_in_words(
    world: World, name: str, content: bytes, why: str
) -> None:
    cast = world.cast
    response = try_upload(world, cast.tomas, chat(world), content, name)
    assert why in refused(response, "RB016", 400)["detail"]
    assert stored_names(world) == set()
    assert world.rows("SELECT count(*) FROM attachment") == [(0,)]
    assert world.rows("SELECT count(*) FROM loose_file") == [(0,)]


def test_the_organisation_says_how_large_and_of_which_type_files_may_be(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    settings = {"attachment_max_bytes": 1000, "attachment_types": ["pdf", "zip", "exe"]}
    accepted(world.post(f"{ENTITY}/organisation/update", key=cast.system, json=settings))
    response = try_upload(world, cast.tomas, chat_uuid, b"x" * 1001)
    assert "1000 bytes" in refused(response, "RB016", 400)["detail"]
    response = try_upload(world, cast.tomas, chat_uuid, b"x" * 1000)
    assert "taken are exe, pdf, zip" in refused(response, "RB016", 400)["detail"]
    refused(try_upload(world, cast.tomas, chat_uuid, b"MZ", "tool.exe"), "RB016", 400)
    settings = {"attachment_types": []}
    accepted(world.post(f"{ENTITY}/organisation/update", key=cast.system, json=settings))
    assert accepted(try_upload(world, cast.tomas, chat_uuid, b"x" * 1000))["size"] == 1000


def test_a_file_too_large_is_refused_before_it_is_read_whole(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    body = {"attachment_max_bytes": 3_000_000}
    accepted(world.post(f"{ENTITY}/organisation/update", key=cast.system, json=body))
    read = 0

    async def without_end() -> Any:
        nonlocal read
        yield (
            f'--x\r\nContent-Disposition: form-data; name="chat_uuid"\r\n\r\n{chat_uuid}\r\n'
            '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        ).encode()
        while read < 100_000_000:
            read += 100_000
            yield b"x" * 100_000

    response = world.post(
        UPLOAD,
        key=cast.master,
        on_behalf_of=cast.tomas,
        content=without_end(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    refused(response, "RB016", 400)
    assert read < 4_000_000


def test_only_who_may_write_there_uploads(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    refused(try_upload(world, cast.olga, chat_uuid), "RN001", 404)
    refused(try_upload(world, cast.tomas, STRANGER), "RN001", 404)
    refused(try_upload(world, cast.tomas, "no uuid"), "RB003", 400)
    done(world, "leave", cast.ingrid, chat_uuid)
    refused(try_upload(world, cast.ingrid, chat_uuid), "RF001", 403)
    for key in (cast.user, cast.session, cast.sdk):
        response = try_upload(world, None, None, key=key)
        assert refused(response, "RB002", 400)["errors"][0]["pointer"] == "/chat_uuid"
    set_member_state(world, cast.priya, "suspended")
    refused(try_upload(world, cast.priya, chat_uuid), "RF024", 403)
    assert stored_names(world) == set()


def test_a_barrier_and_the_butlers_chat_take_no_file(world: World) -> None:
    cast = world.cast
    between = start(world, cast.tomas, cast.miriam, text="zero")
    uuid = uploaded(world, cast.tomas, between)
    divide(world)
    refused(try_upload(world, cast.tomas, between), "RF007", 403)
    refused(try_send(world, cast.tomas, between, uuid), "RF007", 403)
    body = {"text": "Hello", "entity_user_xref_uuid": cast.tomas.uuid}
    path = SEND_FILES.replace("messages/send-attachment", "butler-says/send-text")
    (said,) = accepted(world.post(path, key=cast.master, json=body))["results"]
    refused(try_upload(world, cast.tomas, said["chat_uuid"]), "RF005", 403)
    refused(try_send(world, cast.tomas, said["chat_uuid"], uuid), "RF005", 403)


def test_so_many_uploads_wait_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    monkeypatch.setattr(attachments, "WAITING_MOST", 2)
    first, second = (uploaded(world, cast.tomas, chat_uuid) for _ in range(2))
    response = try_upload(world, cast.tomas, chat_uuid)
    refused(response, "RU029", 429)
    assert 3500 < int(response.headers["retry-after"]) <= 3600
    uploaded(world, cast.priya, chat_uuid)
    sent(world, cast.tomas, chat_uuid, first, second)
    monkeypatch.setattr(attachments, "WAITING_BYTES", len(LETTER) + 10)
    uploaded(world, cast.tomas, chat_uuid)
    refused(try_upload(world, cast.tomas, chat_uuid, b"twelve bytes"), "RU029", 429)
    uploaded(world, cast.tomas, chat_uuid, b"ten bytes.")


def test_an_upload_sent_again_under_its_key_is_the_same_upload(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    once = {"Idempotency-Key": "once"}
    first = try_upload(world, cast.tomas, chat_uuid, headers=once)
    again = try_upload(world, cast.tomas, chat_uuid, headers=once)
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"
    assert len(stored_names(world)) == 1
    other = try_upload(world, cast.tomas, chat_uuid, b"other", headers=once)
    refused(other, "RB022", 422)


def test_of_two_of_the_same_upload_at_once_one_has_an_effect(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    twice = world.together(
        *(
            world.request(
                "POST",
                UPLOAD,
                key=cast.master,
                on_behalf_of=cast.tomas,
                data={"chat_uuid": chat_uuid},
                files={"file": ("letter.txt", LETTER, "text/plain")},
                headers={"Idempotency-Key": "once"},
            )
            for _ in range(2)
        )
    )
    codes = sorted(one.status_code for one in twice)
    assert codes in ([200, 200], [200, 409])
    assert len(stored_names(world)) == 1


# -- sending --------------------------------------------------------------------------------------


def test_a_message_brings_its_files_in_order_with_text_and_reply(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    contents = [b"one", b"two", b"three"]
    uuids = [uploaded(world, cast.tomas, chat_uuid, one, f"{one.decode()}.txt") for one in contents]
    before = world.head(cast.firm)
    body = {
        "chat_uuid": chat_uuid,
        "attachment_uuid": uuids[2],
        "attachment_uuids": uuids[:2],
        "text": "Three letters",
        "reply_to_seq": 0,
    }
    answer = accepted(world.post(SEND_FILES, key=cast.master, on_behalf_of=cast.tomas, json=body))
    message = answer["message"]
    assert (answer["chat_uuid"], answer["seq"]) == (chat_uuid, 1)
    assert (message["kind"], message["text"], message["reply_to_seq"]) == (
        "attachment",
        "Three letters",
        0,
    )
    assert [one["attachment_uuid"] for one in message["attachments"]] == [uuids[2], *uuids[:2]]
    assert messages_of(world, cast.tomas, chat_uuid)[1] == message
    (entry,) = world.entries(cast.firm, before)
    assert entry["type"] == "message.sent"
    assert set(entry["content"]) >= {"text", "file"}
    parts = world.rows(
        "SELECT data, salt FROM part WHERE name = 'file' AND position = $1", before + 1
    )
    data, salt = bytes(parts[0][0]), bytes(parts[0][1])
    assert hashlib.sha256(salt + data).hexdigest() == entry["content"]["file"]
    assert json.loads(data) == message["attachments"]
    assert (
        data
        == json.dumps(
            json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    )
    firm = _entity(world)
    found = world.ask(lambda db: rows.of_messages(db, firm, [before + 1, before]))
    assert [one.uuid for one in found[before + 1]] == [uuids[2], *uuids[:2]]
    assert found[before + 1][1].crc32 == zlib.crc32(b"one")
    assert found.keys() == {before + 1}


def _entity(world: World) -> int:
    return int(world.rows("SELECT id FROM entity WHERE uuid = $1", world.cast.firm)[0][0])


def test_a_message_of_files_alone_has_no_text(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    for more in ({}, {"text": None}, {"text": ""}):
        before = world.head(cast.firm)
        message = sent(world, cast.tomas, chat_uuid, uploaded(world, cast.tomas, chat_uuid), **more)
        assert message["text"] is None
        assert "text" not in world.entries(cast.firm, before)[0]["content"]
    response = try_send(
        world, cast.tomas, chat_uuid, uploaded(world, cast.tomas, chat_uuid), text="  "
    )
    refused(response, "RB003", 400)


def test_a_file_and_its_message_go_in_one_call(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    before = world.head(cast.firm)

    def call(**data: Any) -> Any:
        return world.post(
            SEND_FILES,
            key=cast.master,
            on_behalf_of=cast.tomas,
            data={"chat_uuid": chat_uuid, **data},
            files={"file": ("letter.txt", LETTER, "text/plain")},
            headers={"Idempotency-Key": "once"} if "once" in data.get("text", "") else None,
        )

    message = accepted(call(text="Once", reply_to_seq="0"))["message"]
    assert message["attachments"][0] | told() == message["attachments"][0]
    assert (message["text"], message["reply_to_seq"]) == ("Once", 0)
    assert accepted(call())["message"]["text"] is None
    first, again = call(text="once"), call(text="once")
    assert again.content == first.content
    assert [one["type"] for one in world.entries(cast.firm, before)] == ["message.sent"] * 3
    assert len(stored_names(world)) == 3
    refused(call(text=" "), "RB003", 400)
    refused(call(reply_to_seq="77"), "RB017", 400)
    refused(call(reply_to_seq="x"), "RB003", 400)
    refused(call(attachment_uuid=STRANGER), "RB003", 400)
    refused(call(chat_uuid=STRANGER), "RN001", 404)
    assert len(stored_names(world)) == 3, "what was refused left nothing behind"
    assert world.rows("SELECT count(*) FROM loose_file") == [(0,)]


def test_the_specification_says_that_a_form_is_taken_as_well(sqlite_world: World) -> None:
    paths = accepted(sqlite_world.get("/openapi.json"))["paths"]
    content = paths[SEND_FILES]["post"]["requestBody"]["content"]
    assert list(content) == ["application/json", "multipart/form-data"]
    form = content["multipart/form-data"]["schema"]
    assert form["properties"]["file"]["format"] == "binary"
    assert set(form["required"]) == {"chat_uuid", "file"}
    response = sqlite_world.post(
        SEND_FILES, key=sqlite_world.cast.user, headers={"content-type": "text/plain"}
    )
    assert "multipart/form-data" in refused(response, "RB026", 415)["detail"]


def test_an_upload_is_sent_by_its_uploader_once_and_in_its_chat(world: World) -> None:
    cast = world.cast
    chat_uuid, elsewhere = chat(world), chat(world)
    uuid = uploaded(world, cast.tomas, chat_uuid)
    refused(try_send(world, cast.ingrid, chat_uuid, uuid), "RN004", 404)
    refused(try_send(world, cast.tomas, elsewhere, uuid), "RN004", 404)
    refused(try_send(world, cast.tomas, chat_uuid, STRANGER), "RN004", 404)
    refused(try_send(world, cast.tomas, chat_uuid, uuid, STRANGER), "RN004", 404)
    for_butler = uploaded(world, cast.tomas, None)
    refused(try_send(world, cast.tomas, chat_uuid, for_butler), "RN004", 404)
    sent(world, cast.tomas, chat_uuid, uuid.upper())
    refused(try_send(world, cast.tomas, chat_uuid, uuid), "RN004", 404)
    assert len(messages_of(world, cast.tomas, chat_uuid)) == 2
    assert len(messages_of(world, cast.tomas, elsewhere)) == 1


def test_what_names_no_files_or_too_many_is_refused(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    uuid = uploaded(world, cast.tomas, chat_uuid)
    refused(try_send(world, cast.tomas, chat_uuid), "RB002", 400)
    refused(try_send(world, cast.tomas, chat_uuid, uuid, uuid), "RB003", 400)
    refused(try_send(world, cast.tomas, chat_uuid, uuid, attachment_uuid=uuid), "RB003", 400)
    refused(try_send(world, cast.tomas, chat_uuid, "letter"), "RB003", 400)
    many = [f"00000000-0000-4000-8000-{number:012}" for number in range(21)]
    refused(try_send(world, cast.tomas, chat_uuid, *many), "RB003", 400)
    refused(try_send(world, cast.tomas, chat_uuid, *many[:20]), "RN004", 404)
    refused(try_send(world, cast.tomas, chat_uuid, uuid, reply_to_seq=9), "RB017", 400)
    refused(try_send(world, cast.tomas, chat_uuid, uuid, text="x" * 5001), "RB003", 400)


def test_who_left_after_uploading_sends_no_more(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    uuid = uploaded(world, cast.ingrid, chat_uuid)
    done(world, "leave", cast.ingrid, chat_uuid)
    refused(try_send(world, cast.ingrid, chat_uuid, uuid), "RF001", 403)


def test_files_activate_a_draft_and_bring_chats_back(world: World) -> None:
    cast = world.cast
    draft = start(world, cast.tomas, cast.priya)
    uuid = uploaded(world, cast.tomas, draft)
    assert listed(world, cast.priya) == []
    assert sent(world, cast.tomas, draft, uuid)["seq"] == 0
    assert listed(world, cast.priya) == [draft]
    for person in (cast.tomas, cast.priya):
        done(world, "archive", person, draft, archived=True)
    sent(world, cast.tomas, draft, uploaded(world, cast.tomas, draft))
    assert not chat_of(world, cast.priya, draft)["archived"], "somebody else wrote"
    assert chat_of(world, cast.tomas, draft)["archived"], "a key wrote for its own archive"
    by_hand = uploaded(world, None, draft, key=cast.session)
    message = accepted(try_send(world, None, draft, by_hand, key=cast.session))["message"]
    seen = chat_of(world, cast.tomas, draft)
    assert (seen["archived"], seen["read_seq"]) == (False, message["seq"])


def test_files_are_unread_last_and_in_the_feed_like_texts(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    after = world.head(cast.firm)
    message = sent(world, cast.tomas, chat_uuid, uploaded(world, cast.tomas, chat_uuid))
    seen = chat_of(world, cast.priya, chat_uuid)
    assert seen["unread_count"] == 2
    assert seen["last_message"]["attachments"] == message["attachments"]
    (entry,) = feed_of(world, cast.priya, chat_uuid, after)
    assert (entry["type"], entry["seq"]) == ("message.sent", 1)
    params = {"after": after, "expand": True}
    events = accepted(world.get(f"{ENTITY}/events", key=cast.system, params=params))["events"]
    assert events[-1]["object"]["attachments"] == message["attachments"]


def exported(world: World) -> list[dict[str, Any]]:
    """Give the messages of the export of everything."""
    response = world.get(
        f"{ENTITY}/export/entities", key=world.cast.system, params={"format": "zip"}
    )
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return [json.loads(line) for line in archive.read("messages.jsonl").splitlines()]


def test_files_stand_in_the_export_of_everything(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    message = sent(world, cast.tomas, chat_uuid, uploaded(world, cast.tomas, chat_uuid))
    assert exported(world)[-1] == message


def test_a_message_whose_file_part_was_erased_says_so_by_its_kind(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    send_file(world, cast.tomas, chat_uuid, text="see here")
    world.change(cast.firm, "DELETE FROM part WHERE name = 'file'")
    for message in (messages_of(world, cast.priya, chat_uuid)[1], exported(world)[-1]):
        assert (message["kind"], message["attachments"]) == ("attachment", [])


# -- looking into files ---------------------------------------------------------------------------


class Scanner:
    """A scanner that finds what it is told to find."""

    def __init__(self, refusal: Refusal | None) -> None:
        self.refusal = refusal
        self.seen: list[bytes] = []

    async def scan(self, file: Any) -> None:
        file.seek(0)
        self.seen.append(file.read())
        await asyncio.sleep(0)
        if self.refusal:
            raise self.refusal


def test_a_scanner_sees_every_file_and_its_word_counts(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    world.app.scanner = scanner = Scanner(None)
    uploaded(world, cast.tomas, chat_uuid)
    assert scanner.seen == [LETTER]
    for refusal in (Refusal("RB016", "malware"), Refusal("RX503", "away", retry_after=30)):
        world.app.scanner = Scanner(refusal)
        refused(try_upload(world, cast.tomas, chat_uuid), refusal.code)
    assert len(stored_names(world)) == 1


def test_a_picture_has_a_preview_and_a_text_has_none(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    uuid = uploaded(world, cast.tomas, chat_uuid, picture(size=(900, 300)), "plan.png")
    response = fetch(world, cast.tomas, uuid, path=PREVIEW)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/webp"
    assert response.content[8:12] == b"WEBP"
    assert response.headers["cache-control"] == "private, no-cache"
    same = {"If-None-Match": response.headers["etag"]}
    assert fetch(world, cast.tomas, uuid, path=PREVIEW, headers=same).status_code == 304
    refused(fetch(world, cast.priya, uuid, path=PREVIEW), "RN004", 404)
    sent(world, cast.tomas, chat_uuid, uuid)
    assert fetch(world, cast.priya, uuid, path=PREVIEW).content == response.content
    letter = send_file(world, cast.tomas, chat_uuid)
    refused(fetch(world, cast.priya, letter, path=PREVIEW), "RN004", 404)
    world.run(world.app.files.delete(f"{cast.firm}/{uuid}.preview"))
    refused(fetch(world, cast.priya, uuid, path=PREVIEW), "RN004", 404)


def test_a_preview_that_fails_does_no_harm(world: World) -> None:
    cast = world.cast

    class Failing:
        async def preview(self, *_: Any) -> None:
            raise RuntimeError

    world.app.previewer = Failing()
    uuid = uploaded(world, cast.tomas, chat(world), picture(), "plan.png")
    refused(fetch(world, cast.tomas, uuid, path=PREVIEW), "RN004", 404)


# -- sweeping -------------------------------------------------------------------------------------


def sweep(world: World) -> None:
    assert chores.sweep in CHORES
    world.run(chores.sweep(world.app))


def test_what_is_not_sent_within_an_hour_goes(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    kept = send_file(world, cast.tomas, chat_uuid, picture(), "plan.png")
    late = uploaded(world, cast.tomas, chat_uuid, picture("red"), "late.png")
    accepted(
        world.post(
            f"{UPLOAD.removesuffix('upload')}link",
            key=cast.master,
            on_behalf_of=cast.tomas,
            json={"attachment_uuid": late},
        )
    )
    waits = uploaded(world, cast.tomas, chat_uuid)
    assert len(stored_names(world)) == 5
    world.change(
        cast.firm, "UPDATE attachment SET waits_until = $2 WHERE uuid = $1", late, times.now()
    )
    refused(fetch(world, cast.tomas, late), "RN004", 404)
    refused(try_send(world, cast.tomas, chat_uuid, late), "RN004", 404)
    sweep(world)
    names = {f"{cast.firm}/{kept}", f"{cast.firm}/{kept}.preview", f"{cast.firm}/{waits}"}
    assert stored_names(world) == names
    assert world.rows("SELECT count(*) FROM attachment WHERE uuid = $1", late) == [(0,)]
    assert world.rows("SELECT count(*) FROM download_link") == [(0,)]
    assert world.rows("SELECT count(*) FROM loose_file") == [(0,)]
    assert fetch(world, cast.priya, kept).status_code == 200
    sent(world, cast.tomas, chat_uuid, waits)


def test_what_was_cut_short_is_swept_after_an_hour(world: World) -> None:
    """A process that dies between storing a file and saying that it is there leaves its name."""
    cast = world.cast
    chat_uuid = chat(world)
    other = world.app.previewer

    class Dying:
        async def preview(self, *_: Any) -> None:
            raise asyncio.CancelledError

    world.app.previewer = Dying()
    with pytest.raises(asyncio.CancelledError):
        try_upload(world, cast.tomas, chat_uuid)
    world.app.previewer = other
    assert len(stored_names(world)) == 1
    sweep(world)
    assert len(stored_names(world)) == 1, "it may be under way in another process"
    world.change(cast.firm, "UPDATE loose_file SET since = since - $1", attachments.LOOSE_FOR + 1)
    sweep(world)
    assert stored_names(world) == set()
    assert world.rows("SELECT count(*) FROM loose_file") == [(0,)]


def test_a_file_that_is_being_swept_can_belong_to_nothing(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)

    class Slow:
        async def preview(self, *_: Any) -> None:
            await world.app.as_service(
                lambda work: work.db.run("UPDATE loose_file SET since = 0, doomed = 1")
            )

    world.app.previewer = Slow()
    refused(try_upload(world, cast.tomas, chat_uuid), "RX503", 503)
    assert stored_names(world) == set()


def test_storage_that_is_full_or_away_is_503_and_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chat_uuid = chat(world)

    async def full(*_: Any) -> None:
        raise Refusal("RX503", "There is no room for files")

    monkeypatch.setattr(world.app.files, "put", full)
    response = try_upload(world, cast.tomas, chat_uuid)
    refused(response, "RX503", 503)
    assert response.headers["retry-after"]
    assert world.rows("SELECT count(*) FROM loose_file") == [(0,)]


def test_a_text_is_said_as_ever(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    message = say(world, cast.tomas, chat_uuid, "words")
    assert (message["kind"], message["attachments"]) == ("text", [])
    assert "file" not in world.entries(cast.firm)[-1]["content"]
