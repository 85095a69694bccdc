"""Many scanners at once, over HTTP: one ticket is let in once, and nobody waits for a connection."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.api.conftest import KEY, Venue, served

SCANNERS = 40
KEPT_OPEN = 200


class Phone:
    """One scanner on a connection of its own, which it keeps."""

    def __init__(self, url: str, path: str) -> None:
        self._path = path
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._connection.connect()
        self._socket = self._connection.sock

    def redeem(self, **form: str) -> Any:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", "redeem", urlencode(form), headers)

    def ask(self, method: str, endpoint: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
        self._connection.request(method, f"{self._path}/{endpoint}/?key={KEY}", body, headers or {})
        answer = self._connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 200, told
        # http.client would connect anew without a word.
        assert self._connection.sock is self._socket, "the box has closed the connection"
        return told

    def close(self) -> None:
        self._connection.close()


class Crowd:
    """The box behind its server, and as many phones as the test likes."""

    def __init__(self, venue: Venue, url: str) -> None:
        self.venue = venue
        self._url = url
        self.phones: list[Phone] = []

    def connect(self, count: int) -> list[Phone]:
        self.phones += [Phone(self._url, self.venue.path) for _ in range(count)]
        return self.phones

    def at_once(self, act: Callable[[Phone, int], Any]) -> list[Any]:
        """Each phone acts in a thread of its own, all at the same moment; what they were told."""
        told: list[Any] = []
        start = threading.Barrier(len(self.phones))

        def run(phone: Phone, number: int) -> None:
            start.wait()
            told.append(act(phone, number))

        threads = [threading.Thread(target=run, args=(phone, number)) for number, phone in enumerate(self.phones)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(told) == len(self.phones), "some got no answer"
        return told


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    venue = Venue(tmp_path)
    venue.event.add_tickets(KEPT_OPEN, "t")
    venue.open()
    with served(venue.box) as url:
        crowd = Crowd(venue, url)
        try:
            yield crowd
        finally:
            for phone in crowd.phones:
                phone.close()
    venue.box.close()


def redeem(secret: str, phone: Phone, number: int) -> Any:
    return phone.redeem(secret=secret)


def verdicts(told: list[Any]) -> Counter[str]:
    return Counter(answer.get("reason", answer["status"]) for answer in told)


def test_of_many_gates_with_one_ticket_exactly_one_lets_it_in(crowd: Crowd) -> None:
    crowd.connect(SCANNERS)
    secrets = ["t000000", "t000001", "t000002"]
    for secret in secrets:
        told = crowd.at_once(partial(redeem, secret))
        assert verdicts(told) == {"ok": 1, "already_redeemed": SCANNERS - 1}
    assert [row.checkin.secret for row in crowd.venue.journal] == secrets


def test_one_nonce_sent_many_times_is_ok_each_time_and_one_check_in(crowd: Crowd) -> None:
    crowd.connect(SCANNERS)
    told = crowd.at_once(lambda phone, _: phone.redeem(secret="t000000", nonce="n"))
    assert verdicts(told) == {"ok": SCANNERS}
    [row] = crowd.venue.journal
    assert (row.checkin.secret, row.checkin.nonce) == ("t000000", "n")


def test_forced_at_once_all_are_ok_and_all_are_kept(crowd: Crowd) -> None:
    crowd.connect(SCANNERS)
    told = crowd.at_once(lambda phone, number: phone.redeem(secret="t000000", force="true", nonce=f"n{number}"))
    assert verdicts(told) == {"ok": SCANNERS}
    assert len(crowd.venue.journal) == SCANNERS
    assert crowd.phones[0].ask("GET", "status")["checkins"] == 1


def test_200_scanners_that_keep_their_connection_are_all_served(crowd: Crowd) -> None:
    for phone in crowd.connect(KEPT_OPEN):
        assert phone.ask("GET", "status")["total"] == KEPT_OPEN
    told = crowd.at_once(lambda phone, number: phone.redeem(secret=f"t{number:06d}"))
    assert verdicts(told) == {"ok": KEPT_OPEN}
    assert {phone.ask("GET", "status")["checkins"] for phone in crowd.phones} == {KEPT_OPEN}
    assert len(crowd.venue.journal) == KEPT_OPEN


def test_scans_go_on_while_everybody_downloads(crowd: Crowd) -> None:
    crowd.connect(SCANNERS)

    def act(phone: Phone, number: int) -> Any:
        return phone.ask("GET", "download") if number % 2 else phone.redeem(secret=f"t{number:06d}")

    told = crowd.at_once(act)
    assert sum(answer.get("status") == "ok" for answer in told) == SCANNERS // 2
    assert all(len(answer["results"]) == KEPT_OPEN for answer in told if "results" in answer)
