"""Signing in: the password, then a code; sessions and what they open; how all of it ends."""

import json as jsons
from typing import Any

import pytest

from onrecord.domain import accounts, challenges, members, organisations, sessions, terms
from onrecord.model import times
from onrecord.model.access import INSTALLATION_UUID
from onrecord.store.work import Work
from tests.cast import PASSWORD, Browser, set_member_state
from tests.conftest import MakeWorld
from tests.signing import APP, begin, confirm, signed_in, username
from tests.world import CHAT, ENTITY, World, accepted, refused


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """The firm, with mails kept instead of sent."""
    return make_world(dev_outbox=True)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = 0

    def move(self, seconds: float) -> None:
        self.ahead += int(seconds * times.SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    real, made = times.now, Clock()
    monkeypatch.setattr(times, "now", lambda: real() + made.ahead)
    return made


# -- coming in -----------------------------------------------------------------------------------


def test_signing_in_takes_a_password_and_then_the_mailed_code(world: World) -> None:
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    assert begun["sent_to"] == "t••••@example.com"
    assert begun["methods"] == ["email"]
    browser = Browser()
    response = confirm(world, begun["challenge"], world.mailed(tomas.email), browser)
    answer = accepted(response)
    assert answer["memberships"] == [
        {
            "entity": {
                "entity_uuid": world.cast.firm,
                "name": "Alder & Finch",
                "avatar_url": None,
                "logo_url": None,
            },
            "entity_user_xref_uuid": tomas.uuid,
            "profile": "staff",
            "state": "active",
            "entity_state": "active",
            "terms": [],
        }
    ]
    cookie = response.headers.get_list("set-cookie")[0]
    assert cookie.startswith("onrecord_session=")
    for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookie
    assert "Secure" not in cookie
    shown = accepted(world.get(f"{APP}/session", key=browser))
    assert shown["csrf_token"] == answer["csrf_token"]
    assert shown["memberships"] == answer["memberships"]
    assert shown["account"]["username"] == "tomas.hartley"
    assert shown["account"]["email"] == tomas.email


def test_over_https_the_cookie_is_for_this_host_and_https_alone(make_world: MakeWorld) -> None:
    world = make_world(public_url="https://chat.example.com")
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    code, _ = world.work(None, lambda work: challenges.show_code(work, username(tomas)))
    browser = Browser()
    response = confirm(world, begun["challenge"], code, browser)
    for cookie in response.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-onrecord_")
        assert cookie.endswith("; Secure")
    assert browser.token
    accepted(world.get(f"{APP}/session", key=browser))
    plain = Browser(cookies={"onrecord_session": browser.token})
    refused(world.get(f"{APP}/session", key=plain), "RU003", 401)


def test_a_wrong_password_and_a_wrong_user_name_look_and_cost_the_same(world: World) -> None:
    before = world.app.passwords.compared
    told = []
    for name in ("tomas.hartley", "nobody.at.all"):
        body = {"username": name, "password": "not the right password"}
        problem = refused(world.post(f"{APP}/sign-in", json=body), "RU001", 401)
        problem.pop("instance")
        told.append(problem)
    assert told[0] == told[1]
    assert world.app.passwords.compared == before + 2
    assert world.rows("SELECT failures FROM sign_in_failure") == [(1,), (1,)]


def test_the_user_name_is_compared_without_case_and_the_password_with_it(world: World) -> None:
    tomas = world.cast.tomas
    begin(world, tomas, username="TOMAS.Hartley")
    body = {"username": username(tomas), "password": PASSWORD.upper()}
    refused(world.post(f"{APP}/sign-in", json=body), "RU001", 401)


@pytest.mark.parametrize("name", ["tomas.hartley", "nobody.at.all"])
def test_five_failures_lock_for_a_growing_while_whether_or_not_there_is_such_an_account(
    world: World, clock: Clock, name: str
) -> None:
    wrong = {"username": name, "password": "not the right password"}
    for _ in range(accounts.FAILURES_FREE):
        refused(world.post(f"{APP}/sign-in", json=wrong), "RU001", 401)
    waits = []
    for _ in range(3):
        before = world.app.passwords.compared
        response = world.post(f"{APP}/sign-in", json={**wrong, "password": PASSWORD})
        refused(response, "RU029", 429)
        assert world.app.passwords.compared == before
        waits.append(int(response.headers["retry-after"]))
        clock.move(waits[-1])
        refused(world.post(f"{APP}/sign-in", json=wrong), "RU001", 401)
    assert waits == [30, 60, 120]


def test_a_locked_account_opens_again_and_signing_in_forgets_the_failures(
    world: World, clock: Clock
) -> None:
    tomas = world.cast.tomas
    wrong = {"username": username(tomas), "password": "not the right password"}
    for _ in range(5):
        refused(world.post(f"{APP}/sign-in", json=wrong), "RU001", 401)
    clock.move(31)
    signed_in(world, tomas)
    assert world.rows("SELECT failures FROM sign_in_failure") == []


def test_of_tries_at_the_same_moment_no_more_than_five_are_told_apart(world: World) -> None:
    tomas = world.cast.tomas
    tries = [
        {"username": username(tomas), "password": word}
        for word in [*["not the right password"] * 8, PASSWORD]
    ]
    answers = world.together(*(world.request("POST", f"{APP}/sign-in", json=one) for one in tries))
    codes = [one.json().get("error_code") for one in answers]
    assert codes.count("RU001") <= 5
    assert codes[-1] in {None, "RU029"}
    assert codes.count("RU029") >= 3


def test_failed_sign_ins_go_on_record_once_for_account_reason_and_minute(world: World) -> None:
    tomas = world.cast.tomas
    wrong = {"username": username(tomas), "password": "not the right password"}
    for _ in range(3):
        refused(world.post(f"{APP}/sign-in", json=wrong), "RU001")
    begun = begin(world, tomas)
    refused(confirm(world, begun["challenge"], "000000x"), "RU001")
    refused(world.post(f"{APP}/sign-in", json={**wrong, "username": "nobody.here"}), "RU001")
    before = world.head(INSTALLATION_UUID)
    world.run(world.app.note_counts())
    found = [
        (entry["type"], entry["data"]["reason"], entry["data"]["count"])
        for entry in world.entries(INSTALLATION_UUID, before)
    ]
    assert found == [("sign_in.failed", "password", 3), ("sign_in.failed", "code", 1)]
    world.run(world.app.note_counts())
    assert world.head(INSTALLATION_UUID) == before + 2


def test_after_a_hundred_failures_an_address_is_told_to_wait(world: World) -> None:
    def wrong(number: int) -> Any:
        body = {"challenge": f"no such {number}", "code": "123456"}
        return world.request("POST", f"{APP}/sign-in/confirm", json=body)

    for response in world.together(*map(wrong, range(100))):
        refused(response, "RU010", 401)
    refused(world.run(wrong(101)), "RU029", 429)
    signed_in(world, world.cast.tomas)


# -- codes ---------------------------------------------------------------------------------------


def test_a_code_is_taken_once(world: World) -> None:
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    code = world.mailed(tomas.email)
    accepted(confirm(world, begun["challenge"], code))
    refused(confirm(world, begun["challenge"], code), "RU010", 401)


def test_a_code_lives_ten_minutes(world: World, clock: Clock) -> None:
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    clock.move(601)
    refused(confirm(world, begun["challenge"], world.mailed(tomas.email)), "RU010", 401)


def test_a_code_allows_five_tries_which_are_counted_although_they_are_refused(world: World) -> None:
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    code = world.mailed(tomas.email)
    wrong = "111111" if code != "111111" else "222222"
    for _ in range(4):
        refused(confirm(world, begun["challenge"], wrong), "RU001", 401)
    accepted(confirm(world, begun["challenge"], code))
    world.work(None, lambda work: accounts.forget_failures(work, username(tomas)))
    begun = begin(world, tomas)
    code = world.mailed(tomas.email)
    wrong = "111111" if code != "111111" else "222222"
    for _ in range(5):
        refused(confirm(world, begun["challenge"], wrong), "RU001", 401)
    refused(confirm(world, begun["challenge"], code), "RU010", 401)


def test_wrong_codes_lock_the_account_as_wrong_passwords_do(world: World) -> None:
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    for _ in range(5):
        refused(confirm(world, begun["challenge"], "no code"), "RU001")
    body = {"username": username(tomas), "password": PASSWORD}
    refused(world.post(f"{APP}/sign-in", json=body), "RU029", 429)


def test_codes_asked_for_beforehand_give_no_tries_behind_a_door_that_is_shut(
    world: World, clock: Clock
) -> None:
    tomas = world.cast.tomas
    waiting = begin(world, tomas)["challenge"], begin(world, tomas)["challenge"]
    right = {"challenge": begin(world, tomas)["challenge"], "code": world.mailed(tomas.email)}
    for _ in range(5):
        refused(confirm(world, waiting[0], "no code"), "RU001", 401)
    for challenge, code in ((waiting[1], "no code"), (right["challenge"], right["code"])):
        problem = confirm(world, challenge, code)
        refused(problem, "RU029", 429)
        assert int(problem.headers["retry-after"]) <= 30
    assert world.rows("SELECT failures FROM sign_in_failure") == [(5,)]
    world.run(world.app.note_counts())
    told = {entry["data"]["reason"]: entry["data"]["count"] for entry in failed_on_record(world)}
    assert told == {"code": 5, "locked": 2}
    clock.move(31)
    refused(confirm(world, waiting[1], "no code"), "RU001", 401)
    clock.move(61)
    accepted(confirm(world, **right))


def failed_on_record(world: World) -> list[dict[str, Any]]:
    """Give the failed sign-ins on record."""
    entries = world.entries(INSTALLATION_UUID)
    return [entry for entry in entries if entry["type"] == "sign_in.failed"]


def test_only_so_many_codes_are_sent_without_one_coming_back(world: World) -> None:
    tomas = world.cast.tomas
    body = {"username": username(tomas), "password": PASSWORD}
    for _ in range(9):
        begin(world, tomas)
    signed_in(world, tomas)
    for _ in range(10):
        begin(world, tomas)
    sent = world.rows("SELECT count(*) FROM challenge")
    refused(world.post(f"{APP}/sign-in", json=body), "RU029", 429)
    assert world.rows("SELECT count(*) FROM challenge") == sent
    signed_in(world, world.cast.ingrid)


def test_a_code_of_one_challenge_opens_no_other(world: World) -> None:
    one, other = begin(world, world.cast.tomas), begin(world, world.cast.ingrid)
    code = world.mailed(world.cast.tomas.email)
    if code != world.mailed(world.cast.ingrid.email):
        refused(confirm(world, other["challenge"], code), "RU001")
    accepted(confirm(world, one["challenge"], code))


def test_a_text_is_sent_where_there_is_a_phone(world: World) -> None:
    tomas = world.cast.tomas
    phone = "+441234567890"
    world.change(
        tomas.entity_uuid,
        "UPDATE account SET phone_number = $1 WHERE username = $2",
        phone,
        username(tomas),
    )
    begun = begin(world, tomas)
    assert begun["methods"] == ["sms"]
    assert begun["sent_to"] == "+44••••90"
    accepted(confirm(world, begun["challenge"], world.mailed(phone)))


def test_where_neither_mail_nor_text_is_set_the_operator_shows_the_code(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    assert (begun["methods"], begun["sent_to"]) == (["operator"], "")
    refused(confirm(world, begun["challenge"], "000000"), "RU001")
    code, purpose = world.work(None, lambda work: challenges.show_code(work, username(tomas)))
    assert purpose == "sign_in"
    accepted(confirm(world, begun["challenge"], code))
    assert world.entries(INSTALLATION_UUID)[-2]["type"] == "account.code_made"


# -- sessions ------------------------------------------------------------------------------------


def test_signing_in_gives_a_new_session_and_ends_the_one_the_browser_had(world: World) -> None:
    browser = signed_in(world, world.cast.tomas)
    old = Browser(world.cast.tomas, dict(browser.cookies))
    signed_in(world, world.cast.tomas, browser)
    assert browser.token != old.token
    accepted(world.get(f"{APP}/session", key=browser))
    refused(world.get(f"{APP}/session", key=old), "RU010", 401)


def test_a_session_that_a_stranger_chose_is_never_opened(world: World) -> None:
    browser = Browser(cookies={"onrecord_session": "chosen by somebody else"})
    signed_in(world, world.cast.tomas, browser)
    assert browser.token != "chosen by somebody else"
    planted = Browser(world.cast.tomas, {"onrecord_session": "chosen by somebody else"})
    refused(world.get(f"{APP}/session", key=planted), "RU010", 401)


def test_a_post_needs_the_csrf_token_and_a_get_does_not(world: World) -> None:
    browser = signed_in(world, world.cast.tomas)
    accepted(world.get(f"{CHAT}/chats", key=browser))
    before = world.head(world.cast.firm)
    body = {"entity_user_xref_uuids": [world.cast.ingrid.uuid], "text": "Hello"}
    other = signed_in(world, world.cast.ingrid)
    for wrong in ("", "x", sessions.csrf_of(other.token or "")):
        headers = {**browser.headers, "X-CSRF-Token": wrong}
        refused(world.post(f"{CHAT}/chats/create", headers=headers, json=body), "RU003", 401)
    headers = {name: one for name, one in browser.headers.items() if name != "X-CSRF-Token"}
    refused(world.post(f"{CHAT}/chats/create", headers=headers, json=body), "RU003", 401)
    assert world.head(world.cast.firm) == before
    accepted(world.post(f"{CHAT}/chats/create", key=browser, json=body))


@pytest.mark.parametrize("path", ["sign-in", "sign-in/confirm", "account/password/forgot"])
def test_what_takes_no_credential_takes_no_body_that_other_sites_can_send(
    world: World, path: str
) -> None:
    tomas = world.cast.tomas
    right = {"username": username(tomas), "password": PASSWORD}
    right |= {"challenge": begin(world, tomas)["challenge"], "code": world.mailed(tomas.email)}
    body = jsons.dumps(right).encode()
    forms = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
    for kind in (None, *forms):  # what a browser sends elsewhere without asking first
        headers = {} if kind is None else {"Content-Type": kind}
        response = world.post(f"{APP}/{path}", content=body, headers=headers)
        refused(response, "RB026", 415)
        assert "set-cookie" not in response.headers
    accepted(world.post(f"{APP}/{path}", json=right))


def test_a_link_on_another_site_puts_nothing_on_record(world: World) -> None:
    cast = world.cast
    body = {"entity_user_xref_uuids": [cast.ingrid.uuid], "text": "Hello"}
    made = accepted(world.post(f"{CHAT}/chats/create", key=cast.session, json=body))
    member = {"entity_user_xref_uuid": cast.tomas.uuid, "data_reviewer_level": 3}
    path = f"{ENTITY}/entity-memberships/profile/update"
    accepted(world.post(path, key=cast.system, json=member))
    browser = signed_in(world, cast.tomas)
    cookies = {"Cookie": browser.headers["Cookie"]}
    asked = {"as": cast.tomas.uuid, "chat_uuid": made["chat_uuid"], "reason": "Why not"}
    accepted(world.get(f"{CHAT}/chats", headers=cookies, params=asked))
    before = world.head(cast.firm)
    for site in ("cross-site", "same-site"):
        headers = {**cookies, "Sec-Fetch-Site": site}
        for where in (f"{APP}/review/messages/range", f"{APP}/review/export/zip"):
            refused(world.get(where, headers=headers, params=asked), "RU003", 401)
        accepted(world.get(f"{CHAT}/chats", headers=headers, params=asked))
    assert world.head(cast.firm) == before
    for site in ("same-origin", "none"):
        headers = {**cookies, "Sec-Fetch-Site": site}
        accepted(world.get(f"{APP}/review/messages/range", headers=headers, params=asked))
    assert world.head(cast.firm) == before + 2


def test_a_message_by_hand_says_so_and_moves_the_own_read_mark(world: World) -> None:
    browser = signed_in(world, world.cast.tomas)
    body = {"entity_user_xref_uuids": [world.cast.ingrid.uuid], "text": "Hello"}
    made = accepted(world.post(f"{CHAT}/chats/create", key=browser, json=body))["chat"]
    assert made["last_message"]["via"] == {"kind": "session", "api_key_uuid": None, "name": None}
    assert made["read_seq"] == 0


def test_the_membership_is_named_by_header_or_on_get_by_query(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    browser.person = None
    accepted(world.get(f"{CHAT}/chats", key=browser, params={"as": tomas.uuid.upper()}))
    refused(world.get(f"{CHAT}/chats", key=browser), "RF004", 403)
    body = {"chat_uuid": tomas.uuid, "title": "x"}
    as_tomas = {"as": tomas.uuid}
    refused(
        world.post(f"{CHAT}/chats/rename", key=browser, json=body, params=as_tomas), "RF004", 403
    )
    browser.person = tomas
    other = {"as": world.cast.ingrid.uuid}
    refused(world.get(f"{CHAT}/chats", key=browser, params=other), "RF004", 403)


@pytest.mark.parametrize("who", ["ingrid", "petra", "karl"])
def test_a_membership_of_somebody_else_is_nobody(world: World, who: str) -> None:
    browser = signed_in(world, world.cast.tomas)
    browser.person = getattr(world.cast, who)
    refused(world.get(f"{CHAT}/chats", key=browser), "RN006", 404)


def test_the_first_use_in_an_organisation_is_one_entry_of_its_record(world: World) -> None:
    tomas = world.cast.tomas
    before, there = world.head(world.cast.firm), world.head(INSTALLATION_UUID)
    browser = signed_in(world, tomas)
    assert world.head(world.cast.firm) == before
    types = [entry["type"] for entry in world.entries(INSTALLATION_UUID, there)]
    assert types == ["account.challenged", "account.signed_in"]
    for path in (f"{CHAT}/chats", f"{CHAT}/chats", f"{CHAT}/contacts/list"):
        accepted(world.get(path, key=browser))
    (entry,) = world.entries(world.cast.firm, before)
    assert entry["type"] == "member.signed_in"
    assert entry["actor"] == {
        "kind": "session",
        "entity_user_xref_uuid": tomas.uuid,
        "request_id": entry["actor"]["request_id"],
    }


def test_nothing_of_a_code_token_or_password_lies_in_the_database_or_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    tomas = world.cast.tomas
    begun = begin(world, tomas)
    code = world.mailed(tomas.email)
    browser = Browser()
    csrf = accepted(confirm(world, begun["challenge"], code, browser))["csrf_token"]
    secrets = [PASSWORD, begun["challenge"], browser.token or "", csrf]
    secrets += [one for name, one in browser.cookies.items() if "device" in name]
    for table in ("session", "challenge", "account", "part", "entry", "idempotency", "job"):
        rows = repr(world.rows(f"SELECT * FROM {table}"))  # noqa: S608 - names of our own tables
        for secret in secrets:
            assert secret not in rows, table
    for secret in [*secrets, code]:
        assert secret not in caplog.text


# -- how a session ends --------------------------------------------------------------------------


def test_signing_out_ends_the_session_at_once_and_takes_the_cookie_away(world: World) -> None:
    browser = signed_in(world, world.cast.tomas)
    kept = Browser(world.cast.tomas, dict(browser.cookies))
    accepted(world.get(f"{CHAT}/chats", key=kept))
    accepted(world.post(f"{APP}/sign-out", key=browser, json={}))
    assert browser.token is None
    refused(world.get(f"{CHAT}/chats", key=kept), "RU010", 401)
    refused(world.post(f"{APP}/sign-out", key=kept, json={}), "RU010", 401)


def test_what_ends_in_one_process_has_ended_in_the_other(world: World) -> None:
    browser = signed_in(world, world.cast.tomas)
    kept = Browser(world.cast.tomas, dict(browser.cookies))
    beside = world.beside()
    try:
        accepted(beside.get(f"{CHAT}/chats", key=kept))
        accepted(world.post(f"{APP}/sign-out", key=browser, json={}))
        refused(beside.get(f"{CHAT}/chats", key=kept), "RU010", 401)
    finally:
        beside.close()


def test_a_session_ends_after_seven_days_without_use_and_thirty_days_at_the_latest(
    world: World, clock: Clock
) -> None:
    browser = signed_in(world, world.cast.tomas)
    for _ in range(4):
        clock.move(6.9 * 86_400)
        accepted(world.get(f"{CHAT}/chats", key=browser))
        world.run(world.app.note_counts())
    clock.move(2.5 * 86_400)
    refused(world.get(f"{CHAT}/chats", key=browser), "RU010", 401)
    browser = signed_in(world, world.cast.tomas)
    clock.move(7.1 * 86_400)
    refused(world.get(f"{CHAT}/chats", key=browser), "RU010", 401)


@pytest.mark.parametrize("state", ["suspended", "inactive"])
def test_a_member_who_is_not_active_is_refused_there_and_nowhere_else(
    world: World, state: str
) -> None:
    tomas, karl = world.cast.tomas, world.cast.karl
    browser = signed_in(world, tomas)
    link_accounts(world, karl.uuid, username(tomas))
    accepted(world.get(f"{CHAT}/chats", key=browser))
    set_member_state(world, tomas, state)
    refused(world.get(f"{CHAT}/chats", key=browser), "RF024", 403)
    browser.person = karl
    accepted(world.get(f"{CHAT}/chats", key=browser))
    shown = accepted(world.get(f"{APP}/session", key=browser))["memberships"]
    assert [one["state"] for one in shown] == (
        ["suspended", "active"] if state == "suspended" else ["active"]
    )
    signed_in(world, tomas)


def link_accounts(world: World, member_uuid: str, name: str) -> None:
    """Make a member of another organisation one of this account too."""

    async def act(work: Work) -> None:
        account = await accounts.named(work, name)
        sql = "UPDATE member SET account_id = $1 WHERE uuid = $2"
        await work.db.run(sql, account.id, member_uuid)

    world.work(None, act)


def test_a_frozen_organisation_is_read_by_sessions_of_its_system_administrators(
    world: World,
) -> None:
    cast = world.cast
    admin, adviser = signed_in(world, cast.miriam), signed_in(world, cast.tomas)
    world.work(cast.firm, lambda work: organisations.set_state(work, "frozen"))
    before = world.head(cast.firm)
    accepted(world.get(f"{CHAT}/chats", key=admin))
    assert [one["type"] for one in world.entries(cast.firm, before)] == ["member.signed_in"]
    refused(world.get(f"{CHAT}/chats", key=adviser), "RN902", 404)
    body = {"entity_user_xref_uuids": [cast.ingrid.uuid], "text": "Hello"}
    refused(world.post(f"{CHAT}/chats/create", key=admin, json=body), "RN902", 404)
    world.work(cast.firm, lambda work: organisations.set_state(work, "active"))
    world.work(cast.firm, lambda work: organisations.set_state(work, "inactive"))
    for browser in (admin, adviser):
        refused(world.get(f"{CHAT}/chats", key=browser), "RN900", 404)
    shown = accepted(world.get(f"{APP}/session", key=admin))["memberships"]
    assert [one["entity_state"] for one in shown] == ["inactive"]


def test_a_session_is_not_taken_by_calls_for_keys(world: World) -> None:
    browser = signed_in(world, world.cast.miriam)
    for path in (f"{ENTITY}/entity-memberships/list", f"{CHAT}/whoami", f"{ENTITY}/events"):
        refused(world.get(path, key=browser), "RF008", 403)
    body = {"text": "Hello", "audience": {"everyone": True}}
    refused(world.post(f"{CHAT}/chats/butler-says/send-text", key=browser, json=body), "RF008", 403)


def test_a_key_is_not_taken_by_calls_for_sessions(world: World) -> None:
    for key in world.cast.keys_of_firm().values():
        refused(world.get(f"{APP}/session", key=key, on_behalf_of=None), "RF008", 403)


def test_the_same_idempotency_key_from_two_sessions_of_a_member_is_the_same(world: World) -> None:
    tomas = world.cast.tomas
    one, other = signed_in(world, tomas), signed_in(world, tomas)
    body = {"entity_user_xref_uuids": [world.cast.ingrid.uuid], "text": "Hello"}
    headers = {"Idempotency-Key": "k1"}
    first = world.post(f"{CHAT}/chats/create", key=one, json=body, headers=headers)
    again = world.post(f"{CHAT}/chats/create", key=other, json=body, headers=headers)
    assert accepted(first) == accepted(again)
    assert again.headers["idempotent-replay"] == "true"
    embedded = world.embedded(tomas)
    third = world.post(f"{CHAT}/chats/create", key=embedded, json=body, headers=headers)
    assert accepted(third) == accepted(first)


def test_answers_to_persons_are_given_again_for_seven_days(world: World, clock: Clock) -> None:
    browser = signed_in(world, world.cast.tomas)
    body = {"entity_user_xref_uuids": [world.cast.ingrid.uuid], "text": "Hello"}
    headers = {"Idempotency-Key": "k1"}
    first = accepted(world.post(f"{CHAT}/chats/create", key=browser, json=body, headers=headers))
    clock.move(6.9 * 86_400)
    again = accepted(world.post(f"{CHAT}/chats/create", key=browser, json=body, headers=headers))
    assert again == first


def test_sessions_have_a_rate_limit_of_their_own(make_world: MakeWorld) -> None:
    world = make_world(rate_limit=(3, 10))
    one, other = world.session(world.cast.tomas), world.session(world.cast.tomas)
    answers = [world.get(f"{CHAT}/chats", key=one) for _ in range(3)]
    assert ["r=0" in answer.headers["ratelimit"] for answer in answers] == [False, False, True]
    refused(world.get(f"{CHAT}/chats", key=one), "RU029", 429)
    accepted(world.get(f"{CHAT}/chats", key=other))


def test_a_device_not_seen_before_is_told_by_mail_and_a_known_one_is_not(world: World) -> None:
    tomas = world.cast.tomas

    def told() -> int:
        rows = world.rows("SELECT payload FROM job WHERE kind = 'mail'")
        return sum('"new_device"' in row[0] for row in rows)

    browser = signed_in(world, tomas)
    assert told() == 1
    signed_in(world, tomas, browser)
    assert told() == 1
    signed_in(world, tomas)
    assert told() == 2
    signed_in(world, world.cast.ingrid, browser)
    assert told() == 3


def test_the_session_says_which_terms_are_to_be_accepted(world: World) -> None:
    browser = signed_in(world, world.cast.tomas)
    world.work(world.cast.firm, lambda work: terms.publish(work, "Be kind."))
    world.work(None, lambda work: terms.publish(work, "Be honest."))
    shown = accepted(world.get(f"{APP}/session", key=browser))
    assert [one["text"] for one in shown["terms"]] == ["Be honest."]
    assert [one["text"] for one in shown["memberships"][0]["terms"]] == ["Be kind."]


def test_what_is_long_over_is_forgotten(world: World, clock: Clock) -> None:
    browser = signed_in(world, world.cast.tomas)
    accepted(world.get(f"{CHAT}/chats", key=browser))
    begin(world, world.cast.tomas)
    wrong = {"username": "nobody.at.all", "password": "not the right password"}
    refused(world.post(f"{APP}/sign-in", json=wrong), "RU001")
    clock.move(91 * 86_400)
    world.run(world.app.as_service(sessions.forget))
    for table in ("session", "session_choice", "challenge", "sign_in_failure"):
        assert world.rows(f"SELECT * FROM {table}") == []  # noqa: S608 - names of our own tables


def test_an_account_made_by_the_operator_signs_in(world: World) -> None:
    petra = world.cast.petra
    world.work(
        petra.entity_uuid,
        lambda work: members.activate(work, petra.uuid, username(petra), PASSWORD),
    )
    browser = signed_in(world, petra)
    accepted(world.get(f"{CHAT}/contacts/list", key=browser))


# -- as a member ---------------------------------------------------------------------------------


def test_everybody_finds_out_who_they_are_and_what_the_organisation_shows_and_takes(
    world: World,
) -> None:
    cast = world.cast
    settings = {"banner": "Closed on Friday.", "attachment_max_bytes": 1000}
    path = f"{ENTITY}/organisation/update"
    accepted(world.post(path, key=cast.system, json=settings))
    for person in (cast.miriam, cast.tomas, cast.priya):
        for shown in (signed_in(world, person), world.embedded(person)):
            own = accepted(world.get(f"{APP}/membership", key=shown))
            assert own["contact"]["entity_user_xref_uuid"] == person.uuid
            assert own["contact"]["is_me"] is True
            assert own["data_reviewer_level"] == 0
            organisation = own["organisation"]
            assert organisation["name"] == "Alder & Finch"
            assert organisation["banner"] == "Closed on Friday."
            assert organisation["attachment_max_bytes"] == 1000
            assert "pdf" in organisation["attachment_types"]
            assert not {"sdk_allowed_origins", "reviewer_export_cap"} & organisation.keys()


def test_a_reviewer_is_told_the_level_and_a_demoted_one_none(world: World) -> None:
    cast = world.cast
    browser = signed_in(world, cast.ingrid)
    path = f"{ENTITY}/entity-memberships/profile/update"
    for level in (2, 0):
        body = {"entity_user_xref_uuid": cast.ingrid.uuid, "data_reviewer_level": level}
        accepted(world.post(path, key=cast.system, json=body))
        own = accepted(world.get(f"{APP}/membership", key=browser))
        assert own["data_reviewer_level"] == level


def test_only_a_member_finds_out(world: World) -> None:
    cast = world.cast
    browser = signed_in(world, cast.tomas)
    browser.person = None
    refused(world.get(f"{APP}/membership", key=browser), "RF004", 403)
    browser.person = cast.karl
    refused(world.get(f"{APP}/membership", key=browser), "RN006", 404)
    browser.person = cast.tomas
    set_member_state(world, cast.tomas, "suspended")
    refused(world.get(f"{APP}/membership", key=browser), "RF024", 403)
