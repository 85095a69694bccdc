"""Registering the box with today's pretix as a device.

An organizer makes a device in pretix and gets an address and a token that can be used once, or both as a QR code. What
pretix answers to it is told only once: whoever calls `initialize` puts it on disk before anything else.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from edgebox import __version__
from edgebox.upstream import BadAddress, NotUpstream, Unreachable, UpstreamError
from edgebox.upstream.pretix.connection import Line, read_json
from edgebox.upstream.pretix.shapes import a_text, an_id, an_object, an_optional_text
from edgebox.upstream.transport import LOGIN_PAGE_HINT, Answer, Http, Unsent, redirect
from edgebox.upstream.wire import BadShape

SOFTWARE_BRAND = "edgebox"
"""How the box names itself. Pretix takes brands that contain "pretixscan" for its own app, and answers differently."""

HANDSHAKE_VERSION = 1
MAX_TOKEN_CHARS = 190

ADDRESS_HINT = "it looks like https://tickets.example.org/"
NEW_DEVICE_HINT = "the token may be used up; if so, make a new device in pretix"
"""Each token works once, and nobody can say whether pretix has seen it."""

_NARROW_PROFILES = {
    "pretixscan_online_kiosk": "neither download orders nor search for tickets",
    "pretixscan_online_noorders": "not download orders",
}
_GOOD_PROFILES = frozenset({"full", "pretixscan"})


class TokenRefused(UpstreamError):
    """Pretix does not take this token."""

    is_permanent = True


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where to register, and the token for it. `url` ends with a slash."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Paired:
    """What pretix tells once: all that a connection is made of."""

    url: str
    organizer: str
    device_id: int
    device_serial: str
    api_token: str = field(repr=False)
    device_name: str
    security_profile: str
    gate_id: int | None
    gate_name: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What pretix says of the box as its device."""

    server_version: str
    device_name: str
    security_profile: str
    gate_id: int | None
    gate_name: str | None = None


def read_invitation(text: str, token: str | None = None) -> Invitation:
    """An address with its token, or what the QR code holds: `{"handshake_version":1,"url":"…","token":"…"}`.

    Raises BadAddress.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("url"), str) or not isinstance(told.get("token"), str):
            raise BadAddress("this is not what pretix's QR code holds", "copy all of it, braces included")
        if told.get("handshake_version") != HANDSHAKE_VERSION:
            raise BadAddress("this QR code is of another kind than the box knows", "enter address and token instead")
        text, token = told["url"], told["token"]
    token = (token or "").strip()
    if not token:
        raise BadAddress("the token is missing", "pretix shows it beside the QR code of the new device")
    if len(token) > MAX_TOKEN_CHARS or not token.isascii() or not token.isalnum():
        raise BadAddress("this is not a token of pretix", "it has letters and digits only")
    return Invitation(parse_server(text), token)


def parse_server(text: str) -> str:
    """Where a pretix is, in its one canonical form, with a slash at its end. An address out of its back office or of
    its API will do. Raises BadAddress."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise BadAddress("this is not the address of a pretix", ADDRESS_HINT) from None
    is_one = parts.scheme in ("http", "https") and not parts.query and parts.username is None
    if not is_one or not parts.hostname or not text.strip().isprintable():
        raise BadAddress("this is not the address of a pretix", ADDRESS_HINT)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port in (None, {"http": 80, "https": 443}[parts.scheme]) else f"{host}:{port}"
    path = parts.path.rstrip("/") + "/"
    for inner in ("/api/v1/", "/control/"):
        path = path.split(inner)[0].rstrip("/") + "/"
    return urlunsplit((parts.scheme, netloc, path, "", ""))


def initialize(invitation: Invitation, http: Http) -> Paired:
    """Use up the token. What comes back is told only once: put it on disk before anything else.

    Raises TokenRefused, NotUpstream, and Unreachable: with NEW_DEVICE_HINT where the token may have arrived.
    """
    channel = http.channel()
    body = {
        "token": invitation.token,
        "hardware_brand": "edgebox",
        "hardware_model": platform.machine() or "unknown",
        "os_name": platform.system() or "unknown",
        "os_version": platform.release() or "unknown",
        "software_brand": SOFTWARE_BRAND,
        "software_version": __version__,
    }
    try:
        with channel.post_json(f"{invitation.url}api/v1/device/initialize", body) as answer:
            return _read_initialize(answer, invitation.url)
    except Unsent:
        raise
    except Unreachable as error:
        raise Unreachable(error.message, NEW_DEVICE_HINT, retry_after_s=error.retry_after_s) from None
    finally:
        channel.close()


def info(line: Line) -> DeviceInfo:
    """Ask what pretix says of the box. Raises Unreachable, NotUpstream or Closed."""
    told = line.get("device/info", expects="device")
    assert told is not None
    try:
        device = an_object(told.body["device"], "device")
        server = an_object(told.body.get("server"), "server")
        gate_id, gate_name = _gate(device)
        return DeviceInfo(
            server_version=a_text(an_object(server.get("version"), "version"), "pretix"),
            device_name=an_optional_text(device, "name") or "",
            security_profile=an_optional_text(device, "security_profile") or "full",
            gate_id=gate_id,
            gate_name=gate_name,
        )
    except BadShape as error:
        raise NotUpstream(f"device/info: {error}", LOGIN_PAGE_HINT) from None


def what_a_profile_forbids(security_profile: str) -> str | None:
    """In words, what the box needs and a device of this profile may not do; None where nothing is missing."""
    if security_profile in _GOOD_PROFILES:
        return None
    advice = 'choose "pretixSCAN" or "Full device access" for it in pretix'
    missing = _NARROW_PROFILES.get(security_profile)
    if missing is None:
        return f"the box does not know whether a device of this security profile may do all that is needed; {advice}"
    return f"with its security profile the box may {missing}: it cannot work offline; {advice}"


def _read_initialize(answer: Answer, url: str) -> Paired:
    status, body = answer.status, read_json(answer)
    if status == 200:
        return _paired(body, url)
    if status == 400 and isinstance(body, dict):
        raise _refused(body)
    if 300 <= status < 400:
        raise redirect(answer, url)
    if status >= 500 and status != 511:
        raise Unreachable(f"pretix has trouble ({status})", retry_after_s=answer.retry_after_s)
    if status == 429:
        raise Unsent("pretix asks for fewer requests; the token was not used", retry_after_s=answer.retry_after_s)
    if status == 404:
        raise NotUpstream("there is no pretix at this address (404)", "check the address: it ends before /control")
    raise NotUpstream(f"an answer came that is not pretix's ({status})", LOGIN_PAGE_HINT)


def _paired(body: object, url: str) -> Paired:
    try:
        device = an_object(body, "the answer")
        gate_id, gate_name = _gate(device)
        return Paired(
            url=url,
            organizer=a_text(device, "organizer"),
            device_id=an_id(device, "device_id"),
            device_serial=a_text(device, "unique_serial"),
            api_token=a_text(device, "api_token"),
            device_name=an_optional_text(device, "name") or "",
            security_profile=an_optional_text(device, "security_profile") or "full",
            gate_id=gate_id,
            gate_name=gate_name,
        )
    except BadShape:
        raise NotUpstream("the answer is not pretix's", f"{LOGIN_PAGE_HINT}; {NEW_DEVICE_HINT}") from None


def _gate(device: Mapping[str, Any]) -> tuple[int | None, str | None]:
    if device.get("gate") is None:
        return None, None
    gate = an_object(device["gate"], "gate")
    return an_id(gate, "id"), an_optional_text(gate, "name")


def _refused(body: Mapping[str, Any]) -> TokenRefused:
    """Of pretix's own texts, since those may repeat what was sent, only their meaning."""
    text = str(body.get("token", ""))
    if "already been used" in text:
        return TokenRefused("this token has already been used", "make a new device in pretix: each token works once")
    if "revoked" in text:
        return TokenRefused("the device of this token was revoked", "make a new device in pretix")
    if "Unknown" in text:
        return TokenRefused("pretix does not know this token", "check it, and the address: each pretix has its own")
    names = ", ".join(sorted(key for key in body if key.replace("_", "").isalpha()))
    return TokenRefused(f"pretix does not take the registration ({names or 'no reason given'})", "update the box")
