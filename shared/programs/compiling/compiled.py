"""`compile(f)`: `f` as straight-line NumPy source for the arguments it meets, made at the first call with such ones.

A call first checks, by source made for that, that arguments have the structure, types and shapes of a variant that is
there; then it runs that variant's text (`shared.programs.compiling.source`) in a workspace of its own, so threads do
not meet and results alias nothing.  Where there is none, `f` is recorded and compiled.  A branch that goes another way
than in the record leads to another variant; a number that Python's arithmetic refuses (`math.log(0.0)`) to the record
itself, which computes as NumPy does, and what that refuses, too, to `f`.  Now and then `f` is run beside it
(`shared.programs.compiling.verification`).  This module knows no source text of programs.
"""

from __future__ import annotations

import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shared.calling.arguments import argument_paths
from shared.calling.careful import without_care
from shared.calling.results import has_nan, independent
from shared.calling.transformed import own_name, readable_name
from shared.calling.tree import flatten, tree_map
from shared.core.errors import (
    CaughtExceptionError,
    CompilationError,
    ProgramGuardError,
    RecordLengthError,
    StaleProgramError,
    user_line,
)
from shared.core.levels import Level, Tracer
from shared.core.visible import kind_of, one_line, shown
from shared.programs.compiling.checks import OTHER, Check, alike
from shared.programs.compiling.literals import comment
from shared.programs.compiling.looks import look
from shared.programs.compiling.numpy_text import LOWERED
from shared.programs.compiling.parts import definitions
from shared.programs.compiling.rewriting import rewritten
from shared.programs.compiling.source import Source
from shared.programs.compiling.verification import differences, verify, verify_first
from shared.programs.program import Program
from shared.programs.simplification import simplify
from shared.programs.text import comparison
from shared.programs.tracing import record

if TYPE_CHECKING:
    from shared.programs.machine_code.exchange import Machine

Function = Callable[..., Any]
Verify = Literal["always", "seldom", "never"]
Backend = Literal["numpy", "c", "auto"]

#: Variants are made this many times as often as they can be kept, before it is asked whether they are of use.
_TRIALS = 4
#: What a variant returns in place of a result with a NaN that a derivative computed with care may not have.
SPOILT = object()
#: A variant is worth a C compiler's time after so many calls (backend="auto").
HOT = 16
#: Functions that execute more operations run as they are: their first call would take more than some seconds.
LONGEST = 50_000


class Variant:
    """One compiled program: for arguments of one type, and one way through the branches."""

    __slots__ = (
        "_lock", "_look", "_spare", "attempt", "calls", "differentiates", "function", "guards", "is_stale", "machine",
        "namespace", "next_check", "program", "refusals", "text", "used",
    )  # fmt: skip

    def __init__(self, function: Function, program: Program, source: Program, differentiates: bool):
        self.function = function
        #: the record as it was made; the text is made of `source`
        self.program = program
        #: when it was called last, in calls of the compiled function
        self.used = 0
        #: how often it was called, and the call at which the function is run beside it
        self.calls = self.next_check = 0
        #: how often the text refused numbers, and the record was run in its place
        self.refusals = 0
        written = Source(source)
        self.text, self.guards = written.text, written.guards
        #: what has to be assigned before the text is executed
        self.namespace = written.namespace
        #: whether it takes derivatives, of which one with a NaN may have to be computed with care; what looks for one
        self.differentiates = differentiates
        self._look = _look(source) if differentiates else []
        #: whether its record was found to be stale, and the machine code that is to run in place of the text
        self.is_stale = False
        self.machine: Machine | None = None
        self._lock = threading.Lock()
        self.attempt = self.attempted(self.text, self.namespace, self._interpreted)

    def attempted(self, written: str, namespace: dict[str, Any], otherwise: Function) -> Function:
        """The function that checks arguments and runs a text, `otherwise` being called where that raises.

        It is made as text, too: a call without any loop over types.
        """
        codes = [_code(definition, self.program.name) for definition in definitions(written)]

        def workspace() -> Function:
            """The function that the text defines, with buffers of its own."""
            within = dict(namespace)
            for code in codes:
                exec(code, within)
            made: Function = within["call"]
            return made

        check = Check(self.program)
        #: workspaces that nobody is using: each is the function with buffers of its own
        self._spare: list[Function] = []
        scope: dict[str, Any] = {**check.scope, "spare": self._spare, "new": workspace, "otherwise": otherwise}
        scope.update(isfinite=math.isfinite, inf=math.inf, has_nan=_has_nan, spoilt=SPOILT)
        departed = [
            "    except run.__globals__['Departed'] as departure:",
            "        spare.append(run)",
            "        return departure",
        ]
        # A workspace goes back only when the call has ended: an interrupt may leave another thread in it.
        rows = [
            "    try:",
            "        run = spare.pop()",
            "    except IndexError:",
            "        run = new()",
            "    try:",
            f"        result = run({', '.join(check.inputs)})",
            *(departed if self.guards else []),
            "    except Exception:",
            "        spare.append(run)",
            "        return otherwise(args, kwargs)",
            "    spare.append(run)",
            *self._look,
            "    return result",
        ]
        text = "\n".join(["def attempt(args, kwargs):", *check.rows, *rows, ""])
        exec(_code(text, f"the arguments of {self.program.name}"), scope)
        found: Function = scope["attempt"]
        return found

    def _interpreted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the record computes, as NumPy does; the departure where a branch goes another way.

        Where the record raises, too, which it did not when it was made, the function itself may catch that.
        """
        self.refusals += 1
        try:
            result = self.program(*args, **kwargs)
        except ProgramGuardError as departure:
            return departure
        except Exception:
            return tree_map(independent, self.function(*args, **kwargs))
        return SPOILT if self.differentiates and _has_nan(result) else result

    def refuse(self, error: StaleProgramError) -> None:
        """From now on, raise the error that the record is stale, and compute nothing with it."""
        check, text = Check(self.program), str(error)

        def refused() -> None:
            raise StaleProgramError(text)

        scope: dict[str, Any] = {**check.scope, "refused": refused}
        rows = ["def attempt(args, kwargs):", *check.rows, "    refused()", ""]
        exec(_code("\n".join(rows), f"the arguments of {self.program.name}"), scope)
        with self._lock:
            self.is_stale, self.attempt = True, scope["attempt"]

    def replace(self, attempt: Function) -> None:
        """From now on, call another function, unless the record was found to be stale."""
        with self._lock:
            if not self.is_stale:
                self.attempt = attempt


def _look(source: Program) -> list[str]:
    """Lines that return `spoilt` where a derivative has a NaN, which one computed with care may not have."""
    condition = look(source)
    # What a look at a few results leaves open, one at each of them tells.
    unsure = "" if condition is None else f"not ({condition}) and "
    return [f"    if {unsure}has_nan(result):", "        return spoilt"]


def _code(text: str, name: str) -> Any:
    return _compile(text, f"<compiled {comment(name)}>", "exec")


_compile = compile


def _has_nan(result: Any) -> bool:
    """Whether a result has a NaN, which a derivative computed with care may not have."""
    kind = result.__class__
    if kind is tuple:
        return any([_has_nan(part) for part in result])
    if kind is np.float64 or kind is float:
        return bool(result != result)
    return has_nan((result,) if kind is np.ndarray else flatten(result)[0])


class Compiled:
    """What `compile` returns: called like the function, which it holds in compiled variants."""

    def __init__(self, function: Function, cache_size: int, verify: Verify, backend: Backend = "numpy"):
        update_wrapper(self, function, updated=())
        self.__wrapped__ = function
        self.cache_size = cache_size
        self.verify = verify
        self.backend = backend
        #: held only while variants are exchanged, never while the function runs: that may wait for other threads
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget every variant, so that the function is recorded anew at its next call.

        Call it after a change of something that the function reads besides its arguments and the contents of arrays.
        """
        with self._lock:
            self._variants: tuple[Variant, ...] = ()
            self._calls = 0
            #: variants made so far, and whether it was given up to make more of them
            self._made = 0
            self._uncompiled = False
            #: whether it takes derivatives, of which one with a NaN may have to be computed with care
            self._differentiates = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for variant in self._variants:
            result = variant.attempt(args, kwargs)
            if result is OTHER or isinstance(result, Exception):
                continue  # of other arguments, or a branch went another way
            self._calls = variant.used = self._calls + 1
            variant.calls += 1
            if result is SPOILT:
                return self._as_it_is(args, kwargs)
            if variant.calls >= variant.next_check:
                self._check(variant, result, args, kwargs)
            return result
        return self._first_call(args, kwargs)

    def _check(self, variant: Variant, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the function beside a variant that gave `result`, and say when to do so again."""
        variant.next_check = variant.calls + 1 if self.verify == "always" else 2 * variant.calls
        if self.backend == "auto" and variant.calls >= HOT:
            self._begin_machine_code(variant)
        if self.verify == "never":
            return

        try:
            without_care(
                lambda: verify(
                    variant.program, lambda: self._record(args, kwargs), result, self.__wrapped__, args, kwargs
                )
            )
        except StaleProgramError as error:
            variant.refuse(error)
            raise

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
        before = Level("compile").number
        program = record(self.__wrapped__, args, kwargs, "compile", LOWERED, LONGEST)
        # Levels are numbered; beside the record's own there are others if something is differentiated within.
        self._differentiates = self._differentiates or Level("compile").number > before + 2
        return program

    def _as_it_is(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the function itself gives, but arrays of its own: those that a text returns are nobody else's."""
        return tree_map(independent, self.__wrapped__(*args, **kwargs))

    def _first_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compile for arguments that no variant takes, and call that."""
        if self._uncompiled:
            return self._as_it_is(args, kwargs)
        leaves, _ = flatten([list(args), kwargs])
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            # Part of a larger differentiation, or record: that sees the function itself.
            return self._as_it_is(args, kwargs)
        with self._lock:
            self._made += 1
            gives_up = self._made > _TRIALS * self.cache_size and self._calls < 2 * self._made
        if gives_up:
            self._run_as_it_is(f"{self._made} variants were made in {self._calls + self._made} calls: "
                               f"{self._why_so_many(args, kwargs)}")  # fmt: skip
            return self._as_it_is(args, kwargs)
        try:
            variant = self._make(args, kwargs)
        except CaughtExceptionError as error:
            self._run_as_it_is(f"{error}, so a record would not tell which way another call goes")
            return self._as_it_is(args, kwargs)
        except _StrictError as error:
            self._run_as_it_is(str(error))
            return self._as_it_is(args, kwargs)
        except RecordLengthError:
            self._run_as_it_is(
                f"it executes more than {LONGEST:,} operations, whose text would take Python seconds to compile. "
                "Let fewer operations do the work of more numbers: arrays in place of loops over elements, and a "
                "batch in place of a loop over examples"
            )
            return self._as_it_is(args, kwargs)
        with self._lock:
            self._enter(variant)
        result = variant.attempt(args, kwargs)
        if result is OTHER or isinstance(result, Exception):
            return variant.program(*args, **kwargs)
        variant.calls += 1
        return self._as_it_is(args, kwargs) if result is SPOILT else result

    def _make(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Variant:
        program = without_care(lambda: self._record(args, kwargs))
        if self.verify != "never":
            without_care(
                lambda: verify_first(program, lambda: self._record(args, kwargs), self.__wrapped__, args, kwargs)
            )
        _require_leniency(program)
        variant = Variant(self.__wrapped__, program, rewritten(simplify(program)), self._differentiates)
        variant.next_check = 2 if self.verify != "never" else HOT if self.backend == "auto" else sys.maxsize
        if self.backend == "c":
            self._begin_machine_code(variant)
        return variant

    def _begin_machine_code(self, variant: Variant) -> None:
        """Have a variant compiled to machine code, in another thread; at once if there is none."""
        from shared.programs.machine_code import background
        from shared.programs.machine_code.exchange import Machine

        with self._lock:
            if variant.machine is not None:
                return
            variant.machine = Machine(variant, warns=self.backend == "c")
        background.submit(variant.machine.make)

    def _run_as_it_is(self, why: str) -> None:
        """Give up compiling, with a warning that says why."""
        self._uncompiled, self._variants = True, ()
        warnings.warn(
            one_line(f"compile: {readable_name(self.__wrapped__)} runs uncompiled from now on, since {why}"),
            stacklevel=4,
        )

    def _why_so_many(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        leaves = flatten([list(args), kwargs])[0]
        counts = [
            path
            for path, leaf in zip(argument_paths(self.__wrapped__, args, kwargs), leaves, strict=True)
            if isinstance(leaf, (int, str)) and not isinstance(leaf, bool)
        ]
        if counts:
            return f"{' and '.join(counts)} may differ in each; pass a number that is computed with as a float"
        return "the shapes of the arguments, or branches, differ in most"

    def _enter(self, new: Variant) -> None:
        """Keep a new variant, and of the others those that were called last, within the bound."""
        rivals = [variant for variant in self._variants if _same_arguments(variant.program, new.program)]
        if any(differences(variant.program, new.program) is None for variant in rivals):
            return  # another thread has made it, or rounding takes the text of the same record elsewhere
        if len(rivals) >= self.cache_size:
            guard = next((g for g in new.program.guards), None)
            where = "" if guard is None else f": {comparison(new.program, guard)}{guard.where}"
            raise CompilationError(
                f"compile: {new.program.name} took another way through its branches in each of {len(rivals) + 1} calls "
                f"with arguments of the same types{where}. Write np.where(condition, x, y) for branches on values, "
                "compile the body of a loop that ends by a value, or raise cache_size"
            )
        self._calls = new.used = self._calls + 1
        kept = sorted(self._variants, key=lambda variant: variant.used, reverse=True)
        self._variants = (new, *kept[: self.cache_size - 1])

    # --- looking inside ---

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program that runs for these arguments: recorded, simplified and rewritten."""
        return rewritten(simplify(record(self.__wrapped__, args, kwargs, "compile", LOWERED)))

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The very text that runs for these arguments; without arguments, that of the variant called last."""
        if not args and not kwargs:
            if not self._variants:
                raise CompilationError(
                    f"compile: there is no source before the first call{user_line()}: call the function, or give "
                    "source(...) its arguments"
                )
            return _source_of(max(self._variants, key=lambda variant: variant.used))
        self(*args, **kwargs)
        for variant in self._variants:
            result = variant.attempt(args, kwargs)
            if result is not OTHER and not isinstance(result, Exception):
                return _source_of(variant)
        name = getattr(self.__wrapped__, "__name__", repr(self.__wrapped__))
        raise CompilationError(f"compile: {name} has no source for these arguments{user_line()}")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the machine code of every variant so far is in use, or known to be out of reach.

        With backend="auto" what has not begun to be compiled begins now.  Returns whether every variant runs as machine
        code; at once with backend="numpy".  `timeout` is in seconds, for each variant.

        >>> compile(lambda x: x * x).wait()
        True
        """
        if self.backend == "numpy":
            return not self._variants
        for variant in self._variants:
            self._begin_machine_code(variant)
        machines = [variant.machine for variant in self._variants]
        return all([machine is not None and machine.wait(timeout) for machine in machines])

    @property
    def variants(self) -> Iterator[Program]:
        """The programs compiled so far, the last one first."""
        return iter([variant.program for variant in self._variants])

    def __repr__(self) -> str:
        name = one_line(str(getattr(self, "__qualname__", self.__wrapped__)))
        return f"<compiled {name}: {len(self._variants)} variants>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        from types import MethodType

        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        return own_name(self) or (compile, (self.__wrapped__, self.cache_size, self.verify, self.backend))


def _source_of(variant: Variant) -> str:
    """What runs for a variant: C, or the text of NumPy."""
    return variant.text if variant.machine is None else variant.machine.source or variant.text


class _StrictError(Exception):
    """NumPy's error handling inside of a function is more than a text can reproduce."""


def _require_leniency(program: Program) -> None:
    """Raise _StrictError where an np.errstate does more than silence or allow warnings: a text computes otherwise."""
    for equation in program.equations:
        strict = {name: how for name, how in equation.errors.items() if how not in ("ignore", "warn")}
        if strict:
            name, how = next(iter(strict.items()))
            raise _StrictError(
                f"it sets np.errstate({name}={how!r}){equation.where}, and what its operations raise then, a text "
                "that computes in another order would not"
            )


def _same_arguments(one: Program, other: Program) -> bool:
    return (
        one.structure == other.structure
        and [one.types[k] for k in one.inputs] == [other.types[k] for k in other.inputs]
        and one.layouts == other.layouts
        and one.static_leaves.keys() == other.static_leaves.keys()
        and all(alike(value, other.static_leaves[k]) for k, value in one.static_leaves.items())
    )


def compile(f: Function, cache_size: int = 8, verify: Verify = "seldom", backend: Backend = "numpy") -> Compiled:
    """`f` compiled to straight-line NumPy source, at its first call with arguments of each type.

    `f` may be a derivative, and usually is: `compile(reversead.value_and_grad(loss))`; it may be used as a decorator.
    A compiled function takes the same arguments and returns the same results, to rounding.  Arguments of another
    structure, shape or dtype, other integers and strings, and another way through branches on values make another
    variant, of which at most `cache_size` are kept, those called last.

    A compiled function depends on its arguments, and on the contents of the arrays that it captured, which are read at
    each call.  Whatever else `f` read is frozen when it is recorded: numbers, settings, attributes, which array a name
    stands for, and what is computed from arrays outside alone (`A * 2`, `float(A[0])`, a branch on them).  After a
    change of those, call `clear()`.  So that a change does not go unnoticed, `f` itself is run beside it on calls
    1, 2, 4, 8, ... of each variant and compared (`verify="seldom"`), on all calls ("always"), or on none ("never").

    With backend="c" a C compiler makes machine code of each variant in another thread, and the NumPy source runs until
    it is there (`wait()` waits for it); where there is no compiler, or the record has too little or too much for it, a
    warning says so once and the source stays.  backend="auto" does so from call 16 on, and without a warning.  Results
    of machine code are NumPy's to a few units in the last place of each operation; where NumPy would warn, the source
    runs and warns.

    Results differ from those of `f` by rounding: in zeros by their sign, and where a product of numbers in the code
    passes the limits of float64 only on the way.  A branch that rounding decides may go either way.  Whatever else `f`
    does (printing, counting, writing to files) happens when it is recorded, with values of a record in place of arrays,
    and when it is run beside the text.

    Cost: the first call records `f` once and calls it once, some tens of microseconds an operation; a call then costs
    what the source does, and about 0.3 microseconds an argument.  A function runs as it is, with a warning that says
    so, if it executes more than 50,000 operations, needs other variants all the time, or catches an exception that an
    operation raises while it is recorded.  Raises StaleProgramError where `f` is found to compute something else than
    its record, also at each later call with such arguments until `clear()`; CompilationError for a function that draws
    random numbers, is not deterministic, or stores its values, and where branches would take more than `cache_size`
    variants; ImpureFunctionError where `f` assigns to its argument; TracerConversionError for `float(x)` of an
    argument; TypeError for other results than numbers, arrays and containers of them.

    >>> cube = compile(lambda x: x * x * x)
    >>> cube(2.0), cube(np.array([1.0, 3.0]))
    (8.0, array([ 1., 27.]))
    >>> cube
    <compiled <lambda>: 2 variants>
    """
    if not callable(f):
        raise TypeError(f"compile: expected a function, not {shown(f)} (type {kind_of(f)}){user_line()}")
    if isinstance(cache_size, bool) or not isinstance(cache_size, (int, np.integer)):
        raise TypeError(f"compile: cache_size has to be an integer, not {cache_size!r}{user_line()}")
    if cache_size < 1:
        raise ValueError(f"compile: cache_size={cache_size}{user_line()}, but at least one variant has to be kept")
    if verify not in ("always", "seldom", "never"):
        raise ValueError(f'compile: verify={verify!r}{user_line()}; write "always", "seldom" or "never"')
    if backend not in ("numpy", "c", "auto"):
        raise ValueError(f'compile: backend={backend!r}{user_line()}; write "numpy", "c" or "auto"')
    return Compiled(f, cache_size, verify, backend)
