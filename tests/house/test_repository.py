"""What holds for the repository as a whole: nothing private in it, and a reason for everything."""

import ast
import math
import os
import re
import statistics
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Put together from pieces, so that this file does not contain what it looks for. A registry's
# host belongs to whoever installs, who may use a mirror; a path belongs to one machine.
HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry" + ".npmjs.org",
    "deb." + "debian.org",
    "security." + "debian.org",
    "registry" + ".yarnpkg.com",
]
FOLDERS = ["work", "root", "opt", "home/[a-z]+", "Users/[A-Za-z]+", "tmp/[a-z]"]
FORBIDDEN = re.compile(
    "|".join([re.escape(host) for host in HOSTS] + [rf"(?<![\w.~$}}-])/(?:{'|'.join(FOLDERS)})/"])
)

LONG = 60  # lines; nearly every function is shorter
LONG_SHARE = 0.02  # of all functions may be longer
MEDIAN_BELOW = 10  # lines

# A reason is a few words at least.
SENTENCE = re.compile(r"\w+(\W+\w+){2,}")


@cache
def tracked() -> list[Path]:
    """Every file that is in git, or would be with the next `git add`."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git working tree, so nothing is tracked")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def lines_of(*suffixes: str) -> list[tuple[str, str]]:
    """Every line of the tracked files with these suffixes (all texts when none), with its place."""
    found = []
    for file in tracked():
        if suffixes and file.suffix not in suffixes:
            continue
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a font
        place = file.relative_to(ROOT)
        found += [(f"{place}:{n}", line) for n, line in enumerate(text.splitlines(), 1)]
    return found


def test_no_file_names_a_registry_or_a_folder_of_somebodys_machine() -> None:
    assert [f"{place}: {line}" for place, line in lines_of() if FORBIDDEN.search(line)] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("--index-url https://" + HOSTS[0] + "/simple", True),
        ('"resolved": "https://' + HOSTS[2] + '/x.tgz"', True),
        ("cd /" + "work/main", True),
        ("see file:" + "/" * 3 + "opt" + "/wheels", True),
        ("HOME=/" + "home/anna/src", True),
        ("GET /entity-service/work/items", False),
        ("the house/work/rest", False),
        ("https://www.apache.org/licenses/", False),
        ('"$root/work/x"', False),
    ],
)
def test_the_search_for_private_words_finds_them_and_little_else(line: str, *, found: bool) -> None:
    assert bool(FORBIDDEN.search(line)) is found


def test_every_dependency_has_its_reason_in_a_decision() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9_.-]", wish)[0].lower() for wish in wanted}
    explained = set()
    for decision in (ROOT / "docs/decisions").glob("*.md"):
        text = decision.read_text("utf-8")
        # A row of a table that begins with the name and says something, or a heading.
        for cell, reason in re.findall(r"^\| *`([\w.-]+)` *\|(.+)\|$", text, re.MULTILINE):
            if SENTENCE.search(reason):
                explained.add(cell.lower())
        explained.update(n.lower() for n in re.findall(r"^#+ .*?`([\w.-]+)`", text, re.MULTILINE))
    assert names - explained == set(), "give the reason in docs/decisions/0002-dependencies.md"


def test_the_locks_pin_every_package_with_hashes() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text("utf-8")
        entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert len(entries) >= len(
            tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
        )
        assert [entry for entry in entries if not re.match(r"[\w.-]+==\S+", entry)] == []
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_development_lock_repeats_the_other_one() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==\S+", (ROOT / name).read_text("utf-8"), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


@pytest.mark.parametrize(
    "script", ["scripts/run", "scripts/test", "scripts/lock", "scripts/reference", ".ci/run"]
)
def test_a_script_can_be_executed_and_stops_at_errors(script: str) -> None:
    file = ROOT / script
    assert os.access(file, os.X_OK)
    text = file.read_text("utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text


def test_every_exception_from_the_linter_has_a_sentence_behind_it() -> None:
    inside = False
    bare = []
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            inside = line.startswith("[tool.ruff")
        if inside and re.match(r'\s+"[A-Z]+\d+"', line):
            _, _, reason = line.partition("#")
            if not SENTENCE.search(reason):
                bare.append(f"{number}: {line.strip()}")
        assert not (inside and re.match(r"(ignore|extend-ignore) = \[.+\]", line)), (
            "one exception a line, each with its sentence"
        )
    assert bare == []


def test_every_exception_in_the_code_has_a_sentence_behind_it() -> None:
    exception = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no)\b(?P<rest>.*)")
    codes = re.compile(r"^(\[[\w, -]+\]|:\s*[A-Z]+\d+(\s*,\s*[A-Z]+\d+)*|\s*(cover|branch))")
    bare = []
    for place, line in lines_of(".py"):
        if place.startswith("tests/house/test_repository.py"):
            continue  # this file speaks about exceptions without making one
        match = exception.search(line)
        if match and not SENTENCE.search(codes.sub("", match["rest"])):
            bare.append(f"{place}: {line.strip()}")
    assert bare == [], "write the reason behind it, such as `# noqa: S608 - only our own names`"


@dataclass(frozen=True)
class Function:
    place: str
    length: int


def functions() -> list[Function]:
    """Every function of the package, with its lines of code: no docstring, comment or blank."""
    found = []
    for file in sorted((ROOT / "src").rglob("*.py")):
        text = file.read_text("utf-8")
        source = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            start = node.lineno
            if ast.get_docstring(node, clean=False) is not None:
                start = (node.body[0].end_lineno or start) + 1
            body = (line.strip() for line in source[start - 1 : node.end_lineno])
            length = sum(1 for line in body if line and not line.startswith("#"))
            found.append(Function(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", length))
    return found


def test_functions_are_short() -> None:
    every = functions()
    long = sorted((f for f in every if f.length > LONG), key=lambda f: -f.length)
    report = "\n".join(f"{f.length} lines: {f.place}" for f in long)
    print(f"{len(every)} functions, {len(long)} above {LONG} lines\n{report}")  # noqa: T201 - shown with -rP
    assert len(long) <= math.ceil(len(every) * LONG_SHARE), report
    if every:
        assert statistics.median(f.length for f in every) < MEDIAN_BELOW
