"""Fixtures of the tests that break things."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no coverage: who breaks things must not be what holds the figure up, nor wait."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session")
def databases_are_lent() -> bool:
    """No: what was killed, filled or cut off shall not be used by the next test."""
    return False
