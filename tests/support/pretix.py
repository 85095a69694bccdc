"""Just enough of today's pretix to put faults into: its REST API as a device meets it, on a port of 127.0.0.1."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

JSON, HTML = "application/json", "text/html; charset=utf-8"
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ORGANIZER, EVENT = "demoorga", "democon"
# A fault of the stub must end a test and not hang it.
SOCKET_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `path` is what follows `/api/v1/`."""

    method: str
    path: str
    query: list[tuple[str, str]]
    json: Any
    headers: dict[str, str]

    def asked(self, name: str) -> str | None:
        """The first value of a query's parameter."""
        return next((value for key, value in self.query if key == name), None)


@dataclass(frozen=True)
class Response:
    """An answer. `sends` is the share of its body that leaves before the connection is cut; None: not even its head.

    With `acts` the server does what was asked before it answers this instead.
    """

    status: int
    body: str = ""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    sends: float | None = 1.0
    acts: bool = False


Hook = Callable[[Request], Response | None]


def said(body: object, status: int = 200, **headers: str) -> Response:
    """JSON."""
    return Response(status, json.dumps(body), JSON, {name.replace("_", "-"): value for name, value in headers.items()})


def detail(text: str, status: int) -> Response:
    return said({"detail": text}, status)


def page_of_html(status: int, **headers: str) -> Response:
    """What a login page, a proxy or a broken server answers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, "<!DOCTYPE html><html><body>Hello</body></html>", HTML, named)


INVALID_TOKEN = detail("Invalid token.", 401)
REVOKED = detail("Device access has been revoked.", 401)
NO_PERMISSION = detail("You do not have permission to perform this action.", 403)
NO_PROFILE = detail("Request denied by device security profile.", 403)
LIST_NOT_FOUND = detail("No CheckinList matches the given query.", 404)
BUSY = said({"detail": "Lock timeout"}, 409, Retry_After="5")
ANSWER_LOST = Response(500, sends=None, acts=True)
NEVER_ARRIVED = Response(500, sends=None)
CUT = Response(200, "", sends=0.5, acts=True)


def too_many(seconds: int | None = None) -> Response:
    headers = {} if seconds is None else {"Retry_After": str(seconds)}
    return said({"detail": "Rate limit exceeded"}, 429, **headers)


def position(number: int, **told: Any) -> dict[str, Any]:
    """An order position as pretix tells it."""
    usual: dict[str, Any] = {
        "id": number, "positionid": 1, "item": 1, "variation": None, "attendee_name": f"Guest {number}",
        "secret": f"secret{number}", "addon_to": None, "subevent": None, "checkins": [], "answers": [], "seat": None,
        "canceled": False, "valid_from": None, "valid_until": None, "blocked": None,
    }  # fmt: skip
    return {**usual, **told}


def order(code: str, *positions: dict[str, Any], made: datetime = START, **told: Any) -> dict[str, Any]:
    """An order as pretix tells it."""
    usual = {
        "code": code, "event": EVENT, "status": "p", "testmode": False, "datetime": made.isoformat(),
        "last_modified": made.isoformat(), "require_approval": False, "valid_if_pending": False,
        "checkin_attention": False, "checkin_text": None, "invoice_address": None, "positions": list(positions),
    }  # fmt: skip
    return {**usual, **told}


def check_in_list(number: int, name: str, **told: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "id": number, "name": name, "all_products": True, "limit_products": [], "subevent": None,
        "include_pending": False, "allow_multiple_entries": False, "allow_entry_after_exit": True, "rules": {},
        "exit_all_at": None, "addon_match": False,
    }  # fmt: skip
    return {**usual, **told}


class PretixStub:
    """A pretix with one organizer and one event.

    `requests` has all that arrived, in order; `on(part, hook)` lets a hook answer requests whose path contains `part`.
    `now` is its clock, which stands still. `redeemed` are the bodies of redeems that were stored, `reported` those of
    reports. `errors` has what went wrong in here: a test whose stub has some proves nothing. One that is not served has
    no port; `answer` is what it does.
    """

    def __init__(self, *, is_served: bool = True) -> None:
        self.now = START + timedelta(hours=1)
        self.api_token = "device-token"
        self.init_token = "abcdefgh12345678"
        self.token_was_used = False
        self.profile = "pretixscan"
        self.gate: dict[str, Any] | None = None
        self.brands: list[str] = []
        self.orders: list[dict[str, Any]] = []
        self.event = {
            "slug": EVENT, "name": {"en": "DemoCon", "de": "DemoKon"}, "has_subevents": False, "date_from": None,
            "date_to": None, "date_admission": None, "timezone": "Europe/Berlin", "valid_keys": {"pretix_sig1": []},
        }  # fmt: skip
        self.locale = "en"
        self.lists = [check_in_list(1, "Default")]
        self.items = [
            {
                "id": 1, "name": {"en": "Ticket", "de": "Karte"}, "admission": True, "variations": [],
                "checkin_attention": False, "checkin_text": None,
            }
        ]  # fmt: skip
        self.questions: list[dict[str, Any]] = []
        self.subevents: list[dict[str, Any]] = []
        self.revoked: list[dict[str, Any]] = []
        self.blocked: list[dict[str, Any]] = []
        self.last_modified: dict[str, str] = {}
        self.redeemed: list[dict[str, Any]] = []
        self.reported: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []
        self._hooks: list[tuple[str, Hook]] = []
        self._lock = threading.Lock()
        self._server = _Server(self) if is_served else None
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1] if self._server else 9}/"

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def on(self, part: str, hook: Hook | Response, times: int = 1_000_000) -> None:
        """Of several that fit, the youngest answers; one that has answered `times` requests does no more."""
        left = [times]

        def limited(request: Request) -> Response | None:
            response = hook(request) if callable(hook) else hook
            if response is None or left[0] <= 0:
                return None
            left[0] -= 1
            return response

        self._hooks.insert(0, (part, limited))

    def off(self) -> None:
        """Forget every hook: the server is itself again."""
        self._hooks.clear()

    def seen(self, part: str) -> list[Request]:
        return [request for request in list(self.requests) if part in request.path]

    def answer(self, request: Request) -> Response:
        with self._lock:
            self.requests.append(request)
            answers = (hook(request) for part, hook in self._hooks if part in request.path)
            chosen = next(filter(None, answers), None)
            if chosen is not None and not chosen.acts:
                return chosen
            own = self._own(request)
        if chosen is None:
            return own
        if chosen.sends is not None and chosen.sends < 1:
            return Response(own.status, own.body, own.content_type, own.headers, chosen.sends)
        return chosen

    def _own(self, request: Request) -> Response:
        if request.path == "device/initialize":
            return self._initialize(request.json)
        if request.headers.get("authorization") != f"Device {self.api_token}":
            return INVALID_TOKEN
        if request.path == "device/info":
            return said({"device": self._device(), "server": {"version": {"pretix": "2026.8.0"}}})
        parts = request.path.split("/")
        if parts[:2] != ["organizers", ORGANIZER]:
            return NO_PERMISSION
        if parts[2:] == ["checkinrpc", "redeem", ""]:
            return self._redeem(request.json)
        if parts[2:] == ["events", ""]:
            return self._listed(request, [self.event])
        if parts[2] != "events" or parts[3] != EVENT:
            return NO_PERMISSION
        return self._of_event(request, parts[4:])

    def _of_event(self, request: Request, parts: list[str]) -> Response:
        tables = {
            "items": self.items, "questions": self.questions, "checkinlists": self.lists,
            "subevents": self.subevents, "revokedsecrets": self.revoked, "blockedsecrets": self.blocked,
        }  # fmt: skip
        match parts:
            case [""]:
                return said(self.event)
            case ["settings", ""]:
                return said({"locale": self.locale, "locales": ["en", "de"]})
            case ["orders", ""]:
                return self._orders(request)
            case ["checkinlists", _, "positions", ""]:
                secret = request.asked("secret")
                found = [p for o in self.orders for p in o["positions"] if p["secret"] == secret]
                return self._listed(request, found)
            case ["checkinlists", number, "failed_checkins", ""]:
                if int(number) not in {each["id"] for each in self.lists}:
                    return LIST_NOT_FOUND
                self.reported.append(request.json)
                return said(request.json, 201)
            case [name, ""] if name in tables:
                stamp = self.last_modified.get(name)
                if stamp is not None and request.headers.get("if-modified-since") == stamp:
                    return Response(304)
                since = request.asked("created_since") or request.asked("updated_since")
                rows = [
                    row for row in tables[name]
                    if since is None or _at(row.get("created") or row["updated"]) >= _at(since)
                ]  # fmt: skip
                return self._listed(request, rows, **({"Last_Modified": stamp} if stamp else {}))
        return page_of_html(404)

    def _orders(self, request: Request) -> Response:
        tests: dict[str, Callable[[dict[str, Any], datetime], bool]] = {
            "modified_since": lambda row, at: _at(row["last_modified"]) >= at,
            "created_since": lambda row, at: _at(row["datetime"]) >= at,
            "created_before": lambda row, at: _at(row["datetime"]) < at,
        }
        rows = list(self.orders)
        for name, test in tests.items():
            value = request.asked(name)
            if value is not None:
                at = _at(value)
                rows = [row for row in rows if not _is_readable(row) or test(row, at)]
        by = request.asked("ordering") or "datetime"
        rows.sort(key=lambda row: (str(row.get(by.lstrip("-"))), str(row.get("code"))), reverse=by.startswith("-"))
        return self._listed(request, rows, X_Page_Generated=self.now.isoformat())

    def _listed(self, request: Request, rows: list[Any], **headers: str) -> Response:
        size, number = int(request.asked("page_size") or 50), int(request.asked("page") or 1)
        if number > 1 and (number - 1) * size >= len(rows):
            return detail("Invalid page.", 404)
        page = rows[(number - 1) * size : number * size]
        # As pretix behind a proxy has it: nobody can reach it there.
        following = "http://pretix.invalid/next" if number * size < len(rows) else None
        return said({"count": len(rows), "next": following, "previous": None, "results": page}, 200, **headers)

    def _initialize(self, body: Any) -> Response:
        missing = {"token", "hardware_brand", "hardware_model", "software_brand", "software_version"} - body.keys()
        if missing:
            return said({name: ["This field is required."] for name in missing}, 400)
        if body["token"] != self.init_token:
            return said({"token": ["Unknown initialization token."]}, 400)
        if self.token_was_used:
            return said({"token": ["This initialization token has already been used."]}, 400)
        self.token_was_used = True
        self.brands.append(body["software_brand"])
        return said(self._device())

    def _device(self) -> dict[str, Any]:
        return {
            "organizer": ORGANIZER, "device_id": 7, "unique_serial": "SERIAL", "api_token": self.api_token,
            "name": "box", "security_profile": self.profile, "gate": self.gate,
        }  # fmt: skip

    def _redeem(self, body: Any) -> Response:
        """Without rules: unknown, known nonce, used, accepted."""
        found = next((p for o in self.orders for p in o["positions"] if p["secret"] == body["secret"]), None)
        if found is None or found["canceled"]:
            return said({"detail": "Not found.", "status": "error", "reason": "invalid"}, 404)
        before = json.loads(json.dumps(found))
        if any(held["nonce"] == body["nonce"] for held in self.redeemed):
            return said({"status": "ok", "position": before}, 201)
        if found["checkins"] and body["type"] == "entry" and not body["force"]:
            return said({"status": "error", "reason": "already_redeemed", "position": before}, 400)
        found["checkins"].insert(0, {"list": body["lists"][0], "datetime": body["datetime"], "type": body["type"]})
        self.redeemed.append(body)
        return said({"status": "ok", "position": before}, 201)


def _is_readable(row: dict[str, Any]) -> bool:
    return "datetime" in row and "last_modified" in row


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stub: PretixStub) -> None:
        self.stub = stub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            self.stub.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = SOCKET_TIMEOUT_S

    def _answer(self) -> None:
        stub = cast(_Server, self.server).stub
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # of a client that was killed meanwhile
            self.close_connection = True
            return
        address = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(address.path.removeprefix("/api/v1/")),
            query=parse_qsl(address.query, keep_blank_values=True),
            json=json.loads(body) if body else None,
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        self._send(stub.answer(request), stub.now)

    do_GET = do_POST = _answer

    def _send(self, response: Response, now: datetime) -> None:
        if response.sends is None:
            self.close_connection = True
            return
        body = response.body.encode()
        self.send_response_only(response.status)
        self.send_header("Date", format_datetime(now.astimezone(UTC), usegmt=True))
        for name, value in {"Content-Type": response.content_type, **response.headers}.items():
            self.send_header(name, value)
        if response.status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: int(len(body) * response.sends)])
        self.close_connection = response.sends < 1

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the requests are on record."""
