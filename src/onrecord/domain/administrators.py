"""Administrators: what a person may do to other members (product.md, section 2).

Keys and the operator act for the organisation, so that nothing here binds them. Which calls an
administrator may make at all stands in the rows of these calls.
"""

from onrecord.model.access import SYSTEM_ADMIN, USER_ADMIN, Kind
from onrecord.model.errors import Refusal
from onrecord.model.people import Member
from onrecord.store.work import Work


def check_may_change(work: Work, member: Member) -> None:
    """Refuse (RF006) a person who is no administrator, or no match for a system administrator."""
    acting = work.actor.member
    if acting is None:
        return
    if acting.profile not in {SYSTEM_ADMIN, USER_ADMIN}:
        raise Refusal("RF006", "Only administrators change members")
    if member.profile == SYSTEM_ADMIN:
        check_is_system_admin(work, "Only a system administrator changes a system administrator")


def check_may_make(work: Work, profile: int) -> None:
    """Refuse (RF006) to make somebody a system administrator who is none oneself."""
    if profile == SYSTEM_ADMIN:
        check_is_system_admin(work, "Only a system administrator makes another one")


def check_is_system_admin(work: Work, why: str) -> None:
    """Refuse (RF006) any person but a system administrator, saying why."""
    acting = work.actor.member
    if acting is not None and acting.profile != SYSTEM_ADMIN:
        raise Refusal("RF006", why)


def check_may_hand_out(work: Work, kind: Kind, owner: Member | None) -> None:
    """Refuse (RF006) a person to make such a key; see `may_handle_key`."""
    owned = (owner.id, owner.profile) if owner else (None, None)
    if not may_handle_key(work, kind, *owned):
        raise Refusal("RF006", "Only a system administrator makes keys for others than oneself")


def may_handle_key(work: Work, kind: str, owner_id: int | None, owner_profile: int | None) -> bool:
    """Whether a person may see and change a key (product.md, section 6).

    System administrators: every key. User administrators: the user keys of members they may act
    on. Staff: their own.
    """
    acting = work.actor.member
    if acting is None or acting.profile == SYSTEM_ADMIN:
        return True
    if kind != Kind.USER:
        return False
    looks_after = acting.profile == USER_ADMIN and owner_profile != SYSTEM_ADMIN
    return looks_after or acting.id == owner_id
