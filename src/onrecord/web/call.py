"""One request on its way through the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from onrecord.app import App
from onrecord.domain.keys import Credential
from onrecord.model.errors import Refusal
from onrecord.store.db import Caller
from onrecord.web.credentials import Address
from onrecord.web.endpoint import Endpoint, Routes
from onrecord.web.limits import Limits
from onrecord.web.metrics import Metrics

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
    idempotency: Idempotency | None = None
    extra: list[tuple[str, str]] = field(default_factory=list)
    place: tuple[Any, ...] = ()
    """Under what the verdict on the caller is remembered."""
    fault: Refusal | None = None
    """A query string that cannot be read; told only after the verdict on the credential."""

    @property
    def key_id(self) -> int:
        """The internal id of the key that acts, 0 for none."""
        actor = self.caller.actor
        return actor.key.id if actor is not None and actor.key is not None else 0
