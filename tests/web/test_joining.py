"""Invitations and joining, through the front door."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from onrecord.domain import invitations, members, organisations
from onrecord.jobs import post, worker
from onrecord.model import times
from onrecord.model.access import CLIENT, STAFF
from onrecord.store.work import Work
from tests.cast import PASSWORD
from tests.faults import records
from tests.signing import signed_in
from tests.world import CHAT, ENTITY, World, accepted, refused

APP = "/app-service/api"
INVITE = f"{ENTITY}/entity-memberships/invitations"
DAY = 86_400 * times.SECOND


@pytest.fixture
def outbox(make_world: Any) -> Iterator[World]:
    """The firm on a server that keeps its mail."""
    world: World = make_world(dev_outbox=True)

    async def forget_petra(work: Work) -> None:
        for table in ("job", "invitation", "invitation_link"):
            await work.db.run(f"DELETE FROM {table}")  # noqa: S608 - names from the line above

    world.work(None, forget_petra)
    yield world
    records.check_record(world, *_firm(world))


def _firm(world: World) -> tuple[int, str]:
    """The firm's internal id and uuid: whatever a test did, its entries tell the tables."""
    (number,) = world.rows("SELECT id FROM entity WHERE uuid = $1", world.cast.firm)[0]
    return number, world.cast.firm


def deliver(world: World) -> None:
    world.run(worker.run_due(world.app))


def kept(world: World) -> list[dict[str, Any]]:
    """What is in the outbox, the newest first."""
    home = {"host": "127.0.0.1:8080"}
    messages: list[dict[str, Any]] = accepted(world.get(f"{APP}/dev/outbox", headers=home))[
        "messages"
    ]
    return messages


def token_in(message: dict[str, Any]) -> str:
    (link,) = message["links"]
    return str(link).partition("/join#token=")[2]


def invite(world: World, **more: Any) -> dict[str, Any]:
    """Create a member and deliver the mail; the member as it is then."""
    body = {
        "enum_profile_id": CLIENT,
        "first_name": "Nell",
        "last_name": "Abara",
        "primary_email": "nell@example.com",
        "group_uuids": [world.cast.team],
        **more,
    }
    made = accepted(
        world.post(f"{ENTITY}/entity-memberships/create", key=world.cast.system, json=body)
    )
    deliver(world)
    return shown(world, made["entity_user_xref_uuid"])


def shown(world: World, uuid: str) -> dict[str, Any]:
    member: dict[str, Any] = accepted(
        world.get(
            f"{ENTITY}/entity-memberships",
            key=world.cast.system,
            params={"entity_user_xref_uuid": uuid},
        )
    )["entity_membership"]
    return member


def accept(world: World, token: str, **changes: Any) -> httpx.Response:
    body = {
        "token": token,
        "accept_terms": True,
        "username": "nell.abara",
        "password": PASSWORD,
        **changes,
    }
    return world.post(
        f"{APP}/invitations/accept",
        json={name: value for name, value in body.items() if value is not None},
    )


def join(world: World, token: str, **changes: Any) -> httpx.Response:
    """Accept, read the code, confirm."""
    challenge = accepted(accept(world, token, **changes))["challenge"]
    deliver(world)
    return world.post(
        f"{APP}/invitations/confirm", json={"challenge": challenge, "code": kept(world)[0]["code"]}
    )


def look(world: World, token: str) -> httpx.Response:
    return world.get(f"{APP}/invitations", headers={"X-Invitation-Token": token})


def types_after(world: World, position: int) -> list[str]:
    return [entry["type"] for entry in world.entries(world.cast.firm, position)]


def pass_days(world: World, monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """Let the clock go on, and do what comes round."""
    real = times.now
    ahead = int(timedelta(days=days) / timedelta(microseconds=1))
    monkeypatch.setattr(times, "now", lambda: real() + ahead)
    world.run(post.remind(world.app))
    deliver(world)


# -- inviting ------------------------------------------------------------------------------------


def test_whoever_is_created_gets_a_mail_with_a_link_and_the_member_shows_it(outbox: World) -> None:
    before = outbox.head(outbox.cast.firm)
    member = invite(outbox, invitation_message="We are looking forward to you.")
    (mail,) = kept(outbox)
    assert mail["to"] == "nell@example.com"
    assert mail["channel"] == "email"
    assert "Hello Nell" in mail["text"]
    assert "We are looking forward to you." in mail["text"]
    assert "Miriam" in mail["text"], "who invited"
    assert mail["links"][0].startswith("http://127.0.0.1:8080/join#token=")
    assert len(token_in(mail)) >= 43
    state = member["invitation"]
    assert state["state"] == "sent"
    assert state["reminders_sent"] == 0
    assert times.read(state["expires_at"]) - times.read(state["sent_at"]) == pytest.approx(
        30 * DAY, abs=DAY / 100
    )
    assert types_after(outbox, before)[-2:] == ["invitation.made", "invitation.sent"]


def test_a_member_made_without_an_invitation_gets_none_until_it_is_sent_again(
    outbox: World,
) -> None:
    member = invite(outbox, send_invitation=False)
    assert member["invitation"] is None
    assert kept(outbox) == []
    uuid = member["entity_user_xref_uuid"]
    answer = accepted(
        outbox.post(
            f"{INVITE}/resend", key=outbox.cast.system, json={"entity_user_xref_uuid": uuid}
        )
    )
    assert answer["entity_membership"]["invitation"]["state"] == "not_sent"
    deliver(outbox)
    assert shown(outbox, uuid)["invitation"]["state"] == "sent"


def test_the_first_administrator_of_a_new_organisation_is_invited(outbox: World) -> None:
    new = organisations.NewOrganisation(name="Harbour", admin_email="ada@example.com")
    outbox.work(None, lambda work: organisations.create(work, new, "onrecord"))
    deliver(outbox)
    (mail,) = kept(outbox)
    assert (mail["to"], mail["subject"]) == ("ada@example.com", "Your invitation to Harbour")


def test_no_token_stands_in_the_database_once_the_mail_is_out(outbox: World) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    for (name,) in outbox.rows("SELECT DISTINCT state FROM job"):
        assert name == "done"
    for payload, result in outbox.rows("SELECT payload, result FROM job"):
        assert token not in f"{payload}{result}"
    (row,) = outbox.rows("SELECT token_hash FROM invitation_link")
    assert bytes(row[0]) == invitations.token_hash(token)


def test_resending_kills_the_older_link(outbox: World) -> None:
    uuid = invite(outbox)["entity_user_xref_uuid"]
    first = token_in(kept(outbox)[0])
    accepted(
        outbox.post(
            f"{INVITE}/resend",
            key=outbox.cast.system,
            json={"entity_user_xref_uuid": uuid, "invitation_message": "Once more."},
        )
    )
    deliver(outbox)
    second = kept(outbox)[0]
    assert "Once more." in second["text"]
    problem = refused(look(outbox, first), "RU010", 401)
    assert "newer" in problem["detail"]
    accepted(look(outbox, token_in(second)))


def test_a_link_that_was_superseded_before_it_went_out_is_not_mailed(outbox: World) -> None:
    uuid = invite(outbox, send_invitation=False)["entity_user_xref_uuid"]
    for _ in range(3):
        accepted(
            outbox.post(
                f"{INVITE}/resend", key=outbox.cast.system, json={"entity_user_xref_uuid": uuid}
            )
        )
    deliver(outbox)
    assert len(kept(outbox)) == 1


def test_inviting_again_somebody_who_is_not_pending_is_refused(outbox: World) -> None:
    body = {"entity_user_xref_uuid": outbox.cast.priya.uuid}
    refused(outbox.post(f"{INVITE}/resend", key=outbox.cast.system, json=body), "RB019", 400)
    refused(outbox.post(f"{INVITE}/revoke", key=outbox.cast.system, json=body), "RB019", 400)


def test_a_revoked_invitation_leads_nowhere_and_can_be_sent_anew(outbox: World) -> None:
    uuid = invite(outbox)["entity_user_xref_uuid"]
    token = token_in(kept(outbox)[0])
    before = outbox.head(outbox.cast.firm)
    body = {"entity_user_xref_uuid": uuid}
    answer = accepted(outbox.post(f"{INVITE}/revoke", key=outbox.cast.system, json=body))
    assert answer["entity_membership"]["invitation"]["state"] == "revoked"
    assert types_after(outbox, before) == ["invitation.revoked"]
    assert "revoked" in refused(look(outbox, token), "RU010")["detail"]
    refused(outbox.post(f"{INVITE}/revoke", key=outbox.cast.system, json=body), "RB019")
    accepted(outbox.post(f"{INVITE}/resend", key=outbox.cast.system, json=body))
    deliver(outbox)
    accepted(look(outbox, token_in(kept(outbox)[0])))


def test_destroying_a_pending_member_revokes_the_invitation_and_restoring_revives_no_link(
    outbox: World,
) -> None:
    uuid = invite(outbox)["entity_user_xref_uuid"]
    token = token_in(kept(outbox)[0])
    body = {"entity_user_xref_uuid": uuid}
    base = f"{ENTITY}/entity-memberships"
    accepted(outbox.post(f"{base}/destroy", key=outbox.cast.system, json=body))
    assert shown(outbox, uuid)["invitation"]["state"] == "revoked"
    refused(look(outbox, token), "RU010")
    accepted(outbox.post(f"{base}/restore", key=outbox.cast.system, json=body))
    refused(look(outbox, token), "RU010")


def test_another_primary_email_of_a_pending_member_gets_the_link_and_the_old_one_is_dead(
    outbox: World,
) -> None:
    uuid = invite(outbox)["entity_user_xref_uuid"]
    token = token_in(kept(outbox)[0])
    accepted(
        outbox.post(
            f"{ENTITY}/entity-memberships/emails/update",
            key=outbox.cast.system,
            json={"entity_user_xref_uuid": uuid, "primary_email": "abara@example.org"},
        )
    )
    deliver(outbox)
    assert {mail["to"]: bool(mail["links"]) for mail in kept(outbox)[:2]} == {
        "abara@example.org": True,
        "nell@example.com": False,
    }
    refused(look(outbox, token), "RU010")


# -- reminders and the end -----------------------------------------------------------------------


def test_a_reminder_follows_every_day_with_a_fresh_link_and_the_older_one_is_dead(
    outbox: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = invite(outbox, invitation_message="Welcome.")["entity_user_xref_uuid"]
    first = token_in(kept(outbox)[0])
    pass_days(outbox, monkeypatch, 0.5)
    assert len(kept(outbox)) == 1
    pass_days(outbox, monkeypatch, 0.6)
    reminder = kept(outbox)[0]
    assert reminder["subject"].startswith("Reminder:")
    assert "Welcome." in reminder["text"]
    refused(look(outbox, first), "RU010")
    accepted(look(outbox, token_in(reminder)))
    invitation = shown(outbox, uuid)["invitation"]
    assert (invitation["state"], invitation["reminders_sent"]) == ("sent", 1)
    outbox.run(post.remind(outbox.app))
    deliver(outbox)
    assert len(kept(outbox)) == 2, "one a day"


def test_an_invitation_expires_after_thirty_days(
    outbox: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = invite(outbox)["entity_user_xref_uuid"]
    for _ in range(29):
        pass_days(outbox, monkeypatch, 1.001)
    assert shown(outbox, uuid)["invitation"]["reminders_sent"] == 29
    token = token_in(kept(outbox)[0])
    before = outbox.head(outbox.cast.firm)
    pass_days(outbox, monkeypatch, 1.001)
    invitation = shown(outbox, uuid)["invitation"]
    assert (invitation["state"], invitation["reminders_sent"]) == ("expired", 29)
    assert types_after(outbox, before) == ["invitation.expired"]
    assert "expired" in refused(look(outbox, token), "RU010")["detail"]
    pass_days(outbox, monkeypatch, 2)
    assert len(kept(outbox)) == 30


def test_a_link_is_dead_at_the_end_of_its_time_even_before_anybody_looked_after_it(
    outbox: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    real = times.now
    monkeypatch.setattr(times, "now", lambda: real() + 31 * DAY)
    refused(look(outbox, token), "RU010")


def test_an_organisation_that_is_frozen_reminds_nobody_and_lets_nobody_join(
    outbox: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    outbox.work(outbox.cast.firm, lambda work: organisations.set_state(work, "frozen"))
    refused(look(outbox, token), "RN902", 404)
    pass_days(outbox, monkeypatch, 1.1)
    assert len(kept(outbox)) == 1
    outbox.work(outbox.cast.firm, lambda work: organisations.set_state(work, "active"))
    accepted(look(outbox, token))


def test_two_processes_send_a_reminder_once(outbox: World, monkeypatch: pytest.MonkeyPatch) -> None:
    invite(outbox)
    other = outbox.beside()
    real = times.now
    monkeypatch.setattr(times, "now", lambda: real() + 11 * DAY // 10)
    outbox.together(post.remind(outbox.app), post.remind(other.app))
    other.close()
    deliver(outbox)
    assert len(kept(outbox)) == 2


# -- joining -------------------------------------------------------------------------------------


def test_a_link_says_what_it_invites_to_as_often_as_one_looks(outbox: World) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    for response in (
        look(outbox, token),
        outbox.get(f"{APP}/invitations", params={"token": token}),
    ):
        assert accepted(response) == {
            "entity": {"name": "Alder & Finch", "logo_url": None},
            "first_name": "Nell",
            "needs_phone": False,
            "terms": [],
        }
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-store"


def test_whoever_joins_gets_an_account_a_session_and_the_organisations_contacts(
    outbox: World,
) -> None:
    member = invite(outbox)
    uuid = member["entity_user_xref_uuid"]
    token = token_in(kept(outbox)[0])
    before = outbox.head(outbox.cast.firm)
    response = join(outbox, token)
    body = accepted(response)
    assert body.keys() == {"entity_uuid", "entity_user_xref_uuid", "csrf_token"}
    assert (body["entity_uuid"], body["entity_user_xref_uuid"]) == (outbox.cast.firm, uuid)
    cookie = response.headers["set-cookie"].partition(";")[0]
    assert "HttpOnly" in response.headers["set-cookie"]
    seen = accepted(
        outbox.get(
            f"{CHAT}/contacts/list", headers={"cookie": cookie, "X-Entity-User-Xref-Uuid": uuid}
        )
    )
    assert {one["first_name"] for one in seen["contacts"]} >= {"Tomas", "Ingrid"}
    now = shown(outbox, uuid)
    assert (now["state"], now["invitation"]["state"]) == ("active", "accepted")
    joined = next(
        entry
        for entry in outbox.entries(outbox.cast.firm, before)
        if entry["type"] == "member.joined"
    )
    assert joined["entity_user_xref_uuid"] == uuid
    assert joined["actor"]["entity_user_xref_uuid"] == uuid
    assert "address" in joined["content"]
    assert "accepted" in refused(look(outbox, token), "RU010")["detail"]


def test_the_butler_welcomes_and_tells_the_staff_of_the_clients_groups(outbox: World) -> None:
    words = "Welcome <First Name> <Last Name>."
    outbox.work(
        outbox.cast.firm,
        lambda work: organisations.set_setting(work, "butler_welcome_text", words),
    )
    uuid = invite(outbox)["entity_user_xref_uuid"]
    accepted(join(outbox, token_in(kept(outbox)[0])))

    def last(member: str) -> str | None:
        chats = accepted(outbox.get(f"{CHAT}/chats", key=outbox.cast.master, on_behalf_of=member))
        texts = [one["last_message"]["text"] for one in chats["chats"] if one["is_butler"]]
        return texts[0] if texts else None

    assert last(uuid) == "Welcome Nell Abara."
    told = "Nell Abara has joined and can be written to now."
    assert last(outbox.cast.tomas.uuid) == last(outbox.cast.ingrid.uuid) == told
    assert last(outbox.cast.olga.uuid) is None, "shares no group"
    assert last(outbox.cast.priya.uuid) is None, "clients never see each other"


def test_more_staff_than_one_work_can_tell_are_told_by_a_job(
    outbox: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onrecord.domain.joining.TOLD_MOST", 1)
    invite(outbox)
    accepted(join(outbox, token_in(kept(outbox)[0])))
    told = "SELECT COUNT(*) FROM chat WHERE butler_member_id IS NOT NULL"
    assert outbox.rows(told) == [(1,)]
    deliver(outbox)
    assert outbox.rows(told) == [(2,)]


def test_the_code_goes_to_the_phone_that_administrators_entered(outbox: World) -> None:
    invite(outbox, primary_phone_number="+442079460001")
    token = token_in(kept(outbox)[0])
    answer = accepted(accept(outbox, token))
    assert answer["sent_to"].endswith("01")
    deliver(outbox)
    text = kept(outbox)[0]
    assert (text["channel"], text["to"]) == ("sms", "+442079460001")
    refused(accept(outbox, token, phone_number="+442079460002"), "RB003")


def test_where_the_organisation_asks_for_a_phone_and_knows_none_one_must_be_given(
    outbox: World,
) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    outbox.work(
        outbox.cast.firm,
        lambda work: organisations.set_setting(work, "client_invitation_type", "email_and_phone"),
    )
    assert accepted(look(outbox, token))["needs_phone"] is True
    refused(accept(outbox, token), "RB002", 400)
    refused(accept(outbox, token, phone_number="12"), "RB003", 400)
    response = join(outbox, token, phone_number="+44 20 7946 0003")
    accepted(response)
    assert kept(outbox)[0]["to"] == "+442079460003"
    assert outbox.rows("SELECT phone_number FROM account WHERE username = 'nell.abara'") == [
        ("+442079460003",)
    ]


def test_an_account_that_exists_joins_with_its_session(outbox: World) -> None:
    member = invite(outbox)
    token = token_in(kept(outbox)[0])
    browser = outbox.cast.session
    other = outbox.cast.other
    body = {"token": token, "accept_terms": True}
    refused(
        outbox.post(f"{APP}/invitations/accept", key=browser, json=body),
        "RB019",
        400,
    )
    elsewhere = members.NewMember(
        enum_profile_id=STAFF, first_name="Tomas", primary_email="tomas.next@example.com"
    )

    async def next_door(work: Work) -> str:
        made, _ = await members.create(work, elsewhere)
        return made.uuid

    uuid = outbox.work(other, next_door)
    deliver(outbox)
    body["token"] = token_in(kept(outbox)[0])
    challenge = accepted(outbox.post(f"{APP}/invitations/accept", key=browser, json=body))[
        "challenge"
    ]
    deliver(outbox)
    before = outbox.rows("SELECT COUNT(*) FROM account")
    done = accepted(
        outbox.post(
            f"{APP}/invitations/confirm",
            json={"challenge": challenge, "code": kept(outbox)[0]["code"]},
        )
    )
    assert done["entity_user_xref_uuid"] == uuid
    assert outbox.rows("SELECT COUNT(*) FROM account") == before
    accounts = outbox.rows(
        "SELECT account_id FROM member WHERE uuid = $1 OR uuid = $2", uuid, outbox.cast.tomas.uuid
    )
    assert accounts[0] == accounts[1]
    assert member["state"] == "pending"


def test_whose_membership_has_ended_comes_back_as_a_new_member_or_the_old_one(
    outbox: World,
) -> None:
    cast = outbox.cast
    members_at = f"{ENTITY}/entity-memberships"

    def change(path: str, **body: Any) -> httpx.Response:
        return outbox.post(f"{members_at}/{path}", key=cast.system, json=body)

    priya = {"entity_user_xref_uuid": cast.priya.uuid}
    browser = signed_in(outbox, cast.priya)
    accepted(change("destroy", **priya))
    accepted(change("emails/update", **priya, primary_email="before@example.com"))
    again = invite(outbox, first_name="Priya", primary_email=cast.priya.email)
    browser.person = None
    body = {"token": token_in(kept(outbox)[0]), "accept_terms": True}
    begun = accepted(outbox.post(f"{APP}/invitations/accept", key=browser, json=body))
    deliver(outbox)
    code = {"challenge": begun["challenge"], "code": kept(outbox)[0]["code"]}
    done = accepted(outbox.post(f"{APP}/invitations/confirm", json=code))
    assert done["entity_user_xref_uuid"] == again["entity_user_xref_uuid"]
    assert "another member" in refused(change("restore", **priya), "RB019", 400)["detail"]
    accepted(change("destroy", entity_user_xref_uuid=again["entity_user_xref_uuid"]))
    assert accepted(change("restore", **priya))["entity_membership"]["state"] == "active"
    refused(change("restore", entity_user_xref_uuid=again["entity_user_xref_uuid"]), "RB019", 400)


@pytest.mark.parametrize("how", ["sign-out", "account/devices/end-others", "sign-in"])
def test_a_session_that_is_over_joins_nobody_and_opens_no_other(outbox: World, how: str) -> None:
    invite(outbox)
    lena = outbox.cast.lena
    browser, other = signed_in(outbox, lena), signed_in(outbox, lena)
    browser.person = other.person = None
    body = {"token": token_in(kept(outbox)[0]), "accept_terms": True}
    begun = accepted(outbox.post(f"{APP}/invitations/accept", key=browser, json=body))
    right = {"challenge": begun["challenge"], "code": outbox.mailed("nell@example.com")}
    if how == "sign-in":
        signed_in(outbox, lena, browser)
    else:
        by = browser if how == "sign-out" else other
        accepted(outbox.post(f"{APP}/{how}", key=by, json={}))
    response = outbox.post(f"{APP}/invitations/confirm", json=right)
    refused(response, "RU010", 401)
    assert "set-cookie" not in response.headers


def test_accepting_looks_at_the_cookie_whatever_token_comes_beside(outbox: World) -> None:
    invite(outbox)
    lena = signed_in(outbox, outbox.cast.lena)
    body = {"token": token_in(kept(outbox)[0]), "accept_terms": True}
    headers = {**lena.headers, **outbox.cast.sdk.headers}
    accepted(outbox.post(f"{APP}/invitations/accept", headers=headers, json=body))
    assert (
        outbox.rows("SELECT account_id FROM challenge ORDER BY id DESC")[0]
        == (outbox.rows("SELECT account_id FROM member WHERE uuid = $1", outbox.cast.lena.uuid)[0])
    )


def test_a_link_sends_only_so_many_codes(outbox: World) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    for _ in range(10):
        accepted(accept(outbox, token))
    refused(accept(outbox, token, username="nell.other"), "RU029", 429)


def test_without_a_session_a_user_name_and_a_password_are_needed(outbox: World) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    refused(accept(outbox, token, username=None, password=None), "RB002")
    refused(accept(outbox, token, password=None), "RB002")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"accept_terms": False}, "RB003"),
        ({"accept_terms": None}, "RB002"),
        ({"username": "short"}, "RB003"),
        ({"username": "123456"}, "RB003"),
        ({"username": "nell abara"}, "RB003"),
        ({"username": "nell@abara"}, "RB003"),
        ({"username": "TOMAS.ADLER"}, "RB013"),
        ({"password": "too short"}, "RB003"),
        ({"password": "nell.abara123"}, "RB003"),
    ],
)
def test_what_cannot_be_is_refused_and_the_link_works_on(
    outbox: World, changes: dict[str, Any], code: str
) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    taken = outbox.rows(
        "SELECT a.username FROM account a JOIN member m ON m.account_id = a.id WHERE m.uuid = $1",
        outbox.cast.tomas.uuid,
    )[0][0]
    if changes.get("username") == "TOMAS.ADLER":
        changes = {"username": taken.upper()}
    refused(accept(outbox, token, **changes), code, 400)
    deliver(outbox)
    assert len(kept(outbox)) == 1, "no code was sent"
    accepted(look(outbox, token))


def test_a_user_name_is_taken_only_by_the_code_and_a_clash_then_is_told(outbox: World) -> None:
    invite(outbox)
    invite(outbox, first_name="Nora", primary_email="nora@example.com")
    tokens = [token_in(mail) for mail in kept(outbox)]
    first = accepted(accept(outbox, tokens[0]))["challenge"]
    deliver(outbox)
    first_code = kept(outbox)[0]["code"]
    accepted(join(outbox, tokens[1], username="Nell.Abara"))
    body = {"challenge": first, "code": first_code}
    refused(outbox.post(f"{APP}/invitations/confirm", json=body), "RB013", 400)
    accepted(join(outbox, tokens[0], username="another.name"))


def test_a_wrong_code_is_counted_and_five_of_them_use_it_up(outbox: World) -> None:
    member = invite(outbox)
    challenge = accepted(accept(outbox, token_in(kept(outbox)[0])))["challenge"]
    deliver(outbox)
    right = kept(outbox)[0]["code"]
    wrong = {"challenge": challenge, "code": f"{(int(right) + 1) % 10**6:06}"}
    for _ in range(5):
        refused(outbox.post(f"{APP}/invitations/confirm", json=wrong), "RU001", 401)
    body = {"challenge": challenge, "code": right}
    refused(outbox.post(f"{APP}/invitations/confirm", json=body), "RU010", 401)
    assert shown(outbox, member["entity_user_xref_uuid"])["state"] == "pending"


def test_a_code_joins_once(outbox: World) -> None:
    invite(outbox)
    challenge = accepted(accept(outbox, token_in(kept(outbox)[0])))["challenge"]
    deliver(outbox)
    body = {"challenge": challenge, "code": kept(outbox)[0]["code"]}
    answers = outbox.together(
        *(outbox.request("POST", f"{APP}/invitations/confirm", json=body) for _ in range(3))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]


def test_a_code_of_an_invitation_that_was_revoked_meanwhile_joins_nobody(outbox: World) -> None:
    uuid = invite(outbox)["entity_user_xref_uuid"]
    challenge = accepted(accept(outbox, token_in(kept(outbox)[0])))["challenge"]
    deliver(outbox)
    accepted(
        outbox.post(
            f"{INVITE}/revoke", key=outbox.cast.system, json={"entity_user_xref_uuid": uuid}
        )
    )
    code = next(mail["code"] for mail in kept(outbox) if mail["code"])
    body = {"challenge": challenge, "code": code}
    refused(outbox.post(f"{APP}/invitations/confirm", json=body), "RU010", 401)


@pytest.mark.parametrize("token", ["no such token", "x" * 43, "\N{SNOWMAN}"])
def test_a_token_that_is_none_says_so(outbox: World, token: str) -> None:
    response = outbox.get(f"{APP}/invitations", params={"token": token})
    refused(response, "RU010", 401)
    assert response.headers["referrer-policy"] == "no-referrer"
    refused(accept(outbox, token), "RU010", 401)


def test_a_token_must_be_given(outbox: World) -> None:
    refused(outbox.get(f"{APP}/invitations"), "RB002", 400)


def test_guessing_tokens_is_slowed_down(outbox: World) -> None:
    answers = outbox.together(
        *(
            outbox.request("GET", f"{APP}/invitations", params={"token": f"guess {number}"})
            for number in range(130)
        )
    )
    assert {answer.status_code for answer in answers} == {401, 429}


def test_trying_out_user_names_with_a_link_is_slowed_down(outbox: World) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    for _ in range(100):
        refused(accept(outbox, token, username="tomas.hartley"), "RB013", 400)
    refused(accept(outbox, token, username="tomas.hartley"), "RU029", 429)
    accepted(accept(outbox, token))


def test_whoever_is_activated_by_the_operator_has_no_link_any_more(outbox: World) -> None:
    member = invite(outbox)
    token = token_in(kept(outbox)[0])
    uuid = member["entity_user_xref_uuid"]
    outbox.work(outbox.cast.firm, lambda work: members.activate(work, uuid, "nell.abara", PASSWORD))
    refused(look(outbox, token), "RU010")
    assert outbox.rows("SELECT 1 FROM invitation") == []


def test_nothing_secret_is_in_the_tables_while_somebody_joins(outbox: World) -> None:
    invite(outbox)
    token = token_in(kept(outbox)[0])
    accepted(accept(outbox, token))
    (row,) = outbox.rows("SELECT payload FROM challenge")
    payload = json.loads(row[0])
    assert PASSWORD not in row[0]
    assert token not in row[0]
    assert payload["password"].startswith("$argon2id$")
