"""Whether ten million messages in the database make anything slower.

Two servers stand beside each other, one on a database with next to nothing in it (200 chats of 100
messages) and one on a big one, and their rounds alternate, so that both meet the same machine: the
ratio counts. On the big one the same is asked twice, one after the other: of 200 chats from all
over it, and of all its chats in random order, so that next to nothing is found in a cache.
"""

import argparse
import base64
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import common
import msgspec
import seeding

from onrecord.proof import checkpoint, merkle, note
from onrecord.proof.verify import verify
from onrecord.settings import Settings
from onrecord.store import tree
from onrecord.store.db import Session

RANGE: Final = "/chat-service/api/chats/messages/range?limit=50&chat_uuid="
SEND: Final = "/chat-service/api/chats/messages/send-text"
EVENTS: Final = "/entity-service/sys-api/events"
RECORD: Final = "/entity-service/sys-api/record"
ASKED: Final = 21
"""How often each single call is made; its median counts."""
PROOFS: Final = 20
SMALL: Final = 20_000
"""Messages in the database that counts as empty: something must be there to be read."""


class Big(msgspec.Struct):
    """What is known of the big installation, kept beside it."""

    crowd: seeding.Crowd
    rooms: list[seeding.Room]
    database_url: str


def main() -> None:
    """Measure and print."""
    given = _options()
    engine = "PostgreSQL" if given.postgres else "SQLite"
    with (
        common.installation(given.postgres) as empty,
        _big(given) as (big, known),
        tempfile.TemporaryDirectory() as folder,
    ):
        crowd = seeding.gather(empty, staff=200)
        few = Big(crowd, seeding.fill(empty, crowd, SMALL), empty.database_url)
        common.say(f"{given.messages:,} messages on {engine}: {_size(big)} in the database")
        starts = _starts(big, given.starts)
        with common.serving(empty) as small_server, common.serving(big) as server:
            loads = _loads(Path(folder), few, known)
            servers = small_server, server
            started = _memory(server)
            shares = _compare(given, "messages/range (50), c16", 16, 0, loads, servers)
            read = _memory(server)
            shares |= _compare(given, "send-text, c64", 64, 1, loads, servers)
            common.say(f"memory of the big server after the start: {started}")
            common.say(f"  after reading: {read}, after sending: {_memory(server)}")
            common.say(f"  of the small one: {_memory(small_server)}")
            memory = server.memory_of_its_own() / 2**20
            latencies = _latencies(server.address, known)
            _check_proofs(server.address, big, known)
        if given.verify:
            _archive(big, known)
    common.keep(
        given,
        f"growth to {given.messages:,}, {engine}",
        start=starts,
        memory_mb=memory,
        **shares,
        **latencies,
    )


def _options() -> argparse.Namespace:
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--messages", type=int, default=10_000_000, help="in it (10,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
    parser.add_argument("--seconds", type=float, default=5, help="of one round (5)")
    parser.add_argument("--starts", type=int, default=3, help="starts of the server (3)")
    parser.add_argument(
        "--keep", metavar="DIR", type=Path, help="keep the big one in DIR, or use the one there"
    )
    parser.add_argument(
        "--verify", action="store_true", help="write the sealed archive and verify it, too"
    )
    return parser.parse_args()


# -- the big one ---------------------------------------------------------------------------------


@contextlib.contextmanager
def _big(given: argparse.Namespace) -> Iterator[tuple[Settings, Big]]:
    """Give the big installation: kept from another run, or made for this one."""
    with contextlib.ExitStack() as stack:
        if given.keep is None:
            settings = stack.enter_context(common.installation(given.postgres))
            yield settings, _made(settings, given.messages)
            return
        given.keep.mkdir(parents=True, exist_ok=True)
        about = given.keep / "known.json"
        if not about.exists():
            url = _kept_database(given.postgres) if given.postgres else ""
            made = _made(Settings(given.keep / "data", url, port=0), given.messages)
            about.write_bytes(msgspec.json.encode(made))
        known = msgspec.json.decode(about.read_bytes(), type=Big)
        yield Settings(given.keep / "data", known.database_url, port=0), known


def _kept_database(server: str) -> str:
    """Make a database beside the one named that nobody drops."""
    name = f"onrecord_bench_big_{time.time_ns():x}"
    common.execute(server, f"CREATE DATABASE {name}")
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def _made(settings: Settings, count: int) -> Big:
    began = last = time.perf_counter()
    local = replace(settings, database_url="")
    crowd = seeding.gather(local, staff=seeding.STAFF_COUNT)

    def progress(written: int) -> None:
        nonlocal last
        if time.perf_counter() - last > 30:  # noqa: PLR2004 - seconds between two lines
            last = time.perf_counter()
            common.say(f"  {written:,} messages after {last - began:,.0f} s")

    rooms = seeding.fill(local, crowd, count, progress)
    if settings.database_url:
        seeding.carry(settings)
        # What its own background worker has done in any installation that grew slowly.
        common.execute(settings.database_url, "VACUUM (ANALYZE)")
        common.execute(settings.database_url, "CHECKPOINT")
    common.say(f"seeded in {time.perf_counter() - began:,.0f} s")
    return Big(crowd, rooms, settings.database_url)


def _size(settings: Settings) -> str:
    async def of_database(session: Session) -> int:
        row = await session.one("SELECT pg_database_size(current_database())")
        return int(row[0]) if row else 0

    if settings.database_url:
        number = seeding.ask_now(settings, of_database)
    else:
        number = sum(file.stat().st_size for file in settings.data_dir.glob("onrecord.db*"))
    return f"{number / 2**30:.2f} GiB"


def _memory(server: common.Running) -> str:
    own, mapped = server.memory_of_its_own(), server.memory()
    return f"{own / 2**20:.0f} MB of its own ({mapped / 2**20:.0f} MB with mapped files)"


# -- rates ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """Request lines against one of the two servers: ranges, and texts to send."""

    on_big: bool
    files: tuple[Path, Path]


def _loads(folder: Path, few: Big, known: Big) -> dict[str, Load]:
    apart = len(known.rooms) // common.CHATS
    everywhere = list(known.rooms)
    random.Random(3).shuffle(everywhere)  # noqa: S311 - it guards nothing
    rooms = {
        "empty": (few.crowd, few.rooms),
        "big, 200 chats": (known.crowd, known.rooms[apart // 2 :: apart][: common.CHATS]),
        "big, all chats": (known.crowd, everywhere),
    }
    return {
        name: Load(name != "empty", _written(folder, name, *found)) for name, found in rooms.items()
    }


def _written(
    folder: Path, name: str, crowd: seeding.Crowd, rooms: Sequence[seeding.Room]
) -> tuple[Path, Path]:
    ranges, texts = folder / f"{name} ranges", folder / f"{name} texts"
    with ranges.open("w", encoding="utf-8") as reading, texts.open("w", encoding="utf-8") as saying:
        for room in rooms:
            headers = crowd.master.on_behalf_of(room.people[0].uuid)
            reading.write(common.request_line("GET", RANGE + room.uuid, headers))
            body = json.dumps({"chat_uuid": room.uuid, "text": common.TEXT})
            saying.write(common.request_line("POST", SEND, headers, body))
    return ranges, texts


@dataclass(frozen=True, slots=True)
class Round:
    """What a load met in one round, and what a request cost the server in processor time."""

    result: common.Result
    microseconds: float


def _compare(
    given: argparse.Namespace,
    what: str,
    connections: int,
    file: int,
    loads: dict[str, Load],
    servers: tuple[common.Running, common.Running],
) -> dict[str, float]:
    """Let each load take turns with that on the empty database; give its share of the rate there.

    The share is taken of each round, because what else the machine does changes more slowly than
    that. Processor time tells how it would be if the machine did nothing else.
    """
    common.say(what)
    shares = {}
    for other in (name for name in loads if name != "empty"):
        pairs = []
        for number in range(given.rounds + 1):
            pair = []
            for name in ("empty", other):
                load = loads[name]
                one = _round(servers[load.on_big], load.files[file], connections, given.seconds)
                label = f"round {number}" if number else "warm-up"
                common.say(
                    f"  {label:<8} {name:<15} {one.result}  {one.microseconds:5.0f} us of CPU"
                )
                pair.append(one)
            if number:
                pairs.append(pair)
        rate = statistics.median(one.result.rate / empty.result.rate for empty, one in pairs)
        cost = statistics.median(empty.microseconds / one.microseconds for empty, one in pairs)
        for name, rounds in zip(("empty", other), zip(*pairs, strict=True), strict=True):
            common.say(f"  median   {name:<15} {common.median_of([one.result for one in rounds])}")
        common.say(f"           {other:<15} {rate:.1%} of the rate, by CPU {cost:.1%}")
        shares[f"share {what}, {other}"] = rate
        shares[f"share by CPU {what}, {other}"] = cost
    return shares


def _round(server: common.Running, file: Path, connections: int, seconds: float) -> Round:
    before = server.cpu()
    result = common.wrk(server.address, file, connections, seconds)
    if result.errors:
        raise SystemExit(f"requests failed: {result}: {server.last_words()}")
    return Round(result, (server.cpu() - before) / max(1, result.requests) * 10**6)


def _starts(settings: Settings, count: int) -> float:
    seconds = []
    for _ in range(count):
        with common.serving(settings) as server:
            seconds.append(server.seconds)
    common.say(f"start to /readyz: {', '.join(f'{one:.2f}' for one in seconds)} s")
    return statistics.median(seconds)


# -- single calls --------------------------------------------------------------------------------


def _latencies(address: str, known: Big) -> dict[str, float]:
    """Give the milliseconds of single calls that lean on much of the record."""
    crowd = known.crowd
    ada = crowd.master.on_behalf_of(crowd.admin.uuid)
    system = crowd.system.headers
    head = _get(address, f"{EVENTS}?limit=1", system)["head"]
    chats = "/chat-service/api/chats?limit=50"
    mine = "/chat-service/api/events"
    calls = {
        "chats list": (chats, ada),
        "events at the end": (f"{EVENTS}?after={head - 100}", system),
        "member's events at the end": (f"{mine}?after={head - 100}", ada),
        "member's events at the start": (f"{mine}?after=0", ada),
        "proof": (f"{RECORD}/proof?position={head // 3}&size={head}", system),
    }
    hers = sum(room.people[0].id == crowd.admin.id for room in known.rooms)
    common.say(f"single calls, median of {ASKED} (the member is in {hers:,} chats)")
    found = {}
    for name, (path, headers) in calls.items():
        times = []
        for _ in range(ASKED):
            began = time.perf_counter()
            _get(address, path, headers)
            times.append((time.perf_counter() - began) * 1000)
        found[f"{name} ms"] = statistics.median(times)
        common.say(f"  {name:<30} {statistics.median(times):8.1f} ms  first {times[0]:8.1f} ms")
    return found


def _get(address: str, path: str, headers: dict[str, str]) -> Any:
    body = common.fetched(address, path, headers)
    return json.loads(body) if body[:1] in b"{[" else body.decode()


# -- whether it is the real form -----------------------------------------------------------------


def _check_proofs(address: str, settings: Settings, known: Big) -> None:
    """Check the tree: the server's checkpoint against the frontier, and entries against it."""
    system = known.crowd.system.headers
    vkeys = _get(address, "/.well-known/onrecord-keys", {}).splitlines()
    signed = _get(address, f"{RECORD}/checkpoint", system)
    opened = note.open_note(signed, [note.VerifierKey.parse(one) for one in vkeys])
    stated = checkpoint.parse(opened.text)

    async def frontier(session: Session) -> tuple[bytes, bytes]:
        row = await session.one(
            "SELECT position, hashes FROM head WHERE entity_id = $1", known.crowd.entity_id
        )
        assert row is not None  # noqa: S101 - an organisation has a head
        grown = merkle.Frontier.from_bytes(row[0], bytes(row[1]))
        return grown.root(), await tree.root_at(session, known.crowd.entity_id, row[0])

    if {*seeding.ask_now(settings, frontier)} != {stated.root}:
        raise SystemExit("the checkpoint, the tiles and the head do not agree")
    chance = random.Random(4)  # noqa: S311 - it guards nothing
    for position in sorted(chance.randint(1, stated.size) for _ in range(PROOFS)):
        found = common.fetched(address, f"{EVENTS}?after={position - 1}&limit=1", system)
        leaf = found.removeprefix(b'{"events":[').rpartition(b'],"next_after"')[0]
        path = f"{RECORD}/proof?position={position}&size={stated.size}"
        proof = [base64.b64decode(one) for one in _get(address, path, system)["hashes"]]
        if not merkle.verify_inclusion(
            merkle.leaf_hash(leaf), position - 1, stated.size, proof, stated.root
        ):
            raise SystemExit(f"the proof of entry {position} does not hold")
    common.say(f"head, tiles and checkpoint agree at {stated.size:,}; {PROOFS} entries are in it")


def _archive(settings: Settings, known: Big) -> None:
    """Write the sealed archive with the command, and verify it with the verifier."""
    path = settings.data_dir / "archive.jsonl"
    began = time.perf_counter()
    command = [sys.executable, "-P", "-m", "onrecord", "export", "record", "--json"]
    command += ["--org", known.crowd.entity_uuid, "--output", str(path)]
    subprocess.run(command, env=common.environment(settings), check=True, stdout=subprocess.DEVNULL)
    written = time.perf_counter()
    report = verify(path, workers=2)
    if not report.ok:
        raise SystemExit(f"the archive is wrong: {report.problem}")
    checked = time.perf_counter()
    entries, size = report.as_of or 0, path.stat().st_size
    path.unlink()
    common.say(
        f"archive of {entries:,} entries, {size / 2**30:.2f} GiB: written at"
        f" {entries / (written - began):,.0f}/s, verified at {entries / (checked - written):,.0f}/s"
    )


if __name__ == "__main__":
    main()
