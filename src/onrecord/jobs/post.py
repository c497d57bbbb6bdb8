"""Delivering mails and texts: work → outside → work."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import branding, invitations, jobs, joining
from onrecord.model import letters, text, times
from onrecord.model.access import INSTALLATION_ID
from onrecord.model.letters import Letter, Sender
from onrecord.model.ports import Mail, Undeliverable
from onrecord.outside import bounces
from onrecord.store import access, people
from onrecord.store import invitations as invitation_rows
from onrecord.store import post as store
from onrecord.store.db import Row, Session
from onrecord.store.jobs import Job
from onrecord.store.work import Work


async def deliver_mail(app: App, job: Job) -> None:
    """Send a mail, or keep it in the outbox."""
    await deliver(app, job, "email", _finish(job))


async def deliver_text(app: App, job: Job) -> None:
    """Send a text, or keep it in the outbox."""
    await deliver(app, job, "sms", _finish(job))


def _finish(job: Job) -> Callable[[Work], Awaitable[None]]:
    async def done(work: Work) -> None:
        await jobs.finish(work, job)

    return done


class NotSetUp(Undeliverable):
    """Nothing is set through which it could go out."""


async def deliver_invitation(app: App, job: Job) -> None:
    """Mail an invitation whose link still works; a mail that is refused for good has bounced."""
    if not await app.store.ask(lambda session: invitations.is_wanted(session, job)):
        return
    try:
        await deliver(app, job, "email", lambda work: invitations.delivered(work, job))
    except NotSetUp:
        raise  # nobody knows whether it would arrive: it was not sent
    except Undeliverable as error:
        reason = str(error)
        actor = await app.service_in(job.entity_id)
        await app.as_service(lambda work: invitations.refused(work, job, reason), actor)
    app.bell.ring(job.entity_id)


async def tell_staff(app: App, job: Job) -> None:
    """Tell those who share a group with a new client and were too many for one work."""
    actor = await app.service_in(job.entity_id)
    after: int | None = job.result.get("after", job.payload["after"])
    while after is not None:
        after = await app.as_service(partial(_tell_some, job=job, after=after), actor)
        app.bell.ring(job.entity_id)


async def _tell_some(work: Work, job: Job, after: int) -> int | None:
    client = await people.member_by_id(work.db, job.payload["member_id"])
    told = None if client is None else await joining.tell_staff(work, client, after)
    await jobs.progress(work, job, job.done, None, {"after": told})
    return told


async def deliver(
    app: App, job: Job, channel: str, done: Callable[[Work], Awaitable[None]]
) -> None:
    """Deliver what a job carries, then run `done`, which ends the job, in a work of its own.

    A process that dies between the two delivers again: a mail then has the same Message-ID.
    Raises Undeliverable when it never will be delivered.
    """
    sender = await sender_of(app, job.entity_id)
    payload = job.payload
    letter = letters.write(payload["template"], sender, payload["values"])
    actor = await app.service_in(job.entity_id)
    if not app.settings.dev_outbox:
        mail = Mail(payload["to"], sender.name, letter, message_id(app, job))
        if channel == "email":
            mail = replace(mail, logo=await _logo(app, job.entity_id))
        await _hand_over(app, channel, mail)
        await app.as_service(done, actor)
        return

    async def keep(work: Work) -> None:
        await store.keep(work.db, **_kept(payload["to"], channel, letter))
        await done(work)

    await app.as_service(keep, actor)


def _kept(to: str, channel: str, letter: Letter) -> dict[str, Any]:
    """Give what the outbox keeps of a letter."""
    mailed = channel == "email"
    return {
        "recipient": to,
        "channel": channel,
        "subject": letter.subject if mailed else "",
        "text": letter.text if mailed else letter.short,
        "links": [letter.link] if letter.link else [],
        "code": letter.code,
        "at": times.now(),
    }


async def _logo(app: App, entity_id: int) -> bytes | None:
    return await app.store.ask(lambda session: branding.mailed(session, entity_id))


async def _hand_over(app: App, channel: str, mail: Mail) -> None:
    """Hand over a mail, or what it says as a text."""
    if channel == "email":
        if app.mailer is None:
            raise NotSetUp("no mail is set (mail_url)")
        await app.mailer.send(mail)
        return
    if app.texter is None:
        raise NotSetUp("no provider of texts is set (sms_url)")
    await app.texter.send(mail.to, mail.letter.short)


async def sender_of(app: App, entity_id: int) -> Sender:
    """Give in whose name messages of an organisation go out."""
    entity = await app.store.ask(lambda session: access.entity_by_id(session, entity_id))
    name = "OnRecord" if entity is None or entity.id == INSTALLATION_ID else entity.name
    return Sender(letters.name(name), app.base_url)


def message_id(app: App, job: Job) -> str:
    """Give the Message-ID of a job's mail: the same however often it is tried."""
    return f"<{job.uuid}@{_host(app)}>"


def _host(app: App) -> str:
    return app.mailer.host if app.mailer is not None else "onrecord"


async def try_out(app: App, channel: str, to: str) -> None:
    """Send a test message at once, without a job; OSError says in a line what went wrong.

    RB003: not an address or a number.
    """
    check = text.check_email if channel == "email" else text.check_phone
    to = check("to", to)
    letter = letters.write("test", await sender_of(app, INSTALLATION_ID), {})

    async def note(work: Work) -> None:
        if app.settings.dev_outbox:
            await store.keep(work.db, **_kept(to, channel, letter))
        work.record("message.tried", data={"channel": channel})

    if not app.settings.dev_outbox:
        try:
            mail = Mail(to, "OnRecord", letter, f"<{jobs.new_uuid()}@{_host(app)}>")
            await _hand_over(app, channel, mail)
        except Exception as error:
            raise OSError(f"it could not be sent: {str(error) or type(error).__name__}") from error
    await composition.acting(app, None, note)


# -- what comes round by itself ------------------------------------------------------------------

BATCH: Final = 500
"""Invitations looked for at once."""
BATCHES_MOST: Final = 20
"""So many a minute; the others have their turn in the next one."""


async def remind(app: App) -> None:
    """Send the reminders that are due, and end invitations that have expired."""
    for _ in range(BATCHES_MOST):
        due = await app.store.ask(_due)
        for entity_id, rows in itertools.groupby(due, key=lambda row: row[0]):
            await _look_after(app, entity_id, [row[1] for row in rows])
        if len(due) < BATCH:
            return


async def _due(session: Session) -> Sequence[Row]:
    return await invitation_rows.due(session, times.now(), BATCH)


async def _look_after(app: App, entity_id: int, member_ids: Sequence[int]) -> None:
    actor = await app.service_in(entity_id)
    for first in range(0, len(member_ids), invitations.SLICE):
        some = member_ids[first : first + invitations.SLICE]
        await app.as_service(partial(invitations.look_after, member_ids=some), actor)
    app.bell.ring(entity_id)


async def look_for_bounces(app: App) -> None:
    """Read the mail that came back into the directory set for it."""
    directory = app.settings.bounce_directory
    if directory is None:
        return
    for bounce in await asyncio.to_thread(bounces.read, directory):
        if bounce.failed:
            await composition.note_bounce(app, bounce.message_id, bounce.recipient)
        await asyncio.to_thread(bounces.put_away, bounce)


HANDLERS: Final = {
    "mail": deliver_mail,
    "sms": deliver_text,
    invitations.KIND: deliver_invitation,
    joining.TELL_STAFF: tell_staff,
}
CHORES: Final = (remind, look_for_bounces)
