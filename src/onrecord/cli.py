"""The command line: `onrecord`. Exit status 0; 1 refused, with one clear line; 2 usage."""

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from onrecord import __version__
from onrecord import settings as configuration
from onrecord.model.access import PERMISSIONS
from onrecord.model.errors import Refusal


class Context:
    """What every command shares: the flags that pick the installation, and how to print."""

    def __init__(self, **flags: Any) -> None:
        """Keep the flags; settings are read when a command needs them."""
        self.as_json = bool(flags.pop("as_json", False))
        self.flags = flags

    def settings(self, **more: Any) -> configuration.Settings:
        """Read file, environment and flags."""
        return configuration.load({**self.flags, **more})

    def print(self, facts: Any, lines: Sequence[str] | None = None, *, aside: bool = False) -> None:
        """Print facts as JSON, or as lines for people; `aside` of a file on standard output."""
        if self.as_json:
            lines = [json.dumps(facts, ensure_ascii=False)]
        elif lines is None:
            width = max(map(len, facts), default=0)
            lines = [f"{name:<{width}}  {_plain(value)}" for name, value in facts.items()]
        click.echo("\n".join(lines), err=aside)


def _plain(value: Any) -> str:
    """Write a value in one line: names may hold line feeds."""
    if value is None:
        return "-"
    told = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return told.replace("\n", " ")


class _Directory(click.Path):
    """A data directory. An empty word is a variable that was not set, not the place one is in."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Refuse the empty word."""
        if value == "":
            self.fail("is empty", param, ctx)
        return super().convert(value, param, ctx)


class _Output(click.Path):
    """A file to be written, told of before anything is begun: an export leaves an entry."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Refuse a file whose directory is not there or takes none (OSError)."""
        path = Path(os.fsdecode(super().convert(value or ".", param, ctx)))
        there = Path(os.path.realpath(path)).parent
        is_fit = there.is_dir() and os.access(there, os.W_OK)
        if str(path) != "-" and not path.exists() and not is_fit:
            msg = f"{there} is no directory that can be written to"
            raise OSError(msg)
        return path


def _output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--output`."""
    return click.option(
        "--output",
        required=True,
        type=_Output(path_type=Path, dir_okay=False, writable=True, allow_dash=True),
        help="The file to write, over one that is there; - is standard output.",
    )(command)


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options every command has, and a Context as its first argument."""

    @click.option("--data-dir", type=_Directory(path_type=Path), help="Where everything lies.")
    @click.option("--database-url", help="postgresql://… instead of SQLite.")
    @click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
    @wraps(command)
    def wrapped(
        data_dir: Path | None, database_url: str | None, *, as_json: bool, **rest: Any
    ) -> Any:
        context = Context(data_dir=data_dir, database_url=database_url, as_json=as_json)
        return command(context, **rest)

    return wrapped


def _run(context: Context, act: Callable[[Any], Any]) -> Any:
    """Open the installation, do one act in it, close it."""
    from onrecord import app as composition

    async def main() -> Any:
        async with composition.running(context.settings(), purpose="a command") as running:
            return await act(running)

    logging.basicConfig(level="ERROR", format="%(message)s")
    return asyncio.run(main())


def _in(context: Context, entity_uuid: str | None, run: Callable[[Any], Any]) -> Any:
    """Do one work as the operator in an organisation (None: the installation)."""
    from onrecord import app as composition

    return _run(context, lambda running: composition.acting(running, entity_uuid, run))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="onrecord")
def cli() -> None:
    """OnRecord: a messenger in which every conversation is on record and provable."""


# -- serving -------------------------------------------------------------------------------------


def _serving(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--host", help="The address to listen on (127.0.0.1).")(command)
    command = click.option("--port", type=int, help="The port to listen on (8080).")(command)
    command = click.option("--files-url", help="s3://… or file:///… for files that are sent.")(
        command
    )
    return click.option("--public-url", help="Under which address people reach it.")(command)


@cli.command()
@_shared
@_serving
@click.option("--dev-outbox", is_flag=True, default=None, help="Keep mails and texts, send none.")
@click.option("--no-work", is_flag=True, help="Leave jobs such as mails to `onrecord work`.")
def serve(context: Context, *, no_work: bool, **flags: Any) -> None:
    """Migrate if needed, then serve."""
    from onrecord.jobs import worker
    from onrecord.web import serving

    serving.serve(context.settings(**flags), run_jobs=None if no_work else worker.run)


@cli.command()
@_shared
def work(context: Context) -> None:
    """Run jobs alone: mails, texts, reminders, imports."""
    from onrecord.jobs import worker
    from onrecord.web import serving

    settings = context.settings()
    serving.log_to_stderr(settings.log_level)
    worker.work(settings)


@cli.command()
@_shared
@_serving
def demo(context: Context, **flags: Any) -> None:
    """Make an example organisation, print its keys and lines to paste, then serve it."""
    from onrecord.jobs import worker
    from onrecord.web import demonstration, serving

    if context.flags["data_dir"] is None:
        flags["data_dir"] = Path("onrecord-demo")
    settings = context.settings(**flags)
    if not settings.mail_url:
        settings = context.settings(**flags, dev_outbox=True)
    serving.serve(settings, demonstration.furnish, worker.run)


@cli.command()
@_shared
def migrate(context: Context) -> None:
    """Bring the database's schema up to date; refused while a server runs."""
    from onrecord import app as composition

    number = asyncio.run(composition.migrate(context.settings()))
    context.print({"schema": number}, [f"The schema is at version {number}."])


@cli.command()
@_shared
def doctor(context: Context) -> None:
    """Look at the installation, running or not, and say what is wrong and what to do."""
    from onrecord import doctor as physician

    logging.basicConfig(level="CRITICAL")
    found = asyncio.run(physician.examine(context.settings()))
    facts = physician.told(found)
    context.print(facts, physician.lines(found))
    sys.exit(0 if facts["ok"] else 1)


@cli.command()
@_shared
def openapi(_: Context) -> None:
    """Print the specification."""
    from onrecord.web.openapi import specification
    from onrecord.web.rows import ROWS

    click.echo(json.dumps(specification(ROWS), indent=2, ensure_ascii=False))


# -- organisations and members -------------------------------------------------------------------


@cli.group()
def org() -> None:
    """Organisations."""


@org.command("create")
@click.option("--name", required=True)
@click.option("--admin-email", required=True)
@click.option("--admin-first-name", default="System", show_default=True)
@click.option("--admin-last-name", default="Administrator", show_default=True)
@click.option("--admin-username")
@click.option("--admin-password")
@_shared
def org_create(context: Context, **given: Any) -> None:
    """Make an organisation with its first system administrator."""
    from onrecord.domain import organisations

    password = given["admin_password"]

    async def act(running: Any) -> Any:
        from onrecord import app as composition

        hashed = None if password is None else await running.passwords.hash(password)
        new = organisations.NewOrganisation(**given, admin_password_hash=hashed)
        host = await composition.origin_host(running)
        return await composition.acting(
            running, None, lambda work: organisations.create(work, new, host)
        )

    made = _run(context, act)
    context.print(
        {
            "entity_uuid": made.entity_uuid,
            "entity_user_xref_uuid": made.entity_user_xref_uuid,
            "state": made.admin_state,
            "name": given["name"],
        }
    )


@org.command("list")
@_shared
def org_list(context: Context) -> None:
    """List the organisations."""
    from onrecord.store import access

    found = _run(context, lambda running: running.store.ask(access.entities))
    facts = [{"entity_uuid": one.uuid, "name": one.name, "state": one.state} for one in found]
    lines = [f"{one['entity_uuid']}  {one['state']:<8}  {_plain(one['name'])}" for one in facts]
    context.print(facts, lines or ["There is no organisation yet."])


def _state_command(name: str, state: str, meaning: str) -> None:
    @org.command(name, help=meaning)
    @click.option("--org", "entity_uuid", required=True, metavar="UUID")
    @_shared
    def command(context: Context, entity_uuid: str) -> None:
        from onrecord.domain import organisations

        _in(context, entity_uuid, lambda work: organisations.set_state(work, state))
        context.print({"entity_uuid": entity_uuid.lower(), "state": state})


_state_command("freeze", "frozen", "Pause an organisation; it can still be read and exported.")
_state_command("unfreeze", "active", "End the pause.")
_state_command("deactivate", "inactive", "Refuse everybody; the command line can still export.")
_state_command("activate", "active", "Let everybody in again.")


# A value such as -5 is none of our options.
@org.command("set", context_settings={"ignore_unknown_options": True})
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@click.argument("key")
@click.argument("value")
@_shared
def org_set(context: Context, entity_uuid: str, key: str, value: str) -> None:
    """Give a setting of an organisation a value."""
    from onrecord.domain import organisations

    kept = _in(context, entity_uuid, lambda work: organisations.set_setting(work, key, value))
    context.print({"entity_uuid": entity_uuid.lower(), key: kept})


@cli.group()
def member() -> None:
    """Members."""


@member.command("activate")
@click.option("--member", "member_uuid", required=True, metavar="UUID")
@click.option("--username", required=True)
@click.option("--password", required=True, prompt=True, hide_input=True)
@_shared
def member_activate(context: Context, member_uuid: str, username: str, password: str) -> None:
    """Complete a pending member's joining without the invitation."""
    from onrecord import app as composition
    from onrecord.domain import members
    from onrecord.store import people

    async def act(running: Any) -> Any:
        home = await running.store.ask(
            lambda session: people.entity_of_member(session, member_uuid.lower())
        )
        if home is None:
            raise Refusal("RN006")
        hashed = await running.passwords.hash(password)
        await composition.acting(
            running,
            home,
            lambda work: members.activate(work, member_uuid, username, password, hashed=hashed),
        )
        return home

    home = _run(context, act)
    context.print(
        {
            "entity_uuid": home,
            "entity_user_xref_uuid": member_uuid.lower(),
            "username": username,
            "state": "active",
        }
    )


# -- accounts ------------------------------------------------------------------------------------


@cli.group()
def account() -> None:
    """Accounts: so that nobody is locked out."""


def _account(context: Context, username: str, act: Callable[[Any, Any], Any]) -> Any:
    """Do one work on the account of a user name: `act(work, account)`."""
    from onrecord.domain import accounts

    async def run(work: Any) -> Any:
        return await act(work, await accounts.named(work, username))

    return _in(context, None, run)


@account.command("code")
@click.option("--username", required=True)
@_shared
def account_code(context: Context, username: str) -> None:
    """Show a code to somebody who is asked for one now, such as for signing in."""
    from onrecord.domain import challenges

    code, purpose = _in(context, None, lambda work: challenges.show_code(work, username))
    context.print({"username": username, "purpose": purpose, "code": code})


@account.command("unlock")
@click.option("--username", required=True)
@_shared
def account_unlock(context: Context, username: str) -> None:
    """Let somebody try again at once after failed sign-ins."""
    from onrecord.domain import accounts

    _account(context, username, accounts.unlock)
    context.print({"username": username, "state": "unlocked"})


@account.command("reset-factors")
@click.option("--username", required=True)
@_shared
def account_reset_factors(context: Context, username: str) -> None:
    """Take authenticator app and recovery code away; codes are sent again."""
    from onrecord.domain import factors

    removed = _account(context, username, factors.reset)
    context.print({"username": username, "removed": removed})


@account.command("set-password")
@click.option("--username", required=True)
@click.option("--password", required=True, prompt=True, hide_input=True)
@_shared
def account_set_password(context: Context, username: str, password: str) -> None:
    """Set somebody's password; whoever is signed in with the account is signed out."""
    from onrecord import app as composition
    from onrecord.domain import accounts, sessions

    async def act(running: Any) -> None:
        accounts.check_password(password, username)
        hashed = await running.passwords.hash(password)

        async def change(work: Any) -> None:
            found = await accounts.named(work, username)
            await accounts.set_password(work, found, hashed, "operator")
            await accounts.forget_failures(work, username)
            await sessions.end_others(work, found, "password")

        await composition.acting(running, None, change)

    _run(context, act)
    context.print({"username": username, "state": "password set"})


@member.command("invitation")
@click.option("--member", "member_uuid", required=True, metavar="UUID")
@_shared
def member_invitation(context: Context, member_uuid: str) -> None:
    """Print a fresh link with which a pending member can join; earlier links stop working."""
    from onrecord import app as composition
    from onrecord.domain import invitations, members
    from onrecord.store import people

    async def act(running: Any) -> Any:
        home = await running.store.ask(
            lambda session: people.entity_of_member(session, member_uuid.lower())
        )
        if home is None:
            raise Refusal("RN006")

        async def make(work: Any) -> str:
            return await invitations.fresh_link(work, await members.pick(work, member_uuid, None))

        token = await composition.acting(running, home, make)
        return f"{running.base_url}/join#token={token}"

    link = _run(context, act)
    context.print({"entity_user_xref_uuid": member_uuid.lower(), "link": link}, [link])


# -- mails, texts and terms ----------------------------------------------------------------------


@cli.group()
def mail() -> None:
    """Mails."""


@cli.group()
def sms() -> None:
    """Texts."""


def _try_out(context: Context, channel: str, to: str) -> None:
    from onrecord.jobs import post

    _run(context, lambda running: post.try_out(running, channel, to))
    kept = "kept in the outbox" if context.settings().dev_outbox else "handed over"
    context.print({"channel": channel, "to": to, "state": kept}, [f"A test to {to} was {kept}."])


@mail.command("test")
@click.option("--to", required=True, metavar="ADDRESS")
@_shared
def mail_test(context: Context, to: str) -> None:
    """Send a test mail now, to see that mail is set up."""
    _try_out(context, "email", to)


@sms.command("test")
@click.option("--to", required=True, metavar="NUMBER")
@_shared
def sms_test(context: Context, to: str) -> None:
    """Send a test text now, to see that texts are set up."""
    _try_out(context, "sms", to)


@cli.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@_shared
def terms(context: Context, file: Any) -> None:
    """Give the operator's terms the text of FILE (- reads from the terminal).

    Everybody is asked to accept a new version; an empty text asks nobody.
    """
    from onrecord.domain import terms as operators

    made = _in(context, None, lambda work: operators.publish(work, file.read().strip()))
    context.print({"version": made.version, "updated_at": made.updated_at})


# -- keys ----------------------------------------------------------------------------------------


@cli.group()
def key() -> None:
    """API keys."""


@key.command("create")
@click.option("--org", "entity_uuid", metavar="UUID", help="Not for super keys.")
@click.option(
    "--kind", required=True, type=click.Choice(["system", "super", "master_user", "user"])
)
@click.option("--name", required=True)
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    required=True,
    metavar="NAME",
    help=f"Repeat for each of {', '.join(PERMISSIONS)}.",
)
@click.option(
    "--cidr",
    "cidr_blocks",
    multiple=True,
    metavar="BLOCK",
    help="Where it may be used from, such as 10.0.0.0/8; repeat for more.",
)
@click.option("--member", "member_uuid", metavar="UUID", help="The owner of a user key.")
@click.option("--expires", metavar="TIME", help="RFC 3339, such as 2027-01-01T00:00:00Z.")
@click.option("--rate-limit", metavar="N/SECONDS")
@_shared
def key_create(context: Context, entity_uuid: str | None, **given: Any) -> None:
    """Make a key; its secret is shown this once."""
    from onrecord.domain import keys
    from onrecord.model import times
    from onrecord.model.access import Kind

    kind = Kind(given.pop("kind"))
    if (kind is Kind.SUPER) != (entity_uuid is None):
        raise click.UsageError("--org is for every kind but super, which takes none")
    expires = given.pop("expires")
    try:
        given["expires_at"] = times.read(expires) if expires else None
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from error
    made = _in(context, entity_uuid, lambda work: keys.create(work, kind=kind, **given))
    context.print(
        {
            "api_key_uuid": made.api_key_uuid,
            "api_key": made.api_key,
            "secret": made.secret,
            "kind": kind.value,
            "name": given["name"],
        }
    )


@key.command("list")
@click.option("--org", "entity_uuid", metavar="UUID", help="Absent: the super keys.")
@_shared
def key_list(context: Context, entity_uuid: str | None) -> None:
    """List an organisation's keys."""
    from onrecord.domain import keys

    facts = _in(context, entity_uuid, keys.listed)
    lines = [
        f"{one['api_key']}  {one['kind']:<11}  {one['state']:<11}  {_plain(one['name'])}"
        for one in facts
    ]
    context.print(facts, lines or ["There is no key yet."])


def _key_home(context: Context, api_key: str, run: Callable[[Any], Any]) -> Any:
    """Do one work in the organisation that a key belongs to."""
    from onrecord import app as composition
    from onrecord.store import access

    async def act(running: Any) -> Any:
        home = await running.store.ask(lambda session: access.entity_uuid_of_key(session, api_key))
        if home is None:
            raise Refusal("RN008", "There is no such key")
        return await composition.acting(running, home, run)

    return _run(context, act)


@key.command("deactivate")
@click.option("--key", "api_key", required=True, metavar="API_KEY")
@_shared
def key_deactivate(context: Context, api_key: str) -> None:
    """Stop a key for good, from the next request on."""
    from onrecord.domain import keys

    _key_home(context, api_key, lambda work: keys.deactivate(work, api_key))
    context.print({"api_key": api_key, "state": "deactivated"})


@key.command("destroy")
@click.option("--key", "api_key", required=True, metavar="API_KEY")
@_shared
def key_destroy(context: Context, api_key: str) -> None:
    """Stop a key and take it off every list."""
    from onrecord.domain import keys

    _key_home(context, api_key, lambda work: keys.destroy(work, api_key))
    context.print({"api_key": api_key, "state": "destroyed"})


@key.command("rotate")
@click.option("--key", "api_key", required=True, metavar="API_KEY")
@click.option("--overlap-seconds", type=int, default=0, show_default=True)
@_shared
def key_rotate(context: Context, api_key: str, overlap_seconds: int) -> None:
    """Give a key a new secret; the old one works on for the overlap."""
    from onrecord.domain import keys

    made = _key_home(context, api_key, lambda work: keys.rotate(work, api_key, overlap_seconds))
    context.print({"api_key": made.api_key, "secret": made.secret})


# -- the record ----------------------------------------------------------------------------------


@cli.command()
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@_shared
def checkpoint(context: Context, entity_uuid: str) -> None:
    """Print the signed checkpoint of an organisation's record, and the keys to check it with."""
    from onrecord import app as composition
    from onrecord.domain import record

    async def act(running: Any) -> Any:
        note = await composition.acting(
            running, entity_uuid, lambda work: record.checkpoint_at(work, running.signer)
        )
        return note, await running.store.ask(record.verifier_keys)

    note, keys = _run(context, act)
    context.print({"checkpoint": note, "keys": keys}, [note, "Keys, the present one last:", *keys])


@cli.group()
def export() -> None:
    """Take things out, sealed."""


@export.command("record")
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@_output
@click.option("--as-of", type=int, metavar="N", help="A position; default: the present end.")
@_shared
def export_record(context: Context, entity_uuid: str, output: Path, as_of: int | None) -> None:
    """Write the whole record of an organisation as a sealed JSON Lines archive."""
    from onrecord import app as composition

    async def act(running: Any) -> Any:
        return await composition.write_archive(running, entity_uuid, output, as_of)

    facts = _run(context, act)
    context.print(facts, aside=str(output) == "-")


@export.command("entities")
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@_output
@click.option(
    "--format", "form", type=click.Choice(["json", "csv", "zip"]), default="json", show_default=True
)
@click.option("--as-of", type=int, metavar="N", help="A position; default: the present end.")
@_shared
def export_entities(
    context: Context, entity_uuid: str, output: Path, form: str, as_of: int | None
) -> None:
    """Write all member, group and chat records of an organisation; zip adds every message."""
    from onrecord import app as composition

    with _progress(context, "Reading the record") as bar:

        async def act(running: Any) -> Any:
            return await composition.write_entities(
                running,
                entity_uuid,
                output,
                (form, as_of),
                lambda export: _advance(bar, export.done, export.total),
            )

        facts = _run(context, act)
    context.print(facts, aside=str(output) == "-")


@export.command("chat")
@click.option("--chat", "chat_uuid", required=True, metavar="UUID")
@_output
@click.option(
    "--format", "form", type=click.Choice(["pdf", "zip"]), default="pdf", show_default=True
)
@click.option("--from", "begin", metavar="TIME", help="Only from then on: 2026-11-02T00:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Only up to then, that moment included.")
@click.option("--as-of", type=int, metavar="N", help="A position; default: the present end.")
@click.option("--timezone", metavar="ZONE", help="Such as Europe/London; default: the setting.")
@_shared
def export_chat(context: Context, chat_uuid: str, output: Path, **given: Any) -> None:
    """Write the sealed transcript of a chat; zip adds its record and its attachments."""
    from onrecord import app as composition
    from onrecord.domain import transcript

    wanted = transcript.Wanted(
        chat_uuid,
        given["form"],
        begin=transcript.moment("from", given["begin"]),
        end=transcript.moment("to", given["end"]),
        as_of=given["as_of"],
        timezone=given["timezone"],
    )
    with _progress(context, "Reading the record") as bar:

        async def act(running: Any) -> Any:
            return await composition.write_transcript(
                running, wanted, output, lambda made: _advance(bar, made.done, made.total)
            )

        facts = _run(context, act)
    context.print(facts, aside=str(output) == "-")


def _progress(context: Context, label: str) -> Any:
    """Show how far it is, for people who look at a terminal; nobody else is told."""
    shown = sys.stderr.isatty() and not context.as_json
    file = sys.stderr if shown else io.StringIO()
    return click.progressbar(length=1, label=label, file=file, show_pos=True)


def _advance(bar: Any, done: int, total: int | None) -> None:
    bar.length = max(total or 0, 1)
    bar.update(done - bar.pos)


# -- imports -------------------------------------------------------------------------------------


@cli.command("import")
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["staff", "clients", "groups", "group_members"]),
    help="What the rows are.",
)
@click.option("--dry-run", is_flag=True, help="Report every row and change nothing.")
@click.option(
    "--ignore-existing-identifiers", is_flag=True, help="Pass over rows whose identifier is in use."
)
@click.option("--no-invitations", is_flag=True, help="Invite nobody.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write there what became of every row.",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_shared
def import_file(context: Context, entity_uuid: str, file: Path, **given: Any) -> None:
    """Import members, groups or who is in them from a CSV file.

    Stopped in the middle it goes on with the next server or `onrecord work` on this installation.
    """
    from onrecord.domain import imports
    from onrecord.jobs import importing

    options = imports.Options(
        dry_run=given["dry_run"],
        ignore_existing_identifiers=given["ignore_existing_identifiers"],
        send_invitations=not given["no_invitations"],
    )
    with _progress(context, "Importing") as bar:

        async def act(running: Any) -> Any:
            wanted = importing.Wanted(entity_uuid, given["kind"], options, given["report"])
            return await importing.run(
                running, file, wanted, lambda job: _advance(bar, job.done, job.total)
            )

        facts = _run(context, act)
    if facts["state"] == "failed":
        raise Refusal(facts["error_code"], facts["reason"])
    context.print(facts)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", "keys", multiple=True, metavar="VKEY", help="A key you trust.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
# As every command it may be told where everything lies; it does not look there.
@click.option("--data-dir", hidden=True, expose_value=False)
@click.option("--database-url", hidden=True, expose_value=False)
def verify(file: Path, keys: Sequence[str], *, as_json: bool) -> None:
    """Check a sealed file: no server, no network and no database is needed."""
    from onrecord.proof import note
    from onrecord.proof import verify as verifier

    try:
        trusted = [note.VerifierKey.parse(key) for key in keys]
    except ValueError as error:
        raise click.UsageError(f"--key: {error}") from error
    report = verifier.verify(file, trusted)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        for line in report.told():
            click.echo(line)
    sys.exit(0 if report.ok else 1)


def _refused(message: str) -> NoReturn:
    click.echo(f"onrecord: {message}", err=True)
    sys.exit(1)


def main() -> None:
    """Run the command line; what is refused is said in one line."""
    from onrecord.model.ports import Held
    from onrecord.store.db import NewerSchema, Unavailable

    os.umask(0o077)  # databases, keys and exports are for nobody else on this machine
    try:
        cli()
    except Refusal as refusal:
        _refused(f"{refusal.code} {refusal.detail}")
    except NewerSchema as error:
        _refused(f"the database is of a newer version of OnRecord ({error})")
    except (Held, Unavailable, configuration.SettingsError, OSError, ValueError) as error:
        _refused(str(error) or type(error).__name__)
