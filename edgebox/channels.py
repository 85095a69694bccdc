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
        self._waiting: deque[tuple[float, Channel]] = deque()
        self.is_over = False
        """True: nobody waits any more (the server stops)."""

    def add(self, due_s: float, channel: Channel) -> None:
        """Let this one wait until `due_s`, as time.monotonic() has it."""
        with self._lock:
            self._waiting.append((due_s, channel))
            _, oldest = self._waiting.popleft() if len(self._waiting) > MAX_LATE else (0.0, None)
        if oldest is not None:
            oldest.let_go(and_close=True)

    def let_due_go(self) -> float | None:
        """Those that are due may be sent; seconds until the next one is, None where none waits. For the server's loop,
        each time before it looks at its connections."""
        with self._lock:
            now_s = time.monotonic()
            while self._waiting and (self.is_over or self._waiting[0][0] <= now_s):
                _, channel = self._waiting.popleft()
                if self.is_over or channel.late_until_s <= now_s:  # else it has got another answer to be late
                    channel.let_go(and_close=False)
            return self._waiting[0][0] - now_s if self._waiting else None


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
    late_until_s = 0.0
    """As time.monotonic() has it; 0: it is not late."""

    def answer_late(self, delay_s: float) -> None:
        """Called by the thread that answers: what it writes from here on leaves no sooner than that.

        The thread is free at once; the connection waits with the answer, and nothing more is read from it until then.
        """
        self.late_until_s = time.monotonic() + delay_s
        # Of this connection alone: all others are asked many times a second whether they are writable.
        self.writable = _never
        self.late_answers.add(self.late_until_s, self)

    def let_go(self, *, and_close: bool) -> None:
        """What it has to say may be sent; and that was it."""
        self.late_until_s = 0.0
        self.__dict__.pop("writable", None)
        if and_close:
            self.close_when_flushed = True
            self.server.pull_trigger()

    def _flush_some(self, do_close: bool = True) -> bool:
        return not self.late_until_s and bool(super()._flush_some(do_close=do_close))


def _never() -> bool:
    return False


def keep(listener: Any, late_answers: LateAnswers, *, max_kept_bytes: int) -> None:
    """Let a server of waitress keep its connections so. `max_kept_bytes`: what is kept of a body."""
    bounded = type("Parser", (_Parser,), {"max_kept_bytes": max_kept_bytes})
    listener.channel_class = type("Channel", (Channel,), {"late_answers": late_answers, "parser_class": bounded})
