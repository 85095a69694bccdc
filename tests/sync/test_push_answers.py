"""What each answer to a push means: for the check-in, for the list's state, and for what is tried next."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest

from edgebox.model import CheckInState, ConflictReason
from edgebox.upstream import Closed, NotUpstream, Unreachable, UpstreamError
from tests.support.event import EXPIRED, PAID, PENDING
from tests.support.upstream import (
    ACTED_BUT_500,
    ANSWER_LOST,
    CLOSED,
    INVALID_KEY,
    JSON,
    JSON_WITHOUT_KEYS,
    PORTAL_511,
    PORTAL_PAGE,
    PORTAL_REDIRECT,
    SERVER_ERROR,
    UNKNOWN_EVENT,
    Hold,
    Request,
    Response,
    StubUpstream,
    always,
    held,
    json_answer,
    redirect,
    times,
    too_many,
    unavailable,
)
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SECRET, Ticker, Venue

# --- it digests the check-in ------------------------------------------------------------------------------------------


def test_what_upstream_accepts_is_settled(recorded: Venue, stub: StubUpstream) -> None:
    pushed = recorded.line.push()
    checkin = recorded.checkin(SECRET)
    assert (pushed.settled, pushed.conflicts, pushed.parked) == (1, 0, 0)
    assert (checkin.state, checkin.conflict, checkin.push_note) == (CheckInState.SETTLED, None, None)
    assert checkin.settled_at is not None
    assert recorded.state == "online"
    [entry] = stub.log
    assert (entry.secret, entry.nonce, entry.datetime, entry.forced) == (
        SECRET, checkin.nonce, checkin.datetime, False,
    )  # fmt: skip


def test_what_is_settled_is_not_told_again(recorded: Venue, stub: StubUpstream) -> None:
    recorded.line.push()
    assert recorded.line.push().settled == 0
    assert len(stub.seen("redeem")) == 1


def test_a_double_entry_is_sent_again_with_force_settled_and_flagged_once(recorded: Venue, stub: StubUpstream) -> None:
    stub.redeem({"secret": SECRET, "nonce": "another gate's"})
    pushed = recorded.line.push()
    checkin = recorded.checkin(SECRET)
    assert (pushed.settled, pushed.conflicts) == (1, 1)
    assert (checkin.state, checkin.conflict) == (CheckInState.SETTLED, ConflictReason.ALREADY_REDEEMED)
    assert checkin.conflict_note == "upstream had refused it: already_redeemed; it was sent again with force"
    first, second = stub.seen("redeem", SECRET)
    assert ("force" in first.form, second.form["force"]) == (False, "true")
    assert [conflict.checkin.id for conflict in recorded.box.conflicts()] == [checkin.id]


def test_what_is_no_longer_paid_is_sent_again_with_force_and_flagged(recorded: Venue, stub: StubUpstream) -> None:
    stub.tickets[SECRET].order_status = PENDING
    recorded.line.push()
    checkin = recorded.checkin(SECRET)
    assert (checkin.state, checkin.conflict) == (CheckInState.SETTLED, ConflictReason.UNPAID)
    assert [entry.forced for entry in stub.log] == [True]


def test_a_forced_check_in_is_tried_without_force_first(recorded: Venue, stub: StubUpstream) -> None:
    assert recorded.scan("secret000001", is_forced=True, nonce="offline").verdict.is_ok
    recorded.line.push()
    [request] = stub.seen("redeem", "secret000001")
    assert "force" not in request.form
    assert recorded.checkin("secret000001").conflict is None


def test_a_double_entry_that_was_flagged_when_scanned_keeps_its_one_conflict(
    recorded: Venue, stub: StubUpstream
) -> None:
    assert recorded.scan(SECRET, is_forced=True, nonce="second phone").verdict.is_ok
    recorded.line.push()
    first, second = recorded.checkins(SECRET)
    assert (first.conflict, second.conflict) == (None, ConflictReason.ALREADY_REDEEMED)
    assert second.conflict_note is not None
    assert second.conflict_note.startswith("first used at")
    assert [(entry.forced, entry.first) for entry in stub.log] == [(False, True), (True, False)]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": "error", "reason": "unknown_ticket"}, "unknown_ticket"),
        ({"status": "error", "reason": "product"}, "product"),
        ({"status": "error", "reason": "something new"}, "something new"),
        ({"status": "error"}, "error"),
        ({"status": "incomplete", "questions": []}, "incomplete"),
        ({"status": "postponed"}, "postponed"),
        ({"status": "error", "reason": "x" * 10_000}, "x" * 50),
    ],
)
def test_any_other_refusal_parks_it_for_staff(
    recorded: Venue, stub: StubUpstream, answer: dict[str, object], said: str
) -> None:
    stub.on("redeem", always(json_answer({**answer, "version": 3})))
    pushed = recorded.line.push()
    checkin = recorded.checkin(SECRET)
    assert (pushed.settled, pushed.parked) == (0, 1)
    assert (checkin.state, checkin.conflict) == (CheckInState.PARKED, ConflictReason.REFUSED)
    assert checkin.conflict_note == f"upstream refuses it: {said}"
    assert recorded.state == "online"
    assert [("force" in request.form) for request in stub.seen("redeem")] == [False]


def test_a_refusal_in_spite_of_force_parks_it(recorded: Venue, stub: StubUpstream) -> None:
    stub.tickets[SECRET].order_status = EXPIRED
    recorded.line.push()
    assert recorded.checkin(SECRET).state is CheckInState.PARKED
    assert [request.form.get("force") for request in stub.seen("redeem")] == [None, "true"]
    assert stub.log == []


def test_what_staff_retry_is_told_again_and_its_conflict_closed(recorded: Venue, stub: StubUpstream) -> None:
    del stub.tickets[SECRET]
    recorded.line.push()
    parked = recorded.checkin(SECRET)
    assert recorded.line.push().settled == 0, "what is parked is not told by itself"
    stub.add_ticket(SECRET)
    recorded.box.retry(parked.id)
    assert recorded.line.push().settled == 1
    checkin = recorded.checkin(SECRET)
    assert (checkin.state, checkin.nonce) == (CheckInState.SETTLED, parked.nonce)
    assert checkin.conflict_closed_at is not None
    assert recorded.box.conflicts() == []


def test_what_upstream_refused_in_spite_of_force_and_takes_later_is_no_double_entry(
    recorded: Venue, stub: StubUpstream
) -> None:
    stub.tickets[SECRET].order_status = EXPIRED
    recorded.line.push()
    stub.tickets[SECRET].order_status = PAID
    recorded.box.retry(recorded.checkin(SECRET).id)
    assert recorded.line.push().settled == 1
    assert recorded.checkin(SECRET).closed_reason == "upstream took it"
    assert recorded.box.conflicts() == []


def test_what_staff_dismiss_is_never_told_again(recorded: Venue, stub: StubUpstream) -> None:
    stub.on("redeem", always(json_answer({"status": "error", "reason": "product", "version": 3})))
    recorded.line.push()
    recorded.box.dismiss(recorded.checkin(SECRET).id, "checked by hand")
    stub.off()
    assert recorded.line.push().settled == 0
    assert stub.log == []
    assert recorded.checkin(SECRET).state is CheckInState.DISMISSED
    assert recorded.scan(SECRET).verdict.reason == "already_redeemed", "it goes on counting as an entry"


# --- what goes over the wire ------------------------------------------------------------------------------------------


def test_the_oldest_is_told_first(recorded: Venue, stub: StubUpstream) -> None:
    now = datetime.now(UTC)
    for number in (3, 1, 2):
        # Their own times run backwards: what counts is the order in which the box recorded them.
        recorded.scan(f"secret00000{number}", datetime=now - timedelta(minutes=number))
    recorded.line.push()
    assert [entry.secret[-1] for entry in stub.log] == ["0", "3", "1", "2"]


def test_nonce_and_time_are_told_as_the_client_sent_them(recorded: Venue, stub: StubUpstream) -> None:
    at = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
    recorded.scan("secret000001", datetime=at, nonce="phone's own", is_forced=True)
    recorded.line.push()
    [request] = stub.seen("redeem", "secret000001")
    assert (request.form["nonce"], request.form["datetime"]) == ("phone's own", "2026-11-24T08:15:00Z")
    assert stub.checkins["secret000001"].datetime == at


def test_answers_are_told_and_blank_ones_left_out(recorded: Venue, stub: StubUpstream) -> None:
    recorded.scan("secret000001", answers={7: "blue", 8: "", 9: "  "})
    recorded.line.push()
    [request] = stub.seen("redeem", "secret000001")
    assert {name: value for name, value in request.form.items() if name.startswith("answer")} == {"answer_7": "blue"}
    assert "questions_supported" not in request.form


def test_ignore_unpaid_is_told_where_the_device_said_so(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.include_pending = True
    stub.add_ticket("unpaid000001", order_status=PENDING)
    stub.add_ticket("paid00000001")
    venue = open_venue()
    venue.line.pull()
    assert venue.scan("unpaid000001", ignores_unpaid=True).verdict.is_ok
    assert venue.scan("paid00000001").verdict.is_ok
    venue.line.push()
    assert [request.form.get("ignore_unpaid") for request in stub.seen("redeem")] == ["true", None]
    assert venue.checkin("unpaid000001").conflict is None


# --- upstream is lost -------------------------------------------------------------------------------------------------

Break = Callable[[StubUpstream], object]


def everything(response: Response) -> Break:
    return lambda stub: stub.on("*", always(response))


LOST: dict[str, tuple[Break, type[UpstreamError], str, str]] = {
    "nobody listens": (lambda stub: stub.stop(), Unreachable, "unreachable", "no connection to upstream"),
    "connection closed": (everything(CLOSED), Unreachable, "unreachable", "broke off"),
    "answer lost": (everything(ANSWER_LOST), Unreachable, "unreachable", "broke off"),
    "answer cut": (everything(Response(sends=0.5)), Unreachable, "unreachable", "broke off"),
    "500": (everything(SERVER_ERROR), Unreachable, "unreachable", "has trouble (500)"),
    "502": (everything(Response(502)), Unreachable, "unreachable", "has trouble (502)"),
    "503": (everything(unavailable()), Unreachable, "unreachable", "has trouble (503)"),
    "503 with a time": (everything(unavailable("1")), Unreachable, "unreachable", "has trouble (503)"),
    "429": (everything(too_many()), Unreachable, "unreachable", "asks for fewer requests"),
    "408": (everything(Response(408)), Unreachable, "unreachable", "has trouble (408)"),
    "login page": (everything(PORTAL_PAGE), NotUpstream, "not upstream", "login page"),
    "redirect to a login page": (everything(PORTAL_REDIRECT), NotUpstream, "not upstream", "redirected elsewhere"),
    "redirect to nonsense": (everything(redirect("http://[")), NotUpstream, "not upstream", "redirected elsewhere"),
    "511": (everything(PORTAL_511), NotUpstream, "not upstream", "(511)"),
    "407": (everything(Response(407)), NotUpstream, "not upstream", "(407)"),
    "401": (everything(Response(401)), NotUpstream, "not upstream", "(401)"),
    "403 of somebody else": (everything(Response(403, "<h1>Forbidden</h1>")), NotUpstream, "not upstream", "(403)"),
    "404 of somebody else": (everything(Response(404, "Not Found")), NotUpstream, "not upstream", "(404)"),
    "403 with odd JSON": (everything(Response(403, '["Invalid key"]', JSON)), NotUpstream, "not upstream", "(403)"),
    "other JSON": (everything(JSON_WITHOUT_KEYS), NotUpstream, "not upstream", "lacks what upstream always sends"),
    "JSON with a status of its own": (
        everything(json_answer({"status": "error", "reason": "login"})), NotUpstream, "not upstream", "lacks",
    ),
    "JSON with a status of another kind": (
        everything(json_answer({"status": 7, "version": 3})), NotUpstream, "not upstream", "lacks",
    ),
    "JSON list": (everything(json_answer([])), NotUpstream, "not upstream", "lacks what upstream always sends"),
    "nothing": (everything(Response(200, "")), NotUpstream, "not upstream", "no JSON"),
    "204": (everything(Response(204)), NotUpstream, "not upstream", "(204)"),
    "nested without end": (everything(Response(200, "[" * 100_000, JSON)), NotUpstream, "not upstream", "no JSON"),
    "invalid key": (everything(INVALID_KEY), Closed, "refused", "Invalid key"),
    "unknown event": (everything(UNKNOWN_EVENT), Closed, "refused", "Unknown event"),
    "invalid key, as a box says it": (
        everything(json_answer({"status": "error", "reason": "invalid_key", "message": "Invalid key"}, 403)),
        Closed, "refused", "Invalid key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOST)
def test_while_upstream_is_lost_everything_waits_and_goes_on_by_itself_when_it_is_back(
    open_venue: OpenVenue, stub: StubUpstream, case: str
) -> None:
    break_, kind, word, said = LOST[case]
    stub.add_tickets(2)
    ticker = Ticker()
    venue = open_venue(monotonic=ticker)
    venue.line.pull()
    backs: list[float] = []
    venue.line.on_back = lambda: backs.append(ticker())
    venue.scan(SECRET)
    venue.scan("secret000001")
    break_(stub)

    with pytest.raises(kind, match=said.replace("(", r"\(").replace(")", r"\)")):
        venue.line.push()
    assert venue.state == word
    assert said in venue.detail
    assert [checkin.state for checkin in venue.checkins()] == [CheckInState.PENDING] * 2
    assert [checkin.conflict for checkin in venue.checkins()] == [None] * 2
    assert venue.line.push_in_s() > 0, "a failed push backs off"
    assert venue.line.probe_in_s() > 0

    ticker.let_pass(venue.line.probe_in_s())
    with pytest.raises(kind):
        venue.line.probe()
    assert venue.state == word
    assert backs == []

    stub.off()
    if case == "nobody listens":
        stub.start()
    venue.line.probe()
    assert (venue.state, backs) == ("online", [ticker()])
    assert venue.line.push().settled == 2
    assert venue.detail == ""
    assert sorted(stub.checkins) == [SECRET, "secret000001"]
    assert venue.box.conflicts() == [], "a lost answer is no conflict"


def test_a_silent_upstream_is_given_up_after_the_read_time_out(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.add_tickets(1)
    venue = open_venue(read_timeout_s=0.3)
    venue.line.pull()
    venue.scan(SECRET)
    stub.on("redeem", always(held(Hold())))
    with pytest.raises(Unreachable, match="did not answer in time"):
        venue.line.push()
    assert (venue.state, venue.checkin(SECRET).state) == ("unreachable", CheckInState.PENDING)


def test_an_upstream_whose_name_nobody_knows_is_unreachable(recorded: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_knows(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", nobody_knows)
    with pytest.raises(Unreachable, match="no DNS"):
        recorded.new_line().push()


def test_an_upstream_without_good_tls_is_unreachable(open_venue: OpenVenue, stub: StubUpstream) -> None:
    venue = open_venue(url=stub.url.replace("http:", "https:"))
    with pytest.raises(Unreachable, match="TLS failed"):
        venue.line.probe()
    assert (venue.state, stub.requests) == ("unreachable", [])


def test_a_redirect_to_https_says_so_and_is_not_followed(recorded: Venue, stub: StubUpstream) -> None:
    stub.on("*", lambda request: redirect(f"https://127.0.0.1:{stub.port}{request.path}", 308))
    before = len(stub.requests)
    with pytest.raises(NotUpstream, match="register the https address"):
        recorded.line.push()
    assert len(stub.requests) == before + 1


def test_a_redirect_within_upstream_is_not_followed(recorded: Venue, stub: StubUpstream) -> None:
    stub.on("redeem", lambda request: redirect(f"http://127.0.0.1:{stub.port}/elsewhere/redeem/", 307))
    with pytest.raises(NotUpstream, match="redirected elsewhere"):
        recorded.line.push()
    assert len(stub.seen("redeem")) == 1


@pytest.mark.parametrize("answer", [unavailable, too_many])
def test_upstream_says_in_seconds_when_to_come_again(
    open_venue: OpenVenue, stub: StubUpstream, answer: Callable[[str], Response]
) -> None:
    stub.add_tickets(1)
    venue = open_venue(monotonic=Ticker())
    venue.line.pull()
    venue.scan(SECRET)
    stub.on("redeem", times(1, answer("120")))
    with pytest.raises(Unreachable):
        venue.line.push()
    assert venue.line.push_in_s() == 120
    assert venue.line.probe_in_s() == 120
    assert venue.state == "unreachable"
    assert venue.checkin(SECRET).tries == 0, "upstream said that it is not the check-in's fault"


def test_upstream_says_with_a_date_when_to_come_again_whatever_the_box_thinks_it_is(
    open_venue: OpenVenue, stub: StubUpstream
) -> None:
    stub.add_tickets(1)
    stub.date = lambda: datetime(2031, 1, 1, tzinfo=UTC)
    venue = open_venue(monotonic=Ticker())
    venue.line.pull()
    venue.scan(SECRET)
    stub.on("*", always(too_many(format_datetime(datetime(2031, 1, 1, 0, 3, 20, tzinfo=UTC), usegmt=True))))
    with pytest.raises(Unreachable):
        venue.line.push()
    assert venue.line.push_in_s() == 200


@pytest.mark.parametrize("odd", ["soon", "-5", "1e3", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "9" * 400])
def test_an_odd_time_to_come_again_is_no_reason_to_fail_nor_to_wait_for_ever(
    open_venue: OpenVenue, stub: StubUpstream, odd: str
) -> None:
    venue = open_venue(monotonic=Ticker())
    stub.on("*", always(unavailable(odd)))
    with pytest.raises(Unreachable):
        venue.line.probe()
    assert venue.line.probe_in_s() <= 3600


def test_a_refused_list_is_probed_every_five_minutes(open_venue: OpenVenue, stub: StubUpstream) -> None:
    ticker = Ticker()
    venue = open_venue(monotonic=ticker)
    stub.on("*", always(INVALID_KEY))
    for _ in range(3):
        with pytest.raises(Closed):
            venue.line.probe()
        assert venue.line.probe_in_s() == 300
        ticker.let_pass(300)
    assert venue.line.probe_in_s() == 0


def test_while_upstream_stays_lost_the_tries_become_rare(open_venue: OpenVenue, stub: StubUpstream) -> None:
    ticker = Ticker()
    venue = open_venue(monotonic=ticker, backoff_max_s=30.0)
    stub.stop()
    waits = []
    for _ in range(9):
        with pytest.raises(Unreachable):
            venue.line.probe()
        waits.append(venue.line.probe_in_s())
        ticker.let_pass(waits[-1])
    bounds = [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True)), waits
    assert len({round(wait, 6) for wait in waits[5:]}) > 1, "boxes that lost one upstream come back one by one"


def test_a_push_that_comes_further_each_time_does_not_become_rare(open_venue: OpenVenue, stub: StubUpstream) -> None:
    secrets = stub.add_tickets(10)
    ticker = Ticker()
    venue = open_venue(monotonic=ticker, backoff_max_s=30.0)
    venue.line.pull()
    for secret in secrets:
        venue.scan(secret)
        stub.on("redeem", times(1, ANSWER_LOST, partial(is_about, secret)))
    for _ in secrets:
        with pytest.raises(Unreachable):
            venue.line.push()
        assert venue.line.push_in_s() <= 1
    assert venue.line.push().settled == 1
    assert len(stub.log) == 10


def is_about(secret: str, request: Request) -> bool:
    return request.secret == secret


# --- the answer is lost after upstream acted --------------------------------------------------------------------------


def test_an_answer_that_is_lost_after_upstream_acted_leaves_one_check_in_and_no_conflict(
    recorded: Venue, stub: StubUpstream
) -> None:
    stub.on("redeem", times(1, ANSWER_LOST))
    with pytest.raises(Unreachable):
        recorded.line.push()
    assert recorded.line.push().settled == 1
    assert len(stub.accepted(SECRET)) == 1
    assert recorded.checkin(SECRET).conflict is None
    assert len(stub.seen("redeem", SECRET)) == 2


def test_a_500_after_upstream_acted_leaves_one_check_in_and_no_conflict(recorded: Venue, stub: StubUpstream) -> None:
    stub.on("redeem", times(1, ACTED_BUT_500))
    assert recorded.line.push().choked == 1
    assert recorded.line.push(retry_all=True).settled == 1
    assert len(stub.accepted(SECRET)) == 1
    assert recorded.checkin(SECRET).conflict is None


@pytest.mark.parametrize("remembers_nonces", [False, True], ids=["as pretix", "as a box"])
def test_a_lost_answer_to_force_leaves_one_conflict(
    recorded: Venue, stub: StubUpstream, remembers_nonces: bool
) -> None:
    stub.redeem({"secret": SECRET, "nonce": "another gate's"})
    stub.on("redeem", times(1, ANSWER_LOST, lambda request: "force" in request.form))
    with pytest.raises(Unreachable):
        recorded.line.push()
    stub.on("redeem", times(1, ANSWER_LOST))
    with pytest.raises(Unreachable):
        recorded.line.push()
    assert recorded.checkin(SECRET).tries == 0, "it was not lost in the same way twice"
    if remembers_nonces:  # another box knows the nonce of each check-in, also of a forced one
        stub.on("redeem", always(json_answer({"status": "ok", "version": 3})))
    assert recorded.line.push().settled == 1
    checkin = recorded.checkin(SECRET)
    assert (checkin.state, checkin.conflict) == (CheckInState.SETTLED, ConflictReason.ALREADY_REDEEMED)
    assert {entry.nonce for entry in stub.accepted(SECRET)} == {"another gate's", checkin.nonce}
