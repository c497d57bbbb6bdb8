"""Rows of transcripts: a chat as a sealed PDF or ZIP, for whoever may take it out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Final, Literal

import msgspec

from onrecord import app as composition
from onrecord.domain import reviewers, transcript
from onrecord.domain.transcript import Transcript, Wanted
from onrecord.store.work import Work
from onrecord.web import exports
from onrecord.web.call import Call
from onrecord.web.endpoint import CHATTING, SESSIONS, SYSTEM_KEYS, Answer, Endpoint, Takes

CHATS: Final = "/chat-service/api"
SYSTEM: Final = "/entity-service/sys-api"
REVIEW: Final = "/app-service/api/review"
CONTENT_TYPES: Final = {"pdf": "application/pdf", "zip": "application/zip"}
REFUSALS: Final = ("RB019", "RN001", "RN008", "RU029")

Begin = Callable[[Work, Wanted], Awaitable[Transcript]]


class GetTranscript(Takes):
    """Which chat, which part of it, as of which position, and in which time zone."""

    chat_uuid: str
    begin: str | None = msgspec.field(name="from", default=None)
    end: str | None = msgspec.field(name="to", default=None)
    as_of: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)] | None = None
    timezone: str | None = None


class GetOwnTranscript(GetTranscript):
    """The same, and in which form."""

    format: Literal["pdf", "zip"] = "pdf"


class ReviewTranscript(GetTranscript, kw_only=True):
    """The same, and why it is read."""

    reason: str


async def of_own_chat(call: Call, taken: GetOwnTranscript) -> Answer:
    """Give the transcript of a chat the acting member is or was in."""
    return await _answer(call, taken, taken.format, _begun(call))


async def pdf_of_any(call: Call, taken: GetTranscript) -> Answer:
    """Give any chat of the organisation as a PDF."""
    return await _answer(call, taken, "pdf", _begun(call))


async def zip_of_any(call: Call, taken: GetTranscript) -> Answer:
    """Give any chat of the organisation as a ZIP."""
    return await _answer(call, taken, "zip", _begun(call))


async def reviewed_pdf(call: Call, taken: ReviewTranscript) -> Answer:
    """Give a chat that the reviewer may read as a PDF."""
    return await _answer(call, taken, "pdf", _reviewed(call, taken.reason))


async def reviewed_zip(call: Call, taken: ReviewTranscript) -> Answer:
    """Give a chat that the reviewer may read as a ZIP."""
    return await _answer(call, taken, "zip", _reviewed(call, taken.reason))


def _begun(call: Call) -> Begin:
    async def begin(work: Work, wanted: Wanted) -> Transcript:
        return await transcript.begin(work, call.app.signer, wanted)

    return begin


def _reviewed(call: Call, reason: str) -> Begin:
    async def begin(work: Work, wanted: Wanted) -> Transcript:
        reviewers.check_reason(reason)
        chat = await reviewers.chat_to_read(work, wanted.chat_uuid)
        made = await transcript.begin(work, call.app.signer, wanted, chat_id=chat.id)
        await reviewers.count_export(work)
        reviewers.note(work, "export", reason=reason, chat=chat.uuid)
        return made

    return begin


async def _answer(call: Call, taken: GetTranscript, form: str, begin: Begin) -> Answer:
    """Fix what is asked for, put it on record, and answer once the pages are set.

    Until then nothing is sent: what goes wrong is told as an error and not by a file that is cut.
    """
    call.limits.check_streams(call.who)
    wanted = Wanted(
        taken.chat_uuid,
        form,
        begin=transcript.moment("from", taken.begin),
        end=transcript.moment("to", taken.end),
        as_of=taken.as_of,
        timezone=taken.timezone,
    )
    # Counted while it is made, and again while it is sent: to a HEAD it never is.
    with call.limits.streaming(call.who):
        made = await call.app.store.write(call.caller, lambda work: begin(work, wanted))
        call.app.bell.ring(made.plan.entity.id)
        pieces = composition.transcript_pieces(call.app, made)
        first = b""
        while not first:
            await asyncio.sleep(0)  # reading on SQLite never waits
            first = await anext(pieces)
    name = f"transcript-{made.plan.chat_uuid}-{made.plan.as_of}.{form}"
    rest = exports.streamed(call.limits.streaming(call.who), _after(first, pieces))
    return Answer(
        b"",
        CONTENT_TYPES[form],
        headers=(("Content-Disposition", f'attachment; filename="{name}"'),),
        stream=rest,
    )


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


ROWS: Final = (
    Endpoint(
        method="GET",
        path=f"{CHATS}/chats/export",
        summary="Get the transcript of a chat as a sealed PDF or ZIP",
        kinds=CHATTING,
        permissions=("can_export",),
        acting="required",
        takes=GetOwnTranscript,
        produces="application/pdf",
        also_produces=("application/zip",),
        refusals=REFUSALS,
        writes=("export.made",),
        handler=of_own_chat,
        mode="script",
        tags=("Chats",),
    ),
    Endpoint(
        method="GET",
        path=f"{SYSTEM}/chats/export/pdf",
        summary="Get the transcript of any chat as a sealed PDF",
        kinds=SYSTEM_KEYS,
        permissions=("can_review_data", "can_export"),
        takes=GetTranscript,
        produces="application/pdf",
        refusals=REFUSALS,
        writes=("export.made",),
        handler=pdf_of_any,
        mode="script",
        tags=("Record",),
    ),
    Endpoint(
        method="GET",
        path=f"{SYSTEM}/chats/export/zip",
        summary="Get any chat as a sealed ZIP: transcript, record and attachments",
        kinds=SYSTEM_KEYS,
        permissions=("can_review_data", "can_export"),
        takes=GetTranscript,
        produces="application/zip",
        refusals=REFUSALS,
        writes=("export.made",),
        handler=zip_of_any,
        mode="script",
        tags=("Record",),
    ),
    Endpoint(
        method="GET",
        path=f"{REVIEW}/export/pdf",
        summary="Get the transcript of a chat as a sealed PDF, as a data reviewer",
        kinds=SESSIONS,
        acting="required",
        takes=ReviewTranscript,
        produces="application/pdf",
        refusals=(*REFUSALS, "RF006"),
        writes=("export.made", "record.read"),
        handler=reviewed_pdf,
        mode="script",
        tags=("Review",),
    ),
    Endpoint(
        method="GET",
        path=f"{REVIEW}/export/zip",
        summary="Get a chat as a sealed ZIP, as a data reviewer",
        kinds=SESSIONS,
        acting="required",
        takes=ReviewTranscript,
        produces="application/zip",
        refusals=(*REFUSALS, "RF006"),
        writes=("export.made", "record.read"),
        handler=reviewed_zip,
        mode="script",
        tags=("Review",),
    ),
)
