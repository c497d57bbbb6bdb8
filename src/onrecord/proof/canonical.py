"""One spelling for every value: the JSON Canonicalization Scheme (RFC 8785), for our subset.

The subset is what an entry may hold: objects with string keys, arrays, strings of well-formed
Unicode, integers of magnitude below 2^53, booleans and null. Floating-point numbers are left out
on purpose: their shortest form is the one hard part of RFC 8785, and no fact of ours needs one.
Strings are kept as they are, never normalised (RFC 8785 section 3.1).

The work is done by the C encoder of ``json``. It agrees with RFC 8785 section 3.2.2.2 on every
escape, and with section 3.2.3 on the order of keys except where a key lies outside the Basic
Multilingual Plane; that case, and the types which ``json`` would quietly convert, are ours.
"""

import json
import re
from collections.abc import Callable
from typing import Final

INTEGER_LIMIT: Final = 2**53
"""Integers are below this in magnitude: what every JSON reader keeps exactly (RFC 7493, 2.2)."""

DEPTH_LIMIT: Final = 64
"""Objects and arrays nest at most this deep. An entry needs four; the stack stays out of play."""

_PLAIN: Final = frozenset((str, bool, type(None)))
_beyond_bmp = re.compile("[\U00010000-\U0010ffff]").search


def _writer(*, sort_keys: bool) -> Callable[[object], str]:
    """Return the fastest JSON writer there is.

    That is the C encoder, which ``json`` builds anew for every call (a sixth of the time); an
    interpreter without it has ``json`` itself.
    """
    encoder = json.JSONEncoder(
        ensure_ascii=False, check_circular=False, sort_keys=sort_keys, separators=(",", ":")
    )
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    escape = json.encoder.encode_basestring
    skip_keys = allow_nan = False
    chunks = make(None, encoder.default, escape, None, ":", ",", sort_keys, skip_keys, allow_nan)
    return lambda value: "".join(chunks(value, 0))


quote: Callable[[str], str] = json.encoder.encode_basestring
"""Return the canonical form of a string, itself a string; lone surrogates are not looked for."""

_read = json.JSONDecoder().raw_decode
_write = _writer(sort_keys=True)
_write_as_ordered = _writer(sort_keys=False)


def encode(value: object) -> bytes:
    """Return the canonical bytes of ``value``, in UTF-8.

    Raises ValueError for anything outside the subset: floats, integers of 2^53 and more, lone
    surrogates, keys that are not strings, any other type (tuples and subclasses too), and nesting
    deeper than ``DEPTH_LIMIT``.
    """
    _check(value, DEPTH_LIMIT)
    text = _write(value)
    if not text.isascii() and _beyond_bmp(text):
        text = _write_as_ordered(_in_utf16_order(value))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            "a string holds a lone surrogate, which is not well-formed Unicode"
        ) from error


def decode(data: bytes) -> object:
    """Return the value whose canonical form ``data`` is.

    Raises ValueError for bytes that are not UTF-8 or not JSON, for values outside the subset, and
    for every spelling but the one ``encode`` gives. So no two readers can understand the same
    bytes differently: no key stands twice, no number has two forms.
    """
    value = parse(data)
    if encode(value) != data:  # so too if anything follows the value
        raise ValueError("it is JSON, but not in canonical form (RFC 8785)")
    return value


def parse(data: bytes) -> object:
    """Return the value of JSON in any spelling, for callers who compare the spelling themselves.

    Raises ValueError for bytes that are not UTF-8 or not JSON. What follows the value is ignored.
    """
    try:
        return _read(data.decode())[0]
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _check(value: object, depth: int) -> None:
    """Refuse what the C encoder would accept or quietly convert.

    This runs for every entry written or verified: types are compared exactly (a subclass may
    print itself as it likes), and the most common members, strings and integers, cost no call.
    """
    if type(value) is dict:
        _check_depth(depth)
        for key, member in value.items():
            if type(key) is not str:
                raise ValueError(f"a key is of type {type(key).__name__}, not a string")
            kind = type(member)
            small = kind is int and -INTEGER_LIMIT < member < INTEGER_LIMIT
            if kind is not str and not small:
                _check(member, depth - 1)
    elif type(value) is list:
        _check_depth(depth)
        for member in value:
            _check(member, depth - 1)
    elif type(value) is int:
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            raise ValueError("an integer is 2^53 or more in magnitude")
    elif type(value) not in _PLAIN:
        raise ValueError(
            f"a value is of type {type(value).__name__}, which the record does not hold"
        )


def _check_depth(left: int) -> None:
    if left == 0:
        raise ValueError(f"it is nested deeper than {DEPTH_LIMIT}")


def _in_utf16_order(value: object) -> object:
    """Rebuild ``value`` with the keys of every object in the order of RFC 8785 section 3.2.3.

    Python orders strings by code point. UTF-16 code units give the same order until a key beyond
    the BMP, whose first unit is a surrogate (D800 to DBFF), meets one from E000 to FFFF.
    """
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return {key: _in_utf16_order(value[key]) for key in keys}
    if isinstance(value, list):
        return [_in_utf16_order(member) for member in value]
    return value
