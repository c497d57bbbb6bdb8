"""The verifier as one file: it needs Python alone, and says what `onrecord verify` says."""

import ast
import importlib.util
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from onrecord.proof import command, one_file, verify
from tests.proof import files, sealing
from tests.proof.sealing import CHATS, SIGNER, STRANGER
from tests.proof.test_verify import _mutated
from tests.proof.test_verify_chat import MUTATIONS
from tests.proof.test_verify_zip import chat_parts, chat_zip, entities_zip, zip_mutated

Mutate = Callable[[bytes, random.Random], bytes]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in a folder where nothing else is."""
    path = tmp_path_factory.mktemp("alone") / one_file.NAME
    path.write_text(one_file.source(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def joined(program: Path) -> Iterator[ModuleType]:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("onrecord_verify", program)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["onrecord_verify"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["onrecord_verify"]


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program with a Python that knows no packages."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def installed(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `onrecord verify`."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "onrecord", "verify", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_it_is_one_program_that_needs_python_alone() -> None:
    text = one_file.source()
    tree = ast.parse(text, feature_version=one_file.PYTHON)
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [one.name for one in node.names])
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names
    assert "onrecord.proof import" not in text
    assert text.startswith("#!/usr/bin/env python3\n")
    assert max(map(len, text.splitlines())) <= 140
    assert one_file.source() is text


def test_no_name_in_it_is_left_undefined(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F,E9", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def whole() -> dict[str, tuple[bytes, Mutate]]:
    record = sealing.small_record()
    chat = sealing.chat_of(record, CHATS[0])
    return {
        "archive": (sealing.archive_of(record), _mutated),
        "chat": (chat, _mutated),
        "transcript": (files.sealed_pdf(files.pdf(chat)), _mutated),
        "chat.zip": (chat_zip(chat_parts()), zip_mutated),
        "entities.zip": (entities_zip(), zip_mutated),
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", whole())
def test_it_finds_what_the_installed_verifier_finds(name: str, joined: Any, tmp_path: Path) -> None:
    data, mutate = whole()[name]
    chance = random.Random(20261124)  # noqa: S311  # the same changes on every run
    path = tmp_path / name
    for number in range(MUTATIONS // 5):
        path.write_bytes(mutate(data, chance) if number else data)
        found = verify.verify(path)
        assert joined.verify_verify(path).to_json() == found.to_json()
        assert found.ok == (number == 0 or path.read_bytes() == data)


@pytest.mark.parametrize("name", whole())
def test_it_prints_the_same_and_ends_with_the_same_status(
    name: str, program: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    data, _ = whole()[name]
    trusted, other = ("--key", SIGNER.key), ("--key", STRANGER.key, "--json")
    for content, more, status in ((data, trusted, 0), (data, other, 1), (data[:-1], (), 1)):
        path.write_bytes(content)
        own, theirs = run(program, path, *more), installed(path, *more)
        assert own.stdout == theirs.stdout
        assert own.stderr == theirs.stderr == ""
        assert own.returncode == theirs.returncode == status


def test_what_it_cannot_understand_ends_with_status_2(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(b"x")
    for wrong in ((), ("--key", "x", path), (tmp_path / "nothing",), ("--what", path)):
        assert run(program, *wrong).returncode == installed(*wrong).returncode == 2
    assert "VKEY" in run(program, "--help").stdout


def test_it_shares_a_large_file_among_processes(program: Path, joined: Any, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(sealing.archive_of(sealing.small_record()))
    text = program.read_text("utf-8").replace(
        "PARALLEL_BYTES: Final = 16", "PARALLEL_BYTES: Final = 0"
    )
    assert text != program.read_text("utf-8")
    shared = program.with_name("shared.py")
    shared.write_text(text, encoding="utf-8")
    assert run(shared, path).stdout == run(program, path).stdout
    assert joined.verify_verify(path).ok


def test_the_command_can_be_called_from_a_program(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(sealing.chat_of(sealing.small_record(), CHATS[0]))
    assert command.main([str(path), "--key", str(SIGNER.key)]) == 0
    assert capfdbinary.readouterr().out.startswith(b"The file is whole and true to its seal.\n")
    assert command.main([str(path), "--key", str(STRANGER.key), "--json"]) == 1
    assert b'"trusted": false' in capfdbinary.readouterr().out
    for wrong in (["--key", "x", str(path)], [str(tmp_path)]):
        with pytest.raises(SystemExit) as ended:
            command.main(wrong)
        assert ended.value.code == 2
