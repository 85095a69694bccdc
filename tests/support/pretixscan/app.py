"""The phone itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from tests.support.pretixscan.answers import Found, Result, Status, found
from tests.support.pretixscan.dialogs import AnswersFor, Dialog, WireAnswer
from tests.support.pretixscan.downloading import Download
from tests.support.pretixscan.faults import Abort, Crash, LoggedOut, NotFound, Refused, Unreachable, Wiped
from tests.support.pretixscan.picking import EventOffer, event_offers
from tests.support.pretixscan.reading import Fields
from tests.support.pretixscan.schemas import validate
from tests.support.pretixscan.setup import (
    HARDWARE_AND_SYSTEM,
    KIOSK,
    PUBLIC_KEY,
    SOFTWARE_BRAND,
    SOFTWARE_VERSION,
    Device,
    gate_name,
    read_qr,
)
from tests.support.pretixscan.storage import NUMBER_WITH_EXIT, NUMBER_WITH_SEVERAL_EVENTS, Storage
from tests.support.pretixscan.wire import Hook, Wire

BADGES_PLUGIN = "pretix.plugins.badges"
# A scan that opens more dialogs than this never ends.
MAX_DIALOGS = 5


@dataclass(frozen=True)
class ListOffer:
    """A row of the list picker."""

    id: int
    name: str
    subevent: int | None


@dataclass(frozen=True)
class Selected:
    list_id: int
    subevent: int | None = None


@dataclass(frozen=True)
class Switch:
    """Where the box sends the phone to."""

    slug: str
    name: str
    subevent: int | None
    list_id: int | None


class App:
    """One phone, used by one thread. `url` and `token` are the QR code's; it speaks to loopback addresses only.

    `hook` holds each answer against what the box promises (`schemas.validate` or `validate_whole`; None: nothing does).
    `prints_badges` is the setting. `ignored` collects the errors that the app passes over, `storage` is what it keeps.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        hook: Hook | None = validate,
        prints_badges: bool = False,
    ) -> None:
        self.url, self._token = url, token
        self.prints_badges = prints_badges
        self.software_version = self._told_version = SOFTWARE_VERSION
        self.wire = Wire(url, SOFTWARE_VERSION, hook)
        self.storage = Storage()
        self.selected: dict[str, Selected] = {}
        self.ignored: list[Exception] = []
        self.name: str | None = None
        self.gate: str | None = None
        self._device: Device | None = None

    @classmethod
    def from_qr(cls, text: str, *, hook: Hook | None = validate, prints_badges: bool = False) -> App:
        url, token = read_qr(text)
        return cls(url, token, hook=hook, prints_badges=prints_badges)

    @classmethod
    def ready(
        cls,
        text: str,
        lists: Mapping[str, int],
        subevents: Mapping[str, int] | None = None,
        *,
        hook: Hook | None = validate,
        prints_badges: bool = False,
    ) -> App:
        """A phone at the scan screen, having gone all the way: QR code, pickers, first sync.

        Raises AssertionError where the pickers do not offer these lists.
        """
        app, dates = cls.from_qr(text, hook=hook, prints_badges=prints_badges), subevents or {}
        app.first_start()
        offered = {(offer.slug, offer.subevent) for offer in app.events()}
        for slug, list_id in lists.items():
            subevent = dates.get(slug)
            assert (slug, subevent) in offered, f"the picker has no {slug}, date {subevent}: {offered}"
            numbers = [offer.id for offer in app.check_in_lists(slug, subevent)]
            assert list_id in numbers, f"the picker has no list {list_id} of {slug}: {numbers}"
        app.select(lists, dates)
        app.sync()
        return app

    @property
    def device(self) -> Device:
        """What the box said at the first start."""
        assert self._device is not None, "the app was not started yet, or has reset itself"
        return self._device

    @property
    def knows_exit(self) -> bool:
        """Whether the exit mode can be chosen (section 1.1, `device/info`)."""
        return self.storage.pretix_numeric >= NUMBER_WITH_EXIT

    @property
    def knows_several_events(self) -> bool:
        return self.storage.pretix_numeric >= NUMBER_WITH_SEVERAL_EVENTS

    @property
    def may_search(self) -> bool:
        """Not with the security profile of kiosks (section 1.1, `device/initialize`)."""
        return self.device.security_profile != KIOSK

    def first_start(self) -> None:
        """Trade the QR code's token for one of its own (section 1.1); raises Refused where the box will not have it."""
        told = self.wire.initialize({"token": self._token, **self._introduction()})
        self._device = Device.read(Fields("device/initialize", told))
        self.name, self.gate = self._device.name, self._device.gate
        self.wire.api_token = self._device.api_token

    def events(self) -> list[EventOffer]:
        """The event picker (section 1.2). At the words that wipe it offers to reset the app, which deletes its data."""
        with self._wiping():
            return event_offers(self.wire, self.device.organizer)

    def check_in_lists(self, slug: str, subevent: int | None = None) -> list[ListOffer]:
        """The list picker, which first syncs this one event (section 1.2, `checkinlists/`)."""
        self._sync({slug: subevent})
        rows = [Fields("checkinlists", row) for row in self.storage.rows(slug, "checkinlists")]
        return [ListOffer(row.whole("id"), row.text("name"), row.whole_or_none("subevent")) for row in rows]

    def select(self, lists: Mapping[str, int], subevents: Mapping[str, int] | None = None) -> None:
        """Scan for these lists, by their events' slugs, from now on. The next `sync` fetches what belongs to them."""
        dates = subevents or {}
        self.selected = {slug: Selected(list_id, dates.get(slug)) for slug, list_id in lists.items()}

    def upgrade(self, software_version: str) -> None:
        """A new version of the app: the next sync tells the box of it (section 1.1, `device/update`)."""
        self.software_version = software_version
        self.wire.be_version(software_version)

    def sync(self) -> None:
        """All that a full sync downloads (section 1.2). Raises Crash where it would end early, and Wiped."""
        self._sync({slug: selected.subevent for slug, selected in self.selected.items()})

    def _sync(self, dates: Mapping[str, int | None]) -> None:
        if self.software_version != self._told_version:
            self._ignoring(self._tell_version)
        with self._wiping():
            self._ignoring(self._ask_info)
            Download(self.wire, self.storage, self.device.organizer, self.ignored).run(dates)

    def _introduction(self) -> dict[str, str]:
        software = {"software_brand": SOFTWARE_BRAND, "software_version": self.software_version}
        return {**HARDWARE_AND_SYSTEM, **software}

    def _tell_version(self) -> None:
        body = {**self._introduction(), "rsa_pubkey": PUBLIC_KEY, "info": {}}
        told = Fields("device/update", self.wire.post("device/update", "update", body).data)
        self.name, self.gate = told.text("name"), gate_name(told)
        self._told_version = self.software_version

    def _ask_info(self) -> None:
        """Only a 404 that is not JSON leads to `version` (section 1.1, `device/info`)."""
        try:
            told = Fields("device/info", self.wire.get("device/info", "info").data)
        except NotFound:
            told = Fields("version", self.wire.get("version", "version").data)
            self.storage.pretix_numeric = told.whole("pretix_numeric")
            return
        self.storage.pretix_numeric = told.inner("server").inner("version").whole("pretix_numeric")
        device = told.inner("device")
        self.name, self.gate = device.text("name"), gate_name(device)
        told.several_or_none("medium_key_sets", dict)

    def _ignoring(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (Abort, Wiped, LoggedOut) as error:
            self.ignored.append(error)

    @contextmanager
    def _wiping(self) -> Iterator[None]:
        try:
            yield
        except Wiped:
            self.storage.delete()
            raise

    @property
    def _lists(self) -> dict[str, int]:
        assert self.selected, "nothing is selected"
        return {slug: selected.list_id for slug, selected in self.selected.items()}

    def check(
        self,
        ticketid: str,
        type: str = "ENTRY",
        answers: Sequence[WireAnswer] = (),
        *,
        ignore_unpaid: bool = False,
        source_type: str = "barcode",
        allow_questions: bool = True,
        use_order_locale: bool = False,
    ) -> Result:
        """One request as 3.3.4 sends it (section 1.3, "Check request"); errors come back as the app's error card."""
        body = {
            "events_and_checkin_lists": self._lists,
            "ticketid": ticketid,
            "answers": list(answers),
            "ignore_unpaid": ignore_unpaid,
            "with_badge_data": self.prints_badges,
            "type": type,
            "source_type": source_type,
            "allowQuestions": allow_questions,
            "useOrderLocale": use_order_locale,
            "nonce": None,
            "exchange_medium_type": None,
            "exchange_medium_identifier": None,
        }
        result = self._check("check/", body)
        if self.prints_badges:
            self._print(result)
        return result

    def check_single(
        self,
        slug: str,
        list_id: int,
        ticketid: str,
        type: str = "entry",
        answers: Sequence[WireAnswer] = (),
        *,
        ignore_unpaid: bool = False,
        with_badge_data: bool = False,
        source_type: str = "barcode",
    ) -> Result:
        """The form of older apps and of others, who write the type in lower case (section 1.3)."""
        body = {
            "ticketid": ticketid,
            "answers": list(answers),
            "ignore_unpaid": ignore_unpaid,
            "with_badge_data": with_badge_data,
            "type": type,
            "source_type": source_type,
        }
        return self._check(f"{slug}/{list_id}/check/", body)

    def _check(self, path: str, body: object) -> Result:
        try:
            return Result.read(path, self.wire.rpc("POST", path, "check", body))
        except (Refused, Unreachable) as error:
            return Result.error_card(error)

    def _print(self, result: Result) -> None:
        """What the printing of a badge needs (section 1.3, "UI effects"); without it the app crashes."""
        if result.position is None:
            return
        if result.event_slug is None:
            raise Crash("check/ .eventSlug", "null, though a badge is to be printed")
        if BADGES_PLUGIN in self.storage.events.get(result.event_slug, {}).get("plugins", ()):
            position = Fields("check/ .position", result.position)
            position.whole("id")
            position.whole("item")

    def scan(
        self, ticketid: str, *, type: str = "ENTRY", answers_for: AnswersFor | None = None, pays: bool = False
    ) -> Result:
        """Check, and do what the screens then offer (section 1.3, "UI effects"): the result that stays on the screen.

        `pays` accepts the dialog for unpaid tickets; without `answers_for` a dialog of questions is cancelled.
        """
        ignore_unpaid, answers = False, list[WireAnswer]()
        for _ in range(MAX_DIALOGS):
            result = self.check(ticketid, type, answers, ignore_unpaid=ignore_unpaid)
            if result.type == "UNPAID" and result.is_checkin_allowed and pays and not ignore_unpaid:
                ignore_unpaid = True
            elif result.type == "ANSWERS_REQUIRED":
                if result.required_answers is None:
                    raise Crash("check/ .requiredAnswers", "null, though they are required")
                if answers_for is None:
                    return result
                answers = Dialog(result.required_answers, answers_for).answers()
            else:
                return result
        raise Crash("check/", f"still asks after {MAX_DIALOGS} dialogs: {result}")

    def search(self, query: str) -> list[Found]:
        """One request for exactly this (section 1.3); raises Refused with what the app shows."""
        assert self.may_search, "this security profile has no search"
        body = {"events_and_checkin_lists": self._lists, "query": query, "page": 1}
        return found("search/", self.wire.rpc("POST", "search/", "search", body))

    def type_search(self, text: str) -> list[list[Found]]:
        """Type it: one request for each keystroke, from the first character on (section 1.3, SearchResult)."""
        return [self.search(text[:length]) for length in range(1, len(text) + 1)]

    def search_single(self, slug: str, list_id: int, query: str) -> list[Found]:
        path = f"{slug}/{list_id}/search/"
        return found(path, self.wire.rpc("POST", path, "search", {"query": query, "page": 1}))

    def status(self) -> dict[str, Status]:
        """The statistics of each selected event (section 1.3); raises Refused with what the app shows."""
        paths = {slug: f"{slug}/{list_id}/status/" for slug, list_id in self._lists.items()}
        return {slug: Status.read(path, self.wire.rpc("GET", path, "status")) for slug, path in paths.items()}

    def event_selection(self) -> Switch | None:
        """Whether the box sends the phone elsewhere, if auto-switch were on: None to stay (section 1.1)."""
        ((slug, selected),) = self.selected.items()
        date = "" if selected.subevent is None else f"&current_subevent={selected.subevent}"
        target = f"device/eventselection?current_event={slug}{date}&current_checkinlist={selected.list_id}"
        try:
            answer = self.wire.get(target, "eventselection")
        except NotFound:
            return None
        if answer.is_unchanged:
            return None
        if answer.status != 200:
            raise Crash("device/eventselection", f"status {answer.status} with JSON")
        told = Fields("device/eventselection", answer.data)
        event = told.inner("event")
        numbers = told.whole_or_none("subevent"), told.whole_or_none("checkinlist")
        return Switch(event.text("slug"), event.text("name"), *numbers)

    def print_log(self, slug: str, position_id: int, idempotency_key: str | None = None) -> str:
        """Tell of a printed badge, at once and not with the next sync as the app; returns the key, to tell it again.

        A plain 404 or a 4xx with JSON drops it, which the app does not mind (section 1.2, `printlog/`).
        """
        key = idempotency_key or uuid4().hex
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"source": "pretixSCAN", "type": "badge", "info": {}, "datetime": now}
        path = f"organizers/{self.device.organizer}/events/{slug}/orderpositions/{position_id}/printlog/"
        try:
            self.wire.post(path, None, body, {"X-Idempotency-Key": key})
        except NotFound as error:
            self.ignored.append(error)
        return key

    def revoke(self) -> None:
        """The user resets the app: the box is told, whatever it answers, and all is forgotten (section 1.1)."""
        self._ignoring(lambda: self.wire.post("device/revoke", None, {}))
        self.storage, self.selected, self._device, self.wire.api_token = Storage(), {}, None, None

    def close(self) -> None:
        self.wire.close()
