"""A box that answers as the examples do, or as a test spoils them: the strict app is judged by it."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.pretixscan import App
from tests.support.pretixscan import examples as right
from tests.support.pretixscan.examples import Json, answers_required, page

MODIFIED = "Tue, 01 Sep 2026 10:00:00 GMT"
GENERATED = "2026-09-01T10:00:00.123456Z"
# Takes a field away.
MISSING = object()
LISTS, DATES = {"gala": 12, "tour": 12}, {"tour": 31}
TABLES: dict[str, Json] = {
    "categories": right.CATEGORY, "items": right.ITEM, "questions": right.SHIRT, "badgelayouts": right.BADGE_LAYOUT,
    "badgeitems": right.BADGE_ITEM, "checkinlists": right.CHECK_IN_LIST, "revokedsecrets": right.REVOKED,
    "blockedsecrets": right.BLOCKED,
}  # fmt: skip
TICKETS = {
    "k3p9x7": right.VALID, "badge": right.BADGE, "used": right.USED, "unpaid": right.UNPAID,
    "asks": answers_required(right.SHIRT, right.BADGE_NAME),
}  # fmt: skip


@dataclass
class Reply:
    """`body` is sent as JSON, unless it is a text."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """`what` is method and path, without what stands before `events/`, `device/` and the like."""

    what: str
    query: dict[str, str]
    json: Any
    headers: dict[str, str]


class FakeBox:
    """Answers as the examples do. `replies` are by what is asked for, tickets by their code (`TICKET k3p9x7`)."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.hooks: dict[str, Callable[[Asked], Reply]] = {}
        self.replies: dict[str, Reply] = {
            "POST device/initialize": Reply(201, right.DEVICE),
            "POST device/update": Reply(200, right.DEVICE),
            "POST device/revoke": Reply(200, right.DEVICE),
            "GET device/info": Reply(200, right.INFO),
            "GET version": Reply(200, right.VERSION),
            "GET device/eventselection": Reply(200, right.SWITCH),
            "GET events/": Reply(200, page(right.EVENT)),
            "GET subevents/": Reply(200, page(right.SUBEVENT), {"X-Page-Generated": GENERATED}),
            "GET events/gala/": Reply(200, right.EVENT),
            "GET events/tour/": Reply(200, right.SERIES),
            "POST events/gala/orderpositions/501/printlog/": Reply(204, ""),
            "POST search/": Reply(200, [right.FOUND]),
            "POST gala/12/search/": Reply(200, [right.FOUND]),
            **{f"GET {slug}/12/status/": Reply(200, right.STATUS) for slug in ("gala", "tour")},
            **{f"TICKET {ticket}": Reply(200, result) for ticket, result in TICKETS.items()},
        }
        for slug in ("gala", "tour"):
            self.replies[f"GET events/{slug}/settings/"] = Reply(200, right.SETTINGS)
            for table, row in TABLES.items():
                stamp = {} if table.endswith("secrets") or table.startswith("badge") else {"Last-Modified": MODIFIED}
                self.replies[f"GET events/{slug}/{table}/"] = Reply(200, page(row), stamp)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def qr(self) -> str:
        return json.dumps({**right.QR, "url": self.url})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def seen(self, what: str) -> list[Asked]:
        return [each for each in self.asked if each.what == what]

    def spoil(self, what: str, place: str, value: Any) -> None:
        """Put `value` at a place such as `results.0.name` of a right answer; MISSING takes away what is there."""
        body = copy.deepcopy(self.replies[what].body)
        *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        inside = body
        for part in path:
            inside = inside[part]
        if value is MISSING:
            del inside[last]
        else:
            inside[last] = value
        self.replies[what].body = body

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if asked.what in self.hooks:
            return self.hooks[asked.what](asked)
        if asked.what.endswith((" check/", "/check/")):
            ticket = asked.json["ticketid"]
            is_done = asked.json["ignore_unpaid"] if ticket == "unpaid" else ticket == "asks" and asked.json["answers"]
            return self.replies["TICKET k3p9x7" if is_done else f"TICKET {ticket}"]
        reply = self.replies.get(asked.what, Reply(404, "not found"))
        condition = asked.headers.get("If-Modified-Since")
        return Reply(304) if condition and condition == reply.headers.get("Last-Modified") else reply


def _handler(box: FakeBox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            address = urlsplit(self.path)
            path = address.path
            for prefix in ("/api/v1/organizers/acme/", "/api/v1/", "/proxyapi/v1/rpc/"):
                path = path.removeprefix(prefix)
            what = Asked(
                f"{self.command} {path}", dict(parse_qsl(address.query)), json.loads(sent or "null"), dict(self.headers)
            )
            reply = box.reply(what)
            body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status not in (204, 304):
                self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            if reply.status not in (204, 304):
                self.wfile.write(body.encode())

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    return Handler


def a_day(app: App) -> None:
    """Everything that the app does, once."""
    app.first_start()
    app.events()
    app.check_in_lists("tour", 31)
    app.select(LISTS, DATES)
    app.sync()
    for ticket in ("k3p9x7", "badge", "used", "unpaid"):
        assert not app.check(ticket).is_error_card
    app.scan("asks", answers_for={5: "M", 6: "Ada"})
    app.search("ada")
    app.status()
    app.select({"gala": 12})
    app.event_selection()
    app.upgrade("3.4.0")
    app.sync()
