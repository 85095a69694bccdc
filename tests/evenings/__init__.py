"""Simulated evenings: a box, phones, staff, a ticket server and all that goes wrong between them, beside a model.

`model` says what must hold; `plan` makes up an evening from a seed; `evening` lets it happen and shows it to the model.
`simulated` is the driver: the box's own code in one process, without sockets and without real time.
"""
