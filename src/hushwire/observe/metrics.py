"""The metrics: plain numbers that the hot path adds to, rendered when somebody asks.

Labels are codes, statuses and fixed words: never a number, URL or tag.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector


class Histogram:
    """Counts of observations in fixed buckets. `observe` costs a bisection and two additions."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus buckets: (upper bound, observations at or below it)."""
        total, out = 0, list[tuple[str, float]]()
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            out.append(("+Inf" if bound == float("inf") else repr(bound), total))
        return out


class Metrics:
    """Plain numbers that the hot path adds to; `render` is called at a scrape only."""

    def __init__(self) -> None:
        self.accepted = 0
        self.received = 0
        self.refused: defaultdict[int, int] = defaultdict(int)  # by Twilio's code
        self.status: defaultdict[str, int] = defaultdict(int)  # by the status reached
        self.callbacks: defaultdict[str, int] = defaultdict(int)  # by a fixed word
        self.receipts: defaultdict[str, int] = defaultdict(int)  # by a fixed word
        self.shredded = 0
        self.withheld = 0
        self.suppressed = 0
        self.commit_rows = Histogram((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0))
        self.commit_s = Histogram((0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0))
        self.callback_late_s = Histogram((0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0))
        self._gauges: dict[str, tuple[str, Callable[[], float | None]]] = {}
        self._queues: dict[str, Callable[[], float]] = {}
        self._registry = CollectorRegistry()
        self._registry.register(_Exposition(self))

    def gauge(self, name: str, what: str, read: Callable[[], float | None]) -> None:
        """Show `hushwire_{name}`, read at each scrape; None leaves it out."""
        self._gauges[name] = (what, read)

    def queue(self, name: str, size: Callable[[], float]) -> None:
        """Show `hushwire_queue_size{queue=name}`, read at each scrape."""
        self._queues[name] = size

    def render(self) -> bytes:
        """The text of `GET /metrics` (text/plain; version=0.0.4)."""
        return generate_latest(self._registry)

    def families(self) -> Iterable[Metric]:
        """Everything as Prometheus families."""
        yield _total("messages_accepted", "Messages answered with 201", self.accepted)
        yield _totals("messages_refused", "Refused by code", "code", self.refused)
        yield _total("messages_received", "Inbound messages", self.received)
        yield _totals("status", "Status changes by the status reached", "status", self.status)
        yield _totals("callbacks", "Status callbacks by result", "result", self.callbacks)
        yield _totals("receipts", "Receipts by what they changed", "result", self.receipts)
        yield _total("keys_shredded", "Keys destroyed in the vault", self.shredded)
        yield _total("journal_withheld", "Fields kept out of the journal", self.withheld)
        yield _total("journal_suppressed", "Lines over the limit a second", self.suppressed)
        yield _histogram("commit_batch_rows", "Rows written by one commit", self.commit_rows)
        yield _histogram("commit_seconds", "Duration of one commit", self.commit_s)
        yield _histogram(
            "callback_lateness_seconds", "First attempt after the status", self.callback_late_s
        )
        queues = GaugeMetricFamily("hushwire_queue_size", "What waits in memory", labels=["queue"])
        for name, size in self._queues.items():
            queues.add_metric([name], size())
        yield queues
        for name, (what, read) in self._gauges.items():
            value = read()
            if value is not None:
                yield GaugeMetricFamily(f"hushwire_{name}", what, value=value)


class _Exposition(Collector):
    """Hands the metrics to `prometheus_client` at a scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.families()

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not read the gauges


def _total(name: str, what: str, value: int) -> Metric:
    return CounterMetricFamily(f"hushwire_{name}", what, value=value)


def _totals(name: str, what: str, label: str, values: dict[int, int] | dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"hushwire_{name}", what, labels=[label])
    for key, value in tuple(values.items()):
        family.add_metric([str(key)], value)
    return family


def _histogram(name: str, what: str, values: Histogram) -> Metric:
    buckets = values.cumulative()
    return HistogramMetricFamily(f"hushwire_{name}", what, buckets=buckets, sum_value=values.sum)
