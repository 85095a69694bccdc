"""Today's pretix on the page Lists: connecting, choosing lists, disconnecting; and what the Scan page says of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from edgebox.model import Direction, RedeemRequest
from tests.support.box import wait_until
from tests.support.pretix import EVENT, PretixStub, check_in_list, order, page_of_html, position
from tests.web.conftest import Browser, House

FORBIDDEN = "pretixscan_online_noorders"


@pytest.fixture
def pretix() -> Iterator[PretixStub]:
    """A scripted pretix, listening."""
    stub = PretixStub()
    stub.lists += [check_in_list(2, "VIP <b>"), check_in_list(3, "Lounge")]
    stub.orders.append(order("A", position(1), position(2, blocked=["admin"]), position(3, attendee_name="Ada <b>")))
    stub.orders.append(order("B", position(4), status="c"))
    try:
        yield stub
    finally:
        stub.stop()
    assert not stub.errors, f"the stub itself went wrong: {stub.errors}"


def said(lead: Browser) -> str:
    """What came of the errand, once it is done."""
    wait_until(lambda: "data-busy" not in lead.get("/lists/live").text, 60, "the errand is done")
    return lead.get("/lists/live").text


@pytest.fixture
def connected(lead: Browser, pretix: PretixStub) -> Browser:
    lead.post("/connections/add", text=pretix.url, token=pretix.init_token)
    assert "The box is connected" in said(lead)
    return lead


def test_the_lead_connects_and_sees_what_there_is(house: House, connected: Browser, pretix: PretixStub) -> None:
    page = connected.get("/lists").text
    for text in ("demoorga", pretix.url, "pretix 2026.8.0", "pretixscan", "VIP &lt;b&gt;", "Lounge", f"{EVENT}/3"):
        assert text in page, text
    assert "VIP <b>" not in page
    assert ("Lena", "lead", "connected the box", "demoorga") in house.deeds()


def test_the_text_of_the_qr_code_is_enough(house: House, lead: Browser, pretix: PretixStub) -> None:
    qr = f'{{"handshake_version":1,"url":"{pretix.url}","token":"{pretix.init_token}"}}'
    lead.post("/connections/add", text=qr)
    assert "The box is connected" in said(lead)
    assert len(house.box.store.connections.all()) == 1


def test_what_goes_wrong_is_said_and_nothing_is_kept(house: House, lead: Browser, pretix: PretixStub) -> None:
    pretix.token_was_used = True
    lead.post("/connections/add", text=pretix.url, token=pretix.init_token)
    assert "already been used" in said(lead)
    lead.post("/connections/add", text="nonsense", token="abc")
    assert "not the address of a pretix" in said(lead)
    assert house.box.store.connections.all() == ()
    assert "connected the box" not in str(house.deeds())


def test_a_narrow_profile_is_told_what_it_lacks(lead: Browser, pretix: PretixStub) -> None:
    pretix.profile = FORBIDDEN
    lead.post("/connections/add", text=pretix.url, token=pretix.init_token)
    assert "download orders" in said(lead)
    assert "download orders" in lead.get("/lists").text


def test_ticked_lists_are_registered(house: House, connected: Browser, pretix: PretixStub) -> None:
    form = {"csrf_token": connected.token(), "offer": [f"1/{EVENT}/1", f"1/{EVENT}/3"]}
    connected.send("/connections/lists", 302, form)
    assert "Default, Lounge was added" in said(connected)
    added = [list_ for list_ in house.box.store.lists.all() if list_.source.connection_id]
    assert [(list_.name, list_.upstream_list) for list_ in added] == [("Default", 1), ("Lounge", 3)]
    assert len({list_.source.id for list_ in added}) == 1
    assert [deed[2] for deed in house.deeds()].count("added a list") == 2

    connected.post("/connections/offers")
    said(connected)
    page = connected.get("/lists").text
    assert page.count("checked disabled") == 2, "those are on the box already"
    connected.send("/connections/lists", 302, {"csrf_token": connected.token(), "offer": [f"1/{EVENT}/1"]})
    assert "nothing was added" in said(connected)
    assert len(house.box.store.lists.all()) == 3


@pytest.mark.parametrize("offer", [[], ["9/nowhere/1"], ["nonsense"]])
def test_what_was_not_offered_is_not_registered(house: House, connected: Browser, offer: list[str]) -> None:
    form = {"csrf_token": connected.token(), "offer": offer, "back": "web.lists"}
    connected.send("/connections/lists", 302, form)
    assert "tick at least one list" in connected.get("/lists").text
    assert len(house.box.store.lists.all()) == 1


def test_a_pretix_that_is_away_is_said(connected: Browser, pretix: PretixStub) -> None:
    pretix.on("organizers/", page_of_html(502))
    connected.post("/connections/offers")
    assert "alert-danger" in said(connected)


def test_a_connection_is_removed_once_no_list_uses_it(house: House, connected: Browser, pretix: PretixStub) -> None:
    connected.send("/connections/lists", 302, {"csrf_token": connected.token(), "offer": [f"1/{EVENT}/1"]})
    said(connected)
    assert "/connections/1/remove" not in connected.get("/lists").text
    connected.post("/connections/1/remove", back="web.lists")
    assert "remove those first" in connected.get("/lists").text
    connected.post("/lists/2/remove")
    assert "/connections/1/remove" in connected.get("/lists").text
    connected.post("/connections/1/remove")
    assert "revoke its device in pretix" in connected.get("/lists").text
    assert house.box.store.connections.all() == ()
    assert ("Lena", "lead", "disconnected the box", "1") in house.deeds()


def test_what_is_offered_is_shown_as_it_stands_now(house: House, connected: Browser) -> None:
    list_ = house.box.add_offered(EVENT, 3)
    assert connected.get("/lists").text.count("checked disabled") == 1
    connected.post(f"/lists/{list_.id}/remove")
    assert connected.get("/lists").text.count("checked disabled") == 0


def test_what_a_removed_connection_offered_is_no_longer_shown(connected: Browser) -> None:
    assert "Lounge" in connected.get("/lists").text
    connected.post("/connections/1/remove")
    assert "Lounge" not in connected.get("/lists").text


def test_no_token_and_no_credential_is_in_a_page_the_log_the_deeds_or_a_cookie(
    house: House, connected: Browser, pretix: PretixStub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connected.send("/connections/lists", 302, {"csrf_token": connected.token(), "offer": [f"1/{EVENT}/1"]})
    said(connected)
    connected.post("/connections/add", text=pretix.url, token=pretix.init_token)
    said(connected)
    house.box.sync_now()
    shown = [connected.get(path).text for path in ("/", "/lists", "/lists/live", "/log?show=syncs", "/log?show=deeds")]
    cookie = connected.client.get_cookie("edgebox")
    assert cookie is not None
    for secret in (pretix.init_token, pretix.api_token):
        assert secret not in "".join(shown) + caplog.text + repr(house.deeds()) + cookie.decoded_value


@pytest.mark.parametrize(
    ("secret", "verdict", "text"),
    [
        ("secret2", "blocked", "blocked"),
        ("secret4", "canceled", "order cancelled or expired"),
        ("secret1", "ok", "let in"),
    ],
)
def test_the_scan_page_says_the_true_reason(
    house: House, connected: Browser, pretix: PretixStub, secret: str, verdict: str, text: str
) -> None:
    list_ = house.box.add_offered(EVENT, 1)
    device = house.box.scanners.add("laptop", list_.id)
    house.box.sync_now()
    connected.post("/scan/device", key=device.key)
    answer = connected.client.post(
        "/scan/redeem", json={"secret": secret, "nonce": "n"}, headers={"X-CSRFToken": connected.token()}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert (answer.json["verdict"], answer.json["text"]) == (verdict, text)


def test_the_scan_page_says_why_the_rules_keep_somebody_out(
    house: House, connected: Browser, pretix: PretixStub
) -> None:
    pretix.lists[0]["rules"] = {"inList": [{"var": "product"}, {"objectList": []}]}
    list_ = house.box.add_offered(EVENT, 1)
    device = house.box.scanners.add("laptop", list_.id)
    house.box.sync_now()
    connected.post("/scan/device", key=device.key)
    answer = connected.client.post(
        "/scan/redeem", json={"secret": "secret1", "nonce": "n"}, headers={"X-CSRFToken": connected.token()}
    )
    assert answer.json is not None
    assert answer.json["verdict"] == "rules"
    assert answer.json["detail"] == "Ticket type not allowed."


def test_a_ticket_shows_what_only_the_ticket_server_knows_and_which_way_it_went(
    house: House, connected: Browser, pretix: PretixStub
) -> None:
    at = {"list": 1, "datetime": "2026-11-24T17:05:00Z"}
    pretix.orders.append(order("C", position(7, attendee_name="Cleo", checkins=[{**at, "type": "entry"}])))
    connected.send("/connections/lists", 302, {"csrf_token": connected.token(), "offer": [f"1/{EVENT}/1"]})
    assert "was added" in said(connected)
    list_ = next(each for each in house.box.store.lists.all() if each.source.connection_id)
    house.box.sync_now(list_.id)
    (hit,) = house.box.desk.find("Cleo", 5)
    door = house.box.scanners.add("Way out", list_.id)
    house.box.redeem(door, list_, RedeemRequest(hit.ticket.data.secret, direction=Direction.EXIT))
    page = connected.get(f"/tickets/{hit.ticket.id}").text
    assert "Checked in, says the ticket server" in page
    assert "Checked out by Way out" in page
    assert page.count("Checked in by") == 0
