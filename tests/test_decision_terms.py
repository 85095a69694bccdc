"""The rows of the decision that only today's pretix brings: terms of a list, exits, validity, approval, revocation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebox.model import (
    Catalog,
    Direction,
    Event,
    Facts,
    ListTerms,
    PastCheckIn,
    Question,
    Reason,
    RedeemRequest,
    Subevent,
    Ticket,
    TicketData,
    Verdict,
)
from edgebox.rules import decide, may_ignore_unpaid

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND_DATE = Subevent(2, "Saturday")
CATALOG = Catalog(9, Event("DemoCon", timezone="Europe/Berlin"), subevents=(Subevent(1, "Friday"), SECOND_DATE))
NAME = Question(1, "S", "Nickname?", True, 0, frozenset({10}))
TERMS = ListTerms()
NOBODY = {"==": [1, 2]}


def a_ticket(**told: Any) -> Ticket:
    is_withdrawn = told.pop("is_withdrawn", False)
    data = TicketData("secret", "CODE", 10, None, "Ada", False, True, False, "", position_id=1)
    return Ticket(1, 1, replace(data, **told), is_withdrawn, told=1)


def some_facts(ticket: Ticket | None = None, *, terms: ListTerms | None = TERMS, **more: Any) -> Facts:
    asked = RedeemRequest(
        "secret",
        is_forced=more.pop("is_forced", False),
        ignores_unpaid=more.pop("ignores_unpaid", False),
        questions_supported=more.pop("questions_supported", False),
        direction=more.pop("direction", Direction.ENTRY),
    )
    return Facts(asked, ticket or a_ticket(), at=NOW, terms=terms, catalog=CATALOG, **more)


def an_entry(hours_ago: float) -> PastCheckIn:
    return PastCheckIn(NOW - hours_ago * HOUR)


def an_exit(hours_ago: float) -> PastCheckIn:
    return PastCheckIn(NOW - hours_ago * HOUR, direction=Direction.EXIT)


# --- row by row -------------------------------------------------------------------------------------------------------


def test_nothing_speaks_against_a_ticket_of_todays_pretix() -> None:
    assert decide(some_facts()) == Verdict()


def test_row_2_a_secret_of_which_only_the_revocation_is_known() -> None:
    facts = replace(some_facts(is_revoked=True), ticket=None)
    assert decide(facts) == Verdict(Reason.REVOKED)
    assert decide(replace(facts, request=replace(facts.request, is_forced=True))) == Verdict(Reason.REVOKED)


@pytest.mark.parametrize("is_forced", [False, True])
def test_row_2_test_mode_only_where_a_setting_keeps_it_out(is_forced: bool) -> None:
    ticket = a_ticket(is_test=True)
    assert decide(some_facts(ticket, is_forced=is_forced)).is_ok
    assert decide(some_facts(ticket, is_forced=is_forced, accepts_test_mode=False)).reason is Reason.TEST_MODE
    assert decide(some_facts(is_forced=is_forced, accepts_test_mode=False)).is_ok


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("is_forced", [False, True])
def test_row_2_a_cancelled_position_is_no_ticket(direction: Direction, is_forced: bool) -> None:
    facts = some_facts(a_ticket(is_cancelled=True), direction=direction, is_forced=is_forced)
    assert decide(facts) == Verdict(Reason.UNKNOWN_TICKET, explanation="This ticket was cancelled.")
    assert decide(replace(facts, is_revoked=True)) == Verdict(Reason.REVOKED)


@pytest.mark.parametrize(
    ("of_list", "of_ticket", "explanation"),
    [
        (None, None, None),
        (None, 2, None),
        (2, 2, None),
        (1, 2, "This ticket is for another date: Saturday."),
        (1, 3, "This ticket is for another date."),
        (1, None, "This ticket is for another date."),
    ],
)
def test_row_2_another_date_of_the_series(of_list: int | None, of_ticket: int | None, explanation: str | None) -> None:
    for is_forced in (False, True):
        facts = some_facts(a_ticket(subevent=of_ticket), terms=ListTerms(subevent=of_list), is_forced=is_forced)
        assert decide(facts).explanation == explanation
        assert decide(facts).reason is (Reason.UNKNOWN_TICKET if explanation else None)


@pytest.mark.parametrize("is_forced", [False, True])
def test_of_several_addons_nobody_can_say_which(is_forced: bool) -> None:
    facts = some_facts(a_ticket(is_blocked=True), ambiguity="Two.", item_is_for_device=False, is_forced=is_forced)
    assert decide(facts) == Verdict(Reason.AMBIGUOUS, explanation="Two.")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"is_closed": True}, Reason.CANCELED),
        ({"is_blocked": True}, Reason.BLOCKED),
        ({"awaits_approval": True, "is_paid": False}, Reason.UNAPPROVED),
        ({"awaits_approval": True, "is_paid": False, "valid_if_pending": True}, Reason.UNAPPROVED),
        ({"awaits_approval": True, "is_paid": True}, None),
        ({"is_paid": False}, Reason.UNPAID),
        ({"is_paid": False, "valid_if_pending": True}, None),
    ],
)
def test_rows_4_to_9_hold_for_entries_and_exits(told: dict[str, Any], reason: Reason | None) -> None:
    for direction in Direction:
        verdict = decide(some_facts(a_ticket(**told), direction=direction))
        assert verdict.reason is reason


def test_row_5_a_revoked_secret() -> None:
    assert decide(some_facts(is_revoked=True)) == Verdict(Reason.REVOKED)


@pytest.mark.parametrize(
    ("begin", "end", "explanation"),
    [
        (None, None, None),
        (NOW, NOW, None),
        (NOW + HOUR, None, "This ticket is valid from 2026-11-24 22:00."),
        (None, NOW - HOUR, "This ticket was valid until 2026-11-24 20:00."),
        (NOW - HOUR, NOW + HOUR, None),
    ],
)
def test_row_7_the_validity_says_from_or_until_when_in_the_events_zone(
    begin: datetime | None, end: datetime | None, explanation: str | None
) -> None:
    ticket = a_ticket(valid_from=begin, valid_until=end)
    expected = Verdict(Reason.INVALID_TIME, explanation=explanation) if explanation else Verdict()
    assert decide(some_facts(ticket)) == expected
    assert decide(some_facts(ticket, direction=Direction.EXIT)) == Verdict()
    assert decide(replace(some_facts(ticket), at=None)) == Verdict()


@pytest.mark.parametrize("direction", Direction)
def test_row_8_an_item_that_is_not_the_lists(direction: Direction) -> None:
    for is_forced in (False, True):
        others, both = ListTerms(item_ids=frozenset({11})), ListTerms(item_ids=frozenset({10, 11}))
        assert decide(some_facts(terms=others, direction=direction, is_forced=is_forced)).reason is Reason.PRODUCT
        assert decide(some_facts(terms=both, direction=direction, is_forced=is_forced)).is_ok


@pytest.mark.parametrize("ignores_unpaid", [False, True])
@pytest.mark.parametrize("include_pending", [False, True])
@pytest.mark.parametrize("checkin_allowed", [False, True])
def test_row_9_the_lists_terms_say_whether_unpaid_may_be_ignored(
    ignores_unpaid: bool, include_pending: bool, checkin_allowed: bool
) -> None:
    ticket, terms = a_ticket(is_paid=False, checkin_allowed=checkin_allowed), ListTerms(include_pending=include_pending)
    assert may_ignore_unpaid(ticket.data, terms) is include_pending
    assert may_ignore_unpaid(ticket.data, None) is checkin_allowed
    verdict = decide(some_facts(ticket, terms=terms, ignores_unpaid=ignores_unpaid))
    assert verdict.is_ok is (ignores_unpaid and include_pending)


def test_row_10_the_lists_rules_say_no_and_why() -> None:
    rules = {"<": [{"var": "entries_today"}, 1]}
    terms = ListTerms(rules=rules, allow_multiple_entries=True)
    assert decide(some_facts(terms=terms)) == Verdict()
    expected = Verdict(Reason.RULES, explanation="Maximum number of entries today exceeded.")
    assert decide(some_facts(terms=terms, history=(an_entry(1),))) == expected
    assert decide(some_facts(terms=terms, history=(an_entry(48),))) == Verdict()
    assert decide(some_facts(terms=terms, history=(an_entry(1),), direction=Direction.EXIT)) == Verdict()


def test_row_10_asks_for_the_dates_of_the_tickets_own_date_of_the_series() -> None:
    dates = (
        Subevent(1, "Friday", date_from="2026-11-24T21:00:00+01:00"),
        Subevent(2, "Saturday", date_from="2026-11-25T21:00:00+01:00"),
    )
    terms = ListTerms(rules={"isAfter": [{"var": "now"}, {"buildTime": ["date_admission"]}, 60]})
    catalog = replace(CATALOG, subevents=dates)
    for subevent, is_let_in in ((1, True), (2, False), (3, False)):
        facts = replace(some_facts(a_ticket(subevent=subevent), terms=terms), catalog=catalog)
        assert decide(facts).is_ok is is_let_in, subevent


MULTI = ListTerms(allow_multiple_entries=True)
NO_REENTRY = ListTerms(allow_entry_after_exit=False)


@pytest.mark.parametrize(
    ("history", "once", "reentry", "no_reentry"),
    [
        ((), True, True, True),
        ((an_entry(2),), False, False, False),
        ((an_entry(2), an_exit(1)), False, True, False),
        ((an_exit(1),), True, True, True),
        ((an_exit(1), an_entry(2)), False, True, False),
        ((an_exit(2), an_entry(1)), False, False, False),
        ((an_entry(-1), an_exit(1)), False, False, False),
        ((PastCheckIn(None), an_exit(1)), False, True, False),
        ((an_exit(1), PastCheckIn(None)), False, True, False),
    ],
)
def test_row_11_an_entry_too_many_follows_from_list_and_history(
    history: tuple[PastCheckIn, ...], once: bool, reentry: bool, no_reentry: bool
) -> None:
    assert decide(some_facts(terms=None, history=history)).is_ok is once
    assert decide(some_facts(history=history)).is_ok is reentry
    assert decide(some_facts(terms=NO_REENTRY, history=history)).is_ok is no_reentry
    assert decide(some_facts(terms=MULTI, history=history)).is_ok
    for terms in (None, TERMS, NO_REENTRY, MULTI):
        assert decide(some_facts(terms=terms, history=history, direction=Direction.EXIT)).is_ok


def test_row_11_whoever_was_inside_at_exit_all_may_come_in_again() -> None:
    terms = ListTerms(exit_all_at=NOW - 2 * HOUR)
    assert decide(some_facts(terms=terms, history=(an_entry(3),))).is_ok
    assert decide(some_facts(terms=terms, history=(an_entry(1),))).reason is Reason.ALREADY_REDEEMED
    assert decide(some_facts(terms=replace(terms, allow_entry_after_exit=False), history=(an_entry(3),))) == Verdict(
        Reason.ALREADY_REDEEMED, first_use=an_entry(3)
    )


def test_row_12_asks_at_entries_only_and_not_for_what_upstream_has() -> None:
    facts = some_facts(questions=(NAME,), questions_supported=True)
    assert decide(facts).reason is Reason.INCOMPLETE
    assert decide(replace(facts, ticket=a_ticket(answers=((1, ""),)))).is_ok
    assert decide(replace(facts, ticket=a_ticket(answers=((2, "x"),)))).reason is Reason.INCOMPLETE
    assert decide(replace(facts, request=replace(facts.request, direction=Direction.EXIT))).is_ok


# --- order and force --------------------------------------------------------------------------------------------------

LATE = {"valid_until": NOW - HOUR}
ROWS: tuple[tuple[Reason, dict[str, Any]], ...] = (
    (Reason.TEST_MODE, {"told": {"is_test": True}, "accepts_test_mode": False}),
    (Reason.UNKNOWN_TICKET, {"told": {"is_cancelled": True}}),
    (Reason.UNKNOWN_TICKET, {"terms": {"subevent": 1}}),
    (Reason.AMBIGUOUS, {"ambiguity": "Which one?"}),
    (Reason.PRODUCT, {"item_is_for_device": False}),
    (Reason.WITHDRAWN, {"told": {"is_withdrawn": True}}),
    (Reason.CANCELED, {"told": {"is_closed": True}}),
    (Reason.BLOCKED, {"told": {"is_blocked": True}}),
    (Reason.REVOKED, {"is_revoked": True}),
    (Reason.UNAPPROVED, {"told": {"awaits_approval": True, "is_paid": False, "valid_if_pending": True}}),
    (Reason.INVALID_TIME, {"told": LATE}),
    (Reason.PRODUCT, {"terms": {"item_ids": frozenset()}}),
    (Reason.UNPAID, {"told": {"is_paid": False, "valid_if_pending": False}}),
    (Reason.RULES, {"terms": {"rules": NOBODY}}),
    (Reason.ALREADY_REDEEMED, {"history": (PastCheckIn(None),)}),
    (Reason.INCOMPLETE, {"questions": (NAME,)}),
)
"""Each row of the table with what makes it match, in the table's order."""

NEVER_PASSED = frozenset({Reason.TEST_MODE, Reason.UNKNOWN_TICKET, Reason.AMBIGUOUS, Reason.PRODUCT})


def facts_that_match(rows: list[tuple[Reason, dict[str, Any]]], *, is_forced: bool) -> Facts:
    told: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for _, change in rows:
        told.update(change.get("told", {}))
        terms.update(change.get("terms", {}))
        more.update({key: value for key, value in change.items() if key not in ("told", "terms")})
    return some_facts(
        a_ticket(**told), terms=replace(TERMS, **terms), is_forced=is_forced, questions_supported=True, **more
    )


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(range(len(ROWS)))))
def test_each_row_comes_before_the_next(earlier: int, later: int) -> None:
    assert decide(facts_that_match([ROWS[earlier], ROWS[later]], is_forced=False)).reason is ROWS[earlier][0]


@given(st.sets(st.integers(0, len(ROWS) - 1)))
def test_the_first_row_that_matches_wins(chosen: set[int]) -> None:
    if {9, 12} <= chosen:
        chosen.discard(9)  # unpaid and valid while pending at once cannot be
    rows = [ROWS[index] for index in sorted(chosen)]
    # A revoked secret of a cancelled position is all that upstream still knows of it.
    expected = Reason.REVOKED if {1, 8} <= chosen and 0 not in chosen else (rows[0][0] if rows else None)
    assert decide(facts_that_match(rows, is_forced=False)).reason is expected


@given(st.sets(st.integers(0, len(ROWS) - 1)))
def test_force_passes_the_rows_that_say_not_now_and_never_those_that_say_not_here(chosen: set[int]) -> None:
    if {9, 12} <= chosen:
        chosen.discard(9)
    rows = [ROWS[index] for index in sorted(chosen)]
    verdict = decide(facts_that_match(rows, is_forced=True))
    fast = [reason for reason, _ in rows if reason in NEVER_PASSED]
    if fast:
        assert not verdict.is_ok
        assert verdict.reason is (Reason.REVOKED if {1, 8} <= chosen and 0 not in chosen else fast[0])
        return
    expected = next((reason for reason, _ in rows if reason is not Reason.INCOMPLETE), None)
    assert verdict.is_ok
    assert verdict.passed is expected


def test_what_force_passed_is_explained() -> None:
    verdict = decide(some_facts(terms=ListTerms(rules=NOBODY), is_forced=True))
    assert verdict == Verdict(passed=Reason.RULES, explanation="Not allowed by the rules of this list.")


# --- what an upstream does not tell -----------------------------------------------------------------------------------


@given(
    history=st.lists(st.sampled_from([PastCheckIn(None), an_entry(1)]), max_size=2).map(tuple),
    is_paid=st.booleans(),
    checkin_allowed=st.booleans(),
    is_withdrawn=st.booleans(),
    is_forced=st.booleans(),
    ignores_unpaid=st.booleans(),
    accepts_test_mode=st.booleans(),
    catalog=st.sampled_from([None, CATALOG, Catalog(3, Event("Old", timezone="No/Where"))]),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    gate_id=st.none() | st.integers(),
)
def test_what_stands_beside_an_old_dialects_ticket_changes_no_verdict(
    history: tuple[PastCheckIn, ...],
    is_paid: bool,
    checkin_allowed: bool,
    is_withdrawn: bool,
    is_forced: bool,
    ignores_unpaid: bool,
    accepts_test_mode: bool,
    catalog: Catalog | None,
    at: datetime | None,
    gate_id: int | None,
) -> None:
    data = TicketData("secret", "CODE", 10, None, "Ada", False, is_paid, checkin_allowed, "")
    asked = RedeemRequest("secret", is_forced=is_forced, ignores_unpaid=ignores_unpaid)
    bare = Facts(asked, Ticket(1, 1, data, is_withdrawn, 1), history=history)
    dressed = replace(bare, accepts_test_mode=accepts_test_mode, catalog=catalog, at=at, gate_id=gate_id)
    assert decide(dressed) == decide(bare)
    assert decide(bare).explanation is None
