"""The benchmark (`scripts/bench`): real boxes on loopback, loaded from other processes.

Every figure is a ratio, or stands beside a baseline of the same run: machines differ, and are noisy.
"""
