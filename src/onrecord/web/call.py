"""One request on its way through the server."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from onrecord.app import App
from onrecord.domain.credentials import Credential
from onrecord.model.errors import Refusal
from onrecord.store.db import Caller
from onrecord.web.credentials import Address
from onrecord.web.endpoint import Endpoint, Routes
from onrecord.web.limits import Limits
from onrecord.web.metrics import Metrics
from onrecord.web.multipart import Form, Upload

encode = msgspec.json.Encoder().encode
"""Encodes answers."""


@dataclass(slots=True)
class Idempotency:
    """The Idempotency-Key of a request, and what request it was."""

    key: str
    request: bytes = b""


@dataclass(slots=True)
class Call:
    """One request on its way: what it said, who makes it, and the app it is made to."""

    app: App
    routes: Routes
    limits: Limits
    metrics: Metrics
    endpoint: Endpoint
    headers: Mapping[bytes, bytes]
    query: Mapping[str, list[str]]
    raw_query: bytes
    address: Address | None
    caller: Caller
    credential: Credential | None = None
    body: bytes = b""
    """The bytes of a JSON body, or the digest of a form."""
    form: Form | None = None
    idempotency: Idempotency | None = None
    extra: list[tuple[str, str]] = field(default_factory=list)
    place: tuple[Any, ...] = ()
    """Under what the verdict on the caller is remembered."""
    variable: str = ""
    """The last segment of the path, where the row takes any."""
    is_head: bool = False
    """Whether only the head of the answer is asked for."""
    fault: Refusal | None = None
    """A query string that cannot be read; told only after the verdict on the credential."""

    def knows(self, etag: str) -> bool:
        """Whether the caller has this version already (If-None-Match, compared weakly)."""
        known = self.headers.get(b"if-none-match", b"").decode("latin-1")
        return known.strip() == "*" or etag in [
            one.strip().removeprefix("W/") for one in known.split(",")
        ]

    @property
    def base_url(self) -> str:
        """The address of this server: as set, else as the request names it."""
        host = self.headers.get(b"host", b"").decode("latin-1")
        return self.app.settings.public_url or (f"http://{host}" if host else self.app.base_url)

    @property
    def files(self) -> Mapping[str, Upload]:
        """The files of a form, by field."""
        return self.form.files if self.form is not None else {}

    @property
    def who(self) -> Hashable:
        """Whom limits count: the key that acts, or the session; None for nobody."""
        actor = self.caller.actor
        if actor is None:
            return None
        if actor.account is not None:
            return "session", actor.account.session_id
        return actor.key.id if actor.key is not None else None
