"""A ticket's whole history as one story: attempts, check-ins and their pushes, notes, undos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _

from edgebox.desk import Story
from edgebox.model import CheckIn, CheckInList, CheckInState, Direction
from edgebox.store.log import LogEntry
from edgebox.web.words import CHECKIN_STATES, CONFLICTS, VERDICTS, moment, told_note

UNDO_HERE, UNDO_THERE, NO_UNDO = "here", "there", ""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened. `kind` colours it: ok, no, note, undo."""

    at: datetime
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    checkin_id: int | None = None
    undo: str = NO_UNDO
    """Where it can be undone: here, only at the ticket server ("there"), or nowhere."""


def happenings(story: Story) -> list[Happening]:
    """Everything, newest first."""
    found = [*_checkins(story), *_told(story), *_refusals(story), *_remarks(story)]
    return sorted(found, key=lambda happening: happening.at, reverse=True)


def _checkins(story: Story) -> Iterator[Happening]:
    list_ = story.check_in_list
    for checkin in story.checkins:
        yield Happening(
            at=checkin.datetime,
            kind="undo" if checkin.state is CheckInState.CANCELLED else "ok",
            title=_titled(_who(checkin), checkin),
            lines=tuple(line for line in _lines(checkin, list_) if line),
            checkin_id=checkin.id,
            undo=_undo(story, checkin),
        )


def _who(checkin: CheckIn) -> str:
    who = checkin.device_name or "-"
    return (
        _("Checked out by %(who)s", who=who)
        if checkin.direction is Direction.EXIT
        else _("Checked in by %(who)s", who=who)
    )


def _told(story: Story) -> Iterator[Happening]:
    """What only the ticket server knows of: somebody else's check-ins."""
    own = {(checkin.datetime, checkin.direction) for checkin in story.checkins}
    for past in story.history:
        if past.at is None or (past.at, past.direction) in own:
            continue
        is_exit = past.direction is Direction.EXIT
        title = _("Checked out, says the ticket server") if is_exit else _("Checked in, says the ticket server")
        yield Happening(past.at, "ok", title)


def _titled(title: str, checkin: CheckIn) -> str:
    tags = [_("forced")] if checkin.is_forced else []
    tags += [_("offline")] if checkin.is_offline else []
    return f"{title} ({', '.join(tags)})" if tags else title


def _lines(checkin: CheckIn, list_: CheckInList) -> Iterator[str]:
    if checkin.staff_reason:
        yield _("Reason: %(reason)s", reason=checkin.staff_reason)
    state = str(CHECKIN_STATES[checkin.state])
    if checkin.settled_at and list_.has_upstream:
        state = _("%(state)s since %(time)s", state=state, time=moment(checkin.settled_at, list_))
    if list_.has_upstream or checkin.state not in (CheckInState.SETTLED, CheckInState.KEPT):
        yield f"{state[:1].upper()}{state[1:]}."
    if checkin.conflict:
        yield f"{CONFLICTS.get(checkin.conflict, checkin.conflict)} {told_note(checkin.conflict_note, list_)}"
    if checkin.push_note and checkin.push_note != checkin.conflict_note:
        yield told_note(checkin.push_note, list_)


def _undo(story: Story, checkin: CheckIn) -> str:
    if checkin.id in story.undoable:
        return UNDO_HERE
    may_be_there = checkin.state in (CheckInState.PENDING, CheckInState.SETTLED, CheckInState.PARKED)
    return UNDO_THERE if may_be_there and story.check_in_list.has_upstream else NO_UNDO


def _refusals(story: Story) -> Iterator[Happening]:
    list_ = story.check_in_list
    for entry in story.attempts:
        if entry.verdict == "ok" and not entry.is_repeat:
            continue  # the check-in itself
        yield Happening(
            at=entry.at,
            kind="ok" if entry.is_repeat else "no",
            title=_attempt_title(entry),
            lines=(_("%(n)d times, last %(time)s", n=entry.count, time=moment(entry.last_at, list_)),)
            if entry.count > 1
            else (),
        )


def _attempt_title(entry: LogEntry) -> str:
    who = entry.device_name or "-"
    if entry.is_repeat:
        return _("Told again by %(who)s: the same check-in", who=who)
    return _("Refused at %(who)s: %(why)s", who=who, why=VERDICTS.get(entry.verdict, entry.verdict))


def _remarks(story: Story) -> Iterator[Happening]:
    for note in story.notes:
        yield Happening(note.at, "note", _("Note of %(who)s", who=note.staff_name), (note.text,))
    for cancellation in story.cancellations:
        title = _("Undone by %(who)s", who=cancellation.staff_name)
        yield Happening(cancellation.at, "undo", title, (_("Reason: %(reason)s", reason=cancellation.reason),))
