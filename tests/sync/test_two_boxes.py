"""A box whose upstream is another box with a list from a file, as in the demo: the whole cycle between processes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import BoxProcess, new_key, wait_until
from tests.support.event import StubEvent
from tests.sync.venue import SOON_S

TICKETS = 160
LONG_S = 60.0


class Pair:
    """`upstream` has the list from a file; `box` has it from there."""

    def __init__(self, directory: Path) -> None:
        event = StubEvent()
        event.add_tickets(TICKETS)
        saved = directory / "event.json"
        saved.write_text(json.dumps({"status": event.status(), "download": event.download()}), encoding="utf-8")
        self.upstream = BoxProcess(directory / "upstream")
        upstream_list = self.upstream.add_list(str(saved))
        self.upstream_key = self.upstream.add_device("the other box", upstream_list)
        self.box = BoxProcess(directory / "box", {"backoff_max_s": 1.0, "log_level": "debug"})
        self.key = new_key()

    def connect(self) -> None:
        """Register the list at the box, whose upstream runs."""
        address = self.upstream.api("")
        list_id = self.box.add_list(address, "-", input=self.upstream_key + "\n")
        self.box.add_device("door", list_id, key=self.key)

    def upstream_checkins(self) -> int:
        """How many tickets upstream counts as in."""
        return int(self.upstream.get(self.upstream_key, "status/").json()["checkins"])

    def total(self) -> int:
        """How many tickets the box counts."""
        return int(self.box.get(self.key, "status/").json()["total"])

    def list(self) -> dict[str, Any]:
        """The box's list as `status --json` tells it."""
        [entry] = self.box.lists()
        return entry

    def scan(self, secret: str, **form: object) -> dict[str, Any]:
        answer: dict[str, Any] = self.box.redeem(self.key, secret, **form).json()
        return answer


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    try:
        yield pair
    finally:
        pair.box.kill()
        pair.upstream.kill()
        print(f"--- upstream ---\n{pair.upstream.output}\n--- box ---\n{pair.box.output}")


def test_a_box_over_a_box_takes_part_in_the_whole_cycle(pair: Pair) -> None:
    pair.upstream.start()
    assert pair.upstream.redeem(pair.upstream_key, "secret000001").json()["status"] == "ok"
    pair.connect()
    pair.box.start()
    wait_until(lambda: pair.total() == TICKETS, SOON_S, "the tickets are there")

    # What came in upstream counts here, and a scan here arrives upstream as it was.
    assert pair.scan("secret000001")["reason"] == "already_redeemed"
    at = (datetime.now(UTC) - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M")
    assert pair.scan("secret000000", nonce="mine", datetime=f"{at}Z")["status"] == "ok"
    wait_until(lambda: pair.upstream_checkins() == 2, SOON_S, "the check-in is upstream")

    # Both let the same one in while they do not hear of each other: recorded twice, flagged once.
    pair.box.stop()
    assert pair.upstream.redeem(pair.upstream_key, "secret000002").json()["status"] == "ok"
    pair.upstream.stop()
    pair.box.start()
    assert pair.scan("secret000002", nonce="second")["status"] == "ok"
    pair.upstream.start()
    wait_until(lambda: pair.list()["pending"] == 0, SOON_S, "told")
    [flagged] = [entry for entry in pair.box.journal() if entry["conflict"]]
    assert (flagged["nonce"], flagged["conflict"]) == ("second", "already_redeemed")
    there = pair.upstream.journal()
    assert Counter(entry["secret"] for entry in there) == {"secret000000": 1, "secret000001": 1, "secret000002": 2}
    [first] = [entry for entry in there if entry["secret"] == "secret000000"]
    assert (first["nonce"], first["device"], first["datetime"][:16]) == ("mine", "the other box", at)

    # Upstream takes the key away: everything waits, in so many words.
    pair.upstream.run("devices", "revoke", "the other box")
    assert pair.scan("secret000003")["status"] == "ok"
    done = pair.box.run("sync", check=False)
    assert done.returncode == 1
    assert "Invalid key" in done.stderr
    entry = pair.list()
    assert (entry["upstream"], entry["pending"]) == ("refused", 1)
    assert pair.upstream_key not in pair.box.output + done.stderr + done.stdout


def test_kill_9_of_either_in_the_middle_of_a_push_leaves_every_check_in_upstream_exactly_once(pair: Pair) -> None:
    pair.upstream.start()
    pair.connect()
    pair.box.run("sync")
    pair.upstream.stop()
    pair.box.start()
    secrets = [f"secret{number:06d}" for number in range(TICKETS)]
    with ThreadPoolExecutor(8) as gates:
        answers = list(gates.map(lambda secret: pair.scan(secret, nonce=f"nonce-{secret}"), secrets))
    assert {answer["status"] for answer in answers} == {"ok"}

    pair.upstream.start()
    told = 0
    for victim in (pair.upstream, pair.box, pair.upstream, pair.box):
        goal = told + TICKETS // 8
        wait_until(lambda goal=goal: pair.upstream_checkins() >= goal, LONG_S, "the push goes on")  # type: ignore[misc]
        victim.kill()
        victim.start()
        told = pair.upstream_checkins()
    assert told < TICKETS, "the last kill came too late to prove anything"
    wait_until(lambda: pair.upstream_checkins() == TICKETS, LONG_S, "all are told")
    wait_until(lambda: pair.list()["pending"] == 0, LONG_S, "and the box knows it")

    here, there = pair.box.journal(), pair.upstream.journal()
    assert Counter((entry["secret"], entry["nonce"]) for entry in here) == Counter(
        (secret, f"nonce-{secret}") for secret in secrets
    )
    assert Counter((entry["secret"], entry["nonce"], entry["datetime"]) for entry in there) == Counter(
        (entry["secret"], entry["nonce"], entry["datetime"]) for entry in here
    )
    assert [entry["conflict"] for entry in here + there if entry["conflict"]] == []
    assert pair.upstream_key not in pair.box.output
