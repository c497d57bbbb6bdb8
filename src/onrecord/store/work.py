"""Work: one act of one actor, all or nothing, and the ledger in which it is put on record."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeVar

from onrecord.model import record as entry_types
from onrecord.model.access import INSTALLATION_ID, INSTALLATION_UUID, Actor, Origin, service
from onrecord.model.errors import Refusal
from onrecord.store.db import Caller, Figures, Item, Outcome, Row, Session
from onrecord.store.record import NEVER_STALE, ChatTip, Heads, Pending, settle

T = TypeVar("T")

NAMES_MOST: Final = 20_000
"""Names remembered at the most; then they are read anew."""


class Names:
    """Names of members and keys that readers have met, true while access has not changed.

    Whatever changes a name is an entry that changes access, so what was read under an access
    position holds for every reader who was judged under the same one.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._of: dict[int, tuple[int, dict[int, Row], dict[int, Row]]] = {}

    def known_to(self, actor: Actor) -> tuple[dict[int, Row], dict[int, Row]]:
        """Give what is remembered of members and of keys, to be read and added to."""
        position = actor.judged.entity
        if actor.kind in NEVER_STALE:
            return {}, {}
        known = self._of.get(actor.entity_id)
        if known is None or known[0] != position or len(known[1]) + len(known[2]) > NAMES_MOST:
            if len(self._of) > NAMES_MOST // 10:
                self._of.clear()
            known = self._of[actor.entity_id] = (position, {}, {})
        return known[1], known[2]


@dataclass(slots=True)
class Work:
    """What a domain function takes first.

    `record` notes an entry; `settle` gives every noted entry its place and time and writes it. It
    takes the organisation's head row, so it comes last; afterwards the work may read back what it
    did, but record nothing more. Whoever runs a work settles it if it has not settled itself.
    """

    db: Session
    actor: Actor
    origin: Origin
    heads: Heads
    pending: list[Pending] = field(default_factory=list)
    settled: bool = False
    on_settled: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What the work still has to write once its entries have their positions."""
    names: Names = field(default_factory=Names)
    """What may be taken from memory instead of the tables; works that write begin with nothing."""
    wake: Callable[[], None] | None = None
    """See Caller."""

    def record(  # noqa: PLR0913 - an entry has these members
        self,
        name: str,
        *,
        chat: ChatTip | None = None,
        seq: int | None = None,
        ids: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
        parts: Mapping[str, Any] | None = None,
        subject: int | None = None,
        actor: Actor | None = None,
        origin: Origin | None = None,
    ) -> Pending:
        """Note an entry of the type `name`; `subject` is the internal id of the member concerned.

        `actor` and `origin` differ from the work's own only where one work carries the acts of
        several callers (the append path), or concerns a second organisation (the installation).
        """
        if self.settled:
            msg = "a settled work records nothing more"
            raise RuntimeError(msg)
        entry_type = entry_types.TYPES[name]
        pending = Pending(
            entry_type,
            actor or self.actor,
            origin or self.origin,
            chat,
            seq,
            ids or {},
            data or {},
            dict(parts or {}),
            subject,
        )
        entry_types.check(entry_type, pending.ids, pending.data, pending.parts)
        self.pending.append(pending)
        return pending

    async def settle(self) -> None:
        """Write the entries; afterwards each knows its position and time.

        Raises Stale when an actor was judged under an older access position than the head's.
        """
        if self.settled:
            return
        self.settled = True
        if self.pending:
            await settle(self.db, self.heads, self.pending)
        for finish in self.on_settled:
            await finish()


async def judged(db: Session, heads: Heads, caller: Caller) -> Actor:
    """Give the caller's actor, judged again from the tables if access has changed since."""
    if caller.actor is not None and await heads.is_fresh(caller.actor):
        return caller.actor
    if caller.judge is None:
        msg = "a caller needs an actor or a judge"
        raise RuntimeError(msg)
    caller.actor = await caller.judge(db)
    return caller.actor


async def perform(
    db: Session, heads: Heads, caller: Caller, run: Callable[[Work], Awaitable[T]]
) -> T:
    """Judge the caller, run one work and settle it."""
    # Judges and works read heads from the table, where those of the works before must stand.
    await heads.flush()
    work = Work(db, await judged(db, heads, caller), caller.origin, heads, wake=caller.wake)
    result = await run(work)
    await work.settle()
    return result


async def look(db: Session, caller: Caller, run: Callable[[Work], Awaitable[T]], names: Names) -> T:
    """Judge the caller, and run a work that changes nothing."""
    heads = Heads(db)
    actor = await judged(db, heads, caller)
    return await run(Work(db, actor, caller.origin, heads, names=names))


Many = Callable[[Work, Sequence[Any]], Awaitable[Sequence[Outcome]]]
"""A function that does many acts in one work and says what became of each."""


async def perform_many(
    db: Session, heads: Heads, items: Sequence[Item], run: Many
) -> list[Outcome]:
    """Judge each item's caller, then do those that passed in one work."""
    await heads.flush()  # as in `perform`
    outcomes: list[Outcome] = [None] * len(items)
    passed: list[int] = []
    for number, item in enumerate(items):
        try:
            item.actor = await judged(db, heads, item.caller)
            passed.append(number)
        except Refusal as refusal:
            outcomes[number] = refusal
    nobody = service(INSTALLATION_ID, INSTALLATION_UUID)
    work = Work(db, nobody, Origin(""), heads)
    if passed:
        done = await run(work, [items[number] for number in passed])
        await work.settle()
        for number, outcome in zip(passed, done, strict=True):
            outcomes[number] = outcome
    return outcomes


class Store(Protocol):
    """One engine: runs works, and reads."""

    dialect: Literal["sqlite", "postgresql"]
    figures: Figures

    def waiting(self) -> int:
        """Give how many works wait for their turn."""
        ...

    async def open(self) -> None:
        """Connect; raises Unavailable, or NewerSchema."""
        ...

    async def close(self) -> None:
        """Finish what is queued and disconnect."""
        ...

    async def schema(self) -> int:
        """Give the number of the schema; 0 for an empty database."""
        ...

    async def hold(self, purpose: str, *, alone: bool) -> None:
        """Hold the database like others, or alone as a migration must; raises Held."""
        ...

    async def migrate(self) -> int:
        """Bring the schema up to date and give its number; raises NewerSchema."""
        ...

    async def write(self, caller: Caller, run: Callable[[Work], Awaitable[T]]) -> T:
        """Run one work; answers only after it is durable."""
        ...

    async def write_many(self, item: Item, run: Many) -> Any:
        """Do one of many acts together with whatever others wait; answers when durable."""
        ...

    async def read(self, caller: Caller, run: Callable[[Work], Awaitable[T]]) -> T:
        """Run a work that changes nothing, on a snapshot that is fresh."""
        ...

    async def ask(self, run: Callable[[Session], Awaitable[T]]) -> T:
        """Ask the tables something that nobody needs to be judged for."""
        ...
