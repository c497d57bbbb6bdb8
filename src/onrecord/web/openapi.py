"""The specification (OpenAPI 3.1), made from the endpoint rows."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from onrecord import __version__
from onrecord.model.access import Kind
from onrecord.model.errors import CATALOGUE
from onrecord.web import fields
from onrecord.web.endpoint import Endpoint, Nothing
from onrecord.web.pages import absolute

_REF: Final = "#/components/schemas/{name}"


class FieldProblem(msgspec.Struct):
    """Which field is wrong, and what is wrong with it."""

    pointer: str
    detail: str


class Problem(msgspec.Struct):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error_code: str
    errors: list[FieldProblem] | msgspec.UnsetType = msgspec.UNSET


TAGS: Final[dict[str, str]] = {
    "Members": "The people of an organisation: staff, clients and partners.",
    "Groups": "Teams of staff and the clients they look after; who shares one may reach the other.",
    "Contacts": "Whom the acting member may reach.",
    "Chats": "Conversations: who takes part, what they are called, where the acting member keeps"
    " them.",
    "Messages": "What is said in a chat. A message has its number there, and numbers have no gaps.",
    "Butler": "What the organisation itself says to its members.",
    "Events": "The record as a feed, entry by entry, for programs that follow it.",
    "Record": "Proof that the record is whole: signed checkpoints and the hashes between them.",
    "Keys": "What a key is and may do.",
    "Operations": "For whoever runs the server. These need no key.",
}
"""The tags in the order of a first reading; a test sees that every call has one of them."""
PAGES: Final = "Pages"
"""The tag of pages and files, which are no calls and stand in no list of calls."""


def calls_of(rows: Sequence[Endpoint]) -> list[Endpoint]:
    """Give the calls; the pages and files of the documentation itself are none."""
    return [row for row in rows if PAGES not in row.tags]


_DESCRIPTION: Final = """\
A messenger in which every conversation is on record and provable.

**Two APIs.** The System API (`/entity-service/sys-api`) is for programs that act for the
organisation: members, groups, the record. The Master-user and User API (`/chat-service/api`) is
for programs that act for a person: chats and messages.

**To call one**, send the two headers of a key, its id and its secret. A master-user key names in
`on-behalf-of` the member it acts for. To try calls on this page, press *Authorize* and enter both.
Examples name people of the example firm that `onrecord demo` makes; put in chats and groups of
yours.

**How it behaves** (drafts, the feed, barriers, the Butler, lists) stands in
[rules](/docs/rules).

**Retries** are safe with an `Idempotency-Key`: for 24 hours the same request gets the same answer
and is done once.

**Refusals** are `application/problem+json` with an `error_code`; `type` leads to
[its explanation](/docs/errors).
Answers tell what is left of the rate limit in `RateLimit`, and carry an `X-Request-Id`.
"""

_SCHEMES: Final[dict[str, tuple[str, str]]] = {
    "system": ("X-SYS-API-KEY", "X-SYS-API-KEY-SECRET"),
    "master_user": ("X-MASTER-USER-API-KEY", "X-MASTER-USER-API-KEY-SECRET"),
    "user": ("X-USER-API-KEY", "X-USER-API-KEY-SECRET"),
}
_ABOUT_SCHEMES: Final = {
    "system": "The id (`ork-…`) of a system key, which acts for its organisation; or of a super"
    " key, which names the organisation in `on-behalf-of-entity-uuid`.",
    "master_user": "The id of a master-user key, which acts for any member of its organisation"
    " that it names in `on-behalf-of`.",
    "user": "The id of a user key, which acts for the member of staff who owns it.",
}
_ABOUT_SECRETS: Final = "The secret that was shown once, when the key was made or rotated."
_SCHEME_OF: Final = {
    Kind.SYSTEM: "system",
    Kind.SUPER: "system",
    Kind.MASTER_USER: "master_user",
    Kind.USER: "user",
}


def specification(rows: Sequence[Endpoint]) -> dict[str, Any]:
    """Give the whole specification as plain values."""
    rows = calls_of(rows)
    types: list[Any] = [Problem]
    for row in rows:
        types += [row.takes, *row.answers]
    schemas, components = fields.described(types, _REF)
    for shape in components.values():
        shape.pop("additionalProperties", None)  # what a body may hold besides is ignored
        for field in shape.get("properties", {}).values():
            if "description" in field:
                field["description"] = absolute(field["description"])
    _declare_object(components)
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, by_type, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OnRecord",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/", "description": "This installation"}],
        "externalDocs": {
            "url": "/docs",
            "description": "Errors, permissions, settings and entry types explained",
        },
        "tags": [
            {"name": name, "description": sentence}
            for name, sentence in TAGS.items()
            if any(name in row.tags for row in rows)
        ],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {"Problem": _PROBLEM},
            "securitySchemes": _schemes(),
        },
    }


_PROBLEM: Final[dict[str, Any]] = {
    "description": "A refusal",
    "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
}


def _declare_object(components: dict[str, Any]) -> None:
    """Say of which types an entry's `object` may be: a union that nobody has to decode."""
    if "Entry" in components:
        names = ("Message", "Chat", "Membership", "GroupView")
        shapes = [{"$ref": _REF.format(name=name)} for name in names if name in components]
        components["Entry"]["properties"]["object"]["anyOf"] = [*shapes, {"type": "null"}]


def _schemes() -> dict[str, Any]:
    schemes = {}
    for name, headers in _SCHEMES.items():
        for suffix, header in zip(("id", "secret"), headers, strict=True):
            schemes[f"{name}_{suffix}"] = {
                "type": "apiKey",
                "in": "header",
                "name": header,
                "description": _ABOUT_SCHEMES[name] if suffix == "id" else _ABOUT_SECRETS,
            }
    return schemes


def _operation(
    row: Endpoint, by_type: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": row.method.lower() + row.path.replace("/", "_").replace("-", "_"),
        "summary": row.summary,
        "description": absolute("\n\n".join(about(row))),
        "tags": list(row.tags),
        "responses": _responses(row, by_type),
    }
    names = sorted({_SCHEME_OF[kind] for kind in row.kinds})
    operation["security"] = [{f"{name}_id": [], f"{name}_secret": []} for name in names]
    if row.permissions:
        operation["x-permissions"] = list(row.permissions)
    if row.writes:
        operation["x-entry-types"] = list(row.writes)
    parameters = _parameters(row, components)
    if parameters:
        operation["parameters"] = parameters
    if row.method == "POST":
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": _body(row, by_type)},
        }
    return operation


def about(row: Endpoint) -> list[str]:
    """Say in paragraphs what a call needs, records and refuses; links as in `pages`."""
    kinds = ", ".join(f"[{kind}](permissions#{kind})" for kind in Kind if kind in row.kinds)
    permissions = " or ".join(f"[{name}](permissions#{name})" for name in row.permissions)
    text = [
        f"Keys: {kinds}. Permission: {permissions or 'none'}." if row.kinds else "Needs no key."
    ]
    if row.acting != "none":
        text.append(ACTING[row.acting])
    if row.writes:
        entries = ", ".join(f"[{name}](entry-types#{name})" for name in row.writes)
        text.append(f"May put on record: {entries}.")
    elif row.writes_nothing:
        text.append(f"Puts nothing on record: {row.writes_nothing}.")
    if row.refusals:
        codes = ", ".join(f"[{code}](errors#{code})" for code in row.refusals)
        text.append(f"Refusals of its own: {codes}.")
    return text


ACTING: Final = {
    "required": "A member acts: whom a master-user key names in `on-behalf-of`, or the owner of"
    " the user key.",
    "optional": "A member may be named in `on-behalf-of`.",
}

# -- examples ------------------------------------------------------------------------------------

_SYSTEM_API: Final = "/entity-service/sys-api"
_CHAT_API: Final = "/chat-service/api/chats"


def _sample(*names: str) -> dict[str, Any]:
    return {name: fields.TABLE[name].example for name in names}


_PERSON: Final = {
    **_sample("enum_profile_id", "first_name", "last_name", "primary_email"),
    "identifier": "CL-3001",
}
_IN_GROUP: Final = {**_sample("group_uuid"), "identifiers": ["ADV-2"]}
_IN_CHAT: Final = {**_sample("chat_uuid"), "identifiers": ["ADV-2"]}
_BARRIER: Final = _sample("group_uuid", "other_group_uuid")
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    f"{_SYSTEM_API}/entity-memberships/create": _PERSON,
    f"{_SYSTEM_API}/entity-memberships/create/v2": {**_PERSON, "new_group_name": "The Nair family"},
    f"{_SYSTEM_API}/groups/create": {
        "name": "Family office",
        "identifier": "TEAM-7",
        "description": "Looks after families",
        "identifiers": ["ADV-1"],
    },
    f"{_SYSTEM_API}/groups/update": {
        **_sample("group_uuid"),
        "name": "Family office London",
        "description": "Looks after families",
    },
    f"{_SYSTEM_API}/groups/destroy": _sample("group_uuid"),
    f"{_SYSTEM_API}/groups/group-members/create": _IN_GROUP,
    f"{_SYSTEM_API}/groups/group-members/destroy": _IN_GROUP,
    f"{_SYSTEM_API}/barriers/create": _BARRIER,
    f"{_SYSTEM_API}/barriers/destroy": _BARRIER,
    f"{_CHAT_API}/create": {"identifiers": ["CL-1001"], **_sample("title", "text")},
    f"{_CHAT_API}/rename": {**_sample("chat_uuid"), "title": "Pension transfer 2026"},
    f"{_CHAT_API}/invite": _IN_CHAT,
    f"{_CHAT_API}/remove": _IN_CHAT,
    f"{_CHAT_API}/leave": _sample("chat_uuid"),
    f"{_CHAT_API}/discard": _sample("chat_uuid"),
    f"{_CHAT_API}/archive": {**_sample("chat_uuid"), "archived": True},
    f"{_CHAT_API}/mute": {**_sample("chat_uuid"), "muted": True},
    f"{_CHAT_API}/read": {**_sample("chat_uuid"), "seq": 0},
    f"{_CHAT_API}/messages/send-text": _sample("chat_uuid", "text"),
    f"{_CHAT_API}/butler-says/send-text": {
        "text": "Dear <First Name>, we are closed on Friday.",
        "audience": {"enum_profile_ids": [4]},
    },
}
"""A body for every POST, by its path; a test sends each of them."""


def _body(row: Endpoint, by_type: dict[str, Any]) -> dict[str, Any]:
    schema = by_type[repr(row.takes)]
    example = EXAMPLES.get(row.path)
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _parameters(row: Endpoint, components: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if Kind.SUPER in row.kinds:
        parameters.append(
            _header(
                "on-behalf-of-entity-uuid",
                "The organisation, by uuid (super keys alone, and always)",
            )
        )
    if row.acting != "none":
        parameters.append(_header("on-behalf-of", "The acting member, by uuid (master-user keys)"))
    if row.method == "POST":
        parameters.append(
            _header(
                "Idempotency-Key", "1 to 255 printable characters; makes a retry safe for 24 hours"
            )
        )
    elif row.takes is not Nothing:
        schema = components[row.takes.__name__]
        required = schema.get("required", [])
        for name, shape in schema["properties"].items():
            kind = {key: value for key, value in shape.items() if key != "description"}
            if name not in required:
                kind.pop("examples", None)  # else a viewer would fill it in
            parameter = {"name": name, "in": "query", "required": name in required, "schema": kind}
            if "description" in shape:
                parameter["description"] = shape["description"]
            parameters.append(parameter)
    return parameters


def _header(name: str, description: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name.startswith("on-behalf-of"):
        schema["format"] = "uuid"
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _responses(row: Endpoint, by_type: dict[str, Any]) -> dict[str, Any]:
    if not row.answers:
        content: dict[str, Any] = {row.produces: {"schema": {"type": "string"}}}
    else:
        shapes = [by_type[repr(one)] for one in row.answers]
        schema = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
        content = {"application/json": {"schema": schema}}
    responses: dict[str, Any] = {"200": {"description": "Success", "content": content}}
    by_status: dict[int, list[str]] = {}
    for code in row.codes:
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    by_status.setdefault(405, ["RN005"])
    for status, codes in sorted(by_status.items()):
        lines = [f"{code}: {CATALOGUE[code].title}" for code in codes]
        responses[str(status)] = {
            "$ref": "#/components/responses/Problem",
            "description": "\n\n".join(lines),
        }
    return responses
