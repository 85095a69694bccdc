"""Where tickets come from, check-in lists, and devices."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from edgebox.model.sources import Catalog, ListTerms
from edgebox.model.tickets import TicketData


class SourceKind(StrEnum):
    """Where tickets come from."""

    PRETIXDROID = "pretixdroid"
    PRETIX = "pretix"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the tickets of a list come from, and the credential for it. `told` numbers its last whole snapshot.

    A source of today's pretix is one event of a connection, which holds the credential: its lists share it.
    """

    id: int
    kind: SourceKind
    url: str
    credential: str = field(repr=False)
    told: int = 0
    last_pull: dt.datetime | None = None
    last_pull_duration_s: float = 0.0
    connection_id: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """Today's pretix, with which the box is registered as a device: its lists share address and credential."""

    id: int
    url: str
    """Where pretix is, with a slash at the end."""
    credential: str = field(repr=False)
    organizer: str
    device_name: str
    device_serial: str
    security_profile: str
    server_version: str
    gate_id: int | None
    paired_at: dt.datetime


@dataclass(frozen=True, slots=True)
class CheckInList:
    """What a scanner is configured for: the unit of counting and of "already redeemed"."""

    id: int
    source: Source
    organizer: str
    event: str
    subevent: int | None
    name: str
    catalog: Catalog | None = None
    """None until upstream was first reached."""
    last_push: dt.datetime | None = None
    is_paused: bool = False
    """Sync stops, scanning goes on."""
    upstream_list: int = 0
    """Upstream's id of the list; 0 where the source is one list."""
    terms: ListTerms | None = None
    """None: upstream tells none (all tickets of the source are on the list, each lets in once)."""
    added_at: dt.datetime | None = None
    """When it was registered; None where it is on no box."""

    @property
    def has_upstream(self) -> bool:
        """False for a list from a file: its check-ins are settled at once."""
        return self.source.kind is not SourceKind.FILE

    def is_for(self, data: TicketData) -> bool:
        """Whether a ticket's item and date are among the list's."""
        if self.terms is None:
            return True
        is_of_the_date = self.terms.subevent in (None, data.subevent)
        return is_of_the_date and (self.terms.item_ids is None or data.item_id in self.terms.item_ids)

    @property
    def version(self) -> int:
        """API version that upstream speaks; 2 where none was ever reached."""
        return self.catalog.version if self.catalog else 2

    @property
    def path(self) -> str:
        """`ORGANIZER/EVENT[/SUBEVENT]`, as it stands in addresses and messages."""
        parts = [self.organizer, self.event] + ([str(self.subevent)] if self.subevent is not None else [])
        return "/".join(parts)


class App(StrEnum):
    """What a device scans with: the dialect that it speaks."""

    PRETIXDROID = "pretixdroid"
    PRETIXSCAN = "pretixscan"


@dataclass(frozen=True, slots=True)
class Phone:
    """What a pretixSCAN device said of itself when it was set up, or since."""

    hardware: str
    system: str
    software: str
    software_version: str
    since: dt.datetime


@dataclass(frozen=True, slots=True)
class Device:
    """A scanner with its own key. `item_ids` None means all items.

    A pretixdroid device belongs to one list and has its key in its QR code. A pretixSCAN device may have several lists
    of one organizer; its QR code has `setup_token`, which works once, for the key of a session.
    """

    id: int
    name: str
    key: str = field(repr=False)
    """Of a pretixSCAN device only the digest of its session's key: the box has no need of more."""
    list_ids: tuple[int, ...]
    item_ids: frozenset[int] | None
    allow_search: bool
    show_info: bool
    added_at: dt.datetime
    revoked_at: dt.datetime | None = None
    last_seen_at: dt.datetime | None = None
    user_agent: str | None = None
    app: App = App.PRETIXDROID
    setup_token: str | None = field(default=None, repr=False)
    """None: it was used, or the app needs none."""
    phone: Phone | None = None
    is_to_wipe: bool = False
    """Once revoked, it is told to delete what it holds."""
    shown_address: str | None = None
    """The box's address in its QR code when that was last shown; None: it never was, or before this was kept."""

    def may_scan(self, item_id: int) -> bool:
        """Whether the item is among those that this device is for."""
        return self.item_ids is None or item_id in self.item_ids
