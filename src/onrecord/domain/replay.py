"""What an organisation was like at a position of its record: rebuilt from the entries alone.

The current tables are never asked. Entries are read a page to a transaction and told to a scratch
database, so an organisation of any size takes the same memory. What was said is passed over but
for its number and moment. What an entry names and nobody has any more was lawfully erased: then
the fields it would have told are null, and stand in `erased`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from onrecord.domain.invitations import LIVES
from onrecord.model import times
from onrecord.model.people import Invitation
from onrecord.store import replay as rows
from onrecord.store.db import Session
from onrecord.store.scratch import Scratch, Thing

PAGE: Final = 1000
"""Entries read in one transaction (record.md, section 3)."""

Read = Callable[[Callable[[Session], Awaitable[Any]]], Awaitable[Any]]
"""Asks the tables in a transaction of its own."""

MEMBER: Final = "member"
GROUP: Final = "group"
CHAT: Final = "chat"
KEY: Final = "key"
IN_GROUP: Final = "in_group"
"""Links a member to a group."""
TAKES_PART: Final = "takes_part"
"""Links a chat to a member."""


class _Head(msgspec.Struct):
    """As much of an entry as decides whether it is worth decoding whole."""

    type: str
    at: str
    chat_uuid: str | None = None
    seq: int | None = None


@dataclass(slots=True)
class Scene:
    """The organisation at a position, as far as it has been told."""

    scratch: Scratch
    entity: dict[str, Any] = field(default_factory=dict)
    """Name, state and settings."""
    position: int = 0

    def member(self, uuid: str) -> Thing:
        """Give a member that has been told of."""
        return self.scratch.thing(MEMBER, uuid)


@dataclass(frozen=True, slots=True)
class Told:
    """One entry with its telling parts."""

    entry: Mapping[str, Any]
    parts: Mapping[str, Any]

    @property
    def at(self) -> str:
        """The moment of the entry."""
        return str(self.entry["at"])

    @property
    def data(self) -> Mapping[str, Any]:
        """The plain facts of the entry."""
        found: Mapping[str, Any] = self.entry["data"]
        return found

    def is_erased(self, name: str) -> bool:
        """Whether the entry had a part that is gone."""
        return name in self.entry.get("content", ()) and name not in self.parts


async def replayed(read: Read, entity_id: int, scene: Scene, as_of: int) -> AsyncIterator[int]:
    """Tell the scene every entry up to `as_of`; gives the position after each page."""
    while scene.position < as_of:
        after, last = scene.position, min(scene.position + PAGE, as_of)

        async def page(session: Session, after: int = after, last: int = last) -> Any:
            found = await rows.entries_between(session, entity_id, after, last)
            heads = [msgspec.json.decode(leaf, type=_Head) for _, leaf in found]
            if all(head.type not in EFFECTS for head in heads):
                return found, heads, []
            return found, heads, await rows.telling_parts(session, entity_id, after + 1, last)

        found, heads, parts = await read(page)
        told: dict[int, dict[str, Any]] = {}
        for position, name, data in parts:
            told.setdefault(position, {})[name] = msgspec.json.decode(data)
        for (position, leaf), head in zip(found, heads, strict=True):
            effect = EFFECTS.get(head.type)
            if effect is not None:
                effect(scene, Told(msgspec.json.decode(leaf), told.get(position, {})))
            if head.seq is not None and head.chat_uuid is not None:
                _said(scene.scratch.thing(CHAT, head.chat_uuid), head)
        scene.scratch.flush()
        scene.position = last
        yield last


def _said(chat: Thing, head: _Head) -> None:
    chat.facts["last_seq"], chat.facts["last_message_at"] = head.seq, head.at
    if head.type == "message.sent":
        chat.facts["state"] = "active"


def _take(facts: dict[str, Any], told: Told, part: str, names: Iterable[str]) -> None:
    """Take the values of a part that holds several; null for all where it was erased."""
    if told.is_erased(part):
        _know(facts, dict.fromkeys(names), erased=True)
    else:
        values = told.parts.get(part, {})
        _know(facts, {name: values[name] for name in names if name in values})


def _take_one(facts: dict[str, Any], told: Told, part: str, name: str) -> None:
    """Take the value of a part that holds one."""
    if told.is_erased(part):
        _know(facts, {name: None}, erased=True)
    elif part in told.parts:
        _know(facts, {name: told.parts[part]})


def _know(facts: dict[str, Any], values: Mapping[str, Any], *, erased: bool = False) -> None:
    gone = set(facts.get("erased", ()))
    gone = gone | values.keys() if erased else gone - values.keys()
    facts.update(values)
    facts["erased"] = sorted(gone)


# -- the organisation ----------------------------------------------------------------------------


def _organisation_made(scene: Scene, told: Told) -> None:
    if told.entry["organisation_uuid"] == told.entry["entity_uuid"]:
        scene.entity |= {
            "entity_uuid": told.entry["entity_uuid"],
            "state": "active",
            "settings": {},
            "created_at": told.at,
            "has_logo": False,
            "has_avatar": False,
        }
        _take_one(scene.entity, told, "name", "name")


def _organisation_renamed(scene: Scene, told: Told) -> None:
    _take_one(scene.entity, told, "name", "name")


def _organisation_state(scene: Scene, told: Told) -> None:
    scene.entity["state"] = told.data["state"]


def _organisation_picture(scene: Scene, told: Told) -> None:
    scene.entity[f"has_{told.data['which']}"] = told.data["has_picture"]


def _setting(scene: Scene, told: Told) -> None:
    scene.entity["settings"][told.data["key"]] = told.parts.get("setting")


def _key_named(scene: Scene, told: Told) -> None:
    uuid = told.entry["api_key_uuid"]
    if told.entry["type"] == "key.created":
        scene.scratch.add(KEY, uuid, {"name": None})
    _take_one(scene.scratch.thing(KEY, uuid).facts, told, "name", "name")


# -- members -------------------------------------------------------------------------------------

PROFILE: Final = (
    "first_name",
    "last_name",
    "job_title",
    "identifier",
    "primary_email",
    "primary_phone_number",
)
"""What the part `profile` of a new member holds."""
PUBLIC: Final = {"emails": "primary_email", "phone_numbers": "primary_phone_number"}
"""The public lists, and what each begins with."""


def _member_made(scene: Scene, told: Told) -> None:
    facts: dict[str, Any] = {
        "enum_profile_id": told.data["enum_profile_id"],
        "state": told.data["state"],
        "data_reviewer_level": 0,
        "has_avatar": False,
        "invitation": None,
        "created_at": told.at,
        "updated_at": told.at,
    }
    _take(facts, told, "profile", PROFILE)
    for name, first in PUBLIC.items():
        facts[name] = None if facts[first] is None and facts["erased"] else _listed(facts[first])
    if facts["erased"]:
        facts["erased"] = sorted({*facts["erased"], *PUBLIC})
    scene.scratch.add(MEMBER, told.entry["entity_user_xref_uuid"], facts)


def _listed(value: str | None) -> list[str]:
    return [] if value is None else [value]


def _the_member(scene: Scene, told: Told) -> Thing:
    """Give the member an entry is about, which changes by it."""
    member = scene.member(told.entry["entity_user_xref_uuid"])
    member.facts["updated_at"] = told.at
    return member


def _becomes(state: str) -> Callable[[Scene, Told], None]:
    def effect(scene: Scene, told: Told) -> None:
        _the_member(scene, told).facts["state"] = state

    return effect


def _member_changed(scene: Scene, told: Told) -> None:
    _take(_the_member(scene, told).facts, told, "profile", told.data["changes"])


def _gets(name: str) -> Callable[[Scene, Told], None]:
    """Make the effect that a fact becomes what the entry's data says of the same name."""

    def effect(scene: Scene, told: Told) -> None:
        _the_member(scene, told).facts[name] = told.data[name]

    return effect


# -- invitations ---------------------------------------------------------------------------------


def _invited(state: str, **more: Any) -> dict[str, Any]:
    """Give how far an invitation has come, as members show it."""
    invitation: dict[str, Any] = msgspec.to_builtins(Invitation(state, **more))
    return invitation


def _invitation_made(scene: Scene, told: Told) -> None:
    """Begin an invitation, or begin it anew; a reminder's link changes nothing yet.

    A link for the operator to hand over only makes an invitation live longer.
    """
    why = told.data["why"]
    if why == "reminder":
        return
    facts = scene.member(told.entry["entity_user_xref_uuid"]).facts
    if why != "created":  # who is invited while being made has not changed since
        facts["updated_at"] = told.at
    expires_at = times.wire(times.read(told.at) + LIVES)
    known = facts["invitation"]
    if why != "operator" or known is None:
        facts["invitation"] = _invited("not_sent", expires_at=expires_at)
        return
    state = known["state"] if known["state"] in {"sent", "bounced"} else "not_sent"
    facts["invitation"] = {**known, "state": state, "expires_at": expires_at}


def _invitation_sent(scene: Scene, told: Told) -> None:
    facts, reminder = _the_member(scene, told).facts, told.data["reminder"]
    known = facts["invitation"]
    facts["invitation"] = _invited(
        "sent",
        sent_at=(reminder and known["sent_at"]) or told.at,
        reminders_sent=reminder,
        expires_at=known["expires_at"],
    )


def _invitation_is(state: str) -> Callable[[Scene, Told], None]:
    def effect(scene: Scene, told: Told) -> None:
        _the_member(scene, told).facts["invitation"]["state"] = state

    return effect


def _member_joined(scene: Scene, told: Told) -> None:
    facts = _the_member(scene, told).facts
    facts["state"] = "active"
    if facts["invitation"] is not None:
        facts["invitation"] = _invited("accepted")


# -- groups --------------------------------------------------------------------------------------

DETAILS: Final = ("identifier", "description")
"""What the part `details` of a group holds."""


def _group_made(scene: Scene, told: Told) -> None:
    facts: dict[str, Any] = {
        "identifier": None,
        "description": "",
        "state": "active",
        "is_default": told.data["is_default"],
        "created_at": told.at,
        "updated_at": told.at,
    }
    _take_one(facts, told, "name", "name")
    _take(facts, told, "details", DETAILS)
    scene.scratch.add(GROUP, told.entry["group_uuid"], facts)


def _the_group(scene: Scene, told: Told) -> Thing:
    group = scene.scratch.thing(GROUP, told.entry["group_uuid"])
    group.facts["updated_at"] = told.at
    return group


def _group_changed(scene: Scene, told: Told) -> None:
    facts = _the_group(scene, told).facts
    _take_one(facts, told, "name", "name")
    _take(facts, told, "details", DETAILS)
    facts["state"] = told.data.get("state", facts["state"])


def _group_closed(scene: Scene, told: Told) -> None:
    _the_group(scene, told).facts["state"] = "inactive"


def _put_into_group(scene: Scene, told: Told) -> None:
    scene.scratch.link(IN_GROUP, _the_member(scene, told), _the_group(scene, told), {})


def _taken_out_of_group(scene: Scene, told: Told) -> None:
    scene.scratch.unlink(IN_GROUP, _the_member(scene, told), _the_group(scene, told))


# -- chats ---------------------------------------------------------------------------------------


def _chat_started(scene: Scene, told: Told) -> None:
    is_butler = told.data["is_butler"]
    facts: dict[str, Any] = {
        "state": "active" if is_butler else "draft",
        "is_staff_only": told.data["is_staff_only"],
        "is_butler": is_butler,
        "created_by": told.entry["actor"].get("entity_user_xref_uuid"),
        "created_at": told.at,
        "last_seq": None,
        "last_message_at": None,
    }
    _take_one(facts, told, "title", "title")
    chat = scene.scratch.add(CHAT, told.entry["chat_uuid"], facts)
    if is_butler:
        member = scene.member(told.entry["entity_user_xref_uuid"])
        scene.scratch.link(TAKES_PART, chat, member, _stay(told))


def _stay(told: Told) -> dict[str, Any]:
    return {"state": "active", "joined_at": told.at, "left_at": None}


def _the_chat(scene: Scene, told: Told) -> Thing:
    return scene.scratch.thing(CHAT, told.entry["chat_uuid"])


def _chat_renamed(scene: Scene, told: Told) -> None:
    _take_one(_the_chat(scene, told).facts, told, "title", "title")


def _chat_discarded(scene: Scene, told: Told) -> None:
    _the_chat(scene, told).facts["state"] = "discarded"


def _joined(scene: Scene, told: Told) -> None:
    member = scene.member(told.entry["entity_user_xref_uuid"])
    scene.scratch.link(TAKES_PART, _the_chat(scene, told), member, _stay(told))


def _went(scene: Scene, told: Told) -> None:
    chat, member = _the_chat(scene, told), scene.member(told.entry["entity_user_xref_uuid"])
    if chat.facts["state"] == "draft":  # who never saw it is forgotten
        scene.scratch.unlink(TAKES_PART, chat, member)
        return
    stay = scene.scratch.linked(TAKES_PART, chat, member)
    scene.scratch.link(TAKES_PART, chat, member, {**stay, "state": "former", "left_at": told.at})


EFFECTS: Final[Mapping[str, Callable[[Scene, Told], None]]] = {
    "entity.created": _organisation_made,
    "entity.updated": _organisation_renamed,
    "entity.state_changed": _organisation_state,
    "entity.picture_changed": _organisation_picture,
    "setting.changed": _setting,
    "key.created": _key_named,
    "key.updated": _key_named,
    "member.created": _member_made,
    "member.joined": _member_joined,
    "member.updated": _member_changed,
    "member.role_changed": _gets("enum_profile_id"),
    "member.reviewer_level_changed": _gets("data_reviewer_level"),
    "member.avatar_changed": _gets("has_avatar"),
    "member.suspended": _becomes("suspended"),
    "member.unsuspended": _becomes("active"),
    "member.destroyed": _becomes("inactive"),
    "member.restored": _gets("state"),
    "invitation.made": _invitation_made,
    "invitation.sent": _invitation_sent,
    "invitation.bounced": _invitation_is("bounced"),
    "invitation.revoked": _invitation_is("revoked"),
    "invitation.expired": _invitation_is("expired"),
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
"""What each type of entry does to the scene. A type that is not here changes nothing of it."""
