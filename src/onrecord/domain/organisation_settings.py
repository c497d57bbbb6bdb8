"""The settings of an organisation: what each may be, what it is unless set, and what it means."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from onrecord.domain import zones
from onrecord.model import text
from onrecord.model.errors import malformed
from onrecord.store import access, record, terms
from onrecord.store.access import Entity
from onrecord.store.work import Work

LIST_MOST: Final = 200
"""How many things a setting that is a list may hold."""
COLOURS_MOST: Final = 20
TEXTS: Final = "texts"
"""The fact about the installation that says whether texts can be sent: 1, or nothing."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting of an organisation: its default, what it may be, and a sentence about it."""

    name: str
    default: Any
    check: Callable[[str, Any], Any]
    meaning: str
    where_texts: Any = None
    """The default of an installation that can send texts, where that is another one."""


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise malformed(name, "must be true or false")
    return value


def _number(least: int, most: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise malformed(name, f"must be a whole number from {least} to {most}")
        return value

    return check


def _number_or_none(least: int, most: int) -> Callable[[str, Any], int | None]:
    number = _number(least, most)

    def check(name: str, value: Any) -> int | None:
        return None if value is None or value in ("", "none") else number(name, value)

    return check


def _choice(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise malformed(name, f"must be one of {', '.join(choices)}")
        return str(value)

    return check


def _words(most: int) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise malformed(name, "must be text")
        return text.check(name, value, least=0, most=most)

    return check


def _list(item: Callable[[str, str], str]) -> Callable[[str, Any], list[str]]:
    def check(name: str, value: Any) -> list[str]:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise malformed(name, "must be a list of texts")
        if len(value) > LIST_MOST:
            raise malformed(name, f"must not hold more than {LIST_MOST}")
        return list(dict.fromkeys(item(name, part) for part in value))

    return check


PORT_MOST: Final = 65_535
DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_ORIGIN: Final = re.compile(
    r"(https?)://([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"
)


def _web_origin(name: str, value: str) -> str:
    """Give an origin as browsers send it: in lower case, and without the port of its scheme."""
    found = _ORIGIN.fullmatch(value.lower())
    port = int(found[3]) if found and found[3] else None
    if found is None or (port is not None and not 1 <= port <= PORT_MOST):
        raise malformed(name, "must hold origins such as https://crm.example.com")
    origin = f"{found[1]}://{found[2]}"
    return origin if port in {None, DEFAULT_PORTS[found[1]]} else f"{origin}:{port}"


def _file_type(name: str, value: str) -> str:
    if not re.fullmatch(r"\.?[a-z0-9]{1,12}", value.lower()):
        raise malformed(name, "must hold file endings such as pdf")
    return value.lower().lstrip(".")


def _timezone(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in zones.names():
        raise malformed(name, "must be a time zone such as Europe/London")
    return str(value)


INVITATION_TYPES: Final = ("email_only", "email_and_phone", "optional_phone")
_INVITATION: Final = _choice(*INVITATION_TYPES)


def _locale(name: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(
        "[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", value
    ):
        raise malformed(name, "must be a language such as en-GB")
    return value


def _colours(name: str, value: Any) -> dict[str, str]:
    """Take colours by name; the command line gives them as JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict) or len(value) > COLOURS_MOST:
        raise malformed(name, f"must be an object of at most {COLOURS_MOST} colours")
    for key, colour in value.items():
        if not re.fullmatch("[a-z][a-z_]{0,29}", key):
            raise malformed(name, "must hold names such as primary")
        if not isinstance(colour, str) or not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            raise malformed(name, "must hold colours such as #0a5c36")
    return {key: colour.lower() for key, colour in value.items()}


ON: Final = True
OFF: Final = False

SETTINGS: Final[Mapping[str, SettingRow]] = {
    row.name: row
    for row in (
        SettingRow("allow_user_api_keys", OFF, _flag, "Whether staff may own keys of their own."),
        SettingRow(
            "staff_invitation_type",
            "email_only",
            _INVITATION,
            "What inviting staff needs; email_and_phone unless set, where texts can be sent.",
            where_texts="email_and_phone",
        ),
        SettingRow(
            "client_invitation_type",
            "email_only",
            _INVITATION,
            "What inviting clients needs; optional_phone unless set, where texts can be sent.",
            where_texts="optional_phone",
        ),
        SettingRow(
            "clients_may_add_participants",
            OFF,
            _flag,
            "Whether clients may add their own contacts to chats.",
        ),
        SettingRow("sdk_enabled", ON, _flag, "Whether the embedded app may be used."),
        SettingRow(
            "sdk_allowed_origins",
            [],
            _list(_web_origin),
            "The origins of pages that may embed the app.",
        ),
        SettingRow("sdk_token_seconds", 3600, _number(60, 86_400), "How long an SDK token lives."),
        SettingRow(
            "reviewer_export_cap",
            None,
            _number_or_none(0, 1_000_000),
            "How many exports a data reviewer of level 1 or 2 may make in 24 hours; none: no cap.",
        ),
        SettingRow("butler_welcome_text", "", _words(text.TEXT_MAX), "What the Butler says first."),
        SettingRow("banner", "", _words(text.TEXT_MAX), "A line shown to everybody."),
        SettingRow("terms", "", _words(100_000), "The organisation's terms."),
        SettingRow(
            "colours",
            {},
            _colours,
            'The organisation\'s colours by name, such as {"primary": "#0a5c36"}.',
        ),
        SettingRow(
            "attachment_types", [], _list(_file_type), "Endings of files allowed; empty: ours."
        ),
        SettingRow(
            "attachment_max_bytes",
            100 * 1024 * 1024,
            _number(1, 2**40),
            "The largest attachment, in bytes.",
        ),
        SettingRow("timezone", "UTC", _timezone, "The time zone of transcripts."),
        SettingRow("locale", "en-GB", _locale, "The language of mails and transcripts."),
    )
}


async def value(work: Work, key: str) -> Any:
    """Give the value that a setting of the actor's organisation has now, set or not."""
    row = SETTINGS[key]
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is not None and key in entity.settings:
        return entity.settings[key]
    if row.where_texts is not None and await record.meta(work.db, TEXTS):
        return row.where_texts
    return row.default


async def values(work: Work, entity: Entity) -> dict[str, Any]:
    """Give the values of all settings of an organisation, with defaults where none is set."""
    texts = bool(await record.meta(work.db, TEXTS))
    newest = await terms.newest(work.db, entity.id)
    unset = {
        name: row.where_texts if texts and row.where_texts else row.default
        for name, row in SETTINGS.items()
    }
    found = {name: entity.settings.get(name, default) for name, default in unset.items()}
    return {**found, "terms": newest[1] if newest else ""}


async def note_texts(work: Work, *, sent: bool) -> None:
    """Note whether this installation can send texts, as a server finds at its start.

    It is no setting of its own: commands know nothing of what the server was started with.
    """
    if bool(await record.meta(work.db, TEXTS)) != sent:
        await record.set_meta(work.db, TEXTS, "1" if sent else "")
