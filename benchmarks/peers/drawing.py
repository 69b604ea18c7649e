"""The picture of the races: for each derivative, every library's time in units of that written by hand.

This module draws the results it is given and measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.peers.racing import Result
from benchmarks.peers.tables import FORMS

#: A hue and a marker a library: M. Okabe and K. Ito's palette (2008), and shapes for those who see no hue.
STYLES = {
    "reversead": ("#0072B2", "s"),
    "dualad": ("#56B4E9", "D"),
    "autograd": ("#E69F00", "o"),
    "mygrad": ("#CC79A7", "v"),
    "advect": ("#009E73", "^"),
    "torch": ("#D55E00", "P"),
    "jax": ("#444444", "X"),
    "tangent": ("#999933", "<"),
    "casadi": ("#882255", ">"),
}
OTHER_STYLE = ("#888888", "o")


def draw(results: Sequence[Result], path: Path, subtitle: str) -> None:
    """Write the picture to `path` in the format of its suffix: a panel for each form, a row a derivative."""
    # A Figure of its own, without pyplot: no global state, and no window system is asked for.
    from matplotlib.figure import Figure

    races = list(dict.fromkeys(result.race for result in results))
    forms = [form for form in FORMS if any(result.form == form for result in results)]
    figure = Figure(figsize=(6.2 * len(forms) + 2.6, 0.42 * len(races) + 2.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(forms), sharey=True))
    handles = {}
    for axes, form in zip(panels, forms, strict=True):
        for result in results:
            if result.form != form or result.ratio is None:
                continue
            colour, marker = STYLES.get(result.label, OTHER_STYLE)
            ours = result.label in ("reversead", "dualad")
            (handles[result.label],) = axes.plot(
                result.ratio,
                races.index(result.race),
                marker,
                color=colour,
                markersize=10 if ours else 7,
                markeredgecolor="black" if ours else colour,
                alpha=1.0 if ours else 0.8,
                linestyle="none",
                # Ours lies above the others where they meet.
                zorder=4 if ours else 3,
            )
        axes.axvline(1.0, color="#222222", linewidth=1.2)
        axes.set_xscale("log")
        axes.set(title=form, xlabel="CPU time in units of the derivative written by hand (left is faster)")
        axes.grid(True, color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(races)), races)
    panels[0].invert_yaxis()
    figure.suptitle(f"The same derivatives in several libraries\n{subtitle}", fontsize=12)
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=max(1, len(handles)), frameon=False
    )
    figure.savefig(path, dpi=120)
