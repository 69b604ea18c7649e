"""Tests of properties that need not all shapes lose no function, no keyword and no dtype by taking fewer."""

from __future__ import annotations

import pytest
from registry_samples import (
    COMPLEX,
    CONSTANTS,
    EACH_RANK,
    ONE_SHAPE,
    ONE_SHAPE_AND_BROADCASTS,
    ONE_SHAPE_COMPLEX,
    ONE_SHAPE_CONSTANTS,
    SAMPLES,
    Sample,
    one_shape,
    one_shape_a_kind,
)
from registry_samples.selection import all_shapes, joined, one_shape_a_rank


def calls(samples: list[Sample]) -> set[tuple[str, ...]]:
    """Each expression, which says the function and its keywords, with those of its arguments that are complex."""
    return {(s.expression, *(name for name in s.kinds if s.domain_of(name) == "complex")) for s in samples}


@pytest.mark.parametrize(
    ("every", "selected"),
    [
        (SAMPLES, ONE_SHAPE),
        (SAMPLES, ONE_SHAPE_AND_BROADCASTS),
        (SAMPLES, EACH_RANK),
        (SAMPLES, one_shape_a_kind(SAMPLES)),
        (COMPLEX, ONE_SHAPE_COMPLEX),
        (CONSTANTS, ONE_SHAPE_CONSTANTS),
    ],
    ids=lambda samples: str(len(samples)),
)
def test_no_call_is_lost(every: list[Sample], selected: list[Sample]) -> None:
    assert calls(selected) == calls(every)
    assert len(selected) <= len(every)


def test_the_sample_taken_has_axes_elements_and_differing_shapes() -> None:
    shapes = [((), (2, 3)), ((0, 3), (3,)), ((2, 3), (2, 3)), ((3,), (2, 3)), (float, float)]
    samples = [Sample("x + y", x=x, y=y) for x, y in shapes]
    assert one_shape(samples) == [samples[3]]
    assert one_shape_a_kind(samples) == [samples[0], samples[3], samples[4]]
    assert one_shape_a_rank(samples) == samples
    empty, vector, matrix = (Sample("np.sum(x)", x=shape) for shape in ((0,), (3,), (2, 3)))
    assert one_shape_a_rank([empty, vector, matrix]) == [vector, matrix]


def test_real_and_complex_arguments_are_two_calls() -> None:
    samples = [Sample("x + y", x=(2,), y=(2,), domain=domain) for domain in ("spread", "complex", {"y": "complex"})]
    assert one_shape(samples) == samples


def test_samples_are_joined_once_each_and_a_misspelt_expression_is_noticed() -> None:
    assert joined(SAMPLES[:3], SAMPLES[2:5]) == SAMPLES[:5]
    with pytest.raises(AssertionError, match="no samples"):
        all_shapes(SAMPLES, ["np.exp(x)", "np.exq(x)"])
