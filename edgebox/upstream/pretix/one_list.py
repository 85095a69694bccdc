"""One check-in list of today's pretix (edgebox.upstream.Upstream). Its tickets come from the event's feed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

from edgebox.instants import parse_client_datetime
from edgebox.model import MAX_NONCE_CHARS, Catalog, CheckIn, Direction
from edgebox.upstream import (
    Accepted,
    Closed,
    Description,
    LookedUp,
    NotUpstream,
    Poisonous,
    PulledSnapshot,
    PushOutcome,
    Refused,
)
from edgebox.upstream.pretix.connection import Line, PretixConnection, read_json
from edgebox.upstream.pretix.feed import PretixFeed
from edgebox.upstream.pretix.master import one_list
from edgebox.upstream.transport import LOGIN_PAGE_HINT, Answer

NOT_FORCEABLE = frozenset({"invalid", "ambiguous", "error"})
"""Refusals that pretix does not overrule when the check-in comes with force."""

REPORTABLE = frozenset(
    {
        "canceled", "invalid", "unpaid", "rules", "revoked", "incomplete", "already_redeemed", "product", "ambiguous",
        "error", "blocked", "unapproved", "invalid_time",
    }
)  # fmt: skip
"""The reasons for which pretix takes a report of a refused attempt."""
REPORTED_AS = {"unknown_ticket": "invalid", "withdrawn": "canceled"}
"""What the box calls otherwise; what pretix has no word for is an "error" there."""

CAUSED_BY_ITSELF = frozenset({"already_redeemed", "rules"})
"""Refusals that a check-in may be the reason for itself, when pretix has it and the answer to that was lost: rules are
looked at before the nonce, and the nonce only counts for the device that the box was then."""

AT_ONCE = 4
MAX_REASON_CHARS = 50
MAX_REFUSED = 1_000
MAX_REPORTED_CHARS = 5_000
"""Whatever a scanner reads may be reported; nobody needs more of it."""

LIST_GONE = "the check-in list was deleted in pretix, or the box may not use it any more"
LIST_HINT = "everything is kept; look for the list in pretix and at the device's events"

_LATER = frozenset({401, 403, 404, 407, 408, 409, 425, 429})
"""Answers that mean something else than that the check-in is wrong."""
_LOGIN_REQUIRED = 511


class PretixUpstream:
    """One list of a connection. Thread-safe; closing it leaves connection and feed as they are."""

    def __init__(self, connection: PretixConnection, feed: PretixFeed, list_id: int) -> None:
        self.feed: PretixFeed = feed
        self._connection = connection
        self._list_id = list_id
        self._line: Line = connection.line()
        self._was_held: dict[tuple[str, str], bool] = {}
        """Of check-ins that were refused and not yet forced, by secret and nonce: whether pretix has them already."""

    @property
    def at_once(self) -> int:
        """Pretix is busy with about four at a time; where it counts requests, one after the other is fast enough."""
        return 1 if self._connection.is_limited else AT_ONCE

    def close(self) -> None:
        """Give up what is under way."""
        self._line.close()

    def describe(self) -> Description:
        """Ask for the lists of the event. Raises Closed where this one is not among them."""
        event = self.feed.event
        told = one_list(self._line, event, self._list_id)
        if told is None:
            raise Closed(LIST_GONE, LIST_HINT)
        name, terms, total = told
        return Description(
            organizer=self._connection.organizer,
            event=event,
            subevent=terms.subevent,
            catalog=self.feed.catalog(),
            tickets_total=total,
            list_name=name,
            terms=terms,
        )

    @contextmanager
    def pull(self, known: Catalog) -> Iterator[PulledSnapshot]:
        """There is none: the tickets come from `feed`."""
        raise NotImplementedError("the tickets of pretix come from its feed")
        yield

    def push(self, checkin: CheckIn, *, force: bool) -> PushOutcome:
        """Tell one check-in. Pretix knows it by its nonce, as long as the box is the same device there."""
        if len(checkin.nonce) > MAX_NONCE_CHARS:
            return Poisonous("the check-in's nonce is longer than pretix can keep", True)
        outcome = self._push(checkin, force)
        # The same nonce again is harmless, and a server in trouble is often over it.
        outcome = outcome or self._push(checkin, force)
        if outcome is not None:
            return outcome
        # Pretix is there and chokes on this one, or it is in trouble altogether: this tells.
        self.describe()
        return Poisonous("pretix fails at this check-in while it answers otherwise", False)

    def look_up(self, secret: str, known: Catalog) -> LookedUp:
        """Whether the event's list has such a ticket; the ticket itself comes with the feed."""
        if "\0" in secret or not secret.strip():
            return LookedUp()
        path = self._line.of_event(self.feed.event, f"checkinlists/{self._list_id}/positions/")
        params = [("secret", secret), ("ignore_status", "true"), ("page_size", "1")]
        told = self._line.get(path, params, expects="results")
        rows = told.body["results"] if told else []
        found = isinstance(rows, list) and any(isinstance(row, dict) and row.get("secret") == secret for row in rows)
        return LookedUp(is_partial=found)

    def report_refusal(
        self,
        secret: str,
        reason: str,
        at: dt.datetime,
        nonce: str,
        *,
        direction: Direction = Direction.ENTRY,
        position_id: int | None = None,
        explanation: str | None = None,
    ) -> bool:
        """Tell of one attempt that was refused here; each with a nonce of its own, which makes a repeat harmless.

        False where pretix does not take it, and never will. Raises as every verb does; Closed without the list.
        """
        if not secret.strip() or "\0" in secret or len(nonce) > MAX_NONCE_CHARS:
            return False
        reason = REPORTED_AS.get(reason, reason)
        body = {
            "error_reason": reason if reason in REPORTABLE else "error",
            "error_explanation": explanation,
            "raw_barcode": secret[:MAX_REPORTED_CHARS],
            "raw_source_type": "barcode",
            "type": direction.value,
            "datetime": _as_text(at),
            "nonce": nonce,
            "position": position_id,
        }
        path = self._line.of_event(self.feed.event, f"checkinlists/{self._list_id}/failed_checkins/")
        is_taken, told = self._report(path, body)
        if not is_taken and position_id is not None and isinstance(told, dict) and "position" in told:
            # Gone meanwhile: pretix then goes by the secret.
            is_taken, _ = self._report(path, {**body, "position": None})
        return is_taken

    def _report(self, path: str, body: Mapping[str, Any]) -> tuple[bool, object]:
        """Whether pretix has taken it, and what it said."""
        with self._line.post(path, body) as answer:
            told = read_json(answer)
            if answer.status == 201 and isinstance(told, dict):
                self._line.recognised(answer)
                return True, told
            if answer.status in (400, 405, 413, 415) and told is not None:
                return False, told
            raise self._line.refusal(answer, told)

    def _push(self, checkin: CheckIn, force: bool) -> PushOutcome | None:
        """None: pretix failed at it, for whatever reason."""
        body = {
            "lists": [self._list_id],
            "secret": _secret(checkin),
            "source_type": "barcode",
            "type": checkin.direction.value,
            "datetime": _as_text(checkin.datetime),
            "nonce": checkin.nonce,
            "force": force,
            "ignore_unpaid": checkin.ignores_unpaid,
            "questions_supported": False,
            "answers": {str(question): text for question, text in checkin.answers.items() if text.strip()},
        }
        with self._line.post(self._line.of_organizer("checkinrpc/redeem/"), body) as answer:
            told = read_json(answer)
            outcome = self._outcome(answer, told, checkin, force)
            if outcome is not None or answer.status >= 500:
                return outcome
        # Not pretix's own words: somebody between may dislike what was sent, or everything.
        self.describe()
        return Poisonous(f"an answer {answer.status} came to this check-in while pretix answers otherwise", True)

    def _outcome(self, answer: Answer, told: object, checkin: CheckIn, force: bool) -> PushOutcome | None:
        status = answer.status
        if status >= 500 and status != _LOGIN_REQUIRED and answer.retry_after_s is None:
            return None
        if status in (200, 201) and _is_acceptance(told):
            self._line.recognised(answer)
            return self._accepted(told, checkin, force)
        if status in (400, 404) and _is_refusal(told):
            self._line.recognised(answer)
            return self._refused(told, checkin, force)
        if status in (200, 201) or (status in (400, 404) and isinstance(told, dict) and "status" in told):
            raise NotUpstream("the answer lacks what pretix always sends", LOGIN_PAGE_HINT)
        if status == 400 and isinstance(told, dict) and "lists" in told:
            raise Closed(LIST_GONE, LIST_HINT)
        if 400 <= status < 500 and status not in _LATER:
            return Poisonous(f"pretix does not understand this check-in ({status})", True) if told is not None else None
        raise self._line.refusal(answer, told)

    def _accepted(self, told: Mapping[str, Any], checkin: CheckIn, force: bool) -> PushOutcome:
        if not force:
            return Accepted()
        position = told.get("position")
        was_held = self._was_held.pop((checkin.secret, checkin.nonce), None)
        if was_held is None and isinstance(position, dict) and position.get("secret") == _secret(checkin):
            # Of the ticket itself, what pretix tells is from before this request.
            was_held = _holds(position, self._list_id, checkin)
        return Accepted(was_held=bool(was_held))

    def _refused(self, told: Mapping[str, Any], checkin: CheckIn, force: bool) -> Refused:
        word = str(told["reason"] if told["status"] == "error" else told["status"])
        can_force = word not in NOT_FORCEABLE
        is_held = word in CAUSED_BY_ITSELF and _holds(told.get("position"), self._list_id, checkin)
        if can_force and not force:
            if len(self._was_held) >= MAX_REFUSED:
                self._was_held.clear()
            self._was_held[checkin.secret, checkin.nonce] = is_held
        return Refused(word[:MAX_REASON_CHARS], can_force, was_held=is_held)


def _is_acceptance(told: object) -> TypeGuard[Mapping[str, Any]]:
    """Pretix's yes tells the ticket. There are others who say nothing but ok."""
    return isinstance(told, dict) and told.get("status") == "ok" and isinstance(told.get("position"), dict)


def _is_refusal(told: object) -> TypeGuard[Mapping[str, Any]]:
    """Pretix's no says why."""
    if not isinstance(told, dict) or not isinstance(told.get("status"), str):
        return False
    return told["status"] != "error" or (isinstance(told.get("reason"), str) and told["reason"] != "")


def _secret(checkin: CheckIn) -> str:
    """The ticket's own, as it is now."""
    return checkin.ticket_secret or checkin.secret


def _holds(position: object, list_id: int, checkin: CheckIn) -> bool:
    """Whether pretix tells of this very check-in: the same list, direction and time."""
    held = position.get("checkins") if isinstance(position, dict) else None
    return isinstance(held, list) and any(
        isinstance(each, dict)
        and each.get("list") == list_id
        and each.get("type", Direction.ENTRY.value) == checkin.direction.value
        and _is_at(each.get("datetime"), checkin.datetime)
        for each in held
    )


def _is_at(text: object, at: dt.datetime) -> bool:
    try:
        return isinstance(text, str) and parse_client_datetime(text) == at
    except ValueError:
        return False


def _as_text(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
