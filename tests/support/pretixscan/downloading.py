"""The downloads of one sync, in the app's order (section 1.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import quote_plus

from tests.support.pretixscan.faults import Abort, Crash, NotFound
from tests.support.pretixscan.paging import Page, pages
from tests.support.pretixscan.picking import CEST
from tests.support.pretixscan.reading import Fields
from tests.support.pretixscan.rows import READERS, read_event, read_selected_date
from tests.support.pretixscan.storage import Row, Stamp, Storage
from tests.support.pretixscan.wire import Wire

# Of which all events share one.
EVERYWHERE = "__all__"


class Download:
    """`ignored` gets the errors that the app passes over."""

    def __init__(self, wire: Wire, storage: Storage, organizer: str, ignored: list[Exception]) -> None:
        self._wire, self._storage, self._organizer, self._ignored = wire, storage, organizer, ignored

    def run(self, dates: Mapping[str, int | None]) -> None:
        """Everything about these events; `dates` has the date that is selected of a series, else None."""
        self._subevents()
        for slug, subevent in dates.items():
            self._event(slug)
            for resource in ("categories", "items", "questions"):
                self._if_changed(slug, resource)
            for resource in ("badgelayouts", "badgeitems"):
                self._all(slug, resource)
            self._check_in_lists(slug, subevent)
            self._secrets(slug, "revokedsecrets", "created")
            self._secrets(slug, "blockedsecrets", "updated")
            self._settings(slug)
            if subevent in self._storage.subevents:
                read_selected_date(Fields(f"subevent {subevent}", self._storage.subevents[subevent]))

    def _address(self, slug: str, resource: str) -> str:
        return f"organizers/{self._organizer}/events/{slug}/{resource}/"

    def _event(self, slug: str) -> None:
        where = f"events/{slug}"
        answer = self._wire.get(f"organizers/{self._organizer}/events/{slug}/", "event")
        if answer.is_unchanged:
            raise Crash(where, "304, though there was no condition")
        read_event(Fields(where, answer.data), slug)
        self._storage.events[slug] = answer.data

    def _all(self, slug: str, resource: str) -> None:
        rows: dict[int, Row] = {}
        for page in pages(self._wire, self._address(slug, resource), resource):
            rows |= _read(page, resource)
        self._storage.tables[slug, resource] = rows
        if resource == "badgelayouts":
            self._backgrounds(rows)

    def _backgrounds(self, rows: Mapping[int, Row]) -> None:
        """Failed downloads are passed over."""
        for row in rows.values():
            if row.get("background"):
                try:
                    self._wire.download(row["background"])
                except Abort as error:
                    self._ignored.append(error)

    def _if_changed(self, slug: str, resource: str, query: str = "", meta: str = "") -> None:
        """Section 1.2, "Conditional GET": Last-Modified goes back verbatim, and 304 keeps the rows.

        Where the rows are of another date (`meta`), a text that is no HTTP date is to force them: then 304 leaves the
        phone with the wrong ones.
        """
        key, storage = (slug, resource), self._storage
        is_forced = key in storage.stamps and storage.stamps[key].meta != meta

        def asking(target: str) -> tuple[str, Mapping[str, str]]:
            if key not in storage.stamps:
                return target, {}
            stamp = storage.stamps[key]
            if stamp.meta != meta:
                del storage.stamps[key]
                return target, {"If-Modified-Since": java_date(datetime.now(CEST))}
            return target, {"If-Modified-Since": stamp.last_modified}

        rows: dict[int, Row] = {}
        last_modified: str | None = None
        for page in pages(self._wire, self._address(slug, resource) + query, resource, asking):
            if page.is_unchanged:
                if is_forced:
                    raise Crash(resource, "304 to a Date.toString() that is to force a reload")
                return
            if page.number == 1:
                last_modified = page.headers.get("Last-Modified")
            rows |= _read(page, resource)
        storage.tables[key] = rows
        if last_modified is not None:
            storage.stamps[key] = Stamp(last_modified, meta)

    def _check_in_lists(self, slug: str, subevent: int | None) -> None:
        query, meta = "?exclude=checkin_count&exclude=position_count", ""
        if subevent is not None:
            query, meta = f"{query}&subevent_match={subevent}", f"subevent={subevent}"
        self._if_changed(slug, "checkinlists", query, meta)

    def _subevents(self) -> None:
        """Only what changed, once the server has sent X-Page-Generated; then nothing that is not told is forgotten."""
        key, since = (EVERYWHERE, "subevents"), self._storage.since
        is_whole, rows = key not in since, dict[int, Row]()
        generated: str | None = None
        asking = _only_since(since.get(key), "last_modified", "modified_since")
        for page in pages(self._wire, f"organizers/{self._organizer}/subevents/", "subevents", asking):
            if page.number == 1:
                generated = page.headers.get("X-Page-Generated")
            rows |= _read(page, "subevents")
        self._storage.subevents = rows if is_whole else self._storage.subevents | rows
        if generated is not None:
            since[key] = generated

    def _secrets(self, slug: str, resource: str, by: str) -> None:
        """A plain 404 is passed over. From then on only what is younger than the first row, as libpretixsync does."""
        key, storage = (slug, resource), self._storage
        known = {} if key not in storage.since else storage.tables.get(key, {})
        rows: dict[int, Row] = {}
        newest: str | None = None
        asking = _only_since(storage.since.get(key), by, f"{by}_since")
        try:
            for page in pages(self._wire, self._address(slug, resource), resource, asking):
                if page.number == 1 and page.rows:
                    newest = page.rows[0].text(by)
                rows |= _read(page, resource)
        except NotFound as error:
            self._ignored.append(error)
            return
        storage.tables[key] = {id: row for id, row in (known | rows).items() if row.get("blocked", True)}
        if newest is not None:
            storage.since[key] = newest

    def _settings(self, slug: str) -> None:
        """Any error of the API is passed over."""
        try:
            answer = self._wire.get(self._address(slug, "settings"), "settings")
        except Abort as error:
            self._ignored.append(error)
            return
        told = Fields("settings", answer.data)
        for medium in ("barcode", "nfc_uid", "nfc_mf0aes"):
            told.flag(f"reusable_media_type_{medium}", False)
        self._storage.settings[slug] = answer.data


def java_date(moment: datetime) -> str:
    """As Java's `Date.toString()` writes it: no HTTP date (section 1.2, "Conditional GET")."""
    return moment.strftime("%a %b %d %H:%M:%S %Z %Y")


def _only_since(since: str | None, by: str, parameter: str) -> Callable[[str], tuple[str, Mapping[str, str]]]:
    def asking(target: str) -> tuple[str, Mapping[str, str]]:
        if since is None or parameter in target:
            return target, {}
        return f"{target}{'&' if '?' in target else '?'}ordering=-{by}&{parameter}={quote_plus(since)}", {}

    return asking


def _read(page: Page, resource: str) -> dict[int, Row]:
    """The rows by id, each looked at as the app looks at it."""
    for row in page.rows:
        READERS[resource](row)
    return {row.whole("id"): row.all for row in page.rows}
