"""The text of a seal: what a file's last note states about everything that precedes it.

Six lines::

    onrecord-seal/v1
    <kind of file>
    <origin>
    <position the file is as of>
    <number of bytes that precede>
    <SHA-256 of the bytes that precede, lower-case hex>

The seal is the signed note (``note``) over this text, by the key that signs checkpoints. It needs
no more than a running hash, so files of any size are sealed as they stream.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from onrecord.proof import note
from onrecord.proof.merkle import HASH_BYTES, SIZE_LIMIT

VERSION: Final = "onrecord-seal/v1"
_is_kind = re.compile("[a-z][a-z0-9-]{0,31}").fullmatch


class SealError(ValueError):
    """A seal's text is not in the exact form."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What a seal states. ``size`` in bytes, ``digest`` 32 bytes, numbers from 0 to 2^53 - 1.

    ``kind`` is a short lower-case word such as ``archive``. Raises SealError otherwise.
    """

    kind: str
    origin: str
    as_of: int
    size: int
    digest: bytes

    def __post_init__(self) -> None:
        numbers = (self.as_of, self.size)
        if not (
            _is_kind(self.kind)
            and note.is_name(self.origin)
            and all(0 <= number < SIZE_LIMIT for number in numbers)
            and len(self.digest) == HASH_BYTES
        ):
            raise SealError("a seal has a kind, an origin, two numbers below 2^53 and a SHA-256")

    def text(self) -> str:
        """Return the text to be signed."""
        fields = (VERSION, self.kind, self.origin, self.as_of, self.size, self.digest.hex())
        return "".join(f"{field}\n" for field in fields)


def seal_text(kind: str, origin: str, as_of: int, size: int, digest: bytes) -> str:
    """Return the text to be signed over a file; raises SealError for fields no seal can hold."""
    return Seal(kind, origin, as_of, size, digest).text()


def parse(text: str) -> Seal:
    """Return the seal a note's text spells; raises SealError for any other text.

    Whatever is read is written again and compared, so that no byte could be another.
    """
    try:
        version, kind, origin, as_of, size, digest, _ = text.split("\n")
        seal = Seal(kind, origin, int(as_of), int(size), bytes.fromhex(digest))
    except SealError:
        raise
    except ValueError as error:
        raise SealError("it is not the six lines of a seal") from error
    if version != VERSION:
        raise SealError(f"it is of the form {version[:40]!r}, which this verifier does not know")
    if seal.text() != text:
        raise SealError("it is not the exact form of a seal")
    return seal


class Sealer:
    """The running size and SHA-256 of a file while it is written: feed it every chunk, in order."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes fed so far."""
        self._hash = sha256()

    def update(self, chunk: bytes) -> bytes:
        """Take the next bytes of the file and give them back, to be written."""
        self.size += len(chunk)
        self._hash.update(chunk)
        return chunk

    def digest(self) -> bytes:
        """Return the SHA-256 of all bytes fed so far."""
        return self._hash.digest()

    def text(self, kind: str, origin: str, as_of: int) -> str:
        """Return the seal's text over all bytes fed so far."""
        return seal_text(kind, origin, as_of, self.size, self.digest())
