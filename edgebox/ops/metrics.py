"""Numbers for Prometheus: what scans come to and how long they take, and gauges that are looked at when asked for.

No name, code or key is a label, nor is a scanner's name, which may be a person's: anybody on the network may read them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.35, 0.6, 1.0, 2.0, 5.0)
"""Bounds of the latency histogram: fine where a scan should be, and up to the writer's deadline."""
LOOK_EVERY_S = 1.0
"""Whoever asks more often gets what was looked up last: nobody on the network can keep the box busy with it."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number, or one a label: `values` by the label's value. Labels: the list's number, no more."""

    name: str
    help: str
    values: float | Mapping[str, float] | None
    """None: nobody knows."""
    label: str = "list"


@dataclass(slots=True)
class _Snapshot:
    text: bytes = b""
    next_s: float = field(default=float("-inf"))


class Metrics:
    """Counts scans, and writes all numbers down. Thread-safe, and cheap enough for each scan."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._registry = CollectorRegistry()
        self._scans = Counter(
            "edgebox_scans", "Scans, by what scanners speak and what came of it", ["dialect", "verdict"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "edgebox_scan_seconds", "From taking a scan to its answer, which is on the disk by then",
            buckets=BUCKETS_S, registry=self._registry,
        )  # fmt: skip
        self._counters: dict[tuple[str, str], Counter] = {}
        """Looking one up by its labels takes longer than counting."""
        self.gauges: Callable[[], Iterable[Gauge]] = tuple
        """Looks at everything else."""
        self._registry.register(_Gauges(lambda: self.gauges()))
        self._lock = threading.Lock()
        self._written = _Snapshot()

    def scanned(self, dialect: str, verdict: str, took_s: float) -> None:
        """A scan was answered."""
        counter = self._counters.get((dialect, verdict))
        if counter is None:
            counter = self._counters[dialect, verdict] = self._scans.labels(dialect, verdict)
        counter.inc()
        self._seconds.observe(took_s)

    def text(self) -> bytes:
        """All numbers, as Prometheus reads them; as of a second ago at most."""
        with self._lock:
            if self._monotonic() >= self._written.next_s:
                self._written = _Snapshot(generate_latest(self._registry), self._monotonic() + LOOK_EVERY_S)
            return self._written.text


class _Gauges(Collector):
    def __init__(self, look: Callable[[], Iterable[Gauge]]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        """Nothing: that would look at everything already when it is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        for gauge in self._look():
            if gauge.values is None:
                continue
            labels = [gauge.label] if isinstance(gauge.values, Mapping) else []
            family = GaugeMetricFamily(f"edgebox_{gauge.name}", gauge.help, labels=labels)
            if isinstance(gauge.values, Mapping):
                for value, number in gauge.values.items():
                    family.add_metric([value], number)
            else:
                family.add_metric([], gauge.values)
            yield family
