"""Members and groups: who is here, and who sees whom."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from onrecord.model import times
from onrecord.model.access import PROFILES, STAFF, SYSTEM_ADMIN
from onrecord.model.people import Group, Invitation, Member, Membership
from onrecord.store.db import Row, Session, add_row

_STAFF_MOST: Final = STAFF
"""Profiles 1 to 3 are the staff side; statements say `profile <= 3`."""

_MEMBER: Final = (
    "m.id, m.uuid, m.entity_id, m.identifier, m.profile, m.first_name, m.last_name, m.state"
)


def _member(row: Row) -> Member:
    number, uuid, entity_id, identifier, profile, first_name, last_name, state = row
    return Member(
        id=number,
        uuid=uuid,
        entity_id=entity_id,
        identifier=identifier,
        profile=profile,
        first_name=first_name,
        last_name=last_name,
        state=state,
    )


async def member_of(session: Session, entity_id: int, uuid: str) -> Member | None:
    """Give the organisation's member of a UUID."""
    row = await session.one(
        f"SELECT {_MEMBER} FROM member m WHERE m.uuid = $1 AND m.entity_id = $2",
        uuid,
        entity_id,
    )
    return _member(row) if row else None


async def member_by_id(session: Session, member_id: int) -> Member | None:
    """Give the member of an internal id."""
    row = await session.one(
        f"SELECT {_MEMBER} FROM member m WHERE m.id = $1",
        member_id,
    )
    return _member(row) if row else None


async def member_identified(session: Session, entity_id: int, identifier: str) -> Member | None:
    """Give the organisation's member of an identifier (exact, case-sensitive)."""
    row = await session.one(
        f"SELECT {_MEMBER} FROM member m WHERE m.entity_id = $1 AND m.identifier = $2",
        entity_id,
        identifier,
    )
    return _member(row) if row else None


async def member_with_email(session: Session, entity_id: int, key: str) -> Member | None:
    """Give the organisation's member of an email, in the form in which emails are compared."""
    row = await session.one(
        f"SELECT {_MEMBER} FROM member m WHERE m.entity_id = $1 AND m.email_key = $2",
        entity_id,
        key,
    )
    return _member(row) if row else None


async def members_of(session: Session, entity_id: int, uuids: Sequence[str]) -> list[Member]:
    """Give the organisation's members of these UUIDs, as many as there are, in any order."""
    rows = await session.all(
        f"SELECT {_MEMBER} FROM member m WHERE m.entity_id = $1 AND m.uuid {session.among('$2')}",
        entity_id,
        session.many(uuids),
    )
    return [_member(row) for row in rows]


async def first_system_admin(session: Session, entity_id: int) -> Member | None:
    """Give the organisation's oldest system administrator, an active one before others."""
    row = await session.one(
        f"SELECT {_MEMBER} FROM member m"
        " WHERE m.entity_id = $1 AND m.profile = $2 AND m.state <> 'inactive'"
        " ORDER BY CASE m.state WHEN 'active' THEN 0 ELSE 1 END, m.id LIMIT 1",
        entity_id,
        SYSTEM_ADMIN,
    )
    return _member(row) if row else None


async def add_member(session: Session, member: Mapping[str, Any]) -> int:
    """Add a member from its columns; give the internal id."""
    return await add_row(session, "member", member)


async def activate_member(session: Session, member_id: int, account_id: int, at: int) -> None:
    """Make a pending member active with an account; the invitation is accepted."""
    await session.run(
        "UPDATE member SET state = 'active', account_id = $2, updated_at = $3,"
        " invitation = CASE WHEN invitation IS NULL THEN NULL ELSE $4 END WHERE id = $1",
        member_id,
        account_id,
        at,
        json.dumps({"state": "accepted"}),
    )


_MEMBERSHIP: Final = (
    "e.uuid, m.uuid, m.identifier, m.profile, m.first_name, m.last_name, m.job_title,"
    " m.primary_email, m.primary_phone_number, m.emails, m.phone_numbers, m.state,"
    " m.data_reviewer_level, m.has_avatar, m.invitation, m.created_at, m.updated_at"
)


async def membership_of(session: Session, member_id: int) -> Membership | None:
    """Give a member as administrators see it."""
    row = await session.one(
        f"SELECT {_MEMBERSHIP} FROM member m JOIN entity e ON e.id = m.entity_id WHERE m.id = $1",
        member_id,
    )
    if row is None:
        return None
    groups = await session.all(
        "SELECT g.uuid FROM group_member gm JOIN client_group g ON g.id = gm.group_id"
        " WHERE gm.member_id = $1 ORDER BY g.id",
        member_id,
    )
    return Membership(
        entity_uuid=row[0],
        entity_user_xref_uuid=row[1],
        identifier=row[2],
        enum_profile_id=row[3],
        profile=PROFILES[row[3]].name,
        first_name=row[4],
        last_name=row[5],
        job_title=row[6],
        primary_email=row[7],
        primary_phone_number=row[8],
        emails=json.loads(row[9]),
        phone_numbers=json.loads(row[10]),
        state=row[11],
        data_reviewer_level=row[12],
        has_avatar=bool(row[13]),
        group_uuids=[group[0] for group in groups],
        invitation=msgspec.json.decode(row[14], type=Invitation) if row[14] else None,
        created_at=times.wire(row[15]),
        updated_at=times.wire(row[16]),
    )


# -- groups --------------------------------------------------------------------------------------

_GROUP: Final = "g.id, g.uuid, g.name, g.state, g.is_default"


def _group(row: Row) -> Group:
    number, uuid, name, state, is_default = row
    return Group(id=number, uuid=uuid, name=name, state=state, is_default=bool(is_default))


async def add_group(session: Session, group: Mapping[str, Any]) -> int:
    """Add a group from its columns; give the internal id."""
    return await add_row(session, "client_group", group)


async def groups_of(session: Session, entity_id: int, uuids: Sequence[str]) -> list[Group]:
    """Give the organisation's groups of these UUIDs, as many as there are."""
    rows = await session.all(
        f"SELECT {_GROUP} FROM client_group g WHERE g.entity_id = $1"
        f" AND g.uuid {session.among('$2')} ORDER BY g.id",
        entity_id,
        session.many(uuids),
    )
    return [_group(row) for row in rows]


async def default_group(session: Session, entity_id: int) -> Group | None:
    """Give the organisation's default group."""
    row = await session.one(
        f"SELECT {_GROUP} FROM client_group g WHERE g.entity_id = $1 AND g.is_default = 1",
        entity_id,
    )
    return _group(row) if row else None


async def has_active_staff(session: Session, group_id: int) -> bool:
    """Whether a group has an active member of the staff side."""
    row = await session.one(
        "SELECT 1 FROM group_member gm JOIN member m ON m.id = gm.member_id"
        " WHERE gm.group_id = $1 AND m.profile <= $2 AND m.state = 'active' LIMIT 1",
        group_id,
        _STAFF_MOST,
    )
    return row is not None


async def add_group_member(session: Session, group_id: int, member_id: int) -> bool:
    """Put a member into a group; False when it is there already."""
    row = await session.one(
        "INSERT INTO group_member (group_id, member_id) VALUES ($1, $2)"
        " ON CONFLICT (group_id, member_id) DO NOTHING RETURNING 1",
        group_id,
        member_id,
    )
    return row is not None


async def sharing_a_group(session: Session, member_id: int, others: Sequence[int]) -> set[int]:
    """Give those of `others` who are in an active group with the member."""
    rows = await session.all(
        "SELECT DISTINCT b.member_id FROM group_member a"
        " JOIN client_group g ON g.id = a.group_id AND g.state = 'active'"
        " JOIN group_member b ON b.group_id = a.group_id"
        f" WHERE a.member_id = $1 AND b.member_id {session.among('$2')}",
        member_id,
        session.many(others),
    )
    return {row[0] for row in rows}


async def sharing_a_chat(session: Session, member_id: int, others: Sequence[int]) -> set[int]:
    """Give those of `others` who are or were in a chat that has begun with the member."""
    rows = await session.all(
        "SELECT DISTINCT b.member_id FROM participant a"
        " JOIN chat c ON c.id = a.chat_id AND c.state = 'active'"
        " JOIN participant b ON b.chat_id = a.chat_id"
        f" WHERE a.member_id = $1 AND b.member_id {session.among('$2')}",
        member_id,
        session.many(others),
    )
    return {row[0] for row in rows}


async def entity_of_member(session: Session, uuid: str) -> str | None:
    """Give the uuid of the organisation a member belongs to."""
    row = await session.one(
        "SELECT e.uuid FROM member m JOIN entity e ON e.id = m.entity_id WHERE m.uuid = $1", uuid
    )
    return row[0] if row else None
