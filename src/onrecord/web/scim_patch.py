"""PATCH of SCIM: operations on a resource as it is shown (RFC 7644, section 3.5.2).

Identity providers differ in how they write the same change; all their forms end here, in one
document with names folded to lower case, that is then taken like one of a PUT.
"""

from collections.abc import Mapping
from typing import Any, Final

from onrecord.model.errors import malformed, missing
from onrecord.web.scim_errors import ScimRefusal
from onrecord.web.scim_filter import Path, folded, plain, read_path

OPERATIONS_MOST: Final = 1000
"""Operations of one call at the most."""
LISTS: Final[Mapping[str, frozenset[str]]] = {
    "emails": frozenset({"value", "type", "primary", "display"}),
    "phonenumbers": frozenset({"value", "type", "primary", "display"}),
    "roles": frozenset({"value", "type", "primary", "display"}),
    "members": frozenset({"value", "type", "display", "ref"}),
}
"""Attributes of several values, and what each of these has."""
READ_ONLY: Final = frozenset({"id", "meta", "groups", "schemas"})
_OPS: Final = frozenset({"add", "replace", "remove"})

Document = dict[str, Any]


def patched(document: Document, body: Document, known: frozenset[str]) -> list[str]:
    """Change a document as the body of a PATCH says; give the attributes that are not kept here.

    RB002, RB003: no operations, or what is none. invalidPath, noTarget, mutability.
    """
    operations = body.get("operations")
    if operations is None:
        raise missing("Operations")
    if not isinstance(operations, list) or not 1 <= len(operations) <= OPERATIONS_MOST:
        raise malformed("Operations", f"must be a list of 1 to {OPERATIONS_MOST}")
    ignored: list[str] = []
    for one in operations:
        op = one.get("op") if isinstance(one, dict) else None
        if not isinstance(op, str) or op.lower() not in _OPS:
            raise malformed("Operations", "holds an op that is none of add, replace, remove")
        path, value = one.get("path"), one.get("value")
        if path is not None and not isinstance(path, str):
            raise ScimRefusal("invalidPath", "path must be text")
        ignored += _operation(document, op.lower(), path, value, known)
    return ignored


def _operation(
    document: Document, op: str, path: str | None, value: Any, known: frozenset[str]
) -> list[str]:
    if path:
        place = read_path(path, LISTS)
        if place.attribute in READ_ONLY:
            raise ScimRefusal("mutability", f"{place.attribute} cannot be changed")
        return _at(document, op, place, value, known)
    if op == "remove":
        raise ScimRefusal("noTarget", "remove needs a path")
    if not isinstance(value, Mapping):
        raise malformed("value", "must be an object where there is no path")
    ignored = []
    for name, one in value.items():
        place = Path(plain(name)) if name.lower().startswith("urn:") else read_path(name, LISTS)
        if place.attribute not in READ_ONLY:
            ignored += _at(document, op, place, one, known)
    return ignored


def _at(document: Document, op: str, place: Path, value: Any, known: frozenset[str]) -> list[str]:
    name = place.attribute
    if name not in known:
        return [name]
    if name in LISTS:
        _in_list(document, op, place, value)
    elif place.within is not None:
        raise ScimRefusal("invalidPath", f"{name} has one value alone")
    elif place.part is not None or isinstance(document.get(name), dict):
        _in_object(document, op, place, value)
    elif op == "remove":
        document.pop(name, None)
    else:
        document[name] = value
    return []


def _in_object(document: Document, op: str, place: Path, value: Any) -> None:
    held = document.get(place.attribute)
    inner = {**held} if isinstance(held, dict) else {}
    if place.part is not None:
        if op == "remove":
            inner.pop(place.part, None)
        else:
            inner[place.part] = value
    elif op == "remove":
        inner = {}
    elif isinstance(value, Mapping):
        inner |= value
    else:
        raise malformed(place.attribute, "must be an object")
    document[place.attribute] = inner


def _in_list(document: Document, op: str, place: Path, value: Any) -> None:
    held = document.get(place.attribute) or []
    if place.within is not None:
        document[place.attribute] = _chosen(held, op, place, value)
    elif place.part is not None:
        parted = [{**one, place.part: value} for one in held or [{}]]
        document[place.attribute] = [] if op == "remove" else parted
    elif op == "replace":
        document[place.attribute] = values_of(place.attribute, value)
    elif op == "add":
        given = values_of(place.attribute, value)
        there = {one.get("value") for one in given}
        held = [one for one in held if one.get("value") not in there]
        document[place.attribute] = [*held, *given]
    elif value is None:
        document[place.attribute] = []
    else:
        gone = {one.get("value") for one in values_of(place.attribute, value)}
        document[place.attribute] = [one for one in held if one.get("value") not in gone]


def _chosen(held: list[Document], op: str, place: Path, value: Any) -> list[Document]:
    """Change the values that a filter chooses; where none is, one is made of what it asks for."""
    assert place.within is not None  # noqa: S101 - the caller has looked
    within = place.within
    fits = [within.fits(one) for one in held]
    if op == "remove":
        if place.part is None:
            return [one for one, fit in zip(held, fits, strict=True) if not fit]
        return [
            {name: each for name, each in one.items() if not fit or name != place.part}
            for one, fit in zip(held, fits, strict=True)
        ]
    new = {place.part: value} if place.part is not None else _object(place.attribute, value)
    if not any(fits):
        if not within.equal or "value" in within.equal:
            raise ScimRefusal("noTarget", f"No value of {place.attribute} is chosen")
        return [*held, {**within.equal, **new}]
    return [{**one, **new} if fit else one for one, fit in zip(held, fits, strict=True)]


def _object(name: str, value: Any) -> Document:
    (one,) = values_of(name, [value])
    return one


def values_of(name: str, value: Any) -> list[Document]:
    """Give what was sent for an attribute of several values as a list of objects (RB003)."""
    given = value if isinstance(value, list) else [value]
    found = []
    for one in given:
        made = {"value": one} if isinstance(one, str) else folded(one)
        if not isinstance(made, dict) or not isinstance(made.get("value", ""), str):
            raise malformed(name, "holds what is no value of it")
        found.append({**made})
    return found
