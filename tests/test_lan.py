"""Where phones on the venue's network find this machine."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from edgebox import lan
from edgebox.lan import base_url, interface_addresses, lan_address

NO_WAY = ("255.255.255.255", 9)
"""Nobody may connect to this one: the system refuses, as it does without a way out."""


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


def test_without_a_way_out_it_is_an_address_on_whatever_network_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that is an access point of its own, with nothing behind it."""
    monkeypatch.setattr(lan, "_SOMEWHERE", {socket.AF_INET: NO_WAY})
    others = [address for address in interface_addresses() if not address.startswith("127.")]
    assert lan_address() == (others[0] if others else "127.0.0.1")


def test_the_loopback_interface_is_among_them() -> None:
    assert "127.0.0.1" in interface_addresses()
