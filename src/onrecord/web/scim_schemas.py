"""What SCIM says of itself: configuration, kinds of resources, schemas (RFC 7643, 5 to 7)."""

from typing import Any, Final

from onrecord.web.endpoint import JSON_LIMIT, SCIM
from onrecord.web.scim_resources import GROUP, USER

PAGE_MOST: Final = 200
_CORE: Final = "urn:ietf:params:scim:schemas:core:2.0"

Document = dict[str, Any]

_OF_BOTH: Final = frozenset(
    {"id", "externalid", "displayname", "meta.created", "meta.lastmodified"}
)
OF_USERS: Final = _OF_BOTH | {
    "username",
    "name.formatted",
    "name.givenname",
    "name.familyname",
    "title",
    "active",
    "emails",
    "emails.value",
    "emails.type",
    "emails.primary",
    "phonenumbers",
    "phonenumbers.value",
    "phonenumbers.type",
    "roles",
    "roles.value",
    "groups",
    "groups.value",
    "groups.display",
}
"""What Users can be searched by."""
OF_GROUPS: Final = _OF_BOTH | {"members", "members.value", "members.display"}
"""What Groups can be searched by."""


def config(url: str) -> Document:
    """Say what of the protocol is spoken here."""
    location = f"{url}{SCIM}/ServiceProviderConfig"
    return {
        "schemas": [f"{_CORE}:ServiceProviderConfig"],
        "documentationUri": f"{url}/docs/endpoints",
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": JSON_LIMIT},
        "filter": {"supported": True, "maxResults": PAGE_MOST},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Key as bearer token",
                "description": "The id of a system key that may provision, a dot, its secret.",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": location},
    }


def types(url: str) -> list[Document]:
    """Give the kinds of resources."""
    return [
        {
            "schemas": [f"{_CORE}:ResourceType"],
            "id": name,
            "name": name,
            "endpoint": f"/{name}s",
            "description": about,
            "schema": schema,
            "schemaExtensions": [],
            "meta": {
                "resourceType": "ResourceType",
                "location": f"{url}{SCIM}/ResourceTypes/{name}",
            },
        }
        for name, schema, about in (
            ("User", USER, "A member of staff"),
            ("Group", GROUP, "A group, with the staff in it"),
        )
    ]


def schemas(url: str) -> list[Document]:
    """Give the schemas of the resources."""
    return [
        {
            "schemas": [f"{_CORE}:Schema"],
            "id": schema,
            "name": name,
            "description": about,
            "attributes": attributes,
            "meta": {"resourceType": "Schema", "location": f"{url}{SCIM}/Schemas/{schema}"},
        }
        for schema, name, about, attributes in (
            (USER, "User", "A member of staff", _USER_ATTRIBUTES),
            (GROUP, "Group", "A group, with the staff in it", _GROUP_ATTRIBUTES),
        )
    ]


def _attribute(name: str, about: str, kind: str = "string", **more: Any) -> Document:
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "description": about,
        "required": False,
        **({"caseExact": False} if kind in {"string", "reference"} else {}),
        "mutability": "readWrite",
        "returned": "default",
        **({"uniqueness": "none"} if kind in {"string", "reference"} else {}),
        **more,
    }


def _several(name: str, about: str, kinds: list[str], **more: Any) -> Document:
    parts = [
        _attribute("value", "The value"),
        _attribute("type", "What it is called here, by its place", canonicalValues=kinds),
        _attribute("primary", "Whether it is the first", "boolean"),
    ]
    return _attribute(name, about, "complex", multiValued=True, subAttributes=parts, **more)


def _reference(name: str, about: str, kind: str, *besides: str, **more: Any) -> Document:
    fixed: Document = {"mutability": more.get("mutability", "immutable")}
    parts = [
        _attribute("value", "The id", **fixed),
        _attribute("$ref", "The address", "reference", referenceTypes=[kind], **fixed),
        _attribute("display", "The name", mutability="readOnly"),
        *(_attribute(one, kind, canonicalValues=[kind], **fixed) for one in besides),
    ]
    return _attribute(name, about, "complex", multiValued=True, subAttributes=parts, **more)


_EXTERNAL: Final = _attribute("externalId", "The identifier", caseExact=True)
_USER_ATTRIBUTES: Final = [
    _attribute("userName", "The primary email", required=True, uniqueness="server"),
    _EXTERNAL,
    _attribute(
        "name",
        "First and last name",
        "complex",
        subAttributes=[
            _attribute("formatted", "Both; read where the others are not given"),
            _attribute("givenName", "The first name"),
            _attribute("familyName", "The last name"),
        ],
    ),
    _attribute("displayName", "Both names; read where no name is given"),
    _attribute("title", "The job title"),
    _attribute("active", "False: suspended, or no member any more", "boolean"),
    _several("emails", "Emails on the contact card", ["work", "other"]),
    _several("phoneNumbers", "Phone numbers on the contact card", ["work", "mobile", "other"]),
    _attribute(
        "roles",
        "One: staff, user_admin, or system_admin, which is not provisioned",
        "complex",
        multiValued=True,
        subAttributes=[
            _attribute("value", "The role", canonicalValues=["staff", "user_admin"]),
            _attribute("primary", "True", "boolean"),
        ],
    ),
    _reference("groups", "The groups", "Group", mutability="readOnly"),
]
_GROUP_ATTRIBUTES: Final = [
    _attribute("displayName", "The name", required=True),
    _EXTERNAL,
    _reference("members", "The staff in it", "User", "type"),
]
