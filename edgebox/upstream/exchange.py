"""One request under way, and the ways to end it from outside: its deadline, and the box that stops.

A time-out of requests limits each wait for a few bytes, never the whole: an answer that drips keeps a thread for days,
and a box that stops would wait for a silent upstream. Only shutting down the socket wakes who reads from it, so every
connection tells the exchange that uses it which socket that is.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class Ended(OSError):
    """The exchange was ended from outside before it was connected."""


class Exchange:
    """One request and its answer. Thread-safe: any thread may end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.ended: str | None = None
        """Why it was ended from outside, in words; None while it was not."""

    def end(self, why: str) -> None:
        """Wake whoever waits for this exchange; what it reads from then on is cut off."""
        with self._lock:
            self.ended = self.ended or why
            if self._socket is not None:
                _shut_down(self._socket)

    def uses(self, connected: socket.socket) -> None:
        """Tell the socket in use. Raises Ended when it is too late for that."""
        with self._lock:
            if self.ended is not None:
                raise Ended(self.ended)
            self._socket = connected

    @contextlib.contextmanager
    def under_way(self, within_s: float) -> Iterator[None]:
        """Within this block, requests of this thread belong to the exchange; it has so many seconds."""
        alarm = threading.Timer(within_s, self.end, ["upstream took too long to answer"])
        alarm.daemon = True
        alarm.start()
        _of_this_thread.exchange = self
        try:
            yield
        finally:
            _of_this_thread.exchange = None
            alarm.cancel()


_of_this_thread = threading.local()


def _shut_down(connected: socket.socket) -> None:
    # The method of a plain socket also for TLS: the other one takes the TLS state away under the reader's hands. A
    # socket that is closed already, or is none (TLS to a proxy that speaks TLS itself), has its time-outs.
    with contextlib.suppress(OSError, TypeError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _tell(connected: Any) -> None:
    exchange: Exchange | None = getattr(_of_this_thread, "exchange", None)
    if exchange is not None and connected is not None:
        exchange.uses(connected)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _tell(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _tell(self.sock)  # of a connection that was kept
        super().request(*args, **kwargs)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """requests' own, with connections that tell their socket."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if type(manager) is urllib3.ProxyManager:  # one for SOCKS has pools of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager


class Session(requests.Session):
    """A session that keeps to what it was told: no redirects, no cookies, no passwords from files, no repeats."""

    def __init__(self, user_agent: str) -> None:
        super().__init__()
        self.headers["User-Agent"] = user_agent
        self.auth = lambda request: request  # or requests looks for one in ~/.netrc
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a login page's are not for upstream
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, response: requests.Response) -> None:
        """None: even unfollowed, requests would read a redirect's whole body and trip over an odd address in it."""
        return
