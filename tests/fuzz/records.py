"""Checks of recorded and compiled programs: at arguments they were not recorded at, they are the function itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import dualad
import reversead
import shared
from fuzz import points
from fuzz.case import Case, loss_of
from fuzz.comparison import (
    Failure,
    Inconclusive,
    assert_close,
    assert_close_where_finite,
    assert_identical,
    assert_owned,
    assert_same_form,
)
from fuzz.derivatives import direction
from fuzz.programs import copied
from shared import ProgramGuardError, simplify
from shared.calling.careful import without_care
from shared.calling.tree import flatten, tree_map

Function = Callable[..., Any]


def recorded(case: Case) -> None:
    """`trace`: a record at other numbers, layouts and contents of captured arrays, as it is and simplified."""
    for name, f in functions(case):
        program = shared.trace(f, *case.arguments)
        simplified = simplify(program)
        if len(simplified.equations) > len(program.equations):
            raise Failure(f"simplified record of {name}: its length", len(simplified.equations), len(program.equations))
        for k, (where, point) in enumerate(other_points(case)):
            # A record is what was computed first, without care for the zeros that meet infinite slopes.
            expected = without_care(lambda f=f, point=point: _eager(f, point))
            if expected is None:
                continue
            for kind, record in (("record", program), ("simplified record", simplified)):
                what = f"{kind} of {name}, {where}"
                given = copied(point)
                try:
                    found = record(*given)
                except ProgramGuardError:
                    if not k or not _may_depart(case, where):
                        raise
                    continue
                assert_same_form(what, found, expected)
                assert_close(what, found, expected, case.relative)
                assert_identical(f"{what}: an argument was written", given, point)


def compiled(case: Case) -> None:
    """`compile`: one after another at arguments of the same shapes, other branches, other integers and other shapes."""
    for name, f in functions(case):
        fast = _compiled(f)
        earlier: tuple[Any, Any, str] | None = None
        for where, point in [*other_points(case), *other_shapes(case), *list(other_points(case))[:2]]:
            expected = _eager(f, point)
            if expected is None:
                continue
            what = f"compiled {name}, {where}"
            given = copied(point)
            found = fast(*given)
            assert_same_form(what, found, expected)
            assert_close(what, found, expected, case.relative)
            assert_owned(what, found, (given, case.constants))
            assert_identical(f"{what}: an argument was written", given, point)
            if earlier is not None:
                assert_identical(f"{earlier[2]}: a later call changed it", earlier[0], earlier[1])
            earlier = found, copied(found), what


def _compiled(f: Function) -> Function:
    """The compiled function that is under test: the one place that says how."""
    fast: Function = shared.compile(f, cache_size=64, verify="always")
    return fast


def functions(case: Case) -> Iterator[tuple[str, Function]]:
    """What is recorded: the program, and of its derivatives one, which goes by the seed."""
    yield "the function", case.function
    loss, chosen = loss_of(case.function), case.varying
    cannot_be_mapped = case.features & {"branches", "selections", "writes to numbers"}
    derivatives = [
        ("reversead.value_and_grad", reversead.value_and_grad(loss, argnums=chosen)),
        ("dualad.grad", dualad.grad(loss, argnums=chosen)),
        ("reversead.grad", reversead.grad(loss, argnums=chosen)),
        ("hvp", _along(case, reversead.grad(loss, argnums=chosen))),
        ("jvp", _along(case, case.function)),
        *([] if cannot_be_mapped else [("vmap", _of_examples(case))]),
        *(
            []
            if "complex" in case.features
            else [
                ("reversead.jacobian", reversead.jacobian(case.function, argnums=chosen)),
                ("reversead.hessian", reversead.hessian(loss, argnums=chosen)),
            ]
        ),
    ]
    yield derivatives[case.program.seed % len(derivatives)]


def _of_examples(case: Case) -> Function:
    """The function mapped over examples that are made of its arguments."""

    def of_examples(*args: Any) -> Any:
        stacked = [tree_map(lambda leaf: np.stack([leaf, leaf * 0.96875]), args[k]) for k in case.varying]
        given = list(args)
        for k, value in zip(case.varying, stacked, strict=True):
            given[k] = value
        return shared.vmap(case.function, in_axes=tuple(0 if k in case.varying else None for k in range(len(args))))(
            *given
        )

    return of_examples


def _along(case: Case, f: Function) -> Function:
    """The derivative of a function of all arguments along the arguments themselves, which change from call to call."""

    def along(*args: Any) -> Any:
        primals = tuple(args[k] for k in case.varying)
        tangents = tree_map(lambda leaf: leaf * 0.5 + 0.25, primals)
        return dualad.jvp(f, args, tangents, argnums=case.varying)[1]

    return along


def other_points(case: Case) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The point itself, and others of the same types."""
    program, seed = case.program, case.program.seed
    yield "at the same point", program.values()
    yield "nearby", points.near(program)
    yield "far away", points.far(program, seed)
    yield "of other signs", points.far(program, seed + 1)
    for k, point in enumerate(points.in_other_layouts(program)):
        yield f"in another layout ({k})", point
    for array in case.constants.values():
        array *= 1.0625
    yield "with other contents of captured arrays", points.near(program)


def other_shapes(case: Case) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for point in points.other_integers(case.program):
        yield f"with other integers {[value for value in point if isinstance(value, int)]}", point
    yield "of other shapes", points.enlarged(case.program)


def _eager(f: Function, point: tuple[Any, ...]) -> Any:
    """What the function itself gives; None where it refuses the arguments, or writes to them, which no record may."""
    given = copied(point)
    try:
        found = f(*given)
        # Which a program does where a loop of no rounds leaves it a view of an argument
        assert_identical("the arguments", given, point)
    except Exception:
        return None
    return found


def _may_depart(case: Case, where: str) -> bool:
    """Whether a record may refuse arguments: another branch, another number of elements that were selected."""
    return bool(case.features & {"branches", "selections"}) or "layout" in where


def special(case: Case) -> None:
    """At kinks and extremes: values of both engines are NumPy's, and a record gives what the function gives."""
    # Directions that are taken together inside of a program mix infinities and zeros, and so do complex products.
    places = (points.KINKS,) if case.features & {"nested", "complex"} else (points.KINKS, points.EXTREMES)
    for k, numbers in enumerate(places):
        point = points.among(case.program, numbers, case.program.seed + k)
        try:
            plain = case.plain(*point)
        except Inconclusive:
            continue
        there = Case(case.program, point)
        tangents = direction(there.primals, 6)
        pushed = {}
        for name, engine in (("dualad", dualad), ("reversead", reversead)):
            out, pushed[name] = engine.jvp(there.of_varying(there.function), there.primals, tangents)
            assert_close(f"value of {name}.jvp at {point}", out, plain, 1e-5 if case.is_single else 1e-12)
        # Where the value is a NaN, no derivative is of any use.
        tangents_of = [[np.where(np.isfinite(out), t, 0.0) for out, t in zip(flatten(plain)[0], flatten(tree)[0],
                        strict=True)] for tree in pushed.values()]  # fmt: skip
        assert_close_where_finite(f"reversead.jvp and dualad.jvp at {point}", *tangents_of, case.relative)
        gradient = reversead.grad(loss_of(there.function), argnums=there.varying)
        expected = _eager(gradient, point)
        if expected is None:
            continue
        found = _compiled(gradient)(*copied(point))
        assert_close(f"compiled gradient at {point}", found, expected, case.relative)
        forward = dualad.grad(loss_of(there.function), argnums=there.varying)(*copied(point))
        if np.isfinite(loss_of(there.function)(*copied(point))):
            assert_close_where_finite(f"both gradients at {point}", expected, forward, case.relative)
