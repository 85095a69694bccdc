"""What systemd is told by a service of `Type=notify`: lines of text, sent to a socket that it names."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Supervisor:
    """Whoever started this process and wants to hear how it is. Where nobody does, nothing is sent.

    It tells the socket in NOTIFY_SOCKET and, where it wants to be told again and again, within how long in
    WATCHDOG_USEC (sd_notify(3), sd_watchdog_enabled(3)).
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        meant_for, usec = environ.get("WATCHDOG_PID"), environ.get("WATCHDOG_USEC", "")
        is_ours = meant_for is None or meant_for == str(os.getpid() if pid is None else pid)
        self.watchdog_s: float | None = int(usec) / 1_000_000 if is_ours and usec.isdecimal() and int(usec) else None
        """Seconds after which it ends this process unless it was told `WATCHDOG=1`; None where it does not look."""

    @property
    def is_there(self) -> bool:
        return bool(self._address)

    def tell(self, **said: str) -> None:
        """Send each as a line, `READY="1"` as `READY=1`. Raises OSError where it cannot be told."""
        if not self._address:
            return
        # "@" stands for the byte 0 of a name that is in no file system.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        lines = "\n".join(f"{name}={' '.join(value.split())}" for name, value in said.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as talk:
            talk.sendto(lines.encode(), address)
