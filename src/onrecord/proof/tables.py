"""What an export of all entities shows beside the record, compared with what the entries say.

``members.json``, ``groups.json``, ``chats.json`` and ``messages.jsonl`` are made again from the
entries and must be the same, record by record. Left out are ``updated_at`` and ``invitation``,
which follow from rules about invitations and not from the entries alone, and whatever a later
version shows in addition.

A type of entry about members, groups or chats that is not known here may change them in a way that
is not known either: then nothing is compared. Memory grows with members, groups, chats and who
takes part in them, not with messages.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import IO, Any, Final

from onrecord.proof.archive import LINE_LIMIT
from onrecord.proof.report import fail

MEMBERS: Final = "members.json"
GROUPS: Final = "groups.json"
CHATS: Final = "chats.json"
MESSAGES: Final = "messages.jsonl"
NAMES: Final = (MEMBERS, GROUPS, CHATS, MESSAGES)
"""The files that are compared, in the order in which that is done."""

PIECE: Final = 2**20
"""Characters of a list read at a time."""
OBJECT_LIMIT: Final = 2**26
"""Characters that one object of a list may have."""

_ROLES: Final = {
    1: "system_admin",
    2: "user_admin",
    3: "staff",
    4: "client",
    5: "partner",
    6: "butler",
}
_CLIENT_SIDE: Final = (4, 5)
_VIA: Final = {
    "session": "session",
    "sdk": "sdk",
    "user": "user_key",
    "master_user": "master_user_key",
    "system": "system",
    "super": "system",
    "operator": "system",
    "service": "system",
}
_PROFILE: Final = (
    "first_name",
    "last_name",
    "job_title",
    "identifier",
    "primary_email",
    "primary_phone_number",
)
_PUBLIC: Final = {"emails": "primary_email", "phone_numbers": "primary_phone_number"}
_DETAILS: Final = ("identifier", "description")
_OF_PARTICIPANT: Final = ("identifier", "first_name", "last_name", "enum_profile_id")
_OF_FILE: Final = ("attachment_uuid", "filename", "content_type", "size", "sha256")
_SAID: Final = "message.sent"
_KINDS: Final = ("member", "group", "chat", "participant", "message")
"""What an entry is about, by the beginning of its type, if it may change what is shown."""
_QUIET: Final = frozenset({_SAID, "member.signed_in", "message.tried"})
"""Types of such entries that change nothing of it but the number of messages."""

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One entry with its parts; a part that was erased is None."""

    entry: Facts
    parts: Mapping[str, Any]

    def id(self, name: str) -> str:
        """Return an id that the entry names."""
        return str(self.entry[name])

    @property
    def data(self) -> Facts:
        """The plain facts of the entry."""
        found: Facts = self.entry["data"]
        return found


@dataclass(slots=True)
class State:
    """Members, groups and chats, as far as they have been told; in the order they were made."""

    entity_uuid: str
    members: dict[str, Facts] = field(default_factory=dict)
    groups: dict[str, Facts] = field(default_factory=dict)
    chats: dict[str, Facts] = field(default_factory=dict)
    key_names: dict[str, Facts] = field(default_factory=dict)

    def tell(self, told: Told) -> None:
        """Let an entry happen; raises KeyError, TypeError or AttributeError where it cannot."""
        effect = EFFECTS.get(told.entry["type"])
        if effect is not None:
            effect(self, told)
        if "seq" in told.entry:
            chat = self.chats[told.id("chat_uuid")]
            chat["last_seq"], chat["last_message_at"] = told.entry["seq"], told.entry["at"]
            if told.entry["type"] == _SAID:
                chat["state"] = "active"


def is_known(kind: str) -> bool:
    """Tell whether it is known here what an entry of this type changes of what is shown."""
    return kind in EFFECTS or kind in _QUIET or kind.partition(".")[0] not in _KINDS


# -- what entries do ------------------------------------------------------------------------------


def _know(facts: Facts, values: Facts, *, erased: bool = False) -> None:
    gone = set(facts.get("erased", ()))
    gone = gone | values.keys() if erased else gone - values.keys()
    facts.update(values)
    facts["erased"] = sorted(gone)


def _take(facts: Facts, told: Told, part: str, names: Iterable[str]) -> None:
    """Take the values of a part that holds several; None for all of them once it was erased."""
    if part not in told.parts:
        facts.setdefault("erased", [])
        return
    values = told.parts[part]
    if values is None:
        _know(facts, dict.fromkeys(names), erased=True)
    else:
        _know(facts, {name: values[name] for name in names if name in values})


def _take_one(facts: Facts, told: Told, part: str) -> None:
    """Take the value of a part that holds one, under its own name."""
    if part in told.parts:
        _know(facts, {part: told.parts[part]}, erased=told.parts[part] is None)


def _key_named(state: State, told: Told) -> None:
    facts = state.key_names.setdefault(told.id("api_key_uuid"), {"name": None})
    _take_one(facts, told, "name")


def _member_made(state: State, told: Told) -> None:
    facts: Facts = {
        "enum_profile_id": told.data["enum_profile_id"],
        "state": told.data["state"],
        "data_reviewer_level": 0,
        "has_avatar": False,
        "created_at": told.entry["at"],
        "groups": set(),
        "number": len(state.members),
    }
    _take(facts, told, "profile", _PROFILE)
    gone = bool(facts["erased"])
    for name, first in _PUBLIC.items():
        facts[name] = None if gone else [facts[first]] if facts[first] is not None else []
    if gone:
        facts["erased"] = sorted({*facts["erased"], *_PUBLIC})
    state.members[told.id("entity_user_xref_uuid")] = facts


def _the_member(state: State, told: Told) -> Facts:
    return state.members[told.id("entity_user_xref_uuid")]


def _member_changed(state: State, told: Told) -> None:
    _take(_the_member(state, told), told, "profile", told.data["changes"])


def _becomes(value: str) -> "Effect":
    def effect(state: State, told: Told) -> None:
        _the_member(state, told)["state"] = value

    return effect


def _gets(name: str) -> "Effect":
    def effect(state: State, told: Told) -> None:
        _the_member(state, told)[name] = told.data[name]

    return effect


def _group_made(state: State, told: Told) -> None:
    facts: Facts = {
        "identifier": None,
        "description": "",
        "state": "active",
        "is_default": told.data["is_default"],
        "created_at": told.entry["at"],
        "member_count": 0,
        "number": len(state.groups),
    }
    _take_one(facts, told, "name")
    _take(facts, told, "details", _DETAILS)
    state.groups[told.id("group_uuid")] = facts


def _group_changed(state: State, told: Told) -> None:
    facts = state.groups[told.id("group_uuid")]
    _take_one(facts, told, "name")
    _take(facts, told, "details", _DETAILS)
    facts["state"] = told.data.get("state", facts["state"])


def _group_closed(state: State, told: Told) -> None:
    state.groups[told.id("group_uuid")]["state"] = "inactive"


def _put_into_group(state: State, told: Told) -> None:
    group, groups = state.groups[told.id("group_uuid")], _the_member(state, told)["groups"]
    group["member_count"] += told.id("group_uuid") not in groups
    groups.add(told.id("group_uuid"))


def _taken_out_of_group(state: State, told: Told) -> None:
    group, groups = state.groups[told.id("group_uuid")], _the_member(state, told)["groups"]
    group["member_count"] -= told.id("group_uuid") in groups
    groups.discard(told.id("group_uuid"))


def _chat_started(state: State, told: Told) -> None:
    is_butler = told.data["is_butler"]
    facts: Facts = {
        "state": "active" if is_butler else "draft",
        "is_staff_only": told.data["is_staff_only"],
        "is_butler": is_butler,
        "created_by_entity_user_xref_uuid": told.entry["actor"].get("entity_user_xref_uuid"),
        "created_at": told.entry["at"],
        "last_seq": None,
        "last_message_at": None,
        "stays": {},
    }
    _take_one(facts, told, "title")
    state.chats[told.id("chat_uuid")] = facts
    if is_butler:
        _joined(state, told)


def _joined(state: State, told: Told) -> None:
    _the_member(state, told)  # whom nobody made cannot take part
    stay = {"state": "active", "joined_at": told.entry["at"], "left_at": None}
    state.chats[told.id("chat_uuid")]["stays"][told.id("entity_user_xref_uuid")] = stay


def _went(state: State, told: Told) -> None:
    chat, uuid = state.chats[told.id("chat_uuid")], told.id("entity_user_xref_uuid")
    if chat["state"] == "draft":  # who never saw it is forgotten
        chat["stays"].pop(uuid, None)
    else:
        chat["stays"][uuid] |= {"state": "former", "left_at": told.entry["at"]}


def _chat_renamed(state: State, told: Told) -> None:
    _take_one(state.chats[told.id("chat_uuid")], told, "title")


def _chat_discarded(state: State, told: Told) -> None:
    state.chats[told.id("chat_uuid")]["state"] = "discarded"


Effect = Callable[[State, Told], None]
EFFECTS: Final[Mapping[str, Effect]] = {
    "key.created": _key_named,
    "key.updated": _key_named,
    "member.created": _member_made,
    "member.joined": _becomes("active"),
    "member.updated": _member_changed,
    "member.role_changed": _gets("enum_profile_id"),
    "member.reviewer_level_changed": _gets("data_reviewer_level"),
    "member.avatar_changed": _gets("has_avatar"),
    "member.suspended": _becomes("suspended"),
    "member.unsuspended": _becomes("active"),
    "member.destroyed": _becomes("inactive"),
    "member.restored": _gets("state"),
    "group.created": _group_made,
    "group.updated": _group_changed,
    "group.destroyed": _group_closed,
    "group.member_added": _put_into_group,
    "group.member_removed": _taken_out_of_group,
    "chat.created": _chat_started,
    "chat.renamed": _chat_renamed,
    "chat.discarded": _chat_discarded,
    "participant.joined": _joined,
    "participant.left": _went,
    "participant.removed": _went,
}
"""What each type of entry changes of what is shown."""


# -- what is shown --------------------------------------------------------------------------------


def _members(state: State) -> Iterator[tuple[str, Facts]]:
    for uuid, facts in state.members.items():
        groups = sorted(facts["groups"], key=lambda one: state.groups[one]["number"])
        shown = {name: facts[name] for name in facts.keys() - {"groups", "number"}}
        yield (
            uuid,
            shown
            | {
                "entity_uuid": state.entity_uuid,
                "entity_user_xref_uuid": uuid,
                "profile": _ROLES[facts["enum_profile_id"]],
                "group_uuids": groups,
            },
        )


def _groups(state: State) -> Iterator[tuple[str, Facts]]:
    for uuid, facts in state.groups.items():
        yield uuid, {name: facts[name] for name in facts.keys() - {"number"}} | {"group_uuid": uuid}


def _chats(state: State) -> Iterator[tuple[str, Facts]]:
    for uuid, facts in state.chats.items():
        if facts["state"] == "discarded":  # it stands in the record alone
            continue
        people = sorted(facts["stays"], key=lambda one: state.members[one]["number"])
        participants = [
            {"entity_user_xref_uuid": one}
            | {name: state.members[one][name] for name in _OF_PARTICIPANT}
            | facts["stays"][one]
            for one in people
        ]
        has_clients = any(
            one["enum_profile_id"] in _CLIENT_SIDE and one["state"] == "active"
            for one in participants
        )
        shown = {name: facts[name] for name in facts.keys() - {"stays"}}
        yield (
            uuid,
            shown | {"chat_uuid": uuid, "has_clients": has_clients, "participants": participants},
        )


_LISTS: Final[Mapping[str, tuple[str, Callable[[State], Iterator[tuple[str, Facts]]]]]] = {
    MEMBERS: ("member", _members),
    GROUPS: ("group", _groups),
    CHATS: ("chat", _chats),
}


def compare_list(name: str, file: IO[bytes], state: State) -> None:
    """Compare a list with the state that the entries tell; fails with the first difference."""
    what, due = _LISTS[name]
    found = _objects(name, file)
    for uuid, facts in due(state):
        shown = next(found, None)
        if shown is None:
            fail(f"{name} lacks {what} {uuid}, whom the entries tell of")
        if shown.get(f"{_ID[what]}") != uuid:
            given = str(shown.get(_ID[what]))[:40]
            fail(f"{name} shows {what} {given} where the entries tell of {uuid}")
        _compare(f"{name}: {what} {uuid}", shown, facts)
    if next(found, None) is not None:
        fail(f"{name} shows a {what} that the entries do not tell of")


_ID: Final = {"member": "entity_user_xref_uuid", "group": "group_uuid", "chat": "chat_uuid"}


def _compare(place: str, shown: Facts, due: Facts) -> None:
    for name in sorted(due):
        if name not in shown:
            fail(f"{place} has no {name}")
        if not _is_same(shown[name], due[name]):
            fail(f"{place}: its {name} is not what the entries say")


def _is_same(one: object, other: object) -> bool:
    """Tell whether two values are the same JSON: in Python 1, 1.0 and true are equal."""
    if type(one) is type(other) and type(one) not in (dict, list):
        return one == other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _objects(name: str, file: IO[bytes]) -> Iterator[Facts]:
    """Yield the objects of a list one by one; fails where it is none."""
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    rest, at = text.read(PIECE), 1
    if rest[:1] != "[":
        fail(f"{name} is not a list of objects")
    if rest[1:2] != "]":  # as if a comma were before the first one too
        rest = f",{rest[1:]}"
        at = 0
    while True:
        if at == len(rest):
            rest, at = text.read(PIECE), 0
        if rest[at : at + 1] != ",":
            break
        value, rest, at = _object(name, text, rest, at + 1)
        yield value
    if rest[at:] + text.read(1) != "]":
        fail(f"{name} is not a list of objects and nothing else")


def _object(name: str, text: TextIOWrapper, rest: str, at: int) -> tuple[Facts, str, int]:
    """Return the next object, what was read, and where in it the object ends."""
    while True:
        try:
            value, end = _read(rest, at)
        except (ValueError, RecursionError):
            more = text.read(PIECE)
            if not more or len(rest) - at > OBJECT_LIMIT:
                fail(f"{name} is not a list of objects")
            rest, at = rest[at:] + more, 0
        else:
            if type(value) is not dict:
                fail(f"{name} is not a list of objects")
            return value, rest, end


def _once(pairs: list[tuple[str, Any]]) -> Facts:
    """Refuse an object that says a thing twice: readers would differ about it."""
    made = dict(pairs)
    if len(made) != len(pairs):
        fail("an object beside the record has a name twice")
    return made


_read: Final = json.JSONDecoder(object_pairs_hook=_once).raw_decode


# -- messages -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Messages:
    """The lines of the messages, compared as their entries are read."""

    lines: IO[bytes]
    count: int = 0
    names: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)
    """The names that messages tell of members and keys, which are those of the end."""

    def compare(self, told: Told) -> None:
        """Compare the next line with the entry of a message."""
        entry = told.entry
        self.count += 1
        place = f"{MESSAGES}: line {self.count}"
        shown = _in_line(self.lines.readline(LINE_LIMIT))
        if shown is None:
            fail(f"{place} is not message {entry['seq']} of chat {entry['chat_uuid']}")
        self._compare_names(place, shown, entry)
        _compare(place, shown, _message(told, shown))

    def _compare_names(self, place: str, shown: Facts, entry: Facts) -> None:
        """Note what the message calls whom; two messages must not call one differently."""
        actor, via, event = entry["actor"], shown.get("via"), shown.get("event")
        names: list[tuple[str, Any, Facts, tuple[str, ...]]] = []
        names += [
            ("member", actor.get("entity_user_xref_uuid"), shown, ("first_name", "last_name"))
        ]
        if type(via) is dict:
            names.append(("key", actor.get("api_key_uuid"), via, ("name",)))
        if type(event) is dict and "entity_user_xref_uuid" in entry:
            uuid = entry["entity_user_xref_uuid"]
            names.append(("member", uuid, event, ("first_name", "last_name")))
        for kind, uuid, where, fields in names:
            told = tuple(where.get(one) for one in fields)
            if uuid is None:
                is_same = not any(one is not None for one in told)
            else:
                is_same = self.names.setdefault((kind, uuid), told) == told
            if not is_same:
                fail(f"{place} calls {kind} {uuid} otherwise than the entries do")

    def finish(self, state: State) -> None:
        """Compare the names with those of the end, and see that nothing follows."""
        for (kind, uuid), told in self.names.items():
            if kind == "key":
                due: tuple[object, ...] = (state.key_names.get(uuid, {}).get("name"),)
            else:
                facts = state.members.get(uuid, {})
                due = (facts.get("first_name"), facts.get("last_name"))
            if told != due:
                fail(f"{MESSAGES} calls {kind} {uuid} otherwise than the entries do")
        if self.lines.read(1):
            fail(f"{MESSAGES} goes on after the last message that the entries tell of")


def _in_line(line: bytes) -> Facts | None:
    """Return the object that is all of a line; None where there is none."""
    try:
        text = line.decode()
        value, end = _read(text, 0)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict and text[end:] == "\n" else None


def _message(told: Told, shown: Facts) -> Facts:
    """Return what the line of a message must show; names are taken from it."""
    entry, parts = told.entry, told.parts
    is_event = entry["type"] != _SAID
    brings_files = "file" in parts
    via = shown["via"] if type(shown.get("via")) is dict else {}
    actor = entry["actor"]
    return {
        "chat_uuid": entry["chat_uuid"],
        "seq": entry["seq"],
        "kind": "event" if is_event else "attachment" if brings_files else "text",
        "entity_user_xref_uuid": actor.get("entity_user_xref_uuid"),
        "text": parts.get("text"),
        "reply_to_seq": entry["data"].get("reply_to_seq"),
        "attachments": [{name: one[name] for name in _OF_FILE} for one in parts.get("file") or ()],
        "event": _event(told, shown) if is_event else None,
        "sent_at": entry["at"],
        "via": {
            "kind": _VIA[actor["kind"]],
            "api_key_uuid": actor.get("api_key_uuid"),
            "name": via.get("name"),
        },
    }


def _event(told: Told, shown: Facts) -> Facts:
    entry = told.entry
    if "entity_user_xref_uuid" not in entry:
        return {"type": entry["type"], "title": told.parts.get("title")}
    event = shown["event"] if type(shown.get("event")) is dict else {}
    names = {name: event[name] for name in ("first_name", "last_name") if name in event}
    return {
        "type": entry["type"],
        "entity_user_xref_uuid": entry["entity_user_xref_uuid"],
        **names,
    }


# -- all of it ------------------------------------------------------------------------------------


def compare(entity_uuid: str, record: Iterable[bytes], shown: Mapping[str, IO[bytes]]) -> bool:
    """Compare files beside the record with its lines, which were verified; fails if they differ.

    ``shown`` gives the files by name. Returns whether they could be compared: not if the record
    has a type of entry that is not known here.
    """
    state = State(entity_uuid)
    messages = Messages(shown[MESSAGES]) if MESSAGES in shown else None
    for line in record:
        held = json.loads(line)
        if "entry" not in held:  # the header, the seal
            continue
        entry = json.loads(held["entry"])
        if not is_known(entry["type"]):
            return False
        parts = {
            name: None if part is None else json.loads(part["bytes"])
            for name, part in held.get("parts", {}).items()
        }
        told = Told(entry, parts)
        try:
            state.tell(told)
            if messages is not None and "seq" in entry:
                messages.compare(told)
        except (AttributeError, KeyError, TypeError):
            fail(f"the entry at position {entry['position']} cannot follow from those before")
    if messages is not None:
        messages.finish(state)
    for name in _LISTS:
        if name in shown:
            compare_list(name, shown[name], state)
    return True
