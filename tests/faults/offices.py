"""What administrators, identity providers and the mail do in a random history."""

import asyncio
import contextlib
import csv
import io
import json as jsons
from dataclasses import dataclass, field
from typing import Any

import httpx

from onrecord import app as composition
from onrecord.app import App
from onrecord.jobs import post, worker
from onrecord.model.access import Kind
from onrecord.store.db import Unavailable
from tests.cast import ApiKey, make_key
from tests.every_endpoint.calls import picture
from tests.faults.histories import Choice
from tests.faults.persons import Persons
from tests.faults.processes import MEMBERS, SEND
from tests.world import ENTITY

KEYS = f"{ENTITY}/api-keys"
SCIM = "/scim/v2"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PICTURES = [picture(colour) for colour in ("teal", "coral")]


@dataclass
class Offices(Persons):
    """Random acts of administrators beside those of members and persons, with workers at work."""

    provider: ApiKey | None = None
    """The key of an identity provider."""
    provided: list[str] = field(default_factory=list)
    """Staff that the provider made."""
    scim_groups: list[str] = field(default_factory=list)
    api_keys: list[ApiKey] = field(default_factory=list)
    """Made by API; also those that have been stopped."""
    imports: list[tuple[str, bool, int]] = field(default_factory=list)
    """Job, whether it was a dry run, and how many rows."""
    exports: list[bytes] = field(default_factory=list)
    """Sealed ZIPs."""

    def choices(self) -> list[Choice]:
        """Give what can be done; offices do about as much as members."""
        return [
            *super().choices(),
            (5, self.invite_by_mail),
            (4, self.resend),
            (2, self.revoke),
            (2, self.bounce),
            (3, self.let_time_go_by),
            (3, self.make_key_by_api),
            (4, self.change_key_by_api),
            (2, self.use_key_of_api),
            (3, self.set_up),
            (2, self.ask_for_terms),
            (2, self.draw),
            (4, self.import_file),
            (4, self.provide),
            (4, self.change_provided),
            (3, self.provide_group),
            (3, self.embed),
            (1, self.take_out),
        ]

    async def at_work(self) -> Any:
        """Run the history with a worker beside each App, and then what is left to be done."""
        await self.begin()
        world = self.world
        self.provider = await make_key(
            world.app, world.cast.firm, Kind.SYSTEM, permissions=["can_provision"]
        )
        workers = [asyncio.create_task(worker.run(one.app)) for one in self.worlds]
        try:
            seen = await self.run()
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        await self._make_due("end_membership")
        await worker.run_due(world.app)
        return seen

    def an_app(self) -> App:
        return self.chance.choice(self.worlds).app

    async def _operate(self, sql: str, *values: Any) -> None:
        """Change what no entry tells of: when something is due."""
        await self.an_app().as_service(lambda work: work.db.run(sql, *values))

    async def _make_due(self, kind: str) -> None:
        await self._operate("UPDATE job SET run_at = 0 WHERE kind = $1 AND state = 'queued'", kind)

    # -- invitations -----------------------------------------------------------------------------

    async def invite_by_mail(self) -> None:
        """Make a member who is invited at an address of the member's own."""
        number = next(self.numbers)
        json = {
            "enum_profile_id": self.chance.choice([2, 3, 4, 5]),
            "first_name": "Nell",
            "primary_email": f"nell.{number}@example.net",
            "group_uuids": [self.a_group()],
        }
        await self._system(f"{MEMBERS}/create", "member.created", **json)

    async def a_pending(self) -> str:
        """Give somebody who was invited, or else anybody."""
        found = await self.rows(
            "SELECT uuid FROM member WHERE invitation IS NOT NULL ORDER BY id DESC LIMIT 8"
        )
        return str(self.chance.choice(found)[0]) if found else self.world.cast.petra.uuid

    async def resend(self) -> None:
        who = {"entity_user_xref_uuid": await self.a_pending()}
        await self._system(f"{MEMBERS}/invitations/resend", "invitation.made", **who)

    async def revoke(self) -> None:
        who = {"entity_user_xref_uuid": await self.a_pending()}
        await self._system(f"{MEMBERS}/invitations/revoke", "invitation.revoked", **who)

    async def bounce(self) -> None:
        """Let a mail come back, told twice at once."""
        found = await self.rows("SELECT recipient FROM invitation_link WHERE ended IS NULL")
        if found:
            recipient = self.chance.choice(found)[0]
            notes = (composition.note_bounce(one.app, "", recipient) for one in self.worlds)
            await asyncio.gather(*notes)

    async def let_time_go_by(self) -> None:
        """Let reminders be due, now and then an invitation be over; both Apps look after it."""
        uuid = await self.a_pending()
        expires = ", expires_at = 0" if self.chance.random() < 0.3 else ""
        await self._operate(
            f"UPDATE invitation SET next_at = 0{expires}"  # noqa: S608 - a word of ours
            " WHERE member_id = (SELECT id FROM member WHERE uuid = $1)",
            uuid,
        )
        await asyncio.gather(*(self._remind(one.app) for one in self.worlds))

    @staticmethod
    async def _remind(app: App) -> None:
        with contextlib.suppress(Unavailable):  # a deadlock too many; the next minute does it
            await post.remind(app)

    # -- keys, settings, pictures ----------------------------------------------------------------

    async def make_key_by_api(self) -> None:
        kind = self.chance.choice([Kind.MASTER_USER, Kind.SYSTEM, Kind.USER])
        held = {Kind.SYSTEM: ["can_export", "can_read_admin"]}.get(
            kind, ["can_read_chat", "can_write_chat"]
        )
        json: dict[str, Any] = {"kind": kind, "name": "By API", "permissions": held}
        if kind is Kind.USER:
            json["entity_user_xref_uuid"] = self.somebody().uuid
        answer = await self._system(f"{KEYS}/create", "key.created", **json)
        if answer.status_code == 200:
            made = answer.json()
            self.api_keys.append(
                ApiKey(kind, made["api_key_uuid"], made["api_key"], made["secret"], "By API")
            )

    async def change_key_by_api(self) -> None:
        if not self.api_keys:
            return
        key, number = self.chance.choice(self.api_keys), next(self.numbers)
        act = self.chance.choice(["update", "update", "rotate", "rotate", "deactivate", "destroy"])
        new: dict[str, Any] = self.chance.choice(
            [
                {"name": f"Key {number}"},
                {"rate_limit": f"{number + 1000}/60"},
                {"cidr_blocks": ["127.0.0.0/8"]},
            ]
        )
        json: dict[str, Any] = {"api_key_uuid": key.uuid, **(new if act == "update" else {})}
        if act == "rotate":
            json["overlap_seconds"] = self.chance.choice([0, 60])
        answer = await self._system(f"{KEYS}/{act}", None, **json)
        if answer.status_code == 200 and act == "rotate":
            secret = answer.json()["secret"]
            self.api_keys.append(ApiKey(key.kind, key.uuid, key.api_key, secret, key.name))

    async def use_key_of_api(self) -> None:
        """Write with a key made by API; what was stopped or rotated is refused."""
        if self.api_keys:
            key = self.chance.choice(self.api_keys)
            by = self.somebody() if key.kind is Kind.MASTER_USER else None
            json = {"chat_uuid": self.a_chat(), "text": self.a_text()}
            await self.post(SEND, key=key, on_behalf_of=by, json=json)

    async def set_up(self) -> None:
        """Change the organisation's name or a setting."""
        number = next(self.numbers)
        new: dict[str, Any] = self.chance.choice(
            [
                {"name": f"Alder & Finch {number}"},
                {"banner": f"Closed on day {number}"},
                {
                    "butler_welcome_text": self.chance.choice(
                        ["", f"Welcome, <First Name> {number}"]
                    )
                },
                {"clients_may_add_participants": self.chance.random() < 0.5},
                {"allow_user_api_keys": self.chance.random() < 0.7},
                {"sdk_token_seconds": 60 + number},
                {"client_invitation_type": "email_only"},
                {"timezone": self.chance.choice(["Europe/London", "Asia/Tokyo"])},
            ]
        )
        await self._system(f"{ENTITY}/organisation/update", None, **new)

    async def ask_for_terms(self) -> None:
        text = self.chance.choice(["", "Terms of old", f"Terms {next(self.numbers)}"])
        await self._system(f"{ENTITY}/terms/update", None, text=text)

    async def draw(self) -> None:
        """Give somebody a picture, or take it away."""
        who = {"entity_user_xref_uuid": self.an_expendable()}
        key = self.world.cast.system
        if self.chance.random() < 0.3:
            await self.post(f"{MEMBERS}/avatar/remove", key=key, json=who)
            return
        file = ("me.png", self.chance.choice(PICTURES), "image/png")
        await self.post(f"{MEMBERS}/avatar/update", key=key, data=who, files={"file": file})

    # -- files -----------------------------------------------------------------------------------

    async def import_file(self) -> None:
        """Import a small file, dry or in earnest; some rows meet members of other actors."""
        kind = self.chance.choice(["clients", "staff", "groups", "group_members"])
        rows = [self._row(kind) for _ in range(self.chance.randint(1, 6))]
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        dry = self.chance.random() < 0.4
        answer = await self.post(
            f"{ENTITY}/imports/create",
            key=self.world.cast.system,
            data={
                "kind": kind,
                "dry_run": str(dry).lower(),
                "ignore_existing_identifiers": str(self.chance.random() < 0.5).lower(),
                "send_invitations": str(self.chance.random() < 0.5).lower(),
            },
            files={"file": (f"{kind}.csv", out.getvalue().encode(), "text/csv")},
            writes=None if dry else "import.started",
        )
        if answer.is_success:
            self.imports.append((answer.json()["job_uuid"], dry, len(rows)))

    def _row(self, kind: str) -> dict[str, str]:
        number = self.chance.randrange(60)  # as in `make_member`, so that they meet
        if kind == "groups":
            return {"Name": f"Desk {number}", "Identifier": f"G-{number % 30}"}
        if kind == "group_members":
            who = self.chance.choice([f"N-{number}", "CL-1", "CL-2", "ADV-3"])
            return {"Group Identifier": f"G-{number % 30}", "Identifier": who}
        return {
            "First Name": "Nora",
            "Email": f"nora.{number}@example.net",
            "Identifier": f"N-{number}",
            "Group Identifier(s)": self.chance.choice(["", f"G-{number % 30}"]),
        }

    async def take_out(self) -> None:
        """Take an export of the entities, often sealed."""
        form = self.chance.choice(["json", "csv", "zip", "zip"])
        answer = await self.ask(
            "GET",
            f"{ENTITY}/export/entities",
            key=self.world.cast.system,
            params={"format": form},
            writes="export.made",
        )
        if answer.status_code == 200 and form == "zip":
            self.exports.append(answer.content)

    # -- an identity provider --------------------------------------------------------------------

    async def scim(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send what a provider sends."""
        key = self.provider
        assert key is not None
        headers = {"Authorization": f"Bearer {key.api_key}.{key.secret}"}
        content = None
        if body is not None:
            content = jsons.dumps(body).encode()
            headers["content-type"] = "application/scim+json"
        return await self.ask(method, f"{SCIM}/{path}", headers=headers, content=content)

    async def provide(self) -> None:
        number = self.chance.randrange(60)
        user = {
            "userName": f"nora.{number}@example.net",
            "name": {"givenName": "Sky", "familyName": "Provided"},
            "externalId": f"N-{number}",
            "active": self.chance.random() < 0.8,
        }
        answer = await self.scim("POST", "Users", user)
        if answer.status_code == 201:
            self.provided.append(answer.json()["id"])

    async def change_provided(self) -> None:
        """Rename, stop, start or delete staff; now and then somebody whom an administrator made."""
        olga = self.world.cast.olga.uuid
        who = self.chance.choice([*self.provided[-6:], olga])
        if self.chance.random() < 0.2:
            await self.scim("DELETE", f"Users/{who}")
            return
        value = self.chance.choice(
            [
                {"active": False},
                {"active": True},
                {"active": True},
                {"name": {"familyName": f"Provided {next(self.numbers)}"}},
            ]
        )
        operations = [{"op": "replace", "value": value}]
        await self.scim("PATCH", f"Users/{who}", {"schemas": [PATCH_OP], "Operations": operations})

    async def provide_group(self) -> None:
        """Make a group, or change who is in it."""
        if not self.scim_groups or self.chance.random() < 0.3:
            answer = await self.scim("POST", "Groups", {"displayName": "Provided"})
            if answer.status_code == 201:
                self.scim_groups.append(answer.json()["id"])
            return
        group = self.chance.choice([*self.scim_groups, *self.groups])
        if self.chance.random() < 0.1:
            await self.scim("DELETE", f"Groups/{group}")
            return
        members = [{"value": one} for one in [*self.provided[-3:], self.world.cast.olga.uuid]]
        some = self.chance.sample(members, self.chance.randint(1, len(members)))
        op = self.chance.choice(["add", "add", "remove", "replace"])
        operation = {"op": op, "path": "members", "value": some}
        await self.scim(
            "PATCH", f"Groups/{group}", {"schemas": [PATCH_OP], "Operations": [operation]}
        )

    # -- the embedded app ------------------------------------------------------------------------

    async def embed(self) -> None:
        """Make a token of the embedded app, write with it, and often give it back."""
        who = self.somebody()
        answer = await self._system(
            f"{ENTITY}/sdk/sessions/create",
            "sdk.session_created",
            entity_user_xref_uuid=who.uuid,
        )
        if answer.status_code != 200:
            return
        headers = {"Authorization": f"Bearer {answer.json()['sdk_token']}"}
        json = {"chat_uuid": self.a_chat(), "text": self.a_text()}
        await self.post(SEND, headers=headers, json=json)
        if self.chance.random() < 0.6:
            path = "/app-service/api/sign-out"
            await asyncio.gather(*(self.post(path, headers=headers, json={}) for _ in range(2)))
