"""The catalogue of refusals."""

import re

import pytest

from onrecord.model.access import CAN_LOG_IN, KEY_KINDS, PERMISSIONS, PROFILES, VIA, Kind
from onrecord.model.errors import CATALOGUE, Refusal, malformed, missing, pointer_to


def test_every_row_has_a_code_a_status_and_a_title() -> None:
    assert len({row.title for row in CATALOGUE.values()}) == len(CATALOGUE)
    for code, row in CATALOGUE.items():
        assert row.code == code
        assert re.fullmatch(r"R[BUFNX]\d{3}", code)
        assert 400 <= row.status < 600
        assert row.title[0].isupper()
        assert not row.title.endswith(".")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RB001", 400), ("RB022", 422), ("RB023", 409), ("RB024", 413), ("RB026", 415),
        ("RB785", 400), ("RU001", 401), ("RU029", 429), ("RF024", 403), ("RF736", 403),
        ("RN006", 404), ("RN900", 404), ("RN902", 404), ("RX500", 500), ("RX503", 503),
    ],
)  # fmt: skip
def test_codes_have_the_contracts_status(code: str, status: int) -> None:
    assert Refusal(code).status == status


def test_an_unknown_code_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Refusal("RB999")


def test_a_refusal_without_detail_says_its_title() -> None:
    refusal = Refusal("RN001")
    assert refusal.detail == "Chat not found"
    assert str(refusal) == "RN001 Chat not found"
    assert Refusal("RN001", "Gone").detail == "Gone"


def test_a_wrong_method_is_a_405() -> None:
    assert Refusal("RN005").status == 404
    assert Refusal("RN005", allow=["GET"]).status == 405


def test_field_errors_point_at_the_field() -> None:
    assert missing("text").fields == (("/text", "is required"),)
    assert malformed("a/b~c", "is odd").fields[0].pointer == "/a~1b~0c"
    assert malformed("text", "is odd").detail == "text is odd"
    assert pointer_to("x") == "/x"


def test_the_tables_of_access_fit_together() -> None:
    assert set(VIA) == set(Kind)
    for name, row in PERMISSIONS.items():
        assert row.name == name
        assert row.refusal in CATALOGUE
        assert row.kinds <= KEY_KINDS
        assert row.label
    for number, profile in PROFILES.items():
        assert profile.enum_profile_id == number
        assert profile.is_staff + profile.is_client == (number != 6)
        assert profile.title
    assert {number for number, row in PROFILES.items() if row.side != "butler"} == CAN_LOG_IN
