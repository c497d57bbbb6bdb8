"""The organisation by API: its settings, its entity tag, and what is refused."""

from typing import Any

import msgspec
import pytest

from onrecord.domain import organisation_settings, organisations
from onrecord.model.access import Kind
from onrecord.settings import Settings
from onrecord.web.organisation import Organisation, UpdateOrganisation
from tests.cast import ApiKey
from tests.faults.records import check_everything
from tests.world import CHAT, ENTITY, World, accepted, refused

READ = f"{ENTITY}/organisation"
UPDATE = f"{READ}/update"
CREATE = f"{ENTITY}/entity-memberships/create"


def shown(world: World) -> dict[str, Any]:
    organisation: dict[str, Any] = accepted(world.get(READ, key=world.cast.system))["organisation"]
    return organisation


def update(world: World, headers: Any = None, **fields: Any) -> Any:
    return world.post(UPDATE, key=world.cast.system, json=fields, headers=headers or {})


# -- reading --------------------------------------------------------------------------------------


def test_every_setting_has_its_field_in_what_goes_in_and_out() -> None:
    facts = {"entity_uuid", "name", "state", "created_at", "logo_url", "avatar_url"}
    assert {*Organisation.__struct_fields__} == {*facts, *organisation_settings.SETTINGS}
    assert {*UpdateOrganisation.__struct_fields__} == {"name", *organisation_settings.SETTINGS}
    for row in organisation_settings.SETTINGS.values():  # a default is of the type that is shown
        msgspec.convert(row.default, next(
            field.type for field in msgspec.structs.fields(Organisation) if field.name == row.name
        ))  # fmt: skip


def test_the_organisation_is_shown_with_the_defaults_of_what_nobody_set(world: World) -> None:
    body = shown(world)
    assert (body["name"], body["state"]) == ("Alder & Finch", "active")
    assert body["entity_uuid"] == world.cast.firm
    for name, row in organisation_settings.SETTINGS.items():
        if name != "allow_user_api_keys":
            assert body[name] == row.default
    assert body["allow_user_api_keys"] is True


def test_the_entity_tag_is_the_same_until_something_changes(world: World) -> None:
    first, second = (world.get(READ, key=world.cast.system).headers["etag"] for _ in range(2))
    assert first == second
    assert first.startswith('"')
    changed = update(world, banner="Closed on Friday")
    accepted(changed)
    assert changed.headers["etag"] != first
    assert world.get(READ, key=world.cast.system).headers["etag"] == changed.headers["etag"]


def test_who_has_it_already_is_told_so(world: World) -> None:
    etag = world.get(READ, key=world.cast.system).headers["etag"]
    again = world.get(READ, key=world.cast.system, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    accepted(update(world, banner="Hello"))
    accepted(world.get(READ, key=world.cast.system, headers={"If-None-Match": etag}))


# -- changing -------------------------------------------------------------------------------------


def test_several_settings_are_set_at_once_with_an_entry_each(world: World) -> None:
    before = world.head(world.cast.firm)
    body = accepted(
        update(
            world,
            name="Alder, Finch & Rowe",
            banner="Hello",
            colours={"primary": "#0A5C36"},
            sdk_allowed_origins=["https://CRM.example.com"],
            reviewer_export_cap=7,
            timezone="Europe/London",
            sdk_enabled=True,
        )
    )["organisation"]
    assert body["name"] == "Alder, Finch & Rowe"
    assert body["colours"] == {"primary": "#0a5c36"}
    assert body["sdk_allowed_origins"] == ["https://crm.example.com"]
    assert shown(world) == body
    check_everything(world)
    entries = world.entries(world.cast.firm, before)
    assert [(e["type"], e["data"].get("key")) for e in entries] == [
        ("entity.updated", None),
        ("setting.changed", "sdk_allowed_origins"),
        ("setting.changed", "reviewer_export_cap"),
        ("setting.changed", "banner"),
        ("setting.changed", "colours"),
        ("setting.changed", "timezone"),
    ]
    assert "Alder, Finch & Rowe" not in str(entries)
    assert world.rows("SELECT name FROM entity WHERE uuid = $1", world.cast.firm) == [
        ("Alder, Finch & Rowe",)
    ]


def test_the_same_values_again_change_nothing(world: World) -> None:
    accepted(update(world, banner="Hello", name="Cedar"))
    before = world.head(world.cast.firm)
    accepted(update(world, banner="Hello", name="Cedar", terms=""))
    assert world.head(world.cast.firm) == before


def test_null_takes_the_cap_away(world: World) -> None:
    accepted(update(world, reviewer_export_cap=7))
    assert accepted(update(world, reviewer_export_cap=None))["organisation"][
        "reviewer_export_cap"
    ] is None  # fmt: skip


WRONG: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "x" * 501),
    ("name", None),
    ("allow_user_api_keys", "true"),
    ("allow_user_api_keys", 1),
    ("staff_invitation_type", "carrier_pigeon"),
    ("sdk_token_seconds", 59),
    ("sdk_token_seconds", "3600"),
    ("sdk_allowed_origins", ["ftp://example.com"]),
    ("sdk_allowed_origins", "https://example.com"),
    ("sdk_allowed_origins", ["https://example.com"] * 201),
    ("reviewer_export_cap", -1),
    ("butler_welcome_text", "x" * 5001),
    ("banner", "x" * 5001),
    ("banner", "a\x85b"),
    ("terms", "x" * 100_001),
    ("colours", {"primary": "green"}),
    ("colours", {"Primary!": "#000000"}),
    ("colours", {f"c{'x' * n}": "#000000" for n in range(21)}),
    ("colours", "#000000"),
    ("attachment_types", ["../x"]),
    ("attachment_max_bytes", 0),
    ("timezone", "Mars/Olympus"),
    ("locale", "English, please"),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda one: str(one)[:30])
def test_a_wrong_value_is_named_and_nothing_of_the_call_is_done(
    sqlite_world: World, name: str, value: Any
) -> None:
    world = sqlite_world
    before, head = shown(world), world.head(world.cast.firm)
    other = {"locale": "de-CH"} if name != "locale" else {"timezone": "Europe/London"}
    body = refused(update(world, **other, **{name: value}), "RB003", 400)
    assert body["errors"][0]["pointer"].startswith(f"/{name}")
    assert (shown(world), world.head(world.cast.firm)) == (before, head)


def test_all_wrong_values_are_named_at_once(world: World) -> None:
    body = refused(update(world, name="", timezone="Mars", locale="de", banner="b\x00"), "RB003")
    assert [one["pointer"] for one in body["errors"]] == ["/name", "/banner", "/timezone"]
    assert shown(world)["locale"] == "en-GB"


def test_a_setting_that_is_none_is_ignored_and_named(world: World) -> None:
    response = update(world, colour="red", banner="Hello")
    accepted(response)
    assert response.headers["ignored-fields"] == "colour"
    refused(update(world, colour="red"), "RB002", 400)
    refused(update(world), "RB002", 400)


def test_other_terms_are_a_new_version_of_them(world: World) -> None:
    before = world.head(world.cast.firm)
    for _ in range(2):
        assert accepted(update(world, terms="Be kind."))["organisation"]["terms"] == "Be kind."
    assert shown(world)["terms"] == "Be kind."
    accepted(update(world, terms="Be kind, always."))
    entries = world.entries(world.cast.firm, before)
    assert [(e["type"], e["data"]) for e in entries] == [
        ("terms.updated", {"version": 1}),
        ("terms.updated", {"version": 2}),
    ]


def test_switching_user_keys_off_stops_them_and_on_again_revives_none(world: World) -> None:
    cast = world.cast
    accepted(world.get(f"{CHAT}/chats", key=cast.user))
    accepted(update(world, allow_user_api_keys=False))
    refused(world.get(f"{CHAT}/chats", key=cast.user), "RU002", 401)
    accepted(update(world, allow_user_api_keys=True))
    refused(world.get(f"{CHAT}/chats", key=cast.user), "RU002", 401)


# -- If-Match -------------------------------------------------------------------------------------


def test_a_change_under_an_old_entity_tag_is_refused(world: World) -> None:
    old = world.get(READ, key=world.cast.system).headers["etag"]
    accepted(update(world, {"If-Match": old}, banner="first"))
    refused(update(world, {"If-Match": old}, banner="second"), "RB027", 412)
    assert shown(world)["banner"] == "first"
    new = world.get(READ, key=world.cast.system).headers["etag"]
    accepted(update(world, {"If-Match": f'"other", {new}'}, banner="second"))


def test_of_two_changes_under_one_entity_tag_one_is_done(world: World) -> None:
    tag = world.get(READ, key=world.cast.system).headers["etag"]
    answers = world.together(
        *(
            world.request(
                "POST", UPDATE, key=world.cast.system, json={"banner": text},
                headers={"If-Match": tag},
            )
            for text in ("one", "two", "three")
        )
    )  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


@pytest.mark.parametrize(
    ("header", "code"),
    [("*", None), ('W/"{}"', "RB027"), ('"other"', "RB027"), ("other", "RB003"), ("", "RB003")],
)
def test_if_match_is_read_as_its_standard_says(
    sqlite_world: World, header: str, code: str | None
) -> None:
    world = sqlite_world
    tag = world.get(READ, key=world.cast.system).headers["etag"]
    response = update(world, {"If-Match": header.format(tag.strip('"'))}, banner="Hello")
    if code is None:
        accepted(response)
    else:
        refused(response, code)


def test_a_retry_of_a_change_that_was_done_gets_its_answer_again(world: World) -> None:
    tag = world.get(READ, key=world.cast.system).headers["etag"]
    headers = {"If-Match": tag, "Idempotency-Key": "once"}
    first = update(world, headers, banner="Hello")
    again = update(world, headers, banner="Hello")
    assert accepted(first) == accepted(again)
    assert again.headers["idempotent-replay"] == "true"
    assert again.headers["etag"] == first.headers["etag"]


# -- what inviting needs --------------------------------------------------------------------------


def person(world: World, profile: int, **more: Any) -> Any:
    email = f"nell{profile}@example.com"
    body = {"enum_profile_id": profile, "first_name": "Nell", "primary_email": email, **more}
    return world.post(CREATE, key=world.cast.system, json={**body, "send_invitation": False})


def test_where_texts_can_be_sent_staff_need_a_phone_unless_set_otherwise(world: World) -> None:
    accepted(person(world, 3))
    world.restart(sms_url="https://account:token@sms.example.com", sms_from="OnRecord")
    body = shown(world)
    assert body["staff_invitation_type"] == "email_and_phone"
    assert body["client_invitation_type"] == "optional_phone"
    refused(person(world, 2), "RB002", 400)
    accepted(person(world, 4))
    accepted(update(world, staff_invitation_type="email_only"))
    accepted(person(world, 2))


def test_a_type_that_was_set_stays_when_the_default_changes(world: World) -> None:
    before = world.head(world.cast.firm)
    accepted(update(world, staff_invitation_type="email_only"))
    assert world.head(world.cast.firm) == before + 1
    world.restart(sms_url="https://account:token@sms.example.com", sms_from="OnRecord")
    assert shown(world)["staff_invitation_type"] == "email_only"
    world.restart(sms_url="", sms_from="")
    assert shown(world)["client_invitation_type"] == "email_only"


def test_a_command_does_not_change_what_the_server_was_started_with(world: World) -> None:
    world.restart(sms_url="https://account:token@sms.example.com", sms_from="OnRecord")
    from onrecord import app as composition  # noqa: PLC0415 - as a command starts it

    plain = Settings(data_dir=world.settings.data_dir, database_url=world.settings.database_url)

    async def command() -> None:
        async with composition.running(plain, purpose="a command"):
            pass

    world.run(command())
    assert shown(world)["client_invitation_type"] == "optional_phone"


# -- states ---------------------------------------------------------------------------------------


def test_a_frozen_organisation_can_be_read_and_not_changed(world: World) -> None:
    cast = world.cast
    world.work(cast.firm, lambda work: organisations.set_state(work, "frozen"))
    assert shown(world)["state"] == "frozen"
    refused(update(world, banner="Hello"), "RN902", 404)
    refused(world.get(READ, key=cast.alone[Kind.SYSTEM, "can_export"]), "RF733", 403)
    world.work(cast.firm, lambda work: organisations.set_state(work, "active"))
    world.work(cast.firm, lambda work: organisations.set_state(work, "inactive"))
    for key in (cast.system, cast.superkey):
        refused(world.get(READ, key=key), "RN900", 404)
        refused(world.post(UPDATE, key=key, json={"banner": "x"}), "RN900", 404)


def test_a_super_key_changes_the_organisation_it_names(world: World) -> None:
    cast = world.cast
    other = ApiKey(Kind.SUPER, "", cast.superkey.api_key, cast.superkey.secret, "", cast.other)
    accepted(world.post(UPDATE, key=other, json={"name": "Birch"}))
    assert accepted(world.get(READ, key=cast.other_system))["organisation"]["name"] == "Birch"
    assert shown(world)["name"] == "Alder & Finch"
