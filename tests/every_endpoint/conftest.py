"""What the table tests share: pages that cost nothing, for they make hundreds of transcripts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from onrecord import app
from onrecord.model.ports import Spool

HERE = Path(__file__).parent


class QuickTypesetter:
    """Makes empty PDFs at once; real ones are tried in tests/web and tests/outside."""

    versions: Mapping[str, str] = {"typesetter": "none"}

    def __init__(self, _directory: Path) -> None:
        """Begin with none."""

    def begin(self) -> "QuickTypesetter":
        """Begin a transcript."""
        return self

    async def add(self, _sheet: Mapping[str, Any]) -> None:
        """Look away."""

    async def bind(self, _about: Mapping[str, Any], _attached: Spool, out: Spool) -> None:
        """Write what a PDF begins and ends with."""
        out.write(b"%PDF-1.7\n%%EOF\n")

    async def close(self) -> None:
        """Leave nothing behind."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure the tables' coverage on SQLite alone: on PostgreSQL they say nothing new about it.

    The rooms whose coverage is judged know no engine, and measuring takes a third of the time.
    """
    for item in items:
        if item.path.parent == HERE and "postgresql" in item.name:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True)
def _quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ChildTypesetter", QuickTypesetter)
