"""Devices that are set up by a token: it works once, for the key of a session, of which the box keeps a digest."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from edgebox.model import App, Device, Phone
from edgebox.store import NotWritable, Refused
from edgebox.store.db import DATABASE_NAME
from edgebox.store.devices import NewDevice, session_digest
from tests.store.venue import EIGHT, HeldWriter, Venue, full_disk

PHONE = Phone("Zebra TC21", "Android 13", "pretixSCAN Android", "3.3.4", EIGHT)
LAPTOP = Phone("Größe", "Linux 6", "pretixSCAN Desktop", "1.15", EIGHT + timedelta(hours=1))


def add(venue: Venue, name: str = "Phone", token: str = "TOKEN") -> Device:
    new = NewDevice(
        name=name,
        key=session_digest(f"nobody's {name}"),
        list_ids=(venue.list_id,),
        item_ids=None,
        allow_search=True,
        show_info=True,
        app=App.PRETIXSCAN,
        setup_token=token,
    )
    return venue.store.devices.add(new, venue.now)


def begin(venue: Venue, token: str, key: str, phone: Phone = PHONE) -> Device | None:
    return venue.store.devices.begin_session(token, session_digest(key), phone)


def opened_by(venue: Venue, key: str) -> str | None:
    device = venue.store.devices.by_session(key)
    return device.name if device else None


def restarted(venue: Venue) -> Venue:
    venue.close()
    return Venue(venue.data_dir)


# --- set up -----------------------------------------------------------------------------------------------------------


def test_a_token_begins_a_session_and_the_phone_is_known(venue: Venue) -> None:
    added = add(venue)
    assert (added.app, added.setup_token, added.phone) == (App.PRETIXSCAN, "TOKEN", None)
    device = begin(venue, "TOKEN", "key")
    assert device is not None
    assert (device.id, device.setup_token, device.phone) == (added.id, None, PHONE)
    assert venue.store.devices.by_session("key") == venue.store.devices.named("Phone") == device


def test_a_token_works_once(venue: Venue) -> None:
    add(venue)
    begin(venue, "TOKEN", "key")
    assert begin(venue, "TOKEN", "another") is None
    assert opened_by(venue, "key") == "Phone"
    assert opened_by(venue, "another") is None


@pytest.mark.parametrize("token", ["", "token", "TOKE", "TOKEN ", "\ud800", session_digest("nobody's Phone")])
def test_no_other_token_does(venue: Venue, token: str) -> None:
    add(venue)
    assert begin(venue, token, "key") is None
    assert opened_by(venue, "key") is None


def test_of_two_phones_at_one_code_one_is_set_up(venue: Venue) -> None:
    add(venue)
    held = HeldWriter(venue.store._writer)
    got: list[Device | None] = []
    threads = [threading.Thread(target=lambda n=n: got.append(begin(venue, "TOKEN", f"key{n}"))) for n in range(2)]
    for thread in threads:
        thread.start()
    held.wait_for(jobs=2)
    held.release()
    for thread in threads:
        thread.join()
    assert [device is None for device in got].count(True) == 1
    assert [opened_by(venue, f"key{n}") for n in range(2)].count("Phone") == 1


def test_all_of_it_is_there_after_a_restart(venue: Venue) -> None:
    add(venue, "set up", "FIRST")
    add(venue, "waiting", "SECOND")
    begin(venue, "FIRST", "key", LAPTOP)
    before = venue.store.devices.all()
    again = restarted(venue)
    assert again.store.devices.all() == before
    assert opened_by(again, "key") == "set up"
    assert begin(again, "FIRST", "another") is None
    device = begin(again, "SECOND", "second")
    assert device is not None
    assert device.name == "waiting"
    again.close()


def test_the_key_itself_is_nowhere_on_the_disk(venue: Venue) -> None:
    add(venue)
    begin(venue, "TOKEN", "a-very-secret-key")
    venue.close()
    for file in venue.data_dir.iterdir():
        content = file.read_bytes()
        assert b"a-very-secret-key" not in content
        if file.name == DATABASE_NAME:
            assert session_digest("a-very-secret-key").encode() in content


def test_neither_key_nor_token_is_shown_by_accident(venue: Venue) -> None:
    device = add(venue, token="SECRETTOKEN")
    assert "SECRETTOKEN" not in repr(device)
    assert device.key not in repr(device)
    assert "SECRETTOKEN" not in repr(NewDevice("x", "SECRETTOKEN", (), None, True, True, setup_token="SECRETTOKEN"))


def test_a_token_that_is_in_use_already_is_no_second_devices(venue: Venue) -> None:
    add(venue, "Phone")
    with pytest.raises(Refused, match="in use by a device already"):
        add(venue, "Other")


# --- each key opens its own dialect -----------------------------------------------------------------------------------


def test_what_is_kept_of_a_key_opens_nothing(venue: Venue) -> None:
    add(venue)
    begin(venue, "TOKEN", "key")
    assert opened_by(venue, session_digest("key")) is None
    assert venue.store.devices.by_key(session_digest("key")) is None
    assert venue.store.devices.by_key("key") is None


def test_a_pretixdroid_key_begins_no_session_and_is_none(venue: Venue) -> None:
    venue.add_device("Gate 2", key="ABCDEF")
    venue.add_device("Gate 3", key=session_digest("guessed"))
    assert opened_by(venue, "ABCDEF") is None
    assert opened_by(venue, "guessed") is None, "a key that happens to be a digest"
    assert begin(venue, "ABCDEF", "key") is None
    assert (venue.device.app, venue.device.setup_token, venue.device.phone) == (App.PRETIXDROID, None, None)


def test_nobody_knows_the_key_of_a_device_that_was_not_set_up(venue: Venue) -> None:
    device = add(venue)
    for guess in ("", device.key, "TOKEN", "Phone"):
        assert opened_by(venue, guess) is None


# --- a fresh token ----------------------------------------------------------------------------------------------------


def test_the_session_goes_on_until_the_fresh_token_is_used(venue: Venue) -> None:
    device = add(venue)
    begin(venue, "TOKEN", "old")
    assert venue.store.devices.renew(device.id, "FRESH").setup_token == "FRESH"
    assert opened_by(venue, "old") == "Phone"
    assert begin(venue, "TOKEN", "thief") is None
    assert begin(venue, "FRESH", "new", LAPTOP) is not None
    assert (opened_by(venue, "old"), opened_by(venue, "new")) == (None, "Phone")
    assert venue.store.devices.named("Phone").phone == LAPTOP


def test_a_fresh_token_ends_one_that_was_never_used(venue: Venue) -> None:
    device = add(venue)
    venue.store.devices.renew(device.id, "FRESH")
    assert begin(venue, "TOKEN", "thief") is None
    again = restarted(venue)
    assert begin(again, "FRESH", "key") is not None
    again.close()


def test_an_ended_session_is_gone_and_the_device_can_be_set_up_anew(venue: Venue) -> None:
    add(venue)
    device = begin(venue, "TOKEN", "key")
    assert device is not None
    venue.store.devices.end_session(device, session_digest("nobody's"))
    assert opened_by(venue, "key") is None
    assert venue.store.devices.named("Phone").phone == PHONE, "what it was is still known"
    venue.store.devices.renew(device.id, "FRESH")
    assert begin(venue, "FRESH", "key again") is not None


def test_who_ends_a_session_does_not_end_the_next_ones(venue: Venue) -> None:
    """The old phone is reset in the moment in which the new one is set up."""
    add(venue)
    old = begin(venue, "TOKEN", "old")
    assert old is not None
    venue.store.devices.renew(old.id, "FRESH")
    begin(venue, "FRESH", "new")
    venue.store.devices.end_session(old, session_digest("nobody's"))
    assert opened_by(venue, "new") == "Phone"


def test_what_a_phone_says_later_is_kept(venue: Venue) -> None:
    device = add(venue)
    begin(venue, "TOKEN", "key")
    venue.store.devices.keep_phone(device.id, LAPTOP)
    assert venue.store.devices.named("Phone").phone == LAPTOP
    assert opened_by(venue, "key") == "Phone"


# --- revoked ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wipe", [False, True])
def test_of_a_revoked_device_it_is_known_that_and_whether_it_is_to_be_wiped(venue: Venue, wipe: bool) -> None:
    device = add(venue)
    begin(venue, "TOKEN", "key")
    venue.store.devices.revoke(device.id, EIGHT, wipe=wipe)
    known = venue.store.devices.by_session("key")
    assert known is not None, "so that its phone can be told"
    assert (known.revoked_at, known.is_to_wipe) == (EIGHT, wipe)
    assert venue.store.devices.working(device.id) is None
    again = restarted(venue)
    assert again.store.devices.by_session("key") == known
    again.close()


def test_a_revoked_devices_token_is_void(venue: Venue) -> None:
    device = add(venue)
    venue.store.devices.revoke(device.id, EIGHT)
    assert begin(venue, "TOKEN", "key") is None
    assert venue.store.devices.all()[-1].setup_token is None
    venue.store.devices.renew(device.id, "FRESH")
    assert begin(venue, "FRESH", "key") is None
    assert opened_by(venue, "key") is None


def test_a_code_that_is_scanned_while_staff_revoke_the_device_sets_nothing_up(venue: Venue) -> None:
    device = add(venue)
    held = HeldWriter(venue.store._writer)
    got: list[Device | None] = []
    revoking = threading.Thread(target=lambda: venue.store.devices.revoke(device.id, EIGHT))
    revoking.start()
    held.wait_for(jobs=1)
    scanning = threading.Thread(target=lambda: got.append(begin(venue, "TOKEN", "key")))
    scanning.start()
    held.wait_for(jobs=2)
    held.release()
    revoking.join()
    scanning.join()
    assert got == [None]
    assert opened_by(venue, "key") is None


def test_its_name_is_free_again(venue: Venue) -> None:
    old = add(venue, token="FIRST")
    begin(venue, "FIRST", "key")
    venue.store.devices.revoke(old.id, EIGHT)
    new = venue.add_device("Phone", key="ABCDEF")
    assert venue.store.devices.named("Phone") == new
    assert new.id != old.id


# --- what was not committed is not there ------------------------------------------------------------------------------


def test_a_session_that_could_not_be_written_did_not_begin(venue: Venue) -> None:
    device = add(venue)
    before = venue.store.devices.all()
    with full_disk():
        with pytest.raises(NotWritable):
            begin(venue, "TOKEN", "key")
        with pytest.raises(NotWritable):
            venue.store.devices.renew(device.id, "FRESH")
        with pytest.raises(NotWritable):
            venue.store.devices.keep_phone(device.id, PHONE)
    assert venue.store.devices.all() == before
    assert begin(venue, "FRESH", "key") is None
    assert begin(venue, "TOKEN", "key") is not None
