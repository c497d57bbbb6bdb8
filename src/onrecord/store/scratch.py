"""A scratch database: facts that are gathered from the record and thrown away again.

SQLite keeps it in memory while it is small and in a file without a name when it grows, so that
whoever rebuilds a big organisation needs no more memory than for a small one. It is nobody's
truth: what is in it can be gathered again.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw
import msgspec

CACHE_KIB: Final = 4096
"""Memory a scratch database may take, in KiB."""

_THINGS: Final = (
    "CREATE TABLE thing (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, uuid TEXT NOT NULL,"
    " facts BLOB NOT NULL, UNIQUE (kind, uuid)) STRICT"
)
_LINKS: Final = (
    "CREATE TABLE link (kind TEXT NOT NULL, one INTEGER NOT NULL, other INTEGER NOT NULL,"
    " facts BLOB NOT NULL, PRIMARY KEY (kind, one, other)) STRICT, WITHOUT ROWID"
)

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Thing:
    """Something of a kind, known by its uuid; `number` tells which was first."""

    number: int
    kind: str
    uuid: str
    facts: dict[str, Any]


class Scratch:
    """Things with their facts, and links between two things. Nobody else sees it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._database = apsw.Connection("")
        self._cursor: Any = self._database.cursor()
        self._kept: dict[tuple[str, str], Thing] = {}
        for statement in (
            f"PRAGMA cache_size = -{CACHE_KIB}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            _THINGS,
            "CREATE INDEX thing_kind ON thing (kind, number)",
            _LINKS,
            "CREATE INDEX link_other ON link (kind, other, one)",
            # One transaction for ever: there is nobody to commit for.
            "BEGIN",
        ):
            self._cursor.execute(statement)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    # -- things ----------------------------------------------------------------------------------

    def add(self, kind: str, uuid: str, facts: dict[str, Any]) -> Thing:
        """Add a thing that is not there yet."""
        self._cursor.execute(
            "INSERT INTO thing (kind, uuid, facts) VALUES (?1, ?2, ?3)", (kind, uuid, b"{}")
        )
        thing = Thing(self._database.last_insert_rowid(), kind, uuid, facts)
        self._kept[kind, uuid] = thing
        return thing

    def thing(self, kind: str, uuid: str) -> Thing:
        """Give a thing, whose facts may be changed until the next `flush` (KeyError)."""
        found = self._kept.get((kind, uuid))
        if found is None:
            row = self._cursor.execute(
                "SELECT number, facts FROM thing WHERE kind = ?1 AND uuid = ?2", (kind, uuid)
            ).fetchone()
            if row is None:
                raise KeyError(kind, uuid)
            found = self._kept[kind, uuid] = Thing(row[0], kind, uuid, _decode(row[1]))
        return found

    def look(self, kind: str, uuid: str) -> dict[str, Any]:
        """Give the facts that are written down of a thing, none for one that is not there."""
        row = self._cursor.execute(
            "SELECT facts FROM thing WHERE kind = ?1 AND uuid = ?2", (kind, uuid)
        ).fetchone()
        return {} if row is None else _decode(row[0])

    def flush(self) -> None:
        """Write down the facts of the things that were given out, and let go of them."""
        self._cursor.executemany(
            "UPDATE thing SET facts = ?2 WHERE number = ?1",
            [(thing.number, _encode(thing.facts)) for thing in self._kept.values()],
        )
        self._kept.clear()

    def things(self, kind: str, page: int) -> Iterator[list[Thing]]:
        """Give what is written down of a kind, in the order in which it was added, by pages."""
        after = 0
        while True:
            rows = self._cursor.execute(
                "SELECT number, uuid, facts FROM thing WHERE kind = ?1 AND number > ?2"
                " ORDER BY number LIMIT ?3",
                (kind, after, page),
            ).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield [Thing(number, kind, uuid, _decode(facts)) for number, uuid, facts in rows]

    # -- links -----------------------------------------------------------------------------------

    def link(self, kind: str, one: Thing, other: Thing, facts: dict[str, Any]) -> None:
        """Link two things, or give a link that is there other facts."""
        self._cursor.execute(
            "INSERT INTO link (kind, one, other, facts) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (kind, one, other) DO UPDATE SET facts = excluded.facts",
            (kind, one.number, other.number, _encode(facts)),
        )

    def linked(self, kind: str, one: Thing, other: Thing) -> dict[str, Any]:
        """Give the facts of a link; none for one that is not there."""
        row = self._cursor.execute(
            "SELECT facts FROM link WHERE kind = ?1 AND one = ?2 AND other = ?3",
            (kind, one.number, other.number),
        ).fetchone()
        return {} if row is None else _decode(row[0])

    def unlink(self, kind: str, one: Thing, other: Thing) -> None:
        """Take a link away; one that is not there is not missed."""
        self._cursor.execute(
            "DELETE FROM link WHERE kind = ?1 AND one = ?2 AND other = ?3",
            (kind, one.number, other.number),
        )

    def others(
        self, kind: str, ones: Sequence[Thing]
    ) -> dict[int, list[tuple[Thing, dict[str, Any]]]]:
        """Give what each of some things is linked to, in order, with the facts of the link."""
        found: dict[int, list[tuple[Thing, dict[str, Any]]]] = {one.number: [] for one in ones}
        rows = self._cursor.execute(
            "SELECT l.one, t.number, t.kind, t.uuid, t.facts, l.facts"
            " FROM link l JOIN thing t ON t.number = l.other"
            " WHERE l.kind = ?1 AND l.one IN (SELECT value FROM json_each(?2))"
            " ORDER BY l.one, l.other",
            (kind, json.dumps(list(found))),
        )
        for one, number, of_kind, uuid, facts, how in rows:
            thing = Thing(number, of_kind, uuid, _decode(facts))
            found[one].append((thing, _decode(how)))
        return found

    def counts(self, kind: str, others: Sequence[Thing]) -> dict[int, int]:
        """Count what is linked to each of some things."""
        rows = self._cursor.execute(
            "SELECT other, COUNT(*) FROM link WHERE kind = ?1"
            " AND other IN (SELECT value FROM json_each(?2)) GROUP BY other",
            (kind, json.dumps([one.number for one in others])),
        ).fetchall()
        return {one.number: 0 for one in others} | dict(rows)
