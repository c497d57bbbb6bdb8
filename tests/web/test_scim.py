"""SCIM: what identity providers send, and what becomes of staff and groups (RFC 7643, 7644)."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from onrecord.domain import keys, provisioning
from onrecord.domain.newcomers import Newcomer, add
from onrecord.model.access import Kind
from onrecord.model.errors import Refusal
from onrecord.store.work import Work
from onrecord.web import scim
from onrecord.web.endpoint import JSON_LIMIT, Endpoint
from onrecord.web.openapi import specification
from onrecord.web.rows import ROWS
from onrecord.web.scim_errors import status_of
from onrecord.web.scim_schemas import PAGE_MOST
from tests.cast import ApiKey, Person, butler_of, make_key
from tests.every_endpoint.untouched import digests
from tests.world import CHAT, ENTITY, World, accepted, refused

SPECIFICATION = specification(ROWS)
SCIM = "/scim/v2"
USERS, GROUPS = f"{SCIM}/Users", f"{SCIM}/Groups"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
NOBODY = "00000000-0000-4000-8000-000000000000"

OKTA_USER: dict[str, Any] = {
    "schemas": [USER],
    "userName": "isaac.brock@example.com",
    "name": {"givenName": "Isaac", "familyName": "Brock"},
    "emails": [{"primary": True, "value": "isaac.brock@example.com", "type": "work"}],
    "displayName": "Isaac Brock",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}
ENTRA_USER: dict[str, Any] = {
    "schemas": [USER, ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "ada.quill@example.com",
    "active": True,
    "displayName": "Ada Quill",
    "emails": [{"primary": True, "type": "work", "value": "ada.quill@example.com"}],
    "phoneNumbers": [{"type": "work", "value": "+44 20 7946 0011"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "Ada Quill", "familyName": "Quill", "givenName": "Ada"},
    "title": "Adviser",
    "roles": [],
    ENTERPRISE: {"department": "Advice", "manager": {"value": "7"}},
}


class Provider:
    """An identity provider with a key of the firm."""

    def __init__(self, world: World, entity: str | None = None) -> None:
        self.world = world
        self.entity = entity or world.cast.firm
        self.key = world.run(
            make_key(world.app, self.entity, Kind.SYSTEM, permissions=["can_provision"])
        )
        self.headers = bearer(self.key)

    def send(self, method: str, path: str, body: Any = None, **how: Any) -> httpx.Response:
        """Send a request, and hold a refusal against the codes that its row declares."""
        headers = {**self.headers, **how.pop("headers", {})}
        if body is not None:
            how["content"] = json.dumps(body).encode()
            headers.setdefault("content-type", "application/scim+json")
        response = self.world.run(self.world.request(method, path, headers=headers, **how))
        row = self.world.server.routes.find(method, path.partition("?")[0])
        if response.status_code >= 400:
            assert response.json()["detail"][:5] in row.codes, response.text
        elif response.status_code != 304:
            assert response.status_code == row.status, response.text
        assert response.headers["content-type"] == "application/scim+json"
        return response

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Read something that is there."""
        response = self.send("GET", path, params=params)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def find(self, text: str, path: str = USERS) -> list[str]:
        """Give the ids of what fits a filter."""
        found = self.get(path, filter=text)
        assert found["totalResults"] == len(found["Resources"])
        return [one["id"] for one in found["Resources"]]

    def done(self, method: str, path: str, body: Any = None, **how: Any) -> dict[str, Any]:
        """Send a change that is made, and give the resource."""
        response = self.send(method, path, body, **how)
        assert response.is_success, response.text
        changed: dict[str, Any] = response.json() if response.content else {}
        return changed

    def patch(self, path: str, *operations: dict[str, Any]) -> dict[str, Any]:
        """Send a PATCH that is made."""
        return self.done("PATCH", path, patch_of(*operations))

    def refuse(self, method: str, path: str, body: Any = None, **how: Any) -> dict[str, Any]:
        """Send what is refused and changes nothing; give the error."""
        before = digests(self.world)
        response = self.send(method, path, body, **how)
        assert digests(self.world) == before
        return error_of(response)


def bearer(key: ApiKey) -> dict[str, str]:
    """Give a key as identity providers send it."""
    return {"Authorization": f"Bearer {key.api_key}.{key.secret}"}


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Give a refusal in the protocol's form."""
    assert response.headers["content-type"] == "application/scim+json", response.text
    error: dict[str, Any] = response.json()
    assert error["schemas"] == [ERROR]
    assert error["status"] == str(response.status_code)
    assert response.headers["x-request-id"]
    return error


def told(error: dict[str, Any]) -> tuple[str, str, str | None]:
    return error["status"], error["detail"][:5], error.get("scimType")


def patch_of(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


def at(person: Person | str) -> str:
    return f"{USERS}/{person if isinstance(person, str) else person.uuid}"


def member(world: World, uuid: str) -> dict[str, Any]:
    """Give a member as the System API shows one."""
    found: dict[str, Any] = accepted(
        world.get(
            f"{ENTITY}/entity-memberships",
            key=world.cast.system,
            params={"entity_user_xref_uuid": uuid},
        )
    )["entity_membership"]
    return found


@pytest.fixture
def provider(world: World) -> Provider:
    return Provider(world)


@pytest.fixture
def quick(sqlite_world: World) -> Provider:
    """A provider on one engine, for what no table answers."""
    return Provider(sqlite_world)


# -- the life of a user --------------------------------------------------------------------------


@pytest.mark.parametrize("body", [OKTA_USER, ENTRA_USER], ids=["Okta", "Entra"])
def test_a_new_user_is_an_invited_staff_member(provider: Provider, body: dict[str, Any]) -> None:
    world = provider.world
    before = world.head(world.cast.firm)
    response = provider.send("POST", USERS, body)
    made = response.json()
    assert response.headers["location"] == made["meta"]["location"]
    assert made["meta"]["location"].endswith(at(made["id"]))
    assert made["meta"]["resourceType"] == "User"
    assert response.headers["etag"] == made["meta"]["version"]
    assert made["userName"] == body["userName"]
    assert made["externalId"] == body["externalId"]
    assert made["active"] is True
    assert made["name"]["familyName"] == body["name"]["familyName"]
    assert made["emails"][0] == {"value": body["userName"], "type": "work", "primary": True}
    assert [one["value"] for one in made["roles"]] == ["staff"]
    assert "password" not in response.text
    assert provider.get(at(made["id"])) == made
    there = member(world, made["id"])
    assert (there["state"], there["profile"]) == ("pending", "staff")
    assert there["invitation"]["state"] == "not_sent"
    assert there["primary_email"] == body["userName"]
    entries = world.entries(world.cast.firm, before)
    assert [one["type"] for one in entries] == ["member.created", "invitation.made"]
    assert {one["actor"]["api_key_uuid"] for one in entries} == {provider.key.uuid}
    ignored = response.headers["ignored-fields"]
    assert ("locale" if body is OKTA_USER else ENTERPRISE.lower()) in ignored


def test_a_name_may_be_given_in_one_piece_or_not_at_all(provider: Provider) -> None:
    one = provider.done("POST", USERS, {"userName": "a@example.com", "displayName": "Jo van Dam"})
    assert one["name"] == {"formatted": "Jo van Dam", "givenName": "Jo", "familyName": "van Dam"}
    two = provider.done("POST", USERS, {"USERNAME": "b.c@example.com"})
    assert two["displayName"] == "b.c"


def test_active_false_suspends_and_true_lets_act_again(provider: Provider) -> None:
    world, olga = provider.world, provider.world.cast.olga
    before = world.head(world.cast.firm)
    okta = {"op": "replace", "value": {"active": False}}
    assert provider.patch(at(olga), okta)["active"] is False
    assert member(world, olga.uuid)["state"] == "suspended"
    provider.patch(at(olga), okta)  # again changes nothing
    entra = {"op": "Replace", "path": "active", "value": "True"}
    assert provider.patch(at(olga), entra)["active"] is True
    assert member(world, olga.uuid)["state"] == "active"
    types = [one["type"] for one in world.entries(world.cast.firm, before)]
    assert types == ["member.suspended", "member.unsuspended"]


def test_delete_destroys_and_active_true_restores(provider: Provider) -> None:
    world, olga = provider.world, provider.world.cast.olga
    response = provider.send("DELETE", at(olga))
    assert (response.status_code, response.content) == (204, b"")
    assert member(world, olga.uuid)["state"] == "inactive"
    assert provider.get(at(olga))["active"] is False
    assert told(provider.refuse("DELETE", at(olga))) == ("404", "RN006", None)
    provider.patch(at(olga), {"op": "Replace", "path": "active", "value": "False"})
    assert member(world, olga.uuid)["state"] == "inactive"
    provider.patch(at(olga), {"op": "Replace", "path": "active", "value": True})
    assert member(world, olga.uuid)["state"] == "active"


def test_who_has_not_joined_loses_the_invitation_and_gets_another(provider: Provider) -> None:
    world = provider.world
    uuid = provider.done("POST", USERS, ENTRA_USER)["id"]
    provider.patch(at(uuid), {"op": "replace", "value": {"active": "false"}})
    assert member(world, uuid)["state"] == "inactive"
    assert member(world, uuid)["invitation"]["state"] == "revoked"
    provider.patch(at(uuid), {"op": "replace", "value": {"active": True}})
    assert member(world, uuid)["state"] == "pending"
    assert member(world, uuid)["invitation"]["state"] == "not_sent"


def test_a_user_made_inactive_is_not_invited(provider: Provider) -> None:
    made = provider.done("POST", USERS, {**OKTA_USER, "active": False})
    assert made["active"] is False
    there = member(provider.world, made["id"])
    assert (there["state"], there["invitation"]) == ("inactive", None)


# -- changes -------------------------------------------------------------------------------------


def test_entra_changes_values_by_paths(provider: Provider) -> None:
    olga = provider.world.cast.olga
    changed = provider.patch(
        at(olga),
        {"op": "Replace", "path": "name.givenName", "value": "Helga"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "helga@example.net"},
        {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "+4420123456"},
        {"op": "Add", "path": f"{USER}:title", "value": "Partner"},
        {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Law"},
        {"op": "Replace", "path": "externalId", "value": "E-77"},
        {"op": "Replace", "path": "displayName", "value": "Somebody Else"},
    )
    assert changed["name"]["givenName"] == "Helga"
    assert changed["name"]["familyName"] == "Berg"
    assert changed["emails"] == [{"value": "helga@example.net", "type": "work", "primary": True}]
    assert changed["phoneNumbers"][0]["value"] == "+4420123456"
    assert (changed["title"], changed["externalId"]) == ("Partner", "E-77")
    assert changed["userName"] == olga.email, "the card is not the primary email"
    assert member(provider.world, olga.uuid)["emails"] == ["helga@example.net"]


def test_entra_changes_values_without_a_path_by_dotted_names(provider: Provider) -> None:
    olga = provider.world.cast.olga
    value = {"name.familyName": "Bergson", "title": "Adviser", f"{ENTERPRISE}:costCenter": "7"}
    response = provider.send("PATCH", at(olga), patch_of({"op": "replace", "value": value}))
    assert response.json()["name"]["familyName"] == "Bergson"
    assert response.json()["title"] == "Adviser"
    assert "costcenter" in response.headers["ignored-fields"]
    gone = provider.patch(at(olga), {"op": "remove", "path": "title"})
    assert "title" not in gone


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": 'addresses[type eq "work"].streetAddress', "value": "1 High Street"},
        {"op": "Remove", "path": 'addresses[type eq "work" and primary eq true]'},
        {"op": "Replace", "path": 'ims[service[name eq "x"]].value', "value": "x"},
        {"op": "replace", "value": {'addresses[type eq "work"].region': "Kent"}},
    ],
    ids=str,
)
def test_attributes_that_are_not_kept_may_be_asked_for_by_their_parts(
    quick: Provider, operation: dict[str, Any]
) -> None:
    olga = at(quick.world.cast.olga)
    body = patch_of(operation, {"op": "Replace", "path": "active", "value": "False"})
    response = quick.send("PATCH", olga, body)
    assert response.status_code == 200, response.text
    assert response.json()["active"] is False
    assert response.headers["ignored-fields"] in {"addresses", "ims"}


def test_no_phone_number_keeps_anybody_from_coming_or_going(provider: Provider) -> None:
    phones = [
        {"value": "ext. 4711", "type": "work", "primary": True},
        {"value": "tel:+44-20-7946-0011;ext=5", "type": "mobile"},
        {"value": "", "type": "fax"},
    ]
    response = provider.send("POST", USERS, {**OKTA_USER, "phoneNumbers": phones})
    made = response.json()
    assert [one["value"] for one in made["phoneNumbers"]] == ["+442079460011"]
    assert "phoneNumbers" in response.headers["ignored-fields"]
    assert member(provider.world, made["id"])["primary_phone_number"] == "+442079460011"
    gone = {**made, "active": False, "phoneNumbers": ["020 7946 0011"]}
    assert provider.done("PUT", at(made["id"]), gone)["active"] is False
    mobile = {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "555-0100"}
    back = {"op": "Replace", "path": "active", "value": "True"}
    response = provider.send("PATCH", at(made["id"]), patch_of(mobile, back))
    assert (response.json()["active"], response.json()["phoneNumbers"]) == (True, [])
    assert response.headers["ignored-fields"] == "phoneNumbers"
    good = {**mobile, "value": "+44 20 7946 0012"}
    response = provider.send("PATCH", at(made["id"]), patch_of(good))
    assert "ignored-fields" not in response.headers


def test_several_forms_of_a_list_are_understood(provider: Provider) -> None:
    olga = at(provider.world.cast.olga)

    def emails(*operations: dict[str, Any]) -> list[str]:
        return [one["value"] for one in provider.patch(olga, *operations)["emails"]]

    two = {"op": "add", "path": "emails", "value": [{"value": "b@example.com"}]}
    assert emails(two) == ["olga.berg@example.com", "b@example.com"]
    first = {"op": "add", "path": "emails", "value": {"value": "c@example.com", "primary": True}}
    assert emails({"op": "replace", "path": "emails[primary eq true].primary", "value": False},
                  first)[0] == "c@example.com"  # fmt: skip
    gone = {"op": "remove", "path": 'emails[value eq "c@example.com"]'}
    assert emails(gone) == ["olga.berg@example.com", "b@example.com"]
    assert emails({"op": "replace", "value": {"emails": ["d@example.com"]}}) == ["d@example.com"]
    error = provider.refuse("PATCH", olga, patch_of({"op": "remove", "path": "emails"}))
    assert told(error) == ("400", "RB003", "invalidValue")


def test_a_patch_is_made_whole_or_not_at_all(provider: Provider) -> None:
    olga = at(provider.world.cast.olga)
    operations = (
        {"op": "replace", "path": "title", "value": "Partner"},
        {"op": "replace", "path": "userName", "value": "tomas.hartley@example.com"},
    )
    error = provider.refuse("PATCH", olga, patch_of(*operations))
    assert told(error) == ("409", "RB014", "uniqueness")


def test_put_replaces_all_but_what_nobody_can_lack(provider: Provider) -> None:
    olga = provider.world.cast.olga
    provider.patch(at(olga), {"op": "add", "value": {"title": "Partner"}})
    now = provider.done("PUT", at(olga), {"schemas": [USER], "userName": "olga@example.net"})
    assert now["userName"] == "olga@example.net"
    assert "title" not in now
    assert "externalId" not in now
    assert now["name"]["givenName"] == "Olga"
    assert now["emails"][0]["value"] == olga.email
    assert now["active"] is True
    part = {"userName": olga.email, "name": {"familyName": "Bergson"}}
    assert provider.done("PUT", at(olga), part)["displayName"] == "Olga Bergson"
    whole = {**now, "title": "Adviser", "externalId": "ADV-3", "active": False}
    again = provider.done("PUT", at(olga), whole)
    assert (again["title"], again["externalId"], again["active"]) == ("Adviser", "ADV-3", False)


def test_an_entity_tag_keeps_changes_from_crossing(provider: Provider) -> None:
    path = at(provider.world.cast.olga)
    tag = provider.get(path)["meta"]["version"]
    assert provider.send("GET", path, headers={"If-None-Match": tag}).status_code == 304
    body = patch_of({"op": "replace", "path": "title", "value": "Partner"})
    provider.done("PATCH", path, body, headers={"If-Match": tag})
    for method, given in (("PATCH", body), ("PUT", OKTA_USER), ("DELETE", None)):
        error = provider.refuse(method, path, given, headers={"If-Match": tag})
        assert told(error) == ("412", "RB027", None)


# -- roles ---------------------------------------------------------------------------------------


def test_roles_are_staff_and_user_admin(provider: Provider) -> None:
    made = provider.done("POST", USERS, {**OKTA_USER, "roles": [{"value": "user_admin"}]})
    assert [one["value"] for one in made["roles"]] == ["user_admin"]
    path = at(made["id"])
    entra = {"op": "Replace", "path": 'roles[primary eq "True"].value', "value": "staff"}
    assert provider.patch(path, entra)["roles"][0]["value"] == "staff"
    add = {"op": "add", "path": "roles", "value": [{"value": "user_admin"}]}
    assert provider.patch(path, add)["roles"][0]["value"] == "user_admin"
    remove = {"op": "remove", "path": "roles"}
    assert provider.patch(path, remove)["roles"][0]["value"] == "staff"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("system_admin", ("403", "RF006", None)),
        ("client", ("409", "RB010", None)),
        ("partner", ("409", "RB010", None)),
        ("butler", ("409", "RB010", None)),
        ("king", ("400", "RB003", "invalidValue")),
    ],
)
def test_no_other_role_is_given(
    provider: Provider, role: str, expected: tuple[str, str, str | None]
) -> None:
    roles = [{"value": role}]
    assert told(provider.refuse("POST", USERS, {**OKTA_USER, "roles": roles})) == expected
    body = patch_of({"op": "replace", "path": "roles", "value": roles})
    assert told(provider.refuse("PATCH", at(provider.world.cast.olga), body)) == expected


def test_a_system_administrator_is_neither_unmade_nor_moved(provider: Provider) -> None:
    miriam = provider.world.cast.miriam
    shown = provider.get(at(miriam))
    assert shown["roles"][0]["value"] == "system_admin"
    for body in ({"roles": [{"value": "staff"}]}, {"userName": "new@example.com"}):
        error = provider.refuse("PUT", at(miriam), {**shown, **body})
        assert told(error) == ("403", "RF006", None)
    assert provider.done("PUT", at(miriam), {**shown, "title": "Chief"})["title"] == "Chief"
    last = patch_of({"op": "replace", "value": {"active": False}})
    assert told(provider.refuse("PATCH", at(miriam), last)) == ("409", "RB018", None)
    assert told(provider.refuse("DELETE", at(miriam))) == ("409", "RB018", None)


# -- refusals ------------------------------------------------------------------------------------


def test_clients_are_never_left_without_staff(provider: Provider) -> None:
    cast = provider.world.cast
    off = {"op": "replace", "value": {"active": False}}
    provider.patch(at(cast.tomas), off)
    assert told(provider.refuse("PATCH", at(cast.ingrid), patch_of(off))) == ("409", "RB011", None)
    assert told(provider.refuse("DELETE", at(cast.ingrid))) == ("409", "RB011", None)


def test_what_is_taken_is_a_conflict(provider: Provider) -> None:
    cast = provider.world.cast
    for body, code in (
        ({"userName": "TOMAS.hartley@example.com"}, "RB014"),
        ({"userName": cast.priya.email}, "RB014"),
        ({"userName": "new@example.com", "externalId": "ADV-1"}, "RB013"),
    ):
        assert told(provider.refuse("POST", USERS, body)) == ("409", code, "uniqueness")


def test_clients_the_butler_and_next_door_are_not_there(provider: Provider) -> None:
    world, cast = provider.world, provider.world.cast
    others = [
        cast.priya.uuid,
        cast.karl.uuid,
        butler_of(world, cast.firm),
        NOBODY,
        "ADV-1",
        "x%20y",
    ]
    for uuid in others:
        for method, body in (
            ("GET", None),
            ("PUT", OKTA_USER),
            ("PATCH", patch_of({"op": "replace", "value": {"active": False}})),
            ("DELETE", None),
        ):
            assert told(provider.refuse(method, at(uuid), body)) == ("404", "RN006", None)
    for text in (f'id eq "{cast.priya.uuid}"', f'userName eq "{cast.priya.email}"',
                 f'id eq "{cast.karl.uuid}"', 'externalId eq "CL-1"'):  # fmt: skip
        assert provider.find(text) == []
    next_door = Provider(world, cast.other)
    assert next_door.find('externalId eq "ADV-1"') == [cast.karl.uuid]
    assert told(next_door.refuse("DELETE", f"{GROUPS}/{cast.team}")) == ("404", "RN002", None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("RB002", "invalidValue")),
        ({"userName": ""}, ("RB002", "invalidValue")),
        ({"userName": 7}, ("RB003", "invalidValue")),
        ({"userName": "no email"}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "active": "maybe"}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "name": "Ada"}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "name": {"givenName": "\u0001"}}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "emails": [7]}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "emails": [{"value": 7}]}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "roles": [["x"]]}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "phoneNumbers": [7]}, ("RB003", "invalidValue")),
        ({"userName": "a@example.com", "phoneNumbers": [{"value": 7}]}, ("RB003", "invalidValue")),
    ],
    ids=str,
)
def test_a_user_that_cannot_be_is_refused(
    quick: Provider, body: dict[str, Any], expected: tuple[str, str]
) -> None:
    error = quick.refuse("POST", USERS, body)
    assert told(error) == ("400", *expected)
    assert "_" not in error["detail"], "fields have the protocol's names"
    assert quick.refuse("PUT", at(quick.world.cast.olga), body)["status"] == "400"


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "move", "path": "title"}, "invalidValue"),
        ({"path": "title"}, "invalidValue"),
        ({"op": "replace", "path": 7, "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": "a b", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": "title[type eq 1]", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[type eq "work"', "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[colour eq "x"].value', "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[type eq "work"]value', "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[value eq "x"].type', "value": "x"}, "noTarget"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "value": "x"}, "invalidValue"),
        ({"op": "replace", "path": "id", "value": NOBODY}, "mutability"),
        ({"op": "add", "path": "groups", "value": [{"value": NOBODY}]}, "mutability"),
        ({"op": "remove", "path": "userName"}, "invalidValue"),
        ({"op": "replace", "path": "name", "value": "Olga"}, "invalidValue"),
        ({"op": "replace", "path": "title", "value": ["x"]}, "invalidValue"),
        ({"op": "replace", "path": "name.givenName", "value": {"a": 1}}, "invalidValue"),
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_is_refused(
    quick: Provider, operation: dict[str, Any], scim_type: str
) -> None:
    error = quick.refuse("PATCH", at(quick.world.cast.olga), patch_of(operation))
    assert error["scimType"] == scim_type
    assert error["status"] == "400"


@pytest.mark.parametrize(
    "operations", [None, [], {}, ["x"], [{"op": "remove", "path": "t"}] * 1001]
)
def test_a_patch_needs_operations(quick: Provider, operations: Any) -> None:
    body = {"schemas": [PATCH_OP], "Operations": operations}
    assert quick.refuse("PATCH", at(quick.world.cast.olga), body)["scimType"] == "invalidValue"


WRITING = [row for row in scim.ROWS if row.method in {"POST", "PUT", "PATCH"}]


@pytest.mark.parametrize("row", WRITING, ids=lambda row: f"{row.method} {row.path}")
def test_a_bad_body_is_refused_in_the_form_of_the_protocol(quick: Provider, row: Endpoint) -> None:
    path = place(quick.world, row)
    for content, code, scim_type in (
        (b"", "RB001", "invalidSyntax"),
        (b"{", "RB001", "invalidSyntax"),
        (b"[]", "RB001", "invalidSyntax"),
        (b'{"a": NaN}', "RB001", "invalidSyntax"),
        (b'{"a": "\xff"}', "RB001", "invalidSyntax"),
        (b'{"a": "\\ud800"}', "RB003", "invalidValue"),
        (b'{"a": 1, "A": 2}', "RB003", "invalidValue"),
        (b"[" * 100_000, "RB001", "invalidSyntax"),
        (b"{}" + b" " * JSON_LIMIT, "RB024", None),
    ):
        error = quick.refuse(row.method, path, content=content)
        assert (error["detail"][:5], error.get("scimType")) == (code, scim_type)
    how = {"headers": {"content-type": "text/plain"}}
    assert told(quick.refuse(row.method, path, {}, **how)) == ("415", "RB026", None)
    plain = {"headers": {"content-type": "application/json"}}
    assert quick.refuse(row.method, path, {}, **plain)["detail"][:5] == "RB002"


def place(world: World, row: Endpoint) -> str:
    ids = {"Users": world.cast.olga.uuid, "Groups": world.cast.team, "ResourceTypes": "User"}
    return row.path.replace("{id}", ids.get(row.path.split("/")[3], USER))


# -- looking -------------------------------------------------------------------------------------


def test_staff_are_found_by_what_providers_ask_for(provider: Provider) -> None:
    cast = provider.world.cast
    tomas, olga = cast.tomas.uuid, cast.olga.uuid
    staff = [cast.miriam.uuid, tomas, cast.ingrid.uuid, olga]
    moment = provider.get(at(olga))["meta"]["created"]
    for text, found in {
        'userName eq "tomas.hartley@example.com"': [tomas],
        'USERNAME Eq "TOMAS.HARTLEY@EXAMPLE.COM"': [tomas],
        f'{USER}:userName eq "tomas.hartley@example.com"': [tomas],
        'userName eq "nobody@example.com"': [],
        'externalId eq "ADV-1"': [tomas],
        'externalId eq "adv-1"': [],
        f'id eq "{tomas}"': [tomas],
        'emails[type eq "work"].value eq "tomas.hartley@example.com"': [tomas],
        'emails[type eq "work" and value co "@example.com"]': staff,
        'emails[type eq "home"].value eq "tomas.hartley@example.com"': [],
        'emails eq "tomas.hartley@example.com"': [tomas],
        'emails.value eq "tomas.hartley@example.com"': [tomas],
        'displayName eq "tomas hartley"': [tomas],
        'displayName eq "Tomas"': [],
        'name.familyName sw "ber"': [olga],
        'userName co "hart" or name.givenName eq "Olga"': [tomas, olga],
        'active eq true and not (userName eq "olga.berg@example.com")': staff[:3],
        'active eq "False"': [],
        'roles eq "system_admin"': [cast.miriam.uuid],
        f'groups.value eq "{cast.team}"': [tomas, cast.ingrid.uuid],
        "title pr": [],
        "externalId pr": staff[1:],
        "externalId eq null": [cast.miriam.uuid],
        'externalId ne "ADV-1"': [cast.miriam.uuid, cast.ingrid.uuid, olga],
        f'meta.created ge "{moment}"': [olga],
        'meta.lastModified gt "2001-05-13T04:42:34Z"': staff,
        'meta.lastModified lt "2001-05-13T04:42:34Z"': [],
        '(userName eq "olga.berg@example.com")': [olga],
        'userName eq "olga.berg@example.com" and active eq false': [],
        'userName ew "@EXAMPLE.com" and externalId eq "ADV-3"': [olga],
    }.items():
        assert provider.find(text) == found, text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        'userName is "x"',
        'nickName eq "x"',
        'password eq "x"',
        "userName eq x",
        'userName eq "x',
        'userName eq "x" and',
        'userName eq "x" userName',
        '(userName eq "x"',
        "not userName pr",
        'emails[type eq "work"',
        'title[type eq "work"]',
        "active gt true",
        "title gt 7",
        'meta.lastModified gt "yesterday"',
        'meta.lastModified co "2026-01-01T00:00:00Z"',
        "(" * 30 + "title pr" + ")" * 30,
        "title pr or " * 1000 + "title pr",
        'userName eq "x" ; drop table',
        'userName eq "a\\u0000b"',
        'externalId eq "\\ud800"',
        'emails.value eq "\\udfff@example.com"',
        'emails[value eq "\\u0000"]',
        'displayName co "\\u0000"',
    ],
    ids=lambda text: text[:30],
)
def test_a_filter_that_cannot_be_read_is_refused(quick: Provider, text: str) -> None:
    for path in (USERS, GROUPS):
        error = quick.refuse("GET", path, params={"filter": text})
        assert told(error) == ("400", "RB003", "invalidFilter")


def test_lists_come_in_pages_with_their_total(provider: Provider) -> None:
    everybody = provider.get(USERS)
    assert everybody["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    ids = [one["id"] for one in everybody["Resources"]]
    assert (everybody["totalResults"], everybody["startIndex"]) == (4, 1)
    for params, found in (
        ({"startIndex": 2, "count": 2}, ids[1:3]),
        ({"startIndex": 4, "count": 2}, ids[3:]),
        ({"startIndex": 9}, []),
        ({"startIndex": 0, "count": 1}, ids[:1]),
        ({"startIndex": -3, "count": 1000}, ids),
        ({"count": 0}, []),
        ({"count": -1}, []),
    ):
        for more in ({}, {"filter": "userName pr"}):
            page = provider.get(USERS, **params, **more)
            assert page["totalResults"] == 4
            assert page["itemsPerPage"] == len(found)
            assert [one["id"] for one in page["Resources"]] == found
    error = provider.refuse("GET", USERS, params={"count": "many"})
    assert told(error) == ("400", "RB003", "invalidValue")


def test_only_the_attributes_asked_for_are_told(quick: Provider) -> None:
    path = at(quick.world.cast.tomas)
    some = quick.get(path, attributes="userName,name.givenName,emails.value")
    assert set(some) == {"schemas", "id", "userName", "name", "emails"}
    assert some["name"] == {"givenName": "Tomas"}
    assert some["emails"] == [{"value": "tomas.hartley@example.com"}]
    rest = quick.get(path, excludedAttributes="groups,id,emails")
    assert "id" in rest
    assert not {"groups", "emails"} & set(rest)
    listed = quick.get(USERS, attributes="externalId", filter='externalId eq "ADV-1"')
    assert set(listed["Resources"][0]) == {"schemas", "id", "externalId"}


# -- groups --------------------------------------------------------------------------------------


def test_groups_show_the_staff_in_them_and_no_client(provider: Provider) -> None:
    cast = provider.world.cast
    team = provider.get(f"{GROUPS}/{cast.team}")
    assert team["displayName"] == "Private clients"
    assert [one["value"] for one in team["members"]] == [cast.tomas.uuid, cast.ingrid.uuid]
    assert cast.priya.uuid not in json.dumps(team)
    listed = provider.get(GROUPS, filter='displayName eq "private CLIENTS"',
                          excludedAttributes="members")  # fmt: skip
    assert [one["id"] for one in listed["Resources"]] == [cast.team]
    assert "members" not in listed["Resources"][0]
    for text, found in {
        f'id eq "{cast.team}" and members eq "{cast.tomas.uuid}"': [cast.team],
        f'id eq "{cast.team}" and members[value eq "{cast.olga.uuid}"]': [],
        f'members.value eq "{cast.ingrid.uuid}"': [cast.team],
        'externalId eq "T-1"': [],
    }.items():
        assert provider.find(text, GROUPS) == found, text
    everything = provider.get(GROUPS, count=1, startIndex=2)
    assert (everything["totalResults"], everything["itemsPerPage"]) == (2, 1)


def test_a_group_is_made_filled_emptied_and_closed(provider: Provider) -> None:
    world, cast = provider.world, provider.world.cast
    before = world.head(cast.firm)
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "Advisers",
        "members": [{"value": cast.tomas.uuid.upper(), "display": "Tomas"}],
    }
    response = provider.send("POST", GROUPS, body)
    made, path = response.json(), f"{GROUPS}/{response.json()['id']}"
    assert response.headers["location"].endswith(path)
    assert (made["externalId"], made["displayName"]) == (body["externalId"], "Advisers")

    def after(*operations: dict[str, Any]) -> list[str]:
        return [one["value"] for one in provider.patch(path, *operations)["members"]]

    tomas, olga, ingrid = (one.uuid for one in (cast.tomas, cast.olga, cast.ingrid))
    entra = {"op": "Add", "path": "members", "value": [{"value": olga}, {"value": ingrid}]}
    assert set(after(entra)) == {tomas, olga, ingrid}
    assert set(after(entra)) == {tomas, olga, ingrid}, "again changes nothing"
    assert set(after({"op": "remove", "path": f'members[value eq "{ingrid}"]'})) == {tomas, olga}
    by_list = {"op": "Remove", "path": "members", "value": [{"value": olga}]}
    assert after(by_list) == [tomas]
    okta = {"op": "replace", "path": "members", "value": [{"value": olga, "display": "Olga"}]}
    assert after(okta) == [olga]
    renamed = provider.patch(
        path, {"op": "replace", "value": {"id": made["id"], "displayName": "Colleagues"}}
    )
    assert renamed["displayName"] == "Colleagues"
    assert told(provider.refuse("DELETE", path)) == ("409", "RB012", None)
    assert after({"op": "remove", "path": "members"}) == []
    assert provider.send("DELETE", path).status_code == 204
    assert told(provider.refuse("GET", path)) == ("404", "RN002", None)
    types = [one["type"] for one in world.entries(cast.firm, before)]
    assert types[:2] == ["group.created", "group.member_added"]
    assert types[-2:] == ["group.member_removed", "group.destroyed"]


def colleagues(world: World, number: int) -> list[str]:
    """Make active staff and give their uuids."""
    several = [
        Newcomer(profile=3, first_name="Ada", last_name=str(one), state="active")
        for one in range(number)
    ]
    return [one.uuid for one in world.work(world.cast.firm, lambda work: add(work, several))]


def test_a_group_of_any_size_is_filled_and_emptied_by_one_call(provider: Provider) -> None:
    world, cast = provider.world, provider.world.cast
    staff = colleagues(world, 2 * provisioning.SLICE + 1)
    before = world.head(cast.firm)
    body = {"displayName": "All", "members": [{"value": one} for one in staff]}
    made = provider.done("POST", GROUPS, body)
    assert [one["value"] for one in made["members"]] == staff
    types = [one["type"] for one in world.entries(cast.firm, before)]
    assert types == ["group.created", *["group.member_added"] * len(staff)]
    path = f"{GROUPS}/{made['id']}"
    assert provider.get(path) == made
    olga = {"displayName": "Few", "members": [{"value": cast.olga.uuid}]}
    few = provider.done("PUT", path, olga)
    assert (few["displayName"], [one["value"] for one in few["members"]]) == (
        "Few",
        [cast.olga.uuid],
    )
    everybody = {"op": "add", "path": "members", "value": body["members"]}
    assert len(provider.patch(path, everybody)["members"]) == len(staff) + 1


def test_a_change_in_slices_is_refused_before_its_first(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, cast = provider.world, provider.world.cast
    monkeypatch.setattr(provisioning, "SLICE", 2)
    team = f"{GROUPS}/{cast.team}"
    staff = colleagues(world, 4)
    everybody = [{"value": one} for one in [cast.tomas.uuid, cast.ingrid.uuid, *staff]]
    assert (
        len(provider.done("PUT", team, {"displayName": "T", "members": everybody})["members"]) == 6
    )
    nobody = {"displayName": "Nobody", "members": []}
    assert told(provider.refuse("PUT", team, nobody)) == ("409", "RB011", None)
    desk = provider.done(
        "POST", GROUPS, {"displayName": "Desk", "members": [{"value": cast.olga.uuid}]}
    )
    barrier = {"group_uuid": desk["id"], "other_group_uuid": cast.team}
    accepted(world.post(f"{ENTITY}/barriers/create", key=cast.system, json=barrier))
    both = {"displayName": "Both", "members": [*everybody, {"value": cast.olga.uuid}]}
    assert told(provider.refuse("PUT", f"{GROUPS}/{desk['id']}", both)) == ("403", "RF007", None)
    one_stays = {"displayName": "One", "members": everybody[-1:]}
    assert len(provider.done("PUT", team, one_stays)["members"]) == 1


def test_a_group_half_filled_when_its_call_broke_off_is_filled_by_the_next_try(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, cast = provider.world, provider.world.cast
    monkeypatch.setattr(provisioning, "SLICE", 2)
    staff = colleagues(world, 5)
    move, moved = provisioning.move, []

    async def broken(work: Work, moves: Sequence[provisioning.Move]) -> None:
        moved.append(len(moves))
        if len(moved) == 2:
            raise Refusal("RX503")
        await move(work, moves)

    monkeypatch.setattr(provisioning, "move", broken)
    body = {"displayName": "All", "members": [{"value": one} for one in staff]}
    headers = {"Idempotency-Key": "k"}
    before = world.head(cast.firm)
    response = world.run(world.request("POST", GROUPS, headers={**provider.headers, **headers},
                                       json=body))  # fmt: skip
    assert response.status_code == 503
    made = provider.done("POST", GROUPS, body, headers=headers)
    assert [one["value"] for one in made["members"]] == staff
    types = [one["type"] for one in world.entries(cast.firm, before)]
    assert types == ["group.created", *["group.member_added"] * 5]
    again = provider.send("POST", GROUPS, body, headers=headers)
    assert again.headers["idempotent-replay"] == "true"
    assert again.json() == made


def test_a_group_that_was_closed_is_opened_again_under_its_identifier(provider: Provider) -> None:
    world, cast = provider.world, provider.world.cast
    body: dict[str, Any] = {"displayName": "Advisers", "externalId": "8aa1a0c0"}
    made = provider.done("POST", GROUPS, body)
    assert told(provider.refuse("POST", GROUPS, body)) == ("409", "RB013", "uniqueness")
    provider.send("DELETE", f"{GROUPS}/{made['id']}")
    before = world.head(cast.firm)
    body = {**body, "displayName": "Colleagues", "members": [{"value": cast.olga.uuid}]}
    again = provider.done("POST", GROUPS, body)
    assert (again["id"], again["displayName"]) == (made["id"], "Colleagues")
    assert again["externalId"] == "8aa1a0c0"
    assert [one["value"] for one in again["members"]] == [cast.olga.uuid]
    assert provider.get(f"{GROUPS}/{made['id']}") == again
    entries = world.entries(cast.firm, before)
    assert [one["type"] for one in entries] == ["group.updated", "group.member_added"]
    assert entries[0]["data"] == {"state": "active"}


def test_put_replaces_the_staff_of_a_group_and_leaves_its_clients(provider: Provider) -> None:
    world, cast = provider.world, provider.world.cast
    path = f"{GROUPS}/{cast.team}"
    body = {"displayName": "Private", "members": [{"value": cast.olga.uuid}]}
    now = provider.done("PUT", path, body)
    assert [one["value"] for one in now["members"]] == [cast.olga.uuid]
    assert cast.team in member(world, cast.priya.uuid)["group_uuids"]
    assert provider.done("PUT", path, {"displayName": "Same"})["members"] == now["members"]
    nobody = {"displayName": "Private", "members": []}
    assert told(provider.refuse("PUT", path, nobody)) == ("409", "RB011", None)


def test_who_is_no_user_is_put_into_no_group(provider: Provider) -> None:
    cast = provider.world.cast
    for uuid in (cast.priya.uuid, cast.karl.uuid, NOBODY, "x", ""):
        add = {
            "op": "add",
            "path": "members",
            "value": [{"value": cast.olga.uuid}, {"value": uuid}],
        }
        if uuid:
            error = provider.refuse("PATCH", f"{GROUPS}/{cast.team}", patch_of(add))
            assert told(error) == ("400", "RB003", "invalidValue")
    for body, expected in (
        ({"members": []}, ("400", "RB002", "invalidValue")),
        ({"displayName": "A", "members": [{"value": cast.priya.uuid}]},
         ("400", "RB003", "invalidValue")),
    ):  # fmt: skip
        assert told(provider.refuse("POST", GROUPS, body)) == expected
    provider.done("POST", GROUPS, {"displayName": "A", "externalId": "G-1"})
    twice = provider.refuse("POST", GROUPS, {"displayName": "B", "externalId": "G-1"})
    assert told(twice) == ("409", "RB013", "uniqueness")
    default = provider.refuse("DELETE", f"{GROUPS}/{cast.default_group}")
    assert default["status"] == "409"


# -- the credential ------------------------------------------------------------------------------

READING = [row for row in scim.ROWS if row.method == "GET"]
EVERY_ROW = pytest.mark.parametrize("row", scim.ROWS, ids=lambda row: f"{row.method} {row.path}")


@EVERY_ROW
def test_only_a_key_that_may_provision_opens_it(sqlite_world: World, row: Endpoint) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    path = place(world, row)

    def answer(**how: Any) -> tuple[str, str, str | None]:
        return told(error_of(world.run(world.request(row.method, path, **how))))

    assert answer() == ("401", "RU003", None)
    assert answer(headers={"Authorization": "Bearer "})[1] == "RU003"
    assert answer(headers={"Authorization": "Bearer ."})[1] == "RU003"
    assert answer(headers={"Authorization": "Bearer ork-nobody.secret"})[1] == "RU001"
    assert answer(headers={"Authorization": "Bearer nodot"})[1] == "RU010"
    for shown in cast.shown_at_firm().values():
        assert answer(key=shown) == ("403", "RF008", None)
    for key in (cast.system, *(key for (kind, _), key in cast.alone.items()
                               if kind is Kind.SYSTEM)):  # fmt: skip
        assert answer(headers=bearer(key)) == ("403", "RF008", None)
    assert answer(headers=bearer(cast.master))[1] == "RU001"
    provider = Provider(world)
    wrong = replace(provider.key, secret="wrong")
    assert answer(headers=bearer(wrong)) == ("401", "RU001", None)
    world.work(cast.firm, lambda work: keys.deactivate(work, provider.key.api_key))
    assert answer(headers=provider.headers) == ("401", "RU002", None)


def test_a_key_that_may_provision_opens_nothing_else(quick: Provider) -> None:
    world, firm = quick.world, quick.world.cast.firm
    before = digests(world)
    for row in ROWS:
        if not row.kinds or row.speaks_scim:
            continue
        for how in ({"key": quick.key}, {"headers": quick.headers}):
            response = world.run(world.request(row.method, row.path, **how))
            assert refused(response, "RF008", 403), row.path
    system = bearer(world.cast.system)
    refused(world.get(f"{ENTITY}/entity-memberships/list", headers=system), "RF008", 403)
    refused(world.get(f"{CHAT}/chats", headers=system), "RF008", 403)
    assert digests(world) == before
    assert world.head(firm)


def test_an_unauthorised_answer_asks_for_a_bearer(quick: Provider) -> None:
    response = quick.world.get(USERS)
    assert response.headers["www-authenticate"] == "Bearer"


def test_whoami_judges_calls_of_scim_too(quick: Provider) -> None:
    world = quick.world
    for row in scim.ROWS:
        params = {"method": row.method, "path": place(world, row)}
        answer = world.get(f"{ENTITY}/whoami", key=world.cast.system, params=params)
        verdict = accepted(answer)["verdict"]
        assert (verdict["allowed"], verdict["error_code"]) == (False, "RF008")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", f"{SCIM}/Nothing", 404, None),
        ("GET", SCIM, 404, None),
        ("GET", f"{SCIM}/Users/", 404, None),
        ("GET", f"{SCIM}/Users/{{id}}", 404, None),
        ("POST", f"{SCIM}/Bulk", 404, None),
        ("GET", f"{SCIM}/Users/a/b", 404, None),
        ("DELETE", USERS, 405, {"GET", "HEAD", "POST"}),
        ("POST", f"{USERS}/{NOBODY}", 405, {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("PUT", f"{SCIM}/Schemas", 405, {"GET", "HEAD"}),
    ],
)
def test_a_wrong_path_or_method_is_told_in_the_form_of_the_protocol(
    quick: Provider, method: str, path: str, status: int, allow: set[str] | None
) -> None:
    response = quick.world.run(quick.world.request(method, path, headers=quick.headers))
    assert told(error_of(response)) == (str(status), "RN005", None)
    given = response.headers.get("allow")
    assert (set(given.split(", ")) if given else None) == allow


def test_a_post_is_answered_once_under_its_idempotency_key(provider: Provider) -> None:
    how = {"headers": {"Idempotency-Key": "first"}}
    one = provider.send("POST", USERS, OKTA_USER, **how)
    two = provider.send("POST", USERS, OKTA_USER, **how)
    assert two.json() == one.json()
    assert two.headers["idempotent-replay"] == "true"
    assert (two.status_code, two.headers["location"]) == (201, one.headers["location"])


# -- what it says of itself ----------------------------------------------------------------------


def test_it_says_what_it_can(quick: Provider) -> None:
    config = quick.get(f"{SCIM}/ServiceProviderConfig")
    assert config["patch"] == {"supported": True}
    assert config["bulk"]["supported"] is False
    assert config["filter"] == {"supported": True, "maxResults": PAGE_MOST}
    types = quick.get(f"{SCIM}/ResourceTypes")["Resources"]
    assert [one["endpoint"] for one in types] == ["/Users", "/Groups"]
    assert quick.get(f"{SCIM}/ResourceTypes/User") == types[0]
    schemas = quick.get(f"{SCIM}/Schemas")["Resources"]
    assert [one["id"] for one in schemas] == [one["schema"] for one in types]
    assert quick.get(f"{SCIM}/Schemas/{USER}") == schemas[0]
    for path in ("Schemas/urn:none", "ResourceTypes/Robot"):
        assert told(quick.refuse("GET", f"{SCIM}/{path}")) == ("404", "RN008", None)


def test_every_attribute_of_a_resource_is_in_its_schema(provider: Provider) -> None:
    schemas = {one["name"]: one for one in provider.get(f"{SCIM}/Schemas")["Resources"]}
    provider.done("POST", USERS, ENTRA_USER)
    provider.done("POST", GROUPS, {"displayName": "A", "externalId": "G"})
    for path, name in ((USERS, "User"), (GROUPS, "Group")):
        declared = {one["name"]: one for one in schemas[name]["attributes"]}
        for shown in provider.get(path)["Resources"]:
            assert set(shown) - {"schemas", "id", "meta"} <= set(declared)
            for attribute, value in shown.items():
                parts = {p["name"] for p in declared.get(attribute, {}).get("subAttributes", [])}
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, dict) and attribute != "meta":
                        assert set(one) <= parts, attribute


@EVERY_ROW
def test_the_specification_has_each_call_with_its_refusals(row: Endpoint) -> None:
    operation = SPECIFICATION["paths"][row.path][row.method.lower()]
    for code in row.codes:
        response = operation["responses"][str(status_of(code))]
        assert f"{code}: " in response["description"]
        assert response["$ref"].endswith("/ScimError")
    assert str(row.status) in operation["responses"]
    assert operation["security"] == [{"scim": []}]
    names = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
    assert names == ({"id"} if row.path.endswith("{id}") else set())
    assert ("requestBody" in operation) == (row in WRITING)


def test_a_call_is_counted_under_its_row(quick: Provider) -> None:
    quick.get(at(quick.world.cast.olga))
    calls = quick.world.server.metrics.begun("GET", at(quick.world.cast.olga))
    assert (calls.method, calls.path) == ("GET", f"{USERS}/{{id}}")
    assert sum(calls.by_class) == 1


def test_names_of_the_row_store_stay_searchable(provider: Provider) -> None:
    """What is searched by the System API follows what a provider changes."""
    olga = provider.world.cast.olga
    provider.patch(at(olga), {"op": "replace", "value": {"name": {"familyName": "Quartz"}}})
    found = accepted(
        provider.world.get(
            f"{ENTITY}/entity-memberships/list",
            key=provider.world.cast.system,
            params={"search": "quartz"},
        )
    )["entity_memberships"]
    assert [one["entity_user_xref_uuid"] for one in found] == [olga.uuid]
