"""A ticket server that does what the test says: the real one's answers, or a fault, request by request."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from tests.support.box import free_port
from tests.support.event import BadDatetime, StubEvent

HTML = "text/html; charset=utf-8"
JSON = "application/json"
# The verbs and the one method that each allows.
METHODS = {"redeem": "POST", "search": "GET", "download": "GET", "status": "GET"}
# No answer is held longer: a test that forgot one must fail, not hang.
HOLD_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `verb` is `redeem`, `search`, `download`, `status`, or empty for anything else."""

    method: str
    verb: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]
    arrived: datetime

    @property
    def secret(self) -> str | None:
        return self.form.get("secret")


class Hold:
    """Keeps an answer back: `reached` is set when it waits, `release()` lets it go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def wait(self) -> bool:
        self.reached.set()
        return self._released.wait(HOLD_TIMEOUT_S)


@dataclass(frozen=True)
class Response:
    """What to answer instead. The default is the server's own answer, unharmed.

    `status` None: the server's own status and body; otherwise these, and the server acts on the request only with
    `acts`. `headers` are added. `sends` is the share of the body that leaves before the connection is closed (None: not
    even a header does). `hold` keeps back what follows `held_after`, a share of the body likewise.
    """

    status: int | None = None
    body: str = ""
    content_type: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    acts: bool = False
    sends: float | None = 1.0
    hold: Hold | None = None
    held_after: float | None = None


Hook = Callable[[Request], Response | None]

INVALID_KEY = Response(403, "Invalid key")
UNKNOWN_EVENT = Response(404, "Unknown event")
SERVER_ERROR = Response(500, "<!DOCTYPE html><html><body><h1>Internal Server Error</h1></body></html>")
PORTAL_PAGE = Response(200, "<html><body><form action='/login'>Welcome to our Wi-Fi</form></body></html>")
PORTAL_REDIRECT = Response(302, headers={"Location": "http://127.0.0.1:9/login"})
PORTAL_511 = Response(511, "<html><body>Network authentication required</body></html>")
JSON_WITHOUT_KEYS = Response(200, '{"message": "hello"}', JSON)
# A status of its own, which nobody gets to see, keeps the server from acting.
CLOSED = Response(503, sends=None)
ANSWER_LOST = Response(sends=None)
BODY_CUT = Response(sends=0.5)
ACTED_BUT_500 = replace(SERVER_ERROR, acts=True)


def unavailable(retry_after: str | None = None) -> Response:
    """503, with Retry-After (seconds or a date) where given."""
    return Response(503, "<html><body>Service unavailable</body></html>", headers=retry_header(retry_after))


def too_many(retry_after: str | None = None) -> Response:
    """429, with Retry-After (seconds or a date) where given."""
    return Response(429, "<html><body>Too many requests</body></html>", headers=retry_header(retry_after))


def retry_header(retry_after: str | None) -> dict[str, str]:
    return {} if retry_after is None else {"Retry-After": retry_after}


def redirect(location: str, status: int = 301) -> Response:
    return Response(status, headers={"Location": location})


def json_answer(answer: object, status: int = 200) -> Response:
    """Any JSON at all, without acting."""
    return Response(status, json.dumps(answer), JSON)


def held(hold: Hold, after: float | None = None) -> Response:
    """The server's own answer, made at once, but kept back: wholly, or what follows this share of its body."""
    return Response(hold=hold, held_after=after)


def times(count: int, response: Response, when: Callable[[Request], bool] = lambda request: True) -> Hook:
    """A hook that answers so for the first `count` requests (of those that `when` picks)."""
    lock, left = threading.Lock(), [count]

    def hook(request: Request) -> Response | None:
        with lock:
            if not left[0] or not when(request):
                return None
            left[0] -= 1
            return response

    return hook


def always(response: Response, secret: str | None = None) -> Hook:
    """A hook that always answers so (to redeems of this secret only, where given)."""
    return lambda request: response if secret is None or request.secret == secret else None


class StubUpstream(StubEvent):
    """A ticket server on a port of 127.0.0.1 that it keeps over `stop` and `start`.

    `requests` has all that arrived, in order. `date` tells the time of the Date header (None: no header). `errors` has
    what went wrong in here: a test whose stub has some proves nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []
        self.date: Callable[[], datetime | None] = lambda: datetime.now(UTC)
        self._hooks: list[tuple[str, Hook]] = []
        self._holds: list[Hold] = []
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The address to register the list by."""
        return f"http://127.0.0.1:{self.port}/pretixdroid/api/{self.organizer}/{self.event}/"

    def start(self) -> StubUpstream:
        """Listen; returns at once, and requests are answered from then on."""
        assert self._server is None, "the stub is running already"
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and cut every open connection; connecting is refused from then on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        # Only now: what was held back until here is lost with its connection.
        for hold in self._holds:
            hold.release()

    def on(self, verb: str, hook: Hook) -> None:
        """Ask `hook` before requests of this verb (`*`: all) are answered; of several the youngest goes first."""
        self._hooks.insert(0, (verb, hook))

    def off(self) -> None:
        """Forget every hook: the server is itself again."""
        self._hooks.clear()

    def seen(self, verb: str, secret: str | None = None) -> list[Request]:
        """The requests of this verb so far (of this secret only, where given)."""
        return [r for r in list(self.requests) if r.verb == verb and (secret is None or r.secret == secret)]

    def response_to(self, request: Request) -> Response:
        """What the hooks say, filled in with the server's own answer where they leave that to it."""
        answers = (hook(request) for verb, hook in list(self._hooks) if verb in ("*", request.verb))
        chosen = next(filter(None, answers), Response())
        if chosen.hold is not None:
            self._holds.append(chosen.hold)
        if chosen.status is None or chosen.acts:
            own = self.own_response(request)
            if chosen.status is None:
                return replace(chosen, status=own.status, body=own.body, content_type=own.content_type)
        return chosen

    def own_response(self, request: Request) -> Response:
        """The real server's order: event, key, method."""
        if not request.verb:
            return Response(404, "<html><body>Not found</body></html>")
        if not request.path.startswith(f"/pretixdroid/api/{self.organizer}/{self.event}/"):
            return UNKNOWN_EVENT
        if request.query.get("key") != self.key:
            return INVALID_KEY
        if request.method != METHODS[request.verb]:
            return Response(405)
        try:
            return json_answer(self._act(request))
        except BadDatetime:
            return SERVER_ERROR

    def _act(self, request: Request) -> dict[str, Any]:
        match request.verb:
            case "redeem":
                return self.redeem(request.form)
            case "search":
                return self.search(request.query.get("query", ""))
            case "download":
                return self.download()
            case _:
                return self.status()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stub: StubUpstream) -> None:
        self.stub = stub
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", stub.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            self.stub.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _answer(self) -> None:
        stub = cast(_Server, self.server).stub
        request = self._read()
        if request is None:
            self.close_connection = True
            return
        stub.requests.append(request)
        self._send(stub.response_to(request), stub.date())

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

    def _read(self) -> Request | None:
        """None where the client was killed in the middle of it."""
        length = int(self.headers.get("Content-Length", 0))
        sent = self.rfile.read(length)
        if len(sent) < length:
            return None
        body = sent.decode()
        address = urlsplit(self.path)
        verb = address.path.rstrip("/").rpartition("/")[2]
        return Request(
            method=self.command,
            verb=verb if verb in METHODS else "",
            path=address.path,
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            form=dict(parse_qsl(body, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            arrived=datetime.now(UTC),
        )

    def _send(self, response: Response, date: datetime | None) -> None:
        assert response.status is not None
        body = response.body.encode()
        if response.hold is not None and response.held_after is None:
            self._wait(response.hold)
        if response.sends is None:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        if date is not None:
            self.send_header("Date", format_datetime(date, usegmt=True))
        headers = {"Content-Type": response.content_type, "Content-Length": str(len(body)), **response.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        first = int(len(body) * (response.held_after or 0.0))
        self.wfile.write(body[:first])
        if response.hold is not None and response.held_after is not None:
            self.wfile.flush()
            self._wait(response.hold)
        self.wfile.write(body[first : max(first, int(len(body) * response.sends))])
        self.wfile.flush()
        self.close_connection = self.close_connection or response.sends < 1

    def _wait(self, hold: Hold) -> None:
        if not hold.wait():
            raise TimeoutError(f"a held answer was not released within {HOLD_TIMEOUT_S:g} s")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the requests are on record, and a test's output is its own."""
