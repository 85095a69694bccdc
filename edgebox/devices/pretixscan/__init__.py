"""The protocol of pretixSCAN Proxy as today's pretixSCAN app speaks it (Android 3.3, Desktop).

Three parts: setting a phone up (`onboarding`), what it fetches about events and lists (`resources`), and the calls of
the gate (`rpc`). The app crashes or gives up over a field that is missing, so every answer has all that it reads.
"""

from edgebox.devices.pretixscan.api import create_blueprint, refuse
from edgebox.devices.pretixscan.qr import configuration

PREFIXES = ("api/v1/", "proxyapi/v1/")
"""What the addresses of this dialect begin with."""

__all__ = ["PREFIXES", "configuration", "create_blueprint", "refuse"]
