"""Signed notes and verifier keys: C2SP signed-note (c2sp.org/signed-note), Ed25519 only.

A note is a text ending in a newline, an empty line, and one line for each signature::

    — <key name> <base64 of key hash (4 bytes) and signature (64 bytes)>

A verifier key, or vkey, is ``<key name>+<key hash in hex>+<base64 of 0x01 and the public key>``.

We are stricter than C2SP asks: a note is read so that not one of its bytes could be another.
Base64 is checked by encoding again (a decoder lets unused bits pass), no signature stands twice,
and unless told otherwise a signature line by an unknown key is an error rather than ignored.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from onrecord.proof import ed25519

NOTE_LIMIT: Final = 65_536
"""Longest note made or read, in characters; ours have some 300."""

SIGNATURE_LIMIT: Final = 16
"""Most signatures read on a note (C2SP: at least 16 must be accepted)."""

KEY_HASH_BYTES: Final = 4
_TYPE_ED25519: Final = b"\x01"
_DASH: Final = "\N{EM DASH} "
_control_character = re.compile(r"[\x00-\x09\x0b-\x1f]").search


class NoteError(ValueError):
    """A note, a vkey or a line of one is not in the exact form, or its signature is wrong."""


# -- keys -------------------------------------------------------------------------------------


def key_hash(name: str, public: bytes) -> bytes:
    """Return the 4 bytes by which a note names a key: SHA-256(name ‖ LF ‖ 0x01 ‖ public)[:4]."""
    return sha256(name.encode() + b"\n" + _TYPE_ED25519 + public).digest()[:KEY_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public Ed25519 key and its name. Raises NoteError for a bad name or length."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != ed25519.KEY_BYTES:
            raise NoteError(f"the public key of {self.name} has {len(self.public)} bytes, not 32")

    @property
    def hash(self) -> bytes:
        """The key hash, 4 bytes. An identifier only: two keys can be made to share it."""
        return key_hash(self.name, self.public)

    @property
    def id(self) -> str:
        """``<name>+<key hash in hex>``: what people are shown."""
        return f"{self.name}+{self.hash.hex()}"

    def __str__(self) -> str:
        """Return the vkey."""
        return f"{self.id}+{_to_base64(_TYPE_ED25519 + self.public)}"

    @classmethod
    def parse(cls, vkey: str) -> "VerifierKey":
        """Return the key a vkey spells; raises NoteError for a wrong hash or any other form."""
        name, _, rest = vkey.partition("+")
        hashed, plus, encoded = rest.partition("+")  # the Base64 may hold a plus of its own
        if not plus:
            raise NoteError("a vkey is <name>+<hash>+<key>")
        data = _from_base64(encoded, f"the key of {name!r}")
        if data[:1] != _TYPE_ED25519:
            raise NoteError(f"the key of {name!r} is not of type 1 (Ed25519)")
        key = cls(name, data[1:])
        if hashed != key.hash.hex():
            raise NoteError(
                f"the vkey of {name!r} names the hash {hashed!r}, its key has {key.hash.hex()}"
            )
        return key


# -- notes ------------------------------------------------------------------------------------


class OpenedNote(NamedTuple):
    """A note whose every signature was checked: its text, and who signed."""

    text: str
    signers: list[VerifierKey]


def sign(text: str, name: str, public: bytes, sign_bytes: Callable[[bytes], bytes]) -> str:
    """Return the note over ``text``, signed once.

    ``sign_bytes`` makes the Ed25519 signature (64 bytes) of the bytes it is given; the private
    key stays with it. Raises NoteError for a text or name no note can hold.
    """
    _check_text(text)
    return f"{text}\n{signature_line(text, name, public, sign_bytes)}"


def signature_line(
    text: str, name: str, public: bytes, sign_bytes: Callable[[bytes], bytes]
) -> str:
    """Return one signature line, newline included; a second one may follow the end of a note."""
    key = VerifierKey(name, public)
    signature = sign_bytes(text.encode())
    if len(signature) != ed25519.SIGNATURE_BYTES:
        raise NoteError(f"the signer of {name} gave {len(signature)} bytes, not 64")
    return f"{_DASH}{name} {_to_base64(key.hash + signature)}\n"


def open_note(note: str, keys: Sequence[VerifierKey], *, strict: bool = True) -> OpenedNote:
    """Return the text of ``note`` and the keys that signed it, in the order of the lines.

    Every signature by one of ``keys`` must verify, and there must be one. A signature by another
    key is an error, or ignored with ``strict=False`` (as C2SP has it, so that witnesses of
    any kind can add theirs). Raises NoteError with the reason.
    """
    text, lines = _parts_of(note)
    signers: list[VerifierKey] = []
    for line in lines:
        name, hashed, signature = _parse_signature(line)
        key = _find(keys, name, hashed)
        if key is None:
            if strict:
                raise NoteError(f"it is signed by {name}+{hashed.hex()}, a key that is not known")
            continue
        if key in signers:
            raise NoteError(f"it is signed twice by {key.id}")
        if not ed25519.verify(key.public, text.encode(), signature):
            raise NoteError(f"the signature by {key.id} does not fit its text")
        signers.append(key)
    if not signers:
        raise NoteError("no known key has signed it")
    return OpenedNote(text, signers)


def _parts_of(note: str) -> tuple[str, list[str]]:
    """Return the text, final newline included, and the signature lines without theirs."""
    _check_text(note)
    cut = note.rfind("\n\n") + 1  # the text may hold empty lines: the last one parts it off
    lines = note[cut + 1 : -1].split("\n")
    if cut <= 1 or lines == [""]:
        raise NoteError("it is not a text, an empty line and signatures")
    if len(lines) > SIGNATURE_LIMIT:
        raise NoteError(f"it has more than {SIGNATURE_LIMIT} signatures")
    return note[:cut], lines


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    """Return name, key hash and signature of one line."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not (line.startswith(_DASH) and space):
        raise NoteError(f"{line[:40]!r} is not a signature line")
    _check_name(name)
    data = _from_base64(encoded, f"the signature by {name}")
    return name, data[:KEY_HASH_BYTES], data[KEY_HASH_BYTES:]


def _find(keys: Sequence[VerifierKey], name: str, hashed: bytes) -> VerifierKey | None:
    """Return the key meant; two that share name and hash would leave open which."""
    found = {key for key in keys if key.name == name and key.hash == hashed}
    if len(found) > 1:
        raise NoteError(f"two different keys are named {name}+{hashed.hex()}")
    return found.pop() if found else None


# -- forms ------------------------------------------------------------------------------------


def is_name(name: str) -> bool:
    """Tell whether a key name (or an origin) is one: not empty, no white space, plus or control."""
    return bool(name) and "+" not in name and name.isprintable() and " " not in name


def _check_name(name: str) -> None:
    if not is_name(name):
        raise NoteError(f"{name[:80]!r} is not a key name (no white space, no plus, not empty)")


def _check_text(text: str) -> None:
    """Refuse what C2SP forbids: controls other than newline, no newline at the end, bad Unicode."""
    if len(text) > NOTE_LIMIT:
        raise NoteError(f"it is longer than {NOTE_LIMIT} characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NoteError("it is not well-formed Unicode") from error
    if text == "\n" or not text.endswith("\n"):
        raise NoteError("it is not lines, each ended by a newline")
    if _control_character(text):
        raise NoteError("it holds a control character")


def _to_base64(data: bytes) -> str:
    return b64encode(data).decode()


def _from_base64(text: str, what: str) -> bytes:
    """Return the bytes of standard Base64 (RFC 4648 section 4), in its only exact spelling."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise NoteError(f"{what} is not Base64") from error
    if _to_base64(data) != text:
        raise NoteError(f"{what} is not the exact Base64 of its bytes")
    return data
