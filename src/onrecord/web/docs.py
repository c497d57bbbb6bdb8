"""What a newcomer meets: the specification, a viewer for it, and the reference pages, as HTML.

Everything comes from this server. The viewer is Swagger UI as its makers built it, out of an
installed package; pages and files are made once for each server and kept.
"""

import asyncio
import gzip
import hashlib
import html
import importlib.resources
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from onrecord import __version__
from onrecord.proof import one_file
from onrecord.web import pages, reference
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer, Endpoint, Handler, Nothing, Routes
from onrecord.web.openapi import PAGES, specification

FOREVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"

_SHUT: Final = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY: Final = f"default-src 'none'; style-src 'self'; img-src 'self'; {_SHUT}"
# The viewer's own pictures (arrows, locks) are data: addresses in its style sheet. A picture runs
# nothing and asks nobody, so that much is allowed; inline styles and scripts are not.
VIEWER_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    f" connect-src 'self'; {_SHUT}"
)


@dataclass(frozen=True, slots=True)
class File:
    """Something to be served as it is: its bytes, the same packed, and their name."""

    body: bytes
    packed: bytes
    etag: str
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()

    def answer(self, call: Call) -> Answer:
        """Give it, or tell that the client has it already; whoever asks by its hash keeps it."""
        version = call.query.get("v", [""])[-1]
        caching = FOREVER if version and self.etag.startswith(f'"{version}') else ASK_AGAIN
        headers = (*self.headers, ("ETag", self.etag), ("Vary", "Accept-Encoding"))
        known = call.headers.get(b"if-none-match", b"").decode("latin-1")
        if self.etag in [one.strip().removeprefix("W/") for one in known.split(",")]:
            return Answer(b"", self.content_type, 304, headers, caching=caching)
        if _takes_gzip(call):
            headers = (*headers, ("Content-Encoding", "gzip"))
            return Answer(self.packed, self.content_type, headers=headers, caching=caching)
        return Answer(self.body, self.content_type, headers=headers, caching=caching)


def _takes_gzip(call: Call) -> bool:
    accepted = call.headers.get(b"accept-encoding", b"").decode("latin-1").lower()
    return any(
        one.replace(" ", "") in {"gzip", "gzip;q=1", "gzip;q=1.0"} for one in accepted.split(",")
    )


def _file(body: bytes, content_type: str, headers: Sequence[tuple[str, str]] = ()) -> File:
    # A weak comparison is enough for both codings: a client has one of them or the other.
    digest = hashlib.sha256(body).hexdigest()[:32]
    return File(body, gzip.compress(body, 6, mtime=0), f'"{digest}"', content_type, tuple(headers))


# -- files ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages ask for: its content type, and where it lies."""

    name: str
    content_type: str
    read: Callable[[str], bytes]


def _ours(name: str) -> bytes:
    return (importlib.resources.files("onrecord.web") / "assets" / name).read_bytes()


def _swagger(name: str) -> bytes:
    (release,) = (importlib.resources.files("swagger_ui_bundle") / "vendor").iterdir()
    return (release / name).read_bytes()


ASSETS: Final = {
    asset.name: asset
    for asset in (
        Asset("pages.css", "text/css; charset=utf-8", _ours),
        Asset("viewer.css", "text/css; charset=utf-8", _ours),
        Asset("viewer.js", "text/javascript; charset=utf-8", _ours),
        Asset("swagger-ui.css", "text/css; charset=utf-8", _swagger),
        Asset("swagger-ui-bundle.js", "text/javascript; charset=utf-8", _swagger),
        Asset("favicon-32x32.png", "image/png", _swagger),
    )
}


@cache
def asset_file(name: str) -> File:
    """Give a file, read and packed once in the life of the process."""
    asset = ASSETS[name]
    return _file(asset.read(name), asset.content_type)


def _src(name: str) -> str:
    """Give the address of a file under its present hash: another file has another address."""
    return f"/docs/assets/{name}?v={asset_file(name).etag[1:9]}"


# -- pages ---------------------------------------------------------------------------------------

_MADE: Final[WeakKeyDictionary[Routes, dict[str, File]]] = WeakKeyDictionary()


def _kept(call: Call, make: Callable[[Sequence[Endpoint]], File]) -> File:
    """Give what is made of the rows, made once for each server: it takes 0.2 s."""
    made = _MADE.setdefault(call.routes, {})
    path = call.endpoint.path
    if path not in made:
        made[path] = make(call.routes.rows)
    return made[path]


NAVIGATION: Final = {
    "": ("Start", ""),
    "api": ("API", "Every call, to read and to try, in the browser."),
    "endpoints": ("Endpoints", "The same calls as a plain page: fields, answers, refusals."),
    "rules": ("How it behaves", "Drafts, the feed, barriers, the Butler, keys, retries, lists."),
    "errors": ("Errors", "Every error code, why it is told, and what to do."),
    "permissions": ("Permissions", "Kinds of key, and what each permission opens."),
    "settings": ("Settings", "What can be set for the installation and for an organisation."),
    "entry-types": ("Entry types", "What the record may hold, entry by entry."),
}


_BAND: Final = (
    '<div class="band" role="status">Mail and texts are not sent:'
    ' they are kept in the <a href="/dev/outbox">outbox</a>.</div>'
)
"""What every page of a server says that keeps its messages (`--dev-outbox`)."""


def _page(call: Call, name: str, title: str, main: str, *, viewer: bool = False) -> File:
    links = []
    for target, (words, _) in NAVIGATION.items():
        here = ' aria-current="page"' if target == name else ""
        address = f"/docs/{target}" if target else "/docs"
        links.append(f'<a href="{address}"{here}>{words}</a>')
    sheets = ["pages.css", *(["swagger-ui.css", "viewer.css"] if viewer else [])]
    scripts = ["swagger-ui-bundle.js", "viewer.js"] if viewer else []
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)} | OnRecord</title>",
        f'<link rel="icon" type="image/png" href="{_src("favicon-32x32.png")}">',
        *(f'<link rel="stylesheet" href="{_src(one)}">' for one in sheets),
        *(f'<script defer src="{_src(one)}"></script>' for one in scripts),
    ]
    text = "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>',
            *head,
            "</head>\n<body>",
            '<a class="skip" href="#main">To the content</a>',
            *([_BAND] if call.app.settings.dev_outbox else []),
            (
                f'<nav class="bar" aria-label="Documentation"><strong>OnRecord</strong>'
                f" {' '.join(links)}</nav>"
            ),
            f'<main id="main" class="{"viewer" if viewer else "text"}">\n{main}\n</main>',
            "</body>\n</html>\n",
        ]
    )
    headers = [
        ("Content-Security-Policy", VIEWER_POLICY if viewer else PAGE_POLICY),
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
    return _file(text.encode(), "text/html; charset=utf-8", headers)


_START: Final = """\
<h1>OnRecord {version}</h1>
<p>A messenger in which every conversation is on record and provable. This server documents
itself: everything here is made from what it runs.</p>
<ul class="cards">
{cards}
<li><a href="/openapi.json">openapi.json</a><p>The specification (OpenAPI 3.1), for programs.</p>
</li>
<li><a href="{verifier}">{verifier_name}</a><p>The program that checks sealed files: one file,
needing Python alone.</p></li>
</ul>
<h2 id="first-call">A first call</h2>
<p>The operator makes a key with <code>onrecord key create</code>, which prints its id and, this
once, its secret. Ask the server what it takes the key for:</p>
<pre tabindex="0"><code>curl -H "X-SYS-API-KEY: $KEY" -H "X-SYS-API-KEY-SECRET: $SECRET" \\
  {address}/entity-service/sys-api/whoami</code></pre>
<p>With <code>?method=POST&amp;path=/…</code> it also tells what another call would be answered,
without making it.</p>
<h2 id="second-call">And then</h2>
<p>Each kind of key has its own two headers, for its id and its secret
(<a href="/docs/permissions">permissions</a> says for whom it acts):</p>
{kinds}
<p>Writes are POST with a JSON body. With an <code>Idempotency-Key</code> a retry does nothing
twice. This sends a text as a member, with a master-user key that has
<code>can_write_chat</code>:</p>
<pre tabindex="0"><code>curl -H "X-MASTER-USER-API-KEY: $KEY" \\
  -H "X-MASTER-USER-API-KEY-SECRET: $SECRET" \\
  -H "on-behalf-of: $MEMBER_UUID" -H "Idempotency-Key: $(uuidgen)" \\
  -H "Content-Type: application/json" \\
  -d '{{"chat_uuid": "'$CHAT_UUID'", "text": "Good morning"}}' \\
  {address}/chat-service/api/chats/messages/send-text</code></pre>
<p>Reads are GET. With <code>limit</code> a list comes page by page, without it in one answer; this
reads all members with a system key that has <code>can_read_admin</code>:</p>
<pre tabindex="0"><code>cursor=
while :; do
  page=$(curl -sS --fail-with-body -G \\
    -H "X-SYS-API-KEY: $KEY" -H "X-SYS-API-KEY-SECRET: $SECRET" \\
    -d limit=100 ${{cursor:+--data-urlencode "cursor=$cursor"}} \\
    {address}/entity-service/sys-api/entity-memberships/list) || {{ echo "$page"; break; }}
  echo "$page" | jq -c '.entity_memberships[]'
  cursor=$(echo "$page" | jq -r '.next_cursor // empty')
  [ -n "$cursor" ] || break
done</code></pre>
<p>A refusal is JSON with an <code>error_code</code>; <code>type</code> leads to
<a href="/docs/errors">what to do</a>. What surprises newcomers stands in
<a href="/docs/rules">how it behaves</a>.</p>
"""


def _start(call: Call) -> File:
    cards = "\n".join(
        f'<li><a href="/docs/{name}">{words}</a><p>{about}</p></li>'
        for name, (words, about) in NAVIGATION.items()
        if name
    )
    kinds = pages.html_table(reference.KEY_HEADERS)
    settings = call.app.settings
    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    main = _START.format(
        version=__version__,
        cards=cards,
        kinds=kinds,
        address=html.escape(address),
        verifier=VERIFIER,
        verifier_name=one_file.NAME,
    )
    return _page(call, "", "Documentation", main)


_NO_SCRIPT: Final = (
    '<noscript><p>The viewer needs JavaScript. <a href="/docs/endpoints">Endpoints</a> has the'
    " same calls without.</p></noscript>"
)


async def get_start(call: Call, _: Nothing) -> Answer:
    """Give the page that leads to the others."""
    return _kept(call, lambda _: _start(call)).answer(call)


async def lead_to_start(_: Call, __: Nothing) -> Answer:
    """Send on whoever opens the server's own address, or the start page with a slash too many."""
    return Answer(b"", "text/html; charset=utf-8", 308, (("Location", "/docs"),))


async def get_viewer(call: Call, _: Nothing) -> Answer:
    """Give the page on which the specification is read and tried."""
    main = f'<h1 class="unseen">API</h1><div id="viewer"></div>{_NO_SCRIPT}'
    # In a thread: reading and packing the viewer takes a tenth of a second, once.
    make = partial(_page, call, "api", "API", main, viewer=True)
    return (await asyncio.to_thread(_kept, call, lambda _: make())).answer(call)


async def get_page(call: Call, _: Nothing) -> Answer:
    """Give a reference page."""

    def make(rows: Sequence[Endpoint]) -> File:
        name = call.endpoint.path.rpartition("/")[2]
        page = next(one for one in reference.pages(rows) if one.name == name)
        return _page(call, name, page.title, pages.html_of(page))

    # In a thread, here and below: making it takes a fifth of a second, once.
    return (await asyncio.to_thread(_kept, call, make)).answer(call)


async def get_asset(call: Call, _: Nothing) -> Answer:
    """Give a file that pages ask for."""
    name = call.endpoint.path.rpartition("/")[2]
    return (await asyncio.to_thread(asset_file, name)).answer(call)


async def get_openapi(call: Call, _: Nothing) -> Answer:
    """Give the specification."""

    def make(rows: Sequence[Endpoint]) -> File:
        return _file(encode(specification(rows)), "application/json")

    return (await asyncio.to_thread(_kept, call, make)).answer(call)


VERIFIER: Final = f"/{one_file.NAME}"


@cache
def verifier_file() -> File:
    """Give the verifier, made once in the life of the process from what the process runs."""
    headers = (("Content-Disposition", f'attachment; filename="{one_file.NAME}"'),)
    return _file(one_file.source().encode(), "text/x-python; charset=utf-8", headers)


async def get_verifier(call: Call, _: Nothing) -> Answer:
    """Give the program with which sealed files are checked, as one file."""
    return (await asyncio.to_thread(verifier_file)).answer(call)


REDIRECTS: Final = ("/", "/docs/")
"""Addresses that people type, which lead to the start page."""


def _row(path: str, summary: str, handler: Handler, produces: str = "text/html") -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        summary=summary,
        kinds=frozenset(),
        produces=produces,
        handler=handler,
        mode="script",
        tags=(PAGES,),
    )


ROWS: Final = (
    Endpoint(
        method="GET",
        path="/openapi.json",
        summary="Read this specification",
        kinds=frozenset(),
        gives=dict[str, Any],
        handler=get_openapi,
        mode="script",
        tags=("Operations",),
    ),
    Endpoint(
        method="GET",
        path=VERIFIER,
        summary="Fetch the program that checks sealed files, as one file of Python",
        kinds=frozenset(),
        produces="text/x-python",
        handler=get_verifier,
        mode="script",
        tags=("Record",),
    ),
    _row("/docs", "Where to begin", get_start),
    *(_row(path, "Leads to the documentation", lead_to_start) for path in REDIRECTS),
    _row("/docs/api", "The specification, to read and to try", get_viewer),
    *(
        _row(f"/docs/{name}", f"The reference page: {words}", get_page)
        for name, (words, _) in NAVIGATION.items()
        if name not in {"", "api"}
    ),
    *(
        _row(f"/docs/assets/{asset.name}", f"A file of the pages: {asset.name}", get_asset,
             asset.content_type)
        for asset in ASSETS.values()
    ),
)  # fmt: skip
