"""kill -9, again and again, in the middle of a stream of scans: what was answered is in the journal, and once."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import requests

from edgebox.store import open_for_reading
from edgebox.store.journal import export
from tests.support.box import BoxProcess, wait_until
from tests.support.upstream import StubUpstream

KILLS = 12
GATES = 4
SCANS_BEFORE_A_KILL = 25


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
