"""The scanners of this box: adding, setting up, renewing and revoking them."""

from __future__ import annotations

import contextlib
import logging
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass

from edgebox.activity import ActivityMeter
from edgebox.clock import Clock
from edgebox.model import App, CheckInList, Device, Phone
from edgebox.registering import MAX_KEY_LENGTH, ActionError, checked_name
from edgebox.store import Store, StoreError
from edgebox.store.devices import NewDevice, Tally, foreign_repeats, session_digest, tallies

log = logging.getLogger(__name__)

KEY_CHARACTERS = string.digits + string.ascii_letters
"""The pretixdroid app does not URL-encode its key."""
KEY_LENGTH = 32
MIN_KEY_LENGTH = 6
SESSION_KEY_LENGTH = 64


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A device with what it has done."""

    device: Device
    checkins: int
    refusals: int
    foreign_repeats: int
    """Entries that it re-sends for ever although this box does not know the ticket."""


class Scanners:
    """The actions on devices. They raise ActionError, and Refused or another StoreError."""

    def __init__(self, store: Store, clock: Clock, meter: ActivityMeter) -> None:
        self._store = store
        self._clock = clock
        self._meter = meter

    def add(
        self,
        name: str,
        list_id: int,
        *,
        key: str | None = None,
        item_ids: frozenset[int] | None = None,
        allow_search: bool = True,
        show_info: bool = True,
    ) -> Device:
        """Add a scanner with the pretixdroid app to a list; without `key` it gets a random one."""
        if key is not None and (not MIN_KEY_LENGTH <= len(key) <= MAX_KEY_LENGTH or set(key) - set(KEY_CHARACTERS)):
            raise ActionError(
                f"a device's key has {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} digits and letters (a-z, A-Z), nothing else; "
                "nothing was added: leave it out to get a random one"
            )
        return self._add(
            NewDevice(
                name=checked_name("device", name),
                key=key or _random(KEY_LENGTH),
                list_ids=(self._list(list_id).id,),
                item_ids=item_ids,
                allow_search=allow_search,
                show_info=show_info,
            )
        )

    def add_pretixscan(
        self,
        name: str,
        list_ids: Sequence[int],
        *,
        item_ids: frozenset[int] | None = None,
        allow_search: bool = True,
    ) -> Device:
        """Add a scanner with the pretixSCAN app: to lists of one organizer, of several events if need be."""
        lists = [self._list(list_id) for list_id in dict.fromkeys(list_ids)]
        if not lists:
            raise ActionError("a scanner needs a list; nothing was added")
        organizers = sorted({list_.organizer for list_ in lists})
        if len(organizers) > 1:
            raise ActionError(
                f"the pretixSCAN app knows one organizer, and these lists are of {' and '.join(organizers)}; nothing"
                " was added: add a device for each"
            )
        return self._add(
            NewDevice(
                name=checked_name("device", name),
                key=_nobodys_key(),
                list_ids=tuple(list_.id for list_ in lists),
                item_ids=item_ids,
                allow_search=allow_search,
                show_info=True,
                app=App.PRETIXSCAN,
                setup_token=_random(KEY_LENGTH),
            )
        )

    def set_up(self, token: str, phone: Phone) -> tuple[Device, str] | None:
        """Begin a session with what stands in a QR code: the device, and the key that the phone shows from now on.

        None where the token is not known, or was used. An earlier session of the device ends.
        """
        key = _random(SESSION_KEY_LENGTH)
        device = self._store.devices.begin_session(token, session_digest(key), phone)
        if device is not None:
            log.info("device %d was set up", device.id)
        return (device, key) if device else None

    def tell(self, device: Device, phone: Phone) -> None:
        """Keep what a phone says of itself, if that is news."""
        if device.phone is None or _said(device.phone) != _said(phone):
            self._store.devices.keep_phone(device.id, phone)

    def end_session(self, device: Device) -> None:
        """The phone gives its key back; the device needs to be renewed for another one."""
        self._store.devices.end_session(device, _nobodys_key())
        log.info("device %d ended its session", device.id)

    def renew(self, name: str) -> Device:
        """A fresh token for a pretixSCAN device; what it was set up with works until the new one is used."""
        device = self._store.devices.named(name)
        if device.app is not App.PRETIXSCAN:
            raise ActionError(f"'{name}' uses the pretixdroid app, whose QR code can be scanned again: nothing changed")
        return self._store.devices.renew(device.id, _random(KEY_LENGTH))

    def shown(self, devices: Sequence[Device], address: str) -> None:
        """The QR codes of these were shown, with this address of the box in them. A full disk does not keep them from
        being shown."""
        for device in devices:
            if device.shown_address != address:
                with contextlib.suppress(StoreError):
                    self._store.devices.shown(device.id, address)

    def by_shown_address(self) -> dict[str, list[Device]]:
        """The devices in use by the address of the box that their QR codes carried; without those never shown."""
        found: dict[str, list[Device]] = {}
        for device in self._store.devices.all():
            if device.shown_address and device.revoked_at is None:
                found.setdefault(device.shown_address, []).append(device)
        return found

    def revoke(self, name: str, *, wipe: bool = False) -> Device:
        """End a device's access. `wipe`: its app is told to delete what it holds (pretixSCAN only)."""
        device = self._store.devices.named(name)
        if wipe and device.app is not App.PRETIXSCAN:
            raise ActionError(
                f"'{name}' uses the pretixdroid app, which cannot be wiped from here; nothing was revoked"
            )
        self._store.devices.revoke(device.id, self._clock.now(), wipe=wipe)
        self._meter.forget(device.name)
        log.info("device %d was revoked", device.id)
        return device

    def reports(self) -> list[DeviceReport]:
        """Every device, revoked ones too, with what it has done."""
        connection = self._store.reading()
        counted, foreign = tallies(connection), foreign_repeats(connection)
        return [
            DeviceReport(
                device,
                counted.get(device.id, Tally()).checkins,
                counted.get(device.id, Tally()).refusals,
                foreign.get(device.id, 0),
            )
            for device in self._store.devices.all()
        ]

    def lists_of(self, device: Device) -> list[CheckInList]:
        """Those of its lists that are still on the box."""
        return [list_ for list_ in map(self._store.lists.get, device.list_ids) if list_ is not None]

    def _add(self, new: NewDevice) -> Device:
        return self._store.devices.add(new, self._clock.now())

    def _list(self, list_id: int) -> CheckInList:
        found = self._store.lists.get(list_id)
        if found is None:
            raise ActionError(f"there is no list {list_id} (edgebox lists shows them)")
        return found


def _random(length: int) -> str:
    return "".join(secrets.choice(KEY_CHARACTERS) for _ in range(length))


def _nobodys_key() -> str:
    """The digest of a key that nobody was told."""
    return session_digest(_random(SESSION_KEY_LENGTH))


def _said(phone: Phone) -> tuple[str, ...]:
    return phone.hardware, phone.system, phone.software, phone.software_version
