"""Connecting the box with today's pretix, and registering its lists: what is kept, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgebox.box import ActionError, Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import RedeemRequest
from edgebox.store import Refused
from edgebox.upstream import BadAddress, Closed, Unreachable, UpstreamError
from tests.support.pretix import (
    EVENT,
    INVALID_TOKEN,
    NO_PERMISSION,
    PretixStub,
    Request,
    Response,
    check_in_list,
    order,
    page_of_html,
    position,
)

Open = Callable[[], Box]


@pytest.fixture
def pretix() -> Iterator[PretixStub]:
    """A scripted pretix, listening."""
    stub = PretixStub()
    stub.lists.append(check_in_list(2, "VIP", all_products=False, limit_products=[99]))
    stub.orders.append(order("A", position(1), position(2)))
    try:
        yield stub
    finally:
        stub.stop()
    assert not stub.errors, f"the stub itself went wrong: {stub.errors}"


@pytest.fixture
def open_box(tmp_path: Path) -> Iterator[Open]:
    opened: list[Box] = []

    def open_one() -> Box:
        if opened:
            opened[-1].close()
        config = Config(data_dir=tmp_path, connect_timeout_s=5.0, read_timeout_s=5.0, backoff_max_s=0.1)
        opened.append(Box(config, Clock(system_synchronised=lambda: True)))
        return opened[-1]

    yield open_one
    opened[-1].close()


@pytest.fixture
def box(open_box: Open) -> Box:
    return open_box()


@pytest.fixture
def connected(box: Box, pretix: PretixStub) -> Box:
    box.connect(pretix.url, pretix.init_token)
    return box


def new_device(pretix: PretixStub) -> str:
    """An organizer makes another device; its token."""
    pretix.api_token, pretix.init_token, pretix.token_was_used = "second-device-token", "ijklmnop12345678", False
    return pretix.init_token


def scan(box: Box, list_id: int, secret: str) -> bool:
    device = next(each for each in box.store.devices.all() if list_id in each.list_ids)
    return box.redeem(device, box.get_list(list_id), RedeemRequest(secret)).verdict.is_ok


# --- connecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_qr", [True, False])
def test_the_box_becomes_a_device_by_address_or_qr_code(box: Box, pretix: PretixStub, is_qr: bool) -> None:
    pretix.gate = {"id": 5, "name": "Main", "identifier": "MAIN"}
    if is_qr:
        text = f'{{"handshake_version":1,"url":"{pretix.url}","token":"{pretix.init_token}"}}'
        connection, forbidden = box.connect(text)
    else:
        connection, forbidden = box.connect(pretix.url.rstrip("/"), pretix.init_token)
    assert forbidden is None
    assert (connection.url, connection.organizer, connection.device_name) == (pretix.url, "demoorga", "box")
    assert (connection.security_profile, connection.server_version, connection.gate_id) == ("pretixscan", "2026.8.0", 5)
    assert box.store.connections.all() == (connection,)
    (status,) = box.connections()
    assert status.links == ()


def test_what_pretix_tells_once_is_on_the_disk_before_anything_else(
    box: Box, pretix: PretixStub, open_box: Open
) -> None:
    pretix.on("device/info", page_of_html(502))
    connection, _ = box.connect(pretix.url, pretix.init_token)
    assert connection.server_version == ""
    pretix.off()
    again = open_box()
    (kept,) = again.store.connections.all()
    assert kept.credential == pretix.api_token
    assert [offer.offered.list_id for offer in again.offers()] == [1, 2]


def test_a_token_that_was_used_says_so_and_changes_nothing(connected: Box, pretix: PretixStub) -> None:
    before = connected.store.connections.all()
    with pytest.raises(UpstreamError, match="already been used"):
        connected.connect(pretix.url, pretix.init_token)
    assert connected.store.connections.all() == before
    assert connected.offers()


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("tickets.example.org", "abcdefgh12345678"),
        ("https://tickets.example.org/", None),
        ("https://tickets.example.org/", "not a token!"),
        ('{"url": "https://tickets.example.org/"}', None),
        ("{", None),
        ('{"handshake_version":2,"url":"https://tickets.example.org/","token":"abc"}', None),
    ],
)
def test_what_cannot_be_an_invitation_is_refused_at_once(box: Box, text: str, token: str | None) -> None:
    with pytest.raises(BadAddress):
        box.connect(text, token)
    assert box.store.connections.all() == ()


def test_a_pretix_that_is_not_there_leaves_nothing_behind(box: Box, pretix: PretixStub) -> None:
    pretix.stop()
    with pytest.raises(Unreachable):
        box.connect(pretix.url, pretix.init_token)
    assert box.store.connections.all() == ()


def test_what_a_narrow_profile_forbids_is_said(box: Box, pretix: PretixStub) -> None:
    pretix.profile = "pretixscan_online_noorders"
    _, forbidden = box.connect(pretix.url, pretix.init_token)
    assert "download orders" in (forbidden or "")
    (status,) = box.connections()
    assert status.forbidden == forbidden


def test_no_token_and_no_credential_is_in_the_log_or_in_an_error(
    connected: Box, pretix: PretixStub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UpstreamError) as refused:
        connected.connect(pretix.url, pretix.init_token)
    connected.add_offered(EVENT, 1)
    pretix.on("organizers/", INVALID_TOKEN)
    connected.sync_now()
    said = caplog.text + str(refused.value) + repr(connected.store.connections.all()) + repr(connected.connections())
    assert pretix.init_token not in said
    assert pretix.api_token not in said


# --- registering lists ------------------------------------------------------------------------------------------------


def test_what_is_offered_says_what_is_on_the_box(connected: Box) -> None:
    assert [(each.offered.list_id, each.offered.name, each.list_id) for each in connected.offers()] == [
        (1, "Default", None), (2, "VIP", None),
    ]  # fmt: skip
    list_ = connected.add_offered(EVENT, 2, name="The red carpet")
    assert (list_.name, list_.organizer, list_.event, list_.upstream_list) == ("The red carpet", "demoorga", EVENT, 2)
    assert [each.list_id for each in connected.offers()] == [None, list_.id]


def test_without_a_connection_nothing_is_offered(box: Box) -> None:
    with pytest.raises(ActionError, match="not connected"):
        box.offers()
    with pytest.raises(ActionError, match="there is no connection 7"):
        box.offers(7)


@pytest.mark.parametrize("wanted", [("democon", 7), ("othercon", 1)])
def test_what_is_not_offered_cannot_be_registered(connected: Box, wanted: tuple[str, int]) -> None:
    with pytest.raises(ActionError, match="nothing was added"):
        connected.add_offered(*wanted)
    assert connected.store.lists.all() == ()


def test_a_list_is_registered_once(connected: Box) -> None:
    connected.add_offered(EVENT, 1)
    with pytest.raises(ActionError, match="has as list 1"):
        connected.add_offered(EVENT, 1)
    assert len(connected.store.lists.all()) == 1


def test_a_list_has_its_terms_before_its_first_pull(connected: Box, pretix: PretixStub) -> None:
    """Else it would let in whatever the event has, as long as upstream cannot be asked."""
    connected.add_offered(EVENT, 1)
    connected.sync_now()
    vip = connected.add_offered(EVENT, 2)
    connected.scanners.add("vip", vip.id)
    pretix.on("", page_of_html(502))
    assert vip.terms is not None
    assert vip.catalog is not None
    assert vip.source.id == connected.get_list(1).source.id
    assert not scan(connected, vip.id, "secret1")


def test_of_two_connections_that_offer_a_list_one_has_to_be_named(connected: Box, pretix: PretixStub) -> None:
    pretix.token_was_used = False
    connected.connect(pretix.url, pretix.init_token)
    with pytest.raises(ActionError, match="--connection"):
        connected.add_offered(EVENT, 1)
    assert connected.add_offered(EVENT, 1, connection_id=2).source.connection_id == 2


def test_an_event_that_is_closed_to_the_box_offers_nothing(connected: Box, pretix: PretixStub) -> None:
    pretix.on(f"events/{EVENT}/", NO_PERMISSION)
    assert connected.offers() == []
    pretix.on("organizers/", INVALID_TOKEN)
    with pytest.raises(Closed):
        connected.offers()


# --- pairing anew, and removing ---------------------------------------------------------------------------------------


@pytest.fixture
def registered(connected: Box) -> Box:
    """A box with two lists of one event, pulled."""
    for number in (1, 2):
        list_ = connected.add_offered(EVENT, number)
        connected.scanners.add(f"door {list_.id}", list_.id)
    for synced in connected.sync_now():
        assert synced.problem is None
    return connected


def test_paired_anew_all_lists_go_on_with_the_new_device(registered: Box, pretix: PretixStub) -> None:
    token = new_device(pretix)
    assert all(synced.problem for synced in registered.sync_now()), "the old device is gone"
    connection, _ = registered.connect(pretix.url, token, renew_id=1)
    assert (connection.id, connection.credential) == (1, pretix.api_token)
    assert len(registered.store.connections.all()) == 1
    pretix.orders.append(order("B", position(3), made=pretix.now))
    for synced in registered.sync_now():
        assert synced.problem is None, synced
    assert scan(registered, 1, "secret3")
    registered.sync_now()
    assert len(pretix.redeemed) == 1


def test_no_connection_is_paired_anew_while_check_ins_wait(registered: Box, pretix: PretixStub) -> None:
    token = new_device(pretix)
    assert scan(registered, 1, "secret1")
    with pytest.raises(Refused, match="1 check-ins of this connection") as refused:
        registered.connect(pretix.url, token, renew_id=1)
    assert "nothing was changed" in str(refused.value)
    assert not pretix.token_was_used, "the token still works"
    assert registered.store.connections.all()[0].credential == "device-token"


def test_a_check_in_that_comes_while_the_token_is_used_loses_neither(registered: Box, pretix: PretixStub) -> None:
    """The new device is kept, whatever becomes of the renewal: its token works once."""
    token = new_device(pretix)

    def hook(request: Request) -> Response | None:
        assert scan(registered, 1, "secret1")
        return None

    pretix.on("device/initialize", hook)
    with pytest.raises((Refused, ActionError)):
        registered.connect(pretix.url, token, renew_id=1)
    assert pretix.token_was_used
    assert pretix.api_token in {each.credential for each in registered.store.connections.all()}
    assert registered.store.connections.get(1) is not None


def test_another_organizers_device_becomes_a_connection_of_its_own(registered: Box, pretix: PretixStub) -> None:
    token = new_device(pretix)

    def hook(request: Request) -> Response | None:
        own = pretix._initialize(request.json)
        return Response(own.status, own.body.replace("demoorga", "otherorga"))

    pretix.on("device/initialize", hook)
    with pytest.raises(ActionError, match="otherorga"):
        registered.connect(pretix.url, token, renew_id=1)
    assert [each.organizer for each in registered.store.connections.all()] == ["demoorga", "otherorga"]
    assert registered.get_list(1).source.credential == "device-token"


def test_an_unknown_connection_is_not_paired_anew(box: Box, pretix: PretixStub) -> None:
    with pytest.raises(ActionError, match="there is no connection 1"):
        box.connect(pretix.url, pretix.init_token, renew_id=1)
    assert not pretix.token_was_used


def test_a_connection_in_use_is_not_removed_and_a_removed_one_leaves_no_credential(
    registered: Box, tmp_path: Path, pretix: PretixStub
) -> None:
    with pytest.raises(Refused, match="serves 2 lists"):
        registered.disconnect(1)
    for list_id in (1, 2):
        registered.remove_list(list_id)
    registered.disconnect(1)
    assert registered.store.connections.all() == ()
    rows = registered.store.reading().execute("SELECT credential FROM connection").fetchall()
    assert [row["credential"] for row in rows] == [""]
    with pytest.raises(ActionError):
        registered.disconnect(1)


def test_the_other_lists_of_an_event_go_on_after_one_was_removed(registered: Box, pretix: PretixStub) -> None:
    registered.remove_list(1)
    pretix.orders.append(order("B", position(3, item=99), made=pretix.now))
    (synced,) = registered.sync_now()
    assert synced.problem is None
    assert scan(registered, 2, "secret3")
