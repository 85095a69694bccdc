"""The scanners: add, show their QR codes, print sheets of them, revoke."""

from __future__ import annotations

import io

import segno
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response

from edgebox.box import ActionError, Box
from edgebox.devices import pretixdroid
from edgebox.model import CheckInList, Device
from edgebox.web.fields import ID
from edgebox.web.people import for_lead, me


def register(web: Blueprint, box: Box) -> None:
    """The page, a device's QR code, and the sheet of a list."""

    @web.get("/devices")
    @for_lead
    def devices() -> str:
        lists = box.store.lists.all()
        reports = box.device_reports()
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
        list_id = request.form.get("list", type=int)
        if list_id is None:
            raise ActionError(_("Please choose a list; nothing was added."))
        device = box.add_device(
            request.form.get("name", ""),
            list_id,
            item_ids=_chosen_items(list_id),
            allow_search="no_search" not in request.form,
            show_info="no_info" not in request.form,
        )
        box.did(me().name, me().role, "added a device", device.name)
        return redirect(url_for("web.device", name=device.name))

    @web.get("/devices/<path:name>/qr")
    @for_lead
    def device(name: str) -> str:
        found = box.store.devices.named(name)
        return render_template("device.html", device=found, qr=_qr(box, found), list=_list_of(box, found))

    @web.get("/devices/<path:name>/revoke")
    @for_lead
    def ask_to_revoke(name: str) -> str:
        """What a revoked phone may still hold is said before."""
        found = box.store.devices.named(name)
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

    @web.get(f"/lists/<{ID}:list_id>/sheet")
    @for_lead
    def sheet(list_id: int) -> str:
        """All devices of a list, to be printed: a QR code with the name under each."""
        list_ = box.get_list(list_id)
        mine = [d for d in box.store.devices.all() if list_id in d.list_ids and d.revoked_at is None]
        return render_template("sheet.html", list=list_, codes=[(device, _qr(box, device)) for device in mine])

    @web.post("/devices/revoke")
    @for_lead
    def revoke_device() -> Response:
        name = request.form.get("name", "")
        box.revoke_device(name)
        box.did(me().name, me().role, "revoked a device", name)
        flash(_("%(name)s is revoked. Entries that it has not sent yet stay on the phone.", name=name), "success")
        return redirect(url_for("web.devices"))


def _chosen_items(list_id: int) -> frozenset[int] | None:
    chosen = request.form.getlist(f"item-{list_id}", type=int)
    return frozenset(chosen) if chosen else None


def _list_of(box: Box, device: Device) -> CheckInList:
    found = [list_ for list_ in map(box.store.lists.get, device.list_ids) if list_ is not None]
    return found[0] if found else abort(404)


def _qr(box: Box, device: Device) -> Markup:
    """The device's configuration as an SVG that grows with its frame."""
    drawing = io.BytesIO()
    text = pretixdroid.configuration(device, _list_of(box, device), box.base_url())
    segno.make(text, error="m", micro=False).save(
        drawing, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4, nl=False, svgclass="", lineclass=""
    )
    return Markup(drawing.getvalue().decode())
