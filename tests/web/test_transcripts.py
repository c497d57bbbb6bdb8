"""Transcripts: what stands in them, for whom, as of which position, and that they prove it."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pikepdf
import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest

from onrecord.domain import enclosed, sealed_zip, transcript, transcript_sheets, zones
from onrecord.model.access import Kind
from onrecord.model.errors import Refusal
from onrecord.model.record import TYPES, EntryType
from onrecord.outside.limited import Children, Failed
from onrecord.proof import note
from onrecord.proof.verify import Report, verify
from onrecord.store.work import Work
from tests.cast import Person, set_member_state
from tests.sending import LETTER, send_file, sent, stored_names, uploaded
from tests.talk import BUTLER_TEXT, CHATS, STRANGER, act, done, master_of, say, start
from tests.world import ENTITY, World, accepted, refused

OWN = f"{CHATS}/export"
PDF = f"{ENTITY}/chats/export/pdf"
ZIP = f"{ENTITY}/chats/export/zip"
EXPORT = f"{ENTITY}/export/entities"
REVIEW = "/app-service/api/review/export"


def own(world: World, person: Person, chat: str, **params: Any) -> httpx.Response:
    """Ask for a transcript on behalf of somebody."""
    key = master_of(world, person)
    return world.get(OWN, key=key, on_behalf_of=person, params={"chat_uuid": chat, **params})


def made(response: httpx.Response) -> bytes:
    """Assert that a response is a file, and give it."""
    assert response.status_code == 200, response.text
    return response.content


def any_pdf(world: World, chat: str, **params: Any) -> bytes:
    """Give the PDF of any chat, by the organisation's key."""
    return made(world.get(PDF, key=world.cast.system, params={"chat_uuid": chat, **params}))


def any_zip(world: World, chat: str, **params: Any) -> bytes:
    """Give the ZIP of any chat, by the organisation's key."""
    return made(world.get(ZIP, key=world.cast.system, params={"chat_uuid": chat, **params}))


def text_of(pdf: bytes) -> str:
    """Give what stands on the pages, in the order of the pages, with single spaces."""
    with pypdfium2.PdfDocument(pdf) as document:
        pages = [page.get_textpage().get_text_range() for page in document]
    return " ".join(" ".join(pages).replace("\ufffe", "-").split())


def verified(world: World, tmp_path: Path, file: bytes, name: str = "file.pdf") -> Report:
    """Verify a file with the installation's key."""
    path = tmp_path / name
    path.write_bytes(file)
    return verify(path, [note.VerifierKey.parse(world.app.signer.vkey)])


def lines_in(pdf: bytes) -> list[dict[str, Any]]:
    """Give the lines of the record inside a PDF."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert list(document.attachments) == ["records.jsonl"]
        data = document.attachments["records.jsonl"].get_file().read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def lively(world: World) -> str:
    """Let a chat live: renames, joins, leaves, replies, keys, other scripts."""
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, title="Pension")
    done(world, "rename", cast.tomas, chat, title="Pension of Priya")
    say(world, cast.tomas, chat, "Good morning,\nhow are you?")
    say(world, cast.priya, chat, "مرحبا، شكرا")
    accepted(act(world, "messages/send-text", cast.tomas, chat, text="*Fine* #1", reply_to_seq=0))
    say(world, cast.tomas, chat, "By my own key", key=cast.user)
    done(world, "invite", cast.tomas, chat, others=[cast.ingrid, cast.olga])
    done(world, "leave", cast.olga, chat)
    done(world, "remove", cast.tomas, chat, others=[cast.ingrid])
    return chat


def test_a_transcript_says_who_said_what_and_when(world: World, tmp_path: Path) -> None:
    chat = lively(world)
    pdf = any_pdf(world, chat)
    text = text_of(pdf)
    for wanted in (
        "Pension of Priya",
        "Alder & Finch",
        "Good morning, how are you?",
        "*Fine* #1",
        "In reply to 0, Tomas Hartley: Good morning, how are you?",
        "Tomas Hartley renamed the chat to “Pension of Priya”",
        "Tomas Hartley added Ingrid",
        "Page 1 of",
        "UTC+00:00",
        chat,
    ):
        assert wanted in text, wanted
    report = verified(world, tmp_path, pdf)
    assert report.problem is None


def test_its_record_is_that_of_the_chat_and_states_the_position(
    world: World, tmp_path: Path
) -> None:
    chat = lively(world)
    as_of = world.head(world.cast.firm)
    pdf = any_pdf(world, chat)
    head, *rest = lines_in(pdf)
    assert (head["chat_uuid"], head["as_of"], head["first_index"]) == (chat, as_of, 1)
    assert head["last_index"] == head["last_index_of_chat"] == head["entries"]
    told = [json.loads(one["entry"])["type"] for one in rest if "entry" in one]
    assert told[0] == "chat.created"
    assert told[-1] == "participant.removed"
    assert verified(world, tmp_path, pdf).ok
    last = world.entries(world.cast.firm, as_of)[0]
    assert last["type"] == "export.made"
    assert last["data"] == {
        "kind": "chat",
        "as_of": as_of,
        "chat": chat,
        "format": "pdf",
        "first_index": 1,
        "last_index": head["last_index"],
    }


def test_a_changed_byte_anywhere_makes_it_fail(world: World, tmp_path: Path) -> None:
    pdf = any_pdf(world, lively(world))
    for place in (100, len(pdf) // 2, len(pdf) - 300, len(pdf) - 20):
        changed = pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :]
        assert not verified(world, tmp_path, changed).ok, place
    assert not verified(world, tmp_path, pdf + b"%").ok


def test_the_same_position_is_the_same_file_while_others_go_on(world: World) -> None:
    cast = world.cast
    chat = lively(world)
    as_of = world.head(cast.firm)
    first = any_pdf(world, chat, as_of=as_of)
    whole = any_zip(world, chat, as_of=as_of)

    async def pdf() -> bytes:
        params = {"chat_uuid": chat, "as_of": as_of}
        return made(await world.request("GET", PDF, key=cast.system, params=params))

    async def load() -> bytes:
        for number in range(20):
            body = {"chat_uuid": chat, "text": f"And on {number}"}
            how: dict[str, Any] = {"key": cast.master, "on_behalf_of": cast.tomas, "json": body}
            accepted(await world.request("POST", f"{CHATS}/messages/send-text", **how))
        return b""

    again, third, _ = world.together(pdf(), pdf(), load())
    assert first == again == third
    post = f"{ENTITY}/entity-memberships/update"
    accepted(world.post(post, key=cast.system, json={"identifier": "CL-1", "last_name": "Menon"}))
    done(world, "rename", cast.tomas, chat, title="Something else")
    assert any_pdf(world, chat, as_of=as_of) == first
    assert any_zip(world, chat, as_of=as_of) == whole
    text = text_of(any_pdf(world, chat))
    assert "Priya Menon" in text
    assert "Priya Nair" in text  # as she was called before, with the moment until when
    assert "Something else" in text


def test_keys_are_named_to_the_staff_and_not_to_clients(world: World) -> None:
    cast = world.cast
    chat = lively(world)
    staff = text_of(made(own(world, cast.tomas, chat)))
    assert f"by API key “{cast.master.name}” on behalf of Tomas Hartley" in staff
    assert f"by API key “{cast.user.name}”" in staff
    client = text_of(made(own(world, cast.priya, chat)))
    assert "by an API key" in client
    assert cast.master.name not in client
    assert cast.user.name not in client


def test_a_former_participant_gets_the_chat_as_it_was_at_the_moment_of_leaving(
    world: World, tmp_path: Path
) -> None:
    cast = world.cast
    chat = lively(world)
    say(world, cast.tomas, chat, "Behind her back")
    done(world, "rename", cast.tomas, chat, title="Secret")
    pdf = made(own(world, cast.olga, chat))
    text = text_of(pdf)
    assert "Olga Berg left" in text
    assert "removed" not in text
    assert "Behind her back" not in text
    assert "Secret" not in text
    head = lines_in(pdf)[0]
    left = next(
        one
        for one in world.entries(cast.firm)
        if one["type"] == "participant.left" and one.get("chat_uuid") == chat
    )
    assert head["as_of"] == left["position"]
    assert head["last_index"] == head["last_index_of_chat"] == left["chat_index"]
    assert verified(world, tmp_path, pdf).ok
    assert made(own(world, cast.olga, chat, as_of=world.head(cast.firm))) == pdf


def test_persons_get_no_addresses_and_the_organisation_does(world: World) -> None:
    cast = world.cast
    chat = lively(world)
    assert lines_in(made(own(world, cast.tomas, chat)))[0]["withheld"] == ["address", "request_id"]
    assert lines_in(any_pdf(world, chat))[0]["withheld"] == []


def test_a_window_holds_what_was_said_in_it_both_ends_included(
    world: World, tmp_path: Path
) -> None:
    chat = lively(world)
    sent = [
        one
        for one in world.entries(world.cast.firm)
        if one["type"] == "message.sent" and one["chat_uuid"] == chat
    ]
    begin, end = sent[1]["at"], sent[2]["at"]
    pdf = any_pdf(world, chat, **{"from": begin, "to": end})
    head = lines_in(pdf)[0]
    assert (head["first_index"], head["last_index"]) == (
        sent[1]["chat_index"],
        sent[2]["chat_index"],
    )
    text = text_of(pdf)
    assert "complete for them only" in text
    day, clock = begin[:10], begin[11:19]
    asked = f"what was said and done from {day} {clock}"
    assert asked in text_of(any_pdf(world, chat, **{"from": begin, "timezone": "UTC"}))
    assert "*Fine* #1" in text
    assert "By my own key" not in text
    assert verified(world, tmp_path, pdf).ok
    empty = any_pdf(world, chat, **{"from": "1999-01-01T00:00:00Z", "to": "1999-12-31T00:00:00Z"})
    told = text_of(empty)
    assert "Nothing was said or done in this time." in told
    assert "Holds no message" in told
    assert "entries, it lies before the first one" in told
    assert "from 1999-01-01 00:00:00 UTC+00:00 to 1999-12-31 00:00:00 UTC+00:00" in told
    after = any_pdf(world, chat, **{"from": "2200-01-01T00:00:00.5Z"})
    told = text_of(after)
    assert f"it lies after entry {head['last_index_of_chat']}" in told
    assert "from 2200-01-01 00:00:00.500000 UTC+00:00" in told
    just = f"{sent[1]['at'][:-1]}"
    moment = just[:-6] + f"{int(just[-6:]) + 1:06d}Z"
    between = any_pdf(world, chat, **{"from": moment, "to": moment})
    first = sent[1]["chat_index"]
    assert f"it lies between entries {first} and {first + 1}" in text_of(between)
    assert verified(world, tmp_path, empty).ok


def test_times_are_those_of_the_zone_asked_for_or_of_the_setting(world: World) -> None:
    cast = world.cast
    chat = lively(world)
    assert "Asia/Kolkata, UTC+05:30" in text_of(any_pdf(world, chat, timezone="Asia/Kolkata"))
    body = {"timezone": "America/New_York"}
    accepted(world.post(f"{ENTITY}/organisation/update", key=cast.system, json=body))
    assert "America/New_York, UTC-0" in text_of(any_pdf(world, chat))
    refused(
        world.get(PDF, key=cast.system, params={"chat_uuid": chat, "timezone": "Mars"}), "RB003"
    )


def test_a_draft_is_its_creators_and_the_organisations(world: World, tmp_path: Path) -> None:
    cast = world.cast
    draft = start(world, cast.tomas, cast.ingrid, title="Not yet")
    refused(own(world, cast.ingrid, draft), "RN001")
    told = text_of(made(own(world, cast.tomas, draft)))
    assert "Draft" in told
    assert "Holds no message Times" in told
    accepted(act(world, "discard", cast.tomas, draft))
    refused(own(world, cast.tomas, draft), "RN001")
    pdf = any_pdf(world, draft)
    assert "Tomas Hartley discarded the draft" in text_of(pdf)
    assert verified(world, tmp_path, pdf).ok


def test_the_butlers_chat_is_told_too(world: World) -> None:
    cast = world.cast
    body = {"entity_user_xref_uuid": cast.priya.uuid, "text": "Welcome, <First Name>"}
    said = accepted(world.post(BUTLER_TEXT, key=cast.master, json=body))
    text = text_of(made(own(world, cast.priya, said["results"][0]["chat_uuid"])))
    assert "The Butler's chat with Priya Nair began" in text
    assert "Welcome, Priya" in text


def test_text_is_shown_as_it_was_sent_and_never_read_as_markup(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="#strong[x] $y$ *b* _i_ `c` \\ <a> // no")
    say(world, cast.tomas, chat, '#read("/etc/passwd") #import "@preview/x:0.1.0"')
    say(world, cast.tomas, chat, "evil \u202egnp.exe and \U0001f9ff \u0f00 " + "w" * 400)
    say(world, cast.tomas, chat, "日本語 한국어 中文 ไทย हिन्दी עברית")
    text = text_of(any_pdf(world, chat))
    assert "#strong[x] $y$ *b* _i_ `c` \\ <a> // no" in text
    assert '#read("/etc/passwd") #import "@preview/x:0.1.0"' in text
    assert "\u2039U+202E\u203a" in text
    assert "\u2039U+0F00\u203a" in text
    assert "U+1F9FF" not in text  # there is a glyph for it
    assert "日本語 한국어 中文" in text


def test_who_may_not_see_a_chat_gets_no_transcript(world: World) -> None:
    cast = world.cast
    chat = lively(world)
    refused(own(world, cast.ingrid, STRANGER), "RN001")
    refused(own(world, cast.george, chat), "RN001")
    refused(own(world, cast.karl, chat), "RN001")
    params = {"chat_uuid": chat}
    refused(world.get(PDF, key=cast.other_system, params=params), "RN001")
    weak = cast.alone[Kind.MASTER_USER, "can_read_chat"]
    refused(world.get(OWN, key=weak, on_behalf_of=cast.tomas, params=params), "RF732")
    admin = cast.alone[Kind.SYSTEM, "can_read_admin"]
    refused(world.get(PDF, key=admin, params=params), "RF735")
    for permission in ("can_export", "can_review_data"):
        made(world.get(PDF, key=cast.alone[Kind.SYSTEM, permission], params=params))
    made(world.get(OWN, key=cast.session, params=params))
    made(world.get(OWN, key=cast.sdk, params=params))
    set_member_state(world, cast.tomas, "suspended")
    refused(own(world, cast.tomas, chat), "RF024")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"as_of": 10**6}, "RN008"),
        ({"as_of": 1}, "RN008"),
        ({"from": "yesterday"}, "RB003"),
        ({"to": "2026-01-01T00:00:00"}, "RB003"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "RB003"),
        ({"format": "docx"}, "RB003"),
        ({"chat_uuid": "x"}, "RB003"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_entry(
    world: World, params: dict[str, Any], code: str
) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="hello")
    head = world.head(cast.firm)
    asked = {"chat_uuid": chat, **params}
    refused(world.get(OWN, key=cast.master, on_behalf_of=cast.tomas, params=asked), code)
    assert world.head(cast.firm) == head


def test_what_is_too_long_for_one_pdf_comes_in_parts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chat = lively(world)
    monkeypatch.setattr(transcript, "PART_MESSAGES", 3)
    refused(own(world, cast.tomas, chat), "RB019")
    zipped = any_zip(world, chat)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        names = [one for one in archive.namelist() if one.endswith(".pdf")]
        assert names == [f"transcript-{number:03d}.pdf" for number in range(1, len(names) + 1)]
        pages = [archive.read(name) for name in names]
    heads = [lines_in(one)[0] for one in pages]
    assert [one["first_index"] for one in heads[1:]] == [
        one["last_index"] + 1 for one in heads[:-1]
    ]
    assert heads[0]["first_index"] == 1
    assert heads[-1]["last_index"] == heads[-1]["last_index_of_chat"]
    assert "Part 2 of" in text_of(pages[1])
    assert all(verified(world, tmp_path, one).ok for one in pages)
    assert verified(world, tmp_path, zipped, "file.zip").ok
    monkeypatch.setattr(transcript, "PART_MESSAGES", 20_000)
    monkeypatch.setattr(transcript, "PART_BYTES", 20)
    refused(own(world, cast.tomas, chat), "RB019")


def test_a_reviewer_gives_a_reason_and_leaves_a_trace(world: World, tmp_path: Path) -> None:
    cast = world.cast
    chat = lively(world)
    browser = world.session(cast.ingrid)
    params = {"chat_uuid": chat, "reason": "Complaint 17"}
    refused(world.get(f"{REVIEW}/pdf", key=browser, params=params), "RF006")
    post = f"{ENTITY}/entity-memberships/profile/update"
    body = {"identifier": "ADV-2", "data_reviewer_level": 2}
    accepted(world.post(post, key=cast.system, json=body))
    refused(world.get(f"{REVIEW}/pdf", key=browser, params={"chat_uuid": chat}), "RB002")
    refused(world.get(f"{REVIEW}/pdf", key=browser, params={**params, "reason": " "}), "RB003")
    refused(
        world.get(f"{REVIEW}/zip", key=browser, params={**params, "chat_uuid": STRANGER}), "RN001"
    )
    head = world.head(cast.firm)
    pdf = made(world.get(f"{REVIEW}/pdf", key=browser, params=params))
    assert lines_in(pdf)[0]["withheld"] == ["address", "request_id"]
    assert verified(world, tmp_path, pdf).ok
    told = {one["type"]: one for one in world.entries(cast.firm, head)}
    assert told["record.read"]["data"] == {"act": "export", "chat": chat}
    assert told["record.read"]["actor"]["entity_user_xref_uuid"] == cast.ingrid.uuid
    assert told["export.made"]["data"]["chat"] == chat
    body = {"reviewer_export_cap": 1}
    accepted(world.post(f"{ENTITY}/organisation/update", key=cast.system, json=body))
    response = world.get(f"{REVIEW}/zip", key=browser, params=params)
    refused(response, "RU029")
    assert int(response.headers["retry-after"]) > 0


def test_what_was_erased_is_named_with_its_position(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="To be forgotten")
    say(world, cast.tomas, chat, "To be kept")
    (position,) = (
        one["position"]
        for one in world.entries(cast.firm)
        if one["type"] == "message.sent" and one["seq"] == 0
    )

    async def erase(work: Work) -> None:
        await work.db.run("DELETE FROM part WHERE position = $1 AND name = 'text'", position)

    world.work(cast.firm, erase)
    text = text_of(any_pdf(world, chat))
    assert "To be forgotten" not in text
    assert "To be kept" in text
    assert f"lawfully erased; it stood in entry {position} of the record" in text


def test_it_knows_what_every_type_of_entry_of_a_chat_says() -> None:
    in_chats = {name for name, one in TYPES.items() if one.in_chat}
    told = {name.removesuffix(" oneself") for name in transcript_sheets._SENTENCES}
    assert in_chats == told - {"butler"} | {transcript.SAID}


def test_a_form_that_does_not_exist_is_refused_on_every_way(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="hello")
    wanted = transcript.Wanted(chat, "docx")
    with pytest.raises(Refusal, match="RB003"):
        world.work(cast.firm, lambda work: transcript.begin(work, world.app.signer, wanted))


# -- the ZIP, and attachments --------------------------------------------------------------------


def with_files(world: World) -> str:
    """Let files be sent into a chat: one alone, two together."""
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, title="Files", text="zero")
    send_file(world, cast.tomas, chat)
    more = [
        uploaded(world, cast.priya, chat, b"one,two\n", "sums.csv"),
        uploaded(world, cast.priya, chat, b"again\n", "letter.txt"),
    ]
    sent(world, cast.priya, chat, *more, text="Both")
    return chat


def parts_of(zipped: bytes) -> dict[str, bytes]:
    """Give what a ZIP holds, by name and in order."""
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_zip_holds_transcript_record_and_attachments(world: World, tmp_path: Path) -> None:
    cast = world.cast
    chat = with_files(world)
    as_of = world.head(cast.firm)
    zipped = any_zip(world, chat)
    parts = parts_of(zipped)
    assert list(parts) == [
        "README.txt",
        "transcript.pdf",
        "records.jsonl",
        "attachments/000001-letter.txt",
        "attachments/000002-01-sums.csv",
        "attachments/000002-02-letter.txt",
        "manifest.json",
    ]
    assert parts["attachments/000001-letter.txt"] == LETTER
    assert parts["attachments/000002-02-letter.txt"] == b"again\n"
    assert parts["transcript.pdf"] == any_pdf(world, chat, as_of=as_of)
    manifest = json.loads(parts["manifest.json"])
    assert (manifest["chat_uuid"], manifest["as_of"]) == (chat, as_of)
    entries = manifest["last_index"] - manifest["first_index"] + 1
    assert manifest["counts"] == {"attachments": 3, "entries": entries, "messages": 3}
    assert manifest["versions"].keys() == {"typst", "pikepdf", "template", "fonts", "tzdata"}
    assert "missing" not in manifest
    text = text_of(parts["transcript.pdf"])
    assert "sums.csv text/csv" in text
    assert manifest["files"]["attachments/000001-letter.txt"]["sha256"] in text
    assert f"position {as_of}" in parts["README.txt"].decode()
    report = verified(world, tmp_path, zipped, "file.zip")
    assert report.problem is None


def test_an_attachment_that_is_gone_is_named_as_missing(world: World, tmp_path: Path) -> None:
    cast = world.cast
    chat = with_files(world)
    (gone, shorter) = sorted(stored_names(world))[:2]
    world.run(world.app.files.delete(gone))
    world.run(world.app.files.put(shorter, io.BytesIO(b"x")))
    for zipped in (
        any_zip(world, chat),
        made(world.get(EXPORT, key=cast.system, params={"format": "zip"})),
    ):
        manifest = json.loads(parts_of(zipped)["manifest.json"])
        missing = {one["attachment_uuid"]: one for one in manifest["missing"]}
        assert missing.keys() == {name.partition("/")[2] for name in (gone, shorter)}
        assert all(one["chat_uuid"] == chat for one in missing.values())
        assert not {one["name"] for one in missing.values()} & manifest["files"].keys()
        assert manifest["counts"]["attachments"] == 1
        report = verified(world, tmp_path, zipped, "file.zip")
        assert report.problem is None


def test_an_attachment_that_is_not_what_was_sent_cuts_the_file(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="zero")
    send_file(world, cast.tomas, chat, b"sums\n", "sums.txt")
    (name,) = stored_names(world)
    world.run(world.app.files.put(name, io.BytesIO(b"more\n")))
    with pytest.raises(sealed_zip.NotTheSameError):
        world.get(ZIP, key=cast.system, params={"chat_uuid": chat})


def test_the_export_of_everything_has_the_attachments_of_every_chat(
    world: World, tmp_path: Path
) -> None:
    cast = world.cast
    first, second = with_files(world), with_files(world)
    zipped = made(world.get(EXPORT, key=cast.system, params={"format": "zip"}))
    names = [name for name in parts_of(zipped) if name.startswith("attachments/")]
    assert names == [
        f"attachments/{chat}/{name}"
        for chat in (first, second)
        for name in ("000001-letter.txt", "000002-01-sums.csv", "000002-02-letter.txt")
    ]
    report = verified(world, tmp_path, zipped, "file.zip")
    assert report.problem is None


def test_a_former_participants_zip_has_no_files_that_came_later(world: World) -> None:
    cast = world.cast
    chat = with_files(world)
    done(world, "leave", cast.priya, chat)
    send_file(world, cast.tomas, chat, b"later", "later.txt")
    names = parts_of(made(own(world, cast.priya, chat, format="zip")))
    assert len([name for name in names if name.startswith("attachments/")]) == 3


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\u202eb?.txt", "a_b_.txt"),
        (" . ", "file"),
        ("x" * 300 + ".pdf", "x" * 96 + ".pdf"),
        ("x" * 300, "x" * 100),
        ("x." + "y" * 300, "x." + "y" * 98),
        ("e\u0301.txt", "\u00e9.txt"),
        ("\u6587" * 90 + ".pdf", "\u6587" * 65 + ".pdf"),
        ("\U0001f600" * 300, "\U0001f600" * 50),
    ],
    ids=lambda one: ascii(one)[:30],
)
def test_names_of_files_are_made_safe(name: str, kept: str) -> None:
    assert enclosed.safe_name(name) == kept


def test_no_more_than_four_streams_at_once(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="hello")

    async def pdf() -> httpx.Response:
        params = {"chat_uuid": chat}
        return await world.request("GET", PDF, key=cast.system, params=params)

    answers = world.together(*(pdf() for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [200] * 4 + [429] * 2
    assert world.server.limits.streams == 0


def test_a_page_that_cannot_be_set_is_an_error_and_no_half_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="hello")

    async def fail(*_: Any, **__: Any) -> bytes:
        raise Failed("somewhere")

    monkeypatch.setattr(Children, "run", fail)
    response = world.get(PDF, key=cast.system, params={"chat_uuid": chat})
    refused(response, "RX500")
    assert world.server.limits.streams == 0


# -- what is seldom ------------------------------------------------------------------------------


def test_a_long_chat_is_set_in_several_sheets_and_days_go_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = lively(world)
    monkeypatch.setattr(transcript_sheets, "SHEET_ITEMS", 4)
    pdf = any_pdf(world, chat)
    text = text_of(pdf)
    assert ", continued" in text
    places = [text.index(one) for one in ("Good morning", "*Fine* #1", "By my own key", "removed")]
    assert places == sorted(places)
    with pypdfium2.PdfDocument(pdf) as document:
        assert f"Page {len(document)} of {len(document)}" in text
        assert len(document) > 3
    assert verified(world, tmp_path, pdf).ok


def test_where_the_clocks_are_changed_on_a_day_each_time_says_how_they_stood(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = lively(world)
    asked = iter(range(10_000))
    monkeypatch.setattr(zones, "offset", lambda _: "UTC+01:00" if next(asked) % 2 else "UTC+02:00")
    text = text_of(any_pdf(world, chat))
    assert re.search(r"\d\d:\d\d:\d\d UTC\+0[12]:00", text)


@pytest.mark.parametrize("kind", ["system", "superkey"])
def test_whoever_leaves_because_the_membership_ended_says_so(world: World, kind: str) -> None:
    cast = world.cast
    key = getattr(cast, kind)
    chat = start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")
    accepted(
        world.post(f"{ENTITY}/entity-memberships/destroy", key=key, json={"identifier": "CL-1"})
    )
    text = text_of(made(own(world, cast.tomas, chat)))
    word = "super" if kind == "superkey" else "system"
    assert f"Priya Nair left, as the membership ended by {word} key “{key.name}”" in text


def test_names_titles_files_and_keys_that_were_erased_are_named_as_erased(world: World) -> None:
    cast = world.cast
    chat = lively(world)
    send_file(world, cast.tomas, chat)
    seq = say(world, cast.priya, chat, "quoted")["seq"]
    for replied in (seq, seq - 1, 4):
        how = {"text": "reply", "reply_to_seq": replied}
        accepted(act(world, "messages/send-text", cast.tomas, chat, key=None, **how))
    names = ("profile", "title", "file", "name", "text")
    before = any_pdf(world, chat)
    assert "In reply to 4" in text_of(before)

    async def erase(work: Work) -> None:
        for name in names:
            await work.db.run("DELETE FROM part WHERE name = $1", name)

    world.work(cast.firm, erase)
    text = text_of(any_pdf(world, chat))
    for wanted in (
        "(name erased)",
        "(title erased)",
        "The files of this message were lawfully erased",
        "by API key (name erased)",
        f"In reply to {seq}, (name erased): (erased)",
        f"In reply to {seq - 1}, (name erased): (files)",
        "In reply to 4, (name erased): (what happened to the chat)",
    ):
        assert wanted in text, wanted


def test_an_erasure_that_is_on_record_is_named_by_its_position(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="To be forgotten")
    (position,) = (
        one["position"]
        for one in world.entries(cast.firm)
        if one["type"] == "message.sent" and one["chat_uuid"] == chat
    )
    erased = EntryType("content.erased", "", data=frozenset({"position", "parts"}))
    monkeypatch.setitem(TYPES, "content.erased", erased)

    async def erase(work: Work) -> None:
        await work.db.run("DELETE FROM part WHERE position = $1 AND name = 'text'", position)
        work.record("content.erased", data={"position": position, "parts": ["text"]})

    as_of = world.head(cast.firm)
    world.work(cast.firm, erase)
    told = f"entry {position} of the record, and entry {as_of + 1} says so"
    assert told in text_of(any_pdf(world, chat, as_of=as_of))


def test_names_that_run_from_right_to_left_turn_nothing_beside_them(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, title="פנסיה", text="zero")
    done(world, "leave", cast.priya, chat)
    post = f"{ENTITY}/entity-memberships/update"
    body = {"identifier": "CL-1", "first_name": "שרה", "last_name": "כהן"}
    accepted(world.post(post, key=cast.system, json=body))
    pages = any_pdf(world, chat)
    assert "started the chat" in text_of(pages)
    assert transcript_sheets._isolated("שרה כהן") == "\u2068שרה כהן\u2069"
    assert transcript_sheets._isolated("Yael") == "Yael"


def test_what_is_done_by_hand_says_nothing_of_keys(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.ingrid, is_staff_only=True)
    long = "word " * 60
    body = {"chat_uuid": chat, "text": long}
    accepted(world.post(f"{CHATS}/messages/send-text", key=cast.session, json=body))
    reply = {"chat_uuid": chat, "text": "reply", "reply_to_seq": 0}
    accepted(world.post(f"{CHATS}/messages/send-text", key=cast.sdk, json=reply))
    text = text_of(any_pdf(world, chat))
    assert "Chat, of staff only" in text
    assert f"In reply to 0, Tomas Hartley: {'word ' * 18}".strip() in text
    assert re.search(r"Tomas Hartley Staff \d\d:\d\d:\d\d word word", text)
