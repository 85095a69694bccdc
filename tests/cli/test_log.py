"""`edgebox log`: why was this guest turned away at 19:42?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Desk, HostedBox
from tests.support.box import wait_until
from tests.support.upstream import StubUpstream


@pytest.fixture
def evening(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> Desk:
    """Two gates, two guests; the box has stopped by now."""
    stub.add_ticket("secret-of-lukasz", attendee_name="Łukasz \x9b2J Żak", order="AAAA1")
    stub.add_ticket("secret-of-ada", attendee_name="Ada Lovelace", order="AAAA2", order_status="n")
    stub.include_pending = True
    desk.add_list(stub)
    gate1, gate2 = desk.add_device("Gate 1"), desk.add_device("Gate 2")
    hosted.start()
    hosted.redeem(gate1, "secret-of-lukasz", nonce="n1")
    hosted.redeem(gate1, "secret-of-lukasz", nonce="n1")
    hosted.redeem(gate2, "secret-of-lukasz")
    hosted.redeem(gate2, "secret-of-ada")
    hosted.redeem(gate2, "\x1b[2Jnobody's", force=True, nonce="n2")
    hosted.redeem(gate2, "\x1b[2Jnobody's", force=True, nonce="n2")
    hosted.stop()
    return desk


def verdicts(desk: Desk, *options: str) -> list[tuple[str, str]]:
    return [(row["device"], row["verdict"]) for row in desk.json("log", "--json", *options)["attempts"]]


def test_every_attempt_is_shown_newest_last(evening: Desk) -> None:
    lines = evening.run("log").splitlines()

    assert [line.split("  ")[1] for line in lines] == [
        "ok", "ok (repeated)", "already_redeemed", "unpaid", "unknown_ticket (forced)",
    ]  # fmt: skip
    assert "AAAA1, Łukasz" in lines[0]
    assert "Gate 1, Default" in lines[0]
    assert "2 times" in lines[4]
    stamps = [line.split("  ")[0] for line in lines]
    assert stamps == sorted(stamps)
    shown = datetime.strptime(stamps[0], "%Y-%m-%d %H:%M:%S").astimezone()
    assert timedelta(0) < datetime.now(UTC) - shown < timedelta(minutes=2)


def test_secrets_are_masked_unless_one_is_asked_for(evening: Desk) -> None:
    everything = evening.run("log")
    assert "secr..." in everything
    assert "secret-of" not in everything

    assert evening.run("log", "--secret", "secret-of-ada").count("secret-of-ada") == 1
    assert "secret-of" not in evening.run("log", "--name", "ada")
    assert [row["secret"] for row in evening.json("log", "--json", "--name", "ada")["attempts"]] == ["secret-of-ada"]


def test_nothing_that_was_scanned_or_named_steers_the_terminal(evening: Desk) -> None:
    for options in ([], ["--json"], ["--secret", "\x1b[2Jnobody's"]):
        shown = evening.run("log", *options)
        assert shown
        assert not [character for character in shown if not character.isprintable() and character != "\n"]
    assert evening.json("log", "--json")["attempts"][0]["name"] == "Łukasz \x9b2J Żak"


def test_it_can_be_narrowed_down(evening: Desk) -> None:
    assert verdicts(evening, "--device", "Gate 1") == [("Gate 1", "ok"), ("Gate 1", "ok")]
    assert verdicts(evening, "--name", "LUKASZ") == [
        ("Gate 1", "ok"), ("Gate 1", "ok"), ("Gate 2", "already_redeemed"),
    ]  # fmt: skip
    assert verdicts(evening, "--name", "lukasz", "--device", "Gate 2") == [("Gate 2", "already_redeemed")]
    assert verdicts(evening, "--secret", "secret-of-ada", "--list", "1") == [("Gate 2", "unpaid")]
    assert len(verdicts(evening, "--list", "1")) == 5
    assert verdicts(evening, "--list", "2") == []


def test_it_can_begin_at_a_time(evening: Desk) -> None:
    now = datetime.now().astimezone()
    ago, ahead = now - timedelta(hours=1), now + timedelta(hours=1)
    for text in (ago.isoformat(), ago.strftime("%Y-%m-%d %H:%M"), ago.strftime("%H:%M"), ago.strftime("%H:%M:%S")):
        assert len(verdicts(evening, "--since", text)) == 5
    for text in (ahead.isoformat(), ahead.strftime("%Y-%m-%dT%H:%M"), ahead.astimezone(UTC).isoformat()):
        assert verdicts(evening, "--since", text) == []
    # A time of day that is yet to come was yesterday's.
    assert len(verdicts(evening, "--since", ahead.strftime("%H:%M"))) == 5


@pytest.mark.parametrize("text", ["yesterday", "", "25:00", "2026-13-01", "9999-12-31T23:59:59-23:59"])
def test_what_is_no_time_is_refused(evening: Desk, text: str) -> None:
    assert "a time such as 19:42" in evening.refused("log", "--since", text)


def test_where_nothing_fits_it_says_so_beside_the_output(evening: Desk) -> None:
    done = evening.try_("log", "--name", "nobody")

    assert (done.status, done.out, done.err) == (0, "", "Nothing is on record that fits.\n")


def test_a_running_box_shows_what_has_just_happened(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1")
    beside.add_list(stub)
    key = beside.add_device()

    hosted.redeem(key, "guest1")
    assert verdicts(beside) == [("Gate 1", "ok")]

    hosted.redeem(key, "guest1")
    wait_until(lambda: len(verdicts(beside)) == 2, 20, "the refusal is written along")
