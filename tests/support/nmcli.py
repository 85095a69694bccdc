"""A stand-in for nmcli, NetworkManager's command, on a Pi with a Wi-Fi and a cable.

It answers in the real one's terse forms, written after its manual: no Pi was there to record. To be run as a program;
what it keeps stands as JSON in the file that STUB_NMCLI names, which tests write and read.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

A_PI: dict[str, Any] = {
    "running": True,
    "devices": {
        "eth0": {
            "TYPE": "ethernet", "GENERAL.STATE": "100 (connected)", "GENERAL.CONNECTION": "Wired connection 1",
            "IP4.ADDRESS": "192.168.1.20/24", "IP4.GATEWAY": "192.168.1.1", "IP4.DNS": "192.168.1.1 | 9.9.9.9",
        },
        "wlan0": {
            "TYPE": "wifi", "GENERAL.STATE": "30 (disconnected)", "GENERAL.CONNECTION": "",
            "WIFI-PROPERTIES.AP": "yes", "WIFI-PROPERTIES.5GHZ": "yes",
        },
        "p2p-dev-wlan0": {"TYPE": "wifi-p2p", "GENERAL.STATE": "30 (disconnected)", "GENERAL.CONNECTION": ""},
        "lo": {"TYPE": "loopback", "GENERAL.STATE": "100 (connected (externally))", "GENERAL.CONNECTION": "lo"},
    },
    "connections": {"Wired connection 1": {"ipv4.method": "auto"}},
    "active": ["Wired connection 1", "lo"],
    "refuses": [],
    "calls": [],
}  # fmt: skip
"""What a Pi tells whose cable has a router at its end."""

STATES = {"100": "connected", "30": "disconnected", "20": "unavailable", "10": "unmanaged"}


def main(arguments: list[str]) -> int:
    path = Path(os.environ["STUB_NMCLI"])
    state = json.loads(path.read_text())
    state["calls"].append(arguments)
    try:
        return answer(state, [word for word in arguments])
    finally:
        path.write_text(json.dumps(state))


def answer(state: dict[str, Any], words: list[str]) -> int:
    fields: list[str] = []
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in ("-g", "-f"):
            fields = words.pop(0).split(",")
        elif option == "--wait":
            words.pop(0)
    said = " ".join(words)
    for refused in state["refuses"]:
        if said.startswith(refused):
            print(f"Error: {refused} failed.", file=sys.stderr)
            return 4
    connections: dict[str, dict[str, str]] = state["connections"]
    match words:
        case ["general"]:
            print("running" if state["running"] else "not running")
        case ["radio", "wifi", "on"]:
            for device in state["devices"].values():
                device["GENERAL.STATE"] = device["GENERAL.STATE"].replace("20 (sw-disabled)", "30 (disconnected)")
        case ["device", "status"]:
            for name, device in state["devices"].items():
                number = device["GENERAL.STATE"].split()[0]
                row = {"DEVICE": name, "TYPE": device["TYPE"], "STATE": STATES[number],
                       "CONNECTION": device["GENERAL.CONNECTION"]}  # fmt: skip
                print(":".join(escaped(row[field]) for field in fields))
        case ["device", "show", name]:
            print(escaped(state["devices"][name].get(fields[0], "")))
        case ["device", "reapply", name]:
            print(f"Connection successfully reapplied to device '{name}'.")
        case ["connection", "show"]:
            print("\n".join(map(escaped, connections)))
        case ["connection", "show", "--active"]:
            print("\n".join(map(escaped, state["active"])))
        case ["connection", "show", name]:
            print(escaped(connections[name].get(fields[0], "")))
        case ["connection", "add", *pairs]:
            given = dict(zip(pairs[::2], pairs[1::2], strict=True))
            given["802-11-wireless.ssid"] = given["ssid"]
            connections[given["con-name"]] = given
            print(f"Connection '{given['con-name']}' (uuid) successfully added.")
        case ["connection", "modify", name, *pairs]:
            connections[name] |= dict(zip(pairs[::2], pairs[1::2], strict=True))
        case ["connection", "delete", name]:
            del connections[name]
            state["active"] = [each for each in state["active"] if each != name]
        case ["connection", "up", name]:
            state["active"].append(name)
            device = state["devices"][connections[name].get("ifname", "eth0")]
            device |= {"GENERAL.STATE": "100 (connected)", "GENERAL.CONNECTION": name}
        case ["connection", "down", name]:
            state["active"].remove(name)
        case _:
            print(f"Error: the stub does not know {words}", file=sys.stderr)
            return 2
    return 0


def escaped(text: str) -> str:
    """As the terse forms (-t, -g) write a value."""
    return text.replace("\\", "\\\\").replace(":", "\\:")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
