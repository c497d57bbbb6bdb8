"""`kill -9` while people sign in, join and import: what they were told holds afterwards."""

import random

import pytest

from onrecord.jobs import worker
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.processes import LONG, ServerProcess
from tests.faults.visitors import ROWS, Shared, Visitors
from tests.world import World

ROUNDS = 25 if LONG else 1


@pytest.mark.long
@pytest.mark.timeout(1800 if LONG else 180)
def test_what_persons_were_told_survives_kill_9(make_world: MakeWorld) -> None:
    world = make_world(dev_outbox=True)
    world.stop()
    server = ServerProcess(world.settings)
    visitors = Visitors(Shared(server, world.cast), 0)
    chance = random.Random(world.settings.database_url)  # noqa: S311 - moments to be killed at
    for _ in range(ROUNDS):
        server.start()
        visitors.visit(chance.uniform(0, 1))
        end_leases(world)
        with server:
            visitors.check()
            assert server.stop() == 0
        check_record(world, visitors)


def end_leases(world: World) -> None:
    """Let the minute go by after which another process takes a job over."""
    world.start()
    world.work(None, lambda work: work.db.run("UPDATE job SET run_at = 0 WHERE state = 'running'"))
    world.stop()


def check_record(world: World, visitors: Visitors) -> None:
    """The record is whole, tells the tables, and what was answered is in it once."""
    world.start()
    world.work(None, lambda work: work.db.run("UPDATE job SET run_at = 0 WHERE state = 'queued'"))
    world.run(worker.run_due(world.app))  # the last mails
    told = records.check_everything(world)[world.cast.firm]
    records.check_links(world, told)
    for joiner in visitors.joiners:
        assert {uuid for uuid, _, _ in joiner.joined} <= set(told.joined)
        assert {told.invitations[uuid] for uuid in joiner.invited} <= {"sent", "accepted"}
    for importer in visitors.importers:
        for job_uuid, names in importer.jobs:
            assert told.imports[job_uuid] == {"created": ROWS, "existing": 0, "refused": 0}
            made = [one["identifier"] for one in told.members.values()]
            assert all(made.count(name) == 1 for name in names)
    assert world.rows("SELECT kind, result FROM job WHERE state <> 'done'") == []
    world.stop()
