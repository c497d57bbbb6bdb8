"""The specification (OpenAPI 3.1), made from the endpoint rows."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from onrecord import __version__
from onrecord.model.access import Kind
from onrecord.model.errors import CATALOGUE
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer, Endpoint, Nothing

_REF: Final = "#/components/schemas/{name}"


class Problem(msgspec.Struct):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error_code: str
    errors: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET


_SCHEMES: Final[dict[str, tuple[str, str]]] = {
    "system": ("X-SYS-API-KEY", "X-SYS-API-KEY-SECRET"),
    "master_user": ("X-MASTER-USER-API-KEY", "X-MASTER-USER-API-KEY-SECRET"),
    "user": ("X-USER-API-KEY", "X-USER-API-KEY-SECRET"),
}
_SCHEME_OF: Final = {
    Kind.SYSTEM: "system",
    Kind.SUPER: "system",
    Kind.MASTER_USER: "master_user",
    Kind.USER: "user",
}


def specification(rows: Sequence[Endpoint]) -> dict[str, Any]:
    """Give the whole specification as plain values."""
    types: list[Any] = [Problem]
    for row in rows:
        types += [row.takes, *row.answers]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
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
            "description": "A messenger in which every conversation is on record and provable.",
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _schemes()},
    }


def _schemes() -> dict[str, Any]:
    schemes = {}
    for name, headers in _SCHEMES.items():
        for suffix, header in zip(("id", "secret"), headers, strict=True):
            schemes[f"{name}_{suffix}"] = {"type": "apiKey", "in": "header", "name": header}
    return schemes


def _operation(
    row: Endpoint, by_type: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": row.method.lower() + row.path.replace("/", "_").replace("-", "_"),
        "summary": row.summary,
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
            "content": {"application/json": {"schema": by_type[repr(row.takes)]}},
        }
    return operation


def _parameters(row: Endpoint, components: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if Kind.SUPER in row.kinds:
        parameters.append(_header("on-behalf-of-entity-uuid", "The organisation (super keys)"))
    if row.acting != "none":
        parameters.append(_header("on-behalf-of", "The acting member (master-user keys)"))
    if row.method == "POST":
        parameters.append(_header("Idempotency-Key", "Makes a retry safe for 24 hours"))
    elif row.takes is not Nothing:
        schema = components[row.takes.__name__]
        required = schema.get("required", [])
        for name, kind in schema["properties"].items():
            parameters.append(
                {"name": name, "in": "query", "required": name in required, "schema": kind}
            )
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
            "description": "\n\n".join(lines),
            "content": {"application/problem+json": {"schema": by_type[repr(Problem)]}},
        }
    return responses


async def get_openapi(call: Call, _: Nothing) -> Answer:
    """Give the specification."""
    return Answer(encode(specification(call.routes.rows)))


ROWS: Final = (
    Endpoint(
        method="GET",
        path="/openapi.json",
        summary="This specification",
        kinds=frozenset(),
        gives=dict[str, Any],
        handler=get_openapi,
        mode="script",
        tags=("Operations",),
    ),
)
