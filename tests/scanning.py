"""ClamAV itself, for tests: a clamd of their own that knows one signature."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import samples

CONFIGURATION = """\
DatabaseDirectory {directory}/signatures
TCPAddr 127.0.0.1
TCPSocket {port}
TemporaryDirectory {directory}
Foreground yes
StreamMaxLength 2M
"""


@contextlib.contextmanager
def running_clamd(directory: Path) -> Iterator[str]:
    """Run clamd in a directory and give its address, as the setting `clamav` takes it."""
    program = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("clamd is not installed here (Debian: clamav-daemon)")
    (directory / "signatures").mkdir()
    pattern = samples.eicar().hex()
    (directory / "signatures" / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{pattern}\n")
    port = free_port()
    (directory / "clamd.conf").write_text(CONFIGURATION.format(directory=directory, port=port))
    command = [program, f"--config-file={directory}/clamd.conf"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not answers(port):
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < until, (directory / "log").read_text()
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
