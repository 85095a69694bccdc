"""The decision: pure functions over the model. Whoever asks brings all facts; nothing here reads or writes."""

from edgebox.rules.decision import decide

__all__ = ["decide"]
