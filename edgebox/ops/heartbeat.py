"""The watchdog is fed only while the box can really answer and write.

So not by whatever thread is still alive, but after a request like a scanner's: over HTTP to the address that the box
listens on, through waitress and one of its threads, to `/healthz`, which asks the store for a commit where none
happened lately.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
from collections.abc import Callable

from edgebox.ops.notify import Supervisor

log = logging.getLogger(__name__)

PROBE_TIMEOUT_S = 10.0
"""A scan that takes so long has lost its phone."""
BEATS = 4
"""So many probes within the time after which systemd gives up: a single one that fails does no harm."""
INTERVAL_S = 30.0
"""Between two probes where nobody's patience is known."""
WELL = ""

_OWN = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def probe(host: str, port: int, timeout_s: float = PROBE_TIMEOUT_S) -> tuple[bool, str]:
    """Ask the box how it is: whether it answered, and what is wrong in words (WELL where nothing is)."""
    connection = http.client.HTTPConnection(_OWN.get(host, host), port, timeout=timeout_s)
    try:
        connection.request("GET", "/healthz", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return False, f"the box does not answer ({error or type(error).__name__})"
    finally:
        connection.close()
    if answer.status == 200:
        return True, WELL
    try:
        return True, str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return True, f"the box answers {answer.status}"


class Heartbeat:
    """Probes the box from a thread of its own, and tells systemd: from `start` until `close`."""

    def __init__(
        self, supervisor: Supervisor, look: Callable[[float], tuple[bool, str]], *, interval_s: float | None = None
    ) -> None:
        """`look` gets the seconds after which it is no answer any more, and says what `probe` does."""
        self._supervisor = supervisor
        self._look = look
        patience_s = supervisor.watchdog_s
        self._interval_s = interval_s or (INTERVAL_S if patience_s is None else patience_s / BEATS)
        # Shorter than systemd's patience, so that the log says why it lost it.
        self._timeout_s = min(PROBE_TIMEOUT_S, self._interval_s)
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._is_ready = False
        self._trouble: str | None = None

    def start(self) -> None:
        if self._supervisor.is_there:
            self._thread.start()

    def close(self) -> None:
        """The box stops on purpose; nobody waits for a probe that is under way."""
        self._is_closing.set()
        self._tell(STOPPING="1", STATUS="Stops.")

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._beat()
            self._is_closing.wait(self._interval_s)

    def _beat(self) -> None:
        has_answered, trouble = self._look(self._timeout_s)
        if self._is_closing.is_set():
            return
        said = {}
        if has_answered and not self._is_ready:
            # Also when it cannot write: what it answers then is better than what a box answers that never starts.
            self._is_ready = True
            said["READY"] = "1"
        if trouble == WELL:
            said["WATCHDOG"] = "1"
        if trouble != self._trouble:
            if trouble != WELL:
                log.warning("%s; the watchdog is not fed", trouble)
            elif self._trouble is not None:
                log.warning("the box is well again")
            said["STATUS"] = trouble or "Answers and writes."
            self._trouble = trouble
        if said:
            self._tell(**said)

    def _tell(self, **said: str) -> None:
        try:
            self._supervisor.tell(**said)
        except OSError as error:
            log.warning("systemd cannot be told how the box is: %s", error)
