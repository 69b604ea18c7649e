"""Transposes of linear functions: <c, A t> = <A^T c, t>, and a clear error for whatever is not linear."""

from __future__ import annotations

import contextlib
import gc
import operator
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivative_checks import assert_close, assert_same_form, direction, pairing
from registry_samples import COMPLEX, SAMPLES, Sample

import dualad
import reversead
from shared import REGISTRY, RegistrationError, count_operations, rule, sigmoid, stop_gradient, tree_map
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.edges import Like
from shared.core.errors import ClosedLevelError, LeafTypeError, LinearityError, ShapeError
from shared.core.facets import Jointly
from shared.core.registry import Composite
from shared.linear import linearity
from shared.linear.transposition import LinearMap, linear_transpose

EVERY_SAMPLE = [*SAMPLES, *COMPLEX]
#: so many samples a test, since each takes less time than a test does
CHUNK = 64
in_chunks = pytest.mark.parametrize(
    "samples", [EVERY_SAMPLE[k : k + CHUNK] for k in range(0, len(EVERY_SAMPLE), CHUNK)], ids=lambda s: str(s[0])
)

#: Linear as they are called here, but not declared to be: a product of one factor, or of a zero, or a test for NaN;
#: cofactors of small matrices; a solution that residuals come with.
NOT_DECLARED = ("axis=()", "prod(x * ", "np.multiply.reduce(x * ", "np.multiply.accumulate(x * ", "np.nan_to_num",
                "np.nansum", "np.nanmean", "np.nanmedian", "np.nancumsum", "np.real_if_close", "np.polydiv",
                "mode='minimum', stat_length=1", "COFACTORS(x", "lstsq(")  # fmt: skip


def of_argument(sample: Sample, k: int) -> tuple[Callable[[Any], Any], Any]:
    """A sample as a function of one of its arguments, and that argument."""
    arguments = sample.arguments()

    def f(x: Any) -> Any:
        return sample.function(*arguments[:k], x, *arguments[k + 1 :])

    return f, arguments[k]


def is_linear(f: Callable[[Any], Any], x: Any) -> bool:
    """Whether a function is linear over the reals, as its values at a few points tell."""
    a, b = direction(x, 1), direction(x, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for s, t in ((1.0, 1.0), (-3.0, 0.5), (0.0, 0.0)):
                assert_close("f(sa + tb)", f(combined(s, a, t, b)), combined(s, f(a), t, f(b)), 1e-10)
        except (AssertionError, ValueError, FloatingPointError, ZeroDivisionError, OverflowError):
            return False
    return True


def combined(s: float, a: Any, t: float, b: Any) -> Any:
    """s a + t b of containers, in the types of `a`."""
    return tree_map(lambda p, q: type(p)(s) * p + type(p)(t) * q if np.isscalar(p) else s * p + t * q, a, b)


# --- generated from the registry --------------------------------------------------------------------------------------


@in_chunks
def test_what_is_linear_is_transposed_and_nothing_else(samples: list[Sample]) -> None:
    for sample in samples:
        for k, name in enumerate(sample.kinds):
            f, x = of_argument(sample, k)
            what = f"{sample} in {name}"
            try:
                transpose = linear_transpose(f, x)
            except LinearityError as error:
                # Of one number or none, much is linear by chance.
                size = sum(np.size(leaf) for leaf in flatten(f(x))[0])
                declared = np.size(x) > 2 and size and not any(name in str(sample) for name in NOT_DECLARED)
                assert not (declared and is_linear(f, x)), f"{what}: {error}"
                continue
            assert is_linear(f, x), what
            check_transpose(what, f, transpose, x)


def check_transpose(what: str, f: Callable[[Any], Any], transpose: Callable[[Any], Any], x: Any) -> None:
    t = direction(x, 3)
    out = f(t)
    c = direction(out, 4)
    (pulled,) = transpose(c)
    assert_same_form(what, pulled, x)
    (forwards, size), (backwards, _) = pairing(c, out), pairing(pulled, t)
    assert abs(forwards - backwards) <= 1e-12 * max(size, 1e-300), f"{what}: {forwards} is not {backwards}"
    (again,) = linear_transpose(lambda c: transpose(c)[0], c)(t)
    assert_same_form(what, again, out)
    assert_close(what, again, out, 1e-12)


def test_every_linear_primitive_of_the_registry_was_transposed(monkeypatch: pytest.MonkeyPatch) -> None:
    transposed: set[tuple[Any, int]] = set()
    record = linearity.record

    def noting(level: Any, primitive: Any, args: Any, traced: Any, *rest: Any) -> int:
        transposed.update((primitive.function, k) for k in traced)
        return record(level, primitive, args, traced, *rest)

    monkeypatch.setattr(linearity, "record", noting)
    for sample in EVERY_SAMPLE:
        for k in range(len(sample.kinds)):
            f, x = of_argument(sample, k)
            with contextlib.suppress(LinearityError):
                linear_transpose(f, x)
    expected: set[tuple[Any, int]] = set()
    for entry in REGISTRY.values():
        if not isinstance(entry, Composite):
            # einsum is linear in each of as many operands as NumPy takes, and concatenate in all
            places = (0, 1) if isinstance(entry.linear, Jointly) and not entry.linear else entry.linear[:2]
            expected |= {(entry.function, k) for k in places}
    assert len(expected) > 40 and expected - transposed == set()


def test_a_primitive_of_one_s_own_may_say_in_what_it_is_linear() -> None:
    def scaled(**facets: Any) -> Any:
        made = rule(
            lambda x, y: x * y * y,
            vjps=(lambda c, y: c * y * y, lambda c, x, y: c * 2 * x * y),
            jvps=(lambda t, y: t * y * y, lambda t, x, y: t * 2 * x * y),
            broadcasts=True,
            because="a test",
            **facets,
        )
        del REGISTRY[made.function]
        return made

    y, c = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    (found,) = linear_transpose(lambda x: scaled(linear=(0,))(x, y), y)(c)
    np.testing.assert_array_equal(found, c * y * y)
    for function in (lambda x: scaled()(x, y), lambda x: scaled(linear=(0,))(y, x)):
        with pytest.raises(LinearityError, match="is not linear in argument"):
            linear_transpose(function, y)
    with pytest.raises(RegistrationError, match="said to be linear in argument 2, but has no rule for it"):
        scaled(linear=(2,))


@in_chunks
def test_the_transpose_of_either_engines_derivative_is_its_other_direction(samples: list[Sample]) -> None:
    """So every rule of the registry can be transposed: in each direction it is linear by what is declared linear."""
    for sample in samples:
        primals = sample.arguments()
        out, pullback = reversead.vjp(sample.function, *primals)
        t, c = tuple(direction(primals, 5)), direction(out, 6)
        tangent, cotangents = dualad.jvp(sample.function, primals, t)[1], pullback(c)

        forwards = linear_transpose(lambda *t: dualad.jvp(sample.function, primals, t)[1], *primals)  # noqa: B023
        assert_same_form(str(sample), forwards(c), cotangents)
        assert_close(str(sample), forwards(c), cotangents, 1e-12)
        backwards = linear_transpose(pullback, out)
        assert_close(str(sample), backwards(t)[0], tangent, 1e-12)
        tape = linear_transpose(lambda *t: reversead.jvp(sample.function, primals, t)[1], *primals)  # noqa: B023
        assert_close(str(sample), tape(c), cotangents, 1e-12)


# --- arguments and results --------------------------------------------------------------------------------------------

MATRIX = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def test_the_transpose_of_a_matrix() -> None:
    transpose = linear_transpose(lambda x: MATRIX @ x, np.zeros(2))
    np.testing.assert_array_equal(np.stack([transpose(c)[0] for c in np.eye(3)]), MATRIX)


def test_containers_of_arguments_and_of_results() -> None:
    def f(p: dict[str, Any], s: float) -> dict[str, Any]:
        return {"sum": p["x"].sum() + 2.0 * s, "rest": [p["x"][::-1] - s, (p["y"],)]}

    likes = {"x": np.zeros(3), "y": np.zeros((), np.float32)}, 0.0
    found = linear_transpose(f, *likes)({"sum": 10.0, "rest": [np.array([1.0, 2.0, 3.0]), (np.float32(5.0),)]})
    assert_same_form("cotangents", found, likes)
    np.testing.assert_array_equal(found[0]["x"], [13.0, 12.0, 11.0])
    assert found[0]["y"] == 5.0 and found[1] == 14.0


def test_an_argument_that_the_result_does_not_depend_on_gets_zeros() -> None:
    c, d = linear_transpose(lambda x, y: 2.0 * x, np.zeros(2), np.ones((2, 3), np.float32))(np.ones(2))
    np.testing.assert_array_equal(c, [2.0, 2.0])
    np.testing.assert_array_equal(d, np.zeros((2, 3)))
    assert d.dtype == np.float32


def test_a_result_that_is_zero_whatever_the_arguments() -> None:
    (c,) = linear_transpose(lambda x: (np.zeros(2), 0, x), 1.0)((np.ones(2), 1.0, 3.0))
    assert c == 3.0


def test_likes_give_shapes_and_dtypes_alone() -> None:
    for like in (np.full(2, np.nan), Like(np.zeros(2)), np.array([3, 4])):
        np.testing.assert_array_equal(linear_transpose(lambda x: 2.0 * x, like)(np.ones(2))[0], [2.0, 2.0])
    assert linear_transpose(lambda x: 2.0 * x, Like(1.0))(1.0) == (2.0,)
    with pytest.raises(LeafTypeError):
        linear_transpose(lambda x: x, "text")


def test_single_precision_stays_single() -> None:
    transpose = linear_transpose(lambda x: 0.5 * x @ MATRIX.astype(np.float32), np.zeros(3, np.float32))
    assert transpose(np.ones(2, np.float32))[0].dtype == np.float32


def test_results_alias_neither_the_cotangent_nor_each_other() -> None:
    c = np.ones(2)
    a, b = linear_transpose(operator.add, c, c)(c)
    a[0] = 5.0
    assert c[0] == b[0] == 1.0


def test_a_cotangent_that_does_not_fit() -> None:
    transpose = linear_transpose(lambda x: x, np.zeros(2))
    with pytest.raises(ShapeError, match="must have"):
        transpose(np.ones(3))
    with pytest.raises(ShapeError, match="structure"):
        transpose([np.ones(2)])
    with pytest.raises(LeafTypeError):
        transpose(1j * np.ones(2))


def test_complex_numbers_are_linear_over_the_reals() -> None:
    a = np.array([1.0 + 2.0j, -0.5j])

    def f(z: Any, x: Any) -> Any:
        return np.conj(z) * a + x * a + z.real - 1j * z.imag, np.imag(z)

    likes = np.zeros(2, complex), np.zeros(2)
    t = tuple(direction(likes, 1))
    out = f(*t)
    c = tree_map(lambda leaf: direction(leaf, 2), out)
    found = linear_transpose(f, *likes)(c)
    assert_same_form("cotangents", found, likes)
    assert pairing(c, out)[0] == pytest.approx(pairing(found, t)[0], rel=1e-14)


# --- assignment -------------------------------------------------------------------------------------------------------


def filled(x: Any, w: Any) -> Any:
    """Reads and writes of every kind, all linear in x."""
    y = np.empty_like(x)
    for i in range(len(x)):
        y[i] = w * x[i]
    y[0] += x[1]
    y[1:] -= 2.0 * y[:-1]
    y[[0, 2, 0]] = x[[1, 1, 2]]
    z = np.zeros(4, like=x)
    z[:3] = y
    z[1:3] *= w
    z[3] = 5.0
    z[3] = x[0]
    half = z[:2]
    half += x[:2]
    z[1:] = z[:3]
    return z


def test_assignment_into_arrays() -> None:
    transpose = linear_transpose(lambda x: filled(x, 3.0), np.zeros(3))
    columns = np.stack([filled(e, 3.0) for e in np.eye(3)])
    np.testing.assert_allclose(np.stack([transpose(c)[0] for c in np.eye(4)]).T, columns, rtol=1e-14)
    again = linear_transpose(lambda c: transpose(c)[0], np.zeros(4))
    np.testing.assert_allclose(np.stack([again(t)[0] for t in np.eye(3)]), columns, rtol=1e-14)


def test_assignment_of_an_array_to_a_part_of_itself() -> None:
    def f(x: Any) -> Any:
        y = np.copy(x)
        y[:2] = y[1:]
        y[...] = y
        return y

    np.testing.assert_array_equal(linear_transpose(f, np.zeros(3))(np.array([1.0, 2.0, 4.0]))[0], [0.0, 1.0, 6.0])


def test_neither_the_likes_nor_the_cotangent_are_written_to() -> None:
    like = np.ones(2)

    def f(x: Any) -> Any:
        x[0] = 0.0
        return x

    transpose = linear_transpose(f, like)
    cotangent = np.ones(2)
    for _ in range(2):
        np.testing.assert_array_equal(transpose(cotangent)[0], [0.0, 1.0])
        np.testing.assert_array_equal(like, 1.0)
        np.testing.assert_array_equal(cotangent, 1.0)


def test_a_constant_that_stays_in_an_array_is_refused() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[0] = 1.0
        y[1] = x[0]
        return y

    with pytest.raises(LinearityError, match=r"not zero where the arguments are zero.*test_transposition.py:\d+"):
        linear_transpose(f, np.zeros(2))


def test_coefficients_may_be_collected_in_a_new_array(ad: Any) -> None:
    """An array like a traced one that only constants are assigned to is a constant, with its derivatives."""

    def f(x: Any, w: Any) -> Any:
        a = np.empty_like(x)
        a[0] = w
        a[1] = w * w
        return a * x

    def pulled(w: Any) -> Any:
        return linear_transpose(lambda x: f(x, w), np.zeros(2))(np.ones(2))[0]

    np.testing.assert_array_equal(pulled(3.0), [3.0, 9.0])
    np.testing.assert_array_equal(ad.jacobian(pulled)(3.0), [1.0, 6.0])


# --- what the function closes over ------------------------------------------------------------------------------------


def test_arrays_that_change_afterwards_or_meanwhile() -> None:
    work, rows = np.ones(2), np.array([0, 1, 1])

    def f(x: Any) -> Any:
        first = work * x
        work[:] = 3.0
        second = (work * x)[rows]
        rows[:] = 0
        return first, second

    transpose = linear_transpose(f, np.zeros(2))
    work[:] = np.nan
    np.testing.assert_array_equal(transpose((np.ones(2), np.array([1.0, 10.0, 100.0])))[0], [4.0, 331.0])


def test_a_constant_is_copied_once_however_often_it_is_used() -> None:
    a = np.full((100, 100), 0.1)

    def f(x: Any) -> Any:
        for _ in range(50):
            x = a @ x
        return x

    transpose = linear_transpose(f, np.zeros(100))
    matrices = [array for array in kept_arrays(transpose) if array.ndim == 2]
    assert len(matrices) == 50 and {id(array) for array in matrices} == {id(matrices[0])}
    assert matrices[0] is not a


def kept_arrays(transpose: Callable[[Any], Any]) -> list[np.ndarray]:
    """The arrays that the records of a transposed function keep."""
    (linear,) = [c.cell_contents for c in transpose.__closure__ or () if isinstance(c.cell_contents, LinearMap)]
    kept = [item for part in linear.records[1::3] for item in (part if isinstance(part, tuple) else (part,))]
    return [item for item in kept if isinstance(item, np.ndarray)]


@pytest.mark.parametrize("mode", ["grad", "jvp", "vjp", "jacobian"])
def test_the_transpose_is_differentiated_by_what_it_closes_over(ad: Any, mode: str) -> None:
    def pulled(w: Any) -> Any:
        """A^T c with A x = cumsum(w x), c = (1, 2, 3): w times (6, 5, 3)."""
        return linear_transpose(lambda x: np.cumsum(w * x), np.zeros(3))(np.array([1.0, 2.0, 3.0]))[0]

    w, expected = np.array([2.0, 3.0, 5.0]), np.array([6.0, 5.0, 3.0])
    if mode == "grad":
        np.testing.assert_allclose(ad.grad(lambda w: np.sum(pulled(w) ** 2))(w), 2 * w * expected**2)
    elif mode == "jvp":
        np.testing.assert_allclose(ad.jvp(pulled, (w,), (np.ones(3),))[1], expected)
    elif mode == "vjp":
        np.testing.assert_allclose(ad.vjp(pulled, w)[1](np.ones(3))[0], expected)
    else:
        np.testing.assert_allclose(ad.jacobian(pulled)(w), np.diag(expected))


@pytest.mark.parametrize("inner", [dualad, reversead])
def test_second_derivatives_by_cotangent_and_constants(ad: Any, inner: Any) -> None:
    """|A^T c|^2 with A = diag(w) is the sum of w^2 c^2."""

    def s(w: Any, c: Any) -> Any:
        (pulled,) = linear_transpose(lambda x: w * x, np.zeros(2))(c)
        return np.sum(pulled**2)

    w, c = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    np.testing.assert_allclose(ad.jacobian(inner.grad(s, 0), 0)(w, c), np.diag(2 * c**2))
    np.testing.assert_allclose(ad.jacobian(inner.grad(s, 0), 1)(w, c), np.diag(4 * w * c))
    np.testing.assert_allclose(ad.jacobian(inner.grad(s, 1), 1)(w, c), np.diag(2 * w**2))


def test_a_transpose_made_outside_is_differentiated_inside(ad: Any) -> None:
    transpose = linear_transpose(lambda x: MATRIX @ x, np.zeros(2))
    np.testing.assert_allclose(ad.jacobian(lambda c: transpose(c)[0])(np.zeros(3)), MATRIX.T)


def test_a_traced_array_that_is_assigned_to_afterwards(ad: Any) -> None:
    def f(w: Any) -> Any:
        w = 1.0 * w
        transpose = linear_transpose(lambda x: w * x, np.zeros(2))
        w[0] = 100.0
        return np.sum(transpose(np.array([3.0, 5.0]))[0] * w)

    # w0 (3 at 100) and w1^2 (5)
    np.testing.assert_allclose(ad.grad(f)(np.array([2.0, 7.0])), [300.0, 70.0])


def test_a_transpose_may_not_outlive_what_it_closes_over(ad: Any) -> None:
    kept = []

    def f(w: Any) -> Any:
        kept.append(linear_transpose(lambda x: w * x, 0.0))
        return w

    ad.grad(f)(1.0)
    with pytest.raises(ClosedLevelError):
        kept[0](1.0)


def test_outer_tracers_are_not_evaluated_for_the_zeros() -> None:
    """The outer tape gets no node for 0 * w, only those of the cotangent."""
    with reversead.Tape() as tape:
        w = tape.variable(np.ones(3))
        transpose = linear_transpose(lambda x: (w * x).sum(), np.zeros(3))
        assert tape.count == 1
        (c,) = transpose(2.0)
    np.testing.assert_array_equal(tape.gradient(c, w, np.array([1.0, 10.0, 100.0])), [2.0, 20.0, 200.0])


def test_transposes_of_all_examples_at_once() -> None:
    """vmap inside and outside of linear_transpose: rows of matrices of different examples."""
    matrices = np.random.default_rng(0).normal(size=(4, 3, 2))
    c = np.arange(12.0).reshape(4, 3)
    expected = np.einsum("kij,ki->kj", matrices, c)

    def pulled(a: Any, c: Any) -> Any:
        return linear_transpose(lambda x: a @ x, np.zeros(2))(c)[0]

    np.testing.assert_allclose(vmap(pulled)(matrices, c), expected, rtol=1e-14)
    inside = linear_transpose(lambda x: vmap(operator.matmul)(matrices, x), np.zeros((4, 2)))
    np.testing.assert_allclose(inside(c)[0], expected, rtol=1e-14)
    shared_by_all = linear_transpose(lambda x: vmap(operator.matmul, in_axes=(0, None))(matrices, x), np.zeros(2))
    np.testing.assert_allclose(shared_by_all(c)[0], expected.sum(0), rtol=1e-14)
    filling = vmap(lambda w, c: linear_transpose(lambda x: filled(x, w), np.zeros(3))(c)[0])
    for found, w, row in zip(
        filling(c[:, 0], matrices[:, :2].reshape(4, 4)), c[:, 0], matrices[:, :2].reshape(4, 4), strict=True
    ):
        np.testing.assert_allclose(found, linear_transpose(lambda x: filled(x, w), np.zeros(3))(row)[0])  # noqa: B023


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a nonlinear function": (np.exp, "np.exp is not linear"),
    "one of the library": (sigmoid, "sigmoid is not linear"),
    "a constant partial derivative of a function that is not linear": (lambda x: x % 2.0, "np.remainder is not linear"),
    "a product": (lambda x: x * x, "np.multiply has 2 factors that depend on the arguments"),
    "a product of matrices": (lambda x: np.outer(x, x) @ x, "np.multiply has 2 factors"),
    "a product by einsum": (lambda x: np.einsum("i,i->", x, x), "einsum has 2 factors"),
    "a denominator": (lambda x: 1.0 / x, "np.divide is not linear in argument 1"),
    "a quotient": (lambda x: x / x, "np.divide is not linear"),
    "a power": (lambda x: x**2, "np.square is not linear"),
    "an absolute value": (abs, "np.absolute is not linear"),
    "a constant that is added": (lambda x: x + 1.0, "np.add has a result that is not zero"),
    "a constant that is subtracted": (lambda x: 2.0 - x, "np.subtract has a result that is not zero"),
    "a constant that is chosen": (lambda x: np.where([True, False], x, 1.0), "np.where has a result"),
    "a constant that is joined": (lambda x: np.concatenate([x, [1.0]]), "concatenate has a result"),
    "a constant that is returned": (lambda x: (x, np.ones(2)), "a constant that is not zero was returned"),
    "a comparison": (lambda x: np.where(x > 0, x, 0), "gt was asked of a value"),
    "a branch": (lambda x: x if x[0] else -x, "a branch was taken"),
    "an extremum": (np.max, "np.max is not linear"),
    "a sort": (np.sort, "np.argsort was asked of a value"),
    "a rounding": (np.floor, "np.floor was asked of a value"),
    "a value without its derivative": (stop_gradient, "stop_gradient was asked of a value"),
    "a plain number": (lambda x: float(x[0]), "a plain number or array was asked"),
    "a plain array": (lambda x: np.array([x[0], x[1]]), "a plain number or array was asked"),
    "an index": (lambda x: MATRIX[x[0].astype(int)], "convert was asked of a value"),
    "a matrix inverse": (lambda x: np.linalg.inv(np.diag(x)), "inv is not linear"),
    "the matrix of an equation": (lambda x: np.linalg.solve(np.diag(x), np.ones(2)), "solve is not linear"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_linear_is_refused_with_its_name_and_line(case: str) -> None:
    f, message = REFUSED[case]
    with pytest.raises(LinearityError, match=r"cannot be transposed") as caught:
        linear_transpose(f, np.zeros(2))
    assert message in str(caught.value)
    assert "test_transposition.py:" in str(caught.value)
    assert str(caught.value).startswith("linear_transpose: ")


def test_zero_may_be_added() -> None:
    np.testing.assert_array_equal(
        linear_transpose(lambda x: sum([x, 0.0, np.zeros(2)]), np.zeros(2))(np.ones(2))[0], [1.0, 1.0]
    )


def test_infinite_coefficients_stay_infinite_without_a_warning() -> None:
    a = np.array([np.inf, 2.0, np.nan])
    transpose = linear_transpose(lambda x: (a * x, a @ x / 0.5, 1.0 * x + np.zeros(3)), np.zeros(3))
    np.testing.assert_array_equal(transpose((np.ones(3), 1.0, np.ones(3)))[0], [np.inf, 2.0 + 4.0 + 1.0, np.nan])


def test_a_value_used_after_the_function_has_run() -> None:
    kept = []
    linear_transpose(lambda x: kept.append(x) or x, np.zeros(2))
    with pytest.raises(ClosedLevelError, match="linear_transpose"):
        kept[0] * 2.0


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_long_chain_does_not_recurse() -> None:
    def f(x: Any) -> Any:
        for _ in range(20_000):
            x = 1.0 * x
        return x

    assert linear_transpose(f, 0.0)(3.0) == (3.0,)


@pytest.mark.parametrize("kind", ["reading", "assigning"])
def test_an_element_by_element_loop_is_linear_in_its_length(kind: str) -> None:
    def f(x: Any) -> Any:
        if kind == "reading":
            return sum(x[i] * 2.0 for i in range(len(x)))
        y = np.zeros_like(x)
        for i in range(len(x)):
            y[i] = 2.0 * x[i]
        return y

    def cost(n: int) -> int:
        transpose = linear_transpose(f, np.zeros(n))
        return count_operations(transpose, 1.0 if kind == "reading" else np.ones(n))

    assert cost(200) < 2.2 * cost(100)


def test_what_it_kept_is_freed_without_the_cyclic_collector() -> None:
    a = np.ones(5)
    transpose = linear_transpose(lambda x: a * np.cumsum(x)[::-1], np.zeros(5))
    transpose(np.ones(5))
    arrays = [weakref.ref(array) for array in kept_arrays(transpose)]
    assert arrays
    gc.disable()
    try:
        del transpose
        assert all(reference() is None for reference in arrays)
    finally:
        gc.enable()
