"""Keys, names and secrets are seen by whom they are for, and by nobody else."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from edgebox.datadir import COMMAND, DataDir
from tests.secrecy.evening import Evening, seen_by_others
from tests.support.box import BoxProcess
from tests.support.pretix import PretixStub
from tests.support.upstream import StubUpstream

LINKS = re.compile(r"(?:href|src|action)=[\"']([^\"']*)")
LEAD_PAGES = ("/", "/find", "/scan", "/attention", "/devices", "/devices/Gate 1/qr", "/lists", "/log", "/box")


def test_an_evening_leaves_no_secret_where_others_look(box: BoxProcess, stub: StubUpstream, pretix: PretixStub) -> None:
    """The log of a box at level debug, what it answers when it says no, its addresses, and what /proc tells."""
    evening = Evening(box, stub, pretix)
    evening.begin()
    evening.scan()
    evening.work_at_the_pages()
    links = [link for path in LEAD_PAGES for link in LINKS.findall(evening.staff.get(box.url + path).text)]
    evening.lose_the_upstreams()
    told = list(seen_by_others(box.pid))
    evening.break_the_box()
    evening.end_access()
    assert box.stop() == 0

    # Else it would prove nothing: the evening was as it was meant to be.
    for event in ("was set up", "was revoked", "ticket_name", "WARNING", "DEBUG", "ERROR", "Traceback"):
        assert event in box.output, event
    assert {text.split()[0] for text in evening.answers} >= {"400", "401", "403", "404", "405", "413", "500"}
    assert len(links) > 80
    assert len(told) > 10

    assert evening.found_in(box.output) == set()
    assert evening.found_in("\n".join(evening.answers)) == set()
    assert evening.found_in("\n".join(links)) == set()
    assert evening.found_in("\n".join(text for _, text in told)) == set()


def test_nobody_else_can_look_into_the_data_directory(box: BoxProcess, stub: StubUpstream, pretix: PretixStub) -> None:
    """Although it was there before, open to all, and its settings too."""
    box.data_dir.chmod(0o755)
    evening = Evening(box, stub, pretix)
    evening.begin()
    evening.scan()
    evening.work_at_the_pages()
    assert stat.S_IMODE(box.data_dir.stat().st_mode) == 0o700
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in box.data_dir.rglob("*")}
    assert {"edgebox.sqlite3", "edgebox.sqlite3-wal", "edgebox.sqlite3-shm", "edgebox.sock", "edgebox.lock"} <= set(
        modes
    )
    assert set(modes.values()) == {0o600}
    box.stop()
    assert {stat.S_IMODE(each.stat().st_mode) for each in box.data_dir.rglob("*")} == {0o600}


@pytest.mark.parametrize("there", ["nothing", "the settings", "something else"])
def test_a_directory_that_was_made_beforehand_is_shut_unless_it_is_not_the_boxs_alone(
    tmp_path: Path, there: str
) -> None:
    """Who runs `edgebox --data /tmp` must not shut everybody out of /tmp."""
    tmp_path.chmod(0o755)
    name = {"the settings": "edgebox.toml", "something else": "letters"}.get(there)
    if name:
        (tmp_path / name).touch()
    directory = DataDir(tmp_path)
    directory.take(COMMAND)
    directory.release()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == (0o755 if there == "something else" else 0o700)
