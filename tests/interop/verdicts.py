"""What two sides say of every named ticket on every list of its event: the server, and a box through its scanners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from edgebox.model import CheckInList, Direction
from tests.interop.current_venue import ENTRY, Venue, word_of

WORKERS = 3

Pair = tuple[int, str]
"""A list's id at the box, and the ticket's name."""
Said = Callable[[CheckInList, str, Direction], str]
"""The verdict on a secret, in the box's words."""


@dataclass
class Comparison:
    """How many verdicts are the same, how many differ as they may, and which differ as they must not."""

    agreed: int = 0
    excused: int = 0
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(self.agreed + other.agreed, self.excused + other.excused, self.wrong + other.wrong)

    def __str__(self) -> str:
        return f"{self.agreed} agree, {self.excused} differ as they may, {len(self.wrong)} are wrong"


def asked_of_server(venue: Venue, direction: Direction) -> dict[Pair, dict[str, Any]]:
    """The server's answer about every named ticket on every list of its event."""
    named = venue.server.fixtures["tickets"].items()
    pairs = [(list_, name, each) for list_ in venue.lists for name, each in named if each["event"] == list_.event]
    with ThreadPoolExecutor(WORKERS) as pool:
        told = pool.map(lambda pair: venue.simulate(pair[0], pair[2]["secret"], direction), pairs)
        return {(list_.id, name): answer for (list_, name, _), answer in zip(pairs, told, strict=True)}


def compared(venue: Venue, direction: Direction, expected: Mapping[Pair, dict[str, Any]], said: Said) -> Comparison:
    """The box's own verdicts beside the server's.

    Who is in already is not asked questions before he is told so. And what the server is asked changes nothing there,
    while a scan does here: where a ticket's secret stands for its add-on, the second of the two comes too late.
    """
    lists = {list_.id: list_ for list_ in venue.lists}
    let_in: set[tuple[int, str]] = set()
    result = Comparison()
    for (list_id, name), answer in expected.items():
        list_, ticket = lists[list_id], venue.server.fixtures["tickets"][name]
        theirs, ours = word_of(answer), said(list_, ticket["secret"], direction)
        assert list_.terms is not None
        if list_.terms.addon_match and ours == "ok" and direction is ENTRY:
            let_in.add((list_id, ticket["order"]))
        is_second = (list_id, ticket["order"]) in let_in and (ours, theirs) == ("already_redeemed", "ok")
        if ours == theirs:
            result.agreed += 1
        elif (ours, theirs) == ("already_redeemed", "incomplete") or is_second:
            result.excused += 1
        else:
            result.wrong.append(f"{direction} {list_.event}/{list_.name} {name}: pretix {theirs}, box {ours}")
    return result
