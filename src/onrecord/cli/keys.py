"""Commands about API keys."""

from collections.abc import Callable
from typing import Any, Final

import click

from onrecord.cli import command
from onrecord.cli.command import Context
from onrecord.model.access import PERMISSIONS
from onrecord.model.errors import Refusal


@click.group()
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
@command.shared
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
    made = command.run_in(context, entity_uuid, lambda work: keys.create(work, kind=kind, **given))
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
@command.shared
def key_list(context: Context, entity_uuid: str | None) -> None:
    """List an organisation's keys."""
    from onrecord.domain import keys

    facts = command.run_in(context, entity_uuid, keys.listed)
    lines = [
        f"{one['api_key']}  {one['kind']:<11}  {one['state']:<11}  {command.plain(one['name'])}"
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

    return command.run(context, act)


@key.command("deactivate")
@click.option("--key", "api_key", required=True, metavar="API_KEY")
@command.shared
def key_deactivate(context: Context, api_key: str) -> None:
    """Stop a key for good, from the next request on."""
    from onrecord.domain import keys

    _key_home(context, api_key, lambda work: keys.deactivate(work, api_key))
    context.print({"api_key": api_key, "state": "deactivated"})


@key.command("destroy")
@click.option("--key", "api_key", required=True, metavar="API_KEY")
@command.shared
def key_destroy(context: Context, api_key: str) -> None:
    """Stop a key and take it off every list."""
    from onrecord.domain import keys

    _key_home(context, api_key, lambda work: keys.destroy(work, api_key))
    context.print({"api_key": api_key, "state": "destroyed"})


@key.command("rotate")
@click.option("--key", "api_key", required=True, metavar="API_KEY")
@click.option("--overlap-seconds", type=int, default=0, show_default=True)
@command.shared
def key_rotate(context: Context, api_key: str, overlap_seconds: int) -> None:
    """Give a key a new secret; the old one works on for the overlap."""
    from onrecord.domain import keys

    made = _key_home(context, api_key, lambda work: keys.rotate(work, api_key, overlap_seconds))
    context.print({"api_key": made.api_key, "secret": made.secret})


COMMANDS: Final = (key,)
