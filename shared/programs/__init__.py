"""Recorded programs: the circuit that a function executes, as an object to run, count, explain, draw and compile."""

from shared.programs.compiling.compiled import compile
from shared.programs.explaining.adjoints import ReverseSweep, tangents
from shared.programs.explaining.rounding import rounding_error
from shared.programs.explaining.table import trace_table
from shared.programs.measuring.cost import Cost, PrimitiveCost, cost
from shared.programs.measuring.elimination import EliminationOrders, LinearGraph, elimination_orders
from shared.programs.measuring.theorem import DerivativeCosts, derivative_costs
from shared.programs.parts import Equation, Guard, ValueType, Write
from shared.programs.program import Program
from shared.programs.tracing import trace

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
