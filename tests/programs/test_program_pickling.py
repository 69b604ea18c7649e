"""Programs and primitives in another process: pickled by name, with captured arrays by value."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from registry_samples import ONE_SHAPE, ONE_SHAPE_COMPLEX, ONE_SHAPE_CONSTANTS

import dualad
import reversead
from shared import REGISTRY, elementwise, simplify
from shared.calling.tree import flatten
from shared.core.primitive import Primitive
from shared.programs import trace
from shared.programs.equations import AS_KIND, PART, WRITES, ValueType
from shared.rules import elementwise as tables
from shared.rules import shapes, special
from shared.rules.keywords import RUNNING_EXTREMA
from shared.rules.linear_algebra import SIGN_OF_DETERMINANT
from shared.rules.operators import ARITHMETIC
from shared.rules.shapes import CONVERT
from shared.rules.special import VALUE_ONLY

#: Primitives that no function of the registry stands for.
FURTHER = [
    *ARITHMETIC.values(), *tables.CONSTANT_OPERATORS.values(), *tables.LOGICAL_OPERATORS.values(), *RUNNING_EXTREMA,
    tables.POWER, tables.NEGATIVE, tables.POSITIVE, tables.ABSOLUTE, tables.SIGN, tables.INVERT, shapes.COPY_C,
    SIGN_OF_DETERMINANT, CONVERT, PART, AS_KIND, special.STOP_GRADIENT, VALUE_ONLY, *WRITES.values(),
]  # fmt: skip


def _cubed(x):
    return x * x * x


cubed = elementwise(_cubed, lambda x: 3 * x * x)
#: a lambda cannot be imported, but the primitive has a name
softclipped = elementwise(lambda x: x / np.sqrt(1 + x * x), lambda x: (1 + x * x) ** -1.5)
# Other tests are generated from the registry, and have no samples of these.
for _primitive in (cubed, softclipped):
    del REGISTRY[_primitive.function]


@pytest.mark.parametrize(
    "primitive",
    [*{entry: None for entry in REGISTRY.values() if isinstance(entry, Primitive)}, *FURTHER],
    ids=lambda primitive: f"{primitive.name} {primitive.form}",
)
def test_a_primitive_stays_the_same_object(primitive):
    assert pickle.loads(pickle.dumps(primitive)) is primitive


def test_a_primitive_of_a_user_stays_the_same_object():
    for primitive in (cubed, softclipped):
        assert pickle.loads(pickle.dumps(primitive)) is primitive


def test_a_primitive_without_a_name_says_so():
    nameless = elementwise(lambda x: x * 1.0, 1)
    try:
        with pytest.raises(pickle.PicklingError, match="at the top level of a module"):
            pickle.dumps(trace(nameless, 1.0))
    finally:
        del REGISTRY[nameless.function]


@pytest.mark.parametrize("sample", [*ONE_SHAPE, *ONE_SHAPE_COMPLEX, *ONE_SHAPE_CONSTANTS], ids=str)
def test_a_program_of_every_primitive_survives(sample):
    args = sample.arguments()
    try:
        program = trace(sample.function, *args)
    except TypeError as error:
        assert "a program returns numbers" in str(error)
        return
    again = pickle.loads(pickle.dumps(program))
    assert str(again) == str(program)
    for found, expected in zip(flatten(again(*args))[0], flatten(program(*args))[0], strict=True):
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found, expected)


WEIGHTS = np.array([1.0, -2.0, 0.5])


def loss(x):
    y = x * 1.0
    y[1:][0] = 0.25
    total = np.sum(cubed(y) * WEIGHTS) + np.sum(np.ones(300) * y[0])
    return total if total > 0 else -total


def programs():
    return [
        trace(f, np.array([1.0, 2.0, 3.0]))
        for f in (
            loss,
            reversead.grad(loss),
            dualad.grad(loss),
            reversead.hessian(loss),
            simplify(trace(loss, WEIGHTS)),
        )
    ]


def test_programs_run_in_another_process(tmp_path):
    x = np.array([0.5, 1.5, 2.5])
    found = programs()
    (tmp_path / "programs").write_bytes(pickle.dumps((found, x)))
    root = Path(__file__).parent
    code = (
        f"import pickle, sys; sys.path[:0] = {[str(root), str(root.parent), str(root.parents[1])]!r}\n"
        f"programs, x = pickle.load(open({str(tmp_path / 'programs')!r}, 'rb'))\n"
        f"pickle.dump([program(x) for program in programs], open({str(tmp_path / 'results')!r}, 'wb'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    results = pickle.loads((tmp_path / "results").read_bytes())
    for program, result in zip(found, results, strict=True):
        np.testing.assert_array_equal(result, program(x))


def test_captured_arrays_are_pickled_by_value():
    weights = np.ones(3)
    program = trace(lambda x: x * weights, WEIGHTS)
    again = pickle.loads(pickle.dumps(program))
    weights[:] = 2.0
    np.testing.assert_array_equal(again(WEIGHTS), WEIGHTS)
    np.testing.assert_array_equal(program(WEIGHTS), WEIGHTS * 2)


def test_types_stay_unique_and_literals_small_and_read_only():
    program = trace(lambda x: x * np.full(100_000, 0.5), np.ones(100_000))
    data = pickle.dumps(program)
    assert len(data) < 2000
    again = pickle.loads(data)
    assert all(one is other for one, other in zip(again.types, program.types, strict=True))
    assert pickle.loads(pickle.dumps(ValueType.of(1.0))) is ValueType.of(2.0)
    assert not any(value.flags.writeable for value in again.literals.values() if isinstance(value, np.ndarray))
