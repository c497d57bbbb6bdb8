"""What verifying a file has found: the report, and the failure that ends a verification."""

from dataclasses import asdict, dataclass, field
from typing import Final, NoReturn

WITNESS: Final = (
    "that others were shown the same history: there is no independent witness, and whoever holds"
    " the signing key and the database could show two histories; compare the checkpoint with one"
    " kept out of the operator's reach"
)
TRUTH: Final = "that what the entries say is true; their times are those of the server's clock"


@dataclass(slots=True)
class Report:
    """What was found. ``to_json`` is what ``onrecord verify --json`` prints.

    ``trusted``: True when each signed statement has a signature by a key given to ``verify``,
    False when one has none, None when no keys were given or it did not come to that.
    """

    kind: str | None = None
    ok: bool = False
    problem: str | None = None
    """The first thing that is wrong, in one line; None if nothing is."""
    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    origin: str | None = None
    as_of: int | None = None
    signed_by: list[str] = field(default_factory=list)
    """``<name>+<key hash>`` of everyone whose signature was verified."""
    trusted: bool | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain values."""
        return asdict(self)

    def told(self) -> list[str]:
        """Return the report for a person, in lines: the verdict, what was checked, what not."""
        whole = "The file is whole and true to its seal."
        lines = [whole if self.ok else f"WRONG: {self.problem}", ""]
        lines += [f"checked      {line}" for line in self.checked]
        lines += [f"not checked  {line}" for line in self.not_checked]
        return lines

    def take(self, name: str, inner: "Report") -> None:
        """Add what was found of a file within this one, under its name."""
        self.checked += [f"{name}: {line}" for line in inner.checked]
        self.not_checked += [line for line in inner.not_checked if line not in self.not_checked]
        self.signed_by += [one for one in inner.signed_by if one not in self.signed_by]


class WrongError(Exception):
    """The file is not what it says; the message is the report's problem."""


def fail(message: str) -> NoReturn:
    """End the verification: this is the first thing that is wrong."""
    raise WrongError(message)
