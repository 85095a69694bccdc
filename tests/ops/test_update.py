"""scripts/update for real, while scanners scan: another version that is well, and several that are not.

Each test has a machine of its own, on which the box was installed from a bundle and has started with the power.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.ops.conftest import Installed
from tests.support.box import wait_until
from tests.support.debian import Machine, release
from tests.support.event import StubEvent

pytestmark = pytest.mark.slow

OPT, DATA = "/opt/edgebox", "/var/lib/edgebox"
NEWER = Path("/media/newer")
UPDATE = ("bash", f"{NEWER}/scripts/update")
WITHIN_S = "25"
GATES, TICKETS = 4, 12_000

# Scans one ticket after the other, and each again until it is answered, as an app does. It writes down every `ok`, and
# what came instead of an answer.
SCAN = """
import http.client, json, pathlib, sys, threading, time
gates, tickets, stop, out = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
waiting, let_in, instead, odd = list(reversed(range(tickets))), [], [], []

def gate():
    box = http.client.HTTPConnection("127.0.0.1", 8000, timeout=20)
    while waiting and not stop.exists():
        secret = f"secret{waiting.pop():06d}"
        while not stop.exists():
            try:
                box.request("POST", "/pretixdroid/api/demoorga/democon/redeem/?key=GATE1KEY",
                            f"secret={secret}&nonce=nonce-of-{secret}",
                            {"Content-Type": "application/x-www-form-urlencoded"})
                answer = box.getresponse()
                said = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                box.close()
                instead.append((time.monotonic(), "no answer"))
                time.sleep(0.1)
                continue
            if answer.status == 200 and json.loads(said)["status"] == "ok":
                let_in.append((time.monotonic(), secret))
                break
            (instead if answer.status == 503 else odd).append((time.monotonic(), f"{answer.status} {said[:200]}"))
            time.sleep(0.1)
        time.sleep(0.1)

threads = [threading.Thread(target=gate) for _ in range(gates)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    time.sleep(0.2)
    (out.parent / "let_in").write_text(str(len(let_in)))
out.write_text(json.dumps({"let_in": let_in, "instead": instead, "odd": odd}))
"""


@dataclass
class Evening:
    """What the scanners were answered, with the seconds at which they were."""

    let_in: list[tuple[float, str]]
    instead: list[tuple[float, str]]
    odd: list[tuple[float, str]]

    @property
    def pause_s(self) -> float:
        """The longest time without an entry."""
        at = sorted(at for at, _ in self.let_in)
        return max(later - earlier for earlier, later in pairwise(at))


class Gates:
    """Scanners of a machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        machine.path("/srv/scan.py").write_text(SCAN)
        for name in ("stop", "scanned.json", "let_in"):
            machine.path(f"/srv/{name}").unlink(missing_ok=True)
        machine.run("systemctl", "reset-failed", "gates", check=False)
        command = ("python3", "-I", "/srv/scan.py", GATES, TICKETS, "/srv/stop", "/srv/scanned.json")
        machine.run("systemd-run", "--unit=gates", "--quiet", *map(str, command))

    def entries(self) -> int:
        counted = self._machine.path("/srv/let_in")
        return int(counted.read_text() or 0) if counted.exists() else 0

    def go_on(self, entries: int = 50) -> None:
        """Return when so many more were let in."""
        wanted = self.entries() + entries
        wait_until(lambda: self.entries() >= wanted, 60, "the gates scan")

    def close(self) -> Evening:
        self._machine.path("/srv/stop").touch()
        scanned = self._machine.path("/srv/scanned.json")
        wait_until(lambda: scanned.exists() and scanned.read_text(), 60, "the gates close")
        return Evening(**json.loads(scanned.read_text()))


@pytest.fixture
def box(booted: Machine) -> Machine:
    """A box with a list of many tickets, and a scanner."""
    event = StubEvent()
    event.add_tickets(TICKETS)
    saved = booted.path("/srv/list.json")
    saved.write_text(json.dumps({"status": event.status(), "download": event.download()}))
    saved.chmod(0o644)
    booted.run("edgebox", "lists", "add", "/srv/list.json")
    booted.run("edgebox", "devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")
    return booted


@contextmanager
def scanning(machine: Machine) -> Iterator[Gates]:
    gates = Gates(machine)
    try:
        gates.go_on()
        yield gates
    finally:
        machine.path("/srv/stop").touch()


# --- versions ---------------------------------------------------------------------------------------------------------


def has_another_schema(code: Path) -> None:
    step = "ALTER TABLE checkin ADD COLUMN mood TEXT;\nCREATE TABLE mood (name TEXT NOT NULL);\n"
    (code / "edgebox" / "store" / "schema" / "9999_mood.sql").write_text(f"-- How guests are.\n{step}")


def cannot_be_brought_up_to_date(code: Path) -> None:
    (code / "edgebox" / "store" / "schema" / "9999_mood.sql").write_text("ALTER TABLE mood ADD COLUMN name TEXT;\n")


def does_not_serve(code: Path) -> None:
    serving = code / "edgebox" / "serving.py"
    head, define, body = serving.read_text().partition("def _serve(")
    assert define
    first, colon, rest = body.partition("-> None:\n")
    serving.write_text(f'{head}{define}{first}{colon}    raise RuntimeError("it does not serve")\n{rest}')


def dies_soon(code: Path) -> None:
    """It serves and records, with a schema of its own, and ends after four seconds, again and again."""
    has_another_schema(code)
    serving = code / "edgebox" / "serving.py"
    text = serving.read_text()
    assert text.count("        on_ready(box)\n") == 1
    dying = "        import threading\n        threading.Timer(4, os._exit, [3]).start()\n"
    serving.write_text(text.replace("        on_ready(box)\n", f"        on_ready(box)\n{dying}"))


Make = Callable[[Callable[[Path], None]], Path]


@pytest.fixture(scope="module")
def newer(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a bundle of version 9.9.0, changed in some way; of each once."""
    made: dict[str, Path] = {}

    def make(change: Callable[[Path], None]) -> Path:
        if change.__name__ not in made:
            folder = tmp_path_factory.mktemp(change.__name__)
            made[change.__name__] = release(folder, installed.suite, "9.9.0", change)
        return made[change.__name__]

    return make


# --- what there is afterwards -----------------------------------------------------------------------------------------


def current(machine: Machine) -> str:
    return os.readlink(machine.path(f"{OPT}/current")).removeprefix("versions/")


def releases(machine: Machine) -> set[str]:
    return set(os.listdir(machine.path(f"{OPT}/versions")))


def printed_pause_s(said: str) -> float:
    found = re.search(r"for at most ([0-9.]+) s\.$", said, re.MULTILINE)
    assert found, said
    return float(found[1])


def schema(machine: Machine) -> int:
    look = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version').fetchone()[0])"
    return int(machine.run("python3", "-c", look, f"{DATA}/edgebox.sqlite3"))


def held_in_files(machine: Machine) -> str:
    """A ticket's code, as often as it is found."""
    return machine.run(
        "grep", "--recursive", "--text", "--only-matching", "--no-filename", "secret000000", DATA, check=False
    )


def process(machine: Machine) -> str:
    return machine.run("systemctl", "show", "--property=MainPID,NRestarts", "edgebox")


def timers(machine: Machine) -> list[str]:
    names = [f"edgebox-{name}.timer" for name in ("backup", "purge")]
    return machine.run("systemctl", "is-active", *names, check=False).split()


def assert_nobody_is_lost(machine: Machine, evening: Evening) -> None:
    """Everybody who was let in, before, during and after, is in the journal once; and nobody else is."""
    told: dict[str, Any] = json.loads(machine.run("edgebox", "export", "--format", "json"))
    journal = Counter(row["nonce"] for row in told["checkins"])
    let_in = {f"nonce-of-{secret}" for _, secret in evening.let_in}
    assert let_in <= set(journal)
    assert set(journal.values()) == {1}
    # Each gate may have been waiting for one answer when it closed.
    assert len(journal) <= len(let_in) + GATES
    assert evening.odd == []
    assert machine.run("edgebox", "attention") == "Nothing needs attention.\n"


# --- the tests --------------------------------------------------------------------------------------------------------


def test_an_update_while_they_scan(box: Machine, newer: Make) -> None:
    old, schema_before = current(box), schema(box)
    box.run("cp", "-r", f"{OPT}/versions/{old}", f"{OPT}/versions/0.0.9-cafebabe")
    box.plug_in(newer(has_another_schema), NEWER)
    with scanning(box) as gates:
        said = box.run(*UPDATE)
        gates.go_on()
        evening = gates.close()
    print(said, evening.pause_s)

    assert_nobody_is_lost(box, evening)
    assert evening.instead, "the changeover was not under load"
    assert evening.pause_s < printed_pause_s(said) + 1 < 30
    assert current(box).startswith("9.9.0-")
    assert "version 9.9.0" in box.run("edgebox", "--version")
    assert (schema(box), schema(box) > schema_before) == (9999, True)
    assert releases(box) == {current(box), old}
    # What it takes to go back is kept, for nobody else to see; and nothing else.
    kept = [path for path in box.path(f"{DATA}/update").rglob("*") if path.is_file()]
    assert [path.suffix for path in kept] == [".sqlite3"]
    assert {path.stat().st_mode & 0o077 for path in box.path(f"{DATA}/update").rglob("*")} == {0}
    assert timers(box) == ["active", "active"]
    assert "is in use already; nothing was changed" in box.run(*UPDATE)


def test_back_by_hand_with_all_that_the_newer_one_recorded(box: Machine, newer: Make) -> None:
    old = current(box)
    box.plug_in(newer(has_another_schema), NEWER)
    with scanning(box) as gates:
        box.run(*UPDATE)
        gates.go_on(200)
        said = box.run(*UPDATE, "--back")
        gates.go_on()
        evening = gates.close()
    print(said, evening.pause_s)

    assert_nobody_is_lost(box, evening)
    assert "Every check-in is there" in said
    assert evening.pause_s < 60
    assert (current(box), schema(box) < 9999) == (old, True)
    assert not box.path(f"{DATA}/update").exists()
    assert timers(box) == ["active", "active"]
    said = box.run(*UPDATE, "--back", check=False)
    assert (box.status, f"There is no version before edgebox {old}" in said) == (1, True)


def test_after_a_purge_there_is_no_way_back_that_would_bring_names_again(box: Machine, newer: Make) -> None:
    box.plug_in(newer(has_another_schema), NEWER)
    box.run(*UPDATE)
    assert "secret000000" in held_in_files(box)
    said = box.run("edgebox", "purge", "--list", "1", "--yes")
    assert "NOT purged" not in said
    assert held_in_files(box) == ""

    said = box.run(*UPDATE, "--back", check=False)
    assert (box.status, "Going back was not possible" in said) == (1, True)
    assert current(box).startswith("9.9.0-")
    wait_until(lambda: '"serves_at": "http' in box.run("edgebox", "status", "--json"), 60, "the newer one serves on")
    assert held_in_files(box) == ""


@pytest.mark.parametrize("change", [does_not_serve, dies_soon], ids=lambda change: change.__name__)
def test_one_that_is_not_well_is_taken_back(box: Machine, newer: Make, change: Callable[[Path], None]) -> None:
    old, schema_before = current(box), schema(box)
    box.plug_in(newer(change), NEWER)
    with scanning(box) as gates:
        said = box.run(*UPDATE, "--within", WITHIN_S, check=False)
        status = box.status
        gates.go_on()
        evening = gates.close()
    print(said, evening.pause_s)

    assert status == 1
    assert_nobody_is_lost(box, evening)
    assert "is not well. What it said last:" in said
    assert ("it gets its own from before" in said) == (change is dies_soon)
    assert f"edgebox {old} serves again" in said
    assert evening.pause_s < 90
    assert (current(box), schema(box)) == (old, schema_before)
    assert not box.path(f"{DATA}/update").exists()
    assert timers(box) == ["active", "active"]


def test_one_that_cannot_serve_the_data_changes_nothing(box: Machine, newer: Make) -> None:
    before = current(box), process(box), schema(box)
    box.plug_in(newer(cannot_be_brought_up_to_date), NEWER)
    with scanning(box) as gates:
        said = box.run(*UPDATE, check=False)
        status = box.status
        gates.go_on()
        evening = gates.close()

    assert status == 1
    assert "cannot serve these data; nothing was changed" in said
    assert evening.instead == []
    assert_nobody_is_lost(box, evening)
    assert (current(box), process(box), schema(box)) == before
    assert not box.path(f"{DATA}/update").exists()
    assert timers(box) == ["active", "active"]


@pytest.mark.parametrize("way", ["again", "back"])
def test_what_was_killed_is_set_right(box: Machine, newer: Make, way: str) -> None:
    """Once while a copy is tried, once right before the changeover, with the box on hold, and once right after it."""
    old = current(box)
    box.plug_in(newer(has_another_schema), NEWER)

    def killed(when: Callable[[], bool]) -> None:
        box.run("systemd-run", "--unit=update", "--collect", "--quiet", *UPDATE)
        wait_until(when, 180, "the moment has come")
        box.run("systemctl", "kill", "--signal=SIGKILL", "update", check=False)
        wait_until(lambda: "inactive" in box.run("systemctl", "is-active", "update", check=False), 30, "it has ended")

    with scanning(box) as gates:
        killed(box.path(f"{DATA}/update/rehearsal/edgebox.sqlite3").exists)
        killed(box.path(f"{DATA}/update/{old}").exists)
        killed(lambda: current(box) != old)
        said = box.run(*UPDATE, *(["--back"] if way == "back" else []))
        gates.go_on()
        evening = gates.close()
    print(said, evening.pause_s)

    assert_nobody_is_lost(box, evening)
    assert (current(box) == old) == (way == "back")
    assert not box.path(f"{OPT}/updating-from").is_symlink()
    assert box.path(f"{DATA}/update").exists() == (way == "again")
    assert timers(box) == ["active", "active"]
