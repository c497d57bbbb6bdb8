"""The text of a checkpoint: C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint).

Three lines: the origin that names the record, the number of its entries, the Base64 of the root
over them. A checkpoint is the signed note (``note``) over this text. Extension lines, which C2SP
allows and advises against, are refused.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass

from onrecord.proof import note
from onrecord.proof.merkle import HASH_BYTES, SIZE_LIMIT


class CheckpointError(ValueError):
    """A checkpoint's text is not in the exact form."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint states: the record ``origin`` had ``size`` entries with this ``root``.

    ``size`` is from 0 to 2^53 - 1, ``root`` 32 bytes; the origin has the form of a key name (no
    white space, no plus). Raises CheckpointError otherwise.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not note.is_name(self.origin):
            raise CheckpointError(
                f"{self.origin[:80]!r} is not an origin (no white space, no plus, not empty)"
            )
        if not 0 <= self.size < SIZE_LIMIT or len(self.root) != HASH_BYTES:
            raise CheckpointError(
                "a checkpoint has a size from 0 to 2^53 - 1 and a root of 32 bytes"
            )

    def text(self) -> str:
        """Return the text to be signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def parse(text: str) -> Checkpoint:
    """Return the checkpoint a note's text spells; raises CheckpointError for any other text.

    Whatever is read is written again and compared: leading zeros, other digits, signs, unused
    Base64 bits and further lines all fail there.
    """
    lines = text.split("\n")
    try:
        origin, size, root, end = lines
        checkpoint = Checkpoint(origin, int(size), b64decode(root, validate=True))
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError("it is not the three lines of a checkpoint") from error
    if end or checkpoint.text() != text:
        raise CheckpointError("it is not the exact form of a checkpoint")
    return checkpoint
