"""A small firm of named people, a second organisation, and keys of every kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import groups, keys, members, organisations, sdk, sessions
from onrecord.domain.sessions import csrf_of
from onrecord.model.access import CLIENT, PARTNER, PERMISSIONS, STAFF, Kind
from onrecord.store import access, people
from onrecord.store import accounts as store
from onrecord.store.work import Work
from onrecord.web.credentials import SESSION_COOKIE, cookie_name

if TYPE_CHECKING:
    from tests.world import World

PASSWORD = "a long enough password"
LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class Person:
    """A member of one of the organisations."""

    uuid: str
    entity_uuid: str
    first_name: str
    last_name: str
    email: str
    identifier: str | None
    profile: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key with its secret, and the headers it travels in."""

    kind: Kind
    uuid: str
    api_key: str
    secret: str
    name: str
    entity_uuid: str | None = None
    """Super keys: the organisation named beside the key."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request with this key."""
        stem = {Kind.MASTER_USER: "X-MASTER-USER-API-KEY", Kind.USER: "X-USER-API-KEY"}.get(
            self.kind, "X-SYS-API-KEY"
        )
        headers = {stem: self.api_key, f"{stem}-SECRET": self.secret}
        if self.entity_uuid is not None:
            headers["on-behalf-of-entity-uuid"] = self.entity_uuid
        return headers


@dataclass(slots=True)
class Browser:
    """A browser in which somebody is signed in, or was; it keeps its cookies as browsers do."""

    person: Person | None = None
    """In whose membership its requests are made; None names none."""
    cookies: dict[str, str] = field(default_factory=dict)
    csrf_token: str | None = None
    """Sent with every request when it is not the one that belongs to the cookie."""
    kind: Kind = Kind.SESSION
    uuid: None = None
    """A session is no key."""
    entity_uuid: None = None

    @property
    def token(self) -> str | None:
        """What the session's cookie holds."""
        return self.cookies.get(SESSION_COOKIE) or self.cookies.get(f"__Host-{SESSION_COOKIE}")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request from it."""
        headers = {"User-Agent": "Tests/1.0"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={one}" for name, one in self.cookies.items())
        csrf = self.csrf_token or (csrf_of(self.token) if self.token else None)
        if csrf is not None:
            headers["X-CSRF-Token"] = csrf
        if self.person is not None:
            headers["X-Entity-User-Xref-Uuid"] = self.person.uuid
        return headers

    def follow(self, response: httpx.Response) -> None:
        """Take the cookies that a response sets."""
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)


@dataclass(slots=True)
class SdkToken:
    """A token of the embedded app."""

    token: str
    kind: Kind = Kind.SDK
    uuid: None = None
    entity_uuid: None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request with it."""
        return {"Authorization": f"Bearer {self.token}"}


Shown = ApiKey | Browser | SdkToken
"""What a request may show of itself."""


def uuid_of(member: "str | Person") -> str:
    """Give the uuid of a person, or the text as it is."""
    return member if isinstance(member, str) else member.uuid


def all_permissions(kind: Kind) -> list[str]:
    """Give every permission that a kind of key may hold beside others."""
    return [
        name
        for name, row in PERMISSIONS.items()
        if kind in row.kinds and row.name != "can_provision"
    ]


@dataclass(slots=True)
class Cast:
    """Everybody and every key. `firm` is where the tests play, `other` is next door."""

    firm: str
    other: str
    team: str
    """The group of the two advisers and their clients."""
    default_group: str
    miriam: Person
    """System administrator of the firm."""
    tomas: Person
    """Adviser in the team, owner of `user`."""
    ingrid: Person
    """Adviser in the team."""
    olga: Person
    """Adviser without a team."""
    priya: Person
    """Client of the team."""
    george: Person
    """Client of the team."""
    petra: Person
    """Pending client of the team."""
    nadia: Person
    """System administrator next door."""
    karl: Person
    """Adviser next door."""
    lena: Person
    """Client next door."""
    system: ApiKey
    superkey: ApiKey
    """Names the firm."""
    master: ApiKey
    user: ApiKey
    other_system: ApiKey
    other_master: ApiKey
    other_user: ApiKey
    session: Browser
    """Where tomas is signed in."""
    sdk: SdkToken
    """The embedded app, as tomas."""
    alone: dict[tuple[Kind, str], ApiKey] = field(default_factory=dict)
    """Keys of the firm that hold one permission each: (kind, permission)."""

    @property
    def people(self) -> list[Person]:
        """The active people of the firm."""
        return [self.miriam, self.tomas, self.ingrid, self.olga, self.priya, self.george]

    def keys_of_firm(self) -> dict[Kind, ApiKey]:
        """Give the key of each kind that holds every permission there."""
        return {
            Kind.SYSTEM: self.system,
            Kind.SUPER: self.superkey,
            Kind.MASTER_USER: self.master,
            Kind.USER: self.user,
        }

    def shown_at_firm(self) -> dict[Kind, Shown]:
        """Give something of each kind, keys and persons, for which everything is allowed there."""
        return {**self.keys_of_firm(), Kind.SESSION: self.session, Kind.SDK: self.sdk}


async def join(
    app: App,
    entity: str,
    profile: int,
    first_name: str,
    last_name: str,
    *,
    identifier: str | None = None,
    groups: Sequence[str] = (),
    pending: bool = False,
) -> Person:
    """Make a member, active at once unless `pending`."""
    stem = f"{first_name}.{last_name}".lower().encode("ascii", "ignore").decode()
    email = f"{stem}@example.com"
    new = members.NewMember(
        enum_profile_id=profile,
        first_name=first_name,
        last_name=last_name,
        primary_email=email,
        identifier=identifier,
        group_uuids=groups,
    )

    async def act(work: Work) -> str:
        member, _ = await members.create(work, new)
        if not pending:
            await members.activate(work, member.uuid, stem, PASSWORD)
        return member.uuid

    uuid = await composition.acting(app, entity, act)
    return Person(uuid, entity, first_name, last_name, email, identifier, profile)


async def found(app: App, name: str, first_name: str, last_name: str) -> tuple[str, Person]:
    """Make an organisation with an active system administrator."""
    stem = f"{first_name}.{last_name}".lower()
    new = organisations.NewOrganisation(
        name=name,
        admin_email=f"{stem}@example.com",
        admin_first_name=first_name,
        admin_last_name=last_name,
        admin_username=stem,
        admin_password=PASSWORD,
    )
    host = await composition.origin_host(app)
    made = await composition.acting(app, None, lambda work: organisations.create(work, new, host))
    admin = Person(
        made.entity_user_xref_uuid,
        made.entity_uuid,
        first_name,
        last_name,
        new.admin_email,
        None,
        1,
    )
    return made.entity_uuid, admin


async def make_key(
    app: App,
    entity: str | None,
    kind: Kind,
    *,
    name: str = "",
    permissions: Sequence[str] | None = None,
    for_entity: str | None = None,
    **more: Any,
) -> ApiKey:
    """Make a key, with every permission of its kind unless some are named."""
    name = name or f"{kind.value} key"
    held = all_permissions(kind) if permissions is None else permissions
    made = await composition.acting(
        app,
        entity,
        lambda work: keys.create(work, kind=kind, name=name, permissions=held, **more),
    )
    return ApiKey(kind, made.api_key_uuid, made.api_key, made.secret, name, for_entity)


async def furnish(app: App) -> Cast:
    """Make the cast in an empty installation."""
    firm, miriam = await found(app, "Alder & Finch", "Miriam", "Okafor")
    other, nadia = await found(app, "Birch Partners", "Nadia", "Stone")
    tomas = await join(app, firm, STAFF, "Tomas", "Hartley", identifier="ADV-1")
    ingrid = await join(app, firm, STAFF, "Ingrid", "Rowe", identifier="ADV-2")
    olga = await join(app, firm, STAFF, "Olga", "Berg", identifier="ADV-3")

    async def make_team(work: Work) -> str:
        group = await groups.add_group(work, "Private clients")
        for adviser in (tomas, ingrid):
            member = await members.pick(work, adviser.uuid, None)
            await groups.put_into_group(work, group, member)
        return group.uuid

    team = await composition.acting(app, firm, make_team)
    priya = await join(app, firm, CLIENT, "Priya", "Nair", identifier="CL-1", groups=[team])
    george = await join(app, firm, PARTNER, "George", "Lind", identifier="CL-2", groups=[team])
    petra = await join(
        app, firm, CLIENT, "Petra", "Wolf", identifier="CL-3", groups=[team], pending=True
    )
    karl = await join(app, other, STAFF, "Karl", "Frost", identifier="ADV-1")
    lena = await join(app, other, CLIENT, "Lena", "Park", identifier="CL-1")
    for entity in (firm, other):
        await composition.acting(
            app,
            entity,
            lambda work: organisations.set_setting(work, "allow_user_api_keys", value=True),
        )
    rows = await app.store.ask(
        lambda session: session.all(
            "SELECT g.uuid FROM client_group g JOIN entity e ON e.id = g.entity_id"
            " WHERE e.uuid = $1 AND g.is_default = 1",
            firm,
        )
    )
    cast = Cast(
        firm=firm,
        other=other,
        team=team,
        default_group=rows[0][0],
        miriam=miriam,
        tomas=tomas,
        ingrid=ingrid,
        olga=olga,
        priya=priya,
        george=george,
        petra=petra,
        nadia=nadia,
        karl=karl,
        lena=lena,
        system=await make_key(app, firm, Kind.SYSTEM),
        superkey=await make_key(app, None, Kind.SUPER, cidr_blocks=LOOPBACK, for_entity=firm),
        master=await make_key(app, firm, Kind.MASTER_USER),
        user=await make_key(app, firm, Kind.USER, member_uuid=tomas.uuid),
        other_system=await make_key(app, other, Kind.SYSTEM),
        other_master=await make_key(app, other, Kind.MASTER_USER),
        other_user=await make_key(app, other, Kind.USER, member_uuid=karl.uuid),
        session=await sign_in(app, tomas),
        sdk=await embed(app, tomas),
    )
    for kind in (Kind.SYSTEM, Kind.SUPER, Kind.MASTER_USER, Kind.USER):
        for permission in all_permissions(kind):
            cast.alone[kind, permission] = await _alone(app, cast, kind, permission)
    return cast


async def _alone(app: App, cast: Cast, kind: Kind, permission: str) -> ApiKey:
    more: dict[str, Any] = {}
    if kind is Kind.SUPER:
        more = {"cidr_blocks": LOOPBACK, "for_entity": cast.firm}
    if kind is Kind.USER:
        more = {"member_uuid": cast.tomas.uuid}
    entity = None if kind is Kind.SUPER else cast.firm
    name = f"{kind.value} {permission}"
    return await make_key(app, entity, kind, name=name, permissions=[permission], **more)


async def sign_in(app: App, person: Person) -> Browser:
    """Give a browser in which somebody is signed in and has chosen the membership."""
    name = cookie_name(SESSION_COOKIE, secure=app.settings.secure_cookies)
    browser = Browser(person)

    async def act(work: Work) -> None:
        member = await people.member_of(work.db, await _entity_id(work, person), person.uuid)
        assert member is not None
        number = await people.account_of_member(work.db, member.id)
        account = await store.account_by_id(work.db, number or 0)
        assert account is not None
        opened = await sessions.open(work, account.id, account.uuid, "Tests/1.0", "127.0.0.1")
        browser.cookies = {name: opened.token}
        await store.choose(work.db, opened.session_id, member.id)

    await composition.acting(app, None, act)
    return browser


async def _entity_id(work: Work, person: Person) -> int:
    entity = await access.entity_of(work.db, person.entity_uuid)
    assert entity is not None
    return entity.id


async def embed(app: App, person: Person) -> SdkToken:
    """Make a token of the embedded app for somebody."""
    made = await composition.acting(
        app, person.entity_uuid, lambda work: sdk.create(work, person.uuid, None)
    )
    return SdkToken(made.sdk_token)


# -- states that no endpoint reaches yet: set in the tables, with an entry that changes access ----


def set_member_state(world: "World", person: Person, state: str) -> None:
    """Suspend, deactivate or bring back a member."""
    world.change(
        person.entity_uuid, "UPDATE member SET state = $2 WHERE uuid = $1", person.uuid, state
    )


def set_group_state(world: "World", group_uuid: str, state: str) -> None:
    """Make a group inactive, or active again."""
    world.change(
        world.cast.firm,
        "UPDATE client_group SET state = $2 WHERE uuid = $1",
        group_uuid,
        state,
    )


def butler_of(world: "World", entity: str) -> str:
    """Give the uuid of an organisation's Butler."""
    rows = world.rows(
        "SELECT m.uuid FROM member m JOIN entity e ON e.id = m.entity_id"
        " WHERE e.uuid = $1 AND m.profile = 6",
        entity,
    )
    return str(rows[0][0])
