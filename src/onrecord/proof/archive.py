"""The sealed archive of one organisation, format ``onrecord-archive/v1``: JSON Lines.

Every line is canonical JSON (RFC 8785) ended by one newline, and is shorter than 1 MiB:

1. the header: ``{"archive":"onrecord-archive/v1","as_of":N,"checkpoint":"<signed note>",
   "entity_uuid":"…","keys":["<vkey>",…],"origin":"<host>/<entity_uuid>"}``. The checkpoint is that
   of exactly N entries; ``keys`` are those of all signatures in the file;
2. exactly N entries in order of position, each ``{"entry":"<the stored bytes, as a string>",
   "parts":{"text":{"bytes":"<canonical bytes, as a string>","salt":"<Base64 of 32 bytes>"},
   "address":null}}``. ``parts`` names exactly what the entry's ``content`` names, null where the
   part has been erased, and is absent when the entry has no content;
3. the seal: ``{"seal":"<signed note>"}``, over the seal text (kind ``archive``) of all the bytes
   that precede this line.

Entries and parts stand as strings holding the bytes that were hashed, so that whoever checks
them re-encodes nothing. Nothing in the file tells of the moment or the person of the export.

The functions write one line each and hold nothing: an archive of any size streams through a
``Sealer`` in constant memory.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from onrecord.proof import canonical
from onrecord.proof.canonical import quote
from onrecord.proof.note import VerifierKey
from onrecord.proof.seal import Sealer

__all__ = ["Sealer", "entry_line", "header_line", "part_hash", "seal_line", "spell_entry"]

VERSION: Final = "onrecord-archive/v1"
KIND: Final = "archive"
"""The seal's kind."""

LINE_LIMIT: Final = 2**20
"""Lines are shorter than this, in bytes, newline included: 1 MiB."""

SALT_BYTES: Final = 32


def part_hash(salt: bytes, data: bytes) -> str:
    """Return the hash by which an entry commits to a part: hex SHA-256(salt ‖ data).

    ``salt`` is 32 random bytes of the part's own, so that an erased part cannot be guessed from
    its hash; ``data`` the canonical JSON of its value. Raises ValueError for another salt.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return sha256(salt + data).hexdigest()


def header_line(
    *, origin: str, entity_uuid: str, as_of: int, checkpoint: str, keys: Sequence[VerifierKey]
) -> bytes:
    """Return the first line: whose record, up to which position, under which signed root."""
    return _line(
        {
            "archive": VERSION,
            "as_of": as_of,
            "checkpoint": checkpoint,
            "entity_uuid": entity_uuid,
            "keys": [str(key) for key in keys],
            "origin": origin,
        }
    )


def entry_line(leaf: bytes, parts: Mapping[str, tuple[bytes, bytes] | None]) -> bytes:
    """Return the line of one entry: its stored bytes and its parts.

    ``parts`` gives salt and bytes by the name of the part, None for one that was erased; it is
    empty for an entry without content.
    """
    texts = {
        name: part and {"bytes": part[1].decode(), "salt": b64encode(part[0]).decode()}
        for name, part in parts.items()
    }
    return bounded(spell_entry(leaf.decode(), texts or None).encode() + b"\n")


def spell_entry(entry: str, parts: Mapping[str, Mapping[str, str] | None] | None) -> str:
    """Return the one spelling of an entry's line, without its newline.

    The same as ``canonical.encode`` in half the time: verifiers compare every line with it. The
    names of parts are words of ASCII, so that their order is plain.
    """
    if parts is None:
        return f'{{"entry":{quote(entry)}}}'
    spelled = [
        f'{quote(name)}:{{"bytes":{quote(part["bytes"])},"salt":{quote(part["salt"])}}}'
        if part
        else f"{quote(name)}:null"
        for name, part in sorted(parts.items())
    ]
    return f'{{"entry":{quote(entry)},"parts":{{{",".join(spelled)}}}}}'


def seal_line(note: str) -> bytes:
    """Return the last line: the signed note over ``Sealer.text`` of all lines before it."""
    return _line({"seal": note})


def _line(value: dict[str, object]) -> bytes:
    return bounded(canonical.encode(value) + b"\n")


def bounded(line: bytes) -> bytes:
    """Return the line; raises ValueError if it is too long for any reader."""
    if len(line) >= LINE_LIMIT:
        raise ValueError(f"a line of {len(line)} bytes is too long for an archive")
    return line
