"""What stands on the pages of a transcript: facts in, words in reading order out.

A sheet is a few pages' worth of items, as plain values of JSON: days, messages, events. What a
message said stands in them as it was sent; how it is drawn is the typesetter's business.
"""

import unicodedata
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from onrecord.domain import chat_record, messages, zones
from onrecord.domain.chat_record import ChatRecordPlan, Read
from onrecord.domain.transcript import SAID, ChatScene, Person, Stay, Transcript
from onrecord.model import times
from onrecord.model.access import Kind
from onrecord.proof import note
from onrecord.store import transcripts as rows
from onrecord.store.chat_entries import ChatEntry

SHEET_ITEMS: Final = 1500
SHEET_SIZE: Final = 350_000
"""Items and characters of a sheet; it ends earlier, with a day, when it is fairly full."""
FAIRLY_FULL: Final = 0.7
ITEM_SIZE: Final = 60
FILE_SIZE: Final = 300
"""What an item and a file cost besides their texts, in characters."""
QUOTE_MOST: Final = 90
NO_BREAK: Final = "\u2060"
"""WORD JOINER: no line is broken here."""

HOW_TO_VERIFY: Final = (
    (
        "To verify this file, with no server and no network: onrecord verify FILE --key VKEY. Get"
        " the program and the verifier key from somewhere else than from this file or whoever gave"
        " it to you: the organisation's server publishes its keys under"
        " /.well-known/onrecord-keys."
    ),
    (
        "The record of the chat, from which these pages were made, is attached inside this file as"
        " records.jsonl, with the proof of each entry; the file is sealed as a whole."
    ),
)
BY_KEY: Final = {
    Kind.USER: "API key",
    Kind.MASTER_USER: "API key",
    Kind.SYSTEM: "system key",
    Kind.SUPER: "super key",
}
BY_MACHINE: Final = {Kind.OPERATOR: "by the operator", Kind.SERVICE: "by OnRecord itself"}

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Part:
    """One PDF of a transcript: all of it, or one of several parts."""

    plan: ChatRecordPlan
    number: int = 1
    count: int = 1

    @property
    def name(self) -> str:
        """What the PDF is called."""
        return "transcript.pdf" if self.count == 1 else f"transcript-{self.number:03d}.pdf"


@dataclass(slots=True)
class _Sheet:
    """A sheet that is being filled."""

    items: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0
    day: str = ""
    offset: str = ""
    """What the heading says of the clocks."""

    def is_full(self, share: float) -> bool:
        """Whether it is full, or fairly so."""
        return len(self.items) >= SHEET_ITEMS * share or self.size >= SHEET_SIZE * share

    def begin(self, day: str, local: datetime, transcript: Transcript, continued: str = "") -> None:
        """Name a day."""
        self.day, self.offset = day, zones.offset(local)
        zone = f"{transcript.zone.key}, {self.offset}"
        self.items.append({"kind": "day", "day": f"{day}{continued}", "zone": zone})


async def sheets(
    read: Read, transcript: Transcript, scene: ChatScene, part: Part
) -> AsyncIterator[dict[str, Any]]:
    """Give the sheets of one PDF, the first one with what the transcript is of."""
    teller = _Teller(transcript, scene)
    sheet, given = _Sheet(), 0
    about = {"title": scene.title, "at": transcript.at // times.SECOND}
    first = about | {"front": front(transcript, scene, part)}
    async for page in chat_record.pages(read, part.plan):
        entries = [_decode(one.leaf) for one in page]
        await teller.look_up(read, entries)
        for one, entry in zip(page, entries, strict=True):
            local = zones.local(times.read(entry["at"]), transcript.zone)
            day = zones.day(local)
            if sheet.is_full(1 if day == sheet.day else FAIRLY_FULL):
                yield (about if given else first) | {"items": sheet.items}
                given += 1
                # A day that goes on is named again at the top of the new page.
                continued = ", continued" if day == sheet.day else ""
                sheet = _Sheet()
                sheet.begin(day, local, transcript, continued)
            elif day != sheet.day:
                sheet.begin(day, local, transcript)
            item = teller.item(one, entry)
            if zones.offset(local) != sheet.offset:  # the clocks were changed on this day
                item["time"] += f" {zones.offset(local)}"
            sheet.items.append(item)
            sheet.size += _size(item)
        transcript.done += len(page)
    if not part.plan.entries:
        sheet.items.append({"kind": "note", "what": "Nothing was said or done in this time."})
    yield (about if given else first) | {"items": sheet.items}


def _size(item: dict[str, Any]) -> int:
    files = item.get("files", ())
    return ITEM_SIZE + len(item.get("text") or "") + FILE_SIZE * len(files)


# -- the first page ------------------------------------------------------------------------------


def front(transcript: Transcript, scene: ChatScene, part: Part) -> dict[str, Any]:
    """Give what stands on the first page: what this is, how to verify it, who took part."""
    return {
        "title": scene.title,
        "organisation": scene.organisation or "(name erased)",
        "facts": [[name, value] for name, value in _facts(transcript, scene, part)],
        "verify": list(HOW_TO_VERIFY),
        "titles": [
            [_stamp(at, transcript), "(erased)" if title is None else title]
            for at, title in scene.titles
        ]
        if len(scene.titles) > 1
        else [],
        "participants": [
            _participant(scene.people[uuid], stays, transcript)
            for uuid, stays in scene.stays.items()
        ],
    }


def _facts(transcript: Transcript, scene: ChatScene, part: Part) -> Iterator[tuple[str, str]]:
    plan = transcript.plan
    root = plan.checkpoint.split("\n")[2]
    yield "Chat", plan.chat_uuid
    yield "Kind", _kind(scene)
    if part.count > 1:
        yield "Part", f"{part.number} of {part.count}"
    yield "Holds", _held(transcript, scene)
    if transcript.is_window:
        yield "Asked for", _asked(transcript)
    if transcript.is_window or plan.until < plan.as_of:
        yield "Window", _window(plan)
    yield "Times", f"{transcript.zone.key}, on a clock of 24 hours"
    yield "As of", f"position {plan.as_of} of the record, {times.wire(transcript.at)}"
    yield "Record", plan.entity.origin
    yield "Checkpoint", f"root {root}"
    yield "Signed by", ", ".join(_keys(plan))


def _asked(transcript: Transcript) -> str:
    """Write the moments asked for, by the clocks of the zone and to the microsecond if need be."""
    told = []
    for word, at in (("from", transcript.begin), ("to", transcript.end)):
        if at is not None:
            local = zones.local(at, transcript.zone)
            fraction = f".{local.microsecond:06d}" if local.microsecond else ""
            told.append(f"{word} {zones.stamp(local)}{fraction} {zones.offset(local)}")
    return f"what was said and done {' '.join(told)}"


def _window(plan: ChatRecordPlan) -> str:
    first, last, of = plan.first_index, plan.last_index, plan.last_index_of_chat
    if first <= last:
        claim = "this transcript claims to be complete for them only"
        return f"entries {first} to {last} of {of}: {claim}"
    where = f"between entries {last} and {first}"
    if first > of:
        where = f"after entry {of}"
    elif first == 1:
        where = "before the first one"
    return (
        f"none of the {of} entries, it lies {where}: this transcript claims nothing of the others"
    )


def _keys(plan: ChatRecordPlan) -> list[str]:
    """Give the keys of all signatures in the file, by name and hash."""
    return [note.VerifierKey.parse(key).id for key in plan.keys]


def _kind(scene: ChatScene) -> str:
    if scene.is_butler:
        return "What the organisation's Butler said to one member"
    if scene.is_draft:
        return "Draft: nothing was said yet, and only its creator sees it"
    if scene.is_staff_only:
        return "Chat, of staff only"
    return "Chat, with clients" if scene.has_clients else "Chat, of staff"


def _held(transcript: Transcript, scene: ChatScene) -> str:
    if not scene.messages or scene.first_at is None or scene.last_at is None:
        return "no message"
    count = f"{scene.messages} message{'s' * (scene.messages != 1)}"
    return f"{count}, {_stamp(scene.first_at, transcript)} to {_stamp(scene.last_at, transcript)}"


def _stamp(at: str, transcript: Transcript) -> str:
    return zones.stamp(zones.local(times.read(at), transcript.zone))


def _participant(person: Person, stays: Sequence[Stay], transcript: Transcript) -> dict[str, Any]:
    return {
        "name": person.name,
        "role": person.role,
        "earlier": [f"until {_stamp(until, transcript)}: {name}" for name, until in person.earlier],
        "stays": [
            [
                _stamp(stay.joined_at, transcript),
                "—" if stay.left_at is None else _stamp(stay.left_at, transcript),
            ]
            for stay in stays
        ],
    }


# -- what was said and done ----------------------------------------------------------------------


@dataclass(slots=True)
class _Teller:
    """Puts entries into words."""

    transcript: Transcript
    scene: ChatScene
    quotes: dict[int, str] = field(default_factory=dict)
    """What is shown of messages that others reply to, by number, for the page at hand."""

    async def look_up(self, read: Read, entries: Sequence[dict[str, Any]]) -> None:
        """Read the messages that those of a page reply to."""
        plan = self.transcript.plan
        replied = [entry["data"].get("reply_to_seq") for entry in entries]
        seqs = {seq for seq in replied if seq is not None}
        self.quotes = {}
        if seqs:
            found = await read(
                lambda session: rows.said_at(session, plan.entity.id, plan.chat_id, seqs)
            )
            self.quotes = {
                row[0]: self._quote(row[0], _decode(bytes(row[1])), row[2]) for row in found
            }

    def _quote(self, seq: int, entry: dict[str, Any], data: bytes | None) -> str:
        who = self._name(entry["actor"].get("entity_user_xref_uuid"))
        if data is not None:
            said = " ".join(msgspec.json.decode(bytes(data), type=str).split())
            if len(said) > QUOTE_MOST:
                said = f"{said[:QUOTE_MOST].rstrip()}{NO_BREAK}…"
        elif "text" in entry.get("content", ()):
            said = "(erased)"
        else:
            said = "(files)" if entry["type"] == SAID else "(what happened to the chat)"
        return f"In reply to {seq}, {who}: {_isolated(said)}"

    def _name(self, uuid: str | None) -> str:
        person = None if uuid is None else self.scene.people.get(uuid)
        return "Nobody" if person is None else _isolated(person.name)

    def item(self, one: ChatEntry, entry: dict[str, Any]) -> dict[str, Any]:
        """Put one entry into words."""
        moment = zones.local(times.read(entry["at"]), self.transcript.zone)
        item: dict[str, Any] = {
            "number": str(entry["seq"]) if "seq" in entry else "",
            "time": zones.clock(moment),
        }
        by = self._by(entry["actor"])
        if by:
            item["by"] = by
        if entry["type"] == SAID:
            return item | self._message(one, entry)
        title = one.parts.get("title")
        told = None if title is None else msgspec.json.decode(title[1], type=str)
        return item | {"kind": "event", "what": self._what(entry, told)}

    def _message(self, one: ChatEntry, entry: dict[str, Any]) -> dict[str, Any]:
        person = self.scene.people.get(entry["actor"].get("entity_user_xref_uuid", ""))
        item: dict[str, Any] = {
            "kind": "message",
            "author": "(nobody)" if person is None else person.name,
            "role": "" if person is None else person.role,
        }
        reply = entry["data"].get("reply_to_seq")
        if reply is not None:
            item["quote"] = self.quotes.get(reply, f"In reply to {reply}")
        content = entry.get("content", ())
        if "text" in one.parts:
            item["text"] = msgspec.json.decode(one.parts["text"][1], type=str)
        if "file" in one.parts:
            item["files"] = [_file(told) for told in messages.files_told(one.parts["file"][1])]
        gone = [name for name in ("text", "file") if name in content and name not in one.parts]
        item["notes"] = [self._erased(one.position, name) for name in gone]
        return item

    def _erased(self, position: int, name: str) -> str:
        what = {"text": "The text of this message was", "file": "The files of this message were"}
        by = self.scene.erased_by.get((position, name))
        where = "" if by is None else f", and entry {by} says so"
        return f"{what[name]} lawfully erased; it stood in entry {position} of the record{where}."

    def _what(self, entry: dict[str, Any], title: str | None) -> str:
        """Say what happened to the chat."""
        actor_uuid = entry["actor"].get("entity_user_xref_uuid")
        subject_uuid = entry.get("entity_user_xref_uuid")
        kind = entry["type"]
        if kind == "chat.created" and entry["data"]["is_butler"]:
            kind = "butler"
        elif subject_uuid is not None and actor_uuid == subject_uuid:
            kind = f"{kind} oneself"
        active, passive = _SENTENCES.get(kind, (kind, kind))
        sentence: str = passive if actor_uuid is None else active
        return sentence.format(
            who=self._name(actor_uuid),
            whom=self._name(subject_uuid),
            title="(title erased)" if title is None else f"“{_isolated(title)}”",
        )

    def _by(self, actor: dict[str, Any]) -> str:
        """Say by which key something was done, and nothing of what a person does by hand."""
        kind = Kind(actor["kind"])
        if kind in BY_MACHINE:
            return BY_MACHINE[kind]
        if kind not in BY_KEY:
            return ""
        if not self.transcript.names_keys:
            return "by an API key"
        name = self.scene.keys.get(actor.get("api_key_uuid", ""))
        key = f"by {BY_KEY[kind]} " + ("(name erased)" if name is None else f"“{_isolated(name)}”")
        if kind is Kind.MASTER_USER and "entity_user_xref_uuid" in actor:
            return f"{key} on behalf of {self._name(actor['entity_user_xref_uuid'])}"
        return key


def _isolated(name: str) -> str:
    """Keep a name that runs from right to left from turning what stands beside it."""
    turned = any(unicodedata.bidirectional(one) in {"R", "AL"} for one in name)
    return f"\u2068{name}\u2069" if turned else name


_SENTENCES: Final = {
    "butler": ("The Butler's chat with {whom} began",) * 2,
    "chat.created": ("{who} started the chat {title}", "The chat {title} was started"),
    "chat.renamed": ("{who} renamed the chat to {title}", "The chat was renamed to {title}"),
    "chat.discarded": ("{who} discarded the draft", "The draft was discarded"),
    "participant.joined": ("{who} added {whom}", "{whom} was added"),
    "participant.joined oneself": ("{whom} joined",) * 2,
    "participant.left": ("{whom} left, as the membership ended",) * 2,
    "participant.left oneself": ("{whom} left",) * 2,
    "participant.removed": ("{who} removed {whom}", "{whom} was removed"),
}
"""What happened, told with whoever did it, and where it was no member."""


def _file(told: Any) -> dict[str, str]:
    return {
        "name": told.filename,
        "facts": f"{told.content_type} · {told.size:,} byte{'s' * (told.size != 1)}",
        "digest": f"SHA-256 {told.sha256}",
    }
