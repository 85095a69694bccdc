"""What a thread waits for while another one works for it."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Answer(Generic[T]):
    """What a thread waits for and the writer gives, once. (A Future does more, and costs a scan as much as its SQL.)"""

    __slots__ = ("_error", "_result", "_waiting", "is_given")

    def __init__(self) -> None:
        self.is_given = False
        self._result: T | None = None
        self._error: Exception | None = None
        self._waiting = threading.Lock()
        self._waiting.acquire()

    def give(self, result: T) -> None:
        self._result = result
        self.is_given = True
        self._waiting.release()

    def fail(self, error: Exception) -> None:
        self._error = error
        self.is_given = True
        self._waiting.release()

    def wait(self) -> T:
        """What was given. Raises what it failed with."""
        self._waiting.acquire()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]
