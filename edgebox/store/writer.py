"""The one writer: a thread that owns the only writing connection.

Everything that is written passes through its queue. Redeems come first; all that wait at once are decided one after the
other in one transaction and share its commit, together with whatever small jobs wait (settlements, refused attempts)
and at most one slice of a larger job (a pull). No answer of a batch leaves before its commit is on disk; a batch in
which nothing was written has nothing to wait for.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from edgebox.store.answer import Answer
from edgebox.store.checkpoints import Checkpoints
from edgebox.store.db import Busy, Connection, NotWritable, StoreError, connect, is_about_the_database

log = logging.getLogger(__name__)
T = TypeVar("T")
S = TypeVar("S")
Job = Callable[[Connection], T]

MAX_BATCH = 256
"""Redeems that share one commit at the most: more than there are request threads, so none is left behind."""

SLICE_ROWS = 50
"""Rows that one slice of a larger job writes while somebody scans: a scan waits for at most one slice."""
QUIET_SLICE_ROWS = 1_000
"""The same while nobody scans: the fewer slices, the less is written for the same rows."""
QUIET_AFTER_S = 5.0

CROWD = 4
"""From so many redeems in a batch on, the next one waits for about as many more, but no longer than WAIT_SHARE of what
the last commit took: on a slow card one commit for all is better than two in turn, each for the half of them."""
WAIT_SHARE = 0.5
WORTH_WAITING_S = 0.004
"""What a commit must have taken for that: on a quick disk there is nothing to gain."""

REDEEM_DEADLINE_S = 5.0
"""A redeem that waited longer is refused unrecorded: the phone gives up at 10 s and its next try carries no nonce."""


class Tail(Protocol):
    """Small things that wait in memory and are written along with the next commit (the refused attempts)."""

    def due_in_s(self) -> float | None:
        """Seconds until they want a commit of their own; None where there are none."""

    def flush(self, connection: Connection) -> None:
        """Write them in the open transaction; `done` follows."""

    def done(self, is_written: bool) -> None:
        """They can be forgotten; or the commit failed, and they wait for another one."""


class Together(Protocol[S, T]):
    """Does the same for several at once; each fares as if it had been alone, in this order."""

    def __call__(self, connection: Connection, wanted: list[S], /) -> list[T | Exception]: ...


@dataclass(frozen=True, slots=True)
class _Part:
    """A job that is better done together with others of its kind."""

    wanted: Any
    together: Together[Any, Any]

    def __call__(self, connection: Connection) -> Any:
        (outcome,) = self.together(connection, [self.wanted])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Writer:
    """Runs jobs in one thread, in the order: redeems, small jobs, one slice. Open until `close()`."""

    def __init__(self, path: Path, tail: Tail) -> None:
        self._path = path
        self._tail = tail
        self._last_redeem_s = float("-inf")
        self._redeems: deque[tuple[float, Job[Any], Answer[Any]]] = deque()
        self._jobs: deque[tuple[Job[Any], Answer[Any]]] = deque()
        self._slices: deque[tuple[Job[Any], Answer[Any]]] = deque()
        self._alone: deque[tuple[Job[Any], Answer[Any]]] = deque()
        self._wake = threading.Condition()
        self._last_batch = 0
        self._commit_s = 0.0
        self._is_closing = False
        self._connection: Connection | None = connect(path)
        self._on_commit: list[Callable[[], None]] = []
        self.on_reopen: Callable[[Connection], None] = lambda connection: None
        """Called in the writer after it had to reopen the database: what memory held may not be on the disk."""
        self.on_failure: Callable[[Exception], None] = lambda error: None
        """Called in the writer with what made a commit fail."""
        self.last_commit_at_s: float | None = None
        """`time.monotonic()` of the last commit that succeeded."""
        self.failure: str | None = None
        """Why the last commit failed, in words; None while commits succeed."""
        self._probed_at_s = float("-inf")
        self._checkpoints = Checkpoints(path, self._is_quiet)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._checkpoints.start()
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, then end. Later calls raise NotWritable."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join()

    # --- called from any thread ---------------------------------------------------------------------------------------

    def redeem(self, job: Job[T]) -> T:
        """Run `job` ahead of everything else; returns once its batch is on disk.

        Raises Busy when the writer did not come to it within REDEEM_DEADLINE_S, NotWritable when the commit failed, and
        whatever the job raises (SQLite's own errors as StoreError): in all cases nothing was recorded.
        """
        answer: Answer[T] = Answer()
        self._last_redeem_s = time.monotonic()
        self._put(self._redeems, (self._last_redeem_s, job, answer))
        return answer.wait()

    def redeem_together(self, wanted: S, together: Together[S, T]) -> T:
        """As `redeem`, with whatever waits at the same time for the same `together`."""
        return self.redeem(cast(Job[T], _Part(wanted, together)))

    def write(self, job: Job[T]) -> T:
        """Run a small job; returns once it is on disk. Raises as `redeem` does, but never Busy."""
        answer: Answer[T] = Answer()
        self._put(self._jobs, (job, answer))
        return answer.wait()

    def write_slice(self, job: Job[T]) -> T:
        """As `write`, for one slice of a large job: at most one of these joins a commit."""
        self._checkpoints.wait_for_room()
        answer: Answer[T] = Answer()
        self._put(self._slices, (job, answer))
        return answer.wait()

    def alone(self, work: Job[T]) -> T:
        """Run `work` between two batches and outside of a transaction, for what SQLite does not do within one.

        Everybody else waits as long: `work` should end once a scan `is_waiting`. Raises what `work` raises.
        """
        answer: Answer[T] = Answer()
        self._put(self._alone, (work, answer))
        return answer.wait()

    def is_waiting(self) -> bool:
        """Whether somebody scans right now, and waits."""
        return bool(self._redeems)

    def quiet_for_s(self) -> float:
        """Seconds since somebody scanned last; infinite where nobody did since the start."""
        return time.monotonic() - self._last_redeem_s

    def slice_rows(self) -> int:
        """How many rows the next slice of a large job should write."""
        return QUIET_SLICE_ROWS if self._is_quiet() else SLICE_ROWS

    def probe(self, every_s: float) -> str | None:
        """Commit something small, at most every `every_s` seconds; why that failed, or None."""
        now_s = time.monotonic()
        if now_s - self._probed_at_s >= every_s:
            self._probed_at_s = now_s
            try:
                # It has to change something: a page that stays as it was is not written at all.
                self.write(lambda connection: connection.execute("UPDATE counter SET probes = probes + 1"))
            except StoreError as error:
                return str(error)
        return self.failure

    def _is_quiet(self) -> bool:
        return self.quiet_for_s() > QUIET_AFTER_S

    # --- called from within a job -------------------------------------------------------------------------------------

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Run `effect` when the transaction under way is on disk; forgotten when it fails or the job rolls back."""
        self._on_commit.append(effect)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _put(self, queue: deque[Any], entry: Any) -> None:
        with self._wake:
            if self._is_closing:
                raise NotWritable("the box is stopping; nothing was recorded")
            queue.append(entry)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._redeems or self._jobs or self._slices or self._alone or self._is_closing):
                    due_in_s = self._tail.due_in_s()
                    if due_in_s is not None and due_in_s <= 0:
                        break
                    self._wake.wait(due_in_s)
                self._let_a_crowd_gather()
                redeems = [self._redeems.popleft() for _ in range(min(len(self._redeems), MAX_BATCH))]
                jobs = [self._jobs.popleft() for _ in range(len(self._jobs))]
                if self._slices:
                    jobs.append(self._slices.popleft())
                alone = self._alone.popleft() if self._alone else None
                is_last = self._is_closing and not (self._redeems or self._jobs or self._slices or self._alone)
            self._last_batch = len(redeems)
            self._batch(self._in_time(redeems) + jobs)
            if self._checkpoints.is_due and self._connection is not None:
                self._checkpoints.finish(self._connection)
            if alone is not None:
                self._do_alone(*alone)
            if is_last:
                break
        self._checkpoints.close()
        self._disconnect()

    def _let_a_crowd_gather(self) -> None:
        """Those who got their answer a moment ago are about to ask again."""
        wait_s = WAIT_SHARE * self._commit_s
        if self._last_batch >= CROWD and self._commit_s >= WORTH_WAITING_S and not self._is_closing:
            crowd = min(self._last_batch + len(self._redeems), MAX_BATCH)
            self._wake.wait_for(lambda: len(self._redeems) >= crowd or self._is_closing, wait_s)

    @staticmethod
    def _in_time(redeems: list[tuple[float, Job[Any], Answer[Any]]]) -> list[tuple[Job[Any], Answer[Any]]]:
        now_s = time.monotonic()
        for arrived_s, _, answer in redeems:
            if now_s - arrived_s > REDEEM_DEADLINE_S:
                answer.fail(Busy("the box is too busy to record this entry; it was not recorded: scan again"))
        return [(job, answer) for arrived_s, job, answer in redeems if now_s - arrived_s <= REDEEM_DEADLINE_S]

    def _batch(self, work: list[tuple[Job[Any], Answer[Any]]]) -> None:
        self._on_commit.clear()
        outcomes: list[tuple[Answer[Any], Any, Exception | None]] = []
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            changes_before = connection.total_changes
            for together, some in groupby(work, key=lambda each: getattr(each[0], "together", None)):
                jobs, waiting = zip(*some, strict=True)
                ended = self._several(connection, jobs) if together else [self._one(connection, job) for job in jobs]
                outcomes += [(answer, *end) for answer, end in zip(waiting, ended, strict=True)]
            has_written = connection.total_changes > changes_before
            # After a failure scans go without the tail, so that it is not what makes the next commit fail.
            takes_tail = self.failure is None if has_written else self._tail_is_due()
            if takes_tail:
                self._flush_tail(connection)
            began_s = time.monotonic()
            connection.execute("COMMIT" if has_written or takes_tail else "ROLLBACK")
            self._commit_s = time.monotonic() - began_s
        except Exception as error:  # not SQLite's alone: a bug must not end this thread, and with it every gate
            self._failed(error, [answer for _, answer in work])
            return
        if takes_tail:
            self._tail.done(is_written=True)
        if has_written or takes_tail:
            self._succeeded()
        self._take_effect()
        for answer, result, failure in outcomes:
            if failure is None:
                answer.give(result)
            else:
                answer.fail(failure)

    def _one(self, connection: Connection, job: Job[Any]) -> tuple[Any, Exception | None]:
        """Run one job inside the batch; one that fails, fails alone. Errors of the disk fail the batch."""
        effects_before = len(self._on_commit)
        connection.execute("SAVEPOINT job")
        try:
            result = job(connection)
        except Exception as error:
            if is_about_the_database(error):
                raise
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            del self._on_commit[effects_before:]
            if isinstance(error, sqlite3.Error):
                log.error("the database refused a job", exc_info=error)
                return None, StoreError(f"the database refused this ({error}); nothing was recorded")
            return None, error
        connection.execute("RELEASE job")
        return result, None

    def _several(self, connection: Connection, parts: tuple[_Part, ...]) -> list[tuple[Any, Exception | None]]:
        """Run jobs of one kind together; where that fails, each alone."""
        effects_before = len(self._on_commit)
        connection.execute("SAVEPOINT several")
        try:
            outcomes = parts[0].together(connection, [part.wanted for part in parts])
        except Exception as error:
            if is_about_the_database(error):
                raise
            connection.execute("ROLLBACK TO several")
            connection.execute("RELEASE several")
            del self._on_commit[effects_before:]
            return [self._one(connection, part) for part in parts]
        connection.execute("RELEASE several")
        return [(None, each) if isinstance(each, Exception) else (each, None) for each in outcomes]

    def _do_alone(self, work: Job[Any], answer: Answer[Any]) -> None:
        try:
            answer.give(work(self._open()))
        except sqlite3.Error as error:
            answer.fail(NotWritable(f"the box cannot write its database ({error}); nothing was recorded"))
        except Exception as error:  # whoever asked for it is told
            answer.fail(error)

    # --- what is written along ----------------------------------------------------------------------------------------

    def _tail_is_due(self) -> bool:
        due_in_s = self._tail.due_in_s()
        return due_in_s is not None and (due_in_s <= 0 or self._is_closing)

    def _flush_tail(self, connection: Connection) -> None:
        """Write the tail. What of it cannot be written at all is given up: nobody else in the batch fails for it."""
        connection.execute("SAVEPOINT tail")
        try:
            self._tail.flush(connection)
        except Exception as error:
            if is_about_the_database(error):
                raise
            connection.execute("ROLLBACK TO tail")
            log.error("attempts that cannot be written are lost to the log", exc_info=error)
        connection.execute("RELEASE tail")

    # --- how it ended -------------------------------------------------------------------------------------------------

    def _succeeded(self) -> None:
        if self.failure is not None:
            log.warning("the database can be written again")
        self.failure = None
        self.last_commit_at_s = time.monotonic()
        self._checkpoints.committed()

    def _take_effect(self) -> None:
        """Bring memory up to the commit. Where that fails, everything in memory is read afresh from the disk."""
        for effect in self._on_commit:
            try:
                effect()
            except Exception:
                log.exception("something in memory is behind the database; it is read afresh")
                self._disconnect()

    def _failed(self, error: Exception, answers: list[Answer[Any]]) -> None:
        """Nobody in the batch was recorded; what is on disk is read afresh before the next one."""
        if self.failure is None:
            is_a_bug = not isinstance(error, sqlite3.Error | StoreError)
            log.error("the database cannot be written: %s", error, exc_info=error if is_a_bug else None)
        self.failure = str(error)
        self.on_failure(error)
        self._disconnect()
        self._tail.done(is_written=False)
        for answer in answers:
            if not answer.is_given:
                answer.fail(NotWritable(f"the box cannot write its database ({error}); nothing was recorded"))

    # --- the connection -----------------------------------------------------------------------------------------------

    def _open(self) -> Connection:
        if self._connection is None:
            connection = connect(self._path)
            try:
                self.on_reopen(connection)
            except Exception:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                log.error("the database could not be closed: %s", error)
            self._connection = None
