"""The export of all member, group and chat records, as of a position of the record.

Everything is rebuilt from the entries (`replay`), so the same position gives the same bytes
whenever it is asked for. The ZIP form adds every message and the record itself, and is sealed.

Whoever writes an export takes it piece by piece. A piece may be empty: it says that the work goes
on, and lets others have their turn.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from onrecord import __version__
from onrecord.domain import enclosed, replay, sealed_zip
from onrecord.domain import record as records
from onrecord.domain.enclosed import FILE, Brought, Enclosed
from onrecord.domain.messages import ATTACHMENT, EVENT, files_told
from onrecord.domain.record import ArchivePage, ArchivePlan
from onrecord.domain.replay import Read, Scene
from onrecord.domain.sealed_zip import Keep, Parts, Sealing
from onrecord.model import sheets, times
from onrecord.model.access import PROFILES, VIA, Kind
from onrecord.model.chats import Event, Message, Via
from onrecord.model.errors import Refusal, malformed
from onrecord.model.ports import Files, Signer, Spool
from onrecord.proof import bundle
from onrecord.store import access
from onrecord.store import record as ledger
from onrecord.store import replay as rows
from onrecord.store.scratch import Scratch, Thing
from onrecord.store.work import Work

FORMATS: Final = ("json", "csv", "zip")
KIND: Final = bundle.ENTITIES
"""What the entry `export.made` and the seal call it."""
PAGE: Final = 500
"""Records written in one piece."""
NAMES_MOST: Final = 5000
"""Names of authors remembered at the most."""

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Export:
    """One export: what it will hold, fixed before its first byte, and how far it has come."""

    plan: ArchivePlan
    at: int
    """The moment of the last entry in it, in microseconds since 1970."""
    format: str
    done: int = 0
    """Entries read so far; the ZIP form reads each of them twice."""

    @property
    def total(self) -> int:
        """Entries to be read."""
        return self.plan.as_of * (2 if self.format == "zip" else 1)


async def begin(work: Work, signer: Signer, as_of: int | None, form: str) -> Export:
    """Fix the position of an export and put it on record.

    Without `as_of` it is the head before the entry of this export. RB003: no such format. RN007:
    the installation has no members. RN008: a position that was not reached yet.
    """
    if form not in FORMATS:
        raise malformed("format", f"is none of {', '.join(FORMATS)}")
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is None:
        raise Refusal("RN007")
    head, _, _ = await ledger.head_of(work.db, entity.id)
    size = head if as_of is None else as_of
    if not 1 <= size <= head:
        raise Refusal("RN008", f"The record has {head} entries")
    checkpoint = await records.checkpoint_at(work, signer, size)
    last = msgspec.json.decode(await rows.entry_at(work.db, entity.id, size))
    work.record("export.made", data={"kind": KIND, "as_of": size})
    plan = ArchivePlan(entity, size, checkpoint, await records.verifier_keys(work.db))
    return Export(plan, times.read(last["at"]), form)


@dataclass(frozen=True, slots=True)
class Places:
    """Where files lie, which the ZIP form needs: attachments, and what is made for it.

    `spool` makes a place for what must be known whole before it is sent.
    """

    spool: Callable[[], Spool]
    files: Files


async def pieces(
    export: Export, read: Read, keep: Keep, signer: Signer, places: Places
) -> AsyncIterator[bytes]:
    """Give the export piece by piece, in constant memory.

    `read` asks the tables, a page to a transaction; `keep` stores seals when they are first made.
    """
    with closing(Scratch()) as scratch:
        scene = Scene(scratch)
        entity_id = export.plan.entity.id
        async for position in replay.replayed(read, entity_id, scene, export.plan.as_of):
            export.done = position
            yield b""
        if export.format == "json":
            whole = _as_json(export, scene)
        elif export.format == "csv":
            whole = _as_csv(scene)
        else:
            async for piece in _as_zip(export, scene, read, keep, signer, places):
                yield piece
            return
        for piece in whole:
            yield piece


# -- records -------------------------------------------------------------------------------------


def _members(scene: Scene) -> Iterator[list[dict[str, Any]]]:
    for page in scene.scratch.things(replay.MEMBER, PAGE):
        groups = scene.scratch.others(replay.IN_GROUP, page)
        yield [_member(scene, one, [group.uuid for group, _ in groups[one.number]]) for one in page]


def _member(scene: Scene, member: Thing, group_uuids: list[str]) -> dict[str, Any]:
    facts = member.facts
    return {
        "entity_uuid": scene.entity["entity_uuid"],
        "entity_user_xref_uuid": member.uuid,
        "identifier": facts["identifier"],
        "enum_profile_id": facts["enum_profile_id"],
        "profile": PROFILES[facts["enum_profile_id"]].name,
        **{name: facts[name] for name in _OF_MEMBER},
        "group_uuids": group_uuids,
        "invitation": facts["invitation"],
        **_times(facts),
    }


_OF_MEMBER: Final = (
    "first_name",
    "last_name",
    "job_title",
    "primary_email",
    "primary_phone_number",
    "emails",
    "phone_numbers",
    "state",
    "data_reviewer_level",
    "has_avatar",
)


def _times(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in ("created_at", "updated_at", "erased")}


def _groups(scene: Scene) -> Iterator[list[dict[str, Any]]]:
    for page in scene.scratch.things(replay.GROUP, PAGE):
        counts = scene.scratch.counts(replay.IN_GROUP, page)
        yield [
            {
                "group_uuid": one.uuid,
                **{name: one.facts[name] for name in _OF_GROUP},
                "member_count": counts[one.number],
                **_times(one.facts),
            }
            for one in page
        ]


_OF_GROUP: Final = ("name", "identifier", "description", "state", "is_default")


def _chats(scene: Scene) -> Iterator[list[dict[str, Any]]]:
    """Give the chats that are drafts or active; what was discarded stands in the record alone."""
    for page in scene.scratch.things(replay.CHAT, PAGE):
        kept = [one for one in page if one.facts["state"] != "discarded"]
        people = scene.scratch.others(replay.TAKES_PART, kept)
        yield [_chat(one, people[one.number]) for one in kept]


def _chat(chat: Thing, people: Sequence[tuple[Thing, dict[str, Any]]]) -> dict[str, Any]:
    facts = chat.facts
    return {
        "chat_uuid": chat.uuid,
        "title": facts["title"],
        "state": facts["state"],
        "is_staff_only": facts["is_staff_only"],
        "is_butler": facts["is_butler"],
        "has_clients": any(
            PROFILES[one.facts["enum_profile_id"]].is_client and stay["state"] == "active"
            for one, stay in people
        ),
        "created_by_entity_user_xref_uuid": facts["created_by"],
        "created_at": facts["created_at"],
        "last_seq": facts["last_seq"],
        "last_message_at": facts["last_message_at"],
        "participants": [
            {
                "entity_user_xref_uuid": one.uuid,
                **{name: one.facts[name] for name in _OF_PARTICIPANT},
                **stay,
            }
            for one, stay in people
        ],
        "erased": facts["erased"],
    }


_OF_PARTICIPANT: Final = ("identifier", "first_name", "last_name", "enum_profile_id")

_RECORDS: Final[dict[str, Callable[[Scene], Iterator[list[dict[str, Any]]]]]] = {
    "entity_memberships": _members,
    "groups": _groups,
    "chats": _chats,
}


# -- JSON ----------------------------------------------------------------------------------------


def _as_json(export: Export, scene: Scene) -> Iterator[bytes]:
    head = {
        "entity": _entity(scene),
        "as_of": export.plan.as_of,
        "checkpoint": export.plan.checkpoint,
    }
    yield _encode(head)[:-1]
    for name, pages in _RECORDS.items():
        yield b',"%s":' % name.encode()
        yield from _list(pages(scene))
    yield b"}"


def _entity(scene: Scene) -> dict[str, Any]:
    return {name: scene.entity[name] for name in _OF_ENTITY}


_OF_ENTITY: Final = (
    "entity_uuid",
    "name",
    "state",
    "has_logo",
    "has_avatar",
    "settings",
    "created_at",
    "erased",
)


def _list(pages: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    between = b"["
    for page in pages:
        if page:
            yield between + _encode(page)[1:-1]
            between = b","
    yield b"]" if between == b"," else b"[]"


# -- CSV -----------------------------------------------------------------------------------------

_OF_INVITATION: Final = tuple(
    f"invitation_{name}" for name in ("state", "sent_at", "reminders_sent", "expires_at")
)

_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "entity_memberships": (
        "entity_user_xref_uuid",
        "identifier",
        "profile",
        *_OF_MEMBER,
        "group_uuids",
        *_OF_INVITATION,
        "created_at",
        "updated_at",
        "erased",
    ),
    "groups": (
        "group_uuid",
        *_OF_GROUP,
        "member_count",
        "created_at",
        "updated_at",
        "erased",
    ),
    "chats": (
        "chat_uuid",
        "title",
        "state",
        "is_staff_only",
        "is_butler",
        "has_clients",
        "created_by_entity_user_xref_uuid",
        "created_at",
        "last_seq",
        "last_message_at",
        "participants",
        "former_participants",
        "erased",
    ),
}
"""The columns of each kind of record; participants are named by their uuids."""

COLUMNS: Final = ("record", *dict.fromkeys(name for names in _COLUMNS.values() for name in names))
"""The columns of one table for all of them: what a record has not is empty."""
_RECORD_NAMES: Final = {"entity_memberships": "member", "groups": "group", "chats": "chat"}


def _flat(one: dict[str, Any]) -> dict[str, Any]:
    if "invitation" in one:
        invitation = one["invitation"] or {}
        return one | {
            name: invitation.get(name.removeprefix("invitation_")) for name in _OF_INVITATION
        }
    if "participants" not in one:
        return one
    people = one["participants"]
    names = {"participants": "active", "former_participants": "former"}
    return one | {
        name: [who["entity_user_xref_uuid"] for who in people if who["state"] == state]
        for name, state in names.items()
    }


def _as_csv(scene: Scene) -> Iterator[bytes]:
    """Write all records into one table; `record` says what each is."""
    yield sheets.header(COLUMNS)
    for name, pages in _RECORDS.items():
        kind = {"record": _RECORD_NAMES[name]}
        for page in pages(scene):
            found = [_flat(one) | kind for one in page]
            yield sheets.lines([[one.get(column) for column in COLUMNS] for one in found])


def _table(name: str, pages: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    columns = _COLUMNS[name]
    yield sheets.header(columns)
    for page in pages:
        yield sheets.lines([[one[column] for column in columns] for one in map(_flat, page)])


# -- messages ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Names:
    """The names of members and keys as of the export, remembered while they are few."""

    scratch: Scratch
    known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def of(self, kind: str, uuid: str) -> dict[str, Any]:
        """Give the facts of a member or a key; nothing for one of another record."""
        place = (kind, uuid)
        if place not in self.known:
            if len(self.known) >= NAMES_MOST:
                self.known.clear()
            self.known[place] = self.scratch.look(kind, uuid)
        return self.known[place]


@dataclass(slots=True)
class _Messages:
    """The lines of all messages, and which of them brought files."""

    lines: Spool
    names: _Names
    count: int = 0
    brought: list[Brought] = field(default_factory=list)

    def add(self, page: ArchivePage) -> None:
        """Write a line for each message of a page of entries."""
        lines = []
        for leaf, parts in page:
            entry = msgspec.json.decode(leaf)
            if "seq" not in entry:
                continue
            told = {name: data for name, (_, data) in parts.items()}
            lines.append(_encode(_message(entry, told, self.names)))
            if FILE in told:
                place = (entry["position"], entry["chat_uuid"], entry["seq"])
                self.brought.append(Brought(*place, told[FILE]))
        self.lines.write(b"".join(line + b"\n" for line in lines))
        self.count += len(lines)


def _message(entry: dict[str, Any], parts: dict[str, bytes], names: _Names) -> Message:
    actor, text = entry["actor"], parts.get("text")
    author = names.of(replay.MEMBER, actor.get("entity_user_xref_uuid", ""))
    key_uuid = actor.get("api_key_uuid")
    is_event, files = entry["type"] != "message.sent", parts.get("file")
    # An entry names its part even where the bytes were lawfully erased.
    brings_files = "file" in entry.get("content", ())
    return Message(
        entry["chat_uuid"],
        entry["seq"],
        EVENT if is_event else ATTACHMENT if brings_files else "text",
        actor.get("entity_user_xref_uuid"),
        author.get("first_name"),
        author.get("last_name"),
        None if text is None else msgspec.Raw(text),
        entry["data"].get("reply_to_seq"),
        () if files is None else files_told(files),
        _event(entry, parts, names) if is_event else None,
        entry["at"],
        Via(
            VIA[Kind(actor["kind"])],
            key_uuid,
            names.of(replay.KEY, key_uuid).get("name") if key_uuid else None,
        ),
    )


def _event(entry: dict[str, Any], parts: dict[str, bytes], names: _Names) -> Event:
    uuid = entry.get("entity_user_xref_uuid")
    if uuid is None:
        title = parts.get("title")
        return Event(type=entry["type"], title=None if title is None else msgspec.Raw(title))
    facts = names.of(replay.MEMBER, uuid)
    return Event(
        type=entry["type"],
        entity_user_xref_uuid=uuid,
        first_name=_or_unset(facts.get("first_name")),
        last_name=_or_unset(facts.get("last_name")),
    )


def _or_unset(name: str | None) -> str | msgspec.UnsetType:
    return msgspec.UNSET if name is None else name


# -- ZIP -----------------------------------------------------------------------------------------

README: Final = """\
This is an export of an organisation's record: every member, group, chat and message
as of position {as_of} of the record of {origin}.

  members, groups, chats   .json and .csv: what there was, rebuilt from the record
  messages.jsonl           every message, a line each, in the order in which they were sent
  records.jsonl            the record itself: every entry as it was hashed, with its proof
  attachments/             the files that were sent, by chat and number of the message
  manifest.json            what is in this file, with the size and SHA-256 of each part;
                           "missing" names attachments that could not be read

What is null and named under "erased" was lawfully erased.
"""


async def _as_zip(
    export: Export,
    scene: Scene,
    read: Read,
    keep: Keep,
    signer: Signer,
    places: Places,
) -> AsyncIterator[bytes]:
    plan = export.plan
    with ExitStack() as stack:
        parts = Parts(places.spool, stack)
        readme = README.format(as_of=plan.as_of, origin=plan.entity.origin)
        parts.new("README.txt").write((readme + sealed_zip.HOW_TO_VERIFY).encode())
        files = {"members": "entity_memberships", "groups": "groups", "chats": "chats"}
        for name, of in files.items():
            for piece in parts.put(f"{name}.json", _list(_RECORDS[of](scene))):
                yield piece
            for piece in parts.put(f"{name}.csv", _table(of, _RECORDS[of](scene))):
                yield piece
        told = _Messages(parts.new("messages.jsonl"), _Names(scene.scratch))
        archive = parts.new("records.jsonl")

        def look(page: ArchivePage) -> None:
            told.add(page)
            export.done += len(page)

        async for piece in records.write_archive(read, keep, signer, plan, look):
            archive.write(piece)
            yield b""
        inside = await enclosed.enclosed(
            read, places.files, plan.entity.id, told.brought, by_chat=True
        )
        manifest = _manifest(export, scene, parts, told.count, inside)
        parts.new(bundle.MANIFEST).write(manifest)
        sealing = Sealing(KIND, plan.entity, plan.as_of, export.at, "zip", read, keep, signer)
        async for piece in sealed_zip.sealed(parts.members(inside.members), sealing):
            yield piece


def _manifest(export: Export, scene: Scene, parts: Parts, messages: int, inside: Enclosed) -> bytes:
    plan = export.plan
    files = parts.facts() | {one.name: (one.size, one.sha256) for one in inside.members}
    counts = {"entries": plan.as_of, "messages": messages, "attachments": len(inside.members)}
    return bundle.manifest(
        kind=KIND,
        entity_uuid=plan.entity.uuid,
        origin=plan.entity.origin,
        as_of=plan.as_of,
        at=times.wire(export.at),
        checkpoint=plan.checkpoint,
        keys=records.parse_keys(plan.keys),
        software=f"onrecord {__version__}",
        counts=counts,
        entity_name=scene.entity["name"],
        files=files,
        **({"missing": inside.missing} if inside.missing else {}),
    )
