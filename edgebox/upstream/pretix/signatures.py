"""Tickets that prove themselves: the signed secrets of pretix's scheme `pretix_sig1`.

Such a secret is, read backwards, base64 of: one byte 1, two lengths of two bytes each (big-endian), so many bytes of
payload and so many of an Ed25519 signature over it. The payload is a protobuf message: seed (1, text), item (2),
variation (3), subevent (4), and the validity as seconds since 1970 (5, 6); 0 stands for none. With the event's public
keys the box knows a ticket as genuine that nobody has told it of yet.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edgebox.model import TicketData
from edgebox.upstream.wire import MAX_ID

MAX_SECRET_CHARS = 2_000
"""Pretix's own have some 150."""

_SCHEME = 1
_HEAD_BYTES = 5
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ITEM, _VARIATION, _SUBEVENT, _VALID_FROM, _VALID_UNTIL = 2, 3, 4, 5, 6


def verify(secret: str, keys: Iterable[str]) -> TicketData | None:
    """The ticket that a secret tells of, if one of the keys (PEM) has signed it; None for anything else.

    It says what was sold, not to whom, nor whether it was cancelled since: lists of revoked and blocked secrets tell.
    """
    parts = _taken_apart(secret)
    if parts is None:
        return None
    payload, signature = parts
    if not any(_has_signed(key, signature, payload) for key in keys):
        return None
    return _read(secret, payload)


def _taken_apart(secret: str) -> tuple[bytes, bytes] | None:
    """(payload, signature)"""
    if len(secret) > MAX_SECRET_CHARS or not secret.isascii():
        return None
    try:
        raw = base64.b64decode(secret[::-1], validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) < _HEAD_BYTES or raw[0] != _SCHEME:
        return None
    payload_end = _HEAD_BYTES + int.from_bytes(raw[1:3], "big")
    signature_end = payload_end + int.from_bytes(raw[3:5], "big")
    # Bytes behind the signature would make a second secret of the same ticket: pretix never writes any.
    if len(raw) != signature_end or base64.b64encode(raw).decode()[::-1] != secret:
        return None
    return raw[_HEAD_BYTES:payload_end], raw[payload_end:]


def _has_signed(key: str, signature: bytes, payload: bytes) -> bool:
    public = _public_key(key)
    if public is None:
        return False
    try:
        public.verify(signature, payload)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _public_key(pem: str) -> Ed25519PublicKey | None:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def _read(secret: str, payload: bytes) -> TicketData | None:
    try:
        numbers = dict(_numbers(payload))
        item, variation, subevent = (numbers.get(field, 0) for field in (_ITEM, _VARIATION, _SUBEVENT))
        valid_from, valid_until = (_instant(numbers.get(field, 0)) for field in (_VALID_FROM, _VALID_UNTIL))
    except (IndexError, ValueError, OverflowError):
        return None
    if not 0 < item <= MAX_ID or not 0 <= variation <= MAX_ID or not 0 <= subevent <= MAX_ID:
        return None
    return TicketData(
        secret=secret,
        order_code="",
        item_id=item,
        variation_id=variation or None,
        attendee_name=None,
        attention=False,
        is_paid=True,
        checkin_allowed=True,
        addons_text="",
        subevent=subevent or None,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def _instant(unix_s: int) -> dt.datetime | None:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=unix_s) if unix_s else None


def _numbers(message: bytes) -> Iterator[tuple[int, int]]:
    """The whole numbers of a protobuf message, by field; others are passed over. Raises IndexError or ValueError."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield field, value
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            size, at = _varint(message, at)
            at += size
        else:
            raise ValueError("a kind of field that does not exist")
    if at != len(message):
        raise IndexError("the message ends in the middle of a field")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of absurd size")
