"""The machine, the passwords, and a backup to take along."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flask import Blueprint, Response, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from edgebox import __version__
from edgebox.box import Box
from edgebox.store.staff import Role
from edgebox.web.files import as_file
from edgebox.web.people import for_lead, me


def register(web: Blueprint, box: Box) -> None:
    """The page Box."""

    @web.get("/box")
    @for_lead
    def health() -> str:
        return render_template(
            "health.html",
            health=box.health(),
            care=box.caretaker.report(),
            backup=box.backups.standing(),
            version=__version__,
            clock=box.clock,
            failure=box.store.write_failure(),
            zone_list=next(iter(box.store.lists.all()), None),
            gate_has_password=box.store.staff.credential(Role.GATE).password_hash is not None,
        )

    @web.post("/box/restored")
    @for_lead
    def dismiss_restored() -> BaseResponse:
        box.store.restorations.dismiss(box.clock.now())
        box.did(me().name, me().role, "dismissed the restoration", "")
        return redirect(url_for("web.health"))

    @web.post("/box/backup")
    @for_lead
    def backup() -> Response:
        """A consistent copy of the database, made and checked first, then handed over as a file."""
        with tempfile.TemporaryDirectory(dir=box.config.data_dir) as directory:
            path = Path(directory) / "copy.sqlite3"
            box.store.copy_to(path)
            file = path.open("rb")  # which stays readable though its name is gone
        box.did(me().name, me().role, "downloaded a backup", "")
        return as_file(file, f"edgebox-{box.clock.now():%Y%m%d-%H%M%S}.sqlite3", "application/vnd.sqlite3")
