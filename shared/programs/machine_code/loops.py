"""A kernel as loops of C: axes that lie together in memory are one, long innermost loops go block by block.

Sums are taken over blocks, in the lanes of vectors, and the sums of blocks pairwise, so they round as NumPy's do.
Assignments to overlapping parts of one buffer are loops of their own within a block, over values that the first loop
leaves in small arrays.  This module knows no programs, and of a function only how its buffers are called.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeGuard

from shared.programs.machine_code.kernels import (
    Buffer,
    Check,
    Compute,
    Constant,
    Kernel,
    Operand,
    Read,
    Reduce,
    Statement,
    Update,
    contiguous,
)
from shared.programs.machine_code.operations import number_literal, said

if TYPE_CHECKING:
    from shared.programs.machine_code.emission import StretchText

#: Elements of a block.
BLOCK = 256
#: So many partial extrema are taken at a time.
LANES = 16


class Loop:
    """The lines of one kernel."""

    def __init__(self, function: StretchText, kernel: Kernel):
        self.function = function
        self.kernel = kernel
        #: the results of this kernel so far: variables at each element
        self.local: set[int] = set()
        self.computed = {s.result.number for s in kernel.statements if isinstance(s, Compute)}
        self._collapse()
        #: the statements of each loop of a block
        self.phases: list[list[Statement]] = self._phases()
        #: what later loops of a block need, in small arrays
        self.temporaries: dict[int, Buffer] = self._temporaries() if len(self.phases) > 1 else {}
        inner = self.dims[-1] if self.dims else 1
        last = len(self.dims) - 1
        self.reduces = [s for s in kernel.statements if isinstance(s, Reduce)]
        self.sums = [s for s in self.reduces if s.how == "sum" and last in self.axes[id(s)]]
        self.blocks = inner > BLOCK and bool(self.temporaries or self.sums)

    # --- the domain ---

    def _collapse(self) -> None:
        """Take axes together wherever all that is read and written lets them: `dims`, and `axes` of reductions."""
        domain, statements = self.kernel.domain, self.kernel.statements
        strides = [r.strides for r in self.kernel.reads()]
        strides += [s.place.strides for s in statements if isinstance(s, Update)]
        strides += [s.strides for s in statements if isinstance(s, Reduce)]
        strides.append(contiguous(domain))
        reduced = [s.axes for s in statements if isinstance(s, Reduce)]
        groups: list[list[int]] = []
        for p, n in enumerate(domain):
            if (
                groups
                and all(s[p - 1] == s[p] * n for s in strides)
                and all((p - 1 in axes) is (p in axes) for axes in reduced)
            ):
                groups[-1].append(p)
            else:
                groups.append([p])
        self.groups = groups
        self.dims = [math.prod(domain[p] for p in group) for group in groups]
        self.axes = {
            id(s): [g for g, group in enumerate(groups) if group[-1] in s.axes]
            for s in statements
            if isinstance(s, Reduce)
        }

    def _strides(self, strides: tuple[int, ...]) -> list[int]:
        return [strides[group[-1]] for group in self.groups]

    def _address(self, offset: int, strides: tuple[int, ...], index: str = "i") -> str:
        names = [f"i{k}" for k in range(len(self.dims) - 1)] + [index]
        parts = [
            name if stride == 1 else f"{name} * {stride}"
            for name, stride in zip(names, self._strides(strides), strict=False)
            if stride
        ]
        if offset or not parts:
            parts.insert(0, str(offset))
        return " + ".join(parts)

    # --- phases ---

    def _phases(self) -> list[list[Statement]]:
        statements = self.kernel.statements
        if not self.dims:
            return [statements]
        first: list[Statement] = []
        later: list[list[Statement]] = []
        places: dict[int, object] = {}
        for s in statements:
            if isinstance(s, Update):
                where = (s.place.offset, s.place.strides)
                if s.place.terms or places.setdefault(s.result.number, where) != where:
                    places[s.result.number] = None
                    later.append([s])
                    continue
            elif isinstance(s, Reduce) and s.how != "sum" and len(statements) > 1:
                later.append([s])
                continue
            first.append(s)
        return [first, *later] if first else later

    def _temporaries(self) -> dict[int, Buffer]:
        found = {}
        for phase in self.phases[1:]:
            for s in phase:
                for o in s.operands:
                    if isinstance(o, Read) and o.buffer.number in self.computed and not o.buffer.stored:
                        found[o.buffer.number] = o.buffer
        return found

    # --- text ---

    def _operand(self, operand: Operand, kind: str, is_cast: bool = True) -> str:
        if isinstance(operand, Constant):
            return number_literal(operand.value, kind)
        text = self._read(operand)
        if not is_cast or operand.buffer.kind == kind:
            return text
        # A choice stays a mask of vectors, where a conversion would pack and unpack bytes.
        return f"({text} ? 1 : ({kind})0)" if operand.buffer.kind == "truth" else f"({kind}){text}"

    def _read(self, read: Read) -> str:
        buffer, function = read.buffer, self.function
        if buffer.number in self.local and not read.terms:
            return f"v{buffer.number}"
        if buffer.number in self.temporaries:
            return f"t{buffer.number}[{'i - start' if self.blocks else 'i'}]"
        if function.is_variable(buffer) and not read.terms:
            return function.names[buffer.number]
        return self._element(read)

    def _element(self, read: Read) -> str:
        address = self._address(read.offset, read.strides)
        for term, stride, extent in read.terms:
            address += f" + within({self._element(term)}, {extent}, &bad) * {stride}"
        return f"{self.function.pointer(read.buffer)}[{address}]"

    def _statement(self, s: Statement) -> Iterator[str]:
        function = self.function
        if isinstance(s, Compute):
            is_choice = s.expression.startswith("{0} ?")
            operands = [self._operand(o, s.kind, not (is_choice and k == 0)) for k, o in enumerate(s.operands)]
            text = s.expression.format(*operands, f="f" if s.kind == "float" else "")
            yield from self._assign(s.result, text)
        elif isinstance(s, Update):
            variable = function.is_variable(s.result) and not s.place.terms
            target = function.names[s.result.number] if variable else self._element(s.place)
            yield f"{target} {'+=' if s.adds else '='} {self._operand(s.operand, s.result.kind)};"
        elif isinstance(s, Check):
            yield f"if ({'!' if s.expected else ''}{self._operand(s.operand, 'truth')}) return {s.status};"
        else:
            yield from self._accumulate(s)

    def _assign(self, result: Buffer, text: str) -> Iterator[str]:
        function, name = self.function, f"v{result.number}"
        if not self.dims:
            target = function.names[result.number] if function.is_variable(result) else f"{function.pointer(result)}[0]"
            yield f"{target} = {text};"
            return
        yield f"const {result.kind} {name} = {text};"
        if result.stored:
            yield f"{function.pointer(result)}[{self._address(0, contiguous(self.kernel.domain))}] = {name};"
        if result.number in self.temporaries:
            yield f"t{result.number}[{'i - start' if self.blocks else 'i'}] = {name};"
        self.local.add(result.number)

    def _target(self, s: Reduce) -> str:
        """The element that a reduction goes to."""
        if self.function.is_variable(s.result):
            return self.function.names[s.result.number]
        return f"{self.function.pointer(s.result)}[{self._address(0, s.strides)}]"

    def _accumulate(self, s: Reduce) -> Iterator[str]:
        value = self._operand(s.operand, s.result.kind)
        name = s.result.number
        if len(self.dims) - 1 not in self.axes[id(s)]:
            yield _combined(s.how, self._target(s), value)
        elif s.how == "sum":
            yield f"a{name} += {value};"
        else:
            yield f"{_combined(s.how, f'a{name}', value)}"

    # --- loops ---

    def lines(self) -> Iterator[str]:
        """All lines."""
        if not self.dims:
            for s in self.kernel.statements:
                yield from self._with_comment(s)
            return
        yield "{"
        for s in self.reduces:
            if self._is_partial(s):
                yield from (f"    {line}" for line in self._initial(s))
        for number, buffer in self.temporaries.items():
            yield f"    {buffer.kind} t{number}[{min(BLOCK, self.dims[-1])}];"
        yield from (f"    {line}" for line in self._nest(0))
        yield "}"

    def _suffix(self, s: Reduce) -> int:
        """The axis from which on all are reduced."""
        level = len(self.dims)
        while level - 1 in self.axes[id(s)]:
            level -= 1
        return level

    def _is_partial(self, s: Reduce) -> bool:
        """Whether its elements are added to several times."""
        return len(self.axes[id(s)]) > len(self.dims) - self._suffix(s)

    def _initial(self, s: Reduce) -> Iterator[str]:
        start = {"sum": "0", "max": "-INFINITY", "min": "INFINITY"}[s.how]
        if s.result.size == 1:
            target = self.function.names[s.result.number] if self.function.is_variable(s.result) else (
                f"{self.function.pointer(s.result)}[0]"
            )  # fmt: skip
            yield f"{target} = {start};"
        else:
            yield f"for (long i = 0; i < {s.result.size}; i++) {self.function.pointer(s.result)}[i] = {start};"

    def _nest(self, axis: int) -> Iterator[str]:
        """The loops from an axis on."""
        ending = [s for s in self.reduces if self._suffix(s) == axis]
        for s in ending:
            kind, name = s.result.kind, s.result.number
            if s.how == "sum" and self._has_cascade(s):
                yield f"cascade_{kind} c{name};"
                yield f"c{name}.count = 0;"
            elif s.how != "sum":
                yield f"{kind} a{name} = {'-' if s.how == 'max' else ''}INFINITY;"
        if axis == len(self.dims) - 1:
            yield from self._inner(ending)
        else:
            yield f"for (long i{axis} = 0; i{axis} < {self.dims[axis]}; i{axis}++) {{"
            yield from (f"    {line}" for line in self._nest(axis + 1))
            yield "}"
        for s in ending:
            name = s.result.number
            total = f"total_{s.result.kind}(&c{name})" if s.how == "sum" and self._has_cascade(s) else f"a{name}"
            if self._is_partial(s):
                yield _combined(s.how, self._target(s), total)
            else:
                yield f"{self._target(s)} = {total};"

    def _has_cascade(self, s: Reduce) -> bool:
        return self.blocks or self._suffix(s) < len(self.dims) - 1

    def _inner(self, ending: list[Reduce]) -> Iterator[str]:
        size = self.dims[-1]
        if self.blocks:
            yield f"for (long start = 0; start < {size}; start += {BLOCK}) {{"
            yield f"    const long end = start + {BLOCK} < {size} ? start + {BLOCK} : {size};"
            yield from (f"    {line}" for line in self._block("start", "end"))
            yield "}"
        else:
            yield from self._block("0", str(size))

    def _block(self, start: str, end: str) -> Iterator[str]:
        for s in self.sums:
            yield f"{s.result.kind} a{s.result.number} = 0;"
        for phase in self.phases:
            self.local.clear()
            if self._is_extremum(phase):
                yield from self._in_lanes(phase[0], start, end)
                continue
            lines = [line for s in phase for line in self._with_comment(s)]
            yield from self._pragma(phase)
            yield f"for (long i = {start}; i < {end}; i++) {{"
            yield from (f"    {line}" for line in lines)
            yield "}"
        for s in self.sums:
            if self._has_cascade(s):
                yield f"push_{s.result.kind}(&c{s.result.number}, a{s.result.number});"

    def _is_extremum(self, phase: list[Statement]) -> TypeGuard[list[Reduce]]:
        """Whether a loop takes nothing but the largest or smallest of many elements."""
        [first, *others] = phase
        if others or not isinstance(first, Reduce) or first.how == "sum" or first.operand.terms:
            return False
        return self.dims[-1] >= 4 * LANES and len(self.dims) - 1 in self.axes[id(first)]

    def _in_lanes(self, s: Reduce, start: str, end: str) -> Iterator[str]:
        """The loop of an extremum, in lanes that vectors can hold: a compiler does not make them by itself."""
        kind, total, value = s.result.kind, f"a{s.result.number}", self._operand(s.operand, s.result.kind)
        yield f"{{   {said(s.said)}"
        yield f"    {kind} lane[{LANES}];"
        yield f"    for (long j = 0; j < {LANES}; j++) lane[j] = {total};"
        yield f"    long first = {start};"
        yield f"    for (; first + {LANES} <= {end}; first += {LANES}) {{"
        yield "        #pragma omp simd"
        yield f"        for (long j = 0; j < {LANES}; j++) {{"
        yield "            const long i = first + j;"
        yield f"            const {kind} x = {value};"
        compared = "isgreater" if s.how == "max" else "isless"
        yield f"            lane[j] = ({compared}(x, lane[j]) || x != x) ? x : lane[j];"
        yield "        }"
        yield "    }"
        yield f"    for (long i = first; i < {end}; i++) {_combined(s.how, total, value)}"
        yield f"    for (long j = 0; j < {LANES}; j++) {_combined(s.how, total, 'lane[j]')}"
        yield "}"

    def _pragma(self, phase: list[Statement]) -> Iterator[str]:
        """What lets the compiler use vectors: no element depends on another but by sums."""
        for s in phase:
            if isinstance(s, Update) and (s.place.terms or not self._strides(s.place.strides)[-1]):
                return
            if isinstance(s, Reduce) and s.how != "sum":
                return
            if any(isinstance(o, Read) and o.terms for o in s.operands):
                return
        sums = [f"a{s.result.number}" for s in phase if isinstance(s, Reduce) and s in self.sums]
        reduced = f" reduction(+:{', '.join(sums)})" if sums else ""
        yield f"#pragma omp simd{reduced}"

    def _with_comment(self, s: Statement) -> Iterator[str]:
        lines = list(self._statement(s))
        if s.said:
            lines[0] += f"  {said(s.said)}"
        yield from lines


def _combined(how: str, target: str, value: str) -> str:
    if how == "sum":
        return f"{target} += {value};"
    compared = "isgreater" if how == "max" else "isless"
    # A NaN stays.
    return f"if ({compared}({value}, {target}) || {value} != {value}) {target} = {value};"
