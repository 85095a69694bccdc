"""What needs staff: conflicts, parked check-ins, and what a pull would take away."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from edgebox.box import Box
from edgebox.model import CheckIn, CheckInList, CheckInState
from edgebox.store.journal import Conflict
from edgebox.web.fields import ID, text_of
from edgebox.web.people import for_lead, me
from edgebox.web.words import CONFLICTS, checkins, held_back, tickets, told_note

SHOWN_HELD = 500
SHOWN_CONFLICTS = 100


@dataclass(frozen=True, slots=True)
class Case:
    """A conflict in plain words."""

    checkin: CheckIn
    list: CheckInList | None
    list_name: str
    attendee_name: str | None
    order_code: str
    what: str
    notes: tuple[str, ...]

    @property
    def is_parked(self) -> bool:
        return self.checkin.state is CheckInState.PARKED


def register(web: Blueprint, box: Box) -> None:
    """The page and its four decisions."""

    @web.get("/attention")
    @for_lead
    def attention() -> str:
        # Those that wait for a decision before those that are only to be known.
        cases = sorted(map(case_of, box.conflicts()), key=lambda case: not case.is_parked)
        held = [(status, box.held_tickets(status.list.id, SHOWN_HELD)) for status in box.status() if status.held]
        return render_template(
            "attention.html", cases=cases[:SHOWN_CONFLICTS], count=len(cases), held=held, shown_held=SHOWN_HELD
        )

    def case_of(conflict: Conflict) -> Case:
        checkin = conflict.checkin
        list_ = box.store.lists.get(checkin.list_id)
        notes = dict.fromkeys(filter(None, (checkin.conflict_note, checkin.push_note)))
        return Case(
            checkin=checkin,
            list=list_,
            list_name=conflict.list_name,
            attendee_name=conflict.attendee_name,
            order_code=conflict.order_code,
            what=str(CONFLICTS.get(checkin.conflict or "", checkin.conflict)),
            notes=tuple(told_note(note, list_) for note in notes),
        )

    @web.post(f"/attention/<{ID}:checkin_id>/retry")
    @for_lead
    def retry(checkin_id: int) -> Response:
        box.retry(checkin_id)
        box.did(me().name, me().role, "retried a check-in", str(checkin_id))
        flash(_("It will be sent again."), "success")
        return redirect(url_for("web.attention"))

    @web.post(f"/attention/<{ID}:checkin_id>/dismiss")
    @for_lead
    def dismiss(checkin_id: int) -> Response:
        reason = text_of("reason")
        if not reason:
            flash(_("Please say why; nothing was dismissed."), "danger")
            return redirect(url_for("web.attention"))
        box.dismiss(checkin_id, f"{me().name}: {reason}")
        box.did(me().name, me().role, "dismissed a conflict", f"{checkin_id}: {reason}")
        flash(_("It needs no attention any more."), "success")
        return redirect(url_for("web.attention"))

    @web.get(f"/attention/held/<{ID}:list_id>/accept")
    @for_lead
    def ask_to_accept(list_id: int) -> str:
        """The last question before something that cannot be taken back."""
        list_ = box.get_list(list_id)
        held = next(status.held for status in box.status() if status.list.id == list_id)
        consequences = []
        if held.tickets:
            consequences.append(_("%(tickets)s will be refused at the doors.", tickets=tickets(held.tickets)))
        if held.checkins:
            consequences.append(
                _("%(checkins)s no longer count: those guests can come in again.", checkins=checkins(held.checkins))
            )
        return render_template(
            "confirm.html",
            title=_("Take away what the ticket server no longer has?"),
            text=f"{list_.name}: {' '.join(consequences)}",
            action=url_for("web.decide_held", list_id=list_id, decision="accept"),
            button=_("Accept: the ticket server is right"),
            back="web.attention",
        )

    @web.post(f"/attention/held/<{ID}:list_id>/<any(accept, reject):decision>")
    @for_lead
    def decide_held(list_id: int, decision: str) -> Response:
        held = box.accept_held(list_id) if decision == "accept" else box.reject_held(list_id)
        box.did(me().name, me().role, f"{decision}ed a pull", f"list {list_id}")
        what = held_back(held)
        text = _("Taken away: %(what)s.", what=what) if decision == "accept" else _("Kept: %(what)s.", what=what)
        flash(text, "success")
        return redirect(url_for("web.attention"))
