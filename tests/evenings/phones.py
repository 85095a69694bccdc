"""What phones send and how they read the answer; the same bytes for both drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.evenings.model import Broken
from tests.evenings.words import CANCELED, EXIT, OK, UNKNOWN, UNPAID, USED, WITHDRAWN, Ask
from tests.support.pretix import EVENT, ORGANIZER

DROID, SCAN = "pretixdroid", "pretixscan"

_DROID_MEANS = {UNKNOWN: {UNKNOWN}, USED: {USED}, UNPAID: {UNPAID, CANCELED, WITHDRAWN}}
_SCAN_MEANS = {
    "VALID": {OK}, "INVALID": {UNKNOWN}, "USED": {USED}, "UNPAID": {UNPAID}, "CANCELED": {CANCELED, WITHDRAWN},
}  # fmt: skip


class NoAnswer(Exception):
    """The box is not there, or says that it cannot record anything."""


class Gate(Protocol):
    """Carries a phone's request to the box; status and JSON of the answer. Raises NoAnswer."""

    def post(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str], form: Any = None, json: Any = None
    ) -> tuple[int, Any]: ...


@dataclass(frozen=True)
class Phone:
    """One scanner, on one list."""

    app: str
    list_id: int
    key: str

    def ask(self, gate: Gate, ask: Ask) -> set[str]:
        """What the box's answer may mean."""
        return self._droid(gate, ask) if self.app == DROID else self._scan(gate, ask)

    def _droid(self, gate: Gate, ask: Ask) -> set[str]:
        form = {"secret": ask.secret or ""}
        if ask.nonce is not None:
            form["nonce"] = ask.nonce
        if ask.sent is not None:
            form["datetime"] = ask.sent.strftime("%Y-%m-%dT%H:%MZ")
        form |= {"force": "true"} if ask.forced else {}
        form |= {"ignore_unpaid": "true"} if ask.ignores_unpaid else {}
        path = f"/pretixdroid/api/{ORGANIZER}/{EVENT}/redeem/"
        status, told = gate.post(path, query={"key": self.key}, headers={}, form=form)
        _must_be_answered(status, told)
        return {OK} if told["status"] == "ok" else _DROID_MEANS[told["reason"]]

    def _scan(self, gate: Gate, ask: Ask) -> set[str]:
        body: dict[str, Any] = {
            "events_and_checkin_lists": {EVENT: self.list_id}, "ticketid": ask.secret, "answers": [],
            "ignore_unpaid": ask.ignores_unpaid, "with_badge_data": False, "source_type": "barcode",
            "type": "EXIT" if ask.direction == EXIT else "ENTRY", "allowQuestions": True, "useOrderLocale": False,
            "nonce": None, "exchange_medium_type": None, "exchange_medium_identifier": None,
        }  # fmt: skip
        headers = {"Authorization": f"Device {self.key}"}
        status, told = gate.post("/proxyapi/v1/rpc/check/", query={}, headers=headers, json=body)
        _must_be_answered(status, told)
        if told["type"] == "ERROR" and told["reasonExplanation"].startswith("Nothing was recorded"):
            raise NoAnswer
        return _SCAN_MEANS[told["type"]]


def _must_be_answered(status: int, told: object) -> None:
    if status != 200:
        raise Broken(f"a phone was answered {status}: {told}")
