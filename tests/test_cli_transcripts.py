"""The command `export chat`, beside a running server."""

from pathlib import Path

import pytest

from tests.talk import STRANGER, say, start
from tests.test_cli import Line
from tests.world import World


@pytest.fixture
def line(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    """The command line of the running installation."""
    flags = ["--data-dir", str(world.settings.data_dir)]
    url = world.settings.database_url
    return Line(flags + ["--database-url", url] * bool(url), capsys, monkeypatch)


def test_a_chat_is_written_and_verified(world: World, line: Line, tmp_path: Path) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, title="Pension", text="zero")
    say(world, cast.priya, chat, "one")
    as_of = world.head(cast.firm)
    output = tmp_path / "chat.pdf"
    words = ["export", "chat", "--chat", chat.upper(), "--output", str(output)]
    facts = line.facts(*words)
    assert facts == {
        "file": str(output),
        "entity_uuid": cast.firm,
        "chat_uuid": chat,
        "format": "pdf",
        "as_of": as_of,
        "first_index": 1,
        "last_index": facts["last_index"],
        "bytes": output.stat().st_size,
    }
    out, _ = line.run("verify", str(output), "--key", world.app.signer.vkey)
    assert out.startswith("The file is whole")
    told = world.entries(cast.firm)[-1]
    assert (told["type"], told["actor"]["kind"]) == ("export.made", "operator")
    first = output.read_bytes()
    line.facts(*words, "--as-of", str(as_of))
    assert output.read_bytes() == first
    window = ("--from", "1999-01-01T00:00:00Z", "--to", "1999-12-31T00:00:00Z")
    empty = line.facts(*words, "--format", "zip", *window, "--timezone", "Asia/Tokyo")
    assert empty["last_index"] == empty["first_index"] - 1
    out, _ = line.run("verify", str(output))
    assert out.startswith("The file is whole")


def test_what_cannot_be_written_is_one_clear_line(world: World, line: Line, tmp_path: Path) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="zero")
    output = tmp_path / "chat.pdf"
    words = ["export", "chat", "--output", str(output), "--chat"]
    assert "RN001" in line.refused(*words, STRANGER)
    assert "RB003" in line.refused(*words, "x")
    assert "RB003" in line.refused(*words, chat, "--timezone", "Mars")
    assert "RB003" in line.refused(*words, chat, "--from", "yesterday")
    assert "RN008" in line.refused(*words, chat, "--as-of", "100000")
    assert "--format" in line.misused(*words, chat, "--format", "docx")
    assert not output.exists()
