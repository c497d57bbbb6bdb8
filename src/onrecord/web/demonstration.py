"""The example firm of `onrecord demo`: people, chats and keys, and lines to paste."""

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import click

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import chats, keys, members, messages, organisations
from onrecord.model.access import CLIENT, INSTALLATION_ID, STAFF, Actor, Judged, Kind, Origin
from onrecord.model.people import Member
from onrecord.store import access, record
from onrecord.store.db import Caller, Session
from onrecord.store.work import Work

FIRM: Final = "Hartley & Rowe Advisers"
ADMIN: Final = ("Miriam", "Okafor", "miriam.okafor@example.com")
ADVISERS: Final = (
    ("Tomás", "Hartley", "tomas.hartley@example.com", "ADV-1"),
    ("Ingrid", "Rowe", "ingrid.rowe@example.com", "ADV-2"),
)
CLIENTS: Final = (
    ("Priya", "Nair", "priya.nair@example.net", "CL-1001"),
    ("George", "Lindqvist", "george.lindqvist@example.net", "CL-1002"),
)
TALK: Final = (
    (
        "Pension transfer",
        (
            (0, "Good morning Priya, the transfer value has arrived: **£182,400**."),
            (1, "Thank you! Is that more than in the spring?"),
            (0, "Yes, by about £3,100. I will send you the comparison this afternoon."),
        ),
    ),
    (
        "Annual review",
        (
            (0, "George, would Thursday at 10:00 suit you for the annual review?"),
            (1, "Thursday is fine. Could we also look at the ISA?"),
        ),
    ),
)
_ABOUT: Final = "demo.json"


async def furnish(app: App, address: str) -> None:
    """Make the firm if it is not there yet, give its keys new secrets, and print how to begin."""
    path = app.settings.data_dir / _ABOUT
    if path.exists():
        facts = json.loads(path.read_text("utf-8"))
    else:
        facts = await _found(app)
        path.write_text(json.dumps(facts), "utf-8")
    shown = {}
    for name, key in facts["keys"].items():

        async def rotate(work: Work, key: str = key) -> keys.NewKey:
            return await keys.rotate(work, key)

        shown[name] = await composition.acting(app, facts["entity_uuid"], rotate)
    for line in _lines(address, facts, shown):
        click.echo(line)


async def _found(app: App) -> dict[str, Any]:
    host = await composition.origin_host(app)
    firm = await composition.acting(app, None, lambda work: _firm(work, host))
    entity = firm.entity_uuid
    advisers = [await _person(app, entity, STAFF, *adviser, groups=()) for adviser in ADVISERS]
    group_uuids = await composition.acting(app, entity, lambda work: _team(work, advisers))
    clients = [
        await _person(app, entity, CLIENT, *client, groups=group_uuids) for client in CLIENTS
    ]
    chat_uuids = []
    for (title, talk), client, adviser in zip(TALK, clients, advisers, strict=True):
        chat_uuids.append(await _talk(app, entity, title, talk, [adviser, client]))
    made = {
        "system": await _key(app, entity, Kind.SYSTEM, "CRM synchronisation", _SYSTEM),
        "master": await _key(app, entity, Kind.MASTER_USER, "Reminders", _MASTER),
    }
    return {
        "entity_uuid": entity,
        "keys": made,
        "adviser": advisers[0].uuid,
        "group_uuid": group_uuids[0],
        "chat_uuid": chat_uuids[0],
    }


_SYSTEM: Final = ("can_export", "can_read_admin", "can_write_admin")
_MASTER: Final = ("can_export", "can_read_chat", "can_write_chat", "can_read_contacts")


async def _firm(work: Work, host: str) -> organisations.Founded:
    first_name, last_name, email = ADMIN
    new = organisations.NewOrganisation(
        name=FIRM,
        admin_email=email,
        admin_first_name=first_name,
        admin_last_name=last_name,
        admin_username="miriam.okafor",
        admin_password=secrets.token_urlsafe(16),
    )
    return await organisations.create(work, new, host)


async def _person(
    app: App,
    entity: str,
    profile: int,
    first_name: str,
    last_name: str,
    email: str,
    identifier: str,
    *,
    groups: tuple[str, ...],
) -> Member:
    new = members.NewMember(
        enum_profile_id=profile,
        first_name=first_name,
        last_name=last_name,
        primary_email=email,
        identifier=identifier,
        job_title="Adviser" if profile == STAFF else "",
        group_uuids=groups,
        send_invitation=False,
    )

    async def join(work: Work) -> Member:
        member, _ = await members.create(work, new)
        username = email.partition("@")[0]
        return await members.activate(work, member.uuid, username, secrets.token_urlsafe(16))

    return await composition.acting(app, entity, join)


async def _team(work: Work, advisers: list[Member]) -> tuple[str, ...]:
    group = await members.add_group(work, "Private clients")
    for adviser in advisers:
        await members.put_into_group(work, group, adviser)
    return (group.uuid,)


async def _talk(
    app: App, entity: str, title: str, talk: tuple[tuple[int, str], ...], who: list[Member]
) -> str:
    """Let two people talk, as if each had a session."""
    (speaker, opening), *rest = talk

    async def begin(work: Work) -> str:
        return await chats.create(
            work, uuids=[who[1].uuid], identifiers=None, title=title, first_text=opening
        )

    chat_uuid = await _by_hand(app, entity, who[speaker], begin)
    for speaker, text in rest:

        async def say(work: Work, text: str = text) -> str:
            await messages.send_text(work, chat_uuid, text)
            return chat_uuid

        await _by_hand(app, entity, who[speaker], say)
    return chat_uuid


async def _by_hand(
    app: App, entity: str, member: Member, run: Callable[[Work], Awaitable[str]]
) -> str:
    async def judge(session: Session) -> Actor:
        home = await access.entity_to_judge(session, entity)
        assert home is not None  # noqa: S101 - it was made just now
        _, _, installation = await record.head_of(session, INSTALLATION_ID)
        judged = Judged(home[1], installation)
        return Actor(Kind.SESSION, home[0].id, entity, member=member.ref, judged=judged)

    actor = await app.store.ask(judge)
    return await app.store.write(Caller(actor, Origin(keys.request_id()), judge), run)


async def _key(app: App, entity: str, kind: Kind, name: str, permissions: tuple[str, ...]) -> str:
    made = await composition.acting(
        app,
        entity,
        lambda work: keys.create(work, kind=kind, name=name, permissions=permissions),
    )
    return made.api_key


def _lines(address: str, facts: dict[str, Any], shown: dict[str, keys.NewKey]) -> list[str]:
    system, master = shown["system"], shown["master"]
    once = secrets.token_hex(4)
    entity_api = f"{address}/entity-service/sys-api"
    chat_api = f"{address}/chat-service/api"
    as_system = f"-H 'X-SYS-API-KEY: {system.api_key}' -H 'X-SYS-API-KEY-SECRET: {system.secret}'"
    as_master = (
        f"-H 'X-MASTER-USER-API-KEY: {master.api_key}'"
        f" -H 'X-MASTER-USER-API-KEY-SECRET: {master.secret}'"
        f" -H 'on-behalf-of: {facts['adviser']}'"
    )
    as_json = "-H 'Content-Type: application/json'"
    client = json.dumps(
        {
            "enum_profile_id": CLIENT,
            "first_name": "Amara",
            "last_name": "Diallo",
            "primary_email": f"amara.{once}@example.net",
            "group_uuids": [facts["group_uuid"]],
        }
    )
    text = json.dumps({"chat_uuid": facts["chat_uuid"], "text": "The comparison is ready."})
    return [
        "",
        f"OnRecord serves the example firm {FIRM}",
        "",
        f"  address            {address}",
        f"  specification      {address}/openapi.json",
        f"  organisation       {facts['entity_uuid']}",
        f"  system key         {system.api_key}  secret {system.secret}",
        f"  master-user key    {master.api_key}  secret {master.secret}",
        f"  adviser            {facts['adviser']}  ({ADVISERS[0][0]} {ADVISERS[0][1]})",
        f"  chat               {facts['chat_uuid']}  ({TALK[0][0]})",
        "",
        "The keys get new secrets at every start. Paste these into another terminal.",
        "",
        "1. A system key creates a client:",
        "",
        f"curl -sSw '\\n' {as_system} {as_json} -H 'Idempotency-Key: demo-client-{once}' \\",
        f"  -d '{client}' \\",
        f"  {entity_api}/entity-memberships/create",
        "",
        "2. A master-user key writes on behalf of the adviser:",
        "",
        f"curl -sSw '\\n' {as_master} {as_json} \\",
        f"  -d '{text}' \\",
        f"  {chat_api}/chats/messages/send-text",
        "",
        "3. The chat is read back:",
        "",
        f"curl -sSw '\\n' {as_master} \\",
        f"  '{chat_api}/chats/messages/range?chat_uuid={facts['chat_uuid']}'",
        "",
        "4. The record of it all, entry by entry:",
        "",
        f"curl -sSw '\\n' {as_system} '{entity_api}/events?limit=5'",
        "",
        "Stop with Ctrl+C.",
        "",
    ]
