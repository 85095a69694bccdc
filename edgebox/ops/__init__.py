"""Looking after the machine."""
