"""Bootstrap's icons, taken out of the file that their package brings."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from markupsafe import Markup


@cache
def icon(name: str) -> Markup:
    """An icon as SVG; for the eye only, the words beside it say the same.

    It stands in the page itself: the file with all of them has a megabyte, which no phone needs to load for a dozen.
    Raises LookupError for a name that Bootstrap does not have.
    """
    sprite = files("flask_bootstrap").joinpath("static/bootstrap5/icons/bootstrap-icons.svg").read_text("utf-8")
    found = re.search(rf'<symbol [^>]*viewBox="([^"]*)" id="{re.escape(name)}">(.*?)</symbol>', sprite, re.DOTALL)
    if found is None:
        raise LookupError(f"there is no icon named {name}")
    view_box, drawing = found.groups()
    return Markup(
        f'<svg class="bi" width="1em" height="1em" viewBox="{view_box}" fill="currentColor" aria-hidden="true">'
        f"{drawing}</svg>"
    )
