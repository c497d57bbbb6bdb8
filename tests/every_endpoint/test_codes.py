"""Error codes: what a row declares is raised somewhere, and what is raised is in the catalogue."""

import ast
import re
from pathlib import Path

import pytest

from onrecord.model.access import PERMISSIONS
from onrecord.model.errors import CATALOGUE
from onrecord.web.endpoint import Endpoint
from onrecord.web.rows import ROWS

SOURCE = Path(__file__).resolve().parents[2] / "src/onrecord"
CODE = re.compile(r"R[BUFNX]\d{3}")

LATER: dict[str, str] = {}
"""Codes of the catalogue that nothing raises yet, and why. It only ever gets shorter."""


class Raised(ast.NodeVisitor):
    """Collects the codes that a module can refuse with: not where they are only declared."""

    def __init__(self) -> None:
        """Collect nothing yet."""
        self.codes: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:
        """`missing` and `malformed` stand for a code; rows declare theirs in `refusals`."""
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        self.codes |= {"missing": {"RB002"}, "malformed": {"RB003"}}.get(called, set())
        for inner in [node.func, *node.args, *(k for k in node.keywords if k.arg != "refusals")]:
            self.visit(inner)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Looking at a code raises none."""

    def visit_Dict(self, node: ast.Dict) -> None:
        """Rows share some of their fields in a dictionary, `refusals` too."""
        for key, value in zip(node.keys, node.values, strict=True):
            if not (isinstance(key, ast.Constant) and key.value == "refusals"):
                self.visit(value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """A constant that is nothing but codes is a list for rows to declare."""
        if isinstance(node.value, ast.Tuple) and _only_codes(node.value):
            return
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A code by itself."""
        if isinstance(node.value, str) and CODE.fullmatch(node.value):
            self.codes.add(node.value)


def _only_codes(node: ast.Tuple) -> bool:
    values = [one.value if isinstance(one, ast.Constant) else None for one in node.elts]
    return all(isinstance(value, str) and CODE.fullmatch(value) for value in values)


def codes_of(text: str) -> set[str]:
    """Give the codes that a module's text can refuse with."""
    reader = Raised()
    reader.visit(ast.parse(text))
    return reader.codes


def raised() -> set[str]:
    """Give every code that the source can refuse with."""
    catalogues = {SOURCE / "model/errors.py", SOURCE / "model/access.py"}
    found = set()
    for file in sorted(SOURCE.rglob("*.py")):
        if file not in catalogues:
            found |= codes_of(file.read_text("utf-8"))
    # A key that lacks a permission, or hands one out that it lacks, is refused by what the table
    # of permissions says.
    return found | {row.refusal for row in PERMISSIONS.values()}


RAISED = raised()


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('raise Refusal("RN001", "no chat")', {"RN001"}),
        ('raise missing("text")', {"RB002"}),
        ('raise malformed("text", "is long")', {"RB003"}),
        ('code = "RB002" if absent else "RB003"', {"RB002", "RB003"}),
        ('if refusal.code == "RU001": pass', set()),
        ('Endpoint(refusals=("RN001", "RN002"), handler=f)', set()),
        ('SHARED: Final = {"refusals": ("RN001",), "mode": "write"}', set()),
        ('OF_BODIES: Final = ("RB001", "RB002")', set()),
        ('call.refuse("RN001 is not alone")', set()),
    ],
)
def test_the_search_finds_what_is_raised_and_not_what_is_declared(
    text: str, codes: set[str]
) -> None:
    assert codes_of(text) == codes


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
def test_a_row_declares_no_code_that_nothing_raises(row: Endpoint) -> None:
    assert set(row.codes) - RAISED == set()


def test_every_code_is_raised_or_has_its_reason_to_wait() -> None:
    assert {code: why for code, why in LATER.items() if code in RAISED} == {}
    assert CATALOGUE.keys() - RAISED == LATER.keys()


def test_what_is_raised_is_in_the_catalogue_and_declared_by_a_row() -> None:
    declared = {code for row in ROWS for code in row.codes}
    assert RAISED - CATALOGUE.keys() == set()
    assert RAISED - declared == set()
