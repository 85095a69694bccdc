"""No answer of the box is taken for something else than it is, whoever asks and whatever goes wrong."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import KEY, Venue, served

API = "/pretixdroid/api/demoorga/democon"
PAGE = {"Accept": "text/html"}


@pytest.fixture
def phone(venue: Venue) -> Iterator[http.client.HTTPConnection]:
    venue.event.add_ticket("abc", attendee_name="<script>alert(1)</script>")
    venue.open()
    with served(venue.box) as url:
        connection = http.client.HTTPConnection(str(urlsplit(url).hostname), int(urlsplit(url).port or 0), timeout=30)
        yield connection
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{API}/status/?key={KEY}", 200),
        ("GET", f"{API}/download/?key={KEY}", 200),
        ("GET", f"{API}/search/?key={KEY}&query=%3Cscript%3E", 200),
        ("GET", f"{API}/status/?key=WRONG", 403),
        ("PUT", f"{API}/status/?key={KEY}", 405),
        ("GET", "/pretixdroid/<script>", 404),
        ("GET", "/api/v1/version", 200),
        ("GET", "/api/v1/device/info", 401),
        ("GET", "/api/v1/<script>", 404),
        ("POST", "/api/v1/device/initialize", 400),
        ("DELETE", "/proxyapi/v1/rpc/check/", 405),
        ("GET", "/healthz", 200),
        ("POST", "/healthz", 405),
        ("GET", "/openapi.json", 200),
        ("GET", "/login", 302),
        ("GET", "/first", 200),
        ("GET", "/nowhere/<script>", 404),
        ("POST", "/sync", 302),
        ("BREW", "/", 405),
        ("GET", "/static/web/edgebox.css", 200),
        ("GET", "/static/web/nothing", 404),
        ("get", "/", 400),
    ],
)
def test_every_answer_is_what_it_says_it_is(
    phone: http.client.HTTPConnection, method: str, path: str, status: int
) -> None:
    for headers in ({}, PAGE):
        phone.request(method, path, headers=headers)
        answer = phone.getresponse()
        body = answer.read()
        assert answer.status == status
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        kind = answer.headers.get_content_type()
        assert kind in ("application/json", "text/html", "text/plain", "text/css")
        if kind == "text/html":
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert b"<script>" not in body, "what was asked for is not repeated as it stands"
        assert answer.headers["Server"] is None
