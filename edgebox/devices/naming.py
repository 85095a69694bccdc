"""How a list's items are called, and which of them want attention: for every dialect."""

from __future__ import annotations

from edgebox.model import CheckInList, TicketData


class ItemNames:
    """What items and variations are called, and which need attention. One that upstream does not list goes by its
    number: an app that finds no item name crashes."""

    def __init__(self, list_: CheckInList) -> None:
        items = list_.catalog.items if list_.catalog else ()
        self._may_be_unpaid = list_.terms is not None and list_.terms.include_pending
        self._attention: set[tuple[int, int | None]] = {(item.id, None) for item in items if item.attention}
        self._attention |= {(item.id, v.id) for item in items for v in item.variations if v.attention}
        self._items = {item.id: item.name for item in items}
        self._variations = {(item.id, variation.id): variation.name for item in items for variation in item.variations}

    def of(self, item_id: int, variation_id: int | None) -> tuple[str, str | None]:
        return self.item(item_id), self.variation(item_id, variation_id)

    def item(self, item_id: int) -> str:
        return self._items.get(item_id) or f"#{item_id}"

    def variation(self, item_id: int, variation_id: int | None) -> str | None:
        if variation_id is None:
            return None
        return self._variations.get((item_id, variation_id)) or f"#{variation_id}"

    def wants_attention(self, data: TicketData) -> bool:
        """Of the ticket itself, its item, or its variation."""
        return data.attention or not self._attention.isdisjoint(
            {(data.item_id, None), (data.item_id, data.variation_id)}
        )

    def may_be_unpaid(self, data: TicketData) -> bool:
        """Whether the door may let the ticket in although it is not paid for."""
        return data.checkin_allowed or (self._may_be_unpaid and not data.is_closed)
