"""Every endpoint, with ids of nobody and of the organisation next door wherever ids stand."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from onrecord.web.endpoint import Endpoint
from tests.every_endpoint.calls import ROWS, good, make
from tests.every_endpoint.next_door import IDENTIFIER, NOBODY, furnish_next_door
from tests.every_endpoint.test_bodies import documented, of
from tests.every_endpoint.untouched import digests
from tests.world import World

NAMES = ("uuid", "uuids", "identifier", "identifiers")
NEW_VALUES = ("/create", "/create/v2", "/update")
"""Calls in which `identifier` is what something shall be called; it names nothing there. So is
`new_identifier` everywhere."""
BY_RECIPIENT = "/butler-says/"
"""Calls that speak to the others all the same: see the results in tests/domain/test_butler.py."""
INSTEAD = {
    "identifier": ("entity_user_xref_uuid", "group_uuid"),
    "identifiers": ("entity_user_xref_uuids",),
}
"""What has to be absent for the other to be looked at alone."""

Path = tuple[str, ...]


def places(takes: type) -> list[Path]:
    """Give the path of every field that names something, in inner objects too."""
    found: list[Path] = []
    for one in msgspec.structs.fields(takes):
        if one.name.endswith(NAMES):
            found.append((one.name,))
        for inner in inner_structs(msgspec.inspect.type_info(one.type)):
            found += [(one.name, *path) for path in places(inner)]
    return found


def inner_structs(kind: msgspec.inspect.Type) -> list[type]:
    if isinstance(kind, msgspec.inspect.UnionType):
        return [inner for one in kind.types for inner in inner_structs(one)]
    return [kind.cls] if isinstance(kind, msgspec.inspect.StructType) else []


def naming(row: Endpoint) -> list[Path]:
    """Give the places of a row that name what is there already."""
    new = {("identifier",), ("new_identifier",)} if row.path.endswith(NEW_VALUES) else set()
    return [path for path in places(row.takes) if path not in new]


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if naming(row) and BY_RECIPIENT not in row.path],
    ids=lambda row: f"{row.method} {row.path}",
)
def test_what_is_next_door_is_nobody_here(world: World, row: Endpoint) -> None:
    """Its ids are answered as those of nobody, word for word, and nothing is changed."""
    next_door = furnish_next_door(world)
    key, acting = of(world, row)
    request = good(world, row)
    where = "json" if request.json is not None else "params"
    where = "data" if request.files is not None else where
    fields = request.how[where]
    before = digests(world)
    for path in naming(row):
        for shape in shapes(fields, path):
            told = set()
            nobody = "NOBODY-7" if "identifier" in path[-1] else NOBODY
            theirs = [IDENTIFIER] if "identifier" in path[-1] else next_door.ids.values()
            for value in (nobody, *theirs):
                response = make(world, row, key, acting=acting, **{where: shape(value)})
                documented(row, response)
                if row.method == "POST" and response.status_code == row.status:
                    assert '"error_code"' in response.text, (path, response.text)
                text = response.text.replace(value, nobody)
                next_door.check(text)
                told.add(text.replace(response.headers["x-request-id"], ""))
            assert len(told) == 1, (path, told)
            assert digests(world) == before, path


def shapes(fields: dict[str, Any], path: Path) -> Iterator[Any]:
    """Give the ways to put a value at a place: alone, and behind what stands there."""
    name = path[-1]
    alone = {key: kept for key, kept in fields.items() if key not in INSTEAD.get(name, ())}
    if not name.endswith("s"):
        yield lambda value: changed(alone, path, value)
        return
    yield lambda value: changed(alone, path, [value])
    present = fields.get(name)
    if len(path) == 1 and present:
        yield lambda value: changed(fields, path, [*present, value])


def changed(fields: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Give the fields with another value at a place."""
    if len(path) == 1:
        return {**fields, path[0]: value}
    return {**fields, path[0]: changed(fields.get(path[0]) or {}, path[1:], value)}
