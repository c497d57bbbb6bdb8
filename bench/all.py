"""Run every benchmark and print the table of their medians."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import common

THREE_DIGITS: Final = 100


def main() -> None:
    """Run and print."""
    parser = common.options(__doc__)
    parser.add_argument(
        "--postgres",
        metavar="URL",
        help="measure PostgreSQL too, in throw-away databases beside this one",
    )
    parser.add_argument(
        "--growth",
        metavar="N",
        type=int,
        help="measure growth to N messages too: of 10,000,000 in half an hour an engine",
    )
    given = parser.parse_args()
    engines: list[list[str]] = [[]]
    if given.postgres:
        engines.append(["--postgres", given.postgres])
    runs = [["verify.py"]]
    scripts = [
        *("start.py", "send_text.py", "range.py", "members_list.py", "butler.py"),
        "transcript.py",
    ]
    for script in scripts:
        runs += [[script, *engine] for engine in engines]
    if given.growth:
        runs += [["growth.py", "--messages", str(given.growth), *engine] for engine in engines]
    with tempfile.TemporaryDirectory() as folder:
        file = given.json or Path(folder) / "figures"
        for script, *arguments in runs:
            path = common.HERE / script
            subprocess.run([sys.executable, path, *arguments, "--json", file], check=True)
            common.say()
        common.say(_table(file))


def _table(file: Path) -> str:
    lines = ["| what | figures |", "| --- | --- |"]
    for line in file.read_text("utf-8").splitlines():
        row = json.loads(line)
        what = row.pop("what")
        figures = ", ".join(f"{name} {_written(name, value)}" for name, value in row.items())
        lines.append(f"| {what} | {figures} |")
    return "\n".join(lines)


def _written(name: str, value: float) -> str:
    if name.startswith("share"):
        return f"{value:.1%}"
    return f"{value:,.0f}" if value >= THREE_DIGITS else f"{value:.2f}"


if __name__ == "__main__":
    main()
