"""Rows for whoever runs the server: its figures, and where to report a hole in it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from onrecord.model.errors import Refusal
from onrecord.web.call import Call
from onrecord.web.endpoint import Answer, Endpoint, Nothing

CONTACT_DAYS: Final = 180
"""For how long the contact may be relied upon; RFC 9116 advises less than a year."""


async def get_metrics(call: Call, _: Nothing) -> Answer:
    """Give the figures to the addresses that may have them; for others there is nothing here.

    A request that says it was forwarded, by a proxy that nobody told us to trust, comes from who
    knows where: without this every proxy on the same machine would show the figures to the world.
    """
    settings = call.app.settings
    forwarded = b"x-forwarded-for" in call.headers and not settings.trusted_proxies
    address = call.address
    allowed = address is not None and any(address in one for one in settings.metrics_allowed)
    if forwarded or not allowed:
        raise Refusal("RN005")
    body, kind = call.metrics.text(call.app.store, call.limits.streams)
    return Answer(body, kind)


async def get_security(call: Call, _: Nothing) -> Answer:
    """Give security.txt (RFC 9116) when a contact is set."""
    settings = call.app.settings
    if not settings.security_contact:
        raise Refusal("RN005")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    expires = midnight + timedelta(days=CONTACT_DAYS)
    lines = [f"Contact: {settings.security_contact}", f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}"]
    if settings.public_url:
        lines.append(f"Canonical: {settings.public_url}{SECURITY}")
    body = "".join(f"{line}\n" for line in lines).encode()
    return Answer(body, "text/plain; charset=utf-8")


SECURITY: Final = "/.well-known/security.txt"

ROWS: Final = (
    Endpoint(
        method="GET",
        path="/metrics",
        summary="Read the figures of this process, for Prometheus",
        kinds=frozenset(),
        produces="text/plain",
        handler=get_metrics,
        mode="script",
        tags=("Operations",),
    ),
    Endpoint(
        method="GET",
        path=SECURITY,
        summary="Read where to report a security problem (RFC 9116)",
        kinds=frozenset(),
        produces="text/plain",
        handler=get_security,
        mode="script",
        tags=("Operations",),
    ),
)
