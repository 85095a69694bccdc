"""Lists and phones, as staff add them to a box in this process."""

from __future__ import annotations

import json

from edgebox.box import Box
from edgebox.devices.configuring import configuration_of
from tests.evenings.phones import DROID, SCAN, Gate, Phone
from tests.evenings.plan import OLD, Plan
from tests.support.pretix import EVENT

LISTS = (1, 1, 2)
"""Of the phones with pretixSCAN; those with pretixdroid, two, are on the first list."""
HARDWARE = {name: "x" for name in ("hardware_brand", "hardware_model", "software_brand", "software_version")}


def set_up(box: Box, gate: Gate, url: str, plan: Plan) -> list[Phone]:
    """All lists of the plan, and five phones."""
    if plan.dialect == OLD:
        box.add_list(url, "UPSTREAMKEY")
    else:
        box.connect(url, "abcdefgh12345678")
        for number in plan.terms:
            box.add_offered(EVENT, number)
    droids = [Phone(DROID, 1, box.scanners.add(f"droid {number}", 1).key) for number in (1, 2)]
    return droids + [_scanner(box, gate, number, min(LISTS[number], len(plan.terms))) for number in range(len(LISTS))]


def _scanner(box: Box, gate: Gate, number: int, list_id: int) -> Phone:
    device = box.scanners.add_pretixscan(f"scan {number}", [list_id])
    return Phone(SCAN, list_id, session_key(gate, configuration_of(box, device) or ""))


def session_key(gate: Gate, qr: str) -> str:
    """What a phone gets for what its QR code says."""
    body = {"token": json.loads(qr)["token"], **HARDWARE}
    _, told = gate.post("/api/v1/device/initialize", query={}, headers={}, json=body)
    return str(told["api_token"])
