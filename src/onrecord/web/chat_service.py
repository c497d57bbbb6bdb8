"""Rows of the Master-user and User API: `/chat-service/api` (contract, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import chats, inbox, messages
from onrecord.model.chats import Chat, Message
from onrecord.model.errors import Refusal, malformed
from onrecord.store.work import Work
from onrecord.web import feed, lists
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import CHAT_KEYS, CHATTING, Answer, Endpoint, Takes
from onrecord.web.idempotency import keep_answer, stored_answer

BASE: Final = "/chat-service/api"
Integer = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class CreateChat(Takes):
    """Whom to talk to, and about what."""

    entity_user_xref_uuids: list[str] | None = None
    identifiers: list[str] | None = None
    title: str = ""
    is_staff_only: bool = False
    text: str | None = None


class ChatCreated(msgspec.Struct):
    """A chat as made."""

    chat_uuid: str
    chat: Chat


async def create_chat(work: Work, taken: CreateChat) -> ChatCreated:
    """Start a chat as the acting member."""
    chat_uuid = await chats.create(
        work,
        uuids=taken.entity_user_xref_uuids,
        identifiers=taken.identifiers,
        title=taken.title,
        is_staff_only=taken.is_staff_only,
        first_text=taken.text,
    )
    return ChatCreated(chat_uuid, await inbox.view(work, chat_uuid))


# -- acts in a chat ------------------------------------------------------------------------------


class OneChat(msgspec.Struct):
    """One chat."""

    chat: Chat


class Gone(msgspec.Struct):
    """Nothing is left to be shown."""


class RenameChat(Takes):
    """Another title for a chat."""

    chat_uuid: str
    title: Annotated[str, msgspec.Meta(description="1 to 500 characters")]


async def rename_chat(work: Work, taken: RenameChat) -> OneChat:
    """Rename a chat."""
    await chats.rename(work, taken.chat_uuid, taken.title)
    return await _settled(work, taken.chat_uuid)


class NameParticipants(Takes):
    """Whom to add to a chat, or to take out of it."""

    chat_uuid: str
    entity_user_xref_uuids: list[str] | None = None
    identifiers: list[str] | None = None


async def invite_to_chat(work: Work, taken: NameParticipants) -> OneChat:
    """Add participants."""
    await chats.invite(work, taken.chat_uuid, taken.entity_user_xref_uuids, taken.identifiers)
    return await _settled(work, taken.chat_uuid)


async def remove_from_chat(work: Work, taken: NameParticipants) -> OneChat:
    """Take participants out."""
    await chats.remove(work, taken.chat_uuid, taken.entity_user_xref_uuids, taken.identifiers)
    return await _settled(work, taken.chat_uuid)


class NameChat(Takes):
    """Which chat."""

    chat_uuid: str


async def leave_chat(work: Work, taken: NameChat) -> OneChat:
    """Leave a chat."""
    await chats.leave(work, taken.chat_uuid)
    return await _settled(work, taken.chat_uuid)


async def discard_chat(work: Work, taken: NameChat) -> Gone:
    """Throw a draft away."""
    await chats.discard(work, taken.chat_uuid)
    return Gone()


async def _settled(work: Work, chat_uuid: str) -> OneChat:
    """Give the chat as it is after the act, whose place in the record must be known by then."""
    await work.settle()
    return OneChat(await inbox.view(work, chat_uuid))


class ArchiveChat(Takes):
    """Whether a chat is off one's own list."""

    chat_uuid: str
    archived: bool


async def archive_chat(work: Work, taken: ArchiveChat) -> OneChat:
    """Archive a chat, or take it out again."""
    return OneChat(await inbox.archive(work, taken.chat_uuid, archived=taken.archived))


class MuteChat(Takes):
    """Whether a chat is silent for oneself."""

    chat_uuid: str
    muted: bool


async def mute_chat(work: Work, taken: MuteChat) -> OneChat:
    """Mute a chat, or let it be heard again."""
    return OneChat(await inbox.mute(work, taken.chat_uuid, muted=taken.muted))


class ReadChat(Takes):
    """Up to which message one has read."""

    chat_uuid: str
    seq: Integer


async def read_chat(work: Work, taken: ReadChat) -> OneChat:
    """Move one's own read mark forward."""
    return OneChat(await inbox.read(work, taken.chat_uuid, taken.seq))


# -- sending: the append path --------------------------------------------------------------------


class SendText(Takes):
    """A text for a chat."""

    chat_uuid: str
    text: Annotated[str, msgspec.Meta(description="1 to 5,000 characters, kept as sent")]
    reply_to_seq: Integer | None = None


class TextSent(msgspec.Struct):
    """A text with its place in the chat."""

    chat_uuid: str
    seq: int
    message: Message


@dataclass(slots=True)
class SendingText(messages.Outgoing):
    """A text of a request, with what its answer needs."""

    call: Call | None = None


def sending(call: Call, taken: SendText) -> SendingText:
    """Make the append path's item of a request."""
    actor = call.caller.actor
    assert actor is not None  # noqa: S101 - the caller was judged
    return SendingText(
        call.caller, actor, taken.chat_uuid.lower(), taken.text, taken.reply_to_seq, call=call
    )


async def send_texts(work: Work, items: Sequence[SendingText]) -> list[Any]:
    """Send the texts of many requests in one work, and make each one's answer."""
    outcomes: list[Any] = [None] * len(items)
    fresh = []
    for number, item in enumerate(items):
        try:
            outcomes[number] = await _replay(work, item, items[:number])
        except Refusal as refusal:
            outcomes[number] = refusal
        if outcomes[number] is None:
            fresh.append(number)
    sent = await messages.append(work, [items[number] for number in fresh])
    await work.settle()
    for number, outcome in zip(fresh, sent, strict=True):
        if isinstance(outcome, Refusal):
            outcomes[number] = outcome
            continue
        given = TextSent(outcome.chat_uuid, outcome.seq, messages.shown(outcome))
        answer = Answer(encode(given))
        call = items[number].call
        if call is not None:
            await keep_answer(work, call, items[number].actor, answer, answer.body)
        outcomes[number] = answer
    return outcomes


async def _replay(work: Work, item: SendingText, earlier: Sequence[SendingText]) -> Answer | None:
    """Give the stored answer; RB023 when the first one is in this very group."""
    call = item.call
    if call is None or call.idempotency is None:
        return None
    answer = await stored_answer(work, call, item.actor)
    if answer is None:
        mine = (item.actor.scope, call.idempotency.key)
        for other in earlier:
            theirs = other.call.idempotency if other.call is not None else None
            if theirs is not None and (other.actor.scope, theirs.key) == mine:
                raise Refusal("RB023")
    return answer


# -- reading -------------------------------------------------------------------------------------


class GetChats(lists.Listed):
    """Which chats."""

    chat_uuid: str | None = None
    archived: bool | None = None
    search: lists.Search | None = None
    updated_since: str | None = None


class ChatPage(msgspec.Struct):
    """A page of chats."""

    chats: list[Chat]
    next_cursor: str | None


async def get_chats(call: Call, taken: GetChats) -> Answer:
    """Give one chat, or a list of the acting member's: a page with `limit`, else everything.

    A list is read page by page, each in a transaction of its own.
    """
    if taken.chat_uuid is not None:
        one = await call.app.store.read(call.caller, lambda work: _one(work, taken))
        return Answer(encode(one))
    page = partial(
        inbox.page,
        archived=taken.archived,
        search=taken.search,
        updated_since=lists.moment("updated_since", taken.updated_since),
    )
    return await lists.of_pages(call, "chats", taken, page, inbox.PAGE_STREAMED)


async def _one(work: Work, taken: GetChats) -> OneChat:
    return OneChat(await inbox.view(work, taken.chat_uuid or ""))


class GetRange(Takes):
    """Which messages of which chat; both ends are included."""

    chat_uuid: str
    from_seq: Integer | None = None
    to_seq: Integer | None = None
    start_seq: Integer | None = None
    end_seq: Integer | None = None
    limit: Limit = messages.RANGE_DEFAULT


class MessageRange(msgspec.Struct):
    """Messages in ascending order, and the numbers of the first and last one given."""

    messages: list[Message]
    first_seq: int | None
    last_seq: int | None


async def get_range(work: Work, taken: GetRange) -> MessageRange:
    """Give a window of a chat's messages."""
    first, last = range_asked(taken)
    return range_of(
        await messages.window(work, taken.chat_uuid, first=first, last=last, limit=taken.limit)
    )


def range_asked(taken: GetRange) -> tuple[int | None, int | None]:
    """Give the first and last number asked for, by either name (RB003)."""
    first = _either("from_seq", taken.from_seq, taken.start_seq)
    return first, _either("to_seq", taken.to_seq, taken.end_seq)


def range_of(found: list[Message]) -> MessageRange:
    """Give messages with the numbers of the first and last one."""
    if not found:
        return MessageRange([], None, None)
    return MessageRange(found, found[0].seq, found[-1].seq)


def _either(name: str, value: int | None, synonym: int | None) -> int | None:
    if value is not None and synonym is not None and value != synonym:
        raise malformed(name, "differs from its synonym")
    return synonym if value is None else value


_WRITING: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": CHATTING,
    "permissions": ("can_write_chat",),
    "acting": "required",
    "gives": OneChat,
    "mode": "write",
    "tags": ("Chats",),
}
_PERSONAL: Final = "a personal view is no part of the record"

ROWS: Final = (
    Endpoint(
        method="POST",
        path=f"{BASE}/chats/create",
        summary="Start a chat",
        kinds=CHATTING,
        permissions=("can_write_chat",),
        acting="required",
        takes=CreateChat,
        gives=ChatCreated,
        refusals=("RB015", "RB021", "RB785", "RF003", "RF007", "RN006"),
        writes=("chat.created", "participant.joined", "message.sent"),
        handler=create_chat,
        mode="write",
        tags=("Chats",),
    ),
    Endpoint(
        path=f"{BASE}/chats/rename",
        summary="Give a chat another title",
        takes=RenameChat,
        refusals=("RF001", "RF005", "RF007", "RN001"),
        writes=("chat.renamed",),
        handler=rename_chat,
        **_WRITING,
    ),
    Endpoint(
        path=f"{BASE}/chats/invite",
        summary="Add participants to a chat",
        takes=NameParticipants,
        refusals=(
            *("RB015", "RB021", "RB785", "RF001", "RF002", "RF003", "RF005", "RF007", "RN001"),
            "RN006",
        ),
        writes=("participant.joined",),
        handler=invite_to_chat,
        **_WRITING,
    ),
    Endpoint(
        path=f"{BASE}/chats/remove",
        summary="Take participants out of a chat",
        takes=NameParticipants,
        refusals=("RB019", "RB785", "RF001", "RF002", "RF005", "RN001", "RN006"),
        writes=("participant.removed",),
        handler=remove_from_chat,
        **_WRITING,
    ),
    Endpoint(
        path=f"{BASE}/chats/leave",
        summary="Leave a chat",
        takes=NameChat,
        refusals=("RB019", "RF001", "RF005", "RN001"),
        writes=("participant.left",),
        handler=leave_chat,
        **_WRITING,
    ),
    Endpoint(
        path=f"{BASE}/chats/discard",
        summary="Throw a draft away",
        takes=NameChat,
        refusals=("RB019", "RF001", "RF005", "RN001"),
        writes=("chat.discarded",),
        handler=discard_chat,
        **{**_WRITING, "gives": Gone},
    ),
    Endpoint(
        path=f"{BASE}/chats/archive",
        summary="Take a chat off one's own list, or put it back",
        takes=ArchiveChat,
        refusals=("RF005", "RN001"),
        writes_nothing=_PERSONAL,
        handler=archive_chat,
        **_WRITING,
    ),
    Endpoint(
        path=f"{BASE}/chats/mute",
        summary="Silence a chat for oneself, or let it be heard again",
        takes=MuteChat,
        refusals=("RF005", "RN001"),
        writes_nothing=_PERSONAL,
        handler=mute_chat,
        **_WRITING,
    ),
    Endpoint(
        path=f"{BASE}/chats/read",
        summary="Note how far one has read",
        takes=ReadChat,
        refusals=("RN001", "RN003"),
        writes_nothing=_PERSONAL,
        handler=read_chat,
        **_WRITING,
    ),
    Endpoint(
        method="POST",
        path=f"{BASE}/chats/messages/send-text",
        summary="Send a text",
        kinds=CHATTING,
        permissions=("can_write_chat",),
        acting="required",
        takes=SendText,
        gives=TextSent,
        refusals=("RB017", "RF001", "RF005", "RF007", "RN001"),
        writes=("message.sent",),
        handler=sending,
        mode="many",
        many=send_texts,
        tags=("Messages",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/chats",
        summary="Read a chat, or list chats, latest message first",
        kinds=CHATTING,
        permissions=("can_read_chat",),
        acting="required",
        takes=GetChats,
        gives=(OneChat, ChatPage),
        refusals=("RN001",),
        handler=get_chats,
        mode="script",
        tags=("Chats",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/chats/messages/range",
        summary="Read a window of a chat's messages",
        kinds=CHATTING,
        permissions=("can_read_chat",),
        acting="required",
        takes=GetRange,
        gives=MessageRange,
        refusals=("RN001",),
        handler=get_range,
        mode="read",
        tags=("Messages",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/events",
        summary="Read the record, as far as the acting member may see it",
        kinds=CHATTING,
        permissions=("can_read_chat",),
        acting="required",
        takes=feed.GetEvents,
        gives=feed.Events,
        handler=feed.events,
        mode="script",
        tags=("Events",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/whoami",
        summary="Tell what this key is, and what it would be allowed",
        kinds=CHAT_KEYS,
        acting="optional",
        takes=feed.GetWhoami,
        gives=feed.Whoami,
        handler=feed.whoami,
        mode="script",
        tags=("Keys",),
    ),
)
