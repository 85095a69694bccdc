"""What came of a database that was restored: told to staff until they have seen it. Kept beside the files that it
replaced, not in the database, which may have to be restored again.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from edgebox.instants import from_text, to_text
from edgebox.store import files
from edgebox.store.db import NotWritable, Refused

log = logging.getLogger(__name__)

FOLDER = "replaced"
REPORT = "restored.json"
_INSTANTS = ("at", "copy_made_at", "missing_from", "missing_to", "seen_at")


@dataclass(frozen=True, slots=True)
class Restoration:
    """A database that was restored, from what, and what it may lack."""

    at: datetime
    problem: str
    """What was wrong with the one before; empty where somebody put a backup in its place."""
    kept_in: str
    """The folder with the files that it replaced, within the data directory."""
    copy_made_at: datetime | None
    """Of the copy that it was restored from; None: only its log was damaged, and the rest of it was whole."""
    salvaged: int
    """Check-ins that the copy did not have: out of the replaced files, or from what followed a backup."""
    brought_up_to_date: int
    """Check-ins that the copy had in an earlier state."""
    known_missing: int
    """Check-ins of which only the number is left."""
    missing_from: datetime | None
    missing_to: datetime | None
    """Within these others may be missing, of which nothing is left. From None: from the beginning; to None: none."""
    seen_at: datetime | None = None

    @property
    def is_by_hand(self) -> bool:
        return not self.problem

    def in_words(self) -> str:
        """What happened, for the log and the command line."""
        base = "what was whole of it" if self.copy_made_at is None else f"the copy of {_moment(self.copy_made_at)}"
        if self.is_by_hand:
            text = (
                f"The database was replaced at {_moment(self.at)} by {base}; {self.salvaged} later check-ins were "
                f"found and added; what it replaced is kept in {self.kept_in}"
            )
        else:
            text = (
                f"The database was damaged ({self.problem}) and was restored at {_moment(self.at)} from {base}; "
                f"{self.salvaged} check-ins were salvaged from the damaged files, which are kept in {self.kept_in}"
            )
        if self.known_missing:
            text += f"; {self.known_missing} are known to be missing"
        if self.missing_to is None:
            return f"{text}; nothing is missing"
        since = "the beginning" if self.missing_from is None else _moment(self.missing_from)
        return f"{text}; entries between {since} and {_moment(self.missing_to)} may be missing"


class Restorations:
    """Those of one data directory, newest first."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._all = sorted(_read_all(data_dir), key=lambda each: each.at, reverse=True)

    def unseen(self) -> list[Restoration]:
        """Those that staff have not dismissed."""
        return [each for each in self._all if each.seen_at is None]

    def dismiss(self, at: datetime) -> None:
        """Staff have seen them all. Raises Refused where there is nothing to see, NotWritable."""
        if not self.unseen():
            raise Refused("nothing was restored that nobody has seen yet: there is nothing to dismiss")
        for place, each in enumerate(self._all):
            if each.seen_at is None:
                seen = replace(each, seen_at=at)
                try:
                    write(self._data_dir / each.kept_in / REPORT, seen)
                except OSError as error:
                    raise NotWritable(f"this cannot be written down ({error.strerror}); nothing was done") from error
                self._all[place] = seen

    def forget(self) -> list[Path]:
        """Remove what was replaced and staff have seen, with the names and codes in it; what nobody has seen yet is
        kept, and told. Raises OSError."""
        kept = []
        for each in list(self._all):
            folder = self._data_dir / each.kept_in
            if each.seen_at is None:
                kept.append(folder)
                continue
            shutil.rmtree(folder)
            self._all.remove(each)
        return kept


def write(path: Path, restoration: Restoration) -> None:
    """Put a report in its place, whole or not at all. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    told = asdict(restoration) | {
        name: to_text(instant) if (instant := getattr(restoration, name)) else None for name in _INSTANTS
    }
    part.write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")
    files.sync(part)
    files.move(part, path)


def read(path: Path) -> Restoration:
    """A report. Raises OSError, ValueError."""
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    try:
        return Restoration(**told | {name: told[name] and from_text(told[name]) for name in _INSTANTS})
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from error


def _read_all(data_dir: Path) -> list[Restoration]:
    found = []
    for path in (data_dir / FOLDER).glob(f"*/{REPORT}"):
        try:
            found.append(read(path))
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s)", path, error)
    return found


def _moment(instant: datetime) -> str:
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"
