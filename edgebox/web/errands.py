"""What a page asks a ticket server for: it runs by itself, so that no thread of the scanners waits for an answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from flask_babel.speaklater import LazyString

from edgebox.box import ActionError
from edgebox.store import StoreError
from edgebox.upstream import UpstreamError

log = logging.getLogger(__name__)

SHOW_OUTCOME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an errand. `level` is Bootstrap's: success, warning or danger."""

    level: str
    text: str | LazyString


@dataclass(slots=True)
class Errand:
    """`outcome` None: it goes on."""

    what: str | LazyString
    outcome: Outcome | None = None
    ended_at: datetime | None = None


class Errands:
    """The errands of one page, one at a time. Thread-safe."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._errand: Errand | None = None

    def look(self) -> Errand | None:
        """The errand that goes on, or the last one for a while after it ended."""
        errand = self._errand
        if errand is None or (errand.ended_at is not None and self._now() - errand.ended_at > SHOW_OUTCOME):
            return None
        return errand

    def start(self, what: str | LazyString, work: Callable[[], Outcome], gone_wrong: str | LazyString) -> None:
        """Run `work`. Raises ActionError while another one goes on.

        An error that a person can meet becomes the outcome; `gone_wrong` is said of a fault of the box itself.
        """
        with self._lock:
            if self._errand is not None and self._errand.outcome is None:
                raise ActionError(
                    _("The box is still asking a ticket server; nothing else was done. Please try again.")
                )
            errand = self._errand = Errand(what)
        threading.Thread(target=self._run, args=(errand, work, gone_wrong), name="errand", daemon=True).start()

    def _run(self, errand: Errand, work: Callable[[], Outcome], gone_wrong: str | LazyString) -> None:
        try:
            outcome = work()
        except (ActionError, StoreError, UpstreamError) as error:
            outcome = Outcome("danger", str(error))
        except Exception:
            log.exception("an errand of a page ended with a fault")
            outcome = Outcome("danger", gone_wrong)
        errand.ended_at = self._now()
        errand.outcome = outcome
