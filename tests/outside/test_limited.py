"""Child processes with limits: what they can do, and what becomes of them."""

import asyncio
import functools
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from onrecord.model.errors import Refusal
from onrecord.outside.limited import Children, Failed, Limits, TooMuch

LIMITS = Limits(seconds=20, memory=64 * 1024**2, output=10_000)
MODULES = {
    "echo": "return repr((argument, [f.read() for f in files], dict(os.environ))).encode()",
    "take_memory": "return str(len(bytearray(argument))).encode()",
    "say_much": "return bytes(argument)",
    "sleep": "time.sleep(argument); return b'awake'",
    "work_hard": "\n    while True: pass",
    "raise_it": "raise ValueError('what the file says')",
    "die": "os.abort()",
    "open_it": "return open(argument, 'rb').read()",
    "print_it": "print('noise', flush=True); os.write(1, b'noise'); return b'answer'",
    "write_file": "os.write(files[0].fileno(), b'x')",
    "leave_one_behind": "os.fork() or time.sleep(60); return b''",
    "import_nothing": "import no_such_module",
    "deaf": "os.close(1); os.close(2); time.sleep(60)",
}


def awaited(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**values: Any) -> None:
        async def whole() -> None:
            await test(**values)

        asyncio.run(whole())

    return run


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("modules")
    for name, body in MODULES.items():
        text = f"import os, time\n\ndef main(argument, files):\n    {body}\n"
        (directory / f"{name}.py").write_text(text)
    return directory


@pytest.fixture
def children(modules: Path) -> Iterator[Children]:
    yield Children(2, importable=modules)
    assert living() == set()


def living() -> set[int]:
    """Give the children of this process that live, or have not been waited for."""
    mine = str(os.getpid())
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = status.read_text().rpartition(")")
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if rest.split()[1] == mine and (b"limited_child" in command or not command):
            found.add(int(name.split()[0]))
    return found


async def until(so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if so():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to this")


def holding(data: bytes) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the test's end closes it
    file.write(data)
    return file


@awaited
async def test_a_child_gets_its_argument_and_its_files_and_no_environment(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the server")
    with holding(b"one") as one, holding(b"two") as two:
        said = await children.run("echo", {"a": [1, "ö"]}, limits=LIMITS, files=[one, two])
        argument, contents, environment = eval(said)  # noqa: S307 - what the test's own code says
        assert argument == {"a": [1, "ö"]}
        assert contents == [b"one", b"two"]
        assert environment.keys() <= {"MALLOC_ARENA_MAX", "LC_CTYPE"}
        assert one.tell() == 3, "the server's place in its file is its own"


@pytest.mark.parametrize(
    ("module", "argument", "limit"),
    [
        ("take_memory", 100 * 1024**2, "memory"),
        ("say_much", 10_001, "output"),
        ("sleep", 30, "time"),
        ("work_hard", None, "time"),
        ("deaf", None, "time"),
    ],
)
@awaited
async def test_a_child_that_needs_too_much_is_ended(
    children: Children, module: str, argument: Any, limit: str
) -> None:
    limits = Limits(seconds=2, cpu=1, memory=64 * 1024**2, output=10_000)
    begun = time.monotonic()
    with pytest.raises(TooMuch) as refused:
        await children.run(module, argument, limits=limits)
    assert refused.value.of == limit
    assert time.monotonic() - begun < 10


@awaited
async def test_what_stays_within_the_limits_is_done(children: Children) -> None:
    assert await children.run("take_memory", 20 * 1024**2, limits=LIMITS) == b"20971520"
    assert len(await children.run("say_much", 10_000, limits=LIMITS)) == 10_000
    assert await children.run("sleep", 0.1, limits=LIMITS) == b"awake"


@awaited
async def test_a_failure_says_where_but_not_what_was_read(children: Children) -> None:
    with pytest.raises(Failed, match=r"^ValueError in raise_it\.py:4$"):
        await children.run("raise_it", None, limits=LIMITS)
    with pytest.raises(Failed, match="died of signal 6"):
        await children.run("die", None, limits=LIMITS)
    with pytest.raises(RuntimeError, match="no_such_module"):
        await children.run("import_nothing", None, limits=LIMITS)


@awaited
async def test_a_child_opens_only_files_that_were_given_to_it(
    children: Children, tmp_path: Path
) -> None:
    secret = tmp_path / "signing.key"
    secret.write_bytes(b"secret")
    with pytest.raises(Failed, match="PermissionError"):
        await children.run("open_it", str(secret), limits=LIMITS)
    with pytest.raises(Failed, match="PermissionError"):
        await children.run("open_it", f"/proc/{os.getpid()}/environ", limits=LIMITS)
    told = await children.run("open_it", str(secret), limits=LIMITS, readable=[tmp_path])
    assert told == b"secret"


@awaited
async def test_a_child_cannot_write_into_the_file_it_was_given(children: Children) -> None:
    with holding(b"as it came") as file:
        with pytest.raises(Failed, match="OSError"):
            await children.run("write_file", None, limits=LIMITS, files=[file])
        file.seek(0)
        assert file.read() == b"as it came"


@awaited
async def test_the_guards_hold_on_this_machine(children: Children, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"")
    argument = {"path": str(secret), "modules": ["PIL.Image", "olefile", "pypdfium2"]}
    told = await children.run("onrecord.outside.limited_probe", argument, limits=LIMITS)
    assert json.loads(told) == {"files": False, "network": False, "processes": False}


@awaited
async def test_a_child_starts_no_process_that_could_outlive_it(children: Children) -> None:
    with pytest.raises(Failed, match="PermissionError"):
        await children.run("leave_one_behind", None, limits=LIMITS)


@awaited
async def test_what_a_library_prints_is_no_answer(children: Children) -> None:
    assert await children.run("print_it", None, limits=LIMITS) == b"answer"


@awaited
async def test_an_answer_can_go_into_a_file(children: Children) -> None:
    with tempfile.TemporaryFile() as out:
        assert await children.run("say_much", 5000, limits=LIMITS, out=out) == b""
        assert out.seek(0, os.SEEK_END) == 5000
        with pytest.raises(TooMuch) as refused:
            await children.run("say_much", 10_001, limits=LIMITS, out=out)
        assert refused.value.of == "output"


@awaited
async def test_whoever_is_cancelled_leaves_no_child_behind(children: Children) -> None:
    waiting = [
        asyncio.create_task(children.run("sleep", 60, limits=Limits(90, 10**8, 100)))
        for _ in range(4)
    ]
    await until(lambda: len(living()) == 2)
    for task in waiting:
        task.cancel()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in told] == [asyncio.CancelledError] * 4
    await until(lambda: not living())


@awaited
async def test_so_many_run_at_once_and_so_many_wait(modules: Path) -> None:
    few = Children(2, waiting_most=1, importable=modules)
    tasks = [asyncio.create_task(few.run("sleep", 1, limits=LIMITS)) for _ in range(4)]
    begun = time.monotonic()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert told[:3] == [b"awake"] * 3
    assert isinstance(told[3], Refusal)
    assert told[3].code == "RX503"
    assert time.monotonic() - begun >= 2, "the third had to wait"


@awaited
async def test_a_child_that_cannot_be_started_is_no_fault_of_the_file(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(Refusal) as refused:
        await children.run("echo", None, limits=LIMITS)
    assert refused.value.code == "RX503"
