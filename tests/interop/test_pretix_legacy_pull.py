"""What a box tells its devices of a real pretix' tickets is what pretix itself tells its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.gate import Gate, new_gate
from tests.interop.legacy import LegacyPretix
from tests.support.box import BoxProcess
from tests.support.event import SEARCH_LIMIT

pytestmark = pytest.mark.interop

# Each finds something, or nothing, for the reason that stands behind it; {secret}, {order}: of the case "fresh12".
QUERIES = [
    "Zoë Łukasz 李雷",
    "Łukasz",
    "李雷",  # under four characters
    "O'Brien",
    "D'Angelo",
    "o'brien",
    'Robert "Bobby"',
    "'); DROP TABLE Students;--",
    "<b>Eve</b>",
    "& Mallory</script>",
    "Smile 😀",
    "\U0001f469\u200d\U0001f4bb Test",
    "محمد علي",
    "XXXXXXXXXX",
    "ßßßß",
    "%%%%",
    "____",
    "100%",
    "Fresh_Person",
    "Fresh%",
    "\\' OR 1=1",
    "fresh PERSON 1",
    "Parent Person",  # the add-ons too
    "Invoice Näme",  # where the attendee has none
    "Already Inside",
    "Victoria",
    "Smith",
    "Penny Pending",  # not paid
    "Cancelled Carl",
    "Test Mode",
    "Gone Position",
    "{secret}",
    "{secret:.4}",
    "{secret:.3}",
    "{order}",
    "{order:.4}",
    "nobody at all",
    "    ",
    "",
]


def by_secret(tickets: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The tickets of an answer. Pretix tells a name that nobody gave as null or as "", the box as null."""
    found = {ticket["secret"]: {**ticket, "attendee_name": ticket["attendee_name"] or None} for ticket in tickets}
    assert len(found) == len(tickets), "a ticket twice in one answer"
    return found


def filled_in(query: str, pretix: LegacyPretix) -> str:
    case = pretix.seed["cases"]["fresh12"]
    return query.format(secret=case["secret"], order=case["order"])


def shows_match(ticket: dict[str, Any], query: str) -> bool:
    """True where the download tells what the query is found by; pretix also knows names that it does not tell."""
    sought = query.casefold()
    starts = any(ticket[field].casefold().startswith(sought) for field in ("secret", "order"))
    return starts or sought in (ticket["attendee_name"] or "").casefold()


@pytest.fixture(scope="module")
def gates(pretix_server: LegacyPretix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gate]]:
    """One box with a list for each of the server's keys and a device for each, by the key's name."""
    box = BoxProcess(tmp_path_factory.mktemp("pull") / "data")
    pretix = pretix_server.as_usual()
    try:
        yield {config: new_gate(box, pretix, config) for config in ("full", "vip_list", "pending_list")}
    finally:
        box.kill()
        print(box.output)


@pytest.mark.parametrize("config", ["full", "vip_list", "pending_list"])
def test_a_device_downloads_every_ticket_as_pretix_tells_it(
    gates: dict[str, Gate], pretix: LegacyPretix, config: str
) -> None:
    gate = gates[config]
    gate.box.run("sync", "--list", gate.list_id)
    ours, theirs = gate.box.get(gate.key, "download/").json(), pretix.get(config, "download/")
    assert by_secret(ours["results"]) == by_secret(theirs["results"])
    assert len(ours["results"]) > 20
    assert sorted(ours["questions"], key=lambda q: q["id"]) == sorted(theirs["questions"], key=lambda q: q["id"])
    assert ours["version"] == theirs["version"] == 3


def test_a_device_limited_to_an_item_and_without_search_is_like_a_key_so_limited(
    gates: dict[str, Gate], pretix: LegacyPretix
) -> None:
    gate = gates["full"]
    box, items = gate.box, str(pretix.seed["items"]["Ticket"])
    key = box.add_device("narrow", gate.list_id, "--items", items, "--no-search")
    theirs = by_secret(pretix.get("restricted", "download/")["results"])
    assert by_secret(box.get(key, "download/").json()["results"]) == theirs
    secret, order = pretix.case("fresh12"), pretix.seed["cases"]["fresh12"]["order"]
    for query in (secret, secret[:4], secret[:3], secret[:10].upper(), order, "Fresh Person", "O'Brien", "%%%%"):
        found = by_secret(pretix.get("restricted", "search/", query=query)["results"])
        assert by_secret(box.search(key, query)) == {s: t for s, t in found.items() if s in theirs}, query
    shirt = pretix.case("tshirt_red")
    refusal = pretix.redeem("restricted", shirt).json()["reason"]
    assert refusal == "product"
    assert box.redeem(key, shirt).json()["reason"] == refusal
    assert box.redeem(key, shirt, force=True).json()["reason"] == refusal


def test_search_finds_what_pretix_finds(gates: dict[str, Gate], pretix: LegacyPretix) -> None:
    gate = gates["full"]
    gate.box.run("sync", "--list", gate.list_id)
    downloaded = by_secret(pretix.get("full", "download/")["results"])
    found_some = 0
    for query in (filled_in(query, pretix) for query in QUERIES):
        found = by_secret(pretix.get("full", "search/", query=query)["results"])
        if len(found) == SEARCH_LIMIT:  # cut short, and not paid ones among them
            found = downloaded
        told = {
            secret: ticket for secret, ticket in found.items() if secret in downloaded and shows_match(ticket, query)
        }
        assert len(told) <= SEARCH_LIMIT, f"{query!r} finds too many to compare"
        assert by_secret(gate.box.search(gate.key, query)) == told, query
        found_some += bool(told)
    assert found_some > 20


def test_status_counts_as_pretix_does(gates: dict[str, Gate], pretix: LegacyPretix) -> None:
    gate = gates["full"]
    gate.box.run("sync", "--list", gate.list_id)
    theirs = less_what_is_not_told(pretix, pretix.get("full", "status/"))
    assert gate.box.get(gate.key, "status/").json() == theirs
    (ticket,), (shirt,) = pretix.take(1), pretix.take(1, "T-Shirt")
    assert gate.outcome(ticket) == gate.outcome(shirt) == "ok"
    gate.wait_until_pushed()
    later = less_what_is_not_told(pretix, pretix.get("full", "status/"))
    assert later["checkins"] == theirs["checkins"] + 2
    assert gate.box.get(gate.key, "status/").json() == later
    assert gate.state["checkins"] == later["checkins"]


def less_what_is_not_told(pretix: LegacyPretix, status: dict[str, Any]) -> dict[str, Any]:
    """The answer of `status/` without the tickets that it counts though no download has them.

    Those are of orders in test mode, and check-ins of positions that were cancelled afterwards.
    """
    paid = "FROM pretixbase_orderposition p JOIN pretixbase_order o ON o.id = p.order_id WHERE o.status = 'p' AND "
    columns = "SELECT p.item_id, p.variation_id "
    totals = pretix.rows(f"{columns} {paid} o.testmode AND NOT p.canceled")
    on_list = "p.id IN (SELECT position_id FROM pretixbase_checkin WHERE list_id = ?)"
    checkins = pretix.rows(f"{columns} {paid} (o.testmode OR p.canceled) AND {on_list}", pretix.list_id("full"))
    for count, hidden in (("total", totals), ("checkins", checkins)):
        for item_id, variation_id in hidden:
            item = next(item for item in status["items"] if item["id"] == item_id)
            counted = [status, item, *(v for v in item["variations"] if v["id"] == variation_id)]
            for level in counted:
                level[count] -= 1
    return status


def test_a_second_key_of_one_list_is_refused_and_another_list_is_not(box: BoxProcess, pretix: LegacyPretix) -> None:
    full = box.add_list(pretix.url, pretix.key("full"))
    refused = box.run("lists", "add", pretix.url, pretix.key("restricted"), check=False)
    assert refused.returncode != 0
    assert "devices add" in refused.stderr
    assert "--items" in refused.stderr
    assert pretix.key("restricted") not in refused.stdout + refused.stderr
    assert [str(entry["id"]) for entry in box.lists()] == [full]
    box.run("lists", "add", pretix.url, pretix.key("vip_list"))
    box.run("lists", "add", pretix.url, pretix.key("restricted"), "--separate")
    box.run("sync")
    default, vip_area, restricted = box.lists()
    assert default["tickets"] > restricted["tickets"] > vip_area["tickets"] > 0
    key = box.add_device("by a second key", str(restricted["id"]))
    box.start()
    theirs = by_secret(pretix.get("restricted", "download/")["results"])
    assert by_secret(box.get(key, "download/").json()["results"]) == theirs
