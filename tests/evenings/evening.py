"""An evening happens: the steps that are the same for both drivers, and the model that watches."""

from __future__ import annotations

import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.evenings.faults import FAULTS, Fault
from tests.evenings.model import Model
from tests.evenings.phones import DROID, NoAnswer, Phone
from tests.evenings.plan import Plan, Step
from tests.evenings.upstreams import Identity, NewPretix, OldPretix, Push, ticket_of
from tests.evenings.words import ENTRY, OK, USED, Ask, CheckIn, Row, When


class Journal:
    """The journal as it stands on the disk, read as anybody could."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    def rows(self, after_id: int = 0) -> list[Row]:
        found = self._connection.execute(
            "SELECT id, list_id, direction, nonce, state, conflict FROM checkin WHERE id > ? ORDER BY id", (after_id,)
        )
        return [Row(*row) for row in found]

    def ticket_id(self, secrets: Sequence[str]) -> int | None:
        marks = ", ".join("?" * len(secrets))
        found = self._connection.execute(f"SELECT id FROM ticket WHERE secret IN ({marks}) LIMIT 1", secrets).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        self._connection.close()


class Evening(ABC):
    """One plan on its way. `lock` is held wherever the model is spoken to."""

    server: OldPretix | NewPretix
    phones: list[Phone]
    journal: Journal
    lock: threading.RLock
    is_clock_right = False
    """Whether it is, even while the box does not know that."""

    def __init__(self, plan: Plan, *, is_loose: bool) -> None:
        self.plan = plan
        self.model = Model(plan.terms, is_loose=is_loose)
        self.story: list[str] = []
        """What happened, for whoever reads of a failure."""
        self._to_ask_again: list[tuple[Phone, Ask]] = []
        self._queues: dict[int, list[Ask]] = defaultdict(list)
        self._prints: dict[str, list[str]] = defaultdict(list)
        self._nonces = 0
        self._weather: Fault | None = None
        """What goes wrong with each request."""
        self._last_push: Push | None = None

    def happen(self) -> None:
        """From the first step to the last; raises Broken where a rule does not hold."""
        for _ in range(self.plan.tickets):
            self.server.sell()
        for number, step in enumerate(self.plan.steps):
            self.story.append(f"{number}: {step}")
            self.do(step)
            with self.lock:
                self.look()
        self.story.append("the end")
        self.end()

    def do(self, step: Step) -> None:
        getattr(self, step.name)(**step.how)

    def end(self) -> None:
        """All that is left is told; then every ticket is shown once more: by now the box knows all there is to know."""
        self.link_is_back()
        self.drain()
        with self.lock:
            self.look()
            for checkin in self.model.checkins:
                if checkin.state == "parked" and not checkin.refused_for_good and self.retry_by_hand(checkin):
                    self.model.retried(checkin)
        self.drain()
        for name in self.server.names:
            for phone in (self.phones[2], self.phones[-1]):
                self.ask(phone, Ask(name, phone.list_id, secret=self._prints[name][-1]))
        self.drain()
        with self.lock:
            self.model.is_over(self.journal.rows(), self.server.records())

    def look(self) -> None:
        """Show the model what can be seen."""
        self.model.journal_is(self.journal.rows())
        self.model.upstream_has(self.server.records())

    # --- what the driver does -----------------------------------------------------------------------------------------

    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def knows_time(self) -> bool:
        """Whether the box must know the time by now."""

    @abstractmethod
    def drain(self) -> None:
        """Sync until nothing is left, and once more."""

    @abstractmethod
    def check_in_by_hand(self, ticket_id: int, *, forced: bool) -> Collection[str]:
        """What the answer to staff may mean."""

    @abstractmethod
    def undo_by_hand(self, checkin: CheckIn) -> bool: ...

    @abstractmethod
    def retry_by_hand(self, checkin: CheckIn) -> bool: ...

    @abstractmethod
    def dismiss_by_hand(self, checkin: CheckIn) -> bool: ...

    @abstractmethod
    def post(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str], form: Any = None, json: Any = None
    ) -> tuple[int, Any]: ...

    # --- the network --------------------------------------------------------------------------------------------------

    def weather(self, *, fault: str | None) -> None:
        with self.lock:
            self._weather = FAULTS[fault] if fault else None

    def link_is_back(self) -> None:
        """Nothing goes wrong any more."""
        self.weather(fault=None)

    # --- what upstream tells ------------------------------------------------------------------------------------------

    def changed(self, ticket: str) -> None:
        standing = self.server.standing(ticket)
        if standing is not None and standing[0] not in self._prints[ticket]:
            self._prints[ticket].append(standing[0])
        self.model.upstream_is(ticket, standing, self.server.held(ticket))

    def pushed(self, push: Push) -> None:
        self.story.append(f"      upstream: {push}")
        checkin = self.model.find(push.nonce, push.ticket, push.list_id, push.direction)
        self.model.reached(checkin, push.at, push.refusal, forced=push.forced, stored=push.stored)
        self._last_push = push

    def push_arrives(self, push: Identity) -> None:
        """A push is on its way to upstream, however far it comes."""
        self._checkin_of(push).is_told = True

    def push_came_to(self, push: Identity, fault: Fault | None) -> None:
        """A push is through, with upstream's answer or with a fault."""
        answered, self._last_push = self._last_push, None
        checkin = self._checkin_of(push)
        if fault is None:
            assert answered is not None
            self.model.heard(checkin, answered.refusal, is_last_word=answered.is_last_word)
        else:
            self.model.troubled(checkin, is_final=fault.is_final)

    def _checkin_of(self, push: Identity) -> CheckIn:
        nonce, secret, list_id, direction = push
        return self.model.find(nonce, ticket_of(secret), list_id, direction)

    # --- at the door --------------------------------------------------------------------------------------------------

    def new_rows(self) -> list[Row]:
        """What the journal has that the model does not know of."""
        return self.journal.rows(self.model.checkins[-1].id if self.model.checkins else 0)

    def since(self, earliest: datetime, *, is_known: bool) -> When:
        """From then until now."""
        model, is_right = self.model, is_known or self.is_clock_right
        return When(earliest, self.now(), model.boot, model.process, is_known, is_right)

    def ask(self, phone: Phone | None, ask: Ask, ticket_id: int = 0) -> Collection[str]:
        """A phone asks, or staff do with the ticket of this id. Raises NoAnswer; then nothing is recorded."""
        with self.lock:
            known = self.knows_time()
            earliest = self.now()
            by_hand = self.check_in_by_hand
            try:
                answers = phone.ask(self, ask) if phone else by_hand(ticket_id, forced=ask.forced)
            except NoAnswer:
                self.story.append(f"      {ask} -> no answer")
                raise
            self.story.append(f"      {ask} -> {sorted(answers)}")
            self.model.answered(ask, answers, self.new_rows(), self.since(earliest, is_known=known))
        return answers

    def scan(
        self, *, ticket: int, phone: int, direction: str, nonce: bool, ignores_unpaid: bool, lost: bool, old: bool
    ) -> None:
        scanner = self.phones[phone]
        is_droid = scanner.app == DROID
        name = self._name(ticket)
        ask = Ask(
            ticket=name,
            list_id=scanner.list_id,
            direction=ENTRY if is_droid else direction,
            secret=self._prints[name][0 if old else -1],
            nonce=self._nonce() if is_droid and nonce else None,
            ignores_unpaid=ignores_unpaid,
        )
        try:
            self.ask(scanner, ask)
        except NoAnswer:
            lost = True
        if lost:
            self._to_ask_again.append((scanner, ask))

    def again(self, *, number: int) -> None:
        """A phone whose answer was lost asks again."""
        if self._to_ask_again:
            phone, ask = self._to_ask_again.pop(number % len(self._to_ask_again))
            try:
                self.ask(phone, ask)
            except NoAnswer:
                self._to_ask_again.append((phone, ask))

    def scan_offline(self, *, ticket: int, phone: int, clock_off_days: int) -> None:
        """A phone that has lost the box lets in whom it likes, and keeps that for later; in whole minutes."""
        name = self._name(ticket)
        sent = self.now().replace(second=0, microsecond=0) + timedelta(days=clock_off_days)
        secret, list_id = self._prints[name][-1], self.phones[phone].list_id
        self._queues[phone].append(Ask(name, list_id, secret=secret, nonce=self._nonce(), sent=sent, forced=True))

    def upload(self, *, phone: int, lost: bool) -> None:
        """What was let in leaves a phone's queue when it hears that it arrived."""
        for ask in list(self._queues[phone]):
            try:
                answers = self.ask(self.phones[phone], ask)
            except NoAnswer:
                return
            if not lost and {OK, USED}.intersection(answers):
                self._queues[phone].remove(ask)

    def by_hand(self, *, ticket: int, forced: bool) -> None:
        name = self._name(ticket)
        ticket_id = self.journal.ticket_id(self._prints[name])
        if ticket_id is not None:
            with suppress(NoAnswer):
                self.ask(None, Ask(name, forced=forced, ignores_unpaid=forced), ticket_id)

    def undo(self, *, number: int) -> None:
        with self.lock, suppress(NoAnswer):
            if self.model.checkins:
                checkin = self.model.checkins[-1 - number % len(self.model.checkins)]
                if not checkin.is_undone:
                    self.model.undo(checkin, self.undo_by_hand(checkin))

    def close_conflict(self, *, number: int, way: str) -> None:
        with self.lock, suppress(NoAnswer):
            flagged = [row.id for row in self.journal.rows() if row.conflict is not None]
            if not flagged:
                return
            checkin = next(each for each in self.model.checkins if each.id == flagged[number % len(flagged)])
            if way == "retry" and self.retry_by_hand(checkin):
                self.model.retried(checkin)
            if way == "dismiss" and self.dismiss_by_hand(checkin):
                self.model.dismissed(checkin)

    # --- at upstream --------------------------------------------------------------------------------------------------

    def sell(self) -> None:
        with self.lock:
            self.server.sell()

    def set_order(self, *, ticket: int, status: str) -> None:
        with self.lock:
            self.server.set_order(self._name(ticket), status)

    def cancel_position(self, *, ticket: int) -> None:
        with self.lock:
            self.server.cancel_position(self._name(ticket))

    def reprint(self, *, ticket: int) -> None:
        with self.lock:
            self.server.reprint(self._name(ticket))

    def others_scan(self, *, ticket: int, list: int, direction: str) -> None:
        with self.lock:
            self.server.check_in(self._name(ticket), min(list, len(self.plan.terms)), direction)

    def delete_check_in(self, *, ticket: int) -> None:
        with self.lock:
            self.server.delete_check_in(self._name(ticket))

    # ------------------------------------------------------------------------------------------------------------------

    def _name(self, ticket: int) -> str:
        return self.server.names[ticket % len(self.server.names)]

    def _nonce(self) -> str:
        self._nonces += 1
        return f"nonce{self._nonces}"
