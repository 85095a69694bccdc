"""An upstream that speaks the pretixdroid API: pretix up to 3.8, or another box."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import ijson

from edgebox.clock import Clock
from edgebox.model import Catalog, CheckIn, Question, ToldTicket
from edgebox.upstream import (
    Accepted,
    BadAddress,
    Closed,
    Description,
    LookedUp,
    NotUpstream,
    Poisonous,
    PushOutcome,
    Refused,
    Unreachable,
    UpstreamError,
)
from edgebox.upstream.transport import LOGIN_PAGE_HINT, Answer, Http, redirect
from edgebox.upstream.wire import BadShape, Names, is_whole, read_question, read_status, read_ticket

log = logging.getLogger(__name__)

FORCEABLE = frozenset({"already_redeemed", "unpaid"})
"""Refusals that the old server overrules when the check-in comes with force."""

CLOSING_TEXTS = frozenset(
    {
        "Invalid key",
        "Unknown event",
        "Invalid subevent selected.",
        "No subevent selected.",
        "Subevents not enabled.",
    }
)
"""The plain bodies of 403 and 404 that pretix itself sends; a box says the same in `message`."""

SNAPSHOT_DEADLINE_S = 1800.0
MAX_SNAPSHOT_BYTES = 1024 * 1024 * 1024
SMALL_BYTES = 1024 * 1024
"""A body without a single ticket that is longer than this is none of upstream's."""

_PATH = re.compile(r"(?P<prefix>.*)/pretixdroid/api/(?P<organizer>[^/]+)/(?P<event>[^/]+)(?:/(?P<subevent>[0-9]+))?/?")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a list's upstream address; `url` is in its one canonical form and ends with a slash."""

    url: str
    organizer: str
    event: str
    subevent: int | None

    @property
    def event_url(self) -> str:
        """The address without the date of a series."""
        return self.url.removesuffix(f"{self.subevent}/") if self.subevent is not None else self.url

    @property
    def path(self) -> str:
        """`ORGANIZER/EVENT[/SUBEVENT]`."""
        parts = [self.organizer, self.event] + ([str(self.subevent)] if self.subevent is not None else [])
        return "/".join(parts)


def parse_address(text: str) -> Address:
    """Read `https://host/pretixdroid/api/ORGANIZER/EVENT[/SUBEVENT]/`. Raises BadAddress."""
    hint = "it looks like https://tickets.example.org/pretixdroid/api/ORGANIZER/EVENT/"
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise BadAddress("this is not an upstream address", hint) from None
    match = _PATH.fullmatch(parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname or match is None or parts.query or parts.username:
        raise BadAddress("this is not an upstream address", hint)
    organizer, event = unquote(match["organizer"]), unquote(match["event"])
    subevent = int(match["subevent"]) if match["subevent"] else None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default_port = {"http": 80, "https": 443}[parts.scheme]
    netloc = host if port in (None, default_port) else f"{host}:{port}"
    path = f"{match['prefix']}/pretixdroid/api/{quote(organizer)}/{quote(event)}/"
    path += f"{subevent}/" if subevent is not None else ""
    return Address(urlunsplit((parts.scheme, netloc, path, "", "")), organizer, event, subevent)


class PretixdroidUpstream:
    """One check-in list of a server that speaks the pretixdroid API (edgebox.upstream.Upstream)."""

    def __init__(self, url: str, key: str, http: Http, clock: Clock) -> None:
        self._address = parse_address(url)
        self._key = key
        self._http = http
        self._clock = clock

    def describe(self) -> Description:
        """Ask `status/`."""
        with self._get("status/") as answer:
            body = self._json(answer, "items")
            try:
                catalog = read_status(body)
            except BadShape as error:
                raise _odd(f"status: {error}") from None
            answer.trust_date(self._clock)
        told_subevent = catalog.event.subevent
        subevent = self._address.subevent
        if subevent is None and isinstance(told_subevent, int):
            subevent = told_subevent
        return Description(self._address.organizer, self._address.event, subevent, catalog)

    @contextmanager
    def pull(self, known: Catalog) -> Iterator[Snapshot]:
        """Ask `download/`."""
        with self._get("download/") as answer:
            self._check_status(answer)
            yield Snapshot(answer, known, self._clock)

    def push(self, checkin: CheckIn, *, force: bool) -> PushOutcome:
        """Send `redeem/`. The old server knows no exits and stores one check-in a ticket and list."""
        form = {
            "secret": checkin.secret,
            "datetime": checkin.datetime.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "nonce": checkin.nonce,
            # A blank for a question that was answered before would be stored as the text "None".
            **{f"answer_{question_id}": text for question_id, text in checkin.answers.items() if text.strip()},
        }
        if checkin.ignores_unpaid:
            form["ignore_unpaid"] = "true"
        if force:
            form["force"] = "true"
        with self._http.post(self._address.url + "redeem/", {"key": self._key}, form) as answer:
            if not _may_be_about_this_one(answer.status):
                body = self._json(answer, "status")
                answer.trust_date(self._clock)
                return _outcome(body)
            status = answer.status
        # Upstream is there and refuses to digest this one, or it is in trouble altogether: a probe tells.
        self.describe()
        return Poisonous(f"upstream answered {status} to this check-in while it answers otherwise", status < 500)

    def look_up(self, secret: str, known: Catalog) -> LookedUp:
        """Ask `search/`, which finds by the start of the secret."""
        with self._get("search/", query=secret) as answer:
            results = self._json(answer, "results")["results"]
            answer.trust_date(self._clock)
        if not isinstance(results, list):
            raise _odd("search: 'results' is not a list")
        raw = next((r for r in results if isinstance(r, dict) and r.get("secret") == secret), None)
        if raw is None:
            return LookedUp()
        names = Names(known)
        try:
            told = read_ticket(raw, names)
        except BadShape:
            return LookedUp(is_partial=True)
        # A new item is not in the catalog yet: only a pull brings its name along.
        if not is_whole(raw) or names.items() != known.items:
            return LookedUp(is_partial=True)
        return LookedUp(told)

    # --- answers ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _get(self, verb: str, **params: str) -> Iterator[Answer]:
        with self._http.get(self._address.url + verb, {"key": self._key, **params}) as answer:
            yield answer

    def _json(self, answer: Answer, expected: str) -> Mapping[str, Any]:
        """The JSON object of a good answer that has the key `expected`."""
        self._check_status(answer)
        try:
            body = json.loads(answer.whole(self._deadline_s()))
        except (ValueError, RecursionError):
            raise NotUpstream("the answer is not upstream's (no JSON)", LOGIN_PAGE_HINT) from None
        if not isinstance(body, dict) or expected not in body:
            raise _odd("the answer lacks what upstream always sends")
        return body

    def _check_status(self, answer: Answer) -> None:
        status = answer.status
        if status == 200:
            return
        if 300 <= status < 400:
            raise redirect(answer, self._address.url)
        if status in (403, 404):
            text = _closing_text(answer.whole(self._deadline_s()))
            if text is not None:
                raise Closed(f"upstream refuses this list: {text}", "check the list's address and key there")
        if status == 429 or (status >= 500 and status != 511):
            what = "asks for fewer requests" if status == 429 else f"has trouble ({status})"
            raise Unreachable(f"upstream {what}", retry_after_s=answer.retry_after_s)
        raise NotUpstream(f"an answer came that is not upstream's ({status})", LOGIN_PAGE_HINT)

    def _deadline_s(self) -> float:
        return time.monotonic() + self._http.answer_timeout_s


class Snapshot:
    """A `download/` as it streams in (edgebox.upstream.PulledSnapshot)."""

    def __init__(self, answer: Answer, known: Catalog, clock: Clock) -> None:
        self._answer = answer
        self._known = known
        self._clock = clock
        self._names = Names(known)
        self._questions: tuple[Question, ...] = ()
        self._version = known.version
        self.age_s = answer.age_s

    def tickets(self) -> Iterator[ToldTicket]:
        """All tickets, as they come. A ticket of the wrong shape is left out, and the body then counts as broken."""
        raw_tickets, raw_questions, version = ijson.sendable_list(), ijson.sendable_list(), ijson.sendable_list()
        parsers = [
            ijson.items_coro(raw_tickets, "results.item", use_float=True),
            ijson.items_coro(raw_questions, "questions.item", use_float=True),
            ijson.items_coro(version, "version", use_float=True),
        ]
        count, bad, size_bytes, head = 0, 0, 0, bytearray()
        for chunk in self._answer.chunks(time.monotonic() + SNAPSHOT_DEADLINE_S):
            size_bytes += len(chunk)
            _feed(parsers, chunk)
            count += len(raw_tickets)
            if count == 0:
                head += chunk
            if size_bytes > (MAX_SNAPSHOT_BYTES if count else SMALL_BYTES):
                raise _odd("download: an answer of absurd size")
            for raw in raw_tickets:
                try:
                    yield read_ticket(raw, self._names)
                except BadShape:
                    bad += 1
            raw_tickets.clear()
        _feed(parsers, b"")
        if count == 0 and not isinstance(json.loads(head).get("results"), list):
            raise _odd("download: the answer lacks what upstream always sends")
        if bad:
            raise _odd(f"download: {bad} tickets are not as the API has them; the others were taken in")
        try:
            self._questions = tuple(read_question(raw) for raw in raw_questions)
        except BadShape as error:
            raise _odd(f"download: {error}") from None
        if version and isinstance(version[0], int):
            self._version = version[0]
        self._answer.trust_date(self._clock)

    def catalog(self) -> Catalog:
        """What `status/` told, with the questions, and the items that only tickets name."""
        return replace(self._known, version=self._version, items=self._names.items(), questions=self._questions)


def _feed(parsers: list[Any], chunk: bytes) -> None:
    for parser in parsers:
        try:
            parser.send(chunk)
        except StopIteration:
            continue
        except ijson.JSONError as error:
            # Its text quotes the body, and guests' names stand there.
            if isinstance(error, ijson.IncompleteJSONError) and not chunk:
                raise Unreachable("upstream's answer broke off in the middle") from None
            raise NotUpstream("the answer is not upstream's (no JSON)", LOGIN_PAGE_HINT) from None


def _may_be_about_this_one(status: int) -> bool:
    """Whether an answer to a push may be the fault of what was pushed: a 500, or a 4xx that means nothing else."""
    if status in (403, 404, 407, 408, 425, 429):
        return False
    return 400 <= status < 500 or status in (500, 501)


def _outcome(body: Mapping[str, Any]) -> PushOutcome:
    status, reason = body.get("status"), body.get("reason")
    if status == "ok":
        return Accepted()
    if status == "error" and isinstance(reason, str):
        return Refused(reason, reason in FORCEABLE)
    return Refused(str(status)[:50], False)


def _closing_text(body: bytes) -> str | None:
    """The words with which upstream itself closes a list; None for anybody else's 403 or 404."""
    text = body[:10_000].decode("utf-8", "replace").strip()
    if text in CLOSING_TEXTS:
        return text
    try:
        message = json.loads(text).get("message")
    except (ValueError, AttributeError, RecursionError):
        return None
    return message if isinstance(message, str) and message in CLOSING_TEXTS else None


def _odd(message: str) -> UpstreamError:
    return NotUpstream(message, LOGIN_PAGE_HINT)
