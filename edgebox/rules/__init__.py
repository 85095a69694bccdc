"""The decision: pure functions over the model. Whoever asks brings all facts; nothing here reads or writes."""

from edgebox.rules.addons import ticket_meant
from edgebox.rules.decision import decide, may_ignore_unpaid
from edgebox.rules.presence import emptied_at, first_use, in_order, is_inside, is_used_up
from edgebox.rules.times import in_zone, zone_of

__all__ = [
    "decide",
    "emptied_at",
    "first_use",
    "in_order",
    "in_zone",
    "is_inside",
    "is_used_up",
    "may_ignore_unpaid",
    "ticket_meant",
    "zone_of",
]
