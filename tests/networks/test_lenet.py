"""LeNet-5: its sizes, its values against loops, its gradient against the complex step, and what a derivative costs."""

import numpy as np
import pytest

import dualad
import reversead
from shared import check_grads, compile, count_operations, flatten, trace, vmap
from shared.networks import lenet

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.standard_normal((2, 32, 32)), np.array([3, 7])
PARAMETERS = [(w, 0.1 * RNG.standard_normal(b.shape)) for w, b in lenet.parameters(RNG)]


def objective(parameters):
    return lenet.loss(parameters, IMAGES, LABELS)


def direction():
    return [(RNG.standard_normal(w.shape), RNG.standard_normal(b.shape)) for w, b in PARAMETERS]


def inner(a, b):
    return sum(np.vdot(x, y) for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True))


def by_loops(parameters, image):
    """The logits of one image, a position and a map at a time, with kernels as pictures of 5x5."""
    maps = [image]
    for number in (0, 1):
        weights, bias = parameters[number]
        kernels = weights.T.reshape(len(bias), len(maps), 5, 5)
        side = len(maps[0]) - 4
        found = []
        for kernel, b in zip(kernels, bias, strict=True):
            z = np.full((side, side), b)
            for i in range(side):
                for j in range(side):
                    z[i, j] += sum((k * m[i : i + 5, j : j + 5]).sum() for k, m in zip(kernel, maps, strict=True))
            a = np.tanh(z)
            found.append((a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / 4)
        maps = found
    a = np.concatenate([m.ravel() for m in maps])
    for weights, bias in parameters[2:4]:
        a = np.tanh(weights.T @ a + bias)
    return parameters[4][0].T @ a + parameters[4][1]


def test_the_parameters_are_those_of_the_table():
    counts = [w.size + b.size for w, b in lenet.parameters(np.random.default_rng(0))]
    assert counts == [156, 2416, 48120, 10164, 850]
    assert sum(counts) == lenet.number_of_parameters() == 61_706


def test_the_maps_have_the_sizes_of_the_paper():
    shapes = {name: maps.shape for name, maps in lenet.layers(PARAMETERS, IMAGES).items()}
    assert shapes == {
        "C1": (2, 28, 28, 6),
        "S2": (2, 14, 14, 6),
        "C3": (2, 10, 10, 16),
        "S4": (2, 5, 5, 16),
        "C5": (2, 120),
        "F6": (2, 84),
        "output": (2, 10),
    }


def test_the_logits_are_those_of_loops_over_positions():
    found = lenet.predict(PARAMETERS, IMAGES)
    for image, logits in zip(IMAGES, found, strict=True):
        np.testing.assert_allclose(logits, by_loops(PARAMETERS, image), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(lenet.predict(PARAMETERS, image), logits, rtol=1e-12, atol=1e-13)


def test_a_shifted_image_shifts_its_maps():
    """What sharing parameters across positions means (LeCun et al. 1998, section II.A)."""
    image = np.zeros((32, 32))
    image[10:16, 10:16] = RNG.standard_normal((6, 6))
    first = lenet.layers(PARAMETERS, image)["C1"]
    moved = lenet.layers(PARAMETERS, np.roll(image, (3, 2), (0, 1)))["C1"]
    np.testing.assert_array_equal(np.roll(first, (3, 2), (0, 1)), moved)


def test_both_engines_agree_on_directions_and_with_the_complex_step():
    value, gradient = reversead.value_and_grad(objective)(PARAMETERS)
    assert value == objective(PARAMETERS)
    for _ in range(3):
        v = direction()
        same, slope = dualad.jvp(objective, (PARAMETERS,), (v,))
        stepped = [
            tuple(p + 1e-30j * t for p, t in zip(*pair, strict=True)) for pair in zip(PARAMETERS, v, strict=True)
        ]
        assert same == pytest.approx(value, rel=1e-14)
        assert inner(gradient, v) == pytest.approx(slope, rel=1e-11)
        assert objective(stepped).imag / 1e-30 == pytest.approx(slope, rel=1e-11)


def test_the_gradient_of_each_layer_is_that_of_differences(ad):
    # Towards one number of each array, so that no layer hides behind another one.
    for layer, (weights, bias) in enumerate(PARAMETERS):
        for part, array in enumerate((weights, bias)):
            v = [(np.zeros(w.shape), np.zeros(b.shape)) for w, b in PARAMETERS]
            v[layer][part].flat[array.size // 2] = 1.0
            _, slope = ad.jvp(objective, (PARAMETERS,), (v,))
            above, below = (
                objective([(w + h * t, b + h * s) for (w, b), (t, s) in zip(PARAMETERS, v, strict=True)])
                for h in (1e-5, -1e-5)
            )
            assert slope == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-8)


def test_second_derivatives_agree_along_a_direction():
    v, w = direction(), direction()
    forward = dualad.jvp(lambda p: dualad.jvp(objective, (p,), (v,))[1], (PARAMETERS,), (w,))[1]
    mixed = inner(dualad.jvp(reversead.grad(objective), (PARAMETERS,), (w,))[1], v)
    assert forward == pytest.approx(mixed, rel=1e-9)


def test_reverse_costs_less_than_three_evaluations_and_forward_61706_times_as_much():
    """Counted: the gradient by one sweep, and by a pass for each of 61,706 parameters."""
    alone = count_operations(objective, PARAMETERS)
    reverse = count_operations(reversead.value_and_grad(objective), PARAMETERS) / alone
    one_pass = count_operations(lambda p, v: dualad.jvp(objective, (p,), (v,)), PARAMETERS, direction()) / alone
    assert 2.55 < reverse < 2.7
    assert 158_000 < lenet.number_of_parameters() * one_pass < 163_000


def test_it_is_mapped_recorded_and_compiled():
    each = vmap(reversead.grad(lenet.loss), in_axes=(None, 0, 0))(PARAMETERS, IMAGES, LABELS)
    together = reversead.grad(objective)(PARAMETERS)
    for a, b in zip(flatten(each)[0], flatten(together)[0], strict=True):
        np.testing.assert_allclose(a.mean(axis=0), b, rtol=1e-9, atol=1e-13)
    program = trace(reversead.grad(objective), PARAMETERS)
    compiled = compile(reversead.grad(objective))
    for found in (program(PARAMETERS), compiled(PARAMETERS)):
        for a, b in zip(flatten(found)[0], flatten(together)[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)


def test_the_gradient_of_an_image_is_checked_too():
    check_grads(lambda image: lenet.loss(PARAMETERS, image, 3), IMAGES[0], engines=(reversead,))


def test_float32_stays_float32():
    narrow = lenet.parameters(RNG, dtype=np.float32)
    images = IMAGES.astype(np.float32)
    assert lenet.predict(narrow, images).dtype == np.float32
    assert {leaf.dtype for leaf in flatten(reversead.grad(lenet.loss)(narrow, images, LABELS))[0]} == {np.dtype("f4")}


def test_it_refuses_what_does_not_fit():
    with pytest.raises(
        ValueError, match=r"\(2, 28, 28\) \(at .*test_lenet.py:[0-9]+\); .* give 28x28 a border: np.pad"
    ):
        lenet.predict(PARAMETERS, IMAGES[:, 2:-2, 2:-2])
    with pytest.raises(ValueError, match=r"takes \(32, 32\) or \(batch, 32, 32\)$"):
        lenet.predict(PARAMETERS, IMAGES[..., np.newaxis])
    with pytest.raises(ValueError, match="parameters for 4 layers"):
        lenet.predict(PARAMETERS[1:], IMAGES)
    with pytest.raises(ValueError, match=r"layer C3 has parameters of shape \(16, 150\), \(16,\)"):
        lenet.predict([PARAMETERS[0], (PARAMETERS[1][0].T, PARAMETERS[1][1]), *PARAMETERS[2:]], IMAGES)
    with pytest.raises(ValueError, match="no initialiser"):
        lenet.parameters(RNG, "glorot")
