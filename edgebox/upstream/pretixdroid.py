"""An upstream that speaks the pretixdroid API: pretix up to 3.8, or another box."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import ijson

from edgebox.clock import Clock
from edgebox.model import Catalog, CheckIn, Direction, Question, ToldTicket
from edgebox.upstream import (
    Accepted,
    BadAddress,
    Closed,
    Description,
    Feed,
    LookedUp,
    NotUpstream,
    Poisonous,
    PushOutcome,
    Refused,
    Unreachable,
    UpstreamError,
)
from edgebox.upstream.transport import LOGIN_PAGE_HINT, Answer, Http, redirect
from edgebox.upstream.wire import BadShape, Names, is_whole, read_question, read_status, read_ticket, read_version

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

SNAPSHOT_WITHIN_S = 1800.0
MAX_SNAPSHOT_BYTES = 1024 * 1024 * 1024
MAX_QUIET_BYTES = 1024 * 1024
"""A download that tells no ticket for so long is none of upstream's."""
MAX_REASON_CHARS = 50

MAX_QUESTIONS = 10_000

MAX_DEPTH = 50
"""Objects and lists in each other; a question's option is the fifth."""

_LISTS = frozenset({"results", "questions"})
"""What a download tells one by one."""

_STARTS, _ENDS = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})

_LATER = frozenset({408, 425, 429})
"""Request Timeout, Too Early, Too Many Requests: the same request is fine a little later."""
_PROXY_REFUSES, _LOGIN_REQUIRED = 407, 511

_PATH = re.compile(
    r"(?P<prefix>.*)/pretixdroid/api/(?P<organizer>[^/]+)/(?P<event>[^/]+)(?:/(?P<subevent>[0-9]{1,18}))?/?"
)


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
    # A slash would make another path of it; what cannot be shown is no slug, and may not even be text.
    if "/" in organizer + event or not (organizer + event + match["prefix"]).isprintable():
        raise BadAddress("this is not an upstream address", hint)
    subevent = int(match["subevent"]) if match["subevent"] else None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default_port = {"http": 80, "https": 443}[parts.scheme]
    netloc = host if port in (None, default_port) else f"{host}:{port}"
    path = f"{match['prefix']}/pretixdroid/api/{quote(organizer)}/{quote(event)}/"
    path += f"{subevent}/" if subevent is not None else ""
    return Address(urlunsplit((parts.scheme, netloc, path, "", "")), organizer, event, subevent)


class PretixdroidUpstream:
    """One check-in list of a server that speaks the pretixdroid API (edgebox.upstream.Upstream)."""

    feed: Feed | None = None
    at_once = 1

    def __init__(self, url: str, key: str, http: Http, clock: Clock) -> None:
        self._address = parse_address(url)
        self._key = key
        self._http = http.channel()
        self._clock = clock

    def close(self) -> None:
        """Give up what is under way."""
        self._http.close()

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
        total = body.get("total")
        tickets_total = total if isinstance(total, int) and not isinstance(total, bool) else None
        return Description(self._address.organizer, self._address.event, subevent, catalog, tickets_total)

    @contextmanager
    def pull(self, known: Catalog) -> Iterator[Snapshot]:
        """Ask `download/`."""
        with self._get("download/", within_s=SNAPSHOT_WITHIN_S) as answer:
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
            if not _may_be_about_this_one(answer):
                # A login page may have a `status` too; upstream always tells its version with it.
                outcome = _outcome(self._json(answer, "status", "version"))
                answer.trust_date(self._clock)
                return outcome
            status = answer.status
        # Upstream is there and refuses to digest this one, or it is in trouble altogether: a probe tells.
        self.describe()
        return Poisonous(f"upstream answered {status} to this check-in while it answers otherwise", status < 500)

    def report_refusal(
        self, secret: str, reason: str, at: datetime, nonce: str, *, direction: Direction, position_id: int | None
    ) -> bool:
        """The old API has no word for it."""
        return False

    def look_up(self, secret: str, known: Catalog) -> LookedUp:
        """Ask `search/`, which finds by the start of the secret."""
        with self._get("search/", query=secret) as answer:
            results = self._json(answer, "results")["results"]
            if not isinstance(results, list):
                raise _odd("search: 'results' is not a list")
            answer.trust_date(self._clock)
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
    def _get(self, verb: str, *, within_s: float | None = None, **params: str) -> Iterator[Answer]:
        url = self._address.url + verb
        with self._http.get(url, {"key": self._key, **params}, within_s=within_s) as answer:
            yield answer

    def _json(self, answer: Answer, *expected: str) -> Mapping[str, Any]:
        """The JSON object of a good answer that has the keys `expected`."""
        self._check_status(answer)
        try:
            body = json.loads(answer.whole())
        except (ValueError, RecursionError):
            raise NotUpstream("the answer is not upstream's (no JSON)", LOGIN_PAGE_HINT) from None
        if not isinstance(body, dict) or not body.keys() >= set(expected):
            raise _odd("the answer lacks what upstream always sends")
        return body

    def _check_status(self, answer: Answer) -> None:
        status = answer.status
        if status == 200:
            return
        if 300 <= status < 400:
            raise redirect(answer, self._address.url)
        if status in (403, 404):
            text = _closing_text(answer.whole())
            if text is not None:
                raise Closed(f"upstream refuses this list: {text}", "check the list's address and key there")
        if status in _LATER or (status >= 500 and status != _LOGIN_REQUIRED):
            what = "asks for fewer requests" if status == 429 else f"has trouble ({status})"
            raise Unreachable(f"upstream {what}", retry_after_s=answer.retry_after_s)
        raise NotUpstream(f"an answer came that is not upstream's ({status})", LOGIN_PAGE_HINT)


class Snapshot:
    """A `download/` as it streams in (edgebox.upstream.PulledSnapshot)."""

    def __init__(self, answer: Answer, known: Catalog, clock: Clock) -> None:
        self._answer = answer
        self._known = known
        self._clock = clock
        self._names = Names(known)
        self._questions: list[Question] = []
        self._bad = 0
        self._version = known.version
        self.age_s = answer.age_s

    def tickets(self) -> Iterator[ToldTicket]:
        """All tickets, as they come; those of the wrong shape are left out until `catalog` tells of them."""
        for place, value in self._objects():
            try:
                if place == "results":
                    yield read_ticket(value, self._names)
                elif place == "questions":
                    self._questions.append(read_question(value))
                else:
                    self._version = read_version(value)
            except BadShape:
                self._bad += 1
            if len(self._questions) > MAX_QUESTIONS:
                raise _odd("download: questions without end")
        self._answer.trust_date(self._clock)

    def _objects(self) -> Iterator[tuple[str, Any]]:
        """Each ticket, each question and the version, with the name under which it stands; it ends with a whole body.

        Where something stands is counted here: ijson would write the whole way to it beside each bracket, which costs
        gigabytes where somebody sends nothing but brackets.
        """
        events = ijson.sendable_list()
        parser = ijson.basic_parse_coro(events, use_float=True)
        builder: ijson.ObjectBuilder | None = None
        name = ""
        listed = is_download = False
        depth = 0
        size_bytes = quiet_bytes = 0
        for chunk in self._answer.chunks():
            size_bytes += len(chunk)
            quiet_bytes += len(chunk)
            _feed(parser, chunk)
            for event, value in events:
                depth -= event in _ENDS
                if event == "map_key" and depth == 1:
                    name = value
                elif (depth == 2 and listed) or (depth == 1 and name == "version"):
                    builder = builder or ijson.ObjectBuilder()
                    builder.event(event, value)
                    if event not in _STARTS:
                        found, builder, quiet_bytes = builder.value, None, 0
                        yield name, found
                elif builder is not None:
                    builder.event(event, value)
                elif depth == 1:
                    listed = event == "start_array" and name in _LISTS
                    is_download = is_download or (listed and name == "results")
                depth += event in _STARTS
                if depth > MAX_DEPTH:
                    raise _odd("download: it is nested deeper than anything of upstream's")
            events.clear()
            if size_bytes > MAX_SNAPSHOT_BYTES or quiet_bytes > MAX_QUIET_BYTES:
                raise _odd("download: an answer of absurd size")
        if size_bytes:
            _feed(parser, b"")
        if not is_download:
            raise _odd("download: the answer lacks what upstream always sends")

    def catalog(self) -> Catalog:
        """What `status/` told, with the questions, and the items that only tickets name.

        Raises NotUpstream where a ticket could not be read: nothing must be taken away for want of it.
        """
        if self._bad:
            raise NotUpstream(f"download: {self._bad} tickets or questions are not as the API has them")
        return replace(self._known, version=self._version, items=self._names.items(), questions=tuple(self._questions))


def _feed(parser: Any, chunk: bytes) -> None:
    """Hand on a piece of the body; an empty one says that this was all."""
    try:
        parser.send(chunk)
    except StopIteration:
        return
    except (ijson.JSONError, ValueError) as error:
        # Its text quotes the body, and guests' names stand there.
        if isinstance(error, ijson.IncompleteJSONError) and not chunk:
            raise Unreachable("upstream's answer broke off in the middle") from None
        raise NotUpstream("the answer is not upstream's (no JSON)", LOGIN_PAGE_HINT) from None


def _may_be_about_this_one(answer: Answer) -> bool:
    """Whether an answer to a push may be the fault of what was pushed: 5xx, or a 4xx that means nothing else."""
    if answer.status >= 500:
        return answer.status != _LOGIN_REQUIRED and answer.retry_after_s is None
    return answer.status >= 400 and answer.status not in _LATER | {403, 404, _PROXY_REFUSES}


def _outcome(body: Mapping[str, Any]) -> PushOutcome:
    status, reason = body["status"], body.get("reason")
    if not isinstance(status, str):
        raise _odd("the answer lacks what upstream always sends")
    if status == "ok":
        return Accepted()
    if status == "error" and isinstance(reason, str):
        return Refused(reason[:MAX_REASON_CHARS], reason in FORCEABLE)
    return Refused(status[:MAX_REASON_CHARS], False)


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
