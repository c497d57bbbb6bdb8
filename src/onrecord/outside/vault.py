"""The vault: encrypts what must be read back, under a key that lies outside the database."""

import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
MODE: Final = 0o600


class FileVault:
    """AES-256-GCM under the key of a file that only its owner can read."""

    def __init__(self, key: bytes) -> None:
        """Use the key."""
        self._cipher = AESGCM(key)
        self.mark = hashlib.sha256(b"onrecord vault " + key).hexdigest()

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt for one place: what is sealed there opens nowhere else."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what was sealed for a place; ValueError for anything else."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            msg = "a secret does not open under this key"
            raise ValueError(msg) from error


def load_or_make(path: Path, *, may_make: bool) -> FileVault:
    """Load the key of a file; make it when it is missing and may be made.

    FileNotFoundError when it is missing and may not be made, PermissionError when others can read
    it, ValueError when it does not have 32 bytes.
    """
    if not path.exists() and may_make:
        _make(path)
    if path.stat().st_mode & 0o077:
        msg = f"{path} can be read by others; it must have mode 0600"
        raise PermissionError(msg)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        msg = f"{path} does not hold {KEY_BYTES} bytes"
        raise ValueError(msg)
    return FileVault(key)


def _make(path: Path) -> None:
    """Write a new key whole or not at all; of two processes the first one's stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
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
