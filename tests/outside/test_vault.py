"""The vault: one key, outside the database, for its owner alone."""

import stat
from pathlib import Path

import pytest

from onrecord.model.errors import Refusal
from onrecord.outside import vault as vaults
from tests.world import World


def test_what_is_sealed_opens_at_its_place_alone(tmp_path: Path) -> None:
    vault = vaults.load_or_make(tmp_path / "secrets.key", may_make=True)
    sealed = vault.seal(b"a secret", "here")
    assert vault.open(sealed, "here") == b"a secret"
    assert b"a secret" not in sealed
    assert vault.seal(b"a secret", "here") != sealed
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong, place in ((sealed, "there"), (changed, "here"), (b"", "here")):
        with pytest.raises(ValueError, match="does not open"):
            vault.open(wrong, place)


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    first = vaults.load_or_make(path, may_make=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert vaults.load_or_make(path, may_make=True).mark == first.mark
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="0600"):
        vaults.load_or_make(path, may_make=True)


def test_a_key_that_is_missing_or_short_is_told(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    with pytest.raises(FileNotFoundError):
        vaults.load_or_make(path, may_make=False)
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(ValueError, match="32 bytes"):
        vaults.load_or_make(path, may_make=True)


def test_an_installation_does_not_start_under_another_key(sqlite_world: World) -> None:
    key = sqlite_world.settings.secrets_key
    sqlite_world.stop()
    kept = key.read_bytes()
    key.write_bytes(bytes(32))
    with pytest.raises(Refusal, match=r"another secrets\.key"):
        sqlite_world.start()
    key.unlink()
    with pytest.raises(FileNotFoundError):
        sqlite_world.start()
    key.write_bytes(kept)
    key.chmod(0o600)
    sqlite_world.start()
