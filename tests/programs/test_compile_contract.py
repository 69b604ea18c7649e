"""A compiled function depends on its arguments and on the contents of captured arrays; the rest is frozen and verified.

`verify="always"` runs the function beside each call, so that nothing stale is ever returned; "seldom" does so on calls
1, 2, 4, 8, ...; "never" not at all.
"""

import argparse
import collections
import contextvars
import enum
import functools
import pickle
import types
import warnings

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import CompilationError, StaleProgramError, compile
from shared.programs import escapes
from shared.programs.compiling import compiled as compiling

X = np.array([1.0, 2.0, 3.0])


# --- state besides the arguments --------------------------------------------------------------------------------------


class Dense:
    def __init__(self):
        self.weights, self.gain = np.eye(3), 1.0

    def __call__(self, x):
        return self.gain * (self.weights @ x)


class Base:
    rate = 1.0

    def scaled(self, x):
        return np.sum(x) * self.rate


class Derived(Base):
    def __init__(self):
        self._k, self.terms = 1.0, [1.0, 2.0]

    @property
    def k(self):
        return self._k

    def scaled(self, x):
        return super().scaled(x) * self.k

    def repeated(self, x, n=2):
        return np.sum(x) * self._k if n == 0 else self.repeated(x, n - 1)

    def summed(self, x):
        return sum(self.rate * k for k in self.terms) * np.sum(x)

    def __getattr__(self, name):
        if name == "made_up":
            return self.__dict__["_k"]
        raise AttributeError(name)


class Slotted:
    __slots__ = ("rate",)

    def __init__(self):
        self.rate = 1.0


def probes():
    """What a function may read besides its arguments: the function, and a change of that."""
    number = types.SimpleNamespace(k=1.0)
    yield "attribute", lambda x: np.sum(x) * number.k, lambda: setattr(number, "k", 2.0)
    least = types.SimpleNamespace(k=1.0)
    yield (
        "the last bits of a number",
        lambda x: np.sum(x) * least.k,
        lambda: setattr(least, "k", np.nextafter(1.0, 2.0)),
    )
    layers = [Dense(), Dense()]
    yield (
        "object in a list",
        lambda x: np.sum(layers[1](layers[0](x))),
        lambda: setattr(layers[1], "weights", 2 * np.eye(3)),
    )
    gains = (Dense(),)
    yield "number of an object in a tuple", lambda x: np.sum(gains[0](x)), lambda: setattr(gains[0], "gain", 3.0)
    by_name = {"layer": Dense()}
    yield "object in a dict", lambda x: np.sum(by_name["layer"](x)), lambda: setattr(by_name["layer"], "gain", 3.0)
    asked = types.SimpleNamespace(rate=1.0)
    yield "getattr", lambda x: np.sum(x) * getattr(asked, "ra" + "te"), lambda: setattr(asked, "rate", 2.0)
    table = {k: float(k) for k in range(100)}
    yield "dict of a hundred", lambda x: np.sum(x) * table[80], lambda: table.update({80: 1.5})
    long = [1.0] * 100
    yield "list of a hundred", lambda x: np.sum(x) * sum(long), lambda: long.__setitem__(70, 5.0)
    ordered = collections.OrderedDict(k=1.0)
    yield "OrderedDict", lambda x: np.sum(x) * ordered["k"], lambda: ordered.update(k=5.0)
    queue = collections.deque([1.0])
    yield "deque", lambda x: np.sum(x) * queue[-1], lambda: queue.append(5.0)
    chosen = {1.0}
    yield "set", lambda x: np.sum(x) * max(chosen), lambda: chosen.add(5.0)

    def with_default(x, options={"k": 1.0}):  # noqa: B006  # the default that changes is what is tested
        return np.sum(x) * options["k"]

    yield "default argument", with_default, lambda: with_default.__defaults__[0].update(k=2.0)
    derived = Derived()
    yield "super() and a property", derived.scaled, lambda: setattr(derived, "_k", 2.0)
    recursive = Derived()
    yield "a method that calls itself", recursive.repeated, lambda: setattr(recursive, "_k", 2.0)
    generated = Derived()
    yield "a method with a generator", generated.summed, lambda: setattr(generated, "rate", 2.0)
    made_up = Derived()
    yield "__getattr__", lambda x: np.sum(x) * made_up.made_up, lambda: setattr(made_up, "_k", 2.0)
    slotted = Slotted()
    yield "__slots__", lambda x: np.sum(x) * slotted.rate, lambda: setattr(slotted, "rate", 2.0)
    context = contextvars.ContextVar("rate", default=1.0)
    yield "ContextVar", lambda x: np.sum(x) * context.get(), lambda: context.set(2.0)
    options = argparse.Namespace(rate=1.0)
    yield "argparse.Namespace", lambda x: np.sum(x) * options.rate, lambda: setattr(options, "rate", 2.0)
    partial = functools.partial(lambda settings, x: np.sum(x) * settings["k"], {"k": 1.0})
    yield "argument of partial", partial, lambda: partial.args[0].update(k=2.0)
    mode = types.SimpleNamespace(training=True)
    yield (
        "branch on a setting",
        lambda x: np.sum(np.sin(x)) if mode.training else np.sum(x),
        lambda: setattr(mode, "training", False),
    )
    limits = np.zeros(3)
    yield (
        "branch on an array",
        lambda x: np.sum(x) * 3.0 if limits[0] <= 1 else np.sum(x),
        lambda: limits.__setitem__(0, 5.0),
    )
    scale = np.full(3, 2.0)
    yield "array computed from an array", lambda x: np.sum(x * (scale * 2.0)), lambda: scale.__setitem__(1, 5.0)
    yield "number read from an array", lambda x: np.sum(x) * float(scale[0]), lambda: scale.__setitem__(0, 7.0)
    held = types.SimpleNamespace(weights=np.ones(3))
    yield "another array", lambda x: np.sum(x * held.weights), lambda: setattr(held, "weights", np.full(3, 2.0))
    steps = types.SimpleNamespace(n=2)
    yield (
        "length of a loop",
        lambda x: sum((np.sum(x) for _ in range(steps.n)), 0.0),
        lambda: setattr(steps, "n", 3),
    )

    class Mode(enum.Enum):
        SUM, MEAN = 1, 2

    chosen_mode = types.SimpleNamespace(mode=Mode.SUM)
    yield (
        "a choice among functions",
        lambda x: np.sum(x) if chosen_mode.mode is Mode.SUM else np.mean(x),
        lambda: setattr(chosen_mode, "mode", Mode.MEAN),
    )


PROBES = [name for name, _, _ in probes()]
TRANSFORMS = {"f": lambda f: f, "reversead.grad": reversead.grad, "dualad.grad": dualad.grad}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", PROBES)
def test_with_always_a_stale_record_is_an_error_and_never_a_number(name, transform):
    f, change = next((f, change) for found, f, change in probes() if found == name)
    g = TRANSFORMS[transform](f)
    compiled = compile(g, verify="always")
    for _ in range(3):
        assert np.allclose(compiled(X), g(X), rtol=1e-14)
    change()
    for _ in range(2):  # also when the first error was caught
        try:
            found = compiled(X)
        except StaleProgramError as error:
            assert "clear()" in str(error)  # a right value is as good as an error
        else:
            assert np.array_equal(found, g(X)), "neither the right value nor an error"
    compiled.clear()
    assert np.allclose(compiled(X), g(X), rtol=1e-14)


def test_a_change_of_the_last_bits_is_found_at_once():
    rate = 0.1
    compiled = compile(lambda x: np.sum(np.tanh(x)) * rate, verify="always")
    compiled(X)
    rate = np.nextafter(0.1, 1.0).item()
    with pytest.raises(StaleProgramError):
        compiled(X)


def test_the_error_says_what_has_changed_where_and_what_to_do():
    rate = 0.5
    compiled = compile(lambda x: np.sum(x) * rate, verify="always")
    compiled(X)
    rate = 0.25
    with pytest.raises(StaleProgramError) as caught:
        compiled(X)
    text = str(caught.value)
    assert "had the operand 0.5 when it was recorded and 0.25 now" in text
    assert "test_compile_contract.py:" in text
    assert "pass it as an argument" in text


def counted(f):
    calls = []

    def counting(*args):
        calls.append(any(isinstance(a, shared.core.duck_array.DuckArray) for a in args))
        return f(*args)

    return counting, calls


def test_seldom_runs_the_function_on_calls_1_2_4_8_of_each_variant():
    f, calls = counted(lambda x: np.sum(x * x))
    compiled = compile(f)
    at = []
    for call in range(1, 40):
        before = len(calls)
        compiled(X + call)
        at += [call] * (len(calls) > before)
    assert at == [1, 2, 4, 8, 16, 32]
    # recorded once, and run beside the text once in each of these
    assert calls.count(True) == 1 and calls.count(False) == 6
    before = len(calls)
    compiled(X[:2])
    compiled(X[:2])
    assert len(calls) == before + 3


def test_always_runs_it_on_each_call_and_never_on_none():
    f, calls = counted(lambda x: np.sum(x * x))
    compiled = compile(f, verify="always")
    for _ in range(5):
        compiled(X)
    assert calls.count(True) == 1 and calls.count(False) == 5
    f, calls = counted(lambda x: np.sum(x * x))
    compiled = compile(f, verify="never")
    for _ in range(40):
        compiled(X)
    assert calls == [True]


def test_seldom_finds_a_change_at_its_next_look_and_then_refuses_until_cleared():
    rate = 1.0
    compiled = compile(lambda x: np.sum(x) * rate)
    for _ in range(5):
        compiled(X)
    rate = 2.0
    assert [compiled(X) for _ in range(2)] == [6.0, 6.0]  # calls 6 and 7: frozen, as the contract says
    for _ in range(4):
        with pytest.raises(StaleProgramError):
            compiled(X)
    compiled.clear()
    assert compiled(X) == 12.0


def test_never_keeps_what_was_recorded():
    rate = 1.0
    compiled = compile(lambda x: np.sum(x) * rate, verify="never")
    compiled(X)
    rate = 2.0
    assert [compiled(X) for _ in range(40)] == [6.0] * 40


@pytest.mark.parametrize("size", [3, 200_000])
def test_contents_of_captured_arrays_are_read_at_each_call(size):
    data = np.linspace(0.0, 1.0, size)
    compiled = compile(reversead.grad(lambda x: np.sum(x * data)), verify="always")
    x = np.ones(size)
    for k in range(5):
        data[:] = k
        assert np.array_equal(compiled(x), data)


def test_a_function_that_raises_where_its_record_has_a_value_has_changed():
    settings = {"k": 1.0}
    compiled = compile(lambda x: x * settings["k"], verify="always")
    compiled(X)
    del settings["k"]
    with pytest.raises(StaleProgramError, match="raises KeyError now"):
        compiled(X)


def test_a_function_that_cannot_be_recorded_any_more_has_changed():
    mode = types.SimpleNamespace(plain=False)
    compiled = compile(lambda x: x * (3.0 if mode.plain and float(x) > 0 else 2.0), verify="always")
    compiled(1.0)
    mode.plain = True
    with pytest.raises(StaleProgramError, match="cannot be recorded any more"):
        compiled(1.0)


def test_results_that_differ_by_rounding_or_in_the_sign_of_zero_are_no_change():
    chaotic = compile(lambda x: functools.reduce(lambda y, _: 3.99 * y * (1 - y), range(60), x), verify="always")
    signs = compile(lambda x: np.sum(-(x - x)) * -1.0, verify="always")
    wide = compile(lambda x: x * np.longdouble(2) / 3, verify="always")
    for k in range(20):
        chaotic(0.1 + k / 100)
        signs(X + k)
        wide(np.full(2, 1.5 + k, np.longdouble))


def test_a_branch_that_rounding_decides_is_no_change():
    compiled = compile(lambda x: x * 2.0 if (x * 0.1) * 3.0 * 10.0 > x * 3.0 else x * 3.0, verify="always")
    for k in range(40):
        x = 0.1 * k + 0.03
        assert compiled(x) in (x * 2.0, x * 3.0)


def test_threads_do_not_lose_the_next_look():
    compiled = compile(lambda x: x * 2.0)
    compiled(1.0)
    [variant] = compiled._variants
    variant.calls = 5  # as if several threads had counted past 2 and 4 at once
    compiled(1.0)
    assert variant.next_check > 5


def test_a_deep_recursion_of_a_method_is_recorded_in_its_own_time():
    class Model:
        def factorial(self, n):
            return 1 if n < 2 else n * self.factorial(n - 1)

        def loss(self, w):
            return np.sum(w * self.factorial(3))

    assert np.array_equal(compile(reversead.grad(Model().loss))(np.ones(2)), np.full(2, 6.0))


@pytest.mark.parametrize("options", [{"verify": "often"}, {"verify": True}, {"verify": None}])
def test_another_word_for_verify_is_refused(options):
    with pytest.raises(ValueError, match='write "always", "seldom" or "never"'):
        compile(np.sin, **options)


def doubled(x):
    return 2.0 * x


def test_pickling_keeps_how_it_is_verified():
    copy = pickle.loads(pickle.dumps(compile(doubled, cache_size=3, verify="always")))
    assert (copy.cache_size, copy.verify) == (3, "always")


# --- values that leave the record -------------------------------------------------------------------------------------

KEPT = {}


class Keeper:
    def __init__(self):
        self.seen = []

    def attribute(self, x):
        self.last = x * 2.0
        return np.sum(self.last)

    def appended(self, x):
        self.seen.append(np.sin(x))
        return np.sum(self.seen[-1])


@functools.lru_cache
def cached_constant(k):
    return np.full(3, k)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_value_that_the_function_stores_is_refused_and_where_is_said(transform):
    keeper, closure = Keeper(), []

    def as_global(x):
        KEPT["value"] = x * 3.0
        return np.sum(x)

    def in_a_closure(x):
        closure.append({"deep": (np.cos(x),)})
        return np.sum(x)

    wrapped = TRANSFORMS[transform]
    with pytest.raises(CompilationError, match="stores a value of the record in 'last'"):
        compile(wrapped(keeper.attribute))(X)
    with pytest.raises(CompilationError, match="stores a value of the record in 'value'"):
        compile(wrapped(as_global))(X)
    for f in (keeper.appended, in_a_closure):
        with pytest.raises(CompilationError, match=r"stores a value of the record in a (list|tuple)"):
            compile(wrapped(f))(X)
    KEPT.clear()


def test_what_the_function_stores_of_its_own_numbers_is_no_matter():
    log = []

    def f(x):
        log.append(3.0)
        cycle = [x]
        cycle.append(cycle)  # garbage that holds a value until it is collected
        return np.sum(x * cached_constant(2.0))

    compiled = compile(reversead.grad(f))
    assert np.array_equal(compiled(X), [2.0, 2.0, 2.0])


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_where_nothing_is_stored_no_garbage_is_collected(transform, monkeypatch):
    collections_ = []
    monkeypatch.setattr(escapes.gc, "collect", lambda: collections_.append(1))
    g = TRANSFORMS[transform](lambda x: np.sum(np.sin(x) * x))
    assert np.allclose(compile(g)(X), g(X), rtol=1e-14)
    assert collections_ == []


# --- exceptions as control flow ---------------------------------------------------------------------------------------


def fallback(x):
    matrix = np.eye(2) * x[0] + (1 - np.eye(2)) * x[1]
    try:
        return np.sum(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return 10.0 * x[2]


GOOD, POOR = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_caught_exception_makes_the_function_one_that_is_not_compiled(transform):
    g = TRANSFORMS[transform](fallback)
    compiled = compile(g)
    with pytest.warns(UserWarning, match=r"caught LinAlgError raised by cholesky \(at .*test_compile_contract.py:\d+"):
        assert np.array_equal(compiled(POOR), g(POOR))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(compiled(GOOD), g(GOOD))
    with pytest.raises(shared.CaughtExceptionError, match="caught LinAlgError"):
        shared.trace(g, POOR)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_an_exception_that_the_record_has_not_met_is_left_to_the_function(transform):
    g = TRANSFORMS[transform](fallback)
    compiled = compile(g)
    for point in (GOOD, POOR, GOOD, POOR):
        assert np.allclose(compiled(point), g(point), rtol=1e-14)


def test_every_way_in_which_an_operation_may_raise_is_noted():
    def converted(x):
        try:
            return x * float(x[0])
        except TypeError:
            return x * 0.0

    def compared(x):
        try:
            return x if x > 0 else -x
        except ValueError:
            return x * 3.0

    def assigned(x):
        y = np.zeros_like(x)
        try:
            y[7] = x[0]
        except IndexError:
            y = y + 1.0
        return y

    def divided(x):
        try:
            return 1.0 / x
        except ZeroDivisionError:
            return 7.0 * x

    for f, x in ((converted, X), (compared, X), (assigned, X), (divided, 0.0)):
        with pytest.warns(UserWarning, match="runs uncompiled from now on"):
            assert np.array_equal(compile(f)(x), f(x))
        with pytest.raises(shared.CaughtExceptionError):
            shared.trace(f, x)


# --- truth values as indices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda x, b: np.sum(x[b > 0]), lambda x, b: x[b > 0], lambda x, b: x[..., b > 0]])
def test_a_truth_value_as_an_index_is_a_branch(f):
    for compiled in (compile(f), compile(lambda x, b: f(x * 1.0, b))):
        for b in (-1.0, 1.0, -1.0, 1.0):
            assert np.array_equal(compiled(X, b), f(X, b))
    program = shared.trace(f, X, 1.0)
    with pytest.raises(shared.ProgramGuardError, match="the branch on b > 0"):
        program(X, -1.0)


def test_the_same_of_a_traced_array_without_axes():
    def f(x):
        return np.sum(x[x > 0.1] ** 2)

    for g in (f, reversead.value_and_grad(f), dualad.value_and_grad(f)):
        compiled = compile(g)
        for x in (0.05, 0.3, 0.05):
            found, expected = compiled(np.array(x)), g(np.array(x))
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("engine", [reversead, dualad])
def test_a_reduction_of_a_number_that_keeps_its_axes(engine):
    g = engine.value_and_grad(lambda b: np.sum(np.mean(np.sin(b), keepdims=True) * 1.5))
    for z in (np.array(0.5), 0.3, np.float64(0.2)):
        assert np.allclose(compile(g)(z), g(z), rtol=1e-15)
    assert np.allclose(compile(g)(0.3), g(0.3)) and compiling.LONGEST
