"""What the rows declare holds: codes, entry types, the specification."""

from typing import Any

import msgspec
import pytest

from onrecord.model.access import INSTALLATION_UUID, PERMISSIONS, Kind
from onrecord.model.errors import CATALOGUE
from onrecord.model.record import IDS, TYPES
from onrecord.web import fields
from onrecord.web.endpoint import Endpoint, Nothing, Takes, decode_body
from onrecord.web.openapi import EXAMPLES, Problem, calls_of, specification
from onrecord.web.rows import ROWS
from tests.every_endpoint.calls import ROWS as OURS
from tests.every_endpoint.calls import acting_for, good, make
from tests.world import World, accepted

SPECIFICATION = specification(ROWS)
CALLS = calls_of(ROWS)


def name(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_a_row_is_whole(row: Endpoint) -> None:
    assert row.path.startswith("/")
    assert row.summary
    assert row.tags
    assert set(row.codes) <= CATALOGUE.keys()
    assert set(row.refusals) <= CATALOGUE.keys()
    assert list(row.codes) == [code for code in CATALOGUE if code in row.codes]
    assert set(row.writes) <= TYPES.keys()
    assert issubclass(row.takes, Takes)
    for permission in row.permissions:
        assert row.kinds & PERMISSIONS[permission].kinds
    assert (row.many is not None) == (row.mode == "many")
    assert row.gives is not None or row.produces != "application/json"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_a_row_says_what_it_writes_or_why_nothing(row: Endpoint) -> None:
    if row.method == "GET":
        allowed = {"export.made", "record.read"}
        assert set(row.writes) <= allowed, "what is taken out or reviewed is on record"
        assert not row.writes_nothing
    else:
        assert bool(row.writes) != bool(row.writes_nothing)


def test_no_two_rows_stand_at_one_place() -> None:
    places = [(row.method, row.path) for row in ROWS]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("row", [row for row in OURS if row.kinds], ids=name)
def test_a_call_writes_entries_of_the_types_declared_and_no_other(
    world: World, row: Endpoint
) -> None:
    cast = world.cast
    make(world, row, None)
    for number, (kind, key) in enumerate(cast.shown_at_firm().items()):
        if kind not in row.kinds:
            continue
        good(world, row, number)
        before = world.head(cast.firm)
        there = world.head(INSTALLATION_UUID)
        response = make(world, row, key, number=number, acting=acting_for(row, cast, kind))
        assert response.status_code == row.status, response.text
        written = world.entries(cast.firm, before)
        if kind is Kind.SESSION and row.acting != "required":
            written = world.entries(INSTALLATION_UUID, there)
        assert {entry["type"] for entry in written} <= set(row.writes)
        assert bool(written) == bool(row.writes)
        for entry in written:
            assert entry["actor"]["kind"] == kind
            assert entry["actor"].get("api_key_uuid") == key.uuid


# -- the specification ----------------------------------------------------------------------------


def test_the_server_gives_the_specification(sqlite_world: World) -> None:
    assert accepted(sqlite_world.get("/openapi.json")) == SPECIFICATION


def test_the_specification_has_the_shape_of_openapi_31() -> None:
    assert SPECIFICATION["openapi"] == "3.1.0"
    assert {"title", "version"} <= SPECIFICATION["info"].keys()
    operations = []
    for path, methods in SPECIFICATION["paths"].items():
        assert path.startswith("/")
        assert set(methods) <= {"get", "post", "put", "patch", "delete"}
        for operation in methods.values():
            operations.append(operation["operationId"])
            (success,) = operation["responses"].keys() & {"200", "201", "202", "204"}
            assert ("content" in operation["responses"][success]) == (success != "204")
            assert operation["description"]
            for parameter in operation.get("parameters", []):
                assert {"name", "in", "schema"} <= parameter.keys()
                assert parameter["in"] in {"path", "query", "header"}
            names = [(p["in"], p["name"]) for p in operation.get("parameters", [])]
            assert len(set(names)) == len(names)
            for requirement in operation["security"]:
                assert requirement.keys() <= SPECIFICATION["components"]["securitySchemes"].keys()
    assert len(set(operations)) == len(operations) == len(CALLS)


def test_the_specification_forbids_no_field_besides_those_it_names() -> None:
    schemas = SPECIFICATION["components"]["schemas"]
    for row in CALLS:
        assert "additionalProperties" not in schemas.get(row.takes.__name__, {})


def test_every_reference_leads_somewhere() -> None:
    found = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found.append(value["$ref"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(SPECIFICATION)
    assert found
    for reference in found:
        root, components, section, name_of = reference.split("/")
        assert (root, components) == ("#", "components")
        assert name_of in SPECIFICATION["components"][section]


def test_every_field_is_described_and_every_description_is_used() -> None:
    types: list[Any] = [Problem]
    for row in CALLS:
        types += [row.takes, *row.answers]
    used = set()
    for kind in fields.structs(types).values():
        for field in msgspec.structs.fields(kind):
            one = f"{kind.__name__}.{field.encode_name}"
            found = fields.about(kind, field.encode_name)
            assert found is not None, f"say in web/fields.py what {one} means"
            assert found.text.endswith("."), one
            used.add(id(found))
    assert {name for name, found in fields.TABLE.items() if id(found) not in used} == set()


def test_a_uuid_is_declared_as_such_and_nothing_else_is() -> None:
    for component, shape in SPECIFICATION["components"]["schemas"].items():
        for field, one in shape.get("properties", {}).items():
            text = str({key: one[key] for key in one if key not in {"description", "examples"}})
            told_back = f"{component}.{field}" in fields.TOLD_BACK
            is_uuid = field.endswith(("_uuid", "_uuids")) and not told_back
            assert ("'format': 'uuid'" in text) == is_uuid, (component, field)


def test_what_an_entry_concerns_has_a_place_in_its_schema() -> None:
    entry = SPECIFICATION["components"]["schemas"]["Entry"]
    assert entry["properties"].keys() >= IDS
    assert {"required", "properties"} <= entry.keys()
    assert len(entry["properties"]["object"]["anyOf"]) == 5


PROOFS = {"username", "password", "new_password", "challenge", "code", "token"}
"""What is right or wrong and not only well-formed: taken from a good request."""


@pytest.mark.parametrize(
    "row",
    [row for row in calls_of(OURS) if row.method == "POST" and row.consumes == "application/json"],
    ids=name,
)
def test_the_example_of_a_body_works_when_sent(world: World, row: Endpoint) -> None:
    cast = world.cast
    example = EXAMPLES[row.path]
    taken, ignored = decode_body(row, msgspec.json.encode(example))
    assert isinstance(taken, row.takes)
    assert ignored == ()
    make(world, row, None)
    kind, key = next(
        ((kind, key) for kind, key in cast.shown_at_firm().items() if kind in row.kinds),
        (Kind.SYSTEM, None),
    )
    # Whom and what it names is of another firm; all else is sent as it stands.
    named = {"CL-1001": cast.priya.uuid, "ADV-1": cast.olga.uuid, "ADV-2": cast.olga.uuid}
    there = good(world, row, 3).json or {}
    body = {
        field: there.get(field, value) if field.endswith("_uuid") or field in PROOFS else value
        for field, value in example.items()
        if field != "identifiers"
    }
    if "identifiers" in example:
        body["entity_user_xref_uuids"] = [named[one] for one in example["identifiers"]]
    response = make(world, row, key, json=body, acting=acting_for(row, cast, kind))
    assert response.status_code == row.status, response.text
    if row.path.endswith("butler-says/send-text"):
        assert response.json()["failed"] == 0


@pytest.mark.parametrize("row", calls_of(OURS), ids=name)
def test_the_specification_documents_each_refusal(row: Endpoint) -> None:
    operation = SPECIFICATION["paths"][row.path][row.method.lower()]
    for code in row.codes:
        response = operation["responses"][str(CATALOGUE[code].status)]
        assert f"{code}: {CATALOGUE[code].title}" in response["description"]
        assert response["$ref"] == "#/components/responses/Problem"
    assert "405" in operation["responses"]
    assert bool(operation["security"]) == bool(row.kinds)
    if row.method == "POST":
        assert operation["requestBody"]["required"] is (row.takes is not Nothing)


@pytest.mark.parametrize("row", [row for row in OURS if row.answers], ids=name)
def test_an_answer_has_the_type_declared(world: World, row: Endpoint) -> None:
    cast = world.cast
    kind, key = next(
        ((kind, key) for kind, key in cast.shown_at_firm().items() if kind in row.kinds),
        (Kind.SYSTEM, None),
    )
    response = make(world, row, key, acting=acting_for(row, cast, kind))
    assert response.status_code == row.status, response.text
    assert response.headers["content-type"] == row.produces
    problems = [problem for shape in row.answers if (problem := misfit(response.content, shape))]
    assert len(problems) < len(row.answers), problems


def misfit(content: bytes, shape: Any) -> str:
    """Say why an answer is not of a type; nothing when it is."""
    try:
        msgspec.json.decode(content, type=shape)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
