"""What both engines stand on: the registry of primitives and the duck array.

And what they share beside it: batches of examples and of directions, patterns and colourings, checkpoints, derivatives
of one's own and transposes; containers, networks, counts and checks.

This package never imports an engine; what needs one takes it as an argument.
"""

from shared import operators, rules
from shared.batching import report_loops
from shared.checking import check_grads
from shared.checkpointing import checkpoint, checkpoint_loop
from shared.colouring import Colouring, colour
from shared.counting import count_operations
from shared.custom import custom_derivative
from shared.engine import Engine
from shared.errors import (
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
    SomeExamplesError,
    StaleProgramError,
    StaleViewError,
    StoppedHalfwayError,
    TracerConversionError,
)
from shared.functions import log_softmax, logsumexp, relu, sigmoid, softmax, softplus, softsign, stop_gradient
from shared.mapping import vmap
from shared.mlp import MLP
from shared.parallel import ExecutorError, sum_over_shards
from shared.pattern import Pattern
from shared.programs import (
    LinearGraph,
    Program,
    ReverseSweep,
    compile,
    cost,
    derivative_costs,
    elimination_orders,
    rounding_error,
    trace,
    trace_table,
)
from shared.registry import REGISTRY, alias, composite, constant, elementwise, multilinear, rule
from shared.sparsity import jacobian_pattern
from shared.transposition import linear_transpose
from shared.tree import flatten, tree_map, unflatten

operators.install()

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
    "SomeExamplesError",
    "StaleProgramError",
    "StaleViewError",
    "StoppedHalfwayError",
    "TracerConversionError",
    "alias",
    "check_grads",
    "checkpoint",
    "checkpoint_loop",
    "colour",
    "compile",
    "composite",
    "constant",
    "cost",
    "count_operations",
    "custom_derivative",
    "derivative_costs",
    "elementwise",
    "elimination_orders",
    "flatten",
    "jacobian_pattern",
    "linear_transpose",
    "log_softmax",
    "logsumexp",
    "multilinear",
    "relu",
    "report_loops",
    "rounding_error",
    "rule",
    "rules",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "stop_gradient",
    "sum_over_shards",
    "trace",
    "trace_table",
    "tree_map",
    "unflatten",
    "vmap",
]
