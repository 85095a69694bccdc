"""Whatever comes to the staff pages, from nobody, the gate or the lead: no fault, and an answer that the description
has; and who is not the lead changes nothing that is set up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest
from schemathesis import Case

from edgebox.store.staff import Role
from tests.fuzz.attacking import Attack
from tests.fuzz.target import DROID_KEY, Target, operations

PAGES = [(method, path) for method, path, tag in operations() if tag == "pages"]
SLOW_BY_DESIGN = {"/password", "/login", "/first", "/first/gate"}
"""A password that is set costs a while, on purpose."""


@pytest.fixture(scope="module")
def attack(target: Target) -> Iterator[Attack]:
    attack = Attack(target)
    yield attack
    print(f"answers: {sorted(attack.answers.items())}")


class Visitor:
    """Somebody at the pages: nobody, or a role."""

    def __init__(self, target: Target, role: Role | None) -> None:
        browser, self._token = target.browser(role)
        if role is Role.GATE:  # at the page Scan, too
            browser.post("/scan/device", key=DROID_KEY)
        cookie = browser.client.get_cookie("edgebox")
        assert cookie is not None
        self._cookies = {"edgebox": cookie.value}

    def prepare(self, case: Case) -> None:
        """With the proof that a form of the box asked for it: the fuzzing would never get past that."""
        case.headers["X-CSRFToken"] = self._token
        case.cookies = self._cookies


@pytest.fixture(scope="module")
def visitors(target: Target) -> dict[Role | None, Visitor]:
    return {role: Visitor(target, role) for role in (None, *Role)}


@pytest.mark.parametrize(("method", "path"), PAGES)
def test_no_input_of_the_gate_or_of_nobody_does_any_harm(
    target: Target, attack: Attack, visitors: dict[Role | None, Visitor], method: str, path: str
) -> None:
    before = target.configuration()
    takes_turns = cycle((visitors[Role.GATE], visitors[None], visitors[Role.GATE]))
    attack.run(method, path, lambda case: next(takes_turns).prepare(case), examples=5)
    assert target.configuration() == before


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), PAGES)
def test_nor_do_many(
    target: Target, attack: Attack, visitors: dict[Role | None, Visitor], method: str, path: str
) -> None:
    before = target.configuration()
    for role in (None, Role.GATE):
        attack.run(method, path, visitors[role].prepare, examples=40, seeded=2)
    assert target.configuration() == before


class TestTheLead:
    """May change everything; on a box of their own, which is then in whatever state that is."""

    @pytest.fixture(scope="class")
    def target(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
        opened = Target(tmp_path_factory.mktemp("for-the-lead"))
        try:
            yield opened
        finally:
            opened.close()

    @pytest.fixture(scope="class")
    def attack(self, target: Target) -> Attack:
        return Attack(target)

    @pytest.mark.parametrize(("method", "path"), PAGES)
    def test_no_input_of_the_lead_is_a_fault(self, target: Target, attack: Attack, method: str, path: str) -> None:
        lead = Visitor(target, Role.LEAD)
        attack.run(method, path, lead.prepare, examples=2 if path in SLOW_BY_DESIGN else 4)

    @pytest.mark.slow
    @pytest.mark.parametrize(("method", "path"), PAGES)
    def test_nor_is_any_of_many(self, target: Target, attack: Attack, method: str, path: str) -> None:
        lead = Visitor(target, Role.LEAD)
        examples = 10 if path in SLOW_BY_DESIGN else 60
        attack.run(method, path, lead.prepare, examples=examples, seeded=2)
