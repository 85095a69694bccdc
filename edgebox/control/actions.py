"""The actions of the box as commands call them: by name, with JSON in and JSON out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from edgebox.box import ActionError, Box, ListStatus
from edgebox.control import Report, ignore, purges
from edgebox.control.arguments import REPORTING, check
from edgebox.devices.configuring import configuration_of
from edgebox.model import App, CheckIn, CheckInList, Device, Phone
from edgebox.ops.caretaker import Care
from edgebox.store import StoreError
from edgebox.store.devices import foreign_repeats
from edgebox.store.restorations import Restoration
from edgebox.store.staff import Role
from edgebox.sync import Progress
from edgebox.upstream import UpstreamError

LONGEST_HOLD_S = 600
KNOWN_ERRORS = (ActionError, StoreError, UpstreamError)
"""What an action may raise and a person can read."""


def run(box: Box, action: str, arguments: dict[str, Any], report: Report = ignore) -> Any:
    """Do one action; its JSON-able result. Raises one of KNOWN_ERRORS."""
    known = _ACTIONS.get(action)
    if known is None:
        raise ActionError(f"this box does not know the action {action}: are command and box of one version?")
    check(action, known, arguments)
    if action in REPORTING:
        arguments = {**arguments, "report": report}
    return known(box, **arguments)


def _status(box: Box) -> dict[str, Any]:
    return {
        "lists": [_status_entry(entry) for entry in box.status()],
        "clock": {"trusted": box.clock.is_trusted(), "now": box.clock.now().isoformat()},
        "serves_at": box.base_url() if box.listens_on else None,
        "database": _database(box.caretaker.report()),
        "backup": _backup(box),
    }


def _database(care: Care) -> dict[str, Any]:
    return {
        "problem": care.problem,
        "copies": care.copies,
        "last_copy": _text(care.newest.made_at) if care.newest else None,
        "copy_failure": care.failure,
        "restored": [_restored(each) for each in care.restored],
    }


def _restored(restoration: Restoration) -> dict[str, Any]:
    return {
        "at": _text(restoration.at),
        "problem": restoration.problem,
        "kept_in": restoration.kept_in,
        "copy": _text(restoration.copy_made_at),
        "salvaged": restoration.salvaged,
        "known_missing": restoration.known_missing,
        "missing_from": _text(restoration.missing_from),
        "missing_to": _text(restoration.missing_to),
        "in_words": restoration.in_words(),
    }


def _add_list(box: Box, url: str, key: str, name: str | None, separate: bool) -> dict[str, Any]:
    problems: list[UpstreamError] = []
    list_ = box.add_list(url, key, name=name, separate=separate, on_unreached=problems.append)
    return _added(list_, problems)


def _add_saved(box: Box, content: Any, origin: str, name: str | None, separate: bool) -> dict[str, Any]:
    return _added(box.add_saved(content, origin, name=name, separate=separate))


def _connect(box: Box, text: str, token: str | None, renew: int | None) -> dict[str, Any]:
    connection, forbidden = box.connect(text, token, renew_id=renew)
    return {"id": connection.id, "organizer": connection.organizer, "device": connection.device_name,
            "server_version": connection.server_version, "forbidden": forbidden}  # fmt: skip


def _connections(box: Box) -> dict[str, Any]:
    return {
        "connections": [
            {
                "id": status.connection.id,
                "url": status.connection.url,
                "organizer": status.connection.organizer,
                "device": status.connection.device_name,
                "serial": status.connection.device_serial,
                "security_profile": status.connection.security_profile,
                "server_version": status.connection.server_version,
                "paired": _text(status.connection.paired_at),
                "clock_ahead_s": status.clock_ahead_s,
                "forbidden": status.forbidden,
                "lists": [
                    {"id": list_.id, "name": list_.name, "upstream": link.state, "upstream_detail": link.detail}
                    for list_, link in status.links
                ],
            }
            for status in box.connections()
        ]
    }


def _offered(box: Box, connection_id: int | None) -> dict[str, Any]:
    return {
        "offered": [
            {
                "connection": offer.connection.id,
                "event": offer.offered.event,
                "event_name": offer.offered.event_name,
                "subevent": offer.offered.subevent,
                "list": offer.offered.list_id,
                "name": offer.offered.name,
                "registered": offer.list_id is not None,
            }
            for offer in box.offers(connection_id)
        ]
    }


def _add_offered(
    box: Box, event: str, upstream_list: int, connection_id: int | None, name: str | None
) -> dict[str, Any]:
    return _added(box.add_offered(event, upstream_list, connection_id=connection_id, name=name))


def _added(list_: CheckInList, problems: Sequence[UpstreamError] = ()) -> dict[str, Any]:
    return {
        "id": list_.id,
        "name": list_.name,
        "path": list_.path,
        "version": list_.version,
        "problem": str(problems[0]) if problems else None,
    }


def _remove_list(box: Box, list_id: int, force: bool = False) -> dict[str, Any]:
    exported = box.remove_list(list_id, force=force)
    return {"exported": exported.checkins if exported else 0, "path": str(exported.path) if exported else None}


def _devices(box: Box) -> dict[str, Any]:
    foreign = foreign_repeats(box.store.reading())
    devices = []
    for device in box.store.devices.all():
        entry = _device(box, device)
        del entry["key"], entry["address"], entry["qr"]
        devices.append(entry | {"foreign_repeats": foreign.get(device.id, 0)})
    return {"devices": devices}


def _add_device(
    box: Box,
    name: str,
    app: str,
    list_ids: list[int],
    key: str | None,
    items: list[int] | None,
    allow_search: bool,
    show_info: bool,
) -> dict[str, Any]:
    item_ids = None if items is None else frozenset(items)
    if app == App.PRETIXSCAN:
        device = box.scanners.add_pretixscan(name, list_ids, item_ids=item_ids, allow_search=allow_search)
    elif len(list_ids) != 1:
        raise ActionError(
            "a phone with the pretixdroid app scans for one list; nothing was added: name one, or use pretixSCAN"
        )
    else:
        device = box.scanners.add(
            name, list_ids[0], key=key, item_ids=item_ids, allow_search=allow_search, show_info=show_info
        )
    return _shown(box, device) | {"strange_items": _strange_items(box.scanners.lists_of(device), item_ids)}


def _strange_items(lists: Sequence[CheckInList], item_ids: frozenset[int] | None) -> dict[str, Any] | None:
    """Item ids that the lists do not have, and those that they have; None where all is well or nobody knows."""
    catalogs = [list_.catalog for list_ in lists if list_.catalog]
    known = {item.id: item.name for catalog in catalogs for item in catalog.items}
    strange = sorted((item_ids or frozenset()) - known.keys())
    return {"ids": strange, "known": known} if strange and known and len(catalogs) == len(lists) else None


def _attention(box: Box) -> dict[str, Any]:
    held = [
        {
            "list": entry.list.id,
            "name": entry.list.name,
            "tickets": entry.held.tickets,
            "checkins": entry.held.checkins,
            "examples": [asdict(ticket) for ticket in box.held_tickets(entry.list.id)],
        }
        for entry in box.status()
        if entry.held
    ]
    conflicts = [
        {
            **_checkin(conflict.checkin),
            "list_name": conflict.list_name,
            "order": conflict.order_code,
            "name": conflict.attendee_name,
        }
        for conflict in box.conflicts()
    ]
    restored = [_restored(each) for each in box.store.restorations.unseen()]
    return {"conflicts": conflicts, "held": held, "restored": restored}


def _sync(box: Box, list_id: int | None, report: Report) -> dict[str, Any]:
    def tell(progress: Progress) -> None:
        report(asdict(progress))

    has_upstream = {list_.id: list_.has_upstream for list_ in box.store.lists.all()}
    return {
        "lists": [
            asdict(synced) | {"has_upstream": has_upstream.get(synced.list_id, True)}
            for synced in box.sync_now(list_id, tell)
        ]
    }


def _purge(box: Box, list_id: int | None, abandon: bool, folders: list[str], report: Report) -> dict[str, Any]:
    """One list, or (`list_id` None) all that are due."""
    paths, progress = [Path(folder) for folder in folders], purges.progress(report)
    if list_id is None:
        purged = box.purging.purge_due(folders=paths, report=progress)
    else:
        purged = box.purging.purge(list_id, abandons=abandon, folders=paths, report=progress)
    for list_, _gone in purged.lists:
        box.did("-", "command line", "purged a list", list_.path)
    return purges.told(purged)


def _back_up(box: Box, folder: str | None, due: bool) -> dict[str, Any]:
    copy = box.backups.back_up(Path(folder) if folder else None, only_if_needed=due)
    return {"path": str(copy.path) if copy else None}


def _backup(box: Box) -> dict[str, Any]:
    standing = box.backups.standing()
    return {
        "state": standing.state,
        "folder": standing.folder,
        "told_until": _text(standing.told_until),
        "copy": _text(standing.newest.made_at) if standing.newest else None,
        "failure": standing.failure,
    }


_ACTIONS: dict[str, Callable[..., Any]] = {
    "status": _status,
    "address": lambda box: {"address": box.base_url(), "lost": box.lost_addresses()},
    "lists.add": _add_list,
    "lists.add_saved": _add_saved,
    "lists.offered": _offered,
    "lists.add_offered": _add_offered,
    "connections": _connections,
    "connections.add": _connect,
    "connections.remove": lambda box, connection_id: box.disconnect(connection_id),
    "lists.remove": _remove_list,
    "devices": _devices,
    "devices.add": _add_device,
    "devices.show": lambda box, name: _shown(box, box.store.devices.named(name)),
    "devices.renew": lambda box, name: _shown(box, box.scanners.renew(name)),
    "devices.revoke": lambda box, name, wipe=False: {"app": box.scanners.revoke(name, wipe=wipe).app},
    "attention": _attention,
    "attention.retry": lambda box, checkin_id: _checkin(box.retry(checkin_id)),
    "attention.dismiss": lambda box, checkin_id, reason: _checkin(box.dismiss(checkin_id, reason)),
    "attention.seen": lambda box: box.store.restorations.dismiss(box.clock.now()),
    "attention.accept": lambda box, list_id: asdict(box.accept_held(list_id)),
    "attention.reject": lambda box, list_id: asdict(box.reject_held(list_id)),
    "sync": _sync,
    "backup": _back_up,
    "hold": lambda box, seconds: box.store.redeemer.hold(min(seconds, LONGEST_HOLD_S)),
    "purge.look": lambda box, list_id: {"lists": [purges.outlook(each) for each in box.purging.outlooks(list_id)]},
    "purge": _purge,
    "staff.code": lambda box: {"code": box.store.staff.code(Role.LEAD)},
    "staff.reset": lambda box, role: {"code": box.reset_password(Role(role)), "address": box.base_url()},
    "staff.set_password": lambda box, role, password: box.set_password(Role(role), password),
}


def _status_entry(entry: ListStatus) -> dict[str, Any]:
    list_ = entry.list
    return {
        "id": list_.id,
        "organizer": list_.organizer,
        "event": list_.event,
        "subevent": list_.subevent,
        "name": list_.name,
        "upstream": entry.link.state,
        "upstream_since": _text(entry.link.since),
        "upstream_detail": entry.link.detail,
        "url": list_.source.url,
        "version": list_.version,
        "tickets": entry.tickets,
        "checkins": entry.checkins,
        "inside": entry.inside,
        "pending": entry.pending,
        "oldest_pending": _text(entry.oldest_pending_at),
        "conflicts": entry.conflicts,
        "held_tickets": entry.held.tickets,
        "held_checkins": entry.held.checkins,
        "last_pull": _text(list_.source.last_pull),
        "last_push": _text(list_.last_push),
        "purge_due": _text(entry.purge_due_at),
        "purge_hindrance": entry.purge_hindrance,
    }


def _device(box: Box, device: Device) -> dict[str, Any]:
    there = {list_.id for list_ in box.scanners.lists_of(device)}
    return {
        "name": device.name,
        "app": device.app,
        "lists": list(device.list_ids),
        "removed_lists": [list_id for list_id in device.list_ids if list_id not in there],
        "key": device.key if device.app is App.PRETIXDROID else None,
        "address": box.base_url(),
        "qr": configuration_of(box, device),
        "items": None if device.item_ids is None else sorted(device.item_ids),
        "allow_search": device.allow_search,
        "show_info": device.show_info,
        "added": _text(device.added_at),
        "revoked": _text(device.revoked_at),
        "wipe": device.is_to_wipe,
        "last_seen": _text(device.last_seen_at),
        "user_agent": device.user_agent,
        "phone": _phone(device.phone),
    }


def _shown(box: Box, device: Device) -> dict[str, Any]:
    """A device whose QR code somebody is about to see."""
    entry = _device(box, device)
    if entry["qr"] is not None:
        box.scanners.shown([device], box.base_url())
    return entry


def _phone(phone: Phone | None) -> dict[str, Any] | None:
    return asdict(phone) | {"since": _text(phone.since)} if phone else None


def _checkin(checkin: CheckIn) -> dict[str, Any]:
    return {
        "id": checkin.id,
        "list": checkin.list_id,
        "secret": checkin.secret,
        "device": checkin.device_name,
        "datetime": _text(checkin.datetime),
        "state": checkin.state,
        "forced": checkin.is_forced,
        "offline": checkin.is_offline,
        "conflict": checkin.conflict,
        "conflict_note": checkin.conflict_note,
        "push_note": checkin.push_note,
    }


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
