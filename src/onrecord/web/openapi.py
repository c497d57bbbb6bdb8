"""The specification (OpenAPI 3.1), made from the endpoint rows."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from onrecord import __version__
from onrecord.model.access import PROFILES, Kind
from onrecord.model.errors import CATALOGUE
from onrecord.web import fields, scim_errors
from onrecord.web.credentials import SESSION_COOKIE
from onrecord.web.endpoint import CHAT_KEYS, FORM, SCIM_JSON, SESSIONS, Endpoint, Nothing
from onrecord.web.pages import Section, absolute

NO_CONTENT: Final = 204
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
    "Attachments": "Files that people send. A file is uploaded first and then sent, or both at"
    " once; who sees the message can download it.",
    "Butler": "What the organisation itself says to its members.",
    "Organisation": "The organisation itself: its name and settings.",
    "Jobs": "What goes on beside the requests, and how far it has come.",
    "Imports": "Members and groups out of a file, a job at a time.",
    "Events": "The record as a feed, entry by entry, for programs that follow it.",
    "Record": "Proof that the record is whole: signed checkpoints and the hashes between them.",
    "Review": "Other people's chats, for keys that may review and for data reviewers in person, who"
    " give a reason. Each reading stands on record.",
    "Keys": "What a key is and may do.",
    "Embedding": "The embedded app: tokens for it, and where somebody is a member.",
    "Signing in": "How a person comes in: a password, then a code; and out again.",
    "Joining": "From the link of an invitation to an active member.",
    "Account": "A person's login: password, user name, contact data, second factors, devices.",
    "Administration": "Calls of the System API once more, for administrators in person: a session"
    " takes the place of the key, and a role that of the permission.",
    "Provisioning": "SCIM 2.0, for identity providers: staff and groups. What goes in and out is"
    " described by `/scim/v2/Schemas`; errors have the form of RFC 7644.",
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
_IN_PERSON: Final[dict[Kind, dict[str, list[str]]]] = {
    Kind.SESSION: {"session": []},
    Kind.SDK: {"sdk": []},
}
"""How the specification names what persons show; the CSRF token is described with the cookie."""


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
            "responses": {"Problem": _PROBLEM, "ScimError": _SCIM_ERROR},
            "securitySchemes": _schemes(),
        },
    }


_PROBLEM: Final[dict[str, Any]] = {
    "description": "A refusal",
    "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
}


_SCIM_OBJECT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "As the schemas of `/scim/v2/Schemas` and RFC 7644 say.",
}
_SCIM_ERROR: Final[dict[str, Any]] = {
    "description": "A refusal (RFC 7644, section 3.12); `detail` begins with our code",
    "content": {SCIM_JSON: {"schema": _SCIM_OBJECT}},
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
    schemes["session"] = {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "The session of a person in the web app. A POST needs `X-CSRF-Token` as"
        " well, as `GET /app-service/api/session` gives it; so does a GET that puts something on"
        " record, where `Sec-Fetch-Site` says that a page elsewhere made it. Calls for which a"
        " member acts name the membership in `X-Entity-User-Xref-Uuid`; a GET may do so with the"
        " parameter `as`. Over https the cookie's name begins with `__Host-`.",
    }
    schemes["sdk"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the embedded app, which acts for one member.",
    }
    schemes["scim"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "The id of a system key whose sole permission is `can_provision`, a dot, and"
        " its secret.",
    }
    return schemes


def _operation(
    row: Endpoint, by_type: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": row.method.lower() + re.sub(r"[/{-]", "_", row.path).rstrip("}"),
        "summary": row.summary,
        "description": absolute("\n\n".join(about(row))),
        "tags": list(row.tags),
        "responses": _responses(row, by_type),
    }
    names = sorted({_SCHEME_OF[kind] for kind in row.kinds if kind in _SCHEME_OF})
    operation["security"] = [{f"{name}_id": [], f"{name}_secret": []} for name in names]
    operation["security"] += [one for kind, one in _IN_PERSON.items() if kind in row.kinds]
    if row.speaks_scim:
        operation["security"] = [{"scim": []}]
    if row.permissions:
        operation["x-permissions"] = list(row.permissions)
    if row.writes:
        operation["x-entry-types"] = list(row.writes)
    parameters = _parameters(row, components)
    if parameters:
        operation["parameters"] = parameters
    if row.method in {"POST", "PUT", "PATCH"}:
        operation["requestBody"] = {
            "required": row.takes is not Nothing,
            "content": {row.consumes: _body(row, by_type, components)},
        }
        if row.also_form:
            form = {"schema": _form(row, components[row.takes.__name__])}
            operation["requestBody"]["content"][FORM] = form
    return operation


def about(row: Endpoint) -> list[str]:
    """Say in paragraphs what a call needs, records and refuses; links as in `pages`."""
    kinds = ", ".join(f"[{kind}](permissions#{kind})" for kind in Kind if kind in row.kinds)
    permissions = " or ".join(f"[{name}](permissions#{name})" for name in row.permissions)
    text = [
        f"Takes: {kinds}. Permission: {permissions or 'none'}." if row.kinds else "Needs no key."
    ]
    if row.roles:
        names = " or ".join(f"`{PROFILES[role].name}`" for role in sorted(row.roles))
        text.append(f"Role: {names} ([RF006](errors#RF006)).")
    if row.twin_of:
        original = Section(f"{row.method} {row.twin_of}")
        text.append(f"In all else it is [{original.title}](endpoints#{original.anchor}).")
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
    "required": "A member acts: whom a master-user key names in `on-behalf-of`, the owner of"
    " the user key, or the membership that a session names in `X-Entity-User-Xref-Uuid`.",
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
_APP: Final = "/app-service/api"
_PASSWORD: Final = _sample("password")
_CONFIRM: Final = _sample("challenge", "code")

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    # -- persons
    f"{_APP}/sign-in": _sample("username", "password"),
    f"{_APP}/sign-in/confirm": _CONFIRM,
    f"{_APP}/account/password/change": _sample("password", "new_password"),
    f"{_APP}/account/password/forgot": _sample("username"),
    f"{_APP}/account/password/reset": _sample("token", "password"),
    f"{_APP}/account/username/change": _sample("username", "password"),
    f"{_APP}/account/email/change": {"email": "priya@example.net", **_PASSWORD},
    f"{_APP}/account/email/confirm": _CONFIRM,
    f"{_APP}/account/phone/change": {"phone_number": "+441234567890", **_PASSWORD},
    f"{_APP}/account/phone/confirm": _CONFIRM,
    f"{_APP}/account/totp/begin": _PASSWORD,
    f"{_APP}/account/totp/confirm": _CONFIRM,
    f"{_APP}/account/totp/remove": _PASSWORD,
    f"{_APP}/account/recovery-code/create": _PASSWORD,
    f"{_APP}/account/devices/end": _sample("session_uuid"),
    f"{_APP}/account/devices/end-others": {},
    f"{_APP}/sign-out": {},
    f"{_SYSTEM_API}/sdk/sessions/create": _sample("entity_user_xref_uuid"),
    # -- invitations, terms, bounces
    f"{_SYSTEM_API}/entity-memberships/invitations/resend": {
        **_sample("entity_user_xref_uuid"),
        "invitation_message": "It would be good to have you here.",
    },
    f"{_SYSTEM_API}/entity-memberships/invitations/revoke": _sample("entity_user_xref_uuid"),
    f"{_SYSTEM_API}/terms/update": {"text": "Be kind to each other."},
    f"{_APP}/terms/accept": {"version": 1},
    f"{_APP}/account/terms/accept": {"version": 1},
    f"{_APP}/invitations/accept": {
        **_sample("token", "username", "password"),
        "accept_terms": True,
    },
    f"{_APP}/invitations/confirm": _CONFIRM,
    f"{_APP}/mail/bounces": {
        "events": [
            {
                "type": "bounce",
                "recipient": "priya@example.com",
                "message_id": "<3c59dc04-8e88-4024-8be8-079a5c74d079@example.com>",
            }
        ]
    },
    f"{_SYSTEM_API}/entity-memberships/create": _PERSON,
    f"{_SYSTEM_API}/entity-memberships/create/v2": {**_PERSON, "new_group_name": "The Nair family"},
    # -- the life of a member
    f"{_SYSTEM_API}/entity-memberships/update": {
        **_sample("entity_user_xref_uuid", "last_name", "job_title"),
        "identifier": "CL-1001-B",
    },
    f"{_SYSTEM_API}/entity-memberships/emails/update": {
        **_sample("entity_user_xref_uuid"),
        "primary_email": "priya@example.net",
    },
    f"{_SYSTEM_API}/entity-memberships/phone-numbers/update": _sample(
        "entity_user_xref_uuid", "phone_numbers"
    ),
    f"{_SYSTEM_API}/entity-memberships/profile/update": {
        **_sample("entity_user_xref_uuid"),
        "enum_profile_id": 2,
    },
    **{
        f"{_SYSTEM_API}/entity-memberships/{act}": _sample("entity_user_xref_uuid")
        for act in ("suspend", "unsuspend", "destroy", "restore", "avatar/remove")
    },
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
    f"{_SYSTEM_API}/organisation/update": _sample(
        "banner", "colours", "clients_may_add_participants", "reviewer_export_cap"
    ),
    f"{_SYSTEM_API}/organisation/logo/remove": {},
    f"{_SYSTEM_API}/organisation/avatar/remove": {},
    f"{_SYSTEM_API}/api-keys/create": {
        "kind": "user",
        "name": "Notes",
        "permissions": ["can_read_chat"],
        "cidr_blocks": ["10.0.0.0/8"],
        **_sample("entity_user_xref_uuid"),
        "rate_limit": "100/60",
    },
    f"{_SYSTEM_API}/api-keys/update": {
        **_sample("api_key_uuid"),
        "name": "Notes and diary",
        "expires_at": None,
    },
    f"{_SYSTEM_API}/api-keys/deactivate": _sample("api_key_uuid"),
    f"{_SYSTEM_API}/api-keys/rotate": _sample("api_key_uuid", "overlap_seconds"),
    f"{_SYSTEM_API}/api-keys/destroy": _sample("api_key_uuid"),
    f"{_SYSTEM_API}/imports/create": {
        **_sample("dry_run", "ignore_existing_identifiers"),
        "kind": "clients",
    },
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
    f"{_CHAT_API}/messages/send-attachment": _sample("chat_uuid", "attachment_uuid", "text"),
    f"{_CHAT_API}/attachments/link": _sample("attachment_uuid"),
    f"{_CHAT_API}/butler-says/send-attachment": {
        **_sample("attachment_uuid"),
        "text": "Dear <First Name>, this is our letter of the quarter.",
        "audience": {"enum_profile_ids": [4]},
    },
    f"{_CHAT_API}/butler-says/send-text": {
        "text": "Dear <First Name>, we are closed on Friday.",
        "audience": {"enum_profile_ids": [4]},
    },
}
"""A body for every POST, by its path; a test sends each of them."""


def _body(row: Endpoint, by_type: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    if row.consumes == "multipart/form-data":
        return {"schema": _form(row, components[row.takes.__name__])}
    if row.speaks_scim:
        return {"schema": _SCIM_OBJECT}
    schema = by_type[repr(row.takes)]
    example = EXAMPLES.get(row.twin_of or row.path)
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _form(row: Endpoint, texts: dict[str, Any]) -> dict[str, Any]:
    """Describe a form: its texts, and its files."""
    files = {
        name: {
            "type": "string",
            "format": "binary",
            "description": about_file(row),
        }
        for name in row.files
    }
    return {
        "title": f"{row.takes.__name__} as a form",
        "type": "object",
        "properties": {**texts.get("properties", {}), **files},
        "required": [*texts.get("required", []), *row.files],
    }


def about_file(row: Endpoint) -> str:
    """Say what a file of a form may be."""
    if row.file_limit_of is not None:
        return "The file, as large as `attachment_max_bytes` of the organisation allows."
    return f"The file, at most {row.file_limit // 1024**2} MiB."


def _parameters(row: Endpoint, components: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if row.path.endswith("{id}"):
        shape = {"type": "string"}
        parameters.append({"name": "id", "in": "path", "required": True, "schema": shape})
    if Kind.SUPER in row.kinds:
        parameters.append(
            _header(
                "on-behalf-of-entity-uuid",
                "The organisation, by uuid (super keys alone, and always)",
            )
        )
    if row.acting != "none" and row.kinds & CHAT_KEYS:
        parameters.append(_header("on-behalf-of", "The acting member, by uuid (master-user keys)"))
    if row.acting != "none" and row.kinds & SESSIONS:
        parameters.append(
            _header("X-Entity-User-Xref-Uuid", "The membership, by uuid (sessions, always)")
        )
    if row.method == "POST":
        parameters.append(
            _header(
                "Idempotency-Key", "1 to 255 printable characters; makes a retry safe for 24 hours"
            )
        )
    elif row.method == "GET" and row.takes is not Nothing:
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
        shape = _SCIM_OBJECT if row.speaks_scim else {"type": "string"}
        content: dict[str, Any] = {row.produces: {"schema": shape}}
    else:
        shapes = [by_type[repr(one)] for one in row.answers]
        schema = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
        content = {"application/json": {"schema": schema}}
    content |= {kind: {"schema": {"type": "string"}} for kind in row.also_produces}
    responses: dict[str, Any] = {str(row.status): {"description": "Success", "content": content}}
    if row.status == NO_CONTENT:
        responses[str(row.status)].pop("content")
    by_status: dict[int, list[str]] = {}
    for code in row.codes:
        status = scim_errors.status_of(code) if row.speaks_scim else CATALOGUE[code].status
        by_status.setdefault(status, []).append(code)
    by_status.setdefault(405, ["RN005"])
    for status, codes in sorted(by_status.items()):
        lines = [f"{code}: {CATALOGUE[code].title}" for code in codes]
        responses[str(status)] = {
            "$ref": f"#/components/responses/{'ScimError' if row.speaks_scim else 'Problem'}",
            "description": "\n\n".join(lines),
        }
    return responses
