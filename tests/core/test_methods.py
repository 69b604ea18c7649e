"""Every method and attribute of ndarray that a traced array has equals NumPy's own, in value and in
derivative.

The list of methods is read from `shared.rules.operators`, so one that is added there must be added here.
"""

from __future__ import annotations

import copy
import operator

import numpy as np
import pytest
from derivative_checks import check_adjoint, check_first_derivative, check_second_derivative, check_value
from registry_samples import Sample

import dualad
import reversead
from dualad import Dual
from shared.core.described import Described
from shared.core.duck_array import DuckArray
from shared.rules import operators

ENGINES = {"dualad": dualad, "reversead": reversead}
each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
#: Far from the jumps of what is rounded below
MATRIX = np.array([[0.52, -1.41, 2.03], [1.21, -0.73, 0.32]])

#: Calls of every method, by name: each is called on a traced array, and on a plain one by NumPy itself.
CALLS = {
    "flat": ["x.flat[1]", "x.flat[1:4]", "np.stack(list(x.flat))", "len(x.flat) * x"],
    "sum": ["x.sum()", "x.sum(0)", "x.sum(axis=(0, 1))", "x.sum(axis=1, keepdims=True)"],
    "mean": ["x.mean()", "x.mean(-1)", "x.mean(axis=0, keepdims=True)"],
    "prod": ["x.prod()", "x.prod(1)", "x.prod(axis=0, keepdims=True)"],
    "max": ["x.max()", "x.max(0)", "x.max(axis=-1, keepdims=True)"],
    "min": ["x.min()", "x.min(1)", "x.min(axis=(0, 1), keepdims=True)"],
    "var": ["x.var()", "x.var(0)", "x.var(axis=1, ddof=1, keepdims=True)"],
    "std": ["x.std()", "x.std(1)", "x.std(axis=0, ddof=1)"],
    "ptp": ["np.ptp(x)"],
    "cumsum": ["x.cumsum()", "x.cumsum(0)", "x.cumsum(axis=-1)"],
    "cumprod": ["x.cumprod()", "x.cumprod(1)", "x.cumprod(axis=0)"],
    "argmax": ["x.argmax() * x", "x.argmax(0) * x", "x.argmax(axis=1, keepdims=True) * x"],
    "argmin": ["x.argmin() * x", "x.argmin(axis=0) * x"],
    "argsort": ["x.argsort() * x", "x.argsort(axis=0) * x", "x.argsort(None)[:3] * x"],
    "any": ["x.any() * x", "(x > 0).any(0) * x"],
    "all": ["x.all() * x", "(x > 0).all(axis=1, keepdims=True) * x"],
    "nonzero": ["x[x.nonzero()]", "x[(x > 0).nonzero()]"],
    "ravel": ["x.ravel()", "x.ravel('F')", "x.ravel(order='C')"],
    "swapaxes": ["x.swapaxes(0, 1)", "x.swapaxes(-1, 0)"],
    "squeeze": ["x[:1].squeeze()", "x[:, :1].squeeze(1)", "x[:1].squeeze(axis=0)"],
    "repeat": ["x.repeat(2)", "x.repeat([1, 0, 2], axis=1)", "x.repeat(2, 0)"],
    "take": ["x.take(2)", "x.take([0, 5, 5])", "x.take([2, 0], axis=1)", "x.take([7, -1], mode='wrap')"],
    "diagonal": ["x.diagonal()", "x.diagonal(1)", "x.diagonal(offset=-1, axis1=1, axis2=0)"],
    "trace": ["x.trace()", "x.trace(1)", "x.trace(0, 1, 0)"],
    "clip": ["x.clip(-1.0, 1.0)", "x.clip(min=-1.0)", "x.clip(max=0.4)", "x.clip(-1.0)"],
    "item": ["x[0].item(1) * x", "x[:1, :1].item() * x", "x.item(1, 2) * x"],
    "round": ["x.round() * x", "x.round(1) * x", "x.round(decimals=1) * x"],
    "dot": ["x.dot(x.T)", "x.dot(np.arange(3.0))", "x.dot(2.0)"],
    "compress": ["x.compress([True, False, True], axis=1)", "x.compress([0, 1], 0)", "x.compress([0, 1, 1])"],
    "reshape": ["x.reshape(3, 2)", "x.reshape((3, 2))", "x.reshape(-1)", "x.reshape([2, -1])",
        "x.reshape(3, -1, order='F')"],
    "transpose": ["x.transpose()", "x.transpose(1, 0)", "x.transpose((1, 0))", "x.transpose(None)",
        "x.transpose([1, 0])"],
    "astype": ["x.astype(float)", "x.astype('f8')", "x.astype(np.float64, copy=False)", "x.astype(int) * x",
        "x.astype(bool) * x"],
    "copy": ["x.copy()", "x.copy('F')", "x.copy(order='K')"],
    "flatten": ["x.flatten()", "x.flatten('F')", "x.flatten(order='C')"],
    "tolist": ["np.stack(x.tolist()[1])", "np.stack([a * b for a, b in zip(*x.tolist())])", "x * x[0, 1].tolist()"],
    "conj": ["x.conj()"],
    "conjugate": ["x.conjugate()"],
    "T": ["x.T", "x.T.T", "x[0].T"],
    "mT": ["x.mT"],
    "real": ["x.real"],
    "imag": ["x.imag + x"],
    "shape": ["np.reshape(x, x.shape[::-1])", "x * x.shape[0]"],
    "ndim": ["x * x.ndim"],
    "size": ["x.sum() / x.size", "x / x.size"],
    "dtype": ["x.astype(x.dtype)", "np.ones(3, x.dtype) * x"],
    "itemsize": ["x * x.itemsize"],
    "nbytes": ["x * x.nbytes"],
    "device": ["x * (x.device == 'cpu')"],
    "to_device": ["x.to_device('cpu') * x.to_device(x.device)"],
    "__array_namespace__": ["x.__array_namespace__().sin(x)"],
    "__len__": ["x * len(x)", "x[0] * len(x[0])"],
    "__iter__": ["sum(row for row in x)", "np.stack(list(x))", "np.stack([a * b for a, b in zip(*x)])",
        "[*x]"],
    "__contains__": ["x * (x[0, 0] in x)", "x * (100.0 in x)"],
    "__abs__": ["abs(x)"],
    "__neg__": ["-x"],
    "__pos__": ["+x"],
    "__add__": ["x + 2", "x + x", "x + np.arange(3.0)"],
    "__radd__": ["2 + x", "np.arange(3.0) + x", "np.float64(2.0) + x", "[1.0, 2.0, 3.0] + x"],
    "__sub__": ["x - 2", "x - x[0]", "x - np.arange(3.0)"],
    "__rsub__": ["2 - x", "np.arange(3.0) - x"],
    "__mul__": ["x * 2", "x * x", "x * np.arange(3.0)"],
    "__rmul__": ["2 * x", "np.arange(3.0) * x"],
    "__truediv__": ["x / 2", "x / x[:1]", "x / np.arange(1.0, 4.0)"],
    "__rtruediv__": ["2 / x", "np.arange(3.0) / x"],
    "__mod__": ["x % 0.9", "x % np.array([0.9, 0.92, 0.85])"],
    "__rmod__": ["0.2 % x", "np.array([0.25, 0.5, 0.2]) % x"],
    "__floordiv__": ["x // 0.9 * x"],
    "__rfloordiv__": ["0.2 // x * x"],
    "__divmod__": ["divmod(x, 0.9)[0] * x", "divmod(x, 0.9)[1]"],
    "__rdivmod__": ["divmod(0.2, x)[1]", "divmod(np.array([0.25, 0.5, 0.2]), x)[1]"],
    "__matmul__": ["x @ x.T", "x @ np.arange(3.0)"],
    "__rmatmul__": ["np.arange(2.0) @ x", "np.ones((2, 2)) @ x"],
    "__pow__": ["x ** 2", "x ** 3.0", "abs(x) ** x", "x ** np.array([2, 1, 3])"],
    "__rpow__": ["2 ** x", "np.array([2.0, 3.0, 0.5]) ** x"],
    "__lt__": ["x * (x < 0)", "x * (0 < x)", "x * (x < x[0])"],
    "__le__": ["x * (x <= 0)"],
    "__gt__": ["x * (x > 0)", "x * (np.zeros(3) > x)"],
    "__ge__": ["x * (x >= 0)"],
    "__eq__": ["x * (x == x[0])"],
    "__ne__": ["x * (x != x[0])"],
    "__getitem__": ["x[0]", "x[1, 2]", "x[:, ::-1]", "x[x > 0]", "x[[0, 1], [1, 2]]"],
    "__bool__": ["x if x[0, 0] else -x", "x if x.sum() > 0 else 2 * x"],
}  # fmt: skip


def in_place(statement):
    """The function of x that runs a statement on a copy of x, called y, and returns it."""
    code = compile(f"y = x.copy()\n{statement}", "<statement>", "exec")

    def f(x):
        names = {"np": np, "x": x}
        exec(code, names)
        return names["y"]

    f.__name__ = statement
    return f


IN_PLACE = {
    "flat": ["y.flat[1] = x[0, 0]", "y.flat[1:4] = 2.0", "y.flat = x[0] * x[0]"],
    "fill": ["y.fill(2.0)", "y.fill(x[0, 1])"],
    "sort": ["y.sort()", "y.sort(0)", "y.sort(axis=-1)"],
    "__setitem__": ["y[0] = x[1] * 2", "y[:, 1] = 3.0", "y[y > 0] = x[0, 0]"],
    "__iadd__": ["y += 1", "y += x[0]", "y[0] += x[1]"],
    "__isub__": ["y -= x * x", "y[:, 1] -= 2"],
    "__imul__": ["y *= 2", "y *= x", "y[1] *= x[0]"],
    "__itruediv__": ["y /= 2", "y /= x[1] + 3"],
    "__ifloordiv__": ["y //= 0.9"],
    "__imod__": ["y %= 0.9", "y[0] %= 0.9"],
    "__ipow__": ["y **= 2", "y **= np.array([2, 3, 1])"],
    "__imatmul__": ["y @= np.arange(9.0).reshape(3, 3)", "y @= x.T @ x"],
}  # fmt: skip

STATEMENTS = [in_place(statement) for statements in IN_PLACE.values() for statement in statements]
SAMPLES = [Sample(call, x=(2, 3)) for calls in CALLS.values() for call in calls]
each_call = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.expression)
each_statement = pytest.mark.parametrize("f", STATEMENTS, ids=lambda f: f.__name__)

#: What belongs to a tracer and not to ndarray, and what an array of numbers refuses: see `test_refused`
OWN = {
    "can_hold",
    "level",
    "conformed",
    "primal",
    "lift",
    "update",
    "twin",
    "become",
    "unary",
    "binary",
    "process",
    "is_array",
    "new_like",
    "plain_memory",
    "replace",
    "View",
    "ptp",
    "operands",
    "made_of",
    "ufunc_method",
    "ufunc_with_keywords",
    "of_library",
}
REFUSED = {"__index__", "__idivmod__"}
#: of truth values and integers, which only vmap traces: see tests/batching/test_batching.py
LOGICAL = {"__and__", "__rand__", "__or__", "__ror__", "__xor__", "__rxor__", "__invert__"}
MISSING = {
    name
    for name, attribute in vars(DuckArray).items()
    if isinstance(attribute, property) and attribute.fget.__name__ == "refuse"
}


@pytest.mark.parametrize("name", sorted(MISSING))
def test_a_method_that_is_missing_says_what_to_use(name):
    with pytest.raises(AttributeError, match=f"no method or attribute '{name}': use"):
        getattr(Dual(np.ones(2), np.ones(2)), name)


def test_every_method_and_operator_has_a_call():
    operators_of_python = {f"__{prefix}{name.strip('_')}__" for name in dir(operator) for prefix in ("", "r", "i")}
    operators_of_python -= {"__doc__"}
    given = {
        name for name in (*vars(DuckArray), *vars(Described)) if not name.startswith("_") or name in operators_of_python
    }
    missing = (given | set(operators.ARRAY_METHODS)) - set(CALLS) - set(IN_PLACE) - OWN - REFUSED - MISSING - LOGICAL
    assert not missing, f"no call of {sorted(missing)} in CALLS or IN_PLACE"


def test_every_call_is_of_something_that_arrays_have():
    unknown = {name for name in {**CALLS, **IN_PLACE} if name != "ptp" and not hasattr(np.ndarray, name)}
    assert not unknown


@each_call
def test_method(sample):
    args = [MATRIX.copy()]
    check_value(sample.function, args)
    check_first_derivative(sample.function, args)
    check_adjoint(sample.function, args)


@each_call
def test_second_derivative_of_method(sample):
    check_second_derivative(sample.function, [MATRIX.copy()])


@each_statement
def test_in_place(f):
    args = [MATRIX.copy()]
    check_value(f, args)
    check_first_derivative(f, args)
    check_adjoint(f, args)
    np.testing.assert_array_equal(args[0], MATRIX)


@each_statement
def test_second_derivative_of_in_place(f):
    check_second_derivative(f, [MATRIX.copy()])


# --- what carries no derivative -----------------------------------------------------------------------------


def traced(engine, value, look):
    """What `look` sees of a value that is being differentiated."""
    seen = []

    def f(x):
        seen.append(look(x))
        return x * 1.0

    engine.jvp(f, (value,), (np.ones_like(value),))
    return seen[0]


@each_engine
@pytest.mark.parametrize("name", ["shape", "dtype", "ndim", "size", "itemsize", "nbytes"])
@pytest.mark.parametrize(
    "value", [MATRIX, np.zeros((0, 2)), np.array(2.0), np.float64(2.0), np.ones((2, 1), np.float32)], ids=repr
)
def test_attributes_are_those_of_the_plain_array(engine, name, value):
    found = traced(engine, value, lambda x: getattr(x, name))
    assert found == getattr(value, name)
    assert type(found) is type(getattr(value, name))


@each_engine
def test_length_iteration_and_truth(engine):
    assert traced(engine, MATRIX, len) == 2
    assert traced(engine, MATRIX, lambda x: [row.shape for row in x]) == [(3,), (3,)]
    assert traced(engine, MATRIX, lambda x: bool(x[0, 0])) is True
    assert traced(engine, np.zeros(1), lambda x: bool(x)) is False
    for look in (len, iter, lambda x: next(iter(x))):
        with pytest.raises(TypeError):
            traced(engine, np.float64(1.0), look)
        with pytest.raises(TypeError):
            traced(engine, 1.0, look)
    with pytest.raises(ValueError, match="ambiguous"):
        traced(engine, MATRIX, bool)


@each_engine
def test_comparisons_give_plain_booleans_and_order_python_builtins(engine):
    x = np.array([0.5, -1.5, 2.0])
    assert type(traced(engine, x, lambda x: x > 0)) is np.ndarray
    assert traced(engine, x, lambda x: (x > 0).tolist()) == [True, False, True]
    assert engine.grad(lambda x: max(x) * min(x))(x).tolist() == [0.0, 2.0, -1.5]
    assert engine.grad(lambda x: sorted(x)[1] ** 2)(x).tolist() == [1.0, 0.0, 0.0]
    assert engine.grad(sum)(x).tolist() == [1.0, 1.0, 1.0]


@each_engine
def test_traced_arrays_are_not_hashable_as_arrays_are_not(engine):
    with pytest.raises(TypeError, match="unhashable"):
        traced(engine, MATRIX, hash)


@each_engine
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_by_the_copy_module_keep_their_derivative(engine, duplicate):
    def f(parameters):
        mine = duplicate(parameters)
        return np.sum(mine["w"] ** 2) + mine["b"][0]

    gradient = engine.grad(f)({"w": np.array([1.0, 2.0]), "b": [3.0]})
    assert gradient["w"].tolist() == [2.0, 4.0]
    assert gradient["b"] == [1.0]


@each_engine
def test_a_deep_copy_is_independent(engine):
    def f(x):
        y = copy.deepcopy(x)
        y[0] = 0.0
        return np.sum(x * y)

    assert engine.grad(f)(np.array([1.0, 2.0])).tolist() == [0.0, 4.0]
