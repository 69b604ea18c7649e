"""Tables of figures, as text for a terminal, as Markdown, LaTeX and HTML: a caption, headers, rows of text and numbers.

This module knows nothing of what the figures mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from shared.core.visible import one_line
from shared.programs.markup import html_text, latex_text, markdown_text


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
    lines = [list(headers), *[[one_line(written_out(value)) for value in row] for row in rows]]
    widths = [max(len(line[k]) for line in lines) for k in range(len(headers))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *[part.rjust(width) for part, width in zip(line[1:], widths[1:], strict=True)]]
        ).rstrip()
        for line in lines
    )


def html_table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[Any]], numbers: bool = True) -> str:
    """The same as an HTML table with a caption; what is text throughout, and no `numbers`, is set to the left.

    >>> html_table("f", ["a"], [["<"]])
    '<table><caption>f</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;</td></tr></tbody></table>'
    """
    style = "" if numbers else ' style="text-align: left"'
    head = "".join(f"<th{style}>{html_text(name)}</th>" for name in headers)
    body = "".join(
        "<tr>" + "".join(f"<td{style}>{html_text(written_out(value))}</td>" for value in row) + "</tr>" for row in rows
    )
    return f"<table><caption>{html_text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


#: A notebook shows so many lines of a program.
_LINES = 100


def html_lines(caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of text as an HTML table, of many the first and the last.

    >>> html_lines("f", ["a"], [[str(k)] for k in range(1000)]).count("<tr>"), html_lines("f", ["a"], []).count("<tr>")
    (102, 1)
    """
    shown = list(rows)
    if len(shown) > _LINES:
        note = [f"... {len(rows) - _LINES:,} lines left out ...", *[""] * (len(headers) - 1)]
        shown[_LINES // 2 : -_LINES // 2] = [note]
    return html_table(caption, headers, shown, numbers=False)


# --- Markdown and LaTeX -----------------------------------------------------------------------------------------------


def markdown_table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    r"""The same in Markdown: the caption in bold, and the table below; `numbers` are set to the right.

    >>> print(markdown_table("f(x_1)", ["a", "b"], [["x|y", "2"]], numbers=True))
    **f(x\_1)**
    <BLANKLINE>
    | a | b |
    | --- | ---: |
    | x\|y | 2 |
    """
    rules = ["---", *["---:" if numbers else "---"] * (len(headers) - 1)]
    lines = ["| " + " | ".join(row) + " |" for row in (rules, *[[markdown_text(cell) for cell in row] for row in rows])]
    head = "| " + " | ".join(map(markdown_text, headers)) + " |"
    return "\n".join([f"**{markdown_text(caption.strip())}**", "", head, *lines])


def latex_tabular(
    caption: str,
    columns: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Mapping[int, str] | None = None,
) -> str:
    r"""A LaTeX `tabular` of texts in LaTeX, without packages: `columns` are its columns, its first row the caption.

    `notes` stand before the rows of these numbers, and take all columns.

    >>> print(latex_tabular("f", "lr", ["a", "b"], [["1", "2"]]))
    \begin{tabular}{lr}
    \multicolumn{2}{l}{f} \\
    \hline
    a & b \\
    \hline
    1 & 2 \\
    \hline
    \end{tabular}
    """
    end = r" \\"

    def across(text: str) -> str:
        return rf"\multicolumn{{{len(columns)}}}{{l}}{{{text}}}{end}"

    lines = [" & ".join(row) + end for row in rows]
    for place in sorted(notes or {}, reverse=True):
        lines.insert(place, across((notes or {})[place]))
    head = [rf"\begin{{tabular}}{{{columns}}}", across(caption), r"\hline", " & ".join(headers) + end, r"\hline"]
    return "\n".join([*head, *lines, r"\hline", r"\end{tabular}"])


# --- what prints as a table -------------------------------------------------------------------------------------------


class Tabulated:
    """What prints as a table of figures; `markdown()`, `latex()` and `html()` are for documents.

    Jupyter shows it by itself.  Subclasses say what its caption, headers and rows are.
    """

    __slots__ = ()
    _headers: ClassVar[tuple[str, ...]]

    def _caption(self) -> str:
        raise NotImplementedError

    def _rows(self) -> list[list[Any]]:
        raise NotImplementedError

    def _heads(self) -> Sequence[str]:
        return self._headers

    def _texts(self) -> list[list[str]]:
        return [[written_out(value) for value in row] for row in self._rows()]

    def __str__(self) -> str:
        return f"{one_line(self._caption())}\n{text_table(self._heads(), self._rows())}"

    def markdown(self) -> str:
        """The table in Markdown, of the kind with bars between columns, below its caption."""
        return markdown_table(self._caption(), self._heads(), self._texts(), numbers=True)

    def latex(self) -> str:
        """The table as a LaTeX `tabular`, which needs no package; its first row is the caption."""
        rows = [[latex_text(text) for text in row] for row in self._texts()]
        heads = [*map(latex_text, self._heads())]
        return latex_tabular(latex_text(self._caption()), "l" + "r" * (len(heads) - 1), heads, rows)

    def html(self) -> str:
        """The table as an HTML `table`, with everything escaped that names bring in."""
        return html_table(self._caption(), self._heads(), self._rows())

    def _repr_html_(self) -> str:
        return self.html()
