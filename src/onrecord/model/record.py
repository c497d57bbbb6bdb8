"""The table of entry types: every type, id, data field and part that an entry may carry.

The form is version 1 of record.md, section 1, and frozen: the bytes of an entry are hashed once
and stored as they were hashed. A new field of a type is a new version of that type.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

VERSION: Final = 1

IDS: Final = frozenset(
    {
        "entity_user_xref_uuid",
        "group_uuid",
        "other_group_uuid",
        "api_key_uuid",
        "account_uuid",
        "organisation_uuid",
    }
)
"""Ids an entry may concern besides `chat_uuid` and `seq`."""

RETENTION: Final = {
    "message": "What was said, and the titles under which it was said.",
    "person": "Who somebody is: names, emails, phone numbers, free text about a person.",
    "trace": "From where and under which of the caller's own ids an act was made.",
    "organisation": "Names and settings of the organisation, its groups and its keys.",
    "review": "Why somebody read other people's chats, and what was looked for.",
}
"""The retention classes of parts."""

PARTS: Final[Mapping[str, str]] = {
    "text": "message",
    "title": "message",
    "profile": "person",
    "file": "message",
    "address": "trace",
    "device": "trace",
    "request_id": "trace",
    "name": "organisation",
    "details": "organisation",
    "setting": "organisation",
    "reason": "review",
    "filters": "review",
}
"""Every part's name and its retention class. `address` and `request_id` may be on any entry."""

TRACES: Final = frozenset({"address", "request_id"})


@dataclass(frozen=True, slots=True)
class EntryType:
    """One type of entry and everything it may say."""

    name: str
    meaning: str
    ids: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    in_chat: bool = False
    changes_access: bool = False
    """Whether verdicts reached before this entry must be reached again (house rule 11)."""


def _type(
    name: str,
    meaning: str,
    *,
    ids: str = "",
    data: str = "",
    parts: str = "",
    in_chat: bool = False,
    access: bool = False,
) -> EntryType:
    return EntryType(
        name,
        meaning,
        frozenset(ids.split()),
        frozenset(data.split()),
        frozenset(parts.split()),
        in_chat,
        access,
    )


TYPES: Final[Mapping[str, EntryType]] = {
    row.name: row
    for row in (
        _type(
            "entity.created",
            "An organisation was made (its own first entry, and one of the installation's).",
            ids="organisation_uuid",
            parts="name",
            access=True,
        ),
        _type(
            "entity.state_changed",
            "An organisation was frozen, unfrozen, deactivated or activated.",
            data="state",
            access=True,
        ),
        _type(
            "entity.updated",
            "An organisation got another name.",
            parts="name",
            access=True,
        ),
        _type(
            "entity.picture_changed",
            "An organisation got another logo or avatar or none, `which` says which of the two;"
            " the part says which picture, by its digest.",
            data="which has_picture",
            parts="details",
        ),
        _type(
            "setting.changed",
            "A setting got a new value; the value itself is the part.",
            data="key",
            parts="setting",
            access=True,
        ),
        _type(
            "account.created",
            "A person's login was made (the installation's record).",
            ids="account_uuid",
            parts="profile",
        ),
        # Accounts: the installation's record.
        _type(
            "account.challenged",
            "A code was sent or asked for, `purpose` says what for, `channel` on which way.",
            ids="account_uuid",
            data="purpose channel",
        ),
        _type(
            "account.signed_in",
            "A person signed in, the password and a second factor being right; from a device.",
            ids="account_uuid",
            data="session_uuid factor is_new_device",
            parts="device",
        ),
        _type(
            "account.session_ended",
            "A session ended before its time: signed out, ended from another device, or replaced;"
            " or was renewed: only its token ended, and the session goes on under another.",
            ids="account_uuid",
            data="session_uuid reason",
            access=True,
        ),
        _type(
            "account.password_changed",
            "An account got another password: changed, reset by a link, or set by the operator.",
            ids="account_uuid",
            data="how",
            access=True,
        ),
        _type(
            "account.updated",
            "A person changed user name, account email or account phone; the part holds it.",
            ids="account_uuid",
            data="field",
            parts="profile",
        ),
        _type(
            "account.factor_changed",
            "A second factor was added, removed or used up: `totp` or `recovery_code`.",
            ids="account_uuid",
            data="factor change",
            access=True,
        ),
        _type(
            "account.code_made",
            "The operator had a code shown, for a person whom neither mail nor text reaches.",
            ids="account_uuid",
            data="purpose",
        ),
        _type(
            "account.unlocked",
            "The operator let an account try again that was shut after failed sign-ins.",
            ids="account_uuid",
        ),
        _type(
            "sign_in.failed",
            "Signing in to an account failed `count` times within a minute, for a reason.",
            ids="account_uuid",
            data="reason count",
        ),
        # Sessions in an organisation.
        _type(
            "member.signed_in",
            "A session of the member's account was used in the organisation for the first time.",
            ids="entity_user_xref_uuid account_uuid",
            data="session_uuid",
        ),
        _type(
            "sdk.session_created",
            "A token of the embedded app was made for a member; it ends at `expires_at`.",
            ids="entity_user_xref_uuid",
            data="session_uuid expires_at",
        ),
        _type(
            "sdk.session_ended",
            "A token of the embedded app was given back before its time.",
            ids="entity_user_xref_uuid",
            data="session_uuid",
            access=True,
        ),
        _type(
            "member.created",
            "A person became a pending member.",
            ids="entity_user_xref_uuid",
            data="enum_profile_id state",
            parts="profile",
            access=True,
        ),
        _type(
            "member.joined",
            "A pending member became active with an account.",
            ids="entity_user_xref_uuid account_uuid",
            access=True,
        ),
        # -- the life of a member
        _type(
            "member.updated",
            "A member's name, identifier or contact data changed; `changes` names what, the part"
            " holds the new values.",
            ids="entity_user_xref_uuid",
            data="changes",
            parts="profile",
            access=True,
        ),
        _type(
            "member.role_changed",
            "A member got another role on the same side.",
            ids="entity_user_xref_uuid",
            data="enum_profile_id",
            access=True,
        ),
        _type(
            "member.reviewer_level_changed",
            "A member of staff may review more or fewer chats than before.",
            ids="entity_user_xref_uuid",
            data="data_reviewer_level",
            access=True,
        ),
        _type(
            "member.suspended",
            "An active member may not act for the time being; chats and groups stay.",
            ids="entity_user_xref_uuid",
            access=True,
        ),
        _type(
            "member.unsuspended",
            "A suspended member is active again.",
            ids="entity_user_xref_uuid",
            access=True,
        ),
        _type(
            "member.destroyed",
            "A member became inactive; the entries that follow take the member out of chats and"
            " groups. An invitation that was pending is revoked.",
            ids="entity_user_xref_uuid",
            access=True,
        ),
        _type(
            "member.restored",
            "An inactive member came back: `active`, or `pending` if the member never joined.",
            ids="entity_user_xref_uuid",
            data="state",
            access=True,
        ),
        _type(
            "member.avatar_changed",
            "A member got another picture or none; the part says which, by its digest.",
            ids="entity_user_xref_uuid",
            data="has_avatar",
            parts="profile",
        ),
        # -- invitations and terms
        _type(
            "invitation.made",
            "A link with which a pending member can join was made, `why` says for what; earlier"
            " links are dead.",
            ids="entity_user_xref_uuid",
            data="why",
        ),
        _type(
            "invitation.sent",
            "The mail with an invitation was handed over; `reminder` 0 is the first one.",
            ids="entity_user_xref_uuid",
            data="reminder",
        ),
        _type(
            "invitation.bounced",
            "The mail with an invitation came back, or was refused for good.",
            ids="entity_user_xref_uuid",
        ),
        _type(
            "invitation.revoked",
            "An invitation was taken back; its link is dead.",
            ids="entity_user_xref_uuid",
        ),
        _type(
            "invitation.expired",
            "Nobody joined within thirty days; the link is dead.",
            ids="entity_user_xref_uuid",
        ),
        _type(
            "terms.updated",
            "Terms got a new version, which everybody is asked to accept; the part is their text.",
            data="version",
            parts="setting",
        ),
        _type(
            "terms.accepted",
            "A version of the terms was accepted: a member the organisation's, an account the"
            " operator's.",
            ids="entity_user_xref_uuid account_uuid",
            data="version",
        ),
        _type(
            "message.tried",
            "The operator sent a test message; `channel` is email or sms.",
            data="channel",
        ),
        _type(
            "group.created",
            "A group was made.",
            ids="group_uuid",
            data="is_default",
            parts="name details",
            access=True,
        ),
        _type(
            "group.updated",
            "A group got another name, identifier, description or state; parts hold what is new.",
            ids="group_uuid",
            data="state",
            parts="name details",
            access=True,
        ),
        _type(
            "group.destroyed",
            "An empty group was closed; it is kept and can be listed.",
            ids="group_uuid",
            access=True,
        ),
        _type(
            "group.member_added",
            "A member was put into a group.",
            ids="group_uuid entity_user_xref_uuid",
            access=True,
        ),
        _type(
            "group.member_removed",
            "A member was taken out of a group.",
            ids="group_uuid entity_user_xref_uuid",
            access=True,
        ),
        _type(
            "barrier.created",
            "From now on no contact and no shared chat across two groups of staff.",
            ids="group_uuid other_group_uuid",
            access=True,
        ),
        _type(
            "barrier.destroyed",
            "The barrier between two groups of staff was lifted.",
            ids="group_uuid other_group_uuid",
            access=True,
        ),
        _type(
            "key.created",
            "An API key was made; its secret is nowhere.",
            ids="api_key_uuid entity_user_xref_uuid",
            data="kind permissions cidr_blocks expires_at rate_limit",
            parts="name",
            access=True,
        ),
        _type(
            "key.updated",
            "An API key was changed: data is what it is now, the part its name if that is new.",
            ids="api_key_uuid",
            data="permissions cidr_blocks expires_at rate_limit",
            parts="name",
            access=True,
        ),
        _type(
            "key.destroyed",
            "An API key stopped working and stands in no list any more.",
            ids="api_key_uuid",
            access=True,
        ),
        _type(
            "key.deactivated",
            "An API key stopped working.",
            ids="api_key_uuid",
            access=True,
        ),
        _type(
            "key.rotated",
            "An API key got a new secret; the old one works until `overlap_until`, if at all.",
            ids="api_key_uuid",
            data="overlap_until",
            access=True,
        ),
        _type(
            "key.used_denied",
            "A known key was refused `count` times within a minute, for the reason `error_code`.",
            ids="api_key_uuid",
            data="error_code count",
        ),
        _type(
            "chat.created",
            "A chat was started, as a draft until its first message; a Butler chat is somebody's.",
            ids="entity_user_xref_uuid",
            data="is_staff_only is_butler",
            parts="title",
            in_chat=True,
        ),
        _type(
            "chat.renamed",
            "The chat got another title.",
            parts="title",
            in_chat=True,
        ),
        _type(
            "chat.discarded",
            "A draft was thrown away by its creator; nobody sees it any more.",
            in_chat=True,
        ),
        _type(
            "participant.joined",
            "A member became a participant of the chat, or came back.",
            ids="entity_user_xref_uuid",
            in_chat=True,
            access=True,
        ),
        _type(
            "participant.left",
            "A participant left the chat, or left it because the membership ended.",
            ids="entity_user_xref_uuid",
            in_chat=True,
            access=True,
        ),
        _type(
            "participant.removed",
            "A participant was taken out of the chat by another one.",
            ids="entity_user_xref_uuid",
            in_chat=True,
            access=True,
        ),
        _type(
            "message.sent",
            "A message was sent: a text, files or both; the first one activates a draft.",
            data="reply_to_seq",
            parts="text file",
            in_chat=True,
        ),
        _type(
            "import.started",
            "Somebody began to import a file with so many rows; what it made follows.",
            data="job_uuid kind rows ignore_existing_identifiers send_invitations",
        ),
        _type(
            "import.ended",
            "All rows of a file are done: so many made something, were there already, or were"
            " refused.",
            data="job_uuid kind created existing refused",
        ),
        _type(
            "export.made",
            "Something was taken out of the organisation's record, as of a position; a transcript"
            " says of which chat, in which format, and the first and last index in it.",
            data="kind as_of chat format first_index last_index",
        ),
        _type(
            "record.read",
            "A reviewer, or a key that may review, listed chats (`act` is list), read messages of"
            " a chat (read), fetched a file from one (file), or took one out (export): messages"
            " `first_seq` to `last_seq`, absent when there were none. The parts are the reason"
            " given, and what was looked for. `chat` is the chat: it is no entry of its own.",
            data="act chat first_seq last_seq attachment",
            parts="reason filters",
        ),
        _type(
            "signing_key.created",
            "The installation signs with this key from now on (a C2SP verifier key).",
            data="vkey",
        ),
    )
}


def check(
    entry_type: EntryType,
    ids: Mapping[str, str],
    data: Mapping[str, Any],
    parts: Mapping[str, Any],
) -> None:
    """Hold an entry against its row; a mismatch is a programming error, not a refusal."""
    _check(entry_type.name, tuple(ids), tuple(data), tuple(parts))


@lru_cache(maxsize=1000)
def _check(name: str, ids: tuple[str, ...], data: tuple[str, ...], parts: tuple[str, ...]) -> None:
    entry_type = TYPES[name]
    strange = (set(ids) - entry_type.ids) | (set(data) - entry_type.data)
    strange |= set(parts) - entry_type.parts - TRACES
    if strange:
        msg = f"{entry_type.name} has no {', '.join(sorted(strange))}"
        raise ValueError(msg)
