"""A list on paper, to tick by hand when the box dies: one page of HTML that a browser prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape
from importlib import resources

from edgebox.model import CheckInList, TicketData
from edgebox.rules import zone_of
from edgebox.store.tickets import Found

WORDS: Mapping[str, str] = {
    "title": "To tick by hand",
    "as_of": "As of",
    "in": "came already",
    "unpaid": "NOT PAID",
    "attention": "look closely",
    "blocked": "BLOCKED",
    "nameless": "no name",
    "name": "Name",
    "order": "Order",
    "item": "Ticket",
    "remarks": "Remarks",
    "print": "Print",
    "how": "Tick whoever comes, and write the time beside it. A ticked box: came already. When the box is back, or "
    "another one in its place: Find, by name or order, and check in everybody who was ticked by hand; force it, with "
    "the reason “paper”, where the box refuses. Shred the paper then.",
}
"""The words of a sheet, in English."""


def style() -> str:
    """The style sheet, for a sheet that stands alone."""
    return (resources.files("edgebox") / "web" / "static" / "paper.css").read_text("utf-8")


def sheet(
    list_: CheckInList,
    tickets: Iterable[Found],
    at: datetime,
    *,
    words: Mapping[str, str] = WORDS,
    head: str = "",
    language: str = "en",
) -> Iterator[str]:
    """The sheet as pieces of HTML. `head`: what goes into it for style and script."""
    w = {name: escape(text) for name, text in words.items()}
    names = _Names(list_)
    event = list_.catalog.event.name if list_.catalog else list_.path
    yield (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(list_.name)}: {w['title']}</title>{head}</head>\n<body>"
        f"<h1>{escape(list_.name)} · {escape(event)}</h1>"
        f"<p>{w['as_of']} {at.astimezone(zone_of(list_.catalog)):%Y-%m-%d %H:%M %Z}."
        f' <button data-print>{w["print"]}</button></p><p class="how">{w["how"]}</p>\n'
        f"<table><thead><tr><th></th><th>#</th><th>{w['name']}</th><th>{w['order']}</th><th>{w['item']}</th>"
        f"<th>{w['remarks']}</th></tr></thead><tbody>\n"
    )
    for number, found in enumerate(tickets, start=1):
        data = found.ticket.data
        box = f'<td class="box in" title="{w["in"]}">✓</td>' if found.is_redeemed else '<td class="box"></td>'
        name = escape(data.attendee_name) if data.attendee_name else f"<i>{w['nameless']}</i>"
        yield (
            f"<tr>{box}<td>{number}</td><td>{name}</td><td class=code>{escape(data.order_code)}</td>"
            f"<td>{escape(names.of(data))}</td><td>{', '.join(_remarks(data, w))}</td></tr>\n"
        )
    yield "</tbody></table></body></html>\n"


def _remarks(data: TicketData, words: Mapping[str, str]) -> Iterator[str]:
    if not (data.is_paid or data.valid_if_pending):
        yield f"<b>{words['unpaid']}</b>"
    if data.is_blocked:
        yield f"<b>{words['blocked']}</b>"
    if data.attention:
        yield words["attention"]
    if data.seat:
        yield escape(data.seat)
    if data.checkin_text:
        yield escape(data.checkin_text)


class _Names:
    """How items and variations are called."""

    def __init__(self, list_: CheckInList) -> None:
        self._catalog = list_.catalog

    def of(self, data: TicketData) -> str:
        item = self._catalog.item(data.item_id) if self._catalog else None
        if item is None:
            return f"#{data.item_id}"
        variation = item.variation(data.variation_id)
        return f"{item.name}, {variation.name}" if variation else item.name
