"""The messages of GradBench: one line of JSON in, one out, in the order in which they come.

A message has an `id`, which the answer repeats, and a `kind`.  `start` is answered with the tool's name; `define` with
whether there is a module of that name; `evaluate` with the output of one of its functions for an input, and a timing of
every run; anything else, such as `analysis`, is acknowledged.  An input may ask for a least number of runs and of
seconds (`min_runs`, `min_seconds`).  The protocol is described in GradBench's CONTRIBUTING.md, section Protocol.

This module knows no problem but by its name.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

TOOL = "forward-reverse-ad"
#: The modules that GradBench may ask for, each a module of this package.
PROBLEMS = ("hello", "ba", "det", "gmm", "ht", "kmeans", "llsq", "lse", "lstm", "ode", "particle", "saddle")

Input = Mapping[str, Any]


def plain(value: Any) -> Any:
    """A result as JSON has it: arrays as nested lists, in containers too.

    >>> plain({"a": np.arange(3.0), "b": (np.float64(1.5), 2)})
    {'a': [0.0, 1.0, 2.0], 'b': [1.5, 2]}
    """
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


@dataclass(frozen=True)
class Function:
    """One function that GradBench asks for."""

    #: From the message's input to the call that is timed: makes arrays, and what a user would make once.
    prepare: Callable[[Any], Callable[[], Any]]
    #: From the call's result to what JSON can have.
    encode: Callable[[Any], Any] = plain


class BadMessage(ValueError):
    """A line that is no message of the protocol, so that no answer can name it."""


def functions_of(module: str) -> Mapping[str, Function]:
    """What GradBench may ask of a module; raises LookupError for one that is none of `PROBLEMS`."""
    if module not in PROBLEMS:
        raise LookupError(f"there is no module {module!r}; there are {', '.join(PROBLEMS)}")
    functions: Mapping[str, Function] = importlib.import_module(f"benchmarks.gradbench.{module}").FUNCTIONS
    return functions


def evaluate(module: str, function: str, given: Any) -> dict[str, Any]:
    """Run a function on an input as often as that asks for; return the output and a timing for each run.

    Raises LookupError where there is no such function, and whatever the function raises.
    """
    functions = functions_of(module)
    if function not in functions:
        raise LookupError(f"{module} has no function {function!r}; it has {', '.join(functions)}")
    least_runs, least_seconds = 1, 0.0
    if isinstance(given, Mapping):
        least_runs, least_seconds = max(1, given.get("min_runs", 1)), given.get("min_seconds", 0.0)
    call = functions[function].prepare(given)
    nanoseconds: list[int] = []
    while len(nanoseconds) < least_runs or sum(nanoseconds) < least_seconds * 1e9:
        start = time.perf_counter_ns()
        result = call()
        nanoseconds.append(time.perf_counter_ns() - start)
    timings = [{"name": "evaluate", "nanoseconds": spent} for spent in nanoseconds]
    return {"success": True, "output": functions[function].encode(result), "timings": timings}


def answer(message: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a message.  What goes wrong in a function is said in it, and the session goes on."""
    try:
        number, kind = message["id"], message["kind"]
    except (KeyError, TypeError):
        raise BadMessage("a message needs an id and a kind") from None
    found: dict[str, Any] = {"id": number}
    try:
        if kind == "start":
            found["tool"] = TOOL
        elif kind == "define":
            functions_of(message["module"])
            found["success"] = True
        elif kind == "evaluate":
            found |= evaluate(message["module"], message["function"], message["input"])
    # GradBench wants to hear of any failure, and to go on with the next message.
    except Exception as error:
        return {"id": number, "success": False, "error": f"{type(error).__name__}: {error}"}
    return found


def answers(lines: Iterable[str]) -> Iterator[str]:
    """A line for each line: the session.

    A result that is not finite is a failure, since JSON has no such numbers.  Raises BadMessage for a line that is not
    a message; empty lines are passed over.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            message = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadMessage(f"a line is not JSON: {error}") from None
        found = answer(message)
        try:
            yield json.dumps(found, allow_nan=False)
        except ValueError:
            yield json.dumps(
                {"id": found["id"], "success": False, "error": "the output has numbers that are not finite"}
            )
