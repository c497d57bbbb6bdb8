"""Editing members: names, identifiers, the two layers of contact data, role and level."""

from typing import Any

import pytest

from onrecord.domain import members, organisations, profiles
from onrecord.model.access import USER_ADMIN
from onrecord.store.work import Work
from tests.cast import Person, butler_of, join, set_member_state
from tests.talk import CHATS, STRANGER, code_by_hand, messages_of, say, start
from tests.world import CHAT, ENTITY, World, accepted, refused

MEMBERS = f"{ENTITY}/entity-memberships"
EDITS = ("update", "emails/update", "phone-numbers/update", "profile/update")


def edit(world: World, act: str, who: Person | str, **new: Any) -> dict[str, Any]:
    """Change a member, and give the member as answered."""
    body = {"entity_user_xref_uuid": who if isinstance(who, str) else who.uuid, **new}
    response = world.post(f"{MEMBERS}/{act}", key=world.cast.system, json=body)
    member: dict[str, Any] = accepted(response)["entity_membership"]
    return member


def refuse(world: World, code: str, act: str, who: Person | str | None, **new: Any) -> str:
    """Expect a refusal that left nothing behind, and give its detail."""
    before = world.head(world.cast.firm)
    named = {} if who is None else {"entity_user_xref_uuid": getattr(who, "uuid", who)}
    response = world.post(f"{MEMBERS}/{act}", key=world.cast.system, json={**named, **new})
    detail = str(refused(response, code)["detail"])
    assert world.head(world.cast.firm) == before
    return detail


def read(world: World, who: Person) -> dict[str, Any]:
    response = world.get(MEMBERS, key=world.cast.system, params={"entity_user_xref_uuid": who.uuid})
    member: dict[str, Any] = accepted(response)["entity_membership"]
    return member


def contact(world: World, who: Person, by: Person) -> dict[str, Any]:
    response = world.get(
        f"{CHAT}/contacts",
        key=world.cast.master,
        on_behalf_of=by,
        params={"entity_user_xref_uuid": who.uuid},
    )
    found: dict[str, Any] = accepted(response)["contact"]
    return found


def found_by(world: World, search: str) -> list[str]:
    response = world.get(f"{MEMBERS}/list", key=world.cast.system, params={"search": search})
    return [one["entity_user_xref_uuid"] for one in accepted(response)["entity_memberships"]]


# -- names and identifiers ------------------------------------------------------------------------


def test_names_and_card_are_changed_as_asked_and_nothing_else_is(world: World) -> None:
    cast = world.cast
    before = read(world, cast.priya)
    new = {
        "first_name": "Priyanka",
        "last_name": "",
        "job_title": "Founder",
        "emails": [" P@Example.net ", "p@example.NET", "two@example.net"],
        "phone_numbers": ["+44 (20) 7946-0001"],
    }
    after = edit(world, "update", cast.priya, **new)
    assert after == read(world, cast.priya)
    assert after["updated_at"] > before["updated_at"]
    assert after == {
        **before,
        **new,
        "emails": ["P@Example.net", "two@example.net"],
        "phone_numbers": ["+442079460001"],
        "updated_at": after["updated_at"],
    }
    shown = contact(world, cast.priya, cast.tomas)
    assert shown["first_name"] == "Priyanka"
    assert shown["emails"] == ["P@Example.net", "two@example.net"]


def test_an_edit_is_on_record_by_the_names_of_fields_and_their_values_as_a_part(
    world: World,
) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    edit(world, "update", cast.priya, first_name="Priyanka", last_name="Nair", identifier="CL-9")
    (entry,) = world.entries(cast.firm, before)
    assert entry["type"] == "member.updated"
    assert entry["entity_user_xref_uuid"] == cast.priya.uuid
    assert entry["data"] == {"changes": ["first_name", "identifier"]}
    assert "profile" in entry["content"]
    assert "Priyanka" not in str(entry)


def test_values_a_member_has_already_change_nothing(world: World) -> None:
    cast = world.cast
    shown = read(world, cast.priya)
    before = world.head(cast.firm)
    names = ("first_name", "last_name", "job_title", "identifier", "emails", "phone_numbers")
    assert edit(world, "update", cast.priya, **{name: shown[name] for name in names}) == shown
    assert edit(world, "update", cast.priya) == shown
    edit(world, "emails/update", cast.priya, primary_email=shown["primary_email"])
    edit(world, "phone-numbers/update", cast.priya, phone_numbers=[])
    edit(world, "profile/update", cast.priya, enum_profile_id=4, data_reviewer_level=0)
    assert world.head(cast.firm) == before


def test_a_new_name_is_shown_at_once_wherever_the_member_is_named(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="hello")
    say(world, cast.priya, chat)
    assert [one["first_name"] for one in messages_of(world, cast.tomas, chat)][-1] == "Priya"
    edit(world, "update", cast.priya, first_name="Priyanka")
    assert [one["first_name"] for one in messages_of(world, cast.tomas, chat)][-1] == "Priyanka"
    assert say(world, cast.priya, chat)["first_name"] == "Priyanka"
    listed = world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas, params={"chat_uuid": chat})
    names = [one["first_name"] for one in accepted(listed)["chat"]["participants"]]
    assert "Priyanka" in names


def test_a_member_is_found_by_what_is_new_and_no_more_by_what_was(world: World) -> None:
    cast = world.cast
    edit(world, "update", cast.priya, last_name="Ångström", identifier="XY-7")
    edit(world, "emails/update", cast.priya, primary_email="fresh@example.org", emails=["c@d.ef"])
    for search in ("ångström", "xy-7", "FRESH@", "c@d.ef"):
        assert found_by(world, search) == [cast.priya.uuid]
    assert found_by(world, "CL-1") == []
    assert found_by(world, "priya.nair@") == []


def test_beside_a_uuid_the_identifier_is_the_new_one_and_without_it_says_which_member(
    world: World,
) -> None:
    cast = world.cast
    assert edit(world, "update", cast.priya, identifier="CL-8")["identifier"] == "CL-8"
    by_identifier = {"identifier": "CL-8", "new_identifier": "CL-9"}
    changed = accepted(world.post(f"{MEMBERS}/update", key=cast.system, json=by_identifier))
    assert changed["entity_membership"]["entity_user_xref_uuid"] == cast.priya.uuid
    assert changed["entity_membership"]["identifier"] == "CL-9"
    assert edit(world, "update", cast.priya, new_identifier="")["identifier"] is None


def test_an_identifier_beside_uuid_and_new_one_says_which_member_too(world: World) -> None:
    cast = world.cast
    both = {"identifier": "CL-1", "new_identifier": "CL-9"}
    refuse(world, "RB003", "update", cast.george, **both)
    assert edit(world, "update", cast.priya, **both)["identifier"] == "CL-9"
    refuse(world, "RB003", "update", cast.priya, **both)
    same = {"identifier": "CL-7", "new_identifier": "CL-7"}
    assert edit(world, "update", cast.priya, **same)["identifier"] == "CL-7"


def test_an_identifier_in_use_is_refused_an_inactive_members_too(world: World) -> None:
    cast = world.cast
    set_member_state(world, cast.george, "inactive")
    for taken in ("ADV-1", "CL-2"):
        refuse(world, "RB013", "update", cast.priya, identifier=taken)
        refuse(world, "RB013", "update", None, identifier="CL-1", new_identifier=taken)
    edit(world, "update", cast.george, new_identifier="")
    assert edit(world, "update", cast.priya, identifier="CL-2")["identifier"] == "CL-2"


@pytest.mark.parametrize("state", ["pending", "active", "suspended", "inactive"])
def test_members_can_be_edited_in_every_state(world: World, state: str) -> None:
    cast = world.cast
    set_member_state(world, cast.olga, state)
    assert edit(world, "update", cast.olga, job_title="Partner")["job_title"] == "Partner"
    email = edit(world, "emails/update", cast.olga, primary_email="o@example.org")
    assert email["primary_email"] == "o@example.org"
    phone = edit(world, "phone-numbers/update", cast.olga, primary_phone_number="+4420794600")
    assert phone["primary_phone_number"] == "+4420794600"
    assert edit(world, "profile/update", cast.olga, enum_profile_id=2)["enum_profile_id"] == 2
    assert read(world, cast.olga)["state"] == state


@pytest.mark.parametrize(
    ("act", "new"),
    [
        ("update", {"first_name": ""}),
        ("update", {"first_name": " "}),
        ("update", {"last_name": "x" * 501}),
        ("update", {"job_title": "a\u0085b"}),
        ("update", {"identifier": " CL-8"}),
        ("update", {"emails": []}),
        ("update", {"emails": ["nobody"]}),
        ("update", {"emails": [f"{number}@example.net" for number in range(51)]}),
        ("update", {"phone_numbers": ["12345"]}),
        ("update", {"phone_numbers": [f"+4420{number:04}" for number in range(51)]}),
        ("emails/update", {"emails": []}),
        ("emails/update", {"primary_email": ""}),
        ("emails/update", {"primary_email": "no email"}),
        ("phone-numbers/update", {"primary_phone_number": "7946"}),
        ("profile/update", {"enum_profile_id": 0}),
        ("profile/update", {"enum_profile_id": 6}),
        ("profile/update", {"data_reviewer_level": 4}),
        ("profile/update", {"data_reviewer_level": -1}),
        ("profile/update", {"data_reviewer_level": 1}),
    ],
)
def test_a_value_that_cannot_be_is_refused(world: World, act: str, new: dict[str, Any]) -> None:
    refuse(world, "RB003", act, world.cast.priya, **new)


@pytest.mark.parametrize("act", EDITS)
def test_an_edit_names_a_member_that_is_there(sqlite_world: World, act: str) -> None:
    refuse(sqlite_world, "RB785", act, None)
    refuse(sqlite_world, "RN006", act, STRANGER)
    refuse(sqlite_world, "RN006", act, sqlite_world.cast.lena)
    refuse(sqlite_world, "RN006", act, None, identifier="nobody")
    refuse(sqlite_world, "RB003", act, "CL-1")
    if act != "update":
        refuse(sqlite_world, "RB003", act, sqlite_world.cast.priya, identifier="CL-2")


# -- three layers ---------------------------------------------------------------------------------


def account_of(world: World, who: Person) -> tuple[Any, ...]:
    return world.rows(
        "SELECT a.email, a.phone_number FROM account a JOIN member m ON m.account_id = a.id"
        " WHERE m.uuid = $1",
        who.uuid,
    )[0]


def test_one_layer_never_changes_another(world: World) -> None:
    cast = world.cast
    account = account_of(world, cast.priya)
    card = {name: read(world, cast.priya)[name] for name in ("emails", "phone_numbers")}
    edit(world, "emails/update", cast.priya, primary_email="secure@example.org")
    edit(world, "phone-numbers/update", cast.priya, primary_phone_number="+4420794601")
    shown = read(world, cast.priya)
    assert {name: shown[name] for name in card} == card
    edit(world, "emails/update", cast.priya, emails=["card@example.org"])
    edit(world, "phone-numbers/update", cast.priya, phone_numbers=["+4420794602"])
    shown = read(world, cast.priya)
    assert shown["primary_email"] == "secure@example.org"
    assert shown["primary_phone_number"] == "+4420794601"
    assert shown["emails"] == ["card@example.org"]
    assert shown["phone_numbers"] == ["+4420794602"]
    assert account_of(world, cast.priya) == account


def test_an_email_in_use_is_refused_until_the_inactive_member_gives_it_up(world: World) -> None:
    cast = world.cast
    set_member_state(world, cast.george, "inactive")
    for taken in (cast.george.email, f" {cast.tomas.email.upper()} "):
        refuse(world, "RB014", "emails/update", cast.priya, primary_email=taken)
    edit(world, "emails/update", cast.george, primary_email="elsewhere@example.org")
    changed = edit(world, "emails/update", cast.priya, primary_email=cast.george.email)
    assert changed["primary_email"] == cast.george.email
    # A card may show whatever address: it is nobody's alone.
    edit(world, "emails/update", cast.priya, emails=[cast.tomas.email])


def test_ones_own_email_may_be_spelt_anew(world: World) -> None:
    cast = world.cast
    spelt = cast.priya.email.upper()
    assert edit(world, "emails/update", cast.priya, primary_email=spelt)["primary_email"] == spelt
    assert mails_to(world, cast.priya.email, "email_changed") == []


def mails_to(world: World, email: str, template: str) -> list[str]:
    """Give the payload of each mail of a kind that is in line to an address."""
    payloads = [row[0] for row in world.rows("SELECT payload FROM job ORDER BY id")]
    return [one for one in payloads if f'"{email}"' in one and f'"{template}"' in one]


def test_the_address_before_is_told_that_it_was_replaced(world: World) -> None:
    cast = world.cast
    edit(world, "emails/update", cast.priya, primary_email="fresh@example.org")
    (told,) = mails_to(world, cast.priya.email, "email_changed")
    assert "fresh@example.org" not in told


def test_the_invitation_of_a_pending_member_goes_on_to_the_new_address(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    edit(world, "emails/update", cast.petra, primary_email="petra@example.org")
    types = [entry["type"] for entry in world.entries(cast.firm, before)]
    assert types == ["member.updated", "invitation.made"]
    assert len(mails_to(world, "petra@example.org", "invitation")) == 1
    ends = world.rows(
        "SELECT l.ended FROM invitation_link l JOIN member m ON m.id = l.member_id"
        " WHERE m.uuid = $1 ORDER BY l.made_at",
        cast.petra.uuid,
    )
    assert [end for (end,) in ends] == ["superseded", None]


def test_a_phone_number_goes_unless_the_organisation_asks_for_one(world: World) -> None:
    cast = world.cast
    edit(world, "phone-numbers/update", cast.priya, primary_phone_number="+4420794601")
    world.work(
        cast.firm,
        lambda work: organisations.set_setting(work, "client_invitation_type", "email_and_phone"),
    )
    refuse(world, "RB002", "phone-numbers/update", cast.priya, primary_phone_number="")
    world.work(
        cast.firm,
        lambda work: organisations.set_setting(work, "client_invitation_type", "optional_phone"),
    )
    gone = edit(world, "phone-numbers/update", cast.priya, primary_phone_number="")
    assert gone["primary_phone_number"] is None


# -- role and level -------------------------------------------------------------------------------


def test_a_role_changes_within_a_side_only(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    assert edit(world, "profile/update", cast.olga, enum_profile_id=2)["profile"] == "user_admin"
    assert edit(world, "profile/update", cast.george, enum_profile_id=4)["profile"] == "client"
    types = [(one["type"], one["data"]) for one in world.entries(cast.firm, before)]
    assert types == [
        ("member.role_changed", {"enum_profile_id": 2}),
        ("member.role_changed", {"enum_profile_id": 4}),
    ]
    for client_side in (4, 5):
        refuse(world, "RB010", "profile/update", cast.olga, enum_profile_id=client_side)
    for staff_side in (1, 2, 3):
        refuse(world, "RB010", "profile/update", cast.priya, enum_profile_id=staff_side)


def test_the_last_active_system_administrator_keeps_the_role(world: World) -> None:
    cast = world.cast
    refuse(world, "RB018", "profile/update", cast.miriam, enum_profile_id=3)
    edit(world, "profile/update", cast.olga, enum_profile_id=1)
    set_member_state(world, cast.olga, "suspended")
    refuse(world, "RB018", "profile/update", cast.miriam, enum_profile_id=3)
    set_member_state(world, cast.olga, "active")
    assert edit(world, "profile/update", cast.miriam, enum_profile_id=3)["enum_profile_id"] == 3
    refuse(world, "RB018", "profile/update", cast.olga, enum_profile_id=2)


def test_staff_review_at_a_level_and_clients_review_nothing(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    both = edit(world, "profile/update", cast.olga, enum_profile_id=2, data_reviewer_level=3)
    assert (both["enum_profile_id"], both["data_reviewer_level"]) == (2, 3)
    assert (
        edit(world, "profile/update", cast.olga, data_reviewer_level=0)["data_reviewer_level"] == 0
    )
    types = [one["type"] for one in world.entries(cast.firm, before)]
    assert types == ["member.role_changed", *["member.reviewer_level_changed"] * 2]
    detail = refuse(world, "RB003", "profile/update", cast.george, data_reviewer_level=2)
    assert "staff" in detail


def test_the_butler_has_a_name_and_an_identifier_and_nothing_else(world: World) -> None:
    butler = butler_of(world, world.cast.firm)
    assert (
        edit(world, "update", butler, first_name="Jeeves", identifier="B")["first_name"] == "Jeeves"
    )
    refuse(world, "RB035", "update", butler, emails=["b@example.org"])
    refuse(world, "RB035", "update", butler, phone_numbers=[])
    refuse(world, "RB035", "emails/update", butler, primary_email="b@example.org")
    refuse(world, "RB035", "phone-numbers/update", butler, primary_phone_number="+4420794601")
    refuse(world, "RB035", "profile/update", butler, enum_profile_id=3)
    refuse(world, "RB035", "profile/update", butler, data_reviewer_level=1)


# -- by hand --------------------------------------------------------------------------------------


def code_of(world: World, by: Person, who: Person, **how: int) -> str:
    """Give the code with which a person's own edit is refused, nothing when it is done."""

    async def deed(work: Work) -> None:
        member = await members.pick(work, who.uuid, None)
        if how:
            role, level = how.get("role"), how.get("level")
            await profiles.change_role(work, member, role, level)
        else:
            await profiles.change(work, member, profiles.NewValues(job_title="Other"))

    return code_by_hand(world, by, deed)


def test_only_administrators_edit_and_only_system_administrators_edit_such(world: World) -> None:
    cast = world.cast
    assert code_of(world, cast.tomas, cast.priya) == "RF006"
    assert code_of(world, cast.priya, cast.priya) == "RF006"
    amy = world.run(join(world.app, cast.firm, USER_ADMIN, "Amy", "User"))
    assert code_of(world, amy, cast.priya) == ""
    assert code_of(world, amy, cast.miriam) == "RF006"
    assert code_of(world, amy, cast.miriam, role=3) == "RF006"
    assert code_of(world, amy, cast.tomas, role=1) == "RF006"
    assert code_of(world, amy, cast.tomas, level=1) == "RF006"
    assert code_of(world, amy, cast.tomas, role=2) == ""
    assert code_of(world, cast.miriam, cast.tomas, role=1, level=1) == ""
