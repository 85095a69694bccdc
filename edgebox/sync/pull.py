"""Pull: take in all tickets of a list's source."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from edgebox.clock import Clock
from edgebox.model import Catalog, CheckInList, ToldTicket
from edgebox.store import Refused, Store
from edgebox.store.snapshots import Taken
from edgebox.sync.yielding import short_turns
from edgebox.upstream import Description, Upstream

log = logging.getLogger(__name__)

Progress = Callable[[int], None]


def pull(
    list_id: int,
    description: Description,
    upstream: Upstream,
    store: Store,
    clock: Clock,
    progress: Progress = lambda done: None,
) -> Taken:
    """Pull one whole snapshot; `description` is what upstream just told of the list.

    Raises an UpstreamError when it came to nothing: then nothing was taken away. What a broken pull wrote stays: it is
    newer than what was there.
    """
    began_s = time.monotonic()
    list_ = learn(list_id, description, store)
    held_before = store.held.of(list_)
    number = store.numbers.next()
    # Items that upstream no longer has end here: only what it tells now, and what its tickets name, is kept.
    with short_turns(), upstream.pull(description.catalog) as told:
        if told.age_s:
            number = store.numbers.dated_back(number, told.age_s)
        snapshot = store.snapshots.begin(list_, number)
        snapshot.add(_counted(told.tickets(), progress))
        catalog = told.catalog()
    _keep(list_, catalog, store)
    taken = snapshot.finish(clock.now(), time.monotonic() - began_s)
    if snapshot.duplicates:
        log.warning(
            "list %d: %d tickets came twice in one download; the first one counts", list_id, snapshot.duplicates
        )
    if taken.held and taken.held != held_before:
        log.warning(
            "list %d: the download would withdraw %d tickets and undo %d check-ins; this waits for staff",
            list_id, taken.held.tickets, taken.held.checkins,
        )  # fmt: skip
    is_news = taken.written or taken.withdrawn or taken.undone
    level = logging.INFO if is_news else logging.DEBUG  # or a quiet night would be twelve lines an hour
    log.log(level, "list %d: pulled %d tickets, %d new or changed", list_id, taken.tickets, taken.written)
    return taken


def learn(list_id: int, description: Description, store: Store) -> CheckInList:
    """Keep what upstream says of a list; questions, and items that only tickets name, stay until the next download.

    Raises Refused when the list is gone.
    """
    list_ = _require(store, list_id)
    catalog = description.catalog
    if description.terms is not None:  # upstream told all of it at once
        store.lists.learn(list_, catalog, subevent=description.subevent, terms=description.terms)
        return _require(store, list_id)
    if list_.catalog is not None:
        told = {item.id for item in catalog.items}
        others = tuple(item for item in list_.catalog.items if item.id not in told)
        catalog = replace(catalog, items=catalog.items + others, questions=list_.catalog.questions)
    name = None
    if list_.catalog is None and list_.name == list_.path:  # registered unseen
        name = catalog.event.list_name or catalog.event.name or None
    store.lists.learn(list_, catalog, name=name, subevent=description.subevent)
    return _require(store, list_id)


def _keep(list_: CheckInList, catalog: Catalog, store: Store) -> None:
    current = _require(store, list_.id)
    store.lists.learn(current, catalog, subevent=current.subevent)


def _require(store: Store, list_id: int) -> CheckInList:
    list_ = store.lists.get(list_id)
    if list_ is None:
        raise Refused(f"list {list_id} was removed")
    return list_


def _counted(tickets: Iterator[ToldTicket], progress: Progress) -> Iterator[ToldTicket]:
    for count, told in enumerate(tickets, start=1):
        yield told
        if count % 100 == 0:
            progress(count)
