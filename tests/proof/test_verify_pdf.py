"""Transcripts: the seal behind the end of a PDF, and the record embedded in it."""

import random
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord.proof import pdf, verify, verify_pdf
from onrecord.proof.report import WrongError
from onrecord.proof.statements import Judge
from tests.proof import files, sealing
from tests.proof.sealing import CHATS, ORIGIN, SIGNER, STRANGER
from tests.proof.test_verify_chat import MUTATIONS, problem_of, report_on

CHAT, OTHER = CHATS


def record() -> bytes:
    return sealing.chat_of(sealing.small_record(), CHAT)


def test_a_transcript_holds_by_its_seal_and_the_record_within(tmp_path: Path) -> None:
    report = report_on(files.sealed_pdf(files.pdf(record())), tmp_path, [SIGNER.key])
    assert report.ok, report.problem
    assert (report.kind, report.origin, report.as_of) == ("transcript", ORIGIN, 11)
    assert report.trusted is True
    assert report.counts["entries"] == 5
    told = "\n".join(report.told())
    assert "checked      the embedded record: the root: recomputed" in told
    assert "that the pages show what the record says: that rests on the seal" in told


@pytest.mark.parametrize(
    "how",
    [
        {"facts": "", "packed": record()},
        {"facts": "/Filter[/FlateDecode]"},
        {"objects": {1: "<</Type/Catalog/Names 7 0 R>>", 7: (
            "<< /EmbeddedFiles\n<< /Names [ (records.jsonl) %x\r4 0 R ] >> >>"
        )}},
    ],
)  # fmt: skip
def test_other_ways_to_write_the_same_are_understood(tmp_path: Path, how: dict[str, Any]) -> None:
    report = report_on(files.sealed_pdf(files.pdf(record(), **how)), tmp_path)
    assert report.ok, report.problem


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"name": "(record.jsonl)"}, "its embedded file is not (records.jsonl)"),
        ({"name": "(a)5 0 R(b)"}, "it has not exactly one embedded file"),
        ({"facts": "/Filter/LZWDecode"}, "packed in a way that is not known"),
        ({"facts": "/Filter/FlateDecode/DecodeParms<<>>"}, "packed in a way that is not known"),
        ({"facts": "/Filter/FlateDecode/F(x)"}, "packed in a way that is not known"),
        ({"facts": "/Filter/FlateDecode/Filter/A"}, "is not in order"),
        ({"length": "6 0 R"}, "the length of its embedded file is not stated in place"),
        ({"length": "3"}, "does not end where it says"),
        ({"length": "99999999"}, "does not end where it says"),
        ({"length": "-1"}, "the length of its embedded file is not stated in place"),
        ({"packed": b"xxxx"}, "the embedded file is damaged"),
        ({"packed": zlib.compress(record())[:-4]}, "does not end where its bytes end"),
        ({"packed": zlib.compress(record()) + b"x"}, "does not end where its bytes end"),
        ({"facts": ""}, "the embedded record: line 1"),
        ({"objects": {1: "<</Type/Catalog>>"}}, "a dictionary is missing on the way"),
        ({"objects": {1: "<</Names(x)>>"}}, "a dictionary is missing on the way"),
        ({"objects": {1: "<</Names 99 0 R>>"}}, "an object that is not there"),
        ({"objects": {1: "<</Names 0 0 R>>"}}, "object 0 is not where the table says"),
        ({"objects": {4: "<</EF<</F 6 0 R>>>>"}}, "what is named as its embedded file is none"),
        ({"objects": {4: "<</EF<</UF 5 0 R>>>>"}}, "an object that is not there"),
        ({"objects": {4: "<</EF"}}, "is not in order"),
        ({"objects": {4: "<<(EF)1>>"}}, "is not in order"),
        ({"objects": {4: "[" * 99}}, "too large or nested too deep"),
        ({"objects": {4: "[" + "1 " * 10**5 + "]"}}, "too large or nested too deep"),
        ({"objects": {4: "<</EF("}}, "the string at byte"),
        ({"objects": {4: "{}"}}, "there is no value at byte"),
    ],
)
def test_a_document_of_another_making_is_refused_not_guessed_at(
    tmp_path: Path, how: dict[str, Any], named: str
) -> None:
    assert named in problem_of(files.sealed_pdf(files.pdf(record(), **how)), tmp_path)


def test_a_document_without_its_table_is_refused(tmp_path: Path) -> None:
    whole = files.pdf(record())
    for old, new, named in (
        (b"startxref\n", b"startxerf\n", "no table of objects where its end says"),
        (b"xref\n0 7", b"xerf\n0 7", "no table of objects where its end says"),
        (b"xref\n0 7", b"xref\n0 6", "not followed by a trailer"),
        (b"0 obj\n<</Type/Catalog", b"1 objj<</Type/Catalog", "object 1 is not where"),
    ):
        changed = files.sealed_pdf(whole.replace(old, new))
        assert named in problem_of(changed, tmp_path)


def test_the_seal_must_be_the_one_of_this_document(tmp_path: Path) -> None:
    document = files.pdf(record())
    for text, named in (
        (lambda s: s.text("chat", ORIGIN, 11), "is that of another file: chat of"),
        (lambda s: s.text("transcript", ORIGIN, 12), "as of 12"),
        (lambda s: s.text("transcript", "other", 11), "transcript of other"),
        (lambda s: s.text("transcript", ORIGIN, 11) + "\n", "the six lines of a seal"),
    ):
        assert named in problem_of(files.sealed_pdf(document, text=text), tmp_path)
    stranger = files.sealed_pdf(document, signer=STRANGER)
    assert "a key that is not known" in problem_of(stranger, tmp_path)
    report = report_on(files.sealed_pdf(document), tmp_path, [STRANGER.key])
    assert (report.ok, report.trusted) == (False, False)


def test_a_record_of_another_position_or_that_is_wrong_is_named(tmp_path: Path) -> None:
    other = sealing.small_record()
    other.add("group.created", {"name": "x"})
    document = files.pdf(sealing.chat_of(other, CHAT))
    assert "as of 11" in problem_of(files.sealed_pdf(document), tmp_path)
    assert report_on(files.sealed_pdf(document, 12), tmp_path).ok
    wrong = record().replace(b"Papers", b"Pavers")
    problem = problem_of(files.sealed_pdf(files.pdf(wrong)), tmp_path)
    assert problem == (
        "the embedded record: line 6 (position 11): its part 'text' does not hash to what the"
        " entry says"
    )


def test_the_end_of_the_file_is_the_seal_and_nothing_else(tmp_path: Path) -> None:
    whole = files.sealed_pdf(files.pdf(record()))
    end = whole.rindex(b"\n%%EOF\n") + 7
    assert "ends without a seal" in problem_of(whole[:end], tmp_path)
    assert "ends without a seal" in problem_of(whole[: end - 7], tmp_path)
    for more in (b"\n", b"x", b"%", b"%\r\n", b"% \n"):
        problem_of(whole + more, tmp_path)
    assert "not a seal in comment lines" in problem_of(whole[:-1], tmp_path)
    assert "is not in UTF-8" in problem_of(whole + b"%\xff\n", tmp_path)


def test_a_record_that_would_unpack_without_end_is_not_unpacked(tmp_path: Path) -> None:
    bomb = zlib.compress(b"x" * 2**25, 9)
    problem = problem_of(files.sealed_pdf(files.pdf(b"", packed=bomb)), tmp_path)
    assert problem == "the embedded record: line 1: the line is longer than 1 MiB"


def test_a_document_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_pdf, "SIZE_LIMIT", 10)
    judge = Judge((), verify.Report())
    with pytest.raises(WrongError, match="larger than 10 bytes"):
        verify_pdf.verify(b"%PDF-1.7 xx", judge)


@pytest.mark.timeout(1800)
def test_any_change_anywhere_fails_and_is_named(tmp_path: Path) -> None:
    data = files.sealed_pdf(files.pdf(record()))
    chance = random.Random(20261123)  # noqa: S311  # the same changes on every run
    for _ in range(MUTATIONS):
        at = chance.randrange(len(data))
        changed = chance.choice(
            [
                data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
                data[:at] + data[at + 1 :],
                data[:at] + bytes([chance.randrange(256)]) + data[at:],
                data[:at],
            ]
        )
        problem_of(changed, tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_refused(data: bytes) -> None:
    for document in (data, b"xref\n0 1\n" + data + b"\nstartxref\n0\n%%EOF"):
        with pytest.raises(ValueError, match=" "):
            pdf.embedded_file(document)


def test_every_byte_of_the_way_to_the_file_may_be_another(tmp_path: Path) -> None:
    """Whoever holds the key may seal anything: that too is answered, never with a traceback."""
    whole = files.pdf(record())
    chance = random.Random(7)  # noqa: S311  # the same changes on every run
    for _ in range(MUTATIONS):
        at = chance.randrange(len(whole))
        changed = whole[:at] + bytes([chance.choice(b"<>[]()/R 0159%\n\\s")]) + whole[at + 1 :]
        path = tmp_path / "changed.pdf"
        path.write_bytes(files.sealed_pdf(changed))
        report = verify.verify(path)
        assert report.ok or report.problem
