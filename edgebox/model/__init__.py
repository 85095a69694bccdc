"""The words of the box as frozen dataclasses. No I/O, and nothing of the box is imported here.

Instants are aware datetimes in UTC. Ids are the box's own unless a field says that upstream gave it.
"""

from edgebox.model.journal import CheckIn, CheckInState, ConflictReason, StampKind
from edgebox.model.lists import App, CheckInList, Connection, Device, Phone, Source, SourceKind
from edgebox.model.redeeming import (
    MAX_NONCE_CHARS,
    PRETIXDROID_QUESTIONS,
    Facts,
    PastCheckIn,
    Reason,
    Redeemed,
    RedeemRequest,
    Verdict,
)
from edgebox.model.sources import Catalog, Event, Item, ListTerms, Option, Question, Subevent, Variation
from edgebox.model.tickets import Direction, Ticket, TicketData, ToldCheckIn, ToldOrder, ToldTicket

__all__ = [
    "MAX_NONCE_CHARS",
    "PRETIXDROID_QUESTIONS",
    "App",
    "Catalog",
    "CheckIn",
    "CheckInList",
    "CheckInState",
    "ConflictReason",
    "Connection",
    "Device",
    "Direction",
    "Event",
    "Facts",
    "Item",
    "ListTerms",
    "Option",
    "PastCheckIn",
    "Phone",
    "Question",
    "Reason",
    "RedeemRequest",
    "Redeemed",
    "Source",
    "SourceKind",
    "StampKind",
    "Subevent",
    "Ticket",
    "TicketData",
    "ToldCheckIn",
    "ToldOrder",
    "ToldTicket",
    "Variation",
    "Verdict",
]
