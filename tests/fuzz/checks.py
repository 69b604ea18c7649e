"""What is checked of a program, by name, and what may be refused.

A check passes, fails (Failure, or any error that is not documented), is refused for a documented reason that the
program gives, or is inconclusive, where nothing can be told of the program.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fuzz import derivatives, records, transforms
from fuzz.case import Case
from fuzz.comparison import Inconclusive, Refused, assert_identical
from fuzz.programs import Program
from shared import StaleViewError

CHECKS: dict[str, Callable[[Case], None]] = {
    "first": derivatives.first_derivatives,
    "gradient": derivatives.gradients,
    "hvp": derivatives.second_derivatives,
    "series": derivatives.series,
    "jacobian": derivatives.jacobians,
    "vmap": transforms.batches,
    "trace": records.recorded,
    "compile": records.compiled,
    "checkpoint": transforms.checkpoints,
    "levels": transforms.levels,
    "sparse": transforms.sparse,
    "special": records.special,
}


@dataclass(frozen=True)
class Outcome:
    """What came of a check: "passed", "refused", "inconclusive" or "failed", and why."""

    kind: str
    why: str = ""
    error: Exception | None = None


def outcome(program: Program, check: str) -> Outcome:
    """Run a check of a program."""
    case = Case(program)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")
            # What NumPy itself warns of, in its functions written in Python
            warnings.simplefilter("ignore", RuntimeWarning)
            CHECKS[check](case)
        assert_identical("an argument was written to", case.arguments, program.values())
    except Inconclusive as error:
        return Outcome("inconclusive", str(error))
    except Refused as error:
        return Outcome("refused", str(error))
    except np.linalg.LinAlgError as error:
        return Outcome("inconclusive", f"LAPACK refuses a matrix: {error}")
    except Exception as error:
        reason = refusal(error, program)
        return Outcome("refused", reason) if reason else Outcome("failed", str(error), error)
    return Outcome("passed")


def refusal(error: Exception, program: Program) -> str:
    """The documented reason why any check may find the program refused; empty if there is none."""
    if isinstance(error, StaleViewError) and "stale views" in program.features:
        return "a stale view"
    return ""
