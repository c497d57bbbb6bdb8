"""Commands that try out mails and texts, and the operator's terms."""

from typing import Any, Final

import click

from onrecord.cli import command
from onrecord.cli.command import Context


@click.group()
def mail() -> None:
    """Mails."""


@click.group()
def sms() -> None:
    """Texts."""


def _try_out(context: Context, channel: str, to: str) -> None:
    from onrecord.jobs import post

    command.run(context, lambda running: post.try_out(running, channel, to))
    kept = "kept in the outbox" if context.settings().dev_outbox else "handed over"
    context.print({"channel": channel, "to": to, "state": kept}, [f"A test to {to} was {kept}."])


@mail.command("test")
@click.option("--to", required=True, metavar="ADDRESS")
@command.shared
def mail_test(context: Context, to: str) -> None:
    """Send a test mail now, to see that mail is set up."""
    _try_out(context, "email", to)


@sms.command("test")
@click.option("--to", required=True, metavar="NUMBER")
@command.shared
def sms_test(context: Context, to: str) -> None:
    """Send a test text now, to see that texts are set up."""
    _try_out(context, "sms", to)


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@command.shared
def terms(context: Context, file: Any) -> None:
    """Give the operator's terms the text of FILE (- reads from the terminal).

    Everybody is asked to accept a new version; an empty text asks nobody.
    """
    from onrecord.domain import terms as operators

    made = command.run_in(context, None, lambda work: operators.publish(work, file.read().strip()))
    context.print({"version": made.version, "updated_at": made.updated_at})


COMMANDS: Final = (mail, sms, terms)
