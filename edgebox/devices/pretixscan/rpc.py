"""The calls of the gate: check, search and status, below `/proxyapi/v1/rpc/`.

In two forms: of several events at once, as the app calls them, and of one list in the address, as others do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Request, Response

from edgebox.box import Box
from edgebox.devices.answering import json_answer
from edgebox.devices.pretixscan import telling
from edgebox.devices.pretixscan.asking import read_check, read_chosen, read_object, read_query
from edgebox.model import CheckInList, Device
from edgebox.store import Refused, StoreError
from edgebox.store.tickets import Found

MAX_RESULTS = 50

NOT_YOURS = "This check-in list is not (any more) on the box for this device. Choose another one."
NO_MEDIA = "The box cannot give out media. Nothing was recorded."


class NoSuchList(Exception):
    """A list was asked for that is not the device's."""


def check(box: Box, request: Request, device: Device) -> Response:
    """POST `check/`: over the lists that the phone has chosen."""
    told = read_object(request)
    return _check(box, device, told, read_chosen(told))


def check_one(box: Box, request: Request, device: Device, event: str, number: int) -> Response:
    """POST `EVENT/LIST/check/`."""
    return _check(box, device, read_object(request), {event: number})


def search(box: Box, request: Request, device: Device) -> Response:
    """POST `search/`."""
    told = read_object(request)
    return _search(box, device, told, read_chosen(told))


def search_one(box: Box, request: Request, device: Device, event: str, number: int) -> Response:
    """POST `EVENT/LIST/search/`."""
    return _search(box, device, read_object(request), {event: number})


def status(box: Box, request: Request, device: Device, event: str, number: int) -> Response:
    """GET `EVENT/LIST/status/`."""
    (list_,) = _chosen(box, device, {event: number})
    return json_answer(telling.status_body(list_, box.counts(list_)))


def _check(box: Box, device: Device, told: Mapping[str, Any], chosen: Mapping[str, int]) -> Response:
    """Decide, record, answer. What goes wrong is an answer, too: of another status the app shows no more than that."""
    asked = read_check(told)
    try:
        lists = _chosen(box, device, chosen)
        if asked.wants_exchange:
            return json_answer(telling.error_body(asked.redeem, NO_MEDIA))
        list_, redeemed = box.redeem_on_one_of(device, lists, asked.redeem)
    except (NoSuchList, Refused):
        return json_answer(telling.error_body(asked.redeem, NOT_YOURS))
    except StoreError as error:
        return json_answer(telling.error_body(asked.redeem, f"Nothing was recorded: {error}"))
    return json_answer(telling.check_body(list_, device, asked.redeem, redeemed, box.clock.now()))


def _search(box: Box, device: Device, told: Mapping[str, Any], chosen: Mapping[str, int]) -> Response:
    """Tickets of the lists that the device may scan, also those that let nobody in: the app tells their state.

    One search a keystroke comes: short ones ask nobody.
    """
    query, lists = read_query(told), _chosen(box, device, chosen)
    found: list[tuple[CheckInList, Found]] = []
    for list_ in lists if query is not None else ():
        assert query is not None
        found += [
            (list_, each)
            for each in box.store.tickets.search(
                list_,
                query,
                item_ids=device.item_ids,
                by_name=device.allow_search,
                limit=MAX_RESULTS - len(found),
                any_state=True,
            )
        ]
    return json_answer([telling.found_body(list_, each) for list_, each in found])


def _chosen(box: Box, device: Device, chosen: Mapping[str, int]) -> Sequence[CheckInList]:
    """The device's lists that are meant. Raises NoSuchList where one is not its own, or none is named."""
    mine = {(list_.event, list_.id): list_ for list_ in box.scanners.lists_of(device)}
    if not chosen or any(pair not in mine for pair in chosen.items()):
        raise NoSuchList
    return [mine[pair] for pair in chosen.items()]
