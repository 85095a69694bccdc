"""Which tickets a pull has met: one bit a ticket, outside the database, so that an unchanged ticket costs no write."""

from __future__ import annotations

GROWTH_BYTES = 4096


class Seen:
    """A set of ticket ids, an eighth of a byte each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, ticket_id: int) -> None:
        byte, bit = divmod(ticket_id, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + GROWTH_BYTES - len(self._bits)))
        self._bits[byte] |= 1 << bit

    def __contains__(self, ticket_id: int) -> bool:
        byte, bit = divmod(ticket_id, 8)
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << bit))
