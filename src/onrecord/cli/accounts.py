"""Commands for people who are locked out of their account."""

from collections.abc import Callable
from typing import Any, Final

import click

from onrecord.cli import command
from onrecord.cli.command import Context


@click.group()
def account() -> None:
    """Accounts: so that nobody is locked out."""


def _account(context: Context, username: str, act: Callable[[Any, Any], Any]) -> Any:
    """Do one work on the account of a user name: `act(work, account)`."""
    from onrecord.domain import accounts

    async def run(work: Any) -> Any:
        return await act(work, await accounts.named(work, username))

    return command.run_in(context, None, run)


@account.command("code")
@click.option("--username", required=True)
@command.shared
def account_code(context: Context, username: str) -> None:
    """Show a code to somebody who is asked for one now, such as for signing in."""
    from onrecord.domain import challenges

    code, purpose = command.run_in(context, None, lambda work: challenges.show_code(work, username))
    context.print({"username": username, "purpose": purpose, "code": code})


@account.command("unlock")
@click.option("--username", required=True)
@command.shared
def account_unlock(context: Context, username: str) -> None:
    """Let somebody try again at once after failed sign-ins."""
    from onrecord.domain import accounts

    _account(context, username, accounts.unlock)
    context.print({"username": username, "state": "unlocked"})


@account.command("reset-factors")
@click.option("--username", required=True)
@command.shared
def account_reset_factors(context: Context, username: str) -> None:
    """Take authenticator app and recovery code away; codes are sent again."""
    from onrecord.domain import factors

    removed = _account(context, username, factors.reset)
    context.print({"username": username, "removed": removed})


@account.command("set-password")
@click.option("--username", required=True)
@click.option("--password", required=True, prompt=True, hide_input=True)
@command.shared
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

    command.run(context, act)
    context.print({"username": username, "state": "password set"})


COMMANDS: Final = (account,)
