"""The signing key: made once, seen by its owner alone."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from onrecord.outside.signer import load_or_make
from onrecord.proof import note


def test_a_key_is_made_once_and_loaded_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    made = load_or_make(path, "firm", may_make=True)
    assert path.stat().st_mode & 0o777 == 0o600
    again = load_or_make(path, "firm", may_make=True)
    assert made.vkey == again.vkey
    assert [file.name for file in tmp_path.iterdir()] == ["signing.key"]
    key = note.VerifierKey.parse(made.vkey)
    assert key.name == "firm"
    signed = made.sign_note("what is signed\n")
    assert note.open_note(signed, [key]).text == "what is signed\n"


def test_a_missing_key_that_may_not_be_made_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_or_make(tmp_path / "signing.key", "firm", may_make=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.key"
    load_or_make(path, "firm", may_make=True)
    path.chmod(mode)
    with pytest.raises(PermissionError, match="0600"):
        load_or_make(path, "firm", may_make=False)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signing.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ValueError, match=f"{path} holds no private key"):
        load_or_make(path, "firm", may_make=True)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    key = generate_private_key(65537, 2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(ValueError, match="no Ed25519 key"):
        load_or_make(path, "firm", may_make=True)


def test_of_two_who_make_a_key_the_firsts_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "signing.key"
    first = load_or_make(path, "firm", may_make=True)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # the second looked before the first wrote
    second = load_or_make(path, "firm", may_make=True)
    assert second.vkey == first.vkey
    assert [file.name for file in tmp_path.iterdir()] == ["signing.key"]
