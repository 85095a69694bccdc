"""Every route is guarded by the role that it is for, and every change needs proof that our own form asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from werkzeug.routing import Rule

from edgebox.store.staff import Role
from edgebox.web.mount import OPEN
from tests.web.conftest import Browser, House

NOT_PAGES = {"bootstrap", "healthz", "metrics", "openapi"}
"""Open to all. (Devices have keys, and applications of their own.)"""

NEEDS_NO_LOGIN = {"web.login", "web.first_password", "web.logout", "web.language", "web.static"}

FOR_THE_GATE_TOO = {
    "web.now", "web.now_live", "web.sync_now", "web.find", "web.ticket", "web.check_in", "web.add_note", "web.undo",
    "web.scan", "web.scan_as", "web.scan_redeem",
}  # fmt: skip
"""All others are for the lead alone. Whoever adds a route says here for whom it is."""

SAMPLE = {"name": "Gate 1", "what": "pause", "decision": "accept", "role": "gate"}
"""What stands in an address; a number is 1."""


@dataclass(frozen=True)
class Route:
    endpoint: str
    method: str
    path: str


def all_routes(house: House) -> Iterator[Route]:
    for rule in house.app.url_map.iter_rules():
        if rule.endpoint.split(".")[0] in NOT_PAGES:
            continue
        assert rule.methods is not None
        for method in sorted(rule.methods - {"HEAD"}):
            assert method in ("GET", "POST"), f"{rule} can be asked for with {method}"
            yield Route(rule.endpoint, method, path_of(rule))


def path_of(rule: Rule) -> str:
    if rule.endpoint == "web.static":
        return "/static/web/edgebox.css"
    built = rule.build({name: SAMPLE.get(name, 1) for name in rule.arguments})
    assert built is not None
    return built[1]


def test_the_walk_meets_the_routes_that_there_are(house: House) -> None:
    routes = list(all_routes(house))
    endpoints = {route.endpoint for route in routes}
    assert endpoints >= NEEDS_NO_LOGIN | FOR_THE_GATE_TOO
    assert {"web.devices", "web.attention", "web.log", "web.lists", "web.health", "web.backup"} <= endpoints
    assert len(routes) > 35
    assert set(OPEN) == NEEDS_NO_LOGIN


def test_who_has_not_logged_in_gets_to_no_page(house: House) -> None:
    before = house.deeds()
    browser = house.browser()
    token = browser.token()
    for route in all_routes(house):
        if route.endpoint in NEEDS_NO_LOGIN:
            continue
        if route.method == "GET":
            response = browser.get(route.path, 302)
        else:
            response = browser.send(route.path, 302, {"csrf_token": token})
        assert response.headers["Location"].partition("?")[0] == "/login", route
        assert "Ada" not in response.text
    assert house.deeds() == before
    assert house.checkins() == []


def test_the_gate_gets_to_its_own_pages_alone(house: House, gate: Browser) -> None:
    before = house.deeds()
    token = gate.token()
    for route in all_routes(house):
        if route.endpoint in NEEDS_NO_LOGIN | FOR_THE_GATE_TOO:
            continue
        if route.method == "GET":
            response = gate.get(route.path, 403)
        else:
            response = gate.send(route.path, 403, {"csrf_token": token, "reason": "because"})
        assert "Only the lead" in response.text, route
    assert house.deeds() == before
    assert house.box.store.devices.named("Gate 1")
    assert not house.list_.is_paused


def test_the_pages_of_the_gate_open_for_it(house: House, gate: Browser) -> None:
    for route in all_routes(house):
        if route.endpoint in FOR_THE_GATE_TOO and route.method == "GET":
            gate.get(route.path)


def test_the_lead_gets_to_every_page(house: House, lead: Browser) -> None:
    for route in all_routes(house):
        if route.method == "GET" and route.endpoint not in NEEDS_NO_LOGIN:
            lead.get(route.path)


@pytest.mark.parametrize("sent", [{}, {"csrf_token": ""}, {"csrf_token": "made up"}])
def test_no_change_is_made_without_the_proof_that_our_own_form_asked_for_it(
    house: House, lead: Browser, sent: dict[str, str]
) -> None:
    before = house.deeds()
    fields = {"reason": "because", "text": "a note", "name": "Gate 1", "list": "1", "role": "gate"}
    for route in all_routes(house):
        if route.method == "POST":
            response = lead.send(route.path, 400, {**fields, **sent})
            assert "too old" in response.text, route
            lead.send(route.path, 400, None, json={"secret": "secret-of-ada", "nonce": "n"})
    assert house.deeds() == before
    assert house.checkins() == []
    assert house.box.store.devices.named("Gate 1")
    assert lead.is_in(), "nor was anybody logged out"


def test_the_proof_of_one_browser_is_none_in_another(house: House, lead: Browser) -> None:
    other = house.person(Role.GATE)
    lead.send("/sync", 400, {"csrf_token": other.token()})


def test_the_proof_counts_in_a_header_too(house: House, lead: Browser) -> None:
    lead.send("/sync", 302, None, headers={"X-CSRFToken": lead.token()})


def test_nothing_is_changed_by_looking(house: House, lead: Browser) -> None:
    """No GET of any page does what a POST is for."""
    house.scan("secret-of-ada")
    before = (house.deeds(), house.checkins(), house.list_.is_paused, len(house.box.store.devices.all()))
    for route in all_routes(house):
        lead.client.get(route.path)
    assert (house.deeds(), house.checkins(), house.list_.is_paused, len(house.box.store.devices.all())) == before
