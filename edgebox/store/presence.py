"""Who is on a list, who has entered and who is inside, as SQL over all tickets of a list.

The rule for one ticket is in `store.history` (which check-ins count) and `edgebox.rules` (what follows from them); here
it is written once more for many tickets at a time, and a property test holds the two together.

The statements take the named parameters of `parameters`.
"""

from __future__ import annotations

import json
from datetime import datetime

from edgebox.instants import to_text
from edgebox.model import CheckInList, PastCheckIn
from edgebox.rules import emptied_at, is_used_up, zone_of
from edgebox.store.db import Connection

COUNTED = "is_withdrawn = 0 AND (is_paid = 1 OR checkin_allowed = 1)"
"""The positions that a list counts (written exactly as in the index `ticket_counted`)."""

SETTLED_NOW = (
    "SELECT ticket_id FROM told_checkin WHERE source_id = :source AND upstream_list = 0"
    " UNION SELECT ticket_id FROM checkin JOIN ticket ON ticket.id = ticket_id"
    " WHERE list_id = :list AND direction = 'entry' AND settled_number > :told AND settled_number > ticket.told"
)
"""Tickets that are in as far as upstream knows, on a list that is the only one of its source."""

IS_IN = (
    "(EXISTS (SELECT 1 FROM told_checkin WHERE ticket_id = ticket.id AND upstream_list = 0)"
    " OR EXISTS (SELECT 1 FROM checkin INDEXED BY checkin_nonce"
    "  WHERE ticket_id = ticket.id AND list_id = :list AND direction = 'entry' AND state <> 'cancelled'"
    "  AND (settled_number IS NULL OR settled_number > max(ticket.told, :told))))"
)
"""Whether a ticket is in, on a list that is the only one of its source; for a few tickets."""

_EVENTS = (
    "SELECT ticket_id, at, direction FROM told_checkin WHERE source_id = :source AND upstream_list = :upstream_list"
    " UNION ALL SELECT ticket_id, datetime, direction FROM checkin JOIN ticket ON ticket.id = ticket_id"
    "  WHERE list_id = :list AND settled_number > :told AND settled_number > ticket.told"
    " UNION ALL SELECT ticket_id, datetime, direction FROM checkin"
    "  WHERE list_id = :list AND settled_number IS NULL AND state <> 'cancelled'"
)
"""Every check-in that counts, some of them twice: who asks for the first or the last does not mind."""

ENTERED = f"SELECT ticket_id FROM ({_EVENTS}) WHERE direction = 'entry'"
"""Tickets that have entered at least once."""

SEEN = (
    "SELECT ticket_id, max(CASE direction WHEN 'entry' THEN at END) AS last_entry,"
    f" max(CASE direction WHEN 'exit' THEN at END) AS last_exit FROM ({_EVENTS}) GROUP BY ticket_id"
)
"""Each ticket that was ever seen, and when it last came and went."""

_IS_INSIDE = "last_entry >= :all_out AND (last_exit IS NULL OR last_entry > last_exit)"
INSIDE = f"SELECT ticket_id FROM ({SEEN}) WHERE {_IS_INSIDE}"
"""Tickets whose last check-in is an entry, and not before everybody was counted out."""

_WITH_EXITS = (
    "SELECT DISTINCT ticket_id AS id, max(ticket.told, :told) AS told_up_to,"
    " EXISTS (SELECT 1 FROM told_checkin WHERE ticket_id = ticket.id AND upstream_list = :upstream_list) AS is_told_in"
    " FROM checkin INDEXED BY checkin_exit JOIN ticket ON ticket.id = ticket_id"
    " WHERE list_id = :list AND direction = 'exit'"
)
_OWN = (
    "FROM checkin INDEXED BY checkin_nonce WHERE ticket_id = with_exits.id AND list_id = :list AND state <> 'cancelled'"
)
_LEFT = (
    f"SELECT id FROM ({_WITH_EXITS}) AS with_exits WHERE 'exit' = (SELECT direction {_OWN}"
    " AND (settled_number IS NULL OR settled_number > told_up_to OR (is_told_in AND id >="
    f"  (SELECT coalesce(max(id), 0) {_OWN} AND is_forced = 0 AND settled_number <= told_up_to)))"
    " ORDER BY datetime DESC, id DESC LIMIT 1)"
)
"""Tickets that left last, where upstream knows no exits: the box's own word, for upstream tells no times."""


def emptied(list_: CheckInList, at: datetime) -> datetime | None:
    """When everybody on the list was last counted out, as seen from `at`."""
    return emptied_at(list_.terms, zone_of(list_.catalog), at)


def is_redeemed(list_: CheckInList, history: tuple[PastCheckIn, ...], at: datetime) -> bool:
    """Whether another entry at that time would be refused as already redeemed."""
    return is_used_up(history, list_.terms, emptied(list_, at))


def on_list(list_: CheckInList) -> str:
    """Which tickets of the source the list counts, as a condition."""
    if list_.terms is None:
        return COUNTED
    whose_order = "is_closed = 0" + (" AND is_withdrawn = 0" if list_.terms.include_pending else f" AND {COUNTED}")
    return f"{for_list(list_)} AND {whose_order}"


def for_list(list_: CheckInList) -> str:
    """Which tickets of the source are of an item and date of the list's, in whatever state their orders are."""
    condition, terms = "is_cancelled = 0", list_.terms
    if terms is not None and terms.item_ids is not None:
        condition += " AND item_id IN (SELECT value FROM json_each(:list_items))"
    if terms is not None and terms.subevent is not None:
        condition += " AND subevent = :subevent"
    return condition


def redeemed(list_: CheckInList) -> str:
    """Tickets of which another entry now would be refused as already redeemed."""
    if list_.terms is None:
        return ENTERED
    if list_.terms.allow_multiple_entries:
        return "SELECT NULL WHERE 0"
    return INSIDE if list_.terms.allow_entry_after_exit else ENTERED


def is_inside(list_: CheckInList) -> str:
    """Whether the guest is inside, as a condition on a row of SEEN."""
    return _IS_INSIDE if list_.terms is not None else f"last_entry IS NOT NULL AND ticket_id NOT IN ({_LEFT})"


def told_of(connection: Connection, source_id: int) -> int:
    """The number of the request that last told all tickets of a source."""
    return int(connection.execute("SELECT told FROM source WHERE id = ?", (source_id,)).fetchone()[0])


def parameters(connection: Connection, list_: CheckInList, now: datetime | None = None) -> dict[str, object]:
    """What the statements need; `now` for a list that counts everybody out at some time of the day."""
    terms = list_.terms
    all_out = emptied(list_, now) if now else None
    return {
        "source": list_.source.id,
        "list": list_.id,
        "upstream_list": list_.upstream_list,
        "told": told_of(connection, list_.source.id),
        "all_out": to_text(all_out) if all_out else "",
        "list_items": json.dumps(sorted(terms.item_ids)) if terms and terms.item_ids is not None else None,
        "subevent": terms.subevent if terms else None,
    }
