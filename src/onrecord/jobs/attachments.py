"""Sweeping up: uploads that nobody sent, and files of which only the beginning happened."""

from functools import partial

from onrecord.app import App
from onrecord.domain import attachments
from onrecord.store.attachments import preview_of


async def sweep(app: App) -> None:
    """Drop what was not sent within the hour, and delete files that belong to nothing.

    A name is noted before anything is stored under it, so nothing has to be looked for; and it can
    belong to nothing any more before its file is deleted, so a late upload finds that out.
    """
    while names := await app.as_service(attachments.sweep):
        for name in names:
            await app.files.delete(preview_of(name))
            await app.files.delete(name)
        await app.as_service(partial(attachments.swept, names=names))
