"""`kill -9` in the middle of an import: another process goes on, and nobody comes twice."""

import time

from onrecord.domain import imports
from onrecord.jobs import worker
from tests.conftest import MakeWorld
from tests.faults.processes import Client, ServerProcess
from tests.world import ENTITY

ROWS = 20 * imports.SLICE


def test_an_import_that_was_killed_goes_on_and_makes_everybody_once(make_world: MakeWorld) -> None:
    world = make_world()
    cast = world.cast
    text = "First Name,Email,Identifier\n"
    text += "".join(f"Nell,nell{number}@example.com,N-{number}\n" for number in range(ROWS))
    response = world.post(
        f"{ENTITY}/imports/create",
        key=cast.system,
        data={"kind": "clients", "send_invitations": "false"},
        files={"file": ("clients.csv", text, "text/csv")},
    )
    job_uuid = response.json()["job_uuid"]
    world.stop()
    path = f"{ENTITY}/jobs?job_uuid={job_uuid}"
    with ServerProcess(world.settings) as server, Client(server) as client:
        deadline = time.monotonic() + 20
        while not (done := client.request("GET", path, cast.system).body["job"]["done"]):
            assert time.monotonic() < deadline
        server.kill()
    assert done < ROWS, "it was killed before the end"
    world.start()
    # Else another process waits until the lease of the dead one is over.
    world.change(cast.firm, "UPDATE job SET run_at = 0 WHERE uuid = $1", job_uuid)
    assert world.run(worker.run_due(world.app)) >= 1
    (job,) = world.rows("SELECT state, result FROM job WHERE uuid = $1", job_uuid)
    assert job == ("done", f'{{"created": {ROWS}, "existing": 0, "refused": 0}}')
    made = [entry for entry in world.entries(cast.firm) if entry["type"] == "member.created"]
    assert len(made) == len(cast.people) + ROWS + 2, "the Butler and Petra are there too"
    identifiers = world.rows("SELECT identifier FROM member WHERE identifier LIKE 'N-%'")
    assert len(identifiers) == len(set(identifiers)) == ROWS
