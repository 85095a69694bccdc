"""One registration with today's pretix: address, credential, limits, and what pretix's answers mean.

Lists and feeds speak through a `Line` each: closing one cuts off its own requests and nobody else's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from edgebox.upstream import Closed, NotUpstream, Unreachable, UpstreamError
from edgebox.upstream.pretix.limits import Limits, is_hosted, too_many
from edgebox.upstream.transport import (
    LOGIN_PAGE_HINT,
    MAX_ANSWER_BYTES,
    NO_HEADERS,
    Answer,
    Channel,
    Http,
    Params,
    redirect,
)

MAX_PAGE_BYTES = 64 * 1024 * 1024
"""Fifty orders; the largest ones have some thousand positions."""

BUSY_S = 5.0
"""After a 409 that does not say how long: somebody else holds what this request needs."""

CONFLICT, TOO_MANY = 409, 429
_LATER = frozenset({408, 425})
_LOGIN_REQUIRED = 511
_NOT_MODIFIED = 304

PROFILE_HINT = 'choose the security profile "pretixSCAN" or "Full device access" for this device in pretix'
REPAIR_HINT = "everything is kept; make a new device in pretix and connect the box again with its token"


class DeviceRefused(Closed):
    """Pretix no longer knows the box as a device: nothing of this connection works, whichever list it is for."""


class NotThere(Closed):
    """Pretix says itself that it does not have what was asked for."""


@dataclass(frozen=True, slots=True)
class Told:
    """A good answer: its JSON, and what its head says."""

    body: Any = field(repr=False)
    generated: str | None = None
    """When pretix began to look for it, by its own clock and in its own words; orders and dates of a series have it."""
    last_modified: str | None = None


class PretixConnection:
    """Pretix as the device that the box is registered as. Thread-safe; open until `close()`.

    `url` is pretix's address with a slash at its end, `credential` the device's token.
    """

    def __init__(self, url: str, credential: str, organizer: str, http: Http, limits: Limits | None = None) -> None:
        self.url = url
        self.organizer = organizer
        self.http = http
        self.limits = limits or Limits(is_limited=is_hosted(url), monotonic=http.monotonic, sleep=http.sleep)
        self.clock_ahead_s: float | None = None
        """How far the box's clock is ahead of pretix's, as the last answer told; None before the first."""
        # Some of pretix's refusals are known by their words, and those come in many languages.
        self._headers = {"Authorization": f"Device {credential}", "Accept-Language": "en"}
        self._lock = threading.Lock()
        self._lines: list[Line] = []

    @property
    def is_limited(self) -> bool:
        """Whether pretix counts requests (the hosted service does)."""
        return self.limits.is_limited

    def line(self) -> Line:
        """A way of its own to this pretix, for one list or one feed."""
        line = Line(self, self.http.channel(), self._headers)
        with self._lock:
            self._lines = [each for each in self._lines if not each.is_closed] + [line]
        return line

    def close(self) -> None:
        """Give up what is under way, on all lines."""
        self.limits.end()
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()


class Line:
    """Requests of one list or one feed. Thread-safe. Every verb may raise Unreachable, NotUpstream or Closed."""

    def __init__(self, connection: PretixConnection, channel: Channel, headers: Mapping[str, str]) -> None:
        self.connection = connection
        self.is_closed = False
        self._channel = channel
        self._headers = headers

    def close(self) -> None:
        """Give up what is under way: that, and every later request, raises Unreachable."""
        self.is_closed = True
        self._channel.close()

    def of_event(self, event: str, path: str) -> str:
        """The path of something that belongs to an event."""
        return self.of_organizer(f"events/{quote(event, safe='')}/{path}")

    def of_organizer(self, path: str) -> str:
        return f"organizers/{quote(self.connection.organizer, safe='')}/{path}"

    def get(self, path: str, params: Params = (), *, expects: str, since: str | None = None) -> Told | None:
        """Ask for an object that has the key `expects`; None when it has not changed `since` (a `last_modified`)."""
        headers = {"If-Modified-Since": since} if since else NO_HEADERS
        with self._answer("GET", path, params, headers) as answer:
            if since and answer.status == _NOT_MODIFIED:
                return None
            return self._told(answer, expects)

    @contextmanager
    def post(self, path: str, body: Any) -> Iterator[Answer]:
        """Send JSON; what its status means is for the caller to say, `refusal` knows what a push has no word for."""
        with self._answer("POST", path, (), NO_HEADERS, body) as answer:
            yield answer

    @contextmanager
    def _answer(
        self, method: str, path: str, params: Params, headers: Mapping[str, str], body: Any = None
    ) -> Iterator[Answer]:
        if self.is_closed:
            raise Unreachable("the box gives up its connections")
        self.connection.limits.take_turn()
        url = f"{self.connection.url}api/v1/{path}"
        headers = {**self._headers, **headers}
        sent = (
            self._channel.get(url, params, headers=headers)
            if method == "GET"
            else self._channel.post_json(url, body, headers=headers)
        )
        with sent as answer:
            yield answer

    def _told(self, answer: Answer, expects: str) -> Told:
        if answer.status != 200:
            raise self.refusal(answer, read_json(answer))
        body = read_json(answer, MAX_PAGE_BYTES)
        if not isinstance(body, dict) or expects not in body:
            raise NotUpstream("the answer lacks what pretix always sends", LOGIN_PAGE_HINT)
        self.recognised(answer)
        return Told(body, answer.header("X-Page-Generated"), answer.header("Last-Modified"))

    def recognised(self, answer: Answer) -> None:
        """This answer is pretix's own: so is its clock."""
        answer.trust_date(self.connection.http.clock)
        ahead_s = answer.clock_ahead_s(self.connection.http.clock)
        if ahead_s is not None:
            self.connection.clock_ahead_s = ahead_s

    def refusal(self, answer: Answer, body: object) -> UpstreamError:
        """What an answer means that is none to what was asked; `body` is its JSON, or None."""
        status, detail = answer.status, _detail(body)
        if 300 <= status < 400:
            return redirect(answer, self.connection.url)
        if status == TOO_MANY:
            return too_many(self.connection.limits.pause(answer.retry_after_s))
        if status == CONFLICT:
            return Unreachable("pretix is busy", retry_after_s=answer.retry_after_s or BUSY_S)
        if status in _LATER or (status >= 500 and status != _LOGIN_REQUIRED):
            return Unreachable(f"pretix has trouble ({status})", retry_after_s=answer.retry_after_s)
        if status == 401 and detail is not None:
            return DeviceRefused("pretix does not accept the box as a device any more", REPAIR_HINT)
        if status == 403 and detail is not None:
            if "security profile" in detail:
                return Closed("the device's security profile does not allow this", PROFILE_HINT)
            return Closed("pretix does not let the box see this event", "give the device access to the event in pretix")
        if status == 404 and detail is not None:
            return NotThere("pretix does not have this (any more)", "look whether the check-in list still exists there")
        return NotUpstream(f"an answer came that is not pretix's ({status})", LOGIN_PAGE_HINT)


def read_json(answer: Answer, max_bytes: int = MAX_ANSWER_BYTES) -> object:
    """The JSON of an answer; None where it is something else, such as a login page."""
    if 300 <= answer.status < 400:
        return None
    whole = answer.whole(max_bytes)
    try:
        return json.loads(whole)
    except (ValueError, RecursionError):
        return None


def _detail(body: object) -> str | None:
    """The words with which pretix refuses a request."""
    detail = body.get("detail") if isinstance(body, dict) else None
    return detail if isinstance(detail, str) else None
