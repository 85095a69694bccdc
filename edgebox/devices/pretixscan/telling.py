"""Verdicts, tickets and counts as the app reads them. Every key is there; what is not known is null."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from edgebox.devices.answering import encode
from edgebox.devices.naming import ItemNames
from edgebox.devices.pretixscan import describing
from edgebox.model import CheckInList, Device, PastCheckIn, Question, Reason, Redeemed, RedeemRequest, Ticket
from edgebox.rules import in_zone, may_ignore_unpaid, zone_of
from edgebox.store.tickets import Count, Counts, Found

TYPES = {
    None: "VALID",
    Reason.UNKNOWN_TICKET: "INVALID",
    Reason.PRODUCT: "PRODUCT",
    Reason.WITHDRAWN: "CANCELED",
    Reason.UNPAID: "UNPAID",
    Reason.ALREADY_REDEEMED: "USED",
    Reason.INCOMPLETE: "ANSWERS_REQUIRED",
    Reason.CANCELED: "CANCELED",
    Reason.BLOCKED: "BLOCKED",
    Reason.REVOKED: "REVOKED",
    Reason.UNAPPROVED: "UNAPPROVED",
    Reason.INVALID_TIME: "INVALID_TIME",
    Reason.RULES: "RULES",
    Reason.AMBIGUOUS: "AMBIGUOUS",
    Reason.TEST_MODE: "INVALID",
}
"""The app's name for each outcome. It takes any other for a fault."""

SOON_S = 120
"""So long a first use is told in seconds: the answer to that scan may have been lost on its way to the phone."""


def check_body(
    list_: CheckInList, device: Device, asked: RedeemRequest, redeemed: Redeemed, now: datetime
) -> dict[str, Any]:
    """The answer to a check."""
    verdict = redeemed.verdict
    body = _blank(TYPES[verdict.reason], asked)
    body["eventSlug"] = list_.event
    body["reasonExplanation"] = verdict.explanation
    if verdict.first_use is not None and verdict.reason is Reason.ALREADY_REDEEMED:
        body["firstScanned"] = _epoch_ms(verdict.first_use.at)
        body["reasonExplanation"] = _first_used(list_, device, verdict.first_use, now)
    if verdict.reason is Reason.INCOMPLETE:
        body["requiredAnswers"] = [
            _asked(list_, question, redeemed.answers.get(question.id, "")) for question in verdict.questions
        ]
    # Of a code that stands for no ticket of this list nothing is told.
    if redeemed.ticket is not None and verdict.reason is not Reason.UNKNOWN_TICKET:
        body |= _about(list_, redeemed.ticket, redeemed)
        body["isCheckinAllowed"] = verdict.reason in (None, Reason.INCOMPLETE) or (
            verdict.reason is Reason.UNPAID and may_ignore_unpaid(redeemed.ticket.data, list_.terms)
        )
    return body


def error_body(asked: RedeemRequest, explanation: str) -> dict[str, Any]:
    """The answer to a check that could not be decided."""
    return _blank("ERROR", asked) | {"reasonExplanation": explanation}


def found_body(list_: CheckInList, found: Found) -> dict[str, Any]:
    """A ticket that a search found. Tapping it checks its secret."""
    data = found.ticket.data
    known = _named(list_, found.ticket)
    gone = found.ticket.is_withdrawn or data.is_cancelled or data.is_closed
    return {
        "secret": data.secret,
        **{key: known[key] for key in ("ticket", "variation", "attendee_name", "seat", "orderCode", "addonText")},
        "positionId": known["positionId"],
        "status": "CANCELED" if gone else "PAID" if data.is_paid else "PENDING",
        "isRedeemed": found.is_redeemed,
        "isRequireAttention": known["isRequireAttention"],
        "position": None,
    }


def status_body(list_: CheckInList, counts: Counts) -> dict[str, Any]:
    """The statistics of a list."""
    return {
        "eventName": f"{describing.event_name(list_)} - {list_.name}",
        "totalTickets": counts.all.total,
        "alreadyScanned": counts.all.checkins,
        "currentlyInside": counts.all.inside,
        "items": [
            {
                **_count(item.id, item.name, count),
                # The app's constructor and its property have different names for it.
                "admission": item.is_admission,
                "isAdmission": item.is_admission,
                "variations": [
                    _count(variation.id, variation.name, counts.by_variation[item.id, variation.id])
                    for variation in item.variations
                    if (item.id, variation.id) in counts.by_variation
                ],
            }
            for item in (list_.catalog.items if list_.catalog else ())
            if (count := counts.by_item.get(item.id)) is not None
        ],
    }


def _count(number: int, name: str, count: Count) -> dict[str, Any]:
    return {"id": number, "name": name, "total": count.total, "checkins": count.checkins}


def _blank(kind: str, asked: RedeemRequest) -> dict[str, Any]:
    """A result of which nothing is known yet. (`message` would stand in place of the app's own headline.)"""
    return {
        "type": kind,
        "scanType": asked.direction.name,
        "ticket": None,
        "variation": None,
        "attendee_name": None,
        "seat": None,
        "message": None,
        "orderCode": None,
        "positionId": None,
        "addonText": None,
        "firstScanned": None,
        "reasonExplanation": None,
        "checkinTexts": [],
        "isRequireAttention": False,
        "isCheckinAllowed": False,
        "requiredAnswers": None,
        "shownAnswers": [],
        "position": None,
        "eventSlug": None,
        "locale": None,
        "offline": False,
        "requiredMediaPolicy": None,
        "requiredMediaType": None,
    }


def _about(list_: CheckInList, ticket: Ticket, redeemed: Redeemed) -> dict[str, Any]:
    """The ticket, with what the door is to see of it."""
    data = ticket.data
    item = list_.catalog.item(data.item_id) if list_.catalog else None
    variation = item.variation(data.variation_id) if item else None
    texts = (data.checkin_text, variation and variation.checkin_text, item and item.checkin_text)
    questions = list_.catalog.questions_for(data.item_id) if list_.catalog else ()
    return {
        **_named(list_, ticket),
        "checkinTexts": [text for text in texts if text],
        "shownAnswers": [
            _asked(list_, question, _in_words(question, redeemed.answers[question.id]))
            for question in questions
            if question.is_shown and redeemed.answers.get(question.id)
        ],
    }


def _named(list_: CheckInList, ticket: Ticket) -> dict[str, Any]:
    data, names = ticket.data, ItemNames(list_)
    return {
        "ticket": names.item(data.item_id),
        "variation": names.variation(data.item_id, data.variation_id),
        "attendee_name": data.attendee_name,
        "seat": data.seat,
        "orderCode": data.order_code,
        "positionId": data.number,
        "addonText": data.addons_text or None,
        "isRequireAttention": names.wants_attention(data),
    }


def _asked(list_: CheckInList, question: Question, answer: str) -> dict[str, Any]:
    return {
        "question": {
            "server_id": question.id,
            "position": question.position,
            "required": question.is_required,
            "json_data": encode(describing.question(list_, question)),
        },
        "currentValue": answer,
    }


def _in_words(question: Question, answer: str) -> str:
    """Chosen options by their names."""
    names = {str(option.id): option.text for option in question.options}
    return ", ".join(names.get(part, part) for part in answer.split(",")) if names else answer


def _first_used(list_: CheckInList, device: Device, first: PastCheckIn, now: datetime) -> str:
    """When and where first, as far as it is known."""
    at = first.at
    where = "at this device" if first.device_name == device.name else f"at {first.device_name}"
    if at is None:
        return "First used, says the ticket server, at a time that it does not tell."
    ago_s = round((now - at).total_seconds())
    when = f"{ago_s} s ago" if 0 <= ago_s <= SOON_S else f"on {in_zone(at, zone_of(list_.catalog)):%d %b, %H:%M:%S}"
    return f"First used {when}{f' {where}' if first.device_name else ''}."


def _epoch_ms(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)
