"""The scripted upstream of the other tests answers as the real server does: the same requests, put to both."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.interop.legacy import LegacyPretix
from tests.support.box import as_form
from tests.support.event import StubCheckIn, StubItem, StubTicket
from tests.support.upstream import StubUpstream

pytestmark = pytest.mark.interop

ASK = {"questions_supported": "1"}
FORCE = {"force": "true"}
PENDING_TOO = {"ignore_unpaid": "true"}
AT_EIGHT = {"datetime": "2026-11-24T08:00:00Z"}
AT_NINE = {"datetime": "2026-11-24T09:00:00.123456+01:00"}

# By which key what is done to one ticket, request after request. The ticket: any (item, order status) or a named one.
# {meal} and {remark} stand for the questions' ids, {meat} and {vegan} for options.
FRESH, UNPAID, LATE = ("Ticket", "p"), ("Ticket", "n"), ("Ticket", "e")
VIP, SHIRT = ("VIP", "p"), ("T-Shirt", "p")
CASES: dict[str, tuple[str, str | tuple[str, str], list[dict[str, str]]]] = {
    "second time": ("full", FRESH, [{}, {}]),
    "a nonce again": ("full", FRESH, [{"nonce": "a", **AT_EIGHT}, {"nonce": "a", **AT_NINE}, {"nonce": "b"}, {}]),
    "an empty nonce is none": ("full", FRESH, [{"nonce": ""}, {"nonce": ""}]),
    "forced though in": (
        "full",
        FRESH,
        [{"nonce": "a", **AT_EIGHT}, {"nonce": "b", **FORCE}, {"nonce": "b", **FORCE}, {"nonce": "b"}, FORCE],
    ),
    "forced as the first": ("full", FRESH, [{"nonce": "a", **FORCE, **AT_NINE}, {"nonce": "a"}, {"force": "True"}]),
    "force in other words is none": ("full", FRESH, [{}, {"force": "1"}, {"force": "TRUE"}]),
    "in before": ("full", "already_in2", [{}, {"nonce": "a"}, FORCE]),
    "pending": ("full", UNPAID, [{}, PENDING_TOO, FORCE, {"nonce": "a"}, FORCE]),
    "pending where the list takes them": ("pending_list", UNPAID, [{}, PENDING_TOO, PENDING_TOO, {}]),
    "expired": ("full", LATE, [{}, PENDING_TOO, FORCE]),
    "expired where pending ones come in": ("pending_list", LATE, [PENDING_TOO, FORCE]),
    "cancelled": ("full", "canceled", [{}, FORCE]),
    "refunded": ("full", "refunded", [{}, FORCE]),
    "cancelled position": ("full", "canceled_position", [{}, FORCE]),
    "not among the key's items": ("restricted", SHIRT, [{}, FORCE]),
    "not among the list's items": ("vip_list", FRESH, [{}, FORCE]),
    "not for this list and not paid": ("vip_list", UNPAID, [{}]),
    "datetimes": ("full", FRESH, [{"datetime": text} for text in ("2026-11-24T08:15Z", "x", "", "1764060000000")]),
    "naive datetime": ("full", FRESH, [{"datetime": "2026-11-24 08:15:30"}]),
    "datetime with offset": ("full", FRESH, [AT_NINE]),
    "questions": (
        "full",
        VIP,
        [
            ASK,
            {**ASK, "answer_{meal}": "{meat}"},
            {**ASK, "answer_{meal}": "99", "answer_{remark}": "x"},
            {**ASK, "answer_{meal}": "", "answer_{remark}": "x"},
            {**ASK, "answer_{meal}": "{vegan}", "answer_{remark}": ""},
            {**ASK, "answer_{meal}": "{vegan}", "answer_{remark}": "late"},
            ASK,
            {**FORCE, "answer_{remark}": "forced"},
            {**FORCE, "answer_{remark}": ""},
        ],
    ),
    "answers without being asked": ("full", VIP, [{"answer_{meal}": "{meat}"}, ASK]),
    "questions passed by force": ("full", VIP, [{**FORCE, **ASK}, ASK]),
    "an optional question": ("full", SHIRT, [ASK, {}, ASK]),
}


@pytest.mark.parametrize("case", CASES)
def test_redeem(pretix: LegacyPretix, stub: StubUpstream, case: str) -> None:
    config, ticket, forms = CASES[case]
    secret = pretix.case(ticket) if isinstance(ticket, str) else pretix.take(1, *ticket)[0]
    become(stub, pretix, config)
    mirror_ticket(stub, pretix, config, secret)
    for form in (filled_in(form, pretix) for form in forms):
        theirs, ours = pretix.redeem(config, secret, **form), ask(stub, "POST", "redeem/", {"secret": secret, **form})
        assert ours.status_code == theirs.status_code, form
        if theirs.status_code == 200:
            assert ours.json() == theirs.json(), form
    assert traces_in(stub, secret) == traces_in_pretix(pretix, config, secret)


def traces_in(stub: StubUpstream, secret: str) -> tuple[object, ...]:
    checkin, ticket = stub.checkins.get(secret), stub.tickets.get(secret)
    kept = (checkin.nonce, whole_if_sent(checkin.datetime)) if checkin else None
    return kept, [entry.first for entry in stub.accepted(secret)], ticket.answers if ticket else {}


def traces_in_pretix(pretix: LegacyPretix, config: str, secret: str) -> tuple[object, ...]:
    list_id = pretix.list_id(config)
    row = next((row for row in pretix.checkins(secret) if row.list_id == list_id), None)
    kept = (row.nonce, whole_if_sent(row.datetime)) if row else None
    entries = [entry.first for entry in pretix.log(secret) if entry.list_id == list_id]
    return kept, entries, pretix.answers(secret)


def whole_if_sent(moment: datetime) -> datetime | None:
    """The moment where a request sent it (all of them are of one day); two servers' own clocks cannot agree."""
    return moment if moment.date() == datetime(2026, 11, 24).date() else None


def filled_in(form: dict[str, str], pretix: LegacyPretix) -> dict[str, str]:
    questions = pretix.seed["questions"]
    options = questions["meal"]["options"]
    ids = {"meal": questions["meal"]["id"], "remark": questions["remark"]["id"]}
    ids |= {"meat": options["MEAT"], "vegan": options["VEGAN"]}
    return {name.format(**ids): value.format(**ids) for name, value in form.items()}


@functools.cache
def description(pretix: LegacyPretix) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The real server's items and questions, which no test changes."""
    return pretix.get("full", "status/")["items"], pretix.get("full", "download/")["questions"]


def become(stub: StubUpstream, pretix: LegacyPretix, config: str) -> None:
    """Give the stub the real server's event, list and key."""
    (items, questions), config_seed = description(pretix), pretix.seed["configs"][config]
    stub.key = pretix.key(config)
    stub.items = [
        StubItem(item["id"], item["name"], item["admission"], {v["id"]: v["name"] for v in item["variations"]})
        for item in items
    ]
    stub.questions = questions
    stub.include_pending = config == "pending_list"
    stub.list_items = {pretix.seed["items"]["VIP"]} if config == "vip_list" else None
    stub.key_items = None if config_seed["all_items"] else set(config_seed["item_ids"])


def mirror_ticket(stub: StubUpstream, pretix: LegacyPretix, config: str, secret: str) -> None:
    """Give the stub the real server's ticket and its check-in; a cancelled position is none."""
    found = pretix.get("full", "search/", query=secret)["results"]
    if not found:
        return
    (told,), answers = found, pretix.answers(secret)
    ((status,),) = pretix.rows("SELECT status FROM pretixbase_order WHERE code = ?", told["order"])
    fields = ("item_id", "order", "variation_id", "attendee_name", "attention", "addons_text")
    copied: dict[str, Any] = {field: told[field] for field in fields}
    stub.tickets[secret] = StubTicket(secret, order_status=status, answers=answers, **copied)
    for row in pretix.checkins(secret):
        if row.list_id == pretix.list_id(config):
            stub.checkins[secret] = StubCheckIn(secret, row.datetime, row.nonce, forced=False, first=True)


def ask(stub: StubUpstream, method: str, endpoint: str, form: dict[str, str] | None = None) -> requests.Response:
    with requests.Session() as http:
        http.trust_env = False
        return http.request(method, stub.url + endpoint, params={"key": stub.key}, data=as_form(form or {}), timeout=10)


@pytest.mark.parametrize("secret", ["", "nosuchticket", " {secret}", "{secret} ", "{upper}"])
def test_secrets_compare_exactly(pretix: LegacyPretix, stub: StubUpstream, secret: str) -> None:
    (known,) = pretix.take(1)
    become(stub, pretix, "full")
    mirror_ticket(stub, pretix, "full", known)
    sent = secret.format(secret=known, upper=known.upper())
    theirs = pretix.redeem("full", sent).json()
    assert ask(stub, "POST", "redeem/", {"secret": sent}).json() == theirs
    assert theirs["reason"] == "unknown_ticket"


def test_tickets_questions_and_counts_are_told_alike(pretix: LegacyPretix, stub: StubUpstream) -> None:
    become(stub, pretix, "vip_list")
    theirs = pretix.get("vip_list", "download/")
    for ticket in theirs["results"]:
        mirror_ticket(stub, pretix, "vip_list", ticket["secret"])
    ours = ask(stub, "GET", "download/").json()
    assert {t["secret"]: t for t in ours["results"]} == {t["secret"]: t for t in theirs["results"]}
    assert {**ours, "results": []} == {**theirs, "results": []}
    told, tell = pretix.get("vip_list", "status/"), ask(stub, "GET", "status/").json()
    assert told.pop("event").keys() == tell.pop("event").keys()
    assert tell == told


def test_refusals_before_any_ticket(pretix: LegacyPretix, stub: StubUpstream) -> None:
    become(stub, pretix, "full")
    for path in (
        "demoorga/democon/status/?key=wrong",
        "demoorga/other/status/?key=wrong",
        "demoorga/democon/redeem/?key=",
    ):
        theirs, ours = (get_past_event(server.url, path) for server in (pretix, stub))
        assert (ours.status_code, ours.text, ours.headers["Content-Type"]) == (
            theirs.status_code,
            theirs.text,
            theirs.headers["Content-Type"],
        )
    theirs, ours = (get_past_event(server.url, f"demoorga/democon/redeem/?key={stub.key}") for server in (pretix, stub))
    assert theirs.status_code == ours.status_code == 405


def get_past_event(url: str, path: str) -> requests.Response:
    with requests.Session() as http:
        http.trust_env = False
        return http.get(url.replace("demoorga/democon/", path), timeout=30)


def test_both_send_the_time(pretix: LegacyPretix, stub: StubUpstream) -> None:
    for url in (pretix.url, stub.url):
        date = get_past_event(url, "demoorga/democon/status/").headers["Date"]
        sent = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - sent).total_seconds()) < 60
