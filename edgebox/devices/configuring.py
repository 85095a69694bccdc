"""What the QR code of a device says, whichever app it is for."""

from __future__ import annotations

from edgebox.box import Box
from edgebox.devices import pretixdroid, pretixscan
from edgebox.model import App, Device


def configuration_of(box: Box, device: Device) -> str | None:
    """The text of the QR that sets the device's app up.

    None where there is nothing to set up: its lists were removed, or the code of a pretixSCAN device was used.
    """
    lists = box.scanners.lists_of(device)
    if not lists:
        return None
    if device.app is App.PRETIXSCAN:
        return pretixscan.configuration(device, box.base_url())
    return pretixdroid.configuration(device, lists[0], box.base_url())
