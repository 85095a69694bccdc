"""Against a real pretix 2026.8.0: what the box is told and tells is what its API and its database say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edgebox.model import CheckIn, Direction, ToldCheckIn, ToldTicket
from edgebox.upstream import Accepted, Closed, Refused
from edgebox.upstream.pretix import (
    DeviceRefused,
    PretixConnection,
    PretixFeed,
    PretixUpstream,
    TokenRefused,
    info,
    initialize,
    offered,
    read_invitation,
    verify,
    what_a_profile_forbids,
)
from tests.pretix.current import PRETIX_CURRENT, CurrentPretix
from tests.pretix.side import AT, Seconds, a_checkin, http, tickets

pytestmark = pytest.mark.interop("current")

ORDERS = "events/democon/orders/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CurrentPretix]:
    """One for all of these tests: each takes tickets of its own."""
    server = CurrentPretix(PRETIX_CURRENT, tmp_path_factory.mktemp("current") / "data")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def box(server: CurrentPretix) -> Iterator[PretixConnection]:
    """The box as a device that may do no more than pretix's own app."""
    connection = paired(server, server.fixtures["devices"]["box-scan"]["init_token"])
    yield connection
    connection.close()


def paired(server: CurrentPretix, token: str) -> PretixConnection:
    told = initialize(read_invitation(json.dumps({"handshake_version": 1, "url": server.url, "token": token})), http())
    return PretixConnection(told.url, told.api_token, told.organizer, http())


@pytest.fixture(scope="module")
def pulled(server: CurrentPretix, box: PretixConnection) -> str:
    """The state of a feed that has told the whole event."""
    return list(PretixFeed(box, "democon").follow(None))[-1].state


def a_list(box: PretixConnection, list_id: int = 1, event: str = "democon") -> PretixUpstream:
    return PretixUpstream(box, PretixFeed(box, event), list_id)


# --- pairing ----------------------------------------------------------------------------------------------------------


def test_a_token_pairs_once(server: CurrentPretix) -> None:
    token = server.fixtures["devices"]["box-scan-2"]["init_token"]
    connection = paired(server, token)
    told = info(connection.line())
    assert (told.server_version, told.device_name, told.security_profile) == ("2026.8.0", "box-scan-2", "pretixscan")
    with pytest.raises(TokenRefused, match="already been used"):
        paired(server, token)
    with pytest.raises(TokenRefused, match="does not know"):
        paired(server, "nosuchtoken12345")
    brands = server.rows("SELECT software_brand FROM pretixbase_device WHERE initialization_token = ?", token)
    assert brands == [("edgebox",)]
    connection.close()


@pytest.mark.parametrize("name", ["kiosk", "noorders"])
def test_a_narrow_profile_is_told_what_it_lacks(server: CurrentPretix, name: str) -> None:
    connection = paired(server, server.fixtures["devices"][name]["init_token"])
    assert "download orders" in (what_a_profile_forbids(info(connection.line()).security_profile) or "")
    feed = PretixFeed(connection, "democon")
    assert len(feed.master().lists) == 7
    with pytest.raises(Closed, match="security profile"):
        feed.count()
    connection.close()


def test_lists_of_all_granted_events_are_offered(server: CurrentPretix, box: PretixConnection) -> None:
    lists = server.fixtures["checkinlists"]
    expected = {(event, number) for event in ("democon", "sidecon", "demoseries") for number in lists[event].values()}
    assert {(each.event, each.list_id) for each in offered(box)} == expected
    dates = {each.list_id: each.subevent for each in offered(box) if each.event == "demoseries"}
    assert dates[lists["demoseries"]["All dates"]] is None
    assert dates[lists["demoseries"]["Show 1"]] is not None
    side = paired(server, server.fixtures["devices"]["side-only"]["init_token"])
    assert {each.event for each in offered(side)} == {"sidecon"}
    with pytest.raises(Closed, match="event"):
        PretixFeed(side, "democon").master()
    side.close()


# --- pull -------------------------------------------------------------------------------------------------------------


def as_told(order: dict[str, Any], position: dict[str, Any], catalog: Any) -> dict[str, Any]:
    """What the API tells of a position, without the box's reading of it."""
    status = order["status"]
    by_id = {each["id"]: each for each in order["positions"]}
    parent = by_id.get(position["addon_to"], {})
    address = order["invoice_address"] or {}
    answers = {
        each["question"]: ",".join(map(str, sorted(each["options"]))) or each["answer"] for each in position["answers"]
    }
    return {
        "secret": position["secret"], "order_code": order["code"], "item_id": position["item"],
        "variation_id": position["variation"], "is_paid": status == "p", "is_closed": status in ("c", "e"),
        "attendee_name": position["attendee_name"] or parent.get("attendee_name") or address.get("name") or None,
        "is_cancelled": position["canceled"], "is_blocked": bool(position["blocked"]), "is_test": order["testmode"],
        "awaits_approval": status == "n" and order["require_approval"], "subevent": position["subevent"],
        "valid_if_pending": order["valid_if_pending"], "attention": order["checkin_attention"],
        "checkin_text": order["checkin_text"] or None, "addon_to": position["addon_to"],
        "seat": position["seat"]["name"] if position["seat"] else None, "answers": answers,
        "valid": (moment(position["valid_from"]), moment(position["valid_until"])),
        "checkins": {(each["list"], moment(each["datetime"]), each["type"]) for each in position["checkins"]},
    }  # fmt: skip


def as_read(ticket: ToldTicket) -> dict[str, Any]:
    data = ticket.data
    same = (
        "secret", "order_code", "item_id", "variation_id", "is_paid", "is_closed", "attendee_name", "is_cancelled",
        "is_blocked", "is_test", "awaits_approval", "subevent", "valid_if_pending", "attention", "checkin_text",
        "addon_to", "seat",
    )  # fmt: skip
    return {
        **{name: getattr(data, name) for name in same},
        "answers": dict(data.answers),
        "valid": (data.valid_from, data.valid_until),
        "checkins": {(each.upstream_list, each.at, each.direction.value) for each in ticket.checkins},
    }


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize("event", ["democon", "sidecon", "demoseries"])
def test_a_full_pull_is_what_the_server_knows_ticket_by_ticket(
    server: CurrentPretix, box: PretixConnection, event: str
) -> None:
    feed = PretixFeed(box, event)
    catalog = feed.master().catalog
    told = tickets(feed.follow(None))
    truth = {
        position["id"]: as_told(order, position, catalog)
        for order in server.all(f"events/{event}/orders/", include_canceled_positions="true")
        for position in order["positions"]
    }
    assert {number: as_read(ticket) for number, ticket in told.items()} == truth
    stored = server.rows(
        "SELECT p.id FROM pretixbase_orderposition p JOIN pretixbase_order o ON o.id = p.order_id"
        " JOIN pretixbase_event e ON e.id = o.event_id WHERE e.slug = ?",
        event,
    )
    assert set(told) == {number for (number,) in stored}
    assert feed.count() == len({ticket.data.order_code for ticket in told.values()})
    assert feed.unreadable == 0


def test_names_are_those_that_pretix_shows_at_the_door(server: CurrentPretix, box: PretixConnection) -> None:
    told = tickets(PretixFeed(box, "democon").follow(None))
    shown = server.all("events/democon/checkinlists/1/positions/", ignore_status="true")
    assert len(shown) > 400
    assert {each["id"]: told[each["id"]].data.attendee_name for each in shown} == {
        each["id"]: each["attendee_name"] or None for each in shown
    }


def test_add_ons_are_named_beside_their_ticket(server: CurrentPretix, box: PretixConnection) -> None:
    told = tickets(PretixFeed(box, "democon").follow(None))
    both = told[server.fixtures["tickets"]["addon_both"]["id"]].data.addons_text
    assert sorted(both.split(", ")) == ["Workshop A", "Workshop B"]


def test_the_series_tells_its_dates(server: CurrentPretix, box: PretixConnection) -> None:
    catalog = PretixFeed(box, "demoseries").master().catalog
    assert [date.name for date in catalog.subevents] == ["Show 1", "Show 2"]


def test_products_and_questions_are_sent_once(server: CurrentPretix, box: PretixConnection) -> None:
    feed = PretixFeed(box, "democon")
    first = feed.master()
    assert {item.id for item in first.catalog.items} == set(server.fixtures["items"].values())
    assert "Press pass" in {item.name for item in first.catalog.items}
    assert {question.id for question in first.catalog.questions} <= set(server.fixtures["questions"].values())
    assert first.blocked == {server.fixtures["tickets"]["blocked"]["secret"]}
    assert first.revoked == {server.fixtures["tickets"]["revoked_old"]["secret"]}
    assert feed.master() == first
    access = (server.data_dir / "access.log").read_text().splitlines()
    assert " 304 " in next(line for line in reversed(access) if "/democon/items/" in line)


# --- what an organizer changes ----------------------------------------------------------------------------------------

Change = Callable[[CurrentPretix, dict[str, Any]], None]


def on_order(verb: str) -> Change:
    return lambda server, order: server.ask("POST", f"{ORDERS}{order['code']}/{verb}/", {"send_email": False})


def patched(**fields: Any) -> Change:
    return lambda server, order: server.ask("PATCH", f"{ORDERS}{order['code']}/", fields)


def of_position(verb: str, body: dict[str, Any]) -> Change:
    def change(server: CurrentPretix, order: dict[str, Any]) -> None:
        server.ask("POST", f"events/democon/orderpositions/{order['positions'][0]['id']}/{verb}/", body)

    return change


def on_position(**fields: Any) -> Change:
    def change(server: CurrentPretix, order: dict[str, Any]) -> None:
        server.ask("PATCH", f"events/democon/orderpositions/{order['positions'][0]['id']}/", fields)

    return change


def scanned_elsewhere(server: CurrentPretix, order: dict[str, Any]) -> None:
    body = {"lists": [4], "secret": order["positions"][0]["secret"], "type": "exit"}
    server.ask("POST", "checkinrpc/redeem/", body)


CHANGES: dict[str, tuple[str, Change, Callable[[ToldTicket], bool]]] = {
    "cancelled": ("p", on_order("mark_canceled"), lambda t: t.data.is_closed),
    "paid": ("n", on_order("mark_paid"), lambda t: t.data.is_paid),
    "expired": ("n", on_order("mark_expired"), lambda t: t.data.is_closed and not t.data.is_paid),
    "secrets regenerated": ("p", on_order("regenerate_secrets"), lambda t: True),
    "needs attention": ("p", patched(checkin_attention=True), lambda t: t.data.attention),
    "text for the door": ("p", patched(checkin_text="Card!"), lambda t: t.data.checkin_text == "Card!"),
    "valid though pending": ("n", patched(valid_if_pending=True), lambda t: t.data.valid_if_pending),
    "renamed": (
        "p", on_position(attendee_name_parts={"_scheme": "full", "full_name": "Ada Ng"}),
        lambda t: t.data.attendee_name == "Ada Ng",
    ),
    "valid from": (
        "p", on_position(valid_from="2026-12-24T08:00:00Z"),
        lambda t: t.data.valid_from == datetime(2026, 12, 24, 8, tzinfo=UTC),
    ),
    "blocked": ("p", of_position("add_block", {"name": "api:test"}), lambda t: t.data.is_blocked),
    "scanned elsewhere": ("p", scanned_elsewhere, lambda t: [c.upstream_list for c in t.checkins] == [4]),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_what_an_organizer_changes_is_told_next(
    server: CurrentPretix, box: PretixConnection, pulled: str, kind: str
) -> None:
    status, change, shows = CHANGES[kind]
    order = server.take(status)
    number = order["positions"][0]["id"]
    feed, state = up_to_date(box, pulled)
    change(server, order)
    ticket = tickets(feed.follow(state))[number]
    assert shows(ticket)
    is_renewed = ticket.data.secret != order["positions"][0]["secret"]
    assert is_renewed == (kind == "secrets regenerated")


def up_to_date(box: PretixConnection, state: str, monotonic: Seconds | None = None) -> tuple[PretixFeed, str]:
    """A feed that has told everything up to now, and its state."""
    feed = PretixFeed(box, "democon", monotonic=monotonic or Seconds())
    return feed, list(feed.follow(state))[-1].state


def test_a_split_moves_a_ticket_to_another_order(server: CurrentPretix, box: PretixConnection, pulled: str) -> None:
    order = next(
        each for each in server.all(ORDERS, status="p")
        if len(each["positions"]) == 2 and not any(p["addon_to"] or p["checkins"] for p in each["positions"])
        and each["code"] not in {t["order"] for t in server.fixtures["tickets"].values()}
    )  # fmt: skip
    feed, state = up_to_date(box, pulled)
    moved = order["positions"][1]
    body = {"split_positions": [{"position": moved["id"]}], "send_email": False}
    server.ask("POST", f"{ORDERS}{order['code']}/change/", body)
    told = tickets(feed.follow(state))
    assert told[order["positions"][0]["id"]].data.order_code == order["code"]
    assert told[moved["id"]].data.order_code != order["code"]
    assert told[moved["id"]].data.secret != moved["secret"]


def test_a_cancelled_position_is_told_with_its_order(server: CurrentPretix, box: PretixConnection, pulled: str) -> None:
    order = server.take()
    feed, state = up_to_date(box, pulled)
    create = {"create_positions": [{"item": 1, "price": "0.00"}], "send_email": False}
    server.ask("POST", f"{ORDERS}{order['code']}/change/", create)
    late = max(position["id"] for position in server.order(order["code"])["positions"])
    pages = list(feed.follow(state))
    assert not tickets(pages)[late].data.is_cancelled
    cancel = {"cancel_positions": [{"position": late}], "send_email": False}
    server.ask("POST", f"{ORDERS}{order['code']}/change/", cancel)
    assert tickets(feed.follow(pages[-1].state))[late].data.is_cancelled


def test_a_deleted_order_is_missing_from_all_orders(server: CurrentPretix, box: PretixConnection, pulled: str) -> None:
    code = server.fixtures["tickets"]["testmode"]["order"]
    feed, state = up_to_date(box, pulled)
    before = feed.count()
    assert code in {order.code for page in feed.all_orders() for order in page.orders}
    server.ask("DELETE", f"{ORDERS}{code}/")
    assert code not in {order.code for page in feed.follow(state) for order in page.orders}
    assert code not in {order.code for page in feed.all_orders() for order in page.orders}
    assert feed.count() == before - 1


def test_a_transaction_that_commits_late_is_found(server: CurrentPretix, box: PretixConnection, pulled: str) -> None:
    code = server.take()["code"]
    seconds = Seconds()
    feed, state = up_to_date(box, pulled, seconds)
    begun = (datetime.now(UTC) - timedelta(seconds=60)).replace(tzinfo=None).isoformat(" ")
    slow = server.connect()
    slow.execute("BEGIN IMMEDIATE")
    change = "UPDATE pretixbase_order SET checkin_text = 'slow', last_modified = ? WHERE code = ?"
    slow.execute(change, (begun, code))
    state = list(feed.follow(state))[-1].state
    assert not tickets(feed.follow(state)), "nobody else can see it yet"
    slow.execute("COMMIT")
    slow.close()
    assert not tickets(feed.follow(state)), "it is older than what a poll asks for"
    seconds.now_s += 61
    (ticket,) = tickets(feed.follow(state)).values()
    assert (ticket.data.order_code, ticket.data.checkin_text) == (code, "slow")


# --- signed secrets ---------------------------------------------------------------------------------------------------


def test_signed_secrets_prove_themselves(server: CurrentPretix, box: PretixConnection) -> None:
    feed = PretixFeed(box, "sidecon")
    keys = feed.master().catalog.signature_keys
    told = tickets(feed.follow(None))
    assert len(told) == 20
    for ticket in told.values():
        data = ticket.data
        read = verify(data.secret, keys)
        assert read is not None
        assert (read.item_id, read.variation_id, read.subevent) == (data.item_id, data.variation_id, data.subevent)
        assert (read.valid_from, read.valid_until) == (data.valid_from, data.valid_until)
        middle = len(data.secret) // 2
        other = "A" if data.secret[middle] != "A" else "B"
        assert verify(data.secret[:middle] + other + data.secret[middle + 1 :], keys) is None
        assert verify(data.secret.lower(), keys) is None
        assert verify(data.secret, PretixFeed(box, "democon").master().catalog.signature_keys) is None


def test_a_regenerated_signed_secret_is_revoked(server: CurrentPretix, box: PretixConnection) -> None:
    feed = PretixFeed(box, "sidecon")
    assert feed.master().revoked == frozenset()
    ticket = server.fixtures["tickets"]["side20"]
    server.ask("POST", f"events/sidecon/orders/{ticket['order']}/regenerate_secrets/", {})
    assert feed.master().revoked == {ticket["secret"]}


# --- push -------------------------------------------------------------------------------------------------------------


def of(order: dict[str, Any], **told: Any) -> CheckIn:
    """A check-in of the order's ticket."""
    return a_checkin(secret=order["positions"][0]["secret"], nonce=f"n-{order['code']}", **told)


def number(order: dict[str, Any]) -> int:
    position_id: int = order["positions"][0]["id"]
    return position_id


def test_a_check_in_arrives_once_with_its_own_time(server: CurrentPretix, box: PretixConnection, pulled: str) -> None:
    upstream, order = a_list(box), server.take()
    for _ in range(2):  # the second time as after a lost answer
        assert upstream.push(of(order), force=False) == Accepted()
    assert server.checkins(number(order)) == [(True, None, False, "entry", f"n-{order['code']}", AT)]
    told = tickets(upstream.feed.follow(pulled))[number(order)]
    assert told.checkins == (ToldCheckIn(1, AT, Direction.ENTRY),)


def test_entry_and_exit_arrive_in_their_order(server: CurrentPretix, box: PretixConnection) -> None:
    upstream, order = a_list(box), server.take()
    assert upstream.push(of(order), force=False) == Accepted()
    left = replace(of(order), nonce="left", datetime=AT + timedelta(minutes=5), direction=Direction.EXIT)
    assert upstream.push(left, force=False) == Accepted()
    rows = server.checkins(number(order))
    assert [(kind, at) for _, _, _, kind, _, at in rows] == [("entry", AT), ("exit", AT + timedelta(minutes=5))]


def test_a_double_entry_is_a_conflict_and_is_recorded(server: CurrentPretix, box: PretixConnection) -> None:
    upstream, order = a_list(box), server.take()
    elsewhere = {"lists": [1], "secret": order["positions"][0]["secret"], "questions_supported": False}
    server.ask("POST", "checkinrpc/redeem/", elsewhere)
    assert upstream.push(of(order), force=False) == Refused("already_redeemed", True)
    assert upstream.push(of(order), force=True) == Accepted(was_held=False)
    *_, forced = server.checkins(number(order))
    assert forced == (True, None, True, "entry", f"n-{order['code']}", AT)


def test_a_refund_meanwhile_is_a_conflict_and_is_recorded(server: CurrentPretix, box: PretixConnection) -> None:
    upstream, order = a_list(box), server.take()
    on_order("mark_canceled")(server, order)
    assert upstream.push(of(order), force=False) == Refused("canceled", True)
    assert upstream.push(of(order), force=True) == Accepted(was_held=False)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pending", "unpaid"),
        ("unapproved", "unapproved"),
        ("expired", "canceled"),
        ("blocked", "blocked"),
        ("future", "invalid_time"),
        ("past", "invalid_time"),
        ("revoked_old", "revoked"),
    ],
)
def test_what_pretix_refuses_and_force_overrules(
    server: CurrentPretix, box: PretixConnection, name: str, reason: str
) -> None:
    ticket = server.fixtures["tickets"][name]
    checkin = a_checkin(secret=ticket["secret"], nonce=f"n-{name}", datetime=datetime.now(UTC))
    upstream = a_list(box)
    assert upstream.push(checkin, force=False) == Refused(reason, True)
    assert upstream.push(checkin, force=True) == Accepted(was_held=False)


@pytest.mark.parametrize(
    ("secret", "list_id", "reason"),
    [("no such ticket", 1, "invalid"), ("poscanceled_pos", 1, "invalid"), ("addon_both", 6, "ambiguous")],
)
def test_what_nothing_overrules(
    server: CurrentPretix, box: PretixConnection, secret: str, list_id: int, reason: str
) -> None:
    ticket = server.fixtures["tickets"].get(secret, {"secret": secret})
    checkin = a_checkin(secret=ticket["secret"], nonce=f"n-{secret}")
    for force in (False, True):
        assert a_list(box, list_id).push(checkin, force=force) == Refused(reason, False)


def test_a_replay_that_the_rules_refuse_because_of_itself_is_no_conflict(
    server: CurrentPretix, box: PretixConnection
) -> None:
    upstream, order = a_list(box, server.fixtures["checkinlists"]["democon"]["Rules"]), server.take()
    checkin = of(order, datetime=datetime.now(UTC))
    assert upstream.push(checkin, force=False) == Accepted()
    assert upstream.push(checkin, force=False) == Refused("rules", True, was_held=True)
    assert upstream.push(checkin, force=True) == Accepted(was_held=True)
    list_id = server.fixtures["checkinlists"]["democon"]["Rules"]
    assert len([row for row in server.checkins(number(order), list_id) if row[0]]) == 1


def test_answers_arrive(server: CurrentPretix, box: PretixConnection) -> None:
    order, size = server.take(item="Student"), server.fixtures["questions"]["STUDID"]
    assert a_list(box).push(of(order, answers={size: "true", 1: " "}), force=False) == Accepted()
    stored = server.order(order["code"])["positions"][0]["answers"]
    assert {each["question"]: each["answer"] for each in stored}[size] == "True"


def test_a_ticket_whose_secret_has_changed_is_pushed_by_the_new_one(
    server: CurrentPretix, box: PretixConnection
) -> None:
    order = server.take()
    on_order("regenerate_secrets")(server, order)
    new = server.order(order["code"])["positions"][0]["secret"]
    assert a_list(box).push(of(order), force=True) == Refused("invalid", False)
    assert a_list(box).push(of(order, ticket_secret=new), force=False) == Accepted()


def test_refused_attempts_are_reported_once(server: CurrentPretix, box: PretixConnection) -> None:
    upstream, order = a_list(box), server.take()
    for _ in range(2):
        secret = order["positions"][0]["secret"]
        assert upstream.report_refusal(secret, "already_redeemed", AT, "f-1", position_id=number(order))
        assert upstream.report_refusal("nobody's ticket", "unknown_ticket", AT, "f-2")
    assert server.checkins(number(order)) == [(False, "already_redeemed", True, "entry", "f-1", AT)]
    unknown = server.rows("SELECT error_reason FROM pretixbase_checkin WHERE raw_barcode = ?", "nobody's ticket")
    assert unknown == [("invalid",)]
    assert upstream.report_refusal("nobody's ticket", "invalid", AT, "f-3", position_id=10**9)


def test_a_look_up_knows_a_ticket_sold_just_now(server: CurrentPretix, box: PretixConnection) -> None:
    upstream = a_list(box)
    secret = server.take()["positions"][0]["secret"]
    assert upstream.look_up(secret, upstream.feed.catalog()).is_partial
    assert not upstream.look_up(secret[:-1], upstream.feed.catalog()).is_partial
    assert not upstream.look_up("%00 /+=?&#", upstream.feed.catalog()).is_partial


def test_a_deleted_list_is_closed_and_the_others_go_on(server: CurrentPretix, box: PretixConnection) -> None:
    made = server.ask("POST", "events/democon/checkinlists/", {"name": "Short-lived", "all_products": True})
    upstream, order = a_list(box, made["id"]), server.take()
    assert upstream.describe().list_name == "Short-lived"
    server.ask("DELETE", f"events/democon/checkinlists/{made['id']}/")
    for call in (
        lambda: upstream.push(of(order), force=False),
        upstream.describe,
        lambda: upstream.report_refusal("x", "invalid", AT, "n"),
    ):
        with pytest.raises(Closed):
            call()
    assert a_list(box).push(of(order), force=False) == Accepted()


def test_a_revoked_device_is_told_so_by_every_verb(server: CurrentPretix) -> None:
    connection = paired(server, server.fixtures["devices"]["load"]["init_token"])
    upstream, order = a_list(connection), server.take()
    upstream.describe()
    with connection.line().post("device/revoke", {}) as answer:
        assert answer.status == 200
    for call in (
        lambda: upstream.push(of(order), force=False),
        upstream.describe,
        lambda: list(upstream.feed.follow(None)),
        upstream.feed.master,
        lambda: info(connection.line()),
    ):
        with pytest.raises(DeviceRefused):
            call()
    connection.close()
