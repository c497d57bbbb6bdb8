"""The row that takes from a mail provider what came back.

Whoever calls knows the secret of the setting `bounce_secret`: the header `X-Bounce-Signature` is
`sha256=` and the hexadecimal HMAC-SHA-256 of `<X-Bounce-Timestamp>.<body>`; the timestamp is in
seconds since 1970 and no older than five minutes.
"""

import hashlib
import hmac
import re
from typing import Annotated, Final

import msgspec

from onrecord import app as composition
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.web import persons
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer, Endpoint, Takes

TOLERANCE: Final = 300
"""Seconds that the caller's clock and ours may differ."""
EVENTS_MOST: Final = 1000
Address = Annotated[str, msgspec.Meta(max_length=1000)]


class BounceEvent(msgspec.Struct):
    """What happened to one mail; `bounce` alone is acted upon."""

    type: str
    recipient: Address = ""
    message_id: Address = ""


class Bounces(Takes):
    """What happened to mails."""

    events: Annotated[list[BounceEvent], msgspec.Meta(max_length=EVENTS_MOST)]


class Taken(msgspec.Struct):
    """How many bounces were taken note of."""

    taken: int


async def take_bounces(call: Call, taken: Bounces) -> Answer:
    """Take note of mails that came back."""
    secret = call.app.settings.bounce_secret
    if not secret:
        raise Refusal("RN005")
    _check_signature(call, secret)
    bounces = [one for one in taken.events if one.type == "bounce"]
    for one in bounces:
        await composition.note_bounce(call.app, one.message_id, one.recipient)
    return Answer(encode(Taken(len(bounces))))


def _check_signature(call: Call, secret: str) -> None:
    """RU003 without a signature, RU001 with a wrong one, RU010 with one of another hour."""
    signature = call.headers.get(b"x-bounce-signature")
    stamp = call.headers.get(b"x-bounce-timestamp", b"")
    if signature is None:
        raise Refusal("RU003", "Send X-Bounce-Signature and X-Bounce-Timestamp")
    digest = hmac.new(secret.encode(), stamp + b"." + call.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, f"sha256={digest}".encode()):
        persons.failed(call, Refusal("RU001", "The signature does not fit"))
    given = int(stamp) if re.fullmatch(rb"[0-9]{1,12}", stamp) else 0
    if abs(times.now() // times.SECOND - given) > TOLERANCE:
        raise Refusal("RU010", "The timestamp is more than five minutes off")


ROWS: Final = (
    Endpoint(
        method="POST",
        path="/app-service/api/mail/bounces",
        summary="Tell which mails came back, as a mail provider",
        kinds=frozenset(),
        takes=Bounces,
        gives=Taken,
        refusals=("RU001", "RU003", "RU010", "RU029"),
        writes=("invitation.bounced",),
        handler=take_bounces,
        mode="script",
        tags=("Operations",),
    ),
)
