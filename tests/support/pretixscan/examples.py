"""Right answers, one of each kind, after the protocol page's examples (section 1.4): what the client must accept."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

QR = {"handshake_version": 1, "url": "http://192.168.4.1:8080", "token": "proxy=Qm7x2Kd9TzW4hB1c"}
DEVICE = {
    "organizer": "acme", "device_id": 7, "unique_serial": "BOX0007", "api_token": "0fK3", "name": "Gate A 1",
    "security_profile": "full", "gate": None,
}  # fmt: skip
INFO = {
    "device": {**DEVICE, "gate": {"id": 3, "name": "Gate A"}},
    "server": {"version": {"pretix": "box", "pretix_numeric": 20260600000000}}, "medium_key_sets": [],
}  # fmt: skip
VERSION = {"pretix": "box", "pretix_numeric": 20260600000000}

EVENT = {
    "slug": "gala", "name": {"en": "Gala"}, "live": True, "testmode": False, "currency": "EUR",
    "date_from": "2026-09-01T18:00:00Z", "date_to": None, "has_subevents": False, "timezone": "Europe/Berlin",
    "plugins": ["pretix.plugins.badges"], "seating_plan": None, "seat_category_mapping": {}, "valid_keys": {},
}  # fmt: skip
# The series that SUBEVENT is a date of.
SERIES = {**EVENT, "slug": "tour", "name": {"en": "Tour"}, "has_subevents": True}
SUBEVENT = {
    "id": 31, "event": "tour", "name": {"en": "Day 1"}, "active": True, "date_from": "2026-09-02T10:00:00+02:00",
    "date_to": None, "date_admission": None, "item_price_overrides": [], "variation_price_overrides": [],
    "seat_category_mapping": {}, "seating_plan": None,
}  # fmt: skip
CHECK_IN_LIST = {
    "id": 12, "name": "Main door", "all_products": True, "limit_products": [], "subevent": None,
    "include_pending": False, "allow_multiple_entries": False, "allow_entry_after_exit": True, "addon_match": False,
    "rules": {},
}  # fmt: skip
CATEGORY = {"id": 4, "name": {"en": "Tickets"}, "position": 0, "is_addon": False}
ITEM = {
    "id": 1, "name": {"en": "Regular"}, "internal_name": None, "active": True, "admission": True, "category": 4,
    "position": 0, "default_price": "10.00", "checkin_attention": False, "checkin_text": None, "picture": None,
    "variations": [{"id": 9, "value": {"en": "Child"}, "active": True, "position": 0, "price": "5.00"}],
    "bundles": [], "addons": [],
}  # fmt: skip
SHIRT = {
    "id": 5, "type": "C", "question": {"en": "Shirt"}, "identifier": "SHIRT", "required": False, "position": 0,
    "items": [1], "ask_during_checkin": True, "show_during_checkin": True,
    "options": [
        {"id": 51, "position": 0, "identifier": "M", "answer": {"en": "Medium"}},
        {"id": 52, "position": 1, "identifier": "L", "answer": {"en": "Large"}},
    ],
    "dependency_question": None, "dependency_values": [],
}  # fmt: skip
BADGE_NAME = {**SHIRT, "id": 6, "type": "S", "question": {"en": "Badge name"}, "required": True, "options": []}
BADGE_LAYOUT = {"id": 2, "name": "Badge", "default": True, "layout": [], "background": None}
BADGE_ITEM = {"id": 6, "item": 1, "layout": 2}
REVOKED = {"id": 70, "created": "2026-08-01T09:00:00Z", "secret": "oldsecret1"}
BLOCKED = {"id": 71, "updated": "2026-08-01T09:00:00.123456+02:00", "secret": "k3p9x8", "blocked": True}
SETTINGS = {
    "reusable_media_type_barcode": False, "reusable_media_type_nfc_uid": True, "reusable_media_type_nfc_mf0aes": False,
}  # fmt: skip
SWITCH = {"event": {"slug": "gala", "name": "Gala"}, "subevent": None, "checkinlist": 12}

VALID: Json = {
    "type": "VALID", "scanType": "ENTRY", "ticket": "Regular", "variation": None, "attendee_name": "Ada L.",
    "seat": None, "message": None, "orderCode": "AB3CD", "positionId": 1, "firstScanned": None, "checkinTexts": [],
    "isRequireAttention": False, "isCheckinAllowed": True, "requiredAnswers": None, "shownAnswers": [],
    "position": None, "eventSlug": "gala", "offline": False,
}  # fmt: skip
BADGE = {**VALID, "position": {"id": 501, "item": 1}}
USED = {
    "type": "USED", "scanType": "ENTRY", "ticket": "Regular", "orderCode": "AB3CD", "positionId": 1,
    "firstScanned": 1788372000000, "isRequireAttention": False, "isCheckinAllowed": False, "eventSlug": "gala",
    "offline": False,
}  # fmt: skip
UNPAID = {
    "type": "UNPAID", "scanType": "ENTRY", "ticket": "Regular", "orderCode": "AB3CE", "isCheckinAllowed": True,
    "eventSlug": "gala",
}  # fmt: skip
ERROR = {"title": "Check-in list not found"}
FOUND = {
    "secret": "k3p9x7", "ticket": "Regular", "variation": None, "attendee_name": "Ada L.", "seat": None,
    "orderCode": "AB3CD", "positionId": 1, "addonText": None, "status": "PAID", "isRedeemed": False,
    "isRequireAttention": False, "position": None,
}  # fmt: skip
STATUS = {
    "eventName": "Gala - Main door", "totalTickets": 300, "alreadyScanned": 41, "currentlyInside": 39,
    "items": [
        {
            "id": 1, "name": "Regular", "total": 300, "checkins": 41, "admission": True, "isAdmission": True,
            "variations": [{"id": 9, "name": "Child", "total": 20, "checkins": 2}],
        }
    ],
}  # fmt: skip


def page(*rows: Json, following: str | None = None) -> Json:
    return {"count": len(rows), "next": following, "previous": None, "results": list(rows)}


def asked(question: Json, current_value: str = "") -> Json:
    """A question as a CheckResult carries it."""
    own = {"server_id": question["id"], "position": question["position"], "required": question["required"]}
    return {"question": {**own, "json_data": json.dumps(question)}, "currentValue": current_value}


def answers_required(*questions: Json) -> Json:
    return {
        "type": "ANSWERS_REQUIRED", "scanType": "ENTRY", "ticket": "Regular", "isCheckinAllowed": True,
        "eventSlug": "gala", "requiredAnswers": [asked(question) for question in questions],
    }  # fmt: skip
