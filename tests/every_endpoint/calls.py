"""A good request for every endpoint: what the table tests spoil in every way."""

import hashlib
import hmac
import io
import json
import uuid
import zlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from PIL import Image

from onrecord.domain import (
    attachments,
    avatars,
    branding,
    challenges,
    groups,
    import_files,
    imports,
    invitations,
    jobs,
    joining,
    keys,
    members,
    profiles,
    terms,
)
from onrecord.model import times
from onrecord.model.access import CLIENT, STAFF, Kind
from onrecord.model.people import AVATAR_SIZES, Picture
from onrecord.store import accounts as account_rows
from onrecord.store import attachments as attachment_rows
from onrecord.store import groups as store
from onrecord.store import imports as import_rows
from onrecord.store import invitations as invitation_rows
from onrecord.store.invitations import Waiting
from onrecord.store.work import Work
from onrecord.web import account, app_service
from onrecord.web.branding import TYPES
from onrecord.web.endpoint import Endpoint, Nothing
from onrecord.web.rows import ROWS as ALL_ROWS
from tests.cast import PASSWORD, Cast, Person, Shown
from tests.every_endpoint import of_persons
from tests.world import CHAT, ENTITY, Member, World, accepted

APP = "/app-service/api"
ROWS = tuple(row for row in ALL_ROWS if not row.speaks_scim and not row.twin_of)
"""The rows of our own conventions; those of SCIM are tried in tests/web/test_scim.py."""
TWINS = tuple(row for row in ALL_ROWS if row.twin_of)
"""The administrators' calls, which test_administration.py tries: types and handlers are those of
the rows above, so what these do with bad input is tried there."""
_ORIGINALS = {(row.method, row.path): row for row in ROWS}
_OF_PERSONS = {(row.method, row.path) for row in (*app_service.ROWS, *account.ROWS)}


@dataclass(slots=True)
class Good:
    """What a request needs to be answered with success."""

    json: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] | None = None
    """The texts of a form."""
    files: dict[str, Any] | None = None
    """The files of a form."""
    headers: dict[str, str] = field(default_factory=dict)
    path: str = ""
    """Where it goes, if the row's path is none that can be asked for."""

    @property
    def how(self) -> dict[str, Any]:
        """What `World.request` is given for it."""
        return {
            "json": self.json,
            "params": self.params,
            "data": self.data,
            "files": self.files,
            **({"headers": self.headers} if self.headers else {}),
        }


def _person(number: int) -> dict[str, Any]:
    return {
        "enum_profile_id": 4,
        "first_name": "Nell",
        "primary_email": f"nell{number}@example.com",
    }


def good(world: World, row: Endpoint, number: int = 0) -> Good:  # noqa: C901, PLR0911 - a return for each kind of thing
    """Give a good request for a row; with another number it is another request."""
    cast = world.cast
    row = _ORIGINALS.get((row.method, row.twin_of), row)
    of_persons.revive(world, row)
    if row.method == "POST" and (row.method, row.path) in _OF_PERSONS:
        return Good(json=of_persons.body_for(world, row, number))
    if row.path.startswith(f"{ENTITY}/entity-memberships/create"):
        group = {"new_group_name": f"Circle {number}"} if row.path.endswith("/v2") else {}
        return Good(json={**_person(number), **group})
    if row.path.partition("/entity-memberships/")[2] in _MEMBER_ACTS:
        return _about_a_member(world, row.path.partition("/entity-memberships/")[2], number)
    if row.path.startswith((f"{APP}/invitations", f"{APP}/mail/", f"{APP}/dev/", "/dev/")):
        return _unsigned(world, row.path, number)
    if row.path.startswith((f"{ENTITY}/groups/", f"{ENTITY}/barriers/")) and row.method == "POST":
        return Good(json=_about_groups(world, row.path, number))
    if row.path.startswith(f"{ENTITY}/api-keys/") and row.method == "POST":
        return Good(json=_about_keys(world, row.path.rpartition("/")[2], number))
    if row.path.removesuffix("/update").removesuffix("/remove") in _PICTURES:
        return _about_pictures(world, row.path, number)
    if "attachment" in row.path or row.path.startswith("/download"):
        return _with_files(world, row, number)
    if row.path.startswith(f"{CHAT}/chats/") and row.path.rpartition("/")[2] in _CHAT_ACTS:
        return Good(json=_about_chats(world, row.path.rpartition("/")[2], number))
    known: dict[tuple[str, str], Callable[[], Good]] = {  # only what is asked for is made
        ("POST", f"{CHAT}/chats/butler-says/send-text"): lambda: Good(
            json={"entity_user_xref_uuid": cast.priya.uuid, "text": f"text {number}"}
        ),
        ("GET", f"{ENTITY}/api-keys/list"): Good,
        ("POST", f"{ENTITY}/sdk/sessions/create"): lambda: Good(
            json={"entity_user_xref_uuid": cast.tomas.uuid}
        ),
        ("GET", f"{ENTITY}/sdk/entity-memberships"): lambda: Good(
            params={"primary_email": cast.tomas.email}
        ),
        ("POST", f"{ENTITY}/organisation/update"): lambda: Good(
            json={"banner": f"Banner {number}"}
        ),
        ("GET", f"{CHAT}/chats"): Good,
        ("GET", f"{ENTITY}/record/checkpoint"): Good,
        ("GET", f"{ENTITY}/events"): Good,
        ("GET", f"{CHAT}/events"): Good,
        ("GET", f"{ENTITY}/whoami"): Good,
        ("GET", f"{CHAT}/whoami"): Good,
        ("GET", f"{ENTITY}/entity-memberships"): lambda: Good(params={"identifier": "ADV-1"}),
        ("GET", f"{ENTITY}/entity-memberships/list"): Good,
        ("GET", f"{ENTITY}/entity-memberships/group-memberships/list"): lambda: Good(
            params={"identifier": "ADV-1"}
        ),
        ("GET", f"{ENTITY}/groups"): lambda: Good(params={"group_uuid": cast.team}),
        ("GET", f"{ENTITY}/groups/list"): Good,
        ("GET", f"{ENTITY}/barriers/list"): Good,
        ("GET", f"{ENTITY}/contacts/explain"): lambda: Good(
            params={
                "entity_user_xref_uuid": cast.tomas.uuid,
                "other_entity_user_xref_uuid": cast.priya.uuid,
            }
        ),
        ("GET", f"{ENTITY}/entity-memberships/avatar"): lambda: Good(params=_with_avatar(world)),
        ("GET", f"{CHAT}/contacts/avatar"): lambda: Good(params=_with_avatar(world)),
        ("GET", f"{CHAT}/contacts"): lambda: Good(params={"identifier": "CL-1"}),
        ("GET", f"{CHAT}/contacts/list"): Good,
        ("GET", f"{CHAT}/entity-memberships"): Good,
        ("GET", f"{ENTITY}/export/entities"): Good,
        ("GET", f"{ENTITY}/chats/export/pdf"): lambda: Good(params={"chat_uuid": _chat(world)}),
        ("GET", f"{ENTITY}/chats/export/zip"): lambda: Good(params={"chat_uuid": _chat(world)}),
        ("GET", f"{CHAT}/chats/export"): lambda: Good(params={"chat_uuid": _chat(world)}),
        ("GET", f"{ENTITY}/chats/list"): lambda: Good(params={"text": "zero"}),
        ("GET", f"{ENTITY}/chats/messages/range"): lambda: Good(params={"chat_uuid": _chat(world)}),
        ("GET", f"{CHAT}/chats/messages/search"): lambda: Good(params={"text": "zero"}),
        ("GET", f"{APP}/review/chats/list"): lambda: Good(params=_reason(world)),
        ("GET", f"{APP}/review/messages/range"): lambda: Good(params=_to_review(world)),
        ("GET", f"{APP}/review/export/pdf"): lambda: Good(params=_to_review(world)),
        ("GET", f"{APP}/review/export/zip"): lambda: Good(params=_to_review(world)),
        ("GET", f"{ENTITY}/imports/template"): lambda: Good(params={"kind": "clients"}),
        ("GET", f"{ENTITY}/imports/report"): lambda: Good(params={"job_uuid": _import(world)}),
        ("POST", f"{ENTITY}/imports/create"): lambda: Good(
            data={"kind": "clients"},
            files={"file": ("clients.csv", _clients(number), "text/csv")},
        ),
        ("POST", f"{ENTITY}/terms/update"): lambda: Good(json={"text": f"Terms {number}"}),
        ("GET", f"{ENTITY}/jobs"): lambda: Good(params={"job_uuid": _job(world)}),
        ("POST", f"{APP}/terms/accept"): lambda: Good(
            json={"version": _terms(world, cast.firm, number)}
        ),
        ("POST", f"{APP}/account/terms/accept"): lambda: Good(
            json={"version": _terms(world, None, number)}
        ),
        ("GET", f"{ENTITY}/record/proof"): lambda: Good(params={"position": 1, "size": 2}),
        ("GET", f"{ENTITY}/record/consistency"): lambda: Good(
            params={"from_size": 1, "to_size": 2}
        ),
        ("POST", f"{CHAT}/chats/create"): lambda: Good(
            json={"entity_user_xref_uuids": [cast.ingrid.uuid], "text": f"text {number}"}
        ),
        ("POST", f"{CHAT}/chats/messages/send-text"): lambda: Good(
            json={"chat_uuid": _chat(world), "text": f"text {number}"}
        ),
        ("GET", f"{CHAT}/chats/messages/range"): lambda: Good(params={"chat_uuid": _chat(world)}),
    }
    if row.takes is Nothing:
        return Good()
    assert (row.method, row.path) in known, "a row that takes something has a good request here"
    return known[row.method, row.path]()


_MEMBER_ACTS = {
    "invitations/resend": "pending",
    "invitations/revoke": "pending",
    "update": "active",
    "emails/update": "active",
    "phone-numbers/update": "active",
    "profile/update": "active",
    "suspend": "active",
    "unsuspend": "suspended",
    "destroy": "active",
    "restore": "inactive",
    "avatar/update": "active",
    "avatar/remove": "active",
}
"""Acts on one member, and the state the member is in before."""
_AT_ONCE = 16
"""How many things are made beforehand at a time: the first good request for a row makes enough for
the refusals of a test, so that asking for another one puts nothing on record in between."""


def _enough(world: World, what: str, number: int, make: Callable[[range], list[str]]) -> str:
    """Give the uuid of the thing with a number, after making all up to it that are not there."""
    made = world.prepared.setdefault(what, [])
    while len(made) <= number:
        made += make(range(len(made), len(made) + _AT_ONCE))
    return made[number]


def _about_a_member(world: World, act: str, number: int) -> Good:
    """A good request of an act on a member who is made for it."""
    one = {"entity_user_xref_uuid": _member(world, act, number)}
    if act == "avatar/update":
        return Good(data=one, files={"file": ("me.png", picture(), "image/png")})
    more: dict[str, dict[str, Any]] = {
        "update": {"first_name": f"Nell {number}", "identifier": f"N-{number}"},
        "emails/update": {"primary_email": f"new{number}@example.com"},
        "phone-numbers/update": {"phone_numbers": [f"+44207946{number:04}"]},
        "profile/update": {"enum_profile_id": 2, "data_reviewer_level": 1},
    }
    return Good(json={**one, **more.get(act, {})})


def _member(world: World, act: str, number: int) -> str:
    """A member of staff who is made for one call, in the state and with what it needs."""

    async def prepare(work: Work, numbers: range) -> list[str]:
        uuids = []
        for each in numbers:
            made = await members.add(
                work,
                profile=STAFF,
                first_name="Nell",
                last_name=f"Made for {act} {each}",
                email=f"{act.replace('/', '.')}.{each}@example.com",
                state=_MEMBER_ACTS[act],
            )
            if act == "invitations/revoke":
                await invitations.invite(work, made)
            if act == "avatar/remove":
                await avatars.change(work, made, A_PICTURE)
            uuids.append(made.uuid)
        return uuids

    def make(numbers: range) -> list[str]:
        return world.work(world.cast.firm, lambda work: prepare(work, numbers))

    return _enough(world, act, number, make)


A_PICTURE = [Picture(size, f"{size:032x}", "image/webp", b"a picture") for size in AVATAR_SIZES]


def _with_avatar(world: World) -> dict[str, Any]:
    """Name somebody who has a picture."""
    ingrid = world.cast.ingrid.uuid

    async def prepare(work: Work) -> None:
        await avatars.change(work, await members.pick(work, ingrid, None), A_PICTURE)

    if not world.rows(
        "SELECT 1 FROM avatar a JOIN member m ON m.id = a.member_id WHERE m.uuid = $1", ingrid
    ):
        world.work(world.cast.firm, prepare)
    return {"entity_user_xref_uuid": ingrid, "size": 64}


def picture(colour: str = "teal", size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    """Give the file of a small picture."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


_PICTURES = {
    f"{place}/{which}": which
    for place in (f"{ENTITY}/organisation", f"{APP}/organisations")
    for which in branding.SIZES
}
"""Where the organisation's logo and avatar are."""


def _about_pictures(world: World, path: str, number: int) -> Good:
    """A good request of a call about the organisation's logo or avatar, which is there before."""
    which = _PICTURES[path.removesuffix("/update").removesuffix("/remove")]
    if path.endswith("/update"):
        shade = f"#{number * 89 % 256:02x}{number * 53 % 256:02x}80"
        return Good(files={"file": ("a.png", picture(shade), "image/png")})
    firm = world.cast.firm
    drawn = [Picture(size, f"{size:032x}", TYPES[which], b"x") for size in branding.SIZES[which]]
    there = "SELECT 1 FROM branding b JOIN entity e ON e.id = b.entity_id WHERE e.uuid = $1"
    if not world.rows(f"{there} AND b.which = $2", firm, which):
        world.work(firm, lambda work: branding.change(work, which, drawn))
    if path.startswith(APP):
        return Good(params={"entity_uuid": firm})
    return Good(json={}) if path.endswith("/remove") else Good()


def _unsigned(world: World, path: str, number: int) -> Good:
    """A good request of a call that shows a token or signature instead of a key."""
    if path.endswith("/dev/outbox"):
        world.app.settings = replace(world.app.settings, dev_outbox=True)
        return Good(headers={"host": "127.0.0.1"})
    if path.endswith("/mail/bounces"):
        return _bounces(world)
    _enough(world, "joining", number, lambda numbers: _prepare_joining(world, numbers))
    if path.endswith("/confirm"):
        return Good(json={"challenge": f"challenge {number}", "code": "123456"})
    if path.endswith("/accept"):
        who = {"username": f"nell.made.{number}", "password": PASSWORD}
        return Good(json={"token": f"token {number}", "accept_terms": True, **who})
    return Good(params={"token": f"token {number}"})


def _prepare_joining(world: World, numbers: range) -> list[str]:
    """Make clients who are invited, each with a link and a challenge that are known."""
    return world.work(world.cast.firm, lambda work: _invited(work, numbers))


async def _invited(work: Work, numbers: range) -> list[str]:
    now = times.now()
    uuids = []
    for number in numbers:
        made = await members.add(
            work,
            profile=CLIENT,
            first_name="Nell",
            last_name="Made to join",
            email=f"joining{number}@example.com",
        )
        hashed = invitations.token_hash(f"token {number}")
        waiting = Waiting(made.id, made.entity_id, "", now, now + invitations.LIVES)
        await invitation_rows.invite(work.db, waiting)
        await invitation_rows.add_link(work.db, hashed, made.id, "", "", now)
        stored = challenges.digest(f"challenge {number}")
        payload: dict[str, Any] = {
            "token_hash": hashed.hex(),
            "account_id": None,
            "username": f"nell.joins.{number}",
            "password": "$argon2id$",
            "phone_number": None,
            "terms": {},
        }
        await account_rows.add_challenge(
            work.db,
            {
                "uuid": str(uuid.uuid4()),
                "token": stored,
                "created_at": now,
                "expires_at": now + challenges.LIVES,
                "purpose": joining.PURPOSE,
                "channel": "email",
                "code": challenges._code_hash(stored, "123456"),
                "payload": json.dumps(payload),
            },
        )
        uuids.append(made.uuid)
    return uuids


def _bounces(world: World) -> Good:
    world.app.settings = replace(world.app.settings, bounce_secret="a secret")
    body = {"events": [{"type": "bounce", "recipient": "nell@example.com"}]}
    return Good(json=body, headers=_signed(json.dumps(body).encode()))


def _signed(body: bytes) -> dict[str, str]:
    """Sign what a mail provider says."""
    stamp = str(times.now() // times.SECOND)
    digest = hmac.new(b"a secret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Bounce-Timestamp": stamp, "X-Bounce-Signature": f"sha256={digest}"}


def _terms(world: World, entity: str | None, number: int) -> int:
    """A version of the terms that nobody has accepted."""

    async def publish(work: Work, numbers: range) -> list[str]:
        for each in numbers:
            await terms.publish(work, f"Terms {each}")
        return [str(each + 1) for each in numbers]

    def make(numbers: range) -> list[str]:
        return world.work(entity, lambda work: publish(work, numbers))

    return int(_enough(world, f"terms of {entity}", number, make))


def _job(world: World) -> str:
    """A job of the firm, made once for each world."""
    found = world.rows("SELECT uuid FROM job WHERE kind = 'made_for_calls'")
    if found:
        return str(found[0][0])
    later = times.now() + 3600 * times.SECOND
    return world.work(
        world.cast.firm, lambda work: jobs.enqueue(work, "made_for_calls", {}, run_at=later)
    )


def _clients(number: int) -> bytes:
    return f"First Name,Email\nNell,nell{number}@example.com\n".encode()


def _import(world: World) -> str:
    """The job of an import that was asked for, once for each world."""
    found = world.rows("SELECT job_uuid FROM import WHERE kind = 'groups'")
    if found:
        return str(found[0][0])
    kind, options = import_files.KINDS["groups"], imports.Options(dry_run=True)

    async def ask_for(work: Work) -> str:
        import_id = await import_rows.add_import(
            work.db, work.actor.entity_id, kind.name, {"unknown": []}, times.now()
        )
        return await imports.begin(work, import_id, kind, options, 0)

    return world.work(world.cast.firm, ask_for)


def _about_groups(world: World, path: str, number: int) -> dict[str, Any]:
    """A good body of a call about groups or barriers."""
    cast = world.cast
    _, _, act = path.partition("/sys-api/")
    if act == "groups/create":
        return {"name": f"Group {number}", "entity_user_xref_uuids": [cast.olga.uuid]}
    if act == "groups/update":
        return {"group_uuid": cast.team, "name": f"Name {number}"}
    group_uuid = _group(world, act, number)
    if act.startswith("groups/group-members/"):
        return {"group_uuid": group_uuid, "entity_user_xref_uuids": [cast.olga.uuid]}
    if act.startswith("barriers/"):
        return {"group_uuid": group_uuid, "other_group_uuid": cast.team}
    return {"group_uuid": group_uuid}


def _group(world: World, act: str, number: int) -> str:
    """A group that is made for one call: with olga in it, or a barrier, where that must be."""
    cast = world.cast

    async def prepare(work: Work, numbers: range) -> list[str]:
        uuids = []
        olga = await members.pick(work, cast.olga.uuid, None)
        team = await groups.pick(work, cast.team)
        for each in numbers:
            group = await groups.add_group(work, f"Made for {act} {each}")
            if act == "groups/group-members/destroy":
                await groups.put_into_group(work, group, olga)
            if act == "barriers/destroy":
                await store.add_barrier(work.db, work.actor.entity_id, team.id, group.id)
            uuids.append(group.uuid)
        return uuids

    def make(numbers: range) -> list[str]:
        return world.work(cast.firm, lambda work: prepare(work, numbers))

    return _enough(world, act, number, make)


def _about_keys(world: World, act: str, number: int) -> dict[str, Any]:
    """A good body of a call about keys."""
    cast = world.cast
    if act == "create":
        return {
            "kind": "user",
            "name": f"Key {number}",
            "permissions": ["can_read_chat"],
            "entity_user_xref_uuid": cast.tomas.uuid,
        }
    more = {"rate_limit": f"{number + 1}/60"} if act == "update" else {}
    return {"api_key_uuid": _key(world, number), **more}


def _key(world: World, number: int) -> str:
    """A key that is made for one call."""

    async def prepare(work: Work, numbers: range) -> list[str]:
        uuids = []
        for each in numbers:
            made = await keys.create(
                work,
                kind=Kind.MASTER_USER,
                name=f"Made for {each}",
                permissions=["can_read_chat"],
            )
            uuids.append(made.api_key_uuid)
        return uuids

    def make(numbers: range) -> list[str]:
        return world.work(world.cast.firm, lambda work: prepare(work, numbers))

    return _enough(world, "keys", number, make)


_CHAT_ACTS = frozenset(
    {"rename", "archive", "mute", "read", "invite", "remove", "leave", "discard"}
)


def _about_chats(world: World, act: str, number: int) -> dict[str, Any]:
    """A good body of an act in a chat."""
    cast = world.cast
    if act in {"invite", "remove"}:
        chat_uuid = _chat_for(world, act, number)
        return {"chat_uuid": chat_uuid, "entity_user_xref_uuids": [cast.olga.uuid]}
    if act in {"leave", "discard"}:
        return {"chat_uuid": _chat_for(world, act, number)}
    more: dict[str, dict[str, Any]] = {
        "rename": {"title": f"Title {number}"},
        "archive": {"archived": True},
        "mute": {"muted": True},
        "read": {"seq": 0},
    }
    return {"chat_uuid": _chat(world), **more[act]}


def _chat_for(world: World, act: str, number: int) -> str:
    """A chat of tomas, made for one call: with olga in it, or a draft, where that must be."""
    cast = world.cast
    others = [cast.priya.uuid, *([cast.olga.uuid] if act == "remove" else [])]
    text = {} if act == "discard" else {"text": "zero"}

    def made(each: int) -> Coroutine[Any, Any, httpx.Response]:
        body = {"entity_user_xref_uuids": others, "title": f"To {act} {each}", **text}
        return world.request(
            "POST", f"{CHAT}/chats/create", key=cast.master, on_behalf_of=cast.tomas, json=body
        )

    def make(numbers: range) -> list[str]:
        _chat(world)
        # At the same time, so that they wait for the disk together.
        responses = world.together(*map(made, numbers))
        return [str(accepted(response)["chat_uuid"]) for response in responses]

    return _enough(world, act, number, make)


A_FILE = b"A letter.\n"


def _with_files(world: World, row: Endpoint, number: int) -> Good:
    """A good request of a call about attachments."""
    if row.path.endswith("/upload"):
        files = {"file": (f"letter {number}.txt", A_FILE, "text/plain")}
        return Good(data={"chat_uuid": _chat(world)}, files=files)
    for_butler = "/butler-says/" in row.path
    named = {"attachment_uuid": _upload(world, number, for_butler=for_butler)}
    if for_butler:
        return Good(json={**named, "entity_user_xref_uuid": world.cast.priya.uuid})
    if row.path.endswith("/send-attachment"):
        return Good(json={**named, "chat_uuid": _chat(world), "text": f"text {number}"})
    if row.path.startswith("/download"):
        return Good(path=f"/download/{_link(world, number)}")
    if row.method == "POST":
        return Good(json=named)
    return Good(params=_sent_file(world) | (_reason(world) if "/review/" in row.path else {}))


def _upload(world: World, number: int, *, for_butler: bool = False) -> str:
    """An upload of tomas, made for one call: for the chat or for the Butler."""
    chat_uuid = None if for_butler else _chat(world)

    def make(numbers: range) -> list[str]:
        uuids = world.work(
            world.cast.firm, lambda work: _make_uploads(work, world, chat_uuid, len(numbers))
        )
        if numbers[0] == 0:
            name = attachment_rows.name_of(world.cast.firm, uuids[0])
            world.run(world.app.files.put(name, io.BytesIO(A_FILE)))
        return uuids

    return _enough(world, f"uploads {for_butler}", number, make)


async def _make_uploads(
    work: Work, world: World, chat_uuid: str | None, how_many: int
) -> list[str]:
    """Make uploads that wait for a chat, None for the Butler."""
    tomas = await members.pick(work, world.cast.tomas.uuid, None)
    number = await work.db.one("SELECT id FROM chat WHERE uuid = $1", chat_uuid)
    key = await work.db.one("SELECT id FROM api_key WHERE uuid = $1", world.cast.master.uuid)
    uuids = []
    for _ in range(how_many):
        uuids.append(str(uuid.uuid4()))
        await attachment_rows.add(
            work.db,
            {
                "uuid": uuids[-1],
                "entity_id": work.actor.entity_id,
                "chat_id": number[0] if number else None,
                "member_id": tomas.id,
                "api_key_id": key[0] if key else None,
                "filename": "letter.txt",
                "content_type": "text/plain",
                "size": len(A_FILE),
                "sha256": hashlib.sha256(A_FILE).hexdigest(),
                "crc32": zlib.crc32(A_FILE),
                "created_at": times.now(),
                "waits_until": times.now() + attachments.WAITS,
            },
        )
    return uuids


def _sent_file(world: World) -> dict[str, Any]:
    """Name a file with a preview that stands in a chat of everybody who acts in the tests."""
    if "sent file" not in world.prepared:
        cast = world.cast
        chat_uuid = _chat(world)
        (file_uuid,) = world.work(cast.firm, lambda work: _make_uploads(work, world, chat_uuid, 1))
        for ending in ("", ".preview"):
            content = io.BytesIO(b"a picture" if ending else A_FILE)
            world.run(world.app.files.put(f"{cast.firm}/{file_uuid}{ending}", content))
        world.work(
            cast.firm,
            lambda work: work.db.run(
                "UPDATE attachment SET preview_type = 'image/webp', preview_digest = 'abc'"
                " WHERE uuid = $1",
                file_uuid,
            ),
        )
        body = {"chat_uuid": chat_uuid, "attachment_uuid": file_uuid}
        path = f"{CHAT}/chats/messages/send-attachment"
        accepted(world.post(path, key=cast.master, on_behalf_of=cast.tomas, json=body))
        world.prepared["sent file"] = [file_uuid]
    return {"attachment_uuid": world.prepared["sent file"][0]}


def _link(world: World, number: int) -> str:
    """A link of tomas to a file, made for this one call."""
    file_uuid = _upload(world, 0)
    token = f"{number:04}".ljust(43, "x")

    async def make(work: Work) -> None:
        tomas = await members.pick(work, world.cast.tomas.uuid, None)
        stored = await attachment_rows.attachment_of(work.db, work.actor.entity_id, file_uuid)
        assert stored is not None
        hashed = hashlib.sha256(token.encode()).digest()
        await attachment_rows.use_up_link(work.db, hashed)
        until = times.now() + 3600 * times.SECOND
        await attachment_rows.add_link(work.db, hashed, stored.id, tomas.id, until)

    world.work(world.cast.firm, make)
    return token


def _chat(world: World) -> str:
    """A chat that tomas and priya are in."""
    cast = world.cast
    rows = world.rows(
        "SELECT c.uuid FROM chat c JOIN entity e ON e.id = c.entity_id"
        " WHERE e.uuid = $1 ORDER BY c.id LIMIT 1",
        cast.firm,
    )
    if rows:
        return str(rows[0][0])
    response = world.post(
        f"{CHAT}/chats/create",
        key=cast.master,
        on_behalf_of=cast.tomas,
        json={"entity_user_xref_uuids": [cast.priya.uuid], "text": "zero"},
    )
    return str(accepted(response)["chat_uuid"])


def _to_review(world: World) -> dict[str, Any]:
    """Name a chat that tomas may review, and why."""
    return {"chat_uuid": _chat(world), **_reason(world)}


def _reason(world: World) -> dict[str, Any]:
    """Make tomas a reviewer of everything, and give a reason."""
    tomas = world.cast.tomas.uuid

    async def prepare(work: Work) -> None:
        await profiles.change_role(work, await members.pick(work, tomas, None), None, 3)

    if not world.rows("SELECT 1 FROM member WHERE uuid = $1 AND data_reviewer_level = 3", tomas):
        world.work(world.cast.firm, prepare)
    return {"reason": "Complaint 17"}


def acting_for(row: Endpoint, cast: Cast, kind: Kind) -> Person | None:
    """Give whom a master-user key acts for in a row."""
    return cast.tomas if kind is Kind.MASTER_USER and row.acting != "none" else None


def make(
    world: World,
    row: Endpoint,
    key: Shown | None,
    *,
    number: int = 0,
    acting: Member | None = None,
    request: Good | None = None,
    **changes: Any,
) -> httpx.Response:
    """Make the good request of a row with a key, with some of it changed; `request` if it is there.

    Looking each time whether a good request is still one takes longer than most refusals.
    """
    request = request or good(world, row, number)
    how: dict[str, Any] = {**request.how, **changes}
    if "X-Bounce-Signature" in request.headers:
        body = how.get("content") or json.dumps(how["json"]).encode()
        signed = _signed(body) if isinstance(body, bytes) else {}
        given = changes.get("headers", {})
        given = given.items() if isinstance(given, dict) else given
        how["headers"] = [*given, *signed.items()]
    path = request.path or row.path
    return world.run(world.request(row.method, path, key=key, on_behalf_of=acting, **how))
