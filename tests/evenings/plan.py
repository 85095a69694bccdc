"""An evening as a plan: what happens, step by step, made up from a seed. A plan can be run as often as one likes, and
what remains of it when steps are left out is a plan, too: that is how `shrunk` finds the few that matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.evenings.faults import FAULTS
from tests.evenings.words import Terms

OLD, NEW = "pretixdroid", "pretix"
DIALECTS = (OLD, NEW)

STEPS = 60
STEPS_WITH_A_PROCESS = 40
TICKETS = 6
WRONG_CLOCKS = (0.0, -1.5, 1.5, 3600.0, -3600.0, -40 * 86400.0, 400 * 86400.0, -50 * 365 * 86400.0)

WEIGHTS = {
    "scan": 30, "again": 6, "scan_offline": 8, "upload": 7, "by_hand": 4, "undo": 5, "close_conflict": 3,
    "sell": 2, "set_order": 6, "cancel_position": 1, "reprint": 1, "others_scan": 5, "delete_check_in": 5,
    "push": 14, "pull": 12, "sync": 4, "probe": 2, "look_up": 2, "weather": 5,
    "restart": 2, "kill": 2, "reboot": 2, "synchronise": 1, "jump": 2, "full_disk": 2, "rest": 4,
}  # fmt: skip
MEANWHILE = {
    "scan": 12, "again": 3, "upload": 4, "by_hand": 2, "undo": 4, "others_scan": 4, "delete_check_in": 4,
    "set_order": 4, "cancel_position": 1, "push": 6, "pull": 6, "kill": 3, "sell": 1, "full_disk": 2, "rest": 4,
}  # fmt: skip
SYNCS = {"push", "pull", "sync", "probe", "look_up"}


@dataclass(frozen=True)
class Step:
    """Something that happens. `faults` by the number of the request that meets them; `meanwhile` by the number of the
    moment at which something else may happen."""

    name: str
    how: dict[str, Any] = field(default_factory=dict)
    after_s: float = 0.0
    """So long after the one before."""
    faults: tuple[tuple[int, str], ...] = ()
    meanwhile: tuple[tuple[int, Step], ...] = ()

    def __str__(self) -> str:
        told = ", ".join(f"{key}={value!r}" for key, value in self.how.items())
        told += "".join(f", {name} at request {number}" for number, name in self.faults)
        return f"{self.name}({told})" + "".join(f"\n      at {number}: {step}" for number, step in self.meanwhile)


@dataclass(frozen=True)
class Plan:
    """An evening."""

    dialect: str
    seed: int
    terms: dict[int, Terms]
    is_clock_right: bool
    clock_error_s: float
    tickets: int
    """Sold at first: the fewer, the more happens to each."""
    steps: tuple[Step, ...]


def make(dialect: str, seed: int, steps: int = STEPS) -> Plan:
    """The evening of this seed."""
    dice = Random(f"{dialect} {seed}")
    has_right_clock = dice.random() < 0.4
    first = (Step("pull", {"list": 1}),) if dice.random() < 0.85 else ()
    return Plan(
        dialect=dialect,
        seed=seed,
        terms=_terms(dialect, dice),
        is_clock_right=has_right_clock,
        clock_error_s=0.0 if has_right_clock else dice.choice(WRONG_CLOCKS),
        tickets=dice.choice([2, 3, 5]),
        steps=first + tuple(_step(dice, dialect, WEIGHTS) for _ in range(steps)),
    )


def _terms(dialect: str, dice: Random) -> dict[int, Terms]:
    include_pending = dice.random() < 0.3
    if dialect == OLD:
        return {1: Terms(include_pending=include_pending)}
    several, after_exit = dice.choice([(False, False), (False, False), (False, True), (False, True), (True, True)])
    first = Terms(several, after_exit, include_pending, is_paged=True, knows_exits=True)
    return {1: first, 2: Terms(entry_after_exit=True, is_paged=True, knows_exits=True)}


def _step(dice: Random, dialect: str, weights: dict[str, int], *, is_nested: bool = False) -> Step:
    name = dice.choices(list(weights), list(weights.values()))[0]
    step = Step(name, _how(name, dice, dialect), after_s=0.3 if is_nested else dice.uniform(6, 40))
    if name not in SYNCS:
        return step
    faults = tuple(
        (dice.choice([0, 0, 1, 1, 2, 3, 4, dice.randrange(12)]), _fault(dice, dialect))
        for _ in range(dice.choice([0, 0, 0, 1, 1, 2]))
    )
    meanwhile = () if is_nested else _meanwhile(dice, dialect)
    return replace(step, faults=faults, meanwhile=meanwhile)


def _meanwhile(dice: Random, dialect: str) -> tuple[tuple[int, Step], ...]:
    def step(name: str) -> Step:
        return _step(dice, dialect, {name: 1}, is_nested=True)

    if dice.random() < 0.3:  # somebody is let in and told of, while upstream's tickets are on their way
        at = sorted(dice.randrange(12) for _ in range(3))
        return ((at[0], step("scan")), (at[1], step("push")), (at[2], step("scan")))
    moments = [dice.randrange(12) for _ in range(dice.choice([0, 0, 1, 2, 3]))]
    return tuple((moment, _step(dice, dialect, MEANWHILE, is_nested=True)) for moment in moments)


def _fault(dice: Random, dialect: str) -> str:
    other = {"closed_new", "409"} if dialect == OLD else {"closed_old"}
    lost = ["lost", "late_lost", "502_acted", "cut"] * 3  # these are what double entries are made of
    return dice.choice([name for name in FAULTS if name not in other] + lost)


def _how(name: str, dice: Random, dialect: str) -> dict[str, Any]:
    ticket, some = dice.randrange(TICKETS), dice.randrange(100)
    direction = "exit" if dice.random() < 0.3 else "entry"
    hows: dict[str, Callable[[], dict[str, Any]]] = {
        "scan": lambda: {
            "ticket": ticket, "phone": dice.randrange(5), "direction": direction, "nonce": dice.random() < 0.4,
            "ignores_unpaid": dice.random() < 0.3, "lost": dice.random() < 0.15, "old": dice.random() < 0.2,
        },
        "again": lambda: {"number": some},
        "scan_offline": lambda: {
            "ticket": ticket, "phone": dice.randrange(2), "clock_off_days": dice.choice([0] * 9 + [-30])
        },
        "upload": lambda: {"phone": dice.randrange(2), "lost": dice.random() < 0.3},
        "by_hand": lambda: {"ticket": ticket, "forced": dice.random() < 0.5},
        "undo": lambda: {"number": dice.choice([0, 0, 1, 2, some])},
        "close_conflict": lambda: {"number": some, "way": dice.choice(["dismiss", "retry"])},
        "set_order": lambda: {"ticket": ticket, "status": dice.choice("pppnc")},
        "cancel_position": lambda: {"ticket": ticket},
        "reprint": lambda: {"ticket": ticket},
        "others_scan": lambda: {"ticket": ticket, "list": dice.choice([1, 1, 2]), "direction": direction},
        "delete_check_in": lambda: {"ticket": ticket},
        "push": lambda: {"list": dice.choice([1, 1, 1, 2])},
        "pull": lambda: {"list": dice.choice([1, 1, 2])},
        "sync": lambda: {"list": dice.choice([1, 1, 2])},
        "look_up": lambda: {"ticket": ticket},
        "weather": lambda: {"fault": dice.choice([None, None, "refused", "portal", _fault(dice, dialect)])},
        "kill": lambda: {"ticket": ticket, "phone": dice.randrange(5)},
        "reboot": lambda: {"off_s": dice.choice([60, 3600]), "clock_error_s": dice.choice(WRONG_CLOCKS)},
        "jump": lambda: {"by_s": dice.choice([-3600, 3600, 86400 * 30])},
        "full_disk": lambda: {"for_s": dice.choice([1, 20, 60])},
        "rest": lambda: {"for_s": dice.choice([20, 60, 130, 620])},
    }  # fmt: skip
    return hows[name]() if name in hows else {}


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The same failure with as few steps as can be found: leave out ever smaller parts, then what hangs on steps."""
    size = len(plan.steps) // 2
    while size:
        start = 0
        while start < len(plan.steps):
            less = replace(plan, steps=plan.steps[:start] + plan.steps[start + size :])
            if fails(less):
                plan = less
            else:
                start += size
        size //= 2
    for number in range(len(plan.steps)):
        plan = _with_less(plan, number, fails)
    return plan


def _with_less(plan: Plan, number: int, fails: Callable[[Plan], bool]) -> Plan:
    """Without the faults and whatever else happens meanwhile, as far as they do not matter."""
    step = plan.steps[number]
    for each in (*step.faults, *step.meanwhile):
        lesser = replace(
            step,
            faults=tuple(fault for fault in step.faults if fault is not each),
            meanwhile=tuple(other for other in step.meanwhile if other is not each),
        )
        less = replace(plan, steps=(*plan.steps[:number], lesser, *plan.steps[number + 1 :]))
        if fails(less):
            plan, step = less, lesser
    return plan
