"""How OnRecord behaves, for whoever calls it: the texts of the page /docs/rules.

What a single call or field does stands with it (`web.fields`); here stands what is true of many.
"""

from typing import Final

from onrecord.domain.explain import RULES
from onrecord.web.pages import Page, Section, Table


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.strip().split("\n\n"))


_EXPLAINED: Final = Table(
    ("word", "may reach", "why"),
    tuple(
        (f"rule-{word}", (f"`{word}`", "yes" if allowed else "no", sentence))
        for word, (allowed, sentence) in RULES.items()
    ),
)
_KEY_OPTIONS: Final = Table(
    ("option", "what it does"),
    (
        ("", ("`--org UUID`", "The organisation. Not for super keys.")),
        ("", ("`--kind KIND`", "`system`, `super`, `master_user` or `user`.")),
        ("", ("`--name TEXT`", "Shown to staff with what the key sends.")),
        ("", ("`--permission NAME`", "Again for each [permission](permissions).")),
        (
            "",
            ("`--cidr BLOCK`", "From where it may be used, again for each; a super key needs one."),
        ),
        ("", ("`--member UUID`", "The owner of a user key, an active member of staff.")),
        ("", ("`--expires TIME`", "RFC 3339, such as `2027-01-01T00:00:00Z`; else never.")),
        (
            "",
            (
                "`--rate-limit N/SECONDS`",
                "Else the [installation's](settings#rate_limit), at first 1,000 in 10 seconds.",
            ),
        ),
    ),
)

SECTIONS: Final = (
    Section(
        "People, groups and contacts",
        _paragraphs("""
Staff side are the roles 1 system_admin, 2 user_admin and 3 staff; client side are 4 client and
5 partner. *A partner counts as a client everywhere.* Role 6 is the Butler, who is no person.

A member is made `pending` and invited by mail, unless `send_invitation` is false. A reminder
follows daily for 30 days, each with a fresh link; *only the newest link works*, and sending again
kills the older ones. Mail that comes back makes the invitation `bounced`, and nobody is reminded
at that address. Whoever opens the link makes an account or signs in to one, accepts the terms and
gives the code that is sent to the phone, or to the email where no phone is known or no texts are
sent; then the member is `active`, the Butler welcomes the member, and tells the staff of a new
client. An account is a member of an organisation once at a time: whose membership has ended may
join with a new one. A new version of the terms asks everybody again; it shuts nobody out. A
`suspended` member cannot act, but is shown as `unavailable` and keeps chats and groups. A member
who acts must be active ([RF024](errors#RF024)).

*The end of a membership* (`destroy`) makes a member `inactive`: out of every chat (as a former
participant), every group and every list of contacts, with the keys stopped; a pending invitation
is revoked. What was said stays, and email and identifier stay taken until they are changed, which
they can be in every state. `restore` brings the member back without the old chats and groups; a
client lands in the default group, and who never joined is `pending` and can be invited again.
Refused is what would leave clients in a group without active staff ([RB011](errors#RB011)) or an
organisation without an active system administrator ([RB018](errors#RB018)). Roles change within a
side only ([RB010](errors#RB010)).

*Contact data has layers.* `primary_email` and `primary_phone_number` are for administrators,
invitations and codes; `emails` and `phone_numbers` stand on the card that contacts see. Changing
one never changes another.

*Groups decide who sees whom.* A client's contacts are the staff in the client's groups. A
member of staff has everybody in the own groups as contacts, and finds all other staff in the
*directory* (`include_directory` of [GET
contacts/list](endpoints#get-chat-serviceapicontactslist)). Clients never see each other, even
in one group. Staff do not see a client with whom they share no group. Only active groups count,
and only active or suspended members are contacts.

A group takes a client only while an active member of staff is in it ([RB020](errors#RB020);
pending staff do not count), and keeps the last one while clients are there
([RB011](errors#RB011)). A client made without a group goes into the default group; if that has
no active staff, the first system administrator is put into it first. A group is closed when it
is empty, and is kept and listed as inactive.

Somebody who may not be known of is *not found* ([RN006](errors#RN006)). Somebody seen in a
common chat who is no contact is [RF003](errors#RF003).

`GET /chat-service/api/entity-memberships` shows a master-user key the administrators' view of
*everybody* in the organisation, whomever it acts for: it is made for synchronising, not for
showing to clients. Contacts are what a person may see.
"""),
    ),
    Section(
        "Chats",
        _paragraphs("""
*A new chat is a draft* that only its creator sees and may discard. Its first message makes it
`active` for everybody, and has number 0. Give `text` to create and send in one call. Renames,
joins and removals of a draft are entries of the record but no messages; who is taken out of a
draft never knew of it. A draft is discarded, not left ([RB019](errors#RB019)).

*Events take numbers.* In an active chat a rename, a join, a leaving and a removal are messages
of kind `event` with a number like any other, so that numbers have no gaps. `unread_count`
counts the texts and attachments of others above one's own `read_seq`, and no events.

*Who takes part.* At most 100 active participants, at least one besides the creator. Staff add
their contacts and any staff; clients add their contacts only where
[clients_may_add_participants](settings#org-clients_may_add_participants) allows it
([RF002](errors#RF002)). Only staff take others out; anybody may leave. A staff-only chat never
takes a client. `has_clients` says whether one takes part now. Whoever is added who is no
contact of a client can talk to that client in that chat alone.

*Leaving.* A former participant keeps the chat as it was at the moment of leaving: with the
title of then; nothing newer is shown, not even who came later, and nothing can be written
([RF001](errors#RF001)). Who is added again sees the whole history, what was said meanwhile too.

*Archive, mute and read marks are personal* and no part of the record. An archived chat comes
back with a message from somebody else. Sending through a key leaves the sender's own archive
and read mark as they are: create, send, archive, and the chat stays away until somebody
answers. A read mark never goes back. Mute is kept for apps; the server itself notifies nobody.

*What was said stays.* Nobody edits or deletes a message. A text is null only where files came
without one, and once it was lawfully erased.
"""),
    ),
    Section(
        "Files",
        _paragraphs("""
*An upload waits an hour* to be sent, by its uploader and into the chat it was made for; then it
goes. Until it is sent it is nobody else's to see, and on no record. A message of kind
`attachment` brings up to 20 files, with a text or without; its entry holds the SHA-256 of each.
For the rest it is a message like any other: replies, drafts, archives and read marks do not tell
the two apart.

*A file is what it holds.* Its type is found by its content and must agree with its name. Of which
types and how large files may be the organisation says
([attachment_types](settings#org-attachment_types),
[attachment_max_bytes](settings#org-attachment_max_bytes)). Programs, scripts and pages for a
browser are never taken, nor what is encrypted or under a password, nor malware where a scanner is
set ([RB016](errors#RB016) says which). Names lose folders, control characters and characters that
turn the direction of writing.

*Each download is judged anew.* Whoever sees a message carrying the file may have it; a former
participant what was sent until the leaving; anybody else finds nothing ([RN004](errors#RN004)). It
always comes as a download and never as a page, with an `ETag` and in one
[range](errors#RB025) if asked (RFC 9110). A large file that turns out to be damaged is cut before
its end. A link downloads once, within ten seconds, for whoever has it, and is judged when it is
used.

*The Butler* brings an upload that was made without a chat, and can bring it again to others.
"""),
    ),
    Section(
        "The feed and the history",
        _paragraphs("""
`GET …/events` is the record in order; follow it with `after` set to `next_after`. With `wait`
it answers as soon as there is something, after at most 30 seconds. `next_after` moves on even
when nothing was given.

A system key sees the organisation's whole record. For a member it holds the entries about that
member, and those of each chat from joining to leaving. *Who is invited later* therefore meets
`participant.joined` in the feed and reads what was said before with [GET
chats/messages/range](endpoints#get-chat-serviceapichatsmessagesrange). The same holds for who
comes back after having left: the feed leaves the absence out.

Entries are the very bytes that were hashed, so they are the same for every reader:
`actor.api_key_uuid` stands there for clients too, where a message's `via` hides it. They hold
no texts and no names, only hashes of them; `expand=true` brings along the message, chat, member
or group as it is now, and as its reader may see it.

Kinds are spelt in two vocabularies: [via.kind](endpoints#object-via) of messages is the original
product's, [actor.kind](endpoints#object-entryactor) of entries is the record's.
"""),
    ),
    Section(
        "Barriers and explain",
        _paragraphs("""
A barrier keeps the staff of two groups apart: no contact and no common chat across it, and it
wins over every other rule. It binds staff; a client may be in chats with either side, but not
with both in one chat. It is refused while a member of staff is in both groups
([RB019](errors#RB019)).

*Chats that run across a new barrier freeze*: no message, no new title, nobody added
([RF007](errors#RF007)). They can be read, left, and staff can be taken out; when nobody stands
on the other side any more, the chat goes on. A system key with `can_write_admin`, or a
system administrator, lifts a barrier
([POST barriers/destroy](endpoints#post-entity-servicesys-apibarriersdestroy)).

[GET contacts/explain](endpoints#get-entity-servicesys-apicontactsexplain) says whether two
members may reach each other and by which rule, now or `at` an earlier position or time. The
first rule of these that fits decides:
"""),
        _EXPLAINED,
    ),
    Section(
        "The Butler",
        _paragraphs("""
The Butler is the organisation's one-way voice. Each member has one Butler chat, made with the
first thing said to them. It cannot be answered, renamed, left, muted or archived
([RF005](errors#RF005)).

*200 does not mean that everybody was reached.* Look at `failed` and at each of `results`: it
has `chat_uuid` and `seq`, or an `error_code` such as RN006 (no such member) or RF024 (neither
active nor suspended). Suspended members are spoken to and read it when they are back.

A call to more than 500 goes in slices, each whole or not at all. With an `Idempotency-Key` a
retry goes on after the last slice and answers for all.

`on-behalf-of` may be left out. If it is sent, the member is judged as in any call, but is not
shown: the Butler is the author.
"""),
    ),
    Section(
        "Provisioning",
        _paragraphs("""
An identity provider such as Entra ID or Okta speaks SCIM 2.0 under `/scim/v2`. Give it that
address and, as bearer token, the id of a system key whose sole permission is
[can_provision](permissions#can_provision), a dot, and the secret. Such a key opens nothing else.

*Users* are staff; clients are not there. `userName` is the primary email, `externalId` the
identifier, `emails` and `phoneNumbers` the contact card. New users are invited. `active: false`
suspends, or revokes an invitation; `true` takes that back, and restores. DELETE ends the
membership: the user stays readable with `active: false`, since the member stays on record.
`roles` takes `staff` and `user_admin`; system administrators are made by each other.

*Groups* are the organisation's, with the staff in them; clients in them stay. Only an empty one
can be deleted; it is opened again by a POST with the identifier it holds.

Rules that the present state stands against are 409. Our code begins the `detail` of an error.
Attributes that are not kept are ignored, and named in `Ignored-Fields`; so are phone numbers
without a country.
"""),
    ),
    Section(
        "Administrators",
        _paragraphs("""
Administrators make nearly every call of the System API in a session as well, under
`/app-service/api` ([administration](endpoints#administration)). A `user_admin` looks after members,
invitations, groups and imports; a `system_admin` also after the organisation, its settings,
pictures and terms, barriers, keys, exports and proofs. Anybody else is
[RF006](errors#RF006), and so is a `user_admin` who acts on a `system_admin` or wants to make one,
or a data reviewer. A person acts in the own name: `created_by_entity_user_xref_uuid` names the
acting member or is left out.

Permissions bind keys and not persons: a `system_admin` may hand out any of them. An import ends
early when the session ends that began it, or the role is gone.
"""),
    ),
    Section(
        "Keys",
        _paragraphs("""
Keys are made by the operator with `onrecord key create`, or by a system key with
`can_write_admin` in
[POST api-keys/create](endpoints#post-entity-servicesys-apiapi-keyscreate); the secret is shown
this once. [Permissions](permissions) lists kinds and headers. Reading and writing are separate
permissions, and neither implies the other.

A key hands out no permission that it lacks itself: not by making a key, not by adding to one, not
by rotating one that can do more. Permissions of chats, which no system key can hold, and
`can_provision` go with `can_write_admin`: it is the permission of an administrator.

*Super keys* belong to the installation: made without `--org`, with at least one `--cidr`, for
example `onrecord key create --kind super --name Directory --permission can_read_admin --cidr
10.20.0.0/16`. Each call names the organisation in `on-behalf-of-entity-uuid`.

*User keys* act for the active member of staff who owns them, and need `onrecord org set --org
UUID allow_user_api_keys true` first. Switching that off stops all of them for good.

`onrecord key rotate --key ID --overlap-seconds 3600` gives a key a new secret; the old one
works on for the overlap. `onrecord key deactivate --key ID` stops a key from the next request
on. `last_used_at` lags up to a minute.

Ask `whoami` what a key is, and with `method` and `path` what a call would be answered.
"""),
        _KEY_OPTIONS,
    ),
    Section(
        "Requests and retries",
        _paragraphs("""
*Idempotency.* Any POST takes an `Idempotency-Key` of 1 to 255 printable characters, which
belongs to the API key and the acting member. For 24 hours the same request - method, path,
query, acting member and the *bytes* of the body - gets the stored answer again, with
`Idempotent-Replay: true`; another request is [RB022](errors#RB022), and one sent while the
first still runs may be [RB023](errors#RB023). Refusals are not stored: the same key may be
tried again.

*Request ids.* Each answer has an `X-Request-Id`: the caller's own, if one of 1 to 128 printable
characters was sent, else one that the server made. It is the `instance` of a refusal, and
stands in the log and beside the entry.

*Rate limits.* `RateLimit-Policy` and `RateLimit` tell the limit, what is left and in how many
seconds it begins anew. Above it the answer is 429 [RU029](errors#RU029). After more than 100
wrong secrets a minute from an address, further wrong ones are 429 too; a right key is never
refused for its neighbours.

*Retry-After*, in seconds, comes with 429 and 503. Wait that long; with an `Idempotency-Key`
nothing is done twice.

*Headers that are looked at*: those of the key, `on-behalf-of` (also as a query parameter),
`on-behalf-of-entity-uuid`, `Idempotency-Key`, `X-Request-Id` and `Content-Type`. Unknown body
fields are ignored and named in `Ignored-Fields`.
"""),
    ),
    Section(
        "Lists and cursors",
        _paragraphs("""
With `limit` (1 to 1,000) a list is one page with a `next_cursor`, which is null on the last
page. Send it as `cursor`, with the same filters: a cursor belongs to its list and filters.
Without `limit` everything is streamed as one answer; a key has at most four streams at once
([RU029](errors#RU029)), and one whose reader takes nothing for a minute is cut.

*Chats* come in the order they had when the first page was read. One that moves up while somebody
goes from page to page is neither missed nor given twice.

A parameter that is no list is given once; twice is [RB003](errors#RB003).

`updated_since` is inclusive and needs an offset: `2026-11-22T10:00:00Z`, or
`2026-11-22T11:00:00%2B01:00`, because a bare + in a query means a space.
"""),
    ),
    Section(
        "Proof",
        _paragraphs("""
Every change is one entry of the organisation's record: numbered without gaps, and never
changed. A *checkpoint* is a signed line about how many entries there are and one hash that
depends on every byte of them ([GET
record/checkpoint](endpoints#get-entity-servicesys-apirecordcheckpoint); a key with
`can_export`). One is made each minute in which the record has grown.

*Keep checkpoints outside.* Whoever holds both database and signing key could rewrite the past;
a checkpoint that lies elsewhere shows it. Fetch one regularly, and once the verifier key at
`/.well-known/onrecord-keys`.

[record/consistency](endpoints#get-entity-servicesys-apirecordconsistency) shows that the record
of a later size begins with that of an earlier one,
[record/proof](endpoints#get-entity-servicesys-apirecordproof) that one entry belongs to a
record of a size (RFC 9162; a leaf's hash is SHA-256 of a zero byte and the entry's bytes as the
feed gives them).

`onrecord export record --org UUID --output FILE` writes the whole record into one sealed file,
and `onrecord verify FILE --key VKEY` checks it without server or network. It shows that nothing
was changed or left out up to its position; not whether something followed, whether others were
shown the same, or whether what people wrote is true.
"""),
    ),
)

PAGE: Final = Page(
    "rules",
    "How it behaves",
    _paragraphs("""
What is true of many calls, and what surprises. What a single call takes and answers stands with
[the call](endpoints).
"""),
    SECTIONS,
)
