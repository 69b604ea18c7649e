"""Names that look like markup, code or further lines, and everything that users can name."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from shared import elementwise, multilinear

NAMES = {
    # HTML, XML
    "script": "<script>alert(1)</script>", "element": "<b>x</b>", "attribute": '" onload="alert(1)', "id": "' id='x",
    "entities": "&lt;b&gt; &#60; &#x3c; &nbsp; &amp;", "no entities": "&#0; &#xD800; &bogus;", "comment": "<!-- x",
    "end of comment": "--> x", "CDATA": "<![CDATA[x]]>", "instruction": "<?php x ?>",
    # Markdown
    "link": "[x](javascript:alert(1))", "image": "![x](http://y.example/z.png)", "reference": "[x][y] [^1] [x]: http://z",
    "address": "https://y.example www.y.example FTP://z", "brackets": "<https://y.example>", "mail": "me@y.example",
    "mention": "@someone and #12", "code": "`x` ``y``", "emphasis": "*a* **b** _c_ __d__", "struck": "~~x~~ ~y~",
    "cells": r"a | b \| c \\| d", "row": "a |\n| b | c |", "heading": "# x", "list": "- x", "number": "1. x",
    "quote": "> x", "rule": "---", "formula": r"$x$ $$y$$ \(z\)", "escaped": r"\*a\* \[b\](c)", "break": "a  \nb",
    # LaTeX
    "input": r"\input{/etc/passwd}", "write": r"\immediate\write18{x}", "codes": "^^5cinput{x} ^^M",
    "per cent": "50% x", "signs": "#1 & ~ _x_ ^2 {y} $z$", "row end": r"\\[5pt] x", "length": "[5pt] x", "star": "*",
    "spaced": "  [5pt]", "end": r"\end{tabular}", "brace": "}", "open": "{", "ligatures": "--- '' `` ,, << ?` \"a",
    "dots": "...x",
    # DOT
    "node": '"];x[label="y', "label": ">];x[label=<y", "objects": r"\N \G \E \n \l \\N", "backslash": "\\",
    "port": "x:y",
    # Python, formats
    "three": '"""', "single three": "'''", "braces": "{x} ${x} {{y}}", "format": "%s %(x)s {0}", "call": "x) + f(y",
    "definition": "x = 1; y", "minus": "-x", "fraction": "1/x", "value": "v3", "total": "total",
    "mark": "⟨v1⟩ ↑T ↑2 ⟨a2", "private": "\ue000v1\ue001 \ue001",
    # terminals, lines, directions
    "line": "a\nv9 = forged", "return": "a\r\nb", "separators": "a\u2028b\u2029c\x85d\x0be\x0cf", "NUL": "a\x00b",
    "escape": "\x1b[31mred\x1b[0m\x1b[2J", "C1": "\x9b31m", "bell": "\x07\x08", "override": "\u202eabc\u202c",
    "isolate": "\u2067abc\u2069", "joiners": "a\u200b\u200d\ufeff\u2060b", "no character": "\uffff\ufffe",
    "surrogate": "\ud800", "surrogates": "\udc00\ud800x", "right to left": "שלום", "accents": "größe Ångström ç ñ",
    "combined": "e\u0301 \u0338x", "Greek": "\N{GREEK SMALL LETTER ALPHA}_β ϛ", "others": "名 \U0001d4b3 ٣e5 ²",
    "spaces": "a\u00a0\u3000b",
    # lengths
    "long": "ab" * 5000, "empty": "", "blank": " ",
}  # fmt: skip


def visible(name: str) -> str:
    """What is to be read in place of a name."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def called(name: str) -> str:
    """The same of a name before parentheses."""
    return name if name.isidentifier() else "'" + visible(name).replace("'", r"\'") + "'"


def harmless(name: str) -> str:
    """A name that is drawn alike: in a circle if it is short."""
    return "nm" if len(name) <= 2 and (name.isidentifier() or not name) else "name"


# --- what users can name ----------------------------------------------------------------------------------------------


class Key:
    """A key that prints itself as it likes."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


def of_container(p: Any, x: Any) -> Any:
    (y,) = p.values() if isinstance(p, dict) else p
    return np.sin(y) * x if y > 0 else x


def named_function(name: str) -> Callable[..., Any]:
    def f(x: Any) -> Any:
        return np.sin(x) * x if x > 0 else x

    f.__name__ = f.__qualname__ = name
    return f


def with_primitive(name: str) -> Callable[..., Any]:
    def double(x: Any) -> Any:
        return 2.0 * x

    double.__name__ = double.__qualname__ = name
    primitive = elementwise(double, 2)
    return lambda x: primitive(x) * x


def with_keyword(name: str) -> Callable[..., Any]:
    def double(x: Any, *, mode: Any) -> Any:
        return 2.0 * x

    primitive = multilinear(double, lambda c, x, *, mode: 2.0 * c)
    return lambda x: primitive(x, mode=name) * x


def in_file(name: str) -> Callable[..., Any]:
    f = named_function("f")
    f.__code__ = f.__code__.replace(co_filename=f"{name}.py")  # type: ignore[attr-defined]
    return f


def named_tuple(name: str) -> Any:
    def make(cls: Any, value: Any) -> Any:
        return tuple.__new__(cls, (value,))

    return type(class_name(name), (tuple,), {"_fields": (name,), "__new__": make})(1.5)


def class_name(name: str) -> str:
    """The name as far as Python takes it for a class."""
    return name.encode("utf-8", "replace").decode().replace("\x00", "")


def member_of(name: str) -> Any:
    class Mode(enum.Enum):
        ONE = 1

        def __repr__(self) -> str:
            return name

    return Mode.ONE


#: Of each place a function and its arguments, and what is to be read: one of several.
PLACES: dict[str, Callable[[str], tuple[Any, tuple[Any, ...], tuple[str, ...]]]] = {
    "a key": lambda name: (of_container, ({name: 1.5}, 2.0), (repr(name),)),
    "NumPy's key": lambda name: (of_container, ({np.str_(name): 1.5}, 2.0), (repr(name),)),
    "a key that prints itself": lambda name: (of_container, ({Key(name): 1.5}, 2.0), (visible(name),)),
    "a function": lambda name: (named_function(name), (2.0,), (visible(name),)),
    "a primitive": lambda name: (with_primitive(name), (2.0,), (called(name),)),
    "a keyword's value": lambda name: (with_keyword(name), (2.0,), (visible(name), repr(name))),
    "a file": lambda name: (in_file(name), (2.0,), ()),
    "a field": lambda name: (of_container, (named_tuple(name), 2.0), ()),
    "a string": lambda name: (lambda x, mode: x * x, (2.0, name), ()),
    "an enumeration": lambda name: (lambda x, mode: x * x, (2.0, member_of(name)), ()),
    "a key of the result": lambda name: (lambda x: {name: x * x}, (2.0,), ()),
}
