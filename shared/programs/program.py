"""A recorded program: the circuit of primitives that a function executed, as an object that runs again.

A `Program` is straight-line code.  Every value has a number; an `Equation` makes one value from others by one
primitive of the registry, and a `Guard` between equations states what the recording relied on: which way a branch
went, or how many elements a mask chose.  Everything that is done with programs (counting, printing, drawing,
compiling) reads this one form; how it is recorded is the business of `shared.programs.recorder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from shared.calling.tree import Structure, flatten, paths_within, unflatten
from shared.core.duck_array import DuckArray
from shared.core.errors import ProgramGuardError, user_line
from shared.core.levels import Tracer, bind
from shared.core.primitive import Primitive
from shared.core.refcounts import ALONE_AS_LOCAL, getrefcount
from shared.programs.equations import Equation, Guard, Layout, Step, ValueType, Write, layout_of
from shared.programs.notation import literal_text
from shared.programs.text import comparison, html_listing, listing, right_side


class Program:
    """A recorded function: call it like the function, print it, pickle it, differentiate it.

    `types[k]` is the type of value k.  A value is an input, a literal (a number, a slice, or an array that the function
    made itself), a captured array (one that lives outside of the function: it is read at each call), or the result of
    an equation.  `steps` are the equations and guards in order.

    Calling it costs about a microsecond an operation beyond NumPy's own time.  Raises ProgramGuardError for arguments
    of another structure, shape or dtype, and where a branch would go another way than when it was recorded.

    A pickled program is as safe as any pickle, which is to say that loading one runs whatever code its author wants:
    load only what you have written yourself, or would run.
    """

    __slots__ = (
        "__dict__",
        "_has_error_settings",
        "_last_uses",
        "captured",
        "custom",
        "inputs",
        "layouts",
        "literals",
        "name",
        "names",
        "out_structure",
        "outputs",
        "static_leaves",
        "steps",
        "structure",
        "types",
    )

    def __init__(
        self,
        name: str,
        types: list[ValueType],
        inputs: list[int],
        names: dict[int, str],
        structure: Structure,
        static_leaves: dict[int, Any],
        literals: dict[int, Any],
        captured: dict[int, np.ndarray],
        steps: list[Step],
        outputs: list[int],
        out_structure: Structure,
        custom: tuple[str, ...] = (),
        layouts: Mapping[int, Layout] = MappingProxyType({}),
    ):
        self.name = name
        self.types = types
        #: the numbers of the leaves of the arguments that are recorded, and what users call them
        self.inputs = inputs
        self.names = names
        #: the structure of (args, kwargs), and the leaves that are not recorded (integers, strings, ...) by position
        self.structure = structure
        self.static_leaves = static_leaves
        self.literals = literals
        self.captured = captured
        self.steps = steps
        self.outputs = outputs
        self.out_structure = out_structure
        #: functions with a derivative of their own, which the record has followed inside
        self.custom = custom
        #: of arguments, where it matters to what a reshaped array is a view of, whether they lie in C and Fortran order
        self.layouts = dict(layouts)
        self.__name__ = name
        self._last_uses: list[tuple[int, ...]] | None = None
        self._has_error_settings: bool | None = None

    # --- reading ---

    @property
    def equations(self) -> list[Equation]:
        """The steps without the guards."""
        return [step for step in self.steps if isinstance(step, Equation)]

    @property
    def guards(self) -> list[Guard]:
        """What the program relies on, beside the types of its inputs."""
        return [step for step in self.steps if isinstance(step, Guard)]

    @property
    def has_error_settings(self) -> bool:
        """Whether operations stand within an np.errstate of the function's."""
        if self._has_error_settings is None:
            self._has_error_settings = any(equation.errors for equation in self.equations)
        return self._has_error_settings

    def last_uses(self) -> list[tuple[int, ...]]:
        """For each step, the values that no later step and no output needs: they may be freed after it."""
        if self._last_uses is None:
            seen = set(self.outputs) | self.literals.keys() | self.captured.keys()
            found: list[tuple[int, ...]] = []
            for step in reversed(self.steps):
                done = dict.fromkeys(k for k in step.operands if k not in seen)
                if step.result is not None and step.result not in seen:
                    done[step.result] = None
                seen.update(done)
                found.append(tuple(done))
            self._last_uses = found[::-1]
        return self._last_uses

    def name_of(self, number: int) -> str:
        """What a value is called in print: an input's path, a literal's text, or v and its number."""
        if number in self.literals:
            return literal_text(self.literals[number])
        return self.names.get(number) or f"v{number}"

    # --- running ---

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values = self.bound(args, kwargs)
        self._execute(values, self.last_uses())
        return unflatten(self.out_structure, self._fresh([values[k] for k in self.outputs], values))

    def values(self, *args: Any, **kwargs: Any) -> list[Any]:
        """All values at these arguments, by number: what a call computes, and nothing is freed or changed in place.

        Arrays given or read from outside are copied, so later changes of them are not seen.  Cost: a call, and the
        memory of every value.  Raises what a call raises.

        >>> from shared.programs import trace
        >>> trace(lambda x: np.square(x) * 3.0, 2.0).values(4.0)
        [4.0, np.float64(16.0), 3.0, np.float64(48.0)]
        """
        values = self.bound(args, kwargs)
        for k in (*self.inputs, *self.captured):
            if isinstance(values[k], np.ndarray):
                values[k] = np.array(values[k])
        self._execute(values, [()] * len(self.steps))
        return values

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The table of values before the first step: inputs, literals and captured arrays; None for all others.

        Cost: a look at each argument and at each array from outside.  Raises ProgramGuardError where the arguments have
        another structure, type or shape than those that the program was recorded with, or other integers or strings,
        where an array from outside has another shape or dtype, and where a function with a derivative of its own is to
        be differentiated.

        >>> from shared.programs import trace
        >>> trace(lambda x: np.square(x) * 3.0, 2.0).bound((4.0,), {})
        [4.0, None, 3.0, None]
        """
        leaves, structure = flatten([list(args), kwargs])
        if structure != self.structure:
            from shared.calling.shells import where_different

            raise ProgramGuardError(
                f"{self.name} was recorded for arguments of the structure {_arguments_text(self.structure)}, not "
                f"{_arguments_text(structure)}{user_line()}{where_different(structure, self.structure)}; trace it again"
            )
        values: list[Any] = [None] * len(self.types)
        inputs = iter(self.inputs)
        for position, leaf in enumerate(leaves):
            if position in self.static_leaves:
                if not _same(self.static_leaves[position], leaf):
                    raise ProgramGuardError(
                        f"{self.name} was recorded with {self.static_leaves[position]!r} for "
                        f"{_leaf_path(self.structure, position)}, not {leaf!r}{user_line()}; only floating-point "
                        "numbers and arrays may change. Trace it again"
                    )
                continue
            number = next(inputs)
            if not self._fits(leaf, self.types[number]):
                raise ProgramGuardError(
                    f"{self.name} was recorded for {self.types[number].description} as {self.names[number]}, not "
                    f"{_description(leaf)}{user_line()}; trace it again"
                )
            if number in self.layouts and isinstance(leaf, np.ndarray) and layout_of(leaf) != self.layouts[number]:
                raise ProgramGuardError(
                    f"{self.name} assigns to reshaped arrays and was recorded for {self.names[number]} in another "
                    f"order of elements (C or Fortran order){user_line()}, so it might write to other arrays; trace it "
                    "again, or begin with np.ascontiguousarray"
                )
            values[number] = leaf
        if self.custom and any(isinstance(leaf, Tracer) for leaf in leaves):
            raise ProgramGuardError(
                f"{self.name} uses {self.custom[0]}, which has a derivative of its own, and a record follows it inside"
                f"{user_line()}: differentiate first, and trace the derivative"
            )
        for number, literal in self.literals.items():
            values[number] = literal
        for number, array in self.captured.items():
            if array.shape != self.types[number].shape or array.dtype != self.types[number].dtype:
                raise ProgramGuardError(
                    f"{self.name} reads an array from outside that was {self.types[number].description} when it was "
                    f"recorded{self._first_use(number)} and is now {_description(array)}{user_line()}; trace it again"
                )
            values[number] = array
        return values

    def require_own_derivatives(self, name: str) -> None:
        """Refuse, for `name`, to differentiate functions with a derivative of their own, which a record has not kept.

        Raises ProgramGuardError.
        """
        if self.custom:
            raise ProgramGuardError(
                f"{name}: {self.name} uses {self.custom[0]}, which has a derivative of its own{user_line()}, but "
                "a record follows it inside, where that derivative is not used; record the derivative instead: "
                "trace(reversead.grad(f), x)"
            )

    def _first_use(self, number: int) -> str:
        return next((step.where for step in self.steps if number in step.operands), "")

    @staticmethod
    def _fits(leaf: Any, type_: ValueType) -> bool:
        if isinstance(leaf, DuckArray):
            return bool(np.shape(leaf) == type_.shape and (type_.dtype is None or leaf.dtype == type_.dtype))
        return ValueType.of(leaf) is type_

    def _execute(self, values: list[Any], uses: Sequence[tuple[int, ...]]) -> None:
        """Fill the table of values; after each step those that `uses` names for it are freed."""
        given = {id(value) for value in values if value is not None}
        if self.has_error_settings:
            self._execute_within(values, uses, given)
            return
        plain = not any(isinstance(values[k], Tracer) for k in self.inputs)
        step: Any = None
        try:
            for step, done in zip(self.steps, uses, strict=True):
                primitive = step.primitive
                if primitive is None:
                    self.check(step, values[step.operands[0]])
                elif plain and primitive.__class__ is Primitive:
                    static = step.static
                    if static:
                        values[step.result] = primitive.raw(*[values[k] for k in step.operands], **static)
                    else:
                        values[step.result] = primitive.raw(*[values[k] for k in step.operands])
                else:
                    values[step.result] = evaluated(step, values, done, given)
                for number in done:
                    values[number] = None
        except ProgramGuardError:
            raise
        except Exception as error:
            if step is not None:
                error.add_note(f"{self.name}: in {right_side(self, step)}{step.where}")
            raise

    def _execute_within(self, values: list[Any], uses: Sequence[tuple[int, ...]], given: set[int]) -> None:
        """The same, with the settings of np.errstate that the function had around its operations."""
        for step, done in zip(self.steps, uses, strict=True):
            if isinstance(step, Guard):
                self.check(step, values[step.operands[0]])
            else:
                with np.errstate(**step.errors):
                    values[step.result] = evaluated(step, values, done, given)
            for number in done:
                values[number] = None

    def check(self, guard: Guard, value: Any) -> None:
        """Raise ProgramGuardError if a value is not what the program relies on."""
        if not guard.holds(value):
            raise ProgramGuardError(self.violation(guard, value))

    def violation(self, guard: Guard, value: Any) -> str:
        """What to tell of a guard that does not hold."""
        if guard.expected.__class__ is tuple:
            return (
                f"{self.name}: {comparison(self, guard)}{guard.where} had shape {guard.expected} when it was recorded "
                f"and now has {np.shape(value)}. Trace it again for these arguments, or use compile, which does so"
            )
        return (
            f"{self.name}: the branch on {comparison(self, guard)}{guard.where} was recorded as {guard.expected} and "
            f"is now {bool(value)}. Trace it again for these arguments, use compile, which does so by itself, or write "
            "np.where(condition, x, y) for both branches"
        )

    def _fresh(self, outputs: list[Any], values: list[Any]) -> list[Any]:
        """The outputs, copied where they might share memory with an argument, a constant or one another."""
        given = {id(values[k]) for k in (*self.inputs, *self.literals, *self.captured)}
        for k, value in enumerate(outputs):
            if value.__class__ is np.ndarray and (value.base is not None or id(value) in given):
                outputs[k] = value = value.copy()
            given.add(id(value))
        return outputs

    # --- text ---

    def __str__(self) -> str:
        return listing(self)

    def __repr__(self) -> str:
        return f"<program {self.name}: {len(self.equations)} equations, {len(self.guards)} guards>"

    def _repr_html_(self) -> str:
        return html_listing(self)

    # --- pickling ---

    def __getstate__(self) -> Any:
        state = {name: getattr(self, name) for name in Program.__slots__ if not name.startswith("_")}
        # A literal that repeats one number is not written out.
        state["literals"] = {k: _Repeated(v) if _repeats(v) else v for k, v in self.literals.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.literals = {k: v.array() if isinstance(v, _Repeated) else v for k, v in self.literals.items()}
        for literal in self.literals.values():
            if isinstance(literal, np.ndarray):
                literal.flags.writeable = False
        self.__name__ = self.name
        self._last_uses = self._has_error_settings = None


class _Repeated:
    """An array all of whose elements are one, as it is pickled."""

    __slots__ = ("element", "shape")

    def __init__(self, array: np.ndarray):
        self.shape = array.shape
        self.element = np.array(array.flat[0], array.dtype)

    def array(self) -> np.ndarray:
        """The array, of which one element is in memory."""
        return np.broadcast_to(self.element, self.shape)


def _repeats(literal: Any) -> bool:
    return isinstance(literal, np.ndarray) and literal.size > 1 and not any(literal.strides)


def evaluated(equation: Equation, values: Sequence[Any], done: tuple[int, ...], given: set[int]) -> Any:
    """The result of one equation; a write is done in place where nobody else would notice."""
    primitive = equation.primitive
    if isinstance(primitive, Write):
        number = equation.operands[0]
        rest = [values[k] for k in equation.operands[1:]]
        buffer = values[number]
        # Referred to by the table and by this name: any more would be a view, or another value that is the same array.
        own = (
            number in done
            and buffer.__class__ is np.ndarray
            and buffer.base is None
            and id(buffer) not in given
            and buffer.flags.writeable
            and getrefcount(buffer) <= ALONE_AS_LOCAL + 1
        )
        return primitive.raw(buffer, *rest, own=own, **equation.static)
    arguments = tuple([values[k] for k in equation.operands])
    for a in arguments:
        if isinstance(a, Tracer):
            return bind(primitive, arguments, equation.static)
    return primitive.raw(*arguments, **equation.static)


def _description(leaf: Any) -> str:
    if isinstance(leaf, (np.ndarray, np.generic, float, complex)):
        return ValueType.of(leaf).description
    return f"{leaf!r} ({type(leaf).__name__})"


def _arguments_text(structure: Structure) -> str:
    """The structure of (args, kwargs) as a call would be written."""
    args, kwargs = structure.children
    parts = [repr(child) for child in args.children]
    parts += [f"{name}={child!r}" for name, child in zip(kwargs.names or (), kwargs.children, strict=True)]
    return f"({', '.join(parts)})"


def _leaf_path(structure: Structure, position: int) -> str:
    """What leaf of (args, kwargs) has a position, such as `args[1]['rate']`."""
    args, kwargs = structure.children
    return [*paths_within(args, "args"), *paths_within(kwargs, "kwargs")][position]


def _same(recorded: Any, given: Any) -> bool:
    if recorded is given:
        return True
    if recorded.__class__ is not given.__class__ or isinstance(given, Tracer):
        return False
    return bool(np.array_equal(recorded, given) if isinstance(recorded, np.ndarray) else recorded == given)
