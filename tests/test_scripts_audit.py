"""scripts/audit: what it makes of what pip-audit says. (The real one asks the internet.)"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.test_scripts import REPOSITORY, Copy
from tests.test_scripts import copy as copy

PIP_AUDIT = """#!/bin/sh
echo "pip-audit $*" >>"$STUBS/calls"
while [ "$1" != --output ]; do shift; done
[ ! -e "$STUBS/report" ] || cp "$STUBS/report" "$2"
exit "$(cat "$STUBS/status")"
"""


class Audit:
    """The script in a copy of its own, with a pip-audit that reports what it is told to."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        mktemp = shutil.which("mktemp")
        assert mktemp
        (copy.stubs / "mktemp").symlink_to(mktemp)
        copy.stub("pip-audit", PIP_AUDIT)
        self.told: list[dict[str, Any]] = [
            {"name": name, "version": version, "vulns": []}
            for file in ("requirements.txt", "tests/requirements.txt")
            for name, version in re.findall(r"^([\w.-]+)==(\S+)", (copy.root / file).read_text(), re.MULTILINE)
        ]

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        (self.copy.stubs / "report").write_text(json.dumps({"dependencies": self.told, "fixes": []}))
        return self.run_with_last_report(*arguments, status=status)

    def run_with_last_report(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        (self.copy.stubs / "status").write_text(str(status))
        return self.copy.run("audit", *arguments)

    def about(self, name: str) -> dict[str, Any]:
        return next(each for each in self.told if each["name"] == name)


@pytest.fixture
def audit(copy: Copy) -> Audit:
    return Audit(copy)


def test_nothing_known_is_good(audit: Audit) -> None:
    run = audit.run("--timeout", "5")
    assert run.returncode == 0, run.stderr
    assert f"{len(audit.told)} packages were audited" in run.stdout
    (call,) = [call for call in audit.copy.calls() if call.startswith("pip-audit")]
    for part in ("--requirement requirements.txt", "--requirement tests/requirements.txt", "--timeout 5"):
        assert part in call
    assert len(audit.told) > 60


def test_a_vulnerable_package_is_a_failure_with_its_name(audit: Audit) -> None:
    audit.about("flask")["vulns"] = [{"id": "PYSEC-2099-1", "fix_versions": ["9.9"], "aliases": [], "description": ""}]
    run = audit.run(status=1)
    assert run.returncode == 1
    assert "flask" in run.stdout
    assert "PYSEC-2099-1" in run.stdout
    assert "9.9" in run.stdout


@pytest.mark.parametrize("status", [0, 1])
def test_a_package_that_was_skipped_is_a_failure_whatever_pip_audit_says(audit: Audit, status: int) -> None:
    about = audit.about("waitress")
    del about["version"], about["vulns"]
    about["skip_reason"] = "Dependency not found on PyPI and could not be audited"
    run = audit.run(status=status)
    assert run.returncode == 1
    assert "waitress 3.0.2 could not be audited: Dependency not found" in run.stdout


def test_so_is_one_that_is_not_in_the_report(audit: Audit) -> None:
    audit.told.remove(audit.about("pyyaml"))
    run = audit.run()
    assert run.returncode == 1
    assert re.search(r"^pyyaml \S+ could not be audited", run.stdout, re.MULTILINE)


def test_so_is_a_report_about_another_version(audit: Audit) -> None:
    audit.about("flask")["version"] = "0.1"
    assert "flask" in audit.run().stdout


def test_names_are_compared_as_the_registry_does(audit: Audit) -> None:
    audit.about("flask-login")["name"] = "Flask_Login"
    assert audit.run().returncode == 0


@pytest.mark.parametrize("report", [None, "", "{", "[]", '{"dependencies": 1}'])
def test_no_report_is_a_failure(audit: Audit, report: str | None) -> None:
    """As where there is no internet."""
    if report is not None:
        (audit.copy.stubs / "report").write_text(report)
    run = audit.run_with_last_report(status=1)
    assert run.returncode != 0
    assert "nothing was audited" in run.stderr + run.stdout


def test_a_requirement_without_a_version_is_a_failure(audit: Audit) -> None:
    with (audit.copy.root / "requirements.txt").open("a") as file:
        file.write("something>=1\n")
    run = audit.run()
    assert run.returncode == 1
    assert "something>=1" in run.stdout


def test_without_pip_audit_a_pinned_one_is_installed_for_this_once(audit: Audit) -> None:
    (audit.copy.stubs / "pip-audit").unlink()
    run = audit.run()
    assert run.returncode != 0, "the stub's environment has none"
    assert re.search(r"pip .*pip-audit==[\d.]+", "\n".join(audit.copy.calls()))
    assert not list(Path("/tmp").glob("tmp.*/venv/pyvenv.cfg"))


def test_the_script_is_clean(tmp_path: Path) -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("there is no shellcheck")
    done = subprocess.run([shellcheck, "-x", "scripts/audit"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
