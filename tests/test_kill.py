"""kill -9, again and again, in the middle of a stream of scans: what was answered is in the journal, and once."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import requests

from edgebox.store import open_for_reading
from edgebox.store.journal import export
from tests.support.box import BoxProcess, wait_until
from tests.support.pretix import EVENT, PretixStub
from tests.support.pretixscan import App
from tests.support.upstream import StubUpstream
from tests.sync.fair import sell

KILLS = 12
GATES = 4
SCANS_BEFORE_A_KILL = 25

MANY_KILLS = 150
MAX_SCANS_BEFORE_A_KILL = 20
SERVES_WITHIN_S = 2.0
"""What is promised. The test prints how long it took, and allows for a machine that is busy with other things."""


class Gates:
    """Scanners that redeem one ticket after the other, whatever happens to the box; they note what was answered."""

    def __init__(self, box: BoxProcess, key: str, secrets: list[str]) -> None:
        self._box = box
        self._key = key
        self._waiting = list(reversed(secrets))
        self._lock = threading.Lock()
        self.answered: list[tuple[str, str]] = []
        self.other_answers: list[object] = []

    def scan_until_the_box_is_gone(self) -> None:
        """Each gate goes on until a request gets no answer; that ticket may or may not be in."""
        while True:
            with self._lock:
                secret = self._waiting.pop()
            nonce = f"nonce-of-{secret}"
            try:
                answer = self._box.redeem(self._key, secret, nonce=nonce)
            except requests.RequestException:
                return
            with self._lock:
                if answer.status_code == 200 and answer.json()["status"] == "ok":
                    self.answered.append((secret, nonce))
                else:
                    self.other_answers.append(answer.text)


def on_disk(data_dir: Path) -> list[tuple[str, str]]:
    """Secret and nonce of each check-in in the journal."""
    with closing(open_for_reading(data_dir)) as connection:
        return [(row.checkin.secret, row.checkin.nonce) for row in export(connection)]


def test_every_answered_check_in_survives_a_dozen_kills(box: BoxProcess, stub: StubUpstream) -> None:
    secrets = stub.add_tickets(3000)
    list_id = box.add_list(stub.url, stub.key)
    key = box.add_device("Gate", list_id)
    box.run("sync")
    stub.stop()
    gates = Gates(box, key, secrets)

    for _ in range(KILLS):
        box.start()
        enough = len(gates.answered) + SCANS_BEFORE_A_KILL
        threads = [threading.Thread(target=gates.scan_until_the_box_is_gone) for _ in range(GATES)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda enough=enough: len(gates.answered) >= enough, 60, "the gates scan")  # type: ignore[misc]
        finally:
            box.kill()
            for thread in threads:
                thread.join()

        journal = on_disk(box.data_dir)
        assert set(gates.answered) <= set(journal)
        assert max(Counter(journal).values()) == 1
        assert max(Counter(secret for secret, _ in journal).values()) == 1

    assert gates.other_answers == []
    recorded = [row["secret"] for row in box.journal()]
    # At most what each gate was waiting for at each kill was recorded and never answered.
    assert len(recorded) - len(gates.answered) <= KILLS * GATES

    stub.start()
    box.start()
    wait_until(lambda: len(stub.checkins) == len(recorded), 60, "upstream gets them all")
    wait_until(lambda: box.lists()[0]["pending"] == 0, 60, "the box knows that upstream has them")
    assert Counter(entry.secret for entry in stub.log) == Counter(recorded)
    for secret, nonce in gates.answered[:: len(gates.answered) // 10]:
        assert box.redeem(key, secret, nonce=nonce).json()["status"] == "ok"
        assert box.redeem(key, secret).json()["reason"] == "already_redeemed"


Scan = Callable[[str], bool]
"""Whether the ticket was let in. Raises Gone where no answer came."""


class Gone(Exception):
    """The box was killed."""


def scan_by_pretixdroid(box: BoxProcess, key: str, secret: str) -> bool:
    try:
        answer = box.redeem(key, secret, nonce=f"nonce-of-{secret}")
    except requests.RequestException as error:
        raise Gone from error
    return answer.status_code == 200 and bool(answer.json()["status"] == "ok")


def scan_by_pretixscan(phone: App, secret: str) -> bool:
    told = phone.check(secret)
    if told.type == "ERROR":
        raise Gone
    return told.type == "VALID"


class Crowd:
    """Gates of any kind, each of which scans the next ticket of the queue until it gets no answer."""

    def __init__(self, scans: Sequence[Scan], secrets: list[str]) -> None:
        self._scans = scans
        self._waiting = list(reversed(secrets))
        self._lock = threading.Lock()
        self.let_in: list[str] = []
        self.sent_away: list[str] = []

    def scan_until_killed(self, box: BoxProcess, scans: int) -> None:
        """Kill the box, in the middle of whatever it does, once so many more were let in."""
        enough = len(self.let_in) + scans
        reached = threading.Event()
        threads = [threading.Thread(target=self._work, args=(scan, enough, reached)) for scan in self._scans]
        for thread in threads:
            thread.start()
        try:
            assert reached.wait(60), "the gates scan"
        finally:
            box.kill()
            for thread in threads:
                thread.join()

    def _work(self, scan: Scan, enough: int, reached: threading.Event) -> None:
        while True:
            with self._lock:
                secret = self._waiting.pop()
            try:
                is_in = scan(secret)
            except Gone:
                return
            with self._lock:
                (self.let_in if is_in else self.sent_away).append(secret)
                if len(self.let_in) >= enough:
                    reached.set()


def kill_again_and_again(box: BoxProcess, scans: Sequence[Scan], secrets: list[str], seed: int) -> tuple[Crowd, str]:
    """The gates, and in words how soon the box served after each kill."""
    moments = random.Random(seed)
    crowd = Crowd(scans, secrets)
    served_after_s: list[float] = []
    for _ in range(MANY_KILLS):
        if not box.is_running:
            began_s = time.monotonic()
            box.start()
            served_after_s.append(time.monotonic() - began_s)
        crowd.scan_until_killed(box, moments.randint(1, MAX_SCANS_BEFORE_A_KILL))
        journal = Counter(secret for secret, _ in on_disk(box.data_dir))
        assert set(crowd.let_in) <= set(journal)
        assert max(journal.values()) == 1
    assert crowd.sent_away == []
    # At most what each gate was waiting for at each kill was recorded and never answered.
    assert len(journal) - len(crowd.let_in) <= MANY_KILLS * len(scans)
    late = sum(after_s > SERVES_WITHIN_S for after_s in served_after_s)
    usual_s, longest_s = statistics.median(served_after_s), max(served_after_s)
    return crowd, (
        f"{MANY_KILLS} kills, {len(crowd.let_in)} let in; the box served after {usual_s:.2f} s (median), "
        f"{longest_s:.2f} s (longest), {late} times after more than {SERVES_WITHIN_S:g} s"
    )


@pytest.mark.slow
def test_every_answered_check_in_survives_hundreds_of_kills_with_an_old_pretix(
    box: BoxProcess, stub: StubUpstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ticket server is there: the box is killed in the middle of pushes and pulls as well."""
    secrets = stub.add_tickets(MANY_KILLS * (MAX_SCANS_BEFORE_A_KILL + 2 * GATES))
    list_id = box.add_list(stub.url, stub.key)
    key = box.add_device("Gate", list_id)
    box.run("sync")
    scans = [partial(scan_by_pretixdroid, box, key)] * GATES
    crowd, told = kill_again_and_again(box, scans, secrets, seed=1)
    with capsys.disabled():
        print(f"\nold pretix, pretixdroid: {told}")

    box.start()
    recorded = Counter(secret for secret, _ in on_disk(box.data_dir))
    assert set(crowd.let_in) <= set(recorded)
    wait_until(lambda: box.lists()[0]["pending"] == 0, 120, "upstream has them all")
    assert Counter(entry.secret for entry in stub.log) == recorded
    assert box.lists()[0]["conflicts"] == 0


@pytest.mark.slow
def test_every_answered_check_in_survives_hundreds_of_kills_with_todays_pretix(
    box: BoxProcess, pretix: PretixStub, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gates are phones with pretixSCAN."""
    count = MANY_KILLS * (MAX_SCANS_BEFORE_A_KILL + 2 * GATES)
    sell(pretix, count)
    box.run("connect", pretix.url, pretix.init_token)
    box.run("lists", "add", f"{EVENT}/1")
    box.run("sync")
    box.start()
    scans = []
    for number in range(GATES):
        box.run("devices", "add", f"Phone {number}", "--app", "pretixscan", "--list", "1")
        qr = box.json("devices", "show", f"Phone {number}", "--json")["qr"]
        scans.append(partial(scan_by_pretixscan, App.ready(qr, {EVENT: 1}, hook=None)))
    secrets = [f"secret{number}" for number in range(1, count + 1)]
    crowd, told = kill_again_and_again(box, scans, secrets, seed=2)
    with capsys.disabled():
        print(f"\ntoday's pretix, pretixSCAN: {told}")

    box.start()
    recorded = Counter(secret for secret, _ in on_disk(box.data_dir))
    assert set(crowd.let_in) <= set(recorded)
    wait_until(lambda: box.lists()[0]["pending"] == 0, 120, "upstream has them all")
    assert Counter(body["secret"] for body in pretix.redeemed) == recorded
    assert box.lists()[0]["conflicts"] == 0
