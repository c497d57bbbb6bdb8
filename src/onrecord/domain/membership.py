"""Membership: suspending, ending and restoring one (product.md, section 2)."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from onrecord.domain import (
    administrators,
    chats,
    groups,
    invitations,
    jobs,
    keys,
    members,
    profiles,
)
from onrecord.model import times
from onrecord.model.access import BUTLER, SYSTEM_ADMIN
from onrecord.model.errors import Refusal
from onrecord.model.people import Member
from onrecord.store import groups as group_rows
from onrecord.store import invitations as invitation_rows
from onrecord.store import people
from onrecord.store.jobs import Job
from onrecord.store.work import Work

SLICE: Final = 500
"""What one work changes at the most (record.md, section 1)."""
END: Final = "end_membership"
"""The kind of the job that ends what a call has begun and not brought to its end."""
PATIENCE: Final = 30 * times.SECOND
"""How long the call that began has the rest to itself, before the job looks after it."""


async def suspend(work: Work, member: Member) -> None:
    """Keep an active member from acting; chats, groups and contacts stay.

    RB035: the Butler. RB019: not active. RB011: the last active staff member of a group that has
    clients. RB018: the last active system administrator. RF006: `administrators.check_may_change`.
    """
    _check_person(work, member)
    _check_state(member, "suspended", "active")
    await _check_spared(work, member)
    await _set_state(work, member, "suspended")
    _note(work, "member.suspended", member)


async def unsuspend(work: Work, member: Member) -> None:
    """Let a suspended member act again (RB035, RB019, RF006)."""
    _check_person(work, member)
    _check_state(member, "unsuspended", "suspended")
    await _set_state(work, member, "active")
    _note(work, "member.unsuspended", member)


def _check_person(work: Work, member: Member) -> None:
    if member.profile == BUTLER:
        raise Refusal("RB035")
    administrators.check_may_change(work, member)


def _check_state(member: Member, what: str, *allowed: str) -> None:
    if member.state not in allowed:
        wanted = " or ".join(allowed)
        raise Refusal(
            "RB019", f"The member is {member.state}; only one who is {wanted} can be {what}"
        )


async def _check_spared(work: Work, member: Member) -> None:
    """Refuse to lose the last administrator, or the last active staff member of clients."""
    if member.profile == SYSTEM_ADMIN:
        await profiles.check_not_last_admin(work, member)
    if not member.is_staff or member.state != "active":
        return
    for group in await group_rows.groups_with(work.db, member.id):
        if await group_rows.has_clients(work.db, group.id) and not (
            await group_rows.has_active_staff(work.db, group.id, besides=[member.id])
        ):
            raise Refusal("RB011", f'Clients would stay in "{group.name}" without active staff')


async def _set_state(work: Work, member: Member, state: str) -> None:
    columns = {"state": state, "updated_at": times.now()}
    await people.change_member(work.db, member.id, columns)


def _note(work: Work, name: str, member: Member, **data: Any) -> None:
    ids = {"entity_user_xref_uuid": member.uuid}
    work.record(name, ids=ids, data=data, subject=member.id)


# -- the end of a membership ---------------------------------------------------------------------


class Step(msgspec.Struct, frozen=True):
    """One of the changes that end a membership: what is done, and to which chat, group or key."""

    what: Literal["end", "key", "group", "chat", "rest"]
    uuid: str = ""


async def ending(work: Work, member: Member) -> list[Step]:
    """Give the steps that end a membership, in their order; what was begun is gone on with.

    The state comes first, so that access ends at once however many chats are to be left. RB035: the
    Butler. RB019: it ended already. RB011, RB018: as `suspend`.
    """
    _check_person(work, member)
    steps = await _leftovers(work, member)
    if member.state != "inactive":
        await _check_spared(work, member)
        return [Step("end"), *steps, Step("rest")]
    if not steps:
        raise Refusal("RB019", "The member is inactive already")
    return [*steps, Step("rest")]


async def _leftovers(work: Work, member: Member) -> list[Step]:
    """Give what the member still has, the groups before the chats.

    Whoever moves people between groups with barriers locks group, member and chats in this order.
    """
    return [
        *(Step("key", one) for one in await keys.owned_by(work, member)),
        *(Step("group", one.uuid) for one in await group_rows.groups_with(work.db, member.id)),
        *(Step("chat", one) for one in await people.chats_with(work.db, member.id)),
    ]


async def end(work: Work, member: Member, steps: Sequence[Step]) -> None:
    """Do some of the steps, at most 500; one that is done already, or no longer due, is nothing.

    They are no longer due once somebody brought the member back in between. When more is to follow
    than these, a job is put in line that does it if nobody else does.
    """
    if Step("end") in steps and member.state != "inactive":
        await _check_spared(work, member)
        await _become_inactive(work, member)
        if Step("rest") not in steps:
            due = times.now() + PATIENCE
            await jobs.enqueue(work, END, {"member_id": member.id}, run_at=due)
    elif member.state != "inactive":
        return
    if Step("rest") in steps:  # what came between the plan and the end
        steps = [*steps, *(await _leftovers(work, member))]
    await _leave(work, member, steps)


async def go_on(work: Work, job: Job) -> bool:
    """Do the next 500 steps of an ending that was cut short; whether more is left.

    Nothing is left once somebody brought the member back, or ended it all meanwhile.
    """
    member = await people.member_by_id(work.db, job.payload["member_id"])
    steps: list[Step] = []
    if member is not None and member.state == "inactive":
        steps = await _leftovers(work, member)
        await _leave(work, member, steps[:SLICE])
    if len(steps) <= SLICE:
        await jobs.finish(work, job)
        return False
    await jobs.progress(work, job, job.done + SLICE)
    return True


async def _leave(work: Work, member: Member, steps: Sequence[Step]) -> None:
    uuids = {
        what: [step.uuid for step in steps if step.what == what]
        for what in ("key", "group", "chat")
    }
    for uuid in await keys.owned_by(work, member):
        if uuid in uuids["key"]:
            await keys.deactivate(work, uuid)
    await groups.leave(work, member, uuids["group"])
    await chats.leave_for_good(work, member, uuids["chat"])


async def _become_inactive(work: Work, member: Member) -> None:
    if member.state == "pending":
        await invitations.revoke_any(work, member)
    await _set_state(work, member, "inactive")
    _note(work, "member.destroyed", member)


async def restore(work: Work, member: Member) -> None:
    """Bring an inactive member back, without the old chats and groups.

    The member is active, or pending if the member never joined, and can then be invited again; a
    client lands in the default group. RB035: the Butler. RB019: not inactive, not out of all chats
    yet, or back with the same account as another member. RN002, RB020: there is no default group,
    or nobody to look after it. RF006: `administrators.check_may_change`.
    """
    _check_person(work, member)
    _check_state(member, "restored", "inactive")
    if await _leftovers(work, member):
        raise Refusal("RB019", "The member has not left everything yet; destroy the member again")
    account_id = (await people.details_of(work.db, member.id))["account_id"]
    if account_id is not None and await invitation_rows.is_member(
        work.db, member.entity_id, account_id
    ):
        raise Refusal("RB019", "This person is back already, as another member")
    state = "pending" if account_id is None else "active"
    await _set_state(work, member, state)
    _note(work, "member.restored", member, state=state)
    if member.is_client:
        await members.put_into_default_group(work, member)
