"""Numbers and arrays as a page shows them: short along a wire, in full in a table, large arrays with a small heat map.

This module knows no program.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.core.visible import shortened, shown
from shared.programs.explaining.labels import magnitude_text

#: Significant digits along wires and in tables; arrays of up to so many elements are written out.
DIGITS, WRITTEN_OUT = 5, 4
#: The most rows and columns of a heat map, and its letters, from the largest negative number to the largest positive.
ROWS, COLUMNS = 8, 12
LETTERS = "abcdefghijklmnopqrstuvwxy"
NO_NUMBER = "z"


def number(value: Any, digits: int = DIGITS) -> str:
    """A number or an array in short, with a sign of minus.

    >>> number(-0.958924), number(np.array([3.0, -4.0])), number(1e-9)
    ('−0.95892', '‖5‖', '1e−9')
    """
    text = magnitude_text(value, digits)
    if not text and value is not None and not np.ndim(value):
        text = shortened(shown(value), 40)
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")


def full(value: Any) -> str:
    """A number with all its digits, a small array written out, a larger one by its shape and norm.

    >>> full(np.float64(0.1)), full(np.array([0.5, -1.0])), full(np.ones((2, 3)))
    ('0.1', '[0.5, −1]', '2×3, norm 2.4495')
    """
    if isinstance(value, np.ndarray) and value.ndim:
        shape = "×".join(map(str, value.shape)) if value.ndim > 1 else f"{value.size} numbers"
        if value.ndim == 1 and value.size <= WRITTEN_OUT and value.dtype.kind in "fciub":
            return f"[{', '.join(number(part) for part in value)}]"
        norm = number(value).strip("‖")
        return f"{shape}, norm {norm}" if norm else f"{shape} of {value.dtype}"
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    if isinstance(value, float):
        return repr(value + 0.0).replace("-", "−")
    return shortened(shown(value), 60).replace("-", "−")


def heat(value: Any) -> str:
    """A heat map of an array: its number of columns, and a letter for each cell, row by row; "" of anything else.

    Larger arrays are averaged over blocks; further axes are put into rows.  Numbers are relative to the largest.

    >>> heat(np.array([[1.0, -1.0], [0.0, np.nan]])), heat(2.0)
    ('2 yamz', '')
    """
    if not isinstance(value, np.ndarray) or not value.ndim or value.size < 2 or value.dtype.kind not in "fiu":
        return ""
    rows = value.reshape(-1, value.shape[-1]) if value.shape[-1] else value.reshape(1, -1)
    blocks = [
        [block.mean() for block in np.array_split(part, min(COLUMNS, rows.shape[1]), axis=1)]
        for part in np.array_split(np.asarray(rows, float), min(ROWS, rows.shape[0]))
    ]
    table = np.array(blocks)
    finite = np.abs(table[np.isfinite(table)])
    largest = finite.max(initial=0.0) or 1.0
    half = len(LETTERS) // 2
    cells = [LETTERS[half + round(x / largest * half)] if np.isfinite(x) else NO_NUMBER for x in table.ravel()]
    return f"{table.shape[1]} {''.join(cells)}"


def datum(value: Any) -> list[str] | None:
    """What a page is given of a value: short, in full, and a heat map if there is one; None of what there is not."""
    if value is None:
        return None
    found = [number(value), full(value)]
    picture = heat(value)
    return [*found, picture] if picture else found


__all__ = ["datum", "full", "heat", "number"]
