"""The outbox: kept messages, and who alone may read them."""

import base64
import hashlib
from typing import Any

import pytest

from onrecord.domain import post
from onrecord.jobs import worker
from onrecord.settings import SettingsError, load
from tests.world import World, accepted, refused

JSON = "/app-service/api/dev/outbox"
PAGE = "/dev/outbox"
HOME = {"host": "127.0.0.1:8080"}


@pytest.fixture
def outbox(make_world: Any) -> World:
    """The firm on a server that keeps its messages, with none kept yet."""
    world: World = make_world(dev_outbox=True)
    world.work(None, lambda work: work.db.run("DELETE FROM job"))
    return world


def put(world: World) -> None:
    """Put a mail and a text into the outbox, in this order."""

    async def mail(work: Any) -> None:
        values = {"first_name": "<Nell>", "token": "a-token"}
        await post.mail(work, to="nell@example.com", template="invitation", values=values)

    async def code(work: Any) -> None:
        await post.code(work, channel="sms", to="+442079460001", code="042117")

    for act in (mail, code):
        world.work(world.cast.firm, act)
        world.run(worker.run_due(world.app))


def test_kept_messages_are_read_the_newest_first_with_their_links_and_codes(outbox: World) -> None:
    put(outbox)
    text, mail = accepted(outbox.get(JSON, headers=HOME))["messages"]
    assert text.keys() == {"to", "channel", "subject", "text", "links", "code", "at"}
    assert (text["to"], text["channel"], text["code"]) == ("+442079460001", "sms", "042117")
    assert (text["subject"], text["links"]) == ("", [])
    assert text["text"] == "Your code for Alder & Finch: 042117"
    assert (mail["to"], mail["channel"], mail["code"]) == ("nell@example.com", "email", None)
    assert mail["links"] == ["http://127.0.0.1:8080/join#token=a-token"]


def test_the_page_shows_them_and_runs_nothing(outbox: World) -> None:
    empty = outbox.get(PAGE, headers=HOME)
    assert "Nothing here yet" in empty.text
    put(outbox)
    page = outbox.get(PAGE, headers=HOME)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = page.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert '<a href="http://127.0.0.1:8080/join#token=a-token">' in page.text
    assert "042117" in page.text
    assert "Hello &lt;Nell&gt;" in page.text
    assert "<script" not in page.text
    assert "Mail and texts are not sent" in page.text
    assert 'http-equiv="refresh"' in page.text


@pytest.mark.parametrize("path", [JSON, PAGE])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "chat.example.com"},
        {"host": "127.0.0.1.example.com"},
        {"host": "evil@127.0.0.1:x"},
        {"host": ""},
        {**HOME, "x-forwarded-for": "127.0.0.1"},
        {**HOME, "x-forwarded-host": "chat.example.com"},
        {**HOME, "forwarded": "for=127.0.0.1"},
        {**HOME, "x-real-ip": "127.0.0.1"},
        {**HOME, "via": "1.1 proxy"},
        *({**HOME, f"{name}-ip": "::1"} for name in ("true-client", "x-client", "cf-connecting")),
    ],
)
def test_it_is_not_there_for_whoever_comes_by_another_name_or_through_a_proxy(
    sqlite_world: World, path: str, headers: dict[str, str]
) -> None:
    sqlite_world.restart(dev_outbox=True)
    refused(sqlite_world.get(path, headers=headers), "RN005", 404)


@pytest.mark.parametrize("path", [JSON, PAGE])
@pytest.mark.parametrize("client", ["203.0.113.7", "10.0.0.1", "::2", None])
def test_it_is_not_there_for_whoever_sits_at_another_machine(
    sqlite_world: World, path: str, client: str | None
) -> None:
    sqlite_world.restart(dev_outbox=True)
    refused(sqlite_world.get(path, headers=HOME, client=client), "RN005", 404)


@pytest.mark.parametrize("host", ["localhost:8080", "[::1]:8080", "127.0.0.1", "127.9.9.9:1"])
def test_every_name_of_loopback_is_home(sqlite_world: World, host: str) -> None:
    sqlite_world.restart(dev_outbox=True)
    accepted(sqlite_world.get(JSON, headers={"host": host}))
    accepted(sqlite_world.get(JSON, headers={"host": host}, client="::1"))


@pytest.mark.parametrize("path", [JSON, PAGE])
def test_it_is_not_there_unless_it_was_switched_on(sqlite_world: World, path: str) -> None:
    refused(sqlite_world.get(path, headers=HOME), "RN005", 404)


@pytest.mark.parametrize(
    "more",
    [
        {"ONRECORD_HOST": "0.0.0.0"},  # noqa: S104 - it is refused
        {"ONRECORD_HOST": "::"},
        {"ONRECORD_HOST": "10.0.0.5"},
        {"ONRECORD_TRUSTED_PROXIES": "127.0.0.1"},
        {"ONRECORD_PUBLIC_URL": "https://chat.example.com"},
    ],
)
def test_it_cannot_be_switched_on_where_others_could_reach_it(more: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="dev_outbox"):
        load(environ={"ONRECORD_DEV_OUTBOX": "1", **more})


@pytest.mark.parametrize("url", ["", "http://localhost:8080", "http://[::1]:1", "http://127.0.0.1"])
def test_it_can_be_switched_on_at_home(url: str) -> None:
    given = {"ONRECORD_DEV_OUTBOX": "1", "ONRECORD_PUBLIC_URL": url}
    assert load(environ=given).dev_outbox is True


def test_it_keeps_five_hundred_messages(outbox: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onrecord.store.post.KEPT_MOST", 3)
    put(outbox)
    put(outbox)
    assert len(accepted(outbox.get(JSON, headers=HOME))["messages"]) == 3
