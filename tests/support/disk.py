"""A disk that can be looked at: what a process tells it is recorded, and played back as a power cut would leave it.

`disk.c`, preloaded into the process, records each call that changes a file or a name, and each sync. `Disk` then says
what may be there when the power goes after any number of these calls:

* Content that was written before a sync of its file began is there once that sync has ended. Of all later writes to the
  file any are there and any are not, whatever their order, and of one only some sectors may be: nothing is assumed of
  how the system or the card puts them off.
* A name that was made, changed or removed is so for good once its folder was synced. Of all later ones as many are as
  the disk came to, in their order: that is what the journal of a file system keeps, and all that is assumed of it.
* A sync that had not ended promises nothing.

So every state that a disk which honours `fsync` can be left in is one of these; a card that lies about it is not
covered by this, nor by anything that the box could do.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path, PurePosixPath

SECTOR_BYTES = 512
_HEAD = struct.Struct("=4IQ")

TORN_SHARE = 0.2
"""Of the writes that came to the disk in part, so many lack some of their sectors."""


class Kind(IntEnum):
    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC_BEGINS = 4
    SYNC_ENDS = 5
    UNLINK = 6
    RENAME = 7
    MKDIR = 8
    RMDIR = 9


@dataclass(frozen=True, slots=True)
class Record:
    """One call. `offset` is the size of TRUNCATE, and the number of a sync; `data` the new name of RENAME."""

    kind: Kind
    path: str
    data: bytes
    offset: int


def compiler() -> str:
    """The C compiler, empty where there is none."""
    return next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), "")


def compile_library(source: Path, library: Path) -> Path:
    """Make a library of C that can be preloaded."""
    command = [compiler(), "-O2", "-shared", "-fPIC", "-pthread", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


def environment(library: Path, root: Path, *, record: Path | None = None, fault: Path | None = None) -> dict[str, str]:
    """What a process needs in its environment so that its files below `root` are watched."""
    env = {"LD_PRELOAD": str(library), "DISK_ROOT": str(root.resolve())}
    if record is not None:
        env["DISK_RECORD"] = str(record)
    if fault is not None:
        env["DISK_FAULT"] = str(fault)
    return env


def records(path: Path) -> list[Record]:
    """What was recorded, in order."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        kind, path_bytes, data_bytes, _, offset = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        name = content[at : at + path_bytes].decode()
        data = content[at + path_bytes : at + path_bytes + data_bytes]
        at += path_bytes + data_bytes
        found.append(Record(Kind(kind), name, data, offset))
    return found


@dataclass(eq=False, slots=True)
class _File:
    """What is sure to be on the disk of a file, and what was written since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Record]] = field(default_factory=list)


_FOLDER = _File()
"""What a name stands for that is a folder's."""

Names = dict[str, _File]


class Disk:
    """A disk that is told one record after the other, and can be asked at any time what a power cut would leave."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: what lies there already, for good."""
        self._told = 0
        self._live: Names = {"": _FOLDER}
        for path in sorted(folder.rglob("*")) if folder else []:
            assert folder is not None
            name = path.relative_to(folder).as_posix()
            self._live[name] = _FOLDER if path.is_dir() else _File(bytearray(path.read_bytes()))
        self._durable = dict(self._live)
        self._renames: list[tuple[int, Record, _File]] = []
        """Changes of names that are not sure yet, each with the file that a new one stands for."""
        self._syncs: dict[int, tuple[str, _File, int]] = {}

    def tell(self, record: Record) -> None:
        """The next call of the process."""
        self._told += 1
        match record.kind:
            case Kind.WRITE | Kind.TRUNCATE:
                if (file := self._live.get(record.path)) is not None:  # else it was removed and is still open
                    file.pending.append((self._told, record))
            case Kind.SYNC_BEGINS:
                if (file := self._live.get(record.path)) is not None:
                    self._syncs[record.offset] = (record.path, file, self._told)
            case Kind.SYNC_ENDS:
                if record.offset in self._syncs:
                    self._synced(*self._syncs.pop(record.offset))
            case _:
                file = _FOLDER if record.kind is Kind.MKDIR else _File()
                self._renames.append((self._told, record, file))
                _rename(self._live, record, file)

    def after_a_power_cut(self, dice: random.Random, share: float) -> dict[str, bytes | None]:
        """Names and what they hold (None: a folder) when the power goes now. Of what is not sure `share` is there, more
        or less: nothing with 0, everything with 1."""
        names = dict(self._durable)
        count = len(self._renames) * int(share) if share in (0, 1) else dice.randint(0, len(self._renames))
        for _, record, file in self._renames[:count]:
            _rename(names, record, file)
        names.pop("")
        return {name: None if file is _FOLDER else bytes(_written(file, dice, share)) for name, file in names.items()}

    def _synced(self, path: str, file: _File, told: int) -> None:
        if file is not _FOLDER:
            for number, record in file.pending:
                if number <= told:
                    _write(file.durable, record)
            file.pending = [(number, record) for number, record in file.pending if number > told]
            return
        sure = [number for number, record, _ in self._renames if number <= told and path in _folders(record)]
        while sure and self._renames and self._renames[0][0] <= sure[-1]:
            _, record, made = self._renames.pop(0)
            _rename(self._durable, record, made)


def lay_out(names: dict[str, bytes | None], folder: Path) -> None:
    """Make these files and folders in an empty folder."""
    for name, content in sorted(names.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)


def _folders(record: Record) -> Iterator[str]:
    """Those whose names a record changes."""
    for name in (record.path, record.data.decode()):
        parent = PurePosixPath(name).parent.as_posix()
        yield "" if parent == "." else parent


def _rename(names: Names, record: Record, file: _File) -> None:
    match record.kind:
        case Kind.CREATE | Kind.MKDIR:
            names[record.path] = file
        case Kind.UNLINK | Kind.RMDIR:
            names.pop(record.path, None)
        case Kind.RENAME:
            to = record.data.decode()
            for name in [name for name in names if name == record.path or name.startswith(f"{record.path}/")]:
                names[to + name.removeprefix(record.path)] = names.pop(name)


def _written(file: _File, dice: random.Random, share: float) -> bytearray:
    content = bytearray(file.durable)
    for _, record in file.pending:
        if share == 1 or (share and dice.random() < share):
            is_torn = share != 1 and record.kind is Kind.WRITE and dice.random() < TORN_SHARE
            for part in _sectors(record, dice) if is_torn else (record,):
                _write(content, part)
    return content


def _sectors(record: Record, dice: random.Random) -> Iterator[Record]:
    """Some of the sectors of a write."""
    at, end = record.offset, record.offset + len(record.data)
    while at < end:
        until = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if dice.random() < 0.5:
            yield Record(Kind.WRITE, record.path, record.data[at - record.offset : until - record.offset], at)
        at = until


def _write(content: bytearray, record: Record) -> None:
    if record.kind is Kind.TRUNCATE:
        del content[record.offset :]
        content.extend(bytes(record.offset - len(content)))
        return
    end = record.offset + len(record.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[record.offset : end] = record.data
