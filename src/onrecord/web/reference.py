"""The reference pages, made from the tables: endpoints, errors, permissions, settings, entries.

They are written twice, as Markdown into docs/reference and as HTML for /docs, and nobody writes
in them by hand.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final

import msgspec

from onrecord.domain import organisation_settings
from onrecord.model.access import PERMISSIONS, Kind
from onrecord.model.errors import CATALOGUE
from onrecord.model.record import PARTS, RETENTION, TYPES
from onrecord.settings import Settings
from onrecord.web import fields as texts
from onrecord.web import rules
from onrecord.web.advice import ADVICE
from onrecord.web.credentials import SESSION_COOKIE
from onrecord.web.endpoint import Endpoint, Nothing
from onrecord.web.openapi import TAGS, about, about_file, calls_of
from onrecord.web.pages import Page, Section, Table, markdown

KINDS: Final[dict[Kind, tuple[str, str]]] = {
    Kind.SYSTEM: ("`X-SYS-API-KEY`", "The organisation it belongs to."),
    Kind.SUPER: (
        "`X-SYS-API-KEY`",
        "Any organisation of the installation, named in `on-behalf-of-entity-uuid`.",
    ),
    Kind.MASTER_USER: (
        "`X-MASTER-USER-API-KEY`",
        "Any member of its organisation, named in `on-behalf-of`.",
    ),
    Kind.USER: ("`X-USER-API-KEY`", "The member of staff who owns it."),
}
"""Keys: the header of the id (that of the secret ends in -SECRET), and for whom they act."""

KEY_HEADERS: Final = Table(
    ("kind", "headers", "acts for"),
    tuple(
        (kind.value, (f"`{kind.value}`", f"{header}, {header[:-1]}-SECRET`", acts))
        for kind, (header, acts) in KINDS.items()
    ),
)
IN_PERSON: Final = Table(
    ("kind", "headers", "acts for"),
    (
        (
            "session",
            (
                "`session`",
                f"the cookie `{SESSION_COOKIE}`; with a POST `X-CSRF-Token` as well",
                "A person; in an organisation as the member that `X-Entity-User-Xref-Uuid` names.",
            ),
        ),
        (
            "sdk",
            (
                "`sdk`",
                "`Authorization: Bearer` with the token",
                "The member whom a token of the embedded app was made for.",
            ),
        ),
    ),
)
"""Persons: no permission binds them, their role does."""


def pages(rows: Sequence[Endpoint]) -> tuple[Page, ...]:
    """Give every page, in the order in which they are offered."""
    calls = calls_of(rows)
    return (
        _endpoints(calls),
        rules.PAGE,
        _errors(calls),
        _permissions(calls),
        _settings(),
        _entry_types(calls),
    )


# -- endpoints -----------------------------------------------------------------------------------


def _endpoints(calls: Sequence[Endpoint]) -> Page:
    sections = []
    for tag, sentence in TAGS.items():
        tagged = [row for row in calls if row.tags[0] == tag]
        if not tagged:
            continue
        overview = Table(
            ("call", "what it does"), tuple(("", (link(row), row.summary)) for row in tagged)
        )
        sections.append(Section(tag, (sentence,), overview))
        sections += [_endpoint(row) for row in tagged]
    sections += _objects(calls)
    intro = (
        (
            "Every call of the server. The same facts, for programs, are in `/openapi.json`; to"
            " try a call in the browser open `/docs/api` on a running server."
        ),
        (
            "Bodies are JSON objects of at most 1 MiB (`Content-Type: application/json`), or forms"
            " (`multipart/form-data`) where a file goes in. Fields"
            " that a call does not know are ignored and named in the header `Ignored-Fields`."
            " Lists in a query are repeated or separated by commas. Times are RFC 3339 in UTC, ids"
            " are UUIDs. A refusal is `application/problem+json` with an `error_code`, explained"
            " in [errors](errors)."
        ),
    )
    return Page("endpoints", "Endpoints", intro, tuple(sections))


def _endpoint(row: Endpoint) -> Section:
    needs, *more = about(row)
    if row.twin_of:  # what goes in and out stands with the call it is the twin of
        return Section(_name(row), (f"{row.summary}. {needs}", *more), level=3)
    if row.gives is None:
        answer = f"Answers with `{row.produces}`."
    else:
        names = " or ".join(_type_name(one) for one in row.answers)
        answer = f"Answers with {names}."
    if row.also_produces:
        kinds = " or ".join(f"`{kind}`" for kind in row.also_produces)
        answer = f"{answer[:-1]}, or with {kinds} where it is asked for."
    fields = None if row.takes is Nothing else _fields_of(row)
    return Section(_name(row), (f"{row.summary}. {needs}", answer, *more), fields, level=3)


def _objects(calls: Sequence[Endpoint]) -> list[Section]:
    """Describe the objects of answers, and those within bodies."""
    types = [one for row in calls for one in row.answers]
    types += [row.takes for row in calls if row.takes is not Nothing]
    _, components = texts.described(types, "{name}")
    taken = {row.takes.__name__ for row in calls}
    sections = [Section("Objects", ("What answers are made of, in the order of the alphabet.",))]
    for name in sorted(components.keys() - taken):
        shape = components[name]
        about_it = " ".join(shape.get("description", "").split())
        rows = [
            ("", (f"`{field}`", _words(one), one.get("description", "")))
            for field, one in shape.get("properties", {}).items()
        ]
        table = Table(("field", "what", "meaning"), tuple(rows)) if rows else None
        sections.append(Section(f"Object {name}", (about_it,) if about_it else (), table, level=3))
    return sections


def _fields_of(row: Endpoint) -> Table:
    """Describe what goes in, from the type that decodes it, and the files of a form."""
    _, components = texts.described([row.takes], "{name}")
    schema = components[row.takes.__name__]
    needed = schema.get("required", [])
    described = []
    for name, shape in schema["properties"].items():
        default = shape.get("default")
        notes = ["*required*"] if name in needed else []
        if default not in {None, ""} if not isinstance(default, (list, dict)) else default:
            notes.append(f"default `{_spelt(default)}`")
        first = f"{'; '.join(notes)}. " if notes else ""
        described.append(("", (f"`{name}`", _words(shape), first + shape.get("description", ""))))
    described += [
        ("", (f"`{name}`", "file", f"*required*. {about_file(row)}")) for name in row.files
    ]
    where = "body" if row.method == "POST" else "query"
    where = "form" if row.files else where
    return Table((f"in the {where}", "what", "notes"), tuple(described))


_PLAIN: Final = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "object",
    "string": "text",
}


def _words(shape: dict[str, Any]) -> str:
    """Say in words what a JSON schema allows."""
    if "anyOf" in shape:
        words = " or ".join(_words(one) for one in shape["anyOf"] if one != {"type": "null"})
        return f"{words}, or null" if {"type": "null"} in shape["anyOf"] else words
    if "$ref" in shape:
        return _object_link(shape["$ref"])
    if "enum" in shape:
        return " or ".join(f"`{_spelt(one)}`" for one in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_words(shape.get('items', {}))}"
    if shape.get("format") == "uuid":
        return "uuid"
    name = _PLAIN.get(shape.get("type", ""), "anything")
    return (
        name
        + _bounds(shape, "minLength", "maxLength", " characters")
        + _bounds(shape, "minimum", "maximum", "")
    )


def _bounds(shape: dict[str, Any], least: str, most: str, unit: str) -> str:
    low, high = shape.get(least), shape.get(most)
    if high == 2**53 - 1:
        high = None
    if low is not None and high is not None:
        return f", {low:,} to {high:,}{unit}"
    if high is not None:
        return f", at most {high:,}{unit}"
    return f", at least {low:,}{unit}" if low else ""


def _spelt(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _type_name(one: Any) -> str:
    if isinstance(one, type) and issubclass(one, msgspec.Struct):
        return _object_link(one.__name__)
    return f"`{getattr(one, '__name__', one)}`"


def _object_link(name: str) -> str:
    return f"[{name}](endpoints#object-{name.lower()})"


def _name(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


def link(row: Endpoint) -> str:
    """Link to the section of a call."""
    return f"[{_name(row)}](endpoints#{Section(_name(row)).anchor})"


def short_link(row: Endpoint) -> str:
    """Link to the section of a call by the end of its path, for narrow places."""
    path = re.sub(r"^/(entity|chat)-service/", "", row.path)
    return f"[{row.method} {path}](endpoints#{Section(_name(row)).anchor})"


LATER: Final = "none yet: of a later version"
"""What stands where no call of this version uses a code or a permission."""


# -- errors --------------------------------------------------------------------------------------

_CLASSES: Final = {
    "RB": ("The request", "What was sent cannot be taken as it is. Change it before trying again."),
    "RU": ("The credential", "Who calls is not known, or not from here, or too often."),
    "RF": ("What is not allowed", "The credential is known, but this is not for it."),
    "RN": ("What is not there", "It does not exist, or the caller may not know of it."),
    "RX": ("The server", "Not the caller's fault. The same request may be sent again."),
}


def _errors(calls: Sequence[Endpoint]) -> Page:
    sections = []
    for prefix, (title, sentence) in _CLASSES.items():
        rows = [
            (code, (f"`{code}`", str(row.status), f"*{row.title}.* {ADVICE[code]}",
                    _answered_by(code, calls)))
            for code, row in CATALOGUE.items()
            if code.startswith(prefix)
        ]  # fmt: skip
        head = ("code", "status", "what it means, and what to do", "answered by")
        sections.append(Section(title, (sentence,), Table(head, tuple(rows), "errors")))
    intro = (
        (
            "Every refusal is `application/problem+json` (RFC 9457): `type` leads to this page,"
            " `title` never changes, `detail` says what was wrong this time, `instance` is the id"
            " of the request, `error_code` is the code below, and `errors` names fields by JSON"
            " pointer."
        ),
        (
            "Refusals are looked for in one order, and the first one is told: path and method,"
            " headers, key and secret, address, state of the organisation, kind of key, acting"
            " member, permission, body, rules. A path that exists, asked with another method, is a"
            " 405 with `Allow` and the code RN005."
        ),
        (
            "Calls of [administrators](endpoints#administration) answer what the calls do whose"
            " twins they are; here they are named only where they answer more."
        ),
    )
    return Page("errors", "Errors", intro, tuple(sections))


_GROUPS: Final[tuple[tuple[str, Callable[[Endpoint], bool]], ...]] = (
    ("every call", lambda _: True),
    ("every call that takes a key", lambda row: bool(row.kinds)),
    ("every call with a body", lambda row: row.method == "POST"),
    ("every call with a query", lambda row: row.method == "GET" and row.takes is not Nothing),
    ("every call for which a member acts", lambda row: row.acting != "none"),
    ("every call of [administrators](endpoints#administration)", lambda row: bool(row.roles)),
)


def _answered_by(code: str, calls: Sequence[Endpoint]) -> str:
    """Name the calls that may answer with a code, by the largest groups that fit."""
    originals = {(row.method, row.path): row for row in calls}

    def is_told_there(row: Endpoint) -> bool:
        original = originals.get((row.method, row.twin_of))
        return original is not None and code in original.codes

    left = [row for row in calls if code in row.codes and not is_told_there(row)]
    told = []
    for words, is_in in _GROUPS:
        group = [row for row in calls if is_in(row)]
        if group and all(code in row.codes for row in group) and any(map(is_in, left)):
            told.append(words)
            left = [row for row in left if not is_in(row)]
    told += [short_link(row) for row in left]
    return ", ".join(told) or LATER


# -- permissions ---------------------------------------------------------------------------------


def _permissions(calls: Sequence[Endpoint]) -> Page:
    rows = []
    for name, row in PERMISSIONS.items():
        allowed = ", ".join(kind for kind in KINDS if kind in row.kinds)
        uses = ", ".join(short_link(call) for call in calls if name in call.permissions)
        error = f"[{row.refusal}](errors#{row.refusal})"
        rows.append((name, (f"`{name}`", row.label, allowed, error, uses or LATER)))
    return Page(
        "permissions",
        "Permissions",
        (
            ("A call is made with a key. The key's kind says for whom it acts, its permissions say"
            " what it may do, its CIDR blocks from where. What a key is, and what a call would be"
            " answered, is told by `whoami` of either API."),
        ),
        (
            Section(
                "Kinds of key",
                ("A key's id and its secret travel in two headers.",),
                KEY_HEADERS,
            ),
            Section(
                "Persons",
                (
                    ("Permissions are of keys; what a person may do follows from the role. A"
                    " session ends thirty days after signing in, and after seven days without use;"
                    " an SDK token when its time is over."),
                ),
                IN_PERSON,
            ),
            Section(
                "What a key may do",
                (),
                Table(
                    ("permission", "on the screen", "kinds that may hold it", "without it",
                     "needed by"),
                    tuple(rows),
                    "permissions",
                ),
            ),
        ),
    )  # fmt: skip


# -- settings ------------------------------------------------------------------------------------


def _settings() -> Page:
    installation = [
        (row.name, (f"`{row.name}`", f"`ONRECORD_{row.name.upper()}`", _default(row.name),
                    row.metadata["meaning"]))
        for row in fields(Settings)
    ]  # fmt: skip
    organisation = [
        (f"org-{row.name}", (f"`{row.name}`", _shown(row.default), row.meaning))
        for row in organisation_settings.SETTINGS.values()
    ]
    return Page(
        "settings",
        "Settings",
        ("What can be set, what it is when nobody has set it, and what it means.",),
        (
            Section(
                "Of the installation",
                (
                    (
                        "Read at the start from `onrecord.toml` in the data directory (names as in"
                        " the first column), then from the environment, then from flags; the later"
                        " one wins."
                    ),
                ),
                Table(("name", "environment", "default", "meaning"), tuple(installation)),
            ),
            Section(
                "Of an organisation",
                (
                    (
                        "Set with `onrecord org set --org UUID NAME VALUE`. Each change is an"
                        " entry of the record ([setting.changed](entry-types#setting.changed))."
                    ),
                ),
                Table(("name", "default", "meaning"), tuple(organisation)),
            ),
        ),
    )


def _default(name: str) -> str:
    default = next(row.default for row in fields(Settings) if row.name == name)
    assert default is not MISSING  # noqa: S101 - every setting has a default
    if name == "rate_limit":
        default = "/".join(map(str, default))
    return _shown(default)


def _shown(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(f"`{one}`" for one in value) or "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value or value == 0 else "none"


# -- entry types ---------------------------------------------------------------------------------


def _entry_types(calls: Sequence[Endpoint]) -> Page:
    rows = []
    for name, row in TYPES.items():
        writers = ", ".join(link(call) for call in calls if name in call.writes)
        ids = (["chat_uuid"] if row.in_chat else []) + sorted(row.ids)
        rows.append(
            (
                name,
                (
                    f"`{name}`",
                    row.meaning + (" *Changes access.*" if row.changes_access else ""),
                    _listed(ids),
                    _listed(sorted(row.data)),
                    _listed(sorted(row.parts)),
                    writers or "no call; the command line or the server itself",
                ),
            )
        )
    head = ("entry", "when", "ids", "data", "parts", "calls")
    parts = [(f"part-{name}", (f"`{name}`", kept, RETENTION[kept])) for name, kept in PARTS.items()]
    return Page(
        "entry-types",
        "Entry types",
        (
            (
                "Every kind of entry that a record may hold. What the record is for, and how it is"
                " checked, is told in *The record* (`docs/record.md`)."
            ),
            (
                "*Ids* say whom and what an entry concerns, *data* stands in the entry for good,"
                " and *parts* lie beside it with a hash in the entry, so that each can be erased"
                " alone. Entries of a chat carry `chat_uuid`; messages carry `seq` as well. Where"
                " an entry *changes access*, every verdict on a key that was reached before it is"
                " reached anew."
            ),
        ),
        (
            Section("Entries", (), Table(head, tuple(rows))),
            Section(
                "Parts",
                ("A part's class says which rule of retention it will fall under.",),
                Table(("part", "class", "what the class holds"), tuple(parts)),
            ),
        ),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def write(rows: Sequence[Endpoint], folder: Path) -> list[Path]:
    """Write every page into a folder as Markdown, and say which files these are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in pages(rows):
        written.append(folder / f"{page.name}.md")
        written[-1].write_text(markdown(page), "utf-8")
    return written
