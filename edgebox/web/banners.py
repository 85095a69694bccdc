"""What Now says first: is it getting upstream, is anything wrong?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flask_babel import gettext as _

from edgebox.activity import Activity
from edgebox.box import ListStatus
from edgebox.ops.backups import Standing, State
from edgebox.ops.caretaker import Care
from edgebox.ops.health import Health
from edgebox.purging import Hindrance
from edgebox.store.rates import MinuteCount
from edgebox.sync import UpstreamState
from edgebox.web.words import checkins, clock_time, duration, held_back, may_be_missing, size

OK, WARNING, DANGER = "ok", "warning", "danger"
SEVERITY = {DANGER: 0, WARNING: 1, OK: 2}
ICONS = {OK: "check-circle-fill", WARNING: "exclamation-triangle-fill", DANGER: "x-octagon-fill"}
MAX_NAMES = 3


@dataclass(frozen=True, slots=True)
class Banner:
    """One thing to know: in words, a colour and a shape. `why` is for whoever looks after it."""

    level: str
    text: str
    detail: str = ""
    why: str = ""

    @property
    def icon(self) -> str:
        return ICONS[self.level]


NO_BACKUP = Standing(State.UNSET, "")


@dataclass(frozen=True, slots=True)
class Situation:
    """All that Now tells of, at one moment."""

    now: datetime
    statuses: list[ListStatus]
    per_minute: list[MinuteCount]
    activity: Activity
    health: Health
    care: Care
    write_failure: str | None
    is_clock_trusted: bool
    is_held: bool = False
    backup: Standing = NO_BACKUP
    lost_addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """As `Box.lost_addresses` tells them."""


def banners(situation: Situation) -> list[Banner]:
    """What there is to say, the worst first; when nothing is wrong, that."""
    found = [*_of_the_box(situation), *_of_the_lists(situation), *_of_the_gates(situation.activity)]
    if not any(banner.level != OK for banner in found):
        found.append(_all_well(situation))
    return sorted(found, key=lambda banner: SEVERITY[banner.level])


def _all_well(situation: Situation) -> Banner:
    statuses = situation.statuses
    if all(status.link.state is UpstreamState.FILE for status in statuses):
        return Banner(OK, _("Scanning goes on"), _("The lists come from files: there is no ticket server."))
    waiting = sum(status.pending for status in statuses)
    detail = (
        _("Scanning goes on. %(checkins)s on the way to the ticket server.", checkins=checkins(waiting))
        if waiting
        else _("Scanning goes on. The ticket server has every check-in.")
    )
    return Banner(OK, _("Online"), detail)


def _of_the_box(situation: Situation) -> Iterator[Banner]:
    if situation.write_failure is not None:
        yield Banner(
            DANGER,
            _("Scans are refused: the box cannot write"),
            _("Free space on its disk, or start it again."),
            situation.write_failure,
        )
    if situation.is_held:
        yield Banner(
            DANGER, _("Scans are refused: the box is being updated"), _("It goes on within minutes: scan again.")
        )
    yield from _of_the_database(situation)
    if situation.backup.is_trouble:
        yield _of_the_backup(situation)
    if not situation.is_clock_trusted:
        yield Banner(
            WARNING,
            _("The clock is not trusted"),
            _("Scanning goes on. Times are corrected by themselves once the ticket server answers."),
        )
    for address, names in situation.lost_addresses.items():
        yield _of_a_lost_address(address, names)
    health = situation.health
    if health.is_disk_nearly_full:
        yield Banner(
            WARNING,
            _("The disk is nearly full"),
            _("%(size)s are free. Free some, or scanning will stop.", size=size(health.disk_free_bytes)),
        )
    if health.under_voltage_now:
        yield Banner(
            WARNING, _("The power supply is too weak"), _("The box may stop at any moment: use the Pi's own one.")
        )
    if health.is_hot:
        yield Banner(WARNING, _("The box is too hot"), _("It works more slowly now: give it air."))


def _of_the_database(situation: Situation) -> Iterator[Banner]:
    care, now = situation.care, situation.now
    list_ = next((status.list for status in situation.statuses), None)
    if care.problem is not None:
        detail = (
            _("Scanning goes on as far as it can. Start the box again: it is restored from its copy.")
            if care.newest
            else _("Scanning goes on as far as it can. There is no copy to restore it from: export the journal.")
        )
        yield Banner(DANGER, _("The database is damaged"), detail, care.problem)
    for restoration in care.restored:
        time = clock_time(restoration.at, now, list_)
        text = (
            _("A backup was put in place at %(time)s", time=time)
            if restoration.is_by_hand
            else _("The database was damaged, and restored at %(time)s", time=time)
        )
        yield Banner(WARNING, text, may_be_missing(restoration, now, list_), restoration.problem)
    if care.failure is not None and care.problem is None:
        detail = (
            _("The last copy is from %(time)s.", time=clock_time(care.newest.made_at, now, list_))
            if care.newest
            else _("There is no copy yet.")
        )
        yield Banner(WARNING, _("The database cannot be copied"), detail, care.failure)


def _of_the_backup(situation: Situation) -> Banner:
    backup = situation.backup
    list_ = next((status.list for status in situation.statuses), None)
    detail = (
        _("It has everything up to %(time)s.", time=clock_time(backup.told_until, situation.now, list_))
        if backup.told_until
        else _("It has nothing yet.")
    )
    if backup.state is State.AWAY:
        return Banner(WARNING, _("The backup is not written: the stick is away"), detail + " " + _("Plug it in."))
    return Banner(
        WARNING, _("The backup cannot be written"), detail + " " + _("Use another stick."), backup.failure or ""
    )


def _of_a_lost_address(address: str, names: Sequence[str]) -> Banner:
    if not names:
        return Banner(
            WARNING,
            _("New QR codes would not work"),
            _(
                "They would carry %(address)s, which this box does not have. Give the box that address, or change the"
                " setting `address`.",
                address=address,
            ),
        )
    return Banner(
        DANGER,
        _("Phones cannot find the box at %(address)s", address=address),
        _(
            "It no longer has this address, and the QR codes of %(devices)s carry it. Give the box the address again,"
            " or let these phones scan new codes (page Devices).",
            devices=_shortened(names),
        ),
    )


def _of_the_gates(activity: Activity) -> Iterator[Banner]:
    for device in activity.silent:
        yield Banner(
            WARNING,
            _("%(device)s has fallen silent", device=device.name),
            _("Its last scan was %(time)s ago.", time=duration(device.silent_for_s)),
        )
    if activity.has_dropped:
        yield Banner(WARNING, _("Far fewer scans than a few minutes ago"), _("Is something wrong at a gate?"))


def _of_the_lists(situation: Situation) -> Iterator[Banner]:
    if not situation.statuses:
        yield Banner(WARNING, _("No check-in list yet"), _("The lead registers one on the page Lists."))
    by_state: dict[UpstreamState, list[ListStatus]] = {}
    for status in situation.statuses:
        by_state.setdefault(status.link.state, []).append(status)
    with_upstream = [status for status in situation.statuses if status.list.has_upstream]
    for state, group in by_state.items():
        banner = _of_a_state(state, group, situation.now)
        if banner is not None:
            # Whose they are matters only where others are well.
            yield banner if len(group) == len(with_upstream) else _naming(banner, group)
    for status in situation.statuses:
        if status.held:
            yield Banner(
                WARNING,
                _("A pull waits for staff: %(list)s", list=status.list.name),
                _(
                    "It would take away %(what)s. The lead decides on the page Needs attention.",
                    what=held_back(status.held),
                ),
            )
        if status.purge_hindrance is not None:
            yield _of_names_that_are_overdue(status, status.purge_hindrance)


def _of_names_that_are_overdue(status: ListStatus, hindrance: Hindrance) -> Banner:
    text = _("The names of %(list)s should be gone by now", list=status.list.name)
    if hindrance is Hindrance.ONLY_HERE:
        return Banner(WARNING, text, _("Only this box has its check-ins: export them, then run edgebox purge."))
    detail = _("But check-ins are not at the ticket server yet: sync, or decide on the page Needs attention.")
    return Banner(WARNING, text, detail)


def _of_a_state(state: UpstreamState, group: list[ListStatus], now: datetime) -> Banner | None:
    """What to say of the lists in this state; None where that is nothing."""
    waiting = sum(status.pending for status in group)
    detail = (
        _("Scanning goes on, %(checkins)s waiting.", checkins=checkins(waiting))
        if waiting
        else _("Scanning goes on, nothing waits.")
    )
    why = "; ".join(dict.fromkeys(status.link.detail for status in group if status.link.detail))
    match state:
        case UpstreamState.ONLINE:
            return Banner(WARNING, _("The ticket server answers, but has trouble"), detail, why) if why else None
        case UpstreamState.FILE:
            return None
        case UpstreamState.REFUSED:
            return Banner(DANGER, _("The ticket server refuses the box"), detail, why)
        case UpstreamState.NOT_UPSTREAM:
            return Banner(WARNING, _("Not online: a login page or a proxy answers"), detail, why)
        case UpstreamState.PAUSED:
            return Banner(WARNING, _("Sync is paused"), detail)
        case UpstreamState.NEVER:
            return Banner(WARNING, _("The ticket server was not reached yet"), detail, why)
        case UpstreamState.UNREACHABLE:
            since = min((status.link.since for status in group if status.link.since), default=None)
            if since is None:
                return Banner(WARNING, _("The ticket server was not reached since the start"), detail, why)
            text = _("Offline since %(time)s", time=clock_time(since, now, group[0].list))
            return Banner(WARNING, text, detail, why)


def _naming(banner: Banner, group: list[ListStatus]) -> Banner:
    shown = _shortened([status.list.name for status in group])
    return Banner(banner.level, f"{shown}: {banner.text}", banner.detail, banner.why)


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES])
    if len(names) > MAX_NAMES:
        shown = _("%(names)s and %(n)d more", names=shown, n=len(names) - MAX_NAMES)
    return shown
