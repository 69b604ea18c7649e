"""The look of a drawn program: colours and shapes, and the small tables that labels are made of.

All of it is text in Graphviz's language: attributes of nodes, and HTML-like labels.  This module knows no program.
"""

from __future__ import annotations

import math

from shared.programs.markup import dot_label

#: Text of values and of adjoints: bluish green and vermillion, darkened to a contrast of 5 on white; people who see
#: no difference between red and green tell them apart (Okabe & Ito 2008), and in grey they differ by slant and place.
VALUE, ADJOINT = "#00695C", "#B34700"
GREY, WIRE = "#666666", "#555555"
#: names of weights in the box of a layer
NAME = "#00588A"
FONT = "Helvetica,Arial,sans-serif"

#: How each kind of node looks: attributes of the node, and of the cell that stands for it in the legend.
KINDS = {
    "parameter": (
        'shape=box, style="rounded,filled", fillcolor="#CFE4F5", color="#0072B2", penwidth=1.6',
        'style="rounded" bgcolor="#CFE4F5" color="#0072B2" border="2" cellborder="0" cellspacing="0"',
    ),
    "data": (
        'shape=box, style=filled, fillcolor="#FBF0CF", color="#8A6D00"',
        'bgcolor="#FBF0CF" color="#8A6D00" border="1" cellborder="0" cellspacing="0"',
    ),
    "constant": (f'shape=plain, fontcolor="{GREY}"', 'border="0" cellborder="0" cellspacing="0"'),
    "operation": (
        'shape=box, style="rounded,filled", fillcolor=white',
        'style="rounded" border="1" cellborder="0" cellspacing="0"',
    ),
    "unused": (
        f'shape=box, style="rounded,dashed", color="{GREY}", fontcolor="{GREY}"',
        f'style="rounded,dashed" color="{GREY}" border="1" cellborder="0" cellspacing="0"',
    ),
    "guard": (
        'shape=diamond, style="dashed,filled", fillcolor="#F6E3EE", color="#8F3F6F", margin="0.02,0.02"',
        'style="dashed" bgcolor="#F6E3EE" color="#8F3F6F" border="1" cellborder="0" cellspacing="0"',
    ),
    "output": (
        'shape=box, style=filled, peripheries=2, fillcolor="#E4E4E4"',
        'bgcolor="#E4E4E4" border="1" cellborder="1" cellspacing="2"',
    ),
    "layer": ('shape=box, style=filled, fillcolor="#F5F5F5", color="#333333", penwidth=1.2, margin="0.04,0.04"', ""),
}
SAMPLES = {"constant": f'<font color="{GREY}">constant</font>', "unused": f'<font color="{GREY}">unused</font>'}
ROUND = ", fixedsize=true, width=0.42, fontsize=16"

#: The usual width of a character, in points.
_CHARACTER = 7.6


def cell(text: str, font: str = "", slanted: bool = False) -> str:
    """A cell of a table, with the attributes of its font.

    >>> cell("a < b", 'color="red"')
    '<td align="left"><font color="red">a &lt; b</font></td>'
    """
    shown = dot_label(text)
    if slanted:
        shown = f"<i>{shown}</i>"
    return f'<td align="left">{f"<font {font}>{shown}</font>" if font else shown}</td>'


def wire(above: str, below: str, colour: str, across: bool) -> str:
    """The label of a piece of wire: a value in a colour, and an adjoint on the other side of a line."""
    value = f'<font color="{colour}">{dot_label(above)}</font>'
    adjoint = f'<font color="{ADJOINT}"><i>{dot_label(below)}</i></font>' if below else "&#160;"
    table = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="1" color="{WIRE}">'
    # Cells of one width put the rule into the middle.
    width = _even_width(max(len(above), len(below)))
    if across:
        return (
            f'{table}<tr><td width="{width}" height="18">{value}</td></tr><hr/>'
            f'<tr><td height="18">{adjoint}</td></tr></table>'
        )
    return (
        f'{table}<tr><td width="{width}" height="18" align="right">{value}&#160;</td><vr/>'
        f'<td width="{width}" align="left">&#160;{adjoint}</td></tr></table>'
    )


def _even_width(characters: int) -> int:
    """A width in points for so many characters that dot keeps, so that the rule meets the edges on both sides.

    It is even, since dot halves it, and not less after being written in inches with five digits, as dot does.
    """
    width = 2 * math.ceil((_CHARACTER * max(characters, 2) + 8) / 2)
    while float(f"{width / 72:.5g}") * 72 < width:
        width += 2
    return width


def with_entrances(label: str, count: int, across: bool) -> str:
    """A label with ports for so many edges, along its left side or above it.

    (Compass points at the corners of a box make dot 2.42 lose edges.)
    """
    table = '<table border="0" cellborder="0" cellspacing="0" cellpadding="0">'
    text = f'cellpadding="3">{label}</td>'
    ports = [f'<td port="p{k}" width="6" height="{9 if across else 3}"></td>' for k in range(count)]
    if across:
        first, *others = ports
        rows = "".join(f"<tr>{port}</tr>" for port in others)
        space = f'<td rowspan="{count}" width="6"></td>'
        return f'{table}<tr>{first}<td rowspan="{count}" {text}{space}</tr>{rows}</table>'
    return f'{table}<tr>{"".join(ports)}</tr><tr><td colspan="{count}" {text}</tr></table>'


__all__ = [
    "ADJOINT",
    "FONT",
    "GREY",
    "KINDS",
    "NAME",
    "ROUND",
    "SAMPLES",
    "VALUE",
    "WIRE",
    "cell",
    "wire",
    "with_entrances",
]
