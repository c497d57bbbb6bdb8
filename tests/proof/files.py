"""Small sealed PDFs and ZIPs, made in the plainest way: what their verification is tried on."""

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from onrecord.proof import bundle, seal
from onrecord.proof.checkpoint import Checkpoint
from onrecord.proof.verify_pdf import KIND, seal_lines
from tests.proof.sealing import ENTITY, ORIGIN, SIGNER, Record, Signer

TITLE = "(/Type /EmbeddedFile \\(1 0 obj << \\) (endobj) xref startxref 0 %%EOF)"
"""A title that somebody gave to confuse whoever searches instead of reading."""


# -- PDF -----------------------------------------------------------------------------------------


def pdf(
    record: bytes,
    *,
    name: str = "(records.jsonl)",
    facts: str = "/Filter/FlateDecode",
    packed: bytes | None = None,
    length: str | None = None,
    objects: Mapping[int, str] | None = None,
    end: str = "%%EOF\n",
) -> bytes:
    """Return a document of one empty page with a record embedded; parts of it can be others.

    ``objects`` replaces whole objects by their number: 1 the catalogue, 2 the pages, 3 the page, 4
    what names the file, 5 the file, 6 the information about the document.
    """
    body = zlib.compress(record, 9) if packed is None else packed
    made = {
        1: f"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[{name} 4 0 R]>>>>>>",
        2: "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595.28 841.89]>> % a page",
        4: f"<</Type/Filespec/F{name}/UF<6162>/EF<</F 5 0 R/UF 5 0 R>>>>",
        5: f"<</Length {length or len(body)}/Type/EmbeddedFile{facts}>>\nstream\n",
        6: f"<</Title{TITLE}>>",
        **(objects or {}),
    }
    data = b"%PDF-1.7\n%\x80\x80\x80\x80\n\n"
    rows = [b"0000000000 65535 f\r\n"]
    for number, text in made.items():
        rows.append(b"%010d 00000 n\r\n" % len(data))
        data += b"%d 0 obj\n" % number + text.encode()
        data += (body + b"\nendstream" if number == 5 else b"") + b"\nendobj\n"
    table = len(data)
    data += b"xref\n0 %d\n" % len(rows) + b"".join(rows)
    data += b"trailer\n<</Size %d/Root 1 0 R/Info 6 0 R>>\n" % len(rows)
    return data + b"startxref\n%d\n" % table + end.encode()


def sealed_pdf(
    document: bytes,
    as_of: int = 11,
    signer: Signer = SIGNER,
    text: Callable[[seal.Sealer], str] | None = None,
) -> bytes:
    """Return a document with the seal that fits it, or says what ``text`` makes."""
    sealer = seal.Sealer()
    sealer.update(document)
    said = text(sealer) if text else sealer.text(KIND, ORIGIN, as_of)
    return document + seal_lines(signer.sign(said))


# -- ZIP -----------------------------------------------------------------------------------------


def manifest(record: Record, files: Mapping[str, bytes], **facts: Any) -> bytes:
    """Return the manifest over these parts; of an export of all entities unless facts say else."""
    frontier = record.frontier()
    known: dict[str, Any] = {
        "kind": bundle.ENTITIES,
        "entity_uuid": ENTITY,
        "origin": ORIGIN,
        "as_of": frontier.size,
        "at": "2026-11-22T10:00:11.000000Z",
        "checkpoint": SIGNER.sign(Checkpoint(ORIGIN, frontier.size, frontier.root()).text()),
        "keys": [SIGNER.key],
        "software": "onrecord 0",
        "counts": {},
        "entity_name": "Quay",
        "files": {name: (len(data), sha256(data).hexdigest()) for name, data in files.items()},
        **facts,
    }
    return bundle.manifest(**known)


def of_chat(chat_uuid: str, window: tuple[int, int], **facts: Any) -> dict[str, Any]:
    """Return what the manifest of the export of a chat says besides."""
    return {
        "kind": bundle.CHAT,
        "chat_uuid": chat_uuid,
        "first_index": window[0],
        "last_index": window[1],
        "versions": {},
        **facts,
    }


def zipped(parts: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a ZIP of these parts, without a comment."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in parts:
            file.writestr(zipfile.ZipInfo(name, (2026, 11, 22, 10, 0, 10)), data, method)
    return out.getvalue()


def sealed_zip(
    parts: Mapping[str, bytes],
    manifest: bytes,
    kind: str,
    as_of: int = 11,
    signer: Signer = SIGNER,
) -> bytes:
    """Return the sealed ZIP of these parts."""
    return seal_zip(zipped([*parts.items(), (bundle.MANIFEST, manifest)]), kind, as_of, signer)


def seal_zip(plain: bytes, kind: str, as_of: int = 11, signer: Signer = SIGNER) -> bytes:
    """Return a ZIP with the seal that fits it as its comment."""
    sealer = seal.Sealer()
    sealer.update(plain[: -bundle.LENGTH_BYTES])
    length = len(signer.sign(sealer.text(kind, ORIGIN, as_of)).encode())
    while True:  # the text says how long all is: a digit more may make it longer
        whole = seal.Sealer()
        whole.update(plain[: -bundle.LENGTH_BYTES] + length.to_bytes(2, "little"))
        note = signer.sign(whole.text(kind, ORIGIN, as_of)).encode()
        if len(note) == length:
            return plain[: -bundle.LENGTH_BYTES] + length.to_bytes(2, "little") + note
        length = len(note)
