"""`kill -9` while files are uploaded and sent: nothing acknowledged is lost, nothing is left."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from onrecord.domain import attachments
from onrecord.jobs import attachments as chores
from tests.conftest import MakeWorld
from tests.faults.processes import LONG, ServerProcess
from tests.sending import SEND_FILES, UPLOAD, fetch, stored_names
from tests.talk import messages_of, start
from tests.world import World

ROUNDS = 10 if LONG else 2
CLIENTS = 3


@dataclass(slots=True)
class Notes:
    """What the clients were told."""

    uploaded: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    """Uuids of files, and the numbers of their messages."""
    strange: list[str] = field(default_factory=list)


def write(world: World, server: ServerProcess, chat_uuid: str, notes: Notes, number: int) -> None:
    """Upload files and send most of them, until the server is gone."""
    cast = world.cast
    headers = {**cast.master.headers, "on-behalf-of": cast.tomas.uuid}
    here = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=here, headers=headers, trust_env=False) as client:
        for turn in range(10_000):
            content = f"file {number} {turn}\n".encode() * 5000
            try:
                response = client.post(
                    UPLOAD,
                    data={"chat_uuid": chat_uuid},
                    files={"file": ("letter.txt", content, "text/plain")},
                )
                uuid = _taken(response, notes).get("attachment_uuid")
                if uuid is None:
                    return
                notes.uploaded[uuid] = content
                if turn % 3:
                    body = {"chat_uuid": chat_uuid, "attachment_uuid": uuid}
                    seq = _taken(client.post(SEND_FILES, json=body), notes).get("seq")
                    if seq is None:
                        return
                    notes.sent[uuid] = seq
            except httpx.HTTPError:  # the server is gone
                return


def _taken(response: httpx.Response, notes: Notes) -> dict[str, Any]:
    if response.status_code != 200:
        notes.strange.append(response.text)
        return {}
    return dict(response.json())


@pytest.mark.long
@pytest.mark.timeout(600 if LONG else 120)
def test_files_survive_a_kill_or_leave_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    notes = Notes()
    for number in range(ROUNDS):
        world.stop()
        with ServerProcess(world.settings) as server:
            clients = [
                threading.Thread(target=write, args=(world, server, chat_uuid, notes, one))
                for one in range(CLIENTS)
            ]
            before = len(notes.sent)
            for client in clients:
                client.start()
            while len(notes.sent) < before + 2 and any(one.is_alive() for one in clients):
                time.sleep(0.01)
            time.sleep(0.05 * number)
            server.kill()
            for client in clients:
                client.join()
        world.start()
        check(world, chat_uuid, notes)
    assert notes.strange == []


def check(world: World, chat_uuid: str, notes: Notes) -> None:
    """Hold what is there against what was acknowledged, then sweep and look for leftovers."""
    cast = world.cast
    rows = dict(world.rows("SELECT uuid, waits_until FROM attachment"))
    assert notes.uploaded.keys() <= rows.keys()
    for uuid, content in notes.uploaded.items():
        assert fetch(world, cast.tomas, uuid).content == content
    said = {one["seq"]: one for one in messages_of(world, cast.priya, chat_uuid)}
    for uuid, seq in notes.sent.items():
        assert [one["attachment_uuid"] for one in said[seq]["attachments"]] == [uuid]
    in_messages = {
        one["attachment_uuid"] for message in said.values() for one in message["attachments"]
    }
    assert in_messages == {uuid for uuid, waits in rows.items() if waits is None}
    used = "SELECT a.uuid FROM attachment_use u JOIN attachment a ON a.id = u.attachment_id"
    assert {row[0] for row in world.rows(used)} == in_messages
    world.change(cast.firm, "UPDATE loose_file SET since = since - $1", attachments.LOOSE_FOR + 1)
    world.run(chores.sweep(world.app))
    assert stored_names(world) == {f"{cast.firm}/{uuid}" for uuid in rows}
    leftovers = world.settings.data_dir / "files"
    assert not list(leftovers.rglob("*.part"))
