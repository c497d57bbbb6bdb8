"""The guide as a test reads it: the blocks of a page in order, and what stands between them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/guide"
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPECTED: Final = re.compile(r"^# → (\d{3})(?: ([A-Z]{2}\d{3}))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """What a reader types, what is answered, and where that stands."""

    place: str
    script: str
    status: int | None
    """The status that is told; None where no call is made."""
    code: str | None
    kind: str
    """The kind of the answer that is shown: `json`, `csv`, `text`, or nothing."""
    answer: str


@dataclass(frozen=True, slots=True)
class GuidePage:
    """One page of the guide."""

    name: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        """Everything to be typed, in order; the block that follows one directly is its answer."""
        found = list(_FENCE.finditer(self.text))
        blocks = []
        for number, fence in enumerate(found):
            if fence[1] != "sh":
                continue
            line = self.text.count("\n", 0, fence.start()) + 1
            expected = _EXPECTED.search(fence[2])
            after = found[number + 1] if number + 1 < len(found) else None
            if after is None or after[1] == "sh":
                kind, answer = "", ""
            else:
                kind, answer = after[1], after[2]
            blocks.append(
                Block(
                    f"{self.name}:{line}",
                    fence[2],
                    int(expected[1]) if expected else None,
                    expected[2] if expected else None,
                    kind,
                    answer,
                )
            )
        return blocks

    @property
    def needs(self) -> str:
        """The paragraph that says which credential and permission the page needs."""
        found = re.search(r"^\*\*Needs\*\*.*?(?=\n\n)", self.text, re.MULTILINE | re.DOTALL)
        return found[0] if found else ""

    @property
    def links(self) -> list[str]:
        """Where the page's links lead to."""
        return re.findall(r"\]\(([^)]+)\)", _FENCE.sub("", self.text))

    @property
    def codes(self) -> set[str]:
        """Every error code that the page tells of, but for those within answers."""
        told = _FENCE.sub(lambda fence: fence[0] if fence[1] == "sh" else "", self.text)
        return set(re.findall(r"\bR[A-Z]\d{3}\b", told))


def read() -> list[GuidePage]:
    """Read every page, in the order of their names."""
    return [GuidePage(file.name, file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.md"))]


# -- comparing -----------------------------------------------------------------------------------

DOTS: Final = "…"
_NAME: Final = re.compile(r"\$([A-Z_]+)")


def compare(shown: Any, real: Any, known: dict[str, str], place: str) -> None:
    """Hold an answer against the one that is shown; `$NAME` in it gets its value, or has it.

    `…` stands for any value, in a text for any part of it; as the last of a list for any more,
    as a name in an object for any more names.
    """
    if shown == DOTS:
        return
    if isinstance(shown, dict):
        assert isinstance(real, dict), f"{place}: an object is shown, answered was {real!r}"
        names = shown.keys() - {DOTS}
        if DOTS in shown:
            assert names <= real.keys(), f"{place}: not answered: {names - real.keys()}"
        else:
            assert names == real.keys(), f"{place}: not on both: {names ^ real.keys()}"
        for name in sorted(names):
            compare(shown[name], real[name], known, f"{place}.{name}")
    elif isinstance(shown, list):
        assert isinstance(real, list), f"{place}: a list is shown, answered was {real!r}"
        more = shown[-1:] == [DOTS]
        first = shown[:-1] if more else shown
        assert len(real) >= len(first) if more else len(real) == len(first), f"{place}: {real!r}"
        for number, one in enumerate(first):
            compare(one, real[number], known, f"{place}[{number}]")
    elif isinstance(shown, str):
        _compare_text(shown, real, known, place)
    else:
        assert shown == real, f"{place}: {shown!r} is shown, answered was {real!r}"
        assert isinstance(real, bool) == isinstance(shown, bool), place


def _compare_text(shown: str, real: Any, known: dict[str, str], place: str) -> None:
    """Compare a text, in which names stand for what is known or becomes known."""
    number = isinstance(real, int) and not isinstance(real, bool) and _NAME.fullmatch(shown)
    assert isinstance(real, str) or number, f"{place}: {shown!r} is shown, answered was {real!r}"
    pattern, bound = "", []
    for piece in re.split(r"(…|\$[A-Z_]+)", shown):
        if piece == DOTS:
            pattern += ".*"
        elif _NAME.fullmatch(piece) and piece[1:] not in known:
            bound.append(piece[1:])
            pattern += "(.+?)"
        else:
            pattern += re.escape(known[piece[1:]] if _NAME.fullmatch(piece) else piece)
    found = re.fullmatch(pattern, str(real), re.DOTALL)
    assert found, f"{place}: {shown!r} is shown, answered was {real!r}"
    known.update(zip(bound, found.groups(), strict=True))


def compare_text(shown: str, real: str, known: dict[str, str], place: str) -> None:
    """Hold a text against the one that is shown, line by line; `…` alone on the last: any more."""
    lines, told = shown.splitlines(), real.splitlines()
    if lines[-1:] == [DOTS]:
        lines, told = lines[:-1], told[: len(lines) - 1]
    assert len(lines) == len(told), f"{place}: {real}"
    for one, other in zip(lines, told, strict=True):
        _compare_text(one, other, known, place)


def parsed(text: str, block: Block) -> Any:
    """Give the JSON that was answered."""
    try:
        return json.loads(text)
    except ValueError:
        raise AssertionError(f"{block.place}: answered was no JSON: {text}") from None


def answer_of(block: Block) -> Any:
    """Give the JSON that is shown."""
    try:
        return json.loads(block.answer)
    except ValueError as error:
        raise AssertionError(f"{block.place}: what is shown is no JSON: {error}") from None
