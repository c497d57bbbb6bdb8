"""The data directory's lock: servers share it, migrations have it alone."""

from pathlib import Path

import pytest

from onrecord.model.ports import Held
from onrecord.outside.datadir import DataDirectory


def test_a_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    DataDirectory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_servers_share_and_a_migration_is_refused_saying_who_holds_it(tmp_path: Path) -> None:
    with DataDirectory(tmp_path).hold("serve", alone=False):
        with (
            DataDirectory(tmp_path).hold("a command", alone=False),
            pytest.raises(Held, match=r"is held by serve \(process \d+\)"),
        ):
            DataDirectory(tmp_path).hold("migrate", alone=True)
        with pytest.raises(Held):
            DataDirectory(tmp_path).hold("migrate", alone=True)
    with DataDirectory(tmp_path).hold("migrate", alone=True):
        with pytest.raises(Held, match="held by migrate"):
            DataDirectory(tmp_path).hold("serve", alone=False)
        (tmp_path / "onrecord.lock").write_text("")
        with pytest.raises(Held, match="another process"):
            DataDirectory(tmp_path).hold("serve", alone=False)
    DataDirectory(tmp_path).hold("serve", alone=False).let_go()


def test_letting_go_twice_is_no_harm(tmp_path: Path) -> None:
    held = DataDirectory(tmp_path).hold("serve", alone=False)
    held.hold("serve", alone=False)
    held.let_go()
    held.let_go()
    DataDirectory(tmp_path).hold("migrate", alone=True).let_go()
