"""Protocols of the world outside; `outside` implements them, `app` picks."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol

from onrecord.model.letters import Letter
from onrecord.model.people import Picture


class Held(Exception):  # noqa: N818 - told to the operator as a refusal
    """Somebody else holds the installation in a way that excludes this; the message says who."""


class Signer(Protocol):
    """Signs checkpoints and seals with the installation's key (Ed25519)."""

    vkey: str
    """The C2SP verifier key."""

    def sign_note(self, text: str) -> str:
        """Give the signed note (C2SP signed-note) over a text that ends in a line feed."""
        ...


class Bell(Protocol):
    """Tells waiting readers that an organisation's record has grown. It only saves waiting."""

    def ring(self, entity_id: int) -> None:
        """Wake everybody who waits for the organisation."""
        ...

    def ring_all(self) -> None:
        """Wake everybody, as when the server stops."""
        ...

    async def wait(self, entity_id: int, seconds: float) -> bool:
        """Wait for the next ring, at most so long; whether it rang."""
        ...


class Undeliverable(Exception):  # noqa: N818 - told as the reason of a job that failed
    """A mail or text was refused for good; the message says why, without what it said."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it goes out; the same `message_id` when it is tried again."""

    to: str
    sender_name: str
    letter: Letter
    message_id: str
    logo: bytes | None = None
    """A PNG, WebP, JPEG or GIF picture shown on top."""


class Mailer(Protocol):
    """Sends mail."""

    @property
    def host(self) -> str:
        """The host that message ids are made under."""
        ...

    async def send(self, mail: Mail) -> None:
        """Send a mail; raises Undeliverable when it never will be, else what may be tried again."""
        ...


class Texter(Protocol):
    """Sends texts to phones."""

    async def send(self, to: str, text: str) -> None:
        """Send a text; raises Undeliverable when it never will be, else what may be tried again."""
        ...


# -- exports -------------------------------------------------------------------------------------


class Spool(Protocol):
    """Bytes that must be known whole before they can be sent: written once, read once."""

    size: int
    crc: int
    """CRC-32 of what was written."""

    @property
    def sha256(self) -> str:
        """The digest of what was written, in lower-case hex."""
        ...

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Give everything from the beginning, piece by piece."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Vault(Protocol):
    """Encrypts what must be read back, such as the secret of an authenticator app."""

    mark: str
    """Tells two keys apart and tells nothing about either."""

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt for one place: what is sealed there opens nowhere else."""
        ...

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what was sealed for a place; ValueError for anything else."""
        ...


class Passwords(Protocol):
    """Hashes and compares passwords, beside the event loop and a few at a time."""

    compared: int
    """How many were compared, with somebody's or nobody's."""

    async def hash(self, password: str) -> str:
        """Give the form in which a password is stored."""
        ...

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one stored; None costs the same and never is."""
        ...


# -- files ---------------------------------------------------------------------------------------


class Files(Protocol):
    """Keeps the bytes of attachments, under names of our own making."""

    async def put(self, name: str, source: IO[bytes]) -> None:
        """Store what the source holds from its beginning; durable when it returns.

        RX503 when there is no room or the storage is away; then nothing is left behind.
        """
        ...

    async def size(self, name: str) -> int | None:
        """Give how many bytes there are under a name; None when there is nothing."""
        ...

    def pieces(self, name: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes from `first` to `last`, both included; raises FileNotFoundError."""
        ...

    async def delete(self, name: str) -> None:
        """Delete what is there under a name; nothing there is no error."""
        ...

    def names(self) -> AsyncIterator[tuple[str, int]]:
        """Give everything that is stored, and when it was, in microseconds since 1970."""
        ...


class Inspector(Protocol):
    """Looks into files that people upload, in a child process with limits."""

    async def inspect(self, file: IO[bytes], filename: str) -> str:
        """Give the content type, by what the file holds and not only by its name.

        RB016, saying which: name and content disagree, encrypted or protected by a password, a
        bomb, damaged beyond telling.
        """
        ...


class Scanner(Protocol):
    """Looks for malware."""

    async def scan(self, file: IO[bytes]) -> None:
        """RB016 for malware; RX503 when nobody can tell (fail closed)."""
        ...


class Previewer(Protocol):
    """Draws small pictures of files, in a child process with limits."""

    async def preview(self, file: IO[bytes], content_type: str) -> Picture | None:
        """Give a picture of the file or its first page; None where there is none to give."""
        ...


# -- transcripts ---------------------------------------------------------------------------------


class Job(Protocol):
    """One transcript on its way to the page."""

    async def add(self, sheet: Mapping[str, Any]) -> None:
        """Set one sheet more, some pages long; waits while others are under way."""
        ...

    async def bind(self, about: Mapping[str, Any], attached: Spool, out: Spool) -> None:
        """Bind the sheets, with a file inside, and write the PDF.

        `about` has `frame` (what stands on every page: title, position, origin), `at` (seconds
        since 1970), `attachment` (name, content_type, description) and `language`.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; what is under way is stopped."""
        ...


class Typesetter(Protocol):
    """Makes the pages of transcripts: the same bytes of the same text, within its versions."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Give the versions that decide which bytes are made of the same text."""
        ...

    def begin(self) -> Job:
        """Begin a transcript; the caller closes it in any case."""
        ...
