"""The pretixdroid API as scanners speak it: versions 2 and 3, every decision an HTTP 200 with JSON."""

from edgebox.devices.pretixdroid.api import create_blueprint
from edgebox.devices.pretixdroid.qr import configuration

__all__ = ["configuration", "create_blueprint"]
