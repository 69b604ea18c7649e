"""Steps that are one line: values with names, masks and indices, views and aliases, assignments, containers."""

from __future__ import annotations

import numpy as np

from fuzz.draft import Draft
from fuzz.expressions import ADVANCED, BASIC, Unsuitable, drawn_expression, filled
from fuzz.programs import Step

#: What is written into an array
VALUES = [
    "{x}",
    "{x}",
    "{x} * {n}",
    "{x} * {x2}",
    "np.sin({x})",
    "{n}",
    "{c}",
    "{a}[{index}]",
    "{a}[{advanced}]",
    "{s}",
]
CREATED = [
    "np.zeros_like({a})", "np.zeros_like({a}) + {n}", "np.ones_like({a})", "np.zeros(3, like={a})", "{a}.copy()",
    "np.zeros(({len}, 2), like={a})", "np.full_like({a}, 0.5)", "np.full(2, {s}, like={s})", "np.zeros_like({a}[0])",
    "np.copy({a})", "{a} * 1.0", "np.eye(2, like={a})", "np.ones((2, 2), like={a})",
]  # fmt: skip
MASKS = ["{r} > {n}", "{r} <= {y}", "np.isfinite({x})", "({r} > 0.2) & ({r} < 1.0)", "~({r} < {n})", "{r} >= {r2}",
         "np.logical_or({r} > 0.9, {r} < {n})", "np.signbit({r})", "{r} != {r2}", "{r} == {n}"]  # fmt: skip
INDICES = ["np.argsort({v})", "np.argmax({ra}, axis={axis})", "np.argmin({ra})", "np.nonzero({v} > {n})[0]",
           "np.argsort({v})[:2]", "np.flatnonzero({r} < {n})"]  # fmt: skip
VIEWS = ["{a}[{index}]", "{a}[{index}]", "{a}", "{a}.T", "np.reshape({a}, -1)", "{a}.ravel()", "np.flip({a})",
         "np.squeeze({a})", "np.swapaxes({a}, 0, -1)", "np.atleast_2d({a})", "np.reshape({a}, {shape})",
         "{a}[None]", "{a}[1:]", "np.diagonal({m})"]  # fmt: skip
METHODS = ["sort()", "sort(axis=0)", "fill(0.25)"]


def expression(draft: Draft) -> bool:
    return draft.assign(drawn_expression(draft)) is not None


def mask(draft: Draft) -> bool:
    return draft.assign(filled(draft.choose(MASKS), draft), "m", varies=False) is not None


def index(draft: Draft) -> bool:
    return draft.assign(filled(draft.choose(INDICES), draft), "i", varies=False) is not None


def creation(draft: Draft) -> bool:
    return draft.assign(filled(draft.choose(CREATED), draft)) is not None


def view(draft: Draft) -> bool:
    """A view of an array that may be written to, or another name for it."""
    target = draft.writable(lambda value: value.ndim > 0)
    text = draft.choose(VIEWS)
    for gap in ("{a}", "{m}"):
        text = text.replace(gap, target)
    text = text.replace("{index}", draft.choose(BASIC))
    if "{shape}" in text:
        text = text.replace("{shape}", str(draft.choose([(-1, 1), (1, -1), (2, -1)])))
    return draft.assign(text) is not None


def write(draft: Draft) -> bool:
    """An assignment to a part of an array, or to all of it."""
    target = draft.writable()
    kind = draft.choose(["part", "part", "part", "mask", "whole", "method", "path"])
    operator = draft.choose(["=", "=", "+=", "*=", "-=", "/=", "**="])
    if kind == "method":
        line = f"{target}.{draft.choose(METHODS)}"
        if np.iscomplexobj(draft.value(target)):
            raise Unsuitable
    elif kind == "whole":
        line = f"{target} {draft.choose(['+=', '*=', '-='])} {_written(draft)}"
    else:
        value = draft.value(target)
        place = draft.choose(BASIC + ADVANCED) if value.ndim else draft.choose(["...", "()"])
        if kind == "mask":
            named = [name for name in draft.indices("m") if np.shape(draft.value(name)) == value.shape]
            place = draft.choose([*named, f"{target} > 0.3", f"{target} > 50.0", f"np.abs({target}) < 0.8"])
        path = f"[{draft.choose(BASIC)}]" if kind == "path" else ""
        line = f"{target}{path}[{place}] {operator} {_written(draft)}"
    if "**=" in line and not np.all(draft.value(target)):
        raise Unsuitable
    draft.note_write(target)
    if not np.ndim(draft.value(target)):
        draft.features.add("writes to numbers")
    return draft.take(Step(line))


def _written(draft: Draft) -> str:
    return filled(draft.choose(VALUES), draft)


def container(draft: Draft) -> bool:
    """Values that go through a dict or a tuple, and come out again."""
    one, other = draft.varying(lambda value: True), draft.varying(lambda value: True)
    return (
        draft.assign(
            draft.choose(
                [
                    f"{{'u': {one}, 'w': ({other}, 0.5)}}['w'][0]",
                    f"dict(a={one}, b=[{other}])['a']",
                    f"shared.tree_map(lambda leaf: leaf * 0.5, ({one}, {{'z': {other}}}))[0]",
                    f"sum([np.sum(part) for part in ({one}, {other})])",
                ]
            )
        )
        is not None
    )


def stopped(draft: Draft) -> bool:
    """A value that no differentiation sees through."""
    name = draft.varying(lambda value: True)
    draft.features.add("stop_gradient")
    return draft.assign(f"shared.stop_gradient({name})", varies=False) is not None
