"""How the guide is read: what a shown answer allows, and that links and the index are whole."""

import re
from typing import Any

import pytest

from tests.guide import pages

ROOT = pages.FOLDER.parents[1]


def fits(shown: Any, real: Any, **known: str) -> dict[str, str] | None:
    """Give what is known after a comparison, None when the answer is not what is shown."""
    try:
        pages.compare(shown, real, known, "page")
    except AssertionError:
        return None
    return known


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a": "…", "…": "…"}, {"a": [1], "b": 2}),
        ([1, "…"], [1]),
        ([1, "…"], [1, 2, 3]),
        ("2026-…Z", "2026-11-23T00:00:00Z"),
        ("…", None),
        (None, None),
    ],
)
def test_an_answer_as_shown_fits(shown: Any, real: Any) -> None:
    assert fits(shown, real) == {}


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1, "…": "…"}, {"b": 2}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, [1]),
        ([1], [1, 2]),
        ([1, 2, "…"], [1]),
        ([1], {"a": 1}),
        ("2026-…Z", "2027-11-23T00:00:00Z"),
        ("a", None),
        ("$A", None),
        ("$A", True),
        (True, 1),
        (0, False),
        (None, ""),
    ],
)
def test_an_answer_of_another_shape_or_value_does_not(shown: Any, real: Any) -> None:
    assert fits(shown, real) is None


def test_a_name_gets_its_value_once_and_holds_it() -> None:
    assert fits({"a": "$A", "b": "…#token=$T"}, {"a": 7, "b": "x#token=y"}) == {
        "A": "7",
        "T": "y",
    }
    assert fits("$A", "x", A="x") == {"A": "x"}
    assert fits("$A", "y", A="x") is None
    assert fits(["$A", "$A"], ["x", "y"]) is None


def test_a_text_is_compared_line_by_line() -> None:
    known: dict[str, str] = {}
    pages.compare_text("one $A\n…\n", "one 1\ntwo\nthree\n", known, "page")
    assert known == {"A": "1"}
    with pytest.raises(AssertionError):
        pages.compare_text("one\n", "one\ntwo\n", {}, "page")
    with pytest.raises(AssertionError):
        pages.compare_text("one\ntwo\n…\n", "one\n", {}, "page")


def test_a_page_is_read_block_by_block_with_the_answer_that_follows() -> None:
    text = "# A\n\n```sh\ncurl a\n# → 400 RB014\n```\n\n```sh\nls\n```\n\n```json\n{}\n```\n"
    call, other = pages.GuidePage("a.md", text).blocks
    assert (call.place, call.status, call.code, call.kind) == ("a.md:3", 400, "RB014", "")
    assert (other.status, other.kind, other.answer) == (None, "json", "{}\n")


@pytest.mark.parametrize("page", pages.read(), ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: pages.GuidePage) -> None:
    for link in page.links:
        path, _, anchor = link.partition("#")
        file = (pages.FOLDER / path).resolve()
        assert file.is_relative_to(ROOT), link
        text = file.read_text("utf-8")
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles}
        anchors |= set(re.findall(r'<a id="([^"]+)">', text))
        assert not anchor or anchor in anchors, link


@pytest.mark.parametrize(
    "page", [page for page in pages.read() if page.blocks], ids=lambda p: p.name
)
def test_a_page_says_what_it_needs_and_shows_a_refusal(page: pages.GuidePage) -> None:
    assert page.text.startswith("# ")
    assert page.text.split("\n\n")[1].startswith("**Needs** ")
    assert "\n## Refusals\n" in page.text
    assert any(block.code for block in page.blocks)


def test_the_index_names_every_page_and_the_readme_leads_to_it() -> None:
    found = pages.read()
    index = next(page for page in found if page.name == "README.md")
    assert sorted(link for link in index.links if "/" not in link) == [
        page.name for page in found if page is not index
    ]
    assert "(docs/guide/README.md)" in (ROOT / "README.md").read_text("utf-8")
