"""A whole box and a real pretix 2026.8.0: what the box decides offline is what the server would, and what it recorded
arrives. The server's API and its database are the judges."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import CheckIn, CheckInList, CheckInState, Device, Direction, Reason, RedeemRequest, Verdict
from edgebox.store.journal import export
from edgebox.sync import Progress, UpstreamState, following
from tests.cli.conftest import Desk
from tests.pretix.current import HTTP_TIMEOUT_S, PRETIX_CURRENT, CurrentPretix

pytestmark = pytest.mark.interop("current")

WORKERS = 3
ENTRY, EXIT = Direction.ENTRY, Direction.EXIT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CurrentPretix]:
    """One for all of these tests: each takes tickets of its own."""
    server = CurrentPretix(PRETIX_CURRENT, tmp_path_factory.mktemp("current") / "data")
    try:
        yield server.start()
    finally:
        server.stop()


class Venue:
    """A box that is a device of the server; it syncs when the test says so, and is offline else."""

    def __init__(self, server: CurrentPretix, directory: Path, name: str) -> None:
        directory.mkdir()
        self.server = server
        self.box = Box(Config(data_dir=directory), Clock(system_synchronised=lambda: True))
        self.connection, forbidden = self.box.connect(server.url, server.new_token(name))
        assert forbidden is None
        self.devices: dict[int, Device] = {}
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Device {self.connection.credential}"

    def close(self) -> None:
        self.box.close()
        self.http.close()

    def register(self, *wanted: tuple[str, int]) -> list[CheckInList]:
        """These lists of the server, or all that it offers."""
        chosen = wanted or [(each.offered.event, each.offered.list_id) for each in self.box.offers()]
        for event, number in chosen:
            list_ = self.box.add_offered(event, number)
            self.devices[list_.id] = self.box.add_device(f"door {list_.id}", list_.id)
        return self.lists

    @property
    def lists(self) -> list[CheckInList]:
        return list(self.box.store.lists.all())

    def list_of(self, event: str, number: int) -> CheckInList:
        return next(each for each in self.lists if (each.event, each.upstream_list) == (event, number))

    def sync(self) -> None:
        for synced in self.box.sync_now():
            assert synced.problem is None, synced

    def scan(self, list_: CheckInList, secret: str, direction: Direction = ENTRY, **asked: Any) -> Verdict:
        request = RedeemRequest(secret, questions_supported=True, direction=direction, **asked)
        return self.box.redeem(self.devices[list_.id], list_, request).verdict

    def said(self, list_: CheckInList, secret: str, direction: Direction = ENTRY) -> str:
        """The box's verdict in a word."""
        verdict = self.scan(list_, secret, direction)
        return verdict.reason.value if verdict.reason else "ok"

    def simulated(self, list_: CheckInList, secret: str, direction: Direction) -> str:
        """What the server would say, in the box's words."""
        body = {
            "lists": [list_.upstream_list], "secret": secret, "simulate": True, "type": direction.value, "answers": {},
            "questions_supported": True, "force": False, "datetime": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        headers = dict(self.http.headers)
        url = f"{self.server.url}api/v1/organizers/demoorga/checkinrpc/redeem/"
        told = requests.post(url, json=body, headers=headers, timeout=HTTP_TIMEOUT_S).json()
        word = str(told.get("reason") or told["status"])
        return "unknown_ticket" if word == "invalid" else word

    def checkins(self) -> list[CheckIn]:
        return [row.checkin for row in export(self.box.store.reading())]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [name for name in os.environ if name.startswith("EDGEBOX_")]:
        monkeypatch.delenv(name)
    return Desk(tmp_path / "data")


@pytest.fixture
def open_venue(server: CurrentPretix, tmp_path: Path) -> Iterator[Callable[[str], Venue]]:
    opened: list[Venue] = []

    def open_one(name: str) -> Venue:
        opened.append(Venue(server, tmp_path / name, name))
        return opened[-1]

    yield open_one
    for venue in opened:
        venue.close()


# --- verdicts and counts ----------------------------------------------------------------------------------------------


def asked_of_server(venue: Venue, direction: Direction) -> dict[tuple[int, str], str]:
    """The server's verdict on every named ticket on every list of its event."""
    named = venue.server.fixtures["tickets"].items()
    pairs = [(list_, name, each) for list_ in venue.lists for name, each in named if each["event"] == list_.event]
    with ThreadPoolExecutor(WORKERS) as pool:
        told = pool.map(lambda pair: venue.simulated(pair[0], pair[2]["secret"], direction), pairs)
        return {(list_.id, name): word for (list_, name, _), word in zip(pairs, told, strict=True)}


def disagreements(venue: Venue, direction: Direction, expected: dict[tuple[int, str], str]) -> list[str]:
    """Where the box's own verdicts differ.

    Who is in already is not asked questions before he is told so. And what the server is asked changes nothing there,
    while a scan does here: where a ticket's secret stands for its add-on, the second of the two comes too late.
    """
    lists = {list_.id: list_ for list_ in venue.lists}
    let_in: set[tuple[int, str]] = set()
    wrong = []
    for (list_id, name), theirs in expected.items():
        list_, ticket = lists[list_id], venue.server.fixtures["tickets"][name]
        ours = venue.said(list_, ticket["secret"], direction)
        assert list_.terms is not None
        if list_.terms.addon_match and ours == "ok" and direction is ENTRY:
            let_in.add((list_id, ticket["order"]))
        is_second = (list_id, ticket["order"]) in let_in and (ours, theirs) == ("already_redeemed", "ok")
        if ours != theirs and (ours, theirs) != ("already_redeemed", "incomplete") and not is_second:
            wrong.append(f"{direction} {list_.event}/{list_.name} {name}: pretix {theirs}, box {ours}")
    return wrong


def assert_counts_agree(venue: Venue) -> None:
    for list_ in venue.lists:
        told = venue.server.ask("GET", f"events/{list_.event}/checkinlists/{list_.upstream_list}/status/")
        counts = venue.box.counts(list_).all
        ours = (counts.total, counts.checkins, counts.inside)
        assert ours == (told["position_count"], told["checkin_count"], told["inside_count"]), list_.name


def test_every_verdict_is_the_servers_and_so_are_the_counts(
    server: CurrentPretix, open_venue: Callable[[str], Venue]
) -> None:
    venue, other = open_venue("verdicts"), open_venue("leaving")
    for each in (venue, other):
        each.register()
        each.sync()
    assert len(venue.lists) == 12
    assert_counts_agree(venue)
    entries, exits = asked_of_server(venue, ENTRY), asked_of_server(venue, EXIT)
    assert len(entries) == len(exits) > 400
    reasons = set(entries.values()) - {"ok", "incomplete"}
    assert reasons >= {reason.value for reason in Reason} - {"withdrawn", "incomplete", "test_mode"}
    wrong = disagreements(other, EXIT, exits)  # nobody has come in at this box; what it records stays there
    wrong += disagreements(venue, ENTRY, entries)
    venue.sync()
    assert len(venue.checkins()) > 100
    assert {checkin.state for checkin in venue.checkins()} == {CheckInState.SETTLED}
    assert not venue.box.conflicts(), "the server agreed with each of them"
    assert_counts_agree(venue)

    again = asked_of_server(venue, ENTRY)
    wrong += disagreements(venue, ENTRY, again)
    # Whether an exit is taken depends on no check-in; that the server takes each that the box did shows when it syncs.
    wrong += disagreements(venue, EXIT, exits)
    venue.sync()
    after_exit = asked_of_server(venue, ENTRY)
    assert after_exit != again, "an exit lets in again where the list allows it"
    wrong += disagreements(venue, ENTRY, after_exit)
    print(f"{5 * len(entries) - len(wrong)} of {5 * len(entries)} verdicts agree")
    assert not wrong, "\n".join(wrong)
    venue.sync()
    assert_counts_agree(venue)
    assert not venue.box.conflicts()


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
    second = venue.box.add_device("second", main.id)
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
