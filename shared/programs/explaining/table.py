"""The evaluation trace of a function as a table: per line what is computed, its tangent and its adjoint.

These are tables 2 and 3 of Baydin, Pearlmutter, Radul & Siskind (2018, "Automatic differentiation in machine learning:
a survey", section 3) in one, with the numbering of Griewank & Walther (2008, section 2.2): the n inputs are v with the
indices 1-n to 0, the results of operations v with 1, 2, 3, ...  Numbers come from
`shared.programs.explaining.adjoints`, formulas from `shared.programs.explaining.expressions`; this module puts them
into lines, and the lines into text, Markdown, LaTeX and HTML.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from shared.core.errors import ShapeError, user_line
from shared.core.visible import one_line, shortened
from shared.programs.equations import Equation
from shared.programs.explaining.adjoints import ReverseSweep
from shared.programs.explaining.evaluation import Evaluated, active_positions, has_derivative, value_text
from shared.programs.explaining.expressions import Marks, as_html, as_latex, joined, number_text, plain, theirs, width
from shared.programs.explaining.forward import pushed_tangents
from shared.programs.explaining.remarks import remark
from shared.programs.explaining.rounding import error_of
from shared.programs.markup import html_text, latex_name, latex_text
from shared.programs.program import Program
from shared.programs.tabulation import latex_tabular, markdown_table

#: Of more lines than this an error lists the first and the last.
_LISTED = 30
#: The columns there are.
COLUMNS = ("primal", "tangent", "adjoint", "gate", "rounding")
#: Those that have no formula, and so take one place.
_SINGLE = ("gate", "rounding")

# --- lines ------------------------------------------------------------------------------------------------------------


class Term:
    """One contribution to an adjoint: its formula and its value, None where that is a part of an array."""

    __slots__ = ("text", "value")

    def __init__(self, text: str, value: Any):
        self.text = text
        self.value = value

    def __repr__(self) -> str:
        return f"<{plain(self.text)}{'' if self.value is None else f' = {value_text(self.value)}'}>"


class TraceLine:
    """One line: an input, the result of an operation, or an output of the function.

    `name` is its index, as in "v-1" or "v3", or "y" for an output; `value`, `tangent` and `adjoint` are numbers or
    arrays, None where the table has no such column or the line no derivative.  `contributions` are what operations
    added to the adjoint, in the order in which the reverse sweep came to them.  `argument` is what an input is called
    among the arguments, None of other lines.  `gate` says what the operation does with its adjoint.  `rounding` is what
    the line adds to the rounding error of the output.
    """

    __slots__ = (
        "_adjoint_text", "_mark", "_primal_text", "_tangent_text", "adjoint", "argument", "contributions", "gate",
        "name", "number", "rounding", "tangent", "value", "where",
    )  # fmt: skip

    def __init__(self, name: str, number: int, mark: str, primal_text: str, value: Any, where: str = ""):
        self.name = name
        #: the number of the value in the program
        self.number = number
        self.value = value
        self.where = where
        self.argument: str | None = None
        self.tangent: Any = None
        self.adjoint: Any = None
        self.contributions: list[Term] = []
        self.gate = ""
        self.rounding: float | None = None
        self._mark = mark
        self._primal_text = primal_text
        self._tangent_text = ""
        self._adjoint_text = ""

    def cells(self, columns: Sequence[str], number_format: str) -> list[str]:
        """The texts of this line: of each column the formula and the value, of those without a formula one."""
        found: list[str] = []
        for column in columns:
            if column == "primal":
                found += [f"{self._mark} = {self._primal_text}", value_text(self.value, number_format)]
            elif column == "tangent":
                found += _cell(_accented(self._mark, "t"), self._tangent_text, self.tangent, number_format)
            elif column == "adjoint":
                cell = _cell(_accented(self._mark, "a"), self._adjoint_text, self.adjoint, number_format)
                values = [term.value for term in self.contributions]
                if cell[1] and len(values) > 1 and all(v is not None and np.shape(v) == () for v in values):
                    cell[1] = f"{joined([value_text(v, number_format) for v in values])} = {cell[1]}"
                found += cell
            elif column == "gate":
                found.append(self.gate)
            else:
                found.append("" if self.rounding is None else format(self.rounding, ".2g"))
        return found

    def __repr__(self) -> str:
        return f"<{self.name} = {plain(self._primal_text)} = {value_text(self.value)}>"


def _accented(mark: str, kind: str) -> str:
    """The mark of a value's tangent ("t") or adjoint ("a"); outputs have marks of their own."""
    return mark.replace("⟨v", f"⟨{kind}").replace("⟨y", "⟨u" if kind == "t" else "⟨z")


def _cell(name: str, text: str, value: Any, number_format: str) -> list[str]:
    if value is None:
        return ["", ""]
    return [f"{name} = {text}" if text else name, value_text(value, number_format)]


# --- the table --------------------------------------------------------------------------------------------------------


class TraceTable:
    """The evaluation trace of a function at a point, made by `trace_table`.

    `str(table)` is text for a terminal; `markdown()`, `latex()` and `html()` are for documents, and Jupyter shows it by
    itself.  `lines` holds the numbers, and `table["v3"]` one line: by what stands on its left side, as "v3", "v₃" or 3,
    "v-1", "v₋₁" or -1, "y", or by the name of an argument.  Where an argument is called as a left side is, that counts.
    """

    def __init__(
        self, title: str, lines: list[TraceLine], columns: tuple[str, ...], number_format: str, max_lines: int | None
    ):
        self.title = title
        self.lines = lines
        self.columns = columns
        self.number_format = number_format
        self.max_lines = max_lines

    def __getitem__(self, name: str | int) -> TraceLine:
        # The digits of an index as they are printed, below the line, are digits.
        label = (
            unicodedata.normalize("NFKC", name).replace("\N{MINUS SIGN}", "-") if isinstance(name, str) else f"v{name}"
        )
        found = [line for line in self.lines if line.name == label]
        if isinstance(name, str):
            named = [line for line in self.lines if line.argument == name]
            if not found and len(named) > 1:
                raise KeyError(
                    f"the trace has several arguments that print as {name!r}{user_line()}; take one by what stands on "
                    f"its left: {', '.join(line.name for line in named)}"
                )
            found += named
        if found:
            return found[0]
        known = [line.name if line.argument is None else f"{line.name} ({line.argument})" for line in self.lines]
        if len(known) > _LISTED:
            known[_LISTED // 2 : -_LISTED // 2] = ["..."]
        raise KeyError(f"the trace has no line {name!r}{user_line()}; its lines are: {', '.join(known) or 'none'}")

    def __iter__(self) -> Iterator[TraceLine]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def _rows(self) -> tuple[list[list[str]], str, int]:
        """The cells of the lines that are shown, what is said of those that are not, and where they were."""
        count, limit = len(self.lines), self.max_lines
        shown, note, place = self.lines, "", count
        if limit is not None and count > limit:
            place = (limit + 1) // 2
            left_out = self.lines[place : count - limit // 2]
            shown = self.lines[:place] + self.lines[count - limit // 2 :]
            note = (
                f"... {len(left_out)} lines left out, {left_out[0].name} to {left_out[-1].name}: "
                f"max_lines={count} shows all"
            )
        return [line.cells(self.columns, self.number_format) for line in shown], note, place

    def _heads(self) -> list[str]:
        return [head for column in self.columns for head in ([column] if column in _SINGLE else [column, ""])]

    def __str__(self) -> str:
        rows, note, place = self._rows()
        table = [self._heads(), *[[plain(cell) for cell in row] for row in rows]]
        widths = [max(width(row[k]) for row in table) for k in range(len(table[0]))]
        texts = ["  ".join(_filled(cell, n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in table]
        texts.insert(1, "  ".join("-" * n for n in widths))
        if note:
            texts.insert(2 + place, note)
        return "\n".join([one_line(self.title), *texts])

    __repr__ = __str__

    def markdown(self) -> str:
        """The table in Markdown, of the kind with bars between columns, below its title."""
        rows, note, place = self._rows()
        heads = self._heads()
        texts = [[plain(c) for c in row] for row in rows]
        if note:
            texts.insert(place, [note, *[""] * (len(heads) - 1)])
        return markdown_table(self.title, heads, texts)

    def latex(self) -> str:
        """The table as a LaTeX `tabular`, which needs no package; its first row is the title."""
        rows, note, place = self._rows()
        heads = self._heads()
        texts = [[f"${as_latex(cell)}$" if cell else "" for cell in row] for row in rows]
        notes = {place: latex_text(note)} if note else {}
        return latex_tabular(f"${latex_name(self.title)}$", "l" * len(heads), heads, texts, notes)

    def html(self) -> str:
        """The table as an HTML `table`, with everything escaped that the function's names bring in."""
        rows, note, place = self._rows()
        cell = '<td style="text-align: left">{}</td>'.format
        texts = ["<tr>" + "".join(cell(as_html(c)) for c in row) + "</tr>" for row in rows]
        heads = "".join(
            f'<th style="text-align: left" colspan="{1 if column in _SINGLE else 2}">{column}</th>'
            for column in self.columns
        )
        if note:
            span = len(self._heads())
            texts.insert(place, f'<tr><td style="text-align: left" colspan="{span}">{html_text(note)}</td></tr>')
        caption = f"<caption>{html_text(self.title)}</caption>"
        return "\n".join(
            ["<table>", caption, f"<thead><tr>{heads}</tr></thead>", "<tbody>", *texts, "</tbody>", "</table>"]
        )

    def _repr_html_(self) -> str:
        return self.html()


def _filled(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


# --- making it --------------------------------------------------------------------------------------------------------


def trace_table(
    f: Callable[..., Any] | Program,
    *args: Any,
    direction: Any = None,
    cotangent: Any = None,
    columns: str | Sequence[str] | None = None,
    number_format: str = ".4g",
    max_lines: int | None = 45,
) -> TraceTable:
    """The evaluation trace of `f` at `args`, one line an operation: its value, its tangent and its adjoint.

    `f` is a function, or a recorded `Program`.  With a `direction` (one tangent an argument, None for one that does not
    vary) there is a column of tangents; adjoints are those of one real output, or start from `cotangent`, in the
    structure of the output.  Numbers are shown as they are, larger arrays by shape and norm.  An input or an
    intermediate value that is used more than once gets its adjoint in several contributions, in the order of the sweep.

    `columns` chooses among "primal", "tangent", "adjoint", "gate", which says in a word what each operation does with
    its adjoint (`+` distributes it, `*` switches, a maximum selects the left or the right), and "rounding", which is
    what each line adds to the rounding error of the output (see `rounding_error`).  `number_format` is a format
    specification such as ".3f".  Of more than `max_lines` lines, a page, the middle is left out, which is said; None
    shows all.

    Cost: one evaluation of `f`, a forward and a reverse sweep, with everything kept.  Raises ShapeError where adjoints
    are asked for and the output is not one real number and no cotangent given, or a direction or cotangent does not
    fit; ValueError for columns that do not exist or a tangent without a direction; otherwise as `ReverseSweep`.

    >>> def f(x1, x2):
    ...     v1, v2, v3 = np.log(x1), x1 * x2, np.sin(x2)
    ...     return v1 + v2 - v3
    >>> table = trace_table(f, 2.0, 5.0, direction=(1.0, 0.0))
    >>> [f"{term.value:.3f}" for term in table["v-1"].contributions], f"{table['v5'].value:.3f}"
    (['5.000', '0.500'], '11.652')

    The example is that of Baydin et al. (2018, tables 2 and 3).
    """
    chosen = _columns(columns, direction is not None)
    _require_format(number_format)
    if max_lines is not None and max_lines < 2:
        raise ValueError(f"trace_table: max_lines must be at least 2, or None for all, not {max_lines!r}{user_line()}")
    if direction is None and "tangent" in chosen:
        raise ValueError(
            f'trace_table: the column "tangent" needs a direction{user_line()}: give one tangent an argument, such as '
            f"direction={(1.0, *[0.0] * (len(args) - 1))}"
        )
    sweep: ReverseSweep | None = None
    if "adjoint" in chosen or "rounding" in chosen:
        try:
            sweep = ReverseSweep.called("trace_table", f, args, cotangent)
        except ShapeError as error:
            error.add_note('For a table without adjoints pass columns=("primal",) or ("primal", "tangent").')
            raise
    evaluation: Evaluated = sweep if sweep is not None else Evaluated("trace_table", f, args)
    lines = _Lines(evaluation)
    if "tangent" in chosen:
        lines.fill_tangents(pushed_tangents(evaluation, args, direction))
    if "gate" in chosen:
        lines.fill_gates()
    if sweep is not None:
        lines.fill_adjoints(sweep)
        if "rounding" in chosen:
            lines.fill_rounding(sweep)
    return TraceTable(evaluation.header, lines.all(), chosen, number_format, max_lines)


def _columns(columns: str | Sequence[str] | None, has_direction: bool) -> tuple[str, ...]:
    if columns is None:
        return ("primal", "tangent", "adjoint") if has_direction else ("primal", "adjoint")
    chosen = (columns,) if isinstance(columns, str) else tuple(columns)
    unknown = [column for column in chosen if column not in COLUMNS]
    if unknown or not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(
            f"trace_table: columns must be chosen from {', '.join(COLUMNS)}, each at most once, not {columns!r}"
            f"{user_line()}"
        )
    return chosen


def _require_format(number_format: str) -> None:
    try:
        format(1.5, number_format)
        format(1.5j, number_format)
    except (TypeError, ValueError):
        raise ValueError(
            f"trace_table: {number_format!r} is no format of real and complex numbers{user_line()}; write one such as "
            "'.3f' or '.4g'"
        ) from None


class _Lines:
    """The lines of one table while it is made: inputs, what is read from outside, operations, outputs."""

    def __init__(self, evaluation: Evaluated):
        self.evaluation = evaluation
        self.program = program = evaluation.program
        count = len(program.inputs)
        numbers = {k: place + 1 - count for place, k in enumerate(program.inputs)}
        equations = program.equations
        numbers |= {equation.result: place + 1 for place, equation in enumerate(equations)}
        texts = {k: _text(program, k) for k in range(len(program.types))}
        self.marks = Marks(numbers, texts, evaluation.values)
        values = evaluation.values
        self.by_number: dict[int, TraceLine] = {}
        for k in program.captured:
            self.by_number[k] = TraceLine(program.name_of(k), k, texts[k], "read from outside", values[k])
        for k in program.inputs:
            self.by_number[k] = TraceLine(f"v{numbers[k]}", k, self.marks.value(k), texts[k], values[k])
            self.by_number[k].argument = program.names[k]
        for equation in equations:
            k, text = equation.result, self.marks.primal(equation)
            self.by_number[k] = TraceLine(f"v{numbers[k]}", k, self.marks.value(k), text, values[k], equation.where)
        places = [""] if len(program.outputs) == 1 else [str(k + 1) for k in range(len(program.outputs))]
        self.outputs = [
            TraceLine(f"y{place}", k, f"⟨y{place}⟩", self.marks.value(k), values[k])
            for place, k in zip(places, program.outputs, strict=True)
        ]

    def all(self) -> list[TraceLine]:
        return [*self.by_number.values(), *self.outputs]

    def fill_tangents(self, tangents: list[Any]) -> None:
        varies = self.evaluation.varies
        for k, line in self.by_number.items():
            if varies[k]:
                line.tangent = _zero_like(line.value) if tangents[k] is None else tangents[k]
        for equation in self.program.equations:
            if varies[equation.result]:
                line = self.by_number[equation.result]
                line._tangent_text = self.marks.tangent_of(equation, active_positions(equation, varies))
        for line in self.outputs:
            if varies[line.number]:
                line.tangent = self.by_number[line.number].tangent
                line._tangent_text = self.marks.tangent(line.number)

    def fill_adjoints(self, sweep: ReverseSweep) -> None:
        varies = self.evaluation.varies
        for line, seed in zip(self.outputs, sweep.seeds, strict=True):
            if varies[line.number]:
                line.adjoint = seed
                self.by_number[line.number].contributions.append(Term(_accented(line._mark, "a"), seed))
        for step in sweep:
            for contribution in step.contributions:
                self._note(step.equation, contribution)
        for k, line in self.by_number.items():
            if varies[k]:
                line.adjoint = _zero_like(line.value) if sweep.found[k] is None else sweep.found[k]
                line._adjoint_text = joined([term.text for term in line.contributions])

    def _note(self, equation: Equation, contribution: Any) -> None:
        text = self.marks.adjoint_term(equation, contribution.position, contribution.overwrites)
        partial = contribution.index is not None and not contribution.overwrites
        self.by_number[contribution.operand].contributions.append(Term(text, None if partial else contribution.value))

    def fill_gates(self) -> None:
        for equation in self.program.equations:
            if self.evaluation.varies[equation.result]:
                self.by_number[equation.result].gate = remark(equation, self.evaluation.given(equation))

    def fill_rounding(self, sweep: ReverseSweep) -> None:
        error = error_of(sweep)
        for line_error in error.lines:
            self.by_number[line_error.equation.result].rounding = line_error.amount
        if len(self.outputs) == 1:
            self.outputs[0].rounding = error.bound


#: Names are cut in the middle beyond this.
_LONGEST_NAME = 60
_FORMULAS = frozenset((int, float, complex, bool, slice, type(Ellipsis), type(None)))


def _text(program: Program, k: int) -> str:
    """How a value is written that has no index: a number as part of the formula, anything else as it is named."""
    literal = program.literals.get(k)
    is_formula = k in program.literals and (
        literal.__class__ in _FORMULAS or isinstance(literal, (np.ndarray, np.number))
    )
    if is_formula:
        return number_text(literal) or program.name_of(k)
    return theirs(shortened(program.name_of(k), _LONGEST_NAME))


def _zero_like(value: Any) -> Any:
    if not has_derivative(value):
        return None
    return np.zeros_like(value) if isinstance(value, np.ndarray) else type(value)(0)


__all__ = ["TraceLine", "TraceTable", "trace_table"]
