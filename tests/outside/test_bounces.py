"""Mail that came back, in a Maildir."""

from pathlib import Path

import pytest

from onrecord.outside import bounces

REPORT = """\
From: MAILER-DAEMON@example.net
To: office@example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I am sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.net

Final-Recipient: rfc822; nell@example.com
Action: {action}
Status: 5.1.1

--b
{returned}
--b--
"""
WHOLE = """\
Content-Type: message/rfc822

Message-ID: <one@example.com>
To: nell@example.com

Hello
"""
HEADERS = """\
Content-Type: text/rfc822-headers

Message-ID: <one@example.com>
To: nell@example.com
"""


@pytest.mark.parametrize("returned", [WHOLE, HEADERS])
def test_a_notification_tells_which_mail_failed(returned: str) -> None:
    content = REPORT.format(action="failed", returned=returned).encode()
    bounce = bounces.parsed(Path("x"), content)
    assert bounce.failed
    assert (bounce.message_id, bounce.recipient) == ("<one@example.com>", "nell@example.com")


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed"])
def test_a_notification_of_anything_but_failure_is_none(action: str) -> None:
    content = REPORT.format(action=action, returned=WHOLE).encode()
    assert not bounces.parsed(Path("x"), content).failed


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: I am away\n\nMessage-ID: <one@example.com>",
        b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b--",
        b"Content-Type: multipart/report\n\n",
    ],
)
def test_anything_else_says_nothing_and_breaks_nothing(content: bytes) -> None:
    assert not bounces.parsed(Path("x"), content).failed


def test_new_messages_are_read_and_put_away(tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "1.a:2,").write_bytes(REPORT.format(action="failed", returned=WHOLE).encode())
    (new / "2.b").write_bytes(b"x" * (bounces.LARGEST + 1))
    found = bounces.read(tmp_path)
    assert [bounce.failed for bounce in found] == [True, False]
    for bounce in found:
        bounces.put_away(bounce)
    assert bounces.read(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "cur").iterdir()) == ["1.a:2,S", "2.b:2,S"]


def test_no_directory_is_no_mail(tmp_path: Path) -> None:
    assert bounces.read(tmp_path / "nowhere") == []
