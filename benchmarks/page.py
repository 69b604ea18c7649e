"""The report as one HTML file that needs no other: its pictures are inline, and nothing is loaded from anywhere.

This module puts together what it is given; it measures nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: clamp(1.4rem, 4vw, 2rem); line-height: 1.25 }
h2 { font-size: clamp(1.15rem, 3vw, 1.5rem); line-height: 1.3 }
.wide { overflow-x: auto }
img { width: 60rem; max-width: max(100%, 42rem); height: auto }
img.large { width: 70rem }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: bold; padding: .3rem 0 }
th, td { padding: .15rem .8rem .15rem 0; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page of a title and parts that are HTML already."""
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *parts,
            "</body></html>\n",
        )
    )


def heading(text: str) -> str:
    """A heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph for each block of the text between empty lines."""
    return "\n".join(f"<p>{escape(block.strip())}</p>" for block in text.split("\n\n") if block.strip())


def image(address: str, description: str, *, large: bool = False) -> str:
    """A picture, and what it shows for those who do not see it; a narrow window scrolls it, and reads it still."""
    size = ' class="large"' if large else ""
    return f'<div class="wide"><img{size} src="{escape(address)}" alt="{escape(description)}"></div>'


def link(address: str, text: str) -> str:
    """A link to another page."""
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def table(shown: Table) -> str:
    """One of the tables that the terminal shows, with its title as the caption."""
    from rich.text import Text

    def row(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(Text.from_markup(cell).plain)}</{tag}>" for cell in cells) + "</tr>"

    head = row((str(column.header) for column in shown.columns), "th")
    cells = zip(*(map(str, column.cells) for column in shown.columns), strict=True)
    body = "\n".join(row(each, "td") for each in cells)
    return f'<div class="wide"><table><caption>{escape(str(shown.title))}</caption>\n{head}\n{body}\n</table></div>'
