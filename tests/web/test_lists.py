"""Lists without a limit: streamed, page by page, a few at a time."""

from typing import Any

import httpx
import pytest

from onrecord.domain import inbox, keys
from onrecord.model.errors import Refusal
from onrecord.web.limits import STREAMS, Limits
from tests.world import CHAT, World, accepted, refused

CHATS = f"{CHAT}/chats"


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "PAGE_STREAMED", 2)


def furnish(world: World, count: int) -> list[str]:
    """So many chats of tomas, the latest first."""
    body = {"entity_user_xref_uuids": [world.cast.ingrid.uuid], "text": "zero"}
    made = [world.post(f"{CHATS}/create", key=world.cast.user, json=body) for _ in range(count)]
    return [accepted(one)["chat_uuid"] for one in reversed(made)]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_a_stream_is_the_whole_list_in_one_answer(world: World, count: int) -> None:
    made = furnish(world, count)
    response = world.get(CHATS, key=world.cast.user)
    body = accepted(response)
    assert [chat["chat_uuid"] for chat in body["chats"]] == made
    assert body["next_cursor"] is None
    assert response.headers["content-type"] == "application/json"


@pytest.mark.usefixtures("small_pages")
def test_head_of_a_stream_has_no_body(world: World) -> None:
    furnish(world, 5)
    response = world.run(world.request("HEAD", CHATS, key=world.cast.user))
    assert response.status_code == 200
    assert response.content == b""
    accepted(world.get(CHATS, key=world.cast.user))


@pytest.mark.usefixtures("small_pages")
def test_a_stream_whose_key_is_stopped_is_never_taken_for_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    furnish(world, 5)
    whole = inbox.page
    turns: list[int] = []

    async def page(work: Any, **how: Any) -> Any:
        turns.append(1)
        if len(turns) == 2:
            raise Refusal("RX503")
        return await whole(work, **how)

    monkeypatch.setattr(inbox, "page", page)
    try:
        response = world.get(CHATS, key=cast.user)
    except Exception:  # noqa: BLE001 - a connection that is cut is what is hoped for
        return
    with pytest.raises(ValueError, match=r".+"):
        response.json()


@pytest.mark.usefixtures("small_pages")
def test_streams_give_their_places_back(world: World) -> None:
    furnish(world, 5)
    for _ in range(STREAMS + 2):
        accepted(world.get(CHATS, key=world.cast.user))


def test_a_key_has_four_streams_at_once() -> None:
    limits = Limits(None)
    places = [limits.streaming(1) for _ in range(STREAMS)]
    for place in places:
        limits.check_streams(1)
        place.__enter__()
    with pytest.raises(Refusal) as caught:
        limits.check_streams(1)
    assert caught.value.code == "RU029"
    limits.check_streams(2)
    places.pop().__exit__(None, None, None)
    limits.check_streams(1)
    for place in places:
        place.__exit__(None, None, None)
    assert not limits._streams


@pytest.mark.usefixtures("small_pages")
def test_the_first_page_of_a_stream_is_judged_as_ever(world: World) -> None:
    cast = world.cast
    furnish(world, 3)
    world.work(cast.firm, lambda work: keys.deactivate(work, cast.user.api_key))
    response: httpx.Response = world.get(CHATS, key=cast.user)
    refused(response, "RU002", 401)
