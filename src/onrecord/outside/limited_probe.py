"""What a child of `limited.py` can do on this machine, tried by one."""

import importlib
import json
import os
import socket
from collections.abc import Callable
from typing import IO, Any


def main(argument: Any, files: list[IO[bytes]]) -> bytes:
    """Import `modules`, then try what is not for children: `{files, network, processes}`.

    `path` is of a file that this user may read.
    """
    del files
    for module in argument["modules"]:
        importlib.import_module(module)
    return json.dumps(
        {
            "files": _could(lambda: os.close(os.open(argument["path"], os.O_RDONLY))),
            "network": _could(_reach_the_server),
            "processes": _could(lambda: os.kill(os.getppid(), 0)),
        }
    ).encode()


def _reach_the_server() -> None:
    """Send to the address for tests of documentation: nothing is there, but a way must be."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))


def _could(act: Callable[[], None]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True
