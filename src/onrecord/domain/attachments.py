"""Attachments: files on their way into a chat, and back to whoever sees the message.

An upload waits an hour to be sent, by whoever uploaded it and into the chat it was uploaded for;
until then it is personal and no part of the record. What is sent stands in the part `file` of its
message. The bytes lie outside the database: whoever stores them there notes the name first, so
that what a crash leaves behind is found.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from onrecord.domain import messages, organisation_settings
from onrecord.domain.messages import Outgoing, Sent
from onrecord.model import filenames, files, text, times
from onrecord.model.access import Kind
from onrecord.model.chats import Attachment
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.model.people import Picture
from onrecord.store import attachments as rows
from onrecord.store.attachments import Stored
from onrecord.store.db import Caller, Session
from onrecord.store.record import Pending
from onrecord.store.work import Work

WAITS: Final = 3600 * times.SECOND
"""How long an upload waits to be sent."""
WAITING_MOST: Final = 100
"""Uploads of one member that may wait at once."""
WAITING_BYTES: Final = 1024**3
"""Bytes that the waiting uploads of one member may have; a single file may have more."""
FILES_MOST: Final = 20
"""Files of one message."""
LINK_LIVES: Final = 10 * times.SECOND
"""How long a download link can be used."""
LOOSE_FOR: Final = 3600 * times.SECOND
"""After how long a file that belongs to nothing is one that was cut short."""
SWEPT: Final = 200
"""Files swept in one work."""
TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has been looked into and stored, before anything says that it is there."""

    uuid: str
    filename: str
    content_type: str
    size: int
    sha256: str
    crc32: int
    preview: Picture | None = None


# -- taking in -----------------------------------------------------------------------------------


async def largest(work: Work) -> int:
    """Give how many bytes a file may have in the actor's organisation."""
    return int(await organisation_settings.value(work, "attachment_max_bytes"))


async def check_name(work: Work, filename: str) -> str:
    """Give the name by which a file is kept, or refuse it by its ending (RB016)."""
    name = filenames.cleaned(filename)
    if not name:
        raise Refusal("RB016", "The file has no name")
    ending = filenames.ending_of(name)
    taken = await organisation_settings.value(work, "attachment_types")
    if files.type_of(ending, taken) is None:
        told = f"Files that end in .{ending[:20]}" if ending else "Files without an ending"
        taken_here = ", ".join(sorted(taken or files.DEFAULT_ENDINGS))
        raise Refusal("RB016", f"{told} are not taken; taken are {taken_here}")
    return name


async def check_may_upload(work: Work, chat_uuid: str | None, size: int) -> int | None:
    """Give the internal id of the chat that a file is for, None for the Butler.

    RB002: no chat, where it is not for the Butler. RB016: the file is empty. RN001, RF001, RF005,
    RF007: as for writing there. RU029: too much waits to be sent already.
    """
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    if not size:
        raise Refusal("RB016", "The file is empty")
    chat_id = None
    if chat_uuid is not None:
        chat_id = (await messages.check_may_write(work, chat_uuid)).tip.id
    elif work.actor.kind is not Kind.MASTER_USER:  # nobody else speaks as the Butler
        raise missing("chat_uuid")
    now = times.now()
    count, waiting, first = await rows.waiting_of(work.db, member.id, now)
    if count >= WAITING_MOST or (count and waiting + size > WAITING_BYTES):
        raise Refusal(
            "RU029",
            f"At most {WAITING_MOST} uploads and {WAITING_BYTES} bytes wait to be sent",
            retry_after=max(1, (first - now) // times.SECOND),
        )
    return chat_id


async def note_loose(work: Work, name: str) -> None:
    """Note that something is about to be stored under a name."""
    await rows.note_loose(work.db, name, times.now())


async def take_in(work: Work, chat_uuid: str | None, upload: Upload) -> Attachment:
    """Let a stored file wait to be sent; refusals as `check_may_upload`, judged again.

    RX503: it took so long that the file was swept away.
    """
    chat_id = await check_may_upload(work, chat_uuid, upload.size)
    actor, preview = work.actor, upload.preview
    if not await rows.take_loose(work.db, rows.name_of(actor.entity_uuid, upload.uuid)):
        raise Refusal("RX503", "Storing the file took too long")
    now = times.now()
    await rows.add(
        work.db,
        {
            "uuid": upload.uuid,
            "entity_id": actor.entity_id,
            "chat_id": chat_id,
            "member_id": actor.member.id if actor.member else 0,
            "api_key_id": actor.key.id if actor.key else None,
            "filename": upload.filename,
            "content_type": upload.content_type,
            "size": upload.size,
            "sha256": upload.sha256,
            "crc32": upload.crc32,
            "preview_type": preview.content_type if preview else None,
            "preview_digest": preview.digest if preview else None,
            "created_at": now,
            "waits_until": now + WAITS,
        },
    )
    return Attachment(upload.uuid, upload.filename, upload.content_type, upload.size, upload.sha256)


# -- sending -------------------------------------------------------------------------------------


def shown(stored: Stored) -> Attachment:
    """Give what a message says of a file."""
    return Attachment(stored.uuid, stored.filename, stored.content_type, stored.size, stored.sha256)


def named(uuid: str | None, uuids: Sequence[str] | None) -> list[str]:
    """Give the attachments that a call names in either way, 1 to 20, each once; RB002, RB003."""
    alone = [] if uuid is None else [text.check_uuid("attachment_uuid", uuid)]
    listed = text.check_uuids("attachment_uuids", uuids or [])
    wanted = [*alone, *listed]
    if not wanted:
        raise missing("attachment_uuid")
    if len(wanted) > FILES_MOST:
        raise malformed("attachment_uuids", f"must not hold more than {FILES_MOST}")
    if len(listed) < len(uuids or []) or len(set(wanted)) < len(wanted):
        raise malformed("attachment_uuids", "names a file twice")
    return wanted


async def send(
    work: Work,
    chat_uuid: str,
    uuids: Sequence[str],
    body: str | None = None,
    reply_to_seq: int | None = None,
) -> Sent:
    """Send uploads as the work's actor, with a text or without; refusals as `messages.append`.

    RN004: one of them is not the actor's, was not uploaded for this chat, or waits no more.
    """
    actor, member = work.actor, work.actor.member
    found = await rows.to_send(work.db, actor.entity_id, uuids)
    brought = [found[uuid] for uuid in uuids if uuid in found]
    caller = Caller(actor, work.origin)
    item = Outgoing(caller, actor, chat_uuid, body, reply_to_seq, tuple(map(shown, brought)))
    (sent,) = await messages.append(work, [item])
    # What the chat refuses comes first. A refusal after that takes the message back with it.
    if isinstance(sent, Refusal):
        raise sent
    now = times.now()
    for one in brought:
        mine = member is not None and one.member_id == member.id
        if not mine or one.chat_id != sent.chat_id or (one.waits_until or 0) <= now:
            raise Refusal("RN004")
    if len(brought) < len(uuids):
        raise Refusal("RN004")
    note_sent(work, brought, [sent.entry])
    return sent


async def for_butler(work: Work, uuids: Sequence[str]) -> list[Stored]:
    """Give uploads without a chat for the Butler to send (RN004).

    They are the acting member's, or were uploaded with the same key. What the Butler has sent can
    be sent to more people, at any time.
    """
    actor, now = work.actor, times.now()
    found = await rows.to_send(work.db, actor.entity_id, uuids)
    if len(found) < len(uuids):
        raise Refusal("RN004")
    for one in found.values():
        mine = actor.member is not None and one.member_id == actor.member.id
        mine = mine or (actor.key is not None and one.api_key_id == actor.key.id)
        waits = one.waits_until is None or one.waits_until > now
        if not mine or not waits or one.chat_id is not None:
            raise Refusal("RN004")
    return [found[uuid] for uuid in uuids]


def note_sent(work: Work, brought: Sequence[Stored], entries: Sequence[Pending]) -> None:
    """Note in which messages files stand, once these have their place in the record."""
    if not brought or not entries:
        return

    async def note() -> None:
        uses = [
            (entry.actor.entity_id, entry.position, place, one.id, entry.chat.id, entry.seq or 0)
            for entry in entries
            for place, one in enumerate(brought)
            if entry.chat is not None
        ]
        await rows.note_sent(work.db, [one.id for one in brought], uses)

    work.on_settled.append(note)


# -- fetching ------------------------------------------------------------------------------------


async def seen(work: Work, uuid: str) -> Stored:
    """Give an attachment that the acting member sees: in a message, or as an own upload (RN004).

    Who has left a chat sees what was sent until then.
    """
    if work.actor.member is None:
        raise Refusal("RF004")
    uuid = text.check_uuid("attachment_uuid", uuid)
    stored = await rows.attachment_of(work.db, work.actor.entity_id, uuid)
    return await _seen_by(work.db, stored, work.actor.member.id)


async def _seen_by(session: Session, stored: Stored | None, member_id: int) -> Stored:
    if stored is None:
        raise Refusal("RN004")
    if stored.waits_until is not None:
        if stored.member_id != member_id or stored.waits_until <= times.now():
            raise Refusal("RN004")
    elif not await rows.is_seen_by(session, stored, member_id):
        raise Refusal("RN004")
    return stored


async def make_link(work: Work, uuid: str) -> tuple[str, int]:
    """Make a link for the acting member to a file: the token, and until when it works (RN004)."""
    stored = await seen(work, uuid)
    member = work.actor.member
    token = secrets.token_urlsafe(TOKEN_BYTES)
    until = times.now() + LINK_LIVES
    await rows.add_link(work.db, _hashed(token), stored.id, member.id if member else 0, until)
    return token, until


async def behind_link(session: Session, token: str) -> tuple[Stored, int]:
    """Give what a link leads to, and for which member, judged as of now.

    RN004, whatever is wrong: used up, too old or never made; the member or the organisation is
    not active; the message is not the member's to see.
    """
    link = await rows.link_of(session, _hashed(token), times.now())
    if link is None or (link.member_state, link.entity_state) != ("active", "active"):
        raise Refusal("RN004")
    stored = await rows.attachment_by_id(session, link.attachment_id)
    return await _seen_by(session, stored, link.member_id), link.member_id


async def use_up_link(work: Work, token: str) -> None:
    """Take a link away, or refuse (RN004) when somebody was first."""
    if not await rows.use_up_link(work.db, _hashed(token)):
        raise Refusal("RN004")


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


# -- sweeping ------------------------------------------------------------------------------------


async def sweep(work: Work) -> list[str]:
    """Drop uploads that nobody sent in time; give names of files that are to be deleted.

    Their names belong to nothing and never will. `swept` forgets them, once the files are gone.
    """
    now = times.now()
    await rows.forget_links(work.db, now)
    await rows.drop_unsent(work.db, now, SWEPT)
    return await rows.doom_loose(work.db, now - LOOSE_FOR, SWEPT)


async def swept(work: Work, names: Sequence[str]) -> None:
    """Forget names of files that are gone."""
    await rows.forget_loose(work.db, names)
