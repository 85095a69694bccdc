"""Whatever a device sends, with a right key, a wrong one or none: no fault, an answer that the description has, and no
change of anything that staff have set up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest
from schemathesis import Case

from tests.fuzz.attacking import Attack
from tests.fuzz.target import DROID_KEY, WRONG_KEYS, Target, operations

DEVICES = [(method, path) for method, path, tag in operations() if tag != "pages"]


@pytest.fixture(scope="module")
def attack(target: Target) -> Iterator[Attack]:
    attack = Attack(target)
    yield attack
    print(f"answers: {sorted(attack.answers.items())}")


def give_key(case: Case, key: str | None) -> None:
    """As the dialect of the case takes it."""
    if key is None:
        return
    if case.path.startswith("/pretixdroid/"):
        case.query["key"] = key
    else:
        case.headers["Authorization"] = f"Device {key}"


def right_key(target: Target, case: Case) -> None:
    if case.path.startswith("/pretixdroid/"):
        give_key(case, DROID_KEY)
        if "tour" in str(case.path_parameters) or "{subevent}" in case.path:
            give_key(case, target.tour_key)
        return
    if case.path.endswith("/initialize") and isinstance(case.body, dict):
        case.body["token"] = target.setup_token()
    if target.box.store.devices.by_session(target.scan_key) is None:  # the last case gave it back
        target.scan_key = target.new_session()
    give_key(case, target.scan_key)


@pytest.mark.parametrize(("method", "path"), DEVICES)
def test_no_input_does_any_harm(target: Target, attack: Attack, method: str, path: str) -> None:
    before = target.configuration()
    attack.run(method, path, lambda case: right_key(target, case), examples=8)
    keys = cycle((*WRONG_KEYS, None))
    attack.run(method, path, lambda case: give_key(case, next(keys)), examples=4)
    assert target.configuration() == before


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), DEVICES)
def test_nor_do_many(target: Target, attack: Attack, method: str, path: str) -> None:
    before = target.configuration()
    attack.run(method, path, lambda case: right_key(target, case), examples=150, seeded=2)
    keys = cycle((*WRONG_KEYS, None))
    attack.run(method, path, lambda case: give_key(case, next(keys)), examples=30, seeded=2)
    assert target.configuration() == before


@pytest.mark.parametrize("path", [path for _, path in DEVICES if "redeem" in path or path.endswith("/check/")])
def test_the_attacks_get_through(target: Target, attack: Attack, path: str) -> None:
    """With right keys tickets are let in (or were, by an attack before), and others are refused."""
    attack.answers.clear()
    attack.run("post", path, lambda case: right_key(target, case), examples=15, seeded=3)
    assert attack.answers.keys() & {"200 ok", "200 VALID", "200 already_redeemed", "200 USED"}
    assert attack.answers.keys() & {"200 unknown_ticket", "200 INVALID", "200 ERROR"}
