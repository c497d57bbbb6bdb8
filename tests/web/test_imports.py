"""Imports of files through the front door: what each row becomes, dry runs, and who may."""

import csv
import io
from collections import Counter
from typing import Any

import pytest

from onrecord.domain import import_rows, imports
from onrecord.jobs import worker
from onrecord.jobs.handlers import CHORES
from onrecord.store.postgres import PostgresSession
from onrecord.store.sqlite import SqliteSession
from tests.cast import ApiKey
from tests.talk import STRANGER
from tests.world import ENTITY, World, accepted, refused

CREATE = f"{ENTITY}/imports/create"
REPORT = f"{ENTITY}/imports/report"
TEMPLATE = f"{ENTITY}/imports/template"


def ask(world: World, kind: str, text: str, key: ApiKey | None = None, **options: Any) -> Any:
    """Send a file."""
    return world.post(
        CREATE,
        key=key or world.cast.system,
        data={"kind": kind, **options},
        files={"file": ("file.csv", text.encode(), "text/csv")},
    )


def begin(world: World, kind: str, text: str, **options: Any) -> str:
    """Send a file and give the job."""
    response = ask(world, kind, text, **options)
    assert response.status_code == 202, response.text
    return str(response.json()["job_uuid"])


def job_of(world: World, job_uuid: str) -> dict[str, Any]:
    params = {"job_uuid": job_uuid}
    answer = accepted(world.get(f"{ENTITY}/jobs", key=world.cast.system, params=params))
    job: dict[str, Any] = answer["job"]
    return job


def report(world: World, job_uuid: str) -> list[dict[str, str]]:
    response = world.get(REPORT, key=world.cast.system, params={"job_uuid": job_uuid})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in response.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


def run(world: World, kind: str, text: str, **options: Any) -> list[dict[str, str]]:
    """Import a file to its end, and give the report."""
    job_uuid = begin(world, kind, text, **options)
    world.run(worker.run_due(world.app))
    assert job_of(world, job_uuid)["state"] == "done"
    return report(world, job_uuid)


def outcomes(rows: list[dict[str, str]]) -> list[str]:
    return [row["error_code"] or row["outcome"] for row in rows]


def member(world: World, **params: Any) -> dict[str, Any]:
    answer = accepted(
        world.get(f"{ENTITY}/entity-memberships", key=world.cast.system, params=params)
    )
    found: dict[str, Any] = answer["entity_membership"]
    return found


def sizes(world: World) -> list[tuple[Any, ...]]:
    """What an import may change, but for its own tables."""
    tables = ("member", "client_group", "group_member", "entry", "invitation")
    return [world.rows(f"SELECT COUNT(*) FROM {table}")[0] for table in tables]  # noqa: S608 - names of ours


CLIENTS = """\
First Name;Last Name;Email;Phone;Identifier;Group Identifier(s);Role;Shoe size
Nell;Ames;nell@example.com;+44 20 7946 0001;C-1;team;;38
Same;Again;again@example.com;;CL-1;;;
Other;Email;PRIYA.NAIR@example.com;;C-2;;;
Pat;Partner;pat@example.com;;C-3;team;partner;
No;Such;no@example.com;;C-4;nowhere;;
;Nameless;nameless@example.com;;C-5;;;
Wrong;Side;side@example.com;;C-6;;staff;
Wrong;Role;role@example.com;;C-7;;chief;
Twice;InFile;twice@example.com;;C-1;;;
=1+1;Formula;formula@example.com;;=C;;;
Long;Row;long@example.com;;C-8;;;;more
"""
EXPECTED = [
    "note",
    "created",
    "RB013",
    "RB014",
    "created",
    "RN002",
    "RB003",
    "RB003",
    "RB003",
    "RB013",
    "created",
    "RB003",
]


def name_team(world: World) -> None:
    body = {"group_uuid": world.cast.team, "identifier": "team"}
    accepted(world.post(f"{ENTITY}/groups/update", key=world.cast.system, json=body))


def test_every_row_is_done_by_the_rules_of_the_call_and_reported(world: World) -> None:
    cast = world.cast
    name_team(world)
    rows = run(world, "clients", CLIENTS)
    assert outcomes(rows) == EXPECTED
    assert "Shoe size" in rows[0]["detail"]
    assert [row["line"] for row in rows[1:]] == [str(line) for line in range(2, 13)]
    assert all(row["detail"] for row in rows if row["outcome"] == "refused")
    nell = member(world, identifier="C-1")
    assert nell["entity_user_xref_uuid"] == rows[1]["entity_user_xref_uuid"]
    assert nell["profile"] == "client"
    assert nell["state"] == "pending"
    assert nell["primary_phone_number"] == "+442079460001"
    assert nell["group_uuids"] == [cast.team]
    assert nell["invitation"] is not None
    assert member(world, identifier="C-3")["profile"] == "partner"
    formula = member(world, identifier="=C")
    assert formula["first_name"] == "=1+1", "kept as text on the way in"
    assert rows[10]["identifier"] == "'=C", "and harmless on the way out"
    assert formula["group_uuids"] == [cast.default_group], "blank groups mean the default group"


def test_staff_need_no_group_and_may_have_any_role_of_their_side(world: World) -> None:
    text = "First Name,Email,Role\nA,a@example.com,\nB,b@example.com,User administrator\n"
    rows = run(world, "staff", f"{text}C,c@example.com,1\nD,d@example.com,4\n")
    assert outcomes(rows) == ["created", "created", "created", "RB003"]
    assert member(world, primary_email="a@example.com")["profile"] == "staff"
    assert member(world, primary_email="a@example.com")["group_uuids"] == []
    assert member(world, primary_email="b@example.com")["profile"] == "user_admin"
    assert member(world, primary_email="c@example.com")["profile"] == "system_admin"


def test_groups_come_with_their_staff(world: World) -> None:
    cast = world.cast
    text = (
        "Group Name,Group Identifier,Description,Staff Identifier(s),Staff UUID(s),Staff Email(s)\n"
        f"One,g1,First,ADV-1,{cast.olga.uuid},Ingrid.Rowe@example.com;{cast.tomas.email}\n"
        "Empty,g2,,,,\n"
        "Again,g1,,,,\n"
        "Nobody,g3,,,,nobody@example.com\n"
        "Client,g4,,,,priya.nair@example.com\n"
    )
    rows = run(world, "groups", text)
    assert outcomes(rows) == ["created", "created", "RB013", "RN006", "RB020"]
    params = {"identifier": "g1"}
    group = accepted(world.get(f"{ENTITY}/groups", key=cast.system, params=params))["group"]
    assert group["group_uuid"] == rows[0]["group_uuid"]
    assert group["description"] == "First"
    names = {one["first_name"] for one in group["members"]}
    assert names == {"Tomas", "Olga", "Ingrid"}
    rows = run(world, "groups", text, ignore_existing_identifiers="true")
    assert outcomes(rows) == ["exists", "exists", "exists", "RN006", "RB020"]
    assert rows[2]["group_uuid"] == group["group_uuid"]


MEMBERS = """\
Group UUID,Entity Member UUID,Group Identifier,Identifier,Email
{team},{olga},,,
,,team,ADV-3,
,,team,,lena.park@example.com
,,empty,CL-1,
,,empty,ADV-3,
,,empty,,priya.nair@example.com
,,,CL-1,
,,empty,,
"""


def test_members_are_put_into_groups_by_uuid_identifier_or_email(world: World) -> None:
    cast = world.cast
    name_team(world)
    run(world, "groups", "Group Name,Group Identifier\nEmpty,empty\n")
    text = MEMBERS.format(team=cast.team, olga=cast.olga.uuid)
    rows = run(world, "group_members", text)
    assert outcomes(rows) == [
        "created",
        "exists",
        "RN006",
        "RB020",
        "created",
        "created",
        "RB002",
        "RB785",
    ]
    assert member(world, identifier="CL-1")["group_uuids"][0] == cast.team
    assert len(member(world, identifier="ADV-3")["group_uuids"]) == 2


def test_rows_with_identifiers_in_use_are_passed_over_where_that_is_wished(world: World) -> None:
    text = "First Name,Email,Identifier\nA,other@example.com,CL-1\nB,b@example.com,C-9\n"
    before = member(world, identifier="CL-1")
    rows = run(world, "clients", text, ignore_existing_identifiers="true")
    assert outcomes(rows) == ["exists", "created"]
    assert rows[0]["entity_user_xref_uuid"] == world.cast.priya.uuid
    assert member(world, identifier="CL-1") == before
    assert outcomes(run(world, "clients", text)) == ["RB013", "RB013"]


def test_nobody_is_invited_where_that_is_not_wished(world: World) -> None:
    text = "First Name,Email\nA,a@example.com\n"
    run(world, "clients", text, send_invitations="false")
    assert member(world, primary_email="a@example.com")["invitation"] is None


# -- many at a time ------------------------------------------------------------------------------


def test_the_first_administrator_joins_a_default_group_without_staff_once_for_all(
    world: World,
) -> None:
    cast = world.cast
    world.change(
        cast.firm,
        "DELETE FROM group_member WHERE group_id = (SELECT id FROM client_group WHERE uuid = $1)",
        cast.default_group,
    )
    before = world.head(cast.firm)
    rows = run(world, "clients", "First Name,Email\n,x@example.com\nA,a@example.com\nB,b@x.org\n")
    assert outcomes(rows) == ["RB003", "created", "created"]
    added = [
        entry["entity_user_xref_uuid"]
        for entry in world.entries(cast.firm, before)
        if entry["type"] == "group.member_added"
    ]
    assert added[0] == cast.miriam.uuid
    assert added[1:] == [row["entity_user_xref_uuid"] for row in rows[1:]]


def test_a_default_group_that_nobody_may_look_after_refuses_its_rows_alone(world: World) -> None:
    cast, key = world.cast, world.cast.system
    out = {"group_uuid": cast.default_group, "entity_user_xref_uuids": [cast.miriam.uuid]}
    accepted(world.post(f"{ENTITY}/groups/group-members/destroy", key=key, json=out))
    desk = {"name": "Desk", "entity_user_xref_uuids": [cast.miriam.uuid]}
    made = accepted(world.post(f"{ENTITY}/groups/create", key=key, json=desk))
    body = {"group_uuid": made["group_uuid"], "other_group_uuid": cast.default_group}
    accepted(world.post(f"{ENTITY}/barriers/create", key=key, json=body))
    file = f"First Name,Email,Group UUID\nA,a@example.com,\nB,b@example.com,{cast.team}\n"
    assert outcomes(run(world, "clients", file, dry_run="true")) == ["RB020", "created"]
    assert outcomes(run(world, "clients", file)) == ["RB020", "created"]


def test_staff_on_both_sides_of_a_barrier_are_refused_alone(world: World) -> None:
    cast, key = world.cast, world.cast.system
    made = world.post(f"{ENTITY}/groups/create", key=key, json={"name": "Desk"})
    desk = made.json()["group"]["group_uuid"]
    body = {"group_uuid": desk, "other_group_uuid": cast.team}
    assert world.post(f"{ENTITY}/barriers/create", key=key, json=body).status_code < 300
    text = f"""\
First Name,Email,Group UUID(s)
A,a@example.com,{desk}
B,b@example.com,{desk};{cast.team}
C,c@example.com,{cast.team}
A,a@example.com,
"""
    rows = run(world, "staff", text)
    assert outcomes(rows) == ["created", "RF007", "created", "RB014"]
    assert member(world, primary_email="a@example.com")["group_uuids"] == [desk]
    assert member(world, primary_email="c@example.com")["group_uuids"] == [cast.team]


def test_the_mails_of_a_long_import_wait_for_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 3_600_000_000
    monkeypatch.setattr(imports, "SLICE", 2)
    monkeypatch.setattr(import_rows, "MANY", 2)
    monkeypatch.setattr(import_rows, "MANY_TAKE", hour)
    people = "".join(f"N{n},n{n}@example.com\n" for n in range(5))
    job_uuid = begin(world, "clients", f"First Name,Email\n{people}")
    world.run(worker.run_one(world.app, job_uuid, lambda _: None))
    due = world.rows(
        "SELECT run_at - created_at FROM job WHERE kind = 'invitation' ORDER BY id DESC LIMIT 5"
    )
    assert [round(row[0] / hour) for row in due] == [0, 1, 1, 2, 2]


STATEMENTS_MOST = 0.8
"""For a row of a file; about twenty made ten thousand rows take minutes on PostgreSQL."""


def counted(world: World, monkeypatch: pytest.MonkeyPatch, job_uuid: str) -> Counter[str]:
    """Do a job, and count the statements it takes."""
    asked: Counter[str] = Counter()

    def count(session: type, name: str) -> None:
        method = getattr(session, name)

        async def ask(self: Any, *arguments: Any) -> Any:
            asked[str(arguments[0])[:80]] += 1
            return await method(self, *arguments)

        patch.setattr(session, name, ask)

    with monkeypatch.context() as patch:
        for session in (SqliteSession, PostgresSession):
            for name in ("all", "one", "run", "each", "write"):
                count(session, name)
        world.run(worker.run_one(world.app, job_uuid, lambda _: None))
    return asked


@pytest.mark.parametrize("dry_run", ["false", "true"])
def test_the_statements_of_an_import_are_few_for_each_row(
    world: World, monkeypatch: pytest.MonkeyPatch, dry_run: str
) -> None:
    """Each is a round trip on PostgreSQL. A slice takes the same whatever stands in its rows."""
    name_team(world)
    count = 4 * imports.SLICE
    people = "".join(
        f"N{n},n{n}@example.com,I-{n},{'team' if n % 2 else ''}\n" for n in range(count)
    )
    groups = "".join(f"G{n},G-{n},ADV-3;ADV-2,tomas.hartley@example.com\n" for n in range(count))
    joining = "".join(f"{f'G-{n}' if n % 2 else 'team'},I-{n},\n" for n in range(count - 1))
    joining += f"G-{count - 1},,n{count - 1}@example.com\n"
    files = {
        "clients": f"First Name,Email,Identifier,Group Identifier(s)\n{people}",
        "groups": f"Group Name,Group Identifier,Staff Identifier(s),Staff Email(s)\n{groups}",
        "group_members": f"Group Identifier,Identifier,Email\n{joining}",
    }
    for kind, text in files.items():
        job_uuid = begin(world, kind, text, dry_run=dry_run)
        asked = counted(world, monkeypatch, job_uuid)
        assert job_of(world, job_uuid)["result"]["created"] == count, report(world, job_uuid)[-1]
        assert asked.total() <= STATEMENTS_MOST * count, (kind, asked.most_common(10))
        if dry_run == "true":
            run(
                world, kind, text, send_invitations="false"
            )  # for the next file, which speaks of these


# -- dry runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("ignore", ["false", "true"])
def test_a_dry_run_reports_every_row_as_the_real_run_does_and_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int, ignore: str
) -> None:
    """Also where a row meets what an earlier one made, in whatever slice that was."""
    monkeypatch.setattr(imports, "SLICE", size)
    name_team(world)
    groups = "Group Name,Group Identifier,Staff Identifier(s)\n"
    groups += "One,empty,\nTwo,g2,ADV-3;ADV-2\nAgain,empty,ADV-3\nThree,g3,CL-1\nFour,g3,\n"
    members = MEMBERS.format(team=world.cast.team, olga=world.cast.olga.uuid)
    for kind, text in (("clients", CLIENTS), ("groups", groups), ("group_members", members)):
        before = sizes(world)
        tried = run(world, kind, text, ignore_existing_identifiers=ignore, dry_run="true")
        assert sizes(world) == before
        real = run(world, kind, text, ignore_existing_identifiers=ignore)
        names = ("line", "outcome", "error_code", "detail", "identifier")
        for one, other in zip(tried, real, strict=True):
            assert {name: one[name] for name in names} == {name: other[name] for name in names}
            if kind != "group_members":  # of what was taken back no id is told
                assert one["entity_user_xref_uuid"] in {"", other["entity_user_xref_uuid"]}
                assert one["group_uuid"] in {"", other["group_uuid"]}
    assert not world.rows("SELECT 1 FROM import_key")


BEYOND = """\
Group Identifier,Identifier
one,ADV-3
one,ADV-3
two,ADV-3
two,CL-1
two,ADV-2
two,CL-1
one,ADV-2
two,CL-1
one,CL-1
,CL-1
one,CL-1,more
"""
EXPECTED_BEYOND = [
    "created",
    "exists",
    "RF007",
    "RB020",
    "created",
    "created",
    "RF007",
    "exists",
    "created",
    "RB002",
    "RB003",
]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_a_row_meets_whom_earlier_rows_put_into_groups_tried_or_real(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Staff on one side of a barrier never come to the other, and clients need staff."""
    monkeypatch.setattr(imports, "SLICE", size)
    groups = run(world, "groups", "Group Name,Group Identifier\nOne,one\nTwo,two\n")
    one, two = (row["group_uuid"] for row in groups)
    body = {"group_uuid": one, "other_group_uuid": two}
    accepted(world.post(f"{ENTITY}/barriers/create", key=world.cast.system, json=body))
    before = sizes(world)
    assert outcomes(run(world, "group_members", BEYOND, dry_run="true")) == EXPECTED_BEYOND
    assert sizes(world) == before
    assert outcomes(run(world, "group_members", BEYOND)) == EXPECTED_BEYOND


def test_who_is_in_a_new_group_has_changed_since(world: World) -> None:
    before = member(world, identifier="ADV-3")["updated_at"]
    run(world, "groups", "Group Name,Staff Identifier(s)\nNew,ADV-3\n")
    assert member(world, identifier="ADV-3")["updated_at"] > before


# -- the job -------------------------------------------------------------------------------------


def test_an_import_stands_on_record_with_who_asked_for_it(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    job_uuid = begin(world, "clients", "First Name,Email\nA,a@example.com\nB,\n")
    world.run(worker.run_due(world.app))
    entries = world.entries(cast.firm, before)
    assert entries[0]["type"] == "import.started"
    assert entries[0]["data"] == {
        "job_uuid": job_uuid,
        "kind": "clients",
        "rows": 2,
        "ignore_existing_identifiers": False,
        "send_invitations": True,
    }
    (ended,) = [entry for entry in entries if entry["type"] == "import.ended"]
    counts = {"created": 1, "existing": 0, "refused": 1}
    assert ended["data"] == {"job_uuid": job_uuid, "kind": "clients", **counts}
    assert job_of(world, job_uuid)["result"] == counts
    made = [entry for entry in entries if entry["type"] == "member.created"]
    for entry in (*made, ended):
        assert entry["actor"]["kind"] == "system"
        assert entry["actor"]["api_key_uuid"] == cast.system.uuid


def test_what_the_file_said_is_forgotten_when_it_is_done(world: World) -> None:
    run(world, "clients", "First Name,Email\nA,a@example.com\n")
    assert world.rows("SELECT lines FROM import_slice") == [("[]",)]
    (facts,) = world.rows("SELECT facts FROM import")[0]
    assert "a@example.com" not in facts


def test_a_file_without_rows_is_done_at_once(world: World) -> None:
    assert run(world, "clients", "First Name,Email\n") == []


def test_a_report_tells_of_rows_that_wait(world: World) -> None:
    job_uuid = begin(world, "clients", "First Name,Email\nA,a@example.com\n")
    assert outcomes(report(world, job_uuid)) == ["waiting"]
    assert job_of(world, job_uuid)["state"] == "queued"


def test_an_import_stops_when_the_key_that_asked_for_it_does(world: World) -> None:
    cast = world.cast
    text = "First Name,Email\nA,a@example.com\n"
    key = cast.alone["system", "can_write_admin"]  # type: ignore[index]  # a kind is its word
    response = ask(world, "clients", text, key=key)
    job_uuid = response.json()["job_uuid"]
    body = {"api_key_uuid": key.uuid}
    accepted(world.post(f"{ENTITY}/api-keys/deactivate", key=cast.system, json=body))
    world.run(worker.run_due(world.app))
    job = job_of(world, job_uuid)
    assert job["state"] == "failed"
    assert job["result"]["error_code"] == "RU002"
    assert outcomes(report(world, job_uuid)) == ["waiting"]
    missed = world.get(
        f"{ENTITY}/entity-memberships", key=cast.system, params={"primary_email": "a@example.com"}
    )
    refused(missed, "RN006", 404)


def test_an_import_goes_on_after_the_last_slice_and_does_nobody_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "SLICE", 2)
    text = "First Name,Email\n" + "".join(f"N{n},n{n}@example.com\n" for n in range(7))
    job_uuid = begin(world, "clients", text)
    note, calls = imports._note, 0

    async def fails_once(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError
        return await note(*arguments)

    monkeypatch.setattr(imports, "_note", fails_once)
    world.run(worker.run_due(world.app))
    assert job_of(world, job_uuid)["done"] == 4
    assert job_of(world, job_uuid)["state"] == "queued"
    world.change(world.cast.firm, "UPDATE job SET run_at = 0 WHERE uuid = $1", job_uuid)
    world.run(worker.run_due(world.app))
    job = job_of(world, job_uuid)
    assert job["state"] == "done"
    assert job["result"] == {"created": 7, "existing": 0, "refused": 0}
    assert outcomes(report(world, job_uuid)) == ["created"] * 7


def test_reports_and_files_that_never_came_whole_go_when_their_time_is_over(world: World) -> None:
    text = "First Name,Email\nA,a@example.com\n"
    run(world, "clients", text, send_invitations="false")
    kept = begin(world, "clients", text)
    world.change(world.cast.firm, "UPDATE import SET created_at = 0 WHERE job_uuid <> $1", kept)
    bad = ask(world, "clients", 'First Name,Email\nA,a@example.com\nB,"never ends')
    refused(bad, "RB003", 400)
    world.change(world.cast.firm, "UPDATE import SET created_at = 0 WHERE job_uuid IS NULL")
    for chore in CHORES:
        world.run(chore(world.app))  # type: ignore[arg-type]  # a chore is a coroutine
    assert world.rows("SELECT job_uuid FROM import") == [(kept,)]
    assert len(world.rows("SELECT 1 FROM import_slice")) == 1


# -- who may, and what is refused ----------------------------------------------------------------


def test_what_is_no_file_to_import_is_refused(world: World) -> None:
    refused(ask(world, "chats", "First Name,Email\n"), "RB003", 400)
    refused(ask(world, "clients", "Last Name\n"), "RB003", 400)
    refused(ask(world, "clients", "PK\x03\x04"), "RB016", 400)
    response = world.post(CREATE, key=world.cast.system, json={"kind": "clients"})
    refused(response, "RB026", 415)


def test_the_report_of_another_organisations_import_is_not_found(world: World) -> None:
    cast = world.cast
    job_uuid = begin(world, "clients", "First Name,Email\n")
    for key, params in (
        (cast.other_system, {"job_uuid": job_uuid}),
        (cast.system, {"job_uuid": STRANGER}),
    ):
        refused(world.get(REPORT, key=key, params=params), "RN008", 404)


def test_an_empty_file_of_every_kind_can_be_had(world: World) -> None:
    for kind in ("staff", "clients", "groups", "group_members"):
        response = world.get(TEMPLATE, key=world.cast.system, params={"kind": kind})
        assert response.content.count(b"\n") == 1
        assert f'filename="{kind}.csv"' in response.headers["content-disposition"]
        assert run(world, kind, response.content.decode()) == []
    refused(world.get(TEMPLATE, key=world.cast.system, params={"kind": "x"}), "RB003", 400)


def test_the_same_request_again_imports_once(world: World) -> None:
    def once() -> Any:
        return world.post(
            CREATE,
            key=world.cast.system,
            headers={"Idempotency-Key": "once"},
            data={"kind": "clients"},
            files={"file": ("a.csv", b"First Name,Email\nA,a@example.com\n", "text/csv")},
        )

    first, again = once(), once()
    assert first.status_code == again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["idempotent-replay"] == "true"
    assert len(world.rows("SELECT 1 FROM job WHERE kind = 'import'")) == 1
