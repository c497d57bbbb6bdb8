"""The sealed ZIP of an export, format ``onrecord-export/v1``.

Every part is stored, not compressed, with the time of the position the file is as of. Two parts
are the same in every kind of export:

- ``manifest.json``, canonical JSON: what the file is, the checkpoint of exactly its position, the
  keys of all signatures in it, and for every other part its size and SHA-256;
- ``records.jsonl``: the record itself, in the form of ``archive``, or in that of ``chat`` where
  the export is one of a chat.

Files that messages carry stand under ``attachments/``: in the export of a chat as
``attachments/<seq>-<name>``, else as ``attachments/<chat_uuid>/<seq>-<name>``, the number of the
message in decimal digits. What is not there is named in the manifest under ``missing``, each
``{"attachment_uuid":"…","chat_uuid":"…","seq":n,…}``. The export of a chat has its transcript
as ``transcript.pdf``, or in parts as ``transcript-001.pdf`` and so on.

The comment of the ZIP is the signed note over the seal text of all the bytes that precede it, the
two that give its length included.
"""

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, BinaryIO, Final

from onrecord.proof import canonical, entries
from onrecord.proof.note import VerifierKey

VERSION: Final = "onrecord-export/v1"
ENTITIES: Final = "entities"
"""The kind of an export of all member, group and chat records."""
CHAT: Final = "chat"
"""The kind of an export of one chat, or of a window of it."""
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
_Kinds = Mapping[str, type | UnionType]

_MEMBERS: Final[_Kinds] = {
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
_MEMBERS_OF: Final[Mapping[str, _Kinds]] = {
    CHAT: {"chat_uuid": str, "first_index": int, "last_index": int, "versions": dict},
}
"""Those that only some kinds of export have."""
_OPTIONAL: Final[_Kinds] = {"missing": list}
"""Those that are there when there is something to say."""


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
    kind = value.get("kind") if type(value) is dict else None
    members = {**_MEMBERS, **_MEMBERS_OF.get(kind if type(kind) is str else "", {})}
    if type(value) is not dict or value.keys() - _OPTIONAL.keys() != members.keys():
        raise ValueError(f"it has not exactly the members {', '.join(sorted(members))}")
    wrong = [
        name
        for name, of in {**members, **_OPTIONAL}.items()
        if name in value and (not isinstance(value[name], of) or isinstance(value[name], bool))
    ]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} is of another type")
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
