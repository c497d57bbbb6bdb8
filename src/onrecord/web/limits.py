"""Rate limits, counted in memory: requests by key, failed authentications by address."""

import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from math import ceil
from typing import Final

from onrecord.model.errors import Refusal

FAILURES: Final = (100, 60)
"""Failed authentications an address may have in a minute."""
ASKED: Final = (20, 60)
"""Links for forgotten passwords an address may ask for in a minute."""
CODES: Final = (10, 600)
"""Codes sent for one account or invitation in ten minutes without one coming back right."""
STREAMS: Final = 4
"""Streams a key may have under way at once."""
REMEMBERED: Final = 100_000
"""Keys and addresses counted at the most; the ones seen longest ago are forgotten."""


class Windows:
    """Counters in fixed windows: `limit` events in `seconds`, then none until the window ends."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._windows: OrderedDict[Hashable, list[float]] = OrderedDict()

    def count(self, who: Hashable, limit: int, seconds: int) -> tuple[int, float]:
        """Count one event; give how many are left (below 0: too many) and the seconds to go."""
        now = time.monotonic()
        window = self._windows.get(who)
        if window is None or now >= window[0]:
            window = self._windows[who] = [now + seconds, 0]
            self._windows.move_to_end(who)
            if len(self._windows) > REMEMBERED:
                self._windows.popitem(last=False)
        window[1] += 1
        return limit - int(window[1]), window[0] - now

    def forget(self, who: Hashable) -> None:
        """Count from nothing again."""
        self._windows.pop(who, None)


class Limits:
    """The limits of one process."""

    def __init__(self, default: tuple[int, int] | None) -> None:
        """`default` is what a key may do unless it has a limit of its own; None: no limit."""
        self._default = default
        self._keys = Windows()
        self._addresses = Windows()
        self._codes = Windows()
        self._streams: dict[Hashable, int] = {}
        self._alone: set[Hashable] = set()

    def count_request(
        self, who: Hashable, own: tuple[int, int] | None
    ) -> tuple[tuple[str, str], ...]:
        """Count a request of a key or session; give the headers, or RU029 when it is too many."""
        limit = own or self._default
        if limit is None:
            return ()
        requests, seconds = limit
        left, to_go = self._keys.count(who, requests, seconds)
        wait = max(1, ceil(to_go))
        headers = _headers("key", limit, left, wait)
        if left < 0:
            detail = f"At most {requests} requests in {seconds} s"
            raise Refusal("RU029", detail, retry_after=wait, headers=headers)
        return headers

    @property
    def streams(self) -> int:
        """How many streams are under way, of all keys."""
        return sum(self._streams.values())

    def check_streams(self, who: Hashable) -> None:
        """Refuse one more stream of a key (RU029) when it has four under way."""
        if self._streams.get(who, 0) >= STREAMS:
            raise Refusal("RU029", f"At most {STREAMS} streams at once", retry_after=1)

    @contextmanager
    def streaming(self, who: Hashable) -> Iterator[None]:
        """Count a stream of a key while it runs."""
        self._streams[who] = self._streams.get(who, 0) + 1
        try:
            yield
        finally:
            self._streams[who] -= 1
            if not self._streams[who]:
                del self._streams[who]

    @contextmanager
    def alone(self, what: Hashable | None) -> Iterator[None]:
        """Refuse (RB023) what is under way in this process already; None may be so often."""
        if what is None:
            yield
            return
        if what in self._alone:
            raise Refusal("RB023")
        self._alone.add(what)
        try:
            yield
        finally:
            self._alone.discard(what)

    def count_asked(self, address: str | None) -> None:
        """Count a link for a forgotten password that was asked for; RU029 when it is too many."""
        self._count_address("asked", address, ASKED, "Too many requests")

    def count_code(self, who: Hashable) -> None:
        """Count a code that is about to be sent; RU029 when it is too many.

        `who` it is for: an account or an invitation. Each code may be a text that costs, and five
        guesses at what it opens.
        """
        left, to_go = self._codes.count(who, *CODES)
        if left < 0:
            detail = f"At most {CODES[0]} codes in {CODES[1]} s"
            raise Refusal("RU029", detail, retry_after=max(1, ceil(to_go)))

    def code_was_right(self, who: Hashable) -> None:
        """Forget the codes sent before, as one came back right."""
        self._codes.forget(who)

    def failed(self, address: str | None) -> None:
        """Count a failed authentication; RU029 instead of the failure when there were too many.

        A right key is never asked here, so it is never refused for its neighbours' failures.
        """
        self._count_address("failed", address, FAILURES, "Too many failed authentications")

    def _count_address(
        self, what: str, address: str | None, limit: tuple[int, int], detail: str
    ) -> None:
        left, to_go = self._addresses.count((what, _neighbourhood(address)), *limit)
        if left < 0:
            wait = max(1, ceil(to_go))
            headers = _headers("address", limit, left, wait)
            raise Refusal("RU029", detail, retry_after=wait, headers=headers)


def _headers(
    what: str, limit: tuple[int, int], left: int, wait: int
) -> tuple[tuple[str, str], ...]:
    """Give the headers that tell of a limit (draft-ietf-httpapi-ratelimit-headers)."""
    requests, seconds = limit
    return (
        ("RateLimit-Policy", f'"{what}";q={requests};w={seconds}'),
        ("RateLimit", f'"{what}";r={max(left, 0)};t={wait}'),
    )


def _neighbourhood(address: str | None) -> str:
    """Give the address; an IPv6 /64 counts as one."""
    if address is None or ":" not in address:
        return address or ""
    return str(ip_network(f"{address}/64", strict=False).network_address)
