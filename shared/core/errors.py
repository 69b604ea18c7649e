"""The errors, each with what went wrong, where in the user's code, and what to write instead.

Every class derives from the built-in exception that NumPy would raise in its place, so callers may catch either.
This module knows nothing about derivatives.
"""

from __future__ import annotations

import os
import sys
from types import CodeType
from typing import Any

from shared.core.visible import one_line

_OWN = tuple(
    os.path.join(os.path.abspath(__file__).rsplit(os.sep, 3)[0], package) + os.sep
    for package in ("shared", "dualad", "reversead")
)


class DifferentiationError(Exception):
    """Base of every error that this library raises on purpose.

    What users have named is part of many texts, so texts are put on one line here, for all.
    """

    def __init__(self, *args: Any):
        super().__init__(*[one_line(arg) if isinstance(arg, str) else arg for arg in args])


class NoRuleError(DifferentiationError, NotImplementedError):
    """A NumPy function, or one of its keywords, has no derivative rule."""


class TracerConversionError(DifferentiationError, TypeError):
    """A tracer met code that needs a plain number or array."""


class ClosedLevelError(DifferentiationError, RuntimeError):
    """A tracer was used after its transform had ended, or its tape from another thread."""


class StaleViewError(DifferentiationError, RuntimeError):
    """A view was used after its base was assigned to, or cannot be written through."""


class LeafTypeError(DifferentiationError, TypeError):
    """An argument cannot be differentiated because of its type."""


class IntegerLeafError(LeafTypeError, IndexError):
    """An argument that is differentiated was an integer, and the function needs it as one: as an index, a count."""


class ShapeError(DifferentiationError, ValueError):
    """A tangent, cotangent or output has the wrong shape or structure."""


class ImpureFunctionError(DifferentiationError, RuntimeError):
    """A function that runs again is not pure: it assigned to what it was given, or gave another result than before."""


class LinearityError(DifferentiationError, ValueError):
    """A function that has to be linear is not, or uses a function that is not known to be."""


class DensePatternError(DifferentiationError, MemoryError):
    """Some value of the program depends on so many inputs that listing them is not worth it."""


class NotRecoverableError(DifferentiationError, ValueError):
    """A colouring puts columns or rows together that a product cannot tell apart."""


class ProgramGuardError(DifferentiationError, RuntimeError):
    """A recorded program was run where what it was recorded for does not hold: another shape, dtype or branch."""


class CompilationError(DifferentiationError, RuntimeError):
    """A function cannot be compiled: it is not deterministic, or takes too many ways through its branches."""


class StaleProgramError(CompilationError):
    """A compiled function does not compute any more what the function does: something else than an argument changed."""


class CaughtExceptionError(DifferentiationError, RuntimeError):
    """A function that is recorded caught an exception: which way it goes then depends on values, unseen by a record."""


class SomeExamplesError(DifferentiationError, RuntimeError):
    """An operation on the examples of `vmap` raised for some of them, and not for the others."""


class StoppedHalfwayError(DifferentiationError, AttributeError):
    """An operation was stopped halfway by an exception, which the function that is differentiated caught.

    An AttributeError, because what stands for an array is without attributes then.
    """


class RecordLengthError(DifferentiationError, MemoryError):
    """A program is too long to be recorded."""


class SolutionError(DifferentiationError, ArithmeticError):
    """What a solver returned is no solution, or one that no derivative belongs to."""


class RegistrationError(DifferentiationError, ValueError):
    """A primitive was declared twice, or inconsistently."""


#: NumPy and SciPy call us back; what the user wrote is above them.
_INSTALLED = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))
_LIBRARIES = tuple(f"{folder}{name}{os.sep}" for folder in _INSTALLED for name in ("numpy", "scipy"))


def user_line() -> str:
    """Where the user's code called into this library, as " (at file.py:12)"; empty if it cannot be told."""
    frame: Any = sys._getframe(1)
    installed = ""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "on_worker" and code.co_filename.startswith(_OWN):
            # Below are the lines of an executor; the user's are in another thread or process.
            return installed
        if is_users(code):
            line = f" (at {one_line(code.co_filename)}:{frame.f_lineno})"
            if not any(part in code.co_filename for part in _INSTALLED):
                return line
            # A package in between, such as pandas, is not to blame; if all is installed, the innermost one is named.
            installed = installed or line
        frame = frame.f_back
    return installed


def is_users(code: CodeType) -> bool:
    """Whether code is neither of this library nor of NumPy or SciPy."""
    name = code.co_filename
    return (
        not name.startswith(_OWN) and not any(part in name for part in _LIBRARIES) and not name.startswith("<__array")
    )


def no_rule(name: str) -> NoRuleError:
    function, further = name.removeprefix("the ufunc "), ""
    if function != name and hasattr(sys.modules.get("scipy.special"), function):
        name = function = f"scipy.special.{function}"
        further = " What of scipy.special has a rule, and why the rest has none, is in docs/scipy-special.md."
    return NoRuleError(
        f"{name} has no derivative rule{user_line()}. Write it with functions that have one, or declare one: "
        f"shared.elementwise({function}, partial, ...), shared.composite({function}) or another form of "
        f"shared.core.registry, or shared.custom_derivative of a function that calls it. "
        f"If it must not be differentiated, apply it to stop_gradient(x).{further}"
    )


def unsupported_keyword(name: str, keyword: str) -> NoRuleError:
    if keyword == "out":
        from shared.core.callers import written_in_place

        instead = written_in_place(is_users, user_line())
        if instead is not None:
            return NoRuleError(instead)
    hints = {
        "out": "an output array, or a work buffer that is used again, cannot carry a derivative; use the returned "
        "value: y = f(x)",
        "where": "use np.where(mask, f(x), other) instead",
        "dtype": "convert first: x.astype(dtype)",
    }
    hint = hints.get(keyword, "leave it out, or rewrite the call without it")
    error = NoRuleError(f"{name}: the keyword {keyword!r} has no derivative rule{user_line()}; {hint}")
    if keyword == "out":
        error.add_note(
            "For `plain_array += traced`, write `plain_array = plain_array + traced`; where only some elements are "
            "written to, make the array with np.zeros_like(x, shape=plain_array.shape)."
        )
    return error


def float_as_integer(what: str) -> LeafTypeError:
    return LeafTypeError(
        f"{what} is a traced number and no integer{user_line()}: integers among the differentiated arguments are taken "
        "as float64. Leave it out of them (argnums), or keep it in another container."
    )


def not_a_number(wanted: str, instead: str) -> TracerConversionError:
    # Loaded when there is an error to tell.
    from shared.core.callers import what_was_called

    called = what_was_called(is_users)
    if called is not None:
        return TracerConversionError(
            f"{called[0]} asked for {wanted} in place of a value that is being differentiated{user_line()}: that would "
            f"drop its derivative. {called[1]} If the derivative must be dropped, pass stop_gradient(x)."
        )
    return TracerConversionError(
        f"{wanted} was asked of a value that is being differentiated{user_line()}: that would drop its derivative. "
        f"{instead}"
    )


def not_hashable() -> TracerConversionError:
    return TracerConversionError(
        f"unhashable: a traced value cannot be a key, nor an element of a set{user_line()}. A function with "
        "functools.lru_cache keeps what it was called with, and returns it in a later differentiation: call what is "
        "below the cache (f.__wrapped__(x)), or cache only what does not depend on traced values."
    )


def stopped_halfway(what: str) -> StoppedHalfwayError:
    return StoppedHalfwayError(
        f"{what} was stopped halfway by an exception, such as an interrupt, and the function caught that and went on"
        f"{user_line()}; catch it outside of what is differentiated"
    )


def closed(tracer: Any) -> ClosedLevelError:
    return ClosedLevelError(
        f"a traced value was used after its differentiation ({tracer.level.transform}) had ended{user_line()}. "
        "It was probably stored in a variable outside the function, or by functools.lru_cache; return it from the "
        "function instead (has_aux=True returns extra values), or store its value alone, stop_gradient(x), as of "
        "running statistics."
    )


def inner_into_outer() -> StaleViewError:
    return StaleViewError(
        f"a value of an inner differentiation was assigned into an array of an outer one{user_line()}; the array "
        "would outlive the value. Make the array inside the inner function, with np.zeros_like or np.copy."
    )
