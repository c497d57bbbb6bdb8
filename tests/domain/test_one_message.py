"""One message: what an expanded entry of the feed shows."""

import pytest

from onrecord.domain import messages
from onrecord.model.errors import Refusal
from tests.world import CHAT, World, accepted


def test_one_message_is_found_or_refused(world: World) -> None:
    cast = world.cast
    body = {"entity_user_xref_uuids": [cast.priya.uuid], "text": "zero"}
    response = world.post(f"{CHAT}/chats/create", key=cast.user, json=body)
    chat_uuid = accepted(response)["chat_uuid"]
    found = world.work(cast.firm, lambda work: messages.one(work, chat_uuid, 0))
    assert found.seq == 0
    for entity, seq, code in ((cast.firm, 1, "RN003"), (cast.other, 0, "RN001")):
        with pytest.raises(Refusal) as caught:
            one(world, entity, chat_uuid, seq)
        assert caught.value.code == code


def one(world: World, entity: str, chat_uuid: str, seq: int) -> None:
    world.work(entity, lambda work: messages.one(work, chat_uuid, seq))
