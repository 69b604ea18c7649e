"""Sparse derivatives of random programs against dense ones, and patterns found at one point against all points.

The programs (`pattern_programs`) read and write empty selections, arrays without an element, masks that the point
decides, and every kink, and the points have zeros and ties.  PATTERN_PROGRAMS=10000 in the environment runs as many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from pattern_programs import Program, kinked_points, random_program

import dualad
import reversead
from shared.core.errors import NoRuleError, StaleViewError, TracerConversionError
from shared.sparse import dependence, sparsity
from shared.sparse.sparsity import jacobian_pattern

COUNT = int(os.environ.get("PATTERN_PROGRAMS", "60"))
POINTS = kinked_points()
WEIGHTS = np.array([1.0, -0.7, 0.3, 1.3, 0.9, -1.1])


def scalar(f: Callable[[Any], Any], seed: int) -> Callable[[Any], Any]:
    return (lambda x: np.sum(WEIGHTS * f(x))) if seed % 2 else (lambda x: np.sum(WEIGHTS * np.sin(f(x))))


def is_taken(program: Program) -> bool:
    """Whether the engines take a program: a stale view they refuse."""
    try:
        dualad.jvp(program, (POINTS[0],), (WEIGHTS,))
        reversead.grad(scalar(program, 0))(POINTS[0])
    except (StaleViewError, NoRuleError):
        return False
    return True


@cache
def made(seed: int) -> Program:
    with np.errstate(all="ignore"):
        return random_program(seed, POINTS, 6 + seed % 8, is_taken)


def faults(program: Program, seed: int) -> Iterator[str]:
    """What is wrong with patterns of a program found at two points, at these and two others, and with the matrices."""
    g = scalar(program, seed)
    points = [POINTS[k] for k in np.random.default_rng(seed).choice(len(POINTS), 4, replace=False)]
    jacobians = [dualad.jacobian(program)(x) for x in points]
    hessians = [dualad.jacobian(reversead.grad(g))(x) for x in points]
    for name, f, dense in (
        ("the function", program, jacobians),
        ("reversead.grad", reversead.grad(g), hessians),
        ("dualad.grad", dualad.grad(g), hessians),
    ):
        for found_at in points[:2]:
            pattern = jacobian_pattern(f, found_at).to_dense()
            for x, matrix in zip(points, dense, strict=True):
                missing = np.argwhere(np.isfinite(matrix) & (matrix != 0) & ~pattern)
                if missing.size:
                    yield f"the pattern of {name} found at {found_at} lacks {missing.tolist()}, nonzero at {x}"
    x = points[0]
    for name, matrix_of, expected in (
        ("dualad.sparse_jacobian", dualad.sparse_jacobian(program), jacobians[0]),
        ("reversead.sparse_jacobian", reversead.sparse_jacobian(program), jacobians[0]),
        ("dualad.sparse_hessian", dualad.sparse_hessian(g), hessians[0]),
        ("reversead.sparse_hessian", reversead.sparse_hessian(g), hessians[0]),
        ("dualad.sparse_jacobian of reversead.grad", dualad.sparse_jacobian(reversead.grad(g)), hessians[0]),
        ("reversead.sparse_jacobian of dualad.grad", reversead.sparse_jacobian(dualad.grad(g)), hessians[0]),
    ):
        found = matrix_of(x).toarray()
        finite = np.isfinite(expected) & np.isfinite(found)
        scale = np.abs(expected[finite]).max(initial=1.0)
        wrong = np.argwhere(finite & (np.abs(found - expected) > 1e-9 * scale))
        if wrong.size:
            yield f"{name} is wrong at {wrong.tolist()} of {x}:\n{found}\nwhere the dense one is\n{expected}"


def assert_faultless(seeds: range) -> None:
    with np.errstate(all="ignore"):
        for seed in seeds:
            program = made(seed)
            found = list(faults(program, seed))
            assert not found, "\n".join([*found, f"seed {seed}, {program}"])


@pytest.mark.parametrize("first", range(0, COUNT, 10))
def test_patterns_hold_at_all_points_and_sparse_derivatives_are_the_dense_ones(first: int) -> None:
    assert_faultless(range(first, first + 10))


def emptied(relation: Any, rows: np.ndarray, instead: Any) -> Any:
    """What a write made of a relation before it was found out: nothing, where it selected nothing."""
    if relation is None or not rows.size:
        return relation if instead is None else instead
    return sparsity_of_writes(relation, rows, instead)


sparsity_of_writes = sparsity.without_rows

FAULTS: dict[str, tuple[Any, str, Any]] = {
    "a write that selects nothing empties": (sparsity, "without_rows", emptied),
    "a point's cotangent takes no other": (sparsity.PointValue, "can_hold", sparsity.DuckArray.can_hold),
    "a mask of the point writes where it does": (sparsity, "_reach", lambda level, index, shape: None),
    "a mask of the point reads where it does": (dependence, "undecided_axes", lambda index, ndim: []),
    "an empty array stays empty": (sparsity.Detection, "lose", lambda level, relations: None),
    "plain values of the point are constants": (sparsity.DependenceTracer, "_escaped", lambda value: value.primal),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_programs_find_faults_that_are_planted(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, planted = FAULTS[fault]
    monkeypatch.setattr(owner, name, planted)
    with pytest.raises((AssertionError, TracerConversionError)):
        assert_faultless(range(400))
