"""Tables of figures, as text for a terminal and as HTML for a notebook: headers, and rows of text and numbers.

This module knows nothing of what the figures mean.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any


def written_out(value: Any) -> str:
    """A figure as it is printed: whole numbers with separators, others with two decimals, None as nothing.

    >>> written_out(1234567), written_out(2.5), written_out(None), written_out("sin")
    ('1,234,567', '2.50', '', 'sin')
    """
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def text_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns of equal width; the first is set to the left, the others to the right.

    >>> print(text_table(["primitive", "calls"], [["sin", 2], ["multiply", 1000]]))
    primitive  calls
    sin            2
    multiply   1,000
    """
    lines = [list(headers), *[[written_out(value) for value in row] for row in rows]]
    widths = [max(len(line[k]) for line in lines) for k in range(len(headers))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *[part.rjust(width) for part, width in zip(line[1:], widths[1:], strict=True)]]
        ).rstrip()
        for line in lines
    )


def html_table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The same as an HTML table with a caption.

    >>> html_table("f", ["a"], [["<"]])
    '<table><caption>f</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(written_out(value))}</td>" for value in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
