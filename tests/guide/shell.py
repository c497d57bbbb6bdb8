"""A shell that plays the guide: bash reads what is typed, and curl's calls go to a world."""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from tests.faults.processes import environment
from tests.world import World

# curl writes down what it was called with; the others are those of this Python.
PRELUDE: Final = """\
set -eu
curl() { printf '%s\\0' "$@" > .curl; }
onrecord() { "$PYTHON" -P -m onrecord "$@"; }
python3() { "$PYTHON" "$@"; }
"""


@dataclass(slots=True)
class Shell:
    """A directory and variables, as a reader has them who follows a page."""

    world: World
    folder: Path
    known: dict[str, str]
    jars: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, script: str) -> tuple[httpx.Response | None, str]:
        """Run what is typed; give the answer of its call, if it makes one, and what was printed."""
        done = subprocess.run(
            ["bash", "-c", PRELUDE + script],
            cwd=self.folder,
            env={**environment(self.world.settings), **self.known, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        written = self.folder / ".curl"
        if not written.exists():
            return None, done.stdout
        arguments = written.read_text("utf-8").split("\0")[:-1]
        written.unlink()
        call = Curl(self, arguments)
        response = self.world.run(self.world.request(call.method, call.address, **call.how))
        call.keep(response)
        return response, response.text if call.output is None else done.stdout


class Curl:
    """One call of curl: its arguments, read as curl reads them."""

    def __init__(self, shell: Shell, arguments: list[str]) -> None:
        self._shell = shell
        self._method = ""
        self._url = ""
        self._headers: list[tuple[str, str]] = []
        self._data: list[str] = []
        self._query = False
        self._texts: dict[str, str] = {}
        self._files: dict[str, Any] = {}
        self._jar: str | None = None
        self._head: str | None = None
        self.output: str | None = None
        """Where the answer goes, if not to the reader's eyes."""
        left = iter(arguments)
        for argument in left:
            if argument == "-G":
                self._query = True
            elif argument.startswith("-"):
                self._option(argument, next(left))
            else:
                assert not self._url, f"two addresses: {arguments}"
                self._url = argument

    def _option(self, name: str, value: str) -> None:
        match name:
            case "-X":
                self._method = value
            case "-H":
                self._header(value)
            case "--json":
                self._data.append(self._content(value))
                self._headers += [
                    ("Content-Type", "application/json"),
                    ("Accept", "application/json"),
                ]
            case "-d":
                self._data.append(self._content(value))
            case "--data-urlencode":
                key, _, text = value.partition("=")
                self._data.append(urlencode({key: text}))
            case "-F":
                self._form(value)
            case "-o":
                self.output = value
            case "-D":
                self._head = value
            case "-b" | "-c":
                self._jar = value
            case _:
                raise AssertionError(f"curl {name}: not known here")

    def _content(self, value: str) -> str:
        if not value.startswith("@"):
            return value
        return (self._shell.folder / value[1:]).read_text("utf-8")

    def _header(self, value: str) -> None:
        for line in self._content(value).splitlines():
            name, _, text = line.partition(": ")
            self._headers.append((name, text))

    def _form(self, value: str) -> None:
        name, _, text = value.partition("=")
        if not text.startswith("@"):
            self._texts[name] = text
            return
        path, _, kind = text[1:].partition(";type=")
        file = self._shell.folder / path
        self._files[name] = (file.name, file.read_bytes(), kind or "application/octet-stream")

    @property
    def method(self) -> str:
        """The method, which follows from the rest unless it is said."""
        sends = (self._data and not self._query) or self._texts or self._files
        return self._method or ("POST" if sends else "GET")

    @property
    def address(self) -> str:
        """The address, with its query."""
        if not (self._query and self._data):
            return self._url
        return f"{self._url}?{'&'.join(self._data)}"

    @property
    def how(self) -> dict[str, Any]:
        """What the world's request is made with."""
        headers = list(self._headers)
        cookies = self._shell.jars.get(self._jar or "", {})
        if cookies:
            headers.append(("Cookie", "; ".join(f"{one}={two}" for one, two in cookies.items())))
        if self._texts or self._files:
            return {"headers": headers, "data": self._texts, "files": self._files}
        content = "&".join(self._data).encode() if self._data and not self._query else None
        return {"headers": headers, "content": content}

    def keep(self, response: httpx.Response) -> None:
        """Put the answer where it was wanted, its head too, and its cookies into the jar."""
        if self._head is not None:
            lines = [f"{name}: {value}\r\n" for name, value in response.headers.multi_items()]
            (self._shell.folder / self._head).write_text("".join(lines), "utf-8")
        if self.output is not None:
            (self._shell.folder / self.output).write_bytes(response.content)
        if self._jar is None:
            return
        jar = self._shell.jars.setdefault(self._jar, {})
        for line in response.headers.get_list("set-cookie"):
            found = re.match(r"([^=]+)=([^;]*)", line)
            assert found
            jar[found[1]] = found[2]
            if not found[2]:
                del jar[found[1]]
