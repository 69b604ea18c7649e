"""The drawings of the lectures: `python docs/lectures/draw.py` makes them anew.

Chapters 1 to 4 are drawn here.  A module `draw_*.py` draws those of another chapter: its `svgs()` are texts by name,
its `FIGURES` are functions that draw with matplotlib what the chapter's code leaves behind.
"""

from __future__ import annotations

import io
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shared import draw, trace
from shared.programs.explaining.drawing import Drawing

HERE = Path(__file__).parent


def squared(x: Any) -> Any:
    while x < 10:
        x = x * x
    return x


def textbook(x1: Any, x2: Any) -> Any:
    v1 = np.log(x1)
    v2 = x1 * x2
    v3 = np.sin(x2)
    return v1 + v2 - v3


def selected(x: Any, y: Any) -> Any:
    return (x + y) * np.maximum(x, y)


def drawings() -> Iterator[tuple[str, Drawing]]:
    """The name of each drawing, and the drawing."""
    yield "squared", draw(trace(squared, 1.5), 1.5)
    yield "textbook", draw(trace(textbook, 2.0, 5.0), 2.0, 5.0)
    yield "selected", draw(trace(selected, 5.0, 1.0), 5.0, 1.0)


def chain() -> str:
    """One step of the chain of Jacobians from either end, as blocks: an SVG."""
    parts: list[str] = []

    def block(x: int, y: int, height: int, colour: str, label: str) -> None:
        parts.append(
            f'<rect x="{x}" y="{y - height // 2}" width="80" height="{height}" fill="{colour}" stroke="#333"/>'
        )
        text(x + 40, y - height // 2 - 6, label, "middle")

    def text(x: int, y: int, what: str, anchor: str = "start") -> None:
        parts.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{what}</text>')

    for y, title, height, left, right, out, work in (
        (65, "from the loss", 12, "dL/dz3", "dz3/dz2", "dL/dz2", "n² products"),
        (190, "from the input", 80, "dz3/dz2", "dz2/dz1", "dz3/dz1", "n³ products"),
    ):
        text(10, y + 5, title)
        block(130, y, height, "#CFE4F5", left)
        text(225, y + 5, "&#215;", "middle")
        block(240, y, 80, "#CFE4F5", right)
        text(335, y + 5, "=", "middle")
        block(350, y, height, "#F8D9C4", out)
        text(450, y + 5, work)
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 240" width="560" height="240" '
    style = 'font-family="Helvetica,Arial,sans-serif" font-size="14"><rect width="560" height="240" fill="white"/>'
    return "\n".join([head + style, *parts, "</svg>", ""])


def save(figure: Any, path: Path) -> None:
    """Write a figure of matplotlib as a PNG of few colours, which is a third as large."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    (HERE / "chain.svg").write_text(chain(), encoding="utf-8")
    for name, drawing in drawings():
        drawing.save(HERE / f"{name}.dot")
        drawing.save(HERE / f"{name}.svg")
        print(name)
    for module in sorted(HERE.glob("draw_*.py")):
        script = runpy.run_path(str(module))
        for name, text in script["svgs"]().items():
            (HERE / f"{name}.svg").write_text(text, encoding="utf-8")
            print(name)
        variables = script["left_behind"]() if "FIGURES" in script else {}
        for name, figure in script.get("FIGURES", {}).items():
            save(figure(variables), HERE / f"{name}.png")
            print(name)
