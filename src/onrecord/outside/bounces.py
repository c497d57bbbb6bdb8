"""Mail that came back: delivery status notifications (RFC 3464) in a Maildir."""

import email
import email.policy
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Final

LARGEST: Final = 5 * 1024 * 1024
"""Bytes of a message above which it is put away unread."""
MOST: Final = 200
"""Messages read at once; the others have their turn in the next minute."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """One message of the directory, and which mail it says has failed."""

    path: Path
    failed: bool = False
    message_id: str = ""
    recipient: str = ""


def read(directory: Path) -> list[Bounce]:
    """Read the new messages of a Maildir, the oldest names first; none when there is none."""
    try:
        paths = sorted(path for path in (directory / "new").iterdir() if path.is_file())
    except FileNotFoundError:
        return []
    return [_read(path) for path in paths[:MOST]]


def put_away(bounce: Bounce) -> None:
    """Move a message to the ones that were seen."""
    seen = bounce.path.parent.parent / "cur"
    seen.mkdir(exist_ok=True)
    bounce.path.replace(seen / f"{bounce.path.name.partition(':')[0]}:2,S")


def _read(path: Path) -> Bounce:
    if path.stat().st_size > LARGEST:
        return Bounce(path)
    return parsed(path, path.read_bytes())


def parsed(path: Path, content: bytes) -> Bounce:
    """Tell what a message says; a message that is no notification, or of a delay, says nothing."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    if message.get_content_type() != "multipart/report":
        return Bounce(path)
    failed, recipient, message_id = False, "", ""
    for part in message.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            for fields in _parts(part):
                if str(fields.get("Action", "")).strip().lower() == "failed":
                    failed = True
                    recipient = recipient or _address(fields)
        elif kind == "text/rfc822-headers":
            returned = email.message_from_string(
                str(part.get_content()), policy=email.policy.default
            )
            message_id = message_id or str(returned.get("Message-ID", ""))
        elif kind == "message/rfc822":
            message_id = message_id or _id_of(part)
    return Bounce(path, failed, message_id.strip(), recipient)


def _id_of(part: Message) -> str:
    return next((str(inner.get("Message-ID", "")) for inner in _parts(part)), "")


def _parts(part: Message) -> list[Message]:
    inner = part.get_payload()
    return [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []


def _address(fields: Message) -> str:
    """Give the address of `Final-Recipient: rfc822; somebody@example.com`."""
    given = fields.get("Original-Recipient") or fields.get("Final-Recipient") or ""
    return str(given).rpartition(";")[2].strip()
