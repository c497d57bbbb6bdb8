"""The doctor: looks at an installation, running or not, and says what is wrong and what to do.

It changes nothing, makes nothing and never migrates. Nothing it says holds a secret.
"""

import json
import os
import platform
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from onrecord import __version__
from onrecord import app as composition
from onrecord.domain import record
from onrecord.model import times
from onrecord.model.access import INSTALLATION_ID, INSTALLATION_UUID, Origin, service
from onrecord.model.errors import Refusal
from onrecord.model.ports import Held
from onrecord.outside import datadir, files
from onrecord.outside import signer as signers
from onrecord.outside.limited import Children, Failed, Limits, TooMuch
from onrecord.outside.scanner import Away, scanner_of
from onrecord.proof import checkpoint, merkle
from onrecord.settings import FILE, Settings, is_loopback
from onrecord.store import attachments, health, migrations, tree
from onrecord.store import record as ledger
from onrecord.store.db import Caller, NewerSchema, Session, Unavailable
from onrecord.store.health import RecordEnd
from onrecord.store.work import Store, Work

OPEN_TO_OTHERS: Final = 0o077
FREE_WARNING: Final = 1024**3
FREE_FAULT: Final = 100 * 1024**2
UNSIGNED_WARNING: Final = 10 * 60 * times.SECOND
"""A server makes a checkpoint a minute after a change; so old a change without one is strange."""
JOB_WARNING: Final = 10 * 60 * times.SECOND
JOBS_SCHEMA: Final = 5
"""From this schema on there are jobs."""
FILES_SCHEMA: Final = 9
"""From this schema on there are files."""
FILES_LOOKED_AT: Final = 1000
FUTURE_FAULT: Final = 60 * times.SECOND


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do if it is not well."""

    name: str
    verdict: Literal["ok", "warning", "fault"]
    detail: str
    advice: str = ""


def ok(name: str, detail: str) -> Finding:
    """Say that something is well."""
    return Finding(name, "ok", detail)


def warning(name: str, detail: str, advice: str) -> Finding:
    """Say that something may become a fault, or is not what a firm would want."""
    return Finding(name, "warning", detail, advice)


def fault(name: str, detail: str, advice: str) -> Finding:
    """Say that something is wrong."""
    return Finding(name, "fault", detail, advice)


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything there is to look at; a look that fails is a finding itself."""
    found = [ok("software", f"OnRecord {__version__}, Python {platform.python_version()}")]
    found += about_settings(settings)
    found += about_directory(settings)
    if is_empty(settings):
        advice = "onrecord serve makes an installation; onrecord demo makes a furnished one"
        return [*found, warning("installation", "there is none here yet", advice)]
    found += about_keys(settings)
    found += [await about_children(), await about_scanner(settings)]
    found += [finding async for finding in about_database(settings)]
    return found


def is_empty(settings: Settings) -> bool:
    """Whether nothing was ever started here."""
    return not settings.database_url and not composition.sqlite_file(settings).exists()


# -- settings ------------------------------------------------------------------------------------


def about_settings(settings: Settings) -> Iterator[Finding]:
    """Look at what is set, and whether it goes together."""
    yield _public_url(settings)
    yield _proxies(settings)
    if settings.rate_limit is None:
        yield warning("rate_limit", "is off", "set it, unless a proxy limits requests instead")
    if settings.dev_outbox:
        yield warning("mail", "is kept at /dev/outbox and not sent", "fine for trying things out")
    elif settings.mail_url:
        yield ok("mail", f"goes to {urlsplit(settings.mail_url).hostname}")
    else:
        yield warning("mail", "is not sent", "set mail_url, or nobody can be invited by mail")
    if settings.sms_url:
        yield ok("texts", f"go to {urlsplit(settings.sms_url).hostname}")
    else:
        yield ok("texts", "are not sent (sms_url is not set); codes go by mail")


def _public_url(settings: Settings) -> Finding:
    name, url = "public_url", settings.public_url
    parts = urlsplit(url)
    if not url:
        return warning(name, "is not set", "set it to the address under which people come")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        return fault(name, f"{url} is not https", "passwords and messages must not go in the clear")
    return ok(name, url)


def _proxies(settings: Settings) -> Finding:
    name = "trusted_proxies"
    wide = [str(net) for net in settings.trusted_proxies if net.prefixlen < net.max_prefixlen // 4]
    if wide:
        advice = "name the proxy's own address: whoever is trusted can claim any source address"
        return fault(name, f"trusts {', '.join(wide)}", advice)
    if settings.public_url.startswith("https://") and not settings.trusted_proxies:
        advice = "set the proxy's address, or every request seems to come from the proxy"
        return warning(name, "is empty, though https needs a proxy in front", advice)
    return ok(name, ", ".join(map(str, settings.trusted_proxies)) or "none")


# -- the data directory --------------------------------------------------------------------------


def about_directory(settings: Settings) -> Iterator[Finding]:
    """Look at the data directory: owner, modes, free space, who holds it."""
    directory = settings.data_dir
    if not directory.is_dir():
        yield warning("data directory", f"{directory} is not there", "the first start makes it")
        return
    about = _private(directory, "data directory", 0o700)
    yield about
    for name in (FILE, "onrecord.db"):
        if about.verdict != "ok" and (directory / name).exists():
            yield _private(directory / name, name, 0o600)
    yield _free(directory)
    holder = datadir.holder(directory)
    yield ok("held by", holder or "nobody: no server runs here")


def _private(path: Path, name: str, mode: int) -> Finding:
    status = path.stat()
    if status.st_uid != os.geteuid():
        advice = f"run the doctor as user {status.st_uid}, as whom the server has to run too"
        return warning(name, f"{path} belongs to user {status.st_uid}, not to you", advice)
    if status.st_mode & OPEN_TO_OTHERS:
        return warning(name, f"{path} is open to others", f"chmod {mode:o} {path}")
    return ok(name, str(path))


def _free(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    told = f"{free / 1024**3:.1f} GiB free"
    if free < FREE_FAULT:
        return fault("disk", told, "make room: a full disk refuses every write")
    if free < FREE_WARNING:
        return warning("disk", told, "make room before it is full")
    return ok("disk", told)


def about_keys(settings: Settings) -> Iterator[Finding]:
    """Look at the files of keys, which nobody else may read."""
    for name, path in (
        ("signing.key", settings.signing_key),
        ("secrets.key", settings.secrets_key),
    ):
        if not path.exists():
            advice = "put it back from a backup: the server does not start without it"
            yield fault(name, f"{path} is not there", advice)
        elif path.stat().st_mode & OPEN_TO_OTHERS:
            advice = f"chmod 600 {path}, and think about who may have read it"
            yield fault(name, f"{path} can be read by others", advice)
        else:
            yield ok(name, str(path))


# -- the database --------------------------------------------------------------------------------


# -- uploads -------------------------------------------------------------------------------------

CHILD_NEEDS: Final = ("PIL.Image", "olefile", "pikepdf", "pypdfium2", "typst")
"""What children look into uploads and set transcripts with."""
NOT_FOR_CHILDREN: Final = "/etc/passwd"
"""A file that every system has and every user may read."""


async def about_children() -> Finding:
    """Look whether uploads can be looked into, and what a child process for that can reach."""
    name = "uploads"
    limits = Limits(seconds=30, memory=256 * 1024**2, output=1000)
    argument = {"path": NOT_FOR_CHILDREN, "modules": CHILD_NEEDS}
    try:
        said = await Children(1).run("onrecord.outside.limited_probe", argument, limits=limits)
    except (TooMuch, Failed, Refusal, RuntimeError) as error:
        return fault(name, f"cannot be looked into: {error}", "install OnRecord anew, whole")
    reached = [what for what, could in json.loads(said).items() if could]
    if reached:
        told = f"are looked into by processes that can reach {', '.join(reached)} of this machine"
        return warning(name, told, "use Linux 5.13 or newer, with Landlock and seccomp")
    return ok(name, "are looked into by processes that reach no files, network or processes")


async def about_scanner(settings: Settings) -> Finding:
    """Ask the scanner for malware how it is."""
    name = "malware"
    clamd = scanner_of(settings)
    if clamd is None:
        return warning(name, "is not looked for in uploads", "set clamav to a clamd's address")
    try:
        told = await clamd.version()
    except Away as error:
        told = f"clamd at {settings.clamav} does not answer ({error}); no upload is taken"
        return fault(name, told, "start it, or correct clamav")
    return ok(name, f"is looked for by {told}")


async def about_database(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the database and the records in it."""
    store = composition.make_store(settings)
    try:
        await store.open()
    except Unavailable as error:
        yield fault("database", str(error), "see to it that it runs and can be reached")
        return
    except NewerSchema as error:
        yield fault("schema", str(error), "use the newer version of OnRecord that wrote it")
        return
    try:
        empty = not await store.schema()
        for look in LOOKS[:2] if empty else LOOKS:
            async for finding in _guarded(look, settings, store):
                yield finding
    finally:
        await store.close()


Look = Callable[[Settings, Store], AsyncIterator[Finding]]


async def _guarded(look: Look, settings: Settings, store: Store) -> AsyncIterator[Finding]:
    """Look, and make a finding of a look that fails: the others go on."""
    try:
        async for finding in look(settings, store):
            yield finding
    except Exception as error:  # noqa: BLE001 - whatever is broken, the doctor says so and goes on
        told = f"{type(error).__name__}: {error}"
        yield fault(look.__name__.strip("_"), told, "the database could not be asked")


async def _engine(_: Settings, store: Store) -> AsyncIterator[Finding]:
    found = await store.ask(health.engine)
    told = f"{found.name} {found.version}, {found.how}"
    if found.durable:
        yield ok("database", told)
    else:
        yield fault("database", told, "an answered write may be lost: switch durability on")


async def _schema(_: Settings, store: Store) -> AsyncIterator[Finding]:
    present, newest = await store.schema(), migrations.newest()
    if present == newest:
        yield ok("schema", f"version {present}")
    else:
        told = f"version {present}, this software's is {newest}"
        yield warning("schema", told, "the next start brings it up to date; make a backup before")


async def _integrity(_: Settings, store: Store) -> AsyncIterator[Finding]:
    wrong = await store.ask(health.faults)
    if wrong:
        yield fault("integrity", "; ".join(wrong), "restore a backup; keep this file for a look")
    else:
        checked = "every page was read" if store.dialect == "sqlite" else "left to PostgreSQL"
        yield ok("integrity", checked)


class _Undo(Exception):  # noqa: N818 - not an error: it takes a trial back
    """Rolls the trial of a write back."""


async def _writable(_: Settings, store: Store) -> AsyncIterator[Finding]:
    async def trial(work: Work) -> None:
        await ledger.set_meta(work.db, "doctor", "")
        raise _Undo

    actor = service(INSTALLATION_ID, INSTALLATION_UUID)
    try:
        await store.write(Caller(actor, Origin("doctor")), trial)
    except _Undo:
        yield ok("writing", "a trial was written and taken back")
    except Unavailable as error:
        yield fault("writing", str(error), "see to disk, rights and whoever else holds it")


async def _signer(settings: Settings, store: Store) -> AsyncIterator[Finding]:
    known = await store.ask(record.verifier_keys)
    host = await store.ask(lambda session: ledger.meta(session, "host"))
    if not known or not settings.signing_key.exists():
        return  # nothing was signed yet, or it was said before that the file is away
    own = signers.load_or_make(settings.signing_key, host or "", may_make=False).vkey
    if own in known:
        yield ok("signing key", own.rpartition("+")[0])
    else:
        advice = "put back the key that the database knows; the server refuses to start"
        yield fault("signing key", "is another than the database was written with", advice)


async def _records(_: Settings, store: Store) -> AsyncIterator[Finding]:
    """Look at each record's end: head, entries, tree, checkpoint and clock agree."""
    whole = 0
    for one in await store.ask(health.ends):
        finding = await store.ask(partial(_record, entity_id=one.entity_id))
        if finding is None:
            whole += 1
        else:
            yield finding
    yield ok("records", f"{whole} end as their trees and checkpoints say")


async def _record(session: Session, entity_id: int) -> Finding | None:
    """Look at one record, in one snapshot."""
    one = next(end for end in await health.ends(session) if end.entity_id == entity_id)
    name = f"record {one.uuid}"
    broken = await _broken(session, one)
    if broken:
        advice = "stop the server, keep the files as they are, restore a backup and compare"
        return fault(name, broken, advice)
    if one.at > times.now() + FUTURE_FAULT:
        advice = "set the clock: until then every entry gets this same time"
        return fault(name, f"ends in the future, at {times.wire(one.at)}", advice)
    late = times.now() - one.at > UNSIGNED_WARNING
    if one.position > one.checkpoint_size and late:
        told = f"entries since {one.checkpoint_size} have no checkpoint"
        return warning(name, told, "start the server, or run onrecord checkpoint")
    return None


async def _broken(session: Session, one: RecordEnd) -> str:
    """Say what contradicts what at the end of a record; nothing when all agree."""
    if one.entries != one.position:
        return f"the head says {one.position} entries, the last one is {one.entries}"
    root = merkle.Frontier.from_bytes(one.position, one.hashes).root() if one.position else b""
    if one.position and root != await tree.root_at(session, one.entity_id, one.position):
        return "the head's root is not that of the tree"
    if one.checkpoint is None:
        return ""
    stated = checkpoint.parse(one.checkpoint[: one.checkpoint.index("\n\n") + 1])
    if stated.root != await tree.root_at(session, one.entity_id, one.checkpoint_size):
        return f"the checkpoint of {one.checkpoint_size} states another root than the tree has"
    return ""


async def _jobs(_: Settings, store: Store) -> AsyncIterator[Finding]:
    if await store.schema() < JOBS_SCHEMA:
        return
    before = times.now() - JOB_WARNING
    late, failed = await store.ask(lambda session: health.waiting_jobs(session, before))
    if late:
        told = f"{late} should have been done 10 minutes ago"
        yield warning("jobs", told, "see that onrecord serve or onrecord work runs, and its log")
    elif failed:
        yield warning("jobs", f"{failed} failed in the last 10 minutes", "see the server's log")
    else:
        yield ok("jobs", "none is late")


async def _files(settings: Settings, store: Store) -> AsyncIterator[Finding]:
    """Look whether the newest files that were sent are in storage, whole."""
    if await store.schema() < FILES_SCHEMA:
        return
    sent = await store.ask(lambda session: attachments.newest_sent(session, FILES_LOOKED_AT))
    storage, name = files.files_of(settings), "files"
    try:
        wrong = [one.uuid for one in sent if await storage.size(one.name) != one.size]
    except Refusal:
        yield fault(name, "the storage does not answer", "see to it, and to files_url")
        return
    if wrong:
        told = f"of the newest {len(sent)} that were sent {len(wrong)} are missing or not whole"
        advice = f"bring them back from a backup, by their names: {', '.join(wrong[:3])} …"
        yield fault(name, told, advice)
    else:
        yield ok(name, f"the newest {len(sent)} that were sent are there")


async def _held(settings: Settings, store: Store) -> AsyncIterator[Finding]:
    if not settings.database_url:
        return  # who holds the directory holds the file in it
    try:
        await store.hold("a command", alone=True)
    except Held as held:
        yield ok("database held", str(held))
    else:
        yield ok("database held", "by nobody: no server runs on it")


LOOKS: Final[tuple[Look, ...]] = (
    _engine,
    _schema,
    _integrity,
    _writable,
    _signer,
    _records,
    _jobs,
    _files,
    _held,
)
"""The first two can be asked of an empty database."""


def told(found: list[Finding]) -> dict[str, Any]:
    """Give the findings as facts; `ok` is false when one of them is a fault."""
    return {
        "ok": all(one.verdict != "fault" for one in found),
        "findings": [
            {"name": one.name, "verdict": one.verdict, "detail": one.detail, "advice": one.advice}
            for one in found
        ],
    }


def lines(found: list[Finding]) -> list[str]:
    """Tell the findings to a person, worst last so that it stands above the prompt."""
    order = ("ok", "warning", "fault")
    width = max(len(one.name) for one in found)
    written = []
    for one in sorted(found, key=lambda one: order.index(one.verdict)):
        written.append(f"{one.verdict:<8} {one.name:<{width}}  {one.detail}")
        if one.advice:
            written.append(f"{'':<8} {'':<{width}}  → {one.advice}")
    return written
