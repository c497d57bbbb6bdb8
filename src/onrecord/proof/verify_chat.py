"""Verification of the sealed record of a chat (``chat``), wherever it stands: alone or in a file.

Lines are taken one after the other from whatever gives their bytes, once. So a record within
another file is never unpacked, and however much it would unpack to, the first line that is wrong
ends it. Memory grows by 40 bytes for each entry.
"""

from array import array
from base64 import b64decode
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

from onrecord.proof import canonical, chat, checkpoint, entries, merkle, seal, statements
from onrecord.proof.archive import LINE_LIMIT
from onrecord.proof.report import TRUTH, WITNESS, fail
from onrecord.proof.statements import Judge, Stated

_NUMBERS: Final = ("entries", "first_index", "last_index", "last_index_of_chat")
_MEMBERS: Final = {
    *("as_of", "chat", "chat_uuid", "checkpoint", "entity_uuid", "keys", "origin", "withheld"),
    *_NUMBERS,
}
_PART_NAMES_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Window:
    """Which entries of which chat a record holds, as its header states."""

    chat_uuid: str
    first: int
    last: int
    last_of_chat: int
    withheld: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the record states and holds."""

    stated: Stated
    window: Window
    files: list[entries.File]
    digest: bytes
    """SHA-256 of all the lines before the seal."""


# -- lines ------------------------------------------------------------------------------------


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines, newlines included, of bytes that come in pieces; too long a line ends it."""
    rest, number = b"", 1
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if len(line) >= LINE_LIMIT - 1:
                fail(f"line {number}: the line is longer than 1 MiB")
            yield line + b"\n"
            number += 1
        if len(rest) >= LINE_LIMIT:
            fail(f"line {number}: the line is longer than 1 MiB")
    if rest:
        fail(f"line {number}: the file is cut off within the line")


@dataclass(slots=True)
class _Lines:
    """The lines of a record on their way: each goes into the seal's sum, but the seal's own."""

    source: Iterator[bytes]
    sealer: seal.Sealer = field(default_factory=seal.Sealer)
    number: int = 0
    """Of the line in hand, counted from 1; the header is line 1."""
    line: bytes | None = None

    def next(self) -> bytes:
        """Step on to the next line and return it without its newline."""
        self.line = next(self.source, None)
        self.number += 1
        if self.line is None:
            fail(f"the file ends after line {self.number - 1}: it is cut off, or was never sealed")
        return self.line[:-1]

    def take(self) -> None:
        """Add the line in hand to what was sealed."""
        self.sealer.update(self.line or b"")

    def fail(self, text: str, position: int | None = None) -> NoReturn:
        """Name the line in hand, and the position where it is known."""
        place = "" if position is None else f" (position {position})"
        fail(f"line {self.number}{place}: {text}")


class Opened:
    """A record of a chat of which the header has been read, and the rest not yet."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.lines = _Lines(lines_of(pieces))
        try:
            self.stated, self.window = _parse_header(self.lines.next())
        except ValueError as error:
            self.lines.fail(f"the header: {error}")
        self.lines.take()


def _parse_header(line: bytes) -> tuple[Stated, Window]:
    """Return what the header states; raises ValueError with what is wrong in it."""
    value = canonical.decode(line)
    if type(value) is not dict or value.keys() != _MEMBERS:
        raise ValueError(f"it has not exactly the members {', '.join(sorted(_MEMBERS))}")
    if value["chat"] != chat.VERSION:
        raise ValueError(f"the format is {value['chat']!r:.60}; this verifier knows {chat.VERSION}")
    stated = statements.parse_stated(value)
    if not entries.is_uuid(value["chat_uuid"]):
        raise ValueError("chat_uuid is not a UUID in lower case")
    count, first, last, last_of_chat = (entries.number(value, name) for name in _NUMBERS)
    if not 1 <= first <= last + 1 <= last_of_chat + 1 or count != last - first + 1:
        raise ValueError("its indexes and its number of entries do not fit each other")
    withheld = value["withheld"]
    if (
        type(withheld) is not list
        or not all(type(name) is str for name in withheld)
        or withheld != sorted(set(withheld))[:_PART_NAMES_MOST]
    ):
        raise ValueError("withheld is not a sorted list of names of parts")
    window = Window(str(value["chat_uuid"]), first, last, last_of_chat, frozenset(withheld))
    return stated, window


# -- everything -------------------------------------------------------------------------------


def verify(pieces: Iterable[bytes], judge: Judge) -> Outcome:
    """Check everything about the record of a chat; what is wrong first ends it."""
    return check(Opened(pieces), judge)


def check(opened: Opened, judge: Judge) -> Outcome:
    """Check all that follows the header, and what the header states."""
    stated, window, lines = opened.stated, opened.window, opened.lines
    report = judge.report
    report.origin, report.as_of = stated.origin, stated.as_of
    root = judge.open_checkpoint(stated, "line 1")
    held = _Held(stated, window)
    for _ in range(window.first, window.last + 1):
        lines.next()
        held.take_entry(lines)
    held.match_erasures()
    while (line := lines.next()).startswith(b'{"erasure":'):
        held.take_erasure(lines)
    if not line.startswith((b'{"proof":', b'{"seal":')):
        lines.fail("it is neither an erasure nor a line of the proof nor the seal")
    held.check_erased()
    count = _check_root(lines, held, root)
    _check_seal(lines, judge, stated)
    _sum_up(judge, held, count)
    return Outcome(stated, window, held.stretch.files, lines.sealer.digest())


def _check_root(lines: _Lines, held: "_Held", stated: checkpoint.Checkpoint) -> int:
    """Compute the root from leaves and proof, and return how many hashes the proof has."""
    nodes = _Nodes(lines)
    try:
        root = held.root(nodes)
    except merkle.ProofError as error:
        lines.fail(f"the proof: {error}")
    if root != stated.root:
        fail(
            "the root from the entries and the proof is not the checkpoint's:"
            " an entry or a hash of the proof was changed"
        )
    return nodes.count


@dataclass(slots=True)
class _Nodes:
    """The hashes of the proof, from left to right, as its lines are read."""

    lines: _Lines
    count: int = 0

    def __iter__(self) -> Iterator[bytes]:
        lines, full = self.lines, True
        while (line := lines.line or b"").startswith(b'{"proof":'):
            if not full:
                lines.fail(f"a line of the proof before it has not {chat.PROOF_HASHES} hashes")
            hashes = _open_proof(line)
            if hashes is None:
                lines.fail("it is not a line of a proof in its one spelling")
            lines.take()
            lines.next()
            full = len(hashes) == chat.PROOF_HASHES
            self.count += len(hashes)
            yield from hashes


def _open_proof(line: bytes) -> list[bytes] | None:
    """Return the hashes of a line of the proof, None unless it spells some as it must."""
    size = merkle.HASH_BYTES
    try:
        data = b64decode(line[len(b'{"proof":"') : -len(b'"}\n')], validate=True)
    except ValueError:
        return None
    hashes = [data[at : at + size] for at in range(0, len(data), size)]
    fits = 0 < len(hashes) <= chat.PROOF_HASHES and len(hashes[-1]) == size
    return hashes if fits and chat.proof_line(hashes) == line else None


def _check_seal(lines: _Lines, judge: Judge, stated: Stated) -> None:
    """Check that the line in hand is the seal, that it fits, and that nothing follows."""
    try:
        value = canonical.decode((lines.line or b"")[:-1])
    except ValueError as error:
        lines.fail(f"it should be the seal: {error}")
    text = value.get("seal") if type(value) is dict and len(value) == 1 else None
    if type(text) is not str:
        lines.fail("it should be the seal, and is none")
    sealed = judge.open_seal(text, stated, chat.KIND, "last line")
    if (lines.sealer.size, lines.sealer.digest()) != (sealed.size, sealed.digest):
        fail("size or SHA-256 of the lines are not what the seal states: bytes were changed")
    if next(lines.source, None) is not None:
        fail(f"line {lines.number + 1}: something follows the seal")
    judge.tell(sealed, stated)


# -- what it holds ----------------------------------------------------------------------------


class _Held:
    """The entries of the record, taken one by one, and what they add up to."""

    def __init__(self, stated: Stated, window: Window) -> None:
        self.stated = stated
        self.window = window
        self.stretch = entries.Stretch(0, stated.entity_uuid)
        self.apart = entries.Stretch(0, stated.entity_uuid)
        """The erasures that stand outside the window."""
        self.indexes = array("Q")
        self.leaves = bytearray()
        """Hashes one after the other: a list of them would take three times the memory."""
        self.outside: list[tuple[int, bytes]] = []
        """Index and leaf hash of the erasures outside the window that the proof is for."""
        self.erased: set[tuple[int, str]] = set()
        self.last = 0
        self.explained = 0
        self.later = 0

    def take_entry(self, lines: _Lines) -> None:
        """Check the entry in hand, which should be the next of the chat."""
        position = None
        try:
            leaf, entry, parts = entries.open_line((lines.line or b"")[:-1])
            position = entries.number(entry, "position")
            self._check_place(position, entry)
            entries.check_entry(self.stretch, position, entry, parts, self.window.withheld)
        except ValueError as error:
            lines.fail(str(error)[: entries.TEXT_LIMIT], position)
        self._add(position, merkle.leaf_hash(leaf))
        lines.take()

    def _check_place(self, position: int, entry: entries.Entry) -> None:
        if not self._before < position <= self.stated.as_of:
            limits = f"after {self._before} and up to {self.stated.as_of}"
            raise ValueError(f"its position is {position}, which is not {limits}")
        if entry.get("chat_uuid") != self.window.chat_uuid:
            raise ValueError(f"it is of another chat, {entry.get('chat_uuid')!r:.80}")
        if self.indexes:
            return
        # The first one: what it is linked to is not here, unless there is nothing before it.
        index, prev = entries.number(entry, "chat_index"), entries.number(entry, "chat_prev")
        if index != self.window.first:
            raise ValueError(
                f"its chat_index is {index}, but the window begins at {self.window.first}"
            )
        if (prev == 0) != (index == 1) or not 0 <= prev < position:
            raise ValueError(f"its chat_prev is {prev}, which cannot be at index {index}")
        if index == 1 and entry.get("seq", 0) != 0:
            raise ValueError(f"its message number (seq) is {entry['seq']!r:.40} where 0 is due")

    @property
    def _before(self) -> int:
        return self.indexes[-1] + 1 if self.indexes else 0

    def _add(self, position: int, leaf: bytes) -> None:
        self.indexes.append(position - 1)
        self.leaves += leaf

    def take_erasure(self, lines: _Lines) -> None:
        """Check the erasure in hand: it must account for something that is missing here."""
        position = None
        try:
            leaf, entry = _open_erasure((lines.line or b"")[:-1])
            position = entries.number(entry, "position")
            self._check_erasure(position, entry)
        except ValueError as error:
            lines.fail(str(error)[: entries.TEXT_LIMIT], position)
        self.last = position
        if position <= self.stated.as_of:
            self.outside.append((position - 1, merkle.leaf_hash(leaf)))
        else:
            self.later += 1
        lines.take()

    def _check_erasure(self, position: int, entry: entries.Entry) -> None:
        if position <= self.last:
            raise ValueError(f"its position is {position}, but one before it has {self.last}")
        erasure = entries.check_erasure(self.apart, entry)
        if entry.get("chat_uuid", self.window.chat_uuid) != self.window.chat_uuid:
            raise ValueError(f"it is of another chat, {entry['chat_uuid']!r:.80}")
        if self._holds(position):
            raise ValueError("it stands in the window already")
        if not self._explain(erasure):
            raise ValueError("nothing it names is missing in the window")

    def match_erasures(self) -> None:
        """Note what is missing, and match it with the erasures within the window."""
        self.erased = set(self.stretch.erased)
        for erasure in self.stretch.erasures:
            self._explain(erasure)

    def _explain(self, erasure: entries.Erasure) -> bool:
        """Tell whether an erasure accounts for anything that is missing and not explained yet."""
        named = {(erasure.target, part) for part in erasure.parts} & self.erased
        self.erased -= named
        self.explained += len(named)
        return bool(named)

    def _holds(self, position: int) -> bool:
        at = bisect_left(self.indexes, position - 1)
        return at < len(self.indexes) and self.indexes[at] == position - 1

    def check_erased(self) -> None:
        """Check that everything missing is accounted for, once all erasures were taken."""
        if self.erased:
            position, part = min(self.erased)
            number = bisect_left(self.indexes, position - 1) + 2  # the header is line 1
            text = f"its part {part!r} is missing, and no {entries.ERASURE} entry names it"
            fail(f"line {number} (position {position}): {text}")

    def root(self, nodes: Iterable[bytes]) -> bytes:
        """Return the root that the entries, the erasures and the proof give."""
        indexes, leaves = self.indexes, self.leaves
        size = merkle.HASH_BYTES
        for index, hashed in self.outside:
            at = bisect_left(indexes, index)
            indexes.insert(at, index)
            leaves[at * size : at * size] = hashed

        def leaf(number: int) -> bytes:
            return bytes(leaves[number * size : (number + 1) * size])

        return merkle.fold_multiproof(indexes, leaf, self.stated.as_of, nodes)


def _open_erasure(line: bytes) -> tuple[bytes, entries.Entry]:
    """Return the stored bytes of an erasure, and what they say; raises ValueError."""
    value = canonical.decode(line)
    text = value.get("erasure") if type(value) is dict and len(value) == 1 else None
    if type(text) is not str:
        raise ValueError("the line is not an erasure")
    return text.encode(), entries.open_entry(text.encode())


# -- the report -------------------------------------------------------------------------------


def _sum_up(judge: Judge, held: _Held, hashes: int) -> None:
    report, stretch, window = judge.report, held.stretch, held.window
    count = window.last - window.first + 1
    report.counts = {
        "entries": count,
        "messages": stretch.messages,
        "parts": stretch.parts,
        "erased_parts": len(stretch.erased),
        "erased_parts_explained": held.explained,
        "files_named": len(stretch.files),
        "proof_hashes": hashes,
    }
    kept = stretch.parts - len(stretch.erased)
    span = f"indexes {window.first} to {window.last}"
    report.checked += [
        f"the entries: {count} of chat {window.chat_uuid}, {span} without a gap",
        "their links and message numbers without a gap too, times never decreasing",
        f"the parts: {kept} of {stretch.parts} hash to what their entries say",
        f"erased parts: {len(stretch.erased)}, of which explained: {held.explained}",
        f"the root: recomputed from these and a proof of {hashes} hashes, it is the checkpoint's",
        "the bytes: size and SHA-256 are what the seal states",
    ]
    report.not_checked += [*_limits(held), WITNESS, TRUTH]


def _limits(held: _Held) -> Iterator[str]:
    """Say what the record of this window cannot show."""
    window, as_of = held.window, held.stated.as_of
    yield (
        f"that the chat had {window.last_of_chat} entries as of position {as_of}: its end rests"
        " on the sealed statement of the number of entries and the last index"
    )
    if (window.first, window.last) != (1, window.last_of_chat):
        yield (
            f"what the chat held before index {window.first} and after index {window.last}:"
            " the file claims to be complete only for its window"
        )
    if window.withheld:
        names = ", ".join(sorted(window.withheld))
        yield f"the parts {names}: they are withheld from this reader, their hashes are not"
    if held.later:
        yield (
            f"that {held.later} of the erasures took place: they are later than the checkpoint,"
            " and rest on the seal alone"
        )
