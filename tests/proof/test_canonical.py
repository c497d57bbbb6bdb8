import math
from enum import IntEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from onrecord.proof import canonical

texts = st.text()
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30
)


class Colour(IntEnum):
    RED = 1


@given(values)
def test_the_bytes_are_those_of_another_implementation(value: object) -> None:
    data = canonical.encode(value)
    assert data == rfc8785.dumps(value)  # type: ignore[arg-type]  # any value at all
    assert canonical.decode(data) == value


def test_keys_are_ordered_by_utf16_units() -> None:
    value = {"\U0001f600": 1, "\ufb33": [{"\U0001f600": 2, "\ufb33": 3}], "a": 4}
    data = '{"a":4,"\U0001f600":1,"\ufb33":[{"\U0001f600":2,"\ufb33":3}]}'.encode()
    assert canonical.encode(value) == data
    assert data == rfc8785.dumps(value)  # type: ignore[arg-type]  # its types know no nesting
    assert canonical.decode(data) == value


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        math.nan,
        2**53,
        -(2**53),
        "\ud800",
        {"\udfff": 1},
        {1: 2},
        {None: 2},
        (1, 2),
        {1, 2},
        b"bytes",
        Colour.RED,
        [object()],
        {"a": [1, {"b": 0.5}]},
    ],
)
def test_what_is_outside_the_subset_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical.encode(value)


def test_an_interpreter_without_the_c_encoder_writes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    value = {"b": [1, None, True], "a": "\x00é\u2028"}
    write = canonical._writer(sort_keys=True)
    assert write(value).encode() == canonical.encode(value)


def test_nesting_has_a_limit_in_both_directions() -> None:
    value: object = "deep"
    for _ in range(canonical.DEPTH_LIMIT):
        value = [value]
    assert canonical.decode(canonical.encode(value)) == value
    with pytest.raises(ValueError, match="nested deeper than 64"):
        canonical.encode({"a": value})
    for data in (b"[" * 65 + b"]" * 65, b"[" * 900_000, b'{"a":' * 900_000):
        with pytest.raises(ValueError, match="nested"):
            canonical.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"1\n",
        b"01",
        b"1.0",
        b"1e3",
        b"-0",
        b"9007199254740992",
        b"9" * 5000,
        b"NaN",
        b"Infinity",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000A"',
        b'"\\ud800"',
        b'"\xff"',
        b"\xef\xbb\xbf1",
        b'"\xed\xa0\x80"',
        b"[1,]",
        b"nul",
    ],
)
def test_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical.decode(data)
