"""A signed secret tells its ticket when the event has signed it, and nothing otherwise."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from edgebox.model import TicketData
from edgebox.upstream.pretix import verify

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def pem(private: Ed25519PrivateKey | X25519PrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY = pem(PRIVATE)
OTHER = pem(Ed25519PrivateKey.from_private_bytes(bytes(32)))


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(seed: bytes = b"abcdefghi", **numbers: int) -> bytes:
    """What pretix signs; fields with 0 are left out where the message says nothing else."""
    fields = {"item": 2, "variation": 3, "subevent": 4, "valid_from": 5, "valid_until": 6}
    told = b"\x0a" + varint(len(seed)) + seed
    return told + b"".join(varint(fields[name] << 3) + varint(value) for name, value in numbers.items())


def signed(payload: bytes, *, scheme: int = 1, tail: bytes = b"", private: Ed25519PrivateKey = PRIVATE) -> str:
    signature = private.sign(payload)
    head = struct.pack(">BHH", scheme, len(payload), len(signature))
    return base64.b64encode(head + payload + signature + tail).decode()[::-1]


GOOD = signed(message(item=8, variation=0, subevent=0, valid_from=0, valid_until=0))


def test_a_signed_secret_tells_its_ticket() -> None:
    secret = signed(message(item=8, variation=300, subevent=2, valid_from=1795510800, valid_until=1795597200))
    ticket = verify(secret, [KEY])
    assert ticket == TicketData(
        secret=secret, order_code="", item_id=8, variation_id=300, attendee_name=None, attention=False, is_paid=True,
        checkin_allowed=True, addons_text="", subevent=2, valid_from=datetime(2026, 11, 24, 9, tzinfo=UTC),
        valid_until=datetime(2026, 11, 25, 9, tzinfo=UTC),
    )  # fmt: skip


def test_nothing_stands_for_nothing() -> None:
    ticket = verify(GOOD, [KEY])
    assert ticket is not None
    assert (ticket.item_id, ticket.variation_id, ticket.subevent) == (8, None, None)
    assert (ticket.valid_from, ticket.valid_until) == (None, None)


def test_any_of_the_events_keys_will_do() -> None:
    assert verify(GOOD, [OTHER, "no key at all", KEY])
    assert not verify(GOOD, [OTHER])
    assert not verify(GOOD, [])


def test_a_secret_that_was_touched_is_none() -> None:
    for at in range(len(GOOD)):
        for put in ("A", "B", "/", "=", ""):
            touched = GOOD[:at] + put + GOOD[at + 1 :]
            assert touched == GOOD or verify(touched, [KEY]) is None


@pytest.mark.parametrize("odd", ["", "=", " ", GOOD[::-1], GOOD + " ", " " + GOOD, "ü" + GOOD, "A" * 5000, "n9xqrstu"])
def test_other_secrets_are_none(odd: str) -> None:
    assert verify(odd, [KEY]) is None


@pytest.mark.parametrize(
    "secret",
    [
        signed(message(item=8), scheme=2),
        signed(message(item=8), tail=b"x"),
        signed(message(item=8), private=Ed25519PrivateKey.from_private_bytes(b"x" * 32)),
        signed(message()),
        signed(message(item=0)),
        signed(message(item=2**63)),
        signed(b""),
        signed(b"\xff"),
        signed(b"\x10" + b"\xff" * 20),
        signed(b"\x0a\x7f"),
        signed(message(item=8) + b"\x2b"),
        signed(message(item=8) + b"\x29\x00"),
        signed(message(item=8, valid_from=2**63)),
    ],
)
def test_what_pretix_would_never_sign_is_none(secret: str) -> None:
    assert verify(secret, [KEY]) is None


def test_fields_of_a_later_pretix_do_not_matter() -> None:
    later = message(item=8) + b"\x38\x01" + b"\x42\x02hi" + b"\x49" + bytes(8) + b"\x55" + bytes(4)
    ticket = verify(signed(later), [KEY])
    assert ticket is not None
    assert ticket.item_id == 8


@pytest.mark.parametrize("key", ["", "-----BEGIN PUBLIC KEY-----", "\0", pem(X25519PrivateKey.generate())])
def test_a_key_that_is_none_verifies_nothing(key: str) -> None:
    assert verify(GOOD, [key]) is None


@given(st.text())
def test_no_text_raises(secret: str) -> None:
    assert verify(secret, [KEY]) is None


@given(st.binary())
def test_no_message_raises_even_when_it_was_signed(payload: bytes) -> None:
    verify(signed(payload), [KEY])
