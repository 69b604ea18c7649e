"""Every primitive of the registry under vmap: the same numbers as a loop over the examples, or a clear error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from derivative_checks import ENGINES, argument_sets
from registry_samples import EACH_RANK, ONE_SHAPE, ONE_SHAPE_COMPLEX, ONE_SHAPE_CONSTANTS, Sample
from registry_samples.selection import joined

from shared import REGISTRY, multilinear
from shared.batching.batched import report_loops
from shared.batching.example_by_example import without_rule
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.errors import NoRuleError, TracerConversionError
from shared.core.facets import of_array

EXAMPLES = 3
EVERY = joined(EACH_RANK, ONE_SHAPE_CONSTANTS, ONE_SHAPE_COMPLEX)

#: Calls whose result has another shape in each example, or that ask for plain values: refused, with the reason.
REFUSED = (
    "x > 0]", "max(x) - min(x)", "np.nonzero(", "flatnonzero(", "argwhere(", "np.extract(x > 0", "np.unique(",
    "np.unique_", "union1d(x", "setdiff1d(x", "setxor1d(x", "intersect1d(x",
)  # fmt: skip


def examples(sample: Sample, position: int) -> np.ndarray:
    """Several values of one argument of a sample, from the same domain, in different orders."""
    value = np.asarray(sample.arguments()[position])
    matrix = sample.domain == "matrix" or (isinstance(sample.domain, dict) and "matrix" in sample.domain.values())
    turned = [(value * (1 + 0.01 * k)) if matrix else np.roll(value.ravel(), k).reshape(value.shape) * (1 + 0.001 * k)
              for k in range(EXAMPLES)]  # fmt: skip
    return np.stack([np.asarray(t, value.dtype) for t in turned])


def loop(sample: Sample, columns: Sequence[Any], mapped: Sequence[int]) -> list[Any]:
    """The leaves of the results, each stacked over the examples."""
    results = [
        flatten(sample.function(*[c[k] if j in mapped else c for j, c in enumerate(columns)]))[0]
        for k in range(EXAMPLES)
    ]
    return [np.stack([np.asarray(row[j]) for row in results]) for j in range(len(results[0]))]


@pytest.mark.parametrize("sample", EVERY, ids=str)
def test_vmap_equals_the_loop(sample):
    for mapped in argument_sets(sample.arguments()):
        columns = [examples(sample, j) if j in mapped else a for j, a in enumerate(sample.arguments())]
        f = vmap(sample.function, in_axes=tuple(0 if j in mapped else None for j in range(len(columns))))
        if any(text in sample.expression for text in REFUSED):
            # Where no element differs among the examples, there is nothing to refuse.
            with pytest.raises((NoRuleError, TracerConversionError), match="example"):
                f(*columns)
            continue
        found = flatten(f(*columns))[0]
        expected = loop(sample, columns, mapped)
        assert len(found) == len(expected)
        for value, want in zip(found, expected, strict=True):
            assert value.shape == want.shape
            assert value.dtype == want.dtype
            np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-14)


def test_every_primitive_without_a_rule_is_listed():
    assert without_rule() == ["allclose", "array_equal", "array_equiv"]


def test_a_primitive_of_one_s_own_may_say_what_becomes_of_one_more_axis():
    def reverse(**facets: Any) -> Any:
        made = multilinear(lambda x: x[::-1], lambda c, x: c[::-1], **facets)
        del REGISTRY[made.function]
        return made

    columns = np.arange(6.0).reshape(3, 2)
    for primitive, loops in ((reverse(), 1), (reverse(batch=of_array(lambda primitive, x: x[:, ::-1])), 0)):
        with report_loops() as looped:
            found = vmap(primitive)(columns)
        np.testing.assert_array_equal(found, columns[:, ::-1])
        assert len(looped) == loops


@pytest.mark.parametrize("sample", ONE_SHAPE, ids=str)
def test_no_differentiable_sample_is_looped(sample):
    columns = [examples(sample, j) for j in range(len(sample.arguments()))]
    if any(text in sample.expression for text in REFUSED):
        return
    with report_loops() as looped:
        vmap(sample.function)(*columns)
    assert not looped or any(np.ndim(c) == 1 for c in columns)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("sample", ONE_SHAPE, ids=str)
def test_derivatives_of_each_example_equal_the_loop(engine, sample):
    columns = [examples(sample, j) for j in range(len(sample.arguments()))]
    if any(text in sample.expression for text in REFUSED):
        return
    tangents = [c[::-1] for c in columns]

    def derivatives(*values: Any) -> Any:
        primals, directions = values[: len(columns)], values[len(columns) :]
        out, tangent = engine.jvp(sample.function, primals, directions)
        return tangent, engine.vjp(sample.function, *primals)[1](out)

    found = flatten(vmap(derivatives)(*columns, *tangents))[0]
    rows = [flatten(derivatives(*[c[k] for c in [*columns, *tangents]]))[0] for k in range(EXAMPLES)]
    for j, value in enumerate(found):
        want = np.stack([np.asarray(row[j]) for row in rows])
        assert value.shape == want.shape
        assert value.dtype == want.dtype
        scale = np.abs(want).max(initial=1.0)
        np.testing.assert_allclose(value, want, rtol=1e-10, atol=1e-12 * scale)
