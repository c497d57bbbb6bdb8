"""Writing sealed ZIP files (`proof.bundle`): stored, with fixed times, in constant memory.

Size and checksum of every member are known before its first byte: of what was made for the file
from the spool it lies in, of attachments from the table. What lies in storage is checked on its
way into the file; where it is not what it was, the file is cut off.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from onrecord import __version__
from onrecord.domain.replay import Read
from onrecord.model.ports import Files, Signer, Spool
from onrecord.proof import bundle
from onrecord.proof.seal import Sealer
from onrecord.store import access
from onrecord.store import record as ledger

if TYPE_CHECKING:
    from stream_zip import Method

MODE: Final = 0o100644

HOW_TO_VERIFY: Final = """\

To verify this file, with no server and no network:

  onrecord verify FILE --key VKEY

or, with Python alone and nothing installed,

  python3 onrecord-verify.py FILE --key VKEY

Get the program and the verifier key from somewhere else than from this file or from
whoever gave it to you. The organisation's server publishes both, the key under
/.well-known/onrecord-keys and the program under /onrecord-verify.py; other servers of
OnRecord give the program too, and it is free software. Without a key that you trust,
a file can only be shown to agree with itself.
"""
"""The end of the README of every sealed ZIP."""

Keep = Callable[[str, str], Awaitable[None]]
"""Stores a seal under the options of its export, when it is first made."""


class NotTheSameError(Exception):
    """A file in storage is not the one that was sent: the export cannot be finished."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a ZIP; `crc` is its CRC-32, `sha256` lower-case hex."""

    name: str
    size: int
    crc: int
    sha256: str
    pieces: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Sealing:
    """What is sealed, and with what: `options` tell one export of a position from another."""

    kind: str
    entity: access.Entity
    as_of: int
    at: int
    """The moment of the position, in microseconds since 1970: the time of every member."""
    options: str
    read: Read
    keep: Keep
    signer: Signer


@dataclass(slots=True)
class Parts:
    """Members that are made for the file, each known whole in a spool of its own."""

    spool: Callable[[], Spool]
    stack: ExitStack
    spools: dict[str, Spool] = field(default_factory=dict)

    def new(self, name: str) -> Spool:
        """Begin a part."""
        made = self.spools[name] = self.loose()
        return made

    def loose(self) -> Spool:
        """Begin something that is no part by itself."""
        made = self.spool()
        self.stack.callback(made.close)
        return made

    def put(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Write a part; gives an empty piece for each that was written."""
        part = self.new(name)
        for piece in pieces:
            part.write(piece)
            yield b""

    def facts(self) -> dict[str, tuple[int, str]]:
        """Give size and digest of the parts, as a manifest names them."""
        return {name: (one.size, one.sha256) for name, one in self.spools.items()}

    def members(self, enclosed: Sequence[Member]) -> list[Member]:
        """Give the parts as members, in the order in which they were begun, and what is enclosed.

        The part begun last, which names all others, stays the last one.
        """
        made = [
            Member(name, one.size, one.crc, one.sha256, partial(_of_spool, one))
            for name, one in self.spools.items()
        ]
        return [*made[:-1], *enclosed, made[-1]]


async def _of_spool(spool: Spool) -> AsyncIterator[bytes]:
    for piece in spool.pieces():
        yield piece


def stored(files: Files, place: str, member: tuple[str, int, int, str]) -> Member:
    """Give a member that lies in storage under `place`: name, size, CRC-32 and digest of it."""
    name, size, crc, sha256 = member

    async def pieces() -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        async for piece in files.pieces(place):
            digest.update(piece)
            yield piece
        if digest.hexdigest() != sha256:
            raise NotTheSameError(f"{place} is not what was sent")

    return Member(name, size, crc, sha256, pieces)


async def sealed(members: Sequence[Member], sealing: Sealing) -> AsyncIterator[bytes]:
    """Give the ZIP piece by piece, and its seal as the archive's comment."""
    from stream_zip import async_stream_zip  # noqa: PLC0415 - it takes 10 MB with what it imports

    sealer = Sealer()
    held = b""
    async for piece in async_stream_zip(_files(members, sealing.at)):
        whole = held + piece
        held = whole[-bundle.LENGTH_BYTES :]
        yield sealer.update(whole[: -bundle.LENGTH_BYTES])
    # The last field says how long the comment is: it must be right before the file is sealed.
    kind, origin, as_of = sealing.kind, sealing.entity.origin, sealing.as_of
    length = len(sealing.signer.sign_note(sealer.text(kind, origin, as_of)).encode())
    digits = len(str(sealer.size + bundle.LENGTH_BYTES)) - len(str(sealer.size))
    yield sealer.update((length + digits).to_bytes(bundle.LENGTH_BYTES, "little"))
    yield (await seal_note(sealer, sealing)).encode()


async def _files(
    members: Sequence[Member], at: int
) -> AsyncIterator[tuple[str, datetime, int, "Method", AsyncIterator[bytes]]]:
    from stream_zip import NO_COMPRESSION_64  # noqa: PLC0415 - as in `sealed`

    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    for one in members:
        yield one.name, moment, MODE, NO_COMPRESSION_64(one.size, one.crc), one.pieces()


async def seal_note(sealer: Sealer, sealing: Sealing) -> str:
    """Give the seal over what was fed: the stored one, or a new one, which is stored."""
    kind, origin, as_of = sealing.kind, sealing.entity.origin, sealing.as_of
    options = f"{kind}/{as_of}/{sealing.options}/{__version__}/{sealer.digest().hex()}"
    note: str | None = await sealing.read(
        partial(ledger.seal_of, entity_id=sealing.entity.id, options=options)
    )
    if note is None:
        note = sealing.signer.sign_note(sealer.text(kind, origin, as_of))
        await sealing.keep(options, note)
    return note
