"""The record: the feed of entries, checkpoints, proofs, and the sealed archive."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from onrecord.model.access import INSTALLATION_ID, INSTALLATION_UUID
from onrecord.model.errors import Refusal, malformed
from onrecord.model.ports import Signer, Vault
from onrecord.proof import archive, checkpoint, merkle, note
from onrecord.store import access, record, tree
from onrecord.store import feed as feeds
from onrecord.store.db import Session
from onrecord.store.work import Work

FEED_DEFAULT: Final = 100
FEED_MOST: Final = 1000
SCAN_MOST: Final = 5000
"""Entries looked at for one page of the feed, when only some types are wanted."""
ARCHIVE_KIND: Final = "archive"

T = TypeVar("T")
ArchivePage = Sequence[tuple[bytes, Mapping[str, tuple[bytes, bytes]]]]
"""Entries' own bytes, each with salt and bytes of its parts by name."""


# -- the feed ------------------------------------------------------------------------------------


class _Typed(msgspec.Struct):
    type: str
    position: int


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of the record: the entries' own bytes, where to go on, and where it ends now."""

    leaves: list[bytes]
    next_after: int
    head: int


async def feed(work: Work, after: int, limit: int, types: frozenset[str] | None) -> Feed:
    """Give the organisation's entries after a position, `limit` (1 to 1,000) of them."""
    head, _, _ = await record.head_of(work.db, work.actor.entity_id)

    async def read(start: int, most: int) -> Sequence[tuple[int, bytes]]:
        found = await record.entries_after(work.db, work.actor.entity_id, start, most)
        return [(row[0], bytes(row[1])) for row in found]

    return await _page(read, after, limit, types, head)


async def feed_of_member(work: Work, after: int, limit: int, types: frozenset[str] | None) -> Feed:
    """Give what the acting member may see after a position; `next_after` may jump to the head.

    Chats the member is or was in, each from joining to leaving, and entries about the member.
    """
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    # The head is read first: what is committed meanwhile is found by the next call.
    head, _, _ = await record.head_of(work.db, work.actor.entity_id)

    async def read(start: int, most: int) -> Sequence[tuple[int, bytes]]:
        return await feeds.feed_of(work.db, work.actor.entity_id, member.id, start, head, most)

    return await _page(read, after, limit, types, head)


async def _page(
    read: Callable[[int, int], Awaitable[Sequence[tuple[int, bytes]]]],
    after: int,
    limit: int,
    types: frozenset[str] | None,
    head: int,
) -> Feed:
    """Read until the page is full or the record ends; entries of other types are passed over.

    At most `SCAN_MOST` entries are looked at: a rare type must not keep the server from others.
    Then the page says how far it came, and its reader goes on from there.
    """
    leaves: list[bytes] = []
    at = after
    most = limit if types is None else FEED_MOST
    for _ in range(0, SCAN_MOST, most):
        found = await read(at, most)
        for position, leaf in found:
            at, head = position, max(head, position)
            if types is None or msgspec.json.decode(leaf, type=_Typed).type in types:
                leaves.append(leaf)
                if len(leaves) == limit:
                    return Feed(leaves, at, head)
        if len(found) < most:
            return Feed(leaves, max(at, head), head)
    return Feed(leaves, at, head)


# -- checkpoints and proofs ----------------------------------------------------------------------


async def _entity(work: Work) -> access.Entity:
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is None:
        raise Refusal("RN007")
    return entity


async def checkpoint_at(work: Work, signer: Signer, size: int | None = None) -> str:
    """Give the signed checkpoint of a size (default: the present one), making it if need be.

    The note of a given size is stored when first made and used again ever after. RN008: a size
    not reached yet.
    """
    entity = await _entity(work)
    head, _, _ = await record.head_of(work.db, entity.id)
    size = head if size is None else size
    if not 0 <= size <= head:
        raise Refusal("RN008", f"The record has {head} entries")
    stored = await record.checkpoint_of(work.db, entity.id, size)
    if stored is not None:
        return stored
    root = await tree.root_at(work.db, entity.id, size)
    body = checkpoint.Checkpoint(entity.origin, size, root).text()
    return await record.keep_checkpoint(work.db, entity.id, size, signer.sign_note(body))


async def inclusion(work: Work, position: int, size: int) -> list[str]:
    """Give the inclusion proof of an entry in the tree of `size` entries, in Base64.

    RN008: a size not reached, or a position beyond the size. RB003: a position below 1.
    """
    if position < 1:
        raise malformed("position", "counts from 1")
    await _check_size(work, size)
    if position > size:
        raise Refusal("RN008", "The position lies beyond the size")
    return await _hashes(work, merkle.inclusion_plan(position - 1, size))


async def consistency(work: Work, from_size: int, to_size: int) -> list[str]:
    """Give the proof that the tree of `to_size` entries begins with that of `from_size`."""
    if from_size > to_size:
        raise malformed("from_size", "is above to_size")
    await _check_size(work, to_size)
    if from_size == 0:
        return []
    return await _hashes(work, merkle.consistency_plan(from_size, to_size))


async def _check_size(work: Work, size: int) -> None:
    head, _, _ = await record.head_of(work.db, work.actor.entity_id)
    if size > head:
        raise Refusal("RN008", f"The record has {head} entries")


async def _hashes(work: Work, plan: Sequence[merkle.Element]) -> list[str]:
    nodes = [node for element in plan for node in element]
    hashes = await tree.node_hashes(work.db, work.actor.entity_id, nodes)
    return [
        base64.b64encode(merkle.fold([hashes[node] for node in element])).decode()
        for element in plan
    ]


# -- the installation ----------------------------------------------------------------------------


async def prepare_installation(work: Work, signer: Signer, host: str) -> None:
    """Make the installation's own record at the first start, or check that the key is the same.

    RB019 when the database was written under another signing key.
    """
    known = await record.meta(work.db, "signing_keys")
    if known is not None:
        keys = known.split("\n")
        if signer.vkey not in keys:
            raise Refusal(
                "RB019",
                f"The database was written under the signing key {_key_id(keys[-1])},"
                f" not under {_key_id(signer.vkey)}",
            )
        return
    await access.set_origin(work.db, INSTALLATION_ID, f"{host}/{INSTALLATION_UUID}")
    await record.set_meta(work.db, "host", host)
    await record.set_meta(work.db, "signing_keys", signer.vkey)
    work.record("signing_key.created", data={"vkey": signer.vkey})


async def prepare_vault(work: Work, vault: Vault) -> None:
    """Note which key secrets are encrypted under, or check that it is the same (RB019)."""
    known = await record.meta(work.db, "vault")
    if known is None:
        await record.set_meta(work.db, "vault", vault.mark)
    elif known != vault.mark:
        raise Refusal("RB019", "The database was written under another secrets.key")


def _key_id(vkey: str) -> str:
    """Give name and hash of a verifier key, as people are shown it."""
    return note.VerifierKey.parse(vkey).id


async def verifier_keys(session: Session) -> list[str]:
    """Give every key this installation has ever signed with, the present one last."""
    known = await record.meta(session, "signing_keys")
    return known.split("\n") if known else []


# -- the sealed archive --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """What an archive will hold, fixed before its first byte is written."""

    entity: access.Entity
    as_of: int
    checkpoint: str
    keys: list[str]


async def plan_archive(work: Work, signer: Signer, as_of: int | None) -> ArchivePlan:
    """Fix the position of an archive and put the export on record (RN008: not reached yet).

    Without `as_of` it is the head before the entry of this export.
    """
    entity = await _entity(work)
    head, _, _ = await record.head_of(work.db, entity.id)
    size = head if as_of is None else as_of
    if not 1 <= size <= head:
        raise Refusal("RN008", f"The record has {head} entries")
    signed = await checkpoint_at(work, signer, size)
    work.record("export.made", data={"kind": ARCHIVE_KIND, "as_of": size})
    return ArchivePlan(entity, size, signed, await verifier_keys(work.db))


async def write_archive(
    read: Callable[[Callable[[Session], Awaitable[Any]]], Awaitable[Any]],
    keep: Callable[[str, str], Awaitable[None]],
    signer: Signer,
    plan: ArchivePlan,
    look: Callable[[ArchivePage], None] | None = None,
) -> AsyncIterator[bytes]:
    """Give the archive piece by piece in constant memory: header, entries, seal.

    `read` asks the tables, one page to a transaction; `keep` stores the seal when first made.
    `look` is shown each page, for whoever wants to make something else of it too.
    """
    sealer = archive.Sealer()
    yield sealer.update(
        archive.header_line(
            entity_uuid=plan.entity.uuid,
            origin=plan.entity.origin,
            as_of=plan.as_of,
            checkpoint=plan.checkpoint,
            keys=parse_keys(plan.keys),
        )
    )
    async for page in record.archive_pages(read, plan.entity.id, plan.as_of):
        yield sealer.update(b"".join(_entry_line(leaf, parts) for leaf, parts in page))
        if look is not None:
            look(page)
    text = sealer.text(ARCHIVE_KIND, plan.entity.origin, plan.as_of)
    options = f"{ARCHIVE_KIND}/{plan.as_of}/{sealer.digest().hex()}"
    stored = await read(lambda session: record.seal_of(session, plan.entity.id, options))
    if stored is None:
        stored = signer.sign_note(text)
        await keep(options, stored)
    yield archive.seal_line(stored)


class _Content(msgspec.Struct):
    content: dict[str, str] = {}


def _entry_line(leaf: bytes, parts: dict[str, tuple[bytes, bytes]]) -> bytes:
    """Write an entry's line; a part that the entry names and nobody has any more was erased."""
    names = msgspec.json.decode(leaf, type=_Content).content
    return archive.entry_line(leaf, {name: parts.get(name) for name in names})


def parse_keys(keys: Sequence[str]) -> list[note.VerifierKey]:
    """Read verifier keys as the command line takes them; ValueError for what is none."""
    return [note.VerifierKey.parse(key) for key in keys]
