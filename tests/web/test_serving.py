"""The server as a process: the demonstration, the log, an orderly end."""

import json
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from onrecord.web.serving import JsonLines


@contextmanager
def process(*words: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `onrecord …` until the block ends; end it as a person would, with an interrupt."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ONRECORD_")}
    with log.open("ab") as errors:
        running = subprocess.Popen(
            [sys.executable, "-P", "-m", "onrecord", *words],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=others,
        )
    late = threading.Timer(60, running.kill)
    late.start()
    try:
        with running:
            try:
                yield running
            finally:
                if running.poll() is None:
                    running.send_signal(signal.SIGINT)
                running.wait(30)
    finally:
        late.cancel()


def pasted(text: str) -> list[httpx.Request]:
    """Turn the curl lines of a text into requests."""
    requests = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.startswith("curl"):
            continue
        words = iter(shlex.split(line)[1:])
        headers, content, url = {}, None, ""
        for word in words:
            if word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word == "-d":
                content = next(words)
            elif word.startswith("http"):
                url = word
            elif word.endswith("w"):
                next(words)
        method = "POST" if content else "GET"
        requests.append(httpx.Request(method, url, headers=headers, content=content))
    return requests


def until(running: subprocess.Popen[str], curls: int) -> str:
    """Read what is printed until so many curl lines are whole."""
    assert running.stdout is not None
    printed = ""
    for line in running.stdout:
        printed += line
        if len(pasted(printed)) == curls and pasted(printed)[-1].url.host:
            return printed
    return printed


def test_the_demonstration_prints_four_lines_that_work(tmp_path: Path) -> None:
    directory = str(tmp_path / "demo")
    log = tmp_path / "log"
    seen = []
    for _ in range(2):  # it is furnished once and started as often as one likes
        with process("demo", "--data-dir", directory, "--port", "0", log=log) as running:
            printed = until(running, 4)
            requests = pasted(printed)
            assert len(requests) == 4, log.read_text()
            with httpx.Client(trust_env=False) as client:
                for request in requests:
                    answer = client.send(request)
                    assert answer.status_code == 200, answer.text
                    assert "onrecord" not in answer.headers.get("server", "")
                answer = client.get(str(requests[0].url.join("/openapi.json")))
                assert answer.json()["openapi"] == "3.1.0"
        assert running.returncode == 0, log.read_text()
        seen.append(requests[0].headers["x-sys-api-key-secret"])
    assert seen[0] != seen[1]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any("serving on http://127.0.0.1:" in line["message"] for line in lines)
    for secret in seen:
        assert secret not in log.read_text()


LATE = "PIL httpx stream_zip Crypto aiosmtplib asyncpg obstore prometheus_client pypdfium2"


def test_a_server_starts_without_what_it_may_never_need(tmp_path: Path) -> None:
    """Each takes time at the start and megabytes for ever; it is loaded with its first use."""
    script = (
        "import asyncio, pathlib, sys\n"
        "import onrecord.web.serving, onrecord.jobs.worker\n"
        "from onrecord import app\n"
        "from onrecord.settings import Settings\n"
        "async def main():\n"
        "    running = await app.start(Settings(data_dir=pathlib.Path(sys.argv[1])))\n"
        "    await running.stop()\n"
        "asyncio.run(main())\n"
        f"print(*[name for name in '{LATE}'.split() if name in sys.modules])\n"
    )
    command = [sys.executable, "-P", "-c", script, str(tmp_path / "data")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_an_address_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        directory = str(tmp_path / "data")
        log = tmp_path / "log"
        with process("serve", "--data-dir", directory, "--port", port, log=log) as running:
            assert running.wait(30) == 1
    assert log.read_text().splitlines()[-1].startswith("onrecord: cannot listen on 127.0.0.1")
    assert "Traceback" not in log.read_text()


def test_a_log_line_is_one_json_object() -> None:
    record = logging.LogRecord("onrecord", logging.ERROR, "", 0, "two\nlines %s", ("é",), None)
    record.created = 0.5
    record.__dict__["request_id"] = "abc"
    try:
        record.args = (1 // 0,)
    except ZeroDivisionError:
        record.exc_info = sys.exc_info()
    line = JsonLines().format(record)
    assert "\n" not in line
    read = json.loads(line)
    assert read.pop("trace").startswith("Traceback")
    assert read == {
        "at": "1970-01-01T00:00:00.500000Z",
        "level": "error",
        "logger": "onrecord",
        "message": "two\nlines é",
        "request_id": "abc",
    }
    plain = logging.LogRecord("onrecord", logging.INFO, "", 0, "plain", (), None)
    assert set(json.loads(JsonLines().format(plain))) == {"at", "level", "logger", "message"}
