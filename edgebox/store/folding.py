"""Text as search compares it: without case, without accents, in Latin letters."""

from __future__ import annotations

import unicodedata

from anyascii import anyascii


def fold(text: str) -> str:
    """The text as search compares it: `Łukasz`, `LUKASZ` and `lukasz` are one.

    Accents are dropped and other scripts are written in Latin letters (anyascii); a character that has no Latin form
    stays as it is, so that nothing becomes unfindable.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    if decomposed.isascii():
        return decomposed
    return "".join(
        character if character.isascii() else anyascii(character).casefold() or character
        for character in decomposed
        if not unicodedata.combining(character)
    )
