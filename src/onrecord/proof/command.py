"""The verifier as a command of its own: what ``onrecord-verify.py`` runs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from onrecord.proof import verify
from onrecord.proof.note import VerifierKey


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the file that the command line names; 0 if all that was checked holds, else 1.

    Ends with status 2 for arguments that cannot be understood, as ``onrecord verify`` does.
    """
    parser = argparse.ArgumentParser(
        description="Check a sealed file of OnRecord. Needs no server, network or database.",
        epilog="Get keys elsewhere than from the file: /.well-known/onrecord-keys on the server.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--key", dest="keys", action="append", default=[], metavar="VKEY", help="a key you trust"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args(arguments)
    try:
        trusted = [VerifierKey.parse(key) for key in given.keys]
    except ValueError as error:
        parser.error(f"--key: {error}")
    if not given.file.is_file():
        parser.error(f"{given.file} is not a file")
    report = verify.verify(given.file, trusted)
    told = [json.dumps(report.to_json(), ensure_ascii=False)] if given.json else report.told()
    text = "".join(f"{line}\n" for line in told)
    sys.stdout.buffer.write(text.encode())  # in UTF-8, whatever the terminal is set to
    sys.stdout.flush()
    return 0 if report.ok else 1
