"""The composition root: Settings in, a running App out. Only here implementations are picked."""

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from onrecord import settings as configuration
from onrecord.domain import (
    accounts,
    entities_export,
    invitations,
    keys,
    organisation_settings,
    record,
    sessions,
    transcript,
    transcript_files,
)
from onrecord.model import text, times
from onrecord.model.access import (
    INSTALLATION_ID,
    INSTALLATION_UUID,
    Actor,
    Origin,
    operator,
    service,
)
from onrecord.model.errors import Refusal
from onrecord.model.ports import (
    Bell,
    Files,
    Held,
    Inspector,
    Mailer,
    Passwords,
    Previewer,
    Scanner,
    Signer,
    Texter,
    Typesetter,
    Vault,
)
from onrecord.outside import files, mail, sms
from onrecord.outside import signer as signers
from onrecord.outside import vault as vaults
from onrecord.outside.bell import LocalBell
from onrecord.outside.datadir import DataDirectory
from onrecord.outside.inspection import ChildInspector
from onrecord.outside.passwords import Passwords as ArgonPasswords
from onrecord.outside.previews import ChildPreviewer
from onrecord.outside.scanner import scanner_of
from onrecord.outside.spool import FileSpool
from onrecord.outside.typesetting import ChildTypesetter
from onrecord.settings import Settings
from onrecord.store import access, migrations, people, sqlite
from onrecord.store import accounts as account_rows
from onrecord.store import record as ledger
from onrecord.store import transcripts as transcript_rows
from onrecord.store.db import Caller, Unavailable
from onrecord.store.work import Store, Work

CHECKPOINT_SECONDS = 60
"""At least so often a checkpoint is made while there are changes (record.md, section 2)."""

SERVE = "serve"
"""The purpose of a process that answers requests; commands have others."""
MIGRATION_SECONDS = 30
"""How long a process waits at its start for another one that migrates."""

STANDARD_OUTPUT = Path("-")
"""Where the command line writes a file that goes on to another program."""

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class App:
    """A running installation: its store, its key, its bell, and what it counts in memory."""

    settings: Settings
    store: Store
    signer: Signer
    vault: Vault
    directory: DataDirectory
    purpose: str
    files: Files
    """Where the bytes of attachments lie."""
    inspector: Inspector = field(default_factory=ChildInspector)
    previewer: Previewer = field(default_factory=ChildPreviewer)
    scanner: Scanner | None = None
    """None: files are not searched for malware."""
    _typesetter: Typesetter | None = None
    passwords: Passwords = field(default_factory=ArgonPasswords)
    bell: Bell = field(default_factory=LocalBell)
    denied: dict[tuple[int, str, str], int] = field(default_factory=dict)
    """Refused uses of known keys: (entity_id, api_key_uuid, code) → count."""
    used: dict[int, int] = field(default_factory=dict)
    """When keys were last used: key id → microseconds."""
    seen: dict[int, int] = field(default_factory=dict)
    """When sessions were last used: session id → microseconds."""
    failed: dict[tuple[str, str], int] = field(default_factory=dict)
    """Failed sign-ins to known accounts: (account_uuid, reason) → count."""
    stopping: bool = False
    mailer: Mailer | None = None
    """None: mail is not sent."""
    texter: Texter | None = None
    """None: texts are not sent."""
    address: str = ""
    """Where this process listens, once it does."""
    jobs_waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process has put a job in line."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def typesetter(self) -> Typesetter:
        """What makes the pages of transcripts: one for all, so that no more than two are made."""
        if self._typesetter is None:
            self._typesetter = ChildTypesetter(self.settings.data_dir)
        return self._typesetter

    def start_jobs(self, run: "Callable[[App], Coroutine[Any, Any, None]] | None" = None) -> None:
        """Begin what runs beside the requests: the chores of a minute, and jobs by `run`."""
        self._tasks.append(asyncio.create_task(self._every_minute()))
        if run is not None:
            self._tasks.append(asyncio.create_task(run(self)))

    def wake(self) -> None:
        """Tell the worker of this process that a job was put in line."""
        self.jobs_waiting.set()

    @property
    def can_mail(self) -> bool:
        """Whether mail is sent, or kept where it can be read."""
        return self.mailer is not None or self.settings.dev_outbox

    @property
    def can_text(self) -> bool:
        """Whether texts are sent, or kept where they can be read."""
        return self.texter is not None or self.settings.dev_outbox

    @property
    def base_url(self) -> str:
        """The address that links in mails begin with."""
        settings = self.settings
        return settings.public_url or self.address or f"http://{settings.host}:{settings.port}"

    async def stop(self) -> None:
        """Finish: nothing counted or acknowledged is lost by an orderly stop."""
        self.stopping = True
        self.bell.ring_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.purpose == SERVE:
            with contextlib.suppress(Unavailable):
                await self.note_counts()
                await self.make_checkpoints()
        await self.store.close()
        self.directory.let_go()

    async def _every_minute(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            try:
                await self.store.hold(self.purpose, alone=False)
                await self.note_counts()
                await self.make_checkpoints()
                await self.as_service(lambda work: access.forget_answers(work.db, times.now()))
                await self.as_service(sessions.forget)
            except Exception:
                log.exception("a minute's chores failed; they are tried again")

    async def as_service(
        self, run: Callable[[Work], Awaitable[T]], actor: Actor | None = None
    ) -> T:
        """Run a work as OnRecord itself."""
        actor = actor or service(INSTALLATION_ID, INSTALLATION_UUID)
        caller = Caller(actor, Origin(keys.request_id()), wake=self.wake)
        return await self.store.write(caller, run)

    async def service_in(self, entity_id: int) -> Actor:
        """Give OnRecord itself as the actor in an organisation, by its internal id."""
        entity = await self.store.ask(lambda session: access.entity_by_id(session, entity_id))
        if entity is None:
            raise Refusal("RN007")
        return service(entity.id, entity.uuid)

    async def note_counts(self) -> None:
        """Put the denied uses of the last minute on record, and note when keys were used."""
        uses = dict(self.used)
        if uses:
            await self.as_service(lambda work: access.note_key_uses(work.db, uses))
            self.used = {key: at for key, at in self.used.items() if at != uses.get(key)}
        seen = dict(self.seen)
        if seen:
            await self.as_service(lambda work: account_rows.note_seen(work.db, seen))
            self.seen = {one: at for one, at in self.seen.items() if at != seen.get(one)}
        await self._note_failed()
        by_entity: dict[int, dict[tuple[str, str], int]] = {}
        for (entity_id, key_uuid, code), count in self.denied.items():
            by_entity.setdefault(entity_id, {})[key_uuid, code] = count
        for entity_id, counts in by_entity.items():
            await self._note_denied(entity_id, counts)

    async def _note_denied(self, entity_id: int, counts: dict[tuple[str, str], int]) -> None:
        """Put one organisation's counts on record; only then are they forgotten."""
        entity = await self.store.ask(lambda session: access.entity_by_id(session, entity_id))
        if entity is None:
            return

        async def note(work: Work) -> None:
            for (key_uuid, code), count in counts.items():
                keys.note_denied(work, key_uuid, code, count)

        await self.as_service(note, service(entity.id, entity.uuid))
        self.bell.ring(entity_id)
        for (key_uuid, code), count in counts.items():
            place = (entity_id, key_uuid, code)
            self.denied[place] -= count
            if not self.denied[place]:
                del self.denied[place]

    async def _note_failed(self) -> None:
        """Put the failed sign-ins of the last minute on record; only then are they forgotten."""
        counts = dict(self.failed)
        if not counts:
            return

        async def note(work: Work) -> None:
            for (account_uuid, reason), count in counts.items():
                accounts.note_failed(work, account_uuid, reason, count)

        await self.as_service(note)
        for place, count in counts.items():
            self.failed[place] -= count
            if not self.failed[place]:
                del self.failed[place]

    def count_failed(self, account_uuid: str, reason: str) -> None:
        """Count a failed sign-in to a known account; it goes on record within a minute."""
        place = (account_uuid, reason)
        self.failed[place] = self.failed.get(place, 0) + 1

    def count_denied(self, key: access.Key, code: str) -> None:
        """Count a refused use of a known key; it goes on record within a minute."""
        place = (key.entity_id, key.uuid, code)
        self.denied[place] = self.denied.get(place, 0) + 1

    async def make_checkpoints(self) -> None:
        """Make the checkpoint of every organisation whose record has grown."""
        grown = await self.store.ask(ledger.without_checkpoint)
        for entity_id, entity_uuid, _, _ in grown:
            await self.as_service(
                lambda work: record.checkpoint_at(work, self.signer),
                service(entity_id, entity_uuid),
            )

    async def ready(self) -> bool:
        """Whether the database answers."""
        if self.stopping:
            return False
        try:
            await self.store.ask(lambda session: ledger.head_of(session, INSTALLATION_ID))
        except Unavailable:
            return False
        return True


def make_store(settings: Settings) -> Store:
    """Pick the engine: PostgreSQL when an address is set, else SQLite in the data directory."""
    if settings.database_url:
        from onrecord.store import postgres  # noqa: PLC0415 - SQLite does without its driver

        return postgres.PostgresStore(settings.database_url)
    return sqlite.SqliteStore(sqlite_file(settings))


def sqlite_file(settings: Settings) -> Path:
    """Give where the database lies when it is SQLite."""
    return settings.data_dir / "onrecord.db"


async def start(settings: Settings, *, purpose: str = SERVE) -> App:
    """Open the store, bring the schema up to date, make or check the installation and its key.

    Raises Unavailable, NewerSchema, Held, Refusal (another key), OSError, ValueError.
    """
    directory = DataDirectory(settings.data_dir)
    store = make_store(settings)
    await store.open()
    try:
        await _hold_migrated(directory, store, purpose)
        host = await store.ask(lambda session: ledger.meta(session, "host"))
        known = await store.ask(record.verifier_keys)
        signer = signers.load_or_make(
            settings.signing_key, host or settings.origin_host, may_make=not known
        )
        mark = await store.ask(lambda session: ledger.meta(session, "vault"))
        vault = vaults.load_or_make(settings.secrets_key, may_make=mark is None)
        app = App(settings, store, signer, vault, directory, purpose, files.files_of(settings))
        app.mailer, app.texter = mail.mailer_of(settings), sms.texter_of(settings)
        app.scanner = scanner_of(settings)
        await _prepare(app)
    except BaseException:
        await store.close()
        directory.let_go()
        raise
    return app


async def _hold(directory: DataDirectory, store: Store, purpose: str, *, alone: bool) -> None:
    """Hold directory and database, waiting a while for another process that migrates just now."""
    deadline = time.monotonic() + MIGRATION_SECONDS
    while True:
        try:
            directory.hold(purpose, alone=alone)
            await store.hold(purpose, alone=alone)
        except Held:
            directory.let_go()
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def _hold_migrated(directory: DataDirectory, store: Store, purpose: str) -> None:
    """Hold the installation together with others, after bringing an older schema up to date.

    Of several processes that start on an empty database one migrates and the others wait for it.
    """
    if await store.schema() < migrations.newest():
        await _hold(directory, store, "migrate", alone=True)
        await store.migrate()
    await _hold(directory, store, purpose, alone=False)


async def _prepare(app: App) -> None:
    async def prepare(work: Work) -> None:
        await record.prepare_installation(work, app.signer, app.settings.origin_host)
        await record.prepare_vault(work, app.vault)
        if app.purpose == SERVE:
            await organisation_settings.note_texts(work, sent=app.texter is not None)

    await app.as_service(prepare)
    if app.purpose == SERVE:
        configuration.write_template(app.directory.path)


@contextlib.asynccontextmanager
async def running(settings: Settings, *, purpose: str = SERVE) -> AsyncIterator[App]:
    """Give a running App for a block."""
    app = await start(settings, purpose=purpose)
    try:
        yield app
    finally:
        await app.stop()


async def acting(app: App, entity_uuid: str | None, run: Callable[[Work], Awaitable[T]]) -> T:
    """Run a work as the operator in an organisation (None: the installation); RB003, RN007."""
    if entity_uuid is None:
        actor = operator(INSTALLATION_ID, INSTALLATION_UUID)
    else:
        entity = await app.store.ask(lambda session: access.entity_of(session, entity_uuid.lower()))
        if entity is None:
            raise Refusal("RN007")
        actor = operator(entity.id, entity.uuid)
    return await app.store.write(Caller(actor, Origin(keys.request_id()), wake=app.wake), run)


async def note_bounce(app: App, message_id: str, recipient: str) -> None:
    """Note that a mail came back, by its Message-ID or else by its recipient.

    Nothing happens where it was no invitation that still works, or where it was noted already.
    """
    members = await app.as_service(
        lambda work: invitations.bounced_mail(work, message_id, recipient)
    )
    for member_id in members:
        home = await app.store.ask(partial(people.member_by_id, member_id=member_id))
        if home is not None:
            actor = await app.service_in(home.entity_id)
            await app.as_service(partial(invitations.bounced, member_id=member_id), actor)
            app.bell.ring(home.entity_id)


async def origin_host(app: App) -> str:
    """Give the host part of the origin lines, fixed at the first start."""
    host = await app.store.ask(lambda session: ledger.meta(session, "host"))
    return host or app.settings.origin_host


async def migrate(settings: Settings) -> int:
    """Bring the schema up to date, alone on the data directory; Held while a server runs."""
    with DataDirectory(settings.data_dir).hold("migrate", alone=True):
        store = make_store(settings)
        await store.open()
        try:
            await store.hold("migrate", alone=True)
            return await store.migrate()
        finally:
            await store.close()


async def write_archive(
    app: App, entity_uuid: str, output: Path, as_of: int | None
) -> dict[str, Any]:
    """Write an organisation's sealed archive to a file, whole or not at all."""
    plan = await acting(app, entity_uuid, lambda work: record.plan_archive(work, app.signer, as_of))

    async def keep(options: str, note: str) -> None:
        await app.as_service(lambda work: ledger.keep_seal(work.db, plan.entity.id, options, note))

    size = await _write_whole(output, record.write_archive(app.store.ask, keep, app.signer, plan))
    uuid = plan.entity.uuid
    return {"file": str(output), "entity_uuid": uuid, "as_of": plan.as_of, "bytes": size}


async def _write_whole(output: Path, pieces: AsyncIterator[bytes]) -> int:
    """Write a file, whole or not at all; give its size in bytes."""
    size = 0
    with _opened(output) as file:
        async for piece in pieces:
            file.write(piece)
            size += len(piece)
        file.flush()
    return size


@contextlib.contextmanager
def _opened(output: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears when the block has ended well.

    What is there and is no file (`-` for standard output, a pipe, a device) is written to as it is.
    """
    if output == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    if output.exists() and not output.is_file():
        with output.open("wb") as there:
            yield there
        return
    output = Path(os.path.realpath(output))  # a link goes on leading there
    # A name of its own: two that write the same file do not write into one another.
    descriptor, name = tempfile.mkstemp(".part", ".onrecord-", output.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)


def entities_pieces(app: App, export: entities_export.Export) -> AsyncIterator[bytes]:
    """Give an export of an organisation's entities piece by piece; empty ones mean patience."""
    entity_id = export.plan.entity.id

    async def keep(options: str, note: str) -> None:
        await app.as_service(lambda work: ledger.keep_seal(work.db, entity_id, options, note))

    places = entities_export.Places(lambda: FileSpool(app.settings.data_dir), app.files)
    return entities_export.pieces(export, app.store.ask, keep, app.signer, places)


def transcript_pieces(app: App, made: transcript.Transcript) -> AsyncIterator[bytes]:
    """Give a transcript piece by piece; empty ones mean patience."""
    entity_id = made.plan.entity.id

    async def keep(options: str, note: str) -> None:
        await app.as_service(lambda work: ledger.keep_seal(work.db, entity_id, options, note))

    tools = transcript_files.Tools(
        app.store.ask,
        keep,
        app.signer,
        lambda: FileSpool(app.settings.data_dir),
        app.typesetter,
        app.files,
    )
    return transcript_files.pieces(made, tools)


async def write_transcript(
    app: App,
    wanted: transcript.Wanted,
    output: Path,
    tell: Callable[[transcript.Transcript], None],
) -> dict[str, Any]:
    """Write the transcript of a chat to a file, whole or not at all; refusals as in its `begin`.

    `tell` hears how far it is.
    """
    uuid = text.check_uuid("chat", wanted.chat_uuid)
    home = await app.store.ask(lambda session: transcript_rows.entity_of_chat(session, uuid))
    if home is None:
        raise Refusal("RN001")
    made = await acting(app, home, lambda work: transcript.begin(work, app.signer, wanted))

    async def told() -> AsyncIterator[bytes]:
        async for piece in transcript_pieces(app, made):
            tell(made)
            yield piece

    size = await _write_whole(output, told())
    return {
        "file": str(output),
        "entity_uuid": home,
        "chat_uuid": uuid,
        "format": wanted.form,
        "as_of": made.plan.as_of,
        "first_index": made.plan.first_index,
        "last_index": made.plan.last_index,
        "bytes": size,
    }


async def write_entities(
    app: App,
    entity_uuid: str,
    output: Path,
    wanted: tuple[str, int | None],
    tell: Callable[[entities_export.Export], None],
) -> dict[str, Any]:
    """Write an export of an organisation's entities to a file, whole or not at all.

    `wanted` is a format and a position (None: the present end); `tell` hears how far it is.
    """
    form, as_of = wanted
    export = await acting(
        app, entity_uuid, lambda work: entities_export.begin(work, app.signer, as_of, form)
    )

    async def told() -> AsyncIterator[bytes]:
        async for piece in entities_pieces(app, export):
            tell(export)
            yield piece

    size = await _write_whole(output, told())
    return {
        "file": str(output),
        "entity_uuid": entity_uuid.lower(),
        "format": form,
        "as_of": export.plan.as_of,
        "bytes": size,
    }
