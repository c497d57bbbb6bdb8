"""The Butler: the organisation's one-way voice (product.md, sections 1 and 5).

Every member has one Butler chat, made with the first thing the Butler says to that member. Nobody
writes into it, leaves it, mutes it or puts it into an archive.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from onrecord.domain import attachments, messages
from onrecord.model import text, times
from onrecord.model.access import BUTLER, CAN_LOG_IN, Actor
from onrecord.model.chats import Recipient, Said
from onrecord.model.errors import FieldError, Refusal
from onrecord.model.people import Member
from onrecord.store import butler as store
from onrecord.store import people
from onrecord.store.attachments import Stored
from onrecord.store.chats import ACTIVE
from onrecord.store.record import ChatTip, Pending
from onrecord.store.work import Work

SLICE: Final = 500
"""Recipients of one work at the most (record.md, section 1)."""
HEARING: Final = frozenset({"active", "suspended"})
"""States in which a member is spoken to; the suspended read it when they are back."""

_PLACEHOLDER: Final = re.compile("<First Name>|<Last Name>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Whom the Butler speaks to: everybody named in any way, each once."""

    uuids: Sequence[str] = ()
    identifiers: Sequence[str] = ()
    everyone: bool = False
    profiles: Sequence[int] = ()
    group_uuids: Sequence[str] = ()


def check_text(body: str | None) -> None:
    """Refuse (RB003) what no message may hold, before the placeholders are filled."""
    messages.check_text(body)


async def recipients(work: Work, audience: Audience) -> list[Recipient]:
    """Give whom the Butler will speak to, those named first and in the order named.

    RB002: nobody at all. RB003: a malformed uuid or identifier, a role that is none. RN002: no
    such group. A uuid or identifier of nobody is a recipient too, whose result says so.
    """
    entity_id = work.actor.entity_id
    found = await _named(work, audience)
    _check_roles(audience.profiles)
    groups = text.check_uuids("audience/group_uuids", audience.group_uuids)
    known = await store.groups_known(work.db, entity_id, groups) if groups else 0
    if known != len(groups):
        raise Refusal("RN002")
    profiles = sorted(CAN_LOG_IN) if audience.everyone else list(audience.profiles)
    for number, member_uuid in await store.audience(work.db, entity_id, profiles, groups):
        found.setdefault(member_uuid, Recipient(number, member_uuid))
    if not found:
        nobody = FieldError("/audience", "names nobody")
        raise Refusal("RB002", "There is nobody to speak to", fields=[nobody])
    return list(found.values())


def _check_roles(profiles: Sequence[int]) -> None:
    for number, profile in enumerate(profiles):
        if profile not in CAN_LOG_IN:
            place = f"audience/enum_profile_ids/{number}"
            why = "is not a role from 1 to 5"
            raise Refusal("RB003", f"{place} {why}", fields=[FieldError(f"/{place}", why)])


async def _named(work: Work, audience: Audience) -> dict[str, Recipient]:
    uuids = text.check_uuids("entity_user_xref_uuids", audience.uuids)
    for identifier in audience.identifiers:
        text.check("identifiers", identifier, least=1, most=text.IDENTIFIER_MAX)
    here = work.db, work.actor.entity_id
    by_uuid = {one.uuid: one for one in await people.members_of(*here, uuids)}
    identified = {
        one.identifier: one for one in await people.members_identified(*here, audience.identifiers)
    }
    found: dict[str, Recipient] = {}
    for member_uuid in uuids:
        member = by_uuid.get(member_uuid)
        found[member_uuid] = Recipient(member.id if member else 0, member_uuid)
    for identifier in audience.identifiers:
        member = identified.get(identifier)
        if member:
            found.setdefault(member.uuid, Recipient(member.id, member.uuid))
        else:
            found.setdefault(f"identifier {identifier}", Recipient(0, "", identifier))
    return found


async def say(
    work: Work, to: Sequence[Recipient], body: str | None, files: Sequence[Stored] = ()
) -> list[Said]:
    """Say a text, files or both to at most 500 recipients, and tell what became of each.

    `<First Name>` and `<Last Name>` become the recipient's. Codes of single results: RN006 nobody
    of that name, RB035 the Butler itself, RF024 a member who is neither active nor suspended,
    RB003 a text that is too long once the names are in it.
    """
    if len(to) > SLICE:
        msg = f"a work speaks to {SLICE} at the most"
        raise ValueError(msg)
    butler = await people.butler_of(work.db, work.actor.entity_id)
    voice = replace(work.actor, member=butler.ref)
    members = await people.members_by_id(work.db, [one.id for one in to if one.id])
    texts: dict[int, str | None] = {}
    refused: dict[Recipient, str] = {}
    for one in to:
        try:
            texts[one.id] = _addressed(members.get(one.id), body)
        except Refusal as refusal:
            refused[one] = refusal.code
    heard = [member for number, member in members.items() if number in texts]
    tips = await _butler_chats(work, voice, heard)
    shown = tuple(map(attachments.shown, files))
    entries = []
    for number, tip in tips.items():
        tip.last_seq += 1
        tip.state = ACTIVE
        entry = work.record(
            "message.sent",
            chat=tip,
            seq=tip.last_seq,
            parts=messages.parts_of(texts[number], shown),
            actor=voice,
        )
        entries.append(entry)
    attachments.note_sent(work, files, entries)
    return [_said(one, refused, tips) for one in to]


def _addressed(member: Member | None, body: str | None) -> str | None:
    """Give the text as this member will read it; None where there is none."""
    if member is None:
        raise Refusal("RN006")
    if member.profile == BUTLER:
        raise Refusal("RB035")
    if member.state not in HEARING:
        raise Refusal("RF024")
    if body is None:
        return None
    names = {"<First Name>": member.first_name, "<Last Name>": member.last_name}
    filled = _PLACEHOLDER.sub(lambda match: names[match[0]], body)
    return text.check("text", filled, least=1, most=text.TEXT_MAX)


def _said(one: Recipient, refused: Mapping[Recipient, str], tips: Mapping[int, ChatTip]) -> Said:
    if one.identifier:
        return Said(identifier=one.identifier, error_code=refused[one])
    if one in refused:
        return Said(one.uuid, error_code=refused[one])
    tip = tips[one.id]
    return Said(one.uuid, chat_uuid=tip.uuid, seq=tip.last_seq)


async def _butler_chats(work: Work, voice: Actor, members: Sequence[Member]) -> dict[int, ChatTip]:
    """Lock the members' Butler chats, making those that are missing; by the member's id."""
    tips = await store.butler_tips(work.db, [member.id for member in members])
    missing = [member for member in members if member.id not in tips]
    if not missing or voice.member is None:
        return tips
    title = voice.member.first_name
    uuids = {member.id: str(uuid.uuid4()) for member in missing}
    numbers = await store.add_butler_chats(
        work.db, work.actor.entity_id, voice.member.id, title, uuids, times.now()
    )
    made: list[tuple[ChatTip, Member, Pending]] = []
    for member in missing:
        tip = ChatTip(numbers[member.id], uuids[member.id], ACTIVE, -1, 0, 0, 0)
        tips[member.id] = tip
        created = work.record(
            "chat.created",
            chat=tip,
            # Whose it is stands here for good: nobody joins or leaves a Butler chat.
            ids={"entity_user_xref_uuid": member.uuid},
            data={"is_staff_only": False, "is_butler": True},
            parts={"title": title},
            subject=member.id,
            actor=voice,
        )
        made.append((tip, member, created))
    work.on_settled.append(
        lambda: store.add_participants_since(
            work.db, [(tip.id, member.id, created.position) for tip, member, created in made]
        )
    )
    return tips
