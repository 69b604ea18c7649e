"""`compile(f)`: `f` as straight-line NumPy source for the arguments it meets, made at the first call with such ones.

A call first checks, by source made for that, that arguments have the structure, types and shapes of a variant that is
there; then it runs that variant's text (`shared.programs.compiling.source`) in a workspace of its own, so threads do
not meet and results alias nothing.  Where there is none, `f` is recorded and compiled.  A branch that goes another way
than in the record leads to another variant; a number that Python's arithmetic refuses (`math.log(0.0)`) to the record
itself, which computes as NumPy does.  This module knows no source text of programs.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import update_wrapper
from typing import Any

import numpy as np

from shared.arguments import argument_paths
from shared.errors import CompilationError, ProgramGuardError, user_line
from shared.levels import Tracer
from shared.programs.compiling.checks import OTHER, PLAIN, Check, alike
from shared.programs.compiling.contents import Contents, arrays_among, watched
from shared.programs.compiling.determinism import differences
from shared.programs.compiling.faithful import faithful_record
from shared.programs.compiling.literals import comment
from shared.programs.compiling.names import Names
from shared.programs.compiling.numpy_text import LOWERED
from shared.programs.compiling.rewriting import rewritten
from shared.programs.compiling.source import Source
from shared.programs.parts import Guard
from shared.programs.program import Program
from shared.programs.tracing import record
from shared.transformed import own_name
from shared.tree import flatten

Function = Callable[..., Any]

#: Variants are made this many times as often as they can be kept, before it is asked whether they are of use.
_TRIALS = 4
#: Programs of more equations stay interpreted: Python's compiler takes about 6 kB an equation.
LONGEST = 20_000


class Variant:
    """One compiled program: for arguments of one type, and one way through the branches."""

    __slots__ = (
        "_spare", "attempt", "contents", "guards", "namespace", "objects", "program", "refusals", "text",
        "used",
    )  # fmt: skip

    def __init__(self, program: Program, source: Program, objects: Names | None, contents: Contents):
        #: the record as it was made, and what was compiled of it
        self.program = program
        #: the attributes that are read from arguments which are objects, and the arrays that the record may depend on
        self.objects = objects
        self.contents = contents
        #: when it was called last, in calls of the compiled function
        self.used = 0
        #: how often the text refused numbers, and the record was run in its place
        self.refusals = 0
        self.guards: list[Guard] = []
        self.text: str | None = None
        #: what has to be assigned before the text is executed
        self.namespace: dict[str, Any] = {}
        #: workspaces that nobody is using: each is the function with buffers of its own
        self._spare: list[Function] = []
        if len(source.equations) <= LONGEST:
            written = Source(source)
            self.text, self.guards, self.namespace = written.text, written.guards, written.namespace
        else:
            warnings.warn(
                f"{program.name}: a program of {len(source.equations)} operations is not compiled but interpreted; "
                f"the limit is {LONGEST}. Compile the body of its loop instead",
                stacklevel=5,
            )
        self.attempt = self._attempt()

    def _workspace(self) -> Function:
        """The function that the text defines, with buffers of its own."""
        assert self.text is not None
        scope = dict(self.namespace)
        exec(_code(self.text, self.program.name), scope)
        made: Function = scope["call"]
        return made

    def _attempt(self) -> Function:
        """The function that checks arguments and runs the program, from text: a call without any loop over types."""
        check = Check(self.program)
        scope: dict[str, Any] = {**check.scope, "other": OTHER, "spare": self._spare, "new": self._workspace}
        if self.text is None:
            rows = ["    return otherwise(args, kwargs)"]
        else:
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
                "    except (ArithmeticError, ValueError):",
                "        spare.append(run)",
                "        return otherwise(args, kwargs)",
                "    spare.append(run)",
                "    return result",
            ]
        scope["otherwise"], scope["is_stale"] = self._interpreted, self.is_stale
        if self.objects is not None or len(self.contents):
            rows[:0] = ["    if is_stale():", "        return other"]
        text = "\n".join(["def attempt(args, kwargs):", *check.rows, *rows, ""])
        exec(_code(text, f"the arguments of {self.program.name}"), scope)
        found: Function = scope["attempt"]
        return found

    def _interpreted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the record computes, as NumPy does; the departure where a branch goes another way."""
        self.refusals += 1
        try:
            return self.program(*args, **kwargs)
        except ProgramGuardError as departure:
            return departure

    def is_stale(self) -> bool:
        """Whether something has changed that the record depends on."""
        return not (self.contents.unchanged() and (self.objects is None or self.objects.unchanged()))


def _code(text: str, name: str) -> Any:
    return _compile(text, f"<compiled {comment(name)}>", "exec")


_compile = compile


class Compiled:
    """What `compile` returns: called like the function, which it holds in compiled variants."""

    def __init__(self, function: Function, cache_size: int):
        update_wrapper(self, function, updated=())
        self.__wrapped__ = function
        self.cache_size = cache_size
        #: held only while variants are exchanged, never while the function runs: that may wait for other threads
        self._lock = threading.RLock()
        self._variants: tuple[Variant, ...] = ()
        self._names: Names | None = None
        self._calls = 0
        #: variants made so far, and whether it was given up to make more of them
        self._made = 0
        self._uncompiled = False
        #: how often an array was changed without another record, by identity
        self._harmless: Counter[int] = Counter()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        names = self._names
        if names is None or names.unchanged():
            for variant in self._variants:
                result = variant.attempt(args, kwargs)
                if result is OTHER:
                    continue
                if isinstance(result, Exception):
                    continue  # a branch went another way
                self._calls = variant.used = self._calls + 1
                return result
        return self._first_call(args, kwargs)

    def _first_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compile for arguments that no variant takes, and call that."""
        if self._uncompiled:
            return self.__wrapped__(*args, **kwargs)
        leaves, _ = flatten([list(args), kwargs])
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            # Part of a larger differentiation, or record: that sees the function itself.
            return self.__wrapped__(*args, **kwargs)
        with self._lock:
            changed = None
            if self._names is None or not self._names.unchanged():
                changed = None if self._names is None else self._names.changed()
                self._variants, self._names = (), Names(self.__wrapped__)
                self._harmless.clear()
            names = self._names
            self._made += 1
            if self._made > _TRIALS * self.cache_size and self._calls < 2 * self._made:
                self._give_up(changed, args, kwargs)
                return self.__wrapped__(*args, **kwargs)
        variant = self._make(args, kwargs, names)
        with self._lock:
            if self._names is names and names.unchanged():
                self._enter(variant)
        result = variant.attempt(args, kwargs)
        if result is OTHER or isinstance(result, Exception):
            return variant.program(*args, **kwargs)
        return result

    def _give_up(self, changed: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the function as it is from now on, since making variants has taken longer than they have saved."""
        self._uncompiled, self._variants = True, ()
        leaves = flatten([list(args), kwargs])[0]
        counts = [
            path
            for path, leaf in zip(argument_paths(self.__wrapped__, args, kwargs), leaves, strict=True)
            if isinstance(leaf, (int, str)) and not isinstance(leaf, bool)
        ]
        if changed is not None:
            why = f"the name {changed} stands for something else in each; pass it as an argument"
        elif counts:
            why = f"{' and '.join(counts)} may differ in each; pass a number that is computed with as a float"
        else:
            why = "the shapes of the arguments, or branches, differ in most"
        warnings.warn(
            f"compile: {getattr(self, '__name__', self.__wrapped__)} runs uncompiled from now on, since {self._made} "
            f"variants were made in {self._calls + self._made} calls: {why}",
            stacklevel=4,
        )

    def _make(self, args: tuple[Any, ...], kwargs: dict[str, Any], names: Names) -> Variant:
        function = self.__wrapped__
        reached = Contents(arrays_among(names.values))
        program = faithful_record(function, args, kwargs, names)
        owners = {
            path: leaf
            for path, leaf in zip(argument_paths(function, args, kwargs), flatten([list(args), kwargs])[0], strict=True)
            if not isinstance(leaf, (*PLAIN, np.ndarray))
        }
        objects = Names(function, owners) if owners else None
        contents = reached.of(watched(program, [function, *names.values], self._harmless))
        return Variant(program, rewritten(program.simplified()), objects, contents)

    def _enter(self, new: Variant) -> None:
        """Keep a new variant, and of the others those that were called last, within the bound."""
        kept = []
        for variant in self._variants:
            if not _same_arguments(variant.program, new.program):
                kept.append(variant)
            elif variant.is_stale():
                if differences(variant.program, new.program) is None:
                    self._harmless.update(id(array) for array in variant.contents.changed())
            elif differences(variant.program, new.program) is None:
                return  # another thread has made it, or rounding takes the text of the same record elsewhere
            else:
                kept.append(variant)
        alike = sum(_same_arguments(variant.program, new.program) for variant in kept)
        if alike >= self.cache_size:
            guard = next((g for g in new.program.guards), None)
            where = "" if guard is None else f": {new.program.comparison(guard)}{guard.where}"
            raise CompilationError(
                f"compile: {new.program.name} took another way through its branches in each of {alike + 1} calls "
                f"with arguments of the same types{where}. Write np.where(condition, x, y) for branches on values, "
                "compile the body of a loop that ends by a value, or raise cache_size"
            )
        self._calls = new.used = self._calls + 1
        kept.sort(key=lambda variant: variant.used, reverse=True)
        self._variants = (new, *kept[: self.cache_size - 1])

    # --- looking inside ---

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program that runs for these arguments: recorded, simplified and rewritten."""
        return rewritten(record(self.__wrapped__, args, kwargs, LOWERED).simplified())

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The very text that runs for these arguments; without arguments, that of the variant called last."""
        if not args and not kwargs:
            if not self._variants:
                raise CompilationError(
                    f"compile: there is no source before the first call{user_line()}: call the function, or give "
                    "source(...) its arguments"
                )
            last = max(self._variants, key=lambda variant: variant.used)
            return last.text or repr(last.program)
        self(*args, **kwargs)
        for variant in self._variants:
            result = variant.attempt(args, kwargs)
            if result is not OTHER and not isinstance(result, Exception):
                return variant.text or repr(variant.program)
        name = getattr(self.__wrapped__, "__name__", repr(self.__wrapped__))
        raise CompilationError(f"compile: {name} has no source for these arguments{user_line()}")

    @property
    def variants(self) -> Iterator[Program]:
        """The programs compiled so far, the last one first."""
        return iter([variant.program for variant in self._variants])

    def __repr__(self) -> str:
        return f"<compiled {getattr(self, '__qualname__', self.__wrapped__)!s}: {len(self._variants)} variants>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        from types import MethodType

        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        return own_name(self) or (compile, (self.__wrapped__, self.cache_size))


def _same_arguments(one: Program, other: Program) -> bool:
    return (
        one.structure == other.structure
        and [one.types[k] for k in one.inputs] == [other.types[k] for k in other.inputs]
        and one.layouts == other.layouts
        and one.static_leaves.keys() == other.static_leaves.keys()
        and all(alike(value, other.static_leaves[k]) for k, value in one.static_leaves.items())
    )


def compile(f: Function, cache_size: int = 8) -> Compiled:
    """`f` compiled to straight-line NumPy source, at its first call with arguments of each type.

    `f` may be a derivative, and usually is: `compile(reversead.value_and_grad(loss))`; it may be used as a decorator.
    A compiled function takes the same arguments and returns the same results, to rounding.  Arguments of another
    structure, shape or dtype, other integers and strings, and another way through branches on values make another
    variant; so do names that `f` reads (globals, variables of functions around it, attributes of `self` and of other
    objects that are arguments) and that were bound anew.  At most `cache_size` variants are kept, those called last.

    Arrays from outside are read at each call where they meet an argument.  What `f` computes from such arrays alone
    (`A * 2`, `float(A[0])`, a branch on them) is recorded, so arrays that names stand for are compared with a copy at
    each call, and `f` is compiled anew after a change: up to 8 KB always, and of any size if the program does not read
    them itself; of larger ones that it reads, those only where the record holds numbers that may come from them (any
    array or NumPy number that `f` has made; Python floats that are neither whole, nor one over a whole number, nor
    written in the code).  So of a large array that is also read at each call, a change that decides a branch or a count
    alone is not seen; nor is, of any array that is read, one after two that left the record as it was.  Numbers
    from such arrays are better passed as arguments.

    Results differ from those of `f` by rounding: in zeros by their sign, and where a product of numbers in the code
    passes the limits of float64 only on the way.  A branch that rounding decides may go either way.

    Whatever else `f` does happens in its first call alone (printing, counting, writing to files): twice, and once with
    values of a record in place of arrays.

    Cost: the first call records `f` once or twice and calls it once, some tens of microseconds an operation; a call
    then costs what the source does, and about 0.3 microseconds an argument.  Programs of more than 20,000 operations
    stay interpreted, and a function that needs other variants all the time runs as it is, both with a warning.  Raises
    CompilationError for a function that draws random numbers, is not deterministic, or stores its values, and where
    branches would take more than `cache_size` variants; ImpureFunctionError where `f` assigns to its argument;
    TracerConversionError for `float(x)` of an argument; TypeError for other results than numbers, arrays and
    containers of them.

    >>> cube = compile(lambda x: x * x * x)
    >>> cube(2.0), cube(np.array([1.0, 3.0]))
    (8.0, array([ 1., 27.]))
    >>> cube
    <compiled <lambda>: 2 variants>
    """
    if not callable(f):
        raise TypeError(f"compile: expected a function, not {f!r} (type {type(f).__name__}){user_line()}")
    if isinstance(cache_size, bool) or not isinstance(cache_size, (int, np.integer)):
        raise TypeError(f"compile: cache_size has to be an integer, not {cache_size!r}{user_line()}")
    if cache_size < 1:
        raise ValueError(f"compile: cache_size={cache_size}{user_line()}, but at least one variant has to be kept")
    return Compiled(f, cache_size)
