"""Rows of the System API: `/entity-service/sys-api` (contract, section 4), and the record's."""

from functools import partial
from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import members, record
from onrecord.model.errors import Refusal
from onrecord.model.people import Membership
from onrecord.store.work import Work
from onrecord.web import feed, lists
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Nothing, Takes

SERVICE: Final = "/entity-service"
BASE: Final = f"{SERVICE}/sys-api"
Size = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class CreateMember(Takes):
    """A person to become a member."""

    enum_profile_id: int
    first_name: str
    primary_email: str
    last_name: str | None = ""
    job_title: str | None = ""
    identifier: str | None = None
    primary_phone_number: str | None = None
    group_uuids: list[str] | None = None
    created_by_entity_user_xref_uuid: str | None = None
    send_invitation: bool | None = True
    invitation_message: str | None = None


class CreateMemberV2(CreateMember):
    """The same, with a group to be made for the new member."""

    new_group_name: str | None = None
    new_group_entity_user_xref_uuids: list[str] | None = None


class MemberCreated(msgspec.Struct):
    """A member as made; `group_uuid` is that of the group made beside, if any."""

    entity_user_xref_uuid: str
    group_uuid: str | None
    entity_membership: Membership


async def create_member(work: Work, taken: CreateMember) -> MemberCreated:
    """Make a pending member."""
    given = {name: getattr(taken, name) for name in taken.__struct_fields__}
    present = {name: value for name, value in given.items() if value is not None}
    member, group_uuid = await members.create(work, members.NewMember(**present))
    await work.settle()
    return MemberCreated(member.uuid, group_uuid, await members.shown(work, member))


class GetMember(Takes):
    """Which member: by uuid, identifier or email."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None
    primary_email: str | None = None


class OneMember(msgspec.Struct):
    """One member."""

    entity_membership: Membership


async def get_member(work: Work, taken: GetMember) -> OneMember:
    """Give one member."""
    return OneMember(
        await members.view(work, taken.entity_user_xref_uuid, taken.identifier, taken.primary_email)
    )


class ListMembers(lists.Listed):
    """Which members; the Butler only when asked for by role."""

    enum_profile_id: int | None = None
    profile: str | None = None
    state: str | None = None
    group_uuid: str | None = None
    search: lists.Search | None = None
    updated_since: str | None = None


class MemberPage(msgspec.Struct):
    """A page of members."""

    entity_memberships: list[Membership]
    next_cursor: str | None


async def list_members(call: Call, taken: ListMembers) -> Answer:
    """Give members: a page with `limit`, else everything."""
    page = partial(
        members.page,
        enum_profile_id=taken.enum_profile_id,
        profile=taken.profile,
        state=taken.state,
        group_uuid=taken.group_uuid,
        search=taken.search,
        updated_since=lists.moment("updated_since", taken.updated_since),
    )
    return await lists.of_pages(call, "entity_memberships", taken, page, members.PAGE_STREAMED)


# -- the record ----------------------------------------------------------------------------------


class GetCheckpoint(Takes):
    """Of which size; the present one when absent."""

    size: Size | None = None


async def get_checkpoint(call: Call, taken: GetCheckpoint) -> Answer:
    """Give the signed note, made now if there is none of this size yet."""

    async def make(work: Work) -> str:
        return await record.checkpoint_at(work, call.app.signer, taken.size)

    note = await call.app.store.write(call.caller, make)
    return Answer(note.encode(), "text/plain; charset=utf-8")


class GetProof(Takes):
    """Which entry, in the tree of which size."""

    position: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    size: Size


class Hashes(msgspec.Struct):
    """A proof: hashes in Base64, in the order of RFC 9162."""

    hashes: list[str]


async def get_proof(work: Work, taken: GetProof) -> Hashes:
    """Give the inclusion proof of an entry."""
    return Hashes(await record.inclusion(work, taken.position, taken.size))


class GetConsistency(Takes):
    """From which size to which."""

    from_size: Size
    to_size: Size


async def get_consistency(work: Work, taken: GetConsistency) -> Hashes:
    """Give the proof that the later tree begins with the earlier one."""
    return Hashes(await record.consistency(work, taken.from_size, taken.to_size))


# -- what everybody may see ----------------------------------------------------------------------


async def livez(_: Call, __: Nothing) -> Answer:
    """Say that the process runs."""
    return Answer(encode({"status": "ok"}))


async def readyz(call: Call, _: Nothing) -> Answer:
    """Say whether requests can be answered."""
    if not await call.app.ready():
        raise Refusal("RX503")
    return Answer(encode({"status": "ok"}))


async def verifier_keys(call: Call, _: Nothing) -> Answer:
    """Give the verifier keys, a line each, the present one last."""
    known = await call.app.store.ask(record.verifier_keys)
    return Answer("".join(f"{key}\n" for key in known).encode(), "text/plain; charset=utf-8")


class Status(msgspec.Struct):
    """How it is."""

    status: str


_CREATE: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SYSTEM_KEYS,
    "permissions": ("can_write_admin",),
    "gives": MemberCreated,
    "refusals": (
        "RB013",
        "RB014",
        "RB019",
        "RB020",
        "RF006",
        "RF007",
        "RF024",
        "RN002",
        "RN006",
    ),
    "writes": ("member.created", "group.created", "group.member_added", "invitation.made"),
    "handler": create_member,
    "mode": "write",
    "tags": ("Members",),
}

ROWS: Final = (
    Endpoint(
        path=f"{BASE}/entity-memberships/create",
        summary="Create a member",
        takes=CreateMember,
        **_CREATE,
    ),
    Endpoint(
        path=f"{BASE}/entity-memberships/create/v2",
        summary="Create a member, with a group for it",
        takes=CreateMemberV2,
        **{**_CREATE, "refusals": (*_CREATE["refusals"], "RB785")},
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/entity-memberships",
        summary="Read a member",
        kinds=SYSTEM_KEYS,
        permissions=("can_read_admin",),
        takes=GetMember,
        gives=OneMember,
        refusals=("RB785", "RN006"),
        handler=get_member,
        mode="read",
        tags=("Members",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/entity-memberships/list",
        summary="List members",
        kinds=SYSTEM_KEYS,
        permissions=("can_read_admin",),
        takes=ListMembers,
        gives=MemberPage,
        refusals=("RN002", "RU029"),
        handler=list_members,
        mode="script",
        tags=("Members",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/events",
        summary="Read the organisation's record",
        kinds=SYSTEM_KEYS,
        permissions=("can_export",),
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
        kinds=SYSTEM_KEYS,
        entity="optional",
        takes=feed.GetWhoami,
        gives=feed.Whoami,
        handler=feed.whoami,
        mode="script",
        tags=("Keys",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/record/checkpoint",
        summary="Read the signed checkpoint",
        kinds=SYSTEM_KEYS,
        permissions=("can_export",),
        takes=GetCheckpoint,
        produces="text/plain",
        refusals=("RN008",),
        handler=get_checkpoint,
        mode="script",
        tags=("Record",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/record/proof",
        summary="Prove that an entry belongs to the record",
        kinds=SYSTEM_KEYS,
        permissions=("can_export",),
        takes=GetProof,
        gives=Hashes,
        refusals=("RN008",),
        handler=get_proof,
        mode="read",
        tags=("Record",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/record/consistency",
        summary="Prove that the record only grew",
        kinds=SYSTEM_KEYS,
        permissions=("can_export",),
        takes=GetConsistency,
        gives=Hashes,
        refusals=("RN008",),
        handler=get_consistency,
        mode="read",
        tags=("Record",),
    ),
    Endpoint(
        method="GET",
        path="/livez",
        summary="Tell whether the process runs",
        kinds=frozenset(),
        gives=Status,
        handler=livez,
        mode="script",
        tags=("Operations",),
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        summary="Tell whether requests can be answered",
        kinds=frozenset(),
        gives=Status,
        handler=readyz,
        mode="script",
        tags=("Operations",),
    ),
    Endpoint(
        method="GET",
        path="/.well-known/onrecord-keys",
        summary="Read the keys that checkpoints and seals are verified with",
        kinds=frozenset(),
        produces="text/plain",
        handler=verifier_keys,
        mode="script",
        tags=("Record",),
    ),
)
