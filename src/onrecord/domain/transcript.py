"""The transcript of a chat: what it is of, and how the chat was, rebuilt as of a position.

`begin` fixes everything before the first byte; `rebuilt` tells the chat's entries, and of the rest
of the record only the entries about whoever had a part in it. Nothing is read from the current
tables that could change: names, roles and titles are those of the position.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from onrecord.domain import chat_record, messages, organisation_settings, replay, zones
from onrecord.domain.chat_record import ChatRecordPlan, Read
from onrecord.domain.enclosed import FILE, Brought
from onrecord.domain.replay import Scene, Told
from onrecord.model import text, times
from onrecord.model.access import FOR_THE_ORGANISATION, INSTALLATION_ID, PROFILES
from onrecord.model.errors import Refusal, malformed
from onrecord.model.ports import Signer
from onrecord.store import chat_entries
from onrecord.store import record as ledger
from onrecord.store import replay as entry_rows
from onrecord.store import transcripts as rows
from onrecord.store.chat_entries import ChatEntry
from onrecord.store.scratch import Scratch
from onrecord.store.work import Work

KIND: Final = "transcript"
"""What the seal of a PDF calls it."""
FORMATS: Final = ("pdf", "zip")
PART_MESSAGES: Final = 20_000
PART_BYTES: Final = 16 * 2**20
"""Messages and bytes of text of one PDF; what is longer comes in parts, in a ZIP."""
SAID: Final = "message.sent"
MOMENT_MOST: Final = 2**53 - 1
"""The last moment, in the year 2255."""

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for. Moments are microseconds since 1970, both ends included."""

    chat_uuid: str
    form: str = "pdf"
    begin: int | None = None
    end: int | None = None
    as_of: int | None = None
    timezone: str | None = None


@dataclass(slots=True)
class Transcript:
    """One transcript: what it will hold, fixed before its first byte, and how far it has come."""

    plan: ChatRecordPlan
    at: int
    """The moment of the position it is as of, in microseconds since 1970."""
    form: str
    zone: ZoneInfo
    names_keys: bool
    """Whether its readers are told the names of keys: the staff side is."""
    begin: int | None = None
    end: int | None = None
    """The moments asked for, both included; None is open."""
    done: int = 0
    """Entries read so far; each is read three times."""

    @property
    def is_window(self) -> bool:
        """Whether less than the whole chat was asked for."""
        return self.begin is not None or self.end is not None

    @property
    def total(self) -> int:
        """Entries to be read."""
        return self.plan.last_index_of_chat + 2 * self.plan.entries


async def begin(
    work: Work, signer: Signer, wanted: Wanted, *, chat_id: int | None = None
) -> Transcript:
    """Fix what a transcript holds and put the export on record.

    A member gets a chat that he or she is or was in, and as it was at the moment of leaving; keys
    of the organisation and the operator get any chat, drafts included. `chat_id` is that of the
    chat where whoever acts was judged otherwise, as reviewers are. RN001: no such chat. RN008:
    a position not reached, or at which the chat had not begun. RB003: times or time zone. RB019:
    too long for one PDF.
    """
    if wanted.form not in FORMATS:
        raise malformed("format", f"is none of {', '.join(FORMATS)}")
    if wanted.begin is not None and wanted.end is not None and wanted.begin > wanted.end:
        raise malformed("from", "is after to")
    zone = zones.zone(wanted.timezone or await organisation_settings.value(work, "timezone"))
    left = None
    if chat_id is None:
        chat_id, left = await _access(work, wanted.chat_uuid)
    as_of = wanted.as_of
    if left is not None:
        as_of = left if as_of is None else min(as_of, left)
    plan = await chat_record.plan(
        work,
        signer,
        chat_id,
        chat_uuid=wanted.chat_uuid.lower(),
        as_of=as_of,
        withheld=withheld_from(work),
    )
    if wanted.begin is not None or wanted.end is not None:
        window = await chat_record.moments(work, plan.as_of, wanted.begin, wanted.end)
        plan = await chat_record.plan(
            work,
            signer,
            chat_id,
            chat_uuid=plan.chat_uuid,
            as_of=plan.as_of,
            window=window,
            withheld=plan.withheld,
        )
    if wanted.form == "pdf":
        await _check_fits(work, plan)
    last = _decode(await entry_rows.entry_at(work.db, plan.entity.id, plan.as_of))
    work.record(
        "export.made",
        data={
            "kind": "chat",
            "as_of": plan.as_of,
            "chat": plan.chat_uuid,
            "format": wanted.form,
            "first_index": plan.first_index,
            "last_index": plan.last_index,
        },
    )
    member = work.actor.member
    return Transcript(
        plan,
        times.read(last["at"]),
        wanted.form,
        zone,
        names_keys=member is None or member.is_staff,
        begin=wanted.begin,
        end=wanted.end,
    )


def moment(field: str, given: str | None) -> int | None:
    """Give a moment of RFC 3339 in microseconds since 1970; RB003 for what is none."""
    if given is None:
        return None
    try:
        # Nothing was ever said before 1970, or will be after this end.
        return min(max(times.read(given), 0), MOMENT_MOST)
    except (ValueError, OverflowError) as error:
        raise malformed(field, "must be a time with an offset: 2026-11-02T17:00:00Z") from error


async def _access(work: Work, chat_uuid: str) -> tuple[int, int | None]:
    """Give the chat's internal id, and the position up to which the actor may see it."""
    if work.actor.member is None and work.actor.kind in FOR_THE_ORGANISATION:
        uuid = text.check_uuid("chat_uuid", chat_uuid)
        found = await rows.chat_of(work.db, work.actor.entity_id, uuid)
        if found is None:
            raise Refusal("RN001")
        return found[0], None
    chat = await messages.seen_chat(work, chat_uuid)
    return chat.id, chat.until_position


def withheld_from(work: Work) -> frozenset[str]:
    """Give the parts that whoever acts does not get (see `chat_record.TO_PERSONS`)."""
    if work.actor.member is None and work.actor.kind in FOR_THE_ORGANISATION:
        return chat_record.EVERYTHING
    return chat_record.TO_PERSONS


async def _check_fits(work: Work, plan: ChatRecordPlan) -> None:
    first, last = await rows.messages_within(work.db, plan.chat_id, plan.after, plan.until)
    count = last - first + 1
    if count > PART_MESSAGES:
        why = f"{count} messages are too many for one PDF, which takes {PART_MESSAGES}"
    else:
        size = await rows.bytes_within(
            work.db, plan.entity.id, plan.chat_id, plan.after, plan.until
        )
        if size <= PART_BYTES:
            return
        why = f"{size} bytes of text are too many for one PDF, which takes {PART_BYTES}"
    raise Refusal("RB019", f"{why}: ask for zip, which has several, or for less with from and to")


# -- how the chat was ----------------------------------------------------------------------------


@dataclass(slots=True)
class Person:
    """A member as of the position; a name is None once it was lawfully erased."""

    uuid: str
    first_name: str | None = None
    last_name: str | None = None
    profile: int = 0
    earlier: list[tuple[str, str]] = field(default_factory=list)
    """Names the member had before, and until when."""

    @property
    def name(self) -> str:
        """What the member is called."""
        if self.first_name is None and self.last_name is None:
            return "(name erased)" if self.profile else "(unknown)"
        return " ".join(part for part in (self.first_name, self.last_name) if part)

    @property
    def role(self) -> str:
        """The member's role, as people call it."""
        return PROFILES[self.profile].title if self.profile else ""


@dataclass(slots=True)
class Stay:
    """From when to when somebody took part."""

    joined_at: str
    left_at: str | None = None


@dataclass(slots=True)
class ChatScene:
    """A chat as of a position, and in how many parts its pages come."""

    organisation: str | None = None
    titles: list[tuple[str, str | None]] = field(default_factory=list)
    """Every title and since when; None once it was lawfully erased."""
    stays: dict[str, list[Stay]] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    keys: dict[str, str | None] = field(default_factory=dict)
    is_butler: bool = False
    is_staff_only: bool = False
    is_draft: bool = True
    messages: int = 0
    """Messages of the window, events included."""
    first_at: str | None = None
    last_at: str | None = None
    erased: set[tuple[int, str]] = field(default_factory=set)
    """What is missing, by position and name of the part."""
    erased_by: dict[tuple[int, str], int] = field(default_factory=dict)
    """The positions of the entries that say so."""
    brought: list[Brought] = field(default_factory=list)
    """Messages of the window that brought files."""
    ends: list[tuple[int, int]] = field(default_factory=list)
    """Position and index of the last entry of each part but the last one."""

    @property
    def title(self) -> str:
        """The title as of the position."""
        title = self.titles[-1][1] if self.titles else None
        return "(title erased)" if title is None else title

    @property
    def has_clients(self) -> bool:
        """Whether somebody of the client side is or was in it."""
        return any(
            person.profile and PROFILES[person.profile].is_client
            for uuid, person in self.people.items()
            if uuid in self.stays
        )


async def rebuilt(read: Read, transcript: Transcript) -> ChatScene:
    """Rebuild the chat, and whoever had a part in it, from their entries up to the position."""
    plan, scene = transcript.plan, ChatScene()
    whole = replace(plan, after=0, until=plan.as_of)
    length = _Length(plan)
    async for page in chat_record.pages(read, whole):
        for one in page:
            entry = _decode(one.leaf)
            _tell(scene, entry, one)
            if plan.after < one.position <= plan.until:
                _count(scene, length, entry, one)
        transcript.done += len(page)
    await _name_people(read, plan, scene)
    await _look_around(read, plan, scene)
    return scene


def _tell(scene: ChatScene, entry: dict[str, Any], one: ChatEntry) -> None:
    """Let an entry of the chat happen."""
    actor, subject = entry["actor"], entry.get("entity_user_xref_uuid")
    for uuid in (actor.get("entity_user_xref_uuid"), subject):
        if uuid is not None:
            scene.people.setdefault(uuid, Person(uuid))
    key = actor.get("api_key_uuid")
    if key is not None:
        scene.keys.setdefault(key, None)
    if "title" in entry.get("content", ()):
        title = one.parts.get("title")
        told = None if title is None else msgspec.json.decode(title[1], type=str)
        scene.titles.append((entry["at"], told))
    effect = _EFFECTS.get(entry["type"])
    if effect is not None:
        effect(scene, entry, subject or "")


def _created(scene: ChatScene, entry: dict[str, Any], subject: str) -> None:
    scene.is_butler = entry["data"]["is_butler"]
    scene.is_staff_only = entry["data"]["is_staff_only"]
    scene.is_draft = not scene.is_butler
    if scene.is_butler:  # whose it is takes part from the beginning
        _joined(scene, entry, subject)


def _joined(scene: ChatScene, entry: dict[str, Any], subject: str) -> None:
    scene.stays.setdefault(subject, []).append(Stay(entry["at"]))


def _went(scene: ChatScene, entry: dict[str, Any], subject: str) -> None:
    for stay in scene.stays.get(subject, [])[-1:]:
        stay.left_at = entry["at"]


def _said(scene: ChatScene, _entry: dict[str, Any], _subject: str) -> None:
    scene.is_draft = False


_EFFECTS: Final[Mapping[str, Callable[[ChatScene, dict[str, Any], str], None]]] = {
    "chat.created": _created,
    "participant.joined": _joined,
    "participant.left": _went,
    "participant.removed": _went,
    SAID: _said,
}


@dataclass(slots=True)
class _Length:
    """How long the part is that is being counted."""

    plan: ChatRecordPlan
    messages: int = 0
    size: int = 0
    last: tuple[int, int] = (0, 0)
    """Position and index of the entry counted last."""


def _count(scene: ChatScene, length: _Length, entry: dict[str, Any], one: ChatEntry) -> None:
    """Count an entry of the window, and end a part of the pages where it is long enough."""
    scene.first_at = scene.first_at or entry["at"]
    scene.last_at = entry["at"]
    names = entry.get("content", {}).keys() - length.plan.withheld
    scene.erased.update((one.position, name) for name in names - one.parts.keys())
    is_message = "seq" in entry
    if FILE in one.parts:
        part = one.parts[FILE][1]
        scene.brought.append(Brought(one.position, entry["chat_uuid"], entry["seq"], part))
    size = sum(len(data) for _, data in one.parts.values()) if entry["type"] == SAID else 0
    too_many = length.messages + is_message > PART_MESSAGES
    if length.messages and (too_many or length.size + size > PART_BYTES):
        scene.ends.append(length.last)
        length.messages = length.size = 0
    length.messages += is_message
    length.size += size
    length.last = (one.position, entry["chat_index"])
    scene.messages += is_message


# -- who they were -------------------------------------------------------------------------------


async def _name_people(read: Read, plan: ChatRecordPlan, scene: ChatScene) -> None:
    """Tell the people of a chat what their entries say of them, one after the other."""
    ids = await read(lambda session: rows.member_ids(session, scene.people))
    for uuid, member_id in ids.items():

        async def told(session: Any, member_id: int = member_id) -> Any:
            return await rows.told_of_member(session, plan.entity.id, member_id, plan.as_of)

        entries, parts = await read(told)
        _name_one(scene.people[uuid], entries, {row[0]: bytes(row[1]) for row in parts})


def _name_one(person: Person, entries: Sequence[Any], parts: Mapping[int, bytes]) -> None:
    with closing(Scratch()) as scratch:
        told_to = Scene(scratch)
        for position, leaf in entries:
            entry = _decode(bytes(leaf))
            effect = replay.EFFECTS.get(entry["type"])
            if effect is None:
                continue
            profile = parts.get(position)
            known = {} if profile is None else {"profile": msgspec.json.decode(profile)}
            before = person.name
            effect(told_to, Told(entry, known))
            facts = told_to.member(person.uuid).facts
            person.first_name, person.last_name = facts["first_name"], facts["last_name"]
            is_new, person.profile = not person.profile, facts["enum_profile_id"]
            if not is_new and person.name != before:
                person.earlier.append((before, entry["at"]))


async def _look_around(read: Read, plan: ChatRecordPlan, scene: ChatScene) -> None:
    """Find the organisation's name, the names of keys, and what says what was erased."""
    renamed = await _general(read, plan.entity.id, (0, plan.as_of), b'"type":"entity.')
    for position, entry in renamed:
        if entry["type"] in {"entity.created", "entity.updated"}:
            scene.organisation = await _one_text(read, plan.entity.id, position, "name")
    for uuid in scene.keys:
        scene.keys[uuid] = await _key_name(read, plan, uuid)
    if scene.erased:
        await _find_erasures(read, plan, scene)


async def _find_erasures(read: Read, plan: ChatRecordPlan, scene: ChatScene) -> None:
    """Find who says that something was erased: also later entries than the position."""
    after = min(position for position, _ in scene.erased)
    head, _, _ = await read(lambda session: ledger.head_of(session, plan.entity.id))
    for position, entry in await _general(
        read, plan.entity.id, (after, head), b'"type":"content.erased"'
    ):
        for part in entry["data"]["parts"]:
            place = (entry["data"]["position"], part)
            if place in scene.erased:
                scene.erased_by[place] = position


async def _key_name(read: Read, plan: ChatRecordPlan, uuid: str) -> str | None:
    """Give what a key was called at the position; a super key's record is the installation's."""
    made = await read(lambda session: rows.key_made(session, uuid))
    if made is None:
        return None
    entity_id, created_at = made
    until = plan.as_of
    if entity_id == INSTALLATION_ID:
        until = await read(lambda session: _installation_at(session, plan))
    first = await read(
        lambda session: chat_entries.position_at(session, entity_id, times.wire(created_at), until)
    )
    name = None
    word = f'"api_key_uuid":"{uuid}"'.encode()
    for position, entry in await _general(read, entity_id, (first - 1, until), word):
        if entry["type"] in {"key.created", "key.updated"} and "name" in entry.get("content", ()):
            name = await _one_text(read, entity_id, position, "name")
    return name


async def _installation_at(session: Any, plan: ChatRecordPlan) -> int:
    """Give the position of the installation's record at the moment of the transcript's."""
    last = _decode(await entry_rows.entry_at(session, plan.entity.id, plan.as_of))
    head, _, _ = await ledger.head_of(session, INSTALLATION_ID)
    after = times.wire(times.read(last["at"]) + 1)
    return await chat_entries.position_at(session, INSTALLATION_ID, after, head) - 1


async def _general(
    read: Read, entity_id: int, span: tuple[int, int], word: bytes
) -> list[tuple[int, dict[str, Any]]]:
    """Give the entries about nobody in particular that hold some bytes, span by span."""
    found: list[tuple[int, dict[str, Any]]] = []
    for one in _spans(*span):

        async def some(session: Any, one: tuple[int, int] = one) -> Any:
            return await rows.general_holding(session, entity_id, one, word)

        found += [(position, _decode(bytes(leaf))) for position, leaf in await read(some)]
    return found


def _spans(after: int, until: int) -> Iterator[tuple[int, int]]:
    for begin in range(after, until, rows.SPAN):
        yield begin, min(begin + rows.SPAN, until)


async def _one_text(read: Read, entity_id: int, position: int, name: str) -> str | None:
    part = await read(lambda session: rows.part_at(session, entity_id, position, name))
    return None if part is None else msgspec.json.decode(part, type=str)
