"""Why two members may or may not reach each other, now or at an earlier position of the record.

Now is told from the tables. What was is told from entries alone: those about the two members and
the few about groups and barriers, up to the position asked for. No table remembers what was.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from onrecord.domain import contacts, members
from onrecord.model import times
from onrecord.model.access import PROFILES
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Barrier, Member
from onrecord.store import contacts as rows
from onrecord.store import groups, record
from onrecord.store.work import Work

PAGE: Final = 1000
"""Entries read in one go."""

RULES: Final[Mapping[str, tuple[bool, str]]] = {
    "barrier": (False, "A barrier stands between groups of these two; it wins over everything."),
    "butler": (False, "The Butler is nobody's contact."),
    "no_member": (False, "One of them was no member yet."),
    "state": (
        False,
        "One must be active and the other active or suspended; one of them is neither.",
    ),
    "clients": (False, "Clients never see each other."),
    "shared_group": (True, "They are in an active group together."),
    "colleagues": (True, "Both are staff, and staff reach each other through the directory."),
    "no_shared_group": (False, "A client reaches only staff of an own group, and they share none."),
}
"""Every rule's stable word: whether it allows, and the sentence about it."""


class Explanation(msgspec.Struct, kw_only=True):
    """Whether two members may reach each other, and by which rule."""

    allowed: bool
    rule: str
    detail: str
    group_uuids: list[str]
    """Active groups both are in."""
    barriers: list[Barrier]
    """Barriers between a group of the one and a group of the other, where both are staff."""
    as_of: int


@dataclass(slots=True)
class Standing:
    """What is known of one member at a position."""

    profile: int | None = None
    """None: not a member yet."""
    state: str = ""
    groups: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Scene:
    """Two members, the groups that were active and the barriers that stood, at a position."""

    as_of: int
    standings: dict[str, Standing]
    """By the members' uuids."""
    active_groups: set[str] = field(default_factory=set)
    barriers: dict[frozenset[str], Barrier] = field(default_factory=dict)


# -- now -----------------------------------------------------------------------------------------


async def now(work: Work, one: str, other: str) -> Explanation:
    """Explain from the tables (RB003 the same member twice, RN006)."""
    pair = await _pair(work, one, other)
    head, _, _ = await record.head_of(work.db, work.actor.entity_id)
    scene = Scene(head, {})
    ids: list[list[int]] = []
    for member in pair:
        found = await groups.groups_with(work.db, member.id)
        ids.append([group.id for group in found])
        uuids = {group.uuid for group in found}
        scene.standings[member.uuid] = Standing(member.profile, member.state, uuids)
        scene.active_groups |= {group.uuid for group in found if group.state == "active"}
    for barrier in await groups.barriers_between(work.db, *ids):
        scene.barriers[frozenset((barrier.group_uuid, barrier.other_group_uuid))] = barrier
    return _explained(scene)


async def _pair(work: Work, one: str, other: str) -> tuple[Member, Member]:
    first = await members.pick(work, one, None)
    second = await members.pick(work, other, None)
    if first.id == second.id:
        raise malformed("other_entity_user_xref_uuid", "is the same member")
    return first, second


# -- then ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Question:
    """What is still to be read until the scene is as it was."""

    entity_id: int
    scene: Scene
    streams: list[int | None]
    """The ids of members whose entries are to be read, None for the general ones."""
    after: int = 0


async def ask(work: Work, one: str, other: str, at: str) -> Question:
    """Begin to find out how it was at `at`: a position, or an RFC 3339 time with an offset.

    A time means the last entry that is not later. RB003: neither of both, or the same member
    twice. RN006: no such member. RN008: a position above the head.
    """
    pair = await _pair(work, one, other)
    as_of = await _position(work, at)
    scene = Scene(as_of, {member.uuid: Standing() for member in pair})
    return Question(work.actor.entity_id, scene, [*(member.id for member in pair), None])


async def _position(work: Work, at: str) -> int:
    head, _, _ = await record.head_of(work.db, work.actor.entity_id)
    if at.isascii() and at.isdigit():
        if len(at) > len(str(head)) + 1 or int(at) > head:
            raise Refusal("RN008", "The record has not reached this position")
        return int(at)
    try:
        moment = times.read(at)
    except (ValueError, OverflowError):
        raise malformed(
            "at", "is neither a position nor a time such as 2026-11-22T10:00:00Z"
        ) from None
    low, high = 0, head
    while low < high:
        middle = (low + high + 1) // 2
        leaf = msgspec.json.decode(await rows.leaf_at(work.db, work.actor.entity_id, middle))
        if times.read(leaf["at"]) <= moment:
            low = middle
        else:
            high = middle - 1
    return low


async def read_on(work: Work, question: Question) -> Explanation | None:
    """Read one page of entries; give the explanation when there is nothing left to read.

    Each page may be read in a transaction of its own: what stands below a position never changes.
    """
    about = question.streams[0]
    if about is None:
        page = await rows.general_entries(
            work.db, question.entity_id, question.after, question.scene.as_of, PAGE
        )
    else:
        page = await rows.entries_about(work.db, about, question.after, question.scene.as_of, PAGE)
    for _, leaf in page:
        if _TELLING.search(bytes(leaf)):
            _apply(question.scene, msgspec.json.decode(leaf))
    if len(page) == PAGE:
        question.after = page[-1][0]
        return None
    question.after = 0
    question.streams.pop(0)
    return None if question.streams else _explained(question.scene)


def _apply(scene: Scene, entry: Mapping[str, Any]) -> None:
    effect = EFFECTS.get(entry["type"])
    if effect is not None:
        effect(scene, entry)


def _created(scene: Scene, entry: Mapping[str, Any]) -> None:
    standing = scene.standings[entry["entity_user_xref_uuid"]]
    standing.profile = entry["data"]["enum_profile_id"]
    standing.state = entry["data"]["state"]


def _becomes(state: str) -> Callable[[Scene, Mapping[str, Any]], None]:
    def effect(scene: Scene, entry: Mapping[str, Any]) -> None:
        scene.standings[entry["entity_user_xref_uuid"]].state = state

    return effect


def _restored(scene: Scene, entry: Mapping[str, Any]) -> None:
    scene.standings[entry["entity_user_xref_uuid"]].state = entry["data"]["state"]


def _role_changed(scene: Scene, entry: Mapping[str, Any]) -> None:
    standing = scene.standings[entry["entity_user_xref_uuid"]]
    standing.profile = entry["data"]["enum_profile_id"]


def _put_into_group(scene: Scene, entry: Mapping[str, Any]) -> None:
    scene.standings[entry["entity_user_xref_uuid"]].groups.add(entry["group_uuid"])


def _taken_out_of_group(scene: Scene, entry: Mapping[str, Any]) -> None:
    scene.standings[entry["entity_user_xref_uuid"]].groups.discard(entry["group_uuid"])


def _group_opened(scene: Scene, entry: Mapping[str, Any]) -> None:
    scene.active_groups.add(entry["group_uuid"])


def _group_closed(scene: Scene, entry: Mapping[str, Any]) -> None:
    scene.active_groups.discard(entry["group_uuid"])


def _group_updated(scene: Scene, entry: Mapping[str, Any]) -> None:
    state = entry["data"].get("state")
    if state is not None:
        (_group_opened if state == "active" else _group_closed)(scene, entry)


def _barrier_made(scene: Scene, entry: Mapping[str, Any]) -> None:
    pair = entry["group_uuid"], entry["other_group_uuid"]
    scene.barriers[frozenset(pair)] = Barrier(*pair, entry["at"])


def _barrier_lifted(scene: Scene, entry: Mapping[str, Any]) -> None:
    scene.barriers.pop(frozenset((entry["group_uuid"], entry["other_group_uuid"])), None)


EFFECTS: Final[Mapping[str, Callable[[Scene, Mapping[str, Any]], None]]] = {
    "member.created": _created,
    "member.joined": _becomes("active"),
    "member.suspended": _becomes("suspended"),
    "member.unsuspended": _becomes("active"),
    "member.destroyed": _becomes("inactive"),
    "member.restored": _restored,
    "member.role_changed": _role_changed,
    "group.member_added": _put_into_group,
    "group.member_removed": _taken_out_of_group,
    "group.created": _group_opened,
    "group.updated": _group_updated,
    "group.destroyed": _group_closed,
    "barrier.created": _barrier_made,
    "barrier.destroyed": _barrier_lifted,
}
"""What each type of entry does to the scene. A type that is not here changes nothing of it."""

# Most entries tell nothing about who reaches whom: they are not worth decoding.
_TELLING: Final = re.compile(
    b'"type":"(?:' + b"|".join(re.escape(name.encode()) for name in EFFECTS) + b')"'
)


# -- the rules -----------------------------------------------------------------------------------


def _explained(scene: Scene) -> Explanation:
    one, other = scene.standings.values()
    shared = one.groups & other.groups & scene.active_groups
    barriers = _between(scene, one, other)
    rule = _rule(one, other, shares=bool(shared), barred=bool(barriers))
    allowed, detail = RULES[rule]
    return Explanation(
        allowed=allowed,
        rule=rule,
        detail=detail,
        group_uuids=sorted(shared),
        barriers=barriers,
        as_of=scene.as_of,
    )


def _between(scene: Scene, one: Standing, other: Standing) -> list[Barrier]:
    if not (_side(one) == _side(other) == "staff"):
        return []
    found = [
        barrier
        for barrier in scene.barriers.values()
        if (barrier.group_uuid in one.groups and barrier.other_group_uuid in other.groups)
        or (barrier.group_uuid in other.groups and barrier.other_group_uuid in one.groups)
    ]
    return sorted(found, key=lambda barrier: sorted((barrier.group_uuid, barrier.other_group_uuid)))


def _side(standing: Standing) -> str:
    return PROFILES[standing.profile].side if standing.profile is not None else ""


def _rule(one: Standing, other: Standing, *, shares: bool, barred: bool) -> str:
    """Give the word of the first rule that decides."""
    sides = {_side(one), _side(other)}
    states = {one.state, other.state}
    rules = (
        ("no_member", "" in sides),
        ("butler", "butler" in sides),
        ("barrier", barred),
        ("clients", sides == {"client"}),
        ("state", "active" not in states or not states <= contacts.REACHABLE_STATES),
        ("shared_group", shares),
        ("colleagues", sides == {"staff"}),
    )
    return next((word for word, decides in rules if decides), "no_shared_group")
