"""`edgebox address`: where scanners and staff find the box."""

from __future__ import annotations

from tests.cli.conftest import Desk
from tests.support.box import toml
from tests.support.upstream import StubUpstream

HERE, GONE = "http://127.0.0.1:8000", "http://203.0.113.7:8000"


def at(desk: Desk, address: str) -> None:
    desk.data_dir.mkdir(mode=0o700, exist_ok=True)
    (desk.data_dir / "edgebox.toml").write_text(toml({"address": address}))


def test_it_tells_the_address_alone(desk: Desk) -> None:
    at(desk, HERE)
    assert desk.run("address") == f"{HERE}\n"


def test_it_draws_it_for_a_phone(desk: Desk) -> None:
    at(desk, HERE)
    drawn = desk.run("address", "--qr").splitlines()
    assert drawn[-1] == HERE
    assert any("▀▀▀▀▀▀▀" in line for line in drawn)


def test_it_tells_of_phones_that_look_elsewhere(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.add_device()
    at(desk, GONE)
    desk.run("devices", "show", "Gate 1")
    at(desk, HERE)

    outcome = desk.try_("address")
    assert outcome.status == 0
    assert f"does not have the address {GONE} now, and the QR codes of Gate 1 carry it" in outcome.err
    assert desk.json("address", "--json") == {"address": HERE, "lost": {GONE: ["Gate 1"]}}


def test_an_address_that_new_codes_would_carry_in_vain_is_told(desk: Desk) -> None:
    at(desk, GONE)
    assert f"does not have the address {GONE} now, and new QR codes would carry it" in desk.try_("address").err
