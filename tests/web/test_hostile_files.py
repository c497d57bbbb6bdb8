"""Hostile files at the front door: refused in words, and nothing is left behind."""

from pathlib import Path

import pikepdf
import pytest

from onrecord.model.files import DEFAULT_ENDINGS
from tests import samples
from tests.conftest import MakeWorld
from tests.scanning import running_clamd
from tests.sending import SEND_FILES, fetch, stored_names, try_upload, uploaded
from tests.talk import messages_of, start
from tests.world import ENTITY, World, accepted, refused

BOMB = samples.office("docx", **{"word/media/a.png": bytes(100 * 1024**2)})
LOCKED_PDF = samples.pdf(encryption=pikepdf.Encryption(owner="quay", user=""))
LOCKED_ZIP = samples.flagged(samples.zipped({"a.txt": b"hello"}), local=1, central=1)
PROGRAM = b"MZ\x90\0\x03\0\0\0" + bytes(200)

HOSTILE: dict[str, tuple[bytes, str]] = {
    "../../etc/cron.d/a.pdf": (PROGRAM, "holds something else"),
    "C:\\Windows\\a.docx": (PROGRAM, "holds something else"),
    "a.png": (samples.huge_png(60_000, 60_000), "60000 x 60000 pixels"),
    "locked.pdf": (LOCKED_PDF, "password"),
    "locked.docx": (samples.office_with_password(), "password"),
    "locked.doc": (samples.doc(encrypted=True), "password"),
    "locked.odt": (samples.open_document("text", encrypted=True), "password"),
    "within.docx": (samples.office("docx", **{"word/embeddings/a.zip": LOCKED_ZIP}), "password"),
    "bomb.docx": (BOMB, "unpack"),
    "out.zip": (samples.zipped({"../../a": b""}), "leads out"),
    "bomb.zip": (samples.zipped({"a": bytes(100 * 1024**2)}), "unpack"),
    "locked.zip": (LOCKED_ZIP, "password"),
    "polyglot.gif": (samples.picture("GIF") + samples.zipped({"a": b"b"}), "two"),
    "page.jpg": (b"<!doctype html><script>alert(1)</script>", "holds something else"),
    "cut.docx": (samples.office("docx")[:-30], "damaged"),
}


def nothing_is_left(world: World, before: int) -> None:
    """No file, no row, no entry; and no child process."""
    assert stored_names(world) == set()
    assert world.rows("SELECT count(*) FROM attachment") == [(0,)]
    assert world.rows("SELECT count(*) FROM loose_file") == [(0,)]
    assert world.head(world.cast.firm) == before


def children() -> set[str]:
    """Give the processes that this one has begun and that are not gone."""
    return set(Path("/proc/thread-self/children").read_text("ascii").split())


def test_a_hostile_file_is_refused_in_words_and_leaves_nothing_behind(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="zero")
    types = {"attachment_types": [*DEFAULT_ENDINGS, "zip"]}
    accepted(world.post(f"{ENTITY}/organisation/update", key=cast.system, json=types))
    before, own = world.head(cast.firm), children()
    for name, (content, why) in HOSTILE.items():
        response = try_upload(world, cast.tomas, chat, content, name)
        assert why in refused(response, "RB016", 400)["detail"], name
        response = world.post(
            SEND_FILES,
            key=cast.master,
            on_behalf_of=cast.tomas,
            data={"chat_uuid": chat, "text": "Look at this."},
            files={"file": (name, content, "application/pdf")},
        )
        assert why in refused(response, "RB016", 400)["detail"], name
    nothing_is_left(world, before)
    assert len(messages_of(world, cast.tomas, chat)) == 1
    assert children() <= own


def test_malware_is_refused_by_clamav_and_whatever_is_clean_passes(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    (tmp_path / "clamd").mkdir()
    with running_clamd(tmp_path / "clamd") as address:
        world = make_world(clamav=address)
        cast = world.cast
        chat = start(world, cast.tomas, cast.priya, text="zero")
        before = world.head(cast.firm)
        hidden = samples.office("docx", **{"word/embeddings/a.bin": samples.eicar()})
        for name, content in {"a.txt": samples.eicar(), "a.docx": hidden}.items():
            response = try_upload(world, cast.tomas, chat, content, name)
            assert "Eicar" in refused(response, "RB016", 400)["detail"]
        nothing_is_left(world, before)
        clean = samples.pdf()
        uuid = uploaded(world, cast.tomas, chat, clean, "a.pdf")
        assert fetch(world, cast.tomas, uuid).content == clean
    response = try_upload(world, cast.tomas, chat, samples.pdf(), "b.pdf")
    refused(response, "RX503", 503)
    assert int(response.headers["retry-after"]) > 0
    assert len(world.rows("SELECT uuid FROM attachment")) == 1


@pytest.mark.parametrize("name", ["a.pdf", "a.docx"])
def test_an_honest_file_beside_them_passes(world: World, name: str) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="zero")
    content = samples.pdf() if name == "a.pdf" else samples.office("docx")
    accepted(try_upload(world, cast.tomas, chat, content, name))
