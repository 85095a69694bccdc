"""The ticket servers of an evening on a port of their own, with the faults that the evening has for each request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from tests.evenings.faults import Fault
from tests.evenings.upstreams import Identity, NewPretix, OldPretix, pushed_by
from tests.evenings.words import Terms
from tests.support import pretix, upstream


class Network(Protocol):
    """What stands between the box and upstream. `lock` is held while upstream acts, or the model is spoken to."""

    lock: threading.RLock

    def meets(self) -> Fault | None:
        """What happens to the request that has just arrived."""

    def push_arrives(self, push: Identity) -> None: ...

    def push_came_to(self, push: Identity, fault: Fault | None) -> None: ...


class ServedOld(OldPretix):
    """Listens from `start()` to `stop()`."""

    def __init__(self, terms: Mapping[int, Terms], network: Network) -> None:
        super().__init__(terms, _now)
        self._network = network

    def response_to(self, request: upstream.Request) -> upstream.Response:
        return _answer(self._network, request, super().response_to, upstream.Response)


class ServedNew(NewPretix):
    """Listens until `stop()`."""

    def __init__(self, terms: Mapping[int, Terms], network: Network) -> None:
        super().__init__(terms, _now, is_served=True)
        self._network = network

    def answer(self, request: pretix.Request) -> pretix.Response:
        return _answer(self._network, request, super().answer, pretix.Response)


Request = TypeVar("Request", upstream.Request, pretix.Request)
Response = TypeVar("Response", upstream.Response, pretix.Response)


def _now() -> datetime:
    return datetime.now(UTC)


def _answer(
    network: Network, request: Request, own: Callable[[Request], Response], instead: Callable[..., Response]
) -> Response:
    """Upstream's own answer, or what comes instead of it."""
    push = pushed_by(request)
    with network.lock:
        if push is not None:
            network.push_arrives(push)
        fault = network.meets()
        answer = own(request) if fault is None or fault.acts else None
        if push is not None:
            network.push_came_to(push, fault)
    if fault is None or fault.is_own_answer:
        assert answer is not None
        return replace(answer, sends=1.0 if fault is None else fault.sends)
    return instead(
        status=fault.status,
        body=fault.body,
        content_type=fault.content_type,
        headers=fault.headers,
        sends=fault.sends,
    )
