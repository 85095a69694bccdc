"""The scanners: add, show their QR codes, print sheets of them, renew, revoke."""

from __future__ import annotations

import io
from collections.abc import Sequence
from hashlib import sha256

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response

from edgebox.box import ActionError, Box
from edgebox.devices.configuring import configuration_of
from edgebox.model import App, Device
from edgebox.web.fields import ID
from edgebox.web.now import live
from edgebox.web.people import for_lead, me


def register(web: Blueprint, box: Box) -> None:
    """The page, a device's QR code, and the sheet of a list."""

    @web.get("/devices")
    @for_lead
    def devices() -> str:
        lists = box.store.lists.all()
        reports = box.scanners.reports()
        return render_template(
            "devices.html",
            in_use=[report for report in reports if report.device.revoked_at is None],
            revoked=[report for report in reports if report.device.revoked_at is not None],
            lists=lists,
            list_names={list_.id: list_.name for list_ in lists},
            base_url=box.base_url(),
        )

    @web.post("/devices/add")
    @for_lead
    def add_device() -> Response:
        is_pretixscan = request.form.get("app") == App.PRETIXSCAN
        list_ids = request.form.getlist("lists" if is_pretixscan else "list", type=int)
        if not list_ids:
            raise ActionError(_("Please choose a list; nothing was added."))
        name, item_ids = request.form.get("name", ""), _chosen_items(list_ids)
        allow_search, show_info = "no_search" not in request.form, "no_info" not in request.form
        if is_pretixscan:
            device = box.scanners.add_pretixscan(name, list_ids, item_ids=item_ids, allow_search=allow_search)
        else:
            device = box.scanners.add(
                name, list_ids[0], item_ids=item_ids, allow_search=allow_search, show_info=show_info
            )
        box.did(me().name, me().role, "added a device", device.name)
        return redirect(url_for("web.device", name=device.name))

    @web.get("/devices/<path:name>/qr")
    @for_lead
    def device(name: str) -> str:
        found = box.store.devices.named(name)
        text = configuration_of(box, found)
        if text:
            box.scanners.shown([found], box.base_url())
        return render_template(
            "device.html",
            device=found,
            qr=_drawn(text),
            lists=box.scanners.lists_of(found),
            rows=_version_of(text),
        )

    @web.get("/devices/<path:name>/live")
    @for_lead
    def device_live(name: str) -> Response:
        """Whether the code is still the one that the page shows."""
        text = configuration_of(box, box.store.devices.named(name))
        return live(render_template("device_live.html", rows=_version_of(text)))

    @web.post("/devices/renew")
    @for_lead
    def renew_device() -> Response:
        name = request.form.get("name", "")
        box.scanners.renew(name)
        box.did(me().name, me().role, "renewed a device", name)
        return redirect(url_for("web.device", name=name))

    @web.get("/devices/<path:name>/revoke")
    @for_lead
    def ask_to_revoke(name: str) -> str:
        """What a revoked phone may still hold is said before."""
        found = box.store.devices.named(name)
        if found.app is App.PRETIXSCAN:
            return render_template("revoke.html", device=found)
        return render_template(
            "confirm.html",
            title=_("Revoke %(name)s?", name=found.name),
            text=_(
                "From then on the box refuses whatever this device sends. If it scanned offline, it may still hold"
                " check-ins that it has not sent: let it send them first, or they are lost with it."
            ),
            action=url_for("web.revoke_device"),
            name=found.name,
            button=_("Revoke it"),
            back="web.devices",
        )

    @web.post("/devices/revoke")
    @for_lead
    def revoke_device() -> Response:
        name, wipe = request.form.get("name", ""), "wipe" in request.form
        revoked = box.scanners.revoke(name, wipe=wipe)
        box.did(me().name, me().role, "revoked and wiped a device" if wipe else "revoked a device", name)
        flash(_told_of_revoking(revoked, wipe=wipe), "success")
        return redirect(url_for("web.devices"))

    @web.get(f"/lists/<{ID}:list_id>/sheet")
    @for_lead
    def sheet(list_id: int) -> str:
        """All devices of a list, to be printed: a QR code with the name under each. One that was used is of no use."""
        list_ = box.get_list(list_id)
        mine = [d for d in box.store.devices.all() if list_id in d.list_ids and d.revoked_at is None]
        codes = [(device, _drawn(configuration_of(box, device))) for device in mine]
        box.scanners.shown([device for device, qr in codes if qr], box.base_url())
        return render_template(
            "sheet.html",
            list=list_,
            codes=[(device, qr) for device, qr in codes if qr],
            used=[device for device, qr in codes if not qr],
        )


def _chosen_items(list_ids: Sequence[int]) -> frozenset[int] | None:
    chosen = [item for list_id in list_ids for item in request.form.getlist(f"item-{list_id}", type=int)]
    return frozenset(chosen) if chosen else None


def _told_of_revoking(device: Device, *, wipe: bool) -> str:
    if wipe:
        return _(
            "%(name)s is revoked. Its app deletes what it holds the next time that it talks to the box.",
            name=device.name,
        )
    if device.app is App.PRETIXSCAN:
        return _("%(name)s is revoked. What its app holds stays on the phone.", name=device.name)
    return _("%(name)s is revoked. Entries that it has not sent yet stay on the phone.", name=device.name)


def _version_of(text: str | None) -> str:
    """Another one for each text of a QR code, without telling it."""
    return sha256(text.encode()).hexdigest()[:16] if text else "used"


def _drawn(text: str | None) -> Markup | None:
    """A QR code as an SVG that grows with its frame."""
    if text is None:
        return None
    drawing = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawing, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4, nl=False, svgclass="", lineclass=""
    )
    return Markup(drawing.getvalue().decode())
