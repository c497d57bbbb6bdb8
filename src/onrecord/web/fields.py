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
_ACCOUNT: Final = "3c59dc04-8e88-4024-8be8-079a5c74d079"
_SESSION: Final = "b6d767d2-f8ed-4d21-a44b-0e5886680cb9"
_FILE: Final = "1679091c-5a88-4faf-afb5-e6087eb1b2dc"
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
    # -- invitations, terms, jobs, the outbox
    "Resend.invitation_message": About(
        "At most 5,000 characters; absent: the words of the invitation before.",
        "It would be good to have you here.",
    ),
    "ShownInvitation.entity": About("The organisation that invites."),
    "InvitingEntity.name": About("What it is called.", "Quay Wealth"),
    "ShownInvitation.first_name": About("Who is invited.", "Priya"),
    "needs_phone": About(
        "Whether `phone_number` is needed to accept: the organisation asks for one and knows none.",
        example=False,
    ),
    "ShownInvitation.terms": About("What is to be accepted: the operator's terms first."),
    "accept_terms": About("Must be true.", example=True),
    "Accept.username": About(
        "The user name to be, by the rules of `username`; absent together with `password`: the"
        " account of the session joins.",
        "priya.nair",
    ),
    "Accept.phone_number": About(
        "`+` and digits; the code goes there where texts can be sent. Where administrators entered"
        " one, that one counts.",
        "+441234567890",
    ),
    "whose": About("`operator` or `organisation`.", "organisation"),
    "version": About("Which version of the terms: 1, 2 …; 0 where there never were any.", 2),
    "Terms.text": About("The terms, at most 100,000 characters.", "Be kind to each other."),
    "Terms.updated_at": About(f"Since when this version stands ({_WHEN}).", _TIME),
    "UpdateTerms.text": About(
        "At most 100,000 characters; empty: there is nothing to accept. The same text again makes"
        " no new version.",
        "Be kind to each other.",
    ),
    "OneTerms.terms": About("The newest version."),
    "StillDue.terms": About("What is still to be accepted; empty when that was all."),
    "AcceptTerms.version": About("The version that was read, at most the newest.", 2),
    "job": About("The job."),
    "JobView.kind": About("What it does, such as `import`.", "import"),
    "JobView.state": About("`queued`, `running`, `done` or `failed`.", "running"),
    "done": About("How much of it is done, in what the job counts.", 500),
    "total": About("How much there is to do; null while that is not known.", 1200),
    "result": About(
        "What came of it so far; `reason` says why it failed. Null while there is nothing to say."
    ),
    "finished_at": About(f"When it ended ({_WHEN}); null: not yet.", None),
    "Bounces.events": About("What happened to mails, at most 1,000."),
    "BounceEvent.type": About("`bounce` is acted upon, everything else is not.", "bounce"),
    "recipient": About("To whom the mail went; looked at where the id is unknown."),
    "message_id": About("The Message-ID of the mail."),
    "taken": About("How many bounces were looked at.", 1),
    "Outbox.messages": About("The messages that were kept, the newest first, at most 500."),
    "to": About("The email address or phone number.", "priya@example.com"),
    "channel": About("`email` or `sms`.", "email"),
    "subject": About("The subject of a mail; empty for a text.", "Your code for Quay Wealth"),
    "Kept.text": About("What it says."),
    "links": About("The links in it."),
    "Kept.code": About("The code in it; null for none.", "042117"),
    "Kept.at": About(f"When it would have been sent ({_WHEN}).", _TIME),
    # -- persons: signing in, accounts, devices, the embedded app
    "username": About(
        "At least 6 characters with a letter, no spaces, no email; compared without regard to case"
        " over the whole installation.",
        "priya.nair",
    ),
    "password": About(
        "12 to 256 characters of any kind; those that are guessed first are refused. Where one is"
        " asked for beside something else, it is that of now.",
        "four words in a row",
    ),
    "new_password": About("The password to be, by the same rules.", "quite another four words"),
    "challenge": About(
        "What goes back together with the code; it lives ten minutes. Null in a stored answer.",
        "x8Zb0Yd3Qk3Jw1l2vJx8m7J1q0gYw7oVt5rP4uN6sKc",
    ),
    "sent_to": About("Where the code went, masked; empty when none was sent.", "p••••@example.net"),
    "methods": About(
        "How the code comes: `email`, `sms`, `totp` (an authenticator app) or `operator` (the"
        " command line shows one); `recovery_code` when that may stand in its place.",
        ["email"],
    ),
    "code": About("Six digits; when signing in the recovery code will do as well.", "042117"),
    "csrf_token": About(
        "Goes with every POST of the session in `X-CSRF-Token`. Null in a stored answer.",
        "b2Z0ZW4gY2hhbmdlZCBhbmQgbmV2ZXIgc3RvcmVkIQ",
    ),
    "memberships": About("The account's memberships, inactive ones left out, oldest first."),
    "entity_state": About("The organisation's state: `active`, `frozen` or `inactive`.", "active"),
    "ShownMembership.entity": About("The organisation."),
    "ShownMembership.state": About("`active` or `suspended`.", "active"),
    "ShownMembership.terms": About("The organisation's terms, while they are to be accepted."),
    "ShownSession.terms": About("The operator's terms, while they are to be accepted."),
    "SdkMembership.entity": About("The organisation."),
    "SdkMembership.user": About("The member."),
    "avatar_url": About(
        "Where the organisation's picture is read without a key, as a square; null: it has none."
    ),
    "logo_url": About(
        "Where the organisation's logo is read without a key; null: it has none. Another logo has"
        " another address, so that what is there can be kept."
    ),
    "GetPicture.size": About(
        "In pixels. An avatar: 64, 128, 256 (the usual one) or 512. A logo: the height of the box"
        " that it fits into, 160 (of a width of 640, the usual one) or 320 (of 1280).",
        256,
    ),
    "GetPublicPicture.size": About(
        "In pixels. An avatar: 64, 128, 256 (the usual one) or 512. A logo: the height of the box"
        " that it fits into, 160 (of a width of 640, the usual one) or 320 (of 1280).",
        256,
    ),
    "v": About(
        "The version that the address was made for; while it is the present one, the picture can"
        " be kept for a year."
    ),
    "ShownSession.account": About("Who is signed in."),
    "account_uuid": About("The account, by uuid.", _ACCOUNT),
    "ShownAccount.email": About("Where mails about the account go; null for none."),
    "ShownAccount.phone_number": About("Where texts with codes go; null for none."),
    "ChangeEmail.email": About("The email to be; a code goes there.", "priya@example.net"),
    "ChangePhone.phone_number": About(
        "The phone number to be; a code goes there.", "+441234567890"
    ),
    "has_totp": About("Whether signing in asks for a code of an app.", example=False),
    "has_recovery_code": About(
        "Whether there is a recovery code that was not used.", example=False
    ),
    "token": About(
        "What stands in the mailed link behind `#token=`.",
        "x8Zb0Yd3Qk3Jw1l2vJx8m7J1q0gYw7oVt5rP4uN6sKc",
    ),
    "TotpBegun.secret": About("For typing into the app. Null in a stored answer."),
    "uri": About("For a QR code (`otpauth://`). Null in a stored answer."),
    "recovery_code": About("Works once, in the place of a code. Null in a stored answer."),
    "devices": About("The living sessions, the one seen last first."),
    "session_uuid": About("The session, by uuid.", _SESSION),
    "user_agent": About("What the browser calls itself.", "Mozilla/5.0"),
    "Device.address": About("From where it was signed in; null when it could not be told."),
    "last_seen_at": About(f"When it was last used, to the minute ({_WHEN}).", _TIME),
    "Device.expires_at": About(f"When one has to sign in again at the latest ({_WHEN}).", _TIME),
    "is_current": About("Whether it is the session that asks.", example=True),
    "ended": About("How many ended.", 2),
    "sdk_token": About("Goes into `Authorization: Bearer`. Null in a stored answer."),
    "api_base_url": About("Where the embedded app sends its calls.", "https://chat.example.com"),
    "SdkSession.expires_at": About(f"When the token ends by itself ({_WHEN}).", _TIME),
    "FindSdkMemberships.primary_email": About("Compared as the primary email of members."),
    "SdkMemberships.entity_memberships": About("Each organisation with the person's member there."),
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
        "`+` and digits; spaces, dots, hyphens, slashes, brackets and a `(0)` are dropped. Needed"
        " where the organisation's [invitation setting](settings#org-client_invitation_type) asks"
        " for it.",
        "+441234567890",
    ),
    "emails": About("The emails on the contact card, which contacts see.", ["p.nair@example.net"]),
    "phone_numbers": About("The phone numbers on the contact card.", ["+441234567890"]),
    "status": About("`available`, or `unavailable` while the member is suspended.", "available"),
    "data_reviewer_level": About(
        "What a member of staff may review: 0 nothing, 1 chats with a client among the own"
        " contacts, 2 chats with a client, 3 every chat.",
        0,
    ),
    "has_avatar": About("Whether there is a picture.", example=False),
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
    "attachments": About("Files of the message, in the order in which they were sent."),
    "attachment_uuid": About("The file, by uuid.", _FILE),
    "attachment_uuids": About(
        "Files, by uuid, in the order in which they are to stand; together with `attachment_uuid`"
        " at most 20, each once.",
        [_FILE],
    ),
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
    "api_keys": About("Keys, oldest first; a destroyed one is not among them."),
    "overlap_seconds": About(
        "How long the old secret works on, in seconds: 0 (it ends at once) to 2592000.", 3600
    ),
    "organisation": About("The organisation as it is now."),
    "allow_user_api_keys": About(
        "Whether staff may own keys of their own; switching it off stops all user keys for good.",
        example=False,
    ),
    "staff_invitation_type": About(
        "What inviting staff needs: `email_only`, `email_and_phone` or `optional_phone`.",
        "email_only",
    ),
    "client_invitation_type": About(
        "What inviting clients needs: `email_only`, `email_and_phone` or `optional_phone`.",
        "email_only",
    ),
    "clients_may_add_participants": About(
        "Whether clients may add their own contacts to chats.", example=False
    ),
    "sdk_enabled": About("Whether the embedded app may be used.", example=True),
    "sdk_allowed_origins": About(
        "The origins of pages that may embed the app, at most 200.", ["https://crm.example.com"]
    ),
    "sdk_token_seconds": About("How long an SDK token lives, 60 to 86400 seconds.", 3600),
    "reviewer_export_cap": About(
        "How many exports a data reviewer of level 1 or 2 may make in 24 hours; null: no cap.",
        None,
    ),
    "butler_welcome_text": About(
        "What the Butler says to a new member, at most 5,000 characters.", "Welcome to Quay."
    ),
    "banner": About("A line shown to everybody, at most 5,000 characters.", "Closed on Friday."),
    "terms": About("The organisation's terms, at most 100,000 characters.", "Be kind."),
    "colours": About(
        "Colours by name, at most 20, each `#` and six hexadecimal digits.",
        {"primary": "#0a5c36"},
    ),
    "attachment_types": About(
        "Endings of files allowed, at most 200; empty: those of the installation.", ["pdf", "png"]
    ),
    "attachment_max_bytes": About("The largest attachment, in bytes.", 104_857_600),
    "timezone": About("The time zone of transcripts, by its IANA name.", "Europe/London"),
    "locale": About("The language of mails and transcripts.", "en-GB"),
    # -- by type
    "Organisation.name": About("What it is called, 1 to 500 characters.", "Quay Wealth"),
    "Organisation.state": About("`active`, or `frozen`, in which it can only be read.", "active"),
    "OwnOrganisation.name": About("What it is called.", "Quay Wealth"),
    "OwnOrganisation.attachment_types": About("Endings of files that are taken.", ["pdf", "png"]),
    "OwnMembership.contact": About("The acting member, as contacts see them."),
    "OwnMembership.data_reviewer_level": About("Up to which level one reviews; 0: not at all.", 0),
    "UpdateOrganisation.name": About("What it is called, 1 to 500 characters.", "Quay Wealth"),
    "KeyView.kind": About("`system`, `master_user` or `user`; `super` for keys of the operator."),
    "KeyView.name": About("What administrators call it.", "CRM"),
    "KeyView.state": About("`active`, `deactivated` or `expired`.", "active"),
    "KeyView.entity_user_xref_uuid": About("The owner of a user key, by uuid; else null.", _MEMBER),
    "KeyView.rate_limit": About(
        "Requests and seconds, `N/SECONDS`; null: as the installation is set.", "1000/10"
    ),
    "CreateKey.kind": About("`system`, `master_user` or `user`.", "master_user"),
    "CreateKey.name": About("What administrators call it, 1 to 500 characters.", "CRM"),
    "CreateKey.permissions": About(
        "What it may do: [permissions](permissions) of its kind, none that the calling key lacks.",
        ["can_read_chat"],
    ),
    "CreateKey.cidr_blocks": About(
        "From where it may be used, v4 and v6, at most 100; absent or empty: from everywhere.",
        ["10.0.0.0/8"],
    ),
    "CreateKey.entity_user_xref_uuid": About(
        "The owner of a user key: an active member of staff. No other kind has one.", _MEMBER
    ),
    "CreateKey.expires_at": About(f"When it ends by itself ({_OFFSET}); absent: never."),
    "CreateKey.rate_limit": About(
        "Requests and seconds, `N/SECONDS`; absent: as the installation is set.", "100/60"
    ),
    "UpdateKey.name": About("What administrators call it, 1 to 500 characters.", "CRM"),
    "UpdateKey.permissions": About(
        "All it may do from now on. It keeps what it has; added is none that the calling key lacks."
    ),
    "UpdateKey.cidr_blocks": About("All blocks it may be used from; empty: from everywhere."),
    "UpdateKey.expires_at": About(f"When it ends by itself ({_OFFSET}); null: never."),
    "UpdateKey.rate_limit": About(
        "Requests and seconds, `N/SECONDS`; null: as the installation is set.", "100/60"
    ),
    "KeySecret.secret": About(
        "256 random bits, shown this once; null where an `Idempotency-Key` gives the answer again.",
        "b64-text-shown-once",
    ),
    # -- files in, everything out
    "job_uuid": About("The job that does the work, by uuid.", _KEY),
    "CreateImport.kind": About(
        "What the rows of the file are: `staff`, `clients`, `groups` or `group_members`.", "clients"
    ),
    "GetTemplate.kind": About(
        "What the rows of the file will be: `staff`, `clients`, `groups` or `group_members`.",
        "clients",
    ),
    "dry_run": About("Whether to report what would happen and change nothing.", example=True),
    "ignore_existing_identifiers": About(
        "Whether a row whose identifier is in use counts as done; else it is refused.",
        example=True,
    ),
    "send_invitations": About("Whether every new member is invited.", example=True),
    "format": About(
        "`json`; `csv` for one table of all records; `zip` for a sealed file that also holds every"
        " message and the record itself.",
        "json",
    ),
    "erased": About("The fields that are null because they were lawfully erased.", []),
    "GetEntities.as_of": About(
        "A position of the record, from 1 on; absent: the present end.", 4711
    ),
    # -- transcripts
    "GetTranscript.from": About(
        f"Only what was said and done from then on. {_OFFSET}.", "2026-11-01T00:00:00Z"
    ),
    "GetTranscript.to": About(
        f"Only what was said and done up to then, that moment included. {_OFFSET}.",
        "2026-11-30T23:59:59Z",
    ),
    "GetTranscript.as_of": About(
        "A position of the record, from 1 on; absent: the present end.", 4711
    ),
    "GetTranscript.timezone": About(
        "The time zone of the times shown, by its IANA name; absent: the organisation's setting.",
        "Europe/London",
    ),
    "GetOwnTranscript.format": About(
        "`pdf`; `zip` for a sealed file that also holds the record of the chat and its"
        " attachments.",
        "pdf",
    ),
    "ReviewTranscript.reason": About(
        "Why the reviewer reads this; it stands on record.", "Complaint 17"
    ),
    # -- searching, and data reviewers
    "indexed_to": About(
        "The position of the record up to which messages were searched. It is the last one, unless"
        " much was said within the last minute.",
        4711,
    ),
    "SearchMessages.text": About(
        "What to look for, at most 500 characters: words that must all be there, in a text or in"
        ' the name of a file. The last one may be the beginning of a word; a "phrase" in quotation'
        " marks stands as it is. Case and accents make no difference.",
        "pension transfer",
    ),
    "SearchMessages.chat_uuid": About("In this chat alone; absent: in all of the member's.", _CHAT),
    "SearchMessages.from": About(
        f"Only what was sent from then on. {_OFFSET}.", "2026-11-01T00:00:00Z"
    ),
    "SearchMessages.to": About(
        f"Only what was sent up to then, that moment included. {_OFFSET}.", "2026-11-30T23:59:59Z"
    ),
    "GetAnyChats.entity_user_xref_uuid": About(
        "At most 100 members, all of whom take part or took part.", [_MEMBER]
    ),
    "GetAnyChats.title": About("Part of the title, in any case.", "pension"),
    "GetAnyChats.text": About(
        'What a message of the chat must hold: words, or a "phrase" in quotation marks, as'
        " members look for messages.",
        "guarantee",
    ),
    "GetAnyChats.from": About(
        "Chats with a message sent from then on; with `text`, it is the message that holds it."
        f" {_OFFSET}.",
        "2026-11-01T00:00:00Z",
    ),
    "GetAnyChats.to": About(
        "Chats with a message sent up to then, that moment included; with `text`, it is the"
        f" message that holds it. {_OFFSET}.",
        "2026-11-30T23:59:59Z",
    ),
    "GetAnyChats.has_clients": About(
        "Chats in which a client or partner takes part now, or those in which none does.",
        example=True,
    ),
    "ReviewChats.reason": About(
        "Why the reviewer looks, 1 to 500 characters; it stands on record.", "Complaint 17"
    ),
    "ReviewRange.reason": About(
        "Why the reviewer reads this, 1 to 500 characters; it stands on record.", "Complaint 17"
    ),
    "ReviewFile.reason": About(
        "Why the reviewer reads this, 1 to 500 characters; it stands on record.", "Complaint 17"
    ),
    "EntitiesExport.as_of": About("The position of the record that all of it is as of.", 4711),
    "EntitiesExport.entity": About("The organisation."),
    "EntitiesExport.checkpoint": About("The signed checkpoint of exactly this position."),
    "EntitiesExport.entity_memberships": About(
        "Every member, inactive ones and the Butler too, oldest first."
    ),
    "EntitiesExport.groups": About("Every group, inactive ones too, oldest first."),
    "EntitiesExport.chats": About("Every draft and active chat, oldest first."),
    "ExportedEntity.name": About("What the organisation is called.", "Quay Wealth"),
    "ExportedEntity.state": About("`active`, `frozen` or `inactive`.", "active"),
    "ExportedEntity.has_logo": About("Whether the organisation had a logo.", example=False),
    "ExportedEntity.settings": About("The settings that were ever changed, by name.", {}),
    "ExportedChat.participants": About("Who takes part or did, oldest member first."),
    "ExportedMember.state": About(
        "`pending`, `active`, `suspended` or `inactive`; the Butler is `active`.", "active"
    ),
    "ExportedMember.group_uuids": About("The groups the member is in, oldest first.", [_GROUP]),
    "ExportedChat.is_butler": About("Whether it is a chat with the Butler.", example=False),
    "ExportedChat.has_clients": About("Whether a client or partner takes part.", example=True),
    "ExportedChat.created_by_entity_user_xref_uuid": About("Who started it, by uuid.", _MEMBER),
    "ExportedChat.last_seq": About("The number of the last message; null for none.", 7),
    "ExportedChat.last_message_at": About(f"When it was sent ({_WHEN}); null for none.", _TIME),
    "ExportedGroup.state": About("`active` or `inactive`.", "active"),
    "ExportedChat.state": About("`draft` or `active`.", "active"),
    "ExportedParticipant.state": About("`active`, or `former` for who has gone.", "active"),
    "ExportedParticipant.joined_at": About(f"When the last stay began ({_WHEN}).", _TIME),
    "ExportedParticipant.left_at": About(f"When it ended ({_WHEN}); null while it lasts."),
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
        " administrator, or in a session the acting member, and nobody else.",
        _OTHER,
    ),
    "CreateMember.send_invitation": About(
        "Whether to invite by mail now and to remind daily for 30 days; else the member waits for"
        " `invitations/resend`.",
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
    "UpdateMember.identifier": About(
        "Beside `entity_user_xref_uuid` the new one, and an empty text takes it away; without it,"
        " or beside another `new_identifier`, says which member, exactly.",
        "CL-1001",
    ),
    "UpdateMember.new_identifier": About(
        "The new identifier; an empty text takes it away. At most 500 characters.", "CL-1001-B"
    ),
    "UpdateMember.first_name": About("The new one, 1 to 500 characters; absent: as it is."),
    "UpdateMember.last_name": About("The new one, 0 to 500 characters; absent: as it is.", "Nair"),
    "UpdateMember.job_title": About(
        "The new one, 0 to 500 characters; absent: as it is.", "Head of advice"
    ),
    "UpdateMember.emails": About(
        "All emails for the contact card, at most 50; one stays at least. Absent: as they are."
    ),
    "UpdateMember.phone_numbers": About(
        "All phone numbers for the contact card, at most 50. Absent: as they are."
    ),
    "UpdateEmails.primary_email": About(
        "The new one; invitations and codes go there from now on, and the one before is told."
        " Absent: as it is."
    ),
    "UpdateEmails.emails": About(
        "All emails for the contact card, at most 50; one stays at least. Absent: as they are."
    ),
    "UpdatePhoneNumbers.primary_phone_number": About(
        "The new one; an empty text takes it away where the organisation does not ask for one."
        " Absent: as it is."
    ),
    "UpdatePhoneNumbers.phone_numbers": About(
        "All phone numbers for the contact card, at most 50. Absent: as they are.",
        ["+441234567890"],
    ),
    "UpdateProfile.enum_profile_id": About(
        "The new role, of the same side: 1 to 3, or 4 and 5. Absent: as it is.", 2
    ),
    "UpdateProfile.data_reviewer_level": About(
        "The new level of a member of staff, 0 to 3. Absent: as it is."
    ),
    "GetAvatar.size": About("The side of the square in pixels: 64, 128, 256 or 512."),
    "Membership.state": About(
        "`pending` (invited), `active`, `suspended` (for a while) or `inactive` (gone).", "active"
    ),
    "Membership.group_uuids": About("The groups the member is in.", [_GROUP]),
    "MemberInShort.state": About("`pending`, `active`, `suspended` or `inactive`.", "active"),
    "Invitation.state": About(
        "`not_sent` (in line, or mail is not set up), `sent`, `bounced`, `accepted`, `revoked` or"
        " `expired`.",
        "sent",
    ),
    "Invitation.sent_at": About(f"When it was sent ({_WHEN}); null: not yet.", None),
    "Invitation.reminders_sent": About("How many reminders followed.", 0),
    "Invitation.expires_at": About(f"Until when it can be used ({_WHEN}); null: no end.", None),
    "CreateGroup.identifier": About(
        "The organisation's own reference for it, at most 500 characters; no other group may have"
        " it.",
        "TEAM-7",
    ),
    "UpdateGroup.identifier": About(
        "Beside `group_uuid` the new one; without it, or beside another `new_identifier`, says"
        " which group, exactly.",
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
        "Texts and attachments of others above `read_seq`, no events; where a member looks.", 0
    ),
    "ParticipantView.state": About("`active`, or `former` after leaving or removal.", "active"),
    "Message.kind": About(
        "`text`, `attachment` (with files, and a text or none) or `event` (somebody came or went,"
        " the title changed).",
        "text",
    ),
    "Message.entity_user_xref_uuid": About(
        "The author, by uuid; null when no member is shown.", _MEMBER
    ),
    "Message.first_name": About("The author's, as it is now.", "Priya"),
    "Message.last_name": About("The author's, as it is now.", "Nair"),
    "Message.text": About(
        "What was said; null for an event, for files without a text, or once it was lawfully"
        " erased.",
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
    "Attachment.filename": About(
        "Its name, at most 255 characters, without folders, control characters and characters that"
        " turn the direction of writing.",
        "letter.pdf",
    ),
    "Attachment.content_type": About(
        "Its media type, by what it holds and not by what the sender says.", "application/pdf"
    ),
    "Attachment.size": About("In bytes.", 48_213),
    "Attachment.sha256": About(
        "Its SHA-256, in hexadecimal.",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    "UploadFile.chat_uuid": About(
        "The chat for which it is. Left out only with a master-user key: then it is for the Butler"
        " to send.",
        _CHAT,
    ),
    "SendAttachment.attachment_uuid": About(
        "An own upload for this chat that waits to be sent. Left out where a form brings the file.",
        _FILE,
    ),
    "SendAttachment.text": About(
        "What is said with the files, by the rules of `text`; absent, null or empty: nothing.",
        "Here is the letter.",
    ),
    "ButlerAttachment.attachment_uuid": About(
        "An upload without a chat: the acting member's, or one made with the same key. What the"
        " Butler has sent once can be sent again at any time.",
        _FILE,
    ),
    "ButlerAttachment.text": About(
        "What is said with the files, by the rules of a Butler's text; absent, null or empty:"
        " nothing.",
        "Dear <First Name>, this is our letter of the quarter.",
    ),
    "DownloadLink.url": About(
        "Where the file is, once; whoever has the address needs nothing else.",
        "https://chat.example.com/download/2NvXJMJ7rFqNfPBe0gkQfiqvZmB4o2dcrbq1e1gqSpM",
    ),
    "DownloadLink.expires_at": About(f"Until when, ten seconds from now ({_WHEN}).", _TIME),
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
    "NameAudience.audience": About("Members by role or group, besides those who are named."),
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
    # -- provisioning
    "ScimRead.attributes": About("Only these attributes, `id` and `schemas`."),
    "ScimRead.excludedAttributes": About("All attributes but these."),
    "ScimList.filter": About(
        'What must hold, such as `userName eq "priya@example.com"` (RFC 7644, section 3.4.2.2).'
    ),
    "ScimList.startIndex": About("The first result of the page, counted from 1."),
    "ScimList.count": About("How many results at the most, up to 200."),
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
