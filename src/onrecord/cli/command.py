"""What all commands share: their options, an open installation, and how they print."""

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from onrecord import settings as configuration


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
            lines = [f"{name:<{width}}  {plain(value)}" for name, value in facts.items()]
        click.echo("\n".join(lines), err=aside)


def plain(value: Any) -> str:
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


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--output`."""
    return click.option(
        "--output",
        required=True,
        type=_Output(path_type=Path, dir_okay=False, writable=True, allow_dash=True),
        help="The file to write, over one that is there; - is standard output.",
    )(command)


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
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


def run(context: Context, act: Callable[[Any], Any]) -> Any:
    """Open the installation, do one act in it, close it."""
    from onrecord import app as composition

    async def main() -> Any:
        async with composition.running(context.settings(), purpose="a command") as running:
            return await act(running)

    logging.basicConfig(level="ERROR", format="%(message)s")
    return asyncio.run(main())


def run_in(context: Context, entity_uuid: str | None, act: Callable[[Any], Any]) -> Any:
    """Do one work as the operator in an organisation (None: the installation)."""
    from onrecord import app as composition

    return run(context, lambda running: composition.acting(running, entity_uuid, act))


def progress(context: Context, label: str) -> Any:
    """Show how far it is, for people who look at a terminal; nobody else is told."""
    shown = sys.stderr.isatty() and not context.as_json
    file = sys.stderr if shown else io.StringIO()
    return click.progressbar(length=1, label=label, file=file, show_pos=True)


def advance(bar: Any, done: int, total: int | None) -> None:
    """Move the bar on to where it is now."""
    bar.length = max(total or 0, 1)
    bar.update(done - bar.pos)
