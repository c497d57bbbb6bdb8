"""The outbox of a server for trying things out: mails and texts that were kept, as JSON and a page.

Whoever reads it can be anybody. So it is there only with `dev_outbox`, which is refused beyond
loopback, and answers only a peer on loopback who calls it by a name of loopback, directly.
"""

import base64
import hashlib
import html
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from onrecord.model.errors import Refusal
from onrecord.settings import is_loopback
from onrecord.store import post
from onrecord.store.post import Kept
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer, Endpoint, Nothing

_FORWARDED: Final = re.compile(rb"via|.*forwarded.*|(.*-)?(client|real|connecting)-ip")
"""Names of headers by which a proxy tells that somebody else is behind it."""
_REFRESH: Final = 3
"""Seconds after which the page looks again."""


class Outbox(msgspec.Struct):
    """The messages kept, the newest first."""

    messages: list[Kept]


async def get_outbox(call: Call, _: Nothing) -> Answer:
    """Give the messages kept."""
    _check_home(call)
    return Answer(encode(Outbox(await call.app.store.ask(post.kept))))


async def get_page(call: Call, _: Nothing) -> Answer:
    """Give the page that shows them."""
    _check_home(call)
    body = _page(await call.app.store.ask(post.kept)).encode()
    return Answer(body, "text/html; charset=utf-8", headers=_HEADERS)


def _check_home(call: Call) -> None:
    """Refuse (RN005) whoever does not sit at this very machine, as if nothing were here."""
    settings = call.app.settings
    host = call.headers.get(b"host", b"").decode("latin-1")
    forwarded = any(_FORWARDED.fullmatch(name) for name in call.headers)
    at_home = call.address is not None and is_loopback(str(call.address))
    if not (settings.dev_outbox and at_home and _is_home(host)) or forwarded:
        raise Refusal("RN005")


def _is_home(host: str) -> bool:
    """Whether a Host header names loopback."""
    if not re.fullmatch(r"[0-9A-Za-z.\[\]:-]+", host):
        return False
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


# -- the page ------------------------------------------------------------------------------------


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_STYLE: Final = """
:root{color-scheme:light dark;--bg:#f4f5f7;--card:#fff;--ink:#1d2430;--soft:#5b6472;--line:#e3e6eb;
--accent:#1f4fd8;--band:#fff4d6;--band-ink:#6b4b00}
@media (prefers-color-scheme:dark){:root{--bg:#14171c;--card:#1d2128;--ink:#e8eaee;--soft:#9aa3b2;
--line:#2d333d;--accent:#8fb0ff;--band:#3a2f10;--band-ink:#ffdf8a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.band{background:var(--band);color:var(--band-ink);text-align:center;padding:8px 16px;
font-size:14px}
main{max-width:720px;margin:0 auto;padding:32px 16px 64px}
h1{font-size:26px;margin:0 0 4px}
.lead{color:var(--soft);margin:0 0 24px}
article,.empty{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:20px 24px;margin:0 0 16px;overflow-wrap:anywhere}
.empty{text-align:center;color:var(--soft);padding:48px 24px}
header{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline;font-size:14px;
color:var(--soft)}
header strong{color:var(--ink)}
header time{margin-inline-start:auto}
.kind{border:1px solid var(--line);border-radius:999px;padding:0 10px;font-size:13px}
h2{font-size:18px;margin:8px 0 0}
pre{white-space:pre-wrap;font:inherit;margin:12px 0 0}
.code{font:700 28px/1.2 ui-monospace,Menlo,Consolas,monospace;letter-spacing:.2em;margin:12px 0 0}
a{color:var(--accent)}
"""
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
)


def _page(messages: list[Kept]) -> str:
    shown = "\n".join(map(_message, messages)) or (
        '<div class="empty"><p><strong>Nothing here yet.</strong></p>'
        "<p>Invite somebody or sign in: what would be mailed or texted appears here.</p></div>"
    )
    count = f"{len(messages)} message{'' if len(messages) == 1 else 's'}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{_REFRESH}">
<title>Outbox ({len(messages)}) - OnRecord</title><style>{_STYLE}</style></head>
<body><div class="band" role="status">Mail and texts are not sent: they are kept here.</div>
<main><h1>Outbox</h1>
<p class="lead">{count}, the newest first. The page looks again every {_REFRESH} seconds.</p>
{shown}
</main></body></html>
"""


def _message(one: Kept) -> str:
    kind = "Mail" if one.channel == "email" else "Text"
    at = html.escape(one.at)
    lines = [
        f'<article><header><span class="kind">{kind}</span>',
        f'<span>to <strong dir="auto">{html.escape(one.to)}</strong></span>',
        f'<time datetime="{at}">{at[:19].replace("T", " ")} UTC</time></header>',
    ]
    if one.subject:
        lines.append(f'<h2 dir="auto">{html.escape(one.subject)}</h2>')
    if one.code is not None:
        lines.append(f'<p class="code">{html.escape(one.code)}</p>')
    lines.append(f'<pre dir="auto">{_linked(one)}</pre></article>')
    return "\n".join(lines)


def _linked(one: Kept) -> str:
    """Give the text with its links made links; each is one that we made."""
    shown = html.escape(one.text)
    for link in one.links:
        safe = html.escape(link)
        shown = shown.replace(safe, f'<a href="{safe}">{safe}</a>')
    return shown


ROWS: Final = (
    Endpoint(
        method="GET",
        path="/app-service/api/dev/outbox",
        summary="Read the mails and texts that were kept instead of sent",
        kinds=frozenset(),
        gives=Outbox,
        handler=get_outbox,
        mode="script",
        tags=("Operations",),
    ),
    Endpoint(
        method="GET",
        path="/dev/outbox",
        summary="Read the mails and texts that were kept instead of sent, as a page",
        kinds=frozenset(),
        produces="text/html",
        handler=get_page,
        mode="script",
        tags=("Operations",),
    ),
)
