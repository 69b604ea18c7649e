"""Formulas of a recorded program as text: what a line computes, its tangent, and what it adds to an adjoint.

Formulas are written once, with marks in the place of values, tangents and adjoints, and around what users have named;
they are turned into plain text, LaTeX or HTML.  Those of whole arrays are in
`shared.programs.explaining.array_formulas`.  The partial derivatives
here are for reading only: numbers come from the registry, and a test compares the two.  This module knows nothing of
sweeps.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.assignment import SETITEM
from shared.core.primitive import Primitive
from shared.core.visible import one_line
from shared.programs.equations import PART, Equation, Write
from shared.programs.explaining.array_formulas import applied, chosen, pulled
from shared.programs.markup import html_text, latex_name
from shared.programs.notation import call_name, index_text, keywords, operator_of
from shared.rules import indexing, special

#: What functions of one and two arguments are multiplied by, from the arguments x, y and the result out.
PARTIALS: dict[Any, tuple[str, ...]] = {
    np.add: ("1", "1"),
    np.subtract: ("1", "-1"),
    np.multiply: ("{y}", "{x}"),
    np.divide: ("1/{y}", "-{out}/{y}"),
    np.power: ("{y}·{x}↑({y} - 1)", "{out}·log({x})"),
    np.negative: ("-1",),
    np.positive: ("1",),
    np.copy: ("1",),
    np.square: ("2·{x}",),
    np.reciprocal: ("-{out}↑2",),
    np.sqrt: ("1/(2·{out})",),
    np.exp: ("{out}",),
    np.expm1: ("exp({x})",),
    np.log: ("1/{x}",),
    np.log1p: ("1/(1 + {x})",),
    np.log2: ("1/({x}·log(2))",),
    np.log10: ("1/({x}·log(10))",),
    np.exp2: ("{out}·log(2)",),
    np.cbrt: ("1/(3·{out}↑2)",),
    np.sin: ("cos({x})",),
    np.cos: ("-sin({x})",),
    np.tan: ("(1 + {out}↑2)",),
    np.arcsin: ("1/sqrt(1 - {x}↑2)",),
    np.arccos: ("-1/sqrt(1 - {x}↑2)",),
    np.arctan: ("1/(1 + {x}↑2)",),
    np.sinh: ("cosh({x})",),
    np.cosh: ("sinh({x})",),
    np.tanh: ("(1 - {out}↑2)",),
    np.hypot: ("{x}/{out}", "{y}/{out}"),
    np.absolute: ("sign({x})",),
    special.SIGMOID.function: ("{out}·(1 - {out})",),
    special.RELU.function: ("({x} > 0)",),
}
#: How operators are spelled in formulas; others are written as calls.
_SPELLING = {
    "+": " + ", "-": " - ", "*": "·", "/": "/", "**": "↑",
    "<": " < ", "<=": " ≤ ", ">": " > ", ">=": " ≥ ", "==": " == ", "!=": " ≠ ",
}  # fmt: skip


class Marks:
    """The marks of one table: `numbers[k]` is the index of value k there, `texts[k]` how a constant is written.

    `values[k]` is what value k is at the point of the table.
    """

    def __init__(self, numbers: dict[int, int], texts: dict[int, str], values: Sequence[Any]):
        self.numbers = numbers
        self.texts = texts
        self.values = values

    def value(self, k: int) -> str:
        """Value k."""
        return f"⟨v{self.numbers[k]}⟩" if k in self.numbers else self.texts[k]

    def tangent(self, k: int) -> str:
        """The tangent of value k."""
        return f"⟨t{self.numbers[k]}⟩"

    def adjoint(self, k: int) -> str:
        """The adjoint of value k."""
        return f"⟨a{self.numbers[k]}⟩"

    # --- formulas ---

    def primal(self, equation: Equation) -> str:
        """The right side of an equation."""
        return self._applied(equation, [self.value(k) for k in equation.operands])

    def _applied(self, equation: Equation, operands: list[str]) -> str:
        primitive, static = equation.primitive, equation.static
        if isinstance(primitive, Write):
            array, value, *parts = operands
            sign = ":=" if primitive.updating is SETITEM else "+="
            return f"{array} with {_place(parts, static['lengths'])} {sign} {value}"
        if primitive is PART:
            return f"{operands[0]}[{static['item']}]"
        function = primitive.function
        if function is indexing.GETITEM.function:
            return f"{operands[0]}{index_text(operands[1:])}"
        given, out = self._given(equation)
        told = applied(equation, operands, given, out)
        if told is not None:
            return told
        operator = None if static else operator_of(primitive, len(operands))
        spelled = None if operator is None else _SPELLING.get(operator.symbol)
        if spelled is not None:
            if len(operands) == 1:
                return f"{spelled.strip()}{operands[0]}"
            # x times minus one, and not x minus one: a sign behind an operator is put in parentheses, or below a power.
            first = _atom(operands[0]) if operator is not None and operator.symbol == "**" else operands[0]
            return f"{first}{spelled}{_atom(operands[1])}"
        named = [f"{theirs(name)}={_static_text(value)}" for name, value in sorted(keywords(static).items())]
        return f"{theirs(call_name(primitive))}({', '.join(operands + named)})"

    def _given(self, equation: Equation) -> tuple[list[Any], Any]:
        """The values of an equation's operands, and of its result."""
        return [self.values[k] for k in equation.operands], self.values[equation.result]

    def tangent_of(self, equation: Equation, positions: list[int]) -> str:
        """The tangent of an equation's result, from those of the operands at some positions."""
        primitive, operands = equation.primitive, equation.operands
        texts = [self.value(k) for k in operands]
        if isinstance(primitive, Write):
            texts[:2] = [self.tangent(k) if p in positions else "0" for p, k in enumerate(operands[:2])]
            return self._applied(equation, texts)
        if primitive.residuals is not None or primitive.function is np.where:
            changed = [self.tangent(k) if p in positions else "0" for p, k in enumerate(operands)]
            if primitive.function is np.where:
                changed[0] = texts[0]
            return self._applied(equation, changed)
        terms = []
        for position in positions:
            factor = self._partial(equation, position)
            incoming = self.tangent(operands[position])
            if factor is None and primitive.form == "multilinear":
                replaced = [incoming if p == position else text for p, text in enumerate(texts)]
                terms.append(self._applied(equation, replaced))
            else:
                terms.append(_times(incoming, factor or self._unnamed(equation, position)))
        return joined(terms)

    def adjoint_term(self, equation: Equation, position: int, overwrites: bool) -> str:
        """What an equation adds to the adjoint of the operand at a position."""
        primitive = equation.primitive
        incoming = self.adjoint(equation.result)
        if isinstance(primitive, Write):
            place = _place([self.value(k) for k in equation.operands[2:]], equation.static["lengths"])
            if position == 1:
                return f"{incoming}{place}"
            return f"({incoming} with {place} := 0)" if overwrites else incoming
        if primitive.function is indexing.GETITEM.function:
            return f"({incoming} at {index_text([self.value(k) for k in equation.operands[1:]])})"
        given, out = self._given(equation)
        factor = self._partial(equation, position)
        if factor is not None:
            term = _times(incoming, factor)
            return _summed(term, np.shape(given[position]), np.shape(out))
        texts = [self.value(k) for k in (*equation.operands, equation.result)]
        told = pulled(equation, position, incoming, texts, given, out)
        if told is not None:
            return _summed(told, np.shape(given[position]), np.shape(out)) if primitive.function is np.where else told
        if primitive.elementwise:
            return _times(incoming, self._unnamed(equation, position))
        return f"({self._unnamed(equation, position)})↑T {incoming}"

    def _unnamed(self, equation: Equation, position: int) -> str:
        return f"∂{self.value(equation.result)}/∂{self.value(equation.operands[position])}"

    def _partial(self, equation: Equation, position: int) -> str | None:
        primitive: Primitive = equation.primitive
        texts = [_atom(self.value(k)) for k in equation.operands]
        given, _ = self._given(equation)
        known = PARTIALS.get(primitive.function)
        if known is None or position >= len(known):
            return chosen(equation, position, texts, given)
        if primitive.function is np.absolute and np.iscomplexobj(given[0]):
            return None
        if primitive.function is np.power and position == 0 and equation.operands[1] not in self.numbers:
            known_power = _of_power(texts[0], given[1])
            if known_power is not None:
                return known_power
        names = dict(zip(("x", "y"), texts, strict=False))
        return known[position].format(out=self.value(equation.result), **names)


def number_text(value: Any) -> str | None:
    """A real number as it stands in a formula, where 2.0 is 2; None of anything else.

    >>> number_text(2.0), number_text(np.float64(-0.5)), number_text(True), number_text(1e300)
    ('2', '-0.5', None, '1e+300')
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    number = float(value)
    return str(int(value)) if number.is_integer() and abs(number) < 1e15 else str(value)


def _of_power(x: str, exponent: Any) -> str | None:
    """The derivative of x↑n by x, where n is known.

    >>> _of_power("x", 2.0), _of_power("x", 3), _of_power("x", 1), _of_power("x", 0.5), _of_power("x", -1.0)
    ('2·x', '3·x↑2', '1', '0.5/x↑0.5', '-1/x↑2')
    """
    factor = number_text(exponent)
    if factor is None or not np.isfinite(exponent):
        return None
    n = float(exponent)
    if n in (0, 1):
        return factor
    # Twelve digits: 0.1 - 1 is -0.9 to a reader.
    rest = number_text(float(f"{n - 1:.12g}"))
    if n < 1:
        return f"{factor}/{x}↑{number_text(float(f'{1 - n:.12g}'))}"
    return f"{factor}·{x}" if n == 2 else f"{factor}·{x}↑{rest}"


def _static_text(value: Any) -> str:
    return repr(value) if value.__class__ is float else theirs(str(getattr(value, "__name__", value)))


def _atom(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


#: A negative number, in parentheses.
_NEGATIVE = re.compile(r"\(-[0-9][0-9.]*\)")


def _times(incoming: str, factor: str) -> str:
    """A tangent or adjoint times a factor, without a multiplication by one."""
    if _NEGATIVE.fullmatch(factor):
        factor = factor[1:-1]
    sign, factor = ("-", factor[1:]) if factor.startswith("-") else ("", factor)
    if factor == "1":
        return sign + incoming
    return f"{sign}{incoming}/{factor[2:]}" if factor.startswith("1/") else f"{sign}{incoming}·{factor}"


def _summed(term: str, shape: tuple[int, ...], broadcast: tuple[int, ...]) -> str:
    """A term of a broadcast shape, summed to what was broadcast.

    >>> _summed("c", (3,), (5, 3)), _summed("c", (5, 1), (5, 3)), _summed("c", (), (5, 3)), _summed("c", (3,), (3,))
    ('sum(c, axis=0)', 'sum(c, axis=1, keepdims=True)', 'sum(c)', 'c')
    """
    added = len(broadcast) - len(shape)
    stretched = [k for k in range(added, len(broadcast)) if shape[k - added] != broadcast[k]]
    axes = [*range(added), *stretched]
    if not axes or all(broadcast[k] == 1 for k in axes):
        return term
    if len(axes) == len(broadcast) and not shape:
        return f"sum({term})"
    axis = axes[0] if len(axes) == 1 else tuple(axes)
    return f"sum({term}, axis={axis}{', keepdims=True' if stretched else ''})"


def joined(terms: list[str]) -> str:
    """A sum of terms, which may begin with a minus sign; 0 of none.

    >>> joined(["a", "-b", "c"])
    'a - b + c'
    """
    text = terms[0] if terms else "0"
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


def _place(parts: list[str], lengths: tuple[int, ...]) -> str:
    """The place that an assignment goes to; all of a view is the view."""
    return index_text(parts, lengths).removesuffix("[...]") or "[...]"


# --- notations --------------------------------------------------------------------------------------------------------

#: Around a name, whatever is in it: characters that no name has when it is on one line.
_BEGIN, _END = "\ue000", "\ue001"
#: A mark: of a value, its tangent or its adjoint (v, t, a) with the index, and of outputs alike (y, u, z); or a name.
_MARK = re.compile(rf"⟨([vtayuz])(-?[0-9]*)⟩|{_BEGIN}([^{_END}]*){_END}")
_SUBSCRIPTS = str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")
_LETTERS = {"v": "v", "t": "v", "a": "v", "y": "y", "u": "y", "z": "y"}
_ACCENTS = {"v": "", "t": "\u0307", "a": "\u0304", "y": "", "u": "\u0307", "z": "\u0304"}
_LATEX_ACCENTS = {"v": "v", "t": r"\dot{v}", "a": r"\bar{v}", "y": "y", "u": r"\dot{y}", "z": r"\bar{y}"}


def theirs(text: str) -> str:
    """What a user has named, in a formula: it is shown as it is, whatever it looks like.

    >>> plain(theirs("⟨v1⟩↑2")), plain("⟨v1⟩↑2")
    ('⟨v1⟩↑2', 'v₁^2')
    """
    return f"{_BEGIN}{one_line(text)}{_END}"


def plain(text: str) -> str:
    """A formula as plain text: v₃ for a value, with a dot for its tangent and a bar for its adjoint.

    >>> plain("⟨v1⟩·⟨v-1⟩↑2")
    'v₁·v₋₁^2'
    """
    result = ""
    for kind, piece in _pieces(text):
        if kind in _LETTERS:
            # Some letters exist with their accent, and are shown better so.
            result += unicodedata.normalize("NFC", _LETTERS[kind] + _ACCENTS[kind]) + piece.translate(_SUBSCRIPTS)
        else:
            result += one_line(piece if kind == _BEGIN else piece.replace("↑T", "ᵀ").replace("↑", "^"))
    return result


def typeset(text: str) -> str:
    """A formula as plain text for a picture or a page: with a sign of minus, beside which names keep their hyphens.

    The transpose of what is called a transpose is without that sign.

    >>> typeset(f"-{theirs('a-b')} - 1"), typeset(f"{theirs('wᵀ')}↑T x")
    ('−a-b − 1', 'w x')
    """
    result = ""
    for kind, piece in _pieces(text.replace(f"ᵀ{_END}↑T", _END)):
        if kind == _BEGIN:
            result += plain(theirs(piece))
        else:
            result += plain(f"⟨{kind}{piece}⟩") if kind else plain(piece.replace("-", "−"))
    return result


def as_html(text: str) -> str:
    """A formula as HTML, with everything that users have written escaped."""
    result = ""
    for kind, piece in _pieces(text):
        if kind in _LETTERS:
            index = f"<sub>{piece.replace('-', '&minus;')}</sub>" if piece else ""
            result += f"<i>{_LETTERS[kind]}{_ACCENTS[kind]}</i>{index}"
        else:
            escaped = html_text(piece)
            result += escaped if kind == _BEGIN else escaped.replace("↑T", "<sup>T</sup>").replace("↑", "^")
    return result


def as_latex(text: str) -> str:
    """A formula as LaTeX for math mode, with everything that users have written escaped.

    >>> as_latex("⟨a2⟩·cos(⟨v0⟩)")
    '\\\\bar{v}_{2}\\\\cdot \\\\cos(v_{0})'
    """
    result = ""
    for kind, piece in _pieces(text):
        if kind in _LETTERS:
            result += _LATEX_ACCENTS[kind] + (f"_{{{piece}}}" if piece else "")
        elif kind == _BEGIN:
            result += f"\\{piece}" if piece in _LATEX_FUNCTIONS else latex_name(piece)
        else:
            result += "".join(_latex_token(token) for token in _TOKEN.findall(piece))
    return _EXPONENT.sub(lambda m: f"^{{{m[1] or m[2]}}}", result)


#: A sign between spaces, which LaTeX spaces by itself; a number with an exponent; a word; anything else.
_TOKEN = re.compile(r" (?:==|[=+<>≤≥≠-]) |[0-9]+(?:\.[0-9]*)?e[+-]?[0-9]+|[^\W\d]\w*|.", re.DOTALL)
#: What follows a sign of a power: in parentheses, a number or a marked value.
_EXPONENT = re.compile(r"\^(?:\(([^()]*)\)|([0-9][0-9.]*|(?:\\(?:bar|dot)\{v\}|v)_\{-?[0-9]+\}))")


def _pieces(text: str) -> list[tuple[str, str]]:
    """The parts of a formula: ("", text), or (kind, number) of a mark, or (_BEGIN, name)."""
    found, end = [], 0
    for match in _MARK.finditer(text):
        found += [("", text[end : match.start()]), (match[1], match[2]) if match[1] else (_BEGIN, match[3])]
        end = match.end()
    return [*found, ("", text[end:])]


_LATEX_FUNCTIONS = frozenset(("sin", "cos", "tan", "exp", "log", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"))
_LATEX = {"·": r"\cdot ", "↑": "^", "∂": r"\partial ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq "}


def _latex_token(token: str) -> str:
    if token in _LATEX_FUNCTIONS:
        return f"\\{token}"
    sign = token.strip() or token
    if sign in _LATEX:
        return _LATEX[sign]
    if token[0].isdigit() and len(token) > 1:
        mantissa, exponent = token.split("e")
        return rf"{mantissa}\cdot 10^{{{int(exponent)}}}"
    # A sign between spaces, which are LaTeX's to set.
    return sign if len(token) > 2 and token[0] == " " else latex_name(token)


def width(text: str) -> int:
    """How many columns a text takes: an accent stands over the letter before it."""
    return sum(not unicodedata.combining(c) for c in text)
