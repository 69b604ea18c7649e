"""Checks of derivatives against what needs none: differences, the complex step, and the adjoint identity.

It knows numerical differentiation and how close numbers have to be, and no calculus; engines are given to it as
modules.  `gradients` is the check, `comparison` and `first_derivative` its parts; `differences` and `complex_step` may
be used alone.

Public: `shared.check_grads` with the report and the errors of it, which are names of this package, too, and the modules
`differences` and `complex_step`.
"""

import typing

from shared.core import lazy

if typing.TYPE_CHECKING:
    from shared.checking.comparison import GradientMismatch
    from shared.checking.first_derivative import Comparison, InconclusiveDifferences
    from shared.checking.gradients import GradientReport, check_grads

__all__ = ["Comparison", "GradientMismatch", "GradientReport", "InconclusiveDifferences", "check_grads"]

__getattr__, __dir__ = lazy.on_demand(__name__, {"shared.checking.gradients": __all__})
