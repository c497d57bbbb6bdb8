"""The example firm of `onrecord demo`: people, chats and keys, and lines to paste.

Who they are and what they say stands in demonstration.json, in the scripts they write in. Their
times are those of the first start: the record knows no other.
"""

import asyncio
import importlib.resources
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import click
import msgspec
from argon2 import PasswordHasher

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import (
    butler,
    chats,
    groups,
    inbox,
    keys,
    members,
    messages,
    organisations,
)
from onrecord.model.access import (
    CLIENT,
    INSTALLATION_ID,
    PROFILES,
    SYSTEM_ADMIN,
    Actor,
    Judged,
    Kind,
    Origin,
)
from onrecord.model.people import Group, Member
from onrecord.store import access, record
from onrecord.store.db import Caller, Session
from onrecord.store.work import Work

T = TypeVar("T")
_ABOUT: Final = "demo.json"
_QUICK: Final = PasswordHasher(1, 8, 1)
"""These passwords are 128 random bits, which nobody can guess; hashing them slowly took seconds."""
Judging = Callable[[Member, Session], Awaitable[Actor]]
_SYSTEM: Final = ("can_export", "can_read_admin", "can_write_admin")
_CHAT: Final = ("can_export", "can_read_chat", "can_write_chat", "can_read_contacts")


class Person(msgspec.Struct):
    """Somebody of the firm; `key` is what the talks call them."""

    key: str
    role: int
    first: str
    last: str
    identifier: str | None = None
    job: str = ""
    teams: list[str] = []
    pending: bool = False

    @property
    def email(self) -> str:
        """The address: the firm's own, or one of a client."""
        host = "example.com" if PROFILES[self.role].is_staff else "example.net"
        return f"{self.username}@{host}"

    @property
    def username(self) -> str:
        """The name of the login."""
        return f"{self.key}.{'staff' if PROFILES[self.role].is_staff else 'client'}"


class Line(msgspec.Struct, array_like=True):
    """Who, what, and perhaps the number of the message it replies to."""

    who: str
    text: str
    reply_to_seq: int | None = None


class Talk(msgspec.Struct):
    """A chat: who is in it, what is said, and what they do with it afterwards."""

    title: str
    who: list[str] = msgspec.field(name="with")
    lines: list[Line] = []
    staff_only: bool = False
    renamed: str | None = None
    leaves: list[str] = []
    read_by: list[str] = []
    archived_by: list[str] = []


class Firm(msgspec.Struct):
    """The whole example."""

    name: str
    settings: dict[str, Any]
    teams: list[str]
    people: list[Person]
    talks: list[Talk]


def firm() -> Firm:
    """Read the example."""
    text = (importlib.resources.files("onrecord.web") / "demonstration.json").read_bytes()
    return msgspec.json.decode(text, type=Firm)


async def furnish(app: App, address: str) -> None:
    """Make the firm if it is not there yet, give its keys new secrets, and print how to begin."""
    path = app.settings.data_dir / _ABOUT
    sign_ins = [
        "The passwords were shown at the first start. For another one:",
        f"  onrecord account set-password --username miriam.staff --data-dir {path.parent}",
    ]
    if path.exists():
        facts = json.loads(path.read_text("utf-8"))
    else:
        example = firm()
        passwords = {
            one.key: secrets.token_urlsafe(16) for one in example.people if not one.pending
        }
        facts = await _found(app, example, passwords)
        path.write_text(json.dumps(facts), "utf-8")
        sign_ins = _sign_ins(example, passwords)
    shown = {}
    for name, key in facts["keys"].items():

        async def rotate(work: Work, key: str = key) -> keys.NewKey:
            return await keys.rotate(work, key)

        shown[name] = await composition.acting(app, facts["entity_uuid"], rotate)
    outbox = f"{address}/dev/outbox" if app.settings.dev_outbox else None
    for line in _lines(address, facts, shown, sign_ins, outbox):
        click.echo(line)


# -- making it -----------------------------------------------------------------------------------


async def _found(app: App, example: Firm, passwords: Mapping[str, str]) -> dict[str, Any]:
    host = await composition.origin_host(app)
    founded = await composition.acting(
        app, None, lambda work: _organisation(work, example, passwords, host)
    )
    entity = founded.entity_uuid
    admin = founded.entity_user_xref_uuid
    people = await composition.acting(
        app, entity, lambda work: _people(work, example, passwords, admin)
    )
    await composition.acting(app, entity, lambda work: _welcome(work, example))
    judge = _sessions(entity)
    # At the same time, as in life: what is said together is committed together.
    talks = [_talk(app, judge, talk, people) for talk in example.talks]
    said = zip(example.talks, await asyncio.gather(*talks), strict=True)
    chat_uuids = {talk.title: chat_uuid for talk, chat_uuid in said}
    made = {
        "system": await _key(app, entity, Kind.SYSTEM, "CRM synchronisation", _SYSTEM),
        "master": await _key(app, entity, Kind.MASTER_USER, "Reminders", _CHAT),
        "user": await _key(app, entity, Kind.USER, "Own notes", _CHAT, people["ingrid"].uuid),
    }
    return {
        "entity_uuid": entity,
        "name": example.name,
        "keys": made,
        "adviser": people["tomas"].uuid,
        "group_uuid": await composition.acting(app, entity, lambda work: _team(work, people)),
        "chat_uuid": chat_uuids["Pension transfer"],
    }


async def _organisation(
    work: Work, example: Firm, passwords: Mapping[str, str], host: str
) -> organisations.Founded:
    admin = next(one for one in example.people if one.role == SYSTEM_ADMIN)
    new = organisations.NewOrganisation(
        name=example.name,
        admin_email=admin.email,
        admin_first_name=admin.first,
        admin_last_name=admin.last,
        admin_username=admin.username,
        admin_password=passwords[admin.key],
    )
    return await organisations.create(work, new, host)


async def _people(
    work: Work, example: Firm, passwords: Mapping[str, str], admin_uuid: str
) -> dict[str, Member]:
    """Make everybody and their teams, staff first: a team needs them before it takes clients."""
    for name, value in example.settings.items():
        await organisations.set_setting(work, name, value)
    teams = {name: await groups.add_group(work, name) for name in example.teams}
    people: dict[str, Member] = {}
    for person in sorted(example.people, key=lambda one: one.role):
        if person.role == SYSTEM_ADMIN:
            people[person.key] = await members.pick(work, admin_uuid, None)
        else:
            in_teams = [teams[name] for name in person.teams]
            people[person.key] = await _join(work, person, passwords.get(person.key), in_teams)
    return people


async def _team(work: Work, people: Mapping[str, Member]) -> str:
    return (await groups.of_member(work, people["tomas"]))[0].group_uuid


async def _join(work: Work, person: Person, password: str | None, teams: Sequence[Group]) -> Member:
    """Make a member, who has joined where there is a password."""
    staff = PROFILES[person.role].is_staff
    new = members.NewMember(
        enum_profile_id=person.role,
        first_name=person.first,
        last_name=person.last,
        primary_email=person.email,
        identifier=person.identifier,
        job_title=person.job,
        group_uuids=() if staff else [team.uuid for team in teams],
        send_invitation=person.pending,
    )
    member, _ = await members.create(work, new)
    if password is not None:
        await members.activate(work, member.uuid, person.username, password, hasher=_QUICK)
    if staff:
        for team in teams:
            await groups.put_into_group(work, team, member)
    return member


async def _welcome(work: Work, example: Firm) -> None:
    heard = await butler.recipients(work, butler.Audience(everyone=True))
    await butler.say(work, heard, example.settings["butler_welcome_text"])


async def _talk(app: App, judge: Judging, talk: Talk, people: Mapping[str, Member]) -> str:
    """Let people talk, each as if by hand, and do with the chat what they do afterwards."""

    async def by_hand(who: str, run: Callable[[Work], Awaitable[T]]) -> T:
        reach = partial(judge, people[who])
        actor = await app.store.ask(reach)
        return await app.store.write(Caller(actor, Origin(keys.request_id()), reach), run)

    opening, *rest = talk.lines
    first = opening.who
    others = [people[who].uuid for who in talk.who if who != first]
    chat_uuid = await by_hand(
        first,
        lambda work: chats.create(
            work,
            uuids=others,
            identifiers=None,
            title=talk.title,
            is_staff_only=talk.staff_only,
            first_text=opening.text,
        ),
    )
    for line in rest:
        await by_hand(line.who, partial(_say, chat_uuid, line))
    if talk.renamed is not None:
        renamed = talk.renamed
        await by_hand(first, lambda work: chats.rename(work, chat_uuid, renamed))
    for who in talk.leaves:
        await by_hand(who, lambda work: chats.leave(work, chat_uuid))
    for who in talk.read_by:
        await by_hand(who, lambda work: inbox.read(work, chat_uuid, len(talk.lines) - 1))
    for who in talk.archived_by:
        await by_hand(who, lambda work: inbox.archive(work, chat_uuid, archived=True))
    return chat_uuid


async def _say(chat_uuid: str, line: Line, work: Work) -> None:
    await messages.send_text(work, chat_uuid, line.text, line.reply_to_seq)


def _sessions(entity: str) -> Judging:
    """Give what makes a member an actor as a session would: there are no sessions yet."""

    async def judge(member: Member, session: Session) -> Actor:
        home = await access.entity_to_judge(session, entity)
        assert home is not None  # noqa: S101 - it was made just now
        _, _, installation = await record.head_of(session, INSTALLATION_ID)
        judged = Judged(home[1], installation)
        return Actor(Kind.SESSION, home[0].id, entity, member=member.ref, judged=judged)

    return judge


async def _key(
    app: App,
    entity: str,
    kind: Kind,
    name: str,
    permissions: tuple[str, ...],
    owner: str | None = None,
) -> str:
    made = await composition.acting(
        app,
        entity,
        lambda work: keys.create(
            work, kind=kind, name=name, permissions=permissions, member_uuid=owner
        ),
    )
    return made.api_key


# -- telling of it -------------------------------------------------------------------------------


def _sign_ins(example: Firm, passwords: Mapping[str, str]) -> list[str]:
    """Give a line for everybody who can sign in; nothing keeps these passwords."""
    rows = [
        (one.username, passwords[one.key], PROFILES[one.role].title, f"{one.first} {one.last}")
        for one in example.people
        if one.key in passwords
    ]
    return [
        "People sign in with user name and password. The passwords are shown this once:",
        *(f"  {name:<17}  {word}  {role}, {who}" for name, word, role, who in rows),
    ]


def _lines(
    address: str,
    facts: dict[str, Any],
    shown: dict[str, keys.NewKey],
    sign_ins: Sequence[str],
    outbox: str | None,
) -> list[str]:
    system, master, user = shown["system"], shown["master"], shown["user"]
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
        f"OnRecord serves the example firm {facts['name']}",
        "",
        f"  address            {address}",
        f"  documentation      {address}/docs",
        *([f"  outbox             {outbox}  (codes for signing in, too)"] if outbox else []),
        f"  organisation       {facts['entity_uuid']}",
        f"  system key         {system.api_key}  secret {system.secret}",
        f"  master-user key    {master.api_key}  secret {master.secret}",
        f"  user key           {user.api_key}  secret {user.secret}  (Ingrid Rowe)",
        f"  adviser            {facts['adviser']}  (Tomás Hartley)",
        f"  chat               {facts['chat_uuid']}  (Pension transfer)",
        "",
        *sign_ins,
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
