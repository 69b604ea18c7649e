"""`page`: one program in both modes as one self-contained HTML file; and `Page`, which saves and shows it.

It puts together what the other modules of this room make: names, sweeps, counts, foldings, graphs, sources, orders.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.calling.arguments import Argnums
from shared.calling.engine import Engine
from shared.core.errors import user_line
from shared.core.visible import one_line, shortened, shown
from shared.counting.modes import require_order
from shared.page.document import written
from shared.page.folding import items as items_of
from shared.page.orders import chain, eliminated
from shared.page.sources import blocks
from shared.page.sweeps import Sweeps
from shared.page.views import views
from shared.programs.explaining.adjoints import ReverseSweep
from shared.programs.explaining.drawing import chosen_parameters
from shared.programs.explaining.evaluation import with_floats
from shared.programs.explaining.layers import layers
from shared.programs.explaining.naming import Names
from shared.programs.measuring.theorem import derivative_costs
from shared.programs.program import Program

#: Longer programs have too many steps to go through.
LONGEST = 600
#: A larger file is refused, in bytes.
LARGEST = 1_000_000
_TITLE = 70


class Page:
    """A page: `html()` is the file, `save(path)` writes it, and Jupyter shows it by itself, in a frame of its own."""

    def __init__(self, title: str, text: str, steps: int, inputs: int):
        self.title = title
        self.steps = steps
        self.inputs = inputs
        self._text = text

    def html(self) -> str:
        """The whole file, which needs nothing else: no network, no library."""
        return self._text

    __str__ = html

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, and return its path.

        Raises ValueError for a name that does not end in .html or .htm.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(
                f"save: a page is written as .html, not as {path.suffix!r}{user_line()}; for a picture of the graph "
                "take shared.draw(f, *args).save('graph.svg')"
            )
        path.write_text(self._text, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        # A frame of its own, which cannot reach the notebook: neither its styles nor its keys meet the page's.
        return (
            f'<iframe sandbox="allow-scripts" title="{html.escape(one_line(self.title))}" '
            f'srcdoc="{html.escape(self._text)}" '
            'style="width: 100%; max-width: 100%; height: 920px; border: 1px solid #8888; border-radius: 6px"></iframe>'
        )

    def __repr__(self) -> str:
        size = len(self._text.encode("utf-8")) // 1000
        return one_line(f"<page of {self.title}: {self.steps} steps, {self.inputs:,} inputs, {size} kB of HTML>")


def page(
    f: Callable[..., Any] | Program,
    *args: Any,
    argnums: Argnums | None = None,
    cotangent: Any = None,
    engines: Sequence[Engine] | None = None,
) -> Page:
    """One self-contained page that goes through `f(*args)` in both modes, step by step: a microscope for a program.

    Forwards it shows one pass for each number that varies, with all tangents (the first 12 passes, fewer of a long
    program); in reverse the values, and then the sweep back, with every contribution to an adjoint.  The source line,
    the row of the table and the node of the graph light up together, a sentence says what the step does, and counters
    run: operations, bytes alive, and the race of forward mode, reverse mode and differences.  A small program of
    numbers has its elimination orders on the page, a network the order of its product of Jacobians.  Numbers are those
    of `ReverseSweep` and of forward sweeps over the same record; everything is computed here, the page only shows it.

    `f` is a function, or a recorded `Program`; integers that are arguments count as floats.  `argnums` are the
    arguments that vary, as for `grad`, by default all that can; the others are data.  An output that is not one real
    number needs a `cotangent`, in its structure.  `engines=(dualad, reversead)` adds the table of `derivative_costs`,
    with products with the Hessian; without, and with a cotangent, the page has the counts of its own steps.

    Cost: one evaluation, one reverse sweep, up to 12 passes forwards, and every equation counted in either mode: some
    milliseconds an equation.  Raises ValueError for a program of more than 600 operations or a page of more than 1 MB,
    ShapeError where there is no gradient, and otherwise what `ReverseSweep` and `draw` raise.

    >>> import numpy as np
    >>> found = page(lambda x, y: np.sin(x) * y, 0.0, 5.0)
    >>> found.steps, found.inputs, found.html()[:15]
    (2, 2, '<!DOCTYPE html>')

    The order of the steps and the numbering are those of Griewank & Walther (2008, sections 2.2, 3.1 and 3.2).
    """
    pair = _pair(engines)
    sweep = ReverseSweep.called("page", f, args, cotangent)
    program = sweep.program
    if len(program.equations) > LONGEST:
        raise ValueError(
            f"page: {program.name} takes {len(program.equations):,} operations, and nobody goes through more than "
            f"{LONGEST}{user_line()}; call it for smaller arguments (fewer steps of a loop, fewer layers), page a part "
            "of it, or read the whole as shared.trace_table(f, *args)"
        )
    parameters = chosen_parameters(program, argnums, "page")
    groups = layers(program, parameters)
    names = Names(program, sweep.values, groups)
    sweeps = Sweeps(sweep, parameters, names)
    foldings = items_of(program, groups, names)
    title = _title(program)
    costs = None
    if pair is not None and cotangent is None:
        costs = derivative_costs(f, *with_floats(f, args), forward=pair[0], reverse=pair[1], argnums=argnums)
    text = written(
        title,
        sweeps,
        foldings,
        views(sweeps, foldings, names, title),
        blocks([e.where for e in program.equations]),
        eliminated(program, with_floats(program, args), parameters, names),
        chain(names),
        costs,
    )
    size = len(text.encode("utf-8"))
    if size > LARGEST:
        raise ValueError(
            f"page: the page of {program.name} would have {size:,} bytes, and more than {LARGEST:,} is too much for a "
            f"browser to be quick{user_line()}; call it for fewer steps of a loop or fewer layers, or page a part of it"
        )
    return Page(title, text, len(program.equations), sweeps.inputs)


def _pair(engines: Any) -> tuple[Engine, Engine] | None:
    if engines is None:
        return None
    pair = list(engines) if isinstance(engines, (list, tuple)) else [engines]
    if len(pair) != 2 or not all(hasattr(engine, "jvp") and hasattr(engine, "vjp") for engine in pair):
        raise TypeError(
            f"page: engines must be a forward and a reverse engine, engines=(dualad, reversead), not {shown(engines)}"
            f"{user_line()}"
        )
    require_order("page", *pair)
    return pair[0], pair[1]


def _title(program: Program) -> str:
    """The function with its arguments as the user has named them, without what is inside of them."""
    roots = dict.fromkeys(re.split(r"[.\[]", program.names[k], maxsplit=1)[0] for k in program.inputs)
    return shortened(f"{program.name}({', '.join(roots)})", _TITLE)


__all__ = ["LARGEST", "LONGEST", "Page", "page"]
