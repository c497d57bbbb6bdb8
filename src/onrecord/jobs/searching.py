"""The index of words: it reads on in every record that has grown."""

from typing import Final

from onrecord.app import App
from onrecord.domain import search
from onrecord.model import words
from onrecord.model.access import service
from onrecord.store import search as rows


async def index_new(app: App) -> None:
    """Read into the index what has come since the last minute, one organisation after another."""
    for entity_id, entity_uuid in await app.store.ask(lambda db: rows.behind(db, words.VERSION)):
        actor = service(entity_id, entity_uuid)
        while await app.as_service(search.index_page, actor):
            pass


CHORES: Final = (index_new,)
