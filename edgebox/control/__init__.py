"""Commands beside a running box: they post their action to it over a UNIX socket in the data directory.

While a box runs it is the only process that writes its data and the only one that talks to upstream. Where none runs, a
command takes the data directory's lock and does the same action itself. An action has a name, takes JSON and gives
JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Report = Callable[[dict[str, Any]], None]
"""Takes how far an action has come."""


class ActionFailed(Exception):
    """An action was not done, or not wholly; the text is for staff and says what happened and what to do."""


def ignore(progress: dict[str, Any]) -> None:
    """For whoever does not want to know."""
