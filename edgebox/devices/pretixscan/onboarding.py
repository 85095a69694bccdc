"""Setting a phone up, and what it says of itself later: `/api/v1/device/...` and `/api/v1/version`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Request, Response

from edgebox import __version__
from edgebox.box import Box
from edgebox.devices.answering import json_answer
from edgebox.devices.pretixscan import describing
from edgebox.devices.pretixscan.access import Closed, key_of, not_there
from edgebox.devices.pretixscan.asking import read_object
from edgebox.devices.pretixscan.qr import PROXY
from edgebox.model import CheckInList, Device, Phone

PRETIX_NUMERIC = 2026_06_0000_0000
"""The pretix that the box passes for: the app hides exits before 3.9.1 and several events at once before 4.12.1."""
VERSION = {"pretix": f"edgebox {__version__}", "pretix_numeric": PRETIX_NUMERIC}

MAX_WORD_CHARS = 100

FULL, KIOSK = "full", "pretixscan_online_kiosk"
"""Security profiles as the app knows them; in a kiosk it offers no search."""


class WrongToken(Closed):
    """Nobody has this token (any more)."""


def initialize(box: Box, request: Request) -> Response:
    """POST `device/initialize`, without a key: a token from a QR code for the key of a session. It works once.

    Raises WrongToken.
    """
    told = read_object(request)
    token = _word(told, "token").removeprefix(PROXY)
    begun = box.scanners.set_up(token, _phone(told, box.clock.now())) if token else None
    if begun is None:
        raise WrongToken(_refused("This QR code was used already, or is not of this box. Ask staff for a fresh one."))
    device, key = begun
    lists = box.scanners.lists_of(device)
    if not lists:
        return _refused("The check-in lists of this device were removed from the box.")
    box.saw(device, request.environ.get("HTTP_USER_AGENT"))
    return json_answer(_identity(device, lists[0], key))


def info(box: Box, request: Request, device: Device) -> Response:
    """GET `device/info`."""
    return json_answer(
        {
            "device": _identity(device, _first(box, device), key_of(request)),
            "server": {"version": VERSION},
            "medium_key_sets": [],
        }
    )


def update(box: Box, request: Request, device: Device) -> Response:
    """POST `device/update`: the app was updated."""
    box.scanners.tell(device, _phone(read_object(request), box.clock.now()))
    return json_answer(_identity(device, _first(box, device), key_of(request)))


def revoke(box: Box, request: Request, device: Device) -> Response:
    """POST `device/revoke`: whoever holds the phone resets the app, and its key ends."""
    box.scanners.end_session(device)
    return json_answer({})


def event_selection(box: Box, request: Request, device: Device) -> Response:
    """GET `device/eventselection`: which event the phone should scan for. One that it may scan for is left alone."""
    lists = box.scanners.lists_of(device)
    if not lists:
        return not_there("This device has no list (any more).")
    event, chosen = request.args.get("current_event"), request.args.get("current_checkinlist")
    if any(list_.event == event and chosen in (None, str(list_.id)) for list_ in lists):
        return Response(status=304)
    return json_answer(describing.selection(_now_on(lists, box.clock.now())))


def version() -> Response:
    """GET `version`, without a key."""
    return json_answer(VERSION)


def _identity(device: Device, list_: CheckInList, key: str) -> dict[str, Any]:
    return {
        "organizer": list_.organizer,
        "device_id": device.id,
        "unique_serial": f"EDGEBOX{device.id:04}",
        "api_token": key,
        "name": device.name,
        "security_profile": FULL if device.allow_search else KIOSK,
        "gate": None,
    }


def _first(box: Box, device: Device) -> CheckInList:
    lists = box.scanners.lists_of(device)
    if not lists:
        raise Closed(not_there("The check-in lists of this device were removed from the box."))
    return lists[0]


def _now_on(lists: list[CheckInList], now: datetime) -> CheckInList:
    """The list whose event is on now; the first one where none is."""
    return next((list_ for list_ in lists if describing.is_on(list_, now)), lists[0])


def _phone(told: Mapping[str, Any], at: datetime) -> Phone:
    return Phone(
        hardware=" ".join(filter(None, (_word(told, "hardware_brand"), _word(told, "hardware_model")))),
        system=" ".join(filter(None, (_word(told, "os_name"), _word(told, "os_version")))),
        software=_word(told, "software_brand"),
        software_version=_word(told, "software_version"),
        since=at,
    )


def _word(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    text = value if isinstance(value, str) else ""
    return "".join(character for character in text if character.isprintable())[:MAX_WORD_CHARS]


def _refused(text: str) -> Response:
    return json_answer({"token": [text]}, 400)
