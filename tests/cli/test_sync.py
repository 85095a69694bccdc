"""`edgebox sync`."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from edgebox.demo.event import demo_event
from tests.cli.conftest import REFUSED_FOR_GOOD, Desk, HostedBox, on_a_terminal
from tests.support.box import wait_until
from tests.support.upstream import SERVER_ERROR, StubUpstream, always


def test_it_pushes_and_pulls_and_says_how_much(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    beside.add_list(stub)
    key = beside.add_device()
    stub.stop()
    hosted.redeem(key, "secret000001")
    stub.start()
    stub.add_ticket("new")

    said = beside.run("sync", "--list", "1")

    assert said == "List 1: 1 check-in pushed; 4 tickets pulled, 2 new or changed.\n"
    assert len(stub.accepted("secret000001")) == 1


def test_an_unreachable_upstream_gives_a_status_of_its_own(any_desk: Desk, stub: StubUpstream) -> None:
    any_desk.add_list(stub)
    stub.stop()

    done = any_desk.try_("sync")

    assert (done.status, done.out) == (1, "")
    assert "no connection to upstream" in done.err
    assert "Everything recorded is safe" in done.err


def test_one_list_that_fails_does_not_keep_the_others(any_desk: Desk, stub: StubUpstream) -> None:
    any_desk.add_list(stub)
    other = StubUpstream().start()
    try:
        other.add_tickets(2)
        any_desk.run("lists", "add", other.url, other.key, "--name", "Other")
        stub.key = "CHANGED"

        done = any_desk.try_("sync")
    finally:
        other.stop()

    assert done.status == 1
    assert "List 1: pull: upstream refuses this list: Invalid key" in done.err
    assert "List 2: 0 check-ins pushed; 2 tickets pulled" in done.out


def test_what_upstream_will_not_take_is_told(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1")
    beside.add_list(stub)
    key = beside.add_device()
    stub.stop()
    hosted.redeem(key, "guest1")
    stub.on("redeem", always(REFUSED_FOR_GOOD))
    stub.start()

    done = beside.try_("sync")

    # Or the box was faster, when it saw upstream come back.
    assert (done.status, "1 check-in parked" in done.err) in [(1, True), (0, False)]
    assert beside.lists()[0]["conflicts"] == 1


def test_what_upstream_chokes_on_is_told_and_kept(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1")
    desk.add_list(stub)
    key = desk.add_device()
    stub.stop()
    hosted.start()
    hosted.redeem(key, "guest1")
    hosted.stop()
    stub.on("redeem", always(SERVER_ERROR))
    stub.start()

    done = desk.try_("sync")

    assert done.status == 1
    assert "upstream chokes on" in done.err
    assert desk.lists()[0]["pending"] == 1
    stub.off()
    desk.run("sync")
    assert len(stub.accepted("guest1")) == 1


def test_a_list_from_a_file_and_no_list_at_all_need_nothing(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("sync") == "There are no lists yet.\n"
    assert "there is no list 1" in desk.refused("sync", "--list", "1")

    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(demo_event(date(2026, 11, 25))), "utf-8")
    desk.run("lists", "add", str(saved))

    assert desk.run("sync") == "List 1: it comes from a file; there is nothing to sync.\n"


def test_a_terminal_shows_how_far_it_has_come(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_tickets(250)
    desk.add_list(stub)
    hosted.start()

    shown = on_a_terminal(desk.data_dir, "sync")

    assert "list 1: pull [########################......] 200/250" in shown
    before_the_result, _, result = shown.rpartition("\r\x1b[K")
    assert "pull [" in before_the_result
    assert result.startswith("List 1: 0 check-ins pushed; 250 tickets pulled")


def test_nothing_but_a_terminal_gets_a_progress_bar(desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(250)
    desk.add_list(stub)

    assert desk.run("sync") == "List 1: 0 check-ins pushed; 250 tickets pulled, 0 new or changed.\n"


def test_pushed_check_ins_are_counted_on_a_terminal(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    desk.add_list(stub)
    key = desk.add_device()
    stub.stop()
    hosted.start()
    for number in range(3):
        hosted.redeem(key, f"secret{number:06d}")
    hosted.stop()
    stub.start()

    shown = on_a_terminal(desk.data_dir, "sync")

    assert [f"push [{bar}] {done}/3" in shown for done, bar in ((1, "#" * 10 + "." * 20), (3, "#" * 30))] == [True] * 2
    wait_until(lambda: len(stub.log) == 3, 5, "all were pushed")
