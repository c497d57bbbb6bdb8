"""Texts through a provider over HTTP, in the form of Twilio's Messages API.

The provider's address comes from the settings alone, never from anything a request said.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from onrecord.model.ports import Undeliverable
from onrecord.settings import Settings

TIMEOUT: Final = 15
"""Seconds a step of the request may take."""
REFUSED: Final = frozenset({400, 404, 413, 422})
"""Statuses that say that this text to this number will never go; others may pass."""


class ProviderFailed(Exception):  # noqa: N818 - it is tried again
    """The provider did not take the text just now."""


@dataclass(frozen=True, slots=True)
class TwilioTexter:
    """Posts texts to `…/2010-04-01/Accounts/{account}/Messages.json`."""

    base: str
    account: str
    token: str
    sender: str

    async def send(self, to: str, text: str) -> None:
        """Hand a text over; Undeliverable when the provider refuses it for good."""
        import httpx  # noqa: PLC0415 - where no text is sent it is not worth its memory

        async with httpx.AsyncClient(
            timeout=TIMEOUT, follow_redirects=False, trust_env=False
        ) as client:
            response = await client.post(
                f"{self.base}/2010-04-01/Accounts/{self.account}/Messages.json",
                data={"To": to, "From": self.sender, "Body": text},
                auth=(self.account, self.token),
            )
        if response.is_success:
            return
        said = f"the provider of texts answered {response.status_code}"
        if response.status_code in REFUSED:
            raise Undeliverable(said)
        raise ProviderFailed(said)


def texter_of(settings: Settings) -> TwilioTexter | None:
    """Make the texter of the settings; None when no texts are set."""
    if not settings.sms_url:
        return None
    parts = urlsplit(settings.sms_url)
    place = parts.netloc.rpartition("@")[2]
    return TwilioTexter(
        f"{parts.scheme}://{place}{parts.path.rstrip('/')}",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        settings.sms_from,
    )
