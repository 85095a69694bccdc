"""The pretixdroid API, versions 2 and 3, as the box answers it."""

from __future__ import annotations

from itertools import product

from edgebox.openapi.words import (
    COUNT,
    FILLED,
    FLAG,
    FORM,
    MULTIPART,
    TEXT,
    WHOLE,
    Schema,
    answer,
    array,
    body,
    closed,
    in_path,
    in_query,
    nullable,
    one_of,
    ref,
)

TAGS = [
    {
        "name": "pretixdroid",
        "description": "Scanners with the pretixdroid app. Each address answers with and without its last slash."
        " Refused in this order: event (404), key (403), date (403), method (405), body (400, 413).",
    }
]
SECURITY: dict[str, Schema] = {
    "pretixdroidKey": {"type": "apiKey", "in": "query", "name": "key", "description": "The device's key."}
}

_QUESTION = {
    "id": WHOLE, "type": one_of("N", "S", "T", "B", "C", "M", "D", "H", "W"), "question": TEXT, "required": FLAG,
    "position": WHOLE, "options": array(closed({"id": WHOLE, "answer": TEXT})),
}  # fmt: skip
_COUNTS = {"checkins": COUNT, "total": COUNT}
_VERSION = {"version": {"type": "integer", "minimum": 2, "description": "What the list's upstream speaks."}}
_REASONS = ("unknown_ticket", "product", "unpaid", "already_redeemed")

SCHEMAS: dict[str, Schema] = {
    "DroidTicket": closed({
        "secret": TEXT, "order": TEXT, "item": FILLED, "item_id": WHOLE, "variation": nullable(TEXT),
        "variation_id": nullable(WHOLE), "attendee_name": nullable(TEXT), "attention": FLAG, "redeemed": FLAG,
        "paid": FLAG, "checkin_allowed": FLAG, "addons_text": TEXT,
    }),
    "DroidQuestion": closed(_QUESTION),
    "DroidQuestionOfItems": closed({**_QUESTION, "items": array(WHOLE)}),
    "DroidVerdict": {
        "description": "A decision. `data` is the ticket, wherever there is one on the list.",
        "oneOf": [
            closed({"status": {"const": "ok"}, **_VERSION, "data": ref("DroidTicket")}),
            closed({
                "status": {"const": "incomplete"}, **_VERSION, "data": ref("DroidTicket"),
                "questions": {"type": "array", "items": ref("DroidQuestion"), "minItems": 1},
            }),
            closed({
                "status": {"const": "error"}, "reason": one_of(*_REASONS[1:]), "message": FILLED, **_VERSION,
                "data": ref("DroidTicket"),
            }),
            closed({"status": {"const": "error"}, "reason": {"const": _REASONS[0]}, "message": FILLED, **_VERSION}),
        ],
    },
    "DroidSearch": closed({"results": array(ref("DroidTicket"), at_most=25), **_VERSION}),
    "DroidDownload": closed({
        "results": array(ref("DroidTicket")), "questions": array(ref("DroidQuestionOfItems")), **_VERSION,
    }),
    "DroidStatus": closed({
        **_COUNTS, **_VERSION,
        "event": closed({
            "name": TEXT, "list": TEXT, "slug": TEXT, "subevent": nullable(WHOLE), "timezone": TEXT,
            "date_from": nullable(TEXT), "date_to": nullable(TEXT), "url": nullable(TEXT),
            "organizer": closed({"name": TEXT, "slug": TEXT}),
        }),
        "items": array(closed({
            "id": WHOLE, "name": TEXT, "admission": FLAG, **_COUNTS,
            "variations": array(closed({"id": WHOLE, "name": TEXT, **_COUNTS})),
        })),
    }),
    "DroidError": closed({
        "status": {"const": "error"}, "message": FILLED, **_VERSION,
        "reason": one_of(
            "bad_request", "invalid_key", "invalid_subevent", "unknown_event", "not_found", "method_not_allowed",
            "too_large", "unavailable", "server_error",
        ),
    }),
}  # fmt: skip

_FLAG_OF_FORM = {"type": "string", "description": "true or True; anything else is false"}
_REDEEM: Schema = {
    "type": "object",
    "properties": {
        "secret": {"type": "string", "description": "What was scanned. Odd or missing: an unknown ticket."},
        "datetime": {"type": "string", "description": "ISO 8601; without an offset it is UTC. Without: now."},
        "force": {**_FLAG_OF_FORM, "description": "It happened already: record it. true or True."},
        "ignore_unpaid": _FLAG_OF_FORM,
        "nonce": {"type": "string", "maxLength": 190, "description": "Names this check-in: a retry is harmless."},
        "questions_supported": {"type": "string", "description": "Not empty: the device can ask questions."},
    },
    "patternProperties": {
        "^answer_[0-9]{1,18}$": {"type": "string", "maxLength": 10_000, "description": "To the question of that id."}
    },
}
_CALLS: dict[str, tuple[str, str, Schema]] = {
    "redeem": ("post", "Checks a ticket in.", answer("The decision.", ref("DroidVerdict"))),
    "search": ("get", "Tickets by the start of code or order, or by name.", answer("Found.", ref("DroidSearch"))),
    "download": (
        "get",
        "All tickets of the list, for a phone that scans offline.",
        answer(
            "The tickets, compressed where the phone can read that.",
            ref("DroidDownload"),
            Age="Seconds since it was put together, where something has changed since.",
        ),
    ),
    "status": ("get", "The event and the list's counts.", answer("The counts.", ref("DroidStatus"))),
}


def paths() -> dict[str, Schema]:
    """The four calls, each with and without the date of a series."""
    return {
        f"/pretixdroid/api/{{organizer}}/{{event}}/{date}{verb}/": _call(verb, bool(date))
        for verb, date in product(_CALLS, ("", "{subevent}/"))
    }


def _call(verb: str, of_date: bool) -> Schema:
    method, summary, good = _CALLS[verb]
    where = {"organizer": "Its slug.", "event": "Its slug."}
    call: Schema = {
        "tags": ["pretixdroid"],
        "operationId": f"pretixdroid_{verb}{'_of_date' if of_date else ''}",
        "summary": summary,
        "security": [{"pretixdroidKey": []}],
        "parameters": in_path(**where, **({"subevent": "The list's date of a series."} if of_date else {})),
        "responses": {
            "200": good,
            "400": answer("A field cannot be used; nothing was done.", ref("DroidError")),
            "403": answer("The key is not one of this event, or the date not one of its list.", ref("DroidError")),
            "404": answer("There is no such event on the box.", ref("DroidError")),
            "413": answer("Too large, or too many fields; nothing was done.", ref("DroidError")),
            "503": answer("Not now; nothing was recorded.", ref("DroidError")),
        },
    }
    if verb == "redeem":
        call["requestBody"] = body(_REDEEM, FORM, MULTIPART)
    if verb == "search":
        call["parameters"] += in_query(query="Four characters or more; case and accents do not matter.")
    return {method: call}
