"""Organisations: how one is made, its state and its settings."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from onrecord.domain import groups, invitations, keys, members, organisation_settings, terms
from onrecord.domain.organisation_settings import SETTINGS
from onrecord.model import text, times
from onrecord.model.access import BUTLER, INSTALLATION_ID, SYSTEM_ADMIN, operator
from onrecord.model.errors import FieldError, Refusal, malformed
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
    admin_password_hash: str | None = None
    """What the password was hashed to before the work began, if it was."""


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
    inside = Work(
        work.db,
        operator(entity_id, entity_uuid),
        work.origin,
        work.heads,
        work.pending,
        wake=work.wake,
    )
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
        await members.activate(
            inside,
            admin.uuid,
            new.admin_username,
            new.admin_password,
            hashed=new.admin_password_hash,
        )
    else:
        await invitations.invite(inside, admin)
    state = "pending" if new.admin_username is None else "active"
    return Founded(entity_id, entity_uuid, admin.uuid, state)


async def pick(work: Work, entity_uuid: str) -> Entity:
    """Give the organisation of a UUID (RB003, RN007)."""
    entity = await access.entity_of(work.db, text.check_uuid("org", entity_uuid))
    if entity is None:
        raise Refusal("RN007")
    return entity


async def own(work: Work) -> Entity:
    """Give the actor's organisation; the installation is none (RN007)."""
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is None or entity.id == INSTALLATION_ID:
        raise Refusal("RN007")
    return entity


async def set_state(work: Work, state: str) -> None:
    """Set the state of the actor's organisation; the same state again changes nothing.

    RB019 when an inactive organisation is to be frozen: activate it first.
    """
    entity = await own(work)
    if entity.state == state:
        return
    if "active" not in {entity.state, state}:
        raise Refusal("RB019", f"The organisation is {entity.state}; make it active first")
    await access.set_entity_state(work.db, entity.id, state)
    work.record("entity.state_changed", data={"state": state})


# -- name and settings ---------------------------------------------------------------------------


async def set_setting(work: Work, key: str, value: Any) -> Any:
    """Give a setting of the actor's organisation a value; RB003: unknown, or no value for it."""
    if key not in SETTINGS:
        raise malformed("key", f"is no setting; settings are {', '.join(SETTINGS)}")
    await update(work, {key: value})
    return SETTINGS[key].check(key, value)


async def update(work: Work, new: Mapping[str, Any], name: str | None = None) -> None:
    """Give the actor's organisation another name and settings other values, all or none of them.

    RB003 names every field that is wrong. What is the same already changes nothing. Values stand
    in erasable parts of the entries: texts of an organisation may name people.
    """
    entity = await own(work)
    new = _checked(new, name)  # a copy
    if name is not None and name != entity.name:
        await access.set_entity_name(work.db, entity.id, name)
        work.record("entity.updated", parts={"name": name})
    if "terms" in new:  # they are versions that people accept, not a value that is replaced
        await terms.publish(work, new.pop("terms"))
    now = await organisation_settings.values(work, entity)
    changed = {
        key: value
        for key, value in new.items()
        if value != now[key] or (SETTINGS[key].where_texts and key not in entity.settings)
    }
    if not changed:
        return
    await access.set_entity_settings(work.db, entity.id, {**entity.settings, **changed})
    for key, value in changed.items():
        work.record("setting.changed", data={"key": key}, parts={"setting": value})
    if changed.get("allow_user_api_keys", True) is False:
        # Allowing them again makes room for new ones and revives none (product.md, section 6).
        await keys.deactivate_user_keys(work)


def _checked(new: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """Give the values as they are stored, or RB003 for all that are wrong at once."""
    checked: dict[str, Any] = {}
    wrong: list[FieldError] = []
    try:
        if name is not None:
            text.check("name", name, least=1, most=text.NAME_MAX)
    except Refusal as refusal:
        wrong += refusal.fields
    for key, value in new.items():
        try:
            checked[key] = SETTINGS[key].check(key, value)
        except Refusal as refusal:
            wrong += refusal.fields
    if wrong:
        first = wrong[0]
        raise Refusal("RB003", f"{first.pointer.lstrip('/')} {first.detail}", fields=wrong)
    return checked


async def shown(work: Work, entity: Entity) -> dict[str, Any]:
    """Give an organisation as the wire shows it: what it is, and its settings by name."""
    return {
        "entity_uuid": entity.uuid,
        "name": entity.name,
        "state": entity.state,
        "created_at": times.wire(entity.created_at),
        **await organisation_settings.values(work, entity),
    }
