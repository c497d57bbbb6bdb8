import json
from collections import Counter
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from onrecord.proof import ed25519

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19

# RFC 8032 section 7.1: secret key, public key, message, signature. The long message and the one
# that is a digest are covered by the comparison with another implementation.
KNOWN = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), KNOWN)
def test_the_signatures_of_rfc_8032_hold(public: str, message: str, signature: str) -> None:
    key, text, good = map(bytes.fromhex, (public, message, signature))
    assert ed25519.verify(key, text, good)
    assert not ed25519.verify(key, text + b".", good)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.integers(0, 511))
def test_it_agrees_with_another_implementation(seed: bytes, text: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(text)
    assert ed25519.verify(public, text, signature)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(bytes(flipped), text)
    assert not ed25519.verify(public, text, bytes(flipped))


def test_a_signature_has_no_second_spelling() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, signature = private.public_key().public_bytes_raw(), private.sign(b"text")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert not ed25519.verify(public, b"text", signature[:32] + scalar.to_bytes(32, "little"))


def test_points_of_small_order_are_refused() -> None:
    # Under these keys S = 0 and a neutral R would fit many texts, some of them all.
    orders = [1, 0, PRIME - 1]
    eighth = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    keys = [y.to_bytes(32, "little") for y in orders] + [eighth]
    signatures = [key + bytes(32) for key in keys]
    assert not any(
        ed25519.verify(key, bytes([n]), signature)
        for key in keys
        for signature in signatures
        for n in range(8)
    )


@pytest.mark.parametrize("y", [PRIME, PRIME + 1, 2**255 - 1, 2**255 + 1, 2])
def test_encodings_that_are_not_canonical_or_no_point_are_refused(y: int) -> None:
    public, text, signature = (bytes.fromhex(field) for field in KNOWN[0])
    bad = y.to_bytes(32, "little")
    assert not ed25519.verify(bad, text, signature)
    assert not ed25519.verify(public, text, bad + signature[32:])


@given(st.binary(max_size=70), st.binary(max_size=130))
def test_any_bytes_at_all_are_answered(public: bytes, signature: bytes) -> None:
    assert not ed25519.verify(public, b"text", signature)


VECTORS = Path(__file__).parents[1] / "vectors" / "wycheproof_ed25519.json"


def test_the_vectors_of_project_wycheproof_are_judged_as_they_say() -> None:
    vectors = json.loads(VECTORS.read_text("utf-8"))
    assert Counter(one["result"] for one in vectors) == {
        "valid": 117,
        "invalid": 64,
        "acceptable": 29,
    }
    for one in vectors:
        given = (bytes.fromhex(one[name]) for name in ("key", "message", "signature"))
        if one["result"] != "acceptable":  # keys of mixed order, which no honest signer has
            assert ed25519.verify(*given) == (one["result"] == "valid"), one
