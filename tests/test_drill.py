"""The drill: a box dies in the middle of an evening, and a second one takes over from its stick."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from tests.support.box import BoxProcess, wait_until
from tests.support.upstream import StubUpstream, json_answer

GATES = 3


@pytest.fixture
def second(tmp_path: Path) -> Iterator[BoxProcess]:
    """Another Pi, installed beforehand: it has run once, with nothing on it."""
    box = BoxProcess(tmp_path / "second")
    box.start()
    box.stop()
    try:
        yield box
    finally:
        box.kill()


class Gates:
    """Scanners that go on until the box is gone; they note who was let in, and when."""

    def __init__(self, box: BoxProcess, key: str, secrets: list[str]) -> None:
        self._box, self._key, self._waiting = box, key, list(reversed(secrets))
        self.let_in: dict[str, datetime] = {}
        self._threads = [threading.Thread(target=self._scan) for _ in range(GATES)]
        for thread in self._threads:
            thread.start()

    def _scan(self) -> None:
        while self._waiting:
            secret = self._waiting.pop()
            try:
                if self._box.redeem(self._key, secret, nonce=f"nonce-of-{secret}").json()["status"] == "ok":
                    self.let_in[secret] = datetime.now(UTC)
            except requests.RequestException:
                return

    def join(self) -> None:
        self._waiting.clear()
        for thread in self._threads:
            thread.join()


def told_until(box: BoxProcess) -> datetime | None:
    told = box.json("status", "--json")["backup"]["told_until"]
    return datetime.fromisoformat(told) if told else None


def is_told(box: BoxProcess, at: datetime) -> bool:
    until = told_until(box)
    return until is not None and until > at


def conflicts_of(box: BoxProcess) -> list[tuple[str, str]]:
    return [(row["nonce"], row["conflict"]) for row in box.journal() if row["conflict"]]


def test_a_second_box_takes_over(box: BoxProcess, second: BoxProcess, stub: StubUpstream, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    box.env["EDGEBOX_BACKUP_FOLDER"] = str(stick)
    secrets = stub.add_tickets(4000)
    list_id = box.add_list(stub.url, stub.key)
    key = box.add_device("Gate", list_id)
    box.start()
    wait_until(lambda: box.lists()[0]["tickets"] >= 4000, 60, "the first pull")

    # Some arrive at the ticket server. Then it is gone, and one ticket is let in by force though it was used.
    for secret in secrets[:30]:
        assert box.redeem(key, secret, nonce=f"nonce-of-{secret}").json()["status"] == "ok"
    wait_until(lambda: box.lists()[0]["pending"] == 0, 60, "they are pushed")
    stub.stop()
    assert box.redeem(key, secrets[0], nonce="a-second-time").json()["reason"] == "already_redeemed"
    assert box.redeem(key, secrets[0], nonce="by-force", force=True).json()["status"] == "ok"
    late_key = box.add_device("Late gate", list_id)
    gates = Gates(box, late_key, secrets[30:])
    wait_until(lambda: len(gates.let_in) > 50, 60, "the gates scan")
    known = box.json("status", "--json")["backup"]
    assert known["state"] == "follows"
    safe = datetime.now(UTC)
    wait_until(lambda: is_told(box, safe), 20, "the stick has what was recorded until then")
    box.kill()
    gates.join()

    # 20:01: the stick is in the other Pi.
    told = second.run("restore", str(stick), "--yes").stdout
    assert "may be missing" in told
    second.port = box.port  # it takes over the address
    second.start()
    for secret, at in gates.let_in.items():
        if at < safe:
            assert second.redeem(late_key, secret, nonce="somebody-else").json()["status"] == "error", secret
    journal = {row["nonce"] for row in second.journal()}
    assert {f"nonce-of-{secret}" for secret, at in gates.let_in.items() if at < safe} <= journal
    status = second.json("status", "--json")
    (restored,) = status["database"]["restored"]
    assert datetime.fromisoformat(restored["missing_from"]) >= safe
    assert second.lists()[0]["pending"] == len(journal) - 30

    # The link is back: all of it arrives once in effect, also where the dead box had told it already.
    stub.start()
    wait_until(lambda: second.lists()[0]["pending"] == 0, 90, "all is pushed")
    pushed = Counter(request.form["nonce"] for request in stub.seen("redeem") if request.form.get("nonce"))
    assert journal <= set(pushed)
    assert conflicts_of(second) == [("by-force", "already_redeemed")]


def test_what_the_dead_box_had_pushed_by_force_is_the_same_conflict(
    box: BoxProcess, second: BoxProcess, stub: StubUpstream, tmp_path: Path
) -> None:
    """Upstream refused it, the box noted that and told it by force; the answer to that never came."""
    stick = tmp_path / "stick"
    stick.mkdir()
    box.env["EDGEBOX_BACKUP_FOLDER"] = str(stick)
    (secret,) = stub.add_tickets(1)
    key = box.add_device("Gate", box.add_list(stub.url, stub.key))
    box.start()
    wait_until(lambda: box.lists()[0]["tickets"] >= 1, 60, "the first pull")
    forced: list[str] = []

    def elsewhere(request: object) -> object:
        """Somebody else has let it in meanwhile; what comes by force is taken, and the answer is lost."""
        form = request.form  # type: ignore[attr-defined]
        if form.get("force") == "true":
            forced.append(form["nonce"])
            return json_answer({"oops": True}, 503)
        return json_answer({"version": 3, "status": "error", "reason": "already_redeemed"})

    stub.on("redeem", elsewhere)  # type: ignore[arg-type]
    assert box.redeem(key, secret, nonce="once").json()["status"] == "ok"
    wait_until(lambda: forced, 60, "it is told by force")
    safe = datetime.now(UTC)
    wait_until(lambda: is_told(box, safe), 20, "the stick has it")
    box.kill()
    second.run("restore", str(stick), "--yes")
    stub.off()
    second.start()
    wait_until(lambda: second.lists()[0]["pending"] == 0, 90, "it is pushed")
    assert conflicts_of(second) == [("once", "already_redeemed")]
