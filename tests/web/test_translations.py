"""Every text of the pages is translated, with the same blanks to fill in, and what the pages read is up to date."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from edgebox.web.login import LANGUAGES

WEB = Path(__file__).parent.parent.parent / "edgebox" / "web"
KEYWORDS = {"_": None, "gettext": None, "_l": None, "lazy_gettext": None, "ngettext": (1, 2)}


def texts() -> set[str | tuple[str, ...]]:
    with (WEB / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    return {message for _, _, message, _, _ in extract_from_dir(WEB, methods, options, keywords=KEYWORDS)}


def translated(language: str) -> Catalog:
    path = WEB / "translations" / language / "LC_MESSAGES" / "messages.po"
    return read_po(io.BytesIO(path.read_bytes()), locale=language)


def pairs(catalog: Catalog) -> set[tuple[str, str]]:
    """Singular and plural are a list here and a tuple there."""
    return {(str([*message.id]), str([*message.string])) for message in catalog if message.id and message.string}


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
class TestLanguage:
    def test_every_text_is_translated_and_none_is_left_over(self, language: str) -> None:
        catalog = translated(language)
        assert {message.id for message in catalog if message.id} == texts()
        assert [message.id for message in catalog if message.id and not (message.string and all(message.string))] == []

    def test_the_blanks_are_the_same(self, language: str) -> None:
        def blanks(text: object) -> set[str]:
            return set(re.findall(r"%\(\w+\)[sd]", str(text)))

        different = [message.id for message in translated(language) if blanks(message.id) != blanks(message.string)]
        assert different == []

    def test_what_the_pages_read_is_up_to_date(self, language: str) -> None:
        compiled = read_mo(io.BytesIO((WEB / "translations" / language / "LC_MESSAGES" / "messages.mo").read_bytes()))
        assert pairs(compiled) == pairs(translated(language))
