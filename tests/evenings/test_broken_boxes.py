"""The evenings find out a box of which one rule is wrong: else they would prove nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from edgebox.clock import Clock
from edgebox.model import CheckIn
from edgebox.rules import decision
from edgebox.store.claims import Claims
from edgebox.store.journal import Journal
from edgebox.store.numbers import Numbers
from edgebox.sync.push import Pusher
from edgebox.upstream import Accepted, Poisonous, PushOutcome, Unreachable
from edgebox.upstream.pretix import PretixUpstream
from tests.evenings.drawing import let_happen
from tests.evenings.plan import DIALECTS, NEW, OLD, STEPS_WITH_A_PROCESS, make
from tests.evenings.running import Failure, outcome, outcome_with_a_process, shortened
from tests.support.box import REPOSITORY

TRIED = 60
"""One of so many evenings must fail. Most breakages show on the first or second."""

Patch = pytest.MonkeyPatch


def lets_in_twice(patch: Patch) -> None:
    patch.setattr(decision, "is_used_up", lambda *facts: False)


def lets_the_cancelled_in(patch: Patch) -> None:
    passed = {decision.is_withdrawn, decision.is_closed}
    patch.setattr(decision, "TABLE", tuple(check for check in decision.TABLE if check not in passed))


def does_not_know_a_nonce_again(patch: Patch) -> None:
    patch.setattr(decision, "TABLE", decision.TABLE[1:])


def records_nothing(patch: Patch) -> None:
    patch.setattr("edgebox.store.redeem._insert", lambda connection, rows: None)


def forgets_what_is_settled(patch: Patch) -> None:
    """Until the next pull tells it."""

    def take(numbers: Numbers, connection: Any) -> int:
        Numbers.next(numbers)
        numbers.keep(connection)
        return 0

    patch.setattr(Numbers, "take", take)


def tells_each_try_as_a_new_one(patch: Patch) -> None:
    tell_once = Pusher._tell_once

    def anew(pusher: Pusher, checkin: CheckIn, *, force: bool) -> Any:
        return tell_once(pusher, replace(checkin, nonce=uuid4().hex), force=force)

    patch.setattr(Pusher, "_tell_once", anew)


def tells_the_settled_again_as_new_ones(patch: Patch) -> None:
    settle = Pusher._settle

    def twice(pusher: Pusher, checkin: CheckIn, pushed: Any) -> None:
        settle(pusher, checkin, pushed)
        pusher._upstream.push(replace(checkin, nonce=uuid4().hex), force=True)

    patch.setattr(Pusher, "_settle", twice)


def tells_refused_attempts_with_force(patch: Patch) -> None:
    def report(upstream: PretixUpstream, secret: str, reason: str, at: Any, nonce: str, **told: Any) -> bool:
        attempt = SimpleNamespace(
            secret=secret, ticket_secret=None, nonce=nonce, direction=told["direction"], datetime=at,
            ignores_unpaid=False, answers={},
        )  # fmt: skip
        upstream.push(cast(CheckIn, attempt), force=True)
        return True

    patch.setattr(PretixUpstream, "report_refusal", report)


def takes_losses_for(patch: Patch, outcome: PushOutcome) -> None:
    tell_once = Pusher._tell_once

    def believe(pusher: Pusher, checkin: CheckIn, *, force: bool) -> PushOutcome:
        try:
            return tell_once(pusher, checkin, force=force)
        except Unreachable:
            return outcome

    patch.setattr(Pusher, "_tell_once", believe)


def settles_what_was_lost(patch: Patch) -> None:
    takes_losses_for(patch, Accepted())


def never_settles(patch: Patch) -> None:
    patch.setattr(Journal, "settle", lambda *told, **more: None)


def parks_what_was_lost(patch: Patch) -> None:
    takes_losses_for(patch, Poisonous("it is lost", is_final=True))


def undoes_what_upstream_was_told(patch: Patch) -> None:
    patch.setattr(Claims, "_may_be_told", lambda claims, checkin_id: False)


def hides_double_entries(patch: Patch) -> None:
    settle = Journal.settle

    def hidden(journal: Journal, checkin: CheckIn, at: Any, **conflict: Any) -> None:
        settle(journal, checkin, at)

    patch.setattr(Journal, "settle", hidden)


def believes_any_clock(patch: Patch) -> None:
    patch.setattr(Clock, "_system_is_believed", lambda clock, wall_s: True)


IN_BOTH = [
    lets_in_twice,
    lets_the_cancelled_in,
    does_not_know_a_nonce_again,
    records_nothing,
    forgets_what_is_settled,
    tells_each_try_as_a_new_one,
    tells_the_settled_again_as_new_ones,
    settles_what_was_lost,
    never_settles,
    parks_what_was_lost,
    undoes_what_upstream_was_told,
    hides_double_entries,
    believes_any_clock,
]
BROKEN = [(dialect, each) for dialect in DIALECTS for each in IN_BOTH] + [(NEW, tells_refused_attempts_with_force)]


@pytest.mark.parametrize(("dialect", "is_broken"), BROKEN, ids=lambda each: getattr(each, "__name__", each))
def test_it_is_found_out(monkeypatch: Patch, dialect: str, is_broken: Callable[[Patch], None]) -> None:
    is_broken(monkeypatch)
    failure = first_failure(dialect)
    assert failure.rule.startswith("Broken "), failure


def test_a_real_one_is_found_out(tmp_path: Path) -> None:
    broken = "from edgebox.rules import decision\n\ndecision.is_used_up = lambda *facts: False\n"
    (tmp_path / "sitecustomize.py").write_text(broken)
    env = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    plans = (make(OLD, seed, STEPS_WITH_A_PROCESS) for seed in range(10))
    outcomes = (outcome_with_a_process(plan, tmp_path / f"data{plan.seed}", env) for plan in plans)
    failure = next(filter(None, outcomes))
    assert failure.rule.startswith("Broken answered"), failure


def test_a_failure_is_told_with_few_steps_and_how_to_have_it_again(monkeypatch: Patch) -> None:
    lets_in_twice(monkeypatch)
    with pytest.raises(pytest.fail.Exception) as failed:
        let_happen(TRIED, lambda seed: outcome(make(NEW, seed)), shortened=shortened)
    told = str(failed.value)
    assert len(re.findall(r"^\d+: ", told, re.MULTILINE)) < 10
    again = re.search(r"^Again: python -m tests.evenings (\d+) --dialect pretix$", told, re.MULTILINE)
    assert again is not None
    assert outcome(make(NEW, int(again[1]))) is not None


def first_failure(dialect: str) -> Failure:
    logging.disable()
    try:
        failures = (outcome(make(dialect, seed)) for seed in range(TRIED))
        failure = next((each for each in failures if each is not None), None)
    finally:
        logging.disable(logging.NOTSET)
    assert failure is not None, "nobody noticed"
    return failure
