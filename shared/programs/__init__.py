"""Recorded programs: the circuit that a function executes, as an object to run, count, explain, draw and compile."""

from shared.programs.program import Equation, Guard, Program, ValueType, Write
from shared.programs.recorder import trace

__all__ = ["Equation", "Guard", "Program", "ValueType", "Write", "trace"]
