"""Files on their way back: who may fetch them, in which parts, and links that work once."""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from onrecord.domain import attachments, organisations
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.web import downloads, limits, server
from tests.cast import Person, Shown, set_member_state
from tests.sending import (
    FETCH,
    LETTER,
    LINK,
    fetch,
    send_file,
    sent,
    uploaded,
)
from tests.talk import done, start
from tests.world import World, accepted, refused

LARGE = bytes(range(256)) * 20_000
"""More than is sent in one piece."""


def chat(world: World) -> str:
    """A chat of tomas with priya and ingrid."""
    cast = world.cast
    return start(world, cast.tomas, cast.priya, cast.ingrid, text="zero")


def path_of(world: World, uuid: str) -> Path:
    return world.settings.data_dir / "files" / world.cast.firm / uuid


# -- who may --------------------------------------------------------------------------------------


def test_whoever_sees_the_message_fetches_the_file_with_any_credential(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.priya, chat(world))
    shown: list[tuple[Shown, Person | None]] = [
        (cast.master, cast.priya),
        (cast.master, cast.ingrid),
        (cast.user, None),
        (cast.session, None),
        (cast.sdk, None),
    ]
    for key, acting in shown:
        response = fetch(world, acting, uuid, key=key)
        assert (response.status_code, response.content) == (200, LETTER)
    assert fetch(world, cast.ingrid, uuid.upper()).content == LETTER
    refused(fetch(world, cast.olga, uuid), "RN004", 404)
    refused(fetch(world, cast.miriam, uuid), "RN004", 404)
    refused(fetch(world, cast.karl, uuid, key=cast.other_master), "RN004", 404)
    refused(fetch(world, cast.tomas, "letter"), "RB003", 400)


def test_an_upload_is_its_uploaders_alone_until_it_is_sent(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    uuid = uploaded(world, cast.tomas, chat_uuid)
    assert fetch(world, cast.tomas, uuid).content == LETTER
    refused(fetch(world, cast.priya, uuid), "RN004", 404)
    sent(world, cast.tomas, chat_uuid, uuid)
    assert fetch(world, cast.priya, uuid).content == LETTER


def test_who_left_fetches_what_was_sent_before_and_nothing_later(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    early = send_file(world, cast.tomas, chat_uuid)
    done(world, "leave", cast.ingrid, chat_uuid)
    late = send_file(world, cast.tomas, chat_uuid)
    assert fetch(world, cast.ingrid, early).content == LETTER
    refused(fetch(world, cast.ingrid, late), "RN004", 404)
    done(world, "invite", cast.tomas, chat_uuid, others=[cast.ingrid, cast.olga])
    assert fetch(world, cast.ingrid, late).content == LETTER
    assert fetch(world, cast.olga, early).content == LETTER, "newcomers see the whole history"


def test_each_fetch_is_judged_anew(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    etag = {"If-None-Match": fetch(world, cast.priya, uuid).headers["etag"]}
    set_member_state(world, cast.priya, "suspended")
    refused(fetch(world, cast.priya, uuid, headers=etag), "RF024", 403)
    set_member_state(world, cast.priya, "active")
    world.work(cast.firm, lambda work: organisations.set_state(work, "frozen"))
    refused(fetch(world, cast.priya, uuid), "RN902", 404)
    world.work(cast.firm, lambda work: organisations.set_state(work, "active"))
    world.work(cast.firm, lambda work: organisations.set_state(work, "inactive"))
    refused(fetch(world, cast.priya, uuid), "RN900", 404)


# -- what is given --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("letter.txt", 'attachment; filename="letter.txt"'),
        ("a<b>;c.txt", 'attachment; filename="a_b_;c.txt"'),
        ("100% sure.txt", 'attachment; filename="100_ sure.txt"'),
        ("con.txt", 'attachment; filename="_con.txt"'),
        ("COM1.tar.txt", 'attachment; filename="_COM1.tar.txt"'),
        ("-rf.txt", 'attachment; filename="_rf.txt"'),
        (
            "Übergabe 図.txt",
            (
                'attachment; filename="_bergabe _.txt";'
                " filename*=UTF-8''%C3%9Cbergabe%20%E5%9B%B3.txt"
            ),
        ),
    ],
)
def test_a_file_is_always_a_download_under_a_safe_name(
    sqlite_world: World, name: str, told: str
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    uuid = send_file(world, cast.tomas, chat(world), name=name)
    response = fetch(world, cast.priya, uuid)
    assert response.headers["content-disposition"] == told
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["content-security-policy"] == "sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["content-length"] == str(len(LETTER))


@pytest.mark.parametrize("content", [LETTER, LARGE.replace(b"\0", b"\n")], ids=["small", "large"])
def test_a_file_comes_back_as_it_was_and_is_not_sent_twice_in_vain(
    world: World, content: bytes
) -> None:
    cast = world.cast
    if len(content) > downloads.SMALL:
        content = content.hex().encode()
    uuid = send_file(world, cast.tomas, chat(world), content)
    response = fetch(world, cast.priya, uuid)
    assert response.content == content
    assert response.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    for known in (response.headers["etag"], "*", f"W/{response.headers['etag']}"):
        again = fetch(world, cast.priya, uuid, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    head = fetch(world, cast.priya, uuid, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(content))
    head = fetch(world, cast.priya, uuid, method="HEAD", headers={"Range": "bytes=0-1"})
    assert head.status_code == 200


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("Bytes=5-", 5, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=990-5000", 990, 999),
        ("bytes=999-", 999, 999),
        ("bytes= 0-9", 0, 9),  # as RFC 9110 spells it in section 14.1.2
        ("bytes=5-18446744073709551615", 5, 999),
    ],
)
def test_a_range_is_given_as_asked(sqlite_world: World, asked: str, first: int, last: int) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    content = b"0123456789" * 100
    uuid = send_file(world, cast.tomas, chat(world), content)
    response = fetch(world, cast.priya, uuid, headers={"Range": asked})
    assert response.status_code == 206
    assert response.content == content[first : last + 1]
    assert response.headers["content-range"] == f"bytes {first}-{last}/1000"
    assert response.headers["content-length"] == str(last - first + 1)
    assert response.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-2", "bytes=-", "bytes=a-b", "items=0-5", "bytes=0-1,5-6", "bytes", "bytes=0-1-2"],
)
def test_what_is_no_single_range_is_answered_with_the_whole(
    sqlite_world: World, asked: str
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    response = fetch(world, cast.priya, uuid, headers={"Range": asked})
    assert (response.status_code, response.content) == (200, LETTER)


def test_a_range_behind_the_end_cannot_be_satisfied(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    for asked in (f"bytes={len(LETTER)}-", "bytes=5000-6000", "bytes=-0", f"bytes={2**64}-"):
        response = fetch(world, cast.priya, uuid, headers={"Range": asked})
        refused(response, "RB025", 416)
        assert response.headers["content-range"] == f"bytes */{len(LETTER)}"


def test_a_range_of_another_version_is_answered_with_the_whole(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    etag = fetch(world, cast.priya, uuid).headers["etag"]
    headers = {"Range": "bytes=0-3", "If-Range": etag}
    assert fetch(world, cast.priya, uuid, headers=headers).content == LETTER[:4]
    for other in ('"another"', f"W/{etag}", "Sun, 22 Nov 2026 10:00:00 GMT"):
        headers["If-Range"] = other
        assert fetch(world, cast.priya, uuid, headers=headers).content == LETTER


def test_a_large_range_is_streamed(world: World) -> None:
    cast = world.cast
    content = LARGE.hex().encode()
    uuid = send_file(world, cast.tomas, chat(world), content)
    response = fetch(world, cast.priya, uuid, headers={"Range": "bytes=1000-9000000"})
    assert response.content == content[1000:9_000_001]


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_file_that_storage_lost_is_a_failure_and_never_an_empty_file(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    gone, short, changed = (send_file(world, cast.tomas, chat_uuid) for _ in range(3))
    path_of(world, gone).unlink()
    path_of(world, short).write_bytes(LETTER[:-1])
    path_of(world, changed).write_bytes(b"X" + LETTER[1:])
    for uuid in (gone, short, changed):
        refused(fetch(world, cast.priya, uuid), "RX500", 500)
        assert f"attachment {uuid}" in caplog.text
    assert fetch(world, cast.priya, changed, headers={"Range": "bytes=1-3"}).status_code == 206


def test_a_large_file_that_was_changed_is_cut_before_its_end(world: World) -> None:
    cast = world.cast
    content = LARGE.hex().encode()
    uuid = send_file(world, cast.tomas, chat(world), content)
    path_of(world, uuid).write_bytes(content[:-1] + b"X")
    with pytest.raises(Refusal, match="damaged"):
        fetch(world, cast.priya, uuid)


def test_storage_that_is_away_is_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))

    async def away(_: str) -> int:
        raise Refusal("RX503", "Files are not at hand now")

    monkeypatch.setattr(world.app.files, "size", away)
    refused(fetch(world, cast.priya, uuid), "RX503", 503)


def test_so_many_downloads_at_once_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    large = send_file(world, cast.tomas, chat_uuid, LARGE.hex().encode())
    small = send_file(world, cast.tomas, chat_uuid)
    monkeypatch.setattr(limits, "STREAMS", 0)
    refused(fetch(world, cast.priya, large), "RU029", 429)
    assert fetch(world, cast.priya, large, method="HEAD").status_code == 200
    assert fetch(world, cast.priya, small).content == LETTER


def test_a_client_that_takes_nothing_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world), LARGE.hex().encode())
    monkeypatch.setattr(server, "STALLED_SECONDS", 0.05)
    scope = {
        "type": "http",
        "method": "GET",
        "path": FETCH,
        "query_string": f"attachment_uuid={uuid}".encode(),
        "headers": [
            *((name.lower().encode(), value.encode()) for name, value in cast.user.headers.items())
        ],
        "client": ("127.0.0.1", 1),
    }
    taken: list[Any] = []

    async def send(message: Any) -> None:
        taken.append(message)
        if len(taken) > 2:
            await asyncio.sleep(10)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(TimeoutError):
        world.run(world.server(scope, receive, send))
    assert taken[0]["status"] == 200
    assert world.server.limits.streams == 0


# -- links ----------------------------------------------------------------------------------------


def link(world: World, by: Person | None, uuid: str, *, key: Shown | None = None) -> httpx.Response:
    return world.post(
        LINK, key=key or world.cast.master, on_behalf_of=by, json={"attachment_uuid": uuid}
    )


def linked(world: World, by: Person, uuid: str) -> str:
    """Make a link and give its path."""
    return httpx.URL(accepted(link(world, by, uuid))["url"]).path


def test_a_link_gives_the_file_once_without_a_credential(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    before = times.now()
    body = accepted(link(world, cast.priya, uuid))
    assert body["url"].startswith(f"{world.app.base_url}/download/")
    lives = times.read(body["expires_at"]) - before
    assert 10 * times.SECOND <= lives < 12 * times.SECOND
    path = httpx.URL(body["url"]).path
    head = world.run(world.request("HEAD", path))
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(LETTER)))
    response = world.get(path)
    assert (response.status_code, response.content) == (200, LETTER)
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-disposition"] == 'attachment; filename="letter.txt"'
    assert response.headers["content-security-policy"] == "sandbox"
    again = world.get(path)
    refused(again, "RN004", 404)
    assert again.headers["referrer-policy"] == "no-referrer"
    assert again.headers["cache-control"] == "no-store"
    token = path.rpartition("/")[2]
    assert len(token) == 43
    assert token not in repr(world.rows("SELECT token_hash FROM download_link"))


def test_a_link_is_made_by_whoever_sees_the_file_with_any_credential(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.priya, chat(world))
    for key in (cast.user, cast.session, cast.sdk):
        path = httpx.URL(accepted(link(world, None, uuid, key=key))["url"]).path
        assert world.get(path, headers={"Range": "bytes=0-3"}).content == LETTER[:4]
    refused(link(world, cast.olga, uuid), "RN004", 404)
    refused(link(world, cast.priya, "letter"), "RB003", 400)


def test_of_two_who_follow_a_link_at_once_one_gets_the_file(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    path = linked(world, cast.priya, uuid)
    both = world.together(*(world.request("GET", path) for _ in range(2)))
    assert sorted(one.status_code for one in both) == [200, 404]


def test_a_link_is_over_after_ten_seconds(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    path = linked(world, cast.priya, uuid)
    world.change(
        cast.firm, "UPDATE download_link SET expires_at = expires_at - $1", attachments.LINK_LIVES
    )
    refused(world.get(path), "RN004", 404)
    world.work(cast.firm, attachments.sweep)
    assert world.rows("SELECT count(*) FROM download_link") == [(0,)]


def test_what_is_no_link_is_not_found(world: World) -> None:
    before = world.rows("SELECT count(*) FROM download_link")
    for token in ("x", "x" * 43, "é" * 43, "x" * 5000, "%00"):
        refused(world.get(f"/download/{token}"), "RN004", 404)
    for path in ("/download", "/download/", "/download/a/b", "/download/{id}"):
        refused(world.get(path), "RN005", 404)
    refused(world.post(f"/download/{'x' * 43}", json={}), "RN005", 405)
    assert world.rows("SELECT count(*) FROM download_link") == before


def test_a_link_is_judged_again_when_it_is_used(world: World) -> None:
    cast = world.cast
    chat_uuid = chat(world)
    uuid = send_file(world, cast.tomas, chat_uuid)

    def follow_after(act: Any) -> httpx.Response:
        path = linked(world, cast.ingrid, uuid)
        act()
        return world.get(path)

    refused(follow_after(lambda: set_member_state(world, cast.ingrid, "suspended")), "RN004")
    set_member_state(world, cast.ingrid, "active")

    def freeze() -> None:
        world.work(cast.firm, lambda work: organisations.set_state(work, "frozen"))

    refused(follow_after(freeze), "RN004")
    world.work(cast.firm, lambda work: organisations.set_state(work, "active"))
    assert follow_after(lambda: done(world, "leave", cast.ingrid, chat_uuid)).status_code == 200
    late = uploaded(world, cast.tomas, chat_uuid)
    path = linked(world, cast.tomas, late)
    world.change(cast.firm, "UPDATE attachment SET waits_until = 1 WHERE uuid = $1", late)
    refused(world.get(path), "RN004", 404)


def test_a_stored_answer_holds_no_link(world: World) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    body = {"attachment_uuid": uuid}
    once = {"Idempotency-Key": "once"}
    answers = [
        world.post(LINK, key=cast.master, on_behalf_of=cast.priya, json=body, headers=once)
        for _ in range(2)
    ]
    assert accepted(answers[0])["url"]
    assert accepted(answers[1])["url"] is None
    assert answers[1].headers["idempotent-replay"] == "true; secrets-withheld"


def test_the_token_of_a_link_stands_in_no_log_and_no_figure(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    uuid = send_file(world, cast.tomas, chat(world))
    path = linked(world, cast.priya, uuid)
    token = path.rpartition("/")[2]
    with caplog.at_level(logging.DEBUG, "onrecord"):
        world.get(path)
        world.get(path)

        async def broken(_: str) -> int:
            raise RuntimeError("the disk fell out")

        monkeypatch.setattr(world.app.files, "size", broken)
        failing = linked(world, cast.priya, uuid)
        refused(world.get(failing), "RX500", 500)
    assert token not in caplog.text
    assert failing.rpartition("/")[2] not in caplog.text
    assert "/download/{id}" in caplog.text
    figures = world.get("/metrics").text
    assert token not in figures
    assert 'path="/download/{id}",status="2xx"' in figures
