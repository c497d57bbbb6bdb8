"""The committed reference pages are those that the tables give."""

from pathlib import Path

import pytest

from onrecord.web import pages, reference
from onrecord.web.rows import ROWS

FOLDER = Path(__file__).resolve().parents[2] / "docs/reference"
PAGES = reference.pages(ROWS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_committed_page_is_what_the_tables_give(page: pages.Page) -> None:
    committed = (FOLDER / f"{page.name}.md").read_text("utf-8")
    assert committed == pages.markdown(page), "run scripts/reference"


def test_no_page_is_left_over() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == {page.name for page in PAGES}
