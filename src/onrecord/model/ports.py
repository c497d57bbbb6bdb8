"""Protocols of the world outside; `outside` implements them, `app` picks."""

from typing import Protocol


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
