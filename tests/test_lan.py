"""Where phones on the venue's network find this machine."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebox import lan
from edgebox.lan import Interface, Kind, base_url, choose, is_here, lan_address
from tests.support.box import REPOSITORY
from tests.support.machine import require


def test_a_configured_address_is_taken_as_it_is() -> None:
    assert base_url("192.168.4.1:8000", "0.0.0.0", 9000) == "http://192.168.4.1:8000"
    assert base_url("http://edgebox.local", "127.0.0.1", 9000) == "http://edgebox.local"
    assert base_url("https://box.example:8443", "0.0.0.0", 9000) == "https://box.example:8443"


def test_else_it_is_the_one_that_is_listened_on() -> None:
    assert base_url("", "192.168.4.1", 8000) == "http://192.168.4.1:8000"
    assert base_url("", "192.168.4.1", 80) == "http://192.168.4.1"
    assert base_url("", "fd00::1", 8000) == "http://[fd00::1]:8000"


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
def test_else_it_is_the_machines_own_on_its_network(host: str) -> None:
    assert base_url("", host, 8000) == f"http://{lan_address()}:8000"
    with socket.create_server((lan_address(), 0)) as mine:
        assert mine.getsockname()[0] == lan_address()


def test_a_box_that_listens_on_ipv6_alone_is_found_by_ipv6() -> None:
    shown = base_url("", "::", 80).removeprefix("http://").strip("[]")
    assert ipaddress.ip_address(shown).version == 6


# --- which one of several ---------------------------------------------------------------------------------------------

CABLE = Interface("eth0", "192.168.1.20", Kind.NETWORK, True, 100)
WIFI = Interface("wlan0", "192.168.7.4", Kind.NETWORK, True, 600)
HOTSPOT = Interface("wlan0", "10.42.0.1", Kind.NETWORK, True, None)
UNPLUGGED = Interface("eth0", "192.168.1.20", Kind.NETWORK, False, None)
NOBODY_S = Interface("eth0", "169.254.17.3", Kind.NETWORK, True, 1000)
TETHERED = Interface("usb0", "192.168.42.17", Kind.MODEM, True, 50)
DOCKER = Interface("docker0", "172.17.0.1", Kind.INSIDE, True, None)
VPN = Interface("wg0", "10.8.0.2", Kind.TUNNEL, True, 0)


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ([WIFI, CABLE], CABLE),  # both lead out: the cheaper way
        ([HOTSPOT, CABLE], CABLE),  # the hotspot sets its own address in the settings
        ([HOTSPOT], HOTSPOT),  # no way out at all
        ([DOCKER, HOTSPOT], HOTSPOT),
        ([VPN, DOCKER, WIFI], WIFI),  # the VPN is the way out, and no phone is in it
        ([TETHERED, HOTSPOT], HOTSPOT),  # the internet comes from a phone, scanners do not
        ([TETHERED], TETHERED),
        ([UNPLUGGED, WIFI], WIFI),
        ([UNPLUGGED], UNPLUGGED),
        ([NOBODY_S, WIFI], WIFI),  # no router answered on the cable
        ([NOBODY_S, DOCKER], DOCKER),
        ([NOBODY_S], NOBODY_S),
        ([DOCKER, VPN], DOCKER),
        ([VPN], VPN),
        ([], None),
    ],
)
def test_of_several_it_is_the_one_that_scanners_most_likely_reach(
    found: list[Interface], best: Interface | None
) -> None:
    assert choose(found) is best
    assert choose(reversed(found)) is best


@pytest.fixture
def network(tmp_path: Path) -> Iterator[str]:
    """A network namespace of its own, as a Pi has it: cables, a bridge with one, containers, VPNs. Yields its name."""
    require("ip", package="iproute2")
    name = f"edgebox-{tmp_path.name[-12:]}"
    ip("netns", "add", name)
    try:
        yield name
    finally:
        ip("netns", "delete", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)


def inside(network: str, expression: str) -> str:
    """What an expression about `lan` is in there."""
    run = subprocess.run(
        ["ip", "netns", "exec", network, sys.executable, "-c", f"from edgebox import lan\nprint({expression})"],
        capture_output=True, text=True, timeout=60, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_real_interfaces_are_read_without_netlink(network: str) -> None:
    """Their names, flags and ways out as the kernel tells them. (What is plugged in, no namespace has.)"""
    assert inside(network, "lan.lan_address()") == "127.0.0.1"

    ip("-n", network, "link", "add", "br-3f2a", "type", "bridge")
    ip("-n", network, "address", "add", "172.18.0.1/16", "dev", "br-3f2a")
    for name, address in (("gate", "192.168.1.20/24"), ("gate2", "192.168.2.20/24"), ("way-out", "10.8.0.2/24")):
        ip("-n", network, "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
        ip("-n", network, "address", "add", address, "dev", name)
        ip("-n", network, "link", "set", f"{name}-peer", "up")
    ip("-n", network, "link", "set", "way-out", "arp", "off")  # as a VPN has it: nobody is asked for by address
    for name in ("lo", "br-3f2a", "way-out", "gate", "gate2"):
        ip("-n", network, "link", "set", name, "up")
    ip("-n", network, "route", "add", "default", "via", "10.8.0.1", "metric", "5")
    ip("-n", network, "route", "add", "default", "via", "192.168.2.1", "metric", "700")

    told = inside(network, "*sorted((i.name, i.address, i.kind.name, i.metric) for i in lan.interfaces()), sep='; '")
    assert told.split("; ") == [
        "('br-3f2a', '172.18.0.1', 'INSIDE', None)",
        "('gate', '192.168.1.20', 'INSIDE', None)",
        "('gate2', '192.168.2.20', 'INSIDE', 700)",
        "('way-out', '10.8.0.2', 'TUNNEL', 5)",
    ]
    assert inside(network, "[i.is_running for i in lan.interfaces() if i.name == 'gate']") == "[True]"
    assert inside(network, "lan.lan_address()") == "192.168.2.20"
    assert inside(network, "lan.is_here('http://192.168.1.20:8000')") == "True"
    assert inside(network, "lan.is_here('http://192.168.1.21:8000')") == "False"

    # A second address on an interface is this machine's as well.
    ip("-n", network, "address", "add", "192.168.1.21/24", "dev", "gate")
    assert inside(network, "lan.is_here('http://192.168.1.21:8000')") == "True"


def interface(sys_net: Path, name: str, *, driver: str | None = None) -> Path:
    """As /sys/class/net shows one; what is plugged in has a driver."""
    folder = sys_net / name
    folder.mkdir(parents=True)
    if driver is not None:
        (sys_net / "drivers" / driver).mkdir(parents=True, exist_ok=True)
        (folder / "device").mkdir()
        (folder / "device" / "driver").symlink_to(sys_net / "drivers" / driver)
    return folder


def test_what_an_interface_is_stands_in_sysfs(tmp_path: Path) -> None:
    interface(tmp_path, "eth0", driver="bcmgenet")
    interface(tmp_path, "wlan0", driver="brcmfmac")
    interface(tmp_path, "usb0", driver="rndis_host")
    interface(tmp_path, "docker0").joinpath("brif", "veth1").mkdir(parents=True)
    interface(tmp_path, "veth1")
    interface(tmp_path, "br0").joinpath("brif", "eth0").mkdir(parents=True)
    interface(tmp_path, "eth0.7").joinpath("lower_eth0").mkdir()
    up, tunnel = 0x1043, 0x10D1

    kinds = {name: lan._kind(tmp_path, name, up) for name in ("eth0", "wlan0", "usb0", "docker0", "br0", "eth0.7")}
    assert kinds == {
        "eth0": Kind.NETWORK, "wlan0": Kind.NETWORK, "usb0": Kind.MODEM, "docker0": Kind.INSIDE, "br0": Kind.NETWORK,
        "eth0.7": Kind.NETWORK,
    }  # fmt: skip
    assert lan._kind(tmp_path, "wlan0", tunnel) is Kind.TUNNEL


def test_a_machine_that_tells_nothing_has_the_way_out_or_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(lan.interfaces(tmp_path, tmp_path)) == []
    monkeypatch.setattr(lan, "interfaces", lambda: iter(()))
    monkeypatch.setattr(lan, "_way_out", lambda family: None)
    assert lan_address() == "127.0.0.1"


# --- whether it still has one -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://edgebox.local", "https://box.example:8443"])
def test_what_is_here_and_what_only_has_a_name_is_taken_for_here(url: str) -> None:
    assert is_here(url)


@pytest.mark.parametrize("url", ["http://203.0.113.7:8000", "http://[2001:db8::7]"])
def test_an_address_that_this_machine_does_not_have_is_lost(url: str) -> None:
    assert not is_here(url)
