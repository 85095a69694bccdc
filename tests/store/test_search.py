"""Search, counts and downloads as the store gives them: nothing that has a name becomes unfindable."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgebox.store.folding import fold
from edgebox.store.tickets import Count
from tests.store.venue import SHIRT, TICKET, Venue, told

# --- folding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("lukasz", "Łukasz"),
        ("ŁUKASZ", "łukasz"),
        ("strasse", "Straße"),
        ("STRASSE", "Straße"),
        ("straße", "STRASSE"),
        ("istanbul", "İstanbul"),
        ("isik", "Işık"),
        ("zoe", "Zoë"),
        ("Zoë", "Zoe"),
        ("jose", "Jose\u0301"),
        ("José", "Jose\u0301"),
        ("nguyen", "Nguyễn"),
        ("søren", "Soren"),
        ("thorir", "Þórir"),
        ("oedipe", "Œdipe"),
        ("иван", "ИВАН"),
        ("ivan", "Иван"),
        ("γιώργος", "ΓΙΏΡΓΟΣ"),
        ("李小龙", "李小龙"),
        ("lixiaolong", "李小龙"),
        ("ギター", "ｷﾞﾀｰ"),
        ("mhz", "㎒"),
        ("alice", "𝐀𝐥𝐢𝐜𝐞"),
        ("muller", "Mül\u00adler"),
        ("❤", "❤\ufe0f"),
        ("🦊", "🦊"),
    ],
)
def test_text_is_found_without_case_and_without_accents(typed: str, name: str) -> None:
    assert fold(typed) in fold(f"Dr. {name} Jr.")


def test_every_character_folds_alike_in_either_case_and_every_form_and_only_what_is_unseen_to_nothing() -> None:
    for number in range(0x110000):
        character = chr(number)
        category = unicodedata.category(character)
        if category in ("Cs", "Cn", "Co"):
            continue
        folded = fold(character)
        variants = {
            character.upper(),
            character.lower(),
            character.title(),
            unicodedata.normalize("NFC", character),
            unicodedata.normalize("NFD", character),
            folded,
        }
        assert all(fold(variant) == folded for variant in variants - {character}), hex(number)
        if not folded:
            is_half_a_mark = unicodedata.decomposition(character).startswith("<narrow>")
            assert category in ("Mn", "Mc", "Me", "Cf") or is_half_a_mark, hex(number)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(texts, texts, texts)
def test_a_part_of_a_text_folds_to_a_part_of_its_fold(before: str, part: str, after: str) -> None:
    assert fold(part) in fold(before + part + after)


@given(texts)
@example("ǰ")
@example("ᾳ")
def test_shouting_finds_the_same(text: str) -> None:
    assert fold(text.upper()) == fold(text)


# --- search -----------------------------------------------------------------------------------------------------------

QUOTED = 'O"Brien'


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """Guests to look for; nothing here changes them."""
    venue = Venue(tmp_path_factory.mktemp("crowd"))
    names: dict[str, str | None] = {
        "Abc123-first": "Łukasz Żółć",
        "abc123-SECOND": "Ada Lovelace",
        "%percent_": "100%_sure",
        "quoted'1": QUOTED,
        "quoted'2": "D'Angelo",
        "chinese1": "李小龙",
        "nameless": None,
        "shirt001": "Ada Lovelace",
        "star*one": "NEAR(a b) AND c*",
    }
    venue.pull(
        *(
            told(secret, attendee_name=name, order_code=f"C0DE{number}", item_id=SHIRT if number == 7 else TICKET)
            for number, (secret, name) in enumerate(names.items())
        ),
        told("withdrawn", attendee_name="Ada Withdrawn"),
    )
    venue.pull(
        *(
            told(secret, attendee_name=name, order_code=f"C0DE{number}", item_id=SHIRT if number == 7 else TICKET)
            for number, (secret, name) in enumerate(names.items())
        )
    )
    venue.scan("abc123-SECOND")
    yield venue
    venue.close()


def found(
    venue: Venue, query: str, *, item_ids: frozenset[int] | None = None, by_name: bool = True, limit: int = 25
) -> list[str]:
    results = venue.store.tickets.search(venue.list_, query, item_ids=item_ids, by_name=by_name, limit=limit)
    return [each.ticket.data.secret for each in results]


@pytest.mark.parametrize(
    ("query", "secrets"),
    [
        ("lukasz", ["Abc123-first"]),
        ("UKAS", ["Abc123-first"]),
        ("zolc", ["Abc123-first"]),
        ("sz Żó", ["Abc123-first"]),
        ("lovelace", ["abc123-SECOND", "shirt001"]),
        ("ABC123-", ["abc123-SECOND", "Abc123-first"]),
        ("bc123", []),
        ("c0de2", ["%percent_"]),
        ("ode2", []),
        ("%per", ["%percent_"]),
        ("%%%%", []),
        ("____", []),
        ("100%", ["%percent_"]),
        ("%_su", ["%percent_"]),
        ("quoted'", ["quoted'2", "quoted'1"]),
        ('o"brien', ["quoted'1"]),
        ("d'ang", ["quoted'2"]),
        ('""""', []),
        ("near(a", ["star*one"]),
        ("c* AND", []),
        ("b) and c*", ["star*one"]),
        ("star*", ["star*one"]),
        ("小龙", ["chinese1"]),  # six Latin letters
        ("李小龙", ["chinese1"]),
        ("nameless", ["nameless"]),
        ("withdrawn", []),
        ("None", []),
        ("", []),
        ("    ", []),
        ("\0\0\0\0", []),
        ("ada\0", []),
        ("abc123-second\0", []),
        ("x" * 10_000, []),
    ],
)
def test_search_by_the_start_of_secret_or_order_or_any_part_of_a_name(
    crowd: Venue, query: str, secrets: list[str]
) -> None:
    assert found(crowd, query) == secrets


def test_without_names_only_the_start_of_the_secret_counts(crowd: Venue) -> None:
    assert found(crowd, "abc123-first", by_name=False) == ["Abc123-first"]
    for query in ("lukasz", "c0de0", "bc123"):
        assert found(crowd, query, by_name=False) == []


def test_search_lists_only_what_the_device_may_scan(crowd: Venue) -> None:
    assert found(crowd, "lovelace", item_ids=frozenset({SHIRT})) == ["shirt001"]
    assert found(crowd, "lovelace", item_ids=frozenset({TICKET, SHIRT})) == ["abc123-SECOND", "shirt001"]
    assert found(crowd, "lovelace", item_ids=frozenset()) == []


def test_search_gives_no_more_than_asked_for(crowd: Venue) -> None:
    assert found(crowd, "lovelace", limit=1) == ["abc123-SECOND"]


def test_search_says_who_is_in(crowd: Venue) -> None:
    results = crowd.store.tickets.search(crowd.list_, "lovelace", item_ids=None, by_name=True, limit=25)
    assert [each.is_redeemed for each in results] == [True, False]


def test_a_renamed_guest_is_found_by_the_new_name_alone(venue: Venue) -> None:
    venue.pull(told(attendee_name="Before"))
    venue.pull(told(attendee_name="Afterwards"))
    assert found(venue, "before") == []
    assert found(venue, "afterw") == ["t1"]
    venue.pull(told(attendee_name=None))
    assert found(venue, "afterw") == []


def test_search_looks_into_its_own_list_alone(venue: Venue) -> None:
    venue.pull(told(attendee_name="Ada Lovelace"))
    first = venue.list_id
    venue.list_id = venue.add_list().id
    venue.pull(told("t2", attendee_name="Ada Lovelace"))
    assert found(venue, "lovelace") == ["t2"]
    venue.store.lists.remove(first, venue.now)
    assert found(venue, "lovelace") == ["t2"]


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A venue for one guest, whose name changes."""
    venue = Venue(tmp_path_factory.mktemp("guest"))
    yield venue
    venue.close()


@settings(max_examples=40, deadline=None)
@given(names, st.data())
def test_no_guest_is_unfindable(guest: Venue, name: str, data: st.DataObject) -> None:
    guest.pull(told(attendee_name=f"Ada {name} Lovelace"))
    start = data.draw(st.integers(0, len(name) - 1))
    part = name[start : data.draw(st.integers(start + 1, len(name)))]
    for query in (part, part.upper(), f"a {name} l"):
        # (Fewer than three Latin letters are not looked for within names.)
        assert found(guest, query) == ["t1"] or len(fold(query)) < 3, query


# --- counts and downloads ---------------------------------------------------------------------------------------------


def test_counts_leave_out_the_withdrawn_and_those_neither_paid_nor_allowed(venue: Venue) -> None:
    everyone = [
        told("in", redeemed=True),
        told("out"),
        told("pending", is_paid=False, checkin_allowed=True),
        told("unpaid", is_paid=False, checkin_allowed=False, redeemed=True),
        told("red", item_id=SHIRT, variation_id=1),
        told("blue", item_id=SHIRT, variation_id=2, redeemed=True),
        told("withdrawn", redeemed=True),
    ]
    venue.pull(*everyone)
    venue.pull(*everyone[:-1])
    counts = venue.store.tickets.counts(venue.list_)
    assert counts.all == Count(total=5, checkins=2, inside=2)
    assert counts.by_item == {TICKET: Count(3, 1, 1), SHIRT: Count(2, 1, 1)}
    assert counts.by_variation == {(SHIRT, 1): Count(1, 0), (SHIRT, 2): Count(1, 1, 1)}
    downloaded = {each.ticket.data.secret: each.is_redeemed for each in venue.store.tickets.counted(venue.list_, None)}
    assert downloaded == {"in": True, "out": False, "pending": False, "red": False, "blue": True}
    shirts = venue.store.tickets.counted(venue.list_, frozenset({SHIRT}))
    assert [each.ticket.data.secret for each in shirts] == ["red", "blue"]


def test_a_ticket_counts_once_however_often_it_was_forced(venue: Venue) -> None:
    venue.pull(told(redeemed=True))
    for _ in range(3):
        venue.scan(is_forced=True)
    venue.settle()
    venue.scan(is_forced=True)
    assert venue.store.tickets.counts(venue.list_).all == Count(1, 1, 1)


def test_counts_and_downloads_show_one_state_whatever_is_written_meanwhile(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    download = venue.store.tickets.counted(venue.list_, None)
    first = next(download)
    assert not first.is_redeemed
    venue.scan("t2")
    assert [each.is_redeemed for each in download] == [False]
    assert not venue.store.reading().in_transaction


def test_an_abandoned_download_leaves_no_reader_in_the_past(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    for _ in range(3):
        download = venue.store.tickets.counted(venue.list_, None)
        next(download)
        download.close()  # type: ignore[attr-defined]
        assert not venue.store.reading().in_transaction
    with contextlib.suppress(ZeroDivisionError):
        for _each in venue.store.tickets.counted(venue.list_, None):
            raise ZeroDivisionError
    assert not venue.store.reading().in_transaction
    venue.scan("t1")
    assert venue.is_in("t1")
