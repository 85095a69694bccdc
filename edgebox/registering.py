"""Registering lists and connections: asking upstream what there is, and keeping two of one thing apart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from edgebox.clock import Clock
from edgebox.connecting import Connector
from edgebox.model import CheckInList, Connection, SourceKind
from edgebox.store import Refused, Store
from edgebox.store.connections import NewConnection
from edgebox.store.lists import NewList
from edgebox.upstream import Closed, Description, UpstreamError
from edgebox.upstream import file as saved_file
from edgebox.upstream.pretix import (
    DeviceInfo,
    Offered,
    Paired,
    info,
    initialize,
    offered,
    read_invitation,
    what_a_profile_forbids,
)
from edgebox.upstream.pretixdroid import PretixdroidUpstream, parse_address

log = logging.getLogger(__name__)

MAX_NAME_LENGTH = 100
MAX_KEY_LENGTH = 190


class ActionError(Exception):
    """An action that cannot be done as asked. The text says why, and that nothing was done."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A check-in list that a connection offers; `list_id` is that of the box where it is registered already."""

    connection: Connection
    offered: Offered
    list_id: int | None


class Registrar:
    """Registers what the box is to look after."""

    def __init__(self, store: Store, clock: Clock, connector: Connector) -> None:
        self._store = store
        self._clock = clock
        self._connector = connector
        self._registering = threading.Lock()

    # --- lists with a key of their own, and from files ----------------------------------------------------------------

    def add_list(
        self,
        url: str,
        key: str,
        *,
        name: str | None,
        separate: bool,
        on_unreached: Callable[[UpstreamError], None],
    ) -> CheckInList:
        """See `Box.add_list`."""
        name = checked_name("list", name) if name is not None else None
        key = key.strip()
        if not key.isascii() or not key.isprintable() or not 0 < len(key) <= MAX_KEY_LENGTH or " " in key:
            raise ActionError("this cannot be an upstream's key (letters and digits in one piece); nothing was added")
        address = parse_address(url)
        upstream = PretixdroidUpstream(address.url, key, self._connector.http, self._clock)
        description: Description | None = None
        try:
            description = upstream.describe()
        except Closed as error:
            raise ActionError(f"{error}; nothing was added") from error
        except UpstreamError as error:
            on_unreached(error)
        finally:
            upstream.close()  # the list gets one of its own
        catalog = description.catalog if description else None
        new = NewList(
            kind=SourceKind.PRETIXDROID,
            url=address.url,
            credential=key,
            organizer=address.organizer,
            event=address.event,
            subevent=description.subevent if description else address.subevent,
            name=name or (catalog and (catalog.event.list_name or catalog.event.name)) or address.path,
            catalog=catalog,
        )
        return self._registered(new, separate)

    def add_saved(self, body: Any, origin: str, *, name: str | None, separate: bool) -> CheckInList:
        """See `Box.add_saved`."""
        name = checked_name("list", name) if name is not None else None
        saved = saved_file.read(body, origin)
        told = saved.description
        new = NewList(
            kind=SourceKind.FILE,
            url="",
            credential="",
            organizer=told.organizer,
            event=told.event,
            subevent=told.subevent,
            name=name or told.catalog.event.list_name or told.catalog.event.name or told.event,
            catalog=told.catalog,
        )
        list_ = self._registered(new, separate)
        snapshot = self._store.snapshots.begin(list_, self._store.numbers.next())
        snapshot.add(saved.tickets)
        snapshot.finish(self._clock.now(), 0.0)
        return list_

    # --- today's pretix -----------------------------------------------------------------------------------------------

    def pair(self, text: str, token: str | None, renew_id: int | None) -> tuple[Connection, str | None]:
        """See `Box.connect`."""
        invitation = read_invitation(text, token)
        if renew_id is not None:
            # Before the token is used up: it works once.
            self._store.connections.require_drained(self.connection(renew_id).id)
        paired = initialize(invitation, self._connector.http)
        now = self._clock.now()
        if renew_id is None:
            connection = self._store.connections.add(_new(paired), now)
        else:
            self._require_same_organizer(renew_id, paired)
            try:
                connection = self._store.connections.renew(renew_id, _new(paired), now)
            except Refused as error:
                self._keep_apart(paired, f"meanwhile something was scanned ({error})")
            self._connector.forget(renew_id)
        log.info("connection %d: the box is a device of %s", connection.id, connection.organizer)
        try:
            connection = self.refresh(connection)
        except UpstreamError as error:
            log.warning("connection %d: %s", connection.id, error)
        return connection, what_a_profile_forbids(connection.security_profile)

    def refresh(self, connection: Connection) -> Connection:
        """Ask what the server says of itself and of this device. Raises an UpstreamError."""
        line = self._connector.pretix(connection).line()
        try:
            told: DeviceInfo = info(line)
        finally:
            line.close()
        self._store.connections.learn(
            connection.id,
            server_version=told.server_version,
            security_profile=told.security_profile,
            gate_id=told.gate_id,
        )
        return self.connection(connection.id)

    def connection(self, connection_id: int) -> Connection:
        """A connection of this box. Raises ActionError for an unknown one."""
        found = self._store.connections.get(connection_id)
        if found is None:
            raise ActionError(f"there is no connection {connection_id} (edgebox connections shows them)")
        return found

    def offers(self, connection_id: int | None = None) -> list[Offer]:
        """What the connections offer, or one of them. Raises ActionError without any, or an UpstreamError."""
        connections = self._store.connections.all() if connection_id is None else (self.connection(connection_id),)
        if not connections:
            raise ActionError("the box is not connected to a pretix yet: edgebox connect URL TOKEN")
        found = [
            Offer(connection, each, None)
            for connection in connections
            for each in offered(self._connector.pretix(connection))
        ]
        return as_registered(found, self._store.lists.all())

    def add_offered(
        self, event: str, upstream_list: int, *, connection_id: int | None, name: str | None
    ) -> CheckInList:
        """See `Box.add_offered`."""
        name = checked_name("list", name) if name is not None else None
        found = [
            offer
            for offer in self.offers(connection_id)
            if (offer.offered.event, offer.offered.list_id) == (event, upstream_list)
        ]
        if not found:
            raise ActionError(
                f"no connection offers list {event}/{upstream_list} (edgebox lists offered shows what there is); "
                "nothing was added"
            )
        if len(found) > 1:
            ids = ", ".join(str(offer.connection.id) for offer in found)
            raise ActionError(f"connections {ids} offer {event}/{upstream_list}; say which one with --connection")
        (offer,) = found
        # With its terms from the start: without them it would let in whatever the event has.
        master = self._connector.feed(offer.connection, event).master()
        known = master.lists.get(upstream_list)
        if known is None:
            raise ActionError(f"list {event}/{upstream_list} was deleted in pretix a moment ago; nothing was added")
        new = NewList(
            kind=SourceKind.PRETIX,
            url="",
            credential="",
            organizer=offer.connection.organizer,
            event=event,
            subevent=offer.offered.subevent,
            name=name or offer.offered.name or f"{event}/{upstream_list}",
            catalog=master.catalog,
            connection_id=offer.connection.id,
            upstream_list=upstream_list,
            terms=known[1],
        )
        return self._registered(new, separate=False)

    def _require_same_organizer(self, connection_id: int, paired: Paired) -> None:
        have = self.connection(connection_id)
        if have.organizer != paired.organizer:
            why = f"this token is of organizer {paired.organizer}, connection {connection_id} of {have.organizer}"
            self._keep_apart(paired, why)

    def _keep_apart(self, paired: Paired, why: str) -> NoReturn:
        """The token is used up: what it brought is kept as a connection of its own. Raises ActionError."""
        kept = self._store.connections.add(_new(paired), self._clock.now())
        raise ActionError(f"{why}: the new device was kept as connection {kept.id}, and the old one is as it was")

    # ------------------------------------------------------------------------------------------------------------------

    def _registered(self, new: NewList, separate: bool) -> CheckInList:
        # One after the other: who presses twice must not get past the look at what is there twice.
        with self._registering:
            if not separate:
                self._refuse_twin(new)
            return self._store.lists.add(new, self._clock.now())

    def _refuse_twin(self, new: NewList) -> None:
        """Two credentials of one check-in list are one list: it must not be counted twice, nor let anybody in twice."""
        for have in self._store.lists.all():
            if (have.source.kind, have.organizer, have.event) != (new.kind, new.organizer, new.event):
                continue
            if _is_same(have, new):
                raise ActionError(
                    f"this is the check-in list that the box has as list {have.id} ({have.name}); nothing was added: "
                    "to limit a scanner to some items, use edgebox devices add --items; --separate adds it all the same"
                )


def as_registered(offers: Iterable[Offer], lists: Iterable[CheckInList]) -> list[Offer]:
    """The offers, each with the list of the box that it is registered as by now."""
    here = {(each.source.connection_id, each.event, each.upstream_list): each.id for each in lists}
    return [
        replace(offer, list_id=here.get((offer.connection.id, offer.offered.event, offer.offered.list_id)))
        for offer in offers
    ]


def checked_name(what: str, name: str) -> str:
    """The name without blanks around it. Raises ActionError for one that cannot be shown."""
    name = name.strip()
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ActionError(f"a {what} needs a name of 1 to {MAX_NAME_LENGTH} printable characters; nothing was added")
    return name


def _is_same(have: CheckInList, new: NewList) -> bool:
    if new.kind is SourceKind.PRETIX:
        return have.source.connection_id == new.connection_id and have.upstream_list == new.upstream_list
    if _event_url(have.source.url) != _event_url(new.url):
        return False
    if new.kind is not SourceKind.FILE and have.source.credential == new.credential:
        return True
    return (
        have.catalog is not None
        and new.catalog is not None
        and have.subevent == new.subevent
        and have.catalog.event.list_name == new.catalog.event.list_name
    )


def _event_url(url: str) -> str:
    """A list's address without the date of a series."""
    return parse_address(url).event_url if url else ""


def _new(paired: Paired) -> NewConnection:
    return NewConnection(
        url=paired.url,
        credential=paired.api_token,
        organizer=paired.organizer,
        device_name=paired.device_name,
        device_serial=paired.device_serial,
        security_profile=paired.security_profile,
        gate_id=paired.gate_id,
    )
