"""An account: what its owner changes, by which proof, and what ends with it."""

import pyotp
import pytest

from onrecord.domain import challenges
from onrecord.jobs import worker
from onrecord.model import times
from onrecord.model.access import INSTALLATION_UUID
from tests.cast import PASSWORD, Browser
from tests.conftest import MakeWorld
from tests.signing import APP, NEW_PASSWORD, begin, confirm, signed_in, username, with_totp
from tests.world import CHAT, World, accepted, refused

ACCOUNT = f"{APP}/account"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """The firm, with mails kept instead of sent."""
    return make_world(dev_outbox=True)


def types(world: World, after: int) -> list[str]:
    """Give the types of what the installation's record gained."""
    return [entry["type"] for entry in world.entries(INSTALLATION_UUID, after)]


def mails(world: World, to: str) -> list[str]:
    """Give the subjects of the mails that somebody got, or else their templates, oldest first."""
    world.run(worker.run_due(world.app))
    rows = world.rows("SELECT subject FROM outbox WHERE recipient = $1 ORDER BY id", to)
    return [row[0] for row in rows]


# -- the password --------------------------------------------------------------------------------


def test_changing_the_password_ends_every_other_session_and_renews_this_one(world: World) -> None:
    tomas = world.cast.tomas
    here, there = signed_in(world, tomas), signed_in(world, tomas)
    old = Browser(tomas, dict(here.cookies))
    before = world.head(INSTALLATION_UUID)
    body = {"password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = accepted(world.post(f"{ACCOUNT}/password/change", key=here, json=body))
    shown = accepted(world.get(f"{APP}/session", key=here))
    assert answer["csrf_token"] == shown["csrf_token"]
    for gone in (old, there):
        refused(world.get(f"{CHAT}/chats", key=gone), "RU010", 401)
    assert set(types(world, before)) == {"account.password_changed", "account.session_ended"}
    wrong = {"username": username(tomas), "password": PASSWORD}
    refused(world.post(f"{APP}/sign-in", json=wrong), "RU001", 401)
    signed_in(world, tomas, password=NEW_PASSWORD)
    assert "Your password was changed" in mails(world, tomas.email)


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 257,
        "aaaaaaaaaaaaaaa",
        "abcabcabcabcabc",
        "Password1234",
        "qwertyuiop123",
        "1q2w3e4r5t6y",
        "tomas.hartley",
        "Tomas.Hartley2026!",
        "onrecord-2026-11",
        "a control\x07character",
    ],
)
def test_a_password_that_is_guessed_first_is_refused(world: World, password: str) -> None:
    browser = signed_in(world, world.cast.tomas)
    before = world.head(INSTALLATION_UUID)
    body = {"password": PASSWORD, "new_password": password}
    problem = refused(world.post(f"{ACCOUNT}/password/change", key=browser, json=body), "RB003")
    assert password not in str(problem)
    assert world.head(INSTALLATION_UUID) == before


def test_a_password_is_the_same_from_every_keyboard(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    body = {"password": PASSWORD, "new_password": "ein schöner Morgen"}
    accepted(world.post(f"{ACCOUNT}/password/change", key=browser, json=body))
    signed_in(world, tomas, password="ein scho\u0308ner Morgen")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("password/change", {"new_password": NEW_PASSWORD}),
        ("username/change", {"username": "another.name"}),
        ("email/change", {"email": "new@example.com"}),
        ("phone/change", {"phone_number": "+441234567890"}),
        ("totp/begin", {}),
        ("totp/remove", {}),
        ("recovery-code/create", {}),
    ],
)
def test_what_opens_an_account_is_changed_with_the_password_alone(
    world: World, path: str, body: dict[str, str]
) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    before = world.head(INSTALLATION_UUID)
    wrong = {**body, "password": "not the right password"}
    for _ in range(5):
        refused(world.post(f"{ACCOUNT}/{path}", key=browser, json=wrong), "RU001", 401)
    locked = {**body, "password": PASSWORD}
    refused(world.post(f"{ACCOUNT}/{path}", key=browser, json=locked), "RU029", 429)
    assert world.head(INSTALLATION_UUID) == before


def forgotten(world: World, name: str) -> None:
    """Ask for a link, and let the job look for the account."""
    accepted(world.post(f"{ACCOUNT}/password/forgot", json={"username": name}))
    world.run(worker.run_due(world.app))


def link_of(world: World, to: str) -> str:
    """Give the token of the link that was last mailed to somebody."""
    world.run(worker.run_due(world.app))
    rows = world.rows(
        "SELECT links FROM outbox WHERE recipient = $1 AND links LIKE '%/reset#%' ORDER BY id DESC",
        to,
    )
    return str(rows[0][0]).partition("#token=")[2].strip('"]')


def test_a_forgotten_password_is_set_anew_with_a_mailed_link_once(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    forgotten(world, username(tomas).upper())
    body = {"token": link_of(world, tomas.email), "password": NEW_PASSWORD}
    before = world.head(INSTALLATION_UUID)
    bad = {**body, "password": username(tomas)}
    refused(world.post(f"{ACCOUNT}/password/reset", json=bad), "RB003", 400)
    assert accepted(world.post(f"{ACCOUNT}/password/reset", json=body)) == {}
    refused(world.get(f"{CHAT}/chats", key=browser), "RU010", 401)
    assert set(types(world, before)) == {"account.password_changed", "account.session_ended"}
    refused(world.post(f"{ACCOUNT}/password/reset", json=body), "RU010", 401)
    signed_in(world, tomas, password=NEW_PASSWORD)


def test_asking_for_a_link_is_answered_alike_whether_or_not_there_is_such_an_account(
    world: World,
) -> None:
    told = []
    for name in ("tomas.hartley", "nobody.at.all"):
        response = world.post(f"{ACCOUNT}/password/forgot", json={"username": name})
        told.append((response.status_code, response.content))
    assert told[0] == told[1] == (200, b"{}")
    assert world.rows("SELECT count(*) FROM job WHERE kind = $1", challenges.FORGOTTEN) == [(2,)]
    world.run(worker.run_due(world.app))
    sql = "SELECT recipient FROM outbox WHERE links LIKE '%/reset#token=%'"
    assert world.rows(sql) == [(world.cast.tomas.email,)]


def test_a_link_lives_an_hour_and_the_newest_alone_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomas, real = world.cast.tomas, times.now
    forgotten(world, username(tomas))
    first = link_of(world, tomas.email)
    forgotten(world, username(tomas))
    assert link_of(world, tomas.email) == first, "asked for twice within a minute, mailed once"
    monkeypatch.setattr(times, "now", lambda: real() + 61 * times.SECOND)
    forgotten(world, username(tomas))
    second = link_of(world, tomas.email)
    body = {"token": first, "password": NEW_PASSWORD}
    refused(world.post(f"{ACCOUNT}/password/reset", json=body), "RU010", 401)
    monkeypatch.setattr(times, "now", lambda: real() + 3800 * times.SECOND)
    body = {"token": second, "password": NEW_PASSWORD}
    refused(world.post(f"{ACCOUNT}/password/reset", json=body), "RU010", 401)


def test_links_are_asked_for_twenty_times_a_minute_from_an_address_at_the_most(
    world: World,
) -> None:
    for number in range(20):
        body = {"username": f"somebody{number}"}
        accepted(world.post(f"{ACCOUNT}/password/forgot", json=body))
    refused(world.post(f"{ACCOUNT}/password/forgot", json={"username": "x"}), "RU029", 429)


def test_a_code_of_signing_in_is_no_link(world: World) -> None:
    begun = begin(world, world.cast.tomas)
    body = {"token": begun["challenge"], "password": NEW_PASSWORD}
    refused(world.post(f"{ACCOUNT}/password/reset", json=body), "RU010", 401)


# -- user name, email, phone ---------------------------------------------------------------------


def test_a_user_name_is_changed_unless_somebody_has_it(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    path = f"{ACCOUNT}/username/change"
    before = world.head(INSTALLATION_UUID)
    for name, code in (("Ingrid.Rowe", "RB013"), ("short", "RB003"), ("a b c d e f", "RB003")):
        body = {"username": name, "password": PASSWORD}
        refused(world.post(path, key=browser, json=body), code, 400)
    assert world.head(INSTALLATION_UUID) == before
    for name in ("Tomas.Hartley", "thomas.h"):
        body = {"username": name, "password": PASSWORD}
        assert accepted(world.post(path, key=browser, json=body)) == {}
    assert types(world, before) == ["account.updated"] * 2
    wrong = {"username": username(tomas), "password": PASSWORD}
    refused(world.post(f"{APP}/sign-in", json=wrong), "RU001")
    signed_in(world, tomas, username="THOMAS.h")


def test_an_email_is_changed_by_a_code_to_the_new_one_and_the_old_one_is_told(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    new = "tomas@example.net"
    body = {"email": new, "password": PASSWORD}
    begun = accepted(world.post(f"{ACCOUNT}/email/change", key=browser, json=body))
    assert begun["sent_to"] == "t••••@example.net"
    assert account(world, browser)["email"] == tomas.email
    answer = {"challenge": begun["challenge"], "code": world.mailed(new)}
    stranger = signed_in(world, world.cast.ingrid)
    path = f"{ACCOUNT}/email/confirm"
    refused(world.post(path, key=stranger, json=answer), "RU010", 401)
    wrong = {**answer, "code": "0000000"}
    refused(world.post(path, key=browser, json=wrong), "RU001", 401)
    refused(world.post(f"{ACCOUNT}/phone/confirm", key=browser, json=answer), "RU010", 401)
    assert accepted(world.post(path, key=browser, json=answer)) == {}
    assert account(world, browser)["email"] == new
    assert "Your email address was changed" in mails(world, tomas.email)
    rows = world.rows("SELECT primary_email FROM member WHERE uuid = $1", tomas.uuid)
    assert rows == [(tomas.email,)], "the organisation's layer is not the account's"


def test_what_is_on_its_way_to_the_old_email_dies_with_it(world: World) -> None:
    tomas, new = world.cast.tomas, "tomas@example.net"
    browser = signed_in(world, tomas)
    forgotten(world, username(tomas))
    link = {"token": link_of(world, tomas.email), "password": NEW_PASSWORD}
    begun = begin(world, tomas)
    code = world.mailed(tomas.email)
    body = {"email": new, "password": PASSWORD}
    asked = accepted(world.post(f"{ACCOUNT}/email/change", key=browser, json=body))
    answer = {"challenge": asked["challenge"], "code": world.mailed(new)}
    accepted(world.post(f"{ACCOUNT}/email/confirm", key=browser, json=answer))
    refused(confirm(world, begun["challenge"], code), "RU010", 401)
    refused(world.post(f"{ACCOUNT}/password/reset", json=link), "RU010", 401)
    begun = begin(world, tomas)
    accepted(confirm(world, begun["challenge"], world.mailed(new)))


def account(world: World, browser: Browser) -> dict[str, object]:
    """Give the account that is signed in."""
    shown: dict[str, object] = accepted(world.get(f"{APP}/session", key=browser))["account"]
    return shown


def test_the_tries_of_a_code_in_a_session_are_counted_although_they_are_refused(
    world: World,
) -> None:
    browser = signed_in(world, world.cast.tomas)
    body = {"email": "new@example.com", "password": PASSWORD}
    begun = accepted(world.post(f"{ACCOUNT}/email/change", key=browser, json=body))
    answer = {"challenge": begun["challenge"], "code": "no code"}
    path = f"{ACCOUNT}/email/confirm"
    for _ in range(5):
        refused(world.post(path, key=browser, json=answer), "RU001", 401)
    answer["code"] = world.mailed("new@example.com")
    refused(world.post(path, key=browser, json=answer), "RU010", 401)


def test_a_phone_is_changed_by_a_code_to_the_new_one(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    phone = "+441234567890"
    body = {"phone_number": "+44 1234 567890", "password": PASSWORD}
    begun = accepted(world.post(f"{ACCOUNT}/phone/change", key=browser, json=body))
    answer = {"challenge": begun["challenge"], "code": world.mailed(phone)}
    assert accepted(world.post(f"{ACCOUNT}/phone/confirm", key=browser, json=answer)) == {}
    assert account(world, browser)["phone_number"] == phone
    assert begin(world, tomas)["methods"] == ["sms"]


def test_without_mail_or_texts_no_address_or_number_can_be_confirmed(make_world: MakeWorld) -> None:
    world = make_world()
    browser = world.session(world.cast.tomas)
    email = {"email": "new@example.com", "password": PASSWORD}
    refused(world.post(f"{ACCOUNT}/email/change", key=browser, json=email), "RB019", 400)
    phone = {"phone_number": "+441234567890", "password": PASSWORD}
    refused(world.post(f"{ACCOUNT}/phone/change", key=browser, json=phone), "RB019", 400)


# -- second factors ------------------------------------------------------------------------------


def test_an_authenticator_app_takes_the_place_of_the_sent_code(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    old = Browser(tomas, dict(browser.cookies))
    app = with_totp(world, browser)
    refused(world.get(f"{APP}/session", key=old), "RU010", 401)
    assert account(world, browser)["has_totp"] is True
    begun = begin(world, tomas)
    assert (begun["methods"], begun["sent_to"]) == (["totp"], "")
    soon = app.at(times.now() // times.SECOND, counter_offset=1)
    refused(confirm(world, begun["challenge"], "000000x"), "RU001", 401)
    accepted(confirm(world, begun["challenge"], soon))


def test_a_code_of_an_authenticator_app_is_taken_once_and_not_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomas, moment = world.cast.tomas, times.now()
    monkeypatch.setattr(times, "now", lambda: moment)
    app = with_totp(world, signed_in(world, tomas))
    now = times.now() // times.SECOND
    refused(confirm(world, begin(world, tomas)["challenge"], app.at(now)), "RU001", 401)
    refused(
        confirm(world, begin(world, tomas)["challenge"], app.at(now, counter_offset=3)),
        "RU001",
        401,
    )
    accepted(confirm(world, begin(world, tomas)["challenge"], app.at(now, counter_offset=1)))
    refused(
        confirm(world, begin(world, tomas)["challenge"], app.at(now, counter_offset=1)),
        "RU001",
        401,
    )


def test_the_secret_of_an_app_is_stored_encrypted_and_opens_for_its_account_alone(
    world: World,
) -> None:
    browser = signed_in(world, world.cast.tomas)
    app = with_totp(world, browser)
    stored = bytes(world.rows("SELECT totp FROM account WHERE totp IS NOT NULL")[0][0])
    assert app.secret.encode() not in stored
    name = world.rows("SELECT uuid FROM account WHERE totp IS NOT NULL")[0][0]
    assert world.app.vault.open(stored, f"totp {name}").decode() == app.secret
    with pytest.raises(ValueError, match="does not open"):
        world.app.vault.open(stored, "totp of somebody else")


def test_an_app_that_was_begun_and_never_confirmed_changes_nothing(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    begun = accepted(world.post(f"{ACCOUNT}/totp/begin", key=browser, json={"password": PASSWORD}))
    assert begun["uri"].startswith("otpauth://totp/OnRecord:tomas.hartley?secret=")
    body = {"challenge": begun["challenge"], "code": "12345"}
    refused(world.post(f"{ACCOUNT}/totp/confirm", key=browser, json=body), "RU001", 401)
    assert account(world, browser)["has_totp"] is False
    assert begin(world, tomas)["methods"] == ["email"]
    assert pyotp.parse_uri(begun["uri"]).secret == begun["secret"]


def test_an_authenticator_app_is_removed_with_the_password(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    path, body = f"{ACCOUNT}/totp/remove", {"password": PASSWORD}
    refused(world.post(path, key=browser, json=body), "RB019", 400)
    with_totp(world, browser)
    before = world.head(INSTALLATION_UUID)
    accepted(world.post(path, key=browser, json=body))
    assert types(world, before) == ["account.factor_changed", "account.session_ended"]
    assert account(world, browser)["has_totp"] is False
    signed_in(world, tomas)


def test_a_recovery_code_lets_one_in_past_a_lost_app_once(world: World) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    with_totp(world, browser)
    path, body = f"{ACCOUNT}/recovery-code/create", {"password": PASSWORD}
    earlier = accepted(world.post(path, key=browser, json=body))["recovery_code"]
    code = accepted(world.post(path, key=browser, json=body))["recovery_code"]
    begun = begin(world, tomas)
    assert begun["methods"] == ["totp", "recovery_code"]
    refused(confirm(world, begun["challenge"], earlier), "RU001", 401)
    before = world.head(INSTALLATION_UUID)
    accepted(confirm(world, begun["challenge"], code.lower().replace("-", " ")))
    assert types(world, before) == ["account.factor_changed", "account.signed_in"]
    refused(confirm(world, begin(world, tomas)["challenge"], code), "RU001", 401)
    assert account(world, browser)["has_recovery_code"] is False
    assert "Your recovery code was used" in mails(world, tomas.email)
    assert code not in repr(world.rows("SELECT * FROM account"))


def test_what_is_shown_once_is_not_in_the_stored_answer(world: World) -> None:
    browser = signed_in(world, world.cast.tomas)
    path, body = f"{ACCOUNT}/recovery-code/create", {"password": PASSWORD}
    headers = {"Idempotency-Key": "k1"}
    assert accepted(world.post(path, key=browser, json=body, headers=headers))["recovery_code"]
    again = world.post(path, key=browser, json=body, headers=headers)
    assert accepted(again) == {"recovery_code": None}
    assert again.headers["idempotent-replay"] == "true; secrets-withheld"


# -- devices -------------------------------------------------------------------------------------


def devices(world: World, browser: Browser) -> list[dict[str, object]]:
    """Give the devices of the account that is signed in."""
    found: list[dict[str, object]] = accepted(world.get(f"{ACCOUNT}/devices/list", key=browser))[
        "devices"
    ]
    return found


def test_one_sees_where_one_is_signed_in_and_ends_it_there(world: World) -> None:
    tomas = world.cast.tomas
    here, there = signed_in(world, tomas), signed_in(world, tomas)
    shown = devices(world, here)
    assert [one["is_current"] for one in shown] == [False, True, False]
    assert shown[0]["user_agent"] == "Tests/1.0"
    assert shown[0]["address"] == "127.0.0.1"
    body = {"session_uuid": shown[0]["session_uuid"]}
    path = f"{ACCOUNT}/devices/end"
    stranger = signed_in(world, world.cast.ingrid)
    refused(world.post(path, key=stranger, json=body), "RN008", 404)
    accepted(world.get(f"{CHAT}/chats", key=there))
    assert accepted(world.post(path, key=here, json=body)) == {}
    refused(world.get(f"{CHAT}/chats", key=there), "RU010", 401)
    refused(world.post(path, key=here, json=body), "RN008", 404)
    refused(world.post(path, key=here, json={"session_uuid": "x"}), "RB003", 400)


def test_every_other_session_ends_at_once(world: World) -> None:
    tomas = world.cast.tomas
    here = signed_in(world, tomas)
    others = [signed_in(world, tomas) for _ in range(2)]
    answer = accepted(world.post(f"{ACCOUNT}/devices/end-others", key=here, json={}))
    assert answer == {"ended": 3}  # with the one that the cast has
    for other in others:
        refused(world.get(f"{CHAT}/chats", key=other), "RU010", 401)
    assert len(devices(world, here)) == 1
    accepted(world.get(f"{CHAT}/chats", key=world.session(world.cast.ingrid)))
