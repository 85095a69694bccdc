"""Scans at a box arrive in a real pretix exactly once, as they happened; its own database is the judge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.interop.gate import Gate, moment
from tests.interop.legacy import LegacyPretix
from tests.support.box import wait_until

pytestmark = pytest.mark.interop

OpenGate = Callable[..., Gate]
# "Within seconds": the box asks in the background, and pretix takes its time to answer.
LOOKUP_TIMEOUT_S = 20.0


def test_a_scan_arrives_with_the_time_and_the_nonce_that_the_box_recorded(
    open_gate: OpenGate, pretix: LegacyPretix
) -> None:
    gate, secrets = open_gate(), pretix.take(5)
    before = datetime.now(UTC)
    for secret in secrets:
        assert gate.outcome(secret) == "ok"
        assert gate.outcome(secret) == "already_redeemed"
    after = datetime.now(UTC)
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(*secrets)
    rows = [gate.arrived(secret) for secret in secrets]
    assert all(before <= row.datetime <= after for row in rows)
    assert len({row.nonce for row in rows}) == len(secrets)
    assert gate.state["conflicts"] == 0


def test_the_scanners_own_time_and_nonce_arrive(open_gate: OpenGate, pretix: LegacyPretix) -> None:
    times = {
        "2026-11-24T08:15Z": "2026-11-24T08:15:00+00:00",
        "2026-11-24T10:15:30.123456+02:00": "2026-11-24T08:15:30.123456+00:00",
        "2026-11-24 08:15:30": "2026-11-24T08:15:30+00:00",
    }
    gate, secrets = open_gate(), pretix.take(len(times))
    for secret, sent in zip(secrets, times, strict=True):
        assert gate.outcome(secret, datetime=sent, nonce=f"phone-{secret}") == "ok"
        assert gate.outcome(secret, datetime=sent, nonce=f"phone-{secret}") == "ok"
        assert gate.outcome(secret, nonce="another") == "already_redeemed"
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(*secrets)
    for secret, kept in zip(secrets, times.values(), strict=True):
        row = gate.arrived(secret)
        assert (row.datetime, row.nonce) == (datetime.fromisoformat(kept), f"phone-{secret}")


def test_questions_are_asked_as_pretix_asks_them_and_the_answers_arrive(
    open_gate: OpenGate, pretix: LegacyPretix
) -> None:
    gate, (secret,), questions = open_gate(), pretix.take(1, "VIP"), pretix.seed["questions"]
    meal, remark = f"answer_{questions['meal']['id']}", f"answer_{questions['remark']['id']}"
    vegan = questions["meal"]["options"]["VEGAN"]
    asked = gate.scan(secret, questions_supported=True)
    assert asked["status"] == "incomplete"
    assert asked["questions"] == pretix.redeem("full", secret, questions_supported=True).json()["questions"]
    choice = next(option["answer"] for option in asked["questions"][0]["options"] if option["id"] == vegan)
    answers: dict[str, object] = {meal: vegan, remark: 'Grüße, "O\'Brien" 😀'}
    assert gate.outcome(secret, questions_supported=True, **{meal: 99, remark: "x"}) == "incomplete"
    assert gate.outcome(secret, questions_supported=True, **answers) == "ok"
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(secret)
    assert pretix.answers(secret) == {
        questions["meal"]["id"]: choice,
        questions["remark"]["id"]: 'Grüße, "O\'Brien" 😀',
    }


def test_a_blank_answer_leaves_no_text_behind(open_gate: OpenGate, pretix: LegacyPretix) -> None:
    gate, (secret,), remark = open_gate(), pretix.take(1, "T-Shirt"), pretix.seed["questions"]["remark"]["id"]
    assert gate.outcome(secret, questions_supported=True) == "incomplete"
    # Answered in the shop meanwhile, which the box cannot know: pretix would turn a blank into the text "None".
    pretix.change(
        "INSERT INTO pretixbase_questionanswer (question_id, orderposition_id, answer)"
        " SELECT ?, id, 'from the shop' FROM pretixbase_orderposition WHERE secret = ?",
        remark,
        secret,
    )
    assert gate.outcome(secret, questions_supported=True, **{f"answer_{remark}": ""}) == "ok"
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(secret)
    assert pretix.answers(secret) == {remark: "from the shop"}


def test_one_ticket_on_two_lists_is_one_check_in_on_each(open_gate: OpenGate, pretix: LegacyPretix) -> None:
    door, lounge, (secret,) = open_gate("full"), open_gate("vip_list"), pretix.take(1, "VIP")
    assert door.outcome(secret) == lounge.outcome(secret) == "ok"
    assert lounge.outcome(pretix.case("fresh11")) == "unknown_ticket"
    for gate in (door, lounge):
        gate.wait_until_pushed()
        assert gate.outcome(secret) == "already_redeemed"
        gate.assert_arrived_as_recorded(secret)
    assert len(pretix.checkins(secret)) == 2


def test_what_was_scanned_while_pretix_was_down_arrives_by_itself(open_gate: OpenGate, pretix: LegacyPretix) -> None:
    gate, secrets = open_gate(), pretix.take(12)
    pretix.stop()
    earlier = datetime.now(UTC).replace(microsecond=250000) - timedelta(hours=3)
    for n, secret in enumerate(secrets[:6]):
        at = (earlier + timedelta(minutes=n)).isoformat()
        assert gate.outcome(secret, nonce=f"offline-{secret}", datetime=at, force=True) == "ok"
    for secret in secrets[6:]:
        assert gate.outcome(secret) == "ok"
    wait_until(lambda: gate.state["upstream"] == "unreachable", 60, "the box notices that pretix is gone")
    assert gate.state["pending"] == len(secrets)
    # What was answered outlives the box too.
    gate.box.kill()
    gate.box.start()
    assert gate.state["pending"] == len(secrets)
    assert gate.outcome(secrets[0]) == "already_redeemed"
    pretix.start()
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(*secrets)
    for n, secret in enumerate(secrets[:6]):
        assert gate.arrived(secret).datetime == earlier + timedelta(minutes=n)
    wait_until(lambda: gate.state["upstream"] == "online", 60, "the box finds pretix again")
    assert gate.state["conflicts"] == 0


def test_a_ticket_let_in_twice_is_a_conflict_and_the_first_check_in_stays(
    open_gate: OpenGate, pretix: LegacyPretix
) -> None:
    gate, (secret,) = open_gate(), pretix.take(1)
    first = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)
    other = pretix.redeem("full", secret, nonce="other gate", datetime=first.isoformat())
    assert other.json()["status"] == "ok"
    assert gate.outcome(secret) == "ok"
    gate.wait_until_pushed()
    assert (gate.arrived(secret).nonce, gate.arrived(secret).datetime) == ("other gate", first)
    log = pretix.log(secret)
    assert [(entry.first, entry.forced) for entry in log] == [(True, False), (False, True)]
    # The log keeps milliseconds.
    (mine,) = gate.recorded(secret)
    assert abs(log[1].datetime - moment(mine)) < timedelta(milliseconds=1)
    assert gate.state["conflicts"] == 1
    assert mine["conflict"]
    assert mine["order"] in gate.box.run("attention").stdout
    assert gate.outcome(secret) == "already_redeemed"


def test_a_check_in_undone_upstream_lets_the_ticket_in_again(open_gate: OpenGate, pretix: LegacyPretix) -> None:
    gate, (scanned,), told = open_gate(), pretix.take(1), pretix.case("already_in")
    assert gate.outcome(scanned) == "ok"
    assert gate.outcome(told) == "already_redeemed"
    gate.wait_until_pushed()
    gate.box.run("sync")
    assert gate.outcome(scanned) == gate.outcome(told) == "already_redeemed"
    undone = gate.arrived(scanned)
    for secret in (scanned, told):
        pretix.undo(secret, pretix.list_id("full"))
    gate.box.run("sync")
    assert gate.outcome(scanned) == gate.outcome(told) == "ok"
    assert gate.outcome(scanned) == gate.outcome(told) == "already_redeemed"
    gate.wait_until_pushed()
    assert gate.arrived(scanned).nonce not in (None, undone.nonce)
    gate.assert_arrived_as_recorded(told)
    assert gate.state["conflicts"] == 0


def test_a_cancelled_order_is_refused_after_a_pull_and_let_in_once_it_is_paid_again(
    open_gate: OpenGate, pretix: LegacyPretix
) -> None:
    gate, (secret,) = open_gate(), pretix.take(1)
    pretix.set_order_status(secret, "c")
    gate.box.run("sync")
    assert gate.outcome(secret) == pretix.redeem("full", secret).json()["reason"] == "unpaid"
    assert not gate.box.search(gate.key, secret)
    pretix.set_order_status(secret, "p")
    gate.box.run("sync")
    assert gate.outcome(secret) == "ok"
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(secret)


def test_a_cancelled_order_that_the_box_let_in_before_it_knew_is_kept_for_staff(
    open_gate: OpenGate, pretix: LegacyPretix
) -> None:
    gate, (poisoned, behind) = open_gate(), pretix.take(2)
    pretix.set_order_status(poisoned, "c")
    assert gate.outcome(poisoned) == gate.outcome(behind) == "ok"
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(behind)
    assert pretix.checkins(poisoned) == []
    assert gate.state["conflicts"] == 1
    assert gate.outcome(poisoned) == "already_redeemed"
    # Paid after all: staff send it again.
    pretix.set_order_status(poisoned, "p")
    (parked,) = gate.box.json("attention", "--json")["conflicts"]
    assert parked["order"] == gate.recorded(poisoned)[0]["order"]
    gate.box.run("attention", "retry", str(parked["id"]))
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(poisoned)


def test_a_ticket_sold_at_the_door_is_known_within_seconds(open_gate: OpenGate, pretix: LegacyPretix) -> None:
    gate, (like,) = open_gate(), pretix.take(1)
    secret = "doorsale7k2m9x4q8w3e5r6t"
    pretix.sell(secret, like=like, name="Dora Döör")
    assert gate.outcome(secret) == "unknown_ticket"
    wait_until(lambda: gate.outcome(secret) == "ok", LOOKUP_TIMEOUT_S, "a ticket sold at the door is let in")
    assert gate.outcome(secret) == "already_redeemed"
    assert gate.scan(secret)["data"]["attendee_name"] == "Dora Döör"
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(secret)
    assert gate.outcome("no-such-ticket-at-all") == "unknown_ticket"


def test_a_pending_order_comes_in_where_the_list_lets_it(open_gate: OpenGate, pretix: LegacyPretix) -> None:
    gate, (asked, forced) = open_gate("pending_list"), pretix.take(2, status="n")
    assert gate.outcome(asked) == gate.outcome(forced) == "unpaid"
    assert gate.outcome(asked, ignore_unpaid=True) == "ok"
    gate.wait_until_pushed()
    gate.assert_arrived_as_recorded(asked)
    assert gate.state["conflicts"] == 0
    assert gate.outcome(forced, force=True, nonce="by hand") == "ok"
    gate.wait_until_pushed()
    assert gate.arrived(forced).nonce == "by hand"
    assert gate.state["conflicts"] == 1
