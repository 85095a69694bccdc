"""Whatever upstream, a device or a guest calls things: it steers no terminal, in no command and not in the log."""

from __future__ import annotations

import csv
import io
import logging

import pytest

from edgebox.cli.serve import start_logging
from edgebox.config import Config
from edgebox.export import FORMULA_STARTS
from tests.cli.conftest import Desk, HostedBox
from tests.support import hostile
from tests.support.event import StubItem
from tests.support.pretix import PretixStub, Response, check_in_list, order, position, said
from tests.support.upstream import StubUpstream, always, json_answer

TEXT = "".join(hostile.TERMINAL)


def assert_harmless(text: str) -> None:
    found = hostile.STEERING.search(text)
    assert not found, repr(text[max(0, found.start() - 40) : found.end() + 40])


def test_no_command_lets_an_old_upstream_steer_the_terminal(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.list_name = TEXT
    stub.items = [StubItem(1, TEXT, True, {1: TEXT}), StubItem(2, TEXT)]
    stub.add_ticket("guest1", attendee_name=TEXT, order=TEXT[:60])
    stub.add_ticket("guest2", attendee_name=TEXT, order=TEXT[:60])
    hosted.start()
    said = [desk.try_("lists", "add", stub.url, "-", input=f"{stub.key}\n")]
    said.append(desk.try_("devices", "add", "Gate 1", "--list", "1", "--key", "GATEKEY", "--items", "77"))
    desk.try_("sync")
    assert hosted.redeem("GATEKEY", "guest1").status_code == 200
    assert hosted.redeem("GATEKEY", TEXT, nonce="n").status_code == 200
    stub.on("redeem", always(json_answer({"version": 3, "status": "error", "reason": TEXT, "message": TEXT})))
    said += [
        desk.try_(*command)
        for command in (
            ("sync",), ("lists",), ("status",), ("status", "--json"), ("devices",), ("devices", "show", "Gate 1"),
            ("attention",), ("log",), ("log", "--secret", TEXT), ("log", "--json"), ("export", "--format", "json"),
            ("lists", "add", stub.url, stub.key), ("lists", "remove", "1"),
        )
    ]  # fmt: skip
    for outcome in said:
        # Of a drawn code only the drawing has colours.
        text = "\n".join(line for line in (outcome.out + outcome.err).splitlines() if "\x1b[30m" not in line)
        assert_harmless(text)
    assert sum("\ufffd" in outcome.out or "\\u" in outcome.out for outcome in said) > 5, "they were shown"


def test_nor_todays_pretix(desk: Desk, pretix: PretixStub) -> None:
    pretix.lists = [check_in_list(1, TEXT)]
    pretix.event["name"] = {"en": TEXT}
    pretix.items[0]["name"] = {"en": TEXT}
    pretix.profile = TEXT
    pretix.on("device/info", _info(pretix))
    pretix.orders.append(order("ABC12", position(1, attendee_name=TEXT)))
    told = [
        desk.try_(*command)
        for command in (
            ("connect", pretix.url, pretix.init_token), ("connections",), ("connections", "--json"),
            ("lists", "offered"), ("lists", "offered", "--json"), ("lists", "add", "democon/1"),
            ("lists",), ("sync",), ("status",),
        )
    ]  # fmt: skip
    for outcome in told:
        assert_harmless(outcome.out + outcome.err)
    assert [outcome.status for outcome in told[:7]] == [0] * 7
    assert sum("\ufffd" in outcome.out or "\\u" in outcome.out for outcome in told) > 4


def _info(pretix: PretixStub) -> Response:
    return said({"device": {**pretix._device(), "name": TEXT}, "server": {"version": {"pretix": TEXT}}})


def test_an_error_is_one_line_that_steers_nothing(desk: Desk) -> None:
    for command in (
        ("devices", "show", TEXT),
        ("devices", "revoke", TEXT),
        ("lists", "add", TEXT),
        (TEXT,),
        ("--x", TEXT),
    ):
        outcome = desk.try_(*(part.replace("\x00", "") for part in command))
        assert outcome.status != 0
        assert_harmless(outcome.err)
        assert outcome.err.count("\n") <= 2


def test_the_log_is_one_line_an_event_and_steers_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        start_logging(Config(data_dir=None))  # type: ignore[arg-type]
        logging.getLogger("x").warning("upstream says %s", f"{TEXT}\nERROR forged: all is lost")
        try:
            raise ValueError(TEXT)
        except ValueError:
            logging.getLogger("x").exception("a fault")
    finally:
        root.handlers[:], root.level = handlers, level
    told = capfd.readouterr().err
    assert_harmless(told)
    lines = told.splitlines()
    assert len(lines) == 2
    assert "forged" in lines[0]
    assert "ERROR x: a fault | Traceback" in lines[1]
    assert "| ValueError: " in lines[1]


def test_csv_on_a_terminal_steers_nothing_and_is_no_formula(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    texts = [*hostile.TERMINAL, *hostile.FORMULAS]
    for number, text in enumerate(texts):
        stub.add_ticket(f"guest{number}", attendee_name=text, order=text[:60])
    hosted.start()
    desk.add_list(stub)
    desk.run("devices", "add", "Gate 1", "--list", "1", "--key", "GATEKEY")
    for number in range(len(texts)):
        hosted.redeem("GATEKEY", f"guest{number}")
    told = desk.run("export")
    rows = list(csv.DictReader(io.StringIO(told, newline="")))
    assert len(rows) == len(texts)
    for cell in (cell for row in rows for cell in row.values()):
        assert not cell.startswith(FORMULA_STARTS)
        assert "\x1b" not in cell
        assert "\x9b" not in cell
    names = [row["name"] for row in desk.checkins()]
    assert names == texts, "for programs they are as they are"
