"""The browser: Debian's Chromium, driven by Playwright. The variable CHROMIUM names another program."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "there is no Chromium (on Debian: apt-get install chromium; elsewhere CHROMIUM names its program)"


def find_chromium() -> str | None:
    """The program, or None where there is none."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """A browser that reaches this machine and nothing else. Raises RuntimeError where there is none."""
    program = find_chromium()
    if program is None:
        raise RuntimeError(MISSING)
    arguments = [
        "--disable-gpu",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # which Chromium does not have for root
    return playwright.chromium.launch(executable_path=program, args=arguments)
