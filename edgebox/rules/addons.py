"""Which ticket a secret stands for on a list with `addon_match`: there the add-ons of a ticket answer to its secret."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from edgebox.model import ListTerms, Ticket


def ticket_meant(candidates: Sequence[Ticket], terms: ListTerms, at: datetime) -> tuple[Ticket, bool]:
    """The ticket that is scanned, and whether that is ambiguous: several are on the list and valid now.

    `candidates`: the ticket with this secret first, then its add-ons; at least one. As pretix has it, they are narrowed
    down only as long as there are several: to the list's items, then to those valid at `at`. Where none is left, it is
    the one that becomes valid next, else the one that was valid last, else the first: the table then refuses it.
    """
    exist = [each for each in candidates if _exists(each, terms)]
    left = exist
    if len(left) > 1 and terms.item_ids is not None:
        left = [each for each in left if each.data.item_id in terms.item_ids]
    if len(left) > 1:
        left = [each for each in left if _is_valid(each, at)]
    if left:
        # Where it is ambiguous, the answer is about the ticket that was scanned.
        return (left[0], False) if len(left) == 1 else (exist[0], True)
    return _closest(exist or candidates, at), False


def _exists(ticket: Ticket, terms: ListTerms) -> bool:
    is_of_this_date = terms.subevent is None or ticket.data.subevent == terms.subevent
    return is_of_this_date and not ticket.data.is_cancelled and not ticket.is_withdrawn


def _is_valid(ticket: Ticket, at: datetime) -> bool:
    begin, end = ticket.data.valid_from, ticket.data.valid_until
    return (begin is None or begin <= at) and (end is None or at < end)


def _closest(candidates: Sequence[Ticket], at: datetime) -> Ticket:
    coming = [
        (each.data.valid_from, order) for order, each in enumerate(candidates) if each.data.valid_from is not None
    ]
    coming = [(begin, order) for begin, order in coming if begin > at]
    if coming:
        return candidates[min(coming)[1]]
    over = [
        (each.data.valid_until, -order) for order, each in enumerate(candidates) if each.data.valid_until is not None
    ]
    over = [(end, order) for end, order in over if end < at]
    return candidates[-max(over)[1]] if over else candidates[0]
