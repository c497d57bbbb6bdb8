"""What people type: kept as sent, or refused."""

from collections.abc import Callable

import pytest

from onrecord.model import text
from onrecord.model.errors import Refusal

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    "value", ["x", " x ", "a\tb\r\nc", "é", "e\u0301", "😀", "\u200e", "\xa0x"]
)
def test_a_text_is_given_back_as_it_is(value: str) -> None:
    assert text.check("text", value, least=1, most=10) is value


def test_every_control_character_is_refused_but_three() -> None:
    for code in [*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000, 97)]:
        value = f"a{chr(code)}b"
        if chr(code) in "\t\n\r":
            assert text.check("text", value, least=1, most=10) == value
            continue
        with pytest.raises(Refusal) as caught:
            text.check("text", value, least=1, most=10)
        assert caught.value.code == "RB003"


@pytest.mark.parametrize("value", ["", " ", "\n\t", "\u3000\u2028"])
def test_white_space_is_nothing(value: str) -> None:
    assert text.check("text", value, least=0, most=10) == value
    with pytest.raises(Refusal):
        text.check("text", value, least=1, most=10)


def test_length_is_counted_in_code_points() -> None:
    assert text.check("text", "😀" * 10, least=1, most=10)
    with pytest.raises(Refusal, match="has 11 characters, at most 10"):
        text.check("text", "😀" * 11, least=1, most=10)
    with pytest.raises(Refusal, match="at least 3 characters"):
        text.check("text", "ab", least=3, most=10)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (" a@b ", "a@b"),
        ("Ada@Example.COM", "Ada@Example.COM"),
        ("ünï@exämple.com", "ünï@exämple.com"),
        ("a+b@c.d.e", "a+b@c.d.e"),
        ("o'neil.&-_=/{~!#$%^*?|`}@c-d.e", "o'neil.&-_=/{~!#$%^*?|`}@c-d.e"),
        (".a..b.@c", ".a..b.@c"),
    ],
)
def test_an_email_is_trimmed_and_kept(value: str, kept: str) -> None:
    assert text.check_email("email", value) == kept


@pytest.mark.parametrize(
    "value",
    [
        *("", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b..c", "a@.b", "a@b.", "a@b\x00"),
        *("a@b;", "a@b,", "x,a@b", "<a@b>", '"a"@b', "mailto:a@b", "a@b>", "a@[127.0.0.1]"),
        *("(a)a@b", "a\\@b"),
    ],
)
def test_what_is_no_email_is_refused(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        text.check_email("email", value)
    assert caught.value.code == "RB003"


def test_emails_are_compared_trimmed_composed_and_in_lower_case() -> None:
    assert text.email_key(" Rene\u0301@Example.COM\n") == "ren\u00e9@example.com"


def test_titles_are_searched_without_case_and_composed() -> None:
    assert text.search_key("STRASSE É") == text.search_key("straße e\u0301")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("+441234567890", "+441234567890"),
        ("+44 (20) 79-46.00", "+4420794600"),
        ("+1234", "+1234"),
        ("+44 (0)20 7946 0011", "+442079460011"),
        ("+49\u00a030/1234\u20115678", "+493012345678"),
        ("\u202a+442079460011\u202c", "+442079460011"),
    ],
)
def test_a_phone_is_plus_and_digits(value: str, kept: str) -> None:
    assert text.check_phone("phone", value) == kept


@pytest.mark.parametrize(
    "value", ["", "+", "0044123", "+44a", "+123", "+" + "1" * 21, "+٤٤١٢٣", "+(0)"]
)
def test_what_is_no_phone_is_refused(value: str) -> None:
    with pytest.raises(Refusal):
        text.check_phone("phone", value)


def test_uuids_are_taken_in_either_case_and_given_in_lower() -> None:
    assert text.check_uuid("id", UUID.upper()) == UUID
    assert text.check_uuids("ids", [UUID, UUID.upper()]) == [UUID]
    assert text.is_uuid(UUID)
    for value in ("", UUID[:-1], UUID + "0", UUID.replace("-", ""), f"{{{UUID}}}", f" {UUID}"):
        assert not text.is_uuid(value)
        with pytest.raises(Refusal):
            text.check_uuid("id", value)


@pytest.mark.parametrize("value", ["ada.lovelace", "abcde1", "ÄdaÄda", "x" * 100])
def test_a_username_is_taken(value: str) -> None:
    assert text.check_username(value) == value


@pytest.mark.parametrize(
    "check", [text.check_username, text.check_password], ids=["username", "password"]
)
def test_names_and_passwords_have_a_length(check: Callable[[str], str]) -> None:
    for value in ("", "short", "x" * 1001):
        with pytest.raises(Refusal) as caught:
            check(value)
        assert caught.value.code == "RB003"


def test_a_password_may_be_anything_long_enough() -> None:
    for value in ("x" * 12, "x" * 256, "correct horse battery staple", "😀" * 12):
        assert text.check_password(value) == value
