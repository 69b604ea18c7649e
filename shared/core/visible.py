"""Text that others have written, fit for a listing: on one line, with nothing in it that is not seen.

Names of arguments, keys, functions, classes and files come from outside: from a JSON file, say.  In a listing a line
break in a name would make a line that nobody computed, an escape sequence colour or erase those of a terminal, a
bidirectional override turn the rest of its line around; half a surrogate pair cannot even be written to a file.  This
module knows nothing of where text goes, except for HTML, which every room shows itself in; the other languages of
documents are in `shared.programs.markup`.
"""

from __future__ import annotations

from typing import Any


def one_line(text: str) -> str:
    r"""Text in which every character that does not print stands as `repr` would write it.

    What prints stays as it is, backslashes, too: so nothing changes when it is done twice.

    >>> print(one_line("one\ntwo \x1b[2J \u202e \ud800 é"))
    one\ntwo \x1b[2J \u202e \ud800 é
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


def html_text(text: str) -> str:
    """Text for HTML and XML, between tags or in an attribute.

    >>> html_text("x < 1 & y")
    'x &lt; 1 &amp; y'
    """
    from html import escape

    return escape(one_line(text))


def shown(value: Any) -> str:
    """The repr of a value that a user has made, whose class may write what it likes, on one line.

    >>> import numpy as np
    >>> shown(np.eye(2))
    'array([[1., 0.],\\\\n       [0., 1.]])'
    """
    return one_line(repr(value))


def kind_of(value: Any) -> str:
    """What the class of a value is called.

    >>> kind_of(1.5)
    'float'
    """
    return one_line(type(value).__name__)


def shortened(text: str, longest: int) -> str:
    """Text on one line, without its middle where it is longer than that.

    >>> shortened("parameters['encoder']['layers'][3]['weights']", 30)
    "parameters['enc…[3]['weights']"
    """
    text = one_line(text)
    if len(text) <= longest:
        return text
    return text[: longest // 2] + "…" + text[len(text) - (longest - longest // 2 - 1) :]


__all__ = ["html_text", "kind_of", "one_line", "shortened", "shown"]
