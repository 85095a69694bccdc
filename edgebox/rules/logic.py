"""A list's rules: JSON logic that decides on an entry, as pretix's editor writes it and its server reads it.

A rule is an object with one key, an operator, and its operands: `and`, `or`; the comparisons `==`, `!=`, `<`, `<=`,
`>`, `>=`, `inList`, `isBefore` and `isAfter` (with a tolerance in minutes); and what they compare: `var`, `buildTime`,
`objectList`, `lookup`, `entries_since`, `entries_before`, `entries_days_since`, `entries_days_before`. Keys that begin
with two underscores are remarks. Equality and order are those of JavaScript: `"1"` equals `1`.

What a newer server may write and this box does not know (an operator, a variable, a date that was not told) is neither
true nor false. Where the rest decides by itself, it does; else nobody is let in, and staff are told why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from edgebox.rules.circumstances import VARIABLES, Circumstances, MalformedError, NotUnderstoodError
from edgebox.rules.explaining import Blame, Subject, blame

NOT_UNDERSTOOD = "This box does not understand the rules of this list; staff can let in by force"

MAX_DEPTH = 50
"""Of rules within rules. The editor's are a few deep."""


def objection(rules: Mapping[str, Any], door: Circumstances) -> str | None:
    """Why these rules keep somebody out, in a few words; None where they let in. Never raises."""
    try:
        blamed = _blame(rules, door, 0)
    except (MalformedError, NotUnderstoodError, OverflowError):  # the last: too large for a number or a date
        return NOT_UNDERSTOOD
    return blamed.words if blamed else None


def _blame(rule: object, door: Circumstances, depth: int) -> Blame | None:
    """What is to blame that the rule is not met; None where it is met.

    Raises NotUnderstoodError where that cannot be said, and MalformedError.
    """
    if not isinstance(rule, Mapping):
        return None if rule else Blame()
    operator, operands = _opened(rule, depth)
    if operator in ("and", "or"):
        return _together(operator, operands, door, depth)
    values = [_value(operand, door, depth + 1) for operand in operands]
    if _apply(operator, values, door):
        return None
    return blame(operator, _subject(operands, values, door, depth), values, door)


def _together(operator: str, operands: list[Any], door: Circumstances, depth: int) -> Blame | None:
    """Looks at each, so that what is malformed never depends on the guest."""
    blamed: list[Blame] = []
    met, undecided = 0, 0
    for operand in operands:
        try:
            found = _blame(operand, door, depth + 1)
        except NotUnderstoodError:
            undecided += 1
            continue
        if found is None:
            met += 1
        else:
            blamed.append(found)
    if operator == "and" and blamed:
        return Blame.all_of(blamed)
    if operator == "or" and met:
        return None
    if undecided:
        raise NotUnderstoodError
    return None if operator == "and" else min(blamed, default=Blame())


def _opened(rule: Mapping[Any, Any], depth: int) -> tuple[str, list[Any]]:
    """Operator and operands; a single operand may stand without brackets."""
    keys = [key for key in rule if not str(key).startswith("__")]
    if len(keys) != 1 or depth > MAX_DEPTH:
        raise MalformedError
    operands = rule[keys[0]]
    return str(keys[0]), operands if isinstance(operands, list) else [operands]


def _value(node: object, door: Circumstances, depth: int) -> object:
    """What a part of a comparison is worth. A list stands for itself."""
    if not isinstance(node, Mapping):
        return node
    operator, operands = _opened(node, depth)
    if operator in ("and", "or"):
        return _together(operator, operands, door, depth) is None
    return _apply(operator, [_value(operand, door, depth + 1) for operand in operands], door)


def _subject(operands: list[Any], values: list[Any], door: Circumstances, depth: int) -> Subject:
    """What a comparison is about: what stands on its left side."""
    if not operands or not isinstance(operands[0], Mapping):
        return Subject("", None)
    operator, inner = _opened(operands[0], depth + 1)
    if operator == "var":
        return Subject(str(inner[0]), values[0])
    cutoff = _value(inner[0], door, depth + 2) if inner else None
    return Subject(operator, values[0], cutoff if isinstance(cutoff, datetime) else None)


def _apply(operator: str, values: list[Any], door: Circumstances) -> object:
    known = _OPERATIONS.get(operator)
    if known is None:
        raise NotUnderstoodError
    try:
        return known(door, *values)
    except (TypeError, ValueError):
        raise MalformedError from None


# --- the operators; each takes the circumstances and its operands -----------------------------------------------------


def _variable(door: Circumstances, name: object, default: object = None) -> object:
    read = VARIABLES.get(name) if isinstance(name, str) else None
    if read is None:
        raise NotUnderstoodError
    return read(door)


def _equal(door: Circumstances, left: object, right: object) -> bool:
    _check_plain(left, right)
    if isinstance(left, str) or isinstance(right, str):
        return str(left) == str(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return bool(left) is bool(right)
    return left == right


def _less(door: Circumstances, left: Any, right: Any, *more: Any) -> bool:
    """With three operands: whether they ascend."""
    _check_plain(left, right)
    if _is_number(left) or _is_number(right):
        try:
            left, right = float(left), float(right)
        except (TypeError, ValueError):
            return False
    return bool(left < right) and (not more or _less(door, right, *more))


def _less_or_equal(door: Circumstances, left: Any, right: Any, *more: Any) -> bool:
    is_met = _less(door, left, right) or _equal(door, left, right)
    return is_met and (not more or _less_or_equal(door, right, *more))


def _is_in(door: Circumstances, member: object, members: object) -> bool:
    _check_plain(member)
    if not isinstance(members, list):
        raise MalformedError
    return any(member == each for each in members if not isinstance(each, list | Mapping))


def _is_before(door: Circumstances, left: object, right: object, tolerance_minutes: Any = None) -> bool:
    if not isinstance(left, datetime) or not isinstance(right, datetime):
        raise MalformedError
    return left < right + timedelta(minutes=float(tolerance_minutes or 0))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_plain(*values: object) -> None:
    if any(isinstance(value, list | Mapping) for value in values):
        raise MalformedError


def _counts(count: Callable[[Circumstances, datetime], int]) -> Callable[..., int]:
    def counted(door: Circumstances, cutoff: object) -> int:
        if not isinstance(cutoff, datetime):
            raise MalformedError
        return count(door, cutoff)

    return counted


_OPERATIONS: Mapping[str, Callable[..., object]] = {
    "==": _equal,
    "!=": lambda door, left, right: not _equal(door, left, right),
    "<": _less,
    "<=": _less_or_equal,
    ">": lambda door, left, right: _less(door, right, left),
    ">=": lambda door, left, right: _less_or_equal(door, right, left),
    "inList": _is_in,
    "isBefore": _is_before,
    "isAfter": lambda door, left, right, *tolerance: _is_before(door, right, left, *tolerance),
    "var": _variable,
    "buildTime": lambda door, *named: door.time(*named),
    "objectList": lambda door, *members: list(members),
    "lookup": lambda door, kind, key, name=None: int(key),
    "entries_since": _counts(lambda door, cutoff: len(door.since(cutoff))),
    "entries_before": _counts(lambda door, cutoff: len(door.before(cutoff))),
    "entries_days_since": _counts(lambda door, cutoff: door.days(door.since(cutoff))),
    "entries_days_before": _counts(lambda door, cutoff: door.days(door.before(cutoff))),
}
