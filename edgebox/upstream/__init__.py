"""What the box speaks to ticket servers: one room per dialect, behind this small interface.

Nothing outside of this package knows a dialect. A verb either returns what upstream said, or raises one of the
`UpstreamError`s; their texts are for staff and never hold a key, a URL with a key, or a guest's data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from edgebox.model import Catalog, CheckIn, Direction, ListTerms, ToldOrder, ToldTicket

# --- what went wrong --------------------------------------------------------------------------------------------------


class UpstreamError(Exception):
    """Root of all that can go wrong with an upstream. `is_permanent`: it will not heal by itself."""

    is_permanent = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        """What staff can do about it; may be empty."""

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class Unreachable(UpstreamError):
    """No answer, or one that says "later". Whether a request was acted on is unknown."""

    def __init__(self, message: str, hint: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s


class NotUpstream(UpstreamError):
    """Something answered that is not the ticket server: a login page of the venue's network, or a proxy."""


class Closed(UpstreamError):
    """Upstream itself says that this list's key or event is not valid (any more)."""

    is_permanent = True


class BadAddress(UpstreamError):
    """What should be an upstream's address or file cannot be one."""

    is_permanent = True


# --- what a push comes to ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """Upstream has the check-in. `was_held`: it had this very one already, from a try whose answer was lost."""

    was_held: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Upstream decided against the check-in; with `can_force` the same one, sent with force, is recorded there.

    `was_held`: because of itself, for upstream had it already, from a try whose answer was lost.
    """

    reason: str
    can_force: bool
    was_held: bool = False


@dataclass(frozen=True, slots=True)
class Poisonous:
    """Upstream chokes on this very check-in while it answers otherwise; `is_final`: trying again is of no use."""

    message: str
    is_final: bool


PushOutcome = Accepted | Refused | Poisonous


# --- the interface ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Description:
    """What upstream says a credential opens. `organizer` and `event` are slugs."""

    organizer: str
    event: str
    subevent: int | None
    catalog: Catalog
    tickets_total: int | None = None
    """How many tickets upstream says that there are; None where it does not."""
    list_name: str | None = None
    """What upstream calls the list, where it says so apart from the event."""
    terms: ListTerms | None = None


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What upstream knows of one secret: the ticket; or only that there is one (`is_partial`); or nothing."""

    ticket: ToldTicket | None = None
    is_partial: bool = False


class PulledSnapshot(Protocol):
    """The tickets of a source as they stream in."""

    age_s: float
    """How much older than the request upstream says its answer is; 0 for a fresh one."""

    def tickets(self) -> Iterator[ToldTicket]:
        """All tickets, in bounded memory. The body was whole only if this ends without an error."""

    def catalog(self) -> Catalog:
        """What came beside the tickets; call it after `tickets` has ended.

        Raises NotUpstream when some of all that came could not be read: then the snapshot is not whole either.
        """


@dataclass(frozen=True, slots=True)
class Master:
    """What an event tells beside its tickets, for all of its lists: name and terms by upstream's id of the list.

    `revoked` and `blocked` are secrets that let nobody in, whatever their tickets say.
    """

    catalog: Catalog
    lists: Mapping[int, tuple[str, ListTerms]]
    revoked: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """Some orders, and where to go on from here. To be taken in whole, `state` with it, or not at all."""

    orders: tuple[ToldOrder, ...]
    state: str
    """Opaque; handed back to `follow`."""
    done: int = 0
    total: int | None = None
    """How many orders of this pass were told so far, and how many there are; None where nobody knows."""


class Feed(Protocol):
    """The orders of one event, followed as they change: shared by the lists of the event. Safe to call from threads."""

    @property
    def interval_s(self) -> float:
        """How often upstream may be asked for what has changed."""

    def master(self) -> Master:
        """What there is beside the orders; asks only for what may have changed."""

    def follow(self, state: str | None) -> Iterator[Page]:
        """From where `state` left off until now: all orders (None), the rest of them, or what has changed since."""

    def all_orders(self) -> Iterator[Page]:
        """Every order there is, to find out which are gone; the `state` of its pages means nothing."""

    def count(self) -> int:
        """How many orders there are."""

    def close(self) -> None:
        """Give up what is under way: that, and every later verb, raises Unreachable at once."""


class Upstream(Protocol):
    """One list's ticket server. Every verb may raise Unreachable, NotUpstream or Closed. Safe to call from threads.

    Open until `close()`. One with a `feed` has no `pull`: its tickets come from there.
    """

    @property
    def feed(self) -> Feed | None:
        """Where its tickets come from, shared with the event's other lists; None: from `pull`."""

    def describe(self) -> Description:
        """What the credential opens. Cheap: also serves to find out whether upstream is there."""

    def pull(self, known: Catalog) -> AbstractContextManager[PulledSnapshot]:
        """Ask for all tickets; `known` is what `describe` just told."""

    def push(self, checkin: CheckIn, *, force: bool) -> PushOutcome:
        """Tell one check-in, with its own nonce and datetime. Telling it again is harmless."""

    @property
    def at_once(self) -> int:
        """How many check-ins, each of another ticket, it may be told at the same time."""

    def report_refusal(
        self, secret: str, reason: str, at: dt.datetime, nonce: str, *, direction: Direction, position_id: int | None
    ) -> bool:
        """Tell of an attempt that was refused here; telling it again with the same nonce is harmless. False where
        upstream does not take it, and never will."""

    def look_up(self, secret: str, known: Catalog) -> LookedUp:
        """Ask for one ticket by its exact secret."""

    def close(self) -> None:
        """Give up what is under way: that, and every later verb, raises Unreachable at once."""
