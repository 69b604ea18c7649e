"""The result of a comparison: figures of every way, whether they agree, which one to take, and what memory buys.

It prints as text, and has Markdown, HTML, a dictionary of plain numbers and a picture.  This module computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from shared.comparison.advice import Advice
from shared.comparison.agreement import Agreement
from shared.comparison.figures import Figure
from shared.comparison.frontier import Memory
from shared.core.errors import user_line
from shared.core.visible import one_line
from shared.programs.markup import html_text, markdown_text
from shared.programs.tabulation import Tabulated

_INFINITE = float("inf")
_HEADERS = ("derivative", "operations", "evaluations", "bytes alive", "time", "times the value", "error", "")


@dataclass(frozen=True, slots=True)
class ModeComparison(Tabulated):
    """What each way to the derivatives of a function costs, made by `compare`.

    `figures` has a `Figure` a way: `comparison["gradient", "reverse"].operations`.  `agreement` says how far the
    engines and differences are apart, `advice` which way to take and why, `memory` what the tape keeps and
    checkpoints save.  `inputs` and `outputs` are numbers that vary and that are returned.
    """

    _headers: ClassVar[tuple[str, ...]] = _HEADERS

    function: str
    inputs: int
    outputs: int
    argnums: Any
    figures: tuple[Figure, ...]
    agreement: Agreement
    advice: Advice
    memory: Memory | None
    colouring: str

    def __getitem__(self, key: tuple[str, str]) -> Figure:
        for figure in self.figures:
            if (figure.group, figure.name) == key:
                return figure
        known = "; ".join(f"{figure.group}: {figure.name}" for figure in self.figures)
        raise KeyError(f"there is no way {key!r}{user_line()}; there are: {known}")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((figure.group, figure.name) for figure in self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def plot(self, path: Any = None) -> Any:
        """A picture of the time and the operations of each way over those of one evaluation; matplotlib's figure.

        With a `path` it is saved there.  Raises ModuleNotFoundError where matplotlib is missing.
        """
        from shared.comparison.picture import draw

        return draw(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dictionaries, lists, numbers and texts, as JSON takes them: None for what is infinite."""
        return {
            "function": self.function,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "colouring": self.colouring,
            "figures": [_plain(asdict(figure)) for figure in self.figures],
            "agreement": _plain({**asdict(self.agreement), "holds": self.agreement.holds}),
            "advice": {**asdict(self.advice), "text": str(self.advice)},
            "memory": asdict(self.memory) if self.memory is not None else None,
        }

    # --- text ---

    def _caption(self) -> str:
        inputs, outputs = _plural(self.inputs, "input"), _plural(self.outputs, "output")
        return one_line(f"{self.function}: {inputs}, {outputs}")

    def _rows(self) -> list[list[Any]]:
        rows = []
        for figure in self.figures:
            name = figure.group if figure.name == "as it is" else f"{figure.group}, {figure.name}"
            error = "" if figure.error is None else f"{figure.error:.0e}" if figure.error else "0"
            rows.append(
                [name, figure.operations, figure.evaluations, figure.bytes_alive, seconds_text(figure.seconds),
                 None if figure.times is None else f"{figure.times:,.1f}", error, figure.note]
            )  # fmt: skip
        return rows

    def _sentences(self) -> list[str]:
        lines = [f"Advice: {self.advice}", *self._fastest(), f"Check: {self.agreement}"]
        if self.colouring:
            lines.append(f"Sparsity: {self.colouring}.")
        if self.memory is not None and self.memory.advice:
            lines.append(f"Memory: {self.memory.advice}.")
        return [one_line(part) for line in lines for part in line.split("\n")]

    def _fastest(self) -> list[str]:
        """What advice leaves out: compiled programs, and how far the fastest way of all is from one evaluation."""
        timed = [row for row in self.figures if row.group == self.advice.group and row.exact and row.times is not None]
        if not timed:
            return []
        best = min(timed, key=lambda row: row.times or 0.0)
        return [f"Fastest of all: {best.group}, {best.name}: {best.times:,.1f} times one evaluation."]

    def __str__(self) -> str:
        parts = [Tabulated.__str__(self), "\n".join(self._sentences())]
        return "\n\n".join([*parts, *[Tabulated.__str__(table) for table in self._tables()]])

    __repr__ = __str__

    def _tables(self) -> list[Tabulated]:
        """The tables of memory, without its sentence, which stands with the others."""
        if self.memory is None or not self.memory.kept:
            return []
        return [self.memory, self.memory.lines()]

    def markdown(self) -> str:
        """The tables in Markdown, and the sentences between them."""
        sentences = "\n".join(f"- {markdown_text(line)}" for line in self._sentences())
        parts = [Tabulated.markdown(self), sentences, *[table.markdown() for table in self._tables()]]
        return "\n\n".join(parts)

    def html(self) -> str:
        """The tables as HTML, and the sentences between them, with everything escaped that names bring in."""
        sentences = "".join(f"<li>{html_text(line)}</li>" for line in self._sentences())
        tables = "".join(table.html() for table in self._tables())
        return f"<div>{Tabulated.html(self)}<ul>{sentences}</ul>{tables}</div>"


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value in (_INFINITE, -_INFINITE) else value for name, value in fields.items()}


def seconds_text(seconds: float | None) -> str:
    """A duration with three digits and the unit that suits it; nothing where it is not known.

    >>> seconds_text(0.0000123), seconds_text(0.5), seconds_text(12.0), seconds_text(None)
    ('12.3 µs', '500 ms', '12 s', '')
    """
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
