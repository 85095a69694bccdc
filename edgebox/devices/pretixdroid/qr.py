"""The configuration QR of the pretixdroid app."""

from __future__ import annotations

import json
from urllib.parse import quote

from edgebox.model import CheckInList, Device

QR_VERSION = 3
"""The app reads the API's version from here only, and offers its own offline mode from 3 on."""


def configuration(device: Device, list_: CheckInList, base_url: str) -> str:
    """The text of the QR that sets the app up for this device; `base_url` has no slash at its end.

    The address ends with a slash: the app appends `redeem/?key=...` as it stands.
    """
    path = "".join(f"{quote(part, safe='')}/" for part in list_.path.split("/"))
    return json.dumps(
        {
            "version": QR_VERSION,
            "url": f"{base_url}/pretixdroid/api/{path}",
            "key": device.key,
            "allow_search": device.allow_search,
            "show_info": device.show_info,
        }
    )
