"""Stochastic gradient descent: what a step does, what is shuffled and refused; training with both engines."""

import sys
from functools import partial

import numpy as np
import pytest

from shared.networks.backprop import backprop
from shared.networks.mlp import MLP
from shared.networks.training import clip_by_global_norm, global_norm, minibatches, sgd, train


def two_clouds(dtype=np.float64):
    """Sixty points around two centres, and which centre."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    points = rng.standard_normal((60, 2)) + np.where(labels, 1.5, -1.5)[:, np.newaxis]
    return points.astype(dtype), labels


def options(**changes):
    return {"epochs": 5, "batch_size": 16, "learning_rate": 0.3, "rng": np.random.default_rng(1)} | changes


MLP_2_3_2 = MLP([2, 3, 2])


def start(dtype=np.float64):
    return MLP_2_3_2.initialise("xavier_normal", np.random.default_rng(2), dtype)


def test_training_lowers_the_loss_and_leaves_the_start_as_it_was(ad):
    points, labels = two_clouds()
    parameters = start()
    before = [(w.copy(), b.copy()) for w, b in parameters]
    trained, history = train(ad, MLP_2_3_2, parameters, points, labels, **options())
    objective = MLP_2_3_2.objective()
    assert objective(trained, points, labels) < 0.3 * objective(parameters, points, labels)
    assert history.epoch_losses[-1] < 0.5 * history.epoch_losses[0]
    for layer, copy in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(layer[0], copy[0])
        np.testing.assert_array_equal(layer[1], copy[1])


def test_a_rate_by_the_number_of_the_step():
    points, labels = two_clouds(np.float32)
    by_hand = partial(backprop, MLP_2_3_2)
    asked = []

    def rate(step):
        asked.append(step)
        return np.float64(0.3 if step < 8 else 0.1)

    trained, _ = sgd(by_hand, start(np.float32), points, labels, **options(epochs=3, learning_rate=rate))
    rng = np.random.default_rng(1)
    first, _ = sgd(by_hand, start(np.float32), points, labels, **options(epochs=2, rng=rng))
    expected, _ = sgd(by_hand, first, points, labels, **options(epochs=1, learning_rate=0.1, rng=rng))
    assert asked == list(range(12))
    for (w, b), (v, c) in zip(trained, expected, strict=True):
        assert w.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(w, v)
        np.testing.assert_array_equal(b, c)
    with pytest.raises(ValueError, match=r"learning_rate of step 2 is 0\.0"):
        sgd(by_hand, start(), points, labels, **options(learning_rate=lambda step: 1.0 - step / 2))


def test_an_engine_and_backprop_train_alike(ad):
    points, labels = two_clouds()
    trained, history = train(ad, MLP_2_3_2, start(), points, labels, l2=0.01, **options())
    by_hand, expected = sgd(partial(backprop, MLP_2_3_2, l2=0.01), start(), points, labels, **options())
    np.testing.assert_allclose(history.losses, expected.losses, rtol=1e-10)
    np.testing.assert_allclose(history.gradient_norms, expected.gradient_norms, rtol=1e-10)
    for layer, wanted in zip(trained, by_hand, strict=True):
        np.testing.assert_allclose(layer[0], wanted[0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(layer[1], wanted[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_float32_parameters_stay_float32_whatever_the_options_are(clip_norm):
    points, labels = two_clouds(np.float32)
    changed = options(learning_rate=np.float64(0.3), clip_norm=None if clip_norm is None else np.float64(clip_norm))
    trained, _ = sgd(partial(backprop, MLP_2_3_2), start(np.float32), points, labels, **changed)
    assert {part.dtype for layer in trained for part in layer} == {np.dtype(np.float32)}


def test_a_step_subtracts_the_rate_times_the_gradient():
    points, labels = two_clouds()
    trained, history = sgd(partial(backprop, MLP_2_3_2), start(), points, labels, **options(epochs=1, batch_size=60))
    value, gradient = backprop(MLP_2_3_2, start(), points, labels)
    assert history.losses.shape == (1, 1)
    assert history.losses[0, 0] == pytest.approx(value, rel=1e-12)
    assert history.gradient_norms[0, 0] == pytest.approx(global_norm(gradient), rel=1e-12)
    for layer, first, slope in zip(trained, start(), gradient, strict=True):
        np.testing.assert_allclose(layer[0], first[0] - 0.3 * slope[0], rtol=1e-12)
        np.testing.assert_allclose(layer[1], first[1] - 0.3 * slope[1], rtol=1e-12)


def test_inputs_and_targets_are_shuffled_together_and_every_example_is_used_once_an_epoch():
    seen = []

    def record(parameters, x, y):
        np.testing.assert_array_equal(10 * x, y)
        seen.append(x)
        return 0.0, np.zeros(1)

    x = np.arange(10)
    sgd(record, np.zeros(1), x, 10 * x, **options(epochs=2, batch_size=4))
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    np.testing.assert_array_equal(np.sort(first), x)
    np.testing.assert_array_equal(np.sort(second), x)
    assert not np.array_equal(first, second) and not np.array_equal(first, x)


def test_the_same_generator_gives_the_same_run():
    one = [list(batch) for batch in minibatches(20, 6, np.random.default_rng(3))]
    other = [list(batch) for batch in minibatches(20, 6, np.random.default_rng(3))]
    assert one == other


def test_clipping_keeps_the_direction_and_limits_the_norm():
    gradient = [(np.array([[3.0, 0.0]]), np.array([4.0], np.float32))]
    [(w, b)], norm = clip_by_global_norm(gradient, 1.0)
    assert norm == pytest.approx(5.0, rel=1e-15)
    np.testing.assert_allclose(w, [[0.6, 0.0]], rtol=1e-15)
    np.testing.assert_allclose(b, [0.8], rtol=1e-7)
    assert w.dtype == np.float64 and b.dtype == np.float32
    unchanged, _ = clip_by_global_norm(gradient, 5.0)
    assert unchanged is gradient


def test_a_clipped_step_is_as_long_as_the_limit_and_history_has_the_norm_before():
    points, labels = two_clouds()
    trained, history = sgd(
        partial(backprop, MLP_2_3_2),
        start(),
        points,
        labels,
        **options(epochs=1, batch_size=60, clip_norm=0.01),
    )
    step = [(first[0] - layer[0], first[1] - layer[1]) for layer, first in zip(trained, start(), strict=True)]
    assert global_norm(step) == pytest.approx(0.3 * 0.01, rel=1e-9)
    assert history.gradient_norms[0, 0] > 0.01


def test_a_loss_that_is_no_longer_finite_stops_training_with_its_place():
    def overflow(parameters, x, y):
        return np.inf, np.ones(1)

    with pytest.raises(FloatingPointError, match="epoch 0, step 0: lower learning_rate"):
        sgd(overflow, np.zeros(1), np.ones(3), np.ones(3), **options(batch_size=1))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": 61}, ValueError, "1 to 60"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate is nan"),
        ({"clip_norm": -1.0}, ValueError, "clip_norm is -1"),
        ({"rng": 0}, TypeError, "default_rng"),
    ],
)
def test_options_out_of_range_are_refused(changes, error, message):
    points, labels = two_clouds()
    with pytest.raises(error, match=message):
        sgd(partial(backprop, MLP_2_3_2), start(), points, labels, **options(**changes))


def test_data_that_do_not_pair_up_are_refused():
    points, labels = two_clouds()
    with pytest.raises(ValueError, match="do not pair up"):
        sgd(partial(backprop, MLP_2_3_2), start(), points, labels[1:], **options())
    with pytest.raises(ValueError, match="do not pair up"):
        sgd(partial(backprop, MLP_2_3_2), start(), points[:0], labels[:0], **options())


def test_the_progress_bar_goes_to_standard_error(capsys):
    pytest.importorskip("rich")
    points, labels = two_clouds()
    sgd(partial(backprop, MLP_2_3_2), start(), points, labels, **options(epochs=2, progress=True))
    captured = capsys.readouterr()
    assert "training" in captured.err and "8/8" in captured.err and "loss" in captured.err
    assert captured.out == ""


def test_without_rich_a_progress_bar_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    points, labels = two_clouds()
    with pytest.raises(ImportError, match="pip install rich, or leave progress=False"):
        sgd(partial(backprop, MLP_2_3_2), start(), points, labels, **options(progress=True))


def test_without_a_progress_bar_nothing_is_written(capsys):
    points, labels = two_clouds()
    sgd(partial(backprop, MLP_2_3_2), start(), points, labels, **options(epochs=1))
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""
