"""Rows of the Master-user and User API about people: contacts and members."""

from functools import partial
from typing import Final

import msgspec

from onrecord.domain import contacts, members
from onrecord.model.people import Contact
from onrecord.store.work import Work
from onrecord.web import lists
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import CHATTING, MASTER_KEYS, Answer, Endpoint, Takes
from onrecord.web.entity_service import MemberPage, OneMember

BASE: Final = "/chat-service/api"


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


class ListContacts(lists.Listed):
    """Which contacts; `include_directory` adds all other staff for a staff member."""

    search: lists.Search | None = None
    include_directory: bool = False


class ContactPage(msgspec.Struct):
    """A page of contacts."""

    contacts: list[Contact]
    next_cursor: str | None


async def list_contacts(call: Call, taken: ListContacts) -> Answer:
    """Give the acting member's contacts: a page with `limit`, else everything."""
    page = partial(contacts.page, search=taken.search, include_directory=taken.include_directory)
    return await lists.of_pages(call, "contacts", taken, page, contacts.PAGE_STREAMED)


class GetMembers(lists.Listed):
    """Which member; a list of all when nobody is named."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None


async def get_members(call: Call, taken: GetMembers) -> Answer:
    """Give one member, or the organisation's: a page with `limit`, else everything."""
    member_uuid, identifier = taken.entity_user_xref_uuid, taken.identifier
    if member_uuid or identifier:
        found = await call.app.store.read(
            call.caller, lambda work: members.view(work, member_uuid, identifier)
        )
        return Answer(encode(OneMember(found)))
    return await lists.of_pages(
        call, "entity_memberships", taken, members.page, members.PAGE_STREAMED
    )


ROWS: Final = (
    Endpoint(
        method="GET",
        path=f"{BASE}/contacts",
        summary="Read a contact of the acting member",
        kinds=CHATTING,
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
        kinds=CHATTING,
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
