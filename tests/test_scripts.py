"""scripts/demo and scripts/test: the set-up, and what they run after it.

The scripts are run for real in a copy, with a Python that writes down what it is asked and downloads nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

# Only these are found beside the stubs, so that no Python of this machine is.
TOOLS = ["bash", "cat", "cp", "cut", "dirname", "flock", "grep", "id", "ls", "mkdir", "mv", "rm"]
TOOLS += ["sed", "sha256sum", "sleep", "touch"]

# A Python that says of itself what the file `is` holds (else what the real one says), makes an environment whose
# programs are copies of itself, and notes every other call as "FOLDER: ARGUMENTS". Files in $STUBS steer it:
#   pip-fails     as many lines as downloads still fail
#   pip-is-killed the next download takes the script down with it
#   NAME-fails    NAME (a module, or a program of the environment) fails, with the file's text
STUB = """#!/bin/sh
refuse() { [ -e "$STUBS/$1-fails" ] && cat "$STUBS/$1-fails" && exit 1; }
case "$*" in
    *edgebox.pth*) exit 0 ;;
    "-I -c "*) if [ -e "$STUBS/is" ]; then cat "$STUBS/is"; else exec "$REAL_PYTHON" "$@"; fi; exit ;;
    "-I -m venv --clear "*)
        echo "venv" >>"$STUBS/calls"
        rm -rf "$5"
        mkdir -p "$5/bin"
        touch "$5/pyvenv.cfg"
        cp "$0" "$5/bin/python"
        cp "$0" "$5/bin/lint-imports"
        exit ;;
    "-I -m pip install "*)
        for last; do :; done
        echo "pip ${last#"$ROOT_OF_COPY"/}" >>"$STUBS/calls"
        if [ -e "$STUBS/pip-is-killed" ]; then rm "$STUBS/pip-is-killed"; kill -KILL "$PPID"; fi
        if [ -s "$STUBS/pip-fails" ]; then sed -i 1d "$STUBS/pip-fails"; exit 1; fi
        exit 0 ;;
esac
echo "$PWD: ${0##*/} $*${EDGEBOX_REQUIRE_INTEROP:+ (must not skip)}" >>"$STUBS/calls"
[ -z "$EDGEBOX_VENV$EDGEBOX_RETRY_PAUSES_S" ] || echo "the box would take these for its configuration" >>"$STUBS/calls"
case "$*" in
    *--collect-only*) refuse collect ;;
    "-m "*) refuse "$2" ;;
    *) refuse "${0##*/}" ;;
esac
exit 0
"""


class Copy:
    """A copy of the scripts, with the stubs that stand beside them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.stubs = folder / "stubs"
        self.elsewhere = folder / "elsewhere"
        shutil.copytree(REPOSITORY / "scripts", self.root / "scripts")
        for name in ("requirements.txt", "tests/requirements.txt"):
            (self.root / name).parent.mkdir(exist_ok=True)
            shutil.copy(REPOSITORY / name, self.root / name)
        self.elsewhere.mkdir()
        self.stubs.mkdir()
        for tool in TOOLS:
            path = shutil.which(tool)
            assert path, f"{tool} is not there"
            (self.stubs / tool).symlink_to(path)
        self.stub("python3", STUB)

    def stub(self, name: str, script: str) -> None:
        (self.stubs / name).unlink(missing_ok=True)
        (self.stubs / name).write_text(script)
        (self.stubs / name).chmod(0o755)

    def be_root(self, is_root: bool) -> None:
        self.stub("id", f"#!/bin/sh\necho {0 if is_root else 1000}\n")

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a script from a folder that is not the repository's."""
        return subprocess.run(
            [self.root / "scripts" / script, *arguments],
            cwd=self.elsewhere,
            env={
                "PATH": str(self.stubs),
                "STUBS": str(self.stubs),
                "REAL_PYTHON": sys.executable,
                "ROOT_OF_COPY": str(self.root),
                "EDGEBOX_RETRY_PAUSES_S": "0 0 0",
            }
            | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def calls(self) -> list[str]:
        """What the stubs were asked since this was last asked."""
        file = self.stubs / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def demo_call(self, arguments: str = "") -> str:
        return f"{self.elsewhere}: python -P -m edgebox demo{arguments}"


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def set_up_calls(calls: list[str]) -> list[str]:
    """Only those that made the environment or put something into it."""
    return [call for call in calls if call.startswith(("venv", "pip "))]


class TestSetUp:
    def test_it_sets_up_once_and_starts_the_demo_where_it_was_called(self, copy: Copy) -> None:
        first = copy.run("demo", "--port", "8001", "--data", "my data")
        assert first.returncode == 0, first.stderr
        assert copy.calls() == ["venv", "pip requirements.txt", copy.demo_call(" --port 8001 --data my data")]
        assert (copy.root / ".venv" / "bin" / "python").exists()

        assert copy.run("demo").returncode == 0
        assert copy.calls() == [copy.demo_call()]

    def test_the_tests_add_to_the_environment_of_the_demo(self, copy: Copy) -> None:
        copy.run("demo")
        copy.calls()

        assert copy.run("test").returncode == 0
        assert set_up_calls(copy.calls()) == ["pip tests/requirements.txt"]
        copy.run("test")
        copy.run("demo")
        assert set_up_calls(copy.calls()) == []

    def test_a_set_up_that_was_killed_starts_afresh(self, copy: Copy) -> None:
        (copy.stubs / "pip-is-killed").touch()
        assert copy.run("demo").returncode == -signal.SIGKILL
        assert copy.calls() == ["venv", "pip requirements.txt"]

        assert copy.run("demo").returncode == 0
        assert copy.calls() == ["venv", "pip requirements.txt", copy.demo_call()]

    def test_a_killed_set_up_of_the_tests_leaves_the_demo_nothing_half_installed(self, copy: Copy) -> None:
        copy.run("demo")
        (copy.stubs / "pip-is-killed").touch()
        assert copy.run("test").returncode == -signal.SIGKILL
        copy.calls()

        assert copy.run("demo").returncode == 0
        assert copy.calls() == ["venv", "pip requirements.txt", copy.demo_call()]

    @pytest.mark.parametrize("name", ["requirements.txt", "scripts/lib/environment.sh"])
    def test_what_changes_the_environment_makes_a_new_one(self, copy: Copy, name: str) -> None:
        copy.run("demo")
        copy.calls()
        with (copy.root / name).open("a") as file:
            file.write("# changed\n")

        assert copy.run("demo").returncode == 0
        assert set_up_calls(copy.calls()) == ["venv", "pip requirements.txt"]

    def test_other_test_requirements_are_none_of_the_demos_business(self, copy: Copy) -> None:
        copy.run("test")
        copy.calls()
        with (copy.root / "tests" / "requirements.txt").open("a") as file:
            file.write("# changed\n")

        copy.run("demo")
        assert set_up_calls(copy.calls()) == []
        copy.run("test")
        assert set_up_calls(copy.calls()) == ["pip tests/requirements.txt"]

    def test_an_environment_that_moved_is_made_anew(self, copy: Copy) -> None:
        copy.run("demo")
        copy.root = copy.root.rename(copy.root.with_name("moved"))
        copy.calls()

        assert copy.run("demo").returncode == 0
        assert set_up_calls(copy.calls()) == ["venv", "pip requirements.txt"]

    def test_a_hiccup_of_the_network_is_survived(self, copy: Copy) -> None:
        (copy.stubs / "pip-fails").write_text("once\nand again\n")
        run = copy.run("demo")

        assert run.returncode == 0
        assert run.stderr.count("trying again") == 2
        assert copy.calls() == ["venv", *["pip requirements.txt"] * 3, copy.demo_call()]

    def test_without_a_network_it_says_so_and_the_next_run_repairs(self, copy: Copy) -> None:
        (copy.stubs / "pip-fails").write_text("no network\n" * 4)
        run = copy.run("demo")
        assert run.returncode == 1
        assert "connection to the internet" in run.stderr
        assert copy.demo_call() not in copy.calls()

        assert copy.run("demo").returncode == 0
        assert copy.calls() == ["venv", "pip requirements.txt", copy.demo_call()]

    def test_another_place_for_the_environment_is_obeyed(self, copy: Copy) -> None:
        assert copy.run("test", EDGEBOX_VENV="env").returncode == 0
        assert (copy.elsewhere / "env" / "edgebox-ready").exists()
        assert not (copy.root / ".venv").exists()

    def test_a_folder_that_is_no_environment_is_not_cleared(self, copy: Copy) -> None:
        (copy.elsewhere / "letters").mkdir()
        (copy.elsewhere / "letters" / "from.txt").write_text("Dear")
        run = copy.run("demo", EDGEBOX_VENV="letters")

        assert run.returncode == 1
        assert "holds something else" in run.stderr
        assert os.listdir(copy.elsewhere / "letters") == ["from.txt"]
        assert copy.calls() == []


class TestMissingPython:
    def test_an_old_python_is_named_with_what_to_do(self, copy: Copy) -> None:
        copy.be_root(False)
        (copy.stubs / "is").write_text("3.9.2 old /usr\n")
        run = copy.run("demo")

        assert run.returncode == 1
        assert "needs Python 3.11 or later, and python3 is 3.9.2" in run.stderr
        assert "sudo apt-get install python3-venv" in run.stderr
        assert copy.calls() == []

    def test_no_python_at_all(self, copy: Copy) -> None:
        copy.be_root(False)
        (copy.stubs / "python3").unlink()
        run = copy.run("test")

        assert run.returncode == 1
        assert "python3 is not there" in run.stderr
        assert "sudo apt-get install python3-venv" in run.stderr

    def test_a_newer_python_beside_an_old_one_is_taken(self, copy: Copy) -> None:
        copy.stub("python3", "#!/bin/sh\necho 3.9.2 old /usr\n")
        copy.stub("python3.12", STUB)

        assert copy.run("demo").returncode == 0
        assert copy.calls() == ["venv", "pip requirements.txt", copy.demo_call()]

    def test_debians_missing_venv_is_told_to_a_user(self, copy: Copy) -> None:
        copy.be_root(False)
        copy.stub("apt-get", '#!/bin/sh\necho apt-get >>"$STUBS/calls"\n')
        (copy.stubs / "is").write_text("3.11.2 bare /usr\n")
        run = copy.run("demo")

        assert run.returncode == 1
        assert "python3 (3.11.2) cannot make virtual environments" in run.stderr
        assert "sudo apt-get install python3-venv" in run.stderr
        assert copy.calls() == []

    def test_debians_missing_venv_is_installed_by_root(self, copy: Copy) -> None:
        copy.be_root(True)
        copy.stub(
            "apt-get",
            '#!/bin/sh\necho "$DEBIAN_FRONTEND apt-get $*" >>"$STUBS/calls"\n'
            'case "$*" in *install*) echo "3.11.2 ready /usr" >"$STUBS/is" ;; esac\n',
        )
        (copy.stubs / "is").write_text("3.11.2 bare /usr\n")
        run = copy.run("demo")

        assert run.returncode == 0, run.stderr
        assert copy.calls() == [
            " apt-get -qq update",
            "noninteractive apt-get -qq install -y --no-install-recommends python3-venv",
            "venv",
            "pip requirements.txt",
            copy.demo_call(),
        ]

    def test_a_python_that_was_named_is_the_only_one_tried(self, copy: Copy) -> None:
        copy.be_root(True)
        run = copy.run("demo", PYTHON="/nowhere/python3")

        assert run.returncode == 1
        assert "/nowhere/python3 is not there" in run.stderr


CHECKS = ["python -m ruff check", "python -m ruff format --check", "python -m mypy", "lint-imports "]


class TestTests:
    def test_checks_then_pytest_with_the_arguments(self, copy: Copy) -> None:
        run = copy.run("test", "tests/test_x.py", "-k", "a or b")

        assert run.returncode == 0, run.stderr
        expected = [*CHECKS, "python -m pytest -n 3 --dist worksteal -m not interop tests/test_x.py -k a or b"]
        assert copy.calls()[3:] == [f"{copy.root}: {call}" for call in expected]

    def test_a_check_that_fails_is_shown_the_others_run_and_pytest_does_not(self, copy: Copy) -> None:
        (copy.stubs / "mypy-fails").write_text("model.py:1: error: no such word\n")
        (copy.stubs / "lint-imports-fails").write_text("model imports store\n")
        run = copy.run("test")

        assert run.returncode == 1
        assert "model.py:1: error: no such word" in run.stderr
        assert "model imports store" in run.stderr
        assert "Not clean: mypy,lint-imports." in run.stderr
        assert copy.calls()[3:] == [f"{copy.root}: {call}" for call in CHECKS]

    def test_the_status_is_pytests(self, copy: Copy) -> None:
        (copy.stubs / "pytest-fails").write_text("1 failed\n")
        run = copy.run("test")

        assert run.returncode == 1
        assert run.stdout == "1 failed\n"


class TestInterop:
    def place_pretix(self, copy: Copy) -> Path:
        """Both of them; the old one's folder."""
        for name in ("pretix-current", "pretix-legacy"):
            folder = copy.root.parent / "shared" / name
            folder.mkdir(parents=True)
            (folder / "run.sh").touch()
        return folder

    def last_call(self, copy: Copy) -> str:
        return copy.calls()[-1].removeprefix(f"{copy.root}: ")

    def test_without_the_old_pretix_its_tests_are_left_out_and_that_is_said(self, copy: Copy) -> None:
        run = copy.run("test")

        assert "interop tests are left out" in run.stderr
        assert self.last_call(copy) == "python -m pytest -n 3 --dist worksteal -m not interop"

    def test_with_it_they_run(self, copy: Copy) -> None:
        self.place_pretix(copy)

        assert copy.run("test").returncode == 0
        assert self.last_call(copy) == "python -m pytest -n 3 --dist worksteal"

    def test_they_can_be_left_out_all_the_same(self, copy: Copy) -> None:
        self.place_pretix(copy)

        assert copy.run("test", "-m", "slow or quick", "--no-interop").returncode == 0
        assert self.last_call(copy) == "python -m pytest -n 3 --dist worksteal -m not interop and (slow or quick)"

    def test_ci_fails_where_they_cannot_run(self, copy: Copy) -> None:
        run = copy.run("test", "--interop")

        assert run.returncode == 1
        assert "interop tests cannot run" in run.stderr
        assert copy.calls() == []

    def test_ci_fails_where_pytest_finds_none(self, copy: Copy) -> None:
        self.place_pretix(copy)
        (copy.stubs / "collect-fails").write_text("no tests collected\n")
        run = copy.run("test", "--interop")

        assert run.returncode == 1
        assert "no tests collected" in run.stderr
        assert "--collect-only" in self.last_call(copy)

    def test_ci_runs_them_where_it_can(self, copy: Copy) -> None:
        self.place_pretix(copy)

        assert copy.run("test", "--interop").returncode == 0
        assert self.last_call(copy) == "python -m pytest -n 3 --dist worksteal (must not skip)"

    def test_ci_fails_where_one_of_the_two_is_missing(self, copy: Copy) -> None:
        self.place_pretix(copy)
        (copy.root.parent / "shared" / "pretix-current" / "run.sh").unlink()
        run = copy.run("test", "--interop")

        assert run.returncode == 1
        assert "pretix-current" in run.stderr
        assert copy.calls() == []

    def test_a_folder_that_was_named_must_hold_it(self, copy: Copy) -> None:
        self.place_pretix(copy)
        run = copy.run("test", EDGEBOX_PRETIX_LEGACY="/nowhere")

        assert run.returncode == 1
        assert "/nowhere" in run.stderr

    def test_a_folder_that_was_named_is_taken(self, copy: Copy) -> None:
        folder = self.place_pretix(copy).rename(copy.elsewhere / "old pretix")

        assert copy.run("test", EDGEBOX_PRETIX_LEGACY=folder.name).returncode == 0
        assert self.last_call(copy) == "python -m pytest -n 3 --dist worksteal"
