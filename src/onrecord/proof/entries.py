"""The rules that a run of entry lines must keep, for whoever verifies them.

A line is ``{"entry":…,"parts":…}`` as ``archive`` describes it; the entries stand in order of
position from 1 on. The rules are those of the record, form version 1:

- line and entry are canonical JSON; ``v`` is 1, ``entity_uuid`` the expected one; no member is
  null; there is a ``type`` and an ``actor``; positions have no gap;
- ``at`` is RFC 3339 in UTC with six decimals and ``Z``, and never decreases;
- in each chat ``chat_index`` counts 1, 2, 3 …, ``chat_prev`` is the position of the chat's entry
  before (0 for the first), and ``seq``, where there is one, counts 0, 1, 2 …;
- ``parts`` names exactly what ``content`` names, each part hashes to what the entry commits to,
  and each part that is missing is named by a later ``content.erased`` entry.

Work can be shared between processes: ``examine`` takes a **stretch** of lines knowing only its
first position, and sums it up; ``Run.join`` takes the sums in order and checks the seams.
"""

import re
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from onrecord.proof import canonical, merkle
from onrecord.proof.archive import LINE_LIMIT, part_hash, spell_entry

FORM: Final = 1
"""The form version of entries that is known here."""

ERASURE: Final = "content.erased"
"""The type of the entry that says which parts (``data.parts``) of which ``data.position`` went."""

Parts = dict[str, dict[str, str] | None]
"""The parts of a line by name: bytes and salt, None where a part was erased."""
Entry = dict[str, object]
"""What an entry says, as it was decoded."""
MESSAGE: Final = "message.sent"
FILE: Final = "file"
"""The part of a message that names the files it carries."""

_LINE: Final = {"entry", "parts"}
_PART: Final = {"bytes", "salt"}
_is_uuid = re.compile("[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}").fullmatch
TEXT_LIMIT: Final = 300
_HOUR: Final = len("2026-11-22T10:")
_is_minute = re.compile(r"[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z").fullmatch
_is_hash = re.compile("[0-9a-f]{64}").fullmatch


class Problem(NamedTuple):
    """What is wrong with the entry at ``position``, as the end of a sentence about it."""

    position: int
    text: str


class File(NamedTuple):
    """A file that a message carries, as the part ``file`` of its entry names it."""

    chat_uuid: str
    seq: int
    attachment_uuid: str
    size: int
    sha256: str


class Erasure(NamedTuple):
    """The entry at ``position`` says that these parts of the one at ``target`` were erased."""

    position: int
    target: int
    parts: tuple[str, ...]


@dataclass
class ChatStretch:
    """One chat within a stretch: how it enters, and how it leaves.

    There may be thousands in one stretch: without slots they cross to another process faster.
    """

    first: int
    index: int
    prev: int
    last: int
    last_index: int
    first_seq: int | None = None
    first_seq_at: int = 0
    last_seq: int = -1


@dataclass(slots=True)
class Stretch:
    """What some consecutive lines add up to, up to and without the first wrong one."""

    start: int
    entity_uuid: str
    count: int = 0
    first_at: str = ""
    last_at: str = ""
    messages: int = 0
    parts: int = 0
    nodes: list[tuple[merkle.Node, bytes]] = field(default_factory=list)
    chats: dict[str, ChatStretch] = field(default_factory=dict)
    erased: list[tuple[int, str]] = field(default_factory=list)
    erasures: list[Erasure] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    problem: Problem | None = None


class _WrongError(ValueError):
    """A line breaks a rule."""


def is_uuid(value: object) -> bool:
    """Tell whether ``value`` is a UUID in lower case (RFC 9562 section 4)."""
    return isinstance(value, str) and bool(_is_uuid(value))


# -- one stretch ------------------------------------------------------------------------------


def examine(block: bytes, start: int, entity_uuid: str) -> Stretch:
    """Return the sum of the lines in ``block``, of which the first should be position ``start``.

    Never raises for anything the bytes may hold: what is wrong first stands in ``problem``. A
    block that does not end in a newline holds a line that is too long.
    """
    stretch = Stretch(start, entity_uuid)
    leaves: list[bytes] = []
    *lines, rest = block.split(b"\n")
    if rest:
        lines.append(rest)
    for position, line in enumerate(lines, start):
        try:
            leaves.append(_examine_line(stretch, position, line))
        except ValueError as error:
            stretch.problem = Problem(position, str(error)[:TEXT_LIMIT])
            break
    stretch.count = len(leaves)
    stretch.nodes = merkle.complete_nodes(start - 1, leaves)
    return stretch


def _examine_line(stretch: Stretch, position: int, line: bytes) -> bytes:
    """Check one line and return the leaf hash of its entry; raises ValueError if it is wrong."""
    leaf, entry, parts = open_line(line)
    check_entry(stretch, position, entry, parts)
    return merkle.leaf_hash(leaf)


def open_line(line: bytes) -> tuple[bytes, Entry, Parts | None]:
    """Return the stored bytes of an entry, what they say, and its parts, None where it has none.

    ``line`` is without its newline. Raises ValueError for what is not in canonical form.
    """
    if len(line) >= LINE_LIMIT - 1:
        raise _WrongError("the line is longer than 1 MiB")
    text, parts = _text_and_parts(canonical.parse(line))
    if spell_entry(text, parts).encode() != line:
        raise _WrongError("the line is JSON, but not in canonical form (RFC 8785)")
    leaf = text.encode()
    return leaf, open_entry(leaf), parts


def open_entry(leaf: bytes) -> Entry:
    """Return what the stored bytes of an entry say; raises ValueError where they are none."""
    entry = canonical.decode(leaf)
    if type(entry) is not dict:
        raise _WrongError("the entry is not an object")
    return entry


def check_entry(
    stretch: Stretch,
    position: int,
    entry: Entry,
    parts: Parts | None,
    withheld: frozenset[str] = frozenset(),
) -> None:
    """Check an entry that should stand at ``position``, after those in the stretch.

    Parts under the names in ``withheld`` must not be there. Raises ValueError if it is wrong.
    """
    _check_head(stretch, position, entry)
    _check_chat(stretch, position, entry)
    content = entry.get("content")
    if withheld and type(content) is dict:
        content = {name: content[name] for name in content if name not in withheld} or None
    _check_parts(stretch, position, content, parts)
    if parts is not None and FILE in parts and entry["type"] == MESSAGE:
        _take_files(stretch, entry, parts[FILE])
    if entry["type"] == ERASURE:
        stretch.erasures.append(_erasure(position, entry.get("data")))


def check_erasure(stretch: Stretch, entry: Entry) -> Erasure:
    """Check an erasure that stands apart from the run of entries, after those in the stretch.

    Returns what it says; raises ValueError if it is wrong.
    """
    position = number(entry, "position")
    _check_head(stretch, position, entry)
    if entry["type"] != ERASURE:
        raise _WrongError(f"its type is {entry['type']!r:.60}, not {ERASURE}")
    return _erasure(position, entry.get("data"))


def _text_and_parts(record: object) -> tuple[str, Parts | None]:
    """Return the text of the entry and its parts, None where the line has none."""
    if type(record) is dict and type(text := record.get("entry")) is str:
        parts = record.get("parts")
        if type(parts) is dict and len(record) == len(_LINE):
            return text, {name: _open_part(name, part) for name, part in parts.items()}
        if len(record) == 1:
            return text, None
    raise _WrongError("the line is not an entry with its parts")


def _open_part(name: str, part: object) -> dict[str, str] | None:
    if part is None:
        return None
    if (
        type(part) is dict
        and part.keys() == _PART
        and type(part["bytes"]) is type(part["salt"]) is str
    ):
        return part
    raise _WrongError(f"its part {name!r:.60} is not bytes and a salt")


def _check_head(stretch: Stretch, position: int, entry: Entry) -> None:
    """Check the members that every entry has."""
    if number(entry, "v") != FORM:
        raise _WrongError(f"its form version is {entry.get('v')!r:.40}; this verifier knows {FORM}")
    if number(entry, "position") != position:
        raise _WrongError(f"it calls itself position {entry['position']}")
    if entry.get("entity_uuid") != stretch.entity_uuid:
        raise _WrongError(f"it belongs to another organisation, {entry.get('entity_uuid')!r:.80}")
    if type(entry.get("type")) is not str or type(entry.get("actor")) is not dict:
        raise _WrongError("it has no type or no actor")
    if None in entry.values():
        raise _WrongError("a member is null; absent members are left out")
    _check_time(stretch, entry.get("at"))


def _check_time(stretch: Stretch, at: object) -> None:
    """Check form and order of ``at``. Within the hour of the entry before, the day is known."""
    hour = stretch.last_at[:_HOUR]
    if type(at) is not str or not (
        (hour and at.startswith(hour) and _is_minute(at, _HOUR)) or _is_time(at)
    ):
        raise _WrongError(f"its time {at!r:.60} is not RFC 3339 in UTC with six decimals and Z")
    if at < stretch.last_at:
        raise _WrongError(f"its time {at} is before that of the entry before, {stretch.last_at}")
    stretch.last_at = at
    stretch.first_at = stretch.first_at or at


def _is_time(at: str) -> bool:
    """Tell whether ``at`` is a real moment in the one exact form: it is written anew to see."""
    moment = at[:-1]
    try:
        written = datetime.fromisoformat(moment).isoformat(timespec="microseconds")
    except ValueError:
        return False
    return written == moment and at[-1] == "Z"


def _check_chat(stretch: Stretch, position: int, entry: Entry) -> None:
    """Check that the chat's index, link and message number go on where they left off."""
    chat = entry.get("chat_uuid")
    if chat is None:
        if "chat_index" in entry or "chat_prev" in entry or "seq" in entry:
            raise _WrongError("it has a place in a chat, but no chat")
        return
    index, prev = number(entry, "chat_index"), number(entry, "chat_prev")
    run = stretch.chats.get(chat) if type(chat) is str else None
    if run is None:
        if not is_uuid(chat):
            raise _WrongError(f"its chat {chat!r:.80} is not a UUID in lower case")
        run = ChatStretch(position, index, prev, position, index)
        stretch.chats[str(chat)] = run
    else:
        _check_link(chat, index, prev, run.last_index, run.last)
        run.last, run.last_index = position, index
    if "seq" in entry:
        _check_seq(stretch, run, position, number(entry, "seq"))


def _check_link(chat: object, index: int, prev: int, last_index: int, last: int) -> None:
    """Check one entry of a chat against the last before it (0 and 0 for none)."""
    if index != last_index + 1:
        raise _WrongError(f"its chat_index is {index} where {last_index + 1} is due in chat {chat}")
    if prev != last:
        raise _WrongError(f"its chat_prev is {prev}, but the entry before in chat {chat} is {last}")


def _check_seq(stretch: Stretch, run: ChatStretch, position: int, seq: int) -> None:
    if run.first_seq is None:
        run.first_seq, run.first_seq_at = seq, position
    elif seq != run.last_seq + 1:
        raise _WrongError(_wrong_seq(seq, run.last_seq + 1))
    run.last_seq = seq
    stretch.messages += 1


def _wrong_seq(seq: int, due: int) -> str:
    return f"its message number (seq) is {seq} where {due} is due"


def _check_parts(stretch: Stretch, position: int, content: object, parts: Parts | None) -> None:
    """Check the parts of the line against the hashes the entry commits to."""
    if content is None and parts is None:
        return
    if type(content) is not dict or parts is None or not content:
        raise _WrongError("it has parts without content, or content without parts")
    if content.keys() != parts.keys():
        raise _WrongError(f"its parts are {sorted(parts)}, its content names {sorted(content)}")
    for name, part in parts.items():
        committed = content[name]
        if part is not None:
            if _hash_of(name, part) != committed:
                raise _WrongError(f"its part {name!r} does not hash to what the entry says")
        elif type(committed) is str and _is_hash(committed):
            stretch.erased.append((position, name))
        else:
            raise _WrongError(f"the hash of its part {name!r} is not a SHA-256 in lower-case hex")
    stretch.parts += len(parts)


def _hash_of(name: str, part: dict[str, str]) -> str:
    """Return the hash of a part; the Base64 of its salt is checked by encoding again."""
    salt = a2b_base64(part["salt"])
    if b2a_base64(salt, newline=False) != part["salt"].encode():
        raise _WrongError(f"the salt of its part {name!r} is not in exact Base64")
    return part_hash(salt, part["bytes"].encode())


def _take_files(stretch: Stretch, entry: Entry, part: dict[str, str] | None) -> None:
    """Note the files that a message carries; nobody knows them once the part was erased."""
    if part is None:
        return
    chat, seq = entry.get("chat_uuid"), number(entry, "seq")
    named = canonical.decode(part["bytes"].encode())
    for one in named if type(named) is list and named else [None]:
        facts = one if type(one) is dict else {}
        uuid, size, digest = (facts.get(name) for name in ("attachment_uuid", "size", "sha256"))
        if not (is_uuid(uuid) and type(size) is int and type(digest) is str):
            raise _WrongError(f"its part {FILE!r} is not a list of files")
        stretch.files.append(File(str(chat), seq, str(uuid), size, digest))


def _erasure(position: int, data: object) -> Erasure:
    """Return what a ``content.erased`` entry says."""
    if type(data) is dict:
        target, parts = data.get("position"), data.get("parts")
        named = type(parts) is list and parts and all(type(part) is str for part in parts)
        if named and type(target) is int and 0 < target < position:
            return Erasure(position, target, tuple(parts or ()))
    raise _WrongError("it does not say which parts of which earlier entry were erased")


def number(entry: Entry, name: str) -> int:
    """Return an integer member; ``true``, which equals 1 in Python, is none; else ValueError."""
    value = entry.get(name)
    if type(value) is not int:
        raise _WrongError(f"its {name} is not an integer")
    return value


# -- all of them ------------------------------------------------------------------------------


@dataclass(slots=True)
class Run:
    """The stretches joined so far: what must hold from the first line to the last.

    Memory grows with the number of chats, of files and of erased parts, not with that of entries.
    """

    frontier: merkle.Frontier = field(default_factory=merkle.Frontier)
    at: str = ""
    messages: int = 0
    parts: int = 0
    erased: int = 0
    explained: int = 0
    files: list[File] = field(default_factory=list)
    chats: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By chat: the last index, its position, and the last seq (-1 before any)."""
    unexplained: set[tuple[int, str]] = field(default_factory=set)

    def join(self, stretch: Stretch) -> Problem | None:
        """Add the next stretch and return the first thing wrong in it or at its seam."""
        problems = [stretch.problem] if stretch.problem else []
        if stretch.first_at < self.at and stretch.first_at:
            text = f"its time {stretch.first_at} is before that of the entry before, {self.at}"
            problems.append(Problem(stretch.start, text))
        for chat, run in stretch.chats.items():
            problems += self._join_chat(chat, run)
        self.frontier = self.frontier.extend_by_nodes(stretch.nodes)
        self.at = stretch.last_at or self.at
        self.messages += stretch.messages
        self.parts += stretch.parts
        self.files += stretch.files
        self._explain(stretch)
        return min(problems, default=None)

    def unexplained_erasure(self) -> Problem | None:
        """Return the first missing part that no entry accounts for, once all are joined."""
        if not self.unexplained:
            return None
        position, part = min(self.unexplained)
        text = f"its part {part!r} is missing, and no later {ERASURE} entry names it"
        return Problem(position, text)

    def _join_chat(self, chat: str, run: ChatStretch) -> list[Problem]:
        """Check how a chat enters the stretch, and note how it leaves it."""
        last_index, last, last_seq = self.chats.get(chat, (0, 0, -1))
        problems = []
        try:
            _check_link(chat, run.index, run.prev, last_index, last)
        except _WrongError as error:
            problems.append(Problem(run.first, str(error)))
        if run.first_seq is not None and run.first_seq != last_seq + 1:
            text = _wrong_seq(run.first_seq, last_seq + 1)
            problems.append(Problem(run.first_seq_at, text))
        seq = last_seq if run.first_seq is None else run.last_seq
        self.chats[chat] = (run.last_index, run.last, seq)
        return problems

    def _explain(self, stretch: Stretch) -> None:
        """Match missing parts and erasures. An erasure names what is earlier, so this suffices."""
        self.erased += len(stretch.erased)
        self.unexplained.update(stretch.erased)
        for erasure in stretch.erasures:
            for part in erasure.parts:
                if (erasure.target, part) in self.unexplained:
                    self.unexplained.remove((erasure.target, part))
                    self.explained += 1
