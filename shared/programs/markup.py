r"""What has to be done to text so that it stays text: one function for each language that programs are written down in.

A program is full of what users have named.  None of that may become a link in Markdown, an element in HTML, a command
in LaTeX, or an attribute in DOT, and each name has to be legible as it was typed.  All of these begin with `one_line`;
the function for HTML is that of `shared.core.visible`.  This module knows no program.
"""

from __future__ import annotations

import re
import unicodedata

from shared.core.visible import html_text, one_line

# --- DOT --------------------------------------------------------------------------------------------------------------


def dot_label(text: str) -> str:
    r"""Text for an HTML-like label of DOT, in which `\N` would be the name of the node; a space if there is none.

    >>> print(dot_label(r"x < \N"), dot_label(""))
    x &lt; \\N &#160;
    """
    return html_text(text).replace("\\", r"\\") or "&#160;"


def dot_string(text: str) -> str:
    r"""Text as the tooltip that a string of DOT stands for, quotation marks included.

    Graphviz reads tooltips three times: for `\"`, for entities, and twice for escapes such as `\N` and `\n`.

    >>> print(dot_string(r'a "b" \n &lt;'))
    "a \"b\" \\\\n &amp;lt;"
    """
    return '"' + one_line(text).replace("\\", r"\\\\").replace('"', r"\"").replace("&", "&amp;") + '"'


# --- Markdown ---------------------------------------------------------------------------------------------------------

_MARKDOWN = {ord(sign): f"\\{sign}" for sign in r"\`*_{}[]|~$&"} | {ord("<"): "&lt;"}
#: What makes a link without brackets: the colon of an address, and a dot as in www.x, or in model.py for some.
_ADDRESS = re.compile(r":(?=//)|(?<=\w)\.(?=[^\W\d])")
#: What is looked for after Markdown has been read, where no escape helps: mail addresses, people and issues on GitHub.
_REFERENCE = re.compile(r"@|#(?=\d)")


def markdown_text(text: str) -> str:
    r"""Text for Markdown, inside of a line or in a table's cell: CommonMark, and what GitHub and Jupyter add to it.

    >>> print(markdown_text("[x](https://y) a_b | <b> `c` &lt; me@z"))
    \[x\](https\://y) a\_b \| &lt;b> \`c\` \&lt; me@&#8203;z
    """
    escaped = _ADDRESS.sub(r"\\\g<0>", one_line(text).translate(_MARKDOWN))
    # A space without width comes between.
    return _REFERENCE.sub(r"\g<0>&#8203;", escaped)


# --- LaTeX ------------------------------------------------------------------------------------------------------------

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\`{}", '"': "''",
    "<": "$<$", ">": "$>$", "|": "$|$", "...": r"\dots{}", "…": r"\dots{}", **{sign: rf"\{sign}" for sign in "#$%&_{}"},
}  # fmt: skip
#: A sign; one of two that would become one; a bracket or a star at the beginning, which the line before would take.
_LATEX_SIGN = re.compile(r"""\.\.\.|[\\~^`"<>|#$%&_{}]|[^ -~]|([-',])(?=\1)|^( *)([\[*])""")


def latex_text(text: str) -> str:
    r"""Text for LaTeX, in ASCII: letters that it has no command for stand as Python would escape them.

    >>> print(latex_text("f_1: 50 %, größe, 名"))
    f\_1: 50 \%, gr\"{o}\textbackslash{}xdfe, \textbackslash{}u540d
    """
    return _LATEX_SIGN.sub(_latex_sign, one_line(text))


def _latex_sign(found: re.Match[str]) -> str:
    sign, doubled, before, at_first = found[0], *found.groups()
    if doubled:
        return f"{doubled}{{}}"
    if at_first:
        return f"{before}{{{at_first}}}"
    return _LATEX.get(sign) or (
        f"$\\{_GREEK[sign]}$" if sign in _GREEK else _latex_letter(sign, _ACCENTS, _LATEX["\\"])
    )


def latex_name(text: str) -> str:
    r"""Text in a formula of LaTeX: words upright, everything else as it is.

    >>> print(latex_name("w_1['θ']"), latex_name("x^2 # é"))
    \mathrm{w\_1}['\theta '] \mathrm{x}\wedge 2\ \#\ \mathrm{\acute{e}}
    """
    return _WORD.sub(lambda found: _latex_word(found[0]), one_line(text))


_WORD = re.compile(r"[^\W\d]\w*|.")
_LATEX_IN_FORMULA = {
    "\\": r"\backslash ", "~": r"\sim ", "^": r"\wedge ", " ": r"\ ", '"': "''", "`": "'",
    **{sign: rf"\{sign}" for sign in "#$%&_{}"},
}  # fmt: skip


def _latex_word(word: str) -> str:
    if len(word) == 1 and not word.isalpha() and word.isascii():
        return _LATEX_IN_FORMULA.get(word, word)
    if word in _GREEK:
        return f"\\{_GREEK[word]} "
    accents, backslash = _ACCENTS_IN_FORMULA, _LATEX_IN_FORMULA["\\"]
    letters = [f"\\{_GREEK[c]} " if c in _GREEK else _latex_letter(c, accents, backslash) for c in word]
    return f"\\mathrm{{{''.join(letters)}}}"


def _latex_letter(letter: str, accents: dict[str, str], backslash: str) -> str:
    """A letter with its accent, if there is a command for that; otherwise its escape."""
    if letter.isascii():
        return f"\\{letter}" if letter == "_" else letter
    parts = unicodedata.normalize("NFD", letter)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in accents:
        return f"{accents[parts[1]]}{{{parts[0]}}}"
    return letter.encode("unicode_escape").decode().replace("\\", backslash)


#: An accent by its combining character: the commands for it in text and in formulas.
_MARKS = {
    "\u0300": "` grave", "\u0301": "' acute", "\u0302": "^ hat", "\u0303": "~ tilde", "\u0304": "= bar",
    "\u0306": "u breve", "\u0307": ". dot", "\u0308": '" ddot', "\u030c": "v check",
}  # fmt: skip
_ACCENTS = {mark: f"\\{commands.split()[0]}" for mark, commands in _MARKS.items()}
_ACCENTS_IN_FORMULA = {mark: f"\\{commands.split()[1]}" for mark, commands in _MARKS.items()}
#: The small letters that have commands.
_GREEK = {c: unicodedata.name(c).split()[-1].lower().replace("lamda", "lambda") for c in "αβγδεζηθικλμνξπρστυφχψω"}

__all__ = ["dot_label", "dot_string", "html_text", "latex_name", "latex_text", "markdown_text"]
