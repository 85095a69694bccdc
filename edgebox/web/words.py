"""How the pages say things: states, reasons and times in the reader's language."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from flask import Flask
from flask_babel import format_timedelta, get_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from edgebox import rules
from edgebox.box import Box
from edgebox.instants import from_text
from edgebox.model import App, CheckInList
from edgebox.store.held import HeldBack
from edgebox.store.restorations import Restoration
from edgebox.store.staff import Role
from edgebox.sync import UpstreamState
from edgebox.web.charts import Bar, Chart
from edgebox.web.icons import icon

PAGES = (
    # endpoint, text, icon, for the lead only
    ("web.now", _l("Now"), "speedometer2", False),
    ("web.find", _l("Find"), "search", False),
    ("web.scan", _l("Scan"), "upc-scan", False),
    ("web.attention", _l("Needs attention"), "exclamation-triangle", True),
    ("web.devices", _l("Devices"), "phone", True),
    ("web.lists", _l("Lists"), "card-checklist", True),
    ("web.log", _l("Log"), "journal-text", True),
    ("web.health", _l("Box"), "hdd", True),
)

STATES = {
    UpstreamState.ONLINE: _l("online"),
    UpstreamState.UNREACHABLE: _l("unreachable"),
    UpstreamState.NOT_UPSTREAM: _l("not upstream"),
    UpstreamState.REFUSED: _l("refused"),
    UpstreamState.PAUSED: _l("paused"),
    UpstreamState.FILE: _l("from a file"),
    UpstreamState.NEVER: _l("never reached"),
}

STATE_COLOURS = {
    UpstreamState.ONLINE: "success",
    UpstreamState.REFUSED: "danger",
    UpstreamState.FILE: "secondary",
}
"""Bootstrap's names; every other state is a warning."""

VERDICTS = {
    "ok": _l("let in"),
    "unknown_ticket": _l("unknown ticket"),
    "product": _l("not for this scanner"),
    "withdrawn": _l("cancelled or refunded"),
    "unpaid": _l("not paid"),
    "already_redeemed": _l("used already"),
    "incomplete": _l("questions open"),
    "canceled": _l("order cancelled or expired"),
    "blocked": _l("blocked"),
    "revoked": _l("code revoked"),
    "unapproved": _l("not approved"),
    "invalid_time": _l("not valid now"),
    "rules": _l("against the list's rules"),
    "ambiguous": _l("several tickets fit"),
    "test_mode": _l("order in test mode"),
}

SERVER_REASONS = {"product": _l("this kind of ticket is not on this list"), "unknown_ticket": _l("unknown ticket")}
"""What the ticket server says of a check-in that it does not take."""

CONFLICTS = {
    "already_redeemed": _l("The ticket had been used already."),
    "unpaid": _l("The ticket was not paid for."),
    "withdrawn": _l("The ticket had been cancelled or refunded."),
    "canceled": _l("The order had been cancelled or had expired."),
    "blocked": _l("The ticket was blocked."),
    "revoked": _l("The code had been revoked."),
    "unapproved": _l("The order was not approved."),
    "invalid_time": _l("The ticket was not valid at that time."),
    "rules": _l("The list's rules did not allow it."),
    "refused": _l("The ticket server refuses this check-in."),
    "poisonous": _l("The ticket server fails on this check-in again and again."),
    "clock_untrusted": _l("Its time may be wrong: the box's clock could not be believed."),
    "datetime_implausible": _l("The scanner's clock is more than a day off."),
}

CHECKIN_STATES = {
    "pending": _l("waits for the ticket server"),
    "settled": _l("known to the ticket server"),
    "parked": _l("parked"),
    "dismissed": _l("not sent: staff dismissed it"),
    "cancelled": _l("undone"),
    "kept": _l("recorded here only: the ticket server knows no exits"),
}

WORK = {"push": _l("push"), "pull": _l("pull"), "probe": _l("probe"), "look-up": _l("look-up")}
"""What a sync was about: a probe asks whether upstream is there, a look-up for one ticket."""

ROLES = {Role.GATE: _l("gate"), Role.LEAD: _l("lead")}

DEEDS = {
    "logged in": _l("logged in"),
    "set the password": _l("set the password"),
    "reset the password": _l("reset the password"),
    "synced": _l("synced"),
    "checked in": _l("checked in"),
    "forced a check-in": _l("forced a check-in"),
    "undid a check-in": _l("undid a check-in"),
    "added a note": _l("added a note"),
    "retried a check-in": _l("retried a check-in"),
    "dismissed a conflict": _l("dismissed a conflict"),
    "accepted a pull": _l("accepted a pull"),
    "rejected a pull": _l("rejected a pull"),
    "added a device": _l("added a device"),
    "renewed a device": _l("renewed a device"),
    "revoked a device": _l("revoked a device"),
    "revoked and wiped a device": _l("revoked and wiped a device"),
    "added a list": _l("added a list"),
    "connected the box": _l("connected the box"),
    "disconnected the box": _l("disconnected the box"),
    "paused a list": _l("paused a list"),
    "resumed a list": _l("resumed a list"),
    "removed a list": _l("removed a list"),
    "purged a list": _l("purged a list"),
    "downloaded a backup": _l("downloaded a backup"),
    "dismissed the restoration": _l("has seen that the database was restored"),
}

APPS = {App.PRETIXDROID: "pretixdroid", App.PRETIXSCAN: "pretixSCAN"}
"""As its makers call it."""

_FIRST_USE = re.compile(r"first used at (?P<at>\S+)(?:, device (?P<device>.*))?")
_SENT_WITH_FORCE = re.compile(r"upstream had refused it: (?P<why>\w+); it was sent again with force")
_REFUSED = re.compile(r"upstream refuses it: (?P<why>\w+)")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


def register(app: Flask, box: Box) -> None:
    """Make the words and filters known to the templates."""
    app.jinja_env.globals.update(
        icon=icon,
        pages=lambda: PAGES,
        get_locale=get_locale,
        attention_count=lambda: attention_count(box),
        role_name=lambda role: ROLES.get(role, role),
        state_name=lambda state: STATES[state],
        state_colour=lambda state: STATE_COLOURS.get(state, "warning"),
        verdict_name=lambda verdict: VERDICTS.get(verdict, verdict),
        conflict_name=lambda reason: CONFLICTS.get(reason, reason),
        checkin_state_name=lambda state: CHECKIN_STATES.get(state, state),
        work_name=lambda verb: WORK.get(verb, verb),
        app_name=lambda app: APPS[app],
        deed_name=lambda action: DEEDS.get(action, action),
        checkins=checkins,
        tickets=tickets,
        held_back=held_back,
        bar_text=bar_text,
        may_be_missing=lambda restoration, list_: may_be_missing(restoration, box.clock.now(), list_),
    )
    app.jinja_env.filters.update(
        moment=moment,
        clock_time=lambda instant, list_=None: clock_time(instant, box.clock.now(), list_),
        ago=lambda instant: ago(instant, box.clock.now()),
        zone=lambda list_: zone_name(list_, box.clock.now()),
        duration=duration,
        size=size,
        told_note=told_note,
    )


def attention_count(box: Box) -> int:
    """How many things wait for staff."""
    return sum(status.conflicts + bool(status.held) for status in box.status())


def zone_of(list_: CheckInList | None) -> tzinfo:
    """The event's time zone; UTC where nobody knows it."""
    return rules.zone_of(list_.catalog if list_ is not None else None)


def zone_name(list_: CheckInList | None, now: datetime) -> str:
    """What the event's zone is called at this time of the year."""
    return now.astimezone(zone_of(list_)).tzname() or "UTC"


def moment(instant: datetime | None, list_: CheckInList | None = None) -> str:
    """Date and time in the event's zone, which is shown."""
    if instant is None:
        return "-"
    try:
        local = instant.astimezone(zone_of(list_))
    except (OverflowError, ValueError):  # a phone's date at the edge of the calendar
        local = instant
    return local.strftime("%Y-%m-%d %H:%M:%S ") + (local.tzname() or "UTC")


def clock_time(instant: datetime | None, now: datetime, list_: CheckInList | None = None) -> str:
    """Hours and minutes in the event's zone; with the date when it is not today's."""
    if instant is None:
        return "-"
    zone = zone_of(list_)
    local = instant.astimezone(zone)
    is_today = local.date() == now.astimezone(zone).date()
    return local.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def told_note(text: str | None, list_: CheckInList | None = None) -> str:
    """A note that the box made, as people read it: in their language where it is a usual one, instants in the event's
    zone."""
    first = _FIRST_USE.fullmatch(text or "")
    if first and _INSTANT.fullmatch(first["at"]):
        return first_use(from_text(first["at"]), first["device"], list_)
    if sent := _SENT_WITH_FORCE.fullmatch(text or ""):
        why = VERDICTS.get(sent["why"], sent["why"])
        return _("The ticket server had refused it (%(why)s); it was sent again with force.", why=why)
    if refused := _REFUSED.fullmatch(text or ""):
        return _("It says: %(why)s.", why=SERVER_REASONS.get(refused["why"], refused["why"]))
    return _INSTANT.sub(lambda match: moment(from_text(match[0]), list_), text or "")


def first_use(at: datetime | None, where: str | None, list_: CheckInList | None) -> str:
    """When and where a ticket was first used."""
    if at is None:
        return _("The ticket server does not tell when or where.")
    return _("First used: %(time)s, %(where)s", time=moment(at, list_), where=where or "-")


def ago(instant: datetime | None, now: datetime) -> str:
    """How long ago, in words; by the minute, so that what shows it does not change with every look."""
    if instant is None:
        return _("never")
    seconds = (now - instant).total_seconds()
    if seconds < 60:
        return _("just now")
    return _("%(time)s ago", time=format_timedelta(timedelta(seconds=seconds), threshold=1.2, granularity="minute"))


def duration(seconds: float) -> str:
    """A length of time in words."""
    return format_timedelta(timedelta(seconds=max(0, round(seconds))), threshold=1.2)


def size(size_bytes: float) -> str:
    """A size in the largest unit that makes sense."""
    for unit in ("B", "KB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def checkins(count: int) -> str:
    """`212 check-ins`."""
    return ngettext("%(num)d check-in", "%(num)d check-ins", count)


def tickets(count: int) -> str:
    """`420 tickets`."""
    return ngettext("%(num)d ticket", "%(num)d tickets", count)


def held_back(held: HeldBack) -> str:
    """`68 tickets and 3 check-ins`: what a pull would take away."""
    if not held.checkins:
        return tickets(held.tickets)
    if not held.tickets:
        return checkins(held.checkins)
    return _("%(tickets)s and %(checkins)s", tickets=tickets(held.tickets), checkins=checkins(held.checkins))


def may_be_missing(restoration: Restoration, now: datetime, list_: CheckInList | None) -> str:
    """What a restored database may lack, and what that means at the gate."""
    until = clock_time(restoration.missing_to, now, list_)
    since = restoration.missing_from
    text = (
        _("Entries before %(until)s may be missing; whoever came in then would be let in again.", until=until)
        if since is None
        else _(
            "Entries between %(since)s and %(until)s may be missing; whoever came in then would be let in again.",
            since=clock_time(since, now, list_),
            until=until,
        )
    )
    if restoration.known_missing:
        text += " " + _("%(checkins)s are known to be missing.", checkins=checkins(restoration.known_missing))
    return text


def bar_text(bar: Bar, chart: Chart, list_: CheckInList | None) -> str:
    """What a bar of the chart means: when, how many, and at which devices."""
    zone = zone_of(list_)
    begins_at = bar.begins_at.astimezone(zone)
    ends_at = begins_at + timedelta(minutes=chart.step_min)
    devices = ", ".join(f"{name} {count}" for name, count in bar.by_device)
    return f"{begins_at:%H:%M}–{ends_at:%H:%M} · {checkins(bar.count)} · {devices}"


def problem(status: int) -> str:
    """What an HTTP status means to the person at the page."""
    if status == 403:
        return _("Only the lead may do this. Nothing was done.")
    if status == 404:
        return _("There is nothing at this address.")
    if status == 413:
        return _("This was too large. Nothing was done.")
    return _("The box could not do this (%(status)d). Nothing was done.", status=status)
