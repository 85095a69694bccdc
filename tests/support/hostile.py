"""Texts that somebody calls himself, or a ticket, or a list, to do harm where they are shown."""

from __future__ import annotations

import re

MARKUP = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(2)>", "</title><svg onload=alert(3)>"]
TEMPLATE = ["{{ 7000*7 }}", "{% raw %}", "${7000*7}", "%(name)s %s %n {0} {name!r}"]
SQL = ["'; DROP TABLE ticket; --", '" OR 1=1 --', "%_*", "x' UNION SELECT key FROM device --"]
TERMINAL = [
    "\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "back\b\b\bspace", "over\rwritten", "bell\x07", "\x9b31m",
    "a\x00b", "\x7f", "\u202egnp.exe", "\u2066left\u2069", "two\u2028lines",
]  # fmt: skip
FORMULAS = [
    "=1+1", '=HYPERLINK("http://evil.example","x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x",
    "=cmd|' /C calc'!A0",
]  # fmt: skip
ODD = ["x" * 5000, "\U0010ffff\ufffe", "a\u0301" * 50, "  ", "\u00a0", "null", "0", "../../etc/passwd", "a\nb"]

FAMILIES = {
    "markup": MARKUP, "template": TEMPLATE, "SQL": SQL, "terminal": TERMINAL, "formulas": FORMULAS, "odd": ODD,
}  # fmt: skip
ALL = [*MARKUP, *TEMPLATE, *SQL, *TERMINAL, *FORMULAS, *ODD]

RAW = re.compile(r"<script>alert|<img src=x|<svg onload|49000000|<b>")
"""What a page shows where it took a text for markup or for a template."""

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys, but for the end of a line."""
