"""The write-ahead log as a file: which of its frames can be believed, also behind a place that is damaged.

SQLite reads a log up to the first frame that is not whole and takes that for its end, as it must: a power cut leaves an
end like that. What was committed behind a damaged place is gone then, without a word. Here each frame is judged by
itself, by the checksums in it and in the one before it. (The format: sqlite.org/fileformat2.html, section 4.)
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from edgebox.store.db import StoreError, connect

HEAD_BYTES, FRAME_HEAD_BYTES = 32, 24
_LITTLE, _BIG = 0x377F0682, 0x377F0683
"""What a log begins with: in which order its checksums take the bytes of a word."""
_SALTS = slice(8, 16)
SECTOR_BYTES = 512
"""The least that a disk writes as a whole."""
_MXFRAME_AT = 16
"""Where the index beside the log (`-shm`) says how many frames SQLite reads."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A page as a transaction wrote it; `pages_after` is 0 unless it ends the transaction."""

    number: int
    page: int
    pages_after: int
    content: bytes


class Wal:
    """A log, read without any lock: nobody may be writing it. Close it."""

    def __init__(self, path: Path, page_size: int = 4096) -> None:
        """`page_size` counts where the log's own head cannot be read. Raises OSError where there is no such file."""
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        head = _read(self._file, 0, HEAD_BYTES)
        self._order, sums = "<", None
        self.is_head_whole = False
        if len(head) == HEAD_BYTES:
            magic, _, size = struct.unpack(">3I", head[:12])
            self._order = ">" if magic == _BIG else "<"
            sums = struct.unpack(">2I", head[24:])
            self.is_head_whole = magic in (_LITTLE, _BIG) and _checksum(self._order, head[:24], (0, 0)) == sums
            page_size = size if self.is_head_whole else page_size
        self._head_sums = sums
        self._frame_bytes = FRAME_HEAD_BYTES + page_size
        self.frames = max(0, os.fstat(self._file).st_size - HEAD_BYTES) // self._frame_bytes
        """How many have room in the file; those of an earlier log among them."""
        self.salts = head[16:24] if self.is_head_whole else self._most_common_salts()

    def close(self) -> None:
        os.close(self._file)

    def newest(self, last: int) -> Iterator[Frame]:
        """Of each page in the first `last` frames the newest one. They are not judged: SQLite has read this far."""
        numbers = {int.from_bytes(self._frame_head(number)[:4], "big"): number for number in range(1, last + 1)}
        for page, number in numbers.items():
            yield Frame(number, page, 0, self._content(number))

    def whole(self, after: int = 0) -> Iterator[Frame]:
        """The frames of committed transactions behind frame `after` that can be believed, oldest first."""
        waiting: list[Frame] = []
        for number in range(after + 1, self.frames + 1):
            if frame := self._frame(number):
                waiting.append(frame)
                if frame.pages_after:
                    yield from waiting
                    waiting.clear()

    def goes_on_behind(self, last: int) -> bool:
        """Whether a transaction was committed, and a later one begun, behind frame `last`, where SQLite stops reading.

        A power cut takes the end of the last transaction only: the next one begins when this one is on the disk. (So a
        last commit that was damaged later cannot be told from one that the power cut.) Behind it there may still be
        frames of a transaction that was rolled back: they follow on each other, but not on this one, and commit
        nothing.
        """
        if not self.is_head_whole:
            return self.frames > 0 and any(True for _ in self.whole())
        first_commit = None
        for number in range(last + 1, self.frames + 1):
            head = self._frame_head(number)
            if head[_SALTS] != self.salts:
                continue
            is_commit = int.from_bytes(head[4:8], "big") > 0 and self._is_of_one_piece(number)
            if first_commit is None:
                first_commit = number if is_commit else None
            elif (is_commit or number == first_commit + 1) and self._frame(number):
                return True
        return False

    def _is_of_one_piece(self, number: int) -> bool:
        """Whether page, commit and salts in a frame's head were written together: a power cut may leave one sector as
        it was in an earlier log, and the next one new."""
        return self._offset(number) % SECTOR_BYTES <= SECTOR_BYTES - _SALTS.stop or self._frame(number) is not None

    def _frame(self, number: int) -> Frame | None:
        """A frame of this log, None where it is not whole."""
        head = self._frame_head(number)
        if len(head) < FRAME_HEAD_BYTES or head[_SALTS] != self.salts:
            return None
        content = self._content(number)
        before = struct.unpack(">2I", self._frame_head(number - 1)[16:]) if number > 1 else self._head_sums
        if before is None or len(content) < self._frame_bytes - FRAME_HEAD_BYTES:
            return None
        if _checksum(self._order, head[:8] + content, before) != struct.unpack(">2I", head[16:]):
            return None
        page, pages_after = struct.unpack(">2I", head[:8])
        return Frame(number, page, pages_after, content)

    def pages_up_to(self, last: int) -> set[int]:
        """The pages that the first `last` frames hold."""
        return {int.from_bytes(self._frame_head(number)[:4], "big") for number in range(1, last + 1)}

    def _content(self, number: int) -> bytes:
        return _read(self._file, self._offset(number) + FRAME_HEAD_BYTES, self._frame_bytes - FRAME_HEAD_BYTES)

    def _offset(self, number: int) -> int:
        return HEAD_BYTES + (number - 1) * self._frame_bytes

    def _frame_head(self, number: int) -> bytes:
        return _read(self._file, self._offset(number), FRAME_HEAD_BYTES)

    def _most_common_salts(self) -> bytes:
        found = Counter(self._frame_head(number)[_SALTS] for number in range(1, self.frames + 1))
        return found.most_common(1)[0][0] if found else b""


def read_by_sqlite(database: Path) -> int:
    """How many frames of a log SQLite reads; 0 where it cannot read any. Nobody may be writing."""
    try:
        with closing(connect(database, read_only=True)) as connection:
            with suppress(sqlite3.Error):  # what is wrong with the database itself does not matter here
                connection.execute("BEGIN")
                connection.execute("PRAGMA schema_version").fetchone()
            return frames_in_use(database)
    except StoreError:
        return 0


def has_lost_commits(database: Path) -> bool:
    """Whether the log of a database holds commits that SQLite does not see. A connection must be reading it, and nobody
    writing."""
    try:
        with closing(Wal(beside(database, "-wal"))) as log:
            return log.goes_on_behind(frames_in_use(database))
    except FileNotFoundError:
        return False


def holds_pages(database: Path, pages: range) -> bool:
    """Whether the log of a database holds all of these. As above."""
    try:
        with closing(Wal(beside(database, "-wal"))) as log:
            return log.pages_up_to(frames_in_use(database)).issuperset(pages)
    except FileNotFoundError:
        return False


def frames_in_use(database: Path) -> int:
    """How many frames of the log SQLite reads, while a connection does."""
    try:
        index = beside(database, "-shm").read_bytes()[: _MXFRAME_AT + 4]
    except FileNotFoundError:
        return 0
    return int(struct.unpack_from("=I", index, _MXFRAME_AT)[0]) if len(index) == _MXFRAME_AT + 4 else 0


def beside(database: Path, ending: str) -> Path:
    """A file that SQLite keeps beside a database."""
    return database.with_name(database.name + ending)


def _read(file: int, offset: int, size: int) -> bytes:
    """What can be read of it: a bad place on the card is a frame that is not whole."""
    try:
        return os.pread(file, size, offset)
    except OSError:
        return b""


def _checksum(order: str, data: bytes, sums: tuple[int, ...]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
