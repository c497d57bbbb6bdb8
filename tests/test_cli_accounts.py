"""The commands about accounts, beside a running server: so that nobody is locked out."""

import pytest

from onrecord.model.access import INSTALLATION_UUID
from tests.cast import PASSWORD
from tests.conftest import MakeWorld
from tests.signing import APP, NEW_PASSWORD, begin, confirm, signed_in, username, with_totp
from tests.test_cli import Line
from tests.world import CHAT, World, accepted, refused


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """The firm, with mails kept instead of sent."""
    return make_world(dev_outbox=True)


@pytest.fixture
def line(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    """The command line of the running installation."""
    settings = world.settings
    flags = ["--data-dir", str(settings.data_dir)]
    if settings.database_url:
        flags += ["--database-url", settings.database_url]
    return Line(flags, capsys, monkeypatch)


def last(world: World) -> tuple[str, dict[str, object], str]:
    """Give type, data and kind of actor of the last entry of the installation's record."""
    entry = world.entries(INSTALLATION_UUID)[-1]
    return entry["type"], entry["data"], entry["actor"]["kind"]


def test_a_code_is_shown_to_whoever_is_asked_for_one(world: World, line: Line) -> None:
    tomas = world.cast.tomas
    assert "RN008" in line.refused("account", "code", "--username", username(tomas))
    begun = begin(world, tomas)
    sent = world.mailed(tomas.email)
    facts = line.facts("account", "code", "--username", "TOMAS.hartley")
    assert facts["purpose"] == "sign_in"
    assert last(world) == ("account.code_made", {"purpose": "sign_in"}, "operator")
    if sent != facts["code"]:
        refused(confirm(world, begun["challenge"], sent), "RU001", 401)
    accepted(confirm(world, begun["challenge"], facts["code"]))
    assert "RN008" in line.refused("account", "code", "--username", "nobody.at.all")


def test_a_locked_account_is_opened(world: World, line: Line) -> None:
    tomas = world.cast.tomas
    wrong = {"username": username(tomas), "password": "not the right password"}
    for _ in range(5):
        refused(world.post(f"{APP}/sign-in", json=wrong), "RU001", 401)
    right = {**wrong, "password": PASSWORD}
    refused(world.post(f"{APP}/sign-in", json=right), "RU029", 429)
    line.facts("account", "unlock", "--username", username(tomas))
    assert last(world) == ("account.unlocked", {}, "operator")
    signed_in(world, tomas)


def test_a_lost_second_factor_is_taken_away(world: World, line: Line) -> None:
    tomas = world.cast.tomas
    with_totp(world, signed_in(world, tomas))
    facts = line.facts("account", "reset-factors", "--username", username(tomas))
    assert facts["removed"] == ["totp"]
    change = {"factor": "totp", "change": "removed"}
    assert last(world) == ("account.factor_changed", change, "operator")
    signed_in(world, tomas)


def test_a_password_is_set_and_whoever_is_signed_in_is_out_at_once(
    world: World, line: Line
) -> None:
    tomas = world.cast.tomas
    browser = signed_in(world, tomas)
    accepted(world.get(f"{CHAT}/chats", key=browser))
    words = ["account", "set-password", "--username", username(tomas), "--password"]
    assert "RB003" in line.refused(*words, "password1234")
    accepted(world.get(f"{CHAT}/chats", key=browser))
    line.facts(*words, NEW_PASSWORD)
    refused(world.get(f"{CHAT}/chats", key=browser), "RU010", 401)
    types = [entry["type"] for entry in world.entries(INSTALLATION_UUID)]
    assert "account.password_changed" in types[-4:]
    signed_in(world, tomas, password=NEW_PASSWORD)
