"""From a bare Debian to a box at the gate: scripts/install for real, offline, and what systemd makes of it.

Each test has a machine of its own, on which the box was installed from a bundle without any network.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ops.conftest import Installed
from tests.support.box import REPOSITORY, BoxProcess, wait_until
from tests.support.debian import STICK, Machine
from tests.support.event import StubEvent
from tests.support.nmcli import A_PI

pytestmark = pytest.mark.slow

DATA = "/var/lib/edgebox"
UNIT = "/etc/systemd/system/edgebox.service"
INSTALL = ("bash", f"{STICK}/scripts/install")
SECRET = "secret-of-ada"


def shown(machine: Machine, *properties: str) -> dict[str, str]:
    """What systemd tells of the box's unit."""
    said = machine.run("systemctl", "show", "edgebox", *(f"--property={name}" for name in properties))
    return dict(line.split("=", 1) for line in said.splitlines())


def is_active(machine: Machine) -> bool:
    return machine.run("systemctl", "is-active", "edgebox", check=False).strip() == "active"


def with_a_list(machine: Machine) -> None:
    """Give the box the list of a saved event with one ticket, and a scanner."""
    event = StubEvent()
    event.add_ticket(SECRET, attendee_name="Ada Lovelace")
    saved = machine.path("/srv/list.json")
    saved.write_text(json.dumps({"status": event.status(), "download": event.download()}))
    saved.chmod(0o644)
    machine.run("edgebox", "lists", "add", "/srv/list.json")
    machine.run("edgebox", "devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")


ASK = """
import json, sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], sys.argv[2].encode() or None, timeout=20).read().decode())
"""


def ask(machine: Machine, path: str, form: str = "") -> dict[str, object]:
    """What the box there answers to a scanner."""
    said = machine.run("python3", "-c", ASK, f"http://127.0.0.1:8000{path}", form)
    answer: dict[str, object] = json.loads(said)
    return answer


def redeem(machine: Machine) -> dict[str, object]:
    return ask(machine, "/pretixdroid/api/demoorga/democon/redeem/?key=GATE1KEY", f"secret={SECRET}")


# --- what it makes ----------------------------------------------------------------------------------------------------


def test_it_makes_the_user_the_program_and_the_place_for_the_data(machine: Machine, installed: Installed) -> None:
    current = os.readlink(machine.path("/opt/edgebox/current"))
    assert re.fullmatch(r"versions/\d+\.\d+\.\d+-[0-9a-f]{8}", current)
    data = machine.path(DATA).stat()
    user = machine.run("id", "-u", "edgebox").strip()
    assert (stat.S_IMODE(data.st_mode), str(data.st_uid)) == (0o700, user)
    assert int(user) not in (0, os.geteuid())
    assert os.listdir(machine.path(DATA)) == []
    assert machine.path("/etc/systemd/system/multi-user.target.wants/edgebox.service").is_symlink()
    assert "<port>8000</port>" in machine.path("/etc/avahi/services/edgebox.service").read_text()
    assert "edgebox staff code" in installed.said
    # Whoever may log in to the machine may read the program, and nobody but root may change it.
    for path in machine.path("/opt/edgebox").rglob("*"):
        mode = path.lstat()
        assert mode.st_uid == 0, path
        assert path.is_symlink() or not mode.st_mode & 0o022, path


class InstalledBox(BoxProcess):
    """A box that runs from an installation on a machine that is not booted, in this machine's network."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.path(DATA))
        self._root = machine.root

    def _command(self) -> list[str]:
        there = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        become = ["setpriv", "--reuid=edgebox", "--regid=edgebox", "--clear-groups", "--"]
        return ["unshare", "--mount", "sh", "-c", there, str(self._root), *become, "edgebox", "--data", DATA]


def test_the_box_runs_from_there_as_its_own_user_and_lets_in(machine: Machine) -> None:
    event = StubEvent()
    event.add_ticket(SECRET)
    saved = {"status": event.status(), "download": event.download()}
    machine.path("/srv/list.json").write_text(json.dumps(saved))
    machine.path("/srv/list.json").chmod(0o644)
    user = machine.run("id", "-u", "edgebox").strip()
    box = InstalledBox(machine)
    try:
        box.start()
        assert f"\nUid:\t{user}\t{user}\t{user}\t{user}\n" in Path(f"/proc/{box.pid}/status").read_text()
        key = box.add_device("Gate 1", box.add_list("/srv/list.json"))
        assert box.redeem(key, SECRET).json()["status"] == "ok"
        assert box.redeem(key, SECRET).json()["reason"] == "already_redeemed"
        assert box.stop() == 0
    finally:
        box.kill()
    for path in machine.path(DATA).iterdir():
        assert str(path.stat().st_uid) == user, path
        assert not path.stat().st_mode & 0o077, path


# --- under systemd ----------------------------------------------------------------------------------------------------


def test_it_starts_with_the_power_and_again_after_the_next(booted: Machine) -> None:
    assert is_active(booted)
    with_a_list(booted)
    assert redeem(booted)["status"] == "ok"

    booted.shut_down()
    booted.boot()

    assert is_active(booted)
    assert redeem(booted)["reason"] == "already_redeemed"


def test_run_again_it_tells_where_the_box_is_and_leaves_it_running(booted: Machine) -> None:
    before = shown(booted, "MainPID")
    booted.run("rm", "/usr/local/bin/edgebox")
    said = booted.run(*INSTALL)

    assert "\nhttp://127.0.0.1:8000\n" in said
    assert "http://edgebox.local:8000" in said
    code = re.search(r"set the lead's password with this code: (\S+)", said)
    assert code is not None
    assert booted.run("edgebox", "staff", "code").strip() == code[1]
    assert "█▀▀▀▀▀█" in said
    assert shown(booted, "MainPID") == before
    assert os.access(booted.path("/usr/local/bin/edgebox"), os.X_OK)


def test_what_was_half_installed_is_installed_anew(booted: Machine) -> None:
    """A card that was pulled out in the middle; and the box that ran from it meanwhile starts from what is whole."""
    home = os.readlink(booted.path("/opt/edgebox/current"))
    booted.run("rm", "-r", f"/opt/edgebox/{home}/edgebox-installed", f"/opt/edgebox/{home}/bin/edgebox")
    before = shown(booted, "MainPID")
    said = booted.run(*INSTALL)

    assert f"Installing edgebox {home.removeprefix('versions/')}" in said
    assert is_active(booted)
    assert shown(booted, "MainPID") != before
    assert booted.path(f"/opt/edgebox/{home}/edgebox-installed").exists()


def test_another_version_takes_its_place_beside_it(booted: Machine) -> None:
    old = os.readlink(booted.path("/opt/edgebox/current"))
    booted.run("sed", "-i", "s/-[0-9a-f]*$/-cafebabe/", f"{STICK}/RELEASE")
    said = booted.run(*INSTALL)

    assert f"{old} was running" in said
    assert os.readlink(booted.path("/opt/edgebox/current")).endswith("-cafebabe")
    assert booted.path(f"/opt/edgebox/{old}/edgebox-installed").exists()
    assert is_active(booted)


def test_a_stick_that_is_not_whole_changes_nothing(booted: Machine) -> None:
    before = os.readlink(booted.path("/opt/edgebox/current")), shown(booted, "MainPID")
    booted.run("sed", "-i", "s/-[0-9a-f]*$/-cafebabe/", f"{STICK}/RELEASE")
    booted.run("sh", "-c", f"truncate -s -1 {STICK}/wheels/flask-[0-9]*.whl")
    said = booted.run(*INSTALL, check=False)

    assert booted.status == 1
    assert "is not whole; nothing was changed: copy it again" in said
    assert before == (os.readlink(booted.path("/opt/edgebox/current")), shown(booted, "MainPID"))


def test_the_systemd_there_finds_the_unit_clean_and_hardened(booted: Machine) -> None:
    assert booted.run("systemd-analyze", "verify", "--recursive-errors=no", UNIT) == ""
    assert "→ Overall exposure level" in booted.run(
        "systemd-analyze", "security", "--no-pager", "--threshold=15", "edgebox"
    )


LOOK = """
import ctypes, json, pathlib, socket, time
from edgebox import clock, lan
from edgebox.ops import health
now = health.look(pathlib.Path("/var/lib/edgebox"), 0.0)
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    may_set = True
except OSError:
    may_set = False
import cryptography.fernet
pathlib.Path("/var/lib/edgebox/seen.json").write_text(json.dumps({
    "boot_id": clock.read_boot_id(),
    "adjtimex": ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)),
    "may_set_the_clock": may_set,
    "memory": now.memory_total_bytes,
    "own_memory": now.own_memory_bytes,
    "disk": now.disk_total_bytes,
    "load": now.load_1min,
    "under_voltage": [now.under_voltage_now, now.under_voltage_since_boot],
    "address": lan.lan_address(),
    "ticket_server": socket.getaddrinfo("tickets.example.org", 443)[0][4][0],
}))
"""


def test_what_the_box_looks_at_can_be_seen_from_within_the_unit(booted: Machine) -> None:
    """By a program that runs in the unit's sandbox, in the box's place."""
    booted.run("mount", "-t", "tmpfs", "tmpfs", "/sys/devices/platform")  # where a Pi tells of its power supply
    booted.run("mkdir", "-p", "/sys/devices/platform/soc/soc:firmware")
    booted.run("sh", "-c", "echo 50000 >/sys/devices/platform/soc/soc:firmware/get_throttled")
    booted.path("/etc/hosts").write_text("127.0.0.1 localhost\n192.0.2.9 tickets.example.org\n")
    booted.path("/opt/look.py").write_text(LOOK)
    unit = booted.path(UNIT).read_text()
    unit = unit.replace("edgebox serve", "python -I /opt/look.py").replace("Type=notify", "Type=oneshot")
    unit = re.sub(r"^(Restart|WatchdogSec|NotifyAccess)=.*\n", "", unit, flags=re.MULTILINE)
    booted.path("/etc/systemd/system/look.service").write_text(unit)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "start", "look", check=False)
    seen_in = booted.path(f"{DATA}/seen.json")
    assert seen_in.exists(), booted.run("journalctl", "--no-pager", "--output=cat", "--unit=look")
    seen = json.loads(seen_in.read_text())

    # systemd-nspawn has made up one for the machine; whether the sandbox sees that or the kernel's, systemd decides.
    boot_id = "/proc/sys/kernel/random/boot_id"
    assert seen["boot_id"] in (booted.run("cat", boot_id).strip(), Path(boot_id).read_text().strip())
    assert 0 <= seen["adjtimex"] <= 5, "the state of the clock is denied"
    assert seen["may_set_the_clock"] is False
    assert min(seen["memory"], seen["own_memory"], seen["disk"]) > 0
    assert seen["load"] >= 0
    assert seen["under_voltage"] == [False, True]
    assert seen["address"] == "127.0.0.1"
    assert seen["ticket_server"] == "192.0.2.9"  # by a name, though the C library asks netlink on its way


def test_a_box_that_hangs_is_started_anew(booted: Machine) -> None:
    with_a_list(booted)
    drop_in = booted.path(f"{UNIT}.d/test.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nEnvironment=EDGEBOX_TEST_HANG=1\nWatchdogSec=8\n")
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "restart", "edgebox")
    hung = shown(booted, "MainPID", "NRestarts")
    assert hung["NRestarts"] == "0"

    booted.run("systemctl", "kill", "--signal=SIGUSR2", "--kill-who=main", "edgebox")
    wait_until(lambda: shown(booted, "NRestarts")["NRestarts"] == "1", 90, "systemd starts the box anew")
    wait_until(lambda: is_active(booted), 60, "the box is ready again")
    assert shown(booted, "MainPID")["MainPID"] != hung["MainPID"]
    assert redeem(booted)["status"] == "ok"
    journal = booted.run("journalctl", "--no-pager", "--output=cat", "--unit=edgebox")
    assert "Watchdog timeout" in journal
    assert "the box does not answer (timed out); the watchdog is not fed" in journal
    assert re.search(r"serving\.py\", line \d+ in _hang", journal), "the log does not say where it stood"


def test_a_box_that_is_well_is_left_alone(booted: Machine) -> None:
    """The other side of the test above: with the same short patience nothing is started anew."""
    drop_in = booted.path(f"{UNIT}.d/test.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nWatchdogSec=3\n")
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "restart", "edgebox")
    since = shown(booted, "WatchdogTimestampMonotonic")

    def has_been_fed(times: int = 6) -> Callable[[], bool]:
        seen = {since["WatchdogTimestampMonotonic"]}

        def look() -> bool:
            seen.add(shown(booted, "WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"])
            return len(seen) > times

        return look

    wait_until(has_been_fed(), 60, "the watchdog is fed again and again")
    assert shown(booted, "NRestarts", "ActiveState") == {"NRestarts": "0", "ActiveState": "active"}


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_becomes_the_owner_and_says_so_where_it_may_not(booted: Machine) -> None:
    assert json.loads(booted.run("edgebox", "status", "--json"))["lists"] == []
    booted.run("systemctl", "stop", "edgebox")
    booted.run("edgebox", "status")  # does the work itself, as root would
    user = booted.run("id", "-u", "edgebox").strip()
    assert {str(path.stat().st_uid) for path in booted.path(DATA).iterdir()} == {user}

    as_somebody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--")
    said = booted.run(*as_somebody, "edgebox", "status", check=False)
    assert booted.status == 1
    assert f"edgebox: {DATA} belongs to the user edgebox, and nobody may not become that user" in said
    assert "nothing was done: sudo edgebox ..." in said
    assert "Usage: edgebox" in booted.run(*as_somebody, "edgebox", "--help")


# --- found on the network ---------------------------------------------------------------------------------------------


def test_laptops_find_it_by_name_and_as_a_service(booted: Machine) -> None:
    for line in (
        "link add eth0 type veth peer name cable", "address add 192.168.7.20/24 dev eth0", "link set cable up",
        "link set eth0 up",
    ):  # fmt: skip
        booted.run("ip", *line.split())

    def browsed() -> str:
        return booted.run("avahi-browse", "--terminate", "--resolve", "--parsable", "_edgebox._tcp", check=False)

    found = wait_until(lambda: re.findall(r"^=;eth0;IPv4;.*", browsed(), re.MULTILINE), 60, "the service is found")
    assert ";edgebox.local;192.168.7.20;8000;" in found[0]
    assert booted.run("getent", "ahostsv4", "edgebox.local").split()[0] == "192.168.7.20"


def test_port_80_takes_a_right_that_a_drop_in_gives(booted: Machine) -> None:
    """As the README has it; installed again, the network is told of the new port too."""
    booted.run("sh", "-c", f"echo port = 80 | setpriv --reuid=edgebox --clear-groups tee {DATA}/edgebox.toml")
    drop_in = booted.path(f"{UNIT}.d/override.conf")
    drop_in.parent.mkdir()
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    settings = (
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "PrivateUsers=no",
    )
    assert all(f"`{setting}`" in readme for setting in settings)
    drop_in.write_text("\n".join(("[Service]", *settings, "")))
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "restart", "edgebox")
    said = booted.run(*INSTALL)

    assert "\nhttp://127.0.0.1\n" in said
    assert "In the same network also: http://edgebox.local\n" in said
    assert "<port>80</port>" in booted.path("/etc/avahi/services/edgebox.service").read_text()


def test_in_its_own_wifi_the_codes_carry_the_address_there(booted: Machine) -> None:
    """With a stand-in for NetworkManager's command; the box and systemd are real."""
    booted.path("/usr/local/bin/nmcli").write_text((REPOSITORY / "tests" / "support" / "nmcli.py").read_text())
    booted.run("sed", "-i", "1i #!/usr/bin/python3", "/usr/local/bin/nmcli")
    booted.run("chmod", "755", "/usr/local/bin/nmcli")
    booted.path("/srv/nmcli.json").write_text(json.dumps(A_PI))
    hotspot = ("env", "STUB_NMCLI=/srv/nmcli.json", "bash", f"{STICK}/scripts/hotspot")

    said = booted.run(*hotspot, "on", "--ssid", "Gate A")
    assert "█▀▀▀▀▀█" in said
    assert re.search(r"^WIFI:T:WPA;S:Gate A;P:[a-z2-9]{12};;$", said, re.MULTILINE)
    address = booted.run("edgebox", "address")
    assert "http://10.42.0.1:8000\n" in address
    assert "does not have the address http://10.42.0.1:8000 now" in address  # as there is no Wi-Fi here

    before = shown(booted, "MainPID")
    booted.run(*hotspot, "on")
    assert shown(booted, "MainPID") == before, "the box was started anew for nothing"

    booted.run(*hotspot, "off")
    assert booted.run("edgebox", "address") == "http://127.0.0.1:8000\n"


# --- and away again ---------------------------------------------------------------------------------------------------


@pytest.fixture
def used(booted: Machine) -> Machine:
    """A box that has let somebody in."""
    with_a_list(booted)
    assert redeem(booted)["status"] == "ok"
    return booted


def test_uninstalled_it_leaves_the_data_and_installed_again_it_has_them(used: Machine) -> None:
    used.path(f"{DATA}/update").mkdir()
    said = used.run(*INSTALL, "--uninstall")

    assert not used.path(f"{DATA}/update").exists(), "a copy with which nobody can go back any more"
    assert f"Its data are still in {DATA}" in said
    for path in ("/opt/edgebox", UNIT, "/usr/local/bin/edgebox", "/etc/avahi/services/edgebox.service"):
        assert not used.path(path).exists(), path
    assert "host-name=edgebox" not in used.path("/etc/avahi/avahi-daemon.conf").read_text().splitlines()
    assert used.run("systemctl", "is-enabled", "edgebox", check=False).strip() != "enabled"
    assert used.path(f"{DATA}/edgebox.sqlite3").exists()

    used.run(*INSTALL)
    assert redeem(used)["reason"] == "already_redeemed"


def test_told_to_it_takes_the_data_too(used: Machine) -> None:
    used.run(*INSTALL, "--uninstall", "--purge-data")
    assert not used.path(DATA).exists()
    used.run("id", "edgebox", check=False)
    assert used.status == 1


def test_it_does_not_take_check_ins_that_were_not_pushed(used: Machine) -> None:
    used.run("python3", "-c", PENDING, f"{DATA}/edgebox.sqlite3")
    said = used.run(*INSTALL, "--uninstall", "--purge-data", check=False)

    assert used.status == 1
    assert "1 check-ins have not been pushed to the ticket server yet; nothing was removed" in said
    assert is_active(used)
    used.run(*INSTALL, "--uninstall", "--purge-data", "--even-unpushed")
    assert not used.path(DATA).exists()


# As one of a list with a ticket server that is not there.
PENDING = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute("UPDATE checkin SET state = 'pending'")
"""
