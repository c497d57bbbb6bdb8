"""How long the Butler takes to speak to everybody, all of it durable when the call is answered.

The first call makes everybody's Butler chat; later calls find them. A call with an Idempotency-Key
also stores how far it has come, so that a retry goes on there.
"""

import json
import statistics
import time
from typing import Any, Final

import common
import seeding

from onrecord.settings import Settings
from onrecord.store.db import Session

SAY: Final = "/chat-service/api/chats/butler-says/send-text"


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--members", type=int, default=10_000, help="spoken to (10,000)")
    parser.add_argument("--installations", type=int, default=3, help="for first calls (3)")
    parser.add_argument("--rounds", type=int, default=3, help="later calls in each (3)")
    given = parser.parse_args()
    engine = "PostgreSQL" if given.postgres else "SQLite"
    common.say(f"the Butler to {given.members:,} members on {engine}, one call")
    names = "first", "later", "later with a key"
    seconds: dict[str, list[float]] = {name: [] for name in names}
    cost: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(given.installations):
        with common.installation(given.postgres) as settings:
            crowd = seeding.gather(settings, clients=given.members)
            with common.serving(settings) as server:
                calls = ["first", *["later", "later with a key"] * given.rounds]
                for number, name in enumerate(calls, 1):
                    key = f"call {number}" if name.endswith("key") else None
                    before = server.cpu()
                    seconds[name].append(_said(server.address, crowd, key))
                    cost[name].append(server.cpu() - before)
                _check(settings, crowd, len(calls))
        common.say(f"  {', '.join(f'{name} {found[-1]:.2f} s' for name, found in seconds.items())}")
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    for name, one in medians.items():
        used = statistics.median(cost[name])
        common.say(f"  median  {name:<16} {one:.2f} s, {used:.2f} s of the server's processor time")
    common.keep(given, f"Butler to {given.members:,}, {engine}", **medians)


def _said(address: str, crowd: seeding.Crowd, key: str | None) -> float:
    """Speak to everybody and give the seconds until the answer."""
    headers = crowd.master.headers | ({"Idempotency-Key": key} if key else {})
    body = {"text": f"Dear <First Name>, {common.TEXT}", "audience": {"everyone": True}}
    began = time.perf_counter()
    answer: Any = json.loads(
        common.fetched(address, SAY, headers, method="POST", body=json.dumps(body).encode())
    )
    seconds = time.perf_counter() - began
    if answer["sent"] != len(crowd.members) + 1 or answer["failed"]:
        raise SystemExit(f"sent {answer['sent']:,}, failed {answer['failed']:,}")
    return seconds


def _check(settings: Settings, crowd: seeding.Crowd, calls: int) -> None:
    """See that every message stands in the database, under an entry of its own."""

    async def count(session: Session) -> Any:
        row = await session.one(
            "SELECT COUNT(*) FROM message m JOIN chat c ON c.id = m.chat_id"
            " JOIN entry e ON e.entity_id = c.entity_id AND e.position = m.position"
            " WHERE c.entity_id = $1",
            crowd.entity_id,
        )
        return row[0] if row else 0

    found = seeding.ask_now(settings, count)
    if found != calls * (len(crowd.members) + 1):
        raise SystemExit(f"{found:,} messages are in the database after {calls} calls")


if __name__ == "__main__":
    main()
