"""The command line: `onrecord`. Exit status 0; 1 refused, with one clear line; 2 usage."""

import os
import sys
from typing import NoReturn

import click

from onrecord import __version__
from onrecord import settings as configuration
from onrecord.cli import accounts, imports, keys, organisations, post, record, serving
from onrecord.model.errors import Refusal


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="onrecord")
def cli() -> None:
    """OnRecord: a messenger in which every conversation is on record and provable."""


for room in (serving, organisations, accounts, post, keys, record, imports):
    for command in room.COMMANDS:
        cli.add_command(command)


def _refused(message: str) -> NoReturn:
    click.echo(f"onrecord: {message}", err=True)
    try:
        sys.stdout.flush()
    except OSError:  # full or closed: what it did not take must not be tried again at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
