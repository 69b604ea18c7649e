"""A program made ready for checks: the function of the arguments that vary, a loss, and its own frozen twin.

What `stop_gradient` lets through is a constant to a derivative but not to differences, so differences are taken of a
twin in which it gives the values that it had at the point of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import shared
from fuzz.comparison import Inconclusive
from fuzz.programs import Program, copied, is_inexact
from shared.calling.tree import flatten

Function = Callable[..., Any]


class Case:
    """A program at a point."""

    def __init__(self, program: Program, arguments: tuple[Any, ...] | None = None):
        self.program = program if arguments is None else program.with_arguments(arguments)
        self.features = program.features
        self.function = self.program.function()
        #: the arguments that the checks use, which must stay as they are
        self.arguments = self.program.values()
        self.varying = self.program.varying
        self.primals = tuple(self.arguments[k] for k in self.varying)
        self.is_single = "single precision" in self.features
        #: how far rounding may take results that are computed in two ways
        self.relative = 2e-4 if self.is_single else 1e-9
        self.chance = np.random.default_rng(program.seed)

    def of_varying(self, f: Function) -> Function:
        """A function of all arguments, as one of those that vary."""
        every = list(self.arguments)

        def of_varying(*values: Any) -> Any:
            given = every.copy()
            for k, value in zip(self.varying, values, strict=True):
                given[k] = value
            return f(*given)

        return of_varying

    @property
    def constants(self) -> dict[str, Any]:
        """The constants that the function sees, which are arrays."""
        scope = self.function.__globals__
        return {name: scope[name] for name in self.program.constants if isinstance(scope[name], np.ndarray)}

    def plain(self, *arguments: Any) -> Any:
        """What NumPy computes; raises Inconclusive where it refuses."""
        try:
            return self.function(*copied(arguments))
        except Exception as error:
            raise Inconclusive(f"NumPy refuses: {error!r}") from error

    def frozen(self) -> Function:
        """The twin of the function: derivatives at the point of the program are its differences."""
        # What a program rounds on the way hides short steps.
        program = self.program.in_double() if self.is_single else self.program
        if "stop_gradient" not in self.features:
            return program.function() if self.is_single else self.function
        seen: list[Any] = []
        program.function(shared=_Stopping(lambda x: seen.append(np.copy(x)) or x))(*copied(self.arguments))
        replayed = iter(seen)
        function = program.function(shared=_Stopping(lambda x: next(replayed)))

        def twin(*args: Any) -> Any:
            nonlocal replayed
            replayed = iter(seen)
            try:
                return function(*args)
            except StopIteration as error:
                raise ValueError("another branch") from error

        return twin


class _Stopping:
    """The package `shared` with another `stop_gradient`."""

    def __init__(self, stop_gradient: Function):
        self.stop_gradient = stop_gradient

    def __getattr__(self, name: str) -> Any:
        return getattr(shared, name)


def loss_of(f: Function) -> Function:
    """A number that depends on everything that a function returns, and is linear in nothing."""

    def loss(*args: Any) -> Any:
        total, result = 0.0, f(*args)
        if isinstance(result, dict):
            # What is computed of captured arrays alone is none of a record's business.
            result = {key: part for key, part in result.items() if key != "plain"}
        for k, leaf in enumerate(flatten(result)[0]):
            if not is_inexact(leaf):
                continue
            if np.iscomplexobj(leaf):
                leaf = np.real(leaf) + 0.3 * np.imag(leaf)
            total = total + np.sum(np.sin(leaf * (0.7 + 0.1 * k)))
        return total

    return loss
