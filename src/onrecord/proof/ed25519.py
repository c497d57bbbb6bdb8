"""Ed25519 signatures, verification only (RFC 8032 section 5.1.7), in plain Python.

A verifier that stands alone cannot ask for a compiled library; one file needs two or three
signatures checked, at a few milliseconds each. Nothing here is secret, so nothing need take
constant time, and this must never be used to sign.

Where implementations differ we take the strictest side, so that each signature has exactly one
spelling and each key exactly one: S must be below the group order (no malleability); A and R must
be canonical encodings; A and R of small order are refused (under such a key one signature fits
many texts); and the equation is checked without the cofactor. Signatures honestly made by any
implementation of RFC 8032 pass.
"""

from hashlib import sha512
from typing import Final

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE: Final = pow(2, (_P - 1) // 4, _P)
_WINDOW: Final = 4

# Extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z (RFC 8032 section 5.1.4).
_Point = tuple[int, int, int, int]
_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` (64 bytes) over ``message`` is by the key ``public`` (32 bytes).

    False for anything malformed, of whatever length; never raises.
    """
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    key, commitment = _decode(public), _decode(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= _ORDER:
        return False
    if _has_small_order(key) or _has_small_order(commitment):
        return False
    digest = sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    # [S]B = R + [k]A, rearranged so that the two multiplications share their doublings.
    return _equal(_double_multiple(scalar, _BASE, challenge, _negate(key)), commitment)


def _decode(data: bytes) -> _Point | None:
    """Return the point of RFC 8032 section 5.1.3, or None if the encoding is not canonical."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return None
    above, below = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = above * pow(below, 3, _P) * pow(above * pow(below, 7, _P), (_P - 5) // 8, _P) % _P
    if (below * x * x - above) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (below * x * x - above) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _add(one: _Point, two: _Point) -> _Point:
    """Add two points (RFC 8032 section 5.1.4; the formula is complete: no special cases)."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = 2 * t1 * t2 * _D % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _double(point: _Point) -> _Point:
    """Add a point to itself, in fewer multiplications than ``_add`` (RFC 8032 section 5.1.4)."""
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e = h - (x + y) * (x + y)
    g = a - b
    f = 2 * z * z + g
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _negate(point: _Point) -> _Point:
    x, y, z, t = point
    return (-x % _P, y, z, -t % _P)


def _equal(one: _Point, two: _Point) -> bool:
    return (one[0] * two[2] - two[0] * one[2]) % _P == 0 == (one[1] * two[2] - two[1] * one[2]) % _P


def _has_small_order(point: _Point) -> bool:
    """Tell whether eight times the point is the neutral element: it lies in the torsion group."""
    return _equal(_double(_double(_double(point))), _NEUTRAL)


def _double_multiple(n: int, one: _Point, m: int, two: _Point) -> _Point:
    """Return n * one + m * two, reading both numbers four bits at a time (Straus's method)."""
    ones, twos = _multiples(one), _multiples(two)
    mask = 2**_WINDOW - 1
    total = _NEUTRAL
    for shift in range(256 - _WINDOW, -1, -_WINDOW):
        for _ in range(_WINDOW):
            total = _double(total)
        total = _add(total, ones[n >> shift & mask])
        total = _add(total, twos[m >> shift & mask])
    return total


def _multiples(point: _Point) -> list[_Point]:
    """Return 0, 1, 2 … 15 times the point."""
    multiples = [_NEUTRAL]
    while len(multiples) < 2**_WINDOW:
        multiples.append(_add(multiples[-1], point))
    return multiples


def _base() -> _Point:
    """Return the base point: y = 4/5 and the even x (RFC 8032 section 5.1)."""
    point = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    if point is None:  # pragma: no cover - a constant of the curve
        raise AssertionError
    return point


_BASE: Final = _base()
