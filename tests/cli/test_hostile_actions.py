"""The control socket: whatever comes, an answer in words, and the box goes on. Only its own user can open it."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgebox.box import ActionError
from edgebox.control import actions
from edgebox.control.server import ControlServer
from edgebox.datadir import SOCKET_NAME
from tests.fuzz.target import Target

HOSTILE: list[Any] = [
    None, True, 0, -1, 2**63, 2**70, 1.5, float("nan"), "", "\x00", "a\x00b", "\ud800", "\x1b[2J", "x" * 100_000,
    "'; DROP TABLE device; --", "<script>alert(1)</script>", "{{ 7*7 }}", "=1+1", [], ["x"], [1, "\ud800"], {},
    {"a": 1}, [[[[]]]], "LEAD", "http://[::1", "http://\ud800/", "https://x/pretixdroid/api/\x00/\ud800/",
    "https://x/pretixdroid/api/o/e/" + "9" * 5000 + "/",
    '{"handshake_version": 1, "url": "http://\\ud800/", "token": "x"}',
]  # fmt: skip
HARMLESS: dict[str, Any] = {
    "url": "ftp://x", "key": "K", "name": "nobody", "separate": False, "content": {}, "origin": "o", "event": "e",
    "connection_id": 99, "upstream_list": 1, "list_id": 99, "app": "pretixdroid", "list_ids": [99], "items": None,
    "allow_search": True, "show_info": True, "wipe": False, "force": True, "checkin_id": 99, "reason": "r",
    "role": "nobody", "password": "\ud800", "text": "x", "token": "t", "renew": None,
    "abandon": False, "folders": [], "folder": "/nowhere", "due": True, "seconds": 0,
}  # fmt: skip
"""Arguments with which no action does anything."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    opened = Target(tmp_path_factory.mktemp("acted-on"))
    try:
        yield opened
    finally:
        opened.close()


def parameters(action: str) -> list[str]:
    wanted = inspect.signature(actions._ACTIONS[action]).parameters
    return [name for name in wanted if name not in ("box", "report")]


@pytest.mark.parametrize("action", [name for name in actions._ACTIONS if parameters(name)])
def test_no_argument_is_a_fault(target: Target, action: str) -> None:
    """Of all the box may say no in words, or do what was asked."""
    before = target.configuration()
    wanted = parameters(action)
    for hostile in wanted:
        for value in HOSTILE:
            arguments = {name: value if name == hostile else HARMLESS[name] for name in wanted}
            with contextlib.suppress(*actions.KNOWN_ERRORS):
                actions.run(target.box, action, arguments)
    if action != "sync":
        assert target.configuration() == before


@pytest.mark.parametrize("arguments", [{}, {"box": 1}, {"list_id": 1, "more": 2}, {"report": "x"}])
def test_other_arguments_are_refused(target: Target, arguments: dict[str, Any]) -> None:
    with pytest.raises(ActionError, match="takes other arguments"):
        actions.run(target.box, "lists.remove", arguments)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Target]:
    opened = Target(tmp_path)
    server = ControlServer(opened.box)
    server.start()
    try:
        yield opened
    finally:
        server.close()
        opened.close()


def say(target: Target, body: bytes, head: str = "") -> bytes:
    """One request over the socket; what comes back."""
    handle = os.open(target.box.config.data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(f"/proc/self/fd/{handle}/{SOCKET_NAME}")
            length = f"Content-Length: {len(body)}\r\n" if not head else ""
            connection.sendall(f"POST / HTTP/1.1\r\nConnection: close\r\n{length}{head}\r\n".encode() + body)
            return b"".join(iter(lambda: connection.recv(65536), b""))
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\x00", b"\xff", b"null", b"[]", b"{}", b"1", b"{" * 100_000, b"[" * 100_000,
        b'{"action": 1, "arguments": {}}',
        b'{"action": "status", "arguments": []}', b'{"action": "nothing", "arguments": {}}',
        b'{"action": "lists.remove", "arguments": {"list_id": "\\ud800"}}',
        b'{"action": "devices.show", "arguments": {"name": "\\ud800"}}',
    ],
)  # fmt: skip
def test_whatever_comes_over_the_socket_is_answered(
    control: Target, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    before = control.configuration()
    answer = say(control, body)
    head, _, told = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(told.split(b"\r\n")[1] if b"chunked" in head else told)["error"]
    assert control.configuration() == before
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING], "no fault"
    assert b'"result"' in say(control, b'{"action": "status", "arguments": {}}')


def test_an_error_does_not_repeat_a_key(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for action, arguments in {
        "lists.add": {"url": "http://127.0.0.1:9/x/", "key": "KEY-OF-UPSTREAM", "name": None, "separate": False},
        "devices.add": {**{name: HARMLESS[name] for name in parameters("devices.add")}, "key": "KEY OF A DEVICE"},
        "connections.add": {"text": "http://127.0.0.1:9/", "token": "TOKEN-OF-PRETIX", "renew": None},
    }.items():
        with pytest.raises(actions.KNOWN_ERRORS) as refused:
            actions.run(target.box, action, arguments)
        said.append(str(refused.value))
    for secret in ("KEY-OF-UPSTREAM", "KEY OF A DEVICE", "TOKEN-OF-PRETIX"):
        assert secret not in " ".join(said) + caplog.text
