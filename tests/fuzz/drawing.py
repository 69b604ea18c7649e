"""A random program for a seed: its arguments, its constants, its steps and its result."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fuzz import blocks, statements
from fuzz.draft import Draft, namespace
from fuzz.programs import Program, is_inexact
from shared.calling.tree import flatten, leaf_paths

Kind = Callable[[Draft], bool]

#: How often each kind of step is tried, by the leaning of the program
KINDS: dict[str, dict[Kind, int]] = {
    "expressions": {
        statements.expression: 30, statements.mask: 2, statements.index: 2, statements.write: 2, statements.creation: 2,
        statements.view: 1, statements.container: 1, statements.stopped: 1, blocks.branch: 1, blocks.loop: 1,
        blocks.function: 1, blocks.nested: 1,
    },
    "writes": {
        statements.expression: 8, statements.mask: 1, statements.write: 12, statements.creation: 4, statements.view: 6,
        blocks.elements: 2, blocks.loop: 1, blocks.branch: 1, statements.index: 1,
    },
    "control": {
        statements.expression: 10, statements.write: 2, statements.creation: 2, statements.mask: 1, blocks.branch: 4,
        blocks.loop: 4, blocks.repeat_until: 1, blocks.elements: 2, blocks.function: 4, blocks.nested: 2,
        statements.stopped: 1,
    },
}  # fmt: skip
LEANINGS = ["expressions", "expressions", "expressions", "writes", "writes", "control"]
#: A step is drawn up to so many times until one fits.
TRIALS = 12
#: What selects elements by their values
SELECTIONS = re.compile(r"\[[^\n]*[<>][^\n]*\]|\[m\d|\[~m\d|nonzero|extract|compress")


def drawn_program(seed: int, leaning: str | None = None) -> Program:
    """The program of a seed, the same at every call; of the leaning (one of KINDS) that is asked for, or of any."""
    chance = random.Random(seed)
    n, m = chance.choice([2, 3]), chance.choice([2, 3])
    arguments, constants = _arguments(chance, n, m), _constants(chance, n, m)
    draft = Draft(chance, namespace(arguments, constants), {})
    for name, value in [*arguments.items(), *constants.items()]:
        # Of a container the leaves are operands.
        for path in leaf_paths(value, name):
            draft.readable[path] = eval(path, draft.scope)
            draft.protected.add(path)
            if name in arguments and is_inexact(draft.readable[path]):
                draft.varied.add(path)
    drawn_leaning = chance.choice(LEANINGS)
    kinds = KINDS[leaning or drawn_leaning]
    weighted = [kind for kind, weight in kinds.items() for _ in range(weight)]
    for _ in range(chance.choice([2, 4, 6, 8, 10, 12])):
        for _ in range(TRIALS):
            if blocks.attempt(draft, chance.choice(weighted)):
                break
    program = Program(seed, arguments, constants, tuple(draft.steps), _result(draft), frozenset(draft.features))
    return _with_features(program)


def _with_features(program: Program) -> Program:
    text = program.definition()
    found = set(program.features)
    if SELECTIONS.search(text):
        found.add("selections")
    leaves = flatten([*program.arguments.values(), *program.constants.values()])[0]
    if any(np.asarray(leaf).dtype in (np.float32, np.complex64) for leaf in leaves) or "float32" in text:
        found.add("single precision")
    if any(np.iscomplexobj(leaf) for leaf in leaves) or "1j" in text or "fft" in text:
        found.add("complex")
    if "** 0.5" in text and any(isinstance(leaf, float) for leaf in leaves):
        # The root of a negative Python float is a complex number.
        found.add("branches")
    return replace(program, features=frozenset(found))


# --- arguments and constants ------------------------------------------------------------------------------------------


def _arguments(chance: random.Random, n: int, m: int) -> dict[str, Any]:
    """One to three arguments to differentiate, the first an array, and perhaps an integer after them."""
    dtype = chance.choice(["float64"] * 5 + ["float32", "complex128"])
    found: dict[str, Any] = {"a0": numbers(chance, chance.choice([(n,), (n,), (m, n), (n, n), (3,)]), dtype)}
    shapes = [(n,), (m, n), (n, n), (), (1,), (0,), (1, n), (n, 1), (2, m, n), (0, n), (2,)]
    for k in range(1, chance.choice([1, 2, 2, 3])):
        kind = chance.choice(["array"] * 5 + ["float", "float", "scalar", "dict", "tuple"])
        found[f"a{k}"] = {
            "array": lambda: numbers(chance, chance.choice(shapes), dtype),
            "float": lambda: float(numbers(chance, ())),
            "scalar": lambda: numbers(chance, (), dtype)[()],
            "dict": lambda: {
                "w": numbers(chance, (m, n), dtype),
                "b": chance.choice([float(numbers(chance, ())), numbers(chance, (n,), dtype)]),
            },
            "tuple": lambda: (numbers(chance, (n,), dtype), {"s": float(numbers(chance, ()))}),
        }[kind]()
    if chance.random() < 0.25:
        found["k0"] = chance.choice([0, 1, 2, 2, 3])
    return found


def _constants(chance: random.Random, n: int, m: int) -> dict[str, Any]:
    """A vector, a matrix, something smaller, and a number."""
    dtype = chance.choice(["float64", "float64", "float64", "float32"])
    shapes = [(n,), chance.choice([(m, n), (n, n), (n, m)]), chance.choice([(), (1,), (m, 1), (m,), (0,)])]
    return {
        **{f"c{k}": numbers(chance, shape, dtype) for k, shape in enumerate(shapes)},
        "c3": float(numbers(chance, ())),
    }


def numbers(chance: random.Random, shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Numbers of magnitude 0.2 to 1.7, of either sign."""
    size = int(np.prod(shape))
    drawn = [chance.uniform(0.2, 1.7) * chance.choice([-1.0, 1.0]) for _ in range(2 * size)]
    values = np.array(drawn[:size])
    if np.dtype(dtype).kind == "c":
        values = values + 1j * np.array(drawn[size:])
    return values.reshape(shape).astype(dtype)


# --- the result -------------------------------------------------------------------------------------------------------


def _result(draft: Draft) -> str:
    """What is returned: a name, or a container of several, those that were made last first."""
    names = [name for name in draft.readable if name in draft.varied and name[0] in "va" and name not in draft.stale]
    last = names[::-1][:1] + [draft.choose(names) for _ in range(draft.choose([0, 0, 1, 2, 3]))]
    rest = f"({', '.join(last[1:])}{',' * (len(last) > 1)})"
    forms = [f"({', '.join(last)},)", f"[{', '.join(last)}]", f"{{'r': {last[0]}, 's': {rest}}}"]
    plain = [name for name in draft.readable if name[0] in "mic"]
    if draft.happens(0.1) and plain:
        # Under a key of their own: what does not vary.
        return f"{{'r': {last[0]}, 's': {rest}, 'plain': {draft.choose(plain)}}}"
    return last[0] if len(last) == 1 else str(draft.choose(forms if len(last) > 1 else [last[0]]))
