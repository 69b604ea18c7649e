"""Functions for other processes, which import them from here: pickle sends a function as its module and its name."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, NamedTuple

import numpy as np

import reversead
from shared.linear.checkpointing import checkpoint
from shared.linear.custom import custom_derivative


class Layer(NamedTuple):
    weights: Any
    bias: Any


def sines(x: Any, scale: Any = 2.0, *, power: int = 2) -> Any:
    return np.sin(x) * scale + np.sum(x**power)


def layers(first: Any, second: Any) -> Any:
    hidden = np.tanh(first["input"] @ first["layer"].weights + first["layer"].bias)
    return {"hidden": hidden, "out": (np.sum(hidden) * second[0], second[0] * second[1])}


def holomorphic(z: Any) -> Any:
    return z * z * np.exp(z[::-1])


def modulus(z: Any) -> Any:
    return np.real(z * np.conj(z)) * np.arange(1.0, 4.0)


def counted(x: Any, label: str = "") -> Any:
    return np.cumsum(x) * x, {"label": label, "count": len(x), "array": np.ones(3)}


def nothing(x: Any) -> Any:
    return np.zeros(0) * np.sum(x)


def cube(x: Any) -> Any:
    return x**3


def single(x: Any, weak: Any) -> Any:
    return x * weak, np.sum(x) * weak


def loss(parameters: Any, x: Any, y: Any) -> Any:
    return np.sum((np.tanh(x @ parameters["w"]) + parameters["b"] - y) ** 2)


def loss_and_size(parameters: Any, x: Any, y: Any) -> Any:
    return loss(parameters, x, y), len(x)


def energy(x: Any, scale: Any = 1.0) -> Any:
    return np.sum(np.exp(x) * x[::-1]) * scale


def energy_and_label(x: Any, label: str) -> Any:
    return energy(x), label


# --- decorated --------------------------------------------------------------------------------------------------------


@reversead.grad
def slope(x: Any) -> Any:
    """The gradient of a sum of cubes."""
    return np.sum(x**3)


@custom_derivative(jvp=lambda tangents, out, x: tangents[0] * 2 * x)
def squared(x: Any) -> Any:
    return x * x


@checkpoint
def kept_small(x: Any) -> Any:
    return np.sin(x) * x


class Model:
    def __init__(self, scale: float):
        self.scale = scale

    def energy(self, x: Any) -> Any:
        return np.sum(x**2) * self.scale

    @reversead.grad
    def nested(x: Any) -> Any:
        return np.sum(x**2)


# --- what goes wrong --------------------------------------------------------------------------------------------------


class Mismatch(Exception):
    """An exception of two arguments, which pickle passes one of."""

    def __init__(self, found: str, wanted: str):
        super().__init__(f"{found}, not {wanted}")

    def __reduce__(self) -> Any:
        # What pickle does by itself, unless dask was imported before this class, which then pickles it in another way.
        return Mismatch, self.args


class Kept(Exception):
    """An exception that pickle can handle, and that can be referred to weakly."""


def kept_exception(x: Any, home: int) -> Any:
    if os.getpid() != home:
        raise Kept("mine")
    return x * x


def key_error(x: Any) -> Any:
    raise KeyError("no such weight", 7)


def confusing_error(x: Any) -> Any:
    raise TypeError("cannot pickle this cucumber")


def mismatch(x: Any) -> Any:
    raise Mismatch("three", "two")


def of_another_process(x: Any, home: int) -> Any:
    """Fails only in another process: reversead runs a function here as well, before it gives out its rows."""
    if os.getpid() != home:
        raise KeyError("no such weight", 7)
    return x * x


def mismatch_in_another_process(x: Any, home: int) -> Any:
    if os.getpid() != home:
        raise Mismatch("three", "two")
    return x * x


def with_lock(x: Any) -> Any:
    return np.sum(x * x), threading.Lock()


def jacobian_with_lock(x: Any) -> Any:
    return x * x, threading.Lock()


def kill_once(x: Any, home: int, marker: str) -> Any:
    """Kills the first other process in which it is called."""
    if os.getpid() != home and _is_first(marker):
        os.kill(os.getpid(), signal.SIGKILL)
    return np.sin(x) * x


def _is_first(marker: str) -> bool:
    """Whether this file was not there: of all processes that ask, one is told so."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def kill_always(x: Any, home: int) -> Any:
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


def scaled(scale: Any, x: Any) -> Any:
    return scale * np.sin(x)
