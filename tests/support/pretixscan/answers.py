"""What the RPC answers, as the app deserialises it (section 1.3): frozen, and strict about every type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.support.pretixscan.faults import Crash, Refused, Unreachable
from tests.support.pretixscan.reading import Fields, instant, of_kind, parsed
from tests.support.pretixscan.schemas import MEDIA_POLICIES, MEDIA_TYPES, RESULT_TYPES, SCAN_TYPES, STATUSES


@dataclass(frozen=True)
class Option:
    """`text` is the answer in one of its languages, as the app sends it back."""

    server_id: int
    position: int
    identifier: str
    text: str

    @classmethod
    def read(cls, told: Fields) -> Option:
        answer = told.all.get("answer")
        text = _in_one_language(told.words("answer")) if isinstance(answer, dict) else told.text("answer")
        return cls(told.whole("id"), told.whole("position"), told.text("identifier"), text)


@dataclass(frozen=True)
class Question:
    """`server_id`, `position` and `is_required` come from the CheckResult, the others from its `json_data`."""

    server_id: int
    position: int
    is_required: bool
    type: str
    text: str
    identifier: str
    is_asked_during_checkin: bool
    is_shown_during_checkin: bool
    options: tuple[Option, ...]
    dependency_question: int | None
    dependency_values: tuple[str, ...]

    @classmethod
    def read(cls, told: Fields) -> Question:
        data = Fields(told.at("json_data"), parsed(told.at("json_data"), told.text("json_data")))
        return cls(
            server_id=told.whole("server_id"),
            position=told.whole("position"),
            is_required=told.flag("required"),
            type=data.text("type"),
            text=_in_one_language(data.words("question")),
            identifier=data.text("identifier"),
            is_asked_during_checkin=data.flag("ask_during_checkin"),
            is_shown_during_checkin=data.flag("show_during_checkin"),
            options=tuple(Option.read(each) for each in data.each("options")),
            dependency_question=data.whole_or_none("dependency_question"),
            dependency_values=tuple(data.several("dependency_values", str)),
        )


@dataclass(frozen=True)
class QuestionAnswer:
    question: Question
    current_value: str | None

    @classmethod
    def read(cls, told: Fields) -> QuestionAnswer:
        return cls(Question.read(told.inner("question")), told.text_or_none("currentValue"))


@dataclass(frozen=True)
class Result:
    """A CheckResult; what is missing has the app's default.

    `is_error_card` tells the app's own error card, of type ERROR, from an answer of type ERROR: then `title` is what
    the card says, and `status` the HTTP status (None: no answer, and nobody knows whether the box took the scan).
    """

    type: str
    scan_type: str = "ENTRY"
    ticket: str | None = None
    variation: str | None = None
    attendee_name: str | None = None
    seat: str | None = None
    message: str | None = None
    order_code: str | None = None
    position_id: int | None = None
    first_scanned: datetime | None = None
    addon_text: str | None = None
    reason_explanation: str | None = None
    checkin_texts: tuple[str, ...] | None = None
    is_attention_required: bool = False
    is_checkin_allowed: bool = False
    is_offline: bool = False
    required_answers: tuple[QuestionAnswer, ...] | None = None
    shown_answers: tuple[QuestionAnswer, ...] | None = None
    position: Mapping[str, Any] | None = None
    event_slug: str | None = None
    locale: str | None = None
    required_media_policy: str | None = None
    required_media_type: str | None = None
    is_error_card: bool = False
    title: str | None = None
    status: int | None = 200

    @classmethod
    def read(cls, where: str, answer: object) -> Result:
        told = Fields(where, answer)
        texts = told.several_or_none("checkinTexts", str)
        position = told.inner_or_none("position")
        return cls(
            type=told.one_of("type", RESULT_TYPES),
            scan_type=told.one_of("scanType", SCAN_TYPES) if "scanType" in told.all else "ENTRY",
            ticket=told.text_or_none("ticket"),
            variation=told.text_or_none("variation"),
            attendee_name=told.text_or_none("attendee_name"),
            seat=told.text_or_none("seat"),
            message=told.text_or_none("message"),
            order_code=told.text_or_none("orderCode"),
            position_id=told.whole_or_none("positionId"),
            first_scanned=_moment(told, "firstScanned"),
            addon_text=told.text_or_none("addonText"),
            reason_explanation=told.text_or_none("reasonExplanation"),
            checkin_texts=None if texts is None else tuple(texts),
            is_attention_required=told.flag("isRequireAttention", False),
            is_checkin_allowed=told.flag("isCheckinAllowed", False),
            is_offline=told.flag("offline", False),
            required_answers=_question_answers(told, "requiredAnswers"),
            shown_answers=_question_answers(told, "shownAnswers"),
            position=None if position is None else position.all,
            event_slug=told.text_or_none("eventSlug"),
            locale=told.text_or_none("locale"),
            required_media_policy=_one_of_or_none(told, "requiredMediaPolicy", MEDIA_POLICIES),
            required_media_type=_one_of_or_none(told, "requiredMediaType", MEDIA_TYPES),
        )

    @classmethod
    def error_card(cls, error: Refused | Unreachable) -> Result:
        """What the app shows instead of an answer (section 1.3, "RPC errors")."""
        if isinstance(error, Refused):
            return cls("ERROR", is_error_card=True, title=error.title, status=error.status)
        return cls("ERROR", is_error_card=True, title=error.why, status=None)


@dataclass(frozen=True)
class Found:
    """A SearchResult. A tap on it checks `secret`, so that has to be there."""

    secret: str
    status: str
    ticket: str | None
    variation: str | None
    attendee_name: str | None
    seat: str | None
    order_code: str | None
    position_id: int | None
    addon_text: str | None
    is_redeemed: bool
    is_attention_required: bool
    position: Mapping[str, Any] | None

    @classmethod
    def read(cls, told: Fields) -> Found:
        position = told.inner_or_none("position")
        return cls(
            secret=told.text("secret"),
            status=told.one_of("status", STATUSES),
            ticket=told.text_or_none("ticket"),
            variation=told.text_or_none("variation"),
            attendee_name=told.text_or_none("attendee_name"),
            seat=told.text_or_none("seat"),
            order_code=told.text_or_none("orderCode"),
            position_id=told.whole_or_none("positionId"),
            addon_text=told.text_or_none("addonText"),
            is_redeemed=told.flag("isRedeemed", False),
            is_attention_required=told.flag("isRequireAttention", False),
            position=None if position is None else position.all,
        )


@dataclass(frozen=True)
class ItemStatus:
    """An item, or (then without `is_admission`) one of its variations."""

    id: int
    name: str
    total: int
    checkins: int
    is_admission: bool | None
    variations: tuple[ItemStatus, ...] = ()

    @classmethod
    def read(cls, told: Fields, is_variation: bool = False) -> ItemStatus:
        """Both admission keys have to be there: one is the constructor's, the other the property's (section 1.3)."""
        counts = told.whole("id"), told.text("name"), told.whole("total"), told.whole("checkins")
        if is_variation:
            return cls(*counts, None)
        if told.flag("admission") != told.flag("isAdmission"):
            raise Crash(told.where, "`admission` and `isAdmission` differ")
        variations = tuple(ItemStatus.read(each, is_variation=True) for each in told.each("variations"))
        return cls(*counts, told.flag("isAdmission"), variations)


@dataclass(frozen=True)
class Status:
    event_name: str
    total_tickets: int
    already_scanned: int
    currently_inside: int | None
    items: tuple[ItemStatus, ...]

    @classmethod
    def read(cls, where: str, answer: object) -> Status:
        told = Fields(where, answer)
        return cls(
            event_name=told.text("eventName"),
            total_tickets=told.whole("totalTickets"),
            already_scanned=told.whole("alreadyScanned"),
            currently_inside=told.whole_or_none("currentlyInside"),
            items=tuple(ItemStatus.read(each) for each in told.each("items")),
        )


def found(where: str, answer: object) -> list[Found]:
    """A bare array."""
    return [Found.read(Fields(f"{where} [{index}]", each)) for index, each in enumerate(of_kind(where, answer, list))]


def _question_answers(told: Fields, name: str) -> tuple[QuestionAnswer, ...] | None:
    return tuple(QuestionAnswer.read(each) for each in told.each(name)) if told.has(name) else None


def _one_of_or_none(told: Fields, name: str, allowed: tuple[str, ...]) -> str | None:
    return told.one_of(name, allowed) if told.has(name) else None


def _moment(told: Fields, name: str) -> datetime | None:
    """Milliseconds since 1970, or a text."""
    value = told.all.get(name)
    if value is None:
        return None
    if type(value) is int:
        return datetime.fromtimestamp(value / 1000, UTC)
    return instant(told.at(name), value)


def _in_one_language(words: dict[str, str]) -> str:
    """English where there is English."""
    return words.get("en") or next(iter(words.values()), "")
