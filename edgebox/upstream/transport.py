"""HTTP as an upstream is spoken to: bounded time, no redirects, and errors that name no key.

requests puts whole URLs into its exceptions, and keys stand in URLs: every exception of it ends here.
"""

from __future__ import annotations

import email.utils
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from edgebox import __version__
from edgebox.clock import Clock
from edgebox.upstream import NotUpstream, Unreachable
from edgebox.upstream.exchange import Exchange, Session

# It logs URLs, keys included: at DEBUG each one, at WARNING those of which something went wrong.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Of an answer that is read whole (everything but the tickets)."""
CHUNK_BYTES = 16 * 1024
"""The body is taken apart in pieces of this size: while one is parsed, no other thread runs and no scan is answered."""
MAX_RETRY_AFTER_S = 3600.0
MAX_IDLE_S = 50.0
"""A connection that was silent for longer may be dead without knowing: routers forget it, servers drop it."""

Params = Mapping[str, str] | Sequence[tuple[str, str]]
"""What stands after the `?` of an address; pairs where a name comes more than once."""

NO_HEADERS: Mapping[str, str] = {}

LOGIN_PAGE_HINT = "a login page or a proxy of the network answers: log the box in to the network, or use another one"


class Unsent(Unreachable):
    """No connection came about: what was to be sent has certainly not arrived."""


class Answer:
    """An answer whose head has arrived; the body is read on demand."""

    def __init__(self, response: requests.Response, exchange: Exchange, sent_s: float, received_s: float) -> None:
        self._response = response
        self._exchange = exchange
        self._sent_s = sent_s
        self._received_s = received_s
        self.status = response.status_code

    @property
    def age_s(self) -> float:
        """How old upstream (or a cache before it) says the answer is, rounded up; 0 where it says nothing."""
        text = self._response.headers.get("Age", "").strip()
        return float(text) + 1 if text.isascii() and text.isdigit() else 0.0

    @property
    def retry_after_s(self) -> float | None:
        """When to come again, in seconds from now; None where upstream leaves that open."""
        text = self._response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), MAX_RETRY_AFTER_S)
        at = _http_date(text)
        if at is None:
            return None
        # By the clock that wrote it: the box's own may be days behind.
        now = _http_date(self._response.headers.get("Date", "")) or datetime.now(UTC)
        return min(max((at - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)

    @property
    def location(self) -> str:
        """Where a redirect points; it is never followed."""
        return self._response.headers.get("Location", "")

    def header(self, name: str) -> str | None:
        """One line of the head, or None."""
        value: str | None = self._response.headers.get(name)
        return value

    def clock_ahead_s(self, clock: Clock) -> float | None:
        """How far the box's clock is ahead of upstream's, in seconds; None where upstream does not tell the time."""
        at = _http_date(self._response.headers.get("Date", ""))
        if at is None or self.age_s:
            return None
        at += timedelta(seconds=0.5)  # the part of a second that `Date` cuts off, half of it on average
        since_s = clock.boottime() - (self._sent_s + self._received_s) / 2
        return (clock.now() - at).total_seconds() - since_s

    def chunks(self) -> Iterator[bytes]:
        """The decoded body in pieces. Raises Unreachable when it breaks off, or is not done in time."""
        with _translated(self._exchange):
            yield from self._response.iter_content(CHUNK_BYTES)
        _require_whole(self._exchange)

    def whole(self, max_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """The body at once. Raises Unreachable as `chunks`, NotUpstream when it is larger than can be."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > max_bytes:
                raise NotUpstream("an answer of absurd size came", LOGIN_PAGE_HINT)
        return bytes(body)

    def close(self) -> None:
        """Done with it: the connection is kept if the body was read to its end."""
        self._response.close()

    def trust_date(self, clock: Clock) -> None:
        """Hand upstream's `Date` to the clock. For answers that are recognised as upstream's own only."""
        at = _http_date(self._response.headers.get("Date", ""))
        # A cache may hold an old answer with its old date.
        if at is not None and self.age_s == 0:
            clock.trust_date(at, self._sent_s, self._received_s)


class Http:
    """How servers are spoken to: the time-outs, and the clock by which a failing TLS is understood.

    `monotonic` and `sleep` are seams for tests: by them a pause that a server wants is kept (upstream.pretix.Limits).
    """

    def __init__(
        self,
        clock: Clock,
        connect_timeout_s: float,
        read_timeout_s: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        self.clock = clock
        self.monotonic = monotonic
        self.sleep = sleep
        self.timeout = (connect_timeout_s, read_timeout_s)
        self.answer_timeout_s = connect_timeout_s + 2 * read_timeout_s
        """For a whole exchange that is not a download, however slowly it drips."""

    def channel(self) -> Channel:
        """A way to one server, with connections of its own."""
        return Channel(self)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    params: Params = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)


class Channel:
    """Requests to one server. Thread-safe: a request has a connection to itself, kept for the next one. Open until
    `close()`, which also cuts off what is under way."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._exchanges: set[Exchange] = set()
        self._idle: list[tuple[float, Session]] = []
        self._is_closed = False

    def close(self) -> None:
        """End what is under way; that, and every later request, raises Unreachable."""
        with self._lock:
            self._is_closed = True
            for exchange in self._exchanges:
                exchange.end("the box gives up its connections")
            idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    @contextmanager
    def get(
        self, url: str, params: Params, *, within_s: float | None = None, headers: Mapping[str, str] = NO_HEADERS
    ) -> Iterator[Answer]:
        """A GET; tried once more when a connection that was kept turns out dead. The whole exchange has `within_s`.

        Raises Unreachable; Unsent where no connection came about.
        """
        with self._send(_Request("GET", url, params, headers), within_s) as answer:
            yield answer

    @contextmanager
    def post(self, url: str, params: Params, form: Mapping[str, str]) -> Iterator[Answer]:
        """A POST of form fields; never repeated by itself. Raises as `get`."""
        with self._send(_Request("POST", url, params, NO_HEADERS, form=form), None) as answer:
            yield answer

    @contextmanager
    def post_json(self, url: str, body: Any, *, headers: Mapping[str, str] = NO_HEADERS) -> Iterator[Answer]:
        """A POST of JSON; never repeated by itself. Raises as `get`."""
        with self._send(_Request("POST", url, {}, headers, json=body), None) as answer:
            yield answer

    @contextmanager
    def _send(self, request: _Request, within_s: float | None) -> Iterator[Answer]:
        exchange = Exchange()
        with self._a_session(exchange) as session, exchange.under_way(within_s or self._http.answer_timeout_s):

            def send() -> Answer:
                sent_s = self._http.clock.boottime()
                response = session.request(
                    request.method,
                    request.url,
                    params=request.params,
                    headers=request.headers,
                    data=request.form,
                    json=request.json,
                    timeout=self._http.timeout,
                    stream=True,
                )
                return Answer(response, exchange, sent_s, self._http.clock.boottime())

            with _translated(exchange, self._http.clock):
                try:
                    answer = send()
                except requests.exceptions.ConnectionError as error:
                    if request.method != "GET" or not _was_cut_off(error) or exchange.ended:
                        raise
                    answer = send()
            try:
                yield answer
            finally:
                answer.close()

    @contextmanager
    def _a_session(self, exchange: Exchange) -> Iterator[Session]:
        """A session that nobody else uses meanwhile; the last one that was used, if it is fresh."""
        session: Session | None = None
        with self._lock:
            if self._is_closed:
                raise Unreachable("the box gives up its connections")
            self._exchanges.add(exchange)
            now_s = time.monotonic()
            stale = [idle for at_s, idle in self._idle if now_s - at_s > MAX_IDLE_S]
            self._idle = self._idle[len(stale) :]
            if self._idle:
                _, session = self._idle.pop()
        for idle in stale:
            idle.close()
        session = session or Session(f"edgebox/{__version__}")
        try:
            yield session
        finally:
            with self._lock:
                self._exchanges.discard(exchange)
                is_kept = not self._is_closed
                if is_kept:
                    self._idle.append((time.monotonic(), session))
            if not is_kept:
                session.close()


def redirect(answer: Answer, url: str) -> NotUpstream:
    """What a redirect means: a login page, or an upstream that wants https."""
    try:
        here, there = urlsplit(url), urlsplit(answer.location)
    except ValueError:
        return NotUpstream("the request was redirected elsewhere", LOGIN_PAGE_HINT)
    if here.scheme == "http" and there.scheme == "https" and there.hostname == here.hostname:
        return NotUpstream(
            "upstream only answers at its https address", "register the https address instead of the http one"
        )
    return NotUpstream("the request was redirected elsewhere", LOGIN_PAGE_HINT)


@contextmanager
def _translated(exchange: Exchange, clock: Clock | None = None) -> Iterator[None]:
    try:
        yield
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        _require_whole(exchange)
        raise _meaning(error, clock) from None


def _require_whole(exchange: Exchange) -> None:
    """A body without a length just ends where it was cut off."""
    if exchange.ended is not None:
        raise Unreachable(exchange.ended) from None


def _meaning(error: Exception, clock: Clock | None) -> Unreachable:
    if isinstance(error, requests.exceptions.SSLError):
        kind = Unsent if "CERTIFICATE_VERIFY_FAILED" in str(error) else Unreachable  # else perhaps in the middle
        if clock is not None and not clock.is_trusted():
            message = "the clock is not trusted, and TLS fails (a wrong clock makes certificates look invalid)"
            return kind(message, "check the date of the box")
        hint = "a login page of the network may answer instead"
        return kind("TLS failed: upstream's certificate cannot be trusted", hint)
    if isinstance(error, requests.exceptions.ProxyError):
        return Unsent("the proxy does not let the box through", "check HTTP_PROXY and HTTPS_PROXY of the box")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unsent("upstream did not answer in time (no connection)")
    cause = error.args[0] if error.args else None
    cause = getattr(cause, "reason", cause)
    if isinstance(error, requests.exceptions.Timeout) or isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return Unreachable("upstream did not answer in time")
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return Unsent("upstream's name cannot be resolved (no DNS)")
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return Unsent("no connection to upstream (refused or no route)")
    return Unreachable("the connection to upstream broke off")


def _was_cut_off(error: requests.exceptions.ConnectionError) -> bool:
    return bool(error.args) and isinstance(error.args[0], urllib3.exceptions.ProtocolError)


def _http_date(text: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):  # whatever a server may write there
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
