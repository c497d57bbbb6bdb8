"""The server: finds the row of a request, judges the caller, runs the work, writes the answer.

It speaks ASGI itself. On the hot path (authenticate, append, read a range) a framework's request
and response objects cost more than everything OnRecord does (docs/decisions/0003).
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import lru_cache
from time import perf_counter
from typing import Any, Final

from onrecord.app import App
from onrecord.domain import keys, sessions, verdicts
from onrecord.domain.credentials import Credential, rate_limit
from onrecord.model import times
from onrecord.model.access import Actor, Origin
from onrecord.model.errors import CATALOGUE, RETRY_AFTER_SECONDS, FieldError, Refusal
from onrecord.store.db import Caller, Item, Session, Unavailable
from onrecord.store.work import Work
from onrecord.web import credentials, idempotency, multipart, scim_errors
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import (
    FORM,
    SCIM,
    SCIM_JSON,
    Answer,
    Endpoint,
    Nothing,
    Routes,
    decode_body,
    decode_object,
    decode_query,
    parse_query,
    path_to_show,
)
from onrecord.web.limits import Limits
from onrecord.web.metrics import Metrics

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

ACTORS_MOST: Final = 10_000
"""Verdicts remembered at the most; each is compared with the head row before it counts."""
BODY_SECONDS: Final = 60
"""How long a client may take for a JSON body."""

STALLED_SECONDS: Final = 60
"""How long the client of a stream may take nothing."""

CUT_OFF: Final = 500
"""As what a request is counted whose answer did not come to its end."""

_REQUEST_ID: Final = re.compile(rb"[\x20-\x7e]{1,128}")
_JSON: Final = re.compile(rb"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

log = logging.getLogger("onrecord.web")


class Server:
    """The ASGI application."""

    def __init__(self, app: App, rows: Sequence[Endpoint]) -> None:
        """Serve these rows."""
        self.app = app
        self.routes = Routes(rows)
        self._actors: dict[tuple[Any, ...], Actor] = {}
        self.limits = Limits(app.settings.rate_limit)
        self.metrics = Metrics(rows)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "http":
            begun = perf_counter()
            calls = self.metrics.begun(scope["method"], scope["path"])
            status = CUT_OFF
            try:
                status = await self._http(scope, receive, send)
            finally:
                calls.ended(status, perf_counter() - begun)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4404})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer a request, and give the status it was answered with."""
        headers = by_name(scope["headers"])
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            origin = Origin(given.decode("ascii"), given.decode("ascii"))
        else:
            origin = Origin(keys.request_id())
        extra: list[tuple[str, str]] = []
        try:
            answer = await self._answer(scope, receive, headers, origin, extra)
        except Refusal as refusal:
            answer = self._refused(refusal, origin, scope["path"])
        except Unavailable as error:
            log.warning("unavailable: %s", error, extra={"request_id": origin.request_id})
            answer = self._refused(Refusal("RX503"), origin, scope["path"])
        except Exception:
            log.exception(
                "unexpected failure of %s %s",
                scope["method"],
                path_to_show(scope["path"]),
                extra={"request_id": origin.request_id},
            )
            answer = self._refused(Refusal("RX500"), origin, scope["path"])
        if log.isEnabledFor(logging.DEBUG):
            told = {"request_id": origin.request_id}
            path = path_to_show(scope["path"])
            log.debug("%s %s %d", scope["method"], path, answer.status, extra=told)
        with_body = scope["method"] != "HEAD"
        await _send(send, answer, origin.request_id, extra, with_body=with_body)
        return answer.status

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        origin: Origin,
        extra: list[tuple[str, str]],
    ) -> Answer:
        endpoint = self.routes.find(scope["method"], scope["path"])
        raw_query = scope["query_string"]
        query, fault = _query(raw_query)
        address, source = self._source(scope, headers)
        if source is not None:
            origin = Origin(origin.request_id, origin.caller_request_id, source)
        call = Call(
            self.app,
            self.routes,
            self.limits,
            self.metrics,
            endpoint,
            headers,
            query,
            raw_query,
            address,
            Caller(None, origin, wake=self.app.wake),
            extra=extra,
            variable=scope["path"].rpartition("/")[2],
            is_head=scope["method"] == "HEAD",
            fault=fault,
        )
        if endpoint.kinds:
            call.credential = credentials.credential_of(
                headers,
                query,
                address,
                posts=endpoint.method != "GET",
                secure=self.app.settings.secure_cookies,
                writes=bool(endpoint.writes),
            )
            await self._authenticate(call)
        before = call.caller.actor
        try:
            taken = await self._taken(call, receive)
            answer = await self._run(call, taken)
        finally:
            if call.form is not None:
                call.form.close()
        if call.caller.actor is not before and call.caller.actor is not None:
            self._remember(call.place, call.caller.actor)
        return answer

    def _source(
        self, scope: Scope, headers: Mapping[bytes, bytes]
    ) -> tuple[credentials.Address, str] | tuple[None, None]:
        client = scope.get("client")
        forwarded = headers.get(b"x-forwarded-for")
        trusted = self.app.settings.trusted_proxies
        return credentials.source_of(
            client[0] if client else None,
            forwarded.decode("latin-1") if forwarded and trusted else None,
            trusted,
        )

    # -- who calls -------------------------------------------------------------------------------

    async def _authenticate(self, call: Call) -> None:
        """Reach a verdict, remembered or new; every refusal of a known key is counted."""
        credential = call.credential
        assert credential is not None  # noqa: S101 - the endpoint takes keys
        place = (
            id(call.endpoint),
            credential.kind,
            credential.api_key,
            credential.secret_hash,
            call.caller.origin.address,
            credential.entity_uuid,
            credential.on_behalf_of,
            credential.contradiction,
            credential.is_bearer,
        )

        demand = call.endpoint.demand

        # The closure must not know the call, which knows the closure: a cycle a request keeps the
        # garbage collector busy.
        async def judge(session: Session) -> Actor:
            try:
                return await verdicts.judge(session, credential, demand)
            except Refusal as refusal:
                self._actors.pop(place, None)
                self._count_denied(credential, refusal)
                raise

        call.caller.judge = judge
        call.place = place
        actor = self._actors.get(place)
        if actor is not None and actor.expires_at is not None and actor.expires_at <= times.now():
            actor = None
        if actor is None:
            try:
                actor = await self.app.store.ask(judge)
            except Refusal as refusal:
                self._count_refused(call, credential, refusal)
                raise
            self._remember(place, actor)
        call.caller.actor = actor
        key, account = actor.key, actor.account
        if key is not None:
            call.extra.extend(self.limits.count_request(key.id, key.rate_limit))
            self.app.used[key.id] = times.now()
        if account is not None:
            call.extra.extend(self.limits.count_request(call.who, None))
            self.app.seen[account.session_id] = times.now()
        if credential.is_first_use:
            await self.app.store.write(call.caller, sessions.note_first_use)
            credential.is_first_use = False

    def _count_refused(self, call: Call, credential: Credential, refusal: Refusal) -> None:
        """Count what a right key may not do as a request of the key; RU029 when it is too many.

        A key that is refused itself (RU…) is not counted: whoever has got hold of its id, or of
        the key elsewhere, must not use up what it may do.
        """
        key = credential.key
        if key is not None and not refusal.code.startswith("RU"):
            own = rate_limit(key.rate_limit)
            call.extra.extend(self.limits.count_request(key.id, own))

    def _remember(self, place: tuple[Any, ...], actor: Actor) -> None:
        """Remember a verdict reached on what is committed; one of a work only after its commit."""
        if len(self._actors) >= ACTORS_MOST:
            self._actors.clear()
        self._actors[place] = actor

    def _count_denied(self, credential: Credential, refusal: Refusal) -> None:
        if credential.key is not None:
            self.app.count_denied(credential.key, refusal.code)
        unknown = credential.key is None and not credential.is_known
        if unknown:
            # Not the id itself: it may be a secret pasted into the wrong place.
            log.info("unknown key of kind %s from %s", credential.kind, credential.address)
            self.metrics.unknown_keys[credential.kind] += 1
        if refusal.code == "RU001" or (refusal.code == "RU010" and unknown):
            self.limits.failed(str(credential.address) if credential.address else None)

    # -- what is asked ---------------------------------------------------------------------------

    async def _taken(self, call: Call, receive: Receive) -> Any:
        """Decode what goes in.

        Before a fault is told the verdict is made sure of: a key that was stopped a moment ago
        learns of that, not of its spelling.
        """
        try:
            if call.fault is not None and call.endpoint.takes is not Nothing:
                raise call.fault
            if call.endpoint.method == "GET":
                taken, ignored = decode_query(call.endpoint, call.query)
                _name_ignored(call, ignored)
                return taken
            if call.endpoint.method == "DELETE":
                return call.endpoint.takes()
            return await _decoded(call, receive)
        except Refusal:
            await self.make_sure(call.caller)
            raise

    async def make_sure(self, caller: Caller) -> None:
        """Raise what a fresh verdict on the caller would raise."""
        if caller.judge is not None:

            async def nothing(_: Work) -> None:
                return

            await self.app.store.read(caller, nothing)

    # -- doing it --------------------------------------------------------------------------------

    async def _run(self, call: Call, taken: Any) -> Answer:
        endpoint = call.endpoint
        if endpoint.mode == "many":
            assert endpoint.many is not None  # noqa: S101 - the mode says so
            item: Item = endpoint.handler(call, taken)
            answer: Answer = await self.app.store.write_many(item, endpoint.many)
            self.app.bell.ring(item.actor.entity_id)
            return answer
        if endpoint.mode == "script":
            made: Answer = await endpoint.handler(call, taken)
            return made
        if endpoint.mode == "read":

            async def read(work: Work) -> Answer:
                return Answer(encode(await endpoint.handler(work, taken)))

            return await self.app.store.read(call.caller, read)
        return await idempotency.written(call, lambda work: endpoint.handler(work, taken))

    # -- problems --------------------------------------------------------------------------------

    def _refused(self, refusal: Refusal, origin: Origin, path: str) -> Answer:
        self.metrics.refusals[refusal.code] += 1
        if path.startswith(SCIM):
            return scim_errors.told(refusal)
        return problem(refusal, origin.request_id, self.app.settings.public_url)


def problem(refusal: Refusal, request_id: str, public_url: str = "") -> Answer:
    """Render a refusal as application/problem+json (RFC 9457)."""
    body: dict[str, Any] = {
        "type": f"{public_url}/docs/errors#{refusal.code}",
        "title": CATALOGUE[refusal.code].title,
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": request_id,
        "error_code": refusal.code,
    }
    if refusal.fields:
        body["errors"] = [_field(one) for one in refusal.fields]
    headers = [*refusal.headers]
    retry_after = refusal.retry_after
    if retry_after is None and refusal.code == "RX503":
        retry_after = RETRY_AFTER_SECONDS
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    if refusal.allow:
        headers.append(("Allow", ", ".join(refusal.allow)))
    if refusal.status == CATALOGUE["RU003"].status:
        headers.append(("WWW-Authenticate", "ApiKey"))
    return Answer(encode(body), "application/problem+json", refusal.status, headers)


def _field(one: FieldError) -> dict[str, str]:
    return {"pointer": one.pointer, "detail": one.detail}


# -- bytes ---------------------------------------------------------------------------------------


def by_name(lines: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Give headers by name; several lines of one name are one list (RFC 9110, section 5.3).

    So nobody can choose which of two is believed: two ids or members in a row are none.
    """
    headers = dict(lines)
    if len(headers) == len(lines):
        return headers
    headers.clear()
    for name, value in lines:
        before = headers.get(name)
        between = b"; " if name == b"cookie" else b", "
        headers[name] = value if before is None else before + between + value
    return headers


def _query(raw: bytes) -> tuple[dict[str, list[str]], Refusal | None]:
    """Split a query string, or give the refusal to be told in its turn."""
    try:
        return (parse_query(raw) if raw else {}), None
    except Refusal as refusal:
        return {}, refusal


async def _decoded(call: Call, receive: Receive) -> Any:
    """Read and decode a body; RB026, RB024, RB001 to RB003, and RB016 for a file of a form."""
    coding = call.headers.get(b"content-encoding", b"").strip().lower()
    if coding not in {b"", b"identity"}:
        plain = [("Accept-Encoding", "identity")]  # RFC 9110, section 15.5.16
        raise Refusal("RB026", "The body must not be compressed", headers=plain)
    kind = call.headers.get(b"content-type")
    if call.endpoint.consumes == FORM or (call.endpoint.also_form and multipart.is_form(kind)):
        return await _decoded_form(call, receive)
    if kind is not None and not _JSON.fullmatch(kind):
        forms = f" or {FORM} with a boundary" if call.endpoint.also_form else ""
        raise Refusal("RB026", f"The content type must be application/json{forms}")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            call.body = await _read_body(receive, call.headers, call.endpoint.body_limit)
    except TimeoutError:
        raise Refusal("RB001", "The body did not arrive in time") from None
    if call.body and kind is None and not call.endpoint.kinds:
        # A page of another site can send a body without a type, and its browser does not ask us
        # first: so it could sign somebody in as somebody else.
        raise Refusal("RB026", "The content type must be given: application/json")
    call.idempotency = idempotency.asked_for(call)
    if call.endpoint.consumes == SCIM_JSON:
        return decode_object(call.body)
    if not call.body and call.endpoint.takes is Nothing:
        return Nothing()  # whoever has nothing to say need not spell it out
    taken, ignored = decode_body(call.endpoint, call.body)
    _name_ignored(call, ignored)
    return taken


async def _decoded_form(call: Call, receive: Receive) -> Any:
    endpoint = call.endpoint
    asked = endpoint.file_limit_of
    most = endpoint.file_limit if asked is None else await asked(call)
    limits = multipart.Limits(endpoint.files, most, str(call.app.directory.path))
    call.form = await multipart.read_form(receive, call.headers, limits)
    call.body = call.form.digest
    call.idempotency = idempotency.asked_for(call)
    taken, ignored = decode_query(call.endpoint, call.form.fields)
    _name_ignored(call, ignored)
    return taken


def _name_ignored(call: Call, names: Sequence[str]) -> None:
    if names:
        call.extra.append(("Ignored-Fields", _header_list(names)))


async def _read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Read the body, at most `limit` bytes; RB024 before a larger one is read whole."""
    length = headers.get(b"content-length")
    if length is not None and (not length.isdigit() or int(length) > limit):
        raise Refusal("RB024", f"At most {limit} bytes are taken")
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise Refusal("RB024", f"At most {limit} bytes are taken")
        return body
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal("RB001", "The body ended early")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise Refusal("RB024", f"At most {limit} bytes are taken")
    return b"".join(chunks)


def _header_list(names: Sequence[str]) -> str:
    r"""Name unknown fields in a header: at most 20, in visible ASCII without commas."""
    shown = [name[:60].encode("ascii", "backslashreplace").decode() for name in names[:20]]
    return ", ".join(re.sub(r"[^\x21-\x2b\x2d-\x7e]", "_", name) for name in shown)


_NO_STORE: Final = (b"cache-control", b"no-store")
_NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")
NOT_MODIFIED: Final = 304


@lru_cache(maxsize=256)
def _content_type(name: str) -> tuple[bytes, bytes]:
    return b"content-type", name.encode()


async def _send(
    send: Send,
    answer: Answer,
    request_id: str,
    extra: Sequence[tuple[str, str]],
    *,
    with_body: bool,
) -> None:
    headers = [
        _content_type(answer.content_type),
        (b"x-request-id", request_id.encode("ascii")),
        _NO_STORE if answer.caching is None else (b"cache-control", answer.caching.encode()),
        _NO_SNIFF,
    ]
    if answer.headers or extra:
        more = (*answer.headers, *extra)
        headers += [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in more]
    if answer.stream is None and answer.status != NOT_MODIFIED:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None and with_body:
        await _send_stream(send, answer.stream)
        return
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})


async def _send_stream(send: Send, stream: AsyncGenerator[bytes]) -> None:
    """Send piece by piece; a client that takes nothing for 60 s is cut off (TimeoutError)."""
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
