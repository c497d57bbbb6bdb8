"""Every endpoint of the server."""

from typing import Final

from onrecord.web import butler, chat_service, contacts, docs, entity_service, groups, operations

ROWS: Final = (
    *entity_service.ROWS,
    *groups.ROWS,
    *chat_service.ROWS,
    *contacts.ROWS,
    *butler.ROWS,
    *operations.ROWS,
    *docs.ROWS,
)
