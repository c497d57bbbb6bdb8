"""Users and Groups of SCIM: how our members and groups look there, and what of them is taken.

Names are the protocol's. What is taken comes with its names folded to lower case.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from onrecord.domain.provisioning import StaffGroup, Wanted, WantedGroup
from onrecord.model import text, times
from onrecord.model.access import PROFILES, STAFF
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.store.provisioning import StaffMember
from onrecord.web.endpoint import SCIM
from onrecord.web.scim_patch import values_of

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
USER_TAKES: Final = frozenset(
    {
        "username",
        "externalid",
        "name",
        "displayname",
        "title",
        "emails",
        "phonenumbers",
        "active",
        "roles",
    }
)
GROUP_TAKES: Final = frozenset({"displayname", "externalid", "members"})

Document = dict[str, Any]


def user(one: StaffMember, url: str) -> Document:
    """Show a staff member as a User; `url` is that of the server."""
    whole = f"{one.first_name} {one.last_name}".strip()
    return {
        "schemas": [USER],
        "id": one.uuid,
        **({"externalId": one.identifier} if one.identifier else {}),
        "userName": one.primary_email,
        "name": {"formatted": whole, "givenName": one.first_name, "familyName": one.last_name},
        "displayName": whole,
        **({"title": one.job_title} if one.job_title else {}),
        "active": one.state in {"active", "pending"},
        "emails": _kinds(one.emails, "work"),
        "phoneNumbers": _kinds(one.phone_numbers, "work", "mobile"),
        "roles": [{"value": PROFILES[one.profile].name, "primary": True}],
        "groups": [
            {"value": uuid, "display": name, "$ref": f"{url}{SCIM}/Groups/{uuid}"}
            for uuid, name in one.groups
        ],
        "meta": _meta("User", f"{url}{SCIM}/Users/{one.uuid}", one.created_at, one.updated_at),
    }


def _kinds(values: list[str], *kinds: str) -> list[Document]:
    """Show a list; its first values are called what providers ask for, which is not kept."""
    return [
        {
            "value": value,
            "type": kinds[number] if number < len(kinds) else "other",
            "primary": number == 0,
        }
        for number, value in enumerate(values)
    ]


def group(one: StaffGroup, url: str) -> Document:
    """Show a group as a Group, with the staff in it where they were asked for."""
    found, uuid = one.group, one.group.uuid
    shown: Document = {
        "schemas": [GROUP],
        "id": uuid,
        **({"externalId": found.identifier} if found.identifier else {}),
        "displayName": found.name,
    }
    if one.members is not None:
        shown["members"] = [
            {
                "value": member,
                "display": f"{first} {last}".strip(),
                "type": "User",
                "$ref": f"{url}{SCIM}/Users/{member}",
            }
            for member, first, last in one.members
        ]
    location = f"{url}{SCIM}/Groups/{uuid}"
    shown["meta"] = _meta("Group", location, found.created_at, found.updated_at)
    return shown


def _meta(kind: str, location: str, created_at: int, updated_at: int) -> Document:
    return {
        "resourceType": kind,
        "created": times.wire(created_at),
        "lastModified": times.wire(updated_at),
        "location": location,
        "version": f'W/"{updated_at}"',
    }


# -- what is taken -------------------------------------------------------------------------------


def without_strange_phones(document: Document) -> tuple[Document, list[str]]:
    """Leave out phone numbers of another form, and name the attribute where there were some.

    Directories hold extensions and numbers without a country; nobody shall fail to leave for one.
    Those of RFC 3966 (`tel:+44-20-…`, as RFC 7643 wants them) are taken.
    """
    if document.get("phonenumbers") is None:
        return document, []
    given = [one for one in values_of("phonenumbers", document["phonenumbers"]) if one.get("value")]
    told = [{**one, "value": _phone(one["value"])} for one in given]
    kept = [one for one in told if one["value"] is not None]
    return {**document, "phonenumbers": kept}, ["phoneNumbers"] * (len(kept) < len(given))


def _phone(value: str) -> str | None:
    number, _, _ = re.sub("^tel:", "", value.strip(), flags=re.IGNORECASE).partition(";")
    try:
        return text.check_phone("phoneNumbers", number)
    except Refusal:
        return None


def wanted_user(document: Document) -> Wanted:
    """Read what a User is to be; RB002, RB003, and RB010 for a role of the client side.

    Not given and therefore left as they are: emails, roles, active. All else that is not given is
    taken away.
    """
    user_name = _text(document, "username")
    if not user_name:
        raise missing("userName")
    first_name, last_name = _names(document, user_name)
    return Wanted(
        primary_email=user_name,
        first_name=first_name,
        last_name=last_name,
        job_title=_text(document, "title") or "",
        identifier=_text(document, "externalid") or "",
        emails=_listed(document, "emails"),
        phone_numbers=_listed(document, "phonenumbers") or [],
        role=_role(document),
        active=_active(document),
    )


def wanted_group(document: Document) -> WantedGroup:
    """Read what a Group is to be (RB002, RB003); without `members` they stay who they are."""
    name = _text(document, "displayname")
    if not name:
        raise missing("displayName")
    members = _listed(document, "members")
    return WantedGroup(
        name=name,
        identifier=_text(document, "externalid") or "",
        members=None if members is None else [one.lower() for one in members],
    )


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise malformed(name, "must be text")
    return value


def _names(document: Document, user_name: str) -> tuple[str, str]:
    """Give first and last name, if need be out of the whole one or of the address."""
    name = document.get("name") or {}
    if not isinstance(name, dict):
        raise malformed("name", "must be an object")
    first, last = _text(name, "givenname") or "", _text(name, "familyname") or ""
    if first:
        return first, last
    whole = _text(name, "formatted") or _text(document, "displayname") or ""
    if whole and not last:
        first, _, last = whole.strip().partition(" ")
        return first, last.strip()
    return (last, "") if last else (user_name.partition("@")[0], "")


def _listed(document: Document, name: str) -> list[str] | None:
    """Give the values of an attribute, the primary one first; None when it is not given."""
    value = document.get(name)
    if value is None:
        return None
    given = [one for one in values_of(name, value) if one.get("value")]
    given.sort(key=lambda one: not _is_true(one.get("primary")))
    return list(dict.fromkeys(one["value"] for one in given))


def _is_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _active(document: Document) -> bool | None:
    value = document.get("active")
    if value is None:
        return None
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in {"true", "false"}:
        raise malformed("active", "must be true or false")
    return value.lower() == "true"


def _role(document: Document) -> int | None:
    """Give the role that was asked for, the highest of several; none of them is staff."""
    names = _listed(document, "roles")
    if names is None:
        return None
    roles = {row.name: number for number, row in PROFILES.items()}
    asked = {roles.get(name.lower()) for name in names}
    if None in asked:
        raise malformed("roles", "holds what is none of user_admin and staff")
    found = {one for one in asked if one is not None}
    if any(not PROFILES[one].is_staff for one in found):
        raise Refusal("RB010")
    return min(found, default=STAFF)
