"""Organisations, members and groups as the wire shows them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from onrecord.model import text
from onrecord.model.access import PROFILES, MemberRef


class Invitation(msgspec.Struct, frozen=True):
    """How far the invitation of a pending member has come."""

    state: str
    sent_at: str | None = None
    reminders_sent: int = 0
    expires_at: str | None = None


class Membership(msgspec.Struct, kw_only=True):
    """One person in one organisation, as administrators see it."""

    entity_uuid: str
    entity_user_xref_uuid: str
    identifier: str | None
    enum_profile_id: int
    profile: str
    first_name: str
    last_name: str
    job_title: str
    primary_email: str | None
    primary_phone_number: str | None
    emails: list[str]
    phone_numbers: list[str]
    state: str
    data_reviewer_level: int
    has_avatar: bool
    group_uuids: list[str]
    invitation: Invitation | None
    created_at: str
    updated_at: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member as stored, as far as rules need it."""

    id: int
    uuid: str
    entity_id: int
    identifier: str | None
    profile: int
    first_name: str
    last_name: str
    state: str

    @property
    def is_staff(self) -> bool:
        """Whether the member is on the staff side."""
        return PROFILES[self.profile].is_staff

    @property
    def is_client(self) -> bool:
        """Whether the member is on the client side."""
        return PROFILES[self.profile].is_client

    @property
    def ref(self) -> MemberRef:
        """The member as an actor carries it."""
        return MemberRef(self.id, self.uuid, self.profile, self.first_name, self.last_name)


class MemberInShort(msgspec.Struct, frozen=True, kw_only=True):
    """A member as a group lists its own."""

    entity_user_xref_uuid: str
    identifier: str | None
    enum_profile_id: int
    profile: str
    first_name: str
    last_name: str
    state: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group as stored."""

    id: int
    uuid: str
    name: str
    identifier: str | None
    description: str
    state: str
    is_default: bool
    created_at: int
    updated_at: int


class GroupView(msgspec.Struct, kw_only=True):
    """A group as administrators see it; `members` on single reads alone."""

    group_uuid: str
    name: str
    identifier: str | None
    description: str
    state: str
    is_default: bool
    member_count: int
    created_at: str
    updated_at: str
    members: list[MemberInShort] | msgspec.UnsetType = msgspec.UNSET


class Barrier(msgspec.Struct, frozen=True):
    """A barrier between two groups of staff."""

    group_uuid: str
    other_group_uuid: str
    created_at: str


class Contact(msgspec.Struct, kw_only=True):
    """Somebody as a colleague or a client sees them: the public layer alone."""

    entity_user_xref_uuid: str
    identifier: str | None
    enum_profile_id: int
    profile: str
    first_name: str
    last_name: str
    job_title: str
    emails: list[str]
    phone_numbers: list[str]
    status: str
    has_avatar: bool
    is_me: bool


AVATAR_SIZES: Final = (64, 128, 256, 512)
"""The sides, in pixels, in which a member's picture is kept and given out."""


LOGO_BOXES: Final = {160: (640, 160), 320: (1280, 320)}
"""The boxes, width and height in pixels, into which an organisation's logo is fitted, by height."""


class Picture(NamedTuple):
    """A picture that we made ourselves."""

    size: int
    """The side of a square, or the height of the box that it fits into, in pixels."""
    digest: str
    """The first half of the SHA-256 of its bytes, in hexadecimal."""
    content_type: str
    data: bytes


# -- searching -----------------------------------------------------------------------------------


def member_search_key(
    first_name: str,
    last_name: str,
    identifier: str | None,
    emails: Iterable[str],
    primary_email: str | None,
) -> str:
    """Give the form in which a member is searched, to be stored with every change of one of these.

    Two lines: what contacts may see, and the primary email, which only administrators search.
    """
    public = " ".join([first_name, last_name, identifier or "", *emails])
    return f"{_one_line(public)}\n{_one_line(primary_email or '')}"


def group_search_key(name: str, identifier: str | None) -> str:
    """Give the form in which a group is searched, to be stored with every change of either."""
    return _one_line(f"{name} {identifier or ''}")


def pattern(search: str | None, *, contacts: bool = False) -> str | None:
    r"""Give what `search_key LIKE … ESCAPE '\'` compares with; None when nothing is searched.

    With `contacts`, members' first lines alone are searched.
    """
    words = _one_line(search or "")
    if not words:
        return None
    words = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{words}%\n%" if contacts else f"%{words}%"


def _one_line(words: str) -> str:
    return " ".join(text.search_key(words).split())
