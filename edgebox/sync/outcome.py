"""What a sync of one list came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Synced:
    """`problem` is None when all went well, else it says what did not, in words."""

    list_id: int
    pushed: int = 0
    parked: int = 0
    pulled: int = 0
    changed: int = 0
    held_tickets: int = 0
    held_checkins: int = 0
    problem: str | None = None
