"""The signing key: made at the first start, kept outside the database, never shown."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from onrecord.proof import note

MODE = 0o600


class FileSigner:
    """Signs with the Ed25519 key of a file that only its owner can read."""

    def __init__(self, key: Ed25519PrivateKey, name: str) -> None:
        """Use the key under this name (the host part of the origins)."""
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._name = name
        self.vkey = str(note.VerifierKey(name, self._public))

    def sign_note(self, text: str) -> str:
        """Give the signed note over a text that ends in a line feed."""
        return note.sign(text, self._name, self._public, self._key.sign)


def load_or_make(path: Path, name: str, *, may_make: bool) -> FileSigner:
    """Load the key of a file; make it when it is missing and may be made.

    FileNotFoundError when it is missing and may not be made, PermissionError when others can
    read it, ValueError when it is no Ed25519 key.
    """
    if not path.exists() and may_make:
        _make(path)
    if path.stat().st_mode & 0o077:
        msg = f"{path} can be read by others; it must have mode 0600"
        raise PermissionError(msg)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:  # no key, or one under a password
        msg = f"{path} holds no private key that can be read"
        raise ValueError(msg) from error
    if not isinstance(key, Ed25519PrivateKey):
        msg = f"{path} holds no Ed25519 key"
        raise ValueError(msg)  # noqa: TRY004 - the file's content is wrong, not a type of ours
    return FileSigner(key, name)


def _make(path: Path) -> None:
    """Write a new key whole or not at all; of two processes the first one's stays."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - needed once ever
        NoEncryption,
        PrivateFormat,
    )

    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        temporary.unlink(missing_ok=True)
