"""Text as search compares it: without case, without accents, in Latin letters."""

from __future__ import annotations

import unicodedata

from anyascii import anyascii

UNSEEN = frozenset({"Cf", "Mn", "Me"})
"""Marks and invisible characters (a joiner, a soft hyphen): nobody types them into a search."""


def fold(text: str) -> str:
    """The text as search compares it: `Łukasz`, `LUKASZ` and `lukasz` are one.

    Accents are dropped and other scripts are written in Latin letters (anyascii); a visible character that has no Latin
    form stays as it is, so that nothing becomes unfindable. Folding goes character by character: a part of a text folds
    to a part of what the text folds to.
    """
    if text.isascii():
        return text.casefold()
    # Twice: compatibility forms hide capitals (`㎒` is MHz), and some letters are lowered to ones with accents.
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text.casefold()).casefold())
    return "".join(map(_in_latin, plain))


def _in_latin(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.combining(character):
        return ""
    return anyascii(character).casefold() or ("" if unicodedata.category(character) in UNSEEN else character)
