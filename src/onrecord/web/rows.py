"""Every endpoint of the server."""

from typing import Final

from onrecord.web import chat_service, entity_service, openapi

ROWS: Final = (*entity_service.ROWS, *chat_service.ROWS, *openapi.ROWS)
