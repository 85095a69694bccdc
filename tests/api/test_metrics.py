"""`/metrics`: numbers for whoever watches boxes, and nothing by which a guest, a key or a person could be known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgebox.box import NOT_RECORDED
from edgebox.ops.metrics import BUCKETS_S, LOOK_EVERY_S, Gauge, Metrics
from tests.api.conftest import KEY, Venue
from tests.store.venue import full_disk

Sample = tuple[str, tuple[tuple[str, str], ...]]


def read(text: str) -> dict[Sample, float]:
    """Every sample by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(venue: Venue) -> dict[Sample, float]:
    venue.box.metrics._written.next_s = 0.0  # as if a second had passed
    answer = venue.send("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return read(answer.text)


def number(venue: Venue, name: str, **labels: Any) -> float:
    return told(venue)[f"edgebox_{name}", tuple(sorted((key, str(value)) for key, value in labels.items()))]


@pytest.fixture
def scanned(venue: Venue) -> Venue:
    """Somebody came, came again, and a stranger."""
    venue.event.add_ticket("secret-of-ada", attendee_name="Ada Lovelace", order="ORDER1")
    venue.open()
    venue.redeem("secret-of-ada", nonce="n1")
    venue.redeem("secret-of-ada", nonce="n1")
    venue.redeem("secret-of-ada")
    venue.redeem("secret-of-a-stranger")
    return venue


def test_scans_are_counted_by_dialect_and_by_what_came_of_them(scanned: Venue) -> None:
    found = {
        dict(labels)["verdict"]: value
        for (name, labels), value in told(scanned).items()
        if name == "edgebox_scans_total"
    }
    assert found == {"ok": 1, "repeat": 1, "already_redeemed": 1, "unknown_ticket": 1}
    assert {
        dict(labels)["dialect"] for name, labels in told(scanned) if name == "edgebox_scans_total"
    } == {"pretixdroid"}  # fmt: skip


def test_how_long_they_took_is_a_histogram(scanned: Venue) -> None:
    samples = told(scanned)
    bounds = [dict(labels)["le"] for name, labels in samples if name == "edgebox_scan_seconds_bucket"]
    assert [float(bound) for bound in bounds] == [*BUCKETS_S, float("inf")]
    assert samples["edgebox_scan_seconds_bucket", (("le", "+Inf"),)] == 4
    assert samples["edgebox_scan_seconds_count", ()] == 4
    assert 0 < samples["edgebox_scan_seconds_sum", ()] < 60


def test_a_scan_that_was_not_recorded_counts_as_that(scanned: Venue) -> None:
    with full_disk():
        scanned.redeem("secret-of-ada", 503, force=True)
    assert number(scanned, "scans_total", dialect="pretixdroid", verdict=NOT_RECORDED) == 1
    assert number(scanned, "writable") == 0
    scanned.redeem("secret-of-ada", force=True)
    assert number(scanned, "writable") == 1


def test_lists_and_machine_are_looked_at(scanned: Venue) -> None:
    samples = {name for name, _ in told(scanned)}
    for name in (
        "pending_checkins", "open_conflicts", "last_pull_age_seconds", "last_push_age_seconds", "upstream_online",
        "oldest_pending_age_seconds", "clock_trusted", "disk_free_bytes", "disk_bytes", "written_bytes",
        "uptime_seconds", "memory_available_bytes", "purge_overdue", "lists",
    ):  # fmt: skip
        known = f"edgebox_{name}" in samples
        assert known == (name not in ("last_push_age_seconds", "upstream_online", "oldest_pending_age_seconds")), name
    assert number(scanned, "clock_trusted") == 1
    assert number(scanned, "pending_checkins", list=1) == 0
    assert number(scanned, "database_bytes", file="database") > 0


def test_nobody_can_be_known_by_it(scanned: Venue) -> None:
    """Labels are numbers of lists and words of ours: whatever a guest, a scanner or a list is called stays here."""
    scanned.redeem("secret-of-ada", force=True)
    text = scanned.send("GET", "/metrics").text
    for private in ("ada", "ORDER1", "stranger", "Gate", KEY, "Default", "democon", "demoorga", "Demo"):
        assert private.lower() not in text.lower(), private
    labels = {key for _, pairs in told(scanned) for key, _ in pairs}
    assert labels == {"dialect", "verdict", "le", "list", "file", "version"}


def test_asking_needs_no_key_and_touches_no_session(venue: Venue) -> None:
    answer = venue.send("GET", "/metrics")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert venue.send("POST", "/metrics").status_code == 405


def test_a_setting_closes_it(tmp_path: Path) -> None:
    closed = Venue(tmp_path, metrics=False)
    closed.request("GET", "/metrics", 404)
    closed.box.close()


def test_whoever_asks_all_the_time_gets_what_was_looked_up_last() -> None:
    now_s, looks = [100.0], []

    def look() -> tuple[Gauge, ...]:
        looks.append(now_s[0])
        return (Gauge("looks", "How often it was looked", len(looks)),)

    metrics = Metrics(lambda: now_s[0])
    metrics.gauges = look
    assert metrics.text() == metrics.text()
    assert len(looks) == 1
    now_s[0] += LOOK_EVERY_S
    assert read(metrics.text().decode())["edgebox_looks", ()] == 2


def test_what_nobody_knows_is_left_out() -> None:
    metrics = Metrics()
    metrics.gauges = lambda: (Gauge("temperature_celsius", "Of the processor", None), Gauge("ages", "By list", {}))
    assert "edgebox_temperature_celsius" not in metrics.text().decode()
    assert not [name for name, _ in read(metrics.text().decode()) if name == "edgebox_ages"]


def test_counting_a_scan_costs_next_to_nothing() -> None:
    """A redeem takes a millisecond of a core; this must not be a fiftieth of it, even on a busy machine."""
    metrics = Metrics()

    def a_thousand() -> float:
        began_s = time.thread_time()
        for _ in range(1000):
            metrics.scanned("pretixscan", "already_redeemed", 0.012)
        return time.thread_time() - began_s

    assert min(a_thousand() for _ in range(5)) / 1000 < 20e-6
