"""Post: mails and texts that are to go out, put in line with the change that is their cause.

Each is a job of kind `mail` or `sms`. What a mail says is rendered when it is delivered
(`model.letters`); until then its values lie in the job: links and codes stand there in the clear,
for as long as it takes to deliver them, a day at the most. When the job ends they are deleted.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from onrecord.domain import jobs
from onrecord.model import letters
from onrecord.store.work import Work

MAIL = "mail"
SMS = "sms"
FIRST: Final = 0
"""When a job is due that runs before all others."""


async def mail(
    work: Work,
    *,
    to: str,
    template: str,
    values: Mapping[str, Any],
    entity_id: int | None = None,
    member_id: int | None = None,
    run_at: int | None = None,
) -> str:
    """Put a mail in line and give the job's uuid.

    `template` is a name of `letters.LETTERS`, `values` what it takes. `entity_id`: in whose name
    (its name and logo stand on top); the actor's organisation when absent.
    """
    letters.check(template, values)
    payload = {"to": to, "template": template, "values": dict(values), "member_id": member_id}
    return await jobs.enqueue(work, MAIL, payload, entity_id=entity_id, run_at=run_at)


async def text(
    work: Work,
    *,
    to: str,
    template: str,
    values: Mapping[str, Any],
    entity_id: int | None = None,
    run_at: int | None = None,
) -> str:
    """Put a text message to a phone number in line, as `mail` does."""
    letters.check(template, values)
    payload = {"to": to, "template": template, "values": dict(values)}
    return await jobs.enqueue(work, SMS, payload, entity_id=entity_id, run_at=run_at)


async def code(
    work: Work,
    *,
    channel: Literal["email", "sms"],
    to: str,
    code: str,
    entity_id: int | None = None,
) -> str:
    """Send a one-time code to an email address or a phone number, before all that waits.

    Somebody sits before the screen, and ten thousand invitations may stand in line.
    """
    send = mail if channel == "email" else text
    values = {"code": code}
    return await send(
        work, to=to, template="code", values=values, entity_id=entity_id, run_at=FIRST
    )
