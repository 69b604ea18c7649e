"""A rewritten program as stretches of C and the NumPy calls between them.

What C can compute is taken equation by equation into kernels, as far as it can go without NumPy; then come the calls of
NumPy that wait for it, then C again.  Calls of NumPy stay in their order.  This module knows no text.
"""

from __future__ import annotations

from shared.programs.equations import Guard, Step
from shared.programs.machine_code.equations import Equations
from shared.programs.machine_code.kernels import Stretch
from shared.programs.machine_code.placing import Unlowered
from shared.programs.program import Program


class Lowering(Equations):
    """The parts of a program in order: each is a `Stretch`, or a step for NumPy."""

    def __init__(self, program: Program, by_blas: bool):
        super().__init__(program)
        self.by_blas = by_blas
        self.guards = program.guards
        #: the results of equations that turned out to be NumPy's
        self.left: set[int] = set()
        while self._lowered():
            self.reset()

    def _lowered(self) -> bool:
        """Lower the program; returns whether more is to be left to NumPy, so that this has to be done again."""
        program = self.program
        self.parts: list[Stretch | Step] = []
        #: the equations of values, and those that NumPy evaluates
        self.by_result = {e.result: e for e in program.equations}
        self.exposed: set[int | None] = set()
        levels, by_c = self._levels()
        order = sorted(range(len(program.steps)), key=lambda k: (levels[k], not by_c[k], k))
        steps = [program.steps[k] for k in order]
        self.last_use = {k: at for at, step in enumerate(steps) for k in step.operands}
        self.last_use.update(dict.fromkeys(program.outputs, len(steps)))
        #: what Python has to have: results, and operands of NumPy's steps
        by_python = set(program.outputs).union(*(s.operands for s, c in zip(program.steps, by_c, strict=True) if not c))
        self.wanted = set(by_python)
        made = {step.result: levels[k] for k, step in enumerate(program.steps)}
        for k, step in enumerate(program.steps):
            self.wanted.update(v for v in step.operands if made.get(v, levels[k]) < levels[k])
        self.count_by_c = 0
        level, before = -1, len(self.left)
        for self.position, (k, step) in enumerate(zip(order, steps, strict=True)):
            if not by_c[k]:
                self.parts.append(step)
                self.exposed.add(step.result)
                continue
            if levels[k] != level:
                level = levels[k]
                self.begin()
                self.parts.append(self.stretch)
            self.count_by_c += 1
            try:
                self._step(step)
            except Unlowered:
                assert step.result is not None
                self.left.add(step.result)
                self._new(step.result)
            if step.result in self.wanted:
                if not self.is_seen(step.result):
                    self._deliver(step.result)
                elif step.result in by_python:
                    self._expose(step.result)
        # Views alone need no call.
        self.parts = [part for part in self.parts if not isinstance(part, Stretch) or part.kernels]
        return len(self.left) > before

    def _expose(self, number: int) -> None:
        """Let NumPy make the views of an array from outside, by the equations that make them."""
        equation = self.by_result.get(number)
        if equation is not None and number not in self.exposed and number in self.places:
            self.exposed.add(number)
            self._expose(equation.operands[0])
            self.parts.append(equation)

    def _levels(self) -> tuple[list[int], list[bool]]:
        """For each step the number of times that the code has gone to NumPy before it, and whether it is C."""
        of_value: dict[int, tuple[int, bool]] = {}
        levels, by_c, last = [], [], 0
        for step in self.program.steps:
            known = [of_value[k] for k in step.operands if k in of_value]
            if isinstance(step, Guard):
                is_c = step.expected.__class__ is bool and all(c for _, c in known) and self.is_number(step.operands[0])
            else:
                is_c = step.result not in self.left and self.is_for_c(step)
            if is_c:
                level = max((a if c else a + 1 for a, c in known), default=0)
            else:
                # NumPy's steps stay in their order, which may be seen.
                level = last = max(last, *(a for a, _ in known), 0)
            if step.result is not None:
                of_value[step.result] = level, is_c
            levels.append(level)
            by_c.append(is_c)
        return levels, by_c
