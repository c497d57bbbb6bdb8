"""Rows about attachments: files on their way into a chat, and back (contract, sections 5 and 8)."""

import contextlib
import io
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import attachments, messages
from onrecord.model import times
from onrecord.model.chats import Attachment
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Picture
from onrecord.store.attachments import name_of, preview_of
from onrecord.store.work import Work
from onrecord.web import downloads, idempotency
from onrecord.web.call import Call
from onrecord.web.chat_service import BASE, Integer, TextSent
from onrecord.web.endpoint import CHATTING, DOWNLOAD, FORM, Answer, Endpoint, Nothing, Takes
from onrecord.web.multipart import Upload

FILE: Final = "file"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PERSONAL: Final = "an upload is personal until it is sent"

log = logging.getLogger(__name__)


async def file_limit(call: Call) -> int:
    """Give the largest file that the organisation takes, in bytes."""
    return await call.app.store.read(call.caller, attachments.largest)


# -- taking in -----------------------------------------------------------------------------------


class UploadFile(Takes):
    """For which chat a file is; none: for the Butler."""

    chat_uuid: str | None = None


async def upload(call: Call, taken: UploadFile) -> Answer:
    """Take a file in, to be sent within the hour."""

    async def take_in(work: Work, made: attachments.Upload) -> Attachment:
        return await attachments.take_in(work, taken.chat_uuid, made)

    return await _with_file(call, taken.chat_uuid, take_in)


async def _with_file(
    call: Call,
    chat_uuid: str | None,
    act: Callable[[Work, attachments.Upload], Awaitable[Any]],
) -> Answer:
    """Look into the file of a form, store it, and do the act that lets it belong to something.

    RB016: it is not taken, and why. RB023: the same call is under way. RX503: nobody can look into
    it or store it now.
    """
    actor, file = call.caller.actor, call.files[FILE]
    key = call.idempotency.key if call.idempotency else ""
    with call.limits.alone((actor.scope, key) if actor and key else None):

        async def begin(work: Work) -> Answer | str:
            stored = await idempotency.stored_answer(work, call, work.actor)
            if stored is not None:
                return stored
            await attachments.check_may_upload(work, chat_uuid, file.size)
            return await attachments.check_name(work, file.filename)

        begun = await call.app.store.write(call.caller, begin)
        if isinstance(begun, Answer):
            return begun
        content_type = await call.app.inspector.inspect(file.file, begun)
        if call.app.scanner is not None:
            await call.app.scanner.scan(file.file)
        made = attachments.Upload(
            str(uuid.uuid4()), begun, content_type, file.size, file.sha256, file.crc32
        )
        return await _stored(call, file, made, act)


async def _stored(
    call: Call,
    file: Upload,
    made: attachments.Upload,
    act: Callable[[Work, attachments.Upload], Awaitable[Any]],
) -> Answer:
    """Store the file under a name that was noted before, then do the act."""
    actor = call.caller.actor
    assert actor is not None  # noqa: S101 - the caller was judged
    name = name_of(actor.entity_uuid, made.uuid)
    await call.app.store.write(call.caller, lambda work: attachments.note_loose(work, name))
    try:
        await call.app.files.put(name, file.file)
        preview = await _preview(call, file, name, made.content_type)
        whole = replace(made, preview=preview)
        return await idempotency.written(call, lambda work: act(work, whole))
    except Refusal:
        # It was refused for good. Of whatever else goes wrong nobody knows here whether the act
        # was committed: then the file waits for the sweep, which knows.
        await _take_back(call, name)
        raise


async def _take_back(call: Call, name: str) -> None:
    with contextlib.suppress(Exception):
        await call.app.files.delete(preview_of(name))
        await call.app.files.delete(name)
        await call.app.as_service(lambda work: attachments.swept(work, [name]))


async def _preview(call: Call, file: Upload, name: str, content_type: str) -> Picture | None:
    """Draw and store a small picture of the file; a file without one is no worse for it."""
    try:
        drawn = await call.app.previewer.preview(file.file, content_type)
        if drawn is not None:
            await call.app.files.put(preview_of(name), io.BytesIO(drawn.data))
    except Exception:
        log.exception("no preview of a file of type %s", content_type)
        return None
    return drawn


# -- sending -------------------------------------------------------------------------------------


class SendAttachment(Takes):
    """Files for a chat: uploads by uuid, or as a form the file itself; with a text or without."""

    chat_uuid: str
    attachment_uuid: str | None = None
    attachment_uuids: list[str] | None = None
    text: Annotated[
        str | None, msgspec.Meta(description="1 to 5,000 characters; empty is as none")
    ] = None
    reply_to_seq: Integer | None = None


async def send_attachment(call: Call, taken: SendAttachment) -> Answer:
    """Send uploads, or take a file in and send it in one work."""
    body = taken.text or None
    if FILE not in call.files:
        uuids = attachments.named(taken.attachment_uuid, taken.attachment_uuids)
        return await idempotency.written(call, lambda work: _sent(work, taken, uuids, body))
    if taken.attachment_uuid is not None or taken.attachment_uuids is not None:
        raise malformed("attachment_uuid", "goes without a file")
    messages.check_text(body)

    async def take_in_and_send(work: Work, made: attachments.Upload) -> TextSent:
        await attachments.take_in(work, taken.chat_uuid, made)
        return await _sent(work, taken, [made.uuid], body)

    return await _with_file(call, taken.chat_uuid, take_in_and_send)


async def _sent(work: Work, taken: SendAttachment, uuids: list[str], body: str | None) -> TextSent:
    sent = await attachments.send(work, taken.chat_uuid.lower(), uuids, body, taken.reply_to_seq)
    await work.settle()
    return TextSent(sent.chat_uuid, sent.seq, messages.shown(sent))


# -- fetching ------------------------------------------------------------------------------------


class NameAttachment(Takes):
    """Which file."""

    attachment_uuid: str


async def fetch(call: Call, taken: NameAttachment) -> Answer:
    """Give a file of a message that the acting member sees, or an own upload."""
    stored = await call.app.store.read(
        call.caller, lambda work: attachments.seen(work, taken.attachment_uuid)
    )
    return await downloads.file_answer(call, stored, call.who)


async def fetch_preview(call: Call, taken: NameAttachment) -> Answer:
    """Give a small picture of a file, where there is one."""
    stored = await call.app.store.read(
        call.caller, lambda work: attachments.seen(work, taken.attachment_uuid)
    )
    if stored.preview_type is None or stored.preview_digest is None:
        raise Refusal("RN004", "The file has no preview")
    about = (stored.preview_type, stored.preview_digest)
    return await downloads.picture_answer(call, preview_of(stored.name), about)


class DownloadLink(msgspec.Struct):
    """An address that gives a file once, without a credential."""

    url: str | None
    expires_at: str


async def make_link(call: Call, taken: NameAttachment) -> Answer:
    """Make a link to a file, for whoever downloads without headers of their own."""

    async def act(work: Work) -> DownloadLink:
        token, until = await attachments.make_link(work, taken.attachment_uuid)
        return DownloadLink(f"{call.app.base_url}{DOWNLOAD}/{token}", times.wire(until))

    return await idempotency.written(call, act)


async def follow_link(call: Call, taken: Nothing) -> Answer:  # noqa: ARG001 - every handler is given what was taken
    """Give the file of a link, which is used up by it; asking for the head alone uses up nothing.

    Strangers can ask for any address: so what is none is found out by reading.
    """
    call.extra.append(("Referrer-Policy", "no-referrer"))
    token, app = call.variable, call.app
    if not _TOKEN.fullmatch(token):
        raise Refusal("RN004")
    stored, member_id = await app.store.ask(lambda session: attachments.behind_link(session, token))
    if not call.is_head:
        await app.as_service(lambda work: attachments.use_up_link(work, token))
    return await downloads.file_answer(call, stored, ("link", member_id), caching=None)


_READING: Final[dict[str, Any]] = {
    "method": "GET",
    "kinds": CHATTING,
    "permissions": ("can_read_chat",),
    "acting": "required",
    "takes": NameAttachment,
    "mode": "script",
    "tags": ("Attachments",),
}
_INTO_A_CHAT: Final = ("RB016", "RF001", "RF005", "RF007", "RN001", "RU029")

ROWS: Final = (
    Endpoint(
        method="POST",
        path=f"{BASE}/chats/attachments/upload",
        summary="Upload a file, to be sent within the hour",
        kinds=CHATTING,
        permissions=("can_write_chat",),
        acting="required",
        takes=UploadFile,
        consumes=FORM,
        files=(FILE,),
        file_limit_of=file_limit,
        gives=Attachment,
        refusals=_INTO_A_CHAT,
        writes_nothing=_PERSONAL,
        handler=upload,
        mode="script",
        tags=("Attachments",),
    ),
    Endpoint(
        method="POST",
        path=f"{BASE}/chats/messages/send-attachment",
        summary="Send files, with a text or without",
        kinds=CHATTING,
        permissions=("can_write_chat",),
        acting="required",
        takes=SendAttachment,
        files=(FILE,),
        file_limit_of=file_limit,
        also_form=True,
        gives=TextSent,
        refusals=("RB016", "RB017", *_INTO_A_CHAT[1:], "RN004"),
        writes=("message.sent",),
        handler=send_attachment,
        mode="script",
        tags=("Attachments",),
    ),
    Endpoint(
        path=f"{BASE}/chats/attachments",
        summary="Download a file",
        produces="*/*",
        refusals=("RB025", "RN004", "RU029"),
        handler=fetch,
        **_READING,
    ),
    Endpoint(
        path=f"{BASE}/chats/attachments/preview",
        summary="Read a small picture of a file",
        produces="image/webp",
        refusals=("RN004",),
        handler=fetch_preview,
        **_READING,
    ),
    Endpoint(
        path=f"{BASE}/chats/attachments/link",
        summary="Make a link that downloads a file once",
        gives=DownloadLink,
        secrets=("url",),
        refusals=("RN004",),
        writes_nothing="who may see the file is judged when the link is used",
        handler=make_link,
        **{**_READING, "method": "POST"},
    ),
    Endpoint(
        method="GET",
        path=f"{DOWNLOAD}/{{id}}",
        summary="Follow a link to a file, once and within ten seconds",
        kinds=frozenset(),
        produces="*/*",
        refusals=("RB025", "RN004", "RU029"),
        handler=follow_link,
        mode="script",
        tags=("Attachments",),
    ),
)
