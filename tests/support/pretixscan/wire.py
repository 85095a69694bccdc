"""The app's two HTTP clients: `/api/v1`, where PretixApi has its say about statuses, and the proxy's RPC."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import requests

from tests.support.pretixscan.faults import (
    Abort,
    Crash,
    LoggedOut,
    NotFound,
    Refused,
    Unpromised,
    Unreachable,
    Wiped,
)
from tests.support.pretixscan.reading import Fields, parsed

# Raises jsonschema.ValidationError where the answer of this name (a key of `schemas.ANSWERS`) is not as promised.
Hook = Callable[[str, object], None]

TIMEOUT_S = 30.0
KEPT_EXCHANGES = 2000
JSON_TYPE = "application/json; charset=utf-8"
WIPE_WORDS = "Device access has been revoked."


@dataclass(frozen=True)
class Answer:
    """A JSON answer of `/api/v1`; `is_unchanged` says that it was 304."""

    status: int
    data: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_unchanged(self) -> bool:
        return self.status == 304


@dataclass(frozen=True)
class Exchange:
    """One request that was answered; `target` is path and query."""

    method: str
    target: str
    status: int
    headers: Mapping[str, str]


class Wire:
    """Speaks to the box at `url` and to nobody else; `history` has what was asked last, oldest first.

    Headers and time-outs: section 1.1, "HTTP client".
    """

    def __init__(self, url: str, software_version: str, hook: Hook | None) -> None:
        self.url, self.hook = url, hook
        self.api_token: str | None = None
        self.history: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.headers.update({"Accept-Encoding": "gzip", "Connection": "Keep-Alive"})
        self.be_version(software_version)

    def be_version(self, software_version: str) -> None:
        self._session.headers["User-Agent"] = f"okhttp/4.9.3 eu.pretix.pretixscan.droid/{software_version}"

    def close(self) -> None:
        self._session.close()

    def api_url(self, path: str) -> str:
        """All but `device/initialize` are resolved against the host's root (section 1.1, `url`)."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/api/v1/{path}"

    def initialize(self, body: Mapping[str, object]) -> dict[str, Any]:
        """The device's data, if any: all but 400 and 5xx is taken for success (section 1.1, `device/initialize`).

        Raises Refused with what the box said at 400.
        """
        where = "POST device/initialize"
        response = self._send(where, "POST", f"{self.url}/api/v1/device/initialize", body, {})
        if response.status_code >= 500:
            raise Abort(where, f"server error {response.status_code}")
        answer = Fields(where, parsed(where, _text(where, response))).all
        if response.status_code == 400:
            self._hold_to_promise(where, "initialize refused", answer)
            raise Refused(where, 400, json.dumps(answer, ensure_ascii=False))
        self._hold_to_promise(where, "initialize", answer)
        return answer

    def get(self, target: str, answer: str, headers: Mapping[str, str] | None = None) -> Answer:
        """`target` is what follows `/api/v1/`, or a whole URL that the box told; `answer` names its schema."""
        url = target if target.startswith("http") else self.api_url(target)
        return self._api("GET", url, answer, None, headers or {})

    def post(self, path: str, answer: str | None, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        return self._api("POST", self.api_url(path), answer, body, headers or {})

    def download(self, url: str) -> bytes:
        """A file, fetched with the token (section 1.2, `badgelayouts/`); raises Abort where there is none."""
        response = self._send(f"GET {url}", "GET", url, None, self._authorization())
        if response.status_code != 200:
            raise Abort(f"GET {url}", f"status {response.status_code}")
        return response.content

    def rpc(self, method: str, path: str, answer: str, body: object = None) -> Any:
        """The JSON of a call; raises Refused with what the app shows instead (section 1.3, "RPC errors")."""
        where = f"{method} rpc/{path}"
        response = self._send(where, method, f"{self.url}/proxyapi/v1/rpc/{path}", body, self._authorization())
        status = response.status_code
        fixed = "server error" if status >= 500 else {403: "permission denied", 404: "not found"}.get(status)
        if fixed is not None:
            raise Refused(where, status, fixed)
        told = parsed(where, _text(where, response))
        if status >= 400:
            error = Fields(where, told)
            if status != 401:
                self._hold_to_promise(where, "error", told)
            raise Refused(where, status, error.text("title") if "title" in error.all else "?")
        self._hold_to_promise(where, answer, told)
        return told

    def _api(self, method: str, url: str, answer: str | None, body: object, headers: Mapping[str, str]) -> Answer:
        """Section 1.1, "`PretixApi` status rules", in their order."""
        where = f"{method} {urlsplit(url).path.removeprefix('/api/v1/')}"
        response = self._send(where, method, url, body, {**self._authorization(), **headers})
        status, text = response.status_code, _text(where, response)
        if status >= 500:
            raise Abort(where, f"server error {status}")
        if status == 404 and not text.startswith("{"):
            raise NotFound(where, "plain 404")
        if status == 304:
            return Answer(304, {}, response.headers)
        if status == 403 or status >= 405:
            raise Abort(where, f"status {status}")
        if status == 401:
            if text.startswith("{") and Fields(where, parsed(where, text)).all.get("detail") == WIPE_WORDS:
                raise Wiped(where, WIPE_WORDS)
            raise LoggedOut(where, text[:100])
        told = {} if status == 204 and not text else parsed(where, text)
        if answer is not None and status < 300:
            self._hold_to_promise(where, answer, told)
        return Answer(
            status, {"content": told} if isinstance(told, list) else Fields(where, told).all, response.headers
        )

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Device {self.api_token}"}

    def _send(self, where: str, method: str, url: str, body: object, headers: Mapping[str, str]) -> requests.Response:
        """Raises Crash at what ends badly whatever was asked: another host, 429 (section 1.1), a redirect."""
        parts, own = urlsplit(url), urlsplit(self.url)
        if (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
            raise Crash(where, f"{url} is not on {own.scheme}://{own.netloc}")
        assert _is_loopback(parts.hostname), f"tests speak to loopback only, not to {url}"
        sent = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        typed = {} if body is None else {"Content-Type": JSON_TYPE}
        try:
            response = self._session.request(
                method, url, data=sent, headers={**headers, **typed}, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            raise Unreachable(where, f"no answer: {error}") from error
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.history.append(Exchange(method, target, response.status_code, dict(headers)))
        if response.status_code == 429:
            raise Crash(where, "429, at which OkHttp throws")
        if 300 <= response.status_code < 400 and response.status_code != 304:
            raise Crash(where, f"redirected to {response.headers.get('Location')}")
        return response

    def _hold_to_promise(self, where: str, answer: str, told: object) -> None:
        if self.hook is None:
            return
        try:
            self.hook(answer, told)
        except jsonschema.ValidationError as error:
            raise Unpromised(f"{where} {error.json_path}", error.message) from error


def _text(where: str, response: requests.Response) -> str:
    try:
        return response.content.decode()
    except UnicodeDecodeError as error:
        raise Abort(where, f"not UTF-8: {error}") from error


def _is_loopback(host: str | None) -> bool:
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
