"""A scanner at the gate: one device of one list of a box whose upstream is the real server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.interop.legacy import CheckInRow, LegacyPretix, utc
from tests.support.box import BoxProcess, wait_until

# Beyond the longest pause that a box makes after a short outage.
ARRIVAL_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Gate:
    box: BoxProcess
    pretix: LegacyPretix
    config: str
    list_id: str
    key: str

    def scan(self, secret: str, **form: object) -> dict[str, Any]:
        """The box's answer to a scan."""
        response = self.box.redeem(self.key, secret, **form)
        assert response.status_code == 200, f"{response.status_code} {response.text[:500]}"
        answer: dict[str, Any] = response.json()
        return answer

    def outcome(self, secret: str, **form: object) -> str:
        """`ok`, `incomplete`, or the reason of a refusal."""
        answer = self.scan(secret, **form)
        return str(answer.get("reason", answer["status"]))

    @property
    def state(self) -> dict[str, Any]:
        """The list's entry in `status --json`."""
        return next(entry for entry in self.box.lists() if str(entry["id"]) == self.list_id)

    def wait_until_pushed(self, timeout_s: float = ARRIVAL_TIMEOUT_S) -> None:
        """Wait, without asking for a sync, until the list has nothing more to push."""
        wait_until(lambda: self.state["pending"] == 0, timeout_s, "everything pushed")

    def recorded(self, *secrets: str) -> list[dict[str, Any]]:
        """The one check-in of each of these tickets in the box's journal, in this order."""
        journal = self.box.journal("--list", self.list_id)
        found = [[entry for entry in journal if entry["secret"] == secret] for secret in secrets]
        assert [len(entries) for entries in found] == [1] * len(secrets), "not each ticket has one check-in"
        return [entry for (entry,) in found]

    def arrived(self, secret: str) -> CheckInRow:
        """The one check-in of this ticket on this list in pretix' database."""
        rows = [row for row in self.pretix.checkins(secret) if row.list_id == self.pretix.list_id(self.config)]
        assert len(rows) == 1, f"pretix has {len(rows)} check-ins of {secret} on this list"
        return rows[0]

    def assert_arrived_as_recorded(self, *secrets: str) -> None:
        """Pretix has each ticket's check-in exactly once, with the datetime and the nonce of the box's journal."""
        list_id = self.pretix.list_id(self.config)
        for mine in self.recorded(*secrets):
            theirs, log = self.arrived(mine["secret"]), self.pretix.log(mine["secret"])
            assert (theirs.datetime, theirs.nonce) == (moment(mine), mine["nonce"])
            # No second try was taken for a second entry.
            assert [entry.first for entry in log if entry.list_id == list_id] == [True]


def moment(entry: dict[str, Any]) -> datetime:
    """When the check-in of a journal entry happened."""
    return utc(entry["datetime"])


def new_gate(box: BoxProcess, pretix: LegacyPretix, config: str = "full", *device_options: str, url: str = "") -> Gate:
    """Make the box a list of the server (by the named key), a device for it, start it, and pull once.

    `url` is another address of the same server.
    """
    list_id = box.add_list(url or pretix.url, "-", input=pretix.key(config) + "\n")
    key = box.add_device(f"gate {config}", list_id, *device_options)
    if not box.is_running:
        box.start()
    # Now, so that the schedule has no reason to pull while the test looks the other way.
    box.run("sync", "--list", list_id)
    return Gate(box, pretix, config, list_id, key)
