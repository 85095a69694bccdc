"""A store that cannot be written: checks are answered in words that the app shows, and everything else goes on."""

from __future__ import annotations

import pytest

from tests.pretixscan.gate import Gate
from tests.store.venue import full_disk
from tests.support.box import wait_until
from tests.support.event import StubEvent
from tests.support.pretixscan import Abort, App


def test_while_nothing_can_be_written_a_check_says_so_and_the_rest_goes_on(gate: Gate) -> None:
    event = StubEvent()
    event.add_tickets(3, "tick")
    list_ = gate.add_saved(event)
    app, unused = gate.phone(list_), gate.add_device("Gate 2", list_)
    assert app.check("tick000000").type == "VALID"
    with full_disk():
        for way in ("ENTRY", "EXIT"):
            refused = app.check("tick000001", way)
            assert (refused.type, refused.is_error_card, refused.scan_type) == ("ERROR", False, way)
            assert "nothing was recorded" in str(refused.reason_explanation).lower()
            assert "database" in str(refused.reason_explanation)
            assert (refused.ticket, refused.is_checkin_allowed) == (None, False)
        assert app.check_single("democon", list_.id, "tick000001").type == "ERROR"
        assert app.check("tick000000").type == "USED", "what needs no room on the disk is told as ever"
        assert app.check("nobody").type == "INVALID"
        assert [each.is_redeemed for each in app.search("tick")] == [True, False, False]
        status = app.status()["democon"]
        assert (status.already_scanned, status.currently_inside, status.total_tickets) == (1, 1, 3)
        app.sync()
        assert len(app.events()) == 1
        with pytest.raises(Abort, match="503"):
            App.from_qr(unused).first_start()
        app.upgrade("3.4.0")
        app.sync()
        assert [str(error) for error in app.ignored] == ["POST device/update: server error 503"]
    wait_until(lambda: app.check("tick000001").type == "VALID", 30, "the box writes again")
    assert [checkin.secret for checkin in gate.checkins()] == ["tick000000", "tick000001"]
    app.sync()
    phone = gate.device().phone
    assert phone is not None
    assert phone.software_version == "3.4.0", "told again until the box has heard it"
    App.from_qr(unused).first_start()
