"""Writing what a scanner is told. A key that an app needs is never missing; `null` stands where it may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from edgebox.devices.naming import ItemNames
from edgebox.model import (
    PRETIXDROID_QUESTIONS,
    Catalog,
    CheckInList,
    PastCheckIn,
    Question,
    Reason,
    Redeemed,
    Ticket,
    TicketData,
    Verdict,
)
from edgebox.rules import in_zone, zone_of
from edgebox.store.tickets import Count, Counts

REASONS = {
    Reason.UNKNOWN_TICKET: "unknown_ticket",
    Reason.PRODUCT: "product",
    Reason.WITHDRAWN: "unpaid",
    Reason.UNPAID: "unpaid",
    Reason.ALREADY_REDEEMED: "already_redeemed",
    Reason.CANCELED: "unpaid",
    Reason.UNAPPROVED: "unpaid",
    Reason.BLOCKED: "unknown_ticket",
    Reason.REVOKED: "unknown_ticket",
    Reason.TEST_MODE: "unknown_ticket",
    Reason.INVALID_TIME: "product",
    Reason.RULES: "product",
    Reason.AMBIGUOUS: "product",
}
"""The nearest reason that this API has; the true one stands in `message`, in words."""

MESSAGES = {
    Reason.UNKNOWN_TICKET: "No ticket with this code is known here.",
    Reason.PRODUCT: "This kind of ticket is not for this scanner.",
    Reason.WITHDRAWN: "This ticket was cancelled or refunded.",
    Reason.UNPAID: "This ticket is not paid for.",
    Reason.CANCELED: "The order of this ticket was cancelled or has expired.",
    Reason.UNAPPROVED: "The order of this ticket is not approved yet.",
    Reason.BLOCKED: "The organizer has blocked this ticket.",
    Reason.REVOKED: "This code was revoked: the guest has got another one.",
    Reason.TEST_MODE: "This ticket is of an order in test mode.",
    Reason.INVALID_TIME: "This ticket is not valid at this time.",
    Reason.RULES: "The rules of this list do not let this ticket in now.",
    Reason.AMBIGUOUS: "Several add-ons of this ticket are on the list: scan the add-on's own ticket.",
}


def verdict_body(list_: CheckInList, redeemed: Redeemed) -> dict[str, Any]:
    """The answer of `redeem/`."""
    verdict = redeemed.verdict
    body: dict[str, Any] = {"version": list_.version}
    if verdict.is_ok:
        body["status"] = "ok"
    elif verdict.reason is Reason.INCOMPLETE:
        body["status"] = "incomplete"
        body["questions"] = [question_body(question) for question in verdict.questions]
    else:
        assert verdict.reason is not None
        body |= {"status": "error", "reason": REASONS[verdict.reason], "message": _message(list_, verdict)}
    if redeemed.ticket is not None and body.get("reason") != "unknown_ticket":
        body["data"] = ticket_body(ItemNames(list_), redeemed.ticket, redeemed.is_redeemed)
    return body


def is_worth_telling(ticket: Ticket, at: datetime) -> bool:
    """Whether a phone that is offline may go by it: not one that the box would refuse for a reason that this API cannot
    tell beforehand (blocked, not approved, not valid at this time)."""
    data = ticket.data
    if data.is_blocked or (data.awaits_approval and not data.is_paid):
        return False
    return (data.valid_from is None or data.valid_from <= at) and (data.valid_until is None or at <= data.valid_until)


def turns_of(data: TicketData) -> Iterator[datetime]:
    """The moments from which the time alone makes a ticket worth telling, or no longer."""
    if data.valid_from is not None:
        yield data.valid_from
    if data.valid_until is not None:
        yield data.valid_until + timedelta(microseconds=1)


TICKET_KEYS = {
    "secret": "secret",
    "order": "order_code",
    "item": "item",
    "item_id": "item_id",
    "variation": "variation",
    "variation_id": "variation_id",
    "attendee_name": "attendee_name",
    "attention": "attention",
    "redeemed": "is_in",
    "paid": "is_paid",
    "checkin_allowed": "checkin_allowed",
    "addons_text": "addons_text",
}
"""What `ticket_body` tells of a ticket, by the store's names for it: `download/` is put together there."""


def ticket_body(names: ItemNames, ticket: Ticket, is_redeemed: bool) -> dict[str, Any]:
    """A ticket as `redeem/` and `search/` show it, and `download/` by TICKET_KEYS."""
    data = ticket.data
    return {
        "secret": data.secret,
        "order": data.order_code,
        "item": names.item(data.item_id),
        "item_id": data.item_id,
        "variation": names.variation(data.item_id, data.variation_id),
        "variation_id": data.variation_id,
        "attendee_name": data.attendee_name,
        "attention": names.wants_attention(data),
        "redeemed": is_redeemed,
        "paid": data.is_paid,
        "checkin_allowed": names.may_be_unpaid(data),
        "addons_text": data.addons_text,
    }


def question_body(question: Question, *, with_items: bool = False) -> dict[str, Any]:
    """A question; `options` is always there."""
    body: dict[str, Any] = {
        "id": question.id,
        "type": question.type,
        "question": question.text,
        "required": question.is_required,
        "position": question.position,
        "options": [{"id": option.id, "answer": option.text} for option in question.options],
    }
    if with_items:
        body["items"] = sorted(question.item_ids)
    return body


def questions_body(catalog: Catalog | None) -> list[dict[str, Any]]:
    """The questions of `download/`: those that this API can ask."""
    questions = catalog.questions if catalog else ()
    return [
        question_body(question, with_items=True)
        for question in questions
        if question.is_asked and question.type in PRETIXDROID_QUESTIONS
    ]


def status_body(list_: CheckInList, counts: Counts) -> dict[str, Any]:
    """The answer of `status/`: items and names are upstream's, numbers the box's."""
    catalog = list_.catalog
    event = catalog.event if catalog else None
    listed = catalog.items if catalog else ()
    items = [
        {
            "id": item.id,
            "name": item.name,
            "admission": item.is_admission,
            **_count(counts.by_item.get(item.id, Count())),
            "variations": [
                {"id": v.id, "name": v.name, **_count(counts.by_variation.get((item.id, v.id), Count()))}
                for v in item.variations
            ],
        }
        for item in listed
    ]
    known = {item.id for item in listed}
    items += [
        {"id": item_id, "name": f"#{item_id}", "admission": True, **_count(count), "variations": []}
        for item_id, count in sorted(counts.by_item.items())
        if item_id not in known
    ]
    return {
        **_count(counts.all),
        "version": list_.version,
        "event": {
            "name": event.name if event else list_.event,
            "list": (event and event.list_name) or list_.name,
            "slug": list_.event,
            "subevent": event.subevent if event else list_.subevent,
            "date_from": event.date_from if event else None,
            "date_to": event.date_to if event else None,
            "timezone": event.timezone if event else "UTC",
            "url": event.url if event else None,
            "organizer": {"name": (event and event.organizer_name) or list_.organizer, "slug": list_.organizer},
        },
        "items": items,
    }


def error_body(reason: str, message: str, version: int = 2) -> dict[str, Any]:
    """Any other answer that is not a decision."""
    return {"status": "error", "reason": reason, "message": message, "version": version}


def _count(count: Count) -> dict[str, int]:
    return {"checkins": count.checkins, "total": count.total}


def _message(list_: CheckInList, verdict: Verdict) -> str:
    if verdict.reason is Reason.ALREADY_REDEEMED and verdict.first_use is not None:
        return _first_used(list_, verdict.first_use)
    assert verdict.reason is not None
    return verdict.explanation or MESSAGES[verdict.reason]


def _first_used(list_: CheckInList, first: PastCheckIn) -> str:
    """When and at which device, in the event's time zone."""
    if first.at is None:
        return "This ticket was used already; the ticket server does not tell when or where."
    at = in_zone(first.at, zone_of(list_.catalog))
    when = at.replace(tzinfo=None).isoformat(" ", "seconds")
    where = f" at {first.device_name}" if first.device_name else ""
    return f"This ticket was used already, first on {when} ({at.tzinfo}){where}."
