"""Config: the file, then the environment, then flags; and what is said of a setting that cannot be used."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebox.config import RESERVED, Config, ConfigError, Setting, describe, help_for


def load(
    data_dir: Path,
    file: str | bytes | None = None,
    environ: Mapping[str, str] | None = None,
    **flags: object,
) -> Config:
    if file is not None:
        content = file if isinstance(file, bytes) else file.encode()
        (data_dir / "edgebox.toml").write_bytes(content)
    return Config.load(data_dir, environ or {}, flags)


def error_of(data_dir: Path, file: str | bytes | None = None, **sources: object) -> str:
    """What is said of it, which is always one line."""
    with pytest.raises(ConfigError) as caught:
        load(data_dir, file, **sources)  # type: ignore[arg-type]
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# --- where values come from -------------------------------------------------------------------------------------------


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path) == Config(
        data_dir=tmp_path,
        host="0.0.0.0",
        port=8000,
        address="",
        threads=32,
        pull_interval_s=300.0,
        connect_timeout_s=5.0,
        read_timeout_s=30.0,
        probe_interval_s=60.0,
        backoff_max_s=30.0,
        accept_test_mode=True,
        report_refusals=True,
        attempts_max_age_days=30.0,
        attempts_max_count=500000,
        log_level="info",
    )


def test_a_data_directory_that_is_not_there_yet_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "later").port == 8000


def test_the_later_source_wins(tmp_path: Path) -> None:
    file = 'host = "file"\nport = 1\nthreads = 1\nlog_level = "error"'
    environ = {"EDGEBOX_PORT": "2", "EDGEBOX_THREADS": "2", "EDGEBOX_ADDRESS": "environment"}
    config = load(tmp_path, file, environ, threads=3, host=None)
    assert (config.host, config.port, config.threads) == ("file", 2, 3)
    assert (config.address, config.log_level) == ("environment", "error")


def test_a_flag_may_still_be_text(tmp_path: Path) -> None:
    assert load(tmp_path, port="8080", pull_interval_s="2.5") == load(tmp_path, port=8080, pull_interval_s=2.5)


def test_a_whole_number_in_the_file_is_a_number(tmp_path: Path) -> None:
    interval_s = load(tmp_path, "pull_interval_s = 60").pull_interval_s
    assert interval_s == 60.0
    assert isinstance(interval_s, float)


def test_the_config_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(tmp_path).port = 1  # type: ignore[misc]


def test_other_variables_are_nobodys_business(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"PATH": "/bin", "MY_EDGEBOX_PORT": "1", "edgebox_port": "1"}) == load(tmp_path)


@pytest.mark.parametrize("variable", sorted(RESERVED))
def test_a_reserved_variable_is_no_setting(tmp_path: Path, variable: str) -> None:
    assert load(tmp_path, environ={variable: "anything"}) == load(tmp_path)


def as_text(value: object) -> str:
    """As the environment has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("setting", list(describe()), ids=lambda setting: setting.key)
def test_every_default_can_be_given_by_every_source(tmp_path: Path, setting: Setting) -> None:
    key, default = setting.key, setting.default
    value = json.loads(default)
    expected = load(tmp_path)
    assert load(tmp_path, environ={f"EDGEBOX_{key.upper()}": as_text(value)}) == expected
    assert load(tmp_path, **{key: value}) == expected
    assert load(tmp_path, f"{key} = {default}") == expected


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("host", ["127.0.0.1", "localhost", "::", "::1", "fe80::1%eth0", "edge-box.local"]),
        ("port", [0, 65535]),
        ("address", ["", "192.168.4.1", "192.168.4.1:8000", "http://edgebox.local:8000", "https://box", "[fd00::1]:1"]),
        ("threads", [1, 256]),
        ("pull_interval_s", [1, 1.5, 86400]),
        ("connect_timeout_s", [0.1, 60]),
        ("read_timeout_s", [0.1, 600]),
        ("probe_interval_s", [1, 3600]),
        ("backoff_max_s", [1, 3600]),
        ("accept_test_mode", [True, False]),
        ("report_refusals", [True, False]),
        ("attempts_max_age_days", [1, 36500]),
        ("attempts_max_count", [1, 100000000]),
        ("log_level", ["debug", "info", "warning", "error"]),
    ],
)
def test_good_values_up_to_their_bounds(tmp_path: Path, key: str, good: list[object]) -> None:
    for value in good:
        assert getattr(load(tmp_path, f"{key} = {json.dumps(value)}"), key) == value
    (tmp_path / "edgebox.toml").unlink()
    for value in good:
        assert getattr(load(tmp_path, environ={f"EDGEBOX_{key.upper()}": as_text(value)}), key) == value


# --- bad values -------------------------------------------------------------------------------------------------------


def test_a_bad_value_in_the_file_is_named_with_key_and_path(tmp_path: Path) -> None:
    path = tmp_path / "edgebox.toml"
    expected = f"port = 65536 in {path} must be a whole number from 0 to 65535"
    assert error_of(tmp_path, "port = 65536") == expected


def test_a_bad_value_in_the_environment_is_named_with_key_and_variable(tmp_path: Path) -> None:
    expected = "pull_interval_s = 'soon' in EDGEBOX_PULL_INTERVAL_S must be a number from 1 to 86400"
    assert error_of(tmp_path, environ={"EDGEBOX_PULL_INTERVAL_S": "soon"}) == expected


def test_a_bad_value_in_a_flag_is_named_with_key_and_flag(tmp_path: Path) -> None:
    expected = "log_level = 'loud' in --log-level must be one of debug, info, warning, error"
    assert error_of(tmp_path, log_level="loud") == expected


def test_a_bad_value_is_an_error_although_a_later_source_has_a_good_one(tmp_path: Path) -> None:
    assert "EDGEBOX_PORT" in error_of(tmp_path, environ={"EDGEBOX_PORT": "x"}, port=8000)


@pytest.mark.parametrize(
    "line",
    [
        'port = "8000"',
        "port = 8000.0",
        "port = true",
        "port = -1",
        "port = [8000]",
        "[port]",
        "port = 2026-11-24",
        f"port = 0x{'f' * 6000}",
        "threads = 0",
        "threads = 257",
        "pull_interval_s = 0.9",
        "pull_interval_s = nan",
        "pull_interval_s = inf",
        "pull_interval_s = false",
        'pull_interval_s = "300"',
        "read_timeout_s = -1",
        "attempts_max_age_days = 0",
        "attempts_max_count = 0",
        "attempts_max_count = 1e3",
        "host = 1",
        'host = ""',
        'host = "a b"',
        'host = "192.168.4.1:8000"',
        'host = "http://box"',
        f'host = "{"a b" * 2000}"',
        "address = 1",
        'address = "box:0"',
        'address = "box:65536"',
        'address = "ftp://box"',
        'address = "http://box/path"',
        'address = "http://user@box"',
        'address = "box\\n"',
        'address = "b\u00f6x"',
        'log_level = "INFO"',
        "log_level = 1",
    ],
)
def test_bad_values_in_the_file(tmp_path: Path, line: str) -> None:
    message = error_of(tmp_path, line)
    key = line.strip("[]").split(" ")[0]
    assert message.startswith(f"{key} = ")
    assert f" in {tmp_path / 'edgebox.toml'} must be " in message
    assert len(message) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("port", ""),
        ("port", " 8000"),
        ("port", "8_000"),
        ("port", "\uff18\uff10\uff10\uff10"),
        ("port", "8000.0"),
        ("port", "9" * 5000),
        ("pull_interval_s", ""),
        ("pull_interval_s", "nan"),
        ("pull_interval_s", "inf"),
        ("pull_interval_s", "5 min"),
        ("pull_interval_s", "1_000"),
        ("pull_interval_s", "9" * 5000),
        ("log_level", ""),
        ("host", ""),
        ("address", "box\n"),
    ],
)
def test_bad_values_in_the_environment_and_in_flags(tmp_path: Path, key: str, text: str) -> None:
    variable = f"EDGEBOX_{key.upper()}"
    assert f" in {variable} must be " in error_of(tmp_path, environ={variable: text})
    assert f" in --{key.replace('_', '-')} must be " in error_of(tmp_path, **{key: text})


# --- unknown keys -----------------------------------------------------------------------------------------------------


def test_an_unknown_key_in_the_file_is_named_with_its_path(tmp_path: Path) -> None:
    expected = f"unknown key 'prot' in {tmp_path / 'edgebox.toml'} (did you mean port?)"
    assert error_of(tmp_path, "prot = 8000") == expected


def test_an_unknown_key_stays_on_one_line_and_its_value_is_not_told(tmp_path: Path) -> None:
    message = error_of(tmp_path, '"two\\nlines" = "SECRET"')
    assert "'two\\nlines'" in message
    assert "SECRET" not in message


def test_a_table_is_an_unknown_key(tmp_path: Path) -> None:
    assert "unknown key 'server'" in error_of(tmp_path, "[server]\nport = 8000")


@pytest.mark.parametrize(
    ("variable", "hint"),
    [("EDGEBOX_PROT", " (did you mean EDGEBOX_PORT?)"), ("EDGEBOX_port", ""), ("EDGEBOX_", ""), ("EDGEBOX_X\nY", "")],
)
def test_an_unknown_variable_is_named(tmp_path: Path, variable: str, hint: str) -> None:
    message = error_of(tmp_path, environ={variable: "1"})
    assert message.startswith(f"unknown environment variable {variable!r}")
    assert message.endswith(hint)


def test_an_unknown_flag_is_named(tmp_path: Path) -> None:
    assert error_of(tmp_path, pull_interval=5).startswith("unknown flag --pull-interval ")


def test_the_data_directory_is_no_setting(tmp_path: Path) -> None:
    message = error_of(tmp_path, 'data_dir = "/elsewhere"')
    assert message.startswith(f"data_dir cannot be set in {tmp_path / 'edgebox.toml'}")
    (tmp_path / "edgebox.toml").unlink()
    assert "EDGEBOX_DATA_DIR" in error_of(tmp_path, environ={"EDGEBOX_DATA_DIR": "/elsewhere"})


# --- files that cannot be read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("port = 1\nhost = \n", 2),
        ("port = 1\n\nport = 2\n", 3),
        ("port = 1\nthreads 2", 2),
        ('port = 1\nhost = """\nnever closed', 3),
        ("x", 1),
        (b"port = 1\nhost = '\xff'\n", 2),
        (f"x = {'[' * 20000}", 1),
        (f"port = {'9' * 5000}", 1),
    ],
)
def test_a_syntax_error_is_named_with_file_and_line(tmp_path: Path, content: str | bytes, line: int) -> None:
    assert error_of(tmp_path, content).startswith(f"{tmp_path / 'edgebox.toml'}, line {line}: ")


def test_a_file_written_on_windows_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbfport = 1\r\nthreads = 2\r\n").threads == 2


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "edgebox.toml").mkdir()
    assert error_of(tmp_path).startswith(f"{tmp_path / 'edgebox.toml'} cannot be read: ")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([setting.variable for setting in describe()]), st.text())
def test_any_text_in_a_variable_is_a_setting_or_a_config_error(tmp_path: Path, variable: str, text: str) -> None:
    try:
        config = load(tmp_path, environ={variable: text})
    except ConfigError as error:
        message = str(error)
    else:
        value = getattr(config, variable.removeprefix("EDGEBOX_").lower())
        message = f"{value} in {variable}"
    assert variable in message
    assert message.isprintable()


# --- documentation ----------------------------------------------------------------------------------------------------


def test_every_field_but_the_data_directory_is_described(tmp_path: Path) -> None:
    described = list(describe())
    assert [setting.key for setting in described] == [field.name for field in dataclasses.fields(Config)][1:]
    for setting in described:
        assert setting.help
        assert setting.type
        assert json.loads(setting.default) == getattr(load(tmp_path), setting.key)


def test_a_description_has_all_that_documentation_shows() -> None:
    port = next(setting for setting in describe() if setting.key == "port")
    assert (port.type, port.default, port.variable) == ("a whole number from 0 to 65535", "8000", "EDGEBOX_PORT")


def test_help_for_a_flag_is_one_sentence() -> None:
    assert help_for("port") == (
        "TCP port to listen on; 0 takes any free one "
        "(a whole number from 0 to 65535; default 8000; also port in edgebox.toml, EDGEBOX_PORT)."
    )


def test_help_for_an_unknown_key_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        help_for("data_dir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "edgebox.toml").write_text("port = 1")
    (tmp_path / "edgebox.toml").chmod(0)
    assert "cannot be read: Permission denied" in error_of(tmp_path)
