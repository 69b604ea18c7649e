"""Programs whose cost is counted: element by element, of whole arrays, and of several operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared import logsumexp, sigmoid


def vector(n: int) -> np.ndarray:
    return np.linspace(0.5, 1.5, n)


# --- programs: loops as people write them ------------------------------------------------------------------------


def sum_by_index(x: Any) -> Any:
    total = 0.0
    for k in range(len(x)):
        total = total + x[k]
    return total


def products_by_index(x: Any) -> Any:
    total = 1.0
    for k in range(len(x)):
        total = total * x[k]
    return total


def quotients_by_index(x: Any) -> Any:
    total = x[0]
    for k in range(len(x)):
        total = x[k] / total
    return total


def differences_by_index(x: Any) -> Any:
    total = x[0]
    for k in range(1, len(x)):
        total = total - (x[k] - x[k - 1]) / (x[k] + x[k - 1])
    return total


def elementary_by_index(x: Any) -> Any:
    total = 0.0
    for k in range(len(x)):
        total = total + np.exp(np.sin(x[k])) * np.log(x[k] + 1.0) - np.sqrt(x[k]) / np.tanh(x[k])
    return total


def horner(x: Any) -> Any:
    value = x[0]
    for k in range(1, len(x)):
        value = value * 0.5 + x[k]
    return value


def rosenbrock_by_index(x: Any) -> Any:
    total = 0.0
    for k in range(len(x) - 1):
        slope = x[k + 1] - x[k] * x[k]
        rest = 1.0 - x[k]
        total = total + 100.0 * slope * slope + rest * rest
    return total + x[0] * x[0]


def assigned(x: Any) -> Any:
    y = np.zeros_like(x)
    for k in range(len(x)):
        y[k] = x[k] * x[k]
    total = 0.0
    for k in range(len(x)):
        total = total + y[k]
    return total


def recurrence(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[0]
    for k in range(1, len(x)):
        y[k] = y[k - 1] * x[k] + 0.5
    return y[len(x) - 1]


def accumulated(x: Any) -> Any:
    y = np.zeros_like(x)
    for k in range(len(x)):
        y[k] += x[k] * x[k]
    for k in range(1, len(x)):
        y[k] += y[k - 1] * x[k]
    return y[len(x) - 1]


def bubbles(x: Any) -> Any:
    y = np.copy(x)
    for k in range(len(x) - 1):
        y[k], y[k + 1] = y[k + 1] * 2.0, y[k]
    return y[0] * y[len(x) - 1]


def while_loop(x: Any) -> Any:
    total, k = x[0], 0
    while total < 4.0 * len(x) and k < 3 * len(x):
        total = total + x[k % len(x)] * x[k % len(x)]
        k += 1
    return total


def nested_functions(x: Any) -> Any:
    def inner(a: Any, b: Any) -> Any:
        def deeper(c: Any) -> Any:
            return c * a + b

        return deeper(a) * deeper(b)

    total = 0.0
    for k in range(len(x)):
        total = total + inner(x[k], x[k - 1])
    return total


def branches(x: Any) -> Any:
    total = 0.0
    for k in range(len(x)):
        total = total + (x[k] * x[k] if x[k] > 1.0 else x[k] / 2.0)
    return total


def greatest_by_index(x: Any) -> Any:
    total = x[0]
    for k in range(1, len(x)):
        total = np.maximum(total, x[k] * 2.0)
    return total


def distances_by_index(x: Any) -> Any:
    total = 0.0
    for k in range(1, len(x)):
        total = total + abs(x[k] - x[k - 1])
    return total + x[0] * x[0]


SCALAR_PROGRAMS = [
    sum_by_index, products_by_index, quotients_by_index, differences_by_index, elementary_by_index, horner,
    rosenbrock_by_index, assigned, recurrence, accumulated, bubbles, while_loop, nested_functions, branches,
    greatest_by_index, distances_by_index,
]  # fmt: skip

WHOLE_ARRAY_PROGRAMS = {
    "sum of sines": lambda x: np.sum(np.sin(x)),
    "squared norm": lambda x: np.sum(x * x),
    "inner product": lambda x: x @ x,
    "differences": lambda x: np.sum((x[1:] - x[:-1]) ** 2) + x[0],
    "mean and variance": lambda x: np.mean(x) + np.var(x),
    "quadratic form": lambda x: x @ (np.ones((len(x), len(x))) @ x),
    "outer product": lambda x: np.sum(np.outer(x, x) * np.cos(np.outer(x, x))),
    "reversed": lambda x: np.sum(x[::-1] * x / (1.0 + x)),
    "sigmoid": lambda x: np.sum(sigmoid(x) * x),
}

#: reductions and scans whose rules do more than the function itself, by a factor that does not depend on the size
COMPOUND_PROGRAMS = {
    "logarithm of a product": lambda x: np.log(np.prod(x)),
    "logsumexp": lambda x: logsumexp(x),
    "cumulative sum": lambda x: np.sum(np.cumsum(x) ** 2),
    "greatest": lambda x: np.max(x * x),
}
