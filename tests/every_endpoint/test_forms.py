"""Every call that takes a form: bad forms are refused in words and change nothing."""

from typing import Any

import httpx
import pytest

from onrecord.web.endpoint import Endpoint
from onrecord.web.multipart import PARTS_MOST, TEXT_LIMIT
from tests.every_endpoint.calls import ROWS, good, make
from tests.every_endpoint.test_bodies import STRANGE, documented, of
from tests.every_endpoint.untouched import counts, digests
from tests.world import World, accepted, refused

FORMS = [row for row in ROWS if row.consumes == "multipart/form-data"]
TYPE = "multipart/form-data; boundary=x"
HEAD = b'Content-Disposition: form-data; name="%s"'

BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "RB001"),
    "no form": (b"hello", "RB001"),
    "no end": (b"--x\r\n" + HEAD % b"kind" + b"\r\n\r\nstaff\r\n", "RB001"),
    "no part": (b"--x--\r\n", "RB002"),
    "another boundary": (b"--y\r\n\r\n\r\n--y--\r\n", "RB001"),
    "no name": (b"--x\r\nContent-Type: text/plain\r\n\r\nv\r\n--x--\r\n", "RB003"),
    "an attachment": (
        b'--x\r\nContent-Disposition: attachment; name="kind"\r\n\r\nv\r\n--x--\r\n',
        "RB003",
    ),
    "no UTF-8": (b"--x\r\n" + HEAD % b"kind" + b"\r\n\r\n\xff\xfe\r\n--x--\r\n", "RB003"),
    "a name that is no UTF-8": (b"--x\r\n" + HEAD % b"\xff" + b"\r\n\r\nv\r\n--x--\r\n", "RB003"),
    "a NUL": (b"--x\r\n" + HEAD % b"kind" + b"\r\n\r\na\0b\r\n--x--\r\n", "RB003"),
    "a file that is none of ours": (
        b"--x\r\n" + HEAD % b"kind" + b'; filename="f"\r\n\r\nv\r\n--x--\r\n',
        "RB003",
    ),
    "a long header": (b"--x\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\nv\r\n--x--\r\n", "RB001"),
    "many parts": (
        (b"--x\r\n" + HEAD % b"kind" + b"\r\n\r\nv\r\n") * (PARTS_MOST + 1) + b"--x--\r\n",
        "RB024",
    ),
    "a long text": (
        b"--x\r\n" + HEAD % b"kind" + b"\r\n\r\n" + b"v" * (TEXT_LIMIT + 1) + b"\r\n--x--\r\n",
        "RB024",
    ),
}


def send(world: World, row: Endpoint, **changes: Any) -> httpx.Response:
    key, acting = of(world, row)
    return make(world, row, key, acting=acting, **changes)


def bare(content: bytes, kind: str = TYPE) -> dict[str, Any]:
    """Give what makes a request of these very bytes."""
    return {"data": None, "files": None, "content": content, "headers": {"content-type": kind}}


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_a_bad_form_is_refused_in_words(world: World, row: Endpoint) -> None:
    good(world, row)
    before = digests(world)
    for name, (content, code) in BODIES.items():
        response = send(world, row, **bare(content))
        documented(row, response, success=False)
        assert response.json()["error_code"] == code, (name, response.text)
    assert digests(world) == before


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_a_form_without_its_file_is_refused(sqlite_world: World, row: Endpoint) -> None:
    one = good(sqlite_world, row)
    for name in row.files:
        files = {**(one.files or {}), "unheard_of": (None, "value")}
        del files[name]
        body = refused(send(sqlite_world, row, files=files), "RB002", 400)
        assert body["errors"] == [{"pointer": f"/{name}", "detail": "is required"}]


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_anything_but_a_form_is_refused(sqlite_world: World, row: Endpoint) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain", "", "x"):
        refused(send(sqlite_world, row, **bare(b"{}", kind)), "RB026", 415)
    refused(send(sqlite_world, row, **bare(b"{}", "multipart/form-data; a=b")), "RB001", 400)


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_a_part_given_twice_is_refused(sqlite_world: World, row: Endpoint) -> None:
    one = good(sqlite_world, row)
    for name, value in (one.data or {}).items():
        response = send(sqlite_world, row, data={**(one.data or {}), name: [value, value]})
        assert name in refused(response, "RB003", 400)["detail"]
    name, file = next(iter((one.files or {}).items()))
    response = send(sqlite_world, row, files=[(name, file), (name, file)])
    assert name in refused(response, "RB003", 400)["detail"]


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_unknown_parts_are_ignored_and_named(sqlite_world: World, row: Endpoint) -> None:
    one = good(sqlite_world, row)
    response = send(sqlite_world, row, data={**(one.data or {}), "unheard_of": "x"})
    assert response.status_code in {200, 202}, response.text
    assert response.headers["ignored-fields"] == "unheard_of"


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_a_strange_text_in_a_form_is_no_failure(world: World, row: Endpoint) -> None:
    number = 0
    for name in row.takes.__struct_encode_fields__:
        for value in (one for one in STRANGE if isinstance(one, str) and "\ud800" not in one):
            one = good(world, row, number)
            before = counts(world)
            response = send(world, row, data={**(one.data or {}), name: value}, files=one.files)
            if response.status_code in {200, 202}:
                number += 1
                continue
            documented(row, response, success=False)
            assert counts(world) == before, (name, value)


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_the_same_form_is_done_once_whatever_its_boundary(world: World, row: Endpoint) -> None:
    one = good(world, row)
    once = {"Idempotency-Key": "once"}
    first, again = (send(world, row, headers=once) for _ in range(2))
    assert first.status_code in {200, 202}, first.text
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"
    before = counts(world)
    name, (filename, content, kind) = next(iter((one.files or {}).items()))
    for other in ((filename, content + b"\n", kind), (f"{filename}x", content, kind)):
        response = send(world, row, headers=once, files={name: other})
        refused(response, "RB022", 422)
    assert counts(world) == before


def test_a_form_says_in_the_specification_what_it_takes(sqlite_world: World) -> None:
    paths = accepted(sqlite_world.get("/openapi.json"))["paths"]
    assert FORMS
    for row in FORMS:
        (kind, body), *others = paths[row.path]["post"]["requestBody"]["content"].items()
        assert (kind, others) == ("multipart/form-data", [])
        schema = body["schema"]
        assert set(row.files) <= set(schema["required"])
        assert all(schema["properties"][name]["format"] == "binary" for name in row.files)
        assert set(row.takes.__struct_encode_fields__) <= schema["properties"].keys()
