"""What programs cost in operations: the table of counts, and a tracer that adds them up while a program runs.

It knows what each primitive costs, and no derivative.  `counts` is the table; `counter` is the tracer.

Public, as a name of `shared`: `count_operations`.
"""

import typing

from shared.core import lazy

if typing.TYPE_CHECKING:
    from shared.counting.counter import count_operations
    from shared.counting.counts import ELEMENTARY, Count

__all__ = ["ELEMENTARY", "Count", "count_operations"]

__getattr__, __dir__ = lazy.on_demand(
    __name__,
    {"shared.counting.counter": ("count_operations",), "shared.counting.counts": ("ELEMENTARY", "Count")},
)
