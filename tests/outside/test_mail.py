"""Mail, handed to a real SMTP server on loopback."""

import asyncio
import email
import email.policy
import socket
from collections.abc import Coroutine, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from onrecord.model import letters
from onrecord.model.letters import Letter, Sender
from onrecord.model.ports import Mail, Undeliverable
from onrecord.outside.mail import SmtpMailer, compose, mailer_of
from onrecord.settings import Settings

FROM = "office@example.com"
PNG = b"\x89PNG\r\n\x1a\n and so on"


class Postman:
    """Takes mail, or answers what a test wants."""

    def __init__(self) -> None:
        self.took: list[EmailMessage] = []
        self.rcpt = "250 OK"
        self.data = "250 OK"

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if self.rcpt.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, _: SMTP, __: Session, envelope: Envelope
    ) -> str:
        if self.data.startswith("2"):
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.took.append(message)
        return self.data


@pytest.fixture
def postman() -> Iterator[tuple[Postman, SmtpMailer]]:
    handler = Postman()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    yield handler, SmtpMailer("127.0.0.1", port, FROM)
    controller.stop()


def a_mail(**changes: Any) -> Mail:
    letter = letters.code(Sender("Alder & Finch", "https://chat.example.com"), {"code": "042117"})
    values: dict[str, Any] = {
        "to": "nell@example.com",
        "sender_name": "Alder & Finch",
        "letter": letter,
        "message_id": "<one@example.com>",
    }
    return Mail(**{**values, **changes})


def run(act: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(act)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_mail_arrives_as_text_and_as_html_in_the_organisations_name(
    postman: tuple[Postman, SmtpMailer],
) -> None:
    handler, mailer = postman
    run(mailer.send(a_mail()))
    (message,) = handler.took
    assert message["From"] == "Alder & Finch <office@example.com>"
    assert message["To"] == "nell@example.com"
    assert message["Message-ID"] == "<one@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "042117" in body(message, "plain")
    assert "042117" in body(message, "html")
    assert "Alder &amp; Finch" in body(message, "html")


def test_what_people_wrote_is_text_and_never_markup() -> None:
    sender = Sender("<b>Firm</b>", "https://chat.example.com")
    values = {"first_name": "<script>", "token": "t", "message": "a < b & c\nnext line"}
    letter = letters.invitation(sender, values)
    message = compose(a_mail(letter=letter, sender_name="<b>Firm</b>"), FROM)
    page = body(message, "html")
    assert "<script>" not in page
    assert "<b>Firm" not in page
    assert "a &lt; b &amp; c<br>next line" in page
    assert "a < b & c\nnext line" in body(message, "plain")


def test_a_mail_loads_nothing_from_anywhere_and_a_logo_travels_along() -> None:
    plain = compose(a_mail(), FROM)
    assert "src=" not in body(plain, "html")
    assert "http" not in body(plain, "html")
    with_logo = compose(a_mail(logo=PNG), FROM)
    assert 'src="cid:logo"' in body(with_logo, "html")
    pictures = [part for part in with_logo.walk() if part.get_content_maintype() == "image"]
    assert [(part["Content-ID"], part.get_content()) for part in pictures] == [("<logo>", PNG)]
    strange = compose(a_mail(logo=b"<svg onload=alert(1)>"), FROM)
    assert not [part for part in strange.walk() if part.get_content_maintype() == "image"]


@pytest.mark.parametrize(
    "name", ["Alder\nBcc: everybody@example.com", "Alder\r\nSubject: other", 'Alder" <a@b.c>']
)
def test_a_name_cannot_add_a_header(name: str) -> None:
    letter = Letter(f"Your invitation to {name}", ["Hello"])
    message = compose(a_mail(sender_name=name, letter=letter), FROM)
    parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert parsed["Bcc"] is None
    assert len(parsed.get_all("Subject", [])) == 1
    (sender,) = parsed["From"].addresses
    assert sender.addr_spec == FROM


def test_a_recipient_cannot_add_a_header() -> None:
    with pytest.raises(ValueError, match=r"linefeed|CR|newline"):
        compose(a_mail(to="nell@example.com\nBcc: other@example.com"), FROM)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("مؤسسة الأمانة", "\u2068مؤسسة الأمانة\u2069"),
        ("x" * 300, "x" * 120 + "…"),
        ("gro.\u202eelpmaxe", "gro.elpmaxe"),
        ("two\nlines", "two lines"),
        ("Ångström 株式会社", "Ångström 株式会社"),
    ],
)
def test_a_name_of_any_script_and_length_stands_safely_in_a_sentence(name: str, shown: str) -> None:
    assert letters.name(name) == shown


def test_names_of_any_script_arrive(postman: tuple[Postman, SmtpMailer]) -> None:
    handler, mailer = postman
    name = letters.name("شركة النور - 株式会社")
    run(mailer.send(a_mail(sender_name=name)))
    (message,) = handler.took
    assert message["From"].addresses[0].display_name == name
    assert name in body(message, "plain")


def test_an_address_that_is_not_ascii_arrives(postman: tuple[Postman, SmtpMailer]) -> None:
    handler, mailer = postman
    run(mailer.send(a_mail(to="zoë@example.com")))
    assert handler.took[0]["To"] == "zoë@example.com"


@pytest.mark.parametrize(
    ("where", "answer"),
    [("rcpt", "550 no such user"), ("rcpt", "553 not allowed"), ("data", "554 spam")],
)
def test_what_is_refused_for_good_says_so_without_the_servers_own_words(
    postman: tuple[Postman, SmtpMailer], where: str, answer: str
) -> None:
    handler, mailer = postman
    setattr(handler, where, answer)
    with pytest.raises(Undeliverable, match=answer[:3]) as caught:
        run(mailer.send(a_mail()))
    assert answer[4:] not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "answer"), [("rcpt", "450 try later"), ("data", "451 busy"), ("rcpt", "421 bye")]
)
def test_what_may_pass_is_tried_again(
    postman: tuple[Postman, SmtpMailer], where: str, answer: str
) -> None:
    handler, mailer = postman
    setattr(handler, where, answer)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it is not final
        run(mailer.send(a_mail()))
    assert not isinstance(caught.value, Undeliverable)


def test_a_server_that_is_away_or_hangs_up_is_tried_again() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await writer.drain()
        writer.close()

    async def act() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it is not final
            await SmtpMailer("127.0.0.1", port, FROM).send(a_mail())
        assert not isinstance(caught.value, Undeliverable)
        server.close()
        await server.wait_closed()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it is not final
            await SmtpMailer("127.0.0.1", port, FROM).send(a_mail())
        assert not isinstance(caught.value, Undeliverable)

    run(act())


def test_beyond_loopback_nothing_is_said_to_a_server_that_does_not_encrypt(
    postman: tuple[Postman, SmtpMailer], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, mailer = postman
    monkeypatch.setattr("onrecord.outside.mail.is_loopback", lambda _: False)
    with pytest.raises(Exception, match="STARTTLS"):
        run(mailer.send(a_mail()))
    assert handler.took == []


def test_the_settings_say_which_server() -> None:
    assert mailer_of(Settings()) is None
    mailer = mailer_of(Settings(mail_url="smtps://me:s%40cret@mail.example.com", mail_from=FROM))
    assert mailer is not None
    assert (mailer.server, mailer.port, mailer.tls) == ("mail.example.com", 465, True)
    assert (mailer.username, mailer.password) == ("me", "s@cret")
    assert mailer.host == "example.com"
