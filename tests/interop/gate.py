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

    def wait_until_pushed(self) -> None:
        """Wait, without asking for a sync, until the list has nothing more to push."""
        wait_until(lambda: self.state["pending"] == 0, ARRIVAL_TIMEOUT_S, "everything pushed")

    def recorded(self, secret: str) -> dict[str, Any]:
        """The one check-in of this ticket in the box's journal."""
        entries = [entry for entry in self.box.journal("--list", self.list_id) if entry["secret"] == secret]
        assert len(entries) == 1, f"the journal has {len(entries)} check-ins of {secret}"
        return entries[0]

    def arrived(self, secret: str) -> CheckInRow:
        """The one check-in of this ticket on this list in pretix' database."""
        rows = [row for row in self.pretix.checkins(secret) if row.list_id == self.pretix.list_id(self.config)]
        assert len(rows) == 1, f"pretix has {len(rows)} check-ins of {secret} on this list"
        return rows[0]

    def assert_arrived_as_recorded(self, secret: str) -> None:
        """Pretix has the ticket's check-in exactly once, with the datetime and the nonce of the box's journal."""
        mine, theirs = self.recorded(secret), self.arrived(secret)
        assert (theirs.datetime, theirs.nonce) == (moment(mine), mine["nonce"])
        assert [entry.first for entry in self.pretix.log(secret)] == [True]


def moment(entry: dict[str, Any]) -> datetime:
    """When the check-in of a journal entry happened."""
    return utc(entry["datetime"])
