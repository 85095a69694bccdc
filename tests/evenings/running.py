"""Running evenings, and telling of those that fail."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.evenings.evening import Evening
from tests.evenings.one_thread import one_thread
from tests.evenings.plan import Plan, shrunk
from tests.evenings.process import RealEvening
from tests.evenings.simulated import SimulatedEvening


@dataclass(frozen=True)
class Failure:
    """An evening on which a rule did not hold, or that went wrong in itself; its text says how to have it again."""

    plan: Plan
    rule: str
    """Where it failed, in code: two failures of one rule are alike."""
    message: str
    story: str
    options: str = ""

    def __str__(self) -> str:
        return (
            f"{self.message}\n\nWhat happened:\n{self.story}\n\n"
            f"Terms: {self.plan.terms}; clock right: {self.plan.is_clock_right}, off by {self.plan.clock_error_s} s\n"
            f"Again: python -m tests.evenings {self.plan.seed} --dialect {self.plan.dialect}{self.options}"
        )


def outcome(plan: Plan) -> Failure | None:
    """What went wrong on this evening, in one process; None where every rule held."""
    with one_thread():
        evening = SimulatedEvening(plan)
        try:
            return failure_of(evening)
        finally:
            evening.close()


def outcome_with_a_process(plan: Plan, data_dir: Path, env: Mapping[str, str] | None = None) -> Failure | None:
    """The same with a real box, on a fresh directory; `env` is added to its environment."""
    evening = RealEvening(plan, data_dir, env)
    try:
        return failure_of(evening, " --process")
    finally:
        evening.close()


def failure_of(evening: Evening, options: str = "") -> Failure | None:
    """Let it happen, and tell what went wrong. `options`: how this evening is asked for, beside its seed."""
    try:
        evening.happen()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        told = "".join(traceback.format_exception(error)[-6:])
        rule = f"{type(error).__name__} {last.name}:{last.lineno}"
        return Failure(evening.plan, rule, told, "\n".join(evening.story), options)
    return None


def shortened(failure: Failure) -> Failure:
    """The same with as few steps as can be found."""

    def fails_alike(plan: Plan) -> bool:
        other = outcome(plan)
        return other is not None and other.rule == failure.rule

    return outcome(shrunk(failure.plan, fails_alike)) or failure
