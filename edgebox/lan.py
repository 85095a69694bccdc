"""Finding the address under which phones on the venue's network reach this machine."""

from __future__ import annotations

import socket

# A documentation address: asking the system for the way there sends nothing.
_SOMEWHERE = ("192.0.2.1", 9)

WILDCARDS = frozenset({"0.0.0.0", "::", ""})


def lan_address() -> str:
    """The address of the interface that leads out of this machine; the loopback one where none does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def base_url(address: str, host: str, port: int) -> str:
    """`http://HOST[:PORT]` for scanners: the configured address, else the one listened on, else the LAN's."""
    if address:
        return address if "://" in address else f"http://{address}"
    if host in WILDCARDS:
        host = lan_address()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}" if port == 80 else f"http://{shown}:{port}"
