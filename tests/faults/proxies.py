"""A TCP proxy that can be cut, as when the database is away, or stalled, as when it hangs."""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Stands between a server and its database."""

    def __init__(self, url: str) -> None:
        """Lead to the database of this address."""
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._going = threading.Event()
        self._going.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        host = f"{parts.username or 'postgres'}@127.0.0.1:{self.port}"
        if parts.password:
            host = f"{parts.username}:{parts.password}@127.0.0.1:{self.port}"
        self.url = urlunsplit(parts._replace(netloc=host))

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(100)
        return listener

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Take connections again."""
        self._listener = self._listen(self.port)
        self._run(self._accept, self._listener)

    def stall(self) -> None:
        """Pass nothing on, and break nothing."""
        self._going.clear()

    def go_on(self) -> None:
        """Pass on what was held back and all that follows."""
        self._going.set()

    def _run(self, act: object, *arguments: socket.socket) -> None:
        assert callable(act)
        thread = threading.Thread(target=act, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            try:
                outer = socket.create_connection(self._target)
            except OSError:
                inner.close()
                continue
            with self._lock:
                self._open |= {inner, outer}
            self._run(self._copy, inner, outer)
            self._run(self._copy, outer, inner)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._going.wait()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._run(self._accept, self._listener)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        for connection in self._open:
            connection.close()
