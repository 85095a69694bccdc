"""`edgebox status`."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from edgebox.box import Box
from edgebox.config import Config
from edgebox.demo.event import demo_event
from edgebox.model import Direction, RedeemRequest
from tests.cli.conftest import Desk, HostedBox
from tests.support.box import wait_until
from tests.support.upstream import PORTAL_PAGE, StubUpstream, always

DOCUMENTED = {
    "id", "organizer", "event", "subevent", "name", "upstream", "tickets", "checkins", "inside", "pending", "conflicts",
    "last_pull", "last_push",
}  # fmt: skip


def test_json_tells_each_list_in_the_order_in_which_they_were_added(
    any_desk: Desk, stub: StubUpstream, tmp_path: Path
) -> None:
    stub.add_tickets(2)
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(demo_event(date(2026, 11, 25))), "utf-8")
    any_desk.run("lists", "add", str(saved), "--name", "Zoo")
    any_desk.run("lists", "add", stub.url, stub.key, "--name", "Art")
    any_desk.run("sync")

    lists = any_desk.lists()

    assert [entry["name"] for entry in lists] == ["Zoo", "Art"]
    assert all(entry.keys() >= DOCUMENTED for entry in lists)
    assert {key: lists[1][key] for key in sorted(DOCUMENTED - {"last_pull", "upstream"})} == {
        "id": 2, "organizer": "demoorga", "event": "democon", "subevent": None, "name": "Art", "tickets": 2,
        "checkins": 0, "inside": 0, "pending": 0, "conflicts": 0, "last_push": None,
    }  # fmt: skip
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(lists[1]["last_pull"]) < timedelta(minutes=2)


def test_check_ins_are_counted_by_ticket_and_by_what_waits(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    beside.add_list(stub)
    key = beside.add_device()
    hosted.redeem(key, "secret000000")
    wait_until(lambda: beside.lists()[0]["last_push"], 20, "the first check-in is pushed")
    stub.stop()
    hosted.redeem(key, "secret000001")
    hosted.redeem(key, "secret000001", force=True, nonce="again")

    (entry,) = beside.lists()

    assert (entry["checkins"], entry["pending"], entry["conflicts"]) == (2, 2, 1)
    assert hosted.get(key, "status/").json()["checkins"] == 2
    said = beside.run("status")
    assert "tickets    3, 2 checked in; last pull " in said
    assert "waiting    2 check-ins, the oldest recorded " in said
    assert "attention  1 conflict (edgebox attention)" in said


def test_who_left_is_told_apart_from_who_came(desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    desk.add_list(stub)
    desk.add_device()
    with closing(Box(Config(data_dir=desk.data_dir))) as box:
        for secret, direction in (("secret000000", "entry"), ("secret000001", "entry"), ("secret000000", "exit")):
            request = RedeemRequest(secret, direction=Direction(direction))
            assert box.redeem(box.store.devices.all()[0], box.get_list(1), request).verdict.is_ok

    (entry,) = desk.lists()

    assert (entry["checkins"], entry["inside"], entry["pending"]) == (2, 1, 2)
    assert "tickets    3, 2 checked in, 1 inside; last pull " in desk.run("status")


def test_the_state_of_upstream_is_told_in_words(beside: Desk, stub: StubUpstream) -> None:
    beside.add_list(stub)
    assert "upstream   online since " in beside.run("status")

    stub.on("*", always(PORTAL_PAGE))
    beside.try_("sync")
    assert "upstream   not upstream since " in beside.run("status")
    assert "login page" in beside.run("status")

    stub.off()
    stub.key = "CHANGED"
    beside.try_("sync")
    assert "upstream   refused since " in beside.run("status")
    assert beside.lists()[0]["upstream"] == "refused"

    stub.stop()
    beside.try_("sync")
    assert beside.lists()[0]["upstream"] == "unreachable"


def test_a_list_that_was_never_reached_says_never(beside: Desk, stub: StubUpstream) -> None:
    stub.stop()
    beside.try_("lists", "add", stub.url, stub.key)

    assert beside.lists()[0]["upstream"] in ("never", "unreachable")
    assert "last pull never; " not in beside.run("status")
    assert "last pull never" in beside.run("status")


def test_what_a_pull_would_take_away_is_told(desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(50)
    desk.add_list(stub)
    stub.tickets.clear()
    desk.try_("sync")

    assert "a pull that would take away 50 waits (edgebox attention)" in desk.run("status")


def test_it_says_whether_a_box_runs(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    desk.add_list(stub)
    said = desk.run("status")
    assert f"No box is running on {desk.data_dir}" in said
    assert "upstream" not in said
    assert desk.json("status", "--json")["serves_at"] is None

    hosted.start()

    assert f"The box serves at {hosted.url}\n" in desk.run("status")
    assert desk.json("status", "--json")["serves_at"] == hosted.url


def test_a_look_leaves_nothing_behind_at_a_mistyped_path(desk: Desk) -> None:
    for arguments in (["status"], ["lists"], ["devices"], ["attention"], ["sync"]):
        desk.run(*arguments)
    for arguments in (["log"], ["export"], ["lists", "remove", "1"], ["devices", "show", "Gate 1"]):
        desk.refused(*arguments)

    assert not desk.data_dir.exists()
