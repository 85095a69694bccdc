"""Nothing that depends on threads, on real time or on chance: what a simulated evening needs to be the same again.

The box's threads hand work to each other: the writer's queue, the pools that speak to upstream, the alarms of requests.
Here the same work is done at once by whoever asks for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

from edgebox.store.db import NotWritable
from edgebox.store.writer import Writer
from edgebox.upstream.exchange import Exchange


class OneAfterTheOther:
    """In place of a pool of threads: the same work in this thread, in an order that is drawn."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As many as one likes."""

    def __enter__(self) -> OneAfterTheOther:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is under way."""

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, work: Callable[[Any], Any], each: list[Any]) -> list[Any]:
        order = list(range(len(each)))
        random.shuffle(order)
        done = {number: work(each[number]) for number in order}
        return [done[number] for number in range(len(each))]


def put(writer: Writer, queue: Any, entry: Any) -> None:
    """In place of the writer's thread: one turn of it."""
    if writer._is_closing:
        raise NotWritable("the box is stopping; nothing was recorded")
    queue.append(entry)
    redeems, jobs = list(writer._redeems), [*writer._jobs, *writer._slices]
    for each in (writer._redeems, writer._jobs, writer._slices):
        each.clear()
    writer._batch(writer._in_time(redeems) + jobs)


def close(writer: Writer) -> None:
    """Its last turn."""
    if not writer._is_closing:
        writer._is_closing = True
        writer._batch([])
        writer._disconnect()


def no_alarm(exchange: Exchange, within_s: float) -> AbstractContextManager[None]:
    """No request is under way for longer than it takes."""
    return nullcontext()


@contextmanager
def one_thread() -> Iterator[None]:
    """Nothing in here depends on threads; chance depends on `random` alone, which is afterwards as it was before."""
    before = random.getstate()
    with ExitStack() as patches:
        for target in ("edgebox.sync.push.ThreadPoolExecutor", "edgebox.upstream.pretix.download.ThreadPoolExecutor"):
            patches.enter_context(patch(target, OneAfterTheOther))
        # By real time, attempts would be written now and then by themselves.
        patches.enter_context(patch("edgebox.store.attempts.FLUSH_AFTER_S", 1e6))
        # Many steps between which something else may happen.
        patches.enter_context(patch("edgebox.store.writer.SLICE_ROWS", 2))
        patches.enter_context(patch("edgebox.store.writer.QUIET_SLICE_ROWS", 2))
        patches.enter_context(patch.object(Writer, "start", lambda writer: None))
        patches.enter_context(patch.object(Writer, "_put", put))
        patches.enter_context(patch.object(Writer, "close", close))
        patches.enter_context(patch.object(Exchange, "under_way", no_alarm))
        try:
            yield
        finally:
            random.setstate(before)
