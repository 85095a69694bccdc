"""How the box comes to its upstreams: one object a list, and what the lists of a connection or an event share."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgebox.clock import Clock
from edgebox.model import CheckInList, Connection, SourceKind
from edgebox.upstream import Upstream
from edgebox.upstream.pretix import PretixConnection, PretixFeed, PretixUpstream
from edgebox.upstream.pretixdroid import PretixdroidUpstream
from edgebox.upstream.transport import Http


class Connector:
    """Makes upstreams. Thread-safe; open until `close()`. `get_connection` finds what a list was registered through."""

    def __init__(self, http: Http, clock: Clock, get_connection: Callable[[int], Connection | None]) -> None:
        self.http = http
        self._clock = clock
        self._get_connection = get_connection
        self._lock = threading.Lock()
        self._connections: dict[int, PretixConnection] = {}
        self._feeds: dict[tuple[int, str], PretixFeed] = {}

    def upstream_of(self, list_: CheckInList) -> Upstream | None:
        """A list's ticket server; None for one from a file."""
        kind = list_.source.kind
        if kind is SourceKind.PRETIXDROID:
            return PretixdroidUpstream(list_.source.url, list_.source.credential, self.http, self._clock)
        connection_id = list_.source.connection_id
        known = self._get_connection(connection_id) if connection_id is not None else None
        if kind is SourceKind.FILE or known is None:
            return None
        return PretixUpstream(self.pretix(known), self.feed(known, list_.event), list_.upstream_list)

    def pretix(self, known: Connection) -> PretixConnection:
        """The way to a connection's server, the same for all that is asked there."""
        with self._lock:
            return self._pretix(known)

    def feed(self, known: Connection, event: str) -> PretixFeed:
        """The orders of one of its events, the same for all of the event's lists."""
        with self._lock:
            feed = self._feeds.get((known.id, event))
            if feed is None:
                feed = self._feeds[known.id, event] = PretixFeed(
                    self._pretix(known), event, monotonic=self.http.monotonic
                )
            return feed

    def forget(self, connection_id: int) -> None:
        """Give up the way to a connection's server: the next one is made anew, with what is known by then."""
        with self._lock:
            pretix = self._connections.pop(connection_id, None)
            self._feeds = {key: feed for key, feed in self._feeds.items() if key[0] != connection_id}
        if pretix is not None:
            pretix.close()

    def close(self) -> None:
        """Give up all of them."""
        for connection_id in list(self._connections):
            self.forget(connection_id)

    def _pretix(self, known: Connection) -> PretixConnection:
        pretix = self._connections.get(known.id)
        if pretix is None:
            pretix = PretixConnection(known.url, known.credential, known.organizer, self.http)
            self._connections[known.id] = pretix
        return pretix
