"""The decision table: an ordered row of small named checks, first match wins.

Each check looks at the facts and returns a refusal, or None where its row does not match. A fact that an upstream does
not tell is absent from the facts, and its row then never matches.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebox.model import Direction, Facts, ListTerms, Reason, TicketData, Verdict
from edgebox.rules.answers import is_beside_the_point, unanswered
from edgebox.rules.circumstances import circumstances_of
from edgebox.rules.logic import objection
from edgebox.rules.presence import emptied_at, first_use, is_used_up
from edgebox.rules.times import in_words, zone_of

Check = Callable[[Facts], Verdict | None]


# --- is there such a ticket? ------------------------------------------------------------------------------------------


def repeats_a_nonce(facts: Facts) -> Verdict | None:
    """A retry of a check-in that is recorded already: the same `ok` again."""
    return Verdict(is_repeat=True) if facts.is_repeat else None


def is_unknown(facts: Facts) -> Verdict | None:
    """No upstream ever told of such a ticket; or only that its secret is revoked."""
    if facts.ticket is not None:
        return None
    return Verdict(Reason.REVOKED if facts.is_revoked else Reason.UNKNOWN_TICKET)


def is_only_a_test(facts: Facts) -> Verdict | None:
    """Of an order in test mode, where those are kept out."""
    if facts.ticket is None or not facts.ticket.data.is_test or facts.accepts_test_mode:
        return None
    return Verdict(Reason.TEST_MODE, explanation="This ticket is of an order in test mode.")


def is_cancelled(facts: Facts) -> Verdict | None:
    """The position itself was cancelled: upstream no longer knows such a ticket, at most a revoked secret."""
    if facts.ticket is None or not facts.ticket.data.is_cancelled:
        return None
    if facts.is_revoked:
        return Verdict(Reason.REVOKED)
    return Verdict(Reason.UNKNOWN_TICKET, explanation="This ticket was cancelled.")


def is_for_another_date(facts: Facts) -> Verdict | None:
    """Of another date of the series than the list's: on this list there is no such ticket."""
    if facts.ticket is None or facts.terms is None or facts.terms.subevent in (None, facts.ticket.data.subevent):
        return None
    dates = facts.catalog.subevents if facts.catalog else ()
    name = next((f": {date.name}" for date in dates if date.id == facts.ticket.data.subevent), "")
    return Verdict(Reason.UNKNOWN_TICKET, explanation=f"This ticket is for another date{name}.")


def is_ambiguous(facts: Facts) -> Verdict | None:
    """It cannot be said which ticket is meant, so nothing else can be looked at."""
    return Verdict(Reason.AMBIGUOUS, explanation=facts.ambiguity) if facts.ambiguity else None


# --- may it come in here and now? -------------------------------------------------------------------------------------


def is_not_for_this_device(facts: Facts) -> Verdict | None:
    """The ticket's item is not among the device's."""
    return None if facts.item_is_for_device else Verdict(Reason.PRODUCT)


def is_withdrawn(facts: Facts) -> Verdict | None:
    """Upstream once told of the ticket and no longer does: cancelled or refunded."""
    return Verdict(Reason.WITHDRAWN) if facts.ticket and facts.ticket.is_withdrawn else None


def is_closed(facts: Facts) -> Verdict | None:
    """Its order was cancelled or has expired."""
    return Verdict(Reason.CANCELED) if facts.ticket and facts.ticket.data.is_closed else None


def is_blocked(facts: Facts) -> Verdict | None:
    """The organizer blocked this ticket."""
    return Verdict(Reason.BLOCKED) if facts.ticket and facts.ticket.data.is_blocked else None


def is_revoked(facts: Facts) -> Verdict | None:
    """The ticket has got another secret since."""
    return Verdict(Reason.REVOKED) if facts.is_revoked else None


def awaits_approval(facts: Facts) -> Verdict | None:
    """The organizer has yet to approve the order. What is paid needs none."""
    if facts.ticket is None or facts.ticket.data.is_paid or not facts.ticket.data.awaits_approval:
        return None
    return Verdict(Reason.UNAPPROVED)


def is_outside_its_validity(facts: Facts) -> Verdict | None:
    """An entry before or after the time for which the ticket was sold."""
    if facts.ticket is None or facts.at is None or not _is_entry(facts):
        return None
    begin, end = facts.ticket.data.valid_from, facts.ticket.data.valid_until
    zone = zone_of(facts.catalog)
    if begin is not None and facts.at < begin:
        return Verdict(Reason.INVALID_TIME, explanation=f"This ticket is valid from {in_words(begin, zone)}.")
    if end is not None and facts.at > end:
        return Verdict(Reason.INVALID_TIME, explanation=f"This ticket was valid until {in_words(end, zone)}.")
    return None


def is_not_for_this_list(facts: Facts) -> Verdict | None:
    """The ticket's item is not among the list's."""
    if facts.ticket is None or facts.terms is None or facts.terms.item_ids is None:
        return None
    if facts.ticket.data.item_id in facts.terms.item_ids:
        return None
    return Verdict(Reason.PRODUCT, explanation="This kind of ticket is not for this list.")


def is_unpaid(facts: Facts) -> Verdict | None:
    """Not paid, and the door did not decide to let that pass where it may."""
    if facts.ticket is None or facts.ticket.data.is_paid or facts.ticket.data.valid_if_pending:
        return None
    if facts.request.ignores_unpaid and may_ignore_unpaid(facts.ticket.data, facts.terms):
        return None
    return Verdict(Reason.UNPAID)


def breaks_the_rules(facts: Facts) -> Verdict | None:
    """An entry that the list's rules forbid, or of which this box cannot say whether they do."""
    if facts.ticket is None or facts.terms is None or not facts.terms.rules or not _is_entry(facts):
        return None
    why = objection(facts.terms.rules, circumstances_of(facts, facts.ticket))
    return None if why is None else Verdict(Reason.RULES, explanation=f"{why}.")


def is_already_redeemed(facts: Facts) -> Verdict | None:
    """An entry too many. Says when and where first, as far as that is known."""
    if not _is_entry(facts):
        return None
    emptied = emptied_at(facts.terms, zone_of(facts.catalog), facts.at) if facts.at else None
    if not is_used_up(facts.history, facts.terms, emptied):
        return None
    return Verdict(Reason.ALREADY_REDEEMED, first_use=first_use(facts.history))


def lacks_answers(facts: Facts) -> Verdict | None:
    """The device can ask, and a question of this item has no answer upstream and no valid one here yet."""
    if not facts.request.questions_supported or not _is_entry(facts):
        return None
    told = dict(facts.ticket.data.answers) if facts.ticket else {}
    known = {question.id: question for question in facts.questions}
    answers = (facts.request.answers, *facts.earlier_answers, told)
    open_ = tuple(
        question
        for question in facts.questions
        if question.is_asked
        and question.id not in told
        and question.type in facts.request.question_types
        and not is_beside_the_point(question, known, answers)
    )
    missing = unanswered(open_, facts.request.answers, facts.earlier_answers)
    return Verdict(Reason.INCOMPLETE, questions=missing) if missing else None


TABLE: tuple[Check, ...] = (
    repeats_a_nonce,
    is_unknown,
    is_only_a_test,
    is_cancelled,
    is_for_another_date,
    is_ambiguous,
    is_not_for_this_device,
    is_withdrawn,
    is_closed,
    is_blocked,
    is_revoked,
    awaits_approval,
    is_outside_its_validity,
    is_not_for_this_list,
    is_unpaid,
    breaks_the_rules,
    is_already_redeemed,
    lacks_answers,
)
"""The order is pretix's own but for the last: nobody answers questions only to be refused."""

PASSED_BY_FORCE: frozenset[Check] = frozenset(
    {
        is_withdrawn,
        is_closed,
        is_blocked,
        is_revoked,
        awaits_approval,
        is_outside_its_validity,
        is_unpaid,
        breaks_the_rules,
        is_already_redeemed,
        lacks_answers,
    }
)
"""A forced entry has happened already, so these rows cannot undo it. A ticket that is unknown, or not for this device
or list, cannot be recorded at all, force or not."""


def decide(facts: Facts) -> Verdict:
    """The verdict on a redeem: the first row of the table that matches, or `ok`.

    With force, rows in `PASSED_BY_FORCE` are passed over; the first that matched is named in `passed` with its
    explanation (an open question is none: nobody needs to look into it), and with it the earlier check-in, if there is
    one.
    """
    passed: Verdict | None = None
    for check in TABLE:
        verdict = check(facts)
        if verdict is None:
            continue
        if not (facts.request.is_forced and check in PASSED_BY_FORCE):
            return verdict
        if passed is None and verdict.reason is not Reason.INCOMPLETE:
            passed = verdict
    if passed is None:
        return Verdict()
    return Verdict(passed=passed.reason, first_use=first_use(facts.history), explanation=passed.explanation)


def may_ignore_unpaid(data: TicketData, terms: ListTerms | None) -> bool:
    """Whether the door may let this ticket in unpaid: where upstream tells terms the list says so, else the ticket."""
    return data.checkin_allowed if terms is None else terms.include_pending


def _is_entry(facts: Facts) -> bool:
    return facts.request.direction is Direction.ENTRY
