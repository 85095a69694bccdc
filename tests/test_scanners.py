"""Adding, setting up, renewing and revoking scanners: what is refused is refused in words, and changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgebox.box import ActionError, Box
from edgebox.config import Config
from edgebox.model import App, Device, Phone, RedeemRequest
from edgebox.scanners import KEY_CHARACTERS, Scanners
from edgebox.store import Refused
from tests.store.venue import EIGHT
from tests.support.box import wait_until
from tests.support.upstream import StubUpstream

PHONE = Phone("Zebra TC21", "Android 13", "pretixSCAN Android", "3.3.4", EIGHT)


@pytest.fixture
def box(tmp_path: Path, stub: StubUpstream) -> Iterator[Box]:
    """Lists 1 and 2 of one organizer, list 3 of another."""
    stub.add_tickets(2)
    opened = Box(Config(data_dir=tmp_path))
    for organizer, event in (("demoorga", "gala"), ("demoorga", "tour"), ("else", "fair")):
        stub.list_name = event
        status = stub.status()
        status["event"]["slug"], status["event"]["organizer"]["slug"] = event, organizer
        opened.add_saved({"status": status, "download": stub.download()}, f"the file of {event}", separate=True)
    yield opened
    opened.close()


@pytest.fixture
def scanners(box: Box) -> Scanners:
    return box.scanners


def names(scanners: Scanners) -> list[str]:
    return [report.device.name for report in scanners.reports()]


def token_of(device: Device) -> str:
    assert device.setup_token is not None
    return device.setup_token


# --- adding -----------------------------------------------------------------------------------------------------------


def test_a_pretixscan_device_has_several_lists_and_a_token(scanners: Scanners) -> None:
    device = scanners.add_pretixscan("Phone", [2, 1, 2], item_ids=frozenset({5}), allow_search=False)
    assert (device.app, device.list_ids, device.item_ids, device.allow_search) == (
        App.PRETIXSCAN, (2, 1), {5}, False,
    )  # fmt: skip
    assert len(token_of(device)) == 32
    assert set(token_of(device)) <= set(KEY_CHARACTERS)
    assert device.phone is None
    assert {list_.id for list_ in scanners.lists_of(device)} == {1, 2}


def test_every_token_and_key_is_another(scanners: Scanners) -> None:
    devices = [scanners.add_pretixscan(f"Phone {number}", [1]) for number in range(8)]
    assert len({token_of(device) for device in devices}) == 8
    assert len({device.key for device in devices}) == 8


@pytest.mark.parametrize(
    ("list_ids", "words"),
    [
        ([], "needs a list; nothing was added"),
        ([1, 9], "there is no list 9"),
        ([1, 3], "these lists are of demoorga and else; nothing was added: add a device for each"),
    ],
)
def test_lists_that_one_phone_cannot_have_are_refused(scanners: Scanners, list_ids: list[int], words: str) -> None:
    with pytest.raises(ActionError, match=words):
        scanners.add_pretixscan("Phone", list_ids)
    assert names(scanners) == []


def test_a_pretixdroid_device_needs_a_list_that_is_there(scanners: Scanners) -> None:
    with pytest.raises(ActionError, match="there is no list 9"):
        scanners.add("Phone", 9)
    assert names(scanners) == []


@pytest.mark.parametrize("add", [lambda s: s.add(" ", 1), lambda s: s.add_pretixscan(" ", [1])])
def test_a_device_needs_a_name(scanners: Scanners, add: Callable[[Scanners], Device]) -> None:
    with pytest.raises(ActionError, match="name"):
        add(scanners)
    assert names(scanners) == []


def test_a_name_is_one_devices_whatever_the_app(scanners: Scanners) -> None:
    scanners.add("Gate", 1)
    with pytest.raises(Refused, match="this name is in use"):
        scanners.add_pretixscan("Gate", [1])
    assert names(scanners) == ["Gate"]


# --- setting up -------------------------------------------------------------------------------------------------------


def test_a_code_sets_one_phone_up(scanners: Scanners, box: Box) -> None:
    token = token_of(scanners.add_pretixscan("Phone", [1]))
    begun = scanners.set_up(token, PHONE)
    assert begun is not None
    device, key = begun
    assert (device.name, device.phone, len(key)) == ("Phone", PHONE, 64)
    assert box.store.devices.by_session(key) == device
    assert scanners.set_up(token, PHONE) is None
    assert scanners.set_up("", PHONE) is None


def test_what_a_phone_tells_is_kept_when_it_is_news(scanners: Scanners, box: Box) -> None:
    scanners.set_up(token_of(scanners.add_pretixscan("Phone", [1])), PHONE)
    device = box.store.devices.named("Phone")
    scanners.tell(device, replace(PHONE, since=EIGHT.replace(year=2027)))
    assert box.store.devices.named("Phone").phone == PHONE, "nothing new: nothing is written"
    newer = replace(PHONE, software_version="3.4.0")
    scanners.tell(device, newer)
    assert box.store.devices.named("Phone").phone == newer


def test_a_phone_that_is_reset_needs_a_fresh_code(scanners: Scanners, box: Box) -> None:
    begun = scanners.set_up(token_of(scanners.add_pretixscan("Phone", [1])), PHONE)
    assert begun is not None
    device, key = begun
    scanners.end_session(device)
    assert box.store.devices.by_session(key) is None
    begun = scanners.set_up(token_of(scanners.renew("Phone")), PHONE)
    assert begun is not None
    assert begun[0].id == device.id
    assert begun[1] != key


def test_no_key_and_no_token_is_in_the_log(scanners: Scanners, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "edgebox")
    token = token_of(scanners.add_pretixscan("Phone", [1]))
    begun = scanners.set_up(token, PHONE)
    assert begun is not None
    scanners.end_session(begun[0])
    fresh = token_of(scanners.renew("Phone"))
    scanners.revoke("Phone", wipe=True)
    assert "was set up" in caplog.text
    assert "was revoked" in caplog.text
    for secret in (token, fresh, begun[1]):
        assert secret not in caplog.text


# --- renewing and revoking --------------------------------------------------------------------------------------------


def test_a_device_of_the_old_app_is_neither_renewed_nor_wiped(scanners: Scanners, box: Box) -> None:
    before = scanners.add("Gate", 1)
    with pytest.raises(ActionError, match="uses the pretixdroid app, whose QR code can be scanned again"):
        scanners.renew("Gate")
    with pytest.raises(ActionError, match="uses the pretixdroid app, which cannot be wiped from here; nothing was rev"):
        scanners.revoke("Gate", wipe=True)
    assert box.store.devices.by_key(before.key) == before
    assert scanners.revoke("Gate").name == "Gate"
    assert box.store.devices.by_key(before.key) is None


@pytest.mark.parametrize("act", [Scanners.renew, Scanners.revoke])
def test_one_that_is_not_there_or_no_longer_is_refused(
    scanners: Scanners, act: Callable[[Scanners, str], Device]
) -> None:
    with pytest.raises(Refused, match="no device named 'Nobody'"):
        act(scanners, "Nobody")
    scanners.add_pretixscan("Phone", [1])
    scanners.revoke("Phone")
    with pytest.raises(Refused, match="no device named 'Phone'"):
        act(scanners, "Phone")


@pytest.mark.parametrize("wipe", [False, True])
def test_revoking_says_whether_the_app_is_to_delete_its_data(scanners: Scanners, box: Box, wipe: bool) -> None:
    begun = scanners.set_up(token_of(scanners.add_pretixscan("Phone", [1])), PHONE)
    assert begun is not None
    scanners.revoke("Phone", wipe=wipe)
    device = box.store.devices.by_session(begun[1])
    assert device is not None
    assert device.revoked_at is not None
    assert device.is_to_wipe is wipe


def test_a_list_that_was_removed_is_no_longer_among_a_devices(scanners: Scanners, box: Box) -> None:
    device = scanners.add_pretixscan("Phone", [1, 2])
    box.remove_list(1)
    assert [list_.id for list_ in scanners.lists_of(device)] == [2]
    box.remove_list(2)
    assert scanners.lists_of(device) == []


def test_a_report_counts_what_the_device_did(scanners: Scanners, box: Box) -> None:
    device = scanners.add_pretixscan("Phone", [1])
    for secret in ("secret000000", "secret000000", "nobody"):
        box.redeem(device, box.get_list(1), RedeemRequest(secret))

    def counted() -> list[tuple[int, int, int, int]]:
        return [(each.device.id, each.checkins, each.refusals, each.foreign_repeats) for each in scanners.reports()]

    wait_until(lambda: counted() == [(device.id, 1, 2, 0)], 20, "the refusals are written")
