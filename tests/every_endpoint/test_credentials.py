"""Every endpoint, with every kind of key, permission, organisation and state."""

import pytest

from onrecord.domain import keys, organisations
from onrecord.domain.sessions import token_hash
from onrecord.model.access import INSTALLATION_UUID, PERMISSIONS, Kind
from onrecord.web.docs import ASSETS, NAVIGATION, REDIRECTS, VERIFIER
from onrecord.web.endpoint import IN_PERSON, Endpoint
from tests.cast import ApiKey, make_key, set_member_state
from tests.every_endpoint.calls import ROWS, acting_for, good, make
from tests.world import World, refused

GUARDED = [row for row in ROWS if row.kinds]
HEADERS_OF = {
    Kind.SYSTEM: {Kind.SYSTEM, Kind.SUPER},
    Kind.SUPER: {Kind.SYSTEM, Kind.SUPER},
    Kind.MASTER_USER: {Kind.MASTER_USER},
    Kind.USER: {Kind.USER},
}


def name(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


@pytest.mark.parametrize("row", GUARDED, ids=name)
def test_the_kinds_declared_are_taken_and_no_other(world: World, row: Endpoint) -> None:
    cast = world.cast
    refused(make(world, row, None), "RU003", 401)
    for number, (kind, key) in enumerate(cast.shown_at_firm().items()):
        response = make(world, row, key, number=number, acting=acting_for(row, cast, kind))
        if kind in row.kinds:
            assert response.status_code == row.status, (kind, response.text)
        else:
            refused(response, "RF008", 403)


@pytest.mark.parametrize("row", GUARDED, ids=name)
def test_the_permissions_declared_open_it_and_no_other(sqlite_world: World, row: Endpoint) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    for number, ((kind, permission), key) in enumerate(cast.alone.items()):
        if kind not in row.kinds:
            continue
        response = make(world, row, key, number=number, acting=acting_for(row, cast, kind))
        if not row.permissions or permission in row.permissions:
            assert response.status_code == row.status, (kind, permission, response.text)
        else:
            refused(response, PERMISSIONS[row.permissions[0]].refusal, 403)


@pytest.mark.parametrize("row", GUARDED, ids=name)
def test_a_key_next_door_reaches_nothing_here(sqlite_world: World, row: Endpoint) -> None:
    """It acts in its own organisation, or finds nothing; this one's record does not change."""
    world, cast = sqlite_world, sqlite_world.cast
    make(world, row, None)  # whatever a good request needs is there
    others: dict[Kind, ApiKey] = {
        Kind.SYSTEM: cast.other_system,
        Kind.MASTER_USER: cast.other_master,
        Kind.USER: cast.other_user,
    }
    here = world.entries(cast.firm)
    for kind, key in others.items():
        if kind not in row.kinds:
            continue
        response = make(world, row, key, acting=acting_for(row, cast, kind))
        if kind is Kind.MASTER_USER and row.acting != "none":
            refused(response, "RN006", 404)
        elif response.status_code == row.status:
            for secret in (cast.firm, cast.tomas.uuid, cast.priya.uuid, cast.team):
                assert secret not in response.text
        else:
            assert response.json()["error_code"] in {"RN001", "RN002", "RN004", "RN006", "RN008"}
        if kind is Kind.USER and row.acting != "none":
            stranger = make(world, row, key, acting=cast.tomas)
            refused(stranger, "RF004", 403)
    assert world.entries(cast.firm) == here


@pytest.mark.parametrize("row", GUARDED, ids=name)
def test_who_must_act_must_be_named(sqlite_world: World, row: Endpoint) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    if Kind.MASTER_USER in row.kinds:
        response = make(world, row, cast.master)
        if row.acting == "required":
            refused(response, "RF004", 403)
        else:
            assert response.status_code == row.status
    if Kind.SUPER in row.kinds:
        bare = ApiKey(Kind.SUPER, "", cast.superkey.api_key, cast.superkey.secret, "")
        response = make(world, row, bare)
        if row.entity == "required":
            refused(response, "RF736", 403)
        else:
            assert response.status_code == row.status
    if Kind.SESSION in row.kinds:
        person, cast.session.person = cast.session.person, None
        response = make(world, row, cast.session, number=1)
        cast.session.person = person
        if row.acting == "required":
            refused(response, "RF004", 403)
        else:
            assert response.status_code == 200
    assert row.acting == "none" or not row.kinds & {Kind.SYSTEM, Kind.SUPER}


@pytest.mark.parametrize("row", [row for row in GUARDED if row.kinds & IN_PERSON], ids=name)
def test_what_has_ended_opens_nothing(sqlite_world: World, row: Endpoint) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    for kind in row.kinds & IN_PERSON:
        make(world, row, cast.shown_at_firm()[kind], number=3)  # a verdict is remembered
        request = good(world, row, 4)
        shown = cast.shown_at_firm()[kind]
        token = cast.session.token if kind is Kind.SESSION else cast.sdk.token
        world.change(
            INSTALLATION_UUID,
            "UPDATE session SET ended_at = 1 WHERE token = $1",
            token_hash(token or ""),
        )
        response = world.run(world.request(row.method, row.path, key=shown, **request.how))
        refused(response, "RU010", 401)
    if row.method == "POST" and Kind.SESSION in row.kinds:
        request = good(world, row, 5)
        cast.session.csrf_token = "somebody else's"
        response = world.run(world.request(row.method, row.path, key=cast.session, **request.how))
        refused(response, "RU003", 401)


@pytest.mark.parametrize("row", [row for row in GUARDED if row.kinds & IN_PERSON], ids=name)
@pytest.mark.parametrize("state", ["suspended", "inactive"])
def test_who_is_not_active_opens_nothing_there(
    sqlite_world: World, row: Endpoint, state: str
) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    request = good(world, row)
    set_member_state(world, cast.tomas, state)
    for kind in row.kinds & IN_PERSON:
        key = cast.shown_at_firm()[kind]
        response = world.run(world.request(row.method, row.path, key=key, **request.how))
        if row.acting == "required" or kind is Kind.SDK:
            refused(response, "RF024", 403)
        else:  # the account is the person's own
            assert response.status_code == 200, response.text


@pytest.mark.parametrize("row", GUARDED, ids=name)
def test_stopped_and_strange_keys_open_nothing(sqlite_world: World, row: Endpoint) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    for number, (kind, key) in enumerate(cast.keys_of_firm().items()):
        if kind not in row.kinds:
            continue
        acting = acting_for(row, cast, kind)
        assert make(world, row, key, number=number, acting=acting).status_code == row.status
        wrong = ApiKey(kind, "", key.api_key, "wrong", "", key.entity_uuid)
        refused(make(world, row, wrong, acting=acting), "RU001", 401)
        owner = {"member_uuid": cast.tomas.uuid} if kind is Kind.USER else {}
        far = world.run(
            make_key(
                world.app,
                None if kind is Kind.SUPER else cast.firm,
                kind,
                for_entity=key.entity_uuid,
                cidr_blocks=["192.0.2.0/24"],
                **owner,
            )
        )
        refused(make(world, row, far, acting=acting), "RU004", 401)
        entity = None if kind is Kind.SUPER else cast.firm
        stop(world, entity, key)
        refused(make(world, row, key, acting=acting), "RU002", 401)


def stop(world: World, entity: str | None, key: ApiKey) -> None:
    world.work(entity, lambda work: keys.deactivate(work, key.api_key))


@pytest.mark.parametrize("state", ["frozen", "inactive"])
def test_states_of_the_organisation_hold_everywhere(sqlite_world: World, state: str) -> None:
    world, cast = sqlite_world, sqlite_world.cast
    requests = [
        (row, kind, key)
        for row in GUARDED
        for kind, key in cast.shown_at_firm().items()
        if kind in row.kinds
    ]
    for row, kind, key in requests:
        make(world, row, key, number=99, acting=acting_for(row, cast, kind))
    world.work(cast.firm, lambda work: organisations.set_state(work, state))
    for row, kind, key in requests:
        response = make(world, row, key, acting=acting_for(row, cast, kind))
        reads = row.method == "GET" and kind in {Kind.SYSTEM, Kind.SUPER}
        if kind is Kind.SESSION and row.acting != "required":
            assert response.status_code == 200, response.text
        elif state == "inactive":
            refused(response, "RN900", 404)
        elif reads:
            assert response.status_code == row.status, response.text
        else:
            refused(response, "RN902", 404)


def test_open_endpoints_need_no_credential(sqlite_world: World) -> None:
    opened = [row for row in ROWS if not row.kinds]
    assert {row.path for row in opened} == {
        "/livez",
        "/readyz",
        "/openapi.json",
        "/.well-known/onrecord-keys",
        "/.well-known/security.txt",
        "/metrics",
        VERIFIER,
        "/docs",
        *(f"/docs/{name}" for name in NAVIGATION if name),
        *(f"/docs/assets/{name}" for name in ASSETS),
        *REDIRECTS,
        *(f"/app-service/api/{name}" for name in ("sign-in", "sign-in/confirm")),
        *(f"/app-service/api/account/password/{name}" for name in ("forgot", "reset")),
        "/app-service/api/invitations",
        *(f"/app-service/api/invitations/{name}" for name in ("accept", "confirm")),
        *(f"/app-service/api/organisations/{name}" for name in ("logo", "avatar")),
        "/app-service/api/mail/bounces",
        "/app-service/api/dev/outbox",
        "/dev/outbox",
        "/download/{id}",
    }
    sqlite_world.restart(security_contact="mailto:security@example.com")
    for row in opened:
        expected = 308 if row.path in REDIRECTS else 200
        assert make(sqlite_world, row, None).status_code == expected
