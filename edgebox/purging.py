"""When the event is over: whose names and codes have to go, what stands against it, and the purge itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from edgebox.activity import ActivityMeter
from edgebox.clock import Clock
from edgebox.datadir import LOCK_NAME, SOCKET_NAME
from edgebox.model import Catalog, CheckInList
from edgebox.registering import ActionError
from edgebox.removing import exports_folder, exports_of
from edgebox.rules import zone_of
from edgebox.store import Store
from edgebox.store.damage import NOTICE
from edgebox.store.db import DATABASE_NAME
from edgebox.store.elsewhere import Cleaned, ListKey, clean_folder
from edgebox.store.purger import Gone, Personal
from edgebox.store.rebuilding import ENDINGS
from edgebox.store.reserve import NAME as RESERVE_NAME
from edgebox.store.restorations import FOLDER
from edgebox.sync import Sync

log = logging.getLogger(__name__)

A_DAY = timedelta(days=1)
"""How long an event lasts that does not say when it ends."""
REWRITE_WITHIN_S = 180.0
"""For how long a purge waits for a minute without scans, to rewrite the database."""
COPY_WITHIN_S = 60.0
EVER = 100_000
"""More deeds than there are."""
OWN_FILES = (
    "edgebox.toml", LOCK_NAME, SOCKET_NAME, RESERVE_NAME, NOTICE, FOLDER, *(f"{DATABASE_NAME}{end}" for end in ENDINGS),
)  # fmt: skip
"""What lies in the data directory and is no copy."""

KEPT_BY_UPDATE = "update"
"""Within the data directory: the copy with which scripts/update can go back, of the schema of the version before."""


class Hindrance(StrEnum):
    """Why a list that is due is not purged by itself."""

    UNSETTLED = "unsettled"
    """Check-ins of it are not at the ticket server."""
    ONLY_HERE = "only here"
    """It has no ticket server: what the purge takes away is nowhere else."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a list stands, also one that was removed. `due_at` None: nobody knows, or never by itself."""

    list: CheckInList
    is_removed: bool
    personal: Personal
    ends_at: datetime | None
    due_at: datetime | None
    hindrance: Hindrance | None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge came to."""

    lists: tuple[tuple[CheckInList, Gone], ...]
    problems: tuple[str, ...]
    """Lists that are due and were not purged, and why."""
    is_rewritten: bool
    """No trace is left in the database's files; else they are rewritten by a later purge, once nobody scans."""
    copies: Cleaned
    by_hand: tuple[str, ...]
    """Copies that somebody took along: nobody here can reach them."""


Report = Callable[[str, int], None]
"""Takes what is being done, and how many rows have gone so far."""


def ignore(what: str, rows: int) -> None:
    """For whoever does not want to know."""


class Purging:
    """Purges lists. Thread-safe: one purge at a time."""

    def __init__(
        self, store: Store, sync: Sync, clock: Clock, meter: ActivityMeter, data_dir: Path, after_days: float
    ) -> None:
        self._store = store
        self._sync = sync
        self._clock = clock
        self._meter = meter
        self._data_dir = data_dir
        self._after_days = after_days
        self._purging = threading.Lock()
        self.folders: Callable[[], Sequence[Path]] = lambda: ()
        """Where backups lie: whoever makes them says so here."""
        self.on_cleaned: Callable[[], None] = lambda: None
        """What was written in them may be no more."""

    # --- when ---------------------------------------------------------------------------------------------------------

    def due_at(self, list_: CheckInList) -> datetime | None:
        """When a list is to be purged by itself: so long after the event's end, or after its last use where it was used
        all the same. None: never, or nobody knows when the event ends."""
        ends_at = event_ends_at(list_)
        if not self._after_days or ends_at is None:
            return None
        after = timedelta(days=self._after_days)
        try:
            due_at = max(ends_at, list_.added_at or ends_at) + after
            if due_at > self._clock.now():  # as nearly always; this is asked again and again
                return due_at
            return max(due_at, (self._store.purger.last_checkin_at(list_.id) or ends_at) + after)
        except OverflowError:  # at the end of the calendar
            return None

    def hindrance(self, list_: CheckInList) -> Hindrance | None:
        """What keeps a list on the box from being purged although it is due; cheap, None for nearly every list."""
        due_at = self.due_at(list_)
        if due_at is None or due_at > self._clock.now():
            return None
        return self._hindrance(list_, self._store.journal.waiting(list_.id))

    def outlooks(self, list_id: int | None = None) -> list[Outlook]:
        """How each list stands, also those that were removed; or this one. Raises ActionError for an unknown one."""
        lists = [(list_, False) for list_ in self._store.lists.all()]
        lists += [(list_, True) for list_ in self._store.lists.removed()]
        if list_id is not None:
            lists = [(list_, is_removed) for list_, is_removed in lists if list_.id == list_id]
            if not lists:
                raise ActionError(f"there is no list {list_id}, nor was there ever (edgebox purge shows them)")
        return [self._outlook(list_, is_removed) for list_, is_removed in sorted(lists, key=lambda each: each[0].id)]

    def _outlook(self, list_: CheckInList, is_removed: bool) -> Outlook:
        personal = self._store.purger.look(list_.id)
        due_at = None if personal.ended_at else self.due_at(list_)
        return Outlook(
            list=list_,
            is_removed=is_removed,
            personal=personal,
            ends_at=event_ends_at(list_),
            due_at=due_at,
            hindrance=self._hindrance(list_, personal.unsettled)
            if due_at is not None and due_at <= self._clock.now()
            else None,
        )

    @staticmethod
    def _hindrance(list_: CheckInList, unsettled: int) -> Hindrance | None:
        if unsettled:
            return Hindrance.UNSETTLED
        return None if list_.has_upstream else Hindrance.ONLY_HERE

    # --- doing it -----------------------------------------------------------------------------------------------------

    def purge(
        self,
        list_id: int,
        *,
        abandons: bool = False,
        folders: Sequence[Path] = (),
        within_s: float = REWRITE_WITHIN_S,
        report: Report = ignore,
    ) -> Purged:
        """Take away what is personal of a list, whenever its event was; it is on the box no longer.

        `abandons`: also check-ins that are not at the ticket server. `folders`: with copies of the database. Raises
        Refused (then nothing has gone), ActionError for an unknown list or while another purge is under way, and
        StoreError where the disk fails: what has not gone by then goes with the next purge.
        """
        with self._alone():
            outlook = self.outlooks(list_id)[0]
            by_hand = self._taken_along()
            gone = [] if outlook.personal.ended_at else [self._take(outlook.list, abandons, report)]
            return self._sweep(gone, (), by_hand, folders, within_s, report)

    def purge_due(
        self, *, folders: Sequence[Path] = (), within_s: float = REWRITE_WITHIN_S, report: Report = ignore
    ) -> Purged:
        """Purge every list whose time has come, go on with what was interrupted, and look after copies. Raises as
        `purge` does."""
        with self._alone():
            by_hand = self._taken_along()
            gone, problems = [], []
            for outlook in self.outlooks():
                if outlook.personal.is_begun and outlook.personal.ended_at is None:
                    gone.append(self._take(outlook.list, True, report))
                elif outlook.due_at is None or outlook.due_at > self._clock.now():
                    continue
                elif problem := self._problem(outlook):
                    problems.append(problem)
                else:
                    gone.append(self._take(outlook.list, False, report))
            return self._sweep(gone, tuple(problems), by_hand, folders, within_s, report)

    def _problem(self, outlook: Outlook) -> str | None:
        """Why a list that is due must not be purged now."""
        name = f"list {outlook.list.id} ({outlook.list.name})"
        if not self._clock.is_trusted():
            return f"{name} seems to be due, but the clock cannot be trusted; nothing was purged"
        if outlook.hindrance is Hindrance.UNSETTLED:
            return (
                f"{name} is due, but {outlook.personal.unsettled} check-ins are not at the ticket server; nothing was "
                "purged: sync first (edgebox sync), and retry or dismiss the parked ones (edgebox attention)"
            )
        if outlook.hindrance is Hindrance.ONLY_HERE:
            return (
                f"{name} is due, but only this box has its check-ins; nothing was purged: export them (edgebox "
                f"export), then edgebox purge --list {outlook.list.id}"
            )
        return None

    def _take(self, list_: CheckInList, abandons: bool, report: Report) -> tuple[CheckInList, Gone]:
        now = self._clock.now()
        self._store.purger.begin(list_.id, now, abandons=abandons)
        self._sync.remove(list_.id)
        gone = self._store.purger.run(list_.id, now, lambda rows: report(f"list {list_.id}", rows))
        for name in gone.devices:
            self._meter.forget(name)
        log.info(
            "list %d was purged: %d tickets, %d check-ins, %d refused attempts",
            list_.id, gone.tickets, gone.checkins, gone.attempts,
        )  # fmt: skip
        return list_, gone

    def _sweep(
        self,
        gone: list[tuple[CheckInList, Gone]],
        problems: tuple[str, ...],
        by_hand: tuple[str, ...],
        folders: Sequence[Path],
        within_s: float,
        report: Report,
    ) -> Purged:
        """What is left in files: free space, the log, copies."""
        is_rewritten = True
        if self._store.purger.needs_rewriting():
            report("rewriting the database", 0)
            is_rewritten = self._store.purger.rewrite(within_s=within_s)
        return Purged(tuple(gone), problems, is_rewritten, self._clean(folders, report), by_hand if gone else ())

    def _clean(self, folders: Sequence[Path], report: Report) -> Cleaned:
        """Every copy that can be reached, of every list that was ever purged: a stick may have been away."""
        keys = self._store.purger.ended()
        own = [*(self._data_dir / name for name in (*OWN_FILES, KEPT_BY_UPDATE)), exports_folder(self._data_dir)]
        own = [path.resolve() for path in own]
        cleaned = Cleaned()
        if not keys:
            return cleaned
        cleaned += self._clean_replaced() + self._clean_exports([key.list_id for key in keys])
        cleaned += self._clean_way_back(keys)
        for folder in dict.fromkeys(path.resolve() for path in (self._data_dir, *self.folders(), *folders)):
            report(f"looking for copies in {folder}", 0)
            cleaned += clean_folder(folder, keys, self._clock.now(), own=own)
        self.on_cleaned()
        return cleaned

    def _clean_way_back(self, keys: Sequence[ListKey]) -> Cleaned:
        """What an update has kept is of use to the version before, as that has made it, or not at all: then it goes."""
        kept = (self._data_dir / KEPT_BY_UPDATE).resolve()
        if not kept.is_dir():
            return Cleaned()
        cleaned = clean_folder(kept, keys, self._clock.now(), keeps_schema=True)
        done, left = list(cleaned.done), []
        for path, why in cleaned.left:
            try:
                path.unlink(missing_ok=True)
                done.append(path)
            except OSError as error:
                left.append((path, error.strerror or why))
        return Cleaned(tuple(done), tuple(left))

    def _clean_replaced(self) -> Cleaned:
        """What a restoration replaced goes altogether: it may be too damaged to take anything out of it."""
        why = "what was restored is not seen by staff yet: edgebox attention seen, then edgebox purge --due"
        try:
            return Cleaned(left=tuple((path, why) for path in self._store.restorations.forget()))
        except OSError as error:
            return Cleaned(left=((self._data_dir / FOLDER, error.strerror or str(error)),))

    def _clean_exports(self, list_ids: Sequence[int]) -> Cleaned:
        """What was exported of a list as it was removed."""
        cleaned = Cleaned()
        for path in (path for list_id in list_ids for path in exports_of(self._data_dir, list_id)):
            try:
                path.unlink()
                cleaned += Cleaned(done=(path,))
            except OSError as error:
                cleaned += Cleaned(left=((path, error.strerror or str(error)),))
        return cleaned

    def _taken_along(self) -> tuple[str, ...]:
        """Who downloaded a backup, and when: it can be anywhere."""
        return tuple(
            f"downloaded on {deed.at:%Y-%m-%d %H:%M} UTC by {deed.staff_name}"
            for deed in self._store.staff.deeds(EVER)
            if deed.action == "downloaded a backup"
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else purges, nor makes a copy, until the block ends."""
        if not self._purging.acquire(blocking=False):
            raise ActionError("a purge is under way already; nothing more was done: wait for it (edgebox purge)")
        try:
            with self._store.no_copies(COPY_WITHIN_S):
                yield
        finally:
            self._purging.release()


# --- when an event ends -----------------------------------------------------------------------------------------------


def event_ends_at(list_: CheckInList) -> datetime | None:
    """When the event of a list is over: of a series the list's date, or the last one; None where nobody tells."""
    catalog = list_.catalog
    if catalog is None:
        return None
    wanted = list_.terms.subevent if list_.terms else None
    dates = [date for date in catalog.subevents if wanted in (None, date.id)]
    if dates:
        return max((end for date in dates if (end := _end(catalog, date.date_from, date.date_to))), default=None)
    return _end(catalog, catalog.event.date_from, catalog.event.date_to)


def _end(catalog: Catalog, date_from: str | None, date_to: str | None) -> datetime | None:
    if (ends_at := _instant(catalog, date_to)) is not None:
        return ends_at
    begins_at = _instant(catalog, date_from)
    return begins_at + A_DAY if begins_at is not None else None


def _instant(catalog: Catalog, text: str | None) -> datetime | None:
    """What upstream sent as text; one without an offset is in the event's zone."""
    try:
        instant = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if instant is not None and instant.utcoffset() is None:
        instant = instant.replace(tzinfo=zone_of(catalog))
    return instant
