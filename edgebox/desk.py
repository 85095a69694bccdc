"""What staff do by hand with a ticket: find it, read its story, check it in, note something, undo."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from edgebox.clock import Clock
from edgebox.model import CheckIn, CheckInList, PastCheckIn, Redeemed, RedeemRequest, Ticket
from edgebox.rules import is_inside
from edgebox.store import Refused, Store
from edgebox.store.attempts import MAX_SECRET_CHARS
from edgebox.store.journal import Cancellation
from edgebox.store.log import LogEntry, entries
from edgebox.store.notes import Note
from edgebox.store.presence import emptied
from edgebox.store.redeem import Scan
from edgebox.sync import Sync

MAX_ATTEMPTS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """One ticket that a search found."""

    ticket: Ticket
    list: CheckInList
    item_name: str
    is_redeemed: bool


@dataclass(frozen=True, slots=True)
class Story:
    """All that the box knows of a ticket."""

    ticket: Ticket
    check_in_list: CheckInList
    item_name: str
    history: tuple[PastCheckIn, ...]
    is_inside: bool
    checkins: list[CheckIn]
    undoable: frozenset[int]
    """Check-ins that `Desk.undo` would undo right now."""
    cancellations: list[Cancellation]
    attempts: list[LogEntry]
    """Newest first, the last MAX_ATTEMPTS_SHOWN; also those from before the box knew the ticket."""
    notes: list[Note]


class Desk:
    """The desk in the back office. All errors are StoreErrors; nothing was done then."""

    def __init__(self, store: Store, sync: Sync, clock: Clock) -> None:
        self._store = store
        self._sync = sync
        self._clock = clock

    def find(self, query: str, limit: int) -> list[Hit]:
        """Tickets of all lists whose secret or order starts with the query or whose name contains it; withdrawn and
        unpaid ones too."""
        hits: list[Hit] = []
        searched: set[int] = set()
        for list_ in self._store.lists.all():
            if list_.source.id in searched:
                continue  # its tickets were found on the event's first list
            searched.add(list_.source.id)
            found = self._store.tickets.search(
                list_, query, item_ids=None, by_name=True, limit=limit - len(hits), withdrawn_too=True
            )
            hits += [self._hit(list_, each.ticket, each.is_redeemed) for each in found]
            if len(hits) >= limit:
                break
        return hits

    def _hit(self, searched: CheckInList, ticket: Ticket, is_redeemed: bool) -> Hit:
        list_ = self._list_for(ticket) or searched
        if list_.id != searched.id:
            found = self._store.tickets.find(list_, ticket.data.secret)
            is_redeemed = found is not None and found.is_redeemed
        return Hit(ticket, list_, _item_name(list_, ticket), is_redeemed)

    def story(self, ticket_id: int) -> Story:
        """A ticket's whole history. Raises Refused for an unknown one."""
        ticket, list_, history = self._require(ticket_id)
        checkins = self._store.journal.of_ticket(ticket_id)
        secret = ticket.data.secret[:MAX_SECRET_CHARS]
        attempts = entries(self._store.reading(), list_id=list_.id, secret=secret, is_newest_first=True)
        return Story(
            ticket=ticket,
            check_in_list=list_,
            item_name=_item_name(list_, ticket),
            history=history,
            is_inside=is_inside(history, emptied(list_, self._clock.now())),
            checkins=checkins,
            undoable=frozenset(checkin.id for checkin in checkins if self._store.journal.is_undoable(checkin)),
            cancellations=self._store.journal.cancellations(ticket_id),
            attempts=list(islice(attempts, MAX_ATTEMPTS_SHOWN)),
            notes=self._store.notes.of(ticket_id),
        )

    def check_in(
        self, ticket_id: int, staff_name: str, reason: str | None, *, is_forced: bool, nonce: str | None = None
    ) -> Redeemed:
        """Check a ticket in by hand, by the same decision as a scanner's; nobody is asked questions.

        Forcing needs a reason. The same `nonce` again is the same check-in. Raises Refused, Busy, NotWritable.
        """
        if is_forced and not reason:
            raise Refused("forcing a check-in needs a reason; nothing was recorded")
        ticket, list_, _history = self._require(ticket_id)
        scan = Scan(
            list_id=list_.id,
            device=None,
            request=RedeemRequest(ticket.data.secret, nonce=nonce, is_forced=is_forced, ignores_unpaid=is_forced),
            stamp=self._clock.stamp(),
            is_offline=not self._sync.is_online(list_.id),
            staff_name=staff_name,
            staff_reason=reason or None,
        )
        redeemed = self._store.redeemer.redeem(scan)
        if redeemed.verdict.is_ok:
            self._sync.recorded(list_.id)
        return redeemed

    def note(self, ticket_id: int, staff_name: str, text: str) -> None:
        """Keep a note on a ticket. Raises Refused for an unknown one."""
        self._require(ticket_id)
        self._store.notes.add(ticket_id, Note(self._clock.now(), staff_name, text))

    def undo(self, checkin_id: int, staff_name: str, reason: str) -> None:
        """Undo a check-in of which upstream was not told; it needs a reason. Raises Refused where upstream may know."""
        if not reason:
            raise Refused("undoing a check-in needs a reason; nothing was undone")
        self._store.journal.undo(checkin_id, staff_name, reason, self._clock.now())

    def _require(self, ticket_id: int) -> tuple[Ticket, CheckInList, tuple[PastCheckIn, ...]]:
        for list_ in self._store.lists.all():
            found = self._store.tickets.get(list_, ticket_id)
            if found is None:
                continue
            meant = self._list_for(found[0])
            if meant is not None and meant.id != list_.id:
                list_, found = meant, self._store.tickets.get(meant, ticket_id) or found
            return found[0], list_, found[1]
        raise Refused("this ticket is not known here any more; nothing was done")

    def _list_for(self, ticket: Ticket) -> CheckInList | None:
        """Where several lists share the event's tickets: the first one that this ticket is on."""
        lists = self._store.lists.of_source(ticket.source_id)
        return next((list_ for list_ in lists if list_.is_for(ticket.data)), None)


def _item_name(list_: CheckInList, ticket: Ticket) -> str:
    item = list_.catalog.item(ticket.data.item_id) if list_.catalog else None
    if item is None:
        return f"#{ticket.data.item_id}"
    variation = next((v.name for v in item.variations if v.id == ticket.data.variation_id), None)
    return f"{item.name}, {variation}" if variation else item.name
