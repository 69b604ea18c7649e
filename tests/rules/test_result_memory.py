"""Which results lie in memory of their own: what the table says of every primitive, against what NumPy does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from counted_cases import CASES, PUBLISHED, every_primitive
from registry_samples import MOVES, ONE_SHAPE, ONE_SHAPE_COMPLEX, SAMPLES
from registry_samples.sample import Sample
from registry_samples.selection import joined, one_shape_a_rank

from shared import REGISTRY, RegistrationError, elementwise, trace
from shared.core.primitive import Primitive
from shared.core.registry import internal_constant
from shared.programs import equations, recorder
from shared.rules import indexing, products, shapes
from shared.rules.aliasing import is_basic, is_view
from shared.rules.special import VALUE_ONLY

#: Primitives of this library that share memory or do not, as their operands are: no other is left undeclared.
EITHER = {products.EINSUM, equations.PART, recorder.AS_KIND, VALUE_ONLY}
#: before any test declares others
PRIMITIVES = every_primitive()
X = np.arange(1.0, 7.0).reshape(2, 3)


def check(primitive: Any, args: Any, out: Any, static: Any = None) -> bool:
    """Compare one evaluation with the table; whether it says anything."""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    if not isinstance(out, np.ndarray) or not out.size or not arrays:
        return False
    shared = any(np.shares_memory(out, a) for a in arrays)
    if primitive.memory == "fresh":
        assert not shared, f"{primitive} is said to be fresh"
    elif primitive.memory == "view":
        # A reshape copies what is not contiguous in its order.
        contiguous = (static or {}).get("order", "C") == "C" and args[0].flags.c_contiguous
        wanted = is_view(primitive, args) and (primitive is not shapes.RESHAPE or contiguous)
        assert shared or not wanted, f"{primitive} is said to be a view"
        assert wanted or not shared or primitive is shapes.RESHAPE
    return True


def evaluations(sample: Sample) -> Iterator[tuple[Any, list[Any], Any, Any]]:
    """What a sample evaluates: each primitive with its operands, its result and its keywords."""
    arguments = sample.arguments()
    program = trace(sample.function, *arguments)
    values = program.values(*arguments)
    for equation in program.equations:
        if isinstance(equation.primitive, Primitive):
            yield equation.primitive, [values[k] for k in equation.operands], values[equation.result], equation.static


@pytest.mark.parametrize("sample", joined(ONE_SHAPE, one_shape_a_rank(MOVES), ONE_SHAPE_COMPLEX), ids=str)
def test_samples_of_the_registry_share_memory_as_declared(sample: Sample) -> None:
    for evaluation in evaluations(sample):
        check(*evaluation)


def test_every_primitive_is_declared_and_looked_at() -> None:
    seen = {evaluation[0] for sample in SAMPLES for evaluation in evaluations(sample) if check(*evaluation)}
    for case in CASES:
        found: Any = case.primitive
        if found.function is np.isnat:
            continue  # it takes dates, which nothing is differentiated with
        if check(found, case.args, found.raw(*case.args, **case.static), case.static):
            seen.add(found)
    for primitive, (_, *args) in PUBLISHED.items():
        if check(primitive, args, primitive.raw(*args)):
            seen.add(primitive)
    for primitive in PRIMITIVES:
        assert primitive.memory in ("fresh", "view", "may share")
        if primitive.memory == "may share":
            assert primitive in EITHER, f"say whose memory the result of {primitive} lies in"
        elif primitive.memory == "view":
            assert primitive in seen
    assert len(seen) > 120


@pytest.mark.parametrize(
    ("function", "args", "static"),
    [
        (np.round, (np.arange(3),), {}),
        (np.sum, (X,), {"axis": ()}),
        (np.mean, (X,), {"axis": ()}),
        (np.max, (X,), {"axis": ()}),
        (np.prod, (X,), {"axis": ()}),
        (np.any, (X > 0,), {"axis": ()}),
        (np.roll, (X, 0), {}),
        (np.copy, (X,), {}),
        (np.cumsum, (X[:, :1],), {"axis": 1}),
        (np.where, (True, X, X), {}),
        (np.fft.fft, (X[:, :1].astype(complex),), {}),
        (np.conjugate, (X,), {}),
        (np.power, (X, 1.0), {}),
    ],
)
def test_what_changes_nothing_is_a_copy_all_the_same(function: Any, args: Any, static: Any) -> None:
    primitive: Any = REGISTRY[function]
    assert primitive.memory == "fresh"
    assert check(primitive, args, primitive.raw(*args, **static))


@pytest.mark.parametrize(
    ("primitive", "static"),
    [
        (shapes.ASTYPE, {"dtype": np.dtype(float)}),
        (shapes.CONCATENATE, {"axis": 0}),
        (shapes.COPY_C, {}),
    ],
)
def test_conversions_to_the_same_are_copies(primitive: Any, static: dict[str, Any]) -> None:
    assert check(primitive, (X,), primitive.raw(X, **static))


@pytest.mark.parametrize(
    "index",
    [(0,), (slice(1, None),), (None, 0), (Ellipsis,), (np.int64(1),), (np.array([0, 1]),), (X > 2,), (True,), ()],
    ids=str,
)
def test_an_index_is_basic_where_numpy_returns_a_view(index: tuple[Any, ...]) -> None:
    assert is_basic(index) == np.shares_memory(indexing.GETITEM.raw(X, *index), X)


def test_a_primitive_of_one_s_own_may_share() -> None:
    identity, copy = elementwise(lambda x: x, 1), elementwise(lambda x: x.copy(), 1, memory="fresh")
    del REGISTRY[identity.function], REGISTRY[copy.function]
    assert identity.memory == "may share" and copy.memory == "fresh"
    assert not is_view(identity, (X,))
    with pytest.raises(RegistrationError, match=r"memory is one of fresh, view, may share; not 'mine'"):
        elementwise(lambda x: x, 1, memory="mine")  # type: ignore[arg-type]


def test_a_function_of_numpy_s_is_not_taken_for_fresh() -> None:
    # np.asarray returns its argument.
    found = internal_constant(np.asarray)
    assert found.memory == "may share"


def test_the_check_sees_an_error() -> None:
    with pytest.raises(AssertionError, match="said to be fresh"):
        check(REGISTRY[np.copy], (X,), X[0])
    with pytest.raises(AssertionError, match="said to be a view"):
        check(shapes.TRANSPOSE, (X,), X.T.copy())
