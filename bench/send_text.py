"""How many texts a second: the server beside a C program, or beside pgbench on PostgreSQL.

On SQLite the floor is limit.c: HTTP, three statements, one synced commit a turn, and nothing
else. On PostgreSQL it is pgbench running the row writes of one message as one statement. Rounds
are interleaved, so that both meet the same machine; the ratio is what counts.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import common

POSTGRES_BIN: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
LEAF_BYTES: Final = 450
"""About what an entry of a text has."""

# The writes of `store.record.settle` for one text: head, chat, entry, two parts, message. What
# Python computes (leaf, hashes, salts, frontier) is made up here by cheap expressions.
ONE_TEXT: Final = """
WITH h AS (
  UPDATE head SET position = position + 1, at = {at}, hashes = {frontier}
  WHERE entity_id = {entity} RETURNING entity_id, position, at
), c AS (
  UPDATE chat SET state = 'active', last_seq = last_seq + 1, last_at = h.at,
    last_index = last_index + 1, last_position = h.position
  FROM h, participant p
  WHERE chat.id = {chat} AND p.chat_id = chat.id AND p.member_id = chat.created_by_id
    AND p.state = 'active'
  RETURNING h.entity_id, h.position, h.at, chat.id, chat.last_seq, p.member_id
), e AS (
  INSERT INTO entry (entity_id, position, chat_id, subject_id, seq, leaf)
  SELECT entity_id, position, id, NULL, last_seq, {leaf} FROM c
), p AS (
  INSERT INTO part (entity_id, chat_id, position, name, salt, data)
  SELECT entity_id, near * id, position, name, {salt}, data
  FROM c, (VALUES (1, 'text', {text}), (0, 'address', '"127.0.0.1"'::bytea)) AS p (near, name, data)
)
INSERT INTO message (chat_id, seq, position, kind, member_id, at, reply_to_seq, via, api_key_id)
SELECT id, last_seq, position, 'text', member_id, at, NULL, 'master_user_key', 1 FROM c
RETURNING seq;
"""


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    parser.add_argument("--seconds", type=float, default=5, help="of one round (5)")
    given = parser.parse_args()
    with common.installation(given.postgres) as settings:
        firm = common.furnish(settings)
        with (
            tempfile.TemporaryDirectory() as folder,
            _floors(given.postgres, settings.database_url, Path(folder)) as floors,
            common.serving(settings) as server,
        ):
            targets = Path(folder) / "texts"
            common.texts_to_send(firm, targets)

            def ours(connections: int, seconds: float) -> common.Result:
                result = common.wrk(server.address, targets, connections, seconds)
                if result.errors:
                    raise SystemExit(f"requests failed: {result}: {server.last_words()}")
                return result

            _compare(given, ours, floors)
            common.say(f"memory of the server: {server.memory() / 2**20:.0f} MB")


Floor = Callable[[float], float]
"""Runs for so many seconds and gives texts a second."""


def _compare(
    given: argparse.Namespace,
    ours: Callable[[int, float], common.Result],
    floors: dict[str, Floor],
) -> None:
    engine = "PostgreSQL" if given.postgres else "SQLite"
    common.say(f"send-text on {engine}, 200 chats, one process of ours")
    ours(64, 2)
    for floor in floors.values():
        floor(1)
    results: list[common.Result] = []
    rates: dict[str, list[float]] = {name: [] for name in floors}
    for number in range(1, given.rounds + 1):
        results.append(ours(64, given.seconds))
        common.say(f"  round {number}  ours c64            {results[-1]}")
        for name, floor in floors.items():
            rates[name].append(floor(given.seconds))
            common.say(f"  round {number}  {name:<18}  {rates[name][-1]:9,.0f}/s")
    median = common.median_of(results)
    common.say(f"  median   ours c64            {median}")
    figures = {"rate": median.rate, "p99_c64": median.p99}
    for name, found in rates.items():
        floor_rate = statistics.median(found)
        common.say(
            f"  median   {name:<18}  {floor_rate:9,.0f}/s   ours is {median.rate / floor_rate:.1%}"
        )
        figures[f"share of {name}"] = median.rate / floor_rate
    few = common.median_of([ours(16, given.seconds) for _ in range(given.rounds)])
    common.say(f"  median   ours c16            {few}")
    common.keep(given, f"send-text, {engine}", **figures, rate_c16=few.rate, p99_c16=few.p99)


@contextlib.contextmanager
def _floors(postgres: str | None, url: str, folder: Path) -> Iterator[dict[str, Floor]]:
    if postgres is not None:
        # On a copy: what pgbench writes is no record that the server could go on with.
        with common.database(postgres, url) as copy:
            common.say("finding the number of clients that serves pgbench best")
            yield {
                "pgbench, one head": _pgbench(copy, folder, "one", entity="2"),
                "pgbench, own heads": _pgbench(copy, folder, "own", entity="1000000 + :client_id"),
            }
        return
    with _limit(folder) as address:
        targets = folder / "limit"
        head = {"Content-Type": "application/json", "X-Api-Key": "k" * 40, "X-Account-Id": "a"}
        chat = "b1a2c3d4-6a3c-4f59-9a55-2f1d8c1c7a10"
        body = json.dumps({"chat_uuid": chat, "text": common.TEXT})
        targets.write_text(common.request_line("POST", "/x", head, body), "utf-8")
        yield {"C program, c64": lambda seconds: common.wrk(address, targets, 64, seconds).rate}


@contextlib.contextmanager
def _limit(folder: Path) -> Iterator[str]:
    """Build the C program and run it on a file of its own."""
    program, source = folder / "limit-program", common.HERE / "limit.c"
    compiler = common.program("gcc")
    subprocess.run([compiler, "-O2", "-o", program, source, "-lsqlite3"], check=True)
    port = common.free_port()
    process = subprocess.Popen([program, str(port), "sqlite", str(folder / "limit.db")])
    try:
        time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


# -- pgbench -------------------------------------------------------------------------------------

CLIENTS: Final = (8, 16, 32, 64)


def _pgbench(url: str, folder: Path, name: str, *, entity: str) -> Floor:
    """Give a floor that runs one message as one statement, with its best number of clients."""
    script = folder / f"{name}.sql"
    statement = ONE_TEXT.format(
        at="(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        chat=":chat",
        entity=entity,
        frontier="decode(repeat('ab', 320), 'hex')",
        leaf=f"decode(repeat('cd', {LEAF_BYTES}), 'hex')",
        salt="decode(md5(random()::text) || md5(random()::text), 'hex')",
        text=f"'\"{common.TEXT}\"'::bytea",
    )
    script.write_text(f"\\set chat random(1, {common.CHATS})\n{statement}", "utf-8")
    rows = ", ".join(f"(1000000 + {number}, 0, 0, 0, ''::bytea)" for number in range(max(CLIENTS)))
    # Numbers of our own, no foreign text.
    common.execute(url, f"INSERT INTO head VALUES {rows} ON CONFLICT DO NOTHING")  # noqa: S608 - as said above

    def run(clients: int, seconds: float) -> float:
        return _run_pgbench(url, script, clients, seconds)

    best = max(CLIENTS, key=lambda clients: run(clients, 2))
    common.say(f"  {name}: {best} clients")
    return lambda seconds: run(best, seconds)


def _run_pgbench(url: str, script: Path, clients: int, seconds: float) -> float:
    command = [common.program("pgbench", *POSTGRES_BIN), "--no-vacuum", "--protocol=prepared"]
    command += [f"--client={clients}", "--jobs=1", f"--time={max(1, round(seconds))}"]
    command += [f"--file={script}", url]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return _rate(found.splitlines())


def _rate(lines: Sequence[str]) -> float:
    for line in lines:
        if line.startswith("tps = "):
            return float(line.split()[2])
    raise SystemExit("pgbench printed no rate")


if __name__ == "__main__":
    main()
