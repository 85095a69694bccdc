"""HTTP as an upstream is spoken to: bounded time, no redirects, and errors that name no key.

requests puts whole URLs into its exceptions, and keys stand in URLs: every exception of it ends here.
"""

from __future__ import annotations

import email.utils
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from edgebox import __version__
from edgebox.clock import Clock
from edgebox.upstream import NotUpstream, Unreachable

# It logs URLs, keys included, at DEBUG.
logging.getLogger("urllib3").setLevel(logging.WARNING)

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Of an answer that is read whole (everything but the tickets)."""
CHUNK_BYTES = 64 * 1024
MAX_RETRY_AFTER_S = 3600.0

LOGIN_PAGE_HINT = "a login page or a proxy of the network answers: log the box in to the network, or use another one"


class Answer:
    """An answer whose head has arrived; the body is read on demand."""

    def __init__(self, response: requests.Response, sent_s: float, received_s: float) -> None:
        self._response = response
        self._sent_s = sent_s
        self._received_s = received_s
        self.status = response.status_code

    @property
    def age_s(self) -> float:
        """How old upstream (or a cache before it) says the answer is, rounded up; 0 where it says nothing."""
        text = self._response.headers.get("Age", "")
        return float(text) + 1 if text.isascii() and text.isdigit() else 0.0

    @property
    def retry_after_s(self) -> float | None:
        """When to come again, in seconds from now."""
        text = self._response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), MAX_RETRY_AFTER_S)
        at = _http_date(text)
        if at is None:
            return None
        return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), MAX_RETRY_AFTER_S)

    @property
    def location(self) -> str:
        """Where a redirect points; it is never followed."""
        return self._response.headers.get("Location", "")

    def chunks(self, deadline_s: float) -> Iterator[bytes]:
        """The decoded body in pieces. Raises Unreachable when it breaks off, or is not done by `deadline_s`
        (`time.monotonic()`)."""
        with _translated():
            for chunk in self._response.iter_content(CHUNK_BYTES):
                yield chunk
                if time.monotonic() > deadline_s:
                    raise Unreachable("upstream took too long to send its answer")

    def whole(self, deadline_s: float) -> bytes:
        """The body at once. Raises Unreachable as `chunks`, NotUpstream when it is far too large."""
        body = bytearray()
        for chunk in self.chunks(deadline_s):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise NotUpstream("an answer of absurd size came", LOGIN_PAGE_HINT)
        return bytes(body)

    def trust_date(self, clock: Clock) -> None:
        """Hand upstream's `Date` to the clock. For answers that are recognised as upstream's own only."""
        at = _http_date(self._response.headers.get("Date", ""))
        # A cache may hold an old answer with its old date.
        if at is not None and self.age_s == 0:
            clock.trust_date(at, self._sent_s, self._received_s)


class Http:
    """Requests to one server, with time-outs. Safe to use from several threads: each has its own connection."""

    def __init__(self, clock: Clock, connect_timeout_s: float, read_timeout_s: float) -> None:
        self._clock = clock
        self._timeout = (connect_timeout_s, read_timeout_s)
        self.answer_timeout_s = connect_timeout_s + 2 * read_timeout_s
        """For a whole answer that is not a download, however slowly it drips."""
        self._local = threading.local()

    @contextmanager
    def get(self, url: str, params: Mapping[str, str]) -> Iterator[Answer]:
        """A GET; tried once more when a kept connection turns out dead. Raises Unreachable."""
        with self._send("GET", url, params, None) as answer:
            yield answer

    @contextmanager
    def post(self, url: str, params: Mapping[str, str], form: Mapping[str, str]) -> Iterator[Answer]:
        """A POST of form fields; never repeated by itself. Raises Unreachable."""
        with self._send("POST", url, params, form) as answer:
            yield answer

    @contextmanager
    def _send(
        self, method: str, url: str, params: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Iterator[Answer]:
        sent_s = self._clock.boottime()
        with _translated(clock=self._clock):
            response = self._session().request(
                method, url, params=params, data=form, timeout=self._timeout, allow_redirects=False, stream=True
            )
        try:
            yield Answer(response, sent_s, self._clock.boottime())
        finally:
            response.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["User-Agent"] = f"edgebox/{__version__}"
            again = urllib3.Retry(total=1, connect=0, read=1, status=0, other=0, allowed_methods={"GET"})
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=again))
            self._local.session = session
        return session


def redirect(answer: Answer, url: str) -> NotUpstream:
    """What a redirect means: a login page, or an upstream that wants https."""
    here, there = urlsplit(url), urlsplit(answer.location)
    if here.scheme == "http" and there.scheme == "https" and there.hostname == here.hostname:
        return NotUpstream(
            "upstream only answers at its https address", "register the https address instead of the http one"
        )
    return NotUpstream("the request was redirected elsewhere", LOGIN_PAGE_HINT)


@contextmanager
def _translated(clock: Clock | None = None) -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError:
        if clock is not None and not clock.is_trusted():
            message = "the clock is not trusted, and TLS fails (a wrong clock makes certificates look invalid)"
            raise Unreachable(message, "check the date of the box") from None
        raise Unreachable(
            "TLS failed: upstream's certificate cannot be trusted", "a login page of the network may answer instead"
        ) from None
    except requests.exceptions.ConnectTimeout:
        raise Unreachable("upstream did not answer in time (no connection)") from None
    except requests.exceptions.Timeout:
        raise Unreachable("upstream did not answer in time") from None
    except requests.exceptions.ConnectionError as error:
        raise Unreachable(_reason(error)) from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError):
        raise Unreachable("the connection to upstream broke off") from None


def _reason(error: requests.exceptions.ConnectionError) -> str:
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "upstream's name cannot be resolved (no DNS)"
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return "no connection to upstream (refused or no route)"
    if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return "upstream did not answer in time"
    return "the connection to upstream broke off"


def _http_date(text: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
