"""What a transform returns: a function that is called like the one it was made from, here and in other processes.

A function pickles as its name.  The closure that a transform makes of `f` bears the name of `f`, under which another
process would find `f` itself; so what transforms return pickles as the call that made it.  This module knows neither
what a transform computes nor who sends it where.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, update_wrapper
from types import MethodType
from typing import Any

from shared.core.errors import user_line
from shared.core.visible import kind_of, one_line, shown

Function = Callable[..., Any]


class Transformed(partial[Any]):
    """A function that a transform made of another one, whose name, text and signature it has.

    It can be pickled if that one can.  A subclass of `partial`, because that is called without a Python frame.
    """

    transform: Function
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def __reduce__(self) -> Any:
        return own_name(self) or (_made, (self.transform, self.arguments, self.options))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        source = self.arguments[0]
        name = self.transform.__name__.lstrip("_")
        return one_line(f"<{name} of {getattr(source, '__qualname__', repr(source))}>")


def transformed(transform: Function, f: Function, *further: Any, **options: Any) -> Callable[[Function], Function]:
    """The decorator of the function that `transform(f, *further, **options)` returns.

    `transform` is a function at the top level of a module, which makes an equal one wherever that is unpickled.

    >>> def negated(f):
    ...     @transformed(negated, f)
    ...     def call(*args):
    ...         return -f(*args)
    ...     return call
    >>> negated(abs)
    <negated of abs>
    >>> negated(abs)(3), negated(abs).__name__
    (-3, 'abs')
    """

    if not callable(f):
        raise TypeError(f"{transform.__name__}: expected a function, not {shown(f)} (type {kind_of(f)}){user_line()}")

    if further and further[0].__class__ is not int and _is_point(transform, further[0]):
        name = transform.__name__
        raise TypeError(
            f"{name}: argnums must be an int, the name of an argument, or a sequence of these, not "
            f"{shown(further[0])}{user_line()}; at a point x it is {name}(f)(x)"
        )

    def decorate(call: Function) -> Function:
        made = Transformed(call)
        made.transform, made.arguments, made.options = transform, (f, *further), options
        return update_wrapper(made, f, updated=())

    return decorate


def _is_point(transform: Function, given: Any) -> bool:
    """Whether what is given as `argnums` is numbers, at which the derivative was to be taken."""
    if "argnums" not in transform.__code__.co_varnames[: transform.__code__.co_argcount]:
        return False
    part = given[0] if isinstance(given, (list, tuple)) and given else given
    return isinstance(part, (float, complex, dict)) or getattr(getattr(part, "dtype", None), "kind", "?") in "fcb"


def without_value(call: Function, has_aux: bool) -> Function:
    """The last of what `call` gives, of which the first is the value; with `has_aux`, `(last, aux)`.

    >>> without_value(lambda x: ((x * x, "aux"), 2 * x), has_aux=True)(3.0)
    (6.0, 'aux')
    """

    def alone(*args: Any, **kwargs: Any) -> Any:
        found = call(*args, **kwargs)
        return (found[-1], found[0][1]) if has_aux else found[-1]

    return alone


def readable_name(f: Any) -> str:
    """What people call a function, on one line: its name; of one that a transform made, also the transform.

    >>> from functools import partial
    >>> from reversead import grad
    >>> readable_name(abs), readable_name(grad(abs)), readable_name(grad(grad(abs))), readable_name(partial(abs, 1.0))
    ('abs', 'grad of abs', 'grad of grad of abs', 'abs')
    """
    if isinstance(f, Transformed):
        return f"{f.transform.__name__.lstrip('_')} of {readable_name(f.arguments[0])}"
    if isinstance(f, partial) and not hasattr(f, "__name__"):
        return readable_name(f.func)
    return one_line(str(getattr(f, "__name__", "") or type(f).__name__))


def _made(transform: Function, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return transform(*arguments, **options)


def own_name(made: Any) -> str | None:
    """The name by which `made` is found in its module, if it is: that of a function below a decorator.

    It is what `__reduce__` has to return, for the function itself is no longer found, and so cannot be pickled.
    """
    name: str | None = getattr(made, "__qualname__", None)
    if name is None:
        return None
    found: Any = sys.modules.get(made.__module__)
    for part in name.split("."):
        found = getattr(found, part, None)
    return name if found is made else None
