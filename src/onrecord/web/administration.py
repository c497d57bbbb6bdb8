"""The administrators' calls: what keys do at `/entity-service/sys-api`, for persons in a session.

Each is the twin of a row of the System API and made from it: the same types, the same handler, the
same rules behind it. A session takes the place of the key, a role that of the permission, and what
is done is the acting member's deed.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from onrecord.model.access import PERMISSIONS, STAFF, SYSTEM_ADMIN, USER_ADMIN
from onrecord.web.endpoint import SESSIONS, Endpoint

KEYS: Final = "/entity-service/sys-api/"
PERSONS: Final = "/app-service/api/"
TAG: Final = "Administration"
EITHER: Final = frozenset({SYSTEM_ADMIN, USER_ADMIN})
"""Who looks after people: clients, staff, client teams, invitations, imports."""
SYSTEM: Final = frozenset({SYSTEM_ADMIN})
"""Who looks after the organisation: how it looks and works, its keys, its record."""
ALL_STAFF: Final = frozenset({SYSTEM_ADMIN, USER_ADMIN, STAFF})
"""All of the staff, of whom each has what the domain leaves to them: their own keys."""

ROLES: Final[dict[str, frozenset[int]]] = {
    "entity-memberships": EITHER,
    "groups": EITHER,
    "imports": EITHER,
    "jobs": EITHER,
    "contacts/explain": EITHER,
    # Whoever moves people between teams must know of a barrier, but not be able to lift it.
    "barriers/list": EITHER,
    "barriers": SYSTEM,
    "organisation": SYSTEM,
    "terms": SYSTEM,
    "api-keys": ALL_STAFF,
    "export": SYSTEM,
    "record": SYSTEM,
}
"""The beginning of a path behind `sys-api/`, and for whom the twins are; the longest one counts."""

WITHOUT: Final[dict[str, str]] = {
    "whoami": "it tells about keys; a session has GET session",
    "events": "it is for programs that follow the record",
    "sdk": "tokens and look-ups for a server that embeds the app",
    "chats": "reviewers in person give a reason, under review/",
}
"""The same of calls that have no twin, and why."""


def twins(rows: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Give the twins of the rows that have one, in their order."""
    return tuple(_twin(row, roles) for row in rows if (roles := roles_for(row)))


def roles_for(row: Endpoint) -> frozenset[int]:
    """Give whom the twin of a row is for; empty where it has none."""
    place = row.path.removeprefix(KEYS)
    fitting = [one for one in ROLES if f"{place}/".startswith(f"{one}/")]
    return ROLES[max(fitting, key=len)] if place != row.path and fitting else frozenset()


_OF_PERMISSIONS: Final = {permission.refusal for permission in PERMISSIONS.values()}
"""What only keys are told."""


def _twin(row: Endpoint, roles: frozenset[int]) -> Endpoint:
    return replace(
        row,
        path=PERSONS + row.path.removeprefix(KEYS),
        kinds=SESSIONS,
        permissions=(),
        acting="required",
        roles=roles,
        twin_of=row.path,
        refusals=tuple(code for code in row.refusals if code not in _OF_PERMISSIONS),
        tags=(TAG,),
    )
