"""Reading forms: in pieces of any size, to disk above one mebibyte, and not beyond the limits."""

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from onrecord.model.errors import Refusal
from onrecord.web import multipart
from onrecord.web.multipart import SPOOLED, TEXT_LIMIT, Form, Limits, read_form

LIMITS = Limits(("file",), 3 * SPOOLED)
CONTENT = b"one\r\n--two\r\n--\r\n-" * 20


def form(content: bytes = CONTENT, filename: str = "a.csv", **texts: Any) -> tuple[bytes, bytes]:
    """Give the body of a form with a file, and its content type."""
    files = {"file": (filename, content, "text/csv")}
    request = httpx.Request("POST", "http://onrecord/", data=texts, files=files)
    return request.read(), request.headers["content-type"].encode()


def receiving(body: bytes, piece: int, *, cut: bool = False) -> Callable[[], Any]:
    """Give what gives a body in pieces, as ASGI does; `cut`: the client goes before the end."""
    pieces = [body[start : start + piece] for start in range(0, len(body), piece)] or [b""]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": one, "more_body": True} for one in pieces
    ]
    messages += [{"type": "http.disconnect"}] if cut else [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return receive


TAKEN: list[Form] = []


@pytest.fixture(autouse=True)
def _closed_at_last() -> Iterator[None]:
    """Close every form, as the server does once it has answered."""
    yield
    while TAKEN:
        TAKEN.pop().close()


def taken(
    body: bytes, kind: bytes, piece: int = 65_536, limits: Limits = LIMITS, *, cut: bool = False
) -> Form:
    headers = {b"content-type": kind}
    TAKEN.append(asyncio.run(read_form(receiving(body, piece, cut=cut), headers, limits)))
    return TAKEN[-1]


def code(body: bytes, kind: bytes, **how: Any) -> str:
    with pytest.raises(Refusal) as caught:
        taken(body, kind, **how)
    return caught.value.code


@pytest.mark.parametrize("piece", [1, 2, 7, 64, 65_536])
def test_a_form_is_the_same_however_it_is_cut(piece: int) -> None:
    body, kind = form(kind="staff", many=["1", "2"], ümlaut="ö")
    read = taken(body, kind, piece)
    assert read.fields == {"kind": ["staff"], "many": ["1", "2"], "ümlaut": ["ö"]}
    upload = read.files["file"]
    assert (upload.filename, upload.content_type, upload.size) == (
        "a.csv",
        "text/csv",
        len(CONTENT),
    )
    assert upload.file.read() == CONTENT
    assert upload.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert read.digest == taken(*form(kind="staff", many=["1", "2"], ümlaut="ö")).digest
    read.close()


def test_any_difference_makes_another_form() -> None:
    forms = [
        form(),
        form(CONTENT + b"\n"),
        form(filename="b.csv"),
        form(kind="staff"),
        form(kind="clients"),
        form(other="staff"),
        form(many=["1", "2"]),
        form(many=["2", "1"]),
    ]
    digests = {taken(*one).digest for one in forms}
    assert len(digests) == len(forms)


def test_a_large_file_lies_on_disk_and_a_small_one_does_not() -> None:
    for size, on_disk in ((SPOOLED, False), (SPOOLED + 1, True)):
        read = taken(*form(b"x" * size))
        file = read.files["file"].file
        assert isinstance(file, tempfile.SpooledTemporaryFile)
        assert vars(file)["_rolled"] is on_disk
        assert len(file.read()) == size
        read.close()
        assert file.closed


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("me.png", "me.png"),
        ("C:\\Users\\me\\me.png", "me.png"),
        ("../../etc/passwd", "passwd"),
        ("a\nb\x7f.png", "ab.png"),
        ("ünïcode 😀.png", "ünïcode 😀.png"),
        ("x" * 400, "x" * 255),
        ("/", ""),
    ],
)
def test_a_file_is_called_what_it_was_called_without_folders(given: str, name: str) -> None:
    raw = given.replace("\\", "\\\\").replace("\n", "\x0b").encode()
    head = b'Content-Disposition: form-data; name="file"; filename="' + raw + b'"'
    body = b"--x\r\n" + head + b"\r\n\r\nv\r\n--x--\r\n"
    assert taken(body, b"multipart/form-data; boundary=x").files["file"].filename == name


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("filename=\"=?utf-8?B?w7wudHh0?=\"; filename*=utf-8''%C3%BC.txt", "ü.txt"),  # .NET
        ("filename=a.txt; filename*=utf-8''a.txt", "a.txt"),
        ('filename="=?utf-8?B?w7wudHh0?="', "ü.txt"),
        ('filename="=?utf-8?B?w7?="', "=?utf-8?B?w7?="),
        ("filename*=UTF-8''%C3%BC%20b.txt", "ü b.txt"),
        ("FileName*=iso-8859-1'en'%FC.txt", "ü.txt"),
        ("filename*=utf-8''%FF.txt", "\ufffd.txt"),
        ("filename*=utf-8''..%2F..%2Fetc%2Fpasswd%00", "passwd"),
        ("filename=\"a.txt\"; filename*=klingon''b.txt", "a.txt"),
        ('filename="a.txt"; filename*=b.txt', "a.txt"),
        ("filename=\"a; filename*=utf-8''b.txt\"", "a; filename*=utf-8''b.txt"),
    ],
)
def test_names_are_read_in_each_way_in_which_clients_write_them(told: str, name: str) -> None:
    head = f'Content-Disposition: form-data; name="file"; {told}'.encode()
    body = b"--x\r\n" + head + b"\r\n\r\nv\r\n--x--\r\n"
    assert taken(body, b"multipart/form-data; boundary=x").files["file"].filename == name


def test_a_file_and_the_rest_have_each_their_limit() -> None:
    assert taken(*form(b"x" * LIMITS.file_bytes)).files["file"].size == LIMITS.file_bytes
    assert code(*form(b"x" * (LIMITS.file_bytes + 1))) == "RB016"
    assert code(*form(text="x" * (TEXT_LIMIT + 1))) == "RB024"
    body, kind = form()
    epilogue = b"-" * (LIMITS.body_bytes + 1)
    assert code(body + epilogue, kind) in {"RB024", "RB001"}


def test_whoever_goes_or_falls_silent_before_the_end_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body, kind = form(b"x" * 100_000)
    assert code(body, kind, cut=True) == "RB001"
    assert code(body[:-10], kind) == "RB001"
    assert code(body[:50_000], kind) == "RB001"

    async def silent() -> Any:
        await asyncio.Event().wait()

    for name in ("STALLED_SECONDS", "UPLOAD_SECONDS"):
        with monkeypatch.context() as patch:
            patch.setattr(multipart, name, 0.01)
            with pytest.raises(Refusal) as caught:
                asyncio.run(read_form(silent, {b"content-type": kind}, LIMITS))
        assert caught.value.code == "RB001"


def test_nothing_is_left_open_after_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    make = tempfile.SpooledTemporaryFile

    def remembered(**how: Any) -> Any:
        opened.append(make(**how))
        return opened[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", remembered)
    body, kind = form(b"x" * (SPOOLED * 2), "first.csv")
    assert code(body, kind, cut=True) == "RB001"
    assert code(body[:-10], kind) == "RB001"
    assert code(*form(b"x" * (LIMITS.file_bytes + 1))) == "RB016"
    assert len(opened) == 3
    assert all(one.closed for one in opened)
