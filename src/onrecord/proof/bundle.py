"""The sealed ZIP of an export, format ``onrecord-export/v1``.

Every part is stored, not compressed, with the time of the position the file is as of. Two parts
are the same in every kind of export:

- ``manifest.json``, canonical JSON: what the file is, the checkpoint of exactly its position, the
  keys of all signatures in it, and for every other part its size and SHA-256;
- ``records.jsonl``, where there is one: the record itself, in the form of ``archive``.

The comment of the ZIP is the signed note over the seal text of all the bytes that precede it, the
two that give its length included.
"""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

from onrecord.proof import canonical, entries
from onrecord.proof.note import VerifierKey

VERSION: Final = "onrecord-export/v1"
ENTITIES: Final = "entities"
"""The kind of an export of all member, group and chat records."""
MANIFEST: Final = "manifest.json"
RECORDS: Final = "records.jsonl"
MANIFEST_LIMIT: Final = 2**26
"""Bytes a manifest may have: 64 MiB, some hundred thousand parts."""
LENGTH_BYTES: Final = 2
"""Bytes of the last field of a ZIP before its comment: how long the comment is."""

MAGIC: Final = b"PK\x03\x04"
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_COMMENT_LIMIT: Final = 2**16
_MEMBERS: Final = {
    "as_of": int,
    "at": str,
    "checkpoint": str,
    "counts": dict,
    "entity_name": str | None,
    "entity_uuid": str,
    "export": str,
    "files": dict,
    "keys": list,
    "kind": str,
    "origin": str,
    "software": str,
}
"""The members of a manifest and what they are."""


def manifest(
    *,
    files: Mapping[str, tuple[int, str]],
    keys: Sequence[VerifierKey],
    **facts: Any,
) -> bytes:
    """Return the manifest; ``files`` gives size and digest of every part but itself."""
    return canonical.encode(
        {
            "export": VERSION,
            "files": {
                name: {"sha256": digest, "size": size} for name, (size, digest) in files.items()
            },
            "keys": [str(key) for key in keys],
            **facts,
        }
    )


def parse_manifest(data: bytes) -> dict[str, Any]:
    """Return what a manifest says, the form of each member checked; raises ValueError."""
    value = canonical.decode(data)
    if type(value) is not dict or value.keys() != _MEMBERS.keys():
        raise ValueError(f"it has not exactly the members {', '.join(sorted(_MEMBERS))}")
    wrong = [name for name, kind in _MEMBERS.items() if not isinstance(value[name], kind)]
    if wrong or isinstance(value["as_of"], bool):
        raise ValueError(f"{', '.join(wrong) or 'as_of'} is of another type")
    if value["export"] != VERSION:
        raise ValueError(f"the format is {value['export']!r:.60}; this verifier knows {VERSION}")
    uuid, origin = value["entity_uuid"], value["origin"]
    if not entries.is_uuid(uuid) or not origin.endswith(f"/{uuid}"):
        raise ValueError("the origin is not that of the organisation")
    for name, stated in value["files"].items():
        if type(stated) is not dict or stated.keys() != {"sha256", "size"}:
            raise ValueError(f"{name[:80]} has not exactly a size and a SHA-256")
    return value


def comment_of(file: BinaryIO, size: int) -> bytes:
    """Return the comment of a ZIP of ``size`` bytes; raises ValueError where it cannot be found."""
    begin = max(0, size - _COMMENT_LIMIT - _END_BYTES)
    file.seek(begin)
    tail = file.read(size - begin)
    at = tail.rfind(_END)
    while at >= 0:
        length = int.from_bytes(tail[at + _END_BYTES - LENGTH_BYTES : at + _END_BYTES], "little")
        if at + _END_BYTES + length == len(tail):
            return tail[at + _END_BYTES :]
        at = tail.rfind(_END, 0, at)
    raise ValueError("it does not end as a ZIP ends: it is cut off, or something follows its seal")
