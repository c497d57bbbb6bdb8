"""The catalogue of refusals: one row per error, one exception class.

Codes and statuses are the wire contract's. A `Refusal` is raised where the rule lives and is
turned into JSON in one place, `web.server`. A refusal never says more than its reader may know:
what a caller may not see is "not found".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One documented error: its code, HTTP status and a title that never changes."""

    code: str
    status: int
    title: str


def _rows(*rows: tuple[str, int, str]) -> dict[str, ErrorRow]:
    return {code: ErrorRow(code, status, title) for code, status, title in rows}


CATALOGUE: Final = _rows(
    ("RB001", 400, "The body is no valid JSON object or form"),
    ("RB002", 400, "A required field or parameter is missing"),
    ("RB003", 400, "A field or parameter has the wrong type, length or format"),
    ("RB010", 400, "A role cannot change between staff side and client side"),
    ("RB011", 400, "Clients would be left in a group without active staff"),
    ("RB012", 400, "The group is not empty"),
    ("RB013", 400, "The identifier is already in use"),
    ("RB014", 400, "The email is already in use in this organisation"),
    ("RB015", 400, "A chat holds at most 100 active participants"),
    ("RB016", 400, "The file's type, size or content is refused"),
    ("RB017", 400, "The message replied to does not exist in this chat"),
    ("RB018", 400, "The organisation would be left without a system administrator"),
    ("RB019", 400, "This is not possible in the present state"),
    ("RB020", 400, "The group has no active staff member, so no client can be added"),
    ("RB021", 400, "No client can take part in a staff-only chat"),
    ("RB022", 422, "The idempotency key was used with another request"),
    ("RB023", 409, "The first request with this idempotency key is still running"),
    ("RB024", 413, "The body is too large"),
    ("RB025", 416, "The range cannot be satisfied"),
    ("RB026", 415, "The content type is not accepted"),
    ("RB027", 412, "The object has changed since it was read"),
    ("RB035", 400, "The member's profile cannot log in"),
    ("RB785", 400, "Neither identifier nor entity_user_xref_uuid was given"),
    ("RU001", 401, "The key or its secret is invalid"),
    ("RU002", 401, "The key is deactivated"),
    ("RU003", 401, "No credential was given"),
    ("RU004", 401, "The source address is outside the key's CIDR blocks"),
    ("RU010", 401, "The session or token has expired or was revoked"),
    ("RU029", 429, "Too many requests"),
    ("RF001", 403, "The acting member is not an active participant of this chat"),
    ("RF002", 403, "This member may not add or remove participants"),
    ("RF003", 403, "The member is no contact and cannot be reached this way"),
    ("RF004", 403, "The member to act on behalf of is missing or not allowed"),
    ("RF005", 403, "The Butler chat takes no such act"),
    ("RF006", 403, "The role does not allow this"),
    ("RF007", 403, "A barrier stands between the groups"),
    ("RF008", 403, "This call does not take a credential of this kind"),
    ("RF024", 403, "The member is not currently active"),
    ("RF731", 403, "The key lacks the permission to create SDK tokens"),
    ("RF732", 403, "The key lacks the permission to export data"),
    ("RF733", 403, "The key lacks the permission for read-only admin actions"),
    ("RF734", 403, "The key lacks the permission for write-only admin actions"),
    ("RF735", 403, "The key lacks the permission for data reviewer actions"),
    ("RF736", 403, "A super key must name the organisation in on-behalf-of-entity-uuid"),
    ("RF741", 403, "The key lacks the permission for read-only chat actions"),
    ("RF742", 403, "The key lacks the permission for write-only chat actions"),
    ("RF743", 403, "The key lacks the permission for read only contact actions"),
    ("RF841", 403, "Only a super key may send on-behalf-of-entity-uuid"),
    ("RF888", 403, "The feature is not enabled for the organisation"),
    ("RN001", 404, "Chat not found"),
    ("RN002", 404, "Group not found"),
    ("RN003", 404, "Message not found"),
    ("RN004", 404, "Attachment not found"),
    ("RN005", 404, "No such path"),
    ("RN006", 404, "Member not found"),
    ("RN007", 404, "Organisation not found"),
    ("RN008", 404, "Not found"),
    ("RN900", 404, "The organisation is inactive"),
    ("RN902", 404, "The organisation is frozen"),
    ("RX500", 500, "Something unexpected went wrong"),
    ("RX503", 503, "Not ready, please try again"),
)

RETRY_AFTER_SECONDS: Final = 2
"""What a 503 advises when nothing better is known, in seconds."""


class FieldError(NamedTuple):
    """Which field is wrong (a JSON pointer, or the parameter's name) and what is wrong with it."""

    pointer: str
    detail: str


class Refusal(Exception):  # noqa: N818 - a refusal is the field's word for it; not every one is an error
    """The one exception for everything that is not allowed, not found or not valid.

    `detail` is shown to the caller: no secret, no message text, nothing the caller may not know.
    `retry_after` is in seconds and only meaningful for 429 and 503.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        fields: Sequence[FieldError] = (),
        retry_after: int | None = None,
        allow: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Refuse with `code` of the catalogue; `allow` lists the methods of a 405."""
        self.row = CATALOGUE[code]
        self.code = code
        self.detail = detail or self.row.title
        self.fields = tuple(fields)
        self.retry_after = retry_after
        self.allow = tuple(allow)
        self.headers = tuple(headers)
        super().__init__(f"{code} {self.detail}")

    @property
    def status(self) -> int:
        """The HTTP status: the row's, or 405 where a path exists but not with this method."""
        return 405 if self.allow else self.row.status


def missing(field: str) -> Refusal:
    """RB002 for one required field or parameter."""
    return Refusal(
        "RB002", f"{field} is required", fields=[FieldError(pointer_to(field), "is required")]
    )


def malformed(field: str, why: str) -> Refusal:
    """RB003 for one field or parameter; `why` completes the sentence "<field> …"."""
    return Refusal("RB003", f"{field} {why}", fields=[FieldError(pointer_to(field), why)])


def pointer_to(field: str) -> str:
    """Give the JSON pointer (RFC 6901) of a top-level field."""
    return "/" + field.replace("~", "~0").replace("/", "~1")
