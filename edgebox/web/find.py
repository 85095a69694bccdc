"""Find a ticket, see its whole history, and do by hand what a scanner cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from edgebox.box import ActionError, Box
from edgebox.model import MAX_NONCE_CHARS
from edgebox.store import Refused, StoreError
from edgebox.store.folding import fold
from edgebox.web.fields import ID, text_of
from edgebox.web.people import for_staff, me
from edgebox.web.story import happenings
from edgebox.web.words import VERDICTS

MIN_QUERY_CHARS = 3
"""As the search compares them, in Latin letters: two of Chinese are enough."""
MAX_RESULTS = 50


def register(web: Blueprint, box: Box) -> None:
    """Search, a ticket's page, and its actions."""

    @web.get("/find")
    @for_staff
    def find() -> str:
        query = request.args.get("query", "").strip()
        is_short = len(fold(query)) < MIN_QUERY_CHARS
        found = [] if is_short else box.desk.find(query, MAX_RESULTS)
        return render_template(
            "find.html", query=query, is_short=is_short, found=found, limit=MAX_RESULTS, min_chars=MIN_QUERY_CHARS
        )

    @web.get(f"/tickets/<{ID}:ticket_id>")
    @for_staff
    def ticket(ticket_id: int) -> str:
        try:
            story = box.desk.story(ticket_id)
        except Refused:
            abort(404)
        is_only_told = bool(story.history) and all(past.at is None for past in story.history)
        return render_template(
            "ticket.html",
            story=story,
            happenings=happenings(story),
            is_only_told=is_only_told,
            # Who presses twice sends the same check-in twice, and it counts once.
            nonce=f"desk-{uuid4().hex}",
        )

    @web.post(f"/tickets/<{ID}:ticket_id>/checkin")
    @for_staff
    def check_in(ticket_id: int) -> Response:
        with _refusal_told():
            _check_in(box, ticket_id)
        return redirect(url_for("web.ticket", ticket_id=ticket_id))

    @web.post(f"/tickets/<{ID}:ticket_id>/note")
    @for_staff
    def add_note(ticket_id: int) -> Response:
        text = text_of("text")
        with _refusal_told():
            if text:
                box.desk.note(ticket_id, me().name, text)
                box.did(me().name, me().role, "added a note", str(ticket_id))
        return redirect(url_for("web.ticket", ticket_id=ticket_id))

    @web.post(f"/tickets/<{ID}:ticket_id>/undo/<{ID}:checkin_id>")
    @for_staff
    def undo(ticket_id: int, checkin_id: int) -> Response:
        reason = text_of("reason")
        with _refusal_told():
            if not reason:
                raise ActionError(_("Undoing a check-in needs a reason; nothing was undone."))
            box.desk.undo(checkin_id, me().name, reason)
            box.did(me().name, me().role, "undid a check-in", f"{checkin_id}: {reason}")
            flash(_("The check-in is undone; it will not be sent to the ticket server."), "success")
        return redirect(url_for("web.ticket", ticket_id=ticket_id))


def _check_in(box: Box, ticket_id: int) -> None:
    reason = text_of("reason")
    is_forced = "force" in request.form
    if is_forced and not reason:
        raise ActionError(_("Forcing a check-in needs a reason; nothing was recorded."))
    nonce = text_of("nonce")[:MAX_NONCE_CHARS] or None
    verdict = box.desk.check_in(ticket_id, me().name, reason, is_forced=is_forced, nonce=nonce).verdict
    if not verdict.is_ok:
        assert verdict.reason is not None
        flash(_("Not checked in: %(why)s.", why=VERDICTS[verdict.reason]), "danger")
        return
    if not verdict.is_repeat:
        action = "forced a check-in" if is_forced else "checked in"
        box.did(me().name, me().role, action, f"{ticket_id} {reason}".strip())
    flash(_("Checked in."), "success")


@contextmanager
def _refusal_told() -> Iterator[None]:
    """What the box refuses is said on the page that follows; nothing was done."""
    try:
        yield
    except (ActionError, StoreError) as error:
        flash(str(error), "danger")
