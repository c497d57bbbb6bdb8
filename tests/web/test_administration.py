"""Administrators in person: who may do what to whom, and what the record says of it."""

from typing import Any

import pytest

from onrecord.jobs import worker
from onrecord.model.access import SYSTEM_ADMIN, USER_ADMIN, Kind
from tests.cast import ApiKey, Browser, Person, all_permissions, join
from tests.faults.records import check_everything
from tests.talk import start
from tests.world import CHAT, ENTITY, World, accepted, refused

HERE = "/app-service/api"
MEMBER = f"{HERE}/entity-memberships"
NEW = {"enum_profile_id": 4, "first_name": "Nell", "primary_email": "nell@example.com"}


def ursula(world: World, first_name: str = "Ursula") -> Person:
    """Make a user administrator."""
    return world.run(join(world.app, world.cast.firm, USER_ADMIN, first_name, "Admin"))


def about(person: Person, **more: Any) -> dict[str, Any]:
    return {"entity_user_xref_uuid": person.uuid, **more}


ACTS: dict[str, dict[str, Any]] = {
    "update": {"first_name": "Mira"},
    "emails/update": {"primary_email": "taken.over@example.com"},
    "phone-numbers/update": {"primary_phone_number": "+44123456789"},
    "profile/update": {"enum_profile_id": 3},
    "suspend": {},
    "unsuspend": {},
    "destroy": {},
    "restore": {},
    "invitations/resend": {},
    "invitations/revoke": {},
    "avatar/remove": {},
}
"""Everything that is done to one member, and what it takes besides."""


def test_a_user_administrator_never_acts_on_a_system_administrator(world: World) -> None:
    cast = world.cast
    browser = world.session(ursula(world))
    pending = world.run(join(world.app, cast.firm, SYSTEM_ADMIN, "Sol", "Later", pending=True))
    before = world.head(cast.firm)
    for who in (cast.miriam, pending):
        for act, more in ACTS.items():
            response = world.post(f"{MEMBER}/{act}", key=browser, json=about(who, **more))
            refused(response, "RF006", 403)
        response = world.post(
            f"{MEMBER}/avatar/update",
            key=browser,
            data=about(who),
            files={"file": ("a.png", b"not looked at", "image/png")},
        )
        assert response.json()["error_code"] in {"RF006", "RB016"}
    assert world.head(cast.firm) == before


def test_only_system_administrators_make_system_administrators_and_reviewers(world: World) -> None:
    cast = world.cast
    mine, theirs = world.session(cast.miriam), world.session(ursula(world))
    new = {**NEW, "enum_profile_id": SYSTEM_ADMIN}
    for path in (f"{MEMBER}/create", f"{MEMBER}/create/v2"):
        refused(world.post(path, key=theirs, json=new), "RF006", 403)
    for change in ({"enum_profile_id": SYSTEM_ADMIN}, {"data_reviewer_level": 1}):
        body = about(cast.tomas, **change)
        refused(world.post(f"{MEMBER}/profile/update", key=theirs, json=body), "RF006", 403)
        accepted(world.post(f"{MEMBER}/profile/update", key=mine, json=body))
    accepted(world.post(f"{MEMBER}/create", key=mine, json=new))
    body = about(cast.ingrid, enum_profile_id=USER_ADMIN)
    accepted(world.post(f"{MEMBER}/profile/update", key=theirs, json=body))


def test_whoever_invites_is_the_acting_member_and_nobody_else(world: World) -> None:
    cast = world.cast
    admin = ursula(world)
    browser = world.session(admin)
    before = world.head(cast.firm)
    body = {**NEW, "new_group_name": "The Nell family"}
    made = accepted(world.post(f"{MEMBER}/create/v2", key=browser, json=body))
    group = accepted(
        world.get(f"{HERE}/groups", key=browser, params={"group_uuid": made["group_uuid"]})
    )["group"]
    inside = {one["entity_user_xref_uuid"] for one in group["members"]}
    assert inside == {admin.uuid, made["entity_user_xref_uuid"]}
    for entry in world.entries(cast.firm, before):
        assert entry["actor"]["entity_user_xref_uuid"] == admin.uuid
    assert world.mailed("nell@example.com", "invited_by") == "Ursula Admin"
    other = {**NEW, "primary_email": "nell.two@example.com"}
    named = {**other, "created_by_entity_user_xref_uuid": cast.miriam.uuid}
    refused(world.post(f"{MEMBER}/create", key=browser, json=named), "RF006", 403)
    own = {**other, "created_by_entity_user_xref_uuid": admin.uuid}
    accepted(world.post(f"{MEMBER}/create", key=browser, json=own))


def test_a_role_that_is_lost_is_lost_with_the_next_request(world: World) -> None:
    cast = world.cast
    admin = ursula(world)
    browser = world.session(admin)
    accepted(world.get(f"{HERE}/groups/list", key=browser))
    body = about(admin, enum_profile_id=3)
    accepted(world.post(f"{ENTITY}/entity-memberships/profile/update", key=cast.system, json=body))
    refused(world.get(f"{HERE}/groups/list", key=browser), "RF006", 403)
    body = about(admin, enum_profile_id=2)
    accepted(world.post(f"{ENTITY}/entity-memberships/profile/update", key=cast.system, json=body))
    accepted(world.get(f"{HERE}/groups/list", key=browser))


def test_the_last_system_administrator_stays_one(world: World) -> None:
    browser = world.session(world.cast.miriam)
    own = about(world.cast.miriam)
    less = {**own, "enum_profile_id": USER_ADMIN}
    for act, body in (("suspend", own), ("destroy", own), ("profile/update", less)):
        refused(world.post(f"{MEMBER}/{act}", key=browser, json=body), "RB018", 400)


# -- keys ---------------------------------------------------------------------------------------


def test_a_system_administrator_hands_out_keys_of_any_permission(world: World) -> None:
    cast = world.cast
    browser = world.session(cast.miriam)
    for kind in (Kind.SYSTEM, Kind.MASTER_USER, Kind.USER):
        owner = {"entity_user_xref_uuid": cast.tomas.uuid} if kind is Kind.USER else {}
        for permissions in (all_permissions(kind), []):
            body = {"kind": kind, "name": "New", "permissions": permissions, **owner}
            made = accepted(world.post(f"{HERE}/api-keys/create", key=browser, json=body))
            key = ApiKey(kind, made["api_key_uuid"], made["api_key"], made["secret"], "New")
            asked = world.get(
                f"{ENTITY if kind is Kind.SYSTEM else CHAT}/whoami",
                key=key,
            )
            assert accepted(asked)["permissions"] == sorted(permissions)
    body = {"kind": "system", "name": "SCIM", "permissions": ["can_provision"]}
    made = accepted(world.post(f"{HERE}/api-keys/create", key=browser, json=body))
    body = {"api_key_uuid": made["api_key_uuid"]}
    rotated = accepted(world.post(f"{HERE}/api-keys/rotate", key=browser, json=body))
    assert rotated["secret"] not in {None, made["secret"]}
    body = {"kind": "super", "name": "No", "permissions": [], "cidr_blocks": ["10.0.0.0/8"]}
    refused(world.post(f"{HERE}/api-keys/create", key=browser, json=body), "RB019", 400)


def test_a_repeated_call_does_not_show_a_secret_again(world: World) -> None:
    browser = world.session(world.cast.miriam)
    body = {"kind": "system", "name": "Once", "permissions": []}
    headers = {"Idempotency-Key": "one key"}
    path = f"{HERE}/api-keys/create"
    made, again = (world.post(path, key=browser, json=body, headers=headers) for _ in range(2))
    assert accepted(made)["secret"]
    assert accepted(again) == {**made.json(), "secret": None}
    assert again.headers["idempotent-replay"] == "true; secrets-withheld"


# -- the end of a membership --------------------------------------------------------------------


def test_whose_membership_is_ended_leaves_chats_and_nobody_is_shown_as_the_cause(
    world: World,
) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, cast.ingrid, text="hello")
    browser = world.session(cast.miriam)
    before = world.head(cast.firm)
    accepted(world.post(f"{MEMBER}/destroy", key=browser, json=about(cast.ingrid)))
    left = [one for one in world.entries(cast.firm, before) if one["type"] == "participant.left"]
    assert [one["actor"]["entity_user_xref_uuid"] for one in left] == [cast.miriam.uuid]
    shown = accepted(
        world.get(
            f"{CHAT}/chats/messages/range",
            key=cast.master,
            on_behalf_of=cast.priya,
            params={"chat_uuid": chat},
        )
    )["messages"]
    assert shown[-1]["event"]["type"] == "participant.left"
    assert shown[-1]["event"]["entity_user_xref_uuid"] == cast.ingrid.uuid
    assert shown[-1]["entity_user_xref_uuid"] is None
    assert cast.miriam.uuid not in str(shown)
    accepted(world.post(f"{MEMBER}/restore", key=browser, json=about(cast.ingrid)))
    check_everything(world)


# -- imports ------------------------------------------------------------------------------------

CLIENTS = "First Name,Email\n" + "".join(f"Nell,nell{n}@example.com\n" for n in range(120))
STAFF = "First Name,Email,Profile\nSol,sol@example.com,1\nUna,una@example.com,2\n"


def imported(world: World, browser: Browser, kind: str, content: str) -> str:
    """Ask for an import and give its job."""
    response = world.post(
        f"{HERE}/imports/create",
        key=browser,
        data={"kind": kind, "send_invitations": "false"},
        files={"file": ("a.csv", content.encode(), "text/csv")},
    )
    assert response.status_code == 202, response.text
    return str(response.json()["job_uuid"])


def ended(world: World, job_uuid: str) -> dict[str, Any]:
    """Do what is due, and give what became of a job."""
    world.run(worker.run_due(world.app))
    params = {"job_uuid": job_uuid}
    job: dict[str, Any] = accepted(
        world.get(f"{ENTITY}/jobs", key=world.cast.system, params=params)
    )["job"]
    return job


def test_an_import_of_a_person_is_that_persons_deed(world: World) -> None:
    admin = ursula(world)
    browser = world.session(admin)
    before = world.head(world.cast.firm)
    job = ended(world, imported(world, browser, "clients", CLIENTS))
    assert (job["state"], job["done"]) == ("done", 120)
    written = world.entries(world.cast.firm, before)
    assert {entry["type"] for entry in written} >= {"import.started", "member.created"}
    for entry in written:
        assert entry["actor"]["kind"] == "session"
        assert entry["actor"]["entity_user_xref_uuid"] == admin.uuid


def test_an_import_makes_nobody_whom_its_person_could_not_make(world: World) -> None:
    browser = world.session(ursula(world))
    job_uuid = imported(world, browser, "staff", STAFF)
    assert ended(world, job_uuid)["state"] == "done"
    params = {"job_uuid": job_uuid}
    report = world.get(f"{HERE}/imports/report", key=browser, params=params).text
    assert [line.split(",")[1:3] for line in report.splitlines()[1:]] == [
        ["refused", "RF006"],
        ["created", ""],
    ]


def sign_out(world: World, browser: Browser) -> None:
    accepted(world.post(f"{HERE}/sign-out", key=browser, json={}))


def suspend(world: World, browser: Browser) -> None:
    assert browser.person is not None
    path = f"{ENTITY}/entity-memberships/suspend"
    accepted(world.post(path, key=world.cast.system, json=about(browser.person)))


def demote(world: World, browser: Browser) -> None:
    assert browser.person is not None
    path = f"{ENTITY}/entity-memberships/profile/update"
    body = about(browser.person, enum_profile_id=3)
    accepted(world.post(path, key=world.cast.system, json=body))


@pytest.mark.parametrize(
    ("stop", "code"), [(sign_out, "RU010"), (suspend, "RF024"), (demote, "RF006")]
)
def test_an_import_stops_with_the_session_or_the_right_behind_it(
    world: World, stop: Any, code: str
) -> None:
    browser = world.session(ursula(world))
    job_uuid = imported(world, browser, "clients", CLIENTS)
    stop(world, browser)
    before = world.head(world.cast.firm)
    job = ended(world, job_uuid)
    assert job["state"] == "failed"
    assert code in str(job["result"])
    assert not [
        entry
        for entry in world.entries(world.cast.firm, before)
        if entry["type"] == "member.created"
    ]
