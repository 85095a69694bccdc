"""Names on the disk: a new one is there after a power cut only once its directory was synced."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """A file's content, or the names in a directory, are on the disk when this returns. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def move(path: Path, to: Path) -> None:
    """Give a file or a folder another name, for good. Raises OSError."""
    path.rename(to)
    sync(to.parent)
    if path.parent != to.parent:
        sync(path.parent)
