"""Attachments on their way into a ZIP: which ones there are, under which names, and which are gone.

What storage has not, or has in another size, is named as missing and never stands there empty.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from onrecord.domain import messages, sealed_zip
from onrecord.domain.replay import Read
from onrecord.domain.sealed_zip import Member
from onrecord.model import filenames
from onrecord.model.ports import Files
from onrecord.store import attachments
from onrecord.store.attachments import Stored

FOLDER: Final = "attachments/"
FILE: Final = "file"
"""The part of an entry that says which files a message brought."""
NAME_MOST: Final = 100
"""Characters of an attachment's name that are kept in a ZIP."""
BYTES_MOST: Final = 200
"""Bytes of it, in UTF-8: with the numbers before it, file systems must take it (255)."""
ENDING_MOST: Final = 20
AT_ONCE: Final = 500
"""Messages whose attachments are looked for in one transaction."""


class Brought(NamedTuple):
    """A message that brought files: its place, and the bytes of its part `file`."""

    position: int
    chat_uuid: str
    seq: int
    part: bytes


@dataclass(frozen=True, slots=True)
class Enclosed:
    """What a ZIP encloses, and what it would if it were still there."""

    members: list[Member]
    missing: list[dict[str, Any]]


async def enclosed(
    read: Read, files: Files, entity_id: int, brought: Sequence[Brought], *, by_chat: bool
) -> Enclosed:
    """Find the files that messages of an organisation brought.

    They are named by the number of their message; `by_chat` gives each chat a folder of its own.
    """
    found = Enclosed([], [])
    for begin in range(0, len(brought), AT_ONCE):
        some = brought[begin : begin + AT_ONCE]
        positions = [one.position for one in some]

        async def known(session: Any, positions: list[int] = positions) -> Any:
            return await attachments.of_messages(session, entity_id, positions)

        stored = await read(known)
        for one in some:
            rows = {row.uuid: row for row in stored.get(one.position, ())}
            folder = f"{FOLDER}{one.chat_uuid}/" if by_chat else FOLDER
            await _enclose(found, files, one, folder, rows)
    return found


async def _enclose(
    found: Enclosed, files: Files, one: Brought, folder: str, rows: dict[str, Stored]
) -> None:
    told = messages.files_told(one.part)
    for name, file in zip(_names(one.seq, [file.filename for file in told]), told, strict=True):
        row = rows.get(file.attachment_uuid)
        if row is None or await files.size(row.name) != file.size:
            found.missing.append(
                {
                    "attachment_uuid": file.attachment_uuid,
                    "chat_uuid": one.chat_uuid,
                    "seq": one.seq,
                    "name": f"{folder}{name}",
                }
            )
            continue
        facts = (f"{folder}{name}", file.size, row.crc32, file.sha256)
        found.members.append(sealed_zip.stored(files, row.name, facts))


def _names(seq: int, names: Sequence[str]) -> Iterable[str]:
    """Give the names of a message's files in a ZIP; where there are several, their places too."""
    if len(names) == 1:
        yield f"{seq:06d}-{safe_name(names[0])}"
        return
    for place, name in enumerate(names, 1):
        yield f"{seq:06d}-{place:02d}-{safe_name(name)}"


_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')


def safe_name(name: str) -> str:
    """Give a file name that every system takes: no path, no control, at most 100 characters.

    And at most 200 bytes. The ending is kept where the name is cut. A number stands before it, so
    that no name begins with a dot or is one that a system keeps for itself.
    """
    name = unicodedata.normalize("NFC", _UNSAFE.sub("_", name)).strip(" .") or "file"
    if len(name) > NAME_MOST:
        stem, dot, ending = name.rpartition(".")
        if not dot or len(ending) > ENDING_MOST:
            name = name[:NAME_MOST].rstrip(" .")
        else:
            name = f"{stem[: NAME_MOST - len(ending) - 1].rstrip(' .')}.{ending}"
    return filenames.shortened(name, BYTES_MOST)
