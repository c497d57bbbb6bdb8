"""Sending files as tests see it: uploads, messages with files, downloads."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.cast import Person, Shown
from tests.world import CHAT, World, accepted

UPLOAD = f"{CHAT}/chats/attachments/upload"
SEND_FILES = f"{CHAT}/chats/messages/send-attachment"
FETCH = f"{CHAT}/chats/attachments"
PREVIEW = f"{FETCH}/preview"
LINK = f"{FETCH}/link"
BUTLER_FILES = f"{CHAT}/chats/butler-says/send-attachment"
LETTER = b"Dear Priya,\nthe transfer value has arrived.\n"


def try_upload(
    world: World,
    by: Person | None,
    chat_uuid: str | None,
    content: bytes = LETTER,
    name: str = "letter.txt",
    *,
    key: Shown | None = None,
    **how: Any,
) -> httpx.Response:
    """Upload a file as somebody; without a chat for the Butler."""
    return world.post(
        UPLOAD,
        key=key or world.cast.master,
        on_behalf_of=by,
        data={} if chat_uuid is None else {"chat_uuid": chat_uuid},
        files={"file": (name, content, "application/octet-stream")},
        **how,
    )


def uploaded(
    world: World,
    by: Person | None,
    chat_uuid: str | None,
    content: bytes = LETTER,
    name: str = "letter.txt",
    **how: Any,
) -> str:
    """Upload a file and give its uuid."""
    return str(accepted(try_upload(world, by, chat_uuid, content, name, **how))["attachment_uuid"])


def try_send(
    world: World,
    by: Person | None,
    chat_uuid: str,
    *uuids: str,
    key: Shown | None = None,
    **more: Any,
) -> httpx.Response:
    """Send uploads as somebody."""
    body = {"chat_uuid": chat_uuid, "attachment_uuids": list(uuids), **more}
    return world.post(SEND_FILES, key=key or world.cast.master, on_behalf_of=by, json=body)


def sent(world: World, by: Person, chat_uuid: str, *uuids: str, **more: Any) -> dict[str, Any]:
    """Send uploads and give the message."""
    return dict(accepted(try_send(world, by, chat_uuid, *uuids, **more))["message"])


def send_file(
    world: World,
    by: Person,
    chat_uuid: str,
    content: bytes = LETTER,
    name: str = "letter.txt",
    **more: Any,
) -> str:
    """Upload and send a file, and give its uuid."""
    uuid = uploaded(world, by, chat_uuid, content, name)
    sent(world, by, chat_uuid, uuid, **more)
    return uuid


def fetch(
    world: World,
    by: Person | None,
    uuid: str,
    *,
    key: Shown | None = None,
    path: str = FETCH,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Ask for a file as somebody."""
    return world.run(
        world.request(
            method,
            path,
            key=key or world.cast.master,
            on_behalf_of=by,
            params={"attachment_uuid": uuid},
            headers=headers,
        )
    )


def stored_names(world: World) -> set[str]:
    """Give the names of all that lies in storage."""

    async def look() -> set[str]:
        return {name async for name, _ in world.app.files.names()}

    return world.run(look())
