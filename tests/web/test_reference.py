"""The reference pages: everything of the tables stands there, and texts are harmless."""

from dataclasses import fields
from pathlib import Path

import pytest

from onrecord.domain.explain import RULES
from onrecord.domain.organisation_settings import SETTINGS
from onrecord.model.access import PERMISSIONS
from onrecord.model.errors import CATALOGUE
from onrecord.model.record import PARTS, TYPES
from onrecord.settings import Settings
from onrecord.web import pages, reference
from onrecord.web.advice import ADVICE
from onrecord.web.openapi import calls_of
from onrecord.web.rows import ROWS

ALL = {page.name: page for page in reference.pages(ROWS)}


def anchors(name: str) -> set[str]:
    found = {section.anchor for section in ALL[name].sections}
    for section in ALL[name].sections:
        found |= {anchor for anchor, _ in section.table.rows} if section.table else set()
    return found


def test_every_row_of_every_table_has_its_place() -> None:
    assert anchors("errors") >= CATALOGUE.keys()
    assert anchors("permissions") >= PERMISSIONS.keys() | {"system", "super", "master_user", "user"}
    assert anchors("settings") >= {row.name for row in fields(Settings)}
    assert anchors("settings") >= {f"org-{name}" for name in SETTINGS}
    assert anchors("entry-types") >= TYPES.keys() | {f"part-{name}" for name in PARTS}
    titles = {section.title for section in ALL["endpoints"].sections}
    assert titles >= {f"{row.method} {row.path}" for row in calls_of(ROWS)}


def test_every_code_has_its_advice_and_no_other() -> None:
    assert ADVICE.keys() == CATALOGUE.keys(), "write what to do about it into web/advice.py"
    assert all(text.endswith(".") for text in ADVICE.values())


@pytest.mark.parametrize("code", CATALOGUE)
def test_an_error_names_the_calls_that_declare_it(code: str) -> None:
    calls = calls_of(ROWS)
    told = next(
        cells[3]
        for section in ALL["errors"].sections
        for anchor, cells in (section.table.rows if section.table else ())
        if anchor == code
    )
    there = {(row.method, row.path) for row in calls if code in row.codes}
    declaring = [
        row for row in calls if code in row.codes and (row.method, row.twin_of) not in there
    ]
    assert (told == reference.LATER) == (not declaring)
    for row in calls:
        if reference.short_link(row) in told:
            assert code in row.codes
    groups = {
        "every call": calls,
        "every call that takes a key": [row for row in calls if row.kinds],
        "every call with a body": [row for row in calls if row.method == "POST"],
        "every call for which a member acts": [row for row in calls if row.acting != "none"],
        "every call of [administrators](endpoints#administration)": [
            row for row in calls if row.roles
        ],
    }
    named = {id(row) for row in calls if reference.short_link(row) in told}
    for words, rows in groups.items():
        if words in told.split(", "):
            named |= {id(row) for row in rows}
    if "every call with a query" not in told:
        twins = {id(row) for row in calls if (row.method, row.twin_of) in there}
        assert named - twins == {id(row) for row in declaring}


def test_fields_are_told_as_they_are_decoded() -> None:
    text = pages.markdown(ALL["endpoints"])
    place = text.index("### POST /chat-service/api/chats/messages/send-text")
    section = text[place : text.index("###", place + 3)]
    assert "| `chat_uuid` | uuid | *required*. The chat, by uuid. |" in section
    assert "1 to 5,000 Unicode code points, kept exactly as sent" in section
    assert "Answers with [TextSent](endpoints.md#object-textsent)." in section
    assert "[message.sent](entry-types.md#message.sent)" in section
    assert "[RB017](errors.md#RB017)" in section
    place = text.index("### GET /chat-service/api/events")
    section = text[place : text.index("###", place + 3)]
    assert "| `wait` | number, 0 to 30 |" in section
    assert "whole number, 1 to 1,000" in section
    assert "list of text" in section
    place = text.index("### Object TextSent")
    section = text[place : text.index("###", place + 3)]
    assert "| `message` | [Message](endpoints.md#object-message) |" in section


def test_the_rules_explain_every_word_of_explain() -> None:
    assert anchors("rules") >= {f"rule-{word}" for word in RULES}


def test_no_two_places_of_a_page_have_one_anchor() -> None:
    for page in ALL.values():
        found = [section.anchor for section in page.sections]
        assert len(set(found)) == len(found), page.name


def test_a_text_becomes_html_that_says_just_that() -> None:
    assert pages.html_text("<b> & `a<b*c*` *so* [x](errors#RB001)") == (
        '&lt;b&gt; &amp; <code>a&lt;b*c*</code> <em>so</em> <a href="/docs/errors#RB001">x</a>'
    )
    table = pages.Table(("a|b",), (('"', ("x|y",)),))
    page = pages.Page("p", "T<", ("i",), (pages.Section("S", (), table),))
    assert "T&lt;" in pages.html_of(page)
    assert 'id="&quot;"' in pages.html_of(page)
    assert "x\\|y" in pages.markdown(page)


def test_writing_makes_a_file_for_each_page(tmp_path: Path) -> None:
    written = reference.write(ROWS, tmp_path / "reference")
    assert {file.stem for file in written} == ALL.keys()
    for file in written:
        assert file.read_text("utf-8") == pages.markdown(ALL[file.stem])
