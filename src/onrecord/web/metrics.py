"""What the server counts, and the text that Prometheus reads it in.

Counting is a few additions to plain numbers, found once for each request: everything happens on
one thread, so the locks of prometheus-client's own counters would buy nothing and cost more than
the counting (docs/decisions/0017). The package is used where it is good, for the text and for
what the process itself uses. No label comes from what a caller sends.
"""

import platform
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from onrecord import __version__
from onrecord.model.errors import CATALOGUE
from onrecord.store.work import Store
from onrecord.web.endpoint import Endpoint, has_variable, template_of

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
"""Upper ends of the histogram's buckets, in seconds; a long poll waits up to 30."""
NOWHERE: Final = "(none)"
"""The path of requests that no row answers; theirs is not told, since anybody can make one up."""
KEY_KINDS: Final = ("system", "master_user", "user", "session", "sdk")


class Calls:
    """The requests of one row: how many are under way, how they ended, how long they took."""

    __slots__ = ("buckets", "by_class", "method", "path", "seconds", "under_way")

    def __init__(self, method: str, path: str) -> None:
        """Start with nothing counted."""
        self.method = method
        self.path = path
        self.under_way = 0
        self.by_class = [0] * 6
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def ended(self, status: int, seconds: float) -> None:
        """Count a request that was answered, or cut off; `seconds` since it began."""
        self.under_way -= 1
        self.by_class[status // 100] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class Metrics:
    """The counts of one process since it started."""

    def __init__(self, rows: Sequence[Endpoint]) -> None:
        """Count for these rows; HEAD counts as the GET it is."""
        self._elsewhere = Calls("any", NOWHERE)
        self._calls: dict[tuple[str, str], Calls] = {
            (row.method, row.path): Calls(row.method, row.path) for row in rows
        }
        gets = [calls for calls in self._calls.values() if calls.method == "GET"]
        heads = {("HEAD", calls.path): calls for calls in gets}
        self._of: dict[tuple[str, str], Calls] = {**heads, **self._calls}
        self.refusals = dict.fromkeys(CATALOGUE, 0)
        self.unknown_keys = dict.fromkeys(KEY_KINDS, 0)

    def begun(self, method: str, path: str) -> Calls:
        """Count a request that begins; whoever serves it says when it has ended."""
        calls = self._of.get((method, path)) or self._elsewhere
        if calls is self._elsewhere and has_variable(path):
            calls = self._of.get((method, template_of(path)), calls)
        calls.under_way += 1
        return calls

    def text(self, store: Store, streams: int) -> tuple[bytes, str]:
        """Give everything in Prometheus's text format, and the name of that format."""
        # Loaded with the first look at the figures: most installations have nobody looking.
        from prometheus_client import (  # noqa: PLC0415 - as the line above says
            CONTENT_TYPE_LATEST,
            CollectorRegistry,
            ProcessCollector,
            generate_latest,
        )
        from prometheus_client.registry import Collector  # noqa: PLC0415 - as the line above says

        counted = self

        class Ours(Collector):
            def collect(self) -> "Iterator[Metric]":
                yield from counted._requests()
                yield from counted._refusals()
                yield from _of_store(store, streams)

        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        registry.register(Ours())
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def _requests(self) -> "Iterator[Metric]":
        from prometheus_client.metrics_core import (  # noqa: PLC0415 - late, as in `text`
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        labels = ("method", "path")
        total = CounterMetricFamily(
            "onrecord_http_requests",
            "Requests answered, by endpoint and class of status.",
            labels=(*labels, "status"),
        )
        took = HistogramMetricFamily(
            "onrecord_http_request_duration_seconds",
            "From the head of a request to the end of its answer; long polls wait in it.",
            labels=labels,
        )
        under_way = GaugeMetricFamily(
            "onrecord_http_requests_in_progress",
            "Requests under way, long polls and streams among them.",
            labels=labels,
        )
        for calls in (*self._calls.values(), self._elsewhere):
            place = (calls.method, calls.path)
            under_way.add_metric(place, calls.under_way)
            for number, count in enumerate(calls.by_class):
                if count:
                    total.add_metric((*place, f"{number}xx"), count)
            if any(calls.buckets):
                took.add_metric(place, _cumulated(calls.buckets), calls.seconds)
        yield from (total, took, under_way)

    def _refusals(self) -> "Iterator[Metric]":
        from prometheus_client.metrics_core import CounterMetricFamily  # noqa: PLC0415 - late, as in `text`

        refused = CounterMetricFamily(
            "onrecord_refusals", "Refusals, by code of the catalogue.", labels=("code",)
        )
        for code, count in self.refusals.items():
            refused.add_metric((code,), count)
        unknown = CounterMetricFamily(
            "onrecord_unknown_keys",
            "Requests with a key id, session or token that none is; those are on no record.",
            labels=("kind",),
        )
        for kind, count in self.unknown_keys.items():
            unknown.add_metric((kind,), count)
        yield from (refused, unknown)


def _cumulated(buckets: Sequence[int]) -> list[tuple[str, float]]:
    found, total = [], 0
    for end, count in zip((*BUCKETS, float("inf")), buckets, strict=True):
        total += count
        found.append(("+Inf" if end == float("inf") else repr(end), float(total)))
    return found


def _of_store(store: Store, streams: int) -> "Iterator[Metric]":
    from prometheus_client.metrics_core import (  # noqa: PLC0415 - late, as in `Metrics.text`
        CounterMetricFamily,
        GaugeMetricFamily,
        InfoMetricFamily,
    )

    figures = store.figures
    yield CounterMetricFamily(
        "onrecord_record_entries", "Entries written to records.", value=figures.entries
    )
    yield CounterMetricFamily(
        "onrecord_works", "Works that were committed, refused ones among them.", value=figures.works
    )
    yield CounterMetricFamily(
        "onrecord_commits",
        "Transactions committed; works divided by commits is the size of a group.",
        value=figures.commits,
    )
    yield GaugeMetricFamily(
        "onrecord_works_waiting", "Works that wait for their turn.", value=store.waiting()
    )
    yield GaugeMetricFamily(
        "onrecord_streams_open", "Lists that are being streamed.", value=streams
    )
    about = InfoMetricFamily("onrecord_build", "What runs here.")
    about.add_metric(
        (),
        {
            "version": __version__,
            "engine": store.dialect,
            "python": platform.python_version(),
        },
    )
    yield about
