"""scripts/hotspot, and the address that scripts/install keeps: with a stand-in for nmcli.

No Wi-Fi is needed, and none is tried: what a real radio makes of it, only a Pi can show. That the real nmcli knows the
words of it is a test of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import segno
import zxingcpp
from PIL import Image

from tests.support.box import REPOSITORY
from tests.support.machine import missing, require
from tests.support.nmcli import A_PI
from tests.test_scripts import Copy
from tests.test_scripts import copy as copy

NAME = "edgebox-hotspot"


class Pi:
    """The scripts on a Pi with a cable and a Wi-Fi; `radio` is the driver of the latter."""

    def __init__(self, copy: Copy, *, radio: str = "brcmfmac") -> None:
        self.copy = copy
        copy.be_root(True)
        for tool in ("basename", "head", "tr", "wc", "cmp"):
            (copy.stubs / tool).symlink_to(shutil.which(tool) or "/nowhere")
        self.state = copy.stubs / "nmcli.json"
        self.state.write_text(json.dumps(A_PI))
        copy.stub("nmcli", f'#!/bin/sh\nexec {sys.executable} {REPOSITORY}/tests/support/nmcli.py "$@"\n')
        copy.stub("readlink", f"#!/bin/sh\necho ../../bus/drivers/{radio}\n")

    def told(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.state.read_text())
        return state

    def change(self, **what: Any) -> None:
        self.state.write_text(json.dumps(self.told() | what))

    def set_up(self, device: str, **properties: str) -> None:
        devices = self.told()["devices"]
        devices[device] |= {name.replace("__", "-").replace("_", "."): value for name, value in properties.items()}
        self.change(devices=devices)

    def hotspot(self, *arguments: str, status: int = 0) -> str:
        run = self.copy.run("hotspot", *arguments, STUB_NMCLI=str(self.state))
        assert run.returncode == status, run.stderr + run.stdout
        return run.stdout + run.stderr

    @property
    def connection(self) -> dict[str, str]:
        found: dict[str, str] = self.told()["connections"][NAME]
        return found

    def changes(self) -> list[list[str]]:
        """What was asked of NetworkManager that would change something."""
        verbs = ("add", "modify", "delete", "up", "down", "reapply")
        return [call for call in self.told()["calls"] if any(verb in call for verb in verbs)]


@pytest.fixture
def pi(copy: Copy) -> Pi:
    return Pi(copy)


def wifi_of(said: str) -> str:
    (text,) = re.findall(r"^WIFI:.*$", said, re.MULTILINE)
    return str(text)


# --- on ---------------------------------------------------------------------------------------------------------------


def test_it_makes_an_access_point_that_comes_back_after_a_restart(pi: Pi) -> None:
    said = pi.hotspot("on")

    made = pi.connection
    assert NAME in pi.told()["active"]
    assert (made["type"], made["ifname"], made["ssid"]) == ("wifi", "wlan0", "edgebox")
    assert made["802-11-wireless.mode"] == "ap"
    assert made["connection.autoconnect"] == "yes"
    assert (made["ipv4.method"], made["ipv4.addresses"]) == ("shared", "10.42.0.1/24")
    # 5 GHz, on a channel that is not radar's
    assert (made["802-11-wireless.band"], made["802-11-wireless.channel"]) == ("a", "36")
    assert 'The hotspot "edgebox" is on; the box is http://10.42.0.1 in it.' in said


def test_it_is_wpa2_without_the_weak_old_ciphers(pi: Pi) -> None:
    said = pi.hotspot("on")
    made = {name.removeprefix("802-11-wireless-security."): value for name, value in pi.connection.items()}
    assert (made["key-mgmt"], made["proto"], made["pairwise"], made["group"]) == ("wpa-psk", "rsn", "ccmp", "ccmp")
    assert re.fullmatch("[a-z2-9]{12}", made["psk"])
    assert wifi_of(said) == f"WIFI:T:WPA;S:edgebox;P:{made['psk']};;"


def test_wpa3_alone_where_it_is_wanted(pi: Pi) -> None:
    said = pi.hotspot("on", "--wpa3")
    assert pi.connection["802-11-wireless-security.key-mgmt"] == "sae"
    assert pi.connection["802-11-wireless-security.pmf"] == "required"
    assert wifi_of(said).startswith("WIFI:T:SAE;")


def test_phones_read_names_and_passwords_with_any_sign(pi: Pi, tmp_path: Path) -> None:
    ssid, password = 'Gate; "A": 1\\2, ü', 'p;a:s\\s"w,rd ~'
    text = wifi_of(pi.hotspot("on", "--ssid", ssid, "--password", password))
    assert pi.connection["ssid"] == ssid
    assert text == 'WIFI:T:WPA;S:Gate\\; \\"A\\"\\: 1\\\\2\\, ü;P:p\\;a\\:s\\\\s\\"w\\,rd ~;;'
    # As the library reads it that decodes such codes on phones.
    picture = tmp_path / "qr.png"
    segno.make(text, error="l", micro=False).save(str(picture), scale=4)
    (code,) = zxingcpp.read_barcodes(Image.open(picture))
    assert code.text == text


def test_name_and_password_stay_for_the_next_time(pi: Pi) -> None:
    first = pi.hotspot("on", "--ssid", "Gate: A")
    pi.hotspot("off")
    assert wifi_of(pi.hotspot("on")) == wifi_of(first)
    assert wifi_of(pi.hotspot("show")) == wifi_of(first)
    assert list(pi.told()["connections"]) == ["Wired connection 1", NAME]


def test_a_wifi_without_5_ghz_gets_2_4(pi: Pi) -> None:
    pi.set_up("wlan0", **{"WIFI__PROPERTIES_5GHZ": "no"})
    pi.hotspot("on")
    assert pi.connection["802-11-wireless.band"] == "bg"
    assert "802-11-wireless.channel" not in pi.connection
    assert "has no 5 GHz; nothing was done" in pi.hotspot("on", "--band", "5", status=1)


def test_the_network_that_it_takes_the_wifi_from_is_named(pi: Pi) -> None:
    pi.set_up("wlan0", GENERAL_CONNECTION="Venue guests")
    assert "wlan0 leaves the network Venue guests for this" in pi.hotspot("on")


# --- how many phones --------------------------------------------------------------------------------------------------


def test_a_pi_s_own_radio_takes_few_phones_and_that_is_said(pi: Pi) -> None:
    said = pi.hotspot("on")
    assert "It carries about 8 phones" in said
    assert "120 phones: 100 Mbit/s" in said
    assert "connect access points to the box by cable" in said


@pytest.mark.parametrize(("band", "phones", "megabits"), [("5", 100, 80), ("2.4", 31, 25)])
def test_another_radio_is_limited_by_what_phones_download(copy: Copy, band: str, phones: int, megabits: int) -> None:
    said = Pi(copy, radio="mt7921u").hotspot("on", "--band", band)
    assert f"It carries about {phones} phones" in said
    assert f"about {megabits} Mbit/s" in said
    assert phones == megabits * 1000 // (3 * 8 * 1000 // 30)  # 3 MB every 30 s each


# --- off --------------------------------------------------------------------------------------------------------------


def test_off_it_does_not_come_back_and_the_password_stays(pi: Pi) -> None:
    password = wifi_of(pi.hotspot("on"))
    said = pi.hotspot("off")
    assert NAME not in pi.told()["active"]
    assert pi.connection["connection.autoconnect"] == "no"
    assert "need new QR codes" in said
    assert wifi_of(pi.hotspot("show")) == password
    assert "is off" in pi.hotspot("show")


def test_off_when_it_never_was_on_does_no_harm(pi: Pi) -> None:
    pi.hotspot("off")
    assert pi.changes() == []
    assert "There is no hotspot yet" in pi.hotspot("show", status=1)


# --- what cannot be done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "on, off or show?"),
        (("on", "off"), "on or off?"),
        (("loud",), "knows no loud"),
        (("on", "--password", "short"), "A Wi-Fi password has 8 to 63"),
        (("on", "--password", "ümlaut-is-wide"), "A Wi-Fi password has 8 to 63"),
        (("on", "--ssid", "x" * 33), "is too long"),
        (("on", "--band", "6"), "The band is 2.4 or 5"),
        (("on", "--country", "Germany"), "is no country's two capital letters"),
    ],
)
def test_what_it_does_not_understand_changes_nothing(pi: Pi, arguments: tuple[str, ...], reason: str) -> None:
    said = pi.hotspot(*arguments, status=1)
    assert reason in said
    assert "othing was done" in said
    assert pi.changes() == []


def test_nobody_but_root_is_let_do_it(pi: Pi) -> None:
    pi.copy.be_root(False)
    assert "nothing was done: sudo" in pi.hotspot("on", status=1)


def test_without_networkmanager_it_says_what_to_install(pi: Pi) -> None:
    pi.change(running=False)
    assert "systemctl enable --now NetworkManager" in pi.hotspot("on", status=1)
    (pi.copy.stubs / "nmcli").unlink()
    assert "sudo apt-get install network-manager" in pi.hotspot("on", status=1)


def test_a_wifi_that_was_not_told_its_country_is_named(pi: Pi) -> None:
    pi.set_up("wlan0", GENERAL_STATE="20 (unavailable)")
    assert "--country" in pi.hotspot("on", status=1)
    assert pi.changes() == []


def test_a_machine_without_a_wifi_or_with_one_that_cannot(pi: Pi) -> None:
    pi.set_up("wlan0", **{"WIFI__PROPERTIES_AP": "no"})
    assert "wlan0 cannot be an access point; nothing was done" in pi.hotspot("on", status=1)
    devices = pi.told()["devices"]
    del devices["wlan0"]
    pi.change(devices=devices)
    assert "There is no Wi-Fi on this machine; nothing was done" in pi.hotspot("on", status=1)


@pytest.mark.parametrize(
    ("refused", "reason"),
    [("connection add", "there is no hotspot now"), ("connection up", "the settings are kept, but it did not start")],
)
def test_what_networkmanager_refuses_is_told(pi: Pi, refused: str, reason: str) -> None:
    pi.change(refuses=[refused])
    said = pi.hotspot("on", status=1)
    assert reason in said.lower().replace("the hotspot's settings are kept", "the settings are kept")
    assert f"Error: {refused} failed." in said


# --- the address that install keeps -----------------------------------------------------------------------------------


def network(pi: Pi, call: str, status: int = 0) -> str:
    """What a function of scripts/lib/network.sh says."""
    lib = pi.copy.root / "scripts" / "lib"
    run = subprocess.run(
        ["bash", "-c", f'set -euo pipefail; . "{lib}/environment.sh"; . "{lib}/network.sh"; {call}'],
        env={"PATH": str(pi.copy.stubs), "STUB_NMCLI": str(pi.state)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == status, run.stderr
    return run.stderr


def test_an_address_that_the_router_may_change_is_pointed_out(pi: Pi) -> None:
    said = network(pi, "check_address")
    assert "gave this machine its address (192.168.1.20/24, on eth0)" in said
    assert "run this again with --fix-address" in said
    assert pi.changes() == []


def test_the_present_one_is_made_its_own(pi: Pi) -> None:
    network(pi, "keep_address now")
    assert pi.told()["connections"]["Wired connection 1"] == {
        "ipv4.method": "manual", "ipv4.addresses": "192.168.1.20/24", "ipv4.gateway": "192.168.1.1",
        "ipv4.dns": "192.168.1.1,9.9.9.9",
    }  # fmt: skip
    assert ["device", "reapply", "eth0"] in pi.changes()
    assert network(pi, "check_address") == ""


def test_a_second_pi_takes_over_the_address_of_the_first(pi: Pi) -> None:
    network(pi, "keep_address 192.168.1.7/24")
    assert pi.told()["connections"]["Wired connection 1"]["ipv4.addresses"] == "192.168.1.7/24"


@pytest.mark.parametrize("address", ["192.168.1.7", "192.168.1.700/24", "192.168.1.7/33", "x/24"])
def test_what_is_no_address_changes_nothing(pi: Pi, address: str) -> None:
    assert "all else is in place" in network(pi, f"keep_address {address}", status=1)
    assert pi.changes() == []


def test_the_hotspot_is_not_taken_for_the_venue_s_network(pi: Pi) -> None:
    pi.hotspot("on")
    devices = pi.told()["devices"]
    pi.change(devices={"wlan0": devices["wlan0"], "eth0": devices["eth0"]})
    assert "on eth0" in network(pi, "check_address")
    pi.change(devices={"wlan0": devices["wlan0"]})
    assert "NetworkManager keeps no network of this machine" in network(pi, "check_address")


# --- the real nmcli ---------------------------------------------------------------------------------------------------


def test_the_real_nmcli_knows_the_words(pi: Pi, tmp_path: Path) -> None:
    """Debian's own, unpacked and not installed: told to add the connection, it writes down what it would keep."""
    require("dpkg", "apt-get", package="dpkg", root=False)
    for package in ("network-manager", "libnm0"):
        got = subprocess.run(["apt-get", "-qq", "download", package], cwd=tmp_path, capture_output=True, text=True,
                             timeout=300, check=False)  # fmt: skip
        if got.returncode != 0:
            missing(f"Debian's package {package} could not be fetched: {got.stderr.strip()[-300:]}")
        (archive,) = tmp_path.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive, tmp_path / "unpacked"], timeout=60, check=True)
    (library,) = (tmp_path / "unpacked").rglob("libnm.so.0")
    pi.hotspot("on", "--password", "correct horse", "--band", "2.4")
    pi.hotspot("on", "--wpa3")
    added = [call for call in pi.told()["calls"] if call[:2] == ["connection", "add"]]
    assert len(added) == 2

    for call, expected in zip(added, ("psk=correct horse", "key-mgmt=sae"), strict=True):
        written = subprocess.run(
            [tmp_path / "unpacked" / "usr" / "bin" / "nmcli", "--offline", *call],
            env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), "LC_ALL": "C.UTF-8"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (written.returncode, written.stderr) == (0, "")
        for line in ("mode=ap", "method=shared", "address1=10.42.0.1/24", "proto=rsn;", expected):
            assert line in written.stdout.splitlines()
