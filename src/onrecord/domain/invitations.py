"""Invitations: a link by mail, reminders with fresh links, and what becomes of them.

Only the newest link of a member works. Its token has 256 random bits and is stored as SHA-256; in
the clear it lies in the job that mails it, until that has ended.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from onrecord.domain import administrators, jobs
from onrecord.model import letters, text, times
from onrecord.model.errors import Refusal
from onrecord.model.people import Invitation, Member
from onrecord.store import access, people
from onrecord.store import invitations as store
from onrecord.store.access import Entity
from onrecord.store.db import Row, Session
from onrecord.store.invitations import Waiting
from onrecord.store.jobs import Job
from onrecord.store.work import Work

KIND: Final = "invitation"
"""The kind of the jobs that mail a link."""
LIVES: Final = 30 * 86_400 * times.SECOND
"""How long an invitation can be used: 30 days from the first mail."""
DAILY: Final = 86_400 * times.SECOND
"""How long after a mail the next reminder follows."""
MESSAGE_MAX: Final = 5000
TOKEN_BYTES: Final = 32
SLICE: Final = 100
"""Invitations that one work looks after; each may change several things."""

_WHY_OVER: Final = {
    "superseded": "A newer invitation was sent; use the link of the last mail",
    "accepted": "The invitation was accepted already; sign in instead",
    "revoked": "The invitation was revoked",
    "expired": "The invitation has expired; ask for another one",
}
_UNKNOWN: Final = "The link is not one of ours, or not whole; open it from the mail again"


def token_hash(token: str) -> bytes:
    """Give the form in which tokens are stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


# -- inviting ------------------------------------------------------------------------------------


async def invite(work: Work, member: Member, message: str = "", *, why: str = "created") -> None:
    """Invite a pending member, or once more: the mail goes into line, older links are dead.

    `why` is created or resent. The thirty days begin anew.
    """
    now = times.now()
    await store.invite(
        work.db, Waiting(member.id, member.entity_id, message, now + DAILY, now + LIVES)
    )
    invitation = Invitation("not_sent", expires_at=times.wire(now + LIVES))
    # Who is invited while being made has not changed since.
    await _set_state(work, member.id, invitation, changed=why != "created")
    await _mail_link(work, member, message, why, reminder=0)


class Invitee(NamedTuple):
    """A new member who is to be invited, and what the mail says."""

    member: Member
    email: str
    message: str
    invited_by: str | None


async def invite_newcomers(
    work: Work, invitees: Sequence[Invitee], *, due: int | None = None
) -> None:
    """Invite members made in this work, who never were before, all in one go.

    `due` is when the mails go out, in microseconds, now when absent.
    """
    if not invitees:
        return
    now = times.now()
    waiting: list[Waiting] = []
    links: list[Row] = []
    payloads: dict[str, dict[str, Any]] = {}
    for member, email, message, invited_by in invitees:
        token, job_uuid = secrets.token_urlsafe(TOKEN_BYTES), jobs.new_uuid()
        waiting.append(Waiting(member.id, member.entity_id, message, now + DAILY, now + LIVES))
        links.append((token_hash(token), member.id, job_uuid, text.email_key(email), now))
        payloads[job_uuid] = _payload(member, email, token, message, invited_by)
        _note(work, "invitation.made", member, why="created")
    shown = Invitation("not_sent", expires_at=times.wire(now + LIVES))
    await store.invite_newcomers(work.db, waiting, links, _stored(shown))
    await jobs.enqueue_all(work, KIND, payloads, run_at=due)


async def resend(work: Work, member: Member, message: str | None = None) -> None:
    """Invite again; the earlier message stands unless another is given.

    RB019: not pending. RF006: `administrators.check_may_change`.
    """
    administrators.check_may_change(work, member)
    if member.state != "pending":
        raise Refusal("RB019", f"The member is {member.state}; only a pending one can be invited")
    if message is None:
        waiting = await store.waiting_of(work.db, member.id)
        message = waiting.message if waiting else ""
    text.check("invitation_message", message, least=0, most=MESSAGE_MAX)
    await invite(work, member, message, why="resent")


async def follow_email(work: Work, member: Member) -> None:
    """Send the invitation of a pending member to the new address; the old link is dead.

    Nothing happens where nobody is invited.
    """
    if member.state == "pending" and await store.waiting_of(work.db, member.id):
        await resend(work, member)


async def fresh_link(work: Work, member: Member) -> str:
    """Make a link for the operator to hand over, and give its token. RB019: not pending."""
    if member.state != "pending":
        raise Refusal("RB019", f"The member is {member.state}; only a pending one can be invited")
    now = times.now()
    waiting = await store.waiting_of(work.db, member.id)
    message = waiting.message if waiting else ""
    await store.invite(
        work.db, Waiting(member.id, member.entity_id, message, now + DAILY, now + LIVES)
    )
    known = await _known(work, member.id)
    state = msgspec.structs.replace(
        known or Invitation("not_sent"), expires_at=times.wire(now + LIVES)
    )
    if state.state not in {"sent", "bounced"}:
        state = msgspec.structs.replace(state, state="not_sent")
    await _set_state(work, member.id, state)
    return await _make_link(work, member, "operator", "", "")


async def _make_link(work: Work, member: Member, why: str, message_id: str, recipient: str) -> str:
    """Make the one link that works, and give its token."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await store.end_links(work.db, member.id, "superseded")
    await store.add_link(work.db, token_hash(token), member.id, message_id, recipient, times.now())
    _note(work, "invitation.made", member, why=why)
    return token


async def _mail_link(work: Work, member: Member, message: str, why: str, *, reminder: int) -> None:
    details = await people.details_of(work.db, member.id)
    to = details["primary_email"]
    if not to:
        raise Refusal("RB019", "The member has no email to be invited at")
    job_uuid = jobs.new_uuid()
    token = await _make_link(work, member, why, job_uuid, text.email_key(to))
    invited_by = await store.inviter_of(work.db, member.id)
    payload = _payload(member, to, token, message, invited_by, reminder=reminder)
    await jobs.enqueue(work, KIND, payload, uuid=job_uuid)


def _payload(
    member: Member, to: str, token: str, message: str, invited_by: str | None, *, reminder: int = 0
) -> dict[str, Any]:
    """Give what the job that mails a link carries."""
    values: dict[str, Any] = {
        "first_name": member.first_name,
        "token": token,
        "message": message,
        "reminder": reminder,
        "invited_by": invited_by,
    }
    letters.check("invitation", values)
    return {"to": to, "template": "invitation", "values": values, "member_id": member.id}


# -- how it goes on ------------------------------------------------------------------------------


async def is_wanted(session: Session, job: Job) -> bool:
    """Whether the link that a job is to mail still works."""
    link = await store.link_of(session, token_hash(job.payload["values"]["token"]))
    return link is not None and link.ended is None


async def delivered(work: Work, job: Job) -> None:
    """Note that an invitation was handed over, and end its job."""
    known = await _held(work, job.payload["member_id"]) or Invitation("not_sent")
    if await is_wanted(work.db, job):
        member = await _member(work, job.payload["member_id"])
        reminder = job.payload["values"]["reminder"]
        now = times.wire(times.now())
        await _set_state(
            work,
            member.id,
            Invitation(
                "sent",
                sent_at=now if known.sent_at is None or not reminder else known.sent_at,
                reminders_sent=reminder,
                expires_at=known.expires_at,
            ),
        )
        _note(work, "invitation.sent", member, reminder=reminder)
    await jobs.finish(work, job)


async def refused(work: Work, job: Job, reason: str) -> None:
    """Note that an invitation's mail was refused for good, and end its job."""
    if await is_wanted(work.db, job):
        await bounced(work, job.payload["member_id"])
    await jobs.fail(work, job, reason)


async def bounced(work: Work, member_id: int) -> None:
    """Note that an invitation came back: nobody is reminded at that address.

    The link itself works on until the invitation expires. Nothing happens a second time.
    """
    member = await _member(work, member_id)
    waiting = await store.waiting_of(work.db, member_id)
    known = await _known(work, member_id)
    if waiting is None or known is None or known.state == "bounced":
        return
    await store.set_next(work.db, member_id, waiting.expires_at)
    await _set_state(work, member_id, msgspec.structs.replace(known, state="bounced"))
    _note(work, "invitation.bounced", member)


async def bounced_mail(work: Work, message_id: str, recipient: str) -> list[int]:
    """Give the members whose working invitation a mail that came back was.

    `message_id` is as the mail's header has it, `recipient` an address; either may be empty.
    """
    local = message_id.strip().strip("<>").partition("@")[0]
    return await store.members_of_mail(work.db, local, text.email_key(recipient))


async def revoke(work: Work, member: Member) -> None:
    """Take an invitation back: no link works any more.

    RB019: there is none to take back. RF006: `administrators.check_may_change`.
    """
    administrators.check_may_change(work, member)
    known = await _held(work, member.id)
    if member.state != "pending" or known is None or known.state in {"revoked", "accepted"}:
        raise Refusal("RB019", "The member has no invitation that could be revoked")
    await _end(work, member, "revoked")


async def revoke_any(work: Work, member: Member) -> None:
    """Take back the invitation of a member whose membership ends, if there is one."""
    known = await _held(work, member.id)
    if known is not None and known.state not in {"revoked", "accepted"}:
        await _end(work, member, "revoked")


async def _end(work: Work, member: Member, state: str) -> None:
    known = await _known(work, member.id) or Invitation(state)
    await store.end_links(work.db, member.id, state)
    await store.end(work.db, member.id)
    await _set_state(work, member.id, msgspec.structs.replace(known, state=state))
    _note(work, f"invitation.{state}", member)


async def accepted(work: Work, member: Member) -> None:
    """Let go of the links of a member who has joined; the row of the member says it already."""
    await store.end_links(work.db, member.id, "accepted")
    await store.end(work.db, member.id)


async def look_after(work: Work, member_ids: Sequence[int]) -> None:
    """Remind those whose reminder is due, and end what has expired, in the actor's organisation.

    An organisation that is not active reminds nobody.
    """
    now = times.now()
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    for member_id in member_ids:
        waiting = await store.waiting_of(work.db, member_id)
        if waiting is None or waiting.next_at > now:
            continue  # another process was first, or the member has joined
        member = await _member(work, member_id)
        if member.state != "pending":
            await store.end(work.db, member_id)
        elif waiting.expires_at <= now:
            await _end(work, member, "expired")
        elif entity is None or entity.state != "active":
            await store.set_next(work.db, member_id, now + DAILY)
        else:
            await _remind(work, member, waiting, now)


async def _remind(work: Work, member: Member, waiting: Waiting, now: int) -> None:
    known = await _known(work, member.id) or Invitation("not_sent")
    await store.set_next(work.db, member.id, min(now + DAILY, waiting.expires_at))
    # What never went out is no reminder: it was refused by a server that was set up wrongly, say.
    number = known.reminders_sent + 1 if known.sent_at else 0
    await _mail_link(work, member, waiting.message, "reminder", reminder=number)


# -- looking at one ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Invited:
    """What a link that works leads to."""

    entity: Entity
    member: Member
    email: str | None
    phone: str | None


async def look(work: Work, token: str) -> Invited:
    """Give whom a link invites where to; looking does not use it up.

    RU010: unknown, superseded, used, revoked or expired. RN900, RN902: the organisation's state.
    """
    return await of_hash(work, token_hash(token))


async def of_hash(work: Work, hashed: bytes, *, locked: bool = False) -> Invited:
    """Give what `look` gives, by the stored form of the token; locked, it works to the end."""
    link = await store.link_of(work.db, hashed, locked=locked)
    if link is None:
        raise Refusal("RU010", _UNKNOWN)
    if link.ended is not None:
        raise Refusal("RU010", _WHY_OVER.get(link.ended, _UNKNOWN))
    member = await _member(work, link.member_id)
    expires_at = await store.expiry_of(work.db, member.id)
    if expires_at is None or expires_at <= times.now() or member.state != "pending":
        raise Refusal("RU010", _WHY_OVER["expired"])
    entity = await access.entity_by_id(work.db, member.entity_id)
    if entity is None or entity.state != "active":
        frozen = entity is not None and entity.state == "frozen"
        raise Refusal("RN902" if frozen else "RN900")
    details = await people.details_of(work.db, member.id)
    return Invited(entity, member, details["primary_email"], details["primary_phone_number"])


# -- small things --------------------------------------------------------------------------------


async def _member(work: Work, member_id: int) -> Member:
    member = await people.member_by_id(work.db, member_id)
    if member is None:
        raise Refusal("RN006")
    return member


async def _known(work: Work, member_id: int) -> Invitation | None:
    stored = (await people.details_of(work.db, member_id))["invitation"]
    return msgspec.json.decode(stored, type=Invitation) if stored else None


async def _held(work: Work, member_id: int) -> Invitation | None:
    """Give how far an invitation has come; nobody else takes it further before the work ends.

    The head row would not do: an invitation changes nothing of access, so no work starts anew for
    it, and two could take back the same one.
    """
    if await store.waiting_of(work.db, member_id) is None:
        await people.lock_member(work.db, member_id)
    return await _known(work, member_id)


async def _set_state(
    work: Work, member_id: int, invitation: Invitation, *, changed: bool = True
) -> None:
    columns: dict[str, Any] = {"invitation": _stored(invitation)}
    if changed:
        columns["updated_at"] = times.now()
    await people.change_member(work.db, member_id, columns)


def _stored(invitation: Invitation) -> str:
    return json.dumps(msgspec.to_builtins(invitation))


def _note(work: Work, name: str, member: Member, **data: Any) -> None:
    ids = {"entity_user_xref_uuid": member.uuid}
    work.record(name, ids=ids, data=data, subject=member.id)
