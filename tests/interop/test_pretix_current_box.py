"""A whole box and a real pretix 2026.8.0: what the box recorded arrives, and what an organizer changes is seen. The
server's API and its database are the judges."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgebox.model import CheckInState, RedeemRequest
from edgebox.sync import Progress, UpstreamState, following
from tests.cli.conftest import Desk
from tests.interop.current_venue import ENTRY, EXIT, Venue, assert_counts_agree
from tests.pretix.current import HTTP_TIMEOUT_S, CurrentPretix

pytestmark = pytest.mark.interop("current")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [name for name in os.environ if name.startswith("EDGEBOX_")]:
        monkeypatch.delenv(name)
    return Desk(tmp_path / "data")


# --- what the box recorded --------------------------------------------------------------------------------------------


def test_offline_entries_arrive_with_their_times_and_double_ones_are_conflicts(
    server: CurrentPretix, open_venue: Callable[[str], Venue]
) -> None:
    venue = open_venue("offline")
    (main,) = venue.register(("democon", 1))
    good, double, refunded = (server.take() for _ in range(3))
    venue.sync()
    secrets = {each["code"]: each["positions"][0]["secret"] for each in (good, double, refunded)}
    began = datetime.now(UTC)
    assert venue.said(main, secrets[good["code"]]) == "ok"
    assert venue.said(main, secrets[refunded["code"]]) == "ok"
    # Two phones that were offline both let it in, and both say so with force.
    second = venue.box.scanners.add("second", main.id)
    times = [began - timedelta(minutes=20), began - timedelta(minutes=10)]
    for device, at, nonce in ((venue.devices[main.id], times[0], "phone-1"), (second, times[1], "phone-2")):
        asked = RedeemRequest(secrets[double["code"]], nonce=nonce, datetime=at, is_forced=True)
        assert venue.box.redeem(device, main, asked).verdict.is_ok
    server.ask("POST", f"events/democon/orders/{refunded['code']}/mark_canceled/", {"send_email": False})
    venue.sync()

    own = {checkin.nonce: checkin for checkin in venue.checkins()}
    assert {checkin.state for checkin in own.values()} == {CheckInState.SETTLED}
    (row,) = server.checkins(good["positions"][0]["id"])
    nonce, at = row[4], row[5]
    assert row == (True, None, False, "entry", nonce, own[nonce].datetime)
    assert began <= at <= datetime.now(UTC)
    first, refusal, forced = server.checkins(double["positions"][0]["id"])
    assert first == (True, None, False, "entry", "phone-1", times[0])
    assert refusal[:3] == (False, "already_redeemed", False)
    assert forced == (True, None, True, "entry", "phone-2", times[1])
    assert [row[:3] for row in server.checkins(refunded["positions"][0]["id"])] == [
        (False, "canceled", False), (True, None, True),
    ]  # fmt: skip
    conflicts = {each.order_code: each.checkin.conflict for each in venue.box.conflicts()}
    assert conflicts == {double["code"]: "already_redeemed", refunded["code"]: "canceled"}
    assert_counts_agree(venue)


def test_a_list_deleted_upstream_is_refused_and_the_others_go_on(
    server: CurrentPretix, open_venue: Callable[[str], Venue]
) -> None:
    venue = open_venue("deleted")
    made = server.ask("POST", "events/democon/checkinlists/", {"name": "Short-lived", "all_products": True})
    venue.register(("democon", 1), ("democon", made["id"]))
    main, gone = venue.list_of("democon", 1), venue.list_of("democon", made["id"])
    one, two = server.take(), server.take()
    venue.sync()
    for list_, order in ((gone, one), (main, one)):
        assert venue.said(list_, order["positions"][0]["secret"]) == "ok"
    server.ask("DELETE", f"events/democon/checkinlists/{made['id']}/")
    problems = {synced.list_id: synced.problem for synced in venue.box.sync_now()}
    assert problems[main.id] is None
    assert "deleted" in (problems[gone.id] or "")
    assert venue.box.sync.report(gone.id).state is UpstreamState.REFUSED
    assert venue.box.sync.report(main.id).state is UpstreamState.ONLINE
    states = {checkin.list_id: checkin.state for checkin in venue.checkins()}
    assert states == {main.id: CheckInState.SETTLED, gone.id: CheckInState.PENDING}
    assert venue.said(gone, two["positions"][0]["secret"]) == "ok"
    assert venue.said(gone, one["positions"][0]["secret"]) == "already_redeemed"


def test_a_revoked_device_stops_the_sync_of_all_its_lists_and_nothing_else(
    server: CurrentPretix, open_venue: Callable[[str], Venue]
) -> None:
    venue = open_venue("revoked")
    venue.register(("democon", 1), ("sidecon", 8))
    order = server.take()
    venue.sync()
    main, side = venue.list_of("democon", 1), venue.list_of("sidecon", 8)
    before = {list_.id: venue.box.counts(list_).all.total for list_ in venue.lists}
    assert venue.http.post(f"{server.url}api/v1/device/revoke", json={}, timeout=HTTP_TIMEOUT_S).ok
    assert venue.said(main, order["positions"][0]["secret"]) == "ok"
    assert venue.said(side, server.fixtures["tickets"]["side01"]["secret"], EXIT) == "ok", "whoever was in before"
    for synced in venue.box.sync_now():
        assert "box again" in (synced.problem or ""), synced
        assert venue.box.sync.report(synced.list_id).state is UpstreamState.REFUSED
    assert [checkin.state for checkin in venue.checkins()] == [CheckInState.PENDING] * 2
    assert {list_.id: venue.box.counts(list_).all.total for list_ in venue.lists} == before
    assert venue.said(main, order["positions"][0]["secret"]) == "already_redeemed"


# --- what an organizer changes ----------------------------------------------------------------------------------------


def test_what_an_organizer_changes_is_seen(
    server: CurrentPretix, open_venue: Callable[[str], Venue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "COUNT_EVERY_S", 0.0)
    venue = open_venue("changes")
    (main,) = venue.register(("democon", 1))
    test_order = server.ask("POST", "events/democon/orders/", {
        "email": "test@example.org", "locale": "en", "testmode": True, "payment_provider": "manual", "status": "p",
        "positions": [{"item": 1, "variation": None, "price": "0.00", "answers": [], "attendee_name_parts": {}}],
    })  # fmt: skip
    renamed, cancelled, renewed, blocked, grown = (server.take() for _ in range(5))
    split = next(
        each for each in server.all("events/democon/orders/", status="p")
        if len(each["positions"]) == 2 and not any(p["addon_to"] or p["checkins"] for p in each["positions"])
        and each["code"] not in {t["order"] for t in server.fixtures["tickets"].values()}
    )  # fmt: skip
    venue.sync()

    def change(order: dict[str, Any], verb: str, body: dict[str, Any]) -> None:
        server.ask("POST", f"events/democon/orders/{order['code']}/{verb}/", {"send_email": False, **body})

    def position(order: dict[str, Any], verb: str, body: dict[str, Any]) -> None:
        server.ask("POST", f"events/democon/orderpositions/{order['positions'][0]['id']}/{verb}/", body)

    def found(query: str) -> list[str]:
        tickets = venue.box.store.tickets.search(main, query, item_ids=None, by_name=True, limit=25)
        return [each.ticket.data.secret for each in tickets]

    moved = split["positions"][1]
    server.ask(
        "PATCH",
        f"events/democon/orderpositions/{renamed['positions'][0]['id']}/",
        {"attendee_name_parts": {"_scheme": "full", "full_name": "Ottoline Quaxeley"}},
    )
    change(cancelled, "mark_canceled", {})
    change(renewed, "regenerate_secrets", {})
    change(split, "change", {"split_positions": [{"position": moved["id"]}]})
    change(grown, "change", {"create_positions": [{"item": 1, "price": "0.00"}]})
    position(blocked, "add_block", {"name": "api:test"})
    venue.sync()

    (secret,) = found("quaxeley")
    assert secret == renamed["positions"][0]["secret"]
    assert venue.said(main, cancelled["positions"][0]["secret"]) == "canceled"
    assert venue.said(main, renewed["positions"][0]["secret"]) == "unknown_ticket"
    assert venue.said(main, server.order(renewed["code"])["positions"][0]["secret"]) == "ok"
    ((renewed_secret,),) = server.rows("SELECT secret FROM pretixbase_orderposition WHERE id = ?", moved["id"])
    assert renewed_secret != moved["secret"]
    assert venue.said(main, moved["secret"]) == "unknown_ticket"
    assert venue.said(main, renewed_secret) == venue.simulated(main, renewed_secret, ENTRY) != "unknown_ticket"
    assert venue.said(main, blocked["positions"][0]["secret"]) == "blocked"
    added = max(server.order(grown["code"])["positions"], key=lambda each: each["id"])
    assert found(added["secret"]) or server.order(grown["code"])["status"] == "n"
    assert venue.said(main, added["secret"]) == venue.simulated(main, added["secret"], ENTRY)

    held = venue.box.store.orders.orders_held(main.source.id)
    server.ask("DELETE", f"events/democon/orders/{test_order['code']}/")
    position(blocked, "remove_block", {"name": "api:test"})
    venue.sync()
    assert venue.said(main, blocked["positions"][0]["secret"]) == "ok"
    assert venue.box.store.orders.orders_held(main.source.id) == held - 1
    assert venue.said(main, test_order["positions"][0]["secret"]) == "withdrawn"
    venue.sync()
    assert_counts_agree(venue)


# --- faults and commands ----------------------------------------------------------------------------------------------


def test_a_pull_goes_on_after_the_server_was_restarted(
    server: CurrentPretix, open_venue: Callable[[str], Venue]
) -> None:
    venue = open_venue("restart")
    (main,) = venue.register(("democon", 1))
    seen: list[tuple[int, int | None]] = []

    def report(progress: Progress) -> None:
        if progress.phase != "pull":
            return
        seen.append((progress.done, progress.total))
        if len(seen) == 2:
            server.stop()

    (broken,) = venue.box.sync_now(main.id, report)
    assert broken.problem is not None
    assert venue.box.sync.report(main.id).state is UpstreamState.UNREACHABLE
    done, total = seen[-1]
    assert total is not None
    assert 0 < done < total
    assert venue.box.store.orders.orders_held(main.source.id) == done
    some = venue.box.store.tickets.counts(main).all.total
    assert some > 0, "what was taken in can be scanned"

    server.start()
    lines = len((server.data_dir / "access.log").read_text().splitlines())
    resumed: list[tuple[int, int | None]] = []
    (whole,) = venue.box.sync_now(main.id, lambda progress: resumed.append((progress.done, progress.total)))
    assert whole.problem is None
    assert resumed[0][0] >= done, "it goes on from where it was"
    assert (
        venue.box.store.orders.orders_held(main.source.id)
        == server.ask("GET", "events/democon/orders/", page_size=1)["count"]
    )
    asked = (server.data_dir / "access.log").read_text().splitlines()[lines:]
    pages = [line for line in asked if "/democon/orders/" in line and "include_canceled_positions" in line]
    assert 0 < len(pages) <= (total - done) // 50 + 3
    assert_counts_agree(venue)


def test_connected_and_registered_by_commands(server: CurrentPretix, desk: Desk) -> None:
    token = server.new_token("by hand")
    qr = json.dumps({"handshake_version": 1, "url": server.url, "token": token})
    said = desk.run("connect", qr)
    assert "demoorga" in said
    assert "2026.8.0" in said
    before = desk.json("connections", "--json")
    assert "already been used" in desk.refused("connect", qr)
    assert "already been used" in desk.refused("connect", server.url, "-", input=f"{token}\n")
    assert desk.json("connections", "--json") == before
    (connection,) = before["connections"]
    assert (connection["organizer"], connection["security_profile"]) == ("demoorga", "pretixscan")
    offered = desk.json("lists", "offered", "--json")["offered"]
    numbers = server.fixtures["checkinlists"]
    expected = {(event, number) for event in ("democon", "sidecon", "demoseries") for number in numbers[event].values()}
    assert {(each["event"], each["list"]) for each in offered} >= expected
    desk.run("lists", "add", "sidecon/8")
    desk.run("lists", "add", "democon/1", "--connection", "1")
    desk.run("sync")
    registered = {each["list"] for each in desk.json("lists", "offered", "--json")["offered"] if each["registered"]}
    assert registered == {1, 8}
    for row in desk.lists():
        told = server.ask("GET", f"events/{row['event']}/checkinlists/{1 if row['event'] == 'democon' else 8}/status/")
        assert (row["tickets"], row["checkins"]) == (told["position_count"], told["checkin_count"])
