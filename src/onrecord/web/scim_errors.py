"""Refusals as SCIM tells them (RFC 7644, section 3.12): our code stands in `detail`."""

from typing import Final

from onrecord.model.errors import CATALOGUE, RETRY_AFTER_SECONDS, Refusal
from onrecord.web.call import encode
from onrecord.web.endpoint import SCIM_JSON, Answer

SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
CONFLICTS: Final = frozenset(
    {"RB010", "RB011", "RB012", "RB013", "RB014", "RB018", "RB019", "RB020"}
)
"""Rules that the present state stands against: 409 here, 400 elsewhere."""
_TYPES: Final = {
    "RB001": "invalidSyntax",
    "RB002": "invalidValue",
    "RB003": "invalidValue",
    "RB013": "uniqueness",
    "RB014": "uniqueness",
}
"""By code: `scimType`, where the protocol has a word for it."""


_NAMES: Final = {
    "primary_email": "userName",
    "first_name": "name.givenName",
    "last_name": "name.familyName",
    "job_title": "title",
    "identifier": "externalId",
    "phone_numbers": "phoneNumbers",
    "primary_phone_number": "phoneNumbers",
}
"""By the name of a field of ours: what it is called here."""


class ScimRefusal(Refusal):
    """RB003 for something that the protocol has a word of its own for (`scimType`)."""

    def __init__(self, scim_type: str, detail: str) -> None:
        """Refuse with this word."""
        super().__init__("RB003", detail)
        self.scim_type = scim_type


def status_of(code: str) -> int:
    """Give the HTTP status of a code in SCIM."""
    return 409 if code in CONFLICTS else CATALOGUE[code].status


def _in_its_words(refusal: Refusal) -> str:
    """Give the detail; it begins with the name of a field where it is about one."""
    field, space, rest = refusal.detail.partition(" ")
    return f"{_NAMES.get(field, field) if refusal.fields else field}{space}{rest}"


def told(refusal: Refusal) -> Answer:
    """Render a refusal as a SCIM error."""
    status = refusal.status if refusal.allow else status_of(refusal.code)
    body = {
        "schemas": [SCHEMA],
        "status": str(status),
        "detail": f"{refusal.code}: {_in_its_words(refusal)}",
    }
    scim_type = getattr(refusal, "scim_type", _TYPES.get(refusal.code))
    if scim_type:
        body["scimType"] = scim_type
    headers = [*refusal.headers]
    retry_after = refusal.retry_after
    if retry_after is None and refusal.code == "RX503":
        retry_after = RETRY_AFTER_SECONDS
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    if refusal.allow:
        headers.append(("Allow", ", ".join(refusal.allow)))
    if status == CATALOGUE["RU003"].status:
        headers.append(("WWW-Authenticate", "Bearer"))
    return Answer(encode(body), SCIM_JSON, status, headers)
