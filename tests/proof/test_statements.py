"""Notes, checkpoints and seals: the three small texts that are signed."""

from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onrecord.proof import checkpoint, note, seal
from onrecord.proof.note import NoteError, VerifierKey
from tests.proof.sealing import ORIGIN, SIGNER, STRANGER, Signer

# From the documentation of golang.org/x/mod/sumdb/note, where the form comes from.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_NOTE = (
    f"{GO_TEXT}\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
    "Zb6KE6RyyBwJnAM=\n"
)
TEXT = "one\n\ntwo\n"
NOTE = SIGNER.sign(TEXT)
ROOT = bytes(range(32))


def test_a_note_of_another_implementation_opens() -> None:
    key = VerifierKey.parse(GO_KEY)
    assert str(key) == GO_KEY
    assert note.open_note(GO_NOTE, [key]) == (GO_TEXT, [key])


def test_a_note_opens_with_the_keys_that_signed_it() -> None:
    line = note.signature_line(TEXT, STRANGER.name, STRANGER.key.public, lambda _: bytes(64))
    both = NOTE + STRANGER.sign(TEXT).rpartition("\n\n")[2]
    assert note.open_note(both, [STRANGER.key, SIGNER.key]).signers == [SIGNER.key, STRANGER.key]
    assert note.open_note(both, [SIGNER.key], strict=False).signers == [SIGNER.key]
    with pytest.raises(NoteError, match="a key that is not known"):
        note.open_note(both, [SIGNER.key])
    with pytest.raises(NoteError, match="does not fit"):
        note.open_note(NOTE + line, [SIGNER.key, STRANGER.key])
    with pytest.raises(NoteError, match="no known key"):
        note.open_note(NOTE, [STRANGER.key], strict=False)
    with pytest.raises(NoteError, match="signed twice"):
        note.open_note(NOTE + NOTE.rpartition("\n\n")[2], [SIGNER.key])


@settings(deadline=None)
@given(st.integers(0, len(NOTE) - 1), st.sampled_from("\n\r —+=Ab/0é\x00\ud800"))
def test_no_character_of_a_note_can_be_another(at: int, character: str) -> None:
    for changed in (
        NOTE[:at] + character + NOTE[at + 1 :],
        NOTE[:at] + character + NOTE[at:],
        NOTE[:at] + NOTE[at + 1 :],
    ):
        if changed != NOTE:
            with pytest.raises(NoteError):
                note.open_note(changed, [SIGNER.key])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "\n\n— a b\n",
        "text\n\n— ab\n",
        "a\n\nb\n",
        "x" * 70_000,
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        note.open_note(text, [SIGNER.key])


def test_a_note_has_at_most_sixteen_signatures() -> None:
    with pytest.raises(NoteError, match="more than 16"):
        note.open_note(NOTE + "— a AAAA\n" * 16, [SIGNER.key])


def test_two_keys_of_one_name_and_hash_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note, "key_hash", lambda _name, _public: b"same")
    with pytest.raises(NoteError, match="two different keys"):
        note.open_note(SIGNER.sign(TEXT), [SIGNER.key, STRANGER.key])


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "bad \ud800\n", "\n"])
def test_a_text_that_no_note_can_hold_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        SIGNER.sign(text)


def test_a_signer_must_give_a_whole_signature() -> None:
    with pytest.raises(NoteError, match="63 bytes"):
        note.sign(TEXT, "name", bytes(32), lambda _: bytes(63))


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak", "nbsp\u00a0"])
def test_a_bad_key_name_is_refused(name: str) -> None:
    with pytest.raises(NoteError, match="not a key name"):
        VerifierKey(name, bytes(32))


def test_a_vkey_is_refused_in_any_other_form() -> None:
    vkey = str(SIGNER.key)
    name, hashed, encoded = vkey.split("+", 2)
    other = b64encode(b"\x02" + SIGNER.key.public).decode()
    short = b64encode(b"\x01" + SIGNER.key.public[1:]).decode()
    for bad in (
        name,
        f"{name}+{hashed}",
        f"{name}+{hashed.upper()}+{encoded}",
        f"{name}+00000000+{encoded}",
        f"other+{hashed}+{encoded}",
        f"{name}+{hashed}+{encoded}\n",
        f"{name}+{hashed}+{encoded[:-2]}",
        f"{name}+{hashed}+{other}",
        f"{name}+{hashed}+{short}",
    ):
        with pytest.raises(NoteError):
            VerifierKey.parse(bad)


def test_a_checkpoint_is_three_exact_lines() -> None:
    stated = checkpoint.Checkpoint(ORIGIN, 18, ROOT)
    text = stated.text()
    assert checkpoint.parse(text) == stated
    assert checkpoint.parse(checkpoint.Checkpoint(ORIGIN, 0, ROOT).text()).size == 0
    root = b64encode(ROOT).decode()
    for bad in (
        "",
        text[:-1],
        text + "extension\n",
        text + "\n",
        text.replace("\n18\n", "\n018\n"),
        text.replace("\n18\n", "\n+18\n"),
        text.replace("\n18\n", "\n1_8\n"),
        text.replace("\n18\n", "\n-1\n"),
        text.replace("\n18\n", f"\n{2**53}\n"),
        text.replace(ORIGIN, ""),
        text.replace(ORIGIN, "two words"),
        text.replace(root, root[:-2] + "9="),
        text.replace(root, root[:-4]),
        text.replace(root, "é"),
    ):
        with pytest.raises(checkpoint.CheckpointError):
            checkpoint.parse(bad)


def test_a_seal_is_six_exact_lines() -> None:
    text = seal.seal_text("archive", ORIGIN, 18, 1234, ROOT)
    assert text == f"onrecord-seal/v1\narchive\n{ORIGIN}\n18\n1234\n{ROOT.hex()}\n"
    assert seal.parse(text) == seal.Seal("archive", ORIGIN, 18, 1234, ROOT)
    for bad in (
        "",
        text[:-1],
        text + "\n",
        text.replace("v1", "v2"),
        text.replace("archive", "Archive"),
        text.replace("\n18\n", "\n018\n"),
        text.replace("\n18\n", "\n-1\n"),
        text.replace("\n1234\n", "\n1 234\n"),
        text.replace(ROOT.hex(), ROOT.hex().upper()),
        text.replace(ROOT.hex(), ROOT.hex()[2:]),
        text.replace(ORIGIN, "a b"),
    ):
        with pytest.raises(seal.SealError):
            seal.parse(bad)


def test_keys_are_shown_by_name_and_hash() -> None:
    key = Signer(7, "firm.example").key
    assert key.id == f"firm.example+{note.key_hash('firm.example', key.public).hex()}"
