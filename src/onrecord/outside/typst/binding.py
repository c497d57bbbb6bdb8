"""Binding the sheets of a transcript into one PDF. Runs in the child process.

Page numbers and the like are drawn over the pages, the record of the chat is put inside as an
attached file, and the same sheets give the same bytes: every object is named and numbered by us,
and the file's ID is that of its contents.
"""

import io
from typing import IO, Any, Final

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from onrecord.outside.typst import sheet, shown

FRAME: Final = "frame.typ"


def main(argument: dict[str, Any], files: list[IO[bytes]]) -> bytes:
    """Give the PDF of the sheets; the files are what is to be attached, and all sheets in a row.

    `sizes` of the argument says how many bytes each sheet has.
    """
    attached, sheets = files
    with pikepdf.new() as bound:
        for size in argument["sizes"]:
            with pikepdf.open(io.BytesIO(sheets.read(size))) as one:
                bound.pages.extend(one.pages)
        _draw_frames(bound, argument)
        _attach(bound, argument["attachment"], attached.read())
        _describe(bound, argument)
        made = io.BytesIO()
        # A classic table of objects: whoever verifies the file finds the record inside with
        # Python's own library.
        bound.save(
            made,
            deterministic_id=True,
            compress_streams=True,
            object_stream_mode=pikepdf.ObjectStreamMode.disable,
        )
    return made.getvalue()


def _draw_frames(bound: pikepdf.Pdf, argument: dict[str, Any]) -> None:
    """Draw what stands above and below every page."""
    texts = sheet.visible(argument["frame"])
    value = {name: text.replace(shown.BREAK, "") for name, text in texts.items()}
    value["pages"] = len(bound.pages)
    frames = io.BytesIO(sheet.set_pages(FRAME, value, argument["at"]))
    begin, end = bound.make_stream(b"q\n"), bound.make_stream(b"\nQ\n/Frame Do\n")
    with pikepdf.open(frames) as drawn:
        for page, frame in zip(bound.pages, drawn.pages, strict=True):
            # Pages may share their resources: each gets a list of its own.
            resources = Dictionary(dict(page.obj.Resources))
            pictures = dict(resources.get("/XObject", Dictionary()))
            pictures["/Frame"] = bound.copy_foreign(frame.as_form_xobject())
            resources.XObject = Dictionary(pictures)
            page.obj.Resources = resources
            own = page.obj.Contents
            written = list(own) if isinstance(own, Array) else [own]
            page.obj.Contents = Array([begin, *written, end])


def _attach(bound: pikepdf.Pdf, about: dict[str, str], data: bytes) -> None:
    """Put a file inside, where readers of PDF list attachments."""
    stream = bound.make_stream(data)
    stream.Type = Name.EmbeddedFile
    stream.Subtype = Name(f"/{about['content_type']}")
    stream.Params = Dictionary(Size=len(data), ModDate=String(about["date"]))
    name = String(about["name"])
    described = bound.make_indirect(
        Dictionary(
            Type=Name.Filespec,
            F=name,
            UF=name,
            Desc=String(about["description"]),
            AFRelationship=Name.Data,
            EF=Dictionary(F=stream, UF=stream),
        )
    )
    bound.Root.Names = Dictionary(EmbeddedFiles=Dictionary(Names=Array([name, described])))
    bound.Root.AF = Array([described])


def _describe(bound: pikepdf.Pdf, argument: dict[str, Any]) -> None:
    date = String(argument["attachment"]["date"])
    bound.docinfo = bound.make_indirect(
        Dictionary(
            Title=String(argument["frame"]["title"]),
            Creator=String(argument["software"]),
            CreationDate=date,
            ModDate=date,
        )
    )
    bound.Root.Lang = String(argument["language"])
    bound.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
