"""`edgebox attention`: what needs staff, and what they decide."""

from __future__ import annotations

from tests.cli.conftest import REFUSED_FOR_GOOD, Desk, HostedBox
from tests.support.box import wait_until
from tests.support.upstream import StubUpstream, always


def test_nothing_needs_attention_at_first(any_desk: Desk) -> None:
    assert any_desk.run("attention") == "Nothing needs attention.\n"
    assert any_desk.json("attention", "--json") == {"conflicts": [], "held": [], "restored": []}


def test_a_forced_double_entry_is_shown_until_it_is_dismissed(
    beside: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    stub.add_ticket("guest1", attendee_name="Ada \x1b[2J Łovelace", order="ABCDE")
    beside.add_list(stub)
    key = beside.add_device("Gate 1")
    assert hosted.redeem(key, "guest1").json()["status"] == "ok"
    assert hosted.redeem(key, "guest1", force=True, nonce="offline-phone").json()["status"] == "ok"

    said = beside.run("attention")

    assert "2  " in said
    assert "Default, Gate 1: ABCDE, Ada \N{REPLACEMENT CHARACTER}[2J Łovelace" in said
    assert "the ticket had been used already" in said
    assert "edgebox attention dismiss 2" in said
    assert "attention retry" not in said
    (conflict,) = beside.json("attention", "--json")["conflicts"]
    assert (conflict["id"], conflict["conflict"], conflict["order"]) == (2, "already_redeemed", "ABCDE")

    assert "not parked" in beside.refused("attention", "retry", "2")
    beside.run("attention", "dismiss", "2", "--reason", "Twins: ünlucky")

    assert beside.run("attention") == "Nothing needs attention.\n"
    assert beside.checkins()[1]["closed_reason"] == "Twins: ünlucky"
    assert "no open conflict" in beside.refused("attention", "dismiss", "2")
    assert "no open conflict" in beside.refused("attention", "dismiss", "1")
    assert "there is no check-in 3" in beside.refused("attention", "dismiss", "3")
    assert "there is no check-in 3" in beside.refused("attention", "retry", "3")


def test_a_parked_check_in_is_pushed_again_when_staff_say_so(
    beside: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    stub.add_ticket("guest1")
    stub.on("redeem", always(REFUSED_FOR_GOOD))
    beside.add_list(stub)
    hosted.redeem(beside.add_device(), "guest1")
    wait_until(lambda: beside.lists()[0]["conflicts"] == 1, 20, "the check-in is parked")

    said = beside.run("attention")
    assert "the ticket server refuses this check-in" in said
    assert "edgebox attention retry 1" in said
    assert (beside.lists()[0]["pending"], stub.accepted("guest1")) == (0, [])

    stub.off()
    assert "Check-in 1 will be pushed again" in beside.run("attention", "retry", "1")

    wait_until(lambda: stub.accepted("guest1"), 20, "the running box pushes it again by itself")
    wait_until(lambda: beside.run("attention") == "Nothing needs attention.\n", 20, "the conflict is closed")


def test_a_dismissed_check_in_is_never_pushed(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1")
    stub.on("redeem", always(REFUSED_FOR_GOOD))
    beside.add_list(stub)
    key = beside.add_device()
    hosted.redeem(key, "guest1")
    wait_until(lambda: beside.lists()[0]["conflicts"] == 1, 20, "the check-in is parked")

    beside.run("attention", "dismiss", "1")
    stub.off()
    beside.run("sync")

    assert stub.accepted("guest1") == []
    assert [row["state"] for row in beside.checkins()] == ["dismissed"]
    assert hosted.redeem(key, "guest1").json()["reason"] == "already_redeemed"


def hold_back_withdrawals(desk: Desk, stub: StubUpstream, count: int) -> None:
    secrets = stub.add_tickets(count + 30)
    desk.add_list(stub)
    with stub.lock:
        for secret in secrets[:count]:
            del stub.tickets[secret]
    done = desk.try_("sync")
    assert f"withdraw {count} tickets" in done.err


def test_a_pull_that_would_take_much_away_waits_until_it_is_accepted(any_desk: Desk, stub: StubUpstream) -> None:
    hold_back_withdrawals(any_desk, stub, 40)
    assert any_desk.lists()[0]["tickets"] == 70

    said = any_desk.run("attention")

    assert "List 1 (Default): a pull would withdraw 40 tickets and undo 0 check-ins." in said
    assert said.count("ticket: B0") == 20
    assert "and 20 more" in said
    assert "edgebox attention accept 1" in said
    assert "Withdrawn: 40 tickets" in any_desk.run("attention", "accept", "1")
    assert any_desk.lists()[0]["tickets"] == 30
    assert any_desk.run("attention") == "Nothing needs attention.\n"


def test_what_was_rejected_stays_and_does_not_come_again(any_desk: Desk, stub: StubUpstream) -> None:
    hold_back_withdrawals(any_desk, stub, 40)

    assert "Kept: 40 tickets" in any_desk.run("attention", "reject", "1")
    any_desk.run("sync")

    assert any_desk.lists()[0]["tickets"] == 70
    assert any_desk.run("attention") == "Nothing needs attention.\n"


def test_where_nothing_waits_there_is_nothing_to_decide(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)

    for verb in ("accept", "reject"):
        assert "edgebox: " in desk.refused("attention", verb, "1")
        assert "there is no list 2" in desk.refused("attention", verb, "2")
