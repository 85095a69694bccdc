"""A box and a real pretix 2026.8.0: what the box decides offline about each named ticket is what the server would say,
at its own scanners and at phones with the pretixSCAN app; and so are the counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from edgebox.model import CheckInList, CheckInState, Direction, Reason
from tests.interop.current_venue import ENTRY, EXIT, Venue, assert_counts_agree, word_of
from tests.interop.verdicts import Pair, asked_of_server, compared
from tests.pretix.current import CurrentPretix
from tests.support.pretixscan import App, Result

pytestmark = pytest.mark.interop("current")

WORDS = {
    "VALID": "ok",
    "ANSWERS_REQUIRED": "incomplete",
    "USED": "already_redeemed",
    "INVALID": "unknown_ticket",
    "UNPAID": "unpaid",
    "CANCELED": "canceled",
    "BLOCKED": "blocked",
    "INVALID_TIME": "invalid_time",
    "PRODUCT": "product",
    "RULES": "rules",
    "AMBIGUOUS": "ambiguous",
    "REVOKED": "revoked",
    "UNAPPROVED": "unapproved",
}
"""What the app, when it asks pretix itself, makes of pretix's words."""


@dataclass(frozen=True)
class Asked:
    """Three boxes that know all lists, and what the server says of its named tickets, each at the same moment."""

    venue: Venue
    leaving: Venue
    doors: Venue
    entries: dict[Pair, dict[str, Any]]
    exits: dict[Pair, dict[str, Any]]


@pytest.fixture(scope="module")
def asked(current_server: CurrentPretix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    server, directory = current_server.as_usual(), tmp_path_factory.mktemp("verdicts")
    opened: list[Venue] = []
    try:
        for name in ("venue", "leaving", "doors"):
            opened.append(Venue(server, directory / name, name))
            opened[-1].register()
            opened[-1].sync()
        venue, leaving, doors = opened
        assert len(venue.lists) == 12
        assert_counts_agree(venue)
        yield Asked(venue, leaving, doors, asked_of_server(venue, ENTRY), asked_of_server(venue, EXIT))
    finally:
        for each in opened:
            each.close()


def test_every_verdict_is_the_servers_and_so_are_the_counts(asked: Asked) -> None:
    venue, leaving = asked.venue, asked.leaving
    entries, exits = asked.entries, asked.exits
    assert len(entries) == len(exits) > 400
    reasons = {word_of(answer) for answer in entries.values()} - {"ok", "incomplete"}
    assert reasons >= {reason.value for reason in Reason} - {"withdrawn", "incomplete", "test_mode"}
    # Nobody has come in at this box; what it records stays there.
    result = compared(leaving, EXIT, exits, leaving.said)
    result += compared(venue, ENTRY, entries, venue.said)
    venue.sync()
    assert len(venue.checkins()) > 100
    assert {checkin.state for checkin in venue.checkins()} == {CheckInState.SETTLED}
    assert not venue.box.conflicts(), "the server agreed with each of them"
    assert_counts_agree(venue)

    again = asked_of_server(venue, ENTRY)
    result += compared(venue, ENTRY, again, venue.said)
    # Whether an exit is taken depends on no check-in; that the server takes each that the box did shows when it syncs.
    result += compared(venue, EXIT, exits, venue.said)
    venue.sync()
    after_exit = asked_of_server(venue, ENTRY)
    assert words_of(after_exit) != words_of(again), "an exit lets in again where the list allows it"
    result += compared(venue, ENTRY, after_exit, venue.said)
    print(result)
    assert not result.wrong, "\n".join(result.wrong)
    venue.sync()
    assert_counts_agree(venue)
    assert not venue.box.conflicts()


def words_of(answers: Mapping[Pair, Mapping[str, Any]]) -> dict[Pair, str]:
    return {pair: word_of(answer) for pair, answer in answers.items()}


# --- at a phone -------------------------------------------------------------------------------------------------------


class Door:
    """A phone that goes from list to list; `results` has what it was answered, in this order."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.results: list[Result] = []

    def said(self, list_: CheckInList, secret: str, direction: Direction) -> str:
        self._app.select({list_.event: list_.id})
        result = self._app.check(secret, direction.name)
        assert (result.scan_type, result.event_slug) == (direction.name, list_.event)
        self.results.append(result)
        return WORDS[result.type]


def test_every_verdict_at_a_phone_is_the_servers_and_so_is_what_it_shows(asked: Asked) -> None:
    doors = asked.doors
    doors.serve()
    door = Door(doors.phone("door", doors.list_named("Show 1", "demoseries"), *doors.lists))
    result = compared(doors, ENTRY, asked.entries, door.said)
    # An entry makes no difference to an exit.
    result += compared(doors, EXIT, asked.exits, door.said)
    print(result)
    assert not result.wrong, "\n".join(result.wrong)

    names, lists = names_of_items(doors), {list_.id: list_ for list_ in doors.lists}
    compared_screens, differing = 0, []
    told = [*asked.entries.items(), *asked.exits.items()]
    for ((list_id, name), answer), shown in zip(told, door.results, strict=True):
        # A secret that was replaced is one of a list here: whose it was nobody tells.
        if WORDS[shown.type] != word_of(answer) or shown.type == "INVALID" or name == "revoked_old":
            continue
        compared_screens += 1
        theirs, ours = screen_of_server(answer, names), screen_of_phone(shown)
        differing += [
            f"{lists[list_id].name} {name} {shown.scan_type} {key}: pretix {theirs[key]!r}, box {ours[key]!r}"
            for key in theirs
            if theirs[key] != ours[key]
        ]
    assert compared_screens > 700
    assert not differing, "\n".join(differing)


def names_of_items(venue: Venue) -> dict[tuple[int, int | None], str]:
    """What the server calls its items, and their variations."""
    names: dict[tuple[int, int | None], str] = {}
    for event in {list_.event for list_ in venue.lists}:
        for item in venue.server.all(f"events/{event}/items/"):
            names[item["id"], None] = item["name"]["en"]
            names |= {(item["id"], each["id"]): each["value"]["en"] for each in item["variations"]}
    return names


def screen_of_server(answer: Mapping[str, Any], names: Mapping[tuple[int, int | None], str]) -> dict[str, Any]:
    """What the app would show of the server's answer."""
    position, list_, word = answer["position"], answer["list"], word_of(answer)
    is_open = word == "unpaid" and list_["include_pending"] and position["order__status"] == "n"
    variation = position["variation"]
    entries = [
        datetime.fromisoformat(each["datetime"])
        for each in position["checkins"]
        if (each["list"], each["type"]) == (list_["id"], "entry")
    ]
    return {
        "ticket": names[position["item"], None],
        "variation": names[position["item"], variation] if variation else None,
        "order": position["order"],
        "name": position["attendee_name"],
        "seat": position["seat"],
        "attention": answer["require_attention"],
        "texts": answer["checkin_texts"],
        "questions": [question["id"] for question in answer.get("questions", ())],
        "may come in": word in ("ok", "incomplete") or is_open,
        "first used": min(map(as_ms, entries)) if word == "already_redeemed" else None,
    }


def screen_of_phone(shown: Result) -> dict[str, Any]:
    return {
        "ticket": shown.ticket,
        "variation": shown.variation,
        "order": shown.order_code,
        "name": shown.attendee_name,
        "seat": shown.seat,
        "attention": shown.is_attention_required,
        "texts": list(shown.checkin_texts or ()),
        "questions": [asked.question.server_id for asked in shown.required_answers or ()],
        "may come in": shown.is_checkin_allowed,
        "first used": as_ms(shown.first_scanned) if shown.first_scanned else None,
    }


def as_ms(at: datetime) -> int:
    """A phone is told no more of it."""
    return round(at.timestamp() * 1000)
