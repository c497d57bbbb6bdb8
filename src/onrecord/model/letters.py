"""What mails and texts say: plain functions from values to a Letter, in OnRecord's own words.

A letter is plain paragraphs, at most one link and at most one code. It becomes text and HTML when
it is composed (`outside.mail`), so nothing here needs escaping.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail or a text before it has a form."""

    subject: str
    paragraphs: Sequence[str]
    link: str | None = None
    button: str = ""
    """What the link is called where a button can be shown."""
    code: str | None = None
    closing: Sequence[str] = ()
    """Paragraphs that stand below the link or code."""

    @property
    def text(self) -> str:
        """The letter as plain text."""
        middle = [part for part in (self.code, self.link) if part]
        return "\n\n".join([*self.paragraphs, *middle, *self.closing])

    @property
    def short(self) -> str:
        """The letter as one line for a phone."""
        middle = [part for part in (self.code, self.link) if part]
        return " ".join([*self.paragraphs[:1], *middle])


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name a letter goes out: the organisation's name, and the address of our pages."""

    name: str
    base_url: str


Values = Mapping[str, Any]
NAME_MOST: Final = 120
"""Characters of a name that a letter shows."""
_DIRECTIONS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NOT_YOU: Final = "If this was not you, tell your administrator at once."
IGNORE: Final = "If you did not expect this, you can ignore it."


def name(words: str) -> str:
    """Give a name as it may stand within a sentence: one line, no longer than 120 characters.

    A name of a script that runs the other way is isolated (UAX 9), so that it cannot turn the
    words around it about; characters that give directions of their own are dropped.
    """
    plain = " ".join(_DIRECTIONS.sub("", words).split())
    if len(plain) > NAME_MOST:
        plain = f"{plain[:NAME_MOST].rstrip()}…"
    backwards = any(unicodedata.bidirectional(one) in {"R", "AL"} for one in plain)
    return f"\u2068{plain}\u2069" if backwards else plain


def code(sender: Sender, values: Values) -> Letter:
    """A one-time code."""
    return Letter(
        f"Your code for {sender.name}",
        [f"Your code for {sender.name}:"],
        code=values["code"],
        closing=["It works for ten minutes, once. Nobody from OnRecord will ever ask you for it."],
    )


def invitation(sender: Sender, values: Values) -> Letter:
    """An invitation to join; `reminder` is 0 for the first, then the number of the reminder."""
    inviter = values.get("invited_by")
    lines = [
        f"Hello {name(values['first_name'])},",
        f"{name(inviter)} invited you to {sender.name}."
        if inviter
        else f"You are invited to {sender.name}.",
    ]
    if values.get("reminder"):
        lines.append("Your invitation is still waiting. Links of earlier mails no longer work.")
    if values.get("message"):
        lines.append(values["message"])
    subject = f"Your invitation to {sender.name}"
    return Letter(
        f"Reminder: {subject[0].lower()}{subject[1:]}" if values.get("reminder") else subject,
        lines,
        link=f"{sender.base_url}/join#token={values['token']}",
        button="Accept the invitation",
        closing=["The link is for you alone; please do not pass it on.", IGNORE],
    )


def password_reset(sender: Sender, values: Values) -> Letter:
    """A link with which a password is set anew."""
    return Letter(
        "Set a new password",
        ["Somebody, we think you, asked for a new password."],
        link=f"{sender.base_url}/reset#token={values['token']}",
        button="Set a new password",
        closing=["The link works for an hour, once.", IGNORE],
    )


def new_device(_: Sender, values: Values) -> Letter:
    """A notice that somebody signed in from a device not seen before."""
    return Letter(
        "A new device signed in",
        [
            "Your account was signed in to from a device we had not seen before:",
            f"{values['device']}, at {values['at']}.",
        ],
        closing=[NOT_YOU],
    )


def email_changed(sender: Sender, values: Values) -> Letter:
    """A notice to the earlier address that mail goes to another one from now on."""
    whose = f" for {name(values['name'])}" if values.get("name") else ""
    return Letter(
        "Your email address was changed",
        [
            f"This address was replaced by another one at {sender.name}{whose}.",
            "From now on mail goes there.",
        ],
        closing=[NOT_YOU],
    )


def notice(_: Sender, values: Values) -> Letter:
    """Anything else that somebody is to be told: a subject and paragraphs."""
    return Letter(values["subject"], list(values["paragraphs"]))


def test(sender: Sender, _: Values) -> Letter:
    """A message to see whether messages arrive."""
    return Letter(f"A test from {sender.name}", [f"{sender.name} can reach you this way."])


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A letter: what it needs, and the function that writes it."""

    write: Callable[[Sender, Values], Letter]
    needs: frozenset[str]


LETTERS: Final[Mapping[str, LetterRow]] = {
    "code": LetterRow(code, frozenset({"code"})),
    "invitation": LetterRow(invitation, frozenset({"first_name", "token"})),
    "password_reset": LetterRow(password_reset, frozenset({"token"})),
    "new_device": LetterRow(new_device, frozenset({"device", "at"})),
    "email_changed": LetterRow(email_changed, frozenset()),
    "notice": LetterRow(notice, frozenset({"subject", "paragraphs"})),
    "test": LetterRow(test, frozenset()),
}
"""Every letter by name."""


def check(template: str, values: Values) -> None:
    """Hold a letter against its row; a mismatch is a programming error, not a refusal."""
    lacking = LETTERS[template].needs - set(values)
    if lacking:
        msg = f"the letter {template} lacks {', '.join(sorted(lacking))}"
        raise ValueError(msg)


def write(template: str, sender: Sender, values: Values) -> Letter:
    """Write a letter."""
    return LETTERS[template].write(sender, values)
