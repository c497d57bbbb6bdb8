"""A year of one member of staff, lived through the front door and then read from the record."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from onrecord import app as composition
from onrecord.jobs import worker
from onrecord.model import times
from onrecord.model.access import STAFF, USER_ADMIN
from onrecord.proof import note, verify
from tests.cast import PASSWORD, Browser, Person
from tests.conftest import MakeWorld
from tests.talk import CREATE, say
from tests.world import CHAT, ENTITY, World, accepted, refused

APP = "/app-service/api"
MEMBERS = f"{ENTITY}/entity-memberships"
TYPO, RIGHT = "nora.kline@exmaple.com", "nora.kline@example.com"
SECRET = "what the mail provider knows"


class Year:
    """Nora's year at the firm."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.uuid = ""
        self.browser = Browser()
        self.chat = ""

    # -- what administrators do ------------------------------------------------------------------

    def administer(self, what: str, **more: Any) -> dict[str, Any]:
        """POST about her with the system key, and give her as answered."""
        body = {"entity_user_xref_uuid": self.uuid, **more}
        response = self.world.post(f"{MEMBERS}/{what}", key=self.world.cast.system, json=body)
        member: dict[str, Any] = accepted(response)["entity_membership"]
        return member

    def shown(self) -> dict[str, Any]:
        params = {"entity_user_xref_uuid": self.uuid}
        response = self.world.get(MEMBERS, key=self.world.cast.system, params=params)
        member: dict[str, Any] = accepted(response)["entity_membership"]
        return member

    def invite(self) -> None:
        cast = self.world.cast
        body = {
            "enum_profile_id": STAFF,
            "first_name": "Nora",
            "last_name": "Kline",
            "primary_email": TYPO,
            "identifier": "ADV-9",
            "group_uuids": [cast.team],
        }
        response = self.world.post(f"{MEMBERS}/create", key=cast.system, json=body)
        self.uuid = accepted(response)["entity_user_xref_uuid"]
        self.deliver()

    # -- mail ------------------------------------------------------------------------------------

    def deliver(self) -> None:
        self.world.run(worker.run_due(self.world.app))

    def newest_to(self, to: str) -> dict[str, Any]:
        home = {"host": "127.0.0.1:8080"}
        kept = accepted(self.world.get(f"{APP}/dev/outbox", headers=home))["messages"]
        mail: dict[str, Any] = next(one for one in kept if one["to"] == to)
        return mail

    def bounce(self, recipient: str) -> None:
        body = json.dumps({"events": [{"type": "bounce", "recipient": recipient}]}).encode()
        stamp = str(times.now() // times.SECOND)
        signed = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "X-Bounce-Timestamp": stamp,
            "X-Bounce-Signature": f"sha256={signed.hexdigest()}",
        }
        response = self.world.post(f"{APP}/mail/bounces", content=body, headers=headers)
        assert accepted(response) == {"taken": 1}

    # -- what she does ---------------------------------------------------------------------------

    def join(self) -> None:
        """Follow the newest link, choose a user name, read the code, confirm."""
        (link,) = self.newest_to(RIGHT)["links"]
        token = link.partition("/join#token=")[2]
        invited = self.world.get(f"{APP}/invitations", headers={"X-Invitation-Token": token})
        assert accepted(invited)["first_name"] == "Nora"
        body = {
            "token": token,
            "accept_terms": True,
            "username": "nora.kline",
            "password": PASSWORD,
        }
        begun = accepted(self.world.post(f"{APP}/invitations/accept", json=body))
        self.deliver()
        body = {"challenge": begun["challenge"], "code": self.newest_to(RIGHT)["code"]}
        response = self.world.post(f"{APP}/invitations/confirm", key=self.browser, json=body)
        assert accepted(response)["entity_user_xref_uuid"] == self.uuid
        self.browser.person = Person(
            self.uuid, self.world.cast.firm, "Nora", "Kline", RIGHT, "ADV-9", STAFF
        )

    def write_first(self, text: str) -> None:
        """Start a chat with Priya in her own browser."""
        body = {"entity_user_xref_uuids": [self.world.cast.priya.uuid], "text": text}
        self.chat = accepted(self.world.post(CREATE, key=self.browser, json=body))["chat_uuid"]
        body = {"chat_uuid": self.chat, "entity_user_xref_uuids": [self.world.cast.tomas.uuid]}
        accepted(self.world.post(f"{CHAT}/chats/invite", key=self.browser, json=body))

    def reads(self) -> list[str]:
        """What people said in the chat, as she reads it in her browser."""
        response = self.world.get(
            f"{CHAT}/chats/messages/range",
            key=self.browser,
            params={"chat_uuid": self.chat, "limit": 100},
        )
        return [one["text"] for one in accepted(response)["messages"] if one["kind"] == "text"]

    def is_refused(self, code: str) -> None:
        """See her browser refused, reading and writing."""
        refused(self.world.get(f"{CHAT}/chats", key=self.browser), code)
        body = {"chat_uuid": self.chat, "text": "Still here?"}
        refused(
            self.world.post(f"{CHAT}/chats/messages/send-text", key=self.browser, json=body), code
        )

    # -- the record ------------------------------------------------------------------------------

    def story(self, after: int) -> list[tuple[str, str, str]]:
        """Read from the feed what was done about her or in her chat: type, actor, of whom."""
        params = {"after": after, "limit": 1000}
        response = self.world.get(f"{ENTITY}/events", key=self.world.cast.system, params=params)
        return [
            (entry["type"], self._actor(entry["actor"]), self._of_whom(entry))
            for entry in accepted(response)["events"]
            if self.uuid == entry.get("entity_user_xref_uuid")
            or self.chat == entry.get("chat_uuid")
        ]

    def _actor(self, actor: dict[str, str]) -> str:
        """Say who acted and by what, in the words of this test."""
        keys = {self.world.cast.system.uuid: "system key", self.world.cast.master.uuid: "key"}
        by = keys[actor["api_key_uuid"]] if "api_key_uuid" in actor else actor["kind"]
        assert (actor["kind"] in {"system", "master_user"}) == ("api_key_uuid" in actor)
        who = actor.get("entity_user_xref_uuid")
        return f"{self._name(who)} by {by}" if who else by

    def _of_whom(self, entry: dict[str, Any]) -> str:
        ids = [self._name(entry.get("entity_user_xref_uuid"))]
        ids += ["the team"] if entry.get("group_uuid") == self.world.cast.team else []
        ids += ["the chat"] if entry.get("chat_uuid") == self.chat else []
        return ", ".join(one for one in ids if one)

    def _name(self, uuid: str | None) -> str:
        cast = self.world.cast
        return {
            None: "",
            self.uuid: "Nora",
            cast.tomas.uuid: "Tomas",
            cast.priya.uuid: "Priya",
        }[uuid]


STORY = [
    ("member.created", "system key", "Nora"),
    ("group.member_added", "system key", "Nora, the team"),
    ("invitation.made", "system key", "Nora"),
    ("invitation.sent", "service", "Nora"),
    ("invitation.bounced", "service", "Nora"),
    ("member.updated", "system key", "Nora"),
    ("invitation.made", "system key", "Nora"),
    ("invitation.made", "system key", "Nora"),
    ("invitation.sent", "service", "Nora"),
    ("member.joined", "Nora by service", "Nora"),
    ("member.signed_in", "Nora by session", "Nora"),
    ("chat.created", "Nora by session", "the chat"),
    ("participant.joined", "Nora by session", "Nora, the chat"),
    ("participant.joined", "Nora by session", "Priya, the chat"),
    ("message.sent", "Nora by session", "the chat"),
    ("participant.joined", "Nora by session", "Tomas, the chat"),
    ("member.role_changed", "system key", "Nora"),
    ("member.suspended", "system key", "Nora"),
    ("message.sent", "Tomas by key", "the chat"),
    ("message.sent", "Priya by key", "the chat"),
    ("member.unsuspended", "system key", "Nora"),
    ("member.destroyed", "system key", "Nora"),
    ("group.member_removed", "system key", "Nora, the team"),
    ("participant.left", "system key", "Nora, the chat"),
    ("message.sent", "Tomas by key", "the chat"),
    ("member.restored", "system key", "Nora"),
]


def _invited_after_a_bounce(year: Year) -> None:
    year.invite()
    assert year.shown()["invitation"]["state"] == "sent"
    year.bounce(TYPO)
    assert year.shown()["invitation"]["state"] == "bounced"
    corrected = year.administer("emails/update", primary_email=RIGHT)
    assert corrected["primary_email"] == RIGHT
    year.administer("invitations/resend")
    year.deliver()
    assert year.shown()["invitation"]["state"] == "sent"


def _suspended_for_a_while(year: Year) -> None:
    cast = year.world.cast
    year.administer("suspend")
    year.is_refused("RF024")
    say(year.world, cast.tomas, year.chat, "Nora is away")
    say(year.world, cast.priya, year.chat, "I see")
    year.administer("unsuspend")
    assert year.reads() == ["Good morning", "Nora is away", "I see"]


def _gone_and_back(year: Year) -> None:
    year.administer("destroy")
    year.is_refused("RF024")
    say(year.world, year.world.cast.tomas, year.chat, "Nora has left")
    back = year.administer("restore")
    assert (back["state"], back["profile"], back["group_uuids"]) == ("active", "user_admin", [])
    assert year.reads() == ["Good morning", "Nora is away", "I see"], "nothing newer"


def test_a_year_at_the_firm_reads_from_the_record_as_it_was_lived(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(dev_outbox=True, bounce_secret=SECRET)
    year = Year(world)
    before = world.head(world.cast.firm)
    _invited_after_a_bounce(year)
    year.join()
    assert (year.shown()["state"], year.shown()["invitation"]["state"]) == ("active", "accepted")
    year.write_first("Good morning")
    promoted = year.administer("profile/update", enum_profile_id=USER_ADMIN)
    assert promoted["profile"] == "user_admin"
    _suspended_for_a_while(year)
    _gone_and_back(year)
    assert year.story(before) == STORY
    archive = tmp_path / "record.jsonl"
    world.run(composition.write_archive(world.app, world.cast.firm, archive, None))
    report = verify.verify(archive, [note.VerifierKey.parse(world.app.signer.vkey)])
    assert report.ok, report.problem
