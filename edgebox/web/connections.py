"""Today's pretix on the page Lists: connect the box, see what there is, and register lists by ticking them."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from edgebox.box import ActionError, Box
from edgebox.registering import Offer, as_registered
from edgebox.web.errands import Errands, Outcome
from edgebox.web.fields import ID
from edgebox.web.people import Person, for_lead, me

FAILED = _l("The box failed over this; please look what has been done.")


class Offers:
    """What connections offered when they were last asked; None before that. `asked` counts how often they were."""

    def __init__(self) -> None:
        self.found: list[Offer] | None = None
        self.asked = 0

    def keep(self, found: list[Offer]) -> None:
        self.found = found
        self.asked += 1

    def now(self, box: Box) -> list[Offer]:
        """The same as it stands after what was registered and removed since."""
        connected = {connection.id for connection in box.store.connections.all()}
        offers = (offer for offer in self.found or () if offer.connection.id in connected)
        return as_registered(offers, box.store.lists.all())


def register(web: Blueprint, box: Box, errands: Errands, offers: Offers) -> None:
    """The actions; `lists` shows what comes of them."""

    @web.post("/connections/add")
    @for_lead
    def connect() -> Response:
        text, token, person = request.form.get("text", "").strip(), request.form.get("token", "").strip(), me()

        def work() -> Outcome:
            connection, forbidden = box.connect(text, token or None)
            box.did(person.name, person.role, "connected the box", connection.organizer)
            if forbidden:
                return Outcome("warning", forbidden)
            offers.keep(box.offers())
            return Outcome("success", _l("The box is connected. Now choose the lists."))

        errands.start(_l("Asking pretix …"), work, FAILED)
        return redirect(url_for("web.lists"))

    @web.post("/connections/offers")
    @for_lead
    def look_for_offers() -> Response:
        def work() -> Outcome:
            offers.keep(box.offers())
            return Outcome("success", _l("These are the lists that pretix offers."))

        errands.start(_l("Asking pretix …"), work, FAILED)
        return redirect(url_for("web.lists"))

    @web.post("/connections/lists")
    @for_lead
    def add_offered() -> Response:
        chosen, person = request.form.getlist("offer"), me()
        wanted = [offer for offer in offers.now(box) if key_of(offer) in chosen]
        if not wanted:
            raise ActionError(_("Please tick at least one list; nothing was added."))
        errands.start(_l("Registering the lists …"), lambda: _add_all(box, wanted, person, offers), FAILED)
        return redirect(url_for("web.lists"))

    @web.post(f"/connections/<{ID}:connection_id>/remove")
    @for_lead
    def disconnect(connection_id: int) -> Response:
        box.disconnect(connection_id)
        box.did(me().name, me().role, "disconnected the box", str(connection_id))
        flash(_("The connection was removed. Please revoke its device in pretix, too."), "success")
        return redirect(url_for("web.lists"))


def key_of(offer: Offer) -> str:
    """What stands for it in the form."""
    return f"{offer.connection.id}/{offer.offered.event}/{offer.offered.list_id}"


def _add_all(box: Box, wanted: list[Offer], person: Person, offers: Offers) -> Outcome:
    for offer in wanted:
        added = box.add_offered(offer.offered.event, offer.offered.list_id, connection_id=offer.connection.id)
        box.did(person.name, person.role, "added a list", f"{added.path} {added.name}")
    offers.found = None
    names = ", ".join(offer.offered.name for offer in wanted)
    return Outcome("success", _l("%(name)s was added; its tickets are being fetched.", name=names))
