"""Commands about organisations and their members."""

from typing import Any, Final

import click

from onrecord.cli import command
from onrecord.cli.command import Context
from onrecord.model.errors import Refusal


@click.group()
def org() -> None:
    """Organisations."""


@org.command("create")
@click.option("--name", required=True)
@click.option("--admin-email", required=True)
@click.option("--admin-first-name", default="System", show_default=True)
@click.option("--admin-last-name", default="Administrator", show_default=True)
@click.option("--admin-username")
@click.option("--admin-password")
@command.shared
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

    made = command.run(context, act)
    context.print(
        {
            "entity_uuid": made.entity_uuid,
            "entity_user_xref_uuid": made.entity_user_xref_uuid,
            "state": made.admin_state,
            "name": given["name"],
        }
    )


@org.command("list")
@command.shared
def org_list(context: Context) -> None:
    """List the organisations."""
    from onrecord.store import access

    found = command.run(context, lambda running: running.store.ask(access.entities))
    facts = [{"entity_uuid": one.uuid, "name": one.name, "state": one.state} for one in found]
    lines = [
        f"{one['entity_uuid']}  {one['state']:<8}  {command.plain(one['name'])}" for one in facts
    ]
    context.print(facts, lines or ["There is no organisation yet."])


def _state_command(name: str, state: str, meaning: str) -> None:
    @org.command(name, help=meaning)
    @click.option("--org", "entity_uuid", required=True, metavar="UUID")
    @command.shared
    def change(context: Context, entity_uuid: str) -> None:
        from onrecord.domain import organisations

        command.run_in(context, entity_uuid, lambda work: organisations.set_state(work, state))
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
@command.shared
def org_set(context: Context, entity_uuid: str, key: str, value: str) -> None:
    """Give a setting of an organisation a value."""
    from onrecord.domain import organisations

    kept = command.run_in(
        context, entity_uuid, lambda work: organisations.set_setting(work, key, value)
    )
    context.print({"entity_uuid": entity_uuid.lower(), key: kept})


@click.group()
def member() -> None:
    """Members."""


@member.command("activate")
@click.option("--member", "member_uuid", required=True, metavar="UUID")
@click.option("--username", required=True)
@click.option("--password", required=True, prompt=True, hide_input=True)
@command.shared
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

    home = command.run(context, act)
    context.print(
        {
            "entity_uuid": home,
            "entity_user_xref_uuid": member_uuid.lower(),
            "username": username,
            "state": "active",
        }
    )


@member.command("invitation")
@click.option("--member", "member_uuid", required=True, metavar="UUID")
@command.shared
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

    link = command.run(context, act)
    context.print({"entity_user_xref_uuid": member_uuid.lower(), "link": link}, [link])


COMMANDS: Final = (org, member)
