"""JSON Schemas (draft 2020-12) of every answer of sections 1.1 to 1.3, and the hooks that hold answers against them.

The app ignores keys that it does not know, so objects are open. Required is what the protocol page names, apart from
what it calls optional or fills with defaults: the box promises more than the app needs to live. Of a CheckResult that
is little, as "missing keys take defaults"; `validate_whole` wants every key that the page names.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator as AnyValidator
from jsonschema.validators import extend

from tests.support.pretixscan.reading import INSTANT as INSTANT_PATTERN

Schema = dict[str, Any]

# To a schema 7.0 is an integer, to the app it is none.
STRICT_TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda checker, value: type(value) is int)
Validator = extend(Draft202012Validator, type_checker=STRICT_TYPES)

TEXT: Schema = {"type": "string"}
FILLED: Schema = {"type": "string", "minLength": 1}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}
INSTANT: Schema = {"type": "string", "pattern": f"^{INSTANT_PATTERN.pattern}$"}
WORDS: Schema = {"type": "object", "minProperties": 1, "additionalProperties": TEXT}
# A Date of the year 2000 or later: in seconds instead of milliseconds it would not be.
EPOCH_MS: Schema = {"type": "integer", "minimum": 946_684_800_000}


def nullable(schema: Schema) -> Schema:
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def array(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def an_object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def page_of(row: Schema) -> Schema:
    """Section 1.2, "List format"."""
    return an_object({
        "count": {"type": "integer", "minimum": 0}, "next": nullable(FILLED), "previous": nullable(TEXT),
        "results": array(row),
    })  # fmt: skip


GATE = nullable(an_object({"id": WHOLE, "name": TEXT}))
# Section 1.1.
DEVICE = {
    "initialize": an_object(
        {"api_token": FILLED, "organizer": FILLED, "device_id": WHOLE, "unique_serial": FILLED},
        {"name": TEXT, "security_profile": FILLED, "gate": GATE},
    ),
    "initialize refused": {"type": "object", "minProperties": 1, "additionalProperties": array(TEXT)},
    "update": an_object({"name": TEXT}, {"gate": GATE}),
    "info": an_object(
        {
            "device": an_object({"name": TEXT, "gate": GATE}),
            "server": an_object({"version": an_object({"pretix_numeric": WHOLE}, {"pretix": TEXT})}),
        },
        {"medium_key_sets": {"type": "array"}},
    ),
    "version": an_object({"pretix_numeric": WHOLE}, {"pretix": TEXT}),
    "eventselection": an_object({
        "event": an_object({"slug": FILLED, "name": TEXT}), "subevent": nullable(WHOLE), "checkinlist": nullable(WHOLE),
    }),
}  # fmt: skip

OPTION = an_object({"id": WHOLE, "position": WHOLE, "identifier": TEXT, "answer": {"anyOf": [WORDS, TEXT]}})
# Section 1.3, "json_data keys used"; also the rows of `questions/`, as far as they have these.
QUESTION_KEYS = {
    "type": one_of("N", "S", "T", "B", "C", "M", "F", "D", "H", "W", "CC", "TEL", "EMAIL"),
    "question": WORDS, "identifier": TEXT, "ask_during_checkin": FLAG, "show_during_checkin": FLAG,
    "options": array(OPTION), "dependency_question": nullable(WHOLE), "dependency_values": array(TEXT),
}  # fmt: skip
QUESTION = an_object(QUESTION_KEYS)

VARIATION = an_object({"id": WHOLE, "value": WORDS})
# Section 1.2.
RESOURCES = {
    "events": page_of(an_object(
        {"slug": FILLED, "name": WORDS, "date_from": INSTANT, "date_to": nullable(INSTANT), "live": FLAG},
        {"best_availability_state": nullable(WHOLE), "has_subevents": FLAG},
    )),
    "subevents": page_of(an_object(
        {
            "id": WHOLE, "event": FILLED, "name": WORDS, "active": FLAG, "date_from": INSTANT,
            "date_to": nullable(INSTANT), "seat_category_mapping": ANYTHING,
            "item_price_overrides": array(ANYTHING), "variation_price_overrides": array(ANYTHING),
        },
        {"best_availability_state": nullable(WHOLE)},
    )),
    "event": an_object(
        {
            "slug": FILLED, "name": WORDS, "currency": FILLED, "date_from": INSTANT, "date_to": nullable(INSTANT),
            "has_subevents": FLAG, "live": FLAG, "seat_category_mapping": ANYTHING,
        },
        {"timezone": FILLED, "plugins": array(TEXT), "valid_keys": ANYTHING, "testmode": FLAG},
    ),
    "categories": page_of(an_object({"id": WHOLE, "position": WHOLE}, {"name": WORDS})),
    "items": page_of(an_object({
        "id": WHOLE, "position": WHOLE, "name": WORDS, "active": FLAG, "admission": FLAG, "category": nullable(WHOLE),
        "internal_name": nullable(TEXT), "picture": nullable(TEXT), "variations": array(VARIATION),
        "bundles": array(ANYTHING), "addons": array(ANYTHING),
    })),
    "questions": page_of(an_object({"id": WHOLE, "position": WHOLE, "items": array(WHOLE)}, QUESTION_KEYS)),
    "badgelayouts": page_of(an_object({
        "id": WHOLE, "default": FLAG, "background": nullable(TEXT), "layout": {"type": "array"},
    })),
    "badgeitems": page_of(an_object({"id": WHOLE, "item": WHOLE, "layout": nullable(WHOLE)})),
    "checkinlists": page_of(an_object({
        "id": WHOLE, "name": TEXT, "all_products": FLAG, "limit_products": array(WHOLE), "include_pending": FLAG,
        "subevent": nullable(WHOLE), "allow_multiple_entries": FLAG, "allow_entry_after_exit": FLAG,
        "addon_match": FLAG, "rules": ANYTHING,
    })),
    "revokedsecrets": page_of(an_object({"id": WHOLE, "secret": FILLED, "created": INSTANT})),
    "blockedsecrets": page_of(an_object({"id": WHOLE, "secret": FILLED, "updated": INSTANT, "blocked": FLAG})),
    # No version of the app that is tested here asks for these two; older ones may.
    "orders": page_of(ANYTHING),
    "reusablemedia": page_of(ANYTHING),
    "settings": {
        "type": "object",
        "properties": {
            f"reusable_media_type_{medium}": FLAG for medium in ("barcode", "nfc_uid", "nfc_mf0aes")
        },
    },
}  # fmt: skip

# Section 1.3.
RESULT_TYPES = (
    "VALID", "INVALID", "USED", "ERROR", "UNPAID", "BLOCKED", "INVALID_TIME", "CANCELED", "PRODUCT", "RULES",
    "ANSWERS_REQUIRED", "AMBIGUOUS", "REVOKED", "UNAPPROVED", "ALREADY_EXCHANGED", "MEDIUM_INVALID", "MEDIUM_EXISTS",
    "EXCHANGE_REQUIRED", "EXCHANGE_REQUIRED_OFFLINE",
)  # fmt: skip
SCAN_TYPES = ("ENTRY", "EXIT")
MEDIA_POLICIES = ("NEW", "REUSE", "REUSE_OR_NEW", "APPEND", "APPEND_OR_NEW", "NONE")
MEDIA_TYPES = ("BARCODE", "NFC_UID", "NFC_MF0AES", "NONE", "UNSUPPORTED")
STATUSES = ("PAID", "PENDING", "CANCELED")

ASKED = an_object({
    "question": an_object({"server_id": WHOLE, "position": WHOLE, "required": FLAG, "json_data": FILLED}),
    "currentValue": nullable(TEXT),
})  # fmt: skip
RESULT_KEYS = {
    "type": one_of(*RESULT_TYPES), "scanType": one_of(*SCAN_TYPES),
    **dict.fromkeys(("ticket", "variation", "attendee_name", "seat", "orderCode", "addonText"), nullable(TEXT)),
    **dict.fromkeys(("message", "reasonExplanation", "eventSlug", "locale"), nullable(TEXT)),
    "positionId": nullable(WHOLE), "firstScanned": {"anyOf": [EPOCH_MS, INSTANT, {"type": "null"}]},
    "checkinTexts": nullable(array(TEXT)), "isRequireAttention": FLAG, "isCheckinAllowed": FLAG, "offline": FLAG,
    "requiredAnswers": nullable(array(ASKED)), "shownAnswers": nullable(array(ASKED)), "position": nullable(ANYTHING),
    "requiredMediaPolicy": nullable(one_of(*MEDIA_POLICIES)), "requiredMediaType": nullable(one_of(*MEDIA_TYPES)),
}  # fmt: skip
# The "UI effects" that end in a crash, as rules.
RESULT_RULES: list[Schema] = [
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


def check_result(*required: str) -> Schema:
    return {"type": "object", "properties": RESULT_KEYS, "required": list(required), "allOf": RESULT_RULES}


COUNTS = {"id": WHOLE, "name": TEXT, "total": WHOLE, "checkins": WHOLE}
RPC = {
    "check": check_result("type"),
    "search": array(an_object({
        "secret": FILLED, "status": one_of(*STATUSES), "isRedeemed": FLAG, "isRequireAttention": FLAG,
        **dict.fromkeys(
            ("ticket", "variation", "attendee_name", "seat", "orderCode", "addonText"), nullable(TEXT)
        ),
        "positionId": nullable(WHOLE), "position": nullable(ANYTHING),
    })),
    "status": an_object({
        "eventName": TEXT, "totalTickets": WHOLE, "alreadyScanned": WHOLE, "currentlyInside": nullable(WHOLE),
        "items": array(an_object({
            **COUNTS, "admission": FLAG, "isAdmission": FLAG, "variations": array(an_object(COUNTS)),
        })),
    }),
    "error": an_object({"title": FILLED}),
}  # fmt: skip

ANSWERS: dict[str, Schema] = {**DEVICE, **RESOURCES, **RPC, "question": QUESTION}
WHOLE_ANSWERS: dict[str, Schema] = {**ANSWERS, "check": check_result(*RESULT_KEYS)}


def validate(name: str, answer: object) -> None:
    """Raises jsonschema.ValidationError unless the answer called `name` has what the page requires of it."""
    _validate(name, answer, is_whole=False)


def validate_whole(name: str, answer: object) -> None:
    """The same, and every key of a CheckResult that the page names has to be there, null or not."""
    _validate(name, answer, is_whole=True)


def _validate(name: str, answer: Any, is_whole: bool) -> None:
    error = best_match(_validator(name, is_whole).iter_errors(answer))
    if error is not None:
        raise error
    if name == "check":
        _validate_questions(answer)


@cache
def _validator(name: str, is_whole: bool) -> AnyValidator:
    return Validator((WHOLE_ANSWERS if is_whole else ANSWERS)[name])


def _validate_questions(result: Any) -> None:
    """The questions of a CheckResult stand in texts of their own, which no schema looks into."""
    for each in [*(result.get("requiredAnswers") or ()), *(result.get("shownAnswers") or ())]:
        text = each["question"]["json_data"]
        try:
            question = json.loads(text)
        except ValueError as error:
            raise ValidationError(f"json_data is not JSON: {text!r}") from error
        validate("question", question)
