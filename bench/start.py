"""How long a start takes, from the process to the first 200 of /readyz, and memory when idle.

As after an installation: the code is compiled, whatever PYTHONDONTWRITEBYTECODE says here. One
start beforehand, which is not counted, does that.
"""

import os
import statistics
import tempfile
import time

import common


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--runs", type=int, default=5, help="starts (5)")
    parser.add_argument("--idle", type=float, default=5, help="seconds of idling (5)")
    given = parser.parse_args()
    engine = "PostgreSQL" if given.postgres else "SQLite"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with (
        tempfile.TemporaryDirectory() as compiled,
        common.installation(given.postgres) as settings,
    ):
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        common.furnish(settings, texts=10)
        with common.serving(settings):
            pass
        common.say(f"start on {engine}, a small database (200 chats, 2,000 messages)")
        seconds, memories = [], []
        for number in range(1, given.runs + 1):
            with common.serving(settings) as server:
                time.sleep(given.idle)
                seconds.append(server.seconds)
                memories.append(server.memory() / 2**20)
            common.say(f"  run {number}  {seconds[-1]:.2f} s  {memories[-1]:.0f} MB idle")
    second, memory = statistics.median(seconds), statistics.median(memories)
    common.say(f"  median  {second:.2f} s  {memory:.0f} MB idle")
    common.keep(given, f"start, {engine}", seconds=second, idle_mb=memory)


if __name__ == "__main__":
    main()
