"""The log of a box: one line an event, also of a fault, and an outage is told once and when it is over."""

from __future__ import annotations

import logging
import re
import sys

import pytest

from edgebox.cli.serve import OneLine
from tests.support.box import BoxProcess, new_key, wait_until
from tests.support.upstream import ANSWER_LOST, PORTAL_PAGE, SERVER_ERROR, Response, StubUpstream, unavailable

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<level>[A-Z]+) (?P<rest>edgebox\.[\w.]+: .*)")
WITHIN_S = 60.0


class Evening:
    """A box that scans while its ticket server comes and goes; it tries again at once, and again and again."""

    def __init__(self, box: BoxProcess, stub: StubUpstream) -> None:
        self.box, self.stub = box, stub
        self._next = 0
        stub.add_ticket("secret-of-ada", attendee_name="Ada Lovelace")
        stub.add_tickets(200, "code")
        box.add_list(stub.url, stub.key)
        self.key = box.add_device("Gate of Grace", "1", key=new_key())
        box.start()
        self.is_online()
        wait_until(lambda: self.box.lists()[0]["tickets"] > 0, WITHIN_S, "the first pull")
        self.scan("secret-of-ada")
        self.is_pushed()

    def scan(self, secret: str | None = None) -> None:
        if secret is None:
            secret = f"code{self._next:06d}"
            self._next += 1
        assert self.box.redeem(self.key, secret).json()["status"] == "ok"

    def is_online(self) -> None:
        wait_until(lambda: self.box.lists()[0]["upstream"] == "online", WITHIN_S, "upstream is heard")

    def is_pushed(self) -> None:
        wait_until(lambda: self.box.lists()[0]["pending"] == 0, WITHIN_S, "all is pushed")

    def tries(self, count: int) -> None:
        """Scan on until upstream was asked so many times more."""
        seen = self.asked()

        def has_tried() -> bool:
            self.scan()
            return self.asked() - seen >= count

        wait_until(has_tried, WITHIN_S, f"{count} more tries")

    def asked(self) -> int:
        return sum(len(self.stub.seen(verb)) for verb in ("redeem", "status", "download"))

    def answers(self, *responses: Response) -> None:
        """Upstream answers so, in turn; with none, as it should."""
        self.stub.off()
        turn = iter(range(10**6))
        for verb in ("redeem", "status", "download") if responses else ():
            self.stub.on(verb, lambda request: responses[next(turn) % len(responses)])

    def said(self) -> list[tuple[str, str]]:
        """Level and text of each line so far; each is one."""
        address = f"edgebox serves at {self.box.url}"  # which is none
        lines = [line for line in self.box.output.splitlines() if line != address]
        matches = [LINE.fullmatch(line) for line in lines]
        assert all(matches), [line for line, match in zip(lines, matches, strict=True) if not match]
        return [(match["level"], match["rest"]) for match in matches if match]


@pytest.fixture
def evening(box: BoxProcess, stub: StubUpstream) -> Evening:
    often = {"backoff_max_s": 1.0, "probe_interval_s": 1.0, "pull_interval_s": 1.0}
    box.env |= {f"EDGEBOX_{key.upper()}": str(value) for key, value in often.items()}
    return Evening(box, stub)


@pytest.mark.parametrize("answer", [PORTAL_PAGE, SERVER_ERROR, unavailable(), ANSWER_LOST])
def test_an_outage_is_two_lines(evening: Evening, answer: Response) -> None:
    before = len(evening.said())
    evening.answers(answer)
    evening.tries(8)
    evening.answers()
    evening.is_online()
    evening.is_pushed()
    said = [line for line in evening.said()[before:] if "pulled" not in line[1] and "pushed" not in line[1]]
    assert [level for level, _ in said] == ["WARNING", "INFO"], said
    assert "list 1: upstream answers" in said[1][1]


def test_an_outage_whose_reasons_alternate_names_each_once(evening: Evening) -> None:
    before = len(evening.said())
    evening.answers(SERVER_ERROR, PORTAL_PAGE)
    evening.tries(12)
    evening.answers()
    evening.is_online()
    warnings = [text.split(": ", 3)[-1] for level, text in evening.said()[before:] if level == "WARNING"]
    assert len(warnings) == len(set(warnings)) <= 3, warnings


def test_a_busy_door_is_not_a_line_a_push(evening: Evening) -> None:
    before = len(evening.said())
    for _ in range(6):
        evening.scan()
        evening.is_pushed()
    assert [text for _, text in evening.said()[before:] if "check-ins pushed" in text] == []


def test_quiet_pulls_are_no_lines(evening: Evening) -> None:
    evening.is_pushed()
    pulls = len(evening.stub.seen("download"))
    wait_until(lambda: len(evening.stub.seen("download")) >= pulls + 2, WITHIN_S, "the check-in was pulled back")
    before, pulls = len(evening.said()), len(evening.stub.seen("download"))
    wait_until(lambda: len(evening.stub.seen("download")) >= pulls + 2, WITHIN_S, "two more pulls")
    assert evening.said()[before:] == []


def test_no_key_code_or_name_stands_in_it(evening: Evening) -> None:
    evening.answers(SERVER_ERROR, PORTAL_PAGE)
    evening.tries(6)
    evening.answers()
    evening.is_online()
    assert evening.box.stop() == 0
    for private in (evening.stub.key, evening.key, "secret-of-ada", "code0", "Ada", "Lovelace", "Grace"):
        assert private not in evening.box.output, private


# --- the form of a line -----------------------------------------------------------------------------------------------


def record(message: str, *, is_fault: bool = False, level: int = logging.ERROR) -> logging.LogRecord:
    info = None
    if is_fault:
        try:
            raise ValueError("line one\nline two")
        except ValueError:
            info = sys.exc_info()
    return logging.LogRecord("edgebox.test", level, __file__, 1, message, (), info)


def test_a_fault_is_one_line_with_its_traceback() -> None:
    text = OneLine(is_journal=True).format(record("it failed", is_fault=True))
    assert "\n" not in text
    assert text.startswith("<3>ERROR edgebox.test: it failed | Traceback (most recent call last): | File ")
    assert text.endswith("ValueError: line one | line two")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\u2028", "\x85"])
def test_nobody_can_forge_a_line(end: str) -> None:
    text = OneLine(is_journal=True).format(record(f"a list named Main{end}<0>CRITICAL edgebox: all is lost"))
    assert len(text.splitlines()) == 1
    assert text.startswith("<3>ERROR edgebox.test: a list named Main | ")


@pytest.mark.parametrize(
    ("level", "priority"), [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3)]
)
def test_the_journal_knows_how_much_a_line_matters(level: int, priority: int) -> None:
    assert OneLine(is_journal=True).format(record("x", level=level)).startswith(f"<{priority}>")


def test_elsewhere_the_time_stands_before_it() -> None:
    assert re.match(r"\d{4}-\d\d-\d\d .* ERROR edgebox\.test: x$", OneLine(is_journal=False).format(record("x")))


@pytest.mark.parametrize(("level", "expected"), [("warning", []), ("info", ["INFO edgebox.serving: the box stops"])])
def test_the_level_is_a_setting(box: BoxProcess, level: str, expected: list[str]) -> None:
    box.env["EDGEBOX_LOG_LEVEL"] = level
    box.start()
    assert box.stop() == 0
    assert [line.split(" ", 2)[-1] for line in box.output.splitlines()[1:]] == expected
