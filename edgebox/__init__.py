"""edgebox: an offline-first check-in box."""

__version__ = "0.1.0"
