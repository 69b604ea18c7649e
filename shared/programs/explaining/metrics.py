"""How wide text is: the advance widths of Helvetica, so that a picture leaves its text the room that it takes.

Helvetica, Arial, Liberation Sans, Nimbus Sans and Arimo have one set of widths, made to be exchanged for each other, so
a picture that names them measures its text exactly on every usual system, and ships no font (which would be some
hundred kilobytes in each file).  Where none of them is there, the writer of a picture pins the text to what was
measured (`textLength`).  This module knows nothing of what is written.
"""

from __future__ import annotations

import unicodedata

#: Fonts of these widths, and any other at last.
FONTS = "Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', Arimo, sans-serif"

#: Characters by their width in thousandths of the size of the font (Adobe's font metrics of Helvetica).
_WIDTHS = {
    191: "'",
    222: "ijl",
    260: "|",
    278: " !,./:;I[\\]ft·",
    333: "()-`r¹²³",
    334: "{}",
    355: '"',
    385: "ᵀ",
    389: "*",
    401: "⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉",
    469: "^",
    494: "∂",
    500: "Jcksvxyz‖γ",
    549: "≤≥≠",
    556: "#$0123456789?L_abdeghnopquδθ",
    575: "αβ",
    584: "+<=>~×−",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1000: "…→",
    1015: "@",
}
_WIDTH = {character: width for width, characters in _WIDTHS.items() for character in characters}
#: Of other letters: wide enough for nearly all, and for those of East Asia, which fill a square.
_OTHER, _SQUARE = 640, 1000


def text_width(text: str, size: float) -> float:
    """The width of text in a font of this size.

    >>> round(text_width("v3 = sin(x2)", 12), 1), text_width("", 12)
    (62.4, 0.0)
    """
    return sum(map(_width, text)) * size / 1000


def _width(character: str) -> int:
    found = _WIDTH.get(character)
    if found is not None:
        return found
    if unicodedata.combining(character):
        return 0
    parts = unicodedata.normalize("NFD", character)
    if len(parts) > 1 and parts[0] in _WIDTH:
        return _WIDTH[parts[0]]
    return _SQUARE if unicodedata.east_asian_width(character) in "FW" else _OTHER


__all__ = ["FONTS", "text_width"]
