"""The command that imports a CSV file."""

from pathlib import Path
from typing import Any, Final

import click

from onrecord.cli import command
from onrecord.cli.command import Context
from onrecord.model.errors import Refusal


@click.command("import")
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
@command.shared
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
    with command.progress(context, "Importing") as bar:

        async def act(running: Any) -> Any:
            wanted = importing.Wanted(entity_uuid, given["kind"], options, given["report"])
            return await importing.run(
                running, file, wanted, lambda job: command.advance(bar, job.done, job.total)
            )

        facts = command.run(context, act)
    if facts["state"] == "failed":
        raise Refusal(facts["error_code"], facts["reason"])
    context.print(facts)


COMMANDS: Final = (import_file,)
