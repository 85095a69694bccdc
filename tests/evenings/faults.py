"""What goes wrong between the box and upstream, one request at a time, by a name that a plan can carry."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

HTML, JSON = "text/html; charset=utf-8", "application/json"
PAGE = "<!DOCTYPE html><html><body>Hello</body></html>"


@dataclass(frozen=True)
class Fault:
    """What comes instead of upstream's answer. `sends` is the share of the body that leaves before the connection is
    cut; None: not even the head. With `acts`, upstream has done what it was asked."""

    status: int = 200
    body: str = PAGE
    content_type: str = HTML
    headers: dict[str, str] = field(default_factory=dict)
    acts: bool = False
    sends: float | None = 1.0
    is_own_answer: bool = False
    """The head and what is sent of the body are upstream's own."""
    connects: bool = True
    is_late: bool = False
    """Nothing comes until the box gives up waiting."""
    is_final: bool = False
    """A check-in that is answered so need not be told again."""
    name: str = ""


_FAULTS = {
    "refused": Fault(connects=False),
    "reset": Fault(sends=None),
    "late": Fault(sends=None, is_late=True),
    "lost": Fault(sends=None, acts=True),
    "late_lost": Fault(sends=None, acts=True, is_late=True),
    "cut": Fault(sends=0.5, acts=True, is_own_answer=True),
    "500": Fault(500),
    "502_acted": Fault(502, acts=True),
    "503_later": Fault(503, headers={"Retry-After": "20"}),
    "429": Fault(429, '{"detail": "Rate limit exceeded"}', JSON, {"Retry-After": "15"}),
    "409": Fault(409, '{"detail": "Lock timeout"}', JSON, {"Retry-After": "5"}),
    "400": Fault(400, '["bad"]', JSON, is_final=True),
    "404_page": Fault(404),
    "portal": Fault(),
    "portal_302": Fault(302, "", headers={"Location": "http://127.0.0.1:9/login"}),
    "portal_511": Fault(511),
    "odd_json": Fault(200, '{"message": "hello"}', JSON),
    "closed_old": Fault(403, "Invalid key", HTML),
    "closed_new": Fault(401, '{"detail": "Device access has been revoked."}', JSON),
}

FAULTS = {name: replace(fault, name=name) for name, fault in _FAULTS.items()}
