"""The simulated network: what the box sends goes straight to the stub, with faults, and with room for whatever else
happens meanwhile. No socket is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from edgebox.clock import Clock
from edgebox.upstream.exchange import Exchange, Session
from edgebox.upstream.transport import Channel, Http
from tests.evenings.faults import Fault
from tests.evenings.upstreams import NewPretix, OldPretix
from tests.support import pretix, upstream

PIECE_BYTES = 400
"""A download comes in pieces so small that much can happen between two of them."""


@dataclass(frozen=True)
class Call:
    """A request of the box's, in a word: `push`, `tickets` (what a pull goes by), `master` (what upstream is asked
    beside them, one request after the other) or `other`."""

    word: str
    request: upstream.Request | pretix.Request


@dataclass(frozen=True)
class Answer:
    """What upstream itself answers."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def called(server: OldPretix | NewPretix, sent: requests.PreparedRequest) -> Call:
    """The request as the stub reads it."""
    address = urlsplit(sent.url or "")
    body = sent.body or b""
    text = body if isinstance(body, str) else body.decode()
    headers = {name.lower(): value for name, value in sent.headers.items()}
    if isinstance(server, OldPretix):
        verb = address.path.rstrip("/").rpartition("/")[2]
        query, form = dict(parse_qsl(address.query)), dict(parse_qsl(text, keep_blank_values=True))
        old = upstream.Request(sent.method or "", verb, address.path, query, form, headers, server.date() or _NEVER)
        return Call({"redeem": "push", "download": "tickets"}.get(verb, "other"), old)
    path = unquote(address.path.removeprefix("/api/v1/"))
    new = pretix.Request(
        sent.method or "", path, parse_qsl(address.query, keep_blank_values=True), json.loads(text or "null"),
        headers,
    )  # fmt: skip
    words = {"redeem/": "push", "orders/": "tickets", "positions/": "other", "failed_checkins/": "other"}
    return Call(next((word for end, word in words.items() if path.endswith(end)), "master"), new)


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def answered(server: OldPretix | NewPretix, call: Call) -> Answer:
    """What upstream does and answers."""
    if isinstance(server, OldPretix):
        assert isinstance(call.request, upstream.Request)
        old = server.response_to(call.request)
        return Answer(old.status or 200, old.body.encode(), {"Content-Type": old.content_type, **old.headers})
    assert isinstance(call.request, pretix.Request)
    new = server.answer(call.request)
    return Answer(new.status, new.body.encode(), {"Content-Type": new.content_type, **new.headers})


class Wire(BaseAdapter):
    """Carries requests. `happens` is asked before each, and says what goes wrong with it; `between` is called wherever
    something else may happen meanwhile; `told` learns whether the box got upstream's own answer."""

    def __init__(
        self,
        server: OldPretix | NewPretix,
        now: Callable[[], datetime],
        happens: Callable[[Call], Fault | None],
        between: Callable[[Call], None],
        told: Callable[[Call, Fault | None], None],
    ) -> None:
        super().__init__()
        self._server = server
        self._now = now
        self._happens = happens
        self._between = between
        self._told = told

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        call = called(self._server, request)
        fault = self._happens(call)
        if fault is not None and not fault.connects:
            self._told(call, fault)
            refused = urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]
            raise requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "", refused))  # type: ignore[arg-type]
        own = answered(self._server, call) if fault is None or fault.acts else None
        if own is not None:
            self._between(call)
        self._told(call, fault)
        if fault is not None and fault.is_late:
            raise requests.ReadTimeout
        if fault is not None and fault.sends is None:
            raise requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError()))
        if own is None or (fault is not None and not fault.is_own_answer):
            assert fault is not None
            own = Answer(fault.status, fault.body.encode(), {"Content-Type": fault.content_type, **fault.headers})
        return self._response(request, call, own, 1.0 if fault is None or fault.sends is None else fault.sends)

    def _response(self, request: requests.PreparedRequest, call: Call, own: Answer, share: float) -> requests.Response:
        response = requests.Response()
        response.status_code = own.status
        date = {"Date": format_datetime(self._now().astimezone(UTC), usegmt=True)}
        response.headers = CaseInsensitiveDict({**date, **own.headers})
        response.url = request.url or ""
        response.request = request
        is_long = call.word == "tickets" and isinstance(self._server, OldPretix)
        response.raw = _Body(own.body, share, (lambda: self._between(call)) if is_long else None)
        return response

    def close(self) -> None:
        """Nothing is open."""


class _Body:
    def __init__(self, body: bytes, share: float, between: Callable[[], None] | None) -> None:
        self._body = body
        self._end = int(len(body) * share)
        self._between = between

    def stream(self, size: int, decode_content: bool = True) -> Iterator[bytes]:
        step = PIECE_BYTES if self._between else max(1, len(self._body))
        for start in range(0, self._end, step):
            yield self._body[start : min(start + step, self._end)]
            if self._between is not None:
                self._between()
        if self._end < len(self._body):
            raise urllib3.exceptions.ProtocolError("the connection was cut")

    def close(self) -> None:
        """Nothing is open."""


class SimulatedHttp(Http):
    """`Http` over a wire, in simulated time."""

    def __init__(
        self, clock: Clock, wire: Wire, monotonic: Callable[[], float], sleep: Callable[[float], bool]
    ) -> None:
        super().__init__(clock, 5.0, 30.0, monotonic=monotonic, sleep=sleep)
        self._wire = wire

    def channel(self) -> Channel:
        return _Channel(self, self._wire)


class _Channel(Channel):
    def __init__(self, http: Http, wire: Wire) -> None:
        super().__init__(http)
        self._wire = wire

    @contextmanager
    def _a_session(self, exchange: Exchange) -> Iterator[Session]:
        with super()._a_session(exchange) as session:
            session.trust_env = False  # whatever proxies there are
            session.mount("http://", self._wire)
            yield session
