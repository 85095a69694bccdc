"""The store against real files: history by numbers, one writer, what a pull may take away."""
