"""What was answered survives a power cut: shown for every moment at which the power can go.

A process has an evening on a real store (four gates at once, a pull, settlements, checkpoints, copies, a stop and a new
start), and everything that it tells the disk is recorded with a library that is preloaded into it: each write, each
change of a name, each sync, and, as writes to a file of the test's own, each answer. The record is played back up to
each sync and each answer, and to moments between, into a model of a disk that keeps no more than it promised
(`tests/support/disk.py` says exactly what): nothing that was not synced, all of it, or any part of it in any order.
Each state is laid out as files and opened with the real store.

Why this is sound: what the box does to its disk it does by these calls (others end the process), a sync counts only for
what had been recorded before it began, and an answer is recorded after it was given. That the method would notice a
loss is shown with a record of which the log's syncs are left out. A restoration is played back in the same way.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgebox.model import CheckInState
from edgebox.store import Store, StoreError, open_for_reading
from edgebox.store.copying import problem_of
from edgebox.store.journal import export
from edgebox.store.longwork import LongWork
from tests.store.evening import Evening, facts, left_damaged
from tests.store.power_evening import MARKS
from tests.support import disk
from tests.support.box import REPOSITORY
from tests.support.disk import Disk, Kind, Record

pytestmark = pytest.mark.skipif(not disk.compiler() and not os.environ.get("CI"), reason="there is no C compiler")

SCANS = 60
STATES = 260
"""States of the disk that are opened in the normal run."""
RESTORING_STATES = 40


WORDS = ("ready", "asked", "ok", "refused", "settled")


@dataclass
class Answered:
    """What had been asked and answered up to a moment."""

    told: dict[str, set[str]] = field(default_factory=lambda: {what: set() for what in WORDS})

    def take(self, record: Record) -> None:
        for line in record.data.decode().splitlines():
            what, which = json.loads(line)
            self.told[what].add(which)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = Path(disk.__file__).with_suffix(".c")
    return disk.compile_library(source, tmp_path_factory.mktemp("disk") / "disk.so")


@pytest.fixture
def place() -> Iterator[Path]:
    """Where states are laid out: in memory, for there nobody waits for a disk."""
    memory = Path("/dev/shm")
    folder = Path(
        subprocess.check_output(["mktemp", "-d", "-p", memory if memory.is_dir() else "/tmp"], text=True).strip()
    )
    yield folder
    shutil.rmtree(folder)


def recorded(library: Path, folder: Path, module: str, *arguments: str, data_dir: Path | None = None) -> list[Record]:
    """What a process does to its data directory."""
    data_dir = data_dir or folder / "data"
    data_dir.mkdir(mode=0o700, exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **disk.environment(library, data_dir, record=folder / "record")}
    subprocess.run([sys.executable, "-m", module, data_dir, *arguments], env=env, check=True, timeout=300)
    return [record for record in disk.records(folder / "record") if not record.path.endswith("-shm")]


def is_mark(record: Record) -> bool:
    return record.path == MARKS


def moments(found: list[Record], dice: random.Random, states: int) -> set[int]:
    """After how many records the power goes: mostly at syncs and answers, and between them."""
    marked = [number for number, record in enumerate(found, 1) if is_mark(record) or record.kind is Kind.SYNC_ENDS]
    others = sorted(set(range(1, len(found) + 1)) - set(marked))
    chosen = dice.sample(marked, min(len(marked), states * 2 // 3))
    return {*chosen, *dice.sample(others, min(len(others), states - len(chosen)))}


def opened(names: dict[str, bytes | None], place: Path, look: Callable[[Store], None]) -> None:
    """Open the real store on what a power cut left."""
    data_dir = place / "data"
    data_dir.mkdir(mode=0o700)
    disk.lay_out(names, data_dir)
    store = Store(data_dir)
    try:
        look(store)
    finally:
        store.close()
        shutil.rmtree(data_dir)


def assert_what_was_answered_is_there(store: Store, answered: Answered) -> None:
    assert answered.told["ok"] <= {row.checkin.nonce for row in export(store.reading())}, "answered, and lost"


def assert_nothing_is_lost(store: Store, answered: Answered) -> None:
    assert_what_was_answered_is_there(store, answered)
    told = answered.told
    rows = [row.checkin for row in export(store.reading())]
    nonces = [row.nonce for row in rows]
    assert len(set(nonces)) == len(nonces)
    assert len({row.secret for row in rows}) == len(rows), "one ticket at four gates is let in once"
    assert set(nonces) <= told["asked"] - told["refused"]
    settled = {row.nonce for row in rows if row.state is CheckInState.SETTLED}
    assert told["settled"] <= settled
    assert store.restorations.unseen() == [], "a power cut damages nothing"
    if told["ready"]:
        assert [device.name for device in store.devices.all()] == ["Gate 1"]
    for copy in store.copies.all():
        assert problem_of(copy.path, LongWork()) is None


Look = Callable[[Store, Answered], None]


def play(
    found: list[Record],
    place: Path,
    *,
    states: int,
    seed: int,
    look: Look = assert_nothing_is_lost,
    on: Path | None = None,
    shares: tuple[float, ...] = (0.0, 1.0, 0.5, 0.5, 0.8),
) -> int:
    """Open what is left of each chosen moment; how many states that were. `on`: what lay on the disk before."""
    dice = random.Random(seed)
    chosen = moments(found, dice, states)
    played, answered = Disk(on), Answered()
    for number, record in enumerate(found, 1):
        if not is_mark(record):
            played.tell(record)
        elif record.kind is Kind.WRITE:
            answered.take(record)
        if number in chosen:
            share = dice.choice(shares)
            names = played.after_a_power_cut(dice, share)
            try:
                opened(names, place, lambda store: look(store, answered))
            except (AssertionError, StoreError) as error:
                error.add_note(f"power cut after record {number} of {len(found)}, share {share}, seed {seed}")
                raise
    return len(chosen)


def test_what_was_answered_is_there_whenever_the_power_goes(library: Path, tmp_path: Path, place: Path) -> None:
    found = recorded(library, tmp_path, "tests.store.power_evening", str(SCANS))
    assert sum(record.kind is Kind.SYNC_ENDS for record in found) > 100
    kinds = {(record.kind, record.path.rpartition(".")[2]) for record in found}
    assert (Kind.UNLINK, "sqlite3-wal") in kinds, "it was stopped and started again"
    assert (Kind.RENAME, "part") in kinds, "it was copied"
    assert any(record.kind is Kind.WRITE and record.path == "edgebox.sqlite3" for record in found), "checkpoints"
    assert play(found, place, states=STATES, seed=1) == STATES


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_what_was_answered_is_there_whenever_the_power_goes_for_long(
    library: Path, tmp_path: Path, place: Path, seed: int
) -> None:
    found = recorded(library, tmp_path, "tests.store.power_evening", str(SCANS * 2))
    assert play(found, place, states=10 * STATES, seed=seed) > STATES


def test_a_store_that_did_not_sync_its_log_would_be_found_out(library: Path, tmp_path: Path, place: Path) -> None:
    found = recorded(library, tmp_path, "tests.store.power_evening", str(SCANS))
    syncs = (Kind.SYNC_BEGINS, Kind.SYNC_ENDS)
    careless = [record for record in found if record.kind not in syncs or not record.path.endswith("-wal")]
    with pytest.raises(AssertionError, match="answered, and lost"):
        play(careless, place, states=STATES, seed=1, look=assert_what_was_answered_is_there, shares=(0.0,))


@pytest.mark.parametrize("which", ["moved", "in_log"])
def test_a_restoration_loses_nothing_whenever_the_power_goes(
    which: str, request: pytest.FixtureRequest, library: Path, tmp_path: Path, place: Path
) -> None:
    evening: Evening = request.getfixturevalue(which)
    database = left_damaged(evening, tmp_path / "data")
    shutil.copytree(database.parent, tmp_path / "before")
    found = recorded(library, tmp_path, "tests.store.power_evening", "0")
    assert (Kind.RENAME, "edgebox.sqlite3.restored") in {(record.kind, record.path) for record in found}
    with closing(open_for_reading(database.parent)) as connection:
        expected = facts(list(export(connection)))

    def look(store: Store, answered: Answered) -> None:
        assert facts(list(export(store.reading()))) == expected
        (report,) = store.restorations.unseen()
        assert (tmp_path / "data" / report.kept_in).name.startswith("2")

    assert play(found, place, states=RESTORING_STATES, seed=1, look=look, on=tmp_path / "before") > 10
