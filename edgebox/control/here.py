"""An action where no box runs: a box is put up for it alone, neither serving nor syncing by itself."""

from __future__ import annotations

from typing import Any

from edgebox.box import Box
from edgebox.config import Config
from edgebox.control import ActionFailed, Report, actions


def act(config: Config, action: str, arguments: dict[str, Any], report: Report) -> Any:
    """Do one action; its JSON result. The data directory is the caller's alone. Raises ActionFailed."""
    try:
        box = Box(config)
        try:
            return actions.run(box, action, arguments, report)
        finally:
            box.close()
    except actions.KNOWN_ERRORS as error:
        raise ActionFailed(str(error)) from error
