"""The Scan page: a laptop with a scanner that types like a keyboard. It is a device like any other, with a key."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from edgebox.box import Box
from edgebox.model import MAX_NONCE_CHARS, CheckInList, Device, Question, Reason, Redeemed, RedeemRequest
from edgebox.rules import may_ignore_unpaid
from edgebox.store import StoreError
from edgebox.web.people import for_staff
from edgebox.web.words import VERDICTS, first_use, zone_of

MAX_SECRET_CHARS = 500
MAX_ANSWER_CHARS = 10_000

_ID = re.compile("[0-9]{1,18}", re.ASCII)
_HALF = re.compile("[\ud800-\udfff]")


def register(web: Blueprint, box: Box) -> None:
    """The page, which device it is, and its scans."""

    @web.get("/scan")
    @for_staff
    def scan() -> str:
        device = _device(box)
        return render_template("scan.html", device=device, list=_list(box, device))

    @web.post("/scan/device")
    @for_staff
    def scan_as() -> BaseResponse:
        """Become a device: its key says that this page may scan for it. Empty: stop being one."""
        key = _key_in(request.form.get("key", "").strip())
        device = box.store.devices.by_key(key)
        if not key:
            session.pop("scan_device", None)
        elif device is None:
            flash(_("No device has this key. The lead finds it on the page Devices."), "danger")
        else:
            # Not the key: whoever holds the laptop can read its cookies.
            session["scan_device"] = device.id
        return redirect(url_for("web.scan"))

    @web.post("/scan/redeem")
    @for_staff
    def scan_redeem() -> Response | tuple[Response, int]:
        device = _device(box)
        list_ = _list(box, device)
        if device is None or list_ is None:
            text, detail = _("Not a device any more"), _("This device was revoked, or its list removed.")
            return jsonify({"verdict": "no_device", "text": text, "detail": detail}), 403
        asked = _asked()
        if asked is None:
            return jsonify({"verdict": "bad_request", "text": _("This cannot be a ticket")}), 400
        box.saw(device, request.headers.get("User-Agent"))
        try:
            redeemed = box.redeem(device, list_, asked)
        except StoreError as error:
            # The page keeps the scan and asks again.
            return jsonify({"verdict": "not_now", "text": str(error)}), 503
        now = box.clock.now().astimezone(zone_of(list_))
        return jsonify(_answer(list_, redeemed, f"{now:%H:%M:%S}"))


def _key_in(text: str) -> str:
    """The key that somebody typed, or that stands in the configuration QR that the scanner read."""
    if not text.startswith("{"):
        return text
    try:
        return str(json.loads(text)["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return text


def _device(box: Box) -> Device | None:
    return box.store.devices.working(session.get("scan_device"))


def _list(box: Box, device: Device | None) -> CheckInList | None:
    found = (box.store.lists.get(list_id) for list_id in device.list_ids) if device else ()
    return next((list_ for list_ in found if list_ is not None), None)


def _asked() -> RedeemRequest | None:
    """What the page sends for each scan; its nonce makes asking again harmless when an answer was lost."""
    try:
        body = json.loads(request.get_data()) if request.is_json else None
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return None
    secret, nonce, answers = body.get("secret"), body.get("nonce"), body.get("answers", {})
    if not _is_text(secret, MAX_SECRET_CHARS) or not _is_text(nonce, MAX_NONCE_CHARS) or not isinstance(answers, dict):
        return None
    return RedeemRequest(
        secret=secret,
        nonce=nonce,
        ignores_unpaid=body.get("ignore_unpaid") is True,
        questions_supported=True,
        answers={
            int(question_id): text
            for question_id, text in answers.items()
            if _ID.fullmatch(question_id) and (text == "" or _is_text(text, MAX_ANSWER_CHARS))
        },
    )


def _is_text(value: object, at_most: int) -> TypeGuard[str]:
    """Whether it is a text, not empty and not endless, that can be kept: half a character of UTF-16 cannot."""
    return isinstance(value, str) and 0 < len(value) <= at_most and not _HALF.search(value)


def _answer(list_: CheckInList, redeemed: Redeemed, time: str) -> dict[str, Any]:
    """The verdict in words, with what the door needs to see."""
    verdict, ticket = redeemed.verdict, redeemed.ticket
    reason = verdict.reason.value if verdict.reason else "ok"
    body: dict[str, Any] = {"verdict": reason, "text": str(VERDICTS[reason]), "detail": "", "time": time}
    if verdict.reason is Reason.ALREADY_REDEEMED and verdict.first_use is not None:
        body["detail"] = first_use(verdict.first_use.at, verdict.first_use.device_name, list_)
    if verdict.explanation:
        body["detail"] = verdict.explanation
    if verdict.reason is Reason.INCOMPLETE:
        body["questions"] = [_question(question) for question in verdict.questions]
    if ticket is not None:
        data = ticket.data
        item = list_.catalog.item(data.item_id) if list_.catalog else None
        variation = item.variation(data.variation_id) if item else None
        body |= {
            "name": data.attendee_name or "",
            "item": " ".join(each.name for each in (item, variation) if each),
            "addons": data.addons_text,
            "order": data.order_code,
            "attention": data.attention or bool(item and item.attention) or bool(variation and variation.attention),
            "may_ignore_unpaid": verdict.reason is Reason.UNPAID and may_ignore_unpaid(data, list_.terms),
        }
    return body


def _question(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "type": question.type,
        "text": question.text,
        "required": question.is_required,
        "options": [{"id": option.id, "text": option.text} for option in question.options],
    }
