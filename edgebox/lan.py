"""Finding the address under which phones on the venue's network reach this machine."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterator

WILDCARDS = frozenset({"0.0.0.0", "::", ""})

# Documentation addresses: asking the system for the way there sends nothing.
_SOMEWHERE = {socket.AF_INET: ("192.0.2.1", 9), socket.AF_INET6: ("2001:db8::1", 9)}
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of an interface; struct ifreq has 40 bytes at most, the address in bytes 20 to 23."""


def lan_address(family: socket.AddressFamily = socket.AF_INET) -> str:
    """The address of the interface that leads out of this machine.

    Where no way leads out (a network of its own, without an uplink) it is the first IPv4 address that the machine has
    on any network, and the loopback one where it has none.
    """
    way_out = _way_out(family)
    if way_out is not None:
        return way_out
    others = interface_addresses() if family is socket.AF_INET else iter(())
    return next((address for address in others if not address.startswith("127.")), _LOOPBACK[family])


def interface_addresses() -> Iterator[str]:
    """The first IPv4 address of each network interface that has one, loopback included."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("40s", name.encode())
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, request)
            except OSError:
                continue  # it has none
            yield socket.inet_ntoa(answer[20:24])


def base_url(address: str, host: str, port: int) -> str:
    """`http://HOST[:PORT]` for scanners: the configured address, else the one listened on, else the LAN's."""
    if address:
        return address if "://" in address else f"http://{address}"
    if host in WILDCARDS:
        host = lan_address(socket.AF_INET6 if host == "::" else socket.AF_INET)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}" if port == 80 else f"http://{shown}:{port}"


def _way_out(family: socket.AddressFamily) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(_SOMEWHERE[family])
            return str(probe.getsockname()[0])
    except OSError:
        return None
