"""A scanner that types like a keyboard, as fast as one."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from playwright.sync_api import Page

KEY_EVERY_S = 0.005
ENTER = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}


def type_codes(page: Page, *codes: str) -> None:
    """Type each code and Enter, without a pause between keys nor between codes.

    Playwright's own keyboard waits after each key until the page has dealt with it, as no scanner does: here all keys
    are on their way at once, in order, and say themselves when they were pressed.
    """
    session = page.context.new_cdp_session(page)
    keys: list[dict[str, Any]] = []
    for code in codes:
        keys += [{"key": character, "text": character} for character in code]
        keys.append(ENTER)

    async def send_all() -> None:
        send = session._impl_obj.send
        began_s = time.time() - len(keys) * KEY_EVERY_S
        strokes = [
            {"type": kind, "timestamp": began_s + number * KEY_EVERY_S, **key}
            for number, key in enumerate(keys)
            for kind in ("keyDown", "keyUp")
        ]
        await asyncio.gather(*(send("Input.dispatchKeyEvent", stroke, None) for stroke in strokes))

    session._sync(send_all())
    session.detach()
