"""Pages of texts and tables, written as Markdown and as HTML.

Texts use three marks: `code`, *emphasis* and links, whose targets are pages of ours such as
[RB001](errors#RB001).
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a head; a row has an anchor (or none) and its cells."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    kind: str = ""
    """How the columns share the width, where the browser's own way will not do."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of level 2 or 3, paragraphs, and perhaps a table."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    level: int = 2

    @property
    def anchor(self) -> str:
        """The heading's anchor, as Markdown's readers make it from its text."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `name` is its file and the end of its path."""

    name: str
    title: str
    intro: tuple[str, ...]
    sections: tuple[Section, ...]


# -- Markdown ------------------------------------------------------------------------------------

_LINK: Final = re.compile(r"\[([^\]]+)\]\(([\w./-]*)(?:#([\w.-]+))?\)")
MADE: Final = "<!-- Made by scripts/reference from the tables in the code. Do not edit. -->"


def markdown(page: Page) -> str:
    """Write a page as Markdown."""
    return "\n".join([f"# {page.title}", "", MADE, "", *_markdown(page)]).rstrip() + "\n"


def _markdown(page: Page) -> Iterator[str]:
    for text in page.intro:
        yield from (_markdown_text(text), "")
    for section in page.sections:
        yield from ("#" * section.level + f" {section.title}", "")
        for text in section.text:
            yield from (_markdown_text(text), "")
        if section.table is not None:
            yield from (*_markdown_table(section.table), "")


def _markdown_table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(table.head)} |"
    yield f"|{' --- |' * len(table.head)}"
    for anchor, cells in table.rows:
        shown = [_markdown_text(cell).replace("|", "\\|") for cell in cells]
        mark = f'<a id="{anchor}"></a>' if anchor else ""
        yield f"| {mark}{' | '.join(shown)} |"


def _markdown_text(text: str) -> str:
    def linked(found: re.Match[str]) -> str:
        words, page, anchor = found.groups()
        return f"[{words}]({page}.md{f'#{anchor}' if anchor else ''})"

    return _LINK.sub(linked, text)


def absolute(text: str) -> str:
    """Give a text as Markdown whose links lead to the pages of a running server."""

    def linked(found: re.Match[str]) -> str:
        words, page, anchor = found.groups()
        return f"[{words}](/docs/{page}{f'#{anchor}' if anchor else ''})"

    return _LINK.sub(linked, text)


# -- HTML ----------------------------------------------------------------------------------------


def html_of(page: Page) -> str:
    """Write the inside of a page's main element."""
    return "\n".join([f"<h1>{html.escape(page.title)}</h1>", *_html(page)])


def _html(page: Page) -> Iterator[str]:
    for text in page.intro:
        yield f"<p>{html_text(text)}</p>"
    if len(page.sections) > 1:
        yield '<nav class="contents" aria-label="On this page"><ul>'
        for section in page.sections:
            if section.level == 2:  # noqa: PLR2004 - headings of level 2 are the parts of a page
                yield f'<li><a href="#{section.anchor}">{html.escape(section.title)}</a></li>'
        yield "</ul></nav>"
    for section in page.sections:
        level = section.level
        yield f'<h{level} id="{section.anchor}">{html.escape(section.title)}</h{level}>'
        for text in section.text:
            yield f"<p>{html_text(text)}</p>"
        if section.table is not None:
            yield html_table(section.table)


def html_table(table: Table) -> str:
    """Write a table as HTML."""
    return "\n".join(_html_table(table))


def _html_table(table: Table) -> Iterator[str]:
    columns = f' class="{html.escape(table.kind)}"' if table.kind else ""
    yield f"<table{columns}><thead><tr>"
    yield "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.head)
    yield "</tr></thead><tbody>"
    for anchor, cells in table.rows:
        mark = f' id="{html.escape(anchor)}"' if anchor else ""
        shown = [
            f'<td data-label="{html.escape(name)}">{html_text(cell)}</td>'
            for name, cell in zip(table.head, cells, strict=True)
        ]
        yield f"<tr{mark}>{''.join(shown)}</tr>"
    yield "</tbody></table>"


def html_text(text: str) -> str:
    """Turn the three marks of a text into HTML, and everything else into harmless text."""

    def linked(found: re.Match[str]) -> str:
        words, page, anchor = found.groups()
        return f'<a href="/docs/{page}{f"#{anchor}" if anchor else ""}">{words}</a>'

    pieces = re.split(r"`([^`]+)`", html.escape(text, quote=False))
    for number, piece in enumerate(pieces):
        if number % 2:
            pieces[number] = f"<code>{piece}</code>"
        else:
            piece = _LINK.sub(linked, piece)  # noqa: PLW2901 - the piece, marked up
            pieces[number] = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", piece)
    return "".join(pieces)
