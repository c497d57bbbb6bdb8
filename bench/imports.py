"""How long files of clients, groups and members of groups take to be imported, over HTTP.

Measured from sending the file until its job is done.

Everything is switched on: each client is created by the rules of a single call, with its entries,
its invitation and the mail that is put in line for it. Meanwhile somebody else reads the list of
groups again and again, to see what an import costs others.
"""

import json
import statistics
import threading
import time
import uuid
from typing import Any, Final

import common
import seeding

IMPORTS: Final = "/entity-service/sys-api/imports/create"
JOBS: Final = "/entity-service/sys-api/jobs"
GROUPS: Final = "/entity-service/sys-api/groups/list?limit=1"
LOOK_EVERY: Final = 0.1
RUNS: Final[dict[str, dict[str, str]]] = {
    "dry run of {} clients": {"dry_run": "true"},
    "silent import of {} clients, inviting nobody": {"send_invitations": "false"},
    "dry run of {} groups": {"kind": "groups", "dry_run": "true"},
    "import of {} groups": {"kind": "groups"},
    "dry run of {} members of groups": {"kind": "group_members", "dry_run": "true"},
    "import of {} members of groups": {"kind": "group_members"},
    "import of {} clients": {},
}
"""What is measured, and how it is asked for; clients are other people in each file.

The one whose mails go out afterwards comes last."""
ADVISER: Final = "person.3.0@example.com"
"""Who is in every group: the one member of the staff side that `seeding.gather` adds."""
A_GROUP: Final = 50
"""Clients put into a group, one after the other in the file."""


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--rows", type=int, default=10_000, help="in each file (10,000)")
    given = parser.parse_args()
    engine = "PostgreSQL" if given.postgres else "SQLite"
    common.say(f"imports on {engine}")
    with common.installation(given.postgres) as settings:
        crowd = seeding.gather(settings, staff=1, clients=10)
        with common.serving(settings) as server:
            for name in RUNS:
                _measure(given, server, crowd.system.headers, name)


def _measure(given: Any, server: common.Running, headers: dict[str, str], name: str) -> None:
    bystander = _Bystander(server.address, headers)
    bystander.start()
    cpu, began = server.cpu(), time.perf_counter()
    job_uuid = _send(server.address, headers, RUNS[name], _file(name, given.rows))
    taken_in = time.perf_counter() - began
    job, progress = _wait(server.address, headers, job_uuid)
    seconds, cpu = time.perf_counter() - began, server.cpu() - cpu
    waits = bystander.end()
    if job["state"] != "done" or job["result"]["created"] != given.rows:
        raise SystemExit(f"not all were created: {job}")
    what = name.format(f"{given.rows:,}")
    common.say(
        f"  {what}: {seconds:.1f} s, of which {taken_in:.1f} s taking the file in;"
        f" {cpu:.1f} s of the server's processor time; seen {progress} times on its way."
        f" Somebody else waited {statistics.median(waits) * 1e3:.0f} ms in the middle,"
        f" {max(waits) * 1e3:.0f} ms at the most"
    )
    common.keep(given, what, seconds=seconds, cpu=cpu)


def _file(name: str, count: int) -> bytes:
    kind = RUNS[name].get("kind", "clients")
    stem = name.split(maxsplit=1)[0]
    if kind == "groups":
        lines = ["Group Name,Group Identifier,Staff Email(s)"]
        lines += [f"Family {number},family-{number},{ADVISER}" for number in range(count)]
    elif kind == "group_members":
        lines = ["Group Identifier,Identifier"]
        lines += [f"family-{number // A_GROUP},silent-{number}" for number in range(count)]
    else:
        lines = ["First Name,Last Name,Email,Phone,Identifier"]
        lines += [
            f"Nell,Ames {number},{stem}{number}@example.com,+4420{number:08},{stem}-{number}"
            for number in range(count)
        ]
    return "\r\n".join(lines).encode()


def _send(address: str, headers: dict[str, str], options: dict[str, str], file: bytes) -> str:
    boundary = uuid.uuid4().hex
    texts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"kind": "clients", **options}.items()
    )
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="c.csv"\r\n\r\n'
    body = f"{texts}{head}".encode() + file + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = common.fetched(address, IMPORTS, {**headers, **kind}, method="POST", body=body)
    return str(json.loads(answer)["job_uuid"])


def _wait(address: str, headers: dict[str, str], job_uuid: str) -> tuple[dict[str, Any], int]:
    """Look until the job has ended; give it, and how many steps of its progress were seen."""
    seen: set[int] = set()
    while True:
        answer = common.fetched(address, f"{JOBS}?job_uuid={job_uuid}", headers)
        job: dict[str, Any] = json.loads(answer)["job"]
        if job["finished_at"] is not None:
            return job, len(seen)
        seen.add(job["done"])
        time.sleep(LOOK_EVERY)


class _Bystander(threading.Thread):
    """Makes one small call after another, and notes how long each took."""

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._call = address, GROUPS, headers
        self._ended = threading.Event()
        self._waits: list[float] = []

    def run(self) -> None:
        while not self._ended.wait(0.01):
            began = time.perf_counter()
            common.fetched(*self._call)
            self._waits.append(time.perf_counter() - began)

    def end(self) -> list[float]:
        """Stop, and give how long each call took, in seconds."""
        self._ended.set()
        self.join()
        return self._waits


if __name__ == "__main__":
    main()
