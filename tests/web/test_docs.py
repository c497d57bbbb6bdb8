"""The pages under /docs: what they ask for, what they allow, how they are kept."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from onrecord.proof import one_file
from onrecord.web.docs import ASSETS, NAVIGATION, REDIRECTS, VERIFIER
from onrecord.web.openapi import PAGES, TAGS
from onrecord.web.rows import ROWS
from tests.conftest import Furnished, MakeWorld, on_sqlite
from tests.world import World, accepted

PAGE_PATHS = [f"/docs/{name}" if name else "/docs" for name in NAVIGATION]
# Of Swagger UI 5.31.0 as its makers released it, so that what a package carries is their work. A
# newer release has other sums: compare its files with those of the makers' own package.
RELEASED = {
    "swagger-ui-bundle.js": "93b7b0862a80e2786f85b560be7693c2344354ffa7e7e224f850a54349724c31",
    "swagger-ui.css": "9e576f8322132c76949da47f9bb53c891373c303ea3a761ff548ffc9de50a98c",
    "favicon-32x32.png": "3ed612f41e050ca5e7000cad6f1cbe7e7da39f65fca99c02e99e6591056e5837",
}


@pytest.fixture(scope="module")
def sqlite_world(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for the whole file: it is only read, and a server makes each page once."""
    yield from on_sqlite(furnished, tmp_path_factory.mktemp("docs"))


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inline = tag == "script" and "src" not in dict(attrs)

    def handle_data(self, data: str) -> None:
        assert not (self.inline and data.strip()), "an inline script"

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser calls it so
        self.inline = False

    def all(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [value for _, found in self.tags if (value := found.get(attribute)) is not None]


def page(world: World, path: str) -> tuple[Seen, httpx.Response]:
    response = world.get(path)
    assert response.status_code == 200
    return Seen(response.text), response


@pytest.mark.parametrize("path", PAGE_PATHS)
def test_a_page_allows_itself_nothing_from_elsewhere_and_nothing_inline(
    sqlite_world: World, path: str
) -> None:
    seen, response = page(sqlite_world, path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-frame-options"] == "DENY"
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert {"http:", "https:", "*"}.isdisjoint(" ".join(policy.values()).split())
    assert ("script-src" in policy) == (path == "/docs/api")
    assert seen.all("style") == []
    assert [name for _, found in seen.tags for name in found if name.startswith("on")] == []
    loaded = seen.all("src") + [found["href"] or "" for tag, found in seen.tags if tag == "link"]
    assert loaded
    for address in loaded:
        assert address.startswith("/docs/assets/")
        assert accepted_bytes(sqlite_world, address)


def accepted_bytes(world: World, address: str) -> bytes:
    response = world.get(address)
    assert response.status_code == 200, address
    return response.content


@pytest.mark.parametrize("path", PAGE_PATHS)
def test_every_link_of_a_page_leads_somewhere(sqlite_world: World, path: str) -> None:
    seen, _ = page(sqlite_world, path)
    own = seen.all("id")
    assert len(set(own)) == len(own)
    others: dict[str, list[str]] = {}
    for address in seen.all("href"):
        target, _, anchor = address.partition("#")
        assert not target or target.startswith(("/docs", "/openapi.json", VERIFIER)), address
        if not target:
            assert anchor in own, address
            continue
        if target not in others:
            response = sqlite_world.get(target)
            assert response.status_code == 200, address
            others[target] = re.findall(r'id="([^"]+)"', response.text)
        assert not anchor or anchor in others[target], address


def test_the_type_of_a_refusal_leads_to_its_explanation(sqlite_world: World) -> None:
    refusal = sqlite_world.get("/nowhere").json()
    path, _, anchor = refusal["type"].partition("#")
    seen, response = page(sqlite_world, path)
    assert anchor == "RN005"
    assert anchor in seen.all("id")
    assert refusal["title"] in response.text


def test_the_pages_can_be_used_with_the_keyboard_and_on_a_phone(sqlite_world: World) -> None:
    seen, response = page(sqlite_world, "/docs/errors")
    assert ("html", {"lang": "en"}) in seen.tags
    assert "width=device-width" in response.text
    first = next(found for tag, found in seen.tags if tag == "a")
    assert first == {"class": "skip", "href": "#main"}
    assert "page" in seen.all("aria-current")
    style = sqlite_world.get("/docs/assets/pages.css").text
    assert "prefers-color-scheme: dark" in style
    assert ":focus-visible" in style


@pytest.mark.parametrize("name", RELEASED)
def test_the_viewer_is_what_its_makers_released(sqlite_world: World, name: str) -> None:
    body = accepted_bytes(sqlite_world, f"/docs/assets/{name}")
    assert hashlib.sha256(body).hexdigest() == RELEASED[name]


@pytest.mark.parametrize("name", ASSETS)
def test_nothing_that_a_style_or_script_of_ours_names_is_elsewhere(
    sqlite_world: World, name: str
) -> None:
    if name in RELEASED:
        body = accepted_bytes(sqlite_world, f"/docs/assets/{name}")
        asked = re.findall(rb"url\((?![\"']?data:)[^)]{1,60}", body) if ".css" in name else []
        assert asked == []
        return
    assert b"//" not in re.sub(rb"(?m)^\s*//.*|// .*$", b"", ASSETS[name].read(name))


def test_a_file_is_kept_for_good_under_its_hash_and_asked_about_without(
    sqlite_world: World,
) -> None:
    seen, _ = page(sqlite_world, "/docs")
    address = next(one for one in seen.all("href") if "pages.css" in one)
    kept = sqlite_world.get(address)
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    bare = sqlite_world.get("/docs/assets/pages.css")
    assert bare.headers["cache-control"] == "no-cache"
    other = sqlite_world.get("/docs/assets/pages.css?v=00000000")
    assert other.headers["cache-control"] == "no-cache"
    etag = kept.headers["etag"]
    for given in (etag, f'"x", W/{etag}'):
        again = sqlite_world.get(address, headers={"if-none-match": given})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
        assert "content-length" not in again.headers
    assert sqlite_world.get(address, headers={"if-none-match": '"x"'}).status_code == 200


def test_a_file_is_packed_for_whoever_takes_that(sqlite_world: World) -> None:
    async def raw(coding: str) -> tuple[httpx.Headers, bytes]:
        client = sqlite_world._client("127.0.0.1")
        request = client.build_request(
            "GET", "/docs/assets/swagger-ui-bundle.js", headers={"accept-encoding": coding}
        )
        response = await client.send(request, stream=True)
        body = b"".join([piece async for piece in response.aiter_raw()])
        return response.headers, body

    plain_headers, plain = sqlite_world.run(raw("identity"))
    packed_headers, packed = sqlite_world.run(raw("br, gzip"))
    refused_headers, refused = sqlite_world.run(raw("gzip;q=0"))
    assert "content-encoding" not in plain_headers
    assert "content-encoding" not in refused_headers
    assert refused == plain
    assert packed_headers["content-encoding"] == "gzip"
    assert packed_headers["vary"] == "Accept-Encoding"
    assert len(packed) < len(plain) / 3
    assert gzip.decompress(packed) == plain


def test_the_specification_can_be_read_as_it_stands(sqlite_world: World) -> None:
    found = accepted(sqlite_world.get("/openapi.json"))
    assert [tag["name"] for tag in found["tags"]][-1] == "Operations"
    used = {tag for path in found["paths"].values() for one in path.values() for tag in one["tags"]}
    assert used == {tag["name"] for tag in found["tags"]}
    assert all(tag["description"].endswith(".") for tag in found["tags"])
    assert found["servers"] == [{"url": "/", "description": "This installation"}]
    assert found["externalDocs"]["url"] == "/docs"
    for scheme in found["components"]["securitySchemes"].values():
        assert scheme["description"].endswith(".")
    text = found["paths"]["/chat-service/api/chats/messages/send-text"]["post"]
    example = text["requestBody"]["content"]["application/json"]["example"]
    assert set(example) == {"chat_uuid", "text"}
    assert not any(path.startswith("/docs") for path in found["paths"])


@pytest.mark.parametrize("path", REDIRECTS)
def test_an_address_that_people_type_leads_to_the_start(sqlite_world: World, path: str) -> None:
    response = sqlite_world.get(path)
    assert response.status_code == 308
    assert response.headers["location"] == "/docs"
    assert page(sqlite_world, response.headers["location"])
    assert path not in accepted(sqlite_world.get("/openapi.json"))["paths"]


def test_every_link_of_the_specification_leads_somewhere(sqlite_world: World) -> None:
    text = sqlite_world.get("/openapi.json").text
    links = set(re.findall(r"\]\((/docs/[\w-]+)(?:#([\w.-]+))?\)", text))
    assert len(links) > 50
    assert "](errors" not in text
    for path in {path for path, _ in links}:
        own = page(sqlite_world, path)[0].all("id")
        missing = {anchor for target, anchor in links if target == path and anchor not in own}
        assert missing <= {""}


def test_the_start_page_shows_the_headers_of_every_kind_of_key(sqlite_world: World) -> None:
    seen, response = page(sqlite_world, "/docs")
    assert "second-call" in seen.all("id")
    for name in ("SYS", "MASTER-USER", "USER"):
        assert f"X-{name}-API-KEY</code>" in response.text
        assert f"X-{name}-API-KEY-SECRET</code>" in response.text
    assert "/chat-service/api/chats/messages/send-text" in response.text
    assert "next_cursor" in response.text


def test_every_address_in_our_script_is_a_row(sqlite_world: World) -> None:
    script = sqlite_world.get("/docs/assets/viewer.js").text
    assert json.loads(re.findall(r"url: (\".*?\")", script)[0]) == "/openapi.json"
    assert "validatorUrl: null" in script


def test_pages_and_files_are_marked_as_such() -> None:
    for row in ROWS:
        assert (row.tags == (PAGES,)) == (row.path.startswith("/docs") or row.path in REDIRECTS)
        assert row.tags == (PAGES,) or set(row.tags) <= TAGS.keys(), (
            "say in openapi.TAGS what it is"
        )


@pytest.mark.parametrize("path", ["/docs", "/docs/api", "/docs/errors"])
def test_every_page_says_so_where_mail_is_not_sent(
    path: str, make_world: MakeWorld, sqlite_world: World
) -> None:
    band = "Mail and texts are not sent"
    assert band in make_world(dev_outbox=True).get(path).text
    assert band not in sqlite_world.get(path).text


def test_the_verifier_is_served_as_it_is_made(sqlite_world: World) -> None:
    response = sqlite_world.get(VERIFIER)
    assert response.status_code == 200
    assert response.text == one_file.source()
    assert response.headers["content-type"] == "text/x-python; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="onrecord-verify.py"'
    digest = hashlib.sha256(response.content).hexdigest()
    assert digest.startswith(response.headers["etag"].strip('"'))
    known = {"if-none-match": response.headers["etag"]}
    assert sqlite_world.get(VERIFIER, headers=known).status_code == 304
