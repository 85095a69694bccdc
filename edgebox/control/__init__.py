"""Commands beside a running box: they post their action to it over a UNIX socket in the data directory.

While a box runs it is the only process that writes its data and the only one that talks to upstream.
"""
