"""The page Devices: from a name to a phone that scans, and back."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import requests
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.venue import GATE_A, GATE_B, Venue
from tests.support.pretixscan import App, LoggedOut, Wiped


def codes_on(picture: bytes) -> list[dict[str, Any]]:
    """What the QR codes on a picture say, as a phone's camera would read them."""
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    return [json.loads(code.text) for code in found]


def add_device(page: Page, venue: Venue, name: str, app: str = "pretixdroid") -> None:
    page.goto(f"{venue.box.url}/devices")
    page.fill("#name", name)
    page.check(f"#app-{app}")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_a_new_device_scans_with_what_its_qr_code_says(lead: Page, venue: Venue) -> None:
    add_device(lead, venue, "Gate C")
    (told,) = codes_on(lead.screenshot())
    secret = next(venue.fresh_tickets())
    answer = requests.post(f"{told['url']}redeem/", params={"key": told["key"]}, data={"secret": secret}, timeout=15)
    assert answer.json()["status"] == "ok"
    assert told["allow_search"] is True

    lead.goto(f"{venue.box.url}/devices")
    row = lead.get_by_role("row").filter(has_text="Gate C")
    expect(row).to_contain_text("just now")
    expect(row).to_contain_text("python-requests")
    expect(row.locator("td[data-label=Scans]")).to_have_text("1")


def test_limits_are_kept(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/devices")
    lead.fill("#name", "VIP door")
    lead.check("#app-pretixdroid")
    lead.get_by_text("Limits", exact=True).click()
    lead.check("#no-search")
    lead.get_by_label("VIP", exact=True).check()
    lead.get_by_role("button", name="Add").click()
    expect(lead.get_by_role("heading", name="VIP door")).to_be_visible()
    (told,) = codes_on(lead.screenshot())
    assert told["allow_search"] is False
    answer = requests.post(
        f"{told['url']}redeem/", params={"key": told["key"]}, data={"secret": next(venue.fresh_tickets())}, timeout=15
    )
    assert answer.json()["reason"] == "product"
    lead.goto(f"{venue.box.url}/devices")
    expect(lead.get_by_role("row").filter(has_text="VIP door")).to_contain_text("no search")


def test_a_name_that_is_taken_is_refused_where_it_was_asked_for(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/devices")
    lead.fill("#name", GATE_A)
    lead.get_by_role("button", name="Add").click()
    expect(lead).to_have_url(f"{venue.box.url}/devices")
    expect(lead.get_by_role("alert")).to_contain_text("in use by a device already")


def test_the_sheet_has_every_device_of_the_list_and_each_code_can_be_read(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/lists/{venue.list_id}/sheet")
    names = lead.locator("figcaption span").all_inner_texts()
    assert {GATE_A, GATE_B} <= set(names)
    lead.emulate_media(media="print")
    lead.set_viewport_size({"width": 794, "height": 1123})  # A4
    expect(lead.locator("nav")).to_be_hidden()
    told = codes_on(lead.screenshot(full_page=True))
    assert {venue.keys[GATE_A], venue.keys[GATE_B]} <= {code.get("key") for code in told}
    assert len(told) == len(names)


def test_a_revoked_device_is_asked_about_first_and_then_refused(lead: Page, venue: Venue) -> None:
    add_device(lead, venue, "Lost phone")
    (told,) = codes_on(lead.screenshot())
    lead.goto(f"{venue.box.url}/devices")
    lead.get_by_role("row").filter(has_text="Lost phone").get_by_role("link", name="Revoke").click()
    expect(lead.locator("main")).to_contain_text("it may still hold check-ins that it has not sent")
    assert requests.get(f"{told['url']}status/", params={"key": told["key"]}, timeout=15).status_code == 200

    lead.get_by_role("button", name="Revoke it").click()
    expect(lead.get_by_role("status").first).to_contain_text("Lost phone is revoked")
    assert requests.get(f"{told['url']}status/", params={"key": told["key"]}, timeout=15).status_code == 403
    lead.get_by_text("Revoked (1)").click()
    expect(lead.get_by_role("row").filter(has_text="Lost phone")).to_contain_text("revoked just now")


def test_a_phone_that_re_sends_entries_of_another_event_is_warned_of(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/devices")
    expect(lead.locator(".alert-warning")).to_have_count(0)
    for _again in range(3):
        venue.scan("of-last-years-event", GATE_B, force=True, nonce="n1")
    # They wait in memory for the next commit, two seconds at most.
    warning = lead.locator(".alert-warning")
    for _look in range(40):
        if warning.count():
            break
        lead.wait_for_timeout(250)
        lead.reload()
    expect(warning).to_contain_text("Gate B sends 1 entries")
    expect(warning).to_contain_text("reset the app on that phone")


def set_up(page: Page) -> App:
    """A phone that has scanned the code on the screen."""
    (told,) = codes_on(page.screenshot())
    app = App(told["url"], told["token"])
    app.first_start()
    return app


def test_a_pretixscan_phone_is_set_up_by_the_code_on_the_screen_which_then_is_used(lead: Page, venue: Venue) -> None:
    add_device(lead, venue, "Gate S", "pretixscan")
    expect(lead.locator("main")).to_contain_text("Scan this code with the app pretixSCAN")
    app = set_up(lead)
    expect(lead.get_by_role("status")).to_contain_text("Its QR code was used: it works once.")  # without a reload
    expect(lead.locator(".qr")).to_have_count(0)
    expect(lead.locator("dl")).to_contain_text("Zebra TC21")
    app.select({"democon": venue.list_id})
    assert app.scan(next(venue.fresh_tickets())).type == "VALID"

    lead.goto(f"{venue.box.url}/devices")
    row = lead.get_by_role("row").filter(has_text="Gate S")
    expect(row).to_contain_text("just now")
    expect(row).to_contain_text("pretixSCAN 3.3.4")
    expect(row).to_contain_text("Zebra TC21, Android 13")
    expect(row.locator("td[data-label=Scans]")).to_have_text("1")


def test_the_form_asks_for_what_the_chosen_app_needs(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/devices")
    lead.get_by_text("Limits", exact=True).click()
    only_one, several, no_statistics = (
        lead.get_by_label("List for pretixdroid"), lead.get_by_label("Main entrance"), lead.locator("#no-info"),
    )  # fmt: skip
    lead.get_by_label("pretixSCAN", exact=True).check()
    expect(several).to_be_visible()
    expect(only_one).to_be_hidden()
    expect(no_statistics).to_be_hidden()
    lead.get_by_label("pretixdroid", exact=True).check()
    expect(only_one).to_be_visible()
    expect(no_statistics).to_be_visible()
    expect(several).to_be_hidden()


def test_a_renewed_code_takes_the_place_of_the_phone_once_it_is_used(lead: Page, venue: Venue) -> None:
    add_device(lead, venue, "Gate T", "pretixscan")
    old = set_up(lead)
    lead.get_by_role("status").get_by_text("was used").wait_for()
    lead.get_by_role("button", name="Renew").click()
    expect(lead.locator(".qr")).to_be_visible()
    expect(lead.locator("main")).to_contain_text("The phone that is set up now works until then.")
    old.events()
    set_up(lead).events()
    with pytest.raises(LoggedOut):
        old.events()


@pytest.mark.parametrize(
    ("name", "button", "told", "error"),
    [
        ("Lent phone", "Revoke it", "What its app holds stays on the phone", LoggedOut),
        ("Stolen phone", "Revoke and wipe it", "Its app deletes what it holds the next time", Wiped),
    ],
)
def test_a_pretixscan_phone_is_revoked_or_wiped_as_was_said_before(
    lead: Page, venue: Venue, name: str, button: str, told: str, error: type[Exception]
) -> None:
    add_device(lead, venue, name, "pretixscan")
    app = set_up(lead)
    app.select({"democon": venue.list_id})
    lead.goto(f"{venue.box.url}/devices")
    lead.get_by_role("row").filter(has_text=name).get_by_role("link", name="Revoke").click()
    expect(lead.locator("main")).to_contain_text("the app deletes all of that the next time that it talks to the box")
    app.sync()

    lead.get_by_role("button", name=button, exact=True).click()

    expect(lead.get_by_role("status").first).to_contain_text(told)
    with pytest.raises(error):
        app.sync()
