"""Every endpoint, with input of every bad kind: a documented refusal that changes nothing."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from onrecord.model.access import Kind
from onrecord.web.docs import REDIRECTS
from onrecord.web.endpoint import JSON_LIMIT, Endpoint, Nothing
from onrecord.web.openapi import specification
from tests.cast import Person, Shown
from tests.every_endpoint.calls import ROWS, acting_for, good, make
from tests.every_endpoint.untouched import counts, digests
from tests.world import World, refused

POSTS = [row for row in ROWS if row.method == "POST" and row.consumes == "application/json"]
GETS = [row for row in ROWS if row.method == "GET"]
SPECIFICATION = specification(ROWS)
JSON = {"content-type": "application/json"}

BODIES: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"hello",
    "half a JSON": b'{"text": "',
    "an array": b"[]",
    "a text": b'"text"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "NaN": b'{"text": NaN}',
    "trailing": b'{} {"a": 1}',
    "invalid UTF-8": b'{"text": "\xff\xfe"}',
    "overlong UTF-8": b'{"text": "\xc0\xaf"}',
    "UTF-16": '{"text": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"text": "x"}',
    "a NUL": b'{"text": "a\x00b"}',
    "a lone surrogate": rb'{"text": "\ud800"}',
    "a lone surrogate in a name": rb'{"\ud800": 1}',
    "deep arrays": b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
    "open arrays": b"[" * 500_000,
    "too large": b"{}" + b" " * (JSON_LIMIT - 1),
    "a huge number": b'{"reply_to_seq": ' + b"9" * 10_000 + b"}",
    "a huge exponent": b'{"reply_to_seq": 1e999999}',
    "a form": b"text=hello&chat_uuid=1",
    "many names": json.dumps({f"n{n}": 1 for n in range(10_000)}).encode(),
}
STRANGE: list[Any] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**53,
    2**63,
    10**40,
    1.0,
    1.5,
    1e300,
    "",
    " ",
    "x" * 6000,
    "x" * 500_000,
    "\ud800",
    "a\x00b",
    "\x85",
    "\u202e",
    "' OR 1=1 --",
    "../../etc/passwd",
    "00000000-0000-0000-0000-000000000000",
    [],
    [None],
    [1],
    ["x"],
    ["a\x00b"],
    [["x"]],
    {},
    {"a": 1},
    [{}],
    ["00000000-0000-0000-0000-000000000000"] * 3000,
]


def of(world: World, row: Endpoint) -> tuple[Shown | None, Person | None]:
    for kind, key in world.cast.shown_at_firm().items():
        if kind in row.kinds and kind is not Kind.USER:
            return key, acting_for(row, world.cast, kind)
    return None, None


def documented(row: Endpoint, response: httpx.Response, *, success: bool = True) -> None:
    """A success, or a refusal that the row declares, in the shape of all refusals."""
    if response.status_code == (308 if row.path in REDIRECTS else row.status):
        assert success, response.text
        return
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["error_code"] in row.codes, body
    assert "Traceback" not in response.text


@pytest.mark.parametrize("row", POSTS, ids=lambda row: row.path)
def test_a_bad_body_is_refused_in_words(world: World, row: Endpoint) -> None:
    key, acting = of(world, row)
    request = good(world, row)
    before = digests(world)
    for name, content in BODIES.items():
        if name in {"empty", "many names"} and row.takes is Nothing:
            continue  # neither says anything, and the call is made
        how: dict[str, Any] = {"json": None, "content": content, "headers": JSON}
        response = make(world, row, key, acting=acting, request=request, **how)
        documented(row, response, success=False)
        expected = {
            "too large": {"RB024"},
            "a NUL": {"RB001", "RB003"},
            "a lone surrogate": {"RB003"},
            "a lone surrogate in a name": {"RB003"},
            "a huge number": {"RB001", "RB002", "RB003"},
            "a huge exponent": {"RB001", "RB002", "RB003"},
            "many names": {"RB002", "RB785"},
        }.get(name, {"RB001"})
        assert response.json()["error_code"] in expected, (name, response.text)
    assert digests(world) == before


@pytest.mark.parametrize(
    "row", [row for row in POSTS if row.takes is Nothing], ids=lambda row: row.path
)
def test_what_takes_nothing_is_asked_without_a_body(world: World, row: Endpoint) -> None:
    key, acting = of(world, row)
    good(world, row)
    response = make(world, row, key, acting=acting, json=None, content=b"")
    assert response.status_code == row.status, response.text


@pytest.mark.parametrize("row", POSTS, ids=lambda row: row.path)
def test_a_body_may_have_a_mebibyte_and_not_a_byte_more(sqlite_world: World, row: Endpoint) -> None:
    world = sqlite_world
    key, acting = of(world, row)
    body = json.dumps(good(world, row).json or {}).encode()
    before = digests(world)
    large = body.ljust(JSON_LIMIT + 1)
    for content in (large, in_pieces(large)):  # the second says no length before
        response = make(world, row, key, acting=acting, json=None, content=content, headers=JSON)
        assert refused(response, "RB024", 413)
    assert digests(world) == before
    response = make(
        world, row, key, acting=acting, json=None, content=body.ljust(JSON_LIMIT), headers=JSON
    )
    assert response.status_code == row.status, response.text


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    """Give a body whose length is told by its end alone."""
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


@pytest.mark.parametrize("row", POSTS, ids=lambda row: row.path)
def test_a_field_given_twice_is_refused(sqlite_world: World, row: Endpoint) -> None:
    """Of two values a proxy may have checked the one and we would take the other."""
    world = sqlite_world
    key, acting = of(world, row)
    request = good(world, row)
    fields = request.json or {}
    before = digests(world)
    for name, value in fields.items():
        whole = json.dumps(fields)[:-1]
        for again in (f'"{name}"', f'"{name}" ', f'"\\u{ord(name[0]):04x}{name[1:]}"'):
            content = f"{whole}, {again}: {json.dumps(value)}}}".encode()
            how: dict[str, Any] = {"json": None, "content": content, "headers": JSON}
            response = make(world, row, key, acting=acting, request=request, **how)
            assert name in refused(response, "RB003", 400)["detail"]
    assert digests(world) == before
    # What only looks so is none: a name as a value, and whatever stands in fields that we ignore.
    strange = f'"unheard_of": [{json.dumps(list(fields))}, {"9" * 300}, {{"a": 1, "a": 2}}]}}'
    body = f"{json.dumps(fields)[:-1]}{', ' if fields else ''}{strange}".encode()
    response = make(world, row, key, acting=acting, json=None, content=body, headers=JSON)
    assert response.status_code == row.status, response.text


@pytest.mark.parametrize("row", POSTS, ids=lambda row: row.path)
def test_a_form_or_file_is_not_taken_as_json(sqlite_world: World, row: Endpoint) -> None:
    key, acting = of(sqlite_world, row)
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"):
        headers = {"content-type": kind}
        response = make(sqlite_world, row, key, acting=acting, headers=headers)
        assert response.status_code == 415
        documented(row, response, success=False)


@pytest.mark.parametrize("row", POSTS, ids=lambda row: row.path)
def test_a_strange_value_in_any_field_is_no_failure(world: World, row: Endpoint) -> None:
    key, acting = of(world, row)
    number = 0
    for name in row.takes.__struct_encode_fields__:
        for value in STRANGE:
            request = good(world, row, number)
            body = {**(request.json or {}), name: value}
            before = counts(world)
            response = make(world, row, key, acting=acting, json=body)
            documented(row, response, success=json_type(value) in types_of(row, name))
            if response.status_code == row.status:
                number += 1  # what was good for this one is used up
            else:
                assert counts(world) == before, (name, value)


def json_type(value: Any) -> str:
    """Name the type of a value as a schema does."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def types_of(row: Endpoint, name: str) -> set[str]:
    """Give the types that the specification allows for a field."""
    components = SPECIFICATION["components"]["schemas"]
    schema = components[row.takes.__name__]["properties"][name]
    shapes = [
        components[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for one in schema.get("anyOf", [schema])
    ]
    types = {shape["type"] for shape in shapes}
    return types | {"integer"} if "number" in types else types


@pytest.mark.parametrize("row", GETS, ids=lambda row: row.path)
def test_a_strange_parameter_is_no_failure(world: World, row: Endpoint) -> None:
    key, acting = of(world, row)
    values = ["", " ", "x", "-1", "0", "1.5", "9" * 40, "nan", "inf", "a\x00b", "\u202e", "é,ü",
              "true", "null", "[]", "2026-11-22T10:00:00Z", "x" * 3000]  # fmt: skip
    request = good(world, row)
    before = digests(world)
    for name in row.takes.__struct_encode_fields__:
        for value in values:
            if name == "wait" and value not in {"nan", "inf", "x"}:
                continue
            params = {**request.params, name: value}
            documented(row, make(world, row, key, acting=acting, request=request, params=params))
            if row.writes:
                request = good(world, row)
    assert row.writes or digests(world) == before


@pytest.mark.parametrize("row", GETS, ids=lambda row: row.path)
def test_a_parameter_given_twice_is_refused(sqlite_world: World, row: Endpoint) -> None:
    key, acting = of(sqlite_world, row)
    request = good(sqlite_world, row)
    for name, value in request.params.items():
        params = {**request.params, name: [value, value]}
        response = make(sqlite_world, row, key, acting=acting, params=params)
        assert name in refused(response, "RB003", 400)["detail"]
    if "cursor" in row.takes.__struct_encode_fields__:
        params = {**request.params, "cursor": ["", ""]}
        response = make(sqlite_world, row, key, acting=acting, params=params)
        assert "cursor" in refused(response, "RB003", 400)["detail"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
def test_strange_headers_are_no_failure(sqlite_world: World, row: Endpoint) -> None:
    key, acting = of(sqlite_world, row)
    for number, (name, value) in enumerate(
        (name, value)
        for name in (
            "on-behalf-of",
            "on-behalf-of-entity-uuid",
            "idempotency-key",
            "x-request-id",
            "x-forwarded-for",
            "content-type",
            "x-sys-api-key",
        )
        for value in (b"", b" ", b"\xff\xfe", b"x" * 5000, b"' OR 1=1 --")
    ):
        response = make(
            sqlite_world,
            row,
            key,
            number=number,
            acting=acting if name != "on-behalf-of" else None,
            headers=[(name, value)],
        )
        documented(row, response)
