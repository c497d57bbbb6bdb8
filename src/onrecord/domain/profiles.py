"""Profiles: what a member is called, and how the member is reached (product.md, section 2).

Contact data has three layers. The account's is the person's alone. The secure layer (primary email
and phone number) is the administrators'; invitations and codes go there. The public one stands on
the contact card. Changing one never changes another.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from onrecord.domain import administrators, contacts, invitations, members, post
from onrecord.domain.newcomers import Known
from onrecord.model import text, times
from onrecord.model.access import BUTLER, PROFILES, SYSTEM_ADMIN
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Member, member_search_key
from onrecord.store import people
from onrecord.store.work import Work

CARD_MOST: Final = 50
"""Emails, and phone numbers, on one contact card."""
LISTS: Final = frozenset({"emails", "phone_numbers"})
"""Fields that are stored as lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValues:
    """What a member is to become; None leaves it as it is.

    An empty text takes the identifier or the primary phone number away.
    """

    first_name: str | None = None
    last_name: str | None = None
    job_title: str | None = None
    identifier: str | None = None
    primary_email: str | None = None
    primary_phone_number: str | None = None
    emails: Sequence[str] | None = None
    phone_numbers: Sequence[str] | None = None


async def change(work: Work, member: Member, new: NewValues) -> None:
    """Change a member, in whatever state; values the member has already change nothing.

    RB003: a value that cannot be; the last email on the card; no primary phone number where the
    organisation asks for one. RB013, RB014: identifier or primary email in use, by an inactive
    member too. RB035: contact data of the Butler. RF006: `administrators.check_may_change`.
    """
    administrators.check_may_change(work, member)
    now_it_is = await people.details_of(work.db, member.id)
    wanted = _checked(member, {name: one for name, one in asdict(new).items() if one is not None})
    changed = {name: one for name, one in wanted.items() if one != now_it_is[name]}
    if not changed:
        return
    if changed.get("emails") == []:
        raise malformed("emails", "must keep at least one email")
    if "primary_phone_number" in changed and changed["primary_phone_number"] is None:
        await members.check_may_lack_phone(Known(work), member.profile)
    await _check_free(work, member, changed)
    await people.change_member(work.db, member.id, _columns({**now_it_is, **changed}, changed))
    work.record(
        "member.updated",
        ids={"entity_user_xref_uuid": member.uuid},
        data={"changes": sorted(changed)},
        parts={"profile": changed},
        subject=member.id,
    )
    if "primary_email" in changed:
        await _tell_old_address(work, member, now_it_is["primary_email"], changed["primary_email"])
        await invitations.follow_email(work, member)


def _checked(member: Member, given: dict[str, Any]) -> dict[str, Any]:
    if member.profile == BUTLER and not given.keys().isdisjoint(_OF_PEOPLE):
        raise Refusal("RB035", "The Butler has no email and no phone number")
    return {name: _CHECKS[name](value) for name, value in given.items()}


def _emails(values: Sequence[str]) -> list[str]:
    return _each("emails", values, text.check_email, text.email_key)


def _phone_numbers(values: Sequence[str]) -> list[str]:
    return _each("phone_numbers", values, text.check_phone, str)


def _each(
    field: str,
    values: Sequence[str],
    check: Callable[[str, str], str],
    key: Callable[[str], str],
) -> list[str]:
    """Check each value, and keep the first of those that mean the same."""
    if len(values) > CARD_MOST:
        raise malformed(field, f"holds more than {CARD_MOST}")
    kept: dict[str, str] = {}
    for value in values:
        checked = check(field, value)
        kept.setdefault(key(checked), checked)
    return list(kept.values())


_OF_PEOPLE: Final = frozenset({"primary_email", "primary_phone_number", "emails", "phone_numbers"})
_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "first_name": lambda value: text.check("first_name", value, least=1, most=text.NAME_MAX),
    "last_name": lambda value: text.check("last_name", value, least=0, most=text.NAME_MAX),
    "job_title": lambda value: text.check("job_title", value, least=0, most=text.NAME_MAX),
    "identifier": contacts.check_identifier,
    "primary_email": lambda value: text.check_email("primary_email", value),
    "primary_phone_number": lambda value: (
        text.check_phone("primary_phone_number", value) if value else None
    ),
    "emails": _emails,
    "phone_numbers": _phone_numbers,
}
"""By field: what gives the value as it is stored, or refuses it (RB003)."""


async def _check_free(work: Work, member: Member, changed: dict[str, Any]) -> None:
    entity_id = work.actor.entity_id
    identifier, email = changed.get("identifier"), changed.get("primary_email")
    if identifier and await people.member_identified(work.db, entity_id, identifier):
        raise Refusal("RB013")
    if email:
        known = await people.member_with_email(work.db, entity_id, text.email_key(email))
        if known is not None and known.id != member.id:
            raise Refusal("RB014")


def _columns(whole: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """Give the columns to store: what changed, and what is derived from it."""
    columns = {
        name: json.dumps(value) if name in LISTS else value for name, value in changed.items()
    }
    if "primary_email" in changed:
        columns["email_key"] = text.email_key(changed["primary_email"])
    columns["search_key"] = member_search_key(
        whole["first_name"],
        whole["last_name"],
        whole["identifier"],
        whole["emails"],
        whole["primary_email"],
    )
    return {**columns, "updated_at": times.now()}


async def _tell_old_address(work: Work, member: Member, old: str | None, new: str) -> None:
    """Tell the earlier address that mail goes elsewhere; not when only its spelling changed."""
    if old and text.email_key(old) != text.email_key(new):
        name = f"{member.first_name} {member.last_name}".strip()
        await post.mail(
            work, to=old, template="email_changed", values={"name": name}, member_id=member.id
        )


# -- role and level ------------------------------------------------------------------------------

LEVEL_MOST: Final = 3


async def change_role(
    work: Work, member: Member, enum_profile_id: int | None, data_reviewer_level: int | None
) -> None:
    """Give a member another role of the same side, another reviewer's level, or both.

    What the member has already changes nothing. RB003: no role from 1 to 5, no level from 0 to 3,
    or a level for somebody of the client side. RB010: a role of the other side. RB018: the last
    active system administrator. RB035: the Butler. RF006: `administrators.check_may_change`;
    only system administrators make others such, and grant levels.
    """
    administrators.check_may_change(work, member)
    if member.profile == BUTLER:
        raise Refusal("RB035")
    if enum_profile_id is not None and enum_profile_id != member.profile:
        await _set_role(work, member, enum_profile_id)
    if data_reviewer_level is not None:
        await _set_level(work, member, data_reviewer_level)


async def _set_role(work: Work, member: Member, profile: int) -> None:
    row = PROFILES.get(profile)
    if row is None or profile == BUTLER:
        raise malformed("enum_profile_id", "is not a role from 1 to 5")
    if row.is_staff != member.is_staff:
        raise Refusal("RB010")
    administrators.check_may_make(work, profile)
    if member.profile == SYSTEM_ADMIN:
        await check_not_last_admin(work, member)
    columns = {"profile": profile, "updated_at": times.now()}
    await people.change_member(work.db, member.id, columns)
    work.record(
        "member.role_changed",
        ids={"entity_user_xref_uuid": member.uuid},
        data={"enum_profile_id": profile},
        subject=member.id,
    )


async def _set_level(work: Work, member: Member, level: int) -> None:
    if not 0 <= level <= LEVEL_MOST:
        raise malformed("data_reviewer_level", f"is not from 0 to {LEVEL_MOST}")
    if level == (await people.details_of(work.db, member.id))["data_reviewer_level"]:
        return
    administrators.check_is_system_admin(work, "Only a system administrator makes data reviewers")
    if not member.is_staff:
        raise malformed("data_reviewer_level", "is for staff; clients and partners review nothing")
    columns = {"data_reviewer_level": level, "updated_at": times.now()}
    await people.change_member(work.db, member.id, columns)
    work.record(
        "member.reviewer_level_changed",
        ids={"entity_user_xref_uuid": member.uuid},
        data={"data_reviewer_level": level},
        subject=member.id,
    )


async def check_not_last_admin(work: Work, member: Member) -> None:
    """Refuse (RB018) to lose the system administrator without whom no active one would be left.

    A pending or suspended one may go while another is there, active or yet to come.
    """
    others = await people.system_admins(work.db, work.actor.entity_id, besides=member.id)
    counted = ("active",) if member.state == "active" else ("active", "pending", "suspended")
    if not any(state in counted for state in others):
        raise Refusal("RB018")
