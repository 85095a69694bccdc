"""The protocol of pretixSCAN Proxy, as the box answers it."""

from __future__ import annotations

from edgebox.openapi.pretixscan_schemas import SCAN_TYPES
from edgebox.openapi.words import (
    ANYTHING,
    FLAG,
    JSON,
    PLAIN,
    TEXT,
    WHOLE,
    Schema,
    an_object,
    answer,
    array,
    body,
    in_path,
    in_query,
    nullable,
    one_of,
    ref,
)

TAGS = [
    {"name": "pretixSCAN: device", "description": "Setting a phone up, and what it says of itself later."},
    {
        "name": "pretixSCAN: resources",
        "description": "What the app fetches of events and lists. A device sees its own. All lists are one page.",
    },
    {"name": "pretixSCAN: gate", "description": "Check, search and statistics."},
]
SECURITY: dict[str, Schema] = {
    "pretixscanKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Device KEY`, with the key that `device/initialize` gave.",
    }
}

_DEVICE, _RESOURCES, _GATE = (tag["name"] for tag in TAGS)
_ORGANIZER = "/api/v1/organizers/{organizer}"
_RPC = "/proxyapi/v1/rpc"
_LIST = f"{_RPC}/{{event}}/{{number}}"

_NOT_THERE = answer("The device has no such list, event or organizer.", TEXT, PLAIN)
_UNAUTHORIZED = answer(
    "No device has this key (any more). One to be wiped is told so in the words at which its app does it.",
    ref("ScanUnauthorized"),
)
_BAD = answer("It cannot be understood; nothing was recorded.", ref("ScanError"))
_REFUSALS = {
    "400": _BAD,
    "413": answer("Too large; nothing was recorded.", ref("ScanError")),
    "503": answer("Not now; nothing was recorded.", ref("ScanError")),
}
_SLUGS = {"organizer": "Its slug.", "event": "Its slug."}
_NUMBER = {"schema": {"type": "integer", "minimum": 0}, "description": "A number of the box's own."}

_PHONE = dict.fromkeys(
    ("hardware_brand", "hardware_model", "os_name", "os_version", "software_brand", "software_version"), TEXT
)
_OPTION = an_object({"server_id": WHOLE}, {"position": WHOLE, "identifier": TEXT, "value": TEXT})
_ANSWER = an_object(
    {"question": an_object({"server_id": WHOLE}), "value": nullable(TEXT)}, {"options": nullable(array(_OPTION))}
)
_CHECK: dict[str, Schema] = {
    "ticketid": {"type": "string", "description": "What was scanned, as it is."},
    "answers": array(_ANSWER, at_most=200),
    "ignore_unpaid": FLAG,
    "with_badge_data": FLAG,
    "type": one_of(*SCAN_TYPES, *(word.lower() for word in SCAN_TYPES)),
    "source_type": one_of("barcode", "nfc_uid", "nfc_mf0aes"),
    "allowQuestions": FLAG,
    "useOrderLocale": FLAG,
    "nonce": nullable({"type": "string", "maxLength": 190, "description": "Names this check-in: a retry is harmless."}),
    "exchange_medium_type": nullable(TEXT),
    "exchange_medium_identifier": nullable(TEXT),
}
_SEARCH: dict[str, Schema] = {
    "query": {"type": "string", "description": "Fewer than four characters find nothing."},
    "page": {"type": "integer", "description": "There is only the first."},
}
_CHOSEN: dict[str, Schema] = {
    "events_and_checkin_lists": {
        "type": "object",
        "additionalProperties": WHOLE,
        "description": "The number of the chosen list, by the slug of its event.",
    }
}

_OF_EVENT: dict[str, tuple[str, str, bool]] = {
    # what: its schema, what it is, and whether it is told only when it has changed
    "categories": ("ScanCategories", "None: the app needs none.", True),
    "items": ("ScanItems", "The event's items.", True),
    "questions": ("ScanQuestions", "The questions that the door asks or sees.", True),
    "checkinlists": ("ScanCheckInLists", "The device's lists of this event.", True),
    "subevents": ("ScanSubevents", "The dates of this series that the lists are for.", False),
    "badgelayouts": ("ScanBadgeLayouts", "None: the box prints no badges.", False),
    "badgeitems": ("ScanBadgeItems", "None.", False),
    "revokedsecrets": ("ScanRevokedSecrets", "None: the box decides.", False),
    "blockedsecrets": ("ScanBlockedSecrets", "None: the box decides.", False),
    "orders": ("ScanOrders", "None: they stay on the box.", False),
    "reusablemedia": ("ScanReusableMedia", "None.", False),
    "settings": ("ScanSettings", "None: there is nothing to set.", False),
}


def paths() -> dict[str, Schema]:
    """Every call."""
    return {**_device(), **_resources(), **_gate()}


def _call(
    tag: str, name: str, summary: str, *, responses: dict[str, Schema], has_key: bool = True, **more: object
) -> Schema:
    """An operation; `responses` beside what every call with a key may be answered."""
    return {
        "tags": [tag],
        "operationId": f"pretixscan_{name}",
        "summary": summary,
        **({"security": [{"pretixscanKey": []}]} if has_key else {}),
        **more,
        "responses": {**({"401": _UNAUTHORIZED} if has_key else {}), **responses},
    }


def _device() -> dict[str, Schema]:
    current = in_query(current_event="A slug.", current_subevent="A number.", current_checkinlist="A number.")
    return {
        "/api/v1/device/initialize": {
            "post": _call(
                _DEVICE,
                "initialize",
                "A token from a QR code for the key of a session. It works once.",
                has_key=False,
                requestBody=body(an_object({"token": TEXT}, _PHONE), JSON),
                responses={
                    **_REFUSALS,
                    "200": answer("The key, as `api_token`.", ref("ScanIdentity")),
                    "400": answer(
                        "The token is not known (any more), or the body is none.",
                        {"anyOf": [ref("ScanNotSetUp"), ref("ScanError")]},
                    ),
                },
            )
        },
        "/api/v1/device/info": {
            "get": _call(
                _DEVICE,
                "info",
                "What the box says of itself and of this device.",
                responses={"200": answer("The device.", ref("ScanInfo")), "404": _NOT_THERE},
            )
        },
        "/api/v1/device/update": {
            "post": _call(
                _DEVICE,
                "update",
                "The app was updated.",
                requestBody=body(an_object({}, {**_PHONE, "rsa_pubkey": TEXT, "info": ANYTHING}), JSON),
                responses={**_REFUSALS, "200": answer("The device.", ref("ScanUpdated")), "404": _NOT_THERE},
            )
        },
        "/api/v1/device/revoke": {
            "post": _call(
                _DEVICE,
                "revoke",
                "The app was reset: its key ends.",
                requestBody=body(ANYTHING, JSON),
                responses={"200": answer("Its key has ended.", ANYTHING), "503": _REFUSALS["503"]},
            )
        },
        "/api/v1/device/eventselection": {
            "get": _call(
                _DEVICE,
                "event_selection",
                "Which event the phone should scan for.",
                parameters=current,
                responses={
                    "200": answer("This one.", ref("ScanSelection")),
                    "304": answer("The one that it scans for."),
                    "404": _NOT_THERE,
                },
            )
        },
        "/api/v1/version": {
            "get": _call(
                _DEVICE,
                "version",
                "The pretix that the box passes for.",
                has_key=False,
                responses={"200": answer("Its version.", ref("ScanVersion"))},
            )
        },
    }


def _resources() -> dict[str, Schema]:
    def get(name: str, summary: str, schema: str, *, of_event: bool = True, is_conditional: bool = False) -> Schema:
        where = in_path(**_SLUGS) if of_event else in_path(organizer=_SLUGS["organizer"])
        responses = {"200": answer(summary, ref(schema)), "404": _NOT_THERE}
        if is_conditional:
            stamp = "To be shown again as it stands; it is no time."
            responses["200"] = answer(summary, ref(schema), Last_Modified=stamp)
            responses["304"] = answer("As it was.", Last_Modified=stamp)
            header: Schema = {"name": "If-Modified-Since", "in": "header", "schema": TEXT}
            where.append({**header, "description": "The Last-Modified that was told with what the phone has."})
        if name == "checkinlists":
            where += in_query(subevent_match="Only lists for this date.")
        return {"get": _call(_RESOURCES, name, summary, parameters=where, responses=responses)}

    events = f"{_ORGANIZER}/events/"
    return {
        events: get("events", "The events of the device's lists.", "ScanEvents", of_event=False),
        f"{_ORGANIZER}/subevents/": get(
            "all_subevents", "The dates of all its series.", "ScanSubevents", of_event=False
        ),
        f"{events}{{event}}/": get("event", "One event.", "ScanEvent"),
        **{
            f"{events}{{event}}/{what}/": get(what, summary, schema, is_conditional=is_conditional)
            for what, (schema, summary, is_conditional) in _OF_EVENT.items()
        },
        f"{events}{{event}}/orderpositions/{{position}}/printlog/": {
            "post": _call(
                _RESOURCES,
                "print_log",
                "A badge was printed: accepted, and not forwarded.",
                parameters=in_path(**_SLUGS, position=_NUMBER),
                requestBody=body(ANYTHING, JSON),
                responses={"204": answer("Accepted."), "404": _NOT_THERE},
            )
        },
    }


def _gate() -> dict[str, Schema]:
    where = in_path(event=_SLUGS["event"], number=_NUMBER)

    def post(name: str, summary: str, asked: Schema, schema: str, *, of_list: bool) -> Schema:
        answers = {"200": answer("The answer.", ref(schema)), **_REFUSALS}
        more = (
            {"parameters": where, "requestBody": body(asked, JSON)} if of_list else {"requestBody": body(asked, JSON)}
        )
        if of_list:
            answers["404"] = answer("This is no list's number.", TEXT, PLAIN)
        return {"post": _call(_GATE, f"{name}{'_one' if of_list else ''}", summary, responses=answers, **more)}

    check = "Check a ticket in or out. What cannot be decided is a result of type ERROR."
    search = "Tickets, one search a keystroke."
    return {
        f"{_RPC}/check/": post("check", check, an_object(_CHOSEN, _CHECK), "ScanResult", of_list=False),
        f"{_RPC}/search/": post("search", search, an_object(_CHOSEN, _SEARCH), "ScanFound", of_list=False),
        f"{_LIST}/check/": post("check", check, an_object({}, _CHECK), "ScanResult", of_list=True),
        f"{_LIST}/search/": post("search", search, an_object({}, _SEARCH), "ScanFound", of_list=True),
        f"{_LIST}/status/": {
            "get": _call(
                _GATE,
                "status",
                "The statistics of a list.",
                parameters=where,
                responses={
                    "200": answer("The counts.", ref("ScanStatus")),
                    "400": answer("The device has no such list.", ref("ScanError")),
                    "404": answer("This is no list's number.", TEXT, PLAIN),
                },
            )
        },
    }
