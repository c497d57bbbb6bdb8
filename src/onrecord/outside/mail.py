"""Mail through SMTP: how a letter becomes a message, and how it is handed over."""

import email.policy
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote, urlsplit

from onrecord.model.letters import Letter
from onrecord.model.ports import Mail, Undeliverable
from onrecord.settings import Settings, is_loopback

TIMEOUT: Final = 30
"""Seconds a step of the conversation may take."""
PERMANENT: Final = 500
"""From this status on a server says that trying again is of no use (RFC 5321, section 4.2.1)."""

_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"RIFF", "webp"),
)
_LOGO: Final = "logo"


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Hands mail to an SMTP server; a connection a mail, so that nothing hangs between two."""

    server: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = None
    tls: bool = False
    """Whether the connection begins encrypted; else it must become so, but on loopback."""

    @property
    def host(self) -> str:
        """The host that message ids are made under: that of the sender's address."""
        return self.sender.rpartition("@")[2]

    async def send(self, mail: Mail) -> None:
        """Hand a mail over; Undeliverable when its recipient or content is refused for good."""
        import aiosmtplib  # noqa: PLC0415 - where no mail is sent it is not worth its memory

        message = compose(mail, self.sender)
        start_tls = None if self.tls else not is_loopback(self.server)
        try:
            await aiosmtplib.send(
                message,
                hostname=self.server,
                port=self.port,
                username=self.username,
                password=self.password,
                use_tls=self.tls,
                start_tls=start_tls,
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            if all(code >= PERMANENT for code in codes):
                raise Undeliverable(f"the mail server refused the recipient ({codes[0]})") from None
            raise
        except aiosmtplib.SMTPDataError as error:
            if error.code >= PERMANENT:
                raise Undeliverable(f"the mail server refused the mail ({error.code})") from None
            raise


def mailer_of(settings: Settings) -> SmtpMailer | None:
    """Make the mailer of the settings; None when no mail is set."""
    if not settings.mail_url:
        return None
    parts = urlsplit(settings.mail_url)
    tls = parts.scheme == "smtps"
    return SmtpMailer(
        parts.hostname or "",
        parts.port or (465 if tls else 587),
        settings.mail_from,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        tls,
    )


# -- its form ------------------------------------------------------------------------------------


def compose(mail: Mail, sender: str) -> EmailMessage:
    """Make the message: plain text, and HTML that loads nothing from anywhere.

    Header injection is impossible: EmailMessage refuses line breaks in headers, and encodes.
    """
    message = EmailMessage(policy=email.policy.SMTP)
    name = _one_line(mail.sender_name)
    message["From"] = str(Address(display_name=name, addr_spec=sender))
    message["To"] = mail.to
    message["Subject"] = _one_line(mail.letter.subject)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = mail.message_id
    # Nobody's absence note answers these (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(f"{mail.letter.text}\n\n-- \n{mail.sender_name}\n")
    message.add_alternative(_page(mail), subtype="html")
    kind = _picture(mail.logo)
    if mail.logo is not None and kind is not None:
        page = message.get_body(("html",))
        assert isinstance(page, EmailMessage)  # noqa: S101 - it was added above
        page.add_related(
            mail.logo, maintype="image", subtype=kind, cid=f"<{_LOGO}>", disposition="inline"
        )
    return message


def _one_line(words: str) -> str:
    return re.sub(r"\s+", " ", words).strip()


def _picture(logo: bytes | None) -> str | None:
    if logo is None:
        return None
    return next((kind for begin, kind in _PICTURES if logo.startswith(begin)), None)


_BODY: Final = (
    "margin:0;padding:32px 16px;background:#f4f5f7;color:#1d2430;"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"
)
_CARD: Final = (
    "max-width:520px;margin:0 auto;padding:32px;background:#fff;border:1px solid #e3e6eb;"
    "border-radius:12px;overflow-wrap:anywhere"
)
_BUTTON: Final = (
    "display:inline-block;padding:12px 24px;background:#1f4fd8;color:#fff;border-radius:8px;"
    "text-decoration:none;font-weight:600"
)
_CODE: Final = (
    "font:700 30px/1.2 ui-monospace,Menlo,Consolas,monospace;letter-spacing:.2em;margin:24px 0"
)
_IMAGE: Final = "width:auto;height:auto;max-width:100%;max-height:48px"
"""In its own shape, however wide it is; programs that know no styles go by the height."""
_SMALL: Final = "color:#5b6472;font-size:14px"


def _page(mail: Mail) -> str:
    """The letter as HTML; `dir="auto"` lets each paragraph run the way its script does."""
    letter, name = mail.letter, html.escape(mail.sender_name)
    subject = html.escape(letter.subject)
    lines = [
        f'<!doctype html><html><head><meta charset="utf-8"><title>{subject}</title></head>',
        f'<body style="{_BODY}"><div style="{_CARD}">',
    ]
    if _picture(mail.logo) is not None:
        lines.append(f'<p><img src="cid:{_LOGO}" alt="{name}" height="48" style="{_IMAGE}"></p>')
    else:
        lines.append(f'<p dir="auto" style="font-weight:600">{name}</p>')
    lines += _paragraphs(letter.paragraphs)
    lines += _middle(letter)
    lines += _paragraphs(letter.closing, _SMALL)
    lines.append("</div></body></html>")
    return "\n".join(lines)


def _middle(letter: Letter) -> list[str]:
    lines = []
    if letter.code is not None:
        lines.append(f'<p style="{_CODE}">{html.escape(letter.code)}</p>')
    if letter.link is not None:
        link = html.escape(letter.link)
        lines.append(
            f'<p style="margin:24px 0"><a style="{_BUTTON}" href="{link}">'
            f"{html.escape(letter.button)}</a></p>"
            f'<p style="{_SMALL}">Or copy this into your browser:<br>{link}</p>'
        )
    return lines


def _paragraphs(paragraphs: Sequence[str], style: str = "") -> list[str]:
    attribute = f' style="{style}"' if style else ""
    return [
        f'<p dir="auto"{attribute}>{html.escape(one).replace(chr(10), "<br>")}</p>'
        for one in paragraphs
    ]
