"""What users name never becomes part of the text that a compiled function executes, and comes back as it was."""

import builtins
import enum
import importlib.util
import io
import json
import re
import sys
import typing
from collections import namedtuple

import numpy as np
import pytest
from machine_programs import code_of

import dualad
import reversead
import shared
from shared import compile, source, trace
from shared.programs.compiling.literals import comment, literal, slice_text
from shared.programs.machine_code.emission import whole_text


class Ran(BaseException):
    """Code that came with a name has run; no handler of an Exception hides it."""


def fire(*ignored):
    raise Ran


#: In the text, `fire` can be reached from any NumPy function's globals; here a builtin is enough.
CODE = "__import__('test_names_are_data').fire()"

HOSTILE = [
    f'a""";{CODE};x="""',
    f"b'''\n{CODE}\n'''",
    f"a\n{CODE}\n",
    f"a'); {CODE} #",
    f"a\\'); {CODE} #",
    "a\\",
    "\u2028import os\u2029",
    "\x00",
    "\r\n",
    "{x}",
    "%s",
    f"{{{CODE}}}",
    "np.sin(",
    "np.add(x0, x0)",
    "",
    " ",
    "λ",
    "\ud800",
    "x0",
    "v1",
    "Departed",
    "__import__",
    "lambda",
    "a" * 100_000,
]
NAMES = [repr(name)[:30] for name in HOSTILE]


def squares(parameters):
    return sum(np.sum(value**2) for value in parameters.values())


@pytest.fixture(autouse=True)
def _reachable(monkeypatch):
    monkeypatch.setitem(sys.modules, "test_names_are_data", sys.modules[__name__])


def runs_as_ascii(compiled, *args):
    """The text, which is ASCII, and which Python can read."""
    text = compiled.source(*args)
    assert text.isascii()
    builtins.compile(text, "text", "exec")
    return text


@pytest.mark.parametrize("engine", [reversead, dualad])
@pytest.mark.parametrize("key", HOSTILE, ids=NAMES)
def test_keys_of_arguments_and_results(key, engine):
    given = {key: np.array([1.0, 2.0]), "other": np.ones(2)}
    for g in (engine.grad(squares), lambda p: {name: value * 2.0 for name, value in p.items()}):
        compiled = compile(g)
        for _ in range(2):
            found = compiled(given)
            assert set(found) == set(given)
            assert all(np.array_equal(found[name], 2.0 * given[name]) for name in given)
        runs_as_ascii(compiled, given)
        source(trace(g, given))


@pytest.mark.parametrize("key", HOSTILE, ids=NAMES)
def test_names_are_comments_in_c(key):
    def f(parameters):
        return np.sum(parameters[key] * 2.0)

    f.__name__ = f.__qualname__ = key.replace("\x00", "") or "f"
    compiled = compile(f)
    compiled({key: np.ones(3)})
    code = code_of(compiled._variants[0])
    text = whole_text(code.stretches, "", code.program.name)
    assert text.isascii() and "fire" not in re.sub("//.*", "", text) and len(code.stretches) == 1
    assert all(
        re.fullmatch(r"[A-Za-z0-9 _.,:;()\[\]<>=+*/@'-]*", line.partition("//")[2]) for line in text.splitlines()
    )


@pytest.mark.parametrize("key", HOSTILE, ids=NAMES)
def test_keywords_functions_parameters_and_settings(key):
    def f(x, **rest):
        return x * 2.0 + rest[key]

    f.__name__ = f.__qualname__ = key
    x = np.ones(2)
    compiled = compile(f)
    for _ in range(2):
        assert np.array_equal(compiled(x, **{key: 1.0}), [3.0, 3.0])
    runs_as_ascii(compiled)
    chosen = compile(lambda x, mode: x * (2.0 if mode == key else 3.0))
    assert np.array_equal(chosen(x, key), [2.0, 2.0]) and np.array_equal(chosen(x, "?"), [3.0, 3.0])


@pytest.mark.parametrize("name", HOSTILE, ids=NAMES)
def test_names_of_primitives(name):
    def tripled(x):
        return np.sqrt(x) * 3.0

    tripled.__name__ = name
    primitive = shared.elementwise(tripled, lambda x: 1.5 / np.sqrt(x))
    compiled = compile(reversead.value_and_grad(lambda x: np.sum(primitive(x))))
    x = np.array([1.0, 4.0])
    for _ in range(2):
        value, gradient = compiled(x)
        assert value == 9.0 and np.allclose(gradient, 1.5 / np.sqrt(x))
    runs_as_ascii(compiled, x)


@pytest.mark.parametrize("name", ["os", "x; fire()", "a\nb", "slogdet"])
def test_classes_of_results(name):
    kind = namedtuple("Kind", ["x", "y"])
    kind.__name__ = kind.__qualname__ = name
    for module in ("numpy", "numpy; fire()", "numpy.linalg", "builtins", __name__):
        kind.__module__ = module
        compiled = compile(lambda x: kind(x * 2.0, {kind: x}))
        for _ in range(2):
            found = compiled(np.ones(2))
            assert type(found) is kind and list(found.y) == [kind]
        runs_as_ascii(compiled, np.ones(2))


def test_named_tuples_of_numpy_are_imported_by_the_text():
    text = compile(lambda x: np.linalg.slogdet(x)).source(np.eye(2))
    assert "from numpy.linalg" in text and "SlogdetResult(" in text and "to be assigned" not in text


# --- values that look like literals -----------------------------------------------------------------------------------


class Loud(str):
    def __repr__(self):
        return CODE

    __str__ = __format__ = __repr__

    def __hash__(self):
        return str.__hash__(self)


class LoudInteger(int):
    def __repr__(self):
        return CODE

    __str__ = __repr__

    def __format__(self, spec):
        return CODE


class LoudFloat(float):
    def __repr__(self):
        return CODE

    __str__ = __repr__


class Axis(enum.IntEnum):
    FIRST = 0
    LAST = 1


class Mode(enum.StrEnum):
    ORTHO = "ortho"


class Pretends:
    """Says that it is a string."""

    @property
    def __class__(self):
        return str

    def __repr__(self):
        return CODE


def test_only_exactly_known_types_are_literals():
    for value in (Loud("a"), LoudInteger(1), LoudFloat(1.0), Axis.FIRST, Mode.ORTHO, np.str_("a"), Pretends(), object(),
                  10**400, "f()", "a" * 65, {"a": 1}, {1}, (1, Axis.LAST), [LoudInteger(3)], slice(Axis.LAST), Loud,
                  np.longdouble(1.0), np.dtype([("a", float)]), np.dtype(">f8"), b"bytes", range(3)):  # fmt: skip
        assert literal(value) is None, value.__class__
    assert slice_text(slice(LoudInteger(1), None)) is None
    for value in (1, -2.5, 1e308, True, None, Ellipsis, 1 + 2j, "axis", (1, (2.0, None)), [slice(1, 2)],
                  np.float32(0.1), np.int8(-3), np.dtype(np.float32), float, (), np.bool_(True)):  # fmt: skip
        text = literal(value)
        found = eval(text, {"np": np, "math": __import__("math")})
        assert type(found) is type(value) and found == value, text


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.sum(x, axis=Axis.LAST), np.ones((2, 3))),
        (lambda x: np.sum(x * 1.5, axis=LoudInteger(1)), np.ones((2, 3))),
        (lambda x: np.cumsum(x, axis=np.int64(0)), np.ones((2, 3))),
        (lambda x: np.reshape(x, (LoudInteger(3), Axis.LAST + 1)), np.ones((2, 3))),
        (lambda x: np.transpose(x, (Axis.LAST, Axis.FIRST)), np.ones((2, 3))),
        (lambda x: x[LoudInteger(1)] * 2.0, np.ones((2, 3))),
        (lambda x: x[Axis.LAST : LoudInteger(2)] * 2.0, np.ones((2, 3))),
        (lambda x: np.fft.rfft(x, norm=np.str_("ortho")).real, np.ones((2, 4))),
        (lambda x: np.fft.rfft(x, norm=Mode.ORTHO).real, np.ones((2, 4))),
        (lambda x: np.fft.rfft(x, norm=Loud("ortho")).real, np.ones((2, 4))),
        (lambda x: np.searchsorted(x[0], 0.5, side=Loud("left")) * x, np.ones((2, 4))),
        (lambda x: np.roll(x, LoudInteger(1), axis=Axis.LAST), np.arange(6.0).reshape(2, 3)),
        (lambda x: x * LoudFloat(2.0) + np.sin(x) * LoudInteger(3), np.ones((2, 3))),
        (lambda x: np.take(x, [LoudInteger(0), Axis.LAST], axis=LoudInteger(1)), np.ones((2, 3))),
        (lambda x: x.astype(np.dtype("f4")).astype(float), np.ones((2, 3))),
        (lambda x: {np.str_("k"): x, Axis.LAST: x * 2.0, LoudInteger(7): x, Loud("a"): x, 2.5: x}, np.ones(2)),
        (lambda x: {(1, "a"): x, frozenset((1,)): x, None: x, True: x * 3.0, b"b": x}, np.ones(2)),
    ],
)
def test_settings_keys_and_indices_of_other_types_travel_as_objects(f, x):
    expected, compiled = f(x), compile(f)
    for _ in range(2):
        found = compiled(x)
        if isinstance(expected, dict):
            assert {key: type(key) for key in found} == {key: type(key) for key in expected}
            assert all(np.array_equal(found[key], expected[key]) for key in expected)
        else:
            assert np.allclose(found, expected, rtol=1e-15)
    assert CODE not in runs_as_ascii(compiled, x)


@pytest.mark.parametrize("value", [LoudInteger(3), LoudFloat(2.0), Loud("a"), Axis.LAST, Mode.ORTHO, np.str_("a")])
def test_arguments_of_other_types(value):
    def f(x, option):
        return x * (option if isinstance(option, (int, float)) else 2.0)

    compiled = compile(f)
    for _ in range(2):
        assert np.array_equal(compiled(np.ones(2), value), f(np.ones(2), value))
    runs_as_ascii(compiled, np.ones(2), value)


def test_keys_that_come_out_of_files():
    evil = f"w']; {CODE} #"
    buffer = io.BytesIO()
    np.savez(buffer, **{"plain": np.ones(2)})
    loaded = dict(np.load(io.BytesIO(buffer.getvalue()), allow_pickle=False))
    loaded.update({name: np.array(value) for name, value in json.loads(json.dumps({evil: [1.0, 2.0]})).items()})
    loaded[np.array([CODE])[0]] = np.ones(2)
    found = compile(reversead.grad(squares))(loaded)
    assert {key: type(key) for key in found} == {key: type(key) for key in loaded}


# --- functions of the user's ------------------------------------------------------------------------------------------

MODULE = """
import numpy as np
import shared
FACTOR = 3.0
def helper(x): return x * FACTOR
def own(x, scale=2.0): return np.sqrt(x) * 3.0
def with_helper(x): return helper(np.sqrt(x))
"""


def loaded_from(path) -> typing.Any:
    spec = importlib.util.spec_from_file_location("a_module_of_the_user", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_function_of_a_primitive_is_called_and_its_file_is_not_read(tmp_path):
    path = tmp_path / "a_module_of_the_user.py"
    path.write_text(MODULE, encoding="utf-8")
    module = loaded_from(path)
    primitives = [
        shared.elementwise(function, lambda x: 1.5 / np.sqrt(x)) for function in (module.own, module.with_helper)
    ]
    path.write_text(MODULE.replace("* 3.0", "* 999.0") + f"\n{CODE}\n", encoding="utf-8")
    x = np.array([1.0, 4.0])
    for primitive in primitives:
        compiled = compile(lambda x, primitive=primitive: primitive(x) * 2.0)
        for _ in range(2):
            assert np.array_equal(compiled(x), [6.0, 12.0])
        assert "to be assigned" in compiled.source() and "def own" not in compiled.source()
    module.helper = lambda x: x * 5.0
    assert np.array_equal(compiled(x), [10.0, 20.0])


def test_another_np_of_the_user_is_its_own():
    class np:
        sqrt = staticmethod(lambda x: x + 1.0)

    def shifted(x):
        return np.sqrt(x)

    primitive = shared.elementwise(shifted, lambda x: 1.0 + 0.0 * x)
    assert compile(lambda x: primitive(x) * 1.0)(3.0) == 4.0


@pytest.mark.parametrize("name", HOSTILE, ids=NAMES)
def test_reprs_and_warnings_are_one_line(name):
    def f(x):
        try:
            return 1.0 / x
        except ZeroDivisionError:
            return x

    f.__name__ = f.__qualname__ = name
    compiled = compile(f)
    assert len(repr(compiled).splitlines()) == 1
    with pytest.warns(UserWarning, match="runs uncompiled") as noted:
        compiled(0.0)
    assert len(str(noted[0].message).splitlines()) == 1


def test_a_comment_is_one_line_of_ascii():
    for name in HOSTILE:
        text = comment(name)
        assert text.isascii() and len(text.splitlines()) <= 1 and "\x00" not in text
