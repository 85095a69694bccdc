"""Bad input: a clear refusal in JSON, never a 500, never HTML, never a 403 or 404, and nothing recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebox.app import MAX_BODY_BYTES
from edgebox.devices.pretixdroid.asking import MAX_ANSWER_CHARS, MAX_ANSWERS
from tests.api.conftest import KEY, Venue
from tests.support import hostile

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=edge"

CONTROL = ["\u0000", "a\u0000b", "\u0001", "\u001b[2J", "\u007f", "a\u0008b"]
ODD_TEXTS = [
    *CONTROL,
    "\ud7ff\ufffd",
    "\U0010ffff",
    "'; DROP TABLE ticket; --",
    "../../etc/passwd",
    "%s%n{}",
    "x" * 60_000,
    *hostile.MARKUP,
    *hostile.TEMPLATE,
    *hostile.FORMULAS,
    *hostile.TERMINAL,
]


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """One box for all inputs of which nothing may be recorded."""
    venue = Venue(tmp_path_factory.mktemp("shut"))
    venue.event.add_ticket("abc")
    venue.event.add_question(1, "S", [2])
    venue.open()
    try:
        yield venue
        assert venue.get("status")["checkins"] == 0
    finally:
        venue.box.close()


@pytest.fixture
def opened(venue: Venue) -> Venue:
    venue.event.add_ticket("abc")
    venue.event.add_question(1, "S", [2])
    venue.open()
    return venue


def post(
    venue: Venue, body: bytes, content_type: str | None = FORM, check: int = 200, **options: Any
) -> dict[str, Any]:
    """POST a body as it stands to `redeem/`."""
    path = f"{venue.path}/redeem/?key={KEY}"
    told: dict[str, Any] = venue.request(
        "POST", path, check, data=body, content_type=content_type, **options
    ).get_json()
    return told


def multipart(*parts: bytes, end: bytes = b"--edge--\r\n") -> bytes:
    return b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + end


def field(name: str, content: bytes) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content


# --- secrets: odd is unknown ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [None, "", " ", "\n", *ODD_TEXTS, "x" * 200_000, "\ufffd", "1e999", "null", "[]"])
def test_a_missing_long_or_odd_secret_is_simply_unknown(shut: Venue, secret: str | None) -> None:
    for force in (None, True):
        answer = shut.redeem(secret, force=force, nonce="n")
        assert (answer["status"], answer["reason"]) == ("error", "unknown_ticket")
        assert answer["message"]
    assert shut.journal == []


@pytest.mark.parametrize("secret", [b"\xff", b"\xc3(", b"abc\xff", b"\xed\xa0\x80", b"\x80" * 1000])
def test_a_secret_that_is_no_text_is_unknown_too(shut: Venue, secret: bytes) -> None:
    for body, kind in (
        (b"secret=" + secret, FORM),
        (b"secret=" + quote_from_bytes(secret).encode(), FORM),
        (multipart(field("secret", secret)), MULTIPART),
    ):
        assert post(shut, body, kind)["reason"] == "unknown_ticket"
    assert shut.journal == []


def test_an_odd_field_does_not_hide_the_others(opened: Venue) -> None:
    assert post(opened, b"note=\xff&secret=abc&\xff\xff=1&&=&x")["status"] == "ok"


# --- other fields: 400 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "now",
        "1764000000",
        "1764000000000",
        "2026-11-24",
        "2026-11-24T",
        "24.11.2026 08:15",
        "2026-13-01T08:15Z",
        "2026-02-30T08:15Z",
        "2026-11-24T25:00Z",
        "2026-11-24T08:15:99Z",
        "2026-11-24T08:15+25:00",
        "2026-11-24T08:15Z ",
        "2026-11-24  08:15",
        "2026-11-24T08:15Z\u0000",
        "2026-11-24T08:15\n",
        "0000-01-01T00:00Z",
        "0001-01-01T00:00+01:00",
        "9999-12-31T23:59-01:00",
        "99999-01-01T00:00Z",
        "\u0662\u0660\u0662\u0666-11-24T08:15Z",
        "2026-11-24T08:15:00." + "0" * 200_000 + "X",
        "9" * 200_000,
    ],
)
def test_a_bad_datetime_is_bad_request(shut: Venue, sent: str) -> None:
    forms: tuple[dict[str, Any], ...] = ({"secret": "abc"}, {"secret": "abc", "force": True, "nonce": "n"}, {})
    for form in forms:
        answer = shut.redeem(check=400, datetime=sent, **form)
        assert answer["reason"] == "bad_request"
        assert "datetime" in answer["message"]
    assert shut.journal == []


@pytest.mark.parametrize("nonce", [*CONTROL, "n\nn", "n\tn", "x" * 191, "x" * 200_000, "\ufffd", "é" * 191])
def test_a_bad_nonce_is_bad_request(shut: Venue, nonce: str) -> None:
    assert "nonce" in shut.redeem("abc", nonce=nonce, check=400)["message"]
    assert shut.journal == []


@pytest.mark.parametrize("answer", [*CONTROL, "x" * (MAX_ANSWER_CHARS + 1), "\ufffd"])
def test_a_bad_answer_is_bad_request(shut: Venue, answer: str) -> None:
    assert "answer_1" in shut.redeem("abc", answer_1=answer, check=400)["message"]
    # Also one to a question that nobody asks, and without any questions.
    assert "answer_99" in shut.redeem("abc", answer_99=answer, check=400)["message"]
    assert shut.journal == []


def test_an_answer_may_be_long_and_have_lines(opened: Venue) -> None:
    text = "line\r\n\tnext\n" + "é" * (MAX_ANSWER_CHARS - 12)
    assert opened.redeem("abc", answer_1=text)["status"] == "ok"
    assert opened.journal[0].checkin.answers == {1: text}


def test_too_many_answers_are_bad_request(opened: Venue) -> None:
    answers: dict[str, Any] = {f"answer_{number}": "x" for number in range(MAX_ANSWERS + 1)}
    assert opened.redeem("abc", check=400, **answers)["reason"] == "bad_request"
    del answers["answer_0"]
    assert opened.redeem("abc", **answers)["status"] == "ok"


def test_fields_that_nobody_knows_are_ignored(opened: Venue) -> None:
    odd: dict[str, Any] = {
        "answer_": "x",
        "answer_x": "x",
        "answer_-1": "x",
        "answer_1x": "x",
        "answer_\u0661": "x",
        "answer_" + "9" * 40: "x",
        "Secret": "zzz",
        "x" * 5000: "\u0000",
    }
    assert opened.redeem("abc", **odd)["status"] == "ok"
    assert opened.journal[0].checkin.answers == {}


def test_an_odd_flag_is_not_set(opened: Venue) -> None:
    opened.redeem("abc")
    for flag, text in product(("force", "ignore_unpaid", "questions_supported"), ODD_TEXTS):
        flags: dict[str, Any] = {flag: text}
        assert opened.redeem("abc", **flags)["reason"] == "already_redeemed"
    assert len(opened.journal) == 1


@pytest.mark.parametrize("body", [b"nonce=\xff", b"nonce=%FF", b"answer_1=\xff", b"answer_1=%C3%28", b"datetime=\xff"])
def test_a_field_that_is_no_text_is_bad_request(shut: Venue, body: bytes) -> None:
    """Two nonces that differ must never look the same: the second entry would pass for a retry."""
    assert post(shut, b"secret=abc&" + body, check=400)["reason"] == "bad_request"
    name, _, content = body.partition(b"=")
    if b"%" not in content:
        parts = multipart(field("secret", b"abc"), field(name.decode(), content))
        assert post(shut, parts, MULTIPART, check=400)["reason"] == "bad_request"
    assert shut.journal == []


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps({"secret": "abc"}).encode()),
        ("application/json", b"{"),
        ("text/plain", b"secret=abc"),
        ("application/octet-stream", bytes(range(256))),
        ("", b"secret=abc"),
        (None, b"secret=abc"),
        ("nonsense;;;===", b"secret=abc"),
        (FORM, b""),
        (FORM, b"secret"),
        (FORM, b"secret;abc"),
        (FORM, b"&&&&===&"),
        (FORM, bytes(range(256))),
        (FORM, b"secret%3Dabc"),
    ],
)
def test_a_body_that_is_no_form_has_no_secret(shut: Venue, kind: str | None, body: bytes) -> None:
    assert post(shut, body, kind)["reason"] == "unknown_ticket"
    assert shut.journal == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", multipart(field("secret", b"abc"))),
        ("multipart/form-data; boundary=", multipart(field("secret", b"abc"))),
        ("multipart/form-data; boundary=\u00e9", multipart(field("secret", b"abc"))),
        ("multipart/form-data; boundary=other", multipart(field("secret", b"abc"))),
        (MULTIPART, b"--edge"),
        (MULTIPART, b"secret=abc"),
        (MULTIPART, multipart(field("secret", b"abc"), end=b"")),
        (MULTIPART, multipart(field("secret", b"abc"))[:-12]),
        (MULTIPART, multipart(b"secret: abc\r\n\r\nabc")),
        (MULTIPART, multipart(b'Content-Disposition: form-data; name="\xff"\r\n\r\nabc')),
    ],
)
def test_a_malformed_multipart_body_is_bad_request(shut: Venue, kind: str, body: bytes) -> None:
    assert post(shut, body, kind, check=400)["reason"] == "bad_request"
    assert shut.journal == []


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Disposition: form-data\r\n\r\nabc",
        b'Content-Disposition: form-data; name=""\r\n\r\nabc',
        b'Content-Disposition: form-data; name="secret"; filename="a.txt"\r\n\r\nabc',
        b'Content-Disposition: attachment; filename="\x00"\r\n\r\nabc',
    ],
)
def test_a_part_that_is_no_field_is_ignored(shut: Venue, part: bytes) -> None:
    assert post(shut, multipart(part), MULTIPART)["reason"] == "unknown_ticket"
    assert shut.journal == []


@pytest.mark.parametrize("kind", [FORM, MULTIPART, "application/json", "text/plain", None])
def test_an_oversized_body_is_413(shut: Venue, kind: str | None) -> None:
    for body in (b"secret=abc&x=" + b"x" * MAX_BODY_BYTES, multipart(field("secret", b"x" * MAX_BODY_BYTES))):
        answer = post(shut, body, kind, check=413)
        assert (answer["reason"], answer["version"]) == ("too_large", 3)
    assert shut.journal == []


def test_a_body_of_exactly_the_limit_is_read(opened: Venue) -> None:
    body = b"secret=abc&x="
    assert post(opened, body + b"x" * (MAX_BODY_BYTES - len(body)))["status"] == "ok"


def test_too_many_parts_are_413(shut: Venue) -> None:
    parts = [field("secret", b"abc")] * 1100
    assert post(shut, multipart(*parts), MULTIPART, check=413)["reason"] == "too_large"
    assert shut.journal == []


def test_a_get_with_a_body_is_answered_all_the_same(shut: Venue) -> None:
    for verb in ("status", "download", "search"):
        shut.request("GET", f"{shut.path}/{verb}/?key={KEY}", data=b"\xff" * (MAX_BODY_BYTES + 1))


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept-Encoding": "\u00ff;q=9,,gzip;q=gzip"},
        {"Host": "\u00ff\u00ff"},
        {"Host": "a" * 300 + ".example:99999"},
        {"Host": "[::1"},
        {"User-Agent": "\u00ff" * 10_000},
        {"Content-Type": "\u00ff"},
        {"Cookie": "\u00ff=;;;=\u00ff"},
        {"Range": "bytes=0-1"},
        {"If-None-Match": "*", "If-Modified-Since": "never"},
        {"X-HTTP-Method-Override": "DELETE", "X-Forwarded-Host": "evil.example"},
    ],
)
def test_odd_headers_change_nothing(shut: Venue, headers: dict[str, str]) -> None:
    for verb in ("status", "download"):
        shut.request("GET", f"{shut.path}/{verb}/?key={KEY}", headers=headers)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "BREW"])
@pytest.mark.parametrize(
    "path", ["/pretixdroid/", "/pretixdroid/api/", "/nowhere/\u0000", "/%FF%FE", "/redeem", "/healthz/x", "/static/x"]
)
def test_an_address_that_is_none_is_404_in_json(shut: Venue, path: str, method: str) -> None:
    assert shut.request(method, path, 404).get_json()["reason"] == "not_found"


# --- inputs that nobody thought of ------------------------------------------------------------------------------------


FUZZ = settings(max_examples=150, deadline=None)


def attack(venue: Venue, method: str, path: str, **options: Any) -> None:
    """Whatever it is: a refusal or an empty result in JSON, and nothing recorded."""
    response = venue.send(method, path, **options)
    assert response.status_code in (200, 400, 413), response.text
    assert response.content_type == "application/json"
    if response.status_code == 200 and method == "POST":
        assert response.get_json()["reason"] == "unknown_ticket"
    assert venue.journal == []


@FUZZ
@given(
    body=st.one_of(
        st.binary(max_size=400),
        st.lists(
            st.tuples(st.sampled_from([b"secret", b"nonce", b"datetime", b"force", b"answer_1"]), st.binary())
        ).map(lambda fields: b"&".join(name + b"=" + content for name, content in fields)),
        st.lists(st.binary(max_size=60)).map(lambda parts: multipart(*parts)),
        st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=60))).map(
            lambda parts: multipart(*(field(*part) for part in parts))
        ),
    ),
    kind=st.sampled_from([FORM, MULTIPART, "application/json", "multipart/form-data"])
    | st.text("/;=\"'a*b%", max_size=30),
)
def test_no_body_does_any_harm(shut: Venue, body: bytes, kind: str) -> None:
    attack(shut, "POST", f"{shut.path}/redeem/?key={KEY}", data=body, content_type=kind)


@FUZZ
@given(
    secret=st.text(),
    nonce=st.none() | st.text(),
    moment=st.none() | st.text("0123456789-+:TZ. ") | st.datetimes().map(str) | st.text(),
    answers=st.dictionaries(st.from_regex(r"answer_[0-9]{1,20}", fullmatch=True), st.text(), max_size=3),
    force=st.sampled_from([None, "true", "1", "\u0000"]),
)
def test_no_form_does_any_harm(
    shut: Venue, secret: str, nonce: str | None, moment: str | None, answers: dict[str, str], force: str | None
) -> None:
    form = {"secret": secret, "nonce": nonce, "datetime": moment, "force": force, **answers}
    sent = {name: text.encode("utf-8", "surrogatepass") for name, text in form.items() if text is not None}
    body = "&".join(f"{name}={quote_from_bytes(text)}" for name, text in sent.items())
    attack(shut, "POST", f"{shut.path}/redeem/?key={KEY}", data=body, content_type=FORM)


@FUZZ
@given(query=st.text(max_size=60) | st.text('"*%_^-()&|: aANDORNEAR', min_size=4, max_size=40))
def test_no_query_does_any_harm(shut: Venue, query: str) -> None:
    quoted = quote_from_bytes(query.encode("utf-8", "surrogatepass"))
    attack(shut, "GET", f"{shut.path}/search/?key={KEY}&query={quoted}")


PATHS = st.lists(
    st.sampled_from([b"pretixdroid", b"api", b"demoorga", b"democon", b"redeem", b"status", b"7", b"", b"."])
    | st.binary(max_size=6),
    max_size=8,
).map(lambda parts: "/" + "/".join(map(quote_from_bytes, parts)))


@FUZZ
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "TRACE", "XYZ"]),
    path=PATHS.map(lambda rest: f"/pretixdroid/api{rest}") | PATHS.map("/pretixdroid/api/demoorga/democon{}".format),
    query=st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")) | st.just(f"key={KEY}"),
)
def test_no_address_does_any_harm(shut: Venue, method: str, path: str, query: str) -> None:
    response = shut.send(method, f"{path}?{query}")
    assert response.status_code in (200, 403, 404, 405)
    assert response.content_type == "application/json"
    assert "Location" not in response.headers
    assert shut.journal == []
