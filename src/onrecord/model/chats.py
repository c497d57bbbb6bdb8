"""Chats and messages as the wire shows them."""

from typing import Final

import msgspec

MOST_PARTICIPANTS: Final = 100
"""Active participants of a chat (product.md, section 5)."""


class Attachment(msgspec.Struct, frozen=True):
    """A file of a message."""

    attachment_uuid: str
    filename: str
    content_type: str
    size: int
    sha256: str


class Via(msgspec.Struct, frozen=True):
    """By what kind of credential a message was sent; key and name only for the staff side."""

    kind: str
    api_key_uuid: str | None
    name: str | None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to a chat: the new title, or who joined, left or was removed."""

    type: str
    title: str | msgspec.Raw | msgspec.UnsetType | None = msgspec.UNSET
    """null once it was lawfully erased."""
    entity_user_xref_uuid: str | msgspec.UnsetType = msgspec.UNSET
    first_name: str | msgspec.UnsetType = msgspec.UNSET
    last_name: str | msgspec.UnsetType = msgspec.UNSET


class Message(msgspec.Struct, frozen=True):
    """One message. `text` is null where files came without one, and once it was lawfully erased."""

    chat_uuid: str
    seq: int
    kind: str
    entity_user_xref_uuid: str | None
    first_name: str | None
    last_name: str | None
    text: str | msgspec.Raw | None
    reply_to_seq: int | None
    attachments: tuple[Attachment, ...]
    event: Event | None
    sent_at: str
    via: Via


class ParticipantView(msgspec.Struct, frozen=True):
    """A participant as shown in a chat."""

    entity_user_xref_uuid: str
    identifier: str | None
    first_name: str
    last_name: str
    enum_profile_id: int
    state: str
    read_seq: int | None


class Chat(msgspec.Struct, kw_only=True, omit_defaults=False):
    """A chat; the last four members are there when a member looks."""

    chat_uuid: str
    title: str
    state: str
    is_staff_only: bool
    is_butler: bool
    has_clients: bool
    created_by_entity_user_xref_uuid: str | None
    created_at: str
    last_seq: int | None
    last_message: Message | None
    last_message_at: str | None
    participants: list[ParticipantView]
    archived: bool | msgspec.UnsetType = msgspec.UNSET
    muted: bool | msgspec.UnsetType = msgspec.UNSET
    read_seq: int | msgspec.UnsetType | None = msgspec.UNSET
    unread_count: int | msgspec.UnsetType = msgspec.UNSET


class Recipient(msgspec.Struct, frozen=True):
    """Somebody the Butler is to speak to, as named; `id` is 0 for nobody."""

    id: int
    uuid: str
    identifier: str = ""
    """Of nobody; who is known is known by the uuid."""


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one recipient's message: its place, or the code of the refusal."""

    entity_user_xref_uuid: str | msgspec.UnsetType = msgspec.UNSET
    identifier: str | msgspec.UnsetType = msgspec.UNSET
    """In place of the uuid, where it is nobody's."""
    chat_uuid: str | msgspec.UnsetType = msgspec.UNSET
    seq: int | msgspec.UnsetType = msgspec.UNSET
    error_code: str | msgspec.UnsetType = msgspec.UNSET
