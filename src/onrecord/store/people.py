"""Members: who is here."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from onrecord.model import times
from onrecord.model.access import BUTLER, PROFILES, SYSTEM_ADMIN
from onrecord.model.people import Invitation, Member, Membership
from onrecord.store import groups
from onrecord.store.db import Insert, Row, Session, add_row

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


async def lock_member(session: Session, member_id: int) -> None:
    """Let nobody else change a member's row until the work ends."""
    await session.one(f"SELECT 1 FROM member WHERE id = $1{session.for_update}", member_id)


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


async def members_identified(
    session: Session, entity_id: int, identifiers: Sequence[str]
) -> list[Member]:
    """Give the organisation's members of these identifiers, as many as there are, in any order."""
    rows = await session.all(
        f"SELECT {_MEMBER} FROM member m"
        f" WHERE m.entity_id = $1 AND m.identifier {session.among('$2')}",
        entity_id,
        session.many(identifiers),
    )
    return [_member(row) for row in rows]


async def uuids_by(
    session: Session, entity_id: int, column: str, values: Sequence[str]
) -> dict[str, str]:
    """Give the uuids of the organisation's members who have one of these values, by the value.

    `column` is `identifier` (exact, case-sensitive) or `email_key`.
    """
    if not values:
        return {}
    rows = await session.all(
        f"SELECT {column}, uuid FROM member"
        f" WHERE entity_id = $1 AND {column} {session.among('$2')}",
        entity_id,
        session.many(values),
    )
    return {row[0]: row[1] for row in rows}


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


async def butler_of(session: Session, entity_id: int) -> Member:
    """Give the organisation's Butler; there always is one."""
    row = await session.one(
        f"SELECT {_MEMBER} FROM member m WHERE m.entity_id = $1 AND m.profile = $2",
        entity_id,
        BUTLER,
    )
    assert row is not None  # noqa: S101 - it is made with the organisation
    return _member(row)


async def members_by_id(session: Session, ids: Sequence[int]) -> dict[int, Member]:
    """Give members by their internal ids, in the order of these."""
    rows = await session.all(
        f"SELECT {_MEMBER} FROM member m WHERE m.id {session.among('$1')} ORDER BY m.id",
        session.many(ids),
    )
    return {row[0]: _member(row) for row in rows}


async def add_members(session: Session, members: Sequence[Mapping[str, Any]]) -> list[int]:
    """Add members from their columns, the same for all; give the internal ids in their order."""
    if len(members) == 1:
        return [await add_row(session, "member", members[0])]
    rows = [tuple(member.values()) for member in members]
    await session.write(Insert("member", tuple(members[0]), rows))
    uuids = [member["uuid"] for member in members]
    found = await session.all(
        f"SELECT uuid, id FROM member WHERE uuid {session.among('$1')}", session.many(uuids)
    )
    numbers = {row[0]: row[1] for row in found}
    return [numbers[uuid] for uuid in uuids]


async def activate_member(session: Session, member_id: int, account_id: int, at: int) -> bool:
    """Make a pending member active with an account; the invitation is accepted.

    False when the member is no longer pending: somebody else was first.
    """
    row = await session.one(
        "UPDATE member SET state = 'active', account_id = $2, updated_at = $3,"
        " invitation = CASE WHEN invitation IS NULL THEN NULL ELSE $4 END"
        " WHERE id = $1 AND state = 'pending' RETURNING id",
        member_id,
        account_id,
        at,
        json.dumps({"state": "accepted"}),
    )
    return row is not None


_DETAILS: Final = (
    "first_name",
    "last_name",
    "job_title",
    "identifier",
    "primary_email",
    "primary_phone_number",
    "emails",
    "phone_numbers",
    "data_reviewer_level",
    "account_id",
    "invitation",
)


async def details_of(session: Session, member_id: int) -> dict[str, Any]:
    """Give what can change of a member, by column; lists are lists."""
    row = await session.one(f"SELECT {', '.join(_DETAILS)} FROM member WHERE id = $1", member_id)
    assert row is not None  # noqa: S101 - members are never deleted
    details = dict(zip(_DETAILS, row, strict=True))
    for name in ("emails", "phone_numbers"):
        details[name] = json.loads(details[name])
    return details


async def change_member(session: Session, member_id: int, columns: Mapping[str, Any]) -> None:
    """Give a member's columns new values."""
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
    await session.run(f"UPDATE member SET {sets} WHERE id = $1", member_id, *columns.values())


async def system_admins(session: Session, entity_id: int, *, besides: int) -> list[str]:
    """Give the states of the organisation's system administrators but one."""
    rows = await session.all(
        "SELECT state FROM member WHERE entity_id = $1 AND profile = $2 AND id <> $3",
        entity_id,
        SYSTEM_ADMIN,
        besides,
    )
    return [row[0] for row in rows]


async def chats_with(session: Session, member_id: int) -> list[str]:
    """Give the uuids of the chats a member takes part in, by id; not the Butler's."""
    rows = await session.all(
        "SELECT c.uuid FROM participant p JOIN chat c ON c.id = p.chat_id"
        " WHERE p.member_id = $1 AND p.state = 'active' AND c.state <> 'discarded'"
        " AND c.butler_member_id IS NULL ORDER BY c.id",
        member_id,
    )
    return [row[0] for row in rows]


async def account_of_member(session: Session, member_id: int) -> int | None:
    """Give the internal id of a member's account, None before joining."""
    row = await session.one("SELECT account_id FROM member WHERE id = $1", member_id)
    return row[0] if row else None


async def entity_of_member(session: Session, uuid: str) -> str | None:
    """Give the uuid of the organisation a member belongs to."""
    row = await session.one(
        "SELECT e.uuid FROM member m JOIN entity e ON e.id = m.entity_id WHERE m.uuid = $1", uuid
    )
    return row[0] if row else None


# -- as administrators see them -------------------------------------------------------------------

_MEMBERSHIP: Final = (
    "m.id, e.uuid, m.uuid, m.identifier, m.profile, m.first_name, m.last_name, m.job_title,"
    " m.primary_email, m.primary_phone_number, m.emails, m.phone_numbers, m.state,"
    " m.data_reviewer_level, m.has_avatar, m.invitation, m.created_at, m.updated_at"
)
_INVITATION: Final = msgspec.json.Decoder(Invitation)


def stored_list(text: str) -> list[str]:
    """Give a list that is stored as JSON as what puts that very JSON into an answer.

    Decoding and encoding it again would cost a long list of members a third of its time.
    """
    return cast("list[str]", msgspec.Raw(text.encode()))


def _membership(row: Row, group_uuids: list[str]) -> Membership:
    return Membership(
        entity_uuid=row[1],
        entity_user_xref_uuid=row[2],
        identifier=row[3],
        enum_profile_id=row[4],
        profile=PROFILES[row[4]].name,
        first_name=row[5],
        last_name=row[6],
        job_title=row[7],
        primary_email=row[8],
        primary_phone_number=row[9],
        emails=stored_list(row[10]),
        phone_numbers=stored_list(row[11]),
        state=row[12],
        data_reviewer_level=row[13],
        has_avatar=bool(row[14]),
        group_uuids=group_uuids,
        invitation=_INVITATION.decode(row[15]) if row[15] else None,
        created_at=times.wire(row[16]),
        updated_at=times.wire(row[17]),
    )


async def _with_groups(session: Session, rows: Sequence[Row]) -> list[tuple[int, Membership]]:
    """Make (id, membership) of rows, with one statement for the groups of all of them."""
    group_uuids: dict[int, list[str]] = defaultdict(list)
    if rows:
        found = await session.all(
            "SELECT gm.member_id, g.uuid FROM group_member gm"
            " JOIN client_group g ON g.id = gm.group_id"
            f" WHERE gm.member_id {session.among('$1')} ORDER BY gm.group_id",
            session.many([row[0] for row in rows]),
        )
        for member_id, uuid in found:
            group_uuids[member_id].append(uuid)
    return [(row[0], _membership(row, group_uuids.get(row[0], []))) for row in rows]


async def membership_of(session: Session, member_id: int) -> Membership | None:
    """Give a member as administrators see it."""
    rows = await session.all(
        f"SELECT {_MEMBERSHIP} FROM member m JOIN entity e ON e.id = m.entity_id WHERE m.id = $1",
        member_id,
    )
    shown = await _with_groups(session, rows)
    return shown[0][1] if shown else None


async def memberships(  # noqa: PLR0913 - the filters of the list
    session: Session,
    entity_id: int,
    *,
    profile: int | None = None,
    state: str | None = None,
    group_id: int | None = None,
    like: str | None = None,
    updated_since: int | None = None,
    after: int,
    limit: int,
) -> list[tuple[int, Membership]]:
    """Give (id, membership) of at most `limit` members above the id `after`, by id.

    The Butler only when asked for by profile. `like` is compared with the search key.
    """
    values: list[Any] = [entity_id, limit]
    where: list[str] = []

    def keep(condition: str, value: Any) -> None:
        values.append(value)
        where.append(condition.format(f"${len(values)}"))

    # `+ 0` keeps the engines off indexes that would have them read and sort the rest every time.
    if profile is None:
        keep("m.profile + 0 <> {}", BUTLER)
    else:
        keep("m.profile + 0 = {}", profile)
    if state is not None:
        keep("m.state = {}", state)
    if like is not None:
        keep("m.search_key LIKE {} ESCAPE '\\'", like)
    if updated_since is not None:
        keep("m.updated_at >= {}", updated_since)
    place = f"${len(values) + 1}"

    async def read(which: str, value: Any) -> Sequence[Row]:
        return await session.all(
            f"SELECT {_MEMBERSHIP} FROM member m JOIN entity e ON e.id = m.entity_id"
            f" WHERE {' AND '.join(where)} AND {which} ORDER BY m.id LIMIT $2",
            *values,
            value,
        )

    if group_id is None:
        return await _with_groups(
            session, await read(f"m.entity_id = $1 AND m.id > {place}", after)
        )
    rows = await groups.kept_in_groups(
        session,
        [group_id],
        lambda ids: read(
            f"m.entity_id + 0 = $1 AND m.id {session.among(place)}", session.many(ids)
        ),
        after=after,
        limit=limit,
    )
    return await _with_groups(session, rows)
