"""The files of a transcript: the sealed PDF, and the sealed ZIP with record and attachments."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from onrecord import __version__
from onrecord.domain import chat_record, enclosed, sealed_zip, transcript_sheets
from onrecord.domain import record as records
from onrecord.domain.chat_record import ChatRecordPlan, Read
from onrecord.domain.enclosed import Enclosed
from onrecord.domain.sealed_zip import Keep, Parts, Sealing
from onrecord.domain.transcript import KIND, ChatScene, Transcript, rebuilt
from onrecord.domain.transcript_sheets import Part
from onrecord.model import times
from onrecord.model.ports import Files, Job, Signer, Spool, Typesetter
from onrecord.proof import bundle
from onrecord.proof.seal import Sealer

ZIP_KIND: Final = "chat"
"""What the seal of a ZIP calls it."""
RECORDS: Final = "records.jsonl"


@dataclass(frozen=True, slots=True)
class Tools:
    """What a transcript is made with.

    `read` asks the tables, a page to a transaction; `keep` stores a seal when it is first made;
    `spool` makes a place for what must be known whole before it is sent.
    """

    read: Read
    keep: Keep
    signer: Signer
    spool: Callable[[], Spool]
    typesetter: Typesetter
    files: Files


async def pieces(transcript: Transcript, tools: Tools) -> AsyncIterator[bytes]:
    """Give the PDF or ZIP piece by piece; empty pieces say that the work goes on.

    Of a PDF nothing is given before it is whole, of a ZIP nothing before its own pages are.
    """
    scene = await rebuilt(tools.read, transcript)
    yield b""
    with ExitStack() as stack:
        made = Parts(tools.spool, stack)
        if transcript.form == "pdf":
            pdf = _Pdf(Part(transcript.plan), made.loose(), made.loose(), made.loose())
            async for nothing in _record(transcript.plan, tools, pdf.record):
                yield nothing
            async for nothing in _set(transcript, scene, pdf, tools):
                yield nothing
            for piece in pdf.out.pieces():
                yield piece
        else:
            async for piece in _zip(transcript, scene, tools, made):
                yield piece


# -- PDF -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pdf:
    """One PDF: which part of the chat, the record that lies in it, and where it is written."""

    part: Part
    record: Spool
    bound: Spool
    """Where it is written before it is sealed."""
    out: Spool


async def _record(plan: ChatRecordPlan, tools: Tools, out: Spool) -> AsyncIterator[bytes]:
    """Write the record of a part; gives empty pieces meanwhile."""
    async for piece in chat_record.write(tools.read, tools.keep, tools.signer, plan):
        out.write(piece)
        yield b""


async def _set(
    transcript: Transcript, scene: ChatScene, pdf: _Pdf, tools: Tools
) -> AsyncIterator[bytes]:
    """Write one sealed PDF; gives empty pieces meanwhile."""
    job = tools.typesetter.begin()
    try:
        async for sheet in transcript_sheets.sheets(tools.read, transcript, scene, pdf.part):
            await job.add(sheet)
            yield b""
        await _bind(job, transcript, scene, pdf)
    finally:
        await job.close()
    sealer = Sealer()
    for piece in pdf.bound.pieces():
        pdf.out.write(sealer.update(piece))
        yield b""
    versions = "/".join(tools.typesetter.versions.values())
    note = await sealed_zip.seal_note(sealer, _sealing(KIND, transcript, tools, versions))
    pdf.out.write("".join(f"%{line}\n" for line in note.splitlines()).encode())


async def _bind(job: Job, transcript: Transcript, scene: ChatScene, pdf: _Pdf) -> None:
    plan, part = transcript.plan, pdf.part
    several = f", part {part.number} of {part.count}" if part.count > 1 else ""
    about = {
        "frame": {
            "title": f"{scene.title}{several}",
            "position": f"As of position {plan.as_of}",
            "origin": plan.entity.origin,
        },
        "at": transcript.at // times.SECOND,
        "attachment": {
            "name": RECORDS,
            "content_type": "application/jsonl",
            "description": "The record of the chat, with the proof of each entry",
        },
        "language": "en",
    }
    await job.bind(about, pdf.record, pdf.bound)


def _sealing(kind: str, transcript: Transcript, tools: Tools, versions: str) -> Sealing:
    plan = transcript.plan
    view = "staff" if transcript.names_keys else "client"
    window = f"{plan.after}-{plan.until}"
    return Sealing(
        kind,
        plan.entity,
        plan.as_of,
        transcript.at,
        f"{plan.chat_uuid}/{window}/{transcript.zone.key}/{view}/{versions}",
        tools.read,
        tools.keep,
        tools.signer,
    )


# -- ZIP -----------------------------------------------------------------------------------------

README: Final = """\
This is a transcript of one chat{window}, as of position {as_of} of the record of
{origin}.

  {transcript:<24} what was said and done, for reading
  records.jsonl            the record of the chat: every entry as it was hashed, with its proof
  attachments/             the files that were sent, each under the number of its message
  manifest.json            what is in this file, with the size and SHA-256 of each part;
                           "missing" names attachments that could not be read

What was lawfully erased is named as erased.
"""


async def _zip(
    transcript: Transcript, scene: ChatScene, tools: Tools, made: Parts
) -> AsyncIterator[bytes]:
    parts = _parts(transcript, scene)
    plan = transcript.plan
    made.new("README.txt").write(_readme(transcript, parts).encode())
    outs = [made.new(part.name) for part in parts]
    record = made.new(RECORDS)
    async for nothing in _record(plan, tools, record):
        yield nothing
    for part, out in zip(parts, outs, strict=True):
        own = record if len(parts) == 1 else made.loose()
        if own is not record:
            async for nothing in _record(part.plan, tools, own):
                yield nothing
        async for nothing in _set(transcript, scene, _Pdf(part, own, made.loose(), out), tools):
            yield nothing
    inside = await enclosed.enclosed(
        tools.read, tools.files, plan.entity.id, scene.brought, by_chat=False
    )
    manifest = _manifest(transcript, scene, made, inside, tools.typesetter.versions)
    made.new(bundle.MANIFEST).write(manifest)
    versions = "/".join(tools.typesetter.versions.values())
    sealing = _sealing(ZIP_KIND, transcript, tools, f"zip/{versions}")
    async for piece in sealed_zip.sealed(made.members(inside.members), sealing):
        yield piece


def _parts(transcript: Transcript, scene: ChatScene) -> list[Part]:
    """Give the PDFs that the window comes in: each claims to be complete for its own entries."""
    plan = transcript.plan
    if not scene.ends:
        return [Part(plan)]
    made: list[Part] = []
    after, first = plan.after, plan.first_index
    for number, (until, last) in enumerate([*scene.ends, (plan.until, plan.last_index)], 1):
        one = replace(plan, after=after, until=until, first_index=first, last_index=last)
        made.append(Part(one, number, len(scene.ends) + 1))
        after, first = until, last + 1
    return made


def _readme(transcript: Transcript, parts: list[Part]) -> str:
    plan = transcript.plan
    text = README.format(
        window=" (a part of it)" if transcript.is_window else "",
        as_of=plan.as_of,
        origin=plan.entity.origin,
        transcript=parts[0].name if len(parts) == 1 else "transcript-001.pdf …",
    )
    return text + sealed_zip.HOW_TO_VERIFY


def _manifest(
    transcript: Transcript,
    scene: ChatScene,
    made: Parts,
    inside: Enclosed,
    versions: Mapping[str, str],
) -> bytes:
    plan = transcript.plan
    files = made.facts() | {one.name: (one.size, one.sha256) for one in inside.members}
    return bundle.manifest(
        kind=ZIP_KIND,
        entity_uuid=plan.entity.uuid,
        origin=plan.entity.origin,
        as_of=plan.as_of,
        at=times.wire(transcript.at),
        checkpoint=plan.checkpoint,
        keys=records.parse_keys(plan.keys),
        software=f"onrecord {__version__}",
        counts={
            "entries": plan.entries,
            "messages": scene.messages,
            "attachments": len(inside.members),
        },
        entity_name=scene.organisation,
        files=files,
        chat_uuid=plan.chat_uuid,
        first_index=plan.first_index,
        last_index=plan.last_index,
        versions=dict(versions),
        **({"missing": inside.missing} if inside.missing else {}),
    )
