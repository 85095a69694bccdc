"""A real pretix that fails now and then, and a box that is killed in the middle: still once each, and all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.interop.gate import ARRIVAL_TIMEOUT_S, Gate
from tests.interop.legacy import LegacyPretix
from tests.interop.relay import Relay
from tests.support.box import wait_until
from tests.support.upstream import ANSWER_LOST, Request, Response

pytestmark = pytest.mark.interop

# A pause in which the others leave pretix alone: it then fails on some 7 % of the box's check-ins. (Without, on 20 %
# and more; the box parks a check-in that fails five times.)
PAUSE_S = 0.1
SCANS_AT_ONCE = 15
MOST_SCANS = 90
# Six pauses of the length that follows on a first failure, and time for pretix to answer.
RETRIED_AT_ONCE_S = 30.0


@contextmanager
def another_client(pretix: LegacyPretix, secret: str) -> Iterator[None]:
    """A client that redeems past the box, again and again, until the end of the `with`."""
    enough = threading.Event()

    def redeem() -> None:
        with requests.Session() as http:
            http.trust_env = False
            while not enough.wait(PAUSE_S):
                form = {"secret": secret, "force": "true"}
                http.post(f"{pretix.url}redeem/", params={"key": pretix.key("full")}, data=form, timeout=60)

    client = threading.Thread(target=redeem)
    client.start()
    try:
        yield
    finally:
        enough.set()
        client.join()


def test_sporadic_500s_under_load_neither_lose_nor_double_a_check_in(
    open_gate: Callable[..., Gate], pretix: LegacyPretix, relay: Relay
) -> None:
    gate, scanned = open_gate(url=relay.url), list[str]()
    pretix.stop()
    pretix.start(plain_begin=True)
    with another_client(pretix, *pretix.take(1)):
        while 500 not in relay.statuses.get("redeem", []):
            assert len(scanned) < MOST_SCANS, "pretix never failed: this proves nothing"
            secrets = pretix.take(SCANS_AT_ONCE)
            for secret in secrets:
                assert gate.outcome(secret) == "ok"
            scanned += secrets
            gate.wait_until_pushed()
    assert set(relay.statuses["redeem"]) == {200, 500}
    gate.assert_arrived_as_recorded(*scanned)
    assert gate.state["conflicts"] == 0


def test_an_answer_lost_after_pretix_acted_neither_doubles_a_check_in_nor_makes_a_conflict(
    open_gate: Callable[..., Gate], pretix: LegacyPretix, relay: Relay
) -> None:
    gate, secrets, (twice,) = open_gate(url=relay.url), pretix.take(4), pretix.take(1)
    assert pretix.redeem("full", twice, nonce="other gate").json()["status"] == "ok"
    lost: set[tuple[str | None, bool]] = set()

    def lose_first_answers(request: Request) -> Response | None:
        attempt = (request.secret, "force" in request.form)
        if attempt in lost:
            return None
        lost.add(attempt)
        return ANSWER_LOST

    relay.on("redeem", lose_first_answers)
    for secret in [*secrets, twice]:
        assert gate.outcome(secret) == "ok"
    # Each try brings the push further, so none of the pauses between them grows.
    gate.wait_until_pushed(RETRIED_AT_ONCE_S)
    assert {(secret, False) for secret in secrets} | {(twice, False), (twice, True)} == lost
    gate.assert_arrived_as_recorded(*secrets)
    assert gate.arrived(twice).nonce == "other gate"
    assert [(entry.first, entry.forced) for entry in pretix.log(twice)] == [(True, False), (False, True), (False, True)]
    assert gate.state["conflicts"] == 1


def test_a_box_killed_while_it_pushes_neither_loses_nor_doubles_a_check_in(
    open_gate: Callable[..., Gate], pretix: LegacyPretix
) -> None:
    gate, secrets = open_gate(), pretix.take(40)
    forced = pretix.take(5)
    for secret in forced:
        assert pretix.redeem("full", secret, nonce=f"first-{secret}").json()["status"] == "ok"
    pretix.stop()
    for secret in secrets:
        assert gate.outcome(secret) == "ok"
    for secret in forced:
        assert gate.outcome(secret, force=True, nonce=f"second-{secret}") == "ok"
    pretix.start()
    for share in (1, 10, 25):
        wait_until_in(pretix, secrets, share)
        gate.box.kill()
        gate.box.start()
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(*secrets)
    for secret in forced:
        assert gate.arrived(secret).nonce == f"first-{secret}"
        log = pretix.log(secret)
        # Each lost answer costs one more line of pretix' log, never another check-in.
        assert [entry.first for entry in log] == [True] + [False] * (len(log) - 1)
        assert len(log) > 1
    assert gate.state["conflicts"] == len(forced)


def wait_until_in(pretix: LegacyPretix, secrets: list[str], least: int) -> None:
    """Wait until pretix has a check-in of so many of these tickets."""

    def are_in() -> bool:
        return sum(bool(pretix.checkins(secret)) for secret in secrets) >= least

    wait_until(are_in, ARRIVAL_TIMEOUT_S, f"{least} of {len(secrets)} check-ins in pretix")


def test_a_key_that_pretix_no_longer_takes_pauses_its_list_only(
    open_gate: Callable[..., Gate], pretix: LegacyPretix
) -> None:
    door, lounge = open_gate("full"), open_gate("vip_list")
    (ticket,), (vip,), key = pretix.take(1), pretix.take(1, "VIP"), pretix.key("vip_list")
    change_key = "UPDATE pretixdroid_appconfiguration SET key = ? WHERE key = ?"
    pretix.change(change_key, "ANOTHERKEY", key)
    try:
        assert lounge.outcome(vip) == door.outcome(ticket) == "ok"
        door.wait_until_pushed()
        door.assert_arrived_as_recorded(ticket)
        wait_until(lambda: lounge.state["upstream"] == "refused", 60, "the box says that its key is refused")
        assert lounge.state["pending"] == 1
        assert door.state["upstream"] == "online"
        assert lounge.box.run("sync", "--list", lounge.list_id, check=False).returncode != 0
    finally:
        pretix.change(change_key, key, "ANOTHERKEY")
    lounge.box.run("sync", "--list", lounge.list_id)
    lounge.wait_until_pushed()
    lounge.assert_arrived_as_recorded(vip)
    assert key not in lounge.box.output
