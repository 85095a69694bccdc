"""How an operation is attacked: inputs made from its description, and what every answer is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import schemathesis.openapi
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.target import PLACES, Target

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip

Prepare = Callable[[Case], None]


class Attack:
    """Sends what the description calls right and what it calls wrong; `answers` counts what came back."""

    def __init__(self, target: Target) -> None:
        self._known, self._any = (
            schemathesis.openapi.from_dict(target.described(finds_something=known)) for known in (True, False)
        )
        self._known.app = self._any.app = target.app
        self.answers: Counter[str] = Counter()

    def run(self, method: str, path: str, prepare: Prepare, *, examples: int, seeded: int = 1) -> None:
        """Up to `examples` inputs of each kind, the same for the same seed. `prepare` gives a case its key
        or its cookies.

        Raises a group of failures, each with the request that brought it about.
        """
        for cases in self._kinds(method, path):

            @seed(seeded)
            @settings(
                max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=cases)
            def attack(case: Case) -> None:
                prepare(case)
                case.headers["Accept-Encoding"] = "identity"
                response = case.call()
                self.answers[_in_short(response)] += 1
                case.validate_response(response, checks=CHECKS)

            attack()

    def _kinds(self, method: str, path: str) -> Iterator[SearchStrategy[Case]]:
        """Right ones where there is something, right ones anywhere, and wrong ones where there is something."""
        operation = self._any[path][method]
        named = [parameter.name for parameter in operation.path_parameters]
        there = {name: PLACES.get(name, 1) for name in named} or None
        yield self._known[path][method].as_strategy(path_parameters=there)
        if named:
            yield operation.as_strategy()
        if operation.body or operation.query:
            yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE, path_parameters=there)


def _in_short(response: Response) -> str:
    """An answer's status, and its verdict if it is a decision."""
    body = response.json() if "json" in response.headers.get("content-type", [""])[0] else None
    if isinstance(body, dict) and {"status", "type"} & body.keys():
        return f"{response.status_code} {body.get('reason') or body.get('type') or body.get('status')}"
    return str(response.status_code)
