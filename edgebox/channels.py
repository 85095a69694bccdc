"""Connections as the box keeps them: an answer that is to be late holds no thread, and no body fills the memory.

waitress is made for the good; here is what it lacks against the others.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest

from edgebox.devices.wrong_keys import ANSWER_LATE

MAX_LATE = 500
"""Answers that wait at the same time. For one more, the one that waits longest leaves, and its connection is closed:
who floods the box must not take all the connections that it can keep."""

MAX_CONTROL_CHARS = 1024
"""Of a line between two chunks of a body, or of the headers behind them."""


class LateAnswers:
    """The connections whose answers wait, in the order in which they are due. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Channel] = deque()
        self.is_over = False
        """True: nobody waits any more (the server stops)."""

    def add(self, channel: Channel) -> None:
        """Let this one wait."""
        with self._lock:
            self._forget()
            self._waiting.append(channel)
            oldest = self._waiting.popleft() if len(self._waiting) > MAX_LATE else None
        if oldest is not None:
            oldest.let_go()

    def next_s(self) -> float | None:
        """Seconds until the next one is due; None where none waits."""
        with self._lock:
            self._forget()
            return self._waiting[0].late_s() if self._waiting else None

    def _forget(self) -> None:
        """Those that are due, or gone."""
        while self._waiting and not (self._waiting[0].connected and self._waiting[0].late_s() > 0):
            self._waiting.popleft()


class _Task(WSGITask):
    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[ANSWER_LATE] = self.channel.answer_late
        return environ


class _ErrorTask(ErrorTask):
    def execute(self) -> None:
        self.response_headers.append(("X-Content-Type-Options", "nosniff"))
        super().execute()


class _Bounded(OverflowableBuffer):
    """Keeps what the application may read of a body. Of a larger one nothing more is kept, as it is refused by its
    length, which is told in full: so a client that sends it gets its answer in the words of its dialect."""

    def __init__(self, overflow: int, at_most: int) -> None:
        super().__init__(overflow)
        self._at_most = at_most
        self._not_kept = 0

    def append(self, piece: bytes) -> None:
        room = max(0, self._at_most - super().__len__())
        if room:
            super().append(piece[:room])
        self._not_kept += max(0, len(piece) - room)

    def __len__(self) -> int:
        return int(super().__len__()) + self._not_kept


class _Parser(HTTPRequestParser):
    max_kept_bytes = 0

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = _Bounded(self.adj.inbuf_overflow, self.max_kept_bytes)

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        chunks = self.body_rcv if self.chunked else None
        # It would look through all of it anew for each piece that comes.
        if chunks is not None and max(len(chunks.control_line), len(chunks.trailer)) > MAX_CONTROL_CHARS:
            self.error = BadRequest("the body is not in chunks")
            self.completed = True
        return consumed


class Channel(HTTPChannel):
    """One connection."""

    task_class = _Task
    error_task_class = _ErrorTask
    parser_class = _Parser
    late_answers: LateAnswers
    _late_until_s = 0.0

    def answer_late(self, delay_s: float) -> None:
        """Called by the thread that answers: what it writes from here on leaves no sooner than that.

        The thread is free at once; the connection waits with the answer, and nothing more is read from it until then.
        """
        self._late_until_s = time.monotonic() + delay_s
        self.late_answers.add(self)

    def late_s(self) -> float:
        """Seconds for which its answer still has to wait."""
        return 0.0 if self.late_answers.is_over else max(0.0, self._late_until_s - time.monotonic())

    def let_go(self) -> None:
        """Answer now, and close the connection then."""
        self._late_until_s = 0.0
        self.close_when_flushed = True
        self.server.pull_trigger()

    def writable(self) -> bool:
        return bool(super().writable()) and not self._is_late()

    def _flush_some(self, do_close: bool = True) -> bool:
        return not self._is_late() and bool(super()._flush_some(do_close=do_close))

    def _is_late(self) -> bool:
        if not self._late_until_s:
            return False
        if self.late_s() > 0:
            return True
        self._late_until_s = 0.0
        return False


def keep(listener: Any, late_answers: LateAnswers, *, max_kept_bytes: int) -> None:
    """Let a server of waitress keep its connections so. `max_kept_bytes`: what is kept of a body."""
    bounded = type("Parser", (_Parser,), {"max_kept_bytes": max_kept_bytes})
    listener.channel_class = type("Channel", (Channel,), {"late_answers": late_answers, "parser_class": bounded})
