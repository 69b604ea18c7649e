"""How programs are written for people, whatever they are written in: operators, default keywords, indices, literals.

Operators belong to functions, not to names: a primitive of a user's own that is called `add` is written as a call.
Each kind of text (a listing, a picture, a formula) spells the same operators in its own way.  This module knows no
program, and nothing of layouts.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.core.visible import one_line, shown
from shared.programs.equations import ValueType

# --- operators --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator: its symbol in Python, how closely it binds there, and whether its operands may change places."""

    symbol: str
    precedence: int
    is_commutative: bool = False


#: How closely a statement in words, a comparison, a sign, a power, and what is no operation (a name, a call) bind.
SENTENCE, _COMPARISON, _SIGN, _POWER, ATOM = -1, 3, 9, 10, 11

#: The operators of two operands by symbol, from those that bind least (The Python Language Reference, section 6.17).
_BY_SYMBOL = {
    symbol: Operator(symbol, precedence, symbol in ("or", "and", "==", "!=", "|", "^", "&", "+", "*"))
    for precedence, symbols in (
        (0, ("or",)),
        (1, ("and",)),
        (_COMPARISON, ("<", "<=", ">", ">=", "==", "!=")),
        (4, ("|",)),
        (5, ("^",)),
        (6, ("&",)),
        (7, ("+", "-")),
        (8, ("*", "/", "//", "%", "@")),
        (_POWER, ("**",)),
    )
    for symbol in symbols
}

_SYMBOLS: dict[Any, str] = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.floor_divide: "//", np.remainder: "%",
    np.matmul: "@", np.power: "**",
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==", np.not_equal: "!=",
    np.bitwise_and: "&", np.bitwise_or: "|", np.bitwise_xor: "^", np.logical_and: "and", np.logical_or: "or",
    # Python's own, which are recorded of numbers
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==", operator.ne: "!=",
    operator.floordiv: "//", operator.and_: "&", operator.or_: "|", operator.xor: "^",
}  # fmt: skip

#: The operators by the function of a primitive: between two operands, and before a single one.
INFIX: dict[Any, Operator] = {function: _BY_SYMBOL[symbol] for function, symbol in _SYMBOLS.items()}
PREFIX: dict[Any, Operator] = {
    np.negative: Operator("-", _SIGN),
    np.invert: Operator("~", _SIGN),
    operator.invert: Operator("~", _SIGN),
    np.logical_not: Operator("not", 2),
}


def operator_of(primitive: Any, operands: int) -> Operator | None:
    """The operator that a primitive of so many operands is written with; None of any other.

    >>> from shared import REGISTRY
    >>> operator_of(REGISTRY[np.add], 2), operator_of(REGISTRY[np.negative], 1)
    (Operator(symbol='+', precedence=7, is_commutative=True), Operator(symbol='-', precedence=9, is_commutative=False))
    """
    table = {1: PREFIX, 2: INFIX}.get(operands, {})
    return table.get(getattr(primitive, "function", None))


def enclosed(text: str, precedence: int, around: Operator, is_right: bool = False) -> str:
    """An operand of the operator around it, in parentheses where it would be read otherwise, or badly.

    Operators of one precedence are taken from left to right, powers from right to left; comparisons and signs are not
    chained.

    >>> plus, minus, power = INFIX[np.add], INFIX[np.subtract], INFIX[np.power]
    >>> enclosed("x + y", plus.precedence, minus), enclosed("x + y", plus.precedence, minus, is_right=True)
    ('x + y', '(x + y)')
    >>> enclosed("-2.0", PREFIX[np.negative].precedence, power)
    '(-2.0)'
    """
    least = around.precedence
    if around.precedence == _POWER:
        # A sign binds less than a power, but may stand behind its operator.
        least = _SIGN if is_right else _POWER + 1
    elif is_right or around.precedence in (_COMPARISON, _SIGN):
        least += 1
    return text if precedence >= least else f"({text})"


def literal_precedence(value: Any) -> int:
    """How closely the text of a literal binds: that of a negative number begins with a sign."""
    return _SIGN if literal_text(value).startswith("-") else ATOM


# --- calls ------------------------------------------------------------------------------------------------------------


def name_of(primitive: Any) -> str:
    """What a primitive is called: those that stand in for a function of NumPy are marked by an underscore."""
    return str(primitive.name).lstrip("_")


#: What may stand before parentheses as it is: names, with dots between them, and what Python calls a lambda.
_CALLABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*|<\w+>")


def call_name(primitive: Any) -> str:
    """What a primitive is called before its arguments: in quotes if it would look like something else there.

    >>> from types import SimpleNamespace
    >>> call_name(SimpleNamespace(name="_tri")), call_name(SimpleNamespace(name="x * 2 + sin"))
    ('tri', "'x * 2 + sin'")
    """
    name = one_line(name_of(primitive))
    return name if _CALLABLE.fullmatch(name) else "'" + name.replace("'", r"\'") + "'"


#: What NumPy takes by itself for keywords that are not given.
_DEFAULTS = {"axis": None, "keepdims": False, "order": "C", "dtype": None, "axes": None, "kind": None}


def keywords(static: dict[str, Any]) -> dict[str, Any]:
    """The keywords without those that have the value that NumPy gives them by itself.

    >>> keywords({"axis": 0, "keepdims": False})
    {'axis': 0}
    """
    return {name: value for name, value in static.items() if not (name in _DEFAULTS and _DEFAULTS[name] == value)}


def type_name(kind: type) -> str:
    """A Python or NumPy type as users write it."""
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


# --- indices and literals ---------------------------------------------------------------------------------------------


def index_text(parts: Sequence[str], lengths: Sequence[int] | None = None) -> str:
    """An index, brackets included, from the texts of its parts; nested if there are lengths of several.

    >>> index_text(["1:", "0"]), index_text([]), index_text(["1:", "0", "k"], (2, 1))
    ('[1:, 0]', '[()]', '[1:, 0][k]')
    """
    text, start = "", 0
    for length in (len(parts),) if lengths is None else lengths:
        text += f"[{', '.join(parts[start : start + length]) or '()'}]"
        start += length
    return text


def literal_text(value: Any) -> str:
    """A literal as it is printed, on one line: small arrays in full, a slice as between brackets.

    >>> literal_text(2.0), literal_text(slice(1, None)), literal_text(np.zeros(2)), literal_text(np.str_("left"))
    ('2.0', '1:', 'array([0.0, 0.0])', "'left'")
    """
    if isinstance(value, np.ndarray):
        if value.size <= 4:
            return f"array({shown(value.tolist())})"
        if value.size and not any(value.strides):
            return f"full({value.shape}, {shown(value.flat[0])})"
        return f"array<{ValueType.of(value)!r}>"
    if isinstance(value, slice):
        parts = ["" if part is None else str(part) for part in (value.start, value.stop, value.step)]
        return one_line(":".join(parts if value.step is not None else parts[:2]))
    if value is Ellipsis:
        return "..."
    if isinstance(value, np.flexible):
        return shown(value.item())
    return str(value) if isinstance(value, np.generic) else shown(value)
