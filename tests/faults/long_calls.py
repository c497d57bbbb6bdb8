"""A Butler call to thousands, in slices, and everything that must be true of it afterwards."""

import threading
import time
from dataclasses import dataclass, field

from onrecord.domain import members
from onrecord.model.access import STAFF
from onrecord.store.work import Work
from tests.cast import Cast
from tests.faults.processes import EVENTS, GONE, LONG, SAY, Client, Reply, ServerProcess
from tests.faults.told import Told
from tests.world import World

RECIPIENTS = 3000 if LONG else 1500
TEXT = "Dear <First Name>, we are moving"


def hire(world: World) -> list[str]:
    """Make the recipients at one go, and give their uuids."""

    async def act(work: Work) -> list[str]:
        return [
            (
                await members.add(
                    work,
                    profile=STAFF,
                    first_name=f"N{number}",
                    last_name="",
                    state="active",
                )
            ).uuid
            for number in range(RECIPIENTS)
        ]

    return world.work(world.cast.firm, act)


@dataclass(slots=True)
class LongCall:
    """One Butler call, sent again under its idempotency key until it is answered."""

    cast: Cast
    server: ServerProcess
    uuids: list[str]
    replies: list[Reply | None] = field(default_factory=list)
    """What each try was answered; None: the server was gone."""

    def send(self) -> None:
        """Try once."""
        with Client(self.server, timeout=60) as client:
            json = {"text": TEXT, "entity_user_xref_uuids": self.uuids}
            try:
                reply = client.request(
                    "POST", SAY, self.cast.master, json_body=json, idempotency="moving"
                )
            except GONE:
                self.replies.append(None)
            else:
                self.replies.append(reply)

    def begin(self) -> threading.Thread:
        """Try once, in a thread of its own."""
        thread = threading.Thread(target=self.send)
        thread.start()
        return thread

    def head(self) -> int:
        """Give where the record ends."""
        with Client(self.server) as client:
            return int(client.request("GET", f"{EVENTS}?limit=1", self.cast.system).body["head"])

    def wait_for(self, entries: int) -> None:
        """Wait until the record has grown by so much, or this try is over."""
        tries, start = len(self.replies), self.head()
        deadline = time.monotonic() + 40
        while len(self.replies) == tries and self.head() < start + entries:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def finish(self) -> None:
        """Try again, which must succeed, and once more, which must be the same answer."""
        self.send()
        self.send()
        first, second = self.replies[-2:]
        assert first is not None
        assert second is not None
        assert first.status == second.status == 200, first
        assert first.body == second.body
        assert (first.body["sent"], first.body["failed"]) == (RECIPIENTS, 0)
        assert second.headers["idempotent-replay"] == "true"

    def check(self, told: Told) -> None:
        """Every recipient has one Butler chat with one message, and it stands where it was said."""
        reply = self.replies[-1]
        assert reply is not None
        results = reply.body["results"]
        assert [one["entity_user_xref_uuid"] for one in results] == self.uuids
        places = {chat.butler_of: uuid for uuid, chat in told.chats.items() if chat.butler_of}
        assert set(places) == set(self.uuids)
        for number, (member, one) in enumerate(zip(self.uuids, results, strict=True)):
            assert (one["chat_uuid"], one["seq"]) == (places[member], 0)
            (message,) = told.messages[places[member]]
            assert message[-1] == f"Dear N{number}, we are moving"
