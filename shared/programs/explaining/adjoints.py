"""The adjoints of a recorded program, read off its equations one at a time, last to first.

The engines are built to be fast, and forget what they have used; here every value and every adjoint stays, so that
people can look at them.  `ReverseSweep` steps through the program backwards as a debugger does, and what is drawn or
tabulated of a program reads it.  It follows the edges of the registry's primitives, as the engines do (Linnainmaa
1976; Griewank & Walther 2008, section 3.2).  This module knows no engine and no calculus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from shared.calling.arguments import as_leaf, in_dtype_of, same_structure
from shared.calling.tree import unflatten
from shared.core.assignment import SETITEM
from shared.core.edges import Like
from shared.core.errors import LeafTypeError, ShapeError, user_line
from shared.core.refcounts import ALONE_AS_PARAMETER, getrefcount
from shared.core.updates import map_to_value
from shared.core.visible import one_line
from shared.core.writing import duplicate, write
from shared.programs.equations import Equation, Write, nested_index
from shared.programs.explaining.evaluation import Evaluated, active_positions, has_derivative, place_text, value_text
from shared.programs.explaining.forward import tangents
from shared.programs.explaining.named import Values, number_of, shown
from shared.programs.program import Program
from shared.programs.tabulation import html_lines
from shared.programs.text import right_side


class Contribution:
    """What an equation adds to the adjoint of an operand: `value`, at `index` if that is not None.

    Where an assignment `overwrites` elements of an array, the adjoint of what was there before is the adjoint of the
    new array with zeros at those elements; `value` is that.  `position` is the operand's among the equation's, and
    `name` what the program calls it.
    """

    __slots__ = ("index", "name", "operand", "overwrites", "position", "value")

    def __init__(self, position: int, operand: int, value: Any, index: Any = None, overwrites: bool = False):
        self.position = position
        self.operand = operand
        self.value = value
        self.index = index
        self.overwrites = overwrites
        self.name = f"v{operand}"

    def __str__(self) -> str:
        place = "" if self.index is None else place_text(self.index)
        kept = " outside of what was overwritten" if self.overwrites else ""
        return one_line(f"{value_text(self.value)} to {self.name}{place}{kept}")

    def __repr__(self) -> str:
        return f"<{self}>"


class ReverseStep:
    """One equation that a reverse sweep has passed: its result's `adjoint`, and the `contributions` to its operands.

    `adjoint` is None where nothing varies or no output depends on the result; then there are no contributions.
    """

    __slots__ = ("adjoint", "contributions", "equation", "program")

    def __init__(self, program: Program, equation: Equation, adjoint: Any, contributions: tuple[Contribution, ...]):
        self.program = program
        self.equation = equation
        self.adjoint = adjoint
        self.contributions = contributions

    def __str__(self) -> str:
        program, equation = self.program, self.equation
        text = f"v{equation.result} = {right_side(program, equation)}: "
        if self.adjoint is None:
            return text + "no adjoint, adds nothing"
        terms = map(str, self.contributions)
        return f"{text}adjoint {value_text(self.adjoint)} adds {' and '.join(terms) or 'nothing'}"

    def __repr__(self) -> str:
        return f"<{self}>"


class Adjoints:
    """The adjoints of a sweep, by the number of a value or by its name ("x", "v3"): to be read, and to be changed.

    A value that nothing has been added to has zeros; one without a derivative (an integer, a mask) has None.  What is
    read may be written to in place, or assigned, as long as the sweep has not passed the equation that made the value.
    """

    __slots__ = ("_sweep",)

    def __init__(self, sweep: ReverseSweep):
        self._sweep = sweep

    def __len__(self) -> int:
        return len(self._sweep.values)

    def __repr__(self) -> str:
        sweep = self._sweep
        found = [
            0.0 if adjoint is None and has_derivative(value) else adjoint
            for adjoint, value in zip(sweep.found, sweep.values, strict=True)
        ]
        return shown("adjoints", sweep.program, found)

    def __getitem__(self, which: int | str) -> Any:
        sweep = self._sweep
        k = sweep.number(which)
        found = sweep.found
        value = sweep.values[k]
        if not has_derivative(value):
            return None
        if found[k] is None:
            zero = Like(value).zeros()
            found[k] = zero if isinstance(value, np.ndarray) else type(value)(0)
        if sweep.has_passed(k):
            return _frozen(found[k])
        if isinstance(found[k], np.ndarray):
            found[k] = _writable(found[k])
        return found[k]

    def __setitem__(self, which: int | str, adjoint: Any) -> None:
        sweep = self._sweep
        k = sweep.number(which)
        value = sweep.values[k]
        name = one_line(sweep.program.name_of(k))
        if sweep.has_passed(k):
            raise ValueError(
                f"ReverseSweep: the sweep has passed {name}{user_line()}, so a change of its adjoint would have no "
                "effect; start another sweep and change it earlier"
            )
        if not has_derivative(value):
            raise LeafTypeError(f"ReverseSweep: {name} is no floating-point value{user_line()}, so it has no adjoint")
        if np.shape(adjoint) != np.shape(value):
            raise ShapeError(
                f"ReverseSweep: the adjoint of {name} has shape {np.shape(value)}, not {np.shape(adjoint)}{user_line()}"
            )
        adjoint = in_dtype_of(adjoint, value)
        sweep.found[k] = np.array(adjoint) if isinstance(value, np.ndarray) else adjoint


class ReverseSweep(Evaluated):
    """The reverse sweep over a program, one equation at a time: an iterator to step through as in a debugger.

    Making it evaluates the program (`f` is a `Program`, or a function that is recorded here) and sets the adjoints of
    the outputs: to 1 for one real number, otherwise to `cotangent`, in the structure of the output.  Each `next` then
    passes one equation, last to first, and returns a `ReverseStep`; between steps `values[k]` can be read, and
    `adjoints[k]` read and changed.  `finish()` runs the rest and returns the gradients.

    Cost: one evaluation of the program, with every value kept (an assignment copies its array), and at each step the
    transposed maps of one equation.  Raises ShapeError where the output is not one number and no cotangent is given,
    or one that does not fit; LeafTypeError for integers alone or what is being differentiated; ProgramGuardError where
    the program does not fit the arguments, or uses a function with a derivative of its own, whose rule would be lost.

    >>> sweep = ReverseSweep(lambda x, y: np.sin(x) * y, 0.0, 5.0)
    >>> print(next(sweep))
    v3 = v2 * y: adjoint 1 adds 5 to v2 and 0 to y
    >>> sweep.adjoints["v2"] = 10.0
    >>> print(next(sweep))
    v2 = sin(x): adjoint 10 adds 10 to x
    >>> sweep.finish()
    (10.0, 0.0)
    """

    def __init__(self, f: Callable[..., Any] | Program, *args: Any, cotangent: Any = None):
        self._start("ReverseSweep", f, args, cotangent)

    @classmethod
    def called(
        cls, name: str, f: Callable[..., Any] | Program, args: tuple[Any, ...], cotangent: Any = None
    ) -> ReverseSweep:
        """A sweep on behalf of the function of this name, which errors then name."""
        sweep = cls.__new__(cls)
        sweep._start(name, f, args, cotangent)
        return sweep

    def _start(self, name: str, f: Callable[..., Any] | Program, args: tuple[Any, ...], cotangent: Any) -> None:
        super().__init__(name, f, args)
        program = self.program
        self.values = Values(self.values, program)
        #: the adjoint of each value as far as it is known, None where nothing has been added
        self.found: list[Any] = [None] * len(self.values)
        self.adjoints = Adjoints(self)
        self._equations = program.equations
        #: how many equations the sweep has not passed yet: the next is the last of these
        self.remaining = len(self._equations)
        self._place = {equation.result: place for place, equation in enumerate(self._equations)}
        #: the adjoints that the outputs start with
        self.seeds = self._seeds(cotangent)
        for k, seed in zip(program.outputs, self.seeds, strict=True):
            if has_derivative(self.values[k]):
                self._add(k, np.array(seed) if isinstance(self.values[k], np.ndarray) else seed)

    def _seeds(self, cotangent: Any) -> list[Any]:
        program = self.program
        outputs = [self.values[k] for k in program.outputs]
        if cotangent is not None:
            return same_structure(self.caller, "cotangent", cotangent, program.out_structure, outputs)
        returned = f"{self.caller}: {program.name} returned"
        if len(outputs) != 1:
            raise ShapeError(
                f"{returned} {len(outputs)} values{user_line()}; give the cotangent of each, "
                "cotangent=..., in the structure of the output"
            )
        out = outputs[0]
        if np.shape(out) != ():
            raise ShapeError(
                f"{returned} an array of shape {np.shape(out)}{user_line()}, which has no gradient; give "
                "the cotangent of the output, cotangent=np.ones(...) for the sum of its elements"
            )
        if np.iscomplexobj(out):
            raise ShapeError(
                f"{returned} a complex number{user_line()}; give cotangent=1.0 + 0j for the gradient of its real part"
            )
        return [in_dtype_of(1.0, out) if has_derivative(out) else 0.0]

    def number(self, which: int | str) -> int:
        """The number of a value, from its number or its name."""
        return number_of(self.program, which)

    def has_passed(self, k: int) -> bool:
        """Whether the sweep has passed the equation that made value k, so that its adjoint is used up."""
        return self._place.get(k, -1) >= self.remaining

    @property
    def next_equation(self) -> Equation | None:
        """The equation that the next step passes; None at the end."""
        return self._equations[self.remaining - 1] if self.remaining else None

    # --- stepping ---

    def __iter__(self) -> Iterator[ReverseStep]:
        return self

    def __next__(self) -> ReverseStep:
        equation = self.next_equation
        if equation is None:
            raise StopIteration
        self.remaining -= 1
        adjoint = self.found[equation.result]
        contributions: tuple[Contribution, ...] = ()
        if not self.varies[equation.result]:
            adjoint = None
        elif adjoint is not None:
            contributions = tuple(self._contributions(equation, adjoint))
            for contribution in contributions:
                self._contribute(equation, contribution)
                contribution.value = _frozen(contribution.value)
                contribution.name = self.program.name_of(contribution.operand)
        return ReverseStep(self.program, equation, _frozen(adjoint), contributions)

    def finish(self) -> tuple[Any, ...]:
        """Pass the remaining equations; the gradients with respect to the arguments, in their structure.

        What has no derivative (an integer, a string, an array of integers) has None in its place.
        """
        for _ in self:
            pass
        return self.gradients()

    def gradients(self) -> tuple[Any, ...]:
        """The gradients as far as the sweep has come: those of the arguments when it has passed all equations."""
        program = self.program
        inputs = iter(program.inputs)
        leaves: list[Any] = []
        for position in range(program.structure.size):
            if position in program.static_leaves:
                leaves.append(None)
                continue
            k = next(inputs)
            value = self.values[k]
            leaves.append(as_leaf(self.found[k], value) if has_derivative(value) else None)
        return tuple(unflatten(program.structure, leaves)[0])

    def __repr__(self) -> str:
        equation = self.next_equation
        ahead = f"next v{equation.result} = {right_side(self.program, equation)}" if equation else "at the end"
        passed = len(self._equations) - self.remaining
        whole = len(self._equations)
        return one_line(f"<reverse sweep over {self.program.name}: {passed} of {whole} equations passed, {ahead}>")

    def _repr_html_(self) -> str:
        """A line for each input and each operation: its value, and its adjoint as far as the sweep has come."""
        program, following = self.program, self.next_equation
        made = {equation.result: equation for equation in self._equations}
        rows = []
        for k in (*program.captured, *program.inputs, *made):
            name = f"v{k} = {right_side(program, made[k])}" if k in made else program.name_of(k)
            adjoint = "" if self.found[k] is None else value_text(self.found[k])
            place = "next" if following is not None and k == following.result else ""
            rows.append([name, value_text(self.values[k]), adjoint, place or "passed" * self.has_passed(k)])
        passed = len(self._equations) - self.remaining
        caption = f"reverse sweep over {program.name}: {passed:,} of {len(self._equations):,} equations passed"
        return html_lines(caption, ["value", "is", "adjoint", "sweep"], rows)

    # --- what a step does ---

    def _add(self, k: int, term: Any) -> None:
        old = self.found[k]
        self.found[k] = term if old is None else old + term

    def _contribute(self, equation: Equation, contribution: Contribution) -> None:
        k = contribution.operand
        if contribution.index is None or isinstance(equation.primitive, Write):
            self._add(k, contribution.value)
            return
        # The cotangent of an element costs the size of the element where the array is nobody else's.
        buffer, self.found[k] = self.found[k], None
        edge = equation.primitive.edges[0]
        kept = equation.primitive.keep(edge, 0, None, self.given(equation), equation.static)
        buffer = kept[0].zeros() if buffer is None else _writable(buffer)
        self.found[k] = edge.accumulate(buffer, contribution.value, kept)

    def _contributions(self, equation: Equation, adjoint: Any) -> Iterator[Contribution]:
        positions = active_positions(equation, self.varies)
        out, values = self.values[equation.result], self.given(equation)
        if isinstance(equation.primitive, Write):
            yield from self._of_write(equation, positions, out, values, adjoint)
            return
        maps, common = equation.primitive.linear_maps(out, values, positions, equation.static)
        if common is not None:
            edge, kept = common
            adjoint = edge.pull(adjoint, kept)
        for position, edge, kept in maps:
            k = equation.operands[position]
            if edge.pull is None:
                yield Contribution(position, k, adjoint, tuple(values[1:]))
            else:
                yield Contribution(position, k, edge.pull(adjoint, kept))

    def _of_write(
        self, equation: Equation, positions: list[int], out: Any, values: Sequence[Any], adjoint: Any
    ) -> Iterator[Contribution]:
        """Of an assignment: what it replaced gets nothing, the value assigned gets what was in that place."""
        updating = equation.primitive.updating
        _, value, *parts = values
        index = nested_index(parts, equation.static["lengths"])
        for position in positions:
            k = equation.operands[position]
            if position:
                edge, kept = map_to_value(updating, index, value, out)
                assert edge.pull is not None
                yield Contribution(1, k, edge.pull(adjoint, kept))
            elif updating is SETITEM:
                remaining = write(duplicate(np.asarray(adjoint)), SETITEM, index, 0.0)
                yield Contribution(0, k, remaining, index, overwrites=True)
            else:
                yield Contribution(0, k, adjoint)


def _writable(array: Any) -> Any:
    """An array that its list of adjoints alone holds, or a copy: the caller has it in a local variable besides."""
    if (
        array.__class__ is np.ndarray
        and array.base is None
        and array.flags.writeable
        and getrefcount(array) <= ALONE_AS_PARAMETER
    ):
        return array
    return np.array(array)


def _frozen(value: Any) -> Any:
    """A value that cannot be written to: what is shown of a step is what was used."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


__all__ = ["Adjoints", "Contribution", "Evaluated", "ReverseStep", "ReverseSweep", "tangents", "value_text"]
