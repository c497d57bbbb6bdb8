"""Settings: the file, then the environment, then flags."""

import asyncio
import re
import tomllib
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from onrecord import app as composition
from onrecord.settings import Settings, SettingsError, load, template, write_template


def test_without_anything_the_defaults_hold() -> None:
    assert load({}, {}) == Settings()
    assert load({}, {}).rate_limit == (1000, 10)
    assert load({}, {}).data_dir == Path("onrecord-data")


def test_file_environment_and_flags_go_in_this_order(tmp_path: Path) -> None:
    (tmp_path / "onrecord.toml").write_text('port = 1111\nhost = "file"\nlog_level = "debug"\n')
    environ = {"ONRECORD_PORT": "2222", "ONRECORD_HOST": "environment", "PATH": "x"}
    settings = load({"data_dir": tmp_path, "port": 3333, "host": None}, environ)
    assert (settings.port, settings.host, settings.log_level) == (3333, "environment", "debug")
    environ["ONRECORD_DATA_DIR"] = str(tmp_path)
    assert load({}, environ).port == 2222
    assert load({}, {"ONRECORD_DATA_DIR": str(tmp_path)}).port == 1111


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("rate_limit", "off", None),
        ("rate_limit", "5/60", (5, 60)),
        ("trusted_proxies", "", ()),
        (
            "trusted_proxies",
            "10.0.0.0/8, ::1",
            (ip_network("10.0.0.0/8"), ip_network("::1/128")),
        ),
        ("trusted_proxies", ["10.0.0.1"], (ip_network("10.0.0.1/32"),)),
        ("database_url", "", ""),
        ("database_url", "postgres://h/d", "postgres://h/d"),
        ("public_url", "https://chat.example.com/", "https://chat.example.com"),
        ("public_url", "", ""),
        ("files_url", "", ""),
        ("files_url", "file:///mnt/files", "file:///mnt/files"),
        ("files_url", "s3://firm/a?region=x", "s3://firm/a?region=x"),
        ("port", "0", 0),
        ("log_level", "WARNING", "warning"),
        ("metrics_allowed", "", ()),
        ("metrics_allowed", "10.0.0.0/8", (ip_network("10.0.0.0/8"),)),
        ("security_contact", "", ""),
        ("security_contact", " security@example.com ", "mailto:security@example.com"),
        ("security_contact", "https://example.com/report", "https://example.com/report"),
        ("signing_key_file", "/key", Path("/key")),
    ],
)
def test_a_setting_is_read(name: str, value: Any, read: Any) -> None:
    assert getattr(load({name: value}, {}), name) == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_limit", "0/10"),
        ("rate_limit", "10"),
        ("rate_limit", "fast"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "proxy.example.com"),
        ("database_url", "mysql://h/d"),
        ("files_url", "/mnt/files"),
        ("files_url", "file://host/files"),
        ("files_url", "s3://"),
        ("files_url", "gs://firm"),
        ("public_url", "chat.example.com"),
        ("public_url", "ftp://chat.example.com"),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("log_level", "loud"),
        ("metrics_allowed", "monitoring.example.com"),
        ("security_contact", "call us"),
        ("security_contact", "http://example.com"),
        ("security_contact", "mailto:a@example.com\nContact: mailto:b@example.com"),
        ("colour", "red"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load({name: value}, {})


def test_a_wrong_environment_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="port"):
        load({}, {"ONRECORD_PORT": "http"})
    for text in (b"port = ", b"\xff"):
        (tmp_path / "onrecord.toml").write_bytes(text)
        with pytest.raises(SettingsError, match=r"onrecord\.toml"):
            load({"data_dir": tmp_path}, {})
    (tmp_path / "onrecord.toml").write_text("colour = 1")
    with pytest.raises(SettingsError, match="colour is no setting"):
        load({"data_dir": tmp_path}, {})


def test_each_setting_has_a_sentence() -> None:
    for row in fields(Settings):
        assert row.metadata["meaning"].endswith(".")


def test_what_follows_from_settings() -> None:
    assert Settings().origin_host == "onrecord"
    assert Settings(public_url="https://chat.example.com:8443").origin_host == "chat.example.com"
    assert Settings(data_dir=Path("d")).signing_key == Path("d/signing.key")
    assert Settings(signing_key_file=Path("k")).signing_key == Path("k")


# -- the file that the first start writes ---------------------------------------------------------


def test_the_file_that_is_written_sets_nothing(tmp_path: Path) -> None:
    write_template(tmp_path)
    assert load({"data_dir": tmp_path}, {}) == Settings(data_dir=tmp_path)


def test_every_setting_of_the_file_stands_there_with_its_default(tmp_path: Path) -> None:
    written = write_template(tmp_path)
    assert written == tmp_path / "onrecord.toml"
    text = re.sub(r"^#(\w+ = )", r"\1", written.read_text("utf-8"), flags=re.MULTILINE)
    assert {*tomllib.loads(text)} == {row.name for row in fields(Settings)} - {"data_dir"}
    written.write_text(text, "utf-8")
    assert load({"data_dir": tmp_path}, {}) == Settings(data_dir=tmp_path)
    words = " ".join(re.sub("^# ", "", line) for line in text.splitlines())
    for row in fields(Settings):
        assert row.name == "data_dir" or row.metadata["meaning"] in words


def test_only_the_owner_reads_the_file_and_it_is_never_overwritten(tmp_path: Path) -> None:
    path = write_template(tmp_path)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("port = 1111\n")
    assert write_template(tmp_path) is None
    assert path.read_text() == "port = 1111\n"


def test_a_server_writes_the_file_at_its_first_start_and_a_command_does_not(
    tmp_path: Path,
) -> None:
    async def started(purpose: str) -> None:
        async with composition.running(Settings(data_dir=tmp_path), purpose=purpose):
            pass

    asyncio.run(started("a command"))
    assert not (tmp_path / "onrecord.toml").exists()
    asyncio.run(started(composition.SERVE))
    assert (tmp_path / "onrecord.toml").read_text("utf-8") == template()


# -- mails and texts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"ONRECORD_MAIL_URL": "https://mail.example.com"}, "mail_url"),
        ({"ONRECORD_MAIL_URL": "smtp://mail.example.com:port"}, "mail_url"),
        ({"ONRECORD_MAIL_URL": "smtp://mail.example.com"}, "mail_from"),
        (
            {"ONRECORD_MAIL_URL": "smtp://mail.example.com", "ONRECORD_MAIL_FROM": "a b@c"},
            "mail_from",
        ),
        ({"ONRECORD_SMS_URL": "https://AC1:token@api.example.com"}, "sms_from"),
        ({"ONRECORD_SMS_URL": "https://api.example.com"}, "sms_url"),
        ({"ONRECORD_SMS_URL": "http://AC1:token@api.example.com"}, "sms_url"),
        ({"ONRECORD_DEV_OUTBOX": "perhaps"}, "dev_outbox"),
    ],
)
def test_what_mails_and_texts_cannot_go_through_is_refused(
    given: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        load(environ=given)
    assert "token" not in str(caught.value).replace("account:token", "")


def test_mails_and_texts_are_set_up_by_addresses() -> None:
    settings = load(
        environ={
            "ONRECORD_MAIL_URL": "smtps://me:secret@mail.example.com",
            "ONRECORD_MAIL_FROM": "office@example.com",
            "ONRECORD_SMS_URL": "http://AC1:token@127.0.0.1:8025/twilio",
            "ONRECORD_SMS_FROM": "+15550100",
        }
    )
    assert settings.mail_from == "office@example.com"
    assert not settings.dev_outbox
