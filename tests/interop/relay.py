"""The scripted upstream's faults in front of the real server: what it would answer itself, pretix answers."""

from __future__ import annotations

import requests

from tests.interop.legacy import HTTP_TIMEOUT_S, LegacyPretix
from tests.support.upstream import Request, Response, StubUpstream


class Relay(StubUpstream):
    """Passes every request on to `pretix` and its answer back, unless a hook says otherwise.

    `statuses` has the status codes of pretix' answers to each verb.
    """

    def __init__(self, pretix: LegacyPretix) -> None:
        super().__init__()
        self.statuses: dict[str, list[int]] = {}
        self._pretix = pretix

    def own_response(self, request: Request) -> Response:
        """What pretix answers; it has acted on the request then."""
        with requests.Session() as http:
            http.trust_env = False
            answer = http.request(
                request.method,
                self._pretix.origin + request.path,
                params=request.query,
                data=request.form,
                timeout=HTTP_TIMEOUT_S,
                allow_redirects=False,
            )
        self.statuses.setdefault(request.verb, []).append(answer.status_code)
        return Response(answer.status_code, answer.text, answer.headers["Content-Type"])
