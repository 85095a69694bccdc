"""The QR code that sets the pretixSCAN app up."""

from __future__ import annotations

import json

from edgebox.model import Device

HANDSHAKE_VERSION = 1
PROXY = "proxy="
"""A token that begins so tells the app that it speaks to a proxy: scan online, keep no tickets on the phone."""


def configuration(device: Device, base_url: str) -> str | None:
    """The text of the QR for this device; `base_url` has no slash at its end. None once its token was used."""
    if device.setup_token is None:
        return None
    return json.dumps(
        {"handshake_version": HANDSHAKE_VERSION, "url": base_url, "token": f"{PROXY}{device.setup_token}"}
    )
