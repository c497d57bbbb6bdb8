"""An endpoint is a row.

The router, the specification, the reference pages and the table tests read the same rows, so a
call that nobody guards cannot be written.
"""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from onrecord.domain.credentials import Demand
from onrecord.model.access import PERMISSIONS, Kind
from onrecord.model.errors import (
    CATALOGUE,
    FieldError,
    Refusal,
    malformed,
    missing,
    pointer_to,
)
from onrecord.store.work import Many

ON_BEHALF_OF: Final = "on-behalf-of"
"""Names the acting member, as a header or in the query of any call."""
MEMBERSHIP: Final = "as"
"""Names the membership in the query of a GET that is made with a session."""
SCIM: Final = "/scim/v2"
"""Where identity providers speak SCIM (RFC 7644), with errors in that protocol's form."""
SCIM_JSON: Final = "application/scim+json"
DOWNLOAD: Final = "/download"
"""Where links to files lead: what follows is a secret, and never logged."""
FORM: Final = "multipart/form-data"
JSON_LIMIT: Final = 1024 * 1024
"""The largest JSON body, in bytes."""


class Takes(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The base of what goes in. Unknown fields are told apart first and named, not refused."""


class Nothing(Takes):
    """For calls that take nothing."""


SYSTEM_KEYS: Final = frozenset({Kind.SYSTEM, Kind.SUPER})
MASTER_KEYS: Final = frozenset({Kind.MASTER_USER})
CHAT_KEYS: Final = frozenset({Kind.MASTER_USER, Kind.USER})
SESSIONS: Final = frozenset({Kind.SESSION})
IN_PERSON: Final = frozenset({Kind.SESSION, Kind.SDK})
"""Sessions of the web app, and tokens of the embedded app."""
CHATTING: Final = CHAT_KEYS | IN_PERSON
"""Whatever acts in chats for one member."""

COMMON: Final = ("RN005", "RX500", "RX503")
OF_KEYS: Final = ("RU001", "RU002", "RU003", "RU004", "RU029", "RF008", "RN900", "RN902")
OF_SYSTEM_KEYS: Final = ("RF736", "RF841", "RN007")
OF_PERSONS: Final = ("RU003", "RU010", "RU029", "RF008", "RN900", "RN902")
OF_ACTING: Final = ("RF004", "RN006", "RF024", "RB035")
OF_BODIES: Final = ("RB001", "RB002", "RB003", "RB024", "RB026")
OF_QUERIES: Final = ("RB002", "RB003")
OF_IDEMPOTENCY: Final = ("RB022", "RB023")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answers: bytes of a content type, and what else stands in its headers."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    stream: AsyncGenerator[bytes] | None = None
    """What follows instead of `body`, piece by piece. If it fails the connection is cut before the
    final chunk, so that nobody takes the answer for whole."""
    caching: str | None = None
    """What Cache-Control says instead of no-store."""


Handler = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One call: who may make it, what goes in and out, what it may refuse, what it records."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """Where it stands. One that ends in `/{id}` takes any last segment: the call's `variable`."""
    summary: str
    kinds: frozenset[Kind]
    permissions: tuple[str, ...] = ()
    """Any of these is enough; the first one's error is told."""
    acting: Literal["required", "optional", "none"] = "none"
    """Whether a member acts: on-behalf-of, or the owner of a user key."""
    roles: frozenset[int] = frozenset()
    """Profiles of the acting member, any of these (else RF006); empty: everybody's."""
    twin_of: str = ""
    """The path of the row that this one is the twin of, for persons: see `administration`."""
    entity: Literal["required", "optional"] = "required"
    takes: type[Takes] = Nothing
    gives: Any = None
    """The type of the answer, or a tuple of those it may be; None when it is no JSON."""
    consumes: Literal["application/json", "multipart/form-data", "application/scim+json"] = (
        "application/json"
    )
    """A form is for calls of mode `script`; its texts are decoded into `takes`. A SCIM body may be
    any object; the handler takes it as a dictionary and looks into it itself."""
    files: tuple[str, ...] = ()
    """The files of a form, all of them needed; the handler finds them in `call.files`."""
    file_limit: int = 0
    """The largest file, in bytes."""
    file_limit_of: Callable[..., Awaitable[int]] | None = None
    """Gives the largest file of a call, where the organisation says it: file_limit_of(call)."""
    also_form: bool = False
    """Whether a form with the files is taken in place of JSON, with the same texts."""
    status: int = 200
    """The status of success; a script answers with it itself."""
    produces: str = "application/json"
    also_produces: tuple[str, ...] = ()
    """Content types of files that it answers with where a parameter asks for them."""
    refusals: tuple[str, ...] = ()
    """Codes of the rules behind the call; those of keys, bodies and so on are added."""
    writes: tuple[str, ...] = ()
    """The entry types the call may put on record."""
    writes_nothing: str = ""
    """Why it writes no entry: reads need no reason, other calls do."""
    secrets: tuple[str, ...] = ()
    """Fields of the answer that are shown once and never stored."""
    handler: Handler
    mode: Literal["read", "write", "many", "script"]
    """`read` and `write`: one work, handler(work, taken). `many`: the append path,
    handler(call, taken) makes the item and `many` does the group. `script`: handler(call, taken)
    runs works of its own and gives an Answer (long polls, files, work → outside → work)."""
    many: Many | None = None
    body_limit: int = JSON_LIMIT
    tags: tuple[str, ...] = ()

    @cached_property
    def demand(self) -> Demand:
        """What is asked of the caller."""
        return Demand(
            self.kinds,
            self.permissions,
            self.acting,
            self.entity,
            reads=self.method == "GET",
            roles=self.roles,
        )

    @property
    def speaks_scim(self) -> bool:
        """Whether it is a call of SCIM, which has forms and statuses of its own."""
        return self.path.startswith(SCIM)

    @property
    def answers(self) -> tuple[Any, ...]:
        """The types the answer may be of; none when it is no JSON."""
        if self.gives is None:
            return ()
        return self.gives if isinstance(self.gives, tuple) else (self.gives,)

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Decodes the body straight into its type."""
        return msgspec.json.Decoder(self.takes)

    @cached_property
    def names(self) -> tuple[bytes, ...]:
        """Every field that may stand in the body, at any depth, as JSON spells it."""
        _, components = msgspec.json.schema_components([self.takes])
        known = {name for one in components.values() for name in one.get("properties", ())}
        return tuple(msgspec.json.encode(name) for name in sorted(known))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Every error this call may answer with, in the order of the catalogue."""
        codes = {*COMMON, *self.refusals}
        if self.kinds:
            # A credential is judged before its kind is: every call may meet those of all kinds.
            codes.update(OF_KEYS, OF_SYSTEM_KEYS, OF_PERSONS)
        if self.acting != "none":
            codes.update(OF_ACTING)
        if self.roles:
            codes.add("RF006")
        if self.method in {"POST", "PUT", "PATCH"}:
            codes.update(OF_BODIES)
        if self.method == "POST":
            codes.update(OF_IDEMPOTENCY)
        if self.files:
            codes.add("RB016")
        elif self.takes is not Nothing:
            codes.update(OF_QUERIES)
        codes.update(_permission_codes(self.permissions))
        return tuple(code for code in CATALOGUE if code in codes)


def _permission_codes(permissions: Sequence[str]) -> set[str]:
    return {PERMISSIONS[name].refusal for name in permissions[:1]}


_VARIABLE: Final = "/{id}"


def template_of(path: str) -> str:
    """Give the path of a row that takes any last segment."""
    return path.rpartition("/")[0] + _VARIABLE


def has_variable(path: str) -> bool:
    """Whether a path can be one of a row that takes any last segment."""
    return path.startswith((SCIM, DOWNLOAD)) and not path.endswith("/")


def path_to_show(path: str) -> str:
    """Give a path as it may be logged: a download link without its secret."""
    return template_of(path) if path.startswith(DOWNLOAD) else path


class Routes:
    """Finds the row of a request. Variables are last segments, so a dictionary is enough."""

    def __init__(self, rows: Sequence[Endpoint]) -> None:
        """Route to these rows."""
        self.rows = rows
        self._methods: dict[str, dict[str, Endpoint]] = {}
        for row in rows:
            self._methods.setdefault(row.path, {})[row.method] = row

    def find(self, method: str, path: str) -> Endpoint:
        """Give the row of a method and path; RN005, as a 405 when only the method is wrong."""
        methods = self._methods.get(path)
        if methods is None and has_variable(path):
            methods = self._methods.get(template_of(path))
        if methods is None or path.endswith(_VARIABLE):
            raise Refusal("RN005")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allow = [*methods, "HEAD"] if "GET" in methods else [*methods]
            raise Refusal("RN005", f"This path takes {' and '.join(allow)}", allow=allow)
        return endpoint


# -- decoding ------------------------------------------------------------------------------------

_MISSING: Final = re.compile(r"missing required field `([^`]+)`")
_SPELLED_OUT: Final = re.compile(rb"\\u00(?:[67][0-9a-fA-F]|5[fF])")
"""A letter that nobody needs to escape: it may hide a field's name."""
_PLACE: Final = re.compile(r" - at `\$([^`]*)`$")
_GOT: Final = re.compile(r"^Expected `([^`]+)`, got `([^`]+)`$")
_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
"""What people call the types that a validation error names."""
_ABSENT_WHEN_BLANK: Final = frozenset({"cursor", "limit", "search"})
"""Parameters that a first round of a loop sends without a value. An id without one is a mistake."""


def decode_body(endpoint: Endpoint, body: bytes) -> tuple[Takes, tuple[str, ...]]:
    """Decode a JSON body; give it and the names of unknown fields, which are ignored.

    RB001: no JSON object. RB002: a field is missing. RB003: a field has the wrong type, or is
    given twice.
    """
    try:
        taken: Takes = endpoint.decoder.decode(body)
        ignored: tuple[str, ...] = ()
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError, RecursionError):
        taken, ignored = _decode_slowly(endpoint, body)
    # Names are counted as they stand; only what looks suspicious is read once more.
    for name in endpoint.names:
        if body.count(name) > 1:
            _refuse_repeated(endpoint, body)
            break
    else:
        if _SPELLED_OUT.search(body):
            _refuse_repeated(endpoint, body)
    return taken, ignored


def _refuse_repeated(endpoint: Endpoint, body: bytes) -> None:
    """RB003 for a field given twice: which of the values counts would be anybody's guess."""

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for name, _ in pairs:
            if name in seen and msgspec.json.encode(name) in endpoint.names:
                raise malformed(name, "is given twice")
            seen.add(name)

    try:
        json.loads(body, object_pairs_hook=look)
    except (ValueError, RecursionError) as error:  # it is stricter in some things
        raise Refusal("RB001", "The body is not valid JSON") from error


def _decode_slowly(endpoint: Endpoint, body: bytes) -> tuple[Takes, tuple[str, ...]]:
    """Find out what is wrong with a body, or which of its fields are unknown."""
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if _has_lone_surrogate(body):
            raise Refusal("RB003", "a text holds a lone surrogate") from error
        why = "is not valid JSON" if body.strip() else "is empty; send a JSON object"
        raise Refusal("RB001", f"The body {why}") from error
    if not isinstance(values, dict):
        raise Refusal("RB001", "The body is not a JSON object")
    known, ignored = _known_of(endpoint.takes, values)
    return convert(endpoint.takes, known), tuple(ignored)


def _known_of(takes: type[Takes], values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Give the values that a type knows, in its order, and the names of all others.

    An unknown field of an object in a field is named with that field: `audience.group`.
    """
    known = {one: values[one] for one in takes.__struct_encode_fields__ if one in values}
    ignored = [name for name in values if name not in known]
    for name, inner in _objects_in(takes):
        if isinstance(known.get(name), dict):
            known[name], more = _known_of(inner, known[name])
            ignored += [f"{name}.{one}" for one in more]
    return known, ignored


@cache
def _objects_in(takes: type[Takes]) -> list[tuple[str, type[Takes]]]:
    """Give the fields of a type that take an object, and the types of these."""
    info = msgspec.inspect.type_info(takes)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - it is a Struct
    return [
        (row.encode_name, one.cls)
        for row in info.fields
        for one in (
            row.type.types if isinstance(row.type, msgspec.inspect.UnionType) else (row.type,)
        )
        if isinstance(one, msgspec.inspect.StructType) and issubclass(one.cls, Takes)
    ]


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a body that may be any JSON object; RB001, RB003 for a name given twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = {name.lower() for name, _ in pairs}
        if len(names) < len(pairs):
            raise malformed("The body", "gives a name twice")
        return dict(pairs)

    try:
        msgspec.json.decode(body)  # it is the stricter one where JSON itself is concerned
        values = json.loads(body, object_pairs_hook=unique)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if _has_lone_surrogate(body):
            raise Refusal("RB003", "a text holds a lone surrogate") from error
        raise Refusal("RB001", "The body is not valid JSON") from error
    if not isinstance(values, dict):
        raise Refusal("RB001", "The body is not a JSON object")
    return values


def _has_lone_surrogate(body: bytes) -> bool:
    r"""Whether the body is JSON but for a \ud800-like escape that stands alone."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def decode_query(
    endpoint: Endpoint, query: Mapping[str, list[str]]
) -> tuple[Takes, tuple[str, ...]]:
    """Decode a query or the texts of a form; give them and the names of unknown ones, ignored.

    Lists are repeated or separated by commas. RB003 for anything else that is given twice: which
    of the values counts would be anybody's guess.
    """
    values: dict[str, Any] = {}
    known = endpoint.takes.__struct_encode_fields__
    ignored = tuple(
        name for name in query if name not in known and name not in {ON_BEHALF_OF, MEMBERSHIP}
    )
    for name in known:
        given = query.get(name)
        if given is None or (given == [""] and name in _ABSENT_WHEN_BLANK):
            continue
        if name in _list_fields(endpoint.takes):
            values[name] = [part for text in given for part in text.split(",") if part]
        elif len(given) > 1:
            raise malformed(name, "is given twice")
        else:
            values[name] = given[0]
    return convert(endpoint.takes, values, strict=False), ignored


_lists: dict[type, frozenset[str]] = {}


def _list_fields(takes: type[Takes]) -> frozenset[str]:
    known = _lists.get(takes)
    if known is None:
        info = msgspec.inspect.type_info(takes)
        assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - it is a Struct
        known = frozenset(row.encode_name for row in info.fields if _is_list(row.type))
        _lists[takes] = known
    return known


def _is_list(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_is_list(one) for one in kind.types)
    return isinstance(kind, msgspec.inspect.ListType)


def convert(takes: type[Takes], values: Mapping[str, Any], *, strict: bool = True) -> Takes:
    """Turn plain values into the type, or refuse with the field that is wrong."""
    try:
        return msgspec.convert(values, takes, strict=strict)
    except msgspec.ValidationError as error:
        raise explained(error) from error


def explained(error: msgspec.ValidationError) -> Refusal:
    """Turn a validation error into RB002 or RB003 with the field it is about."""
    message = str(error)
    place = _PLACE.search(message)
    absent = _MISSING.search(message)
    path = place[1] if place else ""
    if absent and not path:
        return missing(absent[1])
    pointer = _pointer(path + (f".{absent[1]}" if absent else ""))
    why = "is required" if absent else _in_words(_PLACE.sub("", message))
    code = "RB002" if absent else "RB003"
    return Refusal(
        code, f"{pointer.lstrip('/') or 'The body'} {why}", fields=[FieldError(pointer, why)]
    )


def _in_words(message: str) -> str:
    """Say what must be in the words of the documentation instead of the decoder's."""
    got = _GOT.match(message)
    if got:
        wanted = " or ".join(_WORDS.get(name, name) for name in got[1].split(" | "))
        return f"must be {wanted}, not {_WORDS.get(got[2], got[2])}"
    words = re.sub(r"`([a-z]+)`", lambda name: _WORDS.get(name[1], name[0]), message)
    words = re.sub("^Invalid enum value ", "cannot be ", words)
    return re.sub("^Expected ", "must be ", words)


def _pointer(path: str) -> str:
    """Turn msgspec's path (.field[0].other) into a JSON pointer."""
    parts = re.findall(r"\.([^.\[]+)|\[([^\]]*)\]", path)
    return "".join(pointer_to(name or index) for name, index in parts)


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Split a query string; RB003 when it is no UTF-8 or has too many parameters."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=1000, errors="strict"
        )
    except ValueError as error:
        raise Refusal("RB003", "The query string is malformed") from error
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in value:  # nothing that is stored holds one, and PostgreSQL takes none
            raise malformed(name, "holds a NUL character")
        query.setdefault(name, []).append(value)
    return query
