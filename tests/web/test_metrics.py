"""/metrics and security.txt: for whom, and what they say."""

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from onrecord.model.errors import CATALOGUE
from onrecord.web.metrics import BUCKETS
from tests.conftest import MakeWorld
from tests.world import CHAT, ENTITY, World, accepted, refused

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def figures(world: World) -> Samples:
    """Every sample, by name and labels."""
    response = world.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    found: Samples = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            place = (sample.name, tuple(sorted(sample.labels.items())))
            assert place not in found
            found[place] = sample.value
    return found


def of(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0)


SEND = {"method": "POST", "path": f"{CHAT}/chats/messages/send-text"}


def test_requests_are_counted_by_endpoint_and_class_of_status(world: World) -> None:
    cast = world.cast
    before = figures(world)
    for chat in ("nowhere", "00000000-0000-0000-0000-000000000000"):
        body = {"chat_uuid": chat, "text": "x"}
        world.post(SEND["path"], key=cast.master, on_behalf_of=cast.tomas, json=body)
    accepted(world.get(f"{ENTITY}/whoami", key=cast.system))
    world.run(world.request("HEAD", f"{ENTITY}/whoami", key=cast.system))
    world.get("/made/up/by-somebody")
    after = figures(world)

    def grown(name: str, **labels: str) -> float:
        return of(after, name, **labels) - of(before, name, **labels)

    assert grown("onrecord_http_requests_total", status="4xx", **SEND) == 2
    whoami = {"method": "GET", "path": f"{ENTITY}/whoami"}
    assert grown("onrecord_http_requests_total", status="2xx", **whoami) == 2
    nowhere = {"method": "any", "path": "(none)"}
    assert grown("onrecord_http_requests_total", status="4xx", **nowhere) == 1
    assert not any("made" in str(place) for place in after)
    assert grown("onrecord_http_request_duration_seconds_count", **SEND) == 2
    assert grown("onrecord_http_request_duration_seconds_bucket", le="+Inf", **SEND) == 2
    buckets = [
        of(after, "onrecord_http_request_duration_seconds_bucket", le=repr(end), **SEND)
        for end in BUCKETS
    ]
    assert buckets == sorted(buckets)
    assert grown("onrecord_http_request_duration_seconds_sum", **SEND) > 0
    assert of(after, "onrecord_http_requests_in_progress", **SEND) == 0
    asked = {"method": "GET", "path": "/metrics"}
    assert of(after, "onrecord_http_requests_in_progress", **asked) == 1


def test_a_long_poll_is_under_way_until_it_is_answered_or_its_client_is_gone(
    sqlite_world: World,
) -> None:
    world, key = sqlite_world, sqlite_world.cast.system
    place = {"method": "GET", "path": f"{ENTITY}/events"}
    waiting = {"after": world.head(world.cast.firm), "wait": 20}

    async def poll() -> httpx.Response:
        return await world.request("GET", place["path"], key=key, params=waiting)

    async def look() -> httpx.Response:
        task = asyncio.create_task(poll())
        await asyncio.sleep(0.2)
        seen = await world.request("GET", "/metrics")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return seen

    labels = f'{{method="GET",path="{place["path"]}"}}'
    assert f"onrecord_http_requests_in_progress{labels} 1.0" in world.run(look()).text
    after = figures(world)
    assert of(after, "onrecord_http_requests_in_progress", **place) == 0
    assert of(after, "onrecord_http_requests_total", status="5xx", **place) == 1


def test_refusals_are_counted_by_code_and_unknown_keys_by_kind(sqlite_world: World) -> None:
    world = sqlite_world
    before = figures(world)
    assert {
        dict(labels)["code"] for name, labels in before if name == "onrecord_refusals_total"
    } == (CATALOGUE.keys())
    for number in range(3):
        headers = {"X-SYS-API-KEY": f"ork-{number}", "X-SYS-API-KEY-SECRET": "x"}
        refused(world.get(f"{ENTITY}/whoami", headers=headers), "RU001")
    after = figures(world)
    for name, labels in (
        ("onrecord_refusals_total", {"code": "RU001"}),
        ("onrecord_unknown_keys_total", {"kind": "system"}),
    ):
        assert of(after, name, **labels) - of(before, name, **labels) == 3
    assert "ork-" not in str(after)


def test_entries_works_and_commits_are_counted(world: World) -> None:
    cast = world.cast
    before = figures(world)
    body = {"entity_user_xref_uuids": [cast.priya.uuid], "text": "hello"}
    position = world.head(cast.firm)
    created = world.post(
        f"{CHAT}/chats/create", key=cast.master, on_behalf_of=cast.tomas, json=body
    )
    chat_uuid = accepted(created)["chat_uuid"]
    requests = [
        world.request(
            "POST",
            SEND["path"],
            key=cast.master,
            on_behalf_of=cast.tomas,
            json={"chat_uuid": chat_uuid, "text": f"text {number}"},
        )
        for number in range(10)
    ]
    for response in world.together(*requests):
        accepted(response)
    after = figures(world)
    entries = of(after, "onrecord_record_entries_total") - of(
        before, "onrecord_record_entries_total"
    )
    assert entries == world.head(cast.firm) - position
    works = of(after, "onrecord_works_total") - of(before, "onrecord_works_total")
    commits = of(after, "onrecord_commits_total") - of(before, "onrecord_commits_total")
    assert works == 11
    assert 2 <= commits < works
    assert of(after, "onrecord_works_waiting") == 0
    assert of(after, "onrecord_streams_open") == 0


def test_a_refused_work_leaves_no_entries_in_the_count(world: World) -> None:
    cast = world.cast
    before = of(figures(world), "onrecord_record_entries_total")
    person = {"enum_profile_id": 4, "first_name": "N", "primary_email": "n@example.com"}
    path = f"{ENTITY}/entity-memberships/create"
    taken = {**person, "primary_email": cast.priya.email}
    position = world.head(cast.firm)
    good = world.request("POST", path, key=cast.system, json=person)
    bad = world.request("POST", path, key=cast.system, json=taken)
    accepted(world.together(bad, good)[1])
    grown = of(figures(world), "onrecord_record_entries_total") - before
    assert grown == world.head(cast.firm) - position > 0


def test_the_process_and_the_build_are_told(world: World) -> None:
    found = figures(world)
    assert of(found, "process_resident_memory_bytes") > 0
    (about,) = [dict(labels) for name, labels in found if name == "onrecord_build_info"]
    assert about["engine"] == world.app.store.dialect
    assert set(about) == {"version", "engine", "python"}


def test_others_than_those_allowed_find_nothing(make_world: MakeWorld) -> None:
    world = make_world(trusted_proxies=(ip_network("10.0.0.1/32"),))
    assert world.get("/metrics", client="127.0.0.9").status_code == 200
    assert world.get("/metrics", client="::1").status_code == 200
    elsewhere = world.get("/nowhere", client="192.0.2.7").json()
    answer = refused(world.get("/metrics", client="192.0.2.7"), "RN005", 404)
    assert answer | {"instance": ""} == elsewhere | {"instance": ""}
    refused(world.get("/metrics", client=None), "RN005", 404)
    forwarded = {"x-forwarded-for": "127.0.0.1"}
    assert world.get("/metrics", client="10.0.0.1", headers=forwarded).status_code == 200
    through = {"x-forwarded-for": "192.0.2.7"}
    refused(world.get("/metrics", client="10.0.0.1", headers=through), "RN005", 404)


def test_what_an_unknown_proxy_forwards_is_from_nowhere_near(sqlite_world: World) -> None:
    headers = {"x-forwarded-for": "127.0.0.1"}
    refused(sqlite_world.get("/metrics", headers=headers), "RN005", 404)


def test_the_list_of_addresses_can_be_changed_and_emptied(make_world: MakeWorld) -> None:
    world = make_world(metrics_allowed=(ip_network("192.0.2.0/24"),))
    assert world.get("/metrics", client="192.0.2.7").status_code == 200
    refused(world.get("/metrics"), "RN005", 404)
    world.restart(metrics_allowed=())
    refused(world.get("/metrics"), "RN005", 404)


# -- security.txt --------------------------------------------------------------------------------


def test_without_a_contact_there_is_no_security_txt(sqlite_world: World) -> None:
    refused(sqlite_world.get("/.well-known/security.txt"), "RN005", 404)


@pytest.mark.parametrize("public", ["", "https://chat.example.com"])
def test_security_txt_says_whom_to_tell_and_until_when(make_world: MakeWorld, public: str) -> None:
    world = make_world(security_contact="mailto:security@example.com", public_url=public)
    response = world.get("/.well-known/security.txt")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in response.text.splitlines())
    assert fields["Contact"] == "mailto:security@example.com"
    expires = datetime.fromisoformat(fields["Expires"])
    assert timedelta(days=30) < expires - datetime.now(UTC) < timedelta(days=365)
    assert fields.get("Canonical", "") == (f"{public}/.well-known/security.txt" if public else "")
