"""scripts/test and scripts/screenshots: the browser that they need."""

from __future__ import annotations

import pytest

from tests.test_scripts import STUB, Copy
from tests.test_scripts import copy as copy

APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$STUBS/calls"
case "$*" in *install*) printf '#!/bin/sh\\n' >"$STUBS/chromium"; chmod 755 "$STUBS/chromium" ;; esac
"""


def without_python(calls: list[str]) -> list[str]:
    """What was asked of anything but Python."""
    return [call for call in calls if call.startswith("apt-get")]


def test_root_on_debian_gets_chromium_installed(copy: Copy) -> None:
    copy.be_root(True)
    copy.stub("chmod", '#!/bin/sh\nexec /bin/chmod "$@"\n')
    copy.stub("apt-get", APT_GET)
    run = copy.run("test")

    assert run.returncode == 0, run.stderr
    assert without_python(copy.calls()) == [
        "apt-get -qq update",
        "apt-get -qq install -y --no-install-recommends chromium",
    ]
    assert "left out: there is no Chromium" not in run.stderr

    assert copy.run("test").returncode == 0
    assert without_python(copy.calls()) == []


def test_others_are_told_what_is_missing_and_the_other_tests_run(copy: Copy) -> None:
    copy.be_root(False)
    copy.stub("apt-get", APT_GET)
    run = copy.run("test")

    assert run.returncode == 0
    assert "The tests of the staff pages are left out: there is no Chromium" in run.stderr
    assert "sudo apt-get install chromium" in run.stderr
    calls = copy.calls()
    assert without_python(calls) == []
    assert calls[-1].endswith("python -m pytest -n 3 --dist worksteal -m not interop")


def test_under_ci_a_missing_browser_is_a_failure(copy: Copy) -> None:
    copy.be_root(False)
    run = copy.run("test", CI="true")

    assert run.returncode == 1
    assert "cannot be tested: there is no Chromium" in run.stderr
    assert not [call for call in copy.calls() if "pytest" in call]


@pytest.mark.parametrize("name", ["chromium-browser", "google-chrome", "my browser"])
def test_a_browser_of_another_name_will_do(copy: Copy, name: str) -> None:
    copy.be_root(False)
    copy.stub(name, "#!/bin/sh\n")
    run = copy.run("test", CI="true", **({"CHROMIUM": name} if " " in name else {}))

    assert run.returncode == 0, run.stderr


def test_a_browser_that_was_named_must_be_there(copy: Copy) -> None:
    copy.be_root(False)
    copy.stub("chromium", "#!/bin/sh\n")
    run = copy.run("test", CI="true", CHROMIUM="/nowhere/chromium")

    assert run.returncode == 1


def test_screenshots_go_where_they_are_wanted(copy: Copy) -> None:
    copy.be_root(False)
    copy.stub("python3", STUB)
    assert copy.run("screenshots").returncode == 1
    copy.stub("chromium", "#!/bin/sh\n")
    copy.calls()

    assert copy.run("screenshots").returncode == 0
    assert copy.run("screenshots", "my pictures").returncode == 0
    shots = [call for call in copy.calls() if "screenshots" in call]
    assert shots == [
        f"{copy.elsewhere}: python -P -m tests.browser.screenshots {where}" for where in ("screenshots", "my pictures")
    ]
