"""The staff pages: server-rendered, with a little JavaScript. Nothing is fetched from outside of the box."""

from edgebox.web.mount import mount, refuse

__all__ = ["mount", "refuse"]
