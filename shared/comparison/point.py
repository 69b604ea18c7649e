"""A function at a point: its arguments, which of them vary, its outputs, and a direction and a cotangent to try.

This module runs the function, twice, and knows no derivative and no engine but by its interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from shared.calling.arguments import Argnums, Selection, argument_paths, refuse_iterators
from shared.calling.engine import Engine
from shared.calling.results import independent
from shared.calling.seeds import has_derivative, is_complex
from shared.calling.transformed import readable_name
from shared.calling.tree import flatten, tree_map, unflatten
from shared.checking.leaves import random_cotangents, random_tangents
from shared.core.errors import ImpureFunctionError, LeafTypeError, user_line
from shared.core.levels import Tracer
from shared.core.visible import kind_of, one_line, shortened, shown
from shared.counting.modes import require_order
from shared.linear.purity import Remembered
from shared.programs.explaining.evaluation import varying_arguments, with_floats

_NUMBERS = (float, complex, int, bool)

#: Of a function that takes more seconds than this, the least is run.
_SLOW = 0.2


class Point:
    """`f(*args)`, and what of it varies: `inputs` numbers among the arguments, `outputs` numbers of the result.

    `argnums` says which arguments vary, as in `grad`; None means all that can.  Integers that are arguments become
    floats where they vary, and arrays are copied.  `direction` is a tangent of what varies, `cotangent` one of the
    result, both random and the same in every run.  Raises TypeError where `f` is no function or returns what is no
    number, LeafTypeError where nothing varies, ValueError where it does and is empty, ImpureFunctionError where a
    second evaluation gives something else, and what `f` raises, with a note where it may need an integer.

    >>> import dualad, reversead
    >>> point = Point("compare", np.outer, (np.ones(2), np.ones(3)), None, (dualad, reversead))
    >>> point.inputs, point.outputs, point.is_scalar
    (5, 6, False)
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        argnums: Argnums | None,
        engines: Sequence[Engine],
    ):
        if not callable(f):
            raise TypeError(f"{name}: expected a function, not {shown(f)} (type {kind_of(f)}){user_line()}")
        self.forward, self.reverse = _pair(name, engines)
        refuse_iterators(name, args, {})
        self.f = f
        self.function = shortened(readable_name(f), 60)
        if any(isinstance(leaf, Tracer) for leaf in flatten(list(args))[0]):
            raise LeafTypeError(
                f"{name}: an argument belongs to a differentiation in progress{user_line()}; what is compared are "
                f"derivatives at plain numbers and arrays: {name}(reversead.grad(f), x)"
            )
        floats = with_floats(f, args)
        if argnums is not None:
            # What is fixed stays as it is: an integer may be an index.
            chosen = Selection(name, f, floats, {}, argnums).places
            floats = tuple(floats[place] if place in chosen else arg for place, arg in enumerate(args))
        self.args = tuple(tree_map(independent, list(floats)))
        if argnums is None:
            positions = varying_arguments(name, f, self.args)
            argnums = positions if len(positions) > 1 else positions[0]
        self.selection = Selection(name, f, self.args, {}, argnums)
        # By position, which holds of every function that is made of this one.
        places: Any = tuple(self.selection.places)
        self.argnums: Argnums = places[0] if self.selection.single else places
        leaves = self.selection.leaves
        #: the sizes of the leaves that vary, and how many numbers that is
        self.sizes = [int(np.size(leaf)) for leaf in leaves]
        self.inputs = sum(self.sizes)
        if not self.inputs:
            raise ValueError(f"{name}: the arguments of {self.function} that vary hold no number{user_line()}")
        start = perf_counter()
        try:
            value, self.out_structure = flatten(f(*self.args))
        except Exception as error:
            changed = [place for place, (new, old) in enumerate(zip(self.args, args, strict=True)) if _became(new, old)]
            if changed:
                named = ", ".join(f"{shown(args[place])} at position {place}" for place in changed)
                error.add_note(
                    f"{name} takes arguments that are integers (here {named}) as floating-point numbers that vary; "
                    "where one counts or indexes say which arguments vary instead, as in argnums=0"
                )
            raise
        #: how long an evaluation takes, by the clock on the wall: the quicker of the two
        self.seconds = perf_counter() - start
        _require_numbers(name, self.function, value)
        self.value = [independent(leaf) for leaf in value]
        self._require_same(name)
        self.out_sizes = [int(np.size(leaf)) for leaf in self.value]
        self.outputs = sum(self.out_sizes)
        if not self.outputs:
            raise ValueError(f"{name}: {self.function} returned no number{user_line()}, but empty arrays")
        #: whether there is a gradient: one real number is returned, and by itself
        self.is_scalar = (
            not self.out_structure.children and np.shape(self.value[0]) == () and not is_complex(self.value[0])
        )
        self.is_real = not any(is_complex(leaf) for leaf in (*leaves, *self.value))
        rng = np.random.default_rng(0)
        self.tangents = random_tangents(leaves, rng)
        self.direction = self.selection.pack(self.tangents)
        self.cotangents = random_cotangents([_floating(leaf) for leaf in self.value], rng)
        self.cotangent = unflatten(self.out_structure, self.cotangents)

    def _require_same(self, name: str) -> None:
        """Refuse a function that gives something else the second time, which nothing could be told of."""
        first = [Remembered(leaf) for leaf in self.value]
        start = perf_counter()
        again = flatten(self.f(*self.args))[0]
        self.seconds = min(self.seconds, perf_counter() - start)
        changed = "another number of results" if len(again) != len(first) else None
        for remembered, leaf in zip(first, again, strict=False):
            changed = changed or remembered.difference(leaf)
        if changed:
            raise ImpureFunctionError(
                f"{name}: a second evaluation of {self.function} at the same arguments gave {changed}{user_line()}, so "
                "its ways cannot be compared; a function that draws at random takes its numbers, or a seed, as an "
                "argument"
            )

    @property
    def is_slow(self) -> bool:
        """Whether an evaluation takes so long that dozens of them would try a user's patience."""
        return self.seconds > _SLOW

    def places(self) -> list[tuple[int, str, int]]:
        """Of each argument that varies its position, its name, and how many numbers it holds."""
        names = list(argument_paths(self.f, (0.0,) * len(self.args), {}))
        places = [place for place in self.selection.places if isinstance(place, int)]
        counts = [sum(int(np.size(leaf)) for leaf in part) for part in self.selection.leaves_by_argument()]
        return [(place, names[place], count) for place, count in zip(places, counts, strict=True)]


def _pair(name: str, engines: Any) -> tuple[Engine, Engine]:
    """The two engines, forward and reverse; whatever has the interface will do."""
    pair = list(engines) if isinstance(engines, (list, tuple)) else [engines]
    if len(pair) != 2 or not all(hasattr(engine, "jvp") and hasattr(engine, "vjp") for engine in pair):
        raise TypeError(
            f"{name}: engines must be a forward and a reverse engine, engines=(dualad, reversead), not "
            f"{shown(engines)}{user_line()}"
        )
    require_order(name, *pair)
    return pair[0], pair[1]


def _require_numbers(name: str, function: str, leaves: list[Any]) -> None:
    for leaf in leaves:
        numeric = isinstance(leaf, _NUMBERS) or getattr(getattr(leaf, "dtype", None), "kind", "") in ("b", *"iufc")
        if not numeric or (not hasattr(leaf, "dtype") and not isinstance(leaf, _NUMBERS)):
            raise TypeError(
                f"{name}: {function} returned {one_line(shown(leaf))[:60]} (type {kind_of(leaf)}){user_line()}; what "
                "has derivatives returns numbers, arrays and containers of them"
            )
    if not any(has_derivative(leaf) for leaf in leaves):
        raise TypeError(
            f"{name}: {function} returned no floating-point number{user_line()}, so there is nothing to differentiate"
        )


def _became(new: Any, old: Any) -> bool:
    """Whether an integer has become a float."""
    return isinstance(new, float) and isinstance(old, (int, np.integer)) and not isinstance(old, bool)


def _floating(leaf: Any) -> Any:
    return leaf if has_derivative(leaf) else np.zeros(np.shape(leaf))[()]
