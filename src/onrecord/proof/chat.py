"""The sealed record of one chat, or of a window of it, format ``onrecord-chat/v1``: JSON Lines.

Every line is canonical JSON (RFC 8785) ended by one newline, and is shorter than 1 MiB:

1. the header: ``{"as_of":N,"chat":"onrecord-chat/v1","chat_uuid":"…","checkpoint":"<signed
   note>","entity_uuid":"…","entries":n,"first_index":f,"keys":["<vkey>",…],"last_index":l,
   "last_index_of_chat":t,"origin":"<host>/<entity_uuid>","withheld":["<part>",…]}``. The
   checkpoint is that of exactly N entries of the organisation. The window are the chat's entries
   of index f to l, so that n = l - f + 1; an empty one has l = f - 1. The chat's last entry up to
   N has index t. Parts under the names in ``withheld`` (sorted) are left out for this reader;
2. the n entries in order, in the form of ``archive``, but that ``parts`` names what the entry's
   ``content`` names and ``withheld`` does not, and is absent where nothing remains;
3. for parts that are null because they were erased: the entries ``content.erased`` that say so
   and stand outside the window, in order of position, each ``{"erasure":"<the stored bytes>"}``.
   Those above position N are later than the checkpoint: they rest on the seal alone;
4. one proof that the entries, and the erasures up to N, stand in the tree of the checkpoint: the
   hashes of the largest subtrees that hold none of them, each once, from left to right. Each line
   is ``{"proof":"<Base64 of the hashes one after the other>"}`` of 4,096 hashes, the last of the
   rest; there is none where no hash is needed;
5. the seal: ``{"seal":"<signed note>"}``, over the seal text (kind ``chat-record``) of all the
   bytes that precede this line.

What this proves of the entries is that they stand in the record whose root the checkpoint gives.
That they are all of the window follows from their indexes and links. That the chat had t entries
up to N, and so where a window lies in it, is the signer's sealed statement.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from onrecord.proof import canonical
from onrecord.proof.archive import bounded, entry_line, seal_line
from onrecord.proof.note import VerifierKey

__all__ = ["entry_line", "erasure_line", "header_line", "proof_line", "proof_lines", "seal_line"]

VERSION: Final = "onrecord-chat/v1"
KIND: Final = "chat-record"
"""The seal's kind."""

PROOF_HASHES: Final = 4096
"""Hashes in every line of the proof but the last: 128 KiB, a third more in Base64."""


def header_line(
    *,
    origin: str,
    entity_uuid: str,
    chat_uuid: str,
    as_of: int,
    checkpoint: str,
    keys: Sequence[VerifierKey],
    window: tuple[int, int, int],
    withheld: Iterable[str] = (),
) -> bytes:
    """Return the first line: which entries of which chat, up to which position of the record.

    ``window`` gives first and last index of the entries, and the last index of the chat as of
    the position; ``withheld`` the names of the parts that are left out.
    """
    first, last, last_of_chat = window
    return _line(
        {
            "as_of": as_of,
            "chat": VERSION,
            "chat_uuid": chat_uuid,
            "checkpoint": checkpoint,
            "entity_uuid": entity_uuid,
            "entries": last - first + 1,
            "first_index": first,
            "keys": [str(key) for key in keys],
            "last_index": last,
            "last_index_of_chat": last_of_chat,
            "origin": origin,
            "withheld": sorted(withheld),
        }
    )


def erasure_line(leaf: bytes) -> bytes:
    """Return the line of an erasure outside the window: its stored bytes, none of its parts."""
    return _line({"erasure": leaf.decode()})


def proof_line(hashes: Sequence[bytes]) -> bytes:
    """Return one line of the proof; all but the last have exactly ``PROOF_HASHES`` hashes."""
    return _line({"proof": b64encode(b"".join(hashes)).decode()})


def proof_lines(hashes: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of a proof from its hashes, from left to right."""
    rest = iter(hashes)
    while some := list(islice(rest, PROOF_HASHES)):
        yield proof_line(some)


def _line(value: dict[str, object]) -> bytes:
    return bounded(canonical.encode(value) + b"\n")
