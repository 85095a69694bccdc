"""Every answer of sections 1.1 to 1.3 by the tests' name for it, and the hooks that hold answers against its schema.

The schemas are those of the box's own description (`edgebox.openapi`). The app ignores keys that it does not know, so
objects are open. Required is what the protocol page names, apart from what it calls optional or fills with defaults:
the box promises more than the app needs to live. Of a CheckResult that is little, as "missing keys take defaults";
`validate_whole` wants every key that the page names, as the description does.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator as AnyValidator
from jsonschema.validators import extend

from edgebox.openapi import description
from edgebox.openapi.pretixscan_schemas import MEDIA_POLICIES as MEDIA_POLICIES
from edgebox.openapi.pretixscan_schemas import MEDIA_TYPES as MEDIA_TYPES
from edgebox.openapi.pretixscan_schemas import RESULT_TYPES as RESULT_TYPES
from edgebox.openapi.pretixscan_schemas import SCAN_TYPES as SCAN_TYPES
from edgebox.openapi.pretixscan_schemas import STATUSES as STATUSES

Schema = dict[str, Any]

# To a schema 7.0 is an integer, to the app it is none.
STRICT_TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda checker, value: type(value) is int)
Validator = extend(Draft202012Validator, type_checker=STRICT_TYPES)

ANSWERS = {
    "initialize": "ScanIdentity", "initialize refused": "ScanNotSetUp", "update": "ScanUpdated", "info": "ScanInfo",
    "version": "ScanVersion", "eventselection": "ScanSelection", "events": "ScanEvents", "subevents": "ScanSubevents",
    "event": "ScanEvent", "categories": "ScanCategories", "items": "ScanItems", "questions": "ScanQuestions",
    "badgelayouts": "ScanBadgeLayouts", "badgeitems": "ScanBadgeItems", "checkinlists": "ScanCheckInLists",
    "revokedsecrets": "ScanRevokedSecrets", "blockedsecrets": "ScanBlockedSecrets", "orders": "ScanOrders",
    "reusablemedia": "ScanReusableMedia", "settings": "ScanSettings", "check": "ScanResult", "search": "ScanFound",
    "status": "ScanStatus", "error": "ScanError", "question": "ScanQuestion",
}  # fmt: skip
"""Names of answers, and of their schemas among the description's components."""


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
    return Validator(_promised(name) if is_whole else _needed(name))


def _promised(name: str) -> Schema:
    schema: Schema = _components()[ANSWERS[name]]
    return schema


def _needed(name: str) -> Schema:
    """What the app cannot do without."""
    return {**_promised(name), "required": ["type"]} if name == "check" else _promised(name)


@cache
def _components() -> Schema:
    schemas: Schema = description()["components"]["schemas"]
    return schemas


def _validate_questions(result: Any) -> None:
    """The questions of a CheckResult stand in texts of their own, which no schema looks into."""
    for each in [*(result.get("requiredAnswers") or ()), *(result.get("shownAnswers") or ())]:
        text = each["question"]["json_data"]
        try:
            question = json.loads(text)
        except ValueError as error:
            raise ValidationError(f"json_data is not JSON: {text!r}") from error
        validate("question", question)
