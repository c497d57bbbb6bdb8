"""Names of files: what is kept of them, and what any system can write down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord.model import filenames


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("letter.pdf", "letter.pdf"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a/", ""),
        ("..", ""),
        (" . ", ""),
        ("a\r\nb\tc.pdf", "abc.pdf"),
        ("\u202egpj.exe", "gpj.exe"),
        ("\u2066x\u2069\u200f\u061c.pdf", "x.pdf"),
        ("\ud800.pdf", ".pdf"),
        ("  two  words .pdf ", "two  words .pdf"),
        ("é" * 300 + ".pdf", "é" * 251 + ".pdf"),
        ("x" * 300, "x" * 255),
        ("x." + "y" * 300, "x." + "y" * 253),
    ],
)
def test_a_name_is_cleaned(name: str, kept: str) -> None:
    assert filenames.cleaned(name) == kept


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.PDF", "pdf"), ("a.tar.gz", "gz"), ("a", ""), (".pdf", ""), ("a.", "")],
)
def test_the_ending_stands_behind_the_last_dot(name: str, ending: str) -> None:
    assert filenames.ending_of(name) == ending


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("nul", "_nul"),
        ("NUL.txt", "_NUL.txt"),
        ("Com¹.txt", "_Com¹.txt"),
        ("nullable.txt", "nullable.txt"),
        ("a:b<c>.txt", "a_b_c_.txt"),
        ("ends with a dot.", "ends with a dot"),
        (".bashrc", "_bashrc"),
        ("-o file", "_o file"),
        ("", "file"),
        ("%2e%2e", "_2e_2e"),
        ("é" * 251 + ".pdf", "é" * 125 + ".pdf"),
        ("😀" * 255, "😀" * 63),
        ("a" + "😀" * 250 + ". .pdf", "a" + "😀" * 62 + ".pdf"),
        ("。" * 90 + "." + "文" * 16, "。" * 68 + "." + "文" * 16),
    ],
    ids=lambda one: ascii(one)[:30],
)
def test_a_name_is_made_safe_for_any_system(name: str, safe: str) -> None:
    assert filenames.safe(name) == safe


@given(st.text(max_size=400))
def test_no_name_gets_out_of_its_folder_or_breaks_a_header(name: str) -> None:
    kept = filenames.cleaned(name)
    assert len(kept) <= filenames.LONGEST
    assert filenames.cleaned(kept) == kept
    safe = filenames.safe(name)
    assert safe
    assert not set(safe) & set('/\\\0\r\n"<>|:*?%')
    assert safe[0] not in ".-"
    assert safe[-1] not in ". "
    assert len(safe.encode()) <= filenames.BYTES_MOST
    told = filenames.disposition(name)
    assert told.isascii()
    assert told.startswith('attachment; filename="')
    assert told.count('"') == 2
    assert not set(told) & set("\r\n\0\\")
