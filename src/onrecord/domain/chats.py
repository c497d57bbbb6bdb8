"""Chats: starting them, naming them, coming and going (product.md, section 5)."""

import uuid
from collections.abc import Mapping, Sequence

from onrecord.domain import contacts, messages
from onrecord.model import text, times
from onrecord.model.access import BY_HAND, MemberRef
from onrecord.model.chats import MOST_PARTICIPANTS
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Member
from onrecord.store import access
from onrecord.store import chats as rows
from onrecord.store.chats import Participant, WritingFacts
from onrecord.store.record import ChatTip, Pending
from onrecord.store.work import Work


async def create(
    work: Work,
    *,
    uuids: Sequence[str] | None,
    identifiers: Sequence[str] | None,
    title: str,
    is_staff_only: bool = False,
    first_text: str | None = None,
) -> str:
    """Start a chat as the acting member and give its uuid.

    It is a draft that only its creator sees until the first message. RB785: nobody was named.
    RB003: nobody besides the creator, or a title or text that cannot be. RB015: more than 100.
    RB021: a client in a staff-only chat. RN006, RF003, RF007: somebody who cannot be reached.
    """
    member = _acting(work)
    title = text.check("title", title, least=0, most=text.TITLE_MAX).strip() and title
    if first_text is not None:
        text.check("text", first_text, least=1, most=text.TEXT_MAX)
    named = await contacts.named(work, uuids, identifiers)
    others = [other for other in named if other.id != member.id]
    if not others:
        raise malformed("entity_user_xref_uuids", "needs one participant besides the creator")
    if len(others) + 1 > MOST_PARTICIPANTS:
        raise Refusal("RB015")
    await contacts.check_reachable(work, member, others)
    await contacts.check_barriers(work, [member.id, *(other.id for other in others)])
    if is_staff_only and (member.is_client or any(other.is_client for other in others)):
        raise Refusal("RB021")
    chat = await _add(work, member, others, title or text.DEFAULT_TITLE, staff_only=is_staff_only)
    if first_text is not None:
        await _say_first(work, member, chat, first_text)
    await work.settle()
    return chat.uuid


async def _add(
    work: Work, creator: MemberRef, others: Sequence[Member], title: str, *, staff_only: bool
) -> ChatTip:
    chat_uuid = str(uuid.uuid4())
    number = await rows.add_chat(
        work.db,
        {
            "uuid": chat_uuid,
            "entity_id": work.actor.entity_id,
            "title": title,
            "title_key": text.search_key(title),
            "state": rows.DRAFT,
            "is_staff_only": int(staff_only),
            "created_by_id": creator.id,
            "created_at": times.now(),
        },
    )
    tip = ChatTip(number, chat_uuid, rows.DRAFT, -1, 0, 0, 0)
    created = work.record(
        "chat.created",
        chat=tip,
        data={"is_staff_only": staff_only, "is_butler": False},
        parts={"title": title},
    )
    ids = [creator.id, *(other.id for other in others)]
    for member_id, member_uuid in zip(
        ids, [creator.uuid, *(other.uuid for other in others)], strict=True
    ):
        work.record(
            "participant.joined",
            chat=tip,
            ids={"entity_user_xref_uuid": member_uuid},
            subject=member_id,
        )
    await rows.add_participants(work.db, number, ids)
    work.on_settled.append(
        lambda: rows.joined_at_positions(
            work.db, number, [(member_id, created.position) for member_id in ids]
        )
    )
    return tip


async def _say_first(work: Work, author: MemberRef, tip: ChatTip, body: str) -> None:
    """Send the first message of a chat that was made in this very work."""
    tip.last_seq, tip.state = 0, rows.ACTIVE
    work.record("message.sent", chat=tip, seq=0, parts={"text": body})
    if work.actor.kind in BY_HAND:
        await rows.note_sent_by_hand(work.db, [(tip.id, author.id, 0)])


def _acting(work: Work) -> MemberRef:
    if work.actor.member is None:
        raise Refusal("RF004")
    return work.actor.member


# -- acts in a chat ------------------------------------------------------------------------------


async def _entered(work: Work, chat_uuid: str) -> tuple[MemberRef, WritingFacts]:
    """Lock a chat the acting member is an active participant of (RB003, RN001, RF005, RF001)."""
    member = _acting(work)
    chat_uuid = text.check_uuid("chat_uuid", chat_uuid)
    place = (work.actor.entity_id, chat_uuid, member.id)
    fact = (await rows.writing_facts(work.db, [place])).get((chat_uuid, member.id))
    if fact is None:
        raise Refusal("RN001")
    messages.check_takes_part(fact, member)
    return member, fact


def _note(
    work: Work,
    tip: ChatTip,
    name: str,
    *,
    about: Participant | Member | MemberRef | None = None,
    parts: Mapping[str, str] | None = None,
) -> Pending:
    """Put an act on record: in a chat that has begun it is a message too, in a draft it is not."""
    seq = None
    if tip.state == rows.ACTIVE:
        tip.last_seq += 1
        seq = tip.last_seq
    return work.record(
        name,
        chat=tip,
        seq=seq,
        ids={"entity_user_xref_uuid": about.uuid} if about else {},
        parts=parts,
        subject=about.id if about else None,
    )


async def rename(work: Work, chat_uuid: str, title: str) -> None:
    """Give a chat another title of 1 to 500 characters; any participant may (RB003).

    RN001, RF001, RF005: not the actor's to name. RF007: a barrier runs through it. The same title
    again changes nothing.
    """
    text.check("title", title, least=1, most=text.TITLE_MAX)
    _, fact = await _entered(work, chat_uuid)
    messages.check_not_barred(fact)
    if await rows.set_title(work.db, fact.tip.id, title):
        _note(work, fact.tip, "chat.renamed", parts={"title": title})


async def invite(
    work: Work, chat_uuid: str, uuids: Sequence[str] | None, identifiers: Sequence[str] | None
) -> None:
    """Add participants, who see the whole history; who takes part already stays.

    Staff may add their contacts and other staff, clients their contacts where the organisation
    allows it (RF002). RB785: nobody was named. RB003: an empty list. RB015: more than 100. RB021:
    a client in a staff-only chat. RF003, RF007, RN006: somebody who cannot be reached. RN001,
    RF001, RF005: not a chat the actor takes part in.
    """
    member, fact = await _entered(work, chat_uuid)
    await _check_may_add(work, member)
    messages.check_not_barred(fact)
    named = await contacts.named(work, uuids, identifiers)
    if not named:
        raise malformed("entity_user_xref_uuids", "names nobody")
    present = await rows.participants_in(work.db, fact.tip.id)
    staying = [one for one in present.values() if one.state == rows.ACTIVE]
    newcomers = [one for one in named if not _takes_part(present, one)]
    if not newcomers:
        return
    if len(staying) + len(newcomers) > MOST_PARTICIPANTS:
        raise Refusal("RB015")
    await contacts.check_reachable(work, member, newcomers)
    if fact.is_staff_only and any(one.is_client for one in newcomers):
        raise Refusal("RB021")
    ids = [one.id for one in staying]
    await contacts.check_barriers(work, [*ids, *(one.id for one in newcomers)])
    await _let_in(work, fact.tip, newcomers, present)


def _takes_part(present: Mapping[int, Participant], member: Member) -> bool:
    known = present.get(member.id)
    return known is not None and known.state == rows.ACTIVE


async def _check_may_add(work: Work, member: MemberRef) -> None:
    if member.is_staff:
        return
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is None or not entity.settings.get("clients_may_add_participants", False):
        raise Refusal("RF002")


async def _let_in(
    work: Work, tip: ChatTip, newcomers: Sequence[Member], present: Mapping[int, Participant]
) -> None:
    joined = [(one, _note(work, tip, "participant.joined", about=one)) for one in newcomers]
    back = [one.id for one in newcomers if one.id in present]
    await rows.take_back(work.db, tip.id, back)
    await rows.add_participants(
        work.db, tip.id, [one.id for one in newcomers if one.id not in present]
    )
    work.on_settled.append(
        lambda: rows.joined_at_positions(
            work.db, tip.id, [(one.id, entry.position) for one, entry in joined]
        )
    )


async def leave(work: Work, chat_uuid: str) -> None:
    """Leave a chat; what was said so far can still be read.

    RN001, RF001, RF005: not a chat the actor takes part in. RB019: a draft, which is discarded.
    """
    member, fact = await _entered(work, chat_uuid)
    if fact.tip.state == rows.DRAFT:
        raise Refusal("RB019", "A draft cannot be left; discard it instead")
    await _let_go(work, fact, [(member, _note(work, fact.tip, "participant.left", about=member))])


async def remove(
    work: Work, chat_uuid: str, uuids: Sequence[str] | None, identifiers: Sequence[str] | None
) -> None:
    """Take participants out of a chat; staff participants may (RF002). Who has gone stays gone.

    RB785: nobody was named. RB003: an empty list, or oneself. RN006: somebody who never took
    part. RB019: nobody would be left in a draft. RN001, RF001, RF005: not a chat the actor takes
    part in.
    """
    member, fact = await _entered(work, chat_uuid)
    if not member.is_staff:
        raise Refusal("RF002")
    named = await contacts.named(work, uuids, identifiers)
    if not named:
        raise malformed("entity_user_xref_uuids", "names nobody")
    present = await rows.participants_in(work.db, fact.tip.id)
    if any(one.id not in present for one in named):
        raise Refusal("RN006", "One of the members takes no part in the chat")
    if any(one.id == member.id for one in named):
        raise malformed("entity_user_xref_uuids", "names oneself: leave the chat instead")
    going = [one for one in named if _takes_part(present, one)]
    if fact.tip.state == rows.DRAFT and len(going) + 1 >= len(present):
        raise Refusal("RB019", "A draft needs somebody besides its creator; discard it instead")
    gone = [(one, _note(work, fact.tip, "participant.removed", about=one)) for one in going]
    await _let_go(work, fact, gone)


async def _let_go(
    work: Work, fact: WritingFacts, gone: Sequence[tuple[Member | MemberRef, Pending]]
) -> None:
    """Make participants former ones, who see the chat up to the entry of their going.

    Who is taken out of a draft has never seen it, and is forgotten there.
    """
    chat_id = fact.tip.id
    if fact.tip.state == rows.DRAFT:
        await rows.forget_participants(work.db, chat_id, [one.id for one, _ in gone])
        if fact.is_barred:
            await rows.mark_barred(work.db, work.actor.entity_id, chat_id)
        return

    async def note_until() -> None:
        ends = [(one.id, entry.position, entry.seq or 0) for one, entry in gone]
        await rows.let_go(work.db, chat_id, ends)
        if fact.is_barred:
            await rows.mark_barred(work.db, work.actor.entity_id, chat_id)

    work.on_settled.append(note_until)


async def discard(work: Work, chat_uuid: str) -> None:
    """Throw the acting member's own draft away (RN001); RB019: it is no draft any more."""
    _, fact = await _entered(work, chat_uuid)
    if fact.tip.state != rows.DRAFT:
        raise Refusal("RB019", "The chat has begun: only a draft can be discarded")
    fact.tip.state = rows.DISCARDED
    _note(work, fact.tip, "chat.discarded")


# -- the end of a membership ---------------------------------------------------------------------


async def leave_for_good(work: Work, member: Member, chat_uuids: Sequence[str]) -> None:
    """Take a member whose membership has ended out of chats; own drafts are thrown away.

    The Butler chat stays: nobody leaves it, and the Butler says nothing to who is inactive.
    """
    wanted = [(work.actor.entity_id, uuid, member.id) for uuid in chat_uuids]
    facts = await rows.writing_facts(work.db, wanted)
    for fact in sorted(facts.values(), key=lambda one: one.tip.id):
        if fact.participant != rows.ACTIVE or fact.is_butler or fact.tip.state == rows.DISCARDED:
            continue
        if fact.tip.state == rows.DRAFT and fact.created_by_id == member.id:
            fact.tip.state = rows.DISCARDED
            _note(work, fact.tip, "chat.discarded")
            continue
        left = _note(work, fact.tip, "participant.left", about=member)
        await _let_go(work, fact, [(member, left)])
