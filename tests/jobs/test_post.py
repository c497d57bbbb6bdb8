"""Delivering: mails and texts by jobs, what is refused, and what comes back."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from onrecord.domain import post
from onrecord.jobs import worker
from onrecord.model import times
from onrecord.model.access import CLIENT
from onrecord.model.ports import Mail, Undeliverable
from onrecord.store.work import Work
from tests.outside.test_bounces import REPORT
from tests.world import ENTITY, World, accepted, refused

SECRET = "s"
BOUNCES = "/app-service/api/mail/bounces"


@dataclass
class Postman:
    """Takes mails and texts, or fails as a test wants."""

    host: str = "example.com"
    mails: list[Mail] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    fault: Exception | None = None

    async def send(self, *what: Any) -> None:
        if self.fault is not None:
            raise self.fault
        if isinstance(what[0], Mail):
            self.mails.append(what[0])
        else:
            self.texts.append((what[0], what[1]))


@pytest.fixture
def postman(world: World) -> Postman:
    made = Postman()
    world.work(None, lambda work: work.db.run("DELETE FROM job"))
    world.app.mailer, world.app.texter = made, made
    return made


def deliver(world: World) -> None:
    world.run(worker.run_due(world.app))


def make_due(world: World) -> None:
    world.work(None, lambda work: work.db.run("UPDATE job SET run_at = 0 WHERE state = 'queued'"))


def invite(world: World) -> str:
    body = {"enum_profile_id": CLIENT, "first_name": "Nell", "primary_email": "nell@example.com"}
    made = accepted(
        world.post(f"{ENTITY}/entity-memberships/create", key=world.cast.system, json=body)
    )
    uuid: str = made["entity_user_xref_uuid"]
    return uuid


def state(world: World, uuid: str) -> str:
    (row,) = world.rows("SELECT invitation FROM member WHERE uuid = $1", uuid)
    return str(json.loads(row[0])["state"])


def put_code(world: World, channel: Any, to: str) -> None:
    async def act(work: Work) -> None:
        await post.code(work, channel=channel, to=to, code="042117")

    world.work(world.cast.firm, act)


def test_mails_and_texts_go_out_in_the_organisations_name(world: World, postman: Postman) -> None:
    put_code(world, "email", "nell@example.com")
    put_code(world, "sms", "+442079460001")
    deliver(world)
    (mail,) = postman.mails
    assert (mail.to, mail.sender_name) == ("nell@example.com", "Alder & Finch")
    assert mail.letter.code == "042117"
    assert postman.texts == [("+442079460001", "Your code for Alder & Finch: 042117")]
    rows = world.rows("SELECT payload, result FROM job")
    assert "042117" not in str(rows), "what was delivered is forgotten"


def test_a_code_goes_out_before_invitations_that_wait(world: World, postman: Postman) -> None:
    invite(world)
    put_code(world, "email", "ingrid@example.com")
    deliver(world)
    assert [mail.to for mail in postman.mails] == ["ingrid@example.com", "nell@example.com"]


def test_a_mail_that_is_tried_again_has_the_same_message_id(
    world: World, postman: Postman, caplog: pytest.LogCaptureFixture
) -> None:
    put_code(world, "email", "nell@example.com")
    postman.fault = OSError("away")
    deliver(world)
    assert "042117" not in caplog.text
    make_due(world)
    postman.fault = None
    deliver(world)
    (uuid,) = world.rows("SELECT uuid FROM job")[0]
    assert [mail.message_id for mail in postman.mails] == [f"<{uuid}@example.com>"]


def test_an_invitation_refused_for_good_has_bounced_and_reminds_nobody(
    world: World, postman: Postman, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = invite(world)
    before = world.head(world.cast.firm)
    postman.fault = Undeliverable("the mail server refused the recipient (550)")
    deliver(world)
    assert state(world, uuid) == "bounced"
    assert [entry["type"] for entry in world.entries(world.cast.firm, before)] == [
        "invitation.bounced"
    ]
    assert world.rows("SELECT state FROM job") == [("failed",)]
    postman.fault = None
    real = times.now
    monkeypatch.setattr(times, "now", lambda: real() + 2 * 86_400 * times.SECOND)
    world.run(worker.do_chores(world.app))
    deliver(world)
    assert "nell@example.com" not in {mail.to for mail in postman.mails}


def test_where_no_mail_is_set_up_an_invitation_stays_unsent_and_has_not_bounced(
    world: World, postman: Postman
) -> None:
    assert postman.mails == []
    world.app.mailer = None
    uuid = invite(world)
    deliver(world)
    assert state(world, uuid) == "not_sent"
    (row,) = world.rows("SELECT state, result FROM job")
    assert row == ("failed", '{"reason": "no mail is set (mail_url)"}')


# -- what comes back -----------------------------------------------------------------------------


def tell(
    world: World,
    events: Any,
    *,
    secret: str = SECRET,
    age: int = 0,
    header: tuple[str, str] = ("", ""),
) -> httpx.Response:
    body = json.dumps({"events": events})
    stamp = str(times.now() // times.SECOND - age)
    digest = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
    signed = {
        "X-Bounce-Timestamp": stamp,
        "X-Bounce-Signature": f"sha256={digest}",
        "content-type": "application/json",
        **dict([header]),
    }
    return world.post(
        BOUNCES, content=body.encode(), headers={k: v for k, v in signed.items() if v}
    )


@pytest.fixture
def invited(world: World, postman: Postman) -> str:
    """A member whose invitation was sent, on a server that listens to its mail provider."""
    world.app.settings = replace(world.app.settings, bounce_secret="s")
    uuid = invite(world)
    deliver(world)
    assert state(world, uuid) == "sent"
    assert len(postman.mails) == 1
    return uuid


def test_a_provider_tells_of_a_bounce_by_the_id_of_the_mail(
    world: World, postman: Postman, invited: str
) -> None:
    before = world.head(world.cast.firm)
    event = {"type": "bounce", "message_id": postman.mails[0].message_id}
    assert accepted(tell(world, [event])) == {"taken": 1}
    accepted(tell(world, [event]))
    assert state(world, invited) == "bounced"
    types = [entry["type"] for entry in world.entries(world.cast.firm, before)]
    assert types == ["invitation.bounced"], "once"


def test_a_provider_tells_of_a_bounce_by_the_recipient(world: World, invited: str) -> None:
    event = {"type": "bounce", "recipient": "Nell@Example.com", "message_id": "<other@x>"}
    accepted(tell(world, [event]))
    assert state(world, invited) == "bounced"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "delivered", "recipient": "nell@example.com"},
        {"type": "bounce", "recipient": "somebody@example.com"},
        {"type": "bounce"},
        {"type": "bounce", "message_id": "<>", "recipient": ""},
    ],
)
def test_anything_else_changes_nothing(world: World, invited: str, event: dict[str, Any]) -> None:
    accepted(tell(world, [event]))
    assert state(world, invited) == "sent"


def test_only_whoever_knows_the_secret_tells_of_bounces(world: World, invited: str) -> None:
    event = {"type": "bounce", "recipient": "nell@example.com"}
    refused(tell(world, [event], secret="another"), "RU001", 401)
    refused(tell(world, [event], header=("X-Bounce-Signature", "")), "RU003", 401)
    refused(tell(world, [event], age=301), "RU010", 401)
    refused(tell(world, [event], header=("X-Bounce-Timestamp", "1")), "RU001", 401)
    assert state(world, invited) == "sent"


def test_without_a_secret_nobody_does(world: World) -> None:
    refused(tell(world, []), "RN005", 404)


def test_mail_that_came_back_into_the_directory_is_noted(
    world: World, postman: Postman, invited: str, tmp_path: Path
) -> None:
    new = tmp_path / "mail" / "new"
    new.mkdir(parents=True)
    returned = f"Content-Type: message/rfc822\n\nMessage-ID: {postman.mails[0].message_id}\n\nHi"
    (new / "1.x").write_text(REPORT.format(action="failed", returned=returned))
    world.app.settings = replace(world.app.settings, bounce_directory=tmp_path / "mail")
    world.run(worker.do_chores(world.app))
    assert state(world, invited) == "bounced"
    assert list(new.iterdir()) == []


# -- jobs by API ---------------------------------------------------------------------------------


def test_a_job_is_told_to_its_organisation_alone(world: World, postman: Postman) -> None:
    assert postman.texts == []
    put_code(world, "email", "nell@example.com")
    (uuid,) = world.rows("SELECT uuid FROM job")[0]
    path = f"{ENTITY}/jobs"
    job = accepted(world.get(path, key=world.cast.system, params={"job_uuid": uuid}))["job"]
    assert (job["job_uuid"], job["state"], job["done"]) == (uuid, "queued", 0)
    assert "042117" not in json.dumps(job)
    deliver(world)
    job = accepted(world.get(path, key=world.cast.system, params={"job_uuid": uuid}))["job"]
    assert job["state"] == "done"
    assert job["finished_at"]
    other = world.cast.other_system
    refused(world.get(path, key=other, params={"job_uuid": uuid}), "RN008", 404)
    refused(world.get(path, key=world.cast.system, params={"job_uuid": "x"}), "RB003", 400)
