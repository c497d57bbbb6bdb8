"""HTTP as everybody meets it: paths, methods, ids, headers, problems."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from onrecord.store.db import Unavailable
from onrecord.web.server import Server
from tests.world import CHAT, ENTITY, World, accepted, refused

WHOAMI = f"{ENTITY}/whoami"
CREATE = f"{ENTITY}/entity-memberships/create"


def test_it_lives_and_is_ready(world: World) -> None:
    assert accepted(world.get("/livez")) == {"status": "ok"}
    assert accepted(world.get("/readyz")) == {"status": "ok"}


def test_a_stopping_server_lives_but_is_not_ready(sqlite_world: World) -> None:
    sqlite_world.app.stopping = True
    accepted(sqlite_world.get("/livez"))
    response = sqlite_world.get("/readyz")
    refused(response, "RX503", 503)
    assert int(response.headers["retry-after"]) > 0


def test_a_server_without_its_database_is_not_ready(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(type(sqlite_world.app.store), "ask", away)
    refused(sqlite_world.get("/readyz"), "RX503", 503)
    response = sqlite_world.get(WHOAMI, key=sqlite_world.cast.system)
    refused(response, "RX503", 503)
    assert response.headers["retry-after"] == "2"
    monkeypatch.undo()
    accepted(sqlite_world.get("/readyz"))


def test_an_unexpected_failure_says_nothing_but_its_id(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        message = "a secret of the inside"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(type(sqlite_world.app.store), "ask", broken)
    response = sqlite_world.get(WHOAMI, key=sqlite_world.cast.system)
    body = refused(response, "RX500", 500)
    assert "secret" not in response.text
    (line,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert line.__dict__["request_id"] == body["instance"]
    assert line.exc_info


@pytest.mark.parametrize(
    "path", ["/index", "/nowhere", "/livez/", "/LIVEZ", f"{CHAT}/chats/", f"{ENTITY}", "//livez"]
)
def test_an_unknown_path_is_not_found(sqlite_world: World, path: str) -> None:
    response = sqlite_world.run(
        sqlite_world.request("GET", f"http://onrecord{path}", key=sqlite_world.cast.system)
    )
    refused(response, "RN005", 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_a_wrong_method_names_the_right_ones(sqlite_world: World, method: str) -> None:
    for path, allowed in (("/livez", {"GET", "HEAD"}), (CREATE, {"POST"})):
        status, headers, body = ask(sqlite_world, path, method=method)
        assert status == 405
        assert set(headers["allow"].split(", ")) == allowed
        assert json.loads(body)["error_code"] == "RN005"


def test_head_answers_as_get_would_without_a_body(sqlite_world: World) -> None:
    got = sqlite_world.get("/livez")
    head = sqlite_world.run(sqlite_world.request("HEAD", "/livez"))
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))
    missing = sqlite_world.run(sqlite_world.request("HEAD", WHOAMI))
    assert missing.status_code == 401
    assert missing.content == b""
    wrong = sqlite_world.run(sqlite_world.request("HEAD", CREATE))
    assert wrong.status_code == 405


@pytest.mark.parametrize("given", ["a", "order 66", "x" * 128, "~!@#$%^&*()"])
def test_a_callers_own_request_id_is_used(sqlite_world: World, given: str) -> None:
    for path in ("/livez", "/nowhere", WHOAMI):
        response = sqlite_world.get(path, headers={"X-Request-Id": given})
        assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"tab\there", b"\xe9", b"\x7f"])
def test_a_request_id_that_cannot_be_is_replaced(sqlite_world: World, given: bytes) -> None:
    first = sqlite_world.get("/livez", headers={"X-Request-Id": given})
    second = sqlite_world.get("/livez", headers={"X-Request-Id": given})
    ids = [one.headers["x-request-id"] for one in (first, second)]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert ids[0] != ids[1]


def test_a_callers_own_request_id_is_a_part_and_ours_stands_in_the_entry(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    person = {"enum_profile_id": 3, "first_name": "Nell", "primary_email": "n1@example.com"}
    own = {"X-Request-Id": "my very own id"}
    accepted(world.post(CREATE, key=cast.system, json=person, headers=own))
    person["primary_email"] = "n2@example.com"
    made = world.post(CREATE, key=cast.system, json=person)
    created = [e for e in world.entries(cast.firm, before) if e["type"] == "member.created"]
    with_own, without = created
    assert "request_id" not in with_own["actor"]
    assert "request_id" in with_own["content"]
    assert "my very own id" not in str(with_own)
    assert without["actor"]["request_id"] == made.headers["x-request-id"]
    assert "request_id" not in without["content"]
    parts = world.rows("SELECT data FROM part WHERE name = 'request_id'")
    assert b'"my very own id"' in {bytes(row[0]) for row in parts}


def test_no_answer_is_cached_or_sniffed(sqlite_world: World) -> None:
    for path in ("/livez", "/nowhere", WHOAMI, "/.well-known/onrecord-keys"):
        headers = sqlite_world.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_401_says_how_to_authenticate(sqlite_world: World) -> None:
    assert sqlite_world.get(WHOAMI).headers["www-authenticate"] == "ApiKey"


def test_problems_link_to_the_public_address(sqlite_world: World) -> None:
    sqlite_world.restart(public_url="https://chat.example.com")
    body = refused(sqlite_world.get("/nowhere"), "RN005", 404)
    assert body["type"] == "https://chat.example.com/docs/errors#RN005"


def test_unknown_fields_are_ignored_and_named(world: World) -> None:
    cast = world.cast
    response = world.post(
        CREATE,
        key=cast.system,
        json={
            "zebra": 1,
            "enum_profile_id": 3,
            "first_name": "Nell",
            "primary_email": "nell@example.com",
            "new_group_name": "a field of v2 alone",
            "née\r\nEvil: 1": 2,
            "x" * 100: 3,
        },
    )
    accepted(response)
    names = response.headers["ignored-fields"].split(", ")
    assert names == ["zebra", "new_group_name", "n\\xe9e__Evil:_1", "x" * 60]
    assert "evil" not in response.headers


def test_unknown_fields_of_an_inner_object_are_named_too(world: World) -> None:
    cast = world.cast
    audience = {"enum_profile_ids": [3], "group_uuid": "x", "a,b": 1}
    response = world.post(
        f"{CHAT}/chats/butler-says/send-text",
        key=cast.master,
        json={"text": "hello", "audience": audience, "when": "now"},
    )
    accepted(response)
    named = response.headers["ignored-fields"].split(", ")
    assert named == ["when", "audience.group_uuid", "audience.a_b"]


def test_at_most_twenty_unknown_fields_are_named(sqlite_world: World) -> None:
    cast = sqlite_world.cast
    fields = {f"f{number}": 0 for number in range(30)}
    person = {"enum_profile_id": 3, "first_name": "N", "primary_email": "n@example.com"}
    response = sqlite_world.post(CREATE, key=cast.system, json={**person, **fields})
    assert len(response.headers["ignored-fields"].split(", ")) == 20


def test_a_body_without_unknown_fields_names_none(sqlite_world: World) -> None:
    person = {"enum_profile_id": 3, "first_name": "N", "primary_email": "n@example.com"}
    response = sqlite_world.post(CREATE, key=sqlite_world.cast.system, json=person)
    assert "ignored-fields" not in response.headers


# -- bare ASGI: what a client library does not let one send ---------------------------------------


def ask(
    world: World,
    path: str,
    *,
    method: str = "GET",
    headers: Sequence[tuple[bytes, bytes]] = (),
    query: bytes = b"",
    messages: Sequence[dict[str, Any]] = ({"type": "http.request"},),
    server: Server | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Make a request out of its bare pieces."""
    sent: list[dict[str, Any]] = []
    incoming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 40_000),
    }
    world.run(_call(server or world.server, scope, receive, send))
    start, body = sent
    names = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], names, body["body"]


async def _call(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await server(scope, receive, send)


def credential(world: World) -> list[tuple[bytes, bytes]]:
    return [(a.lower().encode(), b.encode()) for a, b in world.cast.system.headers.items()]


PERSON = b'{"enum_profile_id": 3, "first_name": "N", "primary_email": "n@example.com"}'


def test_a_body_may_come_whole_or_in_pieces(sqlite_world: World) -> None:
    whole: list[dict[str, Any]] = [{"type": "http.request", "body": PERSON}]
    pieces: list[dict[str, Any]] = [
        {"type": "http.request", "body": PERSON[:9].replace(b"3", b"4"), "more_body": True},
        {"type": "http.request", "body": PERSON[9:].replace(b"n@", b"m@"), "more_body": True},
        {"type": "http.request"},
    ]
    for messages in (whole, pieces):
        status, _, body = ask(
            sqlite_world,
            CREATE,
            method="POST",
            headers=credential(sqlite_world),
            messages=messages,
        )
        assert status == 200, body


def test_a_body_that_is_broken_off_changes_nothing(sqlite_world: World) -> None:
    before = sqlite_world.head(sqlite_world.cast.firm)
    broken: list[dict[str, Any]] = [
        {"type": "http.request", "body": PERSON, "more_body": True},
        {"type": "http.disconnect"},
    ]
    status, _, body = ask(
        sqlite_world, CREATE, method="POST", headers=credential(sqlite_world), messages=broken
    )
    assert (status, json.loads(body)["error_code"]) == (400, "RB001")
    assert sqlite_world.head(sqlite_world.cast.firm) == before


@pytest.mark.parametrize("length", [b"1048577", b"-1", b"many", b"99999999999999999999"])
def test_a_body_that_says_it_is_too_large_is_not_read(sqlite_world: World, length: bytes) -> None:
    headers = [*credential(sqlite_world), (b"content-length", length)]
    status, _, body = ask(sqlite_world, CREATE, method="POST", headers=headers, messages=[])
    assert (status, json.loads(body)["error_code"]) == (413, "RB024")


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_body_that_grows_too_large_is_not_read_to_its_end(
    sqlite_world: World, chunks: int
) -> None:
    size = 1024 * 1024 // chunks + 1
    messages = [
        {"type": "http.request", "body": b" " * size, "more_body": chunks > 1}
        for _ in range(chunks)
    ]
    status, _, body = ask(
        sqlite_world, CREATE, method="POST", headers=credential(sqlite_world), messages=messages
    )
    assert (status, json.loads(body)["error_code"]) == (413, "RB024")


def test_a_body_of_exactly_one_mebibyte_is_read(sqlite_world: World) -> None:
    body = PERSON + b" " * (1024 * 1024 - len(PERSON))
    status, _, answer = ask(
        sqlite_world,
        CREATE,
        method="POST",
        headers=credential(sqlite_world),
        messages=[{"type": "http.request", "body": body}],
    )
    assert status == 200, answer


@pytest.mark.parametrize("query", [b"limit=%ff", b"a=1&" * 1001, "limit=é".encode()])
def test_a_malformed_query_is_refused_after_the_credential(
    sqlite_world: World, query: bytes
) -> None:
    path = f"{ENTITY}/events"
    status, _, body = ask(sqlite_world, path, query=query, headers=credential(sqlite_world))
    assert (status, json.loads(body)["error_code"]) == (400, "RB003")
    status, _, body = ask(sqlite_world, path, query=query)
    assert (status, json.loads(body)["error_code"]) == (401, "RU003")
    status, _, body = ask(sqlite_world, "/livez", query=query)
    assert status == 200


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON", True),
        ("application/vnd.firm+json", True),
        ("text/plain", False),
        ("application/jsonp", False),
        ("multipart/form-data; boundary=x", False),
        ("application/x-www-form-urlencoded", False),
        ("", False),
    ],
)
def test_json_is_taken_and_nothing_else(sqlite_world: World, kind: str, *, taken: bool) -> None:
    response = sqlite_world.post(
        CREATE,
        key=sqlite_world.cast.system,
        content=PERSON,
        headers={"content-type": kind},
    )
    if taken:
        accepted(response)
    else:
        refused(response, "RB026", 415)


@pytest.mark.parametrize("path", [CREATE, f"{CHAT}/chats/attachments/upload"])
def test_a_compressed_body_is_not_taken(sqlite_world: World, path: str) -> None:
    key = sqlite_world.cast.system if path == CREATE else sqlite_world.cast.user
    for coding in ("gzip", "GZIP", "identity, br"):
        headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
        response = sqlite_world.post(path, key=key, content=PERSON, headers=headers)
        assert "compressed" in refused(response, "RB026", 415)["detail"]
        assert response.headers["accept-encoding"] == "identity"
    headers = {"Content-Encoding": "Identity"}
    response = sqlite_world.post(
        CREATE, key=sqlite_world.cast.system, content=PERSON, headers=headers
    )
    accepted(response)


def test_a_body_without_a_content_type_is_taken_as_json(sqlite_world: World) -> None:
    accepted(sqlite_world.post(CREATE, key=sqlite_world.cast.system, content=PERSON))


def test_there_is_no_socket_yet(sqlite_world: World) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": []}
    sqlite_world.run(_call(sqlite_world.server, scope, receive, send))
    assert [one["type"] for one in sent] == ["websocket.close"]
    sqlite_world.run(_call(sqlite_world.server, {"type": "lifespan"}, receive, send))
    assert len(sent) == 1


def test_verdicts_remembered_are_not_without_bound(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onrecord.web.server.ACTORS_MOST", 2)
    for number in range(5):
        key = sqlite_world.cast.system
        accepted(sqlite_world.get(WHOAMI, key=key, client=f"127.0.0.{number + 1}"))
    assert len(sqlite_world.server._actors) <= 2


def test_many_requests_at_once_are_all_answered(world: World) -> None:
    cast = world.cast

    async def create(number: int) -> int:
        response = await world.request(
            "POST",
            CREATE,
            key=cast.system,
            json={
                "enum_profile_id": 4 if number % 2 else 3,
                "first_name": "N",
                "primary_email": f"n{number}@example.com",
            },
        )
        assert response.status_code == 200, response.text
        return response.status_code

    assert world.together(*(create(number) for number in range(20))) == [200] * 20
    positions = [entry["position"] for entry in world.entries(cast.firm)]
    assert positions == list(range(1, len(positions) + 1))


def test_a_caller_who_goes_away_breaks_nothing(world: World) -> None:
    cast = world.cast

    async def main() -> None:
        task = asyncio.create_task(
            world.request(
                "POST",
                CREATE,
                key=cast.system,
                json={
                    "enum_profile_id": 3,
                    "first_name": "N",
                    "primary_email": "gone@example.com",
                },
            )
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    world.run(main())
    accepted(world.get(WHOAMI, key=cast.system))


def test_a_body_that_does_not_arrive_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onrecord.web.server.BODY_SECONDS", 0.05)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    cast = world.cast
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/chat-service/api/chats/messages/send-text",
        "query_string": b"",
        "headers": [
            *(
                (name.lower().encode(), value.encode())
                for name, value in cast.master.headers.items()
            ),
            (b"on-behalf-of", cast.tomas.uuid.encode()),
        ],
        "client": ("127.0.0.1", 40_000),
    }
    world.run(_call(world.server, scope, receive, send))
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["error_code"] == "RB001"


# -- what a person who reads an error needs -------------------------------------------------------


@pytest.mark.parametrize(
    ("json", "content", "detail"),
    [
        (None, b"", "The body is empty; send a JSON object"),
        (None, b"{", "The body is not valid JSON"),
        ({"chat_uuid": 1, "text": "x"}, None, "chat_uuid must be text, not a whole number"),
        ({"chat_uuid": "x", "text": None}, None, "text must be text, not null"),
        (
            {"chat_uuid": "x", "text": "x", "reply_to_seq": "1"},
            None,
            "reply_to_seq must be a whole number or null, not text",
        ),
        (
            {"chat_uuid": "x", "text": "x", "reply_to_seq": -1},
            None,
            "reply_to_seq must be a whole number >= 0",
        ),
    ],
    ids=str,
)
def test_a_refused_body_is_explained_in_words(
    sqlite_world: World, json: Any, content: bytes | None, detail: str
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    response = world.post(
        f"{CHAT}/chats/messages/send-text",
        key=cast.master,
        on_behalf_of=cast.tomas,
        json=json,
        content=content,
    )
    assert response.json()["detail"] == detail


def test_a_value_that_is_none_of_a_few_is_refused_in_words(sqlite_world: World) -> None:
    cast = sqlite_world.cast
    params = {"chat_uuid": cast.team, "format": "docx"}
    path = f"{CHAT}/chats/export"
    response = sqlite_world.get(path, key=cast.master, on_behalf_of=cast.tomas, params=params)
    assert refused(response, "RB003", 400)["detail"] == "format cannot be 'docx'"


def test_headers_given_twice_are_never_one_of_the_two(world: World) -> None:
    cast = world.cast
    both = [("on-behalf-of", cast.tomas.uuid), ("on-behalf-of", cast.ingrid.uuid)]
    for lines in (both, both[::-1]):
        refused(world.get(f"{CHAT}/chats", key=cast.master, headers=lines), "RF004", 403)
    name, value = next(iter(cast.system.headers.items()))
    refused(world.get(WHOAMI, key=cast.system, headers=[(name, "x")]), "RU001", 401)
    refused(world.get(WHOAMI, headers=[(name, "x"), *cast.system.headers.items()]), "RU001", 401)
    assert value not in ("", "x")
    twice = [("X-Request-Id", "a"), ("X-Request-Id", "b")]
    assert world.get("/livez", headers=twice).headers["x-request-id"] == "a, b"


def test_a_session_may_send_its_cookies_in_several_lines(sqlite_world: World) -> None:
    browser = sqlite_world.session(sqlite_world.cast.tomas)
    lines = [*browser.headers.items(), ("Cookie", "theme=dark")]
    accepted(sqlite_world.get(f"{CHAT}/chats", headers=lines))


@pytest.mark.parametrize("first", ["tomas", "ingrid"])
def test_two_acting_members_in_the_query_are_refused(world: World, first: str) -> None:
    cast = world.cast
    uuids = [cast.tomas.uuid, cast.ingrid.uuid]
    query = "&".join(f"on-behalf-of={one}" for one in (uuids if first == "tomas" else uuids[::-1]))
    refused(world.get(f"{CHAT}/chats?{query}", key=cast.master), "RF004", 403)
    same = f"on-behalf-of={uuids[0]}&on-behalf-of={uuids[0].upper()}"
    accepted(world.get(f"{CHAT}/chats?{same}", key=cast.master, on_behalf_of=cast.tomas))


def test_a_verdict_on_a_key_in_headers_is_none_on_the_same_key_as_a_bearer(world: World) -> None:
    key = world.cast.system
    accepted(world.get(WHOAMI, key=key))
    bearer = {"Authorization": f"Bearer {key.api_key}.{key.secret}"}
    for _ in range(2):
        refused(world.get(WHOAMI, headers=bearer), "RF008", 403)
    accepted(world.get(WHOAMI, key=key))


def test_a_wrong_kind_of_key_is_told_which_kinds_are_right(sqlite_world: World) -> None:
    cast = sqlite_world.cast
    body = refused(sqlite_world.get(f"{CHAT}/chats", key=cast.system), "RF008", 403)
    assert body["detail"] == (
        "This call takes keys of kind master_user and user, sessions, SDK tokens;"
        " this one is a system key"
    )


def test_a_wrong_method_is_told_the_right_ones(sqlite_world: World) -> None:
    cast = sqlite_world.cast
    response = sqlite_world.get(f"{CHAT}/chats/create", key=cast.master)
    assert refused(response, "RN005", 405)["detail"] == "This path takes POST"
    assert response.headers["allow"] == "POST"


def test_unknown_parameters_are_ignored_and_named(sqlite_world: World) -> None:
    cast = sqlite_world.cast
    response = sqlite_world.get(
        f"{CHAT}/chats",
        key=cast.master,
        params={"unread": "true", "limit": "5", "on-behalf-of": cast.tomas.uuid},
    )
    accepted(response)
    assert response.headers["ignored-fields"] == "unread"


def test_a_blank_cursor_limit_or_search_is_none(sqlite_world: World) -> None:
    cast = sqlite_world.cast
    params = {"cursor": "", "limit": "", "search": ""}
    listed = sqlite_world.get(f"{ENTITY}/entity-memberships/list", key=cast.system, params=params)
    assert accepted(listed) == accepted(
        sqlite_world.get(f"{ENTITY}/entity-memberships/list", key=cast.system)
    )
    blank = sqlite_world.get(
        f"{CHAT}/chats", key=cast.master, on_behalf_of=cast.tomas, params={"chat_uuid": ""}
    )
    refused(blank, "RB003", 400)
