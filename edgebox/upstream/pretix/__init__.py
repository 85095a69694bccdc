"""Today's pretix, spoken to through its REST API as one of its devices.

`read_invitation` and `initialize` register the box; a `PretixConnection` then offers check-in lists, each of which is a
`PretixUpstream`. The lists of one event share a `PretixFeed`, which follows the event's orders. `verify` knows a signed
ticket that nobody has told of.
"""

from edgebox.upstream.pretix.connection import DeviceRefused, PretixConnection
from edgebox.upstream.pretix.feed import PretixFeed
from edgebox.upstream.pretix.limits import Limits, is_hosted
from edgebox.upstream.pretix.offering import Offered, offered
from edgebox.upstream.pretix.one_list import PretixUpstream
from edgebox.upstream.pretix.pairing import (
    DeviceInfo,
    Invitation,
    Paired,
    TokenRefused,
    info,
    initialize,
    parse_server,
    read_invitation,
    what_a_profile_forbids,
)
from edgebox.upstream.pretix.signatures import verify

__all__ = [
    "DeviceInfo",
    "DeviceRefused",
    "Invitation",
    "Limits",
    "Offered",
    "Paired",
    "PretixConnection",
    "PretixFeed",
    "PretixUpstream",
    "TokenRefused",
    "info",
    "initialize",
    "is_hosted",
    "offered",
    "parse_server",
    "read_invitation",
    "verify",
    "what_a_profile_forbids",
]
