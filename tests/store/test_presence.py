"""Who has entered, who is inside and who counts: the SQL over a whole list says what the rule for one ticket says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebox.model import CheckInList, Direction, ListTerms, TicketData, ToldCheckIn
from edgebox.rules import emptied_at, is_inside
from edgebox.store import history, presence
from edgebox.store.journal import export
from tests.store.fair import MAIN, SIDE, Fair, a_ticket, an_order, entry, leaving
from tests.store.venue import EIGHT, LET_IN, SHIRT, TICKET

TICKETS = (1, 2, 3)
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)

flags = st.booleans()
hours = st.integers(0, 72)


@st.composite
def some_terms(draw: st.DrawFn) -> ListTerms:
    return ListTerms(
        item_ids=draw(st.sampled_from([None, frozenset({TICKET}), frozenset()])),
        subevent=draw(st.sampled_from([None, None, 5])),
        include_pending=draw(flags),
        allow_multiple_entries=draw(st.sampled_from([False, False, True])),
        allow_entry_after_exit=draw(flags),
        exit_all_at=draw(st.none() | hours.map(lambda h: START + timedelta(hours=h))),
    )


data = st.fixed_dictionaries(
    {
        "item_id": st.sampled_from([TICKET, SHIRT]),
        "subevent": st.sampled_from([None, 5, 6]),
        "is_paid": flags,
        "checkin_allowed": flags,
        "is_cancelled": st.sampled_from([False, False, True]),
        "is_closed": st.sampled_from([False, False, True]),
    }
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("scan"), st.sampled_from(TICKETS), st.sampled_from([MAIN, SIDE]), st.sampled_from(Direction)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("undo")),
        st.tuples(st.just("tell"), st.sampled_from(TICKETS)),  # what the box has told, and perhaps more
        st.tuples(st.just("tell without"), st.sampled_from(TICKETS)),
        st.tuples(st.just("elsewhere"), st.sampled_from(TICKETS), st.sampled_from(Direction)),
        st.tuples(st.just("gone"), st.sampled_from(TICKETS)),
        st.tuples(st.just("let pass"), st.integers(1, 40)),
    ),
    max_size=20,
)


class Model:
    """What upstream holds of each ticket, and what it tells."""

    def __init__(self, fair: Fair, facts: list[dict[str, object]]) -> None:
        self.fair = fair
        self.facts = dict(zip(TICKETS, facts, strict=True))
        self.upstream: dict[int, set[ToldCheckIn]] = {number: set() for number in TICKETS}
        self.waiting: list[tuple[int, ToldCheckIn]] = []
        for number in TICKETS:
            self.tell(number)

    def tell(self, number: int) -> None:
        ticket = a_ticket(number, *self.upstream[number], **self.facts[number])
        self.fair.tell(an_order(f"C{number}", ticket))

    def step(self, verb: str, *what: object) -> None:
        fair = self.fair
        if verb == "scan":
            number, list_number, direction = what
            assert isinstance(number, int)
            assert isinstance(list_number, int)
            assert isinstance(direction, Direction)
            redeemed = fair.redeem(f"s{number:04d}", list_number, direction=direction, is_forced=True)
            if redeemed.verdict.is_ok:
                self.waiting.append((number, ToldCheckIn(list_number, fair.now, direction)))
        elif verb == "settle":
            fair.settle()
            for number, checkin in self.waiting:
                self.upstream[number].add(checkin)
            self.waiting = []
        elif verb == "undo":
            journal = fair.store.journal
            undoable = [row.checkin for row in export(fair.store.reading()) if journal.is_undoable(row.checkin)]
            if undoable:
                journal.undo(undoable[-1].id, "Bea", "wrong guest", fair.now)
                self.waiting = [each for each in self.waiting if each[1].at != undoable[-1].datetime]
        elif verb == "let pass":
            fair.now += timedelta(hours=int(str(what[0])))
        else:
            number = what[0]
            assert isinstance(number, int)
            if verb == "tell without":
                self.upstream[number] = set()
            if verb == "elsewhere":
                assert isinstance(what[1], Direction)
                fair.now += timedelta(seconds=1)
                self.upstream[number].add(ToldCheckIn(MAIN, fair.now, what[1]))
            if verb == "gone":
                fair.tell(an_order(f"C{number}"))
            else:
                self.tell(number)


def belongs(list_: CheckInList, data: TicketData, *, is_withdrawn: bool) -> bool:
    """Which tickets pretix counts on a list."""
    terms = list_.terms
    assert terms is not None
    is_owed = not (data.is_paid or data.checkin_allowed or terms.include_pending)
    return list_.is_for(data) and not (data.is_cancelled or data.is_closed or is_withdrawn or is_owed)


@pytest.fixture(scope="module")
def directories() -> Iterator[list[Path]]:
    made: list[Path] = []
    yield made
    for each in made:
        shutil.rmtree(each, ignore_errors=True)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(terms=st.tuples(some_terms(), some_terms()), facts=st.tuples(data, data, data).map(list), steps=steps)
def test_many_tickets_at_a_time_are_counted_as_each_by_itself(
    directories: list[Path],
    terms: tuple[ListTerms, ListTerms],
    facts: list[dict[str, object]],
    steps: list[tuple[object, ...]],
) -> None:
    directory = Path(tempfile.mkdtemp(prefix="presence-"))
    directories.append(directory)
    fair = Fair(directory, *terms)
    try:
        fair.now = START
        model = Model(fair, facts)
        for verb, *what in steps:
            model.step(str(verb), *what)
        for number in (MAIN, SIDE):
            agrees(fair, fair.list_(number))
    finally:
        fair.close()


def agrees(fair: Fair, list_: CheckInList) -> None:
    assert list_.terms is not None
    emptied = emptied_at(list_.terms, BERLIN, fair.now)
    counted = {each.ticket.data.secret: each.is_redeemed for each in fair.store.tickets.counted(list_, None)}
    connection = fair.store.reading()
    values = presence.parameters(connection, list_, fair.now)
    entered = {row[0] for row in connection.execute(presence.ENTERED, values)}
    is_here = f"SELECT ticket_id FROM ({presence.SEEN}) WHERE {presence.is_inside(list_)}"
    inside = {row[0] for row in connection.execute(is_here, values)}
    total = entries = present = 0
    for number in TICKETS:
        held = history.find(connection, list_, f"s{number:04d}")
        assert held is not None
        ticket = held.ticket
        has_entered = any(past.direction is Direction.ENTRY for past in held.history)
        is_in = is_inside(held.history, emptied)
        assert (ticket.id in entered) == has_entered
        assert (ticket.id in inside) == is_in
        is_counted = belongs(list_, ticket.data, is_withdrawn=ticket.is_withdrawn)
        assert (ticket.data.secret in counted) == is_counted
        if is_counted:
            assert counted[ticket.data.secret] == presence.is_redeemed(list_, held.history, fair.now)
            total, entries, present = total + 1, entries + has_entered, present + is_in
    counts = fair.store.tickets.counts(list_).all
    assert (counts.total, counts.checkins, counts.inside) == (total, entries, present)


# --- the cases that matter most, by name ------------------------------------------------------------------------------


@pytest.fixture
def nightly(tmp_path: Path) -> Iterator[Fair]:
    """A list that everybody has left at four in the morning, in Berlin."""
    fair = Fair(tmp_path, ListTerms(exit_all_at=datetime(2026, 11, 25, 3, 0, tzinfo=UTC)))
    yield fair
    fair.close()


def test_who_was_inside_at_night_may_come_again_in_the_morning(nightly: Fair) -> None:
    nightly.tell(an_order("A", a_ticket(1), a_ticket(2, entry(EIGHT))))
    assert nightly.scan("s0001") is LET_IN
    assert nightly.store.tickets.counts(nightly.list_()).all.inside == 2
    nightly.now = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
    counts = nightly.store.tickets.counts(nightly.list_()).all
    assert (counts.checkins, counts.inside) == (2, 0)
    assert not any(each.is_redeemed for each in nightly.store.tickets.counted(nightly.list_(), None))
    assert nightly.scan("s0001") is LET_IN
    assert nightly.store.tickets.counts(nightly.list_()).all.inside == 1
    nightly.now += timedelta(days=1)
    assert nightly.store.tickets.counts(nightly.list_()).all.inside == 0, "and again the next night"


def test_who_has_left_is_not_inside_but_was_there(tmp_path: Path) -> None:
    fair = Fair(tmp_path)
    fair.tell(an_order("A", a_ticket(1, entry(EIGHT), leaving(EIGHT + timedelta(hours=1)))))
    counts = fair.store.tickets.counts(fair.list_()).all
    assert (counts.total, counts.checkins, counts.inside) == (1, 1, 0)
    fair.close()
