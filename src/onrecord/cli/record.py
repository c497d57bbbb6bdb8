"""Commands about the record: checkpoints, exports, verifying."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from onrecord.cli import command
from onrecord.cli.command import Context


@click.command()
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@command.shared
def checkpoint(context: Context, entity_uuid: str) -> None:
    """Print the signed checkpoint of an organisation's record, and the keys to check it with."""
    from onrecord import app as composition
    from onrecord.domain import record

    async def act(running: Any) -> Any:
        note = await composition.acting(
            running, entity_uuid, lambda work: record.checkpoint_at(work, running.signer)
        )
        return note, await running.store.ask(record.verifier_keys)

    note, keys = command.run(context, act)
    context.print({"checkpoint": note, "keys": keys}, [note, "Keys, the present one last:", *keys])


@click.group()
def export() -> None:
    """Take things out, sealed."""


@export.command("record")
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@command.output_option
@click.option("--as-of", type=int, metavar="N", help="A position; default: the present end.")
@command.shared
def export_record(context: Context, entity_uuid: str, output: Path, as_of: int | None) -> None:
    """Write the whole record of an organisation as a sealed JSON Lines archive."""
    from onrecord import app as composition

    async def act(running: Any) -> Any:
        return await composition.write_archive(running, entity_uuid, output, as_of)

    facts = command.run(context, act)
    context.print(facts, aside=str(output) == "-")


@export.command("entities")
@click.option("--org", "entity_uuid", required=True, metavar="UUID")
@command.output_option
@click.option(
    "--format", "form", type=click.Choice(["json", "csv", "zip"]), default="json", show_default=True
)
@click.option("--as-of", type=int, metavar="N", help="A position; default: the present end.")
@command.shared
def export_entities(
    context: Context, entity_uuid: str, output: Path, form: str, as_of: int | None
) -> None:
    """Write all member, group and chat records of an organisation; zip adds every message."""
    from onrecord import app as composition

    with command.progress(context, "Reading the record") as bar:

        async def act(running: Any) -> Any:
            return await composition.write_entities(
                running,
                entity_uuid,
                output,
                (form, as_of),
                lambda export: command.advance(bar, export.done, export.total),
            )

        facts = command.run(context, act)
    context.print(facts, aside=str(output) == "-")


@export.command("chat")
@click.option("--chat", "chat_uuid", required=True, metavar="UUID")
@command.output_option
@click.option(
    "--format", "form", type=click.Choice(["pdf", "zip"]), default="pdf", show_default=True
)
@click.option("--from", "begin", metavar="TIME", help="Only from then on: 2026-11-02T00:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Only up to then, that moment included.")
@click.option("--as-of", type=int, metavar="N", help="A position; default: the present end.")
@click.option("--timezone", metavar="ZONE", help="Such as Europe/London; default: the setting.")
@command.shared
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
    with command.progress(context, "Reading the record") as bar:

        async def act(running: Any) -> Any:
            return await composition.write_transcript(
                running, wanted, output, lambda made: command.advance(bar, made.done, made.total)
            )

        facts = command.run(context, act)
    context.print(facts, aside=str(output) == "-")


@click.command()
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


COMMANDS: Final = (checkpoint, export, verify)
