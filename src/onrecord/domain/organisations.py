"""Organisations: how one is made, its state and its settings."""

import re
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from onrecord.domain import groups, keys, members
from onrecord.model import text, times
from onrecord.model.access import BUTLER, INSTALLATION_ID, SYSTEM_ADMIN, operator
from onrecord.model.errors import Refusal, malformed
from onrecord.store import access
from onrecord.store.access import Entity
from onrecord.store.work import Work

DEFAULT_GROUP_NAME: Final = "Default Client Team"
STATES: Final = ("active", "inactive", "frozen")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrganisation:
    """What an organisation is made of."""

    name: str
    admin_email: str
    admin_first_name: str = "System"
    admin_last_name: str = "Administrator"
    admin_username: str | None = None
    admin_password: str | None = None


@dataclass(frozen=True, slots=True)
class Founded:
    """An organisation as made, with its first system administrator."""

    entity_id: int
    entity_uuid: str
    entity_user_xref_uuid: str
    admin_state: str


async def create(work: Work, new: NewOrganisation, host: str) -> Founded:
    """Make an organisation with its Butler, default group and first system administrator.

    The administrator is active at once when a user name and a password are given. `host` is the
    name in the origin line of the organisation's checkpoints and never changes.
    """
    text.check("name", new.name, least=1, most=text.NAME_MAX)
    email = text.check_email("admin_email", new.admin_email)
    if (new.admin_username is None) != (new.admin_password is None):
        raise Refusal("RB002", "admin_username and admin_password go together")
    entity_uuid = str(uuid.uuid4())
    origin = f"{host}/{entity_uuid}"
    entity_id = await access.add_entity(work.db, entity_uuid, new.name, origin, times.now())
    # A record begins with its organisation; the installation's own says that it was made.
    work.record("entity.created", ids={"organisation_uuid": entity_uuid}, parts={"name": new.name})
    inside = Work(work.db, operator(entity_id, entity_uuid), work.origin, work.heads, work.pending)
    inside.record(
        "entity.created", ids={"organisation_uuid": entity_uuid}, parts={"name": new.name}
    )
    await members.add(inside, profile=BUTLER, first_name="Butler", last_name="", state="active")
    admin = await members.add(
        inside,
        profile=SYSTEM_ADMIN,
        first_name=text.check("admin_first_name", new.admin_first_name, least=1, most=500),
        last_name=text.check("admin_last_name", new.admin_last_name, least=0, most=500),
        email=email,
    )
    group = await groups.add_group(inside, DEFAULT_GROUP_NAME, is_default=True)
    await groups.put_into_group(inside, group, admin)
    if new.admin_username is not None and new.admin_password is not None:
        await members.activate(inside, admin.uuid, new.admin_username, new.admin_password)
    state = "pending" if new.admin_username is None else "active"
    return Founded(entity_id, entity_uuid, admin.uuid, state)


async def pick(work: Work, entity_uuid: str) -> Entity:
    """Give the organisation of a UUID (RB003, RN007)."""
    entity = await access.entity_of(work.db, text.check_uuid("org", entity_uuid))
    if entity is None:
        raise Refusal("RN007")
    return entity


async def _own(work: Work) -> Entity:
    """Give the actor's organisation; the installation is none (RN007)."""
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is None or entity.id == INSTALLATION_ID:
        raise Refusal("RN007")
    return entity


async def set_state(work: Work, state: str) -> None:
    """Set the state of the actor's organisation; the same state again changes nothing.

    RB019 when an inactive organisation is to be frozen: activate it first.
    """
    entity = await _own(work)
    if entity.state == state:
        return
    if "active" not in {entity.state, state}:
        raise Refusal("RB019", f"The organisation is {entity.state}; make it active first")
    await access.set_entity_state(work.db, entity.id, state)
    work.record("entity.state_changed", data={"state": state})


# -- settings ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting of an organisation: its default, what it may be, and a sentence about it."""

    name: str
    default: Any
    check: Callable[[str, Any], Any]
    meaning: str


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
        return None if value in {None, "", "none"} else number(name, value)

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
        return [item(name, part) for part in value]

    return check


def _web_origin(name: str, value: str) -> str:
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", value.lower()):
        raise malformed(name, "must hold origins such as https://crm.example.com")
    return value.lower()


def _file_type(name: str, value: str) -> str:
    if not re.fullmatch(r"\.?[a-z0-9]{1,12}", value.lower()):
        raise malformed(name, "must hold file endings such as pdf")
    return value.lower().lstrip(".")


def _timezone(name: str, value: Any) -> str:
    if value not in zoneinfo.available_timezones():
        raise malformed(name, "must be a time zone such as Europe/London")
    return str(value)


_INVITATION: Final = _choice(*members.INVITATION_TYPES)

ON: Final = True
OFF: Final = False

SETTINGS: Final[Mapping[str, SettingRow]] = {
    row.name: row
    for row in (
        SettingRow("allow_user_api_keys", OFF, _flag, "Whether staff may own keys of their own."),
        SettingRow(
            "staff_invitation_type", "email_only", _INVITATION, "What inviting staff needs."
        ),
        SettingRow(
            "client_invitation_type", "email_only", _INVITATION, "What inviting clients needs."
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
            "How many exports a data reviewer of level 1 or 2 may make; none: no cap.",
        ),
        SettingRow("butler_welcome_text", "", _words(text.TEXT_MAX), "What the Butler says first."),
        SettingRow("banner", "", _words(text.TEXT_MAX), "A line shown to everybody."),
        SettingRow("terms", "", _words(100_000), "The organisation's terms."),
        SettingRow("colours", "", _words(1000), "The organisation's colours."),
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
        SettingRow("locale", "en-GB", _words(35), "The language of mails and transcripts."),
    )
}


async def set_setting(work: Work, key: str, value: Any) -> Any:
    """Give a setting of the actor's organisation a value (RB003: unknown, or not a value for it).

    The value stands in an erasable part of the entry: texts of an organisation may name people.
    """
    row = SETTINGS.get(key)
    if row is None:
        raise malformed("key", f"is no setting; settings are {', '.join(SETTINGS)}")
    value = row.check(key, value)
    entity = await _own(work)
    if entity.settings.get(key, row.default) == value:
        return value
    await access.set_entity_settings(work.db, entity.id, {**entity.settings, key: value})
    work.record("setting.changed", data={"key": key}, parts={"setting": value})
    if key == "allow_user_api_keys" and not value:
        # Allowing them again makes room for new ones and revives none (product.md, section 6).
        await keys.deactivate_user_keys(work)
    return value
