"""How long the transcript of a long chat takes, as a PDF and as a ZIP, and how much memory.

10,000 messages in ten scripts; then the ZIP once more with gigabytes of attachments.
"""

import asyncio
import hashlib
import random
import resource
import statistics
import tempfile
import time
import uuid as uuids
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import common

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import attachments, keys, messages, transcript
from onrecord.model.access import Origin, operator
from onrecord.outside.typst import glyphs
from onrecord.proof.verify import verify
from onrecord.store import access, people
from onrecord.store import attachments as rows
from onrecord.store.db import Caller
from onrecord.store.work import Work

SAID: Final = (
    "The transfer value of the old scheme has arrived; please have a look before Friday noon.",
    "Können wir die Überweisung über 12.500,00 € noch heute ausführen? Größe und Straße stimmen.",
    "Добрый день, прошу подтвердить получение документов и сообщить сроки оплаты.",
    "Καλημέρα σας, παρακαλώ επιβεβαιώστε την παραλαβή των εγγράφων.",
    "مرحبا، يرجى تأكيد استلام المستندات وإبلاغنا بالموعد النهائي للدفع.",
    "שלום, נא לאשר את קבלת המסמכים ולעדכן אותנו לגבי מועד התשלום.",
    "नमस्ते, कृपया दस्तावेज़ों की प्राप्ति की पुष्टि करें और समय सीमा बताएं।",
    "สวัสดีครับ กรุณายืนยันการรับเอกสารและแจ้งกำหนดเวลาด้วยครับ",
    "您好。请确认已收到文件。并告知我们付款的最后期限。谢谢。 👍🏽",
    "書類を受け取りましたので、支払期限をお知らせください。 감사합니다 🎉",
)
AT_ONCE: Final = 500
MEBIBYTE: Final = 2**20


def _texts(count: int) -> list[str]:
    chance = random.Random(7)  # noqa: S311 - the same for every run
    return [
        " ".join([SAID[number % len(SAID)]] * chance.choice((1, 1, 2))) for number in range(count)
    ]


async def _by_admin(app: App, firm: common.Firm, run: Callable[[Work], Awaitable[Any]]) -> Any:
    entity = await app.store.ask(lambda session: access.entity_of(session, firm.entity_uuid))
    if entity is None:
        raise LookupError(firm.entity_uuid)
    member = await app.store.ask(
        lambda session: people.member_of(session, entity.id, firm.member_uuid)
    )
    if member is None:
        raise LookupError(firm.member_uuid)
    actor = replace(operator(entity.id, entity.uuid), member=member.ref)
    return await app.store.write(Caller(actor, Origin(keys.request_id(), None, "::1")), run)


async def _talk(app: App, firm: common.Firm, count: int) -> None:
    """Let somebody say so much in ten scripts."""
    texts = _texts(count)
    (chat,) = firm.chat_uuids
    for start in range(0, count, AT_ONCE):

        async def say(work: Work, start: int = start) -> None:
            caller = Caller(work.actor, work.origin)
            some = texts[start : start + AT_ONCE]
            said = [messages.Outgoing(caller, work.actor, chat, text) for text in some]
            await messages.append(work, said)

        await _by_admin(app, firm, say)


async def _attach(app: App, firm: common.Firm, count: int, size: int) -> None:
    """Let so many files of nothing be sent."""
    (chat,) = firm.chat_uuids
    digest, crc = hashlib.sha256(), 0
    for _ in range(0, size, MEBIBYTE):
        digest.update(bytes(MEBIBYTE))
        crc = zlib.crc32(bytes(MEBIBYTE), crc)
    for number in range(count):
        uuid = str(uuids.uuid4())
        name = rows.name_of(firm.entity_uuid, uuid)
        await _by_admin(app, firm, partial(attachments.note_loose, name=name))
        with tempfile.TemporaryFile() as zeros:
            zeros.truncate(size)
            await app.files.put(name, zeros)
        made = attachments.Upload(
            uuid, f"scan {number}.pdf", "application/pdf", size, digest.hexdigest(), crc
        )

        async def send(work: Work, made: attachments.Upload = made) -> None:
            await attachments.take_in(work, chat, made)
            await attachments.send(work, chat, [made.uuid])

        await _by_admin(app, firm, send)


async def _made(app: App, firm: common.Firm, form: str, folder: Path) -> tuple[float, Path]:
    """Make a transcript: in how many seconds, and where it lies."""
    path = folder / f"transcript.{form}"
    wanted = transcript.Wanted(firm.chat_uuids[0], form)
    began = time.perf_counter()
    await composition.write_transcript(app, wanted, path, lambda _: None)
    return time.perf_counter() - began, path


def _own_memory() -> float:
    """Give the memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / MEBIBYTE


async def _measure(given: Any, settings: Any, firm: common.Firm, folder: Path) -> dict[str, float]:
    async with composition.running(settings, purpose="measure transcripts") as app:
        await _talk(app, firm, given.messages)
        gone = glyphs.missing("".join(SAID))
        common.say(f"transcript of {given.messages:,} messages in ten scripts")
        common.say(f"  characters without a glyph: {len(gone)}")
        seconds, child, path = [], 0.0, folder
        for number in range(1, given.rounds + 1):
            took, path = await _made(app, firm, "pdf", folder)
            seconds.append(took)
            child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            size = path.stat().st_size / MEBIBYTE
            common.say(
                f"  round {number}  PDF {took:5.2f} s, {size:.1f} MiB; child {child:.0f} MiB"
            )
        if not verify(path).ok:
            raise SystemExit("the PDF does not verify")
        took, path = await _made(app, firm, "zip", folder)
        common.say(f"  ZIP {took:5.2f} s")
        if not given.gigabytes:
            return {"pdf": statistics.median(seconds), "child_mib": child, "zip": took}
        count = given.gigabytes * 1024 // given.file
        await _attach(app, firm, count, given.file * MEBIBYTE)
        before = _own_memory()
        big, path = await _made(app, firm, "zip", folder)
        rate = (given.gigabytes * 1024) / max(big - took, 0.01)
        grown = _own_memory() - before
        common.say(
            f"  ZIP with {given.gigabytes} GiB of attachments {big:5.2f} s, {rate:,.0f} MiB/s more;"
            f" memory grew by {grown:.0f} MiB"
        )
        return {
            "pdf": statistics.median(seconds),
            "child_mib": child,
            "zip": took,
            "zip_mib_per_second": rate,
            "zip_memory_mib": grown,
        }


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="in the chat (10,000)")
    parser.add_argument("--gigabytes", type=int, default=0, help="of attachments (0)")
    parser.add_argument("--file", type=int, default=16, help="MiB of each attachment (16)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument("--postgres", metavar="URL", help="in a database beside this one")
    given = parser.parse_args()
    with common.installation(given.postgres) as settings, tempfile.TemporaryDirectory() as folder:
        firm = common.furnish(settings, chat_count=1)
        figures = asyncio.run(_measure(given, settings, firm, Path(folder)))
    engine = "PostgreSQL" if given.postgres else "SQLite"
    common.keep(given, f"transcript, {engine}", **figures)


if __name__ == "__main__":
    main()
