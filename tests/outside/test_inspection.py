"""What is found in files: their type, and whatever is refused."""

import asyncio
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import pikepdf
import pytest

from onrecord.model import files
from onrecord.model.errors import Refusal
from onrecord.model.filenames import ending_of
from onrecord.outside import inspection, inspection_child
from onrecord.outside.inspection import ChildInspector
from onrecord.outside.limited import Limits
from tests import samples

INSPECTOR = ChildInspector()
ZIP = samples.zipped({"a.txt": b"hello"})
PROTECTED = "The file is password-protected or encrypted"
DAMAGED = "The file is damaged"
TWO = "The file is two files in one"
BOMB = "The file unpacks to far more than it may"
MACROS = "The file holds macros"


def inspected(data: bytes, name: str) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        return asyncio.run(INSPECTOR.inspect(file, name))


def refused(data: bytes, name: str) -> str:
    with pytest.raises(Refusal) as refusal:
        inspected(data, name)
    assert refusal.value.code == "RB016"
    return refusal.value.detail


def other(ending: str) -> str:
    return f"The name ends in .{ending}, but the file holds something else"


@pytest.mark.parametrize("name", samples.honest())
def test_a_file_of_each_type_is_what_its_name_says(name: str) -> None:
    data, content_type = samples.honest()[name]
    assert inspected(data, name) == content_type


def test_there_is_a_sample_of_every_ending_and_a_meaning_of_every_form() -> None:
    assert {ending_of(name) for name in samples.honest()} == set(files.BY_ENDING)
    assert {row.form for row in files.TYPES} == set(files.FORMS)


def test_by_default_nothing_is_taken_that_may_hold_programs_or_files_of_any_type() -> None:
    assert set(files.BY_ENDING) - set(files.DEFAULT_ENDINGS) == {
        *("zip", "eml", "msg", "docm", "xlsm", "pptm")
    }
    assert files.type_of("zip") is None
    assert files.type_of("zip", ["zip", "exe"]) == files.BY_ENDING["zip"]
    assert files.type_of("exe", ["zip", "exe"]) is None
    assert files.type_of("pdf", ["zip"]) is None


@pytest.mark.parametrize(
    "name", ["a.html", "a.svg", "a.exe", "a.js", "a.sh", "a.jar", "a.lnk", "a.pdf.exe", "a.xml"]
)
def test_programs_and_pages_are_never_taken(name: str) -> None:
    ending = name.rpartition(".")[2]
    assert refused(b"whatever it holds", name) == f"Files that end in .{ending} are not taken"


@pytest.mark.parametrize("name", ["noending", ".pdf", "a.", "a." + "x" * 17])
def test_a_name_without_an_ending_tells_no_type(name: str) -> None:
    assert refused(samples.pdf(), name) == "The file's name has no ending that tells its type"


PROGRAM = b"MZ\x90\0\x03\0\0\0" + bytes(200) + b"This program cannot be run in DOS mode"
PAGE = b"<!doctype html><script>alert(1)</script>"
BINARY_ENDINGS = sorted({row.endings[0] for row in files.TYPES if row.form != "text"})


ONE_OF_EACH_FORM = sorted({row.form: row.endings[0] for row in files.TYPES}.values())


@pytest.mark.parametrize("ending", ONE_OF_EACH_FORM)
def test_a_program_is_not_taken_under_any_name(ending: str) -> None:
    assert refused(PROGRAM, f"invoice.{ending}") == other(ending)


def test_a_page_for_a_browser_is_taken_as_plain_text_alone() -> None:
    assert inspected(PAGE, "invoice.txt") == "text/plain"
    for ending in ("pdf", "docx", "xls", "png", "heic", "mp4", "rtf", "ics", "zip"):
        assert refused(PAGE, f"invoice.{ending}") == other(ending)


def test_an_empty_file_is_refused() -> None:
    for ending in ("pdf", "docx", "doc", "txt", "zip"):
        assert refused(b"", f"a.{ending}") == "The file is empty"


@pytest.mark.parametrize(
    ("name", "endings"),
    [
        ("letter.pdf", "txt jpg docx doc"),
        ("a.docx", "xlsx doc odt pdf txt"),
        ("a.doc", "xls ppt docx pdf msg"),
        ("a.png", "jpg gif heic pdf txt"),
        ("a.heic", "avif mp4 mov m4a jpg"),
        ("a.mp4", "heic webm mp3 avif"),
        ("a.mov", "mp4 m4a"),
        ("a.wav", "webp mp3 ogg"),
        ("a.zip", "docx odt"),
        ("a.txt", "md.zip ics vcf bmp"),
    ],
)
def test_one_type_under_the_name_of_another_is_refused(name: str, endings: str) -> None:
    for ending in endings.split():
        assert refused(samples.honest()[name][0], f"a.{ending}") == other(ending.split(".")[-1])


# -- encrypted -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encryption",
    [
        pikepdf.Encryption(owner="quay", user="quay"),
        pikepdf.Encryption(owner="quay", user=""),
        pikepdf.Encryption(owner="", user=""),
        pikepdf.Encryption(owner="quay", user="", R=4, aes=False, metadata=False),
        pikepdf.Encryption(owner="quay", user="quay", R=2, aes=False, metadata=False),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pikepdf warns of the old kinds
def test_an_encrypted_pdf_is_refused_also_one_that_opens_without_a_password(
    encryption: pikepdf.Encryption,
) -> None:
    assert refused(samples.pdf(encryption=encryption), "a.pdf") == PROTECTED


def test_office_documents_under_a_password_are_refused() -> None:
    for ending in ("docx", "xlsx", "pptx", "docm", "doc", "xls"):
        assert refused(samples.office_with_password(), f"a.{ending}") == PROTECTED
    assert refused(samples.doc(encrypted=True), "a.doc") == PROTECTED
    assert refused(samples.xls(encrypted=True), "a.xls") == PROTECTED
    assert refused(samples.ppt(encrypted=True), "a.ppt") == PROTECTED
    assert refused(samples.open_document("text", encrypted=True), "a.odt") == PROTECTED


def test_an_archive_with_an_encrypted_file_is_refused_also_one_within() -> None:
    plain = samples.zipped({"a.txt": b"hello", "b.txt": b"hello"})
    for archive in (
        samples.flagged(plain, local=1, central=1),
        samples.flagged(plain, local=1),
        samples.flagged(plain, central=1),
        samples.flagged(plain, local=0x41, central=0x41),
    ):
        assert refused(archive, "a.zip") == PROTECTED
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            within = samples.zipped({"c.zip": archive}, method)
            assert refused(within, "a.zip") == PROTECTED
    document = samples.office("docx", **{"word/embeddings/a.zip": archive})
    assert refused(document, "a.docx") == PROTECTED
    assert refused(samples.flagged(samples.office("xlsx"), local=1, central=1), "a.xlsx") == (
        PROTECTED
    )


# -- bombs ---------------------------------------------------------------------------------------


def test_an_archive_that_unpacks_to_far_more_is_refused_whatever_it_says() -> None:
    assert refused(samples.zipped({"a": bytes(100 * 1024**2)}), "a.zip") == BOMB
    assert refused(samples.claiming(samples.zipped({"a": bytes(1000)}), 10), "a.zip") == BOMB
    assert (
        refused(samples.claiming(samples.zipped({"a": bytes(100 * 1024**2)}), 10), "a.zip") == BOMB
    )
    much = samples.claiming(samples.zipped({"a": os.urandom(6 * 1024**2)}), 1100 * 1024**2)
    assert refused(much, "a.zip") == BOMB
    document = samples.office("docx", **{"word/media/a.png": bytes(100 * 1024**2)})
    assert refused(document, "a.docx") == BOMB


def test_an_archive_whose_files_overlap_is_refused() -> None:
    assert refused(samples.overlapping(), "a.zip") == "The files in it overlap"


def test_archives_within_archives_are_looked_into_to_the_third() -> None:
    within = samples.zipped({"a.txt": b"hello"})
    for _ in range(2):
        within = samples.zipped({"a.zip": within})
    assert inspected(within, "a.zip") == "application/zip"
    too_deep = samples.zipped({"a.zip": within})
    assert refused(too_deep, "a.zip") == ("The file holds archives within archives within archives")


def test_an_archive_of_more_than_ten_thousand_files_is_refused() -> None:
    most = samples.zipped({f"{number}": b"" for number in range(10_000)})
    assert inspected(most, "a.zip") == "application/zip"
    more = samples.zipped({f"{number}": b"" for number in range(10_001)})
    assert refused(more, "a.zip") == "The file holds more than 10,000 files"
    assert refused(samples.zipped({"a.zip": most, "b": b""}), "a.zip") == (
        "The file holds more than 10,000 files"
    )


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    for data, name in (
        (samples.huge_png(60_000, 60_000), "a.png"),
        (samples.heic(60_000, 60_000), "a.heic"),
    ):
        assert refused(data, name) == "The picture has 60000 x 60000 pixels, that is too many"
    assert inspected(samples.huge_png(12_000, 9_000), "a.png") == "image/png"


# -- archives that mean to do harm ---------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "/etc/passwd", "..\\a", "C:\\a", "c:a", "\\\\server\\a"]
)
def test_an_archive_with_a_path_that_leads_out_is_refused(name: str) -> None:
    archive = samples.zipped({"a": b"", name: b""})
    assert refused(archive, "a.zip") == "The archive holds a path that leads out of its folder"


def test_an_archive_with_a_link_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("a")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert refused(out.getvalue(), "a.zip") == "The archive holds a link"


def test_an_archive_that_two_programs_could_read_in_two_ways_is_refused() -> None:
    renamed = ZIP.replace(b"a.txt", b"b.exe", 1)
    for data in (renamed, ZIP + b"more", ZIP[:-1], ZIP[:40] + b"\0" + ZIP[41:]):
        assert refused(data, "a.zip") == DAMAGED
    two_directories = samples.zipped({"b.txt": ZIP}, zipfile.ZIP_STORED)
    assert inspected(two_directories, "a.zip") == "application/zip"
    assert refused(b"x" + ZIP, "a.zip") == other("zip")
    assert refused(ZIP + ZIP, "a.zip") == DAMAGED


def test_an_archive_packed_in_another_way_is_refused() -> None:
    archive = samples.zipped({"a": b"hello"}, zipfile.ZIP_BZIP2)
    assert refused(archive, "a.zip") == "The file is packed in a way that cannot be looked into"


# -- two files in one ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a.gif", "a.jpg", "a.png", "a.mp3", "a.mp4", "a.rtf", "a.doc", "letter.pdf"]
)
def test_a_file_with_an_archive_at_its_end_is_refused(name: str) -> None:
    assert refused(samples.honest()[name][0] + ZIP, name) == TWO


def test_an_archive_hidden_in_the_middle_of_a_pdf_is_refused() -> None:
    plain = samples.pdf()
    out = io.BytesIO(plain)
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a") as archive:  # its directory counts from the PDF's first byte
        archive.writestr("a.txt", b"hello")
    assert refused(out.getvalue() + b"\n%%EOF\n", "a.pdf") == TWO


def test_a_pdf_may_have_an_archive_as_an_attachment() -> None:
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.attachments["a.docx"] = samples.office("docx")
        document.save(out, compress_streams=False)
    assert inspected(out.getvalue(), "a.pdf") == "application/pdf"


def test_a_file_that_is_a_pdf_too_is_refused() -> None:
    for name in ("a.gif", "a.mp3", "a.rtf"):
        data = samples.honest()[name][0]
        assert refused(data[:50] + b"%PDF-1.7\n" + data[50:], name) == TWO
    assert refused(samples.office("docx", **{"%PDF-1.7": samples.pdf()}), "a.docx") == TWO


def test_a_pdf_begins_with_its_first_byte() -> None:
    assert refused(b"\n" + samples.pdf(), "a.pdf") == other("pdf")
    assert refused(samples.pdf().split(b"obj")[0], "a.txt") == other("txt")


def test_our_own_seal_may_follow_the_end_of_a_pdf() -> None:
    sealed = samples.pdf() + b"%onrecord-seal/v1\n%transcript\n%\n"
    assert inspected(sealed, "a.pdf") == "application/pdf"


# -- documents -----------------------------------------------------------------------------------


def test_macros_are_taken_only_under_the_names_that_say_so() -> None:
    for ending in ("docx", "xlsx", "pptx"):
        with_macros = samples.office(ending, **{"word/vbaProject.bin": b"macros"})
        assert refused(with_macros, f"a.{ending}") == MACROS
        of_that_kind = samples.office(f"{ending[:3]}m")
        assert refused(of_that_kind, f"a.{ending}") == MACROS
    with_macros = samples.office("xlsm", **{"xl/vbaProject.bin": b"macros"})
    assert inspected(with_macros, "a.xlsm") == files.BY_ENDING["xlsm"].content_type
    sheet = samples.office("xlsx", **{"xl/embeddings/a.xlsm": with_macros})
    assert refused(sheet, "a.xlsx") == MACROS
    assert refused(samples.ole({"WordDocument": bytes(12)}, ("Macros",)), "a.doc") == MACROS
    assert refused(samples.office("docx"), "a.docm") == other("docm")


def test_a_document_is_of_the_kind_that_its_name_says() -> None:
    assert refused(samples.office("xlsx"), "a.docx") == other("docx")
    assert refused(ZIP, "a.docx") == other("docx")
    assert refused(samples.open_document("text"), "a.ods") == other("ods")
    assert refused(samples.office("docx"), "a.odt") == other("odt")
    assert refused(samples.xls(), "a.doc") == other("doc")
    assert refused(samples.zipped({"mimetype": b"x"}), "a.odt") == other("odt")


@pytest.mark.parametrize("name", ["letter.pdf", "a.docx", "a.odt", "a.xls", "a.png", "a.zip"])
def test_a_damaged_file_is_refused(name: str) -> None:
    data = samples.honest()[name][0]
    assert refused(data[: len(data) // 8], name) == DAMAGED


def test_a_text_has_no_characters_that_no_text_has() -> None:
    for data in (b"a\0b", b"a\x01b", "wide\0".encode("utf-16"), b"\xff\xfea\0b"):
        assert refused(data, "a.txt") == other("txt")
    assert inspected(b"caf\xe9 \x81", "a.txt") == "text/plain"
    assert refused(b"hello", "a.ics") == other("ics")
    assert refused(b"hello there", "a.eml") == other("eml")


# -- what it leaves behind -----------------------------------------------------------------------


def test_a_file_that_keeps_its_reader_busy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "LIMITS", Limits(0.01, 512 * 1024**2, 4096))
    assert refused(samples.pdf(), "a.pdf") == "Looking into the file takes too much time"
    monkeypatch.setattr(inspection, "LIMITS", Limits(20, 12 * 1024**2, 4096))
    assert refused(samples.zipped({"a": bytes(10 * 1024**2)}), "a.docx")


def test_nothing_is_left_behind_by_what_was_refused(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the names are enough
    folder = set(Path(tempfile.gettempdir()).iterdir())
    for data, name in (
        (PROGRAM, "a.pdf"),
        (samples.claiming(samples.zipped({"a": bytes(1000)}), 10), "a.zip"),
        (b"", "a.txt"),
    ):
        refused(data, name)
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - the names are enough
    assert set(Path(tempfile.gettempdir()).iterdir()) - folder <= {tmp_path}


def test_the_servers_own_process_reads_no_documents() -> None:
    asked = (
        "import sys, onrecord.outside.inspection, onrecord.outside.previews;"
        "import onrecord.outside.scanner; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)
    loaded = set(done.stdout.decode().split())
    assert not loaded & {"PIL", "pypdfium2", "olefile", "pikepdf", "zipfile"}


def test_whatever_is_changed_in_a_file_ends_in_a_verdict() -> None:
    chance = random.Random(20261201)  # noqa: S311 - the same changes each time
    for name in ("letter.pdf", "a.docx", "a.odt", "a.doc", "a.xls", "a.ppt", "a.png", "a.tif"):
        row = files.BY_ENDING[ending_of(name)]
        argument = {"form": row.form, "content_type": row.content_type}
        for _ in range(100):
            data = bytearray(samples.honest()[name][0])
            for _ in range(chance.randint(1, 8)):
                at = chance.randrange(len(data))
                data[at : at + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
            with warnings.catch_warnings(action="ignore"):
                answer = inspection_child.main(argument, [io.BytesIO(bytes(data))])
            assert set(json.loads(answer)) == {"refused", "other"}
