"""Rows about terms: a new version, and accepting one."""

from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import accounts, organisations, terms
from onrecord.domain.terms import Terms
from onrecord.model.errors import malformed
from onrecord.model.people import Member
from onrecord.store import people
from onrecord.store.work import Work
from onrecord.web.endpoint import SESSIONS, SYSTEM_KEYS, Endpoint, Takes


class UpdateTerms(Takes):
    """The terms as they are to be; empty: there is nothing to accept."""

    text: str


class OneTerms(msgspec.Struct):
    """The newest version."""

    terms: Terms


async def update_terms(work: Work, taken: UpdateTerms) -> OneTerms:
    """Give the organisation's terms a new version, which everybody is asked to accept."""
    await organisations.update(work, {"terms": taken.text})
    return OneTerms(await terms.publish(work, taken.text))


class AcceptTerms(Takes):
    """Which version was read."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class StillDue(msgspec.Struct):
    """The terms that are still to be accepted."""

    terms: list[Terms]


async def accept_terms(work: Work, taken: AcceptTerms) -> StillDue:
    """Accept the organisation's terms, as the member named."""
    acting = work.actor.member
    member = None if acting is None else await people.member_by_id(work.db, acting.id)
    return await _accept(work, member, taken.version)


async def accept_operators(work: Work, taken: AcceptTerms) -> StillDue:
    """Accept the operator's terms, for the account and so for all its memberships."""
    return await _accept(work, None, taken.version)


async def _accept(work: Work, member: Member | None, version: int) -> StillDue:
    account = await accounts.own(work)
    whose = terms.OPERATOR if member is None else terms.ORGANISATION
    who = (account.id, member.id if member else None, member.entity_id if member else None)
    newest = next((one.version for one in await terms.due(work.db, *who) if one.whose == whose), 0)
    if newest and version > newest:
        raise malformed("version", f"is above the newest, {newest}")
    await terms.accept(work, (account.id, account.uuid), member, {whose: version})
    await work.settle()
    return StillDue(await terms.due(work.db, *who))


_ACCEPT: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SESSIONS,
    "takes": AcceptTerms,
    "gives": StillDue,
    "writes": ("terms.accepted",),
    "mode": "write",
    "tags": ("Account",),
}

ROWS: Final = (
    Endpoint(
        method="POST",
        path="/entity-service/sys-api/terms/update",
        summary="Give the organisation's terms a new version",
        kinds=SYSTEM_KEYS,
        permissions=("can_write_admin",),
        takes=UpdateTerms,
        gives=OneTerms,
        writes=("setting.changed", "terms.updated"),
        handler=update_terms,
        mode="write",
        tags=("Organisation",),
    ),
    Endpoint(
        path="/app-service/api/terms/accept",
        summary="Accept a version of the organisation's terms",
        acting="required",
        handler=accept_terms,
        **_ACCEPT,
    ),
    Endpoint(
        path="/app-service/api/account/terms/accept",
        summary="Accept a version of the operator's terms",
        handler=accept_operators,
        **_ACCEPT,
    ),
)
