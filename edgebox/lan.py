"""Finding the address under which phones on the venue's network reach this machine.

What is needed is read in /proc and /sys and asked of an ordinary socket: systemd keeps netlink, where more could be
learned, from the box's unit.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

WILDCARDS = frozenset({"0.0.0.0", "::", ""})

SYS_NET: Final = Path("/sys/class/net")
PROC_NET: Final = Path("/proc/net")

# Documentation addresses: asking the system for the way there sends nothing.
_SOMEWHERE = {socket.AF_INET: ("192.0.2.1", 9), socket.AF_INET6: ("2001:db8::1", 9)}
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

# Linux: of an interface, its flags and its IPv4 address. struct ifreq has 40 bytes at most; the name in the first 16.
_SIOCGIFFLAGS, _SIOCGIFADDR = 0x8913, 0x8915
_IFREQ_BYTES, _IFREQ_VALUE = 40, 16
_LOOPBACK_FLAG, _POINT_TO_POINT, _RUNNING, _NO_ARP = 0x8, 0x10, 0x40, 0x80

_MODEMS: Final = frozenset({"rndis_host", "ipheth", "cdc_ether", "cdc_ncm", "cdc_mbim", "huawei_cdc_ncm", "qmi_wwan"})
"""Drivers of what leads to the internet by USB: a phone, or a stick with a SIM card."""


class Kind(IntEnum):
    """What is at the other end of an interface; the likelier it is that scanners are, the lower."""

    NETWORK = 0
    """A socket or a radio of this machine, or a bridge that has one."""
    MODEM = 1
    INSIDE = 2
    """Virtual machines and containers."""
    TUNNEL = 3
    """A VPN, or a line with nobody but a provider at its end."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One with an IPv4 address. `metric` is that of the way out that leads through it, None where none does."""

    name: str
    address: str
    kind: Kind
    is_running: bool
    metric: int | None

    @property
    def is_link_local(self) -> bool:
        """It gave itself an address as nobody else did: phones that got one cannot reach it."""
        return ipaddress.ip_address(self.address).is_link_local


def lan_address(family: socket.AddressFamily = socket.AF_INET) -> str:
    """The address under which phones on the venue's network most likely reach this machine.

    Where no network has one it is the loopback one.
    """
    if family is not socket.AF_INET:
        return _way_out(family) or _LOOPBACK[family]
    best = choose(interfaces())
    # Without a network now, but with one that had been set up before: a cable that is not plugged in yet.
    return best.address if best is not None else _way_out(family) or _LOOPBACK[family]


def choose(found: Iterable[Interface]) -> Interface | None:
    """The one that scanners most likely reach; None of none.

    First what is plugged in, and has an address that somebody gave it; then networks before modems, containers and
    VPNs, also when those lead to the internet; then the way out, the cheapest first; then the first one.
    """

    def rank(interface: Interface) -> tuple[bool, bool, Kind, bool, int]:
        return (
            not interface.is_running,
            interface.is_link_local,
            interface.kind,
            interface.metric is None,
            interface.metric or 0,
        )

    return min(found, key=rank, default=None)


def interfaces(sys_net: Path = SYS_NET, proc_net: Path = PROC_NET) -> Iterator[Interface]:
    """Each network interface with an IPv4 address, but for the loopback one; of several addresses, its first."""
    metrics = _ways_out(proc_net / "route")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for name in _names(proc_net / "dev"):
            request = struct.pack(f"{_IFREQ_BYTES}s", name.encode())
            try:
                (flags,) = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), _IFREQ_VALUE)
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, request)
            except OSError:
                continue  # it has none, or has gone meanwhile
            if flags & _LOOPBACK_FLAG:
                continue
            address = socket.inet_ntoa(answer[_IFREQ_VALUE + 4 : _IFREQ_VALUE + 8])
            yield Interface(name, address, _kind(sys_net, name, flags), bool(flags & _RUNNING), metrics.get(name))


def is_here(url: str) -> bool:
    """Whether this machine has the address in a URL. A name is taken for one that leads here."""
    try:
        address = ipaddress.ip_address(urlsplit(url).hostname or "")
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except ValueError:
        return True
    except OSError:
        return False
    return True


def base_url(address: str, host: str, port: int) -> str:
    """`http://HOST[:PORT]` for scanners: the configured address, else the one listened on, else the LAN's."""
    if address:
        return address if "://" in address else f"http://{address}"
    if host in WILDCARDS:
        host = lan_address(socket.AF_INET6 if host == "::" else socket.AF_INET)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}" if port == 80 else f"http://{shown}:{port}"


def _kind(sys_net: Path, name: str, flags: int) -> Kind:
    if flags & (_POINT_TO_POINT | _NO_ARP):
        return Kind.TUNNEL  # with nobody to be asked for by address
    if (sys_net / name / "device").exists():
        driver = (sys_net / name / "device" / "driver").resolve().name
        return Kind.MODEM if driver in _MODEMS else Kind.NETWORK
    # Bridges, bonds and VLANs lead wherever their parts do.
    parts = [*(sys_net / name).glob("brif/*"), *(sys_net / name).glob("lower_*")]
    kinds = (_kind(sys_net, part.name.removeprefix("lower_"), 0) for part in parts)
    return min(kinds, default=Kind.INSIDE)


def _names(dev: Path) -> list[str]:
    """What stands before the colon in each line but the two of the heading."""
    try:
        lines = dev.read_text("utf-8").splitlines()[2:]
    except OSError:
        return []
    return [line.partition(":")[0].strip() for line in lines]


def _ways_out(route: Path) -> dict[str, int]:
    """The metric of the default route, by interface."""
    found: dict[str, int] = {}
    try:
        lines = route.read_text("utf-8").splitlines()[1:]
    except OSError:
        return found
    for line in lines:
        # Iface Destination Gateway Flags RefCnt Use Metric Mask ...
        name, destination, _, _, _, _, metric, mask, *_ = line.split()
        if int(destination, 16) == int(mask, 16) == 0:
            found[name] = min(int(metric), found.get(name, int(metric)))
    return found


def _way_out(family: socket.AddressFamily) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(_SOMEWHERE[family])
            return str(probe.getsockname()[0])
    except OSError:
        return None
