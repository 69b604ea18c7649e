"""The checks that the generated tests make of one function at one point.

Every derivative is compared with differences, which owe nothing to any rule: first derivatives with
differences of the function, second ones with differences of the first derivative.  The engines are never
compared with each other alone, for they read the same rules.  The checks take any function, so the tests try
them on wrong rules too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

import dualad
import reversead
from shared.calling.tree import flatten, tree_map
from shared.checking.differences import Estimate, difference_jvp
from shared.core.duck_array import DuckArray
from shared.core.levels import Level, Tracer

Function = Callable[..., Any]
ENGINES = {"dualad": dualad, "reversead": reversead}
COMPOSITIONS = list(product(ENGINES, ENGINES))

# --- seeds and comparison -----------------------------------------------------------------------------------


def direction(values: Any, seed: int) -> Any:
    """A random tangent or cotangent in the structure, shapes and types of some values."""
    random = np.random.default_rng(seed)

    def one(value: Any) -> Any:
        like = np.asarray(value)
        drawn = random.uniform(0.5, 1.5, like.shape) * random.choice([-1.0, 1.0], like.shape)
        if like.dtype.kind == "c":
            drawn = drawn + 1j * random.uniform(0.5, 1.5, like.shape)
        if like.dtype.kind not in "fc":
            return drawn[()]
        if isinstance(value, np.ndarray):
            return np.asarray(drawn, like.dtype)
        return like.dtype.type(drawn) if isinstance(value, np.generic) else type(value)(drawn)

    return tree_map(one, values)


def pairing(cotangents: Any, tangents: Any) -> tuple[float, float]:
    """The real part of <c, t> over whole structures, and the size of what was summed."""
    terms = [
        np.ravel(np.asarray(c) * np.asarray(t))
        for c, t in zip(flatten(cotangents)[0], flatten(tangents)[0], strict=True)
    ]
    joined = np.concatenate(terms) if terms else np.zeros(0)
    return float(np.sum(joined).real), float(np.sum(np.abs(joined)))


def assert_same_form(what: str, found: Any, expected: Any) -> None:
    """Equal structure, and leaf by leaf equal Python type, shape and dtype."""
    leaves, structure = flatten(found)
    wanted, wanted_structure = flatten(expected)
    assert structure == wanted_structure, f"{what}: structure {structure}, expected {wanted_structure}"
    for leaf, want in zip(leaves, wanted, strict=True):
        assert not isinstance(leaf, Tracer), f"{what}: {leaf!r} is traced"
        assert np.shape(leaf) == np.shape(want), f"{what}: shape {np.shape(leaf)}, expected {np.shape(want)}"
        kind, wanted_kind = np.asarray(leaf).dtype, np.asarray(want).dtype
        assert kind == wanted_kind, f"{what}: dtype {kind}, expected {wanted_kind}"
        assert type(leaf) is type(want), f"{what}: a {type(leaf).__name__}, expected a {type(want).__name__}"


def assert_close(what: str, found: Any, expected: Any, relative: float) -> None:
    """Equal up to `relative` of the largest expected element."""
    for leaf, want in zip(flatten(found)[0], flatten(expected)[0], strict=True):
        leaf, want = np.asarray(leaf), np.asarray(want)
        assert leaf.shape == want.shape, f"{what}: shape {leaf.shape}, expected {want.shape}"
        scale = np.abs(want[np.isfinite(want)]).max(initial=0.0) if want.dtype.kind in "fc" else 0.0
        assert np.allclose(leaf, want, rtol=relative, atol=relative * scale, equal_nan=True), (
            f"{what}:\n  found    {leaf!r}\n  expected {want!r}"
        )


def assert_is_estimated(what: str, found: Any, f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> None:
    """`found` is the derivative of `f` along `tangents`, as far as differences can tell: far enough."""
    assert_fits(what, found, difference_jvp(f, tuple(primals), tuple(tangents)))


def assert_fits(what: str, found: Any, estimate: Estimate) -> None:
    """`found` is what differences estimate, as far as they can tell: far enough."""
    rows = [flatten(tree)[0] for tree in (found, *estimate)]
    assert len({len(row) for row in rows}) == 1, f"{what}: {len(rows[0])} results, expected {len(rows[1])}"
    for value, want, uncertainty in zip(*rows, strict=True):
        value, want, uncertainty = np.asarray(value), np.asarray(want), np.asarray(uncertainty)
        assert value.shape == want.shape, f"{what}: shape {value.shape}, expected {want.shape}"
        scale = max(1.0, np.abs(want).max(initial=0.0))
        assert np.all(uncertainty <= 1e-6 * scale), f"{what}: differences tell too little here: {uncertainty!r}"
        assert np.all(np.abs(value - want) <= uncertainty + 1e-9 * scale), (
            f"{what}:\n  found       {value!r}\n  differences {want!r}\n  uncertain by {uncertainty!r}"
        )


# --- arguments alone and together ---------------------------------------------------------------------------


def with_constants(f: Function, args: Sequence[Any], active: Sequence[int]) -> tuple[Function, tuple[Any, ...]]:
    """`f` as a function of the arguments in `active` alone, and these arguments."""
    args = list(args)

    def of_active(*values: Any) -> Any:
        every = args.copy()
        for position, value in zip(active, values, strict=True):
            every[position] = value
        return f(*every)

    return of_active, tuple(args[k] for k in active)


def argument_sets(args: Sequence[Any]) -> Iterator[tuple[int, ...]]:
    """Each argument alone, and all at once."""
    everything = tuple(range(len(args)))
    yield from ((k,) for k in everything)
    if len(args) > 1:
        yield everything


# --- the checks ---------------------------------------------------------------------------------------------


def check_value(f: Function, args: Sequence[Any], relative: float = 1e-12) -> None:
    """Both engines return NumPy's own value: structure, type, shape, dtype, and number to rounding."""
    for active in argument_sets(args):
        g, primals = with_constants(f, args, active)
        expected = g(*primals)
        for name, engine in ENGINES.items():
            for transform, out in (
                ("jvp", engine.jvp(g, primals, direction(primals, 1))[0]),
                ("vjp", engine.vjp(g, *primals)[0]),
            ):
                what = f"value by {name}.{transform}, arguments {active} active"
                assert_same_form(what, out, expected)
                assert_close(what, out, expected, relative)


def check_first_derivative(f: Function, args: Sequence[Any]) -> None:
    """Both engines' jvp equals differences of the function; tangents have the form of the output."""
    for active in argument_sets(args):
        g, primals = with_constants(f, args, active)
        tangents = direction(primals, 2)
        estimate = difference_jvp(g, tuple(primals), tuple(tangents))
        for name, engine in ENGINES.items():
            what = f"{name}.jvp, arguments {active} active"
            out, tangent = engine.jvp(g, primals, tangents)
            assert_same_form(what, tangent, tree_map(_floating, out))
            assert_fits(what, tangent, estimate)


def _floating(value: Any) -> Any:
    """The form of a value's tangent: a value that cannot vary may be an integer, its tangent is a float."""
    if np.asarray(value).dtype.kind in "fc":
        return value
    return float(value) if isinstance(value, int) else np.asarray(value, np.float64)[()]


def check_adjoint(f: Function, args: Sequence[Any], relative: float = 1e-11) -> None:
    """<c, J t> = <J^T c, t>, for every pair of a jvp and a vjp; cotangents have the form of the arguments."""
    for active in argument_sets(args):
        g, primals = with_constants(f, args, active)
        tangents = direction(primals, 3)
        for forward, backward in COMPOSITIONS:
            out, pushed = ENGINES[forward].jvp(g, primals, tangents)
            cotangents = direction(out, 4)
            pulled = ENGINES[backward].vjp(g, *primals)[1](cotangents)
            what = f"{forward}.jvp against {backward}.vjp, arguments {active} active"
            assert_same_form(f"{what}: cotangent", pulled, primals)
            (left, left_size), (right, right_size) = pairing(cotangents, pushed), pairing(pulled, tangents)
            assert abs(left - right) <= relative * max(left_size, right_size), (
                f"{what}: <c, J t> = {left!r}, <J^T c, t> = {right!r}"
            )


def bent(value: Any) -> Any:
    """A little more than `value`, and no longer linear in it."""
    return value + 0.1 * value * value


def check_second_derivative(f: Function, args: Sequence[Any]) -> None:
    """Each composition of two engines equals differences of a first derivative, whose own check is the one above.

    The inner derivative is by some arguments, the outer by some: the same ones, or one each, so that every
    operation also meets operands of two levels.  Arguments and results are bent, so that a linear `f` has
    second derivatives too, and the tangents and cotangents that reach its rules vary with the arguments.
    """

    def bent_around_f(*values: Any) -> Any:
        out = f(*[bent(v) for v in values])
        return tree_map(lambda o: bent(o) if _floating_point(o) else o, out)

    _check_second_derivative(bent_around_f, args)


def _floating_point(value: Any) -> bool:
    return np.dtype(getattr(value, "dtype", type(value))).kind == "f"


def _check_second_derivative(f: Function, args: Sequence[Any]) -> None:
    sets = list(argument_sets(args))
    pairs = [(s, s) for s in sets] + [((i,), (j,)) for i in range(len(args)) for j in range(len(args)) if i != j]
    for inner_set, outer_set in pairs:
        _check_compositions(f, args, inner_set, outer_set)


def _check_compositions(
    f: Function, args: Sequence[Any], inner_set: tuple[int, ...], outer_set: tuple[int, ...]
) -> None:
    t = direction([args[k] for k in inner_set], 5)
    u = direction([args[k] for k in outer_set], 6)
    c = direction(f(*args), 7)
    primals = tuple(args[k] for k in outer_set)

    def jvp_by(engine: Any) -> Function:
        """The outer arguments to f and J t, the derivative by the inner arguments along t."""

        def value_and_tangent(*outer: Any) -> Any:
            g, inner = with_constants(f, _replaced(args, outer_set, outer), inner_set)
            return engine.jvp(g, inner, tuple(t))

        return value_and_tangent

    def cotangents_by(engine: Any, by: tuple[int, ...], at: tuple[int, ...]) -> Function:
        """The arguments `at` to J^T c, the cotangents of the arguments `by`."""

        def cotangents(*outer: Any) -> Any:
            g, inner = with_constants(f, _replaced(args, at, outer), by)
            return engine.vjp(g, *inner)[1](c)

        return cotangents

    # Differences are most of the time of all tests, so they are taken of the first derivative of one engine, and each
    # composition is compared with them: a first derivative of the other engine that is not the same fails too.
    tangents = difference_jvp(jvp_by(dualad), primals, tuple(u))
    cotangents = difference_jvp(cotangents_by(reversead, inner_set, outer_set), primals, tuple(u))
    # Second derivatives are symmetric, so a pullback along t is differences of the outer cotangents along t.
    transposed = difference_jvp(
        cotangents_by(reversead, outer_set, inner_set), tuple(args[k] for k in inner_set), tuple(t)
    )
    for outer, inner in COMPOSITIONS:
        what = f"{outer} over {inner}, by arguments {inner_set} and then {outer_set}"
        found = ENGINES[outer].jvp(jvp_by(ENGINES[inner]), primals, tuple(u))[1]
        assert_fits(f"jvp of jvp, {what}", found, tangents)
        first = cotangents_by(ENGINES[inner], inner_set, outer_set)
        if outer == "dualad":
            found = dualad.jvp(first, primals, tuple(u))[1]
            assert_fits(f"jvp of vjp, {what}", found, cotangents)
        elif inner == "reversead":
            found = reversead.vjp(first, *primals)[1](tuple(t))
            assert_fits(f"vjp of vjp, {what}", found, transposed)
        else:
            found = reversead.vjp(lambda *x: jvp_by(dualad)(*x)[1], *primals)[1](c)
            assert_fits(f"vjp of jvp, {what}", found, transposed)


def _replaced(args: Sequence[Any], positions: Sequence[int], values: Sequence[Any]) -> list[Any]:
    every = list(args)
    for position, value in zip(positions, values, strict=True):
        every[position] = value
    return every


def check_single_precision(f: Function, single: Sequence[Any], double: Sequence[Any]) -> None:
    """With float32 arguments, dtypes are NumPy's own, and the numbers those of float64, to single rounding."""
    expected = f(*single)
    tangents, cotangents = tuple(direction(list(single), 8)), direction(expected, 9)
    wanted_tangent = reversead.jvp(f, tuple(double), tree_map(_in_double, tangents))[1]
    wanted_cotangents = reversead.vjp(f, *double)[1](tree_map(_in_double, cotangents))
    for name, engine in ENGINES.items():
        out, tangent = engine.jvp(f, tuple(single), tangents)
        assert_same_form(f"{name}.jvp in float32: value", out, expected)
        assert_same_form(f"{name}.jvp in float32: tangent", tangent, tree_map(_floating, expected))
        assert_close(f"{name}.jvp in float32: tangent", tangent, wanted_tangent, 2e-4)
        out, pullback = engine.vjp(f, *single)
        assert_same_form(f"{name}.vjp in float32: value", out, expected)
        found = pullback(cotangents)
        assert_same_form(f"{name}.vjp in float32: cotangents", found, tuple(single))
        assert_close(f"{name}.vjp in float32: cotangents", found, wanted_cotangents, 2e-4)


def _in_double(value: Any) -> Any:
    return value if isinstance(value, float) else np.asarray(value, np.result_type(value, np.float64))[()]


# --- a witness: which functions are called, and on what -----------------------------------------------------


class Witness(DuckArray):
    """A traced value that differentiates nothing: it reports the operations made of it, at a level of its own.

    Inside an engine it witnesses the operations of the engine's rules, so the precision of every intermediate
    result of a sweep can be seen.
    """

    __slots__ = ("report",)
    report: Any

    def __init__(self, primal: Any, level: Level, report: Report):
        self.primal, self.level, self.report = primal, level, report

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        with self.report.call(ufunc if method == "__call__" else (ufunc, method)):
            return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        with self.report.call(func):
            return super().__array_function__(func, types, args, kwargs)

    def process(self, primitive: Any, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        values = [a.primal if isinstance(a, Witness) else a for a in args]
        with self.report.call(primitive.function):
            out = primitive.evaluate(*values, **static)
        if not primitive.constant:
            # A Python float has no precision of its own: it takes that of whatever it meets.
            self.report.results.append((primitive.name, getattr(out, "dtype", None), [_dtype(v) for v in values]))
        return out if primitive.constant else Witness(out, self.level, self.report)

    def lift(self, value: Any) -> Witness:
        return Witness(value, self.level, self.report)

    def twin(self) -> Witness:
        return Witness(self.primal, self.level, self.report)

    def become(self, other: Any) -> None:
        self.primal = other.primal

    def update(self, primitive: Any, value: Any, index: Any) -> None:
        if isinstance(value, Witness):
            value = value.primal
        changed = np.array(self.primal)
        primitive.write(changed, index, value)
        self.primal = changed


def _dtype(value: Any) -> Any:
    return getattr(value, "dtype", type(value).__name__)


class Report:
    """What a witness saw: the functions called from outside, all functions, and the dtype of every result."""

    def __init__(self) -> None:
        self.level = Level("a witness")
        self.called: set[Any] = set()
        self.reached: set[Any] = set()
        self.results: list[tuple[str, Any, Any]] = []
        self.depth = 0

    def call(self, function: Any) -> Report:
        self.reached.add(function)
        if not self.depth:
            self.called.add(function)
        return self

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *exception: object) -> None:
        self.depth -= 1

    def witness(self, value: Any) -> Witness:
        return Witness(value, self.level, self)

    def watched(self, value: Any) -> Any:
        """A witness of a value that has a precision; a Python float has none and stays one."""
        return value if type(value) is float else self.witness(value)


def witnessed_calls(f: Function, args: Sequence[Any], report: Report) -> None:
    """Report what `f` calls, with every argument traced by a witness."""
    f(*[report.witness(a) for a in args])


def check_single_precision_throughout(f: Function, args: Sequence[Any]) -> None:
    """No operation of a sweep leaves float32, given float32 and Python floats."""
    for name, engine in ENGINES.items():
        for transform in (_witnessed_jvp, _witnessed_vjp):
            report = Report()
            transform(engine, f, args, report)
            wide = [result for result in report.results if result[1] == np.float64]
            assert not wide, f"{name}{transform.__name__}: in float64 (operation, dtype, operands): {wide}"


def _witnessed_jvp(engine: Any, f: Function, args: Sequence[Any], report: Report) -> None:
    engine.jvp(f, tuple(map(report.watched, args)), tuple(map(report.watched, direction(list(args), 10))))


def _witnessed_vjp(engine: Any, f: Function, args: Sequence[Any], report: Report) -> None:
    out, pullback = engine.vjp(f, *map(report.watched, args))
    pullback(tree_map(lambda o: report.witness(direction(_plain(o), 11)), out))


def _plain(value: Any) -> Any:
    while isinstance(value, DuckArray):
        value = value.primal
    return value
