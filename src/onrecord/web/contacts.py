"""Rows of the Master-user and User API about people: contacts and members."""

from typing import Annotated, Final

import msgspec

from onrecord.domain import contacts, members
from onrecord.model.people import Contact, Membership
from onrecord.store.work import Work
from onrecord.web import lists
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import CHAT_KEYS, MASTER_KEYS, Answer, Endpoint, Takes
from onrecord.web.entity_service import MemberPage, OneMember

BASE: Final = "/chat-service/api"
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Search = Annotated[str, msgspec.Meta(max_length=500)]


class GetContact(Takes):
    """Which contact."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None


class OneContact(msgspec.Struct):
    """One contact."""

    contact: Contact


async def get_contact(work: Work, taken: GetContact) -> OneContact:
    """Give a contact of the acting member."""
    return OneContact(await contacts.view(work, taken.entity_user_xref_uuid, taken.identifier))


class ListContacts(Takes):
    """Which contacts; `include_directory` adds all other staff for a staff member."""

    search: Search | None = None
    include_directory: bool = False
    limit: Limit | None = None
    cursor: str | None = None


class ContactPage(msgspec.Struct):
    """A page of contacts."""

    contacts: list[Contact]
    next_cursor: str | None


async def list_contacts(call: Call, taken: ListContacts) -> Answer:
    """Give the acting member's contacts: a page with `limit`, else everything."""

    async def read_page(cursor: str | None) -> tuple[list[Contact], str | None]:
        return await call.app.store.read(
            call.caller,
            lambda work: contacts.page(
                work,
                search=taken.search,
                include_directory=taken.include_directory,
                cursor=cursor,
                limit=taken.limit or contacts.PAGE_STREAMED,
            ),
        )

    return await lists.answer(
        call, "contacts", read_page, cursor=taken.cursor, whole=taken.limit is None
    )


class GetMembers(Takes):
    """Which member; a list of all when nobody is named."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None
    limit: Limit | None = None
    cursor: str | None = None


async def get_members(call: Call, taken: GetMembers) -> Answer:
    """Give one member, or the organisation's: a page with `limit`, else everything."""
    member_uuid, identifier = taken.entity_user_xref_uuid, taken.identifier
    if member_uuid or identifier:
        found = await call.app.store.read(
            call.caller, lambda work: members.view(work, member_uuid, identifier)
        )
        return Answer(encode(OneMember(found)))

    async def read_page(cursor: str | None) -> tuple[list[Membership], str | None]:
        return await call.app.store.read(
            call.caller,
            lambda work: members.page(
                work, cursor=cursor, limit=taken.limit or members.PAGE_STREAMED
            ),
        )

    return await lists.answer(
        call, "entity_memberships", read_page, cursor=taken.cursor, whole=taken.limit is None
    )


ROWS: Final = (
    Endpoint(
        method="GET",
        path=f"{BASE}/contacts",
        summary="Read a contact of the acting member",
        kinds=CHAT_KEYS,
        permissions=("can_read_contacts",),
        acting="required",
        takes=GetContact,
        gives=OneContact,
        refusals=("RB785", "RF003", "RF007", "RN006"),
        handler=get_contact,
        mode="read",
        tags=("Contacts",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/contacts/list",
        summary="List the acting member's contacts",
        kinds=CHAT_KEYS,
        permissions=("can_read_contacts",),
        acting="required",
        takes=ListContacts,
        gives=ContactPage,
        refusals=("RU029",),
        handler=list_contacts,
        mode="script",
        tags=("Contacts",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/entity-memberships",
        summary="Read a member, or list all of the organisation",
        kinds=MASTER_KEYS,
        permissions=("can_read_contacts",),
        acting="optional",
        takes=GetMembers,
        gives=(OneMember, MemberPage),
        refusals=("RN006", "RU029"),
        handler=get_members,
        mode="script",
        tags=("Members",),
    ),
)
