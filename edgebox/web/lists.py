"""The check-in lists: register, test the connection, pause, remove."""

from __future__ import annotations

import json

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask import Response as FlaskResponse
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from edgebox.box import ActionError, Box
from edgebox.paper import sheet
from edgebox.removing import exports_folder
from edgebox.store.tickets import by_name
from edgebox.web import connections
from edgebox.web.connections import Offers
from edgebox.web.errands import Errands, Outcome
from edgebox.web.fields import ID
from edgebox.web.now import live, run_view
from edgebox.web.people import for_lead, me
from edgebox.web.words import checkins


def register(web: Blueprint, box: Box) -> None:
    """The page and its actions."""
    errands = Errands(box.clock.now)
    offers = Offers()
    connections.register(web, box, errands, offers)

    def view() -> dict[str, object]:
        return {
            "statuses": box.status(),
            "run": run_view(box),
            "errand": errands.look(),
            "connections": box.connections(),
            "offers": [(connections.key_of(offer), offer) for offer in offers.now(box)],
            "rows": f"{[list_.id for list_ in box.store.lists.all()]} {offers.asked}",
            "zone_list": next(iter(box.store.lists.all()), None),
        }

    @web.get("/lists")
    @for_lead
    def lists() -> str:
        return render_template("lists.html", **view())

    @web.get("/lists/live")
    @for_lead
    def lists_live() -> Response:
        """How far a test of the connection or a registration is, and what came of it."""
        return live(render_template("lists_live.html", **view()))

    @web.post("/lists/add")
    @for_lead
    def add_list() -> Response:
        url, key = request.form.get("url", "").strip(), request.form.get("key", "").strip()
        if url.startswith("{"):
            url, key = _from_qr(url)
        name, separate, person = request.form.get("name", "").strip(), "separate" in request.form, me()

        def register() -> Outcome:
            added = box.add_list(url, key, name=name or None, separate=separate)
            box.did(person.name, person.role, "added a list", added.path)
            if added.catalog is None:
                text = _l(
                    "%(name)s was added. Its ticket server cannot be reached now; tickets come with the first pull.",
                    name=added.name,
                )
                return Outcome("warning", text)
            return Outcome("success", _l("%(name)s was added; its tickets are being fetched.", name=added.name))

        failed = _l("The box failed over this; please look whether the list is there.")
        errands.start(_l("Asking the ticket server …"), register, failed)
        return redirect(url_for("web.lists"))

    @web.post(f"/lists/<{ID}:list_id>/test")
    @for_lead
    def test_list(list_id: int) -> Response:
        """Upstream is asked in the background; the outcome shows in the list's state."""
        box.get_list(list_id)
        box.start_sync(list_id)
        return redirect(url_for("web.lists"))

    @web.post(f"/lists/<{ID}:list_id>/<any(pause, resume):what>")
    @for_lead
    def pause_list(list_id: int, what: str) -> Response:
        box.pause_list(list_id, what == "pause")
        box.did(me().name, me().role, f"{what}d a list", str(list_id))
        return redirect(url_for("web.lists"))

    @web.get(f"/lists/<{ID}:list_id>/paper")
    @for_lead
    def on_paper(list_id: int) -> FlaskResponse:
        """Every ticket of the list, to print and tick by hand."""
        list_ = box.get_list(list_id)
        head = (
            f'<link rel="stylesheet" href="{url_for("web.static", filename="paper.css")}">'
            f'<script src="{url_for("web.static", filename="edgebox.js")}" defer></script>'
        )
        now = box.clock.now()
        tickets = by_name(box.store.reading(), list_, now)
        pieces = sheet(list_, tickets, now, words=paper_words(), head=head, language=str(get_locale()))
        return FlaskResponse("".join(pieces), mimetype="text/html")

    @web.get(f"/lists/<{ID}:list_id>/remove")
    @for_lead
    def ask_to_remove(list_id: int) -> str:
        list_ = box.get_list(list_id)
        text = _("Its devices are told that the event is unknown, and nobody is let in by it. The journal stays.")
        waiting = box.store.journal.waiting(list_id)
        if waiting:
            text += " " + _(
                "Not at the ticket server yet: %(checkins)s. What is not there is written to a file in %(folder)s"
                " before, and never sent.",
                checkins=checkins(waiting),
                folder=str(exports_folder(box.config.data_dir)),
            )
        return render_template(
            "confirm.html",
            title=_("Remove %(name)s?", name=list_.name),
            text=text,
            action=url_for("web.remove_list", list_id=list_id),
            force=waiting > 0,
            button=_("Export and remove it") if waiting else _("Remove it"),
            back="web.lists",
        )

    @web.post(f"/lists/<{ID}:list_id>/remove")
    @for_lead
    def remove_list(list_id: int) -> Response:
        name = box.get_list(list_id).name
        exported = box.remove_list(list_id, force="force" in request.form)
        box.did(me().name, me().role, "removed a list", f"{name}, {exported.path}" if exported else name)
        flash(_("%(name)s was removed; its journal stays.", name=name), "success")
        if exported:
            what = checkins(exported.checkins)
            flash(
                _("Not sent, but written to %(path)s: %(checkins)s.", checkins=what, path=str(exported.path)), "warning"
            )
        return redirect(url_for("web.lists"))


def paper_words() -> dict[str, str]:
    """The words of a list on paper, in the reader's language."""
    return {
        "title": _("To tick by hand"),
        "as_of": _("As of"),
        "in": _("came already"),
        "unpaid": _("NOT PAID"),
        "attention": _("look closely"),
        "blocked": _("BLOCKED"),
        "nameless": _("no name"),
        "name": _("Name"),
        "order": _("Order"),
        "item": _("Ticket"),
        "remarks": _("Remarks"),
        "print": _("Print"),
        "how": _(
            "Tick whoever comes, and write the time beside it. A ticked box: came already. When the box is back, or "
            "another one in its place: Find, by name or order, and check in everybody who was ticked by hand; force "
            "it, with the reason “paper”, where the box refuses. Shred the paper then."
        ),
    }


def _from_qr(text: str) -> tuple[str, str]:
    try:
        told = json.loads(text)
        return str(told["url"]), str(told["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ActionError(_("This is not the text of a configuration QR code; nothing was added.")) from None
