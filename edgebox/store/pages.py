"""The rows of a database file that SQLite cannot read any more: page by page, each by itself.

Nothing here asks how the pages hang together, which is what a damage destroys first: the head of the file, the schema,
the inner pages of a table. A page that holds rows tells so itself, and each row how long it is and of what its columns
are made; whose rows they are tells their shape. (The format: sqlite.org/fileformat2.html, sections 1.6 and 2.)
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from edgebox.store.wal import Wal, beside, read_by_sqlite

Value = int | float | str | bytes | None

MAGIC = b"SQLite format 3\0"
_FIRST_PAGE_HEAD_BYTES = 100
_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER = 13, 10, 2
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
MAX_PAYLOAD_BYTES = 4_000_000
"""No row of a box is longer: a length beyond is rubbish."""


class NotWhole(Exception):
    """These bytes are not what they should be."""


@dataclass(frozen=True, slots=True)
class Image:
    """A page as it was at some time; a later one has a higher `age`: 0 is the file's own, then come the log's."""

    number: int
    age: int
    content: bytes

    @property
    def _begins(self) -> int:
        return _FIRST_PAGE_HEAD_BYTES if self.number == 1 else 0

    @property
    def kind(self) -> int:
        return self.content[self._begins] if len(self.content) > self._begins else 0

    def cells(self, head_bytes: int = 8) -> Iterator[int]:
        """Where its cells begin; those that lie outside of it are left out."""
        begins, content = self._begins, self.content
        count = int.from_bytes(content[begins + 3 : begins + 5], "big")
        pointers = begins + head_bytes
        for at in range(pointers, min(pointers + 2 * count, len(content) - 1), 2):
            offset = int.from_bytes(content[at : at + 2], "big")
            if offset >= pointers:
                yield offset


@dataclass(frozen=True, slots=True)
class Row:
    """A row with its values in the order of its table's columns; `age` is its page's."""

    id: int
    values: tuple[Value, ...]
    age: int


class Pages:
    """Every page of a damaged database, out of the file and out of its log. Nobody may be writing it; close it."""

    def __init__(self, database: Path, base: Path, page_size: int = 4096) -> None:
        """`base` is an earlier state of it: what is the same there holds nothing new. `page_size` counts where the file
        does not tell. What is not there is as good as empty."""
        self._file = _opened(database)
        self._base = os.open(base, os.O_RDONLY | os.O_CLOEXEC)
        self._size = page_size = _page_size(self._file) or page_size
        self._newest: dict[int, bytes] = {}
        self._logged: list[Image] = []
        log = beside(database, "-wal")
        if log.exists():
            read = read_by_sqlite(database)
            with closing(Wal(log, page_size)) as wal:
                for frame in chain(wal.newest(read), wal.whole(after=read)):
                    if len(frame.content) == page_size:
                        self._newest[frame.page] = frame.content
                        self._logged.append(Image(frame.page, frame.number, frame.content))

    def close(self) -> None:
        os.close(self._base)
        if self._file is not None:
            os.close(self._file)

    def images(self) -> Iterator[Image]:
        """All that the base does not have. Of one page several, where the log is damaged: what has moved to a page that
        is lost stands in an older image."""
        if self._file is not None:
            for number in range(1, os.fstat(self._file).st_size // self._size + 1):
                if (content := self._in_file(number)) != self._in_base(number):
                    yield Image(number, 0, content)
        yield from (image for image in self._logged if image.content != self._in_base(image.number))

    def rows(self) -> Iterator[Row]:
        """The rows of all tables that have a row id, as far as they can be read."""
        for image in self.images():
            if image.kind == _TABLE_LEAF:
                for offset in image.cells():
                    try:
                        length, at = _varint(image.content, offset)
                        row_id, at = _varint(image.content, at)
                        payload = self._payload(image.content, at, length, self._size - 35)
                        yield Row(_signed(row_id), record(payload), image.age)
                    except NotWhole:
                        continue

    def entries(self, root: int) -> Iterator[tuple[Value, ...]]:
        """The rows of a table that has no row id, from its first page on; as far as they can be read."""
        waiting, seen = [root], set[int]()
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            image = Image(number, 0, self._page(number))
            if image.kind not in (_INDEX_LEAF, _INDEX_INNER):
                continue
            is_inner = image.kind == _INDEX_INNER
            if is_inner:
                waiting.append(int.from_bytes(image.content[image._begins + 8 : image._begins + 12], "big"))
            for offset in image.cells(12 if is_inner else 8):
                try:
                    if is_inner:
                        waiting.append(int.from_bytes(image.content[offset : offset + 4], "big"))
                    length, at = _varint(image.content, offset + 4 * is_inner)
                    yield record(self._payload(image.content, at, length, (self._size - 12) * 64 // 255 - 23))
                except NotWhole:
                    continue

    def _in_file(self, number: int) -> bytes:
        if self._file is None:
            return b""
        try:
            return os.pread(self._file, self._size, (number - 1) * self._size)
        except OSError:  # a bad place on the card
            return b""

    def _in_base(self, number: int) -> bytes:
        return os.pread(self._base, self._size, (number - 1) * self._size)

    def _page(self, number: int) -> bytes:
        """The newest that can be believed."""
        return self._newest.get(number) or self._in_file(number)

    def _payload(self, content: bytes, at: int, length: int, most: int) -> bytes:
        """A row's bytes: `length` of them, of which the rest lies on pages of its own where there are more than `most`
        (and then the page holds what leaves the least unused)."""
        if not 0 < length <= MAX_PAYLOAD_BYTES:
            raise NotWhole
        here = length
        if length > most:
            least = (self._size - 12) * 32 // 255 - 23
            here = least + (length - least) % (self._size - 4)
            here = here if here <= most else least
        payload = content[at : at + here]
        if len(payload) < here:
            raise NotWhole
        following = int.from_bytes(content[at + here : at + here + 4], "big")
        while len(payload) < length:
            page = self._page(following) if following else b""
            if len(page) < self._size:
                raise NotWhole
            following = int.from_bytes(page[:4], "big")
            payload += page[4 : 4 + length - len(payload)]
        return payload


def record(payload: bytes) -> tuple[Value, ...]:
    """The values of a row. Raises NotWhole."""
    head_bytes, at = _varint(payload, 0)
    if head_bytes > len(payload):
        raise NotWhole
    kinds = []
    while at < head_bytes:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[Value] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise NotWhole
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    length = _INTEGER_BYTES[kind] if kind < 7 else 8 if kind == 7 else (kind - 12) // 2
    piece = payload[at : at + length]
    if len(piece) < length or kind in (10, 11):
        raise NotWhole
    if kind < 7:
        return int.from_bytes(piece, "big", signed=True), at + length
    if kind == 7:
        return float(struct.unpack(">d", piece)[0]), at + length
    if kind % 2 == 0:
        return piece, at + length
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        raise NotWhole from None
    if "\0" in text:  # no text of a box has one; a place that was erased is full of them
        raise NotWhole
    return text, at + length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for index in range(9):
        if at + index >= len(content):
            raise NotWhole
        byte = content[at + index]
        if index == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    raise NotWhole


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _page_size(file: int | None) -> int | None:
    """As the file's head tells it; None where that cannot be."""
    try:
        head = os.pread(file, 18, 0) if file is not None else b""
    except OSError:
        return None
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    return size if head.startswith(MAGIC) and 512 <= size <= 65536 and size & (size - 1) == 0 else None
