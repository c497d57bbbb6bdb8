"""The contracts of pyproject.toml hold, and each is seen to fail on a violation planted for it."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in CONFIGURATION["tool"]["importlinter"]["contracts"]
}

# Rooms that are one file; every other room is a folder.
FILES = {"__main__", "app", "settings", "jobs"}


@dataclass(frozen=True)
class Planted:
    """A line added to a module of a copied tree, and the contract that must notice it."""

    contract: str
    module: str
    line: str

    def __str__(self) -> str:
        return f"{self.contract}: {self.module}: {self.line}"


PLANTED = [
    Planted("layers", "onrecord.settings", "import onrecord.store"),
    Planted("layers", "onrecord.store", "import onrecord.domain"),
    Planted("layers", "onrecord.domain", "import onrecord.app"),
    Planted("layers", "onrecord.app", "import onrecord.web"),
    Planted("layers", "onrecord.web", "import onrecord.cli"),
    # Neighbours, joined by `|`, do not know each other either, in either direction.
    Planted("layers", "onrecord.web", "import onrecord.jobs"),
    Planted("layers", "onrecord.jobs", "import onrecord.web"),
    Planted("layers", "onrecord.domain", "import onrecord.outside"),
    Planted("layers", "onrecord.outside", "import onrecord.domain"),
    Planted("layers", "onrecord.settings", "import onrecord.model"),
    Planted("layers", "onrecord.model", "import onrecord.proof"),
    # `exhaustive`: a room nobody announced.
    Planted("layers", "onrecord.attic", "import onrecord"),
    Planted("drivers", "onrecord.domain", "import asyncpg"),
    Planted("drivers", "onrecord.domain.planted", "import apsw"),
    Planted("drivers", "onrecord.cli", "def planted() -> None:\n    import sqlite3"),
    Planted("server", "onrecord.cli", "import uvicorn"),
    Planted("server", "onrecord.app", "import starlette.requests"),
    Planted("proof", "onrecord.proof", "import onrecord.model"),
    Planted("proof", "onrecord.proof.planted", "import msgspec"),
    Planted("proof", "onrecord.proof.planted", "import cryptography.hazmat"),
    Planted("model", "onrecord.model", "import onrecord.store"),
    Planted("model", "onrecord.model.planted", "import socket"),
    Planted("circles", "onrecord.domain.planted", "import onrecord.domain.planted_too"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the source, with an empty module for every room that is not built yet."""
    package = tmp_path / "src" / "onrecord"
    hidden = shutil.ignore_patterns("__pycache__", "static")
    shutil.copytree(ROOT / "src" / "onrecord", package, ignore=hidden)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for layer in CONFIGURATION["tool"]["importlinter"]["contracts"][0]["layers"]:
        for room in layer.split("|"):
            open_module(package, "onrecord." + room.strip(" ()"))
    return package


def open_module(package: Path, name: str) -> Path:
    """The file of a module of the copied tree, made when it is missing."""
    below = package.parent.joinpath(*name.split("."))
    folder, file = below / "__init__.py", below.with_suffix(".py")
    if folder.exists() or file.exists():
        return folder if folder.exists() else file
    made = file if below.name in FILES or below.parent != package else folder
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text('"""Planted."""\n', "utf-8")
    return made


def lint(package: Path) -> tuple[int, set[str], str]:
    """What lint-imports says of a tree: its exit status, the broken contracts, all its words."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=package.parents[1],
        # The copy must be found before the source this environment points at.
        env=os.environ | {"PYTHONPATH": str(package.parent), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    broken = {id_ for id_, name in CONTRACTS.items() if f"{name} BROKEN" in done.stdout}
    return done.returncode, broken, done.stdout + done.stderr


def test_the_source_keeps_every_contract(tree: Path) -> None:
    status, broken, words = lint(tree)
    assert (status, broken) == (0, set()), words
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in words


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_a_planted_import_breaks_its_contract(tree: Path, planted: Planted) -> None:
    with open_module(tree, planted.module).open("a", encoding="utf-8") as file:
        file.write(f"\n{planted.line}\n")
    if planted.contract == "circles":
        back = open_module(tree, "onrecord.domain.planted_too")
        back.write_text(f"import {planted.module}\n", "utf-8")
    status, broken, words = lint(tree)
    assert status == 1, words
    assert planted.contract in broken, words


def test_the_store_and_the_web_room_may_have_what_is_theirs(tree: Path) -> None:
    for module, line in (
        ("onrecord.store.planted", "import apsw, asyncpg"),
        ("onrecord.web.planted", "import uvicorn, httptools, onrecord.app"),
        ("onrecord.cli", "import onrecord.web, onrecord.jobs"),
    ):
        with open_module(tree, module).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    status, broken, words = lint(tree)
    assert (status, broken) == (0, set()), words


def test_every_contract_has_a_violation_planted_for_it() -> None:
    assert {planted.contract for planted in PLANTED} == set(CONTRACTS)


def test_the_proof_room_imports_itself_and_the_standard_library_only() -> None:
    # The contract above names the packages it forbids; this names the ones that are allowed.
    strangers = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in sorted((ROOT / "src/onrecord/proof").rglob("*.py"))
        for name in imported(file)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not f"{name}.".startswith("onrecord.proof.")
    ]
    assert strangers == []


def imported(file: Path) -> Iterator[str]:
    """The full names a file of the package imports; `from a import b` counts as `a.b`."""
    here = file.relative_to(ROOT / "src").parent.parts
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) + 1 - node.level] if node.level else ()
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)
