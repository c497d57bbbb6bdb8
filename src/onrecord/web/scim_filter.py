"""Filters and paths of SCIM (RFC 7644, sections 3.4.2.2 and 3.5.2).

A filter becomes a predicate on a resource as it is shown, its names folded to lower case; PATCH
looks for what it changes with the same predicates.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from onrecord.model import times
from onrecord.web.scim_errors import ScimRefusal

LONGEST: Final = 10_000
"""Characters of a filter at the most."""
DEEPEST: Final = 20
"""How deep parentheses may stand in each other."""
CORE: Final = (
    "urn:ietf:params:scim:schemas:core:2.0:user:",
    "urn:ietf:params:scim:schemas:core:2.0:group:",
)
_OPERATORS: Final = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"})
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": lambda one, other: bool(one > other),
    "ge": lambda one, other: bool(one >= other),
    "lt": lambda one, other: bool(one < other),
    "le": lambda one, other: bool(one <= other),
}
_PARTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "co": lambda text, part: part in text,
    "sw": lambda text, part: text.startswith(part),
    "ew": lambda text, part: text.endswith(part),
}
_TOKEN: Final = re.compile(
    r'\s*(?:("(?:[^"\\]|\\.)*")|([\[\]()])|(-?\d[\d.eE+-]*)|(\.?[A-Za-z$][\w.:$-]*))'
)
_UNASKABLE: Final = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates: no database can be asked for these."""
_EXACT: Final = frozenset({"id", "externalid"})
"""What is compared letter by letter; all other texts without case."""
_TIMES: Final = frozenset({"meta.created", "meta.lastmodified"})

Predicate = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a filter asks: the predicate, and every `attribute eq value` that must hold."""

    fits: Predicate
    equal: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Path:
    """What a PATCH is about: an attribute, which of its values, and which part of these."""

    attribute: str
    within: Filter | None = None
    part: str | None = None


def read_filter(text: str, known: frozenset[str]) -> Filter:
    """Read a filter on attributes that are known; invalidFilter."""
    reader = _Reader(text, known, "invalidFilter")
    found = reader.either("", 0)
    reader.end()
    return found


def read_path(text: str, parts: Mapping[str, frozenset[str]]) -> Path:
    """Read the path of a PATCH; invalidPath.

    `parts` tells the attributes by the parts of them that are known. What is none of them is read
    as it stands, with whatever parts it asks for: providers send addresses that are not kept here.
    """
    name, _, rest = text.strip().partition("[")
    attribute = plain(name)
    if not re.fullmatch(r"[a-z$][\w.:$-]*", attribute):
        raise ScimRefusal("invalidPath", "path names no attribute")
    within = None
    if rest:
        reader = _Reader(rest, parts.get(attribute), "invalidPath")
        within = reader.either("", 0)
        reader.take("]")
        last = reader.next() if reader.left else ""
        reader.end()
        if last and not re.fullmatch(r"\.[A-Za-z$]+", last):
            raise ScimRefusal("invalidPath", "path ends in what is no attribute")
        return Path(attribute, within, last[1:].lower() or None)
    if attribute.startswith("urn:"):
        return Path(attribute)
    attribute, _, part = attribute.partition(".")
    return Path(attribute, None, part or None)


def plain(name: str) -> str:
    """Fold the name of an attribute; those of the core need no schema before them."""
    name = name.strip().lower()
    for prefix in CORE:
        name = name.removeprefix(prefix)
    return name


def folded(value: Any) -> Any:
    """Give a value with the names in it in lower case, and `$ref` as `ref`."""
    if isinstance(value, Mapping):
        return {name.lower().lstrip("$"): folded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [folded(one) for one in value]
    return value


class _Reader:
    """Reads a filter from its tokens."""

    def __init__(self, text: str, known: frozenset[str] | None, scim_type: str) -> None:
        """Split into tokens; `known` are the attributes there are, None: any may be asked for."""
        self._known = known
        self._type = scim_type
        if len(text) > LONGEST:
            raise self._wrong("is too long")
        self.left: list[str] = []
        place = 0
        text = text.rstrip()
        while place < len(text):
            token = _TOKEN.match(text, place)
            if token is None:
                raise self._wrong("cannot be read")
            self.left.append(token[0].strip())
            place = token.end()
        self.left.reverse()

    def _wrong(self, why: str) -> ScimRefusal:
        return ScimRefusal(self._type, f"The filter {why}")

    def next(self) -> str:
        """Take the next token."""
        if not self.left:
            raise self._wrong("ends early")
        return self.left.pop()

    def take(self, wanted: str) -> None:
        """Take a token that has to stand here."""
        if self.next() != wanted:
            raise self._wrong(f"lacks a {wanted}")

    def end(self) -> None:
        """See that nothing is left."""
        if self.left:
            raise self._wrong("goes on where it should end")

    def _at(self, word: str) -> bool:
        if self.left and self.left[-1].lower() == word:
            self.left.pop()
            return True
        return False

    def either(self, prefix: str, depth: int) -> Filter:
        """Read terms joined by `or`; `prefix` is the attribute whose values are looked at."""
        if depth > DEEPEST:
            raise self._wrong("is too deep")
        terms = [self._both(prefix, depth)]
        while self._at("or"):
            terms.append(self._both(prefix, depth))
        if len(terms) == 1:
            return terms[0]
        return Filter(lambda one: any(term.fits(one) for term in terms), {})

    def _both(self, prefix: str, depth: int) -> Filter:
        terms = [self._one(prefix, depth)]
        while self._at("and"):
            terms.append(self._one(prefix, depth))
        if len(terms) == 1:
            return terms[0]
        equal = {name: value for term in terms for name, value in term.equal.items()}
        return Filter(lambda one: all(term.fits(one) for term in terms), equal)

    def _one(self, prefix: str, depth: int) -> Filter:
        negated = self._at("not")
        if self._at("("):
            inner = self.either(prefix, depth + 1)
            self.take(")")
            return Filter(lambda one: not inner.fits(one), {}) if negated else inner
        if negated:
            raise self._wrong("lacks a ( after not")
        name = plain(self.next()).lstrip("$")
        if self._at("["):
            return self._among_values(name, depth)
        return self._comparison(prefix, name)

    def _among_values(self, name: str, depth: int) -> Filter:
        """Read `emails[type eq "work"]`, and `.value eq "…"` where it goes on like that."""
        known = self._known
        if known is not None and not any(one.startswith(f"{name}.") for one in known):
            raise self._wrong(f"asks for {name[:60]}, which has no values")
        inner = self.either(name, depth + 1)
        self.take("]")
        more: Filter | None = None
        if self.left and self.left[-1].startswith("."):
            more = self._comparison(name, plain(self.next()[1:]))

        def fits(one: Mapping[str, Any]) -> bool:
            return any(
                inner.fits(each) and (more is None or more.fits(each))
                for each in _values(one, name)
                if isinstance(each, Mapping)
            )

        equal = {**inner.equal, **(more.equal if more else {})}
        return Filter(fits, {f"{name}.{part}": value for part, value in equal.items()})

    def _comparison(self, prefix: str, name: str) -> Filter:
        whole = f"{prefix}.{name}" if prefix else name
        if self._known is not None and whole not in self._known:
            raise self._wrong(f"asks for {whole[:60]}, which cannot be searched")
        operator = self.next().lower()
        if operator not in _OPERATORS:
            raise self._wrong(f"has no operator after {whole}")
        if operator == "pr":
            return Filter(lambda one: any(_there(each) for each in _values(one, name)), {})
        value = self._value()
        equal = {name: value} if operator == "eq" and isinstance(value, str) else {}
        if self._known is not None and f"{whole}.value" in self._known:
            name = f"{name}.value"
        test = self._test(operator, value, name)
        if operator == "ne":
            return Filter(lambda one: not any(test(each) for each in _values(one, name)), {})
        if operator == "eq" and value is None:
            return Filter(lambda one: not any(_there(each) for each in _values(one, name)), {})
        return Filter(lambda one: any(test(each) for each in _values(one, name)), equal)

    def _value(self) -> Any:
        token = self.next()
        folded_token = token.lower()
        try:
            value = json.loads(token if token[0] == '"' else folded_token)
        except ValueError as error:
            raise self._wrong("compares with what is no value") from error
        if isinstance(value, str) and _UNASKABLE.search(value):
            raise self._wrong("compares with what no text holds")
        return value

    def _test(self, operator: str, value: Any, name: str) -> Callable[[Any], bool]:
        """Give the comparison of one value of a resource with the one in the filter."""
        if name in _TIMES:
            return self._time_test(operator, value)
        exact = name in _EXACT

        def form(each: Any) -> Any:
            if isinstance(each, bool):
                return str(each).lower()
            return each.casefold() if isinstance(each, str) and not exact else each

        wanted = form(value)
        if operator in {"eq", "ne"}:
            return lambda each: bool(form(each) == wanted)
        if not isinstance(wanted, str) or isinstance(value, bool):
            raise self._wrong(f"cannot compare with {operator}")
        compare = _PARTS.get(operator) or _ORDER[operator]
        return lambda each: isinstance(each, str) and compare(form(each), wanted)

    def _time_test(self, operator: str, value: Any) -> Callable[[Any], bool]:
        try:
            moment = times.read(value)
        except (TypeError, ValueError) as error:
            raise self._wrong("compares a time with what is none") from error
        if operator in _PARTS:
            raise self._wrong(f"cannot compare times with {operator}")
        compare = _ORDER.get(operator) or (lambda one, other: bool(one == other))
        return lambda each: compare(times.read(each), moment)


def _values(one: Mapping[str, Any], name: str) -> list[Any]:
    """Give the values at a dotted name; each of a list counts."""
    found: list[Any] = [one]
    for part in name.split("."):
        inner = [each.get(part) for each in found if isinstance(each, Mapping)]
        found = [leaf for each in inner for leaf in (each if isinstance(each, list) else [each])]
    return found


def _there(value: Any) -> bool:
    return value is not None and value not in ("", [], {})
