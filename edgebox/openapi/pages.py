"""The pages for staff: what they are asked with, and who may ask. Their answers are for people, in HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edgebox.openapi.words import (
    FLAG,
    FORM,
    HTML,
    JSON,
    MULTIPART,
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
    ref,
)

TAGS = [
    {
        "name": "pages",
        "description": "The pages for staff. Who has not logged in is sent to /login. A POST needs the `csrf_token` of"
        " one of the box's own forms (or X-CSRFToken); what it cannot do is said on the page that follows.",
    }
]
SECURITY: dict[str, Schema] = {
    "staffSession": {"type": "apiKey", "in": "cookie", "name": "edgebox", "description": "What /login gives."}
}
SCHEMAS: dict[str, Schema] = {
    "PageScan": an_object(
        {"verdict": TEXT, "text": TEXT},
        {
            "detail": TEXT, "time": TEXT, "name": TEXT, "item": TEXT, "addons": TEXT, "order": TEXT,
            "attention": FLAG, "may_ignore_unpaid": FLAG,
            "questions": array(an_object({
                "id": WHOLE, "type": TEXT, "text": TEXT, "required": FLAG,
                "options": array(an_object({"id": WHOLE, "text": TEXT})),
            })),
        },
    ),
    "PageError": an_object({"status": {"const": "error"}, "reason": TEXT, "message": TEXT, "version": WHOLE}),
}  # fmt: skip

ALL, STAFF, LEAD = "everybody", "staff", "the lead"
CSV, SQLITE = "text/csv", "application/vnd.sqlite3"

_PARTS: dict[str, Schema] = {
    "name": {"schema": TEXT, "description": "A device's name."},
    "filename": {"schema": TEXT, "description": "A file's name."},
}


@dataclass(frozen=True)
class _Page:
    """`fields` are the form's, `asks` the query's, each with what it is."""

    who: str
    summary: str
    fields: dict[str, str] | None = None
    asks: dict[str, str] = field(default_factory=dict)
    kind: str = HTML


def _act(who: str, summary: str, **fields: str) -> _Page:
    return _Page(who, summary, fields)


_FILTERS = {
    "list": "Its number.",
    "device": "Its name.",
    "name": "A part of a guest's name.",
    "secret": "A ticket's code.",
    "since": "YYYY-MM-DDTHH:MM in the time of the event.",
}
_NEW_PASSWORD = {"password": "8 to 200 characters.", "again": "The same."}
_WHY = {"reason": "Why."}

_PAGES: dict[str, _Page] = {
    "GET /": _Page(STAFF, "Now: how things stand.", asks={"wall": "There: for a screen on the wall."}),
    "GET /now/live": _Page(STAFF, "What changes by itself on it.", asks={"wall": "As above."}),
    "POST /sync": _act(STAFF, "Push and pull now."),
    "GET /login": _Page(ALL, "The log-in.", asks={"next": "Where to go then."}),
    "POST /login": _act(ALL, "Log in.", role="lead or gate", name="Who it is.", password="The role's.", next="A path."),
    "GET /first": _Page(ALL, "Setting the lead's password with a code."),
    "POST /first": _act(ALL, "Set it.", code="The code, which works once.", name="Who it is.", **_NEW_PASSWORD),
    "GET /first/gate": _Page(ALL, "The same for the gate."),
    "POST /first/gate": _act(ALL, "Set it.", code="The code, which works once.", name="Who it is.", **_NEW_PASSWORD),
    "POST /logout": _act(ALL, "Log out."),
    "POST /language": _act(ALL, "Choose a language.", language="en or de", next="Where to go then."),
    "POST /password": _act(LEAD, "Set a role's password.", role="lead or gate", **_NEW_PASSWORD),
    "GET /find": _Page(STAFF, "Find a ticket.", asks={"query": "A name, order or code."}),
    "GET /tickets/{ticket_id}": _Page(STAFF, "A ticket and its history."),
    "POST /tickets/{ticket_id}/checkin": _act(
        STAFF, "Check it in.", nonce="Names this check-in.", force="There: whatever the rules say.", **_WHY
    ),
    "POST /tickets/{ticket_id}/note": _act(STAFF, "Add a note.", text="The note."),
    "POST /tickets/{ticket_id}/undo/{checkin_id}": _act(STAFF, "Undo a check-in that was not pushed.", **_WHY),
    "GET /scan": _Page(STAFF, "Scan with a keyboard scanner."),
    "POST /scan/device": _act(STAFF, "Scan as a device.", key="Its key or its QR code's text; empty: stop."),
    "POST /scan/redeem": _Page(STAFF, "Check a ticket in, from that page.", kind=JSON),
    "GET /attention": _Page(LEAD, "What needs staff."),
    "POST /attention/{checkin_id}/retry": _act(LEAD, "Send a parked check-in again."),
    "POST /attention/{checkin_id}/dismiss": _act(LEAD, "Close a conflict.", **_WHY),
    "GET /attention/held/{list_id}/accept": _Page(LEAD, "The question before what a pull takes away."),
    "POST /attention/held/{list_id}/accept": _act(LEAD, "Let the pull take it away."),
    "POST /attention/held/{list_id}/reject": _act(LEAD, "Keep it."),
    "GET /devices": _Page(LEAD, "The scanners."),
    "POST /devices/add": _act(
        LEAD,
        "Add one.",
        name="What it is called.",
        app="pretixscan or pretixdroid",
        list="The number of its list (pretixdroid).",
        lists="The numbers of its lists (pretixscan); several.",
        no_search="There: it may not search by name.",
        no_info="There: its app shows no statistics.",
    ),
    "GET /devices/{name}/qr": _Page(LEAD, "The QR code that sets it up."),
    "GET /devices/{name}/live": _Page(LEAD, "Whether that code was used."),
    "GET /devices/{name}/revoke": _Page(LEAD, "The question before it is revoked."),
    "POST /devices/renew": _act(LEAD, "A fresh code.", name="The device."),
    "POST /devices/revoke": _act(LEAD, "Revoke it.", name="The device.", wipe="There: its app deletes its data."),
    "GET /lists": _Page(LEAD, "The check-in lists and the connections."),
    "GET /lists/live": _Page(LEAD, "What changes by itself on it."),
    "POST /lists/add": _act(
        LEAD,
        "Register a list.",
        url="Its address, or the text of a QR code.",
        key="Its key.",
        name="What the box calls it.",
        separate="There: although it is here already.",
    ),
    "GET /lists/{list_id}/sheet": _Page(LEAD, "All QR codes of a list, to be printed."),
    "GET /lists/{list_id}/paper": _Page(LEAD, "The list, to be printed and ticked by hand."),
    "POST /lists/{list_id}/test": _act(LEAD, "Ask its ticket server now."),
    "POST /lists/{list_id}/pause": _act(LEAD, "Stop its sync."),
    "POST /lists/{list_id}/resume": _act(LEAD, "Go on with its sync."),
    "GET /lists/{list_id}/remove": _Page(LEAD, "The question before it is removed."),
    "POST /lists/{list_id}/remove": _act(LEAD, "Remove it."),
    "POST /connections/add": _act(LEAD, "Connect a pretix.", text="Its address, or its QR code's text.", token="Once."),
    "POST /connections/offers": _act(LEAD, "Ask the connections what they offer."),
    "POST /connections/lists": _act(LEAD, "Register offered lists.", offer="CONNECTION/EVENT/LIST; several."),
    "POST /connections/{connection_id}/remove": _act(LEAD, "Forget a connection."),
    "GET /log": _Page(
        LEAD, "The log.", asks={"show": "attempts, syncs or deeds", "page": "From 1.", **_FILTERS}
    ),
    "GET /log.csv": _Page(LEAD, "The log.", asks=_FILTERS, kind=CSV),
    "GET /journal.csv": _Page(LEAD, "The journal of check-ins.", kind=CSV),
    "GET /syncs.csv": _Page(LEAD, "The record of syncs.", asks={"list": "Its number."}, kind=CSV),
    "GET /staff.csv": _Page(LEAD, "What staff did.", kind=CSV),
    "GET /box": _Page(LEAD, "The machine, the passwords, a backup."),
    "POST /box/restored": _act(LEAD, "Everybody knows that the database was restored."),
    "POST /box/backup": _Page(LEAD, "A copy of the database.", {}, kind=SQLITE),
    "GET /static/web/{filename}": _Page(ALL, "Styles and scripts of the pages.", kind="*/*"),
    "GET /bootstrap/static/{filename}": _Page(ALL, "Styles that others wrote.", kind="*/*"),
}  # fmt: skip

_SEVERAL = {"lists", "offer"}
_SCAN = an_object(
    {"secret": {**TEXT, "minLength": 1, "maxLength": 500}, "nonce": {**TEXT, "minLength": 1, "maxLength": 190}},
    {"answers": {"type": "object", "additionalProperties": TEXT}, "ignore_unpaid": {"type": "boolean"}},
)


def paths() -> dict[str, Schema]:
    """Every page and every action."""
    found: dict[str, Schema] = {}
    for asked, page in _PAGES.items():
        method, path = asked.lower().split(" ", 1)
        path = asked.split(" ", 1)[1]
        found.setdefault(path, {})[method] = _operation(method, path, page)
    return found


def _operation(method: str, path: str, page: _Page) -> Schema:
    parts = re.findall(r"{(\w+)}", path)
    number: Schema = {"schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "description": "Its number."}
    operation: Schema = {
        "tags": ["pages"],
        "operationId": f"pages_{method}_{re.sub(r'[^a-z]+', '_', path).strip('_') or 'now'}",
        "summary": page.summary,
        "description": f"For {page.who}.",
        "parameters": in_path(**{part: _PARTS.get(part, number) for part in parts}) + in_query(**page.asks),
        "responses": _answers(method, path, page, bool(parts)),
    }
    if page.who != ALL:
        operation["security"] = [{"staffSession": []}]
    if page.fields is not None:
        operation["requestBody"] = body(_form(page.fields), FORM, MULTIPART)
    elif method == "post":
        operation["requestBody"] = body(_SCAN, JSON)
    return operation


def _form(fields: dict[str, str]) -> Schema:
    def one(name: str, what: str) -> Schema:
        return {**(array(TEXT) if name in _SEVERAL else TEXT), "description": what}

    return an_object({}, {"csrf_token": TEXT, "back": TEXT, **{name: one(name, what) for name, what in fields.items()}})


def _answers(method: str, path: str, page: _Page, has_parts: bool) -> Schema:
    told: Schema = {}
    is_form = page.fields is not None and page.kind == HTML
    if is_form:
        told["302"] = answer("Done, or why not: on the page that follows.")
    else:
        told["200"] = answer("What was asked for.", ref("PageScan") if page.kind == JSON else TEXT, page.kind)
    if page.who != ALL or path in ("/login", "/first", "/first/gate"):
        told.setdefault("302", answer("To another page, such as the log-in."))
    if path.endswith("/live") or page.kind == "*/*":
        told["304"] = answer("As it was.")
    if method == "post":
        told["400"] = answer("No proof that a form of the box asked for it.", TEXT, HTML)
        told["413"] = answer("Too large.", TEXT, HTML)
    if path in ("/login", "/first", "/first/gate") and method == "post":
        told["401"] = answer("Not let in: the page says why.", TEXT, HTML)
    if page.who == LEAD:
        told["403"] = answer("Only the lead.", TEXT, HTML)
    if has_parts:
        told["404"] = _not_there()
    told["503"] = answer("Not now: the page says why.", TEXT, HTML)
    if page.kind == JSON:
        for status, what in (("400", "No scan."), ("403", "No device."), ("503", "Not now.")):
            told[status] = answer(what, ref("PageScan"))
        told["400"]["content"][HTML] = {"schema": TEXT}
    return told


def _not_there() -> Schema:
    told = answer("There is no such thing.", TEXT, HTML)
    told["content"][JSON] = {"schema": ref("PageError")}
    told["content"][PLAIN] = {"schema": TEXT}
    return told
