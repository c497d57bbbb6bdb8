"""Sealed files of real histories: whatever is changed in one, it fails and says why.

Archives, records of chats, transcripts as PDF and ZIP, and the ZIP of all entities.
"""

import io
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from onrecord import app as composition
from onrecord.proof import one_file
from onrecord.proof.verify import verify
from tests.conftest import MakeWorld
from tests.faults.histories import History
from tests.faults.processes import LONG
from tests.sending import LETTER, send_file
from tests.talk import done, say, start
from tests.world import ENTITY, World

MUTATIONS = 5000 if LONG else 300
CHANGES = 5000 if LONG else 100
"""Of each kind of export."""
ACTS = 60 if LONG else 8
BY_COMMAND_LINE = 40 if LONG else 3


def archive_of_a_history(world: World, seed: int, file: Path) -> bytes:
    """Let a random history happen and export it."""
    chance = random.Random(seed)  # noqa: S311 - a history to repeat
    history = History([world], chance, acts=ACTS)
    world.run(history.run())
    world.run(composition.write_archive(world.app, world.cast.firm, file, None))
    return file.read_bytes()


def changed(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Give the file with something changed, and what it was."""
    at = chance.randrange(len(data))
    lines = data.splitlines(keepends=True)
    one, other = sorted(chance.sample(range(len(lines)), 2))
    kind = chance.choice(
        ["flip", "byte", "insert", "delete", "cut", "swap", "drop", "repeat", "append", "digit"]
    )
    if kind == "flip":
        new = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    elif kind == "byte":
        new = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    elif kind == "digit":  # the smallest lie: another number, in otherwise perfect form
        digits = [place for place, byte in enumerate(data) if 48 <= byte < 58]
        at = chance.choice(digits)
        new = data[:at] + bytes([48 + chance.randrange(10)]) + data[at + 1 :]
    elif kind == "insert":
        new = data[:at] + chance.randbytes(chance.choice([1, 1, 7, 100])) + data[at:]
    elif kind == "delete":
        new = data[:at] + data[at + chance.choice([1, 1, 9, 500]) :]
    elif kind == "cut":
        new = data[:at]
    elif kind == "swap":
        lines[one], lines[other] = lines[other], lines[one]
        new = b"".join(lines)
    elif kind == "drop":
        new = b"".join(lines[:one] + lines[one + 1 :])
    elif kind == "repeat":
        new = b"".join([*lines[:other], lines[one], *lines[other:]])
    else:
        new = data + chance.choice([b"\n", b" ", lines[-1], lines[one]])
    return f"{kind} at {at}, lines {one} and {other}", new


@pytest.mark.long
@pytest.mark.timeout(1800 if LONG else 120)
def test_a_changed_archive_fails_and_names_what_is_wrong(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world()
    file = tmp_path / "record.jsonl"
    whole = archive_of_a_history(world, 7, file)
    report = verify(file)
    assert report.ok, report.problem
    chance = random.Random(11)  # noqa: S311 - changes to be repeated
    for number in range(MUTATIONS):
        what, new = changed(whole, chance)
        if new == whole:
            continue
        file.write_bytes(new)
        report = verify(file)
        assert not report.ok, what
        assert report.problem, what
        if number < BY_COMMAND_LINE:
            status, said = by_command_line(file)
            assert status == 1, what
            assert report.problem in said
    file.write_bytes(whole)
    assert by_command_line(file)[0] == 0


def by_command_line(file: Path) -> tuple[int, str]:
    """Give exit status and output of `onrecord verify`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "onrecord", "verify", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_an_archive_cut_before_its_seal_or_sealed_for_less_is_not_taken_for_whole(
    sqlite_world: World, tmp_path: Path
) -> None:
    world = sqlite_world
    file = tmp_path / "record.jsonl"
    lines = archive_of_a_history(world, 3, file).splitlines(keepends=True)
    world.run(composition.write_archive(world.app, world.cast.firm, file, 5))
    earlier = file.read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines), 1 if LONG else 7):
        for seal in ([], [lines[-1]], [earlier[-1]]):
            new = b"".join([*lines[:cut], *seal])
            if new in {b"".join(lines), b"".join(earlier)}:
                continue
            file.write_bytes(new)
            assert not verify(file).ok


# -- exports of a chat, and of all entities ------------------------------------------------------


@dataclass(frozen=True)
class Export:
    """A sealed file as the server gave it, and how to change it."""

    name: str
    data: bytes
    change: Callable[[bytes, random.Random], tuple[str, bytes]]


def exports_of_a_chat(world: World) -> list[Export]:
    """Let people talk and send files, and fetch every kind of sealed file of it."""
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, title="Pension")
    for number in range(6):
        say(world, cast.tomas, chat, f"text {number}, \N{BRIEFCASE}")
        say(world, cast.tomas, start(world, cast.tomas, cast.priya), "elsewhere")
    for name in ("letter.txt", "second.txt"):
        send_file(world, cast.tomas, chat, LETTER + name.encode(), name)
    done(world, "rename", cast.tomas, chat, title="Papers")

    def fetched(path: str, **params: str) -> bytes:
        answer = world.get(path, key=cast.system, params=params)
        assert answer.status_code == 200, answer.text
        return answer.content

    of_chat = f"{ENTITY}/chats/export"
    pdf, whole = (fetched(f"{of_chat}/{form}", chat_uuid=chat) for form in ("pdf", "zip"))
    with zipfile.ZipFile(io.BytesIO(whole)) as file:
        record = file.read("records.jsonl")
        assert len([name for name in file.namelist() if name.startswith("attachments/")]) == 2
    entities = fetched(f"{ENTITY}/export/entities", format="zip")
    return [
        Export("record.jsonl", record, changed),
        Export("transcript.pdf", pdf, changed),
        Export("chat.zip", whole, zip_changed),
        Export("entities.zip", entities, zip_changed),
    ]


def zip_changed(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Give a ZIP with its bytes or its parts changed, and what it was."""
    if chance.randrange(2):
        return changed(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        parts = [(one.filename, file.read(one)) for one in file.infolist()]
        seal = file.comment
    one, other = chance.sample(range(len(parts)), 2)
    what = chance.choice(["swap", "drop", "rename", "add", "order", "fill", "line"])
    name, content = parts[one]
    if what == "swap":
        parts[one], parts[other] = (name, parts[other][1]), (parts[other][0], content)
    elif what == "drop":
        del parts[one]
    elif what == "rename":
        parts[one] = (f"{name}_", content)
    elif what == "add":
        parts.insert(other, (f"attachments/0-{one}.txt", content))
    elif what == "order":
        parts[one], parts[other] = parts[other], parts[one]
    elif what == "fill":
        parts[one] = (name, content + b" ")
    else:
        lines = content.splitlines(keepends=True)
        parts[one] = (name, b"".join(lines[:-1]))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.comment = seal
        for name, content in parts:
            file.writestr(zipfile.ZipInfo(name, (2026, 11, 23, 0, 0, 0)), content)
    return f"{what} of parts {one} and {other}", made.getvalue()


@pytest.mark.long
@pytest.mark.timeout(3600 if LONG else 180)
def test_a_changed_export_fails_and_names_what_is_wrong(
    sqlite_world: World, tmp_path: Path
) -> None:
    world = sqlite_world
    program = tmp_path / one_file.NAME
    program.write_text(one_file.source(), encoding="utf-8")
    for export in exports_of_a_chat(world):
        file = tmp_path / export.name
        file.write_bytes(export.data)
        report = verify(file)
        assert report.ok, (export.name, report.problem)
        assert alone(program, file) == (0, "The file is whole and true to its seal.")
        chance = random.Random(13)  # noqa: S311 - changes to be repeated
        for number in range(CHANGES):
            what, new = export.change(export.data, chance)
            if new == export.data:
                continue
            file.write_bytes(new)
            report = verify(file)
            assert not report.ok, (export.name, what)
            assert report.problem, (export.name, what)
            if number < BY_COMMAND_LINE // 3:
                assert by_command_line(file)[0] == 1, (export.name, what)
                assert alone(program, file) == (1, f"WRONG: {report.problem}")


def alone(program: Path, file: Path) -> tuple[int, str]:
    """Give exit status and verdict of the verifier as one file."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(program), str(file)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout.partition("\n")[0]
