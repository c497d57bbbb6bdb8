"""Where the bytes of attachments lie: in a directory, or in a bucket that speaks S3.

Names are our own making, `<entity_uuid>/<uuid>` with or without an ending. What was put is durable
when `put` returns, and what was put in part is never found under its name.
"""

import asyncio
import contextlib
import errno
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.ports import Files
from onrecord.settings import Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Store

PIECE: Final = 256 * 1024
"""Bytes given out in one go."""
RANGE: Final = 4 * 1024 * 1024
"""Bytes asked of a bucket in one go: a slow reader holds no connection to it."""
PART: Final = 8 * 1024 * 1024
"""Bytes of one part of a larger upload to a bucket."""
PARTS_AT_ONCE: Final = 3
RETRIES: Final = 3
"""How often a bucket is asked again that does not answer, within 20 seconds."""
SHORT: Final = ".part"
"""The ending of what is not written whole."""

_NAME: Final = re.compile(r"[0-9a-f-]{36}/[0-9a-f-]{36}(\.[a-z]+)?")

log = logging.getLogger(__name__)


def files_of(settings: Settings) -> Files:
    """Give the storage that the settings name; without any, `files` in the data directory."""
    parts = urlsplit(settings.files_url)
    if parts.scheme == "s3":
        return BucketFiles(settings.files_url)
    if parts.scheme == "file":
        return DiskFiles(Path(unquote(parts.path)))
    return DiskFiles(settings.data_dir / "files")


def _checked(name: str) -> str:
    """Give the name back; anything else than what we make is a programming error."""
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no name of a file"
        raise ValueError(msg)
    return name


def _away(act: str, error: Exception) -> Refusal:
    """Say in the log why storage fails, and to the caller that it does."""
    log.error("files: %s: %s", act, error)
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return Refusal("RX503", "There is no room for files" if full else "Files are not at hand now")


class DiskFiles:
    """Files in a directory, each organisation's in one of its own; nobody else may look inside."""

    def __init__(self, root: Path) -> None:
        """Use a directory, which is made with the first file."""
        self._root = root

    async def put(self, name: str, source: IO[bytes]) -> None:
        """Write under a name of its own, sync, rename, sync the directory; RX503."""
        path = self._path(name)
        try:
            await asyncio.to_thread(_write, self._root, path, source)
        except OSError as error:
            raise _away("put", error) from error

    def _path(self, name: str) -> Path:
        return self._root / _checked(name)

    async def size(self, name: str) -> int | None:
        """Give how many bytes there are under a name; RX503 when the directory is away."""
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _away("size", error) from error

    async def pieces(
        self, name: str, first: int = 0, last: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes from `first` to `last`; raises FileNotFoundError."""
        file = await asyncio.to_thread(self._path(name).open, "rb", buffering=0)
        with file:
            file.seek(first)
            left = None if last is None else last - first + 1
            while left is None or left > 0:
                most = PIECE if left is None else min(PIECE, left)
                piece = await asyncio.to_thread(file.read, most)
                if not piece:
                    return
                yield piece
                left = None if left is None else left - len(piece)

    async def delete(self, name: str) -> None:
        """Delete what is there, whole or in part; RX503 when that cannot be done."""
        path = self._path(name)
        try:
            for one in (path, path.with_name(path.name + SHORT)):
                one.unlink(missing_ok=True)
        except OSError as error:
            raise _away("delete", error) from error

    async def names(self) -> AsyncIterator[tuple[str, int]]:
        """Give everything that is stored whole, folder by folder."""
        for found in await asyncio.to_thread(lambda: sorted(self._root.glob("*/"))):
            for name, at in await asyncio.to_thread(_in_folder, found):
                yield name, at


def _in_folder(folder: Path) -> list[tuple[str, int]]:
    with os.scandir(folder) as entries:
        found = {f"{folder.name}/{one.name}": one.stat().st_mtime_ns // 1000 for one in entries}
    return [
        (name, at)
        for name, at in sorted(found.items())
        if _NAME.fullmatch(name) and not name.endswith(SHORT)
    ]


def _write(root: Path, path: Path, source: IO[bytes]) -> None:
    """Write a file whole or not at all; what was begun is gone when it fails."""
    _make_folder(root)
    _make_folder(path.parent)
    short = path.with_name(path.name + SHORT)
    try:
        descriptor = os.open(short, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            source.seek(0)
            shutil.copyfileobj(source, file, PIECE)
            file.flush()
            os.fsync(file.fileno())
        short.rename(path)
        _sync(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            short.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        raise


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BucketFiles:
    """Files in a bucket of a storage that speaks S3.

    `s3://bucket/prefix`; `?endpoint=` and `&region=` may follow. Who may use the bucket stands in
    AWS_ACCESS_KEY_ID and the like, which obstore reads by itself.
    """

    def __init__(self, url: str) -> None:
        """Remember where it is; the first use connects."""
        self._url = url
        self._made: S3Store | None = None

    @property
    def _store(self) -> "S3Store":
        if self._made is None:
            # Loaded with the first file: most installations keep them on disk.
            from obstore.store import S3Store  # noqa: PLC0415 - as the line above says

            parts = urlsplit(self._url)
            asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            config: S3Config = {"virtual_hosted_style_request": False} if asked else {}
            if "region" in asked:
                config["region"] = asked["region"]
            client: ClientConfig = {"timeout": "60s", "connect_timeout": "10s"}
            if "endpoint" in asked:
                config["endpoint"] = asked["endpoint"]
                client["allow_http"] = asked["endpoint"].startswith("http://")
            retry: RetryConfig = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=20)}
            self._made = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=config,
                client_options=client,
                retry_config=retry,
            )
        return self._made

    async def put(self, name: str, source: IO[bytes]) -> None:
        """Store the whole of the source; a bucket shows it when it is there whole. RX503."""

        async def parts() -> AsyncIterator[bytes]:
            source.seek(0)
            while piece := await asyncio.to_thread(source.read, PART):
                yield piece

        await self._ask(
            "put",
            "put_async",
            _checked(name),
            parts(),
            use_multipart=True,
            chunk_size=PART,
            max_concurrency=PARTS_AT_ONCE,
        )

    async def _ask(self, act: str, call: str, name: str, *values: Any, **more: Any) -> Any:
        """Ask the bucket; RX503 for all that fails but what is not there (FileNotFoundError)."""
        import obstore  # noqa: PLC0415 - late, as in `_store`
        from obstore.exceptions import BaseError  # noqa: PLC0415 - late, as in `_store`

        try:
            return await getattr(obstore, call)(self._store, name, *values, **more)
        except FileNotFoundError:
            raise
        except (BaseError, OSError, ValueError) as error:
            raise _away(act, error) from error

    async def size(self, name: str) -> int | None:
        """Give how many bytes there are under a name; RX503 when the bucket is away."""
        try:
            about = await self._ask("size", "head_async", _checked(name))
        except FileNotFoundError:
            return None
        return int(about["size"])

    async def pieces(
        self, name: str, first: int = 0, last: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes from `first` to `last`; raises FileNotFoundError."""
        if last is None:
            about = await self._ask("size", "head_async", _checked(name))
            last = int(about["size"]) - 1
        for start in range(first, last + 1, RANGE):
            end = min(start + RANGE, last + 1)
            found = await self._ask("get", "get_range_async", _checked(name), start=start, end=end)
            view = memoryview(found)
            for place in range(0, len(view), PIECE):
                yield bytes(view[place : place + PIECE])

    async def delete(self, name: str) -> None:
        """Delete what is there; RX503 when that cannot be done."""
        with contextlib.suppress(FileNotFoundError):
            await self._ask("delete", "delete_async", _checked(name))

    async def names(self) -> AsyncIterator[tuple[str, int]]:
        """Give everything that is stored, a thousand to a question."""
        async for page in self._store.list():
            for one in page:
                if _NAME.fullmatch(one["path"]):
                    yield one["path"], int(one["last_modified"].timestamp() * times.SECOND)
