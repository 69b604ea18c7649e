"""What programs cost in operations: a tracer that adds up, while a program runs, what its primitives declare.

It knows the measure, and no derivative.  What each primitive costs stands in its row, in the words of
`shared.core.facets`, what an assignment costs in `assignments`; `counter` is the tracer.

Public: `count_operations`, as a name of `shared`; and to say what a primitive of one's own costs, `Count`, `each`,
`each_read`, and `ELEMENTARY`, the weight of an elementary function.
"""

import typing

from shared.core import lazy
from shared.core.facets import ELEMENTARY, Count, each, each_read

if typing.TYPE_CHECKING:
    from shared.counting.counter import count_operations

__all__ = ["ELEMENTARY", "Count", "count_operations", "each", "each_read"]

__getattr__, __dir__ = lazy.on_demand(__name__, {"shared.counting.counter": ("count_operations",)})
