"""What both engines stand on: the registry of primitives, the duck array, containers, networks and checks.

This package never imports an engine; what needs one takes it as an argument.
"""

from shared import operators, rules
from shared.checking import check_grads
from shared.counting import count_operations
from shared.engine import Engine
from shared.errors import (
    ClosedLevelError,
    DifferentiationError,
    LeafTypeError,
    NoRuleError,
    RegistrationError,
    ShapeError,
    StaleViewError,
    TracerConversionError,
)
from shared.functions import log_softmax, logsumexp, relu, sigmoid, softmax, softplus, softsign, stop_gradient
from shared.mlp import MLP
from shared.registry import REGISTRY, alias, composite, constant, elementwise, multilinear, rule
from shared.tree import flatten, tree_map, unflatten

operators.install()

__all__ = [
    "MLP",
    "REGISTRY",
    "ClosedLevelError",
    "DifferentiationError",
    "Engine",
    "LeafTypeError",
    "NoRuleError",
    "RegistrationError",
    "ShapeError",
    "StaleViewError",
    "TracerConversionError",
    "alias",
    "check_grads",
    "composite",
    "constant",
    "count_operations",
    "elementwise",
    "flatten",
    "log_softmax",
    "logsumexp",
    "multilinear",
    "relu",
    "rule",
    "rules",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "stop_gradient",
    "tree_map",
    "unflatten",
]
