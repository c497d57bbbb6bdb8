"""Sealed archives of real histories: whatever is changed in one, it fails and says why."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from onrecord import app as composition
from onrecord.proof.verify import verify
from tests.conftest import MakeWorld
from tests.faults.histories import History
from tests.faults.processes import LONG
from tests.world import World

MUTATIONS = 5000 if LONG else 300
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
