"""What can be wrong between the box and a ticket server, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.link.road import Answered, Call, Fault, Obstacle

JSON, HTML = "application/json", "text/html; charset=utf-8"
PAGE = b"<!DOCTYPE html><html><body><form action='/login'>Welcome to our Wi-Fi</form></body></html>"
HUGE_BYTES = 200_000_000
DRIP_S, DROPS = 0.02, 50
PIECE = b" " * 262_144

# --- the connection ---------------------------------------------------------------------------------------------------


def lost_on_the_way(call: Call) -> None:
    """Upstream never sees it."""
    call.reset()


def answer_lost(call: Call) -> None:
    call.act()
    call.end()


def reset_in_mid_body(call: Call) -> None:
    _send_half(call)
    call.reset()


def cut_in_mid_body(call: Call) -> None:
    _send_half(call)
    call.end()


def half_open(call: Call) -> None:
    """The other end has gone and does not say so."""
    call.wait()


def half_open_after_it_acted(call: Call) -> None:
    call.act()
    call.wait()


def slow_drip(call: Call) -> None:
    """Longer than the box waits for any answer, but for a download: that comes whole."""
    own = call.act()
    data = own.head() + own.body
    drop = len(data) // DROPS + 1
    for at in range(0, len(data), drop):
        call.send(data[at : at + drop])
        if not call.wait(DRIP_S):
            call.end()


def _send_half(call: Call) -> None:
    own = call.act()
    call.send(own.head() + own.body[: len(own.body) // 2])


# --- what answers in upstream's place ---------------------------------------------------------------------------------


def says(status: int, body: bytes = PAGE, kind: str = HTML, *, acts: bool = False, **headers: str) -> Fault:
    named = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}

    def fault(call: Call) -> None:
        if acts:
            call.act()
        call.answer(Answered(status, body, named))

    return fault


def says_json(status: int, told: object, **more: Any) -> Fault:
    return says(status, json.dumps(told).encode(), JSON, **more)


# --- what upstream says, spoiled --------------------------------------------------------------------------------------


def spoiled(change: Callable[[Any], Any]) -> Fault:
    """Upstream's own answer, acted upon, with its JSON changed; what has none is as it is."""

    def fault(call: Call) -> None:
        own = call.act()
        try:
            told = json.loads(own.body)
        except ValueError:
            call.answer(own)
            return
        call.answer(Answered(own.status, json.dumps(change(told)).encode(), own.headers))

    return fault


def twice(told: Any) -> Any:
    """Each ticket comes twice."""
    if isinstance(told, dict) and isinstance(told.get("results"), list):
        return {**told, "results": [row for row in told["results"] for _ in range(2)]}
    return told


def other_types(told: Any) -> Any:
    """Everything that stands at the top is of another kind."""
    if not isinstance(told, dict):
        return {"told": told}
    return {key: [] if isinstance(value, str | int) else 7 for key, value in told.items()}


def other_types_deeper(told: Any) -> Any:
    """As above in each row."""
    if isinstance(told, dict) and isinstance(told.get("results"), list):
        return {**told, "results": [other_types(row) for row in told["results"]]}
    return other_types(told)


def nested(call: Call) -> None:
    call.act()
    depth = 100_000
    body = b'{"version": 3, "results": ' + b"[" * depth + b"]" * depth + b"}"
    call.answer(Answered(200, body, {"Content-Type": JSON}))


# --- too much ---------------------------------------------------------------------------------------------------------


def huge(call: Call) -> None:
    call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % HUGE_BYTES)
    for _ in range(HUGE_BYTES // len(PIECE)):
        call.send(PIECE)
    call.end()


def endless(call: Call, piece: bytes = PIECE) -> None:
    """It goes on until the box has had enough."""
    call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    call.send(b'{"version": 3, "count": 1, "next": null, "results": [')
    while True:
        call.send(piece)


BIG: dict[str, Fault] = {
    "200 MB": huge,
    "endless": endless,
    "an endless word": partial(endless, piece=b"x" * len(PIECE)),
}

SLOW: dict[str, Fault] = {
    "half-open": half_open,
    "half-open after it acted": half_open_after_it_acted,
    "slow drip": slow_drip,
}

QUICK: dict[str, Fault] = {
    "lost on the way": lost_on_the_way,
    "answer lost": answer_lost,
    "reset in mid-body": reset_in_mid_body,
    "cut in mid-body": cut_in_mid_body,
    "portal: a page": says(200),
    "portal: a page that says it is JSON": says(200, kind=JSON),
    "portal: to a login page": says(302, b"", Location="http://127.0.0.1:9/login"),
    "portal: 511": says(511),
    "proxy: JSON": says_json(200, {"message": "hello"}),
    "proxy: JSON with a status": says_json(200, {"status": "ok"}),
    "proxy: 502": says(502),
    "proxy: 502 after it acted": says(502, acts=True),
    "proxy: 403": says(403),
    "proxy: 404": says(404),
    "proxy: 407": says(407),
    "nothing": says(200, b"", JSON),
    "null": says_json(200, None),
    "a list": says_json(200, []),
    "429": says(429, Retry_After="7"),
    "500": says(500),
    "500 after it acted": says(500, acts=True),
    "503": says(503),
    "503 for an hour": says(503, Retry_After="3600"),
    "everything twice": spoiled(twice),
    "wrong types": spoiled(other_types),
    "wrong types in the rows": spoiled(other_types_deeper),
    "deeply nested": nested,
}

CONNECTING = [
    Obstacle("refused", blocks="refused"),
    Obstacle("no name", blocks="no name"),
    Obstacle("no connection", blocks="silent", is_slow=True),
]
TLS = [
    Obstacle("TLS: a stranger's certificate", tls="strange"),
    Obstacle("TLS: no TLS at all", tls="none"),
]

FAULTS = {
    each.name: each
    for each in [
        *(Obstacle(name, spoils) for name, spoils in QUICK.items()),
        *(Obstacle(name, spoils, is_slow=True) for name, spoils in SLOW.items()),
        *(Obstacle(name, spoils, is_big=True) for name, spoils in BIG.items()),
        *CONNECTING,
        *TLS,
    ]
}
"""Those of both dialects."""

OLD_PRETIX = {
    name: Obstacle(name, spoils)
    for name, spoils in {
        "invalid key": says(403, b"Invalid key"),
        "unknown event": says(404, b"Unknown event"),
    }.items()
}

TODAYS_PRETIX = {
    name: Obstacle(name, spoils)
    for name, spoils in {
        "401": says_json(401, {"detail": "Device access has been revoked."}),
        "403": says_json(403, {"detail": "You do not have permission to perform this action."}),
        "403: the profile": says_json(403, {"detail": "Request denied by device security profile."}),
        "404": says_json(404, {"detail": "Not found."}),
        "409": says_json(409, {"detail": "Lock timeout"}, Retry_After="3"),
        "429 in pretix's words": says_json(429, {"detail": "Rate limit exceeded"}, Retry_After="7"),
        "500 in JSON": says_json(500, {"detail": "Internal server error"}),
    }.items()
}
