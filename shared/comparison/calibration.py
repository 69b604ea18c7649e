"""What one call and one byte cost on this machine: the constants by which counts become seconds.

A NumPy call costs what Python and the engine do around it, whatever its arrays hold; then its arithmetic takes the
time of the bytes it moves or, where that is more, of its elementary functions and products (the roofline of Williams,
Waterman & Patterson 2009).  Two constants are measured, on small programs of known counts, once a process: one of a
call, one of a byte.  How the calls of one mode compare with those of another is a table here, and what memory, an
elementary function and a product take, in bytes.  This module knows the interface of an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from shared.calling.engine import Engine
from shared.comparison.timing import interleaved_minimum
from shared.programs.measuring.cost import Cost, cost
from shared.programs.tracing import trace

#: A call that moves fewer bytes than the first finds them in a cache, one that moves more than the second in memory.
CACHES = (2.0**18, 2.0**23)

#: Of each mode the weight of a NumPy call within it, of one that reads or writes a part of an array, and of a
#: transform's own work.  They are properties of the engines (CPython 3.11, medians of ten processes), so the same on
#: every machine, whose speed is measured: what is nearly alike is told apart by counts, and not by a disturbed clock.
WEIGHTS = {
    "forward": (1.0, 0.1, 16.0),
    "reverse": (1.18, 1.33, 20.0),
    "forward batched": (1.73, 1.31, 30.5),
    "reverse batched": (1.82, 4.1, 34.3),
}
#: The same of a sparse result, and of each number in it.
_SPARSE, _ENTRY = 150.0, 0.042

#: What a byte of memory takes, an elementary function of an element, and an addition or multiplication in a product of
#: matrices, in bytes moved within a cache.  Machines differ; advice is as often right with half of these or twice.
_FAR, _ELEMENTARY, _PRODUCT = 7.0, 190.0, 1.1

#: Turns of each task: many, since what disturbs a machine for a while shall not last for all of them.
_ROUNDS = 8

#: The primitives that read and write parts of arrays, by their names in a table of costs.
INDEXING = frozenset(("getitem", "copy", "setitem", "add_at", "add_to_view", "add_once"))

#: How an engine is called: a direction or a cotangent alone, or many in one batch.
MODES = ("forward", "reverse", "forward batched", "reverse batched")


@dataclass(frozen=True)
class Machine:
    """Seconds: `call[mode]` of one NumPy call within a mode, `index[mode]` of one that reads or writes parts of arrays.

    `start[mode]` is a transform's own; `byte` is one moved of arrays that fit a cache, `far` one of larger ones,
    `elementary` one elementary function of an array's element, `product` one addition or multiplication in a product of
    matrices.  `sparse` and `entry` are what a sparse result costs by itself, and each number in it.
    """

    call: dict[str, float]
    index: dict[str, float]
    start: dict[str, float]
    byte: float
    far: float
    elementary: float
    product: float
    sparse: float
    entry: float

    def arithmetic(self, found: Cost) -> float:
        """The seconds of a record's arithmetic, its calls not counted."""
        total = 0.0
        for row in found.primitives:
            count = row.count
            moved = row.bytes_read + row.bytes_written
            moving = self.moving(moved, moved / row.calls)
            cheap = count.operations - 10 * count.elementary
            total += max(moving, self.elementary * count.elementary + self.product * cheap)
        return total

    def moving(self, moved: float, at_once: float) -> float:
        """The seconds to move so many bytes, so many in a call: between caches and memory, by the logarithm."""
        least, most = CACHES
        far = np.clip(np.log(max(at_once, least) / least) / np.log(most / least), 0.0, 1.0)
        return float(moved * self.byte ** (1.0 - far) * self.far**far)

    def calls(self, mode: str, found: Cost) -> float:
        """The seconds of a record's calls in a mode, their arithmetic not counted."""
        indexing = _indexing(found)
        return (found.total.calls - indexing) * self.call[mode] + indexing * self.index[mode]

    def to_dict(self) -> dict[str, Any]:
        """The constants in nanoseconds, rounded."""
        calls = {mode: [round(1e9 * part[mode]) for part in (self.call, self.index, self.start)] for mode in MODES}
        rest = {name: round(1e9 * getattr(self, name), 4) for name in ("byte", "far", "elementary", "product", "entry")}
        return {"call, index, start": calls, "sparse": round(1e9 * self.sparse), **rest}


def machine(forward: Engine, reverse: Engine) -> Machine:
    """The constants of this machine with two engines.  Cost: about a second, the first time."""
    engines: tuple[Any, Any] = (forward, reverse)
    return _measured(*engines)


@cache
def _measured(forward: Any, reverse: Any) -> Machine:
    one, many = np.full(4, 0.5), np.full(100, 0.5)
    chains = {(kind, length): made(length) for kind, made in _CHAINS.items() for length in (2, 24)}
    # The directions of a Jacobian, in arrays that fit a cache, allocated as an engine does it.
    matrix = forward.jacobian(chains["call", 24])
    tasks: dict[Any, Callable[[], Any]] = {"byte": partial(matrix, many)}
    programs: dict[Any, Callable[..., Any]] = {}
    for (kind, length), f in chains.items():
        for mode, program in _modes(f, forward, reverse).items():
            programs[mode, kind, length] = program
            tasks[mode, kind, length] = partial(program, one)
    least = interleaved_minimum(tasks, rounds=_ROUNDS, seconds_each=0.01)
    records = {key: cost(trace(program, one)) for key, program in programs.items()}
    unit = float(np.median([_unit(least, records, mode, kind) for mode in MODES for kind in _CHAINS]))
    call, index, start = ({mode: unit * weights[k] for mode, weights in WEIGHTS.items()} for k in range(3))
    total = cost(trace(matrix, many)).total
    own = least["byte"] - start["forward batched"] - total.calls * call["forward batched"]
    byte = max(own / (total.bytes_read + total.bytes_written + _ELEMENTARY * total.count.elementary), _LEAST_BYTE)
    return Machine(
        call, index, start,
        byte=byte, far=byte * _FAR, elementary=byte * _ELEMENTARY, product=byte * _PRODUCT,
        sparse=unit * _SPARSE, entry=unit * _ENTRY,
    )  # fmt: skip


def _unit(least: dict[Any, float], records: dict[Any, Cost], mode: str, kind: str) -> float:
    """The seconds of a call of weight 1, from two programs of one kind in one mode."""
    short, long = (records[mode, kind, length] for length in (2, 24))
    parts = _indexing(long) - _indexing(short)
    others = long.total.calls - short.total.calls - parts
    weights = WEIGHTS[mode]
    return max((least[mode, kind, 24] - least[mode, kind, 2]) / (others * weights[0] + parts * weights[1]), _SHORTEST)


def _indexing(found: Cost) -> int:
    return sum(row.calls for row in found.primitives if row.name in INDEXING)


def _chain(length: int) -> Callable[[Any], Any]:
    def chain(x: Any) -> Any:
        for _ in range(length):
            x = np.tanh(x) * x + 0.5
        return x

    return chain


def _chain_of_parts(length: int) -> Callable[[Any], Any]:
    def chain(x: Any) -> Any:
        total = x[0]
        for k in range(length):
            total = total * x[k % 4] + x[(k + 1) % 4]
        return x * total

    return chain


#: What is measured of calls: programs of any length without and with parts of arrays.
_CHAINS = {"call": _chain, "index": _chain_of_parts}
#: Seconds that a call, and a byte, take at least, whatever a disturbed clock says.
_SHORTEST, _LEAST_BYTE = 1e-8, 5e-12


def _modes(f: Callable[[Any], Any], forward: Engine, reverse: Engine) -> dict[str, Callable[[Any], Any]]:
    seed = np.ones(4)
    return {
        "forward": lambda x: forward.jvp(f, (x,), (seed,))[1],
        "reverse": lambda x: reverse.vjp(f, x)[1](seed),
        "forward batched": forward.jacobian(f),
        "reverse batched": reverse.jacobian(f),
    }
