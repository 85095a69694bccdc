"""The ticket servers of an evening: the stubs, with the rules of the real ones where those matter here, and a record of
every check-in that was ever stored. What changes, and what is pushed, is told to whoever watches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from tests.evenings.words import ENTRY, EXIT, UNPAID, VOID, Record, Standing, Terms, Told
from tests.support.event import CANCELED, PAID, PENDING, StubCheckIn, parsed
from tests.support.pretix import PretixStub, Response, check_in_list, order, position, said
from tests.support.pretix import Request as PretixRequest
from tests.support.upstream import Request as OldRequest
from tests.support.upstream import StubUpstream

PAGE_SIZE = 4
"""Pretix's own is 50: an evening has few tickets, and should have several pages."""
NOT_FORCEABLE = {"unknown_ticket", "product", "invalid"}


@dataclass(frozen=True)
class Push:
    """A check-in that upstream acted on."""

    nonce: str
    ticket: str
    list_id: int
    direction: str
    at: datetime
    forced: bool
    refusal: str | None
    stored: bool

    def __str__(self) -> str:
        what = self.refusal or ("stored" if self.stored else "ok")
        return f"{self.nonce} of {self.ticket}, {self.at}{', forced' if self.forced else ''}: {what}"

    @property
    def is_last_word(self) -> bool:
        """Whether the box can do no more about this refusal."""
        return self.forced or self.refusal in NOT_FORCEABLE


Identity = tuple[str, str, int, str]
"""Nonce, secret, list and direction of a push."""


def pushed_by(request: OldRequest | PretixRequest) -> Identity | None:
    """What a request tells a check-in of; None where it is no push."""
    if isinstance(request, OldRequest):
        form = request.form
        return (form["nonce"], form["secret"], 1, ENTRY) if request.verb == "redeem" else None
    body = request.json
    if not request.path.endswith("checkinrpc/redeem/"):
        return None
    return body["nonce"], body["secret"], body["lists"][0], body["type"]


def ticket_of(secret: str) -> str:
    """The name of the ticket that has this secret, or had."""
    return secret.partition("print")[0]


class Watcher(Protocol):
    """Who wants to know."""

    def changed(self, ticket: str) -> None: ...

    def pushed(self, push: Push) -> None: ...


class TicketServer(Protocol):
    """What happens at upstream. `ticket` is a name that stays; a ticket's secret may change."""

    watcher: Watcher
    names: list[str]
    """Of all tickets that were ever sold."""

    def sell(self) -> None: ...

    def set_order(self, ticket: str, status: str) -> None: ...

    def cancel_position(self, ticket: str) -> None: ...

    def reprint(self, ticket: str) -> None: ...

    def check_in(self, ticket: str, list_id: int, direction: str) -> None: ...

    def delete_check_in(self, ticket: str) -> None: ...

    def standing(self, ticket: str) -> Standing: ...

    def found(self, ticket: str) -> Standing:
        """What is told of it to who looks for it alone."""

    def held(self, ticket: str) -> list[Told]: ...

    def records(self) -> list[Record]: ...


class OldPretix(StubUpstream):
    """One list; a ticket is its secret."""

    def __init__(self, terms: Mapping[int, Terms], now: Callable[[], datetime]) -> None:
        super().__init__()
        self.watcher: Watcher
        self.include_pending = terms[1].include_pending
        self._now = now
        self.date = now
        self.names: list[str] = []
        self._records: list[Record] = []

    def sell(self) -> None:
        name = f"ticket{len(self.names)}"
        self.names.append(name)
        self.add_ticket(name, order=f"A{len(self.names)}")
        self.watcher.changed(name)

    def set_order(self, ticket: str, status: str) -> None:
        if ticket in self.tickets:
            self.tickets[ticket].order_status = {"p": PAID, "n": PENDING, "c": CANCELED}[status]
            self.watcher.changed(ticket)

    def cancel_position(self, ticket: str) -> None:
        self.tickets.pop(ticket, None)
        self.watcher.changed(ticket)

    def reprint(self, ticket: str) -> None:
        """Another secret would be another ticket."""

    def check_in(self, ticket: str, list_id: int, direction: str) -> None:
        if ticket in self.tickets and ticket not in self.checkins and direction == ENTRY:
            self.checkins[ticket] = StubCheckIn(ticket, self._now(), None, False, True)
            self._records.append(Record(ticket, 1, ENTRY, None, False))
            self.watcher.changed(ticket)

    def delete_check_in(self, ticket: str) -> None:
        if self.checkins.pop(ticket, None) is not None:
            _delete(self._records, ticket)
            self.watcher.changed(ticket)

    def standing(self, ticket: str) -> Standing:
        held = self.tickets.get(ticket)
        if held is None or not (held.is_paid or (held.order_status == PENDING and self.include_pending)):
            return None
        return ticket, None if held.is_paid else "unpaid"

    def found(self, ticket: str) -> Standing:
        held = self.tickets.get(ticket)
        if held is None:
            return None
        return ticket, {PAID: None, PENDING: UNPAID, CANCELED: VOID}[held.order_status]

    def held(self, ticket: str) -> list[Told]:
        return [Told(1, ENTRY, None)] if ticket in self.checkins else []

    def records(self) -> list[Record]:
        return self._records

    def redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        with self.lock:
            before = self.checkins.get(form["secret"])
            answer = super().redeem(form)
            stored = self.checkins.get(form["secret"]) is not before
            refusal = None if answer["status"] == "ok" else str(answer.get("reason", answer["status"]))
            push = Push(
                form["nonce"], form["secret"], 1, ENTRY, parsed(form["datetime"]), "force" in form, refusal, stored
            )
            if stored:
                self._records.append(Record(push.ticket, 1, ENTRY, push.nonce, False))
                self.watcher.changed(push.ticket)
            self.watcher.pushed(push)
            return answer


class NewPretix(PretixStub):
    """One event with several lists, whose orders have one ticket each."""

    def __init__(self, terms: Mapping[int, Terms], now: Callable[[], datetime], *, is_served: bool) -> None:
        super().__init__(is_served=is_served)
        self.watcher: Watcher
        self.names: list[str] = []
        self.terms = terms
        self.lists = [
            check_in_list(
                number, f"List {number}", include_pending=each.include_pending,
                allow_multiple_entries=each.several_entries, allow_entry_after_exit=each.entry_after_exit,
            )
            for number, each in terms.items()
        ]  # fmt: skip
        self._now = now
        self._records: list[Record] = []
        self._prints = 0

    def answer(self, request: PretixRequest) -> Response:
        self.now = self._now()
        return super().answer(request)

    def sell(self) -> None:
        number = len(self.names)
        name = f"ticket{number}"
        self.names.append(name)
        self.orders.append(order(f"A{number}", position(number + 1, secret=name), made=self._now()))
        self.watcher.changed(name)

    def set_order(self, ticket: str, status: str) -> None:
        self._order(ticket)["status"] = status
        self._touch(ticket)

    def cancel_position(self, ticket: str) -> None:
        self._position(ticket)["canceled"] = True
        self._touch(ticket)

    def reprint(self, ticket: str) -> None:
        self._prints += 1
        self._position(ticket)["secret"] = f"{ticket}print{self._prints}"
        self._touch(ticket)

    def check_in(self, ticket: str, list_id: int, direction: str) -> None:
        self._store(ticket, list_id, direction, self._now(), None)

    def delete_check_in(self, ticket: str) -> None:
        if self._position(ticket)["checkins"]:
            self._position(ticket)["checkins"].pop()
            _delete(self._records, ticket)
            self._touch(ticket)

    def standing(self, ticket: str) -> Standing:
        held = self._position(ticket)
        reasons = {"p": None, "n": "unpaid", "c": "canceled"}
        reason = "unknown_ticket" if held["canceled"] else reasons[self._order(ticket)["status"]]
        return held["secret"], reason

    def found(self, ticket: str) -> Standing:
        """Only that there is one; the ticket itself comes with the orders."""
        return None

    def held(self, ticket: str) -> list[Told]:
        held = self._position(ticket)["checkins"]
        return [Told(each["list"], each["type"], datetime.fromisoformat(each["datetime"])) for each in held]

    def records(self) -> list[Record]:
        return self._records

    def _order(self, ticket: str) -> dict[str, Any]:
        return self.orders[self.names.index(ticket)]

    def _position(self, ticket: str) -> dict[str, Any]:
        held: dict[str, Any] = self._order(ticket)["positions"][0]
        return held

    def _touch(self, ticket: str) -> None:
        self._order(ticket)["last_modified"] = self._now().isoformat()
        self.watcher.changed(ticket)

    def _store(self, ticket: str, list_id: int, direction: str, at: datetime, nonce: str | None) -> None:
        told = {"list": list_id, "type": direction, "datetime": at.isoformat()}
        self._position(ticket)["checkins"].append(told)
        self._records.append(Record(ticket, list_id, direction, nonce, False))
        self._touch(ticket)

    def _listed(self, request: PretixRequest, rows: list[Any], **headers: str) -> Response:
        size = min(int(request.asked("page_size") or PAGE_SIZE), PAGE_SIZE)
        query = [pair for pair in request.query if pair[0] != "page_size"] + [("page_size", str(size))]
        return super()._listed(replace(request, query=query), rows, **headers)

    def _redeem(self, body: Any) -> Response:
        """In the server's own order: unknown, order, nonce, used. What is told is from before."""
        ticket = next((name for name in self.names if self._position(name)["secret"] == body["secret"]), None)
        held = None if ticket is None else self._position(ticket)
        list_id, direction, at = body["lists"][0], body["type"], datetime.fromisoformat(body["datetime"])
        if ticket is None or held is None or held["canceled"]:
            self._tell(body, ticket_of(body["secret"]), "invalid")
            return said({"detail": "Not found.", "status": "error", "reason": "invalid"}, 404)
        before = json.loads(json.dumps(held))
        terms = self.terms[list_id]
        refusal = {"p": None, "n": "unpaid", "c": "canceled"}[self._order(ticket)["status"]]
        if refusal == "unpaid" and body["ignore_unpaid"] and terms.include_pending:
            refusal = None
        is_held = Record(ticket, list_id, direction, body["nonce"], False) in self._records
        if refusal is None and not is_held and direction == ENTRY and self._is_used(held, list_id, terms):
            refusal = "already_redeemed"
        if refusal is not None and not body["force"]:
            self._tell(body, ticket, refusal)
            return said({"status": "error", "reason": refusal, "position": before}, 400)
        if not is_held:
            self._store(ticket, list_id, direction, at, body["nonce"])
            self.redeemed.append(body)
        self._tell(body, ticket, None, stored=not is_held)
        return said({"status": "ok", "position": before}, 201)

    @staticmethod
    def _is_used(held: Mapping[str, Any], list_id: int, terms: Terms) -> bool:
        mine = [each for each in held["checkins"] if each["list"] == list_id]
        here = sorted((datetime.fromisoformat(each["datetime"]), each["type"]) for each in mine)
        if terms.several_entries or not any(direction == ENTRY for _, direction in here):
            return False
        return not terms.entry_after_exit or here[-1][1] != EXIT

    def _tell(self, body: Mapping[str, Any], ticket: str, refusal: str | None, *, stored: bool = False) -> None:
        at = datetime.fromisoformat(body["datetime"])
        push = Push(body["nonce"], ticket, body["lists"][0], body["type"], at, body["force"], refusal, stored)
        self.watcher.pushed(push)


def _delete(records: list[Record], ticket: str) -> None:
    """The newest that stands."""
    for number in range(len(records) - 1, -1, -1):
        if records[number].ticket == ticket and not records[number].is_deleted:
            records[number] = replace(records[number], is_deleted=True)
            return
