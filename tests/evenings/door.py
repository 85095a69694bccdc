"""Where phones come in: both dialects as the box has them, put together once for all boxes of this process."""

from __future__ import annotations

from typing import Any, cast

from werkzeug.test import Client, TestResponse

from edgebox.app import device_apps
from edgebox.box import Box


class Door:
    """Stands for whichever box is there. (To put the dialects together takes longer than a dozen scans.)"""

    def __init__(self, box: Box) -> None:
        self.box = box
        droid, scan = device_apps(cast(Box, self))
        self._droid, self._scan = Client(droid), Client(scan)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.box, name)

    def post(self, path: str, **options: Any) -> TestResponse:
        client = self._droid if path.startswith("/pretixdroid/") else self._scan
        return client.post(path, **options)


_doors: list[Door] = []
"""The one, from the first box on."""


def at_the_door(box: Box) -> Door:
    """The door, with this box behind it."""
    if not _doors:
        _doors.append(Door(box))
    _doors[0].box = box
    return _doors[0]
