"""The ticket server's side of the pretixdroid API without its sockets: tickets, check-ins, and what each call answers.

It follows what pretix 3.5.0 was seen to do; the interop tests put the same requests to both and compare.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

PAID, PENDING, EXPIRED, CANCELED = "p", "n", "e", "c"
SEARCH_MIN_CHARS = 4
SEARCH_LIMIT = 25
# What version 2 of the API told of a ticket; version 3 tells all.
VERSION_2_FIELDS = ("secret", "order", "item", "variation", "attendee_name", "redeemed", "attention", "paid")


Answer = str | bool | Decimal | None


class BadDatetime(ValueError):
    """The `datetime` of a redeem cannot be read: the real server answers 500 with a page."""


@dataclass
class StubItem:
    """A product and its variations, id to name."""

    id: int
    name: str
    admission: bool = True
    variations: dict[int, str] = field(default_factory=dict)


@dataclass
class StubTicket:
    """An order position; `order_status` is one of PAID, PENDING, EXPIRED, CANCELED (refunded ones too)."""

    secret: str
    order: str = "AAAAA"
    item_id: int = 2
    variation_id: int | None = None
    attendee_name: str | None = "Ada Lovelace"
    attention: bool = False
    order_status: str = PAID
    addons_text: str = ""
    answers: dict[int, str] = field(default_factory=dict)

    @property
    def is_paid(self) -> bool:
        return self.order_status == PAID


@dataclass(frozen=True)
class StubCheckIn:
    """A redeem that was answered `ok` and left a trace. `first` is False for a forced one on a ticket that was in."""

    secret: str
    datetime: datetime
    nonce: str | None
    forced: bool
    first: bool


class StubEvent:
    """One event with one check-in list and one key; change its attributes freely between requests.

    `tickets` by secret, `checkins` by secret (the one per ticket that counts), `log` every accepted redeem in order.
    Taking an entry out of `checkins` is an undo, out of `tickets` a cancelled position.
    """

    def __init__(self) -> None:
        self.organizer, self.event, self.key = "demoorga", "democon", "UPSTREAMKEY"
        self.version = 3
        self.list_name = "Default"
        self.timezone = "UTC"
        self.date_from, self.date_to = "2016-12-27T17:00:00Z", "2016-12-30T18:00:00Z"
        self.include_pending = False
        self.list_items: set[int] | None = None
        self.key_items: set[int] | None = None
        self.items = [StubItem(1, "T-Shirt", False, {1: "Red", 2: "Blue"}), StubItem(2, "Ticket")]
        self.questions: list[dict[str, Any]] = []
        self.tickets: dict[str, StubTicket] = {}
        self.checkins: dict[str, StubCheckIn] = {}
        self.log: list[StubCheckIn] = []
        self.lock = threading.RLock()

    def add_ticket(self, secret: str, **fields: Any) -> StubTicket:
        """Put a ticket there (a paid "Ticket" of Ada Lovelace unless said otherwise)."""
        ticket = StubTicket(secret, **fields)
        with self.lock:
            self.tickets[secret] = ticket
        return ticket

    def add_tickets(self, count: int, prefix: str = "secret") -> list[str]:
        """Put `count` paid tickets there and return their secrets."""
        return [self.add_ticket(f"{prefix}{n:06d}", order=f"B{n:04d}").secret for n in range(count)]

    def add_question(
        self, number: int, kind: str, items: list[int], required: bool = True, options: Mapping[int, str] | None = None
    ) -> None:
        """Ask this at check-in of these items; `options` of a choice are id to text."""
        self.questions.append(
            {
                "id": number,
                "type": kind,
                "question": f"Question {number}?",
                "required": required,
                "position": number,
                "options": [{"id": option, "answer": text} for option, text in (options or {}).items()],
                "items": items,
            }
        )

    def accepted(self, secret: str) -> list[StubCheckIn]:
        """What `log` has of one ticket."""
        return [entry for entry in self.log if entry.secret == secret]

    # What the four calls answer

    def redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Act on a `redeem/`; raises BadDatetime before anything else is looked at."""
        moment = parsed(form["datetime"]) if "datetime" in form else datetime.now(UTC)
        with self.lock:
            ticket = self.tickets.get(form.get("secret", "!INVALID!"))
            if ticket is None:
                return {"version": self.version, "status": "error", "reason": "unknown_ticket"}
            forced = is_true(form.get("force"))
            answer = self._verdict(ticket, form, moment, forced)
            return {"version": self.version, **answer, "data": self.told(ticket, ticket.is_paid or forced)}

    def _verdict(self, ticket: StubTicket, form: Mapping[str, str], moment: datetime, forced: bool) -> dict[str, Any]:
        given = self._given_answers(ticket, form)
        pending_is_fine = is_true(form.get("ignore_unpaid")) and self.include_pending
        if self.key_items is not None and ticket.item_id not in self.key_items:
            return refused("product")
        if ticket.order_status not in (PAID, PENDING):
            return refused("unpaid")
        if self.list_items is not None and ticket.item_id not in self.list_items:
            return refused("product")
        if not ticket.is_paid and not forced and not pending_is_fine:
            return refused("unpaid")
        missing = [q for q in self._asked(ticket) if q["id"] not in given and q["id"] not in ticket.answers]
        if missing and not forced and form.get("questions_supported"):
            return {"status": "incomplete", "questions": [without_items(q) for q in missing]}
        nonce = form.get("nonce")
        earlier = self.checkins.get(ticket.secret)
        if earlier is not None and not (nonce and nonce == earlier.nonce) and not forced:
            return refused("already_redeemed")
        ticket.answers |= stored(given, ticket.answers)
        if earlier is None or not (nonce and nonce == earlier.nonce):
            entry = StubCheckIn(ticket.secret, moment, nonce, forced, first=earlier is None)
            self.log.append(entry)
            self.checkins.setdefault(ticket.secret, entry)
        return {"status": "ok"}

    def search(self, query: str) -> dict[str, Any]:
        """What `search/` answers; it finds tickets that are not paid too."""
        sought = query.lower()
        with self.lock:
            found = [t for t in self.tickets.values() if self._is_listed(t) and matches(t, sought)]
            told = [self.told(t, t.secret in self.checkins) for t in found[:SEARCH_LIMIT]]
        return {"version": self.version, "results": told if len(query) >= SEARCH_MIN_CHARS else []}

    def download(self) -> dict[str, Any]:
        """What `download/` answers: all that may come in."""
        with self.lock:
            told = [
                self.told(t, t.secret in self.checkins)
                for t in self.tickets.values()
                if self._is_listed(t) and self._is_allowed(t)
            ]
        answer: dict[str, Any] = {"version": self.version, "results": told}
        if self.version >= 3:
            answer["questions"] = list(self.questions)
        return answer

    def status(self) -> dict[str, Any]:
        """What `status/` answers: the counts of the list, whatever the key may scan."""
        with self.lock:
            counted = [
                t
                for t in self.tickets.values()
                if self._is_allowed(t) and (self.list_items is None or t.item_id in self.list_items)
            ]
            items = [
                {
                    **self._counts([t for t in counted if t.item_id == item.id]),
                    "id": item.id,
                    "name": item.name,
                    "admission": item.admission,
                    "variations": [
                        {"id": number, "name": name, **self._counts([t for t in counted if t.variation_id == number])}
                        for number, name in item.variations.items()
                    ],
                }
                for item in self.items
            ]
            return {"version": self.version, "event": self._event(), **self._counts(counted), "items": items}

    # Parts of the answers

    def told(self, ticket: StubTicket, redeemed: bool) -> dict[str, Any]:
        """The ticket as the API tells it."""
        item = next(item for item in self.items if item.id == ticket.item_id)
        answer = {
            "secret": ticket.secret,
            "order": ticket.order,
            "item": item.name,
            "item_id": item.id,
            "variation": item.variations[ticket.variation_id] if ticket.variation_id is not None else None,
            "variation_id": ticket.variation_id,
            "attendee_name": ticket.attendee_name,
            "attention": ticket.attention,
            "redeemed": redeemed,
            "paid": ticket.is_paid,
            "checkin_allowed": self._is_allowed(ticket),
            "addons_text": ticket.addons_text,
        }
        return answer if self.version >= 3 else {name: answer[name] for name in VERSION_2_FIELDS}

    def _event(self) -> dict[str, Any]:
        event = {
            "name": "Demo Conference",
            "slug": self.event,
            "date_from": self.date_from,
            "date_to": self.date_to,
            "timezone": self.timezone,
            "url": f"https://tickets.example/{self.organizer}/{self.event}/",
            "organizer": {"name": "Demo Organizer", "slug": self.organizer},
        }
        return {**event, "list": self.list_name, "subevent": "Demo Conference"} if self.version >= 3 else event

    def _counts(self, tickets: list[StubTicket]) -> dict[str, int]:
        return {"checkins": sum(t.secret in self.checkins for t in tickets), "total": len(tickets)}

    def _is_allowed(self, ticket: StubTicket) -> bool:
        return ticket.is_paid or (ticket.order_status == PENDING and self.include_pending)

    def _is_listed(self, ticket: StubTicket) -> bool:
        return all(limit is None or ticket.item_id in limit for limit in (self.list_items, self.key_items))

    def _asked(self, ticket: StubTicket) -> list[dict[str, Any]]:
        return [question for question in self.questions if ticket.item_id in question["items"]]

    def _given_answers(self, ticket: StubTicket, form: Mapping[str, str]) -> dict[int, Answer]:
        given: dict[int, Answer] = {}
        for question in self._asked(ticket):
            text = form.get(f"answer_{question['id']}")
            if text is not None:
                try:
                    given[question["id"]] = cleaned(question, text)
                except ValueError:
                    continue
        return given


def refused(reason: str) -> dict[str, Any]:
    """The part of an answer that says no."""
    return {"status": "error", "reason": reason}


def is_true(value: str | None) -> bool:
    """How the server reads `force` and `ignore_unpaid`."""
    return value in ("true", "True")


def without_items(question: Mapping[str, Any]) -> dict[str, Any]:
    """A question as `incomplete` tells it; only the download tells its items."""
    return {name: value for name, value in question.items() if name != "items"}


def matches(ticket: StubTicket, sought: str) -> bool:
    """True where `search/` finds this ticket: start of secret or order, or anywhere in the name."""
    starts = ticket.secret.lower().startswith(sought) or ticket.order.lower().startswith(sought)
    return starts or sought in (ticket.attendee_name or "").lower()


def parsed(text: str) -> datetime:
    """The moment of a check-in, as the server reads it: without an offset it is UTC."""
    try:
        # A number of milliseconds could pass for a date without separators.
        moment = datetime.fromisoformat("" if text.isdigit() else text)
    except ValueError:
        raise BadDatetime(text) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def cleaned(question: Mapping[str, Any], text: str) -> Answer:
    """An answer as the server reads it, None for a blank; raises ValueError for one that it does not accept."""
    kind, required = question["type"], question["required"]
    if required and (not text or (kind == "B" and not is_true(text))):
        raise ValueError("an answer is required")
    if kind == "B":
        return is_true(text)
    if not text:
        return None
    if kind in ("C", "M"):
        offered = {str(option["id"]): option["answer"] for option in question["options"]}
        chosen = text.split(",") if kind == "M" else [text]
        if not all(choice in offered for choice in chosen):
            raise ValueError("no such option")
        return ", ".join(offered[choice] for choice in chosen)
    if kind == "N":
        try:
            return Decimal(text.strip())
        except InvalidOperation:
            raise ValueError("no number") from None
    readers = {"D": date.fromisoformat, "H": time.fromisoformat, "W": datetime.fromisoformat}
    return str(readers[kind](text)) if kind in readers else text


def stored(given: Mapping[int, Answer], earlier: Mapping[int, str]) -> dict[int, str]:
    """What is kept of the given answers.

    The server drops what is empty (blank, no, zero), but over an earlier answer writes it as text: a blank as "None".
    """
    return {number: str(answer) for number, answer in given.items() if answer or number in earlier}
