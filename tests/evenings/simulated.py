"""The driver without sockets and without real time: the box's own code in this process, with simulated clock, network
and upstream. What a process knows ends with a kill; what is on the disk stays."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edgebox.box import Box
from edgebox.config import Config
from edgebox.store import Refused, StoreError
from edgebox.store.db import DATABASE_NAME
from edgebox.sync.line import Line
from edgebox.upstream import UpstreamError
from tests.evenings.door import at_the_door
from tests.evenings.evening import Evening, Journal
from tests.evenings.faults import FAULTS, Fault
from tests.evenings.network import Call, SimulatedHttp, Wire
from tests.evenings.phones import NoAnswer, Phone
from tests.evenings.plan import NEW, SYNCS, Plan, Step
from tests.evenings.setting_up import set_up
from tests.evenings.times import Time
from tests.evenings.upstreams import NewPretix, OldPretix, pushed_by
from tests.evenings.words import OK, CheckIn
from tests.store.venue import full_disk

LATENCY_S = 0.05
ROUNDS = 8
"""However ill upstream was, it is tried again within so many times ten minutes."""
SHARED_MEMORY = Path("/dev/shm")


class Killed(BaseException):
    """The process of the box is gone, wherever it was."""


_set_ups: dict[tuple[str, str], tuple[Path, list[Phone]]] = {}
"""Boxes with lists and phones, before the first pull: on the disk, and what the phones know."""


@dataclass
class _Sync:
    """A step that speaks to upstream, on its way."""

    step: Step
    requests: int = 0
    moments: int = 0


class SimulatedEvening(Evening):
    """One evening in one process. Open until `close`."""

    def __init__(self, plan: Plan, disk: Path | None = None) -> None:
        super().__init__(plan, is_loose=False)
        self.lock = threading.RLock()
        self.time = Time(error_s=plan.clock_error_s, is_synchronised=plan.is_clock_right)
        self.server = _server(plan, self.time.now)
        self.server.watcher = self
        self._wire = Wire(self.server, self.time.now, self._happens, self._between, self._told)
        self._syncs: list[_Sync] = []
        self._has_heard = False
        self._home = Path(tempfile.mkdtemp(prefix="evening-", dir=_directory()))
        self._lives = 0
        self._has_room_at_s = 0.0
        """The disk is full until then."""
        self._disk: Path | None = None
        """What was on the disk when the process was killed."""
        if disk is None:
            disk, self.phones = _set_up(plan)
        self._open(disk)

    def happen(self) -> None:
        random.seed(f"{self.plan.dialect} {self.plan.seed}")
        super().happen()

    def close(self) -> None:
        self.journal.close()
        self.box.close()
        shutil.rmtree(self._home)

    # --- the process --------------------------------------------------------------------------------------------------

    def _open(self, disk: Path) -> None:
        """A new process on a copy of what was on the disk."""
        self._lives += 1
        directory = self._home / f"life{self._lives}"
        shutil.copytree(disk, directory)
        clock = self.time.clock()
        http = SimulatedHttp(clock, self._wire, self.time.monotonic, self.time.sleep)
        self.box = Box(Config(data_dir=directory), clock, http)
        self.journal = Journal(directory / DATABASE_NAME)
        self._disk = None
        self._has_heard = False
        self.model.boot, self.model.process = clock.boot_id, self._lives
        self._door = at_the_door(self.box)
        writer = self.box.store._writer
        write_slice, batch = writer.write_slice, writer._batch

        def write_slice_later(job: Any) -> Any:
            self._moment()
            return write_slice(job)

        def on_this_disk(work: Any) -> None:
            with full_disk() if self.time.now_s < self._has_room_at_s else nullcontext():
                batch(work)

        writer.write_slice = write_slice_later  # type: ignore[method-assign]
        writer._batch = on_this_disk  # type: ignore[method-assign]

    def _end_of_process(self, disk: Path) -> None:
        """The process is gone: what it still does goes to files that nobody looks at any more."""
        self._syncs.clear()
        self.model.pull_is_over(False)
        self.journal.close()
        self.box.close()
        self._open(disk)

    def _copy_of_the_disk(self) -> Path:
        copy = self._home / f"disk{self._lives}"
        shutil.copytree(self.box.config.data_dir, copy)
        return copy

    def restart(self) -> None:
        self.box.close()
        self._end_of_process(self.box.config.data_dir)

    def kill(self, **asking: Any) -> None:
        """Nobody asks in the very moment: there is one thread."""
        self._disk = self._copy_of_the_disk()
        raise Killed

    def reboot(self, *, off_s: float, clock_error_s: float) -> None:
        disk = self._copy_of_the_disk()
        self.time.pass_(off_s)
        self.time.boot(clock_error_s)
        self._end_of_process(disk)

    def synchronise(self) -> None:
        self.time.error_s, self.time.is_synchronised = 0.0, True

    def jump(self, *, by_s: float) -> None:
        if not self.time.is_synchronised:
            self.time.error_s += by_s

    def full_disk(self, *, for_s: float) -> None:
        self._has_room_at_s = self.time.now_s + for_s

    def rest(self, *, for_s: float) -> None:
        self.time.pass_(for_s)

    # --- what happens -------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        self.time.pass_(step.after_s)
        try:
            self._do(step)
        except Killed:
            if self._syncs:  # in the middle of something: that ends, too
                raise
            assert self._disk is not None
            self._end_of_process(self._disk)

    def _do(self, step: Step) -> None:
        if step.name not in SYNCS:
            super().do(step)
            return
        if self._syncs and any(each.step.name in (step.name, "sync") for each in self._syncs):
            return  # one at a time
        self._syncs.append(_Sync(step))
        depth = len(self._syncs)
        try:
            super().do(step)
        except Killed:
            del self._syncs[depth - 1 :]
            raise
        self._syncs.pop()

    def push(self, *, list: int) -> None:
        with suppress(UpstreamError, StoreError):
            self.model.push_begins()
            self._line(list).push()

    def pull(self, *, list: int) -> None:
        is_whole = False
        with suppress(UpstreamError, StoreError):
            self._line(list).pull()
            is_whole = True
        self.model.pull_is_over(is_whole)

    def sync(self, *, list: int) -> None:
        self.model.push_begins()
        with suppress(UpstreamError, StoreError):
            self._line(list).push(retry_all=True)
        self.pull(list=list)

    def probe(self) -> None:
        with suppress(UpstreamError, StoreError):
            self._line(1).probe()

    def look_up(self, *, ticket: int) -> None:
        name = self._name(ticket)
        with suppress(UpstreamError, StoreError):
            if self._line(1).want(self._prints[name][-1]):
                self._line(1).look_up()
        self.model.looked_up(name, self.server.found(name))

    def drain(self) -> None:
        for _ in range(ROUNDS):
            self.time.pass_(700.0)
            for list_id in self.plan.terms:
                self.do(Step("sync", {"list": list_id}))
            if all(row.state != "pending" for row in self.journal.rows()):
                break

    def _line(self, list_id: int) -> Line:
        return self.box.sync._lines[min(list_id, len(self.plan.terms))]

    # --- the network --------------------------------------------------------------------------------------------------

    def _happens(self, call: Call) -> Fault | None:
        self.time.pass_(LATENCY_S)
        sync = self._syncs[-1] if self._syncs else None
        if call.word == "tickets" and sync and sync.step.name in ("pull", "sync"):
            self.model.pull_asks([row.id for row in self.journal.rows() if row.state == "settled"])
        if (push := pushed_by(call.request)) is not None:
            self.push_arrives(push)
        self._between(call)
        fault = self._weather
        if sync is not None:
            fault = next((FAULTS[name] for at, name in sync.step.faults if at == sync.requests), fault)
            sync.requests += 1
        acts = fault is None or fault.acts
        if call.word == "tickets" and sync and sync.step.name in ("pull", "sync") and acts:
            self.model.pull_tells()
        if fault is not None:
            self.story.append(f"      {call.word}: {fault.name}")
        return fault

    def _between(self, call: Call) -> None:
        if call.word != "master":
            self._moment(is_in_exchange=True)

    def _moment(self, *, is_in_exchange: bool = False) -> None:
        """Whatever the plan says that happens right now. (An exchange that takes long says little about the time.)"""
        if self._syncs:
            sync = self._syncs[-1]
            number, sync.moments = sync.moments, sync.moments + 1
            for at, step in sync.step.meanwhile:
                if at == number and not (is_in_exchange and step.name == "rest"):
                    self.story.append(f"      at {number}: {step}")
                    self.do(step)

    def _told(self, call: Call, fault: Fault | None) -> None:
        self._has_heard = self._has_heard or fault is None
        if (push := pushed_by(call.request)) is not None:
            self.push_came_to(push, fault)

    # --- what the driver does -----------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.time.now()

    def knows_time(self) -> bool:
        return self.time.is_synchronised or self._has_heard

    def check_in_by_hand(self, ticket_id: int, *, forced: bool) -> Collection[str]:
        try:
            redeemed = self.box.desk.check_in(ticket_id, "Lena", "we know her" if forced else None, is_forced=forced)
        except StoreError:
            raise NoAnswer from None
        reason = redeemed.verdict.reason
        return {OK if reason is None else reason.value}

    def undo_by_hand(self, checkin: CheckIn) -> bool:
        return self._is_done(lambda: self.box.desk.undo(checkin.id, "Lena", "a mistake"))

    def retry_by_hand(self, checkin: CheckIn) -> bool:
        return self._is_done(lambda: self.box.retry(checkin.id))

    def dismiss_by_hand(self, checkin: CheckIn) -> bool:
        return self._is_done(lambda: self.box.dismiss(checkin.id, "seen"))

    @staticmethod
    def _is_done(act: Callable[[], object]) -> bool:
        try:
            act()
        except Refused:
            return False
        except StoreError:
            raise NoAnswer from None
        return True

    def post(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str], form: Any = None, json: Any = None
    ) -> tuple[int, Any]:
        answer = self._door.post(path, query_string=query, headers=headers, data=form, json=json)
        if answer.status_code == 503:
            raise NoAnswer
        return answer.status_code, answer.json


def _set_up(plan: Plan) -> tuple[Path, list[Phone]]:
    """A box with lists and phones; the same for all evenings of these lists."""
    key = plan.dialect, repr(plan.terms)
    if key not in _set_ups:
        disk = Path(tempfile.mkdtemp(prefix="evening-box-", dir=_directory()))
        atexit.register(shutil.rmtree, disk, ignore_errors=True)
        evening = SimulatedEvening(plan, disk)
        phones = set_up(evening.box, evening, evening.server.url, plan)
        evening.box.close()
        shutil.copytree(evening.box.config.data_dir, disk, dirs_exist_ok=True)
        evening.close()
        _set_ups[key] = disk, phones
    return _set_ups[key]


def _directory() -> Path | None:
    return SHARED_MEMORY if SHARED_MEMORY.is_dir() else None


def _server(plan: Plan, now: Callable[[], datetime]) -> OldPretix | NewPretix:
    return NewPretix(plan.terms, now, is_served=False) if plan.dialect == NEW else OldPretix(plan.terms, now)
