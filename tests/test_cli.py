"""The command line: facts as JSON, exit status 0, 1 with one clear line, or 2."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onrecord import cli
from onrecord.model.access import INSTALLATION_UUID, Kind
from onrecord.proof import note
from tests.cast import PASSWORD, ApiKey
from tests.world import CHAT, ENTITY, World, accepted, refused


class Line:
    """The command line of one installation."""

    def __init__(
        self, flags: list[str], capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.flags = flags
        self._capsys = capsys
        self._patch = patch

    def run(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run a command; give what it printed on both ways out."""
        self._patch.setattr(sys, "argv", ["onrecord", *words])
        self._capsys.readouterr()
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = self._capsys.readouterr()
        assert code == status, (words, out, err)
        return out, err

    def facts(self, *words: str) -> Any:
        """Run a command with --json and give what it said."""
        out, err = self.run(*words, *self.flags, "--json")
        assert err == ""
        assert out.count("\n") == 1
        return json.loads(out)

    def lines(self, *words: str) -> str:
        """Run a command for people and give what it said."""
        out, err = self.run(*words, *self.flags)
        assert err == ""
        return out

    def refused(self, *words: str) -> str:
        """Run a command that is refused: status 1 and one clear line."""
        out, err = self.run(*words, *self.flags, status=1)
        assert out == ""
        assert err.startswith("onrecord: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err

    def misused(self, *words: str) -> str:
        """Run a command that is used wrongly: status 2."""
        _, err = self.run(*words, *self.flags, status=2)
        assert "Usage" in err
        return err


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture
def line(
    engine: str,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Line:
    """The command line of an empty installation."""
    assert engine
    flags = ["--data-dir", str(tmp_path / "data")]
    return Line(flags + ["--database-url", database_url] * bool(database_url), capsys, monkeypatch)


@pytest.fixture
def beside(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Line:
    """The command line beside a running server."""
    flags = ["--data-dir", str(world.settings.data_dir)]
    url = world.settings.database_url
    return Line(flags + ["--database-url", url] * bool(url), capsys, monkeypatch)


def found(line: Line, *more: str) -> dict[str, Any]:
    facts: dict[str, Any] = line.facts(
        "org", "create", "--name", "Cedar", "--admin-email", "ada@example.com", *more
    )
    return facts


def test_an_organisation_is_made_and_listed(line: Line) -> None:
    assert line.lines("org", "list") == "There is no organisation yet.\n"
    assert line.facts("org", "list") == []
    made = found(line)
    assert made["state"] == "pending"
    assert made["name"] == "Cedar"
    listed = line.facts("org", "list")
    assert listed == [{"entity_uuid": made["entity_uuid"], "name": "Cedar", "state": "active"}]
    assert made["entity_uuid"] in line.lines("org", "list")
    second = found(line, "--admin-username", "ada.lovelace", "--admin-password", PASSWORD)
    assert second["state"] == "active"
    plain = line.lines("org", "create", "--name", "Elm", "--admin-email", "e@example.com")
    assert "entity_uuid" in plain
    assert "RB003" in line.refused("org", "create", "--name", "Elm", "--admin-email", "nobody")
    assert "--name" in line.misused("org", "create", "--admin-email", "e@example.com")


def test_states_are_set(line: Line) -> None:
    org = found(line)["entity_uuid"]
    for command, state in (
        ("freeze", "frozen"),
        ("unfreeze", "active"),
        ("deactivate", "inactive"),
        ("activate", "active"),
    ):
        assert line.facts("org", command, "--org", org.upper()) == {
            "entity_uuid": org,
            "state": state,
        }
        assert line.facts("org", "list")[0]["state"] == state
    line.facts("org", "freeze", "--org", org)
    assert "RB019" in line.refused("org", "deactivate", "--org", org)
    for unknown in ("00000000-0000-0000-0000-000000000000", "nothing"):
        assert "RN007" in line.refused("org", "freeze", "--org", unknown)


def test_settings_are_set(line: Line) -> None:
    org = found(line)["entity_uuid"]
    kept = line.facts("org", "set", "--org", org, "allow_user_api_keys", "true")
    assert kept == {"entity_uuid": org, "allow_user_api_keys": True}
    listed = line.lines(
        "org", "set", "--org", org, "sdk_allowed_origins", "https://a.b, https://c.d"
    )
    assert "https://a.b, https://c.d" in listed
    assert "-" in line.lines("org", "set", "--org", org, "reviewer_export_cap", "none")
    assert "RB003" in line.refused("org", "set", "--org", org, "colour", "red")
    assert "RB003" in line.refused("org", "set", "--org", org, "sdk_enabled", "perhaps")


def test_a_member_is_activated(line: Line) -> None:
    admin = found(line)["entity_user_xref_uuid"]
    how = ("--username", "ada.lovelace", "--password", PASSWORD)
    assert line.facts("member", "activate", "--member", admin.upper(), *how)["state"] == "active"
    assert "RB019" in line.refused("member", "activate", "--member", admin, *how)
    assert "RN006" in line.refused("member", "activate", "--member", "nobody", *how)


def test_keys_are_made_listed_rotated_and_stopped(line: Line) -> None:
    org = found(line)["entity_uuid"]
    assert line.lines("key", "list", "--org", org) == "There is no key yet.\n"
    made = line.facts(
        "key", "create", "--org", org, "--kind", "system", "--name", "CRM",
        "--permission", "can_export", "--permission", "can_read_admin",
        "--cidr", "10.0.0.0/8", "--expires", "2101-01-01T00:00:00Z", "--rate-limit", "5/60",
    )  # fmt: skip
    assert set(made) == {"api_key_uuid", "api_key", "secret", "kind", "name"}
    (row,) = line.facts("key", "list", "--org", org)
    assert row["permissions"] == ["can_export", "can_read_admin"]
    assert row["expires_at"] == "2101-01-01T00:00:00.000000Z"
    assert "secret" not in row
    assert made["api_key"] in line.lines("key", "list", "--org", org)
    rotated = line.facts("key", "rotate", "--key", made["api_key"], "--overlap-seconds", "60")
    assert rotated["secret"] != made["secret"]
    stopped = line.facts("key", "deactivate", "--key", made["api_key"])
    assert stopped == {"api_key": made["api_key"], "state": "deactivated"}
    assert "RB019" in line.refused("key", "rotate", "--key", made["api_key"])
    gone = line.facts("key", "destroy", "--key", made["api_key"])
    assert gone == {"api_key": made["api_key"], "state": "destroyed"}
    assert line.facts("key", "list", "--org", org) == []
    assert "RN008" in line.refused("key", "destroy", "--key", made["api_key"])
    assert "RN008" in line.refused("key", "rotate", "--key", "ork-nothing")
    assert "RN008" in line.refused("key", "deactivate", "--key", "ork-nothing")


def test_super_keys_belong_to_no_organisation(line: Line) -> None:
    org = found(line)["entity_uuid"]
    made = line.facts(
        "key", "create", "--kind", "super", "--name", "All", "--permission", "can_export",
        "--cidr", "127.0.0.1",
    )  # fmt: skip
    assert [row["api_key"] for row in line.facts("key", "list")] == [made["api_key"]]
    assert line.facts("key", "list", "--org", org) == []
    line.facts("key", "deactivate", "--key", made["api_key"])
    name = ("--name", "x", "--permission", "can_export")
    line.misused("key", "create", "--kind", "system", *name)
    line.misused("key", "create", "--kind", "super", "--org", org, *name)
    line.misused("key", "create", "--kind", "system", "--org", org, "--name", "x")
    line.misused("key", "create", "--kind", "golden", "--org", org, *name)
    line.misused("key", "create", "--kind", "system", "--org", org, *name, "--expires", "tomorrow")
    assert "RB002" in line.refused("key", "create", "--kind", "super", *name)
    assert "RF888" in line.refused("key", "create", "--kind", "user", "--org", org, *name)
    line.facts("org", "set", "--org", org, "allow_user_api_keys", "true")
    assert "RB785" in line.refused("key", "create", "--kind", "user", "--org", org, *name)


def test_a_checkpoint_is_printed_with_its_keys(line: Line) -> None:
    org = found(line)["entity_uuid"]
    facts = line.facts("checkpoint", "--org", org)
    (vkey,) = facts["keys"]
    note.open_note(facts["checkpoint"], [note.VerifierKey.parse(vkey)])
    shown = line.lines("checkpoint", "--org", org)
    assert facts["checkpoint"] in shown
    assert vkey in shown


def test_a_record_is_exported_and_verified(line: Line, tmp_path: Path) -> None:
    org = found(line)["entity_uuid"]
    file = tmp_path / "record.jsonl"
    facts = line.facts("export", "record", "--org", org, "--output", str(file))
    assert facts["bytes"] == file.stat().st_size
    vkey = line.facts("checkpoint", "--org", org)["keys"][0]
    out, _ = line.run("verify", str(file), "--key", vkey, "--json")
    assert json.loads(out)["ok"] is True
    assert json.loads(out)["trusted"] is True
    out, _ = line.run("verify", str(file), "--json")
    assert json.loads(out)["trusted"] is None
    line.run("verify", str(file))
    other = tmp_path / "other.jsonl"
    line.facts("export", "record", "--org", org, "--output", str(other), "--as-of", "2")
    line.run("verify", str(other))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    out, _ = line.run("verify", str(file), "--json", status=1)
    assert json.loads(out)["ok"] is False
    line.run("verify", str(tmp_path / "missing"), status=2)
    line.run("verify", str(other), "--key", "no key", status=2)
    assert "RN008" in line.refused(
        "export", "record", "--org", org, "--output", str(other), "--as-of", "999"
    )
    head = line.facts("checkpoint", "--org", org)["checkpoint"].split("\n")[1]
    assert "no directory" in line.refused(
        "export", "record", "--org", org, "--output", str(tmp_path / "no" / "such" / "folder")
    )
    # Refused before it was begun: there is no entry of an export that nobody got.
    assert line.facts("checkpoint", "--org", org)["checkpoint"].split("\n")[1] == head


def test_what_is_exported_goes_where_it_is_told_to_go(line: Line, tmp_path: Path) -> None:
    org = found(line)["entity_uuid"]
    as_of = ("--as-of", "2")
    file = tmp_path / "record.jsonl"
    facts = line.facts("export", "record", "--org", org.upper(), "--output", str(file), *as_of)
    assert facts["entity_uuid"] == org
    whole = file.read_bytes()
    assert list(tmp_path.glob(".*")) == []
    # A name as long as names may be leaves room for no other one beside it.
    longest = tmp_path / ("n" * 250 + ".json")
    line.facts("export", "record", "--org", org, "--output", str(longest), *as_of)
    assert longest.read_bytes() == whole
    # A link leads where it led.
    link, target = tmp_path / "link.jsonl", tmp_path / "target.jsonl"
    link.symlink_to(target)
    line.facts("export", "record", "--org", org, "--output", str(link), *as_of)
    assert link.is_symlink()
    assert target.read_bytes() == whole
    # What is no file is written to, and stays what it is.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        line.facts("export", "record", "--org", org, "--output", str(pipe), *as_of)
        assert read.result(timeout=30) == whole
    assert pipe.is_fifo()
    assert "is a directory" in line.misused("export", "record", "--org", org, "--output", "")


def test_an_export_can_go_on_to_another_program(line: Line, tmp_path: Path) -> None:
    org = found(line)["entity_uuid"]
    words = ["export", "record", "--org", org, "--as-of", "2", "--output"]
    file = tmp_path / "record.jsonl"
    line.facts(*words, str(file))
    program = [sys.executable, "-m", "onrecord", *words, "-", *line.flags, "--json"]
    done = subprocess.run(program, capture_output=True, check=True)
    assert done.stdout == file.read_bytes()
    assert json.loads(done.stderr)["bytes"] == len(done.stdout)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"onrecord: ")
    assert done.stderr.count(b"\n") == 1


def test_names_of_several_lines_take_one(line: Line) -> None:
    words = ("org", "create", "--name", "Ash\n& Elm", "--admin-email", "a@example.com")
    assert "name                   Ash & Elm\n" in line.lines(*words)
    (listed,) = line.lines("org", "list").splitlines()
    assert listed.endswith("Ash & Elm")
    assert line.facts("org", "list")[0]["name"] == "Ash\n& Elm"


def test_a_value_may_begin_with_a_dash(line: Line) -> None:
    org = found(line)["entity_uuid"]
    kept = line.facts("org", "set", "--org", org, "banner", "- closed -")
    assert kept["banner"] == "- closed -"
    assert "RB003" in line.refused("org", "set", "--org", org, "sdk_token_seconds", "-5")
    assert "--nope" in line.misused("org", "set", "--org", org, "banner", "x", "--nope")


def test_a_data_directory_without_a_name_is_none(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, err = line.run("org", "list", "--data-dir", "", status=2)
    assert "is empty" in err
    assert list(tmp_path.iterdir()) == []


def test_verify_takes_the_options_that_every_command_has(line: Line, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    out, _ = line.run("verify", str(tmp_path / "empty"), *line.flags, status=1)
    assert out.startswith("WRONG")


def test_a_file_is_imported_reported_and_exported_again(line: Line, tmp_path: Path) -> None:
    made = found(line, "--admin-username", "ada.lovelace", "--admin-password", PASSWORD)
    file, report = tmp_path / "clients.csv", tmp_path / "report.csv"
    file.write_text("First Name,Email,Identifier\nNell,nell@example.com,C-1\n,no@example.com,C-2\n")
    words = ["import", "--org", made["entity_uuid"], "--kind", "clients", str(file)]
    tried = line.facts(*words, "--dry-run")
    counts = {"created": 1, "existing": 0, "refused": 1}
    assert tried == {"job_uuid": tried["job_uuid"], "state": "done", "rows": 2, **counts}
    done = line.facts(*words, "--report", str(report), "--no-invitations")
    assert {name: done[name] for name in counts} == counts
    assert "3,refused,RB003," in report.read_text("utf-8")
    again = line.facts(*words, "--ignore-existing-identifiers")
    assert again["existing"] == 1
    assert "created" in line.lines(*words, "--dry-run")
    assert "RB003 file has no column" in line.refused(*words[:4], "groups", str(file))
    output = tmp_path / "entities.json"
    words = ["export", "entities", "--org", made["entity_uuid"], "--output", str(output)]
    facts = line.facts(*words)
    exported = json.loads(output.read_bytes())
    assert facts["bytes"] == output.stat().st_size
    assert facts["as_of"] == exported["as_of"]
    assert [one["identifier"] for one in exported["entity_memberships"]] == [None, None, "C-1"]
    line.facts(*words, "--format", "zip", "--as-of", str(facts["as_of"]))
    out, _ = line.run("verify", str(output))
    assert out.startswith("The file is whole")
    assert "RN008" in line.refused(*words, "--as-of", "100000")


def test_the_specification_is_printed(line: Line) -> None:
    out, _ = line.run("openapi")
    assert json.loads(out)["openapi"] == "3.1.0"


def test_the_schema_is_migrated(line: Line) -> None:
    assert line.facts("migrate")["schema"] >= 1
    assert "The schema is at version" in line.lines("migrate")


def test_a_wrong_setting_or_database_is_one_clear_line(
    line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONRECORD_PORT", "http")
    assert "port" in line.refused("org", "list")
    monkeypatch.delenv("ONRECORD_PORT")
    away = ["--data-dir", str(tmp_path / "x"), "--database-url", "postgresql://n@127.0.0.1:1/n"]
    _, err = line.run("org", "list", *away, status=1)
    assert err.count("\n") == 1
    assert "cannot open the database" in err
    _, err = line.run("org", "list", *away[:2], "--database-url", "mysql://x", status=1)
    assert "database_url" in err


def test_a_database_that_refuses_is_one_clear_line(
    line: Line, engine: str, database_url: str, tmp_path: Path
) -> None:
    if engine == "sqlite":
        (tmp_path / "data" / "onrecord.db").mkdir(parents=True)
        assert "cannot open" in line.refused("org", "list")
        return
    nowhere = f"{database_url.rpartition('/')[0]}/no_such_database"
    words = ("org", "list", "--data-dir", str(tmp_path / "x"), "--database-url", nowhere)
    _, err = line.run(*words, status=1)
    assert err == 'onrecord: cannot open the database: database "no_such_database" does not exist\n'


def test_help_and_version(line: Line) -> None:
    for words in ((), ("org",), ("key",), ("key", "create"), ("serve",), ("demo",), ("verify",)):
        out, _ = line.run(*words, "--help")
        assert "Usage" in out
    out, _ = line.run("--version")
    assert out.startswith("onrecord")
    line.run("dance", status=2)


def test_a_running_server_obeys_from_its_next_request(world: World, beside: Line) -> None:
    cast = world.cast
    chats = f"{CHAT}/chats"
    events = f"{ENTITY}/events"
    accepted(world.get(events, key=cast.system))
    accepted(world.get(chats, key=cast.user))
    beside.facts("key", "deactivate", "--key", cast.system.api_key)
    refused(world.get(events, key=cast.system), "RU002", 401)
    made = beside.facts(
        "key", "create", "--org", cast.firm, "--kind", "system", "--name", "New",
        "--permission", "can_export",
    )  # fmt: skip
    key = ApiKey(Kind.SYSTEM, "", made["api_key"], made["secret"], "New")
    accepted(world.get(events, key=key))
    rotated = beside.facts("key", "rotate", "--key", made["api_key"])
    refused(world.get(events, key=key), "RU001", 401)
    accepted(world.get(events, key=ApiKey(Kind.SYSTEM, "", made["api_key"], rotated["secret"], "")))
    beside.facts("org", "freeze", "--org", cast.firm)
    refused(world.get(chats, key=cast.user), "RN902", 404)
    beside.facts("org", "unfreeze", "--org", cast.firm)
    accepted(world.get(chats, key=cast.user))
    beside.facts("org", "set", "--org", cast.firm, "allow_user_api_keys", "false")
    refused(world.get(chats, key=cast.user), "RU002", 401)
    how = ("--username", "petra.wolf", "--password", PASSWORD)
    refused(world.get(chats, key=cast.master, on_behalf_of=cast.petra), "RF024", 403)
    beside.facts("member", "activate", "--member", cast.petra.uuid, *how)
    accepted(world.get(chats, key=cast.master, on_behalf_of=cast.petra))
    assert "serve" in beside.refused("migrate") or "held" in beside.refused("migrate")


# -- invitations, mails and terms ----------------------------------------------------------------


def test_a_fresh_link_is_printed_for_somebody_whom_no_mail_reaches(
    world: World, beside: Line
) -> None:
    petra = world.cast.petra.uuid
    facts = beside.facts("member", "invitation", "--member", petra)
    token = facts["link"].partition("/join#token=")[2]
    look = {"X-Invitation-Token": token}
    accepted(world.get("/app-service/api/invitations", headers=look))
    again = beside.lines("member", "invitation", "--member", petra).strip()
    assert again.startswith("http://127.0.0.1:8080/join#token=")
    refused(world.get("/app-service/api/invitations", headers=look), "RU010", 401)
    entry = world.entries(world.cast.firm)[-1]
    assert (entry["type"], entry["data"]) == ("invitation.made", {"why": "operator"})
    assert entry["actor"]["kind"] == "operator"
    assert "RB019" in beside.refused("member", "invitation", "--member", world.cast.tomas.uuid)
    assert "RN006" in beside.refused("member", "invitation", "--member", world.cast.firm)


def test_a_test_message_is_sent_now_and_is_on_record(
    world: World, beside: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "mail_url" in beside.refused("mail", "test", "--to", "ada@example.com")
    assert "sms_url" in beside.refused("sms", "test", "--to", "+442079460001")
    assert "RB003" in beside.refused("mail", "test", "--to", "nobody")
    assert "RB003" in beside.refused("sms", "test", "--to", "12")
    monkeypatch.setenv("ONRECORD_MAIL_URL", "smtp://127.0.0.1:1")
    monkeypatch.setenv("ONRECORD_MAIL_FROM", "office@example.com")
    assert "could not be sent" in beside.refused("mail", "test", "--to", "ada@example.com")
    before = world.head(INSTALLATION_UUID)
    monkeypatch.setenv("ONRECORD_DEV_OUTBOX", "1")
    beside.facts("mail", "test", "--to", "ada@example.com")
    assert "kept" in beside.lines("sms", "test", "--to", "+44 20 7946 0001")
    entries = world.entries(INSTALLATION_UUID, before)
    assert [(entry["type"], entry["data"]["channel"]) for entry in entries] == [
        ("message.tried", "email"),
        ("message.tried", "sms"),
    ]
    assert world.rows("SELECT recipient FROM outbox ORDER BY id") == [
        ("ada@example.com",),
        ("+442079460001",),
    ]


def test_the_operators_terms_are_a_file_and_every_other_text_is_a_version(
    line: Line, tmp_path: Path
) -> None:
    file = tmp_path / "terms.md"
    file.write_text("Be kind.\n", "utf-8")
    assert line.facts("terms", str(file))["version"] == 1
    assert line.facts("terms", str(file))["version"] == 1
    file.write_text("Be kinder.\n", "utf-8")
    assert line.facts("terms", str(file))["version"] == 2
    line.run("terms", str(tmp_path / "nowhere"), status=2)
