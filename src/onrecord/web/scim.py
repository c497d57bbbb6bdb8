"""Rows of SCIM 2.0: an identity provider provisions staff and groups (RFC 7643, RFC 7644).

What a provider sends is taken leniently, in the forms that Entra ID and Okta are known to send;
what it does is what the System API does.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from onrecord.domain import groups, membership, provisioning
from onrecord.domain.provisioning import Move
from onrecord.model.access import Kind
from onrecord.model.errors import Refusal
from onrecord.model.people import pattern
from onrecord.model.text import email_key
from onrecord.store.work import Work
from onrecord.web import idempotency, scim_schemas, slices
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import SCIM, SCIM_JSON, Answer, Endpoint, Nothing, Takes
from onrecord.web.scim_filter import Filter, folded, plain, read_filter
from onrecord.web.scim_patch import patched
from onrecord.web.scim_resources import (
    GROUP_TAKES,
    USER_TAKES,
    group,
    user,
    wanted_group,
    wanted_user,
    without_strange_phones,
)

LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PAGE_DEFAULT: Final = 100

Document = dict[str, Any]


class ScimRead(Takes):
    """Which attributes are wanted."""

    attributes: list[str] | None = None
    excludedAttributes: list[str] | None = None  # noqa: N815 - the protocol's name


class ScimList(ScimRead):
    """What is looked for, and which page of it."""

    filter: str | None = None
    startIndex: int = 1  # noqa: N815 - the protocol's name
    count: int = PAGE_DEFAULT


# -- answers -------------------------------------------------------------------------------------


def _url(call: Call) -> str:
    return call.app.settings.public_url.rstrip("/")


def _answer(value: Any, status: int = 200, *headers: tuple[str, str]) -> Answer:
    return Answer(encode(value), SCIM_JSON, status, headers)


def _one(call: Call, shown: Document, taken: ScimRead) -> Answer:
    """Answer with a resource under its entity tag, or that the caller has it already."""
    version = shown["meta"]["version"]
    if call.knows(version.removeprefix("W/")):
        return Answer(b"", SCIM_JSON, 304, (("ETag", version),))
    return _answer(_chosen(shown, taken), 200, ("ETag", version))


def _chosen(shown: Document, taken: ScimRead) -> Document:
    """Leave out what was not asked for; `id` and `schemas` are always told."""
    if taken.attributes:
        names = [plain(one) for one in taken.attributes]
        return {
            name: _parts(value, [one for one in names if one.startswith(f"{name.lower()}.")])
            if name.lower() not in names
            else value
            for name, value in shown.items()
            if name in {"id", "schemas"}
            or any(one.partition(".")[0] == name.lower() for one in names)
        }
    left_out = {plain(one) for one in taken.excludedAttributes or ()} - {"id", "schemas"}
    return {name: value for name, value in shown.items() if name.lower() not in left_out}


def _parts(value: Any, names: list[str]) -> Any:
    """Give those parts of a complex value that were asked for by their dotted names."""
    if not names:
        return value
    if isinstance(value, list):
        return [_parts(one, names) for one in value]
    wanted = {one.partition(".")[2] for one in names}
    return {name: one for name, one in value.items() if name.lower() in wanted}


class _Page:
    """Gathers a page of what fits, and counts all of it."""

    def __init__(self, taken: ScimList) -> None:
        self.first = max(taken.startIndex, 1)
        self.size = min(max(taken.count, 0), scim_schemas.PAGE_MOST)
        self.total = 0
        self.found: list[Document] = []

    def add(self, shown: Document) -> None:
        """Count one, and keep it if it stands on this page."""
        self.total += 1
        if self.total >= self.first and len(self.found) < self.size:
            self.found.append(shown)

    def answer(self, taken: ScimRead) -> Answer:
        """Answer with the page."""
        return _answer(
            {
                "schemas": [LIST],
                "totalResults": self.total,
                "startIndex": self.first,
                "itemsPerPage": len(self.found),
                "Resources": [_chosen(one, taken) for one in self.found],
            }
        )


async def _gathered(
    found: AsyncGenerator[Document], asked: Filter | None, taken: ScimList
) -> _Page:
    page = _Page(taken)
    async for shown in found:
        if asked is None or asked.fits(folded(shown)):
            page.add(shown)
    return page


async def _written(
    call: Call, act: Callable[[Work], Awaitable[Document]], status: int = 200
) -> Answer:
    """Do an act and answer with the resource as it has become."""
    return _resource(await idempotency.written(call, act), status)


def _resource(answer: Answer, status: int) -> Answer:
    """Give an answer that tells a resource the form of the protocol."""
    meta = msgspec.json.decode(answer.body)["meta"]
    headers = (*answer.headers, ("ETag", meta["version"]), ("Location", meta["location"]))
    return Answer(answer.body, SCIM_JSON, status, headers)


def _check_version(call: Call, updated_at: int) -> None:
    """Refuse (RB027) to change what is no longer as `If-Match` says."""
    wanted = call.headers.get(b"if-match", b"").decode("latin-1").strip()
    version = f'"{updated_at}"'
    known = [one.strip().removeprefix("W/") for one in wanted.split(",")]
    if wanted not in {"", "*"} and version not in known:
        raise Refusal("RB027")


def _name_ignored(call: Call, names: list[str]) -> None:
    shown = [name for name in dict.fromkeys(names) if name.isascii() and name.isprintable()]
    if shown:
        call.extra.append(("Ignored-Fields", ", ".join(one[:100] for one in shown[:20])))


_NAMED_ALWAYS: Final = frozenset({"schemas", "id", "meta", "groups"})


def _unkept(document: Document, known: frozenset[str]) -> list[str]:
    return [name for name in document if name not in known | _NAMED_ALWAYS]


def _plainly(taken: Document) -> Document:
    """Give a body with its names folded, and without the schemas that may stand before them."""
    return {plain(name): value for name, value in folded(taken).items()}


# -- users ---------------------------------------------------------------------------------------


async def list_users(call: Call, taken: ScimList) -> Answer:
    """Give a page of the staff that fit."""
    url = _url(call)
    asked = None if taken.filter is None else read_filter(taken.filter, scim_schemas.OF_USERS)

    async def read(work: Work) -> _Page:
        if asked is not None:
            everybody = provisioning.everybody(work, _narrow(asked))
            return await _gathered((user(one, url) async for one in everybody), asked, taken)
        page = _Page(taken)
        page.total = await provisioning.count(work)
        if page.first <= page.total:
            staff = await provisioning.page(work, page.first - 1, page.size)
            page.found = [user(one, url) for one in staff]
        return page

    return (await call.app.store.read(call.caller, read)).answer(taken)


def _narrow(asked: Filter) -> tuple[str, str] | None:
    """Give what an index can find, of what must be equal."""
    equal = asked.equal
    if "id" in equal:
        return "id", equal["id"]
    if "externalid" in equal:
        return "identifier", equal["externalid"]
    if "username" in equal:
        return "email", email_key(equal["username"])
    email = equal.get("emails.value", equal.get("emails"))
    like = pattern(email)
    return ("search", like) if like is not None else None


async def get_user(call: Call, taken: ScimRead) -> Answer:
    """Give one staff member."""
    found = await call.app.store.read(
        call.caller, lambda work: provisioning.shown(work, call.variable)
    )
    return _one(call, user(found, _url(call)), taken)


async def create_user(call: Call, taken: Document) -> Answer:
    """Make a staff member."""
    document, strange = without_strange_phones(_plainly(taken))
    _name_ignored(call, [*_unkept(document, USER_TAKES), *strange])
    wanted = wanted_user(document)

    async def create(work: Work) -> Document:
        return await _user_now(work, call, await provisioning.create(work, wanted))

    return await _written(call, create, 201)


async def _user_now(work: Work, call: Call, uuid: str) -> Document:
    await work.settle()
    return user(await provisioning.shown(work, uuid), _url(call))


async def replace_user(call: Call, taken: Document) -> Answer:
    """Make a staff member what the body says."""
    document, strange = without_strange_phones(_plainly(taken))
    _name_ignored(call, [*_unkept(document, USER_TAKES), *strange])

    async def replace(work: Work) -> Document:
        now = await provisioning.shown(work, call.variable)
        _check_version(call, now.updated_at)
        return await _changed_user(work, call, _with_name(document, user(now, "")))

    return await _written(call, replace)


def _with_name(document: Document, shown: Document) -> Document:
    """Give what a PUT says with the parts of the name that it lacks: nobody is without one."""
    name = document.get("name")
    if name is not None and not isinstance(name, dict):
        return document  # whoever reads it refuses it
    return {**document, "name": {**folded(shown["name"]), **(name or {})}}


async def patch_user(call: Call, taken: Document) -> Answer:
    """Change a staff member by the operations of the body, all or none."""
    body = folded(taken)
    ignored: list[str] = []

    async def patch(work: Work) -> Document:
        now = await provisioning.shown(work, call.variable)
        _check_version(call, now.updated_at)
        document = folded(user(now, ""))
        unkept = patched(document, body, USER_TAKES)
        document, strange = without_strange_phones(document)
        ignored[:] = [*unkept, *strange]
        return await _changed_user(work, call, document)

    answer = await _written(call, patch)
    _name_ignored(call, ignored)
    return answer


async def _changed_user(work: Work, call: Call, document: Document) -> Document:
    member = await provisioning.pick(work, call.variable)
    await provisioning.change(work, member, wanted_user(document))
    return await _user_now(work, call, member.uuid)


async def delete_user(call: Call, _: Nothing) -> Answer:
    """End a membership; who is in more than 500 chats and groups leaves them in slices."""

    async def plan(work: Work) -> list[membership.Step]:
        _check_version(call, (await provisioning.shown(work, call.variable)).updated_at)
        return await provisioning.ending(work, call.variable)

    async def end(work: Work, steps: list[membership.Step]) -> list[int]:
        await membership.end(work, await provisioning.pick(work, call.variable), steps)
        return []

    sliced = slices.Sliced(
        membership.SLICE, plan, end, lambda _: {}, list[membership.Step], list[int]
    )
    await slices.answered(call, sliced)
    return Answer(b"", SCIM_JSON, 204)


# -- groups --------------------------------------------------------------------------------------


async def list_groups(call: Call, taken: ScimList) -> Answer:
    """Give a page of the groups that fit."""
    url = _url(call)
    asked = None if taken.filter is None else read_filter(taken.filter, scim_schemas.OF_GROUPS)
    with_members = _wants_members(taken) or "members" in (taken.filter or "").lower()

    async def read(work: Work) -> _Page:
        found = provisioning.every_group(work, with_members=with_members)
        return await _gathered((group(one, url) async for one in found), asked, taken)

    return (await call.app.store.read(call.caller, read)).answer(taken)


def _wants_members(taken: ScimRead) -> bool:
    if taken.attributes:
        return any(plain(one).partition(".")[0] == "members" for one in taken.attributes)
    return "members" not in {plain(one) for one in taken.excludedAttributes or ()}


async def get_group(call: Call, taken: ScimRead) -> Answer:
    """Give one group with the staff in it, unless these are not wanted."""
    with_members = _wants_members(taken)
    found = await call.app.store.read(
        call.caller,
        lambda work: provisioning.group_shown(work, call.variable, with_members=with_members),
    )
    return _one(call, group(found, _url(call)), taken)


async def create_group(call: Call, taken: Document) -> Answer:
    """Make a group, with staff when some are named."""
    document = _plainly(taken)
    _name_ignored(call, _unkept(document, GROUP_TAKES))
    wanted = wanted_group(document)

    return await _moved(call, lambda work: provisioning.opened(work, wanted), 201)


async def _moved(
    call: Call, plan: Callable[[Work], Awaitable[list[Move]]], status: int = 200
) -> Answer:
    """Move staff as planned, more than 500 in slices, and answer with the group."""

    async def act(work: Work, moves: list[Move]) -> list[Document]:
        await provisioning.move(work, moves)
        last = moves[-1]
        return [await _group_now(work, call, last.group)] if last.what == "show" else []

    sliced = slices.Sliced(
        provisioning.SLICE, plan, act, lambda shown: shown[-1], list[Move], list[Document]
    )
    return _resource(await slices.answered(call, sliced), status)


async def _group_now(work: Work, call: Call, uuid: str) -> Document:
    await work.settle()
    return group(await provisioning.group_shown(work, uuid), _url(call))


async def replace_group(call: Call, taken: Document) -> Answer:
    """Make a group what the body says."""
    document = _plainly(taken)
    _name_ignored(call, _unkept(document, GROUP_TAKES))
    return await _moved(call, lambda work: _change_of(work, call, document))


async def patch_group(call: Call, taken: Document) -> Answer:
    """Change a group by the operations of the body, all or none."""
    body = folded(taken)
    ignored: list[str] = []

    async def plan(work: Work) -> list[Move]:
        now = await provisioning.group_shown(work, call.variable)
        document = folded(group(now, ""))
        ignored[:] = patched(document, body, GROUP_TAKES)
        return await _change_of(work, call, document)

    answer = await _moved(call, plan)
    _name_ignored(call, ignored)
    return answer


async def _change_of(work: Work, call: Call, document: Mapping[str, Any]) -> list[Move]:
    found = await provisioning.pick_group(work, call.variable)
    _check_version(call, found.updated_at)
    return await provisioning.changed(work, found, wanted_group(dict(document)))


async def delete_group(call: Call, _: Nothing) -> Answer:
    """Close an empty group."""

    async def destroy(work: Work) -> Document:
        found = await provisioning.pick_group(work, call.variable)
        _check_version(call, found.updated_at)
        await groups.destroy(work, found)
        return {}

    await idempotency.written(call, destroy)
    return Answer(b"", SCIM_JSON, 204)


# -- what there is -------------------------------------------------------------------------------


async def get_config(call: Call, _: Nothing) -> Answer:
    """Say what of the protocol is spoken here."""
    return await _told(call, scim_schemas.config(_url(call)))


async def list_types(call: Call, _: Nothing) -> Answer:
    """Give the kinds of resources."""
    return await _told(call, _all(scim_schemas.types(_url(call))))


async def get_type(call: Call, _: Nothing) -> Answer:
    """Give one kind of resources."""
    return await _told(call, _named(scim_schemas.types(_url(call)), call.variable))


async def list_schemas(call: Call, _: Nothing) -> Answer:
    """Give the schemas of the resources."""
    return await _told(call, _all(scim_schemas.schemas(_url(call))))


async def get_schema(call: Call, _: Nothing) -> Answer:
    """Give one schema."""
    return await _told(call, _named(scim_schemas.schemas(_url(call)), call.variable))


def _all(found: list[Document]) -> Document:
    return {
        "schemas": [LIST],
        "totalResults": len(found),
        "startIndex": 1,
        "itemsPerPage": len(found),
        "Resources": found,
    }


def _named(found: list[Document], name: str) -> Document | None:
    return next((one for one in found if one["id"].lower() == name.lower()), None)


async def _told(call: Call, value: Document | None) -> Answer:
    """Answer once a fresh verdict on the key is reached (RN008 for what there is none of)."""

    async def read(_: Work) -> None:
        if value is None:
            raise Refusal("RN008")

    await call.app.store.read(call.caller, read)
    return _answer(value)


# -- rows ----------------------------------------------------------------------------------------

_ROW: Final[dict[str, Any]] = {
    "kinds": frozenset({Kind.SYSTEM}),
    "permissions": ("can_provision",),
    "produces": SCIM_JSON,
    "mode": "script",
    "tags": ("Provisioning",),
}
_BODY: Final[dict[str, Any]] = {**_ROW, "consumes": SCIM_JSON}
_USER: Final = f"{SCIM}/Users/{{id}}"
_GROUP: Final = f"{SCIM}/Groups/{{id}}"
_CHANGES_USER: Final[dict[str, Any]] = {
    **_BODY,
    "refusals": (
        "RB010",
        "RB011",
        "RB013",
        "RB014",
        "RB018",
        "RB019",
        "RB027",
        "RF006",
        "RN006",
    ),
    "writes": (
        "member.updated",
        "member.role_changed",
        "member.suspended",
        "member.unsuspended",
        "member.destroyed",
        "member.restored",
        "invitation.made",
        "invitation.revoked",
        "group.member_removed",
        "participant.left",
        "chat.discarded",
    ),
}
_CHANGES_GROUP: Final[dict[str, Any]] = {
    **_BODY,
    "refusals": ("RB011", "RB013", "RB019", "RB027", "RF007", "RN002"),
    "writes": ("group.updated", "group.member_added", "group.member_removed"),
}

ROWS: Final = (
    Endpoint(
        method="GET",
        path=f"{SCIM}/ServiceProviderConfig",
        summary="What of SCIM is spoken here",
        handler=get_config,
        **_ROW,
    ),
    Endpoint(
        method="GET",
        path=f"{SCIM}/ResourceTypes",
        summary="The kinds of resources",
        handler=list_types,
        **_ROW,
    ),
    Endpoint(
        method="GET",
        path=f"{SCIM}/ResourceTypes/{{id}}",
        summary="One kind of resources",
        refusals=("RN008",),
        handler=get_type,
        **_ROW,
    ),
    Endpoint(
        method="GET",
        path=f"{SCIM}/Schemas",
        summary="The schemas of the resources",
        handler=list_schemas,
        **_ROW,
    ),
    Endpoint(
        method="GET",
        path=f"{SCIM}/Schemas/{{id}}",
        summary="One schema",
        refusals=("RN008",),
        handler=get_schema,
        **_ROW,
    ),
    Endpoint(
        method="GET",
        path=f"{SCIM}/Users",
        summary="List or search staff",
        takes=ScimList,
        handler=list_users,
        **_ROW,
    ),
    Endpoint(
        method="POST",
        path=f"{SCIM}/Users",
        summary="Create a staff member",
        refusals=("RB010", "RB013", "RB014", "RF006"),
        writes=(
            "member.created",
            "member.updated",
            "invitation.made",
            "member.destroyed",
        ),
        status=201,
        handler=create_user,
        **_BODY,
    ),
    Endpoint(
        method="GET",
        path=_USER,
        summary="Read a staff member",
        takes=ScimRead,
        refusals=("RN006",),
        handler=get_user,
        **_ROW,
    ),
    Endpoint(
        method="PUT",
        path=_USER,
        summary="Replace a staff member's values",
        handler=replace_user,
        **_CHANGES_USER,
    ),
    Endpoint(
        method="PATCH",
        path=_USER,
        summary="Change a staff member",
        handler=patch_user,
        **_CHANGES_USER,
    ),
    Endpoint(
        method="DELETE",
        path=_USER,
        summary="End a staff member's membership",
        refusals=("RB011", "RB018", "RB027", "RN006"),
        writes=(
            "member.destroyed",
            "invitation.revoked",
            "key.deactivated",
            "group.member_removed",
            "participant.left",
            "chat.discarded",
        ),
        status=204,
        handler=delete_user,
        **_ROW,
    ),
    Endpoint(
        method="GET",
        path=f"{SCIM}/Groups",
        summary="List or search groups",
        takes=ScimList,
        handler=list_groups,
        **_ROW,
    ),
    Endpoint(
        method="POST",
        path=f"{SCIM}/Groups",
        summary="Create a group",
        refusals=("RB013", "RB019", "RF007", "RN002"),
        writes=("group.created", "group.updated", "group.member_added"),
        status=201,
        handler=create_group,
        **_BODY,
    ),
    Endpoint(
        method="GET",
        path=_GROUP,
        summary="Read a group",
        takes=ScimRead,
        refusals=("RN002",),
        handler=get_group,
        **_ROW,
    ),
    Endpoint(
        method="PUT",
        path=_GROUP,
        summary="Replace a group's values and its staff",
        handler=replace_group,
        **_CHANGES_GROUP,
    ),
    Endpoint(
        method="PATCH",
        path=_GROUP,
        summary="Change a group or who of the staff is in it",
        handler=patch_group,
        **_CHANGES_GROUP,
    ),
    Endpoint(
        method="DELETE",
        path=_GROUP,
        summary="Close an empty group",
        refusals=("RB012", "RB019", "RB027", "RN002"),
        writes=("group.destroyed",),
        status=204,
        handler=delete_group,
        **_ROW,
    ),
)
