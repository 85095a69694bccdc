"""Config: one frozen dataclass from `edgebox.toml` in the data directory, EDGEBOX_* variables and flags, later wins.

Each field carries its help and its parser; the file, the environment, the flags and the documentation all read from
there, so a new setting is one line in `Config` and nothing else.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

FILE_NAME: Final = "edgebox.toml"
PREFIX: Final = "EDGEBOX_"
RESERVED: Final = frozenset(
    {
        "EDGEBOX_DATA",
        "EDGEBOX_VENV",
        "EDGEBOX_PRETIX_LEGACY",
        "EDGEBOX_PRETIX_CURRENT",
        "EDGEBOX_REQUIRE_INTEROP",
        "EDGEBOX_TEST_HANG",
    }
)
"""Variables that are for somebody else: the data directory itself, and what the scripts and tests go by."""


class ConfigError(Exception):
    """A setting that cannot be used. The text is one line and names the key and where it came from."""


# --- parsers ----------------------------------------------------------------------------------------------------------


class Parser(Protocol):
    """Reads one kind of value. Both methods raise ValueError; what they want instead is `wants`."""

    @property
    def wants(self) -> str:
        """What a good value is, as it fits behind "must be"."""

    def from_value(self, value: object) -> object:
        """From a value that has a type already (TOML, a flag): nothing is converted but a whole number to a number."""

    def from_text(self, text: str) -> object:
        """From text, as the environment has it."""


@dataclass(frozen=True)
class WholeNumber:
    """A whole number within bounds."""

    lowest: int
    highest: int

    @property
    def wants(self) -> str:
        return f"a whole number from {self.lowest} to {self.highest}"

    def from_value(self, value: object) -> int:
        # Python takes True for a 1.
        if not isinstance(value, int) or isinstance(value, bool) or not self.lowest <= value <= self.highest:
            raise ValueError
        return value

    def from_text(self, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", text):
            raise ValueError
        return self.from_value(int(text))


@dataclass(frozen=True)
class Number:
    """A number within bounds; never infinite."""

    lowest: float
    highest: float

    @property
    def wants(self) -> str:
        return f"a number from {self.lowest:g} to {self.highest:g}"

    def from_value(self, value: object) -> float:
        # A whole number may be too large for a float, so it is compared first; NaN compares as false.
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.lowest <= value <= self.highest:
            raise ValueError
        return float(value)

    def from_text(self, text: str) -> float:
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
            raise ValueError
        return self.from_value(float(text))


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    @property
    def wants(self) -> str:
        return "true or false"

    def from_value(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def from_text(self, text: str) -> bool:
        return {"true": True, "false": False}[text] if text in ("true", "false") else self.from_value(None)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def wants(self) -> str:
        return f"one of {', '.join(self.words)}"

    def from_value(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value

    def from_text(self, text: str) -> str:
        return self.from_value(text)


@dataclass(frozen=True)
class Text:
    """Text of a certain form. A port in it, the pattern's group `port`, must be one that can be reached."""

    wants: str
    pattern: re.Pattern[str]

    def from_value(self, value: object) -> str:
        match = self.pattern.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError
        port = match.groupdict().get("port")
        if port is not None and not 1 <= int(port) <= 65535:
            raise ValueError
        return match[0]

    def from_text(self, text: str) -> str:
        return self.from_value(text)


_HOST = Text(
    "a host name or an IP address to listen on, without a port",
    re.compile(r"[0-9A-Za-z._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[0-9A-Za-z._-]+)?"),
)
_ADDRESS = Text(
    "empty, HOST[:PORT] or http[s]://HOST[:PORT]",
    re.compile(r"|(https?://)?([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"),
)
_FOLDER = Text("empty or a path that begins with /", re.compile(r"|/[^\0]*"))
_PROXY = Text(
    "empty or an IP address", re.compile(r"|[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")
)


# --- the schema -------------------------------------------------------------------------------------------------------


def _setting(default: object, parser: Parser, help_text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help_text, "parser": parser})


@dataclass(frozen=True, kw_only=True)
class Config:
    """How this box is set up.

    `load` checks every value. Made directly it checks nothing: tests may want shorter times than make sense at a venue.
    """

    data_dir: Path
    """Where the box keeps everything. It is given, and no setting: the file lies in it."""

    host: str = _setting("0.0.0.0", _HOST, "where to listen; 0.0.0.0 is every IPv4 address of this machine")
    port: int = _setting(8000, WholeNumber(0, 65535), "TCP port to listen on; 0 takes any free one")
    address: str = _setting(
        "",
        _ADDRESS,
        "how scanners reach the box, as QR codes carry it, such as 192.168.4.1:8000 or http://edgebox.local:8000; "
        "empty lets the box find it",
    )
    trusted_proxy: str = _setting(
        "",
        _PROXY,
        "the reverse proxy whose word for a client's address is believed, such as 127.0.0.1 for one on this machine; "
        "empty: nobody's",
    )
    threads: int = _setting(32, WholeNumber(1, 256), "threads that answer requests")
    pull_interval_s: float = _setting(300.0, Number(1, 86400), "seconds between whole snapshots from upstream")
    connect_timeout_s: float = _setting(5.0, Number(0.1, 60), "seconds to wait for a connection to upstream")
    read_timeout_s: float = _setting(30.0, Number(0.1, 600), "seconds to wait for upstream to send something")
    probe_interval_s: float = _setting(
        60.0, Number(1, 3600), "seconds without a word from upstream after which a list probes it"
    )
    backoff_max_s: float = _setting(
        30.0, Number(1, 3600), "seconds between two tries at most while upstream cannot be reached"
    )
    accept_test_mode: bool = _setting(
        True, Flag(), "whether tickets of orders in pretix's test mode let in, as they do at the server"
    )
    report_refusals: bool = _setting(
        True, Flag(), "whether today's pretix is told of attempts that the box refused (after all check-ins)"
    )
    rescan_grace_s: float = _setting(
        0.0,
        Number(0, 600),
        "seconds within which the same scan of the same device is let in again, in case the answer was lost; "
        "so is a copy of the ticket that comes next",
    )
    attempts_max_age_days: float = _setting(
        30.0, Number(1, 36500), "days for which refused and repeated attempts are kept"
    )
    attempts_max_count: int = _setting(
        500000, WholeNumber(1, 100000000), "refused and repeated attempts that are kept at most"
    )
    copy_interval_s: float = _setting(
        900.0, Number(10, 86400), "seconds between two copies of the database, made beside it while something changes"
    )
    copies_kept: int = _setting(3, WholeNumber(1, 100), "copies of the database that are kept, the newest ones")
    backup_folder: str = _setting(
        "",
        _FOLDER,
        "the folder or mounted stick to which the journal is written every few seconds, and copies of the database "
        "(edgebox backup); empty: none",
    )
    backups_kept: int = _setting(3, WholeNumber(1, 100), "copies of the database that are kept there, the newest ones")
    purge_after_days: float = _setting(
        30.0,
        Number(0, 36500),
        "days after an event's end until names, codes and check-ins of its lists are removed, once all check-ins are "
        "at the ticket server; 0: never by itself",
    )
    metrics: bool = _setting(
        True, Flag(), "whether GET /metrics tells numbers for Prometheus, to anybody on the network"
    )
    log_level: str = _setting(
        "info", Choice(("debug", "info", "warning", "error")), "how much the log tells: from here on up"
    )

    @classmethod
    def load(cls, data_dir: Path, environ: Mapping[str, str], flags: Mapping[str, object | None]) -> Config:
        """The settings in force. `flags` has keys as the fields are named; None is a flag that was not given.

        Raises ConfigError for the first key that is unknown and the first value that is bad, also where a later source
        would have set it right.
        """
        values = {
            **_from_file(data_dir / FILE_NAME),
            **_from_environment(environ),
            **_from_flags(flags),
        }
        return cls(data_dir=data_dir, **values)


@dataclass(frozen=True)
class Setting:
    """One field of Config as documentation shows it. `default` is written as in the file."""

    key: str
    type: str
    default: str
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.key.upper()


def describe() -> Iterator[Setting]:
    """Every setting, in the order of Config."""
    for field in dataclasses.fields(Config):
        if field.metadata:
            wants = field.metadata["parser"].wants
            yield Setting(field.name, wants, json.dumps(field.default), field.metadata["help"])


def help_for(key: str) -> str:
    """Help for the flag that sets this key, in one sentence. Raises KeyError for an unknown key."""
    setting = {each.key: each for each in describe()}[key]
    also = f"also {key} in {FILE_NAME}, {setting.variable}"
    return f"{setting.help[0].upper()}{setting.help[1:]} ({setting.type}; default {setting.default}; {also})."


# --- the three sources ------------------------------------------------------------------------------------------------

_PARSERS: Final[Mapping[str, Parser]] = {
    field.name: field.metadata["parser"] for field in dataclasses.fields(Config) if field.metadata
}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    values: dict[str, Any] = {}
    for key, value in _parse_toml(path, content).items():
        if key == "data_dir":
            raise ConfigError(f"data_dir cannot be set in {path}, which lies in it: use --data or EDGEBOX_DATA")
        if key not in _PARSERS:
            raise ConfigError(f"unknown key {key!r} in {path}{_did_you_mean(key, _PARSERS)}")
        values[key] = _parsed(key, value, str(path), _PARSERS[key].from_value)
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    keys = {setting.variable: setting.key for setting in describe()}
    values: dict[str, Any] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name not in RESERVED):
        if variable not in keys:
            raise ConfigError(f"unknown environment variable {variable!r}{_did_you_mean(variable, keys)}")
        key = keys[variable]
        values[key] = _parsed(key, environ[variable], variable, _PARSERS[key].from_text)
    return values


def _from_flags(flags: Mapping[str, object | None]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in flags.items():
        if value is None:
            continue
        flag = "--" + key.replace("_", "-")
        if key not in _PARSERS:
            raise ConfigError(f"unknown flag {flag}{_did_you_mean(key, _PARSERS)}")
        # A command may leave a flag as the text that was typed, or have made a number of it.
        parser = _PARSERS[key]
        values[key] = _parsed(key, value, flag, parser.from_text if isinstance(value, str) else parser.from_value)
    return values


def _parsed(key: str, value: object, origin: str, parse: Callable[[Any], object]) -> object:
    try:
        return parse(value)
    except ValueError:
        raise ConfigError(f"{key} = {_shown(value)} in {origin} must be {_PARSERS[key].wants}") from None


def _parse_toml(path: Path, content: bytes) -> dict[str, Any]:
    """The file's top level. Errors name the line."""
    try:
        # Editors on Windows put a byte order mark first.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        # tomllib tells the place in its text only, and for a file that ends too early it gives no number.
        message, _, place = str(error).partition(" (at ")
        match = re.match(r"line (\d+)", place)
        line = int(match[1]) if match else max(1, len(content.splitlines()))
        raise ConfigError(f"{path}, line {line}: {message}") from None


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write out a number of thousands of digits.
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}..."


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
