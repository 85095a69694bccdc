"""What scanners speak to the box: one room per dialect."""
