"""Recorded programs: the circuit that a function executes, as an object to run, count, explain, draw and compile.

A `Program` runs, prints and pickles.  Its readings are functions of it, which take a function with arguments as well:
`cost`, `elimination_orders` (`measuring`), `trace_table`, `rounding_error`, `draw` (`explaining`), `source`
(`compiling`, and as C: `machine_code`).  It knows primitives and their facets, and no engine: what is recorded may be a
derivative.

Public: every name below, most of them also as names of `shared`.
"""

from shared.programs.compiling.compiled import compile
from shared.programs.compiling.source import source
from shared.programs.equations import Equation, Guard, ValueType, Write
from shared.programs.explaining.adjoints import ReverseSweep, tangents
from shared.programs.explaining.drawing import Drawing, draw
from shared.programs.explaining.nonfinite import Diagnosis, debug, diagnose
from shared.programs.explaining.rounding import rounding_error
from shared.programs.explaining.table import trace_table
from shared.programs.measuring.cost import Cost, PrimitiveCost, cost
from shared.programs.measuring.elimination import EliminationOrders, LinearGraph, elimination_orders
from shared.programs.measuring.theorem import DerivativeCosts, derivative_costs
from shared.programs.program import Program
from shared.programs.simplification import simplify
from shared.programs.tracing import trace

__all__ = [
    "Cost",
    "DerivativeCosts",
    "Diagnosis",
    "Drawing",
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
    "debug",
    "derivative_costs",
    "diagnose",
    "draw",
    "elimination_orders",
    "rounding_error",
    "simplify",
    "source",
    "tangents",
    "trace",
    "trace_table",
]
