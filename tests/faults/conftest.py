"""Fixtures of the tests that break things."""

import pytest


@pytest.fixture(scope="session")
def databases_are_lent() -> bool:
    """No: what was killed, filled or cut off shall not be used by the next test."""
    return False
