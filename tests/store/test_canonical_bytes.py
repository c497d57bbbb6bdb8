"""The store writes the very bytes that the proof room says are canonical."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord.proof import canonical
from onrecord.store.record import canonical_bytes

# Keys of entries and parts are our own words: none lies beyond the Basic Multilingual Plane, where
# RFC 8785 orders by UTF-16 units and msgspec by code points.
KEYS = st.text(st.characters(max_codepoint=0xD7FF), max_size=12)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(VALUES)
def test_both_writers_give_the_same_bytes(value: Any) -> None:
    assert canonical_bytes(value) == canonical.encode(value)


@pytest.mark.parametrize("code", [*range(0x20), 0x22, 0x2F, 0x5C, 0x7F, 0x2028, 0x1F600])
def test_every_escape_is_the_same(code: int) -> None:
    assert canonical_bytes(chr(code)) == canonical.encode(chr(code))
