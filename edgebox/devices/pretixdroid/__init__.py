"""The pretixdroid API as scanners speak it: versions 2 and 3, every decision an HTTP 200 with JSON."""

from edgebox.devices.pretixdroid.api import create_blueprint
from edgebox.devices.pretixdroid.qr import configuration

PREFIX = "pretixdroid/"
"""What the addresses of this dialect begin with."""

__all__ = ["PREFIX", "configuration", "create_blueprint"]
