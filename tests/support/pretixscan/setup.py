"""Onboarding: the QR text, and the words with which a phone introduces itself (section 1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.pretixscan.faults import Crash
from tests.support.pretixscan.reading import Fields, parsed

HARDWARE_AND_SYSTEM = {
    "hardware_brand": "Zebra",
    "hardware_model": "TC21",
    "os_name": "Android",
    "os_version": "13",
}
SOFTWARE_BRAND = "pretixSCAN Android"
SOFTWARE_VERSION = "3.3.4"
# Made for these tests; nobody has the private key.
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlu+J8t7aSMjgnQQuF9o2
kmyftrbhe0/MTosfFv0FL9aULBvd4kRcoeYXDVnogW4hNmchA1ng0qP9td/5Ckgh
GO8BEcbTIgBNR6xVzR3pnx8IJ5MXjfaaDqPjTQjG8D3K1r12h2GpOrU4/QOidAGY
cAshsylsjDkoakI9sFnzkq+k9UQcmD6kWGFpyeT9w4UKdC8zS5TsKTsc2yM3ZMnj
CIuzFz7L2Sx8fYPI3MktN+5GBS6tYOTewxRQi/Y6oFZRGOrlWo8UsiKKwIdclOoF
hee5nCmcBNF2g5ELIegPNNVXJqtLEO9Rrss1ZP1RWAYGraJZJF0u5Kdl81sLpDw0
SwIDAQAB
-----END PUBLIC KEY-----
"""
# The profile without search.
KIOSK = "pretixscan_online_kiosk"


@dataclass(frozen=True)
class Device:
    """`device/initialize`: the first four are required."""

    api_token: str
    organizer: str
    device_id: int
    unique_serial: str
    name: str | None
    security_profile: str
    gate: str | None

    @classmethod
    def read(cls, told: Fields) -> Device:
        return cls(
            api_token=told.text("api_token"),
            organizer=told.text("organizer"),
            device_id=told.whole("device_id"),
            unique_serial=told.text("unique_serial"),
            name=told.text_or_none("name"),
            security_profile=told.text_or_none("security_profile") or "full",
            gate=gate_name(told),
        )


def gate_name(told: Fields) -> str | None:
    gate = told.inner_or_none("gate")
    if gate is None:
        return None
    gate.whole("id")
    return gate.text("name")


def read_qr(text: str) -> tuple[str, str]:
    """Address and token of a proxy's QR code. Raises Crash at what the app cannot use, or takes for a pretix."""
    told = Fields("QR code", parsed("QR code", text))
    if "version" in told.all:
        raise Crash("QR code", "a key `version` makes it a legacy QR code")
    if told.whole("handshake_version") > 1:
        raise Crash("QR code", f"handshake_version {told.whole('handshake_version')} is too new")
    url, token = told.text("url"), told.text("token")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Crash("QR code", f"{url!r} is not absolute")
    if url != f"{parts.scheme}://{parts.netloc}":
        raise Crash("QR code", f"{url!r} has a slash or a path at its end")
    if not token.startswith("proxy="):
        raise Crash("QR code", "without `proxy=` at the token's beginning the app takes the box for a pretix")
    return url, token
