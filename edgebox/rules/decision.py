"""The decision table: an ordered row of small named checks, first match wins.

Each check looks at the facts and returns a refusal, or None where its row does not match. A fact that an upstream does
not tell is absent from the facts, and its row then never matches.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebox.model import Facts, PastCheckIn, Reason, Verdict
from edgebox.rules.answers import unanswered

Check = Callable[[Facts], Verdict | None]


def repeats_a_nonce(facts: Facts) -> Verdict | None:
    """A retry of a check-in that is recorded already: the same `ok` again."""
    return Verdict(is_repeat=True) if facts.is_repeat else None


def is_unknown(facts: Facts) -> Verdict | None:
    """No upstream ever told of such a ticket."""
    return Verdict(Reason.UNKNOWN_TICKET) if facts.ticket is None else None


def is_not_for_this_device(facts: Facts) -> Verdict | None:
    """The ticket's item is not among the device's."""
    return None if facts.item_is_for_device else Verdict(Reason.PRODUCT)


def is_withdrawn(facts: Facts) -> Verdict | None:
    """Upstream once told of the ticket and no longer does: cancelled or refunded."""
    return Verdict(Reason.WITHDRAWN) if facts.ticket and facts.ticket.is_withdrawn else None


def is_unpaid(facts: Facts) -> Verdict | None:
    """Not paid, and the door did not decide to let that pass where it may."""
    if facts.ticket is None or facts.ticket.data.is_paid:
        return None
    if facts.request.ignores_unpaid and facts.ticket.data.checkin_allowed:
        return None
    return Verdict(Reason.UNPAID)


def is_already_redeemed(facts: Facts) -> Verdict | None:
    """The ticket has been used. Says when and where first, as far as that is known."""
    if not facts.history:
        return None
    return Verdict(Reason.ALREADY_REDEEMED, first_use=first_use(facts.history))


def lacks_answers(facts: Facts) -> Verdict | None:
    """The device can ask, and a question of this item has no valid answer yet."""
    if not facts.request.questions_supported:
        return None
    missing = unanswered(facts.questions, facts.request.answers, facts.earlier_answers)
    return Verdict(Reason.INCOMPLETE, questions=missing) if missing else None


TABLE: tuple[Check, ...] = (
    repeats_a_nonce,
    is_unknown,
    is_not_for_this_device,
    is_withdrawn,
    is_unpaid,
    is_already_redeemed,
    lacks_answers,
)
"""Nobody answers questions only to be refused: `lacks_answers` comes last."""

PASSED_BY_FORCE: frozenset[Check] = frozenset({is_withdrawn, is_unpaid, is_already_redeemed, lacks_answers})
"""A forced entry has happened already, so these rows cannot undo it. A ticket that is unknown or not for this device
cannot be recorded at all, force or not."""


def decide(facts: Facts) -> Verdict:
    """The verdict on a redeem: the first row of the table that matches, or `ok`.

    With force, rows in `PASSED_BY_FORCE` are passed over; the first that matched is named in `passed` (an open question
    is none: nobody needs to look into it), and with it the earlier check-in, if there is one.
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
    return Verdict(passed=passed.reason, first_use=first_use(facts.history) if facts.history else None)


def first_use(history: tuple[PastCheckIn, ...]) -> PastCheckIn:
    """The earliest entry of a history that has a time; where none has one, the first."""
    timed = [(past.at, order) for order, past in enumerate(history) if past.at is not None]
    return history[min(timed)[1]] if timed else history[0]
