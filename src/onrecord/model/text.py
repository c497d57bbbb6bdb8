"""Rules for what people type: texts, names, emails, phone numbers, ids.

Kept exactly as sent; only what cannot be shown or stored is refused (product.md, section 5).
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from onrecord.model.errors import FieldError, Refusal, malformed

TEXT_MAX: Final = 5000
NAME_MAX: Final = 500
TITLE_MAX: Final = 500
EMAIL_MAX: Final = 320
PHONE_MAX: Final = 500
IDENTIFIER_MAX: Final = 500
DEFAULT_TITLE: Final = "New chat"

# Tab, line feed and carriage return are text; every other C0 and C1 control, DEL and lone
# surrogates are not. C1 (U+0080 to U+009F) is refused as well.
_REFUSED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# Without what separates addresses or stands around them in headers (RFC 5322, section 3.2.3): a
# mail to "a@b.com;" or "x,a@b.com" would go elsewhere or nowhere.
_ATOM: Final = r'[^\s@.<>()\[\],;:\\"]+'
_EMAIL: Final = re.compile(rf"\.*{_ATOM}(\.+{_ATOM})*\.*@{_ATOM}(\.{_ATOM})*")
# What people write between digits; the 0 in brackets, which is not dialled from abroad; and the
# marks of direction that come along when a number is copied from a contact card.
_IN_PHONES: Final = re.compile(
    r"\(0\)|[\s()./\u2010-\u2015\u200e\u200f\u202a-\u202e\u2066-\u2069-]"
)
_PHONE: Final = re.compile(r"\+[0-9]{4,20}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def check(field: str, value: str, *, least: int, most: int) -> str:
    """Give the text back as it is, or refuse it with RB003.

    `least` and `most` count Unicode code points. With `least` above 0 a text of white space alone
    is refused too.
    """
    if len(value) > most:
        raise malformed(field, f"has {len(value)} characters, at most {most} are allowed")
    if len(value) < least:
        raise malformed(field, f"needs at least {least} character{'s' * (least > 1)}")
    if _REFUSED.search(value):
        raise malformed(field, "holds a control character or a lone surrogate")
    if least and not value.strip():
        raise malformed(field, "holds nothing but white space")
    return value


def email_key(email: str) -> str:
    """Give the form in which emails are compared: trimmed, NFC, lower case."""
    return unicodedata.normalize("NFC", email.strip()).lower()


def search_key(value: str) -> str:
    """Give the form in which titles and the like are searched: NFC, without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).casefold())


def check_email(field: str, value: str) -> str:
    """Give a trimmed email of 1 to 320 characters with one @, or refuse it with RB003."""
    value = check(field, value, least=1, most=EMAIL_MAX).strip()
    if not _EMAIL.fullmatch(value):
        raise malformed(field, "is not an email address")
    return value


def check_phone(field: str, value: str) -> str:
    """Give a phone number, `+` and digits (what people write between is dropped), or refuse it."""
    value = _IN_PHONES.sub("", check(field, value, least=1, most=PHONE_MAX))
    if not _PHONE.fullmatch(value):
        raise malformed(field, "is not a phone number in the form +441234567890")
    return value


def check_uuid(field: str, value: str) -> str:
    """Give the lower-case form of a UUID string, or refuse it with RB003."""
    if not _UUID.fullmatch(value):
        raise malformed(field, "is not a UUID")
    return value.lower()


def check_uuids(field: str, values: Sequence[str]) -> list[str]:
    """Give the lower-case forms, each once, in the order given; RB003 for what is no UUID.

    `field` may be a path, such as audience/group_uuids.
    """
    for number, value in enumerate(values):
        if not is_uuid(value):
            place = FieldError(f"/{field}/{number}", "is not a UUID")
            raise Refusal("RB003", f"{field}/{number} is not a UUID", fields=[place])
    return list(dict.fromkeys(value.lower() for value in values))


def is_uuid(value: str) -> bool:
    """Whether a string is a UUID in either case."""
    return _UUID.fullmatch(value) is not None


USERNAME_MIN: Final = 6
USERNAME_MAX: Final = 100
PASSWORD_MIN: Final = 12
PASSWORD_MAX: Final = 256


def check_username(value: str) -> str:
    """Refuse (RB003) a user name that is short, has spaces, no letter, or looks like an email."""
    check("username", value, least=USERNAME_MIN, most=USERNAME_MAX)
    if re.search(r"\s", value):
        raise malformed("username", "must not hold spaces")
    if "@" in value:
        raise malformed("username", "must not be an email")
    if not any(character.isalpha() for character in value):
        raise malformed("username", "needs at least one letter")
    return value


def password_form(value: str) -> str:
    """Give the form in which a password is hashed: the same whatever keyboard wrote it (NFKC)."""
    return unicodedata.normalize("NFKC", value)


def check_password(value: str) -> str:
    """Refuse (RB003) a password of fewer than 12 characters (NIST SP 800-63B, section 3.1.1)."""
    if not PASSWORD_MIN <= len(value) <= PASSWORD_MAX:
        raise malformed("password", f"needs {PASSWORD_MIN} to {PASSWORD_MAX} characters")
    if _REFUSED.search(value):
        raise malformed("password", "holds a control character or a lone surrogate")
    return value
