"""Containers that are none of Python's four: every transform takes and returns them, and says what does not fit."""

from __future__ import annotations

import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest

import dualad
import reversead
import shared
from shared.calling.containers import _says_integer
from shared.core.errors import LeafTypeError, ProgramGuardError, RegistrationError, ShapeError

ENGINES = pytest.mark.parametrize("ad", [dualad, reversead], ids=["dualad", "reversead"])


@dataclass(frozen=True, slots=True)
class Layer:
    weights: Any
    biases: Any = None
    activation: str = "tanh"
    repeats: int = 1


@dataclass
class Model:
    layers: list[Layer]
    scale: float = 1.0
    sizes: tuple[int, ...] = (1, 2)
    notes: dict[str, str] = field(default_factory=dict)
    squash: Callable[[Any], Any] = np.arctan
    total: Any = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.scale, float):
            raise TypeError("the scale is no float")
        self.total = float(sum(np.sum(layer.weights) for layer in self.layers))


@attrs.define
class Checked:
    x: Any = attrs.field(validator=attrs.validators.instance_of((float, np.ndarray)))
    name: str = "x"


@attrs.frozen
class Pair:
    _first: Any
    second: Any
    name: str = "pair"


class Line:
    """A class of a user's, registered below, that checks its values."""

    def __init__(self, slope: Any, start: Any, unit: str = "m"):
        self.slope, self.start, self.unit = slope, start, unit


class Named(Line):
    """Registered with names of its children."""


shared.register_container(Line, lambda v: ((v.slope, v.start), v.unit), lambda unit, parts: Line(*parts, unit))
shared.register_container(
    Named,
    lambda v: ({"slope": v.slope, "start": v.start}, None),
    lambda _, parts: Named(parts["slope"], parts["start"]),
)


def model() -> Model:
    rng = np.random.default_rng(0)
    return Model([Layer(rng.normal(size=(3, 2)), rng.normal(size=3)), Layer(rng.normal(size=(2, 3)), repeats=2)], 2.0)


def as_lists(m: Model) -> list[Any]:
    return [m.layers[0].weights, m.layers[0].biases, m.layers[1].weights, m.scale, m.total]


def loss(m: Model, x: Any) -> Any:
    for layer in m.layers:
        for _ in range(layer.repeats):
            y = getattr(np, layer.activation)(layer.weights @ x + (0.0 if layer.biases is None else layer.biases))
        x = y
    return m.scale * np.sum(m.squash(x) ** m.sizes[1]) + 0.1 * m.total**2


def plain_loss(leaves: list[Any], x: Any) -> Any:
    u, b, v, scale, total = leaves
    return scale * np.sum(np.arctan(np.tanh(v @ np.tanh(u @ x + b))) ** 2) + 0.1 * total**2


X = np.array([0.3, -0.7])

#: each kind of container with two numbers in it, made anew
KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "dataclass": lambda a, b: Layer(a, b),
    "attrs": lambda a, b: Pair(a, b),
    "OrderedDict": lambda a, b: OrderedDict(second=a, first=b),
    "defaultdict": lambda a, b: defaultdict(float, second=a, first=b),
    "SimpleNamespace": lambda a, b: SimpleNamespace(second=a, first=b),
    "registered": lambda a, b: Line(a, b, "km"),
    "by name": lambda a, b: Named(a, b),
    "nested": lambda a, b: {"x": [Line(SimpleNamespace(k=a), Layer(b)), None]},
}
EACH = pytest.mark.parametrize("kind", KINDS)


def numbers(tree: Any) -> list[Any]:
    return shared.flatten(tree)[0]


def combined(tree: Any) -> Any:
    a, b = numbers(tree)
    return np.sum(np.sin(a) * b**2)


A, B = np.array([0.5, 1.5]), np.array([2.0, -1.0])


def same(found: Any, expected: Any) -> None:
    (mine, structure), (theirs, other) = shared.flatten(found), shared.flatten(expected)
    assert structure == other and type(found) is type(expected)
    for one, two in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


# --- every transform --------------------------------------------------------------------------------------------------


@ENGINES
def test_the_gradient_of_a_model_is_a_model(ad: Any) -> None:
    m = model()
    value, slope = ad.value_and_grad(loss)(m, X)
    expected = ad.grad(plain_loss)(as_lists(m), X)
    assert type(slope) is Model and slope.sizes == (1, 2) and slope.squash is np.arctan and slope.notes == {}
    assert slope.layers[1].biases is None and slope.layers[1].repeats == 2
    for found, wanted in zip(as_lists(slope), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert value == pytest.approx(plain_loss(as_lists(m), X))


@ENGINES
@EACH
def test_every_transform_takes_and_returns_containers(ad: Any, kind: str) -> None:
    make = KINDS[kind]
    x, v = make(A, B), make(B, A)
    da, db = np.cos(A) * B**2, 2 * np.sin(A) * B
    same(ad.grad(combined)(x), make(da, db))
    out, tangent = ad.jvp(lambda t: make(*[n * n for n in numbers(t)]), (x,), (v,))
    same(out, make(A * A, B * B))
    same(tangent, make(2 * A * B, 2 * A * B))
    out, pullback = ad.vjp(lambda t: make(*[n * n for n in numbers(t)]), x)
    same(pullback(v)[0], make(2 * A * B, 2 * A * B))
    out, along = ad.linearize(lambda t: make(*[n * n for n in numbers(t)]), x)
    same(along(v), tangent)
    # d/da of the derivative along v, and the same for b
    product = ad.hvp(combined, x, v)
    same(product, make(-np.sin(A) * B**2 * B + 2 * np.cos(A) * B * A, 2 * np.cos(A) * B * B + 2 * np.sin(A) * A))
    (_, aux), _ = ad.value_and_grad(lambda t: (combined(t), make(*[n + 1 for n in numbers(t)])), has_aux=True)(x)
    same(aux, make(A + 1, B + 1))
    same(ad.grad(ad.checkpoint(combined))(x), make(da, db))
    same(ad.grad(lambda t: combined(ad.stop_gradient(t)) + 0.0 * combined(t))(x), make(0 * A, 0 * B))
    loop = ad.grad(lambda t: combined(ad.checkpoint_loop(lambda s, k: make(*[0.5 * n for n in numbers(s)]), t, 3)))(x)
    same(loop, make(np.cos(A / 8) * B**2 / 512, np.sin(A / 8) * B / 32))
    shared.check_grads(combined, x, engines=[ad])


@ENGINES
@EACH
def test_jacobians_nest_containers_in_containers(ad: Any, kind: str) -> None:
    make = KINDS[kind]
    matrix = ad.jacobian(lambda t: make(*[n * n for n in numbers(t)]))(make(A, B))
    outer = numbers(matrix)
    zero = np.zeros((2, 2))
    for found, expected in zip(outer, [np.diag(2 * A), zero, zero, np.diag(2 * B)], strict=True):
        np.testing.assert_allclose(found, expected)
    hessian = numbers(ad.hessian(combined)(make(A, B)))
    np.testing.assert_allclose(hessian[1], np.diag(2 * np.cos(A) * B))


@ENGINES
@EACH
def test_containers_are_mapped_recorded_and_compiled(ad: Any, kind: str) -> None:
    make = KINDS[kind]
    many = make(np.stack([A, B]), np.stack([B, A]))
    slopes = ad.vmap(ad.grad(combined))(many)
    expected = [ad.grad(combined)(make(A, B)), ad.grad(combined)(make(B, A))]
    same(slopes, shared.tree_map(lambda *parts: np.stack(parts), *expected))
    program = shared.trace(ad.grad(combined), make(A, B))
    same(program(make(B, A)), expected[1])
    same(pickle.loads(pickle.dumps(program))(make(B, A)), expected[1])
    compiled = shared.compile(ad.value_and_grad(combined), verify="always")
    for _ in range(2):
        same(compiled(make(A, B))[1], expected[0])
        same(compiled(make(B, A))[1], expected[1])
    assert len(list(compiled.variants)) == 1


@ENGINES
def test_axes_may_be_given_for_each_field(ad: Any) -> None:
    f = ad.vmap(lambda layer, x: layer.weights @ x, in_axes=({"weights": None, "biases": None}, 0))
    weights = np.arange(4.0).reshape(2, 2)
    np.testing.assert_allclose(f(Layer(weights, A), np.stack([A, B])), np.stack([weights @ A, weights @ B]))
    f = ad.vmap(lambda layer: layer.weights * layer.biases, in_axes=(Layer(0, None),))
    np.testing.assert_allclose(f(Layer(np.stack([A, B]), 2.0)), 2 * np.stack([A, B]))
    with pytest.raises(ShapeError, match=r"in_axes.*does not fit.*Layer\(weights=\*, biases=\*.*test_containers"):
        ad.vmap(lambda layer: layer.weights, in_axes=({"weight": 0},))(Layer(A, B))


@ENGINES
def test_a_model_is_trained_by_mapping_over_its_leaves(ad: Any) -> None:
    m = model()
    for _ in range(3):
        m, before = shared.tree_map(lambda p, g: p - 0.05 * g, m, ad.grad(loss)(m, X)), m
        assert loss(m, X) < loss(before, X)
    assert m.layers[1].repeats == 2 and m.sizes == (1, 2)


@ENGINES
def test_primals_that_do_not_vary_may_change_before_the_linear_function_is_called(ad: Any) -> None:
    layer = Layer(A.copy(), B.copy())
    _, along = ad.linearize(lambda x, held: np.sum(x * held.weights), 1.0 * B, layer, argnums=0)
    layer.weights[:] = 0.0
    assert along(B) == pytest.approx(A @ B)


@ENGINES
def test_an_auxiliary_object_without_traced_values_stays_the_object_it_is(ad: Any) -> None:
    held = Layer(A)
    assert ad.grad(lambda x: (np.sum(x), held), has_aux=True)(A)[1] is held


# --- what is a leaf, and what is static -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, True), ("int", True), ("int | None", True), ("tuple[int, ...]", True), ("list[int]", True),
        (list[int], True), (int | None, True), ("np.integer", True), ("Literal[1, 2]", True), (float, False),
        ("float", False), ("int | float", False), ("Any", False), (None, False), ("np.ndarray", False),
        ("dict[str, Any]", False), (list, False), ("list", False),
    ],
)  # fmt: skip
def test_annotations_that_say_integer(annotation: Any, expected: bool) -> None:
    assert _says_integer(annotation) is expected


def test_what_of_a_dataclass_is_static() -> None:
    @dataclass
    class Mixed:
        real: Any
        declared: Any = field(default=2.0, metadata={"static": True})
        traced: int = field(default=3, metadata={"static": False})
        names: Any = ("a", "b")
        mixed: Any = None
        count: Any = 4
        flag: Any = True
        rng: Any = None
        empty: Any = ()
        labels: Any = None

    value = Mixed(1.0, rng=np.random.default_rng(0), labels=np.array(["x"]), mixed=[None, 2.5])
    leaves, structure = shared.flatten(value)
    assert leaves == [1.0, 3, 2.5, 4]
    assert set(structure.names.static) == {"declared", "names", "flag", "rng", "labels"}
    again = shared.unflatten(structure, leaves)
    assert vars(again) == vars(value)


def test_a_list_within_a_dataclass_holds_what_a_list_holds() -> None:
    with pytest.raises(LeafTypeError, match="is a str"):
        reversead.grad(lambda m: m.weights[0][0])(Layer([(1.0, "tanh")]))


@ENGINES
def test_an_integer_that_is_no_count_is_differentiated_and_as_a_count_refused(ad: Any) -> None:
    assert ad.grad(lambda s: s.k**2)(SimpleNamespace(k=3)).k == 6.0
    with pytest.raises(shared.LeafTypeError, match=r"integer.*test_containers"):
        ad.grad(lambda s: sum(s.x for _ in range(s.k)))(SimpleNamespace(k=3, x=1.0))


def test_a_field_that_was_never_assigned_is_not_there() -> None:
    @dataclass
    class Late:
        x: float
        y: float = field(init=False)

    assert reversead.grad(lambda late: late.x**2)(Late(3.0)).x == 6.0
    assert not hasattr(reversead.grad(lambda late: late.x**2)(Late(3.0)), "y")


# --- structures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_structures_are_equal_by_class_names_and_what_is_static(kind: str) -> None:
    first, second = shared.flatten(KINDS[kind](1.0, 2.0))[1], shared.flatten(KINDS[kind](3.0, 4.0))[1]
    assert first == second and hash(first) == hash(second) and repr(first) == repr(second)
    assert pickle.loads(pickle.dumps(first)) == first
    others = [shared.flatten(make(1.0, 2.0))[1] for name, make in KINDS.items() if name != kind]
    assert all(first != other for other in others)


def test_structures_are_shown_as_they_are_written() -> None:
    shown = [
        repr(shared.flatten(make(1.0, 2.0))[1]) for make in (KINDS["dataclass"], KINDS["by name"], KINDS["registered"])
    ]
    assert shown == [
        "Layer(weights=*, biases=*, activation='tanh', repeats=1)", "Named(slope=*, start=*)", "Line(*, *, 'km')",
    ]  # fmt: skip


def test_leaves_are_named_as_they_are_written() -> None:
    program = shared.trace(loss, model(), X)
    assert list(program.names.values()) == [
        "m.layers[0].weights", "m.layers[0].biases", "m.layers[1].weights", "m.scale", "m.total", "x",
    ]  # fmt: skip
    names = list(
        shared.trace(lambda s: s["second"].slope, OrderedDict(second=Named(1.0, 2.0), f=Line(1.0, 2.0))).names.values()
    )
    assert names == ["s['second'].slope", "s['second'].start", "s['f'][0]", "s['f'][1]"]


@ENGINES
def test_what_differs_between_two_structures_is_named_with_the_line(ad: Any) -> None:
    m = model()
    other = replace(m, layers=[m.layers[0], replace(m.layers[1], activation="sin")])
    with pytest.raises(ShapeError, match=r"static \[0\]\.layers\[1\]\.activation is 'sin', not 'tanh'") as error:
        ad.jvp(loss, (m, X), (other, X))
    assert "test_containers.py" in str(error.value)
    with pytest.raises(ShapeError, match=r"static \.sizes is \(9,\), not \(1, 2\)"):
        shared.tree_map(lambda a, b: a, m, replace(m, sizes=(9,)))
    with pytest.raises(ShapeError, match="Namespace, they do not both have x"):
        shared.tree_map(lambda a, b: a, SimpleNamespace(a=1.0), SimpleNamespace(a=1.0, x=2.0))


def test_a_program_says_which_static_field_is_another_one() -> None:
    program = shared.trace(loss, model(), X)
    with pytest.raises(ProgramGuardError, match=r"sizes is \(3, 2\), not \(1, 2\)"):
        program(replace(model(), sizes=(3, 2)), X)
    compiled = shared.compile(loss)
    for power in (2, 3):
        m = replace(model(), sizes=(1, power))
        assert compiled(m, X) == pytest.approx(loss(m, X))
    assert len(list(compiled.variants)) == 2


# --- what is hostile --------------------------------------------------------------------------------------------------


@ENGINES
def test_equality_of_the_objects_themselves_is_never_asked_for(ad: Any) -> None:
    @dataclass(eq=False)
    class Odd:
        x: Any
        tag: Any = None

        def __eq__(self, other: object) -> Any:
            return np.array([True, False])

        __hash__ = None  # type: ignore[assignment]

    class Setting:
        def __eq__(self, other: object) -> Any:
            return np.array([True, False])

        __hash__ = None  # type: ignore[assignment]

    setting = Setting()
    x = Odd(A, setting)
    np.testing.assert_allclose(ad.grad(lambda o: np.sum(o.x**2))(x).x, 2 * A)
    assert ad.jvp(lambda o: o.x, (x,), (Odd(B, setting),))[1] is not None
    with pytest.raises(ShapeError, match=r"\[0\]\.tag"):
        ad.jvp(lambda o: o.x, (x,), (Odd(B, Setting()),))


@ENGINES
def test_what_holds_itself_is_refused(ad: Any) -> None:
    m = Model([])
    m.layers.append(m)  # type: ignore[arg-type]
    endless: list[Any] = []
    endless.append(endless)
    for value in (m, endless):
        with pytest.raises(ShapeError, match=r"holds itself.*test_containers"):
            ad.grad(lambda v: 1.0)(value)


@ENGINES
def test_neither_init_nor_validators_run_when_an_object_is_put_together(ad: Any) -> None:
    # Both classes would refuse a tracer, and the model would compute its total anew.
    assert ad.grad(lambda m: m.scale * m.total)(model()).total == 2.0
    assert ad.grad(lambda c: c.x**2)(Checked(3.0)).x == 6.0


@ENGINES
def test_an_unflatten_function_that_checks_its_values_is_named(ad: Any) -> None:
    class Strict:
        def __init__(self, x: Any):
            self.x = float(x)

    shared.register_container(Strict, lambda s: ([s.x], None), lambda _, parts: Strict(*parts))
    with pytest.raises(shared.TracerConversionError) as error:
        ad.grad(lambda s: s.x)(Strict(1.0))
    assert "unflatten function that Strict" in "".join(error.value.__notes__)


@ENGINES
def test_an_object_of_another_class_is_refused_with_advice(ad: Any) -> None:
    class Plain:
        def __init__(self) -> None:
            self.x = A

    advice = r"is a Plain \(at .*test_containers.*register_container\(Plain"
    with pytest.raises(LeafTypeError, match=advice):
        ad.grad(lambda p: p.x[0])(Plain())
    with pytest.raises(LeafTypeError, match=advice):
        ad.grad(lambda p: p.weights.x[0])(Layer(Plain()))

    def careless(x: Any) -> Any:
        plain = Plain()
        plain.x = x
        return np.sum(x), plain

    with pytest.raises(ShapeError, match="register_container"):
        ad.grad(careless, has_aux=True)(A)


def test_what_cannot_be_registered() -> None:
    def none(*args: Any) -> Any:
        return None

    class Fresh:
        pass

    for cls in (list, dict, np.ndarray, float, reversead.Variable, tuple):
        with pytest.raises(RegistrationError, match="meaning already"):
            shared.register_container(cls, none, none)
    with pytest.raises(RegistrationError, match="Line is a container already"):
        shared.register_container(Line, none, none)
    with pytest.raises(TypeError, match="expected a class"):
        shared.register_container(Fresh(), none, none)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a function"):
        shared.register_container(Fresh, 1, none)  # type: ignore[arg-type]
    shared.register_container(Fresh, none, none)
    with pytest.raises(RegistrationError, match="has to return a pair"):
        shared.flatten(Fresh())


def test_an_unflatten_function_has_to_return_an_object_of_the_class() -> None:
    class Fresh:
        pass

    shared.register_container(Fresh, lambda v: ((1.0,), None), lambda _, parts: parts)
    with pytest.raises(RegistrationError, match="has to return a Fresh"):
        shared.tree_map(lambda x: x, Fresh())
