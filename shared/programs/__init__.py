"""Recorded programs: the circuit that a function executes, as an object to run, count, explain, draw and compile."""

from shared.programs.compiling.compiled import compile
from shared.programs.counting.cost import Cost, PrimitiveCost, cost
from shared.programs.counting.elimination import EliminationOrders, LinearGraph, elimination_orders
from shared.programs.counting.theorem import DerivativeCosts, derivative_costs
from shared.programs.explaining.adjoints import ReverseSweep, tangents
from shared.programs.explaining.rounding import rounding_error
from shared.programs.explaining.table import trace_table
from shared.programs.program import Equation, Guard, Program, ValueType, Write
from shared.programs.recorder import trace

__all__ = [
    "Cost",
    "DerivativeCosts",
    "EliminationOrders",
    "Equation",
    "Guard",
    "LinearGraph",
    "PrimitiveCost",
    "Program",
    "ReverseSweep",
    "ValueType",
    "Write",
    "compile",
    "cost",
    "derivative_costs",
    "elimination_orders",
    "rounding_error",
    "tangents",
    "trace",
    "trace_table",
]
