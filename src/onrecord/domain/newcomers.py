"""Newcomers: what is asked once however many of them come, and how they are written together."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from onrecord.domain import contacts, groups, invitations, organisation_settings
from onrecord.domain.invitations import Invitee
from onrecord.domain.places import Places, passing
from onrecord.model import text, times
from onrecord.model.access import PROFILES, Actor
from onrecord.model.errors import Refusal
from onrecord.model.people import Group, Member, member_search_key
from onrecord.store import groups as group_rows
from onrecord.store import people
from onrecord.store.work import Work


def _new_uuid() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A member to be, of values that are checked already."""

    profile: int
    first_name: str
    last_name: str
    job_title: str = ""
    identifier: str | None = None
    email: str | None = None
    phone: str | None = None
    created_by: Member | None = None
    state: str = "pending"
    actor: Actor | None = None
    """Who is shown as author, the work's actor when absent."""
    groups: Sequence[Group] = ()
    looked_after_by: Sequence[Member] = ()
    """Who joins these groups too, so that somebody of the staff is there."""
    message: str | None = None
    """What the invitation says; None invites nobody."""
    uuid: str = field(default_factory=_new_uuid)

    @property
    def is_client(self) -> bool:
        """Whether the newcomer is on the client side."""
        return PROFILES[self.profile].is_client


class Known(Places):
    """What the tables say about the place newcomers come to, each thing asked once.

    What the work is going to add itself it hears by `note`.
    """

    async def look_up(self, identifiers: Iterable[str], emails: Iterable[str]) -> None:
        """Ask in one go who has identifiers and emails; what can be neither is passed over."""
        asked = {
            "identifier": passing(contacts.check_identifier, identifiers),
            "email_key": [
                text.email_key(email)
                for email in passing(lambda email: text.check_email("primary_email", email), emails)
            ],
        }
        for column, values in asked.items():
            found = await people.uuids_by(self.work.db, self._entity_id, column, values)
            self._told.update({(column, value): found.get(value) for value in values})

    async def member_identified(self, identifier: str) -> str | None:
        """Give the uuid of the member of an identifier."""
        return await self._by("identifier", identifier)

    async def member_with_email(self, key: str) -> str | None:
        """Give the uuid of the member of an email, in the form in which emails are compared."""
        return await self._by("email_key", key)

    async def _by(self, column: str, value: str) -> str | None:
        async def ask() -> str | None:
            found = await people.uuids_by(self.work.db, self._entity_id, column, [value])
            return found.get(value)

        return await self._once(column, value, ask=ask)

    async def first_admin(self) -> Member | None:
        """Give the organisation's first system administrator."""
        return await self._once(
            "first_admin", ask=lambda: people.first_system_admin(self.work.db, self._entity_id)
        )

    async def creator(self) -> Member | None:
        """Give who invites where nobody is named: the acting member, else the first of these."""
        acting = self.work.actor.member
        if acting is None:
            return await self.first_admin()
        return await self._once("creator", ask=lambda: people.member_by_id(self.work.db, acting.id))

    async def setting(self, name: str) -> Any:
        """Give the value of a setting of the organisation."""
        return await self._once(
            "setting", name, ask=lambda: organisation_settings.value(self.work, name)
        )

    async def check_barriers(self, several: Sequence[Group]) -> None:
        """Refuse (RF007) staff in all of these groups; see `groups.check_barriers`."""
        ids = [group.id for group in several]
        await self._once("barriers", *ids, ask=lambda: groups.check_barriers(self.work, several))

    async def default_group(self) -> tuple[Group, list[Member]]:
        """Give the default group, and the first administrator if nobody else looks after it.

        RN002, RB020: there is none, or nobody who could, be it for a barrier.
        """
        group = await self._once(
            "default_group", ask=lambda: group_rows.default_group(self.work.db, self._entity_id)
        )
        if group is None:
            raise Refusal("RN002", "The organisation has no default group")
        if await self.has_active_staff(group):
            return group, []
        admin = await self.first_admin()
        if admin is None or admin.state != "active":
            raise Refusal("RB020", "The default group has no active staff member")
        if await self.any_beyond(group, [admin]):
            raise Refusal(
                "RB020",
                "The default group has no active staff member, and the first system administrator"
                " is in a group beyond a barrier of it",
            )
        return group, [admin]

    def note(self, newcomer: Newcomer) -> None:
        """Note a newcomer who will come, and who will then be in which groups."""
        if newcomer.identifier:
            self._told["identifier", newcomer.identifier] = newcomer.uuid
        if newcomer.email:
            self._told["email_key", text.email_key(newcomer.email)] = newcomer.uuid
        if newcomer.looked_after_by:
            self._told.update({("staff", group.id): True for group in newcomer.groups})


async def bring_in(work: Work, newcomers: Sequence[Newcomer]) -> list[Member]:
    """Write newcomers and put them into their groups; nothing of it is refused.

    The statements it takes grow with the groups, not with the newcomers.
    """
    if not newcomers:
        return []
    members = await add(work, newcomers)
    into: dict[int, tuple[Group, list[Member]]] = {}
    for newcomer, member in zip(newcomers, members, strict=True):
        for group in newcomer.groups:
            _, together = into.setdefault(group.id, (group, []))
            together += [*newcomer.looked_after_by, member]
    for group, together in into.values():
        await groups.put_into_group(work, group, *together, just_made=members)
    return members


async def invite(
    work: Work,
    newcomers: Sequence[Newcomer],
    members: Sequence[Member],
    *,
    mails_due: int | None = None,
) -> None:
    """Invite those newcomers who shall be, once they are members: see `invite_newcomers`."""
    invitees = [
        Invitee(member, newcomer.email or "", newcomer.message, _full_name(newcomer.created_by))
        for newcomer, member in zip(newcomers, members, strict=True)
        if newcomer.message is not None
    ]
    await invitations.invite_newcomers(work, invitees, due=mails_due)


def _full_name(member: Member | None) -> str | None:
    return None if member is None else " ".join(f"{member.first_name} {member.last_name}".split())


async def add(work: Work, newcomers: Sequence[Newcomer]) -> list[Member]:
    """Add rows and entries of newcomers, and nothing else."""
    now = times.now()
    entity_id = work.actor.entity_id
    numbers = await people.add_members(
        work.db, [_columns(newcomer, entity_id, now) for newcomer in newcomers]
    )
    for newcomer, number in zip(newcomers, numbers, strict=True):
        _record(work, newcomer, number)
    return [
        Member(
            id=number,
            uuid=newcomer.uuid,
            entity_id=entity_id,
            identifier=newcomer.identifier,
            profile=newcomer.profile,
            first_name=newcomer.first_name,
            last_name=newcomer.last_name,
            state=newcomer.state,
        )
        for newcomer, number in zip(newcomers, numbers, strict=True)
    ]


def _columns(newcomer: Newcomer, entity_id: int, now: int) -> dict[str, Any]:
    emails = [newcomer.email] if newcomer.email else []
    return {
        "uuid": newcomer.uuid,
        "entity_id": entity_id,
        "identifier": newcomer.identifier,
        "profile": newcomer.profile,
        "first_name": newcomer.first_name,
        "last_name": newcomer.last_name,
        "job_title": newcomer.job_title,
        "primary_email": newcomer.email,
        "email_key": text.email_key(newcomer.email) if newcomer.email else None,
        "primary_phone_number": newcomer.phone,
        "emails": json.dumps(emails),
        "phone_numbers": json.dumps([newcomer.phone] if newcomer.phone else []),
        "state": newcomer.state,
        "search_key": member_search_key(
            newcomer.first_name, newcomer.last_name, newcomer.identifier, emails, newcomer.email
        ),
        "created_by_id": newcomer.created_by.id if newcomer.created_by else None,
        "created_at": now,
        "updated_at": now,
    }


def _record(work: Work, newcomer: Newcomer, number: int) -> None:
    work.record(
        "member.created",
        actor=newcomer.actor,
        ids={"entity_user_xref_uuid": newcomer.uuid},
        data={"enum_profile_id": newcomer.profile, "state": newcomer.state},
        parts={
            "profile": {
                "first_name": newcomer.first_name,
                "last_name": newcomer.last_name,
                "job_title": newcomer.job_title,
                "identifier": newcomer.identifier,
                "primary_email": newcomer.email,
                "primary_phone_number": newcomer.phone,
            }
        },
        subject=number,
    )
