"""What a command gets from the group that it is in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebox.config import Config
from edgebox.control import ActionFailed, Report, client, ignore
from edgebox.datadir import Holder

if TYPE_CHECKING:
    from edgebox.store.db import Connection


@dataclass(frozen=True, slots=True)
class Context:
    """The data directory, and the environment that may hold settings."""

    data_dir: Path
    environ: Mapping[str, str]

    def config(self, **flags: object | None) -> Config:
        """The settings in force. Raises ConfigError."""
        return Config.load(self.data_dir, self.environ, flags)

    def call(self, action: str, report: Report = ignore, **arguments: Any) -> Any:
        """Do an action of the box, in the running one or here. Raises ActionFailed, ConfigError, DataDirError."""

        def announce(holder: Holder) -> None:
            click.echo(f"edgebox: waiting for {holder} that works on {self.data_dir}", err=True)

        return client.call(self.config(), action, arguments, report=report, announce=announce)

    @contextmanager
    def records(self) -> Iterator[Connection]:
        """The database for reading, beside whatever box runs. Raises ActionFailed, ConfigError."""
        from edgebox.store import StoreError, open_for_reading

        try:
            connection = open_for_reading(self.config().data_dir)
            try:
                yield connection
            finally:
                connection.close()
        except StoreError as error:
            raise ActionFailed(str(error)) from error


pass_context = click.make_pass_decorator(Context)


class Number(click.ParamType[int]):
    """The number of a list, a check-in or an item, within what the database can hold."""

    name = "number"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if re.fullmatch(r"[0-9]{1,18}", value, re.ASCII) is None:
            self.fail(f"'{value}' is not a number", parameter, context)
        return int(value)


NUMBER = Number()
