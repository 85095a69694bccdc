"""The box: builds store, upstreams and sync. Its methods are the actions that commands, pages, devices and tests share.

Errors that a person can meet are StoreError, UpstreamError and ActionError; each says what happened and what to do.
"""

from __future__ import annotations

import logging
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from werkzeug.security import generate_password_hash

from edgebox.activity import ActivityMeter
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.desk import Desk
from edgebox.lan import base_url
from edgebox.model import CheckIn, CheckInList, Device, Reason, Redeemed, RedeemRequest, SourceKind
from edgebox.ops.health import Health, look
from edgebox.store import Store, StoreError
from edgebox.store.attempts import Sighting
from edgebox.store.devices import NewDevice, Tally, foreign_repeats, tallies
from edgebox.store.held import HeldBack, HeldTicket
from edgebox.store.journal import Conflict
from edgebox.store.lists import NewList
from edgebox.store.rates import MinuteCount
from edgebox.store.redeem import Scan
from edgebox.store.staff import Deed, Role
from edgebox.store.tickets import Count, Counts
from edgebox.sync import LinkReport, ManualRun, Report, Sync, Synced, ignore
from edgebox.upstream import Closed, Description, Upstream, UpstreamError
from edgebox.upstream import file as saved_file
from edgebox.upstream.pretixdroid import PretixdroidUpstream, parse_address
from edgebox.upstream.transport import Http

log = logging.getLogger(__name__)

KEY_CHARACTERS = string.digits + string.ascii_letters
"""The scanner app does not URL-encode its key."""
KEY_LENGTH = 32
MIN_KEY_LENGTH = 6
EVENING = timedelta(hours=8)
"""How far back the chart of check-ins goes."""
MAX_KEY_LENGTH = 190
MAX_NAME_LENGTH = 100


def _note_unreached(error: UpstreamError) -> None:
    log.warning("the new list's upstream cannot be asked yet: %s", error)


class ActionError(Exception):
    """An action that staff asked for cannot be done; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class ListStatus:
    """How a list stands. Counts are as scanners see them in `status/`."""

    list: CheckInList
    link: LinkReport
    tickets: int
    checkins: int
    pending: int
    oldest_pending_at: datetime | None
    conflicts: int
    held: HeldBack
    items: tuple[ItemCount, ...]
    upstream_total: int | None
    """How many tickets upstream says that there are; None where it did not yet."""
    drain_s: float | None
    """How long pushing what waits will take; None where nothing waits or nobody knows."""


@dataclass(frozen=True, slots=True)
class ItemCount:
    """The count of an item, or of one of its variations."""

    name: str
    is_variation: bool
    count: Count


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A device with what it has done."""

    device: Device
    checkins: int
    refusals: int
    foreign_repeats: int
    """Entries that it re-sends for ever although this box does not know the ticket."""


class Box:
    """Everything behind the interfaces. The caller holds the data directory's lock and ends it with `close()`."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.store = Store(
            config.data_dir,
            attempts_max_age_days=config.attempts_max_age_days,
            attempts_max_count=config.attempts_max_count,
        )
        last = self.store.journal.last_recorded_at()
        if last is not None:
            self.clock.note_recorded(last)
        self._http = Http(self.clock, config.connect_timeout_s, config.read_timeout_s)
        self.sync = Sync(self.store, self.clock, config, self._connect)
        self.desk = Desk(self.store, self.sync, self.clock)
        self.meter = ActivityMeter()
        self._registering = threading.Lock()
        self._started_s = time.monotonic()
        self._counts: dict[int, tuple[int, Counts]] = {}
        self.listens_on: tuple[str, int] | None = None
        """(host, port) while the box serves."""

    def close(self) -> None:
        """Stop syncing, write what waits, close the database."""
        self.sync.stop()
        self.store.close()

    # --- what devices do ----------------------------------------------------------------------------------------------

    def redeem(self, device: Device, list_: CheckInList, request: RedeemRequest) -> Redeemed:
        """Decide and record; durable when it returns. Raises Busy, NotWritable, Refused (the list is gone)."""
        scan = Scan(list_.id, device, request, self.clock.stamp(), is_offline=not self.sync.is_online(list_.id))
        self.meter.scanned(device.name)
        redeemed = self.store.redeemer.redeem(scan)
        if redeemed.verdict.reason is Reason.UNKNOWN_TICKET:
            self.sync.met_unknown(list_.id, request.secret)
        elif redeemed.verdict.is_ok and not redeemed.verdict.is_repeat:
            self.sync.recorded(list_.id)
        return redeemed

    def saw(self, device: Device, user_agent: str | None) -> None:
        """A device asked for something. Cheap enough for every request."""
        self.store.attempts.saw(Sighting(device.id, self.clock.now(), user_agent and user_agent[:200]))

    def counts(self, list_: CheckInList) -> Counts:
        """How many tickets there are and how many are in; counted again only when something has changed."""
        version = self.store.lists.version_of(list_.id)
        known = self._counts.get(list_.id)
        if known is None or known[0] != version:
            known = self._counts[list_.id] = (version, self.store.tickets.counts(list_))
        return known[1]

    # --- lists --------------------------------------------------------------------------------------------------------

    def get_list(self, list_id: int) -> CheckInList:
        """A list of this box. Raises ActionError for an unknown one."""
        found = self.store.lists.get(list_id)
        if found is None:
            raise ActionError(f"there is no list {list_id} (edgebox lists shows them)")
        return found

    def add_list(
        self,
        url: str,
        key: str,
        *,
        name: str | None = None,
        separate: bool = False,
        on_unreached: Callable[[UpstreamError], None] = _note_unreached,
    ) -> CheckInList:
        """Register an upstream's check-in list. Upstream is asked at once; where it does not answer, `on_unreached`
        gets the reason, and the list is added all the same.

        Raises ActionError for a credential of a list that is here already (unless `separate`), for a name or key that
        cannot be one, and when upstream refuses the key; BadAddress for what cannot be an address.
        """
        name = _checked_name("list", name) if name is not None else None
        key = key.strip()
        if not key.isascii() or not key.isprintable() or not 0 < len(key) <= MAX_KEY_LENGTH or " " in key:
            raise ActionError("this cannot be an upstream's key (letters and digits in one piece); nothing was added")
        address = parse_address(url)
        upstream = PretixdroidUpstream(address.url, key, self._http, self.clock)
        description: Description | None = None
        try:
            description = upstream.describe()
        except Closed as error:
            raise ActionError(f"{error}; nothing was added") from error
        except UpstreamError as error:
            on_unreached(error)
        finally:
            upstream.close()  # the list gets one of its own
        catalog = description.catalog if description else None
        new = NewList(
            kind=SourceKind.PRETIXDROID,
            url=address.url,
            credential=key,
            organizer=address.organizer,
            event=address.event,
            subevent=description.subevent if description else address.subevent,
            name=name or (catalog and (catalog.event.list_name or catalog.event.name)) or address.path,
            catalog=catalog,
        )
        return self._added(self._registered(new, separate))

    def add_saved(self, body: Any, origin: str, *, name: str | None = None, separate: bool = False) -> CheckInList:
        """Register a list without upstream from the JSON of a saved `status/` and `download/`.

        `origin` names it in errors. Raises BadAddress, ActionError.
        """
        name = _checked_name("list", name) if name is not None else None
        saved = saved_file.read(body, origin)
        told = saved.description
        new = NewList(
            kind=SourceKind.FILE,
            url="",
            credential="",
            organizer=told.organizer,
            event=told.event,
            subevent=told.subevent,
            name=name or told.catalog.event.list_name or told.catalog.event.name or told.event,
            catalog=told.catalog,
        )
        list_ = self._registered(new, separate)
        snapshot = self.store.snapshots.begin(list_, self.store.numbers.next())
        snapshot.add(saved.tickets)
        snapshot.finish(self.clock.now(), 0.0)
        return self._added(list_)

    def remove_list(self, list_id: int) -> None:
        """Forget a list. Raises Refused while check-ins are pending or parked, ActionError for an unknown one."""
        self.get_list(list_id)
        self.store.lists.remove(list_id, self.clock.now())
        self.sync.remove(list_id)
        log.info("list %d was removed", list_id)

    def pause_list(self, list_id: int, is_paused: bool) -> None:
        """Stop or go on with the sync of a list; scanning goes on either way. Raises ActionError."""
        list_ = self.get_list(list_id)
        if not list_.has_upstream:
            raise ActionError(f"list {list_id} comes from a file: there is no sync to pause or to go on with")
        if list_.is_paused == is_paused:
            return
        self.store.lists.pause(list_id, is_paused)
        self.sync.remove(list_id)
        self.sync.add(self.get_list(list_id))
        log.info("list %d: its sync is %s", list_id, "paused" if is_paused else "going on")

    def start_sync(self, list_id: int | None = None) -> ManualRun:
        """Begin to push and pull, one list or all of them; `sync.manual.last` tells how far it is."""
        lists = (self.get_list(list_id),) if list_id is not None else self.store.lists.all()
        return self.sync.manual.start([list_.id for list_ in lists])

    def status(self) -> list[ListStatus]:
        """How each list stands, in the order in which they were added."""
        return [self._status(list_) for list_ in self.store.lists.all()]

    def sync_now(self, list_id: int | None = None, report: Report = ignore) -> list[Synced]:
        """Push and pull now, one list or all of them."""
        lists = (self.get_list(list_id),) if list_id is not None else self.store.lists.all()
        return [self.sync.now(list_.id, report) for list_ in lists]

    # --- devices ------------------------------------------------------------------------------------------------------

    def add_device(
        self,
        name: str,
        list_id: int,
        *,
        key: str | None = None,
        item_ids: frozenset[int] | None = None,
        allow_search: bool = True,
        show_info: bool = True,
    ) -> Device:
        """Add a scanner to a list; without `key` it gets a random one. Raises ActionError, Refused."""
        self.get_list(list_id)
        name = _checked_name("device", name)
        if key is not None and (not MIN_KEY_LENGTH <= len(key) <= MAX_KEY_LENGTH or set(key) - set(KEY_CHARACTERS)):
            raise ActionError(
                f"a device's key has {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} digits and letters (a-z, A-Z), nothing else; "
                "nothing was added: leave it out to get a random one"
            )
        new = NewDevice(
            name=name,
            key=key or "".join(secrets.choice(KEY_CHARACTERS) for _ in range(KEY_LENGTH)),
            list_ids=(list_id,),
            item_ids=item_ids,
            allow_search=allow_search,
            show_info=show_info,
        )
        return self.store.devices.add(new, self.clock.now())

    def device_reports(self) -> list[DeviceReport]:
        """Every device, revoked ones too, with what it has done."""
        connection = self.store.reading()
        counted, foreign = tallies(connection), foreign_repeats(connection)
        return [
            DeviceReport(
                device,
                counted.get(device.id, Tally()).checkins,
                counted.get(device.id, Tally()).refusals,
                foreign.get(device.id, 0),
            )
            for device in self.store.devices.all()
        ]

    def revoke_device(self, name: str) -> Device:
        """End a device's access. Raises Refused for an unknown one."""
        device = self.store.devices.named(name)
        self.store.devices.revoke(device.id, self.clock.now())
        self.meter.forget(device.name)
        log.info("device %d was revoked", device.id)
        return device

    def base_url(self) -> str:
        """Where scanners reach this box, as QR codes carry it: no slash at the end."""
        host, port = self.listens_on or (self.config.host, self.config.port)
        return base_url(self.config.address, host, port)

    # --- attention ----------------------------------------------------------------------------------------------------

    def conflicts(self) -> list[Conflict]:
        """Conflicts and parked check-ins that nobody has closed."""
        return self.store.journal.open_conflicts()

    def held_tickets(self, list_id: int, limit: int = 20) -> list[HeldTicket]:
        """The first of what a pull would take away from a list."""
        return self.store.held.tickets(self.get_list(list_id), limit)

    def retry(self, checkin_id: int) -> CheckIn:
        """Try a parked check-in again. Raises Refused."""
        checkin = self.store.journal.retry(checkin_id)
        self.sync.recorded(checkin.list_id)
        return checkin

    def dismiss(self, checkin_id: int, reason: str | None) -> CheckIn:
        """Close a conflict. Raises Refused."""
        return self.store.journal.dismiss(checkin_id, reason, self.clock.now())

    def accept_held(self, list_id: int) -> HeldBack:
        """Let the pull take away what waits. Raises Refused, ActionError."""
        taken = self.store.held.accept(self.get_list(list_id))
        log.info("list %d: staff accepted %d withdrawals, %d undone check-ins", list_id, taken.tickets, taken.checkins)
        return taken

    def reject_held(self, list_id: int) -> HeldBack:
        """Keep what the pull would take away. Raises Refused, ActionError."""
        kept = self.store.held.reject(self.get_list(list_id))
        log.info("list %d: staff rejected %d withdrawals, %d undone check-ins", list_id, kept.tickets, kept.checkins)
        return kept

    # --- staff --------------------------------------------------------------------------------------------------------

    def set_password(self, role: Role, password: str) -> None:
        """Set a role's password, whoever asks; its sessions end."""
        self.store.staff.set_password(role, generate_password_hash(password), code=None)

    def reset_password(self, role: Role) -> str:
        """Forget a role's password and end its sessions; the code with which a new one can be set."""
        code = self.store.staff.reset(role)
        self.did("-", "command line", "reset the password", role)
        return code

    def did(self, staff_name: str, role: str, action: str, about: str) -> None:
        """Keep what somebody did. It is done: that the disk has no room for the record of it does not undo it."""
        try:
            self.store.staff.did(Deed(self.clock.now(), staff_name, role, action, about))
        except StoreError as error:
            log.error("the record of what staff did lacks: %s (%s): %s", action, role, error)

    def checkins_per_minute(self) -> list[MinuteCount]:
        """The evening so far."""
        return self.store.rates.per_minute(self.clock.now() - EVENING)

    def health(self) -> Health:
        """How the machine is."""
        return look(self.config.data_dir, self._started_s)

    # ------------------------------------------------------------------------------------------------------------------

    def _connect(self, list_: CheckInList) -> Upstream | None:
        if not list_.has_upstream:
            return None
        return PretixdroidUpstream(list_.source.url, list_.source.credential, self._http, self.clock)

    def _added(self, list_: CheckInList) -> CheckInList:
        self.sync.add(list_)
        log.info("list %d was added: %s", list_.id, list_.path)
        return list_

    def _registered(self, new: NewList, separate: bool) -> CheckInList:
        # One after the other: who presses twice must not get past the look at what is there twice.
        with self._registering:
            if not separate:
                self._refuse_twin(new)
            return self.store.lists.add(new, self.clock.now())

    def _refuse_twin(self, new: NewList) -> None:
        """Two credentials of one check-in list are one list: it must not be counted twice, nor let anybody in twice."""
        for have in self.store.lists.all():
            if have.source.kind is not new.kind or _event_url(have.source.url) != _event_url(new.url):
                continue
            if (have.organizer, have.event) != (new.organizer, new.event):
                continue
            is_same_key = new.kind is not SourceKind.FILE and have.source.credential == new.credential
            is_same_list = (
                have.catalog is not None
                and new.catalog is not None
                and have.subevent == new.subevent
                and have.catalog.event.list_name == new.catalog.event.list_name
            )
            if is_same_key or is_same_list:
                raise ActionError(
                    f"this is the check-in list that the box has as list {have.id} ({have.name}); nothing was added: "
                    "to limit a scanner to some items, use edgebox devices add --items; --separate adds it all the same"
                )

    def _status(self, list_: CheckInList) -> ListStatus:
        counts = self.counts(list_)
        backlog = self.store.journal.backlog(list_.id)
        return ListStatus(
            list=list_,
            link=self.sync.report(list_.id),
            tickets=counts.all.total,
            checkins=counts.all.checkins,
            pending=backlog.pending,
            oldest_pending_at=backlog.oldest_pending_at,
            conflicts=backlog.conflicts,
            held=self.store.held.of(list_),
            items=tuple(_item_counts(list_, counts)),
            upstream_total=self.sync.upstream_total(list_.id),
            drain_s=self.sync.drain_s(list_.id, backlog.pending),
        )


def _checked_name(what: str, name: str) -> str:
    """The name without blanks around it. Raises ActionError for one that cannot be shown."""
    name = name.strip()
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ActionError(f"a {what} needs a name of 1 to {MAX_NAME_LENGTH} printable characters; nothing was added")
    return name


def _item_counts(list_: CheckInList, counts: Counts) -> Iterator[ItemCount]:
    for item in list_.catalog.items if list_.catalog else ():
        if (count := counts.by_item.get(item.id)) is None:
            continue
        yield ItemCount(item.name, False, count)
        for variation in item.variations:
            if (count := counts.by_variation.get((item.id, variation.id))) is not None:
                yield ItemCount(variation.name, True, count)


def _event_url(url: str) -> str:
    """A list's address without the date of a series."""
    return parse_address(url).event_url if url else ""
