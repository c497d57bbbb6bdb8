"""What a file states of itself, and whether it was signed: the keys, the checkpoint, the seal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from onrecord.proof import checkpoint, entries, note, seal
from onrecord.proof.note import VerifierKey
from onrecord.proof.report import Report, fail

KEY_LIMIT: Final = 64
"""Most keys in a header: every rotation since the first start adds one."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What header or manifest of a file say, the forms checked: whose record, up to where."""

    as_of: int
    checkpoint: str
    entity_uuid: str
    keys: list[VerifierKey]
    origin: str


def parse_stated(value: dict[str, object]) -> Stated:
    """Return what the members of a header state; raises ValueError with what is wrong in them."""
    as_of, uuid, origin = value["as_of"], value["entity_uuid"], value["origin"]
    text = value["checkpoint"]
    if type(as_of) is not int or as_of < 0:
        raise ValueError("as_of is not a position")
    if not entries.is_uuid(uuid):
        raise ValueError("entity_uuid is not a UUID in lower case")
    if type(origin) is not str or not origin.endswith(f"/{uuid}"):
        raise ValueError("the origin is not that of the organisation")
    if type(text) is not str:
        raise ValueError("the checkpoint is not a note")
    return Stated(as_of, text, str(uuid), parse_keys(value["keys"]), origin)


def parse_keys(vkeys: object) -> list[VerifierKey]:
    """Return the keys that a file names; raises ValueError for none, too many, or one twice."""
    if type(vkeys) is not list or not 0 < len(vkeys) <= KEY_LIMIT:
        raise ValueError(f"it does not name from 1 to {KEY_LIMIT} keys")
    keys = [VerifierKey.parse(vkey if type(vkey) is str else "") for vkey in vkeys]
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("it names a key twice")
    return keys


@dataclass(frozen=True, slots=True)
class Judge:
    """Opens the notes of a file: signed by keys it names, and with keys given, by one of those."""

    keys: Sequence[VerifierKey]
    """The keys that the caller trusts; none: nothing is compared."""
    report: Report

    def open_seal(self, text: str, stated: Stated, kind: str, where: str) -> seal.Seal:
        """Return the seal of a file of this kind, its signature checked."""
        try:
            sealed = seal.parse(self._open("the seal", text, stated.keys))
        except ValueError as error:
            fail(f"the seal ({where}): {error}")
        if (sealed.kind, sealed.origin, sealed.as_of) != (kind, stated.origin, stated.as_of):
            found = f"{sealed.kind} of {sealed.origin} as of {sealed.as_of}"
            fail(f"the seal ({where}) is that of another file: {found}")
        return sealed

    def open_checkpoint(self, stated: Stated, where: str) -> checkpoint.Checkpoint:
        """Return the checkpoint of exactly the position stated, its signature checked."""
        try:
            opened = self._open("the checkpoint", stated.checkpoint, stated.keys)
            found = checkpoint.parse(opened)
        except ValueError as error:
            fail(f"{where}: the checkpoint: {error}")
        if found.origin != stated.origin:
            fail(f"{where}: the checkpoint is of another origin, {found.origin}")
        if found.size != stated.as_of:
            fail(f"{where}: the checkpoint is of size {found.size}, not as of {stated.as_of}")
        return found

    def tell(self, sealed: seal.Seal, stated: Stated) -> None:
        """Report what was signed, and by whom."""
        report = self.report
        report.checked += [
            f"the seal: signed, for this kind, origin and position, over {sealed.size} bytes",
            f"the checkpoint: signed, for this origin and exactly {stated.as_of} entries",
        ]
        signers = " and ".join(report.signed_by)
        if report.trusted:
            report.checked.append(f"the signer: {signers}, compared with the keys given")
        else:
            sentence = f"signed by {signers}; not compared with a key you trust (--key)"
            report.not_checked.append(sentence)

    def _open(self, what: str, text: str, known: Sequence[VerifierKey]) -> str:
        """Return the text of a note, report its signers, and with keys given refuse all others."""
        opened = note.open_note(text, known)
        signers = [key.id for key in opened.signers]
        report = self.report
        report.signed_by += [name for name in signers if name not in report.signed_by]
        if self.keys:
            report.trusted = any(key in self.keys for key in opened.signers)
            if not report.trusted:
                named = " and ".join(signers)
                fail(f"{what} is signed by {named}, which is not among the keys given")
        return opened.text
