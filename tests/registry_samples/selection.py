"""Fewer samples for tests of properties that do not depend on all shapes.

Values, derivatives, adjoints and broadcasting are tested on every sample.  Other properties (that a call can be
recorded, pickled, batched, stepped through) hold or fail for a function with its keywords, and in some cases for the
number of axes of its operands: these tests take one sample of each.  This module knows nothing of rules and engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable

from registry_samples.sample import Kind, Sample


def one_shape(samples: Iterable[Sample]) -> list[Sample]:
    """One sample of each expression; two where its arguments are real in one and complex in the other."""
    return _selected(samples, _call)


def one_shape_a_kind(samples: Iterable[Sample]) -> list[Sample]:
    """The same, but one for each way in which the arguments are numbers or arrays: Python's, NumPy's, of no axes."""
    return _selected(samples, lambda s: (_call(s), *[k if isinstance(k, type) else k == () for k in s.kinds.values()]))


def one_shape_a_rank(samples: Iterable[Sample]) -> list[Sample]:
    """The same, but one for each number of axes of the arguments: for what moves or contracts axes."""
    return _selected(samples, lambda s: (_call(s), *map(_axes, s.kinds.values())))


def all_shapes(samples: Iterable[Sample], expressions: Iterable[str]) -> list[Sample]:
    """Every sample of a few expressions, each of which stands for all functions of its form."""
    wanted = set(expressions)
    found = [sample for sample in samples if sample.expression in wanted]
    assert {sample.expression for sample in found} == wanted, "these expressions have no samples"
    return found


def joined(*groups: Iterable[Sample]) -> list[Sample]:
    """All samples of several groups, once each."""
    return list({(str(sample), str(sample.domain)): sample for group in groups for sample in group}.values())


def _selected(samples: Iterable[Sample], key: Callable[[Sample], Hashable]) -> list[Sample]:
    found: dict[Hashable, Sample] = {}
    for sample in samples:
        other = found.setdefault(key(sample), sample)
        if _telling(sample) > _telling(other):
            found[key(sample)] = sample
    return list(found.values())


def _call(sample: Sample) -> Hashable:
    return sample.expression, tuple(name for name in sample.kinds if sample.domain_of(name) == "complex")


def _telling(sample: Sample) -> tuple[bool, int, int]:
    """How much a sample can show: elements and axes in every argument, then broadcasting, then size."""
    shapes = [kind if isinstance(kind, tuple) else () for kind in sample.kinds.values()]
    sizes = [math.prod(shape) for shape in shapes]
    return all(shape and size for shape, size in zip(shapes, sizes, strict=True)), len(set(shapes)), sum(sizes)


def _axes(kind: Kind) -> int:
    return len(kind) if isinstance(kind, tuple) else 0
