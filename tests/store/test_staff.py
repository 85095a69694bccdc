"""Staff: a password a role, codes that set one once, sessions that end with it, and the record of what was done."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.store.staff import CODE_ALPHABET, CODE_LENGTH, Deed, Role
from tests.store.venue import EIGHT, Venue, commits_in_wal, full_disk


@pytest.fixture(params=list(Role))
def role(request: pytest.FixtureRequest) -> Role:
    chosen: Role = request.param
    return chosen


def test_at_first_nobody_has_a_password_or_a_code(venue: Venue, role: Role) -> None:
    credential = venue.store.staff.credential(role)
    assert (credential.role, credential.password_hash, credential.code) == (role, None, None)
    assert not venue.store.staff.is_code(role, "")
    assert not venue.store.staff.set_password(role, "hash", code="")
    assert not venue.store.staff.set_password(role, "hash", code="None")


def test_the_code_is_made_when_it_is_first_asked_for_and_stays(venue: Venue, tmp_path: Path) -> None:
    code = venue.store.staff.code(Role.LEAD)
    assert code is not None
    assert re.fullmatch(f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}", code)
    assert len(set(CODE_ALPHABET)) ** CODE_LENGTH > 10**14, "nobody guesses it"
    venue.close()
    again = Venue(tmp_path)
    assert again.store.staff.code(Role.LEAD) == code
    again.close()


def test_no_two_codes_are_the_same(venue: Venue) -> None:
    assert len({venue.store.staff.reset(Role.LEAD) for _ in range(50)}) == 50


def test_a_code_sets_the_password_once(venue: Venue, role: Role) -> None:
    staff = venue.store.staff
    code = staff.code(role)
    assert code is not None
    assert staff.is_code(role, code)
    assert staff.set_password(role, "first", code=code)
    assert not staff.is_code(role, code)
    assert not staff.set_password(role, "second", code=code)
    assert staff.credential(role).password_hash == "first"
    assert staff.code(role) is None, "while a password is set there is none"


@pytest.mark.parametrize("wrong", ["", "-", "AAAAAAAAAA", "ÄÖÜ", "a" * 10_000])
def test_a_wrong_code_sets_nothing(venue: Venue, wrong: str) -> None:
    staff = venue.store.staff
    code = staff.code(Role.LEAD)
    assert not staff.is_code(Role.LEAD, wrong)
    assert not staff.set_password(Role.LEAD, "hash", code=wrong)
    assert (staff.credential(Role.LEAD).password_hash, staff.code(Role.LEAD)) == (None, code)


def test_the_code_of_one_role_is_none_for_the_other(venue: Venue) -> None:
    code = venue.store.staff.reset(Role.GATE)
    assert not venue.store.staff.is_code(Role.LEAD, code)
    assert not venue.store.staff.set_password(Role.LEAD, "hash", code=code)


def test_of_many_with_one_code_one_sets_the_password(venue: Venue) -> None:
    code = venue.store.staff.code(Role.LEAD)
    together = threading.Barrier(8)
    won: list[str] = []

    def one(name: str) -> None:
        together.wait()
        if venue.store.staff.set_password(Role.LEAD, name, code=code):
            won.append(name)

    threads = [threading.Thread(target=one, args=(f"hash {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [venue.store.staff.credential(Role.LEAD).password_hash]


def test_a_new_password_ends_the_sessions_of_its_role_alone(venue: Venue, role: Role) -> None:
    staff = venue.store.staff
    before = {each: staff.credential(each).session for each in Role}
    staff.set_password(role, "hash", code=None)
    after = {each: staff.credential(each).session for each in Role}
    assert {each for each in Role if after[each] != before[each]} == {role}


def test_a_reset_forgets_the_password_ends_the_sessions_and_gives_a_new_code(venue: Venue, role: Role) -> None:
    staff = venue.store.staff
    staff.set_password(role, "hash", code=None)
    before = staff.credential(role)
    code = staff.reset(role)
    after = staff.credential(role)
    assert (after.password_hash, after.code) == (None, code)
    assert after.session > before.session
    assert staff.reset(role) != code
    assert not staff.is_code(role, code), "the one before opens nothing"


def test_nothing_secret_shows_where_a_credential_is_printed(venue: Venue) -> None:
    venue.store.staff.set_password(Role.GATE, "scrypt:hash", code=None)
    code = venue.store.staff.reset(Role.LEAD)
    assert "scrypt" not in repr(venue.store.staff.credential(Role.GATE))
    assert code not in repr(venue.store.staff.credential(Role.LEAD))


def test_what_was_done_is_kept_newest_first(venue: Venue) -> None:
    deeds = [Deed(EIGHT + timedelta(minutes=n), f"Ada {n}", Role.LEAD, "did", f"thing {n}") for n in range(3)]
    for deed in deeds:
        venue.store.staff.did(deed)
    assert venue.store.staff.deeds(10) == deeds[::-1]
    assert venue.store.staff.deeds(2) == [deeds[2], deeds[1]]


def test_the_secret_of_the_sessions_is_made_once(venue: Venue, tmp_path: Path) -> None:
    secret = venue.store.staff.session_secret()
    assert len(secret) == 64
    before = commits_in_wal(venue.data_dir)
    assert venue.store.staff.session_secret() == secret
    assert commits_in_wal(venue.data_dir) == before
    venue.close()
    again = Venue(tmp_path)
    assert again.store.staff.session_secret() == secret
    again.close()


def test_on_a_full_disk_there_is_a_secret_all_the_same(venue: Venue) -> None:
    with full_disk():
        first = venue.store.staff.session_secret()
    assert len(first) == 64
    assert venue.store.staff.session_secret() != first, "it was not kept"
