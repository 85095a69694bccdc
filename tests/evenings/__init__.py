"""Simulated evenings: a box, phones, staff, a ticket server and all that goes wrong between them, beside a model.

`model` says what must hold; `plan` makes up an evening from a seed; `evening` lets it happen and shows it to the model.
Two drivers go by the same plans: `simulated` (the box's own code in one process, without sockets and real time) and
`process` (a real box).
"""
