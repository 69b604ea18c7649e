"""A program while it is drawn: its steps so far, and what its names stand for at the point where it is drawn.

Every step is run in plain NumPy when it is added, and not taken where NumPy refuses it or warns, or the numbers leave
the range in which derivatives can be told by differences.  Which names share memory, and which views an assignment has
made stale, is followed here, too.  This module knows no step in particular.
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fuzz.expressions import Unsuitable
from fuzz.programs import MODULES, NAME, Step, copied, is_inexact, magnitude

#: Bounds of what a name may stand for
LARGEST_SIZE, LARGEST_NDIM, LARGEST_VALUE = 24, 4, 40.0
#: Functions that have an infinite slope where they are zero
SINGULAR_AT_ZERO = re.compile(r"sqrt|cbrt|\*\* 0\.5|\*\* \(?[vac]\d|power|arccosh")
#: One pick of so many may be a view that cannot be read any more.
STALE_PICKS = 40


class Draft:
    """What is known of a program so far; a block of it is a draft of its own, which sees the names around it."""

    def __init__(self, chance: random.Random, surroundings: Callable[[], dict[str, Any]], numbers: dict[str, int]):
        self.chance = chance
        #: makes the namespace in which the first step runs
        self.surroundings = surroundings
        self.scope = surroundings()
        #: how many names of each letter there are
        self.numbers = numbers
        self.steps: list[Step] = []
        self.features: set[str] = set()
        #: expressions that may be operands; of them, those whose value varies with the arguments
        self.readable: dict[str, Any] = {}
        self.varied: set[str] = set()
        #: names whose arrays are not to be written to, names that are not to be bound anew, and stale views
        self.protected: set[str] = set()
        self.pinned: set[str] = set()
        self.stale: set[str] = set()
        #: of a view, the name that it is a view of, and whether it was taken by an index
        self.parent: dict[str, tuple[str, bool]] = {}
        #: of another name for an object, the first one
        self.alias: dict[str, str] = {}

    # --- choosing ---

    def choose(self, options: Any) -> Any:
        return self.chance.choice(list(options))

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    def varying(self, suits: Callable[[Any], bool]) -> str:
        return self._pick(suits, self.varied)

    def constant(self, suits: Callable[[Any], bool]) -> str:
        return self._pick(suits, self.readable.keys() - self.varied)

    def _pick(self, suits: Callable[[Any], bool], among: Iterable[str]) -> str:
        found = [name for name in self.readable if name in among and is_inexact(self.readable[name])]
        found = [name for name in found if suits(self.readable[name])]
        if not self.happens(1 / STALE_PICKS):
            found = [name for name in found if name not in self.stale]
        if not found:
            raise Unsuitable
        # What was made last is taken most often, so that programs become deep.
        name: str = self.choose(found[-4:] if self.happens(0.6) else found)
        if name in self.stale:
            self.features.add("stale views")
        return name

    def indices(self, kind: str) -> list[str]:
        return [name for name in self.readable if name.startswith(kind)]

    def count(self) -> str:
        counts = [name for name in self.readable if name.startswith("k")]
        return self.choose([*counts, *counts, "1", "2", "-1", "0", "3"])

    def value(self, text: str) -> Any:
        return self.readable[text]

    def name(self, letter: str = "v") -> str:
        number = self.numbers.get(letter, 0)
        self.numbers[letter] = number + 1
        return f"{letter}{number}"

    # --- adding steps ---

    def run(self, step: Step) -> bool:
        """Run a step in the namespace; whether NumPy took it, and every number stays reasonable."""
        code = "\n".join(step.lines())
        try:
            with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(code, self.scope)
        except Exception:
            return False
        return True

    def assign(self, expression: str, letter: str = "v", varies: bool = True) -> str | None:
        """Give an expression a name, unless it does not work: the name."""
        name = self.name(letter)
        step = Step(f"{name} = {expression}")
        if not self.run(step):
            return None
        value = self.scope[name]
        if SINGULAR_AT_ZERO.search(expression) and is_inexact(value) and not np.all(value):
            return None
        if not (reasonable(value) if letter == "v" else np.size(value) <= LARGEST_SIZE):
            del self.scope[name]
            return None
        self.steps.append(step)
        self.readable[name] = value
        if varies:
            self.varied.add(name)
        self._note_view(name, expression)
        return name

    def _note_view(self, name: str, expression: str) -> None:
        value = self.readable[name]
        if not isinstance(value, np.ndarray):
            return
        for other in NAME.findall(expression):
            known = self.readable.get(other)
            if isinstance(known, np.ndarray) and root(known) is root(value) and other != name:
                if expression == other:
                    self.alias[name] = self.alias.get(other, other)
                else:
                    self.parent[name] = (other, expression.startswith(f"{other}["))
                if other in self.stale:
                    self.stale.add(name)
                break

    def take(self, *steps: Step) -> bool:
        """Add steps that may write to arrays or bind names anew; whether they work and leave reasonable numbers."""
        before = len(self.steps)
        kept = self.stale.copy(), self.features.copy(), dict(self.readable)
        self.steps += steps
        if all(self.run(step) for step in steps) and self.refresh():
            return True
        del self.steps[before:]
        self.stale, self.features, self.readable = kept
        self.replay()
        return False

    def replay(self) -> None:
        """The namespace once more from the start: a step that was refused may have changed it."""
        self.scope = self.surroundings()
        for step in self.steps:
            if not self.run(step):
                raise AssertionError(f"a step that ran before does not run again: {step.text}")
        if not self.refresh():
            raise AssertionError("a program that was reasonable is not so the second time")

    def refresh(self) -> bool:
        """Look up again what the names stand for; whether all of it is reasonable."""
        for name in self.readable:
            value = eval(name, self.scope)
            if name[0] in "va" and not reasonable(value):
                return False
            self.readable[name] = value
        return True

    # --- memory ---

    def writable(self, suits: Callable[[Any], bool] = lambda value: True) -> str:
        """The name of an array that may be written to."""
        taken = {id(root(self.readable[name])) for name in self.protected}
        found = [
            name
            for name, value in self.readable.items()
            if name in self.varied and name.startswith("v") and isinstance(value, np.ndarray) and suits(value)
            if value.flags.writeable and id(root(value)) not in taken
        ]
        if not self.happens(1 / STALE_PICKS):
            found = [name for name in found if name not in self.stale]
        if not found:
            raise Unsuitable
        name: str = self.choose(found[-3:] if self.happens(0.5) else found)
        if name in self.stale:
            self.features.add("stale views")
        return name

    def note_write(self, name: str) -> None:
        """`name` is written to: every other view of its memory that it is not taken from goes stale."""
        link = self.alias.get(name, name)
        ancestors = {link}
        while link in self.parent:
            link, by_index = self.parent[link]
            link = self.alias.get(link, link)
            ancestors.add(link)
            if not by_index:
                # A view of another kind cannot be written through.
                self.features.add("stale views")
        memory = root(self.readable[name])
        for other, value in self.readable.items():
            if (
                isinstance(value, np.ndarray)
                and root(value) is memory
                and self.alias.get(other, other) not in ancestors
            ):
                self.stale.add(other)

    def pin(self, names: Iterable[str]) -> None:
        """Names that a function uses which may be evaluated again: they keep their values from now on."""
        names = [name for name in names if name in self.readable]
        self.pinned.update(names)
        self.protected.update(names)

    def forget(self, name: str) -> None:
        """`name` stands for a new array from now on, while others may stand for what it stood for."""
        former = f"{name} before"
        self.parent = {
            (former if view == name else view): (former if link[0] == name else link[0], link[1])
            for view, link in self.parent.items()
        }
        self.alias = {view: former if first == name else first for view, first in self.alias.items() if view != name}

    # --- blocks ---

    def block(self, readable: Sequence[str] | None = None) -> Draft:
        """The draft of a block: it may read what stands around it (or some of it), and writes to what it makes."""
        scope = self.scope
        inner = Draft(self.chance, lambda: dict(scope), self.numbers)
        inner.readable = {name: value for name, value in self.readable.items() if readable is None or name in readable}
        inner.varied = self.varied & inner.readable.keys()
        inner.protected = set(inner.readable)
        inner.pinned = self.pinned
        inner.stale = self.stale & inner.readable.keys()
        inner.features = self.features
        return inner


def namespace(arguments: dict[str, Any], constants: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: {**MODULES, **copied(arguments), **copied(constants)}


def reasonable(value: Any) -> bool:
    return (
        is_inexact(value)
        and np.size(value) <= LARGEST_SIZE
        and np.ndim(value) <= LARGEST_NDIM
        and magnitude(value) <= LARGEST_VALUE
        and getattr(value, "dtype", np.dtype(float)) != np.longdouble
    )


def root(array: Any) -> Any:
    """The array that owns the memory of another one."""
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base
    return array
