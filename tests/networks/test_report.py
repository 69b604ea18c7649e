"""Reports by layer: their numbers against NumPy, what is printed, written and drawn, and the watcher of training."""

import builtins
import json

import numpy as np
import pytest
from reading_markup import read_html

from shared import MLP, layer_report
from shared.networks.backprop import backprop
from shared.networks.mlp import ACTIVATIONS
from shared.networks.training import train

RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((40, 6)), RNG.integers(0, 3, 40)
#: From which z on, in size, a unit is saturated: where its slope is 1/20 of the greatest.
BOUNDS = {
    "sigmoid": lambda z: np.abs(z) > np.log(39 + np.sqrt(39**2 - 1)),  # sigma' = 1 / (2 + 2 cosh z)
    "tanh": lambda z: np.abs(z) > np.arccosh(np.sqrt(20)),  # tanh' = 1 / cosh^2 z
    "relu": lambda z: z <= 0,
    "softplus": lambda z: z < -np.log(19),
    "softsign": lambda z: np.abs(z) > np.sqrt(20) - 1,
    "identity": lambda z: np.zeros(z.shape, bool),
}


def network(activation="tanh", sizes=(6, 20, 20, 3), scheme="standard_normal", output="identity"):
    mlp = MLP(sizes, activation, output)
    return mlp, mlp.initialise(scheme, np.random.default_rng(1))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_report_measures_what_backprop_computes(activation):
    mlp, parameters = network(activation)
    found = layer_report(mlp, parameters, X, LABELS, l2=0.1)
    value, _, passes = backprop(mlp, parameters, X, LABELS, l2=0.1, deltas=True)
    assert found.loss == value
    assert [(row.layer, row.activation, row.units) for row in found.rows] == [
        (1, activation, 20),
        (2, activation, 20),
        (3, "identity", 3),
    ]
    for row in found.rows:
        saturated = np.mean(BOUNDS[row.activation](passes.z[row.layer]))
        assert activation == "identity" or row.layer == 3 or saturated > 0
        for name in ("z", "a", "delta"):
            array, spread = getattr(passes, name)[row.layer], getattr(row, name)
            assert spread.norm == pytest.approx(np.sqrt((array**2).sum()), rel=1e-12)
            assert spread.mean == pytest.approx(array.sum() / array.size, rel=1e-9, abs=1e-15)
            assert spread.deviation == pytest.approx(np.sqrt((array**2).mean() - array.mean() ** 2), rel=1e-9)
            assert spread.zero == np.count_nonzero(array == 0) / array.size
            assert spread.saturated == saturated


def test_half_of_relu_is_zero_and_so_are_its_deltas():
    mlp, parameters = network("relu", scheme="he_normal")
    first = layer_report(mlp, parameters, X, LABELS).rows[0]
    assert 0.3 < first.a.zero < 0.7 and first.a.zero == first.delta.zero == first.a.saturated
    assert first.z.zero == 0


def test_one_example_and_what_exploded_are_reported():
    mlp, parameters = network()
    one = layer_report(mlp, parameters, X[0], LABELS[0])
    assert "1 example," in str(one) and one.passes.z[1].shape == (20,)
    assert one.rows[0].z.norm == pytest.approx(np.linalg.norm(X[0] @ parameters[0][0]))
    # float32 squares overflow from 1.8e19 on; the norm does not.
    mlp, parameters = network("identity")
    wide = [(np.float32(1e7) * w.astype(np.float32), b.astype(np.float32)) for w, b in parameters]
    last = layer_report(mlp, wide, X.astype(np.float32), LABELS).rows[2]
    assert 1e21 < last.z.deviation < last.z.norm < np.inf


def test_glorot_keeps_the_size_of_gradients_that_scaled_uniform_loses():
    """Glorot & Bengio 2010, figure 7: standard against normalised initialisation, tanh, five hidden layers."""
    lost = {}
    for scheme in ("scaled_uniform", "xavier_uniform"):
        mlp, parameters = network("tanh", (6, *[100] * 5, 3), scheme)
        rows = layer_report(mlp, parameters, X, LABELS).rows
        lost[scheme] = rows[4].delta.norm / rows[0].delta.norm
    # Four products lose a factor of sqrt(3) each under the one, and nothing under the other.
    assert 5 < lost["scaled_uniform"] < 14
    assert 0.6 < lost["xavier_uniform"] < 1.7


def test_a_sum_of_500_saturates_sigmoid():
    """Nielsen 2015, chapter 3: 500 inputs of 1 and weights of N(0, 1) make sqrt(500) = 22.4."""
    mlp, parameters = network("sigmoid", (500, 1000, 2))
    first = layer_report(mlp, parameters, np.ones(500), 0).rows[0]
    assert first.z.deviation == pytest.approx(np.sqrt(500), rel=0.1)
    assert first.a.saturated > 0.8
    _, scaled = network("sigmoid", (500, 1000, 2), "scaled_normal")
    assert layer_report(mlp, scaled, np.ones(500), 0).rows[0].a.saturated < 0.001


def test_a_report_is_text_html_and_numbers_for_json():
    mlp, parameters = network("relu", scheme="zeros")
    found = layer_report(mlp, parameters, X, LABELS)
    text = str(found)
    assert text.startswith("6-20-20-3 network, 40 examples, loss 1.099") and len(text.splitlines()) == 5
    assert max(map(len, text.splitlines())) <= 130
    assert found._repr_html_() == found.html()
    document = read_html(found.html())
    assert "6-20-20-3 network" in document.text and "100.0 %" in document.text
    numbers = json.loads(json.dumps(found.to_dict()))
    assert numbers["layers"][0]["z"] == {"norm": 0.0, "mean": 0.0, "deviation": 0.0, "zero": 1.0, "saturated": 1.0}
    deep = layer_report(*network("relu", (6, *[4] * 50, 3)), X, LABELS)
    assert "…" in repr(deep) and len(repr(deep)) < 100


def test_what_others_have_named_is_escaped(monkeypatch):
    name = "<script>&\n"
    monkeypatch.setitem(ACTIVATIONS, name, ACTIVATIONS["tanh"])
    found = layer_report(*network(name), X, LABELS)
    assert "<script" not in found.html() and "&lt;script&gt;&amp;" in found.html()
    assert len(str(found).splitlines()) == 5


@pytest.mark.parametrize("sizes", [(6, 3), (6, *[5] * 12, 3)])
def test_the_figure_has_a_curve_a_layer_and_the_norms(sizes, tmp_path):
    pytest.importorskip("matplotlib")
    found = layer_report(*network("sigmoid", sizes), X, LABELS)
    figure = found.plot()
    axes = figure.axes
    assert [ax.get_title() for ax in axes[3:]] == ["mean ± standard deviation", "share of units saturated", "norm of δ"]
    assert all(len(ax.patches) == len(sizes) - 1 for ax in axes[:3])
    np.testing.assert_allclose(axes[5].lines[0].get_ydata(), [row.delta.norm for row in found.rows])
    heights = [patch.get_height() for patch in axes[4].patches]
    np.testing.assert_allclose(heights, [100 * row.a.saturated for row in found.rows])
    figure.savefig(tmp_path / "layers.png", dpi=40)


def test_zeros_are_drawn_too(tmp_path):
    pytest.importorskip("matplotlib")
    layer_report(*network("tanh", scheme="zeros"), X, LABELS).plot().savefig(tmp_path / "zeros.png", dpi=40)


def test_without_matplotlib_the_figure_says_what_to_install(monkeypatch):
    true_import = builtins.__import__

    def without(name, *args, **keywords):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return true_import(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'forward-reverse-ad\[plot\]'"):
        layer_report(*network(), X, LABELS).plot()


def test_a_report_refuses_what_it_cannot_measure():
    mlp, parameters = network()
    with pytest.raises(TypeError, match="takes an MLP, not list"):
        layer_report(parameters, mlp, X, LABELS)
    for share in (0.0, 1.5, -1.0, np.nan):
        with pytest.raises(ValueError, match="saturated_below"):
            layer_report(mlp, parameters, X, LABELS, saturated_below=share)
    with pytest.raises(ValueError, match="x has shape"):
        layer_report(mlp, parameters, X[:, 1:], LABELS)


# ----------------------------------------------------------------------- while training


def options(**changes):
    return {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "rng": np.random.default_rng(2)} | changes


def test_a_watcher_sees_every_step_and_changes_nothing(ad):
    mlp, start = network("tanh", (6, 4, 3), "xavier_normal")
    seen = []

    def watch(step, parameters, report):
        seen.append((step, parameters, report(), report(X, LABELS)))

    trained, history = train(ad, mlp, start, X, LABELS, l2=0.1, watch=watch, **options())
    plain, expected = train(ad, mlp, start, X, LABELS, l2=0.1, **options())
    np.testing.assert_array_equal(history.losses, expected.losses)
    for layer, other in zip(trained, plain, strict=True):
        np.testing.assert_array_equal(layer[0], other[0])
    assert [step for step, *_ in seen] == list(range(6)) and seen[0][1] is start
    # The minibatch's report has the loss of the step: it is of the same parameters and examples.
    np.testing.assert_allclose([report.loss for *_, report, _ in seen], history.losses.ravel(), rtol=1e-12)
    assert [report.passes.a[0].shape[0] for *_, report, _ in seen] == [16, 16, 8] * 2
    for _, parameters, _, fixed in seen:
        again = layer_report(mlp, parameters, X, LABELS, l2=0.1)
        assert fixed.to_dict() == again.to_dict()


def test_a_report_that_is_not_asked_for_is_not_made(ad, monkeypatch):
    monkeypatch.setattr("shared.networks.report.layer_report", lambda *args, **keywords: 1 / 0)
    mlp, start = network("tanh", (6, 4, 3), "xavier_normal")
    steps = []
    train(ad, mlp, start, X, LABELS, watch=lambda step, parameters, report: steps.append(step), **options())
    assert len(steps) == 6
    with pytest.raises(ZeroDivisionError):
        train(ad, mlp, start, X, LABELS, watch=lambda step, parameters, report: report(), **options())


def test_a_report_takes_both_examples_and_targets_or_neither(ad):
    mlp, start = network("tanh", (6, 4, 3), "xavier_normal")
    with pytest.raises(TypeError, match="both x and y"):
        train(ad, mlp, start, X, LABELS, watch=lambda step, parameters, report: report(X), **options())
