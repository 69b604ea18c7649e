"""What both engines stand on, in rooms, and the names of it that are public.

`core`, `rules` and the tracer of `batching` are loaded at once: the duck array, and the registry of primitives with
their derivatives.  Every other room is loaded when one of its names is first asked for (PEP 562), so an import of an
engine costs what a gradient needs.  What a room is for is said at its head: `core`, `rules`, `calling`, `batching`,
`linear`, `implicit`, `sparse`, `series`, `counting`, `checking`, `networks`, `programs`, `scipy`, `comparison`, `page`.

This package never imports an engine; what needs one takes it as an argument.
"""

import typing

from shared import rules
from shared.calling.results import stop_gradient
from shared.calling.tree import flatten, tree_map, unflatten
from shared.core import lazy
from shared.core.errors import (
    CaughtExceptionError,
    ClosedLevelError,
    CompilationError,
    DensePatternError,
    DifferentiationError,
    ImpureFunctionError,
    LeafTypeError,
    LinearityError,
    NoRuleError,
    NotRecoverableError,
    ProgramGuardError,
    RecordLengthError,
    RegistrationError,
    ShapeError,
    SolutionError,
    SomeExamplesError,
    StaleProgramError,
    StaleViewError,
    StoppedHalfwayError,
    TracerConversionError,
)
from shared.core.registry import REGISTRY, alias, composite, constant, elementwise, multilinear, rule
from shared.rules import operators
from shared.rules.special import log_softmax, logsumexp, relu, sigmoid, softmax, softplus, softsign

if typing.TYPE_CHECKING:
    from shared.batching.batched import report_loops
    from shared.batching.parallel import ExecutorError, sum_over_shards
    from shared.batching.vmap import vmap
    from shared.calling.containers import register_container
    from shared.calling.engine import Engine
    from shared.checking.gradients import check_grads
    from shared.comparison.advice import advise
    from shared.comparison.compared import compare
    from shared.counting.counter import count_operations
    from shared.implicit.minimisers import minimum
    from shared.implicit.roots import fixed_point, implicit_root
    from shared.implicit.runge_kutta import runge_kutta
    from shared.implicit.trajectories import ode_solution
    from shared.linear.checkpointing import checkpoint, checkpoint_loop
    from shared.linear.custom import custom_derivative
    from shared.linear.transposition import linear_transpose
    from shared.networks.mlp import MLP
    from shared.networks.report import layer_report
    from shared.page.making import page
    from shared.programs import (
        LinearGraph,
        Program,
        ReverseSweep,
        cost,
        debug,
        derivative_costs,
        diagnose,
        draw,
        elimination_orders,
        rounding_error,
        simplify,
        source,
        trace,
        trace_table,
    )
    from shared.programs import compile as compile
    from shared.series.expansion import taylor
    from shared.sparse.colouring import Colouring, colour
    from shared.sparse.pattern import Pattern
    from shared.sparse.sparsity import jacobian_pattern

operators.install()

_LATER = {
    "shared.batching.batched": ("report_loops",),
    "shared.batching.parallel": ("ExecutorError", "sum_over_shards"),
    "shared.batching.vmap": ("vmap",),
    "shared.calling.containers": ("register_container",),
    "shared.calling.engine": ("Engine",),
    "shared.checking.gradients": ("check_grads",),
    "shared.comparison.advice": ("advise",),
    "shared.comparison.compared": ("compare",),
    "shared.counting.counter": ("count_operations",),
    "shared.implicit.minimisers": ("minimum",),
    "shared.implicit.roots": ("fixed_point", "implicit_root"),
    "shared.implicit.runge_kutta": ("runge_kutta",),
    "shared.implicit.trajectories": ("ode_solution",),
    "shared.linear.checkpointing": ("checkpoint", "checkpoint_loop"),
    "shared.linear.custom": ("custom_derivative",),
    "shared.linear.transposition": ("linear_transpose",),
    "shared.networks.mlp": ("MLP",),
    "shared.networks.report": ("layer_report",),
    "shared.programs": (
        "LinearGraph",
        "Program",
        "ReverseSweep",
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
        "trace",
        "trace_table",
    ),
    "shared.series.expansion": ("taylor",),
    "shared.sparse.colouring": ("Colouring", "colour"),
    "shared.sparse.pattern": ("Pattern",),
    "shared.sparse.sparsity": ("jacobian_pattern",),
}
_ROOMS = (
    "batching", "calling", "checking", "comparison", "counting", "implicit", "linear", "networks", "page", "programs",
    "scipy", "series", "sparse",
)  # fmt: skip

if not typing.TYPE_CHECKING:
    # Hidden from type checkers, which would take any name for one of these.
    __getattr__, __dir__ = lazy.on_demand(__name__, _LATER, _ROOMS)

# `compile` is public, but `from shared import *` shall not replace Python's own.
__all__ = [
    "MLP",
    "REGISTRY",
    "CaughtExceptionError",
    "ClosedLevelError",
    "Colouring",
    "CompilationError",
    "DensePatternError",
    "DifferentiationError",
    "Engine",
    "ExecutorError",
    "ImpureFunctionError",
    "LeafTypeError",
    "LinearGraph",
    "LinearityError",
    "NoRuleError",
    "NotRecoverableError",
    "Pattern",
    "Program",
    "ProgramGuardError",
    "RecordLengthError",
    "RegistrationError",
    "ReverseSweep",
    "ShapeError",
    "SolutionError",
    "SomeExamplesError",
    "StaleProgramError",
    "StaleViewError",
    "StoppedHalfwayError",
    "TracerConversionError",
    "advise",
    "alias",
    "check_grads",
    "checkpoint",
    "checkpoint_loop",
    "colour",
    "compare",
    "composite",
    "constant",
    "cost",
    "count_operations",
    "custom_derivative",
    "debug",
    "derivative_costs",
    "diagnose",
    "draw",
    "elementwise",
    "elimination_orders",
    "fixed_point",
    "flatten",
    "implicit_root",
    "jacobian_pattern",
    "layer_report",
    "linear_transpose",
    "log_softmax",
    "logsumexp",
    "minimum",
    "multilinear",
    "ode_solution",
    "page",
    "register_container",
    "relu",
    "report_loops",
    "rounding_error",
    "rule",
    "rules",
    "runge_kutta",
    "sigmoid",
    "simplify",
    "softmax",
    "softplus",
    "softsign",
    "source",
    "stop_gradient",
    "sum_over_shards",
    "taylor",
    "trace",
    "trace_table",
    "tree_map",
    "unflatten",
    "vmap",
]
