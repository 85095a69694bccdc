"""What a command gets from the group it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgebox.config import Config
from edgebox.control import actions
from edgebox.control.client import call


@dataclass(frozen=True, slots=True)
class Context:
    """The data directory, and the environment that may hold settings."""

    data_dir: Path
    environ: Mapping[str, str]

    def config(self, **flags: object | None) -> Config:
        """The settings in force. Raises ConfigError."""
        return Config.load(self.data_dir, self.environ, flags)

    def call(self, action: str, report: actions.Report = lambda progress: None, **arguments: Any) -> Any:
        """Do an action of the box, in the running one or here."""
        return call(self.config(), action, arguments, report)


pass_context = click.make_pass_decorator(Context)
