"""Who asks: the device behind `Authorization: Device KEY`, and what of the box it may see."""

from __future__ import annotations

from flask import Request, Response

from edgebox.box import Box
from edgebox.devices.answering import json_answer
from edgebox.model import CheckInList, Device

WIPE = "Device access has been revoked."
"""The words at which the app deletes what it holds, and offers to reset itself. Nothing else may say them."""


class Closed(Exception):
    """The door is closed to this request; `answer` says so."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def admit(box: Box, request: Request) -> Device:
    """The device that asks. Raises Closed (401)."""
    device = box.store.devices.by_session(key_of(request))
    if device is None:
        raise Closed(_unauthorized("This device is not known here (any more): ask staff for a fresh QR code."))
    if device.revoked_at is not None:
        raise Closed(_unauthorized(WIPE if device.is_to_wipe else "Staff have revoked this device."))
    box.saw(device, request.environ.get("HTTP_USER_AGENT"))
    return device


def key_of(request: Request) -> str:
    """The key that the request shows; empty where it shows none."""
    scheme, _, key = str(request.environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return key.strip() if scheme == "Device" else ""


def lists_of_event(box: Box, device: Device, organizer: str, event: str) -> list[CheckInList]:
    """The device's lists of an event. Raises Closed (404) where it has none."""
    found = [list_ for list_ in lists_of_organizer(box, device, organizer) if list_.event == event]
    if not found:
        raise Closed(not_there("This device has no list of such an event."))
    return found


def lists_of_organizer(box: Box, device: Device, organizer: str) -> list[CheckInList]:
    """The device's lists. Raises Closed (404) where they are another organizer's."""
    found = [list_ for list_ in box.scanners.lists_of(device) if list_.organizer == organizer]
    if not found:
        raise Closed(not_there("This device has no list of such an organizer."))
    return found


def not_there(text: str) -> Response:
    """404 as the app understands it: only where the body is no JSON."""
    return Response(text, 404, content_type="text/plain; charset=utf-8")


def _unauthorized(detail: str) -> Response:
    return json_answer({"detail": detail}, 401)
