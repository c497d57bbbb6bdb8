"""The export of all entities: what it says, as of which position, its seal, its memory."""

import csv
import io
import json
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from onrecord.domain import invitations, replay
from onrecord.domain import members as people
from onrecord.jobs import post, worker
from onrecord.model import times
from onrecord.model.record import TYPES
from onrecord.proof import bundle, canonical, note, seal, tables
from onrecord.proof.report import WrongError
from onrecord.proof.verify import Report, verify
from onrecord.store.work import Work
from tests.cast import Person
from tests.conftest import MakeWorld
from tests.talk import BUTLER_TEXT, act, chat_of, done, listed, say, start
from tests.world import ENTITY, World, accepted, refused

EXPORT = f"{ENTITY}/export/entities"


def export(world: World, **params: Any) -> httpx.Response:
    response = world.get(EXPORT, key=world.cast.system, params=params)
    assert response.status_code == 200, response.text
    return response


def told(world: World, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = export(world, **params).json()
    return found


def live(world: World) -> str:
    """Let something of every kind happen; give a chat."""
    cast = world.cast
    system = cast.system

    def post(path: str, **body: Any) -> dict[str, Any]:
        return accepted(world.post(f"{ENTITY}/{path}", key=system, json=body))

    chat = start(world, cast.tomas, cast.priya, title="=Pension", text="Good morning")
    say(world, cast.priya, chat, "=SUM(A1)")
    done(world, "rename", cast.tomas, chat, title="Pensions")
    done(world, "invite", cast.tomas, chat, others=[cast.ingrid, cast.olga])
    done(world, "leave", cast.olga, chat)
    draft = start(world, cast.tomas, cast.george, cast.ingrid)
    done(world, "remove", cast.tomas, draft, others=[cast.ingrid])
    thrown_away = start(world, cast.tomas, cast.george)
    accepted(act(world, "discard", cast.tomas, thrown_away))
    body = {"entity_user_xref_uuid": cast.priya.uuid, "text": "Welcome"}
    accepted(world.post(BUTLER_TEXT, key=cast.master, json=body))
    group = post("groups/create", name="Circle", identifier="c", description="Round")["group_uuid"]
    post("groups/update", group_uuid=group, name="Square", identifier="s")
    post("groups/group-members/create", group_uuid=group, identifiers=["ADV-3", "ADV-1"])
    post("groups/group-members/destroy", group_uuid=group, identifiers=["ADV-1"])
    post("groups/destroy", group_uuid=post("groups/create", name="Gone")["group_uuid"])
    members = "entity-memberships"
    post(f"{members}/update", identifier="CL-2", last_name="Lindt", emails=["g@example.net"])
    post(f"{members}/emails/update", identifier="CL-2", primary_email="geo@example.net")
    post(f"{members}/profile/update", identifier="ADV-3", enum_profile_id=2, data_reviewer_level=1)
    post(f"{members}/suspend", identifier="CL-1")
    post(f"{members}/destroy", identifier="CL-3")
    post("organisation/update", name="Alder, Finch & Co", banner="Closed on Monday")
    return chat


TIMES = ("created_at", "updated_at")


def without(one: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in names}


def rounded(member: dict[str, Any]) -> dict[str, Any]:
    """Give a member with the times of the invitation by the hour: entries come a little later."""
    invitation = dict(member["invitation"] or {})
    for name in ("sent_at", "expires_at"):
        if invitation.get(name):
            invitation[name] = round(times.read(invitation[name]) / 3_600_000_000)
    return {**member, "invitation": invitation}


def test_an_export_tells_what_the_lists_tell(world: World) -> None:
    cast = world.cast
    live(world)
    found = told(world)
    listed = accepted(world.get(f"{ENTITY}/entity-memberships/list", key=cast.system))
    people = [without(one, *TIMES, "erased") for one in found["entity_memberships"]]
    assert [rounded(one) for one in people if one["profile"] != "butler"] == [
        rounded(without(one, *TIMES)) for one in listed["entity_memberships"]
    ]
    groups = accepted(world.get(f"{ENTITY}/groups/list", key=cast.system))["groups"]
    assert [without(one, *TIMES, "erased") for one in found["groups"]] == [
        without(one, *TIMES) for one in groups
    ]
    assert found["entity"]["name"] == "Alder, Finch & Co"
    assert found["entity"]["settings"]["banner"] == "Closed on Monday"
    assert not any(one["erased"] for name in ("groups", "chats") for one in found[name])


def test_an_export_tells_how_far_each_invitation_has_come(make_world: MakeWorld) -> None:
    world = make_world(dev_outbox=True)
    system, firm = world.cast.system, world.cast.firm
    members = f"{ENTITY}/entity-memberships"

    def invite(*names: str) -> None:
        for name in names:
            email = f"{name.replace(' ', '.')}@example.net"
            body = {"enum_profile_id": 4, "first_name": name, "primary_email": email}
            made = accepted(world.post(f"{members}/create", key=system, json=body))
            uuids[name] = made["entity_user_xref_uuid"]

    def call(path: str, name: str) -> None:
        body = {"entity_user_xref_uuid": uuids[name]}
        accepted(world.post(f"{members}/{path}", key=system, json=body))

    def due(name: str, more: str = "") -> None:
        (row,) = world.rows("SELECT id FROM member WHERE uuid = $1", uuids[name])
        world.change(firm, f"UPDATE invitation SET next_at = 0{more} WHERE member_id = $1", *row)  # noqa: S608 - names of ours
        world.run(post.remind(world.app))
        world.run(worker.run_due(world.app))

    def bounced(name: str) -> None:
        (row,) = world.rows("SELECT id FROM member WHERE uuid = $1", uuids[name])
        world.work(firm, lambda work: invitations.bounced(work, *row))

    async def link(work: Work, name: str) -> str:
        return await invitations.fresh_link(work, await people.pick(work, uuids[name], None))

    uuids: dict[str, str] = {}
    invite("sent", "reminded", "back", "anew", "by hand", "over", "no more", "came")
    world.run(worker.run_due(world.app))
    invite("waits", "took back")
    for name in ("back", "anew", "by hand"):
        bounced(name)
    call("invitations/resend", "anew")
    world.work(firm, lambda work: link(work, "by hand"))
    world.work(firm, lambda work: link(work, "waits"))
    for name in ("no more", "took back"):
        call("invitations/revoke", name)
    call("destroy", "took back")
    world.work(
        firm, lambda work: people.activate(work, uuids["came"], "came.in", "a long password")
    )
    due("reminded")
    due("reminded")
    due("over", ", expires_at = 1")
    shown = accepted(world.get(f"{members}/list", key=system))["entity_memberships"]
    invited = {one["entity_user_xref_uuid"]: rounded(one)["invitation"] for one in shown}
    states = {name: invited[uuid]["state"] for name, uuid in uuids.items()}
    assert states == {
        "sent": "sent",
        "reminded": "sent",
        "back": "bounced",
        "anew": "sent",
        "by hand": "bounced",
        "over": "expired",
        "no more": "revoked",
        "came": "accepted",
        "waits": "not_sent",
        "took back": "revoked",
    }
    assert invited[uuids["reminded"]]["reminders_sent"] == 2
    found = {one["entity_user_xref_uuid"]: one for one in told(world)["entity_memberships"]}
    for name, uuid in uuids.items():
        assert rounded(found[uuid])["invitation"] == invited[uuid], name
    rows = csv.DictReader(io.StringIO(export(world, format="csv").content.decode("utf-8-sig")))
    flat = {row["entity_user_xref_uuid"]: row for row in rows if row["record"] == "member"}
    assert flat[uuids["reminded"]]["invitation_state"] == "sent"
    assert flat[uuids["reminded"]]["invitation_reminders_sent"] == "2"
    assert flat[world.cast.miriam.uuid]["invitation_state"] == ""


def test_an_export_tells_the_chats_as_they_are(world: World) -> None:
    cast = world.cast
    live(world)
    found = {one["chat_uuid"]: one for one in told(world)["chats"]}
    seen = {uuid: chat_of(world, cast.tomas, uuid) for uuid in listed(world, cast.tomas)}
    butler = [one for one in found.values() if one["is_butler"]]
    assert found.keys() - {one["chat_uuid"] for one in butler} == seen.keys()
    assert len(seen) == 2
    names = ("title", "state", "is_staff_only", "is_butler", "has_clients", "last_seq")
    more = ("created_by_entity_user_xref_uuid", "last_message_at")
    for chat_uuid, chat in seen.items():
        one = found[chat_uuid]
        assert {name: one[name] for name in (*names, *more)} == {
            name: chat[name] for name in (*names, *more)
        }
        people = ("entity_user_xref_uuid", "identifier", "first_name", "last_name", "state")
        assert sorted([who[name] for name in people] for who in one["participants"]) == sorted(
            [who[name] for name in people] for who in chat["participants"]
        )
    assert [who["entity_user_xref_uuid"] for who in butler[0]["participants"]] == [cast.priya.uuid]
    assert butler[0]["last_seq"] == 0


def test_the_past_is_told_as_it_was_byte_for_byte(world: World) -> None:
    before = export(world)
    as_of = before.json()["as_of"]
    chat = live(world)
    assert told(world)["chats"]
    for form in ("json", "csv", "zip"):
        first = export(world, format=form, as_of=as_of)
        say(world, world.cast.tomas, chat)
        assert export(world, format=form, as_of=as_of).content == first.content
    assert export(world, as_of=as_of).content == before.content
    assert told(world, as_of=1)["entity_memberships"] == []


def test_two_exports_of_one_position_under_load_are_the_same_bytes(world: World) -> None:
    cast = world.cast
    chat = live(world)
    as_of = world.head(cast.firm)
    params = {"format": "zip", "as_of": as_of}

    async def texts(by: Person) -> httpx.Response | None:
        response = None
        for number in range(10):
            response = await world.request(
                "POST",
                "/chat-service/api/chats/messages/send-text",
                key=cast.master,
                on_behalf_of=by,
                json={"chat_uuid": chat, "text": f"text {number}"},
            )
            assert response.status_code == 200, response.text
        return response

    one, _, other, _ = world.together(
        world.request("GET", EXPORT, key=cast.system, params=params),
        texts(cast.tomas),
        world.request("GET", EXPORT, key=cast.system, params=params),
        texts(cast.ingrid),
    )
    assert one is not None
    assert other is not None
    assert one.content == other.content


def test_an_export_is_on_record_with_its_position(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    found = told(world)
    (entry,) = world.entries(cast.firm, head)
    assert entry["type"] == "export.made"
    assert entry["data"] == {"kind": "entities", "as_of": head}
    assert found["as_of"] == head, "the head before the export's own entry"
    opened = note.open_note(found["checkpoint"], [note.VerifierKey.parse(world.app.signer.vkey)])
    assert opened.text.split("\n")[1] == str(head)
    params: dict[str, Any] = {"as_of": head + 10}
    refused(world.get(EXPORT, key=cast.system, params=params), "RN008", 404)
    params = {"format": "pdf"}
    refused(world.get(EXPORT, key=cast.system, params=params), "RB003", 400)


def test_a_frozen_organisation_can_be_exported(world: World) -> None:
    cast = world.cast
    world.work(cast.firm, _freeze)
    found = told(world)
    assert found["entity"]["state"] == "frozen"


async def _freeze(work: Work) -> None:
    from onrecord.domain import organisations  # noqa: PLC0415 - used here alone

    await organisations.set_state(work, "frozen")


def test_what_was_erased_is_null_and_named(world: World) -> None:
    cast = world.cast
    live(world)
    world.change(
        cast.firm,
        "DELETE FROM part WHERE name IN ('profile', 'title', 'details', 'name', 'text')",
    )
    found = told(world)
    priya = next(
        one
        for one in found["entity_memberships"]
        if one["entity_user_xref_uuid"] == cast.priya.uuid
    )
    assert priya["first_name"] is None
    assert priya["emails"] is None
    assert {"first_name", "primary_email", "emails", "identifier"} <= set(priya["erased"])
    assert priya["state"] == "suspended"
    for one in found["chats"]:
        assert one["title"] is None
        assert one["erased"] == ["title"]
    circle = next(one for one in found["groups"] if "identifier" in one["erased"])
    assert circle["name"] is None
    assert circle["identifier"] is None
    with zipfile.ZipFile(io.BytesIO(export(world, format="zip").content)) as parts:
        lines = [json.loads(line) for line in parts.read("messages.jsonl").splitlines()]
    assert {line["text"] for line in lines} == {None}


def test_one_table_holds_every_record_and_nothing_a_spreadsheet_would_run(world: World) -> None:
    live(world)
    response = export(world, format="csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    found = told(world)
    for name, of in (("member", "entity_memberships"), ("group", "groups"), ("chat", "chats")):
        assert len([row for row in rows if row["record"] == name]) == len(found[of])
    draft = start(world, world.cast.tomas, world.cast.priya, title="=1+1")
    text = export(world, format="csv").content.decode("utf-8-sig")
    (chat,) = [row for row in csv.DictReader(io.StringIO(text)) if row["chat_uuid"] == draft]
    assert chat["title"] == "'=1+1"
    assert chat["participants"].split(";")[0] == world.cast.tomas.uuid


# -- the ZIP -------------------------------------------------------------------------------------


def zipped(world: World, tmp_path: Path) -> Path:
    live(world)
    path = tmp_path / "export.zip"
    path.write_bytes(export(world, format="zip").content)
    return path


def test_the_zip_holds_everything_and_verifies(world: World, tmp_path: Path) -> None:
    path = zipped(world, tmp_path)
    report = verify(path, [note.VerifierKey.parse(world.app.signer.vkey)])
    assert report.ok, report.problem
    assert report.trusted
    assert report.kind == "entities"
    assert any(line.startswith(f"{', '.join(tables.NAMES)}: made again") for line in report.checked)
    with zipfile.ZipFile(path) as parts:
        assert all(one.compress_type == zipfile.ZIP_STORED for one in parts.infolist())
        assert len({one.date_time for one in parts.infolist()}) == 1
        assert {one.external_attr >> 16 for one in parts.infolist()} == {0o100644}
        manifest = json.loads(parts.read("manifest.json"))
        found = told(world, as_of=manifest["as_of"])
        for name, of in (
            ("members", "entity_memberships"),
            ("groups", "groups"),
            ("chats", "chats"),
        ):
            assert json.loads(parts.read(f"{name}.json")) == found[of]
            assert parts.read(f"{name}.csv").count(b"\r\n") == len(found[of]) + 1
        lines = [json.loads(line) for line in parts.read("messages.jsonl").splitlines()]
        assert b"onrecord verify" in parts.read("README.txt")
    assert len(lines) == report.counts["messages"] == manifest["counts"]["messages"]
    said = next(line for line in lines if line["text"] == "=SUM(A1)")
    assert said["first_name"] == "Priya"
    assert said["via"]["name"] == world.cast.master.name
    events = [line["event"]["type"] for line in lines if line["kind"] == "event"]
    assert "chat.renamed" in events
    gone = next(
        line["event"] for line in lines if line["event"] and "left" in line["event"]["type"]
    )
    assert gone["first_name"] == "Olga"


def wrong(path: Path, **how: Any) -> str:
    report: Report = verify(path, **how)
    assert not report.ok
    return str(report.problem)


def rewritten(path: Path, change: Any) -> Path:
    """Write the parts of a ZIP anew, changed, under the old seal."""
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name, data in change([(one.filename, old.read(one)) for one in old.infolist()]):
            new.writestr(name, data)
        new.comment = old.comment
    return changed


def test_a_changed_zip_does_not_verify_and_the_report_says_where(
    sqlite_world: World, tmp_path: Path
) -> None:
    path = zipped(sqlite_world, tmp_path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as parts:
        names = parts.namelist()
        places = {one.filename: one.header_offset for one in parts.infolist()}
    step = max(1, len(whole) // 150)
    for place in range(0, len(whole), step):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert wrong(path)
    for end in (1, 100, len(whole) - 30):
        path.write_bytes(whole[:-end])
        assert wrong(path)
    path.write_bytes(whole + b"x")
    assert wrong(path)
    # The time of a part is no content of it: only the seal covers it.
    changed = bytearray(whole)
    changed[places["members.json"] + 10] ^= 1
    path.write_bytes(changed)
    assert "bytes were changed" in wrong(path)
    path.write_bytes(whole)
    assert verify(path).ok
    changes = {
        "members.csv is not what": lambda old: [
            (name, data + b"x" if name == "members.csv" else data) for name, data in old
        ],
        "groups.csv is not in the file exactly once": lambda old: [
            one for one in old if one[0] != "groups.csv"
        ],
        "more.txt is in the file": lambda old: [("more.txt", b"x"), *old],
        "bytes were changed": lambda old: [*reversed(old[:-1]), old[-1]],
        "the last part is not manifest.json": lambda old: old[::-1],
        "manifest.json": lambda old: [*old[:-1], ("manifest.json", b"{}")],
    }
    for problem, change in changes.items():
        assert problem in wrong(rewritten(path, change)), problem
    assert names[-1] == "manifest.json"


def test_a_zip_sealed_by_a_key_one_does_not_trust_fails(
    sqlite_world: World, empty_key: note.VerifierKey, tmp_path: Path
) -> None:
    path = zipped(sqlite_world, tmp_path)
    assert "not among the keys given" in wrong(path, keys=[empty_key])


# -- what is shown beside the record -------------------------------------------------------------


def resealed(world: World, path: Path, name: str, data: bytes) -> Path:
    """Put other bytes into a ZIP, and let the installation's own key seal it again."""
    lying = path.with_name("lying.zip")
    with zipfile.ZipFile(path) as old:
        manifest = json.loads(old.read(bundle.MANIFEST))
        manifest["files"][name] = {"size": len(data), "sha256": sha256(data).hexdigest()}
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as new:
            for one in old.infolist():
                changed = {name: data, bundle.MANIFEST: canonical.encode(manifest)}
                new.writestr(one, changed.get(one.filename) or old.read(one))
    plain = out.getvalue()[: -bundle.LENGTH_BYTES]
    length = 0
    while True:  # the seal says how long all is
        sealer = seal.Sealer()
        sealer.update(plain + length.to_bytes(bundle.LENGTH_BYTES, "little"))
        text = sealer.text(bundle.ENTITIES, manifest["origin"], manifest["as_of"])
        comment = world.app.signer.sign_note(text).encode()
        if len(comment) == length:
            break
        length = len(comment)
    lying.write_bytes(plain + length.to_bytes(bundle.LENGTH_BYTES, "little") + comment)
    return lying


def changed_list(data: bytes, change: Callable[[list[Any]], None]) -> bytes:
    found = json.loads(data)
    change(found)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def test_what_the_entries_do_not_support_is_named_though_it_is_sealed(
    world: World, tmp_path: Path
) -> None:
    path = zipped(world, tmp_path)
    with zipfile.ZipFile(path) as parts:
        whole = {name: parts.read(name) for name in tables.NAMES}
    said = world.cast.priya.uuid
    number = next(
        number
        for number, one in enumerate(json.loads(whole["members.json"]))
        if one["entity_user_xref_uuid"] == said
    )
    lies: dict[str, tuple[str, bytes]] = {
        f"members.json: member {said}: its state is not what the entries say": (
            "members.json",
            changed_list(whole["members.json"], lambda found: found[number].update(state="active")),
        ),
        "messages.jsonl: line 1: its text is not what": (
            "messages.jsonl",
            re.sub(rb'"text":"[^"]*"', b'"text":"other"', whole["messages.jsonl"], count=1),
        ),
    }
    for problem, (name, data) in lies.items():
        report = verify(resealed(world, path, name, data))
        assert problem in str(report.problem)
    # The same hands make a file that holds where nothing was changed.
    assert verify(resealed(world, path, "groups.json", whole_of(path, "groups.json"))).ok


def whole_of(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as parts:
        return parts.read(name)


def compared(path: Path, **changed: bytes) -> bool:
    """Compare the tables of a ZIP with its record, some of them changed."""
    given = {name.replace("_", "."): data for name, data in changed.items()}
    with zipfile.ZipFile(path) as parts:
        manifest = json.loads(parts.read(bundle.MANIFEST))
        record = (given.get("records.jsonl") or parts.read("records.jsonl")).splitlines()
        shown = {name: io.BytesIO(given.get(name, parts.read(name))) for name in tables.NAMES}
    return tables.compare(manifest["entity_uuid"], record, shown)


def test_every_fact_beside_the_record_is_compared(world: World, tmp_path: Path) -> None:
    path = zipped(world, tmp_path)
    assert compared(path)
    for name, left_out in (
        ("members.json", {"updated_at", "invitation"}),
        ("groups.json", {"updated_at"}),
        ("chats.json", set()),
    ):
        data = whole_of(path, name)
        for number, one in enumerate(json.loads(data)):
            for fact in one.keys() - left_out:

                def lie(found: list[Any], number: int = number, fact: str = fact) -> None:
                    found[number][fact] = ["lie"]

                def omit(found: list[Any], number: int = number, fact: str = fact) -> None:
                    del found[number][fact]

                for change in (lie, omit):
                    with pytest.raises(WrongError, match=name):
                        compared(path, **{name.replace(".", "_"): changed_list(data, change)})
        for spoil, problem in (
            (lambda found: found.pop(), "lacks"),
            (lambda found: found.append(found[0]), "do not tell of"),
            (lambda found: found.reverse(), "where the entries tell of"),
            (lambda found: found.append(1), "not a list of objects"),
        ):
            with pytest.raises(WrongError, match=problem):
                compared(path, **{name.replace(".", "_"): changed_list(data, spoil)})
        twice = data.replace(b'"created_at":', b'"created_at":"2000","created_at":', 1)
        with pytest.raises(WrongError, match="a name twice"):
            compared(path, **{name.replace(".", "_"): twice})
        for broken in (b"", b"{}", b"[", data[:-1], data + b" ", data + data, b"[[]]"):
            with pytest.raises(WrongError, match=name):
                compared(path, **{name.replace(".", "_"): broken})


def test_every_fact_of_every_message_is_compared(world: World, tmp_path: Path) -> None:
    path = zipped(world, tmp_path)
    lines = whole_of(path, "messages.jsonl").splitlines()
    for number, line in enumerate(lines):
        for fact in json.loads(line):
            lie = json.dumps({**json.loads(line), fact: "lie"}).encode()
            data = b"\n".join([*lines[:number], lie, *lines[number + 1 :], b""])
            with pytest.raises(WrongError, match=r"messages\.jsonl"):
                compared(path, messages_jsonl=data)
    whole = b"\n".join([*lines, b""])
    for data in (
        whole + lines[0] + b"\n",
        b"\n".join([*lines[:-1], b""]),
        b"\n".join([lines[1], lines[0], *lines[2:], b""]),
        whole[:-1],
        whole.replace(b"\n", b" x\n", 1),
        whole.replace(b'"name":"', b'"name":"Not ', 1),
    ):
        with pytest.raises(WrongError, match=r"messages\.jsonl"):
            compared(path, messages_jsonl=data)
    assert compared(path, messages_jsonl=whole)


def test_what_was_erased_is_null_there_too(world: World, tmp_path: Path) -> None:
    live(world)
    gone = "DELETE FROM part WHERE name IN ('profile', 'title', 'details', 'name', 'text')"
    world.change(world.cast.firm, gone)
    path = tmp_path / "export.zip"
    path.write_bytes(export(world, format="zip").content)
    assert compared(path)


def test_a_long_list_is_read_piece_by_piece(
    sqlite_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(sqlite_world, tmp_path)
    for piece in (1, 7, 100):
        monkeypatch.setattr(tables, "PIECE", piece)
        assert compared(path)


def test_types_that_are_not_known_leave_it_uncompared(sqlite_world: World, tmp_path: Path) -> None:
    path = zipped(sqlite_world, tmp_path)
    record = whole_of(path, "records.jsonl")
    strange = record.replace(b'type\\":\\"member.suspended', b'type\\":\\"member.sent_home', 1)
    assert strange != record
    assert not compared(path, records_jsonl=strange)
    other = record.replace(b'type\\":\\"member.created', b'type\\":\\"weather.changed')
    with pytest.raises(WrongError, match="cannot follow from those before"):
        compared(path, records_jsonl=other)


def test_the_verifier_knows_what_every_type_of_entry_changes() -> None:
    assert all(tables.is_known(name) for name in TYPES)
    about_others = {
        name for name in replay.EFFECTS if name.partition(".")[0] in {"entity", "invitation"}
    }
    assert tables.EFFECTS.keys() == replay.EFFECTS.keys() - about_others - {"setting.changed"}


@pytest.fixture
def empty_key() -> note.VerifierKey:
    """A key that has signed nothing."""
    return note.VerifierKey("stranger", bytes(32))


# -- how it is made ------------------------------------------------------------------------------


def test_every_type_of_entry_is_replayed_or_known_to_tell_nothing_of_the_state() -> None:
    nothing = {
        name
        for name in TYPES
        if name.partition(".")[0]
        in {
            "account",
            "barrier",
            "export",
            "import",
            "record",
            "sdk",
            "sign_in",
            "signing_key",
            "terms",
        }
    }
    nothing |= {
        "key.deactivated",
        "key.destroyed",
        "key.rotated",
        "key.used_denied",
        "member.signed_in",
        "message.sent",
        "message.tried",
    }
    assert TYPES.keys() - nothing == replay.EFFECTS.keys() & TYPES.keys()


def test_an_export_takes_no_more_memory_for_many_members(sqlite_world: World) -> None:
    world = sqlite_world

    async def add(work: Work, first: int) -> None:
        for number in range(first, first + replay.PAGE):
            name = f"{number:012}"
            work.record(
                "member.created",
                ids={"entity_user_xref_uuid": f"00000000-0000-4000-8000-{name}"},
                data={"enum_profile_id": 4, "state": "active"},
                parts={"profile": dict.fromkeys(replay.PROFILE, name * 20)},
            )

    peaks = []
    for pages in ([0], [1, 2, 3]):
        for page in pages:
            first = page * replay.PAGE
            world.work(world.cast.firm, partial(add, first=first))
        peaks.append(world.run(_peak(world)))
    few, many = peaks
    assert many < few * 1.25, peaks


async def _peak(world: World) -> int:
    """The most memory that an export took while its pieces were taken and thrown away."""
    from onrecord import app as composition  # noqa: PLC0415 - used here alone
    from onrecord.domain import entities_export  # noqa: PLC0415 - used here alone

    app = world.app
    begun = await composition.acting(
        app,
        world.cast.firm,
        lambda work: entities_export.begin(work, app.signer, None, "zip"),
    )
    tracemalloc.start()
    try:
        async for _ in composition.entities_pieces(app, begun):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
