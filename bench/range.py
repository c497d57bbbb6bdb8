"""How many windows of 50 messages a second the server gives out."""

import tempfile
from pathlib import Path

import common


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL server")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument("--seconds", type=float, default=5, help="of one round (5)")
    given = parser.parse_args()
    engine = "PostgreSQL" if given.postgres else "SQLite"
    with common.installation(given.postgres) as settings:
        firm = common.furnish(settings, texts=100)
        with tempfile.TemporaryDirectory() as folder, common.serving(settings) as server:
            targets = Path(folder) / "ranges"
            lines = [
                common.request_line(
                    "GET",
                    f"/chat-service/api/chats/messages/range?chat_uuid={chat}&limit=50",
                    firm.headers,
                )
                for chat in firm.chat_uuids
            ]
            targets.write_text("".join(lines), "utf-8")
            common.say(f"messages/range of 50 on {engine}, 200 chats of 100 messages, c16")
            common.wrk(server.address, targets, 16, 1)
            results = []
            for number in range(1, given.rounds + 1):
                results.append(common.wrk(server.address, targets, 16, given.seconds))
                common.say(f"  round {number}  {results[-1]}")
                if results[-1].errors:
                    raise SystemExit(f"requests failed: {server.last_words()}")
    median = common.median_of(results)
    common.say(f"  median   {median}")
    common.keep(given, f"messages/range (50), {engine}", rate=median.rate, p99=median.p99)


if __name__ == "__main__":
    main()
