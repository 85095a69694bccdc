"""One phone with pretixSCAN Android 3.3.4, which speaks to the box as to a pretixSCAN proxy and forgives nothing.

What it does and needs is on the protocol page (../shared/protocols/pretixscan-proxy.md); "section 1.2" in these modules
means that page. What the real app would crash on, give up at or show as an error raises `Crash`.

    app = App.ready(qr_text, {"gala": 12})
    assert app.scan("k3p9x7").type == "VALID"

Each answer is also held against the JSON Schemas of `schemas`, as the box promises more than the app needs.
"""

from tests.support.pretixscan.answers import Found, ItemStatus, Option, Question, QuestionAnswer, Result, Status
from tests.support.pretixscan.app import App, ListOffer, Selected, Switch
from tests.support.pretixscan.faults import (
    Abort,
    AppError,
    Crash,
    LoggedOut,
    NotFound,
    Refused,
    Unpromised,
    Unreachable,
    Wiped,
)
from tests.support.pretixscan.picking import EventOffer

__all__ = [
    "Abort",
    "App",
    "AppError",
    "Crash",
    "EventOffer",
    "Found",
    "ItemStatus",
    "ListOffer",
    "LoggedOut",
    "NotFound",
    "Option",
    "Question",
    "QuestionAnswer",
    "Refused",
    "Result",
    "Selected",
    "Status",
    "Switch",
    "Unpromised",
    "Unreachable",
    "Wiped",
]
