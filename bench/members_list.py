"""How long the list of all members takes, streamed, and what it costs the server in memory."""

import json
import statistics
import time
from dataclasses import dataclass
from typing import Final

import common
import seeding

LIST: Final = "/entity-service/sys-api/entity-memberships/list"
CHUNK: Final = 2**16


@dataclass(frozen=True, slots=True)
class Streamed:
    """One list, as it came."""

    seconds: float
    cpu: float
    """Seconds of the server's processor time."""
    size: int
    peak: int
    """The most memory of its own, in bytes, that the server held meanwhile."""


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--members", type=int, default=100_000, help="in the list (100,000)")
    parser.add_argument("--few", type=int, default=10_000, help="to compare memory with (10,000)")
    parser.add_argument("--rounds", type=int, default=5, help="lists (5)")
    given = parser.parse_args()
    engine = "PostgreSQL" if given.postgres else "SQLite"
    common.say(f"list of members on {engine}, streamed")
    grown = {}
    seconds = 0.0
    for count in (given.few, given.members):
        with common.installation(given.postgres) as settings:
            crowd = seeding.gather(settings, clients=count)
            with common.serving(settings) as server:
                common.fetched(server.address, f"{LIST}?limit=1000", crowd.system.headers)
                before = server.memory_of_its_own()
                found = [_streamed(server, crowd, count) for _ in range(given.rounds)]
        seconds = statistics.median(one.seconds for one in found)
        grown[count] = (max(one.peak for one in found) - before) / 2**20
        common.say(
            f"  {count:9,} members, {found[0].size / 2**20:.0f} MiB: median {seconds:.2f} s"
            f" ({', '.join(f'{one.seconds:.2f}' for one in found)}),"
            f" {statistics.median(one.cpu for one in found):.2f} s of the server's processor time;"
            f" memory {before / 2**20:.0f} MB before, at most {grown[count]:+.0f} MB"
        )
    common.keep(
        given,
        f"list of {given.members:,} members, {engine}",
        seconds=seconds,
        memory_mb=grown[given.members],
        memory_mb_of_few=grown[given.few],
    )


def _streamed(server: common.Running, crowd: seeding.Crowd, count: int) -> Streamed:
    """Read the whole list, watching the server, and see that everybody is in it once."""
    peak = 0
    before = server.cpu()
    began = time.perf_counter()
    chunks = []
    with common.answering(server.address, LIST, crowd.system.headers) as answer:
        while chunk := answer.read(CHUNK):
            chunks.append(chunk)
            peak = max(peak, server.memory_of_its_own())
    seconds = time.perf_counter() - began
    cpu = server.cpu() - before
    body = b"".join(chunks)
    listed = json.loads(body)
    uuids = {one["entity_user_xref_uuid"] for one in listed["entity_memberships"]}
    everybody = {crowd.admin.uuid, *(one.uuid for one in crowd.members)}
    if uuids != everybody or len(listed["entity_memberships"]) != count + 1:
        raise SystemExit(f"{len(uuids):,} of {count + 1:,} members were listed")
    return Streamed(seconds, cpu, len(body), peak)


if __name__ == "__main__":
    main()
