"""Who may knock and what they may do: credentials, permissions, roles and the actor."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The kinds of credential. The value is what entries and messages say of them."""

    SYSTEM = "system"
    SUPER = "super"
    MASTER_USER = "master_user"
    USER = "user"
    SESSION = "session"
    SDK = "sdk"
    OPERATOR = "operator"
    """The command line, run by whoever holds the data directory."""
    SERVICE = "service"
    """OnRecord itself: jobs, the Butler, the once-a-minute checkpoint."""


KEY_KINDS: Final = frozenset({Kind.SYSTEM, Kind.SUPER, Kind.MASTER_USER, Kind.USER})
BY_HAND: Final = frozenset({Kind.SESSION, Kind.SDK})
"""Credentials with which a person acts: sending with them moves the own read mark."""

FOR_THE_ORGANISATION: Final = frozenset({Kind.SYSTEM, Kind.SUPER, Kind.OPERATOR, Kind.SERVICE})
"""Credentials that act for the organisation and not for a member of it."""

VIA: Final[Mapping[Kind, str]] = {
    Kind.SESSION: "session",
    Kind.SDK: "sdk",
    Kind.USER: "user_key",
    Kind.MASTER_USER: "master_user_key",
    Kind.SYSTEM: "system",
    Kind.SUPER: "system",
    Kind.OPERATOR: "system",
    Kind.SERVICE: "system",
}
"""The wire's `via.kind` of a message, by credential."""


@dataclass(frozen=True, slots=True)
class PermissionRow:
    """One permission of a key: its wire name, what the screen calls it, and who may hold it."""

    name: str
    label: str
    kinds: frozenset[Kind]
    refusal: str


_SYSTEM = frozenset({Kind.SYSTEM, Kind.SUPER})
_CHAT = frozenset({Kind.MASTER_USER, Kind.USER})


def _permissions(
    *rows: tuple[str, str, frozenset[Kind], str],
) -> dict[str, PermissionRow]:
    return {row[0]: PermissionRow(*row) for row in rows}


PERMISSIONS: Final = _permissions(
    ("can_export", "export data", _SYSTEM | _CHAT, "RF732"),
    ("can_read_admin", "read-only admin actions", _SYSTEM, "RF733"),
    ("can_write_admin", "write-only admin actions", _SYSTEM, "RF734"),
    ("can_review_data", "data reviewer actions", _SYSTEM, "RF735"),
    ("can_create_sdk_tokens", "create SDK tokens", _SYSTEM, "RF731"),
    ("can_provision", "provision users by SCIM", frozenset({Kind.SYSTEM}), "RF008"),
    ("can_read_chat", "read-only chat actions", _CHAT, "RF741"),
    ("can_write_chat", "write-only chat actions", _CHAT, "RF742"),
    ("can_read_contacts", "read only contact actions", _CHAT, "RF743"),
)


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One role: its number and name on the wire, its name on the screen, and its side."""

    enum_profile_id: int
    name: str
    title: str
    side: str

    @property
    def is_staff(self) -> bool:
        """Staff side: profiles 1 to 3."""
        return self.side == "staff"

    @property
    def is_client(self) -> bool:
        """Client side: a partner has a client's rights and limits."""
        return self.side == "client"


SYSTEM_ADMIN: Final = 1
USER_ADMIN: Final = 2
STAFF: Final = 3
CLIENT: Final = 4
PARTNER: Final = 5
BUTLER: Final = 6

PROFILES: Final[Mapping[int, ProfileRow]] = {
    row.enum_profile_id: row
    for row in (
        ProfileRow(SYSTEM_ADMIN, "system_admin", "System administrator", "staff"),
        ProfileRow(USER_ADMIN, "user_admin", "User administrator", "staff"),
        ProfileRow(STAFF, "staff", "Staff", "staff"),
        ProfileRow(CLIENT, "client", "Client", "client"),
        ProfileRow(PARTNER, "partner", "Partner", "client"),
        ProfileRow(BUTLER, "butler", "Butler", "butler"),
    )
}

CAN_LOG_IN: Final = frozenset({SYSTEM_ADMIN, USER_ADMIN, STAFF, CLIENT, PARTNER})

INSTALLATION_ID: Final = 1
"""The internal id of the installation, which is itself an organisation of the record."""
INSTALLATION_UUID: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class MemberRef:
    """The acting member, as far as rules and messages need it."""

    id: int
    uuid: str
    profile: int
    first_name: str
    last_name: str

    @property
    def is_staff(self) -> bool:
        """Whether the member is on the staff side."""
        return PROFILES[self.profile].is_staff

    @property
    def is_client(self) -> bool:
        """Whether the member is on the client side."""
        return PROFILES[self.profile].is_client


@dataclass(frozen=True, slots=True)
class KeyRef:
    """The key that acts."""

    id: int
    uuid: str
    name: str
    permissions: frozenset[str]
    rate_limit: tuple[int, int] | None = None
    """Requests, seconds; None: the installation's default."""


@dataclass(frozen=True, slots=True)
class AccountRef:
    """The session that acts, and whose account it is of; an SDK token has perhaps none."""

    id: int | None
    uuid: str | None
    session_id: int
    session_uuid: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Under which access positions a verdict was reached (house rule: the head row decides)."""

    entity: int
    installation: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by which credential, in which organisation.

    Made by `domain.verdicts` for a request and trusted only while the organisation's head row still
    shows the access position in `judged`.
    """

    kind: Kind
    entity_id: int
    entity_uuid: str
    member: MemberRef | None = None
    key: KeyRef | None = None
    judged: Judged = Judged(0, 0)
    expires_at: int | None = None
    """Microseconds since 1970; the moment the credential itself ends."""
    account: AccountRef | None = None
    """The session of a person; without a member the account itself acts, in the installation."""

    @property
    def leans_on_installation(self) -> bool:
        """Super keys and sessions live in the installation's record as well."""
        return self.kind in {Kind.SUPER, Kind.SESSION, Kind.SDK}

    @property
    def scope(self) -> str:
        """Whose idempotency keys these are: the key plus acting member, the member, the account."""
        if self.account is not None and self.member is None:
            return f"{self.entity_id}/account/{self.account.id}"
        if self.account is not None and self.member is not None:
            return f"{self.entity_id}/member/{self.member.id}"
        key = f"k{self.key.id}" if self.key else self.kind.value
        return f"{self.entity_id}/{key}/{self.member.id if self.member else 0}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: its id, the caller's own id for it, and the source address."""

    request_id: str
    caller_request_id: str | None = None
    address: str | None = None


def operator(entity_id: int, entity_uuid: str) -> Actor:
    """Make the actor of the command line."""
    return Actor(Kind.OPERATOR, entity_id, entity_uuid)


def service(entity_id: int, entity_uuid: str) -> Actor:
    """Make the actor of OnRecord's own doings."""
    return Actor(Kind.SERVICE, entity_id, entity_uuid)
