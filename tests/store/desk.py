"""A writer alone, on a small database, and threads that ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from edgebox.store.db import Connection, connect
from edgebox.store.writer import Writer
from tests.store.venue import DEADLINE_S


class Tail:
    """Nothing small waits, unless a test puts something in `texts`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.is_due = False
        self.done_with: list[bool] = []
        self.fails_with: Exception | None = None

    def due_in_s(self) -> float | None:
        return 0.0 if self.is_due else None

    def flush(self, connection: Connection) -> None:
        for text in self.texts:
            connection.execute("INSERT INTO note VALUES (?)", (text,))
        if self.fails_with is not None:
            raise self.fails_with

    def done(self, is_written: bool) -> None:
        self.done_with.append(is_written)
        self.is_due = False
        if is_written:
            self.texts.clear()


class Desk:
    """A writer on a small database, and threads that ask it."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "edgebox.sqlite3"
        connection = connect(self.path)
        connection.execute("CREATE TABLE note (text TEXT PRIMARY KEY)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        self.reader = connect(self.path, read_only=True)
        assert self.notes == []
        self.tail = Tail()
        self.writer = Writer(self.path, self.tail)
        self.writer.start()

    def note(self, text: str) -> Callable[[Connection], str]:
        def job(connection: Connection) -> str:
            connection.execute("INSERT INTO note VALUES (?)", (text,))
            return text

        return job

    def ask(self, work: Callable[[], Any]) -> Future[Any]:
        """In a thread that ends with the process, should nobody ever answer."""
        asked: Future[Any] = Future()

        def wait() -> None:
            try:
                asked.set_result(work())
            except BaseException as error:
                asked.set_exception(error)

        threading.Thread(target=wait, daemon=True).start()
        return asked

    def redeem(self, job: Callable[[Connection], Any]) -> Future[Any]:
        return self.ask(lambda: self.writer.redeem(job))

    def write(self, job: Callable[[Connection], Any]) -> Future[Any]:
        return self.ask(lambda: self.writer.write(job))

    def write_slice(self, job: Callable[[Connection], Any]) -> Future[Any]:
        return self.ask(lambda: self.writer.write_slice(job))

    def redeem_now(self, job: Callable[[Connection], Any]) -> Any:
        return self.redeem(job).result(DEADLINE_S)

    def write_now(self, job: Callable[[Connection], Any]) -> Any:
        return self.write(job).result(DEADLINE_S)

    @property
    def notes(self) -> list[str]:
        """What is on disk."""
        return [row[0] for row in self.reader.execute("SELECT text FROM note ORDER BY rowid")]

    def close(self) -> None:
        self.writer.close()
        self.reader.close()
