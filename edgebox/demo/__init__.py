"""A demo event, and a demo ticket server that is a box with a list from a file: the protocol is written once."""
