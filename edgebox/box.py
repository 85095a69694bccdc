"""The box: builds store, upstreams and sync. Its methods are the actions that commands, pages, devices and tests share.

Errors that a person can meet are StoreError, UpstreamError and ActionError; each says what happened and what to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from werkzeug.security import generate_password_hash

from edgebox.activity import ActivityMeter
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.connecting import Connector
from edgebox.desk import Desk
from edgebox.lan import base_url, is_here
from edgebox.model import CheckIn, CheckInList, Connection, Device, Reason, Redeemed, RedeemRequest
from edgebox.ops.backups import Backups
from edgebox.ops.caretaker import Caretaker
from edgebox.ops.health import Health, look
from edgebox.ops.metrics import Metrics
from edgebox.purging import Hindrance, Purging
from edgebox.registering import ActionError as ActionError  # what the actions here raise
from edgebox.registering import Offer, Registrar
from edgebox.removing import Exported, remove_with_export
from edgebox.scanners import Scanners
from edgebox.store import Store, StoreError
from edgebox.store.attempts import Sighting
from edgebox.store.choosing import choose
from edgebox.store.held import HeldBack, HeldTicket
from edgebox.store.journal import Conflict
from edgebox.store.presence import emptied
from edgebox.store.rates import MinuteCount
from edgebox.store.redeem import Scan
from edgebox.store.staff import Deed, Role
from edgebox.store.tickets import Count, Counts
from edgebox.sync import LinkReport, ManualRun, Report, Sync, Synced, ignore
from edgebox.upstream import UpstreamError
from edgebox.upstream.pretix import verify, what_a_profile_forbids
from edgebox.upstream.transport import Http

log = logging.getLogger(__name__)

NOT_RECORDED = "not_recorded"
"""What metrics call a scan that the box could not take: too busy, a failing disk, a list that is gone."""
EVENING = timedelta(hours=8)
"""How far back the chart of check-ins goes."""


def _note_unreached(error: UpstreamError) -> None:
    log.warning("the new list's upstream cannot be asked yet: %s", error)


@dataclass(frozen=True, slots=True)
class ListStatus:
    """How a list stands. Counts are as scanners see them in `status/`."""

    list: CheckInList
    link: LinkReport
    tickets: int
    checkins: int
    """Tickets that have entered."""
    inside: int
    """Those of them that have not left since."""
    pending: int
    oldest_pending_at: datetime | None
    conflicts: int
    held: HeldBack
    items: tuple[ItemCount, ...]
    upstream_total: int | None
    """How many tickets upstream says that there are; None where it did not yet."""
    drain_s: float | None
    """How long pushing what waits will take; None where nothing waits or nobody knows."""
    purge_due_at: datetime | None = None
    """When what is personal of it is to be removed; None: never by itself, or nobody knows."""
    purge_hindrance: Hindrance | None = None
    """Why that was not done although it is due."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """A connection, its lists with their links, and how far the box's clock is ahead of the server's."""

    connection: Connection
    links: tuple[tuple[CheckInList, LinkReport], ...]
    clock_ahead_s: float | None
    forbidden: str | None
    """What its security profile forbids, in words, where that is too much."""


@dataclass(frozen=True, slots=True)
class ItemCount:
    """The count of an item, or of one of its variations."""

    name: str
    is_variation: bool
    count: Count


class Box:
    """Everything behind the interfaces. The caller holds the data directory's lock and ends it with `close()`.

    `clock` and `http` are seams for tests: the time, and the way to every server.
    """

    def __init__(self, config: Config, clock: Clock | None = None, http: Http | None = None) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.store = Store(
            config.data_dir,
            attempts_max_age_days=config.attempts_max_age_days,
            attempts_max_count=config.attempts_max_count,
            now=self.clock.now,
        )
        last = self.store.stamps.last_recorded_at()
        if last is not None:
            self.clock.note_recorded(last)
        self._http = http or Http(self.clock, config.connect_timeout_s, config.read_timeout_s)
        self._connector = Connector(self._http, self.clock, self.store.connections.get)
        self._registrar = Registrar(self.store, self.clock, self._connector)
        self.store.redeemer.verify = verify
        self.store.redeemer.accepts_test_mode = config.accept_test_mode
        self.store.redeemer.grace = timedelta(seconds=config.rescan_grace_s)
        self.sync = Sync(self.store, self.clock, config, self._connector.upstream_of, self._http.monotonic)
        self.desk = Desk(self.store, self.sync, self.clock)
        self.caretaker = Caretaker(
            self.store, self.clock.now, copy_interval_s=config.copy_interval_s, copies_kept=config.copies_kept
        )
        self.backups = Backups(self.store, self.clock.now, config.backup_folder, config.backups_kept)
        self.meter = ActivityMeter()
        self.metrics = Metrics()
        self.scanners = Scanners(self.store, self.clock, self.meter)
        self.purging = Purging(self.store, self.sync, self.clock, self.meter, config.data_dir, config.purge_after_days)
        self.purging.folders = lambda: [folder] if (folder := self.backups.folder) is not None else []
        self.purging.on_cleaned = self.backups.begin_anew
        self._started_s = time.monotonic()
        self._counts: dict[int, tuple[tuple[int, datetime | None], Counts]] = {}
        self.listens_on: tuple[str, int] | None = None
        """(host, port) while the box serves."""

    def close(self) -> None:
        """Stop syncing, write what waits, close the database."""
        self.sync.stop()
        self.caretaker.stop()
        self.backups.stop()
        self._connector.close()
        self.store.close()

    # --- what devices do ----------------------------------------------------------------------------------------------

    def redeem(
        self, device: Device, list_: CheckInList, request: RedeemRequest, *, ambiguity: str | None = None
    ) -> Redeemed:
        """Decide and record; durable when it returns. Raises Busy, NotWritable, Refused (the list is gone)."""
        is_offline = not self.sync.is_online(list_.id)
        scan = Scan(list_.id, device, request, self.clock.stamp(), is_offline, ambiguity=ambiguity)
        self.meter.scanned(device.name)
        began_s, verdict = time.monotonic(), NOT_RECORDED
        try:
            redeemed = self.store.redeemer.redeem(scan)
            verdict = redeemed.verdict.reason or ("repeat" if redeemed.verdict.is_repeat else "ok")
        finally:
            self.metrics.scanned(device.app, verdict, time.monotonic() - began_s)
        if redeemed.verdict.reason is Reason.UNKNOWN_TICKET and redeemed.ticket is None:
            self.sync.met_unknown(list_.id, request.secret)
        elif redeemed.verdict.is_ok and not redeemed.verdict.is_repeat:
            self.sync.recorded(list_.id)
        return redeemed

    def redeem_on_one_of(
        self, device: Device, lists: Sequence[CheckInList], request: RedeemRequest
    ) -> tuple[CheckInList, Redeemed]:
        """The same for a device that has chosen lists of several events: the ticket decides which one it is."""
        list_, ambiguity = choose(self.store.reading(), lists, request.secret, self.store.redeemer.verify)
        return list_, self.redeem(device, list_, request, ambiguity=ambiguity)

    def saw(self, device: Device, user_agent: str | None) -> None:
        """A device asked for something. Cheap enough for every request."""
        self.store.attempts.saw(Sighting(device.id, self.clock.now(), user_agent and user_agent[:200]))

    def counts(self, list_: CheckInList) -> Counts:
        """How many tickets there are and how many are in; counted again only when something has changed."""
        state = (self.store.lists.version_of(list_.id), emptied(list_, self.clock.now()))
        known = self._counts.get(list_.id)
        if known is None or known[0] != state:
            known = self._counts[list_.id] = (state, self.store.tickets.counts(list_))
        return known[1]

    # --- connections --------------------------------------------------------------------------------------------------

    def connect(
        self, text: str, token: str | None = None, *, renew_id: int | None = None
    ) -> tuple[Connection, str | None]:
        """Register the box with today's pretix as a device: by its address and a token that works once, or by what its
        QR code holds. What pretix answers is on the disk before anything else is done. With what its security profile
        forbids, in words, where that is too much.

        `renew_id`: pair that connection anew; its lists stay. Raises ActionError, BadAddress, an UpstreamError, and
        Refused where check-ins of the connection to renew wait.
        """
        connection, forbidden = self._registrar.pair(text, token, renew_id)
        if renew_id is not None:
            lists = [list_ for list_ in self.store.lists.all() if list_.source.connection_id == renew_id]
            for list_ in lists:
                self.sync.remove(list_.id)
            for list_ in lists:  # after all were removed: they share what speaks to upstream
                self.sync.add(list_)
        return connection, forbidden

    def connections(self) -> list[ConnectionStatus]:
        """The connections, and how their lists stand."""
        return [self._connection_status(connection) for connection in self.store.connections.all()]

    def disconnect(self, connection_id: int) -> None:
        """Forget a connection that no list uses. Raises Refused, ActionError."""
        self._registrar.connection(connection_id)
        self.store.connections.remove(connection_id, self.clock.now())
        self._connector.forget(connection_id)

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
        return self._added(self._registrar.add_list(url, key, name=name, separate=separate, on_unreached=on_unreached))

    def add_saved(self, body: Any, origin: str, *, name: str | None = None, separate: bool = False) -> CheckInList:
        """Register a list without upstream from the JSON of a saved `status/` and `download/`.

        `origin` names it in errors. Raises BadAddress, ActionError.
        """
        return self._added(self._registrar.add_saved(body, origin, name=name, separate=separate))

    def offers(self, connection_id: int | None = None) -> list[Offer]:
        """The check-in lists that the connections offer, or one of them. Raises ActionError, an UpstreamError."""
        return self._registrar.offers(connection_id)

    def add_offered(
        self, event: str, upstream_list: int, *, connection_id: int | None = None, name: str | None = None
    ) -> CheckInList:
        """Register a list that a connection offers, by pretix's id of it. Raises ActionError, an UpstreamError."""
        return self._added(self._registrar.add_offered(event, upstream_list, connection_id=connection_id, name=name))

    def remove_list(self, list_id: int, *, force: bool = False) -> Exported | None:
        """Forget a list. Raises Refused while check-ins are pending or parked, ActionError for an unknown one.

        `force`: those are written to a file before, which it tells, and not told upstream any more. Raises StoreError
        where that cannot be; the list is still there then.
        """
        list_, exported = self.get_list(list_id), None
        if force:
            self.sync.remove(list_id, wait=True)  # nothing is told any more of what the file will hold
            try:
                exported = remove_with_export(self.store, self.config.data_dir, list_id, self.clock.now())
            except BaseException:
                if self.store.lists.get(list_id) is not None:
                    self.sync.add(list_)
                raise
        else:
            self.store.lists.remove(list_id, self.clock.now())
            self.sync.remove(list_id)
        log.info("list %d was removed; %d check-ins exported", list_id, exported.checkins if exported else 0)
        return exported

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

    def base_url(self) -> str:
        """Where scanners reach this box, as QR codes carry it: no slash at the end."""
        host, port = self.listens_on or (self.config.host, self.config.port)
        return base_url(self.config.address, host, port)

    def lost_addresses(self) -> dict[str, list[str]]:
        """Addresses that phones look for this box at and that this machine does not have now, with the names of the
        devices whose QR codes carried them. Also the one that new QR codes would carry, if that is such a one."""
        shown = self.scanners.by_shown_address()
        addresses = dict.fromkeys([*shown, self.base_url()])
        return {
            address: [device.name for device in shown.get(address, ())] for address in addresses if not is_here(address)
        }

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

    def _connection_status(self, connection: Connection) -> ConnectionStatus:
        lists = (list_ for list_ in self.store.lists.all() if list_.source.connection_id == connection.id)
        return ConnectionStatus(
            connection=connection,
            links=tuple((list_, self.sync.report(list_.id)) for list_ in lists),
            clock_ahead_s=self._connector.pretix(connection).clock_ahead_s,
            forbidden=what_a_profile_forbids(connection.security_profile),
        )

    def _added(self, list_: CheckInList) -> CheckInList:
        self.sync.add(list_)
        log.info("list %d was added: %s", list_.id, list_.path)
        return list_

    def _status(self, list_: CheckInList) -> ListStatus:
        counts = self.counts(list_)
        backlog = self.store.journal.backlog(list_.id)
        return ListStatus(
            list=list_,
            link=self.sync.report(list_.id),
            tickets=counts.all.total,
            checkins=counts.all.checkins,
            inside=counts.all.inside,
            pending=backlog.pending,
            oldest_pending_at=backlog.oldest_pending_at,
            conflicts=backlog.conflicts,
            held=self.store.held.of(list_),
            items=tuple(_item_counts(list_, counts)),
            upstream_total=self.sync.upstream_total(list_.id),
            drain_s=self.sync.drain_s(list_.id, backlog.pending),
            purge_due_at=self.purging.due_at(list_),
            purge_hindrance=self.purging.hindrance(list_),
        )


def _item_counts(list_: CheckInList, counts: Counts) -> Iterator[ItemCount]:
    for item in list_.catalog.items if list_.catalog else ():
        if (count := counts.by_item.get(item.id)) is None:
            continue
        yield ItemCount(item.name, False, count)
        for variation in item.variations:
            if (count := counts.by_variation.get((item.id, variation.id))) is not None:
                yield ItemCount(variation.name, True, count)
