"""Running the server: uvicorn around the ASGI application, until it is told to stop."""

import gc
import json
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final

import uvicorn
import uvloop

from onrecord import app as composition
from onrecord.app import App
from onrecord.model import times
from onrecord.settings import Settings
from onrecord.web.connection import Connection
from onrecord.web.rows import ROWS
from onrecord.web.server import Server

STOP_SECONDS: Final = 10
"""How long requests that run may take to finish when the server is told to stop."""


class JsonLines(logging.Formatter):
    """One JSON object a line. Nothing logged holds a secret or the text of a message."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        line: dict[str, Any] = {
            "at": times.wire(int(record.created * times.SECOND)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = getattr(record, "request_id", None)
        if request_id is not None:
            line["request_id"] = request_id
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr(level: str) -> None:
    """Log JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))


class _Uvicorn(uvicorn.Server):
    """uvicorn, telling the app to let go of long polls as soon as it is told to stop."""

    app: App

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop at SIGINT and SIGTERM.

        uvicorn would raise the signal once more in the end, which ends the process before the app
        has stopped in good order.
        """
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: Any = None) -> None:
        """Let waiting readers answer what they have, then shut down in the usual order."""
        self.app.stopping = True
        self.app.bell.ring_all()
        await super().shutdown(sockets)


Furnish = Callable[[App, str], Awaitable[None]]
RunJobs = Callable[[App], Coroutine[Any, Any, None]]


def serve(
    settings: Settings, furnish: Furnish | None = None, run_jobs: RunJobs | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; `furnish` is run before the first request.

    `run_jobs` runs beside the requests; without it jobs wait for another process.

    Raises what `app.start` raises, and OSError when the address cannot be listened on.
    """
    log_to_stderr(settings.log_level)
    with suppress(KeyboardInterrupt):
        uvloop.run(_serve(settings, furnish, run_jobs))


def _listen(host: str, port: int) -> socket.socket:
    """Bind the address; OSError, naming it, when that cannot be done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def _calm_the_collector() -> None:
    """Let the garbage collector leave alone what lives as long as the server, and come less often.

    Requests make hundreds of objects that reference counting frees by itself; at the default
    thresholds the collector took an eighth of the time of sending a text.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _serve(settings: Settings, furnish: Furnish | None, run_jobs: RunJobs | None) -> None:
    async with composition.running(settings) as running:
        config = uvicorn.Config(
            Server(running, ROWS),
            host=settings.host,
            port=settings.port,
            http=Connection,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_keep_alive=75,
            backlog=2048,
        )
        listener = _listen(settings.host, settings.port)
        listener.listen(config.backlog)  # whoever reads the line below may connect at once
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        running.address = address
        running.start_jobs(run_jobs)
        if furnish is not None:
            await furnish(running, address)
        logging.getLogger("onrecord").info("serving on %s", address)
        if not (running.can_mail or running.can_text):
            logging.getLogger("onrecord").warning(
                "neither mail nor texts are set: `onrecord account code` shows codes for signing in"
            )
        _calm_the_collector()
        server = _Uvicorn(config)
        server.app = running
        await server.serve(sockets=[listener])
