"""Calling conventions that both engines share: which arguments vary, what a leaf may be, what an output must be.

It knows containers, dtypes and error messages, and of tangents and cotangents only what fits what; it knows nothing of
tapes or rules.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from itertools import accumulate, islice
from typing import Any

import numpy as np

from shared.calling.results import handed_out
from shared.calling.tree import LEAF, Structure, flatten, leaf_paths, unflatten
from shared.core.duck_array import LIBRARIES, DuckArray, of_any_library
from shared.core.edges import Like
from shared.core.errors import IntegerLeafError, LeafTypeError, ShapeError, TracerConversionError, is_users, user_line
from shared.core.levels import Tracer, current_recording
from shared.core.refcounts import ALONE_AS_BASE, ALONE_AS_ITEM, getrefcount
from shared.core.visible import kind_of, shown


def differentiable(leaf: Any, name: str = "variable", position: int | None = None) -> Any:
    """`leaf` as a value to differentiate with respect to: integers become float64, what has no derivative is refused.

    `name` and `position` (of the leaf among all) are for the error message.
    """
    value = _checked_leaf(leaf, name, position)
    recording = current_recording()
    # What is computed from it belongs to the record, since the array may change from run to run.
    return value if recording is None else recording.lifted(value)


def _checked_leaf(leaf: Any, name: str, position: int | None) -> Any:
    kind = leaf.__class__
    if kind is float or kind is complex or (kind is _ndarray and leaf.dtype in _FLOATING):
        return leaf
    if isinstance(leaf, (np.ndarray, np.generic, Tracer)):
        letter = leaf.dtype.kind  # type: ignore[union-attr]
        if letter in "fc":
            if isinstance(leaf, (np.ma.MaskedArray, np.matrix)):
                kind = type(leaf).__name__
                raise _not_differentiable(name, position, f"is a {kind}", "pass np.asarray of it, or .filled(value)")
            # The user may assign to an outer tracer later; what is differentiated is its present value.
            return leaf.twin() if isinstance(leaf, DuckArray) else leaf
        if letter in "iu":
            return leaf.astype(np.float64)  # type: ignore[union-attr]
        raise _not_differentiable(name, position, f"has dtype {leaf.dtype}", "convert it with .astype(float)")  # type: ignore[union-attr]
    if kind is int or (isinstance(leaf, (int, float)) and kind is not bool):
        return float(leaf)
    traced = of_any_library(leaf)
    if traced is not leaf:
        return _checked_leaf(traced, name, position)
    raise _not_differentiable(
        name, position, f"is a {kind_of(leaf)}", "pass a number, an array of numbers, or nested containers of them"
        f"{_how_to_be_one(leaf)}",
    )  # fmt: skip


def _how_to_be_one(leaf: Any) -> str:
    """What makes an object of a user's class a container, if it can be one."""
    if getattr(leaf, "__dict__", None) is None or callable(leaf):
        return ""
    return f" (an object of a class of yours is one after shared.register_container({kind_of(leaf)}, ...))"


_ndarray = np.ndarray
_FLOATING = frozenset((np.dtype(np.float64), np.dtype(np.float32)))


def _not_differentiable(name: str, position: int | None, problem: str, instead: str) -> LeafTypeError:
    where = "the argument" if position is None else f"leaf {position} of the differentiated arguments"
    return LeafTypeError(
        f"{name}: {where} {problem}{user_line()}, so it has no derivative; {instead}, or leave it out of argnums"
    )


#: What `argnums` may be: the position of an argument, its name, or a sequence of these.
Argnums = int | str | Sequence[int | str]


#: What looks at every function that is differentiated, before it is called (`shared.debug`); None outside of that.
WATCHING: ContextVar[Callable[[Selection], None] | None] = ContextVar("watching", default=None)


class Selection:
    """The call `f(*args, **kwargs)`, with those of its arguments that vary as a flat list of leaves.

    `argnums` says which: an int counts the positional arguments, a name is looked up in the signature of `f` and means
    that argument however it was passed, a sequence means several in its order, and None all the positional ones.
    """

    __slots__ = ("args", "by_keyword", "f", "kwargs", "leaves", "name", "places", "single", "structure")

    def __init__(
        self, name: str, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums | None
    ):
        self.name = name
        self.f = f
        self.args = args
        self.kwargs = kwargs
        #: where each argument that varies is: a position among `args`, or a keyword
        self.places: Sequence[int | str]
        #: whether any of them is a keyword
        self.by_keyword = False
        if argnums.__class__ is int and 0 <= argnums < len(args):
            self.single = True
            self.places = [argnums]
            found, self.structure = flatten(args[argnums])
        elif argnums is None:
            self.single = False
            self.places = range(len(args))
            found, self.structure = flatten(list(args))
        else:
            self.single = is_single(argnums)
            self.places = _places(name, f, args, kwargs, argnums)
            if kwargs:
                self.by_keyword = any(isinstance(place, str) for place in self.places)
            chosen = self.arguments()
            found, self.structure = flatten(chosen[0] if self.single else chosen)
        leaves = [
            leaf if leaf.__class__ is _ndarray and leaf.dtype in _FLOATING else _checked_leaf(leaf, name, k)
            for k, leaf in enumerate(found)
        ]
        recording = current_recording()
        self.leaves = leaves if recording is None else [recording.lifted(leaf) for leaf in leaves]

    def arguments(self) -> list[Any]:
        """The arguments that vary, as they were passed."""
        return [self.kwargs[place] if isinstance(place, str) else self.args[place] for place in self.places]

    def leaves_by_argument(self) -> list[list[Any]]:
        """The leaves of each argument that varies."""
        if self.single:
            return [self.leaves]
        leaves = iter(self.leaves)
        return [list(islice(leaves, child.size)) for child in self.structure.children]

    def call(self, leaves: Sequence[Any]) -> Any:
        """The value of `f` with these leaves in place of those that vary."""
        watch = WATCHING.get()
        if watch is not None:
            watch(self)
        values = unflatten(self.structure, leaves)
        args, kwargs, places = list(self.args), self.kwargs, self.places
        if not self.by_keyword:
            if self.single:
                args[places[0]] = values  # type: ignore[index]
            else:
                for place, value in zip(places, values, strict=True):
                    args[place] = value  # type: ignore[index]
            try:
                return self.f(*args, **kwargs)
            except (IndexError, TypeError, ValueError) as error:
                self._explain(error)
                raise
        kwargs = dict(kwargs)
        for place, value in zip(places, (values,) if self.single else values, strict=True):
            if isinstance(place, str):
                kwargs[place] = value
            else:
                args[place] = value
        try:
            return self.f(*args, **kwargs)
        except (IndexError, TypeError, ValueError) as error:
            self._explain(error)
            raise

    def _explain(self, error: Exception) -> None:
        """Say what an error of the function means: integers became floats, arrays objects, or one is locked.

        The first two are other errors; the third is a note on that of NumPy, as is what it laid its own error over.
        """
        if isinstance(error, TypeError) and "numpy.ndarray" in str(error):
            from shared.core.callers import plain_array_needed

            needed = plain_array_needed(error, is_users)
            if needed is not None:
                raise TracerConversionError(needed) from error
        if isinstance(error, ValueError):
            if isinstance(error.__cause__, TracerConversionError):  # the last line is what is read
                error.add_note(str(error.__cause__))
            if "read-only" in str(error) and not getattr(error, "__notes__", None):
                from shared.core.callers import who_locked

                locked = who_locked(error, self.name, is_users)
                if locked is not None:
                    error.add_note(locked)
            return
        if "loop of ufunc does not support argument" in str(error):
            raise TracerConversionError(
                f"an array of objects holds values that are being differentiated{user_line()}, as pandas makes of a "
                f"list of them: {error}. Build the array with np.stack([...]), or compute with .to_numpy() of what is "
                "passed as an argument"
            ) from error
        given = self.arguments()
        found = flatten(given[0] if self.single else given)[0]
        names = [place if isinstance(place, str) else f"argument {place}" for place in self.places]
        if len(names) > 1 or len(found) > 1:
            names = [f"leaf {k} of the differentiated arguments" for k in range(len(found))]
        integers = [name for name, leaf in zip(names, found, strict=True) if _is_integer(leaf)]
        if integers:
            from shared.core.callers import integer_needed

            explained = integer_needed(error, integers, is_users)
            if explained is not None:
                raise IntegerLeafError(explained) from error

    def pack(self, leaves: Sequence[Any]) -> Any:
        """Results per leaf, in the structure that the user asked in: one argument's, or a tuple of several."""
        values = (handed_out if LIBRARIES else unflatten)(self.structure, leaves)
        return values if self.single else tuple(values)

    def pack_square(self, blocks: list[list[Any]]) -> Any:
        """Blocks [leaf][leaf] of a Hessian in nested containers: of several arguments, `[i][j]` is that of two."""
        if self.single:
            return unflatten(self.structure, [handed_out(self.structure, row) for row in blocks])
        ends = list(accumulate(child.size for child in self.structure.children))
        parts = [
            (child, slice(end - child.size, end)) for child, end in zip(self.structure.children, ends, strict=True)
        ]
        return tuple(
            tuple(unflatten(outer, [handed_out(inner, row[k]) for row in blocks[i]]) for inner, k in parts)
            for outer, i in parts
        )

    def unpack(self, name: str, tangents: Any) -> list[Any]:
        """The leaves of tangents given as `pack` returns results: one argument's, or a sequence of several."""
        given = tangents if self.single else list(tangents)
        return same_structure(name, "tangent", given, self.structure, self.leaves)


def _is_integer(leaf: Any) -> bool:
    return leaf.__class__ is int or getattr(getattr(leaf, "dtype", None), "kind", "") in ("i", "u")


def argument_paths(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[str]:
    """What users call the leaves of the arguments, in the order of `flatten`, after the parameters of `f`.

    Each is on one line, and reads as an expression whatever keys and keywords are.

    >>> list(argument_paths(lambda x, *rest, **more: x, ([1.0, 2.0], 3.0), {"rate": 0.1, "a + b": 0.2}))
    ['x[0]', 'x[1]', 'args[1]', "kwargs['a + b']", 'rate']
    """
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for k, arg in enumerate(args):
        root = f"args[{k}]"
        if k < len(parameters) and parameters[k].kind in (0, 1):
            root = parameters[k].name
        yield from leaf_paths(arg, root)
    for name in sorted(kwargs):
        yield from leaf_paths(kwargs[name], name if name.isidentifier() else f"kwargs[{shown(name)}]")


def refuse_iterators(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that the first evaluation of a function would use up, where there will be another."""
    for argument in (*args, *kwargs.values()):
        if hasattr(argument, "__next__"):
            raise TypeError(
                f"{name}: an argument is a {kind_of(argument)}{user_line()}, which gives its values once, but "
                "the function is evaluated several times; pass a list"
            )


def is_single(argnums: Any) -> bool:
    """Whether results are those of one argument, and not a tuple."""
    return isinstance(argnums, (int, str, np.integer))


def _places(name: str, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any) -> list[int | str]:
    count = len(args)
    if is_single(argnums):
        items: Any = (argnums,)
    elif argnums.__class__ is tuple or isinstance(argnums, Sequence) or getattr(argnums, "ndim", 0) == 1:
        items = argnums
    else:
        # An iterator would be used up by the first call, and a set has no order to return results in.
        items = (argnums,)
    places: list[int | str] = []
    for item in items:
        if item.__class__ is int and 0 <= item < count:
            places.append(item)
        elif isinstance(item, str):
            places.append(_place_of(name, f, count, kwargs, item))
        elif isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            places.append(_checked_position(name, count, kwargs, item))
        else:
            raise TypeError(
                f"{name}: argnums must be an int, the name of an argument, or a sequence of these, not {shown(item)}"
                f"{user_line()}; at a point x it is {name}(f)(x)"
            )
    if len(set(places)) != len(places):
        raise ValueError(f"{name}: argnums={list(argnums)} names an argument twice{user_line()}")
    return places


def _checked_position(name: str, count: int, kwargs: dict[str, Any], number: Any) -> int:
    if not -count <= number < count:
        keyword = next(iter(kwargs), None)
        by_name = f"; one passed by keyword is given by its name, as in argnums={keyword!r}" if kwargs else ""
        raise ValueError(
            f"{name}: argnums={number} is out of range{user_line()}: the function was called with {count} "
            f"positional argument{'s' if count != 1 else ''}{by_name}"
        )
    return int(number) % count


def _place_of(name: str, f: Any, count: int, kwargs: dict[str, Any], argument: str) -> int | str:
    """Where the argument of this name was passed: its position, or its keyword."""
    try:
        parameters = inspect.signature(f).parameters
    except (TypeError, ValueError):
        parameters = None
    found = parameters.get(argument) if parameters is not None else None
    if argument in kwargs:
        if found is not None and found.kind is found.POSITIONAL_ONLY:
            raise TypeError(
                f"{name}: argnums={argument!r} could mean a positional-only parameter or a keyword of that name"
                f"{user_line()}; give the position of the one, or rename the other"
            )
        return argument
    if parameters is None:
        raise TypeError(
            f"{name}: argnums={argument!r} cannot be looked up{user_line()}, because the function has no signature "
            "that Python can read; give the argument's position"
        )
    if found is not None and found.kind is found.VAR_POSITIONAL:
        raise TypeError(
            f"{name}: argnums={argument!r} names all of *{argument}{user_line()}; give the positions of its arguments"
        )
    if found is None or found.kind is found.VAR_KEYWORD:
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise TypeError(f"{name}: argnums={argument!r} names a keyword that was not passed{user_line()}")
        known = ", ".join(parameters) or "none"
        raise TypeError(
            f"{name}: argnums={argument!r} names no argument of the function{user_line()}; its arguments are: {known}"
        )
    # What can be passed by position stands first in a signature.
    place = list(parameters).index(argument)
    if found.kind is found.KEYWORD_ONLY or place >= count:
        raise TypeError(
            f"{name}: argnums={argument!r} names an argument that was not passed{user_line()}; pass its value, also "
            "where it has a default"
        )
    return place


def as_leaves(values: list[Any], leaves: Sequence[Any]) -> list[Any]:
    """Derivatives in the types of the leaves they belong to: fresh, writable, zeros where there is none (None)."""
    results = []
    for k, leaf in enumerate(leaves):
        # An array that this list alone refers to can be handed out without a copy.
        alone = getrefcount(values[k]) <= ALONE_AS_ITEM
        value = values[k]
        if (
            alone
            and value.__class__ is _ndarray is leaf.__class__
            and value.dtype is leaf.dtype
            and value.flags.writeable
            and ((base := value.base) is None or _is_all_of(value, base))
        ):
            results.append(value)
        else:
            results.append(as_leaf(value, leaf))
    return results


def _is_all_of(view: np.ndarray, base: Any) -> bool:
    """Whether a view, such as the transpose of a product of matrices, is all that there is of its base."""
    return (
        getrefcount(base) <= ALONE_AS_BASE and base.__class__ is _ndarray and base.base is None
        and view.nbytes == base.nbytes and view.flags.forc
    )  # fmt: skip


_OURS = (np.ndarray, float, Tracer, np.generic, complex, int)


def as_leaf(value: Any, leaf: Any) -> Any:
    """One derivative in the type of its leaf, copied if it is an array."""
    if not isinstance(leaf, _OURS):
        leaf = of_any_library(leaf)
    if isinstance(value, Tracer):
        value = value.twin() if isinstance(value, DuckArray) else value
        found = in_dtype_of(value.real if _is_real(leaf) and value.dtype.kind == "c" else value, leaf)
        return found.conformed(found, leaf) if isinstance(found, DuckArray) else found
    if isinstance(leaf, Tracer):
        found = np.zeros_like(leaf) if value is None else in_dtype_of(value, leaf)
        return leaf.conformed(found, leaf) if isinstance(leaf, DuckArray) else found
    if leaf.__class__ is float:
        return 0.0 if value is None else float(value.real)
    if leaf.__class__ is complex:
        return 0j if value is None else complex(value)
    if isinstance(leaf, np.generic):
        return leaf.dtype.type(0 if value is None else value)
    if value is None:
        return np.zeros_like(leaf)
    # What the sweep hands over may be a broadcast view, a seed, or an array that two leaves share.
    return np.array(value, dtype=leaf.dtype)


_ONE_VALUE = (Tracer, float, np.ndarray, np.generic)


def _is_real(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return not isinstance(leaf, complex) if dtype is None else dtype.kind != "c"


def scalar_output(name: str, out: Any) -> Any:
    """The number that an output is or, as an array of one element, holds; refuse what has no gradient: all else."""
    if not isinstance(out, _ONE_VALUE):
        leaves, structure = flatten(out)
        if structure is not LEAF:
            if not structure.is_one_array:
                raise ShapeError(
                    f"{name}: the function returned {'None' if out is None else f'a {kind_of(out)}'}{user_line()}, but "
                    "a gradient is of one number; return it alone, or with extra values as (value, aux) and "
                    "has_aux=True"
                )
            (out,) = leaves
        out = of_any_library(out)
    like = Like(out)
    if like.size != 1 and like.shape:
        raise ShapeError(
            f"{name}: the function returned an array of shape {like.shape}{user_line()}, but a gradient is of one "
            "number; sum it, or use jacobian or elementwise_grad"
        )
    if isinstance(out, complex) or (like.dtype is not None and like.dtype.kind == "c"):
        raise ShapeError(f"{name}: the function returned a complex number{user_line()}; return its real part or abs")
    if not isinstance(out, (int, float, np.generic, np.ndarray, Tracer)) and not hasattr(out, "dtype"):
        raise ShapeError(f"{name}: the function returned a {type(out).__name__}{user_line()}, not a number")
    return np.reshape(out, ())[()] if like.shape else out


def same_structure(name: str, what: str, given: Any, structure: Structure, likes: Sequence[Any]) -> list[Any]:
    """The leaves of a tangent or cotangent, checked against what it belongs to."""
    leaves, found = flatten(given)
    if found != structure:
        from shared.calling.shells import where_different

        raise ShapeError(
            f"{name}: the {what} has the structure {found}, not the shape of {structure}{user_line()}"
            f"{where_different(found, structure)}"
        )
    result = []
    for leaf, like in zip(leaves, likes, strict=True):
        value = differentiable(leaf, f"{name}: the {what}")
        shape, wanted = Like(value).shape, Like(like).shape
        if shape != wanted:
            raise ShapeError(f"{name}: a {what} has shape {shape}, but must have {wanted}{user_line()}")
        result.append(in_dtype_of(value, like))
    return result


def in_dtype_of(value: Any, like: Any) -> Any:
    """A tangent or cotangent in the dtype of its primal; float to complex is a promotion, complex to float refused."""
    dtype = getattr(like, "dtype", None)
    if isinstance(value, Tracer):
        # A strong number may not become a weak one; what is weak already needs no operation.
        kept = dtype is None or (value.dtype == dtype and (not _is_weak(value) or _is_weak(like)))  # type: ignore[attr-defined]
        return value if kept else value.astype(dtype)  # type: ignore[attr-defined]
    if np.iscomplexobj(value) and _is_real(like):
        raise LeafTypeError(
            f"a complex tangent or cotangent was given for a real value{user_line()}; give its real part"
        )
    if dtype is None:
        if isinstance(value, (np.generic, np.ndarray)):
            return value.item() if isinstance(like, complex) else float(value)
        return value
    if getattr(value, "dtype", bool) == dtype:  # not None, which equals float64 to NumPy
        return value
    return np.asarray(value, dtype)[()] if isinstance(like, np.generic) else np.asarray(value, dtype)


def _is_weak(value: Any) -> bool:
    """Whether a traced value stands for a Python number, which takes the precision of what it meets."""
    while isinstance(value, Tracer):
        value = value.primal  # type: ignore[attr-defined]
    return value.__class__ is float or value.__class__ is complex


def sequence_of_primals(name: str, primals: Any) -> tuple[Any, ...]:
    """The arguments of a function, as they were given in a list or tuple; refuse one that was given as it is."""
    if isinstance(primals, (list, tuple)):
        return tuple(primals)
    raise ShapeError(
        f"{name}: the primals are a {type(primals).__name__}{user_line()}, but have to be a tuple with one entry an "
        f"argument, and so the tangents: write {name}(f, (x,), (v,))"
    )


def scalar_input(name: str, x: Any) -> None:
    """Refuse an argument of `derivative` that is not one number."""
    is_leaf = flatten(x)[1] is LEAF
    shape = Like(x).shape if is_leaf else None
    if shape != ():
        what = f"shape {shape}" if shape else f"type {type(x).__name__}"
        raise ShapeError(
            f"{name}: the argument has {what}{user_line()}, but a derivative is with respect to one number; use "
            "elementwise_grad for a function applied to each element, or jacobian"
        )
