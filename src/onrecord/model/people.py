"""Organisations, members and groups as the wire shows them."""

import msgspec

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


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group as rules need it."""

    id: int
    uuid: str
    name: str
    state: str
    is_default: bool
