"""Entry and exit: who is inside, who may come in again, and what upstream is told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from edgebox.cli.main import edgebox
from edgebox.export import journal_row, log_row
from edgebox.model import CheckInList, StampKind
from tests.pretixscan.conftest import OpenGate
from tests.pretixscan.gate import NOW, Gate, a_ticket, sell
from tests.support.event import StubEvent
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App
from tests.support.upstream import StubUpstream


def goes(gate: Gate, app: App, *ways: str, secret: str = "ada") -> list[str]:
    """What each of these scans comes to, a second apart."""
    told = []
    for way in ways:
        gate.let_pass(1)
        result = app.check(secret, way)
        assert result.scan_type == way
        told.append(result.type)
    return told


def inside(gate: Gate, app: App, list_: CheckInList) -> int | None:
    """How many are, as the phone and the Now page have it."""
    status = app.status()[list_.event]
    count = gate.count(list_)
    assert (status.already_scanned, status.currently_inside) == (count.checkins, count.inside)
    [shown] = [each for each in gate.box.status() if each.list.id == list_.id]
    assert (shown.checkins, shown.inside) == (count.checkins, count.inside)
    return status.currently_inside


def journal(gate: Gate) -> list[tuple[str, str]]:
    return [(checkin.direction.value, checkin.state.value) for checkin in gate.checkins()]


# --- where upstream knows exits ---------------------------------------------------------------------------------------


@pytest.fixture
def fair(pretix: PretixStub) -> PretixStub:
    pretix.lists = [
        check_in_list(1, "Again"),
        check_in_list(2, "Once", allow_entry_after_exit=False),
        check_in_list(3, "Often", allow_multiple_entries=True),
    ]
    for code in ("ADA", "BOB"):
        sell(pretix, code)
    return pretix


def test_who_left_may_come_in_again_where_the_list_allows_it(gate: Gate, fair: PretixStub) -> None:
    again, once, often = gate.add_current(fair, 1, 2, 3)
    phones = [gate.phone(each, name=each.name) for each in (again, once, often)]
    ways = ("ENTRY", "ENTRY", "EXIT", "EXIT", "ENTRY", "ENTRY")
    assert [goes(gate, phone, *ways) for phone in phones] == [
        ["VALID", "USED", "VALID", "VALID", "VALID", "USED"],
        ["VALID", "USED", "VALID", "VALID", "USED", "USED"],
        ["VALID", "VALID", "VALID", "VALID", "VALID", "VALID"],
    ]
    assert [inside(gate, phone, each) for phone, each in zip(phones, (again, once, often), strict=True)] == [1, 0, 1]


def test_pretix_is_told_which_way_each_went_and_when(gate: Gate, fair: PretixStub) -> None:
    [list_] = gate.add_current(fair, 1)
    app = gate.phone(list_)
    assert goes(gate, app, "ENTRY", "EXIT", "ENTRY") == ["VALID"] * 3
    assert journal(gate) == [("entry", "pending"), ("exit", "pending"), ("entry", "pending")]
    times = [checkin.datetime for checkin in gate.checkins()]
    gate.sync()
    told = [(each["type"], datetime.fromisoformat(each["datetime"]), each["force"]) for each in fair.redeemed[:2]]
    assert told == [("entry", times[0], False), ("exit", times[1], False)]
    assert journal(gate) == [("entry", "settled"), ("exit", "settled"), ("entry", "settled")]
    assert inside(gate, app, list_) == 1


def test_exits_that_pretix_tells_count_as_well(gate: Gate, fair: PretixStub) -> None:
    at = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    ways = [
        {"list": 1, "datetime": (at + timedelta(hours=n)).isoformat(), "type": t}
        for n, t in enumerate(["entry", "exit"])
    ]
    sell(fair, "CEM", a_ticket("cem", checkins=ways))
    sell(fair, "DAN", a_ticket("dan", checkins=ways[:1]))
    [list_] = gate.add_current(fair, 1)
    app = gate.phone(list_)
    assert inside(gate, app, list_) == 1
    assert (goes(gate, app, "ENTRY", secret="cem"), goes(gate, app, "ENTRY", secret="dan")) == (["VALID"], ["USED"])
    assert goes(gate, app, "EXIT", "ENTRY", secret="dan") == ["VALID", "VALID"]
    assert inside(gate, app, list_) == 2


def test_an_exit_needs_no_rule_time_or_first_entry_but_a_ticket_of_the_list(gate: Gate, pretix: PretixStub) -> None:
    pretix.items.append({**pretix.items[0], "id": 2})
    rules = {"inList": [{"var": "product"}, {"objectList": []}]}
    pretix.lists = [check_in_list(1, "Nobody", all_products=False, limit_products=[1], rules=rules)]
    sell(pretix, "ADA", a_ticket("ada", valid_until="2026-11-24T12:00:00Z"))
    sell(pretix, "BOB")
    sell(pretix, "UNPAID", status="n")
    sell(pretix, "CLOSED", status="c")
    sell(pretix, "BLOCKED", a_ticket("blocked", blocked=["admin"]))
    sell(pretix, "OTHER", a_ticket("other", item=2))
    [list_] = gate.add_current(pretix)
    app = gate.phone(list_)
    told = {code: goes(gate, app, "ENTRY", "EXIT", secret=code) for code in ("ada", "bob")}
    assert told == {"ada": ["INVALID_TIME", "VALID"], "bob": ["RULES", "VALID"]}
    refused = [goes(gate, app, "EXIT", secret=each)[0] for each in ("unpaid", "closed", "blocked", "other", "nobody")]
    assert refused == ["UNPAID", "CANCELED", "BLOCKED", "PRODUCT", "INVALID"]
    assert inside(gate, app, list_) == 0


# --- where it knows none ----------------------------------------------------------------------------------------------


@pytest.fixture
def old(gate: Gate, stub: StubUpstream) -> CheckInList:
    for secret in ("ada", "bob"):
        stub.add_ticket(secret)
    return gate.add_old(stub)


@pytest.fixture
def filed(gate: Gate) -> CheckInList:
    event = StubEvent()
    for secret in ("ada", "bob"):
        event.add_ticket(secret)
    return gate.add_saved(event)


@pytest.mark.parametrize("kind", ["old", "filed"])
def test_who_leaves_is_let_out_counted_and_not_let_in_again(
    gate: Gate, kind: str, request: pytest.FixtureRequest
) -> None:
    list_: CheckInList = request.getfixturevalue(kind)
    app = gate.phone(list_)
    seen = []
    for way in ("ENTRY", "EXIT", "ENTRY", "EXIT"):
        told = goes(gate, app, way)
        seen.append((told, inside(gate, app, list_), gate.count(list_).checkins))
    assert seen == [(["VALID"], 1, 1), (["VALID"], 0, 1), (["USED"], 0, 1), (["VALID"], 0, 1)]
    assert goes(gate, app, "ENTRY", secret="bob") == ["VALID"]
    assert inside(gate, app, list_) == 1
    assert [each.is_redeemed for each in app.search("Lovelace")] == [True, True]
    entry = "pending" if kind == "old" else "settled"
    assert journal(gate) == [("entry", entry), ("exit", "kept"), ("exit", "kept"), ("entry", entry)]


@pytest.mark.parametrize("kind", ["old", "filed"])
def test_who_was_never_let_in_can_leave_and_come_in(gate: Gate, kind: str, request: pytest.FixtureRequest) -> None:
    list_: CheckInList = request.getfixturevalue(kind)
    app = gate.phone(list_)
    assert goes(gate, app, "EXIT") == ["VALID"]
    assert (inside(gate, app, list_), gate.count(list_).checkins) == (0, 0)
    assert goes(gate, app, "ENTRY", "ENTRY") == ["VALID", "USED"]
    assert inside(gate, app, list_) == 1


def test_upstream_is_told_of_entries_only(gate: Gate, old: CheckInList, stub: StubUpstream) -> None:
    app = gate.phone(old)
    goes(gate, app, "ENTRY", "EXIT")
    goes(gate, app, "EXIT", "ENTRY", "EXIT", secret="bob")
    for _ in range(2):
        gate.sync()
    assert [each.secret for each in stub.log] == ["ada", "bob"]
    assert len(stub.seen("redeem")) == 2
    assert sorted(journal(gate)) == [("entry", "settled")] * 2 + [("exit", "kept")] * 3
    assert gate.box.status()[0].pending == 0
    assert gate.box.conflicts() == []
    gate.box.remove_list(old.id)  # nothing waits that would forbid it


@pytest.mark.parametrize("pulls", [0, 1, 2])
def test_who_left_stays_out_whatever_upstream_tells(
    gate: Gate, old: CheckInList, stub: StubUpstream, pulls: int
) -> None:
    """However often it was pulled before and after: the first sync pushes the entry, the second one tells it."""
    app = gate.phone(old)
    goes(gate, app, "ENTRY")
    for _ in range(pulls):
        gate.sync()
    assert inside(gate, app, old) == 1
    goes(gate, app, "EXIT")
    for _ in range(pulls):
        gate.sync()
    assert (inside(gate, app, old), gate.count(old).checkins) == (0, 1)
    assert goes(gate, app, "ENTRY") == ["USED"]
    assert len(stub.log) == min(pulls, 1)


def test_one_whom_upstream_let_in_can_leave_here(gate: Gate, old: CheckInList, stub: StubUpstream) -> None:
    stub.redeem({"secret": "ada"})
    gate.sync()
    app = gate.phone(old)
    assert inside(gate, app, old) == 1
    assert goes(gate, app, "EXIT") == ["VALID"]
    gate.sync()
    assert (inside(gate, app, old), gate.count(old).checkins) == (0, 1)
    assert goes(gate, app, "ENTRY") == ["USED"]


def test_an_entry_that_is_undone_upstream_lets_in_again(gate: Gate, old: CheckInList, stub: StubUpstream) -> None:
    app = gate.phone(old)
    goes(gate, app, "ENTRY", "EXIT")
    gate.sync()
    gate.sync()
    del stub.checkins["ada"]
    gate.sync()
    assert (inside(gate, app, old), gate.count(old).checkins) == (0, 0)
    assert goes(gate, app, "ENTRY") == ["VALID"]
    assert inside(gate, app, old) == 1


def test_an_exit_is_put_right_with_its_entry_where_the_clock_was_wrong(
    gate: Gate, old: CheckInList, stub: StubUpstream, open_gate: OpenGate
) -> None:
    """The box woke up two days too early, and hears the time only with the first answer of upstream."""
    gate.close()
    stub.stop()
    again = open_gate(at=gate.data_dir, is_synchronised=False)
    again.let_pass(-2 * 86400)
    app = again.phone(again.list_(old.id))
    assert goes(again, app, "ENTRY", "EXIT") == ["VALID", "VALID"]
    stub.date = lambda: NOW
    stub.start()
    again.sync()
    entry, left = again.checkins()
    assert (entry.stamp, left.stamp) == (StampKind.CORRECTED, StampKind.CORRECTED)
    assert left.datetime - entry.datetime == timedelta(seconds=1)
    assert abs(left.datetime - NOW) < timedelta(minutes=1)
    assert inside(again, app, again.list_(old.id)) == 0


@pytest.mark.parametrize("kind", ["old", "filed"])
def test_one_who_is_let_in_by_force_is_inside_again(gate: Gate, kind: str, request: pytest.FixtureRequest) -> None:
    list_: CheckInList = request.getfixturevalue(kind)
    app = gate.phone(list_)
    goes(gate, app, "ENTRY", "EXIT")
    device = gate.box.scanners.add("Old app", list_.id)
    gate.let_pass(1)
    path = f"pretixdroid/api/demoorga/democon/redeem/?key={device.key}"
    assert gate.ask("POST", path, data={"secret": "ada", "force": "true"}).json()["status"] == "ok"
    for _ in range(3):
        assert (inside(gate, app, list_), gate.count(list_).checkins) == (1, 1)
        gate.sync()
    assert goes(gate, app, "EXIT") == ["VALID"]
    assert inside(gate, app, list_) == 0


def test_the_other_dialect_sees_a_used_ticket_and_one_entry(gate: Gate, filed: CheckInList) -> None:
    app = gate.phone(filed)
    goes(gate, app, "ENTRY", "EXIT")
    device = gate.box.scanners.add("Old app", filed.id)
    path = "pretixdroid/api/demoorga/democon"
    assert gate.ask("GET", f"{path}/status/?key={device.key}").json()["checkins"] == 1
    answer = gate.ask("POST", f"{path}/redeem/?key={device.key}", data={"secret": "ada"}).json()
    assert (answer["status"], answer["reason"]) == ("error", "already_redeemed")


def test_the_records_say_which_way_it_went(gate: Gate, filed: CheckInList) -> None:
    app = gate.phone(filed)
    goes(gate, app, "ENTRY", "EXIT")
    goes(gate, app, "EXIT", secret="nobody")
    goes(gate, app, "ENTRY", secret="bob")
    rows = [journal_row(row) for row in gate.journal]
    assert [(row["direction"], row["state"], row["settled"]) for row in rows] == [
        ("entry", "settled", True), ("exit", "kept", False), ("entry", "settled", True)
    ]  # fmt: skip
    log = [log_row(entry) for entry in gate.log()]
    assert [(row["secret"], row["direction"], row["verdict"]) for row in log] == [
        ("ada", "entry", "ok"), ("ada", "exit", "ok"), ("nobody", "exit", "unknown_ticket"), ("bob", "entry", "ok")
    ]  # fmt: skip
    told = CliRunner().invoke(edgebox, ["--data", str(gate.data_dir), "log"]).output.splitlines()
    assert [line.split("  ")[1] for line in told] == ["ok", "ok (exit)", "unknown_ticket (exit)", "ok"]
    ticket_id = gate.checkins("ada")[0].ticket_id
    story = gate.box.desk.story(ticket_id)
    assert [(past.direction.value, past.device_name) for past in story.history] == [
        ("entry", "Gate 1"), ("exit", "Gate 1")
    ]  # fmt: skip
