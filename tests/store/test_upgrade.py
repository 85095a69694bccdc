"""A database on which an evening was run by an earlier version becomes today's, and loses nothing."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.instants import to_text
from edgebox.model import (
    App,
    Catalog,
    CheckInState,
    Direction,
    Event,
    Item,
    Option,
    Phone,
    Question,
    Subevent,
    Variation,
)
from edgebox.store import migrations
from edgebox.store.db import DATABASE_NAME, Connection, connect
from edgebox.store.devices import NewDevice, foreign_repeats, session_digest, tallies
from edgebox.store.staff import Role
from tests.store.venue import EIGHT, LET_IN, Venue

STATES = ("pending", "settled", "parked", "dismissed")


@pytest.fixture
def venue(tmp_path: Path) -> Venue:
    """Today's venue on a database of the first schema, with a check-in in each state and attempts of all kinds."""
    with closing(connect(tmp_path / DATABASE_NAME)) as connection:
        migrations.apply(connection, migrations.all_steps()[:1])
        run_an_evening(connection)
        assert migrations.applied(connection) == 1
    return Venue(tmp_path)


def run_an_evening(connection: Connection) -> None:
    at = to_text(EIGHT)
    connection.execute("UPDATE counter SET value = 50")
    connection.execute(
        "INSERT INTO source (kind, url, credential, told)"
        " VALUES ('pretixdroid', 'http://upstream.example/pretixdroid/api/demoorga/democon/', 'KEY', 10)"
    )
    connection.execute(
        "INSERT INTO list (source_id, organizer, event, name, added_at) VALUES (1, 'demoorga', 'democon', 'Main', ?)",
        (at,),
    )
    connection.execute(
        "INSERT INTO device (name, key, allow_search, show_info, added_at) VALUES ('Gate 1', 'KEY', 1, 1, ?)", (at,)
    )
    connection.execute("INSERT INTO device_list VALUES (1, 1)")
    for number, state in enumerate(("", *STATES), start=1):
        connection.execute(
            "INSERT INTO ticket (source_id, secret, order_code, item_id, attention, is_paid, checkin_allowed,"
            " addons_text, told, folded_name, folded_secret, folded_code)"
            " VALUES (1, ?, 'ABCDE', 10, 0, 1, 1, '', 10, '', ?, 'abcde')",
            (f"t{number}", f"t{number}"),
        )
        if state:
            connection.execute(
                "INSERT INTO checkin (list_id, ticket_id, device_id, secret, nonce, datetime, stamp, received_at,"
                " boot_id, boottime_s, is_forced, is_offline, ignores_unpaid, answers, state, settled_number)"
                " VALUES (1, ?, 1, ?, ?, ?, 'trusted', ?, 'boot', 1.0, 0, 0, 0, '{}', ?, ?)",
                (number, f"t{number}", f"n{number}", at, at, state, 20 if state == "settled" else None),
            )
    for number, (verdict, is_forced, count) in enumerate(
        [("already_redeemed", 0, 1), ("unknown_ticket", 1, 5), ("ok", 0, 2)], start=7
    ):
        connection.execute(
            "INSERT INTO attempt (id, list_id, device_id, ticket_id, secret, nonce, verdict, is_forced, at, last_at,"
            " count) VALUES (?, 1, 1, 2, 't2', ?, ?, ?, ?, ?, ?)",
            (number, f"a{number}", verdict, is_forced, at, to_text(EIGHT + timedelta(minutes=1)), count),
        )


def test_the_journal_is_as_it_was(venue: Venue) -> None:
    assert [row.checkin.state for row in venue.journal] == [CheckInState(state) for state in STATES]
    assert {row.checkin.device_name for row in venue.journal} == {"Gate 1"}
    assert {(row.checkin.staff_reason, row.cancellation) for row in venue.journal} == {(None, None)}
    assert [checkin.secret for checkin in venue.pending()] == ["t2"]
    assert not venue.is_in("t1")
    for secret in ("t2", "t3", "t4", "t5"):
        assert venue.is_in(secret)
    venue.close()


def test_the_attempts_are_as_they_were(venue: Venue) -> None:
    rows = venue.store.reading().execute("SELECT * FROM attempt ORDER BY id").fetchall()
    assert [(row["id"], row["device_id"], row["nonce"], row["verdict"], row["count"]) for row in rows] == [
        (7, 1, "a7", "already_redeemed", 1), (8, 1, "a8", "unknown_ticket", 5), (9, 1, "a9", "ok", 2),
    ]  # fmt: skip
    assert foreign_repeats(venue.store.reading()) == {1: 1}
    assert tallies(venue.store.reading())[1].refusals == 6
    assert len(venue.log(secret="t2")) == 4
    venue.close()


def test_repeats_go_on_raising_the_count_and_ids_go_on(venue: Venue) -> None:
    venue.scan("t2", nonce="a7")
    venue.scan("nobody", nonce="new")
    venue.close()
    with closing(connect(venue.data_dir / DATABASE_NAME)) as connection:
        rows = connection.execute("SELECT id, count FROM attempt WHERE nonce IN ('a7', 'new')").fetchall()
    assert [tuple(row) for row in rows] == [(7, 2), (10, 1)]


def test_scanning_and_undoing_go_on(venue: Venue) -> None:
    assert venue.scan("t1") is LET_IN
    assert venue.store.journal.is_undoable(venue.checkin)
    venue.store.journal.undo(venue.checkin.id, "Bea", "wrong guest", EIGHT)
    assert not venue.is_in("t1")
    assert not venue.store.journal.is_undoable(venue.pending()[0]), "upstream may know of last night's"
    venue.close()


def test_no_list_is_paused_and_nobody_has_a_password(venue: Venue) -> None:
    assert [list_.is_paused for list_ in venue.store.lists.all()] == [False]
    assert {venue.store.staff.credential(role).password_hash for role in Role} == {None}
    venue.close()


def test_what_refers_to_what_is_whole(venue: Venue) -> None:
    venue.close()
    is_whole_and_todays(venue.data_dir)


def is_whole_and_todays(data_dir: Path) -> None:
    with closing(connect(data_dir / DATABASE_NAME)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        fresh = connect(data_dir / "fresh.sqlite3")
        migrations.apply(fresh)
        schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        assert list(map(tuple, connection.execute(schema))) == list(map(tuple, fresh.execute(schema)))
        fresh.close()


# --- from the schema before a second dialect of devices ---------------------------------------------------------------

OLD_CATALOG = """
{"version": 9,
 "event": {"name": "Größe", "list_name": null, "subevent": null, "date_from": "2026-11-24T20:00:00Z", "date_to": null,
           "timezone": "Europe/Berlin", "url": null, "organizer_name": "Ö", "date_admission": "2026-11-24T19:00:00Z"},
 "items": [{"id": 10, "name": "Ticket", "is_admission": true, "attention": true, "checkin_text": "Hi",
            "variations": [{"id": 4, "name": "Rot", "attention": false, "checkin_text": null}]}],
 "questions": [{"id": 3, "type": "C", "text": "Was?", "is_required": true, "position": 1, "item_ids": [10],
                "options": [{"id": 8, "text": "Ja"}]}],
 "subevents": [{"id": 5, "name": "Friday", "date_from": null, "date_to": null, "date_admission": null}],
 "signature_keys": ["KEY"]}
"""
OLD_TERMS = """
{"item_ids": null, "subevent": null, "include_pending": false, "allow_multiple_entries": false,
 "allow_entry_after_exit": true, "exit_all_at": null, "addon_match": false, "rules": {}}
"""
"""As that version wrote them."""


@pytest.fixture
def fourth(tmp_path: Path) -> Venue:
    """Today's venue on a database of the fourth schema, on which two lists of today's pretix had been run, too."""
    with closing(connect(tmp_path / DATABASE_NAME)) as connection:
        migrations.apply(connection, migrations.all_steps()[:1])
        run_an_evening(connection)
        migrations.apply(connection, migrations.all_steps()[:4])
        run_another_evening(connection)
        assert migrations.applied(connection) == 4
    return Venue(tmp_path)


def run_another_evening(connection: Connection) -> None:
    at = to_text(EIGHT)
    connection.execute(
        "INSERT INTO connection (url, credential, organizer, device_name, device_serial, security_profile,"
        " server_version, paired_at) VALUES ('https://p.example/', 'T', 'demoorga', 'box', 'S', 'pretixscan', '', ?)",
        (at,),
    )
    connection.execute(
        "INSERT INTO source (kind, url, credential, told, catalog, connection_id, event)"
        " VALUES ('pretix', '', '', 10, ?, 1, 'democon')",
        (OLD_CATALOG,),
    )
    connection.execute(
        "INSERT INTO list (source_id, organizer, event, name, added_at, upstream_list, terms)"
        " VALUES (2, 'demoorga', 'democon', 'Doors', ?, 7, ?)",
        (at, OLD_TERMS),
    )
    connection.execute(
        "INSERT INTO device (name, key, allow_search, show_info, added_at, revoked_at)"
        " VALUES ('Gate 2', 'LOST', 1, 1, ?, ?)",
        (at, at),
    )
    connection.execute(
        "INSERT INTO ticket (source_id, secret, order_code, item_id, attention, is_paid, checkin_allowed, addons_text,"
        " told, folded_name, folded_secret, folded_code, position_id)"
        " VALUES (2, 'p1', 'ABCDE', 10, 0, 1, 1, '', 10, '', 'p1', 'abcde', 1)"
    )
    for number, direction in enumerate(("entry", "exit")):
        connection.execute(
            "INSERT INTO checkin (list_id, ticket_id, device_id, secret, nonce, datetime, stamp, received_at, boot_id,"
            " boottime_s, is_forced, is_offline, ignores_unpaid, answers, state, direction)"
            " VALUES (2, 6, 1, 'p1', ?, ?, 'trusted', ?, 'boot', 1.0, 0, 0, 0, '{}', 'pending', ?)",
            (f"p{number}", to_text(EIGHT + timedelta(minutes=number)), at, direction),
        )


def test_devices_go_on_with_the_app_and_the_keys_that_they_had(fourth: Venue) -> None:
    gate, lost = fourth.store.devices.all()
    assert fourth.store.devices.by_key("KEY") == gate
    assert fourth.store.devices.by_key("LOST") is None
    for device in (gate, lost):
        assert (device.app, device.setup_token, device.phone, device.is_to_wipe) == (
            App.PRETIXDROID, None, None, False,
        )  # fmt: skip
        assert fourth.store.devices.by_session(device.key) is None
    assert (lost.name, lost.revoked_at) == ("Gate 2", EIGHT)
    fourth.close()


def test_a_device_of_the_new_app_can_be_added_beside_them(fourth: Venue) -> None:
    nobody, list_ids = session_digest("nobody's"), (1, 2)
    new = NewDevice("Phone", nobody, list_ids, None, True, True, app=App.PRETIXSCAN, setup_token="TOKEN")
    fourth.store.devices.add(new, EIGHT)
    phone = Phone("a", "b", "c", "d", EIGHT)
    assert fourth.store.devices.begin_session("TOKEN", session_digest("key"), phone) is not None
    fourth.close()


def test_what_was_pending_is_so_and_exits_that_upstream_knows_are_still_pushed(fourth: Venue) -> None:
    doors = fourth.store.lists.all()[1]
    waiting = fourth.store.journal.pending(doors.id, after_id=0, limit=9, choked=False)
    assert [(checkin.direction, checkin.nonce) for checkin in waiting] == [
        (Direction.ENTRY, "p0"), (Direction.EXIT, "p1"),
    ]  # fmt: skip
    counts = fourth.store.tickets.counts(doors).all
    assert (counts.total, counts.checkins, counts.inside) == (1, 1, 0)
    fourth.close()


def test_where_upstream_knows_none_an_exit_can_be_recorded_now(fourth: Venue) -> None:
    assert fourth.inside() == {"t2", "t3", "t4", "t5"}
    assert fourth.scan("t3", direction=Direction.EXIT) is LET_IN
    assert fourth.checkin.state is CheckInState.KEPT
    assert fourth.inside() == {"t2", "t4", "t5"}
    fourth.close()


def test_what_upstream_had_told_of_the_event_is_read_as_it_was_meant(fourth: Venue) -> None:
    """Questions that were kept were all asked at the door."""
    assert fourth.store.lists.all()[1].catalog == Catalog(
        version=9,
        event=Event(
            "Größe",
            date_from="2026-11-24T20:00:00Z",
            timezone="Europe/Berlin",
            organizer_name="Ö",
            date_admission="2026-11-24T19:00:00Z",
            locale="en",
        ),
        items=(Item(10, "Ticket", True, (Variation(4, "Rot"),), True, "Hi"),),
        questions=(
            Question(
                3, "C", "Was?", True, 1, frozenset({10}), (Option(8, "Ja", ""),), "", is_asked=True, is_shown=False
            ),
        ),
        subevents=(Subevent(5, "Friday"),),
        signature_keys=("KEY",),
    )
    fourth.close()


def test_the_fourth_schema_becomes_todays(fourth: Venue) -> None:
    fourth.close()
    is_whole_and_todays(fourth.data_dir)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    number, name, sql = migrations.all_steps()[1]
    with closing(connect(tmp_path / DATABASE_NAME)) as connection:
        migrations.apply(connection, migrations.all_steps()[:1])
        run_an_evening(connection)
        with pytest.raises(Exception, match="no such table: nowhere"):
            migrations.apply(connection, [(number, name, sql + "\nINSERT INTO nowhere VALUES (1);\n")])
        assert migrations.applied(connection) == 1
        assert connection.execute("SELECT count(*) FROM attempt").fetchone()[0] == 3
    venue = Venue(tmp_path)
    assert len(venue.journal) == len(STATES)
    venue.close()
