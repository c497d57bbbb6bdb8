"""Commands that serve, and those that look after an installation."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from onrecord.cli import command
from onrecord.cli.command import Context


def _serving(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--host", help="The address to listen on (127.0.0.1).")(command)
    command = click.option("--port", type=int, help="The port to listen on (8080).")(command)
    command = click.option("--files-url", help="s3://… or file:///… for files that are sent.")(
        command
    )
    return click.option("--public-url", help="Under which address people reach it.")(command)


@click.command()
@command.shared
@_serving
@click.option("--dev-outbox", is_flag=True, default=None, help="Keep mails and texts, send none.")
@click.option("--no-work", is_flag=True, help="Leave jobs such as mails to `onrecord work`.")
def serve(context: Context, *, no_work: bool, **flags: Any) -> None:
    """Migrate if needed, then serve."""
    from onrecord.jobs import worker
    from onrecord.web import serving

    serving.serve(context.settings(**flags), run_jobs=None if no_work else worker.run)


@click.command()
@command.shared
def work(context: Context) -> None:
    """Run jobs alone: mails, texts, reminders, imports."""
    from onrecord.jobs import worker
    from onrecord.web import serving

    settings = context.settings()
    serving.log_to_stderr(settings.log_level)
    worker.work(settings)


@click.command()
@command.shared
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


@click.command()
@command.shared
def migrate(context: Context) -> None:
    """Bring the database's schema up to date; refused while a server runs."""
    from onrecord import app as composition

    number = asyncio.run(composition.migrate(context.settings()))
    context.print({"schema": number}, [f"The schema is at version {number}."])


@click.command()
@command.shared
def doctor(context: Context) -> None:
    """Look at the installation, running or not, and say what is wrong and what to do."""
    from onrecord import doctor as physician

    logging.basicConfig(level="CRITICAL")
    found = asyncio.run(physician.examine(context.settings()))
    facts = physician.told(found)
    context.print(facts, physician.lines(found))
    sys.exit(0 if facts["ok"] else 1)


@click.command()
@command.shared
def openapi(_: Context) -> None:
    """Print the specification."""
    from onrecord.web.openapi import specification
    from onrecord.web.rows import ROWS

    click.echo(json.dumps(specification(ROWS), indent=2, ensure_ascii=False))


COMMANDS: Final = (serve, work, demo, migrate, doctor, openapi)
