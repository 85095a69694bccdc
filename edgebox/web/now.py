"""The start page: are we scanning, is it getting upstream, is anything wrong?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask_babel import get_locale
from werkzeug.wrappers import Response

from edgebox.box import Box
from edgebox.web import charts
from edgebox.web.banners import Situation, banners
from edgebox.web.people import for_staff, me

SHOW_OUTCOME = timedelta(minutes=2)
LOOK_EVERY_S = 1.0
REST_FACTOR = 5
"""A look at a large event may take a Pi half a second: the next one waits so many times as long as it took."""


class Glance:
    """Looks at the box for everybody who has Now open: once a second, however many there are. Thread-safe."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._lock = threading.Lock()
        self._situation: Situation | None = None
        self._next_look_s = float("-inf")
        self._rendering = threading.Lock()
        self._rendered: dict[tuple[object, ...], str] = {}
        self._rendered_of: Situation | None = None

    def situation(self) -> Situation:
        """How things stand, as of a second ago at most."""
        with self._lock:
            began_s = time.monotonic()
            if self._situation is None or began_s >= self._next_look_s:
                self._situation = self._look()
                now_s = time.monotonic()
                self._next_look_s = now_s + max(LOOK_EVERY_S, REST_FACTOR * (now_s - began_s))
            return self._situation

    def rendered(self, seen_as: tuple[object, ...], render: Callable[[], str]) -> str:
        """What `render` makes of it, once for all who see it as the same."""
        situation = self.situation()
        with self._rendering:
            if self._rendered_of is not situation:
                self._rendered_of, self._rendered = situation, {}
            if seen_as not in self._rendered:
                self._rendered[seen_as] = render()
            return self._rendered[seen_as]

    def _look(self) -> Situation:
        box = self._box
        return Situation(
            now=box.clock.now(),
            statuses=box.status(),
            per_minute=box.checkins_per_minute(),
            activity=box.meter.look(),
            health=box.health(),
            care=box.caretaker.report(),
            is_held=box.store.redeemer.is_held,
            backup=box.backups.standing(),
            write_failure=box.store.write_failure(),
            is_clock_trusted=box.clock.is_trusted(),
            lost_addresses=box.lost_addresses(),
        )


def register(web: Blueprint, box: Box) -> None:
    """The page, and the parts of it that are asked for again and again."""
    glance = Glance(box)

    def view() -> dict[str, object]:
        situation = glance.situation()
        is_wall = "wall" in request.args
        papers = (charts.WALL,) if is_wall else (charts.WIDE, charts.NARROW)
        drawn = (charts.draw(situation.per_minute, situation.now, paper) for paper in papers)
        return {
            "is_wall": is_wall,
            "situation": situation,
            "banners": banners(situation),
            "charts": [chart for chart in drawn if chart is not None],
            "zone_list": next((status.list for status in situation.statuses), None),
            "run": run_view(box),
        }

    @web.get("/")
    @for_staff
    def now() -> str:
        return render_template("now.html", **view())

    @web.get("/now/live")
    @for_staff
    def now_live() -> Response:
        seen_as = (me().role, str(get_locale()), "wall" in request.args)
        return live(glance.rendered(seen_as, lambda: render_template("now_live.html", **view())))

    @web.post("/sync")
    @for_staff
    def sync_now() -> Response:
        box.start_sync()
        box.did(me().name, me().role, "synced", "")
        return redirect(url_for("web.now"))


def live(html: str) -> Response:
    """Parts of a page that is open: nothing is sent while nothing has changed."""
    response = make_response(html)
    response.set_etag(sha256(html.encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@dataclass(frozen=True, slots=True)
class RunStep:
    """What a list's sync is at: `phase` is `push` or `pull`."""

    list_name: str
    phase: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a list's sync came to; `problem` None: all went well."""

    list_name: str
    pushed: int
    parked: int
    pulled: int
    changed: int
    held: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """The sync that somebody asked for; `ended_at` None: it goes on."""

    ended_at: datetime | None
    is_ok: bool
    steps: list[RunStep]
    outcomes: list[RunOutcome]

    @property
    def is_done(self) -> bool:
        return self.ended_at is not None


def run_view(box: Box) -> Run | None:
    """The sync that somebody asked for, while it goes on and for a while after."""
    run = box.sync.manual.last
    if run is None or (run.ended_at is not None and box.clock.now() - run.ended_at > SHOW_OUTCOME):
        return None
    # Of a list from a file there is nothing to tell.
    names = {list_.id: list_.name for list_ in box.store.lists.all() if list_.has_upstream}
    return Run(
        ended_at=run.ended_at,
        is_ok=run.is_ok,
        steps=[
            RunStep(names[step.list_id], step.phase, step.done, step.total)
            for step in list(run.progress.values())
            if step.list_id in names
        ],
        outcomes=[
            RunOutcome(
                list_name=names[synced.list_id],
                pushed=synced.pushed,
                parked=synced.parked,
                pulled=synced.pulled,
                changed=synced.changed,
                held=synced.held_tickets + synced.held_checkins,
                problem=synced.problem,
            )
            for synced in list(run.outcomes)
            if synced.list_id in names
        ],
    )
