"""What the pretixSCAN app is answered: every field that it reads, with its type.

The app ignores keys that it does not know, so these objects are open. What is required is what the app crashes or
gives up without, and in `ScanResult` all that it reads.
"""

from __future__ import annotations

from typing import Any

from edgebox.openapi.words import ANYTHING, COUNT, FILLED, FLAG, TEXT, WHOLE, Schema, an_object, array, nullable, one_of

INSTANT: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})$",
    "description": "With an offset, without which the app gives up.",
}
WORDS: Schema = {
    "type": "object", "minProperties": 1, "additionalProperties": TEXT, "description": "Texts by their language.",
}  # fmt: skip
# A date of the year 2000 or later: in seconds instead of milliseconds it would not be.
EPOCH_MS: Schema = {"type": "integer", "minimum": 946_684_800_000}

RESULT_TYPES = (
    "VALID", "INVALID", "USED", "ERROR", "UNPAID", "BLOCKED", "INVALID_TIME", "CANCELED", "PRODUCT", "RULES",
    "ANSWERS_REQUIRED", "AMBIGUOUS", "REVOKED", "UNAPPROVED", "ALREADY_EXCHANGED", "MEDIUM_INVALID", "MEDIUM_EXISTS",
    "EXCHANGE_REQUIRED", "EXCHANGE_REQUIRED_OFFLINE",
)  # fmt: skip
SCAN_TYPES = ("ENTRY", "EXIT")
MEDIA_POLICIES = ("NEW", "REUSE", "REUSE_OR_NEW", "APPEND", "APPEND_OR_NEW", "NONE")
MEDIA_TYPES = ("BARCODE", "NFC_UID", "NFC_MF0AES", "NONE", "UNSUPPORTED")
STATUSES = ("PAID", "PENDING", "CANCELED")
QUESTION_TYPES = ("N", "S", "T", "B", "C", "M", "F", "D", "H", "W", "CC", "TEL", "EMAIL")


def _page_of(row: Schema) -> Schema:
    return an_object({"count": COUNT, "next": nullable(FILLED), "previous": nullable(TEXT), "results": array(row)})


_GATE = nullable(an_object({"id": WHOLE, "name": TEXT}))
_ATTENTION = {"checkin_attention": FLAG, "checkin_text": nullable(TEXT)}

_NEEDED_AT_FIRST = {"api_token": FILLED, "organizer": FILLED, "device_id": WHOLE, "unique_serial": FILLED}
_IDENTITY: dict[str, Schema] = {
    "ScanIdentity": an_object(_NEEDED_AT_FIRST, {"name": TEXT, "security_profile": FILLED, "gate": _GATE}),
    "ScanNotSetUp": {"type": "object", "minProperties": 1, "additionalProperties": array(TEXT)},
    "ScanUpdated": an_object({"name": TEXT}, {**_NEEDED_AT_FIRST, "security_profile": FILLED, "gate": _GATE}),
    "ScanInfo": an_object(
        {
            "device": an_object({"name": TEXT, "gate": _GATE}, {**_NEEDED_AT_FIRST, "security_profile": FILLED}),
            "server": an_object({"version": an_object({"pretix_numeric": WHOLE}, {"pretix": TEXT})}),
        },
        {"medium_key_sets": {"type": "array"}},
    ),
    "ScanVersion": an_object({"pretix_numeric": WHOLE}, {"pretix": TEXT}),
    "ScanSelection": an_object({
        "event": an_object({"slug": FILLED, "name": TEXT}), "subevent": nullable(WHOLE), "checkinlist": nullable(WHOLE),
    }),
}  # fmt: skip

_OPTION = an_object({"id": WHOLE, "position": WHOLE, "identifier": TEXT, "answer": {"anyOf": [WORDS, TEXT]}})
# What `json_data` of a question in a result has; the rows of `questions/` have it too.
_QUESTION_KEYS = {
    "type": one_of(*QUESTION_TYPES), "question": WORDS, "identifier": TEXT, "ask_during_checkin": FLAG,
    "show_during_checkin": FLAG, "options": array(_OPTION), "dependency_question": nullable(WHOLE),
    "dependency_values": array(TEXT),
}  # fmt: skip
_QUESTION_ROW = {"id": WHOLE, "position": WHOLE, "items": array(WHOLE)}
_EVENT_ROW = {"slug": FILLED, "name": WORDS, "date_from": INSTANT, "date_to": nullable(INSTANT), "live": FLAG}
_EVENT_MORE = {
    "timezone": FILLED, "plugins": array(TEXT), "valid_keys": ANYTHING, "testmode": FLAG,
    "best_availability_state": nullable(WHOLE), "date_admission": nullable(INSTANT), "seating_plan": nullable(WHOLE),
}  # fmt: skip
_EVENT_KEYS = {"currency": FILLED, "has_subevents": FLAG, "seat_category_mapping": ANYTHING}

_RESOURCES: dict[str, Schema] = {
    "ScanEvents": _page_of(an_object(_EVENT_ROW, {**_EVENT_MORE, **_EVENT_KEYS})),
    "ScanSubevents": _page_of(an_object(
        {
            "id": WHOLE, "event": FILLED, "name": WORDS, "active": FLAG, "date_from": INSTANT,
            "date_to": nullable(INSTANT), "seat_category_mapping": ANYTHING,
            "item_price_overrides": array(ANYTHING), "variation_price_overrides": array(ANYTHING),
        },
        {
            "best_availability_state": nullable(WHOLE), "date_admission": nullable(INSTANT),
            "seating_plan": nullable(WHOLE),
        },
    )),
    "ScanEvent": an_object({**_EVENT_ROW, **_EVENT_KEYS}, _EVENT_MORE),
    "ScanCategories": _page_of(an_object({"id": WHOLE, "position": WHOLE}, {"name": WORDS})),
    "ScanItems": _page_of(an_object(
        {
            "id": WHOLE, "position": WHOLE, "name": WORDS, "active": FLAG, "admission": FLAG,
            "category": nullable(WHOLE), "internal_name": nullable(TEXT), "picture": nullable(TEXT),
            "variations": array(an_object(
                {"id": WHOLE, "value": WORDS}, {"active": FLAG, "position": WHOLE, **_ATTENTION}
            )),
            "bundles": array(ANYTHING), "addons": array(ANYTHING),
        },
        _ATTENTION,
    )),
    "ScanQuestions": _page_of(an_object(_QUESTION_ROW, {**_QUESTION_KEYS, "required": FLAG})),
    "ScanQuestion": an_object(_QUESTION_KEYS, {**_QUESTION_ROW, "required": FLAG}),
    "ScanBadgeLayouts": _page_of(an_object({
        "id": WHOLE, "default": FLAG, "background": nullable(TEXT), "layout": {"type": "array"},
    })),
    "ScanBadgeItems": _page_of(an_object({"id": WHOLE, "item": WHOLE, "layout": nullable(WHOLE)})),
    "ScanCheckInLists": _page_of(an_object({
        "id": WHOLE, "name": TEXT, "all_products": FLAG, "limit_products": array(WHOLE), "include_pending": FLAG,
        "subevent": nullable(WHOLE), "allow_multiple_entries": FLAG, "allow_entry_after_exit": FLAG,
        "addon_match": FLAG, "rules": ANYTHING,
    })),
    "ScanRevokedSecrets": _page_of(an_object({"id": WHOLE, "secret": FILLED, "created": INSTANT})),
    "ScanBlockedSecrets": _page_of(an_object({"id": WHOLE, "secret": FILLED, "updated": INSTANT, "blocked": FLAG})),
    # Of these two only that they are lists: the box has none to tell.
    "ScanOrders": _page_of(ANYTHING),
    "ScanReusableMedia": _page_of(ANYTHING),
    "ScanSettings": {
        "type": "object",
        "properties": {
            f"reusable_media_type_{medium}": FLAG for medium in ("barcode", "nfc_uid", "nfc_mf0aes")
        },
    },
}  # fmt: skip

_ASKED = an_object({
    "question": an_object({
        "server_id": WHOLE, "position": WHOLE, "required": FLAG,
        "json_data": {**FILLED, "description": "A ScanQuestion, written as JSON."},
    }),
    "currentValue": nullable(TEXT),
})  # fmt: skip
_RESULT_KEYS: dict[str, Schema] = {
    "type": one_of(*RESULT_TYPES), "scanType": one_of(*SCAN_TYPES),
    **dict.fromkeys(("ticket", "variation", "attendee_name", "seat", "orderCode", "addonText"), nullable(TEXT)),
    **dict.fromkeys(("message", "reasonExplanation", "eventSlug", "locale"), nullable(TEXT)),
    "positionId": nullable(WHOLE), "firstScanned": {"anyOf": [EPOCH_MS, INSTANT, {"type": "null"}]},
    "checkinTexts": nullable(array(TEXT)), "isRequireAttention": FLAG, "isCheckinAllowed": FLAG, "offline": FLAG,
    "requiredAnswers": nullable(array(_ASKED)), "shownAnswers": nullable(array(_ASKED)),
    "position": nullable(ANYTHING), "requiredMediaPolicy": nullable(one_of(*MEDIA_POLICIES)),
    "requiredMediaType": nullable(one_of(*MEDIA_TYPES)),
}  # fmt: skip
# Where the app would crash, as rules.
_RESULT_RULES: list[Schema] = [
    {
        "if": {"properties": {"type": {"const": "ANSWERS_REQUIRED"}}},
        "then": {"properties": {"requiredAnswers": {"type": "array", "minItems": 1}}, "required": ["requiredAnswers"]},
    },
    {
        "if": {"properties": {"position": ANYTHING}, "required": ["position"]},
        "then": {
            "properties": {"position": an_object({"id": WHOLE, "item": WHOLE}), "eventSlug": FILLED},
            "required": ["eventSlug"],
        },
    },
]
_COUNTS: dict[str, Any] = {"id": WHOLE, "name": TEXT, "total": WHOLE, "checkins": WHOLE}

_GATE_CALLS: dict[str, Schema] = {
    "ScanResult": an_object(_RESULT_KEYS, allOf=_RESULT_RULES),
    "ScanFound": array(an_object({
        "secret": FILLED, "status": one_of(*STATUSES), "isRedeemed": FLAG, "isRequireAttention": FLAG,
        **dict.fromkeys(
            ("ticket", "variation", "attendee_name", "seat", "orderCode", "addonText"), nullable(TEXT)
        ),
        "positionId": nullable(WHOLE), "position": nullable(ANYTHING),
    })),
    "ScanStatus": an_object({
        "eventName": TEXT, "totalTickets": WHOLE, "alreadyScanned": WHOLE, "currentlyInside": nullable(WHOLE),
        "items": array(an_object({
            **_COUNTS, "admission": FLAG, "isAdmission": FLAG, "variations": array(an_object(_COUNTS)),
        })),
    }),
    "ScanError": an_object({"title": FILLED}, {"detail": FILLED}),
    "ScanUnauthorized": an_object({"detail": FILLED}),
}  # fmt: skip

SCHEMAS: dict[str, Schema] = {**_IDENTITY, **_RESOURCES, **_GATE_CALLS}
