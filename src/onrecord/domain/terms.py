"""Terms: the operator's and each organisation's, versioned; a new version asks everyone again.

An empty text is a version too: there is nothing to accept.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from onrecord.domain import accounts
from onrecord.model import text, times
from onrecord.model.access import INSTALLATION_ID
from onrecord.model.errors import malformed
from onrecord.model.people import Member
from onrecord.store import accounts as account_rows
from onrecord.store import people
from onrecord.store import terms as store
from onrecord.store.db import Session
from onrecord.store.work import Work

TEXT_MAX: Final = 100_000
OPERATOR: Final = "operator"
ORGANISATION: Final = "organisation"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Terms as somebody is asked to accept them; `whose` is operator or organisation."""

    whose: str
    version: int
    text: str
    updated_at: str


async def publish(work: Work, body: str) -> Terms:
    """Give the terms of the actor's organisation (or the installation) a new version.

    The same text again changes nothing. RB003: above 100,000 characters.
    """
    text.check("text", body, least=0, most=TEXT_MAX)
    entity_id = work.actor.entity_id
    newest = await store.newest(work.db, entity_id)
    version, known, at = newest or (0, "", 0)
    if body != known:
        version, at = version + 1, times.now()
        await store.add(work.db, entity_id, version, body, at)
        work.record("terms.updated", data={"version": version}, parts={"setting": body})
    return _shown(entity_id, (version, body, at))


def _shown(entity_id: int, newest: tuple[int, str, int]) -> Terms:
    version, body, at = newest
    whose = OPERATOR if entity_id == INSTALLATION_ID else ORGANISATION
    return Terms(whose=whose, version=version, text=body, updated_at=times.wire(at))


async def due(
    session: Session, account_id: int | None, member_id: int | None, entity_id: int | None
) -> list[Terms]:
    """Give the terms that are still to be accepted, the operator's first.

    By an account (None: one that is yet to be made) and by a member of an organisation (None:
    nothing is asked for an organisation).
    """
    found = []
    asked: list[tuple[int, int | None]] = [(INSTALLATION_ID, account_id)]
    if entity_id is not None:
        asked.append((entity_id, member_id))
    for number, subject in asked:
        newest = await store.newest(session, number)
        if newest is None or not newest[1].strip():
            continue
        if subject is None or await store.accepted(session, number, subject) < newest[0]:
            found.append(_shown(number, newest))
    return found


async def accept(
    work: Work, account: tuple[int, str], member: Member | None, versions: Mapping[str, int]
) -> None:
    """Accept terms for an account (id, uuid) and, in an organisation, for a member.

    `versions` says which were read: whose → version. An earlier one than the newest is noted, and
    the newest stays due. Each is accepted once, so the row of account or member is locked before
    looking. RB003: a version that there never was.
    """
    member_id, entity_id = (None, None) if member is None else (member.id, member.entity_id)
    for one in await due(work.db, account[0], member_id, entity_id):
        version = versions.get(one.whose, 0)
        if not 0 <= version <= one.version:
            raise malformed(one.whose, f"is at version {one.version}")
        if one.whose == OPERATOR:
            await account_rows.account_by_id(work.db, account[0], locked=True)
            place, by = (INSTALLATION_ID, account[0]), accounts.installation(work)
            ids = {"account_uuid": account[1]}
        else:
            assert member is not None  # noqa: S101 - only members have an organisation's terms
            await people.lock_member(work.db, member.id)
            place, by = (member.entity_id, member.id), work.actor
            ids = {"entity_user_xref_uuid": member.uuid}
        if version <= await store.accepted(work.db, *place):
            continue
        await store.accept(work.db, *place, version, times.now())
        subject = None if one.whose == OPERATOR else member_id
        work.record("terms.accepted", actor=by, ids=ids, data={"version": version}, subject=subject)
