"""`edgebox staff`: codes for the pages' passwords; and `serve`, which shows the first one on a terminal only."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
import requests

from edgebox.store.staff import CODE_ALPHABET, CODE_LENGTH
from tests.cli.conftest import Desk, HostedBox, command_line, environment
from tests.support.box import BoxProcess, wait_until
from tests.support.upstream import StubUpstream

CODE = re.compile(rf"\b[{CODE_ALPHABET}]{{{CODE_LENGTH}}}\b")
PASSWORD = "a-good-password"


class Visitor:
    """A browser at a box that serves."""

    def __init__(self, box: BoxProcess) -> None:
        self.url = box.url
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}{path}", timeout=30)

    def post(self, path: str, **form: str) -> requests.Response:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path).text)
        assert token is not None
        return self.session.post(f"{self.url}{path}", data={"csrf_token": token[1], **form}, timeout=30)

    def set_password(self, code: str, page: str = "/first") -> requests.Response:
        return self.post(page, code=code, name="Lena", password=PASSWORD, again=PASSWORD)

    def log_in(self, role: str) -> requests.Response:
        return self.post("/login", role=role, name="Lena", password=PASSWORD)

    def is_in(self) -> bool:
        return self.get("/").url == f"{self.url}/"


def code_in(text: str) -> str:
    (code,) = CODE.findall(text)
    return str(code)


@pytest.fixture
def kept(any_desk: Desk, stub: StubUpstream) -> Desk:
    """Commands on a box that is there, whether or not it runs."""
    any_desk.add_list(stub)
    return any_desk


# --- code -------------------------------------------------------------------------------------------------------------


def test_the_code_is_shown_alone_and_again(kept: Desk) -> None:
    said = kept.run("staff", "code")
    assert said == f"{code_in(said)}\n"
    assert kept.run("staff", "code") == said


def test_once_the_password_is_set_there_is_none(beside: Desk, hosted: HostedBox) -> None:
    visitor = Visitor(hosted)
    assert visitor.set_password(code_in(beside.run("staff", "code"))).status_code == 200
    assert visitor.is_in()
    assert beside.run("staff", "code") == ("The lead's password is set. To set a new one: edgebox staff reset lead\n")


@pytest.mark.parametrize("arguments", [("code",), ("reset", "lead")])
def test_where_there_is_no_box_yet_there_is_no_code(desk: Desk, arguments: tuple[str, ...]) -> None:
    """One that no box will know is worse than none."""
    assert "holds no box yet" in desk.refused("staff", *arguments)
    assert not desk.data_dir.exists()


# --- reset ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "page"), [("lead", "/first"), ("gate", "/first/gate")])
def test_a_reset_gives_a_new_code_each_time(kept: Desk, role: str, page: str) -> None:
    said = kept.run("staff", "reset", role)
    assert f"The {role}'s password is forgotten; whoever was logged in has to log in again.\n" in said
    assert f"{page} with this code, which works once: {code_in(said)}\n" in said
    assert code_in(kept.run("staff", "reset", role)) != code_in(said)


def test_a_reset_of_the_lead_s_gives_the_code_that_is_shown_from_then_on(kept: Desk) -> None:
    before = code_in(kept.run("staff", "code"))
    code = code_in(kept.run("staff", "reset", "lead"))
    assert code != before
    assert code_in(kept.run("staff", "code")) == code


@pytest.mark.parametrize(("role", "page"), [("lead", "/first"), ("gate", "/first/gate")])
def test_beside_a_running_box_a_reset_ends_the_sessions_at_once(
    beside: Desk, hosted: HostedBox, role: str, page: str
) -> None:
    codes = {each: code_in(beside.run("staff", "reset", each)) for each in ("lead", "gate")}
    people = {each: Visitor(hosted) for each in codes}
    people["lead"].set_password(codes["lead"])
    people["gate"].set_password(codes["gate"], "/first/gate")
    assert all(visitor.is_in() for visitor in people.values())

    said = beside.run("staff", "reset", role)

    assert {each for each, visitor in people.items() if not visitor.is_in()} == {role}
    assert f"{hosted.url}{page} with" in said
    assert people[role].set_password(codes[role], page).status_code == 401, "the code of before is used up"
    assert people[role].set_password(code_in(said), page).status_code == 200
    assert people[role].is_in()


def test_it_is_on_record_that_somebody_did_it_here(beside: Desk, hosted: HostedBox) -> None:
    code = code_in(beside.run("staff", "reset", "lead"))
    visitor = Visitor(hosted)
    visitor.set_password(code)
    page = visitor.get("/log?show=deeds").text
    assert "command line" in page
    assert code not in page


@pytest.mark.parametrize("arguments", [("reset",), ("reset", "boss"), ("code", "lead"), ("nonsense",)])
def test_what_cannot_be_meant_is_refused(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.refused("staff", *arguments)


# --- serve ------------------------------------------------------------------------------------------------------------


def served_on_a_terminal(data_dir: Path, expected: str) -> tuple[str, str]:
    """What `serve` says on its terminal until `expected` appears, and what it logs beside that."""
    terminal, its_end = pty.openpty()
    command = command_line(data_dir, "serve", "--host", "127.0.0.1", "--port", "0")
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=its_end, stderr=subprocess.PIPE, env=environment()
    ) as process:
        os.close(its_end)
        said = b""
        try:
            while expected.encode() not in said:
                said += os.read(terminal, 4096)
            while not said.endswith(b"\n"):
                said += os.read(terminal, 4096)
        finally:
            process.terminate()
            assert process.stderr is not None
            logged = process.stderr.read().decode()
            process.wait(30)
            os.close(terminal)
    return said.decode(), logged


def test_on_a_terminal_serve_shows_the_code_for_the_first_visit(desk: Desk) -> None:
    said, logged = served_on_a_terminal(desk.data_dir, "which works once: ")
    code = code_in(said)
    assert code not in logged
    assert desk.run("staff", "code") == f"{code}\n"


def test_without_a_terminal_it_keeps_it_to_itself(desk: Desk, box: BoxProcess) -> None:
    """What is printed there ends up in the system's journal."""
    box.start()
    code = code_in(desk.run("staff", "code"))
    requests.get(f"{box.url}/login", timeout=30)
    assert box.stop() == 0
    box.start()
    assert box.stop() == 0
    assert "edgebox serves at" in box.output
    assert code not in box.output
    assert CODE.search(box.output) is None


def test_once_the_password_is_set_serve_shows_none(desk: Desk, box: BoxProcess) -> None:
    box.start()
    Visitor(box).set_password(code_in(desk.run("staff", "code")))
    assert box.stop() == 0
    said, _ = served_on_a_terminal(desk.data_dir, "edgebox serves at")
    assert CODE.search(said) is None


def test_a_session_outlives_a_restart(desk: Desk, box: BoxProcess) -> None:
    box.start()
    visitor = Visitor(box)
    visitor.set_password(code_in(desk.run("staff", "code")))
    assert box.stop() == 0
    box.start()
    wait_until(visitor.is_in, 20, "the page opens without another log-in")


# --- the records ------------------------------------------------------------------------------------------------------


def test_log_and_export_show_what_staff_undid(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1", attendee_name="Ada Lovelace")
    beside.add_list(stub)
    beside.run("staff", "code")
    visitor = Visitor(hosted)
    visitor.set_password(code_in(beside.run("staff", "code")))
    stub.stop()
    beside.try_("sync")
    hosted.redeem(beside.add_device(), "guest1")
    found = visitor.get("/find?query=Lovelace").text
    ticket = re.search(r'href="(/tickets/\d+)"', found)
    assert ticket is not None
    undo = re.search(r'action="(/tickets/\d+/undo/\d+)"', visitor.get(ticket[1]).text)
    token = re.search(r'name="csrf_token" value="([^"]+)"', visitor.get(ticket[1]).text)
    assert undo is not None
    assert token is not None
    form = {"csrf_token": token[1], "reason": "went home"}
    visitor.session.post(f"{visitor.url}{undo[1]}", data=form, timeout=30)

    (row,) = beside.checkins()
    assert (row["state"], row["undone_by"], row["undone_reason"]) == ("cancelled", "Lena", "went home")
    assert "  ok (undone)  " in beside.run("log")
    assert beside.json("log", "--json")["attempts"][0]["undone"] is True
    assert beside.lists()[0]["pending"] == 0
