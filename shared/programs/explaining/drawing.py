"""Drawing a recorded program: as SVG and as DOT text always, as PNG and PDF where Graphviz is installed.

`draw` decides what is shown (layers folded or not, values and adjoints, how large a graph may be) and returns a
`Drawing`, which writes itself to files and shows itself in notebooks.  What a graph looks like is the business of
`shared.programs.explaining.graph`; adjoints come from `shared.programs.explaining.adjoints`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from shared.calling.arguments import Argnums
from shared.calling.tree import flatten, unflatten
from shared.core.errors import user_line
from shared.core.visible import one_line
from shared.programs.explaining.adjoints import ReverseSweep
from shared.programs.explaining.evaluation import program_of, with_floats
from shared.programs.explaining.graph import Graph
from shared.programs.explaining.layers import Layer, layers
from shared.programs.explaining.picture import picture
from shared.programs.program import Program

#: A drawing of more nodes than this cannot be read.
LARGEST = 150
_PICTURES = ("svg", "png", "pdf")
_SECONDS = 60

# --- pictures ---------------------------------------------------------------------------------------------------------


class Drawing:
    """A graph: the picture as SVG, and its text in Graphviz's language, for other pictures of it.

    `svg` is the picture, laid out here, the same on every machine; `dot` is text that Graphviz and other programs draw;
    `save(path)` writes either, or a PNG or PDF where Graphviz's program `dot` is installed.  In a Jupyter notebook it
    shows itself as a picture.

    >>> from shared.programs import trace
    >>> drawing = draw(trace(lambda x, y: x * y, 2.0, 3.0))
    >>> print(drawing.dot.splitlines()[0], drawing.svg[:4])
    digraph program { <svg
    """

    def __init__(self, dot: str, picture: Callable[[], str]):
        self.dot = dot
        self._picture = picture
        self._svg: str | None = None

    @property
    def svg(self) -> str:
        """The picture as SVG text, made when it is first asked for."""
        if self._svg is None:
            self._svg = self._picture()
        return self._svg

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing to a file, in the format of its ending: .dot or .gv for the text, .svg, .png or .pdf.

        Returns the path.  Raises ValueError for another ending, and FileNotFoundError where a PNG or PDF is wanted and
        `dot` is not installed; nothing is written then.
        """
        path = Path(path)
        kind = path.suffix.lower().removeprefix(".")
        if kind in ("dot", "gv"):
            content = self.dot.encode("utf-8")
        elif kind == "svg":
            content = self.svg.encode("utf-8")
        elif kind in _PICTURES:
            content = self._rendered(kind)
        else:
            raise ValueError(
                f"save: a drawing is written as .dot or .gv (text), .svg, .png or .pdf, not as {path.suffix!r}"
                f"{user_line()}; choose one of these endings"
            )
        path.write_bytes(content)
        return path

    def _rendered(self, kind: str) -> bytes:
        program = shutil.which("dot")
        if program is None:
            raise FileNotFoundError(
                f"a PNG or PDF is made by Graphviz's program dot, which is not on the PATH{user_line()}. Take the "
                "picture as SVG, drawing.save('graph.svg'), which needs nothing else; or install Graphviz (apt install "
                "graphviz, brew install graphviz, conda install graphviz, or graphviz.org/download)"
            )
        command = [program, f"-T{kind}", *(["-Gdpi=144"] if kind == "png" else [])]
        try:
            done = subprocess.run(command, input=self.dot.encode("utf-8"), capture_output=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"dot has not finished within {_SECONDS} s{user_line()}; fold the graph (fold=True), or draw a smaller "
                "program"
            ) from None
        if done.returncode or not done.stdout:
            told = done.stderr.decode("utf-8", "replace").strip() or "no message"
            raise RuntimeError(f"dot failed with status {done.returncode}{user_line()}: {one_line(told)}")
        return done.stdout

    # --- notebooks ---

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __str__(self) -> str:
        return self.dot

    def __repr__(self) -> str:
        return f"<drawing of {self.dot.count(chr(10)) - 1} lines of DOT>"


# --- what is drawn ----------------------------------------------------------------------------------------------------


def draw(
    f: Callable[..., Any] | Program,
    *args: Any,
    argnums: Argnums | None = None,
    fold: bool | str = "auto",
    cotangent: Any = None,
    adjoints: bool | None = None,
    direction: str = "right",
    legend: bool = True,
    gates: bool = False,
    digits: int = 3,
    limit: int = LARGEST,
) -> Drawing:
    """The graph of a recorded program, or of what a function executes on these arguments.

    Shape and colour tell apart parameters (rounded, blue), data (square, yellow: arguments that are no parameters, and
    arrays from outside or made inside), constants (grey, without a border), operations (white), guards (dashed
    diamonds) and outputs (double border); operations that no output and no guard needs are dashed.  Where the order of
    operands matters, the first enters above the second, or to the left of it.

    Arguments, which a program may do without, are those to evaluate at: every edge then carries the forward value above
    (green) and the adjoint below (vermillion, slanted), numbers as they are and arrays by their Euclidean norm, ‖3‖.  A
    value that several operations use has one adjoint, the sum of what comes back along the branches behind it (Griewank
    & Walther 2008, section 3.2).

    `argnums`: the arguments that are parameters, by position or name as for `grad`; the others are data, and what
    depends on data alone has no adjoint.  By default every floating-point argument is a parameter (where `grad` takes
    the first).
    `fold`: True draws each layer of a network, and its loss, as one box that lists its operations and weights; False
    draws everything, with a frame around each layer; "auto" folds networks of two layers and more.  What a layer is,
    `shared.programs.explaining.layers` says.
    `cotangent`: where to start the reverse sweep, in the structure of the output; 1 for one real number.
    `adjoints`: whether to show them; by default if the output is one real number, or a cotangent is given.
    `gates`: below each operation, what it does with its adjoint: distributes, switches, selects the left.
    `direction`: "right", or "down"; `legend`: whether there is one; `digits`: how many significant ones.
    `limit`: the largest number of nodes, 150 by default.  Larger graphs cannot be read, so they are refused.

    Cost: a pass over the program; with arguments one evaluation more, and one reverse sweep.  Raises ValueError for a
    graph that is too large and for options that do not exist, TypeError for a cotangent without arguments, and what
    `ReverseSweep` raises for arguments that do not fit.

    >>> from shared.programs import trace
    >>> program = trace(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
    >>> drawing = draw(program, -2.0, 5.0, -4.0)
    >>> print(*[line.strip() for line in drawing.dot.splitlines() if line.strip().startswith("w3:e")])
    w3:e -> v4;
    """
    program, args = program_of("draw", f, args)
    chosen = chosen_parameters(program, argnums)
    if direction not in ("right", "down"):
        raise ValueError(f"draw: direction is 'right' or 'down', not {direction!r}{user_line()}")
    if fold not in (True, False, "auto"):
        raise ValueError(f"draw: fold is True, False or 'auto', not {fold!r}{user_line()}")
    if digits not in range(1, 18):
        raise ValueError(f"draw: digits is a number of significant digits, from 1 to 17, not {digits!r}{user_line()}")
    groups = layers(program, chosen)
    values, found = _evaluated(program, args, chosen, cotangent, adjoints)

    def graph(folded: bool) -> Graph:
        return Graph(program, groups, folded, chosen, values, found, direction, digits, legend, gates)

    # A network has more than one layer; of a single one the operations are what there is to see.
    folded = fold is True or (fold == "auto" and sum(group.title != "loss" for group in groups) > 1)
    made = graph(folded)
    if made.size > limit and fold == "auto" and not folded and groups:
        folded, made = True, graph(True)
    if made.size > limit:
        raise ValueError(_too_large(program, made, folded, groups, limit))
    return Drawing(made.dot(), partial(picture, made))


def _too_large(program: Program, made: Graph, folded: bool, groups: list[Layer], limit: int) -> str:
    advice = "no layers were found in it that could be folded" if not groups else "its layers are folded already"
    if groups and not folded:
        advice = "fold its layers with fold=True"
    return (
        f"draw: the graph of {program.name} has {made.size} nodes, and one of more than {limit} cannot be read"
        f"{user_line()}; {advice}. Record it for smaller arguments (fewer steps of a loop), draw simplify(program), "
        f"print it with print(program), or set limit={made.size} to have the drawing nonetheless"
    )


def chosen_parameters(program: Program, argnums: Argnums | None, caller: str = "draw") -> list[int]:
    """The inputs to differentiate by: floating-point leaves of the arguments chosen, all of them by default.

    Raises ValueError and TypeError for `caller` where `argnums` names no argument, or one without such numbers.
    """
    floating = [k for k in program.inputs if _is_floating(program, k)]
    if argnums is None:
        return floating
    positional, keywords = unflatten(program.structure, list(range(program.structure.size)))
    recorded = [place for place in range(program.structure.size) if place not in program.static_leaves]
    numbers = dict(zip(recorded, program.inputs, strict=True))
    named: dict[str, list[int]] = {}
    for k in [numbers[place] for place in flatten(positional)[0] if place in numbers]:
        named.setdefault(_root(program.names[k]), []).append(k)
    for name, part in keywords.items():
        named[name] = [numbers[place] for place in flatten(part)[0] if place in numbers]
    wanted: set[int] = set()
    for argnum in argnums if isinstance(argnums, (list, tuple, range, np.ndarray)) else (argnums,):
        if isinstance(argnum, str):
            found = named.get(argnum, [])
        elif isinstance(argnum, (int, np.integer)) and not isinstance(argnum, bool):
            if argnum not in range(-len(positional), len(positional)):
                raise ValueError(_no_argument(caller, program, argnum, len(positional), named))
            found = [numbers[place] for place in flatten(positional[argnum])[0] if place in numbers]
        else:
            raise TypeError(
                f"{caller}: argnums must be an int, the name of an argument, or a sequence of these, not {argnum!r}"
                f"{user_line()}"
            )
        if isinstance(argnum, str) and not found:
            raise ValueError(_no_argument(caller, program, argnum, len(positional), named))
        if not any(k in floating for k in found):
            raise ValueError(
                f"{caller}: argnums {argnum!r} is an argument of {program.name} without floating-point numbers"
                f"{user_line()}, so it is no parameter; record it with 2.0 in place of 2, or leave it out of argnums"
            )
        wanted.update(found)
    return [k for k in floating if k in wanted]


def _root(path: str) -> str:
    """The argument that a leaf belongs to: `w` of `w['bias'][0]`."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _no_argument(caller: str, program: Program, argnum: Any, count: int, named: Mapping[str, list[int]]) -> str:
    varying = [name if name.isidentifier() else repr(name) for name, found in named.items() if found]
    return (
        f"{caller}: argnums {argnum!r} names no argument{user_line()}; {program.name} was recorded with {count} "
        f"positional ones, and the names of those that vary are: {', '.join(varying) or 'none'}"
    )


def _is_floating(program: Program, k: int) -> bool:
    type_ = program.types[k]
    return type_.kind in (float, complex) if type_.dtype is None else type_.dtype.kind in "fc"


def _evaluated(
    program: Program, args: tuple[Any, ...], chosen: Collection[int], cotangent: Any, adjoints: bool | None
) -> tuple[list[Any] | None, dict[int, Any] | None]:
    """The values, and the adjoints of what depends on the parameters; None of what was not asked for."""
    if not args:
        if cotangent is not None or adjoints:
            raise TypeError(
                f"draw: adjoints belong to a point{user_line()}; give the arguments, too, as in draw(program, x, y)"
            )
        return None, None
    if adjoints is None:
        adjoints = cotangent is not None or (_has_gradient(program) and not program.custom)
    if not adjoints:
        return program.values(*with_floats(program, args)), None
    sweep = ReverseSweep.called("draw", program, args, cotangent)
    sweep.finish()
    depends = set(chosen)
    for equation in program.equations:
        if sweep.varies[equation.result] and not depends.isdisjoint(equation.operands):
            depends.add(equation.result)
    return list(sweep.values), {k: sweep.adjoints[k] for k in sorted(depends)}


def _has_gradient(program: Program) -> bool:
    """Whether the output is one real number."""
    if len(program.outputs) != 1:
        return False
    type_ = program.types[program.outputs[0]]
    return type_.shape == () and _is_floating(program, program.outputs[0]) and not type_.is_complex


__all__ = ["LARGEST", "Drawing", "draw"]
