"""Derivatives made of an engine's few operations: what is the same in every engine, written once.

An engine evaluates a function at a point, differentiates a scalar function, and fills the blocks of a Jacobian
(`Operations`); the functions here put together the rest.  Each returns a plain function of the arguments of `f`, and
the engine makes a transform of it, under its own name and with its own costs.  This module knows neither tapes nor dual
numbers, and imports no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from shared.calling.arguments import Argnums, Selection, scalar_input
from shared.calling.jacobians import complex_derivative, nest
from shared.calling.results import handed_out, require_elementwise, require_same_shape, scattered_powers
from shared.calling.seeds import is_complex, one_of
from shared.calling.transformed import transformed
from shared.calling.tree import Structure
from shared.core.edges import Like

if TYPE_CHECKING:
    from concurrent.futures import Executor

Function = Callable[..., Any]


class Value(Protocol):
    """What a function returned at a point: its outputs, how they were nested, and the auxiliary values beside them."""

    @property
    def outputs(self) -> list[Any]: ...
    @property
    def structure(self) -> Structure: ...
    @property
    def aux(self) -> Any: ...


class Evaluation(Protocol):
    """A function at a point, as an engine holds it to differentiate it there."""

    @property
    def value(self) -> Value:
        """What the function returned: asked for after the tangents, of which the first may give it, too."""

    @property
    def pull(self) -> Callable[[list[Any]], list[Any]] | None:
        """From a cotangent of each output to those of the leaves; None where an engine has nothing cheap for that."""

    def push(self, seeds: list[Any]) -> list[Any]:
        """The outputs' tangents, for a tangent of each leaf that varies, or None where it does not."""

    def release(self) -> None:
        """Give up what is held, where an exception may keep a frame that refers to this."""


class Operations(NamedTuple):
    """What is asked of an engine: functions that stand in its modules, so that other processes find them there."""

    #: (name, selection, has_aux): the selected function at the arguments that were given
    evaluate: Callable[[str, Selection, bool], Evaluation]
    #: (name, f, argnums, has_aux): the function that returns the value and the gradient
    value_and_grad: Callable[[str, Function, Argnums, bool], Function]
    #: (name, selection, has_aux, chunk_size, executor): the value, and the blocks [output][leaf] of the Jacobian
    blocks: Callable[[str, Selection, bool, int | None, Executor | None], tuple[Value, list[list[Any]]]]


def derivative(engine: Operations, f: Function, argnums: Argnums, has_aux: bool, order: int = 1) -> Function:
    """The derivative with respect to a number, or a tuple of several: one direction each, or one power series."""
    name = "derivative"
    if order.__class__ is not int or order != 1:
        # Loaded by name: power series stand on what is said here.
        found: Function = import_module("shared.series.expansion").derivative(f, argnums, has_aux, order)
        return found

    def slopes(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        for argument in selection.arguments():
            scalar_input(name, argument)
        point = engine.evaluate(name, selection, has_aux)
        try:
            tangents = [_slope(name, point, selection, k, one_of(leaf)) for k, leaf in enumerate(selection.leaves)]
            value = point.value
            found = [handed_out(value.structure, leaves) for leaves in tangents]
            return _packed(selection, found, value, has_aux)
        except BaseException:
            point.release()
            raise

    return slopes


def elementwise_grad(engine: Operations, f: Function, argnums: Argnums, has_aux: bool) -> Function:
    """The derivative of each element by its own, from one direction of ones; a second one checks that there is one."""
    name = "elementwise_grad"

    def slopes(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        arguments = [require_same_shape(name, leaves) for leaves in selection.leaves_by_argument()]
        point = engine.evaluate(name, selection, has_aux)
        try:
            found = []
            for k, leaf in enumerate(arguments):
                shape, dtype = Like(leaf).shape, Like(leaf).dtype or np.float64
                tangents = point.push(_along(selection, k, np.ones(shape, dtype)[()]))
                derivatives = _slope(name, point, selection, k, np.ones(shape, dtype)[()], tangents)
                require_same_shape(name, [leaf], point.value.outputs)
                direction = scattered_powers(shape, dtype)
                require_elementwise(name, point.push(_along(selection, k, direction))[0], tangents[0], direction)
                structure = selection.structure if selection.single else selection.structure.children[k]
                found.append(handed_out(structure, derivatives) if structure.is_one_array else derivatives[0])
            return _packed(selection, found, point.value, has_aux)
        except BaseException:
            point.release()
            raise

    return slopes


def _slope(
    name: str, point: Evaluation, selection: Selection, position: int, one: Any, along: list[Any] | None = None
) -> list[Any]:
    """The derivatives of the outputs by one leaf; of a complex one, which takes a second direction, as a Jacobian's."""
    if along is None:
        along = point.push(_along(selection, position, one))
    if not is_complex(selection.leaves[position]):
        return along
    across = point.push(_along(selection, position, 1j * one))
    return [complex_derivative(name, *pair) for pair in zip(along, across, strict=True)]


def _along(selection: Selection, position: int, tangent: Any) -> list[Any]:
    """The direction in which one leaf alone varies."""
    seeds = [None] * len(selection.leaves)
    seeds[position] = tangent
    return seeds


def _packed(selection: Selection, found: list[Any], value: Value, has_aux: bool) -> Any:
    """One derivative an argument, as `argnums` asked for them: that of one argument, or a tuple."""
    result = found[0] if selection.single else tuple(found)
    return (result, value.aux) if has_aux else result


def value_and_jacobian(
    engine: Operations,
    name: str,
    f: Function,
    argnums: Argnums,
    has_aux: bool,
    chunk_size: int | None,
    executor: Executor | None,
    square: bool = False,
) -> Function:
    """The value and the Jacobian.  With `square`, `f` is a gradient with respect to the same arguments."""

    def value_and_matrix(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        found, blocks = engine.blocks(name, selection, has_aux, chunk_size, executor)
        out = handed_out(found.structure, found.outputs)
        matrix = selection.pack_square(blocks) if square else nest(blocks, found.structure, selection.pack)
        return ((out, found.aux) if has_aux else out), matrix

    return value_and_matrix


def value_grad_and_hessian(
    engine: Operations,
    name: str,
    f: Function,
    argnums: Argnums,
    has_aux: bool,
    chunk_size: int | None,
    executor: Executor | None,
) -> Function:
    """The value, the gradient and the Hessian: the Jacobian of the gradient, beside which the value is kept."""
    gradient = gradient_and_value(f, engine.value_and_grad, argnums, has_aux, name)
    derivatives = value_and_jacobian(engine, name, gradient, argnums, True, chunk_size, executor, square=True)

    def all_three(*args: Any, **kwargs: Any) -> Any:
        (slopes, value), matrix = derivatives(*args, **kwargs)
        return value, slopes, matrix

    return all_three


def gradient_and_value(
    f: Function,
    value_and_grad: Callable[[str, Function, Argnums, bool], Function],
    argnums: Argnums,
    has_aux: bool,
    name: str,
) -> Function:
    """The gradient, with the value beside it; an executor's other processes make it again from these arguments."""
    both = value_and_grad(name, f, argnums, has_aux)

    @transformed(gradient_and_value, f, value_and_grad, argnums, has_aux, name)
    def gradient_first(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return gradient, value

    return gradient_first
