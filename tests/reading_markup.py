"""Readers of what programs are written down in: what a document consists of, and what a reader of it sees.

Each returns a `Document`: `parts` is the structure (elements, links, commands, cells, statements), in which nothing may
depend on what users have named, and `text` is what is seen.  What no reader accepts raises AssertionError.
"""

from __future__ import annotations

import html
import html.parser
import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt


@dataclass
class Document:
    """What a text consists of, and what is seen of it."""

    parts: list[Any]
    text: str


# --- plain text -------------------------------------------------------------------------------------------------------


def read_plain(text: str) -> Document:
    """Lines, in which everything is seen."""
    lines = text.split("\n")
    for line in lines:
        assert line.isprintable(), f"an invisible character in {line!r}"
    return Document(["line"] * len(lines), text)


# --- HTML and SVG -----------------------------------------------------------------------------------------------------


class _Elements(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[Any] = []
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.parts.append((tag, *[(name, value) for name, value in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def handle_comment(self, data: str) -> None:
        self.parts.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.parts.append("declaration")

    unknown_decl = handle_pi = handle_decl


def read_html(text: str) -> Document:
    """Elements with their attributes."""
    read_plain(text)
    found = _Elements()
    found.feed(text)
    found.close()
    return Document(found.parts, "".join(found.pieces))


def read_svg(text: str) -> Document:
    """Elements with the names of their attributes; text is that of elements, and of tooltips."""
    root = ElementTree.fromstring(text)
    told = [[*element.itertext(), *map(element.get, element.keys())] for element in root.iter()]
    parts = [(element.tag, *sorted(element.keys())) for element in root.iter()]
    return Document(parts, "\n".join(piece or "" for pieces in told for piece in pieces).replace("\xa0", " "))


def read_page(text: str) -> Document:
    """A page of `shared.page`: its elements with the names of their attributes, and of each picture which there are.

    How many there are in a picture depends on how wide the names are.  Text is all that is shown, and all the data.
    """
    read_plain(text)
    found = _Elements()
    found.feed(text)
    found.close()
    parts: list[Any] = []
    picture: set[Any] | None = None
    for part in found.parts:
        told = part if isinstance(part, str) else (part[0], *[name for name, _ in part[1:]])
        if told[0] == "svg":
            picture = set()
        elif told == "/svg":
            assert picture is not None and picture <= _OF_PICTURES, picture - _OF_PICTURES
            picture = None
        elif picture is not None:
            picture.add(told)
        else:
            parts.append(told)
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    return Document(parts, "\n".join([*found.pieces, *_strings(data)]))


#: What the pictures of a page consist of.
_OF_PICTURES = {
    ("g", "class", "data-v"), "/g", ("title",), "/title", "/text", ("path", "class", "fill", "d"),
    ("path", "class", "d"),
    ("path", "class", "data-v", "d"), ("path", "class", "data-v", "data-to", "d"), ("text", "x", "y", "text-anchor"),
    ("text", "x", "y", "text-anchor", "class"), ("text", "x", "y", "text-anchor", "textlength", "lengthadjust"),
    ("text", "x", "y", "text-anchor", "class", "textlength", "lengthadjust"), ("circle", "class", "cx", "cy", "r"),
    ("rect", "class", "x", "y", "width", "height", "rx"), "/path", "/rect", "/circle",
}  # fmt: skip


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, (dict, list)):
        for part in [*data, *data.values()] if isinstance(data, dict) else data:
            yield from _strings(part)


# --- Markdown ---------------------------------------------------------------------------------------------------------

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")
# CommonMark itself knows no address that would not do.
_MARKDOWN.validateLink = lambda url: True  # type: ignore[method-assign]
#: What links are made of without brackets, in text without an escape; and what GitHub looks for in what results.
_ADDRESS, _REFERENCE = re.compile(r"(https?|ftp)://|\w\.[^\W\d]", re.IGNORECASE), re.compile(r"@\w|#\d")


def read_markdown(text: str) -> Document:
    """The tokens of CommonMark, with the tables and struck words of GitHub, and its links without brackets."""
    read_plain(text)
    parts: list[Any] = []
    seen = ""
    for block in _MARKDOWN.parse(text):
        parts.append(block.type)
        for token in block.children or ():
            if token.type == "text":
                parts += ["address"] * len(_ADDRESS.findall(token.content))
            elif token.type != "text_special":
                parts.append(token.type)
            seen += token.content
        seen += "\n" if block.children else ""
    parts += ["reference"] * len(_REFERENCE.findall(seen))
    return Document(parts, seen.replace("\u200b", ""))


# --- DOT --------------------------------------------------------------------------------------------------------------

_DOT = re.compile(
    r'"(?P<string>(?:[^"\\]|\\.)*)"|(?P<word>[\w.]+)|(?P<sign>->|[{}\[\];,=:])|\s+|(?P<label><)', re.DOTALL
)


def read_dot(text: str) -> Document:
    """Words, signs, strings and labels of DOT; the elements of labels.  Text is that of labels and strings."""
    read_plain(text)
    parts: list[Any] = []
    seen: list[str] = []
    position = 0
    while position < len(text):
        token = _DOT.match(text, position)
        assert token, f"no DOT: {text[position : position + 40]!r}"
        position = token.end()
        if token["label"]:
            start, position = position, _end_of_label(text, position)
            root = ElementTree.fromstring(f"<label>{text[start : position - 1]}</label>")
            parts += [(element.tag, *sorted(element.keys())) for element in root.iter()]
            seen += [_substituted(piece, 1) for piece in root.itertext()]
        elif token["string"] is not None:
            parts.append("string")
            seen.append(_substituted(html.unescape(token["string"].replace('\\"', '"')), 2))
        elif token["word"] or token["sign"]:
            parts.append(token["word"] or token["sign"])
    return Document(parts, "\n".join(seen))


def _end_of_label(text: str, position: int) -> int:
    depth = 1
    while depth:
        depth += {"<": 1, ">": -1}.get(text[position], 0)
        position += 1
    return position


def _substituted(text: str, times: int) -> str:
    """What Graphviz makes of backslashes: as often as it reads, one of two; other escapes are names of objects."""
    for _ in range(times):
        text = re.sub(r"\\(.?)", lambda found: "\\" if found[1] == "\\" else f"<escape {found[1]}>", text)
    return text


# --- LaTeX ------------------------------------------------------------------------------------------------------------

_LATEX = re.compile(r"\\(?:([A-Za-z]+) ?|(.))|(.)", re.DOTALL)
_LETTERS = {
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "dots": "…", "backslash": "\\", "sim": "~",
    "wedge": "^", " ": " ", **{sign: sign for sign in "#$%&_{}"},
}  # fmt: skip
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "v": "\u030c", "grave": "\u0300", "acute": "\u0301", "hat": "\u0302", "tilde": "\u0303",
    "bar": "\u0304", "breve": "\u0306", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c",
}  # fmt: skip
_GREEK = {unicodedata.name(c).split()[-1].lower().replace("lamda", "lambda"): c for c in "αβγδεζηθικλμνξπρστυφχψω"}
_COMMANDS = {
    "begin", "end", "multicolumn", "hline", "\\", "mathrm", "cdot", "partial", "leq", "geq", "neq", "sin", "cos", "tan",
    "exp", "log", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", *_GREEK, *_LETTERS, *_ACCENTS,
}  # fmt: skip


def read_latex(text: str) -> Document:
    """The rows of a `tabular`: how many cells each has.  Every command is one that is known, every sign is escaped."""
    assert text.isascii(), "not ASCII"
    assert "^^" not in text, "a character by its code"
    read_plain(text)
    rows, cells, depth, formula, seen, before = [], 1, 0, False, "", ""
    for command, sign in _tokens(text.replace(r"\`{}", "`")):
        assert command is None or command in _COMMANDS, f"the command \\{command}"
        if command is None:
            assert sign not in '#%~"', f"{sign} without an escape"
            assert formula or sign not in "^_<>|", f"{sign} outside of a formula"
            assert not (before in ("\\", "hline") and sign in "[*"), f"{sign} after the end of a line"
            depth += {"{": 1, "}": -1}.get(sign, 0)
            assert depth >= 0, "a closing brace too many"
            formula ^= sign == "$"
            cells += sign == "&"
            seen += "" if sign in "{}$" else sign
        elif command in ("\\", "begin", "end"):
            assert not formula and not depth, f"\\{command} inside of something"
            rows.append((command, cells))
            cells = 1
        elif command in _LETTERS:
            seen += _LETTERS[command]
        elif command in _ACCENTS:
            seen += f"<accent {_ACCENTS[command]}>"
        else:
            seen += _GREEK.get(command, "")
        before = before if command is None and sign.isspace() else command or sign
    assert not formula and not depth, "something does not end"
    seen = re.sub(r"<accent (.)>(\w?)", lambda found: unicodedata.normalize("NFC", found[2] + found[1]), seen)
    return Document(rows, seen)


def _tokens(text: str) -> Iterator[tuple[str | None, str]]:
    for found in _LATEX.finditer(text):
        yield found[1] or found[2], found[3]


READERS = {
    "plain": read_plain, "html": read_html, "svg": read_svg, "markdown": read_markdown, "dot": read_dot,
    "latex": read_latex,
}  # fmt: skip
