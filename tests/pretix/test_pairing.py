"""Pairing uses a token up once, and says in words what went wrong."""

from __future__ import annotations

import json
import traceback

import pytest

from edgebox.upstream import BadAddress, NotUpstream, Unreachable, UpstreamError
from edgebox.upstream.pretix import (
    Invitation,
    PretixConnection,
    TokenRefused,
    info,
    initialize,
    parse_server,
    read_invitation,
    what_a_profile_forbids,
)
from edgebox.upstream.pretix.pairing import NEW_DEVICE_HINT
from tests.pretix.side import http
from tests.support.box import free_port
from tests.support.pretix import ANSWER_LOST, CUT, NO_PROFILE, REVOKED, PretixStub, page_of_html, said, too_many

TOKEN = "abcdefgh12345678"


def test_a_token_becomes_everything_that_a_connection_needs(pretix: PretixStub) -> None:
    pretix.gate = {"id": 3, "name": "Main entrance", "identifier": "MAIN"}
    paired = initialize(read_invitation(pretix.url, TOKEN), http())
    assert (paired.url, paired.organizer, paired.device_id) == (pretix.url, "demoorga", 7)
    assert (paired.device_serial, paired.device_name) == ("SERIAL", "box")
    assert (paired.api_token, paired.security_profile) == ("device-token", "pretixscan")
    assert (paired.gate_id, paired.gate_name) == (3, "Main entrance")


def test_a_device_without_a_gate_is_paired_as_well(pretix: PretixStub) -> None:
    assert initialize(Invitation(pretix.url, TOKEN), http()).gate_id is None


def test_the_box_does_not_name_itself_like_pretixs_own_app(pretix: PretixStub) -> None:
    initialize(Invitation(pretix.url, TOKEN), http())
    assert pretix.brands == ["edgebox"]
    sent = pretix.requests[0]
    assert "pretixscan" not in (json.dumps(sent.json) + sent.headers["user-agent"]).lower()


@pytest.mark.parametrize("token", ["anothertoken12", TOKEN])
def test_a_token_that_pretix_does_not_take_is_said_in_words(pretix: PretixStub, token: str) -> None:
    initialize(Invitation(pretix.url, TOKEN), http())
    expected = "already been used" if token == TOKEN else "does not know"
    with pytest.raises(TokenRefused, match=expected) as caught:
        initialize(Invitation(pretix.url, token), http())
    assert caught.value.is_permanent


def test_a_field_that_a_later_pretix_requires_is_named(pretix: PretixStub) -> None:
    pretix.on("device/initialize", said({"rsa_pubkey": ["This field is required."]}, 400))
    with pytest.raises(TokenRefused, match="rsa_pubkey"):
        initialize(Invitation(pretix.url, TOKEN), http())


@pytest.mark.parametrize("fault", [ANSWER_LOST, CUT, page_of_html(502)])
def test_an_answer_that_is_lost_may_have_cost_the_token(pretix: PretixStub, fault: object) -> None:
    pretix.on("device/initialize", fault)  # type: ignore[arg-type]
    with pytest.raises(Unreachable) as caught:
        initialize(Invitation(pretix.url, TOKEN), http())
    assert caught.value.hint == NEW_DEVICE_HINT
    assert len(pretix.requests) == 1, "a token that is used once must not be sent twice"


def test_a_token_that_was_never_sent_is_not_said_to_be_used_up() -> None:
    with pytest.raises(Unreachable, match="no connection") as caught:
        initialize(Invitation(f"http://127.0.0.1:{free_port()}/", TOKEN), http())
    assert NEW_DEVICE_HINT not in str(caught.value)


def test_a_busy_pretix_has_not_looked_at_the_token(pretix: PretixStub) -> None:
    pretix.on("device/initialize", too_many(7))
    with pytest.raises(Unreachable, match="was not used") as caught:
        initialize(Invitation(pretix.url, TOKEN), http())
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page_of_html(200), "not pretix's"),
        (said({"hello": "world"}), "not pretix's"),
        (page_of_html(404), "no pretix at this address"),
        (page_of_html(403), "not pretix's"),
        (page_of_html(302, Location="http://127.0.0.1:9/login"), "redirected"),
        (page_of_html(301, Location="https://127.0.0.1/api/v1/device/initialize"), "https address"),
    ],
)
def test_what_is_not_pretix_is_said_to_be_something_else(pretix: PretixStub, answer: object, words: str) -> None:
    pretix.on("device/initialize", answer)  # type: ignore[arg-type]
    with pytest.raises(NotUpstream, match=words):
        initialize(Invitation(pretix.url, TOKEN), http())


def test_no_error_of_pairing_names_a_token(pretix: PretixStub) -> None:
    invitation = Invitation(pretix.url, TOKEN)
    texts = [repr(invitation), repr(initialize(invitation, http()))]
    for fault in (None, ANSWER_LOST, said({"token": [f"{TOKEN} is odd"]}, 400), page_of_html(200), said([TOKEN], 400)):
        if fault is not None:
            pretix.on("device/initialize", fault)
        try:
            initialize(invitation, http())
        except UpstreamError as error:
            texts.append("".join(traceback.format_exception(error)))
        else:
            pytest.fail("it should have been refused")
    assert not [text for text in texts if TOKEN in text or "device-token" in text]


def test_the_qr_code_is_as_good_as_address_and_token() -> None:
    qr = json.dumps({"handshake_version": 1, "url": "https://tickets.example.org", "token": TOKEN})
    assert read_invitation(qr) == read_invitation("https://tickets.example.org", TOKEN)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("{", None),
        ('{"url": "https://tickets.example.org"}', None),
        ('{"handshake_version":2,"url":"https://tickets.example.org","token":"abc"}', None),
        ('{"handshake_version":1,"url":7,"token":"abc"}', None),
        ("https://tickets.example.org", None),
        ("https://tickets.example.org", "  "),
        ("https://tickets.example.org", "a token with blanks"),
        ("tickets.example.org", TOKEN),
        ("ftp://tickets.example.org", TOKEN),
        ("https://user@tickets.example.org", TOKEN),
        ("https://tickets.example.org:notaport", TOKEN),
        ("https://", TOKEN),
    ],
)
def test_what_cannot_be_an_invitation_is_refused_in_words(text: str, token: str | None) -> None:
    with pytest.raises(BadAddress):
        read_invitation(text, token)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://tickets.example.org", "https://tickets.example.org/"),
        (" HTTPS://Tickets.Example.org:443/ ", "https://tickets.example.org/"),
        ("http://127.0.0.1:8345", "http://127.0.0.1:8345/"),
        ("https://tickets.example.org/control/organizer/demo/devices", "https://tickets.example.org/"),
        ("https://tickets.example.org/shop/api/v1/", "https://tickets.example.org/shop/"),
        ("https://tickets.example.org/controlroom", "https://tickets.example.org/controlroom/"),
        ("http://[::1]:8000/", "http://[::1]:8000/"),
    ],
)
def test_addresses_have_one_form(text: str, canonical: str) -> None:
    assert parse_server(text) == canonical


@pytest.mark.parametrize("profile", ["full", "pretixscan"])
def test_enough_is_enough(profile: str) -> None:
    assert what_a_profile_forbids(profile) is None


@pytest.mark.parametrize("profile", ["pretixscan_online_kiosk", "pretixscan_online_noorders", "pretixpos_no_id"])
def test_what_a_narrower_profile_forbids_is_said_in_words(profile: str) -> None:
    words = what_a_profile_forbids(profile)
    assert words is not None
    assert "pretixSCAN" in words
    assert ("download orders" in words) == profile.startswith("pretixscan_online")


def test_pretix_tells_its_version_and_the_boxs_gate(pretix: PretixStub, connection: PretixConnection) -> None:
    pretix.gate = {"id": 3, "name": "Main entrance", "identifier": "MAIN"}
    told = info(connection.line())
    assert (told.server_version, told.security_profile, told.gate_id) == ("2026.8.0", "pretixscan", 3)


@pytest.mark.parametrize(("answer", "words"), [(REVOKED, "as a device"), (NO_PROFILE, "security profile")])
def test_a_device_that_is_refused_is_told_how_to_go_on(
    pretix: PretixStub, connection: PretixConnection, answer: object, words: str
) -> None:
    pretix.on("device/info", answer)  # type: ignore[arg-type]
    with pytest.raises(UpstreamError, match=words) as caught:
        info(connection.line())
    assert caught.value.is_permanent
    assert caught.value.hint
