"""The child's side of `limited.py`: take the limits on, then call the module of the brief.

Run by its path, so that nothing but Python's library is imported before the limits are there. On
Linux the child gives up three things for good: other files than those of its brief (Landlock),
the network, and starting or looking into processes (seccomp). Where the kernel has no such thing
the limits on memory and time are all there is; `limited_probe.py` tries what a child can do.
"""

import ctypes
import errno
import importlib
import json
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

OUT_OF_MEMORY: Final = 3
FAILED: Final = 4
OUTPUT: Final = 5
NOT_IMPORTED: Final = 6
MAPPED_MOST: Final = 1024**3
"""Bytes of libraries and files that may be mapped beside the child's own memory."""
OPEN_MOST: Final = 128
TOLD_MOST: Final = 2048
NICE: Final = 10
"""Whoever is being answered comes before whoever uploads."""


# -- what the kernel takes away ------------------------------------------------------------------

PR_SET_PDEATHSIG: Final = 1
PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38
NEW_USER: Final = 0x10000000
NEW_NET: Final = 0x40000000

LANDLOCK_CREATE: Final = 444
LANDLOCK_ADD: Final = 445
LANDLOCK_RESTRICT: Final = 446
READ: Final = 0b1101
"""Landlock's rights to execute (which mapping a library needs), to read, and to list."""
READ_FILE: Final = 0b101
FS_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights on files that Landlock can take away, by the ABI that began to know them."""
NET_ABI: Final = 4
SCOPED_ABI: Final = 6

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""As seccomp names them."""
DENIED: Final = {
    # socket, socketpair, connect, execve, execveat, fork, vfork, ptrace, process_vm_readv and
    # writev, kill, io_uring_setup, open_by_handle_at, unshare, mount, setns, bpf, keyctl, add_key,
    # request_key, perf_event_open, userfaultfd, pidfd_open, pidfd_send_signal, pidfd_getfd
    "x86_64": (
        *(41, 53, 42, 59, 322, 57, 58, 101, 310, 311, 62, 425, 304, 272, 165, 308, 321),
        *(250, 248, 249, 298, 323, 434, 424, 438),
    ),
    "aarch64": (
        *(198, 199, 203, 221, 281, 117, 270, 271, 129, 425, 265, 97, 40, 268, 280),
        *(219, 217, 218, 241, 282, 434, 424, 438),
    ),
}
"""System calls that a reader of files has no use for, by number."""
CLONE: Final = {"x86_64": 56, "aarch64": 220}
CLONE3: Final = 435
CLONE_THREAD: Final = 0x00010000
FOREIGN_CALLS: Final = 0x40000000
"""From here on the numbers are those of another form of the same processor."""
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000
KILL: Final = 0x80000000


class _Program(ctypes.Structure):
    """`struct sock_fprog`: a filter of system calls."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def give_up(readable: Iterable[str]) -> None:
    """Give up other files than these, network and processes, as far as the kernel can."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _only_files(libc, readable)
    if not _only_calls(libc, platform.machine()):
        libc.unshare(NEW_USER | NEW_NET)  # a network of its own, with nothing in it


def _only_files(libc: ctypes.CDLL, readable: Iterable[str]) -> None:
    """Open nothing but these files and what lies in these directories, and only to read."""
    abi = libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return
    rights = next(all_ for since, all_ in sorted(FS_RIGHTS.items(), reverse=True) if abi >= since)
    network = 0b11 if abi >= NET_ABI else 0
    scoped = 0b11 if abi >= SCOPED_ABI else 0
    attributes = struct.pack("=QQQ", rights, network, scoped)
    size = 8 * (3 if abi >= SCOPED_ABI else 2 if abi >= NET_ABI else 1)
    ruleset = libc.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return
    for path in readable:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not there: nothing to read
        allowed = READ if os.path.isdir(path) else READ_FILE  # noqa: PTH112 - pathlib is not needed
        libc.syscall(LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    libc.syscall(LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _only_calls(libc: ctypes.CDLL, machine: str) -> bool:
    """Make no system call of `DENIED`, and start threads but no processes; whether it worked."""
    if machine not in ARCHITECTURES:
        return False
    steps = b"".join(_filter(machine))
    program = _Program(len(steps) // 8, steps)
    return bool(libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0)


def _filter(machine: str) -> Iterable[bytes]:
    """Give the filter's steps (classic BPF): what is loaded, compared, skipped, returned."""

    def step(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, true, false, value)

    load, equal, least, has, give = 0x20, 0x15, 0x35, 0x45, 0x06
    refused = step(give, REFUSE | errno.EPERM)
    yield step(load, 4)
    yield step(equal, ARCHITECTURES[machine], true=1)
    yield step(give, KILL)
    yield step(load, 0)
    yield step(least, FOREIGN_CALLS, false=1)
    yield step(give, KILL)
    for number in DENIED[machine]:
        yield step(equal, number, false=1)
        yield refused
    yield step(equal, CLONE3, false=1)
    yield step(give, REFUSE | errno.ENOSYS)  # libraries then use clone, whose flags can be seen
    yield step(equal, CLONE[machine], false=3)
    yield step(load, 16)
    yield step(has, CLONE_THREAD, true=1)
    yield refused
    yield step(give, ALLOW)


# -- from the brief to the answer ----------------------------------------------------------------


def _limit(limits: dict[str, Any], parent: int) -> None:
    """Take on the limits that every Unix has; end with the server, whatever becomes of it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(FAILED)
    signal.setitimer(signal.ITIMER_REAL, limits["seconds"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # At the first of the two the signal says why; at both at once it would be a plain kill.
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu"], limits["cpu"] + 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_MOST, OPEN_MOST))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["output"], limits["output"]))
    resource.setrlimit(resource.RLIMIT_DATA, (limits["memory"], limits["memory"]))
    whole = limits["memory"] + MAPPED_MOST
    resource.setrlimit(resource.RLIMIT_AS, (whole, whole))
    os.nice(NICE)


def _libraries() -> list[str]:
    """Give where Python and the system's libraries lie; no machine has all of these."""
    own = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), f"{sys.base_prefix}/lib"]
    system = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"]
    return [*own, *system, "/dev/null", "/dev/urandom"]


def _apart() -> tuple[int, int]:
    """Keep the two outputs for ourselves: a library that prints, prints into nothing."""
    out, told = os.dup(1), os.dup(2)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    return out, told


def _where(error: BaseException) -> str:
    """Say which exception and where it was raised, but not its text, which may quote the file."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    code = place.tb_frame.f_code
    return f"{type(error).__name__} in {Path(code.co_filename).name}:{place.tb_lineno}"


def _answered(brief: dict[str, Any], out: int) -> int:
    """Call the module and write its answer; give the status to end with."""
    files = [os.fdopen(number, "rb") for number in brief["files"]]
    module = importlib.import_module(brief["module"])
    main: Callable[[Any, list[Any]], bytes] = module.main
    answer = main(brief["argument"], files)
    if len(answer) > brief["limits"]["output"]:
        return OUTPUT
    rest = memoryview(answer)
    while rest:
        rest = rest[os.write(out, rest) :]
    return 0


def run() -> int:
    """Read the brief and do as it says; give the status to end with."""
    brief = json.loads(sys.stdin.buffer.read())
    out, told = _apart()
    try:
        _limit(brief["limits"], brief["parent"])
        sys.path[:0] = brief["paths"]
        give_up([*_libraries(), *brief["paths"], *brief["readable"]])
        return _answered(brief, out)
    except MemoryError:
        return OUT_OF_MEMORY
    except ImportError as error:
        os.write(told, str(error).encode()[:TOLD_MOST])
        return NOT_IMPORTED
    except Exception as error:  # noqa: BLE001 - whatever a damaged file leads our readers to
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            return OUTPUT
        os.write(told, _where(error).encode())
        return FAILED


if __name__ == "__main__":
    # Without the interpreter's tidying up: what was read may have left it in any state.
    os._exit(run())
