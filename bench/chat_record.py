"""How long the sealed record of one chat takes: to write from the tables, and to verify.

The chat's entries lie spread over the whole record, which is the worst that can be: nearly every
tile of the tree has to be read and hashed for the proof.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import common
import seeding

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import chat_record
from onrecord.domain.chat_record import ChatRecordPlan
from onrecord.proof.verify import verify
from onrecord.settings import Settings

ROOMS: Final = 200
LARGEST: Final = (
    "SELECT c.id, c.uuid FROM chat c JOIN message m ON m.chat_id = c.id"
    " GROUP BY c.id, c.uuid ORDER BY COUNT(*) DESC LIMIT 1"
)


async def _keep(_options: str, _note: str) -> None:
    """Keep no seal: each round makes its own."""


async def _written(app: App, plan: ChatRecordPlan, file: Path) -> float:
    began = time.perf_counter()
    with file.open("wb") as out:
        async for piece in chat_record.write(app.store.ask, _keep, app.signer, plan):
            out.write(piece)
    return time.perf_counter() - began


def measure(settings: Settings, entity_uuid: str, rounds: int, file: Path) -> dict[str, float]:
    """Write and verify the record of the largest chat; give its entries and the medians."""

    async def main() -> tuple[int, list[float]]:
        async with composition.running(settings, purpose="measure") as app:
            rows = await app.store.ask(lambda session: session.all(LARGEST))
            number, uuid = rows[0]
            plan = await composition.acting(
                app,
                entity_uuid,
                lambda work: chat_record.plan(work, app.signer, number, chat_uuid=uuid),
            )
            return plan.entries, [await _written(app, plan, file) for _ in range(rounds)]

    count, writing = asyncio.run(main())
    verifying = [_verified(file) for _ in range(rounds)]
    return {
        "entries": count,
        "write_seconds": statistics.median(writing),
        "verify_seconds": statistics.median(verifying),
    }


def _verified(file: Path) -> float:
    began = time.perf_counter()
    report = verify(file)
    if not report.ok:
        raise SystemExit(f"the record of the chat is wrong: {report.problem}")
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--messages", type=int, default=200_000, help="in the record (200,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument("--postgres", metavar="URL", help="on PostgreSQL, beside this database")
    given = parser.parse_args()
    with (
        common.installation(given.postgres) as settings,
        tempfile.TemporaryDirectory() as folder,
    ):
        crowd = seeding.gather(settings, staff=50)
        common.say(f"a record of {given.messages:,} messages in {ROOMS} chats")
        seeding.fill(settings, crowd, given.messages, chat_messages=given.messages // ROOMS)
        file = Path(folder) / "chat.jsonl"
        found = measure(settings, crowd.entity_uuid, given.rounds, file)
    common.say(
        f"  a chat of {found['entries']:,} entries: written in {found['write_seconds']:.2f} s,"
        f" verified in {found['verify_seconds']:.2f} s"
    )
    engine = "PostgreSQL" if given.postgres else "SQLite"
    common.keep(given, f"record of a chat, {engine}", **found)


if __name__ == "__main__":
    main()
