"""The bundled demo event: what a ticket server would tell about a small conference.

Pure data: nothing is read, nothing is written, and only the event's dates depend on the day.
The example tickets of the API's own documentation are among the tickets, so that its example requests work as printed.
"""

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DEMO_ORGANIZER = "demoorga"
DEMO_EVENT = "democon"
DEMO_KEY = "ABCDEF"

NAMED_TICKETS: dict[str, str] = {
    "peter_higgs": "az9u4mymhqktrbupmwkvv6xmgds5dk3",
    "fresh": "pcp2hxpzahpbj44rychb67qx7he4usa7",
    "unpaid": "grzx3s9fuh5gq2gzgjcdjzmujhcz2yne",
    "not_allowed": "j53phaehqujhk3j7av7hjpf3kvc4ev97",
    "already_in": "vyf6drtqd6q527paxar3nxgerz4hvbex",
    "attention": "vsz4txggrr69x2nyhsbv3wknrffrq3t7",
    "vip": "kce9ce7fzhwxqtqv3qq98axxa5z8qmn5",
    "questions": "nkda6shr4cu4kbttep94ms94e4v68m7p",
    "parent_with_addons": "myrqmvsrkzukt2trwd6vjs6wa53ph486",
    "addon": "3dveg67tzr8pw65bwvtrhp5cw4yf8zur",
    "tshirt_red": "vvqcq3xa88fsyr73427gdj3j8pfxxmtt",
    "tshirt_blue": "e6vqmx8jzdhbajyxry9qv6n6erp6zsmf",
    "buyer_name": "jyw8e36dzm9qaxm9scwyg8hykqyfthx6",
    "no_name": "6xt43uh6kaa7vqqbr5p3aaxekm77pmxx",
    "unicode": "9hjz3dsqpmdn35ufya8hmvnsweza4a4j",
    "accents": "26n5cjsf8bc5myzgbujdggntrqqsb3eq",
    "apostrophe": "thy3ew345ynv4ehaw6ck443ssmudwgeu",
    "quotes": "7zzcxwt9nm5ndv4uegunsttqhhj5hre8",
    "html": "c59ea7eswmsm73hxgwakaxcw9nhxa859",
    "emoji": "a9udgkbaytecn8fbzt8236ccdhwj9bas",
    "rtl": "46d3k93jt72h8awuc2mnjnjj7ayhk4bj",
    "long_name": "wmgt6bdy7ub6wb9v4hsqqx65bywyv6mw",
}
"""Secrets of tickets to try things with, by what they are. The same for every day and every seed."""

_TICKETS_AT_LEAST = 420
_VERSION = 2
# The alphabets of a real server, which leave out what is easily misread. The documentation's own ABCE6 is no such code.
_CODE_CHARS = "ABCDEFGHJKLMNPQRSTUVWXYZ3789"
_SECRET_CHARS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class _Item:
    id: int
    name: str
    is_admission: bool
    variations: tuple[tuple[int, str], ...] = ()
    needs_attention: bool = False


_TSHIRT = _Item(1, "T-Shirt", False, ((1, "Red"), (2, "Blue")))
_TICKET = _Item(2, "Ticket", True)
_STANDARD = _Item(3, "Standard ticket", True)
_VIP = _Item(4, "VIP", True, needs_attention=True)
_WORKSHOP = _Item(5, "Workshop", True, ((3, "Morning"), (4, "Afternoon")))
_ITEMS = (_TSHIRT, _TICKET, _STANDARD, _VIP, _WORKSHOP)
_ADDON_SETS = ((_TSHIRT,), (_WORKSHOP,), (_TSHIRT, _WORKSHOP), (_TSHIRT, _TSHIRT))
_RED, _BLUE = _TSHIRT.variations
_MORNING, _AFTERNOON = _WORKSHOP.variations


@dataclass(frozen=True)
class _Position:
    secret: str
    item: _Item
    variation: tuple[int, str] | None = None
    name: str | None = None
    is_redeemed: bool = False
    addons: tuple["_Position", ...] = ()


@dataclass(frozen=True)
class _Order:
    code: str
    positions: tuple[_Position, ...]
    buyer: str | None = None
    is_paid: bool = True
    is_checkin_allowed: bool = True
    needs_attention: bool = False


def demo_event(today: dt.date, seed: int = 1) -> dict[str, Any]:
    """What `status/` and `download/` of the demo event's server answer, as `{"status": {...}, "download": {...}}`.

    The event began the day before `today` and lasts until two days after it (UTC); nothing else depends on `today`.
    `seed` chooses the crowd; the tickets in `NAMED_TICKETS` are the same for each. Equal arguments give equal results,
    and each result is the caller's own. Both answers say version 2, as the API's documentation does, while tickets and
    questions have all that version 3 added. Counts are a real server's: of positions paid or allowed to check in.
    """
    orders = (*_named_orders(), *_crowd(random.Random(seed)))
    rows = [row for order in orders for row in _order_rows(order)]
    return {
        "status": _status(rows, today),
        "download": {"results": rows, "questions": _questions(), "version": _VERSION},
    }


def _order_rows(order: _Order) -> Iterator[dict[str, Any]]:
    for position in order.positions:
        name = position.name or order.buyer
        yield _row(order, position, name)
        for addon in position.addons:
            yield _row(order, addon, addon.name or name)


def _row(order: _Order, position: _Position, name: str | None) -> dict[str, Any]:
    variation_id, variation = position.variation or (None, None)
    return {
        "secret": position.secret,
        "order": order.code,
        "item": position.item.name,
        "item_id": position.item.id,
        "variation": variation,
        "variation_id": variation_id,
        "attendee_name": name,
        "redeemed": position.is_redeemed,
        "attention": position.item.needs_attention or order.needs_attention,
        "paid": order.is_paid,
        "checkin_allowed": order.is_checkin_allowed,
        "addons_text": ", ".join(
            f"{addon.item.name} - {addon.variation[1]}" if addon.variation else addon.item.name
            for addon in position.addons
        ),
    }


def _questions() -> list[dict[str, Any]]:
    lunches = ("With fish", "Vegetarian", "Vegan – “à la minute”")
    return [
        {
            "id": 1,
            "type": "C",
            "question": "Which lunch?",
            "required": True,
            "position": 1,
            "items": [_VIP.id, _WORKSHOP.id],
            "options": [{"id": 11 + number, "answer": lunch} for number, lunch in enumerate(lunches)],
        },
        {
            "id": 2,
            "type": "S",
            "question": "What shall stand on your badge?",
            "required": False,
            "position": 2,
            "items": [_VIP.id],
            "options": [],
        },
        {
            "id": 3,
            "type": "T",
            "question": "What should the trainer know?",
            "required": False,
            "position": 3,
            "items": [_WORKSHOP.id],
            "options": [],
        },
    ]


def _status(rows: list[dict[str, Any]], today: dt.date) -> dict[str, Any]:
    counted = [row for row in rows if row["paid"] or row["checkin_allowed"]]
    inside = [row for row in counted if row["redeemed"]]
    totals, checkins = (Counter(row["item_id"] for row in some) for some in (counted, inside))
    totals_by_variation, checkins_by_variation = (
        Counter(row["variation_id"] for row in some) for some in (counted, inside)
    )
    name = "Demo Converence"  # the documentation's own spelling
    return {
        "checkins": len(inside),
        "total": len(counted),
        "version": _VERSION,
        "event": {
            "name": name,
            "list": "Default",
            "slug": DEMO_EVENT,
            # An old server tells the event's name here where the event is no series.
            "subevent": name,
            "date_from": _utc_text(today - dt.timedelta(days=1), dt.time(17)),
            "date_to": _utc_text(today + dt.timedelta(days=2), dt.time(18)),
            "timezone": "UTC",
            "url": f"https://demo.pretix.eu/{DEMO_ORGANIZER}/{DEMO_EVENT}/",
            "organizer": {"name": "Demo Organizer", "slug": DEMO_ORGANIZER},
        },
        "items": [
            {
                "name": item.name,
                "id": item.id,
                "checkins": checkins[item.id],
                "admission": item.is_admission,
                "total": totals[item.id],
                "variations": [
                    {
                        "name": variation,
                        "id": variation_id,
                        "checkins": checkins_by_variation[variation_id],
                        "total": totals_by_variation[variation_id],
                    }
                    for variation_id, variation in item.variations
                ],
            }
            for item in _ITEMS
        ],
    }


def _utc_text(day: dt.date, time: dt.time) -> str:
    return dt.datetime.combine(day, time).isoformat() + "Z"


def _named_orders() -> tuple[_Order, ...]:
    def one(code: str, key: str, item: _Item, name: str | None, **fields: Any) -> _Order:
        return _Order(code, (_Position(NAMED_TICKETS[key], item, name=name),), **fields)

    already_in = _Position(NAMED_TICKETS["already_in"], _TICKET, name="Ingrid Already-Inside", is_redeemed=True)
    parent = _Position(
        NAMED_TICKETS["parent_with_addons"],
        _TICKET,
        name="Paula Parent",
        addons=(
            _Position(NAMED_TICKETS["addon"], _TSHIRT, _RED),
            _Position("sqx2f6eybmr94qrqykg2n2w4wvbpmefy", _WORKSHOP, _AFTERNOON),
        ),
    )
    tshirts = (
        _Position(NAMED_TICKETS["tshirt_red"], _TSHIRT, _RED, name="Cotton Redmond"),
        _Position(NAMED_TICKETS["tshirt_blue"], _TSHIRT, _BLUE, name="Denim Bluett"),
    )
    questions = _Position(NAMED_TICKETS["questions"], _WORKSHOP, _MORNING, name="Quentin Question")
    return (
        one("ABCE6", "peter_higgs", _STANDARD, "Peter Higgs"),
        one("S83P9", "fresh", _TICKET, "Fiona Fresh"),
        one("QDLYX", "unpaid", _TICKET, "Penny Pending", is_paid=False),
        one("3WNN3", "not_allowed", _TICKET, "Norbert Notyet", is_paid=False, is_checkin_allowed=False),
        _Order("GBJAE", (already_in,)),
        one("NDVVU", "attention", _TICKET, "Ada Attention", needs_attention=True),
        one("3H7CX", "vip", _VIP, "Victoria Important"),
        _Order("XQ87X", (questions,)),
        _Order("ZDQYG", (parent,)),
        _Order("TAEQ9", tshirts),
        one("GLKY3", "buyer_name", _TICKET, None, buyer="Beate Buyer"),
        one("ERPEB", "no_name", _TICKET, None),
        one("DTLXZ", "unicode", _TICKET, "Łukasz Ελένη Дмитрий 李雷"),
        # Letters followed by combining accents: looks like the composed name, is another string.
        one("AFKSA", "accents", _TICKET, "Zoe\u0308 Bjo\u0308rk Nun\u0303ez"),
        one("ZPJXQ", "apostrophe", _TICKET, "Conan O'Brien"),
        one("BP7VL", "quotes", _TICKET, 'Robert "Bobby" \'); DROP TABLE tickets;--'),
        one("HLTJF", "html", _TICKET, "<script>alert('Eve')</script> & <b>Mallory</b>"),
        # A woman and a laptop in one glyph, joined by a zero-width joiner.
        one("3ZQME", "emoji", _TICKET, "Smiling 😀 \U0001f469\u200d\U0001f4bb Coder"),
        one("X3FHR", "rtl", _TICKET, "ليلى حداد"),
        one("T8HGP", "long_name", _TICKET, " ".join(["Maximiliane-Theodora"] * 12)),
    )


# How often, given names, family names (with `|` between where they have blanks), and how they stand together.
_PEOPLE = (
    (20, "Ada Grace Alan Barbara Donald Emma Oliver Priya Hannah", "Smith Jones Taylor Clarke Okafor Wood", "{} {}"),
    (14, "Jürgen Käthe Anna-Lena Björn Heike Günther Sören Jörg", "Müller Größe Weiß Schröder Strauß Köhler", "{} {}"),
    (6, "Łukasz Małgorzata Paweł Agnieszka Stanisław Żaneta", "Nowak-Wiśniewski Wójcik Kowalczyk Dąbek Łęcki", "{} {}"),
    (6, "Åsa Søren Ægir Þóra Håkon Linnéa Mikkel", "Sørensen Åkesson Þórsson Bjørnstad Lindström", "{} {}"),
    (6, "Renée Noël Jean-Luc Zoé François Maëlle", "D'Arcy Lefèvre L'Hôpital Besançon Deschâtelets", "{} {}"),
    (6, "José Inês Begoña João Iñaki Conceição", "Muñoz Núñez Guimarães Peña Magalhães Ibáñez", "{} {}"),
    (4, "Çağla İlker Gökçe Işıl Şebnem Oğuz", "Yıldız Öztürk Şahin Çelik Aydın", "{} {}"),
    (4, "Željko Jiří Šárka Ondřej Ľudmila", "Dvořák Černý Kovačević Růžička Šťastný", "{} {}"),
    (3, "Nguyễn Trần Phạm Đặng", "Thị Hương|Văn Dũng|Quốc Bảo|Mỹ Linh", "{} {}"),
    (3, "Ελένη Γιώργος Σοφία Δημήτρης", "Παπαδόπουλος Οικονόμου Νικολάου", "{} {}"),
    (4, "Мария Дмитрий Олександр Юлія Ёлкин", "Иванченко Шевченко Петренко Щукин", "{} {}"),
    (3, "محمد فاطمة يوسف مريم", "علي حسن المصري الخطيب", "{} {}"),
    (3, "שרה דוד נועה יעל", "כהן לוי מזרחי פרידמן", "{} {}"),
    (3, "आरव दिया रोहन अनन्या", "शर्मा पटेल गुप्ता वर्मा", "{} {}"),
    (4, "伟 芳 秀英 建国 思雨", "王 李 张 欧阳 陈", "{1}{0}"),
    (4, "さくら 健太 陽菜 ケン", "佐藤 鈴木 田中 髙橋", "{1} {0}"),
    (3, "지민 서연 민준 하은", "김 이 박 남궁", "{1}{0}"),
    (2, "สมชาย มาลี อนงค์", "ใจดี ศรีสุข แสงทอง", "{} {}"),
    (2, "ნინო გიორგი თამარ", "ბერიძე კაპანაძე მაისურაძე", "{} {}"),
)
_AWKWARD_NAMES = (
    "Siobhán O’Neill",
    "Miles O'Keeffe-D'Angelo",
    'Dwayne "The Box" Rocker',
    "Tom & Jerry <tj@example.org>",
    "100% Real_Name",
    "Null",
    "X",
    "van der Berg, Jan (Speaker)",
    "C:\\Users\\Guest",
    "🎟️ Gäst 🇸🇪",
    "=SUM(A1:A9)",
)


def _name(rng: random.Random) -> str:
    if rng.random() < 0.05:
        return rng.choice(_AWKWARD_NAMES)
    _, given, family, pattern = rng.choices(_PEOPLE, [people[0] for people in _PEOPLE])[0]
    return pattern.format(rng.choice(given.split()), rng.choice(family.split("|" if "|" in family else None)))


def _crowd(rng: random.Random) -> Iterator[_Order]:
    """Orders until the event has enough tickets, in codes and secrets that the named ones do not use."""
    positions = [position for order in _named_orders() for position in order.positions]
    taken = {order.code for order in _named_orders()}
    taken.update(position.secret for parent in positions for position in (parent, *parent.addons))
    count = sum(1 + len(position.addons) for position in positions)
    while count < _TICKETS_AT_LEAST:
        order = _order(rng, taken)
        count += sum(1 + len(position.addons) for position in order.positions)
        yield order


def _order(rng: random.Random, taken: set[str]) -> _Order:
    is_paid, is_checkin_allowed = rng.choices(((True, True), (False, True), (False, False)), (88, 10, 2))[0]
    size = rng.choices((1, 2, 3, 4, 6), (55, 28, 10, 5, 2))[0]
    return _Order(
        code=_unused(rng, taken, 5, _CODE_CHARS),
        positions=tuple(_position(rng, taken, may_be_in=is_paid) for _ in range(size)),
        buyer=_name(rng) if rng.random() < 0.3 else None,
        is_paid=is_paid,
        is_checkin_allowed=is_checkin_allowed,
        needs_attention=rng.random() < 0.02,
    )


def _position(rng: random.Random, taken: set[str], *, may_be_in: bool) -> _Position:
    item = rng.choices((_TICKET, _STANDARD, _VIP, _WORKSHOP, _TSHIRT), (54, 24, 8, 7, 7))[0]
    is_in = may_be_in and rng.random() < 0.12
    has_name = item.is_admission and rng.random() < 0.95
    addon_items: tuple[_Item, ...] = ()
    if item in (_TICKET, _STANDARD, _VIP) and rng.random() < 0.2:
        addon_items = rng.choices(_ADDON_SETS, (6, 2, 1, 1))[0]
    return _Position(
        secret=_unused(rng, taken, 32, _SECRET_CHARS),
        item=item,
        variation=rng.choice(item.variations) if item.variations else None,
        name=_name(rng) if has_name else None,
        is_redeemed=is_in,
        addons=tuple(
            _Position(
                secret=_unused(rng, taken, 32, _SECRET_CHARS),
                item=addon,
                variation=rng.choice(addon.variations),
                # Who is in has often fetched the shirt as well; nobody gets one before.
                is_redeemed=is_in and rng.random() < 0.5,
            )
            for addon in addon_items
        ),
    )


def _unused(rng: random.Random, taken: set[str], length: int, alphabet: str) -> str:
    while (text := "".join(rng.choice(alphabet) for _ in range(length))) in taken:
        pass
    taken.add(text)
    return text
