"""What a record cannot see by itself: names that are bound anew, and functions that do something else the next time."""

from __future__ import annotations

import itertools
import time
import types
from functools import lru_cache, partial

import numpy as np
import pytest

import reversead
from shared.checkpointing import checkpoint
from shared.programs import trace
from shared.programs.compiling.determinism import differences
from shared.programs.compiling.names import Names, loaded_names

rate = 0.1
weights = np.ones(3)
settings = {"rate": 0.1, "layers": [1.0, 2.0]}


def scaled(x):
    return x * rate


def through_a_helper(x):
    return scaled(x) + 1.0


def recursive(x, n=3):
    return x if n == 0 else recursive(x * weights, n - 1)


class Model:
    bias = 0.5

    def __init__(self):
        self.rate = 0.1
        self.layers = [np.ones(3), np.zeros(3)]

    def __call__(self, x):
        return self.predict(x) + self.bias

    def predict(self, x):
        return x * self.rate + self.layers[0]


model = Model()
module = types.ModuleType("a_module_of_the_user")
module.rate = 0.1


def found_in(f):
    return {name: value for _, name, value in loaded_names(f)}


def test_globals_and_closures():
    def make(scale):
        def f(x):
            return scale * x + np.sum(weights) + len(x) + rate

        return f

    found = loaded_names(make(2.0))
    assert sorted((name, where.split(" of ")[0]) for where, name, _ in found) == [
        ("rate", "global"), ("scale", "closure"), ("weights", "global"),
    ]  # fmt: skip
    assert found_in(make(2.0))["weights"] is weights


@pytest.mark.parametrize(
    "f",
    [
        scaled, through_a_helper, partial(through_a_helper), reversead.grad(through_a_helper), checkpoint(scaled),
        partial(lambda g, x: g(x), scaled), lambda x, g=scaled: g(x), lru_cache(scaled),
        partial(map, scaled),
        lambda x: [scaled(k) for k in x], lambda x: (lambda y: y * rate)(x),
    ],
)  # fmt: skip
def test_a_rebound_global_is_noticed_through_whatever_leads_to_it(f, monkeypatch):
    names = Names(f)
    assert names.unchanged()
    assert names.changed() is None
    monkeypatch.setitem(globals(), "rate", 0.2)
    assert not names.unchanged()
    assert "'rate' (global of test_program_names)" in names.changed()


def test_a_variable_of_an_enclosing_function_that_is_rebound_is_noticed():
    scale, array = 2.0, np.ones(3)

    def f(x):
        return x * scale + array

    def change(value):
        nonlocal scale
        scale = value

    names = Names(f)
    array[0] = 5.0
    assert names.unchanged()  # a program reads the array anew
    change(3.0)
    assert not names.unchanged()
    assert names.changed().startswith("'scale' (closure of ")
    array = np.zeros(3)
    assert not Names(f).changed()


def test_helpers_that_are_replaced_are_noticed(monkeypatch):
    names = Names(through_a_helper)
    monkeypatch.setitem(globals(), "scaled", lambda x: x)
    assert "'scaled'" in names.changed()


def test_attributes_entries_and_methods(monkeypatch):
    cases = [
        (model, lambda: setattr(model, "rate", 0.2)),
        (model.predict, lambda: setattr(model, "rate", 0.3)),
        (lambda x: model(x), lambda: setattr(model, "rate", 0.4)),
        (lambda x: model.rate * x, lambda: setattr(model, "rate", 0.5)),
        (model, lambda: model.layers.__setitem__(0, np.ones(3))),
        (model, lambda: model.layers.append(1.0)),
        (lambda x: settings["rate"] * x, lambda: settings.__setitem__("rate", 0.2)),
        (lambda x: settings["rate"] * x, lambda: settings["layers"].append(3.0)),
        (lambda x: settings["rate"] * x, lambda: settings.pop("rate")),
        (lambda x: module.rate * x, lambda: setattr(module, "rate", 0.2)),
        (lambda x: module.rate * x, lambda: delattr(module, "rate")),
        (model, lambda: setattr(Model, "bias", 0.25)),
    ]
    for k, (f, change) in enumerate(cases):
        names = Names(f)
        assert names.unchanged(), k
        change()
        assert not names.unchanged(), k
        assert names.changed(), k


def test_recursion_cycles_and_long_chains_end():
    cycle = [recursive]
    cycle.append(cycle)
    assert found_in(lambda x: cycle[0](x))["weights"] is weights
    f = scaled
    for _ in range(5000):
        f = partial(f)
    chain = scaled
    for _ in range(3000):
        chain = (lambda inner: lambda x: inner(x))(chain)
    for g in (f, chain):
        assert found_in(g)["rate"] is rate


def test_this_library_numpy_and_the_standard_library_are_left_out():
    assert loaded_names(np.sin) == loaded_names(len) == loaded_names(reversead.grad(np.sum)) == []
    assert loaded_names(lambda x: np.sin(x) + itertools.count() + time.time() + abs(x)) == []
    assert loaded_names(trace(np.sin, 1.0)) == []


def test_properties_are_not_run():
    class Loud:
        @property
        def rate(self):
            raise AssertionError("read")

    loud = Loud()
    assert Names(lambda x: x * loud.rate).unchanged()


# --- functions that do not do the same each time ----------------------------------------------------------------------


def twice(f, *args):
    return differences(trace(f, *args), trace(f, *args))


def test_a_pure_function_does_not_differ():
    def f(x):
        y = np.zeros(3) + x
        y[0] = 2.0
        return y @ np.arange(3.0) if y[1] > 0 else np.nan * x, weights, "".join(()) or 1.0

    for g in (f, reversead.jacobian(f), reversead.grad(lambda x: f(x)[0])):
        assert twice(g, np.ones(3)) is None


numbers = itertools.count()


def _branching(x):
    return np.sin(x) if next(numbers) % 2 else np.cos(x)


def _growing(x):
    for _ in range(next(numbers) % 7 + 1):
        x = x * 2.0
    return x


def _keywords(x):
    return np.sum(x, axis=next(numbers) % 2)


def _guards(x):
    return x if np.sum(x) > next(numbers) - 1000 else -x


DIFFERENT = {
    "random numbers": (lambda x: x * np.random.random(), "had the operand 0."),
    "an array of random numbers": (lambda x: x * np.random.random(2), "had the operand array("),
    "a large array of random numbers": (lambda x: np.sum(x) * np.random.random(5000), "had the operand array<"),
    "random numbers that are returned": (lambda x: (x, np.random.random(2)), "output 1 had the operand"),
    "a counter": (lambda x: x + next(numbers), "had the operand"),
    "the clock": (lambda x: x * time.perf_counter(), "had the operand"),
    "another operation": (_branching, "cos(x)"),
    "more operations": (_growing, "one of two runs alone"),
    "another keyword": (_keywords, "in the second of two runs"),
    "another bound of a branch": (_guards, "had the operand"),
    "another index": (lambda x: x[next(numbers) % 2], "had the operand"),
    "another shape": (lambda x: np.sum(x) * np.ones(next(numbers) % 5 + 1), "had the operand"),
    "another result": (lambda x: [x] * (next(numbers) % 5 + 1), "have the structures"),
    "minus zero": (lambda x: x + (0.0 if next(numbers) % 2 else -0.0), "had the operand"),
    "another array from outside": (lambda x: x * (weights[:2], held)[next(numbers) % 2], "array from outside"),
}
held = np.ones(2)


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_function_that_is_not_deterministic_is_found_out(name):
    f, said = DIFFERENT[name]
    found = twice(f, np.eye(2))
    assert found is not None
    assert said in found
    if "output" not in said and "structures" not in said:
        assert "test_program_names.py:" in found
