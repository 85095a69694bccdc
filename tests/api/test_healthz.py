"""`/healthz`, and what a box does whose disk takes nothing any more."""

from __future__ import annotations

import json
import resource
from pathlib import Path

from edgebox.box import Box
from edgebox.config import Config
from tests.api.conftest import KEY, Venue, assert_refuses
from tests.support.box import BoxProcess, wait_until
from tests.support.event import StubEvent


def test_it_is_ok_without_a_key(venue: Venue) -> None:
    assert venue.request("GET", "/healthz").get_json() == {"status": "ok"}
    venue.request("HEAD", "/healthz")


def test_any_other_method_is_405(venue: Venue) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
        answer = venue.request(method, "/healthz", 405)
        assert answer.headers["Allow"] == "GET, HEAD"


def test_a_full_disk_stops_redeems_alone_and_is_told(box: BoxProcess) -> None:
    event = StubEvent()
    event.add_tickets(3, "t")
    prepare = Box(Config(data_dir=Path(box.data_dir)))
    list_ = prepare.add_saved({"status": event.status(), "download": event.download()}, "the test's event")
    prepare.scanners.add("Gate 1", list_.id, key=KEY)
    prepare.close()
    box.start()
    assert box.redeem(KEY, "t000000").json()["status"] == "ok"

    # No file of this process may grow or be written any more.
    resource.prlimit(box.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    refused = box.redeem(KEY, "t000001", nonce="n")
    assert refused.status_code == 503
    assert_refuses(refused.json())
    assert refused.json()["reason"] == "unavailable"
    unhealthy = box.session.get(f"{box.url}/healthz", timeout=10)
    assert (unhealthy.status_code, unhealthy.json()["status"]) == (503, "error")
    assert box.get(KEY, "status/").json()["checkins"] == 1
    assert [row["redeemed"] for row in box.search(KEY, "t0000")] == [True, False, False]
    assert len(json.loads(box.get(KEY, "download/").content)["results"]) == 3

    resource.prlimit(box.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: box.redeem(KEY, "t000001", nonce="n").status_code == 200, 30, "the box writes again")
    assert box.session.get(f"{box.url}/healthz", timeout=10).status_code == 200
    assert box.stop() == 0
    assert [row["secret"] for row in box.journal()] == ["t000000", "t000001"]
