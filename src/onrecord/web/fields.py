"""What every field of every request and answer means, in one table.

A field of one name means one thing wherever it stands; where it does mean another, the name of its
type stands before it. The specification and the reference pages describe fields from here alone,
so that a sentence is written once. Nothing here decides what is taken: that is the code's part.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from onrecord.model.access import PROFILES, VIA, Kind


class About(NamedTuple):
    """What a field means, and a believable value; none where an example would tell nothing."""

    text: str
    example: Any = None


def _listed(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


ROLES: Final = ", ".join(f"{row.enum_profile_id} {row.name}" for row in PROFILES.values())
VIA_KINDS: Final = _listed(sorted(set(VIA.values())))
ACTOR_KINDS: Final = _listed([kind.value for kind in Kind])

_MEMBER: Final = "8f14e45f-ceea-467f-a0e6-4a1f0d9b6b32"
_OTHER: Final = "c9f0f895-fb98-4b91-9d0c-5b1d6a7e2f43"
_GROUP: Final = "45c48cce-2e2d-4f1a-8a6f-0c7d9e3b5a54"
_OTHER_GROUP: Final = "d3d94468-02a4-4b7c-9e1d-7f8a6b2c4d65"
_CHAT: Final = "5f0c4a57-6f63-4c55-9a53-3c1d2f1d7a10"
_ENTITY: Final = "453ac741-4877-471d-97a2-f936372a626a"
_KEY: Final = "6512bd43-d9ca-4e6a-8c2b-9a1f3e5d7c76"
_TIME: Final = "2026-11-22T10:00:00.000000Z"
_WHEN: Final = "RFC 3339 in UTC, with microseconds"
_OFFSET: Final = "RFC 3339 with an offset: `Z`, or `+01:00`, whose `+` is written `%2B` in a query"
_NAMES: Final = "By uuid; together with `identifiers` it names the union, each member once."

TABLE: Final[dict[str, About]] = {
    # -- ids
    "entity_uuid": About("The organisation.", _ENTITY),
    "entity_user_xref_uuid": About("The member, by uuid.", _MEMBER),
    "other_entity_user_xref_uuid": About("The other member, by uuid; not the same one.", _OTHER),
    "entity_user_xref_uuids": About(f"Members. {_NAMES}", [_MEMBER]),
    "identifier": About(
        "The organisation's own reference, at most 500 characters, exact and case-sensitive;"
        " unique among members, and separately among groups. As an answer null when there is none."
        " Where a uuid is given too, both must mean the same one.",
        "CL-1001",
    ),
    "identifiers": About("Members by their own references, exact and case-sensitive.", ["CL-1001"]),
    "group_uuid": About("The group, by uuid.", _GROUP),
    "other_group_uuid": About("The other group, by uuid; not the same one.", _OTHER_GROUP),
    "chat_uuid": About("The chat, by uuid.", _CHAT),
    "api_key_uuid": About("The key, by uuid.", _KEY),
    # -- people
    "enum_profile_id": About(f"The role: {ROLES}.", 4),
    "profile": About("The role by name, in the same order as `enum_profile_id`.", "client"),
    "first_name": About("1 to 500 characters.", "Priya"),
    "last_name": About("0 to 500 characters.", "Nair"),
    "job_title": About("0 to 500 characters.", "Adviser"),
    "primary_email": About(
        "At most 320 characters, compared trimmed and without regard to case; one member's alone in"
        " the organisation, inactive members included. Invitations go there; contacts do not see"
        " it.",
        "priya.nair@example.net",
    ),
    "primary_phone_number": About(
        "`+` and digits; spaces, dots, hyphens and brackets are dropped. Needed where the"
        " organisation's [invitation setting](settings#org-client_invitation_type) asks for it.",
        "+441234567890",
    ),
    "emails": About("The emails on the contact card, which contacts see.", ["p.nair@example.net"]),
    "phone_numbers": About("The phone numbers on the contact card.", ["+441234567890"]),
    "status": About("`available`, or `unavailable` while the member is suspended.", "available"),
    "data_reviewer_level": About(
        "0 to 3: how much a person may review. Always 0 in this version.", 0
    ),
    "has_avatar": About("Whether there is a picture. Always false in this version.", example=False),
    "invitation": About("How far the invitation has come; null when none was asked for."),
    "created_at": About(f"When it was made ({_WHEN}).", _TIME),
    "updated_at": About(f"When it last changed ({_WHEN}).", _TIME),
    "entity_membership": About("The member as administrators see it."),
    "entity_memberships": About("Members as administrators see them, oldest first."),
    # -- groups and barriers
    "name": About("1 to 500 characters.", "Private clients"),
    "description": About("At most 5,000 characters; empty when there is none.", "Team London"),
    "is_default": About(
        "Whether it is the organisation's default group, into which clients without any go.",
        example=False,
    ),
    "member_count": About("How many members are in it.", 12),
    "group": About("The group as it is now."),
    "groups": About("Groups without their members, oldest first."),
    "barrier": About("The barrier."),
    "barriers": About("Barriers, in the order of their groups."),
    # -- chats and messages
    "title": About('At most 500 characters; an empty one becomes "New chat".', "Pension transfer"),
    "text": About(
        "1 to 5,000 Unicode code points, kept exactly as sent; not white space alone, and no"
        " control characters but tab and line ends.",
        "Good morning, the transfer value has arrived.",
    ),
    "is_staff_only": About("Whether clients and partners are kept out for good.", example=False),
    "reply_to_seq": About(
        "The number of the message that this one answers, in the same chat; null for none.", 0
    ),
    "seq": About("The message's number in its chat: 0 for the first, without gaps.", 1),
    "archived": About("Whether the chat is off one's own list.", example=False),
    "muted": About("Whether the chat is silent for oneself.", example=False),
    "chat": About("The chat as the acting member sees it."),
    "chats": About("The acting member's chats, latest message first."),
    "messages": About("Messages in ascending order."),
    "message": About("The message as its author sees it."),
    "attachments": About("Files of the message. Always empty in this version.", []),
    "read_seq": About("Up to which message was read; null for none yet.", 1),
    "participants": About("Who takes part, or did."),
    "sent_at": About(f"When it was sent ({_WHEN}).", _TIME),
    "contact": About("The contact."),
    "contacts": About("Contacts, oldest member first."),
    # -- lists
    "limit": About(
        "How many at the most, 1 to 1,000: one page, with `next_cursor`. Without it everything is"
        " streamed."
    ),
    "cursor": About(
        "`next_cursor` of the page before. It belongs to its list and filters; send them again"
        " beside it."
    ),
    "next_cursor": About(
        "Send it as `cursor` for the next page; null on the last one.", "WzQyXQ=="
    ),
    "updated_since": About(f"Only what changed at this time or later ({_OFFSET})."),
    # -- the record
    "hashes": About(
        "SHA-256 hashes in Base64, in the order of RFC 9162.",
        ["vLZn0nsb6m6qPdZjROTf463EiTNmCFccBWo9zDbkCTM="],
    ),
    "size": About("How many entries the tree has; at most as many as the record."),
    "from_size": About("The size of the earlier tree; not above `to_size`."),
    "to_size": About("The size of the later tree; at most as many as the record has entries."),
    "position": About("The entry's number in the record: 1 for the first, without gaps.", 42),
    "at": About(f"When it was written ({_WHEN}); never before the entry before it.", _TIME),
    "as_of": About("The position of the record for which this was told.", 42),
    # -- keys and calls
    "permissions": About("What the key may do.", ["can_read_admin"]),
    "api_key": About("The key's id, as it is sent in the header.", "ork-3f9c1a7be24d"),
    "cidr_blocks": About("From where it may be used; empty: from everywhere.", ["10.0.0.0/8"]),
    "expires_at": About(f"When it ends by itself ({_WHEN}); null: never.", None),
    "last_used_at": About(
        f"When it was last used ({_WHEN}), up to a minute behind; null: never.", _TIME
    ),
    "rate_limit": About("Requests and seconds; null: no limit.", "1000/10"),
    "allowed": About("Whether it is allowed.", example=True),
    "detail": About("The reason, in a sentence.", "The key may make this call"),
    # -- by type
    "CreateMember.enum_profile_id": About(
        "The role: 1 system_admin, 2 user_admin, 3 staff, 4 client, 5 partner.", 4
    ),
    "CreateMember.identifier": About(
        "The organisation's own reference, at most 500 characters, kept exactly; no other member"
        " may have it.",
        "CL-3001",
    ),
    "CreateMember.group_uuids": About(
        "Groups to be in from the start. Without any, a client or partner goes into the default"
        " group, a member of staff into none.",
        [_GROUP],
    ),
    "CreateMember.created_by_entity_user_xref_uuid": About(
        "An active member of staff who is shown as inviting; absent: the first system"
        " administrator.",
        _OTHER,
    ),
    "CreateMember.send_invitation": About(
        "Whether to invite. In this version no mail is sent: the invitation is kept as `not_sent`,"
        " and the operator completes joining with `onrecord member activate`.",
        example=True,
    ),
    "CreateMember.invitation_message": About(
        "At most 5,000 characters, for the invitation.", "Welcome to Quay."
    ),
    "CreateMemberV2.new_group_name": About(
        "A group to be made with the new member in it, 1 to 500 characters; absent: none.",
        "The Nair family",
    ),
    "CreateMemberV2.new_group_entity_user_xref_uuids": About(
        "Who else is in the new group. If no active member of staff is among them, who invites is"
        " added.",
        [_OTHER],
    ),
    "MemberCreated.group_uuid": About(
        "The group made beside the member with `new_group_name`; null when none was.", _GROUP
    ),
    "GetMember.primary_email": About(
        "The member's email, without regard to case; looked at when neither uuid nor identifier is"
        " given."
    ),
    "ListMembers.enum_profile_id": About(
        f"Only members of this role: {ROLES}. The Butler is listed only when asked for."
    ),
    "ListMembers.profile": About("The same by name, such as `client`."),
    "ListMembers.state": About("Only `pending`, `active`, `suspended` or `inactive` members."),
    "ListMembers.group_uuid": About("Only members of this group."),
    "ListMembers.search": About(
        "Only members whose name, identifier or email holds this, without regard to case; at most"
        " 500 characters."
    ),
    "Membership.state": About(
        "`pending` (invited), `active`, `suspended` (for a while) or `inactive` (gone).", "active"
    ),
    "Membership.group_uuids": About("The groups the member is in.", [_GROUP]),
    "MemberInShort.state": About("`pending`, `active`, `suspended` or `inactive`.", "active"),
    "Invitation.state": About("`not_sent`, or `accepted` once the member joined.", "not_sent"),
    "Invitation.sent_at": About(f"When it was sent ({_WHEN}); null: not yet.", None),
    "Invitation.reminders_sent": About("How many reminders followed.", 0),
    "Invitation.expires_at": About(f"Until when it can be used ({_WHEN}); null: no end.", None),
    "CreateGroup.identifier": About(
        "The organisation's own reference for it, at most 500 characters; no other group may have"
        " it.",
        "TEAM-7",
    ),
    "UpdateGroup.identifier": About(
        "Beside `group_uuid` the new one; without `group_uuid` it says which group, exactly.",
        "TEAM-7",
    ),
    "UpdateGroup.new_identifier": About(
        "The new identifier; an empty text takes it away. At most 500 characters.", "TEAM-8"
    ),
    "UpdateGroup.name": About("The new name, 1 to 500 characters; absent: as it is.", "London"),
    "UpdateGroup.description": About("The new description; absent: as it is.", "Team London"),
    "UpdateGroup.state": About(
        "`active`, or `inactive` for an empty group; absent: as it is.", "active"
    ),
    "GetGroup.identifier": About("The group's identifier, exact and case-sensitive."),
    "ListGroups.state": About("Only `active` or `inactive` groups."),
    "ListGroups.search": About(
        "Only groups whose name or identifier holds this, without regard to case; at most 500"
        " characters."
    ),
    "GroupView.state": About("`active` or `inactive`.", "active"),
    "GroupView.identifier": About("The organisation's own reference; null: none.", "TEAM-7"),
    "GroupView.members": About("Who is in it, in short; only where one group is read."),
    "Explanation.allowed": About("Whether they may reach each other.", example=True),
    "Explanation.rule": About(
        "The word of the rule that decided; [all words](rules#barriers-and-explain).",
        "shared_group",
    ),
    "Explanation.detail": About("The rule in a sentence.", "They are in an active group together."),
    "Explanation.group_uuids": About("Active groups both are in.", [_GROUP]),
    "Explanation.barriers": About(
        "Barriers between a group of the one and a group of the other, where both are staff.", []
    ),
    "ExplainContact.at": About(
        f"When: a position of the record, or a time ({_OFFSET}), which means the last entry that"
        " is not later. Absent: now."
    ),
    "CreateChat.entity_user_xref_uuids": About(
        f"Whom to talk to, at least one besides oneself, at most 99. {_NAMES}", [_MEMBER]
    ),
    "CreateChat.text": About(
        "A first message, 1 to 5,000 code points. Without it the chat is a draft, which only its"
        " creator sees.",
        "Good morning, the transfer value has arrived.",
    ),
    "RenameChat.title": About("The new title, 1 to 500 characters.", "Pension transfer 2026"),
    "ReadChat.seq": About("Up to which message one has read; a mark never goes back.", 0),
    "GetChats.chat_uuid": About(
        "One chat; the answer is then [OneChat](endpoints#object-onechat). Absent: a list."
    ),
    "GetChats.archived": About("`true`: archived chats alone, `false`: the others. Absent: both."),
    "GetChats.search": About(
        "Only chats whose title holds this, without regard to case; at most 500 characters."
    ),
    "GetRange.from_seq": About(
        "The first number, from 0 on: the window starts there and holds at most `limit`. Not above"
        " `to_seq`."
    ),
    "GetRange.to_seq": About(
        "The last number. Without `from_seq` the newest `limit` messages up to and including it."
    ),
    "GetRange.start_seq": About("A synonym of `from_seq`; if both are given they are equal."),
    "GetRange.end_seq": About("A synonym of `to_seq`; if both are given they are equal."),
    "GetRange.limit": About("How many messages at the most, 1 to 1,000."),
    "MessageRange.first_seq": About("The number of the first one given; null: none.", 0),
    "MessageRange.last_seq": About("The number of the last one given; null: none.", 1),
    "Chat.state": About("`draft` (only its creator sees it) or `active`.", "active"),
    "Chat.is_butler": About("Whether it is the member's Butler chat.", example=False),
    "Chat.has_clients": About(
        "Whether a client or partner takes part now (active participants count).", example=True
    ),
    "Chat.created_by_entity_user_xref_uuid": About(
        "Who started it, by uuid; null when nobody is shown.", _MEMBER
    ),
    "Chat.last_seq": About(
        "The number of the last message that the acting member may see; null: none yet.", 1
    ),
    "Chat.last_message": About("That message; null: none yet."),
    "Chat.last_message_at": About(f"When it was sent ({_WHEN}); null: none yet.", _TIME),
    "Chat.archived": About(
        "Whether it is off one's own list; where a member looks.", example=False
    ),
    "Chat.muted": About("Whether it is silent for oneself; where a member looks.", example=False),
    "Chat.read_seq": About(
        "Up to which message oneself has read; null: none; where a member looks.", 1
    ),
    "Chat.unread_count": About(
        "Texts of others above `read_seq`; events are not counted; where a member looks.", 0
    ),
    "ParticipantView.state": About("`active`, or `former` after leaving or removal.", "active"),
    "Message.kind": About("`text` or `event` (somebody came or went, the title changed).", "text"),
    "Message.entity_user_xref_uuid": About(
        "The author, by uuid; null when no member is shown.", _MEMBER
    ),
    "Message.first_name": About("The author's, as it is now.", "Priya"),
    "Message.last_name": About("The author's, as it is now.", "Nair"),
    "Message.text": About(
        "What was said; null for an event, or once it was lawfully erased.",
        "Good morning, the transfer value has arrived.",
    ),
    "Message.event": About("What happened, for kind `event`; else null."),
    "Message.via": About("By what means it was sent."),
    "Via.kind": About(
        f"The means: {VIA_KINDS}. Entries of the record say the same in `actor.kind`, in other"
        " words ([both](endpoints#object-entryactor)).",
        "master_user_key",
    ),
    "Via.api_key_uuid": About(
        "The key; null when there was none, and for readers on the client side.", _KEY
    ),
    "Via.name": About("The key's name; null as `api_key_uuid`.", "CRM"),
    "Event.type": About(
        "`chat.renamed`, `participant.joined`, `participant.left` or `participant.removed`.",
        "participant.joined",
    ),
    "Event.title": About("The new title; null once it was lawfully erased.", "Pension transfer"),
    "Event.entity_user_xref_uuid": About("Who joined, left or was removed.", _MEMBER),
    "Event.first_name": About("That member's.", "Priya"),
    "Event.last_name": About("That member's.", "Nair"),
    "Attachment.attachment_uuid": About("The file, by uuid."),
    "Attachment.filename": About("Its name."),
    "Attachment.content_type": About("Its media type."),
    "Attachment.size": About("In bytes."),
    "Attachment.sha256": About("Its SHA-256, in hexadecimal."),
    "Contact.is_me": About("Whether it is the acting member.", example=False),
    "Contact.emails": About("The emails on the contact card.", ["p.nair@example.net"]),
    "ListContacts.include_directory": About(
        "For a member of staff: all other staff as well. For a client it changes nothing."
    ),
    "ListContacts.search": About(
        "Only contacts whose name, identifier or email on the card holds this, without regard to"
        " case; at most 500 characters."
    ),
    "GetMembers.entity_user_xref_uuid": About(
        "One member, by uuid; the answer is then [OneMember](endpoints#object-onemember). Absent,"
        " with no `identifier`: a list."
    ),
    "ButlerText.text": About(
        "1 to 5,000 code points, with the names filled in as well: `<First Name>` and `<Last Name>`"
        " become the recipient's.",
        "Dear <First Name>, we are closed on Friday.",
    ),
    "ButlerText.audience": About("Members by role or group, besides those who are named."),
    "AudienceTaken.everyone": About("Every active and suspended member.", example=False),
    "AudienceTaken.enum_profile_ids": About(
        "Every active and suspended member of these roles, 1 to 5.", [4]
    ),
    "AudienceTaken.group_uuids": About(
        "Every active and suspended member of these groups.", [_GROUP]
    ),
    "ButlerSaid.sent": About("How many were spoken to.", 1),
    "ButlerSaid.failed": About("How many were not.", 0),
    "ButlerSaid.results": About("What became of each, in the order named."),
    "Said.entity_user_xref_uuid": About(
        "The recipient, by uuid; as named where there is no such member.", _MEMBER
    ),
    "Said.chat_uuid": About("The recipient's Butler chat; where it worked.", _CHAT),
    "Said.seq": About("The message's number there; where it worked.", 0),
    "Said.error_code": About("Why not: a code of the [errors](errors); else left out.", "RF024"),
    "GetEvents.after": About(
        "Entries above this position; 0 for all, then `next_after` of the answer before."
    ),
    "GetEvents.limit": About("How many entries at the most, 1 to 1,000."),
    "GetEvents.wait": About(
        "How many seconds to wait for a first entry, 0 to 30, when there is none yet."
    ),
    "GetEvents.types": About("Only entries of these [types](entry-types)."),
    "GetEvents.expand": About(
        "Whether each entry brings along `object`: what it concerns, as it is now."
    ),
    "Events.events": About("Entries in the order of the record."),
    "Events.next_after": About("Send it as `after` for what follows.", 42),
    "Events.head": About("The position of the last entry there is.", 42),
    "Entry.v": About("The version of the entry's form.", 1),
    "Entry.type": About("What happened: one of the [entry types](entry-types).", "message.sent"),
    "Entry.actor": About("Who did it."),
    "Entry.data": About(
        "What else stands in the entry for good; the fields are listed by [type](entry-types).", {}
    ),
    "Entry.content": About(
        "The hash of each part that lies beside the entry, by the part's name: SHA-256 of salt and"
        " value, in hexadecimal. Left out when there is none.",
        {"text": "bcb667d27b1bea6eaa3dd66344e4dfe3adc489336608571c056a3dcc36e40933"},
    ),
    "Entry.chat_uuid": About("The chat it happened in; else left out.", _CHAT),
    "Entry.chat_index": About("The entry's number among those of its chat, from 1 on.", 4),
    "Entry.chat_prev": About("The position of the chat's entry before; 0 for its first.", 40),
    "Entry.seq": About("The number of the message, where the entry is one.", 1),
    "Entry.entity_user_xref_uuid": About(
        "The member it concerns, who need not be the one who did it; else left out.", _MEMBER
    ),
    "Entry.group_uuid": About("The group it concerns; else left out.", _GROUP),
    "Entry.other_group_uuid": About("The other group of a barrier; else left out.", _OTHER_GROUP),
    "Entry.api_key_uuid": About("The key it concerns; else left out.", _KEY),
    "Entry.account_uuid": About("The account it concerns; else left out."),
    "Entry.organisation_uuid": About("The organisation it concerns; else left out."),
    "Entry.object": About(
        "With `expand`: the message, member, chat or group it concerns, as it is now; null where"
        " there is none. It is no part of the record."
    ),
    "EntryActor.kind": About(
        f"By which credential: {ACTOR_KINDS}. `operator` is the command line, `service` OnRecord"
        " itself. A message's `via.kind` says `user_key` and `master_user_key` for `user` and"
        " `master_user`, and `system` for `super`, `operator` and `service`.",
        "master_user",
    ),
    "EntryActor.entity_user_xref_uuid": About(
        "The member who is shown as acting, if any.", _MEMBER
    ),
    "EntryActor.api_key_uuid": About(
        "The key that was used, if any, to readers of either side.", _KEY
    ),
    "EntryActor.request_id": About(
        "The server's id of the request; left out where the caller sent an `X-Request-Id`, which"
        " then lies beside the entry as a part.",
        "0d3c6f0a4b",
    ),
    "GetWhoami.method": About("With `path`: judge a call of this method without making it."),
    "GetWhoami.path": About("With `method`: the path of that call, without its query."),
    "Whoami.kind": About("`system`, `super`, `master_user` or `user`.", "system"),
    "Whoami.name": About("The key's name.", "CRM"),
    "Whoami.entity_user_xref_uuid": About("The acting member; null when none acts.", _MEMBER),
    "Whoami.address": About("The address that was seen, and what the key says to it."),
    "Whoami.verdict": About("What the call asked about would be answered; null: none was."),
    "AddressVerdict.address": About("From where the request came.", "192.0.2.7"),
    "AddressVerdict.allowed": About("Whether the key may be used from there.", example=True),
    "Verdict.status": About("The status it would have.", 200),
    "Verdict.error_code": About("The refusal's code; null when there is none.", None),
    "Status.status": About("`ok`.", "ok"),
    "Problem.type": About("A link to the explanation of the code.", "/docs/errors#RB003"),
    "Problem.title": About(
        "What the code means; it never changes.",
        "A field or parameter has the wrong type, length or format",
    ),
    "Problem.status": About("The HTTP status.", 400),
    "Problem.detail": About("What was wrong this time.", "chat_uuid is not a UUID"),
    "Problem.instance": About("The id of the request.", "0d3c6f0a4b"),
    "Problem.error_code": About("A code of the [errors](errors).", "RB003"),
    "Problem.errors": About("Which fields are wrong, where it is about fields."),
    "FieldProblem.pointer": About("The field, as a JSON pointer.", "/chat_uuid"),
    "FieldProblem.detail": About("What is wrong with it.", "is not a UUID"),
}
"""By the field's name, or by type and name."""


TOLD_BACK: Final = frozenset({"Said.entity_user_xref_uuid"})
"""What tells back whom a caller named, which need not have been a uuid."""


def about(kind: type, name: str) -> About | None:
    """Give what a field means: said for its type, for one that its type extends, or for all."""
    for one in kind.__mro__:
        found = TABLE.get(f"{one.__name__}.{name}")
        if found is not None:
            return found
    return TABLE.get(name)


def described(
    types: Sequence[Any], ref_template: str
) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Give the JSON schemas of types, and the components they use with every field described."""
    schemas, components = msgspec.json.schema_components(types, ref_template=ref_template)
    kinds = structs(types)
    for component, shape in components.items():
        for name, field in shape.get("properties", {}).items():
            _describe(field, about(kinds[component], name))
            if name.endswith(("_uuid", "_uuids")) and f"{component}.{name}" not in TOLD_BACK:
                _mark_uuid(field)
    return schemas, components


def _describe(field: dict[str, Any], found: About | None) -> None:
    if found is not None:
        field["description"] = found.text
        if found.example is not None:
            field["examples"] = [found.example]


def _mark_uuid(field: dict[str, Any]) -> None:
    for one in field.get("anyOf", ()):
        _mark_uuid(one)
    if field.get("type") == "array":
        _mark_uuid(field["items"])
    if field.get("type") == "string":
        field["format"] = "uuid"


def structs(types: Sequence[Any]) -> dict[str, type]:
    """Give every struct that the types are made of, by its name."""
    found: dict[str, type] = {}

    def look(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType) and info.cls.__name__ not in found:
            found[info.cls.__name__] = info.cls
            for field in info.fields:
                look(field.type)
        for inner in getattr(info, "types", ()):
            look(inner)
        for name in ("item_type", "key_type", "value_type"):
            if hasattr(info, name):
                look(getattr(info, name))

    for one in types:
        look(msgspec.inspect.type_info(one))
    return found
